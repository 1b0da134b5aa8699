// Counting and looking up values on the host: unique, bincount, histc, searchsorted, isin.
import { bool, float32, float64, int32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { sameSizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { filled, tensor } from './create.ts'
import {
  isNanKey,
  type Keys,
  keysOf,
  orderOf,
  positionsTensor,
  rowsOf,
  sameKey,
  sortRow,
  writePositions,
} from './order.ts'

interface UniqueOptions {
  readonly sorted?: boolean
  readonly returnInverse?: boolean
  readonly returnCounts?: boolean
  readonly dim?: number | null
}
interface Unique<O> {
  (x: Tensor, options?: O & { returnInverse?: false; returnCounts?: false }): Tensor
  (x: Tensor, options: O & ({ returnInverse: true } | { returnCounts: true })): Tensor[]
  (x: Tensor, ...args: unknown[]): Tensor | Tensor[]
}
/** `unique` as a method. */
export interface UniqueMethod {
  (options?: UniqueOptions & { returnInverse?: false; returnCounts?: false }): Tensor
  (options: UniqueOptions & ({ returnInverse: true } | { returnCounts: true })): Tensor[]
}

/** Groups of equal slices: a representative of each, the group of every slice, and how many each has. */
interface Groups {
  readonly first: number[]
  readonly group: Uint32Array
  readonly counts: number[]
}

/** Groups slices in the order given, joining neighbours that are the same. */
function groupsOf(order: ArrayLike<number>, same: (a: number, b: number) => boolean): Groups {
  const n = order.length
  const first: number[] = []
  const counts: number[] = []
  const group = new Uint32Array(n)
  for (let i = 0; i < n; i++) {
    if (i > 0 && same(order[i - 1], order[i])) counts[counts.length - 1]++
    else {
      first.push(order[i])
      counts.push(1)
    }
    group[order[i]] = first.length - 1
  }
  return { first, group, counts }
}

/** Slices of `dim` compared element by element: the order in which they sort, and when two are equal. */
function slices(
  x: Tensor,
  dim: number,
): { n: number; order: () => Uint32Array; same: (a: number, b: number) => boolean } {
  const n = x.sizes[dim]
  const columns = rowsOf(x.detach(), dim)
  const width = n === 0 ? 0 : x.count / n
  const keys = keysOf(columns)
  // Element e of slice s lies at e * n + s.
  const same = (a: number, b: number): boolean => {
    for (let e = 0; e < width; e++) if (!sameKey(keys, e * n + a, e * n + b)) return false
    return true
  }
  const order = (): Uint32Array => {
    let found = new Uint32Array(n).map((_, i) => i)
    for (let e = width - 1; e >= 0; e--) {
      const column: Keys = {
        low: found.map((s) => keys.low[e * n + s]),
        high: keys.high && found.map((s) => (keys.high as Uint32Array)[e * n + s]),
      }
      const next = new Uint32Array(n)
      sortRow(column, 0, n, next, 0)
      found = next.map((i) => found[i])
    }
    return found
  }
  return { n, order, same }
}

function uniqueOf(
  name: 'unique' | 'uniqueConsecutive',
): (x: Tensor, inverse: boolean, counts: boolean, dim?: number | null) => Tensor | Tensor[] {
  return (x, inverse, counts, dim) => {
    const flat = dim === undefined || dim === null
    const source = flat ? x.detach().reshape(-1) : x.detach()
    const d = flat ? 0 : wrapDim(dim, x.ndim)
    let groups: Groups
    if (flat) {
      const keys = keysOf(rowsOf(source, 0))
      const order =
        name === 'unique' ? orderOf(keys, source.count) : Uint32Array.from({ length: source.count }, (_, i) => i)
      // As PyTorch: a NaN equals nothing, itself included.
      groups = groupsOf(order, (a, b) => sameKey(keys, a, b) && !(x.dtype.isFloatingPoint && isNanKey(keys, a)))
    } else {
      const { n, order, same } = slices(source, d)
      groups = groupsOf(name === 'unique' ? order() : Uint32Array.from({ length: n }, (_, i) => i), same)
    }
    const { first, group, counts: found } = groups
    const values = source.indexSelect(d, positionsTensor(first, [first.length]))
    record(
      values,
      name === 'unique' ? (flat ? 'Unique2Backward0' : 'UniqueDimBackward0') : 'UniqueConsecutiveBackward0',
      [x],
      [],
      () => {
        throw new NotImplementedError(`the derivative for '${name}' is not implemented.`)
      },
    )
    const more: Tensor[] = []
    if (inverse) more.push(positionsTensor(group, flat ? x.sizes : [group.length]))
    if (counts) more.push(positionsTensor(found, [found.length]))
    return more.length ? [values, ...more] : values
  }
}

const distinct = uniqueOf('unique')
const consecutive = uniqueOf('uniqueConsecutive')

/** The different elements in rising order (slices of `dim`, with it); with them each element's place among them, and how often each occurs. */
export const unique: Unique<UniqueOptions> = op({
  name: 'unique',
  signature: 'input, sorted, return_inverse, return_counts, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), { returnInverse: true, returnCounts: true }], [t(3, 4), { dim: 1 }]],
  forward: (x: Tensor, _sorted = true, inverse = false, counts = false, dim?: number | null) =>
    distinct(x, inverse, counts, dim),
}) as unknown as Unique<UniqueOptions>

/** The elements (slices of `dim`, with it) without those that equal the one before. */
export const uniqueConsecutive: Unique<Omit<UniqueOptions, 'sorted'>> = op({
  name: 'uniqueConsecutive',
  signature: 'input, return_inverse, return_counts, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), true, true, 0]],
  forward: (x: Tensor, inverse = false, counts = false, dim?: number | null) => consecutive(x, inverse, counts, dim),
}) as unknown as Unique<Omit<UniqueOptions, 'sorted'>>

/** The elements as float64, in row-major order. */
function wide(x: Tensor | number): Tensor {
  if (!(x instanceof Tensor)) return filled([], x, float64)
  const out = empty(x.sizes, float64)
  copyValues(x.detach(), out)
  return out
}

/** The elements as doubles, in row-major order. */
function doubles(x: Tensor): Float64Array {
  return new Float64Array(wide(x).raw() as Float64Array)
}

interface BincountOptions {
  readonly weights?: Tensor | null
  readonly minlength?: number
}
/** How often each number 0, 1, ... occurs in a vector of non-negative integers; with weights, their sums. */
export const bincount: (
  x: Tensor,
  ...args: Args<[weights?: Tensor | null, minlength?: number], BincountOptions>
) => Tensor = op({
  name: 'bincount',
  signature: 'input, weights, minlength',
  samples: () => [[tensor([1, 5, 2, 1])], [tensor([1, 0]), tensor([0.5, 2], { dtype: float64 }), 4]],
  forward: (x: Tensor, weights?: Tensor | null, minlength = 0) => {
    if (x.dtype.kind !== 'int') throw new NotImplementedError(`"bincount_cpu" not implemented for '${x.dtype.title}'`)
    if (minlength < 0) throw new RuntimeError('minlength should be >= 0')
    const values = wide(x).raw() as Float64Array
    let least = 0
    let n = minlength
    for (let i = 0; i < values.length; i++) {
      const v = values[i]
      if (v < least) least = v
      if (v >= n) n = v + 1
    }
    if (x.ndim !== 1 || least < 0) throw new RuntimeError('bincount only supports 1-d non-negative integral inputs.')
    if (weights && !sameSizes(weights.sizes, x.sizes))
      throw new RuntimeError('weights should be 1-d and have the same length as input')
    if (!weights) {
      const counts = new Uint32Array(n)
      for (let i = 0; i < values.length; i++) counts[values[i]]++
      return positionsTensor(counts, [n])
    }
    const dtype = weights.dtype === float32 ? float32 : float64
    const out = empty([n], dtype)
    const by = doubles(weights)
    const raw = out.raw() as Float64Array
    raw.fill(0)
    values.forEach((v, i) => {
      raw[v] += by[i]
    })
    return out
  },
})

interface HistcOptions {
  readonly bins?: number
  readonly min?: number
  readonly max?: number
}
/** How many elements fall into each of `bins` equal intervals from `min` to `max` (those of the data if both are 0). */
export const histc: (x: Tensor, ...args: Args<[bins?: number, min?: number, max?: number], HistcOptions>) => Tensor =
  op({
    name: 'histc',
    signature: 'input, bins, min, max',
    samples: (t) => [
      [t(3, 4), 5],
      [t(3, 4), 4, -1, 1],
    ],
    forward: (x: Tensor, bins = 100, min = 0, max = 0) => {
      if (!x.dtype.isFloatingPoint)
        throw new NotImplementedError(`"histogram_cpu" not implemented for '${x.dtype.title}'`)
      if (!(bins > 0)) throw new RuntimeError(`torch.histc(): bins must be > 0, but got ${bins}`)
      const values = doubles(x)
      let [low, high] = [min, max]
      if (low === high && values.length > 0) {
        low = values.reduce((a, b) => Math.min(a, b))
        high = values.reduce((a, b) => Math.max(a, b))
      }
      if (low === high) {
        low -= 1
        high += 1
      }
      if (!(Number.isFinite(low) && Number.isFinite(high)))
        throw new RuntimeError(`torch.histc(): range of [${low}, ${high}] is not finite`)
      if (low > high) throw new RuntimeError('torch.histc(): max must be larger than min')
      const counts = new Float64Array(bins)
      for (const v of values) {
        if (v >= low && v <= high) counts[Math.min(Math.floor(((v - low) * bins) / (high - low)), bins - 1)]++
      }
      const wide = empty([bins], float64)
      ;(wide.raw() as Float64Array).set(counts)
      return wide.to(x.dtype)
    },
  })

interface SearchOptions {
  readonly outInt32?: boolean
  readonly right?: boolean
  readonly side?: 'left' | 'right'
  readonly sorter?: Tensor
}

/** The first position in `sorted[from, from + n)` whose element is not below `v` (or, for right, above it). */
function lowerBound(sorted: Float64Array, from: number, n: number, v: number, right: boolean): number {
  let low = 0
  let high = n
  while (low < high) {
    const mid = (low + high) >> 1
    const element = sorted[from + mid]
    // NaN stands above all numbers.
    const before = right ? !(element > v) : !(element >= v)
    if (before && !Number.isNaN(element)) low = mid + 1
    else high = mid
  }
  return low
}

// Host routine.
/** Writes where each value belongs in its sorted row: `each` values belong to a row of `width`. */
function insertions(operands: readonly Tensor[], width: number, each: number, right: boolean): void {
  onHost('searchsorted', operands, 'rrw', (rows, values, to) => {
    const [sorted, list] = [rows, values] as Float64Array[]
    const found = new Uint32Array(list.length)
    for (let i = 0; i < list.length; i++) {
      found[i] = lowerBound(sorted, Math.floor(i / each) * width, width, list[i], right)
    }
    writePositions(to, found)
  })
}

/** Where the values would have to be inserted into the sorted rows of `sequence` to keep them sorted: int64. */
export const searchsorted: (sequence: Tensor, values: Tensor | number, options?: SearchOptions) => Tensor = op({
  name: 'searchsorted',
  signature: 'sorted_sequence, input, *, out_int32, right, side, sorter',
  samples: (t) => [[tensor([-1, 0, 1]), t(3, 4)]],
  forward: (
    sequence: Tensor,
    values: Tensor | number,
    narrow = false,
    right = false,
    side?: 'left' | 'right',
    sorter?: Tensor,
  ) => {
    if (side === 'left' && right)
      throw new RuntimeError(
        "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True",
      )
    const rows = sequence.ndim > 1
    const input = values instanceof Tensor ? values : null
    if (
      rows &&
      (!input || input.ndim !== sequence.ndim || input.sizes.slice(0, -1).some((n, i) => n !== sequence.sizes[i]))
    ) {
      throw new RuntimeError(
        `torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor [${sequence.sizes.join(', ')}] and input value tensor [${input ? input.sizes.join(', ') : ''}]`,
      )
    }
    const sorted = wide(sorter ? sequence.gather(-1, sorter) : sequence)
    const list = wide(values)
    const width = sequence.sizes[sequence.ndim - 1]
    const each = rows && input ? input.sizes[input.ndim - 1] : list.count
    const out = empty(list.sizes, int64)
    insertions([sorted, list, out], width, rows ? each : Number.POSITIVE_INFINITY, right || side === 'right')
    return narrow ? out.to(int32) : out
  },
})

/** `searchsorted` with the arguments the other way round: the interval between `boundaries` each element lies in. */
export const bucketize: (
  x: Tensor | number,
  boundaries: Tensor,
  options?: { outInt32?: boolean; right?: boolean },
) => Tensor = op({
  name: 'bucketize',
  signature: 'input, boundaries, *, out_int32, right',
  samples: (t) => [[t(3, 4), tensor([-1, 0, 1])]],
  forward: (x: Tensor | number, boundaries: Tensor, outInt32 = false, right = false) => {
    if (boundaries.ndim !== 1)
      throw new RuntimeError(`bucketize(): boundaries tensor must be 1 dimension, but got dim(${boundaries.ndim})`)
    return searchsorted(boundaries, x, { outInt32, right })
  },
})

interface IsinOptions {
  readonly assumeUnique?: boolean
  readonly invert?: boolean
}
/** Where elements occur among `tests` (with invert, where they don't): bool. */
export const isin: (elements: Tensor | number, tests: Tensor | number, options?: IsinOptions) => Tensor = op({
  name: 'isin',
  signature: 'elements, test_elements, *, assume_unique, invert',
  samples: () => [
    [
      tensor([
        [1, 2],
        [3, 4],
      ]),
      tensor([2, 4]),
    ],
  ],
  forward: (elements: Tensor | number, tests: Tensor | number, _unique = false, invert = false) => {
    const out = empty(elements instanceof Tensor ? elements.sizes : [], bool)
    onHost('isin', [wide(tests), wide(elements), out], 'rrw', (given, values, to) => {
      const known = new Set(given as Float64Array)
      const [list, raw] = [values as Float64Array, to as Uint8Array]
      for (let i = 0; i < list.length; i++) raw[i] = Number((known.has(list[i]) && !Number.isNaN(list[i])) !== invert)
    })
    return out
  },
})
