// Counting and looking up in WebAssembly: ranges, occurrences, histograms and binary searches.
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import type { BinsArgs, Ordered, Routines, SearchArgs } from '../routines.ts'
import { F64, type Func, f32, f64, I32, I64, i32, i64, i64x2, Module, V128, v128 } from './assembler.ts'
import { atLeast } from './records.ts'

const TYPES: readonly Ordered[] = ['float32', 'float64', 'int32', 'int64']
const BYTES: Record<Ordered, number> = { float32: 4, float64: 8, int32: 4, int64: 8 }
const SHAPE = { float32: f32, float64: f64, int32: i32, int64: i64 } as const
/** Searches that are worth a thread. */
const LEAST = 4096

interface Code {
  /** Writes the least and the largest to `to`, int64. */
  range(from: number, n: number, to: number): void
  tally(from: number, n: number, to: number): void
}
type Bins = (from: number, n: number, to: number, bins: number, low: number, high: number) => void
type Search = (sorted: number, width: number, from: number, n: number, to: number) => void

let compiled: Code | null = null

function functions(): Record<string, unknown> {
  if (!compiled) {
    const module = new Module(memory)
    emitRange(module.func('range', [I32, I32, I32]))
    emitTally(module.func('tally', [I32, I32, I32]))
    for (const type of TYPES) {
      if (type === 'float32' || type === 'float64') {
        emitBins(module.func(`bins ${type}`, [I32, I32, I32, I32, F64, F64]), type)
      }
      for (const right of [false, true]) {
        emitSearch(module.func(`search ${type} ${right}`, Array(5).fill(I32)), type, right)
      }
    }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      env: { memory: memory.wasm },
    })
    compiled = exports as unknown as Code
  }
  return compiled as unknown as Record<string, unknown>
}

const searchPart = routine('search', (args, piece) => {
  const [type, right, sorted, width, from, count, each, to, per] = args
  const find = functions()[`search ${TYPES[type]} ${right === 1}`] as Search
  const bytes = BYTES[TYPES[type]]
  const end = Math.min(count, (piece + 1) * per)
  for (let at = piece * per; at < end; ) {
    const row = Math.floor(at / each)
    const next = Math.min(end, (row + 1) * each)
    find(sorted + row * width * bytes, width, from + at * bytes, next - at, to + 8 * at)
    at = next
  }
})

export const lookups: Pick<Routines, 'range' | 'tally' | 'bins' | 'search'> = {
  range(from, n) {
    const to = memory.alloc(16)
    const { range } = functions() as unknown as Code
    range(from, n, to)
    const { i64 } = memory.views
    const found: [number, number] = [Number(i64[to / 8]), Number(i64[to / 8 + 1])]
    memory.release(to, 16)
    return found
  },
  tally(from, n, to) {
    const { tally } = functions() as unknown as Code
    tally(from, n, to)
  },
  bins(type, { from, count, to, bins, low, high }: BinsArgs) {
    const run = functions()[`bins ${type}`] as Bins
    run(from, count, to, bins, low, high)
  },
  search(type, { sorted, width, from, count, each, right, to }: SearchArgs) {
    if (count === 0) return
    const per = Math.ceil(count / piecesFor(count, LEAST, 2))
    const args = [TYPES.indexOf(type), Number(right), sorted, width, from, count, each, to, per]
    parallel(searchPart, args, Math.ceil(count / per))
  },
}

function emitRange(f: Func): void {
  const [from, n, to] = [0, 1, 2]
  const [value, least, most] = [f.local(V128), f.local(V128), f.local(V128)]
  const [v, low, high] = [f.local(I64), f.local(I64), f.local(I64)]
  f.get(from).mem(v128.load64Splat).tee(least).set(most)
  atLeast(f, n, 2, () => {
    f.get(from).mem(v128.load).set(value)
    f.get(value).get(least).get(value).get(least).op(i64x2.ltS).op(v128.bitselect).set(least)
    f.get(value).get(most).get(value).get(most).op(i64x2.gtS).op(v128.bitselect).set(most)
    f.inc(from, 16)
  })
  f.get(least).lane(i64x2.extractLane, 0).set(low).get(most).lane(i64x2.extractLane, 0).set(high)
  const join = (): void => {
    f.get(v).get(low).get(v).get(low).op(i64.ltS).select().set(low)
    f.get(v).get(high).get(v).get(high).op(i64.gtS).select().set(high)
  }
  f.get(least).lane(i64x2.extractLane, 1).set(v)
  join()
  f.get(most).lane(i64x2.extractLane, 1).set(v)
  join()
  atLeast(f, n, 1, () => {
    f.get(from).mem(i64.load).set(v)
    join()
    f.inc(from, 8)
  })
  f.get(to).get(low).mem(i64.store).get(to).get(high).mem(i64.store, 8)
}

function emitTally(f: Func): void {
  const [from, n, to] = [0, 1, 2]
  const at = f.local(I32)
  const one = (offset: number): void => {
    f.get(to).get(from).mem(i32.load, offset).i32(3).op(i32.shl).op(i32.add).tee(at)
    f.get(at).mem(i64.load).i64(1n).op(i64.add).mem(i64.store)
  }
  atLeast(f, n, 4, () => {
    for (const offset of [0, 8, 16, 24]) one(offset)
    f.inc(from, 32)
  })
  atLeast(f, n, 1, () => {
    one(0)
    f.inc(from, 8)
  })
}

function emitBins(f: Func, type: 'float32' | 'float64'): void {
  const [from, n, to, bins, low, high] = Array(6).keys()
  const [value, at] = [f.local(F64), f.local(I32)]
  const [count, width] = [f.local(F64), f.local(F64)]
  f.get(bins).op(f64.convertI32S).set(count).get(high).get(low).op(f64.sub).set(width)
  atLeast(f, n, 1, () => {
    f.get(from).mem(SHAPE[type].load)
    if (type === 'float32') f.op(f64.promoteF32)
    f.tee(value).get(low).op(f64.ge).get(value).get(high).op(f64.le).op(i32.and)
    f.if(() => {
      f.get(value).get(low).op(f64.sub).get(count).op(f64.mul).get(width).op(f64.div).op(i32.truncSatF64S).tee(at)
      f.get(bins).i32(1).op(i32.sub).get(at).get(bins).op(i32.ltS).select()
      f.i32(2).op(i32.shl).get(to).op(i32.add).tee(at).get(at).mem(i32.load).i32(1).op(i32.add).mem(i32.store)
    })
    f.inc(from, BYTES[type])
  })
}

/** (sorted, width, from, n, to): for each value the first place that is not before it, halving without a branch. */
function emitSearch(f: Func, type: Ordered, right: boolean): void {
  const [sorted, width, from, n, to] = Array(5).keys()
  const bytes = BYTES[type]
  const shift = bytes === 8 ? 3 : 2
  const shape = SHAPE[type]
  const value = f.local({ float32: 0x7d, float64: 0x7c, int32: 0x7f, int64: 0x7e }[type] as 0x7d)
  const [base, length, half, next] = Array.from({ length: 4 }, () => f.local(I32))
  /** Leaves whether the element at an address comes before the value. */
  const before = (address: number): void => {
    f.get(address).mem(shape.load).get(value)
    if (type === 'float32' || type === 'float64') {
      f.op(right ? SHAPE[type].gt : SHAPE[type].ge).op(i32.eqz)
      f.get(address).mem(shape.load).get(address).mem(shape.load).op(SHAPE[type].eq).op(i32.and)
    } else f.op(right ? SHAPE[type].leS : SHAPE[type].ltS)
  }
  atLeast(f, n, 1, () => {
    f.get(from).mem(shape.load).set(value).get(sorted).set(base).get(width).set(length)
    f.block(() => {
      f.get(length).op(i32.eqz).brIf(0)
      f.block(() => {
        f.loop(() => {
          f.get(length).i32(1).op(i32.leS).brIf(1)
          f.get(length).i32(1).op(i32.shrU).set(half)
          // The last of the lower half: if it is before the value, so are all of them. V8 makes a branch of a select.
          f.get(half).i32(shift).op(i32.shl).tee(half).get(base).op(i32.add).i32(bytes).op(i32.sub).set(next)
          f.get(base).get(half).i32(0)
          before(next)
          f.op(i32.sub).op(i32.and).op(i32.add).set(base)
          f.get(half).i32(shift).op(i32.shrU).set(half)
          f.get(length).get(half).op(i32.sub).set(length).br(0)
        })
      })
      f.get(base)
      before(base)
      f.i32(shift).op(i32.shl).op(i32.add).set(base)
    })
    f.get(to).get(base).get(sorted).op(i32.sub).i32(shift).op(i32.shrU).op(i64.extendI32U).mem(i64.store)
    f.inc(from, bytes).inc(to, 8)
  })
}
