// Modules of random slopes and channels.
import { formatFloat } from '../base/format.ts'
import { featureAlphaDropout, rrelu } from '../ops/noise.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { AlphaDropout } from './dropout.ts'
import { Module } from './module.ts'

interface RReLUOptions {
  readonly lower?: number
  readonly upper?: number
  readonly inplace?: boolean
}

/**
 * x, or below 0 a slope times x: drawn from [lower, upper) while training, their mean afterwards
 * (https://arxiv.org/abs/1505.00853).
 */
export class RReLU extends Module {
  readonly lower: number
  readonly upper: number
  readonly inplace: boolean

  constructor(...args: Args<[lower?: number, upper?: number, inplace?: boolean], RReLUOptions>) {
    super()
    const [lower = 1 / 8, upper = 1 / 3, inplace = false] = named<[number, number, boolean]>(
      'RReLU',
      'lower, upper, inplace',
      args,
    )
    this.lower = lower
    this.upper = upper
    this.inplace = inplace
  }

  forward(input: Tensor): Tensor {
    return rrelu(input, this.lower, this.upper, this.training, this.inplace)
  }

  override extraRepr(): string {
    const text = (v: number): string => (Number.isInteger(v) ? String(v) : formatFloat(v))
    return `lower=${text(this.lower)}, upper=${text(this.upper)}${this.inplace ? ', inplace=True' : ''}`
  }
}

/** As `AlphaDropout` for whole channels of [N, C, ...]. */
export class FeatureAlphaDropout extends AlphaDropout {
  override forward(input: Tensor): Tensor {
    return featureAlphaDropout(input, this.p, this.training)
  }
}
