// Copies of views: the values of a view in memory of their own, with the gradient of the view.
import type { Sizes } from '../base/shape.ts'
import { op, type Samples } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { clone } from './copy.ts'
import { splitWithSizes, unfold } from './pieces.ts'
import { asStrided, select, sliceDim, split } from './slice.ts'
import { expand, permute, squeeze, t, transpose, unsqueeze } from './view.ts'

// biome-ignore lint/suspicious/noExplicitAny: views of every signature
type View = (x: Tensor, ...args: any[]) => Tensor | Tensor[]

/** The op `name` that answers a copy of what `view` answers. */
function copying<F extends View>(name: string, parameters: string, view: F, samples: Samples): F {
  return op<F>({
    name,
    signature: `input${parameters ? `, ${parameters}` : ''}`,
    samples,
    differentiable: true,
    forward: (x: Tensor, ...args: unknown[]) => {
      const seen = view(x, ...args)
      return (seen instanceof Tensor ? clone(seen) : seen.map((t) => clone(t))) as ReturnType<F>
    },
  })
}

/** A copy; PyTorch's copy of a view of everything. */
export const aliasCopy: (x: Tensor) => Tensor = copying(
  'aliasCopy',
  '',
  (x: Tensor) => x,
  (t) => [[t(3, 4).t()]],
)
/** A copy without history. */
export const detachCopy: (x: Tensor) => Tensor = op({
  name: 'detachCopy',
  signature: 'input',
  forward: (x: Tensor) => clone(x.detach()),
})
/** A copy of `asStrided`. */
export const asStridedCopy: typeof asStrided = copying(
  'asStridedCopy',
  'size, stride, storage_offset',
  asStrided,
  (t) => [[t(3, 4), [2, 2], [1, 4], 1]],
)
/** A copy of `expand`. */
export const expandCopy: (x: Tensor, size: Sizes) => Tensor = copying(
  'expandCopy',
  'size',
  (x: Tensor, size: Sizes) => expand(x, size),
  (t) => [[t(3, 1), [3, 4]]],
)
/** A copy of `permute`. */
export const permuteCopy: (x: Tensor, dims: Sizes) => Tensor = copying(
  'permuteCopy',
  'dims',
  (x: Tensor, dims: Sizes) => permute(x, dims),
  (t) => [[t(2, 3, 4), [2, 0, 1]]],
)
/** A copy of `select`. */
export const selectCopy: typeof select = copying('selectCopy', 'dim, index', select, (t) => [[t(3, 4), 1, 2]])
/** A copy of elements `start` to `end` (excluded) of `dim`, `step` apart. */
export const sliceCopy: (x: Tensor, dim?: number, start?: number | null, end?: number | null, step?: number) => Tensor =
  copying(
    'sliceCopy',
    'dim, start, end, step',
    (x: Tensor, dim?: number, start?: number | null, end?: number | null, step?: number) => {
      const n = x.size(dim ?? 0)
      const at = (i: number): number => Math.min(Math.max(i < 0 ? i + n : i, 0), n)
      const first = at(start ?? 0)
      return sliceDim(x, dim ?? 0, first, Math.max(at(end ?? n), first), step ?? 1)
    },
    (t) => [[t(3, 5), 1, 1, 4, 2]],
  )
/** Copies of what `split` answers. */
export const splitCopy: typeof split = copying('splitCopy', 'split_size, dim', split, (t) => [[t(5, 2), 2]])
/** Copies of what `splitWithSizes` answers. */
export const splitWithSizesCopy: typeof splitWithSizes = copying(
  'splitWithSizesCopy',
  'split_sizes, dim',
  splitWithSizes,
  (t) => [[t(2, 5), [1, 4], 1]],
)
/** A copy of `squeeze`. */
export const squeezeCopy: typeof squeeze = copying('squeezeCopy', 'dim', squeeze, (t) => [[t(1, 3, 1)], [t(1, 3), 0]])
/** A copy of `t`. */
export const tCopy: typeof t = copying('tCopy', '', t, (t) => [[t(3, 4)]])
/** A copy of `transpose`. */
export const transposeCopy: typeof transpose = copying('transposeCopy', 'dim0, dim1', transpose, (t) => [
  [t(3, 4), 0, 1],
])
/** A copy of `unfold`. */
export const unfoldCopy: typeof unfold = copying('unfoldCopy', 'dimension, size, step', unfold, (t) => [
  [t(7), 0, 3, 2],
])
/** A copy of `unsqueeze`. */
export const unsqueezeCopy: typeof unsqueeze = copying('unsqueezeCopy', 'dim', unsqueeze, (t) => [[t(3, 4), 1]])
