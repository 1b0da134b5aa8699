// Elementary functions in float64 as expressions, within an ulp or two: what the special functions are computed with, so
// that no kernel calls JavaScript for each element. After fdlibm (https://www.netlib.org/fdlibm), without its branches.
import { clamp, horner, num, withSign } from './build.ts'
import { constant, type Expr, k } from './expr.ts'

/** 1.5 * 2^52: adding it rounds to an integer, which then sits in the low bits. */
const MAGIC = 6755399441055744
const MAGIC_BITS = 0x4338000000000000n
/** ln 2 in two parts: the first has 32 bits, so that products with exponents are exact. */
const LN2_HIGH = 0.6931471803691238
const LN2_LOW = 1.9082149292705877e-10
const ONE_BITS = 0x3ff0000000000000n
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
  const { f, n } = splitDouble(x)
  const s = k.div(f, k.add(f, c(2)))
  const z = k.mul(s, s)
  const half = k.mul(k.mul(f, f), c(0.5))
  const rest = k.madd(s, k.madd(z, horner(z, LOG), half), k.mul(n, c(LN2_LOW)))
  return logSpecials(x, k.sub(k.mul(n, c(LN2_HIGH)), k.sub(k.sub(half, rest), f)))
}

/** x = (1 + f) 2^n with 1 + f in [sqrt(1/2), sqrt(2)), for a positive finite float64. */
function splitDouble(x: Expr): { readonly f: Expr; readonly n: Expr } {
  const c = (value: number): Expr => num(x, value)
  const small = k.lt(x, c(SMALLEST_NORMAL))
  const bits = k.bitcast(k.select(small, k.mul(x, c(2 ** 54)), x), 'i64')
  // Biased, so that it is shifted without its sign: arithmetic shifts of 64 bits are many instructions.
  const raised = k.add(bits, long(ONE_BITS - SQRT_HALF_BITS))
  const exponent = k.shru(raised, 52)
  const mantissa = k.bitcast(k.add(k.and(raised, long(2n ** 52n - 1n)), long(SQRT_HALF_BITS)), 'f64')
  const whole = k.sub(k.bitcast(k.add(exponent, long(MAGIC_BITS)), 'f64'), c(MAGIC + 1023))
  return { f: k.sub(mantissa, c(1)), n: k.sub(whole, k.select(small, c(54), c(0))) }
}

/** `y` = a logarithm of `x`, with that of 0, negative numbers, infinity and NaN put right. */
function logSpecials(x: Expr, y: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const finite = k.select(k.lt(x, c(Number.POSITIVE_INFINITY)), y, x)
  const positive = k.select(k.lt(x, c(0)), c(Number.NaN), finite)
  return k.select(k.eq(x, c(0)), c(Number.NEGATIVE_INFINITY), positive)
}

/** Logarithm to base 2; whole for powers of 2. */
export function log2Double(x: Expr): Expr {
  const { f, n } = splitDouble(x)
  return logSpecials(x, k.add(n, k.mul(log1pNear(f), num(x, Math.LOG2E))))
}

/** log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)). */
function log1pNear(f: Expr): Expr {
  const s = k.div(f, k.add(f, num(f, 2)))
  const z = k.mul(s, s)
  const half = k.mul(k.mul(f, f), num(f, 0.5))
  return k.sub(f, k.sub(half, k.mul(s, k.madd(z, horner(z, LOG), half))))
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

/** e^(high - low) 2^n for a whole n, denormals included. */
function expScaled(high: Expr, low: Expr, n: Expr): Expr {
  const c = (value: number): Expr => num(high, value)
  const r = k.sub(high, low)
  const z = k.mul(r, r)
  const even = k.sub(r, k.mul(z, horner(z, EXP)))
  const y = k.sub(c(1), k.sub(k.sub(low, k.div(k.mul(r, even), k.sub(c(2), even))), high))
  // By two powers of two, for one does not reach all exponents.
  const first = k.nearest(k.mul(n, c(0.5)))
  return k.mul(k.mul(y, power(first)), power(k.sub(n, first)))
}

/** Two to the power of a whole float64 in [-1022, 1023]; its biased exponent is what is left of a sum with MAGIC. */
const power = (n: Expr): Expr => k.bitcast(k.shl(k.bitcast(k.add(n, num(n, MAGIC + 1023)), 'i64'), 52), 'f64')

/** e^x, denormals included. */
export function expDouble(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const bounded = clamp(x, -746, 710)
  const sum = k.madd(bounded, c(1 / Math.LN2), c(MAGIC))
  const n = k.sub(sum, c(MAGIC))
  return expScaled(k.madd(n, c(-LN2_HIGH), bounded), k.mul(n, c(LN2_LOW)), n)
}

/** 2^x, denormals included. */
export function exp2Double(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const bounded = clamp(x, -1080, 1030)
  const n = k.nearest(bounded)
  return expScaled(k.mul(k.sub(bounded, n), c(Math.LN2)), c(0), n)
}

const EXPM1 = [
  -0.03333333333333313, 0.0015873015872548146, -7.93650757867488e-5, 4.008217827329362e-6, -2.0109921818362437e-7,
] // biome-ignore format: a table

/** e^x - 1, exact near 0. */
export function expm1Double(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const bounded = clamp(x, -50, 710)
  // In (-ln 2 / 2, ln 2 / 2) nothing is taken off, and no rounding of 1 comes in.
  const sum = k.madd(bounded, c(1 / Math.LN2), c(MAGIC))
  const n = k.sub(sum, c(MAGIC))
  const high = k.madd(n, c(-LN2_HIGH), bounded)
  const low = k.mul(n, c(LN2_LOW))
  const r = k.sub(high, low)
  const lost = k.sub(k.sub(high, r), low)
  const half = k.mul(r, c(0.5))
  const square = k.mul(r, half)
  const series = k.madd(square, horner(square, EXPM1), c(1))
  const t = k.sub(c(3), k.mul(series, half))
  const e = k.mul(square, k.div(k.sub(series, t), k.sub(c(6), k.mul(r, t))))
  const unscaled = k.sub(r, k.sub(k.mul(r, e), square))
  const rest = k.sub(k.sub(k.mul(r, k.sub(e, lost)), lost), square)
  // 2^(n-1) twice, for 2^1024 is no number.
  const scale = power(k.sub(n, c(1)))
  const inverse = k.div(c(0.5), scale)
  const near = k.sub(k.sub(c(1), inverse), k.sub(rest, r))
  const far = k.add(k.sub(r, k.add(rest, inverse)), c(1))
  const scaled = k.mul(k.mul(k.select(k.lt(n, c(20)), near, far), scale), c(2))
  return k.select(k.eq(n, c(0)), k.select(k.eq(r, c(0)), x, unscaled), scaled)
}

/** Hyperbolic tangent. */
export function tanhDouble(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const a = k.pmin(k.abs(x), c(22))
  const near = k.lt(a, c(1))
  const t = expm1Double(k.mul(a, k.select(near, c(-2), c(2))))
  const q = k.div(k.select(near, k.neg(t), c(2)), k.add(t, c(2)))
  return withSign(k.select(near, q, k.sub(c(1), q)), x)
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

/** pi / 2 in three parts of 33 bits, so that products with 20 bits are exact, and the rest. */
const HALF_PI = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32]

/** a - b rounded, and what the rounding lost. */
function difference(a: Expr, b: Expr): readonly [rounded: Expr, lost: Expr] {
  const rounded = k.sub(a, b)
  const taken = k.sub(a, rounded)
  return [rounded, k.sub(k.sub(a, k.add(rounded, taken)), k.sub(b, taken))]
}

/** sin x and cos x, for |x| below 2^20. */
export function sinCosDouble(x: Expr): { readonly sine: Expr; readonly cosine: Expr } {
  const c = (value: number): Expr => num(x, value)
  const sum = k.madd(x, c(2 / Math.PI), c(MAGIC))
  const n = k.sub(sum, c(MAGIC))
  const first = k.sub(x, k.mul(n, c(HALF_PI[0])))
  const [second, lost2] = difference(first, k.mul(n, c(HALF_PI[1])))
  const [third, lost3] = difference(second, k.mul(n, c(HALF_PI[2])))
  const tail = k.sub(k.add(lost2, lost3), k.mul(n, c(HALF_PI[3])))
  const r = k.add(third, tail)
  const low = k.add(k.sub(third, r), tail)

  const z = k.mul(r, r)
  const cube = k.mul(z, r)
  const odd = k.sub(k.mul(z, k.sub(k.mul(low, c(0.5)), k.mul(cube, horner(z, SIN.slice(1))))), low)
  const s = k.sub(r, k.sub(odd, k.mul(cube, c(SIN[0]))))
  const half = k.mul(z, c(0.5))
  const w = k.sub(c(1), half)
  const even = k.sub(k.mul(k.mul(z, z), horner(z, COS)), k.mul(r, low))
  const o = k.add(w, k.add(k.sub(k.sub(c(1), w), half), even))

  const quadrant = k.bitcast(sum, 'i64')
  const turned = k.ne(k.and(quadrant, long(1n)), long(0n))
  const flipped = (y: Expr, q: Expr): Expr => k.bitcast(k.xor(k.bitcast(y, 'i64'), k.shl(k.shru(q, 1), 63)), 'f64')
  return {
    sine: flipped(k.select(turned, o, s), quadrant),
    cosine: flipped(k.select(turned, s, o), k.add(quadrant, long(1n))),
  }
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
