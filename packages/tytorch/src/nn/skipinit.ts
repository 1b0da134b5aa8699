// Modules whose first weights don't matter, for what they draw would only change the numbers that others draw later.
import { getRngState, setRngState } from '../ops/random.ts'
import type { Module } from './module.ts'

/** Makes a module and leaves the random generator as it was: for weights that are loaded or set next. */
export function skipInit<A extends unknown[], M extends Module>(Class: new (...args: A) => M, ...args: A): M {
  const before = getRngState()
  try {
    return new Class(...args)
  } finally {
    setRngState(before)
  }
}
