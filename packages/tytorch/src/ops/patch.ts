// Copies with a part replaced: selectScatter, sliceScatter, diagonalScatter, and indexReduce.
import { RuntimeError } from '../base/errors.ts'
import { type Sizes, sameSizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './create.ts'
import { checkSlices } from './gather.ts'
import { written } from './put.ts'
import { diagonal, select, sliceDim } from './slice.ts'

/** A copy of `x` with `src` in place of the view that `part` takes. */
function patched(x: Tensor, src: Tensor, name: string, part: (t: Tensor) => Tensor): Tensor {
  const place = part(x.detach())
  if (!sameSizes(src.sizes, place.sizes)) {
    const text = (sizes: Sizes): string => `[${sizes.join(', ')}]`
    throw new RuntimeError(
      `expected src to have a size equal to the slice of self. src size = ${text(src.sizes)}, slice size = ${text(place.sizes)}`,
    )
  }
  const { out } = written(x, false)
  copyValues(src, part(out))
  return record(out, name, [x, src], [], (g, _s, needs) => [
    needs[0] ? patched(g, g.newZeros(place.sizes), name, part) : null,
    needs[1] ? part(g) : null,
  ])
}

/** `x` with `src` as element `index` of dimension `dim`, as a copy. */
export const selectScatter: (x: Tensor, src: Tensor, dim: number, index: number) => Tensor = op({
  name: 'selectScatter',
  signature: 'input, src, dim, index',
  samples: (t) => [[t(3, 4), t(4), 0, 1]],
  differentiable: true,
  forward: (x: Tensor, src: Tensor, dim: number, index: number) =>
    patched(x, src, 'SelectScatterBackward0', (t) => select(t, dim, index)),
})

interface SliceOptions {
  readonly dim?: number
  readonly start?: number | null
  readonly end?: number | null
  readonly step?: number
}
/** `x` with `src` as every `step`-th element from `start` to `end` of dimension `dim`, as a copy. */
export const sliceScatter: (
  x: Tensor,
  src: Tensor,
  ...args: Args<[dim?: number, start?: number | null, end?: number | null, step?: number], SliceOptions>
) => Tensor = op({
  name: 'sliceScatter',
  signature: 'input, src, dim, start, end, step',
  samples: (t) => [[t(3, 4), t(3, 2), 1, 0, null, 2]],
  differentiable: true,
  forward: (x: Tensor, src: Tensor, dim = 0, start: number | null = null, end: number | null = null, step = 1) => {
    const d = wrapDim(dim, x.ndim)
    return patched(x, src, 'SliceScatterBackward0', (t) => sliceDim(t, d, start, end, step))
  },
})

interface DiagonalOptions {
  readonly offset?: number
  readonly dim1?: number
  readonly dim2?: number
}
/** `x` with `src` on the diagonal of two dimensions, as a copy. */
export const diagonalScatter: (
  x: Tensor,
  src: Tensor,
  ...args: Args<[offset?: number, dim1?: number, dim2?: number], DiagonalOptions>
) => Tensor = op({
  name: 'diagonalScatter',
  signature: 'input, src, offset, dim1, dim2',
  samples: (t) => [
    [t(3, 4), t(3)],
    [t(2, 3, 3), t(2, 2), -1, 1, 2],
  ],
  differentiable: true,
  forward: (x: Tensor, src: Tensor, offset = 0, dim1 = 0, dim2 = 1) =>
    patched(x, src, 'DiagonalScatterBackward0', (t) => diagonal(t, offset, dim1, dim2)),
})

type Reduce = 'prod' | 'mean' | 'amax' | 'amin'
interface ReduceOptions {
  readonly dim?: number
  readonly index?: Tensor
  readonly source?: Tensor
  readonly reduce?: Reduce
  readonly includeSelf?: boolean
}

const reducing =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, source: Tensor, reduce: Reduce, includeSelf = true): Tensor => {
    const d = wrapDim(dim, x.ndim)
    if (!['prod', 'mean', 'amax', 'amin'].includes(reduce)) {
      throw new RuntimeError(`index_reduce(): reduce argument must be either prod, mean, amax or amin, got ${reduce}.`)
    }
    checkSlices('index_reduce', x, d, index)
    const n = source.ndim === 0 ? 1 : source.sizes[d]
    if (index.count !== n) {
      throw new RuntimeError(
        `index_reduce(): Number of indices (${index.count}) should be equal to source.size(dim) (${n})`,
      )
    }
    if (x.ndim === 0) return folded(x, 0, index.reshape(1), source.reshape(1))
    return folded(x, d, index.view(x.sizes.map((_, i) => (i === d ? n : 1))).expand(source.sizes), source)

    function folded(to: Tensor, along: number, at: Tensor, from: Tensor): Tensor {
      return inPlace
        ? to.scatterReduce_(along, at, from, reduce, { includeSelf })
        : to.scatterReduce(along, at, from, reduce, { includeSelf })
    }
  }

/** `x` with the slices of `source` folded into those slices of `dim` that `index` names, by prod, mean, amax or amin. */
export const indexReduce: (
  x: Tensor,
  ...args: Args<[dim: number, index: Tensor, source: Tensor, reduce: Reduce], ReduceOptions>
) => Tensor = op({
  name: 'indexReduce',
  signature: 'input, dim, index, source, reduce, *, include_self',
  node: 'IndexReduceBackward0',
  samples: (t) =>
    (['prod', 'mean', 'amax', 'amin'] as const).map((reduce) => [t(3, 4), 0, tensor([2, 0, 2]), t(3, 4), reduce]),
  differentiable: true,
  forward: reducing(false),
  inPlace: reducing(true),
})
