// PyTorch's own checkpoints: zip archives of a pickle and the bytes of each storage, as torch.save writes and
// torch.load(weights_only=True) reads them.

import { memory } from '../backend/memory.ts'
import { DType, type DTypeName, dtypeOf } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { Parameter } from '../nn/parameter.ts'
import { requireGrad } from '../ops/create.ts'
import type { Storage } from '../tensor/storage.ts'
import { alias, Size, Tensor } from '../tensor/tensor.ts'
import { tensorOf } from './elements.ts'
import { Global, unpickle } from './unpickle.ts'
import { readZip, writeZip } from './zip.ts'

const STORAGES: Readonly<Partial<Record<DTypeName, string>>> = {
  float64: 'DoubleStorage',
  float32: 'FloatStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  int64: 'LongStorage',
  int32: 'IntStorage',
  int16: 'ShortStorage',
  int8: 'CharStorage',
  uint8: 'ByteStorage',
  bool: 'BoolStorage',
  complex64: 'ComplexFloatStorage',
  complex128: 'ComplexDoubleStorage',
}
const DTYPES = new Map(
  Object.entries(STORAGES).map(([name, storage]) => [`torch.${storage}`, dtypeOf(name as DTypeName)]),
)

/** The value in the bytes of a checkpoint. Throws for anything but data, and names its class. */
export function readCheckpoint(bytes: Uint8Array, file: string): unknown {
  const entries = readZip(bytes, file)
  const pickle = [...entries.keys()].find((name) => name.endsWith('/data.pkl'))
  if (!pickle) throw new RuntimeError(`${file}: this zip is no checkpoint of PyTorch: it has no data.pkl`)
  const root = pickle.slice(0, -'data.pkl'.length)
  const order = entries.get(`${root}byteorder`)
  if (order && new TextDecoder().decode(order) !== 'little') throw new NotImplementedError(`${file} is big-endian`)
  const bases = new Map<string, Tensor>()
  const storage = (id: readonly unknown[]): Tensor => {
    const [kind, type, key, , count] = id as [string, Global, string, string, number]
    const dtype = DTYPES.get(type?.name)
    if (kind !== 'storage' || !dtype) {
      throw new NotImplementedError(
        `${file}: a ${type?.name ?? String(kind)} can't be read; these can: ${[...DTYPES.keys()].join(', ')}`,
      )
    }
    const found = bases.get(key)
    if (found) return found
    const data = entries.get(`${root}data/${key}`)
    if (!data || data.length < count * dtype.itemsize)
      throw new RuntimeError(`${file}: storage ${key} is missing or short`)
    const base = tensorOf(dtype, [count], data.subarray(0, count * dtype.itemsize))
    bases.set(key, base)
    return base
  }
  const call = (name: string, args: readonly unknown[]): unknown => {
    if (name === 'collections.OrderedDict') return new Map(args[0] as [unknown, unknown][] | undefined)
    if (name === 'collections.Counter') return args[0] ?? new Map()
    if (name === 'torch.Size') return new Size(args[0] as number[])
    if (name === 'torch._utils._rebuild_tensor_v2') return rebuilt(args, file)
    if (name === 'torch._utils._rebuild_parameter') return new Parameter(args[0] as Tensor, args[1] as boolean)
    throw new NotImplementedError(
      `${file}: the pickle makes a ${name}, which is no data; save a state dict instead: torch.save(model.state_dict(), path)`,
    )
  }
  return plain(unpickle(entries.get(pickle) as Uint8Array, file, { call, persistent: storage }), file)
}

function rebuilt([base, offset, sizes, strides, needsGrad]: readonly unknown[], file: string): Tensor {
  const [from, at, size, stride] = [base as Tensor, offset as number, sizes as number[], strides as number[]]
  const empty = size.includes(0)
  const last = size.reduce((sum, n, i) => sum + (n - 1) * stride[i], at)
  if (!empty && (at < 0 || stride.some((s) => s < 0) || last >= from.count)) {
    throw new RuntimeError(`${file}: a tensor of sizes [${size.join(', ')}] lies outside its storage`)
  }
  const t = alias(from, [...size], [...stride], from.offset + at)
  return needsGrad ? requireGrad(t, true) : t
}

/** Maps with plain keys as objects, dtypes for their names; what is shared stays shared. */
function plain(root: unknown, file: string): unknown {
  const done = new Map<object, unknown>()
  const walk = (value: unknown): unknown => {
    if (value instanceof Global) {
      const dtype = value.name.startsWith('torch.') ? dtypeNamed(value.name.slice(6)) : null
      if (dtype) return dtype
      throw new NotImplementedError(`${file}: the pickle holds ${value.name}, which is no data`)
    }
    if (typeof value !== 'object' || value === null || value instanceof Tensor || value instanceof Size) return value
    const found = done.get(value)
    if (found !== undefined) return found
    if (Array.isArray(value)) {
      const list: unknown[] = []
      done.set(value, list)
      for (const item of value) list.push(walk(item))
      return list
    }
    const map = value as Map<unknown, unknown>
    if ([...map.keys()].every((key) => typeof key === 'string' || typeof key === 'number')) {
      const object = {}
      done.set(value, object)
      for (const [key, item] of map) {
        Object.defineProperty(object, key as string, {
          value: walk(item),
          enumerable: true,
          writable: true,
          configurable: true,
        })
      }
      return object
    }
    const copy = new Map<unknown, unknown>()
    done.set(value, copy)
    for (const [key, item] of map) copy.set(walk(key), walk(item))
    return copy
  }
  return walk(root)
}

function dtypeNamed(name: string): DType | null {
  return name in STORAGES ? dtypeOf(name as DTypeName) : null
}

/** The part of a storage that the tensors of a value use, in elements. */
interface Span {
  readonly key: number
  readonly tensor: Tensor
  low: number
  high: number
}

/** A value as the bytes of a checkpoint. Throws TypeError for what is no data. */
export function writeCheckpoint(value: unknown): Uint8Array {
  const spans = new Map<Storage, Map<DType, Span>>()
  const pickle = new Pickler((t) => {
    const of = spans.get(t.storage) ?? new Map<DType, Span>()
    spans.set(t.storage, of)
    const found = of.get(t.dtype)
    const low = t.offset
    const high = t.count === 0 ? low : t.sizes.reduce((sum, n, i) => sum + (n - 1) * t.strides[i], t.offset) + 1
    if (!found) of.set(t.dtype, { key: [...spans.values()].reduce((n, m) => n + m.size, 0), tensor: t, low, high })
    else {
      found.low = Math.min(found.low, low)
      found.high = Math.max(found.high, high)
    }
    return of.get(t.dtype) as Span
  })
  // The first walk finds how much of each storage is used, the second writes.
  pickle.write(value)
  const data = pickle.write(value)
  const encoder = new TextEncoder()
  const entries = new Map([
    ['archive/data.pkl', data],
    ['archive/byteorder', encoder.encode('little')],
  ])
  for (const span of [...spans.values()].flatMap((of) => [...of.values()])) {
    const { itemsize } = span.tensor.dtype
    const from = span.tensor.pointer + (span.low - span.tensor.offset) * itemsize
    entries.set(`archive/data/${span.key}`, memory.views.u8.slice(from, from + (span.high - span.low) * itemsize))
  }
  entries.set('archive/version', encoder.encode('3\n'))
  return writeZip(entries)
}

/** Writes pickles of protocol 2. */
class Pickler {
  #out: number[] = []
  readonly #span: (t: Tensor) => Span
  readonly #open = new Set<unknown>()

  constructor(span: (t: Tensor) => Span) {
    this.#span = span
  }

  write(value: unknown): Uint8Array {
    this.#out = [0x80, 2]
    this.#put(value, '')
    this.#out.push(0x2e)
    return Uint8Array.from(this.#out)
  }

  #number(op: number, size: number, set: (view: DataView) => void): void {
    const bytes = new Uint8Array(size)
    set(new DataView(bytes.buffer))
    this.#out.push(op, ...bytes)
  }

  #int(value: number | bigint): void {
    if (value >= -(2 ** 31) && value < 2 ** 31) this.#number(0x4a, 4, (v) => v.setInt32(0, Number(value), true))
    else {
      if (BigInt.asIntN(64, BigInt(value)) !== BigInt(value)) throw new TypeError(`${value} has more than 64 bits`)
      this.#out.push(0x8a)
      this.#number(8, 8, (v) => v.setBigInt64(0, BigInt(value), true))
    }
  }

  #text(value: string): void {
    const bytes = new TextEncoder().encode(value)
    this.#number(0x58, 4, (v) => v.setUint32(0, bytes.length, true))
    for (const byte of bytes) this.#out.push(byte)
  }

  #global(module: string, name: string): void {
    this.#out.push(0x63, ...new TextEncoder().encode(`${module}\n${name}\n`))
  }

  #tuple(items: readonly (() => void)[]): void {
    this.#out.push(0x28)
    for (const item of items) item()
    this.#out.push(0x74)
  }

  #ints(list: readonly number[]): void {
    this.#tuple(list.map((n) => () => this.#int(n)))
  }

  #tensor(t: Tensor): void {
    const storage = STORAGES[t.dtype.name]
    if (!storage) throw new TypeError(`a tensor of dtype ${t.dtype} can't be saved as a checkpoint`)
    const span = this.#span(t)
    this.#global('torch._utils', '_rebuild_tensor_v2')
    this.#tuple([
      () => {
        this.#tuple([
          () => this.#text('storage'),
          () => this.#global('torch', storage),
          () => this.#text(String(span.key)),
          () => this.#text('cpu'),
          () => this.#int(span.high - span.low),
        ])
        this.#out.push(0x51)
      },
      () => this.#int(t.offset - span.low),
      () => this.#ints(t.sizes),
      () => this.#ints(t.strides),
      () => this.#out.push(t.leaf?.requiresGrad ? 0x88 : 0x89),
      () => this.#ordered(),
    ])
    this.#out.push(0x52)
  }

  #ordered(): void {
    this.#global('collections', 'OrderedDict')
    this.#out.push(0x29, 0x52)
  }

  #dict(entries: readonly (readonly [unknown, unknown])[], path: string): void {
    this.#out.push(0x7d, 0x28)
    for (const [key, item] of entries) {
      this.#put(key, `${path} (a key)`)
      this.#put(item, path === '' ? String(key) : `${path}.${String(key)}`)
    }
    this.#out.push(0x75)
  }

  #put(value: unknown, path: string): void {
    const out = this.#out
    if (value === null || value === undefined) out.push(0x4e)
    else if (typeof value === 'boolean') out.push(value ? 0x88 : 0x89)
    else if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'bigint' || (Number.isSafeInteger(value) && !Object.is(value, -0)))
      this.#int(value as number)
    else if (typeof value === 'number') this.#number(0x47, 8, (v) => v.setFloat64(0, value, false))
    else if (value instanceof DType) this.#global('torch', value.name)
    else if (value instanceof Tensor) this.#tensor(value)
    else if (value instanceof Size) {
      this.#global('torch', 'Size')
      this.#tuple([() => this.#ints(value)])
      out.push(0x52)
    } else this.#container(value, path)
  }

  #container(value: unknown, path: string): void {
    const proto = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined
    const isPlain = proto === Object.prototype || proto === null
    if (!isPlain && !Array.isArray(value) && !(value instanceof Map)) {
      const what = typeof value === 'object' ? (value as object).constructor.name : typeof value
      throw new TypeError(`torch.save can't save ${path || 'the value'}, a ${what}; save its stateDict()`)
    }
    if (this.#open.has(value)) throw new TypeError(`torch.save can't save ${path || 'the value'}: it contains itself`)
    this.#open.add(value)
    if (Array.isArray(value)) {
      this.#out.push(0x5d, 0x28)
      for (const [i, item] of value.entries()) this.#put(item, `${path}[${i}]`)
      this.#out.push(0x65)
    } else if (value instanceof Map) this.#dict([...value], path)
    else this.#dict(keyed(value as Record<string, unknown>), path)
    this.#open.delete(value)
  }
}

/** An object's entries. Keys that are all numbers are Python's ints, as an optimizer's state needs, unless tensors have them. */
function keyed(value: Record<string, unknown>): (readonly [string | number, unknown])[] {
  const entries = Object.entries(value)
  const numbered = entries.every(([key, item]) => /^(0|[1-9]\d{0,14})$/.test(key) && !(item instanceof Tensor))
  return numbered ? entries.map(([key, item]) => [Number(key), item] as const) : entries
}
