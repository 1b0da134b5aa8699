// Fractional max pooling as modules.
import { ValueError } from '../base/errors.ts'
import { type FractionalMaxPool, fractionalMaxPool2d, fractionalMaxPool3d } from '../ops/poolfraction.ts'
import type { Extents } from '../ops/poolshape.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

type Ratio = number | readonly number[]

interface FractionOptions {
  readonly outputSize?: Extents | null
  /** The result's sizes as fractions of the input's, between 0 and 1. */
  readonly outputRatio?: Ratio | null
  readonly returnIndices?: boolean
  readonly _randomSamples?: Tensor | null
}

/** What fractional max pooling of planes and volumes shares. */
abstract class Fractional extends Module {
  readonly kernelSize: Extents
  readonly outputSize: Extents | null
  readonly outputRatio: Ratio | null
  readonly returnIndices: boolean
  /** A buffer: the numbers that place the windows, if they are fixed. */
  declare _randomSamples: Tensor | null

  constructor(
    kernelSize: Extents,
    ...args: Args<
      [outputSize?: Extents | null, outputRatio?: Ratio | null, returnIndices?: boolean, randomSamples?: Tensor | null],
      FractionOptions
    >
  ) {
    super()
    const { name } = new.target
    const [outputSize = null, outputRatio = null, returnIndices = false, samples = null] = named<
      [Extents | null, Ratio | null, boolean, Tensor | null]
    >(name, 'output_size, output_ratio, return_indices, _random_samples', args)
    this.kernelSize = kernelSize
    this.outputSize = outputSize
    this.outputRatio = outputRatio
    this.returnIndices = returnIndices
    this.registerBuffer('_randomSamples', samples)
    if ((outputSize === null) === (outputRatio === null)) {
      throw new ValueError(
        outputSize === null
          ? `${name} requires specifying either an output size, or a pooling ratio`
          : 'only one of output_size and output_ratio may be specified',
      )
    }
    const ratios = outputRatio === null ? [] : [outputRatio].flat()
    if (ratios.some((r) => !(r > 0 && r < 1)))
      throw new ValueError(`output_ratio must be between 0 and 1 (got ${String(outputRatio)})`)
  }

  protected pool(fn: FractionalMaxPool, input: Tensor): Tensor {
    const { kernelSize, outputSize, outputRatio, returnIndices } = this
    return fn(input, kernelSize, outputSize, outputRatio, returnIndices, this._randomSamples)
  }
}

/**
 * The largest of windows at random places of [N, C, H, W] or [C, H, W] (https://arxiv.org/abs/1412.6071); see
 * `fractionalMaxPool2d`.
 */
export class FractionalMaxPool2d extends Fractional {
  forward(input: Tensor): Tensor {
    return this.pool(fractionalMaxPool2d, input)
  }
}

/** The largest of windows at random places of [N, C, D, H, W] or [C, D, H, W]; see `fractionalMaxPool3d`. */
export class FractionalMaxPool3d extends Fractional {
  forward(input: Tensor): Tensor {
    return this.pool(fractionalMaxPool3d, input)
  }
}
