// Triangular systems: torch.linalg.solve_triangular and the older torch.triangular_solve.
import { RuntimeError } from '../base/errors.ts'
import { op } from '../tensor/define.ts'
import { atPointers } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { solveTriangles } from './factor.ts'
import { matmul } from './linear.ts'
import {
  batchOf,
  broadcastBatches,
  checkKernel,
  checkMatrix,
  checkSame,
  checkSquare,
  countOf,
  type Named,
  named,
  realOf,
} from './matrices.ts'

interface TriangularOptions {
  readonly upper: boolean
  readonly left?: boolean
  readonly unitriangular?: boolean
}

/** X of T X = B for batches of equal sizes, without recording. */
export function substituted(t: Tensor, b: Tensor, upper: boolean, unit: boolean): Tensor {
  const out = empty(b.sizes, b.dtype)
  if (out.count === 0) return out
  checkKernel('triangular_solve_cpu', t)
  const [n, k] = b.sizes.slice(-2)
  const batch = batchOf(b)
  const { matrix, step } = inOneStep(t.detach())
  const side = b.detach().contiguous()
  // A trace keeps the routine: it must not see a tensor.
  const size = t.dtype.itemsize
  const [tRow, tColumn] = matrix.strides.slice(-2).map((stride) => stride * size)
  const dense = device().dense()
  const dtype = realOf(side)
  atPointers('substitute', [matrix.pointer, side.pointer, out.pointer], 'rrw', ([t, b, x]) =>
    solveTriangles(dense, dtype, countOf(batch), n, k, t, step, tRow, tColumn, b, x, upper, unit),
  )
  return out
}

/** Matrices that lie equally far apart, and the bytes between them: the ones given, which may be transposed, or copies. */
function inOneStep(t: Tensor): { matrix: Tensor; step: number } {
  const [n] = t.sizes.slice(-1)
  const size = t.dtype.itemsize
  const batch = t.strides.slice(0, -2)
  const single = batch.every((stride, i) => stride === 0 || t.sizes[i] === 1)
  if (single) return { matrix: t, step: 0 }
  const plain = t.contiguousLayout || t.mT.contiguousLayout
  return { matrix: plain ? t : t.contiguous(), step: n * n * size }
}

/** The solution for batches of equal sizes, recorded. */
export function solveTriangle(
  a: Tensor,
  b: Tensor,
  upper: boolean,
  left: boolean,
  unit: boolean,
  name = 'LinalgSolveTriangularBackward0',
): Tensor {
  const out = left ? substituted(a, b, upper, unit) : substituted(a.mT, b.mT, !upper, unit).mT
  return record(out, name, [a, b], [a, out], (g, [matrix, x], needs) => {
    const right = solveTriangle(matrix.mT, g, !upper, left, unit)
    if (!needs[0]) return [null, right]
    const whole = (left ? matmul(right, x.mT) : matmul(x.mT, right)).neg()
    return [upper ? whole.triu(unit ? 1 : 0) : whole.tril(unit ? -1 : 0), needs[1] ? right : null]
  })
}

/**
 * X of A X = B (X A = B if `left` is false) for triangular A [..., n, n], of which the other triangle is not read, nor the
 * diagonal if `unitriangular`. Batch dimensions broadcast. Throws RuntimeError for shapes that don't fit.
 */
export const linalgSolveTriangular: (a: Tensor, b: Tensor, options: TriangularOptions) => Tensor = op({
  name: 'linalgSolveTriangular',
  python: 'linalg.solve_triangular',
  signature: 'A, B, *, upper, left, unitriangular',
  samples: (t) => [
    [dominant(t(3, 3)), t(3, 2), { upper: true }],
    [dominant(t(2, 3, 3)), t(4, 3), { upper: false, left: false }],
    [t(3, 3), t(2, 3, 1), { upper: false, unitriangular: true }],
  ],
  differentiable: true,
  forward: (a: Tensor, b: Tensor, upper?: boolean, left = true, unit = false) => {
    const name = 'linalg.solve_triangular'
    if (upper === undefined) throw new TypeError(`${name}() missing 1 required keyword-only argument: "upper"`)
    checkSame(name, a, b)
    checkSquare(name, a)
    checkMatrix(name, b, 'B')
    checkFits(name, a, b, left)
    const [matrix, side] = broadcastBatches(a, b)
    return solveTriangle(matrix, side, upper, left, unit)
  },
})

/** A matrix far from singular, for samples. */
export const dominant = (x: Tensor): Tensor => {
  const n = x.sizes[x.ndim - 1]
  const line = x.newOnes([n]).mul(n + 1)
  return x.add(line.diag())
}

/** Throws RuntimeError unless A X = B (or X A = B) has fitting sizes. */
export function checkFits(name: string, a: Tensor, b: Tensor, left: boolean): void {
  const [m, n] = a.sizes.slice(-2)
  const [rows, columns] = b.sizes.slice(-2)
  if ((left ? rows : columns) === n) return
  throw new RuntimeError(
    `${name}: Incompatible shapes of A and B for the equation ${left ? 'AX = B' : 'XA = B'} (${m}x${n} and ${rows}x${columns})`,
  )
}

interface TriangularSolveOptions {
  readonly upper?: boolean
  readonly transpose?: boolean
  readonly unitriangular?: boolean
}

/** X of A X = B for triangular A (of A^T X = B if `transpose`), and a copy of A. Use `linalg.solveTriangular`. */
export const triangularSolve: (
  b: Tensor,
  a: Tensor,
  ...args: [upper?: boolean, transpose?: boolean, unitriangular?: boolean] | [options: TriangularSolveOptions]
) => Named<'solution' | 'clonedCoefficient'> = op({
  name: 'triangularSolve',
  signature: 'input, A, upper, transpose, unitriangular',
  node: 'TriangularSolveBackward0',
  samples: (t) => [
    [t(3, 2), dominant(t(3, 3))],
    [t(3, 2), dominant(t(3, 3)), false, true],
  ],
  differentiable: true,
  forward: (b: Tensor, a: Tensor, upper = true, transpose = false, unit = false) => {
    checkMatrix('triangular_solve', b, 'b')
    checkSquare('triangular_solve', a)
    const n = a.sizes[a.ndim - 1]
    const [rows, columns] = b.sizes.slice(-2)
    if (rows !== n) {
      throw new RuntimeError(
        `Incompatible matrix sizes for triangular_solve: each A matrix is ${n} by ${n} but each b matrix is ${rows} by ${columns}`,
      )
    }
    checkSame('triangular_solve', b, a, 'b', 'A')
    const [matrix, side] = broadcastBatches(a, b)
    const solution = solveTriangle(
      transpose ? matrix.mT : matrix,
      side,
      transpose ? !upper : upper,
      true,
      unit,
      'TriangularSolveBackward0',
    )
    return named({ solution, clonedCoefficient: matrix.clone() })
  },
})
