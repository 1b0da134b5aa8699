// What torch.compile sees of eager work while it traces a function. Outside of traces `tracer` is null, and all of this
// costs one comparison; library code that computes numbers, changes counters or makes state says so here.
import type { Scalar } from '../backend/device.ts'
import type { Storage } from './storage.ts'
import type { Tensor } from './tensor.ts'

/** A trace in progress. */
export interface Tracer {
  /** A storage was made. */
  allocated(storage: Storage): void
  /** A storage is given back; the trace does that later. */
  released(storage: Storage): void
  /** A tensor's address is read, to be an operand. */
  touched(x: Tensor): void
  /** A value is about to be read: throws if user code asks, gives the trace up if the library does. */
  read(x: Tensor, how: string): void
  /** What follows depends on values: the trace is given up, and the call goes on eagerly. */
  untraceable(what: string): void
  /** Asks `source` now and at each later call, and runs `launch` with its numbers. */
  live(source: () => readonly Scalar[], launch: (numbers: readonly Scalar[]) => void): void
  /** The trace holds for calls at which `value` answers the same. */
  guard(value: () => unknown): void
  /** Runs `fn` as if before the trace. */
  outside<T>(fn: () => T): T
  /** The gradient of a leaf is read or added to; or forgotten whatever it was. */
  gradUsed(leaf: Tensor): void
  gradCleared(leaf: Tensor): void
  /** A backward pass without retainGraph went through the graphs of `roots`. */
  walked(roots: readonly Tensor[]): void
  /** A module is called. */
  module(module: object): void
}

/** Under this key a compiled module answers the module that it stands for. */
export const original = Symbol('original')

/** The trace in progress, or null. */
export let tracer: Tracer | null = null

/** Starts or ends a trace; answers the one before. */
export function setTracer(next: Tracer | null): Tracer | null {
  const before = tracer
  tracer = next
  return before
}

const nothing: readonly Scalar[] = []

/** Does what is no tensor work but part of every step, such as counting it: at each call of a compiled function, too. */
export function everyCall(fn: () => void): void {
  if (tracer === null) fn()
  else {
    tracer.live(
      () => {
        fn()
        return nothing
      },
      () => {},
    )
  }
}

/** Makes state that outlives a step: once, also where the step is compiled. */
export function once<T>(fn: () => T): T {
  return tracer === null ? fn() : tracer.outside(fn)
}
