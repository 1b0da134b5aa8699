// L D L^T factors of symmetric matrices in plain TypeScript, row-major and in float64, and what is solved with them. Each
// works in place on one matrix that starts at element 0 of its array.

/** Exchanges rows `i` and `j` of a matrix of `n` columns. */
function swapRows(a: Float64Array, n: number, i: number, j: number): void {
  if (i === j) return
  const x = i * n
  const y = j * n
  for (let c = 0; c < n; c++) {
    const kept = a[x + c]
    a[x + c] = a[y + c]
    a[y + c] = kept
  }
}

/** Exchanges rows and columns `kk` and `kp` > `kk` of a symmetric matrix of which the lower triangle is kept. */
function exchangeSymmetric(a: Float64Array, n: number, kk: number, kp: number): void {
  const swap = (x: number, y: number): void => {
    const kept = a[x]
    a[x] = a[y]
    a[y] = kept
  }
  for (let i = kp + 1; i < n; i++) swap(i * n + kk, i * n + kp)
  for (let i = kk + 1; i < kp; i++) swap(i * n + kk, kp * n + i)
  swap(kk * n + kk, kp * n + kp)
}

/** The step of Bunch and Kaufman at column k: the row to exchange with, and whether the pivot is a 2 x 2 block. */
function choosePivot(a: Float64Array, n: number, k: number): { row: number; block: boolean; zero: boolean } {
  const alpha = (1 + Math.sqrt(17)) / 8
  const diagonal = Math.abs(a[k * n + k])
  let most = 0
  let at = k
  for (let i = k + 1; i < n; i++) {
    const v = Math.abs(a[i * n + k])
    if (v > most) {
      most = v
      at = i
    }
  }
  if (Math.max(diagonal, most) === 0 || Number.isNaN(diagonal)) return { row: k, block: false, zero: true }
  if (diagonal >= alpha * most) return { row: k, block: false, zero: false }
  let beside = 0
  for (let j = k; j < at; j++) beside = Math.max(beside, Math.abs(a[at * n + j]))
  for (let i = at + 1; i < n; i++) beside = Math.max(beside, Math.abs(a[i * n + at]))
  if (diagonal >= alpha * most * (most / beside)) return { row: k, block: false, zero: false }
  return { row: at, block: Math.abs(a[at * n + at]) < alpha * beside, zero: false }
}

/**
 * L D L^T of a symmetric matrix's lower triangle, in place, with the pivots of Bunch and Kaufman as LAPACK's sytrf
 * numbers them: from 1, negative in pairs for 2 x 2 blocks of D. Answers the first zero pivot, from 1, or 0.
 */
export function factorLDL(a: Float64Array, n: number, pivots: Int32Array, at: number): number {
  let info = 0
  for (let k = 0; k < n; ) {
    const { row, block, zero } = choosePivot(a, n, k)
    if (zero && info === 0) info = k + 1
    const kk = block ? k + 1 : k
    if (row !== kk) {
      exchangeSymmetric(a, n, kk, row)
      if (block) {
        const kept = a[(k + 1) * n + k]
        a[(k + 1) * n + k] = a[row * n + k]
        a[row * n + k] = kept
      }
    }
    if (block) {
      eliminatePair(a, n, k)
      pivots[at + k] = pivots[at + k + 1] = -(row + 1)
      k += 2
      continue
    }
    if (!zero) {
      const r = 1 / a[k * n + k]
      for (let j = k + 1; j < n; j++) {
        const factor = r * a[j * n + k]
        for (let i = j; i < n; i++) a[i * n + j] -= factor * a[i * n + k]
      }
      for (let j = k + 1; j < n; j++) a[j * n + k] *= r
    }
    pivots[at + k] = row + 1
    k++
  }
  return info
}

function eliminatePair(a: Float64Array, n: number, k: number): void {
  const off = a[(k + 1) * n + k]
  const d11 = a[(k + 1) * n + k + 1] / off
  const d22 = a[k * n + k] / off
  const scale = 1 / (d11 * d22 - 1) / off
  for (let j = k + 2; j < n; j++) {
    const first = scale * (d11 * a[j * n + k] - a[j * n + k + 1])
    const second = scale * (d22 * a[j * n + k + 1] - a[j * n + k])
    for (let i = j; i < n; i++) a[i * n + j] -= a[i * n + k] * first + a[i * n + k + 1] * second
    a[j * n + k] = first
    a[j * n + k + 1] = second
  }
}

/** Solves A X = B in place of B [n, k] with what `factorLDL` made of A. */
export function solveLDL(a: Float64Array, n: number, pivots: Int32Array, at: number, b: Float64Array, k: number): void {
  const subtract = (to: number, from: number, factor: number): void => {
    for (let c = 0; c < k; c++) b[to * k + c] -= factor * b[from * k + c]
  }
  for (let i = 0; i < n; ) {
    const pivot = pivots[at + i]
    if (pivot > 0) {
      swapRows(b, k, i, pivot - 1)
      for (let j = i + 1; j < n; j++) subtract(j, i, a[j * n + i])
      for (let c = 0; c < k; c++) b[i * k + c] /= a[i * n + i]
      i++
      continue
    }
    swapRows(b, k, i + 1, -pivot - 1)
    for (let j = i + 2; j < n; j++) {
      subtract(j, i, a[j * n + i])
      subtract(j, i + 1, a[j * n + i + 1])
    }
    const off = a[(i + 1) * n + i]
    const upper = a[i * n + i] / off
    const lower = a[(i + 1) * n + i + 1] / off
    const determinant = upper * lower - 1
    for (let c = 0; c < k; c++) {
      const x = b[i * k + c] / off
      const y = b[(i + 1) * k + c] / off
      b[i * k + c] = (lower * x - y) / determinant
      b[(i + 1) * k + c] = (upper * y - x) / determinant
    }
    i += 2
  }
  for (let i = n - 1; i >= 0; ) {
    const pivot = pivots[at + i]
    const size = pivot > 0 ? 1 : 2
    for (let j = i + 1; j < n; j++) {
      subtract(i, j, a[j * n + i])
      if (size === 2) subtract(i - 1, j, a[j * n + i - 1])
    }
    swapRows(b, k, i, Math.abs(pivot) - 1)
    i -= size
  }
}
