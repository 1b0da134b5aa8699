// What the kernels of the matrix product are written in: an element type's instructions, and recurring pieces of code.
import { type Func, f32x4, f64x2, I32, i32, i32x4, i64x2, type Op, V128, v128 } from './assembler.ts'
import type { Host } from './features.ts'

/** An element type as kernels see it, with the tile that fits its arithmetic into 15 vector registers. */
export interface Element {
  readonly bytes: 4 | 8
  /** Elements in 16 bytes. */
  readonly lanes: 4 | 2
  readonly add: Op
  readonly mul: Op
  /** a * b + c in one instruction, or null. */
  readonly madd: Op | null
  /** The bits of 1. */
  readonly one: bigint
  /** Loads one element into all lanes. */
  readonly splat: Op
  /** Loads one element into lane 0 and zeros into the others. */
  readonly loadFirst: Op
  /** Stores one lane. */
  readonly storeLane: Op
  /** Rows of a tile. */
  readonly rows: number
  /** Vectors in a row of a tile; an even number, for tails are computed in panels of half the width. */
  readonly vectors: number
}

/** The element types that have a matrix product. */
export type MatmulDType = 'float32' | 'float64' | 'int32' | 'int64'

const WORD = {
  bytes: 4,
  lanes: 4,
  splat: v128.load32Splat,
  loadFirst: v128.load32Zero,
  storeLane: v128.store32Lane,
} as const
const LONG = {
  bytes: 8,
  lanes: 2,
  splat: v128.load64Splat,
  loadFirst: v128.load64Zero,
  storeLane: v128.store64Lane,
} as const

const FLOAT32 = { add: f32x4.add, mul: f32x4.mul, one: 0x3f800000n } as const
const FLOAT64 = { add: f64x2.add, mul: f64x2.mul, one: 0x3ff0000000000000n } as const

/** The element type of `dtype` on this host. */
export function elementOf(dtype: MatmulDType, host: Host): Element {
  const vectors = host.revectorize ? 4 : 2
  // Without a fused multiply-add the product needs a register of its own.
  const rows = host.relaxed ? 6 : 5
  switch (dtype) {
    case 'float32':
      return { ...WORD, ...FLOAT32, madd: host.relaxed ? f32x4.relaxedMadd : null, rows, vectors }
    case 'float64':
      return { ...LONG, ...FLOAT64, madd: host.relaxed ? f64x2.relaxedMadd : null, rows, vectors }
    case 'int32':
      return { ...WORD, add: i32x4.add, mul: i32x4.mul, one: 1n, madd: null, rows: 5, vectors }
    case 'int64':
      // V8 spells i64x2.mul out in several instructions and registers, always of 128 bits.
      return { ...LONG, add: i64x2.add, mul: i64x2.mul, one: 1n, madd: null, rows: 4, vectors: 2 }
  }
}

/** Runs `body` while `counter >= step`, taking `step` off after each turn. */
export function countdown(f: Func, counter: number, step: number, body: () => void): void {
  f.block(() => {
    f.loop(() => {
      f.get(counter).i32(step).op(i32.ltS).brIf(1)
      body()
      f.inc(counter, -step).br(0)
    })
  })
}

/** `count` new i32 locals. */
export function integers(f: Func, count: number): number[] {
  return Array.from({ length: count }, () => f.local(I32))
}

/** `count` new vector locals. */
export function vectors(f: Func, count: number): number[] {
  return Array.from({ length: count }, () => f.local(V128))
}

/** `count` lists of `width` new vector locals. */
export function grid(f: Func, count: number, width: number): number[][] {
  return Array.from({ length: count }, () => vectors(f, width))
}

/** `target = a + b`, i32 locals. */
export function setSum(f: Func, target: number, a: number, b: number): void {
  f.get(a).get(b).op(i32.add).set(target)
}

/** `pointer += step * times`, where `times` is a constant. */
export function addProduct(f: Func, pointer: number, step: number, times: number): void {
  f.get(pointer).get(step)
  if (times > 1) f.i32(times).op(i32.mul)
  f.op(i32.add).set(pointer)
}

/** `first` and `count - 1` new locals, each `step` bytes after the one before. */
export function pointers(f: Func, first: number, count: number, step: number): number[] {
  const all = [first, ...integers(f, count - 1)]
  for (let i = 1; i < count; i++) setSum(f, all[i], all[i - 1], step)
  return all
}

/** Loads `targets` with `load` from 16 bytes each, starting `offset` bytes after `pointer`. */
export function load(f: Func, op: Op, pointer: number, targets: readonly number[], offset = 0): void {
  for (const [i, target] of targets.entries()) {
    f.get(pointer).mem(op, offset + i * 16)
    f.set(target)
  }
}

/** Stores vectors one after another, starting `offset` bytes after `pointer`. */
export function store(f: Func, pointer: number, values: readonly number[], offset = 0): void {
  // High addresses first: in the other order V8's revectorizer leaves the lower half's own store in the code.
  for (let i = values.length - 1; i >= 0; i--) {
    f.get(pointer).get(values[i])
    f.mem(v128.store, offset + i * 16)
  }
}

/** Copies one element. */
export function copyOne(f: Func, element: Element, to: number, from: number, toOffset = 0): void {
  f.get(to).get(from).mem(element.loadFirst)
  f.memLane(element.storeLane, 0, toOffset)
}

/** `sums[i] += a * bs[i]`, vector locals; `a` may also be a list. */
export function multiplyAdd(
  f: Func,
  element: Element,
  sums: readonly number[],
  a: number | readonly number[],
  bs: readonly number[],
): void {
  for (const [i, sum] of sums.entries()) {
    const factor = typeof a === 'number' ? a : a[i]
    if (element.madd !== null) f.get(factor).get(bs[i]).get(sum).op(element.madd)
    else f.get(sum).get(factor).get(bs[i]).op(element.mul).op(element.add)
    f.set(sum)
  }
}
