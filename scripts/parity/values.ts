// Values of the data as ours and back: tensors, dtypes, slices, tuples, dictionaries.
import { type Json, type Stored, WholeFloat } from './data.ts'

export type Torch = typeof import('tytorch')
export type Tensor = import('tytorch').Tensor
// biome-ignore lint/suspicious/noExplicitAny: what is called is looked up by name at run time
export type Dynamic = any

/** A Python tuple where it differs from a list: `x[1, 2]` is not `x[[1, 2]]`. */
export class Tuple extends Array<unknown> {}

/** The names of a record with PyTorch's spelling. */
export function snakeToCamel(name: string): string {
  return name.replace(/(?<=[a-zA-Z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function hasKey<K extends string>(x: object, key: K): x is Record<K, Json> {
  return Object.hasOwn(x, key)
}

/** Reads what the cases of one file refer to. */
export class Values {
  private readonly torch: Torch
  private readonly tensors: ReadonlyMap<string, Stored>

  constructor(torch: Torch, tensors: ReadonlyMap<string, Stored>) {
    this.torch = torch
    this.tensors = tensors
  }

  /** The stored tensor that a value refers to, or null if it is none. */
  stored(value: Json): Stored | null {
    if (typeof value !== 'object' || value === null || !hasKey(value, '$tensor')) return null
    return this.at(value.$tensor as string)
  }

  /** The stored tensor of a key. */
  at(key: string): Stored {
    const found = this.tensors.get(key)
    if (!found) throw new Error(`the data has no tensor '${key}'`)
    return found
  }

  /** A value as an argument for a call. Throws for dtypes that are not there. */
  read(value: Json): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof WholeFloat) return value.value
    if (Array.isArray(value)) return value.map((v) => this.read(v))
    const stored = this.stored(value)
    if (stored) {
      const x = toTensor(this.torch, stored)
      return value.grad === true ? x.requiresGrad_() : x
    }
    if (hasKey(value, '$float')) return { nan: Number.NaN, inf: Infinity, '-inf': -Infinity }[value.$float as string]
    if (hasKey(value, '$dtype')) return dtypeNamed(this.torch, value.$dtype as string)
    if (hasKey(value, '$device')) return value.$device
    if (hasKey(value, '$slice')) return this.torch.slice(...(this.read(value.$slice) as [number, number, number]))
    if (hasKey(value, '$ellipsis')) return '...'
    if (hasKey(value, '$tuple')) return Tuple.from((value.$tuple as Json[]).map((v) => this.read(v)))
    if (hasKey(value, '$dict')) return this.record(value.$dict as Record<string, Json>)
    return this.record(value)
  }

  /** Every entry read; keys stay as they are. */
  record(values: Record<string, Json>): Record<string, unknown> {
    return Object.fromEntries(Object.entries(values).map(([key, v]) => [key, this.read(v)]))
  }

  /** Keyword arguments: entries read, names in camel case. */
  options(values: Record<string, Json>): Record<string, unknown> {
    return Object.fromEntries(Object.entries(values).map(([key, v]) => [snakeToCamel(key), this.read(v)]))
  }
}

/** The dtype of a name, `float32` or `torch.float32`. */
export function dtypeNamed(torch: Torch, name: string): unknown {
  const found = (torch as Dynamic)[name.replace('torch.', '')]
  if (!(found instanceof torch.DType)) throw new MissingError(`dtype ${name}`)
  return found
}

/** Something that PyTorch has and we have not. */
export class MissingError extends Error {
  override name = 'MissingError'
}

/** A fresh tensor with the stored contents. */
export function toTensor(torch: Torch, { dtype, shape, bytes }: Stored): Tensor {
  const x = torch.empty([...shape], { dtype: dtypeNamed(torch, dtype) as Dynamic })
  if (bytes.length > 0) {
    const raw = x.raw()
    new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength).set(bytes)
  }
  return x
}

/** A copy of a tensor's contents. */
export function toStored(x: Tensor): Stored {
  const plain = x.detach().contiguous()
  const shape = [...plain.shape]
  const name = String(plain.dtype).replace('torch.', '')
  if (plain.numel() === 0) return { dtype: name, shape, bytes: new Uint8Array(0) }
  const raw = plain.raw()
  return { dtype: name, shape, bytes: new Uint8Array(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)) }
}

/** A result with named ones (`{ values, indices }`, which destructure as arrays do) as arrays. */
export function asArrays(torch: Torch, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((v) => asArrays(torch, v))
  const named =
    typeof value === 'object' && value !== null && !(value instanceof torch.Tensor) && Symbol.iterator in value
  return named ? Array.from(value as Iterable<unknown>, (v) => asArrays(torch, v)) : value
}

/** The leaves of nested lists, in order. */
export function flatten(value: unknown): unknown[] {
  return Array.isArray(value) ? value.flatMap(flatten) : [value]
}

/** The tensors among the leaves that require a gradient. */
export function differentiable(torch: Torch, values: unknown): Tensor[] {
  const leaves = (v: unknown): unknown[] =>
    typeof v === 'object' && v !== null && !(v instanceof torch.Tensor) && !Array.isArray(v)
      ? Object.values(v).flatMap(leaves)
      : Array.isArray(v)
        ? v.flatMap(leaves)
        : [v]
  return leaves(values).filter((v): v is Tensor => v instanceof torch.Tensor && v.requiresGrad)
}
