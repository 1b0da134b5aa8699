// Element-wise comparison, logic and bits, and what picks by comparing: maximum, minimum, clamp, relu.
import { RuntimeError } from '../base/errors.ts'
import { num } from '../ir/build.ts'
import { type Expr, k } from '../ir/expr.ts'
import { type Args, inPlaceOf, op } from '../tensor/define.ts'
import { type Binary, binary, type Unary, type UnaryOptions, unary } from '../tensor/elementwise.ts'
import { isSpare } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** max(x, 0); the gradient at 0 is 0. */
export const relu: Unary = unary({
  name: 'relu',
  dtype: 'same',
  // pmax keeps a NaN on its left, at a third of the price of max.
  expr: (x) => (x.type === 'f32' || x.type === 'f64' ? k.pmax(x, num(x, 0)) : k.max(x, num(x, 0))),
  grad: (g, _x, out) => (isSpare(g) ? inPlaceOf(thresholdBackward)(g, out) : thresholdBackward(g, out)),
  saves: 'o',
  domain: { kinks: true },
})

/** g where out > 0, else 0: the gradient of relu. */
export const thresholdBackward: Binary = binary({
  name: 'thresholdBackward',
  dtype: 'same',
  expr: (g, out) => k.select(k.gt(out, num(out, 0)), g, num(g, 0)),
  grad: [(gg, _g, out) => thresholdBackward(gg, out), (gg) => gg.mul(0)],
  saves: ['y', ''],
  domain: { kinks: true },
})

const halfOnTies = (g: Tensor, wins: Tensor, ties: Tensor): Tensor =>
  g.mul(wins.to(g.dtype).add(ties.to(g.dtype).mul(0.5)))

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
  grad: [(g, x, y) => halfOnTies(g, gt(x, y), eq(x, y)), (g, x, y) => halfOnTies(g, lt(x, y), eq(x, y))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

/** The smaller of x and y; NaN if either is. Ties share the gradient. */
export const minimum: Binary = binary({
  name: 'minimum',
  numbers: 'none',
  dtype: 'same',
  expr: order('min'),
  grad: [(g, x, y) => halfOnTies(g, lt(x, y), eq(x, y)), (g, x, y) => halfOnTies(g, gt(x, y), eq(x, y))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

const numeric = (x: Expr): Expr => (x.type === 'bool' ? k.cast(x, 'i32') : x)

const comparison = (name: string, test: (x: Expr, y: Expr) => Expr): Binary =>
  binary({ name, dtype: 'bool', expr: (x, y) => test(numeric(x), numeric(y)), numbers: 'second' })

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
  binary({ name, dtype: 'bool', expr: (x, y) => test(k.cast(x, 'bool'), k.cast(y, 'bool')), numbers: 'none' })

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
  numbers: 'second',
  dtype: 'same',
  expr: order('max'),
  grad: [(g, x, y) => g.mul(ge(x, y).to(g.dtype)), (g, x, y) => g.mul(lt(x, y).to(g.dtype))],
  saves: ['xy', 'xy'],
  domain: { kinks: true },
})

const clampHigh: Binary = binary({
  name: 'clampMax',
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
