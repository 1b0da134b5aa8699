// Weights split into a length and a direction, recomputed before each forward.
import { ValueError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { RemovableHandle } from './hooks.ts'
import type { Module } from './module.ts'
import { Parameter } from './parameter.ts'

/** The `pow`-norm over all dimensions but `dim`, which are kept with size 1; over all, as one number, for dim -1. */
export function normExceptDim(v: Tensor, pow = 2, dim = 0): Tensor {
  if (dim === -1) return v.norm(pow)
  const kept = wrapDim(dim, v.ndim)
  const others = v.sizes.map((_, i) => i).filter((i) => i !== kept)
  return others.length === 0 ? v.norm(pow, [], true).expand(v.sizes) : v.norm(pow, others, true)
}

interface Split {
  readonly handle: RemovableHandle
  readonly compute: () => Tensor
}
const splits = new WeakMap<Module, Map<string, Split>>()
type Properties = Record<string, unknown>

/**
 * Replaces the parameter `name` by `nameG`, its norms over all dimensions but `dim` (over all for null), and `nameV`,
 * its direction (Salimans and Kingma, https://arxiv.org/abs/1602.07868). The state dict has them as `name_g`, `name_v`.
 */
export function weightNorm<M extends Module>(module: M, name = 'weight', dim: number | null = 0): M {
  const own = module as unknown as Properties
  const found = splits.get(module) ?? new Map<string, Split>()
  if (found.has(name)) throw new Error(`Cannot register two weight_norm hooks on the same parameter ${name}`)
  const weight = own[name] as Parameter
  const along = dim ?? -1
  delete own[name]
  module.registerParameter(`${name}G`, new Parameter(normExceptDim(weight.detach(), 2, along)))
  module.registerParameter(`${name}V`, new Parameter(weight.detach()))
  const compute = (): Tensor => {
    const v = own[`${name}V`] as Tensor
    return v.mul((own[`${name}G`] as Tensor).div(normExceptDim(v, 2, along)))
  }
  own[name] = compute()
  const handle = module.registerForwardPreHook(() => {
    own[name] = compute()
  })
  splits.set(module, found.set(name, { handle, compute }))
  return module
}

/** Makes the parameter `name` whole again. Throws ValueError if `weightNorm` was not applied to it. */
export function removeWeightNorm<M extends Module>(module: M, name = 'weight'): M {
  const split = splits.get(module)?.get(name)
  if (!split) throw new ValueError(`weight_norm of '${name}' not found in ${module}`)
  const own = module as unknown as Properties
  const weight = split.compute().detach()
  split.handle.remove()
  splits.get(module)?.delete(name)
  for (const key of [name, `${name}G`, `${name}V`]) delete own[key]
  module.registerParameter(name, new Parameter(weight))
  return module
}
