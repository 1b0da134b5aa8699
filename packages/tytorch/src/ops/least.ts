// Least squares by QR, and whether a matrix has full rank beyond doubt.
import type { Dense } from '../backend/dense.ts'
import { memory } from '../backend/memory.ts'
import { type RealName, type Rows, type Work, working } from './blocks.ts'
import { identity } from './factor.ts'
import { applyInPlace, qrInPlace, roomOf, viewOf } from './orthogonal.ts'

/**
 * Least squares solutions X [n, k] of A X = B, for A [m, n] of full rank and B [m, k]: the smallest ones if m < n
 * (LAPACK's gels). A code (int32) is the first zero in the diagonal of R, from 1, or 0. False, with work left undone, if a
 * smallest singular value may be `least` times the largest or less.
 */
export function leastSquares(
  dense: Dense,
  dtype: RealName,
  count: number,
  m: number,
  n: number,
  k: number,
  a: number,
  b: number,
  x: number,
  codes: number,
  least: number,
): boolean {
  return working(dense, dtype, (work) => {
    const { size, panels } = work
    const [tall, small] = [Math.max(m, n), Math.min(m, n)]
    const rows = work.rows(tall, small)
    const side = work.rows(tall, k)
    const taus = work.take((small + 1) * size)
    const room = roomOf(work, tall, Math.max(small, k))
    const copy = work.rows(small, small)
    for (let i = 0; i < count; i++) {
      const [from, right] = [a + i * m * n * size, b + i * m * k * size]
      if (m >= n) work.load(from, m, n, rows)
      else panels.transpose(m, n, from, n * size, rows.at, rows.row)
      qrInPlace(work, rows, tall, small, taus, room)
      if (least > 0 && !isClear(work, rows, small, copy, least)) return false
      const code = firstZero(work, rows, small)
      memory.views.i32[codes / 4 + i] = code
      work.load(right, m, k, side)
      if (m >= n) {
        applyInPlace(work, rows, m, n, taus, side, k, true, room)
        work.solve(true, false, n, rows.at, rows.row, size, side, k)
      } else {
        work.solve(false, false, m, rows.at, size, rows.row, side, k)
        panels.copy(1, 0, ((n - m) * side.row) / size, side.at, 0, side.at + m * side.row, 0)
        applyInPlace(work, rows, n, m, taus, side, k, false, room)
      }
      // LAPACK answers zeros for a matrix of zeros.
      if (code > 0 && squares(work, rows, small) === 0) {
        memory.views.i32[codes / 4 + i] = 0
        panels.copy(n, 0, k, side.at, side.row, side.at, side.row)
      }
      work.store(side, n, k, x + i * n * k * size)
    }
    return true
  })
}

/** Where the first zero is in a diagonal, from 1, or 0. */
function firstZero(work: Work, { at, row }: Rows, n: number): number {
  const view = viewOf(work)
  for (let i = 0; i < n; i++) if (view[(at + i * (row + work.size)) / work.size] === 0) return i + 1
  return 0
}

/** How far below the ratio of R's singular values an estimate may be. */
const DOUBT = 2
const TURNS = 4
/** Up to this size R is inverted, which may settle the question at once. */
const SMALL = 64

/** Whether the smallest singular value of upper triangular R is more than `least` times the largest. */
function isClear(work: Work, r: Rows, n: number, copy: Rows, least: number): boolean {
  const { size, panels } = work
  const solve = (transposed: boolean, x: Rows, columns: number): void => {
    if (transposed) work.solve(false, false, n, r.at, size, r.row, x, columns)
    else work.solve(true, false, n, r.at, r.row, size, x, columns)
  }
  if (n <= SMALL) {
    // Frobenius norms bound singular values for certain.
    identity(work, copy, n, n)
    solve(false, copy, n)
    if (1 / Math.sqrt(squares(work, r, n) * squares(work, copy, n)) > least) return true
  }
  // Powers of (R^T R)^-1 and of R^T R estimate them. R has reflections below its diagonal.
  const inverse = growth(work, n, (x, columns) => {
    solve(true, x, columns)
    solve(false, x, columns)
  })
  panels.copy(n, n, n, r.at, r.row, copy.at, copy.row)
  panels.clearLower(n, n, copy.at, copy.row)
  const y = work.rows(n, 16 / size)
  const largest = growth(work, n, (x, columns) => {
    work.multiply(n, columns, n, copy.at, copy.row, size, x.at, x.row, y.at, y.row)
    work.multiply(n, columns, n, copy.at, size, copy.row, y.at, y.row, x.at, x.row)
  })
  return 1 / (inverse * largest) > DOUBT * least
}

/** The sum of squares of an upper triangular matrix. */
function squares(work: Work, { at, row }: Rows, n: number): number {
  const view = viewOf(work)
  let sum = 0
  for (let i = 0; i < n; i++) {
    const line = (at + i * row) / work.size
    for (let j = i; j < n; j++) sum += view[line + j] * view[line + j]
  }
  return sum
}

/** The largest singular value of M, by the power method on a few columns; `apply` makes M^T M x of x. */
function growth(work: Work, n: number, apply: (x: Rows, columns: number) => void): number {
  const columns = 16 / work.size
  const x = work.rows(n, columns)
  const view = viewOf(work)
  const place = (i: number, j: number): number => (x.at + i * x.row) / work.size + j
  for (let i = 0; i < n; i++) for (let j = 0; j < columns; j++) view[place(i, j)] = Math.sin(i * (j + 1) * 1.7 + j + 1)
  let most = 0
  for (let turn = 0; turn < TURNS; turn++) {
    if (turn > 0) apply(x, columns)
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let i = 0; i < n; i++) sum += view[place(i, j)] ** 2
      const length = Math.sqrt(sum)
      if (turn > 0) most = Math.max(most, Math.sqrt(length))
      for (let i = 0; i < n; i++) view[place(i, j)] /= length
    }
  }
  return most
}
