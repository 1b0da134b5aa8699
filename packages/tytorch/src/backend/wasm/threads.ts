// Kernels on several threads: when a launch is large enough, where it may be cut, and the routines of its pieces.
import { topological } from '../../ir/expr.ts'
import type { Kernel } from '../../ir/kernel.ts'
import type { FlatKernel, Scalar } from '../device.ts'
import { memory, reserved } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { type Code, publish, published } from './code.ts'
import { argumentOffset, scalarOffset } from './descriptor.ts'
import type { Layout } from './layout.ts'
import { nodesOf, rootsOf } from './loops.ts'

/** Nanoseconds of work that a piece should have: less is not worth another thread's cache misses. */
export const PIECE_NS = 20_000
/** Pieces for each thread: a late worker finds some left, and an early one does not wait for long. */
export const PIECES = 4
/** Elements and rows of a piece are multiples of these, so that pieces share no cache line where operands allow it. */
const ELEMENTS = 1024
const ROWS = 32

/** About how many nanoseconds an element takes on one thread. */
export function costOf(kernel: Kernel): number {
  // Of arguments that share pointers there are many, most of them values of the row: these cost next to nothing.
  const shared = kernel.args.some((a) => a.after)
  const args = shared ? kernel.args.filter((a) => a.per !== 'row' && !a.after) : kernel.args
  let cost = 0.05 * args.length
  for (const e of shared ? topological(kernel.passes.flatMap(rootsOf)) : nodesOf(kernel)) {
    if (e.op === 'call') cost += 10
    else if (e.op === 'gather') cost += 0.25
    else if ((e.op === 'div' || e.op === 'rem') && (e.type === 'i32' || e.type === 'i64')) cost += 1
    else if (e.op !== 'const' && e.op !== 'load') cost += e.type === 'f64' || e.type === 'i64' ? 0.012 : 0.006
  }
  return cost
}

/** What cutting needs to know of a kernel. */
export interface Cuttable {
  readonly kernel: Kernel
  readonly sizes: readonly number[]
  /** Nanoseconds an element. */
  readonly cost: number
  /** Elements may be cut, not only rows. */
  readonly free: boolean
}

export function cuttable(kernel: Kernel, free: boolean): Cuttable {
  return { kernel, sizes: kernel.args.map((a) => a.dtype.itemsize), cost: costOf(kernel), free }
}

const flatPiece = routine('flat kernel', (args, piece) => {
  const n = args[2]
  const chunk = args[3]
  const count = args[4]
  const scalars = args[5]
  const run = published<FlatKernel>(args[0], args[1])
  const first = piece * chunk
  const operands: Scalar[] = []
  for (let i = 0; i < count; i++) operands.push(args[6 + 2 * i] + first * args[7 + 2 * i])
  const after = 6 + 2 * count
  for (let i = 0; i < scalars; i++) {
    const value = args[after + 2 * i]
    const high = args[after + 2 * i + 1]
    operands.push(Number.isInteger(high) ? (BigInt(high) << 32n) | BigInt(value) : value)
  }
  run(Math.min(chunk, n - first), ...operands)
})

/** A flat kernel that cuts large launches; `access` is as in `Device.flat`. */
export function threadedFlat(
  code: Code<FlatKernel>,
  { kernel, sizes, cost, free }: Cuttable,
  access: string,
): FlatKernel {
  const { run } = code
  if (!free) return run
  const least = Math.max(ELEMENTS, Math.ceil(PIECE_NS / cost))
  const steps = sizes.map((size, i) => (access[i] === 's' ? 0 : size))
  const written = kernel.args.map((a) => a.mode !== 'read')
  if (steps.some((step, i) => written[i] && step === 0)) return run
  const count = steps.length
  const many = (n: number, operands: readonly Scalar[]): void => {
    const pieces = piecesFor(n, least, PIECES)
    if (pieces === 1 || flatOverlap(n, operands, steps, sizes, written)) return run(n, ...operands)
    const chunk = Math.ceil(n / pieces / ELEMENTS) * ELEMENTS
    const args = [publish(code), code.bytes.length, n, chunk, count, operands.length - count]
    for (let i = 0; i < count; i++) args.push(operands[i] as number, steps[i])
    for (const value of operands.slice(count)) {
      if (typeof value === 'bigint')
        args.push(Number(BigInt.asUintN(32, value)), Number(BigInt.asIntN(32, value >> 32n)))
      else args.push(value, Number.NaN)
    }
    parallel(flatPiece, args, Math.ceil(n / chunk))
  }
  const small = 2 * least
  // A call with a fixed number of operands costs a third of one that spreads them.
  if (kernel.scalars.length === 0 && count === 2) {
    return (n, a, b) => (n < small ? run(n, a, b) : many(n, [a, b]))
  }
  if (kernel.scalars.length + count === 3) {
    return (n, a, b, c) => (n < small ? run(n, a, b, c) : many(n, [a, b, c]))
  }
  return (n, ...operands) => (n < small ? run(n, ...operands) : many(n, operands))
}

/** True if an operand lies in what another one writes, but not element on element. */
function flatOverlap(
  n: number,
  operands: readonly Scalar[],
  steps: readonly number[],
  sizes: readonly number[],
  written: readonly boolean[],
): boolean {
  for (let w = 0; w < steps.length; w++) {
    if (!written[w]) continue
    const start = operands[w] as number
    const end = start + (n - 1) * steps[w] + sizes[w]
    for (let i = 0; i < steps.length; i++) {
      const at = operands[i] as number
      if (i === w || (at === start && steps[i] === steps[w])) continue
      if (at < end && at + (n - 1) * steps[i] + sizes[i] > start) return true
    }
  }
  return false
}

const launchPiece = routine('kernel', (args, piece) => {
  const axis = args[2]
  const chunk = args[3]
  const count = args[5]
  const run = published<(descriptor: number) => void>(args[0], args[1])
  const { i32 } = memory.views
  const base = reserved.descriptor >> 2
  const words = args[6]
  for (let i = 0; i < words; i++) i32[base + i] = args[7 + i]
  const first = piece * chunk
  i32[base + axis] = Math.min(chunk, args[4] - first)
  for (let i = 0; i < count; i++) {
    const at = base + 4 + 4 * i
    i32[at] += first * i32[at + 1 + axis]
  }
  run(reserved.descriptor)
})

/** Extents in the descriptor: outer rows, rows, elements. */
type Axis = 0 | 1 | 2

/** Runs a launch whose descriptor is written in several pieces; false if it is better, or only, run as a whole. */
export function launchCut(code: Code<(descriptor: number) => void>, c: Cuttable, layout: Layout): boolean {
  const [elements, rows, outer] = layout.extent
  const work = elements * rows * outer * c.cost
  let pieces = piecesFor(work, PIECE_NS, PIECES)
  if (pieces === 1) return false
  const axis = axisOf(c, layout, pieces)
  if (axis < 0 || overlaps(c, layout)) return false
  const total = [outer, rows, elements][axis]
  const unit = axis === 2 ? ELEMENTS : axis === 1 ? (layout.axis === 'inner' ? 1 : ROWS) : 1
  pieces = Math.min(pieces, Math.ceil(total / unit))
  const chunk = Math.ceil(total / pieces / unit) * unit
  const { i32 } = memory.views
  const base = reserved.descriptor >> 2
  const words = scalarOffset(c.kernel, c.kernel.scalars.length) / 4
  const count = c.kernel.args.length
  const args = [publish(code), code.bytes.length, axis, chunk, total, count, words]
  for (let i = 0; i < words; i++) args.push(i32[base + i])
  parallel(launchPiece, args, Math.ceil(total / chunk))
  return true
}

/** The outermost axis with enough to share out along which nothing is written twice, or -1. */
function axisOf({ kernel, free }: Cuttable, { extent, strides, axis }: Layout, pieces: number): Axis | -1 {
  const able = (a: 0 | 1 | 2): boolean =>
    kernel.args.every((arg, i) => arg.mode === 'read' || extent[a] === 1 || strides[a][i] !== 0)
  const unit = axis === 'inner' ? 1 : ROWS
  if (extent[2] >= pieces && able(2)) return 0
  if (extent[1] >= pieces * unit && able(1)) return 1
  if (free && axis === 'inner' && extent[0] >= 2 * ELEMENTS && able(0)) return 2
  if (extent[1] >= 2 * unit && extent[1] >= extent[2] && able(1)) return 1
  return extent[2] >= 2 && able(2) ? 0 : -1
}

/** True if an operand's bytes meet what another one writes, unless both walk the same elements. */
function overlaps({ kernel, sizes }: Cuttable, layout: Layout): boolean {
  const { i32 } = memory.views
  const base = reserved.descriptor >> 2
  const { args } = kernel
  const range = (i: number): [number, number] => {
    let low = i32[base + argumentOffset(i) / 4] >>> 0
    let high = low + sizes[i]
    for (const a of [0, 1, 2] as const) {
      if (a === 0 && args[i].per === 'row') continue
      const span = (layout.extent[a] - 1) * layout.strides[a][i]
      if (span < 0) low += span
      else high += span
    }
    return [low, high]
  }
  for (let w = 0; w < args.length; w++) {
    if (args[w].mode === 'read') continue
    const [low, high] = range(w)
    for (let i = 0; i < args.length; i++) {
      if (i === w) continue
      const [from, to] = range(i)
      if (from >= high || to <= low) continue
      if (interleaved(layout, sizes, w, i)) continue
      const same = [0, 1, 2, 3].every((a) => i32[base + 4 + 4 * w + a] === i32[base + 4 + 4 * i + a])
      if (!same || args[w].per !== args[i].per) return true
    }
  }
  return false
}

/** True for columns of one matrix, or the like: both operands only move by multiples of a step that they share out. */
function interleaved({ extent, strides }: Layout, sizes: readonly number[], a: number, b: number): boolean {
  const { i32 } = memory.views
  const at = (i: number): number => i32[(reserved.descriptor + argumentOffset(i)) / 4] >>> 0
  let step = 0
  for (const arg of [a, b]) {
    for (const [axis, n] of extent.entries()) {
      if (n > 1) for (let other = Math.abs(strides[axis][arg]); other > 0; ) [step, other] = [other, step % other]
    }
  }
  if (step === 0) return false
  const apart = (((at(b) - at(a)) % step) + step) % step
  return apart >= sizes[a] && apart + sizes[b] <= step
}
