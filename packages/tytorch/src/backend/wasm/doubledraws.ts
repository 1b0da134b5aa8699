// Normal and exponential doubles from words of the twister: log, sincos and log1p of base/libm.ts, operation by operation,
// with branches as selections. They need a fused multiply-add.

import { memory } from '../memory.ts'
import { type Func, f32x4, f64x2, I32, i32, i64x2, Module, v128 } from './assembler.ts'
import { bits53, doubles53, eachOf, MASK53, type Value, Values } from './values.ts'

/** The compiled routines, with counts that are multiples of 16. */
export interface DoubleDraws {
  /** Standard deviation and mean are in all lanes of two vectors at `bounds`, the address of `doubleTables` in the words behind. */
  normal64(words: number, to: number, count: number, bounds: number): void
  /** scale log1p(-u), the scale in all lanes at `bounds`. */
  exponential64(words: number, to: number, count: number, bounds: number): void
  exponential32(words: number, to: number, count: number, bounds: number): void
}

/** Compiles them. */
export function createDoubleDraws(): DoubleDraws {
  const module = new Module(memory)
  const fill = (name: keyof DoubleDraws, emit: (f: Func, v: Values) => void): void => {
    const f = module.func(name, [I32, I32, I32, I32])
    emit(f, new Values(f, true))
  }
  fill('normal64', emitNormal)
  fill('exponential64', (f, v) => emitExponential(f, v, 8))
  fill('exponential32', (f, v) => emitExponential(f, v, 4))
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  return instance.exports as unknown as DoubleDraws
}

/** Where base/libm.ts has its tables in `doubleTables`: log, then sincos. */
const SINCOS = 256 * 8

/** Arithmetic of kept vectors of doubles, with constants made before the loop. */
class Doubles {
  readonly v: Values
  private readonly constants = new Map<number, Value>()
  private readonly longs = new Map<bigint, Value>()

  constructor(v: Values, constants: readonly number[], longs: readonly bigint[]) {
    this.v = v
    for (const x of constants) this.constants.set(x, v.f64(x))
    for (const x of longs) this.longs.set(x, v.i64(x))
  }

  private of(x: Value | number): Value {
    if (typeof x !== 'number') return x
    const found = this.constants.get(x)
    if (!found) throw new Error(`a constant that was not made: ${x}`)
    return found
  }

  long(x: bigint): Value {
    const found = this.longs.get(x)
    if (!found) throw new Error(`a constant that was not made: ${x}`)
    return found
  }

  fma(a: Value | number, b: Value | number, c: Value | number): Value {
    return this.v.keep(this.v.fma64(this.of(a), this.of(b), this.of(c)))
  }

  add(a: Value | number, b: Value | number): Value {
    return this.v.keep(this.v.op(f64x2.add, this.of(a), this.of(b)))
  }

  sub(a: Value | number, b: Value | number): Value {
    return this.v.keep(this.v.op(f64x2.sub, this.of(a), this.of(b)))
  }

  mul(a: Value | number, b: Value | number): Value {
    return this.v.keep(this.v.op(f64x2.mul, this.of(a), this.of(b)))
  }

  div(a: Value | number, b: Value | number): Value {
    return this.v.keep(this.v.op(f64x2.div, this.of(a), this.of(b)))
  }

  neg(a: Value): Value {
    return this.v.keep(this.v.op(f64x2.neg, a))
  }

  less(a: Value | number, b: Value | number): Value {
    return this.v.keep(this.v.op(f64x2.lt, this.of(a), this.of(b)))
  }

  pick(mask: Value, a: Value | number, b: Value | number): Value {
    return this.v.keep(this.v.pick(mask, this.of(a), this.of(b)))
  }

  and(a: Value, b: Value): Value {
    return this.v.keep(this.v.op(v128.and, a, b))
  }

  xor(a: Value, b: Value): Value {
    return this.v.keep(this.v.op(v128.xor, a, b))
  }

  /** Small integers as doubles. */
  whole(bits: Value): Value {
    return this.sub(this.v.keep(this.v.op(i64x2.add, bits, this.long(WHOLE_BITS))), WHOLE)
  }

  /** Pairs of doubles from a table of them, at the integers in `index`: the first ones and the second ones. */
  look(table: number, index: Value, shift: number, offset: number): [Value, Value] {
    const { v } = this
    const { f } = v
    const row = (lane: number): Value => {
      const at = f.local(I32)
      index()
      f.lane(i64x2.extractLane, lane).op(i32wrap).i32(shift).op(i32.shl).get(table).op(i32.add).set(at)
      return v.keep(v.load(at, offset))
    }
    const [a, b] = [row(0), row(1)]
    const join = (lanes: readonly [number, number]): Value =>
      v.keep(() => {
        a()
        b()
        f.shuffle64(lanes)
      })
    return [join([0, 2]), join([1, 3])]
  }
}

const i32wrap = i32.wrapI64
const WHOLE = 6755399441055744
const WHOLE_BITS = 0x4338000000000000n

const LOG_START = 0x3fe6000000000000n
const EXPONENT = -(2n ** 52n)
const LN2_HI = 0.6931471805598903
const LN2_LO = 5.497923018708371e-14
const LOG_CONSTANTS = [
  WHOLE, LN2_HI, LN2_LO, -1, 1, -2, -0.5000000000000001, -0.2499999999622955, 0.33333333331825593, -0.16667054827627667,
  0.20000304511814496, 0.9375, 0.19999999999320328, -0.24999999999998432, 0.3333333333333352, -0.12499997863982555,
  0.14285715076560868, -0.16666666669929706, 0.09181994006195467, -0.10000486757818193, 0.11110712032936046,
  -0.08328363062289341, -134217728, 134217728, -0.5,
] // biome-ignore format: a table

/** `log` in (0, 1]. */
function logarithm(d: Doubles, table: number, x: Value): Value {
  const { v } = d
  const shifted = v.keep(v.op(i64x2.sub, x, d.long(LOG_START)))
  const index = d.and(v.keep(v.shift(i64x2.shrS, shifted, 45)), d.long(127n))
  const k = d.whole(v.keep(v.shift(i64x2.shrS, shifted, 52)))
  const z = v.keep(v.op(i64x2.sub, x, d.and(shifted, d.long(EXPONENT))))
  const [inverse, logc] = d.look(table, index, 4, 0)
  const r = d.fma(z, inverse, -1)
  const w = d.fma(k, LN2_HI, logc)
  const hi = d.add(r, w)
  const r2 = d.mul(r, r)
  const lo = d.fma(r2, -0.5000000000000001, d.fma(k, LN2_LO, d.add(d.sub(w, hi), r)))
  const near = d.fma(r, -0.2499999999622955, 0.33333333331825593)
  const rest = d.fma(d.fma(r, -0.16667054827627667, 0.20000304511814496), r2, near)
  const far = d.add(d.fma(d.mul(r, r2), rest, lo), hi)
  return d.pick(d.less(x, 0.9375), far, logarithmNearOne(d, d.sub(x, 1)))
}

function logarithmNearOne(d: Doubles, r: Value): Value {
  const r2 = d.mul(r, r)
  const r3 = d.mul(r, r2)
  const p1 = d.fma(r2, 0.19999999999320328, d.fma(r, -0.24999999999998432, 0.3333333333333352))
  const p2 = d.fma(r2, -0.12499997863982555, d.fma(r, 0.14285715076560868, -0.16666666669929706))
  const p3 = d.fma(r2, 0.09181994006195467, d.fma(r, -0.10000486757818193, 0.11110712032936046))
  const p = d.fma(d.fma(d.fma(r3, -0.08328363062289341, p3), r3, p2), r3, p1)
  const head = d.fma(-134217728, r, d.fma(r, 134217728, r))
  const tail = d.sub(r, head)
  const square = d.mul(head, head)
  const hi = d.fma(square, -0.5, r)
  const lo = d.fma(d.mul(tail, -0.5), d.add(r, head), d.fma(square, -0.5, d.sub(r, hi)))
  return d.add(hi, d.fma(p, r3, lo))
}

const BIG = 52776558133248
const TO_INT = 6755399441055744
const HALF_PI_HI = 1.5707963267948966
const HALF_PI_LO = 6.123233995736766e-17
const SINCOS_CONSTANTS = [
  0, BIG, TO_INT, HALF_PI_HI, HALF_PI_LO, 0.85546875, 2.426265716552734, 0.6366197723675814, 1.5707963407039642,
  1.3909067564377153e-8, 4.97899623147991e-17, 1.9034889620193266e-25, 0.126, -2.5022014848318398e-8,
  2.755729806860771e-6, -0.00019841269834414642, 0.008333333333332329, -0.16666666666666666, 0.008333332142857223,
  -0.16666666666666488, 0.001388888740079376, -0.04166666666666644, 0.5, 6.283185307179586,
] // biome-ignore format: a table
const SIGN = -(2n ** 63n)

/** `sincos` in [0, 2 pi]. */
function sineAndCosine(d: Doubles, table: number, x: Value): [Value, Value] {
  const { v } = d
  const small = d.less(x, 0.85546875)
  const middle = d.less(x, 2.426265716552734)
  // Between pi/4 and 3 pi/4 from pi/2 - x; beyond it from the nearest multiple of pi/2.
  const y0 = d.sub(HALF_PI_HI, x)
  const a0 = d.add(y0, HALF_PI_LO)
  const da0 = d.add(d.sub(y0, a0), HALF_PI_LO)
  const t = d.fma(x, 0.6366197723675814, TO_INT)
  const n = d.sub(t, TO_INT)
  const y = d.fma(n, 1.3909067564377153e-8, d.fma(d.neg(n), 1.5707963407039642, x))
  const y2 = d.fma(n, 4.97899623147991e-17, y)
  const a1 = d.fma(n, 1.9034889620193266e-25, y2)
  const da1 = d.add(d.fma(n, 4.97899623147991e-17, d.sub(y, y2)), d.fma(n, 1.9034889620193266e-25, d.sub(y2, a1)))
  const a = d.pick(small, x, d.pick(middle, a0, a1))
  const da = d.pick(small, 0, d.pick(middle, da0, da1))

  const size = v.keep(v.op(f64x2.abs, a))
  const u = d.add(size, BIG)
  const index = v.keep(v.op(i64x2.sub, u, d.long(BIG_BITS)))
  const [sn, ssn] = d.look(table, index, 5, SINCOS)
  const [cs, ccs] = d.look(table, index, 5, SINCOS + 16)
  const distance = d.sub(size, d.sub(u, BIG))
  const below = d.less(a, 0)
  const bits = d.and(below, d.long(SIGN))
  const rest = d.xor(da, bits)

  const yy = d.mul(distance, distance)
  const cubic = (of: Value): Value => d.fma(of, 0.008333332142857223, -0.16666666666666488)
  const square = (of: Value): Value => d.mul(of, d.fma(of, d.fma(of, 0.001388888740079376, -0.04166666666666644), 0.5))
  const s = d.add(distance, d.fma(d.mul(distance, yy), cubic(yy), rest))
  const c = d.fma(distance, rest, square(yy))
  const far = d.add(sn, d.fma(s, cs, d.fma(d.neg(c), sn, d.fma(s, ccs, ssn))))
  const xx = d.mul(a, a)
  let p = d.fma(xx, -2.5022014848318398e-8, 2.755729806860771e-6)
  p = d.fma(xx, p, -0.00019841269834414642)
  p = d.fma(xx, p, 0.008333333333332329)
  p = d.fma(xx, p, -0.16666666666666666)
  const near = d.add(a, d.fma(xx, d.fma(p, a, d.neg(d.mul(da, 0.5))), da))
  const sine = d.pick(d.less(size, 0.126), near, d.xor(far, bits))

  const yc = d.add(distance, rest)
  const yyc = d.mul(yc, yc)
  const sc = d.fma(d.mul(yc, yyc), cubic(yyc), yc)
  const cc = square(yyc)
  const minus = d.neg(sc)
  const cosine = d.add(cs, d.fma(minus, sn, d.fma(d.neg(cc), cs, d.fma(minus, ssn, ccs))))

  // Odd quadrants exchange them; so does the middle, without the signs.
  const one = d.long(1n)
  const odd = v.keep(v.op(i64x2.eq, d.and(t, one), one))
  const general = v.keep(v.op(v128.not, middle))
  const swapped = v.keep(v.pick(middle, v.keep(v.op(v128.not, small)), odd))
  const turned = (quadrant: Value): Value => d.and(v.keep(v.shift(i64x2.shl, d.and(quadrant, d.long(2n)), 62)), general)
  const next = v.keep(v.op(i64x2.add, t, one))
  return [d.xor(d.pick(swapped, cosine, sine), turned(t)), d.xor(d.pick(swapped, sine, cosine), turned(next))]
}

const BIG_BITS = 0x42c8000000000000n

/** Writes normal doubles: standard deviation, mean and (as an integer) the tables' address are at the fourth parameter. */
function emitNormal(f: Func, v: Values): void {
  const d = new Doubles(v, [...LOG_CONSTANTS, ...SINCOS_CONSTANTS, 2 ** -53], [WHOLE_BITS, LOG_START, EXPONENT, 127n, SIGN, BIG_BITS, 1n, 2n]) // biome-ignore format: constants
  const [mask, double] = [v.i64(MASK53), doubles53(v)]
  const [std, mean] = [0, 16].map((at) => v.keep(v.load(3, at)))
  const table = f.local(I32)
  f.get(3).mem(i32.load, 32).set(table)
  eachOf(f, 16, 8, 2, () => {
    for (const at of [0, 16, 32, 48]) {
      const unit = (from: number): Value => d.mul(v.keep(double(bits53(v, v.load(0, from), mask))), 2 ** -53)
      const log = logarithm(d, table, d.sub(1, unit(at)))
      const radius = v.keep(v.op(f64x2.sqrt, d.mul(log, -2)))
      const [sine, cosine] = sineAndCosine(d, table, d.mul(unit(at + 64), 6.283185307179586))
      v.store(1, d.fma(d.mul(radius, cosine), std, mean), at)
      v.store(1, d.fma(d.mul(radius, sine), std, mean), at + 64)
    }
  })
}

const LP = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
] // biome-ignore format: a table
const LOG1P_LN2_HI = 0.6931471803691238
const LOG1P_LN2_LO = 1.9082149292705877e-10
const LOG1P_CONSTANTS = [
  ...LP, LOG1P_LN2_HI, LOG1P_LN2_LO, WHOLE, 0, 1, 2, 0.5, -0.5, -0.6666666666666666, 2 ** -29, 2 ** -54, 2 ** -53,
] // biome-ignore format: a table

/** `log1p` in (-1, 0]. */
function logarithmOfNext(d: Doubles, x: Value): Value {
  const { v } = d
  const size = v.keep(v.op(f64x2.abs, x))
  const tiny = d.pick(d.less(size, 2 ** -54), x, d.fma(-0.5, d.mul(x, x), x))
  // As fdlibm compares high words: beyond sqrt(2)/2 - 1.
  const high = (bits: Value): Value => v.keep(v.shift(i64x2.shrU, bits, 32))
  const reduced = v.keep(v.op(i64x2.gtS, high(size), d.long(0x3fd2bec3n)))
  const u = d.add(x, 1)
  const word = high(u)
  const lost = d.div(d.sub(x, d.sub(u, 1)), u)
  const mantissa = d.and(word, d.long(0xfffffn))
  const upper = v.keep(v.op(i64x2.geS, mantissa, d.long(0x6a09en)))
  // u over 2^k, in [sqrt(2)/2, sqrt(2)): with the exponent of 1, or of 1/2 and one more in k.
  const exponent = v.keep(v.pick(upper, d.long(0x3fe0000000000000n), d.long(0x3ff0000000000000n)))
  const scaled = v.keep(v.op(v128.or, d.and(u, d.long((1n << 52n) - 1n)), exponent))
  const biased = v.keep(v.op(i64x2.sub, v.keep(v.shift(i64x2.shrU, u, 52)), d.long(1023n)))
  const raised = v.keep(v.op(i64x2.sub, biased, upper))
  const k = d.and(d.whole(raised), reduced)
  const f = d.pick(reduced, d.sub(scaled, 1), x)
  const c = d.and(lost, reduced)
  // Upper mantissas can't come out 0: they would need 2^20.
  const flat = d.and(v.keep(v.op(i64x2.eq, mantissa, d.long(0n))), reduced)
  const half = d.mul(d.mul(f, 0.5), f)
  const kc = d.fma(k, LOG1P_LN2_LO, c)
  const whole = v.keep(v.op(f64x2.eq, k, d.pick(k, 0, 0)))

  const r0 = d.mul(half, d.fma(-0.6666666666666666, f, 1))
  const zero = v.keep(v.op(f64x2.eq, f, d.pick(f, 0, 0)))
  const flatZero = d.pick(whole, 0, d.fma(k, LOG1P_LN2_HI, kc))
  const flatRest = d.pick(whole, d.sub(f, r0), d.fma(k, LOG1P_LN2_HI, d.neg(d.sub(d.sub(r0, kc), f))))
  const even = d.pick(zero, flatZero, flatRest)

  const s = d.div(f, d.add(f, 2))
  const z = d.mul(s, s)
  const z2 = d.mul(z, z)
  const z4 = d.mul(z2, z2)
  let r = d.fma(z, LP[0], d.mul(z2, d.fma(z, LP[2], LP[1])))
  r = d.fma(z4, d.fma(z, LP[4], LP[3]), r)
  r = d.fma(d.mul(z2, z4), d.fma(z, LP[6], LP[5]), r)
  const t = d.mul(s, d.add(half, r))
  const plain = d.sub(f, d.sub(half, t))
  const moved = d.fma(k, LOG1P_LN2_HI, d.neg(d.sub(d.sub(half, d.add(kc, t)), f)))
  const general = d.pick(whole, plain, moved)
  return d.pick(d.less(size, 2 ** -29), tiny, d.pick(flat, even, general))
}

/** Writes exponential numbers, in float64 or rounded from it. */
function emitExponential(f: Func, v: Values, size: 4 | 8): void {
  const d = new Doubles(v, LOG1P_CONSTANTS, [WHOLE_BITS, 0x3fd2bec3n, 0xfffffn, 0x6a09en, 0x3fe0000000000000n, 0x3ff0000000000000n, (1n << 52n) - 1n, 1023n, 0n]) // biome-ignore format: constants
  const [mask, double, scale] = [v.i64(MASK53), doubles53(v), v.keep(v.load(3))]
  eachOf(f, 4, size, 2, () => {
    const [low, high] = [0, 16].map((at) => {
      const u = d.mul(v.keep(double(bits53(v, v.load(0, at), mask))), 2 ** -53)
      return v.keep(v.op(f64x2.mul, scale, logarithmOfNext(d, d.neg(u))))
    })
    if (size === 8) {
      v.store(1, low)
      v.store(1, high, 16)
    } else {
      const single = (x: Value): Value => v.keep(v.op(f32x4.demoteF64x2Zero, x))
      v.store(1, v.shuffle32(single(low), single(high), [0, 1, 4, 5]))
    }
  })
}
