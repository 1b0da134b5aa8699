// Normalisation of samples as modules: layer, RMS, group and local response norm.
import type { DType } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatArguments, formatFloat } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { layerNorm, rmsNorm } from '../ops/normalization.ts'
import { groupNorm } from '../ops/normalizationgroup.ts'
import { localResponseNorm } from '../ops/normalizationlocal.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { ones_, zeros_ } from './init.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

interface TypeOptions {
  readonly device?: unknown
  readonly dtype?: DType | null
}

interface LayerNormOptions extends TypeOptions {
  /** Added to the variance. */
  readonly eps?: number
  /** False leaves weight and bias out. */
  readonly elementwiseAffine?: boolean
  /** False leaves the bias out. */
  readonly bias?: boolean
}

const listed = (shape: number | Sizes): Sizes => (typeof shape === 'number' ? [shape] : [...shape])

/**
 * Normalises over the last dimensions, of the sizes given, then scales and shifts every element
 * (https://arxiv.org/abs/1607.06450). Throws RuntimeError for inputs that end in other sizes.
 */
export class LayerNorm extends Module {
  readonly normalizedShape: Sizes
  readonly eps: number
  readonly elementwiseAffine: boolean
  weight: Parameter | null
  bias: Parameter | null

  constructor(
    normalizedShape: number | Sizes,
    ...args: Args<[eps?: number, elementwiseAffine?: boolean, bias?: boolean], LayerNormOptions>
  ) {
    super()
    const [shape = [], eps = 1e-5, affine = true, bias = true, , dtype] = named<
      [number | Sizes, number, boolean, boolean, unknown, DType | null]
    >('LayerNorm', 'normalized_shape, eps, elementwise_affine, bias, device, dtype', [normalizedShape, ...args])
    this.normalizedShape = listed(shape)
    this.eps = eps
    this.elementwiseAffine = affine
    this.weight = affine ? emptyParameter(this.normalizedShape, dtype) : null
    this.bias = affine && bias ? emptyParameter(this.normalizedShape, dtype) : null
    this.resetParameters()
  }

  /** Weights to 1, biases to 0. */
  resetParameters(): void {
    if (this.weight) ones_(this.weight)
    if (this.bias) zeros_(this.bias)
  }

  forward(input: Tensor): Tensor {
    return layerNorm(input, this.normalizedShape, this.weight, this.bias, this.eps)
  }

  override extraRepr(): string {
    const { eps, elementwiseAffine } = this
    return formatArguments([this.normalizedShape], { eps, elementwiseAffine, bias: this.bias !== null })
  }
}

interface RMSNormOptions extends TypeOptions {
  /** Added to the mean square; the dtype's machine epsilon by default. */
  readonly eps?: number | null
  readonly elementwiseAffine?: boolean
}

/**
 * Divides by the root of the mean square over the last dimensions, then scales every element
 * (https://arxiv.org/abs/1910.07467).
 */
export class RMSNorm extends Module {
  readonly normalizedShape: Sizes
  readonly eps: number | null
  readonly elementwiseAffine: boolean
  weight: Parameter | null

  constructor(
    normalizedShape: number | Sizes,
    ...args: Args<[eps?: number | null, elementwiseAffine?: boolean], RMSNormOptions>
  ) {
    super()
    const [shape = [], eps = null, affine = true, , dtype] = named<
      [number | Sizes, number | null, boolean, unknown, DType | null]
    >('RMSNorm', 'normalized_shape, eps, elementwise_affine, device, dtype', [normalizedShape, ...args])
    this.normalizedShape = listed(shape)
    this.eps = eps
    this.elementwiseAffine = affine
    this.weight = affine ? emptyParameter(this.normalizedShape, dtype) : null
    this.resetParameters()
  }

  /** Weights to 1. */
  resetParameters(): void {
    if (this.weight) ones_(this.weight)
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.normalizedShape, this.weight, this.eps)
  }

  override extraRepr(): string {
    const { eps, elementwiseAffine } = this
    return formatArguments([this.normalizedShape], { eps, elementwiseAffine })
  }
}

interface GroupNormOptions extends TypeOptions {
  readonly eps?: number
  readonly affine?: boolean
  readonly bias?: boolean
}

/**
 * Normalises groups of channels of [N, C, ...], then scales and shifts every channel
 * (https://arxiv.org/abs/1803.08494). Throws ValueError unless the channels are divisible by `numGroups`.
 */
export class GroupNorm extends Module {
  readonly numGroups: number
  readonly numChannels: number
  readonly eps: number
  readonly affine: boolean
  weight: Parameter | null
  bias: Parameter | null

  constructor(
    numGroups: number,
    numChannels: number,
    ...args: Args<[eps?: number, affine?: boolean], GroupNormOptions>
  ) {
    super()
    const [groups = 0, channels = 0, eps = 1e-5, affine = true, , dtype, bias = true] = named<
      [number, number, number, boolean, unknown, DType | null, boolean]
    >('GroupNorm', 'num_groups, num_channels, eps, affine, device, dtype, *, bias', [numGroups, numChannels, ...args])
    if (channels % groups !== 0) {
      throw new ValueError(`num_channels (${channels}) must be divisible by num_groups (${groups})`)
    }
    this.numGroups = groups
    this.numChannels = channels
    this.eps = eps
    this.affine = affine
    this.weight = affine ? emptyParameter([channels], dtype) : null
    this.bias = affine && bias ? emptyParameter([channels], dtype) : null
    this.resetParameters()
  }

  /** Weights to 1, biases to 0. */
  resetParameters(): void {
    if (this.weight) ones_(this.weight)
    if (this.bias) zeros_(this.bias)
  }

  forward(input: Tensor): Tensor {
    return groupNorm(input, this.numGroups, this.weight, this.bias, this.eps)
  }

  override extraRepr(): string {
    const { numGroups, numChannels, eps, affine } = this
    return formatArguments([numGroups, numChannels], { eps, affine, bias: this.bias !== null })
  }
}

interface LocalOptions {
  readonly alpha?: number
  readonly beta?: number
  readonly k?: number
}

/** Divides by a power of the mean square of neighbouring channels of [N, C, ...]. */
export class LocalResponseNorm extends Module {
  readonly size: number
  readonly alpha: number
  readonly beta: number
  readonly k: number

  constructor(size: number, ...args: Args<[alpha?: number, beta?: number, k?: number], LocalOptions>) {
    super()
    const [width = 1, alpha = 1e-4, beta = 0.75, k = 1] = named<[number, number, number, number]>(
      'LocalResponseNorm',
      'size, alpha, beta, k',
      [size, ...args],
    )
    this.size = width
    this.alpha = alpha
    this.beta = beta
    this.k = k
  }

  forward(input: Tensor): Tensor {
    return localResponseNorm(input, this.size, this.alpha, this.beta, this.k)
  }

  override extraRepr(): string {
    const [alpha, beta, k] = [this.alpha, this.beta, this.k].map(formatFloat)
    return `${this.size}, alpha=${alpha}, beta=${beta}, k=${k}`
  }
}
