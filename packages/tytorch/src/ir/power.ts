// Powers: float32 with the logarithm carried in two floats (the method of fdlibm's e_powf), float64 by the host,
// integers by repeated squaring.
import { clamp, f32, horner, i32, maskBits, num } from './build.ts'
import { expScaled, MAGIC, scaleOf, splitExponent } from './exponential.ts'
import { call, type Expr, k } from './expr.ts'

/** Keeps the upper 12 bits of a float32's fraction, so that a product of two such is exact. */
const UPPER = -4096
const upper = (x: Expr): Expr => maskBits(x, UPPER)

/** 2 / (3 ln 2), and its first 12 bits with the rest. */
const CP = 2 / (3 * Math.LN2)
const CP_HIGH = 0.961669921875
const CP_LOW = 0.00012677205086220056

/** (3 atanh(s)/s - 3 - s^2) / s^4 over s^2, for |s| <= 0.1717; to 2^-36 of the logarithm. */
const ATANH = [0.6000023, 0.42820626, 0.35129845]

/** log2 of a positive finite float32 as the sum of two: `high` has 12 bits, `low` brings the error below 2^-33. */
function log2Pair(x: Expr): { high: Expr; low: Expr } {
  const { mantissa, n } = splitExponent(x)
  const u = k.sub(mantissa, f32(1))
  const inverse = k.div(f32(1), k.add(mantissa, f32(1)))
  const s = k.mul(u, inverse)
  const sHigh = upper(s)
  const dHigh = upper(k.add(mantissa, f32(1)))
  const dLow = k.sub(mantissa, k.sub(dHigh, f32(1)))
  const rest = k.sub(k.sub(u, k.mul(sHigh, dHigh)), k.mul(sHigh, dLow))
  const sLow = k.mul(inverse, rest)

  const z = k.mul(s, s)
  const series = k.madd(k.mul(z, z), horner(z, ATANH), k.mul(sLow, k.add(sHigh, s)))
  const square = k.mul(sHigh, sHigh)
  const tHigh = upper(k.add(k.add(square, f32(3)), series))
  const tLow = k.sub(series, k.sub(k.sub(tHigh, f32(3)), square))

  const product = k.mul(sHigh, tHigh)
  const productLow = k.madd(sLow, tHigh, k.mul(tLow, s))
  const pHigh = upper(k.add(product, productLow))
  const pLow = k.sub(productLow, k.sub(pHigh, product))
  const zHigh = k.mul(pHigh, f32(CP_HIGH))
  const zLow = k.madd(pHigh, f32(CP_LOW), k.mul(pLow, f32(CP)))
  const high = upper(k.add(k.add(zHigh, zLow), n))
  return { high, low: k.sub(zLow, k.sub(k.sub(high, n), zHigh)) }
}

/** 2^(high + low) in float32, for any `high` and a `low` far smaller. */
function exp2Pair(high: Expr, low: Expr): Expr {
  const c = clamp(k.add(high, low), -152, 130)
  const sum = k.madd(c, f32(0.5), f32(MAGIC + 127))
  const half = k.sub(sum, f32(MAGIC + 127))
  const exact = k.madd(half, f32(-2), high)
  // Where the exponent was clamped the remainder is anything, and any of this size will do.
  const r = clamp(k.add(exact, low), -1.5, 1.5)
  return expScaled(k.mul(r, f32(Math.LN2)), scaleOf(sum))
}

/** Beyond this exponent every power of a float32 other than 1 is 0 or infinite. */
const LARGEST_EXPONENT = 2 ** 32

function powSingle(x: Expr, y: Expr): Expr {
  const a = k.abs(x)
  const log2 = log2Pair(a)
  const exponent = clamp(y, -LARGEST_EXPONENT, LARGEST_EXPONENT)
  const yHigh = upper(exponent)
  const low = k.madd(k.sub(exponent, yHigh), log2.high, k.mul(exponent, log2.low))
  const power = exp2Pair(k.mul(yHigh, log2.high), low)

  const zero = f32(0)
  const infinity = f32(Number.POSITIVE_INFINITY)
  const extreme = k.or(k.eq(a, zero), k.eq(a, infinity))
  const grows = k.xor(k.lt(y, zero), k.gt(a, f32(1)))
  const magnitude = k.select(extreme, k.select(grows, infinity, zero), power)
  const whole = k.eq(k.nearest(y), y)
  const half = k.mul(y, f32(0.5))
  const odd = k.and(whole, k.ne(k.nearest(half), half))
  const negative = k.lt(k.bitcast(x, 'i32'), i32(0))
  const signed = k.select(k.and(negative, odd), k.neg(magnitude), magnitude)
  const noRoot = k.and(k.and(k.lt(x, zero), k.not(whole)), k.lt(a, infinity))
  const invalid = k.or(noRoot, k.or(k.ne(x, x), k.ne(y, y)))
  const one = k.or(k.eq(y, zero), k.eq(x, f32(1)))
  return k.select(one, f32(1), k.select(invalid, f32(Number.NaN), signed))
}

/** JavaScript's pow with C's answers where the two differ: 1^y and (-1)^±inf are 1. */
function powDouble(x: Expr, y: Expr): Expr {
  const endless = k.and(k.eq(k.abs(x), num(x, 1)), k.eq(k.abs(y), num(y, Number.POSITIVE_INFINITY)))
  return k.select(k.or(k.eq(x, num(x, 1)), endless), num(x, 1), call('pow', x, y))
}

/** Powers that PyTorch computes without `pow` when the exponent is one number. */
function powConstant(x: Expr, y: number): Expr | null {
  const one = num(x, 1)
  switch (y) {
    case 0.5:
      return k.sqrt(x)
    case -0.5:
      return k.div(one, k.sqrt(x))
    case 1:
      return x
    case -1:
      return k.div(one, x)
    case 2:
      return k.mul(x, x)
    case -2:
      return k.div(one, k.mul(x, x))
    case 3:
      return k.mul(k.mul(x, x), x)
    default:
      return null
  }
}

/** x to the y with C's special cases for floats; for integers wrapping, and for y < 0 as `1 / x^-y` truncated. */
export function pow(x: Expr, y: Expr): Expr {
  if (x.type === 'i32' || x.type === 'i64') return powInteger(x, y)
  const simple = y.op === 'const' ? powConstant(x, y.value as number) : null
  return simple ?? (x.type === 'f32' ? powSingle(x, y) : powDouble(x, y))
}

function powInteger(x: Expr, y: Expr): Expr {
  const zero = num(x, 0)
  const one = num(x, 1)
  const bits = y.op === 'const' ? BigInt(y.value).toString(2).length : x.type === 'i32' ? 31 : 63
  let power = one
  let square = x
  for (let i = 0; i < bits; i++) {
    const bit = k.ne(k.and(k.shru(y, i), one), zero)
    power = k.select(bit, k.mul(power, square), power)
    if (i + 1 < bits) square = k.mul(square, square)
  }
  const minusOne = num(x, -1)
  const unit = k.select(k.ne(k.and(y, one), zero), x, one)
  const inverse = k.select(k.or(k.eq(x, one), k.eq(x, minusOne)), unit, zero)
  return k.select(k.lt(y, zero), inverse, power)
}
