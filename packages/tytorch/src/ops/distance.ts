// Distances and similarities of vectors: of pairs, of all pairs of two sets, of all pairs of one.
import { type DType, float32, float64, getDefaultDtype, promoteTypes } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { broadcastSizes, numelOf } from '../base/shape.ts'
import { acc, constant, type Expr, k, load, other, result, scalar } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled, noGrad } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { add, div, mul, pow, sub } from './arithmetic.ts'
import { triuIndices } from './arrange.ts'
import { eq, ne } from './compare.ts'
import { contiguous, to } from './copy.ts'
import { onesLike, zeros } from './create.ts'
import { amax } from './extreme.ts'
import { indexSelect } from './gather.ts'
import { bmm } from './linear.ts'
import { where } from './masks.ts'
import { sum } from './reduce.ts'
import { indexAdd } from './scatter.ts'
import { norm } from './statistics.ts'
import { abs, sign, sqrt } from './unary.ts'

interface SimilarityOptions {
  readonly dim?: number
  /** The least that each norm counts as. */
  readonly eps?: number
}

/** The cosine of the angle between `x1` and `x2` (which broadcast) along `dim` (1). */
export const cosineSimilarity: (
  x1: Tensor,
  x2: Tensor,
  ...args: Args<[dim?: number, eps?: number], SimilarityOptions>
) => Tensor = op({
  name: 'cosineSimilarity',
  python: 'nn.functional.cosine_similarity',
  signature: 'x1, x2, dim, eps',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(2, 3, 4), t(3, 1), -1],
  ],
  forward: (x1: Tensor, x2: Tensor, dim = 1, eps = 1e-8) => {
    const dtype = promoteTypes(x1.dtype, x2.dtype)
    if (!dtype.isFloatingPoint) {
      throw new RuntimeError(`expected common dtype to be floating point, yet common dtype is ${dtype.title}`)
    }
    const sizes = broadcastSizes(x1.sizes, x2.sizes)
    const unit = (x: Tensor): Tensor => {
      const whole = to(x, dtype).expand(sizes)
      return div(whole, raised(norm(whole, 2, dim, true), eps))
    }
    return sum(mul(unit(x1), unit(x2)), dim)
  },
})

/** A norm that is at least `least`; its gradient passes as if it were not raised, as PyTorch's does. */
function raised(x: Tensor, least: number): Tensor {
  const missing = noGrad(() => sub(x.detach().clampMin(least), x.detach()))
  return add(x, missing)
}

interface PairwiseOptions {
  readonly p?: number
  /** Added to the differences. */
  readonly eps?: number
  readonly keepdim?: boolean
}

/** The p-norm of x1 - x2 + eps over the last dimension. */
export const pairwiseDistance: (
  x1: Tensor,
  x2: Tensor,
  ...args: Args<[p?: number, eps?: number, keepdim?: boolean], PairwiseOptions>
) => Tensor = op({
  name: 'pairwiseDistance',
  python: 'nn.functional.pairwise_distance',
  signature: 'x1, x2, p, eps, keepdim',
  lastNode: 'NormBackward1',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(4), 1],
    [t(2, 3, 4), t(2, 3, 4), { p: 3, keepdim: true }],
  ],
  forward: (x1: Tensor, x2: Tensor, p = 2, eps = 1e-6, keepdim = false) => {
    const apart = sub(x1, x2)
    // eps is a float in Python, whole or not, and makes floats of integers.
    const wide = apart.dtype.isFloatingPoint || apart.dtype.isComplex ? apart : to(apart, getDefaultDtype())
    return norm(add(wide, eps), p, -1, keepdim)
  },
})

type Order = '0' | '1' | '2' | 'inf' | 'p'
const orderOf = (p: number): Order =>
  p === Number.POSITIVE_INFINITY ? 'inf' : p === 0 || p === 1 || p === 2 ? (String(p) as Order) : 'p'

const kernels = new Map<string, Kernel>()

/** Rows of two tensors to the p-norm of their difference. Arguments: x1, x2, out (per row). Scalars: p. */
function distanceKernel(dtype: DType, order: Order): Kernel {
  const key = `distance ${dtype.name} ${order}`
  let kernel = kernels.get(key)
  if (kernel) return kernel
  const type = dtype.compute
  const zero = constant(0, type)
  const p = scalar(0, type)
  const size = k.abs(k.sub(load(0, type), load(1, type)))
  const [a, b] = [acc(0, type), other(0, type)]
  const total = result(0, 0, type)
  const terms: Record<Order, [step: Expr, merge: Expr, value: Expr]> = {
    '0': [k.add(a, k.select(k.ne(size, zero), constant(1, type), zero)), k.add(a, b), total],
    '1': [k.add(a, size), k.add(a, b), total],
    '2': [k.madd(size, size, a), k.add(a, b), k.sqrt(total)],
    inf: [k.max(a, size), k.max(a, b), total],
    p: [k.add(a, m.pow(size, p)), k.add(a, b), m.pow(total, k.div(constant(1, type), p))],
  }
  const [step, merge, value] = terms[order]
  kernel = {
    name: 'distance',
    args: [
      { dtype, mode: 'read', per: 'element' },
      { dtype, mode: 'read', per: 'element' },
      { dtype, mode: 'write', per: 'row' },
    ],
    scalars: [type],
    passes: [{ kind: 'reduce', init: [zero], step: [step], merge: [merge] }],
    rowStores: [{ arg: 2, value }],
  }
  kernels.set(key, kernel)
  return kernel
}

/** Sums of g * d distance / d x1 over a row of x2's. Arguments: g, distance, x1 (per row), x2, out (per row). Scalars: p. */
function gradientKernel(dtype: DType, order: Order): Kernel {
  const key = `distanceBackward ${dtype.name} ${order}`
  let kernel = kernels.get(key)
  if (kernel) return kernel
  const type = dtype.compute
  const [zero, one] = [constant(0, type), constant(1, type)]
  const [g, distance, x1, x2] = [0, 1, 2, 3].map((i) => load(i, type))
  const difference = k.sub(x1, x2)
  const way = k.select(k.lt(difference, zero), k.neg(one), k.select(k.eq(difference, zero), zero, one))
  const none = k.eq(distance, zero)
  const size = k.abs(difference)
  const less = k.sub(scalar(0, type), one)
  const absent = k.or(none, k.eq(size, zero))
  const terms: Record<Order, Expr> = {
    '0': zero,
    '1': k.mul(g, way),
    '2': k.select(none, zero, k.div(k.mul(g, difference), distance)),
    inf: k.select(k.eq(size, distance), k.mul(g, way), zero),
    p: k.select(absent, zero, k.mul(k.mul(g, way), m.pow(k.div(size, distance), less))),
  }
  kernel = {
    name: 'distanceBackward',
    args: [
      { dtype, mode: 'read', per: 'element' },
      { dtype, mode: 'read', per: 'element' },
      { dtype, mode: 'read', per: 'row' },
      { dtype, mode: 'read', per: 'element' },
      { dtype, mode: 'write', per: 'row' },
    ],
    scalars: [type],
    passes: [
      {
        kind: 'reduce',
        init: [zero],
        step: [k.add(acc(0, type), terms[order])],
        merge: [k.add(acc(0, type), other(0, type))],
      },
    ],
    rowStores: [{ arg: 4, value: result(0, 0, type) }],
  }
  kernels.set(key, kernel)
  return kernel
}

/** From this many rows on, Euclidean distances come from products, if the caller lets them. */
const ROWS = 25

/** Distances [batch, n, m] of contiguous x1 [batch, n, d] and x2 [batch, m, d], without recording. */
function distances(x1: Tensor, x2: Tensor, p: number, products: boolean): Tensor {
  const [batch, n, d] = x1.sizes
  const rows = x2.sizes[1]
  if (d === 0) return zeros([batch, n, rows], { dtype: x1.dtype })
  if (products) {
    const squares = (x: Tensor): Tensor => sum(mul(x, x), 2, true)
    const cross = mul(bmm(x1, x2.transpose(1, 2)), -2)
    return sqrt(add(add(cross, squares(x1)), squares(x2).transpose(1, 2)).clampMin(0))
  }
  const out = empty([batch, n, rows], x1.dtype)
  if (out.count === 0) return out
  const step = x1.dtype.itemsize
  const kernel = distanceKernel(x1.dtype, orderOf(p))
  for (let b = 0; b < batch; b++) {
    const pointers = [
      x1.pointer + b * n * d * step,
      x2.pointer + b * rows * d * step,
      out.pointer + b * n * rows * step,
    ]
    const strides = [
      [d * step, 0, step],
      [0, d * step, step],
      [rows * step, step, 0],
    ] as const
    device().launch(kernel, [n, rows, d], pointers, strides, [p])
  }
  return out
}

/** The gradient of x1 [batch, n, d] from that of its distances to x2. */
function distanceGradient(g: Tensor, x1: Tensor, x2: Tensor, found: Tensor, p: number): Tensor {
  const [batch, n, d] = x1.sizes
  const rows = x2.sizes[1]
  if (p === 0 || rows === 0 || x1.count === 0) return zeros(x1.sizes, { dtype: x1.dtype })
  const out = empty(x1.sizes, x1.dtype)
  const step = x1.dtype.itemsize
  const kernel = gradientKernel(x1.dtype, orderOf(p))
  const [sg, sd] = [g, found].map((t) => [t.strides[1] * step, 0, t.strides[2] * step] as const)
  for (let b = 0; b < batch; b++) {
    const own = b * n * d * step
    const pointers = [
      g.pointer + b * g.strides[0] * step,
      found.pointer + b * found.strides[0] * step,
      x1.pointer + own,
      x2.pointer + b * rows * d * step,
      out.pointer + own,
    ]
    const strides = [sg, sd, [d * step, step, 0], [0, step, d * step], [d * step, step, 0]] as const
    device().launch(kernel, [n, d, rows], pointers, strides, [p])
  }
  return out
}

/** The gradients of both sides in tensor ops, for a backward pass that is recorded itself. */
function composedGradients(g: Tensor, x1: Tensor, x2: Tensor, p: number): [Tensor, Tensor] {
  const difference = sub(x1.unsqueeze(2), x2.unsqueeze(1))
  const size = abs(difference)
  const way = sign(difference)
  const spread = g.unsqueeze(3)
  const local = (): Tensor => {
    if (p === 0) return mul(mul(spread, difference), 0)
    if (p === 1) return mul(spread, way)
    if (p === Number.POSITIVE_INFINITY) return mul(mul(spread, way), eq(size, amax(size, 3, true)).to(g.dtype))
    const total = p === 2 ? sum(mul(difference, difference), 3, true) : sum(pow(size, p), 3, true)
    const apart = ne(total, 0)
    const base = where(apart, total, onesLike(total))
    const factor = mul(pow(base, (1 - p) / p), apart.to(g.dtype))
    const slope = p === 2 ? difference : mul(way, pow(where(ne(size, 0), size, onesLike(size)), p - 1))
    return mul(mul(spread, slope), factor)
  }
  const all = local()
  return [sum(all, 2), sum(all, 1).neg()]
}

function distanceGradients(
  g: Tensor,
  [x1, x2, found]: readonly Tensor[],
  p: number,
  needs: readonly boolean[],
): (Tensor | null)[] {
  if (isGradEnabled()) return composedGradients(g, x1, x2, p).map((t, i) => (needs[i] ? t : null))
  const [a, b] = [contiguous(x1), contiguous(x2)]
  return [
    needs[0] ? distanceGradient(g, a, b, found, p) : null,
    needs[1] ? distanceGradient(g.transpose(1, 2), b, a, found.transpose(1, 2), p) : null,
  ]
}

/** Whether Euclidean distances come from matrix products: for more than 25 rows, always, never. */
export type ComputeMode =
  | 'use_mm_for_euclid_dist_if_necessary'
  | 'use_mm_for_euclid_dist'
  | 'donot_use_mm_for_euclid_dist'

interface CdistOptions {
  readonly p?: number
  /** Whether Euclidean distances may come from matrix products: faster, and less exact for near points. */
  readonly computeMode?: ComputeMode
}

/** The p-norm distances [*, n, m] of all rows of `x1` [*, n, d] and `x2` [*, m, d]. */
export const cdist: (
  x1: Tensor,
  x2: Tensor,
  ...args: Args<[p?: number, computeMode?: ComputeMode], CdistOptions>
) => Tensor = op({
  name: 'cdist',
  signature: 'x1, x2, p, compute_mode',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(2, 4)],
    [t(2, 2, 3), t(1, 2, 3), 1],
    [t(2, 3), t(2, 3), 3],
    [t(2, 3), t(2, 3), Number.POSITIVE_INFINITY],
  ],
  forward: (x1: Tensor, x2: Tensor, p = 2, mode: ComputeMode | null = 'use_mm_for_euclid_dist_if_necessary') => {
    checkMode(mode)
    for (const [name, x] of [
      ['X1', x1],
      ['X2', x2],
    ] as const) {
      // biome-ignore format: pairs
      if (x.ndim < 2) throw new RuntimeError(`cdist only supports at least 2D tensors, ${name} got: ${x.ndim}D`)
    }
    const [d, width] = [x1, x2].map((x) => x.sizes[x.ndim - 1])
    if (d !== width) {
      throw new RuntimeError(`X1 and X2 must have the same number of columns. X1: ${d} X2: ${width}`)
    }
    for (const [name, x] of [
      ['X1', x1],
      ['X2', x2],
    ] as const) {
      // biome-ignore format: pairs
      if (!x.dtype.isFloatingPoint) {
        throw new RuntimeError(`cdist only supports floating-point dtypes, ${name} got: ${x.dtype.title}`)
      }
    }
    if (!(p >= 0)) throw new RuntimeError('cdist only supports non-negative p values')
    if (x1.dtype !== x2.dtype) {
      throw new RuntimeError(`expected scalar type ${x1.dtype.title} but found ${x2.dtype.title}`)
    }
    if (x1.dtype !== float32 && x1.dtype !== float64) {
      throw new NotImplementedError(`"cdist" not implemented for '${x1.dtype.title}'`)
    }
    const leading = broadcastSizes(x1.sizes.slice(0, -2), x2.sizes.slice(0, -2))
    const batch = numelOf(leading)
    const flat = (x: Tensor): Tensor => {
      const own = x.sizes.slice(-2)
      return x.expand([...leading, ...own]).reshape([batch, ...own])
    }
    const [a, b] = [flat(x1), flat(x2)]
    const large = a.sizes[1] > ROWS || b.sizes[1] > ROWS
    const products =
      p === 2 && (mode === 'use_mm_for_euclid_dist' || (mode !== 'donot_use_mm_for_euclid_dist' && large))
    const out = noGrad(() => distances(contiguous(a), contiguous(b), p, products))
    record(out, 'CdistBackward0', [a, b], [a, b, out], (g, saved, needs) => distanceGradients(g, saved, p, needs))
    return leading.length === 1 ? out : out.reshape([...leading, a.sizes[1], b.sizes[1]])
  },
})

function checkMode(mode: string | null): void {
  const known = ['use_mm_for_euclid_dist_if_necessary', 'use_mm_for_euclid_dist', 'donot_use_mm_for_euclid_dist']
  if (mode !== null && !known.includes(mode)) throw new ValueError(`${mode} is not a valid value for compute_mode`)
}

/** The p-norm distances of all pairs of rows of `x` [n, d], i < j, in row-major order: [n (n - 1) / 2]. */
export const pdist: (x: Tensor, ...args: Args<[p?: number], { readonly p?: number }>) => Tensor = op({
  name: 'pdist',
  python: 'nn.functional.pdist',
  signature: 'input, p',
  differentiable: true,
  samples: (t) => [[t(4, 3)], [t(4, 3), 1], [t(4, 3), 3]],
  forward: (x: Tensor, p = 2) => {
    if (x.ndim !== 2) throw new RuntimeError(`pdist only supports 2D tensors, got: ${x.ndim}D`)
    if (!x.dtype.isFloatingPoint) throw new RuntimeError('pdist only supports floating-point dtypes')
    if (!(p >= 0)) throw new RuntimeError('pdist only supports non-negative p values')
    if (x.dtype !== float32 && x.dtype !== float64) {
      throw new NotImplementedError(`"pdist" not implemented for '${x.dtype.title}'`)
    }
    const n = x.sizes[0]
    const [found, at] = noGrad(() => {
      const source = contiguous(x).unsqueeze(0)
      const corner = triuIndices(n, n, 1)
      return [distances(source, source, p, false), add(mul(corner.select(0, 0), n), corner.select(0, 1))]
    })
    const out = noGrad(() => indexSelect(found.view(n * n), 0, at))
    return record(out, 'PdistBackward0', [x], [x, found, at], (g, [input, whole, places]) => {
      const spread = indexAdd(zeros([n * n], { dtype: g.dtype }), 0, places, g).view(1, n, n)
      const rows = input.unsqueeze(0)
      const [a, b] = distanceGradients(spread, [rows, rows, whole], p, [true, true]) as [Tensor, Tensor]
      return [add(a, b).squeeze(0)]
    })
  },
})
