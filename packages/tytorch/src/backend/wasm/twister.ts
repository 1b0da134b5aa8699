// The random draws of base/random.ts as WebAssembly: blocks of the Mersenne Twister, and what turns its words into
// uniform, normal, Bernoulli and integer numbers, four to sixteen at a time and bit for bit the same.
import { memory } from '../memory.ts'
import {
  type Func,
  f32x4,
  f64x2,
  I32,
  I64,
  i8x16,
  i16x8,
  i32,
  i32x4,
  i64,
  i64x2,
  Module,
  V128,
  type ValueType,
  v128,
} from './assembler.ts'
import { emitNormal } from './boxmuller.ts'
import { bits53, doubles53, eachOf, MASK53, unitOf, type Value, Values } from './values.ts'

/** Words of a block. */
export const BLOCK = 624
const MIDDLE = 397

export type Fill = (words: number, to: number, count: number) => void

/** The compiled routines: `count` is a multiple of 16, `words` and `to` are byte pointers. */
export interface Twister {
  /** Advances the state by `count` blocks, drawn to `words`. The state's buffer has room for one vector more. */
  blocks(state: number, words: number, count: number): void
  unit32: Fill
  unit64: Fill
  /** Bounds are singles in all lanes of four vectors at `bounds`: scale, from, to, and what replaces `to`. */
  range32(words: number, to: number, count: number, bounds: number): void
  normal32(words: number, to: number, count: number, bounds: number): void
  /** `one` (at `bounds`) where 53 bits are below the integer beside it, by the bytes of an element. */
  below1(words: number, to: number, count: number, bounds: number): void
  below2(words: number, to: number, count: number, bounds: number): void
  below4(words: number, to: number, count: number, bounds: number): void
  below8(words: number, to: number, count: number, bounds: number): void
  /** A single 1 where 24 bits are below the chance at `from`; a double where 53 bits are. */
  chance32(words: number, to: number, count: number, from: number): void
  chance64(words: number, to: number, count: number, from: number): void
  /** Words modulo the double at `bounds` (its inverse and an offset beside it), as doubles. */
  modulo64(words: number, to: number, count: number, bounds: number): void
  modulo32(words: number, to: number, count: number, bounds: number): void
  moduloLong(words: number, to: number, count: number, bounds: number): void
  moduloInt(words: number, to: number, count: number, bounds: number): void
  /** Swaps `count` int64 with later ones, of the `left` that there are from `to` on. */
  shuffle(words: number, to: number, count: number, left: number): void
}

/** Compiles them; `fused` says that the host's multiply-adds round once. */
export function createTwister(fused: boolean): Twister {
  const module = new Module(memory)
  const three: ValueType[] = [I32, I32, I32]
  const four: ValueType[] = [I32, I32, I32, I32]
  emitBlocks(module.func('blocks', three))
  const fill = (name: keyof Twister, params: readonly ValueType[], emit: (f: Func, v: Values) => void): void => {
    const f = module.func(name, params)
    emit(f, new Values(f, fused))
  }
  fill('unit32', three, emitUnit32)
  fill('unit64', three, emitUnit64)
  fill('range32', four, emitRange32)
  fill('normal32', four, emitNormal)
  for (const size of [1, 2, 4, 8] as const) fill(`below${size}`, four, (f, v) => emitBelow(f, v, size))
  fill('chance32', four, emitChance32)
  fill('chance64', four, emitChance64)
  fill('modulo64', four, (f, v) => emitModulo(f, v, 'double'))
  fill('modulo32', four, (f, v) => emitModulo(f, v, 'single'))
  fill('moduloLong', four, (f, v) => emitModulo(f, v, 'long'))
  fill('moduloInt', four, (f, v) => emitModulo(f, v, 'int'))
  emitShuffle(module.func('shuffle', four))
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  return instance.exports as unknown as Twister
}

function emitBlocks(f: Func): void {
  const [state, words, count] = [0, 1, 2]
  const v = new Values(f, false)
  const end = f.local(I32)
  const y = f.local(V128)
  const [upper, lower, matrix, one, zero] = [
    v.i32(-(2 ** 31)),
    v.i32(0x7fffffff),
    v.i32(0x9908b0df),
    v.i32(1),
    v.i32(0),
  ]
  const [maskB, maskC] = [v.i32(0x9d2c5680), v.i32(0xefc60000)]
  const step = (far: number): void => {
    const next = v.keep(v.load(state, 4))
    const mixed = v.op(v128.or, v.op(v128.and, v.load(state), upper), v.op(v128.and, next, lower))
    // All bits where the lowest is set.
    const odd = v.op(i32x4.sub, zero, v.op(v128.and, next, one))
    const twist = v.op(v128.xor, v.shift(i32x4.shrU, mixed, 1), v.op(v128.and, odd, matrix))
    v.op(v128.xor, () => farWords(far), twist)()
    f.set(y)
    v.store(state, () => f.get(y))
    const temper = (value: Value): void => {
      value()
      f.get(y).op(v128.xor).set(y)
    }
    temper(v.shift(i32x4.shrU, () => f.get(y), 11))
    temper(
      v.op(
        v128.and,
        v.shift(i32x4.shl, () => f.get(y), 7),
        maskB,
      ),
    )
    temper(
      v.op(
        v128.and,
        v.shift(i32x4.shl, () => f.get(y), 15),
        maskC,
      ),
    )
    temper(v.shift(i32x4.shrU, () => f.get(y), 18))
    v.store(words, () => f.get(y))
    f.inc(state, 16).inc(words, 16)
  }
  const farWords = (far: number): void => {
    // A negative distance is no immediate offset.
    if (far >= 0) v.load(state, 4 * far)()
    else
      f.get(state)
        .i32(-4 * far)
        .op(i32.sub)
        .mem(v128.load)
  }
  const many = (vectors: number, far: number): void => {
    f.get(state)
      .i32(vectors * 16)
      .op(i32.add)
      .set(end)
    f.loop(() => {
      step(far)
      f.get(state).get(end).op(i32.ltU).brIf(0)
    })
  }
  f.loop(() => {
    step(MIDDLE)
    // The last words look at the first ones, which are new by then.
    f.get(state)
      .get(state)
      .i32(16)
      .op(i32.sub)
      .mem(v128.load)
      .mem(v128.store, 4 * BLOCK - 16)
    many(56, MIDDLE)
    many(BLOCK / 4 - 57, MIDDLE - BLOCK)
    f.get(state)
      .i32(4 * BLOCK)
      .op(i32.sub)
      .set(state)
    f.inc(count, -1).get(count).brIf(0)
  })
}

function emitUnit32(f: Func, v: Values): void {
  const [mask, scale] = [v.i32(0xffffff), v.f32(2 ** -24)]
  eachOf(f, 16, 4, 1, () => {
    const x = [0, 16, 32, 48].map((at) => v.keep(unitOf(v, v.load(0, at), mask, scale)))
    for (const [i, value] of x.entries()) v.store(1, value, 16 * i)
  })
}

function emitRange32(f: Func, v: Values): void {
  const [mask, unit] = [v.i32(0xffffff), v.f32(2 ** -24)]
  const [scale, from, to, instead] = [0, 16, 32, 48].map((at) => v.keep(v.load(3, at)))
  eachOf(f, 4, 4, 1, () => {
    const x = v.keep(v.fma32(unitOf(v, v.load(0), mask, unit), scale, from))
    v.store(1, v.pick(v.op(f32x4.eq, x, to), instead, x))
  })
}

function emitUnit64(f: Func, v: Values): void {
  const [mask, scale, double] = [v.i64(MASK53), v.f64(2 ** -53), doubles53(v)]
  eachOf(f, 2, 8, 2, () => v.store(1, v.op(f64x2.mul, double(bits53(v, v.load(0), mask)), scale)))
}

function emitBelow(f: Func, v: Values, size: 1 | 2 | 4 | 8): void {
  const [mask, one, limit] = [v.i64(MASK53), v.keep(v.load(3)), v.keep(v.load(3, 16))]
  const pair = (at: number): Value => v.op(i64x2.ltS, bits53(v, v.load(0, at), mask), limit)
  const four = (at: number): Value => v.shuffle32(v.keep(pair(at)), v.keep(pair(at + 16)), [0, 2, 4, 6])
  const eight = (at: number): Value => v.op(i16x8.narrowI32x4S, v.keep(four(at)), v.keep(four(at + 32)))
  const mask16 = (): Value => v.op(i8x16.narrowI16x8S, v.keep(eight(0)), v.keep(eight(64)))
  const elements = 16 / size
  const make = { 1: mask16, 2: () => eight(0), 4: () => four(0), 8: () => pair(0) }[size]
  eachOf(f, elements, size, 2, () => v.store(1, v.op(v128.and, make(), one)))
}

function emitChance32(f: Func, v: Values): void {
  const [mask, scale, one] = [v.i32(0xffffff), v.f32(2 ** -24), v.f32(1)]
  eachOf(f, 4, 4, 1, () => {
    v.store(1, v.op(v128.and, v.op(f32x4.lt, unitOf(v, v.load(0), mask, scale), v.load(3)), one))
    f.inc(3, 16)
  })
}

function emitChance64(f: Func, v: Values): void {
  const [mask, scale, one, double] = [v.i64(MASK53), v.f64(2 ** -53), v.f64(1), doubles53(v)]
  eachOf(f, 2, 8, 2, () => {
    const x = v.op(f64x2.mul, double(bits53(v, v.load(0), mask)), scale)
    v.store(1, v.op(v128.and, v.op(f64x2.lt, x, v.load(3)), one))
    f.inc(3, 16)
  })
}

/** A remainder by a double's inverse: the quotient is off by one at the most, which the remainder's sign and size show. */
function emitModulo(f: Func, v: Values, kind: 'double' | 'single' | 'long' | 'int'): void {
  const [size, inverse, offset] = [0, 16, 32].map((at) => v.keep(v.load(3, at)))
  const [zero, base] = [v.f64(0), v.f64(2 ** 52)]
  const pair = (words: Value, lanes: readonly [number, number, number, number]): Value => {
    const word = v.keep(v.op(f64x2.sub, v.op(v128.or, v.shuffle32(words, zero, lanes), base), base))
    const quotient = v.op(f64x2.trunc, v.op(f64x2.mul, word, inverse))
    const rest = v.keep(v.op(f64x2.sub, word, v.op(f64x2.mul, quotient, size)))
    const more = v.keep(v.op(f64x2.add, rest, v.op(v128.and, v.op(f64x2.lt, rest, zero), size)))
    return v.keep(v.op(f64x2.sub, more, v.op(v128.and, v.op(f64x2.ge, more, size), size)))
  }
  const bytes = kind === 'double' || kind === 'long' ? 8 : 4
  eachOf(f, 4, bytes, 1, () => {
    const words = v.keep(v.load(0))
    const [low, high] = [pair(words, [0, 4, 1, 4]), pair(words, [2, 4, 3, 4])]
    if (kind === 'double') {
      v.store(1, v.op(f64x2.add, low, offset))
      v.store(1, v.op(f64x2.add, high, offset), 16)
    } else if (kind === 'single') {
      const single = (x: Value): Value => v.op(f32x4.demoteF64x2Zero, v.op(f64x2.add, x, offset))
      v.store(1, v.shuffle32(v.keep(single(low)), v.keep(single(high)), [0, 1, 4, 5]))
    } else {
      const int = (x: Value): Value => v.keep(v.op(i32x4.truncSatF64x2SZero, x))
      const [a, b] = [int(low), int(high)]
      if (kind === 'int') v.store(1, v.op(i32x4.add, v.shuffle32(a, b, [0, 1, 4, 5]), offset))
      else {
        v.store(1, v.op(i64x2.add, v.op(i64x2.extendLowI32x4S, a), offset))
        v.store(1, v.op(i64x2.add, v.op(i64x2.extendLowI32x4S, b), offset), 16)
      }
    }
  })
}

function emitShuffle(f: Func): void {
  const [words, to, count, left] = [0, 1, 2, 3]
  const [other, kept] = [f.local(I32), f.local(I64)]
  f.loop(() => {
    f.get(words).mem(i32.load).get(left).op(i32.remU).i32(3).op(i32.shl).get(to).op(i32.add).set(other)
    f.get(to).mem(i64.load).set(kept)
    f.get(to).get(other).mem(i64.load).mem(i64.store)
    f.get(other).get(kept).mem(i64.store)
    f.inc(words, 4).inc(to, 8).inc(left, -1).inc(count, -1)
    f.get(count).brIf(0)
  })
}
