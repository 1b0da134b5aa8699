// One epoch of a loader with workers, as the user iterates it; and the end of workers whose epoch nobody reads any more.
import { RuntimeError } from '../base/errors.ts'
import { collector } from '../tensor/collector.ts'
import { END } from './fetch.ts'
import type { Pool } from './pool.ts'
import { giveTurn } from './turn.ts'

/** The batches of one epoch. Ending it, by `return` as `break` does or by an error, ends the workers. */
export class Epoch<B> implements AsyncIterableIterator<B> {
  private readonly pool: Pool
  private readonly persistent: boolean
  private readonly number: number
  private readonly counted: (count: number) => void
  private count = 0
  private done = false
  private tail: Promise<unknown> = Promise.resolve()

  constructor(pool: Pool, persistent: boolean, counted: (count: number) => void) {
    this.pool = pool
    this.persistent = persistent
    this.number = pool.current
    this.counted = counted
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<B, undefined>> {
    const result = this.tail.then(() => this.step())
    this.tail = result.catch(() => {})
    return result
  }

  async return(): Promise<IteratorResult<B, undefined>> {
    await this.finish()
    return { done: true, value: undefined }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish()
  }

  private async step(): Promise<IteratorResult<B, undefined>> {
    if (this.done) return { done: true, value: undefined }
    if (this.pool.current !== this.number) {
      throw new RuntimeError('another epoch of this loader has begun, and its persistent workers serve one at a time')
    }
    try {
      const batch = await this.pool.next()
      const turn = giveTurn()
      if (turn) await turn
      if (batch !== END) {
        this.counted(++this.count)
        return { done: false, value: batch as B }
      }
    } catch (error) {
      await this.finish()
      throw error
    }
    await this.finish()
    return { done: true, value: undefined }
  }

  private async finish(): Promise<void> {
    if (this.done) return
    this.done = true
    if (this.persistent) this.pool.abandon(this.number)
    else await this.pool.close()
  }
}

interface Watched {
  readonly owner: WeakRef<object>
  readonly pool: Pool
}

const open = new Set<Watched>()
let limit = 8

const registry = new FinalizationRegistry<Watched>((entry) => void entry.pool.close(0))

/** Ends the workers of `pool` once `owner` is garbage. */
export function watch(owner: object, pool: Pool): void {
  // Threads weigh more than the collector knows, so where many are open it is asked to look for abandoned ones.
  if (open.size >= limit) {
    collector.collect(false)
    for (const entry of open) if (entry.owner.deref() === undefined) void entry.pool.close(0)
    limit = open.size + 8
  }
  const entry = { owner: new WeakRef(owner), pool }
  open.add(entry)
  registry.register(owner, entry, entry)
  pool.onClose = () => {
    open.delete(entry)
    registry.unregister(entry)
    if (open.size < 8) limit = 8
  }
}

/** How many pools of workers are open. */
export function openPools(): number {
  return open.size
}
