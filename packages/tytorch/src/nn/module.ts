// Modules: classes whose instances are callable, and that find their parameters, buffers and children on their own
// properties, in order, at every walk.
import { bfloat16, DType, float16, float32, float64 } from '../base/dtype.ts'
import { NotImplementedError, ValueError } from '../base/errors.ts'
import { formatModule } from '../base/format.ts'
import { type Args, bind, parse } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { original, tracer } from '../tensor/tracer.ts'
import {
  type BackwardHook,
  type ForwardHook,
  type ForwardPreHook,
  Hooks,
  type LoadHook,
  type RemovableHandle,
} from './hooks.ts'
import { Buffer, changeData, forgetGrad, Parameter } from './parameter.ts'
import { type IncompatibleKeys, loadInto, type StateDict, snakeCase } from './state.ts'

const invoke = Symbol('invoke')

/** An object that can be called: the instance is a function whose prototype is the class. */
class Callable {
  constructor() {
    // biome-ignore lint/suspicious/noExplicitAny: the class gives the function its type
    const self: any = (...args: unknown[]) => self[invoke](args)
    // A module may have children of these names.
    delete self.name
    delete self.length
    // biome-ignore lint/correctness/noConstructorReturn: what makes an instance callable
    return Object.setPrototypeOf(self, new.target.prototype)
  }
}

/** Set in containers whose keys are the user's own words rather than property names. */
export const keepsKeys = Symbol('keepsKeys')

interface HookOptions {
  /** Runs it before the hooks that are there. */
  readonly prepend?: boolean
}

interface ToOptions {
  readonly dtype?: DType
  readonly device?: unknown
}

const loading = parse('state_dict, strict, assign')

export interface Module {
  // biome-ignore lint/style/useShorthandFunctionType: it merges with the class
  (...args: Parameters<this['forward']>): ReturnType<this['forward']>
}

/**
 * The base of every layer and network: extend it, assign parameters and other modules to properties, write `forward`,
 * and call the instance. Private `#fields` can't be seen from here, so they take no part in training.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: as above
export abstract class Module extends Callable {
  /** True while training; `Dropout` and its kin act only then. */
  training = true
  /** Names of buffers, and whether they belong to the state dict. */
  readonly #buffers = new Map<string, boolean>()
  #hooks: Hooks | null = null
  #loadHooks: LoadHook[] | null = null

  // biome-ignore lint/suspicious/noExplicitAny: every module has its own arguments
  abstract forward(...args: any[]): any

  /** Own properties that hold parameters (buffers, children), by property name. */
  #own(kind: 'parameter' | 'buffer' | 'child'): [string, unknown][] {
    const found: [string, unknown][] = []
    for (const name of Object.keys(this)) {
      const given = (this as unknown as Record<string, unknown>)[name]
      // A compiled child is walked as the module that it stands for.
      const value = given instanceof Module ? ((given as { [original]?: Module })[original] ?? given) : given
      const hit =
        kind === 'parameter'
          ? value instanceof Parameter
          : kind === 'child'
            ? value instanceof Module
            : value instanceof Buffer || (value instanceof Tensor && this.#buffers.has(name))
      if (hit) found.push([name, value])
    }
    return found
  }

  #key(name: string): string {
    return (this as { [keepsKeys]?: boolean })[keepsKeys] ? name : snakeCase(name)
  }

  [invoke](args: unknown[]): unknown {
    if (typeof this.forward !== 'function') {
      throw new NotImplementedError(`Module [${this.constructor.name}] is missing the required "forward" function`)
    }
    if (tracer !== null) tracer.module(this)
    return this.#hooks === null ? this.forward(...args) : this.#hooks.run(this, args)
  }

  /** [path, module] for this module (path '') and all below it, each once. */
  namedModules(prefix = ''): [string, Module][] {
    const seen = new Set<Module>()
    const found: [string, Module][] = []
    const walk = (module: Module, path: string): void => {
      if (seen.has(module)) return
      seen.add(module)
      found.push([path, module])
      for (const [name, child] of module.#own('child')) walk(child as Module, joined(path, module.#key(name)))
    }
    walk(this, prefix)
    return found
  }

  /** This module and all below it, each once. */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module)
  }

  /** [name, child] for the modules directly in this one, each once. */
  namedChildren(): [string, Module][] {
    const seen = new Set<Module>()
    const found: [string, Module][] = []
    for (const [name, child] of this.#own('child') as [string, Module][]) {
      if (!seen.has(child)) found.push([this.#key(name), child])
      seen.add(child)
    }
    return found
  }

  /** The modules directly in this one. */
  children(): Module[] {
    return this.namedChildren().map(([, child]) => child)
  }

  #members<T extends Tensor>(kind: 'parameter' | 'buffer', prefix: string, recurse: boolean): [string, T][] {
    const seen = new Set<unknown>()
    const found: [string, T][] = []
    for (const [path, module] of recurse ? this.namedModules(prefix) : [[prefix, this as Module] as const]) {
      for (const [name, value] of module.#own(kind)) {
        if (!seen.has(value)) found.push([joined(path, module.#key(name)), value as T])
        seen.add(value)
      }
    }
    return found
  }

  /** [path, parameter] of this module and, with `recurse`, of those below; a shared one comes once. */
  namedParameters(prefix = '', recurse = true): [string, Parameter][] {
    return this.#members('parameter', prefix, recurse)
  }

  /** The parameters, for an optimizer. */
  parameters(recurse = true): Parameter[] {
    return this.namedParameters('', recurse).map(([, p]) => p)
  }

  /** [path, buffer] of this module and, with `recurse`, of those below. */
  namedBuffers(prefix = '', recurse = true): [string, Tensor][] {
    return this.#members('buffer', prefix, recurse)
  }

  /** The buffers. */
  buffers(recurse = true): Tensor[] {
    return this.namedBuffers('', recurse).map(([, b]) => b)
  }

  #set(what: string, name: string, value: unknown): void {
    if (name.includes('.')) throw new TypeError(`${what} name can't contain ".", got: ${name}`)
    if (name === '') throw new TypeError(`${what} name can't be empty string ""`)
    if (name in this && !Object.hasOwn(this, name)) throw new TypeError(`attribute '${name}' already exists`)
    ;(this as unknown as Record<string, unknown>)[name] = value
  }

  /** Keeps a tensor as part of the module's state that is not learned; not in the state dict if not `persistent`. */
  registerBuffer(name: string, tensor: Tensor | null, persistent = true): void {
    if (tensor !== null && !(tensor instanceof Tensor)) {
      throw new TypeError(`cannot assign '${typeof tensor}' object to buffer '${name}' (torch Tensor or None required)`)
    }
    this.#set('buffer', name, tensor)
    this.#buffers.set(name, persistent)
  }

  /** As assigning the property `name`. */
  registerParameter(name: string, parameter: Parameter | null): void {
    if (parameter !== null && !(parameter instanceof Parameter)) {
      throw new TypeError(
        `cannot assign '${typeof parameter}' object to parameter '${name}' (torch.nn.Parameter or None required)`,
      )
    }
    this.#set('parameter', name, parameter)
  }

  /** As assigning the property `name`. */
  registerModule(name: string, module: Module | null): void {
    if (module !== null && !(module instanceof Module)) throw new TypeError(`${typeof module} is not a Module subclass`)
    this.#set('module', name, module)
  }

  /** As `registerModule`. */
  addModule(name: string, module: Module | null): void {
    this.registerModule(name, module)
  }

  /** The module at a path such as 'layer1.0.conv', in properties' or in state dict spelling. Throws if there is none. */
  getSubmodule(target: string): Module {
    let at: Module = this
    for (const part of target === '' ? [] : target.split('.')) {
      const found = at.#own('child').find(([name]) => name === part || at.#key(name) === part)
      if (!found) throw new TypeError(`${at.constructor.name} has no attribute \`${part}\``)
      at = found[1] as Module
    }
    return at
  }

  #member(kind: 'parameter' | 'buffer', target: string): Tensor {
    const dot = target.lastIndexOf('.')
    const owner = this.getSubmodule(target.slice(0, Math.max(dot, 0)))
    const last = target.slice(dot + 1)
    const found = owner.#own(kind).find(([name]) => name === last || owner.#key(name) === last)
    if (!found) throw new TypeError(`${owner.constructor.name} has no ${kind} \`${last}\``)
    return found[1] as Tensor
  }

  /** The parameter at a path such as 'fc.weight'. Throws if there is none. */
  getParameter(target: string): Parameter {
    return this.#member('parameter', target) as Parameter
  }

  /** The buffer at a path. Throws if there is none. */
  getBuffer(target: string): Tensor {
    return this.#member('buffer', target)
  }

  /** Calls `fn` with every module below and then with this one; answers this. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn)
    fn(this)
    return this
  }

  /** Sets `training` here and below; answers this. */
  train(mode = true): this {
    if (typeof mode !== 'boolean') throw new ValueError('training mode is expected to be boolean')
    for (const module of this.modules()) module.training = mode
    return this
  }

  /** `train(false)`. */
  eval(): this {
    return this.train(false)
  }

  /** Sets whether the parameters require gradients; answers this. */
  requiresGrad_(requiresGrad = true): this {
    for (const p of this.parameters()) p.requiresGrad_(requiresGrad)
    return this
  }

  /** Forgets the gradients of all parameters, or with `setToNone` false sets them to zero. */
  zeroGrad(setToNone = true): void {
    for (const p of this.parameters()) forgetGrad(p, setToNone)
  }

  /** Converts floating point parameters and buffers, in place; answers this. There is one device, 'cpu'. */
  to(...args: (DType | string | Tensor | ToOptions | boolean)[]): this {
    const options = args.find((a) => typeof a === 'object' && !(a instanceof DType) && !(a instanceof Tensor)) as
      | ToOptions
      | undefined
    const named = args.find((a) => a instanceof DType || a instanceof Tensor) as DType | Tensor | undefined
    const dtype = options?.dtype ?? (named instanceof Tensor ? named.dtype : named)
    const device = options?.device ?? args.find((a) => typeof a === 'string')
    if (dtype && !dtype.isFloatingPoint) {
      throw new TypeError(`nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=${dtype}`)
    }
    for (const x of [...this.parameters(), ...this.buffers()]) {
      const wanted = dtype && x.dtype.isFloatingPoint ? dtype : x.dtype
      const options = device === undefined ? { dtype: wanted } : { dtype: wanted, device }
      changeData(x, (values) => values.to(options))
    }
    return this
  }

  /** `to('cpu')`. */
  cpu(): this {
    return this.to('cpu')
  }

  float(): this {
    return this.to(float32)
  }

  double(): this {
    return this.to(float64)
  }

  half(): this {
    return this.to(float16)
  }

  bfloat16(): this {
    return this.to(bfloat16)
  }

  #state(): Map<string, Tensor> {
    const found = new Map<string, Tensor>()
    const open = new Set<Module>()
    // Unlike in the other walks a shared tensor or module comes under each of its names.
    const walk = (module: Module, path: string): void => {
      if (open.has(module)) return
      open.add(module)
      for (const [name, p] of module.#own('parameter')) found.set(joined(path, module.#key(name)), p as Tensor)
      for (const [name, b] of module.#own('buffer')) {
        if (module.#buffers.get(name) ?? (b as Buffer).persistent)
          found.set(joined(path, module.#key(name)), b as Tensor)
      }
      for (const [name, child] of module.#own('child')) walk(child as Module, joined(path, module.#key(name)))
      open.delete(module)
    }
    walk(this, '')
    return found
  }

  /** Parameters and persistent buffers by PyTorch's keys, detached; they share memory with the module. */
  stateDict(): StateDict {
    return Object.fromEntries([...this.#state()].map(([key, x]) => [key, x.detach()]))
  }

  /**
   * Copies a state dict into this module. Throws RuntimeError for other shapes and, if `strict`, for missing and
   * unexpected keys; with `assign` the tensors given are taken over instead of copied.
   */
  loadStateDict(
    stateDict: StateDict,
    ...args: Args<[strict?: boolean, assign?: boolean], { strict?: boolean; assign?: boolean }>
  ): IncompatibleKeys {
    const [, strict = true, assign = false] = bind('loadStateDict', loading, [{}, ...args]) as [
      unknown,
      boolean?,
      boolean?,
    ]
    return loadInto(this.constructor.name, this.#state(), this.#prepared(stateDict), strict, assign)
  }

  /** A copy of `stateDict` that the hooks of this module and those inside have changed; itself without hooks. */
  #prepared(stateDict: StateDict): StateDict {
    let source = stateDict
    const walk = (module: Module, path: string): void => {
      for (const hook of module.#loadHooks ?? []) {
        if (source === stateDict) source = { ...stateDict }
        hook(module, source, path === '' ? '' : `${path}.`)
      }
      for (const [name, child] of module.#own('child')) walk(child as Module, joined(path, module.#key(name)))
    }
    if (typeof stateDict === 'object' && stateDict !== null) walk(this, '')
    return source
  }

  /**
   * Calls `hook(module, stateDict, prefix)` before a state dict is loaded, for it to change a copy of the dict; this
   * module's keys start with `prefix`.
   */
  registerLoadStateDictPreHook(hook: LoadHook): RemovableHandle {
    return Hooks.add((this.#loadHooks ??= []), hook, false)
  }

  #hooked(): Hooks {
    return (this.#hooks ??= new Hooks())
  }

  /** Calls `hook(module, args)` before each forward; what it returns replaces the arguments. */
  registerForwardPreHook(hook: ForwardPreHook<this>, options: HookOptions = {}): RemovableHandle {
    return Hooks.add(this.#hooked().before, hook as ForwardPreHook<Module>, options.prepend ?? false)
  }

  /** Calls `hook(module, args, output)` after each forward; what it returns replaces the output. */
  registerForwardHook(hook: ForwardHook<this>, options: HookOptions = {}): RemovableHandle {
    return Hooks.add(this.#hooked().after, hook as ForwardHook<Module>, options.prepend ?? false)
  }

  /** Calls `hook(module, gradInput, gradOutput)` when backward has passed this module. */
  registerFullBackwardHook(hook: BackwardHook<this>, options: HookOptions = {}): RemovableHandle {
    return Hooks.add(this.#hooked().backward, hook as BackwardHook<Module>, options.prepend ?? false)
  }

  /** What a module tells about itself when printed: `in_features=4, out_features=8, bias=True`. */
  extraRepr(): string {
    return ''
  }

  /** The module's tree, as PyTorch prints it. */
  override toString(): string {
    const children = this.#own('child').map(([name, child]) => [this.#key(name), String(child)] as const)
    return formatModule(this.constructor.name, this.extraRepr(), children)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
