// Undoing a broadcast: what a gradient goes through on its way to an operand.
import type { DType } from '../base/dtype.ts'
import { type Sizes, sameSizes } from '../base/shape.ts'
import type { Tensor } from './tensor.ts'

/** What undoing a broadcast needs to know of an operand, without keeping its memory. */
export interface Shaped {
  readonly sizes: Sizes
  readonly dtype: DType
}

export function shapeOf(x: Tensor): Shaped {
  return { sizes: x.sizes, dtype: x.dtype }
}

/** Sums a gradient over the dimensions that broadcasting added or repeated, and gives it the operand's dtype. */
export function reduceLike(g: Tensor, like: Shaped): Tensor {
  return reduced(g, like.sizes, like.dtype)
}

/** Sums `g` to `sizes`, and gives it `dtype`. */
export function reduced(g: Tensor, sizes: Sizes, dtype: DType): Tensor {
  const cast = g.dtype === dtype ? g : g.to(dtype)
  return sameSizes(cast.sizes, sizes) ? cast : cast.sumToSize(sizes)
}
