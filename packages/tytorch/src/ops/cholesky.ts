// Factors of symmetric matrices: Cholesky's L L^T and what is solved with it, and L D L^T with the pivots of LAPACK.
import { int32 } from '../base/dtype.ts'
import { LinAlgError, RuntimeError } from '../base/errors.ts'
import { type Args, op } from '../tensor/define.ts'
import { atPointers, onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { diagEmbed } from './arrange.ts'
import { filled } from './create.ts'
import { factorLDL, solveLDL } from './eliminate.ts'
import { factorCholesky } from './factor.ts'
import { matmul } from './linear.ts'
import {
  batchOf,
  broadcastBatches,
  checkCodes,
  checkFloating,
  checkKernel,
  checkMatrix,
  checkSame,
  checkSquare,
  countOf,
  load,
  type Named,
  named,
  realOf,
  store,
  withBatch,
} from './matrices.ts'
import { dominant, solveTriangle, substituted } from './triangular.ts'

/** Lower factors (upper ones if `upper`) of a batch, and the first bad minor of each or 0. */
function choleskyOf(a: Tensor, upper: boolean): { factor: Tensor; info: Tensor } {
  const n = a.sizes[a.ndim - 1]
  const batch = batchOf(a)
  const factor = empty(a.sizes, a.dtype)
  const info = empty(batch, int32)
  const source = a.detach().contiguous()
  const dense = device().dense()
  const dtype = realOf(a)
  atPointers('factorCholesky', [source.pointer, factor.pointer, info.pointer], 'rww', ([from, to, codes]) =>
    factorCholesky(dense, dtype, countOf(batch), n, from, to, codes, upper),
  )
  return { factor, info }
}

/** The gradient of A from that of its lower factor: symmetric (Murray 2016, torch's cholesky_backward). */
function choleskyGradient(g: Tensor, lower: Tensor): Tensor {
  const inner = matmul(lower.mT, g).tril()
  const symmetric = inner.add(inner.tril(-1).mT).mul(0.5)
  return solveTriangle(lower, solveTriangle(lower.mT, symmetric, true, true, false), false, false, false)
}

function choleskyRecorded(node: string, a: Tensor, upper: boolean): { factor: Tensor; info: Tensor } {
  checkKernel('cholesky_cpu', a)
  const { factor, info } = choleskyOf(a, upper)
  record(factor, node, [a], [factor], (g, [l]) => [upper ? choleskyGradient(g.mT, l.mT) : choleskyGradient(g, l)])
  return { factor, info }
}

const notPositive =
  (name: string) =>
  (code: number, where: string): Error =>
    new LinAlgError(
      `${name}: ${where}The factorization could not be completed because the input is not positive-definite (the leading minor of order ${code} is not positive-definite).`,
    )

interface UpperOptions {
  readonly upper?: boolean
}

const POSITIVE = { low: 0.5, high: 2 }

/**
 * The lower L with A = L L^T (the upper U with A = U^T U if `upper`) of symmetric matrices [..., n, n], of which only that
 * triangle is read. Throws LinAlgError if one is not positive definite.
 */
export const linalgCholesky: (a: Tensor, options?: UpperOptions) => Tensor = op({
  name: 'linalgCholesky',
  python: 'linalg.cholesky',
  signature: 'A, *, upper',
  domain: POSITIVE,
  // The gradient is that of a symmetric change, which finite differences of single elements see at size 1 only.
  samples: (t) => [[t(1, 1)], [t(3, 1, 1), { upper: true }]],
  differentiable: true,
  forward: (a: Tensor, upper = false) => {
    checkSquare('linalg.cholesky', a)
    checkFloating('linalg.cholesky', a, true)
    const { factor, info } = choleskyRecorded('LinalgCholeskyExBackward0', a, upper)
    checkCodes(info, notPositive('linalg.cholesky'))
    return factor
  },
})

/** As `linalg.cholesky`, with 0 or the order of the first minor that is not positive definite instead of an error. */
export const linalgCholeskyEx: (
  a: Tensor,
  options?: UpperOptions & { readonly checkErrors?: boolean },
) => Named<'L' | 'info'> = op({
  name: 'linalgCholeskyEx',
  python: 'linalg.cholesky_ex',
  signature: 'A, *, upper, check_errors',
  domain: POSITIVE,
  samples: (t) => [[t(1, 1)], [t(3, 1, 1), { upper: true }]],
  differentiable: true,
  forward: (a: Tensor, upper = false, check = false) => {
    checkSquare('linalg.cholesky', a)
    checkFloating('linalg.cholesky', a, true)
    const { factor, info } = choleskyRecorded('LinalgCholeskyExBackward0', a, upper)
    if (check) checkCodes(info, notPositive('linalg.cholesky_ex'))
    return named({ L: factor, info })
  },
})

/** `linalg.cholesky` with `upper` as a position. */
export const cholesky: (a: Tensor, ...args: Args<[upper?: boolean], UpperOptions>) => Tensor = op({
  name: 'cholesky',
  signature: 'input, upper',
  domain: POSITIVE,
  samples: (t) => [[t(1, 1)], [t(3, 1, 1), true]],
  differentiable: true,
  forward: (a: Tensor, upper = false) => {
    checkSquare('cholesky', a)
    const { factor, info } = choleskyRecorded('CholeskyBackward0', a, upper)
    checkCodes(info, notPositive('cholesky'))
    return factor
  },
})

/** X of A X = B by the factor of A, for batches of equal sizes. */
const bySubstitution = (factor: Tensor, b: Tensor, upper: boolean): Tensor => {
  const lower = upper ? factor.mT : factor
  return substituted(lower.mT, substituted(lower, b, false, false), true, false)
}

/** The gradient of the factor from s = g X^T + X g^T: -s L, or -U s. */
const factorGradient = (s: Tensor, factor: Tensor, upper: boolean): Tensor =>
  (upper ? matmul(factor, s) : matmul(s, factor)).neg()

/** The inverse of A from its Cholesky factor (lower, or upper if `upper`), [..., n, n]. */
export const choleskyInverse: (factor: Tensor, ...args: Args<[upper?: boolean], UpperOptions>) => Tensor = op({
  name: 'choleskyInverse',
  signature: 'input, upper',
  samples: (t) => [[t(1, 1)], [t(2, 1, 1), true]],
  domain: POSITIVE,
  differentiable: true,
  forward: (factor: Tensor, upper = false) => {
    checkSquare('cholesky_inverse', factor)
    checkKernel('cholesky_inverse_out_cpu', factor)
    const ones = diagEmbed(filled([factor.sizes[factor.ndim - 1]], 1, factor.dtype))
    const out = bySubstitution(factor, withBatch(ones, batchOf(factor)), upper)
    return record(out, 'CholeskyInverseBackward0', [factor], [factor, out], (g, [l, found]) => [
      factorGradient(matmul(found, matmul(g.add(g.mT), found)), l, upper),
    ])
  },
})

function choleskySolved(b: Tensor, factor: Tensor, upper: boolean): Tensor {
  const out = bySubstitution(factor, b, upper)
  return record(out, 'CholeskySolveBackward0', [b, factor], [factor, out], (g, [l, x], needs) => {
    const gb = choleskySolved(g, l, upper)
    const inner = needs[1] ? matmul(gb, x.mT) : null
    return [gb, inner && factorGradient(inner.add(inner.mT), l, upper)]
  })
}

/** X of A X = B, for the Cholesky factor of A (lower, or upper if `upper`) and B [..., n, k]; batch dimensions broadcast. */
export const choleskySolve: (b: Tensor, factor: Tensor, ...args: Args<[upper?: boolean], UpperOptions>) => Tensor = op({
  name: 'choleskySolve',
  signature: 'B, L, upper',
  samples: (t) => [[t(1, 2), t(1, 1)]],
  domain: POSITIVE,
  differentiable: true,
  forward: (b: Tensor, factor: Tensor, upper = false) => {
    if (b.ndim < 2) throw new RuntimeError(`b should have at least 2 dimensions, but has ${b.ndim} dimensions instead`)
    if (factor.ndim < 2)
      throw new RuntimeError(`u should have at least 2 dimensions, but has ${factor.ndim} dimensions instead`)
    checkSquare('cholesky_solve', factor)
    const n = factor.sizes[factor.ndim - 1]
    const [rows, columns] = b.sizes.slice(-2)
    if (rows !== n) {
      throw new RuntimeError(
        `Incompatible matrix sizes for cholesky_solve: each A matrix is ${n} by ${n} but each b matrix is ${rows} by ${columns}`,
      )
    }
    checkSame('cholesky_solve', b, factor, 'b', 'A')
    checkKernel('cholesky_solve_cpu', b)
    const [matrix, side] = broadcastBatches(factor, b)
    return choleskySolved(side, matrix, upper)
  },
})

function ldlOf(a: Tensor): Named<'LD' | 'pivots' | 'info'> {
  const name = 'torch.linalg.ldl_factor_ex'
  checkSquare(name, a)
  checkFloating(name, a, true)
  checkKernel('ldl_factor_kernel_cpu', a)
  const n = a.sizes[a.ndim - 1]
  const batch = batchOf(a)
  const LD = empty(a.sizes, a.dtype)
  const pivots = empty([...batch, n], int32)
  const info = empty(batch, int32)
  onHost('factorLDL', [a.detach().contiguous(), LD, pivots, info], 'rwww', (from, to, rows, codes) => {
    const work = new Float64Array(n * n)
    for (let b = 0; b < countOf(batch); b++) {
      load(work, from, b * n * n, n * n)
      for (let i = 0; i < n; i++) work.fill(0, i * n + i + 1, (i + 1) * n)
      codes[b] = factorLDL(work, n, rows as Int32Array, b * n)
      store(work, to, b * n * n, n * n)
    }
  })
  return named({ LD, pivots, info })
}

interface HermitianOptions {
  readonly hermitian?: boolean
}

/** L and D of symmetric matrices in one, the pivots of LAPACK's sytrf, and 0 or the first zero block of D. */
export const linalgLdlFactorEx: (
  a: Tensor,
  options?: HermitianOptions & { readonly checkErrors?: boolean },
) => Named<'LD' | 'pivots' | 'info'> = op({
  name: 'linalgLdlFactorEx',
  python: 'linalg.ldl_factor_ex',
  signature: 'A, *, hermitian, check_errors',
  samples: (t) => [[t(3, 3)], [t(2, 4, 4)]],
  forward: (a: Tensor, _hermitian = false, check = false) => {
    const found = ldlOf(a)
    if (check) checkCodes(found.info, noBlocks('ldl_factor_ex'))
    return found
  },
})

const noBlocks =
  (name: string) =>
  (code: number, where: string): Error =>
    new LinAlgError(`torch.linalg.${name}: ${where}The factorization has a zero block in D at ${code}.`)

/** L and D of symmetric matrices in one, and the pivots of LAPACK's sytrf. Throws LinAlgError if a block of D is zero. */
export const linalgLdlFactor: (a: Tensor, options?: HermitianOptions) => Named<'LD' | 'pivots'> = op({
  name: 'linalgLdlFactor',
  python: 'linalg.ldl_factor',
  signature: 'A, *, hermitian',
  samples: (t) => [[t(3, 3)]],
  forward: (a: Tensor) => {
    const { LD, pivots, info } = ldlOf(a)
    checkCodes(info, noBlocks('ldl_factor'))
    return named({ LD, pivots })
  },
})

/** X of A X = B from what `linalg.ldlFactor` answers. Batch dimensions broadcast. */
export const linalgLdlSolve: (LD: Tensor, pivots: Tensor, b: Tensor, options?: HermitianOptions) => Tensor = op({
  name: 'linalgLdlSolve',
  python: 'linalg.ldl_solve',
  signature: 'LD, pivots, B, *, hermitian',
  samples: (t) => [[dominant(t(3, 3)), filled([3], 3, int32), t(3, 2)]],
  forward: (ld: Tensor, pivots: Tensor, b: Tensor) => {
    const name = 'torch.linalg.ldl_solve'
    checkSquare(name, ld, 'LD')
    checkMatrix(name, b, 'B')
    if (ld.sizes[ld.ndim - 1] !== b.sizes[b.ndim - 2]) {
      throw new RuntimeError(
        `${name}: Incompatible matrix sizes for ldl_solve: each LD matrix is ${ld.sizes[ld.ndim - 1]} by ${ld.sizes[ld.ndim - 1]} but each B matrix is ${b.sizes[b.ndim - 2]} by ${b.sizes[b.ndim - 1]}`,
      )
    }
    if (pivots.dtype.isFloatingPoint)
      throw new RuntimeError(`${name}: Expected pivots to be integers. Got ${pivots.dtype.title}`)
    checkSame(name, ld, b, 'LD', 'B')
    checkKernel('ldl_solve_kernel_cpu', ld)
    const [matrix, side] = broadcastBatches(ld, b)
    const [n, k] = side.sizes.slice(-2)
    const batch = batchOf(side)
    const out = empty(side.sizes, b.dtype)
    const operands = [
      matrix.detach().contiguous(),
      pivots
        .to(int32)
        .expand([...batch, n])
        .contiguous(),
      side.detach().contiguous(),
      out,
    ]
    onHost('ldlSolve', operands, 'rrrw', (from, rows, right, to) => {
      const work = new Float64Array(n * n)
      const columns = new Float64Array(n * k)
      for (let i = 0; i < countOf(batch); i++) {
        load(work, from, i * n * n, n * n)
        load(columns, right, i * n * k, n * k)
        solveLDL(work, n, rows as Int32Array, i * n, columns, k)
        store(columns, to, i * n * k, n * k)
      }
    })
    return out
  },
})
