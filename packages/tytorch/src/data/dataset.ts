// Datasets: the map-style and iterable-style base classes and the ones that combine others, as torch.utils.data has
// them; and how the loader reads samples of anything that counts as a dataset (an array or a tensor does too).
import { IndexError, NotImplementedError, ValueError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { tensor } from '../ops/create.ts'
import { indexSelect, pick, planSlices } from '../ops/gather.ts'
import { cat } from '../ops/join.ts'
import { select } from '../ops/slice.ts'
import { requiresGrad } from '../tensor/node.ts'
import { empty, Tensor } from '../tensor/tensor.ts'

/** What samplers need of a dataset. */
export interface Sized {
  readonly length: number
}

/** Anything that answers samples by key. */
export interface MapStyle<T> extends Sized {
  getItem(index: never): T
}

/** What stands for a map-style dataset: a `Dataset`, an array, a typed array, or a tensor (whose rows are the samples). */
export type DatasetLike<T> = MapStyle<T> | ArrayLike<T> | Tensor

/** Datasets by position or by name: what `StackDataset` takes. */
type Datasets = readonly DatasetLike<unknown>[] | Readonly<Record<string, DatasetLike<unknown>>>
/** What a dataset answers. */
export type SampleOf<D> = D extends Tensor
  ? Tensor
  : D extends MapStyle<infer T>
    ? T
    : D extends ArrayLike<infer T>
      ? T
      : never
type Stacked<D extends Datasets> = { -readonly [K in keyof D]: SampleOf<D[K]> }

const nameOf = (x: object): string => x.constructor?.name ?? 'Object'

/**
 * A map from keys (whole numbers from 0, unless a custom sampler gives others) to samples. A dataset that reads files
 * or the network answers promises: `class Pages extends Dataset<Promise<string>>`.
 */
export abstract class Dataset<T = unknown, K = number> {
  /** The number of samples. */
  abstract readonly length: number

  /** The sample at `index`. Throws IndexError past the end. */
  abstract getItem(index: K): T

  /** Many samples at once, for datasets that read them faster so; the loader prefers it. */
  getItems?(indices: readonly K[]): readonly T[] | PromiseLike<readonly T[]>

  /**
   * A whole batch, collated already, for datasets that can make it at once; the loader prefers it while it collates by
   * default. It must equal the collation of the single samples.
   */
  getBatch?(indices: readonly K[]): unknown

  /** The samples of this dataset and then those of `other`: Python's `a + b`. */
  add<U>(other: DatasetLike<U>): Dataset<T | U> {
    return new ConcatDataset<T | U>([this as unknown as DatasetLike<T>, other])
  }
}

/**
 * A stream of samples: a subclass has `*[Symbol.iterator]()` or `async *[Symbol.asyncIterator]()`. Each worker of a
 * loader runs a copy of its own, which `getWorkerInfo()` tells apart; `length` is optional.
 */
export abstract class IterableDataset<T = unknown> extends Dataset<T> {
  override get length(): number {
    throw new TypeError(`object of type '${nameOf(this)}' has no len()`)
  }

  override getItem(_index: number): T {
    throw new NotImplementedError(`${nameOf(this)} is an IterableDataset: it is iterated and has no items by index`)
  }

  [Symbol.iterator](): Iterator<T> {
    throw new NotImplementedError(
      Symbol.asyncIterator in this
        ? `${nameOf(this)} is asynchronous: iterate it by 'for await'`
        : `${nameOf(this)} should implement [Symbol.iterator] or [Symbol.asyncIterator]`,
    )
  }

  [Symbol.asyncIterator]?(): AsyncIterator<T>

  /** The samples of this stream and then those of `other`. */
  override add<U>(other: DatasetLike<U>): Dataset<T | U> {
    return new ChainDataset<T | U>([this, other as unknown as IterableDataset<U>])
  }
}

/** True if a stream can only be read by `for await`. */
export function isAsyncStream(dataset: IterableDataset<unknown>): boolean {
  if (dataset instanceof ChainDataset) return dataset.datasets.some(isAsyncStream)
  const base = IterableDataset.prototype[Symbol.iterator]
  return Symbol.asyncIterator in dataset && dataset[Symbol.iterator] === base
}

/** Samples that are the rows of tensors with equal first sizes: `getItem(i)` is `[a[i], b[i], ...]`. */
export class TensorDataset<T extends readonly Tensor[] = Tensor[]> extends Dataset<T> {
  readonly tensors: T

  /** Throws ValueError if the first sizes differ. */
  constructor(...tensors: T) {
    super()
    if (tensors.length === 0) throw new ValueError('TensorDataset needs at least one tensor')
    for (const t of tensors) {
      if (!(t instanceof Tensor)) throw new TypeError(`TensorDataset takes tensors, not ${describe(t)}`)
      if (t.ndim === 0) throw new IndexError('Dimension specified as 0 but tensor has no dimensions')
    }
    if (tensors.some((t) => t.sizes[0] !== tensors[0].sizes[0])) throw new ValueError('Size mismatch between tensors')
    this.tensors = tensors
  }

  override get length(): number {
    return this.tensors[0].sizes[0]
  }

  override getItem(index: number): T {
    return this.tensors.map((t) => row(t, index)) as unknown as T
  }

  override getBatch(indices: readonly number[]): Tensor[] {
    return rowsOf(this.tensors, indices)
  }
}

function row(t: Tensor, index: number): Tensor {
  if (!Number.isInteger(index))
    throw new IndexError(`a tensor is indexed by whole numbers here, not by ${describe(index)}`)
  return select(t, 0, index)
}

/** The rows at `indices` of each tensor, in one gather a tensor. Throws IndexError if one is out of range. */
function rowsOf(tensors: readonly Tensor[], indices: readonly number[]): Tensor[] {
  const n = tensors[0].sizes[0]
  const at = indices.map((index) => {
    if (!Number.isInteger(index) || index < -n || index >= n) row(tensors[0], index) // throws
    return index < 0 ? index + n : index
  })
  const positions = tensor(Int32Array.from(at))
  return tensors.map((t) => {
    if (requiresGrad(t)) return indexSelect(t, 0, positions)
    const plan = planSlices(t, 0, positions)
    return pick(t, plan, empty(plan.sizes, t.dtype))
  })
}

/**
 * Datasets of equal length side by side: `new StackDataset(images, texts)` answers `[image, text]`, and
 * `new StackDataset({ image: images, text: texts })` answers `{ image, text }`.
 */
export class StackDataset<D extends Datasets = Datasets> extends Dataset<Stacked<D>> {
  readonly datasets: D
  override readonly length: number

  /** Throws ValueError if the lengths differ. */
  constructor(datasets: D & Readonly<Record<string, unknown>>)
  constructor(...datasets: D & readonly unknown[])
  constructor(...given: unknown[]) {
    super()
    const named = given.length === 1 && isRecord(given[0])
    this.datasets = (named ? given[0] : given) as D
    const all = Object.values(this.datasets) as DatasetLike<unknown>[]
    if (all.length === 0) throw new ValueError('At least one dataset should be passed')
    this.length = all[0].length
    if (all.some((d) => d.length !== this.length)) throw new ValueError('Size mismatch between datasets')
  }

  override getItem(index: number): Stacked<D> {
    return mapValues(this.datasets, (d) => itemOf(d, index)) as Stacked<D>
  }

  override getItems(indices: readonly number[]): Stacked<D>[] {
    const columns = mapValues(this.datasets, (d): readonly unknown[] => {
      const items = itemsOf(d, indices)
      if (isPromise(items)) throw new TypeError('StackDataset: getItems() of a nested dataset must not be asynchronous')
      if (items.length !== indices.length) {
        throw new ValueError(`Nested dataset's output size mismatch. Expected ${indices.length}, got ${items.length}`)
      }
      return items
    }) as object
    return indices.map((_, i) => mapValues(columns, (items) => (items as unknown[])[i])) as Stacked<D>[]
  }
}

/** A `{...}` of datasets, and not a dataset. */
function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === 'object' && x !== null && Object.getPrototypeOf(x) === Object.prototype && !('getItem' in x)
}

function mapValues(of: object, fn: (value: DatasetLike<unknown>) => unknown): unknown {
  if (Array.isArray(of)) return of.map(fn)
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [key, fn(value)]))
}

/** Datasets one after another. Throws ValueError if there are none, or one is iterable-style. */
export class ConcatDataset<T = unknown> extends Dataset<T> {
  readonly datasets: readonly DatasetLike<T>[]
  /** Where each dataset ends. */
  readonly cumulativeSizes: readonly number[]

  constructor(datasets: Iterable<DatasetLike<T>>) {
    super()
    this.datasets = [...datasets]
    if (this.datasets.length === 0) throw new ValueError('datasets should not be an empty iterable')
    if (this.datasets.some((d) => d instanceof IterableDataset)) {
      throw new ValueError('ConcatDataset does not support IterableDataset')
    }
    let end = 0
    this.cumulativeSizes = this.datasets.map((d) => (end += d.length))
  }

  override get length(): number {
    return this.cumulativeSizes.at(-1) as number
  }

  /** Negative indices count from the end. Throws ValueError or IndexError out of range. */
  override getItem(index: number): T {
    const [which, at] = placeOf(this, index)
    return itemOf(this.datasets[which], at)
  }
}

/** Which of the datasets a sample is in, and where. */
function placeOf({ cumulativeSizes, length }: ConcatDataset, index: number): [which: number, at: number] {
  if (index < 0 && -index > length) throw new ValueError('absolute value of index should not exceed dataset length')
  const at = index < 0 ? length + index : index
  const which = cumulativeSizes.findIndex((end) => end > at)
  if (which < 0) throw outOfRange(index, length)
  return [which, which === 0 ? at : at - cumulativeSizes[which - 1]]
}

/** Streams (iterable-style datasets) one after another. */
export class ChainDataset<T = unknown> extends IterableDataset<T> {
  readonly datasets: readonly IterableDataset<T>[]

  constructor(datasets: Iterable<IterableDataset<T>>) {
    super()
    this.datasets = [...datasets]
    if (!this.datasets.every((d) => d instanceof IterableDataset)) {
      throw new ValueError('ChainDataset only supports IterableDataset')
    }
  }

  override get length(): number {
    return this.datasets.reduce((sum, d) => sum + d.length, 0)
  }

  override *[Symbol.iterator](): Generator<T> {
    for (const d of this.datasets) yield* { [Symbol.iterator]: () => d[Symbol.iterator]() }
  }

  override async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (const d of this.datasets)
      yield* (isAsyncStream(d) ? d : { [Symbol.iterator]: () => d[Symbol.iterator]() }) as AsyncIterable<T>
  }
}

/** The samples of `dataset` at `indices`, in that order: as many as indices. */
export class Subset<T = unknown> extends Dataset<T> {
  readonly dataset: DatasetLike<T>
  readonly indices: readonly number[]

  constructor(dataset: DatasetLike<T>, indices: readonly number[] | Int32Array | Tensor) {
    super()
    this.dataset = dataset
    this.indices = Array.isArray(indices)
      ? indices
      : indices instanceof Tensor
        ? indices.tolist<number[]>()
        : Array.from(indices as Int32Array)
  }

  override get length(): number {
    return this.indices.length
  }

  /** Negative indices count from the end. Throws IndexError out of range. */
  override getItem(index: number): T {
    return itemOf(this.dataset, innerOf(this, index))
  }

  override getItems(indices: readonly number[]): readonly T[] | PromiseLike<readonly T[]> {
    return itemsOf(
      this.dataset,
      indices.map((i) => innerOf(this, i)),
    )
  }
}

/** Where a subset's sample is in the whole set. */
function innerOf(subset: Subset<unknown>, index: number): number {
  const found = subset.indices[index < 0 ? index + subset.indices.length : index]
  if (found === undefined) throw outOfRange(index, subset.indices.length)
  return found
}

function outOfRange(index: unknown, length: number): IndexError {
  return new IndexError(`list index out of range: index ${String(index)} of a dataset of length ${length}`)
}

/** A value's type as messages name it. */
export function describe(x: unknown): string {
  if (typeof x !== 'object' || x === null) return x === null ? 'null' : `${typeof x} ${String(x)}`
  return `an instance of ${nameOf(x)}`
}

/** True for what `await` waits for. */
export function isPromise<T>(x: T | PromiseLike<T>): x is PromiseLike<T> {
  return typeof x === 'object' && x !== null && typeof (x as { then?: unknown }).then === 'function'
}

/** The sample at `key` of anything that counts as a dataset. */
export function itemOf<T>(dataset: DatasetLike<T>, key: unknown): T {
  if (dataset instanceof Tensor) return row(dataset, key as number) as T
  if ('getItem' in dataset) return (dataset as MapStyle<T>).getItem(key as never)
  const at = (key as number) < 0 ? (key as number) + dataset.length : (key as number)
  if (!(Number.isInteger(at) && at >= 0 && at < dataset.length)) throw outOfRange(key, dataset.length)
  return (dataset as ArrayLike<T>)[at]
}

/** The samples at `keys`: by `getItems` where the dataset has it. */
export function itemsOf<T>(
  dataset: DatasetLike<T>,
  keys: readonly unknown[],
): readonly T[] | PromiseLike<readonly T[]> {
  if (dataset instanceof Dataset && holds(dataset, 'getItems'))
    return dataset.getItems!(keys as number[]) as readonly T[]
  return keys.map((key) => itemOf(dataset, key))
}

/** True if `method` is there and no subclass has replaced `getItem` without replacing it too. */
function holds(dataset: object, method: 'getItems' | 'getBatch'): boolean {
  for (let at: object | null = dataset; at; at = Object.getPrototypeOf(at)) {
    if (Object.hasOwn(at, method)) return (at as Record<string, unknown>)[method] !== undefined
    if (Object.hasOwn(at, 'getItem')) return false
  }
  return false
}

/** Makes whole batches, or answers null where it can't make this one. */
type Batcher = (indices: readonly number[]) => unknown

/** A function that makes whole batches of `dataset` at once and equal to collating its samples, or null. */
export function batcherOf(dataset: DatasetLike<unknown>): Batcher | null {
  if (dataset instanceof Tensor) return dataset.ndim === 0 ? null : (indices) => rowsOf([dataset], indices)[0]
  if (dataset instanceof Subset && plain(dataset, Subset.prototype)) {
    const inner = batcherOf(dataset.dataset)
    return inner && ((indices) => inner(indices.map((i) => innerOf(dataset, i))))
  }
  if (dataset instanceof StackDataset && plain(dataset, StackDataset.prototype)) {
    const inner = mapValues(dataset.datasets, batcherOf) as object
    if (Object.values(inner).includes(null)) return null
    return (indices) => {
      const batch = mapValues(inner, (make) => (make as unknown as Batcher)(indices)) as object
      return Object.values(batch).some((part) => part === null || isPromise(part)) ? null : batch
    }
  }
  if (dataset instanceof ConcatDataset && plain(dataset, ConcatDataset.prototype)) {
    const inner = dataset.datasets.map(batcherOf)
    return inner.includes(null) ? null : (indices) => joinedBatch(dataset, inner as Batcher[], indices)
  }
  return dataset instanceof Dataset && holds(dataset, 'getBatch') ? (indices) => dataset.getBatch!(indices) : null
}

/** A batch from several datasets: one of each, put together in the order of `indices`. */
function joinedBatch(all: ConcatDataset, inner: readonly Batcher[], indices: readonly number[]): unknown {
  const local: number[][] = inner.map(() => [])
  const homes = indices.map((index) => {
    const [which, at] = placeOf(all, index)
    local[which].push(at)
    return which
  })
  const used = inner.map((_, i) => i).filter((i) => local[i].length > 0)
  const parts = used.map((i) => inner[i](local[i]))
  if (parts.length === 1) return parts[0]
  const next: number[] = []
  let start = 0
  for (const i of used) {
    next[i] = start
    start += local[i].length
  }
  return joined(parts, tensor(Int32Array.from(homes, (which) => next[which]++)))
}

/** The rows of `parts`, in the order given, of tensors or lists and plain objects of these; null for other things. */
function joined(parts: readonly unknown[], order: Tensor): unknown {
  const [first] = parts
  if (first instanceof Tensor) {
    const alike = (t: unknown): boolean =>
      t instanceof Tensor && t.dtype === first.dtype && sameSizes(t.sizes.slice(1), first.sizes.slice(1))
    return parts.every(alike) ? indexSelect(cat(parts as Tensor[]), 0, order) : null
  }
  const keys = keysOf(first)
  if (keys === null || parts.some((part) => keysOf(part)?.join() !== keys.join())) return null
  const values = keys.map((key) =>
    joined(
      parts.map((part) => (part as Record<string, unknown>)[key]),
      order,
    ),
  )
  if (values.includes(null)) return null
  return Array.isArray(first) ? values : Object.fromEntries(keys.map((key, i) => [key, values[i]]))
}

function keysOf(x: unknown): string[] | null {
  return Array.isArray(x) || isRecord(x) ? Object.keys(x) : null
}

/** True if a built-in dataset's way of reading is not replaced by a subclass. */
function plain<T extends Dataset>(dataset: T, prototype: T): boolean {
  return (
    dataset.getItem === prototype.getItem && dataset.getItems === prototype.getItems && dataset.getBatch === undefined
  )
}
