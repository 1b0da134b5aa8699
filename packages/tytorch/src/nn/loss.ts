// Losses as modules.
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from '../ops/criterion.ts'
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

/** The cross entropy in nats of scores (not probabilities) with class indices or probabilities; see `crossEntropy`. */
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

/** The mean of (input - target)^2, of one shape; `reduction` 'sum' or 'none' instead. */
export class MSELoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, { reduction: this.reduction })
  }
}

/** The mean of |input - target|, of one shape; `reduction` 'sum' or 'none' instead. */
export class L1Loss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return l1Loss(input, target, { reduction: this.reduction })
  }
}

/**
 * (input - target)^2 / (2 beta) where the distance is below beta (1), |input - target| - beta / 2 beyond
 * (https://arxiv.org/abs/1504.08083).
 */
export class SmoothL1Loss extends Module {
  readonly reduction: Reduction
  readonly beta: number

  constructor(options: ReductionOptions & { readonly beta?: number } = {}) {
    super()
    const [reduction = 'mean', beta = 1] = named<[Reduction, number]>('SmoothL1Loss', '*, reduction, beta', [options])
    this.reduction = reduction
    this.beta = beta
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, beta } = this
    return smoothL1Loss(input, target, { reduction, beta })
  }
}

/** (input - target)^2 / 2 where the distance is below delta (1), delta * (|input - target| - delta / 2) beyond. */
export class HuberLoss extends Module {
  readonly reduction: Reduction
  readonly delta: number

  constructor(options: ReductionOptions & { readonly delta?: number } = {}) {
    super()
    const [reduction = 'mean', delta = 1] = named<[Reduction, number]>('HuberLoss', '*, reduction, delta', [options])
    this.reduction = reduction
    this.delta = delta
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, delta } = this
    return huberLoss(input, target, { reduction, delta })
  }
}

interface WeightOptions extends ReductionOptions {
  /** Multiplies the losses of elements. */
  readonly weight?: Tensor | null
}

/**
 * The binary cross entropy, -(y log x + (1 - y) log(1 - x)), of probabilities x with targets y from 0 to 1. Throws
 * RuntimeError for x outside [0, 1].
 */
export class BCELoss extends Module {
  readonly reduction: Reduction
  /** A buffer. */
  declare weight: Tensor | null

  constructor(...args: Args<[weight?: Tensor | null], WeightOptions>) {
    super()
    const [weight = null, reduction = 'mean'] = named<[Tensor | null, Reduction]>(
      'BCELoss',
      'weight, *, reduction',
      args,
    )
    this.registerBuffer('weight', weight)
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropy(input, target, this.weight, { reduction: this.reduction })
  }
}

/**
 * The binary cross entropy of sigmoid(input), more exact than `BCELoss` after a sigmoid. `posWeight` weighs the
 * positive targets of each class.
 */
export class BCEWithLogitsLoss extends Module {
  readonly reduction: Reduction
  /** Buffers. */
  declare weight: Tensor | null
  declare posWeight: Tensor | null

  constructor(...args: Args<[weight?: Tensor | null], WeightOptions & { readonly posWeight?: Tensor | null }>) {
    super()
    const [weight = null, reduction = 'mean', posWeight = null] = named<[Tensor | null, Reduction, Tensor | null]>(
      'BCEWithLogitsLoss',
      'weight, *, reduction, pos_weight',
      args,
    )
    this.registerBuffer('weight', weight)
    this.registerBuffer('posWeight', posWeight)
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, posWeight } = this
    return binaryCrossEntropyWithLogits(input, target, this.weight, { reduction, posWeight })
  }
}

/** The Kullback-Leibler divergence of a target from log-probabilities; 'batchmean' is its mathematical mean. */
export class KLDivLoss extends Module {
  readonly reduction: Reduction | 'batchmean'
  readonly logTarget: boolean

  constructor(options: { readonly reduction?: Reduction | 'batchmean'; readonly logTarget?: boolean } = {}) {
    super()
    const [reduction = 'mean', logTarget = false] = named<[Reduction | 'batchmean', boolean]>(
      'KLDivLoss',
      '*, reduction, log_target',
      [options],
    )
    this.reduction = reduction
    this.logTarget = logTarget
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { reduction, logTarget } = this
    return klDiv(input, target, { reduction, logTarget })
  }
}
