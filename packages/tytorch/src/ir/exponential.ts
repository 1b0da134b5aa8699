// Exponentials, logarithms, and what is made of them: tanh, sigmoid, softplus. In float32 they are branchless
// polynomials (our own minimax fits), right over all floats including denormals; in float64 those of double.ts or the host's.
import { byType, clamp, f32, horner, hosted, i32, inDouble, num, withSign } from './build.ts'
import { exp2Double, expDouble, expm1Double, log1pDouble, log2Double, logDouble, tanhDouble } from './double.ts'
import { type Expr, type HostFunction, k } from './expr.ts'

/** 1.5 * 2^23: adding it rounds a float32 below 2^22 to an integer, which then sits in its low bits. */
export const MAGIC = 12582912
const BIAS = 127
/** ln 2 in two parts (fdlibm's): the first has 17 bits, so that products with 7-bit integers are exact. */
export const LN2_HIGH = 0.6931381225585938
/** The rest of it. */
export const LN2_LOW = 9.058000614459161e-6

/** (e^r - 1 - r) / r^2 for |r| < ln 2, to 2^-30. */
const EXP = [0.5, 0.16666672, 0.0416666, 0.008332652, 0.0013892152, 0.0002009346, 2.4530622e-5]

/**
 * e^r * scale * scale for |r| <= ln 2 and a power of two `scale`. Scaling by a square reaches infinity and the
 * denormals with one rounding, which a single float32 power of two cannot.
 */
export function expScaled(r: Expr, scale: Expr): Expr {
  // Not a madd: with one rounding fewer the largest error grows from 1.25 to 1.34 ulp.
  const tail = k.add(r, k.mul(k.mul(r, r), horner(r, EXP)))
  return k.mul(k.mul(k.add(tail, f32(1)), scale), scale)
}

/** The float32 power of two whose exponent, biased, is in the low bits of a sum with MAGIC. */
export function scaleOf(sum: Expr): Expr {
  return k.bitcast(k.shl(k.bitcast(sum, 'i32'), 23), 'f32')
}

/** e^(high + low) in float32, for a sum in [-104, 89]. */
export function expPair(high: Expr, low: Expr | null): Expr {
  const sum = k.madd(low ? k.add(high, low) : high, f32(0.5 / Math.LN2), f32(MAGIC + BIAS))
  const half = k.sub(sum, f32(MAGIC + BIAS))
  const exact = k.madd(half, f32(-2 * LN2_HIGH), high)
  const minor = f32(-2 * LN2_LOW)
  const r = low ? k.add(exact, k.madd(half, minor, low)) : k.madd(half, minor, exact)
  return expScaled(r, scaleOf(sum))
}

/** e^x. */
export const exp = byType((x) => expPair(clamp(x, -104, 89), null), expDouble)

/** 2^x. */
export const exp2 = byType((x) => {
  const c = clamp(x, -152, 130)
  const sum = k.madd(c, f32(0.5), f32(MAGIC + BIAS))
  const half = k.sub(sum, f32(MAGIC + BIAS))
  const r = k.madd(half, f32(-2), c)
  return expScaled(k.mul(r, f32(Math.LN2)), scaleOf(sum))
}, exp2Double)

/** (e^r - 1 - r) / r^2 for |r| < ln 2 / 2, relative to r, to 2^-31. */
const EXPM1 = [0.5, 0.16666667, 0.041666485, 0.0083332015, 0.001393307, 0.00019950075]

/** e^x - 1, exact near 0. */
export const expm1 = byType((x) => {
  const c = clamp(x, -20, 89)
  const sum = k.madd(c, f32(1 / Math.LN2), f32(MAGIC + BIAS - 1))
  const n = k.sub(sum, f32(MAGIC + BIAS - 1))
  const high = k.madd(n, f32(-LN2_HIGH), c)
  const r = k.madd(n, f32(-LN2_LOW), high)
  const lost = k.madd(n, f32(-LN2_LOW), k.sub(high, r))
  const tail = k.madd(k.mul(r, r), horner(r, EXPM1), lost)
  const scale = scaleOf(sum) // 2^(n-1), for 2^128 is no float
  const whole = k.madd(scale, r, k.sub(scale, f32(0.5)))
  const y = k.madd(scale, tail, whole)
  return withSign(k.add(y, y), x)
}, expm1Double)

/** tanh(x)/x - 1 over x^2, for x^2 up to 0.36. */
const TANH = [-0.333333, 0.1333194, -0.053785123, 0.020800317, -0.005900179]

/** Hyperbolic tangent. */
export const tanh = byType((x) => {
  const a = k.abs(x)
  const z = k.mul(a, a)
  const near = k.madd(k.mul(a, z), horner(z, TANH), a)
  const e = expBounded(k.pmin(k.add(a, a), f32(20)))
  const far = k.sub(f32(1), k.div(f32(2), k.add(e, f32(1))))
  return withSign(k.select(k.lt(a, f32(0.55)), near, far), x)
}, tanhDouble)

/** (e^r - 1 - r) / r^2 for |r| < ln 2 / 2, to 2^-28. */
const EXP_HALF = [0.49999994, 0.1666652, 0.04166826, 0.008368857, 0.0013821766]

/** e^x in float32 for |x| < 80: with one scale and a shorter polynomial. */
export function expBounded(x: Expr): Expr {
  const sum = k.madd(x, f32(1 / Math.LN2), f32(MAGIC + BIAS))
  const n = k.sub(sum, f32(MAGIC + BIAS))
  const r = k.madd(n, f32(-LN2_LOW), k.madd(n, f32(-LN2_HIGH), x))
  const tail = k.madd(k.mul(r, r), horner(r, EXP_HALF), r)
  return k.mul(k.add(tail, f32(1)), scaleOf(sum))
}

function sigmoidSingle(x: Expr): Expr {
  const c = clamp(x, -104, 20)
  const sum = k.madd(c, f32(1 / Math.LN2), f32(MAGIC + BIAS + 64))
  const n = k.sub(sum, f32(MAGIC + BIAS + 64))
  const r = k.madd(n, f32(LN2_LOW), k.madd(n, f32(LN2_HIGH), k.neg(c)))
  const tail = k.madd(k.mul(r, r), horner(r, EXP_HALF), r)
  const whole = k.mul(scaleOf(sum), f32(2 ** -64))
  return k.div(whole, k.add(k.add(whole, tail), f32(1)))
}

function sigmoidDouble(x: Expr): Expr {
  const e = exp(k.neg(k.abs(x)))
  const q = k.div(e, k.add(e, num(x, 1)))
  const whole = k.select(k.lt(x, num(x, 0)), e, num(x, 1))
  return k.madd(k.neg(whole), q, whole)
}

/**
 * 1 / (1 + e^-x), relative in the tail down to the last denormal. In float32 2^n / (2^n + e^r) with x = n ln 2 - r: the
 * power of two is exact, and the 1 of e^r is added last. In float64 e - e q or 1 - q, with q = e / (1 + e) and
 * e = e^-|x|, which keeps the rounding of 1 + e out of the tail.
 */
export const sigmoid = byType(sigmoidSingle, sigmoidDouble)

/** log(m) = f - f^2/2 + f^3 p(f) with f = m - 1, for m in [sqrt(1/2), sqrt(2)]; to 2^-30. */
const LOG = [0.3333331, -0.24999987, 0.20002225, -0.16669253, 0.1421867, -0.12384285, 0.11872925, -0.11790407, 0.06916195] // biome-ignore format: a table

const SQRT_HALF_BITS = 0x3f3504f3
const SMALLEST_NORMAL = 2 ** -126

/** f, of `n ln 2 + log(1 + f)`: exact parts first, the rounding of the sum last. */
function logOf(f: Expr, n: Expr): Expr {
  const z = k.mul(f, f)
  const cubic = k.madd(n, f32(LN2_LOW), k.mul(k.mul(horner(f, LOG), f), z))
  return k.madd(n, f32(LN2_HIGH), k.add(f, k.madd(z, f32(-0.5), cubic)))
}

/** The exponent (i32) that brings the positive normal float32 `x` into [sqrt(1/2), sqrt(2)). */
function exponentOf(x: Expr): Expr {
  return k.shr(k.sub(k.bitcast(x, 'i32'), i32(SQRT_HALF_BITS)), 23)
}

/** `x` divided by two to the `exponent` (i32), exactly. */
function mantissaOf(x: Expr, exponent: Expr): Expr {
  return k.bitcast(k.sub(k.bitcast(x, 'i32'), k.shl(exponent, 23)), 'f32')
}

/** `y` = log of `x`, with the logarithm of 0, negative numbers, infinity and NaN put right. */
function logSpecials(x: Expr, y: Expr): Expr {
  const finite = k.select(k.lt(x, f32(Number.POSITIVE_INFINITY)), y, x)
  const positive = k.select(k.lt(x, f32(0)), f32(Number.NaN), finite)
  return k.select(k.eq(x, f32(0)), f32(Number.NEGATIVE_INFINITY), positive)
}

/** Mantissa in [sqrt(1/2), sqrt(2)) and exponent, as a float32, of a positive float32; denormals included. */
export function splitExponent(x: Expr): { mantissa: Expr; n: Expr } {
  const small = k.lt(x, f32(SMALLEST_NORMAL))
  const normal = k.select(small, k.mul(x, f32(2 ** 23)), x)
  const exponent = exponentOf(normal)
  const n = k.sub(k.cast(exponent, 'f32'), k.select(small, f32(23), f32(0)))
  return { mantissa: mantissaOf(normal, exponent), n }
}

/** Natural logarithm. */
export const log = byType((x) => {
  const { mantissa, n } = splitExponent(x)
  return logSpecials(x, logOf(k.sub(mantissa, f32(1)), n))
}, logDouble)

/** log(1 + x), exact near 0. */
export const log1p = byType(
  (x) => {
    const u = k.add(x, f32(1))
    const lost = k.sub(x, k.sub(u, f32(1)))
    const exponent = exponentOf(u)
    const scale = k.bitcast(k.max(k.sub(i32(BIAS << 23), k.shl(exponent, 23)), i32(0)), 'f32')
    const f = k.madd(lost, scale, k.sub(mantissaOf(u, exponent), f32(1)))
    return withSign(logSpecials(u, logOf(f, k.cast(exponent, 'f32'))), x)
  },
  (x) => k.select(k.eq(x, num(x, 0)), x, log1pDouble(x)),
)

/** A float32 function computed in float64, and the host's for float64. */
const wide = (single: (x: Expr) => Expr, fn: HostFunction): ((x: Expr) => Expr) =>
  byType((x) => k.cast(single(k.cast(x, 'f64')), 'f32'), hosted(fn))

/** Logarithm to base 2. */
export const log2 = inDouble(log2Double) as (x: Expr) => Expr

/** Logarithm to base 10. */
export const log10 = wide((x) => k.mul(logDouble(x), num(x, Math.LOG10E)), 'log10')

/** (log(1 + t) - t) / t^2 for t in [0, 1], to 2^-30. */
const LOG1P = [-0.49999988, 0.33332714, -0.24988864, 0.19899622, -0.16135158, 0.1247948, -0.08323801, 0.04211384, -0.013691135, 0.0020844252] // biome-ignore format: a table

/** log(1 + t) for t in [0, 1], without the special cases of `log1p`. */
function log1pUnit(t: Expr): Expr {
  return t.type === 'f64' ? log1pDouble(t) : k.madd(k.mul(t, t), horner(t, LOG1P), t)
}

/** log(1 + e^x), relative in both tails (2.1 ulp in float32). */
export function softplus(x: Expr): Expr {
  return k.add(k.max(x, num(x, 0)), log1pUnit(exp(k.neg(k.abs(x)))))
}

/** log(sigmoid(x)) = -softplus(-x), with its accuracy. */
export function logSigmoid(x: Expr): Expr {
  return k.sub(k.min(x, num(x, 0)), log1pUnit(exp(k.neg(k.abs(x)))))
}

/** log(e^a + e^b); an infinity common to both stays. */
export function logaddexp(a: Expr, b: Expr): Expr {
  const gap = k.abs(k.sub(a, b))
  const sum = k.add(k.max(a, b), log1pUnit(exp(k.neg(gap))))
  const same = k.and(k.eq(a, b), k.eq(k.abs(a), num(a, Number.POSITIVE_INFINITY)))
  return k.select(same, a, sum)
}

/** log2(e^a + e^b) to base 2: log2(2^a + 2^b). */
export function logaddexp2(a: Expr, b: Expr): Expr {
  const gap = k.abs(k.sub(a, b))
  const sum = k.madd(log1pUnit(exp2(k.neg(gap))), num(a, 1 / Math.LN2), k.max(a, b))
  const same = k.and(k.eq(a, b), k.eq(k.abs(a), num(a, Number.POSITIVE_INFINITY)))
  return k.select(same, a, sum)
}

/** x log(y), and 0 where x is 0 (unless y is NaN). */
export function xlogy(x: Expr, y: Expr): Expr {
  const zero = k.and(k.eq(x, num(x, 0)), k.eq(y, y))
  return k.select(zero, num(x, 0), k.mul(x, log(y)))
}

/** x log(1 + y), and 0 where x is 0 (unless y is NaN). */
export function xlog1py(x: Expr, y: Expr): Expr {
  const zero = k.and(k.eq(x, num(x, 0)), k.eq(y, y))
  return k.select(zero, num(x, 0), k.mul(x, log1p(y)))
}

/** Hyperbolic sine. */
export const sinh = wide((x) => {
  const e = expDouble(x)
  const far = k.mul(k.sub(e, k.div(num(x, 1), e)), num(x, 0.5))
  // Where the difference cancels, two terms of the series are right.
  const near = k.madd(k.mul(k.mul(x, x), x), num(x, 1 / 6), x)
  return k.select(k.lt(k.abs(x), num(x, 2 ** -9)), near, far)
}, 'sinh')

/** Hyperbolic cosine. */
export const cosh = wide((x) => {
  const e = expDouble(k.abs(x))
  return k.mul(k.add(e, k.div(num(x, 1), e)), num(x, 0.5))
}, 'cosh')

/** Inverse hyperbolic sine. */
export const asinh = wide((x) => {
  const a = k.abs(x)
  const square = k.mul(a, a)
  const root = k.sqrt(k.add(square, num(x, 1)))
  const y = log1pDouble(k.add(a, k.div(square, k.add(root, num(x, 1)))))
  return withSign(k.select(k.lt(a, num(x, Number.POSITIVE_INFINITY)), y, a), x)
}, 'asinh')

/** Inverse hyperbolic cosine. */
export const acosh = wide((x) => {
  const t = k.sub(x, num(x, 1))
  const y = log1pDouble(k.add(t, k.sqrt(k.mul(t, k.add(t, num(x, 2))))))
  return k.select(k.lt(x, num(x, 1)), num(x, Number.NaN), y)
}, 'acosh')

/** Inverse hyperbolic tangent. */
export const atanh = wide((x) => {
  const a = k.abs(x)
  return withSign(k.mul(log1pDouble(k.div(k.add(a, a), k.sub(num(x, 1), a))), num(x, 0.5)), x)
}, 'atanh')
