// Pieces of tensors: the kin of split, windows along a dimension, copies of views, and chunks joined.
import { int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { type Sizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { Tensor } from '../tensor/tensor.ts'
import { triuIndices } from './arrange.ts'
import { contiguous } from './copy.ts'
import { tensor } from './create.ts'
import { indexSelect } from './gather.ts'
import { cat } from './join.ts'
import { written } from './put.ts'
import { asStrided, chunk, diagonal, narrow, sliceDim, split, unbind } from './slice.ts'
import { reshape, viewOf } from './view.ts'

type Sections = number | Sizes | Tensor
type Splitting = (x: Tensor, indicesOrSections: Sections, ...args: Args<[dim?: number], { dim?: number }>) => Tensor[]
type SplittingFixed = (x: Tensor, indicesOrSections: Sections) => Tensor[]

/** A number of sections, or the positions to cut at, as numbers. */
function sectionsOf(name: string, given: Sections): number | Sizes {
  if (typeof given === 'number' || Array.isArray(given)) return given as number | Sizes
  if (!(given instanceof Tensor))
    throw new TypeError(`${name}(): indices_or_sections must be a number, an array or a Tensor, not ${typeof given}`)
  if (given.dtype.name !== 'int64')
    throw new RuntimeError(
      `${name} expected tensor_indices_or_sections to have dtype of long, but got ${given.dtype.name}`,
    )
  if (given.ndim > 1)
    throw new RuntimeError(
      `${name} expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got a tensor with ${given.ndim} dims`,
    )
  readsValues(name)
  const list = given.tolist() as number | number[]
  return Array.isArray(list) ? list.map(Number) : Number(list)
}

function cut(x: Tensor, d: number, at: number | Sizes): Tensor[] {
  const n = x.sizes[d]
  if (typeof at !== 'number') {
    const edges = [0, ...at, n]
    return edges.slice(1).map((end, i) => sliceDim(x, d, edges[i], end, 1))
  }
  if (!(at > 0)) throw new RuntimeError(`number of sections must be larger than 0, got ${at}`)
  const [least, more] = [Math.floor(n / at), n % at]
  let start = 0
  return Array.from({ length: at }, (_, i) => sliceDim(x, d, start, (start += least + (i < more ? 1 : 0)), 1))
}

/** `indicesOrSections` nearly equal pieces along `dim`, or the pieces between the positions listed. Views. */
export const tensorSplit: Splitting = op({
  name: 'tensorSplit',
  signature: 'input, indices_or_sections, dim',
  samples: (t) => [
    [t(5, 2), 2],
    [t(2, 5), [1, 3], 1],
  ],
  differentiable: true,
  forward: (x: Tensor, given: Sections, dim = 0) => {
    if (x.ndim === 0)
      throw new RuntimeError('tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims')
    return cut(x, wrapDim(dim, x.ndim), sectionsOf('tensor_split', given))
  },
})

function splitting(name: string, rank: number, dimOf: (x: Tensor) => number): SplittingFixed {
  return op({
    name,
    signature: 'input, indices_or_sections',
    samples: (t) => [
      [t(2, 4, 2), 2],
      [t(3, 4, 5), [1, 2]],
    ],
    differentiable: true,
    forward: (x: Tensor, given: Sections) => {
      if (x.ndim < rank) {
        throw new RuntimeError(
          `torch.${name} requires a tensor with at least ${rank} dimension${rank > 1 ? 's' : ''}, but got a tensor with ${x.ndim} dimensions!`,
        )
      }
      const d = dimOf(x)
      const at = sectionsOf(name, given)
      if (typeof at === 'number' && (at === 0 || x.sizes[d] % at !== 0)) {
        throw new RuntimeError(
          `torch.${name} attempted to split along dimension ${d}, but the size of the dimension ${x.sizes[d]} is not divisible by the split_size ${at}!`,
        )
      }
      return cut(x, d, at)
    },
  })
}

/** Equal pieces side by side: along dimension 1, or 0 of a vector. */
export const hsplit: SplittingFixed = splitting('hsplit', 1, (x) => (x.ndim === 1 ? 0 : 1))
/** Equal pieces one above the other: along dimension 0. */
export const vsplit: SplittingFixed = splitting('vsplit', 2, () => 0)
/** Equal pieces along dimension 2. */
export const dsplit: SplittingFixed = splitting('dsplit', 3, () => 2)

type SplitSizes = (x: Tensor, splitSizes: Sizes, ...args: Args<[dim?: number], { dim?: number }>) => Tensor[]

/** Pieces of the sizes listed along `dim`. Views. */
export const splitWithSizes: SplitSizes = op({
  name: 'splitWithSizes',
  signature: 'input, split_sizes, dim',
  samples: (t) => [[t(2, 5), [1, 4], 1]],
  differentiable: true,
  forward: (x: Tensor, sizes: Sizes, dim = 0) => split(x, sizes, dim),
})

/** The same pieces of `x`, each recorded by itself. */
function apart(x: Tensor, pieces: readonly Tensor[], dim: number): Tensor[] {
  const d = wrapDim(dim, x.ndim)
  let at = 0
  return pieces.map((p) => sliceDim(x, d, at, (at += p.sizes[d]), 1))
}

/** As `split`; PyTorch's unsafe form lets its views be changed in place, which is safe here. */
export const unsafeSplit: typeof split = op({
  name: 'unsafeSplit',
  signature: 'input, split_size, dim',
  node: 'UnsafeSplitBackward0',
  samples: (t) => [[t(5, 2), 2]],
  differentiable: true,
  forward: (x: Tensor, size: number | Sizes, dim = 0) => apart(x, split(x.detach(), size, dim), dim),
})

/** As `splitWithSizes`; see `unsafeSplit`. */
export const unsafeSplitWithSizes: SplitSizes = op({
  name: 'unsafeSplitWithSizes',
  signature: 'input, split_sizes, dim',
  node: 'UnsafeSplitWithSizesBackward0',
  samples: (t) => [[t(2, 5), [1, 4], 1]],
  differentiable: true,
  forward: (x: Tensor, sizes: Sizes, dim = 0) => apart(x, split(x.detach(), sizes, dim), dim),
})

/** As `chunk`; see `unsafeSplit`. */
export const unsafeChunk: typeof chunk = op({
  name: 'unsafeChunk',
  signature: 'input, chunks, dim',
  node: 'UnsafeSplitBackward0',
  samples: (t) => [[t(5, 2), 2]],
  differentiable: true,
  forward: (x: Tensor, chunks: number, dim = 0) => apart(x, chunk(x.detach(), chunks, dim), dim),
})

/** Windows of `size` elements along `dimension`, `step` apart, as a new last dimension. A view. */
export const unfold: (x: Tensor, dimension: number, size: number, step: number) => Tensor = op({
  name: 'unfoldDimension',
  python: 'unfold',
  signature: 'input, dimension, size, step',
  samples: (t) => [
    [t(7), 0, 3, 2],
    [t(3, 5), 1, 3, 1],
  ],
  differentiable: true,
  forward: (x: Tensor, dimension: number, size: number, step: number) => {
    const d = wrapDim(dimension, x.ndim)
    const [n, stride] = x.ndim === 0 ? [1, 1] : [x.sizes[d], x.strides[d]]
    if (size < 0) throw new RuntimeError(`size is ${size} but must be >= 0`)
    if (size > n) throw new RuntimeError(`maximum size for tensor at dimension ${d} is ${n} but size is ${size}`)
    if (!(step > 0)) throw new RuntimeError(`step is ${step} but must be > 0`)
    const windows = Math.floor((n - size) / step) + 1
    const whole = x.sizes
    const sizes = x.ndim === 0 ? [size] : [...whole.map((m, i) => (i === d ? windows : m)), size]
    const strides = x.ndim === 0 ? [stride] : [...x.strides.map((s, i) => (i === d ? s * step : s)), stride]
    return viewOf(x, sizes, strides, x.offset, 'UnfoldBackward0', (g) => {
      const out = g.newZeros(whole)
      if (whole.length === 0) return [size === 0 ? out : out.add_(g.sum())]
      for (let i = 0; i < size; i++) {
        sliceDim(out, d, i, i + (windows - 1) * step + 1, step).add_(g.select(-1, i))
      }
      return [out]
    })
  },
})

/** The elements as a vector, in row-major order; a view where that is possible. */
export const ravel: (x: Tensor) => Tensor = op({
  name: 'ravel',
  signature: 'input',
  samples: (t) => [[t(3, 4)], [t()]],
  differentiable: true,
  forward: (x: Tensor) => reshape(contiguous(x), [-1]),
})

interface AsStridedScatterOptions {
  readonly storageOffset?: number
}
/** A copy of `x` with `src` in place of the elements that `asStrided` of the copy's storage sees. */
export const asStridedScatter: (
  x: Tensor,
  src: Tensor,
  size: Sizes,
  stride: Sizes,
  ...args: Args<[storageOffset?: number], AsStridedScatterOptions>
) => Tensor = op({
  name: 'asStridedScatter',
  signature: 'input, src, size, stride, storage_offset',
  samples: (t) => [[t(3, 4), t(2, 2), [2, 2], [1, 2], 1]],
  differentiable: true,
  forward: (x: Tensor, src: Tensor, size: Sizes, stride: Sizes, storageOffset = x.offset) => {
    const { out } = written(x.detach(), false)
    const place = (t: Tensor): Tensor => asStrided(t, size, stride, storageOffset)
    place(out).copy_(src.detach())
    return record(out, 'AsStridedScatterBackward0', [x, src], [], (g, _s, needs) => {
      const whole = contiguous(g)
      return [
        needs[0] ? asStridedScatter(whole, whole.newZeros(size), size, stride, storageOffset) : null,
        needs[1] ? place(whole) : null,
      ]
    })
  },
})

/** A view as a tensor of its own. */
const copyOf = (t: Tensor): Tensor => t.clone()

/** A copy of `diagonal`. */
export const diagonalCopy: typeof diagonal = op({
  name: 'diagonalCopy',
  signature: 'input, offset, dim1, dim2',
  samples: (t) => [[t(3, 4), 1]],
  differentiable: true,
  forward: (x: Tensor, offset = 0, dim1 = 0, dim2 = 1) => copyOf(diagonal(x, offset, dim1, dim2)),
})
/** A copy of `narrow`. */
export const narrowCopy: typeof narrow = op({
  name: 'narrowCopy',
  signature: 'input, dim, start, length',
  samples: (t) => [[t(3, 4), 1, 1, 2]],
  differentiable: true,
  forward: (x: Tensor, dim: number, start: number, length: number) => {
    if (length < 0) throw new RuntimeError('narrow(): length must be non-negative.')
    if (dim < -x.ndim || dim >= x.ndim)
      throw new IndexError(
        `Dimension out of range (expected to be in range of [${-x.ndim}, ${x.ndim - 1}], but got ${dim})`,
      )
    return copyOf(narrow(x, dim, start, length))
  },
})
/** A copy of `view`. */
export const viewCopy: (x: Tensor, size: Sizes) => Tensor = op({
  name: 'viewCopy',
  signature: 'input, size',
  samples: (t) => [[t(3, 4), [2, 6]]],
  differentiable: true,
  forward: (x: Tensor, size: Sizes) => copyOf(x.view(size)),
})
/** Copies of what `unbind` answers. */
export const unbindCopy: typeof unbind = op({
  name: 'unbindCopy',
  signature: 'input, dim',
  samples: (t) => [[t(3, 4), 1]],
  differentiable: true,
  forward: (x: Tensor, dim = 0) => unbind(x, dim).map(copyOf),
})

/**
 * Every tensor cut into `numChunks` equal parts along `dim`, filled up with zeros; parts of the same number are flattened and joined:
 * [..., numChunks, elements].
 */
export const _chunkCat: (tensors: readonly Tensor[], dim: number, numChunks: number) => Tensor = op({
  name: '_chunkCat',
  python: '_chunk_cat',
  signature: 'tensors, dim, num_chunks',
  samples: (t) => [
    [[t(5, 2), t(3)], 0, 2],
    [[t(2, 3), t(2, 4)], 1, 3],
  ],
  differentiable: true,
  forward: (tensors: readonly Tensor[], dim: number, numChunks: number) => {
    if (tensors.length === 0) throw new RuntimeError('_chunk_cat expects a non-empty input tensor list')
    if (!(numChunks >= 1)) throw new RuntimeError('_chunk_cat expects positive num_chunks')
    const [first] = tensors
    if (tensors.some((t) => t.dtype !== first.dtype))
      throw new RuntimeError('_chunk_cat expects all input tensors with the same dtype')
    if (dim < 0 && tensors.some((t) => t.ndim !== first.ndim)) {
      throw new RuntimeError('_chunk_cat expects same sizes of tensors if dim is negative')
    }
    const d = wrapDim(dim, first.ndim)
    for (const t of tensors) {
      if (d >= t.ndim) throw new RuntimeError('_chunk_cat expects dim < ndim for all input tensors')
      if (t.count === 0) throw new RuntimeError('_chunk_cat expects non-empty tensor')
      if (t.sizes.slice(0, d).some((n, i) => n !== first.sizes[i]))
        throw new RuntimeError('_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors')
    }
    const parts = tensors.map((t) => {
      const size = Math.ceil(t.sizes[d] / numChunks)
      const short = size * numChunks - t.sizes[d]
      const fill = t.newZeros(t.sizes.map((n, i) => (i === d ? short : n)))
      const whole = short > 0 ? cat([t, fill], d) : t
      return reshape(whole, [...t.sizes.slice(0, d), numChunks, -1])
    })
    return cat(parts, d + 1)
  },
})

interface CombinationsOptions {
  readonly r?: number
  readonly withReplacement?: boolean
}
/** All choices of `r` (2) elements of a vector, in order: [choices, r]. */
export const combinations: (
  x: Tensor,
  ...args: Args<[r?: number, withReplacement?: boolean], CombinationsOptions>
) => Tensor = op({
  name: 'combinations',
  signature: 'input, r, with_replacement',
  lastNode: (_x, r) => (r === 1 ? undefined : 'StackBackward0'),
  samples: (t) => [[t(4)], [t(3), 3, true]],
  differentiable: true,
  forward: (x: Tensor, r = 2, withReplacement = false) => {
    if (x.ndim !== 1) throw new RuntimeError(`Expect a 1D vector, but got shape ${x.shape}`)
    if (r < 0) throw new RuntimeError(`Expect a non-negative number, but got ${r}`)
    if (r === 0) return x.newEmpty([0])
    if (r === 2) {
      const at = triuIndices(x.sizes[0], x.sizes[0], withReplacement ? 0 : 1).t()
      return indexSelect(x, 0, at.reshape(-1)).reshape(at.sizes)
    }
    const chosen: number[] = []
    const current: number[] = []
    const choose = (from: number): void => {
      if (current.length === r) {
        chosen.push(...current)
        return
      }
      for (let i = from; i < x.sizes[0]; i++) {
        current.push(i)
        choose(withReplacement ? i : i + 1)
        current.pop()
      }
    }
    choose(0)
    return reshape(indexSelect(x, 0, tensor(chosen, { dtype: int64 })), [chosen.length / r, r])
  },
})
