// The regularized incomplete gamma functions and Hurwitz' zeta function, in double precision. Which expansion serves where
// follows Cephes (igam.c, zeta.c); for large a there is Temme's uniform expansion (DLMF 8.12).
import { LGAMMA, STIRLING } from './special.ts'

const EPSILON = 2 ** -53

function polynomial(x: number, coefficients: readonly number[]): number {
  return coefficients.reduceRight((sum, c) => sum * x + c, 0)
}

const stirling = (a: number): number => polynomial(1 / (a * a), STIRLING) / a

/** log(gamma(1 + a)) for a of 0 and more, relative also near 0. */
function lgamma1p(a: number): number {
  if (a <= 0.5) return a * (1 + a) * polynomial(a, LGAMMA) - Math.log1p(a)
  if (a >= 7) {
    const x = a + 1
    return (x - 0.5) * (Math.log(x) - 1) + 0.5 * Math.log(2 * Math.PI) - 0.5 + stirling(x)
  }
  let x = a + 1
  let product = 1
  while (x > 2.5) {
    x -= 1
    product *= x
  }
  return (x - 1) * (x - 2) * polynomial(x - 2, LGAMMA) + Math.log(product)
}

/** m - log(1 + m), relative also near 0. */
function logRest(m: number): number {
  if (Math.abs(m) > 0.2) return m - Math.log1p(m)
  let sum = 0
  let power = m
  for (let n = 2; n < 40; n++) {
    power *= -m
    const term = -power / n
    sum += term
    if (Math.abs(term) < EPSILON * Math.abs(sum)) break
  }
  return sum
}

/** x^a e^-x / gamma(a + 1). */
function factor(a: number, x: number): number {
  if (a < 10) return Math.exp(a * Math.log(x) - x - lgamma1p(a))
  return Math.exp(-a * logRest((x - a) / a) - stirling(a)) / Math.sqrt(2 * Math.PI * a)
}

/** The lower function by its power series. */
function lowerSeries(a: number, x: number): number {
  let sum = 1
  let term = 1
  for (let n = 1; n < 20000; n++) {
    term *= x / (a + n)
    sum += term
    if (term <= EPSILON * sum) break
  }
  return sum * factor(a, x)
}

/** The upper function by the power series of the lower one, for small x: nothing cancels where a is small. */
function upperSeries(a: number, x: number): number {
  let fraction = 1
  let sum = 0
  for (let n = 1; n < 2000; n++) {
    fraction *= -x / n
    const term = fraction / (a + n)
    sum += term
    if (Math.abs(term) <= EPSILON * Math.abs(sum)) break
  }
  const log = a * Math.log(x)
  const rest = lgamma1p(a)
  return -Math.expm1(log - rest) - a * Math.exp(log - rest) * sum
}

/** The upper function by its continued fraction (DLMF 8.9.2, by Lentz' method). */
function upperFraction(a: number, x: number): number {
  let b = x + 1 - a
  let c = 1 / 2 ** -1000
  let d = 1 / b
  let h = d
  for (let i = 1; i < 20000; i++) {
    const an = -i * (i - a)
    b += 2
    d = 1 / (an * d + b)
    c = b + an / c
    const change = c * d
    h *= change
    if (Math.abs(change - 1) <= 2 * EPSILON) break
  }
  return a * factor(a, x) * h
}

/** erfc(x) where only an error beside 1 matters, or relative for large x: a continued fraction, or a series. */
function complementary(x: number): number {
  if (x < 0) return 2 - complementary(-x)
  if (x < 2) {
    let term = x
    let sum = x
    for (let n = 1; n < 60; n++) {
      term *= (2 * x * x) / (2 * n + 1)
      sum += term
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
  }
  let f = x
  for (let n = 80; n >= 1; n--) f = x + n / 2 / f
  return Math.exp(-x * x) / (f * Math.sqrt(Math.PI))
}

/** Temme's coefficients, of 1, 1/a and 1/a^2, over eta. */
const TEMME = [
  [-1 / 3, 1 / 12, -2 / 135, 1 / 864, 1 / 2835, -139 / 777600, 1 / 25515, -571 / 261273600],
  [-1 / 540, -1 / 288, 1 / 378, -77 / 77760, 1 / 4860],
  [25 / 6048, -139 / 51840],
] // biome-ignore format: a table

/** The upper function for a above 1e5, where x must be close to a for it to be neither 0 nor 1. */
function upperLarge(a: number, x: number): number {
  const m = (x - a) / a
  if (Math.abs(m) > 0.2) return m > 0 ? 0 : 1
  const eta = Math.sign(m) * Math.sqrt(2 * logRest(m))
  const rest = TEMME.reduceRight((sum, c) => sum / a + polynomial(eta, c), 0)
  return (
    0.5 * complementary(eta * Math.sqrt(a / 2)) + (Math.exp(-0.5 * a * eta * eta) * rest) / Math.sqrt(2 * Math.PI * a)
  )
}

/** Both functions for positive finite a and x: the one that was computed, and which it is. */
function parts(a: number, x: number): { value: number; upper: boolean } {
  if (a > 1e5) return { value: upperLarge(a, x), upper: true }
  if (x > 1.1) {
    return x < a ? { value: lowerSeries(a, x), upper: false } : { value: upperFraction(a, x), upper: true }
  }
  const small = x <= 0.5 ? -0.4 / Math.log(x) < a : x * 1.1 < a
  return small ? { value: lowerSeries(a, x), upper: false } : { value: upperSeries(a, x), upper: true }
}

/** The lower function at the edges of its domain, or null inside. */
function edge(a: number, x: number): number | null {
  if (a < 0 || x < 0) return Number.NaN
  if (a === 0) return x > 0 ? 1 : Number.NaN
  if (x === 0) return 0
  if (a === Number.POSITIVE_INFINITY) return x === Number.POSITIVE_INFINITY ? Number.NaN : 0
  if (x === Number.POSITIVE_INFINITY) return 1
  return Number.isNaN(a + x) ? Number.NaN : null
}

/** The regularized lower incomplete gamma function. */
export function igamma(a: number, x: number): number {
  const known = edge(a, x)
  if (known !== null) return known
  if (x <= 1.1 || x < a) {
    // Relative also where it is tiny; elsewhere the upper one is.
    return a > 1e5 ? 1 - upperLarge(a, x) : lowerSeries(a, x)
  }
  const { value, upper } = parts(a, x)
  return upper ? 1 - value : value
}

/** The regularized upper incomplete gamma function. */
export function igammac(a: number, x: number): number {
  const known = edge(a, x)
  if (known !== null) return 1 - known
  const { value, upper } = parts(a, x)
  return upper ? value : 1 - value
}

/** (2k)! / Bernoulli(2k), for the tail of the sum. */
const EULER_MACLAURIN = [
  12, -720, 30240, -1209600, 47900160, -1892437580.3183792, 7.47242496e10, -2950130727918.164,
  116467828143500.67, -4597978722407473.0, 1.8152105401943546e17, -7.166165256175667e18,
] // biome-ignore format: a table

/** Hurwitz' zeta function: the sum of (q + k)^-x over k of 0 and more. */
export function zeta(x: number, q: number): number {
  if (x === 1) return Number.POSITIVE_INFINITY
  if (x < 1) return Number.NaN
  if (q <= 0) {
    if (q === Math.floor(q)) return Number.POSITIVE_INFINITY
    if (x !== Math.floor(x)) return Number.NaN
  }
  if (Number.isNaN(x + q)) return Number.NaN
  // As in C, a power of 1 is 1; JavaScript's infinite one is NaN.
  let sum = q === 1 ? 1 : q ** -x
  let a = q
  let b = 0
  for (let i = 0; i < 9 || a <= 9; i++) {
    a += 1
    b = a ** -x
    sum += b
    if (Math.abs(b) < EPSILON * Math.abs(sum)) return sum
  }
  sum += (b * a) / (x - 1) - 0.5 * b
  let rising = 1
  for (let i = 0; i < EULER_MACLAURIN.length; i++) {
    const k = 2 * i
    rising *= x + k
    b /= a
    const term = (rising * b) / EULER_MACLAURIN[i]
    sum += term
    if (Math.abs(term / sum) < EPSILON) return sum
    rising *= x + k + 1
    b /= a
  }
  return sum
}
