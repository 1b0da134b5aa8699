// A linear layer and the cross entropy of its scores as one module.
import type { DType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { formatFloat, formatTuple, formatValue } from '../base/format.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { linearCrossEntropy } from '../ops/linearcrossentropy.ts'
import type { Reduction } from '../ops/loss.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'

interface LinearCrossEntropyLossOptions {
  /** Further dimensions of the scores: [C, ...outFeatures]. */
  readonly outFeatures?: Sizes
  readonly bias?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
  readonly reduction?: Reduction
  /** One a class. */
  readonly weight?: Tensor | null
  readonly ignoreIndex?: number | null
  readonly labelSmoothing?: number
  /** PyTorch's choice of how to chunk the computation; it changes no values and is not used. */
  readonly options?: unknown
}

/** The cross entropy of linear scores of `numClasses` classes, for inputs [N, inFeatures] and targets [N, ...]. */
export class LinearCrossEntropyLoss extends Module {
  readonly numClasses: number
  readonly outFeatures: Sizes
  readonly reduction: Reduction
  readonly ignoreIndex: number | null
  readonly labelSmoothing: number
  declare weight: Tensor | null
  linear: Linear

  constructor(inFeatures: number, numClasses: number, options: LinearCrossEntropyLossOptions = {}) {
    super()
    const { outFeatures = [], bias = false, dtype = null, reduction = 'mean', weight = null } = options
    const { ignoreIndex = null, labelSmoothing = 0 } = options
    if (weight && (weight.ndim !== 1 || weight.count !== numClasses)) {
      throw new RuntimeError(`expected weight shape to be (${numClasses},), got ${formatTuple(weight.sizes)}`)
    }
    if (labelSmoothing < 0 || labelSmoothing > 1) {
      throw new RuntimeError(`expected label_smoothing to be in range [0, 1], got ${labelSmoothing}`)
    }
    this.registerBuffer('weight', weight)
    this.numClasses = numClasses
    this.outFeatures = outFeatures
    this.reduction = reduction
    this.ignoreIndex = ignoreIndex
    this.labelSmoothing = labelSmoothing
    this.linear = new Linear(inFeatures, numClasses * numelOf(outFeatures), { bias, dtype })
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { linear, numClasses, outFeatures } = this
    const sizes = [numClasses, ...outFeatures]
    return linearCrossEntropy(input, linear.weight.reshape([...sizes, linear.inFeatures]), target, {
      linearBias: linear.bias ? linear.bias.reshape(sizes) : null,
      weight: this.weight,
      reduction: this.reduction,
      ignoreIndex: this.ignoreIndex,
      labelSmoothing: this.labelSmoothing,
    })
  }

  override extraRepr(): string {
    const { linear, numClasses, outFeatures, reduction, ignoreIndex, labelSmoothing } = this
    return [
      `in_features=${linear.inFeatures}`,
      `num_classes=${numClasses}`,
      `out_features=${formatTuple(outFeatures)}`,
      `bias=${formatValue(linear.bias !== null)}`,
      `reduction=${reduction}`,
      `ignore_index=${formatValue(ignoreIndex)}`,
      `label_smoothing=${formatFloat(labelSmoothing)}`,
      'options=None',
    ].join(', ')
  }
}
