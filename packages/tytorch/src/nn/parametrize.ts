// torch.nn.utils.parametrize: parameters computed from others by a module, at each use.
// https://pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatModuleList } from '../base/format.ts'
import { sameSizes } from '../base/shape.ts'
import { requireGrad } from '../ops/create.ts'
import { ModeGuard, noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { ModuleDict } from './containers.ts'
import { keepsKeys, Module } from './module.ts'
import { Parameter, setData } from './parameter.ts'
import { snakeCase } from './state.ts'

type Properties = Record<string, unknown>
const properties = (of: Module): Properties => of as unknown as Properties

/** A module that may say how to undo it, so that the parameter can be assigned. */
export interface Parametrization extends Module {
  /** The tensor (or tensors) from which forward makes `value`. */
  rightInverse?(value: Tensor): Tensor | readonly Tensor[]
}

let caching = 0
let cache = new WeakMap<Module, Map<string, Tensor>>()

/** While it lasts, each parametrized tensor is computed once: `parametrize.cached(() => ...)` or `using _ = cached()`. */
export function cached(): ModeGuard
export function cached<T>(fn: () => T): T
export function cached<T>(fn?: () => T): T | ModeGuard {
  caching++
  const guard = new ModeGuard(() => {
    caching--
    if (caching === 0) cache = new WeakMap()
  })
  if (!fn) return guard
  try {
    const result = fn()
    if (typeof (result as { then?: unknown } | null)?.then === 'function')
      throw new TypeError('cached: the callback is async; await first, then call cached around the synchronous part')
    return result
  } finally {
    guard[Symbol.dispose]()
  }
}

function keepTensor(module: Module, name: string, x: Tensor): void {
  if (x instanceof Parameter) module.registerParameter(name, x)
  else module.registerBuffer(name, x)
}

/** Throws ValueError if a parametrization changes dtype or shape. */
function checkSame(before: Tensor, after: unknown, what: readonly [string, string], flag: string): void {
  if (!(after instanceof Tensor)) throw new ValueError(`A parametrization must return a tensor. Got ${typeof after}.`)
  for (const key of ['dtype', 'shape'] as const) {
    if (key === 'dtype' ? before.dtype === after.dtype : sameSizes(before.sizes, after.sizes)) continue
    const [one, other] = what.map((w) => w.replace('%', key))
    throw new ValueError(
      `Registering a parametrization may not change the ${key} of the tensor, unless ${flag} flag is enabled.\n${one}: ${before[key]}\n${other}: ${after[key]}`,
    )
  }
}

/** The parametrizations of one tensor, in the order of their use, and the tensor (or tensors) that they start from. */
export class ParametrizationList extends Module {
  readonly [keepsKeys] = true
  /** What the first parametrization gets; `original0`, `original1` and so on if it takes several tensors. */
  declare readonly original: Tensor
  readonly isTensor: boolean
  readonly ntensors: number
  unsafe: boolean

  constructor(modules: readonly Parametrization[], original: Tensor, unsafe = false) {
    if (modules.length === 0) throw new ValueError('ParametrizationList requires one or more modules.')
    super()
    for (const module of modules) this.append(module)
    this.unsafe = unsafe
    const before = original.detach()
    const start = noGrad(() => inverted(modules, original))
    this.isTensor = start instanceof Tensor
    this.ntensors = start instanceof Tensor ? 1 : start.length
    if (start instanceof Tensor) {
      if (start.dtype !== original.dtype) {
        throw new ValueError(
          `When \`right_inverse\` outputs one tensor, it may not change the dtype.\noriginal.dtype: ${original.dtype}\nright_inverse(original).dtype: ${start.dtype}`,
        )
      }
      setData(original, start)
      keepTensor(this, 'original', original)
    } else {
      start.forEach((x, i) => {
        const own = original instanceof Parameter ? new Parameter(x.detach(), original.requiresGrad) : x
        if (own.requiresGrad !== original.requiresGrad) requireGrad(own, original.requiresGrad)
        keepTensor(this, `original${i}`, own)
      })
    }
    if (!unsafe) checkSame(before, this.forward(), ['unparametrized %', 'parametrized %'], '`unsafe`')
  }

  /** The number of parametrizations. */
  override get length(): number {
    return [...this].length
  }

  /** The parametrization at a position. */
  at(index: number): Parametrization {
    return properties(this)[String(index)] as Parametrization
  }

  *[Symbol.iterator](): Generator<Parametrization, void> {
    for (let i = 0; Object.hasOwn(this, String(i)); i++) yield this.at(i)
  }

  /** Adds a parametrization after the others. */
  append(parametrization: Parametrization): this {
    this.registerModule(String([...this].length), parametrization)
    return this
  }

  /** The tensors that the first parametrization gets. */
  originals(): Tensor[] {
    const names = this.isTensor ? ['original'] : Array.from({ length: this.ntensors }, (_, i) => `original${i}`)
    return names.map((name) => properties(this)[name] as Tensor)
  }

  /** The parametrized tensor. */
  forward(): Tensor {
    const [first, ...rest] = this
    let x = first(...this.originals()) as Tensor
    for (const parametrization of rest) x = parametrization(x) as Tensor
    return x
  }

  /** Sets the originals so that forward gives `value`. Throws RuntimeError if a parametrization can't be undone. */
  rightInverse(value: Tensor): void {
    noGrad(() => {
      let x: Tensor | readonly Tensor[] = value
      for (const parametrization of [...this].reverse()) {
        if (!parametrization.rightInverse) {
          throw new RuntimeError(
            `parametrization ${parametrization.constructor.name} does not implement right_inverse.`,
          )
        }
        x = parametrization.rightInverse(x as Tensor)
      }
      const found = x instanceof Tensor ? [x] : x
      const own = this.originals()
      if (this.isTensor !== x instanceof Tensor)
        throw new ValueError(`'right_inverse' must return ${this.isTensor ? 'a tensor' : 'a sequence of tensors'}.`)
      if (found.length !== own.length) {
        throw new ValueError(
          `'right_inverse' must return a sequence of tensors of length ${own.length}. Got a sequence of length ${found.length}.`,
        )
      }
      found.forEach((t, i) => {
        if (t.dtype !== own[i].dtype) {
          throw new ValueError(
            this.isTensor
              ? `The tensor returned by \`right_inverse\` has dtype ${t.dtype} while \`original\` has dtype ${own[i].dtype}`
              : `Tensor ${i} returned by \`right_inverse\` has dtype ${t.dtype} while \`original${i}\` has dtype ${own[i].dtype}`,
          )
        }
        setData(own[i], t.detach())
      })
    })
  }

  override toString(): string {
    return formatModuleList(this.constructor.name, [...this].map(String))
  }
}

/** What the parametrizations start from so that they give `value`, as far as they can be undone. */
function inverted(modules: readonly Parametrization[], value: Tensor): Tensor | readonly Tensor[] {
  let x: Tensor | readonly Tensor[] = value
  for (const module of [...modules].reverse()) {
    if (!module.rightInverse) continue
    try {
      x = module.rightInverse(x as Tensor)
    } catch (error) {
      if (!(error instanceof NotImplementedError)) throw error
    }
  }
  if (!(x instanceof Tensor) && !(Array.isArray(x) && x.every((t) => t instanceof Tensor))) {
    throw new ValueError(
      `'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got ${typeof x}`,
    )
  }
  return x instanceof Tensor ? x.detach() : x
}

function listsOf(module: Module): ModuleDict<ParametrizationList> | null {
  const found = properties(module).parametrizations
  return found instanceof ModuleDict ? (found as ModuleDict<ParametrizationList>) : null
}

function listOf(module: Module, name: string): ParametrizationList | null {
  const lists = listsOf(module)
  return lists?.has(snakeCase(name)) ? lists.get(snakeCase(name)) : null
}

/** Gives the instance a class of its own, in which the tensor is computed when it is read. */
function inject(module: Module): void {
  const Base = module.constructor as new () => ModuleDict
  const name = `Parametrized${Base.name}`
  const Own = { [name]: class extends Base {} }[name]
  Object.setPrototypeOf(module, Own.prototype)
  module.registerModule('parametrizations', new ModuleDict())
}

function injectProperty(module: Module, name: string): void {
  Object.defineProperty(Object.getPrototypeOf(module), name, {
    configurable: true,
    get(this: Module): Tensor {
      const list = listOf(this, name) as ParametrizationList
      if (caching === 0) return list()
      const known = cache.get(this) ?? new Map<string, Tensor>()
      cache.set(this, known)
      const found = known.get(name) ?? list()
      known.set(name, found)
      return found
    },
    set(this: Module, value: Tensor) {
      ;(listOf(this, name) as ParametrizationList).rightInverse(value)
    },
  })
}

/**
 * Makes the parameter or buffer `name` of a module the output of `parametrization`, which gets what it was before:
 * `module.parametrizations[name].original` in the state dict. Throws ValueError if there is no such tensor or, unless
 * `unsafe`, if shape or dtype change.
 */
export function registerParametrization<M extends Module>(
  module: M,
  name: string,
  parametrization: Parametrization,
  { unsafe = false }: { readonly unsafe?: boolean } = {},
): M {
  parametrization.train(module.training)
  const own = properties(module)
  const list = listOf(module, name)
  if (list) {
    if (!unsafe) checkAnother(own[name] as Tensor, name, parametrization)
    list.append(parametrization)
    list.unsafe ||= unsafe
    return module
  }
  const original = own[name]
  const isState =
    Object.hasOwn(own, name) &&
    original instanceof Tensor &&
    (original instanceof Parameter || module.buffers(false).includes(original))
  if (!isState) {
    throw new ValueError(
      `Module '${module}' does not have a parameter, a buffer, or a parametrized element with name '${name}'`,
    )
  }
  const made = new ParametrizationList([parametrization], original, unsafe)
  delete own[name]
  if (!listsOf(module)) inject(module)
  injectProperty(module, name)
  listsOf(module)?.set(snakeCase(name), made)
  return module
}

function checkAnother(y: Tensor, name: string, parametrization: Parametrization): void {
  const x = parametrization(y) as Tensor
  checkSame(y, x, [`module.${name}.%`, `parametrization(module.${name}).%`], 'the `unsafe`')
  if (!parametrization.rightInverse) return
  try {
    const z = parametrization.rightInverse(x)
    if (!(z instanceof Tensor))
      throw new ValueError(`parametrization.right_inverse must return a tensor. Got: ${typeof z}`)
    for (const key of ['dtype', 'shape'] as const) {
      if (String(z[key]) === String(y[key])) continue
      throw new ValueError(
        `The tensor returned by parametrization.right_inverse must have the same ${key} as module.${name}, unless the \`unsafe\` flag is enabled.\nmodule.${name}.${key}: ${y[key]}\nreturned ${key}: ${z[key]}`,
      )
    }
  } catch (error) {
    if (!(error instanceof NotImplementedError)) throw error
  }
}

/** True if the module has a parametrization, or one of the tensor `name`. */
export function isParametrized(module: Module, name?: string): boolean {
  return name === undefined ? (listsOf(module)?.length ?? 0) > 0 : listOf(module, name) !== null
}

/**
 * Makes `name` a tensor of its own again: what the parametrizations give now, or with `leaveParametrized` false the
 * original. Throws ValueError if it has no parametrization.
 */
export function removeParametrizations<M extends Module>(
  module: M,
  name: string,
  leave: boolean | { readonly leaveParametrized?: boolean } = true,
): M {
  const leaveParametrized = typeof leave === 'boolean' ? leave : (leave.leaveParametrized ?? true)
  const list = listOf(module, name)
  if (!list) throw new ValueError(`Module ${module} does not have a parametrization on ${name}`)
  const own = properties(module)
  let original = list.originals()[0]
  if (list.isTensor) {
    if (leaveParametrized)
      setData(
        original,
        noGrad(() => own[name] as Tensor),
      )
  } else if (leaveParametrized) {
    const t = own[name] as Tensor
    original = t.requiresGrad ? new Parameter(t.detach()) : t
  } else {
    throw new ValueError(
      'Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors.',
    )
  }
  delete (Object.getPrototypeOf(module) as Properties)[name]
  listsOf(module)?.pop(snakeCase(name))
  keepTensor(module, name, original)
  if (!isParametrized(module)) {
    delete own.parametrizations
    Object.setPrototypeOf(module, Object.getPrototypeOf(Object.getPrototypeOf(module)))
  }
  return module
}

/** The class of a module as it was before it was parametrized. */
export function typeBeforeParametrizations(module: Module): new (...args: never[]) => Module {
  const own = Object.getPrototypeOf(module) as object
  const before = isParametrized(module) ? (Object.getPrototypeOf(own) as object) : own
  return before.constructor as new (
    ...args: never[]
  ) => Module
}

/** Gives `to` the parametrizations of `from` (all, or those of one tensor) with the tensors that they start from. */
export function transferParametrizationsAndParams<M extends Module>(from: Module, to: M, name?: string): M {
  const spelt = listsOf(from)?.keys() ?? []
  const names =
    name !== undefined ? [name] : spelt.map((key) => key.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase()))
  for (const each of isParametrized(from) ? names : []) {
    const list = listOf(from, each) as ParametrizationList
    const own = properties(to)
    if (!(each in own)) to.registerParameter(each, new Parameter((properties(from)[each] as Tensor).detach()))
    for (const parametrization of list) registerParametrization(to, each, parametrization)
    const target = properties(listOf(to, each) as ParametrizationList)
    for (const key of Object.keys(list)) if (key.startsWith('original')) target[key] = properties(list)[key]
  }
  return to
}
