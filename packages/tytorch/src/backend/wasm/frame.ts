// A kernel function being written: its vector locals, what is computed once before all loops, and loops whose
// temporaries do not outlive an iteration.
import type { ComputeType } from '../../base/dtype.ts'
import { type Func, f32x4, f64x2, i32, i32x4, i64x2, V128, v128 } from './assembler.ts'
import type { Host } from './features.ts'

export interface Scalars {
  readonly types: readonly ComputeType[]
  /** Leaves scalar `index` on the stack (a bool as i32). */
  push(index: number): void
}

/** A function under construction with pooled v128 locals and a prologue that grows while the body is written. */
export class Frame {
  readonly f: Func
  readonly host: Host
  /** A vector local that is never assigned: zeros. */
  readonly zero: number
  /** Module indices of imported host functions. */
  readonly imports: ReadonlyMap<string, number>
  /** Types of the launch's scalars, and what pushes one. */
  private readonly scalars: Scalars
  private readonly hoisted = new Map<string, number>()
  private readonly prologue: number[] = []
  private readonly free: number[] = []
  private live: number[] = []

  constructor(f: Func, host: Host, imports: ReadonlyMap<string, number>, scalars: Scalars) {
    this.f = f
    this.host = host
    this.imports = imports
    this.scalars = scalars
    this.zero = f.local(V128)
  }

  /** A vector local for a value of the innermost loop being written (or of the whole function outside loops). */
  vector(): number {
    const local = this.free.pop() ?? this.f.local(V128)
    this.live.push(local)
    return local
  }

  vectors(count: number): number[] {
    return Array.from({ length: count }, () => this.vector())
  }

  /**
   * The local that holds what `push` leaves on the stack at the function's start, once per key. V8 rebuilds a v128
   * constant at every use inside a loop, and hoists nothing by itself.
   */
  hoist(key: string, push: () => void): number {
    let local = this.hoisted.get(key)
    if (local === undefined) {
      local = this.f.local(V128)
      this.hoisted.set(key, local)
      const start = this.f.bytes.length
      push()
      this.f.set(local)
      for (const byte of this.f.bytes.splice(start)) this.prologue.push(byte)
    }
    return local
  }

  f32x4(value: number): number {
    return this.hoist(`f32 ${Object.is(value, -0) ? '-0' : value}`, () => this.f.f32x4(value))
  }

  f64x2(value: number): number {
    return this.hoist(`f64 ${Object.is(value, -0) ? '-0' : value}`, () => this.f.f64x2(value))
  }

  i32x4(value: number): number {
    return this.hoist(`i32 ${value | 0}`, () => this.f.i32x4(value))
  }

  i64x2(value: bigint): number {
    return this.hoist(`i64 ${value}`, () => this.f.i64x2(value))
  }

  /** Scalar `index` of the launch in all lanes. */
  scalar(index: number): number {
    const type = this.scalars.types[index]
    return this.hoist(`scalar ${index}`, () => {
      if (type === 'bool') this.f.i32(0)
      this.scalars.push(index)
      if (type === 'bool') this.f.op(i32.ne).i32(31).op(i32.shl).i32(31).op(i32.shrS)
      this.f.op({ f32: f32x4, f64: f64x2, i32: i32x4, i64: i64x2, bool: i32x4 }[type].splat)
    })
  }

  /** The i32 positions `from`, from + 1, from + 2, from + 3. */
  iota(from: number): number {
    return this.hoist(`iota ${from}`, () => this.f.v128([0, 1, 2, 3].flatMap((i) => [from + i, 0, 0, 0])))
  }

  /**
   * A loop that runs again while `again` leaves a true i32. Vector locals first used in it are reset before the back
   * edge: V8 makes a phi of every local assigned in a loop, and counts it as a use that its revectorizer can't widen.
   */
  loop(body: () => void, again: () => void): void {
    const outer = this.live
    this.live = []
    this.f.loop(() => {
      body()
      for (const local of this.live) this.f.get(this.zero).set(local)
      again()
      this.f.brIf(0)
    })
    for (const local of this.live) this.free.push(local)
    this.live = outer
  }

  /** Writes code inside a loop of another making; its vector locals are reset as those of `loop` are. */
  scope(body: () => void): void {
    const outer = this.live
    this.live = []
    body()
    for (const local of this.live) this.f.get(this.zero).set(local)
    for (const local of this.live) this.free.push(local)
    this.live = outer
  }

  /** Inserts the prologue at byte `at` of the function, which must be outside any loop. */
  finish(at: number): void {
    this.f.bytes.splice(at, 0, ...this.prologue)
  }

  /** Stores vectors to `address` + offset and loads them back: pairs of stores are where V8 starts to widen. */
  reload(locals: readonly number[], address: number, offset: number): void {
    for (let i = locals.length - 1; i >= 0; i--)
      this.f
        .get(address)
        .get(locals[i])
        .mem(v128.store, offset + i * 16)
    locals.forEach((local, i) => {
      this.f
        .get(address)
        .mem(v128.load, offset + i * 16)
        .set(local)
    })
  }
}
