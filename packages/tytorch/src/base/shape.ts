// Arithmetic of sizes and strides: what views, broadcasting and reductions need before any kernel runs.
import { IndexError, RuntimeError } from './errors.ts'

export type Sizes = readonly number[]

/** The number of elements. */
export function numelOf(sizes: Sizes): number {
  let n = 1
  for (let i = 0; i < sizes.length; i++) n *= sizes[i]
  return n
}

const SCALAR: readonly number[] = Object.freeze([])
const VECTOR: readonly number[] = Object.freeze([1])

/** Row-major strides in elements; a shared array for rank 0 and 1. */
export function contiguousStrides(sizes: Sizes): readonly number[] {
  const rank = sizes.length
  if (rank <= 1) return rank ? VECTOR : SCALAR
  const strides = new Array<number>(rank)
  let step = 1
  for (let i = rank - 1; i >= 0; i--) {
    strides[i] = step
    step *= Math.max(sizes[i], 1)
  }
  return strides
}

/** True if elements lie one after another in row-major order. */
export function isContiguous(sizes: Sizes, strides: Sizes): boolean {
  let step = 1
  for (let i = sizes.length - 1; i >= 0; i--) {
    const n = sizes[i]
    if (n === 0) return true
    if (n !== 1) {
      if (strides[i] !== step) return false
      step *= n
    }
  }
  return true
}

export function sameSizes(a: Sizes, b: Sizes): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** The common shape of two operands. Throws RuntimeError with PyTorch's message if they don't broadcast. */
export function broadcastSizes(a: Sizes, b: Sizes): Sizes {
  if (sameSizes(a, b)) return a
  const rank = Math.max(a.length, b.length)
  const out = new Array<number>(rank)
  for (let i = 1; i <= rank; i++) {
    const x = a[a.length - i] ?? 1
    const y = b[b.length - i] ?? 1
    if (x !== y && x !== 1 && y !== 1) {
      throw new RuntimeError(
        `The size of tensor a (${x}) must match the size of tensor b (${y}) at non-singleton dimension ${rank - i}`,
      )
    }
    out[rank - i] = x === 1 ? y : x
  }
  return out
}

/** Strides with which a tensor of `sizes` is read as if it had `target` sizes (0 where it repeats). */
export function expandStrides(sizes: Sizes, strides: Sizes, target: Sizes): readonly number[] {
  const lead = target.length - sizes.length
  const out = new Array<number>(target.length)
  for (let i = 0; i < target.length; i++) {
    const own = i - lead
    out[i] = own < 0 || (sizes[own] === 1 && target[i] !== 1) ? 0 : strides[own]
  }
  return out
}

/** `dim` as a non-negative index. Throws IndexError if outside [-rank, rank - 1]; rank 0 counts as 1. */
export function wrapDim(dim: number, rank: number): number {
  const n = Math.max(rank, 1)
  if (!Number.isInteger(dim) || dim < -n || dim >= n) {
    throw new IndexError(`Dimension out of range (expected to be in range of [${-n}, ${n - 1}], but got ${dim})`)
  }
  return dim < 0 ? dim + n : dim
}

/** Non-negative, distinct dims; all of them for null or an empty list. */
export function wrapDims(dims: number | readonly number[] | null | undefined, rank: number): number[] {
  if (dims === null || dims === undefined) return Array.from({ length: rank }, (_, i) => i)
  const list = typeof dims === 'number' ? [dims] : dims
  if (list.length === 0) return Array.from({ length: rank }, (_, i) => i)
  const out = list.map((d) => wrapDim(d, rank))
  for (let i = 0; i < out.length; i++) {
    if (out.indexOf(out[i]) !== i) throw new RuntimeError(`dim ${out[i]} appears multiple times in the list of dims`)
  }
  return rank === 0 ? [] : out
}

/** Fills in one -1 of `shape` for `numel` elements. Throws RuntimeError if that can't be. */
export function inferSizes(shape: Sizes, numel: number): Sizes {
  const unknown = shape.indexOf(-1)
  const text = `shape '[${shape.join(', ')}]' is invalid for input of size ${numel}`
  if (shape.some((n, i) => n < -1 || !Number.isInteger(n) || (n === -1 && i !== unknown))) {
    if (shape.filter((n) => n === -1).length > 1) throw new RuntimeError('only one dimension can be inferred')
    throw new RuntimeError(`invalid shape dimension ${shape.find((n) => n < -1 || !Number.isInteger(n))}`)
  }
  if (unknown < 0) {
    if (numelOf(shape) !== numel) throw new RuntimeError(text)
    return shape
  }
  const known = shape.reduce((n, s, i) => (i === unknown ? n : n * s), 1)
  if (known === 0) {
    if (numel === 0) {
      throw new RuntimeError(
        `cannot reshape tensor of 0 elements into shape [${shape.join(', ')}] because the unspecified dimension size -1 can be any value and is ambiguous`,
      )
    }
    throw new RuntimeError(text)
  }
  if (numel % known !== 0) throw new RuntimeError(text)
  return shape.map((n, i) => (i === unknown ? numel / known : n))
}

/** Strides under which the same elements have shape `target`, or null if that needs a copy. */
export function viewStrides(sizes: Sizes, strides: Sizes, target: Sizes): readonly number[] | null {
  const numel = numelOf(sizes)
  if (numel === 0) return sameSizes(sizes, target) ? strides : contiguousStrides(target)
  const out = new Array<number>(target.length)
  let t = target.length - 1
  let base = strides[sizes.length - 1] ?? 1
  let chunk = 1
  let viewed = 1
  for (let d = sizes.length - 1; d >= 0; d--) {
    chunk *= sizes[d]
    const joins = d > 0 && (sizes[d - 1] === 1 || strides[d - 1] === chunk * base)
    if (d > 0 && joins) continue
    while (t >= 0 && (viewed < chunk || target[t] === 1)) {
      out[t] = viewed * base
      viewed *= target[t]
      t--
    }
    if (viewed !== chunk) return null
    if (d > 0) {
      base = strides[d - 1]
      chunk = 1
      viewed = 1
    }
  }
  while (t >= 0) out[t--] = base // only sizes of 1 are left, or the source had rank 0
  return out
}
