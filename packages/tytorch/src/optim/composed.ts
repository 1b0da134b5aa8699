// Schedulers made of schedulers: one after another, and all at once.
import { NotImplementedError, ValueError } from '../base/errors.ts'
import { ReduceLROnPlateau } from './plateau.ts'
import { type AnyOptimizer, eachCall, type LRScheduler, Scheduler, setRate } from './schedule.ts'

/** What can be composed: schedulers whose `step` needs no metric. */
export type Steppable = LRScheduler | Composed

abstract class Composed extends Scheduler {
  /** The schedulers inside. */
  protected readonly schedulers: readonly Steppable[]

  constructor(optimizer: AnyOptimizer, schedulers: readonly Steppable[], chained: string) {
    const name = new.target.name
    if (schedulers.length < 1)
      throw new ValueError(`${name} expects at least one scheduler${chained}, but got no scheduler.`)
    super(optimizer)
    schedulers.forEach((scheduler, i) => {
      if (!(scheduler as { optimizer?: unknown }).optimizer)
        throw new TypeError(`${name} at index ${i} should have \`optimizer\` as its attribute.`)
      if ((scheduler as Scheduler) instanceof ReduceLROnPlateau) {
        throw new ValueError(
          `${name} does not support \`ReduceLROnPlateau\` scheduler as it requires additional kwargs to be specified when calling \`step\`, but got one at index ${i} in the given schedulers sequence.`,
        )
      }
      if (scheduler.optimizer !== optimizer) {
        throw new ValueError(
          `${name} expects all schedulers to belong to the same optimizer, but got scheduler ${scheduler.constructor.name} at index ${i} has ${scheduler.optimizer}, which is different from ${optimizer.constructor.name}.`,
        )
      }
    })
    this.schedulers = [...schedulers]
  }

  /** Goes on to the next epoch. */
  abstract step(): void

  /** The first step inside a sequence, as PyTorch makes it. */
  protected start(): void {
    this.step()
  }

  protected goTo(): never {
    throw new NotImplementedError(`a ${this.constructor.name} can only be the first scheduler of a SequentialLR`)
  }

  override stateDict(): Record<string, unknown> {
    const { schedulers: _, ...rest } = super.stateDict()
    return { ...rest, _schedulers: this.schedulers.map((s) => s.stateDict()) }
  }

  override loadStateDict(stateDict: Readonly<Record<string, unknown>>): void {
    const { _schedulers: states, ...rest } = stateDict
    super.loadStateDict(rest)
    for (const [i, state] of (states as Record<string, unknown>[]).entries()) this.schedulers[i].loadStateDict(state)
  }
}

/** The parts of LRScheduler that a sequence moves by hand. */
interface Inside {
  lastEpoch: number
  start(): void
  goTo(epoch: number): void
}
const inside = (s: Steppable): Inside => s as unknown as Inside

/**
 * Schedulers one after another: the second takes over at epoch `milestones[0]`, and so on. Throws ValueError unless
 * there is one milestone less than schedulers, all of this optimizer and none that needs a metric.
 */
export class SequentialLR extends Composed {
  lastEpoch: number
  /** The epochs at which the next scheduler takes over. */
  protected readonly switches: readonly number[]

  constructor(
    optimizer: AnyOptimizer,
    schedulers: readonly Steppable[],
    milestones: readonly number[],
    lastEpoch: number | { readonly lastEpoch?: number } = -1,
  ) {
    super(optimizer, schedulers, '')
    if (milestones.length !== schedulers.length - 1) {
      throw new ValueError(
        `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      )
    }
    this.switches = [...milestones]
    this.lastEpoch = (typeof lastEpoch === 'number' ? lastEpoch : (lastEpoch.lastEpoch ?? -1)) + 1
    // Each scheduler has made its first step, all but one of them too early.
    for (const group of this.groups) setRate(group, group.initialLr as number)
    for (const scheduler of this.schedulers) undo(scheduler)
    const first = this.schedulers[this.at(0)]
    inside(first).start()
    this.lastLr = first.getLastLr()
  }

  /** Which scheduler an epoch belongs to. */
  private at(epoch: number): number {
    const next = this.switches.findIndex((m) => m > epoch)
    return next < 0 ? this.switches.length : next
  }

  step(): void {
    eachCall(() => {
      this.lastEpoch++
      const i = this.at(this.lastEpoch)
      const scheduler = this.schedulers[i]
      if (i > 0 && this.switches[i - 1] === this.lastEpoch) inside(scheduler).goTo(0)
      else scheduler.step()
      this.lastLr = scheduler.getLastLr()
    })
  }
}

function undo(scheduler: Steppable): void {
  if (scheduler instanceof Composed)
    for (const s of (scheduler as unknown as { schedulers: Steppable[] }).schedulers) undo(s)
  else scheduler.lastEpoch--
}

/** Several schedulers that step together, each from the rates that those before it have set. */
export class ChainedScheduler extends Composed {
  constructor(
    schedulers: readonly Steppable[],
    optimizer?: AnyOptimizer | { readonly optimizer?: AnyOptimizer | null } | null,
  ) {
    const given = optimizer && 'optimizer' in optimizer ? optimizer.optimizer : (optimizer as AnyOptimizer | null)
    super((given ?? schedulers[0]?.optimizer) as AnyOptimizer, schedulers, ' to be chained')
    this.lastLr = this.rates()
  }

  step(): void {
    eachCall(() => {
      for (const scheduler of this.schedulers) scheduler.step()
      this.lastLr = this.rates()
    })
  }
}
