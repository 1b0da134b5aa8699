// Systems of linear equations, inverses, determinants and norms of complex matrices: Gaussian elimination in double
// precision on the host, and what follows from it. Decompositions of complex matrices are refused.
import { float64, int32, toRealType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { numelOf } from '../base/shape.ts'
import { complexOps, notImplemented } from '../tensor/complex.ts'
import { onHost } from '../tensor/host.ts'
import { record, recordAll } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { complex } from './complex.ts'
import { eye } from './create.ts'
import { matmul } from './linear.ts'
import { broadcastBatches, checkCodes, checkMatrix, checkSame, checkSquare, named } from './matrices.ts'
import { linalgMatrixNorm, type MatrixOrder } from './norms.ts'
import { isVectors, noInverse, singular } from './solve.ts'
import { checkFits } from './triangular.ts'

/** A row-major complex matrix in double precision, real and imaginary parts side by side. */
type Matrix = Float64Array

/** row `to` -= factor * row `from`, from column `start` on, of rows of `width` numbers. */
function subtract(m: Matrix, width: number, to: number, from: number, start: number, re: number, im: number): void {
  for (let j = start; j < width; j++) {
    const s = 2 * (from * width + j)
    const t = 2 * (to * width + j)
    m[t] -= re * m[s] - im * m[s + 1]
    m[t + 1] -= re * m[s + 1] + im * m[s]
  }
}

function exchange(m: Matrix, width: number, a: number, b: number): void {
  for (let j = 0; j < 2 * width; j++) {
    const kept = m[2 * a * width + j]
    m[2 * a * width + j] = m[2 * b * width + j]
    m[2 * b * width + j] = kept
  }
}

/** x / y of complex numbers, without overflow on the way (Smith's method). */
function quotient(xr: number, xi: number, yr: number, yi: number): [number, number] {
  if (Math.abs(yr) >= Math.abs(yi)) {
    const ratio = yi / yr
    const whole = yr + yi * ratio
    return [(xr + xi * ratio) / whole, (xi - xr * ratio) / whole]
  }
  const ratio = yr / yi
  const whole = yr * ratio + yi
  return [(xr * ratio + xi) / whole, (xi * ratio - xr) / whole]
}

/**
 * Eliminates `a` [n, n] with partial pivoting, does the same to `b` [n, k] and solves for it there. Answers the position
 * of the first zero pivot (from 1; 0: none), the determinant, and its sign and logarithm.
 */
function eliminate(a: Matrix, b: Matrix, n: number, k: number): { info: number; value: readonly number[] } {
  let info = 0
  let [sr, si, log, pr, pi] = [1, 0, 0, 1, 0]
  for (let c = 0; c < n; c++) {
    let best = c
    const size = (row: number): number => Math.abs(a[2 * (row * n + c)]) + Math.abs(a[2 * (row * n + c) + 1])
    for (let row = c + 1; row < n; row++) if (size(row) > size(best)) best = row
    if (best !== c) {
      exchange(a, n, c, best)
      exchange(b, k, c, best)
      ;[sr, si, pr, pi] = [-sr, -si, -pr, -pi]
    }
    const [re, im] = [a[2 * (c * n + c)], a[2 * (c * n + c) + 1]]
    ;[pr, pi] = [pr * re - pi * im, pr * im + pi * re]
    const length = Math.hypot(re, im)
    log += Math.log(length)
    if (length === 0) {
      if (info === 0) info = c + 1
      ;[sr, si] = [0, 0]
      continue
    }
    ;[sr, si] = [(sr * re - si * im) / length, (sr * im + si * re) / length]
    for (let row = c + 1; row < n; row++) {
      const at = 2 * (row * n + c)
      if (a[at] === 0 && a[at + 1] === 0) continue
      const [fr, fi] = quotient(a[at], a[at + 1], re, im)
      subtract(a, n, row, c, c + 1, fr, fi)
      subtract(b, k, row, c, 0, fr, fi)
    }
  }
  for (let c = n - 1; c >= 0; c--) {
    const [re, im] = [a[2 * (c * n + c)], a[2 * (c * n + c) + 1]]
    for (let j = 0; j < k; j++) {
      const at = 2 * (c * k + j)
      ;[b[at], b[at + 1]] = quotient(b[at], b[at + 1], re, im)
    }
    for (let row = 0; row < c; row++) subtract(b, k, row, c, 0, a[2 * (row * n + c)], a[2 * (row * n + c) + 1])
  }
  return { info, value: [sr, si, log, pr, pi] }
}

interface Eliminated {
  /** X of A X = B. */
  readonly solution: Tensor
  readonly info: Tensor
  /** Sign (two numbers), logarithm and determinant (two numbers): float64 [..., 5]. */
  readonly value: Tensor
}

/** Eliminates matrices [..., n, n] with right sides [..., n, k] of equal batches, without recording. */
function eliminated(a: Tensor, b: Tensor): Eliminated {
  const n = a.size(-1)
  const k = b.size(-1)
  const batch = a.sizes.slice(0, -2)
  const count = numelOf(batch)
  const [left, right] = [a, b].map((x) => x.detach().viewAsReal().contiguous())
  const out = empty([...batch, n, k, 2], toRealType(a.dtype))
  const info = empty(batch, int32)
  const value = empty([...batch, 5], float64)
  onHost('complex elimination', [left, right, out, info, value], 'rrwww', (from, side, to, codes, values) => {
    for (let i = 0; i < count; i++) {
      const matrix = Float64Array.from((from as Float64Array).subarray(2 * i * n * n, 2 * (i + 1) * n * n))
      const sides = Float64Array.from((side as Float64Array).subarray(2 * i * n * k, 2 * (i + 1) * n * k))
      const found = eliminate(matrix, sides, n, k)
      ;(to as Float64Array).set(sides, 2 * i * n * k)
      codes[i] = found.info
      ;(values as Float64Array).set(found.value, 5 * i)
    }
  })
  return { solution: out.viewAsComplex(), info, value }
}

/** The transposed conjugate. */
const hermitian = (x: Tensor): Tensor => x.mT.conj()

/** X of A X = B, recorded: the gradient of B solves the conjugate transposed system. */
function solved(name: string, a: Tensor, b: Tensor): { result: Tensor; info: Tensor } {
  const { solution, info } = eliminated(a, b)
  record(solution, name, [a, b], [a, solution], (g, [matrix, x], needs) => {
    const gb = solved(name, hermitian(matrix), g).result
    return [needs[0] ? matmul(gb, hermitian(x)).neg() : null, gb]
  })
  return { result: solution, info }
}

complexOps.set('linalgSolve', (a: Tensor, b: Tensor, left = true): Tensor => {
  checkSame('linalg.solve', a, b)
  checkSquare('linalg.solve', a)
  const vectors = isVectors(a, b)
  if (vectors && !left) {
    throw new RuntimeError(
      'linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)',
    )
  }
  const side = vectors ? b.unsqueeze(-1) : b
  checkMatrix('linalg.solve', side, 'B')
  checkFits('linalg.solve', a, side, left)
  const [matrix, right] = broadcastBatches(a, side)
  const name = 'LinalgSolveExBackward0'
  const { result, info } = left ? solved(name, matrix, right) : solved(name, matrix.mT, right.mT)
  checkCodes(info, singular('solve'))
  if (!left) return result.mT
  return vectors ? result.squeeze(-1) : result
})

/** The inverse, recorded, and where there is none. */
function inverted(a: Tensor): { inverse: Tensor; info: Tensor } {
  checkSquare('linalg.inv', a)
  const one = eye(a.size(-1), { dtype: toRealType(a.dtype) }).to(a.dtype)
  const { solution, info } = eliminated(a, one.expand(a.sizes))
  record(solution, 'LinalgInvExBackward0', [a], [solution], (g, [x]) => {
    const turned = hermitian(x)
    return [matmul(turned, matmul(g, turned)).neg()]
  })
  return { inverse: solution, info }
}

function inverse(a: Tensor): Tensor {
  const found = inverted(a)
  checkCodes(found.info, noInverse('inv'))
  return found.inverse
}
complexOps.set('linalgInv', inverse)
complexOps.set('linalgInvEx', (a: Tensor, check = false) => {
  const found = inverted(a)
  if (check) checkCodes(found.info, noInverse('inv_ex'))
  return named({ inverse: found.inverse, info: found.info })
})

/** Two neighbouring numbers of the values of an elimination as complex ones of `a`'s dtype. */
const pairAt = (value: Tensor, at: number, a: Tensor): Tensor =>
  value.narrow(-1, at, 2).to(toRealType(a.dtype)).clone().viewAsComplex()

const seenAs = (g: Tensor): Tensor => g.unsqueeze(-1).unsqueeze(-1)

complexOps.set('linalgDet', (a: Tensor): Tensor => {
  checkSquare('linalg.det', a)
  const out = pairAt(eliminated(a, a.narrow(-1, 0, 0)).value, 3, a)
  return record(out, 'LinalgDetBackward0', [a], [a, out], (g, [matrix, value]) => [
    seenAs(g.mul(value.conj())).mul(hermitian(inverse(matrix))),
  ])
})

function signAndLog(name: string, a: Tensor): [Tensor, Tensor] {
  checkSquare(name, a)
  const { value } = eliminated(a, a.narrow(-1, 0, 0))
  const sign = pairAt(value, 0, a)
  const log = value.select(-1, 2).to(toRealType(a.dtype))
  // Along the circle the sign turns by the imaginary part of what the logarithm grows by.
  recordAll([sign, log], 'LinalgSlogdetBackward0', [a], [a, sign], ([gs, gl], [matrix, s]) => {
    const turn = gs ? gs.conj().mul(s).imag.neg() : null
    const grow = gl ?? (turn as Tensor).zerosLike()
    return [seenAs(complex(grow, turn ?? grow.zerosLike())).mul(hermitian(inverse(matrix)))]
  })
  return [sign, log]
}
complexOps.set('linalgSlogdet', (a: Tensor) => {
  const [sign, logabsdet] = signAndLog('linalg.slogdet', a)
  return named({ sign, logabsdet })
})
complexOps.set('logdet', (a: Tensor): Tensor => {
  const [sign, log] = signAndLog('logdet', a)
  return complex(log, sign.angle())
})

/** 'fro', and the norms by sums of rows and columns; the others need singular values. */
complexOps.set('linalgMatrixNorm', (a: Tensor, ord: MatrixOrder = 'fro', ...rest: unknown[]): Tensor => {
  if (ord === 'nuc' || Math.abs(ord as number) === 2) throw notImplemented('linalg.matrix_norm', a.dtype)
  return (linalgMatrixNorm as (...given: unknown[]) => Tensor)(a.abs(), ord, ...rest.slice(0, 2))
})
