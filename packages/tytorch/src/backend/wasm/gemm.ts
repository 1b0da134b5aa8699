// The micro-kernels of the matrix product and the loops that walk tiles with them, for any element type.
// A tile of C, `rows` x `vectors` of 16 bytes, lives in locals; what shapes V8's revectorizer accepts decides the code.
import { type Func, I32, i32, type Module, V128, v128 } from './assembler.ts'
import {
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

/** Columns in a panel of full width. */
export function panelWidth(element: Element): number {
  return element.vectors * element.lanes
}

/** Elements from one k to the next in a packed panel of A. */
export const PACKED_ROWS = 8

/** Rows of the next strip when `m` are left: a remainder is split evenly, for 4 + 3 rows are faster than 6 + 1. */
export function stripRows(m: number, rows: number): number {
  if (m >= 2 * rows) return rows
  return m <= rows ? m : (m + 1) >> 1
}

/**
 * Where a tile's A elements are: `rows` contiguous along k, `step` bytes between rows; `columns` contiguous along m,
 * `step` bytes between columns; `packed` in strips [k][PACKED_ROWS] (and B in panels [k][width]), `step` unused.
 */
export type Source = 'rows' | 'columns' | 'packed'

/**
 * C = init + A B for `panels` panels of B. Every `step` and `panel` is a distance in bytes: A's as Source says, of B
 * between rows and between panels, of C between rows, of init (which may be C) between rows (0 repeats one) and panels.
 */
export type Block = (
  m: number,
  panels: number,
  k: number,
  a: number,
  aStep: number,
  b: number,
  bStep: number,
  bPanel: number,
  c: number,
  cStep: number,
  init: number,
  initStep: number,
  initPanel: number,
) => void

/** One tile: (k, a, aStep, b, bStep, c, cStep, init, initStep). */
function emitKernel(module: Module, element: Element, source: Source, rows: number, width: number): Func {
  const f = module.func(null, Array(9).fill(I32))
  const [k, a, aStep, b, bStep, c, cStep, init, initStep] = Array(9).keys()
  const tile = grid(f, rows, width)
  const bs = vectors(f, width)
  const splat = f.local(V128)
  const aRows = source === 'rows' ? pointers(f, a, rows, aStep) : []
  const packed = source === 'packed'
  const packedA = PACKED_ROWS * element.bytes
  const packedB = width * 16

  const multiply = (step: number): void => {
    load(f, v128.load, b, bs, packed ? step * packedB : 0)
    if (!packed) setSum(f, b, b, bStep)
    for (const [row, sums] of tile.entries()) {
      if (source === 'rows') load(f, element.splat, aRows[row], [splat], step * element.bytes)
      else load(f, element.splat, a, [splat], row * element.bytes + (packed ? step * packedA : 0))
      multiplyAdd(f, element, sums, splat, bs)
    }
    if (source === 'columns') setSum(f, a, a, aStep)
  }
  const advance = (steps: number): void => {
    for (const pointer of aRows) f.inc(pointer, steps * element.bytes)
    if (packed) f.inc(a, steps * packedA).inc(b, steps * packedB)
  }

  for (const [row, sums] of tile.entries()) {
    if (row > 0) setSum(f, init, init, initStep)
    load(f, v128.load, init, sums)
  }
  for (const steps of [source === 'columns' ? 2 : 4, 1]) {
    countdown(f, k, steps, () => {
      for (let step = 0; step < steps; step++) multiply(step)
      advance(steps)
    })
  }
  for (const [row, sums] of tile.entries()) {
    if (row > 0) setSum(f, c, c, cStep)
    store(f, c, sums)
  }
  return f
}

/** Adds a `Block`, exported as `run`, over panels of `width` x 16 bytes: walks panels and, within each, strips of rows. */
export function emitBlock(module: Module, element: Element, source: Source, width: number): void {
  const kernels: Func[] = []
  for (let rows = 1; rows <= element.rows; rows++) kernels[rows] = emitKernel(module, element, source, rows, width)
  const f = module.func('run', Array(13).fill(I32))
  const [m, panels, k, a, aStep, b, bStep, bPanel, c, cStep, init, initStep, initPanel] = Array(13).keys()
  const [left, rows, atA, atC, atInit, aStrip] = integers(f, 6)

  const callKernel = (count: number): void => {
    const call = (): void => {
      for (const argument of [k, atA, aStep, b, bStep, atC, cStep, atInit, initStep]) f.get(argument)
      f.call(kernels[count])
    }
    if (count === 1) call()
    else
      f.get(rows)
        .i32(count)
        .op(i32.eq)
        .if(call, () => callKernel(count - 1))
  }
  const advanceA = (): void => {
    if (source === 'packed') f.get(k).i32(PACKED_ROWS * element.bytes)
    else if (source === 'rows') f.get(rows).get(aStep)
    else f.get(rows).i32(element.bytes)
    f.op(i32.mul).set(aStrip)
    setSum(f, atA, atA, aStrip)
  }

  countdown(f, panels, 1, () => {
    f.get(m).set(left).get(a).set(atA).get(c).set(atC).get(init).set(atInit)
    countdown(f, left, 1, () => {
      setStripRows(f, element.rows, left, rows)
      callKernel(element.rows)
      advanceA()
      for (const [pointer, step] of [
        [atC, cStep],
        [atInit, initStep],
      ]) {
        f.get(pointer).get(rows).get(step).op(i32.mul).op(i32.add).set(pointer)
      }
      // The countdown takes one off itself.
      f.get(left).get(rows).op(i32.sub).set(left).inc(left, 1)
    })
    setSum(f, b, b, bPanel)
    setSum(f, init, init, initPanel)
    f.inc(c, width * 16)
  })
}

/** `rows = stripRows(left, most)`. */
function setStripRows(f: Func, most: number, left: number, rows: number): void {
  f.i32(most).set(rows)
  f.get(left)
    .i32(2 * most)
    .op(i32.ltS)
    .if(() => {
      f.get(left)
      f.get(left).i32(1).op(i32.add).i32(1).op(i32.shrU)
      f.get(left).i32(most).op(i32.leS).select()
      f.set(rows)
    })
}
