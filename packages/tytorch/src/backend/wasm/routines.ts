// The routines of the WebAssembly device; masks are compiled when one is first used.
import type { Routines } from '../routines.ts'
import { lookups } from './bins.ts'
import { createMasks } from './masks.ts'
import { groups, order, rank } from './order.ts'
import { put } from './puts.ts'
import { rescale, scan } from './scans.ts'

let made: ReturnType<typeof createMasks> | null = null

function masks(): ReturnType<typeof createMasks> {
  made ??= createMasks()
  return made
}

/** Them all. */
export const routines: Routines = {
  ...lookups,
  order,
  rank,
  groups,
  scan,
  rescale,
  put,
  count: (mask, n) => masks().count(mask, n),
  coordinates: (...args) => masks().coordinates(...args),
  compress: (...args) => masks().compress(...args),
  spread: (...args) => masks().spread(...args),
}
