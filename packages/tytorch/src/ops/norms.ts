// Norms of vectors and matrices, and condition numbers: linalg.vector_norm, linalg.matrix_norm, linalg.norm, linalg.cond.
import type { DType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { wrapDim, wrapDims } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import type { Dim } from '../tensor/reduce.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { amax, amin } from './extreme.ts'
import { checkFloating, checkMatrix } from './matrices.ts'
import { linalgInvEx } from './solve.ts'
import { linalgSvdvals } from './spectrum.ts'
import { norm as elementNorm } from './statistics.ts'
import { abs } from './unary.ts'

interface VectorNormOptions {
  readonly ord?: number
  readonly dim?: Dim
  readonly keepdim?: boolean
  readonly dtype?: DType | null
}

/** Throws RuntimeError for a dtype that a norm can't be computed in. */
function checkDtype(name: string, x: Tensor, dtype: DType | null): void {
  if (!dtype) return
  if (!dtype.isFloatingPoint)
    throw new RuntimeError(`${name}: dtype should be floating point or complex, but got ${dtype.title}`)
  if (dtype.itemsize < x.dtype.itemsize) {
    throw new RuntimeError(
      `${name}: the dtype of the input (${x.dtype.title}) should be convertible without narrowing to the specified dtype (${dtype.title})`,
    )
  }
}

/** (sum |x|^ord)^(1/ord) over `dim` (all elements); the number of elements that are not 0 for ord 0. */
export const linalgVectorNorm: (
  x: Tensor,
  ...args: Args<[ord?: number, dim?: Dim, keepdim?: boolean], VectorNormOptions>
) => Tensor = op({
  name: 'linalgVectorNorm',
  python: 'linalg.vector_norm',
  signature: 'x, ord, dim, keepdim, *, dtype',
  node: 'LinalgVectorNormBackward0',
  domain: { kinks: true },
  samples: (t) => [[t(3, 4)], [t(3, 4), 1, 0], [t(3, 4), 3.5, [0, 1], true], [t(3, 4), Number.POSITIVE_INFINITY, 1]],
  differentiable: true,
  forward: (x: Tensor, ord = 2, dim: Dim = null, keepdim = false, dtype: DType | null = null) => {
    const name = 'linalg.vector_norm'
    checkFloating(name, x, true)
    checkDtype(name, x, dtype)
    const dims = wrapDims(dim, x.ndim)
    const without = dims.some((d) => x.sizes[d] === 0)
    if (without && (ord < 0 || ord === Number.POSITIVE_INFINITY)) {
      const order = Number.isFinite(ord) ? `${ord}` : ord < 0 ? '-inf' : 'inf'
      if (x.count === 0 && dims.length === x.ndim) {
        throw new RuntimeError(
          `${name} cannot compute the ${order} norm on an empty tensor because the operation does not have an identity`,
        )
      }
      throw new RuntimeError(
        `${name} cannot compute the ${order} norm on the dimension ${dims.find((d) => x.sizes[d] === 0)} because this dimension is empty and the operation does not have an identity`,
      )
    }
    return elementNorm(x, ord, dim, keepdim, dtype ? { dtype } : {})
  },
})

export type MatrixOrder = number | 'fro' | 'nuc'

interface MatrixNormOptions {
  readonly ord?: MatrixOrder
  readonly dim?: readonly number[]
  readonly keepdim?: boolean
  readonly dtype?: DType | null
}

/** A norm of the matrices in dimensions `dim` (the last two): 'fro', 'nuc', 1, -1, 2, -2, Infinity or -Infinity. */
export const linalgMatrixNorm: (
  a: Tensor,
  ...args: Args<[ord?: MatrixOrder, dim?: readonly number[], keepdim?: boolean], MatrixNormOptions>
) => Tensor = op({
  name: 'linalgMatrixNorm',
  python: 'linalg.matrix_norm',
  signature: 'A, ord, dim, keepdim, *, dtype',
  domain: { kinks: true },
  samples: (t) => [
    [t(3, 4)],
    [t(3, 4), 'nuc'],
    [t(3, 4), 2],
    [t(2, 3, 4), 1, [0, 2]],
    [t(3, 4), Number.NEGATIVE_INFINITY, [-2, -1], true],
  ],
  differentiable: true,
  forward: (
    a: Tensor,
    ord: MatrixOrder = 'fro',
    dim: readonly number[] = [-2, -1],
    keepdim = false,
    dtype: DType | null = null,
  ) => {
    const name = 'linalg.matrix_norm'
    checkMatrix(name, a)
    checkFloating(name, a, true)
    const list: readonly number[] = typeof dim === 'number' ? [dim] : dim
    if (list.length !== 2) throw new RuntimeError(`${name}: dim must be a 2-tuple. Got ${list.join(', ')}`)
    const [row, column] = list.map((d) => wrapDim(d, a.ndim))
    if (row === column) throw new RuntimeError(`${name}: dims must be different. Got (${list.join(', ')})`)
    checkDtype(name, a, dtype)
    const known = typeof ord === 'string' ? ord === 'fro' || ord === 'nuc' : [1, 2, Infinity].includes(Math.abs(ord))
    if (!known) throw new RuntimeError(`${name}: Order ${ord} not supported.`)
    if (ord === 'fro') return linalgVectorNorm(a, 2, [row, column], keepdim, { dtype })
    const x = dtype ? a.to(dtype) : a
    const size = Math.abs(ord as number)
    if (ord === 'nuc' || size === 2) {
      const values = linalgSvdvals(x.movedim([row, column], [-2, -1]))
      const out = ord === 'nuc' ? values.sum(-1) : (ord as number) > 0 ? amax(values, -1) : amin(values, -1)
      return keepdim ? [row, column].sort((p, q) => p - q).reduce((t, d) => t.unsqueeze(d), out) : out
    }
    const summed = size === 1 ? row : column
    const picked = size === 1 ? column : row
    const sums = abs(x).sum(summed, true)
    const out = ((ord as number) > 0 ? amax : amin)(sums, picked, true)
    return keepdim ? out : out.squeeze([row, column])
  },
})

interface NormOptions {
  readonly ord?: MatrixOrder | null
  readonly dim?: Dim
  readonly keepdim?: boolean
  readonly dtype?: DType | null
}

/** A norm of a vector (one `dim`), of matrices (two, or a 2-D `x` with `ord`), or of all elements. */
export const linalgNorm: (
  x: Tensor,
  ...args: Args<[ord?: MatrixOrder | null, dim?: Dim, keepdim?: boolean], NormOptions>
) => Tensor = op({
  name: 'linalgNorm',
  python: 'linalg.norm',
  signature: 'A, ord, dim, keepdim, *, dtype',
  domain: { kinks: true },
  samples: (t) => [[t(3, 4)], [t(3, 4), 'nuc'], [t(4), 1], [t(2, 3, 4), 2, [0, 2]]],
  differentiable: true,
  forward: (
    x: Tensor,
    ord: MatrixOrder | null = null,
    dim: Dim = null,
    keepdim = false,
    dtype: DType | null = null,
  ) => {
    const dims = dim === null ? null : typeof dim === 'number' ? [dim] : dim
    if (ord === null) return linalgVectorNorm(x, 2, dim, keepdim, { dtype })
    if (dims && dims.length !== 1 && dims.length !== 2)
      throw new RuntimeError(`linalg.norm: If dim is specified, it must be of length 1 or 2. Got [${dims.join(', ')}]`)
    if (!dims && x.ndim !== 1 && x.ndim !== 2) {
      throw new RuntimeError(
        `linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got ${x.ndim}D.`,
      )
    }
    if (typeof ord === 'string' || (dims ? dims.length === 2 : x.ndim === 2))
      return linalgMatrixNorm(x, ord, dims ?? [-2, -1], keepdim, { dtype })
    return linalgVectorNorm(x, ord, dim, keepdim, { dtype })
  },
})

/** The condition numbers of matrices in a norm of `linalg.matrixNorm` (by default 2: largest by smallest singular value). */
export const linalgCond: (
  a: Tensor,
  ...args: Args<[p?: MatrixOrder | null], { readonly p?: MatrixOrder | null }>
) => Tensor = op({
  name: 'linalgCond',
  python: 'linalg.cond',
  signature: 'A, p',
  domain: { kinks: true },
  samples: (t) => [[t(3, 3)], [t(2, 3, 3), 1], [t(4, 3), -2], [t(3, 3), 'fro']],
  differentiable: true,
  forward: (a: Tensor, p: MatrixOrder | null = null) => {
    if (a.ndim < 2) throw new RuntimeError('linalg.cond: The input tensor must have at least 2 dimensions.')
    if (typeof p === 'string' && p !== 'fro' && p !== 'nuc')
      throw new RuntimeError(`linalg.cond got an invalid norm type: ${p}`)
    const order = p ?? 2
    const [m, n] = a.sizes.slice(-2)
    if (order === 2 || order === -2) {
      checkFloating('linalg.svd', a, true)
      if (a.count === 0) return a.newZeros(a.sizes.slice(0, -2))
      const s = linalgSvdvals(a)
      const largest = s.select(-1, 0)
      const smallest = s.select(-1, Math.min(m, n) - 1)
      return order === 2 ? largest.div(smallest) : smallest.div(largest)
    }
    if (m !== n) {
      throw new RuntimeError(
        `linalg.cond(ord=${order}): A must be batches of square matrices, but they are ${m} by ${n} matrices`,
      )
    }
    if (a.count === 0) return a.newZeros(a.sizes.slice(0, -2))
    const { inverse, info } = linalgInvEx(a)
    const size = linalgMatrixNorm(a, order)
    const other = linalgMatrixNorm(inverse, order)
    return size.mul(other).maskedFill(info.ne(0), Number.POSITIVE_INFINITY)
  },
})
