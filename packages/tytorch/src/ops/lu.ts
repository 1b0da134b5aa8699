// LU factors with partial pivoting and what is made of them: linalg.lu and its kin, lu_solve, and determinants.
import { int32 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { type Args, type Out, op } from '../tensor/define.ts'
import { atPointers, onHost } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, recordAll } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { mul } from './arithmetic.ts'
import { diagEmbed } from './arrange.ts'
import { eq } from './compare.ts'
import { filled } from './create.ts'
import { factorLU, solveLU } from './factor.ts'
import { cat } from './join.ts'
import { matmul } from './linear.ts'
import { maskedFill } from './masks.ts'
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
  type Floats,
  type Named,
  named,
  realOf,
} from './matrices.ts'
import { narrow } from './slice.ts'
import { checkFits, dominant, solveTriangle } from './triangular.ts'

/** LU factors, pivots (int32, from 1) and codes of a batch of matrices, without recording. */
export function luOf(a: Tensor): Named<'LU' | 'pivots' | 'info'> {
  const [m, n] = a.sizes.slice(-2)
  const k = Math.min(m, n)
  const batch = batchOf(a)
  const LU = empty(a.sizes, a.dtype)
  const pivots = empty([...batch, k], int32)
  const info = empty(batch, int32)
  const source = a.detach().contiguous()
  const operands = [source.pointer, LU.pointer, pivots.pointer, info.pointer]
  const dense = device().dense()
  // A trace keeps the routine: it must not see a tensor.
  const dtype = realOf(a)
  atPointers('factorLU', operands, 'rwww', ([from, to, rows, codes]) =>
    factorLU(dense, dtype, countOf(batch), m, n, from, to, rows, codes),
  )
  return named({ LU, pivots, info })
}

/**
 * X of A X = B (A^T X = B if `transposed`) for batches of equal sizes, without recording; without `b` the inverses (of
 * the transposes).
 */
export function luSolved(lu: Tensor, pivots: Tensor, b: Tensor | null, transposed: boolean): Tensor {
  const { sizes } = b ?? lu
  const [n, k] = sizes.slice(-2)
  const out = empty(sizes, lu.dtype)
  if (out.count === 0) return out
  const factors = lu.detach().contiguous()
  const rows = pivots.contiguous()
  const right = b?.detach().contiguous()
  const operands = [factors.pointer, rows.pointer, out.pointer]
  if (right) operands.push(right.pointer)
  const count = countOf(sizes.slice(0, -2))
  const dense = device().dense()
  const dtype = realOf(lu)
  atPointers('luSolve', operands, right ? 'rrwr' : 'rrw', ([factors, rows, x, b = 0]) =>
    solveLU(dense, dtype, count, n, k, factors, rows, b, x, transposed),
  )
  return out
}

/** The permutation matrices P of A = P L U. */
function permutation(pivots: Tensor, m: number, like: Tensor): Tensor {
  const batch = pivots.sizes.slice(0, -1)
  const k = pivots.sizes[pivots.ndim - 1]
  const out = empty([...batch, m, m], like.dtype)
  onHost('permutation', [pivots.contiguous(), out], 'rw', (rows, to) => {
    const exchanges = rows as Int32Array
    const target = (to as Floats).fill(0)
    const order = new Int32Array(m)
    for (let b = 0; b < countOf(batch); b++) {
      for (let i = 0; i < m; i++) order[i] = i
      for (let i = 0; i < k; i++) {
        const other = exchanges[b * k + i] - 1
        const kept = order[i]
        order[i] = order[other]
        order[other] = kept
      }
      for (let i = 0; i < m; i++) target[b * m * m + order[i] * m + i] = 1
    }
  })
  return out
}

/** L [..., m, k] with its unit diagonal, and U [..., k, n], of packed factors; recorded as views and masks are. */
function unpacked(lu: Tensor): [Tensor, Tensor] {
  const [m, n] = lu.sizes.slice(-2)
  const k = Math.min(m, n)
  const ones = diagEmbed(filled([k], 1, lu.dtype))
  const unit = m > k ? cat([ones, filled([m - k, k], 0, lu.dtype)], 0) : ones
  return [narrow(lu, -1, 0, k).tril(-1).add(unit), narrow(lu, -2, 0, k).triu()]
}

/** The gradient of A from those of the packed factors (torch's linalg_lu_backward). */
function luGradient(g: Tensor, lu: Tensor, pivots: Tensor): Tensor {
  const [m, n] = lu.sizes.slice(-2)
  const k = Math.min(m, n)
  const [l, u] = unpacked(lu)
  const gl = narrow(g, -1, 0, k).tril(-1)
  const gu = narrow(g, -2, 0, k).triu()
  const back = (x: Tensor): Tensor => matmul(permutation(pivots, m, g), x)
  if (m === n) {
    const inner = matmul(l.mT, gl).tril(-1).add(matmul(gu, u.mT).triu())
    return back(solveTriangle(l.mT, solveTriangle(u.mT, inner, false, false, false), true, true, true))
  }
  if (m < n) {
    const u1 = narrow(u, -1, 0, k)
    const inner = matmul(l.mT, gl).sub(matmul(gu, u.mT)).tril(-1)
    const first = solveTriangle(u1.mT, inner, false, false, false).add(narrow(gu, -1, 0, k).triu())
    const whole = cat([first, narrow(gu, -1, k, n - k)], -1)
    return back(solveTriangle(l.mT, whole, true, true, true))
  }
  const l1 = narrow(l, -2, 0, k)
  const inner = matmul(gu, u.mT).sub(matmul(l.mT, gl)).triu()
  const first = solveTriangle(l1.mT, inner, true, true, true).add(narrow(gl, -2, 0, k).tril(-1))
  const whole = cat([first, narrow(gl, -2, k, m - k)], -2)
  return back(solveTriangle(u.mT, whole, false, false, false))
}

/** Packed factors, recorded. */
function factored(name: string, a: Tensor, pivot: boolean): Named<'LU' | 'pivots' | 'info'> {
  if (a.ndim < 2)
    throw new RuntimeError(
      `${name}: Expected tensor with 2 or more dimensions. Got size: [${a.sizes.join(', ')}] instead`,
    )
  checkKernel('lu_cpu', a)
  if (!pivot) throw new RuntimeError('linalg.lu_factor: LU without pivoting is not implemented on the CPU')
  const found = luOf(a)
  record(found.LU, 'LinalgLuFactorExBackward0', [a], [found.LU, found.pivots], (g, [lu, pivots]) => [
    luGradient(g, lu, pivots),
  ])
  return found
}

const noFactors =
  (name: string) =>
  (code: number, where: string): Error =>
    new RuntimeError(
      `torch.linalg.${name}: ${where}U[${code},${code}] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)`,
    )

interface PivotOptions {
  readonly pivot?: boolean
}

/** P L U of matrices [..., m, n] in one matrix, the pivots (int32, from 1), and 0 or the first zero pivot of each. */
export const linalgLuFactorEx: (
  a: Tensor,
  options?: PivotOptions & { readonly checkErrors?: boolean },
) => Named<'LU' | 'pivots' | 'info'> = op({
  name: 'linalgLuFactorEx',
  python: 'linalg.lu_factor_ex',
  signature: 'A, *, pivot, check_errors',
  samples: (t) => [[t(3, 3)], [t(2, 3, 3)], [t(4, 3)], [t(3, 4)]],
  differentiable: true,
  forward: (a: Tensor, pivot = true, check = false) => {
    const found = factored('torch.lu_factor_ex', a, pivot)
    if (check) checkCodes(found.info, noFactors('lu_factor_ex'))
    return found
  },
})

/** P L U in one matrix, and the pivots (int32, from 1). Throws RuntimeError if a pivot is zero. */
export const linalgLuFactor: (a: Tensor, options?: PivotOptions) => Named<'LU' | 'pivots'> = op({
  name: 'linalgLuFactor',
  python: 'linalg.lu_factor',
  signature: 'A, *, pivot',
  samples: (t) => [[t(3, 3)]],
  differentiable: true,
  forward: (a: Tensor, pivot = true) => {
    const { LU, pivots, info } = factored('torch.lu_factor', a, pivot)
    checkCodes(info, noFactors('lu_factor'))
    return named({ LU, pivots })
  },
})

/** As `linalg.luFactorEx`, without the codes unless `getInfos`. */
export const lu: (
  a: Tensor,
  ...args: Args<[pivot?: boolean, getInfos?: boolean], PivotOptions & { readonly getInfos?: boolean }>
) => Tensor[] = op({
  name: 'lu',
  signature: 'A, pivot, get_infos',
  samples: (t) => [[t(3, 3)]],
  differentiable: true,
  forward: (a: Tensor, pivot = true, getInfos = false) => {
    const { LU, pivots, info } = factored('torch.lu_factor', a, pivot)
    return getInfos ? [LU, pivots, info] : [LU, pivots]
  },
})

interface UnpackOptions {
  readonly unpackData?: boolean
  readonly unpackPivots?: boolean
}

/** P, L and U of what `linalg.luFactor` answers; empty tensors for what is not asked for. */
export const luUnpack: (
  LU: Tensor,
  pivots: Tensor,
  ...args: Args<[unpackData?: boolean, unpackPivots?: boolean], UnpackOptions>
) => Named<'P' | 'L' | 'U'> = op({
  name: 'luUnpack',
  signature: 'LU_data, LU_pivots, unpack_data, unpack_pivots',
  node: 'LuUnpackBackward0',
  samples: (t) => [
    [t(3, 3), filled([3], 3, int32)],
    [t(4, 3), filled([3], 4, int32)],
    [t(3, 4), filled([3], 3, int32)],
  ],
  differentiable: true,
  forward: (packed: Tensor, pivots: Tensor, data = true, rows = true) => {
    checkMatrix('torch.lu_unpack', packed, 'LU_data')
    if (rows && pivots.dtype !== int32) {
      throw new RuntimeError(
        'torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this function is intended to be used with the output produced by torch.linalg.lu_factor',
      )
    }
    const m = packed.sizes[packed.ndim - 2]
    const nothing = (): Tensor => empty([0], packed.dtype)
    const [L, U] = data ? unpacked(packed) : [nothing(), nothing()]
    return named({ P: rows ? permutation(pivots, m, packed) : nothing(), L, U })
  },
})

/** P, L and U with A = P L U, for matrices [..., m, n]. */
export const linalgLu: (a: Tensor, options?: PivotOptions) => Named<'P' | 'L' | 'U'> = op({
  name: 'linalgLu',
  python: 'linalg.lu',
  signature: 'A, *, pivot',
  node: 'LinalgLuBackward0',
  samples: (t) => [[t(3, 3)], [t(2, 4, 3)], [t(3, 4)]],
  differentiable: true,
  forward: (a: Tensor, pivot = true) => {
    const { LU, pivots } = factored('linalg.lu', a, pivot)
    return luUnpack(LU, pivots)
  },
})

interface LuSolveOptions {
  readonly left?: boolean
  readonly adjoint?: boolean
}

/** The solution for batches of equal sizes, recorded. */
function solvedLU(packed: Tensor, pivots: Tensor, b: Tensor, left: boolean, adjoint: boolean): Tensor {
  const out = left ? luSolved(packed, pivots, b, adjoint) : luSolved(packed, pivots, b.mT, !adjoint).mT
  return record(out, 'LinalgLuSolveBackward0', [packed, b], [packed, pivots, out], (g, [factors, rows, x], needs) => {
    const gb = solvedLU(factors, rows, g, left, !adjoint)
    if (!needs[0]) return [null, gb]
    const inner = left ? matmul(gb, x.mT) : matmul(x.mT, gb)
    const ga = (adjoint ? inner.mT : inner).neg()
    const [l, u] = unpacked(factors)
    const turned = matmul(permutation(rows, factors.sizes[factors.ndim - 2], g).mT, ga)
    return [matmul(turned, u.mT).tril(-1).add(matmul(l.mT, turned).triu()), gb]
  })
}

/** X of A X = B, from A's factors; X A = B if `left` is false, and A^T for A if `adjoint`. Batch dimensions broadcast. */
export const linalgLuSolve: (LU: Tensor, pivots: Tensor, b: Tensor, options?: LuSolveOptions) => Tensor = op({
  name: 'linalgLuSolve',
  python: 'linalg.lu_solve',
  signature: 'LU, pivots, B, *, left, adjoint',
  samples: (t) => [
    [dominant(t(3, 3)), filled([3], 3, int32), t(3, 2)],
    [dominant(t(3, 3)), filled([3], 3, int32), t(2, 4, 3), { left: false }],
    [dominant(t(3, 3)), filled([3], 3, int32), t(3, 2), { adjoint: true }],
  ],
  differentiable: true,
  forward: (packed: Tensor, pivots: Tensor, b: Tensor, left = true, adjoint = false) => {
    const name = 'linalg.lu_solve'
    checkFloating(name, packed)
    if (pivots.dtype !== int32) throw new RuntimeError(`${name}: pivots should be a Tensor of scalar type torch.int32`)
    checkSame(name, packed, b, 'LU', 'B')
    checkSquare(name, packed, 'LU')
    checkMatrix(name, b, 'B')
    checkFits(name, packed, b, left)
    if (pivots.sizes[pivots.ndim - 1] !== packed.sizes[packed.ndim - 1])
      throw new RuntimeError(`${name}: Number of pivots per batch should be same as the dimension of the matrix`)
    const [matrix, side] = broadcastBatches(packed, b)
    const batch = batchOf(matrix)
    return solvedLU(matrix, pivots.expand([...batch, pivots.sizes[pivots.ndim - 1]]), side, left, adjoint)
  },
})

/** X of A X = B, from A's factors as `linalg.luFactor` answers them. Use `linalg.luSolve`. */
export const luSolve: (b: Tensor, LU: Tensor, pivots: Tensor) => Tensor = op({
  name: 'luSolve',
  signature: 'b, LU_data, LU_pivots',
  samples: (t) => [[t(3, 2), dominant(t(3, 3)), filled([3], 3, int32)]],
  differentiable: true,
  forward: (b: Tensor, packed: Tensor, pivots: Tensor) => linalgLuSolve(packed, pivots, b),
})

/** Sign of the determinants of factored matrices, with their diagonals' product or its logarithm. */
function determinants(packed: Tensor, pivots: Tensor): { product: Tensor; sign: Tensor; log: Tensor } {
  const batch = batchOf(packed)
  const n = packed.sizes[packed.ndim - 1]
  const outs = [empty(batch, packed.dtype), empty(batch, packed.dtype), empty(batch, packed.dtype)]
  onHost('determinant', [packed, pivots, ...outs], 'rrwww', (from, rows, products, signs, logs) => {
    const factors = from as Floats
    const exchanges = rows as Int32Array
    for (let b = 0; b < countOf(batch); b++) {
      let odd = false
      let sign = 1
      let product = 1
      let log = 0
      // The logarithm of a product in range, for one of each factor takes longer than the factors themselves.
      let run = 1
      for (let i = 0; i < n; i++) {
        const d = factors[b * n * n + i * n + i]
        if (exchanges[b * n + i] !== i + 1) odd = !odd
        product *= d
        const size = Math.abs(d)
        sign = d > 0 ? sign : d < 0 ? -sign : 0
        const next = run * size
        if (next > 1e-200 && next < 1e200) run = next
        else {
          log += Math.log(run) + Math.log(size)
          run = 1
        }
      }
      products[b] = odd ? -product : product
      signs[b] = odd ? -sign : sign
      logs[b] = log + Math.log(run)
    }
  })
  return { product: outs[0], sign: outs[1], log: outs[2] }
}

/** g times the transposed inverse, for one g a matrix. */
function inverseTimes(a: Tensor, g: Tensor, packed: Tensor, pivots: Tensor): Tensor {
  const n = a.sizes[a.ndim - 1]
  const scaled = diagEmbed(g.unsqueeze(-1).expand([...g.sizes, n]))
  if (!isGradEnabled()) return luSolved(packed, pivots, scaled, true)
  const found = factored('linalg.det', a.mT, true)
  return solvedLU(found.LU, found.pivots, scaled, true, false)
}

/** The determinants of square matrices [..., n, n]. */
export const linalgDet: (a: Tensor) => Tensor = op({
  name: 'linalgDet',
  python: 'linalg.det',
  signature: 'A',
  samples: (t) => [[t(3, 3)], [t(2, 3, 3)], [t(1, 1)]],
  differentiable: true,
  forward: (a: Tensor) => determinantOf(a),
})

function determinantOf(a: Tensor): Tensor {
  checkSquare('linalg.det', a)
  checkFloating('linalg.det', a, true)
  checkKernel('lu_cpu', a)
  const { LU, pivots } = luOf(a)
  const { product } = determinants(LU, pivots)
  return record(product, 'LinalgDetBackward0', [a], [a, product, LU, pivots], (g, [matrix, value, packed, rows]) => {
    // The determinant is smooth where the matrix is singular too: a small pivot instead of zero gives its gradient.
    const d = packed.diagonal(0, -2, -1)
    const tiny = a.dtype.name === 'float64' ? 2 ** -52 : 2 ** -23
    if (isGradEnabled()) return [inverseTimes(matrix, mul(g, value), packed, rows)]
    const fixed = packed.add(diagEmbed(mul(eq(d, 0).to(d.dtype), tiny)))
    const whole = mul(g, determinants(fixed.contiguous(), rows).product)
    return [inverseTimes(matrix, whole, fixed, rows)]
  })
}

function signAndLog(name: string, a: Tensor): [Tensor, Tensor] {
  checkSquare(name, a)
  checkFloating(name, a)
  const { LU, pivots } = luOf(a)
  const { sign, log } = determinants(LU, pivots)
  recordAll([sign, log], 'LinalgSlogdetBackward0', [a], [a, LU, pivots], ([, g], [matrix, packed, rows]) => [
    g ? inverseTimes(matrix, g, packed, rows) : null,
  ])
  return [sign, log]
}

/** Sign (0 for a singular matrix) and logarithm of the size of the determinants of square matrices. */
export const linalgSlogdet: (a: Tensor, options?: Out) => Named<'sign' | 'logabsdet'> = op({
  name: 'linalgSlogdet',
  python: 'linalg.slogdet',
  signature: 'A',
  samples: (t) => [[t(3, 3)], [t(2, 3, 3)]],
  differentiable: true,
  forward: (a: Tensor) => {
    const [sign, logabsdet] = signAndLog('linalg.slogdet', a)
    return named({ sign, logabsdet })
  },
})

/** The logarithm of the determinants of square matrices; NaN where they are negative. */
export const logdet: (a: Tensor) => Tensor = op({
  name: 'logdet',
  signature: 'input',
  lastNode: 'WhereBackward0',
  samples: (t) => [[dominant(t(3, 3))], [dominant(t(2, 2, 2))]],
  differentiable: true,
  forward: (a: Tensor) => {
    const [sign, log] = signAndLog('logdet', a)
    return maskedFill(log, eq(sign.detach(), -1), Number.NaN)
  },
})

/** The determinants of square matrices: `linalg.det`. */
export const det = linalgDet
/** Sign and logarithm of determinants: `linalg.slogdet`. */
export const slogdet = linalgSlogdet
