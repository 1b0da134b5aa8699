// The matrix product of the CPU devices: its arguments brought to one form, batches, and large products shared out to
// threads by panels of C.
import type { Device, MatmulArgs, MatmulEpilogue } from '../device.ts'
import { finish } from '../epilogue.ts'
import { memory } from '../memory.ts'
import { getNumThreads, parallel, piecesFor, routine } from '../pool.ts'
import { publish, published } from './code.ts'
import { elementOf, type MatmulDType } from './element.ts'
import { Exact } from './exact.ts'
import type { Host } from './features.ts'
import { finishes } from './finish.ts'
import { type FinishRows, Kernels } from './kernels.ts'
import { type Later, Multiplier } from './multiplier.ts'
import { area, type Finishing, type Product, usableSteps } from './product.ts'
import { Arena, Heap } from './space.ts'

const withoutEpilogue = (): never => {
  throw new Error('nothing is given here that could run an epilogue')
}

/** A function computing C = A B (+ C) (+ bias) as `MatmulArgs` says, and the epilogue; integers wrap around. */
export type Matmul = (dtype: MatmulDType, args: MatmulArgs, epilogue?: MatmulEpilogue) => void

/** The matrix product with the kernels that suit a host; `launch` runs what of an epilogue they can't. */
export function createMatmul(host: Host, launch: Device['launch'] = withoutEpilogue): Matmul {
  const products: Partial<Record<MatmulDType, Products>> = {}
  const run: Matmul = (dtype, args, epilogue) => {
    products[dtype] ??= new Products(dtype, host, (value, block) => finish(launch, dtype, value, block), exact)
    products[dtype].run(args, epilogue)
  }
  const exact = new Exact(run)
  return run
}

/** Multiplications that a piece should have at least, and the k: with less, C takes more time to write than to compute. */
const PIECE_PRODUCTS = 250_000
const PIECE_DEPTH = 8

const names: readonly MatmulDType[] = ['float32', 'float64', 'int32', 'int64']

/** What pieces on this thread compute with, by dtype and host. */
interface Bench {
  readonly kernels: Kernels
  readonly arena: Arena
  readonly multiplier: Multiplier
}
const benches: Bench[] = []

function benchOf(index: number): Bench {
  let found = benches[index]
  if (!found) {
    const host = { relaxed: (index & 1) !== 0, revectorize: (index & 2) !== 0 }
    const kernels = new Kernels(elementOf(names[index >> 2], host), host)
    const arena = new Arena()
    found = { kernels, arena, multiplier: new Multiplier(kernels, arena, withoutEpilogue) }
    benches[index] = found
  }
  return found
}

/** Which dimension of the task is cut: rows of C, columns of C, or the batch. */
const [ROWS, COLUMNS, BATCH] = [0, 1, 2]

const productPiece = routine('matrix product', (args, piece, scratch) => {
  // Indices, not destructuring: an iterator over a typed array takes as long as a small piece.
  const axis = args[2]
  const chunk = args[3]
  const aStep = args[5]
  const bStep = args[6]
  const cStep = args[7]
  const cAt = args[17]
  const start = args[20]
  const { arena, multiplier } = benchOf(args[0])
  arena.open(scratch, args[1])
  const first = piece * chunk
  const i = axis === ROWS ? first : 0
  const j = axis === COLUMNS ? first : 0
  const l = axis === BATCH ? first : 0
  const product: Product = {
    m: axis === ROWS ? Math.min(chunk, args[8] - first) : args[8],
    n: axis === COLUMNS ? Math.min(chunk, args[9] - first) : args[9],
    k: args[10],
    a: args[11] + i * args[12] + l * aStep,
    aRow: args[12],
    aColumn: args[13],
    b: args[14] + j * args[16] + l * bStep,
    bRow: args[15],
    bColumn: args[16],
    c: cAt + i * args[18] + j * args[19] + l * cStep,
    cRow: args[18],
    cColumn: args[19],
    // Every thread has its own zeros, by whose address routines know them.
    init: start === 0 ? area.zeros : start + i * args[21] + j * args[22] + (start === cAt ? l * cStep : 0),
    initRow: args[21],
    initColumn: args[22],
    epilogue: null,
  }
  if (axis === BATCH) multiplier.runBatch(product, Math.min(chunk, args[4] - first), aStep, bStep, cStep)
  else multiplier.run(product)
  if (args[23] === 0) return
  const operands: number[] = []
  for (let o = 0; o < args[25]; o++) {
    const row = args[27 + 2 * o]
    operands.push(args[26 + 2 * o] + i * row + j * args[19], row)
  }
  published<FinishRows>(args[23], args[24])(product.m, product.n, product.c, product.cRow, ...operands)
})

/** The products of one element type. */
class Products {
  private readonly index: number
  private readonly size: number
  private readonly kernels: Kernels
  private readonly multiplier: Multiplier
  private readonly later: Later
  /** What computes integers by floats, or null. */
  private readonly exact: Exact | null

  constructor(dtype: MatmulDType, host: Host, later: Later, exact: Exact) {
    this.later = later
    this.exact = dtype === 'int64' ? exact : null
    this.index = names.indexOf(dtype) * 4 + (host.revectorize ? 2 : 0) + (host.relaxed ? 1 : 0)
    this.kernels = benchOf(this.index).kernels
    this.size = this.kernels.element.bytes
    this.multiplier = new Multiplier(this.kernels, new Heap(), later)
  }

  run(args: MatmulArgs, epilogue?: MatmulEpilogue): void {
    const { batch } = args
    if (args.m === 0 || args.n === 0 || batch?.count === 0) return
    if (args.bias !== 0 && args.accumulate) {
      // C += ones[m, 1] bias[1, n] first.
      const ones = { a: this.one(), aRow: 0, aCol: 0 }
      const added = batch && { ...batch, a: 0, b: 0 }
      this.multiply({
        ...args,
        ...ones,
        k: 1,
        b: args.bias,
        bRow: args.n,
        bCol: 1,
        bias: 0,
        ...(added && { batch: added }),
      })
      this.multiply({ ...args, bias: 0 }, epilogue)
    } else this.multiply(args, epilogue)
  }

  private multiply(args: MatmulArgs, given?: MatmulEpilogue): void {
    const p = this.product(args)
    const { batch } = args
    if (this.exact?.run(args)) {
      this.finishLater(p, given)
      return
    }
    const products = p.m * p.n * p.k * (batch ? batch.count : 1)
    if (products >= 2 * PIECE_PRODUCTS && p.k >= (batch ? 1 : PIECE_DEPTH) && getNumThreads() > 1) {
      const inPieces = given && !batch && finishes(given.value, this.size) ? this.finishing(given) : null
      if (this.share({ ...p, epilogue: inPieces }, products, args)) {
        if (!inPieces) this.finishLater(p, given)
        return
      }
    }
    if (batch) this.multiplier.runBatch(p, batch.count, batch.a * this.size, batch.b * this.size, batch.c * this.size)
    else this.multiplier.run(given ? { ...p, epilogue: this.finishing(given) } : p)
  }

  private finishLater(p: Product, given?: MatmulEpilogue): void {
    const epilogue = this.finishing(given)
    if (epilogue) this.later(epilogue.value, { ...p, operands: epilogue.operands })
  }

  private finishing(given?: MatmulEpilogue): Finishing | null {
    if (!given) return null
    const { size } = this
    return {
      value: given.value,
      operands: given.operands.map((o) => ({ at: o.pointer, row: o.row * size, column: size })),
    }
  }

  /** Computes a product on several threads; false if it can't be cut. */
  private share(p: Product, products: number, { batch }: MatmulArgs): boolean {
    const pieces = piecesFor(products, PIECE_PRODUCTS)
    const axis = batch && batch.count >= pieces ? BATCH : this.axisFor(p, pieces)
    // A batch of few products that are large each is cut product by product.
    if (batch && axis !== BATCH) {
      for (let i = 0; i < batch.count; i++) {
        const [a, b, c] = [p.a + i * batch.a * this.size, p.b + i * batch.b * this.size, p.c + i * batch.c * this.size]
        const one = { ...p, a, b, c, init: p.init === p.c ? c : p.init }
        const least = 2 * PIECE_PRODUCTS * batch.count
        if (products < least || !this.cut(one, axis, pieces, null)) this.multiplier.run(one)
      }
      return true
    }
    return this.cut(p, axis, pieces, batch ?? null)
  }

  /** What is cut: rows if A has to be turned for its tiles and is the larger, for each piece turns what it needs. */
  private axisFor(p: Product, pieces: number): number {
    const { rows, lanes, vectors } = this.kernels.element
    if (p.aColumn !== this.size && p.m >= p.n && p.m >= 8 * pieces * rows) return ROWS
    return axisOf(p.m / rows, p.n / (lanes * vectors), pieces)
  }

  private cut(p: Product, axis: number, pieces: number, batch: MatmulArgs['batch'] | null): boolean {
    const { rows, lanes, vectors } = this.kernels.element
    const total = axis === ROWS ? p.m : axis === COLUMNS ? p.n : batch!.count
    const unit = axis === ROWS ? rows : axis === COLUMNS ? lanes * vectors : 1
    const chunk = Math.ceil(total / pieces / unit) * unit
    const count = Math.ceil(total / chunk)
    if (count === 1) return false
    const largest = { ...p, m: axis === ROWS ? chunk : p.m, n: axis === COLUMNS ? chunk : p.n }
    // The last piece is smaller, but smaller products may be cut into larger blocks.
    const rest = total - (count - 1) * chunk
    const last = { ...p, m: axis === ROWS ? rest : p.m, n: axis === COLUMNS ? rest : p.n }
    const needs = (q: Product): number => (axis === BATCH ? this.multiplier.needsBatch(q) : this.multiplier.needs(q))
    const bytes = Math.max(needs(largest), needs(last))
    const steps = batch ? [batch.count, batch.a * this.size, batch.b * this.size, batch.c * this.size] : [1, 0, 0, 0]
    const { m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn, init, initRow, initColumn } = p
    const start = init === area.zeros ? 0 : init
    const matrices = [m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn, start, initRow, initColumn]
    parallel(productPiece, [this.index, bytes, axis, chunk, ...steps, ...matrices, ...this.inPieces(p)], count, bytes)
    return true
  }

  /** What pieces are told of an epilogue: its code, and each operand's address and row. */
  private inPieces({ epilogue }: Product): number[] {
    if (!epilogue) return [0]
    const { value, operands } = epilogue
    const { rows } = this.kernels.storing(value, operands.length)
    return [publish(rows), rows.bytes.length, operands.length, ...operands.flatMap((o) => [o.at, o.row])]
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
    const start = { init, initRow, initColumn }
    return { m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn: size, ...start, epilogue: null }
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

/** Rows or columns: what can be shared out more evenly, in tiles; columns where there is little between them, for A is often read in place. */
function axisOf(strips: number, panels: number, pieces: number): number {
  const evenness = (units: number): number => units / (pieces * Math.ceil(Math.ceil(units) / pieces))
  return evenness(panels) >= evenness(strips) - 0.04 ? COLUMNS : ROWS
}
