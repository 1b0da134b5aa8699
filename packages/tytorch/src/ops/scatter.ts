// Writing elements by position. Kernels can't store where they like, so one host routine (`put`) does the writing for
// scatter, indexAdd, indexCopy, indexFill and indexPut; elements are written in row-major order of the source.
import { type DType, decode, encode, int32, int64 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { contiguousStrides, sameSizes, type Sizes, wrapDim } from '../base/shape.ts'
import { memory } from '../backend/memory.ts'
import { type Args, copyValues, type Num, op, overlaps, snapshot } from '../tensor/define.ts'
import { changeInPlace, record } from '../tensor/node.ts'
import { alias, emptyLike, Tensor } from '../tensor/tensor.ts'
import { filled } from './create.ts'
import { checkAlong, checkSlices, type Plan, planAlong, planSlices } from './gather.ts'

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
  const from = source.dtype === target.dtype ? (overlaps(target, source) ? source.clone() : source) : source.to(target.dtype)
  const base = positionsOf(plan.index)
  const last = sizes.length - 1
  const lead = sizes.length - from.sizes.length
  const sourceStrides = sizes.map((n, i) => (i < lead || (from.sizes[i - lead] === 1 && n !== 1) ? 0 : from.strides[i - lead]))
  const strides = [plan.strides.length ? plan.strides : [0], base.strides.length ? base.strides : [0], sourceStrides]
  const at = new Int32Array(memory.views.buffer as ArrayBuffer, base.pointer, base.count)
  const { dtype } = target
  const row: Row = {
    n: sizes[last],
    unit: plan.unit,
    size: plan.size,
    at,
    steps: [strides[0][last], strides[1][last], strides[2][last]],
    target: target.pointer / dtype.itemsize,
    index: 0,
    source: from.pointer / dtype.itemsize,
  }
  const write = writerOf(dtype, how)
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
  return target
}

/** The index as int32, each of its own elements once. */
function positionsOf(index: Tensor): { pointer: number; count: number; strides: Sizes } {
  const own = index.sizes.map((n, i) => (index.strides[i] === 0 ? 1 : n))
  const distinct = alias(index, own, index.strides, index.offset)
  const flat = distinct.dtype === int32 && distinct.contiguousLayout ? distinct : distinct.detach().to(int32).contiguous()
  const packed = contiguousStrides(own)
  return { pointer: flat.pointer, count: flat.count, strides: packed.map((s, i) => (own[i] === index.sizes[i] ? s : 0)) }
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
  const raw = { float32: views.f32, float64: views.f64, int32: views.i32, int16: views.i16, int8: views.i8, uint8: views.u8, bool: views.u8, float16: views.u16, bfloat16: views.u16, int64: views.u8 }[dtype.name]
  const combine = COMBINE[how]
  return (row) =>
    forRow(row, (t, s) => {
      raw[t] = Number(encode(dtype, combine(Number(decode(dtype, raw[t])), Number(decode(dtype, raw[s])))))
    })
}

function adder(data: Float32Array | Float64Array): Writer {
  return (row) => {
    const { n, at, unit, size } = row
    const [targetStep, indexStep, sourceStep] = row.steps
    for (let i = 0; i < n; i++) {
      const p = at[row.index + i * indexStep]
      data[row.target + i * targetStep + (p < 0 ? p + size : p) * unit] += data[row.source + i * sourceStep]
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
export const scalarTensor = (value: Num, dtype: DType): Tensor => filled([], value, dtype)

interface ScatterOptions {
  readonly dim?: number
  readonly index?: Tensor
  readonly src?: Tensor | Num
  readonly value?: Num
  readonly reduce?: 'add' | 'multiply'
}
type Scatter = (x: Tensor, ...args: Args<[dim: number, index: Tensor, src: Tensor | Num], ScatterOptions>) => Tensor

const scattering =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, given: Tensor | Num | undefined, reduce?: 'add' | 'multiply', named?: Num): Tensor => {
    const d = wrapDim(dim, x.ndim)
    const src = given ?? named
    if (src === undefined) throw new TypeError("scatter(): missing argument 'src' or 'value'")
    if (reduce !== undefined && reduce !== 'add' && reduce !== 'multiply') {
      throw new RuntimeError('reduce argument must be either add or multiply.')
    }
    const values = src instanceof Tensor ? src : scalarTensor(src, x.dtype)
    if (values.dtype !== x.dtype) throw new RuntimeError('scatter(): Expected self.dtype to be equal to src.dtype')
    checkAlong('scatter', x, d, index, src instanceof Tensor ? src : undefined)
    const { out, before } = written(x, inPlace)
    if (index.count > 0) put(out, planAlong(x, d, index), cornerOf(values, index), reduce === 'add' ? 'add' : reduce ? 'mul' : 'set')
    if (reduce) {
      return record(out, 'NotImplemented', src instanceof Tensor ? [before, src] : [before], [], () => {
        throw new RuntimeError("derivative for aten::scatter.reduce is not implemented; use scatterAdd or scatterReduce")
      })
    }
    const back = (g: Tensor, at: Tensor): Tensor => scatter(g, d, at, 0)
    if (!(src instanceof Tensor)) return record(out, 'ScatterBackward1', [before], [index], (g, [at]) => [back(g, at)])
    const { sizes } = src
    return record(out, 'ScatterBackward0', [before, src], [index], (g, [at], needs) => [
      needs[0] ? back(g, at) : null,
      needs[1] ? intoCorner(g.gather(d, at), sizes) : null,
    ])
  }

/** The part of `src` that `index` covers. */
function cornerOf(src: Tensor, index: Tensor): Tensor {
  if (src.ndim === 0 || sameSizes(src.sizes, index.sizes)) return src
  return alias(src, index.sizes, src.strides, src.offset)
}

/** `g` as the leading part of zeros of `sizes`: the gradient of using a part of a tensor only. */
function intoCorner(g: Tensor, sizes: Sizes): Tensor {
  if (sameSizes(g.sizes, sizes)) return g
  const out = g.newZeros(sizes)
  let part = out
  g.sizes.forEach((n, i) => {
    part = part.narrow(i, 0, n)
  })
  part.copy_(g)
  return out
}

/** `x` with `src` (a tensor no smaller than `index`, or a number) written along `dim` at the positions of `index`. */
export const scatter: Scatter = op({
  name: 'scatter',
  signature: 'input, dim, index, src, *, reduce, value',
  differentiable: true,
  forward: scattering(false),
  inPlace: scattering(true),
})

const scatterAdding =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor => {
    const d = wrapDim(dim, x.ndim)
    if (src.dtype !== x.dtype) throw new RuntimeError('scatter(): Expected self.dtype to be equal to src.dtype')
    checkAlong('scatter', x, d, index, src)
    const { out, before } = written(x, inPlace)
    if (index.count > 0) put(out, planAlong(x, d, index), cornerOf(src, index), 'add')
    const { sizes } = src
    return record(out, 'ScatterAddBackward0', [before, src], [index], (g, [at], needs) => [
      g,
      needs[1] ? intoCorner(g.gather(d, at), sizes) : null,
    ])
  }
/** `x` with `src` added along `dim` at the positions of `index`; elements that meet are added in order. */
export const scatterAdd: (x: Tensor, ...args: Args<[dim: number, index: Tensor, src: Tensor], { dim?: number; index?: Tensor; src?: Tensor }>) => Tensor = op({
  name: 'scatterAdd',
  signature: 'input, dim, index, src',
  differentiable: true,
  forward: scatterAdding(false),
  inPlace: scatterAdding(true),
})

type Reduce = 'sum' | 'prod' | 'mean' | 'amax' | 'amin'
interface ReduceOptions {
  readonly dim?: number
  readonly index?: Tensor
  readonly src?: Tensor
  readonly reduce?: Reduce
  readonly includeSelf?: boolean
}

/** What `x`'s elements are before anything is put onto them, if they themselves don't count. */
function neutral(dtype: DType, reduce: Reduce): Num {
  if (reduce === 'prod') return 1
  if (reduce === 'sum' || reduce === 'mean') return 0
  const low = reduce === 'amax'
  if (dtype.isFloatingPoint) return low ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (dtype === int64) return low ? -(2n ** 63n) : 2n ** 63n - 1n
  if (dtype.compute === 'bool') return !low
  const bits = 8 * dtype.itemsize
  return dtype.isSigned ? (low ? -(2 ** (bits - 1)) : 2 ** (bits - 1) - 1) : low ? 0 : 255
}

const HOW: Record<Reduce, Put> = { sum: 'add', mean: 'add', prod: 'mul', amax: 'max', amin: 'min' }

const scatterReducing =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, src: Tensor, reduce: Reduce, includeSelf = true): Tensor => {
    const d = wrapDim(dim, x.ndim)
    if (!(reduce in HOW)) throw new RuntimeError(`reduce argument must be either sum, prod, mean, amax or amin, got ${reduce}`)
    if (src.dtype !== x.dtype) throw new RuntimeError('scatter(): Expected self.dtype to be equal to src.dtype')
    checkAlong('scatter', x, d, index, src)
    const old = reduce === 'sum' ? null : x.detach().clone()
    const { out, before } = written(x, inPlace)
    const plan = planAlong(x, d, index)
    const part = cornerOf(src, index)
    if (index.count > 0) {
      if (!includeSelf) put(out, plan, scalarTensor(neutral(x.dtype, reduce), x.dtype), 'set')
      put(out, plan, part, HOW[reduce])
      if (reduce === 'mean') copyValues(meanOf(out, countAt(out, d, index, includeSelf)), out)
    }
    const { sizes } = src
    const saved = old ? [index, old, src, out] : [index]
    return record(out, 'ScatterReduceBackward0', [before, src], saved, (g, s, needs) => {
      const [at] = s
      const self = includeSelf ? g : scatter(g, d, at, 0)
      if (reduce === 'sum') return [self, needs[1] ? intoCorner(g.gather(d, at), sizes) : null]
      const [, from, values, result] = s
      if (reduce === 'mean') {
        const shared = g.div(countAt(g, d, at, includeSelf))
        return [includeSelf ? shared : scatter(shared, d, at, 0), needs[1] ? intoCorner(shared.gather(d, at), sizes) : null]
      }
      const corner = narrowed(values, at)
      const picked = result.gather(d, at)
      if (reduce === 'prod') {
        if (from.eq(0).any().item<boolean>() || corner.eq(0).any().item<boolean>()) {
          throw new RuntimeError('scatterReduce(): the gradient of prod with zeros among the factors is not implemented')
        }
        const whole = g.mul(result)
        const one = whole.div(from)
        return [includeSelf ? one : scatter(one, d, at, 0), intoCorner(whole.gather(d, at).div(corner), sizes)]
      }
      const selfHit = includeSelf ? from.eq(result).to(g.dtype) : scatter(from.eq(result).to(g.dtype), d, at, 0)
      const hit = corner.eq(picked).to(g.dtype)
      const shares = g.div(selfHit.scatterAdd(d, at, hit).maskedFill(selfHit.eq(0).logicalAnd(countAt(g, d, at, false).eq(0)), 1))
      return [shares.mul(selfHit), intoCorner(shares.gather(d, at).mul(hit), sizes)]
    })
  }

/** How many elements each element of a reduction is made of (at least 1). */
function countAt(like: Tensor, dim: number, index: Tensor, includeSelf: boolean): Tensor {
  const start = includeSelf ? like.onesLike() : like.zerosLike()
  const count = start.detach().scatterAdd_(dim, index, like.newOnes(index.sizes))
  return includeSelf ? count : count.clampMin(1)
}

function meanOf(total: Tensor, count: Tensor): Tensor {
  return total.dtype.isFloatingPoint ? total.detach().div(count) : total.detach().div(count, { roundingMode: 'floor' })
}

/** The leading part of `src` that `index` covers, recorded. */
function narrowed(src: Tensor, index: Tensor): Tensor {
  let part = src
  index.sizes.forEach((n, i) => {
    if (part.sizes[i] !== n) part = part.narrow(i, 0, n)
  })
  return part
}

/** `x` with `src` folded in along `dim` at the positions of `index`, by sum, prod, mean, amax or amin. */
export const scatterReduce: (x: Tensor, ...args: Args<[dim: number, index: Tensor, src: Tensor, reduce: Reduce], ReduceOptions>) => Tensor = op({
  name: 'scatterReduce',
  signature: 'input, dim, index, src, reduce, *, include_self',
  differentiable: true,
  forward: scatterReducing(false),
  inPlace: scatterReducing(true),
})

/** Throws unless `source` has the sizes of `x` with `index`'s length at `dim`. */
function checkSource(name: string, x: Tensor, dim: number, index: Tensor, source: Tensor): void {
  checkSlices(name, x, dim, index)
  if (source.dtype !== x.dtype) {
    throw new RuntimeError(`${name}(): self (${x.dtype.title}) and source (${source.dtype.title}) must have the same scalar type`)
  }
  const n = source.ndim === 0 ? 1 : source.sizes[dim]
  if (index.count !== n) {
    throw new RuntimeError(`${name}_(): Number of indices (${index.count}) should be equal to source.size(dim): (${n}), for dim: ${dim}`)
  }
  const other = (t: Tensor): number[] => t.sizes.filter((_, i) => i !== dim)
  if (source.ndim > 0 && x.ndim > 0 && !sameSizes(other(source), other(x))) {
    throw new RuntimeError(
      `${name}(): Source/destination tensor must have same slice shapes. Destination slice shape: [${other(x).join(', ')}] at dimension ${dim} and source slice shape: [${other(source).join(', ')}] at dimension 0.`,
    )
  }
}

interface SourceOptions {
  readonly dim?: number
  readonly index?: Tensor
  readonly source?: Tensor
  readonly alpha?: number
}
type WithSource = (x: Tensor, ...args: Args<[dim: number, index: Tensor, source: Tensor], SourceOptions>) => Tensor

const indexAdding =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, source: Tensor, alpha: Num = 1): Tensor => {
    const d = wrapDim(dim, x.ndim)
    checkSource('index_add', x, d, index, source)
    const { out, before } = written(x, inPlace)
    put(out, planSlices(x, d, index), alpha === 1 ? source : source.detach().mul(alpha), 'add')
    const { sizes } = source
    return record(out, 'IndexAddBackward0', [before, source], [index], (g, [at], needs) => [
      g,
      needs[1] ? scaled(g.indexSelect(d, at).reshape(sizes), alpha) : null,
    ])
  }
const scaled = (g: Tensor, alpha: Num): Tensor => (alpha === 1 ? g : g.mul(alpha))

/** `x` with the slices of `source` (times `alpha`) added to those slices of `dim` that `index` names. */
export const indexAdd: WithSource = op({
  name: 'indexAdd',
  signature: 'input, dim, index, source, *, alpha',
  differentiable: true,
  forward: indexAdding(false),
  inPlace: indexAdding(true),
})

const indexCopying =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor => {
    const d = wrapDim(dim, x.ndim)
    checkSource('index_copy', x, d, index, source)
    const { out, before } = written(x, inPlace)
    put(out, planSlices(x, d, index), source, 'set')
    const { sizes } = source
    return record(out, 'IndexCopyBackward0', [before, source], [index], (g, [at], needs) => [
      needs[0] ? indexFill(g, d, at, 0) : null,
      needs[1] ? g.indexSelect(d, at).reshape(sizes) : null,
    ])
  }
/** `x` with the slices of `source` in place of those slices of `dim` that `index` names. */
export const indexCopy: WithSource = op({
  name: 'indexCopy',
  signature: 'input, dim, index, source',
  differentiable: true,
  forward: indexCopying(false),
  inPlace: indexCopying(true),
})

const indexFilling =
  (inPlace: boolean) =>
  (x: Tensor, dim: number, index: Tensor, value: Num | Tensor): Tensor => {
    const d = wrapDim(dim, x.ndim)
    checkSlices('index_fill_', x, d, index)
    if (value instanceof Tensor && value.ndim > 0) {
      throw new RuntimeError(`index_fill_ only supports a 0-dimensional value tensor, but got tensor with ${value.ndim} dimension(s).`)
    }
    const { out, before } = written(x, inPlace)
    put(out, planSlices(x, d, index), value instanceof Tensor ? value.detach() : scalarTensor(value, x.dtype), 'set')
    if (!(value instanceof Tensor)) return record(out, 'IndexFillBackward0', [before], [index], (g, [at]) => [indexFill(g, d, at, 0)])
    return record(out, 'IndexFillBackward1', [before, value], [index], (g, [at]) => [indexFill(g, d, at, 0), g.indexSelect(d, at).sum()])
  }
/** `x` with `value` everywhere in those slices of `dim` that `index` names. */
export const indexFill: (x: Tensor, ...args: Args<[dim: number, index: Tensor, value: Num | Tensor], { dim?: number; index?: Tensor; value?: Num | Tensor }>) => Tensor = op({
  name: 'indexFill',
  signature: 'input, dim, index, value',
  differentiable: true,
  forward: indexFilling(false),
  inPlace: indexFilling(true),
})
