// Eigenvectors of general matrices from their real Schur form, in float64: LAPACK's trevc and gebak, and geev's norms.
import type { Balance } from './schur.ts'
import type { Lines } from './turning.ts'

const ULP = 2 ** -52
const SMALLEST = 2 ** -1022
/** Elements of a solution as large as this are scaled down, so that none overflows. */
const LARGE = 2 ** 500

/** The complex solution of two equations, or of one. */
const solved = { re1: 0, im1: 0, re2: 0, im2: 0 }

/** (a + i b) / (c + i d) by Smith's formula, into `quotient`. */
const quotient = { re: 0, im: 0 }

function divide(a: number, b: number, c: number, d: number): void {
  if (Math.abs(c) >= Math.abs(d)) {
    const ratio = d / c
    const by = c + d * ratio
    quotient.re = (a + b * ratio) / by
    quotient.im = (b - a * ratio) / by
  } else {
    const ratio = c / d
    const by = d + c * ratio
    quotient.re = (a * ratio + b) / by
    quotient.im = (b * ratio - a) / by
  }
}

/** Solves (t - (wr + i wi)) x = r for a 1 x 1 block; a divisor smaller than `least` counts as `least`. */
function solveOne(t: number, wr: number, wi: number, re: number, im: number, least: number): void {
  let [c, d] = [t - wr, -wi]
  if (Math.abs(c) + Math.abs(d) < least) [c, d] = [least, 0]
  divide(re, im, c, d)
  solved.re1 = quotient.re
  solved.im1 = quotient.im
}

/** The same for the 2 x 2 block [[a, b], [c, d]]. */
function solveTwo(
  [a, b, c, d]: readonly [number, number, number, number],
  wr: number,
  wi: number,
  [re1, im1, re2, im2]: readonly [number, number, number, number],
  least: number,
): void {
  // Elimination with the larger element of the first column as pivot.
  const swap = Math.abs(c) > Math.abs(a - wr) + Math.abs(wi)
  const [p, pi, q, qi] = swap ? [c, 0, d - wr, -wi] : [a - wr, -wi, b, 0]
  const [s, si, t, ti] = swap ? [a - wr, -wi, b, 0] : [c, 0, d - wr, -wi]
  const [f, fi, g, gi] = swap ? [re2, im2, re1, im1] : [re1, im1, re2, im2]
  const [pivot, pivotIm] = Math.abs(p) + Math.abs(pi) < least ? [least, 0] : [p, pi]
  divide(s, si, pivot, pivotIm)
  const [m, mi] = [quotient.re, quotient.im]
  let [last, lastIm] = [t - (m * q - mi * qi), ti - (m * qi + mi * q)]
  if (Math.abs(last) + Math.abs(lastIm) < least) [last, lastIm] = [least, 0]
  divide(g - (m * f - mi * fi), gi - (m * fi + mi * f), last, lastIm)
  const [y, yi] = [quotient.re, quotient.im]
  divide(f - (q * y - qi * yi), fi - (q * yi + qi * y), pivot, pivotIm)
  solved.re1 = quotient.re
  solved.im1 = quotient.im
  solved.re2 = y
  solved.im2 = yi
}

/** Solves T x = (wr + i wi) x upwards from row `from`, for x that is known behind it up to `to`. */
function substitute(
  { data, line }: Lines,
  from: number,
  to: number,
  wr: number,
  wi: number,
  x: Float64Array,
  y: Float64Array,
  least: number,
): void {
  for (let j = from; j >= 0; ) {
    const row = j * line
    const pair = j > 0 && data[row + j - 1] !== 0
    const above = row - line
    let [re1, im1, re2, im2] = [0, 0, 0, 0]
    for (let k = j + 1; k <= to; k++) {
      re2 -= data[row + k] * x[k]
      im2 -= data[row + k] * y[k]
    }
    if (pair) {
      for (let k = j + 1; k <= to; k++) {
        re1 -= data[above + k] * x[k]
        im1 -= data[above + k] * y[k]
      }
      const block = [data[above + j - 1], data[above + j], data[row + j - 1], data[row + j]] as const
      solveTwo(block, wr, wi, [re1, im1, re2, im2], least)
      x[j] = solved.re2
      y[j] = solved.im2
      j--
    } else solveOne(data[row + j], wr, wi, re2, im2, least)
    x[j] = solved.re1
    y[j] = solved.im1
    let size = Math.abs(x[j]) + Math.abs(y[j])
    if (pair) size = Math.max(size, Math.abs(x[j + 1]) + Math.abs(y[j + 1]))
    if (size > LARGE) {
      for (let k = j; k <= to; k++) {
        x[k] /= size
        y[k] /= size
      }
    }
    j--
  }
}

/** target = the sum of factors[k] times row k of z, for k up to `last`. */
function combine(z: Lines, factors: Float64Array, last: number, n: number, target: Float64Array, at: number): void {
  target.fill(0, at, at + n)
  for (let k = 0; k <= last; k++) {
    const factor = factors[k]
    if (factor === 0) continue
    const row = k * z.line
    for (let j = 0; j < n; j++) target[at + j] += factor * z.data[row + j]
  }
}

/** Undoes what `balance` did, for one vector. */
function unbalance(v: Float64Array, at: number, n: number, { low, high, scale }: Balance): void {
  if (low < high) for (let i = low; i <= high; i++) v[at + i] *= scale[i]
  const swap = (i: number): void => {
    const kept = v[at + i]
    v[at + i] = v[at + scale[i]]
    v[at + scale[i]] = kept
  }
  for (let i = low - 1; i >= 0; i--) swap(i)
  for (let i = high + 1; i < n; i++) swap(i)
}

/** Makes a vector's Euclidean norm 1, and its largest element real. */
function normalize(v: Float64Array, at: number, imaginary: number, n: number): void {
  let largest = 0
  for (let j = 0; j < n; j++) largest = Math.max(largest, Math.abs(v[at + j]))
  if (imaginary >= 0) for (let j = 0; j < n; j++) largest = Math.max(largest, Math.abs(v[imaginary + j]))
  if (largest === 0) return
  const scale = 1 / largest
  let sum = 0
  for (let j = 0; j < n; j++) {
    v[at + j] *= scale
    sum += v[at + j] ** 2
    if (imaginary < 0) continue
    v[imaginary + j] *= scale
    sum += v[imaginary + j] ** 2
  }
  const factor = 1 / Math.sqrt(sum)
  let place = 0
  let most = -1
  for (let j = 0; j < n; j++) {
    v[at + j] *= factor
    if (imaginary < 0) continue
    v[imaginary + j] *= factor
    const size = v[at + j] ** 2 + v[imaginary + j] ** 2
    if (size > most) {
      most = size
      place = j
    }
  }
  if (imaginary < 0) return
  const [f, g] = [v[at + place], v[imaginary + place]]
  const length = Math.hypot(f, g) * (Math.abs(f) > Math.abs(g) && f < 0 ? -1 : 1)
  const [c, s] = [f / length, g / length]
  for (let j = 0; j < n; j++) {
    const [p, q] = [v[at + j], v[imaginary + j]]
    v[at + j] = c * p + s * q
    v[imaginary + j] = c * q - s * p
  }
  v[imaginary + place] = 0
}

/**
 * The eigenvectors that belong to the real Schur form `t` and its vectors, the rows of `z`, into the rows of `out`: of a
 * complex pair the real and the imaginary part of the first one's. Two vectors are scratch.
 */
export function eigenvectors(
  t: Lines,
  n: number,
  re: Float64Array,
  im: Float64Array,
  z: Lines,
  balanced: Balance,
  out: Lines,
  [x, y]: readonly [Float64Array, Float64Array],
): void {
  const { data, line } = t
  const tiny = SMALLEST * (n / ULP)
  for (let k = n - 1; k >= 0; k--) {
    const pair = im[k] !== 0
    const least = Math.max(ULP * (Math.abs(re[k]) + Math.abs(im[k])), tiny)
    x.fill(0)
    y.fill(0)
    if (pair) {
      const first = k - 1
      const [over, under] = [data[first * line + k], data[k * line + first]]
      if (Math.abs(over) >= Math.abs(under)) {
        x[first] = 1
        y[k] = im[first] / over
      } else {
        x[first] = -im[first] / under
        y[k] = 1
      }
      substitute(t, first - 1, k, re[first], im[first], x, y, least)
      const [real, imaginary] = [first * out.line, k * out.line]
      combine(z, x, k, n, out.data, real)
      combine(z, y, k, n, out.data, imaginary)
      unbalance(out.data, real, n, balanced)
      unbalance(out.data, imaginary, n, balanced)
      normalize(out.data, real, imaginary, n)
      k--
    } else {
      x[k] = 1
      substitute(t, k - 1, k, re[k], 0, x, y, least)
      combine(z, x, k, n, out.data, k * out.line)
      unbalance(out.data, k * out.line, n, balanced)
      normalize(out.data, k * out.line, -1, n)
    }
  }
}
