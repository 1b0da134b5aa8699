// The order of elements: stable radix sorts of rows on the host, for everything that sorts. Elements become unsigned
// keys (one or two 32-bit words) that compare as the elements do: NaN above all numbers, -0 and 0 equal.
import { type DType, float32, float64, int32, int64 } from '../base/dtype.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { onHost, type Raw } from '../tensor/host.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'

/** Sort keys of a row-major array; `high` is null where one word is enough. */
export interface Keys {
  readonly low: Uint32Array
  readonly high: Uint32Array | null
}

/** The type in which elements of `dtype` are compared. */
function comparable(dtype: DType): DType {
  if (dtype === float64 || dtype === int64) return dtype
  return dtype.isFloatingPoint ? float32 : int32
}

/** A copy of `x` whose last dimension is `dim`, in row-major order and in a type that can be compared. */
export function rowsOf(x: Tensor, dim: number): Tensor {
  const dims = [...x.sizes.keys()].filter((d) => d !== dim)
  if (x.ndim > 0) dims.push(dim)
  const seen = alias(
    x,
    dims.map((d) => x.sizes[d]),
    dims.map((d) => x.strides[d]),
    x.offset,
  )
  const out = empty(seen.sizes, comparable(x.dtype))
  copyValues(seen, out)
  return out
}

const SIGN = 0x80000000

/** Keys of a contiguous tensor of a comparable type. */
export function keysOf(x: Tensor): Keys {
  return keysIn(x.raw(), x.dtype)
}

/** Keys of elements of a comparable type; inverted for descending order. */
export function keysIn(raw: Raw, dtype: DType, descending = false): Keys {
  const count = raw.length
  const words = new Int32Array(raw.buffer as ArrayBuffer, raw.byteOffset, (count * dtype.itemsize) / 4)
  const flip = descending ? -1 : 0
  const low = new Uint32Array(count)
  if (dtype === int32 || dtype === float32) {
    const float = dtype === float32
    for (let i = 0; i < low.length; i++) {
      const w = words[i]
      low[i] = (float ? floatKey(w) : w ^ SIGN) ^ flip
    }
    return { low, high: null }
  }
  const high = new Uint32Array(count)
  const float = dtype === float64
  for (let i = 0; i < low.length; i++) {
    let l = words[2 * i]
    let h = words[2 * i + 1]
    if (float) {
      const size = h & 0x7fffffff
      if (size > 0x7ff00000 || (size === 0x7ff00000 && l !== 0)) {
        h = -1 // NaN
        l = -1
      } else if (size === 0 && l === 0) h = SIGN
      else if (h < 0) {
        h = ~h
        l = ~l
      } else h ^= SIGN
    } else h ^= SIGN
    low[i] = l ^ flip
    high[i] = h ^ flip
  }
  return { low, high }
}

function floatKey(bits: number): number {
  const size = bits & 0x7fffffff
  if (size > 0x7f800000) return -1 // NaN
  if (size === 0) return SIGN
  return bits < 0 ? ~bits : bits ^ SIGN
}

/** Below this a row is sorted by insertion. */
const SHORT = 40

/** The stable order of keys start to start + n - 1: positions relative to `start`, written to `out` from `at` on. */
export function sortRow(keys: Keys, start: number, n: number, out: Uint32Array, at: number): void {
  if (n <= SHORT) {
    insertionSort(keys, start, n, out, at)
    return
  }
  let from = new Uint32Array(n)
  let to = new Uint32Array(n)
  for (let i = 0; i < n; i++) from[i] = i
  const counts = new Uint32Array(257)
  for (const words of keys.high ? [keys.low, keys.high] : [keys.low]) {
    for (let shift = 0; shift < 32; shift += 8) {
      counts.fill(0)
      for (let i = start; i < start + n; i++) counts[((words[i] >>> shift) & 255) + 1]++
      if (counts.includes(n)) continue // all have the same digit
      for (let d = 0; d < 256; d++) counts[d + 1] += counts[d]
      for (let i = 0; i < n; i++) {
        const p = from[i]
        to[counts[(words[start + p] >>> shift) & 255]++] = p
      }
      const swap = from
      from = to
      to = swap
    }
  }
  out.set(from, at)
}

function insertionSort({ low, high }: Keys, start: number, n: number, out: Uint32Array, at: number): void {
  for (let i = 0; i < n; i++) {
    let j = i - 1
    const l = low[start + i]
    const h = high ? high[start + i] : 0
    for (; j >= 0; j--) {
      const p = start + out[at + j]
      const other = high ? high[p] : 0
      if (other < h || (other === h && low[p] <= l)) break
      out[at + j + 1] = out[at + j]
    }
    out[at + j + 1] = i
  }
}

/** Up to so many first places of a long row are found without sorting it. */
const FEW = 16

/** The first `k` places of `sortRow`'s order, the rest left as it was; `k` is at least 1. */
function leadRow({ low, high }: Keys, start: number, n: number, k: number, out: Uint32Array, at: number): void {
  for (let i = 0; i < n; i++) {
    const l = low[start + i]
    const h = high ? high[start + i] : 0
    let j = Math.min(i, k)
    for (; j > 0; j--) {
      const p = start + out[at + j - 1]
      const other = high ? high[p] : 0
      if (other < h || (other === h && low[p] <= l)) break
      if (j < k) out[at + j] = out[at + j - 1]
    }
    if (j < k) out[at + j] = i
  }
}

/** The stable order of every row of `width`, or its first `depth` places: positions in the row. */
export function orderOf(keys: Keys, width: number, depth = width): Uint32Array {
  const out = new Uint32Array(keys.low.length)
  const few = depth > 0 && depth <= FEW && width > SHORT
  for (let start = 0; start < out.length; start += width) {
    if (few) leadRow(keys, start, width, depth, out, start)
    else sortRow(keys, start, width, out, start)
  }
  return out
}

/** True if the elements at `a` and `b` compare equal (a NaN with a NaN, too). */
export function sameKey({ low, high }: Keys, a: number, b: number): boolean {
  return low[a] === low[b] && (high === null || high[a] === high[b])
}

/** True if the element at `i` is NaN, in ascending keys of a floating point type. */
export function isNanKey({ low, high }: Keys, i: number): boolean {
  return low[i] === 0xffffffff && (high === null || high[i] === 0xffffffff)
}

/** Positions as an int64 tensor. */
export function positionsTensor(positions: ArrayLike<number>, sizes: readonly number[]): Tensor {
  const out = empty(sizes, int64)
  onHost('positions', [out], 'w', (raw) => writePositions(raw, positions))
  return out
}

/** Writes positions to int64 elements. */
export function writePositions(raw: Raw, positions: ArrayLike<number>): void {
  const words = new Int32Array(raw.buffer as ArrayBuffer, raw.byteOffset, 2 * raw.length)
  for (let i = 0; i < raw.length; i++) {
    words[2 * i] = positions[i]
    words[2 * i + 1] = positions[i] < 0 ? -1 : 0
  }
}
