// The matrix product of the CPU devices: looks at shapes and strides, and picks kernels, packing and blocking.
// Kernels are emitted a module at a time when a product first needs them.
import type { MatmulArgs } from '../device.ts'
import { memory, reserved } from '../memory.ts'
import { Module } from './assembler.ts'
import { type Element, elementOf, type MatmulDType } from './element.ts'
import type { Host } from './features.ts'
import { type Block, emitBlock, PACKED_ROWS, panelWidth, type Source, stripRows } from './gemm.ts'
import { emitPacking, type Packing, type PackPanels } from './pack.ts'
import { type Dot, emitDot, emitStream, SKINNY_ROWS, type Stream, streamRows } from './skinny.ts'

/** A function computing C = A B (+ C) (+ bias) as `MatmulArgs` says; integers wrap around. */
export type Matmul = (dtype: MatmulDType, args: MatmulArgs) => void

/** The matrix product with the kernels that suit a host. */
export function createMatmul(host: Host): Matmul {
  const multipliers: Partial<Record<MatmulDType, Multiplier>> = {}
  return (dtype, args) => {
    multipliers[dtype] ??= new Multiplier(elementOf(dtype, host))
    multipliers[dtype].run(args)
  }
}

// Areas below reserved.end. Nothing writes to ZEROS: it is what accumulators start from.
const ZEROS = reserved.tiles
const ONE = reserved.tiles + 256
const TAIL_INIT = reserved.tiles + 512
const SCRATCH = reserved.tiles + 1024
const TILE = reserved.tiles + 2048

/** Depth of a block: a panel of B, BLOCK_K x 64 bytes, stays in the L1 cache. */
const BLOCK_K = 256
/** The same where A is read in place, which leaves more of the cache to B. */
const BLOCK_K_IN_PLACE = 384
/** Bytes of a column of A's block, BLOCK_M x BLOCK_K, which stays in the L2 cache. */
const BLOCK_M_BYTES = 768
/** Bytes of a row of B's block. */
const BLOCK_N_BYTES = 8192
/** Depth of a block where nothing is packed but the tail of B. */
const DEEPEST = 4096
/** Bytes of a row that `stream` takes at once, so that the rows of C it adds to stay in the L1 cache. */
const STREAM_BYTES = 4096
/** Bytes of the large operand that `dot` takes at once, so that they stay in the L2 cache for the next small rows. */
const DOT_BYTES = 1 << 18
/** Large rows that it takes at least. */
const DOT_ROWS_LEAST = 12

/** C = init + A B; steps in bytes. init may be C, a row (initRow 0) or one zero (both 0). */
interface Product {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly a: number
  readonly aRow: number
  readonly aColumn: number
  readonly b: number
  readonly bRow: number
  readonly bColumn: number
  readonly c: number
  readonly cRow: number
  readonly cColumn: number
  readonly init: number
  readonly initRow: number
  readonly initColumn: number
}

/** The product of one element type. */
class Multiplier {
  private readonly element: Element
  private readonly size: number
  private readonly width: number
  private readonly blocks: Record<Source, Block[]> = { rows: [], columns: [], packed: [] }
  private readonly streams: Stream[] = []
  private readonly dots: Dot[] = []
  private readonly packedA = new Workspace()
  private readonly packedB = new Workspace()
  /** Copies made for the product at hand: [pointer, bytes]. */
  private readonly temporaries: [number, number][] = []
  private packing: Packing | null = null

  constructor(element: Element) {
    this.element = element
    this.size = element.bytes
    this.width = panelWidth(element)
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
    const init = args.accumulate ? c : bias !== 0 ? bias : ZEROS
    const initRow = args.accumulate ? cRow : 0
    const initColumn = init === ZEROS ? 0 : size
    return { m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn: size, init, initRow, initColumn }
  }

  private multiply(p: Product): void {
    if (p.k > 0 && (p.m <= SKINNY_ROWS || p.n <= SKINNY_ROWS)) this.fewRows(p.m <= p.n ? p : exchanged(p))
    else if (p.k > 0 && p.k <= SKINNY_ROWS) this.stream(p)
    else this.blocked(p)
  }

  /** m <= SKINNY_ROWS, and C may have any steps. */
  private fewRows(p: Product): void {
    const alongK = p.bRow === this.size && p.bColumn !== this.size
    if (alongK || p.n < 4 * this.element.lanes) this.dot(p)
    else if (p.cColumn === this.size && (p.initColumn === this.size || p.init === ZEROS)) this.stream(p)
    else {
      const cRow = p.n * this.size
      const c = this.temporary(p.m * cRow)
      this.stream({ ...p, c, cRow, cColumn: this.size, init: ZEROS, initRow: 0, initColumn: 0 })
      this.packer.scatter(p.n, p.m, c, cRow, p.c, p.cColumn, p.init, p.initColumn, p.initRow)
    }
  }

  /** C is contiguous along n, and init a row, a zero or C. */
  private stream(p: Product): void {
    const { m, n, k, a, aRow, aColumn, cRow, initColumn } = p
    const [b, bRow] = this.rowsOf(k, n, p.b, p.bRow, p.bColumn)
    const most = STREAM_BYTES / this.size
    const group = streamRows(m, k)
    const rest = m % group
    for (let j = 0; j < n; j += most) {
      const columns = Math.min(most, n - j)
      const bj = b + j * this.size
      const init = p.init === p.c ? 0 : p.init + j * initColumn
      for (const [i, rows] of [
        [0, m - rest],
        [m - rest, rest],
      ]) {
        if (rows === 0) continue
        const c = p.c + i * cRow + j * this.size
        const stream = this.streamOf(Math.min(rows, group))
        stream(rows, columns, k, a + i * aRow, aRow, aColumn, bj, bRow, c, cRow, init, initColumn)
      }
    }
  }

  private dot(p: Product): void {
    const { m, n, k, cRow, cColumn, initRow, initColumn } = p
    const [a, aRow] = this.rowsOf(m, k, p.a, p.aRow, p.aColumn)
    const [b, bColumn] = this.rowsOf(n, k, p.b, p.bColumn, p.bRow)
    const most = Math.max(DOT_ROWS_LEAST, Math.floor(DOT_BYTES / (k * this.size)))
    for (let j = 0; j < n; j += most) {
      const columns = Math.min(most, n - j)
      for (let i = 0; i < m; i += SKINNY_ROWS) {
        const dot = this.dotOf(Math.min(SKINNY_ROWS, m - i))
        const [bj, ai] = [b + j * bColumn, a + i * aRow]
        const c = p.c + i * cRow + j * cColumn
        const init = p.init + i * initRow + j * initColumn
        dot(columns, k, bj, bColumn, ai, aRow, c, cColumn, cRow, init, initColumn, initRow, SCRATCH)
      }
    }
  }

  /** Tiles: A and B are read in place where that is as fast, or packed in blocks that stay in a cache. */
  private blocked(given: Product): void {
    const p = this.withUnitSteps(given)
    const { m, n, k } = p
    const { packA, packB, blockM, blockN, blockK } = this.plan(p)
    const source: Source = packA ? 'packed' : p.aColumn === this.size ? 'rows' : 'columns'
    for (let j = 0; j < n; j += blockN) {
      const columns = Math.min(blockN, n - j)
      const tail = columns % this.width
      const full = columns - tail
      let l = 0
      do {
        const depth = Math.min(blockK, k - l)
        const part = l === 0 ? p : { ...p, init: p.c, initRow: p.cRow, initColumn: this.size }
        const b = p.b + l * p.bRow + j * p.bColumn
        const bTo = packB || tail > 0 ? this.packedB.ensure(depth * (full + this.width) * this.size) : 0
        if (packB) this.packPanels(p, b, full, depth, bTo)
        const tailAt = bTo + (packB ? full * depth * this.size : 0)
        const tailWidth = tail > this.width / 2 ? this.width : this.width / 2
        if (tail > 0) this.packTail(p, b + full * p.bColumn, tail, tailWidth, depth, tailAt)
        for (let i = 0; i < m; i += blockM) {
          const rows = Math.min(blockM, m - i)
          let a = p.a + i * p.aRow + l * p.aColumn
          if (packA) a = this.packRows(p, a, rows, depth)
          const aStep = source === 'columns' ? p.aColumn : p.aRow
          const c = p.c + i * p.cRow + j * this.size
          const init = part.init + i * part.initRow + j * part.initColumn
          if (full > 0) {
            const panel = this.width * this.size
            const [bAt, bStep, bPanel] = packB ? [bTo, panel, panel * depth] : [b, p.bRow, panel]
            const initPanel = this.width * part.initColumn
            const panels = full / this.width
            const block = this.blockOf(source, this.width)
            block(rows, panels, depth, a, aStep, bAt, bStep, bPanel, c, p.cRow, init, part.initRow, initPanel)
          }
          if (tail > 0) {
            const block = this.blockOf(source, tailWidth)
            const cTail = c + full * this.size
            const initTail = init + full * part.initColumn
            this.tail(block, rows, tail, tailWidth, depth, a, aStep, tailAt, cTail, p.cRow, initTail, part.initRow)
          }
        }
        l += depth
      } while (l < k)
    }
  }

  /** Columns that fill no panel: computed in a tile of the scratch area and copied out, for C must not be overrun. */
  private tail(
    block: Block,
    rows: number,
    n: number,
    width: number,
    k: number,
    a: number,
    aStep: number,
    b: number,
    c: number,
    cRow: number,
    init: number,
    initRow: number,
  ): void {
    const step = width * this.size
    const start = initRow > 0 ? TILE : init === ZEROS ? ZEROS : TAIL_INIT
    if (start !== ZEROS) this.packer.copy(initRow > 0 ? rows : 1, n, n, init, initRow, start, step)
    block(rows, 1, k, a, aStep, b, step, 0, TILE, step, start, initRow > 0 ? step : 0, 0)
    this.packer.copy(rows, n, n, TILE, step, c, cRow)
  }

  private plan(p: Product): { packA: boolean; packB: boolean; blockM: number; blockN: number; blockK: number } {
    const { m, n, k } = p
    const columns = p.aColumn !== this.size
    const packA = columns ? m > 24 && p.aColumn * k > 288 * 1024 : m * n * k >= 9e8
    const packB = packA || p.bColumn !== this.size || (m > 72 && k * p.bRow > 384 * 1024)
    const limitM = BLOCK_M_BYTES / this.size
    const limitK = packA ? BLOCK_K : packB ? BLOCK_K_IN_PLACE : DEEPEST
    const blockM = evenly(m, limitM, this.element.rows)
    const blockN = packB ? BLOCK_N_BYTES / this.size : n
    return { packA, packB, blockM, blockN, blockK: evenly(k, limitK, 4) }
  }

  private packPanels(p: Product, b: number, n: number, k: number, target: number): void {
    if (n === 0) return
    if (p.bColumn === this.size) this.panelPacker(this.width)(n / this.width, k, b, p.bRow, target)
    else this.packer.transpose(n, this.width, k, b, p.bColumn, target)
  }

  private packTail(p: Product, b: number, n: number, width: number, k: number, target: number): void {
    if (p.bColumn === this.size) this.packer.copy(k, n, width, b, p.bRow, target, width * this.size)
    else this.packer.transpose(n, width, k, b, p.bColumn, target)
  }

  /** Packs strips of A as the tile kernels will walk them; answers where. */
  private packRows(p: Product, a: number, m: number, k: number): number {
    const strip = k * PACKED_ROWS * this.size
    const target = this.packedA.ensure(strip * Math.ceil(m / this.element.rows + 1))
    let to = target
    for (let i = 0; i < m; to += strip) {
      const rows = stripRows(m - i, this.element.rows)
      const from = a + i * p.aRow
      if (p.aColumn === this.size) this.packer.transpose(rows, PACKED_ROWS, k, from, p.aRow, to)
      else if (i + PACKED_ROWS <= m) this.panelPacker(PACKED_ROWS)(1, k, from, p.aColumn, to)
      else this.packer.copy(k, rows, rows, from, p.aColumn, to, PACKED_ROWS * this.size)
      i += rows
    }
    return target
  }

  /** The same product with operands whose elements lie side by side along one dimension. */
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
    const { lanes } = this.element
    const step = Math.ceil(columns / lanes) * lanes
    const copy = this.temporary(rows * step * this.size)
    if (row === this.size) this.packer.transpose(columns, step, rows, at, column, copy)
    else this.packer.gather(rows, columns, at, row, column, copy, step * this.size)
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
    i32[ONE / 4] = Number(BigInt.asIntN(32, this.element.one))
    i32[ONE / 4 + 1] = Number(BigInt.asIntN(32, this.element.one >> 32n))
    return ONE
  }

  /** The kernels over panels of `width` columns. */
  private blockOf(source: Source, width: number): Block {
    const vectors = width / this.element.lanes
    this.blocks[source][vectors] ??= instantiate<Block>((module) => emitBlock(module, this.element, source, vectors))
    return this.blocks[source][vectors]
  }

  private streamOf(rows: number): Stream {
    this.streams[rows] ??= instantiate<Stream>((module) => emitStream(module, this.element, rows))
    return this.streams[rows]
  }

  private dotOf(rows: number): Dot {
    this.dots[rows] ??= instantiate<Dot>((module) => emitDot(module, this.element, rows))
    return this.dots[rows]
  }

  private panelPacker(width: number): PackPanels {
    return width * this.size === 64 ? this.packer.panels4 : this.packer.panels2
  }

  private get packer(): Packing {
    this.packing ??= exportsOf<Packing>((module) => emitPacking(module, this.element))
    return this.packing
  }
}

/** A block that grows to the largest size asked for and is kept: a training loop packs into warm memory. */
class Workspace {
  private pointer = 0
  private bytes = 0

  ensure(bytes: number): number {
    if (bytes > this.bytes) {
      if (this.bytes > 0) memory.release(this.pointer, this.bytes)
      this.pointer = memory.alloc(bytes)
      this.bytes = bytes
    }
    return this.pointer
  }
}

/** C^T = B^T A^T, in place of C = A B. */
function exchanged(p: Product): Product {
  return {
    m: p.n,
    n: p.m,
    k: p.k,
    a: p.b,
    aRow: p.bColumn,
    aColumn: p.bRow,
    b: p.a,
    bRow: p.aColumn,
    bColumn: p.aRow,
    c: p.c,
    cRow: p.cColumn,
    cColumn: p.cRow,
    init: p.init,
    initRow: p.initColumn,
    initColumn: p.initRow,
  }
}

/** Steps of a matrix, where the step of a dimension of one element is chosen so that the other may be contiguous. */
function usableSteps(rows: number, columns: number, row: number, column: number, size: number): [number, number] {
  if (columns === 1) return row === size ? [size, rows * size] : [row, size]
  if (rows === 1) return column === size ? [columns * size, size] : [size, column]
  return [row, column]
}

/** The length of equal parts of at most `limit` that make up `total`, rounded up to a multiple if there are several. */
function evenly(total: number, limit: number, multiple: number): number {
  if (total <= limit) return total
  return Math.ceil(total / Math.ceil(total / limit) / multiple) * multiple
}

/** The exports of a module that `emit` writes. */
function exportsOf<Exports>(emit: (module: Module) => void): Exports {
  const module = new Module({ shared: memory.shared, maximum: memory.maximum })
  emit(module)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  return instance.exports as Exports
}

/** The function `run` of a module that `emit` writes. */
function instantiate<Kernel>(emit: (module: Module) => void): Kernel {
  return exportsOf<{ run: Kernel }>(emit).run
}
