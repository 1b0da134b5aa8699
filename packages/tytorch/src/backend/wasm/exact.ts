// int64 products by floating-point kernels: where no sum can leave the integers that a float holds, they are exact, and
// several times as fast as 64-bit multiplications, which AVX2 lacks.
import type { MatmulArgs } from '../device.ts'
import { memory } from '../memory.ts'
import { F64, type Func, f32x4, f64, f64x2, I32, i32x4, i64, i64x2, Module, v128 } from './assembler.ts'
import { countdown, integers, load, setSum, vectors } from './element.ts'
import type { Matmul } from './matmul.ts'

/** Up to which magnitude a float32's integers are exact, and the ones of a float64 that `MAGIC` converts. */
const EXACT32 = 2 ** 24
const EXACT64 = 2 ** 51
/** x + MAGIC, for |x| < EXACT64, has x in the low bits of its mantissa. */
const MAGIC = 1.5 * 2 ** 52
const MAGIC_BITS = 0x4338000000000000n
/** Multiplications that a product should have at least, and as many for each element of A, B and C. */
const LEAST_PRODUCTS = 8192
const LEAST_REUSE = 3
/** Up to so many k C is computed in blocks of so many bytes. */
const FEW_K = 32
const BLOCK_BYTES = 128 * 1024
/** Elements that a turn of a loop takes. */
const TURN = 8

/** Rows of int64 are converted to contiguous ones of floats. */
type Narrow = (rows: number, n: number, source: number, step: number, target: number) => void
/** target = init + source for rows of floats that lie `sourceStep` bytes apart and int64s; init may be target. */
type Widen = (
  rows: number,
  n: number,
  source: number,
  sourceStep: number,
  target: number,
  step: number,
  init: number,
  initStep: number,
) => void

interface Conversions {
  /** A number that all magnitudes are at most one above. */
  bound(rows: number, n: number, source: number, step: number): number
  readonly narrow32: Narrow
  readonly narrow64: Narrow
  readonly widen32: Widen
  readonly widen64: Widen
  /** The same without an init, which is not read. */
  readonly store32: Widen
  readonly store64: Widen
}

/** One operand: matrices whose rows (or columns, if `turned`) are contiguous; steps in elements. */
interface Operand {
  readonly count: number
  readonly step: number
  readonly rows: number
  readonly n: number
  readonly at: number
  readonly row: number
  readonly turned: boolean
}

/** int64 products of `matmul`'s kernels for floats. */
export class Exact {
  private readonly matmul: Matmul
  private made: Conversions | null = null

  constructor(matmul: Matmul) {
    this.matmul = matmul
  }

  /** Computes C if that can be done exactly and pays, else answers false. */
  run(args: MatmulArgs): boolean {
    const { m, n, k, batch } = args
    const count = batch?.count ?? 1
    const products = count * m * n * k
    if (products < LEAST_PRODUCTS || products < LEAST_REUSE * count * (m * k + k * n + m * n)) return false
    const a = operandOf(m, k, args.a, args.aRow, args.aCol, count, batch?.a ?? 0)
    const b = operandOf(k, n, args.b, args.bRow, args.bCol, count, batch?.b ?? 0)
    if (!a || !b) return false
    const bound = (this.bound(a) + 1) * (this.bound(b) + 1) * k
    if (bound > EXACT64) return false
    this.multiply(args, a, b, bound > EXACT32)
    return true
  }

  private get conversions(): Conversions {
    return (this.made ??= compile())
  }

  private bound(o: Operand): number {
    let most = 0
    eachPart(o, (rows, n, at, step) => {
      most = Math.max(most, this.conversions.bound(rows, n, at, step))
    })
    return most
  }

  private multiply(args: MatmulArgs, a: Operand, b: Operand, double: boolean): void {
    const { m, n, k, batch, c, bias, accumulate } = args
    const count = batch?.count ?? 1
    const size = double ? 8 : 4
    // Doubles are computed where the integers will be, unless these are added to.
    const inPlace = double && !accumulate
    // With few k the floats of C are most of the work: as many rows at a time as stay in the L2 cache.
    const most = batch || inPlace || k > FEW_K ? m : Math.min(m, Math.ceil(BLOCK_BYTES / (n * size)))
    const sizes = [a.count * a.rows * a.n, b.count * b.rows * b.n, inPlace ? 0 : count * most * n].map((e) => e * size)
    const bytes = sizes[0] + sizes[1] + sizes[2]
    const space = memory.alloc(bytes)
    try {
      const [atA, atB, atC] = [space, space + sizes[0], inPlace ? c : space + sizes[0] + sizes[1]]
      this.narrow(a, atA, double)
      this.narrow(b, atB, double)
      const [aRow, aCol] = a.turned ? [1, a.n] : [a.n, 1]
      const [bRow, bCol] = b.turned ? [1, b.n] : [b.n, 1]
      const cRow = inPlace ? args.cRow : n
      const cStep = inPlace ? (batch?.c ?? 0) : m * n
      const many = batch && { batch: { count, a: stepOf(a), b: stepOf(b), c: cStep } }
      const { widen32, widen64, store32, store64 } = this.conversions
      const plain = !accumulate && bias === 0
      const widen = double ? (plain ? store64 : widen64) : plain ? store32 : widen32
      for (let i = 0; i < m; i += most) {
        const rows = Math.min(most, m - i)
        const factors = { a: atA + i * aRow * size, aRow, aCol, b: atB, bRow, bCol, bias: 0, accumulate: false }
        this.matmul(double ? 'float64' : 'float32', { m: rows, n, k, ...factors, c: atC, cRow, ...many })
        for (let j = 0; j < count; j++) {
          const to = c + (i * args.cRow + j * (batch?.c ?? 0)) * 8
          const init = accumulate ? to : bias
          const initStep = accumulate ? args.cRow * 8 : 0
          widen(rows, n, atC + j * cStep * size, cRow * size, to, args.cRow * 8, init, initStep)
        }
      }
    } finally {
      memory.release(space, bytes)
    }
  }

  private narrow(o: Operand, target: number, double: boolean): void {
    const { narrow32, narrow64 } = this.conversions
    let to = target
    eachPart(o, (rows, n, at, step) => {
      if (double) narrow64(rows, n, at, step, to)
      else narrow32(rows, n, at, step, to)
      to += rows * n * (double ? 8 : 4)
    })
  }
}

/** A matrix, or a batch of them, that is contiguous along a dimension, or null. */
function operandOf(
  rows: number,
  columns: number,
  at: number,
  row: number,
  column: number,
  count: number,
  step: number,
): Operand | null {
  const many = { count: step === 0 ? 1 : count, step, at }
  if (column === 1 || columns === 1) return { ...many, rows, n: columns, row, turned: false }
  return row === 1 || rows === 1 ? { ...many, rows: columns, n: rows, row: column, turned: true } : null
}

/** Elements between the copies of a batch's matrices. */
function stepOf(o: Operand): number {
  return o.step === 0 ? 0 : o.rows * o.n
}

/** Calls with the rows of an operand, their elements, address and step in bytes, in as few parts as they make. */
function eachPart(o: Operand, visit: (rows: number, n: number, at: number, step: number) => void): void {
  if (o.count > 1 && o.step !== o.rows * o.row) {
    for (let i = 0; i < o.count; i++) eachPart({ ...o, count: 1, at: o.at + i * o.step * 8 }, visit)
    return
  }
  const rows = o.count * o.rows
  if (o.row === o.n) visit(1, rows * o.n, o.at, 0)
  else visit(rows, o.n, o.at, o.row * 8)
}

function compile(): Conversions {
  const module = new Module({ shared: memory.shared, maximum: memory.maximum })
  emitBound(module)
  for (const bytes of [4, 8] as const) {
    emitNarrow(module, bytes)
    emitWiden(module, bytes, true)
    emitWiden(module, bytes, false)
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  return instance.exports as unknown as Conversions
}

/** Loops over rows of `n`: `turn` takes TURN elements, `single` one, at the pointers of the list, which it need not move. */
function emitRows(
  f: Func,
  rows: number,
  n: number,
  pointers: readonly {
    readonly start: number
    readonly step: number | null
    readonly at: number
    readonly bytes: number
  }[],
  turn: () => void,
  single: () => void,
): void {
  const [left] = integers(f, 1)
  for (const p of pointers) if (p.step === null) f.get(p.start).set(p.at)
  countdown(f, rows, 1, () => {
    f.get(n).set(left)
    for (const p of pointers) if (p.step !== null) f.get(p.start).set(p.at)
    countdown(f, left, TURN, () => {
      turn()
      for (const p of pointers) f.inc(p.at, TURN * p.bytes)
    })
    countdown(f, left, 1, () => {
      single()
      for (const p of pointers) f.inc(p.at, p.bytes)
    })
    for (const p of pointers) if (p.step !== null) setSum(f, p.start, p.start, p.step)
  })
}

function emitBound(module: Module): void {
  const f = module.func('bound', Array(4).fill(I32), [F64])
  const [rows, n, source, step] = Array(4).keys()
  const [at] = integers(f, 1)
  const [all, x] = vectors(f, 2)
  // x ^ (x < 0 ? -1 : 0) is x, or -x - 1.
  const gather = (): void => {
    f.get(x).get(x).i64x2(0n).op(i64x2.ltS).op(v128.xor).get(all).op(v128.or).set(all)
  }
  emitRows(
    f,
    rows,
    n,
    [{ start: source, step, at, bytes: 8 }],
    () => {
      for (let i = 0; i < TURN; i += 2) {
        f.get(at)
          .mem(v128.load, i * 8)
          .set(x)
        gather()
      }
    },
    () => {
      f.get(at).mem(v128.load64Zero).set(x)
      gather()
    },
  )
  f.get(all).lane(i64x2.extractLane, 0).get(all).lane(i64x2.extractLane, 1).op(i64.or).op(f64.convertI64S)
}

function emitNarrow(module: Module, bytes: 4 | 8): void {
  const f = module.func(bytes === 4 ? 'narrow32' : 'narrow64', Array(5).fill(I32))
  const [rows, n, source, step, target] = Array(5).keys()
  const [from, to] = integers(f, 2)
  const wide = vectors(f, TURN / 2)
  const toDouble = (vector: number): void => {
    f.get(vector).i64x2(MAGIC_BITS).op(i64x2.add).f64x2(MAGIC).op(f64x2.sub)
  }
  emitRows(
    f,
    rows,
    n,
    [
      { start: source, step, at: from, bytes: 8 },
      { start: target, step: null, at: to, bytes },
    ],
    () => {
      load(f, v128.load, from, wide)
      for (let i = TURN / 2 - 1; i >= 0; i -= bytes === 4 ? 2 : 1) {
        f.get(to)
        if (bytes === 8) toDouble(wide[i])
        else
          f.get(wide[i - 1])
            .get(wide[i])
            .shuffle32([0, 2, 4, 6])
            .op(f32x4.convertI32x4S)
        f.mem(v128.store, bytes === 8 ? i * 16 : (i - 1) * 8)
      }
    },
    () => {
      load(f, v128.load64Zero, from, [wide[0]])
      f.get(to)
      if (bytes === 8) toDouble(wide[0])
      else f.get(wide[0]).op(f32x4.convertI32x4S)
      f.memLane(bytes === 8 ? v128.store64Lane : v128.store32Lane, 0)
    },
  )
}

function emitWiden(module: Module, bytes: 4 | 8, adds: boolean): void {
  const f = module.func(`${adds ? 'widen' : 'store'}${bytes * 8}`, Array(8).fill(I32))
  const [rows, n, source, sourceStep, target, step, init, initStep] = Array(8).keys()
  const [from, to, start] = integers(f, 3)
  const [x, sign] = vectors(f, 2)
  const store = (at: number, one: boolean, value: () => void): void => {
    f.get(to)
    value()
    if (adds)
      f.get(start)
        .mem(one ? v128.load64Zero : v128.load, at)
        .op(i64x2.add)
    if (one) f.memLane(v128.store64Lane, 0, at)
    else f.mem(v128.store, at)
  }
  const longs = (): void => {
    f.get(x).f64x2(MAGIC).op(f64x2.add).i64x2(MAGIC_BITS).op(i64x2.sub)
  }
  const signed = (): void => {
    f.get(x).op(i32x4.truncSatF32x4S).tee(x).i32(31).op(i32x4.shrS).set(sign)
  }
  const half = (high: boolean): void => {
    f.get(x)
      .get(sign)
      .shuffle32(high ? [2, 6, 3, 7] : [0, 4, 1, 5])
  }
  const pointers = [
    { start: source, step: sourceStep, at: from, bytes },
    { start: target, step, at: to, bytes: 8 },
    ...(adds ? [{ start: init, step: initStep, at: start, bytes: 8 }] : []),
  ]
  emitRows(
    f,
    rows,
    n,
    pointers,
    () => {
      for (let i = 0; i < TURN; i += 16 / bytes) {
        f.get(from)
          .mem(v128.load, i * bytes)
          .set(x)
        if (bytes === 8) store(i * 8, false, longs)
        else {
          signed()
          store(i * 8, false, () => half(false))
          store(i * 8 + 16, false, () => half(true))
        }
      }
    },
    () => {
      f.get(from)
        .mem(bytes === 8 ? v128.load64Zero : v128.load32Zero)
        .set(x)
      if (bytes === 4) signed()
      store(0, true, bytes === 8 ? longs : () => half(false))
    },
  )
}
