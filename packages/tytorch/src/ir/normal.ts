// The normal distribution's functions and the scaled complementary error function, in float64 and rounded.
import { byType, horner, inDouble, num } from './build.ts'
import { expDouble, log1pDouble, logDouble } from './double.ts'
import { constant, type Expr, k } from './expr.ts'
import { ERFCX64, ERFINV, ERFINV_TAIL, erfc, erfcFar, erfinv, expMinusSquare } from './special.ts'

/** erfc(a) e^(a^2) of a float64 that is not negative. */
function erfcxPositive(a: Expr): Expr {
  const c = (value: number): Expr => num(a, value)
  const bounded = k.pmin(a, c(28))
  const t = k.div(c(1), k.madd(bounded, c(0.5), c(1)))
  const near = k.mul(t, horner(k.sub(t, c(0.5)), ERFCX64))
  const z = k.div(c(1), k.mul(a, a))
  const far = k.div(
    horner(
      z,
      [1, -0.5, 0.75, -1.875, 6.5625].map((v) => v / Math.sqrt(Math.PI)),
    ),
    a,
  )
  return k.select(k.gt(a, c(28)), far, near)
}

function erfcxWith(x: Expr, grown: Expr): Expr {
  const positive = erfcxPositive(k.abs(x))
  return k.select(k.lt(x, num(x, 0)), k.sub(grown, positive), positive)
}

function erfcxDouble(x: Expr): Expr {
  const a = k.abs(x)
  // e^(a^2) as 1 / e^(-a^2), whose square is exact; beyond 27 it overflows.
  const grown = k.div(num(x, 2), expMinusSquare(k.pmin(a, num(x, 27)), 1))
  return erfcxWith(x, k.select(k.ge(a, num(x, 27)), num(x, Number.POSITIVE_INFINITY), grown))
}

/** Below 0 PyTorch rounds x^2 to float32, which e^(x^2) then shows. */
function erfcxSingle(x: Expr): Expr {
  const grown = k.mul(expDouble(k.cast(k.mul(x, x), 'f64')), constant(2, 'f64'))
  return k.cast(erfcxWith(k.cast(x, 'f64'), grown), 'f32')
}

/** erfc(x) e^(x^2). */
export const erfcx = byType(erfcxSingle, erfcxDouble)

/** The standard normal distribution function. */
export const ndtr = inDouble((x) => {
  const tail = k.mul(erfcFar(k.abs(x), 0.5), num(x, 0.5))
  return k.select(k.lt(x, num(x, 0)), tail, k.sub(num(x, 1), tail))
})

/** log(ndtr(x)), also where ndtr itself underflows. */
export const logNdtr = inDouble((x) => {
  const c = (value: number): Expr => num(x, value)
  const a = k.abs(x)
  const scaled = k.mul(erfcxPositive(k.mul(a, c(Math.SQRT1_2))), c(0.5))
  const low = k.sub(logDouble(scaled), k.mul(k.mul(x, x), c(0.5)))
  const high = log1pDouble(k.mul(erfc(k.mul(x, c(Math.SQRT1_2))), c(-0.5)))
  const finite = k.select(k.lt(x, c(-1)), low, high)
  return k.select(k.eq(x, c(Number.NEGATIVE_INFINITY)), x, finite)
})

/** Inverse of ndtr: 0 and 1 give infinities, beyond them NaN. */
export const ndtri = inDouble((p) => {
  const c = (value: number): Expr => num(p, value)
  const upper = k.gt(p, c(0.5))
  const y = k.select(upper, k.sub(c(1), p), p)
  const middle = k.mul(erfinv(k.sub(k.mul(p, c(2)), c(1))), c(Math.SQRT2))
  // u with erfc(u) = 2y: a start from erfinv's fits, or erfc's leading terms; then Newton's method on the logarithm.
  const doubled = k.mul(y, c(2))
  const log = logDouble(doubled)
  const w = k.neg(k.add(log, logDouble(k.sub(c(2), doubled))))
  const near = k.mul(k.sub(c(1), doubled), horner(k.sub(w, c(2.5)), ERFINV))
  const far = horner(k.sub(k.sqrt(k.pmin(w, c(39))), c(4.25)), ERFINV_TAIL)
  const less = k.mul(c(0.5), logDouble(k.mul(k.neg(log), c(Math.PI))))
  const farther = k.sqrt(k.sub(k.neg(log), less))
  let u = k.select(k.lt(w, c(5)), near, k.select(k.lt(w, c(39)), far, farther))
  for (let i = 0; i < 2; i++) {
    const scaled = erfcxPositive(u)
    const rest = k.sub(k.sub(logDouble(scaled), k.mul(u, u)), log)
    u = k.madd(k.mul(rest, scaled), c(Math.sqrt(Math.PI) / 2), u)
  }
  const tail = k.mul(u, c(Math.SQRT2))
  const root = k.select(k.lt(k.abs(k.sub(p, c(0.5))), c(0.25)), middle, k.select(upper, tail, k.neg(tail)))
  const inside = k.select(k.eq(p, c(0)), c(Number.NEGATIVE_INFINITY), root)
  const outside = k.or(k.lt(p, c(0)), k.gt(p, c(1)))
  const closed = k.select(k.eq(p, c(1)), c(Number.POSITIVE_INFINITY), inside)
  return k.select(outside, c(Number.NaN), closed)
})
