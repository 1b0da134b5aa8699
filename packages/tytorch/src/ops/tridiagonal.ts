// The iteration that makes symmetric tridiagonal matrices diagonal, in plain TypeScript on float64 (LAPACK's steqr: implicit
// QL or QR, from the end that is larger). Eigenvectors are rows, and their rotations go to a list.
import { LinAlgError } from '../base/errors.ts'
import { givens, signed, single, turn } from './diagonalize.ts'
import type { Sweeps } from './turning.ts'

const SMALLEST = 2 ** -1022

/** A rotation by LAPACK's older rule (lartg before 3.10, as MKL's still is): the sine's sign is g's unless f is larger. */
function older(f: number, g: number): void {
  givens(f, g)
  if (turn.r < 0 && Math.abs(f) <= Math.abs(g)) {
    turn.c = -turn.c
    turn.s = -turn.s
    turn.r = -turn.r
  }
}

/** Eigenvalues of [[a, b], [b, c]], the larger in size first, and the first one's vector (LAPACK's laev2). */
function symmetricTwo(a: number, b: number, c: number): { first: number; second: number; cs: number; sn: number } {
  const sum = a + c
  const gap = a - c
  const twice = b + b
  const root = Math.hypot(gap, twice)
  const [more, less] = Math.abs(a) > Math.abs(c) ? [a, c] : [c, a]
  const first = sum < 0 ? 0.5 * (sum - root) : 0.5 * (sum + root)
  const second = sum === 0 ? -0.5 * root : (more / first) * less - (b / first) * b
  const along = gap >= 0 ? gap + root : gap - root
  let [cs, sn] = [1, 0]
  if (Math.abs(along) > Math.abs(twice)) {
    const t = -twice / along
    sn = 1 / Math.sqrt(1 + t * t)
    cs = t * sn
  } else if (twice !== 0) {
    const t = -along / twice
    cs = 1 / Math.sqrt(1 + t * t)
    sn = t * cs
  }
  return sum >= 0 === gap >= 0 ? { first, second, cs: -sn, sn: cs } : { first, second, cs, sn }
}

/**
 * Eigenvalues of the symmetric tridiagonal matrix with diagonals `d` [n] and `e` [n, the last unused] into `d`, not sorted;
 * the rows of `vectors` are turned along (LAPACK's steqr). `epsilon` is the
 * rounding of the dtype, below which an element is zero. Throws LinAlgError if the iteration does not end.
 */
export function eigenvalues(
  d: Float64Array,
  e: Float64Array,
  n: number,
  vectors: Sweeps | null,
  epsilon: number,
): void {
  const budget = { left: 30 * n }
  for (let start = 0; start < n; ) {
    let end = start
    for (; end < n - 1; end++) {
      const off = Math.abs(e[end])
      if (off <= Math.sqrt(Math.abs(d[end])) * Math.sqrt(Math.abs(d[end + 1])) * epsilon) {
        e[end] = 0
        break
      }
    }
    if (end > start) {
      if (Math.abs(d[end]) < Math.abs(d[start])) upwards(d, e, end, start, vectors, budget, epsilon)
      else downwards(d, e, start, end, vectors, budget, epsilon)
      if (budget.left < 0)
        throw new LinAlgError(
          'linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated eigenvalues.',
        )
      // Whatever the block left undone is found again.
      let done = start
      while (done < end && e[done] === 0) done++
      if (done < end) continue
    }
    start = end + 1
  }
  vectors?.flush()
}

const negligible = (e: number, p: number, q: number, epsilon: number): boolean =>
  e * e <= epsilon * epsilon * Math.abs(p) * Math.abs(q) + SMALLEST

/** Implicit QL on rows first..last: finds the first eigenvalues first. */
function downwards(
  d: Float64Array,
  e: Float64Array,
  first: number,
  last: number,
  vectors: Sweeps | null,
  budget: { left: number },
  epsilon: number,
): void {
  for (let l = first; l <= last; ) {
    let m = l
    while (m < last && !negligible(e[m], d[m], d[m + 1], epsilon)) m++
    if (m < last) e[m] = 0
    if (m === l) {
      l++
      continue
    }
    if (m === l + 1) {
      const two = symmetricTwo(d[l], e[l], d[m])
      single(vectors, l, two.cs, two.sn)
      d[l] = two.first
      d[m] = two.second
      e[l] = 0
      l += 2
      continue
    }
    if (budget.left-- < 0) return
    let p = d[l]
    let g = (d[l + 1] - p) / (2 * e[l])
    g = d[m] - p + e[l] / (g + signed(Math.hypot(g, 1), g))
    let [s, c] = [1, 1]
    p = 0
    vectors?.begin(m, false)
    for (let i = m - 1; i >= l; i--) {
      const b = c * e[i]
      older(g, s * e[i])
      c = turn.c
      s = turn.s
      if (i !== m - 1) e[i + 1] = turn.r
      g = d[i + 1] - p
      const r = (d[i] - g) * s + 2 * c * b
      p = s * r
      d[i + 1] = g + p
      g = c * r - b
      vectors?.push(c, s)
    }
    vectors?.end()
    d[l] -= p
    e[l] = g
  }
}

/** Implicit QR on rows last..first: finds the last eigenvalues first. */
function upwards(
  d: Float64Array,
  e: Float64Array,
  last: number,
  first: number,
  vectors: Sweeps | null,
  budget: { left: number },
  epsilon: number,
): void {
  for (let l = last; l >= first; ) {
    let m = l
    while (m > first && !negligible(e[m - 1], d[m], d[m - 1], epsilon)) m--
    if (m > first) e[m - 1] = 0
    if (m === l) {
      l--
      continue
    }
    if (m === l - 1) {
      const two = symmetricTwo(d[m], e[m], d[l])
      single(vectors, m, two.cs, two.sn)
      d[m] = two.first
      d[l] = two.second
      e[m] = 0
      l -= 2
      continue
    }
    if (budget.left-- < 0) return
    let p = d[l]
    let g = (d[l - 1] - p) / (2 * e[l - 1])
    g = d[m] - p + e[l - 1] / (g + signed(Math.hypot(g, 1), g))
    let [s, c] = [1, 1]
    p = 0
    vectors?.begin(m, true)
    for (let i = m; i < l; i++) {
      const b = c * e[i]
      older(g, s * e[i])
      c = turn.c
      s = turn.s
      if (i !== m) e[i - 1] = turn.r
      g = d[i] - p
      const r = (d[i + 1] - g) * s + 2 * c * b
      p = s * r
      d[i] = g + p
      g = c * r - b
      vectors?.push(c, s)
    }
    vectors?.end()
    d[l] -= p
    e[l - 1] = g
  }
}
