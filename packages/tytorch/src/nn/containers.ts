// Modules that hold modules and parameters: in a row, in lists and by name.
import { IndexError, NotImplementedError } from '../base/errors.ts'
import { formatModule, formatModuleList } from '../base/format.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { keepsKeys, Module } from './module.ts'
import { Parameter } from './parameter.ts'

type Slots = Record<string, unknown>
const slots = (of: Module): Slots => of as unknown as Slots

/** A container's position as a property name; negative ones count from the end. */
function wrapped(index: number, length: number): number {
  if (!Number.isInteger(index) || index < -length || index >= length)
    throw new IndexError(`index ${index} is out of range`)
  return index < 0 ? index + length : index
}

/** Own properties that hold a `kind`, in order. */
function held<T>(of: Module, kind: { readonly prototype: T }): [string, T][] {
  return Object.keys(of).flatMap((key): [string, T][] => {
    const value = slots(of)[key]
    return value instanceof (kind as new () => T) ? [[key, value]] : []
  })
}

/** Gives the modules of a list the keys 0, 1, ... in the order of `next`. */
function renumber(of: Module, before: readonly string[], next: readonly Module[]): void {
  for (const key of before) delete slots(of)[key]
  next.forEach((module, i) => {
    of.registerModule(String(i), module)
  })
}

/** What all containers of modules share. */
abstract class Container<M extends Module> extends Module {
  readonly [keepsKeys] = true

  /** The number of modules. */
  override get length(): number {
    return this.namesOf().length
  }

  protected namesOf(): string[] {
    return held(this, Module).map(([key]) => key)
  }

  /** The module at a position; negative ones count from the end. Throws IndexError if there is none. */
  at(index: number): M {
    const names = this.namesOf()
    return slots(this)[names[wrapped(index, names.length)]] as M
  }

  *[Symbol.iterator](): Generator<M, void> {
    for (const key of this.namesOf()) yield slots(this)[key] as M
  }

  /** Adds a module at the end; answers this. */
  append(module: M): this {
    this.registerModule(String(this.length), module)
    return this
  }

  /** Adds modules at the end; answers this. */
  extend(modules: Iterable<M>): this {
    for (const module of [...modules]) this.append(module)
    return this
  }

  /** Adds a module before position `index`; keys become 0, 1, ... */
  insert(index: number, module: M): this {
    const list = [...this]
    list.splice(index, 0, module)
    renumber(this, this.namesOf(), list)
    return this
  }

  /** Removes the module at `index` (the last one by default) and answers it. */
  pop(index = -1): M {
    const names = this.namesOf()
    const at = wrapped(index, names.length)
    const list = [...this]
    const [removed] = list.splice(at, 1)
    if (names.every((name, i) => name === String(i))) renumber(this, names, list)
    else delete slots(this)[names[at]]
    return removed
  }
}

type InputsOf<L extends readonly Module[]> = L extends readonly [infer First extends Module, ...unknown[]]
  ? Parameters<First['forward']>
  : [input: Tensor]
type OutputOf<L extends readonly Module[]> = L extends readonly [...unknown[], infer Last extends Module]
  ? ReturnType<Last['forward']>
  : Tensor
type Numbers<L> =
  Exclude<keyof L, keyof (readonly unknown[])> extends infer K
    ? K extends `${infer N extends number}`
      ? N
      : never
    : never

/**
 * Modules one after another: each gets what the one before answers. Made of modules in order, or of an object of them,
 * whose keys then name them. `seq.at(0)` and `seq[0]` are the first.
 */
export class Sequential<L extends readonly Module[] = Module[]> extends Container<Module> {
  readonly [index: number]: L[number]

  constructor(...modules: L)
  constructor(modules: Readonly<Record<string, Module>>)
  constructor(...modules: L | [Readonly<Record<string, Module>>]) {
    super()
    const [first] = modules
    if (modules.length === 1 && first !== undefined && typeof first !== 'function') {
      for (const [name, module] of Object.entries(first as Readonly<Record<string, Module>>))
        this.registerModule(name, module)
    } else {
      modules.forEach((module, i) => {
        this.registerModule(String(i), module as Module)
      })
    }
  }

  override at<I extends Numbers<L>>(index: I): L[I]
  override at(index: number): L[number]
  override at(index: number): L[number] {
    return super.at(index)
  }

  forward(...inputs: InputsOf<L>): OutputOf<L> {
    let value: unknown = inputs[0]
    for (const module of this) value = (module as (input: unknown) => unknown)(value)
    return value as OutputOf<L>
  }
}

/** A list of modules, whose parameters are found; it has no forward. `list.at(0)` and `list[0]` are the first. */
export class ModuleList<M extends Module = Module> extends Container<M> {
  readonly [index: number]: M

  constructor(modules: Iterable<M> = []) {
    super()
    this.extend(modules)
  }

  forward(): never {
    throw new NotImplementedError(`Module [${this.constructor.name}] is missing the required "forward" function`)
  }

  override toString(): string {
    return formatModuleList(
      this.constructor.name,
      [...this].map((m) => String(m)),
    )
  }
}

/** Modules by name, whose parameters are found; it has no forward. */
export class ModuleDict<M extends Module = Module> extends Module {
  readonly [keepsKeys] = true

  constructor(modules: Readonly<Record<string, M>> | Iterable<readonly [string, M]> = {}) {
    super()
    this.update(modules)
  }

  forward(): never {
    throw new NotImplementedError(`Module [${this.constructor.name}] is missing the required "forward" function`)
  }

  /** Adds modules, or replaces those of the same names. */
  update(modules: Readonly<Record<string, M>> | Iterable<readonly [string, M]>): this {
    const entries =
      Symbol.iterator in modules ? [...(modules as Iterable<readonly [string, M]>)] : Object.entries(modules)
    for (const [name, module] of entries) this.registerModule(name, module)
    return this
  }

  /** The number of modules. */
  override get length(): number {
    return this.keys().length
  }

  /** The module called `name`. Throws IndexError if there is none. */
  get(name: string): M {
    if (!this.has(name))
      throw new IndexError(`there is no module '${name}'; there are ${this.keys().join(', ') || 'none'}`)
    return slots(this)[name] as M
  }

  set(name: string, module: M): this {
    this.registerModule(name, module)
    return this
  }

  has(name: string): boolean {
    return slots(this)[name] instanceof Module && Object.hasOwn(this, name)
  }

  /** Removes a module and answers it. */
  pop(name: string): M {
    const module = this.get(name)
    delete slots(this)[name]
    return module
  }

  keys(): string[] {
    return held(this, Module).map(([key]) => key)
  }

  values(): M[] {
    return held(this, Module).map(([, module]) => module as M)
  }

  items(): [string, M][] {
    return held(this, Module) as [string, M][]
  }

  [Symbol.iterator](): Iterator<string> {
    return this.keys()[Symbol.iterator]()
  }
}

function asParameter(x: Tensor): Parameter {
  return x instanceof Parameter ? x : new Parameter(x)
}

/** The lines of parameters; PyTorch names the dtype in a list and the tensor's type in a dict. */
function printed(of: Module, typeOf: (x: Parameter) => string): string {
  const lines = held(of, Parameter).map(
    ([key, p]) => `  (${key}): Parameter containing: [torch.${typeOf(p)} of size ${p.sizes.join('x')}]`,
  )
  return formatModule(of.constructor.name, lines.join('\n'), [])
}

/** A list of parameters that a module finds; plain tensors become parameters. */
export class ParameterList extends Module {
  readonly [index: number]: Parameter

  constructor(values: Iterable<Tensor> = []) {
    super()
    this.extend(values)
  }

  forward(): never {
    throw new NotImplementedError(`Module [${this.constructor.name}] is missing the required "forward" function`)
  }

  override get length(): number {
    return held(this, Parameter).length
  }

  at(index: number): Parameter {
    return slots(this)[wrapped(index, this.length)] as Parameter
  }

  append(value: Tensor): this {
    this.registerParameter(String(this.length), asParameter(value))
    return this
  }

  extend(values: Iterable<Tensor>): this {
    for (const value of [...values]) this.append(value)
    return this
  }

  *[Symbol.iterator](): Generator<Parameter, void> {
    for (const [, p] of held(this, Parameter)) yield p
  }

  override toString(): string {
    return printed(this, (p) => p.dtype.name)
  }
}

/** Parameters by name; plain tensors become parameters. */
export class ParameterDict extends Module {
  readonly [keepsKeys] = true

  constructor(values: Readonly<Record<string, Tensor>> = {}) {
    super()
    for (const [name, value] of Object.entries(values)) this.set(name, value)
  }

  forward(): never {
    throw new NotImplementedError(`Module [${this.constructor.name}] is missing the required "forward" function`)
  }

  override get length(): number {
    return this.keys().length
  }

  get(name: string): Parameter {
    if (!this.has(name))
      throw new IndexError(`there is no parameter '${name}'; there are ${this.keys().join(', ') || 'none'}`)
    return slots(this)[name] as Parameter
  }

  set(name: string, value: Tensor): this {
    this.registerParameter(name, asParameter(value))
    return this
  }

  has(name: string): boolean {
    return slots(this)[name] instanceof Parameter
  }

  keys(): string[] {
    return held(this, Parameter).map(([key]) => key)
  }

  values(): Parameter[] {
    return held(this, Parameter).map(([, p]) => p)
  }

  items(): [string, Parameter][] {
    return held(this, Parameter)
  }

  [Symbol.iterator](): Iterator<string> {
    return this.keys()[Symbol.iterator]()
  }

  override toString(): string {
    return printed(this, (p) => `${p.dtype.title}Tensor`)
  }
}
