// scatter and its kin, and the ops that write whole slices: indexAdd, indexCopy, indexFill. The writing is put.ts's.
import type { Put } from '../backend/routines.ts'
import { type DType, int64 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { type Sizes, sameSizes, wrapDim } from '../base/shape.ts'
import { type Args, type Num, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { alias, Tensor } from '../tensor/tensor.ts'
import { sub } from './arithmetic.ts'
import { tensor } from './create.ts'
import { checkAlong, checkSlices, planAlong, planSlices } from './gather.ts'
import { put, scalarTensor, written } from './put.ts'

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
  (
    x: Tensor,
    dim: number,
    index: Tensor,
    given: Tensor | Num | undefined,
    reduce?: 'add' | 'multiply',
    named?: Num,
  ): Tensor => {
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
    if (index.count > 0)
      put(out, planAlong(out, d, index), cornerOf(values, index), reduce === 'add' ? 'add' : reduce ? 'mul' : 'set')
    if (reduce) {
      return record(out, 'NotImplemented', src instanceof Tensor ? [before, src] : [before], [], () => {
        throw new RuntimeError(
          'derivative for aten::scatter.reduce is not implemented; use scatterAdd or scatterReduce',
        )
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
  samples: (t) => [
    [
      t(3, 4),
      1,
      tensor([
        [0, 1],
        [3, 2],
        [2, 1],
      ]),
      t(3, 3),
    ],
    [t(3, 4), 0, tensor([[0, 1, 2, 1]]), 0.5],
  ],
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
    if (index.count > 0) put(out, planAlong(out, d, index), cornerOf(src, index), 'add')
    const { sizes } = src
    return record(out, 'ScatterAddBackward0', [before, src], [index], (g, [at], needs) => [
      g,
      needs[1] ? intoCorner(g.gather(d, at), sizes) : null,
    ])
  }
/** `x` with `src` added along `dim` at the positions of `index`; elements that meet are added in order. */
export const scatterAdd: (
  x: Tensor,
  ...args: Args<[dim: number, index: Tensor, src: Tensor], { dim?: number; index?: Tensor; src?: Tensor }>
) => Tensor = op({
  name: 'scatterAdd',
  signature: 'input, dim, index, src',
  samples: (t) => [
    [
      t(3, 4),
      1,
      tensor([
        [0, 0],
        [3, 1],
        [2, 2],
      ]),
      t(3, 3),
    ],
  ],
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
    if (!(reduce in HOW))
      throw new RuntimeError(`reduce argument must be either sum, prod, mean, amax or amin, got ${reduce}`)
    if (src.dtype !== x.dtype) throw new RuntimeError('scatter(): Expected self.dtype to be equal to src.dtype')
    checkAlong('scatter', x, d, index, src)
    const old = reduce === 'sum' ? null : inPlace ? x.clone() : x
    const { out, before } = written(x, inPlace)
    const plan = planAlong(out, d, index)
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
        return [
          includeSelf ? shared : scatter(shared, d, at, 0),
          needs[1] ? intoCorner(shared.gather(d, at), sizes) : null,
        ]
      }
      const corner = narrowed(values, at)
      const picked = result.gather(d, at)
      if (reduce === 'prod') {
        const fold = (self: Tensor, of: Tensor): Tensor => self.scatterReduce(d, at, of, 'prod', { includeSelf })
        // Zeros are left out of the product by which their own gradient is multiplied.
        const nonzero = from.maskedFill(from.eq(0), 1)
        const own = g.mul(fold(nonzero, corner)).div(nonzero)
        const zero = corner.eq(0)
        const zeros = from.zerosLike().scatterAdd(d, at, zero.to(g.dtype)).gather(d, at)
        const single = zero.logicalAnd(zeros.eq(1))
        const without = g.mul(fold(from, corner.maskedFill(single, 1))).gather(d, at)
        const others = g.mul(result).gather(d, at).div(corner.maskedFill(zero, 1))
        return [includeSelf ? own : scatter(own, d, at, 0), intoCorner(without.where(single, others), sizes)]
      }
      const selfHit = includeSelf ? from.eq(result).to(g.dtype) : scatter(from.eq(result).to(g.dtype), d, at, 0)
      const hit = corner.eq(picked).to(g.dtype)
      const shares = g.div(selfHit.scatterAdd(d, at, hit))
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
export const scatterReduce: (
  x: Tensor,
  ...args: Args<[dim: number, index: Tensor, src: Tensor, reduce: Reduce], ReduceOptions>
) => Tensor = op({
  name: 'scatterReduce',
  signature: 'input, dim, index, src, reduce, *, include_self',
  samples: (t) => [
    ...(['sum', 'prod', 'mean', 'amax', 'amin'] as const).map((reduce) => [
      t(3, 4),
      1,
      tensor([
        [0, 0],
        [3, 1],
        [2, 2],
      ]),
      t(3, 3),
      reduce,
    ]),
    [
      t(3, 4),
      1,
      tensor([
        [0, 0],
        [3, 1],
        [2, 2],
      ]),
      t(3, 2),
      'mean',
      { includeSelf: false },
    ],
    [
      t(3, 4),
      1,
      tensor([
        [0, 0],
        [3, 1],
        [2, 2],
      ]),
      t(3, 2),
      'amax',
      { includeSelf: false },
    ],
  ],
  differentiable: true,
  forward: scatterReducing(false),
  inPlace: scatterReducing(true),
})

/** Throws unless `source` has the sizes of `x` with `index`'s length at `dim`. */
function checkSource(name: string, x: Tensor, dim: number, index: Tensor, source: Tensor): void {
  checkSlices(name, x, dim, index)
  if (source.dtype !== x.dtype) {
    throw new RuntimeError(
      `${name}(): self (${x.dtype.title}) and source (${source.dtype.title}) must have the same scalar type`,
    )
  }
  const n = source.ndim === 0 ? 1 : source.sizes[dim]
  if (index.count !== n) {
    throw new RuntimeError(
      `${name}_(): Number of indices (${index.count}) should be equal to source.size(dim): (${n}), for dim: ${dim}`,
    )
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
    put(out, planSlices(out, d, index), alpha === 1 ? source : source.detach().mul(alpha), 'add')
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
  samples: (t) => [
    [t(3, 4), 0, tensor([2, 2]), t(2, 4)],
    [t(3, 4), 1, tensor([0]), t(3, 1), { alpha: 2 }],
  ],
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
    put(out, planSlices(out, d, index), source, 'set')
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
  samples: (t) => [[t(3, 4), 0, tensor([2, 0]), t(2, 4)]],
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
      throw new RuntimeError(
        `index_fill_ only supports a 0-dimensional value tensor, but got tensor with ${value.ndim} dimension(s).`,
      )
    }
    const { out, before } = written(x, inPlace)
    put(out, planSlices(out, d, index), value instanceof Tensor ? value.detach() : scalarTensor(value, x.dtype), 'set')
    if (!(value instanceof Tensor))
      return record(out, 'IndexFillBackward0', [before], [index], (g, [at]) => [indexFill(g, d, at, 0)])
    return record(out, 'IndexFillBackward1', [before, value], [index], (g, [at]) => [
      indexFill(g, d, at, 0),
      // A slice that `index` names twice was filled once.
      sub(g, indexFill(g, d, at, 0)).sum(),
    ])
  }
/** `x` with `value` everywhere in those slices of `dim` that `index` names. */
export const indexFill: (
  x: Tensor,
  ...args: Args<
    [dim: number, index: Tensor, value: Num | Tensor],
    { dim?: number; index?: Tensor; value?: Num | Tensor }
  >
) => Tensor = op({
  name: 'indexFill',
  signature: 'input, dim, index, value',
  samples: (t) => [
    [t(3, 4), 0, tensor([2, 0]), 0.5],
    [t(3, 4), 1, tensor([1]), t()],
  ],
  differentiable: true,
  forward: indexFilling(false),
  inPlace: indexFilling(true),
})
