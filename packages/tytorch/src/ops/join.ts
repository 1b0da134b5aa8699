// Joining tensors (cat, stack and their kin) and bringing several to a common shape.
import { type DType, getDefaultDtype, resultType } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { type Sizes, sameSizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { broadcastAll } from '../tensor/run.ts'
import { alias, empty, Tensor } from '../tensor/tensor.ts'
import { intoOut } from './put.ts'

type Tensors = readonly Tensor[]
type Joining = (tensors: Tensors, ...args: Args<[dim?: number], { dim?: number; out?: Tensor }>) => Tensor

function listOf(name: string, tensors: unknown): Tensors {
  if (!Array.isArray(tensors))
    throw new TypeError(
      `${name}(): argument 'tensors' must be an array of Tensors, not ${tensors instanceof Tensor ? 'Tensor' : typeof tensors}`,
    )
  tensors.forEach((t, i) => {
    if (!(t instanceof Tensor))
      throw new TypeError(`${name}(): expected Tensor as element ${i} in argument 0, but got ${typeof t}`)
  })
  return tensors as Tensors
}

const commonDtype = (tensors: Tensors): DType => resultType(tensors.map((t) => ({ dtype: t.dtype, rank: t.ndim })))

/** PyTorch skips empty vectors whatever the others' rank is. */
const skipped = (t: Tensor): boolean => t.ndim === 1 && t.sizes[0] === 0

/** The tensors one after another along `dim`; other sizes must agree, dtypes are promoted. */
export const cat: Joining = op({
  name: 'cat',
  signature: 'tensors, dim, *, out',
  samples: (t) => [[[t(3, 4), t(2, 4)]], [[t(3, 1), t(3, 4)], -1], [[t(0), t(2, 2)]]],
  differentiable: true,
  forward: (given: Tensors, dim = 0, target?: Tensor) => {
    const tensors = listOf('cat', given)
    if (tensors.length === 0) throw new RuntimeError('torch.cat(): expected a non-empty list of Tensors')
    const scalar = tensors.findIndex((t) => t.ndim === 0)
    if (scalar >= 0) throw new RuntimeError(`zero-dimensional tensor (at position ${scalar}) cannot be concatenated`)
    const kept = tensors.filter((t) => !skipped(t))
    const model = kept[0] ?? tensors[0]
    const d = wrapDim(dim, model.ndim)
    for (const t of kept) checkJoins(model, t, d, tensors.indexOf(t))
    const total = kept.reduce((n, t) => n + t.sizes[d], 0)
    const sizes = model.sizes.map((n, i) => (i === d ? total : n))
    const out = empty(sizes, commonDtype(tensors))
    let start = 0
    for (const t of kept) {
      if (t.count > 0) copyValues(t, alias(out, t.sizes, out.strides, start * out.strides[d]))
      start += t.sizes[d]
    }
    const shapes = tensors.map((t) => ({ n: skipped(t) ? 0 : t.sizes[d], dtype: t.dtype, skip: skipped(t) }))
    record(out, 'CatBackward0', tensors, [], (g, _s, needs) => {
      let at = 0
      return shapes.map(({ n, dtype, skip }, i) => {
        const from = at
        at += n
        if (!needs[i]) return null
        return skip ? g.newZeros([0]).to(dtype) : g.narrow(d, from, n).to(dtype)
      })
    })
    return intoOut('cat', out, target, tensors)
  },
})
/** As `cat`. */
export const concat = cat
/** As `cat`. */
export const concatenate = cat

function checkJoins(model: Tensor, t: Tensor, dim: number, position: number): void {
  if (t.ndim !== model.ndim)
    throw new RuntimeError(`Tensors must have same number of dimensions: got ${model.ndim} and ${t.ndim}`)
  const bad = t.sizes.findIndex((n, i) => i !== dim && n !== model.sizes[i])
  if (bad >= 0) {
    throw new RuntimeError(
      `Sizes of tensors must match except in dimension ${dim}. Expected size ${model.sizes[bad]} but got size ${t.sizes[bad]} for tensor number ${position} in the list.`,
    )
  }
}

/** Tensors of one size along a new dimension `dim`. */
export const stack: Joining = op({
  name: 'stack',
  apart: 'all',
  signature: 'tensors, dim',
  samples: (t) => [[[t(3, 4), t(3, 4)]], [[t(2), t(2)], -1]],
  differentiable: true,
  forward: (given: Tensors, dim = 0) => {
    const tensors = listOf('stack', given)
    if (tensors.length === 0) throw new RuntimeError('stack expects a non-empty TensorList')
    const d = wrapDim(dim, tensors[0].ndim + 1)
    const first = tensors[0].sizes
    tensors.forEach((t, i) => {
      if (!sameSizes(t.sizes, first)) {
        throw new RuntimeError(
          `stack expects each tensor to be equal size, but got [${first.join(', ')}] at entry 0 and [${t.sizes.join(', ')}] at entry ${i}`,
        )
      }
    })
    const out = empty([...first.slice(0, d), tensors.length, ...first.slice(d)], commonDtype(tensors))
    const rest = out.strides.filter((_, i) => i !== d)
    if (out.count > 0) {
      tensors.forEach((t, i) => {
        copyValues(t, alias(out, first, rest, i * out.strides[d]))
      })
    }
    const dtypes = tensors.map((t) => t.dtype)
    return record(out, 'StackBackward0', tensors, [], (g, _s, needs) =>
      dtypes.map((dtype, i) => (needs[i] ? g.select(d, i).to(dtype) : null)),
    )
  },
})

const atLeast =
  (rank: number) =>
  (t: Tensor): Tensor => {
    if (t.ndim >= rank) return t
    if (rank === 1) return t.reshape(1)
    if (rank === 2) return t.ndim === 0 ? t.reshape(1, 1) : t.unsqueeze(0)
    return t.ndim === 0 ? t.reshape(1, 1, 1) : t.ndim === 1 ? t.unsqueeze(0).unsqueeze(2) : t.unsqueeze(2)
  }
type AtLeast = ((x: Tensor) => Tensor) & ((x: Tensors) => Tensor[])
const atLeastOf = (rank: number): AtLeast =>
  ((x: Tensor | Tensors) => (x instanceof Tensor ? atLeast(rank)(x) : x.map(atLeast(rank)))) as AtLeast
/** With at least one dimension: 0-d tensors become [1]. */
export const atleast1d: AtLeast = atLeastOf(1)
/** With at least two dimensions: 0-d tensors become [1, 1], vectors [1, n]. */
export const atleast2d: AtLeast = atLeastOf(2)
/** With at least three dimensions: 0-d tensors become [1, 1, 1], vectors [1, n, 1], matrices [n, m, 1]. */
export const atleast3d: AtLeast = atLeastOf(3)

const joining = (
  name: string,
  prepare: (t: Tensor) => Tensor,
  dim: (tensors: Tensors) => number,
): ((tensors: Tensors) => Tensor) =>
  op({
    name,
    signature: 'tensors',
    samples: (t) => [[[t(2, 3), t(2, 3)]], [[t(3), t(3)]]],
    differentiable: true,
    forward: (given: Tensors) => {
      const tensors = listOf(name, given)
      if (tensors.length === 0) throw new RuntimeError(`${name} expects a non-empty TensorList`)
      const prepared = tensors.map(prepare)
      return cat(prepared, dim(prepared))
    },
  })
/** Side by side: along dimension 1, or 0 for vectors. */
export const hstack = joining('hstack', atLeast(1), (list) => (list[0].ndim === 1 ? 0 : 1))
/** One below the other: along dimension 0, vectors as rows. */
export const vstack = joining('vstack', atLeast(2), () => 0)
/** As `vstack`. */
export const rowStack = vstack
/** One behind the other: along dimension 2. */
export const dstack = joining('dstack', atLeast(3), () => 2)
/** Side by side, vectors as columns. */
export const columnStack = joining(
  'columnStack',
  (t) => (t.ndim <= 1 ? t.reshape(t.count, 1) : t),
  () => 1,
)

function tensorsIn(name: string, given: readonly (Tensor | Tensors)[]): Tensors {
  return listOf(name, given.length === 1 && Array.isArray(given[0]) ? given[0] : given)
}

/** Views of all tensors in their common shape. */
export const broadcastTensors = (...given: Tensor[] | [tensors: Tensors]): Tensor[] => {
  const tensors = tensorsIn('broadcast_tensors', given)
  if (tensors.length === 0) return []
  const sizes = broadcastAll(tensors)
  return tensors.map((t) => t.expand(sizes))
}

/**
 * The common shape of several shapes, by the rules of broadcasting; a number is a shape of one dimension. Throws
 * RuntimeError if there is none, ValueError for a negative size.
 */
export function broadcastShapes(...given: (number | Sizes)[]): Sizes {
  const shapes = given.map((s) => (typeof s === 'number' ? [s] : s))
  if (shapes.some((s) => s.some((n) => n < 0)))
    throw new ValueError('Attempting to broadcast a dimension with negative length!')
  const rank = Math.max(0, ...shapes.map((s) => s.length))
  return Array.from({ length: rank }, (_, i) => {
    const found = shapes.map((s) => s[i - rank + s.length] ?? 1).filter((n) => n !== 1)
    if (found.some((n) => n !== found[0])) {
      throw new RuntimeError('Shape mismatch: objects cannot be broadcast to a single shape')
    }
    return found[0] ?? 1
  })
}

interface MeshOptions {
  /** 'ij': the first vector counts rows. 'xy': it counts columns. */
  readonly indexing?: 'ij' | 'xy'
}
/** The coordinates of the grid that vectors span, one tensor a vector. */
export function meshgrid(
  ...given: [...tensors: Tensor[], options: MeshOptions] | Tensor[] | [tensors: Tensors, options?: MeshOptions]
): Tensor[] {
  const last = given[given.length - 1]
  const named = typeof last === 'object' && last !== null && !(last instanceof Tensor) && !Array.isArray(last)
  const { indexing = 'ij' } = (named ? last : {}) as MeshOptions
  const tensors = tensorsIn('meshgrid', (named ? given.slice(0, -1) : given) as (Tensor | Tensors)[])
  if (tensors.length === 0) throw new RuntimeError('meshgrid expects a non-empty TensorList')
  const bad = tensors.find((t) => t.ndim > 1)
  if (bad)
    throw new RuntimeError(
      `torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: [${bad.sizes.join(', ')}]`,
    )
  if (indexing !== 'ij' && indexing !== 'xy') {
    throw new RuntimeError(`torch.meshgrid: indexing must be one of "xy" or "ij", but received: ${indexing}`)
  }
  if (tensors.some((t) => t.dtype !== tensors[0].dtype))
    throw new RuntimeError('torch.meshgrid expects all tensors to have the same dtype')
  // The first two change places, with their grids.
  const order = tensors.map((_, i) => (indexing === 'xy' && tensors.length >= 2 && i < 2 ? 1 - i : i))
  const sizes = order.map((i) => tensors[i].count)
  return order.map((place, i) => tensors[i].reshape(sizes.map((n, j) => (j === place ? n : 1))).expand(sizes))
}

/** Every choice of one element of each vector, as rows; of one vector, itself. */
export function cartesianProd(...given: Tensor[] | [tensors: Tensors]): Tensor {
  const tensors = tensorsIn('cartesian_prod', given)
  for (const t of tensors)
    if (t.ndim !== 1) throw new RuntimeError(`Expect a 1D vector, but got shape [${t.sizes.join(', ')}]`)
  if (tensors.length === 1) return tensors[0]
  return stack(
    meshgrid(tensors).map((grid) => grid.flatten()),
    1,
  )
}

/** A matrix of zeros with the tensors (0 to 2 dimensions) along its diagonal. */
export function blockDiag(...given: Tensor[] | [tensors: Tensors]): Tensor {
  const blocks = tensorsIn('block_diag', given).map((t) => {
    if (t.ndim > 2)
      throw new RuntimeError(`torch.block_diag: Input tensors must have 2 or fewer dimensions. Got ${t.ndim}`)
    return atLeast(2)(t)
  })
  const columns = blocks.reduce((n, b) => n + b.sizes[1], 0)
  const dtype = blocks.length > 0 ? commonDtype(blocks) : null
  let at = 0
  const rows = blocks.map((b) => {
    const [left, right] = [at, columns - at - b.sizes[1]]
    at += b.sizes[1]
    return cat([b.newZeros([b.sizes[0], left]), b, b.newZeros([b.sizes[0], right])], 1).to(dtype as DType)
  })
  return rows.length > 0 ? cat(rows) : empty([1, 0], getDefaultDtype())
}
