// The transposes and copies that bring a convolution's operands into the order its kernels read, and back. Steps are in bytes.
import { I32, i32, type Module, v128 } from './assembler.ts'
import { copyOne, countdown, type Element, integers, load, setSum, store, vectors } from './element.ts'
import { panelWidth } from './gemm.ts'
import { transposed } from './pack.ts'

/** The exports of the module of transposes and copies. */
export interface Turning {
  /** target[line][j][i] = source[line][i][j] for i < rows, j < columns; source's columns and target's i are adjacent. */
  turn(
    lines: number,
    sourceLine: number,
    targetLine: number,
    rows: number,
    columns: number,
    source: number,
    sourceRow: number,
    target: number,
    targetColumn: number,
  ): void
  /** The same with columns of the source `sourceColumn` apart, one element at a time. */
  turnApart(
    lines: number,
    sourceLine: number,
    targetLine: number,
    rows: number,
    columns: number,
    source: number,
    sourceRow: number,
    sourceColumn: number,
    target: number,
    targetColumn: number,
  ): void
  /** target[j][i] = source[i][j] for i < rows, j < columns, as `turn`, but in the order in which the target lies. */
  spread(rows: number, columns: number, source: number, sourceRow: number, target: number, targetColumn: number): void
  /**
   * target[table[j] + panel of i][i] = source[i][j] for i < rows, j < columns; panels are as wide as tiles. It does so
   * `times` times, with source and target so many bytes on.
   */
  scatter(
    times: number,
    sourceNext: number,
    targetNext: number,
    rows: number,
    columns: number,
    source: number,
    sourceRow: number,
    table: number,
    target: number,
    panel: number,
  ): void
  /** target[i][j] = source[table[j] + panel of i][i], the inverse. */
  gather(
    times: number,
    targetNext: number,
    sourceNext: number,
    rows: number,
    columns: number,
    target: number,
    targetRow: number,
    table: number,
    source: number,
    panel: number,
  ): void
  /** Zeros in `count` elements: a typed array on shared memory fills byte by byte. */
  zero(count: number, target: number): void
  /**
   * target[i] = source[i * sourceStep] for lines of `count` elements, each filled on both sides: `before` zeros, then
   * the elements, then `after` zeros.
   */
  lines(
    lines: number,
    before: number,
    count: number,
    after: number,
    source: number,
    sourceLine: number,
    sourceStep: number,
    target: number,
    targetLine: number,
  ): void
}

/** Adds the functions of `Turning`. */
export function emitTurning(module: Module, element: Element): void {
  emitTurn(module, element)
  emitTurnApart(module, element)
  emitSpread(module, element)
  emitTable(module, element, 'scatter')
  emitTable(module, element, 'gather')
  emitZero(module, element)
  emitLines(module, element)
}

function emitTurn(module: Module, element: Element): void {
  const { bytes, lanes } = element
  const f = module.func('turn', Array(9).fill(I32))
  const [lines, sourceLine, targetLine, rows, columns, source, sourceRow, target, targetColumn] = Array(9).keys()
  const from = integers(f, lanes)
  const to = integers(f, lanes)
  const [rowsLeft, left, source0, target0] = integers(f, 4)
  const square = vectors(f, lanes)
  const spare = vectors(f, lanes)
  const chain = (list: readonly number[], first: number, step: number): void => {
    f.get(first).set(list[0])
    for (let i = 1; i < lanes; i++) setSum(f, list[i], list[i - 1], step)
  }
  countdown(f, lines, 1, () => {
    f.get(source).set(source0).get(target).set(target0).get(rows).set(rowsLeft)
    countdown(f, rowsLeft, lanes, () => {
      chain(from, source0, sourceRow)
      f.get(target0).set(to[0]).get(columns).set(left)
      countdown(f, left, lanes, () => {
        chain(to, to[0], targetColumn)
        for (const [i, pointer] of from.entries()) {
          load(f, v128.load, pointer, [square[i]])
          f.inc(pointer, 16)
        }
        for (const [i, row] of transposed(f, square, spare).entries()) store(f, to[i], [row])
        setSum(f, to[0], to[lanes - 1], targetColumn)
      })
      countdown(f, left, 1, () => {
        for (const [i, pointer] of from.entries()) {
          copyOne(f, element, to[0], pointer, i * bytes)
          f.inc(pointer, bytes)
        }
        setSum(f, to[0], to[0], targetColumn)
      })
      for (let i = 0; i < lanes; i++) setSum(f, source0, source0, sourceRow)
      f.inc(target0, lanes * bytes)
    })
    countdown(f, rowsLeft, 1, () => {
      f.get(source0).set(from[0]).get(target0).set(to[0]).get(columns).set(left)
      countdown(f, left, lanes, () => {
        load(f, v128.load, from[0], [square[0]])
        for (let i = 0; i < lanes; i++) {
          f.get(to[0]).get(square[0]).memLane(element.storeLane, i)
          setSum(f, to[0], to[0], targetColumn)
        }
        f.inc(from[0], 16)
      })
      countdown(f, left, 1, () => {
        copyOne(f, element, to[0], from[0])
        f.inc(from[0], bytes)
        setSum(f, to[0], to[0], targetColumn)
      })
      setSum(f, source0, source0, sourceRow)
      f.inc(target0, bytes)
    })
    setSum(f, source, source, sourceLine)
    setSum(f, target, target, targetLine)
  })
}

function emitSpread(module: Module, element: Element): void {
  const { bytes, lanes } = element
  const f = module.func('spread', Array(6).fill(I32))
  const [rows, columns, source, sourceRow, target, targetColumn] = Array(6).keys()
  const from = integers(f, lanes)
  const to = integers(f, lanes)
  const [left, next] = integers(f, 2)
  const square = vectors(f, lanes)
  const spare = vectors(f, lanes)
  const chain = (list: readonly number[], first: number, step: number): void => {
    f.get(first).set(list[0])
    for (let i = 1; i < list.length; i++) setSum(f, list[i], list[i - 1], step)
  }
  /** So many columns at a time. */
  const pass = (count: number): void => {
    countdown(f, columns, count, () => {
      f.get(source).set(next).get(rows).set(left)
      chain(to.slice(0, count), target, targetColumn)
      countdown(f, left, lanes, () => {
        chain(from, next, sourceRow)
        for (let i = 0; i < lanes; i++) {
          if (count === lanes) load(f, v128.load, from[i], [square[i]])
          else load(f, element.loadFirst, from[i], [square[i]])
        }
        const turned = transposed(f, square, spare)
        for (let i = 0; i < count; i++) {
          store(f, to[i], [turned[i]])
          f.inc(to[i], 16)
        }
        setSum(f, next, from[lanes - 1], sourceRow)
      })
      countdown(f, left, 1, () => {
        for (let i = 0; i < count; i++) {
          f.get(to[i])
            .get(next)
            .mem(element.loadFirst, i * bytes)
            .memLane(element.storeLane, 0)
          f.inc(to[i], bytes)
        }
        setSum(f, next, next, sourceRow)
      })
      f.inc(source, count * bytes)
      for (let i = 0; i < count; i++) setSum(f, target, target, targetColumn)
    })
  }
  pass(lanes)
  pass(1)
}

function emitTurnApart(module: Module, element: Element): void {
  const f = module.func('turnApart', Array(10).fill(I32))
  const [lines, sourceLine, targetLine, rows, columns, source, sourceRow, sourceColumn, target, targetColumn] =
    Array(10).keys()
  const [rowsLeft, left, from, to, source0, target0] = integers(f, 6)
  countdown(f, lines, 1, () => {
    f.get(source).set(source0).get(target).set(target0).get(rows).set(rowsLeft)
    countdown(f, rowsLeft, 1, () => {
      f.get(source0).set(from).get(target0).set(to).get(columns).set(left)
      countdown(f, left, 1, () => {
        copyOne(f, element, to, from)
        setSum(f, from, from, sourceColumn)
        setSum(f, to, to, targetColumn)
      })
      setSum(f, source0, source0, sourceRow)
      f.inc(target0, element.bytes)
    })
    setSum(f, source, source, sourceLine)
    setSum(f, target, target, targetLine)
  })
}

/** `scatter` and `gather`: a matrix [row][column] on one side, panels with a table of their rows on the other. */
function emitTable(module: Module, element: Element, name: 'scatter' | 'gather'): void {
  const { bytes, lanes } = element
  const f = module.func(name, Array(10).fill(I32))
  const [times, matrixNext, panelsNext, rows, columns, matrix, matrixRow, table, panels, panel] = Array(10).keys()
  const [row, rest, left, at, entry] = integers(f, 5)
  const flat = integers(f, lanes)
  const other = integers(f, lanes)
  const square = vectors(f, lanes)
  const spare = vectors(f, lanes)
  const width = panelWidth(element)

  /** Where row `row` begins in the panels. */
  const place = (): void => {
    f.get(row).i32(width).op(i32.divU).get(panel).op(i32.mul)
    f.get(row).i32(width).op(i32.remU).i32(bytes).op(i32.mul).op(i32.add)
    f.get(panels).op(i32.add).set(at)
    f.get(table).set(entry).get(columns).set(left)
  }
  const pointAt = (count: number): void => {
    for (let i = 0; i < count; i++)
      f.get(at)
        .get(entry)
        .mem(i32.load, i * 4)
        .op(i32.add)
        .set(other[i])
    f.inc(entry, count * 4)
  }
  const one = (i: number): void => {
    if (name === 'scatter') copyOne(f, element, other[0], flat[i], i * bytes)
    else
      f.get(flat[i])
        .get(other[0])
        .mem(element.loadFirst, i * bytes)
        .memLane(element.storeLane, 0)
    f.inc(flat[i], bytes)
  }
  const setFlat = (count: number): void => {
    f.get(matrix).get(row).get(matrixRow).op(i32.mul).op(i32.add).set(flat[0])
    for (let i = 1; i < count; i++) setSum(f, flat[i], flat[i - 1], matrixRow)
  }

  countdown(f, times, 1, () => {
    f.get(rows).set(rest).i32(0).set(row)
    countdown(f, rest, lanes, () => {
      place()
      setFlat(lanes)
      countdown(f, left, lanes, () => {
        pointAt(lanes)
        const [from, to] = name === 'scatter' ? [flat, other] : [other, flat]
        for (let i = 0; i < lanes; i++) load(f, v128.load, from[i], [square[i]])
        for (const [i, v] of transposed(f, square, spare).entries()) store(f, to[i], [v])
        for (const pointer of flat) f.inc(pointer, 16)
      })
      countdown(f, left, 1, () => {
        pointAt(1)
        for (let i = 0; i < lanes; i++) one(i)
      })
      f.inc(row, lanes)
    })
    countdown(f, rest, 1, () => {
      place()
      setFlat(1)
      countdown(f, left, 1, () => {
        pointAt(1)
        one(0)
      })
      f.inc(row, 1)
    })
    setSum(f, matrix, matrix, matrixNext)
    setSum(f, panels, panels, panelsNext)
  })
}

function emitZero(module: Module, element: Element): void {
  const f = module.func('zero', Array(2).fill(I32))
  const [count, target] = Array(2).keys()
  const [zero] = vectors(f, 1)
  countdown(f, count, 8 * element.lanes, () => {
    store(f, target, Array(8).fill(zero))
    f.inc(target, 128)
  })
  countdown(f, count, 1, () => {
    f.get(target).get(zero).memLane(element.storeLane, 0)
    f.inc(target, element.bytes)
  })
}

function emitLines(module: Module, element: Element): void {
  const f = module.func('lines', Array(9).fill(I32))
  const [lines, before, count, after, source, sourceLine, sourceStep, target, targetLine] = Array(9).keys()
  const [left, from, to] = integers(f, 3)
  const some = vectors(f, 4)
  const zeros = (amount: number): void => {
    f.get(amount).set(left)
    countdown(f, left, 1, () => {
      f.get(to).i64x2(0n).memLane(element.storeLane, 0)
      f.inc(to, element.bytes)
    })
  }
  countdown(f, lines, 1, () => {
    f.get(source).set(from).get(target).set(to)
    zeros(before)
    f.get(count).set(left)
    f.get(sourceStep).i32(element.bytes).op(i32.eq)
    f.if(() => {
      countdown(f, left, 4 * element.lanes, () => {
        load(f, v128.load, from, some)
        store(f, to, some)
        f.inc(from, 64).inc(to, 64)
      })
      countdown(f, left, element.lanes, () => {
        f.get(to).get(from).mem(v128.load).mem(v128.store)
        f.inc(from, 16).inc(to, 16)
      })
    })
    f.get(sourceStep)
      .i32(2 * element.bytes)
      .op(i32.eq)
    f.if(() => {
      // One element stays, for vectors reach one beyond the last that is picked.
      f.inc(left, -1)
      countdown(f, left, element.lanes, () => {
        f.get(to).get(from).mem(v128.load).get(from).mem(v128.load, 16)
        if (element.lanes === 4) f.shuffle32([0, 2, 4, 6])
        else f.shuffle64([0, 2])
        f.mem(v128.store)
        f.inc(from, 32).inc(to, 16)
      })
      f.inc(left, 1)
    })
    countdown(f, left, 1, () => {
      copyOne(f, element, to, from)
      setSum(f, from, from, sourceStep)
      f.inc(to, element.bytes)
    })
    zeros(after)
    setSum(f, source, source, sourceLine)
    setSum(f, target, target, targetLine)
  })
}
