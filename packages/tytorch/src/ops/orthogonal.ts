// QR factors, and products with their Q, by blocks of Householder reflections: H1 ... Hk = I - V S^-1 V^T, where S is upper
// triangular, V^T V above its diagonal and 1 / tau in it (Joffrain et al. 2006, "Accumulating Householder transformations,
// revisited"; LAPACK's T is S^-1).
import { type Dense, PANEL } from '../backend/dense.ts'
import { memory } from '../backend/memory.ts'
import { type RealName, type Rows, type Work, working } from './blocks.ts'
import { identity } from './factor.ts'

/** Memory for one block of reflections: V [m, PANEL], S, and products with V [PANEL, columns]. */
export interface Room {
  readonly v: Rows
  readonly s: Rows
  readonly w: Rows
}

/** Room for reflections of m elements, and for so many columns beside them. */
export const roomOf = (work: Work, m: number, columns: number): Room => ({
  v: work.rows(m, PANEL),
  s: work.rows(PANEL, PANEL),
  w: work.rows(PANEL, columns),
})

/** All memory in the type that is worked in. */
export const viewOf = (work: Work): Float32Array | Float64Array =>
  work.size === 4 ? memory.views.f32 : memory.views.f64

/** Factors of `k` reflections, in memory. */
type Taus = number

/**
 * QR in place of an m x n matrix (LAPACK's geqrf): R on and above the diagonal, reflections below, their factors at
 * `taus`. The room has n columns.
 */
export function qrInPlace(work: Work, { at, row }: Rows, m: number, n: number, taus: Taus, room: Room): void {
  const { size, panels } = work
  const k = Math.min(m, n)
  const lanes = 16 / size
  for (let start = 0; start < k; start += PANEL) {
    const end = Math.min(start + PANEL, k)
    // A wide matrix's last panel has columns beyond its last reflection.
    const right = Math.min(start + PANEL, n)
    const last = work.vectors(right)
    for (let j = start; j < end; j++) {
      const x = at + j * (row + size)
      const tau = panels.reflector(m - j, x, row)
      viewOf(work)[taus / size + j] = tau
      const first = Math.floor((j + 1) / lanes)
      if (tau !== 0 && first < last) {
        panels.reflect(m - j, x, row, tau, at + j * row + first * 16, row, (j + 1) % lanes, last - first)
      }
    }
    if (right < n) {
      loadBlock(work, { at, row }, m, start, end - start, taus, room)
      applyBlock(work, m - start, end - start, { at: at + start * row + right * size, row }, n - right, true, room)
    }
  }
}

/** Brings `count` reflections from column `start` on to the room. */
function loadBlock(work: Work, a: Rows, m: number, start: number, count: number, taus: Taus, room: Room): void {
  const { size, panels } = work
  const { v, s } = room
  const rows = m - start
  panels.copy(rows, count, v.row / size, a.at + start * (a.row + size), a.row, v.at, v.row)
  const view = viewOf(work)
  for (let i = 0; i < count; i++) {
    const line = (v.at + i * v.row) / size
    view[line + i] = 1
    view.fill(0, line + i + 1, line + count)
  }
  work.multiply(count, count, rows, v.at, size, v.row, v.at, v.row, s.at, s.row)
  for (let i = 0; i < count; i++) view[(s.at + i * (s.row + size)) / size] = 1 / view[taus / size + start + i]
}

/** C = Q C (Q^T C if `transposed`) for the block in the room, of so many rows; C has as many. */
function applyBlock(
  work: Work,
  rows: number,
  count: number,
  c: Rows,
  columns: number,
  transposed: boolean,
  room: Room,
): void {
  const { size } = work
  const { v, s, w } = room
  work.multiply(count, columns, rows, v.at, size, v.row, c.at, c.row, w.at, w.row)
  // S and its transpose lie in one symmetric matrix.
  work.solve(!transposed, false, count, s.at, s.row, size, w, columns)
  work.subtract(rows, columns, count, v.at, v.row, size, w.at, w.row, c.at, c.row)
}

/** Q C (Q^T C if `transposed`) in place of C, for the `k` reflections in the columns of `a`; the room has C's columns. */
export function applyInPlace(
  work: Work,
  a: Rows,
  m: number,
  k: number,
  taus: Taus,
  c: Rows,
  columns: number,
  transposed: boolean,
  room: Room,
): void {
  const { size, panels } = work
  // One by one where a block's own matrices would take longer.
  if (m <= 2 * PANEL || k <= PANEL / 2) {
    for (let step = 0; step < k; step++) {
      const j = transposed ? step : k - 1 - step
      const tau = viewOf(work)[taus / size + j]
      const v = a.at + j * (a.row + size)
      if (tau !== 0) panels.reflect(m - j, v, a.row, tau, c.at + j * c.row, c.row, 0, work.vectors(columns))
    }
    return
  }
  const blocks = Math.ceil(k / PANEL)
  for (let step = 0; step < blocks; step++) {
    const start = (transposed ? step : blocks - 1 - step) * PANEL
    const count = Math.min(PANEL, k - start)
    loadBlock(work, a, m, start, count, taus, room)
    applyBlock(work, m - start, count, { at: c.at + start * c.row, row: c.row }, columns, transposed, room)
  }
}

/** The first `q` columns of Q, for the `k` reflections in the columns of `a`; the room has q columns. */
function formInPlace(work: Work, a: Rows, m: number, k: number, taus: Taus, out: Rows, q: number, room: Room): void {
  const { size, panels } = work
  identity(work, out, m, q)
  for (let start = Math.floor((Math.min(k, q) - 1) / PANEL) * PANEL; start >= 0; start -= PANEL) {
    const count = Math.min(PANEL, Math.min(k, q) - start)
    const columns = q - start
    if (columns > PANEL) {
      loadBlock(work, a, m, start, count, taus, room)
      applyBlock(work, m - start, count, { at: out.at + start * (out.row + size), row: out.row }, columns, false, room)
      continue
    }
    for (let j = start + count - 1; j >= start; j--) {
      const tau = viewOf(work)[taus / size + j]
      const left = out.at + j * out.row + start * size
      if (tau !== 0)
        panels.reflect(m - j, a.at + j * (a.row + size), a.row, tau, left, out.row, 0, work.vectors(columns))
    }
  }
}

/**
 * QR of m x n matrices: R's first `q` rows and, unless `orthogonal` is 0, Q's first q columns.
 */
export function factorQR(
  dense: Dense,
  dtype: RealName,
  count: number,
  m: number,
  n: number,
  q: number,
  from: number,
  orthogonal: number,
  triangle: number,
): void {
  working(dense, dtype, (work) => {
    const { size, panels } = work
    const k = Math.min(m, n)
    const rows = work.rows(m, n)
    const whole = orthogonal ? work.rows(m, q) : null
    const taus = work.take((k + 1) * size)
    const room = roomOf(work, m, Math.max(n, q))
    for (let i = 0; i < count; i++) {
      work.load(from + i * m * n * size, m, n, rows)
      qrInPlace(work, rows, m, n, taus, room)
      if (whole) {
        formInPlace(work, rows, m, k, taus, whole, q, room)
        work.store(whole, m, q, orthogonal + i * m * q * size)
      }
      panels.clearLower(q, n, rows.at, rows.row)
      work.store(rows, q, n, triangle + i * q * n * size)
    }
  })
}

/** LAPACK's geqrf of m x n matrices: R and reflections in `to`, and their factors [min(m, n)]. */
export function reflections(
  dense: Dense,
  dtype: RealName,
  count: number,
  m: number,
  n: number,
  from: number,
  to: number,
  taus: Taus,
): void {
  working(dense, dtype, (work) => {
    const { size } = work
    const rows = work.rows(m, n)
    const room = roomOf(work, m, n)
    for (let i = 0; i < count; i++) {
      work.load(from + i * m * n * size, m, n, rows)
      qrInPlace(work, rows, m, n, taus + i * Math.min(m, n) * size, room)
      work.store(rows, m, n, to + i * m * n * size)
    }
  })
}

/** The first n columns of Q, for the first `k` reflections in the columns of m x n matrices. */
export function formQ(
  dense: Dense,
  dtype: RealName,
  count: number,
  m: number,
  n: number,
  k: number,
  from: number,
  taus: Taus,
  to: number,
): void {
  working(dense, dtype, (work) => {
    const { size } = work
    const rows = work.rows(m, n)
    const out = work.rows(m, n)
    const room = roomOf(work, m, n)
    for (let i = 0; i < count; i++) {
      work.load(from + i * m * n * size, m, n, rows)
      formInPlace(work, rows, m, k, taus + i * k * size, out, n, room)
      work.store(out, m, n, to + i * m * n * size)
    }
  })
}

/** Q C (Q^T C if `transposed`) for C [m, columns] and the first `k` reflections in the columns of m x n matrices. */
export function applyQ(
  dense: Dense,
  dtype: RealName,
  count: number,
  m: number,
  n: number,
  k: number,
  from: number,
  taus: Taus,
  c: number,
  columns: number,
  to: number,
  transposed: boolean,
): void {
  working(dense, dtype, (work) => {
    const { size } = work
    const rows = work.rows(m, n)
    const side = work.rows(m, columns)
    const room = roomOf(work, m, columns)
    for (let i = 0; i < count; i++) {
      work.load(from + i * m * n * size, m, n, rows)
      work.load(c + i * m * columns * size, m, columns, side)
      applyInPlace(work, rows, m, k, taus + i * k * size, side, columns, transposed, room)
      work.store(side, m, columns, to + i * m * columns * size)
    }
  })
}
