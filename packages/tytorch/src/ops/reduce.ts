// Reductions by adding, multiplying and testing: sum, mean, prod, any, all.
import { bool, type DType, int64, uint8 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDims } from '../base/shape.ts'
import { constant, k, scalar } from '../ir/expr.ts'
import { type Args, op, sizesOf } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import { type Dim, kernelFor, reduce, reducedSizes, simpleFold, spread, zero } from '../tensor/reduce.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { shapeOf } from '../tensor/undo.ts'
import { div, mul } from './arithmetic.ts'
import { eq, ne } from './compare.ts'

// Reductions by adding, multiplying and testing: sum, mean, prod, any, all.

// Reductions: sums, means, products, extremes and their positions, tests, variances and norms.

interface ReduceOptions {
  readonly dim?: Dim
  readonly keepdim?: boolean
  readonly dtype?: DType | null
  readonly out?: Tensor
}

export type Reduction = (x: Tensor, ...args: Args<[dim?: Dim, keepdim?: boolean], ReduceOptions>) => Tensor

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
export const sumToSize: (x: Tensor, ...size: number[] | [size: Sizes] | [options: { readonly size: Sizes }]) => Tensor =
  op({
    name: 'sumToSize',
    signature: 'input, size, b, c, d, e, f, g, h',
    node: (_x, ...size) => (size.flat().length > 0 ? 'SumBackward1' : undefined),
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

/** The product over `dim` (all by default); integers and bool give int64 unless `dtype` says otherwise. */
export const prod: (x: Tensor, ...args: Args<[dim?: number | null, keepdim?: boolean], ReduceOptions>) => Tensor = op({
  name: 'prod',
  signature: 'input, dim, keepdim, *, dtype',
  samples: (t) => [[t(3, 2)], [t(3, 4), 0], [t(3, 4), 1, true]],
  differentiable: true,
  forward: (x: Tensor, dim?: number | null, keepdim = false, dtype?: DType | null) => {
    const to = dtype ?? (x.dtype.isFloatingPoint ? x.dtype : int64)
    const kernel = kernelFor('prod', x.dtype, [to], [], () => ({
      ...simpleFold(constant(1, to.compute), to === bool ? k.and : k.mul, (e) => k.cast(e, to.compute)),
      unbroken: true,
    }))
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
