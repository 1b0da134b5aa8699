// Kernels of the matrix product for a few rows or a few k: `stream` where the large operand is contiguous along n,
// `dot` where it is contiguous along k. The small operand may have any strides in the first, contiguous rows in the second.
import { type Func, I32, i32, type Module, type Op, v128 } from './assembler.ts'
import {
  addProduct,
  countdown,
  type Element,
  grid,
  integers,
  load,
  multiplyAdd,
  pointers,
  setSum,
  store,
  vectors,
} from './element.ts'
import { cursors, emitFinishRow, type Finish, Finisher, finishOperands, finishParameters, isLong } from './finish.ts'

/** Rows of the small operand that one pass of `stream` or `dot` takes. */
export const SKINNY_ROWS = 4

/** Vectors of a row that a turn of a stream's loop takes: moving its pointers is most of what is left to save. */
const WALK = 8

/** What a stream kernel adds to: a row (or one zero) for all rows of C, or C itself. */
export type StreamStart = 'init' | 'c'

/**
 * C = init + A B, or C += A B, for a multiple of the kernel's rows and of its depth (the depth itself with an init).
 * Steps are in bytes; B, C and init are contiguous along n (initColumn 0: one zero). Rows of B are read front to back, a
 * few at once.
 */
export type Stream = (
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
  init: number,
  initColumn: number,
  /** Of each operand of the epilogue: its pointer and the bytes between its rows. */
  ...operands: number[]
) => void

/**
 * C[i, j] = init[i, j] + sum over k of large[i, k] small[j, k], for i < m and j < the kernel's number of small rows:
 * both operands are contiguous along k, C and init have any steps. `scratch` is 16 vectors of 32 bytes.
 */
export type Dot = (
  m: number,
  k: number,
  large: number,
  largeRow: number,
  small: number,
  smallRow: number,
  c: number,
  cRow: number,
  cColumn: number,
  init: number,
  initRow: number,
  initColumn: number,
  scratch: number,
  /** Of each operand of the epilogue: its pointer and its steps along m and along the small rows. */
  ...operands: number[]
) => void

/** How many k a stream kernel of so many rows may take at once: their A elements stay in registers. */
const STREAM_DEPTHS: Record<number, readonly number[]> = { 1: [8, 4, 2, 1], 2: [4, 2, 1], 3: [3, 2, 1], 4: [2, 1] }

/** How many large rows `dot` should take at once with so many small rows. */
export function dotRows(smallRows: number): number {
  return [6, 4, 3, 2][smallRows - 1]
}

/** The rows that `stream` should take at once: what reads and writes least for each multiplication. */
export function streamRows(m: number, k: number): number {
  const most = k <= 2 ? 4 : k === 3 || m === 3 ? 3 : 2
  return Math.min(m, most)
}

/** The k that `stream` should take at once when so many are left. */
export function streamDepth(rows: number, k: number): number {
  return STREAM_DEPTHS[rows].find((depth) => depth <= k)!
}

/** Adds a `Stream` that takes so many rows and k at once, exported as `run`. */
export function emitStream(
  module: Module,
  element: Element,
  rows: number,
  depth: number,
  start: StreamStart,
  finish: Finish | null,
): void {
  // The constants of a long expression would take registers from the sums: it is computed when rows of C are done.
  const apart = finish && isLong(finish.value) ? emitFinishRow(module, finish) : null
  const kernel = emitStreamKernel(module, element, rows, depth, start, apart ? null : finish)
  const f = module.func('run', [...Array(12).fill(I32), ...finishParameters(finish, 1)])
  const operands = finishOperands(finish, 12, 1)
  const [m, n, k, a, aRow, aColumn, b, bRow, c, cRow, init, initColumn] = Array(12).keys()
  const [left, atA, atC] = integers(f, 3)
  // All rows before the next k, so that the rows of B are still in the L1 cache.
  countdown(f, k, depth, () => {
    f.get(m).set(left).get(a).set(atA).get(c).set(atC)
    const atOperands = cursors(f, operands)
    countdown(f, left, rows, () => {
      for (const argument of [n, atA, aRow, aColumn, b, bRow, atC, cRow, init, initColumn]) f.get(argument)
      if (!apart) for (const [i, [, step]] of operands.entries()) f.get(atOperands[i]).get(step)
      f.call(kernel)
      if (!apart) for (const [i, [, step]] of operands.entries()) addProduct(f, atOperands[i], step, rows)
      else {
        for (let row = 0; row < rows; row++) {
          f.get(n).get(atC)
          for (let i = row; i > 0; i--) f.get(cRow).op(i32.add)
          for (const local of atOperands) f.get(local)
          f.call(apart)
          for (const [i, [, step]] of operands.entries()) setSum(f, atOperands[i], atOperands[i], step)
        }
      }
      addProduct(f, atA, aRow, rows)
      addProduct(f, atC, cRow, rows)
    })
    addProduct(f, a, aColumn, depth)
    addProduct(f, b, bRow, depth)
  })
}

/** `rows` rows of C by `depth` of k: the parameters are those of `Stream` without m and k. */
function emitStreamKernel(
  module: Module,
  element: Element,
  rows: number,
  depth: number,
  start: StreamStart,
  finish: Finish | null,
): Func {
  const f = module.func(null, [...Array(10).fill(I32), ...finishParameters(finish, 1)])
  const finisher = new Finisher(f, element, finish)
  const [n, a, aRow, aColumn, b, bRow, c, cRow, init, initColumn] = Array(10).keys()
  const splats = grid(f, rows, depth)
  const parts = joined(element)
  const sums = grid(f, rows, parts)
  const bs = vectors(f, parts)
  const [atA, initStep] = integers(f, 2)

  for (const row of splats) {
    f.get(a).set(atA)
    for (const splat of row) {
      load(f, element.splat, atA, [splat])
      setSum(f, atA, atA, aColumn)
    }
    setSum(f, a, a, aRow)
  }
  const bRows = pointers(f, b, depth, bRow)
  const cRows = pointers(f, c, rows, cRow)
  const finishing = finishOperands(finish, 10, 1).map(([pointer, step]) => pointers(f, pointer, rows, step))
  const operandsOf = (row: number): number[] => finishing.map((list) => list[row])

  const accumulate = (count: number, op: Op, at: number): void => {
    for (let row = 0; row < rows; row++) {
      load(f, op, start === 'init' ? init : cRows[row], sums[row].slice(0, count), at)
    }
    for (let i = 0; i < depth; i++) {
      load(f, op, bRows[i], bs.slice(0, count), at)
      for (let row = 0; row < rows; row++) multiplyAdd(f, element, sums[row].slice(0, count), splats[row][i], bs)
    }
  }
  const walk = (columns: number, body: () => void): void => {
    if (start === 'init') f.get(initColumn).i32(columns).op(i32.mul).set(initStep)
    countdown(f, n, columns, () => {
      body()
      for (const pointer of [...bRows, ...cRows, ...finishing.flat()]) f.inc(pointer, columns * element.bytes)
      if (start === 'init') setSum(f, init, init, initStep)
    })
  }

  for (const vectors of [WALK, 2]) {
    walk(vectors * element.lanes, () => {
      for (let at = 0; at < vectors * 16; at += parts * 16) {
        accumulate(parts, v128.load, at)
        for (let row = 0; row < rows; row++) finisher.store(cRows[row], sums[row], operandsOf(row), at)
      }
    })
  }
  walk(element.lanes, () => {
    accumulate(1, v128.load, 0)
    for (let row = 0; row < rows; row++) finisher.store(cRows[row], [sums[row][0]], operandsOf(row))
  })
  walk(1, () => {
    accumulate(1, element.loadFirst, 0)
    for (let row = 0; row < rows; row++) finisher.storeFirst(cRows[row], sums[row][0], operandsOf(row))
  })
  finisher.done()
  return f
}

/** Adds a `Dot` that takes so many large rows at once (m is a multiple of them), exported as `run`. */
export function emitDot(
  module: Module,
  element: Element,
  rows: number,
  smallRows: number,
  finish: Finish | null,
): void {
  const kernel = emitDotKernel(module, element, rows, smallRows, finish)
  const f = module.func('run', [...Array(13).fill(I32), ...finishParameters(finish, 2)])
  const finishing = finishOperands(finish, 13, 2)
  const [m, ...own] = Array(13).keys()
  const operands = [...own, ...finishing.flat()]
  const [, large, largeRow, , , c, cRow, , init, initRow] = operands
  countdown(f, m, rows, () => {
    for (const operand of operands) f.get(operand)
    f.call(kernel)
    addProduct(f, large, largeRow, rows)
    addProduct(f, c, cRow, rows)
    addProduct(f, init, initRow, rows)
    for (const [pointer, step] of finishing) addProduct(f, pointer, step, rows)
  })
}

/** `rows` large rows by `smallRows`; the parameters are those of `Dot` without m. */
function emitDotKernel(module: Module, element: Element, rows: number, smallRows: number, finish: Finish | null): Func {
  const f = module.func(null, [...Array(12).fill(I32), ...finishParameters(finish, 2)])
  const finisher = new Finisher(f, element, finish)
  const operands = finishOperands(finish, 12, 2)
  const [k, large, largeRow, small, smallRow, c, cRow, cColumn, init, initRow, initColumn, scratch] = Array(12).keys()
  const parts = joined(element)
  const as = vectors(f, parts)
  const bs = grid(f, smallRows, parts)
  const wide = Array.from({ length: rows }, () => grid(f, smallRows, parts))
  const sums = grid(f, rows, smallRows)
  const [atC, atInit, ...atOperands] = integers(f, 2 + operands.length)
  const largeRows = pointers(f, large, rows, largeRow)
  const smallRowsAt = pointers(f, small, smallRows, smallRow)
  const advance = (bytes: number): void => {
    for (const pointer of [...largeRows, ...smallRowsAt]) f.inc(pointer, bytes)
  }

  countdown(f, k, parts * element.lanes, () => {
    for (const [j, b] of bs.entries()) load(f, v128.load, smallRowsAt[j], b)
    for (const [i, row] of wide.entries()) {
      load(f, v128.load, largeRows[i], as)
      for (const [j, sum] of row.entries()) multiplyAdd(f, element, sum, as, bs[j])
    }
    advance(parts * 16)
  })
  // Without a store of the pair the revectorizer has nothing to start from, so halves are added up from memory.
  for (const [i, sum] of wide.flat().entries()) store(f, scratch, sum, i * 32)
  for (const [i, sum] of sums.flat().entries()) {
    load(f, v128.load, scratch, [sum], i * 32)
    if (parts === 2)
      f.get(sum)
        .get(scratch)
        .mem(v128.load, i * 32 + 16)
        .op(element.add)
        .set(sum)
  }
  countdown(f, k, 1, () => {
    for (const [j, b] of bs.entries()) load(f, element.loadFirst, smallRowsAt[j], [b[0]])
    for (const [i, row] of sums.entries()) {
      load(f, element.loadFirst, largeRows[i], [as[0]])
      for (const [j, sum] of row.entries()) multiplyAdd(f, element, [sum], as[0], bs[j])
    }
    advance(element.bytes)
  })
  for (const row of sums) {
    f.get(c).set(atC).get(init).set(atInit)
    for (const [i, [pointer]] of operands.entries()) f.get(pointer).set(atOperands[i])
    for (const sum of row) {
      addLanes(f, element, sum)
      f.get(atInit).mem(element.loadFirst).get(sum).op(element.add).set(sum)
      finisher.storeFirst(atC, sum, atOperands)
      setSum(f, atC, atC, cColumn)
      setSum(f, atInit, atInit, initColumn)
      for (const [i, [, , step]] of operands.entries()) setSum(f, atOperands[i], atOperands[i], step)
    }
    setSum(f, c, c, cRow)
    setSum(f, init, init, initRow)
    for (const [pointer, step] of operands) setSum(f, pointer, pointer, step)
  }
  finisher.done()
  return f
}

/** How many vectors to compute at once: what the revectorizer joins into one register. */
function joined(element: Element): 1 | 2 {
  return element.vectors === 4 ? 2 : 1
}

/** Leaves the sum of a vector's lanes in all of them. */
function addLanes(f: Func, element: Element, vector: number): void {
  f.get(vector).get(vector).get(vector).shuffle64([1, 0]).op(element.add).set(vector)
  if (element.lanes === 4) f.get(vector).get(vector).get(vector).shuffle32([1, 0, 3, 2]).op(element.add).set(vector)
}
