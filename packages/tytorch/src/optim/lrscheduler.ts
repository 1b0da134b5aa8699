// torch.optim.lr_scheduler: learning rates that change with the epochs, computed step by step as PyTorch computes them.
import { ValueError } from '../base/errors.ts'
import { named } from '../nn/arguments.ts'
import { snakeCase } from '../nn/state.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { everyCall } from '../tensor/tracer.ts'
import { camelCase, type LearningRate, numberOf, Optimizer } from './optimizer.ts'

type Group = LearningRate & { initialLr?: number }
// biome-ignore lint/suspicious/noExplicitAny: optimizers of all options
type AnyOptimizer = Optimizer<any>

function requireOptimizer(optimizer: unknown): void {
  if (!(optimizer instanceof Optimizer)) throw new TypeError(`${typeof optimizer} is not an Optimizer`)
}

/** What all schedulers store and give back. */
abstract class Stateful {
  readonly optimizer: AnyOptimizer
  /** The rates set last, one a group. */
  protected lastLr: number[] = []

  constructor(optimizer: AnyOptimizer) {
    requireOptimizer(optimizer)
    this.optimizer = optimizer
  }

  protected get groups(): Group[] {
    return this.optimizer.paramGroups as Group[]
  }

  /** The learning rates now, one a group. */
  protected rates(): number[] {
    return this.groups.map((g) => numberOf(g.lr))
  }

  /** The rates that the last step set, one a group. */
  getLastLr(): number[] {
    return [...this.lastLr]
  }

  /** The scheduler's counts and options, for a checkpoint. Functions are left out. */
  stateDict(): Record<string, unknown> {
    const own = Object.entries(this).filter(([key]) => key !== 'optimizer' && key !== 'lrLambdas')
    return Object.fromEntries(own.map(([key, value]) => [snakeCase(key), value]))
  }

  /** Takes over what `stateDict` gave. */
  loadStateDict(stateDict: Readonly<Record<string, unknown>>): void {
    for (const [key, value] of Object.entries(stateDict))
      (this as unknown as Record<string, unknown>)[camelCase(key)] = value
  }
}

let warned = false
function warnOfOrder(): void {
  if (!warned) {
    console.warn(
      'UserWarning: Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first value of the learning rate schedule. See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate',
    )
  }
  warned = true
}

/** The base of schedulers: `step()` after each epoch (after the optimizer's steps) sets the groups' rates. */
export abstract class LRScheduler extends Stateful {
  lastEpoch: number
  /** The rates that the groups started from. */
  readonly baseLrs: number[]
  protected stepCount = 0
  /** True during the step that the constructor makes. */
  protected initial = false

  constructor(optimizer: AnyOptimizer, lastEpoch = -1) {
    super(optimizer)
    this.groups.forEach((group, i) => {
      if (lastEpoch === -1) group.initialLr ??= numberOf(group.lr)
      else if (group.initialLr === undefined) {
        throw new ValueError(
          `param 'initial_lr' is not specified in param_groups[${i}] when resuming scheduler with last_epoch >= 0.`,
        )
      }
    })
    this.baseLrs = this.groups.map((g) => g.initialLr as number)
    this.lastEpoch = lastEpoch
  }

  /** The groups' next rates, from the present ones and `lastEpoch`. */
  abstract getLr(): number[]

  /** Sets the first rates; called at the end of a subclass's constructor. */
  protected start(): void {
    this.initial = true
    this.step()
    this.initial = false
  }

  /** Goes on to the next epoch. */
  step(): void {
    everyCall(() => this.advance())
  }

  private advance(): void {
    if (this.stepCount === 1 && this.optimizer.steps === 0) warnOfOrder()
    this.stepCount++
    this.lastEpoch++
    const values = this.getLr()
    this.groups.forEach((group, i) => {
      group.lr = values[i]
    })
    this.lastLr = this.rates()
  }

  protected scaled(factor: number): number[] {
    return this.rates().map((lr) => lr * factor)
  }
}

interface Resumed {
  /** Where to go on from; -1 starts anew. */
  readonly lastEpoch?: number
}

type Lambda = (epoch: number) => number

/** The initial rates times a function of the epoch, one for all groups or one each. */
export class LambdaLR extends LRScheduler {
  readonly lrLambdas: readonly Lambda[]

  constructor(
    optimizer: AnyOptimizer,
    lrLambda: Lambda | readonly Lambda[],
    ...rest: Args<[lastEpoch?: number], Resumed>
  ) {
    const [, lastEpoch] = named<[unknown, number]>('LambdaLR', 'lr_lambda, last_epoch', [lrLambda, ...rest])
    super(optimizer, lastEpoch)
    const list = typeof lrLambda === 'function' ? this.groups.map(() => lrLambda) : lrLambda
    if (list.length !== this.groups.length) {
      throw new ValueError(`Expected ${this.groups.length} lr_lambdas, but got ${list.length}`)
    }
    this.lrLambdas = list
    this.start()
  }

  getLr(): number[] {
    return this.baseLrs.map((lr, i) => lr * this.lrLambdas[i](this.lastEpoch))
  }
}

/** Multiplies the rates by gamma every `stepSize` epochs. */
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
    const [stepSize = 1, gamma = 0.1, lastEpoch] = named<[number, number, number]>(
      'StepLR',
      'step_size, gamma, last_epoch',
      args,
    )
    super(optimizer, lastEpoch)
    this.stepSize = stepSize
    this.gamma = gamma
    this.start()
  }

  getLr(): number[] {
    return this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0 ? this.rates() : this.scaled(this.gamma)
  }
}

/** Multiplies the rates by gamma at each of the milestones. */
export class MultiStepLR extends LRScheduler {
  readonly milestones: readonly number[]
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
    this.milestones = [...milestones]
    this.gamma = gamma
    this.start()
  }

  getLr(): number[] {
    const times = this.milestones.filter((m) => m === this.lastEpoch).length
    return times === 0 ? this.rates() : this.scaled(this.gamma ** times)
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
    if (this.lastEpoch === 0) return this.scaled(this.factor)
    return this.lastEpoch === this.totalIters ? this.scaled(1 / this.factor) : this.rates()
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
    const { startFactor, totalIters, lastEpoch } = this
    if (lastEpoch === 0) return this.scaled(startFactor)
    if (this.initial || lastEpoch > totalIters) return this.rates()
    const rise = this.endFactor - startFactor
    return this.scaled(1 + rise / (totalIters * startFactor + (lastEpoch - 1) * rise))
  }
}

/** Multiplies the rates by gamma every epoch. */
export class ExponentialLR extends LRScheduler {
  readonly gamma: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[gamma: number, lastEpoch?: number], Resumed & { gamma?: number }>
  ) {
    const [gamma = 1, lastEpoch] = named<[number, number]>('ExponentialLR', 'gamma, last_epoch', args)
    super(optimizer, lastEpoch)
    this.gamma = gamma
    this.start()
  }

  getLr(): number[] {
    return this.initial ? this.rates() : this.scaled(this.gamma)
  }
}

interface CosineOptions extends Resumed {
  readonly TMax?: number
  readonly etaMin?: number
}

/** From the initial rates down to `etaMin` (0) along half a cosine of `TMax` epochs, and up again. */
export class CosineAnnealingLR extends LRScheduler {
  readonly TMax: number
  readonly etaMin: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[TMax: number, etaMin?: number, lastEpoch?: number], CosineOptions>
  ) {
    const [TMax = 1, etaMin = 0, lastEpoch] = named<[number, number, number]>(
      'CosineAnnealingLR',
      'T_max, eta_min, last_epoch',
      args,
    )
    super(optimizer, lastEpoch)
    this.TMax = TMax
    this.etaMin = etaMin
    this.start()
  }

  getLr(): number[] {
    const { TMax, etaMin, lastEpoch } = this
    if (this.initial) return this.rates()
    const cos = (epoch: number): number => Math.cos((Math.PI * epoch) / TMax)
    if ((lastEpoch - 1 - TMax) % (2 * TMax) === 0) {
      return this.rates().map((lr, i) => lr + ((this.baseLrs[i] - etaMin) * (1 - cos(1))) / 2)
    }
    return this.rates().map((lr) => ((1 + cos(lastEpoch)) / (1 + cos(lastEpoch - 1))) * (lr - etaMin) + etaMin)
  }
}

interface PlateauOptions {
  readonly mode?: 'min' | 'max'
  readonly factor?: number
  /** Epochs without improvement that are let pass. */
  readonly patience?: number
  readonly threshold?: number
  readonly thresholdMode?: 'rel' | 'abs'
  /** Epochs to wait after a reduction. */
  readonly cooldown?: number
  readonly minLr?: number | readonly number[]
  readonly eps?: number
}

/** Multiplies the rates by `factor` (0.1) when a metric has not improved for `patience` (10) epochs. */
export class ReduceLROnPlateau extends Stateful {
  readonly mode: 'min' | 'max'
  readonly factor: number
  readonly patience: number
  readonly threshold: number
  readonly thresholdMode: 'rel' | 'abs'
  readonly cooldown: number
  readonly minLrs: readonly number[]
  readonly eps: number
  best: number
  lastEpoch = 0
  numBadEpochs = 0
  cooldownCounter = 0

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[mode?: 'min' | 'max', factor?: number, patience?: number, threshold?: number], PlateauOptions>
  ) {
    super(optimizer)
    const [
      mode = 'min',
      factor = 0.1,
      patience = 10,
      threshold = 1e-4,
      thresholdMode = 'rel',
      cooldown = 0,
      minLr = 0,
      eps = 1e-8,
    ] = named<['min' | 'max', number, number, number, 'rel' | 'abs', number, number | number[], number]>(
      'ReduceLROnPlateau',
      'mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps',
      args,
    )
    if (factor >= 1) throw new ValueError('Factor should be < 1.0.')
    if (mode !== 'min' && mode !== 'max') throw new ValueError(`mode ${String(mode)} is unknown!`)
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs')
      throw new ValueError(`threshold mode ${String(thresholdMode)} is unknown!`)
    const floors = typeof minLr === 'number' ? this.groups.map(() => minLr) : minLr
    if (floors.length !== this.groups.length)
      throw new ValueError(`expected ${this.groups.length} min_lrs, got ${floors.length}`)
    this.mode = mode
    this.factor = factor
    this.patience = patience
    this.threshold = threshold
    this.thresholdMode = thresholdMode
    this.cooldown = cooldown
    this.minLrs = floors
    this.eps = eps
    this.best = mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    this.lastLr = this.rates()
  }

  /** Takes note of a metric after an epoch, and lowers the rates if it has not improved for too long. */
  step(metrics: number | Tensor): void {
    const current = numberOf(metrics)
    this.lastEpoch++
    if (this.isBetter(current)) {
      this.best = current
      this.numBadEpochs = 0
    } else this.numBadEpochs++
    if (this.cooldownCounter > 0) {
      this.cooldownCounter--
      this.numBadEpochs = 0
    }
    if (this.numBadEpochs > this.patience) {
      this.reduce()
      this.cooldownCounter = this.cooldown
      this.numBadEpochs = 0
    }
    this.lastLr = this.rates()
  }

  private isBetter(current: number): boolean {
    const sign = this.mode === 'min' ? -1 : 1
    const bar =
      this.thresholdMode === 'rel' ? this.best * (1 + sign * this.threshold) : this.best + sign * this.threshold
    return this.mode === 'min' ? current < bar : current > bar
  }

  private reduce(): void {
    this.groups.forEach((group, i) => {
      const before = numberOf(group.lr)
      const after = Math.max(before * this.factor, this.minLrs[i] ?? this.minLrs[0])
      if (before - after > this.eps) group.lr = after
    })
  }
}
