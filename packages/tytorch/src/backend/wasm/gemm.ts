// The micro-kernels of the matrix product and the loops that walk tiles with them, for any element type.
// A tile of C, `rows` x `vectors` of 16 bytes, lives in locals; what shapes V8's revectorizer accepts decides the code.
import { type Func, I32, type Module, V128, v128 } from './assembler.ts'
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
  vectors,
} from './element.ts'
import { type Finish, Finisher, finishOperands, finishParameters } from './finish.ts'

/** Columns in a panel of full width. */
export function panelWidth(element: Element): number {
  return element.vectors * element.lanes
}

/** Elements from one k to the next in a packed panel of A. */
export const PACKED_ROWS = 8

/** So many strips of so many rows. */
export interface Cut {
  readonly rows: number
  readonly strips: number
}

/** Cuts m rows into strips of at most `most`; the last two share the rest evenly, for 4 + 3 rows are faster than 6 + 1. */
export function cutRows(m: number, most: number): readonly Cut[] {
  if (m <= most) return [{ rows: m, strips: 1 }]
  if (m % most === 0) return [{ rows: most, strips: m / most }]
  const full = Math.floor(m / most) - 1
  const rest = m - full * most
  const upper = Math.ceil(rest / 2)
  const cuts = [
    { rows: most, strips: full },
    { rows: upper, strips: 1 },
    { rows: rest - upper, strips: 1 },
  ]
  return cuts.filter((cut) => cut.strips > 0)
}

/**
 * Where a tile's A elements are: `rows` contiguous along k, `step` bytes between rows; `columns` contiguous along m,
 * `step` bytes between columns; `packed` in strips [k][PACKED_ROWS] (and B in panels [k][width]), `step` unused.
 */
export type Source = 'rows' | 'columns' | 'packed'

/**
 * C = init + A B for strips of so many rows and panels of so many columns. Distances are in bytes: of A between strips
 * and, as Source says, within them; of B between rows and panels; of C between rows; of init, which may be C, between
 * rows (0 repeats one) and panels.
 */
export type Block = (
  strips: number,
  panels: number,
  k: number,
  a: number,
  aStrip: number,
  aStep: number,
  b: number,
  bStep: number,
  bPanel: number,
  c: number,
  cStep: number,
  init: number,
  initStep: number,
  initPanel: number,
  /** Of each operand of the epilogue: its pointer and the bytes between its rows. */
  ...operands: number[]
) => void

/** One tile: (k, a, aStep, b, bStep, c, cStep, init, initStep, and pointer and step of each operand of the epilogue). */
export function emitTile(
  module: Module,
  element: Element,
  source: Source,
  rows: number,
  width: number,
  finish: Finish | null,
): Func {
  const f = module.func(null, [...Array(9).fill(I32), ...finishParameters(finish, 1)])
  const operands = finishOperands(finish, 9, 1)
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
  for (const steps of [4, 1]) {
    countdown(f, k, steps, () => {
      for (let step = 0; step < steps; step++) multiply(step)
      advance(steps)
    })
  }
  // Not sooner: its constants would take registers from the tile.
  const finisher = new Finisher(f, element, finish)
  for (const [row, sums] of tile.entries()) {
    if (row > 0) {
      setSum(f, c, c, cStep)
      for (const [pointer, step] of operands) setSum(f, pointer, pointer, step)
    }
    finisher.store(
      c,
      sums,
      operands.map(([pointer]) => pointer),
    )
  }
  finisher.done()
  return f
}

/** Adds a `Block`, exported as `run`, for strips of `rows` and panels of `width` x 16 bytes. */
export function emitBlock(
  module: Module,
  element: Element,
  source: Source,
  rows: number,
  width: number,
  finish: Finish | null,
): void {
  const kernel = emitTile(module, element, source, rows, width, finish)
  const f = module.func('run', [...Array(14).fill(I32), ...finishParameters(finish, 1)])
  const operands = finishOperands(finish, 14, 1)
  const [strips, panels, k, a, aStrip, aStep, b, bStep, bPanel, c, cStep, init, initStep, initPanel] = Array(14).keys()
  const [left, atA, atC, atInit, ...atOperands] = integers(f, 4 + operands.length)
  countdown(f, panels, 1, () => {
    f.get(strips).set(left).get(a).set(atA).get(c).set(atC).get(init).set(atInit)
    for (const [i, [pointer]] of operands.entries()) f.get(pointer).set(atOperands[i])
    countdown(f, left, 1, () => {
      for (const argument of [k, atA, aStep, b, bStep, atC, cStep, atInit, initStep]) f.get(argument)
      for (const [i, [, step]] of operands.entries()) f.get(atOperands[i]).get(step)
      f.call(kernel)
      for (const [i, [, step]] of operands.entries()) addProduct(f, atOperands[i], step, rows)
      setSum(f, atA, atA, aStrip)
      addProduct(f, atC, cStep, rows)
      addProduct(f, atInit, initStep, rows)
    })
    setSum(f, b, b, bPanel)
    setSum(f, init, init, initPanel)
    f.inc(c, width * 16)
    for (const [pointer] of operands) f.inc(pointer, width * 16)
  })
}
