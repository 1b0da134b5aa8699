// What the steps of dense factorisations are written in: a floating point type's scalar and vector instructions.
import { F32, F64, type Func, f32, f32x4, f64, f64x2, i32, type Op, V128, type ValueType, v128 } from './assembler.ts'
import { type Element, elementOf } from './element.ts'
import type { Host } from './features.ts'

/** A floating point type as factorisations see it. */
export interface Real {
  readonly name: 'float32' | 'float64'
  readonly bytes: 4 | 8
  readonly lanes: 4 | 2
  readonly element: Element
  readonly type: ValueType
  readonly scalar: typeof f32 | typeof f64
  readonly vector: typeof f32x4 | typeof f64x2
  /** c - a * b in one instruction, or null. */
  readonly nmadd: Op | null
}

/** The type of `dtype` on this host. */
export function realOf(name: 'float32' | 'float64', host: Host): Real {
  const element = elementOf(name, host)
  const narrow = name === 'float32'
  return {
    name,
    bytes: narrow ? 4 : 8,
    lanes: narrow ? 4 : 2,
    element,
    type: narrow ? F32 : F64,
    scalar: narrow ? f32 : f64,
    vector: narrow ? f32x4 : f64x2,
    nmadd: host.relaxed ? (narrow ? f32x4 : f64x2).relaxedNmadd : null,
  }
}

/** A vector in a local, or in memory: an address in a local, and an offset. */
type Vector = number | readonly [address: number, offset: number]

function push(f: Func, vector: Vector): void {
  if (typeof vector === 'number') f.get(vector)
  else f.get(vector[0]).mem(v128.load, vector[1])
}

/** Leaves c - a * b on the stack. */
export function subtractProduct(f: Func, real: Real, c: Vector, a: number, b: Vector): void {
  if (real.nmadd !== null) {
    f.get(a)
    push(f, b)
    push(f, c)
    f.op(real.nmadd)
  } else {
    push(f, c)
    f.get(a)
    push(f, b)
    f.op(real.vector.mul).op(real.vector.sub)
  }
}

/** Runs `body` with i32 local `i` from its value up to `end`, by steps of `step`. */
export function bySteps(f: Func, i: number, end: number, step: number, body: () => void): void {
  f.block(() => {
    f.loop(() => {
      f.get(i).get(end).op(i32.geS).brIf(1)
      body()
      f.inc(i, step).br(0)
    })
  })
}

/** The same one by one. */
export function upTo(f: Func, i: number, end: number, body: () => void): void {
  bySteps(f, i, end, 1, body)
}

/** Leaves base + index * step on the stack: i32 locals, or a constant step. */
export function addressOf(f: Func, base: number, index: number, step: number, constant = false): Func {
  f.get(base).get(index)
  if (constant) f.i32(step)
  else f.get(step)
  return f.op(i32.mul).op(i32.add)
}

/**
 * Runs `tile(width)` for the vectors from `start` on, `count` in all, so many at once as `widths` say, largest
 * first and 1 last. `start` and `count` are used up.
 */
export function inTiles(
  f: Func,
  count: number,
  widths: readonly number[],
  start: number,
  tile: (width: number) => void,
): void {
  for (const width of widths) {
    f.block(() => {
      f.loop(() => {
        f.get(count).i32(width).op(i32.ltS).brIf(1)
        tile(width)
        f.inc(start, width * 16)
          .inc(count, -width)
          .br(0)
      })
    })
  }
}

/** Loads `count` vectors one behind the other, each into its local. */
export function loadRow(f: Func, pointer: number, targets: readonly number[]): void {
  for (const [i, target] of targets.entries())
    f.get(pointer)
      .mem(v128.load, i * 16)
      .set(target)
}

/** A function that exchanges two rows of so many vectors: (x, y, vectors). */
export function emitSwap(f: Func): Func {
  const [x, y, left] = [0, 1, 2]
  const kept = f.local(V128)
  f.block(() => {
    f.loop(() => {
      f.get(left).op(i32.eqz).brIf(1)
      f.get(x).mem(v128.load).set(kept)
      f.get(x).get(y).mem(v128.load).mem(v128.store)
      f.get(y).get(kept).mem(v128.store)
      f.inc(x, 16).inc(y, 16).inc(left, -1).br(0)
    })
  })
  return f
}
