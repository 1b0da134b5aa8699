// The passes and rotations of `Turns`, plainly.
import { memory } from '../memory.ts'
import { BLOCK, CHUNK, type Passes, reflectBlock, type Turns } from '../turns.ts'

/** a[r] -= the sum over the multiples of their x[r] u; indices are of doubles. */
function subtract(r: number, width: number, row: number, multiples: readonly (readonly [number, number])[]): void {
  const { f64 } = memory.views
  for (const [x, u] of multiples) {
    const factor = f64[x + r]
    for (let j = 0; j < width; j++) f64[row + j] -= factor * f64[u + j]
  }
}

function dots(
  rows: number,
  width: number,
  a: number,
  stride: number,
  multiples: readonly (readonly [number, number])[],
  z: number,
  w: number,
): void {
  const { f64 } = memory.views
  for (let r = 0; r < rows; r++) {
    const row = a + r * stride
    subtract(r, width, row, multiples)
    let sum = 0
    for (let j = 0; j < width; j++) sum += f64[row + j] * f64[w + j]
    f64[z + r] = sum
  }
}

const passes: Passes = {
  subtractTwoDot: (rows, width, a, stride, x, u, y, v, z, w) =>
    dots(rows, width, a / 8, stride / 8, [[x / 8, u / 8], [y / 8, v / 8]], z / 8, w / 8), // biome-ignore format: one call
  subtractDot: (rows, width, a, stride, x, u, z, w) =>
    dots(rows, width, a / 8, stride / 8, [[x / 8, u / 8]], z / 8, w / 8),
  subtractSum(rows, width, a, stride, x, u, z, w) {
    const { f64 } = memory.views
    for (let r = 0; r < rows; r++) {
      const row = (a + r * stride) / 8
      subtract(r, width, row, [[x / 8, u / 8]])
      const factor = f64[z / 8 + r]
      for (let j = 0; j < width; j++) f64[w / 8 + j] += factor * f64[row + j]
    }
  },
}

/** Passes and rotations in TypeScript. */
export const plainTurns: Turns = {
  ...passes,
  reflectThree(width, a, stride, tau, v2, v3) {
    const { f64 } = memory.views
    const [p, q, r] = [a / 8, (a + stride) / 8, (a + 2 * stride) / 8]
    for (let j = 0; j < width; j++) {
      const sum = (f64[p + j] + v2 * f64[q + j] + v3 * f64[r + j]) * tau
      f64[p + j] -= sum
      f64[q + j] -= sum * v2
      f64[r + j] -= sum * v3
    }
  },
  reflectRows(r) {
    for (let first = 0; first < r.rows; first += BLOCK) reflectBlock(passes, r, first)
  },
  rotate(list, end, a, chunks) {
    const { f64 } = memory.views
    for (let at = list / 8; at < end / 8; ) {
      let p = (a + f64[at]) / 8
      const step = f64[at + 2] / 8
      const stop = at + 3 + 2 * f64[at + 1]
      for (at += 3; at < stop; at += 2, p += step) {
        const [c, s] = [f64[at], f64[at + 1]]
        for (let j = 0; j < chunks * CHUNK; j++) {
          const [x, y] = [f64[p + j], f64[p + step + j]]
          f64[p + j] = c * x + s * y
          f64[p + step + j] = c * y - s * x
        }
      }
    }
  },
}
