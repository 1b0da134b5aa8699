// Eigenvalues of symmetric matrices, and singular values of any: linalg.eigh, linalg.svd and their kin.
import type { Turns } from '../backend/turns.ts'
import { float64 } from '../base/dtype.ts'
import { LinAlgError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, type Out, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { recordAll } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { diagEmbed } from './arrange.ts'
import { filled } from './create.ts'
import { lowerToUpper, singularValues } from './diagonalize.ts'
import { matmul } from './linear.ts'
import {
  largest,
  largestIn,
  loadLines,
  loadSymmetric,
  loadTurned,
  ordered,
  roundingOf,
  scaleFor,
  storeLines,
  storeTurned,
  turnRound,
} from './lines.ts'
import {
  batchOf,
  checkFloating,
  checkKernel,
  checkMatrix,
  checkSquare,
  countOf,
  type Floats,
  type Named,
  named,
} from './matrices.ts'
import { alignSigns, bidiagonalDivisions, symmetricDivisions } from './signs.ts'
import { narrow } from './slice.ts'
import { eigenvalues } from './tridiagonal.ts'
import {
  applyRows,
  bidiagonalize,
  factorTall,
  fillIdentity,
  type Lines,
  lineOf,
  linesSize,
  listSize,
  Pieces,
  Sweeps,
  tridiagonalize,
} from './turning.ts'

/** Ascending eigenvalues [..., n], and eigenvectors in columns [..., n, n] if wanted, without recording. */
function eighOf(a: Tensor, upper: boolean, wanted: boolean): { values: Tensor; vectors: Tensor } {
  const n = a.sizes[a.ndim - 1]
  const batch = batchOf(a)
  const values = empty([...batch, n], a.dtype)
  const vectors = empty(wanted ? a.sizes : [0], a.dtype)
  const block = empty([(wanted ? 2 : 1) * linesSize(n, n) + 9 * lineOf(n) + (wanted ? listSize(n) : 0)], float64)
  const turns = device().turns()
  const epsilon = roundingOf(a.dtype)
  onHost('eigh', [a.detach().contiguous(), values, vectors, block], 'rwww', (raw, spectrum, to, scratch) => {
    const pieces = new Pieces(scratch as Float64Array)
    const [from, target] = [raw as Floats, to as Floats]
    const work = pieces.lines(n, n)
    const vector = (): Float64Array => pieces.vector(n)
    const [d, e, taus] = [vector(), vector(), vector()]
    const three = [vector(), vector(), vector()] as const
    const turned = wanted ? pieces.lines(n, n) : null
    const sweeps = turned && new Sweeps(turns, pieces.take(listSize(n)), turned, n, n)
    for (let b = 0; b < countOf(batch); b++) {
      const start = b * n * n
      const size = largestIn(from, start, n, upper)
      if (!Number.isFinite(size)) {
        ;(spectrum as Floats).fill(Number.NaN, b * n, (b + 1) * n)
        if (wanted) target.fill(Number.NaN, start, start + n * n)
        continue
      }
      const scale = scaleFor(size)
      loadSymmetric(work, from, start, n, upper, scale)
      tridiagonalize(turns, work, n, d, e, taus, three)
      if (turned) {
        fillIdentity(turned, n)
        applyRows(turns, turned, n, n, true, { ...work, taus, count: n - 1, offset: 1 })
      }
      if (upper) {
        d.subarray(0, n).reverse()
        e.subarray(0, n - 1).reverse()
        if (turned) turnRound(turned, n)
      }
      const divisions = turned ? symmetricDivisions(turned, n, d, e, epsilon) : []
      eigenvalues(d, e, n, sweeps, epsilon)
      if (turned) alignSigns(turned, n, n, divisions, null, 0)
      const order = ordered(d, n, false)
      for (let i = 0; i < n; i++) (spectrum as Floats)[b * n + i] = d[order[i]] / scale
      if (turned) storeTurned({ lines: turned, order, flip: null }, target, start, n, n)
    }
  })
  return { values, vectors }
}

/** Differences x_j - x_i of a vector's elements as a matrix, with ones on the diagonal. */
function differences(x: Tensor): Tensor {
  const ones = diagEmbed(filled([x.sizes[x.ndim - 1]], 1, x.dtype))
  return x.unsqueeze(-2).sub(x.unsqueeze(-1)).add(ones)
}

function eighRecorded(a: Tensor, uplo: string, wanted: boolean): { values: Tensor; vectors: Tensor } {
  const upper = uplo === 'U' || uplo === 'u'
  checkSquare('linalg.eigh', a)
  if (!upper && uplo !== 'L' && uplo !== 'l')
    throw new RuntimeError(`Expected UPLO argument to be 'L' or 'U', but got ${uplo}`)
  checkKernel('linalg_eigh_cpu', a)
  const { values, vectors } = eighOf(a, upper, wanted)
  recordAll([values, vectors], 'LinalgEighBackward0', [a], [values, vectors], ([gl, gv], [l, v]) => {
    if (!gv) return [gl && matmul(v.mul(gl.unsqueeze(-2)), v.mT)]
    const inner = matmul(v.mT, gv)
    const off = inner.sub(inner.mT).div(differences(l).mul(2))
    return [matmul(matmul(v, gl ? off.add(diagEmbed(gl)) : off), v.mT)]
  })
  return { values, vectors }
}

type Triangle = 'L' | 'U' | 'l' | 'u'

/**
 * Ascending eigenvalues [..., n] of symmetric matrices [..., n, n], of which one triangle is read (`UPLO`, the lower), and
 * their eigenvectors in columns; those are defined up to sign.
 */
export const linalgEigh: (
  a: Tensor,
  ...args: Args<[UPLO?: Triangle], { readonly UPLO?: Triangle }>
) => Named<'eigenvalues' | 'eigenvectors'> = op({
  name: 'linalgEigh',
  python: 'linalg.eigh',
  signature: 'A, UPLO',
  // The gradient is that of a symmetric change, which finite differences of single elements see at size 1 only.
  samples: (t) => [[t(1, 1)], [t(2, 1, 1), 'U']],
  differentiable: true,
  forward: (a: Tensor, uplo = 'L') => {
    const { values, vectors } = eighRecorded(a, uplo, true)
    return named({ eigenvalues: values, eigenvectors: vectors })
  },
})

/** Ascending eigenvalues [..., n] of symmetric matrices [..., n, n], of which one triangle is read. */
export const linalgEigvalsh: (a: Tensor, ...args: Args<[UPLO?: Triangle], { readonly UPLO?: Triangle }>) => Tensor = op(
  {
    name: 'linalgEigvalsh',
    python: 'linalg.eigvalsh',
    signature: 'A, UPLO',
    samples: (t) => [[t(1, 1)], [t(2, 1, 1), 'U']],
    differentiable: true,
    forward: (a: Tensor, uplo = 'L') => eighRecorded(a, uplo, a.requiresGrad).values,
  },
)

/** Scratch of singular value decompositions of m x n matrices, m >= n. */
interface Decomposition {
  readonly turns: Turns
  readonly m: number
  readonly n: number
  /** Columns of U: n or m; 0 for singular values alone. */
  readonly columns: number
  /** The matrix is the transpose of the one meant: LAPACK turns signs another way then. */
  readonly wide: boolean
  /** The rounding of the matrix's dtype. */
  readonly epsilon: number
  readonly a: Lines
  /** The transposed left vectors [columns, m] and the transposed right ones [n, n]. */
  readonly left: Lines | null
  readonly right: Lines | null
  readonly d: Float64Array
  readonly e: Float64Array
  readonly tall: readonly [Float64Array, Float64Array]
  readonly short: readonly [Float64Array, Float64Array]
  /** Reflections of the left side and of the right one. */
  readonly leftOnes: Lines
  readonly rightOnes: Lines
  readonly leftTaus: Float64Array
  readonly rightTaus: Float64Array
  /** Of a matrix so tall that its QR factors come first: R, the reflections of its own left side, and their factors. */
  readonly triangle: Lines | null
  readonly innerOnes: Lines | null
  readonly innerTaus: Float64Array
  readonly lists: readonly [Float64Array, Float64Array] | null
}

/** MKL's limit beyond which QR comes first (LAPACK's is 11/6); it keeps to the direct way for wide matrices. */
const isTall = (m: number, n: number, wide: boolean): boolean => !wide && m > n && m >= Math.floor((n * 3) / 2)

/** Doubles that `scratchOf` takes. */
function scratchSize(m: number, n: number, columns: number, tall: boolean): number {
  const vectors = columns > 0 ? linesSize(columns, m) + linesSize(n, n) + 2 * listSize(n) : 0
  return linesSize(m, n) + linesSize(n, m) + vectors + (tall ? 3 : 1) * linesSize(n, n) + 7 * lineOf(n) + 2 * lineOf(m)
}

function scratchOf(
  turns: Turns,
  block: Float64Array,
  m: number,
  n: number,
  columns: number,
  wide: boolean,
  epsilon: number,
): Decomposition {
  const pieces = new Pieces(block)
  const tall = isTall(m, n, wide)
  const vector = (): Float64Array => pieces.vector(n)
  return {
    turns,
    m,
    n,
    columns,
    wide,
    epsilon,
    a: pieces.lines(m, n),
    left: columns > 0 ? pieces.lines(columns, m) : null,
    right: columns > 0 ? pieces.lines(n, n) : null,
    d: vector(),
    e: vector(),
    tall: [pieces.vector(m), pieces.vector(m)],
    short: [vector(), vector()],
    leftOnes: pieces.lines(n, m),
    rightOnes: pieces.lines(n, n),
    leftTaus: vector(),
    rightTaus: vector(),
    triangle: tall ? pieces.lines(n, n) : null,
    innerOnes: tall ? pieces.lines(n, n) : null,
    innerTaus: vector(),
    lists: columns > 0 ? [pieces.take(listSize(n)), pieces.take(listSize(n))] : null,
  }
}

/** Decomposes the matrix in `w.a`. Throws LinAlgError if the iteration does not end. */
function decompose(w: Decomposition): void {
  const { turns, m, n, columns, a, left, triangle, innerOnes, innerTaus, leftOnes, leftTaus } = w
  leftOnes.data.fill(0)
  if (!triangle || !innerOnes) return reduce(w, a, m, leftOnes, leftTaus, columns)
  triangle.data.fill(0)
  innerOnes.data.fill(0)
  factorTall(turns, a, m, n, leftOnes, leftTaus, triangle, w.short)
  reduce(w, triangle, n, innerOnes, innerTaus, Math.min(columns, n))
  if (!left) return
  for (let i = n; i < columns; i++) left.data[i * left.line + i] = 1
  applyRows(turns, left, columns, m, false, { ...leftOnes, taus: leftTaus, count: n, offset: 0 })
}

/** Singular values and vectors of `a` [m, n] through its bidiagonal form. */
function reduce(w: Decomposition, a: Lines, m: number, ones: Lines, taus: Float64Array, columns: number): void {
  const { turns, n, left, right, d, e, rightOnes, rightTaus, wide, lists } = w
  rightOnes.data.fill(0)
  bidiagonalize(turns, a, m, n, d, e, ones, taus, rightOnes, rightTaus, [w.tall[0], w.short[0]])
  if (left && right) {
    fillIdentity(left, columns)
    applyRows(turns, left, columns, m, true, { ...ones, taus, count: n, offset: 0 })
    fillIdentity(right, n)
    applyRows(turns, right, n, n, true, { ...rightOnes, taus: rightTaus, count: n - 1, offset: 1 })
  }
  const u = left && lists && new Sweeps(turns, lists[0], left, m, n)
  const v = right && lists && new Sweeps(turns, lists[1], right, n, n)
  if (n === 1) {
    // As LAPACK's bdsdc does for one value: the sign goes to the left side, not to the right one.
    const line = wide ? right : left
    if (d[0] < 0 && line) for (let k = 0; k < (wide ? n : m); k++) line.data[k] = -line.data[k]
    d[0] = Math.abs(d[0])
  }
  const [one, other] = wide ? [right, left] : [left, right]
  const [width, across] = wide ? [n, m] : [m, n]
  if (wide) {
    lowerToUpper(d, e, n, v)
    v?.flush()
  }
  const divisions = one ? bidiagonalDivisions(one, n, width, w.epsilon) : []
  if (wide ? singularValues(d, e, n, v, u, w.epsilon) : singularValues(d, e, n, u, v, w.epsilon)) {
    if (one) alignSigns(one, n, width, divisions, other, across)
    return
  }
  throw new LinAlgError(
    'linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated singular values.',
  )
}

type Vectors = 'none' | 'thin' | 'full'

/** U, S and V^T without recording; U and V^T are empty for 'none'. */
function svdOf(x: Tensor, vectors: Vectors): { U: Tensor; S: Tensor; Vh: Tensor } {
  const [rows, columns] = x.sizes.slice(-2)
  const k = Math.min(rows, columns)
  const batch = batchOf(x)
  const shape = (...sizes: Sizes): Sizes => (vectors === 'none' ? [0] : [...batch, ...sizes])
  const full = vectors === 'full'
  const U = empty(shape(rows, full ? rows : k), x.dtype)
  const S = empty([...batch, k], x.dtype)
  const Vh = empty(shape(full ? columns : k, columns), x.dtype)
  const wide = rows < columns
  const [m, n] = wide ? [columns, rows] : [rows, columns]
  const size = vectors === 'none' ? 0 : full ? m : n
  const block = empty([scratchSize(m, n, size, isTall(m, n, wide))], float64)
  const turns = device().turns()
  onHost('svd', [x.detach().contiguous(), U, S, Vh, block], 'rwwww', (raw, rawLeft, rawValues, rawRight, scratch) => {
    const [from, left, values, right] = [raw, rawLeft, rawValues, rawRight] as Floats[]
    const w = scratchOf(turns, scratch as Float64Array, m, n, size, wide, roundingOf(x.dtype))
    for (let b = 0; b < countOf(batch); b++) {
      const most = largest(from, b * m * n, m * n)
      if (!Number.isFinite(most)) {
        throw new LinAlgError(
          'linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values.',
        )
      }
      const scale = scaleFor(most)
      if (wide) loadTurned(w.a, from, b * m * n, rows, columns, scale)
      else loadLines(w.a, from, b * m * n, m, n, scale)
      if (n > 0) decompose(w)
      else if (w.left) fillIdentity(w.left, size)
      // A negative value's sign goes to the right side; of a wide matrix's transpose that is the left one.
      const flip = Uint8Array.from({ length: n }, (_, i) => (w.d[i] < 0 ? 1 : 0))
      for (let i = 0; i < n; i++) w.d[i] = Math.abs(w.d[i])
      const order = ordered(w.d, n, true)
      for (let i = 0; i < n; i++) values[b * k + i] = w.d[order[i]] / scale
      if (!w.left || !w.right) continue
      const flipped = Uint8Array.from(order, (i) => flip[i])
      const tall = { lines: w.left, order, flip: wide ? flipped : null }
      const short = { lines: w.right, order, flip: wide ? null : flipped }
      // Of a wide matrix's transpose, the left vectors are the right ones of the matrix.
      if (wide) {
        storeLines(tall, right, b * size * m, size, m)
        storeTurned(short, left, b * n * n, n, n)
      } else {
        storeTurned(tall, left, b * size * m, size, m)
        storeLines(short, right, b * n * n, n, n)
      }
    }
  })
  return { U, S, Vh }
}

/** torch's svd_backward, for reduced factors. */
function svdGradient(
  gu: Tensor | null,
  gs: Tensor | null,
  gvh: Tensor | null,
  u: Tensor,
  s: Tensor,
  vh: Tensor,
): Tensor | null {
  if (!gu && !gvh) return gs && matmul(u.mul(gs.unsqueeze(-2)), vh)
  const skew = (x: Tensor): Tensor => x.sub(x.mT)
  const apart = differences(s.mul(s))
  let inner: Tensor | null = gu && skew(matmul(u.mT, gu)).div(apart).mul(s.unsqueeze(-2))
  if (gvh) {
    const other = skew(matmul(vh, gvh.mT)).div(apart).mul(s.unsqueeze(-1))
    inner = inner ? inner.add(other) : other
  }
  if (gs) inner = (inner as Tensor).add(diagEmbed(gs))
  const core = inner as Tensor
  const k = s.sizes[s.ndim - 1]
  if (gu && u.sizes[u.ndim - 2] > k) {
    const outside = gu.sub(matmul(u, matmul(u.mT, gu))).div(s.unsqueeze(-2))
    return matmul(matmul(u, core).add(outside), vh)
  }
  if (gvh && vh.sizes[vh.ndim - 1] > k) {
    const outside = gvh.sub(matmul(matmul(gvh, vh.mT), vh)).div(s.unsqueeze(-1))
    return matmul(u, matmul(core, vh).add(outside))
  }
  return matmul(matmul(u, core), vh)
}

/** U, S and V^T, recorded. */
function svdRecorded(a: Tensor, full: boolean): { U: Tensor; S: Tensor; Vh: Tensor } {
  checkMatrix('linalg.svd', a)
  checkFloating('linalg.svd', a, true)
  checkKernel('linalg_svd_cpu', a)
  const found = svdOf(a, full ? 'full' : 'thin')
  const { U, S, Vh } = found
  recordAll([U, S, Vh], 'LinalgSvdBackward0', [a], [U, S, Vh], ([gu, gs, gvh], [u, s, vh]) => {
    const k = s.sizes[s.ndim - 1]
    const first = (x: Tensor | null, dim: number): Tensor | null => x && narrow(x, dim, 0, k)
    return [svdGradient(first(gu, -1), gs, first(gvh, -2), narrow(u, -1, 0, k), s, narrow(vh, -2, 0, k))]
  })
  return found
}

interface SvdOptions {
  readonly fullMatrices?: boolean
  readonly driver?: string | null
}

function checkDriver(driver: string | null): void {
  if (driver !== null)
    throw new RuntimeError(
      'torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.',
    )
}

/**
 * A = U diag(S) V^T of matrices [..., m, n]: U [..., m, m], descending S [..., k] with k = min(m, n), and Vh [..., n, n];
 * [..., m, k] and [..., k, n] without `fullMatrices`. Vectors are defined up to a common sign. Throws LinAlgError for NaN.
 */
export const linalgSvd: (a: Tensor, ...args: Args<[fullMatrices?: boolean], SvdOptions>) => Named<'U' | 'S' | 'Vh'> =
  op({
    name: 'linalgSvd',
    python: 'linalg.svd',
    signature: 'A, full_matrices, *, driver',
    // Vectors change their signs where singular values cross, so that finite differences see the values only.
    samples: (t) => [
      [t(1, 1), false],
      [t(2, 1, 1), false],
    ],
    differentiable: true,
    forward: (a: Tensor, full = true, driver: string | null = null) => {
      checkDriver(driver)
      const { U, S, Vh } = svdRecorded(a, full)
      return named({ U, S, Vh })
    },
  })

/** Descending singular values [..., min(m, n)] of matrices [..., m, n]. */
export const linalgSvdvals: (a: Tensor, options?: { readonly driver?: string | null } & Out) => Tensor = op({
  name: 'linalgSvdvals',
  python: 'linalg.svdvals',
  signature: 'A, *, driver',
  samples: (t) => [[t(3, 3)], [t(2, 4, 3)], [t(3, 4)]],
  differentiable: true,
  forward: (a: Tensor, driver: string | null = null) => {
    checkDriver(driver)
    if (a.requiresGrad) return svdRecorded(a, false).S
    checkMatrix('linalg.svd', a)
    checkFloating('linalg.svd', a, true)
    checkKernel('linalg_svd_cpu', a)
    return svdOf(a, 'none').S
  },
})

/** U, S and V (not transposed) of matrices; reduced if `some`; zeros for U and V without `computeUv`. Use `linalg.svd`. */
export const svd: (
  a: Tensor,
  ...args: Args<[some?: boolean, computeUv?: boolean], { readonly some?: boolean; readonly computeUv?: boolean }>
) => Named<'U' | 'S' | 'V'> = op({
  name: 'svd',
  signature: 'input, some, compute_uv',
  samples: (t) => [[t(1, 1)], [t(2, 1, 1), false]],
  differentiable: true,
  forward: (a: Tensor, some = true, vectors = true) => {
    if (a.ndim < 2)
      throw new RuntimeError(
        `linalg.svd: input should have at least 2 dimensions, but has ${a.ndim} dimensions instead`,
      )
    if (vectors) {
      const { U, S, Vh } = svdRecorded(a, !some)
      return named({ U, S, V: Vh.mT })
    }
    const [m, n] = a.sizes.slice(-2)
    const batch = batchOf(a)
    return named({
      U: filled([...batch, m, m], 0, a.dtype),
      S: linalgSvdvals(a),
      V: filled([...batch, n, n], 0, a.dtype),
    })
  },
})
