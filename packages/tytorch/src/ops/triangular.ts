// Triangular systems: torch.linalg.solve_triangular and the older torch.triangular_solve.
import { RuntimeError } from '../base/errors.ts'
import { op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { substitute } from './eliminate.ts'
import { matmul } from './linear.ts'
import {
  batchOf,
  broadcastBatches,
  checkMatrix,
  checkSame,
  checkSquare,
  countOf,
  load,
  type Named,
  named,
  store,
} from './matrices.ts'

interface TriangularOptions {
  readonly upper: boolean
  readonly left?: boolean
  readonly unitriangular?: boolean
}

/** X of T X = B for batches of equal sizes, without recording. */
export function substituted(t: Tensor, b: Tensor, upper: boolean, unit: boolean): Tensor {
  const out = empty(b.sizes, b.dtype)
  const [n, k] = b.sizes.slice(-2)
  const matrices = t.detach().contiguous()
  const sides = b.detach().contiguous()
  if (out.count === 0) return out
  const count = countOf(batchOf(b))
  onHost('substitute', [matrices, sides, out], 'rrw', (from, right, to) => {
    const work = new Float64Array(n * n)
    const side = new Float64Array(n * k)
    for (let i = 0; i < count; i++) {
      load(work, from, i * n * n, n * n)
      load(side, right, i * n * k, n * k)
      substitute(work, n, 1, n, side, k, upper, unit)
      store(side, to, i * n * k, n * k)
    }
  })
  return out
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
