// The autograd graph from a tensor's side: backward, gradients, hooks, and what requires a gradient.
import { RuntimeError } from '../base/errors.ts'
import { type BackwardOptions, runBackward } from '../tensor/engine.ts'
import { historyOf, leafOf, requiresGrad } from '../tensor/node.ts'
import type { GradHook, Tensor } from '../tensor/tensor.ts'
import { requireGrad } from './create.ts'

/** Answers a hook that can be taken off again. */
export interface HookHandle {
  remove(): void
}

function asList(x: Tensor | readonly Tensor[]): readonly Tensor[] {
  return Array.isArray(x) ? (x as readonly Tensor[]) : [x as Tensor]
}

/** `autograd.backward`: from several tensors at once, into the leaves' `grad`. */
export function backwardAll(
  tensors: Tensor | readonly Tensor[],
  gradients?: Tensor | readonly (Tensor | null)[] | null,
  options: BackwardOptions = {},
): void {
  const roots = asList(tensors)
  const given = gradients ? (Array.isArray(gradients) ? gradients : [gradients]) : []
  const createGraph = options.createGraph ?? false
  const retainGraph = options.retainGraph ?? createGraph
  if (!options.inputs) {
    runBackward(roots, given, { retainGraph, createGraph, inputs: null })
    return
  }
  const inputs = asList(options.inputs)
  if (inputs.length === 0) throw new RuntimeError('`inputs` argument to `backward()` cannot be empty.')
  const found = runBackward(roots, given, { retainGraph, createGraph, inputs })
  inputs.forEach((x, i) => {
    const g = found[i]
    const leaf = leafOf(x)
    if (g) leaf.grad = leaf.grad ? leaf.grad.add(g) : g
  })
}

/**
 * Gradients of a tensor with respect to its leaves, added into their `grad`. A one-element tensor starts from 1,
 * any other needs `gradient`. Throws RuntimeError without a graph, or a second time without `retainGraph`.
 */
export function backward(
  x: Tensor,
  gradient?: Tensor | BackwardOptions | null,
  options: BackwardOptions & { gradient?: Tensor } = {},
): void {
  if (gradient && !('storage' in gradient)) {
    const { gradient: named, ...rest } = gradient as BackwardOptions & { gradient?: Tensor }
    backwardAll(x, named ?? null, rest)
  } else backwardAll(x, (gradient as Tensor | null | undefined) ?? options.gradient ?? null, options)
}

export interface GradOptions {
  readonly gradOutputs?: Tensor | readonly (Tensor | null)[] | null
  readonly retainGraph?: boolean
  readonly createGraph?: boolean
  /** Answers null for inputs that the outputs don't depend on, instead of throwing. */
  readonly allowUnused?: boolean
}

/** `autograd.grad`: the gradients of `outputs` with respect to `inputs`, without touching any `grad`. */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): Tensor[] {
  const { gradOutputs, createGraph = false, retainGraph = createGraph, allowUnused = false } = options
  const given = gradOutputs ? (Array.isArray(gradOutputs) ? gradOutputs : [gradOutputs]) : []
  const found = runBackward(asList(outputs), given, {
    retainGraph,
    createGraph,
    inputs: asList(inputs),
  })
  if (!allowUnused && found.includes(null)) {
    throw new RuntimeError(
      'One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True (allowUnused: true) if this is the desired behavior.',
    )
  }
  return found as Tensor[]
}

/** Sets whether a leaf requires a gradient; answers the tensor. */
export function requiresGrad_(x: Tensor, value = true): Tensor {
  return requireGrad(x, value)
}

/** Keeps the gradient of a tensor that is no leaf in its `grad` after backward. */
export function retainGrad(x: Tensor): void {
  if (!requiresGrad(x)) throw new RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
  const node = historyOf(x)
  if (x.node === null || node === null) return
  leafOf(x).retainsGrad = true
  node.retained ??= new Map()
  node.retained.set(x.nodeOutput, x)
}

/** Calls `hook` with the gradient of this tensor whenever it is computed; what the hook returns replaces it. */
export function registerHook(x: Tensor, hook: GradHook): HookHandle {
  const node = historyOf(x)
  if (!node) throw new RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
  const output = x.node === null ? 0 : x.nodeOutput
  node.hooks ??= new Map()
  const list = node.hooks.get(output) ?? []
  list.push(hook)
  node.hooks.set(output, list)
  return {
    remove() {
      const at = list.indexOf(hook)
      if (at >= 0) list.splice(at, 1)
    },
  }
}

/**
 * Calls `hook` with the leaf `x` each time backward has added into its gradient. Throws RuntimeError for a tensor that
 * requires no gradient or is no leaf.
 */
export function registerPostAccumulateGradHook(x: Tensor, hook: (x: Tensor) => void): HookHandle {
  if (!requiresGrad(x)) throw new RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
  if (!x.isLeaf) throw new RuntimeError('post accumulate grad hooks cannot be registered on non-leaf tensors')
  const leaf = leafOf(x)
  leaf.afterwards ??= []
  const list = leaf.afterwards
  list.push(hook)
  return {
    remove() {
      const at = list.indexOf(hook)
      if (at >= 0) list.splice(at, 1)
    },
  }
}
