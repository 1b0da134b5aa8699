// Element-wise ops of one tensor: a record each, with the value of an element and the gradient beside it.
import { bool } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { num } from '../ir/build.ts'
import { constant, type Expr, k } from '../ir/expr.ts'
import * as m from '../ir/maths.ts'
import { notImplemented } from '../tensor/complex.ts'
import { op, withInPlace, writeOut } from '../tensor/define.ts'
import { type Unary, type UnaryOptions, unary } from '../tensor/elementwise.ts'
import { edgesOf } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'

const isFloat = (x: Expr): boolean => x.type === 'f32' || x.type === 'f64'

/** -x, in the dtype of x. Throws RuntimeError for bool. */
export const neg: Unary = unary({
  name: 'neg',
  dtype: 'same',
  expr: k.neg,
  check: (dtype) => {
    if (dtype !== bool) return
    throw new RuntimeError(
      'Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.',
    )
  },
  grad: (g) => g.neg(),
})

/** As `neg`. */
export const negative = neg

/** |x|, of a complex x its modulus, a real number; the gradient at 0 is 0. */
export const abs: Unary = unary({
  name: 'abs',
  dtype: 'same',
  expr: (x) => (x.type === 'bool' ? x : k.abs(x)),
  grad: (g, x) => g.mul(x.sgn()),
  saves: 'x',
})

/** As `abs`. */
export const absolute = abs

/** -1, 0 or 1 by sign, in the dtype of x; the gradient is 0. For complex numbers see `sgn`. */
export const sign: Unary = unary({
  name: 'sign',
  dtype: 'same',
  expr: (x) => (x.type === 'bool' ? x : m.sign(x)),
  grad: (g) => g.mul(0),
})

/** As `sign`; of a complex x the number of modulus 1 in its direction, x / |x|, and 0 at 0. */
export const sgn: Unary = unary({
  name: 'sgn',
  dtype: 'same',
  expr: (x) => (x.type === 'bool' ? x : m.sign(x)),
  grad: (g) => g.mul(0),
})

/** e to the x; of integers and bool in the default dtype, as all functions here whose values are not whole. */
export const exp: Unary = unary({
  name: 'exp',
  dtype: 'float',
  expr: m.exp,
  grad: (g, _x, out) => g.mul(out),
  saves: 'o',
  domain: { low: -3, high: 3 },
})

/** 2 to the x. */
export const exp2: Unary = unary({
  name: 'exp2',
  dtype: 'float',
  expr: m.exp2,
  grad: (g, _x, out) => g.mul(out).mul(Math.LN2),
  saves: 'o',
})

/** exp(x) - 1, without loss of digits near 0. */
export const expm1: Unary = unary({
  name: 'expm1',
  dtype: 'float',
  expr: m.expm1,
  grad: (g, _x, out) => g.mul(out.add(1)),
  saves: 'o',
})

/** Natural logarithm: -inf at 0, NaN below. */
export const log: Unary = unary({
  name: 'log',
  dtype: 'float',
  expr: m.log,
  grad: (g, x) => g.div(x),
  saves: 'x',
  domain: { low: 0.1, high: 5 },
})

/** Logarithm to base 2: -inf at 0, NaN below. */
export const log2: Unary = unary({
  name: 'log2',
  dtype: 'float',
  expr: m.log2,
  grad: (g, x) => g.div(x.mul(Math.LN2)),
  saves: 'x',
  domain: { low: 0.1, high: 5 },
})

/** Logarithm to base 10: -inf at 0, NaN below. */
export const log10: Unary = unary({
  name: 'log10',
  dtype: 'float',
  expr: m.log10,
  grad: (g, x) => g.div(x.mul(Math.LN10)),
  saves: 'x',
  domain: { low: 0.1, high: 5 },
})

/** log(1 + x), without loss of digits near 0: -inf at -1, NaN below. */
export const log1p: Unary = unary({
  name: 'log1p',
  dtype: 'float',
  expr: m.log1p,
  grad: (g, x) => g.div(x.add(1)),
  saves: 'x',
  domain: { low: -0.9, high: 5 },
})

/** Square root: NaN below 0; the gradient at 0 is infinite. */
export const sqrt: Unary = unary({
  name: 'sqrt',
  dtype: 'float',
  expr: k.sqrt,
  grad: (g, _x, out) => g.div(out.mul(2)),
  saves: 'o',
  domain: { low: 0.1, high: 5 },
})

/** 1 / sqrt(x): infinite at 0, NaN below. */
export const rsqrt: Unary = unary({
  name: 'rsqrt',
  dtype: 'float',
  expr: m.rsqrt,
  grad: (g, _x, out) => g.mul(-0.5).mul(out.pow(3)),
  saves: 'o',
  domain: { low: 0.1, high: 5 },
})

/** 1 / x; integers give the default dtype. */
export const reciprocal: Unary = unary({
  name: 'reciprocal',
  dtype: 'float',
  expr: m.reciprocal,
  grad: (g, _x, out) => g.mul(out.mul(out)).neg(),
  saves: 'o',
  domain: { low: 0.2, high: 4 },
})

/** x squared; integers stay integers. */
export const square: Unary = op({
  name: 'square',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) => x.pow(2),
  inPlace: (x: Tensor) => x.pow_(2),
})

/** Sine, of radians. */
export const sin: Unary = unary({
  name: 'sin',
  dtype: 'float',
  expr: m.sin,
  grad: (g, x) => g.mul(x.cos()),
  saves: 'x',
})

/** Cosine, of radians. */
export const cos: Unary = unary({
  name: 'cos',
  dtype: 'float',
  expr: m.cos,
  grad: (g, x) => g.mul(x.sin().neg()),
  saves: 'x',
})

/** Tangent, of radians. */
export const tan: Unary = unary({
  name: 'tan',
  dtype: 'float',
  expr: m.tan,
  grad: (g, _x, out) => g.mul(out.mul(out).add(1)),
  saves: 'o',
  domain: { low: -1.2, high: 1.2 },
})

/** Inverse sine, in radians from -pi / 2 to pi / 2; NaN beyond [-1, 1]. */
export const asin: Unary = unary({
  name: 'asin',
  dtype: 'float',
  expr: m.asin,
  grad: (g, x) => g.mul(x.mul(x).rsub(1).rsqrt()),
  saves: 'x',
  domain: { low: -0.9, high: 0.9 },
})

/** As `asin`. */
export const arcsin = asin

/** Inverse cosine, in radians from 0 to pi; NaN beyond [-1, 1]. */
export const acos: Unary = unary({
  name: 'acos',
  dtype: 'float',
  expr: m.acos,
  grad: (g, x) => g.mul(x.mul(x).rsub(1).rsqrt()).neg(),
  saves: 'x',
  domain: { low: -0.9, high: 0.9 },
})

/** As `acos`. */
export const arccos = acos

/** Inverse tangent, in radians from -pi / 2 to pi / 2. */
export const atan: Unary = unary({
  name: 'atan',
  dtype: 'float',
  expr: m.atan,
  grad: (g, x) => g.div(x.mul(x).add(1)),
  saves: 'x',
})

/** As `atan`. */
export const arctan = atan

/** Hyperbolic sine, (exp(x) - exp(-x)) / 2. */
export const sinh: Unary = unary({
  name: 'sinh',
  dtype: 'float',
  expr: m.sinh,
  grad: (g, x) => g.mul(x.cosh()),
  saves: 'x',
})

/** Hyperbolic cosine, (exp(x) + exp(-x)) / 2. */
export const cosh: Unary = unary({
  name: 'cosh',
  dtype: 'float',
  expr: m.cosh,
  grad: (g, x) => g.mul(x.sinh()),
  saves: 'x',
})

/** Hyperbolic tangent, from -1 to 1. */
export const tanh: Unary = unary({
  name: 'tanh',
  dtype: 'float',
  expr: m.tanh,
  grad: (g, _x, out) => g.mul(out.mul(out).rsub(1)),
  saves: 'o',
})

/** Inverse hyperbolic sine. */
export const asinh: Unary = unary({
  name: 'asinh',
  inPlaceNode: 'AsinhBackward1',
  dtype: 'float',
  expr: m.asinh,
  grad: (g, x) => g.mul(x.mul(x).add(1).rsqrt()),
  saves: 'x',
})

/** As `asinh`. */
export const arcsinh = asinh

/** Inverse hyperbolic cosine; NaN below 1. */
export const acosh: Unary = unary({
  name: 'acosh',
  inPlaceNode: 'AcoshBackward1',
  dtype: 'float',
  expr: m.acosh,
  // The product of two roots has the branch cut of complex acosh.
  grad: (g, x) => (x.dtype.isComplex ? g.mul(x.sub(1).rsqrt()).mul(x.add(1).rsqrt()) : g.mul(x.mul(x).sub(1).rsqrt())),
  saves: 'x',
  domain: { low: 1.2, high: 4 },
})

/** As `acosh`. */
export const arccosh = acosh

/** Inverse hyperbolic tangent: infinite at -1 and 1, NaN beyond. */
export const atanh: Unary = unary({
  name: 'atanh',
  inPlaceNode: 'AtanhBackward1',
  dtype: 'float',
  expr: m.atanh,
  grad: (g, x) => g.div(x.mul(x).rsub(1)),
  saves: 'x',
  domain: { low: -0.9, high: 0.9 },
})

/** As `atanh`. */
export const arctanh = atanh

/** 1 / (1 + exp(-x)), the logistic function: from 0 to 1. */
export const sigmoid: Unary = unary({
  name: 'sigmoid',
  dtype: 'float',
  expr: m.sigmoid,
  grad: (g, _x, out) => g.mul(out.mul(out.rsub(1))),
  saves: 'o',
})

/** Error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
export const erf: Unary = unary({
  name: 'erf',
  dtype: 'float',
  expr: m.erf,
  grad: (g, x) => g.mul(2 / Math.sqrt(Math.PI)).mul(x.mul(x).neg().exp()),
  saves: 'x',
})

/** 1 - erf(x), without loss of digits for large x. */
export const erfc: Unary = unary({
  name: 'erfc',
  dtype: 'float',
  expr: m.erfc,
  grad: (g, x) => g.mul(-2 / Math.sqrt(Math.PI)).mul(x.mul(x).neg().exp()),
  saves: 'x',
})

const rounding =
  (op: (x: Expr) => Expr) =>
  (x: Expr): Expr =>
    isFloat(x) ? op(x) : x

/** The largest integer not above x, in the dtype of x; the gradient is 0. */
export const floor: Unary = unary({
  name: 'floor',
  dtype: 'same',
  expr: rounding(k.floor),
  grad: (g) => g.mul(0),
  domain: { kinks: true },
})

/** The smallest integer not below x, in the dtype of x; the gradient is 0. */
export const ceil: Unary = unary({
  name: 'ceil',
  dtype: 'same',
  expr: rounding(k.ceil),
  grad: (g) => g.mul(0),
  domain: { kinks: true },
})

/** x without its fraction: rounded towards 0; the gradient is 0. */
export const trunc: Unary = unary({
  name: 'trunc',
  dtype: 'same',
  expr: rounding(k.trunc),
  grad: (g) => g.mul(0),
  domain: { kinks: true },
})

/** As `trunc`. */
export const fix = trunc

const nearest: Unary = unary({
  name: 'round',
  dtype: 'same',
  expr: rounding(k.nearest),
  grad: (g) => g.mul(0),
  domain: { kinks: true },
})

const nearestInPlace = (nearest as unknown as { readonly inPlace: (x: Tensor) => Tensor }).inPlace

interface RoundOptions extends UnaryOptions {
  /** Digits after the point to keep; negative ones round to tens, hundreds, ... */
  readonly decimals?: number
}

type Round = (x: Tensor, options?: RoundOptions) => Tensor

function rounded(x: Tensor, decimals: number): Tensor {
  if (!x.isFloatingPoint()) {
    if (decimals < 0) throw new RuntimeError('"round_cpu" not implemented for integers and negative decimals')
    return x
  }
  const scale = 10 ** Math.abs(decimals)
  return decimals > 0 ? nearest(x.mul(scale)).div(scale) : nearest(x.div(scale)).mul(scale)
}

/** The nearest integer, or multiple of a power of ten with `decimals`; ties to even. */
export const round: Round = withInPlace(
  (x: Tensor, options?: RoundOptions) => {
    if (!options?.decimals) {
      const whole = nearest(x, options)
      if (options?.decimals === 0) whole.node?.showAs('RoundBackward1', edgesOf([x]))
      return whole
    }
    const result = rounded(x, options.decimals)
    result.node?.showAs('RoundBackward1', edgesOf([x]))
    return options.out ? writeOut('round', result, options.out) : result
  },
  (x: Tensor, options?: RoundOptions) =>
    options?.decimals ? x.copy_(rounded(x, options.decimals)) : nearestInPlace(x),
)

/** The fraction of x, with its sign. */
export const frac: Unary = unary({
  name: 'frac',
  dtype: 'same',
  expr: (x) => k.sub(x, k.trunc(x)),
  check: (dtype) => {
    if (!dtype.isFloatingPoint) throw notImplemented('frac', dtype)
  },
  grad: (g) => g,
  domain: { kinks: true },
})

const floatTest =
  (test: (x: Expr) => Expr, otherwise: boolean) =>
  (x: Expr): Expr =>
    isFloat(x) ? test(x) : constant(otherwise, 'bool')

/** True where x is NaN; nowhere for integers. */
export const isnan: Unary = unary({
  name: 'isnan',
  dtype: 'bool',
  expr: floatTest((x) => k.ne(x, x), false),
  noInPlace: true,
})

/** True where x is an infinity; nowhere for integers. */
export const isinf: Unary = unary({
  name: 'isinf',
  dtype: 'bool',
  expr: floatTest((x) => k.eq(k.abs(x), num(x, Number.POSITIVE_INFINITY)), false),
  noInPlace: true,
})

/** True where x is neither NaN nor infinite; everywhere for integers. */
export const isfinite: Unary = unary({
  name: 'isfinite',
  dtype: 'bool',
  expr: floatTest((x) => k.lt(k.abs(x), num(x, Number.POSITIVE_INFINITY)), true),
  noInPlace: true,
})

/** True where x is zero (false): a bool tensor of any dtype's x. */
export const logicalNot: Unary = unary({ name: 'logicalNot', dtype: 'bool', expr: (x) => k.not(k.cast(x, 'bool')) })

/** Bits of integers flipped (-1 - x for signed ones); of bool, negation. */
export const bitwiseNot: Unary = unary({
  name: 'bitwiseNot',
  domain: { integers: true },
  dtype: 'same',
  expr: k.not,
  check: (dtype) => {
    if (dtype.isFloatingPoint) throw notImplemented('bitwise_not', dtype)
  },
})
