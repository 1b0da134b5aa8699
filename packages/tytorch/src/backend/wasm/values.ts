// Vector code written as nested values instead of a stack machine's instructions: for routines with formulas in them.
import { type Func, f32x4, f64x2, i64x2, type Op, V128, v128 } from './assembler.ts'

/** Leaves a vector on the stack. */
export type Value = () => void

/** Writes vector code of one function. */
export class Values {
  readonly f: Func
  /** Multiply-adds of the host round once. */
  private readonly fused: boolean

  constructor(f: Func, fused: boolean) {
    this.f = f
    this.fused = fused
  }

  /** Keeps a value in a local. */
  keep(value: Value): Value {
    const local = this.f.local(V128)
    value()
    this.f.set(local)
    return () => this.f.get(local)
  }

  /** Constants of all lanes, kept: to be made before loops. */
  f32(value: number): Value {
    return this.keep(() => this.f.f32x4(value))
  }

  f64(value: number): Value {
    return this.keep(() => this.f.f64x2(value))
  }

  i32(value: number): Value {
    return this.keep(() => this.f.i32x4(value))
  }

  i64(value: bigint): Value {
    return this.keep(() => this.f.i64x2(value))
  }

  op(code: Op, ...operands: readonly Value[]): Value {
    return () => {
      for (const operand of operands) operand()
      this.f.op(code)
    }
  }

  shift(code: Op, x: Value, count: number): Value {
    return () => {
      x()
      this.f.i32(count).op(code)
    }
  }

  load(address: number, offset = 0): Value {
    return () => this.f.get(address).mem(v128.load, offset)
  }

  store(address: number, value: Value, offset = 0): void {
    this.f.get(address)
    value()
    this.f.mem(v128.store, offset)
  }

  shuffle32(x: Value, y: Value, lanes: readonly [number, number, number, number]): Value {
    return () => {
      x()
      y()
      this.f.shuffle32(lanes)
    }
  }

  /** `x` where the bits of `mask` are set, else `y`. */
  pick(mask: Value, x: Value, y: Value): Value {
    return this.op(v128.bitselect, x, y, mask)
  }

  /** a * b + c of doubles with one rounding, where the host has that. */
  fma64(a: Value, b: Value, c: Value): Value {
    if (!this.fused) throw new Error('no fused multiply-add of doubles')
    return this.op(f64x2.relaxedMadd, a, b, c)
  }

  /** a * b + c of singles with one rounding. */
  fma32(a: Value, b: Value, c: Value): Value {
    if (this.fused) return this.op(f32x4.relaxedMadd, a, b, c)
    const [x, y, z] = [this.keep(a), this.keep(b), this.keep(c)]
    const upper = (v: Value): Value => this.shuffle32(v, v, [2, 3, 2, 3])
    const low = this.keep(this.odd(x, y, z))
    const high = this.keep(this.odd(upper(x), upper(y), upper(z)))
    return this.shuffle32(this.op(f32x4.demoteF64x2Zero, low), this.op(f32x4.demoteF64x2Zero, high), [0, 1, 4, 5])
  }

  /**
   * a * b + c of the two lower singles as doubles that round to singles as the exact sum does: rounded to odd (Boldo and
   * Melquiond, Emulation of FMA and Correctly Rounded Sums, 2008).
   */
  private odd(a: Value, b: Value, c: Value): Value {
    const wide = (v: Value): Value => this.op(f64x2.promoteLowF32x4, v)
    const product = this.keep(this.op(f64x2.mul, wide(a), wide(b)))
    const added = this.keep(wide(c))
    const sum = this.keep(this.op(f64x2.add, product, added))
    const part = this.keep(this.op(f64x2.sub, sum, product))
    const lost = this.keep(
      this.op(f64x2.add, this.op(f64x2.sub, product, this.op(f64x2.sub, sum, part)), this.op(f64x2.sub, added, part)),
    )
    const one = this.keep(() => this.f.i64x2(1n))
    const zero = this.keep(() => this.f.i64x2(0n))
    const even = this.op(i64x2.eq, this.op(v128.and, sum, one), zero)
    const inexact = this.op(f64x2.ne, lost, zero)
    const away = this.op(v128.or, this.shift(i64x2.shrS, this.op(v128.xor, sum, lost), 63), one)
    return this.op(i64x2.add, sum, this.op(v128.and, away, this.op(v128.and, even, inexact)))
  }
}

/** Runs `body` for every `step` elements of `size` bytes, from `words` words of the twister each. */
export function eachOf(f: Func, step: number, size: number, words: number, body: () => void): void {
  f.loop(() => {
    body()
    f.inc(0, 4 * words * step)
      .inc(1, size * step)
      .inc(2, -step)
    f.get(2).brIf(0)
  })
}

/** 24 bits of a vector of words as singles in [0, 1). */
export function unitOf(v: Values, words: Value, mask: Value, scale: Value): Value {
  return v.op(f32x4.mul, v.op(f32x4.convertI32x4S, v.op(v128.and, words, mask)), scale)
}

/** Pairs of words as integers of 53 bits, the first word's above. */
export function bits53(v: Values, words: Value, mask: Value): Value {
  const pair = v.keep(words)
  return v.op(v128.and, v.shuffle32(pair, pair, [1, 0, 3, 2]), mask)
}

/** Integers of up to 84 bits' range as doubles: halves are put behind the leading bits of 2^52 and 2^84. */
export function doubles53(v: Values): (bits: Value) => Value {
  const [low, high] = [v.f64(2 ** 52), v.f64(2 ** 84)]
  const lower = v.i64(0xffffffffn)
  return (bits) => {
    const x = v.keep(bits)
    const small = v.op(f64x2.sub, v.op(v128.or, v.op(v128.and, x, lower), low), low)
    const large = v.op(f64x2.sub, v.op(v128.or, v.shift(i64x2.shrU, x, 32), high), high)
    return v.op(f64x2.add, small, large)
  }
}

export const MASK53 = (1n << 53n) - 1n
