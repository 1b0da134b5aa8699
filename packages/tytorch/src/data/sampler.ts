// Samplers: the order in which a loader visits a dataset, drawn as PyTorch draws it. Any iterable of keys will do too.
import { multinomial } from '../base/distributions.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { defaultGenerator, Generator, randintFill, randomFill, randperm } from '../base/random.ts'
import { type Args, bind, parse } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Sized } from './dataset.ts'

// The random engine is called Generator as PyTorch's; JavaScript's generator functions return the other one.
type Keys<T> = globalThis.Generator<T, void, undefined>

/** Base class of samplers: an iterable of keys (or of lists of keys, for batches), with a `length` where it is known. */
export abstract class Sampler<K = number> {
  abstract [Symbol.iterator](): Iterator<K>
}

/** A seed as PyTorch's loaders draw it: 63 random bits. */
export function drawSeed(generator: Generator | null | undefined): bigint {
  const seed = new BigInt64Array(1)
  randomFill(generator ?? defaultGenerator, seed)
  return seed[0]
}

/** The length of what samples are drawn from. Throws TypeError or ValueError if it is no length. */
export function lengthOf(source: Sized): number {
  const n: unknown = source.length
  if (typeof n !== 'number') throw new TypeError(`object of type '${source.constructor?.name}' has no len()`)
  if (n < 0) throw new ValueError(`length should be >= 0, but got ${n}`)
  if (!Number.isInteger(n)) throw new TypeError(`length should be a whole number, but got ${n}`)
  return n
}

function checkCount(name: string, n: unknown): void {
  if (!(typeof n === 'number' && Number.isInteger(n) && n > 0)) {
    throw new ValueError(`${name} should be a positive integer value, but got ${name}=${String(n)}`)
  }
}

function checkFlag(name: string, value: unknown, error: new (message: string) => Error): void {
  if (typeof value === 'boolean') return
  throw new error(`${name} should be a boolean value, but got ${name}=${String(value)}`)
}

/** Keys that the built-in samplers count out at a time, for a batch sampler to cut up. */
const RUN = 1024

/** The positions 0, 1, 2, ... of a dataset, in order. */
export class SequentialSampler extends Sampler<number> {
  readonly dataSource: Sized

  constructor(dataSource: Sized) {
    super()
    this.dataSource = dataSource
  }

  get length(): number {
    return lengthOf(this.dataSource)
  }

  override *[Symbol.iterator](): Keys<number> {
    const n = this.length
    for (let i = 0; i < n; i++) yield i
  }

  /** The same keys, many at a time. */
  *runs(): Keys<ArrayLike<number>> {
    const n = this.length
    for (let i = 0; i < n; i += RUN) yield Int32Array.from({ length: Math.min(RUN, n - i) }, (_, j) => i + j)
  }
}

const randomSignature = parse('replacement, num_samples, generator')

interface RandomOptions {
  /** Draws each index on its own; false by default. */
  readonly replacement?: boolean
  /** How many to draw; as many as there are by default. */
  readonly numSamples?: number | null
  /** Draws; without one, a new generator is seeded by the default one for each epoch. */
  readonly generator?: Generator | null
}

/** A random order of `dataSource`, or draws from it with replacement. Throws ValueError if there is nothing to draw. */
export class RandomSampler extends Sampler<number> {
  readonly dataSource: Sized
  readonly replacement: boolean
  generator: Generator | null
  private readonly count: number | null

  constructor(
    dataSource: Sized,
    ...args: Args<[replacement?: boolean, numSamples?: number | null, generator?: Generator | null], RandomOptions>
  ) {
    super()
    const [replacement, numSamples, generator] = bind('RandomSampler', randomSignature, args)
    this.dataSource = dataSource
    this.replacement = (replacement ?? false) as boolean
    this.count = (numSamples ?? null) as number | null
    this.generator = (generator ?? null) as Generator | null
    checkFlag('replacement', this.replacement, TypeError)
    checkCount('num_samples', this.numSamples)
  }

  get numSamples(): number {
    return this.count ?? lengthOf(this.dataSource)
  }

  get length(): number {
    return this.numSamples
  }

  override *[Symbol.iterator](): Keys<number> {
    for (const run of this.runs()) yield* run
  }

  /** The same keys, as many at a time as are drawn at a time. */
  *runs(): Keys<Int32Array | number[]> {
    const n = lengthOf(this.dataSource)
    const total = this.numSamples
    if (n === 0) throw new ValueError('RandomSampler: there is nothing to draw from')
    const generator = this.generator ?? new Generator(drawSeed(null))
    if (this.replacement) {
      for (let left = total; left > 0; left -= 32) {
        const draws = new BigInt64Array(Math.min(left, 32))
        randintFill(generator, draws, 0, n)
        yield Array.from(draws, Number)
      }
      return
    }
    for (let left = total; left >= n; left -= n) yield randperm(generator, n)
    // PyTorch draws the last, partial round even where it is empty.
    yield randperm(generator, n).subarray(0, total % n)
  }
}

/** The given indices (or keys) in random order, each once, drawn anew for each epoch. */
export class SubsetRandomSampler<K = number> extends Sampler<K> {
  readonly indices: ArrayLike<K>
  generator: Generator | null

  constructor(indices: ArrayLike<K>, options: Generator | { readonly generator?: Generator | null } | null = null) {
    super()
    this.indices = indices
    this.generator = options instanceof Generator ? options : (options?.generator ?? null)
  }

  get length(): number {
    return this.indices.length
  }

  override *[Symbol.iterator](): Keys<K> {
    for (const i of randperm(this.generator ?? defaultGenerator, this.indices.length)) yield this.indices[i]
  }
}

const weightedSignature = parse('num_samples, replacement, generator')

interface WeightedOptions {
  readonly numSamples?: number
  /** True by default. */
  readonly replacement?: boolean
  readonly generator?: Generator | null
}

/** `numSamples` indices drawn by weight; the weights need not add up to one. */
export class WeightedRandomSampler extends Sampler<number> {
  readonly weights: Float64Array
  readonly numSamples: number
  readonly replacement: boolean
  generator: Generator | null

  constructor(
    weights: ArrayLike<number> | Tensor,
    ...args: Args<[numSamples: number, replacement?: boolean, generator?: Generator | null], WeightedOptions>
  ) {
    super()
    const [numSamples, replacement, generator] = bind('WeightedRandomSampler', weightedSignature, args)
    checkCount('num_samples', numSamples)
    this.numSamples = numSamples as number
    this.replacement = (replacement ?? true) as boolean
    checkFlag('replacement', this.replacement, ValueError)
    if (weights instanceof Tensor && weights.ndim !== 1) {
      throw new ValueError(`weights should be a 1d sequence but given weights have shape (${weights.sizes.join(', ')})`)
    }
    this.weights = Float64Array.from(weights instanceof Tensor ? weights.tolist<number[]>() : weights)
    this.generator = (generator ?? null) as Generator | null
  }

  get length(): number {
    return this.numSamples
  }

  override *[Symbol.iterator](): Keys<number> {
    yield* multinomial(this.generator ?? defaultGenerator, this.weights, this.numSamples, this.replacement)
  }
}

/** The keys of a built-in sampler in runs, or null: a generator's step a key costs more than the rest of batching. */
function runsOf(sampler: Iterable<unknown>): Iterable<ArrayLike<unknown>> | null {
  const known = [SequentialSampler, RandomSampler].find((type) => sampler instanceof type)
  const own = known && sampler[Symbol.iterator] !== known.prototype[Symbol.iterator]
  return known && !own ? (sampler as SequentialSampler).runs() : null
}

const batchSignature = parse('batch_size, drop_last')

interface BatchOptions {
  readonly batchSize?: number
  /** Leaves out a last batch of fewer than `batchSize`; false by default. */
  readonly dropLast?: boolean
}

/** Lists of `batchSize` keys of another sampler (any iterable). Throws ValueError for a size that is none. */
export class BatchSampler<K = number> extends Sampler<K[]> {
  readonly sampler: Iterable<K>
  readonly batchSize: number
  readonly dropLast: boolean

  constructor(sampler: Iterable<K>, ...args: Args<[batchSize: number, dropLast?: boolean], BatchOptions>) {
    super()
    const [batchSize, dropLast] = bind('BatchSampler', batchSignature, args)
    checkCount('batch_size', batchSize)
    checkFlag('drop_last', dropLast ?? false, ValueError)
    this.sampler = sampler
    this.batchSize = batchSize as number
    this.dropLast = (dropLast ?? false) as boolean
  }

  get length(): number {
    const n = lengthOf(this.sampler as unknown as Sized) / this.batchSize
    return this.dropLast ? Math.floor(n) : Math.ceil(n)
  }

  override *[Symbol.iterator](): Keys<K[]> {
    let batch: K[] = []
    const runs = runsOf(this.sampler)
    if (runs) {
      for (const run of runs) {
        for (let i = 0; i < run.length; i++) {
          batch.push(run[i] as K)
          if (batch.length < this.batchSize) continue
          yield batch
          batch = []
        }
      }
      if (batch.length > 0 && !this.dropLast) yield batch
      return
    }
    for (const key of this.sampler) {
      batch.push(key)
      if (batch.length < this.batchSize) continue
      yield batch
      batch = []
    }
    if (batch.length > 0 && !this.dropLast) yield batch
  }
}

const distributedSignature = parse('num_replicas, rank, shuffle, seed, drop_last')

interface DistributedOptions {
  readonly numReplicas?: number
  readonly rank?: number
  /** True by default. */
  readonly shuffle?: boolean
  /** Must be the same in all processes. */
  readonly seed?: number
  /** Drops the tail instead of repeating samples until it divides evenly. */
  readonly dropLast?: boolean
}

/** One process's share of a dataset that several processes train on, of equal size in each. */
export class DistributedSampler extends Sampler<number> {
  readonly dataset: Sized
  readonly numReplicas: number
  readonly rank: number
  readonly shuffle: boolean
  readonly seed: number
  readonly dropLast: boolean
  readonly numSamples: number
  readonly totalSize: number
  epoch = 0

  constructor(
    dataset: Sized,
    ...args: Args<
      [numReplicas: number, rank: number, shuffle?: boolean, seed?: number, dropLast?: boolean],
      DistributedOptions
    >
  ) {
    super()
    const [replicas, rank, shuffle, seed, dropLast] = bind('DistributedSampler', distributedSignature, args)
    if (replicas == null || rank == null) {
      throw new RuntimeError('Requires distributed package to be available; give numReplicas and rank')
    }
    this.dataset = dataset
    this.numReplicas = replicas as number
    this.rank = rank as number
    if (this.rank >= this.numReplicas || this.rank < 0) {
      throw new ValueError(`Invalid rank ${rank}, rank should be in the interval [0, ${this.numReplicas - 1}]`)
    }
    this.shuffle = (shuffle ?? true) as boolean
    this.seed = (seed ?? 0) as number
    this.dropLast = (dropLast ?? false) as boolean
    const share = lengthOf(dataset) / this.numReplicas
    this.numSamples = this.dropLast ? Math.floor(share) : Math.ceil(share)
    this.totalSize = this.numSamples * this.numReplicas
  }

  get length(): number {
    return this.numSamples
  }

  /** Makes the next order another one; call it before each epoch, with the same number in all processes. */
  setEpoch(epoch: number): void {
    this.epoch = epoch
  }

  override *[Symbol.iterator](): Keys<number> {
    const n = lengthOf(this.dataset)
    const order = this.shuffle ? randperm(new Generator(this.seed + this.epoch), n) : null
    for (let i = this.rank; i < this.totalSize; i += this.numReplicas) yield order ? order[i % n] : i % n
  }
}
