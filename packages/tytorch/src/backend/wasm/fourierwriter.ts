// What the loops of Fourier transforms are written with: complex vectors and their arithmetic, loads and stores of planes
// and pairs, and loops over elements and rows.
import { F32, F64, type Func, f32, f32x4, f64, f64x2, I32, i32, type Op, type ValueType, v128 } from './assembler.ts'
import { type Value, Values } from './values.ts'

/** A type's instructions. */
export interface Element {
  readonly bytes: 4 | 8
  readonly lanes: 4 | 2
  readonly type: ValueType
  readonly add: Op
  readonly sub: Op
  readonly mul: Op
  readonly neg: Op
  readonly madd: Op
  readonly nmadd: Op
  readonly splat: Op
  readonly loadSplat: Op
  readonly load: Op
  readonly store: Op
  readonly times: Op
}

export const SINGLE: Element = {
  bytes: 4, lanes: 4, type: F32, add: f32x4.add, sub: f32x4.sub, mul: f32x4.mul, neg: f32x4.neg, madd: f32x4.relaxedMadd,
  nmadd: f32x4.relaxedNmadd, splat: f32x4.splat, loadSplat: v128.load32Splat, load: f32.load, store: f32.store, times: f32.mul,
} // biome-ignore format: a table
export const DOUBLE: Element = {
  bytes: 8, lanes: 2, type: F64, add: f64x2.add, sub: f64x2.sub, mul: f64x2.mul, neg: f64x2.neg, madd: f64x2.relaxedMadd,
  nmadd: f64x2.relaxedNmadd, splat: f64x2.splat, loadSplat: v128.load64Splat, load: f64.load, store: f64.store, times: f64.mul,
} // biome-ignore format: a table

/** A complex vector. */
export interface Pair {
  readonly re: Value
  readonly im: Value
}

/** Writes complex vector code. */
export class Writer {
  readonly f: Func
  readonly v: Values
  readonly e: Element
  private readonly relaxed: boolean
  private readonly constants = new Map<number, Value>()

  constructor(f: Func, e: Element, relaxed: boolean, constants: readonly number[]) {
    this.f = f
    this.e = e
    this.v = new Values(f, relaxed)
    this.relaxed = relaxed
    // Made before any loop.
    for (const x of constants) this.constant(x)
  }

  protected constant(x: number): Value {
    let found = this.constants.get(x)
    if (!found) {
      found = this.e.bytes === 4 ? this.v.f32(x) : this.v.f64(x)
      this.constants.set(x, found)
    }
    return found
  }

  protected madd(a: Value, b: Value, sum: Value): Value {
    const { v, e } = this
    return this.relaxed ? v.op(e.madd, a, b, sum) : v.op(e.add, v.op(e.mul, a, b), sum)
  }

  protected nmadd(a: Value, b: Value, sum: Value): Value {
    const { v, e } = this
    return this.relaxed ? v.op(e.nmadd, a, b, sum) : v.op(e.sub, sum, v.op(e.mul, a, b))
  }

  protected pair(re: Value, im: Value): Pair {
    return { re: this.v.keep(re), im: this.v.keep(im) }
  }

  plus(a: Pair, b: Pair): Pair {
    return this.pair(this.v.op(this.e.add, a.re, b.re), this.v.op(this.e.add, a.im, b.im))
  }

  minus(a: Pair, b: Pair): Pair {
    return this.pair(this.v.op(this.e.sub, a.re, b.re), this.v.op(this.e.sub, a.im, b.im))
  }

  conjugate(a: Pair): Pair {
    return { re: a.re, im: this.v.keep(this.v.op(this.e.neg, a.im)) }
  }

  times(a: Pair, by: number): Pair {
    const c = this.constant(by)
    return this.pair(this.v.op(this.e.mul, a.re, c), this.v.op(this.e.mul, a.im, c))
  }

  addTimes(a: Pair, b: Pair, by: number): Pair {
    const c = this.constant(by)
    return this.pair(this.madd(b.re, c, a.re), this.madd(b.im, c, a.im))
  }

  /** -i times `a` and a factor. */
  turned(a: Pair, by: number): Pair {
    const b = by === 1 ? a : this.times(a, by)
    return { re: b.im, im: this.v.keep(this.v.op(this.e.neg, b.re)) }
  }

  product(a: Pair, w: Pair): Pair {
    const { v, e } = this
    return this.pair(this.nmadd(a.im, w.im, v.op(e.mul, a.re, w.re)), this.madd(a.im, w.re, v.op(e.mul, a.re, w.im)))
  }

  protected loadPair(address: number, gap: number): Pair {
    const { f, v } = this
    const at = f.local(I32)
    f.get(address).get(gap).op(i32.add).set(at)
    return this.pair(v.load(address), v.load(at))
  }

  protected storePair(address: number, gap: number, x: Pair): void {
    const { f, v } = this
    v.store(address, x.re)
    f.get(address).get(gap).op(i32.add)
    x.im()
    f.mem(v128.store)
  }

  protected splat(address: number, offset: number): Value {
    return this.v.keep(() => this.f.get(address).mem(this.e.loadSplat, offset))
  }

  /** Runs `body` until `local` has gone up to `end`, of which it is short at first. */
  protected upTo(local: number, end: number, body: () => void): void {
    const { f } = this
    f.loop(() => {
      body()
      f.get(local).get(end).op(i32.ltU).brIf(0)
    })
  }

  protected sum(...locals: number[]): number {
    const { f } = this
    const out = f.local(I32)
    f.get(locals[0])
    for (const l of locals.slice(1)) f.get(l).op(i32.add)
    f.set(out)
    return out
  }

  /** Re and im of the vector of pairs at `address`. */
  protected pairsAt(address: number): Pair {
    const { f, v, e } = this
    const [a, b] = [v.keep(v.load(address)), v.keep(v.load(address, 16))]
    if (e.bytes === 4) return this.pair(v.shuffle32(a, b, [0, 2, 4, 6]), v.shuffle32(a, b, [1, 3, 5, 7]))
    const pick =
      (lanes: readonly [number, number]): Value =>
      () => {
        a()
        b()
        f.shuffle64(lanes)
      }
    return this.pair(pick([0, 2]), pick([1, 3]))
  }

  /** The two vectors of pairs. */
  protected interleaved(x: Pair): [Value, Value] {
    const { f, v, e } = this
    if (e.bytes === 4) return [v.shuffle32(x.re, x.im, [0, 4, 1, 5]), v.shuffle32(x.re, x.im, [2, 6, 3, 7])]
    const pick =
      (lanes: readonly [number, number]): Value =>
      () => {
        x.re()
        x.im()
        f.shuffle64(lanes)
      }
    return [pick([0, 2]), pick([1, 3])]
  }

  /** Vectors of the outputs 0 to 3 of neighbouring butterflies, in the order of the result. */
  protected transposed(o: readonly Value[]): Value[] {
    const { f, v, e } = this
    if (e.bytes === 8) {
      const pick =
        (a: Value, b: Value, lanes: readonly [number, number]): Value =>
        () => {
          a()
          b()
          f.shuffle64(lanes)
        }
      return [pick(o[0], o[1], [0, 2]), pick(o[2], o[3], [0, 2]), pick(o[0], o[1], [1, 3]), pick(o[2], o[3], [1, 3])]
    }
    const [a, b] = [v.keep(v.shuffle32(o[0], o[1], [0, 4, 1, 5])), v.keep(v.shuffle32(o[2], o[3], [0, 4, 1, 5]))]
    const [c, d] = [v.keep(v.shuffle32(o[0], o[1], [2, 6, 3, 7])), v.keep(v.shuffle32(o[2], o[3], [2, 6, 3, 7]))]
    return [
      v.shuffle32(a, b, [0, 1, 4, 5]),
      v.shuffle32(a, b, [2, 3, 6, 7]),
      v.shuffle32(c, d, [0, 1, 4, 5]),
      v.shuffle32(c, d, [2, 3, 6, 7]),
    ]
  }

  /** Runs `vector` while whole vectors of `count` elements are left, then `single` for each of the rest. */
  protected eachElement(count: number, vector: () => void, single: () => void): void {
    const { f, e } = this
    const left = f.local(I32)
    f.get(count).set(left)
    f.block(() => {
      f.get(left).i32(e.lanes).op(i32.ltU).brIf(0)
      f.loop(() => {
        vector()
        f.inc(left, -e.lanes)
        f.get(left).i32(e.lanes).op(i32.geU).brIf(0)
      })
    })
    f.block(() => {
      f.get(left).op(i32.eqz).brIf(0)
      f.loop(() => {
        single()
        f.inc(left, -1)
        f.get(left).brIf(0)
      })
    })
  }

  /** Runs `body` for each of `rows`, moving locals on by steps. */
  protected eachRow(rows: number, steps: readonly (readonly [local: number, step: number])[], body: () => void): void {
    const { f } = this
    f.loop(() => {
      body()
      for (const [local, step] of steps) f.get(local).get(step).op(i32.add).set(local)
      f.inc(rows, -1).get(rows).brIf(0)
    })
  }

  /** Stores a scalar: the address, then what `value` leaves. */
  protected put(address: number, value: () => void, offset = 0): void {
    this.f.get(address)
    value()
    this.f.mem(this.e.store, offset)
  }

  protected take(address: number, offset = 0): () => void {
    return () => this.f.get(address).mem(this.e.load, offset)
  }

  protected scaled(value: () => void, scale: number): () => void {
    return () => {
      value()
      this.f.get(scale).op(this.e.times)
    }
  }

  protected spread(scale: number): Value {
    return this.v.keep(() => this.f.get(scale).op(this.e.splat))
  }

  /** Runs `body` `count` times, moving locals on by a step or a number of bytes. */
  protected repeat(
    count: number,
    steps: readonly (readonly [local: number, by: number, step: boolean])[],
    body: () => void,
  ): void {
    const { f } = this
    f.loop(() => {
      body()
      for (const [local, by, step] of steps) {
        if (step) f.get(local).get(by).op(i32.add).set(local)
        else f.inc(local, by)
      }
      f.inc(count, -1).get(count).brIf(0)
    })
  }
}
