// Pieces that the maths functions are written with: typed constants, polynomials, bit tricks and dispatch by type.
import { call, constant, type Expr, type HostFunction, k } from './expr.ts'

/** The constant `value` of the type of `x`. */
export function num(x: Expr, value: number): Expr {
  return constant(value, x.type)
}

/** The float32 constant `value`. */
export function f32(value: number): Expr {
  return constant(value, 'f32')
}

/** The i32 constant `value`. */
export function i32(value: number): Expr {
  return constant(value, 'i32')
}

/** The polynomial with these coefficients, lowest first, at `x`, by Horner's rule. */
export function horner(x: Expr, coefficients: readonly number[]): Expr {
  return coefficients
    .slice(0, -1)
    .reduceRight((sum, c) => k.madd(sum, x, num(x, c)), num(x, coefficients[coefficients.length - 1]))
}

/** x clamped to [low, high]; NaN stays. */
export function clamp(x: Expr, low: number, high: number): Expr {
  return k.pmax(k.pmin(x, num(x, high)), num(x, low))
}

/** `mask` applied to the bits of the float32 `x`. */
export function maskBits(x: Expr, mask: number): Expr {
  return k.bitcast(k.and(k.bitcast(x, 'i32'), i32(mask)), 'f32')
}

const SIGN32 = -(2 ** 31)

/** The sign bit of `x` alone, as an integer of the float's width. */
function signBit(x: Expr): Expr {
  return x.type === 'f32'
    ? k.and(k.bitcast(x, 'i32'), i32(SIGN32))
    : k.and(k.bitcast(x, 'i64'), constant(-(2n ** 63n), 'i64'))
}

/**
 * `magnitude`, which must not be negative or must have the sign of `from` already, with the sign of `from` (that of a
 * zero included).
 */
export function withSign(magnitude: Expr, from: Expr): Expr {
  const int = from.type === 'f32' ? 'i32' : 'i64'
  return k.bitcast(k.or(k.bitcast(magnitude, int), signBit(from)), from.type)
}

/** A float function: `single` builds it for f32, `double` for f64. */
export function byType(single: (x: Expr) => Expr, double: (x: Expr) => Expr): (x: Expr) => Expr {
  return (x) => (x.type === 'f32' ? single(x) : double(x))
}

/** A float32 expression computed in float64 and rounded once. */
export function inDouble(f: (...x: Expr[]) => Expr): (...x: Expr[]) => Expr {
  return (...x) => (x[0].type === 'f64' ? f(...x) : k.cast(f(...x.map((e) => k.cast(e, 'f64'))), 'f32'))
}

/** A host function for f64, and for f32 by way of f64. */
export function hosted(fn: HostFunction): (...x: Expr[]) => Expr {
  return inDouble((...x) => call(fn, ...x))
}
