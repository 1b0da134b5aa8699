// What singular values decide: pseudo-inverses, ranks and least squares.
import { int32, int64 } from '../base/dtype.ts'
import { LinAlgError, RuntimeError } from '../base/errors.ts'
import { type Args, op } from '../tensor/define.ts'
import { atPointers } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import { record, recordAll } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { tracer } from '../tensor/tracer.ts'
import { filled } from './create.ts'
import { amax } from './extreme.ts'
import { leastSquares } from './least.ts'
import { matmul } from './linear.ts'
import { where } from './masks.ts'
import { batchOf, broadcastBatches, checkCodes, checkMatrix, countOf, type Named, named, realOf } from './matrices.ts'
import { isVectors } from './solve.ts'
import { linalgEigh, linalgEigvalsh, linalgSvd, linalgSvdvals } from './spectrum.ts'
import { abs } from './unary.ts'

type Threshold = number | Tensor | null

/** A number, or a tensor with a new last dimension, as a tensor to compare singular values with. */
const asTensor = (x: number | Tensor, like: Tensor): Tensor =>
  x instanceof Tensor ? x.unsqueeze(-1) : filled([], x, like.dtype)

/** Which of the values [..., k] count: those beyond max(atol, rtol * largest). */
function counted(values: Tensor, m: number, n: number, atol: Threshold, rtol: Threshold): Tensor {
  if (values.sizes[values.ndim - 1] === 0) return values.gt(0)
  const eps = values.dtype.name === 'float64' ? 2 ** -52 : 2 ** -23
  const usual = eps * Math.max(m, n)
  let relative = asTensor(rtol ?? usual, values)
  if (rtol === null && atol !== null)
    relative = where(asTensor(atol, values).gt(0), filled([], 0, values.dtype), relative)
  const bound = amax(values, -1, true).mul(relative)
  return values.gt(bound.maximum(asTensor(atol ?? 0, values)))
}

interface PinvOptions {
  readonly rcond?: Threshold
  readonly hermitian?: boolean
  readonly atol?: Threshold
  readonly rtol?: Threshold
}

/** torch's pinv_backward (Golub and Pereyra 1973). */
function pinvGradient(g: Tensor, pinv: Tensor, a: Tensor): Tensor {
  const [m, n] = a.sizes.slice(-2)
  const up = pinv.mT
  const turned = g.mT
  if (m <= n) {
    const k = matmul(turned, pinv)
    const kp = matmul(k, up)
    return kp
      .sub(matmul(pinv, k).mT)
      .sub(matmul(matmul(a, pinv), kp))
      .add(matmul(matmul(up, pinv), turned.sub(matmul(k, a))))
  }
  const k = matmul(pinv, turned)
  const pk = matmul(up, k)
  return matmul(matmul(turned.sub(matmul(a, k)), pinv), up)
    .sub(matmul(k, pinv).mT)
    .add(pk)
    .sub(matmul(matmul(pk, pinv), a))
}

function pinvOf(a: Tensor, atol: Threshold, rtol: Threshold, hermitian: boolean): Tensor {
  const [m, n] = a.sizes.slice(-2)
  const out = noGrad(() => {
    if (a.count === 0) return empty([...batchOf(a), n, m], a.dtype)
    const inverted = (values: Tensor, sizes: Tensor): Tensor =>
      where(counted(sizes, m, n, atol, rtol), values.reciprocal(), filled([], 0, a.dtype)).unsqueeze(-2)
    if (hermitian) {
      const { eigenvalues, eigenvectors } = linalgEigh(a.detach())
      return matmul(eigenvectors.mul(inverted(eigenvalues, abs(eigenvalues))), eigenvectors.mT)
    }
    const { U, S, Vh } = linalgSvd(a.detach(), false)
    return matmul(Vh.mT.mul(inverted(S, S)), U.mT)
  })
  return record(out, 'LinalgPinvBackward0', [a], [out, a], (g, [found, matrix]) => [pinvGradient(g, found, matrix)])
}

function checkPinv(a: Tensor): void {
  if (a.ndim >= 2 && (a.dtype.name === 'float32' || a.dtype.name === 'float64')) return
  throw new RuntimeError(
    `linalg.pinv(${a.dtype.title}{[${a.sizes.join(', ')}]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types`,
  )
}

/**
 * The Moore-Penrose pseudo-inverses [..., n, m] of matrices [..., m, n]. Singular values up to max(atol, rtol * largest)
 * count as zero; rtol is eps * max(m, n) unless given (`rcond` is another name of it). A symmetric A may say `hermitian`.
 */
export const linalgPinv: (a: Tensor, ...args: Args<[rcond?: Threshold, hermitian?: boolean], PinvOptions>) => Tensor =
  op({
    name: 'linalgPinv',
    python: 'linalg.pinv',
    signature: 'A, rcond, hermitian, *, atol, rtol',
    samples: (t) => [[t(3, 3)], [t(2, 4, 3)], [t(3, 4)]],
    differentiable: true,
    forward: (
      a: Tensor,
      rcond: Threshold = null,
      hermitian = false,
      atol: Threshold = null,
      rtol: Threshold = null,
    ) => {
      checkPinv(a)
      return pinvOf(a, atol, rtol ?? rcond, hermitian)
    },
  })

/** `linalg.pinv` with `rcond` of 1e-15. */
export const pinverse: (a: Tensor, ...args: Args<[rcond?: number], { readonly rcond?: number }>) => Tensor = op({
  name: 'pinverse',
  signature: 'input, rcond',
  samples: (t) => [[t(3, 3)], [t(3, 4)]],
  differentiable: true,
  forward: (a: Tensor, rcond = 1e-15) => {
    checkPinv(a)
    return pinvOf(a, 0, rcond, false)
  },
})

interface RankOptions {
  readonly tol?: Threshold
  readonly hermitian?: boolean
  readonly atol?: Threshold
  readonly rtol?: Threshold
}

/** The ranks of matrices [..., m, n], int64: how many singular values exceed max(atol, rtol * largest); `tol` is an atol alone. */
export const linalgMatrixRank: (
  a: Tensor,
  ...args: Args<[tol?: Threshold, hermitian?: boolean], RankOptions>
) => Tensor = op({
  name: 'linalgMatrixRank',
  python: 'linalg.matrix_rank',
  signature: 'A, tol, hermitian, *, atol, rtol',
  samples: (t) => [[t(3, 3)], [t(2, 4, 3)], [t(3, 4), 0.5]],
  forward: (a: Tensor, tol: Threshold = null, hermitian = false, atol: Threshold = null, rtol: Threshold = null) => {
    checkMatrix('torch.linalg.matrix_rank', a, 'input')
    if (a.dtype.name !== 'float32' && a.dtype.name !== 'float64')
      throw new RuntimeError("This function doesn't handle types other than float and double")
    const [m, n] = a.sizes.slice(-2)
    if (a.count === 0) return filled(batchOf(a), 0, int64)
    const x = a.detach()
    const values = hermitian ? abs(linalgEigvalsh(x)) : linalgSvdvals(x)
    return counted(values, m, n, atol ?? tol, tol === null ? rtol : 0).sum(-1)
  },
})

type Driver = 'gels' | 'gelsy' | 'gelsd' | 'gelss'

interface LstsqOptions {
  readonly rcond?: number | null
  readonly driver?: Driver | null
}

/**
 * Least squares solutions by QR, as LAPACK's gels: the smallest ones where there are many. Null if singular values may be as
 * small as `least` times the largest.
 */
function fullRank(a: Tensor, b: Tensor, least: number): Tensor | null {
  const [m, n] = a.sizes.slice(-2)
  const k = b.sizes[b.ndim - 1]
  const x = empty([...batchOf(a), n, k], a.dtype)
  const [matrix, side] = [a.contiguous(), b.contiguous()]
  const dense = device().dense()
  const dtype = realOf(matrix)
  const count = countOf(batchOf(a))
  let clear = false
  const info = empty(batchOf(a), int32)
  const operands = [matrix.pointer, side.pointer, x.pointer, info.pointer]
  atPointers('leastSquares', operands, 'rrww', ([a, b, x, codes]) => {
    clear = leastSquares(dense, dtype, count, m, n, k, a, b, x, codes, least)
  })
  if (clear) {
    checkCodes(
      info,
      (code, where) =>
        new LinAlgError(
          `torch.linalg.lstsq: ${where}The least squares solution could not be computed because the input matrix does not have full rank (error code: ${code}).`,
        ),
    )
  }
  return clear ? x : null
}

/** Solution, rank and singular values of batches of equal sizes, without recording. */
function solution(a: Tensor, b: Tensor, rcond: number | null, driver: Driver): Record<'x' | 'rank' | 'values', Tensor> {
  const nothing = empty([0], a.dtype)
  if (driver === 'gels') return { x: fullRank(a, b, 0)!, rank: empty([0], int64), values: nothing }
  const [m, n] = a.sizes.slice(-2)
  const usual = (a.dtype.name === 'float64' ? 2 ** -52 : 2 ** -23) * Math.max(m, n)
  // Where singular values leave no doubt that all count, the solution is that of gels. A trace must not depend on that.
  if (driver === 'gelsy' && tracer === null && a.count > 0) {
    const x = fullRank(a, b, rcond === null || rcond < 0 ? usual : rcond)
    const full = b.count > 0 ? Math.min(m, n) : 0
    if (x) return { x, rank: filled(batchOf(a), full, int64), values: nothing }
  }
  const { U, S, Vh } = linalgSvd(a, false)
  const kept = counted(S, m, n, 0, rcond === null ? usual : rcond)
  const inverse = where(kept, S.reciprocal(), filled([], 0, a.dtype)).unsqueeze(-1)
  const x = matmul(Vh.mT, matmul(U.mT, b).mul(inverse))
  return { x, rank: kept.sum(-1), values: driver === 'gelsy' ? nothing : S }
}

/**
 * X that makes A X - B smallest, for A [..., m, n] and B [..., m, k] or [..., m]: the solution; with m > n and full rank the
 * sums of squares left (not for 'gelsy', the default driver); the ranks (not for 'gels'); singular values ('gelsd', 'gelss').
 */
export const linalgLstsq: (
  a: Tensor,
  b: Tensor,
  ...args: Args<[rcond?: number | null], LstsqOptions>
) => Named<'solution' | 'residuals' | 'rank' | 'singularValues'> = op({
  name: 'linalgLstsq',
  python: 'linalg.lstsq',
  signature: 'A, B, rcond, *, driver',
  samples: (t) => [
    [t(4, 3), t(4, 2)],
    [t(4, 3), t(4), { driver: 'gels' }],
    [t(2, 3, 4), t(2, 3, 2), { driver: 'gels' }],
  ],
  differentiable: true,
  forward: (a: Tensor, b: Tensor, rcond: number | null = null, driver: Driver | null = null) => {
    const name = 'torch.linalg.lstsq'
    if (a.ndim < 2) throw new RuntimeError(`${name}: input must have at least 2 dimensions.`)
    if (b.ndim < 1) throw new RuntimeError(`${name}: other must have at least 1 dimension.`)
    const vectors = isVectors(a, b)
    const side = vectors ? b.unsqueeze(-1) : b
    if (a.sizes[a.ndim - 2] !== side.sizes[side.ndim - 2]) {
      throw new RuntimeError(
        vectors
          ? `${name}: input.size(-2) should match other.size(-1)`
          : `${name}: input.size(-2) should match other.size(-2)`,
      )
    }
    if (a.dtype !== b.dtype)
      throw new RuntimeError(
        `${name}: Expected input and other to have the same dtype, but got input's dtype ${a.dtype.title} and other's dtype ${b.dtype.title}`,
      )
    if (a.dtype.name !== 'float32' && a.dtype.name !== 'float64')
      throw new RuntimeError(`Expected a floating point or complex tensor as input. Got ${a.dtype.title}`)
    const chosen = driver ?? 'gelsy'
    if (!['gels', 'gelsy', 'gelsd', 'gelss'].includes(chosen))
      throw new RuntimeError(`${name}: parameter \`driver\` should be one of (gels, gelsy, gelsd, gelss)`)
    const [matrix, right] = broadcastBatches(a, side)
    const [m, n] = matrix.sizes.slice(-2)
    const found = noGrad(() => solution(matrix.detach(), right.detach(), rcond, chosen))
    const { x, rank, values } = found
    const counts = m > n && chosen !== 'gelsy' && (chosen === 'gels' || rank.eq(n).all().item<boolean>())
    const residuals = noGrad(() =>
      counts ? matmul(matrix.detach(), x).sub(right.detach()).pow(2).sum(-2) : empty([0], a.dtype),
    )
    recordAll([x, residuals], 'LinalgLstsqBackward0', [matrix, right], [matrix, right, x], ([gx, gl], [A, B, X]) => {
      let ga: Tensor | null = null
      let gb: Tensor | null = null
      if (gx) {
        const pinv = linalgPinv(A)
        ga = pinvGradient(matmul(gx, B.mT), pinv, A)
        gb = matmul(pinv.mT, gx)
      }
      if (gl && counts) {
        const left = matmul(A, X).sub(B).mul(gl.unsqueeze(-2)).mul(2)
        const more = matmul(left, X.mT)
        ga = ga ? ga.add(more) : more
        gb = gb ? gb.sub(left) : left.neg()
      }
      return [ga, gb]
    })
    return named({
      solution: vectors ? x.squeeze(-1) : x,
      residuals,
      rank,
      singularValues: values,
    })
  },
})
