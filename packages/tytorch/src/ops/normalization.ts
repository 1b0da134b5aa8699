// Normalisation over the last dimensions: layer norm and RMS norm, each one row kernel forward, and back one for the
// input and one over columns for the parameters.
import { type DType, float32, float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { empty, emptyLike, type Tensor } from '../tensor/tensor.ts'
import { add, mul, sub } from './arithmetic.ts'
import { contiguous, to } from './copy.ts'
import { zeros } from './create.ts'
import {
  columnKernel,
  LONG,
  launch,
  type Operand,
  rowBackwardKernel,
  rowKernel,
  statisticOf,
} from './normalizationkernels.ts'
import { mean, sum } from './reduce.ts'
import { rsqrt } from './unary.ts'

/** A gradient of what was normalised, and of its factors. */
export interface NormGradients {
  readonly input: Tensor
  readonly weight: Tensor
  readonly bias: Tensor
}

/** How a composite gradient sees a normalised tensor. */
interface Geometry {
  /** Dimensions that share a mean and a variance. */
  readonly dims: readonly number[]
  /** Dimensions that share a weight. */
  readonly shared: readonly number[]
  readonly eps: number
  readonly centered: boolean
}

/** The gradients in tensor ops, for a backward pass that is recorded itself. `weight` broadcasts to `x`. */
export function normGradients(x: Tensor, g: Tensor, weight: Tensor | null, at: Geometry): NormGradients {
  const { dims, shared, eps, centered } = at
  const distance = centered ? sub(x, mean(x, dims, true)) : x
  const rstd = rsqrt(add(mean(mul(distance, distance), dims, true), eps))
  const unit = mul(distance, rstd)
  const scaled = weight ? mul(g, weight) : g
  const slope = mul(unit, mean(mul(scaled, unit), dims, true))
  const flat = centered ? sub(scaled, mean(scaled, dims, true)) : scaled
  return {
    input: mul(rstd, sub(flat, slope)),
    weight: sum(mul(g, unit), shared),
    bias: sum(g, shared),
  }
}

interface Rows {
  readonly rows: number
  readonly n: number
  readonly eps: number
  readonly centered: boolean
}

interface Normalized {
  readonly out: Tensor
  readonly mean: Tensor | null
  readonly rstd: Tensor
}

function normalizeRows(x: Tensor, weight: Tensor | null, bias: Tensor | null, at: Rows): Normalized {
  const { rows, n, eps, centered } = at
  const source = contiguous(x)
  const [w, b] = [weight && contiguous(weight), bias && contiguous(bias)]
  const statistic = statisticOf(x.dtype)
  const out = emptyLike(source)
  const average = centered ? empty([rows], statistic) : null
  const rstd = empty([rows], statistic)
  const step = x.dtype.itemsize
  const element = [0, n * step, step] as const
  const row = [0, statistic.itemsize, 0] as const
  const operands: Operand[] = [[source, element]]
  if (w) operands.push([w, [0, 0, w.dtype.itemsize]])
  if (b) operands.push([b, [0, 0, b.dtype.itemsize]])
  operands.push([out, element])
  if (average) operands.push([average, row])
  operands.push([rstd, row])
  const kernel = rowKernel(x.dtype, w?.dtype ?? null, b?.dtype ?? null, centered, n > LONG)
  launch(kernel, [1, rows, n], operands, [n, eps])
  return { out, mean: average, rstd }
}

/** Rows of which one partial sum of the parameters' gradients is made: few enough that a block stays in the cache. */
const BLOCK = 16

/** Sums over rows of g * (x - mean) * rstd and of g. */
function columnSums(g: Tensor, x: Tensor, saved: Normalized, at: Rows): [Tensor, Tensor] {
  const { rows, n } = at
  const statistic = statisticOf(x.dtype)
  if (rows === 0 || n === 0) return [zeros([n], { dtype: statistic }), zeros([n], { dtype: statistic })]
  const block = rows % BLOCK === 0 && n >= 64 ? BLOCK : rows
  const parts = rows / block
  const slopes = empty([parts, n], statistic)
  const shifts = empty([parts, n], statistic)
  const step = x.dtype.itemsize
  const bytes = statistic.itemsize
  const element = [block * n * step, step, n * step] as const
  const along = [block * bytes, 0, bytes] as const
  const across = [n * bytes, bytes, 0] as const
  const operands: Operand[] = [
    [g, element],
    [x, element],
  ]
  if (saved.mean) operands.push([saved.mean, along])
  operands.push([saved.rstd, along], [slopes, across], [shifts, across])
  launch(columnKernel(x.dtype, at.centered), [parts, n, block], operands)
  return parts === 1 ? [slopes.view(n), shifts.view(n)] : [sum(slopes, 0), sum(shifts, 0)]
}

function inputGradient(g: Tensor, x: Tensor, weight: Tensor | null, saved: Normalized, at: Rows): Tensor {
  const { rows, n, centered } = at
  const out = emptyLike(x)
  const step = x.dtype.itemsize
  const element = [0, n * step, step] as const
  const row = [0, statisticOf(x.dtype).itemsize, 0] as const
  const operands: Operand[] = [
    [g, element],
    [x, element],
  ]
  if (weight) operands.push([weight, [0, 0, weight.dtype.itemsize]])
  if (saved.mean) operands.push([saved.mean, row])
  operands.push([saved.rstd, row], [out, element])
  launch(rowBackwardKernel(x.dtype, weight?.dtype ?? null, centered), [1, rows, n], operands, [n])
  return out
}

/** Gradients of x, weight and bias (those that are there and needed), from what the forward pass kept. */
function backward(
  g: Tensor,
  saved: readonly Tensor[],
  needs: readonly boolean[],
  weighted: boolean,
  biased: boolean,
  at: Rows,
): (Tensor | null)[] {
  const x = saved[0]
  const weight = weighted ? saved[1] : null
  const { rows, n, eps, centered } = at
  const needsWeight = weighted && needs[1]
  const needsBias = biased && needs[weighted ? 2 : 1]
  const shaped = (t: Tensor, like: Tensor): Tensor => to(t.reshape(like.sizes), like.dtype)
  const found: (Tensor | null)[] = []
  if (isGradEnabled()) {
    const seen = { dims: [1], shared: [0], eps, centered }
    const all = normGradients(x.reshape(rows, n), g.reshape(rows, n), weight ? weight.reshape(n) : null, seen)
    found.push(needs[0] ? all.input.reshape(x.sizes) : null)
    if (weighted) found.push(needsWeight ? shaped(all.weight, weight as Tensor) : null)
    if (biased) found.push(needsBias ? all.bias : null)
    return found
  }
  const [source, gradient, w] = [contiguous(x), contiguous(g), weight && contiguous(weight)]
  const first = saved.length - (centered ? 2 : 1)
  const kept: Normalized = { out: x, mean: centered ? saved[first] : null, rstd: saved[saved.length - 1] }
  found.push(needs[0] ? inputGradient(gradient, source, w, kept, at) : null)
  const columns = needsWeight || needsBias ? columnSums(gradient, source, kept, at) : null
  if (weighted) found.push(needsWeight && columns ? shaped(columns[0], weight as Tensor) : null)
  if (biased) found.push(needsBias && columns ? columns[1] : null)
  return found
}

/** Rows of a tensor that is normalised over `shape`, with PyTorch's checks. */
function rowsOf(x: Tensor, shape: Sizes, weight: Tensor | null, bias: Tensor | null, comma = ', '): [number, number] {
  if (shape.length === 0) {
    throw new RuntimeError(
      'Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []',
    )
  }
  const text = shape.join(', ')
  for (const [name, t] of [
    ['weight', weight],
    ['bias', bias],
  ] as const) {
    if (t && t.sizes.join() !== shape.join()) {
      throw new RuntimeError(
        `Expected ${name} to be of same shape as normalized_shape, but got ${name} of shape [${t.sizes.join(', ')}] and normalized_shape = [${text}]`,
      )
    }
  }
  const first = x.ndim - shape.length
  if (first < 0 || shape.some((n, i) => x.sizes[first + i] !== n)) {
    throw new RuntimeError(
      `Given normalized_shape=[${text}], expected input with shape [*${comma}${text}], but got input of size[${x.sizes.join(', ')}]`,
    )
  }
  return [numelOf(x.sizes.slice(0, first)), numelOf(shape)]
}

/** A parameter of a normalisation may be wider than a narrow input, but not otherwise another dtype. */
export function checkMixed(x: Tensor, ...parameters: (Tensor | null)[]): void {
  for (const p of parameters) {
    if (!p || p.dtype === x.dtype) continue
    if (x.dtype === float64) throw new RuntimeError('mixed dtype (CPU): all inputs must share same datatype.')
    if (x.dtype === float32 || p.dtype !== float32) {
      throw new RuntimeError('mixed dtype (CPU): expect parameter to have scalar type of Float')
    }
  }
}

/** One size stands for a list of it. */
const listed = (shape: number | Sizes): Sizes => (typeof shape === 'number' ? [shape] : shape)

function normalizeLayer(
  x: Tensor,
  shape: Sizes,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Normalized & { readonly mean: Tensor; readonly kept: Sizes } {
  const [rows, n] = rowsOf(x, shape, weight, bias)
  if (!x.dtype.isFloatingPoint) {
    throw new NotImplementedError(`"LayerNormKernelImpl" not implemented for '${x.dtype.title}'`)
  }
  checkMixed(x, weight, bias)
  const at: Rows = { rows, n, eps, centered: true }
  const found = normalizeRows(x, weight, bias, at)
  const average = found.mean as Tensor
  const kept = x.sizes.map((size, i) => (i < x.ndim - shape.length ? size : 1))
  return { ...found, mean: average, kept }
}

/** What backward keeps, the inputs in the order of their gradients, and the way back. */
function layerParts(x: Tensor, weight: Tensor | null, bias: Tensor | null, found: Normalized, eps: number) {
  const inputs = [x, ...(weight ? [weight] : []), ...(bias ? [bias] : [])]
  const saved = [x, ...(weight ? [weight] : []), ...(found.mean ? [found.mean] : []), found.rstd]
  const rows = found.rstd.count
  const at: Rows = {
    rows,
    n: rows ? x.count / rows : numelOf(weight?.sizes ?? bias?.sizes ?? [0]),
    eps,
    centered: found.mean !== null,
  }
  const back = (g: Tensor, kept: readonly Tensor[], needs: readonly boolean[]): (Tensor | null)[] => {
    const grads = backward(g, kept, needs, weight !== null, bias !== null, at)
    const last = grads.length - 1
    const own = bias && grads[last]
    if (bias && own) grads[last] = to(own.reshape(bias.sizes), bias.dtype)
    return grads
  }
  return { inputs, saved, back }
}

interface LayerNormOptions {
  /** Of the normalised dimensions' shape. */
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
  /** Added to the variance. */
  readonly eps?: number
}

type LayerNorm = (
  x: Tensor,
  normalizedShape: number | Sizes,
  ...args: Args<[weight?: Tensor | null, bias?: Tensor | null, eps?: number], LayerNormOptions>
) => Tensor

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias, with mean and variance over the last dimensions, whose sizes
 * `normalizedShape` repeats (Ba et al., https://arxiv.org/abs/1607.06450).
 */
export const layerNorm: LayerNorm = op({
  name: 'layerNorm',
  python: 'nn.functional.layer_norm',
  signature: 'input, normalized_shape, weight, bias, eps',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), [4]],
    [t(3, 4), [4], t(4), t(4)],
    [t(2, 3, 4), [3, 4], t(3, 4), null, 0.1],
    [t(3, 5), [5], null, t(5)],
    [t(0, 3), [3], t(3)],
  ],
  forward: (x: Tensor, shape: number | Sizes, weight: Tensor | null = null, bias: Tensor | null = null, eps = 1e-5) => {
    const found = normalizeLayer(x, listed(shape), weight, bias, eps)
    const { inputs, saved, back } = layerParts(x, weight, bias, found, eps)
    return record(found.out, 'NativeLayerNormBackward0', inputs, saved, back)
  },
})

/** Layer norm with the mean and 1 / sqrt(variance + eps) that it used: [out, mean, rstd]. */
export const nativeLayerNorm: (
  x: Tensor,
  normalizedShape: number | Sizes,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
) => [Tensor, Tensor, Tensor] = op({
  name: 'nativeLayerNorm',
  signature: 'input, normalized_shape, weight, bias, eps',
  samples: (t) => [[t(3, 4), [4], t(4), t(4), 1e-5]],
  forward: (x: Tensor, shape: number | Sizes, weight: Tensor | null = null, bias: Tensor | null = null, eps = 1e-5) => {
    const found = normalizeLayer(x, listed(shape), weight, bias, eps)
    const { inputs, saved, back } = layerParts(x, weight, bias, found, eps)
    const dtype = weight?.dtype ?? bias?.dtype ?? x.dtype
    const statistics = [found.mean, found.rstd].map((s) => to(s.view(found.kept), dtype))
    return [record(found.out, 'NativeLayerNormBackward0', inputs, saved, back), ...statistics] as [
      Tensor,
      Tensor,
      Tensor,
    ]
  },
})

interface RmsNormOptions {
  readonly weight?: Tensor | null
  /** Added to the mean square; by default float32's machine epsilon, for float64 its own. */
  readonly eps?: number | null
}

/** Machine epsilon of what `dtype` is computed in. */
const epsilonOf = (dtype: DType): number => (dtype === float64 ? 2 ** -52 : 2 ** -23)

/** x / sqrt(mean(x^2) + eps) * weight over the last dimensions (https://arxiv.org/abs/1910.07467). */
export const rmsNorm: (
  x: Tensor,
  normalizedShape: number | Sizes,
  ...args: Args<[weight?: Tensor | null, eps?: number | null], RmsNormOptions>
) => Tensor = op({
  name: 'rmsNorm',
  python: 'nn.functional.rms_norm',
  signature: 'input, normalized_shape, weight, eps',
  lastNode: 'MulBackward0',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), [4]],
    [t(3, 4), [4], t(4), 0.1],
    [t(2, 3, 4), [3, 4], t(3, 4)],
  ],
  forward: (x: Tensor, shape: number | Sizes, given: Tensor | null = null, eps: number | null = null) => {
    const [rows, n] = rowsOf(x, listed(shape), given, null, '')
    if (!x.dtype.isFloatingPoint) throw new NotImplementedError(`"rms_norm" not implemented for '${x.dtype.title}'`)
    const weight = given && to(given, x.dtype)
    const margin = eps ?? epsilonOf(x.dtype)
    const at: Rows = { rows, n, eps: margin, centered: false }
    const found = normalizeRows(x, weight, null, at)
    const { inputs, saved, back } = layerParts(x, weight, null, found, margin)
    return record(found.out, 'FusedRmsNormBackward0', inputs, saved, back)
  },
})
