// Eigenvalues of symmetric matrices, and singular values of any: linalg.eigh, linalg.svd and their kin.
import { LinAlgError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { recordAll } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { diagEmbed } from './arrange.ts'
import { filled } from './create.ts'
import { eigenvalues, lowerToUpper, singularValues } from './diagonalize.ts'
import { matmul } from './linear.ts'
import {
  batchOf,
  checkFloating,
  checkKernel,
  checkMatrix,
  checkSquare,
  countOf,
  load,
  loadTransposed,
  type Named,
  named,
  store,
  storeTransposed,
} from './matrices.ts'
import { bidiagonalize, factorQR, formQ, formRight, tridiagonalize } from './reflect.ts'
import { narrow } from './slice.ts'

/** The largest size of an element; NaN or infinity if there is one. */
function largest(work: Float64Array, count: number): number {
  let most = 0
  for (let i = 0; i < count; i++) {
    const v = Math.abs(work[i])
    if (!(v <= most)) most = v
    if (Number.isNaN(v)) return v
  }
  return most
}

function scaleBy(work: Float64Array, count: number, factor: number): void {
  if (factor !== 1) for (let i = 0; i < count; i++) work[i] *= factor
}

/** A power of two near 1 / size, which scales without rounding, so that squares neither overflow nor vanish. */
const scaleFor = (size: number): number =>
  size > 0 && (size < 2 ** -100 || size > 2 ** 100) ? 2 ** -Math.floor(Math.log2(size)) : 1

/** Ascending eigenvalues [..., n], and eigenvectors in columns [..., n, n] if wanted, without recording. */
function eighOf(a: Tensor, upper: boolean, wanted: boolean): { values: Tensor; vectors: Tensor } {
  const n = a.sizes[a.ndim - 1]
  const batch = batchOf(a)
  const values = empty([...batch, n], a.dtype)
  const vectors = empty(wanted ? a.sizes : [0], a.dtype)
  onHost('eigh', [a.detach().contiguous(), values, vectors], 'rww', (from, spectrum, to) => {
    const work = new Float64Array(n * n)
    const turned = wanted ? new Float64Array(n * n) : null
    const d = new Float64Array(n)
    const e = new Float64Array(n)
    for (let b = 0; b < countOf(batch); b++) {
      if (upper) loadTransposed(work, from, b * n * n, n, n)
      else load(work, from, b * n * n, n * n)
      for (let i = 0; i < n; i++) work.fill(0, i * n + i + 1, (i + 1) * n)
      const size = largest(work, n * n)
      if (!Number.isFinite(size)) {
        d.fill(Number.NaN)
        turned?.fill(Number.NaN)
      } else {
        const scale = scaleFor(size)
        scaleBy(work, n * n, scale)
        tridiagonalize(work, n, d, e, turned)
        eigenvalues(d, e, n, turned)
        scaleBy(d, n, 1 / scale)
      }
      store(d, spectrum, b * n, n)
      if (turned) storeTransposed(turned, to, b * n * n, n, n)
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

/** Scratch and results of one singular value decomposition of an m x n matrix, m >= n. */
interface Decomposition {
  readonly m: number
  readonly n: number
  /** Columns of U: n or m; 0 for singular values alone. */
  readonly columns: number
  /** The matrix is the transpose of the one meant: LAPACK turns signs another way then. */
  readonly wide: boolean
  readonly a: Float64Array
  /** The transposed left vectors [columns, m] and the transposed right ones [n, n]. */
  readonly left: Float64Array
  readonly right: Float64Array
  readonly d: Float64Array
  readonly e: Float64Array
  readonly tauLeft: Float64Array
  readonly tauRight: Float64Array
  readonly square: Float64Array
  /** R, and the transposed left vectors of R, of a matrix so tall that its QR factors come first. */
  readonly triangle: Float64Array
  readonly inner: Float64Array
  readonly line: Float64Array
}

/** LAPACK's limit (gesdd) beyond which QR comes first; MKL keeps to the direct way for wide matrices. */
const isTall = (m: number, n: number, wide: boolean): boolean => !wide && m > n && m >= Math.floor((n * 11) / 6)

function scratch(m: number, n: number, columns: number, wide: boolean): Decomposition {
  const vector = (): Float64Array => new Float64Array(n)
  const block = (): Float64Array => new Float64Array(isTall(m, n, wide) ? n * n : 0)
  return {
    m,
    n,
    columns,
    wide,
    a: new Float64Array(m * n),
    left: new Float64Array(columns * m),
    right: new Float64Array(columns > 0 ? n * n : 0),
    d: vector(),
    e: vector(),
    tauLeft: vector(),
    tauRight: vector(),
    square: new Float64Array(columns > 0 ? m * columns : 0),
    triangle: block(),
    inner: block(),
    line: new Float64Array(Math.max(m, n, columns)),
  }
}

/** Copies the transpose of a rows x columns matrix. */
function transposeInto(from: Float64Array, rows: number, columns: number, to: Float64Array): void {
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c]
}

/** Decomposes the matrix in `w.a`. Throws LinAlgError if it holds NaN or infinity, or if the iteration does not end. */
function decompose(w: Decomposition): void {
  const { m, n, columns, a, d, line } = w
  const size = largest(a, m * n)
  if (!Number.isFinite(size)) {
    throw new LinAlgError(
      'linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values.',
    )
  }
  const scale = scaleFor(size)
  scaleBy(a, m * n, scale)
  if (isTall(m, n, w.wide)) {
    const { tauLeft, square, triangle, inner, left } = w
    factorQR(a, m, n, tauLeft, line)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) triangle[i * n + j] = j < i ? 0 : a[i * n + j]
    if (columns > 0) {
      formQ(a, m, n, tauLeft, n, square, columns, line)
      transposeInto(square, m, columns, left)
    }
    reduce(w, triangle, n, inner, n)
    if (columns > 0) turnFirst(w)
  } else reduce(w, a, m, w.left, columns)
  scaleBy(d, n, 1 / scale)
}

/** Singular values and vectors of a [m, n] through its bidiagonal form. */
function reduce(w: Decomposition, a: Float64Array, m: number, left: Float64Array, columns: number): void {
  const { n, right, d, e, tauLeft, tauRight, square, line, wide } = w
  const vectors = w.columns > 0
  bidiagonalize(a, m, n, d, e, tauLeft, tauRight, line)
  if (vectors) {
    formQ(a, m, n, tauLeft, n, square, columns, line)
    transposeInto(square, m, columns, left)
    formRight(a, n, tauRight, right)
  }
  const [u, v] = vectors ? [left, right] : [null, null]
  if (n === 1) {
    // As LAPACK's bdsdc does for one value: the sign goes to the left side, not to the right one.
    const line = wide ? v : u
    if (d[0] < 0 && line) for (let k = 0; k < (wide ? n : m); k++) line[k] = -line[k]
    d[0] = Math.abs(d[0])
  }
  if (wide) lowerToUpper(d, e, n, v, n)
  const ends = wide ? singularValues(d, e, n, v, n, u, m) : singularValues(d, e, n, u, m, v, n)
  if (!ends) {
    throw new LinAlgError(
      'linalg.svd: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated singular values.',
    )
  }
}

/** The first n columns of Q times the left vectors of R. */
function turnFirst({ m, n, left, inner, square }: Decomposition): void {
  square.fill(0, 0, n * m)
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const factor = inner[i * n + k]
      for (let j = 0; j < m; j++) square[i * m + j] += factor * left[k * m + j]
    }
  }
  for (let i = 0; i < n * m; i++) left[i] = square[i]
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
  onHost('svd', [x.detach().contiguous(), U, S, Vh], 'rwww', (from, left, values, right) => {
    const [m, n] = wide ? [columns, rows] : [rows, columns]
    const w = scratch(m, n, vectors === 'none' ? 0 : full ? m : n, wide)
    for (let b = 0; b < countOf(batch); b++) {
      if (wide) loadTransposed(w.a, from, b * m * n, rows, columns)
      else load(w.a, from, b * m * n, m * n)
      decompose(w)
      store(w.d, values, b * k, k)
      if (vectors === 'none') continue
      // Of a wide matrix's transpose, the left vectors are the right ones of the matrix.
      const tall = w.columns * m
      if (wide) {
        store(w.left, right, b * tall, tall)
        storeTransposed(w.right, left, b * n * n, n, n)
      } else {
        storeTransposed(w.left, left, b * tall, w.columns, m)
        store(w.right, right, b * n * n, n * n)
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
export const linalgSvdvals: (a: Tensor, options?: { readonly driver?: string | null }) => Tensor = op({
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
