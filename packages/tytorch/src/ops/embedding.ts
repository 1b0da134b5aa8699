// Rows of a table by index: embedding, whose gradient adds rows up in the order of the indices, and one-hot codes.

import { memory } from '../backend/memory.ts'
import { type DType, float32, float64, int32, int64 } from '../base/dtype.ts'
import { IndexError, NotImplementedError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { k, load, scalar } from '../ir/expr.ts'
import { mapKernel } from '../ir/kernel.ts'
import { type Args, op } from '../tensor/define.ts'
import { atPointers, onHost, type Raw, readsValues } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { device, Prepared } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { once } from '../tensor/tracer.ts'
import { add, div, mul } from './arithmetic.ts'
import { gt } from './compare.ts'
import { contiguous, to } from './copy.ts'
import { onesLike, tensor } from './create.ts'
import { outside, pick, planSlices } from './gather.ts'
import { where } from './masks.ts'
import { norm } from './statistics.ts'

/** Positions as numbers: the low words of int64s. */
export function positionsOf(raw: Raw): { at: Int32Array; step: number } {
  return raw instanceof BigInt64Array
    ? { at: new Int32Array(raw.buffer, raw.byteOffset, raw.length * 2), step: 2 }
    : { at: raw as Int32Array, step: 1 }
}

/** Throws RuntimeError for indices that are neither int64 nor int32. */
export function checkIndices(name: string, indices: Tensor): void {
  if (!(indices instanceof Tensor)) {
    throw new TypeError(`${name}(): argument 'indices' (position 2) must be Tensor, not ${typeof indices}`)
  }
  if (indices.dtype === int64 || indices.dtype === int32) return
  throw new RuntimeError(
    `Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got torch.${indices.dtype.title}Tensor instead (while checking arguments for ${name})`,
  )
}

/** A row of the table that `padding` names, counted from the start; -1 for none. */
export function paddingRow(padding: number | null | undefined, rows: number): number {
  if (padding === null || padding === undefined) return -1
  if (padding >= rows || padding < -rows) throw new RangeError('Padding_idx must be within num_embeddings')
  return padding < 0 ? padding + rows : padding
}

/** Scales the rows that `indices` name, and whose norm is larger than `maxNorm`, to that norm, in place. */
export function renormRows(weight: Tensor, indices: Tensor, maxNorm: number, normType: number): void {
  noGrad(() => {
    if (indices.count === 0) return
    readsValues('max_norm')
    const distinct = tensor([...new Set(contiguous(indices).view(-1).tolist<number[]>())], { dtype: int64 })
    const table = weight.detach()
    const rows = pick(table, planSlices(table, 0, distinct), empty([distinct.count, weight.sizes[1]], weight.dtype))
    const lengths = norm(rows, normType, 1, true)
    const scale = where(
      gt(lengths, maxNorm),
      div(onesLike(lengths), add(lengths, 1e-7)).mul(maxNorm),
      onesLike(lengths),
    )
    table.indexCopy_(0, distinct, mul(rows, scale))
  })
}

interface Table {
  readonly rows: number
  /** The row that gets no gradient; -1 for none. */
  readonly padding: number
  /** Divides a row's gradient by how often it was used. */
  readonly byFrequency: boolean
}

/** How often each of `rows` positions occurs. */
function frequencies(at: Int32Array, step: number, rows: number): Int32Array {
  const counts = new Int32Array(rows)
  for (let i = 0; i < at.length; i += step) counts[at[i]]++
  return counts
}

const adders: (Prepared | undefined)[] = []

/** out + g * share, in place. Arguments: g, out. */
function adder(dtype: DType): Prepared {
  return (adders[dtype.index] ??= new Prepared(
    mapKernel(
      'addRow',
      [
        { dtype, mode: 'read', per: 'element' },
        { dtype, mode: 'update', per: 'element' },
      ],
      [dtype.compute],
      [{ arg: 1, value: k.madd(load(0, dtype.compute), scalar(0, dtype.compute), load(1, dtype.compute)) }],
    ),
  ))
}

/** Where the rows of a gradient lie. */
interface RowSums {
  readonly dtype: DType
  readonly count: number
  readonly wide: boolean
  readonly width: number
}

// Host routine around one kernel a row: no kernel can store where it likes.
/** Adds the rows at `from` to those of `to` that the indices at `index` name, in their order. */
function addRows([from, index, to]: readonly number[], { dtype, count, wide, width }: RowSums, table: Table): void {
  const { views } = memory
  const step = wide ? 2 : 1
  const at = views.i32.subarray(index / 4, index / 4 + count * step)
  const counts = table.byFrequency ? frequencies(at, step, table.rows) : null
  const bytes = width * dtype.itemsize
  views.u8.fill(0, to, to + table.rows * bytes)
  once(() => {
    const add = adder(dtype).contiguous
    for (let i = 0, row = from; i < at.length; i += step, row += bytes) {
      if (at[i] !== table.padding) add(width, row, to + at[i] * bytes, counts ? 1 / counts[at[i]] : 1)
    }
  })
}

/** The table's gradient [rows, width] from those of the rows picked, [indices, width]; adds in the indices' order. */
export function tableGradient(g: Tensor, indices: Tensor, table: Table): Tensor {
  const width = g.sizes[1]
  const narrow = g.dtype !== float32 && g.dtype !== float64
  const source = contiguous(to(g.detach(), narrow ? float32 : g.dtype))
  const index = contiguous(indices)
  const found = empty([table.rows, width], source.dtype)
  const sums = { dtype: source.dtype, count: index.count, wide: index.dtype === int64, width }
  atPointers('embedding backward', [source.pointer, index.pointer, found.pointer], 'rrw', (at) =>
    addRows(at, sums, table),
  )
  const out = narrow ? to(found, g.dtype) : found
  return record(out, 'EmbeddingDenseBackwardBackward0', [g], [index], (gg, [at]) => {
    const rows = rowsAt(gg, at, { rows: table.rows, padding: -1, byFrequency: false })
    if (!table.byFrequency && table.padding < 0) return [rows]
    const factors = empty([at.count, 1], gg.dtype === float64 ? float64 : float32)
    onHost('embedding factors', [at, factors], 'rw', (raw, values) => {
      const { at: positions, step } = positionsOf(raw)
      const counts = frequencies(positions, step, table.rows)
      for (let i = 0; i < values.length; i++) {
        const row = positions[i * step]
        values[i] = row === table.padding ? 0 : table.byFrequency ? 1 / counts[row] : 1
      }
    })
    return [mul(rows, to(factors, gg.dtype))]
  })
}

/** Rows of `weight` at `indices` (flat, checked), [indices, width], with the table's rules for its gradient. */
export function rowsAt(weight: Tensor, flat: Tensor, table: Table): Tensor {
  const out = empty([flat.count, weight.sizes[1]], weight.dtype)
  pick(weight, planSlices(weight, 0, flat), out)
  return record(out, 'EmbeddingBackward0', [weight], [flat], (g, [index]) => [tableGradient(g, index, table)])
}

/** Throws unless all of `indices` name rows. */
function checkRange(indices: Tensor, rows: number): void {
  if (outside(indices, 0, rows) !== null) throw new IndexError('index out of range in self')
}

interface EmbeddingOptions {
  /** The row that gets no gradient. */
  readonly paddingIdx?: number | null
  /** Rows that are used and longer than this are scaled to it first, in place. */
  readonly maxNorm?: number | null
  readonly normType?: number
  /** Divides a row's gradient by how often it occurs in `input`. */
  readonly scaleGradByFreq?: boolean
  /** Sparse gradients don't exist here: true is refused. */
  readonly sparse?: boolean
}

type Embedding = (
  input: Tensor,
  weight: Tensor,
  ...args: Args<
    [
      paddingIdx?: number | null,
      maxNorm?: number | null,
      normType?: number,
      scaleGradByFreq?: boolean,
      sparse?: boolean,
    ],
    EmbeddingOptions
  >
) => Tensor

/** Throws NotImplementedError for sparse gradients. */
export function refuseSparse(name: string, sparse: boolean): void {
  if (sparse) {
    throw new NotImplementedError(`${name}(): sparse gradients are not supported; leave sparse=True (sparse: true) out`)
  }
}

/**
 * The rows of `weight` [rows, width] that the integers `input` [*] name: [*, width]. Throws IndexError for an index
 * outside [0, rows).
 */
export const embedding: Embedding = op({
  name: 'embedding',
  python: 'nn.functional.embedding',
  signature: 'input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse',
  differentiable: true,
  samples: (t) => [
    [tensor([[1, 2], [0, 2]]), t(4, 3)], // biome-ignore format: a matrix
    [tensor(1), t(4, 3)],
    [tensor([]).to(int64), t(4, 3)],
  ],
  forward: (
    input: Tensor,
    weight: Tensor,
    paddingIdx: number | null = null,
    maxNorm: number | null = null,
    normType = 2,
    scaleGradByFreq = false,
    sparse = false,
  ) => {
    const padding = paddingRow(paddingIdx, weight.sizes[0] ?? 0)
    refuseSparse('embedding', sparse)
    if (weight.ndim !== 2) throw new RuntimeError("'weight' must be 2-D")
    checkIndices('embedding', input)
    checkRange(input, weight.sizes[0])
    if (maxNorm !== null) renormRows(weight, input, maxNorm, normType)
    const flat = contiguous(input.detach()).view(-1)
    const table = { rows: weight.sizes[0], padding, byFrequency: scaleGradByFreq }
    const sizes: Sizes = [...input.sizes, weight.sizes[1]]
    const rows = empty(sizes, weight.dtype)
    const seen = rows.view(flat.count, weight.sizes[1])
    pick(weight, planSlices(weight, 0, flat), seen)
    return record(rows, 'EmbeddingBackward0', [weight], [flat], (g, [index]) => [
      tableGradient(g.reshape(index.count, table.rows === 0 ? 0 : g.sizes[g.ndim - 1]), index, table),
    ])
  },
})

/**
 * int64 codes [*, classes] with a 1 at each index of `input` [*] (int64); as many classes as the largest index asks for
 * by default. Throws RuntimeError for an index outside [0, classes).
 */
export const oneHot: (input: Tensor, ...args: Args<[numClasses?: number], { readonly numClasses?: number }>) => Tensor =
  op({
    name: 'oneHot',
    python: 'nn.functional.one_hot',
    signature: 'input, num_classes',
    domain: { integers: true },
    samples: () => [[tensor([[1, 2, 0]]).to(int64), 3], [tensor(2).to(int64)]],
    forward: (input: Tensor, numClasses = -1) => {
      if (input.dtype !== int64)
        throw new RuntimeError('one_hot is only applicable to index tensor of type LongTensor.')
      if (input.count === 0 && numClasses <= 0) {
        throw new RuntimeError('Can not infer total number of classes from empty tensor.')
      }
      const [lowest, highest] = rangeOf(input)
      if (lowest < 0) throw new RuntimeError('Class values must be non-negative.')
      if (numClasses !== -1 && highest >= numClasses) {
        throw new RuntimeError('Class values must be smaller than num_classes.')
      }
      const classes = numClasses === -1 ? highest + 1 : numClasses
      return input.newZeros([...input.sizes, classes]).scatter_(-1, input.unsqueeze(-1), 1)
    },
  })

/** The smallest and the largest element; 0 and -1 of none. */
function rangeOf(input: Tensor): [number, number] {
  if (input.count === 0) return [0, -1]
  readsValues('one_hot')
  const { pointer, count } = input.detach().contiguous()
  return device().routines.range(pointer, count)
}
