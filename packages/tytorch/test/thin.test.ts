// Thin matrix products in compiled code: those of few terms or few sums join the kernels around them, on both devices,
// for all layouts, and give what the products give one by one.
import { describe, expect, test, vi } from 'vitest'
import { getNumThreads } from '../src/backend/pool.ts'
import { schedule } from '../src/backend/wasm/schedule.ts'
import { fuse } from '../src/compile/fuse.ts'
import type { Buffer, Step, Trace } from '../src/compile/trace.ts'
import * as torch from '../src/index.ts'
import { acc, constant, k, load } from '../src/ir/expr.ts'
import { verify } from '../src/ir/verify.ts'
import { devices, Program, run, transposed, type Value } from './program.ts'

// The interpreter takes its time.
vi.setConfig({ testTimeout: 30_000 })

function fillOf(buffer: Buffer): number[] {
  let state = (buffer.id + 1) * 2654435761
  return Array.from({ length: buffer.bytes / 4 }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state / 0x7fffffff) * 2 - 1
  })
}

/** Fuses, and compares results: sums are added in another order, so within some roundings of the largest element. */
function fused(trace: Trace): readonly Step[] {
  const after = fuse(trace)
  for (const step of after.steps) if (step.kind === 'launch') verify(step.kernel)
  for (const device of devices) {
    const plain = run(device, trace, fillOf)
    const joined = run(device, after, fillOf)
    for (const [id, want] of plain) {
      const got = joined.get(id)!
      const size = want.reduce((n, x) => Math.max(n, Math.abs(x)), 1)
      for (let i = 0; i < want.length; i++) {
        const error = Math.abs(got[i] - want[i])
        if (!(error <= 2e-6 * size)) expect.fail(`${device.name}: buffer ${id}[${i}] is ${got[i]}, not ${want[i]}`)
      }
    }
  }
  return after.steps
}

const products = (steps: readonly Step[]): number => steps.filter((s) => s.kind === 'matmul').length

interface Form {
  readonly rows: number
  readonly hidden: number
  readonly features: number
  readonly classes: number
  readonly turned?: boolean
  readonly accumulate?: boolean
}

/** The backward pass of Linear(features, hidden), ReLU, Linear(hidden, classes). */
function backward({ rows, hidden, features, classes, turned = false, accumulate = false }: Form): Program {
  const p = new Program()
  const matrix = (m: number, n: number): Value =>
    turned ? transposed(p.value('input', [n, m])) : p.value('input', [m, n])
  const kind = accumulate ? 'captured' : 'state'
  const [x, g, w] = [matrix(rows, features), matrix(rows, classes), matrix(classes, hidden)]
  const h = p.matmul(p.value('input', [rows, 20]), p.value('input', [20, hidden]), p.value('temporary', [rows, hidden]))
  const full = p.matmul(g, w, p.value('temporary', [rows, hidden]))
  const masked = p.map('mask', [full, h], p.value('temporary', [rows, hidden]), (d, v) =>
    k.select(k.gt(v, constant(0, 'f32')), d, constant(0, 'f32')),
  )
  p.matmul(transposed(g), h, p.value(kind, [classes, hidden]), null, accumulate)
  p.matmul(transposed(masked), x, p.value(kind, [hidden, features]), null, accumulate)
  p.fold('bias', masked, 0, p.value('output', [1, hidden]))
  return p
}

describe('the backward pass of two layers', () => {
  for (const [features, classes] of [[4, 3], [1, 1], [1, 8], [8, 1], [2, 7], [5, 4], [7, 2], [6, 3]]) {
    test(`${features} features and ${classes} classes are one kernel`, () => {
      for (const turned of [false, true]) {
        for (const accumulate of [false, true]) {
          const p = backward({ rows: 21, hidden: 75, features, classes, turned, accumulate })
          const steps = fused(p.trace)
          expect(products(steps)).toBe(1)
          expect(steps.filter((s) => s.kind === 'launch' && s.kernel.passes[0].kind === 'reduce')).toHaveLength(1)
        }
      }
    })
  } // biome-ignore format: a table
  for (const [features, classes] of [[9, 3], [3, 9], [9, 9], [8, 8], [40, 30]]) {
    test(`${features} features and ${classes} classes keep products`, () => {
      const steps = fused(backward({ rows: 21, hidden: 75, features, classes }).trace)
      expect(products(steps)).toBeGreaterThan(1)
    })
  } // biome-ignore format: a table
  test('more rows than are added at once, and a hidden layer whose rows share sets of the cache', () => {
    fused(backward({ rows: 600, hidden: 64, features: 4, classes: 3 }).trace)
    const p = backward({ rows: 40, hidden: 512, features: 4, classes: 3 })
    const after = fuse(p.trace)
    expect(after.buffers.some((b) => b.kind === 'temporary' && b.bytes === 40 * (2048 + 64))).toBe(true)
    fused(p.trace)
  })
  test('too few columns for lanes keep products', () => {
    expect(products(fused(backward({ rows: 500, hidden: 12, features: 4, classes: 3 }).trace))).toBeGreaterThan(1)
  })
})

test('one product alone stays a product', () => {
  for (const [m, n, depth] of [[200, 3, 100], [3, 200, 100], [200, 100, 3]]) {
    const p = new Program()
    p.matmul(p.value('input', [m, depth]), p.value('input', [depth, n]), p.value('output', [m, n]))
    expect(products(fused(p.trace))).toBe(1)
  }
}) // biome-ignore format: a table

test('a fold keeps few values alive: what its sums need comes when they need it', () => {
  const type = 'f32'
  const [d, w, x] = [
    [0, 1, 2],
    [3, 4, 5],
    [6, 7, 8, 9],
  ].map((list) => list.map((i) => load(i, type)))
  const h = load(10, type)
  const products = d.map((v, i) => k.mul(v, w[i]))
  const masked = k.select(k.gt(h, constant(0, type)), products.reduce(k.add), constant(0, type))
  const sums = [...x.map((v) => [v, masked]), ...d.map((v) => [v, h])].map(([a, b], i) => k.madd(a, b, acc(i, type)))
  const step = [...sums, k.add(acc(7, type), masked)]
  const held = step.map((_, i) => acc(i, type))
  const { nodes, peak } = schedule(step, held, (e) => e.op === 'const' || w.includes(e))
  expect(new Set(nodes).size).toBe(nodes.length)
  for (const root of step) expect(nodes).toContain(root)
  for (const [i, e] of nodes.entries()) {
    if ('src' in e) for (const s of e.src) if (nodes.includes(s)) expect(nodes.indexOf(s)).toBeLessThan(i)
  }
  // The 8 sums, h, a product's operand and the masked sum.
  expect(peak).toBeLessThanOrEqual(12)
})

const { nn } = torch

/** Gradients of a two-layer net, twice into the same tensors. */
function gradients(compiled: boolean, rows: number, sizes: readonly number[], dtype: torch.DType): torch.Tensor[] {
  torch.manualSeed(3)
  const [features, hidden, classes] = sizes
  const net = new nn.Sequential(new nn.Linear(features, hidden), new nn.ReLU(), new nn.Linear(hidden, classes))
  net.to(dtype)
  const x = torch.randn([features, rows], { dtype }).t()
  const y = torch.arange(rows).remainder(classes)
  const step = (x: torch.Tensor, y: torch.Tensor): torch.Tensor => {
    const loss = nn.functional.crossEntropy(net.forward(x) as torch.Tensor, y)
    loss.backward()
    return loss
  }
  const run = compiled ? torch.compile(step) : step
  for (let i = 0; i < 4; i++) run(x, y)
  return [...net.parameters()].map((p) => p.grad as torch.Tensor)
}

const furthest = (a: torch.Tensor, b: torch.Tensor): number => a.double().sub(b.double()).abs().max().item() as number

describe('compiled training', () => {
  for (const [rows, ...sizes] of [[112, 4, 1024, 3], [37, 1, 100, 2], [16, 8, 64, 1], [300, 3, 33, 5], [5, 9, 40, 9]]) {
    test(`${rows} rows of ${sizes.join(', ')}, both dtypes`, () => {
      for (const [dtype, tolerance] of [[torch.float32, 2e-6], [torch.float64, 1e-14]] as const) {
        const eager = gradients(false, rows, sizes, dtype)
        const compiled = gradients(true, rows, sizes, dtype)
        for (const [i, g] of eager.entries()) expect(furthest(g, compiled[i])).toBeLessThanOrEqual(tolerance)
      }
    })
  } // biome-ignore format: a table

  test('sums over very many rows are as accurate as eager ones, on one thread and on two', () => {
    const sizes = [2, 32, 2]
    const exact = gradients(false, 60_000, sizes, torch.float64)
    const eager = gradients(false, 60_000, sizes, torch.float32)
    const threads = getNumThreads()
    for (const count of [1, 2]) {
      torch.setNumThreads(count)
      const compiled = gradients(true, 60_000, sizes, torch.float32)
      for (const [i, g] of exact.entries()) {
        expect(furthest(g, compiled[i])).toBeLessThanOrEqual(2 * furthest(g, eager[i]) + 1e-7)
      }
    }
    torch.setNumThreads(threads)
  })
})
