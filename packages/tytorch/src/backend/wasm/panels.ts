// Steps of LU and Cholesky factors, of triangular solves and of the copies around them, in WebAssembly.
import { type Func, I32, i32, i32x4, i64, i64x2, type Module, V128, v128 } from './assembler.ts'
import { integers, vectors } from './element.ts'
import { addressOf, bySteps, emitSwap, inTiles, loadRow, type Real, subtractProduct, upTo } from './real.ts'

/** Vectors that panels have. */
export const WIDTHS = [1, 2, 4, 8] as const

/** Adds `copy`, `transpose`, `clearLower` and `subtract`. */
export function emitCopies(module: Module, real: Real): void {
  emitCopy(module, real)
  emitTranspose(module, real)
  emitClear(module, real)
  emitSubtract(module, real)
}

function emitCopy(module: Module, { bytes, lanes, element }: Real): void {
  const f = module.func('copy', Array(7).fill(I32))
  const [rows, columns, width, from, fromRow, to, toRow] = Array(7).keys()
  const [i, j, x, y, whole, last] = integers(f, 6)
  f.get(columns).i32(-lanes).op(i32.and).set(whole)
  upTo(f, i, rows, () => {
    f.get(from).set(x).get(to).set(y).i32(0).set(j)
    const step = (by: number): void => {
      f.inc(x, by).inc(y, by)
    }
    bySteps(f, j, whole, lanes, () => {
      f.get(y).get(x).mem(v128.load).mem(v128.store)
      step(16)
    })
    upTo(f, j, columns, () => {
      f.get(y).get(x).mem(element.loadFirst).memLane(element.storeLane, 0)
      step(bytes)
    })
    f.get(width)
      .i32(lanes - 1)
      .op(i32.sub)
      .set(last)
    bySteps(f, j, last, lanes, () => {
      f.get(y).i32x4(0).mem(v128.store)
      f.inc(y, 16)
    })
    upTo(f, j, width, () => {
      f.get(y).i32x4(0).memLane(element.storeLane, 0)
      f.inc(y, bytes)
    })
    f.get(from).get(fromRow).op(i32.add).set(from)
    f.get(to).get(toRow).op(i32.add).set(to)
  })
}

/** Blocks of 4 x 4 (2 x 2) elements in registers, then what is left one by one. */
function emitTranspose(module: Module, { bytes, lanes, element }: Real): void {
  const f = module.func('transpose', Array(6).fill(I32))
  const [rows, columns, from, fromRow, to, toRow] = Array(6).keys()
  const [i, j, x, y, wholeRows, wholeColumns, start] = integers(f, 7)
  const a = vectors(f, lanes)
  const b = vectors(f, lanes)
  /** Elements (i, j), ... (i, columns - 1), one by one, to column i. */
  const rest = (): void => {
    addressOf(f, from, i, fromRow).get(j).i32(bytes).op(i32.mul).op(i32.add).set(x)
    addressOf(f, to, j, toRow).get(i).i32(bytes).op(i32.mul).op(i32.add).set(y)
    upTo(f, j, columns, () => {
      f.get(y).get(x).mem(element.loadFirst).memLane(element.storeLane, 0)
      f.inc(x, bytes).get(y).get(toRow).op(i32.add).set(y)
    })
  }
  f.get(rows).i32(-lanes).op(i32.and).set(wholeRows)
  f.get(columns).i32(-lanes).op(i32.and).set(wholeColumns)
  bySteps(f, i, wholeRows, lanes, () => {
    f.i32(0).set(j)
    bySteps(f, j, wholeColumns, lanes, () => {
      addressOf(f, from, i, fromRow).get(j).i32(bytes).op(i32.mul).op(i32.add).set(x)
      addressOf(f, to, j, toRow).get(i).i32(bytes).op(i32.mul).op(i32.add).set(y)
      for (const local of a) {
        f.get(x).mem(v128.load).set(local)
        f.get(x).get(fromRow).op(i32.add).set(x)
      }
      if (lanes === 2) {
        f.get(a[0]).get(a[1]).shuffle64([0, 2]).set(b[0])
        f.get(a[0]).get(a[1]).shuffle64([1, 3]).set(b[1])
      } else {
        const [p, q, r, s] = a
        const [k, l, m, n] = b
        f.get(p).get(q).shuffle32([0, 4, 1, 5]).set(k)
        f.get(p).get(q).shuffle32([2, 6, 3, 7]).set(l)
        f.get(r).get(s).shuffle32([0, 4, 1, 5]).set(m)
        f.get(r).get(s).shuffle32([2, 6, 3, 7]).set(n)
        f.get(k).get(m).shuffle64([0, 2]).set(p)
        f.get(k).get(m).shuffle64([1, 3]).set(q)
        f.get(l).get(n).shuffle64([0, 2]).set(r)
        f.get(l).get(n).shuffle64([1, 3]).set(s)
      }
      for (const local of lanes === 2 ? b : a) {
        f.get(y).get(local).mem(v128.store)
        f.get(y).get(toRow).op(i32.add).set(y)
      }
    })
    // The last columns of these rows.
    f.get(i).set(start)
    for (let row = 0; row < lanes; row++) {
      f.get(wholeColumns).set(j)
      rest()
      f.inc(i, 1)
    }
    f.get(start).set(i)
  })
  upTo(f, i, rows, () => {
    f.i32(0).set(j)
    rest()
  })
}

function emitClear(module: Module, { bytes, lanes, element }: Real): void {
  const f = module.func('clearLower', Array(4).fill(I32))
  const [rows, columns, at, row] = Array(4).keys()
  const [i, j, x, end, whole] = integers(f, 5)
  upTo(f, i, rows, () => {
    f.get(at).set(x).i32(0).set(j)
    f.get(i).get(columns).get(i).get(columns).op(i32.ltS).select().set(end)
    f.get(end).i32(-lanes).op(i32.and).set(whole)
    bySteps(f, j, whole, lanes, () => {
      f.get(x).i32x4(0).mem(v128.store)
      f.inc(x, 16)
    })
    upTo(f, j, end, () => {
      f.get(x).i32x4(0).memLane(element.storeLane, 0)
      f.inc(x, bytes)
    })
    f.get(at).get(row).op(i32.add).set(at)
  })
}

function emitSubtract(module: Module, { vector }: Real): void {
  const f = module.func('subtract', Array(6).fill(I32))
  const [rows, wide, from, fromRow, to, toRow] = Array(6).keys()
  const [i, j, x, y] = integers(f, 4)
  upTo(f, i, rows, () => {
    f.get(from).set(x).get(to).set(y).get(wide).set(j)
    inTiles(f, j, [4, 1], y, (width) => {
      for (let k = width - 1; k >= 0; k--) {
        f.get(y)
        f.get(y).mem(v128.load, k * 16)
        f.get(x).mem(v128.load, k * 16)
        f.op(vector.sub).mem(v128.store, k * 16)
      }
      f.inc(x, width * 16)
    })
    f.get(from).get(fromRow).op(i32.add).set(from)
    f.get(to).get(toRow).op(i32.add).set(to)
  })
}

/** Adds `exchange`, `lu1`, `lu2`, ... and `cholesky1`, ... */
export function emitFactors(module: Module, real: Real): void {
  const swap = emitSwap(module.func(null, [I32, I32, I32]))
  emitExchange(module, swap)
  for (const width of WIDTHS) {
    emitLU(module, real, width, swap)
    emitCholesky(module, real, width)
  }
}

function emitExchange(module: Module, swap: Func): void {
  const f = module.func('exchange', Array(6).fill(I32))
  const [count, pivots, at, row, wide, undo] = Array(6).keys()
  const [i, step, other] = integers(f, 3)
  f.i32(1).set(step)
  f.get(undo).if(() => {
    f.i32(-1).set(step).get(count).i32(1).op(i32.sub).set(i)
  })
  f.block(() => {
    f.loop(() => {
      f.get(i).get(count).op(i32.geU).brIf(1)
      addressOf(f, pivots, i, 4, true).mem(i32.load).i32(1).op(i32.sub).set(other)
      f.get(other)
        .get(i)
        .op(i32.ne)
        .if(() => {
          addressOf(f, at, i, row)
          addressOf(f, at, other, row).get(wide).call(swap)
        })
      f.get(i).get(step).op(i32.add).set(i).br(0)
    })
  })
}

/** Leaves a vector on the stack whose lanes above `lane` (an i32 local) are all ones, and zeros below and in it. */
export function lanesAbove(f: Func, real: Real, lane: number): void {
  if (real.lanes === 4)
    f.v128([0, 1, 2, 3].flatMap((i) => [i, 0, 0, 0]))
      .get(lane)
      .op(i32x4.splat)
      .op(i32x4.gtS)
  else
    f.v128([0, 1].flatMap((i) => [i, 0, 0, 0, 0, 0, 0, 0]))
      .get(lane)
      .op(i64.extendI32S)
      .op(i64x2.splat)
      .op(i64x2.gtS)
}

/**
 * Each step scales a column and takes its products with the pivot's row from the rows below: only in the vectors from the
 * column's own on, so there is a loop for each. The next column's pivot is found on the way.
 */
function emitLU(module: Module, real: Real, width: number, swap: Func): void {
  const f = module.func(`lu${width}`, Array(8).fill(I32), [I32])
  const [m, steps, panel, row, whole, wide, pivots, first] = Array(8).keys()
  const [info, best, i, j, lane, at, column, top] = integers(f, 8)
  const { scalar, type, bytes, lanes } = real
  const [most, size, pivot, factor] = [f.local(type), f.local(type), f.local(type), f.local(type)]
  const u = vectors(f, width)
  const [mask, spread, old] = vectors(f, 3)
  const minusOne = (): Func => (bytes === 4 ? f.f32(-1) : f.f64(-1))
  /** Looks at a candidate in row i, whose address is on the stack; NaN is none. */
  const consider = (offset: number): void => {
    f.mem(scalar.load, offset).op(scalar.abs).tee(size).get(most).op(scalar.gt)
    f.if(() => {
      f.get(size).set(most).get(i).set(best)
    })
  }
  /** The largest of column `column` + offset from row i on. */
  const search = (offset: number): void => {
    upTo(f, i, m, () => {
      f.get(at).get(column).op(i32.add)
      consider(offset)
      f.get(at).get(row).op(i32.add).set(at)
    })
  }
  minusOne().set(most)
  f.get(panel).set(at)
  search(0)
  f.get(panel).set(top)
  for (let start = 0; start < width; start++) {
    f.i32(0).set(lane)
    f.block(() => {
      f.loop(() => {
        f.get(lane).i32(lanes).op(i32.geS).brIf(1)
        f.get(j)
          .get(steps)
          .op(i32.geS)
          .if(() => {
            f.get(info).return()
          })
        addressOf(f, pivots, j, 4, true).get(first).get(best).op(i32.add).mem(i32.store)
        f.get(best)
          .get(j)
          .op(i32.ne)
          .if(() => {
            addressOf(f, whole, j, row)
            addressOf(f, whole, best, row).get(wide).call(swap)
          })
        f.get(j).i32(bytes).op(i32.mul).set(column)
        f.get(top).get(column).op(i32.add).mem(scalar.load).set(pivot)
        minusOne().set(most)
        f.get(j).i32(1).op(i32.add).tee(best).set(i)
        f.get(top).get(row).op(i32.add).set(at)
        f.get(pivot)
        if (bytes === 4) f.f32(0)
        else f.f64(0)
        f.op(scalar.eq)
        f.if(
          () => {
            f.get(info)
              .op(i32.eqz)
              .if(() => {
                f.get(best).set(info)
              })
            search(bytes)
          },
          () => {
            for (let v = start; v < width; v++)
              f.get(top)
                .mem(v128.load, v * 16)
                .set(u[v])
            lanesAbove(f, real, lane)
            f.set(mask)
            upTo(f, i, m, () => {
              f.get(at).get(column).op(i32.add).mem(scalar.load).get(pivot).op(scalar.div).tee(factor)
              f.op(real.vector.splat).set(spread)
              f.get(at)
                .mem(v128.load, start * 16)
                .set(old)
              f.get(at)
              subtractProduct(f, real, old, spread, u[start])
              f.get(old)
                .get(mask)
                .op(v128.bitselect)
                .mem(v128.store, start * 16)
              for (let v = start + 1; v < width; v++) {
                f.get(at)
                subtractProduct(f, real, [at, v * 16], spread, u[v])
                f.mem(v128.store, v * 16)
              }
              f.get(at).get(column).op(i32.add).get(factor).mem(scalar.store)
              f.get(at).get(column).op(i32.add)
              consider(bytes)
              f.get(at).get(row).op(i32.add).set(at)
            })
          },
        )
        f.inc(j, 1).inc(lane, 1)
        f.get(top).get(row).op(i32.add).set(top).br(0)
      })
    })
  }
  f.get(info)
}

/** Row by row: what the rows above contribute, then the root of the diagonal element and the row divided by it. */
function emitCholesky(module: Module, real: Real, width: number): void {
  const f = module.func(`cholesky${width}`, [I32, I32, I32], [I32])
  const [n, at, row] = Array(3).keys()
  const [i, j, here, above, column] = integers(f, 5)
  const { scalar, vector, type, bytes } = real
  const root = f.local(type)
  const sums = vectors(f, width)
  const spread = f.local(V128)
  f.get(at).set(here)
  upTo(f, i, n, () => {
    f.get(i).i32(bytes).op(i32.mul).set(column)
    loadRow(f, here, sums)
    f.get(at).set(above).i32(0).set(j)
    upTo(f, j, i, () => {
      f.get(above).get(column).op(i32.add).mem(real.element.splat).set(spread)
      for (const [v, sum] of sums.entries()) {
        subtractProduct(f, real, sum, spread, [above, v * 16])
        f.set(sum)
      }
      f.get(above).get(row).op(i32.add).set(above)
    })
    for (const [v, sum] of sums.entries())
      f.get(here)
        .get(sum)
        .mem(v128.store, v * 16)
    f.get(here).get(column).op(i32.add).mem(scalar.load).tee(root)
    if (bytes === 4) f.f32(0)
    else f.f64(0)
    f.op(scalar.gt)
      .op(i32.eqz)
      .if(() => {
        f.get(i).i32(1).op(i32.add).return()
      })
    f.get(root).op(scalar.sqrt).tee(root).op(vector.splat).set(spread)
    for (const [v, sum] of sums.entries())
      f.get(here)
        .get(sum)
        .get(spread)
        .op(vector.div)
        .mem(v128.store, v * 16)
    f.get(here).get(column).op(i32.add).get(root).mem(scalar.store)
    f.get(here).get(row).op(i32.add).set(here)
  })
  f.i32(0)
}

/** Adds `substitute`. */
export function emitSubstitute(module: Module, real: Real): void {
  const f = module.func('substitute', Array(8).fill(I32))
  const [n, unit, t, tRow, tColumn, b, bRow, wide] = Array(8).keys()
  const [i, j, here, source, line, factor] = integers(f, 6)
  const all = vectors(f, 4)
  const spread = f.local(V128)
  inTiles(f, wide, [4, 2, 1], b, (width) => {
    const sums = all.slice(0, width)
    f.get(b).set(here).get(t).set(line).i32(0).set(i)
    upTo(f, i, n, () => {
      loadRow(f, here, sums)
      f.get(b).set(source).get(line).set(factor).i32(0).set(j)
      upTo(f, j, i, () => {
        f.get(factor).mem(real.element.splat).set(spread)
        for (const [v, sum] of sums.entries()) {
          subtractProduct(f, real, sum, spread, [source, v * 16])
          f.set(sum)
        }
        f.get(source).get(bRow).op(i32.add).set(source)
        f.get(factor).get(tColumn).op(i32.add).set(factor)
      })
      f.get(unit)
        .op(i32.eqz)
        .if(() => {
          f.get(factor).mem(real.element.splat).set(spread)
          for (const sum of sums) f.get(sum).get(spread).op(real.vector.div).set(sum)
        })
      for (const [v, sum] of sums.entries())
        f.get(here)
          .get(sum)
          .mem(v128.store, v * 16)
      f.get(here).get(bRow).op(i32.add).set(here)
      f.get(line).get(tRow).op(i32.add).set(line)
    })
  })
}
