// Histograms of one and of several dimensions.
import { bool, type DType, float64, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { numelOf } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { filled } from './create.ts'
import { where } from './masks.ts'
import { searchsorted } from './unique.ts'

/** Counts with the edges of the bins; `hist` and `binEdges`, which also destructure as an array. */
export interface Histogram extends Iterable<Tensor> {
  readonly 0: Tensor
  readonly 1: Tensor
  readonly hist: Tensor
  readonly binEdges: Tensor
}

interface HistogramOptions {
  readonly bins?: number | Tensor
  /** The least and the largest value that count; those of the data by default. */
  readonly range?: readonly number[] | null
  readonly weight?: Tensor | null
  /** Divides by the total and the bins' widths. */
  readonly density?: boolean
}

function doubles(x: Tensor): Float64Array {
  return x.detach().to(float64).contiguous().raw() as Float64Array
}

const round = (dtype: DType): ((v: number) => number) => (dtype === float64 ? (v) => v : Math.fround)

/** The edges of `bins` equal intervals from `low` to `high`, in the data's precision. */
function equal(bins: number, low: number, high: number, dtype: DType): Float64Array {
  const near = round(dtype)
  const step = near((high - low) / bins)
  return Float64Array.from({ length: bins + 1 }, (_, i) =>
    near(i < (bins + 1) / 2 ? low + step * i : high - step * (bins - i)),
  )
}

/** Counts rows of coordinates in the bins between the edges of each dimension, of which the last is closed. */
function count(x: Tensor, axes: readonly Float64Array[], weight: Tensor | null | undefined, density: boolean): Tensor {
  const sizes = axes.map((edges) => edges.length - 1)
  const cells = numelOf(sizes)
  const values = x.detach().to(float64)
  let at = filled([values.sizes[0]], 0, int64)
  let inside = filled([values.sizes[0]], true, bool)
  for (const [i, edges] of axes.entries()) {
    const column = values.select(1, i).contiguous()
    const bin = searchsorted(tensorOf(edges), column, { right: true })
      .sub(1)
      .clamp(0, sizes[i] - 1)
    inside = inside.logicalAnd(column.ge(edges[0])).logicalAnd(column.le(edges[sizes[i]]))
    at = at.mul(sizes[i]).add(bin)
  }
  // What lies outside goes to one more cell, which is dropped.
  at = where(inside, at, cells)
  const weights = weight ? weight.detach().to(float64).contiguous() : filled([at.count], 1, float64)
  const out = filled([cells + 1], 0, float64)
    .scatterAdd_(0, at, weights)
    .narrow(0, 0, cells)
    .view(sizes)
  if (!density) return out.to(x.dtype)
  const widths = axes.map((edges, i) => {
    const all = tensorOf(edges)
    const shape = axes.map((_, d) => (d === i ? sizes[i] : 1))
    return all
      .narrow(0, 1, sizes[i])
      .sub(all.narrow(0, 0, sizes[i]))
      .view(shape)
  })
  return out.div(widths.reduce((volume, width) => volume.mul(width), out.sum())).to(x.dtype)
}

function tensorOf(values: Float64Array): Tensor {
  const out = empty([values.length], float64)
  ;(out.raw() as Float64Array).set(values)
  return out
}

/** The range to divide: the one given, or that of the data (0 to 1 if there is none); an empty one is widened by a half on both sides. */
function rangeOf(name: string, column: Tensor, given: readonly [number, number] | null): [number, number] {
  let [low, high] = given ?? [0, 1]
  if (!given && column.count > 0) [low, high] = [column.amin().item<number>(), column.amax().item<number>()]
  if (!(Number.isFinite(low) && Number.isFinite(high)))
    throw new RuntimeError(`${name}(): dimension 0's range [${low}, ${high}] is not finite`)
  if (low > high) throw new RuntimeError(`${name}(): min should not exceed max, but got min ${low} max ${high}`)
  if (low === high) {
    low -= 0.5
    high += 0.5
  }
  return [low, high]
}

function checked(name: string, x: Tensor, weight: Tensor | null | undefined): void {
  if (!x.dtype.isFloatingPoint) throw new NotImplementedError(`"histogramdd" not implemented for '${x.dtype.title}'`)
  if (weight && weight.dtype !== x.dtype) {
    throw new RuntimeError(
      `${name}(): if weight tensor is provided, it should have the same dtype as input, but got input ${x.dtype.name} and weight ${weight.dtype.name}`,
    )
  }
}

/** The edges of the bins along one dimension. */
function edgesOf(
  name: string,
  x: Tensor,
  column: Tensor,
  bins: number | Tensor,
  range: readonly [number, number] | null,
): Float64Array {
  if (bins instanceof Tensor) {
    if (bins.ndim !== 1)
      throw new RuntimeError(`${name}(): bins tensor should have one dimension, but got ${bins.ndim} dimensions`)
    if (bins.dtype !== x.dtype)
      throw new RuntimeError(
        `${name}(): input tensor and bins tensors should have the same dtype, but got input with dtype ${x.dtype.name} and bins with dtype ${bins.dtype.name}`,
      )
    return doubles(bins).slice()
  }
  if (!(bins > 0)) throw new RuntimeError(`${name}(): bins must be > 0, but got ${bins}`)
  return equal(bins, ...rangeOf(name, column, range), x.dtype)
}

/** How many elements (or how much weight) fall into each bin, and the bins' edges. */
export const histogram: (x: Tensor, bins: number | Tensor, options?: Omit<HistogramOptions, 'bins'>) => Histogram = op({
  name: 'histogram',
  signature: 'input, bins, *, range, weight, density',
  samples: (t) => [
    [t(3, 4), 3],
    [t(3, 4), 4, { range: [-1, 1], density: true }],
  ],
  forward: (
    x: Tensor,
    bins: number | Tensor,
    range?: readonly number[] | null,
    weight?: Tensor | null,
    density = false,
  ) => {
    checked('torch.histogram', x, weight)
    readsValues('histogram')
    const flat = x.reshape(-1)
    const edges = edgesOf('torch.histogram', x, flat, bins, range ? [range[0], range[1]] : null)
    const hist = count(flat.unsqueeze(1), [edges], weight?.reshape(-1), density)
    const binEdges = bins instanceof Tensor ? bins : tensorOf(edges).to(x.dtype)
    return Object.assign([hist, binEdges], { hist, binEdges }) as unknown as Histogram
  },
})

interface HistogramddOptions {
  /** Two numbers a dimension: the least and the largest value that count. */
  readonly range?: readonly number[] | null
  readonly weight?: Tensor | null
  readonly density?: boolean
}

/** Counts with the edges of the bins of each dimension. */
export interface Histogramdd extends Iterable<Tensor | Tensor[]> {
  readonly 0: Tensor
  readonly 1: Tensor[]
  readonly hist: Tensor
  readonly binEdges: Tensor[]
}

/** How many rows of `x` [..., D] fall into each cell of a grid of D dimensions. */
export const histogramdd: (
  x: Tensor,
  bins: number | readonly number[] | readonly Tensor[],
  ...args: Args<[range?: readonly number[] | null, weight?: Tensor | null, density?: boolean], HistogramddOptions>
) => Histogramdd = op({
  name: 'histogramdd',
  signature: 'input, bins, range, weight, density',
  samples: (t) => [[t(5, 2), [2, 3]]],
  forward: (
    x: Tensor,
    bins: number | readonly (number | Tensor)[],
    range?: readonly number[] | null,
    weight?: Tensor | null,
    density = false,
  ) => {
    const name = 'torch.histogramdd'
    checked(name, x, weight)
    if (x.ndim < 2) throw new RuntimeError(`${name}: input tensor should have at least 2 dimensions, but got ${x.ndim}`)
    const d = x.sizes[x.ndim - 1]
    const each = typeof bins === 'number' ? new Array<number>(d).fill(bins) : bins
    if (each.length !== d) {
      throw new RuntimeError(
        `${name}(): expected ${d} sequences of bin edges for a ${d}-dimensional histogram but got ${each.length}`,
      )
    }
    if (range && range.length !== 2 * d)
      throw new RuntimeError(
        `${name}: for a ${d}-dimensional histogram range should have ${2 * d} elements, but got ${range.length}`,
      )
    readsValues('histogramdd')
    const rows = x.reshape([-1, d])
    const axes = each.map((b, i) =>
      edgesOf(name, x, rows.select(1, i), b, range ? [range[2 * i], range[2 * i + 1]] : null),
    )
    const hist = count(rows, axes, weight?.reshape(-1), density)
    const binEdges = axes.map((a, i) => {
      const b = each[i]
      return b instanceof Tensor ? b : tensorOf(a).to(x.dtype)
    })
    return Object.assign([hist, binEdges], { hist, binEdges }) as unknown as Histogramdd
  },
})
