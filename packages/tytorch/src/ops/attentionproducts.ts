// Matrix products over two levels of a batch, batch and heads, which read and write matrices where they lie: the heads of
// one projection are slices of its rows, and no copy gathers them.
import { device } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { contiguous } from './copy.ts'

/** `x` [outer, inner, rows, columns] with its rows and columns exchanged, without history. */
export function turned(x: Tensor): Tensor {
  const [o, i, r, c] = x.sizes
  const [so, si, sr, sc] = x.strides
  return alias(x, [o, i, c, r], [so, si, sc, sr], x.offset)
}

/** Rows [first, first + n) of every matrix of [outer, inner, rows, columns], without history. */
export function rowsOf(x: Tensor, first: number, n: number): Tensor {
  const [o, i, rows, c] = x.sizes
  return n === rows ? x : alias(x, [o, i, n, c], x.strides, x.offset + first * x.strides[2])
}

/** An empty [outer, inner, rows, columns] in which the rows of all `inner` matrices lie side by side, as heads do. */
export function emptyHeads(outer: number, inner: number, rows: number, columns: number, like: Tensor): Tensor {
  const all = empty([outer, rows, inner, columns], like.dtype)
  return alias(all, [outer, inner, rows, columns], [rows * inner * columns, columns, inner * columns, 1], 0)
}

/** `x` itself if products can read its matrices where they are, else a copy. */
export function readable(x: Tensor): Tensor {
  const [, , rows, columns] = x.sizes
  const [, , row, column] = x.strides
  const along = (column === 1 || columns === 1) && (row >= columns || rows === 1)
  const across = (row === 1 || rows === 1) && (column >= rows || columns === 1)
  return along || across ? x : contiguous(x)
}

/**
 * `out` [outer, inner, m, n] = a [outer, inner, m, k] b [outer, inner, k, n], added to it if `accumulate`; without history.
 * The columns of `out` are contiguous, and the operands `readable`.
 */
export function products(a: Tensor, b: Tensor, out: Tensor, accumulate = false): Tensor {
  const [outer, inner, m, n] = out.sizes
  if (out.count === 0) return out
  const dtype = out.dtype.name as 'float32' | 'float64'
  const operands = [a, b, out]
  const [aRow, aCol] = stepsOf(a)
  const [bRow, bCol] = stepsOf(b)
  const fixed = { m, n, k: a.sizes[3], aRow, aCol, bRow, bCol, cRow: out.strides[2], bias: 0, accumulate }
  const size = out.dtype.itemsize
  // One level is the batch of a product; the other is walked unless all operands go on in even steps.
  const even = outer === 1 || inner === 1 || operands.every((t) => t.strides[0] === inner * t.strides[1])
  const along = even ? (inner === 1 ? 0 : 1) : outer >= inner ? 0 : 1
  const [calls, count] = even ? [1, outer * inner] : along === 0 ? [inner, outer] : [outer, inner]
  const steps = operands.map((t) => (even ? 0 : t.strides[1 - along] * size))
  const batch = { count, a: a.strides[along], b: b.strides[along], c: out.strides[along] }
  const pointers = operands.map((t) => t.pointer)
  for (let i = 0; i < calls; i++) {
    const [pa, pb, pc] = pointers.map((p, j) => p + i * steps[j])
    device().matmul(dtype, { ...fixed, a: pa, b: pb, c: pc, batch })
  }
  return out
}

/** Strides of rows and columns, with the free choice for sizes of 1 made so that one of them is 1. */
function stepsOf(x: Tensor): [number, number] {
  const [, , rows, columns] = x.sizes
  const [, , row, column] = x.strides
  if (columns === 1) return [rows === 1 ? 1 : row, 1]
  return [rows === 1 ? columns * column : row, column]
}
