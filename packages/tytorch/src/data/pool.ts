// The workers of one loader, seen from the main thread: which worker makes which batch, what is prefetched, in which
// order batches come out, and how everything ends.
import { memory } from '../backend/memory.ts'
import * as errors from '../base/errors.ts'
import type { Storage } from '../tensor/storage.ts'
import { END } from './fetch.ts'
import { startThread, type Thread } from './host.ts'
import { findExport, type Named, namesIn, Packer, unpack, urlsIn } from './pack.ts'
import type { Work } from './serve.ts'
import { type Fault, type Hello, type Parcel, type Reply, sendTensor, Yard } from './wire.ts'

/** What a pool needs of its loader. */
export interface PoolOptions {
  readonly work: Work
  readonly numWorkers: number
  readonly prefetchFactor: number
  readonly batched: boolean
  readonly dropLast: boolean
  readonly timeout: number
  readonly inOrder: boolean
  readonly persistent: boolean
  readonly baseSeed: bigint
  readonly workerModules: readonly string[]
}

/** Seconds between looks at workers that say nothing, and after which one that does not end is stopped. */
const CHECK = 5
const GRACE = 1
/** Seconds after which a wait without a timeout is remarked on. */
const PATIENCE = 60

interface Lane {
  readonly thread: Thread
  /** False once its stream has ended, in this epoch. */
  active: boolean
  dead: boolean
  /** It has answered once, and so has its copy of the dataset. */
  ready: boolean
  cause: unknown
  tasks: number
  /** The blocks that the worker may be writing into, by task. */
  readonly blocks: Map<number, readonly Storage[]>
}

interface Task {
  readonly lane: number
  reply: Reply | null
}

/** Runs the workers of one loader. */
export class Pool {
  closed = false
  /** Called when the workers are told to end. */
  onClose: () => void = () => {}
  private readonly options: PoolOptions
  private readonly lanes: Lane[] = []
  private readonly yard = new Yard()
  private readonly urls: readonly string[]
  private readonly modules = new Map<string, object>()
  private readonly loading: Promise<unknown>
  /** What the workers copy from while they start. */
  private readonly held: unknown[] = []
  private readonly epochFlag: Int32Array | null
  private epoch = 0
  private keys: Iterator<unknown>
  private exhausted = false
  private sent = 0
  private received = 0
  private tasks = new Map<number, Task>()
  private cycle = 0
  private wake: () => void = () => {}

  constructor(options: PoolOptions, keys: Iterator<unknown>) {
    this.options = options
    this.keys = keys
    const { work, numWorkers, batched, dropLast, baseSeed, workerModules } = options
    this.urls = [...new Set([...urlsIn(work), ...workerModules])]
    const packer = new Packer(this.urls, (t) => sendTensor(t, (whole) => this.held.push(whole)))
    const packed = packer.pack({ ...work }, '')
    this.loading = this.loadModules(namesIn(packed))
    this.epochFlag = typeof SharedArrayBuffer === 'undefined' ? null : new Int32Array(new SharedArrayBuffer(4))
    try {
      for (let id = 0; id < numWorkers; id++) {
        const seed = BigInt.asUintN(64, baseSeed + BigInt(id))
        const hello: Omit<Hello, 'port'> = {
          id,
          numWorkers,
          seed,
          work: packed,
          modules: this.urls,
          batched,
          dropLast,
          memory: memory.shared ? memory.wasm : null,
          epoch: this.epochFlag,
        }
        this.lanes.push(this.start(hello))
      }
      this.prefetch()
    } catch (error) {
      void this.close(0)
      if (error instanceof Error && error.name === 'DataCloneError') {
        throw new TypeError(`DataLoader can't send the dataset to its workers: ${error.message}`, { cause: error })
      }
      throw error
    }
  }

  private start(hello: Omit<Hello, 'port'>): Lane {
    const found: { lane?: Lane } = {}
    const thread = startThread(hello, {
      arrived: () => this.wake(),
      ended: (cause) => {
        const lane = found.lane as Lane
        lane.dead = true
        lane.cause = cause
        lane.blocks.clear()
        this.wake()
      },
    })
    return (found.lane = { thread, active: true, dead: false, ready: false, cause: null, tasks: 0, blocks: new Map() })
  }

  /** Modules for batches that hold instances of their classes; nothing waits for them unless such a batch comes. */
  private async loadModules(names: readonly Named[]): Promise<void> {
    for (const url of new Set(names.flatMap((n) => n.urls))) {
      try {
        this.modules.set(url, (await import(/* @vite-ignore */ /* webpackIgnore: true */ url)) as object)
      } catch {
        // The workers say what is wrong with it.
      }
    }
  }

  /** Starts the next epoch with the same workers. */
  restart(keys: Iterator<unknown>): void {
    this.keys = keys
    this.exhausted = false
    this.epoch++
    if (this.epochFlag) Atomics.store(this.epochFlag, 0, this.epoch)
    this.tasks.clear()
    this.received = this.sent
    this.cycle = 0
    for (const lane of this.lanes) {
      lane.active = true
      lane.tasks = 0
      lane.thread.send({ kind: 'epoch' })
    }
    this.prefetch()
  }

  /** Which epoch runs now. */
  get current(): number {
    return this.epoch
  }

  private prefetch(): void {
    const { prefetchFactor, numWorkers } = this.options
    for (let i = 0; i < prefetchFactor * numWorkers; i++) this.dispatch()
  }

  /** Gives the next keys to the next worker in turn. */
  private dispatch(): void {
    if (this.exhausted) return
    const next = this.keys.next()
    if (next.done) {
      this.exhausted = true
      return
    }
    const at = this.nextLane()
    if (at < 0) return
    const lane = this.lanes[at]
    const id = this.sent++
    const storages = this.yard.reserve()
    lane.blocks.set(id, storages)
    lane.tasks++
    this.tasks.set(id, { lane: at, reply: null })
    const blocks = storages.map((s) => [s.pointer, s.bytes] as const)
    try {
      lane.thread.send({ kind: 'fetch', id, epoch: this.epoch, keys: next.value, blocks })
    } catch (error) {
      throw new TypeError(`DataLoader can't send the sampler's keys to its workers: ${String(error)}`, { cause: error })
    }
  }

  private nextLane(): number {
    const { numWorkers, prefetchFactor, inOrder } = this.options
    const active = this.lanes.filter((lane) => lane.active).length
    for (let i = 0; i < numWorkers; i++) {
      const at = this.cycle
      this.cycle = (this.cycle + 1) % numWorkers
      const lane = this.lanes[at]
      if (!lane.active) continue
      if (inOrder || lane.tasks < Math.floor((prefetchFactor * numWorkers) / active)) return at
    }
    return -1
  }

  /** The next batch, or END. Throws what a worker threw, and RuntimeError if one died or the time is over. */
  async next(): Promise<unknown> {
    for (;;) {
      const task = this.front()
      if (!task) return END
      if (task.reply) {
        this.tasks.delete(this.received++)
        return this.deliver(task, task.reply)
      }
      const reply = this.take() ?? (await this.wait())
      if (!reply) return END
      const found = this.tasks.get(reply.id)
      if (!found) continue // of an epoch that was broken off
      if (reply.kind === 'end') {
        this.lanes[found.lane].active = false
        if (!this.options.persistent) void this.end(this.lanes[found.lane], GRACE)
        this.dispatch()
      } else if (this.options.inOrder) found.reply = reply
      else {
        this.tasks.delete(reply.id)
        return this.deliver(found, reply)
      }
    }
  }

  /** The oldest task that will still give a batch. */
  private front(): Task | null {
    while (this.received < this.sent) {
      const task = this.tasks.get(this.received)
      if (task && (task.reply || this.lanes[task.lane].active)) return task
      this.tasks.delete(this.received++)
    }
    return null
  }

  private deliver(task: Task, reply: Reply): unknown {
    const lane = this.lanes[task.lane]
    const storages = lane.blocks.get(reply.id) ?? []
    lane.blocks.delete(reply.id)
    lane.tasks--
    this.dispatch()
    if (reply.kind === 'error') throw rethrown(reply.fault, task.lane)
    if (reply.kind !== 'batch') throw new errors.RuntimeError(`DataLoader worker ${task.lane} did not answer its task`)
    const make = (): unknown =>
      unpack(
        reply.value,
        (p) => this.yard.receive(p as Parcel, storages),
        (n) => this.find(n),
      )
    return namesIn(reply.value).length === 0 ? make() : this.withModules(make)
  }

  /** Waits for the modules of classes in a batch, but not for one that itself waits for this loader. */
  private async withModules(make: () => unknown): Promise<unknown> {
    let timer: ReturnType<typeof setTimeout> | undefined
    await Promise.race([this.loading, new Promise((resolve) => (timer = setTimeout(resolve, 1000)))])
    clearTimeout(timer)
    return make()
  }

  private find(named: Named): unknown {
    const found = findExport(named, this.modules)
    if (found) return found
    throw new errors.RuntimeError(
      `the batch holds '${named.name}', which no module exports that has finished loading (${named.urls.join(', ')}); put it into a module of its own`,
    )
  }

  /** The next reply that is there already. */
  private take(): Reply | null {
    for (const lane of this.lanes) {
      const reply = lane.thread.take() as Reply | undefined
      if (!reply) continue
      if (!lane.ready) {
        lane.ready = true
        if (this.lanes.every((l) => l.ready || l.dead)) this.held.length = 0
      }
      if (reply.kind !== 'batch' || !this.tasks.has(reply.id)) lane.blocks.delete(reply.id)
      return reply
    }
    return null
  }

  /** Waits for a reply, with a timer that keeps the process alive meanwhile; null if the pool is closed. */
  private async wait(): Promise<Reply | null> {
    const { timeout } = this.options
    const start = performance.now()
    let remarked = false
    for (;;) {
      const reply = this.take()
      if (reply || this.closed) return reply
      this.checkAlive()
      const waited = (performance.now() - start) / 1000
      if (timeout > 0 && waited >= timeout) {
        void this.close(0)
        throw new errors.RuntimeError(`DataLoader timed out after ${timeout} seconds`)
      }
      if (timeout === 0 && waited > PATIENCE && !remarked) {
        remarked = true
        console.warn(
          `A DataLoader has waited for a batch for ${PATIENCE} seconds; give it a timeout to make this an error.`,
        )
      }
      const left = timeout > 0 ? Math.min(timeout - waited, CHECK) : CHECK
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(left * 1000, 1))
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.wake = () => {}
    }
  }

  private checkAlive(): void {
    const dead = this.lanes.filter((lane) => lane.dead && lane.active)
    if (dead.length === 0) return
    const ids = dead.map((lane) => lane.thread.id).join(', ')
    const cause = dead.find((lane) => lane.cause !== null)?.cause ?? null
    void this.close(0)
    throw new errors.RuntimeError(
      `DataLoader worker (pid(s) ${ids}) exited unexpectedly${cause === null ? '' : `: ${cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)}`}`,
      cause === null ? {} : { cause },
    )
  }

  /** Gives up what is left of an epoch, with the workers kept. */
  abandon(epoch: number): void {
    if (epoch !== this.epoch || this.closed) return
    this.epoch++
    if (this.epochFlag) Atomics.store(this.epochFlag, 0, this.epoch)
    this.tasks.clear()
    this.keys.return?.()
    this.exhausted = true
    this.received = this.sent
  }

  /** Ends all workers: by themselves within `grace` seconds, or else by force. Resolves when none is left. */
  async close(grace = GRACE): Promise<void> {
    this.closed = true
    this.wake()
    this.onClose()
    if (this.epochFlag) Atomics.store(this.epochFlag, 0, -1)
    this.exhausted = true
    this.keys.return?.()
    await Promise.all(this.lanes.map((lane) => this.end(lane, grace)))
    this.tasks.clear()
    this.held.length = 0
  }

  private async end(lane: Lane, grace: number): Promise<void> {
    if (lane.dead) return
    keepUntil(lane.thread.end, [this.held, lane.blocks])
    if (grace > 0) {
      lane.thread.send({ kind: 'close' })
      let timer: ReturnType<typeof setTimeout> | undefined
      const late = new Promise((resolve) => (timer = setTimeout(resolve, grace * 1000, 'late')))
      const first = await Promise.race([lane.thread.end, late])
      clearTimeout(timer)
      if (first !== 'late') return
    }
    await lane.thread.kill()
  }
}

const kept = new Set<unknown>()

/** Keeps memory that a thread may still write to from being given to others before the thread has ended. */
function keepUntil(end: Promise<void>, what: unknown): void {
  kept.add(what)
  void end.then(() => kept.delete(what))
}

const known: Readonly<Record<string, new (message: string, options?: ErrorOptions) => Error>> = {
  ...errors,
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

/** A worker's error, of the same class where it is a known one, with the worker's stack in its message. */
function rethrown({ name, message, stack, extra }: Fault, worker: number): Error {
  const text = `Caught ${name} in DataLoader worker process ${worker}.\nOriginal ${stack}`
  const error = new (known[name] ?? Error)(text)
  if (!known[name]) error.name = name
  error.cause = Object.assign(new Error(message), { name, stack })
  return Object.assign(error, extra)
}
