// Copies of modules with parameters of their own, for stacks of one layer.
import { clone } from '../ops/copy.ts'
import { noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

/**
 * A module of the same class with copies of all parameters, buffers and children; other properties are shared, and
 * hooks are left out. Nothing is drawn. A class's own `#private` fields can't be copied.
 */
export function copied<M extends Module>(module: M): M {
  return noGrad(() => copyOf(module, new Map())) as M
}

type Properties = Record<string, unknown>

function copyOf(module: Module, seen: Map<object, object>): Module {
  const before = seen.get(module)
  if (before) return before as Module
  const twin = Reflect.construct(Module as unknown as new () => Module, [], module.constructor as new () => Module)
  seen.set(module, twin)
  const state = module.stateDict()
  const buffers = new Map(module.namedBuffers('', false).map(([key, b]) => [b, key]))
  for (const name of Object.keys(module)) {
    const value = (module as unknown as Properties)[name]
    const key = value instanceof Tensor ? buffers.get(value) : undefined
    if (key !== undefined) twin.registerBuffer(name, tensorCopy(value as Tensor, seen), key in state)
    else (twin as unknown as Properties)[name] = valueCopy(value, seen)
  }
  return twin
}

function valueCopy(value: unknown, seen: Map<object, object>): unknown {
  if (value instanceof Module) return copyOf(value, seen)
  if (value instanceof Tensor) return tensorCopy(value, seen)
  return value
}

function tensorCopy(x: Tensor, seen: Map<object, object>): Tensor {
  const before = seen.get(x)
  if (before) return before as Tensor
  const values = clone(x.detach())
  const twin = x instanceof Parameter ? new Parameter(values, x.requiresGrad) : values
  seen.set(x, twin)
  return twin
}
