// Rows of elements turned into records, and what is found in them: their order, its first places, one place, and groups.
import type { Ordered } from '../routines.ts'
import { type Func, f32, f32x4, f64, f64x2, I32, I64, i32, i32x4, i64, i64x2, type Module, V128, v128 } from './assembler.ts' // biome-ignore format: one list
import { atLeast, emitShared, NAN32, NAN64, Records, SHORT, type Shared, shift, sweep } from './records.ts'

/** Writes what sorts elements of `type`; `shared` holds the functions on records of each size. */
export function emitOrder(module: Module, type: Ordered, shared: Map<boolean, Shared>): void {
  const wide = type === 'float64' || type === 'int64'
  let own = shared.get(wide)
  if (!own) {
    own = emitShared(module, wide)
    shared.set(wide, own)
  }
  const keys = emitKeys(module.func(null, Array(4).fill(I32), [I64]), type)
  emitSorted(module.func(`sorted ${type}`, Array(6).fill(I32), [I32]), wide, keys, own)
  emitLeading(module.func(`leading ${type}`, Array(7).fill(I32), [I32]), wide, keys, own)
  emitFew(module.func(`few ${type}`, Array(5).fill(I32)), type, keys, own)
  emitRuns(module.func(`runs ${type}`, Array(5).fill(I32), [I32]), type)
  emitPlace(module.func(`place ${type}`, Array(4).fill(I32), [I32]), type, keys, own)
}

/** What turns vectors of elements into keys: two 64-bit or four 32-bit ones. */
class Keys {
  readonly f: Func
  readonly float: boolean
  readonly wide: boolean
  readonly per: number
  private readonly flip: number
  private readonly nan: number
  private readonly zero: number
  private readonly value: number
  private readonly key: number

  constructor(f: Func, type: Ordered, flip: number) {
    this.f = f
    this.float = type === 'float32' || type === 'float64'
    this.wide = type === 'float64' || type === 'int64'
    this.per = this.wide ? 2 : 4
    this.flip = f.local(V128)
    this.nan = f.local(V128)
    this.zero = f.local(V128)
    this.value = f.local(V128)
    this.key = f.local(V128)
    f.get(flip).op(i32x4.splat).set(this.flip)
    if (this.wide) f.i64x2(NAN64)
    else f.i32x4(NAN32)
    f.set(this.nan)
  }

  /** Turns the elements on the stack into keys there. */
  push(): void {
    const { f, wide, value, key } = this
    const shape = wide ? i64x2 : i32x4
    const floats = wide ? f64x2 : f32x4
    if (this.float) {
      // -0 + 0 is 0.
      f.get(this.zero).op(floats.add).tee(value)
      f.i32(wide ? 63 : 31)
        .op(shape.shrS)
        .i32(1)
        .op(shape.shrU)
        .get(value)
        .op(v128.xor)
        .set(key)
      f.get(this.nan).get(key).get(value).get(value).op(floats.ne).op(v128.bitselect)
    }
    f.get(this.flip).op(v128.xor)
  }
}

/** (from, to, n, flip) -> the bits in which keys differ; `flip` is -1 for descending order, else 0. n is at least 1. */
function emitKeys(f: Func, type: Ordered): Func {
  const [from, to, n, flip] = Array(4).keys()
  const keys = new Keys(f, type, flip)
  const { wide, per } = keys
  const [k, iota, first, varying] = [f.local(V128), f.local(V128), f.local(V128), f.local(V128)]
  const bits = f.local(I64)
  const one = wide ? v128.load64Splat : v128.load32Splat
  const shape = wide ? i64x2 : i32x4
  f.v128(wide ? [...lane64(0), ...lane64(1)] : [0, 1, 2, 3].flatMap((i) => [i, 0, 0, 0])).set(iota)
  f.get(from).mem(one)
  keys.push()
  f.set(first)
  const differ = (): void => {
    f.get(k).get(first).op(v128.xor).get(varying).op(v128.or).set(varying)
  }
  const advance = (by: number): void => {
    f.get(iota)
    if (wide) f.i64x2(BigInt(by))
    else f.i32x4(by)
    f.op(shape.add).set(iota)
    f.inc(from, by * (wide ? 8 : 4)).inc(to, by * (wide ? 16 : 8))
  }
  atLeast(f, n, per, () => {
    f.get(from).mem(v128.load)
    keys.push()
    f.set(k)
    differ()
    f.get(to)
    if (wide) f.get(k).get(iota).shuffle64([0, 2])
    else f.get(iota).get(k).shuffle32([0, 4, 1, 5])
    f.mem(v128.store).get(to)
    if (wide) f.get(k).get(iota).shuffle64([1, 3])
    else f.get(iota).get(k).shuffle32([2, 6, 3, 7])
    f.mem(v128.store, 16)
    advance(per)
  })
  atLeast(f, n, 1, () => {
    f.get(from).mem(one)
    keys.push()
    f.set(k)
    differ()
    f.get(to)
    if (wide) f.get(k).get(iota).shuffle64([0, 2]).mem(v128.store)
    else f.get(iota).get(k).shuffle32([0, 4, 1, 5]).memLane(v128.store64Lane, 0)
    advance(1)
  })
  f.get(varying).lane(i64x2.extractLane, 0).get(varying).lane(i64x2.extractLane, 1).op(i64.or).set(bits)
  f.get(bits)
  if (!wide) f.get(bits).i64(32n).op(i64.shrU).op(i64.or).i64(0xffffffffn).op(i64.and)
  return f
}

const lane64 = (i: number): number[] => [i, 0, 0, 0, 0, 0, 0, 0]

/** (from, n, first, counts, inverse) -> how many groups equal neighbours form. NaN is equal to nothing. */
function emitRuns(f: Func, type: Ordered): void {
  const [from, n, first, counts, inverse] = Array(5).keys()
  const shape = { float32: f32, float64: f64, int32: i32, int64: i64 }[type]
  const bytes = type === 'float64' || type === 'int64' ? 8 : 4
  const [i, start, group] = [f.local(I32), f.local(I32), f.local(I32)]
  /** Begins a group at element i. */
  const begin = (): void => {
    f.get(first).get(i).op(i64.extendI32U).mem(i64.store)
    f.inc(first, 8).get(i).set(start)
  }
  /** Ends the one that is going on before element i. */
  const end = (): void => {
    f.get(counts).if(() => {
      f.get(counts).get(i).get(start).op(i32.sub).op(i64.extendI32U).mem(i64.store).inc(counts, 8)
    })
  }
  const add = (): void => {
    f.get(inverse).if(() => {
      f.get(inverse).get(group).op(i64.extendI32U).mem(i64.store).inc(inverse, 8)
    })
    f.inc(i, 1).inc(from, bytes)
  }
  begin()
  add()
  f.inc(n, -1)
  atLeast(f, n, 1, () => {
    f.get(from).mem(shape.load).get(from).i32(bytes).op(i32.sub).mem(shape.load).op(shape.ne)
    f.if(() => {
      end()
      f.inc(group, 1)
      begin()
    })
    add()
  })
  end()
  f.get(group).i32(1).op(i32.add)
}

/** (from, records, other, n, flip, table) -> the array that holds the row's records in order. */
function emitSorted(f: Func, wide: boolean, keys: Func, { insert, digits }: Shared): void {
  const [from, records, other, n, flip, table] = Array(6).keys()
  const [varying, sorted] = [f.local(I64), f.local(I32)]
  f.get(from).get(records).get(n).get(flip).call(keys).set(varying).get(records).set(sorted)
  f.get(n)
    .i32(wide ? 2 * SHORT : SHORT)
    .op(i32.leS)
  f.if(
    () => f.get(records).get(n).call(insert),
    () => f.get(records).get(other).get(n).get(varying).get(table).call(digits).set(sorted),
  )
  f.get(sorted)
}

/** (from, records, other, n, flip, table, k) -> the array that holds the row's first `k` records in order. */
function emitLeading(f: Func, wide: boolean, keys: Func, { insert, digits, select, keep }: Shared): void {
  const [from, records, other, n, flip, table, k] = Array(7).keys()
  const r = new Records(f, wide)
  const [least, sorted] = [f.local(I32), f.local(I32)]
  f.get(from).get(records).get(n).get(flip).call(keys).drop()
  f.get(k).i32(1).op(i32.sub).set(least)
  f.get(records).get(n).get(least).call(select)
  f.get(from).get(other).get(n).get(flip).call(keys).drop()
  f.get(other).get(n)
  r.address(records, least)
  f.call(keep).get(other).set(sorted)
  f.get(k).i32(SHORT).op(i32.leS)
  f.if(
    () => f.get(other).get(k).call(insert),
    () => f.get(other).get(records).get(k).i64(-1n).get(table).call(digits).set(sorted),
  )
  f.get(sorted)
}

/** (from, best, n, flip, k): the row's first `k` records in order, for small `k` (1 to n): it looks at each element once. */
function emitFew(f: Func, type: Ordered, keys: Func, { insert }: Shared): void {
  const [from, best, n, flip, k] = Array(5).keys()
  const key = new Keys(f, type, flip)
  const { wide, per } = key
  const r = new Records(f, wide)
  const shape = wide ? i64x2 : i32x4
  const item = wide ? 8 : 4
  const [vector, most] = [f.local(V128), f.local(V128)]
  const [left, place, hits, gap, lane, last] = Array.from({ length: 6 }, () => f.local(I32))
  const own = r.locals()
  const before = r.locals()
  f.get(from).get(best).get(k).get(flip).call(keys).drop()
  f.get(best).get(k).call(insert)
  f.get(best).get(k).i32(1).op(i32.sub).i32(r.size).op(i32.mul).op(i32.add).set(last)
  f.get(n).get(k).op(i32.sub).set(left).get(k).set(place)
  f.get(from).get(k).i32(item).op(i32.mul).op(i32.add).set(from)
  const limit = (): void => {
    f.get(last)
      .mem(wide ? v128.load64Splat : v128.load32Splat, wide ? 0 : 4)
      .set(most)
  }
  limit()
  /** Puts key `lane` of the vector into place if it still belongs to the best: a later one of equals does not. */
  const put = (): void => {
    // The lane's key, through the space behind the best.
    f.get(last).get(lane).i32(item).op(i32.mul).op(i32.add)
    f.mem(wide ? i64.load : i64.load32U, r.size)
    if (!wide) f.i64(32n).op(i64.shl)
    f.get(place).get(lane).op(i32.add).op(i64.extendI32U)
    if (!wide) f.op(i64.or)
    for (const local of [...own].reverse()) f.set(local)
    r.load(before, last)
    r.less(own, before)
    f.if(() => {
      f.get(last).set(gap)
      shift(r, own, before, gap, best)
      r.store(own, gap, r.size)
    })
  }
  const look = (load: number, lanes: number): void => {
    f.get(from).mem(load)
    key.push()
    f.tee(vector).get(most).op(shape.ltS).op(shape.bitmask)
    if (lanes === 1) f.i32(1).op(i32.and)
    f.tee(hits).if(() => {
      f.get(last).get(vector).mem(v128.store, r.size)
      f.loop(() => {
        f.get(hits).op(i32.ctz).set(lane)
        put()
        f.get(hits).get(hits).i32(1).op(i32.sub).op(i32.and).tee(hits).brIf(0)
      })
      limit()
    })
    f.inc(from, lanes * item).inc(place, lanes)
  }
  atLeast(f, left, per, () => look(v128.load, per))
  atLeast(f, left, 1, () => look(wide ? v128.load64Splat : v128.load32Splat, 1))
}

/** (from, records, n, rank) -> the position at place `rank`, or for -1 and -2 at that of the median and the nanmedian. */
function emitPlace(f: Func, type: Ordered, keys: Func, { select }: Shared): void {
  const [from, records, n, rank] = Array(4).keys()
  const wide = type === 'float64' || type === 'int64'
  const r = new Records(f, wide)
  const [at, end, numbers, flip] = Array.from({ length: 4 }, () => f.local(I32))
  const own = r.locals()
  f.get(from).get(records).get(n).get(flip).call(keys).drop()
  f.get(rank).i32(0).op(i32.ltS)
  f.if(() => {
    f.get(n).set(numbers)
    if (type === 'float32' || type === 'float64') {
      r.address(records, n)
      f.set(end).get(records).set(at)
      sweep(f, at, end, r.size, () => {
        r.load(own, at)
        f.get(numbers)
        r.key(own)
        f.i64(wide ? NAN64 : BigInt(NAN32))
          .op(i64.eq)
          .op(i32.sub)
          .set(numbers)
      })
    }
    // A row with NaN has the first of them as its median; one of NaN alone has the middle one as its nanmedian.
    f.get(numbers).get(n)
    f.get(numbers).i32(0).op(i32.gtS).select()
    f.i32(1).op(i32.sub).i32(1).op(i32.shrU)
    f.get(numbers)
    f.get(rank).i32(-2).op(i32.eq).get(numbers).get(n).op(i32.eq).op(i32.or)
    f.select().set(rank)
  })
  f.get(records).get(n).get(rank).call(select)
  r.address(records, rank)
  f.set(at)
  r.load(own, at)
  r.position(own)
  f.op(i32.wrapI64)
}
