// Signs of eigenvectors and singular vectors as LAPACK's divide and conquer (stedc, bdsdc) leaves them: there a vector is the
// solution of a secular equation in the vectors of two halves, and its row between the halves is negative. So the sign
// follows from any way to find the vector, except for one that lies in a single small piece.
import type { Lines } from './turning.ts'

/** Pieces of so many rows are not divided further (LAPACK's SMLSIZ); QL or QR iterations give their vectors' signs. */
const SMALLEST = 25

/** A division: a row of the reduced matrix's basis, in which a vector's element must not be positive. */
export interface Division {
  /** The row as a vector of the full space. */
  readonly row: Float64Array
  /** Elements not larger than this are as good as zero: the vector lies in one of the pieces, which has its sign. */
  readonly least: number
}

/** Sizes of elements that rounding may have made. */
const ROUNDING = 2 ** -44

function copyRow({ data, line }: Lines, r: number, n: number): Float64Array {
  return data.slice(r * line, r * line + n)
}

/** Divisions of a tridiagonal matrix with diagonals d and e, whose basis is in the rows of `q`, the largest first. */
export function symmetricDivisions(q: Lines, n: number, d: Float64Array, e: Float64Array, epsilon: number): Division[] {
  let size = 0
  for (let i = 0; i < n; i++) size = Math.max(size, Math.abs(d[i]))
  const found: Division[] = []
  for (let level = [[0, n]]; level.length > 0; ) {
    const next: number[][] = []
    for (const [start, count] of level) {
      if (count <= SMALLEST) continue
      const half = Math.floor(count / 2)
      const middle = start + half
      const sign = e[middle - 1] < 0 ? -1 : 1
      const row = copyRow(q, middle - 1, n)
      const other = copyRow(q, middle, n)
      for (let j = 0; j < n; j++) row[j] += sign * other[j]
      const least = (8 * epsilon * size) / Math.max(Math.abs(e[middle - 1]), epsilon * size)
      found.push({ row, least: Math.max(least, ROUNDING) })
      next.push([start, half], [middle, count - half])
    }
    level = next
  }
  return found
}

/** Divisions of an upper bidiagonal matrix whose left basis is in the rows, of n elements, of `left`, the largest first. */
export function bidiagonalDivisions(left: Lines, rows: number, n: number, epsilon: number): Division[] {
  const found: Division[] = []
  for (let level = [[0, rows]]; level.length > 0; ) {
    const next: number[][] = []
    for (const [start, count] of level) {
      if (count <= SMALLEST) continue
      const half = Math.floor(count / 2)
      found.push({ row: copyRow(left, start + half, n), least: Math.max(8 * epsilon, ROUNDING) })
      next.push([start, half], [start + half + 1, count - half - 1])
    }
    level = next
  }
  return found
}

/** Turns the signs of the rows of `vectors`, and of those of `others` along with them, as the divisions ask. */
export function alignSigns(
  vectors: Lines,
  count: number,
  n: number,
  divisions: readonly Division[],
  others: Lines | null,
  across: number,
): void {
  for (let i = 0; i < count; i++) {
    const at = i * vectors.line
    for (const { row, least } of divisions) {
      let z = 0
      for (let j = 0; j < n; j++) z += row[j] * vectors.data[at + j]
      if (Math.abs(z) <= least) continue
      if (z > 0) {
        for (let j = 0; j < n; j++) vectors.data[at + j] = -vectors.data[at + j]
        if (others) for (let k = i * others.line; k < i * others.line + across; k++) others.data[k] = -others.data[k]
      }
      break
    }
  }
}
