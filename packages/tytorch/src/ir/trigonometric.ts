// Trigonometric functions: sine and cosine as branchless float32 polynomials after a reduction by pi in five parts, their
// inverses in float32 by way of float64; the tangent, and float64, by the host.
import { byType, f32, horner, hosted, num, withSign } from './build.ts'
import { angleDouble } from './double.ts'
import { MAGIC } from './exponential.ts'
import { call, constant, type Expr, type HostFunction, k } from './expr.ts'

/** pi in parts of 8 bits (the last of 24), so that products with 16-bit integers are exact without a fused multiply. */
const PI_PARTS = [3.140625, 0.000965118408203125, 2.5331974029541016e-6, 1.979060471057892e-9, 5.126688136514179e-12]

/** (sin(r)/r - 1) / r^2 over r^2, for |r| <= 1.5712; to 2^-30. */
const SIN = [-0.16666667, 0.008333348, -0.00019842747, 2.7607196e-6, -2.5143523e-8]

/** From here on (4 million turns of pi) the multiple of pi is no longer found. */
const REDUCIBLE = 2 ** 22 * Math.PI

/** sin of x - n pi, with its sign turned for odd `parity` (i32). */
function sinReduced(x: Expr, n: Expr, parity: Expr): Expr {
  const [p1, p2, p3, p4, p5] = PI_PARTS.map((part) => f32(-part))
  const exact = k.madd(n, p2, k.madd(n, p1, x))
  const rounded = k.madd(n, p3, exact)
  const lost = k.madd(n, p3, k.sub(exact, rounded))
  const r = k.add(rounded, k.madd(n, p5, k.madd(n, p4, lost)))
  const z = k.mul(r, r)
  const y = k.madd(k.mul(r, z), horner(z, SIN), r)
  const signed = k.bitcast(k.xor(k.bitcast(y, 'i32'), k.shl(parity, 31)), 'f32')
  return k.select(k.lt(k.abs(x), f32(REDUCIBLE)), signed, f32(Number.NaN))
}

/**
 * Sine of radians. In float32 within 2 ulp up to |x| = 65536; up to 1.3e7 only where the host fuses multiply-adds (else
 * the reduction loses bits), and NaN beyond, where a value would cost four times as much for all.
 */
export const sin = byType((x) => {
  const sum = k.madd(x, f32(1 / Math.PI), f32(MAGIC))
  const y = sinReduced(x, k.sub(sum, f32(MAGIC)), k.bitcast(sum, 'i32'))
  return k.select(k.eq(x, f32(0)), x, y)
}, hosted('sin'))

/** Cosine of radians, with the range of `sin`. */
export const cos = byType((x) => {
  // cos x = ±sin(x - (j - 1/2) pi), j - 1/2 being the nearest such number to x / pi.
  const a = k.abs(x)
  const sum = k.add(k.madd(a, f32(1 / Math.PI), f32(0.5)), f32(MAGIC))
  const n = k.sub(k.sub(sum, f32(MAGIC)), f32(0.5))
  return sinReduced(a, n, k.bitcast(sum, 'i32'))
}, hosted('cos'))

/** Tangent of radians. */
export const tan = hosted('tan')

/** A float32 function computed in float64, and the host's for float64. */
const wide = (single: (x: Expr) => Expr, fn: HostFunction): ((x: Expr) => Expr) =>
  byType((x) => k.cast(single(k.cast(x, 'f64')), 'f32'), hosted(fn))

/** The other side of a point on the unit circle, from one that is not negative. */
const beside = (a: Expr): Expr => k.sqrt(k.mul(k.sub(num(a, 1), a), k.add(a, num(a, 1))))

/** Inverse sine, in radians. */
export const asin = wide((x) => {
  const a = k.abs(x)
  return withSign(angleDouble(a, beside(a)), x)
}, 'asin')

/** Inverse cosine, in radians. */
export const acos = wide((x) => {
  const a = k.abs(x)
  const angle = angleDouble(beside(a), a)
  return k.select(k.lt(x, num(x, 0)), k.sub(num(x, Math.PI), angle), angle)
}, 'acos')

/** Inverse tangent, in radians. */
export const atan = wide((x) => withSign(angleDouble(k.abs(x), num(x, 1)), x), 'atan')

function atan2Single(y: Expr, x: Expr): Expr {
  const [high, wide] = [k.cast(y, 'f64'), k.cast(x, 'f64')]
  const c = (value: number): Expr => num(wide, value)
  // Beyond float32's range only infinities lie, of which two are equal.
  const [b, a] = [high, wide].map((v) => k.pmin(k.abs(v), c(2 ** 500)))
  const angle = k.select(k.and(k.eq(a, c(0)), k.eq(b, c(0))), c(0), angleDouble(b, a))
  // The sign of a zero counts too.
  const left = k.lt(k.bitcast(wide, 'i64'), constant(0, 'i64'))
  const turned = k.select(k.and(left, k.eq(wide, wide)), k.sub(c(Math.PI), angle), angle)
  return k.cast(withSign(turned, high), 'f32')
}

/** The angle of the point (x, y), in radians: `atan2(y, x)`. */
export const atan2 = (y: Expr, x: Expr): Expr => (x.type === 'f32' ? atan2Single(y, x) : call('atan2', y, x))
