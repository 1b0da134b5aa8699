// torch.optim.lr_scheduler: learning rates that change with the epochs, computed step by step as PyTorch computes them.
import { ValueError } from '../base/errors.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import { type AnyOptimizer, cosine, LRScheduler, quotient, type Resumed } from './schedule.ts'

export { ChainedScheduler, SequentialLR } from './composed.ts'
export { CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR } from './cycles.ts'
export { ReduceLROnPlateau } from './plateau.ts'
export { LRScheduler, Scheduler } from './schedule.ts'

type Lambda = (epoch: number) => number

function missing(name: string, argument: string): TypeError {
  return new TypeError(`${name}.__init__() missing 1 required positional argument: '${argument}'`)
}

/** What schedulers by functions share: one for all groups, or one each, and a state without them. */
abstract class ByFunction extends LRScheduler {
  readonly lrLambdas: readonly Lambda[]

  constructor(
    optimizer: AnyOptimizer,
    lrLambda: Lambda | readonly Lambda[],
    ...rest: Args<[lastEpoch?: number], Resumed>
  ) {
    const [, lastEpoch] = named<[unknown, number]>(new.target.name, 'lr_lambda, last_epoch', [lrLambda, ...rest])
    super(optimizer, lastEpoch)
    const list = Array.isArray(lrLambda) ? (lrLambda as Lambda[]) : this.groups.map(() => lrLambda as Lambda)
    if (list.length !== this.groups.length) {
      throw new ValueError(`Expected ${this.groups.length} lr_lambdas, but got ${list.length}`)
    }
    const other = list.find((f) => typeof f !== 'function')
    if (other !== undefined) throw new TypeError(`lr_lambda should be a function, but got ${typeof other}`)
    this.lrLambdas = [...list]
    this.start()
  }

  override stateDict(): Record<string, unknown> {
    return { ...super.stateDict(), lr_lambdas: this.lrLambdas.map(() => null) }
  }

  override loadStateDict(stateDict: Readonly<Record<string, unknown>>): void {
    const { lr_lambdas: _, ...rest } = stateDict
    super.loadStateDict(rest)
  }
}

/** The initial rates times a function of the epoch, one for all groups or one each. */
export class LambdaLR extends ByFunction {
  getLr(): number[] {
    this.notAsked()
    return this.baseLrs.map((lr, i) => lr * this.lrLambdas[i](this.lastEpoch))
  }
}

/** Multiplies the rates at each epoch by a function of it, one for all groups or one each. */
export class MultiplicativeLR extends ByFunction {
  getLr(): number[] {
    this.notAsked()
    return this.initial ? this.rates() : this.rates().map((lr, i) => lr * this.lrLambdas[i](this.lastEpoch))
  }
}

/** Multiplies the rates by gamma (0.1) every `stepSize` epochs. */
export class StepLR extends LRScheduler {
  readonly stepSize: number
  readonly gamma: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<
      [stepSize: number, gamma?: number, lastEpoch?: number],
      Resumed & { stepSize?: number; gamma?: number }
    >
  ) {
    const [stepSize, gamma = 0.1, lastEpoch] = named<[number, number, number]>(
      'StepLR',
      'step_size, gamma, last_epoch',
      args,
    )
    if (stepSize === undefined) throw missing('StepLR', 'step_size')
    super(optimizer, lastEpoch)
    this.stepSize = stepSize
    this.gamma = gamma
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    if (this.stepSize === 0 && this.lastEpoch !== 0) quotient(this.lastEpoch, 0)
    return this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0 ? this.rates() : this.scaled(this.gamma)
  }

  protected override closedForm(): number[] {
    return this.baseLrs.map((lr) => lr * this.gamma ** Math.floor(quotient(this.lastEpoch, this.stepSize)))
  }
}

/** Multiplies the rates by gamma at each of the milestones. */
export class MultiStepLR extends LRScheduler {
  /** How often each epoch is a milestone. */
  readonly milestones: Readonly<Record<number, number>>
  readonly gamma: number

  constructor(
    optimizer: AnyOptimizer,
    milestones: Iterable<number>,
    ...rest: Args<[gamma?: number, lastEpoch?: number], Resumed & { gamma?: number }>
  ) {
    const [, gamma = 0.1, lastEpoch] = named<[unknown, number, number]>(
      'MultiStepLR',
      'milestones, gamma, last_epoch',
      [[...milestones], ...rest],
    )
    super(optimizer, lastEpoch)
    const counts: Record<number, number> = {}
    for (const epoch of milestones) counts[epoch] = (counts[epoch] ?? 0) + 1
    this.milestones = counts
    this.gamma = gamma
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    const times = this.milestones[this.lastEpoch] ?? 0
    return times === 0 ? this.rates() : this.scaled(this.gamma ** times)
  }

  protected override closedForm(): number[] {
    let passed = 0
    for (const [epoch, times] of Object.entries(this.milestones)) if (Number(epoch) <= this.lastEpoch) passed += times
    return this.baseLrs.map((lr) => lr * this.gamma ** passed)
  }
}

interface ConstantOptions extends Resumed {
  readonly factor?: number
  readonly totalIters?: number
}

/** The rates times `factor` (1/3) until epoch `totalIters` (5). */
export class ConstantLR extends LRScheduler {
  readonly factor: number
  readonly totalIters: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[factor?: number, totalIters?: number, lastEpoch?: number], ConstantOptions>
  ) {
    const [factor = 1 / 3, totalIters = 5, lastEpoch] = named<[number, number, number]>(
      'ConstantLR',
      'factor, total_iters, last_epoch',
      args,
    )
    if (!(factor >= 0 && factor <= 1))
      throw new ValueError('Constant multiplicative factor expected to be between 0 and 1.')
    super(optimizer, lastEpoch)
    this.factor = factor
    this.totalIters = totalIters
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    if (this.lastEpoch === 0) return this.scaled(this.factor)
    return this.lastEpoch === this.totalIters ? this.scaled(quotient(1, this.factor)) : this.rates()
  }

  protected override closedForm(): number[] {
    const over = Number(this.lastEpoch >= this.totalIters)
    return this.baseLrs.map((lr) => lr * (this.factor + over * (1 - this.factor)))
  }
}

interface LinearOptions extends Resumed {
  readonly startFactor?: number
  readonly endFactor?: number
  readonly totalIters?: number
}

/** The rates times a factor that goes from `startFactor` (1/3) to `endFactor` (1) in `totalIters` (5) epochs. */
export class LinearLR extends LRScheduler {
  readonly startFactor: number
  readonly endFactor: number
  readonly totalIters: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[startFactor?: number, endFactor?: number, totalIters?: number, lastEpoch?: number], LinearOptions>
  ) {
    const [startFactor = 1 / 3, endFactor = 1, totalIters = 5, lastEpoch] = named<[number, number, number, number]>(
      'LinearLR',
      'start_factor, end_factor, total_iters, last_epoch',
      args,
    )
    if (!(startFactor > 0 && startFactor <= 1)) {
      throw new ValueError('Starting multiplicative factor expected to be greater than 0 and less or equal to 1.')
    }
    if (!(endFactor >= 0 && endFactor <= 1))
      throw new ValueError('Ending multiplicative factor expected to be between 0 and 1.')
    super(optimizer, lastEpoch)
    this.startFactor = startFactor
    this.endFactor = endFactor
    this.totalIters = totalIters
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    const { startFactor, totalIters, lastEpoch } = this
    if (lastEpoch === 0) return this.scaled(startFactor)
    if (this.initial || lastEpoch > totalIters) return this.rates()
    const rise = this.endFactor - startFactor
    return this.scaled(1 + quotient(rise, totalIters * startFactor + (lastEpoch - 1) * rise))
  }

  protected override closedForm(): number[] {
    const { startFactor, endFactor, totalIters, lastEpoch } = this
    return this.baseLrs.map(
      (lr) => lr * (startFactor + quotient((endFactor - startFactor) * Math.min(totalIters, lastEpoch), totalIters)),
    )
  }
}

/**
 * Multiplies the rates by gamma at every `step()`, so that after n of them they are the initial ones times gamma^n.
 */
export class ExponentialLR extends LRScheduler {
  readonly gamma: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[gamma: number, lastEpoch?: number], Resumed & { gamma?: number }>
  ) {
    const [gamma, lastEpoch] = named<[number, number]>('ExponentialLR', 'gamma, last_epoch', args)
    if (gamma === undefined) throw missing('ExponentialLR', 'gamma')
    super(optimizer, lastEpoch)
    this.gamma = gamma
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    return this.initial ? this.rates() : this.scaled(this.gamma)
  }

  protected override closedForm(): number[] {
    return this.baseLrs.map((lr) => lr * this.gamma ** this.lastEpoch)
  }
}

interface CosineOptions extends Resumed {
  readonly TMax?: number
  readonly etaMin?: number
}

/**
 * From the initial rates down to `etaMin` (0) along half a cosine of `TMax` epochs, and up again (Loshchilov and
 * Hutter, https://arxiv.org/abs/1608.03983).
 */
export class CosineAnnealingLR extends LRScheduler {
  readonly TMax: number
  readonly etaMin: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[TMax: number, etaMin?: number, lastEpoch?: number], CosineOptions>
  ) {
    const [TMax, etaMin = 0, lastEpoch] = named<[number, number, number]>(
      'CosineAnnealingLR',
      'T_max, eta_min, last_epoch',
      args,
    )
    if (TMax === undefined) throw missing('CosineAnnealingLR', 'T_max')
    super(optimizer, lastEpoch)
    this.TMax = TMax
    this.etaMin = etaMin
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    const { TMax, etaMin, lastEpoch } = this
    if (this.initial) return this.rates()
    if (this.stepCount === 1 && lastEpoch > 0) return this.closedForm()
    const cos = (epoch: number): number => cosine(quotient(Math.PI * epoch, TMax))
    if ((lastEpoch - 1 - TMax) % (2 * TMax) === 0) {
      return this.rates().map((lr, i) => lr + ((this.baseLrs[i] - etaMin) * (1 - cos(1))) / 2)
    }
    return this.rates().map((lr) => quotient(1 + cos(lastEpoch), 1 + cos(lastEpoch - 1)) * (lr - etaMin) + etaMin)
  }

  protected override closedForm(): number[] {
    const { TMax, etaMin, lastEpoch } = this
    const cos = cosine(quotient(Math.PI * lastEpoch, TMax))
    return this.baseLrs.map((lr) => etaMin + ((lr - etaMin) * (1 + cos)) / 2)
  }
}

interface PolynomialOptions extends Resumed {
  readonly totalIters?: number
  readonly power?: number
}

/** The initial rates times (1 - epoch / totalIters) ** power: down to 0 in `totalIters` (5) epochs, in a line for power 1. */
export class PolynomialLR extends LRScheduler {
  readonly totalIters: number
  readonly power: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[totalIters?: number, power?: number, lastEpoch?: number], PolynomialOptions>
  ) {
    const [totalIters = 5, power = 1, lastEpoch] = named<[number, number, number]>(
      'PolynomialLR',
      'total_iters, power, last_epoch',
      args,
    )
    super(optimizer, lastEpoch)
    this.totalIters = totalIters
    this.power = power
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    const { totalIters, power, lastEpoch } = this
    if (this.initial || lastEpoch > totalIters) return this.rates()
    const left = (epoch: number): number => 1 - quotient(epoch, totalIters)
    return this.scaled(quotient(left(lastEpoch), left(lastEpoch - 1)) ** power)
  }

  protected override closedForm(): number[] {
    const { totalIters, power, lastEpoch } = this
    const left = 1 - quotient(Math.min(totalIters, lastEpoch), totalIters)
    return this.baseLrs.map((lr) => lr * left ** power)
  }
}
