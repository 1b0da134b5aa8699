// Copies: independent, contiguous, of another dtype, into another tensor; and detach, which copies nothing.
import { type DType, DType as DTypeClass, dtypes } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { op } from '../tensor/define.ts'
import { copyValues, snapshot } from '../tensor/elementwise.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { alias, empty, emptyLike, Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'

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
    // The usual call, without a look for a device.
    if (given.length === 1 && given[0] instanceof DTypeClass) return converted(x, given[0])
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
    return dtype === x.dtype && given[6] === true ? clone(x) : converted(x, dtype)
  },
})

function converted(x: Tensor, dtype: DType): Tensor {
  const from = x.dtype
  if (dtype === from) return x
  const out = emptyLike(x, dtype)
  copyValues(x, out)
  return requiresGrad(x) ? record(out, 'ToCopyBackward0', [x], [], (g) => [to(g, from)]) : out
}

/** `x.type()` is PyTorch's name of the type; with a dtype, a constructor or its name, the conversion. */
export interface TypeMethod {
  (): string
  (dtype: DType | string | { readonly dtype: DType }): Tensor
}

/** See `TypeMethod`. Throws ValueError for a name that is none. */
export function type(x: Tensor, dtype?: DType | string | { readonly dtype: DType }): Tensor | string {
  if (dtype === undefined) return `torch.${x.dtype.title}Tensor`
  if (dtype instanceof DTypeClass) return to(x, dtype)
  if (typeof dtype !== 'string') return to(x, dtype.dtype)
  const found = dtypes.find((d) => dtype === `torch.${d.title}Tensor` || dtype === String(d))
  if (!found) throw new ValueError(`invalid type: '${dtype}'`)
  return to(x, found)
}

/** In the dtype of `other`. */
export const typeAs = (x: Tensor, other: Tensor): Tensor => to(x, other.dtype)

/** Copies `src` (broadcast, converted) into `x`. */
export function copy_(x: Tensor, src: Tensor): Tensor {
  src.detach().expand(x.sizes) // throws if the shapes do not fit, before anything is changed
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

/** Uninitialised memory with strides of your own, covering exactly what they reach. */
export function newEmptyStrided(x: Tensor, sizes: Sizes, strides: Sizes): Tensor {
  const reach = numelOf(sizes) === 0 ? 0 : sizes.reduce((n, s, i) => n + (s - 1) * strides[i], 1)
  return alias(empty([reach], x.dtype), sizes, strides, 0)
}

/** Uninitialised, like `x` in dtype. */
export function newEmpty(x: Tensor, sizes: Sizes, options: { dtype?: DType } = {}): Tensor {
  return empty(sizes, options.dtype ?? x.dtype)
}
