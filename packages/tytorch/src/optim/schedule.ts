// What all schedulers of learning rates share: the groups they set, their step count, and their state in PyTorch's spelling.
import { ValueError } from '../base/errors.ts'
import { type SinCos, sincos } from '../base/libm.ts'
import { snakeCase } from '../nn/state.ts'
import { noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { everyCall } from '../tensor/tracer.ts'
import { camelCase, type LearningRate, numberOf, Optimizer } from './optimizer.ts'

/** A group of parameters with what schedulers keep in it. */
export type Group = LearningRate & {
  initialLr?: number
  maxLr?: number
  minLr?: number
  swaLr?: number
  momentum?: number
  betas?: readonly number[]
  baseMomentum?: number
  maxMomentum?: number
}
// biome-ignore lint/suspicious/noExplicitAny: optimizers of all options
export type AnyOptimizer = Optimizer<any>

/** The `lastEpoch` of a scheduler's options. */
export interface Resumed {
  /** Where to go on from; -1 starts anew. */
  readonly lastEpoch?: number
}

const warned = new Set<string>()

/** Prints a warning the first time. */
export function warnOnce(text: string): void {
  if (!warned.has(text)) console.warn(`UserWarning: ${text}`)
  warned.add(text)
}

const EARLY =
  'Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first value of the learning rate schedule. See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate'
export const EPOCH_GIVEN =
  'The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use `scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is used instead of the new chainable form, where available. Please open an issue if you are unable to replicate your use case: https://github.com/pytorch/pytorch/issues/new/choose.'
const ASKED = 'To get the last learning rate computed by the scheduler, please use `get_last_lr()`.'

/** Throws TypeError for anything but an optimizer. */
export function requireOptimizer(optimizer: unknown): void {
  if (optimizer instanceof Optimizer) return
  const name = (optimizer as object | null | undefined)?.constructor?.name ?? String(optimizer)
  throw new TypeError(`${name} is not an Optimizer`)
}

/** a / b. Throws RangeError for b = 0, where Python raises ZeroDivisionError. */
export function quotient(a: number, b: number): number {
  if (b === 0) throw new RangeError('ZeroDivisionError: division by zero')
  return a / b
}

const angle: SinCos = { sin: 0, cos: 1 }

/** The cosine, as Python's `math.cos` gives it on x86-64 Linux to the last bit. */
export function cosine(x: number): number {
  sincos(x, angle)
  return angle.cos
}

let inside = false

/** Does a step now and at each call of a compiled function; steps inside it belong to it. */
export function eachCall(step: () => void): void {
  if (inside) {
    step()
    return
  }
  everyCall(() => {
    inside = true
    try {
      step()
    } finally {
      inside = false
    }
  })
}

/** One value a group, from one for all or a list. Throws ValueError for a list of another length. */
export function perGroup(name: string, optimizer: AnyOptimizer, value: number | readonly number[]): number[] {
  const count = optimizer.paramGroups.length
  if (typeof value === 'number') return new Array<number>(count).fill(value)
  if (value.length !== count) {
    throw new ValueError(
      `${name} must have the same length as optimizer.param_groups. ${name} has ${value.length} values, param_groups has ${count}.`,
    )
  }
  return [...value]
}

/** Sets a group's rate; one that is a tensor stays the same tensor. */
export function setRate(group: Group, lr: number): void {
  const now = group.lr
  if (now instanceof Tensor) noGrad(() => now.fill_(lr))
  else group.lr = lr
}

/** Names in state dicts that are not just ours in snake_case. */
const SPELLINGS: Readonly<Record<string, string>> = {
  lastLr: '_last_lr',
  stepCount: '_step_count',
  initial: '_is_initial',
  stepping: '_get_lr_called_within_step',
  TMax: 'T_max',
  T0: 'T_0',
  TI: 'T_i',
  TMult: 'T_mult',
  TCur: 'T_cur',
  switches: '_milestones',
  phases: '_schedule_phases',
  strategy: '_anneal_func_type',
  customScale: '_scale_fn_custom',
}
const NAMES = Object.fromEntries(Object.entries(SPELLINGS).map(([ours, theirs]) => [theirs, ours]))

/** What all schedulers have: an optimizer, the rates they set last, a state to store and give back. */
export abstract class Scheduler {
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

  /** Names in the state dict that differ from those of most schedulers. */
  protected spelling(name: string): string {
    return SPELLINGS[name] ?? snakeCase(name)
  }

  /** The scheduler's counts and options in PyTorch's spelling, for a checkpoint. Functions are left out. */
  stateDict(): Record<string, unknown> {
    const own = Object.entries(this).filter(([key, value]) => key !== 'optimizer' && typeof value !== 'function')
    return Object.fromEntries(
      own.map(([key, value]) => [this.spelling(key), Array.isArray(value) ? [...value] : value]),
    )
  }

  /** Takes over what `stateDict` gave, here or in PyTorch. */
  loadStateDict(stateDict: Readonly<Record<string, unknown>>): void {
    for (const [key, value] of Object.entries(stateDict)) {
      const own = NAMES[key] ?? camelCase(key)
      ;(this as unknown as Record<string, unknown>)[own] = Array.isArray(value) ? [...value] : value
    }
  }
}

/**
 * The base of schedulers: `step()` after each epoch (after the optimizer's steps) sets the groups' rates to what
 * `getLr()` answers. A subclass calls `this.start()` at the end of its constructor, for the first rates. Throws
 * ValueError for a `lastEpoch` that goes on where no group has an `initialLr`.
 */
export abstract class LRScheduler extends Scheduler {
  lastEpoch: number
  /** The rates that the groups started from. */
  baseLrs: number[]
  protected stepCount = 0
  /** True during the step that the constructor makes. */
  protected initial = false
  /** True while a step asks for the next rates. */
  protected stepping = false

  constructor(optimizer: AnyOptimizer, lastEpoch = -1) {
    super(optimizer)
    this.groups.forEach((group, i) => {
      if (lastEpoch === -1) group.initialLr ??= numberOf(group.lr)
      else if (group.initialLr === undefined) {
        throw new ValueError(
          `param 'initial_lr' is not specified in param_groups[${i}] when resuming scheduler with last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)`,
        )
      }
    })
    this.baseLrs = this.groups.map((g) => g.initialLr as number)
    this.lastEpoch = lastEpoch
  }

  /** Every scheduler is an LRScheduler, as in PyTorch, though those without a rule of their own lack its parts here. */
  static override [Symbol.hasInstance](x: unknown): boolean {
    return this === LRScheduler ? x instanceof Scheduler : Function.prototype[Symbol.hasInstance].call(this, x)
  }

  /** The groups' next rates, from the present ones and `lastEpoch`. */
  abstract getLr(): number[]

  /** The rates at `lastEpoch` computed from the first ones, if there is a formula. */
  protected closedForm(): number[] | null {
    return null
  }

  /** Sets the first rates; called at the end of a subclass's constructor. */
  protected start(): void {
    this.stepCount = 0
    this.initial = true
    try {
      this.step()
    } finally {
      this.initial = false
    }
  }

  /** Warns if the user asks for the next rates, which depend on the present ones. */
  protected notAsked(): void {
    if (!this.stepping) warnOnce(ASKED)
  }

  /** Goes on to the next epoch, or (which PyTorch deprecates) to `epoch`. */
  step(epoch?: number | null): void {
    eachCall(() => {
      if (this.stepCount === 1 && this.optimizer.steps === 0) warnOnce(EARLY)
      this.stepCount++
      if (epoch !== undefined && epoch !== null) warnOnce(EPOCH_GIVEN)
      this.goTo(epoch ?? null)
    })
  }

  /** Sets the rates of the next epoch, or of `epoch`. */
  protected goTo(epoch: number | null): void {
    this.lastEpoch = epoch ?? this.lastEpoch + 1
    this.setRates(() => (epoch === null ? null : this.closedForm()) ?? this.getLr())
  }

  protected setRates(next: () => readonly number[]): void {
    this.stepping = true
    let values: readonly number[]
    try {
      values = next()
    } finally {
      this.stepping = false
    }
    const { groups } = this
    if (values.length !== groups.length) {
      throw new ValueError(
        `${this.constructor.name} was made for ${values.length} parameter groups, and the optimizer has ${groups.length} now`,
      )
    }
    groups.forEach((group, i) => {
      setRate(group, values[i])
    })
    this.lastLr = this.rates()
  }

  protected scaled(factor: number): number[] {
    return this.rates().map((lr) => lr * factor)
  }
}
