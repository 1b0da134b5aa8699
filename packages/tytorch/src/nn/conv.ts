// Convolution layers.
import type { DType } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatTuple } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { type Conv, conv1d, conv2d, conv3d, type Padding } from '../ops/conv.ts'
import type { Amount } from '../ops/convolution.ts'
import { pad } from '../ops/pad.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { kaimingUniform_, uniform_ } from './init.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

/** What a border is made of. */
export type PaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular'

export interface ConvOptions {
  readonly stride?: Amount
  readonly padding?: Padding
  readonly dilation?: Amount
  readonly groups?: number
  /** False leaves the additive term out. */
  readonly bias?: boolean
  readonly paddingMode?: PaddingMode
  readonly device?: unknown
  readonly dtype?: DType | null
}

/** (stride, padding, dilation, groups, bias, paddingMode), by position or by name. */
export type ConvArgs = Args<
  [
    stride?: Amount,
    padding?: Padding,
    dilation?: Amount,
    groups?: number,
    bias?: boolean,
    paddingMode?: PaddingMode,
    device?: unknown,
    dtype?: DType | null,
  ],
  ConvOptions
>

/** One number a dimension. */
export function repeated(value: Amount, dims: number): Sizes {
  return typeof value === 'number' ? Array<number>(dims).fill(value) : [...value]
}

/** What all convolution layers are made from. */
export interface ConvSettings {
  readonly inChannels: number
  readonly outChannels: number
  readonly kernelSize: Sizes
  readonly stride: Sizes
  readonly padding: Sizes | 'same' | 'valid'
  readonly dilation: Sizes
  readonly transposed: boolean
  readonly outputPadding: Sizes
  readonly groups: number
  readonly bias: boolean
  readonly paddingMode: PaddingMode
  readonly dtype: DType | null
}

/** The base of the convolution layers: weight and bias drawn uniformly from +-1 / sqrt(fan in). */
export abstract class ConvNd extends Module {
  inChannels: number
  outChannels: number
  readonly kernelSize: Sizes
  readonly stride: Sizes
  readonly padding: Sizes | 'same' | 'valid'
  readonly dilation: Sizes
  readonly transposed: boolean
  readonly outputPadding: Sizes
  readonly groups: number
  readonly paddingMode: PaddingMode
  weight: Parameter
  bias: Parameter | null

  constructor(s: ConvSettings) {
    super()
    if (s.groups <= 0) throw new ValueError('groups must be a positive integer')
    if (s.inChannels % s.groups !== 0) throw new ValueError('in_channels must be divisible by groups')
    if (s.outChannels % s.groups !== 0) throw new ValueError('out_channels must be divisible by groups')
    if (typeof s.padding === 'string') {
      if (s.padding !== 'same' && s.padding !== 'valid')
        throw new ValueError(`Invalid padding string '${s.padding}', should be one of {'valid', 'same'}`)
      if (s.padding === 'same' && s.stride.some((n) => n !== 1))
        throw new ValueError("padding='same' is not supported for strided convolutions")
    }
    const modes = ['zeros', 'reflect', 'replicate', 'circular']
    if (!modes.includes(s.paddingMode)) {
      throw new ValueError(
        `padding_mode must be one of {${modes.map((m) => `'${m}'`).join(', ')}}, but got padding_mode='${s.paddingMode}'`,
      )
    }
    this.inChannels = s.inChannels
    this.outChannels = s.outChannels
    this.kernelSize = s.kernelSize
    this.stride = s.stride
    this.padding = s.padding
    this.dilation = s.dilation
    this.transposed = s.transposed
    this.outputPadding = s.outputPadding
    this.groups = s.groups
    this.paddingMode = s.paddingMode
    this.weight = emptyParameter(this.weightSizes(), s.dtype)
    this.bias = s.bias ? emptyParameter([s.outChannels], s.dtype) : null
    // A lazy layer draws its weights when it knows its channels.
    if (s.outChannels > 0) this.resetParameters()
  }

  /** The sizes of the weight for the channels there are. */
  weightSizes(): number[] {
    const [first, second] = this.transposed ? [this.inChannels, this.outChannels] : [this.outChannels, this.inChannels]
    return [first, Math.floor(second / this.groups), ...this.kernelSize]
  }

  /** Draws fresh weights. */
  resetParameters(): void {
    kaimingUniform_(this.weight, { a: Math.sqrt(5) })
    if (!this.bias) return
    const fanIn = this.weight.sizes.slice(1).reduce((a, b) => a * b, 1)
    const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0
    uniform_(this.bias, -bound, bound)
  }

  override extraRepr(): string {
    const parts = [`${this.inChannels}, ${this.outChannels}`]
    const tuple = (name: string, value: Sizes): number => parts.push(`${name}=${formatTuple(value)}`)
    tuple('kernel_size', this.kernelSize)
    tuple('stride', this.stride)
    if (typeof this.padding === 'string') parts.push(`padding=${this.padding}`)
    else if (this.padding.some((n) => n !== 0)) tuple('padding', this.padding)
    if (this.dilation.some((n) => n !== 1)) tuple('dilation', this.dilation)
    if (this.outputPadding.some((n) => n !== 0)) tuple('output_padding', this.outputPadding)
    if (this.groups !== 1) parts.push(`groups=${this.groups}`)
    if (this.bias === null) parts.push('bias=False')
    if (this.paddingMode !== 'zeros') parts.push(`padding_mode=${this.paddingMode}`)
    return parts.join(', ')
  }
}

type Given = [
  inChannels: number,
  outChannels: number,
  kernelSize: Amount,
  stride: Amount,
  padding: Padding,
  dilation: Amount,
  groups: number,
  bias: boolean,
  paddingMode: PaddingMode,
  device: unknown,
  dtype: DType | null,
]

const SIGNATURE =
  'in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype'

function settings(name: string, dims: number, given: readonly unknown[]): ConvSettings {
  const bound = named<Given>(name, SIGNATURE, given)
  const [inChannels = 0, outChannels = 0, kernelSize = 1, stride = 1, padding = 0, dilation = 1, groups = 1] = bound
  const [, , , , , , , bias = true, paddingMode = 'zeros', , dtype = null] = bound
  return {
    inChannels,
    outChannels,
    kernelSize: repeated(kernelSize, dims),
    stride: repeated(stride, dims),
    padding: typeof padding === 'string' ? padding : repeated(padding, dims),
    dilation: repeated(dilation, dims),
    transposed: false,
    outputPadding: repeated(0, dims),
    groups,
    bias,
    paddingMode,
    dtype,
  }
}

/** Borders for `pad`, from the last dimension on. */
function borders({ padding, kernelSize, dilation }: ConvNd): number[] {
  const sides = kernelSize.map((k, i): [number, number] => {
    if (padding === 'valid') return [0, 0]
    if (padding !== 'same') return [padding[i], padding[i]]
    const total = dilation[i] * (k - 1)
    const left = Math.floor(total / 2)
    return [left, total - left]
  })
  return sides.reverse().flat()
}

function forwardOf(layer: ConvNd, conv: Conv, x: Tensor): Tensor {
  const { weight, bias, stride, padding, dilation, groups } = layer
  if (layer.paddingMode === 'zeros') return conv(x, weight, bias, stride, padding, dilation, groups)
  return conv(pad(x, borders(layer), layer.paddingMode), weight, bias, stride, 0, dilation, groups)
}

/**
 * Cross-correlates inputs [n, in, l] (or [in, l]) with the weight [out, in / groups, k] and adds a bias [out]: outputs
 * of l' = (l + 2 padding - dilation (k - 1) - 1) / stride + 1 elements, rounded down.
 */
export class Conv1d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Amount, ...rest: ConvArgs) {
    super(settings('Conv1d', 1, [inChannels, outChannels, kernelSize, ...rest]))
  }

  forward(input: Tensor): Tensor {
    return forwardOf(this, conv1d, input)
  }
}

/** As `Conv1d` for images [n, in, h, w] (or [in, h, w]). */
export class Conv2d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Amount, ...rest: ConvArgs) {
    super(settings('Conv2d', 2, [inChannels, outChannels, kernelSize, ...rest]))
  }

  forward(input: Tensor): Tensor {
    return forwardOf(this, conv2d, input)
  }
}

/** As `Conv1d` for volumes [n, in, d, h, w] (or [in, d, h, w]). */
export class Conv3d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Amount, ...rest: ConvArgs) {
    super(settings('Conv3d', 3, [inChannels, outChannels, kernelSize, ...rest]))
  }

  forward(input: Tensor): Tensor {
    return forwardOf(this, conv3d, input)
  }
}
