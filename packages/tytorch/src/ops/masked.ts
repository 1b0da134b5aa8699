// torch.masked: reductions, running totals and normalisations of the elements that a mask lets through, written as the plain
// op on the input with the op's neutral element elsewhere (https://docs.pytorch.org/docs/stable/masked.html).
import { type DType, float32, getDefaultDtype, int64 } from '../base/dtype.ts'
import { IndexError, ValueError } from '../base/errors.ts'
import { wrapDims } from '../base/shape.ts'
import { type Args, type OpRecordOf, op, type Sampler } from '../tensor/define.ts'
import type { Dim } from '../tensor/reduce.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { logSoftmax as logSoftmaxOf, softmax as softmaxOf, softmin as softminOf } from './activation.ts'
import { div, sub } from './arithmetic.ts'
import { maximum } from './compare.ts'
import { tensor } from './create.ts'
import { logaddexp as logaddexpOf } from './elementary.ts'
import { amax as amaxOf, amin as aminOf, argmax as argmaxOf, argmin as argminOf } from './extreme.ts'
import { iinfo } from './info.ts'
import { where } from './masks.ts'
import { prod as prodOf, sum as sumOf } from './reduce.ts'
import { cumprod as cumprodOf, cumsum as cumsumOf } from './scan.ts'
import { nanmedian } from './sort.ts'
import { logsumexp as logsumexpOf, norm as normOf } from './statistics.ts'
import { broadcastTo } from './view.ts'

interface MaskOptions {
  /** The dtype of the result; the input's by default (int64 for sums and products of smaller integers). */
  readonly dtype?: DType | undefined
  /** True where an element counts; bool, broadcast to the input. All count by default. */
  readonly mask?: Tensor | undefined
}

interface ReductionOptions extends MaskOptions {
  readonly dim?: Dim
  readonly keepdim?: boolean
}

type MaskedReduction = (x: Tensor, ...args: Args<[dim?: Dim], ReductionOptions>) => Tensor
type MaskedAlong = (x: Tensor, ...args: Args<[dim: number], MaskOptions & { dim?: number }>) => Tensor

/** Neutral elements that depend on the dtype. */
const lowest = (dtype: DType): number | bigint => (dtype.isFloatingPoint ? Number.NEGATIVE_INFINITY : iinfo(dtype).min)
const highest = (dtype: DType): number | bigint => (dtype.isFloatingPoint ? Number.POSITIVE_INFINITY : iinfo(dtype).max)

/** The mask in the input's shape. Throws IndexError if it has more dimensions. */
function fitted(x: Tensor, mask: Tensor): Tensor {
  if (mask.ndim > x.ndim)
    throw new IndexError('_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)')
  return broadcastTo(mask, x.sizes).bool()
}

/** The input with `neutral` where the mask is false. */
function combined(x: Tensor, mask: Tensor | undefined, neutral: number | bigint): Tensor {
  return mask ? where(fitted(x, mask), x, tensor(neutral, { dtype: x.dtype })) : x
}

const everywhere = (x: Tensor, dim: Dim | undefined): number[] =>
  [...wrapDims(Array.isArray(dim) && dim.length === 0 ? null : (dim ?? null), x.ndim)].sort((a, b) => a - b)

/** A mask for samples of [3, 4] that leaves something in every row and column. */
const sampleMask = (): Tensor =>
  tensor([
    [true, false, true, true],
    [true, true, false, true],
    [false, true, true, true],
  ])

type Forward = OpRecordOf<(...args: never[]) => Tensor>['forward']

function masked<F extends (...args: never[]) => unknown>(
  name: string,
  python: string,
  signature: string,
  samples: (t: Sampler) => readonly (readonly unknown[])[],
  forward: Forward,
  differentiable = true,
): F {
  return op({
    name: `masked${name[0].toUpperCase()}${name.slice(1)}`,
    python: `masked.${python}`,
    signature,
    samples,
    differentiable,
    forward,
  }) as unknown as F
}

function reduction(
  name: string,
  forward: (x: Tensor, dims: number[], keepdim: boolean, dtype: DType | undefined, mask: Tensor | undefined) => Tensor,
): MaskedReduction {
  return masked(
    name,
    name,
    'input, dim, *, keepdim, dtype, mask',
    (t) => [[t(3, 4)], [t(3, 4), 0, { mask: sampleMask() }], [t(3, 4), [0, 1], { keepdim: true, mask: sampleMask() }]],
    (x: Tensor, dim?: Dim, keepdim = false, dtype?: DType, mask?: Tensor) =>
      forward(x, everywhere(x, dim), keepdim, dtype, mask),
  )
}

/** The dtype in which integers are summed. */
const totalDtype = (x: Tensor): DType => (x.dtype.isFloatingPoint ? x.dtype : int64)

/** The sum of the elements that count; 0 where none does. */
export const sum: MaskedReduction = reduction('sum', (x, dims, keepdim, dtype, mask) =>
  sumOf(combined(x, mask, 0), dims, keepdim, { dtype: dtype ?? totalDtype(x) }),
)

/** The product of the elements that count; 1 where none does. */
export const prod: MaskedReduction = reduction('prod', (x, dims, keepdim, dtype, mask) =>
  dims.reduceRight((out, d) => prodOf(out, d, keepdim), combined(x, mask, 1).to(dtype ?? totalDtype(x))),
)

/** The largest element that counts; -inf (or the smallest integer) where none does. */
export const amax: MaskedReduction = reduction('amax', (x, dims, keepdim, dtype, mask) =>
  amaxOf(combined(x, mask, lowest(x.dtype)), dims, keepdim).to(dtype ?? x.dtype),
)

/** The smallest element that counts; inf (or the largest integer) where none does. */
export const amin: MaskedReduction = reduction('amin', (x, dims, keepdim, dtype, mask) =>
  aminOf(combined(x, mask, highest(x.dtype)), dims, keepdim).to(dtype ?? x.dtype),
)

/** How many elements count along `dims`, as int64. */
function countOf(x: Tensor, dims: number[], keepdim: boolean, mask: Tensor | undefined): Tensor {
  return sumOf(mask ? fitted(x, mask) : x.onesLike().bool(), dims, keepdim)
}

/** The mean of the elements that count; NaN where none does. Throws ValueError for integers without a dtype. */
export const mean: MaskedReduction = reduction('mean', (x, dims, keepdim, dtype, mask) => {
  const to = dtype ?? x.dtype
  if (!to.isFloatingPoint) {
    throw new ValueError(
      `mean(): Could not infer output dtype. ${dtype ? 'Optional' : 'Input'} dtype must be either a floating point or complex dtype. Got: ${to}`,
    )
  }
  return div(sum(x, dims, { keepdim, dtype: to, mask }), countOf(x, dims, keepdim, mask))
})

/** log(sum exp(x)) of the elements that count. */
export const logsumexp: MaskedReduction = reduction('logsumexp', (x, dims, keepdim, dtype, mask) =>
  logsumexpOf(combined(x, mask, lowest(x.dtype)), dims, keepdim).to(dtype ?? x.dtype),
)

interface VarianceOptions extends ReductionOptions {
  readonly unbiased?: boolean
  readonly correction?: number
}
type MaskedVariance = (x: Tensor, ...args: Args<[dim?: Dim, unbiased?: boolean], VarianceOptions>) => Tensor

function spread(name: 'var' | 'std'): MaskedVariance {
  return masked(
    name,
    name,
    'input, dim, unbiased, *, correction, keepdim, dtype, mask',
    (t) => [
      [t(3, 4), 1],
      [t(3, 4), 0, false, { mask: sampleMask() }],
      [t(3, 4), [0, 1], { correction: 0.5, keepdim: true }],
    ],
    (x: Tensor, dim?: Dim, unbiased?: boolean, correction?: number, keepdim = false, dtype?: DType, mask?: Tensor) => {
      if (unbiased !== undefined && correction !== undefined)
        throw new ValueError(`masked.${name}(): only one of unbiased and correction may be given`)
      const dims = everywhere(x, dim)
      const to = dtype ?? (x.dtype.isFloatingPoint ? x.dtype : float32)
      const wide = to.isFloatingPoint ? to : float32
      const count = countOf(x, dims, true, mask)
      const distance = sub(x, div(sum(x, dims, { keepdim: true, dtype: to, mask }), count))
      const total = sum(distance.mul(distance), dims, { keepdim, dtype: wide, mask })
      const less = correction ?? ((unbiased ?? true) ? 1 : 0)
      const divisor = count.reshape(total.sizes).to(wide).sub(less).clamp({ min: 0 })
      const out = div(total, divisor).to(to)
      return name === 'std' ? out.sqrt() : out
    },
  )
}

/** The variance of the elements that count, divided by their number less `correction` (1); NaN where there are too few. */
const variance: MaskedVariance = spread('var')

export { variance as var }
/** The standard deviation of the elements that count. */
export const std: MaskedVariance = spread('std')

type MaskedPosition = (
  x: Tensor,
  ...args: Args<[dim?: number | null], MaskOptions & { dim?: number | null; keepdim?: boolean }>
) => Tensor

function position(name: 'argmax' | 'argmin'): MaskedPosition {
  return masked(
    name,
    name,
    'input, dim, *, keepdim, dtype, mask',
    (t) => [[t(3, 4)], [t(3, 4), 1, { mask: sampleMask() }]],
    (x: Tensor, dim: number | null = null, keepdim = false, dtype?: DType, mask?: Tensor) => {
      const [find, neutral] = name === 'argmax' ? [argmaxOf, lowest] : [argminOf, highest]
      return find(combined(x, mask, neutral(x.dtype)), dim, keepdim).to(dtype ?? x.dtype)
    },
    false,
  )
}

/** The position of the largest element that counts, in the input's dtype as PyTorch answers it. */
export const argmax: MaskedPosition = position('argmax')
/** The position of the smallest element that counts, in the input's dtype as PyTorch answers it. */
export const argmin: MaskedPosition = position('argmin')

type MaskedMedian = (
  x: Tensor,
  ...args: Args<[dim?: number], MaskOptions & { dim?: number; keepdim?: boolean }>
) => Tensor

/** The (lower) median along `dim` (the last) of the elements that count. Throws ValueError if an integer row has none. */
export const median: MaskedMedian = masked(
  'median',
  'median',
  'input, dim, *, keepdim, dtype, mask',
  (t) => [
    [t(3, 4), 1, { mask: sampleMask() }],
    [t(3, 4), 0, { keepdim: true }],
  ],
  (x: Tensor, dim = -1, keepdim = false, dtype?: DType, mask?: Tensor) => {
    const exact = x.dtype.isFloatingPoint
    const source = exact ? x : x.to(getDefaultDtype())
    const out = nanmedian(combined(source, mask, Number.NaN), dim, keepdim).values
    if (exact) return out
    if (out.isnan().any().item<boolean>())
      throw new ValueError('masked median expects no fully masked out rows if dtype is not floating point')
    return out.to(dtype ?? x.dtype)
  },
)

type MaskedNorm = (x: Tensor, ...args: Args<[ord?: number, dim?: Dim], ReductionOptions & { ord?: number }>) => Tensor

/** The vector norm of order `ord` (2) of the elements that count. */
export const norm: MaskedNorm = masked(
  'norm',
  'norm',
  'input, ord, dim, *, keepdim, dtype, mask',
  (t) => [
    [t(3, 4), 2, 1, { mask: sampleMask() }],
    [t(3, 4), 1, 0],
    [t(3, 4), 3, [0, 1], { keepdim: true }],
  ],
  (x: Tensor, ord = 2, dim?: Dim, keepdim = false, dtype?: DType, mask?: Tensor) => {
    const neutral = ord === Number.NEGATIVE_INFINITY ? Number.POSITIVE_INFINITY : 0
    return normOf(combined(x, mask, neutral), ord, everywhere(x, dim), keepdim, { dtype: dtype ?? x.dtype })
  },
)

function along(
  name: string,
  python: string,
  forward: (x: Tensor, dim: number, dtype: DType, mask: Tensor | undefined) => Tensor,
  mask: () => Tensor = sampleMask,
): MaskedAlong {
  return masked(
    name,
    python,
    'input, dim, *, dtype, mask',
    (t) => [
      [t(3, 4), 1, { mask: mask() }],
      [t(3, 4), 0],
    ],
    (x: Tensor, dim: number, dtype?: DType, mask?: Tensor) => forward(x, dim, dtype ?? x.dtype, mask),
  )
}

/** Running sums along `dim` in which masked elements count as 0. */
export const cumsum: MaskedAlong = along('cumsum', 'cumsum', (x, dim, dtype, mask) =>
  cumsumOf(combined(x, mask, 0), dim, { dtype }),
)
/** Running products along `dim` in which masked elements count as 1. */
export const cumprod: MaskedAlong = along('cumprod', 'cumprod', (x, dim, dtype, mask) =>
  cumprodOf(combined(x, mask, 1), dim, { dtype }),
)
/** Softmax along `dim` of the elements that count; 0 elsewhere, NaN where none counts. */
export const softmax: MaskedAlong = along('softmax', 'softmax', (x, dim, dtype, mask) =>
  softmaxOf(combined(x, mask, lowest(x.dtype)), dim, { dtype }),
)
/** The logarithm of `softmax`. */
export const logSoftmax: MaskedAlong = along(
  'logSoftmax',
  'log_softmax',
  (x, dim, dtype, mask) => logSoftmaxOf(combined(x, mask, lowest(x.dtype)), dim, { dtype }),
  () => tensor(true), // what is masked is -inf, of which there are no finite differences
)
/** Softmax of the negated elements that count. */
export const softmin: MaskedAlong = along('softmin', 'softmin', (x, dim, dtype, mask) =>
  softminOf(combined(x, mask, highest(x.dtype)), dim, { dtype }),
)

type MaskedNormalize = (
  x: Tensor,
  ord: number,
  ...args: Args<[dim: number], MaskOptions & { dim?: number; eps?: number }>
) => Tensor

/** x / max(norm(x, ord), eps) along `dim`, of the elements that count; 0 elsewhere. */
export const normalize: MaskedNormalize = masked(
  'normalize',
  'normalize',
  'input, ord, dim, *, eps, dtype, mask',
  (t) => [
    [t(3, 4), 2, 1, { mask: sampleMask() }],
    [t(3, 4), 1, 0],
  ],
  (x: Tensor, ord: number, dim: number, eps = 1e-12, dtype?: DType, mask?: Tensor) => {
    const length = norm(x, ord, dim, { keepdim: true, dtype: dtype ?? x.dtype, mask })
    return div(combined(x, mask, 0), maximum(length, length.newFull([], eps)))
  },
)

interface LogAddOptions {
  readonly dtype?: DType | undefined
  readonly inputMask?: Tensor | undefined
  readonly otherMask?: Tensor | undefined
}
/** log(exp(x) + exp(other)) of the elements that count; -inf where neither does. */
export const logaddexp: (x: Tensor, other: Tensor, options?: LogAddOptions) => Tensor = masked(
  'logaddexp',
  'logaddexp',
  'input, other, *, dtype, input_mask, other_mask',
  (t) => [[t(3, 4), t(3, 4)]],
  (x: Tensor, other: Tensor, dtype?: DType, inputMask?: Tensor, otherMask?: Tensor) =>
    logaddexpOf(combined(x, inputMask, lowest(x.dtype)), combined(other, otherMask, lowest(other.dtype))).to(
      dtype ?? x.dtype,
    ),
)
