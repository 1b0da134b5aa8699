// Views of a part of a tensor: slices, single rows, pieces, diagonals, and strides of one's own.
import { IndexError, RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { recordAll } from '../tensor/node.ts'
import { alias, type Tensor } from '../tensor/tensor.ts'
import { cat, stack } from './join.ts'
import { viewOf } from './view.ts'

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

/** The number in a 0-d tensor of integers, which `narrow` takes for its start. */
function startOf(start: Tensor): number {
  if (start.ndim !== 0 || start.dtype.kind !== 'int') throw new RuntimeError('start must be an 0-dim integral Tensor.')
  return Number(start.item())
}

/** Elements start to start + length - 1 of dimension `dim`. */
export const narrow: (x: Tensor, dim: number, start: number | Tensor, length: number) => Tensor = op({
  name: 'narrow',
  signature: 'input, dim, start, length',
  samples: (t) => [
    [t(3, 4), 1, 1, 2],
    [t(3, 4), 0, -2, 2],
    [t(3), 0, 3, 0],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, from: number | Tensor, length: number) => {
    if (x.ndim === 0) throw new RuntimeError('narrow() cannot be applied to a 0-dim tensor.')
    const start = typeof from === 'number' ? from : startOf(from)
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
    const sizes: number[] = []
    const strides: number[] = []
    for (let i = 0; i < x.sizes.length; i++) {
      if (i === d) continue
      sizes.push(x.sizes[i])
      strides.push(x.strides[i])
    }
    const whole = x.sizes
    return viewOf(x, sizes, strides, x.offset + at * x.strides[d], 'SelectBackward0', (g) => {
      const out = g.newZeros(whole)
      select(out, d, at).copy_(g)
      return [out]
    })
  },
})

/** Views of `x` that are recorded as the outputs of one operation; each piece has its sizes, strides and offset. */
function viewsOf(
  x: Tensor,
  pieces: readonly { readonly sizes: Sizes; readonly strides: Sizes; readonly offset: number }[],
  name: string,
  backward: (grads: Tensor[]) => Tensor,
): Tensor[] {
  const views = pieces.map(({ sizes, strides, offset }) => {
    const out = alias(x, sizes, strides, offset)
    out.base = x.base ?? x
    out.baseVersion = x.storage.version
    return out
  })
  recordAll(views, name, [x], [], (grads) => {
    const like = grads.find((g) => g !== null) as Tensor
    return [backward(pieces.map(({ sizes }, i) => grads[i] ?? like.newZeros(sizes)))]
  })
  return views
}

/** Consecutive pieces of these sizes along dimension `d`. */
function cutInto(x: Tensor, d: number, sizes: readonly number[], name: string): Tensor[] {
  let at = 0
  const pieces = sizes.map((n) => {
    const first = Math.min(at, x.sizes[d])
    at += n
    const length = Math.min(n, x.sizes[d] - first)
    return { sizes: x.sizes.with(d, length), strides: x.strides, offset: x.offset + first * x.strides[d] }
  })
  return viewsOf(x, pieces, name, (grads) => cat(grads, d))
}

/** The slices along `dim`, without that dimension. */
export const unbind: (x: Tensor, ...args: Args<[dim?: number], { dim?: number }>) => Tensor[] = op({
  name: 'unbind',
  signature: 'input, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), 1]],
  differentiable: true,
  forward: (x: Tensor, dim = 0) => {
    const d = wrapDim(dim, x.ndim)
    if (x.ndim === 0) throw new RuntimeError('Dimension specified as 0 but tensor has no dimensions')
    const [sizes, strides] = [x.sizes.toSpliced(d, 1), x.strides.toSpliced(d, 1)]
    const pieces = Array.from({ length: x.sizes[d] }, (_, i) => ({
      sizes,
      strides,
      offset: x.offset + i * x.strides[d],
    }))
    return viewsOf(x, pieces, 'UnbindBackward0', (grads) => stack(grads, d))
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
      return cutInto(x, d, new Array<number>(pieces).fill(splitSize), 'SplitBackward0')
    }
    const total = splitSize.reduce((a, b) => a + b, 0)
    if (total !== n) {
      throw new RuntimeError(
        `split_with_sizes expects split_sizes to sum exactly to ${n} (input tensor's size at dimension ${d}), but got split_sizes=[${splitSize.join(', ')}]`,
      )
    }
    return cutInto(x, d, splitSize, 'SplitWithSizesBackward0')
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
    if (size === 0) return cutInto(x, d, new Array<number>(chunks).fill(0), 'SplitWithSizesBackward0')
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
