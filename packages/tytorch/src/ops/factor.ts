// LU and Cholesky factors by blocks, and what is solved with them, on batches of contiguous matrices in memory.
import { type Dense, PANEL } from '../backend/dense.ts'
import { memory } from '../backend/memory.ts'
import { halfOf, type RealName, type Rows, type Work, working } from './blocks.ts'

/**
 * P L U of m x n matrices with partial pivoting (LAPACK's getrf): L's multipliers below the diagonal, U on and above.
 * A pivot (int32) is the row, from 1, that row i was exchanged with; a code is the first zero pivot, from 1, or 0.
 */
export function factorLU(
  dense: Dense,
  dtype: RealName,
  count: number,
  m: number,
  n: number,
  from: number,
  to: number,
  pivots: number,
  codes: number,
): void {
  working(dense, dtype, (work) => {
    const { size } = work
    const k = Math.min(m, n)
    const rows = work.rows(m, n)
    for (let i = 0; i < count; i++) {
      const at = i * m * n * size
      work.load(from + at, m, n, rows)
      const code = k > 0 ? luInPlace(work, rows, m, n, pivots + i * k * 4) : 0
      work.store(rows, m, n, to + at)
      memory.views.i32[codes / 4 + i] = code
    }
  })
}

function luInPlace(work: Work, { at, row }: Rows, m: number, n: number, pivots: number): number {
  const { size, panels } = work
  const k = Math.min(m, n)
  // A wide matrix's last panel has all of its columns, not those of the square alone.
  const square = Math.min(n, Math.ceil(k / PANEL) * PANEL)
  const wide = row / 16
  if (n <= PANEL) return panels.lu(wide, m, k, at, row, at, wide, pivots, 1)
  const diagonal = (i: number): number => at + i * (row + size)
  let info = 0
  const part = (start: number, columns: number): void => {
    const here = at + start * row
    if (columns <= PANEL) {
      const width = work.panelVectors(columns)
      const steps = Math.min(columns, m - start)
      const found = panels.lu(width, m - start, steps, diagonal(start), row, here, wide, pivots + start * 4, start + 1)
      if (info === 0 && found > 0) info = start + found
      return
    }
    const half = halfOf(columns)
    part(start, half)
    trail(start, half, start + half, columns - half)
    part(start + half, columns - half)
  }
  /** Takes the columns `left`.. `left + columns` along that lie beside `half` factored ones. */
  const trail = (start: number, half: number, left: number, columns: number): void => {
    const beside = at + start * row + left * size
    work.solve(false, true, half, diagonal(start), row, size, { at: beside, row }, columns)
    const below = m - start - half
    if (below <= 0) return
    const multipliers = at + (start + half) * row + start * size
    work.subtract(below, columns, half, multipliers, row, size, beside, row, beside + half * row, row)
  }
  part(0, square)
  if (square < n) trail(0, m, square, n - square)
  return info
}

/** X of A X = B (A^T X = B if `transposed`) from the factors of n x n matrices; B [n, k], or the identity if it is 0. */
export function solveLU(
  dense: Dense,
  dtype: RealName,
  count: number,
  n: number,
  k: number,
  factors: number,
  pivots: number,
  b: number,
  x: number,
  transposed: boolean,
): void {
  working(dense, dtype, (work) => {
    const { size, panels } = work
    const room = work.rows(n, k)
    const vectors = room.row / 16
    for (let i = 0; i < count; i++) {
      const t = factors + i * n * n * size
      const rows = pivots + i * n * 4
      if (b === 0) identity(work, room, n, k)
      else work.load(b + i * n * k * size, n, k, room)
      if (transposed) {
        work.solve(false, false, n, t, size, n * size, room, k)
        work.solve(true, true, n, t, size, n * size, room, k)
        panels.exchange(n, rows, room.at, room.row, vectors, 1)
      } else {
        panels.exchange(n, rows, room.at, room.row, vectors, 0)
        work.solve(false, true, n, t, n * size, size, room, k)
        work.solve(true, false, n, t, n * size, size, room, k)
      }
      work.store(room, n, k, x + i * n * k * size)
    }
  })
}

/** The first columns of the identity. */
export function identity(work: Work, { at, row }: Rows, rows: number, columns: number): void {
  const { size } = work
  work.panels.copy(1, 0, (rows * row) / size, at, 0, at, 0)
  const view = size === 4 ? memory.views.f32 : memory.views.f64
  for (let i = 0; i < Math.min(rows, columns); i++) view[(at + i * (row + size)) / size] = 1
}

/** X of T X = B for triangular n x n matrices T, whose elements are `tRow` and `tColumn` bytes apart, matrices `tStep`. */
export function solveTriangles(
  dense: Dense,
  dtype: RealName,
  count: number,
  n: number,
  k: number,
  t: number,
  tStep: number,
  tRow: number,
  tColumn: number,
  b: number,
  x: number,
  upper: boolean,
  unit: boolean,
): void {
  working(dense, dtype, (work) => {
    const { size, panels } = work
    const room = (k * size) % 16 === 0 ? null : work.rows(n, k)
    if (!room) panels.copy(1, count * n * k, 0, b, 0, x, 0)
    for (let i = 0; i < count; i++) {
      const at = i * n * k * size
      if (room) work.load(b + at, n, k, room)
      work.solve(upper, unit, n, t + i * tStep, tRow, tColumn, room ?? { at: x + at, row: k * size }, k)
      if (room) work.store(room, n, k, x + at)
    }
  })
}

/**
 * L with A = L L^T (U with A = U^T U if `upper`) of n x n matrices, of which that triangle alone is read; the other one
 * becomes zero. A code is the order of the first minor that is not positive, or 0.
 */
export function factorCholesky(
  dense: Dense,
  dtype: RealName,
  count: number,
  n: number,
  from: number,
  to: number,
  codes: number,
  upper: boolean,
): void {
  working(dense, dtype, (work) => {
    const { size, panels } = work
    const rows = work.rows(n, n)
    for (let i = 0; i < count; i++) {
      const at = i * n * n * size
      if (upper) work.load(from + at, n, n, rows)
      else panels.transpose(n, n, from + at, n * size, rows.at, rows.row)
      memory.views.i32[codes / 4 + i] = n > 0 ? choleskyInPlace(work, rows, n) : 0
      panels.clearLower(n, n, rows.at, rows.row)
      if (upper) work.store(rows, n, n, to + at)
      else panels.transpose(n, n, rows.at, rows.row, to + at, n * size)
    }
  })
}

/** Rows of the part below that a product updates at a time: what is left of the diagonal in them is wasted. */
const STRIP = 64

function choleskyInPlace(work: Work, { at, row }: Rows, n: number): number {
  const { size, panels } = work
  const diagonal = (i: number): number => at + i * (row + size)
  const part = (start: number, n: number): number => {
    if (n <= PANEL) {
      const found = panels.cholesky(work.panelVectors(n), n, diagonal(start), row)
      return found > 0 ? start + found : 0
    }
    const half = halfOf(n)
    const rest = n - half
    const found = part(start, half)
    if (found > 0) return found
    const beside = diagonal(start) + half * size
    work.solve(false, false, half, diagonal(start), size, row, { at: beside, row }, rest)
    for (let i = 0; i < rest; i += STRIP) {
      const strip = Math.min(STRIP, rest - i)
      const here = diagonal(start + half + i)
      const block = beside + i * size
      work.subtract(strip, rest - i, half, block, size, row, block, row, here, row)
    }
    return part(start + half, rest)
  }
  return part(0, n)
}
