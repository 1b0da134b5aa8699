// The op matrix: every op record is called with its samples on the interpreter and on WASM, in several dtypes and
// layouts; values are compared, gradients checked against finite differences in float64, first and second order.
import { afterAll, describe, expect, test } from 'vitest'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import * as torch from '../src/index.ts'
import { type OpInfo, registry } from '../src/tensor/define.ts'
import { device, useDevice } from '../src/tensor/run.ts'
import { Tensor } from '../src/tensor/tensor.ts'

const wasm = device()
const interp = createInterpreter()
afterAll(() => {
  useDevice(wasm)
})

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

type Arg = unknown

/** Applies `fn` to every tensor among the arguments, lists included. */
function mapTensors(args: readonly Arg[], fn: (t: Tensor) => Tensor): Arg[] {
  return args.map((a) => (a instanceof Tensor ? fn(a) : Array.isArray(a) && a[0] instanceof Tensor ? a.map(fn) : a))
}

function tensorsOf(args: readonly Arg[]): Tensor[] {
  return args.flatMap((a) => (a instanceof Tensor ? [a] : Array.isArray(a) ? a.filter((x) => x instanceof Tensor) : []))
}

/** The tensors of a result: one, a list, or a named pair. */
function outputs(result: unknown): Tensor[] {
  // Complex results are compared and differentiated by their parts.
  const parts = (x: Tensor): Tensor => (x.dtype.isComplex ? torch.viewAsReal(x) : x)
  if (result instanceof Tensor) return [parts(result)]
  return result && typeof result === 'object' && Symbol.iterator in result
    ? [...(result as Iterable<unknown>)].filter((x) => x instanceof Tensor).map(parts)
    : []
}

function onDevice<T>(which: typeof wasm, fn: () => T): T {
  useDevice(which)
  try {
    return fn()
  } finally {
    useDevice(wasm)
  }
}

/** Relative and absolute distance allowed between the two devices: order of sums and fused multiply-adds differ. */
const TOLERANCE = {
  float64: [1e-12, 1e-12],
  float32: [4e-6, 4e-6],
  float16: [2e-3, 2e-3],
  bfloat16: [2e-2, 2e-2],
} as const

function expectSame(a: Tensor, b: Tensor): void {
  expect(a.dtype).toBe(b.dtype)
  expect([...a.shape]).toEqual([...b.shape])
  if (a.count === 0) return
  const [rtol, atol] = TOLERANCE[a.dtype.name as keyof typeof TOLERANCE] ?? [0, 0]
  const x = a.detach().contiguous().view(-1).tolist<number[]>()
  const y = b.detach().contiguous().view(-1).tolist<number[]>()
  x.forEach((v, i) => {
    if (Object.is(v, y[i]) || v === y[i]) return
    expect(Math.abs(Number(v) - Number(y[i])), `element ${i}: ${v} and ${y[i]}`).toBeLessThanOrEqual(
      atol + rtol * Math.abs(Number(y[i])),
    )
  })
}

/** Integer ops keep their operands integers, numbers too. */
function integral(args: readonly Arg[], info: OpInfo): Arg[] {
  return args.map((a) => (info.domain.integers && typeof a === 'number' ? Math.round(a) : a))
}

/** Another tensor with `x`'s values whose elements do not lie side by side. */
function strided(x: Tensor): Tensor {
  if (x.ndim === 0) return x
  const wide = torch.zeros([...x.sizes.slice(0, -1), x.sizes[x.ndim - 1] * 2 + 1], { dtype: x.dtype })
  const view = wide.asStrided(
    x.sizes,
    wide.stride().map((s, i) => (i === x.ndim - 1 ? 2 : s)),
    1,
  )
  view.copy_(x.detach())
  return view
}

const FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
const INTEGERS = [torch.int64, torch.int32, torch.uint8, torch.bool]

/** What these answer depends on how the input lies in memory, by definition. */
const LAYOUT = ['view', 'viewAsComplex', 'viewCopy', 'asStrided', 'asStridedCopy']

const random = new Set([...registry.values()].filter((i) => i.signature.includes('generator')).map((i) => i.name))

describe.each([...registry.values()].filter((i) => !random.has(i.name)))('$name', (info) => {
  const samples = info.samples(sampler(info, 1)).map((args) => integral(args, info))

  test('the devices agree, in every dtype it takes', () => {
    let ran = 0
    for (const dtype of info.domain.integers ? INTEGERS : [...FLOATS, ...INTEGERS]) {
      for (const args of samples) {
        const varies = (x: Tensor): boolean => x.dtype.isFloatingPoint || info.domain.integers === true
        const converted = mapTensors(args, (x) => (varies(x) ? x.detach().to(dtype) : x))
        let first: Tensor[]
        try {
          first = outputs(onDevice(wasm, () => info.fn(...converted)))
        } catch (error) {
          // An op may refuse a dtype, but then on both devices, and never the one its samples have.
          if (dtype === (info.domain.integers ? torch.int64 : torch.float64)) throw error
          expect(() => onDevice(interp, () => info.fn(...converted))).toThrow()
          continue
        }
        const second = outputs(onDevice(interp, () => info.fn(...converted)))
        expect(second.length).toBe(first.length)
        first.forEach((x, i) => {
          expectSame(x, second[i])
        })
        ran++
      }
    }
    expect(ran).toBeGreaterThan(0)
  })

  test.skipIf(LAYOUT.includes(info.name))('strided inputs give what contiguous ones give', () => {
    for (const args of samples) {
      const plain = mapTensors(args, (x) => x.detach().contiguous())
      const apart = mapTensors(args, (x) => strided(x))
      const a = outputs(info.fn(...plain))
      const b = outputs(info.fn(...apart))
      a.forEach((x, i) => {
        expectSame(x, b[i])
      })
    }
  })

  if (info.inPlace) {
    test('in place gives what out of place gives', () => {
      for (const args of samples) {
        if (!(args[0] instanceof Tensor)) continue
        const plain = mapTensors(args, (x) => x.detach().clone())
        const target = plain[0] as Tensor
        const [expected] = outputs(info.fn(...plain))
        if (expected.sizes.join() !== target.sizes.join()) continue
        const { storage } = target
        const result = info.inPlace?.(...plain) as Tensor
        expect(result).toBe(target)
        expect(result.storage).toBe(storage)
        expectSame(result, expected.to(target.dtype))
      }
    })
  }

  if (info.differentiable) {
    test('gradients agree with finite differences, first and second order, on both devices', () => {
      for (const args of samples) {
        const leaves = mapTensors(args, (x) => (x.dtype.isFloatingPoint ? x.detach().contiguous().requiresGrad_() : x))
        const inputs = tensorsOf(leaves).filter((x) => x.requiresGrad)
        if (inputs.length === 0) continue
        const fn = (...given: Tensor[]): Tensor[] => {
          const rest = [...given]
          return outputs(info.fn(...mapTensors(leaves, (x) => (x.requiresGrad ? (rest.shift() as Tensor) : x))))
        }
        expect(torch.autograd.gradcheck(fn, inputs)).toBe(true)
        expect(torch.autograd.gradgradcheck(fn, inputs, { atol: 1e-4 })).toBe(true)
        const first = onDevice(wasm, () => gradients(fn, inputs))
        const second = onDevice(interp, () => gradients(fn, inputs))
        first.forEach((g, i) => {
          expectSame(g, second[i])
        })
      }
    })
  }
})

function gradients(fn: (...given: Tensor[]) => Tensor[], inputs: Tensor[]): Tensor[] {
  const outs = fn(...inputs).filter((o) => o.requiresGrad)
  if (outs.length === 0) return []
  const seeds = outs.map((o) => torch.onesLike(o.detach()))
  return (torch.autograd.grad(outs, inputs, { gradOutputs: seeds, allowUnused: true }) as (Tensor | null)[]).filter(
    (g) => g !== null,
  )
}
