// The passes and rotations that decompositions of matrices are made of, emitted as WebAssembly: vectors of two doubles in
// pairs, which V8 joins.
import { memory, reserved } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { BLOCK, CHUNK, GROUP, type Passes, reflectBlock, type Turns } from '../turns.ts'
import { F64, type Func, f64, f64x2, I32, i32, Module, v128 } from './assembler.ts'
import { addProduct, countdown, type Element, elementOf, grid, integers, load, multiplyAdd, setSum, store, vectors } from './element.ts' // biome-ignore format: one list
import { detect, type Host } from './features.ts'

/** What a pass does besides taking multiples of vectors from rows. */
type Then = 'dot' | 'sum'

/** What the module exports. */
type Exports = Passes & Pick<Turns, 'rotate' | 'reflectThree'>

function compile(host: Host): Exports {
  const element = elementOf('float64', host)
  const module = new Module(memory)
  emitPass(module, 'subtractTwoDot', element, 2, 'dot')
  emitPass(module, 'subtractDot', element, 1, 'dot')
  emitPass(module, 'subtractSum', element, 1, 'sum')
  emitRotate(module, element)
  emitThree(module, element)
  const compiled = new WebAssembly.Module(module.encode())
  return new WebAssembly.Instance(compiled, { env: { memory: memory.wasm } }).exports as unknown as Exports
}

/** This thread's functions. */
let own: Exports | null = null
const exportsOf = (): Exports => {
  own ??= compile(detect())
  return own
}

/** Nanoseconds of a rotation of a chunk, and of a reflection of a row's element. */
const ROTATION_NS = 3
const ELEMENT_NS = 0.1
/** Pieces should be so long (ns): between two of them the main thread works alone, and workers that wait may fall asleep. */
const LEAST_NS = 150_000

const rotating = routine('rotations', ([list, end, a, chunks, each], piece) => {
  const first = piece * each
  exportsOf().rotate(list, end, a + first * CHUNK * 8, Math.min(each, chunks - first))
})

const reflecting = routine('reflections', (args, piece) => {
  const [out, outStride, rows, n, identity, vectors, stride, taus, count, offset] = args
  const reflected = { out, outStride, rows, n, identity: identity === 1, vectors, stride, taus, count, offset }
  reflectBlock(exportsOf(), reflected, piece * BLOCK)
})

/** Compiles them. */
export function createTurns(): Turns {
  const { rotate, reflectThree, subtractTwoDot, subtractDot, subtractSum } = exportsOf()
  return {
    reflectThree,
    subtractTwoDot,
    subtractDot,
    subtractSum,
    rotate(list, end, a, chunks) {
      const pieces = Math.min(piecesFor(((end - list) / 16) * chunks * ROTATION_NS, LEAST_NS), chunks)
      if (pieces < 2) return rotate(list, end, a, chunks)
      const each = Math.ceil(chunks / pieces)
      parallel(rotating, [list, end, a, chunks, each], Math.ceil(chunks / each))
    },
    reflectRows(r) {
      const { out, outStride, rows, n, identity, vectors, stride, taus, count, offset } = r
      const blocks = Math.ceil(rows / BLOCK)
      if (blocks === 1 || piecesFor(rows * n * count * ELEMENT_NS, LEAST_NS) === 1) {
        for (let first = 0; first < rows; first += BLOCK) reflectBlock(exportsOf(), r, first)
      } else {
        const args = [out, outStride, rows, n, identity ? 1 : 0, vectors, stride, taus, count, offset]
        parallel(reflecting, args, blocks)
      }
    },
  }
}

/** Vectors of a group of elements, and rows that a turn takes. */
const PARTS = GROUP / 2
const ROWS = 2

/** Adds a pass: its parameters are rows, width, a and stride; of each multiple taken the factors and the vector; two more. */
function emitPass(module: Module, name: string, element: Element, taken: number, then: Then): void {
  const f = module.func(name, Array(6 + 2 * taken).fill(I32))
  const [rows, width, a, stride] = [0, 1, 2, 3]
  const factors = Array.from({ length: taken }, (_, i) => 4 + 2 * i)
  const columns = Array.from({ length: taken }, (_, i) => 5 + 2 * i)
  const [perRow, perColumn] = [4 + 2 * taken, 5 + 2 * taken]
  const [left, second, atFinal, scratch] = integers(f, 4)
  const cursors = integers(f, taken)
  const minus = grid(f, taken, ROWS)
  const scale = vectors(f, ROWS)
  const sums = grid(f, ROWS, PARTS)
  const line = grid(f, ROWS, PARTS)
  const column = vectors(f, PARTS)
  const atRows = [integers(f, 1)[0], second]
  f.i32(reserved.scratch).set(scratch)
  f.inc(rows, 1)
  countdown(f, rows, ROWS, () => {
    for (const [t, factor] of factors.entries()) {
      for (const [r, local] of minus[t].entries()) {
        f.get(factor)
          .mem(v128.load64Splat, r * 8)
          .op(f64x2.neg)
          .set(local)
      }
      f.inc(factor, 8 * ROWS)
    }
    if (then === 'sum') {
      for (const [r, local] of scale.entries())
        f.get(perRow)
          .mem(v128.load64Splat, r * 8)
          .set(local)
    } else for (const local of sums.flat()) f.f64x2(0).set(local)
    f.get(a).set(atRows[0])
    setSum(f, second, a, stride)
    for (const [t, c] of columns.entries()) f.get(c).set(cursors[t])
    f.get(perColumn).set(atFinal).get(width).set(left)
    countdown(f, left, GROUP, () => {
      for (const [r, at] of atRows.entries()) load(f, v128.load, at, line[r])
      for (const [t, cursor] of cursors.entries()) {
        load(f, v128.load, cursor, column)
        for (const [r, values] of line.entries()) multiplyAdd(f, element, values, minus[t][r], column)
        f.inc(cursor, GROUP * 8)
      }
      for (const [r, at] of atRows.entries()) store(f, at, line[r])
      load(f, v128.load, atFinal, column)
      if (then === 'dot') {
        for (const [r, values] of line.entries()) multiplyAdd(f, element, sums[r], values, column)
      } else {
        for (const [r, values] of line.entries()) multiplyAdd(f, element, column, scale[r], values)
        store(f, atFinal, column)
      }
      for (const at of [...atRows, atFinal]) f.inc(at, GROUP * 8)
    })
    if (then === 'dot') {
      // Halves of joined vectors are added up from memory: nothing else may take them apart.
      for (const [r, values] of sums.entries()) {
        store(f, scratch, values)
        f.get(perRow)
        for (let i = 0; i < GROUP; i++) {
          f.get(scratch).mem(f64.load, i * 8)
          if (i > 0) f.op(f64.add)
        }
        f.mem(f64.store, r * 8)
      }
    }
    f.inc(perRow, 8 * ROWS)
    addProduct(f, a, stride, ROWS)
  })
}

function emitThree(module: Module, element: Element): void {
  const f = module.func('reflectThree', [I32, I32, I32, F64, F64, F64])
  const [width, a, stride, tau, v2, v3] = Array(6).keys()
  const [v2s, v3s, t1, t2, t3] = vectors(f, 5)
  const rows = [a, ...integers(f, 2)]
  const lines = grid(f, 3, PARTS)
  const sums = vectors(f, PARTS)
  f.get(v2).op(f64x2.splat).set(v2s).get(v3).op(f64x2.splat).set(v3s)
  f.get(tau).op(f64.neg).op(f64x2.splat).set(t1)
  f.get(t1).get(v2s).op(f64x2.mul).set(t2).get(t1).get(v3s).op(f64x2.mul).set(t3)
  setSum(f, rows[1], a, stride)
  setSum(f, rows[2], rows[1], stride)
  countdown(f, width, GROUP, () => {
    for (const [i, row] of rows.entries()) load(f, v128.load, row, lines[i])
    for (const [i, sum] of sums.entries()) f.get(lines[0][i]).set(sum)
    multiplyAdd(f, element, sums, v2s, lines[1])
    multiplyAdd(f, element, sums, v3s, lines[2])
    for (const [i, row] of rows.entries()) {
      multiplyAdd(f, element, lines[i], [t1, t2, t3][i], sums)
      store(f, row, lines[i])
      f.inc(row, GROUP * 8)
    }
  })
}

function emitRotate(module: Module, element: Element): void {
  const f = module.func('rotate', Array(4).fill(I32))
  const [list, end, a, chunks] = [0, 1, 2, 3]
  const [at, row, count, step] = integers(f, 4)
  const parts = CHUNK / 2
  const kept = vectors(f, parts)
  const next = vectors(f, parts)
  const made = vectors(f, parts)
  const [c, s, minus] = vectors(f, 3)
  const header = (target: number, offset: number): void => {
    f.get(at).mem(f64.load, offset).op(i32.truncSatF64S).set(target)
  }
  countdown(f, chunks, 1, () => {
    f.get(list).set(at)
    f.block(() => {
      f.loop(() => {
        f.get(at).get(end).op(i32.geU).brIf(1)
        header(row, 0)
        setSum(f, row, row, a)
        header(count, 8)
        header(step, 16)
        f.inc(at, 24)
        load(f, v128.load, row, kept)
        countdown(f, count, 1, () => {
          f.get(at).mem(v128.load64Splat).set(c).get(at).mem(v128.load64Splat, 8).set(s)
          f.get(s).op(f64x2.neg).set(minus)
          rotation(f, element, { row, step, kept, next, made, c, s, minus })
          f.inc(at, 16)
        })
        store(f, row, kept)
        f.br(0)
      })
    })
    f.inc(a, CHUNK * 8)
  })
}

/** The locals of one rotation. */
interface Rotation {
  readonly row: number
  readonly step: number
  readonly kept: readonly number[]
  readonly next: readonly number[]
  readonly made: readonly number[]
  readonly c: number
  readonly s: number
  readonly minus: number
}

/** Stores the finished row and moves on to the next, which stays in `kept`. */
function rotation(f: Func, element: Element, { row, step, kept, next, made, c, s, minus }: Rotation): void {
  const old = row
  f.get(row).get(step).op(i32.add)
  const moved = f.local(I32)
  f.set(moved)
  load(f, v128.load, moved, next)
  for (const [i, local] of made.entries()) f.get(next[i]).get(s).op(f64x2.mul).set(local)
  multiplyAdd(f, element, made, c, kept)
  store(f, old, made)
  for (const local of next) f.get(local).get(c).op(f64x2.mul).set(local)
  multiplyAdd(f, element, next, minus, kept)
  for (const [i, local] of kept.entries()) f.get(next[i]).set(local)
  f.get(moved).set(row)
}
