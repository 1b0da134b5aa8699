// Losses as modules.
import { crossEntropy, nllLoss, type Reduction } from '../ops/loss.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

interface ReductionOptions {
  /** 'mean' (default), 'sum' or 'none'. */
  readonly reduction?: Reduction
}

/** A loss of an input and a target with nothing but a reduction to choose. */
abstract class PlainLoss extends Module {
  readonly reduction: Reduction

  constructor(options: ReductionOptions = {}) {
    super()
    const [reduction = 'mean'] = named<[Reduction]>(new.target.name, '*, reduction', [options])
    this.reduction = reduction
  }
}

interface ClassOptions extends ReductionOptions {
  readonly weight?: Tensor | null
  readonly ignoreIndex?: number
}

/** The cross entropy of scores with class indices or probabilities; see `crossEntropy`. */
export class CrossEntropyLoss extends Module {
  readonly ignoreIndex: number
  readonly reduction: Reduction
  readonly labelSmoothing: number
  /** A buffer: one weight a class. */
  declare weight: Tensor | null

  constructor(...args: Args<[weight?: Tensor | null], ClassOptions & { readonly labelSmoothing?: number }>) {
    super()
    const [weight = null, ignoreIndex = -100, reduction = 'mean', labelSmoothing = 0] = named<
      [Tensor | null, number, Reduction, number]
    >('CrossEntropyLoss', 'weight, *, ignore_index, reduction, label_smoothing', args)
    this.registerBuffer('weight', weight)
    this.ignoreIndex = ignoreIndex
    this.reduction = reduction
    this.labelSmoothing = labelSmoothing
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { ignoreIndex, reduction, labelSmoothing } = this
    return crossEntropy(input, target, this.weight, { ignoreIndex, reduction, labelSmoothing })
  }
}

/** The negative log likelihood of class indices under log-probabilities; see `nllLoss`. */
export class NLLLoss extends Module {
  readonly ignoreIndex: number
  readonly reduction: Reduction
  /** A buffer: one weight a class. */
  declare weight: Tensor | null

  constructor(...args: Args<[weight?: Tensor | null], ClassOptions>) {
    super()
    const [weight = null, ignoreIndex = -100, reduction = 'mean'] = named<[Tensor | null, number, Reduction]>(
      'NLLLoss',
      'weight, *, ignore_index, reduction',
      args,
    )
    this.registerBuffer('weight', weight)
    this.ignoreIndex = ignoreIndex
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { ignoreIndex, reduction } = this
    return nllLoss(input, target, this.weight, { ignoreIndex, reduction })
  }
}
