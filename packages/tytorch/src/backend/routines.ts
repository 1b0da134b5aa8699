// What a device does on rows of memory that no kernel of the IR can say: ordering, scans, writing by position, masks and
// counting. All pointers are in bytes; rows are contiguous and follow one another unless said otherwise.
import type { DTypeName } from '../base/dtype.ts'

/** The types in which elements are ordered, scanned and searched. */
export type Ordered = 'float32' | 'float64' | 'int32' | 'int64'

/** Writes each row's first `k` positions in order to `to`, int64 [rows, k]: stable, NaN above all numbers, -0 equal to 0. */
export interface OrderArgs {
  readonly from: number
  readonly to: number
  readonly rows: number
  readonly width: number
  readonly k: number
  readonly descending: boolean
}

/**
 * Which position of a row's ascending order: a place in it; the lower middle one, or the first NaN; the lower middle one of what is
 * not NaN; the last position of the most frequent element, the smallest of several.
 */
export type Rank = number | 'median' | 'nanmedian' | 'mode'

/** Writes one position of each row to `to`, int64. `width` is at least 1. */
export interface RankArgs {
  readonly from: number
  readonly to: number
  readonly rows: number
  readonly width: number
  readonly rank: Rank
}

/** Groups of equal elements, in rising order, or of equal neighbours. A NaN equals nothing. All that is written is int64. */
export interface GroupArgs {
  readonly from: number
  readonly count: number
  readonly sorted: boolean
  /** Each group's first position: space for `count`. */
  readonly first: number
  /** How many each group has (space for `count`), and the group of each element; 0 if it is not asked for. */
  readonly counts: number
  readonly inverse: number
}

/** What a scan keeps: totals (singles are summed in double), or the position of the last extreme, in which NaN wins. */
export type Scan = 'add' | 'mul' | 'max' | 'min'

/** Scans dimension `n` of [outer, n, inner]; totals have the type itself, positions are int64. */
export interface ScanArgs {
  readonly from: number
  readonly to: number
  readonly outer: number
  readonly n: number
  readonly inner: number
}

/**
 * Doubles [outer, n, inner] along `n`, in place: a total of terms relative to the largest so far, less that one's 1. A
 * positive element is added to it; one with a sign is what the total so far is multiplied by (1 added before) as a larger term comes.
 */
export type Rescale = Omit<ScanArgs, 'from'>

/** What happens to an element that is written. */
export type Put = 'set' | 'add' | 'mul' | 'max' | 'min'

/**
 * Writes the elements of `from` in row-major order of `sizes` to the element of `to` at the index's value (plus `size`
 * if it is negative) times `unit` plus the place in `to`'s strides. The indices are in range; strides are in elements.
 */
export interface PutArgs {
  readonly to: number
  readonly index: number
  readonly from: number
  /** The index holds int64s, else int32s. */
  readonly wide: boolean
  readonly sizes: readonly number[]
  readonly toStrides: readonly number[]
  readonly indexStrides: readonly number[]
  readonly fromStrides: readonly number[]
  readonly unit: number
  readonly size: number
}

/** Counts into `to`, int32 [bins], zeros at first, the elements from `low` to `high`, by equal intervals. */
export interface BinsArgs {
  readonly from: number
  readonly count: number
  readonly to: number
  readonly bins: number
  readonly low: number
  readonly high: number
}

/**
 * Writes to `to`, int64, the first place in its sorted row (of `width`; value i has row floor(i / each)) whose element is not below
 * each of `count` values, or for `right` above it. NaN stands above all numbers.
 */
export interface SearchArgs {
  readonly sorted: number
  readonly width: number
  readonly from: number
  readonly count: number
  readonly each: number
  readonly right: boolean
  readonly to: number
}

export interface Routines {
  order(type: Ordered, args: OrderArgs): void
  rank(type: Ordered, args: RankArgs): void
  /** Answers how many groups there are. */
  groups(type: Ordered, args: GroupArgs): number
  scan(type: Ordered, how: Scan, args: ScanArgs): void
  rescale(args: Rescale): void
  put(dtype: DTypeName, how: Put, args: PutArgs): void
  /** How many of `n` bools are true. */
  count(mask: number, n: number): number
  /** Writes the coordinates in `sizes` of the `count` bools that are true to `to`, int64 [count, sizes.length]. */
  coordinates(mask: number, sizes: readonly number[], count: number, to: number): void
  /** Writes those of `n` elements of `bytes` bytes for which the mask is true one behind the other. */
  compress(bytes: number, mask: number, n: number, from: number, to: number): void
  /** Writes elements from `from`, one after the other, to those of `n` for which the mask is true. */
  spread(bytes: number, mask: number, n: number, from: number, to: number): void
  /** The least and the largest of `n` int64s, as near as numbers come; n is at least 1. */
  range(from: number, n: number): [number, number]
  /** Adds 1 to element v of `to`, int64, for each of `n` int64s v. */
  tally(from: number, n: number, to: number): void
  bins(type: 'float32' | 'float64', args: BinsArgs): void
  search(type: Ordered, args: SearchArgs): void
}
