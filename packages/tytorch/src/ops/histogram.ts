// Histograms of one and of several dimensions, counted on the host.
import { type DType, float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { type Args, op } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { empty, Tensor } from '../tensor/tensor.ts'

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

/** The bins along one dimension, in the data's precision, and where a value falls (-1 outside). */
interface Axis {
  readonly edges: Float64Array
  readonly find: (value: number) => number
}

const round = (dtype: DType): ((v: number) => number) => (dtype === float64 ? (v) => v : Math.fround)

/** `bins` equal intervals from `low` to `high`. */
function equal(bins: number, low: number, high: number, dtype: DType): Axis {
  const near = round(dtype)
  const step = near((high - low) / bins)
  const edges = Float64Array.from({ length: bins + 1 }, (_, i) =>
    near(i < (bins + 1) / 2 ? low + step * i : high - step * (bins - i)),
  )
  const find = (v: number): number => {
    if (!(v >= low && v <= high)) return -1
    let at = Math.min(Math.max(Math.trunc(((v - low) / (high - low)) * bins), 0), bins - 1)
    // The quotient may round across an edge.
    if (v < edges[at]) at--
    else if (at < bins - 1 && v >= edges[at + 1]) at++
    return at
  }
  return { edges, find }
}

/** The intervals between given edges, the last one closed. */
function between(edges: Float64Array): Axis {
  const last = edges.length - 1
  const find = (v: number): number => {
    if (!(v >= edges[0] && v <= edges[last])) return -1
    let [low, high] = [0, last]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (edges[middle] <= v) low = middle
      else high = middle
    }
    return low
  }
  return { edges, find }
}

/** Counts rows of `d` coordinates in the bins of `axes`. */
function count(x: Tensor, axes: readonly Axis[], weight: Tensor | null | undefined, density: boolean): Tensor {
  const d = axes.length
  const values = doubles(x)
  const weights = weight ? doubles(weight) : null
  const sizes = axes.map((a) => a.edges.length - 1)
  const out = empty(sizes, float64).zero_()
  const totals = out.raw() as Float64Array
  for (let row = 0; row < values.length / d; row++) {
    let at = 0
    for (let i = 0; i < d && at >= 0; i++) {
      const bin = axes[i].find(values[row * d + i])
      at = bin < 0 ? -1 : at * sizes[i] + bin
    }
    if (at >= 0) totals[at] += weights ? weights[row] : 1
  }
  if (density) {
    const whole = totals.reduce((a, b) => a + b, 0)
    for (let at = 0; at < totals.length; at++) {
      let volume = whole
      let rest = at
      for (let i = d - 1; i >= 0; i--) {
        const bin = rest % sizes[i]
        rest = (rest - bin) / sizes[i]
        volume *= axes[i].edges[bin + 1] - axes[i].edges[bin]
      }
      totals[at] /= volume
    }
  }
  return out.to(x.dtype)
}

function edgesOf(axis: Axis, dtype: DType): Tensor {
  const out = empty([axis.edges.length], float64)
  ;(out.raw() as Float64Array).set(axis.edges)
  return out.to(dtype)
}

/** The range to divide: the one given, or that of the data (0 to 1 if there is none); an empty one is widened by a half on both sides. */
function rangeOf(name: string, column: Float64Array, given: readonly [number, number] | null): [number, number] {
  let [low, high] = given ?? [0, 1]
  if (!given && column.length > 0) {
    low = column.reduce((a, b) => Math.min(a, b))
    high = column.reduce((a, b) => Math.max(a, b))
  }
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

function axisOf(
  name: string,
  x: Tensor,
  column: Float64Array,
  bins: number | Tensor,
  range: readonly [number, number] | null,
): Axis {
  if (bins instanceof Tensor) {
    if (bins.ndim !== 1)
      throw new RuntimeError(`${name}(): bins tensor should have one dimension, but got ${bins.ndim} dimensions`)
    if (bins.dtype !== x.dtype)
      throw new RuntimeError(
        `${name}(): input tensor and bins tensors should have the same dtype, but got input with dtype ${x.dtype.name} and bins with dtype ${bins.dtype.name}`,
      )
    return between(doubles(bins))
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
    const axis = axisOf('torch.histogram', x, doubles(flat), bins, range ? [range[0], range[1]] : null)
    const hist = count(flat, [axis], weight?.reshape(-1), density)
    const binEdges = bins instanceof Tensor ? bins : edgesOf(axis, x.dtype)
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
      axisOf(name, x, doubles(rows.select(1, i)), b, range ? [range[2 * i], range[2 * i + 1]] : null),
    )
    const hist = count(rows, axes, weight?.reshape(-1), density)
    const binEdges = axes.map((a, i) => {
      const b = each[i]
      return b instanceof Tensor ? b : edgesOf(a, x.dtype)
    })
    return Object.assign([hist, binEdges], { hist, binEdges }) as unknown as Histogramdd
  },
})
