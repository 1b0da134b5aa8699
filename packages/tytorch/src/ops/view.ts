// Views of other shapes over the same storage, each with the view that undoes it as its gradient.
import { type DType, DType as DTypeClass } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { inferSizes, isContiguous, numelOf, type Sizes, viewStrides, wrapDim, wrapDims } from '../base/shape.ts'
import { type Args, op, sizesOf } from '../tensor/define.ts'
import { snapshot } from '../tensor/elementwise.ts'
import { type BackwardOne, record } from '../tensor/node.ts'
import { alias, type Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'
import { clone } from './copy.ts'

// Views: other shapes and strides over the same storage, each with the view that undoes it as its gradient; and the
// copies that make a tensor contiguous, independent, or of another dtype.

/** A recorded view of `x`. */
export function viewOf(
  x: Tensor,
  sizes: Sizes,
  strides: Sizes,
  offset: number,
  name: string,
  backward: BackwardOne,
): Tensor {
  const out = alias(x, sizes, strides, offset)
  out.base = x.base ?? x
  out.baseVersion = x.storage.version
  return record(out, name, [x], [], backward)
}

/** Sizes (dimensions) one by one, as one array, or by PyTorch's name. */
export type SizesArgs<K extends string = 'size'> = number[] | [sizes: Sizes] | [options: { readonly [P in K]: Sizes }]

/** The same elements with other sizes, one of which may be -1; never copies. Throws RuntimeError if it would have to. */
export const view: (x: Tensor, ...sizes: SizesArgs | [dtype: DType] | [options: { readonly dtype: DType }]) => Tensor =
  op({
    name: 'view',
    signature: 'input, size, b, c, d, e, f, g, h, *, dtype',
    samples: (t) => [
      [t(3, 4), 4, 3],
      [t(3, 4), -1],
      [t(2, 6), [3, 2, 2]],
      [t(0, 3), 3, 0],
      [t(), 1],
    ],
    differentiable: true,
    forward: (x: Tensor, ...given: unknown[]) => {
      const dtype = given[8] ?? given[0]
      if (dtype instanceof DTypeClass) return viewDtype(x, dtype)
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
export const reshape: (x: Tensor, ...sizes: SizesArgs<'shape'>) => Tensor = op({
  name: 'reshape',
  signature: 'input, shape, b, c, d, e, f, g, h',
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

/** `view` with the sizes of `other`. */
export const viewAs = (x: Tensor, other: Tensor): Tensor => view(x, other.sizes)

/** `reshape` to the sizes of `other`. */
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

/** A view with dimensions dim0 and dim1 exchanged. Throws IndexError for a dimension that is not there. */
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
    if (x.ndim === 0) return viewOf(x, [], [], x.offset, 'TransposeBackward0', (g) => [g])
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
    return record(x, 'TransposeBackward1', [before], [], (g) => [transpose(g, a, b)])
  },
})

/** As `transpose`. */
export const swapaxes = transpose

/** As `transpose`. */
export const swapdims = transpose

/** The transpose of a matrix; a vector or a 0-d tensor is itself. */
export const t: (x: Tensor) => Tensor = op({
  name: 't',
  signature: 'input',
  inPlaceNode: 'TBackward1',
  samples: (t) => [[t(3, 4)], [t(3)], [t()]],
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.ndim > 2) throw new RuntimeError(`t() expects a tensor with <= 2 dimensions, but self is ${x.ndim}D`)
    if (x.ndim < 2) return viewOf(x, x.sizes, x.strides, x.offset, 'TBackward0', (g) => [t(g)])
    return viewOf(x, swapped(x.sizes, 0, 1), swapped(x.strides, 0, 1), x.offset, 'TBackward0', (g) => [t(g)])
  },
  inPlace: (x: Tensor) => {
    if (x.ndim > 2) throw new RuntimeError(`t_() expects a tensor with <= 2 dimensions, but self is ${x.ndim}D`)
    return x.ndim < 2 ? x : x.transpose_(0, 1)
  },
})

/** A view with the dimensions in the order given, each exactly once. Throws RuntimeError otherwise. */
export const permute: (x: Tensor, ...dims: SizesArgs<'dims'>) => Tensor = op({
  name: 'permute',
  signature: 'input, dims, b, c, d, e, f, g, h',
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

/** As `movedim`. */
export const moveaxis = movedim

/** Dimensions of size 1 repeated without copying; -1 keeps a size, new leading dimensions may be added. */
export const expand: (x: Tensor, ...sizes: SizesArgs) => Tensor = op({
  name: 'expand',
  signature: 'input, size, b, c, d, e, f, g, h',
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

/** `expand` to the sizes of `other`. */
export const expandAs = (x: Tensor, other: Tensor): Tensor => expand(x, other.sizes)

/** `expand` to `size`. */
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
    // A 0-d tensor may be asked for dimension 0 or -1; no dimensions at all leave the shape as it is.
    const listed = dim === undefined ? [] : wrapDims(dim, Math.max(x.ndim, 1))
    const among = dim === undefined ? null : Array.isArray(dim) && dim.length === 0 ? [] : listed
    const kept = x.sizes.map((_, i) => i).filter((i) => x.sizes[i] !== 1 || (among !== null && !among.includes(i)))
    const { sizes } = x
    const pick = (from: Sizes): number[] => kept.map((i) => from[i])
    const name = `SqueezeBackward${dim === undefined ? 0 : typeof dim === 'number' ? 1 : 2}`
    return viewOf(x, pick(x.sizes), pick(x.strides), x.offset, name, (g) => [g.reshape(sizes)])
  },
})

/** A view with a dimension of size 1 inserted at `dim`, from -ndim - 1 to ndim. */
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
