// Fusion: each rule joins what it should, and fused programs compute what their steps compute, on both devices.
import { describe, expect, test, vi } from 'vitest'
import { float16 } from '../src/base/dtype.ts'
import { fuse } from '../src/compile/fuse.ts'
import type { Buffer, Step, Trace } from '../src/compile/trace.ts'
import { constant, type Expr, k, load, scalar } from '../src/ir/expr.ts'
import { exp } from '../src/ir/maths.ts'
import { verify } from '../src/ir/verify.ts'
import { devices, Program, run, transposed, type Value } from './program.ts'

// The interpreter takes its time.
vi.setConfig({ testTimeout: 30_000 })

const c = (value: number): Expr => constant(value, 'f32')
const relu = (x: Expr): Expr => k.max(x, c(0))

/** Numbers between -1 and 1 from a seed. */
function generator(seed: number): () => number {
  let state = seed * 2654435761 + 12345
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state / 0x7fffffff) * 2 - 1
  }
}

function fillOf(buffer: Buffer): number[] {
  const next = generator(buffer.id + 1)
  return Array.from({ length: buffer.bytes / 4 }, () => next() + Math.sign(next()) * 0.25)
}

/** Fuses, checks kernels and results against the unfused trace, and answers the fused steps. */
function fused(trace: Trace, tolerance = 1e-6): readonly Step[] {
  const after = fuse(trace)
  for (const step of after.steps) if (step.kind === 'launch') verify(step.kernel)
  for (const device of devices) {
    const plain = run(device, trace, fillOf)
    const joined = run(device, after, fillOf)
    for (const [id, want] of plain) {
      const got = joined.get(id)!
      let size = 1
      for (const x of want) if (Number.isFinite(x)) size = Math.max(size, Math.abs(x))
      for (let i = 0; i < want.length; i++) {
        const same = Object.is(got[i], want[i]) || Math.abs(got[i] - want[i]) <= tolerance * size
        if (!same) expect.fail(`${device.name}: buffer ${id}[${i}] is ${got[i]}, not ${want[i]}`)
      }
    }
  }
  return after.steps
}

const names = (steps: readonly Step[]): string[] =>
  steps.map((s) =>
    s.kind === 'launch' ? s.kernel.name : s.kind === 'matmul' ? (s.epilogue ? 'matmul+' : 'matmul') : s.name,
  )

const sizes = [7, 33]

describe('chains', () => {
  test('a chain of maps is one kernel', () => {
    const p = new Program()
    const [x, y] = [p.value('input', sizes), p.value('input', sizes)]
    const a = p.map('mul', [x, y], p.value('temporary', sizes), k.mul)
    const b = p.map('add', [a, x], p.value('temporary', sizes), k.add)
    p.map('relu', [b], p.value('output', sizes), relu)
    expect(names(fused(p.trace))).toEqual(['mul+add+relu'])
  })

  test('what is used outside too is stored and passed on', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    const a = p.map('square', [x], p.value('output', sizes), (v) => k.mul(v, v))
    p.map('neg', [a], p.value('output', sizes), k.neg)
    expect(names(fused(p.trace))).toEqual(['square+neg'])
  })

  test('broadcast operands and flat launches meet', () => {
    const p = new Program()
    const [x, bias, column] = [p.value('input', sizes), p.value('input', [1, 33]), p.value('input', [7, 1])]
    const a = p.map('double', [x], p.value('temporary', sizes), (v) => k.add(v, v))
    const b = p.map('bias', [a, bias], p.value('temporary', sizes), k.add)
    const d = p.map('scale', [b, column], p.value('temporary', sizes), k.mul)
    p.map('relu', [d], p.value('output', sizes), relu)
    expect(names(fused(p.trace))).toEqual(['double+bias+scale+relu'])
  })

  test('a small producer is computed where it is read', () => {
    const p = new Program()
    const [x, one] = [p.value('input', sizes), p.value('input', [1, 1])]
    const a = p.map('third', [one], p.value('temporary', [1, 1]), (v) => k.div(v, c(3)))
    p.map('scale', [x, a], p.value('output', sizes), k.mul)
    expect(names(fused(p.trace))).toEqual(['third+scale'])
  })

  test('a transposed operand keeps its kernel apart where the layouts differ', () => {
    const p = new Program()
    const x = p.value('input', [9, 9])
    const a = p.map('double', [x], p.value('temporary', [9, 9]), (v) => k.add(v, v))
    p.map('add', [transposed(a), a], p.value('output', [9, 9]), k.add)
    expect(fused(p.trace)).toHaveLength(2)
  })

  test('a transposed reading alone is joined over the other order', () => {
    const p = new Program()
    const x = p.value('input', [5, 9])
    const a = p.map('double', [x], p.value('temporary', [5, 9]), (v) => k.add(v, v))
    p.map('neg', [transposed(a)], p.value('output', [9, 5]), k.neg)
    expect(names(fused(p.trace))).toEqual(['double+neg'])
  })

  test('values are not passed around storage that rounds', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    const half = p.map('half', [x], p.value('temporary', sizes, float16), (v) => v)
    p.map('back', [half], p.value('output', sizes), (v) => v)
    expect(fused(p.trace)).toHaveLength(2)
  })

  test('host scalars stay what they are', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    const live = { source: { numbers: () => [3, 5] }, index: 1 }
    const a = p.map('scale', [x], p.value('temporary', sizes), (v) => k.mul(v, scalar(0, 'f32')), [live])
    p.map('shift', [a], p.value('output', sizes), (v) => k.add(v, k.mul(scalar(0, 'f32'), scalar(1, 'f32'))), [2, live])
    const [step] = fused(p.trace)
    expect(step.kind === 'launch' && step.scalars).toEqual([live, 2])
  })
})

describe('order', () => {
  test('in-place updates between a store and its reading', () => {
    const p = new Program()
    const [x, y] = [p.value('captured', sizes), p.value('input', sizes)]
    const a = p.map('add', [x, y], p.value('temporary', sizes), k.add)
    p.map('mul_', [x, y], x, k.mul)
    p.map('sub', [a, x], p.value('output', sizes), k.sub)
    p.map('neg_', [x], x, k.neg)
    expect(fused(p.trace)).toHaveLength(1)
  })

  test('a step over bytes shifted by one is not joined', () => {
    const p = new Program()
    const x = p.value('captured', [65])
    const [low, high] = [
      { ...x, sizes: [64] },
      { ...x, sizes: [64], offset: 4 },
    ]
    const y = p.value('input', [64])
    p.map('set', [y], low, (v) => k.add(v, c(1)))
    p.map('shift', [high], p.value('output', [64]), k.neg)
    expect(fused(p.trace)).toHaveLength(2)
  })

  test('a host routine that writes an operand stays in between', () => {
    const p = new Program()
    const x = p.value('captured', sizes)
    const a = p.map('double', [x], p.value('temporary', sizes), (v) => k.add(v, v))
    p.steps.push({ kind: 'host', name: 'draw', run: () => {}, operands: [a], modes: ['update'] })
    p.map('neg', [a], p.value('output', sizes), k.neg)
    expect(names(fused(p.trace))).toEqual(['double', 'draw', 'neg'])
  })
})

describe('rows', () => {
  const softmax = (p: Program, x: Value): Value => {
    const high = p.fold('max', x, 1, p.value('temporary', [7, 1]), k.max, Number.NEGATIVE_INFINITY)
    const shifted = p.map('sub', [x, high], p.value('temporary', sizes), k.sub)
    const e = p.map('exp', [shifted], p.value('temporary', sizes), exp)
    const total = p.fold('sum', e, 1, p.value('temporary', [7, 1]))
    return p.map('div', [e, total], p.value('output', sizes), k.div)
  }

  test('prologue and epilogue of a fold', () => {
    const p = new Program()
    const [x, y] = [p.value('input', sizes), p.value('input', sizes)]
    const a = p.map('mul', [x, y], p.value('temporary', sizes), k.mul)
    const s = p.fold('sum', a, 1, p.value('temporary', [7, 1]))
    p.map('root', [s], p.value('output', [7, 1]), (v) => k.sqrt(k.abs(v)))
    expect(names(fused(p.trace))).toEqual(['mul+sum+root'])
  })

  test('a fold and what divides by it', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    const s = p.fold('sum', x, 1, p.value('temporary', [7, 1]))
    p.map('minus', [x, s], p.value('output', sizes), k.sub)
    expect(names(fused(p.trace))).toEqual(['sum+minus'])
  })

  test('a softmax by hand does not compute its exponentials twice', () => {
    const p = new Program()
    softmax(p, p.value('input', sizes))
    const steps = fused(p.trace)
    expect(steps.length).toBeLessThanOrEqual(3)
    const exps = steps.filter((s) => s.kind === 'launch' && s.kernel.name.includes('exp'))
    expect(exps).toHaveLength(1)
  })

  test('folds of the same rows share a kernel', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    p.fold('sum', x, 1, p.value('output', [7, 1]))
    p.fold('max', x, 1, p.value('output', [7, 1]), k.max, Number.NEGATIVE_INFINITY)
    expect(fused(p.trace)).toHaveLength(1)
  })

  test('folds of columns take the map before them', () => {
    const p = new Program()
    const [g, h] = [p.value('input', sizes), p.value('input', sizes)]
    const a = p.map('mask', [g, h], p.value('temporary', sizes), (x, y) => k.select(k.gt(y, c(0)), x, c(0)))
    p.fold('sum', a, 0, p.value('output', [1, 33]))
    expect(names(fused(p.trace))).toEqual(['mask+sum'])
  })

  test('a value of each row computed before', () => {
    const p = new Program()
    const [x, r] = [p.value('input', sizes), p.value('input', [7, 1])]
    const s = p.map('half', [r], p.value('output', [7, 1]), (v) => k.mul(v, c(0.5)))
    p.rows(
      {
        name: 'scaled',
        args: [
          { dtype: x.dtype, mode: 'read', per: 'element' },
          { dtype: x.dtype, mode: 'read', per: 'row' },
          { dtype: x.dtype, mode: 'write', per: 'element' },
        ],
        scalars: [],
        passes: [{ kind: 'map', stores: [{ arg: 2, value: k.mul(load(0, 'f32'), load(1, 'f32')) }] }],
        rowStores: [],
      },
      [x, s, p.value('output', sizes)],
      1,
    )
    expect(names(fused(p.trace))).toEqual(['half+scaled'])
  })

  test('results of two passes keep their numbers', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    const shared = p.map('double', [x], p.value('temporary', sizes), (v) => k.add(v, v))
    const mean = p.fold('sum', shared, 1, p.value('temporary', [7, 1]))
    const centred = p.map('centre', [shared, mean], p.value('temporary', sizes), (v, m) =>
      k.sub(v, k.mul(m, c(1 / 33))),
    )
    const square = p.map('square', [centred], p.value('temporary', sizes), (v) => k.mul(v, v))
    const variance = p.fold('var', square, 1, p.value('temporary', [7, 1]))
    p.map('norm', [centred, variance], p.value('output', sizes), (v, s) => k.div(v, k.sqrt(s)))
    const steps = fused(p.trace)
    expect(names(steps)).toEqual(['double+sum+centre+square+var+norm'])
    expect(steps[0].kind === 'launch' && steps[0].kernel.passes.length).toBe(3)
  })
})

describe('products', () => {
  const shapes: readonly (readonly [number, number, number])[] = [
    [23, 140, 4], [10, 1100, 3], [21, 3, 300], [20, 30, 40], [64, 10, 128], [1, 50, 20], [50, 1, 20], [3, 100, 300],
    [100, 3, 50], [37, 65, 33], [13, 17, 1], [6, 16, 700], [6, 32, 4200], [200, 210, 220], [4, 4, 4],
  ] // biome-ignore format: a table

  for (const [m, n, kk] of shapes) {
    test(`relu of ${m}x${n}x${kk} with bias and residual, all layouts`, () => {
      for (const aT of [false, true]) {
        for (const bT of [false, true]) {
          const p = new Program()
          const a = aT ? transposed(p.value('input', [kk, m])) : p.value('input', [m, kk])
          const b = bT ? transposed(p.value('input', [n, kk])) : p.value('input', [kk, n])
          const [bias, row, full] = [p.value('input', [n]), p.value('input', [1, n]), p.value('input', [m, n])]
          const y = p.matmul(a, b, p.value('temporary', [m, n]), bias)
          const z = p.map('relu', [y], p.value('temporary', [m, n]), relu)
          const w = p.map('add', [z, full], p.value('temporary', [m, n]), k.add)
          p.map('scale', [w, row], p.value('output', [m, n]), (x, r) => k.sub(k.mul(x, c(0.5)), r))
          expect(names(fused(p.trace))).toEqual(['matmul+'])
        }
      }
    })
  }

  test('a mask, in place, of double precision, and what is not allowed', () => {
    const p = new Program()
    const [a, b, h] = [p.value('input', [20, 12]), p.value('input', [12, 24]), p.value('input', [20, 24])]
    const y = p.matmul(a, b, p.value('temporary', [20, 24]))
    p.map('mask', [y, h], y, (g, x) => k.select(k.gt(x, c(0)), g, c(0)))
    p.map('out', [y], p.value('output', [20, 24]), (v) => exp(v))
    expect(names(fused(p.trace))).toEqual(['matmul+'])
    const q = new Program()
    const [u, v] = [q.value('input', [9, 9]), q.value('input', [9, 9])]
    const w = q.matmul(u, v, q.value('temporary', [9, 9]))
    q.map('add', [w, transposed(w)], q.value('output', [9, 9]), k.add)
    expect(fused(q.trace)).toHaveLength(2)
    const r = new Program()
    const [s, t] = [r.value('captured', [9, 9]), r.value('input', [9, 9])]
    const o = r.matmul(s, t, r.value('temporary', [9, 9]))
    r.map('add_', [s, o], s, k.add)
    expect(fused(r.trace)).toHaveLength(2)
  })

  test('an expression that is computed apart from the sums', () => {
    for (const [m, n, kk] of [
      [7, 70, 3],
      [70, 7, 3],
      [3, 90, 600],
      [2, 90, 40],
      [40, 50, 60],
    ] as const) {
      const p = new Program()
      const [a, b, row] = [p.value('input', [m, kk]), p.value('input', [kk, n]), p.value('input', [1, n])]
      const y = p.matmul(a, b, p.value('temporary', [m, n]))
      p.map('swish', [y, row], p.value('output', [m, n]), (x, r) => k.div(k.add(x, r), k.add(c(1), exp(k.neg(x)))))
      expect(names(fused(p.trace, 2e-6))).toEqual(['matmul+'])
    }
  })

  test('an accumulating product', () => {
    const p = new Program()
    const [a, b, y] = [p.value('input', [20, 500]), p.value('input', [500, 24]), p.value('captured', [20, 24])]
    p.matmul(a, b, y, null, true)
    p.map('relu_', [y], y, relu)
    expect(names(fused(p.trace, 1e-5))).toEqual(['matmul+'])
  })
})

describe('needless steps', () => {
  test('dead steps and stores', () => {
    const p = new Program()
    const x = p.value('input', sizes)
    p.map('dead', [x], p.value('temporary', sizes), k.neg)
    const y = p.value('state', sizes)
    p.map('zeros', [], y, () => c(0))
    p.map('set', [x], y, k.abs)
    expect(names(fused(p.trace))).toEqual(['set'])
  })

  test('copies that are only read', () => {
    const p = new Program()
    const [x, y] = [p.value('input', sizes), p.value('input', [33, 4])]
    const copy = p.map('copy', [x], p.value('temporary', sizes), (v) => v)
    p.matmul(copy, y, p.value('output', [7, 4]))
    expect(names(fused(p.trace))).toEqual(['matmul'])
  })

  test('a copy of what changes later stays', () => {
    const p = new Program()
    const [x, y] = [p.value('captured', sizes), p.value('input', [33, 4])]
    const copy = p.map('copy', [x], p.value('temporary', sizes), (v) => v)
    p.map('neg_', [x], x, k.neg)
    p.matmul(copy, y, p.value('output', [7, 4]))
    expect(names(fused(p.trace))).toEqual(['copy', 'neg_', 'matmul'])
  })

  test('the same computation twice', () => {
    const p = new Program()
    const [x, w] = [p.value('input', sizes), p.value('input', [33, 4])]
    const [a, b] = [p.value('temporary', [7, 4]), p.value('temporary', [7, 4])]
    p.matmul(x, w, a)
    p.matmul(x, w, b)
    p.matmul(transposed(a), b, p.value('output', [4, 4]))
    expect(fused(p.trace)).toHaveLength(2)
  })

  test('zeros that are added to', () => {
    const p = new Program()
    const [x, g] = [p.value('input', sizes), p.value('state', sizes)]
    p.map('zeros', [], g, () => c(0))
    p.map('add_', [g, x], g, k.add)
    expect(names(fused(p.trace))).toEqual(['zeros+add_'])
  })
})

describe('side by side', () => {
  test('kernels that read the same, and small ones', () => {
    const p = new Program()
    const [g, h] = [p.value('input', [90, 80]), p.value('input', [90, 80])]
    p.map('left', [g, h], p.value('output', [90, 80]), k.mul)
    p.map('right', [g, h], p.value('output', [90, 80]), k.sub)
    for (let i = 0; i < 3; i++) p.map('small', [p.value('input', [5])], p.value('output', [5]), k.neg)
    expect(fused(p.trace)).toHaveLength(2)
  })
})

/** A random program: element-wise, broadcast, in-place, reducing and multiplying steps over a few shapes. */
function randomProgram(seed: number): Trace {
  const next = generator(seed)
  const pick = <T>(list: readonly T[]): T =>
    list[Math.min(list.length - 1, Math.floor((next() / 2 + 0.5) * list.length))]
  const p = new Program()
  const [m, n] = [pick([1, 2, 5, 8, 13, 20]), pick([1, 3, 4, 9, 16, 37])]
  const shapes = [[m, n], [m, n], [m, n], [1, n], [m, 1], [1, 1]] // biome-ignore format: one line
  const values: Value[] = shapes.map((s, i) => p.value(i % 2 ? 'input' : 'captured', s))
  const unary = [
    k.neg,
    k.abs,
    relu,
    (x: Expr) => k.mul(x, c(0.5)),
    (x: Expr) => exp(k.pmin(x, c(1))),
    (x: Expr) => k.div(x, k.add(k.abs(x), c(1))),
  ]
  const binary = [k.add, k.sub, k.mul, k.max, (x: Expr, y: Expr) => k.select(k.gt(y, c(0)), x, c(0))]
  const kind = (): 'temporary' | 'output' => (next() > 0.5 ? 'output' : 'temporary')
  const steps = 5 + Math.floor((next() / 2 + 0.5) * 10)
  const bounded = (x: Expr): Expr => k.pmax(k.pmin(x, c(4)), c(-4))
  for (let i = 0; i < steps; i++) {
    const x = pick(values)
    const y = pick(values)
    const common = x.sizes.map((s, d) => Math.max(s, y.sizes[d]))
    const choice = next() / 2 + 0.5
    if (choice < 0.25) values.push(p.map(`u${i}`, [x], p.value(kind(), x.sizes), pick(unary)))
    else if (choice < 0.6) {
      const f = pick(binary)
      values.push(p.map(`b${i}`, [x, y], p.value(kind(), common), (a, b) => bounded(f(a, b))))
    } else if (choice < 0.7) {
      const f = pick(binary)
      if (common.join() === x.sizes.join()) p.map(`i${i}`, [x, y], x, (a, b) => bounded(f(a, b)))
    } else if (choice < 0.85) {
      const dim = pick([0, 1])
      const out = p.value(kind(), dim === 0 ? [1, x.sizes[1]] : [x.sizes[0], 1])
      values.push(p.fold(`f${i}`, x, dim, out, pick([k.add, k.max]), 0))
    } else if (choice < 0.92) {
      const product = p.matmul(transposed(x), x, p.value(kind(), [x.sizes[1], x.sizes[1]]))
      const scaled = p.map(`s${i}`, [product], p.value(kind(), product.sizes), (v) => k.mul(v, c(0.01)))
      values.push(p.fold(`g${i}`, scaled, 0, p.value(kind(), [1, x.sizes[1]])))
    } else if (x.sizes.join() === y.sizes.join() && x !== y) p.map(`c${i}`, [y], x, (v) => v)
  }
  return p.trace
}

describe('random programs', () => {
  for (let part = 0; part < 10; part++) {
    test(`seeds ${part * 40} to ${part * 40 + 39}`, () => {
      let [before, after] = [0, 0]
      for (let seed = part * 40; seed < part * 40 + 40; seed++) {
        const trace = randomProgram(seed)
        try {
          after += fused(trace, 2e-6).length
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`)
        }
        before += trace.steps.length
      }
      expect(after).toBeLessThan(before * 0.8)
    })
  }
})
