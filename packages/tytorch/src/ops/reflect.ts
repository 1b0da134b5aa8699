// Householder reflections in plain TypeScript on row-major float64 matrices, with LAPACK's signs: QR factors, products of
// reflections, and the reduction to bidiagonal and tridiagonal form.

/**
 * Makes the reflection H = I - tau v v^T that maps x = (a[at], a[at + step], ...) of `n` elements to (beta, 0, ..., 0):
 * beta replaces the first element, the rest of v (its first element is 1) the others. Answers tau, 0 if x is so already.
 */
export function reflector(a: Float64Array, at: number, step: number, n: number): number {
  let scale = 0
  for (let i = 1; i < n; i++) scale = Math.max(scale, Math.abs(a[at + i * step]))
  if (scale === 0 || n < 2) return 0
  let sum = 0
  for (let i = 1; i < n; i++) {
    const v = a[at + i * step] / scale
    sum += v * v
  }
  const alpha = a[at]
  const first = alpha / scale
  const length = scale * Math.sqrt(first * first + sum)
  const beta = alpha >= 0 ? -length : length
  const inverse = 1 / (alpha - beta)
  for (let i = 1; i < n; i++) a[at + i * step] *= inverse
  a[at] = beta
  return (beta - alpha) / beta
}

/** c[top.., left..columns) -= tau v (v^T c), for v = (1, a[at + step], ...) of `n` elements; `line` is scratch. */
function reflectRows(
  a: Float64Array,
  at: number,
  step: number,
  n: number,
  tau: number,
  c: Float64Array,
  columns: number,
  top: number,
  left: number,
  line: Float64Array,
): void {
  if (tau === 0) return
  const first = top * columns
  for (let j = left; j < columns; j++) line[j] = c[first + j]
  for (let i = 1; i < n; i++) {
    const v = a[at + i * step]
    const row = first + i * columns
    for (let j = left; j < columns; j++) line[j] += v * c[row + j]
  }
  for (let j = left; j < columns; j++) {
    line[j] *= tau
    c[first + j] -= line[j]
  }
  for (let i = 1; i < n; i++) {
    const v = a[at + i * step]
    const row = first + i * columns
    for (let j = left; j < columns; j++) c[row + j] -= v * line[j]
  }
}

/** QR in place of an m x n matrix (LAPACK's geqrf): R on and above the diagonal, reflections below, their factors in tau. */
export function factorQR(a: Float64Array, m: number, n: number, tau: Float64Array, line: Float64Array): void {
  const k = Math.min(m, n)
  for (let j = 0; j < k; j++) {
    tau[j] = reflector(a, j * n + j, n, m - j)
    reflectRows(a, j * n + j, n, m - j, tau[j], a, n, j, j + 1, line)
  }
}

/** The first `q` columns of the product of the `k` reflections in the columns of `a` [m, n]: into `out` [m, q]. */
export function formQ(
  a: Float64Array,
  m: number,
  n: number,
  tau: Float64Array,
  k: number,
  out: Float64Array,
  q: number,
  line: Float64Array,
): void {
  out.fill(0, 0, m * q)
  for (let i = 0; i < Math.min(m, q); i++) out[i * q + i] = 1
  for (let i = Math.min(k, q) - 1; i >= 0; i--) reflectRows(a, i * n + i, n, m - i, tau[i], out, q, i, i, line)
}

/** Q C, or Q^T C, in place of `c` [m, columns], for the `k` reflections in the columns of `a` [m, n]. */
export function applyQ(
  a: Float64Array,
  m: number,
  n: number,
  tau: Float64Array,
  k: number,
  c: Float64Array,
  columns: number,
  transposed: boolean,
  line: Float64Array,
): void {
  for (let step = 0; step < k; step++) {
    const i = transposed ? step : k - 1 - step
    reflectRows(a, i * n + i, n, m - i, tau[i], c, columns, i, 0, line)
  }
}

/** Rows `top`.. of c [rows, columns] times I - tau v v^T, for v = (1, a[at + 1], ...) that starts at column `left`. */
function reflectColumns(
  a: Float64Array,
  at: number,
  tau: number,
  c: Float64Array,
  rows: number,
  columns: number,
  top: number,
  left: number,
): void {
  if (tau === 0) return
  const n = columns - left
  for (let r = top; r < rows; r++) {
    const row = r * columns + left
    let sum = c[row]
    for (let j = 1; j < n; j++) sum += a[at + j] * c[row + j]
    sum *= tau
    c[row] -= sum
    for (let j = 1; j < n; j++) c[row + j] -= sum * a[at + j]
  }
}

/**
 * Reduces an m x n matrix, m >= n, to upper bidiagonal form (LAPACK's gebrd): diagonals into `d` and `e`, reflections of
 * the left side into the columns, of the right side into the rows.
 */
export function bidiagonalize(
  a: Float64Array,
  m: number,
  n: number,
  d: Float64Array,
  e: Float64Array,
  left: Float64Array,
  right: Float64Array,
  line: Float64Array,
): void {
  for (let i = 0; i < n; i++) {
    left[i] = reflector(a, i * n + i, n, m - i)
    d[i] = a[i * n + i]
    reflectRows(a, i * n + i, n, m - i, left[i], a, n, i, i + 1, line)
    if (i === n - 1) break
    right[i] = reflector(a, i * n + i + 1, 1, n - i - 1)
    e[i] = a[i * n + i + 1]
    reflectColumns(a, i * n + i + 1, right[i], a, m, n, i + 1, i + 1)
  }
}

/** The transpose of the right side's product of `bidiagonalize`: into `out` [n, n]. */
export function formRight(a: Float64Array, n: number, right: Float64Array, out: Float64Array): void {
  out.fill(0, 0, n * n)
  for (let i = 0; i < n; i++) out[i * n + i] = 1
  for (let i = n - 2; i >= 0; i--) reflectColumns(a, i * n + i + 1, right[i], out, n, n, i + 1, i + 1)
}

/**
 * Reduces a symmetric n x n matrix to tridiagonal form: diagonals into `d` and `e`; with `out`, the transposed product of
 * the reflections into it. Reads the lower triangle.
 */
export function tridiagonalize(
  a: Float64Array,
  n: number,
  d: Float64Array,
  e: Float64Array,
  out: Float64Array | null,
): void {
  const v = new Float64Array(n)
  const w = new Float64Array(n)
  const tau = new Float64Array(n)
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) a[i * n + j] = a[j * n + i]
  for (let i = 0; i < n - 1; i++) {
    const row = i * n
    d[i] = a[row + i]
    tau[i] = reflector(a, row + i + 1, 1, n - i - 1)
    e[i] = a[row + i + 1]
    if (tau[i] === 0) continue
    v[i + 1] = 1
    for (let j = i + 2; j < n; j++) v[j] = a[row + j]
    let overlap = 0
    for (let r = i + 1; r < n; r++) {
      let sum = 0
      for (let j = i + 1; j < n; j++) sum += a[r * n + j] * v[j]
      w[r] = tau[i] * sum
      overlap += w[r] * v[r]
    }
    const half = 0.5 * tau[i] * overlap
    for (let j = i + 1; j < n; j++) w[j] -= half * v[j]
    for (let r = i + 1; r < n; r++) {
      const x = v[r]
      const y = w[r]
      for (let j = i + 1; j < n; j++) a[r * n + j] -= x * w[j] + y * v[j]
    }
  }
  if (n > 0) d[n - 1] = a[n * n - 1]
  if (out) formRight(a, n, tau, out)
}
