// Arithmetic beyond the primitives: rounding, remainders and divisions with Python's signs, sign manipulation and the
// tests of floats. Integer division by zero traps, as the primitive does.
import { hosted, num, withSign } from './build.ts'
import { constant, type Expr, k } from './expr.ts'

const isFloat = (x: Expr): boolean => x.type === 'f32' || x.type === 'f64'
const INFINITY = Number.POSITIVE_INFINITY

/** 1 / x. */
export function reciprocal(x: Expr): Expr {
  return k.div(num(x, 1), x)
}

/** 1 / sqrt(x), rounded twice. */
export function rsqrt(x: Expr): Expr {
  return k.div(num(x, 1), k.sqrt(x))
}

/** -1, 0 or 1; 0 for NaN and both zeros, as PyTorch. */
export function sign(x: Expr): Expr {
  const zero = num(x, 0)
  return k.select(k.gt(x, zero), num(x, 1), k.select(k.lt(x, zero), num(x, -1), zero))
}

/** |x| with the sign bit of `from`. */
export function copysign(x: Expr, from: Expr): Expr {
  return withSign(k.abs(x), from)
}

/** 0 below 0, `atZero` at 0, 1 above; 0 for NaN, as PyTorch. */
export function heaviside(x: Expr, atZero: Expr): Expr {
  const zero = num(x, 0)
  return k.select(k.eq(x, zero), atZero, k.select(k.gt(x, zero), num(x, 1), zero))
}

/** The nearest integer, ties to even. */
export function round(x: Expr): Expr {
  return isFloat(x) ? k.nearest(x) : x
}

/** Rounded to `decimals` places (before the point when negative) by PyTorch's formula. */
export function roundDecimals(x: Expr, decimals: number): Expr {
  if (!isFloat(x)) return x
  const power = num(x, 10 ** Math.abs(decimals))
  if (decimals === 0) return k.nearest(x)
  return decimals > 0 ? k.div(k.nearest(k.mul(x, power)), power) : k.mul(k.nearest(k.div(x, power)), power)
}

/** The fraction of x, with its sign. */
export function frac(x: Expr): Expr {
  return k.sub(x, k.trunc(x))
}

/** The remainder of truncated division, exact, with the sign of `a`. */
export function fmod(a: Expr, b: Expr): Expr {
  return isFloat(a) ? hosted('fmod')(a, b) : k.rem(a, b)
}

/** True where `remainder` is not zero and its sign is not that of `b`. */
function signsDiffer(remainder: Expr, b: Expr): Expr {
  const zero = num(b, 0)
  return k.and(k.ne(remainder, zero), k.xor(k.lt(remainder, zero), k.lt(b, zero)))
}

/** The remainder of floor division, with the sign of `b`: Python's %. */
export function remainder(a: Expr, b: Expr): Expr {
  const rest = fmod(a, b)
  return k.select(signsDiffer(rest, b), k.add(rest, b), rest)
}

/** a / b rounded down: Python's //, for floats by PyTorch's algorithm. */
export function floorDivide(a: Expr, b: Expr): Expr {
  const rest = fmod(a, b)
  const down = signsDiffer(rest, b)
  if (!isFloat(a)) {
    const quotient = k.div(a, b)
    return k.select(down, k.sub(quotient, num(a, 1)), quotient)
  }
  const c = (value: number): Expr => num(a, value)
  const exact = k.div(k.sub(a, rest), b)
  const quotient = k.select(down, k.sub(exact, c(1)), exact)
  const floor = k.floor(quotient)
  const near = k.select(k.gt(k.sub(quotient, floor), c(0.5)), k.add(floor, c(1)), floor)
  const plain = k.div(a, b)
  const whole = k.select(k.eq(quotient, c(0)), copysign(c(0), plain), near)
  return k.select(k.eq(b, c(0)), plain, whole)
}

/** a / b without its fraction. */
export function truncDivide(a: Expr, b: Expr): Expr {
  return isFloat(a) ? k.trunc(k.div(a, b)) : k.div(a, b)
}

/** sqrt(x^2 + y^2) without overflow; infinite if either is, even beside NaN. */
export function hypot(x: Expr, y: Expr): Expr {
  if (x.type === 'f64') return hosted('hypot')(x, y)
  const [a, b] = [x, y].map((e) => k.cast(e, 'f64'))
  const root = k.cast(k.sqrt(k.madd(a, a, k.mul(b, b))), 'f32')
  return k.select(k.or(isinf(x), isinf(y)), num(x, INFINITY), root)
}

/** The float after `x` towards `y`. */
export function nextafter(x: Expr, y: Expr): Expr {
  const int = x.type === 'f32' ? 'i32' : 'i64'
  const bits = k.bitcast(x, int)
  const outward = k.xor(k.lt(y, x), k.lt(x, num(x, 0)))
  const one = constant(1, int)
  const next = k.bitcast(k.select(outward, k.sub(bits, one), k.add(bits, one)), x.type)
  const smallest = withSign(k.bitcast(one, x.type), y)
  const stepped = k.select(k.eq(x, num(x, 0)), smallest, next)
  const moved = k.select(k.eq(x, y), y, stepped)
  return k.select(k.or(isnan(x), isnan(y)), num(x, Number.NaN), moved)
}

/** True for NaN; false for integers and bools. */
export function isnan(x: Expr): Expr {
  return isFloat(x) ? k.ne(x, x) : constant(false, 'bool')
}

/** True for both infinities. */
export function isinf(x: Expr): Expr {
  return isFloat(x) ? k.eq(k.abs(x), num(x, INFINITY)) : constant(false, 'bool')
}

/** True for what is neither infinite nor NaN. */
export function isfinite(x: Expr): Expr {
  return isFloat(x) ? k.lt(k.abs(x), num(x, INFINITY)) : constant(true, 'bool')
}
