// The iteration that makes bidiagonal matrices diagonal, in plain TypeScript on float64, for singular values (LAPACK's
// bdsqr: implicit zero-shift QR, Demmel and Kahan 1990).
// Vectors are rows here, so that a rotation of two of them walks along memory, and the rotations go to a list.
import type { Sweeps } from './turning.ts'

const EPSILON = 2 ** -53
const SMALLEST = 2 ** -1022

export const signed = (size: number, sign: number): number =>
  sign < 0 || Object.is(sign, -0) ? -Math.abs(size) : Math.abs(size)

/** A rotation: cosine, sine, and the length that it makes of (f, g). Rewritten by each call of `givens`. */
export const turn = { c: 1, s: 0, r: 0 }

export function givens(f: number, g: number): void {
  if (g === 0) {
    turn.c = 1
    turn.s = 0
    turn.r = f
  } else if (f === 0) {
    turn.c = 0
    turn.s = g < 0 ? -1 : 1
    turn.r = Math.abs(g)
  } else {
    const square = f * f + g * g
    const length = square > 1e-300 ? Math.sqrt(square) : Math.hypot(f, g)
    turn.c = Math.abs(f) / length
    turn.r = signed(length, f)
    turn.s = g / turn.r
  }
}

/** The smaller singular value of [[f, g], [0, h]]. */
function smallerOfTwo(f: number, g: number, h: number): number {
  const least = Math.min(Math.abs(f), Math.abs(h))
  const most = Math.max(Math.abs(f), Math.abs(h))
  const off = Math.abs(g)
  if (least === 0) return 0
  const sum = 1 + least / most
  const gap = (most - least) / most
  if (off < most) {
    const u = (off / most) ** 2
    return (least * 2) / (Math.sqrt(sum * sum + u) + Math.sqrt(gap * gap + u))
  }
  const u = most / off
  if (u === 0) return (least * most) / off
  const c = 1 / (Math.sqrt(1 + (sum * u) ** 2) + Math.sqrt(1 + (gap * u) ** 2))
  return least * c * u * 2
}

/** The singular value decomposition of [[f, g], [0, h]] (LAPACK's lasv2). */
function twoByTwo(
  f: number,
  g: number,
  h: number,
): { least: number; most: number; sinR: number; cosR: number; sinL: number; cosL: number } {
  const swap = Math.abs(h) > Math.abs(f)
  const ft = swap ? h : f
  const ht = swap ? f : h
  const fa = Math.abs(ft)
  const ha = Math.abs(ht)
  const ga = Math.abs(g)
  let largest = swap ? 3 : 1
  let [least, most, cl, cr, sl, sr] = [ha, fa, 1, 1, 0, 0]
  if (ga !== 0) {
    if (ga > fa) largest = 2
    if (ga > fa && fa / ga < EPSILON) {
      most = ga
      least = ha > 1 ? fa / (ga / ha) : (fa / ga) * ha
      cl = 1
      sl = ht / g
      sr = 1
      cr = ft / g
    } else {
      const d = fa - ha
      const l = d === fa ? 1 : d / fa
      const m = g / ft
      const t = 2 - l
      const mm = m * m
      const s = Math.sqrt(t * t + mm)
      const r = l === 0 ? Math.abs(m) : Math.sqrt(l * l + mm)
      const a = 0.5 * (s + r)
      least = ha / a
      most = fa * a
      const tangent =
        mm !== 0
          ? (m / (s + t) + m / (r + l)) * (1 + a)
          : l === 0
            ? signed(2, ft) * signed(1, g)
            : g / signed(d, ft) + m / t
      const length = Math.sqrt(tangent * tangent + 4)
      cr = 2 / length
      sr = tangent / length
      cl = (cr + sr * m) / a
      sl = ((ht / ft) * sr) / a
    }
  }
  const [cosL, sinL, cosR, sinR] = swap ? [sr, cr, sl, cl] : [cl, sl, cr, sr]
  const sign =
    largest === 1
      ? signed(1, cosR) * signed(1, cosL) * signed(1, f)
      : largest === 2
        ? signed(1, sinR) * signed(1, cosL) * signed(1, g)
        : signed(1, sinR) * signed(1, sinL) * signed(1, h)
  return {
    most: signed(most, sign),
    least: signed(least, sign * signed(1, f) * signed(1, h)),
    sinR,
    cosR,
    sinL,
    cosL,
  }
}

/**
 * Singular values of the upper bidiagonal matrix with diagonals `d` [n] and `e` [n - 1] into `d`, neither sorted nor without
 * signs. The rows of `left` and `right` are turned along: they become singular vectors if they held the transposed left and
 * right factors of the reduction. `epsilon` is the rounding of the dtype. Answers false if the iteration does not end.
 */
export function singularValues(
  d: Float64Array,
  e: Float64Array,
  n: number,
  left: Sweeps | null,
  right: Sweeps | null,
  epsilon: number,
): boolean {
  const ends = iterate(d, e, n, left, right, epsilon)
  left?.flush()
  right?.flush()
  return ends
}

/**
 * Turns the lower bidiagonal matrix with diagonals `d` and `e` into an upper one; the rows of `left` are turned along.
 */
export function lowerToUpper(d: Float64Array, e: Float64Array, n: number, left: Sweeps | null): void {
  left?.begin(0, true)
  for (let i = 0; i < n - 1; i++) {
    givens(d[i], e[i])
    d[i] = turn.r
    e[i] = turn.s * d[i + 1]
    d[i + 1] *= turn.c
    left?.push(turn.c, turn.s)
  }
  left?.end()
}

function iterate(
  d: Float64Array,
  e: Float64Array,
  n: number,
  left: Sweeps | null,
  right: Sweeps | null,
  epsilon: number,
): boolean {
  const tolerance = epsilon * Math.max(10, Math.min(100, epsilon ** -0.125))
  let least = Math.abs(d[0])
  let mu = least
  for (let i = 1; i < n && least !== 0; i++) {
    mu = Math.abs(d[i]) * (mu / (mu + Math.abs(e[i - 1])))
    least = Math.min(least, mu)
  }
  const threshold = Math.max((tolerance * least) / Math.sqrt(n), 6 * n * n * SMALLEST)
  let oldFirst = -1
  let oldLast = -1
  let down = true
  let last = n - 1
  let budget = 6 * n * n + 100
  while (last > 0) {
    let most = Math.abs(d[last])
    let first = last - 1
    for (; first >= 0; first--) {
      const off = Math.abs(e[first])
      if (off <= threshold) {
        e[first] = 0
        break
      }
      most = Math.max(most, Math.abs(d[first]), off)
    }
    first++
    if (first === last) {
      last--
      continue
    }
    if (first === last - 1) {
      const block = twoByTwo(d[first], e[first], d[last])
      d[first] = block.most
      e[first] = 0
      d[last] = block.least
      single(right, first, block.cosR, block.sinR)
      single(left, first, block.cosL, block.sinL)
      last -= 2
      continue
    }
    if (first > oldLast || last < oldFirst) down = Math.abs(d[first]) >= Math.abs(d[last])
    const lowest = splits(d, e, first, last, down, tolerance)
    if (lowest < 0) continue
    oldFirst = first
    oldLast = last
    budget -= last - first
    if (budget < 0) return false
    let shift = 0
    if (n * tolerance * (lowest / most) > Math.max(epsilon, 0.01 * tolerance)) {
      const size = Math.abs(down ? d[first] : d[last])
      shift = down ? smallerOfTwo(d[last - 1], e[last - 1], d[last]) : smallerOfTwo(d[first], e[first], d[first + 1])
      if (size > 0 && (shift / size) ** 2 < epsilon) shift = 0
    }
    if (shift === 0) chaseUnshifted(d, e, left, right, first, last, down)
    else chase(d, e, left, right, first, last, down, shift)
    const end = down ? last - 1 : first
    if (Math.abs(e[end]) <= threshold) e[end] = 0
  }
  return true
}

/** A sweep of one rotation of a row and the next. */
export function single(rows: Sweeps | null, row: number, c: number, s: number): void {
  rows?.begin(row, true)
  rows?.push(c, s)
  rows?.end()
}

/** Sets an element of `e` that counts as zero to it and answers -1; else a bound of the smallest singular value. */
function splits(
  d: Float64Array,
  e: Float64Array,
  first: number,
  last: number,
  down: boolean,
  tolerance: number,
): number {
  const end = down ? last - 1 : first
  if (Math.abs(e[end]) <= tolerance * Math.abs(d[down ? last : first])) {
    e[end] = 0
    return -1
  }
  let mu = Math.abs(d[down ? first : last])
  let lowest = mu
  for (let step = 0; step < last - first; step++) {
    const i = down ? first + step : last - 1 - step
    if (Math.abs(e[i]) <= tolerance * mu) {
      e[i] = 0
      return -1
    }
    mu = Math.abs(d[down ? i + 1 : i]) * (mu / (mu + Math.abs(e[i])))
    lowest = Math.min(lowest, mu)
  }
  return lowest
}

function chaseUnshifted(
  d: Float64Array,
  e: Float64Array,
  left: Sweeps | null,
  right: Sweeps | null,
  first: number,
  last: number,
  down: boolean,
): void {
  let c = 1
  let oldC = 1
  let oldS = 0
  const step = down ? 1 : -1
  const start = down ? first : last
  const end = down ? last : first
  const [inner, outer] = down ? [right, left] : [left, right]
  inner?.begin(start, down)
  outer?.begin(start, down)
  for (let i = start; i !== end; i += step) {
    const off = down ? i : i - 1
    givens(d[i] * c, e[off])
    c = turn.c
    const s = turn.s
    const { r } = turn
    if (i !== start) e[down ? i - 1 : i] = oldS * r
    givens(oldC * r, d[i + step] * s)
    oldC = turn.c
    oldS = turn.s
    d[i] = turn.r
    inner?.push(c, s)
    outer?.push(oldC, oldS)
  }
  inner?.end()
  outer?.end()
  const h = d[end] * c
  d[end] = h * oldC
  e[down ? last - 1 : first] = h * oldS
}

function chase(
  d: Float64Array,
  e: Float64Array,
  left: Sweeps | null,
  right: Sweeps | null,
  first: number,
  last: number,
  down: boolean,
  shift: number,
): void {
  const start = down ? first : last
  const end = down ? last : first
  const step = down ? 1 : -1
  let f = (Math.abs(d[start]) - shift) * (signed(1, d[start]) + shift / d[start])
  let g = e[down ? first : last - 1]
  const [inner, outer] = down ? [right, left] : [left, right]
  inner?.begin(start, down)
  outer?.begin(start, down)
  for (let i = start; i !== end; i += step) {
    // `here` is the off-diagonal element between i and the next, `next` the one after it.
    const here = down ? i : i - 1
    const next = here + step
    givens(f, g)
    const cosR = turn.c
    const sinR = turn.s
    if (i !== start) e[here - step] = turn.r
    f = cosR * d[i] + sinR * e[here]
    e[here] = cosR * e[here] - sinR * d[i]
    g = sinR * d[i + step]
    d[i + step] *= cosR
    givens(f, g)
    const cosL = turn.c
    const sinL = turn.s
    d[i] = turn.r
    f = cosL * e[here] + sinL * d[i + step]
    d[i + step] = cosL * d[i + step] - sinL * e[here]
    if (i + step !== end) {
      g = sinL * e[next]
      e[next] *= cosL
    }
    inner?.push(cosR, sinR)
    outer?.push(cosL, sinL)
  }
  inner?.end()
  outer?.end()
  e[down ? last - 1 : first] = f
}
