// The matrix product of the CPU devices: looks at shapes and strides, and picks the routine.
import type { MatmulArgs } from '../device.ts'
import { memory } from '../memory.ts'
import { Blocked } from './blocked.ts'
import { elementOf, type MatmulDType } from './element.ts'
import type { Host } from './features.ts'
import { Kernels } from './kernels.ts'
import { area, exchanged, type Product, usableSteps } from './product.ts'
import { dotRows, SKINNY_ROWS, type StreamStart, streamDepth, streamRows } from './skinny.ts'

/** A function computing C = A B (+ C) (+ bias) as `MatmulArgs` says; integers wrap around. */
export type Matmul = (dtype: MatmulDType, args: MatmulArgs) => void

/** The matrix product with the kernels that suit a host. */
export function createMatmul(host: Host): Matmul {
  const multipliers: Partial<Record<MatmulDType, Multiplier>> = {}
  return (dtype, args) => {
    multipliers[dtype] ??= new Multiplier(new Kernels(elementOf(dtype, host)))
    multipliers[dtype].run(args)
  }
}

/** Bytes of a row that `stream` takes at once, so that the rows of C it adds to stay in the L1 cache. */
const STREAM_BYTES = 4096
/** Bytes of the large operand that `dot` takes at once, so that they stay in the L2 cache for the next small rows. */
const DOT_BYTES = 1 << 18
/** Up to so many rows, and from so many k, `dot` beats tiles, which have to transpose B first. */
const DOT_MOST = 8
const DOT_DEEP = 256
/** Large rows that it takes at least. */
const DOT_ROWS_LEAST = 12

/** The product of one element type. */
class Multiplier {
  private readonly kernels: Kernels
  private readonly size: number
  /** Elements in 64 bytes. */
  private readonly wide: number
  private readonly blocked: Blocked
  /** Copies made for the product at hand: [pointer, bytes]. */
  private readonly temporaries: [number, number][] = []

  constructor(kernels: Kernels) {
    this.kernels = kernels
    this.size = kernels.element.bytes
    this.wide = 64 / this.size
    this.blocked = new Blocked(kernels)
  }

  run(args: MatmulArgs): void {
    if (args.m === 0 || args.n === 0) return
    if (args.bias !== 0 && args.accumulate) {
      // C += ones[m, 1] bias[1, n] first.
      const ones = { a: this.one(), aRow: 0, aCol: 0 }
      this.multiply(this.product({ ...args, ...ones, k: 1, b: args.bias, bRow: args.n, bCol: 1, bias: 0 }))
      this.multiply(this.product({ ...args, bias: 0 }))
    } else this.multiply(this.product(args))
    for (const [pointer, bytes] of this.temporaries) memory.release(pointer, bytes)
    this.temporaries.length = 0
  }

  private product(args: MatmulArgs): Product {
    const { m, n, k, a, b, c, bias } = args
    const size = this.size
    const cRow = args.cRow * size
    const [aRow, aColumn] = usableSteps(m, k, args.aRow * size, args.aCol * size, size)
    const [bRow, bColumn] = usableSteps(k, n, args.bRow * size, args.bCol * size, size)
    const init = args.accumulate ? c : bias !== 0 ? bias : area.zeros
    const initRow = args.accumulate ? cRow : 0
    const initColumn = init === area.zeros ? 0 : size
    return { m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn: size, init, initRow, initColumn }
  }

  private multiply(p: Product): void {
    const q = p.m <= p.n ? p : exchanged(p)
    if (p.k > 0 && q.m <= SKINNY_ROWS) this.fewRows(q)
    else if (q.m <= DOT_MOST && q.k >= DOT_DEEP && this.suitsDot(q)) this.dot(q)
    else if (p.k > 0 && p.k <= SKINNY_ROWS) this.stream(p)
    else this.blocked.run(this.withUnitSteps(p))
  }

  /** B is contiguous along k alone, and k long enough. */
  private suitsDot(p: Product): boolean {
    return p.bRow === this.size && p.bColumn !== this.size && p.k >= this.wide
  }

  /** m <= SKINNY_ROWS, and C may have any steps. */
  private fewRows(p: Product): void {
    if (p.n < this.wide || this.suitsDot(p)) this.dot(p)
    else if (p.cColumn === this.size && (p.initColumn === this.size || p.init === area.zeros)) this.stream(p)
    else {
      const cRow = p.n * this.size
      const c = this.temporary(p.m * cRow)
      this.stream({ ...p, c, cRow, cColumn: this.size, init: area.zeros, initRow: 0, initColumn: 0 })
      this.kernels.packing.scatter(p.n, p.m, c, cRow, p.c, p.cColumn, p.init, p.initColumn, p.initRow)
    }
  }

  /** C is contiguous along n, and init a row, a zero or C. */
  private stream(p: Product): void {
    const { m, n, k, cRow, initRow, initColumn } = p
    const [b, bRow] = this.rowsOf(k, n, p.b, p.bRow, p.bColumn)
    const most = STREAM_BYTES / this.size
    const group = streamRows(m, k)
    const rest = m % group
    for (let j = 0; j < n; j += most) {
      const part = { ...p, m: m - rest, n: Math.min(most, n - j), b: b + j * this.size, bRow }
      const [c, init] = [p.c + j * this.size, p.init + j * initColumn]
      this.streamRows({ ...part, c, init }, group)
      if (rest === 0) continue
      const i = m - rest
      this.streamRows({ ...part, m: rest, a: p.a + i * p.aRow, c: c + i * cRow, init: init + i * initRow }, rest)
    }
  }

  /** m is a multiple of `rows`. */
  private streamRows(p: Product, rows: number): void {
    const { m, n, k, aRow, aColumn, bRow, c, cRow, init, initColumn } = p
    let start: StreamStart = init === c ? 'c' : 'init'
    for (let l = 0; l < k; ) {
      const depth = streamDepth(rows, k - l)
      const times = start === 'init' ? 1 : Math.floor((k - l) / depth)
      const stream = this.kernels.stream(rows, depth, start)
      stream(m, n, times * depth, p.a + l * aColumn, aRow, aColumn, p.b + l * bRow, bRow, c, cRow, init, initColumn)
      l += times * depth
      start = 'c'
    }
  }

  private dot(p: Product): void {
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
          const dot = this.kernels.dot(atOnce, smallRows)
          dot(count, k, bj, bColumn, ai, aRow, c, cColumn, cRow, init, initColumn, initRow, area.sums)
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
    const copy = this.temporary(rows * step * this.size)
    if (row === this.size) packing.transpose(columns, step, rows, at, column, copy)
    else packing.gather(rows, columns, at, row, column, copy, step * this.size)
    return [copy, step * this.size]
  }

  /** A block until the end of the product at hand. */
  private temporary(bytes: number): number {
    const pointer = memory.alloc(bytes)
    this.temporaries.push([pointer, bytes])
    return pointer
  }

  /** Where a 1 of the element type is. */
  private one(): number {
    const { i32 } = memory.views
    const { one } = this.kernels.element
    i32[area.one / 4] = Number(BigInt.asIntN(32, one))
    i32[area.one / 4 + 1] = Number(BigInt.asIntN(32, one >> 32n))
    return area.one
  }
}
