// Filling tensors with draws: a contiguous tensor is drawn in row-major order, any other in the order of its memory, as
// PyTorch's kernels walk it. Draws run on the host, in PyTorch's sequence, bit for bit.
import { bfloat16, bool, type DType, decode, encode, float16, float32, float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import {
  bernoulliFill,
  bernoulliTensorFill,
  type DrawArray,
  type Generator,
  normalFill,
  type RandomType,
  randintFill,
  uniformFill,
} from '../base/random.ts'
import type { Sizes } from '../base/shape.ts'
import { partsOf } from '../tensor/complex.ts'
import { copyValues, snapshot } from '../tensor/elementwise.ts'
import { onHost } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'

const isNarrow = (dtype: DType): boolean => dtype === float16 || dtype === bfloat16

/** Rounds a single to a narrower float. */
function rounding(dtype: DType): ((x: number) => number) | undefined {
  if (!isNarrow(dtype)) return undefined
  return (x) => Number(decode(dtype, encode(dtype, x)))
}

/** The dimensions in the order in which PyTorch walks them, the fastest first: TensorIterator's `reorder_dimensions`. */
export function walkOrder(sizes: Sizes, strides: readonly Sizes[]): number[] {
  const order = sizes.map((_, i) => sizes.length - 1 - i)
  const after = (a: number, b: number): number => {
    for (const s of strides) {
      if (s[a] === 0 || s[b] === 0) continue
      if (s[a] !== s[b]) return s[a] - s[b]
      if (sizes[a] > sizes[b]) return 1
    }
    return 0
  }
  for (let i = 1; i < order.length; i++) {
    let at = i
    for (let j = i - 1; j >= 0; j--) {
      const compared = after(order[j], order[at])
      if (compared < 0) break
      if (compared > 0) {
        const moved = order[j]
        order[j] = order[at]
        order[at] = moved
        at = j
      }
    }
  }
  return order
}

/** `x` with its dimensions permuted, the last of `order` first. */
export function walked(x: Tensor, order: readonly number[]): Tensor {
  const dims = [...order].reverse()
  return alias(
    x,
    dims.map((d) => x.sizes[d]),
    dims.map((d) => x.strides[d]),
    x.offset,
  )
}

/** Uninitialised, like `x` in sizes and in the order of its memory, which decides the order of draws. */
export function emptyInOrder(x: Tensor, dtype: DType): Tensor {
  const out = empty(x.sizes, dtype)
  if (x.contiguousLayout) return out
  const strides = new Array<number>(x.ndim)
  let step = 1
  for (const d of walkOrder(x.sizes, [x.strides])) {
    strides[d] = step
    step *= Math.max(x.sizes[d], 1)
  }
  return alias(out, x.sizes, strides, 0)
}

/** The array that draws for `dtype` go to; those of narrow floats are rounded afterwards. */
function drawArray(dtype: DType, n: number): DrawArray {
  if (dtype === float16 || dtype === bfloat16) return new Float32Array(n)
  const make: Partial<Record<string, new (n: number) => DrawArray>> = {
    float32: Float32Array,
    float64: Float64Array,
    int64: BigInt64Array,
    int32: Int32Array,
    int16: Int16Array,
    int8: Int8Array,
  }
  return new (make[dtype.name] ?? Uint8Array)(n)
}

/** Fills an array; `contiguous` says whether it stands for a contiguous tensor. A compiled function keeps it: it holds no tensor. */
type Draw = (out: DrawArray, contiguous: boolean) => void

/** Fills `x` by `draw`, in the order of its memory, without recording or counting the change. */
export function fillDraws(x: Tensor, draw: Draw, order: readonly number[] | null = null): Tensor {
  if (x.count === 0) {
    draw(drawArray(x.dtype, 0), true)
    return x
  }
  if (x.contiguousLayout && !isNarrow(x.dtype) && !order) {
    onHost('draw', [x], 'w', (raw) => draw(raw as DrawArray, true))
    return x
  }
  const { dtype, count, contiguousLayout } = x
  const target = order ? walked(x, order) : x.contiguousLayout ? x : walked(x, walkOrder(x.sizes, [x.strides]))
  const packed = empty(target.sizes, x.dtype)
  onHost('draw', [packed], 'w', (elements) => {
    const values = drawArray(dtype, count)
    draw(values, contiguousLayout)
    const raw = elements as Float32Array
    if (isNarrow(dtype)) for (let i = 0; i < values.length; i++) raw[i] = encode(dtype, values[i]) as number
    else raw.set(values as Float32Array)
  })
  copyValues(packed, target)
  return x
}

/** Throws NotImplementedError, naming PyTorch's kernel, unless `dtype` is a float. */
export function requireFloat(kernel: string, dtype: DType): void {
  if (!dtype.isFloatingPoint) throw new NotImplementedError(`"${kernel}" not implemented for '${dtype.title}'`)
}

/** Counts the change of `x` and cuts its history: what is drawn does not depend on what was there. */
export function redraw(x: Tensor, name: string, draw: (x: Tensor) => void): Tensor {
  const recorded = isGradEnabled() && requiresGrad(x)
  const before = recorded ? snapshot(x) : x
  changeInPlace(x)
  draw(x)
  return recorded ? record(x, name, [before], [], (g) => [g.newZeros(g.sizes)]) : x
}

/** Sets every element of `x` to a uniform number in [from, to). */
export function drawUniform(x: Tensor, g: Generator, from = 0, to = 1): Tensor {
  if (x.dtype.isComplex) {
    drawUniform(partsOf(x), g, from, to)
    return x
  }
  requireFloat('check_uniform_bounds', x.dtype)
  const round = rounding(x.dtype)
  return fillDraws(x, (out) => {
    if (round || !device().draws?.uniform(g, out, from, to)) uniformFill(g, out as Float32Array, from, to, round)
  })
}

/** Sets every element of `x` to a normal number. */
export function drawNormal(x: Tensor, g: Generator, mean = 0, std = 1): Tensor {
  if (x.dtype.isComplex) {
    // The variance is that of the number, half of it in each part; the mean is real.
    drawNormal(partsOf(x), g, 0, std * Math.SQRT1_2)
    if (mean !== 0) copyValues(x.detach().add(mean), x)
    return x
  }
  requireFloat('normal_kernel_cpu', x.dtype)
  const narrow = isNarrow(x.dtype)
  return fillDraws(x, (out, contiguous) => {
    const floats = out as Float32Array
    if (contiguous) {
      if (!device().draws?.normal(g, out, mean, std, narrow)) normalFill(g, floats, mean, std, narrow)
    }
    // PyTorch draws a tensor that is not contiguous one by one, as it draws the smallest.
    else for (let i = 0; i < floats.length; i += 15) normalFill(g, floats.subarray(i, i + 15), mean, std)
  })
}

/** The C++ names of dtypes, which some of PyTorch's messages use. */
export const C_NAMES: Partial<Record<string, string>> = {
  bool: 'bool',
  uint8: 'unsigned char',
  int8: 'signed char',
  int16: 'short',
  int32: 'int',
  int64: 'long',
}

function checkBound(what: string, value: number | bigint, dtype: DType): void {
  if (dtype.isFloatingPoint) return
  const bits = 8n * BigInt(dtype.itemsize) - (dtype.isSigned ? 1n : 0n)
  const most = dtype === bool ? 1n : (1n << bits) - 1n
  const least = dtype.isSigned ? -most - 1n : 0n
  const v = BigInt(value)
  if (v < least || v > most) throw new RuntimeError(`${what} is out of bounds for ${C_NAMES[dtype.name]}`)
}

/** What the engine has to know of dtypes that their arrays don't say. */
export const randomType = (dtype: DType): RandomType | undefined =>
  dtype === bool ? 'bool' : dtype === float16 ? 'float16' : dtype === bfloat16 ? 'bfloat16' : undefined

/** Sets every element of `x` to an integer in [low, high). Throws RuntimeError for bounds the dtype does not hold. */
export function drawIntegers(x: Tensor, g: Generator, low: number | bigint, high: number | bigint): Tensor {
  if (low >= high)
    throw new RuntimeError(`random_ expects 'from' to be less than 'to', but got from=${low} >= to=${high}`)
  checkBound('from', low, x.dtype)
  checkBound('to - 1', BigInt(high) - 1n, x.dtype)
  const type = randomType(x.dtype)
  return fillDraws(x, (out) => {
    // Floats may move the bounds; what they move is plain work.
    const whole =
      !type && (!x.dtype.isFloatingPoint || Math.max(Math.abs(Number(low)), Math.abs(Number(high))) < 2 ** 24)
    if (!whole || !device().draws?.modulo(g, out, Number(BigInt(high) - BigInt(low)), low))
      randintFill(g, out, low, high, type)
  })
}

/** Ones with probability `p`, in order. */
export function fillBernoulli(g: Generator, out: DrawArray, p: number): void {
  if (!device().draws?.bernoulli(g, out, p)) bernoulliFill(g, out, p)
}

function valid(chances: Float32Array): boolean {
  for (let i = 0; i < chances.length; i++) if (!(chances[i] >= 0 && chances[i] <= 1)) return false
  return true
}

/** Ones by a tensor of probabilities of `x`'s sizes. */
export function drawBernoulli(x: Tensor, p: Tensor, g: Generator): Tensor {
  requireFloat('bernoulli_tensor_cpu_p_', p.dtype)
  const order = walkOrder(x.sizes, [x.strides, p.strides])
  const chances = walked(p, order)
  const packed = empty(chances.sizes, p.dtype === float64 ? float64 : float32)
  copyValues(chances, packed)
  const target = walked(x, order)
  const drawn = target.contiguousLayout && !isNarrow(x.dtype) ? target : empty(target.sizes, x.dtype)
  onHost('bernoulli', [packed, drawn], 'rw', (chances, elements) => {
    const list = chances as Float32Array
    const raw = elements as DrawArray
    if (!isNarrow(x.dtype)) {
      if (!valid(list) || !device().draws?.chances(g, raw, list)) bernoulliTensorFill(g, raw, list)
      return
    }
    const values = drawArray(x.dtype, list.length)
    bernoulliTensorFill(g, values, list)
    for (let i = 0; i < values.length; i++) (raw as Float32Array)[i] = encode(x.dtype, values[i]) as number
  })
  if (drawn !== target) copyValues(drawn, target)
  return x
}
