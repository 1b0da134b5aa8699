// Fourier transforms on WebAssembly against the plain ones of the interpreter, for lengths of every kind, rows and columns,
// both directions, real and complex.
import { describe, expect, test, vi } from 'vitest'
import type { FourierArgs } from '../src/backend/device.ts'
import { memory } from '../src/backend/memory.ts'
import { detect } from '../src/backend/wasm/features.ts'
import { createFourier } from '../src/backend/wasm/fourier.ts'
import { transform } from '../src/ops/fftcore.ts'

vi.setConfig({ testTimeout: 30_000 })

const host = detect()
const ROOM = 4 * 1024 * 1024
const [from, to] = [memory.alloc(ROOM), memory.alloc(ROOM)]
const LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 20, 24, 30, 32, 49, 60, 61, 64, 67, 77, 96, 100, 134, 201, 268, 500, 509, 1000, 1018, 1024, 2053, 4106] // biome-ignore format: a table

/** The largest difference from the plain transform in float64, over the root mean square of the result. */
function error(
  run: (args: FourierArgs) => void,
  size: 4 | 8,
  n: number,
  outer: number,
  inner: number,
  inverse: boolean,
  real: 'source' | 'result' | null,
): number {
  const half = Math.floor(n / 2) + 1
  const before = real === 'result' ? half : n
  const after = real === 'source' ? half : n
  const [reads, writes] = [before * (real === 'source' ? 1 : 2), after * (real === 'result' ? 1 : 2)].map(
    (c) => c * outer * inner,
  )
  const make = size === 4 ? Float32Array : Float64Array
  const { buffer } = memory.views
  const x = new make(buffer as ArrayBuffer, from, reads)
  for (let i = 0; i < reads; i++) x[i] = Math.sin(i * i * 0.37 + i) + Math.cos(i)
  new make(buffer as ArrayBuffer, to, writes + 16).fill(7)
  const job = { outer, inner, n, before, after, inverse, scale: 0.5, real }
  const right = new Float64Array(writes)
  transform(Float64Array.from(x), right, job)
  run({ ...job, from, to, size })
  const out = new make(memory.views.buffer as ArrayBuffer, to, writes + 16)
  // Nothing is written beyond the end.
  expect(out.subarray(writes).every((v) => v === 7)).toBe(true)
  let [worst, squares] = [0, 0]
  for (let i = 0; i < writes; i++) {
    worst = Math.max(worst, Math.abs(out[i] - right[i]))
    squares += right[i] * right[i]
  }
  return worst / Math.sqrt(squares / writes)
}

describe.each([
  ['host', createFourier(host)],
  ['no fused multiply-adds', createFourier({ ...host, relaxed: false })],
] as const)('%s', (_name, run) => {
  test.each(LENGTHS)('length %i', (n) => {
    const large = n > 1024
    for (const [outer, inner] of large
      ? [[2, 1]]
      : [
          [1, 1],
          [2, 1],
          [5, 1],
          [1, 2],
          [2, 7],
          [1, 33],
        ]) {
      // biome-ignore format: a table
      // Columns with large prime factors are made rows before.
      if (inner > 1 && [67, 134, 201, 268, 509, 1018].includes(n)) continue
      for (const inverse of [false, true]) {
        for (const real of [null, 'source', 'result'] as const) {
          expect(error(run, 8, n, outer, inner, inverse, real), `${outer} ${inner} ${inverse} ${real}`).toBeLessThan(
            1e-13,
          )
          // PyTorch's own float32 is 5.6e-6 away at 4106, and less at the smaller lengths.
          expect(error(run, 4, n, outer, inner, inverse, real)).toBeLessThan(1e-5)
        }
      }
    }
  })
})
