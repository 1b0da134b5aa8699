// One matrix product on one thread: looks at shapes and strides, and picks the routine.
import type { Expr } from '../../ir/expr.ts'
import type { Finished } from '../epilogue.ts'
import { Blocked } from './blocked.ts'
import { finishes, isLong } from './finish.ts'
import type { Kernels } from './kernels.ts'
import { area, exchanged, type Finishing, finishingFrom, type Product } from './product.ts'
import { dotRows, SKINNY_ROWS, type StreamStart, streamDepth, streamRows } from './skinny.ts'
import type { Space } from './space.ts'

/** Bytes of a row that `stream` takes at once, so that the rows of C it adds to stay in the L1 cache. */
const STREAM_BYTES = 4096
/** Bytes of the large operand that `dot` takes at once, so that they stay in the L2 cache for the next small rows. */
const DOT_BYTES = 1 << 18
/** Up to so many rows, and from so many k, `dot` beats tiles, which have to transpose B first. */
const DOT_MOST = 8
const DOT_DEEP = 256
/** Large rows that it takes at least. */
const DOT_ROWS_LEAST = 12

/** Applies an epilogue's expression to a block of a product in memory. */
export type Later = (value: Expr, block: Finished) => void

/** The product of one element type. */
export class Multiplier {
  private readonly kernels: Kernels
  private readonly size: number
  /** Elements in 64 bytes. */
  private readonly wide: number
  private readonly blocked: Blocked
  private readonly space: Space
  /** Runs an epilogue over a block that has been computed. */
  private readonly later: Later

  /** Copies and packs into `space`; `later` runs what the kernels can't of an epilogue. */
  constructor(kernels: Kernels, space: Space, later: Later) {
    this.kernels = kernels
    this.later = later
    this.space = space
    this.size = kernels.element.bytes
    this.wide = 64 / this.size
    this.blocked = new Blocked(kernels, space)
  }

  /** Computes a product; what it packed or copied is given back. */
  run(p: Product): void {
    this.multiply(p)
    this.space.close()
  }

  /** The same for `count` products that lie so many bytes apart. */
  runBatch(p: Product, count: number, aStep: number, bStep: number, cStep: number): void {
    const small = Math.min(p.m, p.n)
    const tiles = small > SKINNY_ROWS && p.k > SKINNY_ROWS && !(small <= DOT_MOST && p.k >= DOT_DEEP)
    const suits = tiles && this.alongOne(p.bRow, p.bColumn) && this.alongOne(p.aRow, p.aColumn)
    if (suits && this.blocked.runBatch(p, count, aStep, bStep, cStep)) return
    for (let i = 0; i < count; i++) {
      const c = p.c + i * cStep
      this.multiply({ ...p, a: p.a + i * aStep, b: p.b + i * bStep, c, init: p.init === p.c ? c : p.init })
      this.space.close()
    }
  }

  /** Bytes of space that a product needs at most. */
  needs(p: Product): number {
    const skinny = Math.min(p.m, p.n) <= DOT_MOST || p.k <= SKINNY_ROWS
    const [m, n, k] = [p.m + 4, p.n + 4, p.k + 4]
    const copies = !this.alongOne(p.aRow, p.aColumn) || !this.alongOne(p.bRow, p.bColumn)
    return (skinny || copies ? (m * k + k * n + m * n) * this.size + 256 : 0) + (skinny ? 0 : this.blocked.needs(p))
  }

  /** The same of a batch. */
  needsBatch(p: Product): number {
    return this.needs(p) + this.blocked.needsBatch(p)
  }

  /** Runs the epilogue over what has been stored without it. */
  private finishLater(p: Product): void {
    if (p.epilogue) this.later(p.epilogue.value, { ...p, operands: p.epilogue.operands })
  }

  private alongOne(row: number, column: number): boolean {
    return row === this.size || column === this.size
  }

  private multiply(p: Product): void {
    if (p.epilogue && !finishes(p.epilogue.value, this.size)) {
      this.multiply({ ...p, epilogue: null })
      this.finishLater(p)
      return
    }
    const q = p.m <= p.n ? p : exchanged(p)
    if (p.k > 0 && q.m <= SKINNY_ROWS) this.fewRows(q)
    else if (q.m <= DOT_MOST && q.k >= DOT_DEEP && this.suitsDot(q)) this.dot(q)
    else if (p.k > 0 && p.k <= SKINNY_ROWS) this.stream(p)
    else {
      const whole = this.blocked.run(this.withUnitSteps(p))
      if (whole < p.n) {
        const operands = finishingFrom(p.epilogue, 0, whole)
        this.finishLater({ ...p, n: p.n - whole, c: p.c + whole * p.cColumn, epilogue: operands })
      }
    }
  }

  /** The kernels that store an epilogue's values instead of sums. */
  private storing(epilogue: Finishing | null): Kernels {
    return epilogue ? this.kernels.storing(epilogue.value, epilogue.operands.length) : this.kernels
  }

  /** B is contiguous along k alone, and k long enough. */
  private suitsDot(p: Product): boolean {
    return p.bRow === this.size && p.bColumn !== this.size && p.k >= this.wide
  }

  /** m <= SKINNY_ROWS, and C may have any steps. */
  private fewRows(p: Product): void {
    if (p.n < this.wide || this.suitsDot(p)) this.dot(p)
    else if (p.cColumn === this.size && (p.initColumn === this.size || p.init === area.zeros)) this.stream(p)
    else if (p.epilogue) {
      this.fewRows({ ...p, epilogue: null })
      this.finishLater(p)
    } else {
      const cRow = p.n * this.size
      const c = this.space.take(p.m * cRow)
      this.stream({ ...p, c, cRow, cColumn: this.size, init: area.zeros, initRow: 0, initColumn: 0 })
      this.kernels.packing.scatter(p.n, p.m, c, cRow, p.c, p.cColumn, p.init, p.initColumn, p.initRow)
    }
  }

  /** C is contiguous along n, and init a row, a zero or C. */
  private stream(p: Product): void {
    const { m, n, k, cRow, initRow, initColumn, epilogue } = p
    if (epilogue?.operands.some((o) => o.column !== this.size)) {
      this.stream({ ...p, epilogue: null })
      this.finishLater(p)
      return
    }
    const [b, bRow] = this.rowsOf(k, n, p.b, p.bRow, p.bColumn)
    const most = STREAM_BYTES / this.size
    const group = streamRows(m, k)
    const rest = m % group
    for (let j = 0; j < n; j += most) {
      const right = finishingFrom(epilogue, 0, j)
      const part = { ...p, m: m - rest, n: Math.min(most, n - j), b: b + j * this.size, bRow, epilogue: right }
      const [c, init] = [p.c + j * this.size, p.init + j * initColumn]
      this.streamRows({ ...part, c, init }, group)
      if (rest === 0) continue
      const i = m - rest
      const below = finishingFrom(right, i, 0)
      const from = { a: p.a + i * p.aRow, c: c + i * cRow, init: init + i * initRow, epilogue: below }
      this.streamRows({ ...part, ...from, m: rest }, rest)
    }
  }

  /** m is a multiple of `rows`. */
  private streamRows(p: Product, rows: number): void {
    const { m, n, k, aRow, aColumn, bRow, c, cRow, init, initColumn, epilogue } = p
    let start: StreamStart = init === c ? 'c' : 'init'
    for (let l = 0; l < k; ) {
      const depth = streamDepth(rows, k - l)
      let times = start === 'init' ? 1 : Math.floor((k - l) / depth)
      // The epilogue takes place with the last k alone.
      const last = epilogue && l + times * depth === k
      if (last && times > 1) times--
      const finishing = last && l + times * depth === k ? epilogue : null
      const stream = this.storing(finishing).stream(rows, depth, start)
      const [a, b] = [p.a + l * aColumn, p.b + l * bRow]
      const operands = finishing?.operands.flatMap((o) => [o.at, o.row]) ?? []
      stream(m, n, times * depth, a, aRow, aColumn, b, bRow, c, cRow, init, initColumn, ...operands)
      l += times * depth
      start = 'c'
    }
  }

  private dot(p: Product): void {
    if (p.epilogue && isLong(p.epilogue.value)) {
      this.dot({ ...p, epilogue: null })
      this.finishLater(p)
      return
    }
    const { m, n, k, cRow, cColumn, initRow, initColumn } = p
    const [a, aRow] = this.rowsOf(m, k, p.a, p.aRow, p.aColumn)
    const [b, bColumn] = this.rowsOf(n, k, p.b, p.bColumn, p.bRow)
    const most = Math.max(DOT_ROWS_LEAST, Math.floor(DOT_BYTES / (k * this.size)))
    for (let j = 0; j < n; j += most) {
      const columns = Math.min(most, n - j)
      for (let i = 0, smallRows = 0; i < m; i += smallRows) {
        smallRows = Math.ceil((m - i) / Math.ceil((m - i) / SKINNY_ROWS))
        const rows = dotRows(smallRows)
        const ai = a + i * aRow
        for (const [from, count, atOnce] of [
          [j, columns - (columns % rows), rows],
          [j + columns - (columns % rows), columns % rows, 1],
        ]) {
          if (count === 0) continue
          const bj = b + from * bColumn
          const c = p.c + i * cRow + from * cColumn
          const init = p.init + i * initRow + from * initColumn
          const dot = this.storing(p.epilogue).dot(atOnce, smallRows)
          const finishing = finishingFrom(p.epilogue, i, from)?.operands.flatMap((o) => [o.at, o.column, o.row]) ?? []
          dot(count, k, bj, bColumn, ai, aRow, c, cColumn, cRow, init, initColumn, initRow, area.sums, ...finishing)
        }
      }
    }
  }

  /** The same product with operands that are contiguous along a dimension. */
  private withUnitSteps(p: Product): Product {
    const size = this.size
    let q = p
    if (p.aRow !== size && p.aColumn !== size) {
      const [a, aRow] = this.rowsOf(p.m, p.k, p.a, p.aRow, p.aColumn)
      q = { ...q, a, aRow, aColumn: size }
    }
    if (p.bRow !== size && p.bColumn !== size) {
      const [b, bRow] = this.rowsOf(p.k, p.n, p.b, p.bRow, p.bColumn)
      q = { ...q, b, bRow, bColumn: size }
    }
    return q
  }

  /** The address and row step of a matrix with contiguous rows: itself, or a temporary copy. */
  private rowsOf(rows: number, columns: number, at: number, row: number, column: number): [number, number] {
    if (column === this.size || columns === 1) return [at, row]
    const { lanes } = this.kernels.element
    const { packing } = this.kernels
    const step = Math.ceil(columns / lanes) * lanes
    const copy = this.space.take(rows * step * this.size)
    if (row === this.size) packing.transpose(columns, step, rows, at, column, copy)
    else packing.gather(rows, columns, at, row, column, copy, step * this.size)
    return [copy, step * this.size]
  }
}
