// ReduceLROnPlateau: rates that fall when a metric stops improving.
import { RuntimeError, ValueError } from '../base/errors.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { numberOf } from './optimizer.ts'
import { type AnyOptimizer, EPOCH_GIVEN, eachCall, Scheduler, setRate, warnOnce } from './schedule.ts'

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
export class ReduceLROnPlateau extends Scheduler {
  readonly mode: 'min' | 'max'
  readonly factor: number
  readonly patience: number
  readonly threshold: number
  readonly thresholdMode: 'rel' | 'abs'
  readonly cooldown: number
  /** The floor of groups added later; null if each was given its own. */
  readonly defaultMinLr: number | null
  minLrs: number[]
  readonly eps: number
  /** What any metric is better than. */
  readonly modeWorse: number
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
    this.defaultMinLr = typeof minLr === 'number' ? minLr : null
    this.minLrs = [...floors]
    this.eps = eps
    this.modeWorse = mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    this.best = this.modeWorse
    this.lastLr = this.rates()
  }

  /** True while reductions wait. */
  get inCooldown(): boolean {
    return this.cooldownCounter > 0
  }

  /** Takes note of a metric after an epoch, and lowers the rates if it has not improved for too long. */
  step(metrics: number | Tensor, epoch?: number | null): void {
    eachCall(() => this.note(numberOf(metrics), epoch ?? null))
  }

  private note(current: number, epoch: number | null): void {
    if (epoch !== null) warnOnce(EPOCH_GIVEN)
    this.lastEpoch = epoch ?? this.lastEpoch + 1
    if (this.isBetter(current)) {
      this.best = current
      this.numBadEpochs = 0
    } else this.numBadEpochs++
    if (this.inCooldown) {
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
    const { groups } = this
    if (groups.length !== this.minLrs.length) {
      if (this.defaultMinLr === null) {
        throw new RuntimeError(
          `The number of param groups in the \`optimizer\` (${groups.length}) differs from when \`ReduceLROnPlateau\` was initialized (${this.minLrs.length}), usually due to a new param group being added to the optimizer. Please modify the \`min_lrs\` field to match the length of the \`optimizer\` param groups.`,
        )
      }
      this.minLrs = new Array<number>(groups.length).fill(this.defaultMinLr)
    }
    groups.forEach((group, i) => {
      const before = numberOf(group.lr)
      const after = Math.max(before * this.factor, this.minLrs[i])
      if (before - after > this.eps) setRate(group, after)
    })
  }
}
