// A loader's worker, from inside: it unpacks the dataset, answers fetches in order, and ends when it is told to.
import { setNumThreads } from '../backend/pool.ts'
import { RuntimeError } from '../base/errors.ts'
import { defaultGenerator } from '../base/random.ts'
import { defaultCollate, defaultConvert } from './collate.ts'
import { type DatasetLike, isPromise } from './dataset.ts'
import { createFetcher, END, type Fetcher } from './fetch.ts'
import type { Call, Caller } from './host.ts'
import { takesWholeBatches } from './options.ts'
import { findExport, type Named, namesIn, Packer, unpack } from './pack.ts'
import {
  type Fault,
  faultOf,
  type Hello,
  type Order,
  type Parcel,
  type Reply,
  receiveTensor,
  Shipment,
} from './wire.ts'
import { becomeWorker, markWorkerThread } from './worker.ts'

/** The parts of a loader that its workers need; null: the default. */
export interface Work {
  readonly dataset: DatasetLike<unknown>
  readonly collateFn: ((data: unknown) => unknown) | null
  readonly workerInitFn: ((workerId: number) => unknown) | null
}

/** Serves the loader that started this thread until it says that it is done. */
export async function serve({ hello, caller }: Call): Promise<void> {
  markWorkerThread()
  // As in PyTorch: the loader's workers are the threads.
  setNumThreads(1)
  const worker = new Served(hello as Hello, caller)
  let tail: Promise<void> = worker.prepare()
  caller.onMessage((order) => {
    tail = tail.then(() => worker.obey(order as Order))
  })
}

class Served {
  private readonly hello: Hello
  private readonly caller: Caller
  private fetcher: Fetcher | null = null
  private restart: () => Fetcher = () => this.fetcher as Fetcher
  /** What went wrong before the first fetch; it answers them all. */
  private fault: Fault | null = null

  constructor(hello: Hello, caller: Caller) {
    this.hello = hello
    this.caller = caller
  }

  async prepare(): Promise<void> {
    const { id, numWorkers, seed, work, batched, dropLast, memory } = this.hello
    try {
      const modules = await load(namesIn(work))
      defaultGenerator.manualSeed(seed)
      const find = (named: Named): unknown => findExport(named, modules) ?? missing(named)
      const { dataset, collateFn, workerInitFn } = unpack(work, (p) => receiveTensor(p as Parcel, memory), find) as Work
      becomeWorker({ id, numWorkers, seed: defaultGenerator.initialSeed(), dataset })
      await workerInitFn?.(id)
      const collate = collateFn ?? ((batched ? defaultCollate : defaultConvert) as (data: unknown) => unknown)
      const options = { batched, dropLast, collateFn: collate, wholeBatches: takesWholeBatches(collate) }
      this.restart = () => createFetcher(dataset, options)
      this.fetcher = this.restart()
    } catch (error) {
      this.fault = faultOf(error)
    }
  }

  async obey(order: Order): Promise<void> {
    if (order.kind === 'fetch') return this.fetch(order)
    this.fetcher?.close()
    if (order.kind === 'close') return this.caller.exit()
    try {
      this.fetcher = this.restart()
    } catch (error) {
      this.fault = faultOf(error)
    }
  }

  private async fetch({ id, epoch, keys, blocks }: Order & { kind: 'fetch' }): Promise<void> {
    const wanted = this.hello.epoch
    if (wanted && Atomics.load(wanted, 0) !== epoch) return this.reply({ kind: 'skipped', id })
    if (this.fault) return this.reply({ kind: 'error', id, fault: this.fault })
    try {
      const fetched = (this.fetcher as Fetcher).fetch(keys)
      const batch = isPromise(fetched) ? await this.waitFor(fetched) : fetched
      if (batch === END) return this.reply({ kind: 'end', id })
      const shipment = new Shipment(this.hello.memory, blocks)
      const value = new Packer(this.hello.modules, (t) => shipment.add(t)).pack(batch, 'batch')
      this.reply({ kind: 'batch', id, value }, shipment.transfer)
    } catch (error) {
      this.reply({ kind: 'error', id, fault: faultOf(error) })
    }
  }

  private reply(reply: Reply, transfer: ArrayBuffer[] = []): void {
    this.caller.send(reply, transfer)
  }

  /** Waits for a sample's promise, and fails where nothing is left in this thread that could settle it. */
  private async waitFor(promise: PromiseLike<unknown>): Promise<unknown> {
    const { process } = globalThis as { process?: NodeJS.Process }
    let stuck: () => void = () => {}
    const never = new Promise((_, reject) => {
      stuck = () => {
        this.caller.hold(true)
        reject(new RuntimeError('the dataset returned a promise that is never settled'))
      }
    })
    process?.once('beforeExit', stuck)
    this.caller.hold(false)
    try {
      return await Promise.race([promise, never])
    } finally {
      this.caller.hold(true)
      process?.off('beforeExit', stuck)
    }
  }
}

/** The modules that the exports come from. Throws RuntimeError for one that can't be imported. */
async function load(names: readonly Named[]): Promise<Map<string, object>> {
  const modules = new Map<string, object>()
  for (const { urls, path } of names) {
    for (const url of urls) {
      if (modules.has(url)) continue
      try {
        modules.set(url, (await import(/* @vite-ignore */ /* webpackIgnore: true */ url)) as object)
      } catch (error) {
        throw new RuntimeError(`a worker can't import ${url}, where ${path} comes from: ${String(error)}`, {
          cause: error,
        })
      }
    }
  }
  return modules
}

function missing({ name, urls, path }: Named): never {
  throw new RuntimeError(
    `a worker can't find '${name}', which ${path} needs: it is no export of ${urls.join(' or ')}. Export it there, or name its module by workerModule`,
  )
}
