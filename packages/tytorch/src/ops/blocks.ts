// What factorisations by blocks share: matrices copied to padded rows, products of blocks, and triangular solves. Panels of
// a few columns go through the device's steps, all between them through its matrix product.
import { type Dense, PANEL, type Panels } from '../backend/dense.ts'
import { memory } from '../backend/memory.ts'

/** A dtype that is factored. */
export type RealName = 'float32' | 'float64'

/** A matrix in memory: the address of its first element, and bytes between rows, which may be used in whole vectors. */
export interface Rows {
  readonly at: number
  readonly row: number
}

/** Where to cut `n` > PANEL columns: near the middle, between panels. */
export const halfOf = (n: number): number => Math.ceil(n / 2 / PANEL) * PANEL

/** Memory and arithmetic of one factorisation (or of a batch, one after another). */
export class Work {
  /** Bytes of an element. */
  readonly size: number
  readonly panels: Panels
  private readonly matmul: Dense['matmul']
  private readonly dtype: RealName
  private readonly taken: [number, number][] = []
  /** For the product in `subtract`. */
  private spare = 0
  private spareBytes = 0

  constructor(dense: Dense, dtype: RealName) {
    this.dtype = dtype
    this.size = dtype === 'float32' ? 4 : 8
    this.panels = dense.panels(dtype)
    this.matmul = dense.matmul
  }

  /** Vectors of 16 bytes that hold so many elements. */
  vectors(columns: number): number {
    return Math.ceil((columns * this.size) / 16)
  }

  /** The width of a panel's steps, in vectors. */
  panelVectors(columns: number): number {
    return 2 ** Math.ceil(Math.log2(this.vectors(columns)))
  }

  /** Uncleared memory until `free`. */
  take(bytes: number): number {
    const at = memory.alloc(bytes)
    this.taken.push([at, bytes])
    return at
  }

  /** Room for rows x columns elements in padded rows. */
  rows(rows: number, columns: number): Rows {
    const whole = Math.floor(Math.max(columns - 1, 0) / PANEL) * PANEL
    let row = whole * this.size + this.panelVectors(Math.max(columns - whole, 1)) * 16
    // An odd number of cache lines: a column's elements then lie in all sets of the cache.
    if (row >= 512 && row % 128 === 0) row += 64
    // Steps may look at the element behind the last.
    return { at: this.take(Math.max(rows, 1) * row + 16), row }
  }

  /** Gives all memory back. */
  free(): void {
    for (const [at, bytes] of this.taken) memory.release(at, bytes)
    this.taken.length = 0
  }

  /** C[m, n] = A[m, k] B[k, n]; steps in bytes. */
  multiply(
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aColumn: number,
    b: number,
    bRow: number,
    c: number,
    cRow: number,
  ): void {
    if (m === 0 || n === 0) return
    const { size } = this
    const left = { a, aRow: aRow / size, aCol: aColumn / size }
    const right = { b, bRow: bRow / size, bCol: 1 }
    this.matmul(this.dtype, { m, n, k, ...left, ...right, c, cRow: cRow / size, bias: 0, accumulate: false })
  }

  /**
   * C[m, n] -= A[m, k] B[k, n]. The product is made first, for sums that start from C would round each term to C's size.
   */
  subtract(
    m: number,
    n: number,
    k: number,
    a: number,
    aRow: number,
    aColumn: number,
    b: number,
    bRow: number,
    c: number,
    cRow: number,
  ): void {
    const row = this.vectors(n) * 16
    const bytes = m * row
    if (bytes > this.spareBytes) {
      this.spare = this.take(bytes)
      this.spareBytes = bytes
    }
    this.multiply(m, n, k, a, aRow, aColumn, b, bRow, this.spare, row)
    this.panels.subtract(m, row / 16, this.spare, row, c, cRow)
  }

  /** Copies a contiguous matrix to padded rows. */
  load(from: number, rows: number, columns: number, to: Rows): void {
    const { size, panels } = this
    if (to.row === columns * size) panels.copy(1, rows * columns, 0, from, 0, to.at, 0)
    else panels.copy(rows, columns, to.row / size, from, columns * size, to.at, to.row)
  }

  /** Copies padded rows to a contiguous matrix. */
  store(from: Rows, rows: number, columns: number, to: number): void {
    const { size, panels } = this
    if (from.row === columns * size) panels.copy(1, rows * columns, 0, from.at, 0, to, 0)
    else panels.copy(rows, columns, 0, from.at, from.row, to, columns * size)
  }

  /** Solves T X = B in place of `columns` columns of B, for a triangular T of any steps. */
  solve(
    upper: boolean,
    unit: boolean,
    n: number,
    t: number,
    tRow: number,
    tColumn: number,
    { at, row }: Rows,
    columns: number,
  ): void {
    const { panels } = this
    const vectors = this.vectors(columns)
    const part = (upward: boolean, n: number, t: number, b: number): void => {
      if (n <= PANEL) {
        const [end, last] = [t + (n - 1) * (tRow + tColumn), b + (n - 1) * row]
        if (upward) panels.substitute(n, unit ? 1 : 0, end, -tRow, -tColumn, last, -row, vectors)
        else panels.substitute(n, unit ? 1 : 0, t, tRow, tColumn, b, row, vectors)
        return
      }
      const half = halfOf(n)
      const rest = n - half
      const [t2, b2] = [t + half * (tRow + tColumn), b + half * row]
      if (upward) {
        part(true, rest, t2, b2)
        this.subtract(half, columns, rest, t + half * tColumn, tRow, tColumn, b2, row, b, row)
        part(true, half, t, b)
      } else {
        part(false, half, t, b)
        this.subtract(rest, columns, half, t + half * tRow, tRow, tColumn, b, row, b2, row)
        part(false, rest, t2, b2)
      }
    }
    if (n > 0 && columns > 0) part(upper, n, t, at)
  }
}

/** Runs `use` with memory that is given back afterwards. */
export function working<T>(dense: Dense, dtype: RealName, use: (work: Work) => T): T {
  const work = new Work(dense, dtype)
  try {
    return use(work)
  } finally {
    work.free()
  }
}
