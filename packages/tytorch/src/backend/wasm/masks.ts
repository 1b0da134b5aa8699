// Masks in WebAssembly: counting, listing, and moving what they select. Nothing branches on a mask, which is hard to predict:
// each element is written where the next one selected belongs, and the place moves on if it was one.
import { memory } from '../memory.ts'
import type { Routines } from '../routines.ts'
import { type Func, I32, I64, i32, i64, Module, type Op } from './assembler.ts'
import { atLeast } from './records.ts'

type Masks = Pick<Routines, 'count' | 'coordinates' | 'compress' | 'spread'>

interface Code {
  count(mask: number, n: number): number
  trimmed(mask: number, n: number): number
  positions(mask: number, n: number, to: number): void
  coordinate(positions: number, n: number, size: number, to: number, step: number): void
  last(positions: number, n: number, to: number, step: number): void
}
type Move = (mask: number, n: number, from: number, to: number) => void

const MOVES: Readonly<Record<number, readonly [load: Op, store: Op]>> = {
  1: [i32.load8U, i32.store8],
  2: [i32.load16U, i32.store16],
  4: [i32.load, i32.store],
  8: [i64.load, i64.store],
}

/** Compiles them. */
export function createMasks(): Masks {
  const module = new Module(memory)
  emitCount(module.func('count', [I32, I32], [I32]))
  emitTrimmed(module.func('trimmed', [I32, I32], [I32]))
  emitPositions(module.func('positions', [I32, I32, I32]))
  emitCoordinate(module.func('coordinate', Array(5).fill(I32)))
  emitLast(module.func('last', Array(4).fill(I32)))
  for (const [bytes, [load, store]] of Object.entries(MOVES)) {
    emitCompress(module.func(`compress ${bytes}`, Array(4).fill(I32)), Number(bytes), load, store)
    emitSpread(module.func(`spread ${bytes}`, Array(4).fill(I32)), Number(bytes), load, store)
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    env: { memory: memory.wasm },
  })
  const code = exports as unknown as Code
  const moves = exports as Record<string, Move>
  return {
    count: (mask, n) => code.count(mask, n),
    coordinates(mask, sizes, count, to) {
      const rank = sizes.length
      if (count === 0 || rank === 0) return
      const n = code.trimmed(
        mask,
        sizes.reduce((a, b) => a * b, 1),
      )
      const positions = memory.alloc(4 * count)
      try {
        code.positions(mask, n, positions)
        for (let d = rank - 1; d > 0; d--) code.coordinate(positions, count, sizes[d], to + 8 * d, 8 * rank)
        code.last(positions, count, to, 8 * rank)
      } finally {
        memory.release(positions, 4 * count)
      }
    },
    compress: (bytes, mask, n, from, to) => moves[`compress ${bytes}`](mask, code.trimmed(mask, n), from, to),
    spread: (bytes, mask, n, from, to) => moves[`spread ${bytes}`](mask, code.trimmed(mask, n), from, to),
  }
}

function emitCount(f: Func): void {
  const [mask, n] = [0, 1]
  const total = f.local(I64)
  atLeast(f, n, 8, () => {
    f.get(total).get(mask).mem(i64.load).op(i64.popcnt).op(i64.add).set(total).inc(mask, 8)
  })
  atLeast(f, n, 1, () => {
    f.get(total).get(mask).mem(i32.load8U).op(i64.extendI32U).op(i64.add).set(total).inc(mask, 1)
  })
  f.get(total).op(i32.wrapI64)
}

/** (mask, n) -> n without what is false at the end: so that nothing is written behind the last element selected. */
function emitTrimmed(f: Func): void {
  const [mask, n] = [0, 1]
  f.block(() => {
    f.loop(() => {
      f.get(n).op(i32.eqz).brIf(1)
      f.get(mask).get(n).op(i32.add).i32(1).op(i32.sub).mem(i32.load8U).brIf(1)
      f.inc(n, -1).br(0)
    })
  })
  f.get(n)
}

/** (mask, n, to): int32 positions. */
function emitPositions(f: Func): void {
  const [mask, n, to] = [0, 1, 2]
  const i = f.local(I32)
  const one = (offset: number): void => {
    f.get(to).get(i).i32(offset).op(i32.add).mem(i32.store)
    f.get(to).get(mask).mem(i32.load8U, offset).i32(2).op(i32.shl).op(i32.add).set(to)
  }
  atLeast(f, n, 4, () => {
    for (const offset of [0, 1, 2, 3]) one(offset)
    f.inc(i, 4).inc(mask, 4)
  })
  atLeast(f, n, 1, () => {
    one(0)
    f.inc(i, 1).inc(mask, 1)
  })
}

/** (positions, n, size, to, step): each position's remainder by `size` as int64, `step` bytes apart; the quotient takes its place. */
function emitCoordinate(f: Func): void {
  const [positions, n, size, to, step] = Array(5).keys()
  const [quotient, start, at] = [f.local(I32), f.local(I32), f.local(I32)]
  atLeast(f, n, 1, () => {
    // Positions rise, so that the quotient is seldom another one.
    f.get(positions).mem(i32.load).tee(at).get(start).op(i32.sub).get(size).op(i32.geU)
    f.if(() => {
      f.get(at).get(size).op(i32.divU).tee(quotient).get(size).op(i32.mul).set(start)
    })
    f.get(to).get(at).get(start).op(i32.sub).op(i64.extendI32U).mem(i64.store)
    f.get(positions).get(quotient).mem(i32.store)
    f.inc(positions, 4).get(to).get(step).op(i32.add).set(to)
  })
}

/** (positions, n, to, step): the positions as int64, `step` bytes apart. */
function emitLast(f: Func): void {
  const [positions, n, to, step] = [0, 1, 2, 3]
  atLeast(f, n, 1, () => {
    f.get(to).get(positions).mem(i64.load32U).mem(i64.store)
    f.inc(positions, 4).get(to).get(step).op(i32.add).set(to)
  })
}

function emitCompress(f: Func, bytes: number, load: Op, store: Op): void {
  const [mask, n, from, to] = [0, 1, 2, 3]
  const one = (offset: number): void => {
    f.get(to)
      .get(from)
      .mem(load, offset * bytes)
      .mem(store)
    f.get(to).get(mask).mem(i32.load8U, offset).i32(bytes).op(i32.mul).op(i32.add).set(to)
  }
  atLeast(f, n, 4, () => {
    for (const offset of [0, 1, 2, 3]) one(offset)
    f.inc(mask, 4).inc(from, 4 * bytes)
  })
  atLeast(f, n, 1, () => {
    one(0)
    f.inc(mask, 1).inc(from, bytes)
  })
}

function emitSpread(f: Func, bytes: number, load: Op, store: Op): void {
  const [mask, n, from, to] = [0, 1, 2, 3]
  const taken = f.local(I32)
  const wide = bytes === 8
  const old = f.local(wide ? I64 : I32)
  const whole = wide ? i64 : i32
  atLeast(f, n, 1, () => {
    // The old bits, and where the mask holds what makes the new ones of them: V8 makes a branch of a select.
    f.get(to).get(to).mem(load).tee(old).get(old).get(from).mem(load).op(whole.xor)
    if (wide) f.i64(0n).get(mask).mem(i32.load8U).tee(taken).op(i64.extendI32U)
    else f.i32(0).get(mask).mem(i32.load8U).tee(taken)
    f.op(whole.sub).op(whole.and).op(whole.xor).mem(store)
    f.get(from).get(taken).i32(bytes).op(i32.mul).op(i32.add).set(from)
    f.inc(mask, 1).inc(to, bytes)
  })
}
