// Layers that take images apart into sliding blocks, and sum blocks into images.
import { formatTuple, formatValue } from '../base/format.ts'
import { fold, unfold } from '../ops/convfold.ts'
import type { Amount } from '../ops/convolution.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

export interface FoldOptions {
  readonly dilation?: Amount
  readonly padding?: Amount
  readonly stride?: Amount
}

type FoldArgs = Args<[dilation?: Amount, padding?: Amount, stride?: Amount], FoldOptions>

/** An argument as Python prints it. */
function printed(name: string, value: Amount): string {
  return `${name}=${typeof value === 'number' ? formatValue(value) : formatTuple(value)}`
}

/** Sliding blocks of images [n, c, h, w] as columns [n, c * kh * kw, blocks]: `nn.functional.unfold`. */
export class Unfold extends Module {
  readonly kernelSize: Amount
  readonly dilation: Amount
  readonly padding: Amount
  readonly stride: Amount

  constructor(kernelSize: Amount, ...rest: FoldArgs) {
    super()
    const [, dilation = 1, padding = 0, stride = 1] = named<[Amount, Amount, Amount, Amount]>(
      'Unfold',
      'kernel_size, dilation, padding, stride',
      [kernelSize, ...rest],
    )
    this.kernelSize = kernelSize
    this.dilation = dilation
    this.padding = padding
    this.stride = stride
  }

  forward(input: Tensor): Tensor {
    return unfold(input, this.kernelSize, this.dilation, this.padding, this.stride)
  }

  override extraRepr(): string {
    const { kernelSize, dilation, padding, stride } = this
    return [
      printed('kernel_size', kernelSize),
      printed('dilation', dilation),
      printed('padding', padding),
      printed('stride', stride),
    ].join(', ')
  }
}

/** Sums columns [n, c * kh * kw, blocks] into images [n, c, ...outputSize]: `nn.functional.fold`. */
export class Fold extends Module {
  readonly outputSize: Amount
  readonly kernelSize: Amount
  readonly dilation: Amount
  readonly padding: Amount
  readonly stride: Amount

  constructor(outputSize: Amount, kernelSize: Amount, ...rest: FoldArgs) {
    super()
    const [, , dilation = 1, padding = 0, stride = 1] = named<[Amount, Amount, Amount, Amount, Amount]>(
      'Fold',
      'output_size, kernel_size, dilation, padding, stride',
      [outputSize, kernelSize, ...rest],
    )
    this.outputSize = outputSize
    this.kernelSize = kernelSize
    this.dilation = dilation
    this.padding = padding
    this.stride = stride
  }

  forward(input: Tensor): Tensor {
    return fold(input, this.outputSize, this.kernelSize, this.dilation, this.padding, this.stride)
  }

  override extraRepr(): string {
    const { outputSize, kernelSize, dilation, padding, stride } = this
    return [
      printed('output_size', outputSize),
      printed('kernel_size', kernelSize),
      printed('dilation', dilation),
      printed('padding', padding),
      printed('stride', stride),
    ].join(', ')
  }
}
