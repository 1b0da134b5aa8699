// Parameters: the tensors that a module learns and an optimizer changes.
import type { DType } from '../base/dtype.ts'
import { getDefaultDtype } from '../base/dtype.ts'
import type { Sizes } from '../base/shape.ts'
import { requireGrad } from '../ops/create.ts'
import { type Args, bind, checkSizes, parse, sizesOf } from '../tensor/define.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { tracer } from '../tensor/tracer.ts'

const signature = parse('data, requires_grad')
const bufferSignature = parse('data, *, persistent')

/**
 * A leaf tensor that a module finds on its own properties. It shares the memory of `data` (an empty tensor if absent)
 * and requires a gradient unless told otherwise.
 */
export class Parameter extends Tensor {
  constructor(...args: Args<[data?: Tensor, requiresGrad?: boolean], { data?: Tensor; requiresGrad?: boolean }>) {
    const [data = empty([0], getDefaultDtype()), requiresGrad = true] = bind('Parameter', signature, args) as [
      Tensor?,
      boolean?,
    ]
    if (!(data instanceof Tensor))
      throw new TypeError(`Parameter(): argument 'data' must be Tensor, not ${typeof data}`)
    super(data.storage, data.sizes, data.strides, data.offset, data.dtype, data.count, data.contiguousLayout)
    if (requiresGrad) requireGrad(this, true)
  }

  override toString(): string {
    return `Parameter containing:\n${Tensor.prototype.toString.call(this)}`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** A tensor that a module finds on its own properties as a buffer: part of its state, and not learned. */
export class Buffer extends Tensor {
  /** False keeps it out of the state dict. */
  readonly persistent: boolean

  constructor(...args: Args<[data?: Tensor], { readonly data?: Tensor; readonly persistent?: boolean }>) {
    const [data = empty([0], getDefaultDtype()), persistent = true] = bind('Buffer', bufferSignature, args) as [
      Tensor?,
      boolean?,
    ]
    super(data.storage, data.sizes, data.strides, data.offset, data.dtype, data.count, data.contiguousLayout)
    this.persistent = persistent
  }
}

/** A parameter of uninitialised memory, of the default dtype if none is given. */
export function emptyParameter(sizes: Sizes, dtype?: DType | null): Parameter {
  return new Parameter(empty(checkSizes('empty', sizesOf('empty', [sizes])), dtype ?? getDefaultDtype()))
}

/** Gives `x` the memory, sizes and dtype of `data` and keeps it the same object, as PyTorch's `x.data = data`. */
export function setData(x: Tensor, data: Tensor): void {
  const target = x as { -readonly [K in keyof Tensor]: Tensor[K] }
  target.storage = data.storage
  target.sizes = data.sizes
  target.strides = data.strides
  target.offset = data.offset
  target.dtype = data.dtype
  target.count = data.count
  target.contiguousLayout = data.contiguousLayout
}

/** Moves a parameter or buffer, and its gradient, to what `change` makes of its values. */
export function changeData(x: Tensor, change: (values: Tensor) => Tensor): void {
  setData(x, change(x.detach()))
  const leaf = x.leaf
  if (!leaf) return
  if (leaf.grad) setData(leaf.grad, change(leaf.grad.detach()))
}

/** Forgets a parameter's gradient, or with `setToNone` false sets it to zero. */
export function forgetGrad(p: Tensor, setToNone: boolean): void {
  if (tracer !== null && setToNone) tracer.gradCleared(p)
  const grad = p.leaf?.grad
  if (!grad) return
  p.grad = setToNone ? null : grad.detach().zero_()
}
