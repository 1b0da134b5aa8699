// Element-wise arithmetic of two operands, and what combines it: add, mul, div, pow, lerp, addcmul and their kin.
import { bool, type DType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { type Expr, k } from '../ir/expr.ts'
import * as m from '../ir/maths.ts'
import { notImplemented } from '../tensor/complex.ts'
import { inPlaceOf, op, type TensorLike, withInPlace } from '../tensor/define.ts'
import { type Binary, binary, type UnaryOptions } from '../tensor/elementwise.ts'
import { edgesOf } from '../tensor/node.ts'
import { Tensor } from '../tensor/tensor.ts'
import { eq, ge, logicalAnd } from './compare.ts'
import { type Threefold, threefold } from './threefold.ts'
import { log, neg } from './unary.ts'

const addExpr = (x: Expr, y: Expr): Expr => (x.type === 'bool' ? k.or(x, y) : k.add(x, y))

const addition: Binary = binary({ name: 'add', dtype: 'same', expr: addExpr, grad: [(g) => g, (g) => g] })

const subtraction: Binary = binary({
  name: 'sub',
  dtype: 'same',
  expr: k.sub,
  node: (x) => (x instanceof Tensor ? 'SubBackward0' : 'RsubBackward1'),
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

/** x + alpha * y, broadcast and promoted; of bool the logical or. */
export const add: WithAlpha = withAlpha(addition, inPlaceOf(addition))

/** x - alpha * y, broadcast and promoted. Throws RuntimeError for two bool tensors. */
export const sub: WithAlpha = withAlpha(subtraction, inPlaceOf(subtraction))

/** As `sub`. */
export const subtract = sub

/** y - alpha * x. */
export const rsub: WithAlpha = (x, y, options) => {
  if (!(x instanceof Tensor)) throw new TypeError(`rsub(): argument 'input' must be Tensor, not ${typeof x}`)
  const out = sub(
    y,
    options?.alpha === undefined ? x : scaled(x, options.alpha),
    options?.out ? { out: options.out } : {},
  )
  const operands = [x, y].filter((t) => t instanceof Tensor)
  out.node?.showAs(operands.length === 2 ? 'RsubBackward0' : 'RsubBackward1', edgesOf(operands))
  return out
}

/** x * y, broadcast and promoted; of bool the logical and. */
export const mul: Binary = binary({
  name: 'mul',
  dtype: 'same',
  expr: (x, y) => (x.type === 'bool' ? k.and(x, y) : k.mul(x, y)),
  grad: [(g, _x, y) => mul(g, y), (g, x) => mul(g, x)],
  saves: ['y', 'x'],
})

/** As `mul`. */
export const multiply = mul

const trueDivide: Binary = binary({
  name: 'div',
  // In Python a number over a tensor is its reciprocal times the number.
  node: (x) => (x instanceof Tensor ? 'DivBackward0' : 'MulBackward0'),
  dtype: 'float',
  expr: k.div,
  grad: [(g, _x, y) => div(g, y), (g, _x, y, out) => neg(mul(g, div(out, y)))],
  saves: ['y', 'yo'],
  domain: { low: 0.3, high: 3 },
})

const noBool =
  (name: string) =>
  (common: DType): void => {
    if (common === bool) throw notImplemented(name, common)
  }

/** floor(x / y), as Python's `//`; integers stay integers and throw RuntimeError for y = 0. */
export const floorDivide: Binary = binary({
  name: 'floorDivide',
  dtype: 'same',
  check: noBool('div_floor'),
  expr: m.floorDivide,
  domain: { low: 0.3, high: 3, kinks: true },
})

// Unlike floorDivide these have a gradient in PyTorch: zero.
const divFloor: Binary = binary({
  name: 'divFloor',
  python: 'div',
  node: () => 'DivBackward2',
  dtype: 'same',
  check: noBool('div_floor'),
  expr: m.floorDivide,
  grad: [(g) => mul(g, 0), (g) => mul(g, 0)],
  domain: { low: 0.3, high: 3, kinks: true },
})

const divTrunc: Binary = binary({
  name: 'divTrunc',
  python: 'div',
  node: () => 'DivBackward2',
  dtype: 'same',
  check: noBool('div_trunc'),
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

/**
 * x / y, of integers as the default dtype; with `roundingMode` 'trunc' or 'floor' rounded so, integers staying
 * integers.
 */
export const div: Div = withInPlace(
  (x: TensorLike, y: TensorLike, options?: DivOptions) => division(options?.roundingMode)(x, y, options),
  (x: Tensor, y: TensorLike, options?: DivOptions) => inPlaceOf(division(options?.roundingMode))(x, y),
)

/** As `div`. */
export const divide = div

/** x modulo y with the sign of y, as Python's `%`; integers throw RuntimeError for y = 0. */
export const remainder: Binary = binary({
  name: 'remainder',
  node: (_x, y) => (y instanceof Tensor ? 'RemainderBackward1' : 'RemainderBackward0'),
  dtype: 'same',
  check: noBool('remainder'),
  expr: m.remainder,
  grad: [(g) => g, (g, x, y) => neg(mul(g, div(x, y, { roundingMode: 'floor' })))],
  saves: ['', 'xy'],
  domain: { low: 0.3, high: 3, kinks: true },
})

/** x modulo y with the sign of x, as C's fmod; integers throw RuntimeError for y = 0. */
export const fmod: Binary = binary({
  name: 'fmod',
  node: (_x, y) => (y instanceof Tensor ? 'FmodBackward1' : 'FmodBackward0'),
  numbers: 'second',
  dtype: 'same',
  check: noBool('fmod'),
  expr: m.fmod,
  grad: [(g) => g, (g, x, y) => neg(mul(g, div(x, y, { roundingMode: 'trunc' })))],
  saves: ['', 'xy'],
  domain: { low: 0.3, high: 3, kinks: true },
})

/** x to the power y; integer powers of integers stay integers. */
export const pow: Binary = binary({
  name: 'pow',
  node: (x, y) => `PowBackward${!(x instanceof Tensor) ? 2 : y instanceof Tensor ? 1 : 0}`,
  dtype: 'same',
  check: noBool('pow'),
  expr: m.pow,
  constants: [2, 3, 0.5, -0.5, 1, -1, -2],
  checkNumber(value, common) {
    if (!common.isFloatingPoint && Number(value) < 0) {
      throw new RuntimeError('Integers to negative integer powers are not allowed.')
    }
  },
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
  const slope =
    x instanceof Tensor ? mul(out, log(out.dtype.isComplex ? x.to(out.dtype) : x)) : mul(out, Math.log(Number(x)))
  const zero = x instanceof Tensor ? logicalAnd(eq(x, 0), ge(y.real, 0)) : Number(x) === 0 ? ge(y.real, 0) : null
  const clean = zero ? slope.maskedFill(zero, 0) : slope
  return mul(g, clean)
}

/** The angle of the point (y: x, x: other), in radians. */
export const atan2: Binary = binary({
  name: 'atan2',
  numbers: 'none',
  dtype: 'float',
  expr: m.atan2,
  grad: [
    (g, y, x) => mul(g, div(x, add(mul(x, x), mul(y, y)))),
    (g, y, x) => neg(mul(g, div(y, add(mul(x, x), mul(y, y))))),
  ],
  saves: ['xy', 'xy'],
  domain: { low: 0.3, high: 3 },
})

/** As `atan2`. */
export const arctan2 = atan2

const lerpOnce: Threefold = threefold('lerp', (x, end, weight) => k.add(x, k.mul(k.sub(end, x), weight)))
const addcmulOnce: Threefold = threefold('addcmul', (x, a, b, value) => k.add(x, k.mul(k.mul(a, b), value)))
const addcdivOnce: Threefold = threefold('addcdiv', (x, a, b, value) => k.add(x, k.mul(k.div(a, b), value)))

/** input + weight * (end - input): `input` for weight 0, `end` for 1; the weight is a number or a tensor. */
export const lerp: (x: Tensor, end: Tensor, weight: Tensor | number) => Tensor = op({
  name: 'lerp',
  signature: 'input, end, weight',
  node: (_x, _end, weight) => `LerpBackward${weight instanceof Tensor ? 1 : 0}`,
  samples: (t) => [
    [t(3, 4), t(4), 0.3],
    [t(3), t(3), t(3)],
  ],
  differentiable: true,
  forward: (x: Tensor, end: Tensor, weight: Tensor | number) =>
    lerpOnce(x, end, weight, 0, false) ?? add(x, mul(sub(end, x), weight)),
  inPlace: (x: Tensor, end: Tensor, weight: Tensor | number) =>
    lerpOnce(x, end, weight, 0, true) ?? x.add_(mul(sub(end, x), weight)),
})

interface ValueOptions extends UnaryOptions {
  readonly value?: number
}

/** input + value * tensor1 * tensor2, broadcast; `value` is 1 unless given. */
export const addcmul: (x: Tensor, a: Tensor, b: Tensor, options?: ValueOptions) => Tensor = op({
  name: 'addcmul',
  signature: 'input, tensor1, tensor2, *, value',
  node: 'AddcmulBackward0',
  samples: (t) => [
    [t(3, 4), t(4), t(3, 1)],
    [t(3), t(3), t(3), { value: 0.5 }],
  ],
  differentiable: true,
  forward: (x: Tensor, a: Tensor, b: Tensor, value = 1) =>
    addcmulOnce(x, a, b, value, false) ?? add(x, mul(a, b), { alpha: value }),
  inPlace: (x: Tensor, a: Tensor, b: Tensor, value = 1) =>
    addcmulOnce(x, a, b, value, true) ?? x.add_(mul(a, b), { alpha: value }),
})

/** input + value * tensor1 / tensor2, broadcast; `value` is 1 unless given. */
export const addcdiv: (x: Tensor, a: Tensor, b: Tensor, options?: ValueOptions) => Tensor = op({
  name: 'addcdiv',
  signature: 'input, tensor1, tensor2, *, value',
  node: 'AddcdivBackward0',
  samples: (t) => [
    [t(3, 4), t(4), t(3, 1)],
    [t(3), t(3), t(3), { value: 0.5 }],
  ],
  differentiable: true,
  domain: { low: 0.3, high: 3 },
  forward: (x: Tensor, a: Tensor, b: Tensor, value = 1) =>
    addcdivOnce(x, a, b, value, false) ?? add(x, div(a, b), { alpha: value }),
  inPlace: (x: Tensor, a: Tensor, b: Tensor, value = 1) =>
    addcdivOnce(x, a, b, value, true) ?? x.add_(div(a, b), { alpha: value }),
})
