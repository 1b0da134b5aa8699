// The contract of what factorisations of dense matrices are made of: steps on a few columns, and the matrix product.
import type { Device } from './device.ts'

/** Columns of a panel: what is factored step by step, between products. */
export const PANEL = 16

/**
 * Steps on matrices whose rows are contiguous and may be read and written in whole vectors of 16 bytes: the caller pads
 * them. Pointers and steps are in bytes, `vectors` counts vectors of a row, other sizes are in elements.
 */
export interface Panels {
  /** Copies rows of `columns` elements, and fills each with zeros up to `width`. */
  copy(rows: number, columns: number, width: number, from: number, fromRow: number, to: number, toRow: number): void
  /** to[j, i] = from[i, j], for i < rows and j < columns. */
  transpose(rows: number, columns: number, from: number, fromRow: number, to: number, toRow: number): void
  /** Zeros below the diagonal. */
  clearLower(rows: number, columns: number, at: number, row: number): void
  /** to -= from. */
  subtract(rows: number, vectors: number, from: number, fromRow: number, to: number, toRow: number): void
  /** Exchanges each of the rows i < count with row pivots[i] - 1 (int32), in this order, or undoes it. */
  exchange(count: number, pivots: number, at: number, row: number, vectors: number, undo: number): void
  /**
   * P L U of the m rows of a panel of `vectors` (1, 2, 4 or 8) vectors at `panel`, with partial pivoting, in `steps`
   * columns. Rows are exchanged in all of their `wide` vectors from `whole` on, and row i's pivot becomes the number of
   * what it was exchanged with plus `first`. Answers the first zero pivot, from 1, or 0.
   */
  lu(
    vectors: number,
    m: number,
    steps: number,
    panel: number,
    row: number,
    whole: number,
    wide: number,
    pivots: number,
    first: number,
  ): number
  /** Solves T X = B in place of B for a lower triangular T of any steps, also negative ones; its diagonal is 1 if `unit`. */
  substitute(
    n: number,
    unit: number,
    t: number,
    tRow: number,
    tColumn: number,
    b: number,
    bRow: number,
    vectors: number,
  ): void
  /** U with A = U^T U in place of the upper triangle, n <= 16: `vectors` is 1, 2, 4 or 8. Answers the first minor that is not positive, or 0. */
  cholesky(vectors: number, n: number, at: number, row: number): number
  /**
   * The reflection H = I - tau v v^T that maps x, of n elements `step` bytes apart, to (beta, 0, ..., 0), as LAPACK's
   * larfg: beta replaces the first element, the rest of v (its first element is 1) the others. Answers tau.
   */
  reflector(n: number, x: number, step: number): number
  /** C -= tau v (v^T C), for v = (1, v[step], ...) of n elements; C's first `skip` columns (less than a vector) stay. */
  reflect(n: number, v: number, step: number, tau: number, c: number, row: number, skip: number, vectors: number): void
}

/**
 * What factorisations run on, inside of a device's `host` work: nothing of it is a step of its own for a device that
 * writes steps down.
 */
export interface Dense {
  readonly matmul: Device['matmul']
  panels(dtype: 'float32' | 'float64'): Panels
}

/** Steps made when they are first asked for, and a product. */
export function denseOf(matmul: Device['matmul'], create: (dtype: 'float32' | 'float64') => Panels): Dense {
  const made: Partial<Record<'float32' | 'float64', Panels>> = {}
  return { matmul, panels: (dtype) => (made[dtype] ??= create(dtype)) }
}
