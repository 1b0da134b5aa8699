// Reductions by comparing: the largest and smallest elements, and where they are.
import { type ComputeType, type DType, int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { type Sizes, wrapDim, wrapDims } from '../base/shape.ts'
import { constant, type Expr, k, position } from '../ir/expr.ts'
import { type Args, op } from '../tensor/define.ts'
import type { UnaryOptions } from '../tensor/elementwise.ts'
import { type Named, named } from '../tensor/named.ts'
import { record } from '../tensor/node.ts'
import { checkTensor, type Dim, type Fold, kernelFor, reduce, simpleFold, spread } from '../tensor/reduce.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { div, mul } from './arithmetic.ts'
import { eq } from './compare.ts'
import type { Reduction } from './reduce.ts'

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
export type ValuesIndices = Named<'values' | 'indices'>

/** A named result that destructures as an array. */
export function valuesIndices(values: Tensor, indices: Tensor): ValuesIndices {
  return named({ values, indices })
}

/** Scatters the gradient of picked values back to where they stood. */
export function pickedGradient(g: Tensor, sizes: Sizes, indices: Tensor, dim: number, keepdim: boolean): Tensor {
  const at = keepdim ? indices : indices.unsqueeze(dim)
  return g.newZeros(sizes).scatter_(dim, at, keepdim ? g : g.unsqueeze(dim))
}

interface Extreme {
  (x: Tensor, options?: UnaryOptions): Tensor
  (x: Tensor, other: Tensor, options?: UnaryOptions): Tensor
  (x: Tensor, dim: number, keepdim?: boolean): ValuesIndices
  (x: Tensor, options: { dim: number; keepdim?: boolean } & OutPair): ValuesIndices
  (x: Tensor, dim: number, options: { keepdim?: boolean } & OutPair): ValuesIndices
  (x: Tensor, dim: number, keepdim: boolean, options: OutPair): ValuesIndices
}

/** Where values and their positions go. */
interface OutPair {
  readonly out?: readonly Tensor[]
}

export interface ExtremeMethod {
  (): Tensor
  (other: Tensor): Tensor
  (dim: number, keepdim?: boolean): ValuesIndices
  (options: { dim: number; keepdim?: boolean }): ValuesIndices
}

const extremeOf = (name: 'max' | 'min'): Extreme =>
  op<(x: Tensor, dim?: number | Tensor, keepdim?: boolean) => Tensor | ValuesIndices>({
    name,
    signature: 'input, dim, keepdim',
    apart: 'all',
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
