// Convolution layers that learn the number of input channels from their first input, and then become ordinary ones.
import { RuntimeError, ValueError } from '../base/errors.ts'
import { formatSize } from '../base/format.ts'
import type { Amount } from '../ops/convolution.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Conv1d, Conv2d, Conv3d, type ConvArgs, type ConvNd } from './conv.ts'
import {
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeArgs,
  type OutputSize,
} from './convtranspose.ts'
import { UninitializedParameter } from './lazy.ts'

const CONV = 'out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype'
const TRANSPOSE =
  'out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype'

/** The arguments of the layer without channels and without bias, and what was asked for. */
function withoutChannels<Rest>(
  name: string,
  signature: string,
  given: readonly unknown[],
): { rest: Rest; bias: boolean } {
  const all: unknown[] = named(name, signature, given)
  const place = signature.split(', ').indexOf('bias')
  const rest = Array.from({ length: signature.split(', ').length - 2 }, (_, i) => all[i + 2])
  rest[place - 2] = false
  return { rest: rest as Rest, bias: (all[place] as boolean | undefined) ?? true }
}

/** Takes the sizes of a fresh lazy layer's parameters away. */
function forget(layer: ConvNd, outChannels: number, bias: boolean): void {
  const { dtype } = layer.weight
  layer.outChannels = outChannels
  layer.weight = new UninitializedParameter(dtype)
  if (bias) layer.bias = new UninitializedParameter(dtype)
}

/** Makes a lazy layer an ordinary one, of the class given, whose weight suits `x`. */
function become(layer: ConvNd, ordinary: { readonly prototype: ConvNd }, x: Tensor): void {
  const dims = layer.kernelSize.length
  if (layer.weight instanceof UninitializedParameter) {
    if (x.ndim !== dims + 1 && x.ndim !== dims + 2) {
      throw new RuntimeError(
        `Expected ${dims + 1}D (unbatched) or ${dims + 2}D (batched) input to ${layer.constructor.name}, but got input of size: ${formatSize(x.sizes)}`,
      )
    }
    layer.inChannels = x.sizes[x.ndim - dims - 1]
    if (layer.inChannels % layer.groups !== 0) throw new ValueError('in_channels must be divisible by groups')
    layer.weight.materialize(layer.weightSizes())
    if (layer.bias instanceof UninitializedParameter) layer.bias.materialize([layer.outChannels])
    layer.resetParameters()
  }
  Object.setPrototypeOf(layer, ordinary.prototype)
}

/** A `Conv1d` whose input channels are those of its first input. */
export class LazyConv1d extends Conv1d {
  constructor(outChannels: number, kernelSize: Amount, ...args: ConvArgs) {
    const { rest, bias } = withoutChannels<ConvArgs>('LazyConv1d', CONV, [outChannels, kernelSize, ...args])
    super(0, 0, kernelSize, ...rest)
    forget(this, outChannels, bias)
  }

  override forward(input: Tensor): Tensor {
    become(this, Conv1d, input)
    return this.forward(input)
  }
}

/** A `Conv2d` whose input channels are those of its first input. */
export class LazyConv2d extends Conv2d {
  constructor(outChannels: number, kernelSize: Amount, ...args: ConvArgs) {
    const { rest, bias } = withoutChannels<ConvArgs>('LazyConv2d', CONV, [outChannels, kernelSize, ...args])
    super(0, 0, kernelSize, ...rest)
    forget(this, outChannels, bias)
  }

  override forward(input: Tensor): Tensor {
    become(this, Conv2d, input)
    return this.forward(input)
  }
}

/** A `Conv3d` whose input channels are those of its first input. */
export class LazyConv3d extends Conv3d {
  constructor(outChannels: number, kernelSize: Amount, ...args: ConvArgs) {
    const { rest, bias } = withoutChannels<ConvArgs>('LazyConv3d', CONV, [outChannels, kernelSize, ...args])
    super(0, 0, kernelSize, ...rest)
    forget(this, outChannels, bias)
  }

  override forward(input: Tensor): Tensor {
    become(this, Conv3d, input)
    return this.forward(input)
  }
}

/** A `ConvTranspose1d` whose input channels are those of its first input. */
export class LazyConvTranspose1d extends ConvTranspose1d {
  constructor(outChannels: number, kernelSize: Amount, ...args: ConvTransposeArgs) {
    const given = [outChannels, kernelSize, ...args]
    const { rest, bias } = withoutChannels<ConvTransposeArgs>('LazyConvTranspose1d', TRANSPOSE, given)
    super(0, 0, kernelSize, ...rest)
    forget(this, outChannels, bias)
  }

  override forward(input: Tensor, ...outputSize: OutputSize): Tensor {
    become(this, ConvTranspose1d, input)
    return this.forward(input, ...outputSize)
  }
}

/** A `ConvTranspose2d` whose input channels are those of its first input. */
export class LazyConvTranspose2d extends ConvTranspose2d {
  constructor(outChannels: number, kernelSize: Amount, ...args: ConvTransposeArgs) {
    const given = [outChannels, kernelSize, ...args]
    const { rest, bias } = withoutChannels<ConvTransposeArgs>('LazyConvTranspose2d', TRANSPOSE, given)
    super(0, 0, kernelSize, ...rest)
    forget(this, outChannels, bias)
  }

  override forward(input: Tensor, ...outputSize: OutputSize): Tensor {
    become(this, ConvTranspose2d, input)
    return this.forward(input, ...outputSize)
  }
}

/** A `ConvTranspose3d` whose input channels are those of its first input. */
export class LazyConvTranspose3d extends ConvTranspose3d {
  constructor(outChannels: number, kernelSize: Amount, ...args: ConvTransposeArgs) {
    const given = [outChannels, kernelSize, ...args]
    const { rest, bias } = withoutChannels<ConvTransposeArgs>('LazyConvTranspose3d', TRANSPOSE, given)
    super(0, 0, kernelSize, ...rest)
    forget(this, outChannels, bias)
  }

  override forward(input: Tensor, ...outputSize: OutputSize): Tensor {
    become(this, ConvTranspose3d, input)
    return this.forward(input, ...outputSize)
  }
}
