// Reductions: sums, means, products, extremes and their positions, tests, variances and norms.
import { bool, type ComputeType, type DType, getDefaultDtype, int64, uint8 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDim, wrapDims } from '../base/shape.ts'
import { acc, constant, type Expr, k, load, other, position, result, scalar } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import { type Args, op, shapeOf, sizesOf } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import { type Dim, type Fold, reduce, reducedSizes, reduceKernel, simpleFold } from '../tensor/reduce.ts'
import { Tensor } from '../tensor/tensor.ts'
import { div, mul, pow, sub } from './arithmetic.ts'
import { eq, ne } from './compare.ts'
import { abs } from './unary.ts'

interface ReduceOptions {
  readonly dim?: Dim
  readonly keepdim?: boolean
  readonly dtype?: DType | null
  readonly out?: Tensor
}
type Reduction = (x: Tensor, ...args: Args<[dim?: Dim, keepdim?: boolean], ReduceOptions>) => Tensor

/** Kernels of one op, by input dtype and by that of the first output. */
const kernels = new Map<string, (Kernel | undefined)[]>()
function kernelFor(
  name: string,
  from: DType,
  to: readonly DType[],
  scalars: Kernel['scalars'],
  fold: () => Fold,
): Kernel {
  let list = kernels.get(name)
  if (!list) {
    list = []
    kernels.set(name, list)
  }
  const at = from.index * 16 + to[0].index
  return (list[at] ??= reduceKernel(name, from, to, scalars, fold()))
}

const zero = (type: ComputeType): Expr => constant(0, type)
const float = (dtype: DType): DType => (dtype.isFloatingPoint ? dtype : getDefaultDtype())

/** `g` of a reduction, seen in the shape of the input. */
function spread(g: Tensor, sizes: Sizes, dim: Dim | undefined, keepdim: boolean): Tensor {
  const dims = wrapDims(dim, sizes.length)
  return (keepdim ? g : g.reshape(reducedSizes(sizes, dims, true))).expand(sizes)
}

/** The sum over `dim` (all by default). Integers and bools sum to int64. */
export const sum: Reduction = op({
  name: 'sum',
  signature: 'input, dim, keepdim, *, dtype',
  samples: (t) => [
    [t(3, 4)],
    [t(3, 4), 0],
    [t(3, 4), -1, true],
    [t(2, 3, 4), [0, 2]],
    [t(2, 3, 4).transpose(0, 2), 1],
    [t()],
    [t(3, 4), { dim: 1, keepdim: true }],
  ],
  differentiable: true,
  forward: (x: Tensor, dim?: Dim, keepdim = false, dtype?: DType | null) => {
    const to = dtype ?? (x.dtype.isFloatingPoint ? x.dtype : int64)
    const kernel = kernelFor('sum', x.dtype, [to], [], () =>
      simpleFold(zero(to.compute), k.add, (e) => k.cast(e, to.compute)),
    )
    const [out] = reduce(x, dim, keepdim, kernel)
    const like = shapeOf(x)
    const name = dim === undefined || dim === null ? 'SumBackward0' : 'SumBackward1'
    return record(out, name, [x], [], (g) => [spread(g, like.sizes, dim, keepdim).to(like.dtype)])
  },
})

/** The mean over `dim` (all by default), of a floating point tensor. */
export const mean: Reduction = op({
  name: 'mean',
  signature: 'input, dim, keepdim, *, dtype',
  samples: (t) => [
    [t(3, 4)],
    [t(3, 4), 0],
    [t(3, 4), -1, true],
    [t(2, 3, 4), [0, 2]],
    [t(2, 3, 4).transpose(0, 2), 1],
    [t()],
    [t(3, 4), { dim: 1, keepdim: true }],
  ],
  differentiable: true,
  forward: (x: Tensor, dim?: Dim, keepdim = false, dtype?: DType | null) => {
    const to = dtype ?? x.dtype
    if (!to.isFloatingPoint) {
      throw new RuntimeError(
        `mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ${to.title}`,
      )
    }
    const n = numelOf(wrapDims(dim, x.ndim).map((d) => x.sizes[d]))
    const type = to.compute
    const kernel = kernelFor('mean', x.dtype, [to], [type], () =>
      simpleFold(
        zero(type),
        k.add,
        (e) => k.cast(e, type),
        (s) => k.div(s, scalar(0, type)),
      ),
    )
    const [out] = reduce(x, dim, keepdim, kernel, [n])
    const like = shapeOf(x)
    const name = dim === undefined || dim === null ? 'MeanBackward0' : 'MeanBackward1'
    return record(out, name, [x], [], (g) => [div(spread(g, like.sizes, dim, keepdim), n).to(like.dtype)])
  },
})

/** Sums `x` down to `sizes`, which broadcast to its sizes: the gradient of broadcasting. */
export const sumToSize: (x: Tensor, ...size: [size: Sizes] | number[]) => Tensor = op({
  name: 'sumToSize',
  signature: 'input, a, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(2, 3, 4), [3, 1]],
    [t(2, 3), 2, 1],
    [t(3), [3]],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const size = sizesOf('sumToSize', given)
    if (size.length === 0) return sum(x)
    const lead = x.ndim - size.length
    const dims = x.sizes.map((_, i) => i).filter((i) => i < lead || (size[i - lead] === 1 && x.sizes[i] !== 1))
    const bad = lead < 0 || size.some((n, i) => n !== x.sizes[i + lead] && n !== 1)
    if (bad) throw new RuntimeError(`size {[${size}]} is not expandable to size {[${x.sizes}]}.`)
    return dims.length === 0 ? x : sum(x, dims, true).view(size)
  },
})

/** The product over `dim` (all by default). */
export const prod: (x: Tensor, ...args: Args<[dim?: number | null, keepdim?: boolean], ReduceOptions>) => Tensor = op({
  name: 'prod',
  signature: 'input, dim, keepdim, *, dtype',
  samples: (t) => [[t(3, 2)], [t(3, 4), 0], [t(3, 4), 1, true]],
  differentiable: true,
  forward: (x: Tensor, dim?: number | null, keepdim = false, dtype?: DType | null) => {
    const to = dtype ?? (x.dtype.isFloatingPoint ? x.dtype : int64)
    const kernel = kernelFor('prod', x.dtype, [to], [], () =>
      simpleFold(constant(1, to.compute), k.mul, (e) => k.cast(e, to.compute)),
    )
    const [out] = reduce(x, dim, keepdim, kernel)
    return record(
      out,
      dim === undefined || dim === null ? 'ProdBackward0' : 'ProdBackward1',
      [x],
      [x, out],
      (g, [input, product]) => [
        prodGradient(spread(g, input.sizes, dim, keepdim), input, spread(product, input.sizes, dim, keepdim), dim),
      ],
    )
  },
})

/** g * product of all others: by division, but where the input is zero by the product of the others itself. */
function prodGradient(g: Tensor, x: Tensor, product: Tensor, dim: number | null | undefined): Tensor {
  const zeros = eq(x, 0)
  if (!zeros.any().item<boolean>()) return mul(g, div(product, x))
  const count = spread(zeros.sum(dim ?? null, true), x.sizes, dim, true)
  const withoutZeros = spread(
    prod(x.maskedFill(zeros, 1), dim ?? null, true).reshape(reducedSizes(x.sizes, wrapDims(dim, x.ndim), true)),
    x.sizes,
    dim,
    true,
  )
  const others = product.where(zeros.logicalNot(), withoutZeros).div(x.maskedFill(zeros, 1))
  // With one zero in a row only that element has a slope, with more none has.
  const live = count.eq(0).logicalOr(zeros.logicalAnd(count.eq(1)))
  return mul(g, others.maskedFill(live.logicalNot(), 0))
}

function lowest(type: ComputeType): Expr {
  if (type === 'i64') return constant(-(2n ** 63n), type)
  return constant(type === 'i32' ? -(2 ** 31) : Number.NEGATIVE_INFINITY, type)
}

function highest(type: ComputeType): Expr {
  if (type === 'i64') return constant(2n ** 63n - 1n, type)
  return constant(type === 'i32' ? 2 ** 31 - 1 : Number.POSITIVE_INFINITY, type)
}

type Pick = 'max' | 'min'
const asNumber = (x: Expr): Expr => (x.type === 'bool' ? k.cast(x, 'i32') : x)
const startOf = (pick: Pick, type: ComputeType): Expr => (pick === 'max' ? lowest(type) : highest(type))

function extremeFold(pick: Pick, dtype: DType): Fold {
  const type = dtype.compute === 'bool' ? 'i32' : dtype.compute
  return simpleFold(startOf(pick, type), (a, b) => k[pick](a, b), asNumber)
}

/** The extreme and the position of its first occurrence; NaN beats everything. */
function positionFold(pick: Pick, dtype: DType): Fold {
  const type = dtype.compute === 'bool' ? 'i32' : dtype.compute
  const nan = (e: Expr): Expr => (type === 'f32' || type === 'f64' ? k.ne(e, e) : constant(false, 'bool'))
  const beats = (a: Expr, b: Expr): Expr => {
    const better = pick === 'max' ? k.gt(a, b) : k.lt(a, b)
    return k.or(better, k.and(nan(a), k.not(nan(b))))
  }
  const ties = (a: Expr, b: Expr): Expr => k.or(k.eq(a, b), k.and(nan(a), nan(b)))
  const join = (a: readonly Expr[], b: readonly Expr[]): Expr[] => {
    const earlier = k.or(k.lt(a[1], constant(0, 'i32')), k.lt(b[1], a[1]))
    const known = k.ge(b[1], constant(0, 'i32'))
    const take = k.and(known, k.or(beats(b[0], a[0]), k.and(ties(b[0], a[0]), earlier)))
    return [k.select(take, b[0], a[0]), k.select(take, b[1], a[1])]
  }
  return {
    init: [startOf(pick, type), constant(-1, 'i32')],
    step: (a, x) => join(a, [asNumber(x), position()]),
    merge: join,
    finish: (a) => a,
  }
}

function checkNotEmpty(name: string, x: Tensor, dim: Dim | undefined): void {
  if (dim === undefined || dim === null) {
    if (x.count === 0)
      throw new RuntimeError(
        `${name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' argument.`,
      )
    return
  }
  for (const d of wrapDims(dim, x.ndim)) {
    if (x.sizes[d] === 0) throw new IndexError(`${name}(): Expected reduction dim ${d} to have non-zero size.`)
  }
}

const extremes = (name: 'amax' | 'amin', pick: Pick): Reduction =>
  op({
    name,
    signature: 'input, dim, keepdim',
    samples: (t) => [[t(3, 4)], [t(3, 4), 0], [t(3, 4), -1, true], [t(2, 3, 4), [0, 2]], [t()]],
    differentiable: true,
    forward: (x: Tensor, dim?: Dim, keepdim = false) => {
      if (x.ndim > 64) throw new RuntimeError('only tensors with up to 64 dims are supported')
      checkNotEmpty(name, x, dim)
      const kernel = kernelFor(name, x.dtype, [x.dtype], [], () => extremeFold(pick, x.dtype))
      const [out] = reduce(x, dim, keepdim, kernel)
      const node = name === 'amax' ? 'AmaxBackward0' : 'AminBackward0'
      return record(out, node, [x], [x, out], (g, [input, best]) => {
        const hits = eq(input, spread(best, input.sizes, dim, keepdim)).to(g.dtype)
        return [div(mul(spread(g, input.sizes, dim, keepdim), hits), hits.sum(dim ?? null, true))]
      })
    },
  })
/** The largest element over `dim`; equal ones share the gradient. */
export const amax = extremes('amax', 'max')
/** The smallest element over `dim`; equal ones share the gradient. */
export const amin = extremes('amin', 'min')

type Position = (
  x: Tensor,
  ...args: Args<[dim?: number | null, keepdim?: boolean], { dim?: number | null; keepdim?: boolean; out?: Tensor }>
) => Tensor

const positions = (name: 'argmax' | 'argmin', pick: Pick): Position =>
  op({
    name,
    signature: 'input, dim, keepdim',
    samples: (t) => [[t(3, 4)], [t(3, 4), 0], [t(3, 4), -1, true], [t()]],
    forward: (x: Tensor, dim?: number | null, keepdim = false) => {
      checkNotEmpty(name, x, dim)
      return extremeWithPosition(x, dim ?? null, keepdim, pick)[1]
    },
  })

function extremeWithPosition(x: Tensor, dim: number | null, keepdim: boolean, pick: Pick): Tensor[] {
  const kernel = kernelFor(`${pick} at`, x.dtype, [x.dtype, int64], [], () => positionFold(pick, x.dtype))
  return reduce(x, dim, keepdim, kernel)
}
/** The position of the first largest element along `dim`, or in the flattened tensor. int64. */
export const argmax = positions('argmax', 'max')
/** The position of the first smallest element along `dim`, or in the flattened tensor. int64. */
export const argmin = positions('argmin', 'min')

/** Values and their positions; also destructures as [values, indices]. */
export interface ValuesIndices extends Iterable<Tensor> {
  readonly values: Tensor
  readonly indices: Tensor
}

/** A named result that destructures as an array. */
export function valuesIndices(values: Tensor, indices: Tensor): ValuesIndices {
  return {
    values,
    indices,
    *[Symbol.iterator]() {
      yield values
      yield indices
    },
  }
}

/** Scatters the gradient of picked values back to where they stood. */
export function pickedGradient(g: Tensor, sizes: Sizes, indices: Tensor, dim: number, keepdim: boolean): Tensor {
  const at = keepdim ? indices : indices.unsqueeze(dim)
  return g.newZeros(sizes).scatter_(dim, at, keepdim ? g : g.unsqueeze(dim))
}

interface Extreme {
  (x: Tensor): Tensor
  (x: Tensor, other: Tensor): Tensor
  (x: Tensor, dim: number, keepdim?: boolean): ValuesIndices
  (x: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices
}
export interface ExtremeMethod {
  (): Tensor
  (other: Tensor): Tensor
  (dim: number, keepdim?: boolean): ValuesIndices
  (options: { dim: number; keepdim?: boolean }): ValuesIndices
}

function checkTensor(name: string, x: unknown): void {
  if (!(x instanceof Tensor)) throw new TypeError(`${name}(): argument 'input' must be Tensor, not ${typeof x}`)
}

const extremeOf = (name: 'max' | 'min'): Extreme =>
  op<(x: Tensor, dim?: number | Tensor, keepdim?: boolean) => Tensor | ValuesIndices>({
    name,
    signature: 'input, dim, keepdim',
    samples: (t) => [[t(3, 4)], [t(3, 4), 0], [t(3, 4), -1, true], [t(3, 4), t(3, 1)]],
    differentiable: true,
    forward: (x: Tensor, dim?: number | Tensor, keepdim = false) => {
      const title = name === 'max' ? 'Max' : 'Min'
      checkTensor(name, x)
      if (dim === undefined) {
        checkNotEmpty(name, x, null)
        const kernel = kernelFor(name === 'max' ? 'amax' : 'amin', x.dtype, [x.dtype], [], () =>
          extremeFold(name, x.dtype),
        )
        const [out] = reduce(x, null, false, kernel)
        return record(out, `${title}Backward1`, [x], [x, out], (g, [input, best]) => {
          const hits = eq(input, best).to(g.dtype)
          return [div(mul(g, hits), hits.sum())]
        })
      }
      if (typeof dim !== 'number') return name === 'max' ? x.maximum(dim) : x.minimum(dim)
      checkNotEmpty(name, x, dim)
      const d = wrapDim(dim, x.ndim)
      const [values, indices] = extremeWithPosition(x, d, keepdim, name)
      const { sizes } = x
      record(values, `${title}Backward0`, [x], [indices], (g, [at]) => [
        sizes.length === 0 ? g : pickedGradient(g, sizes, at, d, keepdim),
      ])
      return valuesIndices(values, indices)
    },
  }) as Extreme
/** The largest element; with `dim`, the largest along it with their positions; with a tensor, the larger of both. */
export const max = extremeOf('max')
/** The smallest element; with `dim`, the smallest along it with their positions; with a tensor, the smaller of both. */
export const min = extremeOf('min')

const tests = (name: 'any' | 'all'): Reduction =>
  op({
    name,
    signature: 'input, dim, keepdim',
    samples: (t) => [[t(3, 4)], [t(3, 4), 0], [t(3, 4), -1, true], [t(0, 3)]],
    forward: (x: Tensor, dim?: Dim, keepdim = false) => {
      const to = x.dtype === uint8 ? uint8 : bool
      const join = name === 'any' ? k.or : k.and
      const kernel = kernelFor(name, x.dtype, [to], [], () =>
        simpleFold(constant(name === 'all', 'bool'), join, (e) => k.cast(e, 'bool')),
      )
      return reduce(x, dim, keepdim, kernel)[0]
    },
  })
/** True where any element along `dim` is not zero. */
export const any = tests('any')
/** True where all elements along `dim` are not zero. */
export const all = tests('all')

/** The number of elements along `dim` that are not zero. int64. */
export const countNonzero: (x: Tensor, ...args: Args<[dim?: Dim], { dim?: Dim }>) => Tensor = op({
  name: 'countNonzero',
  signature: 'input, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), 0]],
  forward: (x: Tensor, dim?: Dim) => sum(ne(x, 0), dim ?? null),
})

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
    const type = dtype.compute
    const [n, divisor] = [scalar(0, type), scalar(1, type)]
    const x = load(0, type)
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
      rowStores: [{ arg: 1, value: k.div(result(1, 0, type), divisor) }],
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
  samples: (t) => [[t(3, 4)], [t(3, 4), 1, { keepdim: true }]],
  differentiable: true,
  forward: (x: Tensor, dim?: Dim | boolean, unbiased?: boolean, keepdim?: boolean, correction?: number) => {
    const options = Object.fromEntries(
      Object.entries({ unbiased, keepdim, correction }).filter(([, v]) => v !== undefined),
    )
    return variance(x, dim ?? null, options as VarianceOptions).sqrt()
  },
})

type Order = number | 'fro' | 'inf' | '-inf'
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
    const order = p === 'fro' ? 2 : p === 'inf' ? Number.POSITIVE_INFINITY : p === '-inf' ? Number.NEGATIVE_INFINITY : p
    if (order === Number.POSITIVE_INFINITY) return amax(abs(source), d, keepdim)
    if (order === Number.NEGATIVE_INFINITY) return amin(abs(source), d, keepdim)
    if (order === 0) return ne(source, 0).to(source.dtype).sum(d, keepdim)
    if (order === 1) return sum(abs(source), d, keepdim)
    return order === 2 ? euclidean(source, d, keepdim) : pow(sum(pow(abs(source), order), d, keepdim), 1 / order)
  },
})

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
  samples: (t) => [
    [t(3, 4), 0],
    [t(3, 4), [0, 1], true],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number | Sizes, keepdim = false) => {
    const source = x.to(float(x.dtype))
    const most = amax(source.detach(), dim, true)
    const shift = most.maskedFill(eq(abs(most), Number.POSITIVE_INFINITY), 0)
    const total = sum(sub(source, shift).exp(), dim, keepdim).log()
    return total.add(keepdim ? shift : shift.reshape(total.sizes))
  },
})

/** True if both have equal sizes and elements. */
export function equal(x: Tensor, other: Tensor): boolean {
  if (x.sizes.length !== other.sizes.length || x.sizes.some((n, i) => n !== other.sizes[i])) return false
  return all(eq(x, other)).item<boolean>()
}

interface CloseOptions {
  readonly rtol?: number
  readonly atol?: number
  readonly equalNan?: boolean
}

/** Where |x - other| <= atol + rtol * |other|. */
export function isclose(x: Tensor, other: Tensor, options: CloseOptions = {}): Tensor {
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options
  checkTensor('isclose', x)
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
