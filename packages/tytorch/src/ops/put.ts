// Writing elements by position. A kernel can't store where it likes, so a host routine (`put`) does the writing for
// scatter, indexAdd, indexCopy, indexFill, indexPut and maskedScatter, in row-major order of the source.
import { memory } from '../backend/memory.ts'
import type { Complex } from '../base/complex.ts'
import { type DType, type DTypeName, decode, encode, int32, int64 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { contiguousStrides, type Sizes } from '../base/shape.ts'
import { notImplemented, partOf } from '../tensor/complex.ts'
import { type Num, writeOut } from '../tensor/define.ts'
import { copyValues, overlaps, snapshot } from '../tensor/elementwise.ts'
import { atPointers } from '../tensor/host.ts'
import { changeInPlace } from '../tensor/node.ts'
import { alias, emptyLike, type Tensor } from '../tensor/tensor.ts'
import { filled } from './create.ts'
import type { Plan } from './gather.ts'

/** What happens to an element that is written. */
export type Put = 'set' | 'add' | 'mul' | 'max' | 'min'

/** What an op that writes changes: `x` itself, counted as a change, or a copy; `before` is the input to record. */
export function written(x: Tensor, inPlace: boolean): { out: Tensor; before: Tensor } {
  if (inPlace) {
    const before = snapshot(x)
    changeInPlace(x)
    return { out: x, before }
  }
  const out = emptyLike(x)
  copyValues(x, out)
  return { out, before: x }
}

// Host routine.
/** Writes `source` (of the plan's sizes, or broadcast to them) into `target` at the positions of the plan. */
export function put(target: Tensor, plan: Plan, source: Tensor, how: Put): Tensor {
  const sizes = plan.sizes.length ? plan.sizes : [1]
  if (sizes.includes(0)) return target
  const from =
    source.dtype === target.dtype ? (overlaps(target, source) ? source.clone() : source) : source.to(target.dtype)
  if (target.dtype.isComplex) {
    if (how !== 'set' && how !== 'add') throw notImplemented('scatter', target.dtype)
    const parts = { ...plan, strides: plan.strides.map((s) => 2 * s), unit: 2 * plan.unit }
    put(partOf(target, 0), parts, partOf(from, 0), how)
    put(partOf(target, 1), parts, partOf(from, 1), how)
    return target
  }
  const base = positionsOf(plan.index)
  const last = sizes.length - 1
  // The routine below must not keep tensors, which live as long as a compiled function does otherwise.
  const { sizes: own, strides: steps } = from
  const lead = sizes.length - own.length
  const sourceStrides = sizes.map((n, i) => (i < lead || (own[i - lead] === 1 && n !== 1) ? 0 : steps[i - lead]))
  const strides = [plan.strides.length ? plan.strides : [0], base.strides.length ? base.strides : [0], sourceStrides]
  const { dtype } = target
  const { unit, size } = plan
  const { count } = base
  const write = ([to, index, values]: readonly number[]): void => {
    const row: Row = {
      n: sizes[last],
      unit,
      size,
      at: new Int32Array(memory.views.buffer as ArrayBuffer, index, count),
      steps: [strides[0][last], strides[1][last], strides[2][last]],
      target: to / dtype.itemsize,
      index: 0,
      source: values / dtype.itemsize,
    }
    walkRows(sizes, strides, row, writerOf(dtype, how))
  }
  atPointers('put', [target.pointer, base.pointer, from.pointer], 'urr', write)
  return target
}

/** Calls `write` with every row of the walk. */
function walkRows(sizes: Sizes, strides: readonly Sizes[], row: Row, write: Writer): void {
  const last = sizes.length - 1
  const walk = (dim: number): void => {
    if (dim === last) {
      write(row)
      return
    }
    for (let i = 0; i < sizes[dim]; i++) {
      walk(dim + 1)
      row.target += strides[0][dim]
      row.index += strides[1][dim]
      row.source += strides[2][dim]
    }
    row.target -= strides[0][dim] * sizes[dim]
    row.index -= strides[1][dim] * sizes[dim]
    row.source -= strides[2][dim] * sizes[dim]
  }
  walk(0)
}

/** The index as int32, each of its own elements once. */
function positionsOf(index: Tensor): { pointer: number; count: number; strides: Sizes } {
  const own = index.sizes.map((n, i) => (index.strides[i] === 0 ? 1 : n))
  const distinct = alias(index, own, index.strides, index.offset)
  const flat =
    distinct.dtype === int32 && distinct.contiguousLayout ? distinct : distinct.detach().to(int32).contiguous()
  const packed = contiguousStrides(own)
  return {
    pointer: flat.pointer,
    count: flat.count,
    strides: packed.map((s, i) => (own[i] === index.sizes[i] ? s : 0)),
  }
}

/** One row of the walk: where target, index and source stand, in elements, and their steps. */
interface Row {
  readonly n: number
  readonly unit: number
  readonly size: number
  readonly at: Int32Array
  readonly steps: readonly [number, number, number]
  target: number
  index: number
  source: number
}

type Writer = (row: Row) => void

/** Calls `each` with the target's and the source's position of every element of the row. */
function forRow(row: Row, each: (t: number, s: number) => void): void {
  const { n, at, unit, size, steps } = row
  for (let i = 0; i < n; i++) {
    const p = at[row.index + i * steps[1]]
    each(row.target + i * steps[0] + (p < 0 ? p + size : p) * unit, row.source + i * steps[2])
  }
}

type Combine = (a: number, b: number) => number
const COMBINE: Record<Exclude<Put, 'set'>, Combine> = {
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: Math.max,
  min: Math.min,
}
const COMBINE_LONG: Record<Exclude<Put, 'set'>, (a: bigint, b: bigint) => bigint> = {
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: (a, b) => (a > b ? a : b),
  min: (a, b) => (a < b ? a : b),
}

function writerOf(dtype: DType, how: Put): Writer {
  const { views } = memory
  if (how === 'set') return mover(dtype.itemsize)
  if (how === 'add' && dtype.name === 'float32') return adder(views.f32)
  if (how === 'add' && dtype.name === 'float64') return adder(views.f64)
  if (dtype === int64) {
    const long = views.i64
    const combine = COMBINE_LONG[how]
    return (row) =>
      forRow(row, (t, s) => {
        long[t] = combine(long[t], long[s])
      })
  }
  const raw = {
    float32: views.f32,
    float64: views.f64,
    int32: views.i32,
    int16: views.i16,
    int8: views.i8,
    uint8: views.u8,
    bool: views.u8,
    float16: views.u16,
    bfloat16: views.u16,
    int64: views.u8,
  }[dtype.name as Exclude<DTypeName, 'complex64' | 'complex128'>]
  const combine = COMBINE[how]
  return (row) =>
    forRow(row, (t, s) => {
      raw[t] = Number(encode(dtype, combine(Number(decode(dtype, raw[t])), Number(decode(dtype, raw[s])))))
    })
}

function adder(data: Float32Array | Float64Array): Writer {
  return (row) => {
    const { n, at, unit, size, steps } = row
    const [targetStep, indexStep, sourceStep] = steps
    let { target, index, source } = row
    if (indexStep === 0) {
      const p = at[index]
      target += (p < 0 ? p + size : p) * unit
      for (let i = 0; i < n; i++) {
        data[target] += data[source]
        target += targetStep
        source += sourceStep
      }
      return
    }
    for (let i = 0; i < n; i++) {
      const p = at[index]
      data[target + (p < 0 ? p + size : p) * unit] += data[source]
      target += targetStep
      index += indexStep
      source += sourceStep
    }
  }
}

/** Moves elements as bits. */
function mover(itemsize: number): Writer {
  const { views } = memory
  if (itemsize === 8) {
    const words = views.i32
    return (row) =>
      forRow(row, (t, s) => {
        words[2 * t] = words[2 * s]
        words[2 * t + 1] = words[2 * s + 1]
      })
  }
  const data = itemsize === 4 ? views.i32 : itemsize === 2 ? views.u16 : views.u8
  return (row) =>
    forRow(row, (t, s) => {
      data[t] = data[s]
    })
}

/** A number as a 0-d tensor of `dtype`. */
export const scalarTensor = (value: Num | Complex, dtype: DType): Tensor => filled([], value, dtype)

/** `result` written to `out`, if given. Throws RuntimeError if `out` shares memory with itself or with the inputs. */
export function intoOut(name: string, result: Tensor, out: Tensor | undefined, inputs: readonly Tensor[]): Tensor {
  if (!out) return result
  if (out.sizes.some((n, i) => n > 1 && out.strides[i] === 0)) {
    throw new RuntimeError(
      'unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.',
    )
  }
  if (inputs.some((x) => touches(x, out))) {
    throw new RuntimeError(
      'unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor before performing the operation.',
    )
  }
  return writeOut(name, result, out)
}

/** True if the memory from the first to the last element of both overlaps. */
function touches(x: Tensor, y: Tensor): boolean {
  const end = (t: Tensor): number => t.offset + t.sizes.reduce((n, s, i) => n + (s - 1) * t.strides[i], 1)
  return x.storage === y.storage && x.count > 0 && y.count > 0 && x.offset < end(y) && y.offset < end(x)
}
