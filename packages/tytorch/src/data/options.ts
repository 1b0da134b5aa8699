// The loader's options: their types, defaults and conflicts, with PyTorch's messages.
import { ValueError } from '../base/errors.ts'
import type { Generator } from '../base/random.ts'
import { bind, parse } from '../tensor/define.ts'
import { collatesTensorsByDefault, defaultCollate, defaultConvert } from './collate.ts'
import { type DatasetLike, IterableDataset, isPromise } from './dataset.ts'
import { parallelism } from './host.ts'
import { BatchSampler, RandomSampler, SequentialSampler } from './sampler.ts'

/** What a loader takes by name, all optional. */
export interface LoaderOptions {
  /** Samples a batch; 1 by default. null: no batches, each sample on its own. */
  readonly batchSize?: number | null
  /** A new random order each epoch. */
  readonly shuffle?: boolean | null
  /** The keys in order: a sampler or any iterable. Excludes `shuffle`. */
  readonly sampler?: Iterable<unknown> | null
  /** Lists of keys. Excludes `batchSize`, `shuffle`, `sampler` and `dropLast`. */
  readonly batchSampler?: Iterable<readonly unknown[]> | null
  /** Threads that load; 0, the default, loads in the calling thread. */
  readonly numWorkers?: number
  /** Makes a batch of a list of samples (of one sample if `batchSize` is null). */
  // biome-ignore lint/suspicious/noExplicitAny: the constructor's overloads type it
  readonly collateFn?: ((data: any) => unknown) | null
  /** Accepted for PyTorch's sake: there is no memory to pin. */
  readonly pinMemory?: boolean
  /** Leaves out a last batch that is not full. */
  readonly dropLast?: boolean
  /** Seconds to wait for a batch from the workers; 0, the default, for ever. */
  readonly timeout?: number
  /** Called in each worker with its id, after seeding and before loading. */
  readonly workerInitFn?: ((workerId: number) => unknown) | null
  /** Accepted for PyTorch's sake: workers are threads. */
  readonly multiprocessingContext?: unknown
  /** Draws the shuffle's order and the workers' base seed. */
  readonly generator?: Generator | null
  /** Batches that each worker loads ahead; 2 by default. */
  readonly prefetchFactor?: number | null
  /** Keeps the workers and their copies of the dataset from epoch to epoch. */
  readonly persistentWorkers?: boolean
  readonly pinMemoryDevice?: string
  /** false: batches come as they are ready. */
  readonly inOrder?: boolean
  /** URLs of modules (`import.meta.url`) whose exports workers may need: dataset classes, collateFn, workerInitFn. */
  readonly workerModule?: string | URL | readonly (string | URL)[]
}

const signature = parse(
  'batch_size, shuffle, sampler, batch_sampler, num_workers, collate_fn, pin_memory, drop_last, timeout, worker_init_fn, multiprocessing_context, generator, *, prefetch_factor, persistent_workers, pin_memory_device, in_order, worker_module',
)

type Given = { -readonly [K in keyof Required<LoaderOptions>]: LoaderOptions[K] }

/** Options as the loader uses them. */
export interface Resolved {
  readonly dataset: DatasetLike<unknown>
  readonly stream: boolean
  readonly batchSize: number | null
  readonly sampler: Iterable<unknown>
  readonly batchSampler: Iterable<readonly unknown[]> | null
  readonly numWorkers: number
  readonly collateFn: (data: unknown) => unknown
  readonly pinMemory: boolean
  readonly dropLast: boolean
  readonly timeout: number
  readonly workerInitFn: ((workerId: number) => unknown) | null
  readonly generator: Generator | null
  readonly prefetchFactor: number | null
  readonly persistentWorkers: boolean
  readonly inOrder: boolean
  readonly workerModules: readonly string[]
}

/** What stands in for a sampler where the dataset is a stream: keys without end and without meaning. */
const endless: Iterable<null> = {
  *[Symbol.iterator]() {
    for (;;) yield null
  },
}

const warned = new Set<string>()

/** Prints a warning, the first time only. */
export function warnOnce(message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  console.warn(message)
}

/** The loader's arguments with defaults, checked. Throws ValueError with PyTorch's messages where options conflict. */
export function resolveOptions(dataset: DatasetLike<unknown>, args: unknown[]): Resolved {
  if (typeof dataset !== 'object' || dataset === null || !('length' in dataset) || isPromise(dataset)) {
    throw new TypeError(
      `DataLoader takes a Dataset, an IterableDataset, an array or a tensor, not ${isPromise(dataset) ? 'a promise' : String(dataset)}`,
    )
  }
  const bound = bind('DataLoader', signature, args)
  const o = Object.fromEntries(signature.names.map((name, i) => [name, bound[i]])) as Given
  const numWorkers = o.numWorkers ?? 0
  const prefetchFactor = o.prefetchFactor ?? null
  checkWorkerOptions(numWorkers, o.timeout ?? 0, prefetchFactor, o.persistentWorkers ?? false)
  const stream = dataset instanceof IterableDataset
  if (stream) checkStreamOptions(o)
  const shuffle = Boolean(o.shuffle)
  const dropLast = o.dropLast ?? false
  const batchSize = o.batchSize === undefined ? 1 : o.batchSize
  if (o.sampler != null && shuffle) throw new ValueError('sampler option is mutually exclusive with shuffle')
  if (o.batchSampler != null) {
    if (batchSize !== 1 || shuffle || o.sampler != null || dropLast) {
      throw new ValueError(
        'batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last',
      )
    }
  } else if (batchSize === null && dropLast) {
    throw new ValueError('batch_size=None option disables auto-batching and is mutually exclusive with drop_last')
  }
  const generator = o.generator ?? null
  const sampler = o.sampler ?? defaultSampler(dataset, stream, shuffle, generator)
  const batches = batchSize === null ? null : new BatchSampler(sampler, batchSize, dropLast)
  const batchSampler = o.batchSampler ?? batches
  const modules = o.workerModule === undefined ? [] : [o.workerModule].flat()
  if (numWorkers > 0) warnOfTooMany(numWorkers)
  if (o.pinMemory) {
    warnOnce(
      "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
    )
  }
  return {
    dataset,
    stream,
    batchSize: o.batchSampler != null ? null : batchSize,
    sampler,
    batchSampler,
    numWorkers,
    collateFn: o.collateFn ?? ((batchSampler ? defaultCollate : defaultConvert) as Resolved['collateFn']),
    pinMemory: o.pinMemory ?? false,
    dropLast,
    timeout: o.timeout ?? 0,
    workerInitFn: o.workerInitFn ?? null,
    generator,
    prefetchFactor: prefetchFactor ?? (numWorkers > 0 ? 2 : null),
    persistentWorkers: o.persistentWorkers ?? false,
    inOrder: o.inOrder ?? true,
    workerModules: modules.map(String),
  }
}

const typeName = (x: unknown): string => (typeof x === 'object' && x !== null ? x.constructor.name : String(x))

function defaultSampler(
  dataset: DatasetLike<unknown>,
  stream: boolean,
  shuffle: boolean,
  generator: Generator | null,
): Iterable<unknown> {
  if (stream) return endless
  return shuffle ? new RandomSampler(dataset, { generator }) : new SequentialSampler(dataset)
}

function checkWorkerOptions(numWorkers: number, timeout: number, prefetch: number | null, persistent: boolean): void {
  if (!Number.isInteger(numWorkers))
    throw new TypeError(`num_workers option should be an integer, but got ${numWorkers}`)
  if (numWorkers < 0) {
    throw new ValueError('num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.')
  }
  if (!(timeout >= 0)) throw new ValueError('timeout option should be non-negative')
  if (numWorkers === 0 && prefetch !== null) {
    throw new ValueError(
      'prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None.',
    )
  }
  if (prefetch !== null && !(prefetch >= 0)) throw new ValueError('prefetch_factor option should be non-negative')
  if (persistent && numWorkers === 0) throw new ValueError('persistent_workers option needs num_workers > 0')
}

function checkStreamOptions(o: Given): void {
  const unexpected = (name: string, value: unknown): ValueError =>
    new ValueError(
      `DataLoader with IterableDataset: expected unspecified ${name} option, but got ${name}=${value === true ? 'True' : typeName(value)}`,
    )
  if (o.shuffle != null && o.shuffle !== false) throw unexpected('shuffle', o.shuffle)
  if (o.sampler != null) throw unexpected('sampler', o.sampler)
  if (o.batchSampler != null) throw unexpected('batch_sampler', o.batchSampler)
}

/** Whether batches of datasets that make whole ones may be taken as they are. */
export function takesWholeBatches(collateFn: unknown): boolean {
  return collateFn === defaultCollate && collatesTensorsByDefault()
}

function warnOfTooMany(numWorkers: number): void {
  const cpus = parallelism()
  if (cpus !== null && numWorkers <= cpus) return
  const suggestion =
    cpus === null
      ? 'DataLoader is not able to compute a suggested max number of worker in current system.'
      : `Our suggested max number of worker in current system is ${cpus}, which is smaller than what this DataLoader is going to create.`
  warnOnce(
    `This DataLoader will create ${numWorkers} worker processes in total. ${suggestion} Please be aware that excessive worker creation might get DataLoader running slow or even freeze, lower the worker number to avoid potential slowness/freeze if necessary.`,
  )
}
