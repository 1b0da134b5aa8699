// Tensors changed element by element by a function, on their diagonal, and in their own sizes and memory.
import { encode } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { contiguousStrides, isContiguous, numelOf, type Sizes } from '../base/shape.ts'
import { type Num, sizesOf } from '../tensor/define.ts'
import { copyValues, snapshot } from '../tensor/elementwise.ts'
import { readsValues } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { asStrided as asStridedView } from './slice.ts'
import { squeeze, unsqueeze } from './view.ts'

/** Sets every element of `x` to what `change` makes of it and of the elements of the others. */
function changeEach(name: string, x: Tensor, others: readonly Tensor[], change: (...values: never[]) => Num): Tensor {
  if (requiresGrad(x) || others.some(requiresGrad)) {
    throw new RuntimeError(`Can't call ${name}() on Variable that requires grad. Use var.detach().${name}() instead.`)
  }
  if (typeof change !== 'function') throw new TypeError(`'${typeof change}' object is not callable`)
  for (const other of others) {
    if (other.dtype !== x.dtype) {
      throw new TypeError(
        `${name}: expected torch.${x.dtype.title}Tensor for 'other' (got torch.${other.dtype.title}Tensor)`,
      )
    }
  }
  readsValues(name)
  changeInPlace(x)
  const { dtype, count } = x
  const read = others.map((t) => t.expand(x.sizes))
  const made = Array.from({ length: count }, (_, i) =>
    encode(dtype, change(...([x.value(i), ...read.map((t) => t.value(i))] as never[]))),
  )
  const packed = empty(x.sizes, dtype)
  const raw = packed.raw() as unknown as (number | bigint)[]
  for (let i = 0; i < count; i++) raw[i] = made[i]
  copyValues(packed, x)
  return x
}

/** Sets every element to `callable` of it. Slow: for tests and odd jobs. Throws RuntimeError where gradients are recorded. */
export const apply_ = (x: Tensor, callable: (value: number) => Num): Tensor => changeEach('apply_', x, [], callable)

/** Sets every element to `callable` of it and of the element of `tensor` (broadcast). See `apply_`. */
export const map_ = (x: Tensor, tensor: Tensor, callable: (a: number, b: number) => Num): Tensor =>
  changeEach('map_', x, [tensor], callable)

/** As `map_` with two more tensors. */
export const map2_ = (x: Tensor, a: Tensor, b: Tensor, callable: (x: number, a: number, b: number) => Num): Tensor =>
  changeEach('map2_', x, [a, b], callable)

/**
 * Sets the main diagonal, x[i, i, ...], to `fillValue`; with `wrap` it starts again below a tall matrix's last column.
 * Throws RuntimeError for fewer than 2 dimensions, and for more of different lengths.
 */
export function fillDiagonal_(x: Tensor, fillValue: Num, wrap: boolean | { readonly wrap?: boolean } = false): Tensor {
  const again = typeof wrap === 'boolean' ? wrap : (wrap.wrap ?? false)
  if (x.ndim < 2) throw new RuntimeError('dimensions must larger than 1')
  if (x.ndim > 2 && x.sizes.some((n) => n !== x.sizes[0]))
    throw new RuntimeError('all dimensions of input must be of equal length')
  const step = x.strides.reduce((a, b) => a + b, 0)
  const size = Math.min(...x.sizes)
  asStridedView(x, [size], [step], x.offset).fill_(fillValue)
  const [rows, columns] = x.sizes
  if (again && x.ndim === 2 && rows > columns + 1) {
    const offset = x.strides[0] * (columns + 1)
    const rest = rows - columns - 1
    // One element in each of the blocks of columns + 1 rows that follow.
    for (let start = 0; start < rest; start += columns + 1) {
      const length = Math.min(columns, rest - start)
      asStridedView(x, [length], [step], x.offset + offset + x.strides[0] * start).fill_(fillValue)
    }
  }
  return x
}

/** PyTorch's names of views that change the tensor itself. */
const IN_PLACE: Readonly<Record<string, string>> = {
  SqueezeBackward0: 'SqueezeBackward3',
  SqueezeBackward1: 'SqueezeBackward4',
  SqueezeBackward2: 'SqueezeBackward5',
  UnsqueezeBackward0: 'UnsqueezeBackward1',
  AsStridedBackward0: 'AsStridedBackward1',
}

/** Gives `x` the geometry of a view of it; the gradient of the view is that of `x` from now on. */
function reshaped(x: Tensor, view: (from: Tensor) => Tensor): Tensor {
  const seen = view(snapshot(x))
  x.sizes = seen.sizes
  x.strides = seen.strides
  x.offset = seen.offset
  x.count = seen.count
  x.contiguousLayout = isContiguous(x.sizes, x.strides)
  const { gradFn } = seen
  if (!gradFn) return x
  record(x, IN_PLACE[gradFn.name] ?? gradFn.name, [seen], [], (g) => [g])
  x.node?.showAs(x.node.name, gradFn.nextFunctions)
  return x
}

/** `squeeze` of `x` itself: its sizes change, not its elements. */
export const squeeze_ = (x: Tensor, ...args: Parameters<typeof squeeze> extends [Tensor, ...infer R] ? R : never) =>
  reshaped(x, (from) => squeeze(from, ...args))

/** `unsqueeze` of `x` itself: its sizes change, not its elements. */
export const unsqueeze_ = (x: Tensor, dim: number): Tensor => reshaped(x, (from) => unsqueeze(from, dim))

/** `asStrided` of `x` itself: its sizes and strides change, not its elements. */
export const asStrided_ = (x: Tensor, size: Sizes, stride: Sizes, storageOffset?: number): Tensor =>
  reshaped(x, (from) => asStridedView(from, size, stride, storageOffset))

/**
 * Gives `x` other sizes in row-major order; elements keep their places in memory, new ones are undefined. Throws
 * RuntimeError where gradients are recorded.
 */
export function resize_(x: Tensor, ...given: number[] | [size: Sizes]): Tensor {
  if (isGradEnabled() && requiresGrad(x)) throw new RuntimeError('cannot resize variables that require grad')
  const sizes = sizesOf('resize_', given)
  const count = numelOf(sizes)
  if ((x.offset + count) * x.dtype.itemsize > x.storage.bytes) {
    const grown = empty([x.offset + count], x.dtype)
    const kept = Math.floor(x.storage.bytes / x.dtype.itemsize)
    copyValues(alias(x, [kept], [1], 0), alias(grown, [kept], [1], 0))
    x.storage = grown.storage
  }
  x.storage.version++
  x.sizes = sizes
  x.strides = contiguousStrides(sizes)
  x.count = count
  x.contiguousLayout = true
  return x
}

/** `resize_` to the sizes of another. */
export const resizeAs_ = (x: Tensor, template: Tensor): Tensor => resize_(x, template.sizes)

/**
 * Makes `x` a view of `source`'s memory, with its sizes and strides unless others are given. Throws RuntimeError for
 * another dtype, and for a leaf that requires a gradient.
 */
export function set_(x: Tensor, source: Tensor, storageOffset = source.offset, size?: Sizes, stride?: Sizes): Tensor {
  if (source.dtype !== x.dtype) {
    throw new RuntimeError(
      `Could not set tensor of type ${source.dtype.title} to a tensor of type ${x.dtype.title}; both must have the same dtype`,
    )
  }
  if (isGradEnabled() && requiresGrad(x))
    throw new RuntimeError('a leaf Variable that requires grad is being used in an in-place operation.')
  const sizes = size ?? source.sizes
  const seen = asStridedView(
    source.detach(),
    sizes,
    stride ?? (size ? contiguousStrides(sizes) : source.strides),
    storageOffset,
  )
  x.storage = seen.storage
  x.sizes = seen.sizes
  x.strides = seen.strides
  x.offset = seen.offset
  x.count = seen.count
  x.contiguousLayout = seen.contiguousLayout
  x.storage.version++
  return x
}
