// Scans in WebAssembly: rows of neighbouring elements go four at a time, so that their sums need not wait for one another;
// columns go by vectors. Threads share out the rows, or the columns.
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import type { Ordered, Rescale, Scan, ScanArgs } from '../routines.ts'
import { F32, F64, type Func, f32, f32x4, f64, f64x2, I32, I64, i32, i64, i64x2, Module, V128, v128 } from './assembler.ts' // biome-ignore format: one list
import { atLeast } from './records.ts'

const TYPES: readonly Ordered[] = ['float32', 'float64', 'int32', 'int64']
const SCANS: readonly Scan[] = ['add', 'mul', 'max', 'min']
const BYTES: Record<Ordered, number> = { float32: 4, float64: 8, int32: 4, int64: 8 }
const VALUE = { float32: F32, float64: F64, int32: I32, int64: I64 } as const
const SHAPE = { float32: f32, float64: f64, int32: i32, int64: i64 } as const

/** Rows at a time, and bytes of columns at a time. */
const ROWS = 4
const SPAN = 64
/** Elements of a row in one turn. */
const TURNS = 4
/** Elements that are worth a thread. */
const LEAST = 32768

/** Scans rows: addresses, length, then steps in bytes between elements and between rows, in both arrays. */
type Rows = (from: number, to: number, n: number, step: number, toStep: number, row: number, toRow: number) => void
/** Scans columns of vectors: addresses, length, and the step in bytes between rows. */
type Columns = (from: number, to: number, n: number, step: number) => void
interface Code {
  readonly one: Rows
  readonly four: Rows
  readonly oneNear: Rows
  readonly fourNear: Rows
  readonly wide: Columns | undefined
  readonly narrow: Columns | undefined
}

const compiled = new Map<string, Code>()

function codeOf(type: Ordered, how: Scan): Code {
  const key = `${type} ${how}`
  let code = compiled.get(key)
  if (!code) {
    const module = new Module(memory)
    emitRows(module.func('one', Array(7).fill(I32)), type, how, 1, false)
    emitRows(module.func('four', Array(7).fill(I32)), type, how, ROWS, false)
    emitRows(module.func('oneNear', Array(7).fill(I32)), type, how, 1, true)
    emitRows(module.func('fourNear', Array(7).fill(I32)), type, how, ROWS, true)
    if (type !== 'int32' && (how === 'add' || how === 'mul')) {
      emitColumns(module.func('wide', Array(4).fill(I32)), type, how, SPAN / 16)
      emitColumns(module.func('narrow', Array(4).fill(I32)), type, how, 1)
    }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      env: { memory: memory.wasm },
    })
    code = exports as unknown as Code
    compiled.set(key, code)
  }
  return code
}

/** `near`: neighbours in both arrays, so that several elements of a row go in one turn. */
function emitRows(f: Func, type: Ordered, how: Scan, count: number, near: boolean): void {
  const [from, to, n, step, toStep, row, toRow] = Array(7).keys()
  const total = how === 'add' || how === 'mul'
  const single = type === 'float32' && total
  const each = Array.from({ length: count }, () => ({
    from: f.local(I32),
    to: f.local(I32),
    best: f.local(single ? F64 : VALUE[type]),
    value: f.local(VALUE[type]),
    at: f.local(I64),
  }))
  const shape = SHAPE[type]
  const i = f.local(I64)
  for (const [r, e] of each.entries()) {
    f.get(from).get(row).i32(r).op(i32.mul).op(i32.add).set(e.from)
    f.get(to).get(toRow).i32(r).op(i32.mul).op(i32.add).set(e.to)
    if (total) {
      const start = how === 'mul' ? 1 : 0
      if (single || type === 'float64') f.f64(start)
      else if (type === 'int64') f.i64(BigInt(start))
      else f.i32(start)
      f.set(e.best)
    } else f.get(e.from).mem(shape.load).set(e.best)
  }
  /** Whether a value beats the best so far. */
  const beats = (e: (typeof each)[0]): void => {
    f.get(e.value).get(e.best)
    if (type === 'float32' || type === 'float64') {
      // NaN is the only value unequal to itself, and it wins.
      f.op(how === 'max' ? SHAPE[type].ge : SHAPE[type].le)
      f.get(e.value).get(e.value).op(shape.ne).op(i32.or)
    } else f.op(how === 'max' ? SHAPE[type].geS : SHAPE[type].leS)
  }
  const [item, toItem] = [BYTES[type], total ? BYTES[type] : 8]
  /** The next element of each row, `k` places on. */
  const turn = (k: number): void => {
    for (const e of each) {
      f.get(e.from)
        .mem(shape.load, k * item)
        .set(e.value)
    }
    for (const e of each) {
      if (total) {
        f.get(e.best).get(e.value)
        if (single) f.op(f64.promoteF32)
        f.op((single ? f64 : shape)[how as 'add' | 'mul']).set(e.best)
        continue
      }
      // Most values do not, which a branch foresees. The first one is compared with itself.
      beats(e)
      f.if(() => {
        f.get(i).i64(BigInt(k)).op(i64.add).set(e.at).get(e.value).set(e.best)
      })
    }
    for (const e of each) {
      f.get(e.to)
      if (!total) f.get(e.at).mem(i64.store, k * toItem)
      else {
        f.get(e.best)
        if (single) f.op(f32.demoteF64)
        f.mem(shape.store, k * toItem)
      }
    }
  }
  const move = (turns: number): void => {
    for (const e of each) {
      if (near) f.inc(e.from, turns * item).inc(e.to, turns * toItem)
      else f.get(e.from).get(step).op(i32.add).set(e.from).get(e.to).get(toStep).op(i32.add).set(e.to)
    }
    if (!total) f.get(i).i64(BigInt(turns)).op(i64.add).set(i)
  }
  for (const turns of near ? [TURNS, 1] : [1]) {
    atLeast(f, n, turns, () => {
      for (let k = 0; k < turns; k++) turn(k)
      move(turns)
    })
  }
}

function emitColumns(f: Func, type: Ordered, how: Scan, vectors: number): void {
  const [from, to, n, step] = Array(4).keys()
  const single = type === 'float32'
  const shape = type === 'int64' ? i64x2 : f64x2
  const operation = shape[how as 'add' | 'mul']
  const totals = Array.from({ length: vectors * (single ? 2 : 1) }, () => f.local(V128))
  const values = Array.from({ length: vectors }, () => f.local(V128))
  for (const total of totals) {
    if (type === 'int64') f.i64x2(how === 'mul' ? 1n : 0n)
    else f.f64x2(how === 'mul' ? 1 : 0)
    f.set(total)
  }
  f.loop(() => {
    for (const [v, value] of values.entries()) {
      f.get(from)
        .mem(v128.load, 16 * v)
        .set(value)
    }
    for (const [v, value] of values.entries()) {
      if (!single) {
        f.get(totals[v]).get(value).op(operation).set(totals[v])
        continue
      }
      const [low, high] = [totals[2 * v], totals[2 * v + 1]]
      f.get(low).get(value).op(f64x2.promoteLowF32x4).op(operation).set(low)
      f.get(high).get(value).get(value).shuffle32([2, 3, 2, 3]).op(f64x2.promoteLowF32x4).op(operation).set(high)
    }
    for (const v of values.keys()) {
      f.get(to)
      if (single) {
        f.get(totals[2 * v]).op(f32x4.demoteF64x2Zero)
        f.get(totals[2 * v + 1])
          .op(f32x4.demoteF64x2Zero)
          .shuffle64([0, 2])
      } else f.get(totals[v])
      f.mem(v128.store, 16 * v)
    }
    f.get(from).get(step).op(i32.add).set(from).get(to).get(step).op(i32.add).set(to)
    f.inc(n, -1).get(n).brIf(0)
  })
}

/** (to, n, step, row): `count` rows, `row` bytes apart, of elements `step` bytes apart. */
function emitRescale(f: Func, count: number): void {
  const [to, n, step, row] = [0, 1, 2, 3]
  const each = Array.from({ length: count }, () => ({ at: f.local(I32), value: f.local(F64), total: f.local(F64) }))
  for (const [r, e] of each.entries()) {
    f.get(to).get(row).i32(r).op(i32.mul).op(i32.add).set(e.at).f64(-1).set(e.total)
  }
  atLeast(f, n, 1, () => {
    for (const e of each) f.get(e.at).mem(f64.load).set(e.value)
    for (const e of each) {
      f.get(e.value).op(f64.neg).get(e.total).f64(1).op(f64.add).op(f64.mul)
      f.get(e.total).get(e.value).op(f64.add)
      f.get(e.at).mem(i64.load).i64(0n).op(i64.ltS).select().set(e.total)
    }
    for (const e of each) f.get(e.at).get(e.total).mem(f64.store).get(e.at).get(step).op(i32.add).set(e.at)
  })
}

type Strip = (to: number, n: number, step: number, row: number) => void

let rescalers: { readonly one: Strip; readonly four: Strip } | null = null

const rescaleRows = routine('rescale', ([to, outer, n, inner, each], piece) => {
  if (!rescalers) {
    const module = new Module(memory)
    emitRescale(module.func('one', Array(4).fill(I32)), 1)
    emitRescale(module.func('four', Array(4).fill(I32)), ROWS)
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      env: { memory: memory.wasm },
    })
    rescalers = exports as unknown as { one: Strip; four: Strip }
  }
  const { one, four } = rescalers
  // Four rows lie next to each other, or in columns of the same block.
  const count = inner === 1 ? outer : inner
  const blocks = inner === 1 ? 1 : outer
  const [step, row] = inner === 1 ? [8, 8 * n] : [8 * inner, 8]
  for (let block = 0; block < blocks; block++) {
    const start = to + block * n * inner * 8
    const end = Math.min(count, (piece + 1) * each)
    let r = piece * each
    for (; r + ROWS <= end; r += ROWS) four(start + r * row, n, step, row)
    for (; r < end; r++) one(start + r * row, n, step, row)
  }
})

/** As `Routines.rescale`. */
export function rescale({ to, outer, n, inner }: Rescale): void {
  const elements = outer * n * inner
  if (elements === 0) return
  const count = inner === 1 ? outer : inner
  const each = Math.ceil(count / Math.min(count, piecesFor(elements, LEAST)))
  parallel(rescaleRows, [to, outer, n, inner, each], Math.ceil(count / each))
}

/** Scans so many of the units from `begin` to `end`: groups of rows, or a block's columns by the span. */
const scanUnits = routine('scan', ([type, how, from, to, outer, n, inner, units, each], piece) => {
  const bytes = BYTES[TYPES[type]]
  const toBytes = how < 2 ? bytes : 8
  const { one, four, oneNear, fourNear, wide, narrow } = codeOf(TYPES[type], SCANS[how])
  const end = Math.min(units, (piece + 1) * each)
  if (inner === 1) {
    for (let r = piece * each * ROWS; r < Math.min(end * ROWS, outer); r += ROWS) {
      const [a, b] = [from + r * n * bytes, to + r * n * toBytes]
      if (r + ROWS <= outer) fourNear(a, b, n, bytes, toBytes, n * bytes, n * toBytes)
      else for (let k = 0; r + k < outer; k++) oneNear(a + k * n * bytes, b + k * n * toBytes, n, bytes, toBytes, 0, 0)
    }
    return
  }
  const per = SPAN / bytes
  const spans = Math.ceil(inner / per)
  for (let unit = piece * each; unit < end; unit++) {
    const block = Math.floor(unit / spans)
    let column = (unit - block * spans) * per
    const last = Math.min(inner, column + per)
    const [a, b] = [from + block * n * inner * bytes, to + block * n * inner * toBytes]
    const step = inner * bytes
    if (wide && column + per <= last) {
      wide(a + column * bytes, b + column * bytes, n, step)
      continue
    }
    for (; narrow && column + 16 / bytes <= last; column += 16 / bytes) {
      narrow(a + column * bytes, b + column * bytes, n, step)
    }
    for (; column + ROWS <= last; column += ROWS) {
      four(a + column * bytes, b + column * toBytes, n, step, inner * toBytes, bytes, toBytes)
    }
    for (; column < last; column++) {
      one(a + column * bytes, b + column * toBytes, n, step, inner * toBytes, bytes, toBytes)
    }
  }
})

/** As `Routines.scan`. */
export function scan(type: Ordered, how: Scan, { from, to, outer, n, inner }: ScanArgs): void {
  const count = outer * n * inner
  if (count === 0) return
  const units = inner === 1 ? Math.ceil(outer / ROWS) : outer * Math.ceil((inner * BYTES[type]) / SPAN)
  const each = Math.ceil(units / Math.min(units, piecesFor(count, LEAST, 2)))
  const args = [TYPES.indexOf(type), SCANS.indexOf(how), from, to, outer, n, inner, units, each]
  parallel(scanUnits, args, Math.ceil(units / each))
}
