// The steps of dense factorisations of this device, compiled when they are first asked for.
import type { Panels } from '../dense.ts'
import { memory } from '../memory.ts'
import { Module } from './assembler.ts'
import type { Host } from './features.ts'
import { emitCopies, emitFactors, emitSubstitute, WIDTHS } from './panels.ts'
import { realOf } from './real.ts'
import { emitReflections } from './reflections.ts'

type Numbers = (...x: number[]) => number

/** The steps for one dtype. */
export function createPanels(dtype: 'float32' | 'float64', host: Host): Panels {
  const real = realOf(dtype, host)
  const module = new Module(memory)
  emitCopies(module, real)
  emitFactors(module, real)
  emitSubstitute(module, real)
  emitReflections(module, real)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  const all = instance.exports as unknown as Record<string, Numbers> & Omit<Panels, 'lu' | 'cholesky'>
  const byWidth = (name: string): Numbers[] => {
    const list: Numbers[] = []
    for (const width of WIDTHS) list[width] = all[`${name}${width}`]
    return list
  }
  const lu = byWidth('lu')
  const cholesky = byWidth('cholesky')
  const { copy, transpose, clearLower, subtract, exchange, substitute, reflector, reflect } = all
  return {
    copy,
    transpose,
    clearLower,
    subtract,
    exchange,
    lu: (vectors, ...rest) => lu[vectors](...rest),
    substitute,
    cholesky: (vectors, ...rest) => cholesky[vectors](...rest),
    reflector,
    reflect,
  }
}
