// Packing values for another thread: structured clone knows neither tensors nor classes, so datasets and batches travel
// as tables of entries in which classes and functions are named by the modules that export them.
import { DType, type DTypeName, dtypeOf } from '../base/dtype.ts'
import { Generator } from '../base/random.ts'
import { Tensor } from '../tensor/tensor.ts'
import { ChainDataset, ConcatDataset, StackDataset, Subset, TensorDataset } from './dataset.ts'

/** A class or function by name, and the modules of which one exports it; `path` says where it was found. */
export interface Named {
  readonly name: string
  readonly urls: readonly string[]
  readonly path: string
}

/** Index of an entry. */
type Ref = number
type Field = readonly [key: string, value: Ref]

type Entry =
  /** What structured clone takes care of. */
  | readonly ['data', unknown]
  | readonly ['tensor', unknown]
  | readonly ['array', readonly Ref[]]
  | readonly ['object', readonly Field[]]
  | readonly ['map', readonly (readonly [Ref, Ref])[]]
  | readonly ['set', readonly Ref[]]
  | readonly ['builtin', string, readonly Field[]]
  | readonly ['instance', Named, readonly Field[]]
  /** An instance that `fromState` makes anew. */
  | readonly ['state', Named, Ref]
  | readonly ['export', Named]
  | readonly ['generator', Uint8Array]
  | readonly ['dtype', DTypeName]

/** Values in the form in which they travel: entries, of which the last is the value itself. */
export interface Packed {
  readonly entries: readonly Entry[]
  readonly root: Ref
}

const builtins = new Map<string, new (...args: never[]) => object>(
  Object.entries({ ChainDataset, ConcatDataset, StackDataset, Subset, TensorDataset }),
)

/** Functions that V8 itself calls a class by. */
type Class = (new (...args: never[]) => object) & { readonly url?: unknown; fromState?(state: unknown): object }

/** Thrown for what can't travel. */
function refuse(path: string, what: string, remedy: string): TypeError {
  return new TypeError(`DataLoader can't send ${path} to another thread: it is ${what}. ${remedy}`)
}

/** Packs one value (or several that share parts) for another thread. */
export class Packer {
  private readonly entries: Entry[] = []
  private readonly seen = new Map<unknown, Ref>()
  private readonly urls: readonly string[]
  private readonly tensor: (t: Tensor) => unknown

  /** `urls` are modules to look for exports in; `tensor` makes what travels for a tensor. */
  constructor(urls: readonly string[], tensor: (t: Tensor) => unknown) {
    this.urls = urls
    this.tensor = tensor
  }

  /** `value` as it travels. Throws TypeError that names the part, at `path`, that can't. */
  pack(value: unknown, path: string): Packed {
    const root = this.add(value, path)
    return { entries: this.entries, root }
  }

  private push(entry: Entry): Ref {
    return this.entries.push(entry) - 1
  }

  private add(value: unknown, path: string): Ref {
    const known = this.seen.get(value)
    if (known !== undefined) return known
    if (typeof value === 'symbol') throw refuse(path, 'a symbol', 'Use a string.')
    if (isData(value, new Set())) {
      const ref = this.push(['data', value])
      if (typeof value === 'object' && value !== null) this.seen.set(value, ref)
      return ref
    }
    // Reserved before its parts are packed, so that they may refer back to it.
    const ref = this.push(['data', null])
    this.seen.set(value, ref)
    this.entries[ref] = this.entryOf(value as object, path)
    return ref
  }

  private entryOf(value: object, path: string): Entry {
    if (typeof value === 'function') return ['export', this.named(value as unknown as Class, path)]
    if (value instanceof Tensor) return ['tensor', this.tensor(value)]
    if (value instanceof DType) return ['dtype', value.name]
    if (value instanceof Generator) return ['generator', value.getState()]
    if (Array.isArray(value)) return ['array', value.map((v, i) => this.add(v, `${path}[${i}]`))]
    if (value instanceof Map) {
      const pair = ([k, v]: [unknown, unknown]): readonly [Ref, Ref] => [
        this.add(k, `${path}.keys()`),
        this.add(v, `${path}.get(${String(k)})`),
      ]
      return ['map', [...value].map(pair)]
    }
    if (value instanceof Set) return ['set', [...value].map((v) => this.add(v, `${path}.values()`))]
    const proto = Object.getPrototypeOf(value)
    if (proto === null || proto === Object.prototype) return ['object', this.fields(value, path)]
    return this.instance(value, value.constructor as Class, path)
  }

  private fields(value: object, path: string): Field[] {
    return Object.keys(value).map((key) => [
      key,
      this.add((value as Record<string, unknown>)[key], path === '' ? key : `${path}.${key}`),
    ])
  }

  private instance(value: object, type: Class, path: string): Entry {
    if (builtins.get(type.name) === type) return ['builtin', type.name, this.fields(value, path)]
    const named = this.classOf(type, path)
    const { getState } = value as { getState?: () => unknown }
    if (typeof type.fromState === 'function' && typeof getState === 'function') {
      return ['state', named, this.add(getState.call(value), `${path}.getState()`)]
    }
    if (hasPrivateNames(type)) {
      throw refuse(
        path,
        `an instance of ${type.name}, which has #private members, and these can't be copied`,
        `Make them ordinary fields (or TypeScript's private), or give the class getState() and static fromState(state).`,
      )
    }
    return ['instance', named, this.fields(value, path)]
  }

  private classOf(type: Class, path: string): Named {
    if (typeof type !== 'function' || type.name === '')
      throw refuse(path, 'an object of an unnamed class', 'Name the class and export it.')
    if (Object.hasOwn(type, 'url')) return { name: type.name, urls: [String(type.url)], path }
    if (this.urls.length > 0 && !isNative(type)) return { name: type.name, urls: this.urls, path }
    throw refuse(
      path,
      `an instance of ${type.name}`,
      isNative(type)
        ? 'Make it in the worker: in getItem on first use or in workerInitFn; or give the class that holds it getState() and static fromState(state).'
        : `Export the class from a module of its own and add 'static url = import.meta.url' to it, so that workers can import it; or use numWorkers: 0.`,
    )
  }

  private named(fn: Class, path: string): Named {
    if (Object.hasOwn(fn, 'url')) return { name: fn.name, urls: [String(fn.url)], path }
    if (fn.name !== '' && this.urls.length > 0) return { name: fn.name, urls: this.urls, path }
    throw refuse(
      path,
      fn.name === '' ? 'a function without a name' : `the function '${fn.name}'`,
      `Functions don't travel, but a module's exports can be found again: export it from the dataset's module, or from one named by workerModule: import.meta.url; or make it a method of the dataset; or use numWorkers: 0.`,
    )
  }
}

/** The modules that classes in `value` name by `static url`. */
export function urlsIn(value: unknown, found = new Set<string>(), seen = new Set<unknown>()): Set<string> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return found
  seen.add(value)
  if (value instanceof Tensor || ArrayBuffer.isView(value)) return found
  const type = (typeof value === 'function' ? value : value.constructor) as Class | undefined
  if (type && Object.hasOwn(type, 'url')) found.add(String(type.url))
  if (value instanceof Map) for (const v of value.values()) urlsIn(v, found, seen)
  else if (Array.isArray(value)) {
    // Long lists are data of one kind: their first few elements tell.
    for (let i = 0; i < Math.min(value.length, 64); i++) urlsIn(value[i], found, seen)
  } else for (const v of Object.values(value)) urlsIn(v, found, seen)
  return found
}

const CLONED = [Date, RegExp, ArrayBuffer, ...(typeof SharedArrayBuffer === 'undefined' ? [] : [SharedArrayBuffer])]

/** True for what structured clone copies as it is: primitives, and arrays, objects, maps and sets of these. */
function isData(value: unknown, seen: Set<unknown>): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'symbol'
  if (seen.has(value)) return true
  seen.add(value)
  if (Array.isArray(value)) {
    if (Object.getPrototypeOf(value) !== Array.prototype) return false
    for (let i = 0; i < value.length; i++) {
      const v = value[i]
      if (typeof v !== 'number' && typeof v !== 'string' && !isData(v, seen)) return false
    }
    return true
  }
  const proto = Object.getPrototypeOf(value)
  if (proto === null || proto === Object.prototype) {
    for (const key of Object.keys(value)) if (!isData((value as Record<string, unknown>)[key], seen)) return false
    return true
  }
  if (ArrayBuffer.isView(value) || CLONED.some((type) => value instanceof type)) return true
  if (proto === Map.prototype) return [...(value as Map<unknown, unknown>)].every((pair) => isData(pair, seen))
  return proto === Set.prototype && [...(value as Set<unknown>)].every((v) => isData(v, seen))
}

const sourceOf = (type: object): string => Function.prototype.toString.call(type)

/** True for classes of the host, of which no module of the user's can be the source. */
function isNative(type: Class): boolean {
  const name = type.name as keyof typeof globalThis
  return (
    sourceOf(type).includes('[native code]') || (globalThis as Record<string, unknown>)[name] === type || HOST.has(name)
  )
}

// Node's classes are written in JavaScript, too.
const HOST = new Set([
  'FileHandle',
  'ReadStream',
  'WriteStream',
  'Socket',
  'Server',
  'Worker',
  'MessagePort',
  'DatabaseSync',
  'StatementSync',
])

const PRIVATE = /\.#[A-Za-z_$]|^\s*(?:(?:static|async|get|set)\s+)*\*?\s*#[A-Za-z_$]\w*\s*[=;(\n]/m

/** True if a class of the user's has #private members: what `Object.create` makes would lack them. */
function hasPrivateNames(type: Class): boolean {
  for (let at: Class | null = type; at && at.name !== '' && at.name !== 'Dataset'; at = Object.getPrototypeOf(at)) {
    if (builtins.get(at.name) === at) return false
    if (PRIVATE.test(sourceOf(at).replace(/\/\*[\s\S]*?\*\//g, ''))) return true
  }
  return false
}

/** Finds an export again. */
export type Finder = (named: Named) => unknown

/** The value that was packed. Throws what `find` throws where an export is missing. */
export function unpack({ entries, root }: Packed, tensor: (descriptor: unknown) => Tensor, find: Finder): unknown {
  const made: unknown[] = []
  const done: boolean[] = []
  const keep = <T>(ref: Ref, value: T): T => {
    made[ref] = value
    done[ref] = true
    return value
  }
  const fill = (target: object, fields: readonly Field[]): void => {
    // Defined, not assigned: a class may have an accessor of the same name.
    for (const [key, ref] of fields) {
      Object.defineProperty(target, key, { value: get(ref), writable: true, enumerable: true, configurable: true })
    }
  }
  const instance = (ref: Ref, type: Class, fields: readonly Field[]): void =>
    fill(keep(ref, Object.create(type.prototype)), fields)
  const get = (ref: Ref): unknown => {
    if (!done[ref]) make(ref, entries[ref])
    return made[ref]
  }
  const make = (ref: Ref, entry: Entry): void => {
    switch (entry[0]) {
      case 'data':
        keep(ref, entry[1])
        return
      case 'tensor':
        keep(ref, tensor(entry[1]))
        return
      case 'array': {
        const list = keep(ref, [] as unknown[])
        for (const r of entry[1]) list.push(get(r))
        return
      }
      case 'object':
        fill(keep(ref, {}), entry[1])
        return
      case 'map': {
        const map = keep(ref, new Map())
        for (const [k, v] of entry[1]) map.set(get(k), get(v))
        return
      }
      case 'set': {
        const set = keep(ref, new Set())
        for (const r of entry[1]) set.add(get(r))
        return
      }
      case 'builtin':
        instance(ref, builtins.get(entry[1]) as Class, entry[2])
        return
      case 'instance':
        instance(ref, find(entry[1]) as Class, entry[2])
        return
      case 'state':
        keep(ref, (find(entry[1]) as Class).fromState!(get(entry[2])))
        return
      case 'export':
        keep(ref, find(entry[1]))
        return
      case 'generator':
        keep(ref, new Generator(0).setState(entry[1]))
        return
      case 'dtype':
        keep(ref, dtypeOf(entry[1]))
        return
    }
  }
  return get(root)
}

/** The exports that a packed value names. */
export function namesIn({ entries }: Packed): Named[] {
  return entries.flatMap((e) => (e[0] === 'instance' || e[0] === 'state' || e[0] === 'export' ? [e[1]] : []))
}

/** What `named` stands for among loaded modules, or undefined. */
export function findExport(named: Named, modules: ReadonlyMap<string, object>): unknown {
  for (const url of named.urls) {
    const module = modules.get(url) as Record<string, unknown> | undefined
    if (!module) continue
    const direct = module[named.name]
    if (typeof direct === 'function') return direct
    for (const value of Object.values(module)) {
      if (typeof value !== 'function') continue
      if (value.name === named.name) return value
      // A static method, such as Faces.collate.
      const member = (value as unknown as Record<string, unknown>)[named.name]
      if (Object.hasOwn(value, named.name) && typeof member === 'function') return member
    }
  }
  return undefined
}
