// Linear layers.
import type { DType } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatArguments } from '../base/format.ts'
import { bilinear } from '../ops/bilinear.ts'
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

/** y = x1 A x2 + b, for x1 [*, in1], x2 [*, in2], A [out, in1, in2] and b [out]. */
export class Bilinear extends Module {
  readonly in1Features: number
  readonly in2Features: number
  readonly outFeatures: number
  weight: Parameter
  bias: Parameter | null

  constructor(
    in1Features: number,
    in2Features: number,
    outFeatures: number,
    ...rest: Args<[bias?: boolean], LinearOptions>
  ) {
    super()
    const [, , , bias = true, , dtype] = named<[number, number, number, boolean, unknown, DType | null]>(
      'Bilinear',
      'in1_features, in2_features, out_features, bias, device, dtype',
      [in1Features, in2Features, outFeatures, ...rest],
    )
    if (in1Features <= 0) throw new ValueError(`in1_features must be > 0, but got ${in1Features}`)
    this.in1Features = in1Features
    this.in2Features = in2Features
    this.outFeatures = outFeatures
    this.weight = emptyParameter([outFeatures, in1Features, in2Features], dtype)
    this.bias = bias ? emptyParameter([outFeatures], dtype) : null
    this.resetParameters()
  }

  /** Draws fresh weights. */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.in1Features)
    uniform_(this.weight, -bound, bound)
    if (this.bias) uniform_(this.bias, -bound, bound)
  }

  forward(input1: Tensor, input2: Tensor): Tensor {
    return bilinear(input1, input2, this.weight, this.bias)
  }

  override extraRepr(): string {
    const { in1Features, in2Features, outFeatures } = this
    return formatArguments([], { in1Features, in2Features, outFeatures, bias: this.bias !== null })
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
