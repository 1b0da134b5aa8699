// Losses with margins, of distributions and of alignments as modules.
import { ValueError } from '../base/errors.ts'
import { ctcLoss, gaussianNllLoss, poissonNllLoss } from '../ops/likelihood.ts'
import type { Reduction } from '../ops/loss.ts'
import {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  marginRankingLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  multiMarginLoss,
  softMarginLoss,
  tripletMarginLoss,
  tripletMarginWithDistanceLoss,
} from '../ops/margin.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { PairwiseDistance } from './distance.ts'
import { Module } from './module.ts'

interface ReductionOptions {
  /** 'mean' (default), 'sum' or 'none'. */
  readonly reduction?: Reduction
}

/** A loss with nothing but a reduction to choose. */
abstract class PlainLoss extends Module {
  readonly reduction: Reduction

  constructor(options: ReductionOptions = {}) {
    super()
    const [reduction = 'mean'] = named<[Reduction]>(new.target.name, '*, reduction', [options])
    this.reduction = reduction
  }
}

interface MarginOptions extends ReductionOptions {
  readonly margin?: number
}
type MarginArgs = Args<[margin?: number], MarginOptions>

/** A loss with a margin. */
abstract class MarginLoss extends Module {
  readonly margin: number
  readonly reduction: Reduction

  constructor(name: string, usual: number, args: MarginArgs) {
    super()
    const [margin = usual, reduction = 'mean'] = named<[number, Reduction]>(name, 'margin, *, reduction', args)
    this.margin = margin
    this.reduction = reduction
  }
}

/** 1 - cos of pairs that belong together (target 1), max(cos - margin, 0) of those that do not (-1); margin 0. */
export class CosineEmbeddingLoss extends MarginLoss {
  constructor(...args: MarginArgs) {
    super('CosineEmbeddingLoss', 0, args)
  }

  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    const { margin, reduction } = this
    return cosineEmbeddingLoss(input1, input2, target, { margin, reduction })
  }
}

/** Distances themselves for targets of 1, max(margin - distance, 0) for -1; margin 1. */
export class HingeEmbeddingLoss extends MarginLoss {
  constructor(...args: MarginArgs) {
    super('HingeEmbeddingLoss', 1, args)
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { margin, reduction } = this
    return hingeEmbeddingLoss(input, target, { margin, reduction })
  }
}

/** max(-target (input1 - input2) + margin, 0); margin 0. */
export class MarginRankingLoss extends MarginLoss {
  constructor(...args: MarginArgs) {
    super('MarginRankingLoss', 0, args)
  }

  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    const { margin, reduction } = this
    return marginRankingLoss(input1, input2, target, { margin, reduction })
  }
}

/** log(1 + exp(-target input)) for targets of 1 and -1. */
export class SoftMarginLoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return softMarginLoss(input, target, { reduction: this.reduction })
  }
}

/** The multi-class margin loss of several labels; see `multilabelMarginLoss`. */
export class MultiLabelMarginLoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return multilabelMarginLoss(input, target, { reduction: this.reduction })
  }
}

interface WeightOptions extends ReductionOptions {
  readonly weight?: Tensor | null
}

/** The mean over classes of the binary cross entropy of sigmoid(input). */
export class MultiLabelSoftMarginLoss extends Module {
  readonly reduction: Reduction
  /** A buffer: one weight a class. */
  declare weight: Tensor | null

  constructor(...args: Args<[weight?: Tensor | null], WeightOptions>) {
    super()
    const [weight = null, reduction = 'mean'] = named<[Tensor | null, Reduction]>(
      'MultiLabelSoftMarginLoss',
      'weight, *, reduction',
      args,
    )
    this.registerBuffer('weight', weight)
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return multilabelSoftMarginLoss(input, target, this.weight, { reduction: this.reduction })
  }
}

interface MultiMarginOptions extends WeightOptions {
  readonly p?: number
  readonly margin?: number
}

/** The multi-class margin loss; see `multiMarginLoss`. Throws ValueError for p other than 1 and 2. */
export class MultiMarginLoss extends Module {
  readonly p: number
  readonly margin: number
  readonly reduction: Reduction
  /** A buffer: one weight a class. */
  declare weight: Tensor | null

  constructor(...args: Args<[p?: number, margin?: number, weight?: Tensor | null], MultiMarginOptions>) {
    super()
    const [p = 1, margin = 1, weight = null, reduction = 'mean'] = named<[number, number, Tensor | null, Reduction]>(
      'MultiMarginLoss',
      'p, margin, weight, *, reduction',
      args,
    )
    if (p !== 1 && p !== 2) throw new ValueError('only p == 1 and p == 2 supported')
    if (weight && weight.ndim !== 1) throw new ValueError('weight must be one-dimensional')
    this.registerBuffer('weight', weight)
    this.p = p
    this.margin = margin
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { p, margin, reduction } = this
    return multiMarginLoss(input, target, { p, margin, weight: this.weight, reduction })
  }
}

interface TripletOptions extends MarginOptions {
  readonly p?: number
  readonly eps?: number
  readonly swap?: boolean
}

/** max(|anchor - positive| - |anchor - negative| + margin, 0). Throws ValueError unless the margin is positive. */
export class TripletMarginLoss extends Module {
  readonly margin: number
  readonly p: number
  readonly eps: number
  readonly swap: boolean
  readonly reduction: Reduction

  constructor(...args: Args<[margin?: number, p?: number, eps?: number, swap?: boolean], TripletOptions>) {
    super()
    const [margin = 1, p = 2, eps = 1e-6, swap = false, reduction = 'mean'] = named<
      [number, number, number, boolean, Reduction]
    >('TripletMarginLoss', 'margin, p, eps, swap, *, reduction', args)
    checkMargin('TripletMarginLoss', margin)
    this.margin = margin
    this.p = p
    this.eps = eps
    this.swap = swap
    this.reduction = reduction
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    const { margin, p, eps, swap, reduction } = this
    return tripletMarginLoss(anchor, positive, negative, { margin, p, eps, swap, reduction })
  }
}

function checkMargin(name: string, margin: number): void {
  if (!(margin > 0)) throw new ValueError(`${name}: expected margin to be greater than 0, got ${margin} instead`)
}

type Distance = (a: Tensor, b: Tensor) => Tensor

interface DistanceOptions extends MarginOptions {
  readonly distanceFunction?: Distance | null
  readonly swap?: boolean
}

/** `TripletMarginLoss` with any distance; the Euclidean one if none is given. */
export class TripletMarginWithDistanceLoss extends Module {
  readonly distanceFunction: Distance
  readonly margin: number
  readonly swap: boolean
  readonly reduction: Reduction

  constructor(options: DistanceOptions = {}) {
    super()
    const [distance = null, margin = 1, swap = false, reduction = 'mean'] = named<
      [Distance | null, number, boolean, Reduction]
    >('TripletMarginWithDistanceLoss', '*, distance_function, margin, swap, reduction', [options])
    checkMargin('TripletMarginWithDistanceLoss', margin)
    this.distanceFunction = distance ?? new PairwiseDistance()
    this.margin = margin
    this.swap = swap
    this.reduction = reduction
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    const { distanceFunction, margin, swap, reduction } = this
    return tripletMarginWithDistanceLoss(anchor, positive, negative, { distanceFunction, margin, swap, reduction })
  }
}

interface GaussianOptions extends ReductionOptions {
  readonly full?: boolean
  readonly eps?: number
}

/** The negative log likelihood of a normal distribution with mean `input` and variance `variance`. */
export class GaussianNLLLoss extends Module {
  readonly full: boolean
  readonly eps: number
  readonly reduction: Reduction

  constructor(options: GaussianOptions = {}) {
    super()
    const [full = false, eps = 1e-6, reduction = 'mean'] = named<[boolean, number, Reduction]>(
      'GaussianNLLLoss',
      '*, full, eps, reduction',
      [options],
    )
    this.full = full
    this.eps = eps
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor {
    const { full, eps, reduction } = this
    return gaussianNllLoss(input, target, variance, { full, eps, reduction })
  }
}

interface PoissonOptions extends ReductionOptions {
  readonly logInput?: boolean
  readonly full?: boolean
  readonly eps?: number
}

/** The negative log likelihood of a Poisson distribution, whose expectation's logarithm is `input`. */
export class PoissonNLLLoss extends Module {
  readonly logInput: boolean
  readonly full: boolean
  readonly eps: number
  readonly reduction: Reduction

  constructor(...args: Args<[logInput?: boolean, full?: boolean], PoissonOptions>) {
    super()
    const [logInput = true, full = false, eps = 1e-8, reduction = 'mean'] = named<
      [boolean, boolean, number, Reduction]
    >('PoissonNLLLoss', 'log_input, full, *, eps, reduction', args)
    this.logInput = logInput
    this.full = full
    this.eps = eps
    this.reduction = reduction
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { logInput, full, eps, reduction } = this
    return poissonNllLoss(input, target, { logInput, full, eps, reduction })
  }
}

interface CTCOptions extends ReductionOptions {
  readonly blank?: number
  readonly zeroInfinity?: boolean
}
type Lengths = Tensor | readonly number[] | number

/**
 * The negative log likelihood of labels over all their alignments (https://www.cs.toronto.edu/~graves/icml_2006.pdf);
 * see `ctcLoss`.
 */
export class CTCLoss extends Module {
  readonly blank: number
  readonly reduction: Reduction
  readonly zeroInfinity: boolean

  constructor(...args: Args<[blank?: number, reduction?: Reduction, zeroInfinity?: boolean], CTCOptions>) {
    super()
    const [blank = 0, reduction = 'mean', zeroInfinity = false] = named<[number, Reduction, boolean]>(
      'CTCLoss',
      'blank, reduction, zero_infinity',
      args,
    )
    this.blank = blank
    this.reduction = reduction
    this.zeroInfinity = zeroInfinity
  }

  forward(logProbs: Tensor, targets: Tensor, inputLengths: Lengths, targetLengths: Lengths): Tensor {
    const { blank, reduction, zeroInfinity } = this
    return ctcLoss(logProbs, targets, inputLengths, targetLengths, { blank, reduction, zeroInfinity })
  }
}
