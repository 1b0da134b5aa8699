// Nested values as JSON plus named tensors: what a safetensors file needs to hold a checkpoint.
// In the JSON `{"$": kind, ...}` stands for what JSON has not: a tensor, NaN, -0, a bigint, a Map, undefined.
import { RuntimeError } from '../base/errors.ts'
import { Tensor } from '../tensor/tensor.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** A value taken apart: `plain` if it is a flat object of tensors, which needs no structure beside the keys. */
export interface Parts {
  readonly structure: string
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly plain: boolean
}

/**
 * Takes a value apart; tensors get the path to them as a name (`model.fc1.weight`). Throws TypeError, which names the
 * place, for functions, class instances (modules too), symbols and cycles.
 */
export function takeApart(value: unknown): Parts {
  const tensors = new Map<string, Tensor>()
  const open = new Set<object>()

  function nameFor(path: readonly string[]): string {
    const wanted = path.length === 0 ? 'tensor' : path.join('.')
    let name = wanted === '__metadata__' ? `${wanted}~` : wanted
    for (let i = 2; tensors.has(name); i++) name = `${wanted}~${i}`
    return name
  }

  function walk(x: unknown, path: readonly string[]): Json {
    if (x === null || typeof x === 'string' || typeof x === 'boolean') return x
    if (typeof x === 'number') {
      return Number.isFinite(x) && !Object.is(x, -0) ? x : { $: 'number', value: Object.is(x, -0) ? '-0' : String(x) }
    }
    if (typeof x === 'bigint') return { $: 'bigint', value: String(x) }
    if (x === undefined) return { $: 'undefined' }
    if (x instanceof Tensor) {
      const key = nameFor(path)
      tensors.set(key, x)
      return { $: 'tensor', key }
    }
    if (typeof x !== 'object') throw refused(x, path)
    if (open.has(x)) throw new TypeError(`${placeOf(path)} holds itself; save() and serialize() take no cycles`)
    open.add(x)
    const found = walkInside(x, path)
    open.delete(x)
    return found
  }

  function walkInside(x: object, path: readonly string[]): Json {
    if (Array.isArray(x)) return Array.from(x, (item, i) => walk(item, [...path, String(i)]))
    if (x instanceof Map) {
      const entries = [...x].map(([key, item], i) => {
        const name = typeof key === 'string' || typeof key === 'number' ? String(key) : String(i)
        return [walk(key, [...path, `key ${i}`]), walk(item, [...path, name])]
      })
      return { $: 'map', entries }
    }
    const prototype = Object.getPrototypeOf(x)
    if (prototype !== null && prototype !== Object.prototype) throw refused(x, path)
    const entries = Object.entries(x).map(([key, item]) => [key, walk(item, [...path, key])] as const)
    return Object.hasOwn(x, '$') ? { $: 'object', entries } : Object.fromEntries(entries)
  }

  const structure = JSON.stringify(walk(value, []))
  return { structure, tensors, plain: isPlain(value, tensors) }
}

/** True for an object of tensors that lie under their own keys. */
function isPlain(value: unknown, tensors: ReadonlyMap<string, Tensor>): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof Tensor || value instanceof Map || Array.isArray(value)) return false
  return Object.entries(value).every(([key, item]) => item instanceof Tensor && tensors.get(key) === item)
}

function placeOf(path: readonly string[]): string {
  return path.length === 0 ? 'the value' : `'${path.join('.')}'`
}

function refused(x: unknown, path: readonly string[]): TypeError {
  const module = typeof (x as { stateDict?: unknown }).stateDict === 'function'
  const name = (x as object).constructor?.name
  const what = typeof x === 'object' || module ? `an instance of ${name}` : `a ${typeof x}`
  return new TypeError(
    `${placeOf(path)} is ${what}, which can't be saved: ${
      module
        ? 'save its stateDict(), and load it with loadStateDict()'
        : 'tensors, numbers, bigints, strings, booleans, null, arrays, Maps and plain objects can'
    }`,
  )
}

/** Puts a value together again. Throws RuntimeError, which names `file`, if the parts don't fit. */
export function putTogether(structure: string, tensors: ReadonlyMap<string, Tensor>, file: string): unknown {
  function walk(x: Json): unknown {
    if (typeof x !== 'object' || x === null) return x
    if (isList(x)) return x.map(walk)
    if (!Object.hasOwn(x, '$')) return Object.fromEntries(Object.entries(x).map(([key, item]) => [key, walk(item)]))
    switch (x.$) {
      case 'number':
        return Number(x.value)
      case 'bigint':
        return BigInt(x.value as string)
      case 'undefined':
        return undefined
      case 'map':
        return new Map((x.entries as [Json, Json][]).map(([key, item]) => [walk(key), walk(item)]))
      case 'object':
        return Object.fromEntries((x.entries as [string, Json][]).map(([key, item]) => [key, walk(item)]))
      case 'tensor': {
        const found = tensors.get(x.key as string)
        if (!found) throw new RuntimeError(`the tensor '${String(x.key)}' is missing`)
        return found
      }
      default:
        throw new RuntimeError(`it has a part of the unknown kind ${JSON.stringify(x.$)}`)
    }
  }
  try {
    return walk(JSON.parse(structure) as Json)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RuntimeError(`${file}: the structure in the header is damaged: ${why}`, { cause })
  }
}

function isList(x: Json): x is readonly Json[] {
  return Array.isArray(x)
}
