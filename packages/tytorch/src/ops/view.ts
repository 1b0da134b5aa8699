// Views: other shapes and strides over the same storage, each with the view that undoes it as its gradient; and the
// copies that make a tensor contiguous, independent, or of another dtype.
import { type DType, DType as DTypeClass } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import {
  inferSizes,
  isContiguous,
  numelOf,
  type Sizes,
  sameSizes,
  viewStrides,
  wrapDim,
  wrapDims,
} from '../base/shape.ts'
import { type Args, copyValues, op, reduceLike, shapeOf, sizesOf, snapshot } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { type BackwardOne, changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { alias, empty, emptyLike, Tensor } from '../tensor/tensor.ts'

/** A recorded view of `x`. */
function viewOf(x: Tensor, sizes: Sizes, strides: Sizes, offset: number, name: string, backward: BackwardOne): Tensor {
  const out = alias(x, sizes, strides, offset)
  out.base = x.base ?? x
  out.baseVersion = x.storage.version
  return record(out, name, [x], [], backward)
}

type SizesArgs = number[] | [sizes: Sizes]

/** The same elements with other sizes, one of which may be -1; never copies. Throws RuntimeError if it would have to. */
export const view: (x: Tensor, ...sizes: SizesArgs | [dtype: DType]) => Tensor = op({
  name: 'view',
  signature: 'input, a, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(3, 4), 4, 3],
    [t(3, 4), -1],
    [t(2, 6), [3, 2, 2]],
    [t(0, 3), 3, 0],
    [t(), 1],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    if (given[0] instanceof DTypeClass) return viewDtype(x, given[0])
    const target = inferSizes(sizesOf('view', given), x.count)
    const strides = viewStrides(x.sizes, x.strides, target)
    if (!strides) {
      throw new RuntimeError(
        "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead.",
      )
    }
    const { sizes } = x
    return viewOf(x, target, strides, x.offset, 'ViewBackward0', (g) => [g.reshape(sizes)])
  },
})

/** The same bits read as another dtype of the same size. */
function viewDtype(x: Tensor, dtype: DType): Tensor {
  if (dtype.itemsize !== x.dtype.itemsize) {
    throw new RuntimeError(
      `view(dtype): ${x.dtype} and ${dtype} have elements of different sizes; convert with to(${dtype})`,
    )
  }
  return alias(x, x.sizes, x.strides, x.offset, dtype)
}

/** The same elements with other sizes, as a view where possible, else as a copy. */
export const reshape: (x: Tensor, ...sizes: SizesArgs) => Tensor = op({
  name: 'reshape',
  signature: 'input, a, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(3, 4), 4, 3],
    [t(3, 4).t(), -1],
    [t(2, 6), [3, -1, 2]],
    [t(1), []],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const target = inferSizes(sizesOf('reshape', given), x.count)
    const source = viewStrides(x.sizes, x.strides, target) ? x : clone(x)
    const strides = viewStrides(source.sizes, source.strides, target) as Sizes
    const { sizes } = x
    const name = source === x ? 'ViewBackward0' : 'UnsafeViewBackward0'
    return viewOf(source, target, strides, source.offset, name, (g) => [g.reshape(sizes)])
  },
})

export const viewAs = (x: Tensor, other: Tensor): Tensor => view(x, other.sizes)
export const reshapeAs = (x: Tensor, other: Tensor): Tensor => reshape(x, other.sizes)

/** Joins dimensions startDim to endDim (inclusive) into one. */
export const flatten: (
  x: Tensor,
  ...args: Args<[startDim?: number, endDim?: number], { startDim?: number; endDim?: number }>
) => Tensor = op({
  name: 'flatten',
  signature: 'input, start_dim, end_dim',
  samples: (t) => [[t(2, 3, 4)], [t(2, 3, 4), 1], [t(2, 3, 4), 0, 1], [t()]],
  differentiable: true,
  forward: (x: Tensor, startDim = 0, endDim = -1) => {
    const first = wrapDim(startDim, x.ndim)
    const last = wrapDim(endDim, x.ndim)
    if (first > last) throw new RuntimeError('flatten() has invalid args: start_dim cannot come after end_dim')
    if (x.ndim === 0) return reshape(x, 1)
    if (first === last) return x
    const joined = numelOf(x.sizes.slice(first, last + 1))
    return reshape(x, [...x.sizes.slice(0, first), joined, ...x.sizes.slice(last + 1)])
  },
})

/** Splits dimension `dim` into `sizes`, one of which may be -1. */
export const unflatten: (x: Tensor, dim: number, sizes: Sizes) => Tensor = op({
  name: 'unflatten',
  signature: 'input, dim, sizes',
  samples: (t) => [
    [t(6, 2), 0, [2, 3]],
    [t(2, 6), -1, [-1, 2]],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, sizes: Sizes) => {
    const d = wrapDim(dim, x.ndim)
    return view(x, [...x.sizes.slice(0, d), ...inferSizes(sizes, x.sizes[d]), ...x.sizes.slice(d + 1)])
  },
})

const swapped = (list: Sizes, a: number, b: number): number[] => {
  const out = [...list]
  out[a] = list[b]
  out[b] = list[a]
  return out
}

/** Dimensions dim0 and dim1 exchanged. */
export const transpose: (x: Tensor, dim0: number, dim1: number) => Tensor = op({
  name: 'transpose',
  signature: 'input, dim0, dim1',
  samples: (t) => [
    [t(2, 3, 4), 0, 2],
    [t(3, 4), -1, -2],
    [t(), 0, 0],
  ],
  differentiable: true,
  forward: (x: Tensor, dim0: number, dim1: number) => {
    const a = wrapDim(dim0, x.ndim)
    const b = wrapDim(dim1, x.ndim)
    if (x.ndim === 0) return x
    return viewOf(x, swapped(x.sizes, a, b), swapped(x.strides, a, b), x.offset, 'TransposeBackward0', (g) => [
      transpose(g, a, b),
    ])
  },
  inPlace: (x: Tensor, dim0: number, dim1: number) => {
    const a = wrapDim(dim0, x.ndim)
    const b = wrapDim(dim1, x.ndim)
    if (x.ndim === 0) return x
    const before = snapshot(x)
    x.sizes = swapped(x.sizes, a, b)
    x.strides = swapped(x.strides, a, b)
    x.contiguousLayout = isContiguous(x.sizes, x.strides)
    return record(x, 'TransposeBackward0', [before], [], (g) => [transpose(g, a, b)])
  },
})
export const swapaxes = transpose
export const swapdims = transpose

/** The transpose of a matrix; a vector or a 0-d tensor is itself. */
export const t: (x: Tensor) => Tensor = op({
  name: 't',
  signature: 'input',
  samples: (t) => [[t(3, 4)], [t(3)], [t()]],
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.ndim > 2) throw new RuntimeError(`t() expects a tensor with <= 2 dimensions, but self is ${x.ndim}D`)
    if (x.ndim < 2) return x
    return viewOf(x, swapped(x.sizes, 0, 1), swapped(x.strides, 0, 1), x.offset, 'TBackward0', (g) => [t(g)])
  },
  inPlace: (x: Tensor) => {
    if (x.ndim > 2) throw new RuntimeError(`t_() expects a tensor with <= 2 dimensions, but self is ${x.ndim}D`)
    return x.ndim < 2 ? x : x.transpose_(0, 1)
  },
})

/** Dimensions in the order given. */
export const permute: (x: Tensor, ...dims: SizesArgs) => Tensor = op({
  name: 'permute',
  signature: 'input, a, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(2, 3, 4), 2, 0, 1],
    [t(2, 3), [1, 0]],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const list = sizesOf('permute', given)
    if (list.length !== x.ndim) {
      throw new RuntimeError(
        `permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = ${x.ndim} is not equal to len(dims) = ${list.length}`,
      )
    }
    const dims = list.length ? wrapDims(list, x.ndim) : []
    const back = dims.map((_, i) => dims.indexOf(i))
    const pick = (from: Sizes): number[] => dims.map((d) => from[d])
    return viewOf(x, pick(x.sizes), pick(x.strides), x.offset, 'PermuteBackward0', (g) => [permute(g, back)])
  },
})

/** Dimensions `source` moved to positions `destination`. */
export const movedim: (x: Tensor, source: number | Sizes, destination: number | Sizes) => Tensor = op({
  name: 'movedim',
  signature: 'input, source, destination',
  samples: (t) => [
    [t(2, 3, 4), 0, 2],
    [t(2, 3, 4), [0, 1], [2, 0]],
  ],
  differentiable: true,
  forward: (x: Tensor, source: number | Sizes, destination: number | Sizes) => {
    const from = wrapDims(source, x.ndim)
    const to = wrapDims(destination, x.ndim)
    if (from.length !== to.length) {
      throw new RuntimeError(
        `movedim: Invalid source or destination dims: source (${from.length} dims) should contain the same number of dims as destination (${to.length} dims)`,
      )
    }
    const order = new Array<number>(x.ndim).fill(-1)
    to.forEach((d, i) => {
      order[d] = from[i]
    })
    const rest = x.sizes.map((_, i) => i).filter((i) => !from.includes(i))
    return permute(
      x,
      order.map((d) => (d >= 0 ? d : (rest.shift() as number))),
    )
  },
})
export const moveaxis = movedim

/** Dimensions of size 1 repeated without copying; -1 keeps a size, new leading dimensions may be added. */
export const expand: (x: Tensor, ...sizes: SizesArgs) => Tensor = op({
  name: 'expand',
  signature: 'input, a, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(3, 1), 3, 4],
    [t(3), 2, -1],
    [t(), [2, 2]],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const target = [...sizesOf('expand', given)]
    const lead = target.length - x.ndim
    if (lead < 0) {
      throw new RuntimeError(
        `expand(torch.${x.dtype.title}Tensor{[${x.sizes.join(', ')}]}, size=[${target.join(', ')}]): the number of sizes provided (${target.length}) must be greater or equal to the number of dimensions in the tensor (${x.ndim})`,
      )
    }
    const strides = target.map((n, i) => {
      const own = i - lead
      if (own < 0) {
        if (n < 0)
          throw new RuntimeError(
            `The expanded size of the tensor (${n}) isn't allowed in a leading, non-existing dimension ${i}`,
          )
        return 0
      }
      if (n === -1) target[i] = x.sizes[own]
      else if (x.sizes[own] !== 1 && x.sizes[own] !== n) {
        throw new RuntimeError(
          `The expanded size of the tensor (${n}) must match the existing size (${x.sizes[own]}) at non-singleton dimension ${i}.  Target sizes: [${target.join(', ')}].  Tensor sizes: [${x.sizes.join(', ')}]`,
        )
      }
      return x.sizes[own] === 1 && target[i] !== 1 ? 0 : x.strides[own]
    })
    const like = shapeOf(x)
    return viewOf(x, target, strides, x.offset, 'ExpandBackward0', (g) => [reduceLike(g, like)])
  },
})
export const expandAs = (x: Tensor, other: Tensor): Tensor => expand(x, other.sizes)
export const broadcastTo: (x: Tensor, sizes: Sizes) => Tensor = op({
  name: 'broadcastTo',
  signature: 'input, size',
  samples: (t) => [[t(3, 1), [2, 3, 4]]],
  differentiable: true,
  forward: (x: Tensor, sizes: Sizes) => expand(x, sizes),
})

/** Without the dimensions of size 1, or without those of `dim` that are. */
export const squeeze: (x: Tensor, ...args: Args<[dim?: number | Sizes], { dim?: number | Sizes }>) => Tensor = op({
  name: 'squeeze',
  signature: 'input, dim',
  samples: (t) => [[t(1, 3, 1)], [t(1, 3, 1), 0], [t(1, 3, 1), [0, 2]], [t(2, 3), 1]],
  differentiable: true,
  forward: (x: Tensor, dim?: number | Sizes) => {
    const among =
      dim === undefined
        ? null
        : Array.isArray(dim) && dim.length === 0
          ? []
          : x.ndim === 0
            ? (wrapDims(dim, 1), [])
            : wrapDims(dim, x.ndim)
    const kept = x.sizes.map((_, i) => i).filter((i) => x.sizes[i] !== 1 || (among !== null && !among.includes(i)))
    const { sizes } = x
    const pick = (from: Sizes): number[] => kept.map((i) => from[i])
    const name = dim === undefined ? 'SqueezeBackward0' : 'SqueezeBackward1'
    return viewOf(x, pick(x.sizes), pick(x.strides), x.offset, name, (g) => [g.reshape(sizes)])
  },
})

/** With a dimension of size 1 inserted at `dim`. */
export const unsqueeze: (x: Tensor, dim: number) => Tensor = op({
  name: 'unsqueeze',
  signature: 'input, dim',
  samples: (t) => [
    [t(3, 4), 0],
    [t(3, 4), -1],
    [t(), 0],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number) => {
    const d = wrapDim(dim, x.ndim + 1)
    const stride = d < x.ndim ? x.sizes[d] * x.strides[d] : 1
    const sizes = [...x.sizes.slice(0, d), 1, ...x.sizes.slice(d)]
    const strides = [...x.strides.slice(0, d), stride, ...x.strides.slice(d)]
    return viewOf(x, sizes, strides, x.offset, 'UnsqueezeBackward0', (g) => [squeeze(g, d)])
  },
})

/** A view with sizes, strides and an offset of your own, in elements of the storage. */
export const asStrided: (x: Tensor, size: Sizes, stride: Sizes, storageOffset?: number) => Tensor = op({
  name: 'asStrided',
  signature: 'input, size, stride, storage_offset',
  samples: (t) => [
    [t(3, 4), [2, 2], [1, 4], 1],
    [t(5), [3, 3], [1, 1]],
  ],
  differentiable: true,
  forward: (x: Tensor, size: Sizes, stride: Sizes, storageOffset = x.offset) => {
    if (size.length !== stride.length) throw new RuntimeError('mismatch in length of strides and shape')
    const last = size.reduce((at, n, i) => at + Math.max(n - 1, 0) * stride[i], storageOffset)
    if (numelOf(size) > 0 && (last + 1) * x.dtype.itemsize > x.storage.bytes) {
      throw new RuntimeError(
        `setStorage: sizes [${size.join(', ')}], strides [${stride.join(', ')}], storage offset ${storageOffset}, and itemsize ${x.dtype.itemsize} requiring a storage size of ${(last + 1) * x.dtype.itemsize} are out of bounds for storage of size ${x.storage.bytes}`,
      )
    }
    const { sizes: baseSizes, strides: baseStrides, offset } = x
    const whole = [...size]
    const steps = [...stride]
    return viewOf(x, whole, steps, storageOffset, 'AsStridedBackward0', (g) => {
      const out = g.newEmptyStrided(baseSizes, baseStrides).zero_()
      addOverlapping(asStrided(out, whole, steps, storageOffset - offset), g)
      return [out]
    })
  },
})

/** Adds g into a view some of whose elements may be the same memory, one slice of the repeated dimensions at a time. */
function addOverlapping(target: Tensor, g: Tensor): void {
  const repeated = target.strides.findIndex((s, i) => target.sizes[i] > 1 && !separate(target, i, s))
  if (repeated < 0) {
    target.copy_(target.add(g))
    return
  }
  for (let i = 0; i < target.sizes[repeated]; i++) addOverlapping(target.select(repeated, i), g.select(repeated, i))
}

/** True if steps along dimension `dim` never land on an element that the dimensions of smaller stride reach. */
function separate(x: Tensor, dim: number, stride: number): boolean {
  let reach = 0
  x.strides.forEach((s, i) => {
    if (i !== dim && (s < stride || (s === stride && i > dim))) reach += s * (x.sizes[i] - 1)
  })
  return stride > reach
}

/** Elements start to start + length - 1 of dimension `dim`. */
export const narrow: (x: Tensor, dim: number, start: number, length: number) => Tensor = op({
  name: 'narrow',
  signature: 'input, dim, start, length',
  samples: (t) => [
    [t(3, 4), 1, 1, 2],
    [t(3, 4), 0, -2, 2],
    [t(3), 0, 3, 0],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, start: number, length: number) => {
    if (x.ndim === 0) throw new RuntimeError('narrow() cannot be applied to a 0-dim tensor.')
    const d = wrapDim(dim, x.ndim)
    const n = x.sizes[d]
    if (length < 0) throw new RuntimeError('narrow(): length must be non-negative.')
    if (start < -n || start > n) {
      throw new IndexError(`start out of range (expected to be in range of [${-n}, ${n}], but got ${start})`)
    }
    const first = start < 0 ? start + n : start
    if (first + length > n)
      throw new RuntimeError(`start (${first}) + length (${length}) exceeds dimension size (${n}).`)
    return sliceDim(x, d, first, first + length, 1)
  },
})

/** Every `step`-th element from `start` up to `end` (exclusive) of dimension `dim`; bounds clamp as in Python. */
export function sliceDim(x: Tensor, dim: number, start: number | null, end: number | null, step: number): Tensor {
  if (step <= 0) throw new RuntimeError('slice step must be positive')
  const n = x.sizes[dim]
  const clampTo = (v: number): number => Math.min(Math.max(v < 0 ? v + n : v, 0), n)
  const first = clampTo(start ?? 0)
  const last = Math.max(clampTo(end ?? n), first)
  const sizes = [...x.sizes]
  const strides = [...x.strides]
  sizes[dim] = Math.ceil((last - first) / step)
  strides[dim] *= step
  const whole = x.sizes
  return viewOf(x, sizes, strides, x.offset + first * x.strides[dim], 'SliceBackward0', (g) => {
    const out = g.newZeros(whole)
    sliceDim(out, dim, first, last, step).copy_(g)
    return [out]
  })
}

/** Element `index` of dimension `dim`, without that dimension. Throws IndexError if out of range. */
export const select: (x: Tensor, dim: number, index: number) => Tensor = op({
  name: 'select',
  signature: 'input, dim, index',
  samples: (t) => [
    [t(3, 4), 0, 1],
    [t(3, 4), 1, -1],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, index: number) => {
    if (x.ndim === 0) throw new IndexError('select() cannot be applied to a 0-dim tensor.')
    const d = wrapDim(dim, x.ndim)
    const n = x.sizes[d]
    if (index < -n || index >= n)
      throw new IndexError(`index ${index} is out of bounds for dimension ${d} with size ${n}`)
    const at = index < 0 ? index + n : index
    const drop = (list: Sizes): number[] => list.filter((_, i) => i !== d)
    const whole = x.sizes
    return viewOf(x, drop(x.sizes), drop(x.strides), x.offset + at * x.strides[d], 'SelectBackward0', (g) => {
      const out = g.newZeros(whole)
      select(out, d, at).copy_(g)
      return [out]
    })
  },
})

/** The slices along `dim`, without that dimension. */
export const unbind: (x: Tensor, ...args: Args<[dim?: number], { dim?: number }>) => Tensor[] = op({
  name: 'unbind',
  signature: 'input, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), 1]],
  differentiable: true,
  forward: (x: Tensor, dim = 0) => {
    const d = wrapDim(dim, x.ndim)
    if (x.ndim === 0) throw new RuntimeError('Dimension specified as 0 but tensor has no dimensions')
    return Array.from({ length: x.sizes[d] }, (_, i) => select(x, d, i))
  },
})

/** Pieces of `splitSize` along `dim` (the last may be smaller), or of the sizes listed. */
export const split: (
  x: Tensor,
  splitSize: number | Sizes,
  ...args: Args<[dim?: number], { dim?: number }>
) => Tensor[] = op({
  name: 'split',
  signature: 'input, split_size, dim',
  samples: (t) => [
    [t(5, 2), 2],
    [t(2, 5), [1, 4], 1],
  ],
  differentiable: true,
  forward: (x: Tensor, splitSize: number | Sizes, dim = 0) => {
    const d = wrapDim(dim, x.ndim)
    const n = x.sizes[d]
    if (typeof splitSize === 'number') {
      if (splitSize < 0 || (splitSize === 0 && n > 0))
        throw new RuntimeError(`split expects split_size be non-negative, but got split_size=${splitSize}`)
      const pieces = Math.max(Math.ceil(n / Math.max(splitSize, 1)), 1)
      return Array.from({ length: pieces }, (_, i) =>
        sliceDim(x, d, i * splitSize, Math.min((i + 1) * splitSize, n), 1),
      )
    }
    const total = splitSize.reduce((a, b) => a + b, 0)
    if (total !== n) {
      throw new RuntimeError(
        `split_with_sizes expects split_sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got split_sizes=[${splitSize.join(', ')}]`,
      )
    }
    let at = 0
    return splitSize.map((size) => sliceDim(x, d, at, (at += size), 1))
  },
})

/** `chunks` pieces along `dim`, as equal as PyTorch makes them. */
export const chunk: (x: Tensor, chunks: number, ...args: Args<[dim?: number], { dim?: number }>) => Tensor[] = op({
  name: 'chunk',
  signature: 'input, chunks, dim',
  samples: (t) => [
    [t(5, 2), 2],
    [t(2, 5), 3, 1],
  ],
  differentiable: true,
  forward: (x: Tensor, chunks: number, dim = 0) => {
    if (!(chunks > 0)) throw new RuntimeError(`chunk expects \`chunks\` to be greater than 0, got: ${chunks}`)
    const d = wrapDim(dim, x.ndim)
    const size = Math.ceil(x.sizes[d] / chunks)
    if (size === 0) return Array.from({ length: chunks }, () => sliceDim(x, d, 0, 0, 1))
    return split(x, size, d)
  },
})

/** The diagonal of dimensions dim1 and dim2, `offset` above the main one, as the last dimension. */
export const diagonal: (
  x: Tensor,
  ...args: Args<[offset?: number, dim1?: number, dim2?: number], { offset?: number; dim1?: number; dim2?: number }>
) => Tensor = op({
  name: 'diagonal',
  signature: 'input, offset, dim1, dim2',
  samples: (t) => [[t(3, 4)], [t(3, 4), 1], [t(2, 3, 3), -1, 1, 2]],
  differentiable: true,
  forward: (x: Tensor, offset = 0, dim1 = 0, dim2 = 1) => {
    const a = wrapDim(dim1, x.ndim)
    const b = wrapDim(dim2, x.ndim)
    if (a === b) throw new RuntimeError(`diagonal dimensions cannot be identical ${dim1}, ${dim2}`)
    const rows = offset < 0 ? x.sizes[a] + offset : x.sizes[a]
    const columns = offset > 0 ? x.sizes[b] - offset : x.sizes[b]
    const n = Math.max(Math.min(rows, columns), 0)
    const start = n === 0 ? 0 : offset >= 0 ? offset * x.strides[b] : -offset * x.strides[a]
    const rest = (list: Sizes): number[] => list.filter((_, i) => i !== a && i !== b)
    const whole = x.sizes
    const strides = [...rest(x.strides), x.strides[a] + x.strides[b]]
    return viewOf(x, [...rest(x.sizes), n], strides, x.offset + start, 'DiagonalBackward0', (g) => {
      const out = g.newZeros(whole)
      diagonal(out, offset, a, b).copy_(g)
      return [out]
    })
  },
})

/** A copy with its own storage, in row-major order. */
export const clone: (x: Tensor) => Tensor = op({
  name: 'clone',
  signature: 'input, *, memory_format',
  samples: (t) => [[t(3, 4)], [t(3, 4).t()], [t()]],
  differentiable: true,
  forward: (x: Tensor) => {
    const out = emptyLike(x)
    copyValues(x, out)
    return record(out, 'CloneBackward0', [x], [], (g) => [g])
  },
})

/** Itself if its elements lie in row-major order, else a copy that does. */
export const contiguous: (x: Tensor) => Tensor = op({
  name: 'contiguous',
  signature: 'input, *, memory_format',
  samples: (t) => [[t(3, 4).t()], [t(3, 4)]],
  differentiable: true,
  forward: (x: Tensor) => (x.contiguousLayout ? x : clone(x)),
})

/** The same memory without history; no gradient flows through it. */
export const detach: (x: Tensor) => Tensor = op({
  name: 'detach',
  signature: 'input',
  forward: (x: Tensor) => alias(x, x.sizes, x.strides, x.offset),
  inPlace: (x: Tensor) => {
    if (x.base) throw new RuntimeError("Can't detach views in-place. Use detach() instead.")
    x.node = null
    if (x.leaf) x.leaf.requiresGrad = false
    return x
  },
})

interface ToOptions {
  readonly dtype?: DType
  readonly device?: unknown
  readonly copy?: boolean
  readonly nonBlocking?: boolean
}

/** The same values as `dtype`; itself if it has it already. A device may be given: there is only 'cpu'. */
export const to: (x: Tensor, ...args: (DType | Tensor | string | object | boolean | ToOptions)[]) => Tensor = op({
  name: 'to',
  signature: 'input, a, b, c, d, *, dtype, device, copy, non_blocking',
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    let dtype: DType = (given[4] as DType | undefined) ?? x.dtype
    for (const arg of given.slice(0, 4)) {
      if (arg instanceof DTypeClass) dtype = arg
      else if (arg instanceof Tensor) dtype = arg.dtype
    }
    const device = given[5] ?? given.slice(0, 4).find((a) => typeof a === 'string')
    if (
      device !== undefined &&
      String(device) !== 'cpu' &&
      String((device as { type?: string }).type ?? device) !== 'cpu'
    ) {
      throw new RuntimeError(`to(): there is no device '${String(device)}' here; tensors live on 'cpu'`)
    }
    if (dtype === x.dtype) return given[6] === true ? clone(x) : x
    const out = emptyLike(x, dtype)
    copyValues(x, out)
    const from = x.dtype
    return record(out, 'ToCopyBackward0', [x], [], (g) => [to(g, from)])
  },
})
export const type = (x: Tensor, dtype: DType): Tensor => to(x, dtype)
export const typeAs = (x: Tensor, other: Tensor): Tensor => to(x, other.dtype)

/** Copies `src` (broadcast, converted) into `x`. */
export function copy_(x: Tensor, src: Tensor): Tensor {
  checkBroadcast(src, x.sizes)
  const recorded = isGradEnabled() && (requiresGrad(x) || requiresGrad(src))
  const before = recorded ? snapshot(x) : x
  const source = src.storage === x.storage ? clone(src.detach()) : src
  changeInPlace(x)
  copyValues(source, x)
  if (!recorded) return x
  const like = shapeOf(src)
  return record(x, 'CopyBackwards', [before, src], [], (g, _s, needs) => [
    needs[0] ? g.newZeros(g.sizes) : null,
    needs[1] ? reduceLike(g, like) : null,
  ])
}

/** Throws RuntimeError with PyTorch's message if `x`, broadcast, does not have `sizes`. */
export function checkBroadcast(x: Tensor, sizes: Sizes): void {
  if (!sameSizes(x.sizes, sizes)) expand(x.detach(), sizes)
}

/** Uninitialised memory with strides of your own, covering exactly what they reach. */
export function newEmptyStrided(x: Tensor, sizes: Sizes, strides: Sizes): Tensor {
  const reach = numelOf(sizes) === 0 ? 0 : sizes.reduce((n, s, i) => n + (s - 1) * strides[i], 1)
  return alias(empty([reach], x.dtype), sizes, strides, 0)
}

/** Uninitialised, like `x` in dtype. */
export function newEmpty(x: Tensor, sizes: Sizes, options: { dtype?: DType } = {}): Tensor {
  return empty(sizes, options.dtype ?? x.dtype)
}
