// One direction of a compiled call, forward or backward: what was recorded, and, from its first replay on, what fusion and
// the memory plan made of it. A trace that is never replayed (a first step, which makes the optimizer's state) costs
// nothing beyond its recording, and what is compiled later leaves the garbage of the traced call to a quick collection.
import { openArena, type Storage } from '../tensor/storage.ts'
import { fuse } from './fuse.ts'
import { planMemory } from './plan.ts'
import { Replay } from './replay.ts'
import type { Buffer, LiveSource, Trace } from './trace.ts'
import { prune, share, writtenBuffers } from './uses.ts'

export class Section {
  /** For each input: which argument's first element it starts at. */
  readonly inputs: readonly { readonly buffer: Buffer; readonly argument: number }[]
  readonly fresh: readonly Buffer[]
  /** Storages that change in place: arguments by place, and others. */
  readonly written: readonly (number | Storage)[]
  /** Storages whose addresses are part of the replay: it keeps them alive. */
  readonly held: readonly Storage[]
  private readonly lives: readonly LiveSource[]
  private readonly fusion: boolean
  private recorded: Trace
  private lean: Trace | null = null
  private made: Replay | null = null

  /**
   * `buffers` says which buffer of the trace each storage is; `inputs` are the arguments' storages, `fresh` those that each
   * call allocates anew, in the order in which `run` takes their addresses.
   */
  constructor(
    { trace, buffers }: { readonly trace: Trace; readonly buffers: ReadonlyMap<Storage, Buffer> },
    lives: readonly LiveSource[],
    inputs: readonly { readonly storage: Storage; readonly argument: number }[],
    fresh: readonly Storage[],
    fusion: boolean,
  ) {
    this.recorded = trace
    this.lives = lives
    this.fusion = fusion
    this.inputs = inputs.flatMap(({ storage, argument }) => {
      const buffer = buffers.get(storage)
      return buffer ? [{ buffer, argument }] : []
    })
    this.fresh = fresh.map((s) => buffers.get(s) as Buffer)
    const kept = [...buffers].filter(([, b]) => b.kind === 'captured' || b.kind === 'state' || b.kind === 'input')
    const written = writtenBuffers(trace)
    const argumentOf = new Map(inputs.map((i) => [i.storage, i.argument]))
    this.written = kept.filter(([, b]) => written.has(b)).map(([s]) => argumentOf.get(s) ?? s)
    this.held = kept.filter(([, b]) => b.kind !== 'input').map(([s]) => s)
  }

  /** The steps as they are replayed. */
  get trace(): Trace {
    if (!this.lean) {
      const lean = share(prune(this.recorded))
      this.lean = this.recorded = this.fusion ? fuse(lean) : lean
    }
    return this.lean
  }

  get replay(): Replay {
    if (!this.made) {
      const { trace } = this
      // Its memory is no part of the scope or the backward pass that replays it first.
      const arena = openArena(null)
      try {
        this.made = new Replay(trace, planMemory(trace), this.lives)
      } finally {
        openArena(arena)
      }
    }
    return this.made
  }
}
