// The base of optimizers: parameter groups, state, and running a whole update of a parameter as one kernel.
import type { Scalar } from '../backend/device.ts'
import type { DType } from '../base/dtype.ts'
import { float32 } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatFloat, formatValue, type PythonValue } from '../base/format.ts'
import { sameSizes } from '../base/shape.ts'
import { constant, type Expr, load, scalar } from '../ir/expr.ts'
import { type Arg, mapKernel } from '../ir/kernel.ts'
import { forgetGrad } from '../nn/parameter.ts'
import { snakeCase } from '../nn/state.ts'
import { tensor, zerosLike } from '../ops/create.ts'
import { enableGrad } from '../tensor/mode.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { Tensor } from '../tensor/tensor.ts'
import { everyCall, once, tracer } from '../tensor/tracer.ts'

/** Parameters with the options that hold for them; the options may be changed between steps. */
export type ParamGroup<O> = O & { params: Tensor[] }
/** What an optimizer is made for: parameters, [name, parameter] pairs, or groups with options of their own. */
export type Params<O> =
  | Iterable<Tensor>
  | Iterable<readonly [string, Tensor]>
  | Iterable<Partial<O> & { readonly params: Tensor | Iterable<Tensor> }>

/** One parameter's state: numbers and tensors by name. */
export type State = Record<string, Tensor | number>

/** An optimizer's state as PyTorch spells it: parameters are numbers, in the order of the groups. */
export interface OptimizerState {
  state: Record<number, Record<string, unknown>>
  param_groups: (Record<string, unknown> & { params: number[] })[]
}

/** How the value of each argument of an update follows from those before: the parameter, its gradient, the state. */
export type Update = (
  values: readonly Expr[],
  scalars: readonly Expr[],
  num: (value: number) => Expr,
) => (Expr | null)[]

/**
 * A family of update kernels, one a dtype: arguments are the parameter, its gradient, and `states` tensors; `update`
 * answers the new value of each, null for what stays.
 */
export class UpdateKernel {
  private readonly name: string
  private readonly states: number
  private readonly scalars: number
  private readonly update: Update
  private readonly made: (Prepared | undefined)[] = []

  constructor(name: string, states: number, scalars: number, update: Update) {
    this.name = name
    this.states = states
    this.scalars = scalars
    this.update = update
  }

  /** The kernel for parameters and gradients of `dtype`. */
  of(dtype: DType): Prepared {
    return (this.made[dtype.index] ??= this.build(dtype))
  }

  private build(dtype: DType): Prepared {
    const type = dtype.compute
    const values = Array.from({ length: 2 + this.states }, (_, i) => load(i, type))
    const numbers = Array.from({ length: this.scalars }, (_, i) => scalar(i, type))
    const next = this.update(values, numbers, (value) => constant(value, type))
    const args = values.map((_, i): Arg => ({ dtype, mode: next[i] ? 'update' : 'read', per: 'element' }))
    const stores = next.flatMap((value, arg) => (value ? [{ arg, value }] : []))
    return new Prepared(
      mapKernel(
        this.name,
        args,
        numbers.map(() => type),
        stores,
      ),
    )
  }

  /** Runs the update on a parameter, its gradient and the state tensors. */
  private run(operands: readonly Tensor[], scalars: readonly Scalar[]): void {
    const [p] = operands
    const prepared = this.made[p.dtype.index] ?? this.of(p.dtype)
    p.storage.version++
    if (p.count === 0) return
    const pointers: number[] = []
    for (const t of operands) {
      if (!t.contiguousLayout || !sameSizes(t.sizes, p.sizes)) {
        runMap(prepared, p.sizes, operands, scalars)
        return
      }
      pointers.push(t.pointer)
    }
    prepared.contiguous(p.count, ...pointers, ...scalars)
  }

  /**
   * Runs an update on `operands`: the parameter, its gradient and the state tensors. `kernel` chooses it and changes
   * nothing; `scalars` counts the step, and is asked at each call of a compiled step.
   */
  static apply(operands: readonly Tensor[], kernel: () => UpdateKernel, scalars: () => readonly Scalar[]): void {
    if (tracer === null) {
      kernel().run(operands, scalars())
      return
    }
    tracer.guard(kernel)
    const chosen = kernel()
    tracer.live(scalars, (numbers) => chosen.run(operands, numbers))
  }
}

/** Update kernels by the options that change their code. */
export function kernelFamily<V extends readonly boolean[]>(
  name: string,
  states: number,
  scalars: number,
  update: (...variant: V) => Update,
): (...variant: V) => UpdateKernel {
  const made: (UpdateKernel | undefined)[] = []
  return (...variant) => {
    const at = variant.reduce((n, on) => 2 * n + Number(on), 1)
    return (made[at] ??= new UpdateKernel(name, states, scalars, update(...variant)))
  }
}

/** What all optimizers have. */
export interface LearningRate {
  lr: number | Tensor
}

/**
 * Changes parameters by their gradients: `zeroGrad()`, `backward()`, `step()`. Takes parameters, or groups of them
 * with options of their own (`{ params, lr }`). Throws ValueError for an empty list.
 */
export abstract class Optimizer<O extends object = LearningRate> {
  /** Groups of parameters with their options; change an option (`lr`) here and the next step uses it. */
  readonly paramGroups: ParamGroup<O>[] = []
  /** Each parameter's state, from its first step. */
  readonly state = new Map<Tensor, State>()
  /** How many steps were made; schedulers warn where there was none. */
  steps = 0
  /** The options where a group names none. */
  readonly defaults: O

  constructor(params: Params<O>, defaults: O) {
    this.defaults = defaults
    if (params instanceof Tensor) {
      throw new TypeError(
        `params argument given to the optimizer should be an iterable of Tensors or dicts, but got torch.${params.dtype.title}Tensor`,
      )
    }
    if (typeof (params as Partial<Iterable<unknown>> | undefined)?.[Symbol.iterator] !== 'function') {
      throw new TypeError('params argument given to the optimizer should be an iterable: pass model.parameters()')
    }
    const list = [...(params as Iterable<unknown>)]
    if (list.length === 0) throw new ValueError('optimizer got an empty parameter list')
    const grouped = !(list[0] instanceof Tensor) && !Array.isArray(list[0])
    const groups = grouped ? list : [{ params: list.map((p) => (Array.isArray(p) ? p[1] : p)) }]
    for (const group of groups) this.addParamGroup(group as Partial<O> & { params: Tensor | Iterable<Tensor> })
  }

  /** Throws ValueError for options out of range. */
  protected abstract check(options: O): void

  /** Updates one parameter by its gradient. */
  protected abstract update(p: Tensor, grad: Tensor, group: ParamGroup<O>): void

  /** Options that PyTorch prints and stores though they choose nothing here. */
  protected readonly fixed: Readonly<Record<string, PythonValue>> = { foreach: null, differentiable: false }

  /** Options whose default is a whole number that Python writes as a float. */
  protected readonly floats: readonly string[] = []

  /** Adds parameters with options of their own, to fine-tune a layer that was frozen for instance. */
  addParamGroup(group: Partial<O> & { readonly params: Tensor | Iterable<Tensor> }): void {
    const { params, ...options } = group
    const list = params instanceof Tensor ? [params] : [...params]
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
    const full = { ...this.defaults, ...given } as O
    this.check(full)
    for (const key of Object.keys(given)) {
      if (!(key in this.defaults)) {
        throw new TypeError(
          `${this.constructor.name}() got an unexpected keyword argument '${key}' (it takes ${Object.keys(this.defaults).join(', ')})`,
        )
      }
    }
    const known = new Set(this.paramGroups.flatMap((g) => g.params))
    for (const p of list) {
      if (!(p instanceof Tensor))
        throw new TypeError(`optimizer can only optimize Tensors, but one of the params is ${typeof p}`)
      if (p.node !== null) throw new ValueError("can't optimize a non-leaf Tensor")
      if (known.has(p)) throw new ValueError('some parameters appear in more than one parameter group')
    }
    if (new Set(list).size < list.length) {
      console.warn(
        'UserWarning: optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see github.com/pytorch/pytorch/issues/40967 for more information',
      )
    }
    this.paramGroups.push({ params: list, ...full })
  }

  /** Forgets all gradients, or with `setToNone` false sets them to zero. */
  zeroGrad(setToNone = true): void {
    for (const group of this.paramGroups) {
      for (const p of group.params) forgetGrad(p, setToNone)
    }
  }

  /** One step for every parameter that has a gradient; `closure` computes the loss anew and is answered. */
  step(): undefined
  step<T>(closure: () => T): T
  step<T>(closure?: () => T): T | undefined {
    const loss = closure && enableGrad(closure)
    everyCall(() => {
      this.steps++
    })
    for (const group of this.paramGroups) {
      for (const p of group.params) {
        if (tracer !== null) tracer.gradUsed(p)
        const grad = p.leaf?.grad
        if (grad) this.update(p, grad, group)
      }
    }
    return loss
  }

  /** The state of `p`, made by `create` at the first step. */
  protected stateOf<S extends State>(p: Tensor, create: () => S): S {
    let found = this.state.get(p) as S | undefined
    if (!found) this.state.set(p, (found = once(create)))
    if (tracer !== null) tracer.guard(() => this.state.get(p))
    return found
  }

  /** The optimizer's state and options, in PyTorch's spelling, for a checkpoint. */
  stateDict(): OptimizerState {
    const places = new Map<Tensor, number>()
    const groups = this.paramGroups.map(({ params, ...options }) => {
      for (const p of params) if (!places.has(p)) places.set(p, places.size)
      const entries = Object.entries({ ...options, ...this.fixed }).map(([key, value]) => [snakeCase(key), value])
      return { ...Object.fromEntries(entries), params: params.map((p) => places.get(p) as number) }
    })
    const state: OptimizerState['state'] = {}
    for (const [p, i] of places) {
      const own = this.state.get(p)
      if (!own) continue
      // A step count is a float32 tensor in PyTorch.
      const entries = Object.entries(own).map(([key, value]) => [
        snakeCase(key),
        key === 'step' ? tensor(value, { dtype: float32 }) : value,
      ])
      state[i] = Object.fromEntries(entries)
    }
    return { state, param_groups: groups }
  }

  /** Takes over a state from `stateDict`, of this optimizer or of PyTorch's. Throws ValueError if the groups differ. */
  loadStateDict(stateDict: OptimizerState): void {
    const saved = stateDict.param_groups
    if (saved.length !== this.paramGroups.length)
      throw new ValueError('loaded state dict has a different number of parameter groups')
    if (saved.some((group, i) => group.params.length !== this.paramGroups[i].params.length)) {
      throw new ValueError(
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
      )
    }
    const byPlace = new Map<number, Tensor>()
    saved.forEach((group, i) => {
      const own = this.paramGroups[i] as Record<string, unknown> & { params: Tensor[] }
      for (const [j, p] of own.params.entries()) byPlace.set(group.params[j], p)
      for (const [spelt, value] of Object.entries(group)) {
        const key = camelCase(spelt)
        if (key !== 'params' && value !== undefined && !(key in this.fixed)) own[key] = value
      }
    })
    this.state.clear()
    for (const [place, values] of Object.entries(stateDict.state)) {
      const p = byPlace.get(Number(place))
      if (!p) continue
      const entries = Object.entries(values).map(([key, value]) => [camelCase(key), loaded(key, value, p)] as const)
      this.state.set(p, Object.fromEntries(entries.filter(([, value]) => value !== null)) as State)
    }
  }

  toString(): string {
    const groups = this.paramGroups.map(({ params: _, ...options }, i) => {
      const lines = Object.entries({ ...options, ...this.fixed }).map(([key, value]) => {
        const text = this.floats.includes(key) ? formatFloat(value as number) : printed(value)
        return `    ${snakeCase(key)}: ${text}\n`
      })
      return `Parameter Group ${i}\n${lines.sort().join('')}`
    })
    return `${this.constructor.name} (\n${groups.join('\n')})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

function printed(value: unknown): string {
  return value instanceof Tensor || typeof value === 'string' ? value.toString() : formatValue(value as PythonValue)
}

/** A name in our spelling: `weight_decay` is `weightDecay`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** A saved value as the state keeps it: steps are numbers, tensors are copies of the parameter's dtype. */
function loaded(key: string, value: unknown, p: Tensor): Tensor | number | null {
  if (!(value instanceof Tensor)) return value as number | null
  if (key === 'step') return value.item()
  return value.detach().to(p.dtype).clone()
}

/** Zeros like a parameter, to start a state from. */
export function zeroState(p: Tensor): Tensor {
  return zerosLike(p.detach())
}

/** Throws ValueError unless `valid`, with PyTorch's message. */
export function requireOption(valid: boolean, text: string, value: unknown): void {
  if (!valid) throw new ValueError(`Invalid ${text}: ${formatValue(value as PythonValue)}`)
}

/** A learning rate given as a number or as a one-element tensor. */
export function numberOf(lr: number | Tensor): number {
  if (typeof lr === 'number') return lr
  if (lr instanceof Tensor) return lr.item()
  throw new TypeError(`lr must be a number or a Tensor, not ${typeof lr}`)
}
