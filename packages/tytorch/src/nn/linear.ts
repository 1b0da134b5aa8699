// Linear layers.
import type { DType } from '../base/dtype.ts'
import { formatArguments } from '../base/format.ts'
import { linear } from '../ops/linear.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { kaimingUniform_, uniform_ } from './init.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

export interface LinearOptions {
  /** False leaves the additive term out. */
  readonly bias?: boolean
  readonly dtype?: DType | null
  readonly device?: unknown
}

/** y = x W^T + b, for x [*, in], W [out, in] and b [out], both drawn uniformly from +-1 / sqrt(in). */
export class Linear extends Module {
  readonly inFeatures: number
  readonly outFeatures: number
  weight: Parameter
  bias: Parameter | null

  constructor(inFeatures: number, outFeatures: number, ...rest: Args<[bias?: boolean], LinearOptions>) {
    super()
    const [, , bias = true, , dtype] = named<[number, number, boolean, unknown, DType | null]>(
      'Linear',
      'in_features, out_features, bias, device, dtype',
      [inFeatures, outFeatures, ...rest],
    )
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    this.weight = emptyParameter([outFeatures, inFeatures], dtype)
    this.bias = bias ? emptyParameter([outFeatures], dtype) : null
    this.resetParameters()
  }

  /** Draws fresh weights. */
  resetParameters(): void {
    kaimingUniform_(this.weight, { a: Math.sqrt(5) })
    if (!this.bias) return
    const bound = this.inFeatures > 0 ? 1 / Math.sqrt(this.inFeatures) : 0
    uniform_(this.bias, -bound, bound)
  }

  forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias)
  }

  override extraRepr(): string {
    const { inFeatures, outFeatures } = this
    return formatArguments([], { inFeatures, outFeatures, bias: this.bias !== null })
  }
}

/** Answers its input; takes any arguments, which it ignores. */
export class Identity extends Module {
  constructor(..._ignored: unknown[]) {
    super()
  }

  forward(input: Tensor): Tensor {
    return input
  }
}
