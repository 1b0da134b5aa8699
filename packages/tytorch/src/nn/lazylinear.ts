// A linear layer that learns the number of its inputs from its first input, and then becomes an ordinary one.
import type { DType } from '../base/dtype.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { UninitializedParameter } from './lazy.ts'
import { Linear, type LinearOptions } from './linear.ts'

/** A `Linear` whose input features are those of its first input. */
export class LazyLinear extends Linear {
  constructor(outFeatures: number, ...rest: Args<[bias?: boolean], LinearOptions>) {
    const [, bias = true, , dtype] = named<[number, boolean, unknown, DType | null]>(
      'LazyLinear',
      'out_features, bias, device, dtype',
      [outFeatures, ...rest],
    )
    super(0, 0, false)
    const own = this as { -readonly [K in keyof Linear]: Linear[K] }
    own.outFeatures = outFeatures
    own.weight = new UninitializedParameter(dtype)
    if (bias) own.bias = new UninitializedParameter(dtype)
  }

  override resetParameters(): void {
    if (this.inFeatures > 0) super.resetParameters()
  }

  override forward(input: Tensor): Tensor {
    const own = this as { -readonly [K in keyof Linear]: Linear[K] }
    const fresh = this.weight instanceof UninitializedParameter
    own.inFeatures = input.size(-1)
    if (this.weight instanceof UninitializedParameter) this.weight.materialize([this.outFeatures, this.inFeatures])
    if (this.bias instanceof UninitializedParameter) this.bias.materialize([this.outFeatures])
    Object.setPrototypeOf(this, Linear.prototype)
    if (fresh) this.resetParameters()
    return this.forward(input)
  }
}
