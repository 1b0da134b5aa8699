// Variances, norms, log-sum-exp, and comparisons of whole tensors.
import { bool, type DType, getDefaultDtype } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDims } from '../base/shape.ts'
import { acc, k, load, other, result, scalar } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import { type Args, op } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { checkTensor, type Dim, kernelFor, reduce, spread, zero } from '../tensor/reduce.ts'
import { Tensor } from '../tensor/tensor.ts'
import { div, mul, pow, sub } from './arithmetic.ts'
import { eq, ne } from './compare.ts'
import { amax, amin } from './extreme.ts'
import { all, mean, sum } from './reduce.ts'
import { linalgSvdvals } from './spectrum.ts'
import { abs } from './unary.ts'

const float = (dtype: DType): DType => (dtype.isFloatingPoint ? dtype : getDefaultDtype())

interface VarianceOptions {
  readonly dim?: Dim
  readonly correction?: number
  readonly keepdim?: boolean
  readonly unbiased?: boolean
  readonly out?: Tensor
}

const varianceKernels: (Kernel | undefined)[] = []

/** Two passes over each row: its mean, then the squared distances from it. */
function varianceKernel(dtype: DType): Kernel {
  let kernel = varianceKernels[dtype.index]
  if (!kernel) {
    const type = 'f64' // as PyTorch's: squares of a long float32 row lose three digits otherwise
    const [n, divisor] = [scalar(0, type), scalar(1, type)]
    const x = k.cast(load(0, dtype.compute), type)
    const distance = k.sub(x, k.div(result(0, 0, type), n))
    kernel = {
      name: 'var',
      args: [
        { dtype, mode: 'read', per: 'element' },
        { dtype, mode: 'write', per: 'row' },
      ],
      scalars: [type, type],
      passes: [
        {
          kind: 'reduce',
          init: [zero(type)],
          step: [k.add(acc(0, type), x)],
          merge: [k.add(acc(0, type), other(0, type))],
        },
        {
          kind: 'reduce',
          init: [zero(type)],
          step: [k.madd(distance, distance, acc(0, type))],
          merge: [k.add(acc(0, type), other(0, type))],
        },
      ],
      rowStores: [{ arg: 1, value: k.cast(k.div(result(1, 0, type), divisor), dtype.compute) }],
    }
    varianceKernels[dtype.index] = kernel
  }
  return kernel
}

type Variance = (x: Tensor, ...args: Args<[dim?: Dim | boolean, keepdim?: boolean], VarianceOptions>) => Tensor

/** The variance over `dim`, divided by n - correction (1 by default). */
export const variance: Variance = op({
  name: 'var',
  signature: 'input, dim, unbiased, keepdim, *, correction',
  samples: (t) => [[t(3, 4)], [t(3, 4), 0], [t(3, 4), 1, { keepdim: true, correction: 0 }], [t(2, 3, 4), [0, 2]]],
  differentiable: true,
  forward: (x: Tensor, dim?: Dim | boolean, unbiased?: boolean, keepdim = false, correction?: number) => {
    if (!x.dtype.isFloatingPoint) {
      throw new RuntimeError('std and var only support floating point and complex dtypes')
    }
    const dims = typeof dim === 'boolean' ? null : (dim ?? null)
    const less = correction ?? ((typeof dim === 'boolean' ? dim : (unbiased ?? true)) ? 1 : 0)
    const n = numelOf(wrapDims(dims, x.ndim).map((d) => x.sizes[d]))
    const divisor = Math.max(n - less, 0)
    const [out] = reduce(x, dims, keepdim, varianceKernel(x.dtype), [n, divisor])
    return record(out, 'VarBackward0', [x], [x], (g, [input]) => [
      mul(mul(spread(g, input.sizes, dims, keepdim), sub(input, mean(input, dims, true))), 2 / divisor),
    ])
  },
})

/** The standard deviation over `dim`: the square root of `var`. */
export const std: Variance = op({
  name: 'std',
  signature: 'input, dim, unbiased, keepdim, *, correction',
  node: 'StdBackward0',
  samples: (t) => [[t(3, 4)], [t(3, 4), 1, { keepdim: true }]],
  differentiable: true,
  forward: (x: Tensor, dim?: Dim | boolean, unbiased?: boolean, keepdim?: boolean, correction?: number) => {
    const options = Object.fromEntries(
      Object.entries({ unbiased, keepdim, correction }).filter(([, v]) => v !== undefined),
    )
    return variance(x, dim ?? null, options as VarianceOptions).sqrt()
  },
})

type Order = number | 'fro' | 'nuc' | 'inf' | '-inf'

interface NormOptions {
  readonly p?: Order
  readonly dim?: Dim
  readonly keepdim?: boolean
  readonly dtype?: DType
}

/** The p-norm of the elements over `dim` (all by default): (sum |x|^p)^(1/p). */
export const norm: (x: Tensor, ...args: Args<[p?: Order, dim?: Dim, keepdim?: boolean], NormOptions>) => Tensor = op({
  name: 'norm',
  signature: 'input, p, dim, keepdim, *, dtype',
  node: (_x, p) => (p === 'nuc' ? undefined : 'LinalgVectorNormBackward0'),
  samples: (t) => [[t(3, 4)], [t(3, 4), 1], [t(3, 4), 3, 1], [t(3, 4), 2, 0, true]],
  differentiable: true,
  forward: (x: Tensor, p: Order = 'fro', dim?: Dim, keepdim = false, dtype?: DType) => {
    if (!x.dtype.isFloatingPoint && !dtype) {
      throw new RuntimeError(
        `linalg.vector_norm: Expected a floating point or complex tensor as input. Got ${x.dtype.title}`,
      )
    }
    const source = x.to(dtype ?? float(x.dtype))
    const d = dim ?? null
    if (p === 'nuc') {
      const pair = d === null ? [-2, -1] : typeof d === 'number' ? [d] : d
      if (pair.length !== 2) throw new RuntimeError(`linalg.matrix_norm: dim must be a 2-tuple. Got ${pair.join(', ')}`)
      const total = sum(linalgSvdvals(source.movedim(pair, [-2, -1])), -1)
      const [first, second] = wrapDims(pair, x.ndim).sort((a, b) => a - b)
      return keepdim ? total.unsqueeze(first).unsqueeze(second) : total
    }
    const order = p === 'fro' ? 2 : p === 'inf' ? Number.POSITIVE_INFINITY : p === '-inf' ? Number.NEGATIVE_INFINITY : p
    if (order === Number.POSITIVE_INFINITY) return amax(abs(source), d, keepdim)
    if (order === Number.NEGATIVE_INFINITY) return amin(abs(source), d, keepdim)
    if (order === 0) return counted(source, d, keepdim)
    if (order === 1) return sum(abs(source), d, keepdim)
    return order === 2 ? euclidean(source, d, keepdim) : powered(source, order, d, keepdim)
  },
})

/** How many elements are not 0, in the dtype of `x`: it has a node, of which there is no gradient. */
function counted(x: Tensor, dim: Dim, keepdim: boolean): Tensor {
  const out = ne(x.detach(), 0).to(x.dtype).sum(dim, keepdim)
  return record(out, 'LinalgVectorNormBackward0', [x], [], () => [null])
}

/** (sum |x|^p)^(1/p), with a zero gradient where the norm is zero, and below p = 1 where an element is. */
function powered(x: Tensor, p: number, dim: Dim, keepdim: boolean): Tensor {
  const out = noGrad(() => pow(sum(pow(abs(x), p), dim, keepdim), 1 / p))
  return record(out, 'LinalgVectorNormBackward0', [x], [x, out], (g, [input, length]) => {
    const whole = spread(length, input.sizes, dim, keepdim)
    const back = spread(g, input.sizes, dim, keepdim)
    const own = mul(input.sgn(), pow(abs(input), p - 1))
    if (p < 1) return [mul(mul(own.maskedFill(eq(input, 0), 0), back), pow(whole, 1 - p))]
    return [mul(own, div(back, pow(whole, p - 1)).maskedFill(eq(whole, 0), 0))]
  })
}

/** sqrt(sum x^2), with a zero gradient where the norm is zero. */
function euclidean(x: Tensor, dim: Dim, keepdim: boolean): Tensor {
  const type = x.dtype.compute
  const kernel = kernelFor('norm2', x.dtype, [x.dtype], [], () => ({
    init: [zero(type)],
    step: ([a], e) => [k.madd(e, e, a)],
    merge: ([a], [b]) => [k.add(a, b)],
    finish: ([a]) => [k.sqrt(a)],
  }))
  const [out] = reduce(x, dim, keepdim, kernel)
  return record(out, 'LinalgVectorNormBackward0', [x], [x, out], (g, [input, length]) => {
    const whole = spread(length, input.sizes, dim, keepdim)
    return [mul(spread(g, input.sizes, dim, keepdim), div(input, whole).maskedFill(eq(whole, 0), 0))]
  })
}

/** log(sum exp(x)) over `dim`, computed from the largest element. */
export const logsumexp: (
  x: Tensor,
  dim: number | Sizes,
  ...args: Args<[keepdim?: boolean], { keepdim?: boolean }>
) => Tensor = op({
  name: 'logsumexp',
  signature: 'input, dim, keepdim',
  node: 'LogsumexpBackward0',
  samples: (t) => [
    [t(3, 4), 0],
    [t(3, 4), [0, 1], true],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number | Sizes, keepdim = false) => {
    const source = x.to(float(x.dtype))
    // The sum of nothing is 0, of which the logarithm needs no largest element.
    if (x.count === 0) return sum(source.exp(), dim, keepdim).log()
    const most = amax(source.detach(), dim, true)
    const shift = most.maskedFill(eq(abs(most), Number.POSITIVE_INFINITY), 0)
    const total = sum(sub(source, shift).exp(), dim, keepdim).log()
    return total.add(keepdim ? shift : shift.reshape(total.sizes))
  },
})

/** True if both have equal sizes and elements; NaN equals nothing. Answers a boolean. */
export function equal(x: Tensor, other: Tensor): boolean {
  if (x.sizes.length !== other.sizes.length || x.sizes.some((n, i) => n !== other.sizes[i])) return false
  return all(eq(x, other)).item<boolean>()
}

interface CloseOptions {
  readonly rtol?: number
  readonly atol?: number
  readonly equalNan?: boolean
}

/**
 * Where |x - other| <= atol + rtol * |other|: bool, with atol 1e-8 and rtol 1e-5; NaN is close to NaN for `equalNan`
 * alone.
 */
export function isclose(x: Tensor, other: Tensor, options: CloseOptions = {}): Tensor {
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options
  checkTensor('isclose', x)
  if (!(other instanceof Tensor))
    throw new TypeError(`isclose(): argument 'other' (position 2) must be Tensor, not ${typeof other}`)
  if (rtol < 0) throw new RuntimeError(`rtol must be greater than or equal to zero, but got ${rtol}`)
  if (atol < 0) throw new RuntimeError(`atol must be greater than or equal to zero, but got ${atol}`)
  if (x.dtype === bool && other.dtype === bool) return eq(x, other)
  const near = sub(x, other).abs().le(other.abs().mul(rtol).add(atol))
  const close = near.logicalAnd(other.isfinite()).logicalOr(eq(x, other))
  return equalNan ? close.logicalOr(x.isnan().logicalAnd(other.isnan())) : close
}

/** True if all elements are close, by `isclose`. */
export function allclose(x: Tensor, other: Tensor, options: CloseOptions = {}): boolean {
  return all(isclose(x, other, options)).item<boolean>()
}
