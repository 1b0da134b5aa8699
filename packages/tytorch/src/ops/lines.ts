// Matrices between tensors and the rows that decompositions work on: loading them scaled, transposed or made symmetric, and
// storing rows in another order.
import { type DType, float64 } from '../base/dtype.ts'
import type { Floats } from './matrices.ts'
import type { Lines } from './turning.ts'

/** Half the distance from 1 to the next number: below it, what is off the diagonal counts as zero. */
export const roundingOf = (dtype: DType): number => (dtype === float64 ? 2 ** -53 : 2 ** -24)

/** A power of two near 1 / size, which scales without rounding, so that squares neither overflow nor vanish. */
export const scaleFor = (size: number): number =>
  size > 0 && (size < 2 ** -100 || size > 2 ** 100) ? 2 ** Math.min(1000, -Math.floor(Math.log2(size))) : 1

/** The largest size of an element of `count` from `start` on; NaN or infinity if there is one. */
export function largest(x: Floats, start: number, count: number): number {
  let most = 0
  for (let i = start; i < start + count; i++) {
    const v = Math.abs(x[i])
    if (!(v <= most)) most = v
    if (Number.isNaN(v)) return v
  }
  return most
}

/** Copies a rows x columns matrix at `start`, scaled. */
export function loadLines(to: Lines, from: Floats, start: number, rows: number, columns: number, scale: number): void {
  to.data.fill(0)
  for (let r = 0; r < rows; r++) {
    const [source, target] = [start + r * columns, r * to.line]
    for (let c = 0; c < columns; c++) to.data[target + c] = from[source + c] * scale
  }
}

/** Rows of a block in which a matrix is transposed: what they touch stays in the cache. */
const BLOCK = 8

/** Copies the transpose of a rows x columns matrix at `start`, scaled. */
export function loadTurned(to: Lines, from: Floats, start: number, rows: number, columns: number, scale: number): void {
  to.data.fill(0)
  for (let top = 0; top < rows; top += BLOCK) {
    const end = Math.min(top + BLOCK, rows)
    for (let c = 0; c < columns; c++) {
      for (let r = top; r < end; r++) to.data[c * to.line + r] = from[start + r * columns + c] * scale
    }
  }
}

/** Copies one triangle of an n x n matrix at `start` to both; the upper one turned round, as LAPACK begins at its end. */
export function loadSymmetric(to: Lines, from: Floats, start: number, n: number, upper: boolean, scale: number): void {
  to.data.fill(0)
  for (let r = 0; r < n; r++) {
    const source = start + (upper ? n - 1 - r : r) * n
    for (let c = 0; c <= r; c++) {
      const value = from[source + (upper ? n - 1 - c : c)] * scale
      to.data[r * to.line + c] = value
      to.data[c * to.line + r] = value
    }
  }
}

/** Turns a matrix of n x n round by 180 degrees. */
export function turnRound({ data, line }: Lines, n: number): void {
  for (let r = 0; r < n; r++) data.subarray(r * line, r * line + n).reverse()
  for (let r = 0; r < n - 1 - r; r++) {
    const kept = data.slice(r * line, r * line + n)
    data.copyWithin(r * line, (n - 1 - r) * line, (n - 1 - r) * line + n)
    data.set(kept, (n - 1 - r) * line)
  }
}

/** The largest size of an element of one triangle; NaN or infinity if there is one. */
export function largestIn(from: Floats, start: number, n: number, upper: boolean): number {
  let most = 0
  for (let r = 0; r < n; r++) {
    const size = largest(from, start + r * n + (upper ? r : 0), upper ? n - r : r + 1)
    if (!(size <= most)) most = size
    if (Number.isNaN(size)) return size
  }
  return most
}

/** The order that sorts the first n values. */
export function ordered(d: Float64Array, n: number, descending: boolean): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  return descending ? order.sort((i, j) => d[j] - d[i] || i - j) : order.sort((i, j) => d[i] - d[j] || i - j)
}

/** Line i of `count` of n elements, of those in `lines`: number order[i] as it is, or negated where `flip` says so. */
interface Picked {
  readonly lines: Lines
  readonly order: Uint32Array
  readonly flip: Uint8Array | null
}

const signOf = ({ flip }: Picked, i: number): number => (flip !== null && i < flip.length && flip[i] !== 0 ? -1 : 1)
const lineIn = ({ lines, order }: Picked, i: number): number => (i < order.length ? order[i] : i) * lines.line

/** Stores the picked lines one behind the other. */
export function storeLines(picked: Picked, to: Floats, start: number, count: number, n: number): void {
  for (let i = 0; i < count; i++) {
    const [from, sign] = [lineIn(picked, i), signOf(picked, i)]
    for (let j = 0; j < n; j++) to[start + i * n + j] = sign * picked.lines.data[from + j]
  }
}

/** Stores the picked lines as the columns of an n x count matrix. */
export function storeTurned(picked: Picked, to: Floats, start: number, count: number, n: number): void {
  const { data } = picked.lines
  for (let first = 0; first < count; first += BLOCK) {
    const end = Math.min(first + BLOCK, count)
    for (let top = 0; top < n; top += BLOCK) {
      const bottom = Math.min(top + BLOCK, n)
      for (let i = first; i < end; i++) {
        const [from, sign] = [lineIn(picked, i), signOf(picked, i)]
        for (let j = top; j < bottom; j++) to[start + j * count + i] = sign * data[from + j]
      }
    }
  }
}
