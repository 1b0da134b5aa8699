// Sorting and what follows from it: sort, topk, kthvalue, median, mode, quantile. The device's routines find positions;
// values are picked by a kernel, and gradients go back to where the values stood.
import type { Ordered, Rank, Routines } from '../backend/routines.ts'
import { float64, int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { atPointers, onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { alias, empty, Tensor } from '../tensor/tensor.ts'
import { filled } from './create.ts'
import { pickedGradient, type ValuesIndices, valuesIndices } from './extreme.ts'
import { pick, planAlong } from './gather.ts'
import { orderedType, rowsOf } from './order.ts'

/** Rows of the dimension sorted: sizes with it last, its width, and their number. */
function layout(x: Tensor, dim: number): { sizes: number[]; width: number; rows: number } {
  if (x.ndim === 0) return { sizes: [1], width: 1, rows: 1 }
  const sizes = [...x.sizes.filter((_, i) => i !== dim), x.sizes[dim]]
  const width = x.sizes[dim]
  return { sizes, width, rows: width === 0 ? 0 : x.count / width }
}

/** The elements at `indices` along `dim`, with a gradient that goes back to where they stood. */
function picked(x: Tensor, dim: number, indices: Tensor, name: string): Tensor {
  const values = pick(x, planAlong(x, dim, indices), empty(indices.sizes, x.dtype))
  const { sizes } = x
  return record(values, name, [x], [indices], (g, [at]) => [
    sizes.length === 0 ? g : pickedGradient(g, sizes, at, dim, true),
  ])
}

// Host routine.
/** `k` positions along `dim` that `find` writes, int64, for rows of a type at an address. */
function positionsAlong(
  x: Tensor,
  dim: number,
  k: number,
  find: (routines: Routines, type: Ordered, place: { from: number; to: number; rows: number; width: number }) => void,
): Tensor {
  const { sizes, width, rows } = layout(x, dim)
  const packed = rowsOf(x.detach(), dim)
  const type = orderedType(packed)
  const out = empty(x.ndim === 0 ? [] : [...sizes.slice(0, -1), k], int64)
  atPointers('sort', [packed.pointer, out.pointer], 'rw', ([from, to]) => {
    find(device().routines, type, { from, to, rows, width })
  })
  return x.ndim === 0 ? out : out.movedim(-1, dim).contiguous()
}

/** The first `k` positions along `dim` in rising or falling order. */
const ordered = (x: Tensor, dim: number, k: number, descending: boolean): Tensor =>
  positionsAlong(x, dim, k, (routines, type, place) => routines.order(type, { ...place, k, descending }))

interface SortOptions {
  readonly dim?: number
  readonly descending?: boolean
  readonly stable?: boolean
}

/** Values sorted along `dim` (the last), and the positions they had; equal ones keep their order, NaN counts as the largest. */
export const sort: (x: Tensor, ...args: Args<[dim?: number, descending?: boolean], SortOptions>) => ValuesIndices = op({
  name: 'sort',
  apart: 'part',
  signature: 'input, dim, descending, stable',
  node: (_x, _dim, _descending, stable) => `SortBackward${stable === undefined ? 0 : 1}`,
  samples: (t) => [[t(3, 4)], [t(3, 4), 0, true], [t()]],
  differentiable: true,
  forward: (x: Tensor, dim = -1, descending = false) => {
    const d = wrapDim(dim, x.ndim)
    const { width } = layout(x, d)
    const indices = ordered(x, d, width, descending)
    return valuesIndices(picked(x, d, indices, 'SortBackward0'), indices)
  },
})

/** The positions that sort `x` along `dim` (the last): int64. */
export const argsort: (x: Tensor, ...args: Args<[dim?: number, descending?: boolean], SortOptions>) => Tensor = op({
  name: 'argsort',
  signature: 'input, dim, descending, stable',
  samples: (t) => [[t(3, 4)], [t(3, 4), 0, true]],
  forward: (x: Tensor, dim = -1, descending = false) => sort(x.detach(), dim, descending).indices,
})

/** `x` sorted along its first dimension, ascending; the values alone. */
export const msort = (x: Tensor): Tensor => sort(x, 0).values

interface TopkOptions {
  readonly k?: number
  readonly dim?: number
  readonly largest?: boolean
  readonly sorted?: boolean
}
/** The `k` largest (or smallest) elements along `dim` (the last), in order, and their positions. */
export const topk: (
  x: Tensor,
  ...args: Args<[k: number, dim?: number, largest?: boolean, sorted?: boolean], TopkOptions>
) => ValuesIndices = op({
  name: 'topk',
  signature: 'input, k, dim, largest, sorted',
  samples: (t) => [
    [t(3, 4), 2],
    [t(3, 4), 2, 0, false],
  ],
  differentiable: true,
  forward: (x: Tensor, k: number, dim = -1, largest = true) => {
    const d = wrapDim(dim, x.ndim)
    const { width } = layout(x, d)
    if (!(k >= 0 && k <= width)) throw new RuntimeError('selected index k out of range')
    const indices = ordered(x, d, k, largest)
    return valuesIndices(picked(x, d, indices, 'TopkBackward0'), indices)
  },
})

/** The position of one rank a row, as values and indices. */
function choose(x: Tensor, dim: number, keepdim: boolean, name: string, rank: Rank): ValuesIndices {
  const kept = positionsAlong(x, dim, 1, (routines, type, place) => routines.rank(type, { ...place, rank }))
  const values = pick(x, planAlong(x, dim, kept), empty(kept.sizes, x.dtype))
  const drop = x.ndim > 0 && !keepdim
  const shape = (t: Tensor): Tensor =>
    drop
      ? alias(
          t,
          t.sizes.filter((_, i) => i !== dim),
          t.strides.filter((_, i) => i !== dim),
          0,
        )
      : t
  const { sizes } = x
  const out = shape(values)
  const indices = shape(kept)
  record(out, name, [x], [indices], (g, [at]) => [sizes.length === 0 ? g : pickedGradient(g, sizes, at, dim, !drop)])
  return valuesIndices(out, indices)
}

type ByRow = (
  x: Tensor,
  ...args: Args<[dim?: number, keepdim?: boolean], { dim?: number; keepdim?: boolean }>
) => ValuesIndices

/** The `k`-th smallest element (from 1) along `dim` (the last), and its position. */
export const kthvalue: (
  x: Tensor,
  ...args: Args<[k: number, dim?: number, keepdim?: boolean], { k?: number; dim?: number; keepdim?: boolean }>
) => ValuesIndices = op({
  name: 'kthvalue',
  apart: 'all',
  signature: 'input, k, dim, keepdim',
  samples: (t) => [
    [t(3, 4), 2],
    [t(3, 4), 1, 0, true],
  ],
  differentiable: true,
  forward: (x: Tensor, k: number, dim = -1, keepdim = false) => {
    const d = wrapDim(dim, x.ndim)
    const { width } = layout(x, d)
    if (!(k > 0 && k <= width)) throw new RuntimeError(`kthvalue(): selected number k out of range for dimension ${d}`)
    return choose(x, d, keepdim, 'KthvalueBackward0', k - 1)
  },
})

interface Median {
  (x: Tensor): Tensor
  (x: Tensor, dim: number, keepdim?: boolean): ValuesIndices
  (x: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices
}
/** `median` and `nanmedian` as methods. */
export interface MedianMethod {
  (): Tensor
  (dim: number, keepdim?: boolean): ValuesIndices
  (options: { dim: number; keepdim?: boolean }): ValuesIndices
}

const medianOf = (name: 'median' | 'nanmedian'): Median => {
  const title = name === 'nanmedian' ? 'Nanmedian' : 'Median'
  return op<(x: Tensor, dim?: number, keepdim?: boolean) => Tensor | ValuesIndices>({
    name,
    signature: 'input, dim, keepdim',
    samples: (t) => [[t(3, 4)], [t(3, 4), 1], [t(3, 4), 0, true]],
    differentiable: true,
    forward: (x: Tensor, dim?: number, keepdim = false) => {
      if (dim === undefined) {
        if (x.count === 0) return filled([], Number.NaN, x.dtype)
        const flat = x.detach().reshape(-1)
        const { values, indices } = choose(flat, 0, false, '', name)
        const { sizes } = x
        return record(values, `${title}Backward0`, [x], [indices], (g, [at]) => [
          pickedGradient(g, [flat.count], at, 0, false).view(sizes),
        ])
      }
      const d = wrapDim(dim, x.ndim)
      checkRows(name, x, d)
      return choose(x, d, keepdim, `${title}Backward1`, name)
    },
  }) as Median
}

function checkRows(name: string, x: Tensor, dim: number): void {
  if (x.ndim > 0 && x.sizes[dim] === 0)
    throw new IndexError(`${name}(): Expected reduction dim ${dim} to have non-zero size.`)
}

/** The median (the lower of two middle ones, NaN if there is one); with `dim`, along it, with positions. */
export const median: Median = medianOf('median')
/** The median of what is not NaN, of all elements or along `dim` [values, indices]; of two in the middle the lower. */
export const nanmedian: Median = medianOf('nanmedian')

/** The most frequent element along `dim` (the last), the smallest of several, and the position of its last occurrence. */
export const mode: ByRow = op({
  name: 'mode',
  apart: 'all',
  signature: 'input, dim, keepdim',
  samples: (t) => [[t(3, 4)], [t(3, 4), 0, true]],
  differentiable: true,
  forward: (x: Tensor, dim = -1, keepdim = false) => {
    const d = wrapDim(dim, x.ndim)
    checkRows('mode', x, d)
    return choose(x, d, keepdim, 'ModeBackward0', 'mode')
  },
})

type Interpolation = 'linear' | 'lower' | 'higher' | 'midpoint' | 'nearest'
interface QuantileOptions {
  readonly q?: number | Tensor
  readonly dim?: number | null
  readonly keepdim?: boolean
  readonly interpolation?: Interpolation
}
type Quantile = (
  x: Tensor,
  ...args: Args<[q: number | Tensor, dim?: number | null, keepdim?: boolean], QuantileOptions>
) => Tensor

const quantileOf = (name: 'quantile' | 'nanquantile'): Quantile =>
  op({
    name,
    signature: 'input, q, dim, keepdim, *, interpolation',
    lastNode: (_x, q) => (q instanceof Tensor && q.ndim > 0 ? undefined : 'SqueezeBackward4'),
    samples: (t) => [
      [t(3, 4), 0.3],
      [t(3, 4), 0.7, 1, true],
    ],
    differentiable: true,
    forward: (
      x: Tensor,
      q: number | Tensor,
      dim?: number | null,
      keepdim = false,
      interpolation: Interpolation = 'linear',
    ) => {
      if (x.count === 0) throw new RuntimeError(`${name}() input tensor must be non-empty`)
      if (x.dtype.name !== 'float32' && x.dtype.name !== 'float64') {
        throw new RuntimeError(`${name}() input tensor must be either float or double dtype`)
      }
      if (q instanceof Tensor && q.ndim > 1) throw new RuntimeError(`${name}() q must be a scalar or 1D tensor`)
      if (q instanceof Tensor && q.dtype !== x.dtype)
        throw new RuntimeError(`${name}() q tensor must be same dtype as the input tensor`)
      if (!['linear', 'lower', 'higher', 'midpoint', 'nearest'].includes(interpolation)) {
        throw new RuntimeError(
          `${name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got ${interpolation}`,
        )
      }
      const shares = q instanceof Tensor ? q.reshape(-1) : filled([1], q, x.dtype)
      onHost('checkShares', [shares.detach().to(float64).contiguous()], 'r', (raw) => {
        const list = [...(raw as Float64Array)]
        if (!list.every((v) => v >= 0 && v <= 1))
          throw new RuntimeError(`${name}() q must be in the range [0, 1] but got ${list}`)
      })
      const all = dim === undefined || dim === null || x.ndim === 0
      const d = all ? 0 : wrapDim(dim, x.ndim)
      const rows = sort(all ? x.reshape(-1) : x.movedim(d, -1)).values
      const out = between(rows, shares, interpolation, name === 'nanquantile').movedim(-1, 0)
      const rest = x.sizes.flatMap((n, i) => (all || i === d ? (keepdim ? [1] : []) : [n]))
      return out.reshape(q instanceof Tensor && q.ndim > 0 ? [shares.count, ...rest] : rest)
    },
  })

/** Quantiles `q` (a vector, the result's last dimension) of sorted rows (the last dimension, NaN at its end). */
function between(sorted: Tensor, q: Tensor, interpolation: Interpolation, skips: boolean): Tensor {
  const last = sorted.sizes[sorted.ndim - 1] - 1
  const nans = sorted.detach().isnan()
  // A row with a NaN answers its last element, which is NaN.
  const exact = skips
    ? q.mul(nans.logicalNot().sum(-1, true).sub(1).clampMin(0))
    : q.mul(last).maskedFill(nans.any(-1, true), last)
  const rank =
    interpolation === 'lower'
      ? exact.floor()
      : interpolation === 'higher'
        ? exact.ceil()
        : interpolation === 'nearest'
          ? exact.round()
          : exact
  const below = rank.detach().to(int64)
  const low = sorted.gather(-1, below)
  if (interpolation !== 'linear' && interpolation !== 'midpoint') return low
  const high = sorted.gather(-1, rank.detach().ceil().to(int64))
  return low.lerp(high, interpolation === 'midpoint' ? 0.5 : rank.sub(below))
}

/** The values below which a share `q` of the elements along `dim` (all of them) lies; a vector of shares adds a first dimension. */
export const quantile: Quantile = quantileOf('quantile')
/** `quantile` of what is not NaN; NaN where everything is. */
export const nanquantile: Quantile = quantileOf('nanquantile')
