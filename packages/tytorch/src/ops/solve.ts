// Systems of linear equations and inverses: linalg.solve, linalg.inv, and their forms for tensors.
import { LinAlgError, RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { matmul } from './linear.ts'
import { luOf, luSolved } from './lu.ts'
import {
  broadcastBatches,
  checkCodes,
  checkFloating,
  checkMatrix,
  checkSame,
  checkSquare,
  type Named,
  named,
} from './matrices.ts'
import { checkFits, dominant } from './triangular.ts'

interface Solved {
  readonly result: Tensor
  readonly info: Tensor
}

/** X of A X = B for batches of equal sizes, recorded; 0 or the first zero pivot of each. */
function solved(a: Tensor, b: Tensor): Solved {
  const { LU, pivots, info } = luOf(a)
  const out = luSolved(LU, pivots, b, false)
  record(out, 'LinalgSolveExBackward0', [a, b], [a, out, LU, pivots], (g, [matrix, x, lu, rows], needs) => {
    const gb = isGradEnabled() ? solved(matrix.mT, g).result : luSolved(lu, rows, g, true)
    return [needs[0] ? matmul(gb, x.mT).neg() : null, gb]
  })
  return { result: out, info }
}

/** True if `b` holds one vector a matrix of `a`, as PyTorch tells it from matrices. */
export function isVectors(a: Tensor, b: Tensor): boolean {
  return b.ndim === 1 || (a.ndim - 1 === b.ndim && b.sizes.every((n, i) => n === a.sizes[i]))
}

function solveEx(name: string, a: Tensor, b: Tensor, left: boolean): Solved {
  checkSame(name, a, b)
  checkFloating(name, a)
  checkSquare(name, a)
  const vectors = isVectors(a, b)
  const side = vectors ? b.unsqueeze(-1) : b
  if (vectors && !left) {
    throw new RuntimeError(
      `${name}: Vector broadcasting of the left hand side is not supported for left=False. In this case ${name} is equivalent to B / A.squeeze(-1)`,
    )
  }
  checkMatrix(name, side, 'B')
  checkFits(name, a, side, left)
  const [matrix, right] = broadcastBatches(a, side)
  const { result, info } = left ? solved(matrix, right) : solved(matrix.mT, right.mT)
  return { result: left ? (vectors ? result.squeeze(-1) : result) : result.mT, info }
}

/** PyTorch's error for a matrix that no system can be solved with. */
export const singular =
  (name: string) =>
  (_code: number, where: string): Error =>
    new LinAlgError(`torch.linalg.${name}: ${where}The solver failed because the input matrix is singular.`)

interface SolveOptions {
  readonly left?: boolean
}

/**
 * X of A X = B (X A = B if `left` is false) for square A [..., n, n] and B [..., n, k] or [..., n]; batch dimensions
 * broadcast. Throws LinAlgError for a singular A.
 */
export const linalgSolve: (a: Tensor, b: Tensor, options?: SolveOptions) => Tensor = op({
  name: 'linalgSolve',
  python: 'linalg.solve',
  signature: 'A, B, *, left',
  node: 'LinalgSolveExBackward0',
  samples: (t) => [
    [dominant(t(3, 3)), t(3, 2)],
    [dominant(t(2, 3, 3)), t(2, 3)],
    [dominant(t(3, 3)), t(2, 4, 3), { left: false }],
  ],
  differentiable: true,
  forward: (a: Tensor, b: Tensor, left = true) => {
    const { result, info } = solveEx('linalg.solve', a, b, left)
    checkCodes(info, singular('solve'))
    return result
  },
})

/** As `linalg.solve`, with 0 or the first zero pivot of each matrix instead of an error. */
export const linalgSolveEx: (
  a: Tensor,
  b: Tensor,
  options?: SolveOptions & { readonly checkErrors?: boolean },
) => Named<'result' | 'info'> = op({
  name: 'linalgSolveEx',
  python: 'linalg.solve_ex',
  signature: 'A, B, *, left, check_errors',
  node: 'LinalgSolveExBackward0',
  samples: (t) => [[dominant(t(3, 3)), t(3, 2)]],
  differentiable: true,
  forward: (a: Tensor, b: Tensor, left = true, check = false) => {
    const found = solveEx('linalg.solve', a, b, left)
    if (check) checkCodes(found.info, singular('solve_ex'))
    return named({ result: found.result, info: found.info })
  },
})

function inverted(name: string, a: Tensor): { inverse: Tensor; info: Tensor } {
  checkSquare(name, a)
  checkFloating(name, a)
  const { LU, pivots, info } = luOf(a)
  const inverse = luSolved(LU, pivots, null, false)
  record(inverse, 'LinalgInvExBackward0', [a], [inverse], (g, [found]) => [matmul(found.mT, matmul(g, found.mT)).neg()])
  return { inverse, info }
}

/** PyTorch's error for a matrix without an inverse. */
export const noInverse =
  (name: string) =>
  (code: number, where: string): Error =>
    new LinAlgError(
      `linalg.${name}: ${where}The diagonal element ${code} is zero, the inversion could not be completed because the input matrix is singular.`,
    )

/** The inverses of square matrices [..., n, n]. Throws LinAlgError for a singular one. */
export const linalgInv: (a: Tensor) => Tensor = op({
  name: 'linalgInv',
  python: 'linalg.inv',
  signature: 'A',
  samples: (t) => [[dominant(t(3, 3))], [dominant(t(2, 3, 3))]],
  differentiable: true,
  forward: (a: Tensor) => {
    const { inverse, info } = inverted('linalg.inv', a)
    checkCodes(info, noInverse('inv'))
    return inverse
  },
})

/** The inverses, and 0 or the first zero pivot of each matrix instead of an error. */
export const linalgInvEx: (a: Tensor, options?: { readonly checkErrors?: boolean }) => Named<'inverse' | 'info'> = op({
  name: 'linalgInvEx',
  python: 'linalg.inv_ex',
  signature: 'A, *, check_errors',
  samples: (t) => [[dominant(t(3, 3))]],
  differentiable: true,
  forward: (a: Tensor, check = false) => {
    const { inverse, info } = inverted('linalg.inv', a)
    if (check) checkCodes(info, noInverse('inv_ex'))
    return named({ inverse, info })
  },
})

/** The inverses of square matrices: `linalg.inv`. */
export const inverse = linalgInv

/** Throws PyTorch's error unless the sizes `after` position `ind` multiply to what those before it do. */
function checkHalves(before: number, after: Sizes, ind: string): void {
  const rows = numelOf(after)
  if (rows === before) return
  throw new RuntimeError(
    `Expected self to satisfy the requirement prod(self.shape[${ind}:]) == prod(self.shape[:${ind}]), but got ${rows} != ${before}`,
  )
}

/** The inverse of `a` as a map from its dimensions after the first `ind` to those. Throws LinAlgError if there is none. */
export const linalgTensorinv: (a: Tensor, ...args: Args<[ind?: number], { readonly ind?: number }>) => Tensor = op({
  name: 'linalgTensorinv',
  python: 'linalg.tensorinv',
  signature: 'A, ind',
  samples: (t) => [
    [dominant(t(4, 4)).view(2, 2, 4), 2],
    [dominant(t(4, 4)).view(4, 2, 2), { ind: 1 }],
  ],
  differentiable: true,
  forward: (a: Tensor, ind = 2) => {
    if (ind <= 0) throw new RuntimeError(`Expected a strictly positive integer for 'ind', but got ${ind}`)
    if (ind > a.ndim) throw new RuntimeError(`ArrayRef: invalid slice, N = ${ind}; size = ${a.ndim}`)
    const first = a.sizes.slice(0, ind)
    const rest = a.sizes.slice(ind)
    checkHalves(numelOf(first), rest, 'ind')
    const { inverse: found, info } = inverted('linalg.inv', a.reshape(numelOf(rest), numelOf(first)))
    checkCodes(info, noInverse('inv'))
    return found.reshape([...rest, ...first])
  },
})

interface TensorsolveOptions {
  readonly dims?: Sizes | null
}

/** X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first. Throws LinAlgError for a singular A. */
export const linalgTensorsolve: (
  a: Tensor,
  b: Tensor,
  ...args: Args<[dims?: Sizes | null], TensorsolveOptions>
) => Tensor = op({
  name: 'linalgTensorsolve',
  python: 'linalg.tensorsolve',
  signature: 'A, B, dims',
  samples: (t) => [[dominant(t(4, 4)).view(2, 2, 4), t(2, 2)]],
  differentiable: true,
  forward: (a: Tensor, b: Tensor, dims?: Sizes | null) => {
    const moved = dims
      ? a.movedim(
          dims,
          dims.map((_, i) => a.ndim - dims.length + i),
        )
      : a
    const rest = moved.sizes.slice(b.ndim)
    const rows = numelOf(moved.sizes.slice(0, b.ndim))
    checkHalves(rows, rest, 'other.ndim')
    return linalgSolve(moved.reshape(rows, numelOf(rest)), b.reshape(-1)).reshape(rest)
  },
})
