// Elementary functions in float64 as expressions, within an ulp or two: what the special functions are computed with, so
// that no kernel calls JavaScript for each element. After fdlibm (https://www.netlib.org/fdlibm), without its branches.
import { clamp, horner, num } from './build.ts'
import { constant, type Expr, k } from './expr.ts'

/** 1.5 * 2^52: adding it rounds to an integer, which then sits in the low bits. */
const MAGIC = 6755399441055744
const MAGIC_BITS = 0x4338000000000000n
/** ln 2 in two parts: the first has 32 bits, so that products with exponents are exact. */
const LN2_HIGH = 0.6931471803691238
const LN2_LOW = 1.9082149292705877e-10
const SQRT_HALF_BITS = 0x3fe6a09e667f3bcdn
const SMALLEST_NORMAL = 2 ** -1022

const LOG = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
] // biome-ignore format: a table

const long = (value: bigint): Expr => constant(value, 'i64')

/** Natural logarithm: -inf at 0, NaN below. */
export function logDouble(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const small = k.lt(x, c(SMALLEST_NORMAL))
  const bits = k.bitcast(k.select(small, k.mul(x, c(2 ** 54)), x), 'i64')
  const exponent = k.shr(k.sub(bits, long(SQRT_HALF_BITS)), 52)
  const mantissa = k.bitcast(k.sub(bits, k.shl(exponent, 52)), 'f64')
  const whole = k.sub(k.bitcast(k.add(exponent, long(MAGIC_BITS)), 'f64'), c(MAGIC))
  const n = k.sub(whole, k.select(small, c(54), c(0)))
  const f = k.sub(mantissa, c(1))
  const s = k.div(f, k.add(f, c(2)))
  const z = k.mul(s, s)
  const half = k.mul(k.mul(f, f), c(0.5))
  const rest = k.madd(s, k.madd(z, horner(z, LOG), half), k.mul(n, c(LN2_LOW)))
  const y = k.sub(k.mul(n, c(LN2_HIGH)), k.sub(k.sub(half, rest), f))
  const finite = k.select(k.lt(x, c(Number.POSITIVE_INFINITY)), y, x)
  const positive = k.select(k.lt(x, c(0)), c(Number.NaN), finite)
  return k.select(k.eq(x, c(0)), c(Number.NEGATIVE_INFINITY), positive)
}

/** log(1 + x), exact near 0. */
export function log1pDouble(x: Expr): Expr {
  const u = k.add(x, num(x, 1))
  const lost = k.sub(x, k.sub(u, num(x, 1)))
  const inside = k.and(k.gt(u, num(x, 0)), k.lt(u, num(x, Number.POSITIVE_INFINITY)))
  return k.add(logDouble(u), k.select(inside, k.div(lost, u), num(x, 0)))
}

const EXP = [
  0.16666666666666602, -0.0027777777777015593, 6.613756321437934e-5, -1.6533902205465252e-6, 4.1381367970572385e-8,
] // biome-ignore format: a table

/** e^x, denormals included. */
export function expDouble(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const bounded = clamp(x, -746, 710)
  const sum = k.madd(bounded, c(1 / Math.LN2), c(MAGIC))
  const n = k.sub(sum, c(MAGIC))
  const high = k.madd(n, c(-LN2_HIGH), bounded)
  const low = k.mul(n, c(LN2_LOW))
  const r = k.sub(high, low)
  const z = k.mul(r, r)
  const even = k.sub(r, k.mul(z, horner(z, EXP)))
  const y = k.sub(c(1), k.sub(k.sub(low, k.div(k.mul(r, even), k.sub(c(2), even))), high))
  // By two powers of two, for one does not reach all exponents.
  const exponent = k.sub(k.bitcast(sum, 'i64'), long(MAGIC_BITS))
  const first = k.shr(exponent, 1)
  const power = (e: Expr): Expr => k.bitcast(k.shl(k.add(e, long(1023n)), 52), 'f64')
  return k.mul(k.mul(y, power(first)), power(k.sub(exponent, first)))
}

const SIN = [
  -0.16666666666666632, 0.00833333333332249, -0.0001984126982985795, 2.7557313707070068e-6, -2.5050760253406863e-8,
  1.58969099521155e-10,
] // biome-ignore format: a table
const COS = [
  0.0416666666666666, -0.001388888888887411, 2.480158728947673e-5, -2.7557314351390663e-7, 2.087572321298175e-9,
  -1.1359647557788195e-11,
] // biome-ignore format: a table

/** sin and cos of pi f, for |f| <= 1/2. */
export function sinCosPi(f: Expr): { readonly sine: Expr; readonly cosine: Expr } {
  const c = (value: number): Expr => num(f, value)
  const a = k.abs(f)
  const far = k.gt(a, c(0.25))
  const x = k.mul(k.select(far, k.sub(c(0.5), a), a), c(Math.PI))
  const z = k.mul(x, x)
  const s = k.madd(k.mul(x, z), horner(z, SIN), x)
  const half = k.mul(z, c(0.5))
  const w = k.sub(c(1), half)
  const cosine = k.add(w, k.madd(k.mul(z, z), horner(z, COS), k.sub(k.sub(c(1), w), half)))
  const sine = k.select(far, cosine, s)
  return { sine: k.select(k.lt(f, c(0)), k.neg(sine), sine), cosine: k.select(far, s, cosine) }
}

/** atan(t) / t over t^2, for |t| < tan(pi/8); to 2^-35. */
const ATAN = [
  0.9999999999792809, -0.3333333213414415, 0.1999988631640527, -0.14281649452519868, 0.11041166628090954,
  -0.08459681217084779, 0.0471408843998109,
] // biome-ignore format: a table

/** The angle, to 2^-35, of the point (x, y) in the first quadrant; the origin's is NaN, as that of two infinities. */
export function angleDouble(y: Expr, x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const flat = k.gt(k.mul(x, c(Math.tan((3 * Math.PI) / 8))), y)
  const middle = k.gt(y, k.mul(x, c(Math.tan(Math.PI / 8))))
  const near = k.select(middle, k.sub(y, x), y)
  const below = k.select(middle, k.add(y, x), x)
  const t = k.div(k.select(flat, near, k.neg(x)), k.select(flat, below, y))
  const start = k.select(flat, k.select(middle, c(Math.PI / 4), c(0)), c(Math.PI / 2))
  return k.madd(t, horner(k.mul(t, t), ATAN), start)
}
