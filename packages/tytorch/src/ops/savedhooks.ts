// torch.autograd.graph: nodes, edges, and hooks around the tensors that are saved for backward and around gradients.
import { RuntimeError } from '../base/errors.ts'
import { ModeGuard } from '../tensor/mode.ts'
import { historyOf, type Node, type SavedTensorHooks, setSavedTensorHooks } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type HookHandle, registerHook } from './graph.ts'

let refused: string | null = null

function withHooks<T>(hooks: SavedTensorHooks | null, fn: (() => T) | undefined): T | ModeGuard {
  if (hooks && refused !== null) throw new RuntimeError(refused)
  const before = setSavedTensorHooks(hooks)
  const guard = new ModeGuard(() => {
    setSavedTensorHooks(before)
  })
  if (!fn) return guard
  try {
    return fn()
  } finally {
    guard[Symbol.dispose]()
  }
}

/**
 * Keeps `pack(x)` instead of each tensor that operations save for backward, and gets it back by `unpack`, to store it
 * elsewhere or to compute it anew: `savedTensorsHooks(pack, unpack, fn)` or `using _ = savedTensorsHooks(pack, unpack)`.
 */
export function savedTensorsHooks<P>(pack: (x: Tensor) => P, unpack: (packed: P) => Tensor): ModeGuard
export function savedTensorsHooks<P, T>(pack: (x: Tensor) => P, unpack: (packed: P) => Tensor, fn: () => T): T
export function savedTensorsHooks<P, T>(
  pack: (x: Tensor) => P,
  unpack: (packed: P) => Tensor,
  fn?: () => T,
): T | ModeGuard {
  return withHooks({ pack, unpack: unpack as (packed: unknown) => Tensor }, fn)
}

/** PyTorch moves saved tensors from the accelerator to the CPU; here they are there already. */
export function saveOnCpu(pinMemory?: boolean): ModeGuard
export function saveOnCpu<T>(pinMemory: boolean, fn: () => T): T
export function saveOnCpu<T>(_pinMemory = false, fn?: () => T): T | ModeGuard {
  return withHooks({ pack: (x) => x, unpack: (x) => x as Tensor }, fn)
}

/** While it lasts, `savedTensorsHooks` throws RuntimeError with `message`. */
export function disableSavedTensorsHooks(message: string): ModeGuard
export function disableSavedTensorsHooks<T>(message: string, fn: () => T): T
export function disableSavedTensorsHooks<T>(message: string, fn?: () => T): T | ModeGuard {
  const before = refused
  refused = message
  const guard = new ModeGuard(() => {
    refused = before
  })
  if (!fn) return guard
  try {
    return fn()
  } finally {
    guard[Symbol.dispose]()
  }
}

/** While it lasts, tensors saved for backward may be changed in place: copies of them are kept. */
export function allowMutationOnSavedTensors(): ModeGuard
export function allowMutationOnSavedTensors<T>(fn: () => T): T
export function allowMutationOnSavedTensors<T>(fn?: () => T): T | ModeGuard {
  return withHooks(
    { pack: (x) => [x, x.clone()] as const, unpack: (packed) => restored(packed as [Tensor, Tensor]) },
    fn,
  )
}

/** The copy, with the history of the tensor that it was made of. */
function restored([x, copy]: readonly [Tensor, Tensor]): Tensor {
  copy.node = x.node
  copy.nodeOutput = x.nodeOutput
  copy.leaf = x.leaf
  return copy
}

/** The place in the graph that a tensor's gradient goes to: a node, and which of its outputs. */
export class GradientEdge {
  readonly node: Node
  readonly outputNr: number

  constructor(node: Node, outputNr: number) {
    this.node = node
    this.outputNr = outputNr
  }
}

/** The edge of a tensor. Throws RuntimeError if it requires no gradient. */
export function getGradientEdge(x: Tensor): GradientEdge {
  const node = historyOf(x)
  if (!node)
    throw new RuntimeError('It is not possible to get the gradient edge for a Tensor that does not require gradients')
  return new GradientEdge(node, x.node === null ? 0 : x.nodeOutput)
}

/**
 * Calls `fn` when the gradients of `tensors` are there: once a backward pass with all of them (null where there is
 * none), or with mode 'any' with the first.
 */
export function registerMultiGradHook(
  tensors: readonly Tensor[],
  fn: (grads: Tensor | readonly (Tensor | null)[]) => void,
  { mode = 'all' }: { readonly mode?: 'all' | 'any' } = {},
): HookHandle {
  let grads = new Array<Tensor | null>(tensors.length).fill(null)
  let seen = 0
  const handles = tensors.map((t, i) =>
    registerHook(t, (g) => {
      seen++
      grads[i] = g
      if (mode === 'any') {
        if (seen === 1) fn(g)
      } else if (seen === tensors.length) fn(grads)
      if (seen === tensors.length) {
        seen = 0
        grads = new Array<Tensor | null>(tensors.length).fill(null)
      }
    }),
  )
  return {
    remove() {
      for (const handle of handles) handle.remove()
    },
  }
}

/** Counts an in-place change that the library has not seen, of tensors whose memory was written to otherwise. */
export function incrementVersion(tensors: Tensor | Iterable<Tensor>): void {
  const list = 'storage' in tensors ? [tensors as Tensor] : [...(tensors as Iterable<Tensor>)]
  for (const t of list) t.storage.version++
}
