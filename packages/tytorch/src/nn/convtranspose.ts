// Transposed convolution layers.
import type { DType } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatList, formatTuple } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { type ConvTranspose, convTranspose1d, convTranspose2d, convTranspose3d } from '../ops/conv.ts'
import type { Amount } from '../ops/convolution.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { ConvNd, type ConvSettings, type PaddingMode, repeated } from './conv.ts'

export interface ConvTransposeOptions {
  readonly stride?: Amount
  readonly padding?: Amount
  /** Added to one side of the output, to tell apart the sizes that a strided convolution maps to one. */
  readonly outputPadding?: Amount
  readonly groups?: number
  readonly bias?: boolean
  readonly dilation?: Amount
  readonly paddingMode?: 'zeros'
  readonly device?: unknown
  readonly dtype?: DType | null
}

/** (stride, padding, outputPadding, groups, bias, dilation, paddingMode), by position or by name. */
export type ConvTransposeArgs = Args<
  [
    stride?: Amount,
    padding?: Amount,
    outputPadding?: Amount,
    groups?: number,
    bias?: boolean,
    dilation?: Amount,
    paddingMode?: 'zeros',
    device?: unknown,
    dtype?: DType | null,
  ],
  ConvTransposeOptions
>

type Given = [
  inChannels: number,
  outChannels: number,
  kernelSize: Amount,
  stride: Amount,
  padding: Amount,
  outputPadding: Amount,
  groups: number,
  bias: boolean,
  dilation: Amount,
  paddingMode: PaddingMode,
  device: unknown,
  dtype: DType | null,
]

const SIGNATURE =
  'in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype'

function settings(name: string, dims: number, given: readonly unknown[]): ConvSettings {
  const bound = named<Given>(name, SIGNATURE, given)
  const [inChannels = 0, outChannels = 0, kernelSize = 1, stride = 1, padding = 0, outputPadding = 0] = bound
  const [, , , , , , groups = 1, bias = true, dilation = 1, paddingMode = 'zeros', , dtype = null] = bound
  if (paddingMode !== 'zeros') throw new ValueError(`Only "zeros" padding mode is supported for ${name}`)
  return {
    inChannels,
    outChannels,
    kernelSize: repeated(kernelSize, dims),
    stride: repeated(stride, dims),
    padding: repeated(padding, dims),
    dilation: repeated(dilation, dims),
    transposed: true,
    outputPadding: repeated(outputPadding, dims),
    groups,
    bias,
    paddingMode,
    dtype,
  }
}

/** The output padding that gives `outputSize`. Throws ValueError if there is none. */
function outputPadding(layer: ConvNd, x: Tensor, outputSize: Sizes): number[] {
  const { kernelSize, stride, padding, dilation } = layer
  const dims = kernelSize.length
  const leading = x.ndim === dims + 2 ? 2 : 1
  const wanted = outputSize.length === leading + dims ? outputSize.slice(leading) : outputSize
  if (wanted.length !== dims) {
    throw new ValueError(
      `ConvTranspose${dims}D: for ${x.ndim}D input, output_size must have ${dims} or ${leading + dims} elements (got ${wanted.length})`,
    )
  }
  const least = kernelSize.map(
    (k, i) => (x.sizes[i + leading] - 1) * stride[i] - 2 * (padding as Sizes)[i] + dilation[i] * (k - 1) + 1,
  )
  const most = least.map((n, i) => n + stride[i] - 1)
  if (wanted.some((n, i) => n < least[i] || n > most[i])) {
    throw new ValueError(
      `requested an output size of ${formatTuple(wanted)}, but valid sizes range from ${formatList(least)} to ${formatList(most)} (for an input of torch.Size(${formatList(x.sizes.slice(2))}))`,
    )
  }
  return wanted.map((n, i) => n - least[i])
}

function forwardOf(layer: ConvNd, conv: ConvTranspose, x: Tensor, outputSize: Sizes | null): Tensor {
  const { weight, bias, stride, padding, groups, dilation } = layer
  const extra = outputSize === null ? layer.outputPadding : outputPadding(layer, x, outputSize)
  return conv(x, weight, bias, stride, padding as Sizes, extra, groups, dilation)
}

/** `outputSize` by position or by name. */
export type OutputSize = Args<[outputSize?: Sizes | null], { outputSize?: Sizes | null }>

const sizeOf = (name: string, given: readonly unknown[]): Sizes | null =>
  named<[Sizes | null]>(name, 'output_size', given)[0] ?? null

/**
 * The gradient of `Conv1d` with respect to its input, as a layer: inputs [n, in, l] (or [in, l]), weight
 * [in, out / groups, k]. `forward` takes the size of the output where the stride leaves a choice.
 */
export class ConvTranspose1d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Amount, ...rest: ConvTransposeArgs) {
    super(settings('ConvTranspose1d', 1, [inChannels, outChannels, kernelSize, ...rest]))
  }

  forward(input: Tensor, ...outputSize: OutputSize): Tensor {
    return forwardOf(this, convTranspose1d, input, sizeOf('ConvTranspose1d', outputSize))
  }
}

/** As `ConvTranspose1d` for images [n, in, h, w] (or [in, h, w]). */
export class ConvTranspose2d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Amount, ...rest: ConvTransposeArgs) {
    super(settings('ConvTranspose2d', 2, [inChannels, outChannels, kernelSize, ...rest]))
  }

  forward(input: Tensor, ...outputSize: OutputSize): Tensor {
    return forwardOf(this, convTranspose2d, input, sizeOf('ConvTranspose2d', outputSize))
  }
}

/** As `ConvTranspose1d` for volumes [n, in, d, h, w] (or [in, d, h, w]). */
export class ConvTranspose3d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: Amount, ...rest: ConvTransposeArgs) {
    super(settings('ConvTranspose3d', 3, [inChannels, outChannels, kernelSize, ...rest]))
  }

  forward(input: Tensor, ...outputSize: OutputSize): Tensor {
    return forwardOf(this, convTranspose3d, input, sizeOf('ConvTranspose3d', outputSize))
  }
}
