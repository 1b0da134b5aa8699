// Collation: how a list of samples becomes one batch. Tensors, typed arrays, numbers, booleans and bigints become
// tensors with a new first dimension; strings stay a list; arrays, objects and maps are collated part by part.
import { memory } from '../backend/memory.ts'
import { bool, float64, int32, int64, uint8 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { type TensorData, tensor } from '../ops/create.ts'
import { stack } from '../ops/join.ts'
import { requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { isPromise } from './dataset.ts'

/** What default collation makes of samples of type T. */
export type Collated<T> = 0 extends 1 & T
  ? T
  : [T] extends [Tensor | number | bigint | boolean | ArrayBufferView]
    ? Tensor
    : [T] extends [string]
      ? T[]
      : [T] extends [ReadonlyMap<infer K, infer V>]
        ? Map<K, Collated<V>>
        : [T] extends [object]
          ? { -readonly [K in keyof T]: Collated<T[K]> }
          : unknown

/** What default conversion, which batchSize: null asks for, makes of a sample of type T. */
export type Converted<T> = 0 extends 1 & T
  ? T
  : [T] extends [Tensor]
    ? T
    : [T] extends [ArrayBufferView]
      ? Tensor
      : [T] extends [ReadonlyMap<infer K, infer V>]
        ? Map<K, Converted<V>>
        : [T] extends [(...args: never[]) => unknown]
          ? T
          : [T] extends [object]
            ? { -readonly [K in keyof T]: Converted<T[K]> }
            : T

/** Makes one batch of samples. */
// biome-ignore lint/suspicious/noExplicitAny: a registry holds functions for samples of every type
export type CollateFn = (batch: readonly any[], options: { readonly collateFnMap: CollateFnMap | null }) => unknown

/** Collation by class: `Tensor`, `Number`, `String`, `Boolean`, `BigInt`, a typed array's class, or a class of the user's. */
// biome-ignore lint/suspicious/noExplicitAny: classes with constructors of every signature
export type CollateFnMap = Map<abstract new (...args: any[]) => unknown, CollateFn>

const TypedArray = Object.getPrototypeOf(Uint8Array) as abstract new () => ArrayBufferView

/** Numbers, bigints and booleans as one tensor [n]. */
function collateNumbers(batch: readonly unknown[]): Tensor {
  const odd = batch.findIndex((x) => typeof x !== 'number' && typeof x !== 'bigint' && typeof x !== 'boolean')
  if (odd >= 0) throw mixed(batch, odd)
  if (batch.every((x) => typeof x === 'boolean')) return tensor(batch as boolean[], { dtype: bool })
  if (batch.every((x) => typeof x === 'number' && (x | 0) === x)) {
    const out = empty([batch.length], int64)
    const { i32 } = memory.views
    let at = out.pointer / 4
    for (const x of batch as readonly number[]) {
      i32[at++] = x
      i32[at++] = x >> 31
    }
    return out
  }
  // JavaScript can't tell 2 from 2.0. What has a fraction, or lies beyond the exact integers, is a Python float.
  const whole = batch.every((x) => typeof x !== 'number' || Number.isSafeInteger(x))
  return tensor(batch.map(whole ? (x) => x : Number) as number[], { dtype: whole ? int64 : float64 })
}

function mixed(batch: readonly unknown[], odd: number): TypeError {
  return new TypeError(
    `default_collate: samples of one batch must be of one type; sample 0 is ${typeName(batch[0])}, and sample ${odd} is ${typeName(batch[odd])}${hintFor(batch[odd])}`,
  )
}

/** Tensors of equal shape as one with a new first dimension. */
function collateTensors(batch: readonly Tensor[]): Tensor {
  const first = batch[0]
  const alike = (t: Tensor): boolean =>
    t instanceof Tensor &&
    t.dtype === first.dtype &&
    t.contiguousLayout &&
    sameSizes(t.sizes, first.sizes) &&
    !requiresGrad(t)
  if (!batch.every(alike)) {
    const odd = batch.findIndex((t) => !(t instanceof Tensor))
    if (odd >= 0) throw mixed(batch, odd)
    return stack(batch as Tensor[], 0)
  }
  const out = empty([batch.length, ...first.sizes], first.dtype)
  const list = empty([batch.length], int32)
  const at = list.pointer
  const { i32 } = memory.views
  for (let i = 0; i < batch.length; i++) i32[at / 4 + i] = batch[i].pointer
  device().joinBlocks(out.pointer, at, batch.length, first.count * first.dtype.itemsize)
  return out
}

/** A typed array as a tensor [n]; a `Uint8ClampedArray` as uint8. */
function tensorOf(array: ArrayBufferView): Tensor {
  return array instanceof Uint8ClampedArray
    ? tensor(Array.from(array), { dtype: uint8 })
    : tensor(array as unknown as TensorData)
}

/** The functions that default collation uses, by class; add a class to have it collated everywhere. */
export const defaultCollateFnMap: CollateFnMap = new Map<
  CollateFnMap extends Map<infer K, unknown> ? K : never,
  CollateFn
>([
  [Tensor, collateTensors],
  [TypedArray, (batch, options) => collate(batch.map(tensorOf), options)],
  [Number, collateNumbers],
  [BigInt as unknown as typeof Number, collateNumbers],
  [Boolean, collateNumbers],
  [String, (batch) => batch],
])

/** True while tensors are collated as PyTorch does, so that whole batches may be read at once. */
export function collatesTensorsByDefault(): boolean {
  return defaultCollateFnMap.get(Tensor) === collateTensors
}

function functionFor(sample: unknown, map: CollateFnMap): CollateFn | undefined {
  if (sample === null || sample === undefined) return undefined
  const wrapped: object = Object(sample)
  const exact = map.get(wrapped.constructor as typeof Number)
  if (exact) return exact
  for (const [type, fn] of map) if (wrapped instanceof type) return fn
  return undefined
}

function typeName(x: unknown): string {
  if (typeof x !== 'object' || x === null) return x === null ? 'null' : typeof x
  return x.constructor?.name ?? 'Object'
}

/**
 * One batch of a list of samples, with `collateFnMap` deciding by the first sample's class, and arrays, plain objects
 * and maps collated part by part. Throws TypeError for what nothing handles, RuntimeError for unequal sizes.
 */
export function collate(batch: readonly unknown[], options: { collateFnMap?: CollateFnMap | null } = {}): unknown {
  const { collateFnMap = null } = options
  if (batch.length === 0) throw new RuntimeError('collate: the batch has no samples')
  const first = batch[0]
  const fn = collateFnMap && functionFor(first, collateFnMap)
  if (fn) return fn(batch, { collateFnMap })
  if (Array.isArray(first)) {
    const odd = batch.findIndex((sample) => !Array.isArray(sample))
    if (odd >= 0) throw mixed(batch, odd)
    const rows = batch as readonly unknown[][]
    if (rows.some((row) => row.length !== first.length)) {
      throw new RuntimeError('each element in list of batch should be of equal size')
    }
    return first.map((_, i) =>
      collate(
        rows.map((row) => row[i]),
        options,
      ),
    )
  }
  if (first instanceof Map) {
    const part = (key: unknown): unknown[] => batch.map((sample, i) => memberOf(sample, key, i))
    return new Map([...first.keys()].map((key) => [key, collate(part(key), options)]))
  }
  if (isPlain(first)) {
    const part = (key: string): unknown[] => batch.map((sample, i) => memberOf(sample, key, i))
    return Object.fromEntries(Object.keys(first).map((key) => [key, collate(part(key), options)]))
  }
  throw new TypeError(
    `default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found ${typeName(first)}${hintFor(first)}`,
  )
}

function hintFor(sample: unknown): string {
  if (sample === undefined) return ' (is the length of the dataset right, and does getItem return its sample?)'
  if (isPromise(sample)) return ' (a promise inside a sample: await it in getItem)'
  return typeof sample === 'object' && sample !== null
    ? ' (give a collateFn, or add the class to defaultCollateFnMap)'
    : ''
}

function memberOf(sample: unknown, key: unknown, at: number): unknown {
  const has = sample instanceof Map ? sample.has(key) : isPlain(sample) && Object.hasOwn(sample, key as string)
  if (!has)
    throw new RuntimeError(
      `default_collate: sample 0 has the key '${String(key)}', and sample ${at} of the batch has not`,
    )
  return sample instanceof Map ? sample.get(key) : (sample as Record<string, unknown>)[key as string]
}

function isPlain(x: unknown): x is Record<string, unknown> {
  if (typeof x !== 'object' || x === null) return false
  const proto = Object.getPrototypeOf(x)
  return proto === Object.prototype || proto === null
}

/**
 * One batch of a list of samples, as the loader makes it: tensors are stacked; typed arrays are stacked as tensors of
 * their type; whole numbers and bigints give int64, numbers of which one has a fraction float64, booleans bool; strings
 * stay a list; arrays, plain objects and maps are collated part by part.
 */
export function defaultCollate<T>(batch: readonly T[]): Collated<T> {
  return collate(batch, { collateFnMap: defaultCollateFnMap }) as Collated<T>
}

/** A sample with its typed arrays turned into tensors, also inside arrays, plain objects and maps. */
export function defaultConvert<T>(data: T): Converted<T> {
  return convert(data) as Converted<T>
}

function convert(data: unknown): unknown {
  if (data instanceof Tensor) return data
  if (data instanceof TypedArray) return tensorOf(data)
  if (Array.isArray(data)) return data.map(convert)
  if (data instanceof Map) return new Map([...data].map(([key, value]) => [key, convert(value)]))
  if (isPlain(data)) return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, convert(value)]))
  return data
}
