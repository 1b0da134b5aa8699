// Learning rates that go up and down: CyclicLR, OneCycleLR and cosines that restart.
import { ValueError } from '../base/errors.ts'
import { formatFloat } from '../base/format.ts'
import { log } from '../base/libm.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import {
  type AnyOptimizer,
  cosine,
  eachCall,
  type Group,
  LRScheduler,
  perGroup,
  quotient,
  type Resumed,
  requireOptimizer,
  setRate,
} from './schedule.ts'

/** Cycles the momentum against the rate: checks that the optimizer has one, and sets it to its maximum. */
function startMomentum(
  optimizer: AnyOptimizer,
  base: number | readonly number[],
  max: number | readonly number[],
  anew: boolean,
): { beta: boolean; bases: number[]; maxima: number[] } {
  const { defaults } = optimizer
  const beta = 'betas' in defaults
  if (!beta && !('momentum' in defaults))
    throw new ValueError('optimizer must support momentum or beta1 with `cycle_momentum` option enabled')
  const bases = perGroup('base_momentum', optimizer, base)
  const maxima = perGroup('max_momentum', optimizer, max)
  if (anew) {
    for (const [i, group] of (optimizer.paramGroups as Group[]).entries()) {
      setMomentum(group, beta, maxima[i])
      group.maxMomentum = maxima[i]
      group.baseMomentum = bases[i]
    }
  }
  return { beta, bases, maxima }
}

function setMomentum(group: Group, beta: boolean, value: number): void {
  if (beta) group.betas = [value, ...(group.betas as readonly number[]).slice(1)]
  else group.momentum = value
}

type Rates = number | readonly number[]

interface CyclicOptions extends Resumed {
  readonly baseLr?: Rates
  readonly maxLr?: Rates
  /** Steps on the way up (2000), and down (as many). */
  readonly stepSizeUp?: number
  readonly stepSizeDown?: number | null
  readonly mode?: 'triangular' | 'triangular2' | 'exp_range'
  /** The base of mode 'exp_range'. */
  readonly gamma?: number
  /** The height of a cycle instead of the mode's: a function of the cycle (from 1) or, by `scaleMode`, of the step. */
  readonly scaleFn?: ((x: number) => number) | null
  readonly scaleMode?: 'cycle' | 'iterations'
  readonly cycleMomentum?: boolean
  readonly baseMomentum?: Rates
  readonly maxMomentum?: Rates
}

/**
 * Rates that go from `baseLr` to `maxLr` and back in straight lines, a step a batch, and the momentum (or beta1) the
 * other way (Smith, https://arxiv.org/abs/1506.01186). Throws ValueError for optimizers without momentum, unless
 * `cycleMomentum` is false.
 */
export class CyclicLR extends LRScheduler {
  readonly maxLrs: number[]
  readonly totalSize: number
  readonly stepRatio: number
  readonly mode: string
  readonly gamma: number
  readonly scaleMode: string
  readonly cycleMomentum: boolean
  declare readonly useBeta1?: boolean
  declare readonly baseMomentums?: number[]
  declare readonly maxMomentums?: number[]
  protected readonly customScale: ((x: number) => number) | null

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<
      [baseLr: Rates, maxLr: Rates, stepSizeUp?: number, stepSizeDown?: number | null, mode?: string, gamma?: number],
      CyclicOptions
    >
  ) {
    const [
      baseLr,
      maxLr,
      stepSizeUp = 2000,
      stepSizeDown,
      mode = 'triangular',
      gamma = 1,
      scaleFn,
      scaleMode = 'cycle',
      cycleMomentum = true,
      baseMomentum = 0.8,
      maxMomentum = 0.9,
      lastEpoch = -1,
    ] = named<
      [
        Rates,
        Rates,
        number,
        number | null,
        string,
        number,
        ((x: number) => number) | null,
        string,
        boolean,
        Rates,
        Rates,
        number,
      ]
    >(
      'CyclicLR',
      'base_lr, max_lr, step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode, cycle_momentum, base_momentum, max_momentum, last_epoch',
      args,
    )
    requireOptimizer(optimizer)
    if (baseLr === undefined || maxLr === undefined) throw new TypeError('CyclicLR needs base_lr and max_lr')
    const groups = optimizer.paramGroups as Group[]
    const baseLrs = perGroup('base_lr', optimizer, baseLr)
    if (lastEpoch === -1) for (const [i, group] of groups.entries()) setRate(group, baseLrs[i])
    const maxLrs = perGroup('max_lr', optimizer, maxLr)
    const down = stepSizeDown ?? stepSizeUp
    if (!['triangular', 'triangular2', 'exp_range'].includes(mode) && !scaleFn)
      throw new ValueError('mode is invalid and scale_fn is None')
    const momentum = cycleMomentum ? startMomentum(optimizer, baseMomentum, maxMomentum, lastEpoch === -1) : null
    super(optimizer, lastEpoch)
    this.maxLrs = maxLrs
    this.totalSize = stepSizeUp + down
    this.stepRatio = quotient(stepSizeUp, this.totalSize)
    this.mode = mode
    this.gamma = gamma
    this.scaleMode = scaleFn ? scaleMode : mode === 'exp_range' ? 'iterations' : 'cycle'
    this.customScale = scaleFn ?? null
    this.cycleMomentum = cycleMomentum
    if (momentum) {
      this.useBeta1 = momentum.beta
      this.baseMomentums = momentum.bases
      this.maxMomentums = momentum.maxima
    }
    // As PyTorch: the first step starts from the groups' initial rates, those after it from `baseLr`.
    this.start()
    this.baseLrs = baseLrs
  }

  /** The height of a cycle at its number, or at the step. */
  scaleFn(x: number): number {
    if (this.customScale) return this.customScale(x)
    return this.mode === 'triangular' ? 1 : this.mode === 'triangular2' ? 1 / 2 ** (x - 1) : this.gamma ** x
  }

  getLr(): number[] {
    this.notAsked()
    const { totalSize, stepRatio, lastEpoch } = this
    const cycle = Math.floor(1 + lastEpoch / totalSize)
    const x = 1 + lastEpoch / totalSize - cycle
    const height = x <= stepRatio ? quotient(x, stepRatio) : quotient(x - 1, stepRatio - 1)
    const at = this.scaleMode === 'cycle' ? cycle : lastEpoch
    if (this.baseMomentums && this.maxMomentums) {
      for (const [i, group] of this.groups.entries()) {
        const max = this.maxMomentums[i]
        setMomentum(group, this.useBeta1 ?? false, max - (max - this.baseMomentums[i]) * height * this.scaleFn(at))
      }
    }
    return this.baseLrs.map((lr, i) => lr + (this.maxLrs[i] - lr) * height * this.scaleFn(at))
  }

  override stateDict(): Record<string, unknown> {
    return { ...super.stateDict(), _scale_fn_custom: null }
  }

  override loadStateDict(stateDict: Readonly<Record<string, unknown>>): void {
    const { _scale_fn_custom: _, ...rest } = stateDict
    super.loadStateDict(rest)
  }
}

interface OneCycleOptions extends Resumed {
  readonly maxLr?: Rates
  /** Steps of the whole cycle; or `epochs` and `stepsPerEpoch`. */
  readonly totalSteps?: number | null
  readonly epochs?: number | null
  readonly stepsPerEpoch?: number | null
  /** The part of the cycle on the way up (0.3). */
  readonly pctStart?: number
  readonly annealStrategy?: 'cos' | 'linear'
  readonly cycleMomentum?: boolean
  readonly baseMomentum?: Rates
  readonly maxMomentum?: Rates
  /** The first rate is maxLr / divFactor (25). */
  readonly divFactor?: number
  /** The last rate is the first one / finalDivFactor (1e4). */
  readonly finalDivFactor?: number
  /** Goes down as it went up before it falls to the last rate. */
  readonly threePhase?: boolean
}

type GroupKey = 'initial_lr' | 'max_lr' | 'min_lr' | 'max_momentum' | 'base_momentum'

/** A part of the cycle, as PyTorch stores it. */
interface Phase {
  readonly end_step: number
  readonly start_lr: GroupKey
  readonly end_lr: GroupKey
  readonly start_momentum: GroupKey
  readonly end_momentum: GroupKey
}

const KEYS = {
  initial_lr: 'initialLr',
  max_lr: 'maxLr',
  min_lr: 'minLr',
  max_momentum: 'maxMomentum',
  base_momentum: 'baseMomentum',
} as const

const counts = (n: unknown): boolean => Number.isInteger(n) && (n as number) > 0

/**
 * One cycle of rates for a whole training, a step a batch: up to `maxLr`, then down to almost nothing, with the
 * momentum (or beta1) the other way (Smith and Topin, https://arxiv.org/abs/1708.07120). Throws ValueError for a step
 * after the last one.
 */
export class OneCycleLR extends LRScheduler {
  readonly totalSteps: number
  protected readonly phases: readonly Phase[]
  protected readonly strategy: string
  readonly cycleMomentum: boolean
  declare readonly useBeta1?: boolean

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<
      [
        maxLr: Rates,
        totalSteps?: number | null,
        epochs?: number | null,
        stepsPerEpoch?: number | null,
        pctStart?: number,
      ],
      OneCycleOptions
    >
  ) {
    const [
      maxLr,
      totalSteps,
      epochs,
      stepsPerEpoch,
      pctStart = 0.3,
      strategy = 'cos',
      cycleMomentum = true,
      baseMomentum = 0.85,
      maxMomentum = 0.95,
      divFactor = 25,
      finalDivFactor = 1e4,
      threePhase = false,
      lastEpoch = -1,
    ] = named<
      [
        Rates,
        number | null,
        number | null,
        number | null,
        number,
        string,
        boolean,
        Rates,
        Rates,
        number,
        number,
        boolean,
        number,
      ]
    >(
      'OneCycleLR',
      'max_lr, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, cycle_momentum, base_momentum, max_momentum, div_factor, final_div_factor, three_phase, last_epoch',
      args,
    )
    requireOptimizer(optimizer)
    if (maxLr === undefined)
      throw new TypeError("OneCycleLR.__init__() missing 1 required positional argument: 'max_lr'")
    const steps = stepsOf(totalSteps ?? null, epochs ?? null, stepsPerEpoch ?? null)
    if (!(pctStart >= 0 && pctStart <= 1))
      throw new ValueError(`Expected float between 0 and 1 pct_start, but got ${formatFloat(pctStart)}`)
    if (strategy !== 'cos' && strategy !== 'linear')
      throw new ValueError(`anneal_strategy must be one of 'cos' or 'linear', instead got ${strategy}`)
    const maxLrs = perGroup('max_lr', optimizer, maxLr)
    if (lastEpoch === -1) {
      for (const [i, group] of (optimizer.paramGroups as Group[]).entries()) {
        group.initialLr = quotient(maxLrs[i], divFactor)
        group.maxLr = maxLrs[i]
        group.minLr = quotient(group.initialLr, finalDivFactor)
      }
    }
    const momentum = cycleMomentum ? startMomentum(optimizer, baseMomentum, maxMomentum, lastEpoch === -1) : null
    super(optimizer, lastEpoch)
    this.totalSteps = steps
    this.phases = phasesOf(steps, pctStart, threePhase)
    this.strategy = strategy
    this.cycleMomentum = cycleMomentum
    if (momentum) this.useBeta1 = momentum.beta
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    const { lastEpoch, totalSteps, phases } = this
    if (lastEpoch > totalSteps) {
      throw new ValueError(`Tried to step ${lastEpoch} times. The specified number of total steps is ${totalSteps}`)
    }
    const found = phases.findIndex((phase) => lastEpoch <= phase.end_step)
    const i = found < 0 ? phases.length - 1 : found
    const phase = phases[i]
    const from = i === 0 ? 0 : phases[i - 1].end_step
    const part = quotient(lastEpoch - from, phase.end_step - from)
    return this.groups.map((group) => {
      const between = (start: GroupKey, end: GroupKey): number =>
        this.annealed(group[KEYS[start]] as number, group[KEYS[end]] as number, part)
      if (this.cycleMomentum)
        setMomentum(group, this.useBeta1 ?? false, between(phase.start_momentum, phase.end_momentum))
      return between(phase.start_lr, phase.end_lr)
    })
  }

  private annealed(start: number, end: number, part: number): number {
    if (this.strategy === 'linear') return (end - start) * part + start
    return end + ((start - end) / 2) * (cosine(Math.PI * part) + 1)
  }
}

function stepsOf(totalSteps: number | null, epochs: number | null, stepsPerEpoch: number | null): number {
  if (totalSteps !== null) {
    if (!counts(totalSteps)) throw new ValueError(`Expected positive integer total_steps, but got ${totalSteps}`)
    return totalSteps
  }
  if (epochs === null || stepsPerEpoch === null)
    throw new ValueError('You must define either total_steps OR (epochs AND steps_per_epoch)')
  if (!counts(epochs)) throw new ValueError(`Expected positive integer epochs, but got ${epochs}`)
  if (!counts(stepsPerEpoch))
    throw new ValueError(`Expected positive integer steps_per_epoch, but got ${stepsPerEpoch}`)
  return epochs * stepsPerEpoch
}

function phasesOf(steps: number, pctStart: number, threePhase: boolean): Phase[] {
  const phase = (
    end_step: number,
    [start_lr, end_lr, start_momentum, end_momentum]: readonly [GroupKey, GroupKey, GroupKey, GroupKey],
  ): Phase => ({ end_step, start_lr, end_lr, start_momentum, end_momentum })
  const up = phase(pctStart * steps - 1, ['initial_lr', 'max_lr', 'max_momentum', 'base_momentum'])
  if (!threePhase) return [up, phase(steps - 1, ['max_lr', 'min_lr', 'base_momentum', 'max_momentum'])]
  return [
    up,
    phase(2 * pctStart * steps - 2, ['max_lr', 'initial_lr', 'base_momentum', 'max_momentum']),
    phase(steps - 1, ['initial_lr', 'min_lr', 'max_momentum', 'max_momentum']),
  ]
}

interface RestartOptions extends Resumed {
  readonly T0?: number
  readonly TMult?: number
  readonly etaMin?: number
}

/**
 * From the initial rates down to `etaMin` (0) along half a cosine of `T0` epochs, and anew from the start, each time
 * `TMult` (1) times as long (Loshchilov and Hutter, https://arxiv.org/abs/1608.03983). `step(epoch + i / batches)`
 * goes by fractions of epochs.
 */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  readonly T0: number
  readonly TMult: number
  readonly etaMin: number
  /** The length of this cosine, and how far it is. */
  protected TI: number
  protected TCur: number

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[T0: number, TMult?: number, etaMin?: number, lastEpoch?: number], RestartOptions>
  ) {
    const [T0, TMult = 1, etaMin = 0, lastEpoch = -1] = named<[number, number, number, number]>(
      'CosineAnnealingWarmRestarts',
      'T_0, T_mult, eta_min, last_epoch',
      args,
    )
    if (T0 === undefined || !counts(T0)) throw new ValueError(`Expected positive integer T_0, but got ${T0}`)
    if (!counts(TMult)) throw new ValueError(`Expected integer T_mult >= 1, but got ${TMult}`)
    super(optimizer, lastEpoch)
    this.T0 = T0
    this.TMult = TMult
    this.etaMin = etaMin
    this.TI = T0
    this.TCur = lastEpoch
    this.start()
  }

  getLr(): number[] {
    this.notAsked()
    const cos = cosine((Math.PI * this.TCur) / this.TI)
    return this.baseLrs.map((lr) => this.etaMin + ((lr - this.etaMin) * (1 + cos)) / 2)
  }

  /** Goes on to the next epoch, or to `epoch`, which may be a fraction. Throws ValueError for a negative one. */
  override step(epoch?: number | null): void {
    eachCall(() => {
      this.turn(epoch ?? (this.lastEpoch < 0 ? 0 : null))
      this.setRates(() => this.getLr())
    })
  }

  private turn(epoch: number | null): void {
    const { T0, TMult } = this
    if (epoch === null) {
      this.lastEpoch++
      this.TCur++
      if (this.TCur >= this.TI) {
        this.TCur %= this.TI
        this.TI *= TMult
      }
      return
    }
    if (epoch < 0) throw new ValueError(`Expected non-negative epoch, but got ${epoch}`)
    if (epoch < T0) {
      this.TI = T0
      this.TCur = epoch
    } else if (TMult === 1) this.TCur = epoch % T0
    else {
      const n = Math.trunc(log((epoch / T0) * (TMult - 1) + 1) / log(TMult))
      this.TCur = epoch - (T0 * (TMult ** n - 1)) / (TMult - 1)
      this.TI = T0 * TMult ** n
    }
    this.lastEpoch = Math.floor(epoch)
  }
}
