// Copies in another order: triangles, flips, rolls, repeats and diagonals.
import { type DType, int32, int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { type Sizes, wrapDim, wrapDims } from '../base/shape.ts'
import { constant, k, load, position, scalar } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import { type Args, op, sizesOf } from '../tensor/define.ts'
import { copyValues, snapshot } from '../tensor/elementwise.ts'
import { onHost } from '../tensor/host.ts'
import { changeInPlace, record } from '../tensor/node.ts'
import { runRows } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { arange, type CreateOptions, filled, tensor } from './create.ts'
import { outside } from './gather.ts'
import { diagonal } from './slice.ts'
import type { SizesArgs } from './view.ts'

type Triangle = (x: Tensor, ...args: Args<[diagonal?: number], { diagonal?: number }>) => Tensor

const triangles = new Map<string, Kernel>()

/** Keeps x[i, j] where j - i <= diagonal (lower) or >= diagonal (upper), else 0; the row number comes as an argument. */
function triangleKernel(lower: boolean, dtype: DType): Kernel {
  const key = `${lower} ${dtype.name}`
  let kernel = triangles.get(key)
  if (!kernel) {
    const limit = k.add(load(1, 'i32'), scalar(0, 'i32'))
    const keep = lower ? k.le(position(), limit) : k.ge(position(), limit)
    const value = k.select(keep, load(0, dtype.compute), constant(0, dtype.compute))
    kernel = mapKernel(
      lower ? 'tril' : 'triu',
      [
        { dtype, mode: 'read', per: 'element' },
        { dtype: int32, mode: 'read', per: 'row' },
        { dtype, mode: 'write', per: 'element' },
      ],
      ['i32'],
      [{ arg: 2, value }],
    )
    triangles.set(key, kernel)
  }
  return kernel
}

/** Fills `out` with the triangle of `x`. */
function triangle(lower: boolean, x: Tensor, diagonal: number, out: Tensor): Tensor {
  if (x.count === 0) return out
  const rank = x.ndim
  const rows = arange(x.sizes[rank - 2], { dtype: int32 })
  const numbers = alias(rows, [x.sizes[rank - 2], 1], [1, 0], 0)
  runRows(triangleKernel(lower, x.dtype), x.sizes, rank - 1, [x, numbers, out], [diagonal])
  return out
}

function triangleOf(name: 'tril' | 'triu'): Triangle {
  const lower = name === 'tril'
  const node = lower ? 'TrilBackward0' : 'TriuBackward0'
  const back = (g: Tensor, d: number): Tensor => (lower ? tril(g, d) : triu(g, d))
  const check = (x: Tensor): void => {
    if (x.ndim < 2) throw new RuntimeError(`${name}: input tensor must have at least 2 dimensions`)
  }
  return op({
    name,
    signature: 'input, diagonal',
    samples: (t) => [[t(3, 4)], [t(2, 3, 3), 1], [t(3, 4), -1]],
    differentiable: true,
    forward: (x: Tensor, d = 0) => {
      check(x)
      return record(triangle(lower, x, d, empty(x.sizes, x.dtype)), node, [x], [], (g) => [back(g, d)])
    },
    inPlace: (x: Tensor, d = 0) => {
      check(x)
      const before = snapshot(x)
      changeInPlace(x)
      return record(triangle(lower, x, d, x), node, [before], [], (g) => [back(g, d)])
    },
  })
}
/** The last two dimensions' lower triangle, up to `diagonal` above the main one; 0 elsewhere. */
export const tril: Triangle = triangleOf('tril')
/** The last two dimensions' upper triangle, from `diagonal` above the main one on; 0 elsewhere. */
export const triu: Triangle = triangleOf('triu')

type IndicesArgs = [row: number, col: number, ...Partial<[offset: number | CreateOptions, options: CreateOptions]>]

/** Coordinates of the columns from `first` to before `last` of every row. */
function triangleIndices(
  range: (r: number, columns: number, offset: number) => readonly [first: number, last: number],
  [rows, columns, a, b]: IndicesArgs,
): Tensor {
  const offset = typeof a === 'number' ? a : 0
  const options = (typeof a === 'object' ? a : b) ?? {}
  const ranges = Array.from({ length: rows }, (_, r) =>
    range(r, columns, offset).map((c) => Math.max(0, Math.min(c, columns))),
  )
  const count = ranges.reduce((n, [first, last]) => n + Math.max(0, last - first), 0)
  const out = empty([2, count], int32)
  onHost('triangleIndices', [out], 'w', (elements) => {
    const raw = elements as Int32Array
    let i = 0
    for (const [r, [first, last]] of ranges.entries()) {
      for (let c = first; c < last; c++, i++) {
        raw[i] = r
        raw[count + i] = c
      }
    }
  })
  return out.to(options.dtype ?? int64)
}
/** Coordinates of the lower triangle of a matrix of `row` by `col`: int64 [2, n]. */
export const trilIndices = (...args: IndicesArgs): Tensor =>
  triangleIndices((r, _, offset) => [0, r + offset + 1], args)
/** Coordinates of the upper triangle of a matrix of `row` by `col`: int64 [2, n]. */
export const triuIndices = (...args: IndicesArgs): Tensor =>
  triangleIndices((r, columns, offset) => [r + offset, columns], args)

/** The elements in reverse order along `dims`, as a copy. */
export const flip: (x: Tensor, ...dims: SizesArgs<'dims'>) => Tensor = op({
  name: 'flip',
  signature: 'input, dims, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(3, 4), 0, 1],
    [t(3, 4), [-1]],
    [t(0, 3), 1],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const listed = sizesOf('flip', given)
    const dims = listed.length === 0 ? [] : wrapDims(listed, x.ndim)
    const offset = dims.reduce((at, d) => at + Math.max(x.sizes[d] - 1, 0) * x.strides[d], x.offset)
    const strides = x.strides.map((s, i) => (dims.includes(i) ? -s : s))
    const out = empty(x.sizes, x.dtype)
    copyValues(alias(x, x.sizes, strides, offset), out)
    return record(out, 'FlipBackward0', [x], [], (g) => [dims.length ? flip(g, dims) : g])
  },
})
/** Columns in reverse order. */
export const fliplr = (x: Tensor): Tensor => {
  if (x.ndim < 2) throw new RuntimeError('Input must be >= 2-d.')
  return flip(x, 1)
}
/** Rows in reverse order. */
export const flipud = (x: Tensor): Tensor => {
  if (x.ndim < 1) throw new RuntimeError('Input must be >= 1-d.')
  return flip(x, 0)
}

/** Turned by 90 degrees `k` times in the plane of two dims, from the first towards the second. */
export const rot90: (x: Tensor, ...args: Args<[k?: number, dims?: Sizes], { k?: number; dims?: Sizes }>) => Tensor = op(
  {
    name: 'rot90',
    signature: 'input, k, dims',
    node: 'Rot90Backward0',
    samples: (t) => [[t(3, 4)], [t(2, 3, 4), -1, [1, 2]], [t(3, 4), 2]],
    differentiable: true,
    forward: (x: Tensor, times = 1, dims: Sizes = [0, 1]) => {
      if (dims.length !== 2) throw new RuntimeError(`expected total rotation dims == 2, but got dims = ${dims.length}`)
      if (x.ndim < 2) throw new RuntimeError(`expected total dims >= 2, but got total dims = ${x.ndim}`)
      const [a, b] = dims.map((d) => wrapDim(d, x.ndim))
      if (a === b)
        throw new RuntimeError(
          `expected rotation dims to be different, but got dim0 = ${dims[0]} and dim1 = ${dims[1]}`,
        )
      const turns = ((times % 4) + 4) % 4
      if (turns === 1) return flip(x, b).transpose(a, b).contiguous()
      if (turns === 2) return flip(x, a, b)
      return turns === 3 ? flip(x, a).transpose(a, b).contiguous() : x.clone()
    },
  },
)

/** Elements shifted by `shifts` along `dims` (in the flattened tensor without), coming in again at the other end. */
export const roll: (
  x: Tensor,
  ...args: Args<[shifts: number | Sizes, dims?: number | Sizes], { shifts?: number | Sizes; dims?: number | Sizes }>
) => Tensor = op({
  name: 'roll',
  signature: 'input, shifts, dims',
  samples: (t) => [
    [t(3, 4), 5],
    [t(3, 4), [1, -1], [0, 1]],
  ],
  differentiable: true,
  forward: (x: Tensor, shifts: number | Sizes, dims: number | Sizes = []) => {
    const by = typeof shifts === 'number' ? [shifts] : shifts
    const along = typeof dims === 'number' ? [dims] : dims
    if (by.length === 0) throw new RuntimeError('`shifts` required')
    if (along.length === 0 && by.length === 1) {
      const flat = x.detach().contiguous()
      const out = empty(x.sizes, x.dtype)
      rollBlocks(alias(flat, [x.count], [1], flat.offset), alias(out, [x.count], [1], 0), by, [0])
      return record(out, 'RollBackward0', [x], [], (g) => [roll(g, -by[0])])
    }
    if (by.length !== along.length)
      throw new RuntimeError(`shifts and dimensions must align. shifts: ${by.length}, dims:${along.length}`)
    if (x.ndim === 0) throw new IndexError(`Dimension specified as ${along[0]} but tensor has no dimensions`)
    const wrapped = along.map((d) => wrapDim(d, x.ndim))
    const out = empty(x.sizes, x.dtype)
    // A dimension named twice is shifted by the sum.
    const distinct = [...new Set(wrapped)]
    const total = distinct.map((d) => by.reduce((sum, s, i) => sum + (wrapped[i] === d ? s : 0), 0))
    rollBlocks(x, out, total, distinct)
    const back = by.map((s) => -s)
    return record(out, 'RollBackward0', [x], [], (g) => [roll(g, back, wrapped)])
  },
})

/** Copies block by block: each rolled dimension falls into two parts that change places. */
function rollBlocks(from: Tensor, to: Tensor, shifts: Sizes, dims: Sizes): void {
  if (from.count === 0) return
  if (dims.length === 0) {
    copyValues(from, to)
    return
  }
  const [d, ...rest] = dims
  const n = from.sizes[d]
  const shift = ((shifts[0] % n) + n) % n
  const part = (t: Tensor, start: number, length: number): Tensor =>
    alias(
      t,
      t.sizes.map((s, i) => (i === d ? length : s)),
      t.strides,
      t.offset + start * t.strides[d],
    )
  rollBlocks(part(from, 0, n - shift), part(to, shift, n - shift), shifts.slice(1), rest)
  if (shift > 0) rollBlocks(part(from, n - shift, shift), part(to, 0, shift), shifts.slice(1), rest)
}

/** `x` as often along each dimension as `repeats` says, leading new dimensions included. */
export const repeat: (x: Tensor, ...repeats: SizesArgs<'repeats'>) => Tensor = op({
  name: 'repeat',
  signature: 'input, repeats, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(3, 2), 2, 1, 3],
    [t(), [2]],
    [t(2), 0],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const repeats = sizesOf('repeat', given)
    if (repeats.length < x.ndim) {
      throw new RuntimeError(
        'Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor',
      )
    }
    const bad = repeats.find((n) => n < 0)
    if (bad !== undefined)
      throw new RuntimeError(`Trying to create tensor with negative dimension ${bad}: [${repeats.join(', ')}]`)
    const lead = repeats.length - x.ndim
    const own = repeats.map((_, i) => (i < lead ? 1 : x.sizes[i - lead]))
    const out = empty(
      repeats.map((r, i) => r * own[i]),
      x.dtype,
    )
    // Each dimension seen as [repeats, size].
    const whole = repeats.flatMap((r, i) => [r, own[i]])
    const from = alias(
      x,
      whole,
      own.flatMap((_, i) => [0, i < lead ? 0 : x.strides[i - lead]]),
      x.offset,
    )
    copyValues(
      from,
      alias(
        out,
        whole,
        out.strides.flatMap((s, i) => [s * own[i], s]),
        0,
      ),
    )
    const { sizes } = x
    return record(out, 'RepeatBackward0', [x], [], (g) => [
      repeats.includes(0)
        ? g.newZeros(sizes)
        : whole.length === 0
          ? g
          : g
              .reshape(whole)
              .sum(repeats.map((_, i) => 2 * i))
              .reshape(sizes),
    ])
  },
})

/** `repeat`, with ones added to `dims` in front if there are fewer than dimensions. */
export const tile: (x: Tensor, ...dims: SizesArgs<'dims'>) => Tensor = op({
  name: 'tile',
  signature: 'input, dims, b, c, d, e, f, g, h',
  samples: (t) => [
    [t(2, 3), 2],
    [t(2), 2, 2],
  ],
  differentiable: true,
  forward: (x: Tensor, ...given: unknown[]) => {
    const dims = sizesOf('tile', given)
    return repeat(x, [...new Array<number>(Math.max(x.ndim - dims.length, 0)).fill(1), ...dims])
  },
})

interface InterleaveOptions {
  readonly repeats?: number | Tensor
  readonly dim?: number | null
  readonly outputSize?: number
}
/** Each element (slice of `dim`; of the flattened tensor without) `repeats` times in a row; a tensor says how often each. */
export const repeatInterleave: (
  x: Tensor,
  ...args: Args<[repeats: number | Tensor, dim?: number | null], InterleaveOptions>
) => Tensor = op({
  name: 'repeatInterleave',
  signature: 'input, repeats, dim, *, output_size',
  samples: (t) => [
    [t(3, 2), 2],
    [t(3, 2), 2, 1],
    [t(3, 2), tensor([1, 0, 2]), 0],
  ],
  differentiable: true,
  forward: (x: Tensor, repeats: number | Tensor, dim?: number | null) => {
    const source = dim === undefined || dim === null ? x.flatten() : x
    const d = wrapDim(dim ?? 0, source.ndim)
    if (typeof repeats === 'number') {
      if (repeats < 0) throw new RuntimeError('Repeats must be non-negative')
      const sizes = [...source.sizes.slice(0, d + 1), repeats, ...source.sizes.slice(d + 1)]
      const final = source.sizes.map((n, i) => (i === d ? n * repeats : n))
      return source
        .unsqueeze(d + 1)
        .expand(sizes)
        .clone()
        .view(final)
    }
    if (repeats.ndim > 1) throw new RuntimeError('repeats must be 0-dim or 1-dim tensor')
    if (repeats.dtype.kind !== 'int') throw new RuntimeError('repeats has to be Long or Int tensor')
    if (repeats.count !== 1 && repeats.count !== source.sizes[d]) {
      throw new RuntimeError(
        `repeats must have the same size as input along dim, but got repeats.size(0) = ${repeats.count} and input.size(${d}) = ${source.sizes[d]}`,
      )
    }
    if (outside(repeats, 0, Number.POSITIVE_INFINITY) !== null) throw new RuntimeError('repeats can not be negative')
    return source.indexSelect(
      d,
      interleaved(repeats.count === 1 ? repeats.reshape(1).expand(source.sizes[d]) : repeats),
    )
  },
})

// Host routine: the size of the result is known only after the counts were read.
/** Position i as often as counts[i] says: int64. */
function interleaved(counts: Tensor): Tensor {
  const list = counts.tolist<number[]>()
  const out = empty([list.reduce((a, b) => a + b, 0)], int64)
  const raw = out.raw() as BigInt64Array
  let at = 0
  list.forEach((n, i) => {
    raw.fill(BigInt(i), at, at + n)
    at += n
  })
  return out
}

type DiagonalOptions = { offset?: number; dim1?: number; dim2?: number }

/** Matrices of zeros (dimensions dim1 and dim2 of the result) with the last dimension of `x` on the diagonal. */
export const diagEmbed: (
  x: Tensor,
  ...args: Args<[offset?: number, dim1?: number, dim2?: number], DiagonalOptions>
) => Tensor = op({
  name: 'diagEmbed',
  signature: 'input, offset, dim1, dim2',
  samples: (t) => [[t(2, 3)], [t(2, 3), 1, 0, 2]],
  differentiable: true,
  forward: (x: Tensor, offset = 0, dim1 = -2, dim2 = -1) => {
    const rank = x.ndim + 1
    const a = wrapDim(dim1, rank)
    const b = wrapDim(dim2, rank)
    if (a === b) throw new RuntimeError(`diagonal dimensions cannot be identical ${dim1}, ${dim2}`)
    const n = x.sizes[x.ndim - 1] + Math.abs(offset)
    const sizes = [...x.sizes.slice(0, -1)]
    for (const d of [Math.min(a, b), Math.max(a, b)]) sizes.splice(d, 0, n)
    const out = filled(sizes, 0, x.dtype)
    copyValues(x, diagonal(out, offset, a, b))
    return record(out, 'DiagEmbedBackward0', [x], [], (g) => [diagonal(g, offset, a, b)])
  },
})

/** The matrix with the vector `x` on a diagonal, or a copy of that diagonal of the matrix `x`. */
export const diag: (x: Tensor, ...args: Args<[diagonal?: number], { diagonal?: number }>) => Tensor = op({
  name: 'diag',
  signature: 'input, diagonal',
  samples: (t) => [[t(3)], [t(3, 4)], [t(3, 4), -1]],
  differentiable: true,
  forward: (x: Tensor, offset = 0) => {
    if (x.ndim === 1) return diagEmbed(x, offset)
    if (x.ndim !== 2) throw new RuntimeError(`diag(): Supports 1D or 2D tensors. Got ${x.ndim}D`)
    const view = diagonal(x.detach(), offset)
    const out = empty(view.sizes, x.dtype)
    copyValues(view, out)
    const { sizes } = x
    return record(out, 'DiagonalBackward0_copy', [x], [], (g) => [ontoDiagonal(g, sizes, offset)])
  },
})

/** The matrix with the elements of the flattened `x` on a diagonal. */
export const diagflat: (x: Tensor, ...args: Args<[offset?: number], { offset?: number }>) => Tensor = op({
  name: 'diagflat',
  signature: 'input, offset',
  samples: (t) => [[t(2, 2)], [t(2), 1]],
  differentiable: true,
  forward: (x: Tensor, offset = 0) => diagEmbed(x.reshape(-1), offset),
})

function ontoDiagonal(g: Tensor, sizes: Sizes, offset: number): Tensor {
  const out = g.newZeros(sizes)
  diagonal(out, offset).copy_(g)
  return out
}

/** The sum of a matrix's main diagonal. Integers sum to int64. */
export const trace: (x: Tensor) => Tensor = op({
  name: 'trace',
  signature: 'input',
  samples: (t) => [[t(3, 4)]],
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.ndim !== 2) throw new RuntimeError(`trace: expected a matrix, but got tensor with dim ${x.ndim}`)
    const out = diagonal(x.detach()).sum()
    const { sizes } = x
    return record(out, 'TraceBackward0', [x], [], (g) => [ontoDiagonal(g, sizes, 0)])
  },
})
