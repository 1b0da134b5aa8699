// Copies that bring operands of the matrix product into the order its kernels read: packed panels, rows, transposes.
// All steps are distances in bytes.
import { type Func, I32, i32, type Module, v128 } from './assembler.ts'
import {
  addProduct,
  copyOne,
  countdown,
  type Element,
  integers,
  load,
  pointers,
  setSum,
  store,
  vectors,
} from './element.ts'
import { PACKED_ROWS } from './gemm.ts'

/** Packs whole panels from rows of `step` bytes. */
export type PackPanels = (panels: number, k: number, source: number, step: number, target: number) => void

/** Strips of A that are packed at once: a cache line of a column holds parts of several, and would be gone until the next. */
export const STRIPS = 4

/** The exports of the packing module. */
export interface Packing {
  /** Copies rows of `n` elements and fills each up to `width` with zeros. */
  copy(rows: number, n: number, width: number, source: number, step: number, target: number, targetStep: number): void
  /** Packs panels [k][32 bytes], which lie side by side in a matrix contiguous along n. */
  readonly panels2: PackPanels
  /** The same of 64 bytes. */
  readonly panels4: PackPanels
  /** Packs groups of STRIPS strips [k][PACKED_ROWS], `strip` bytes apart, of a matrix contiguous along m; strips overlap in the source. */
  strips(groups: number, k: number, source: number, step: number, target: number, strip: number): void
  /** Packs panels [k][width] from n columns contiguous along k; the last column is repeated up to a multiple of width. */
  transpose(n: number, width: number, k: number, source: number, step: number, target: number): void
  /** Copies a matrix of any strides to rows contiguous along n. */
  gather(
    rows: number,
    n: number,
    source: number,
    rowStep: number,
    columnStep: number,
    target: number,
    targetStep: number,
  ): void
  /** target[i, j] = init[i, j] + source[j, i], for i < rows and j < n; source's rows are contiguous, and so are init's. */
  scatter(
    rows: number,
    n: number,
    source: number,
    step: number,
    target: number,
    targetStep: number,
    init: number,
    initStep: number,
    initColumn: number,
  ): void
}

/** Adds the functions of `Packing`. */
export function emitPacking(module: Module, element: Element): void {
  emitCopy(module, element)
  emitPanels(module, 2)
  emitPanels(module, 4)
  emitStrips(module, element)
  emitTranspose(module, element)
  emitGather(module, element)
  emitScatter(module, element)
}

function emitCopy(module: Module, element: Element): void {
  const f = module.func('copy', Array(7).fill(I32))
  const [rows, n, width, source, step, target, targetStep] = Array(7).keys()
  const [left, from, to] = integers(f, 3)
  countdown(f, rows, 1, () => {
    f.get(n).set(left).get(source).set(from).get(target).set(to)
    countdown(f, left, element.lanes, () => {
      f.get(to).get(from).mem(v128.load).mem(v128.store)
      f.inc(from, 16).inc(to, 16)
    })
    countdown(f, left, 1, () => {
      copyOne(f, element, to, from)
      f.inc(from, element.bytes).inc(to, element.bytes)
    })
    f.get(width).get(n).op(i32.sub).set(left)
    countdown(f, left, 1, () => {
      f.get(to).i64x2(0n).memLane(element.storeLane, 0)
      f.inc(to, element.bytes)
    })
    setSum(f, source, source, step)
    setSum(f, target, target, targetStep)
  })
}

function emitPanels(module: Module, count: 2 | 4): void {
  const f = module.func(`panels${count}`, Array(5).fill(I32))
  const [panels, k, source, step, target] = Array(5).keys()
  const [left, from] = integers(f, 2)
  const row = vectors(f, count)
  countdown(f, panels, 1, () => {
    f.get(k).set(left).get(source).set(from)
    countdown(f, left, 1, () => {
      load(f, v128.load, from, row)
      store(f, target, row)
      setSum(f, from, from, step)
      f.inc(target, count * 16)
    })
    f.inc(source, count * 16)
  })
}

function emitStrips(module: Module, element: Element): void {
  const f = module.func('strips', Array(6).fill(I32))
  const [groups, k, source, step, target, strip] = Array(6).keys()
  const [left, from] = integers(f, 2)
  const width = PACKED_ROWS * element.bytes
  const row = vectors(f, width / 16)
  const apart = element.rows * element.bytes
  countdown(f, groups, 1, () => {
    const to = pointers(f, target, STRIPS, strip)
    f.get(k).set(left).get(source).set(from)
    countdown(f, left, 1, () => {
      for (const [i, pointer] of to.entries()) {
        load(f, v128.load, from, row, i * apart)
        store(f, pointer, row)
        f.inc(pointer, width)
      }
      setSum(f, from, from, step)
    })
    // The first of the pointers is `target` itself, which now stands at the second strip.
    addProduct(f, target, strip, STRIPS - 1)
    f.inc(source, STRIPS * apart)
  })
}

function emitTranspose(module: Module, element: Element): void {
  const f = module.func('transpose', Array(6).fill(I32))
  const [n, width, k, source, step, target] = Array(6).keys()
  const [column, end, to, toStep, left] = integers(f, 5)
  const { bytes, lanes } = element
  const from = integers(f, lanes)
  const square = vectors(f, lanes)
  const spare = vectors(f, lanes)

  const setPointers = (): void => {
    for (const [j, pointer] of from.entries()) {
      // Columns past the last repeat it, so that nothing outside of the operand is read.
      f.get(column).i32(j).op(i32.add)
      f.get(n).i32(1).op(i32.sub)
      f.get(column).i32(j).op(i32.add).get(n).op(i32.ltS).select()
      f.get(step).op(i32.mul).get(source).op(i32.add).set(pointer)
    }
    // (column / width * k * width + column % width) elements into the panels
    f.get(column).get(width).op(i32.divU).get(k).op(i32.mul).get(width).op(i32.mul)
    f.get(column).get(width).op(i32.remU).op(i32.add)
    f.i32(bytes).op(i32.mul).get(target).op(i32.add).set(to)
  }

  f.get(width).i32(bytes).op(i32.mul).set(toStep)
  f.get(n).get(width).op(i32.add).i32(1).op(i32.sub)
  f.get(width).op(i32.divU).get(width).op(i32.mul).set(end)
  countdown(f, end, lanes, () => {
    setPointers()
    f.get(k).set(left)
    countdown(f, left, lanes, () => {
      for (const [j, pointer] of from.entries()) {
        load(f, v128.load, pointer, [square[j]])
        f.inc(pointer, 16)
      }
      for (const row of transposed(f, square, spare)) {
        store(f, to, [row])
        setSum(f, to, to, toStep)
      }
    })
    countdown(f, left, 1, () => {
      for (const [j, pointer] of from.entries()) {
        copyOne(f, element, to, pointer, j * bytes)
        f.inc(pointer, bytes)
      }
      setSum(f, to, to, toStep)
    })
    f.inc(column, lanes)
  })
}

/** Transposes the vectors of `square` by way of `spare` and returns the locals that hold the result. */
export function transposed(f: Func, square: readonly number[], spare: readonly number[]): readonly number[] {
  if (square.length === 2) {
    f.get(square[0]).get(square[1]).shuffle64([0, 2]).set(spare[0])
    f.get(square[0]).get(square[1]).shuffle64([1, 3]).set(spare[1])
    return spare
  }
  for (const half of [0, 1]) {
    const [a, b] = [square[2 * half], square[2 * half + 1]]
    f.get(a).get(b).shuffle32([0, 4, 1, 5]).set(spare[half])
    f.get(a)
      .get(b)
      .shuffle32([2, 6, 3, 7])
      .set(spare[half + 2])
  }
  for (const half of [0, 1]) {
    const [a, b] = [spare[2 * half], spare[2 * half + 1]]
    f.get(a)
      .get(b)
      .shuffle32([0, 1, 4, 5])
      .set(square[2 * half])
    f.get(a)
      .get(b)
      .shuffle32([2, 3, 6, 7])
      .set(square[2 * half + 1])
  }
  return square
}

function emitGather(module: Module, element: Element): void {
  const f = module.func('gather', Array(7).fill(I32))
  const [rows, n, source, rowStep, columnStep, target, targetStep] = Array(7).keys()
  const [left, from, to] = integers(f, 3)
  countdown(f, rows, 1, () => {
    f.get(n).set(left).get(source).set(from).get(target).set(to)
    countdown(f, left, 1, () => {
      copyOne(f, element, to, from)
      setSum(f, from, from, columnStep)
      f.inc(to, element.bytes)
    })
    setSum(f, source, source, rowStep)
    setSum(f, target, target, targetStep)
  })
}

function emitScatter(module: Module, element: Element): void {
  const f = module.func('scatter', Array(9).fill(I32))
  const [rows, n, source, step, target, targetStep, init, initStep, initColumn] = Array(9).keys()
  const [left, from, to, start] = integers(f, 4)
  countdown(f, rows, 1, () => {
    f.get(n).set(left).get(source).set(from).get(target).set(to).get(init).set(start)
    countdown(f, left, 1, () => {
      f.get(to).get(start).mem(element.loadFirst).get(from).mem(element.loadFirst).op(element.add)
      f.memLane(element.storeLane, 0)
      f.inc(to, element.bytes)
      setSum(f, from, from, step)
      setSum(f, start, start, initColumn)
    })
    f.inc(source, element.bytes)
    setSum(f, target, target, targetStep)
    setSum(f, init, init, initStep)
  })
}
