// Fetching: from keys to one collated batch, in the thread that calls it. The loader and its workers share this.
import type { DatasetLike, IterableDataset } from './dataset.ts'
import { batcherOf, IterableDataset as Iterable, isAsyncStream, isPromise, itemOf, itemsOf } from './dataset.ts'

/** What a fetch answers when a stream has ended. */
export const END: unique symbol = Symbol('end')

/** How batches are made. */
export interface FetchOptions {
  /** Keys come in lists, and samples are collated; else a key gives a sample, which is converted. */
  readonly batched: boolean
  // biome-ignore lint/suspicious/noExplicitAny: takes whatever the dataset's samples are
  readonly collateFn: (data: any) => unknown
  /** Of streams: a last batch that is not full is left out. */
  readonly dropLast: boolean
  /** The collation is PyTorch's, so that a dataset's `getBatch` may take its place. */
  readonly wholeBatches: boolean
}

/** Makes batches. */
export interface Fetcher {
  /** The batch of `keys` (one key if unbatched; of streams only their number counts), END, or a promise of these. */
  fetch(keys: unknown): unknown
  /** Ends a stream that is not read to its end. */
  close(): void
}

/** A fetcher of `dataset`. */
export function createFetcher(dataset: DatasetLike<unknown>, options: FetchOptions): Fetcher {
  return dataset instanceof Iterable ? new StreamFetcher(dataset, options) : new MapFetcher(dataset, options)
}

class MapFetcher implements Fetcher {
  private readonly dataset: DatasetLike<unknown>
  private readonly options: FetchOptions
  private readonly batch: ((keys: readonly number[]) => unknown) | null

  constructor(dataset: DatasetLike<unknown>, options: FetchOptions) {
    this.dataset = dataset
    this.options = options
    this.batch = options.batched && options.wholeBatches ? batcherOf(dataset) : null
  }

  fetch(keys: unknown): unknown {
    const { batched, collateFn } = this.options
    if (!batched) return then(itemOf(this.dataset, keys), collateFn)
    const whole = this.batch?.(keys as number[]) ?? null
    if (whole !== null) return whole
    const samples = itemsOf(this.dataset, keys as unknown[])
    if (isPromise(samples)) return samples.then((all) => collateFn(all))
    return samples.some(isPromise) ? Promise.all(samples).then(collateFn) : collateFn(samples)
  }

  close(): void {}
}

class StreamFetcher implements Fetcher {
  private readonly options: FetchOptions
  private readonly stream: Iterator<unknown> | AsyncIterator<unknown>
  private readonly async: boolean
  private ended = false

  constructor(dataset: IterableDataset<unknown>, options: FetchOptions) {
    this.options = options
    this.async = isAsyncStream(dataset)
    this.stream = this.async ? dataset[Symbol.asyncIterator]!() : dataset[Symbol.iterator]()
  }

  fetch(keys: unknown): unknown {
    if (this.ended) return END
    const wanted = this.options.batched ? (keys as unknown[]).length : 1
    if (this.async) return this.readAsync(wanted)
    const samples: unknown[] = []
    while (samples.length < wanted) {
      const next = (this.stream as Iterator<unknown>).next()
      if (next.done) {
        this.ended = true
        break
      }
      // A promise can't be waited for here without letting the next sample overtake it.
      if (isPromise(next.value)) return this.readPromises(samples, next.value, wanted)
      samples.push(next.value)
    }
    return this.finish(samples, wanted)
  }

  private async readAsync(wanted: number): Promise<unknown> {
    const samples: unknown[] = []
    while (samples.length < wanted) {
      const next = await this.stream.next()
      if (next.done) {
        this.ended = true
        break
      }
      samples.push(next.value)
    }
    return this.finish(samples, wanted)
  }

  private async readPromises(samples: unknown[], first: PromiseLike<unknown>, wanted: number): Promise<unknown> {
    samples.push(await first)
    while (samples.length < wanted) {
      const next = (this.stream as Iterator<unknown>).next()
      if (next.done) {
        this.ended = true
        break
      }
      samples.push(await next.value)
    }
    return this.finish(samples, wanted)
  }

  private finish(samples: unknown[], wanted: number): unknown {
    const { batched, collateFn, dropLast } = this.options
    if (samples.length === 0 || (batched && dropLast && samples.length < wanted)) return END
    return collateFn(batched ? samples : samples[0])
  }

  close(): void {
    if (this.ended) return
    this.ended = true
    const closed = this.stream.return?.()
    if (isPromise(closed)) closed.then(undefined, () => {})
  }
}

/** `fn(value)`, also where the value is only promised. */
function then<T>(value: T | PromiseLike<T>, fn: (value: T) => unknown): unknown {
  return isPromise(value) ? value.then(fn) : fn(value)
}
