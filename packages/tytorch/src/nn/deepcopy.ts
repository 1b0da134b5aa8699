// Copies of modules, state dicts and nested values with tensors of their own, as Python's copy.deepcopy makes them.
import { RuntimeError } from '../base/errors.ts'
import { clone } from '../ops/copy.ts'
import { requireGrad } from '../ops/create.ts'
import { noGrad } from '../tensor/mode.ts'
import { Size, Tensor } from '../tensor/tensor.ts'
import { UninitializedParameter } from './lazy.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

type Seen = Map<object, unknown>
type Properties = Record<string, unknown>

/**
 * A copy of a tensor, module, array, Map, Set or plain object, and of all such values inside it; what is shared stays
 * shared. Modules get no hooks, and share what else their properties hold. Throws RuntimeError for a tensor with a
 * history, TypeError for an instance of another class.
 */
export function deepcopy<T>(value: T): T {
  return noGrad(() => copyOf(value, new Map(), false)) as T
}

/** As `deepcopy`, for a module of the library. Nothing is drawn. A class's own `#private` fields can't be copied. */
export function copied<M extends Module>(module: M): M {
  return deepcopy(module)
}

function copyOf(value: unknown, seen: Seen, lenient: boolean): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return value
  const before = seen.get(value)
  if (before !== undefined) return before
  if (value instanceof Module) return moduleCopy(value, seen)
  if (typeof value === 'function') return value
  if (value instanceof Tensor) return tensorCopy(value, seen)
  const keep = <T extends object>(twin: T): T => {
    seen.set(value, twin)
    return twin
  }
  if (value instanceof Size) return keep(new Size(value))
  if (Array.isArray(value)) {
    const twin = keep(new Array<unknown>(value.length))
    for (let i = 0; i < value.length; i++) twin[i] = copyOf(value[i], seen, lenient)
    return twin
  }
  if (value instanceof Map) {
    const twin = keep(new Map<unknown, unknown>())
    for (const [key, item] of value) twin.set(copyOf(key, seen, lenient), copyOf(item, seen, lenient))
    return twin
  }
  if (value instanceof Set) {
    const twin = keep(new Set<unknown>())
    for (const item of value) twin.add(copyOf(item, seen, lenient))
    return twin
  }
  if (ArrayBuffer.isView(value) || value instanceof Date) return keep(structuredClone(value))
  const proto = Object.getPrototypeOf(value)
  if (proto === Object.prototype || proto === null) {
    const twin = keep(Object.create(proto) as Properties)
    for (const [key, item] of Object.entries(value)) twin[key] = copyOf(item, seen, lenient)
    return twin
  }
  if (lenient || 'itemsize' in value || 'isCpu' in value) return value
  throw new TypeError(
    `deepcopy can't copy an instance of ${(value as object).constructor?.name}; copy its stateDict(), or what it is made of`,
  )
}

function moduleCopy(module: Module, seen: Seen): Module {
  const twin = Reflect.construct(Module as unknown as new () => Module, [], module.constructor as new () => Module)
  seen.set(module, twin)
  const state = module.stateDict()
  const buffers = new Map(module.namedBuffers('', false).map(([key, b]) => [b, key]))
  for (const name of Object.keys(module)) {
    const value = (module as unknown as Properties)[name]
    const key = value instanceof Tensor ? buffers.get(value) : undefined
    if (key !== undefined) twin.registerBuffer(name, copyOf(value, seen, true) as Tensor, key in state)
    else (twin as unknown as Properties)[name] = copyOf(value, seen, true)
  }
  // What containers say of their keys.
  for (const key of Object.getOwnPropertySymbols(module))
    Object.defineProperty(twin, key, Object.getOwnPropertyDescriptor(module, key) as PropertyDescriptor)
  return twin
}

function tensorCopy(x: Tensor, seen: Seen): Tensor {
  if (x.node !== null) {
    throw new RuntimeError(
      'Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001',
    )
  }
  if (x instanceof UninitializedParameter) {
    const twin = new UninitializedParameter(x.dtype)
    seen.set(x, twin)
    return twin
  }
  const values = clone(x.detach())
  const twin = x instanceof Parameter ? new Parameter(values, x.requiresGrad) : values
  seen.set(x, twin)
  if (!(x instanceof Parameter)) {
    if (x.requiresGrad) requireGrad(twin, true)
    if (x.grad) twin.grad = tensorCopy(x.grad, seen)
  }
  return twin
}
