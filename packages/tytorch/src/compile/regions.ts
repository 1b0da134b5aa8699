// Which bytes of which buffers a step reads and writes: what decides if steps may change places or be joined.
import { type DType, dtypes } from '../base/dtype.ts'
import type { Arg } from '../ir/kernel.ts'
import { nodesOf } from './expressions.ts'
import type { Buffer, LaunchStep, MatmulStep, Operand, Step } from './trace.ts'

/** Bytes `low` to `high` (exclusive) of a buffer; `whole` if every one of them is touched. */
export interface Region {
  readonly buffer: Buffer
  readonly low: number
  readonly high: number
  readonly whole: boolean
}

/** What a step does to memory. An operand that is updated is in both lists. */
export interface Effects {
  readonly reads: readonly Region[]
  readonly writes: readonly Region[]
}

export type Strides = readonly [number, number, number]

/** The bytes of `extent` elements of `itemsize` bytes, `strides` bytes apart, from an operand on. */
export function regionOf(at: Operand, extent: readonly number[], strides: readonly number[], itemsize: number): Region {
  let [low, high, count] = [at.offset, at.offset + itemsize, 1]
  extent.forEach((n, axis) => {
    const span = (n - 1) * strides[axis]
    if (span < 0) low += span
    else high += span
    if (strides[axis] !== 0) count *= n
  })
  return { buffer: at.buffer, low, high, whole: count * itemsize === high - low && distinct(extent, strides, itemsize) }
}

/** True if no two elements along these axes share bytes. */
export function distinct(extent: readonly number[], strides: readonly number[], itemsize: number): boolean {
  const axes = extent.map((n, i) => ({ n, step: Math.abs(strides[i]) })).filter((a) => a.n > 1)
  axes.sort((a, b) => a.step - b.step)
  let size = itemsize
  for (const { n, step } of axes) {
    if (step < size) return false
    size = step * n
  }
  return true
}

/** All of a buffer, without a promise that all of it is touched. */
export function bufferRegion(buffer: Buffer): Region {
  return { buffer, low: 0, high: Number.POSITIVE_INFINITY, whole: false }
}

/** True if the two have a byte in common. */
export function overlap(a: Region, b: Region): boolean {
  return a.buffer === b.buffer && a.low < b.high && b.low < a.high
}

/** True if writing `a` leaves nothing of what `b` held. */
export function covers(a: Region, b: Region): boolean {
  return a.whole && a.buffer === b.buffer && a.low <= b.low && a.high >= b.high
}

/** True if the steps with these effects must keep their order. */
export function conflict(a: Effects, b: Effects): boolean {
  return meets(a.writes, b.reads) || meets(a.reads, b.writes) || meets(a.writes, b.writes)
}

/** True if a region of `xs` has a byte in common with one of `ys`. */
export function meets(xs: readonly Region[], ys: readonly Region[]): boolean {
  for (let i = 0; i < xs.length; i++) for (let j = 0; j < ys.length; j++) if (overlap(xs[i], ys[j])) return true
  return false
}

const known = new WeakMap<Step, Effects>()

/** What a step reads and writes. */
export function effectsOf(step: Step): Effects {
  let found = known.get(step)
  if (!found) {
    found = step.kind === 'launch' ? ofLaunch(step) : step.kind === 'matmul' ? ofMatmul(step) : ofHost(step)
    known.set(step, found)
  }
  return found
}

function ofLaunch(step: LaunchStep): Effects {
  const { kernel, extent } = step
  const reads: Region[] = []
  const writes: Region[] = []
  const gathered = new Set<number>()
  for (const e of nodesOf(kernel)) if (e.op === 'gather') gathered.add(e.arg)
  kernel.args.forEach((arg, i) => {
    const region =
      gathered.has(i) || arg.per === 'table'
        ? bufferRegion(step.operands[i].buffer)
        : launchRegion(step.operands[i], extent, step.strides[i], arg.dtype, arg.per)
    if (arg.mode !== 'write') reads.push(region)
    if (arg.mode !== 'read') writes.push(region)
  })
  return { reads, writes }
}

/** The bytes that a launch touches through an argument that is not gathered from. */
export function launchRegion(
  at: Operand,
  extent: readonly [number, number, number],
  strides: Strides,
  dtype: DType,
  per: Arg['per'],
): Region {
  const axes = per === 'row' ? 2 : 3
  return regionOf(at, extent.slice(0, axes), strides.slice(0, axes), dtype.itemsize)
}

/** Bytes of an element of a product's matrices. */
export function productSize(step: MatmulStep): 4 | 8 {
  return dtypes.find((d) => d.name === step.dtype)!.itemsize as 4 | 8
}

function ofMatmul(step: MatmulStep): Effects {
  const { m, n, k, aRow, aCol, bRow, bCol, cRow, accumulate, batch } = step.args
  const size = productSize(step)
  const matrix = (at: Operand, each: number, rows: number, columns: number, row: number, column: number): Region =>
    regionOf(at, [batch?.count ?? 1, rows, columns], [each * size, row * size, column * size], size)
  const c = matrix(step.c, batch?.c ?? 0, m, n, cRow, 1)
  const reads: Region[] = []
  if (k > 0)
    reads.push(matrix(step.a, batch?.a ?? 0, m, k, aRow, aCol), matrix(step.b, batch?.b ?? 0, k, n, bRow, bCol))
  if (step.bias) reads.push(matrix(step.bias, 0, 1, n, 0, 1))
  for (const operand of step.epilogue?.operands ?? []) reads.push(matrix(operand, 0, m, n, operand.row, 1))
  if (accumulate) reads.push(c)
  return { reads, writes: [c] }
}

function ofHost(step: Extract<Step, { kind: 'host' }>): Effects {
  const regions = step.operands.map((o) => bufferRegion(o.buffer))
  return {
    reads: regions.filter((_, i) => step.modes[i] !== 'write'),
    writes: regions.filter((_, i) => step.modes[i] !== 'read'),
  }
}
