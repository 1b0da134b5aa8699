// The DataLoader: batches of a dataset in a chosen order, made in this thread or by workers.
import { RuntimeError, ValueError } from '../base/errors.ts'
import type { Generator } from '../base/random.ts'
import { type Collated, type Converted, defaultCollate, defaultConvert } from './collate.ts'
import { type DatasetLike, isPromise, type SampleOf, type Sized } from './dataset.ts'
import { Epoch, watch } from './epoch.ts'
import { createFetcher, END, type Fetcher, type FetchOptions } from './fetch.ts'
import { type LoaderOptions, type Resolved, resolveOptions, takesWholeBatches, warnOnce } from './options.ts'
import { Pool } from './pool.ts'
import { drawSeed, lengthOf } from './sampler.ts'
import { giveTurn } from './turn.ts'
import { inWorkerThread } from './worker.ts'

/** What one epoch starts from. */
interface Start {
  readonly keys: Iterator<unknown>
  /** Worker i is seeded with baseSeed + i. */
  readonly baseSeed: bigint
}

/** Options that a loader does not change after construction. */
const FIXED = ['batchSize', 'batchSampler', 'sampler', 'dropLast', 'dataset', 'persistentWorkers'] as const

class Loader<B> {
  declare readonly dataset: DatasetLike<unknown>
  declare readonly batchSize: number | null
  declare readonly sampler: Iterable<unknown>
  declare readonly batchSampler: Iterable<readonly unknown[]> | null
  declare readonly dropLast: boolean
  declare readonly persistentWorkers: boolean
  numWorkers: number
  collateFn: (data: unknown) => unknown
  pinMemory: boolean
  timeout: number
  workerInitFn: ((workerId: number) => unknown) | null
  generator: Generator | null
  prefetchFactor: number | null
  inOrder: boolean
  readonly workerModules: readonly string[]
  private readonly stream: boolean
  /** The length of a stream as `length` last told it. */
  private toldLength: number | null = null
  /** Workers that stay from epoch to epoch. */
  private pool: Pool | null = null

  constructor(dataset: DatasetLike<unknown>, ...args: unknown[]) {
    const o = resolveOptions(dataset, args)
    this.numWorkers = o.numWorkers
    this.collateFn = o.collateFn
    this.pinMemory = o.pinMemory
    this.timeout = o.timeout
    this.workerInitFn = o.workerInitFn
    this.generator = o.generator
    this.prefetchFactor = o.prefetchFactor
    this.inOrder = o.inOrder
    this.workerModules = o.workerModules
    this.stream = o.stream
    for (const name of FIXED) fix(this, name, o)
  }

  /** The number of batches (of samples, if `batchSize` is null). Throws TypeError where it can't be known. */
  get length(): number {
    if (!this.stream) return lengthOf(this.keys() as unknown as Sized)
    const n = lengthOf(this.dataset)
    this.toldLength = n
    if (this.batchSize === null) return n
    return this.dropLast ? Math.floor(n / this.batchSize) : Math.ceil(n / this.batchSize)
  }

  /**
   * One epoch, read by `for`: only without workers, and where the dataset needs no waiting. Starting it draws from the
   * generator, as in PyTorch.
   */
  [Symbol.iterator](): Iterator<B> {
    if (this.numWorkers > 0) {
      throw new TypeError("a DataLoader with workers is read by 'for await (const batch of loader)', not by 'for'")
    }
    return this.readSync(this.begin(), createFetcher(this.dataset, this.fetchOptions()))
  }

  /** One epoch, read by `for await`. Starting it draws from the generator, and starts the workers if there are any. */
  [Symbol.asyncIterator](): AsyncIterableIterator<B> {
    if (this.numWorkers === 0) return this.readAsync(this.begin(), createFetcher(this.dataset, this.fetchOptions()))
    if (inWorkerThread()) {
      throw new RuntimeError(
        "a worker of a DataLoader can't have workers of its own. If this runs because the worker imported your script to get at the dataset's class: put the class into a module of its own, or the rest of the script under 'if (import.meta.main)'",
      )
    }
    if (this.persistentWorkers && this.pool && !this.pool.closed) {
      this.pool.restart(this.keys()[Symbol.iterator]())
    } else {
      this.pool = this.startPool()
      if (this.persistentWorkers) watch(this, this.pool)
    }
    const { pool } = this
    const epoch = new Epoch<B>(pool, this.persistentWorkers, (count) => this.checkCount(count))
    if (!this.persistentWorkers) {
      watch(epoch, pool)
      this.pool = null
    }
    return epoch
  }

  /** Ends workers that were kept from epoch to epoch. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool?.close()
    this.pool = null
  }

  private startPool(): Pool {
    if (!((this.prefetchFactor ?? 2) > 0)) {
      throw new ValueError('prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter')
    }
    const { keys, baseSeed } = this.begin()
    const own = this.collateFn !== defaultCollate && this.collateFn !== defaultConvert
    return new Pool(
      {
        work: { dataset: this.dataset, collateFn: own ? this.collateFn : null, workerInitFn: this.workerInitFn },
        numWorkers: this.numWorkers,
        prefetchFactor: this.prefetchFactor ?? 2,
        batched: this.batchSampler !== null,
        dropLast: this.dropLast,
        timeout: this.timeout,
        inOrder: this.inOrder,
        persistent: this.persistentWorkers,
        baseSeed,
        workerModules: this.workerModules,
      },
      keys,
    )
  }

  private keys(): Iterable<unknown> {
    return this.batchSampler ?? this.sampler
  }

  private fetchOptions(): FetchOptions {
    return {
      batched: this.batchSampler !== null,
      collateFn: this.collateFn,
      dropLast: this.dropLast,
      wholeBatches: takesWholeBatches(this.collateFn),
    }
  }

  /** Draws what an epoch draws, in PyTorch's order. */
  private begin(): Start {
    if (this.numWorkers === 0 && this.timeout !== 0) {
      throw new ValueError('timeout option could only be specified with num_workers > 0')
    }
    const keys = this.keys()[Symbol.iterator]()
    return { keys, baseSeed: drawSeed(this.generator) }
  }

  private *readSync({ keys }: Start, fetcher: Fetcher): globalThis.Generator<B, void, undefined> {
    try {
      for (let count = 1; ; count++) {
        const next = keys.next()
        const batch = next.done ? END : fetcher.fetch(next.value)
        if (batch === END) return
        if (isPromise(batch)) {
          batch.then(undefined, () => {})
          throw new TypeError("this dataset has to be waited for: read the loader by 'for await', not by 'for'")
        }
        this.checkCount(count)
        yield batch as B
      }
    } finally {
      keys.return?.()
      fetcher.close()
    }
  }

  private async *readAsync({ keys }: Start, fetcher: Fetcher): AsyncGenerator<B, void, undefined> {
    try {
      for (let count = 1; ; count++) {
        const next = keys.next()
        const fetched = next.done ? END : fetcher.fetch(next.value)
        const batch = isPromise(fetched) ? await fetched : fetched
        if (batch === END) return
        this.checkCount(count)
        const turn = giveTurn()
        if (turn) await turn
        yield batch as B
      }
    } finally {
      keys.return?.()
      fetcher.close()
    }
  }

  /** Warns of a stream that is longer than it said. */
  private checkCount(count: number): void {
    if (this.toldLength === null || count <= this.toldLength) return
    warnOnce(
      `Length of IterableDataset ${this.dataset.constructor.name} was reported to be ${this.toldLength} (when accessing len(dataloader)), but ${count} samples have been fetched. ${
        this.numWorkers > 0
          ? 'For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset replica at each worker. Please see https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples.'
          : ''
      }`,
    )
  }
}

/** Defines an option that can be read, and set no more. */
function fix(loader: object, name: (typeof FIXED)[number], o: Resolved): void {
  const value = o[name]
  Object.defineProperty(loader, name, {
    enumerable: true,
    get: () => value,
    set: () => {
      throw new ValueError(`${name} attribute should not be set after DataLoader is initialized`)
    },
  })
}

type Samples<D> = Awaited<SampleOf<D>>
type Source = DatasetLike<unknown>
type Default = { readonly collateFn?: null; readonly batchSize?: number }

/** A loader of batches of type B. */
export interface DataLoader<B = unknown> extends Loader<B> {}

interface DataLoaderClass {
  new <D extends Source, B>(
    dataset: D,
    options: Omit<LoaderOptions, 'batchSize' | 'collateFn'> & {
      readonly batchSize: null
      readonly collateFn: (sample: Samples<D>) => B
    },
  ): DataLoader<Awaited<B>>
  new <D extends Source>(
    dataset: D,
    options: LoaderOptions & { readonly batchSize: null; readonly collateFn?: null },
  ): DataLoader<Converted<Samples<D>>>
  new <D extends Source, B>(
    dataset: D,
    options: Omit<LoaderOptions, 'collateFn'> & { readonly collateFn: (samples: Samples<D>[]) => B },
  ): DataLoader<Awaited<B>>
  new <D extends Source>(dataset: D, options?: LoaderOptions & Default): DataLoader<Collated<Samples<D>>>
  new <D extends Source>(
    dataset: D,
    batchSize: number,
    options?: LoaderOptions & Default,
  ): DataLoader<Collated<Samples<D>>>
  new <D extends Source>(
    dataset: D,
    batchSize: number,
    shuffle: boolean,
    options?: LoaderOptions & Default,
  ): DataLoader<Collated<Samples<D>>>
  readonly prototype: DataLoader<unknown>
}

/**
 * Batches of a dataset, as `torch.utils.data.DataLoader`: `new DataLoader(dataset, { batchSize: 16, shuffle: true })`,
 * read by `for (const batch of loader)`, or by `for await` where there are workers or the dataset is asynchronous. Each
 * loop is one epoch. Throws ValueError for options that conflict.
 */
export const DataLoader: DataLoaderClass = Loader as unknown as DataLoaderClass
