// What lazy layers share: parameters that get their sizes when a layer sees its first input, or loads a state dict.
import { type DType, getDefaultDtype } from '../base/dtype.ts'
import type { Sizes } from '../base/shape.ts'
import { empty } from '../tensor/tensor.ts'
import { Parameter, setData } from './parameter.ts'

/** A parameter without sizes and values yet. */
export class UninitializedParameter extends Parameter {
  constructor(dtype?: DType | null) {
    super(empty([0], dtype ?? getDefaultDtype()))
  }

  /** Gives it uninitialised memory; it is an ordinary parameter from then on. */
  materialize(sizes: Sizes): void {
    setData(this, empty(sizes, this.dtype))
    Object.setPrototypeOf(this, Parameter.prototype)
  }

  override toString(): string {
    return '<UninitializedParameter>'
  }
}
