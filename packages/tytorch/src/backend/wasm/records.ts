// Records put in order by WebAssembly: a signed key that compares as an element does, and the element's position, which breaks
// ties, so that no two records are equal and every algorithm is stable.
import { type Func, I32, I64, i32, i64, type Module, V128, v128 } from './assembler.ts' // biome-ignore format: one list

/** Rows up to so long are sorted by insertion. */
export const SHORT = 24
/** Bytes of the table of a digit's 256 counts. */
export const TABLE = 1024

export const NAN32 = 0x7fffffff
export const NAN64 = 2n ** 63n - 1n

/** Runs `body` while address `at` is below `end`, each time moving it by `step`. */
export function sweep(f: Func, at: number, end: number, step: number, body: () => void): void {
  f.block(() => {
    f.get(at).get(end).op(i32.geU).brIf(0)
    f.loop(() => {
      body()
      f.inc(at, step).get(at).get(end).op(i32.ltU).brIf(0)
    })
  })
}

/** Runs `body` while the count in `left` is at least `least`, each time taking `least` from it. */
export function atLeast(f: Func, left: number, least: number, body: () => void): void {
  f.block(() => {
    f.get(left).i32(least).op(i32.ltS).brIf(0)
    f.loop(() => {
      body()
      f.inc(left, -least).get(left).i32(least).op(i32.geS).brIf(0)
    })
  })
}

/** Records of 8 bytes, the position below the key, for elements of 4 bytes; of 16, key and position, for those of 8. */
export class Records {
  readonly f: Func
  readonly wide: boolean
  readonly size: number

  constructor(f: Func, wide: boolean) {
    this.f = f
    this.wide = wide
    this.size = wide ? 16 : 8
  }

  /** Locals that hold a record. */
  locals(): number[] {
    return Array.from({ length: this.wide ? 2 : 1 }, () => this.f.local(I64))
  }

  /** Loads the one at `address` + `offset`. */
  load(record: readonly number[], address: number, offset = 0): void {
    for (const [i, local] of record.entries()) this.f.get(address).mem(i64.load, offset + 8 * i).set(local) // biome-ignore format: one line
  }

  store(record: readonly number[], address: number, offset = 0): void {
    for (const [i, local] of record.entries())
      this.f
        .get(address)
        .get(local)
        .mem(i64.store, offset + 8 * i)
  }

  copy(to: readonly number[], from: readonly number[]): void {
    for (const [i, local] of to.entries()) this.f.get(from[i]).set(local)
  }

  /** Leaves whether `a` comes before `b`. */
  less(a: readonly number[], b: readonly number[]): void {
    this.f.get(a[0]).get(b[0]).op(i64.ltS)
    if (this.wide) this.f.get(a[0]).get(b[0]).op(i64.eq).get(a[1]).get(b[1]).op(i64.ltS).op(i32.and).op(i32.or)
  }

  /** Leaves the position of a loaded record, i64. */
  position(record: readonly number[]): void {
    if (this.wide) this.f.get(record[1])
    else this.f.get(record[0]).i64(0xffffffffn).op(i64.and)
  }

  /** Leaves the key of a loaded record, i64. */
  key(record: readonly number[]): void {
    this.f.get(record[0])
    if (!this.wide) this.f.i64(32n).op(i64.shrS)
  }

  /** Leaves the address of record `index` (an i32 local) from `base` on. */
  address(base: number, index: number): void {
    this.f.get(base).get(index).i32(this.size).op(i32.mul).op(i32.add)
  }
}

/** The functions on records of one size. */
export interface Shared {
  readonly insert: Func
  readonly digits: Func
  readonly select: Func
  readonly keep: Func
}

/** Writes the functions on records of one size. */
export function emitShared(module: Module, wide: boolean): Shared {
  const name = wide ? 'wide' : 'narrow'
  const insert = emitInsert(module.func(null, [I32, I32]), wide)
  const digits = emitDigits(module.func(null, [I32, I32, I32, I64, I32], [I32]), wide)
  const select = emitSelect(module.func(null, [I32, I32, I32]), wide)
  const keep = emitKeep(module.func(null, [I32, I32, I32]), wide)
  emitPositions(module.func(`positions ${name}`, [I32, I32, I32]), wide)
  emitGroups(module.func(`groups ${name}`, Array(6).fill(I32), [I32]), wide)
  emitMode(module.func(`mode ${name}`, [I32, I32], [I32]), wide)
  return { insert, digits, select, keep }
}

/** Moves records before address `gap`, from `first` on, that come after `own` up by one; the place for `own` is behind `gap` then. */
export function shift(r: Records, own: readonly number[], before: readonly number[], gap: number, first: number): void {
  const { f, size } = r
  f.block(() => {
    f.loop(() => {
      f.get(gap).i32(size).op(i32.sub).tee(gap).get(first).op(i32.ltU).brIf(1)
      r.load(before, gap)
      r.less(own, before)
      f.op(i32.eqz).brIf(1)
      r.store(before, gap, size)
      f.br(0)
    })
  })
}

/** (records, n): sorts by insertion. */
function emitInsert(f: Func, wide: boolean): Func {
  const [records, n] = [0, 1]
  const r = new Records(f, wide)
  const [end, at, gap] = [f.local(I32), f.local(I32), f.local(I32)]
  const [own, before] = [r.locals(), r.locals()]
  r.address(records, n)
  f.set(end).get(records).i32(r.size).op(i32.add).set(at)
  sweep(f, at, end, r.size, () => {
    r.load(own, at)
    f.get(at).set(gap)
    shift(r, own, before, gap, records)
    r.store(own, gap, r.size)
  })
  return f
}

/** (from, other, n, varying, table) -> which of both arrays holds the records sorted by the digits in which keys vary. */
function emitDigits(f: Func, wide: boolean): Func {
  const [from, other, n, varying, table] = Array(5).keys()
  const r = new Records(f, wide)
  const first = wide ? 0 : 4
  const last = 7
  const [byte, at, end, slot, i, sum, count] = Array.from({ length: 7 }, () => f.local(I32))
  const zero = f.local(V128)
  const own = r.locals()
  const bucket = (): void => {
    f.get(table).get(at).get(byte).op(i32.add).mem(i32.load8U).i32(2).op(i32.shl).op(i32.add).set(slot)
  }
  f.i32(first).set(byte)
  f.loop(() => {
    f.block(() => {
      f.get(varying).i64(255n).op(i64.and).op(i64.eqz).brIf(0)
      f.get(table).i32(TABLE).op(i32.add).set(end).get(table).set(at)
      sweep(f, at, end, 64, () => {
        for (const offset of [48, 32, 16, 0]) f.get(at).get(zero).mem(v128.store, offset)
      })
      r.address(from, n)
      f.set(end).get(from).set(at)
      sweep(f, at, end, r.size, () => {
        bucket()
        f.get(slot).get(slot).mem(i32.load).i32(r.size).op(i32.add).mem(i32.store)
      })
      // The sign's digit counts from -128 on.
      f.get(other).set(sum).i32(0).set(i)
      f.loop(() => {
        f.get(i).i32(0).i32(128).get(byte).i32(last).op(i32.ne).select().op(i32.xor)
        f.i32(2).op(i32.shl).get(table).op(i32.add).tee(slot).mem(i32.load).set(count)
        f.get(slot).get(sum).mem(i32.store).get(sum).get(count).op(i32.add).set(sum)
        f.inc(i, 1).get(i).i32(256).op(i32.ltS).brIf(0)
      })
      f.get(from).set(at)
      sweep(f, at, end, r.size, () => {
        bucket()
        r.load(own, at)
        f.get(slot).mem(i32.load).set(count)
        r.store(own, count)
        f.get(slot).get(count).i32(r.size).op(i32.add).mem(i32.store)
      })
      f.get(from).get(other).set(from).set(other)
    })
    f.get(varying).i64(8n).op(i64.shrU).set(varying)
    f.inc(byte, 1).get(byte).i32(last).op(i32.leS).brIf(0)
  })
  f.get(from)
  return f
}

/** (records, n, k): moves the record that order puts at place `k` there, those before it to lower places. */
function emitSelect(f: Func, wide: boolean): Func {
  const [records, n, k] = [0, 1, 2]
  const r = new Records(f, wide)
  const [low, high, goal, at, hole, seed, pick] = Array.from({ length: 7 }, () => f.local(I32))
  const [pivot, own, swap] = [r.locals(), r.locals(), r.locals()]
  /** The address of a place drawn from [low, high], the same in every run: patterns that are slow with fixed places are not with these. */
  const draw = (): void => {
    f.get(seed).i32(1664525).op(i32.mul).i32(1013904223).op(i32.add).set(seed)
    f.get(low).get(seed).op(i64.extendI32U)
    f.get(high)
      .get(low)
      .op(i32.sub)
      .i32(wide ? 4 : 3)
      .op(i32.shrU)
      .i32(1)
      .op(i32.add)
      .op(i64.extendI32U)
    f.op(i64.mul)
      .i64(32n)
      .op(i64.shrU)
      .op(i32.wrapI64)
      .i32(wide ? 4 : 3)
      .op(i32.shl)
      .op(i32.add)
  }
  r.address(records, k)
  f.set(goal).get(records).set(low)
  r.address(records, n)
  f.i32(r.size).op(i32.sub).set(high)
  f.block(() => {
    f.loop(() => {
      f.get(low).get(high).op(i32.geU).brIf(1)
      draw()
      f.set(pick)
      r.load(pivot, pick)
      f.get(high)
        .get(low)
        .op(i32.sub)
        .i32(32 * r.size)
        .op(i32.gtU)
      f.if(() => {
        // The middle one of three.
        draw()
        f.set(at)
        draw()
        f.set(hole)
        r.load(own, at)
        r.load(swap, hole)
        r.less(own, pivot)
        f.if(() => {
          swapLocals(f, [...own, at], [...pivot, pick])
        })
        r.less(swap, own)
        f.if(() => {
          r.copy(own, swap)
          f.get(hole).set(at)
        })
        r.less(own, pivot)
        f.if(
          () => {},
          () => {
            r.copy(pivot, own)
            f.get(at).set(pick)
          },
        )
      })
      r.load(own, high)
      r.store(own, pick)
      // Without a branch: each is swapped to the gap, which moves on if it belongs below the pivot.
      f.get(low).tee(at).set(hole)
      sweep(f, at, high, r.size, () => {
        r.load(own, at)
        r.load(swap, hole)
        r.store(swap, at)
        r.store(own, hole)
        f.get(hole)
        r.less(own, pivot)
        f.i32(wide ? 4 : 3)
          .op(i32.shl)
          .op(i32.add)
          .set(hole)
      })
      r.load(own, hole)
      r.store(own, high)
      r.store(pivot, hole)
      f.get(goal).get(hole).op(i32.eq).brIf(1)
      f.get(goal).get(hole).op(i32.ltU)
      f.if(
        () => f.get(hole).i32(r.size).op(i32.sub).set(high),
        () => f.get(hole).i32(r.size).op(i32.add).set(low),
      )
      f.br(0)
    })
  })
  return f
}

function swapLocals(f: Func, a: readonly number[], b: readonly number[]): void {
  for (const [i, local] of a.entries()) f.get(local).get(b[i]).set(local).set(b[i])
}

/** (records, n, limit): keeps those that come no later than the record at `limit`, in their order. */
function emitKeep(f: Func, wide: boolean): Func {
  const [records, n, limit] = [0, 1, 2]
  const r = new Records(f, wide)
  const [at, end] = [f.local(I32), f.local(I32)]
  const [most, own] = [r.locals(), r.locals()]
  r.load(most, limit)
  r.address(records, n)
  f.set(end).get(records).set(at)
  sweep(f, at, end, r.size, () => {
    r.load(own, at)
    r.store(own, records)
    f.get(records)
    r.less(most, own)
    f.op(i32.eqz)
      .i32(wide ? 4 : 3)
      .op(i32.shl)
      .op(i32.add)
      .set(records)
  })
  return f
}

/** (records, n, to): their positions as int64. */
function emitPositions(f: Func, wide: boolean): void {
  const [records, n, to] = [0, 1, 2]
  const r = new Records(f, wide)
  const end = f.local(I32)
  r.address(records, n)
  f.set(end)
  sweep(f, records, end, r.size, () => {
    f.get(to).get(records)
    if (wide) f.mem(i64.load, 8)
    else f.mem(i64.load32U)
    f.mem(i64.store).inc(to, 8)
  })
}

/** (records, n, first, counts, inverse, floats) -> how many groups neighbours with the same key form. */
function emitGroups(f: Func, wide: boolean): void {
  const [records, n, first, counts, inverse, floats] = Array(6).keys()
  const r = new Records(f, wide)
  const [own, before] = [r.locals(), r.locals()]
  const [end, group] = [f.local(I32), f.local(I32)]
  const [run, key] = [f.local(I64), f.local(I64)]
  r.address(records, n)
  f.set(end).i32(-1).set(group)
  sweep(f, records, end, r.size, () => {
    r.load(own, records)
    r.key(own)
    f.tee(key)
    r.key(before)
    f.op(i64.ne).get(group).i32(0).op(i32.ltS).op(i32.or)
    f.get(floats)
      .get(key)
      .i64(wide ? NAN64 : BigInt(NAN32))
      .op(i64.eq)
      .op(i32.and)
      .op(i32.or)
    f.if(() => {
      f.inc(group, 1).i64(0n).set(run)
      f.get(first).get(group).i32(3).op(i32.shl).op(i32.add)
      r.position(own)
      f.mem(i64.store)
    })
    f.get(run).i64(1n).op(i64.add).set(run)
    f.get(counts).if(() => {
      f.get(counts).get(group).i32(3).op(i32.shl).op(i32.add).get(run).mem(i64.store)
    })
    f.get(inverse).if(() => {
      f.get(inverse)
      r.position(own)
      f.op(i32.wrapI64).i32(3).op(i32.shl).op(i32.add).get(group).op(i64.extendI32U).mem(i64.store)
    })
    r.copy(before, own)
  })
  f.get(group).i32(1).op(i32.add)
}

/** (records, n) -> the position of the last record of the longest run of equal keys, the first of several. */
function emitMode(f: Func, wide: boolean): void {
  const [records, n] = [0, 1]
  const r = new Records(f, wide)
  const [own, before] = [r.locals(), r.locals()]
  const [end, run, best, found] = [f.local(I32), f.local(I32), f.local(I32), f.local(I32)]
  r.address(records, n)
  f.set(end)
  sweep(f, records, end, r.size, () => {
    r.load(own, records)
    f.get(run).i32(1).op(i32.add).i32(1)
    r.key(own)
    r.key(before)
    f.op(i64.eq).select().set(run)
    f.get(run).get(best).op(i32.gtS)
    f.if(() => {
      f.get(run).set(best)
      r.position(own)
      f.op(i32.wrapI64).set(found)
    })
    r.copy(before, own)
  })
  f.get(found)
}
