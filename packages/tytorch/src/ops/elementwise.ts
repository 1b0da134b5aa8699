// Element-wise ops: one record each, with the value of an element and the gradient beside it.
import { bool } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { constant, type Expr, k } from '../ir/expr.ts'
import * as m from '../ir/maths.ts'
import {
  type Args,
  type Binary,
  binary,
  inPlaceOf,
  op,
  type TensorLike,
  type Unary,
  type UnaryOptions,
  unary,
  withInPlace,
  writeOut,
} from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'

const c = (x: Expr, value: number): Expr => constant(value, x.type)
const isFloat = (x: Expr): boolean => x.type === 'f32' || x.type === 'f64'

/** -x. */
export const neg: Unary = unary({ name: 'neg', dtype: 'same', expr: k.neg, grad: (g) => neg(g) })
export const negative = neg

/** |x|; the gradient at 0 is 0. */
export const abs: Unary = unary({
  name: 'abs',
  dtype: 'same',
  expr: (x) => (x.type === 'bool' ? x : k.abs(x)),
  grad: (g, x) => mul(g, sgn(x)),
  saves: 'x',
})
export const absolute = abs

/** -1, 0 or 1 by sign. */
export const sign: Unary = unary({
  name: 'sign',
  dtype: 'same',
  expr: (x) => (x.type === 'bool' ? x : m.sign(x)),
  grad: (g) => mul(g, 0),
})
/** As `sign`. */
export const sgn: Unary = unary({
  name: 'sgn',
  dtype: 'same',
  expr: (x) => (x.type === 'bool' ? x : m.sign(x)),
  grad: (g) => mul(g, 0),
})

/** e to the x. */
export const exp: Unary = unary({
  name: 'exp',
  dtype: 'float',
  expr: m.exp,
  grad: (g, _x, out) => mul(g, out),
  saves: 'o',
  domain: { low: -3, high: 3 },
})
/** 2 to the x. */
export const exp2: Unary = unary({
  name: 'exp2',
  dtype: 'float',
  expr: m.exp2,
  grad: (g, _x, out) => mul(mul(g, out), Math.LN2),
  saves: 'o',
})
/** exp(x) - 1, exact near 0. */
export const expm1: Unary = unary({
  name: 'expm1',
  dtype: 'float',
  expr: m.expm1,
  grad: (g, _x, out) => mul(g, add(out, 1)),
  saves: 'o',
})
/** Natural logarithm. */
export const log: Unary = unary({
  name: 'log',
  dtype: 'float',
  expr: m.log,
  grad: (g, x) => div(g, x),
  saves: 'x',
  domain: { low: 0.1, high: 5 },
})
/** Logarithm to base 2. */
export const log2: Unary = unary({
  name: 'log2',
  dtype: 'float',
  expr: m.log2,
  grad: (g, x) => div(g, mul(x, Math.LN2)),
  saves: 'x',
  domain: { low: 0.1, high: 5 },
})
/** Logarithm to base 10. */
export const log10: Unary = unary({
  name: 'log10',
  dtype: 'float',
  expr: m.log10,
  grad: (g, x) => div(g, mul(x, Math.LN10)),
  saves: 'x',
  domain: { low: 0.1, high: 5 },
})
/** log(1 + x), exact near 0. */
export const log1p: Unary = unary({
  name: 'log1p',
  dtype: 'float',
  expr: m.log1p,
  grad: (g, x) => div(g, add(x, 1)),
  saves: 'x',
  domain: { low: -0.9, high: 5 },
})
/** Square root. */
export const sqrt: Unary = unary({
  name: 'sqrt',
  dtype: 'float',
  expr: k.sqrt,
  grad: (g, _x, out) => div(g, mul(out, 2)),
  saves: 'o',
  domain: { low: 0.1, high: 5 },
})
/** 1 / sqrt(x). */
export const rsqrt: Unary = unary({
  name: 'rsqrt',
  dtype: 'float',
  expr: m.rsqrt,
  grad: (g, _x, out) => mul(mul(g, -0.5), pow(out, 3)),
  saves: 'o',
  domain: { low: 0.1, high: 5 },
})
/** 1 / x. */
export const reciprocal: Unary = unary({
  name: 'reciprocal',
  dtype: 'float',
  expr: m.reciprocal,
  grad: (g, _x, out) => neg(mul(g, mul(out, out))),
  saves: 'o',
  domain: { low: 0.2, high: 4 },
})
/** x squared. */
export const square: Unary = op({
  name: 'square',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) => pow(x, 2),
  inPlace: (x: Tensor) => x.pow_(2),
})

/** Sine, of radians. */
export const sin: Unary = unary({
  name: 'sin',
  dtype: 'float',
  expr: m.sin,
  grad: (g, x) => mul(g, cos(x)),
  saves: 'x',
})
/** Cosine, of radians. */
export const cos: Unary = unary({
  name: 'cos',
  dtype: 'float',
  expr: m.cos,
  grad: (g, x) => mul(g, neg(sin(x))),
  saves: 'x',
})
/** Tangent, of radians. */
export const tan: Unary = unary({
  name: 'tan',
  dtype: 'float',
  expr: m.tan,
  grad: (g, _x, out) => mul(g, add(mul(out, out), 1)),
  saves: 'o',
  domain: { low: -1.2, high: 1.2 },
})
/** Inverse sine, in radians. */
export const asin: Unary = unary({
  name: 'asin',
  dtype: 'float',
  expr: m.asin,
  grad: (g, x) => mul(g, rsqrt(rsub(mul(x, x), 1))),
  saves: 'x',
  domain: { low: -0.9, high: 0.9 },
})
export const arcsin = asin
/** Inverse cosine, in radians. */
export const acos: Unary = unary({
  name: 'acos',
  dtype: 'float',
  expr: m.acos,
  grad: (g, x) => neg(mul(g, rsqrt(rsub(mul(x, x), 1)))),
  saves: 'x',
  domain: { low: -0.9, high: 0.9 },
})
export const arccos = acos
/** Inverse tangent, in radians. */
export const atan: Unary = unary({
  name: 'atan',
  dtype: 'float',
  expr: m.atan,
  grad: (g, x) => div(g, add(mul(x, x), 1)),
  saves: 'x',
})
export const arctan = atan
/** Hyperbolic sine. */
export const sinh: Unary = unary({
  name: 'sinh',
  dtype: 'float',
  expr: m.sinh,
  grad: (g, x) => mul(g, cosh(x)),
  saves: 'x',
})
/** Hyperbolic cosine. */
export const cosh: Unary = unary({
  name: 'cosh',
  dtype: 'float',
  expr: m.cosh,
  grad: (g, x) => mul(g, sinh(x)),
  saves: 'x',
})
/** Hyperbolic tangent. */
export const tanh: Unary = unary({
  name: 'tanh',
  dtype: 'float',
  expr: m.tanh,
  grad: (g, _x, out) => mul(g, rsub(mul(out, out), 1)),
  saves: 'o',
})
/** Inverse hyperbolic sine. */
export const asinh: Unary = unary({
  name: 'asinh',
  dtype: 'float',
  expr: m.asinh,
  grad: (g, x) => mul(g, rsqrt(add(mul(x, x), 1))),
  saves: 'x',
})
export const arcsinh = asinh
/** Inverse hyperbolic cosine. */
export const acosh: Unary = unary({
  name: 'acosh',
  dtype: 'float',
  expr: m.acosh,
  grad: (g, x) => mul(g, rsqrt(sub(mul(x, x), 1))),
  saves: 'x',
  domain: { low: 1.2, high: 4 },
})
export const arccosh = acosh
/** Inverse hyperbolic tangent. */
export const atanh: Unary = unary({
  name: 'atanh',
  dtype: 'float',
  expr: m.atanh,
  grad: (g, x) => div(g, rsub(mul(x, x), 1)),
  saves: 'x',
  domain: { low: -0.9, high: 0.9 },
})
export const arctanh = atanh
/** 1 / (1 + exp(-x)). */
export const sigmoid: Unary = unary({
  name: 'sigmoid',
  dtype: 'float',
  expr: m.sigmoid,
  grad: (g, _x, out) => mul(g, mul(out, rsub(out, 1))),
  saves: 'o',
})
/** Error function. */
export const erf: Unary = unary({
  name: 'erf',
  dtype: 'float',
  expr: m.erf,
  grad: (g, x) => mul(mul(g, 2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x)))),
  saves: 'x',
})
/** 1 - erf(x). */
export const erfc: Unary = unary({
  name: 'erfc',
  dtype: 'float',
  expr: m.erfc,
  grad: (g, x) => mul(mul(g, -2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x)))),
  saves: 'x',
})

const rounding =
  (op: (x: Expr) => Expr) =>
  (x: Expr): Expr =>
    isFloat(x) ? op(x) : x
/** The largest integer not above x. */
export const floor: Unary = unary({
  name: 'floor',
  dtype: 'same',
  expr: rounding(k.floor),
  grad: (g) => mul(g, 0),
  domain: { kinks: true },
})
/** The smallest integer not below x. */
export const ceil: Unary = unary({
  name: 'ceil',
  dtype: 'same',
  expr: rounding(k.ceil),
  grad: (g) => mul(g, 0),
  domain: { kinks: true },
})
/** x without its fraction. */
export const trunc: Unary = unary({
  name: 'trunc',
  dtype: 'same',
  expr: rounding(k.trunc),
  grad: (g) => mul(g, 0),
  domain: { kinks: true },
})
export const fix = trunc
const nearest: Unary = unary({
  name: 'round',
  dtype: 'same',
  expr: rounding(k.nearest),
  grad: (g) => mul(g, 0),
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
  return decimals > 0 ? div(nearest(mul(x, scale)), scale) : mul(nearest(div(x, scale)), scale)
}

/** The nearest integer, or multiple of a power of ten with `decimals`; ties to even. */
export const round: Round = withInPlace(
  (x: Tensor, options?: RoundOptions) => {
    if (!options?.decimals) return nearest(x, options)
    const result = rounded(x, options.decimals)
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
  grad: (g) => g,
  domain: { kinks: true },
})

const floatTest =
  (test: (x: Expr) => Expr, otherwise: boolean) =>
  (x: Expr): Expr =>
    isFloat(x) ? test(x) : constant(otherwise, 'bool')
/** True where x is NaN. */
export const isnan: Unary = unary({
  name: 'isnan',
  dtype: 'bool',
  expr: floatTest((x) => k.ne(x, x), false),
  noInPlace: true,
})
/** True where x is an infinity. */
export const isinf: Unary = unary({
  name: 'isinf',
  dtype: 'bool',
  expr: floatTest((x) => k.eq(k.abs(x), c(x, Number.POSITIVE_INFINITY)), false),
  noInPlace: true,
})
/** True where x is neither NaN nor infinite. */
export const isfinite: Unary = unary({
  name: 'isfinite',
  dtype: 'bool',
  expr: floatTest((x) => k.lt(k.abs(x), c(x, Number.POSITIVE_INFINITY)), true),
  noInPlace: true,
})
/** True where x is zero (false). */
export const logicalNot: Unary = unary({ name: 'logicalNot', dtype: 'bool', expr: (x) => k.not(k.cast(x, 'bool')) })
/** Bits flipped; for bool, negation. */
export const bitwiseNot: Unary = unary({ name: 'bitwiseNot',
  domain: { integers: true }, dtype: 'same', expr: k.not })

/** max(x, 0); the gradient at 0 is 0. */
export const relu: Unary = unary({
  name: 'relu',
  dtype: 'same',
  expr: (x) => k.max(x, c(x, 0)),
  grad: (g, _x, out) => thresholdBackward(g, out),
  saves: 'o',
  domain: { kinks: true },
})

/** g where out > 0, else 0: the gradient of relu. */
export const thresholdBackward: Binary = binary({
  name: 'thresholdBackward',
  dtype: 'same',
  expr: (g, out) => k.select(k.gt(out, c(out, 0)), g, c(g, 0)),
  grad: [(gg, _g, out) => thresholdBackward(gg, out), (gg) => mul(gg, 0)],
  saves: ['y', ''],
  domain: { kinks: true },
  noInPlace: true,
})

const addExpr = (x: Expr, y: Expr): Expr => (x.type === 'bool' ? k.or(x, y) : k.add(x, y))
const addition: Binary = binary({ name: 'add', dtype: 'same', expr: addExpr, grad: [(g) => g, (g) => g] })
const subtraction: Binary = binary({
  name: 'sub',
  dtype: 'same',
  expr: k.sub,
  grad: [(g) => g, (g) => neg(g)],
  check(common) {
    if (common === bool) {
      throw new RuntimeError(
        'Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.',
      )
    }
  },
})

interface AlphaOptions extends UnaryOptions {
  /** Multiplies the second operand. */
  readonly alpha?: number
}
type WithAlpha = (x: TensorLike, y: TensorLike, options?: AlphaOptions) => Tensor

const scaled = (y: TensorLike, alpha: number): TensorLike => (y instanceof Tensor ? mul(y, alpha) : Number(y) * alpha)
const withAlpha = (base: Binary, inPlace: (x: Tensor, y: TensorLike) => Tensor): WithAlpha =>
  withInPlace(
    (x: TensorLike, y: TensorLike, options?: AlphaOptions) =>
      options?.alpha === undefined ? base(x, y, options) : base(x, scaled(y, options.alpha), options),
    (x: Tensor, y: TensorLike, options?: AlphaOptions) =>
      inPlace(x, options?.alpha === undefined ? y : scaled(y, options.alpha)),
  )

/** x + alpha * y. */
export const add: WithAlpha = withAlpha(addition, inPlaceOf(addition))
/** x - alpha * y. */
export const sub: WithAlpha = withAlpha(subtraction, inPlaceOf(subtraction))
export const subtract = sub
/** y - x. */
export const rsub: WithAlpha = (x, y, options) => sub(y, options?.alpha === undefined ? x : scaled(x, options.alpha))

/** x * y. */
export const mul: Binary = binary({
  name: 'mul',
  dtype: 'same',
  expr: (x, y) => (x.type === 'bool' ? k.and(x, y) : k.mul(x, y)),
  grad: [(g, _x, y) => mul(g, y), (g, x) => mul(g, x)],
  saves: ['y', 'x'],
})
export const multiply = mul

const trueDivide: Binary = binary({
  name: 'div',
  dtype: 'float',
  expr: k.div,
  grad: [(g, _x, y) => div(g, y), (g, _x, y, out) => neg(mul(g, div(out, y)))],
  saves: ['y', 'yo'],
  domain: { low: 0.3, high: 3 },
})

/** floor(x / y), as Python's `//`. */
export const floorDivide: Binary = binary({
  name: 'floorDivide',
  dtype: 'same',
  expr: m.floorDivide,
  domain: { low: 0.3, high: 3, kinks: true },
})
// Unlike floorDivide these have a gradient in PyTorch: zero.
const divFloor: Binary = binary({
  name: 'divFloor',
  python: 'div',
  dtype: 'same',
  expr: m.floorDivide,
  grad: [(g) => mul(g, 0), (g) => mul(g, 0)],
  domain: { low: 0.3, high: 3, kinks: true },
})
const divTrunc: Binary = binary({
  name: 'divTrunc',
  python: 'div',
  dtype: 'same',
  expr: m.truncDivide,
  grad: [(g) => mul(g, 0), (g) => mul(g, 0)],
  domain: { low: 0.3, high: 3, kinks: true },
})

interface DivOptions extends UnaryOptions {
  /** Rounds towards zero or down; absent or null divides truly, in floating point. */
  readonly roundingMode?: 'trunc' | 'floor' | null
}

const division = (mode: DivOptions['roundingMode']): Binary => {
  if (mode === null || mode === undefined) return trueDivide
  if (mode === 'floor') return divFloor
  if (mode === 'trunc') return divTrunc
  throw new RuntimeError(
    `div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '${String(mode)}'`,
  )
}

type Div = (x: TensorLike, y: TensorLike, options?: DivOptions) => Tensor

/** x / y. */
export const div: Div = withInPlace(
  (x: TensorLike, y: TensorLike, options?: DivOptions) => division(options?.roundingMode)(x, y, options),
  (x: Tensor, y: TensorLike, options?: DivOptions) => inPlaceOf(division(options?.roundingMode))(x, y),
)
export const divide = div

/** x modulo y with the sign of y, as Python's `%`. */
export const remainder: Binary = binary({
  name: 'remainder',
  dtype: 'same',
  expr: m.remainder,
  grad: [(g) => g, (g, x, y) => neg(mul(g, div(x, y, { roundingMode: 'floor' })))],
  saves: ['', 'xy'],
  domain: { low: 0.3, high: 3, kinks: true },
})
/** x modulo y with the sign of x, as C's fmod. */
export const fmod: Binary = binary({
  name: 'fmod',
  dtype: 'same',
  expr: m.fmod,
  grad: [(g) => g, (g, x, y) => neg(mul(g, div(x, y, { roundingMode: 'trunc' })))],
  saves: ['', 'xy'],
  domain: { low: 0.3, high: 3, kinks: true },
})

/** x to the power y; integer powers of integers stay integers. */
export const pow: Binary = binary({
  name: 'pow',
  dtype: 'same',
  expr: m.pow,
  grad: [powGradBase, (g, x, y, out) => powGradExponent(g, x, y as Tensor, out)],
  saves: ['xy', 'xyo'],
  domain: { low: 0.3, high: 2 },
})

function powGradBase(g: Tensor, x: TensorLike, y: TensorLike): Tensor {
  if (!(y instanceof Tensor)) {
    const n = Number(y)
    if (n === 0) return mul(g, 0)
    return n === 2 ? mul(g, mul(x, 2)) : mul(g, mul(pow(x, n - 1), n))
  }
  const product = mul(g, mul(y, pow(x, sub(y, 1))))
  return product.maskedFill(eq(y, 0), 0)
}

function powGradExponent(g: Tensor, x: TensorLike, y: Tensor, out: Tensor): Tensor {
  const slope = x instanceof Tensor ? mul(out, log(x)) : mul(out, Math.log(Number(x)))
  const zero = x instanceof Tensor ? logicalAnd(eq(x, 0), ge(y, 0)) : Number(x) === 0 ? ge(y, 0) : null
  const clean = zero ? slope.maskedFill(zero, 0) : slope
  return mul(g, clean)
}

const squared = (x: TensorLike): TensorLike => (x instanceof Tensor ? mul(x, x) : Number(x) ** 2)

/** The angle of the point (y: x, x: other), in radians. */
export const atan2: Binary = binary({
  name: 'atan2',
  dtype: 'float',
  expr: m.atan2,
  grad: [
    (g, y, x) => mul(g, div(x, add(squared(x), squared(y)))),
    (g, y, x) => neg(mul(g, div(y, add(squared(x), squared(y))))),
  ],
  saves: ['xy', 'xy'],
  domain: { low: 0.3, high: 3 },
})
export const arctan2 = atan2

const halfOnTies = (g: Tensor, wins: Tensor, ties: Tensor): Tensor =>
  mul(g, wins.to(g.dtype).add(mul(ties.to(g.dtype), 0.5)))
const order =
  (pick: 'max' | 'min') =>
  (x: Expr, y: Expr): Expr => {
    if (x.type === 'bool') return pick === 'max' ? k.or(x, y) : k.and(x, y)
    return k[pick](x, y)
  }
/** The larger of x and y; NaN if either is. Ties share the gradient. */
export const maximum: Binary = binary({
  name: 'maximum',
  dtype: 'same',
  expr: order('max'),
  grad: [(g, x, y) => halfOnTies(g, gt(x, y), eq(x, y)), (g, x, y) => halfOnTies(g, lt(x, y), eq(x, y))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})
/** The smaller of x and y; NaN if either is. Ties share the gradient. */
export const minimum: Binary = binary({
  name: 'minimum',
  dtype: 'same',
  expr: order('min'),
  grad: [(g, x, y) => halfOnTies(g, lt(x, y), eq(x, y)), (g, x, y) => halfOnTies(g, gt(x, y), eq(x, y))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

const numeric = (x: Expr): Expr => (x.type === 'bool' ? k.cast(x, 'i32') : x)
const comparison = (name: string, test: (x: Expr, y: Expr) => Expr): Binary =>
  binary({ name, dtype: 'bool', expr: (x, y) => test(numeric(x), numeric(y)) })
/** x == y, element by element. */
export const eq: Binary = comparison('eq', k.eq)
/** x != y. */
export const ne: Binary = comparison('ne', k.ne)
/** x < y. */
export const lt: Binary = comparison('lt', k.lt)
/** x <= y. */
export const le: Binary = comparison('le', k.le)
/** x > y. */
export const gt: Binary = comparison('gt', k.gt)
/** x >= y. */
export const ge: Binary = comparison('ge', k.ge)
export const notEqual = ne
export const less = lt
export const lessEqual = le
export const greater = gt
export const greaterEqual = ge

const logical = (name: string, test: (x: Expr, y: Expr) => Expr): Binary =>
  binary({ name, dtype: 'bool', expr: (x, y) => test(k.cast(x, 'bool'), k.cast(y, 'bool')) })
/** x and y. */
export const logicalAnd: Binary = logical('logicalAnd', k.and)
/** x or y. */
export const logicalOr: Binary = logical('logicalOr', k.or)
/** Exactly one of x and y. */
export const logicalXor: Binary = logical('logicalXor', k.xor)

const integersOnly =
  (name: string) =>
  (common: { readonly isFloatingPoint: boolean; readonly title: string }): void => {
    if (common.isFloatingPoint) throw new RuntimeError(`"${name}_cpu" not implemented for '${common.title}'`)
  }
/** Bits of both. */
export const bitwiseAnd: Binary = binary({
  name: 'bitwiseAnd',
  domain: { integers: true },
  dtype: 'same',
  expr: k.and,
  check: integersOnly('bitwise_and'),
})
/** Bits of either. */
export const bitwiseOr: Binary = binary({
  name: 'bitwiseOr',
  domain: { integers: true },
  dtype: 'same',
  expr: k.or,
  check: integersOnly('bitwise_or'),
})
/** Bits of exactly one. */
export const bitwiseXor: Binary = binary({
  name: 'bitwiseXor',
  domain: { integers: true },
  dtype: 'same',
  expr: k.xor,
  check: integersOnly('bitwise_xor'),
})

type Bound = number | Tensor | null
interface ClampOptions extends UnaryOptions {
  readonly min?: Bound
  readonly max?: Bound
}

const clampLow: Binary = binary({
  name: 'clampMin',
  dtype: 'same',
  expr: order('max'),
  grad: [(g, x, y) => mul(g, ge(x, y).to(g.dtype)), (g, x, y) => mul(g, lt(x, y).to(g.dtype))],
  saves: ['xy', 'xy'],
  domain: { kinks: true },
})
const clampHigh: Binary = binary({
  name: 'clampMax',
  dtype: 'same',
  expr: order('min'),
  grad: [(g, x, y) => mul(g, le(x, y).to(g.dtype)), (g, x, y) => mul(g, gt(x, y).to(g.dtype))],
  saves: ['xy', 'xy'],
  domain: { kinks: true },
})
export const clampMin = clampLow
export const clampMax = clampHigh

/** x limited to [min, max]; at least one bound is needed. */
export const clamp: (x: Tensor, ...args: Args<[min?: Bound, max?: Bound], ClampOptions>) => Tensor = op({
  name: 'clamp',
  signature: 'input, min, max',
  samples: (t) => [
    [t(3, 4), -0.5, 0.5],
    [t(3, 4), { min: 0.1 }],
    [t(3, 4), null, 0.2],
    [t(3, 4), t(4), t(3, 1)],
  ],
  differentiable: true,
  forward: (x: Tensor, min?: Bound, max?: Bound) => {
    const low = min ?? null
    const high = max ?? null
    if (low === null && high === null)
      throw new RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    const raised = low === null ? x : clampLow(x, low)
    return high === null ? raised : clampHigh(raised, high)
  },
  inPlace: (x: Tensor, min?: Bound, max?: Bound) => {
    if (min !== null && min !== undefined) x.clampMin_(min)
    if (max !== null && max !== undefined) x.clampMax_(max)
    return x
  },
})
export const clip = clamp

/** input + weight * (end - input). */
export const lerp: (x: Tensor, end: Tensor, weight: Tensor | number) => Tensor = op({
  name: 'lerp',
  signature: 'input, end, weight',
  samples: (t) => [
    [t(3, 4), t(4), 0.3],
    [t(3), t(3), t(3)],
  ],
  differentiable: true,
  forward: (x: Tensor, end: Tensor, weight: Tensor | number) => add(x, mul(sub(end, x), weight)),
  inPlace: (x: Tensor, end: Tensor, weight: Tensor | number) => x.add_(mul(sub(end, x), weight)),
})

interface ValueOptions extends UnaryOptions {
  readonly value?: number
}
/** input + value * a * b. */
export const addcmul: (x: Tensor, a: Tensor, b: Tensor, options?: ValueOptions) => Tensor = op({
  name: 'addcmul',
  signature: 'input, tensor1, tensor2, *, value',
  samples: (t) => [
    [t(3, 4), t(4), t(3, 1)],
    [t(3), t(3), t(3), { value: 0.5 }],
  ],
  differentiable: true,
  forward: (x: Tensor, a: Tensor, b: Tensor, value = 1) => add(x, mul(a, b), { alpha: value }),
  inPlace: (x: Tensor, a: Tensor, b: Tensor, value = 1) => x.add_(mul(a, b), { alpha: value }),
})
/** input + value * a / b. */
export const addcdiv: (x: Tensor, a: Tensor, b: Tensor, options?: ValueOptions) => Tensor = op({
  name: 'addcdiv',
  signature: 'input, tensor1, tensor2, *, value',
  samples: (t) => [
    [t(3, 4), t(4), t(3, 1)],
    [t(3), t(3), t(3), { value: 0.5 }],
  ],
  differentiable: true,
  domain: { low: 0.3, high: 3 },
  forward: (x: Tensor, a: Tensor, b: Tensor, value = 1) => add(x, div(a, b), { alpha: value }),
  inPlace: (x: Tensor, a: Tensor, b: Tensor, value = 1) => x.add_(div(a, b), { alpha: value }),
})
