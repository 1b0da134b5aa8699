// Discrete Fourier transforms of one length in double precision, over arrays of alternating real and imaginary parts:
// Stockham's self-sorting algorithm for small factors, Bluestein's chirp transform where a prime factor is large.
import { radicesOf, unit } from '../base/roots.ts'

/** Transforms rows of `n` complex numbers; the direction is forward, exp(-2 pi i j k / n). */
export interface Plan {
  readonly n: number
  /** Transforms the row in `a`; it ends in the array returned, which is `a` or `b`. Both have 2n elements. */
  run(a: Float64Array, b: Float64Array): Float64Array
}

const plans = new Map<number, Plan>()

/** The plan for a length; a few are kept. */
export function planFor(n: number): Plan {
  let plan = plans.get(n)
  if (plan) return plan
  const radices = radicesOf(n)
  plan = radices ? stockham(n, radices) : bluestein(n)
  if (plans.size >= 64) plans.delete(plans.keys().next().value as number)
  plans.set(n, plan)
  return plan
}

/** exp(-2 pi i k / n) for k < n, from angles of an eighth of the circle at the most. */
function rootsOf(n: number): Float64Array {
  const roots = new Float64Array(2 * n)
  for (let k = 0; k < n; k++) {
    const [c, s] = unit(8 * k, n)
    roots[2 * k] = c
    roots[2 * k + 1] = -s
  }
  return roots
}

function stockham(n: number, radices: readonly number[]): Plan {
  const roots = rootsOf(n)
  return {
    n,
    run(a, b) {
      let [x, y] = [a, b]
      let length = n
      let stride = 1
      for (const p of radices) {
        const m = length / p
        if (p === 4) pass4(x, y, roots, m, stride)
        else if (p === 2) pass2(x, y, roots, m, stride)
        else if (p === 3) pass3(x, y, roots, m, stride)
        else passAny(x, y, roots, p, m, stride, n)
        ;[x, y] = [y, x]
        length = m
        stride *= p
      }
      return x
    },
  }
}

function pass2(x: Float64Array, y: Float64Array, roots: Float64Array, m: number, s: number): void {
  const far = 2 * s * m
  for (let q = 0; q < m; q++) {
    const [wr, wi] = [roots[2 * q * s], roots[2 * q * s + 1]]
    let i = 2 * s * q
    let o = 4 * s * q
    for (let t = 0; t < s; t++, i += 2, o += 2) {
      const ar = x[i]
      const ai = x[i + 1]
      const br = x[i + far]
      const bi = x[i + far + 1]
      const dr = ar - br
      const di = ai - bi
      y[o] = ar + br
      y[o + 1] = ai + bi
      y[o + 2 * s] = dr * wr - di * wi
      y[o + 2 * s + 1] = dr * wi + di * wr
    }
  }
}

function pass3(x: Float64Array, y: Float64Array, roots: Float64Array, m: number, s: number): void {
  const far = 2 * s * m
  const half = Math.sqrt(3) / 2
  for (let q = 0; q < m; q++) {
    const w = 2 * q * s
    const ur = roots[w]
    const ui = roots[w + 1]
    const vr = roots[2 * w]
    const vi = roots[2 * w + 1]
    let i = 2 * s * q
    let o = 6 * s * q
    for (let t = 0; t < s; t++, i += 2, o += 2) {
      const ar = x[i]
      const ai = x[i + 1]
      const br = x[i + far]
      const bi = x[i + far + 1]
      const cr = x[i + 2 * far]
      const ci = x[i + 2 * far + 1]
      const sr = br + cr
      const si = bi + ci
      const mr = ar - 0.5 * sr
      const mi = ai - 0.5 * si
      const dr = half * (bi - ci)
      const di = -half * (br - cr)
      y[o] = ar + sr
      y[o + 1] = ai + si
      const er = mr + dr
      const ei = mi + di
      const fr = mr - dr
      const fi = mi - di
      y[o + 2 * s] = er * ur - ei * ui
      y[o + 2 * s + 1] = er * ui + ei * ur
      y[o + 4 * s] = fr * vr - fi * vi
      y[o + 4 * s + 1] = fr * vi + fi * vr
    }
  }
}

function pass4(x: Float64Array, y: Float64Array, roots: Float64Array, m: number, s: number): void {
  const far = 2 * s * m
  for (let q = 0; q < m; q++) {
    const w = 2 * q * s
    const ur = roots[w]
    const ui = roots[w + 1]
    const vr = roots[2 * w]
    const vi = roots[2 * w + 1]
    const wr = roots[3 * w]
    const wi = roots[3 * w + 1]
    let i = 2 * s * q
    let o = 8 * s * q
    for (let t = 0; t < s; t++, i += 2, o += 2) {
      const ar = x[i]
      const ai = x[i + 1]
      const br = x[i + far]
      const bi = x[i + far + 1]
      const cr = x[i + 2 * far]
      const ci = x[i + 2 * far + 1]
      const dr = x[i + 3 * far]
      const di = x[i + 3 * far + 1]
      const er = ar + cr
      const ei = ai + ci
      const fr = ar - cr
      const fi = ai - ci
      const gr = br + dr
      const gi = bi + di
      const hr = bi - di
      const hi = dr - br
      y[o] = er + gr
      y[o + 1] = ei + gi
      const pr = fr + hr
      const pi = fi + hi
      y[o + 2 * s] = pr * ur - pi * ui
      y[o + 2 * s + 1] = pr * ui + pi * ur
      const qr = er - gr
      const qi = ei - gi
      y[o + 4 * s] = qr * vr - qi * vi
      y[o + 4 * s + 1] = qr * vi + qi * vr
      const rr = fr - hr
      const ri = fi - hi
      y[o + 6 * s] = rr * wr - ri * wi
      y[o + 6 * s + 1] = rr * wi + ri * wr
    }
  }
}

/** A pass of any radix `p`, by the definition; `n` is the whole length. */
function passAny(
  x: Float64Array,
  y: Float64Array,
  roots: Float64Array,
  p: number,
  m: number,
  s: number,
  n: number,
): void {
  const far = 2 * s * m
  const step = n / p
  for (let q = 0; q < m; q++) {
    for (let j = 0; j < p; j++) {
      const wr = roots[2 * q * s * j]
      const wi = roots[2 * q * s * j + 1]
      let i = 2 * s * q
      let o = 2 * s * (p * q + j)
      for (let t = 0; t < s; t++, i += 2, o += 2) {
        let re = x[i]
        let im = x[i + 1]
        for (let k = 1, r = j; k < p; k++) {
          const [c, d] = [roots[2 * r * step], roots[2 * r * step + 1]]
          const [u, v] = [x[i + k * far], x[i + k * far + 1]]
          re += u * c - v * d
          im += u * d + v * c
          r += j
          if (r >= p) r -= p
        }
        y[o] = re * wr - im * wi
        y[o + 1] = re * wi + im * wr
      }
    }
  }
}

/** L. I. Bluestein (1970): a convolution with a chirp, done by transforms of a power of two. */
function bluestein(n: number): Plan {
  let m = 1
  while (m < 2 * n - 1) m *= 2
  const inner = planFor(m)
  const chirp = new Float64Array(2 * n)
  let square = 0 // k^2 modulo 2n
  for (let k = 0; k < n; k++) {
    const [c, s] = unit(4 * square, n)
    chirp[2 * k] = c
    chirp[2 * k + 1] = -s
    square = (square + 2 * k + 1) % (2 * n)
  }
  const filter = new Float64Array(2 * m)
  for (let k = 0; k < n; k++) {
    for (const at of k === 0 ? [0] : [k, m - k]) {
      filter[2 * at] = chirp[2 * k] / m
      filter[2 * at + 1] = -chirp[2 * k + 1] / m
    }
  }
  const [u, v] = [new Float64Array(2 * m), new Float64Array(2 * m)]
  const spectrum = inner.run(filter, u).slice()
  return {
    n,
    run(a) {
      u.fill(0)
      for (let k = 0; k < 2 * n; k += 2) {
        u[k] = a[k] * chirp[k] - a[k + 1] * chirp[k + 1]
        u[k + 1] = a[k] * chirp[k + 1] + a[k + 1] * chirp[k]
      }
      const w = inner.run(u, v)
      // Conjugated, so that the forward transform goes back.
      for (let k = 0; k < 2 * m; k += 2) {
        const re = w[k] * spectrum[k] - w[k + 1] * spectrum[k + 1]
        w[k + 1] = -(w[k] * spectrum[k + 1] + w[k + 1] * spectrum[k])
        w[k] = re
      }
      const z = inner.run(w, w === u ? v : u)
      for (let k = 0; k < 2 * n; k += 2) {
        const [re, im] = [z[k], -z[k + 1]]
        a[k] = re * chirp[k] - im * chirp[k + 1]
        a[k + 1] = re * chirp[k + 1] + im * chirp[k]
      }
      return a
    },
  }
}
