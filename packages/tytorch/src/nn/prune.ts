// torch.nn.utils.prune: parameters multiplied by masks of zeros and ones before each forward.
// https://pytorch.org/docs/stable/nn.html#module-torch.nn.utils.prune
import { IndexError, ValueError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { onesLike, zerosLike } from '../ops/create.ts'
import { rand, randLike } from '../ops/random.ts'
import { noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { parametersToVector } from './clip.ts'
import type { RemovableHandle } from './hooks.ts'
import type { Module } from './module.ts'
import { type Parameter, setData } from './parameter.ts'

type Properties = Record<string, unknown>
const properties = (of: Module): Properties => of as unknown as Properties

/** A way to choose a mask. A count of elements (or channels) is a whole number from 1, a share is less than 1. */
export abstract class BasePruningMethod {
  /** Whether a further pruning sees the elements left, the channels left, or all. */
  readonly pruningType: 'unstructured' | 'structured' | 'global' = 'unstructured'
  /** The dimension of the channels, for structured ones. */
  readonly dim: number = -1

  /** The mask for scores `t`, of zeros and ones, zero where `defaultMask` is. */
  abstract computeMask(t: Tensor, defaultMask: Tensor): Tensor

  /** `t` times the mask. */
  prune(t: Tensor, defaultMask: Tensor = onesLike(t.detach()), importanceScores: Tensor = t): Tensor {
    return t.mul(noGrad(() => this.computeMask(importanceScores.detach(), defaultMask)))
  }
}

function checkAmount(amount: number): void {
  if (!(amount >= 0) || (amount > 1 && !Number.isInteger(amount))) {
    throw new ValueError(`amount=${amount} should either be a float in the range [0, 1] or a non-negative integer`)
  }
}

/** How many of `size` to prune. */
function countOf(amount: number, size: number): number {
  if (!Number.isInteger(amount)) return evenRound(amount * size)
  if (amount > size)
    throw new ValueError(`amount=${amount} should be smaller than the number of parameters to prune=${size}`)
  return amount
}

/** Python's `round`: halves go to the even number. */
function evenRound(x: number): number {
  const floor = Math.floor(x)
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x)
}

/** A copy of a mask with zeros at the positions. */
function without(mask: Tensor, positions: Tensor): Tensor {
  const flat = mask.contiguous().clone().view(-1)
  flat.indexFill_(0, positions, 0)
  return flat.view(mask.sizes)
}

/** The method that prunes nothing, but makes the mask. */
export class Identity extends BasePruningMethod {
  computeMask(_t: Tensor, defaultMask: Tensor): Tensor {
    return defaultMask
  }
}

/** The method that prunes elements at random: a share of them (a number from 0 to 1) or a whole number. */
export class RandomUnstructured extends BasePruningMethod {
  readonly amount: number

  constructor(amount: number) {
    super()
    checkAmount(amount)
    this.amount = amount
  }

  computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const count = countOf(this.amount, t.count)
    return count === 0 ? defaultMask.clone() : without(defaultMask, randLike(t).view(-1).topk(count).indices)
  }
}

/** Prunes the elements of the smallest magnitude. */
export class L1Unstructured extends BasePruningMethod {
  readonly amount: number

  constructor(amount: number) {
    super()
    checkAmount(amount)
    this.amount = amount
  }

  computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const count = countOf(this.amount, t.count)
    if (count === 0) return defaultMask.clone()
    return without(defaultMask, t.abs().reshape(-1).topk(count, -1, false).indices)
  }
}

abstract class Structured extends BasePruningMethod {
  override readonly pruningType = 'structured'
  override readonly dim: number
  readonly amount: number

  constructor(amount: number, dim: number) {
    super()
    checkAmount(amount)
    this.amount = amount
    this.dim = dim
  }

  /** The positions of the channels to keep. */
  protected abstract kept(t: Tensor, dim: number, size: number, count: number): Tensor

  computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    if (t.ndim <= 1) {
      throw new ValueError(
        `Structured pruning can only be applied to multidimensional tensors. Found tensor of shape ${t.shape} with ${t.ndim} dims`,
      )
    }
    if (this.dim >= t.ndim || this.dim < -t.ndim)
      throw new IndexError(`Invalid index ${this.dim} for tensor of size ${t.shape}`)
    const dim = wrapDim(this.dim, t.ndim)
    const size = t.sizes[dim]
    const count = countOf(this.amount, size)
    if (count === 0) return defaultMask
    return zerosLike(t)
      .indexFill_(dim, this.kept(t, dim, size, count), 1)
      .mul_(defaultMask.to(t.dtype))
  }
}

/** The method that prunes channels along `dim` at random: a share of them (a number from 0 to 1) or a whole number. */
export class RandomStructured extends Structured {
  constructor(amount: number, dim = -1) {
    super(amount, dim)
  }

  protected kept(_t: Tensor, _dim: number, size: number, count: number): Tensor {
    const chances = rand(size)
    return chances.gt(chances.kthvalue(count).values).nonzero().view(-1)
  }
}

/** Prunes the channels of the smallest n-norm. */
export class LnStructured extends Structured {
  readonly n: number | 'fro' | 'nuc'

  constructor(amount: number, n: number | 'fro' | 'nuc', dim = -1) {
    super(amount, dim)
    this.n = n
  }

  protected kept(t: Tensor, dim: number, size: number, count: number): Tensor {
    const others = t.sizes.map((_, d) => d).filter((d) => d !== dim)
    return t.norm(this.n as number, others).topk(size - count).indices
  }
}

/** Prunes where a given mask is zero. */
export class CustomFromMask extends BasePruningMethod {
  override readonly pruningType = 'global'
  readonly mask: Tensor

  constructor(mask: Tensor) {
    super()
    this.mask = mask
  }

  computeMask(_t: Tensor, defaultMask: Tensor): Tensor {
    return defaultMask.mul(this.mask.to(defaultMask.dtype))
  }
}

/** The mask of `method` for what an earlier mask has left. */
function combined(method: BasePruningMethod, t: Tensor, mask: Tensor): Tensor {
  const next = mask.to(t.dtype).clone()
  if (method.pruningType === 'global') return method.computeMask(t, mask).to(t.dtype)
  if (method.pruningType === 'unstructured') {
    const left = mask.view(-1).eq(1).nonzero().view(-1)
    const part = method.computeMask(t.reshape(-1).indexSelect(0, left), mask.view(-1).indexSelect(0, left))
    next.view(-1).indexCopy_(0, left, part.to(t.dtype))
    return next
  }
  const dim = wrapDim(method.dim, t.ndim)
  const others = t.sizes.map((_, d) => d).filter((d) => d !== dim)
  const left = mask.sum(others).ne(0).nonzero().view(-1)
  const part = method.computeMask(t.indexSelect(dim, left), mask.indexSelect(dim, left))
  return next.indexCopy_(dim, left, part.to(t.dtype))
}

const pruned = new WeakMap<Module, Map<string, RemovableHandle>>()

function masked(module: Module, name: string): Tensor {
  const own = properties(module)
  const original = own[`${name}Orig`] as Tensor
  return (own[`${name}Mask`] as Tensor).to(original.dtype).mul(original)
}

/**
 * Prunes the parameter `name` of a module by `method`: it becomes the product of the parameter `nameOrig` and the buffer
 * `nameMask` (`name_orig` and `name_mask` in the state dict), computed before each forward.
 */
export function applyMethod<M extends Module>(
  module: M,
  name: string,
  method: BasePruningMethod,
  importanceScores?: Tensor | null,
): M {
  const own = properties(module)
  const found = pruned.get(module) ?? new Map<string, RemovableHandle>()
  const handle = found.get(name)
  const original = own[name]
  if (!(original instanceof Tensor)) {
    throw new TypeError(`'${module.constructor.name}' object has no attribute '${name}'`)
  }
  const scores = (importanceScores ?? original).detach()
  if (String(scores.shape) !== String(original.shape)) {
    throw new Error(
      `importance_scores should have the same shape as parameter ${name} of ${module}, got ${scores.shape} vs ${original.shape}`,
    )
  }
  const mask = noGrad(() => {
    const before = handle ? (own[`${name}Mask`] as Tensor).detach().clone() : onesLike(original.detach())
    return handle ? combined(method, scores, before) : method.computeMask(scores, before)
  })
  if (!handle) {
    delete own[name]
    module.registerParameter(`${name}Orig`, original as Parameter)
  }
  module.registerBuffer(`${name}Mask`, mask)
  own[name] = masked(module, name)
  handle?.remove()
  const next = module.registerForwardPreHook(() => {
    own[name] = masked(module, name)
  })
  pruned.set(module, found.set(name, next))
  return module
}

/** Prunes nothing, but makes the mask. */
export function identity<M extends Module>(module: M, name: string): M {
  return applyMethod(module, name, new Identity())
}

/** Prunes a number or a share of the elements at random. */
export function randomUnstructured<M extends Module>(module: M, name: string, amount: number): M {
  return applyMethod(module, name, new RandomUnstructured(amount))
}

/** Prunes a number or a share of the elements: those of the smallest magnitude. */
export function l1Unstructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  importanceScores?: Tensor | null,
): M {
  return applyMethod(module, name, new L1Unstructured(amount), importanceScores)
}

/** Prunes a number or a share of the channels along `dim` at random. */
export function randomStructured<M extends Module>(module: M, name: string, amount: number, dim: number): M {
  return applyMethod(module, name, new RandomStructured(amount, dim))
}

/** Prunes a number or a share of the channels along `dim`: those of the smallest n-norm. */
export function lnStructured<M extends Module>(
  module: M,
  name: string,
  amount: number,
  n: number | 'fro' | 'nuc',
  dim: number,
  importanceScores?: Tensor | null,
): M {
  return applyMethod(module, name, new LnStructured(amount, n, dim), importanceScores)
}

/** Prunes where `mask` is zero. */
export function customFromMask<M extends Module>(module: M, name: string, mask: Tensor): M {
  return applyMethod(module, name, new CustomFromMask(mask))
}

/** Prunes several parameters as if they were one: `globalUnstructured([[fc1, 'weight'], [fc2, 'weight']], L1Unstructured, 0.2)`. */
export function globalUnstructured(
  parameters: readonly (readonly [Module, string])[],
  Method: new (amount: number) => BasePruningMethod,
  amount: number | { readonly amount: number },
): void {
  const method = new Method(typeof amount === 'number' ? amount : amount.amount)
  if (method.pruningType !== 'unstructured') {
    throw new TypeError(
      `Only "unstructured" PRUNING_TYPE supported for the \`pruning_method\`. Found method ${Method.name} of type ${method.pruningType}`,
    )
  }
  const tensors = parameters.map(([module, name]) => properties(module)[name] as Tensor)
  const masks = parameters.map(
    ([module, name], i) => (properties(module)[`${name}Mask`] as Tensor | undefined) ?? onesLike(tensors[i].detach()),
  )
  const mask = noGrad(() =>
    combined(method, parametersToVector(tensors.map((t) => t.detach())), parametersToVector(masks)),
  )
  let at = 0
  parameters.forEach(([module, name], i) => {
    customFromMask(module, name, mask.narrow(0, at, tensors[i].count).view(tensors[i].sizes).clone())
    at += tensors[i].count
  })
}

/** Makes the pruned parameter an ordinary one, zeros included. Throws ValueError if it was not pruned. */
export function remove<M extends Module>(module: M, name: string): M {
  const handle = pruned.get(module)?.get(name)
  if (!handle)
    throw new ValueError(`Parameter '${name}' of module ${module} has to be pruned before pruning can be removed`)
  const own = properties(module)
  const original = own[`${name}Orig`] as Parameter
  setData(
    original,
    noGrad(() => masked(module, name)),
  )
  handle.remove()
  pruned.get(module)?.delete(name)
  for (const key of [name, `${name}Orig`, `${name}Mask`]) delete own[key]
  module.registerParameter(name, original)
  return module
}

/** True if a parameter of the module, or of one below, is pruned. */
export function isPruned(module: Module): boolean {
  return module.modules().some((m) => (pruned.get(m)?.size ?? 0) > 0)
}
