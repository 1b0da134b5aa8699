// Reading elements by position: the checks of indices, the kernels that read, and gather, indexSelect and take.
import { type DType, int16, int32, int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDim } from '../base/shape.ts'
import { acc, constant, type Expr, gather as gatherAt, k, load, other, result, scalar } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import { partOf } from '../tensor/complex.ts'
import { type Args, checkSameType, op } from '../tensor/define.ts'
import { onHost, type Raw } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device, Prepared, runMap, runPlainRows } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { tensor } from './create.ts'
import { intoOut } from './put.ts'

/**
 * Which element of a tensor belongs to each element of a result of `sizes`: the one at
 * sum(strides[d] * i[d]) + unit * position, where the position comes from `index`, seen in the result's sizes.
 */
export interface Plan {
  readonly sizes: Sizes
  readonly strides: Sizes
  readonly index: Tensor
  readonly unit: number
  /** What is added to a negative position. */
  readonly size: number
}

/** Elements up to which a loop here takes less time than a launch. */
const FEW = 256

/** The elements of `index` without those that its strides repeat, contiguous. */
function distinct(index: Tensor): Tensor {
  if (index.contiguousLayout) return index
  const sizes = index.sizes.map((n, i) => (index.strides[i] === 0 ? 1 : n))
  const once = alias(index, sizes, index.strides, index.offset)
  return once.contiguousLayout ? once : once.clone()
}

// Host routine: an error has to be raised, and what it says read, here.
/** The first element of an integer `index` outside [low, size), or null. */
export function outside(index: Tensor, low: number, size: number): number | null {
  if (index.count === 0) return null
  const source = distinct(index)
  const wide = source.dtype === int64
  let first = true
  let found: number | null = null
  const check = (raw: Raw): void => {
    found = firstOutside(raw, wide, low, size)
    // The caller throws; in later calls of a compiled function there is none.
    if (!first && found !== null)
      throw new IndexError(`index ${found} is out of bounds for dimension with size ${size}`)
    first = false
  }
  if (source.count <= FEW) onHost('checkIndices', [source], 'r', check)
  else {
    const signs = signsOf(source, low, size)
    onHost('checkIndices', [source, signs], 'rr', (raw, [sign]) => {
      if (sign < 0) check(raw)
      first = false
    })
  }
  return found
}

const signKernels = new Map<string, Kernel>()

/** A negative number (of one element) if any of a contiguous `index` is outside [low, size); or, for sizes beyond 2^30, maybe. */
function signsOf(index: Tensor, low: number, size: number): Tensor {
  const dtype = index.dtype === int64 ? int64 : int32
  const key = index.dtype.name
  let kernel = signKernels.get(key)
  if (!kernel) {
    const type = dtype.compute
    const value = k.cast(load(0, index.dtype.compute), type)
    const outer = k.or(k.sub(value, scalar(0, type)), k.sub(scalar(1, type), value))
    kernel = {
      name: 'indicesInside',
      args: [
        { dtype: index.dtype, mode: 'read', per: 'element' },
        { dtype, mode: 'write', per: 'row' },
      ],
      scalars: [type, type],
      passes: [
        {
          kind: 'reduce',
          init: [constant(0, type)],
          step: [k.or(acc(0, type), outer)],
          merge: [k.or(acc(0, type), other(0, type))],
        },
      ],
      rowStores: [{ arg: 1, value: result(0, 0, type) }],
    }
    signKernels.set(key, kernel)
  }
  const out = empty([], dtype)
  runPlainRows(
    kernel,
    1,
    1,
    index.count,
    [index, out],
    dtype === int64 ? [BigInt(low), BigInt(size - 1)] : [low, size - 1],
  )
  return out
}

/** True if all numbers of two words each are in [low, size), low at most 0; false may be wrong for sizes beyond 2^30. */
function allInside(words: Int32Array, low: number, size: number): boolean {
  const last = Math.min(size, 2 ** 31) - 1
  // Without a branch: the upper word repeats the sign of the lower one, and neither difference is negative.
  let upper = 0
  let sign = 0
  for (let i = 0; i < words.length; i += 2) {
    const v = words[i]
    upper |= words[i + 1] ^ (v >> 31)
    sign |= (v - low) | (last - v)
  }
  return upper === 0 && sign >= 0
}

function firstOutside(raw: Raw, wide: boolean, low: number, size: number): number | null {
  if (!wide) {
    for (const v of raw as Int32Array) if (v < low || v >= size) return v
    return null
  }
  const words = new Int32Array(raw.buffer as ArrayBuffer, raw.byteOffset, 2 * raw.length)
  if (low <= 0 && allInside(words, low, size)) return null
  for (let i = 0; i < words.length; i += 2) {
    const v = words[i + 1] * 2 ** 32 + (words[i] >>> 0)
    if (v < low || v >= size) return v
  }
  return null
}

/** PyTorch's words for an index out of range. */
export function outOfBounds(bad: number, dim: number, size: number): string {
  return `index ${bad} is out of bounds for dimension ${dim} with size ${size}`
}

const kernels = new Map<string, Prepared>()

/**
 * A position that counts from the end if it is negative, brought into [0, last]: indices are checked before, but no kernel may
 * read elsewhere, whatever becomes of the check.
 */
const wrapped = (at: Expr, size: Expr, last: Expr): Expr => {
  const zero = constant(0, 'i32')
  return k.min(k.max(k.select(k.lt(at, zero), k.add(at, size), at), zero), last)
}

/** The last position in a dimension of `size`; of 0, where positions are offsets in range, none. */
const lastOf = (size: number): number => (size > 0 ? size - 1 : 2 ** 31 - 1)

function pickKernel(dtype: DType, index: DType, adjacent: boolean): Prepared {
  const key = `${dtype.name} ${index.name} ${adjacent}`
  let kernel = kernels.get(key)
  if (!kernel) {
    const at = wrapped(k.cast(load(1, index.compute), 'i32'), scalar(0, 'i32'), scalar(1, 'i32'))
    const place = adjacent ? at : k.mul(at, scalar(2, 'i32'))
    kernel = new Prepared(
      mapKernel(
        'pick',
        [
          { dtype, mode: 'read', per: 'table' },
          { dtype: index, mode: 'read', per: 'element' },
          { dtype, mode: 'write', per: 'element' },
        ],
        adjacent ? ['i32', 'i32'] : ['i32', 'i32', 'i32'],
        [{ arg: 2, value: gatherAt(0, dtype.compute, place) }],
      ),
    )
    kernels.set(key, kernel)
  }
  return kernel
}

/** Bytes of a row from which it is copied as a row: below, a kernel's gather by elements is as fast. */
const ROW = 16
/** Bytes from which it is worth a call, where there is one for each place in the dimensions before the index's. */
const SPAN = 256

/** Does what `pick` does where whole rows of memory follow one another in `out`; answers whether they do. */
function pickRows(source: Tensor, { sizes, strides, index, unit, size }: Plan, out: Tensor): boolean {
  if (!out.contiguousLayout) return false
  let dim = sizes.length - 1
  let row = 1
  for (; dim >= 0 && (sizes[dim] === 1 || (index.strides[dim] === 0 && strides[dim] === row)); dim--) row *= sizes[dim]
  const { itemsize } = source.dtype
  const bytes = row * itemsize
  if (bytes < ROW) return false
  let count = 1
  for (; dim >= 0 && (sizes[dim] === 1 || (strides[dim] === 0 && index.strides[dim] === count)); dim--)
    count *= sizes[dim]
  if (dim >= 0 && bytes * count < SPAN) return false
  for (let i = 0; i <= dim; i++) if (index.strides[i] !== 0) return false
  const [from, at] = [source.pointer, index.pointer]
  const wide = index.dtype === int64
  let to = out.pointer
  const walk = (d: number, start: number): void => {
    if (d > dim) {
      device().pickRows({ to, from: start, index: at, wide, count, bytes, step: unit * itemsize, rows: size })
      to += count * bytes
      return
    }
    for (let i = 0; i < sizes[d]; i++) walk(d + 1, start + i * strides[d] * itemsize)
  }
  walk(0, from)
  return true
}

/** Fills `out`, of the plan's sizes, with the elements of `source` that the plan names. */
export function pick(source: Tensor, plan: Plan, out: Tensor): Tensor {
  if (out.count === 0 || pickRows(source, plan, out)) return out
  if (source.dtype.isComplex) {
    const parts = { ...plan, strides: plan.strides.map((s) => 2 * s), unit: 2 * plan.unit }
    pick(partOf(source, 0), parts, partOf(out, 0))
    pick(partOf(source, 1), parts, partOf(out, 1))
    return out
  }
  const { sizes, size, unit } = plan
  const from = alias(source, sizes, plan.strides, source.offset)
  // Halves are moved as they are.
  const dtype = source.dtype.kind === 'float' && source.dtype.itemsize === 2 ? int16 : source.dtype
  const scalars = unit === 1 ? [size, lastOf(size)] : [size, lastOf(size), unit]
  runMap(pickKernel(dtype, plan.index.dtype, unit === 1), sizes, [from, plan.index, out], scalars)
  return out
}

const offsetKernels = new Map<string, Prepared>()

/** Element offsets sum(stride[i] * index[i]), int32, of indices that broadcast to `sizes`. */
export function offsetsOf(indices: readonly Tensor[], extents: Sizes, strides: Sizes, sizes: Sizes): Tensor {
  const out = empty(sizes, int32)
  if (out.count === 0) return out
  const key = indices.map((t) => t.dtype.name).join(' ')
  let kernel = offsetKernels.get(key)
  if (!kernel) {
    const terms = indices.map((t, i) =>
      k.mul(
        wrapped(k.cast(load(i, t.dtype.compute), 'i32'), scalar(3 * i, 'i32'), scalar(3 * i + 1, 'i32')),
        scalar(3 * i + 2, 'i32'),
      ),
    )
    kernel = new Prepared(
      mapKernel(
        'offsets',
        [
          ...indices.map((t) => ({ dtype: t.dtype, mode: 'read', per: 'element' }) as const),
          { dtype: int32, mode: 'write', per: 'element' },
        ],
        indices.flatMap(() => ['i32', 'i32', 'i32'] as const),
        [{ arg: indices.length, value: terms.reduce((a, b) => k.add(a, b)) }],
      ),
    )
    offsetKernels.set(key, kernel)
  }
  const scalars = indices.flatMap((_, i) => [extents[i], lastOf(extents[i]), strides[i]])
  runMap(kernel, sizes, [...indices, out], scalars)
  return out
}

/** The plan that reads along `dim` of `x` at the positions of `index`, which has as many dimensions. */
export function planAlong(x: Tensor, dim: number, index: Tensor): Plan {
  const strides = index.sizes.map((_, i) => (i === dim ? 0 : x.strides[i]))
  return { sizes: index.sizes, strides, index, unit: x.strides[dim] ?? 0, size: x.sizes[dim] ?? 1 }
}

/** The plan that reads whole slices of `dim` of `x` at the positions of the vector `index`. */
export function planSlices(x: Tensor, dim: number, index: Tensor): Plan {
  const sizes = x.ndim === 0 ? [index.count] : x.sizes.map((n, i) => (i === dim ? index.count : n))
  const step = index.strides[0] ?? 0
  const seen = alias(
    index,
    sizes,
    sizes.map((_, i) => (i === dim ? step : 0)),
    index.offset,
  )
  const strides = sizes.map((_, i) => (i === dim ? 0 : x.strides[i]))
  return { sizes, strides, index: seen, unit: x.strides[dim] ?? 0, size: x.sizes[dim] ?? 1 }
}

/** Throws unless `index` may be used by gather and scatter along `dim` of `x` (and with `src`, for scatter). */
export function checkAlong(name: string, x: Tensor, dim: number, index: Tensor, src?: Tensor): void {
  if (index.count === 0) return
  if (index.dtype !== int64 && index.dtype !== int32) {
    throw new RuntimeError(`${name}(): Expected dtype int32/int64 for index`)
  }
  if (Math.max(index.ndim, 1) !== Math.max(x.ndim, 1)) {
    throw new RuntimeError('Index tensor must have the same number of dimensions as input tensor')
  }
  if (src && Math.max(src.ndim, 1) !== Math.max(index.ndim, 1)) {
    throw new RuntimeError('Index tensor must have the same number of dimensions as src tensor')
  }
  const text = (t: Tensor): string => `[${t.sizes.join(', ')}]`
  const larger = index.sizes.findIndex((n, i) => i !== dim && n > (x.sizes[i] ?? 1))
  if (!src && larger >= 0) {
    throw new RuntimeError(
      name === 'gather'
        ? `Size does not match at dimension ${larger} expected index ${text(index)} to be no larger than self ${text(x)} apart from dimension ${dim}`
        : `Expected index ${text(index)} to be no larger than self ${text(x)} apart from dimension ${dim}`,
    )
  }
  if (src && (larger >= 0 || index.sizes.some((n, i) => n > (src.sizes[i] ?? 1)))) {
    throw new RuntimeError(
      `Expected index ${text(index)} to be no larger than self ${text(x)} apart from dimension ${dim} and to be no larger size than src ${text(src)}`,
    )
  }
  const size = x.sizes[dim] ?? 1
  const bad = outside(index, 0, size)
  if (bad !== null) throw new RuntimeError(outOfBounds(bad, dim, size))
}

/** `x[..., index[...], ...]` along `dim`: the result has the sizes of `index` (int64 or int32, no negative ones). */
export const gather: (
  x: Tensor,
  ...args: Args<[dim: number, index: Tensor], { dim?: number; index?: Tensor; sparseGrad?: boolean; out?: Tensor }>
) => Tensor = op({
  name: 'gather',
  signature: 'input, dim, index, *, sparse_grad, out',
  samples: (t) => [
    [
      t(3, 4),
      1,
      tensor([
        [0, 0],
        [3, 1],
        [2, 2],
      ]),
    ],
    [t(3, 4), 0, tensor([[0, 2, 2, 1]])],
    [t(), 0, tensor([0, 0])],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, index: Tensor, _sparse?: boolean, target?: Tensor) => {
    const d = wrapDim(dim, x.ndim)
    checkAlong('gather', x, d, index)
    if (target) checkSameType(x, target)
    const out = pick(x, planAlong(x, d, index), empty(index.sizes, x.dtype))
    const { sizes } = x
    record(out, 'GatherBackward0', [x], [index], (g, [at]) => [
      at.count === 0 ? g.newZeros(sizes) : g.newZeros(sizes).scatterAdd_(d, at, g),
    ])
    return intoOut('gather', out, target, [x, index])
  },
})

/** Throws unless `index` is a vector (or 0-d) of integers in the range of `dim`. */
export function checkSlices(name: string, x: Tensor, dim: number, index: Tensor): void {
  if (index.ndim > 1) throw new IndexError(`${name}(): Index is supposed to be a vector`)
  if (index.dtype !== int64 && index.dtype !== int32)
    throw new RuntimeError(`${name}(): Expected dtype int32 or int64 for index`)
  const size = x.sizes[dim] ?? 1
  const bad = outside(index, 0, size)
  if (bad !== null) {
    throw new IndexError(
      `index out of range in self: ${name}() got index ${bad} for dimension ${dim} with size ${size}`,
    )
  }
}

/** The slices of dimension `dim` that the vector `index` names, as a copy. Throws IndexError out of range. */
export const indexSelect: (
  x: Tensor,
  ...args: Args<[dim: number, index: Tensor], { dim?: number; index?: Tensor; out?: Tensor }>
) => Tensor = op({
  name: 'indexSelect',
  signature: 'input, dim, index, *, out',
  samples: (t) => [
    [t(3, 4), 0, tensor([2, 0, 2])],
    [t(3, 4), -1, tensor([1, 1])],
    [t(), 0, tensor([0])],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, index: Tensor, target?: Tensor) => {
    const d = wrapDim(dim, x.ndim)
    checkSlices('index_select', x, d, index)
    const plan = planSlices(x, d, index)
    const out = pick(x, plan, empty(plan.sizes, x.dtype))
    const { sizes } = x
    const result = sizes.length === 0 ? out.reshape([]) : out
    record(result, 'IndexSelectBackward0', [x], [index], (g, [at]) => [g.newZeros(sizes).indexAdd_(d, at, g)])
    return intoOut('index_select', result, target, [x, index])
  },
})

/** Elements of the flattened `x` at the positions of `index` (int64), in the sizes of `index`. */
export const take: (x: Tensor, index: Tensor, options?: { out?: Tensor }) => Tensor = op({
  name: 'take',
  signature: 'input, index, *, out',
  samples: (t) => [
    [
      t(3, 4),
      tensor([
        [0, -1],
        [5, 5],
      ]),
    ],
  ],
  differentiable: true,
  forward: (x: Tensor, index: Tensor, target?: Tensor) => {
    if (index.dtype !== int64)
      throw new IndexError(`take(): Expected a long tensor for index, but got ${index.dtype.title}`)
    const bad = outside(index, -x.count, x.count)
    if (bad !== null)
      throw new IndexError(`out of range: tried to access index ${bad} on a tensor of ${x.count} elements.`)
    const source = x.detach().contiguous()
    const plan = { sizes: index.sizes, strides: index.sizes.map(() => 0), index, unit: 1, size: x.count }
    const out = pick(source, plan, empty(index.sizes, x.dtype))
    const { sizes } = x
    record(out, 'TakeBackward0', [x], [index], (g, [at]) => [
      g
        .newZeros([numelOf(sizes)])
        .indexPut_([at.reshape(-1)], g.reshape(-1), true)
        .view(sizes),
    ])
    return intoOut('take', out, target, [x, index])
  },
})

/** `take` along `dim` at the positions of `index`, both broadcast in the other dimensions; flattened without `dim`. */
export const takeAlongDim: (
  x: Tensor,
  ...args: Args<[index: Tensor, dim?: number | null], { indices?: Tensor; dim?: number | null }>
) => Tensor = op({
  name: 'takeAlongDim',
  apart: 'all',
  signature: 'input, indices, dim',
  samples: (t) => [
    [t(3, 4), tensor([[0], [-1], [2]]), 1],
    [t(3, 4), tensor([7, 0])],
  ],
  differentiable: true,
  forward: (x: Tensor, index: Tensor, dim?: number | null) => {
    if (dim === undefined || dim === null) return gather(x.reshape(-1), 0, index.reshape(-1))
    if (x.ndim !== index.ndim) {
      throw new RuntimeError(
        `torch.take_along_dim(): input and indices should have the same number of dimensions, but got ${x.ndim} dimensions for input, and ${index.ndim} dimensions for indices`,
      )
    }
    const d = wrapDim(dim, x.ndim)
    const shared = x.sizes.map((n, i) => (i === d ? 1 : n === 1 ? index.sizes[i] : n))
    const along = (t: Tensor): Tensor => t.expand(shared.map((n, i) => (i === d ? t.sizes[d] : n)))
    const size = x.sizes[d]
    return gather(along(x), d, along(index.where(index.ge(0), index.add(size))))
  },
})
