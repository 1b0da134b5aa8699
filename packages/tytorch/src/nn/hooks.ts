// Hooks around a module's forward and backward, and the handles that take them off.

import { recordAll, requiresGrad } from '../tensor/node.ts'
import { openArena } from '../tensor/storage.ts'
import { alias, Tensor } from '../tensor/tensor.ts'
import type { Module } from './module.ts'

/** Called before forward with its arguments; an array it returns replaces them, any other value becomes the one argument. */
export type ForwardPreHook<M extends Module> = (module: M, args: Parameters<M['forward']>) => unknown
/** Called after forward; what it returns, if not undefined, replaces the output. */
export type ForwardHook<M extends Module> = (
  module: M,
  args: Parameters<M['forward']>,
  output: ReturnType<M['forward']>,
) => unknown
/** Called with the gradients of a module's inputs and outputs; an array it returns replaces those of the inputs. */
export type BackwardHook<M> = (
  module: M,
  gradInput: (Tensor | null)[],
  gradOutput: (Tensor | null)[],
) => (Tensor | null)[] | undefined

/** Answers a hook that can be taken off again. */
export class RemovableHandle {
  readonly #remove: () => void

  constructor(remove: () => void) {
    this.#remove = remove
  }

  remove(): void {
    this.#remove()
  }

  [Symbol.dispose](): void {
    this.#remove()
  }
}

/** Changes a copy of a state dict before it is loaded; keys of `module` start with `prefix`. */
export type LoadHook = (module: Module, stateDict: Record<string, Tensor>, prefix: string) => void

/** The hooks of one module. */
export class Hooks {
  readonly before: ForwardPreHook<Module>[] = []
  readonly after: ForwardHook<Module>[] = []
  readonly backward: BackwardHook<Module>[] = []

  /** Adds `hook` to `list`, at its front if asked. */
  static add<H>(list: H[], hook: H, prepend: boolean): RemovableHandle {
    if (prepend) list.unshift(hook)
    else list.push(hook)
    return new RemovableHandle(() => {
      const at = list.indexOf(hook)
      if (at >= 0) list.splice(at, 1)
    })
  }

  /** Calls `module`'s forward with all hooks around it. */
  run(module: Module, given: unknown[]): unknown {
    let args = given
    for (const hook of [...this.before]) {
      const replaced = hook(module, args)
      if (replaced !== undefined) args = Array.isArray(replaced) ? replaced : [replaced]
    }
    const watch = this.backward.length > 0 ? new BackwardWatch(module, [...this.backward]) : null
    if (watch) args = watch.inputs(args)
    let output = module.forward(...args) as unknown
    for (const hook of [...this.after]) {
      const replaced = hook(module, args, output)
      if (replaced !== undefined) output = replaced
    }
    return watch ? watch.outputs(output) : output
  }
}

/** Identity operations at a module's inputs and outputs that see its gradients pass. */
class BackwardWatch {
  private readonly module: Module
  private readonly hooks: readonly BackwardHook<Module>[]
  private gradOutput: (Tensor | null)[] = []
  private inputCount = 0
  private watchesInputs = false

  constructor(module: Module, hooks: readonly BackwardHook<Module>[]) {
    this.module = module
    this.hooks = hooks
  }

  inputs(args: unknown[]): unknown[] {
    const tensors = args.filter((a) => a instanceof Tensor)
    this.inputCount = args.length
    if (!tensors.some(requiresGrad)) return args
    this.watchesInputs = true
    const passed = identity(tensors, (grads) => {
      const places = args.map((a) => (a instanceof Tensor ? (grads[tensors.indexOf(a)] ?? null) : null))
      const replaced = this.call(places)
      return tensors.map((t) => replaced[args.indexOf(t)] ?? null)
    })
    return args.map((a) => (a instanceof Tensor ? passed[tensors.indexOf(a)] : a))
  }

  outputs(output: unknown): unknown {
    const list = Array.isArray(output) ? output : [output]
    const tensors = list.filter((a) => a instanceof Tensor)
    const passed = identity(tensors, (grads) => {
      this.gradOutput = list.map((a) => (a instanceof Tensor ? (grads[tensors.indexOf(a)] ?? null) : null))
      if (!this.watchesInputs) this.call(new Array<Tensor | null>(this.inputCount).fill(null))
      return grads
    })
    const swapped = list.map((a) => (a instanceof Tensor ? passed[tensors.indexOf(a)] : a))
    return Array.isArray(output) ? swapped : swapped[0]
  }

  /** Runs user code, which may keep whatever it sees or makes. */
  private call(gradInput: (Tensor | null)[]): (Tensor | null)[] {
    for (const g of [...gradInput, ...this.gradOutput]) if (g) g.storage.holds = Number.POSITIVE_INFINITY
    const arena = openArena(null)
    try {
      let current = gradInput
      for (const hook of this.hooks) current = hook(this.module, current, this.gradOutput) ?? current
      return current
    } finally {
      openArena(arena)
    }
  }
}

function identity(
  tensors: readonly Tensor[],
  backward: (grads: (Tensor | null)[]) => readonly (Tensor | null)[],
): Tensor[] {
  const outs = tensors.map((t) => alias(t, t.sizes, t.strides, t.offset))
  recordAll(outs, 'BackwardHookFunctionBackward', tensors, [], (grads) => [...backward([...grads])])
  return outs
}
