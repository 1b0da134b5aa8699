// The op matrix compiled: every record's samples, forward and gradient, compiled against eager, on the values of the call
// that was traced and on others; and the list of ops that run eagerly.
import { describe, expect, test } from 'vitest'
import { Compiled } from '../src/compile/compile.ts'
import * as torch from '../src/index.ts'
import { type OpInfo, registry } from '../src/tensor/define.ts'
import { Tensor } from '../src/tensor/tensor.ts'

type Args = readonly unknown[]

/** Random values in the op's domain, away from its kinks and from ties. */
function sampler(info: OpInfo, seed: number): (...sizes: number[]) => Tensor {
  const { low = -2, high = 2, kinks = false, integers = false } = info.domain
  const generator = new torch.Generator().manualSeed(seed)
  return (...sizes) => {
    if (integers) return torch.randint(-9, 9, sizes, { generator })
    const x = torch
      .rand(sizes, { dtype: torch.float64, generator })
      .mul(high - low)
      .add(low)
    const away = kinks ? x.add(x.sub(x.round()).abs().lt(0.1).to(torch.float64).mul(0.23)) : x
    return away.detach().requiresGrad_()
  }
}

function tensorsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value]
  if (Array.isArray(value)) return value.flatMap(tensorsIn)
  if (value && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype)
    return Object.values(value).flatMap(tensorsIn)
  return []
}

function outputsOf(result: unknown): Tensor[] {
  if (result instanceof Tensor) return [result]
  return result && typeof result === 'object' && Symbol.iterator in result
    ? [...(result as Iterable<unknown>)].filter((x) => x instanceof Tensor)
    : []
}

/** The elements of a tensor, complex ones as their parts. */
const elements = (t: Tensor): unknown[] =>
  (t.isComplex() ? torch.viewAsReal(t.detach()) : t.detach()).contiguous().view(-1).tolist<unknown[]>()

interface Outcome {
  readonly values: unknown[][]
  readonly gradients: unknown[][]
}

/** Calls `fn`, goes backwards, and answers all numbers. */
function outcome(info: OpInfo, fn: (args: Args) => unknown, args: Args): Outcome {
  const outs = outputsOf(fn(args))
  const values = outs.map(elements)
  if (!info.differentiable) return { values, gradients: [] }
  const wanted = tensorsIn(args).filter((t) => t.requiresGrad)
  const roots = outs.filter((t) => t.requiresGrad && t.count > 0)
  if (wanted.length === 0 || roots.length === 0) return { values, gradients: [] }
  const weights = roots.map((t) =>
    torch
      .arange(t.count)
      .mul(0.37)
      .cos()
      .to(t.dtype)
      .view([...t.sizes]),
  )
  const grads = torch.autograd.grad(roots, wanted, { gradOutputs: weights, allowUnused: true }) as (Tensor | null)[]
  return { values, gradients: grads.map((g) => (g ? elements(g) : [])) }
}

function expectSame(a: Outcome, b: Outcome): void {
  for (const key of ['values', 'gradients'] as const) {
    expect(a[key].length).toBe(b[key].length)
    a[key].forEach((list, i) => {
      expect(list.length).toBe(b[key][i].length)
      list.forEach((v, j) => {
        const other = b[key][i][j]
        if (Object.is(v, other) || v === other) return
        // Joined kernels round where eager ones store: doubles differ in their last digits.
        expect(Math.abs(Number(v) - Number(other)), `${key} ${i}, element ${j}: ${v} and ${other}`).toBeLessThanOrEqual(
          1e-11 * Math.max(1, Math.abs(Number(other))),
        )
      })
    })
  }
}

/** Ops that run eagerly: their results' shapes depend on values, or they decide by values what to do. */
const EAGER: Readonly<Record<string, string>> = {
  bincount: 'the largest element decides the length',
  ctcLoss: 'lengths and targets are read',
  cumprod: 'backward looks for zeros',
  histc: 'the range may be that of the data',
  histogram: 'the range may be that of the data',
  histogramdd: 'the range may be that of the data',
  indexPut: 'a mask selects as many as there are',
  linalgVander: 'a running product',
  maskedCumprod: 'a running product',
  maskedProd: 'a product',
  maskedScatter: 'a mask selects as many as there are',
  maskedSelect: 'a mask selects as many as there are',
  matrixExp: 'the norm decides how often to square',
  nonzero: 'as many as there are',
  nonzeroStatic: 'made of nonzero',
  oneHot: 'the largest class decides the width',
  prod: 'backward looks for zeros',
  repeatInterleave: 'the counts decide the length',
  segmentReduce: 'lengths are read',
  unique: 'as many as there are',
  uniqueConsecutive: 'as many as there are',
  vander: 'a running product',
}

const skipped = new Set([...registry.values()].filter((i) => i.signature.includes('generator')).map((i) => i.name))
const fallen = new Set<string>()

describe.each([...registry.values()].filter((i) => !skipped.has(i.name)))('$name', (info) => {
  test('compiled as eager', () => {
    const integral = (args: Args): Args =>
      args.map((a) => (info.domain.integers && typeof a === 'number' ? Math.round(a) : a))
    const first = info.samples(sampler(info, 1)).map(integral)
    const second = info.samples(sampler(info, 2)).map(integral)
    first.forEach((args, i) => {
      const fn = (given: Args): unknown => info.fn(...given)
      const compiled = new Compiled(fn, false)
      const run = (given: Args): unknown => compiled.call([given])
      expectSame(outcome(info, run, args), outcome(info, fn, args))
      expectSame(outcome(info, run, args), outcome(info, fn, args))
      expectSame(outcome(info, run, second[i]), outcome(info, fn, second[i]))
      expectSame(outcome(info, run, args), outcome(info, fn, args))
      if (compiled.fallbacks.length > 0) fallen.add(info.name)
    })
  })
})

test('what falls back', () => {
  expect([...fallen].sort()).toEqual(Object.keys(EAGER).sort())
})
