// Giving memory back early, for those who want it: scope() frees what a function made and does not return, and
// `using` frees one tensor. Nobody has to: storages come back by themselves (storage.ts).
import { closeArena, openArena, release, type Storage, storageStats } from './storage.ts'
import { Tensor } from './tensor.ts'

/** Marks every tensor in a value (nested arrays, plain objects, iterables of tensors) as kept. */
function markKept(value: unknown, kept: Set<Storage>): void {
  if (value instanceof Tensor) {
    kept.add(value.storage)
    if (value.grad) kept.add(value.grad.storage)
  } else if (Array.isArray(value)) for (const v of value) markKept(v, kept)
  else if (value && typeof value === 'object') for (const v of Object.values(value)) markKept(v, kept)
}

/**
 * Runs `fn` and frees, when it returns, every tensor made inside that is not in its result, not kept by `keep`, and
 * not the gradient of a leaf. Using a freed tensor throws RuntimeError. Throws TypeError for an async `fn`.
 */
export function scope<T>(fn: () => T): T {
  const made: Storage[] = []
  const before = openArena(made)
  const kept = new Set<Storage>()
  try {
    const result = fn()
    if (typeof (result as { then?: unknown } | null)?.then === 'function') {
      throw new TypeError('scope: the callback is async, and other code would run inside the scope while it waits')
    }
    markKept(result, kept)
    return result
  } finally {
    for (const s of made) if (s.holds === 0 && !kept.has(s)) release(s)
    closeArena(made, before)
  }
}

/** Keeps a tensor that was made inside a `scope` alive after it; answers the tensor. */
export function keep(x: Tensor): Tensor {
  x.storage.holds = Number.POSITIVE_INFINITY
  return x
}

/** Bytes of tensors in use, and how many blocks wait for the garbage collector's word. */
export function memoryStats(): { readonly bytes: number; readonly watched: number } {
  return storageStats()
}
