// Bessel functions and the Airy function. As in PyTorch only the older four (i0, i0e, i1, i1e) have gradients.
import { airyAi } from '../ir/airy.ts'
import * as bessel from '../ir/bessel.ts'
import type { Expr } from '../ir/expr.ts'
import * as modified from '../ir/modified.ts'
import { type Unary, unary } from '../tensor/elementwise.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { add, div, mul, sub } from './arithmetic.ts'
import { ne } from './compare.ts'
import { where } from './masks.ts'
import { reciprocal, sgn } from './unary.ts'

/** The slope of an odd function where it is smooth, and 1/2 at 0. */
const halfAtZero = (x: Tensor, slope: (safe: Tensor) => Tensor): Tensor =>
  where(ne(x, 0), slope(where(ne(x, 0), x, 1)), 0.5)

/** Modified Bessel function of the first kind of order 0. */
export const i0: Unary = unary({
  name: 'i0',
  dtype: 'float',
  expr: modified.i0,
  grad: (g, x) => mul(g, specialI1(x)),
  saves: 'x',
})

/** i0(x) e^-|x|. */
export const specialI0e: Unary = unary({
  name: 'specialI0e',
  python: 'special.i0e',
  dtype: 'float',
  expr: modified.i0e,
  grad: (g, x, out) => mul(g, sub(specialI1e(x), mul(sgn(x), out))),
  saves: 'xo',
  domain: { low: 0.2, high: 2 },
  noInPlace: true,
})

/** Modified Bessel function of the first kind of order 1. */
export const specialI1: Unary = unary({
  name: 'specialI1',
  python: 'special.i1',
  dtype: 'float',
  expr: modified.i1,
  grad: (g, x, out) =>
    mul(
      g,
      halfAtZero(x, (safe) => sub(i0(safe), div(out, safe))),
    ),
  saves: 'xo',
  domain: { low: 0.2, high: 2 },
  noInPlace: true,
})

/** i1(x) e^-|x|. */
export const specialI1e: Unary = unary({
  name: 'specialI1e',
  python: 'special.i1e',
  dtype: 'float',
  expr: modified.i1e,
  grad: (g, x, out) =>
    mul(
      g,
      halfAtZero(x, (safe) => sub(specialI0e(safe), mul(out, add(sgn(safe), reciprocal(safe))))),
    ),
  saves: 'xo',
  domain: { low: 0.2, high: 2 },
  noInPlace: true,
})

/** A function with no gradient, `special.<name>` in PyTorch. */
const plain = (name: string, python: string, expr: (x: Expr) => Expr): Unary =>
  unary({ name, python: `special.${python}`, dtype: 'float', expr, domain: { low: 0.2, high: 12 }, noInPlace: true })

/** Airy function Ai, the solution of y'' = x y that vanishes for large x. */
export const specialAiryAi: Unary = plain('specialAiryAi', 'airy_ai', airyAi)
/** Bessel function of the first kind of order 0. */
export const specialBesselJ0: Unary = plain('specialBesselJ0', 'bessel_j0', bessel.besselJ0)
/** Bessel function of the first kind of order 1. */
export const specialBesselJ1: Unary = plain('specialBesselJ1', 'bessel_j1', bessel.besselJ1)
/** Bessel function of the second kind of order 0: -inf at 0, NaN below. */
export const specialBesselY0: Unary = plain('specialBesselY0', 'bessel_y0', bessel.besselY0)
/** Bessel function of the second kind of order 1: -inf at 0, NaN below. */
export const specialBesselY1: Unary = plain('specialBesselY1', 'bessel_y1', bessel.besselY1)
/** Modified Bessel function of the first kind of order 0, as `i0` but with no gradient. */
export const specialModifiedBesselI0: Unary = plain('specialModifiedBesselI0', 'modified_bessel_i0', modified.i0)
/** Modified Bessel function of the first kind of order 1, as `i1` but with no gradient. */
export const specialModifiedBesselI1: Unary = plain('specialModifiedBesselI1', 'modified_bessel_i1', modified.i1)
/** Modified Bessel function of the second kind of order 0: infinite at 0, NaN below. */
export const specialModifiedBesselK0: Unary = plain('specialModifiedBesselK0', 'modified_bessel_k0', modified.k0)
/** Modified Bessel function of the second kind of order 1: infinite at 0, NaN below. */
export const specialModifiedBesselK1: Unary = plain('specialModifiedBesselK1', 'modified_bessel_k1', modified.k1)
/** modifiedBesselK0(x) e^x. */
export const specialScaledModifiedBesselK0: Unary = plain('specialScaledModifiedBesselK0', 'scaled_modified_bessel_k0', modified.k0e) // biome-ignore format: one line each
/** modifiedBesselK1(x) e^x. */
export const specialScaledModifiedBesselK1: Unary = plain('specialScaledModifiedBesselK1', 'scaled_modified_bessel_k1', modified.k1e) // biome-ignore format: one line each
/** sin(x) / x, the spherical Bessel function of order 0. */
export const specialSphericalBesselJ0: Unary = plain('specialSphericalBesselJ0', 'spherical_bessel_j0', bessel.sphericalBesselJ0) // biome-ignore format: one line each
