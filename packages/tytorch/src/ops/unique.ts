// Counting and looking up values by the device's routines: unique, bincount, histc, searchsorted, isin.
import { bool, float32, float64, int32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { numelOf, sameSizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { atPointers, onHost, readsValues } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { arange, filled, tensor } from './create.ts'
import { pick, planSlices } from './gather.ts'
import { cat } from './join.ts'
import { nonzeroColumns } from './masks.ts'
import { orderedType, rowsOf } from './order.ts'
import { put } from './put.ts'
import { diff } from './scan.ts'

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

/** Groups of equal slices, int64: a representative of each; how many each has, and the group of every slice, if asked for. */
interface Groups {
  readonly first: Tensor
  readonly counts: Tensor | null
  readonly group: Tensor | null
}

// Host routine: how many groups there are is known only after the elements were read.
/** Groups the elements of a vector, in rising order or joining only neighbours. */
function groupsOf(x: Tensor, sorted: boolean, inverse: boolean, counted: boolean): Groups {
  readsValues('a result whose size depends on values (unique)')
  const rows = rowsOf(x, 0)
  const { count } = rows
  const first = empty([count], int64)
  const [counts, group] = [counted, inverse].map((asked) => (asked ? empty([count], int64) : null))
  const to = { first: first.pointer, counts: counts ? counts.pointer : 0, inverse: group ? group.pointer : 0 }
  const found = device().routines.groups(orderedType(rows), { from: rows.pointer, count, sorted, ...to })
  return { first: first.narrow(0, 0, found), counts: counts ? counts.narrow(0, 0, found) : null, group }
}

/** The elements of a vector at positions that are known to be in it. */
const picked = (x: Tensor, at: Tensor): Tensor => pick(x, planSlices(x, 0, at), empty(at.sizes, x.dtype))

/** The columns' order by their elements, the first one first; NaN is the largest. */
function sliceOrder(columns: Tensor): Tensor {
  const [depth, n] = columns.sizes
  const order = empty([n], int32)
  onHost('sliceOrder', [columns.contiguous(), order], 'rw', (raw, out) => {
    const compare = (a: number, b: number): number => {
      for (let e = 0; e < depth; e++) {
        const [x, y] = [raw[e * n + a], raw[e * n + b]]
        if (x === y) continue
        if (x < y) return -1
        if (x > y) return 1
        const [first, second] = [Number.isNaN(x), Number.isNaN(y)]
        if (first !== second) return first ? 1 : -1
      }
      return a - b
    }
    const places = Int32Array.from({ length: n }, (_, i) => i).sort(compare)
    for (let i = 0; i < n; i++) out[i] = places[i]
  })
  return order.to(int64)
}

/** Groups the slices of `dim`, ordered by their elements one after the other, or joining only neighbours. */
function sliceGroups(x: Tensor, dim: number, sorted: boolean): Groups {
  const n = x.sizes[dim]
  const columns = rowsOf(x, dim).reshape([numelOf(x.sizes.filter((_, i) => i !== dim)), n])
  const order = sorted ? sliceOrder(columns) : arange(n, { dtype: int64 })
  const seen = columns.indexSelect(1, order)
  const apart = seen
    .narrow(1, Math.min(1, n), Math.max(n - 1, 0))
    .ne(seen.narrow(1, 0, Math.max(n - 1, 0)))
    .any(0)
  const starts = cat([filled([Math.min(n, 1)], true, bool), apart], 0)
  const [places] = nonzeroColumns(starts)
  const ends = cat([places, filled([1], n, int64)], 0)
  const group = empty([n], int64).scatter_(0, order, starts.cumsum(0).sub(1))
  return { first: order.indexSelect(0, places), counts: diff(ends), group }
}

/** Throws RuntimeError for slices without elements, as PyTorch does. */
function checkSlices(x: Tensor, dim: number): void {
  const empty = x.sizes.filter((n) => n === 0).length
  if (x.sizes[dim] === 0 && empty > 1)
    throw new RuntimeError('Number of zero sized dimensions is more than one, so unique cannot be applied ')
  if (x.sizes[dim] !== 0 && empty > 0)
    throw new RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
}

function uniqueOf(
  name: 'unique' | 'uniqueConsecutive',
): (x: Tensor, inverse: boolean, counts: boolean, dim?: number | null) => Tensor | Tensor[] {
  return (x, inverse, counts, dim) => {
    const flat = dim === undefined || dim === null
    const source = flat ? x.detach().reshape(-1) : x.detach()
    const d = flat ? 0 : wrapDim(dim, x.ndim)
    const sorted = name === 'unique'
    if (!flat) checkSlices(x, d)
    // As PyTorch: a NaN equals nothing, itself included.
    const groups = flat ? groupsOf(source, sorted, inverse, counts) : sliceGroups(source, d, sorted)
    const values = flat ? picked(source, groups.first) : source.indexSelect(d, groups.first)
    record(
      values,
      sorted ? (flat ? 'Unique2Backward0' : 'UniqueDimBackward0') : 'UniqueConsecutiveBackward0',
      [x],
      [],
      () => {
        throw new NotImplementedError(`the derivative for '${name}' is not implemented.`)
      },
    )
    const more: Tensor[] = []
    if (inverse) more.push(flat ? (groups.group as Tensor).view(x.sizes) : (groups.group as Tensor))
    if (counts) more.push((groups.counts as Tensor).clone())
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
    readsValues('a result whose size depends on values (bincount)')
    const values = x.detach().to(int64).contiguous()
    const [least, most] = values.count > 0 ? device().routines.range(values.pointer, values.count) : [0, -1]
    if (x.ndim !== 1 || least < 0) throw new RuntimeError('bincount only supports 1-d non-negative integral inputs.')
    if (weights && !sameSizes(weights.sizes, x.sizes))
      throw new RuntimeError('weights should be 1-d and have the same length as input')
    const n = Math.max(minlength, most + 1)
    if (!weights) {
      const out = filled([n], 0, int64)
      device().routines.tally(values.pointer, values.count, out.pointer)
      return out
    }
    const dtype = weights.dtype === float32 ? float32 : float64
    const plan = { sizes: values.sizes, strides: [0], index: values, unit: 1, size: 0 }
    return put(filled([n], 0, dtype), plan, weights.detach().to(dtype), 'add')
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
      readsValues('histc')
      const values = x
        .detach()
        .to(x.dtype === float64 ? float64 : float32)
        .contiguous()
      let [low, high] = [min, max]
      if (low === high && values.count > 0) [low, high] = [values.amin().item<number>(), values.amax().item<number>()]
      if (low === high) {
        low -= 1
        high += 1
      }
      if (!(Number.isFinite(low) && Number.isFinite(high)))
        throw new RuntimeError(`torch.histc(): range of [${low}, ${high}] is not finite`)
      if (low > high) throw new RuntimeError('torch.histc(): max must be larger than min')
      const counts = filled([bins], 0, int32)
      const type = x.dtype === float64 ? 'float64' : 'float32'
      const args = { from: values.pointer, count: values.count, to: counts.pointer, bins, low, high }
      device().routines.bins(type, args)
      return counts.to(x.dtype)
    },
  })

interface SearchOptions {
  readonly outInt32?: boolean
  readonly right?: boolean
  readonly side?: 'left' | 'right'
  readonly sorter?: Tensor
}

/** Both in a type in which they can be compared without loss, or else in double precision; contiguous. */
function comparable(a: Tensor, b: Tensor | number): [Tensor, Tensor] {
  const dtypes = b instanceof Tensor ? [a.dtype, b.dtype] : [float64]
  const whole = dtypes.every((d) => d.kind === 'int' || d === bool)
  const narrow = dtypes.every((d) => d.isFloatingPoint && d !== float64)
  const dtype = whole ? (dtypes.includes(int64) ? int64 : int32) : narrow ? float32 : float64
  const [x, y] = [a, b instanceof Tensor ? b : filled([], b, dtype)]
  return [x.detach().to(dtype).contiguous(), y.detach().to(dtype).contiguous()]
}

// Host routine.
/** Where each of `values` belongs in its sorted row: `each` of them belong to a row of `width`. int64. */
function insertions(sorted: Tensor, values: Tensor, width: number, each: number, right: boolean): Tensor {
  const out = empty(values.sizes, int64)
  const { count } = values
  const type = orderedType(values)
  atPointers('searchsorted', [sorted.pointer, values.pointer, out.pointer], 'rrw', ([sorted, from, to]) => {
    device().routines.search(type, { sorted, width, from, count, each, right, to })
  })
  return out
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
    const [sorted, list] = comparable(sorter ? sequence.gather(-1, sorter) : sequence, values)
    const width = sequence.sizes[sequence.ndim - 1]
    const each = rows && input ? input.sizes[input.ndim - 1] : Number.POSITIVE_INFINITY
    const out = insertions(sorted, list, width, each, right || side === 'right')
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
    const given = tests instanceof Tensor ? tests.detach().reshape(-1) : filled([1], tests, float64)
    const [known, list] = comparable(given, elements)
    const n = known.count
    if (n === 0) return filled(list.sizes, invert, bool)
    const sorted = known.sort().values
    const at = insertions(sorted, list, n, Number.POSITIVE_INFINITY, false).clamp({ max: n - 1 })
    const found = sorted.take(at).eq(list)
    return invert ? found.logicalNot() : found
  },
})
