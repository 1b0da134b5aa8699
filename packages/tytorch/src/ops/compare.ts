// Element-wise comparison, logic and bits, and what picks by comparing: maximum, minimum, clamp, relu.
import { bool } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { num } from '../ir/build.ts'
import { type Expr, k } from '../ir/expr.ts'
import { type Args, inPlaceOf, op } from '../tensor/define.ts'
import { type Binary, binary, type Unary, type UnaryOptions, unary } from '../tensor/elementwise.ts'
import { isSpare } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type Threefold, threefold } from './threefold.ts'

/** max(x, 0), in the dtype of x; the gradient at 0 is 0. NaN stays NaN. */
export const relu: Unary = unary({
  name: 'relu',
  dtype: 'same',
  // pmax keeps a NaN on its left, at a third of the price of max.
  expr: (x) => (x.type === 'f32' || x.type === 'f64' ? k.pmax(x, num(x, 0)) : k.max(x, num(x, 0))),
  check: (dtype) => {
    if (dtype === bool) throw new RuntimeError('Boolean inputs not supported for relu')
  },
  grad: (g, _x, out) => (isSpare(g) ? inPlaceOf(thresholdBackward)(g, out) : thresholdBackward(g, out)),
  saves: 'o',
  domain: { kinks: true },
})

/** 0 where out <= 0, else g, also for NaN: the gradient of relu. */
export const thresholdBackward: Binary = binary({
  name: 'thresholdBackward',
  dtype: 'same',
  expr: (g, out) => k.select(k.le(out, num(out, 0)), num(g, 0), g),
  grad: [(gg, _g, out) => thresholdBackward(gg, out), (gg) => gg.mul(0)],
  saves: ['y', ''],
  domain: { kinks: true },
})

/** The gradient of the operand that does not lose: half of it at ties, all of it where NaN can't be compared. */
const halfOnTies = (g: Tensor, loses: Tensor, ties: Tensor): Tensor =>
  g.mul(loses.logicalNot().to(g.dtype).sub(ties.to(g.dtype).mul(0.5)))

const order =
  (pick: 'max' | 'min') =>
  (x: Expr, y: Expr): Expr => {
    if (x.type === 'bool') return pick === 'max' ? k.or(x, y) : k.and(x, y)
    return k[pick](x, y)
  }

/** The larger of x and y; NaN if either is. Ties share the gradient. */
export const maximum: Binary = binary({
  name: 'maximum',
  numbers: 'none',
  dtype: 'same',
  expr: order('max'),
  grad: [(g, x, y) => halfOnTies(g, lt(x, y), eq(x, y)), (g, x, y) => halfOnTies(g, gt(x, y), eq(x, y))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

/** The smaller of x and y; NaN if either is. Ties share the gradient. */
export const minimum: Binary = binary({
  name: 'minimum',
  numbers: 'none',
  dtype: 'same',
  expr: order('min'),
  grad: [(g, x, y) => halfOnTies(g, gt(x, y), eq(x, y)), (g, x, y) => halfOnTies(g, lt(x, y), eq(x, y))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

const numeric = (x: Expr): Expr => (x.type === 'bool' ? k.cast(x, 'i32') : x)

const comparison = (name: string, test: (x: Expr, y: Expr) => Expr): Binary =>
  binary({ name, dtype: 'bool', expr: (x, y) => test(numeric(x), numeric(y)), numbers: 'second' })

/** x == y, element by element and broadcast, as bool; y may be a number. NaN equals nothing. */
export const eq: Binary = comparison('eq', k.eq)

/** x != y, as bool; broadcast. */
export const ne: Binary = comparison('ne', k.ne)

/** x < y, as bool; broadcast. False where one is NaN. */
export const lt: Binary = comparison('lt', k.lt)

/** x <= y, as bool; broadcast. False where one is NaN. */
export const le: Binary = comparison('le', k.le)

/** x > y, as bool; broadcast. False where one is NaN. */
export const gt: Binary = comparison('gt', k.gt)

/** x >= y, as bool; broadcast. False where one is NaN. */
export const ge: Binary = comparison('ge', k.ge)

/** As `ne`. */
export const notEqual = ne

/** As `lt`. */
export const less = lt

/** As `le`. */
export const lessEqual = le

/** As `gt`. */
export const greater = gt

/** As `ge`. */
export const greaterEqual = ge

const logical = (name: string, test: (x: Expr, y: Expr) => Expr): Binary =>
  binary({ name, dtype: 'bool', expr: (x, y) => test(k.cast(x, 'bool'), k.cast(y, 'bool')), numbers: 'none' })

/** True where both are not zero: bool, of any dtypes; broadcast. */
export const logicalAnd: Binary = logical('logicalAnd', k.and)

/** True where one at least is not zero: bool, of any dtypes; broadcast. */
export const logicalOr: Binary = logical('logicalOr', k.or)

/** True where exactly one is not zero: bool, of any dtypes; broadcast. */
export const logicalXor: Binary = logical('logicalXor', k.xor)

const integersOnly =
  (name: string) =>
  (common: { readonly isFloatingPoint: boolean; readonly title: string }): void => {
    if (common.isFloatingPoint) throw new RuntimeError(`"${name}_cpu" not implemented for '${common.title}'`)
  }

/** The bits that both integers have; of bool, and. Throws for floats. */
export const bitwiseAnd: Binary = binary({
  name: 'bitwiseAnd',
  domain: { integers: true },
  dtype: 'same',
  expr: k.and,
  check: integersOnly('bitwise_and'),
})

/** The bits that either integer has; of bool, or. Throws for floats. */
export const bitwiseOr: Binary = binary({
  name: 'bitwiseOr',
  domain: { integers: true },
  dtype: 'same',
  expr: k.or,
  check: integersOnly('bitwise_or'),
})

/** The bits that exactly one of two integers has; of bool, exclusive or. Throws for floats. */
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
  node: (_x, y) => (typeof y === 'object' ? 'ClampMinBackward1' : 'ClampMinBackward0'),
  numbers: 'second',
  dtype: 'same',
  expr: order('max'),
  grad: [(g, x, y) => g.mul(ge(x, y).to(g.dtype)), (g, x, y) => g.mul(lt(x, y).to(g.dtype))],
  saves: ['xy', 'xy'],
  domain: { kinks: true },
})

const clampHigh: Binary = binary({
  name: 'clampMax',
  node: (_x, y) => (typeof y === 'object' ? 'ClampMaxBackward1' : 'ClampMaxBackward0'),
  numbers: 'second',
  dtype: 'same',
  expr: order('min'),
  grad: [(g, x, y) => g.mul(le(x, y).to(g.dtype)), (g, x, y) => g.mul(gt(x, y).to(g.dtype))],
  saves: ['xy', 'xy'],
  domain: { kinks: true },
})

/** max(x, min), element by element. */
export const clampMin = clampLow

/** min(x, max), element by element. */
export const clampMax = clampHigh

const clampOnce: Threefold = threefold('clamp', (x, low, high) => k.min(k.max(x, low), high))

/**
 * x limited to [min, max], numbers or tensors that broadcast; where min > max it is max. Throws RuntimeError without
 * any bound.
 */
export const clamp: (x: Tensor, ...args: Args<[min?: Bound, max?: Bound], ClampOptions>) => Tensor = op({
  name: 'clamp',
  signature: 'input, min, max',
  node: (_x, min, max) => `ClampBackward${typeof (min ?? max) === 'object' ? 0 : 1}`,
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
    const once = low !== null && high !== null ? clampOnce(x, low as number, high as number, 0, false) : null
    if (once) return once
    const raised = low === null ? x : clampLow(x, low)
    return high === null ? raised : clampHigh(raised, high)
  },
  inPlace: (x: Tensor, min?: Bound, max?: Bound) => {
    const both = min !== null && min !== undefined && max !== null && max !== undefined
    if (both && clampOnce(x, min as number, max as number, 0, true)) return x
    if (min !== null && min !== undefined) x.clampMin_(min)
    if (max !== null && max !== undefined) x.clampMax_(max)
    return x
  },
})

/** As `clamp`. */
export const clip = clamp
