// The matrix product by tiles: blocks of A and B that stay in a cache are read in place where that is as fast, or packed.
// Blocking follows Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication (2008).
import { type Cut, cutRows, PACKED_ROWS, panelWidth, type Source } from './gemm.ts'
import type { Kernels } from './kernels.ts'
import { STRIPS } from './pack.ts'
import { area, type Finishing, finishingFrom, type Product } from './product.ts'
import { Room, type Space } from './space.ts'

/** Depth of a block: a panel of B, BLOCK_K x 64 bytes, stays in the L1 cache. */
const BLOCK_K = 256
/** The same where A is read in place, which leaves more of the cache to B. */
const BLOCK_K_IN_PLACE = 384
/** The same where B is read in place too. */
const BLOCK_K_UNPACKED = 4096
/** Bytes of a column of A's block, BLOCK_M x BLOCK_K, which stays in the L2 cache. */
const BLOCK_M_BYTES = 768
/** Bytes of a row of B's block. */
const BLOCK_N_BYTES = 8192

/** Bytes of matrices of a batch that are packed before they are multiplied: they stay in the L2 cache. */
const BATCH_BYTES = 128 * 1024

/** A block of A as the kernels read it. */
interface Strips {
  readonly source: Source
  readonly at: number
  readonly step: number
}

/** A block of B as the kernels read it: whole panels, and one packed panel of `width` with the `tail` columns left over. */
interface Panels {
  readonly count: number
  readonly at: number
  readonly step: number
  readonly panel: number
  readonly tail: number
  readonly width: number
  readonly tailAt: number
  readonly tailStep: number
}

/** What a block of C starts from; steps in bytes. */
interface Start {
  readonly at: number
  readonly row: number
  readonly column: number
}

/** The routine for products with many rows, columns and k. */
export class Blocked {
  private readonly kernels: Kernels
  private readonly size: number
  private readonly width: number
  private readonly rows: number
  /** `cutRows` of the heights of blocks, which are few. */
  private readonly cuts: (readonly Cut[])[] = []
  private readonly packedA: Room
  private readonly packedB: Room

  /** Packs into rooms of `space`. */
  constructor(kernels: Kernels, space: Space) {
    this.kernels = kernels
    this.packedA = new Room(space)
    this.packedB = new Room(space)
    this.size = kernels.element.bytes
    this.width = panelWidth(kernels.element)
    this.rows = kernels.element.rows
  }

  /**
   * A, B and C are contiguous along a dimension each, C along n; k may be 0. Answers how many columns of C have had the
   * epilogue; the others hold plain sums.
   */
  run(p: Product): number {
    const { packA, packB, blockM, blockN, blockK } = this.blocking(p)
    this.packedA.open()
    this.packedB.open()
    for (let j = 0; j < p.n; j += blockN) {
      const n = Math.min(blockN, p.n - j)
      let l = 0
      do {
        const k = Math.min(blockK, p.k - l)
        const panels = this.panels(p, p.b + l * p.bRow + j * p.bColumn, n, k, packA, packB)
        for (let i = 0; i < p.m; i += blockM) {
          const m = Math.min(blockM, p.m - i)
          const strips = this.strips(p, p.a + i * p.aRow + l * p.aColumn, m, k, packA)
          const c = p.c + i * p.cRow + j * this.size
          const init = p.init + i * p.initRow + j * p.initColumn
          const start =
            l > 0 ? { at: c, row: p.cRow, column: this.size } : { at: init, row: p.initRow, column: p.initColumn }
          const finishing = l + k === p.k ? finishingFrom(p.epilogue, i, j) : null
          this.multiply(m, k, strips, panels, c, p.cRow, start, finishing)
        }
        l += k
      } while (l < p.k)
    }
    return p.epilogue ? p.n - (p.n % this.width) : p.n
  }

  /**
   * Products of `count` small matrices that lie so many bytes apart; false, with nothing done, if they are not small or
   * their columns make no whole panels, or half ones.
   */
  runBatch(p: Product, count: number, aStep: number, bStep: number, cStep: number): boolean {
    const { size, width } = this
    const { packA, packB, blockM, blockN, blockK } = this.blocking(p)
    const tail = p.n % width
    const alongN = p.bColumn === size
    if (packA || (packB && alongN) || p.m > blockM || p.n > blockN || p.k > blockK) return false
    if (p.init !== area.zeros || (tail !== 0 && tail !== width / 2)) return false
    const source = p.aColumn === size ? 'rows' : 'columns'
    const step = source === 'rows' ? p.aRow : p.aColumn
    const panels = (p.n - tail) / width
    const run = this.kernels.batch(source, p.m, this.cut(p.m), tail > 0)
    const { a, aRow, b, bRow, c, cRow } = p
    if (alongN) {
      run(count, panels, p.k, a, aRow, step, b, bRow, width * size, c, cRow, aStep, bStep, cStep, area.zeros)
      return true
    }
    if (tail > 0 && panels > 0) return false // panels of one width only, whose rows are equally far apart
    const bytes = p.k * p.n * size
    const atOnce = Math.max(1, Math.floor(BATCH_BYTES / bytes))
    const columns = tail > 0 ? tail : width
    this.packedB.open()
    const packed = this.packedB.ensure(Math.min(count, atOnce) * bytes)
    for (let i = 0; i < count; i += atOnce) {
      const many = Math.min(atOnce, count - i)
      for (let j = 0; j < many; j++) {
        this.kernels.packing.transpose(p.n, columns, p.k, b + (i + j) * bStep, p.bColumn, packed + j * bytes)
      }
      const [from, to, row] = [a + i * aStep, c + i * cStep, columns * size]
      run(many, panels, p.k, from, aRow, step, packed, row, p.k * row, to, cRow, aStep, bytes, cStep, area.zeros)
    }
    return true
  }

  /** Bytes of space that a batch needs. */
  needsBatch(p: Product): number {
    return this.needs(p) + Math.max(BATCH_BYTES, p.k * p.n * this.size)
  }

  /** Bytes of space that a product needs. */
  needs(p: Product): number {
    const { packA, blockM, blockN, blockK } = this.blocking(p)
    const k = Math.min(p.k, blockK)
    const a = packA ? k * PACKED_ROWS * (Math.ceil(Math.min(p.m, blockM) / this.rows) + 1) : 0
    return (a + k * (Math.min(p.n, blockN) + this.width)) * this.size + 128
  }

  private blocking(p: Product): {
    readonly packA: boolean
    readonly packB: boolean
    readonly blockM: number
    readonly blockN: number
    readonly blockK: number
  } {
    const packA = this.packsA(p)
    const packB = packA || this.packsB(p)
    return {
      packA,
      packB,
      blockM: evenly(p.m, BLOCK_M_BYTES / this.size, this.rows),
      blockN: packB ? BLOCK_N_BYTES / this.size : p.n,
      blockK: evenly(p.k, packA ? BLOCK_K : packB ? BLOCK_K_IN_PLACE : BLOCK_K_UNPACKED, 4),
    }
  }

  /** Along k, rows of A are as good in place but for the largest; along m, columns are not when they are many or far apart. */
  private packsA(p: Product): boolean {
    if (p.aColumn === this.size) return p.m * p.n * p.k >= 9e8
    return Math.min(p.m, p.n) >= 192 || (p.m > 24 && p.aColumn * p.k > 288 * 1024)
  }

  private packsB(p: Product): boolean {
    if (p.bColumn !== this.size) return true
    // Rows of B a power of two apart share few sets of the L1 cache, and stores to C drive out what is read next.
    if (p.bRow % 1024 === 0) {
      const least = p.bRow % 4096 === 0 ? 15 : p.bRow % 2048 === 0 ? 60 : 100
      if (p.m >= least) return true
    }
    return p.m > 72 && (p.k * p.bRow > 384 * 1024 || (p.m > 400 && p.bRow >= 1024))
  }

  private panels(p: Product, b: number, n: number, k: number, packA: boolean, pack: boolean): Panels {
    const panel = this.width * this.size
    const tail = n % this.width
    const whole = n - tail
    const width = tail > this.width / 2 ? this.width : this.width / 2
    // Kernels that read a packed A take packed panels of B only.
    const inPlace = tail === width && p.bColumn === this.size && !packA
    const copied = (pack ? whole : 0) + (tail > 0 && !inPlace ? width : 0)
    const packed = copied > 0 ? this.packedB.ensure(k * copied * this.size) : 0
    const tailAt = inPlace ? b + whole * this.size : pack ? packed + whole * k * this.size : packed
    if (tail > 0 && !inPlace) this.packTail(p, b + whole * p.bColumn, tail, width, k, tailAt)
    if (pack && whole > 0) this.packPanels(p, b, whole, k, packed)
    return {
      count: whole / this.width,
      at: pack ? packed : b,
      step: pack ? panel : p.bRow,
      panel: pack ? panel * k : panel,
      tail,
      width,
      tailAt,
      tailStep: inPlace ? p.bRow : width * this.size,
    }
  }

  private packPanels(p: Product, b: number, n: number, k: number, target: number): void {
    const { packing } = this.kernels
    if (p.bColumn === this.size) this.packWhole(n, this.width, k, b, p.bRow, target)
    else packing.transpose(n, this.width, k, b, p.bColumn, target)
  }

  private packTail(p: Product, b: number, n: number, width: number, k: number, target: number): void {
    const { packing } = this.kernels
    if (p.bColumn === this.size) packing.copy(k, n, width, b, p.bRow, target, width * this.size)
    else packing.transpose(n, width, k, b, p.bColumn, target)
  }

  private strips(p: Product, a: number, m: number, k: number, pack: boolean): Strips {
    const alongK = p.aColumn === this.size
    if (!pack) return alongK ? { source: 'rows', at: a, step: p.aRow } : { source: 'columns', at: a, step: p.aColumn }
    const { packing } = this.kernels
    const strip = k * PACKED_ROWS * this.size
    const at = this.packedA.ensure(strip * (Math.ceil(m / this.rows) + 1))
    let i = 0
    let to = at
    for (const { rows, strips } of this.cut(m)) {
      let s = 0
      if (!alongK && rows === this.rows) {
        // Every strip reads PACKED_ROWS elements of a column.
        const within = Math.min(strips, Math.floor((m - i - PACKED_ROWS) / rows) + 1)
        const groups = Math.max(0, Math.floor(within / STRIPS))
        if (groups > 0) packing.strips(groups, k, a + i * this.size, p.aColumn, to, strip)
        s = groups * STRIPS
        i += s * rows
        to += s * strip
      }
      for (; s < strips; s++) {
        const from = a + i * p.aRow
        if (alongK) packing.transpose(rows, PACKED_ROWS, k, from, p.aRow, to)
        else if (i + PACKED_ROWS <= m) this.packWhole(PACKED_ROWS, PACKED_ROWS, k, from, p.aColumn, to)
        else packing.copy(k, rows, rows, from, p.aColumn, to, PACKED_ROWS * this.size)
        i += rows
        to += strip
      }
    }
    return { source: 'packed', at, step: 0 }
  }

  /** Packs n columns, a multiple of `width`, which is 32 or 64 bytes. */
  private packWhole(n: number, width: number, k: number, source: number, step: number, target: number): void {
    const { panels2, panels4 } = this.kernels.packing
    const pack = width * this.size === 64 ? panels4 : panels2
    pack(n / width, k, source, step, target)
  }

  private multiply(
    m: number,
    k: number,
    a: Strips,
    b: Panels,
    c: number,
    cRow: number,
    start: Start,
    epilogue: Finishing | null,
  ): void {
    const { size, width } = this
    if (b.count > 0) this.walk(m, k, a, b.count, width, b.at, b.step, b.panel, c, cRow, start, epilogue)
    if (b.tail === 0) return
    const whole = b.count * width
    const from = start.at + whole * start.column
    if (b.tail === b.width) {
      this.walk(m, k, a, 1, b.width, b.tailAt, b.tailStep, 0, c + whole * size, cRow, { ...start, at: from }, null)
      return
    }
    // The tail is computed in a tile of its own, for C must not be overrun.
    const { packing } = this.kernels
    const step = b.width * size
    let tailStart: Start = { at: area.zeros, row: 0, column: 0 }
    if (start.row > 0) {
      tailStart = { at: area.tail, row: step, column: size }
      packing.copy(m, b.tail, b.tail, from, start.row, area.tail, step)
    } else if (start.column > 0) {
      tailStart = { at: area.tailStart, row: 0, column: size }
      packing.copy(1, b.tail, b.tail, from, 0, area.tailStart, step)
    }
    this.walk(m, k, a, 1, b.width, b.tailAt, step, 0, area.tail, step, tailStart, null)
    packing.copy(m, b.tail, b.tail, area.tail, step, c + whole * size, cRow)
  }

  private walk(
    m: number,
    k: number,
    a: Strips,
    count: number,
    width: number,
    b: number,
    bStep: number,
    bPanel: number,
    c: number,
    cRow: number,
    start: Start,
    epilogue: Finishing | null,
  ): void {
    const kernels = epilogue ? this.kernels.storing(epilogue.value, epilogue.operands.length) : this.kernels
    let i = 0
    const { source, step } = a
    let at = a.at
    let ci = c
    let init = start.at
    for (const { rows, strips } of this.cut(m)) {
      const strip = source === 'packed' ? k * PACKED_ROWS * this.size : rows * (source === 'rows' ? step : this.size)
      const block = kernels.block(source, rows, width)
      const operands = epilogue?.operands.flatMap((o) => [o.at + i * o.row, o.row]) ?? []
      const initPanel = width * start.column
      block(strips, count, k, at, strip, step, b, bStep, bPanel, ci, cRow, init, start.row, initPanel, ...operands)
      i += rows * strips
      at += strip * strips
      ci += cRow * rows * strips
      init += start.row * rows * strips
    }
  }

  private cut(m: number): readonly Cut[] {
    return (this.cuts[m] ??= cutRows(m, this.rows))
  }
}

/** The length of equal parts of at most `limit` that make up `total`, rounded up to a multiple if there are several. */
function evenly(total: number, limit: number, multiple: number): number {
  if (total <= limit) return total
  return Math.ceil(total / Math.ceil(total / limit) / multiple) * multiple
}
