// Element-wise functions of one and two tensors that training code meets less often: signs and steps, logarithms of sums,
// angles' units, what ignores NaN. Formulas of gradients are PyTorch's.
import { type DType, float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { num } from '../ir/build.ts'
import { type Expr, k, load, scalar } from '../ir/expr.ts'
import { type Arg, mapKernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { type Args, op, type TensorLike } from '../tensor/define.ts'
import { type Binary, binary, type Unary, unary } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { type Dim, kernelFor, reduce, simpleFold, spread, zero } from '../tensor/reduce.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { emptyLike, Tensor } from '../tensor/tensor.ts'
import { add, div, mul, pow, sub } from './arithmetic.ts'
import { clamp, eq, ge, logicalAnd, logicalOr, ne } from './compare.ts'
import { finfo } from './info.ts'
import { where } from './masks.ts'
import { sum } from './reduce.ts'
import { cos, exp, isfinite, isnan, logicalNot, sin } from './unary.ts'

const isFloat = (x: Expr): boolean => x.type === 'f32' || x.type === 'f64'

const floatsOnly =
  (kernel: string) =>
  (common: DType): void => {
    if (!common.isFloatingPoint) throw new NotImplementedError(`"${kernel}" not implemented for '${common.title}'`)
  }

/** x, unchanged. Throws RuntimeError for bool. */
export const positive: (x: Tensor) => Tensor = op({
  name: 'positive',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.dtype.name === 'bool') throw new RuntimeError('The `+` operator, on a bool tensor is not supported.')
    return x
  },
})

const scaled = (name: string, factor: number): Unary =>
  unary({ name, dtype: 'float', expr: (x) => k.mul(x, num(x, factor)), grad: (g) => mul(g, factor) })

/** Degrees to radians: x * pi / 180. */
export const deg2rad: Unary = scaled('deg2rad', Math.PI / 180)
/** Radians to degrees: x * 180 / pi. */
export const rad2deg: Unary = scaled('rad2deg', 180 / Math.PI)

const negative = (x: Expr): Expr =>
  x.type === 'bool'
    ? k.ne(x, x)
    : x.type === 'f32'
      ? k.lt(k.bitcast(x, 'i32'), num(k.bitcast(x, 'i32'), 0))
      : x.type === 'f64'
        ? k.lt(k.bitcast(x, 'i64'), num(k.bitcast(x, 'i64'), 0))
        : k.lt(x, num(x, 0))

/** True where the sign is set, for -0 too. */
export const signbit: Unary = unary({ name: 'signbit', dtype: 'bool', expr: negative, noInPlace: true })

const infinite = (name: string, sign: number): Unary =>
  unary({
    name,
    dtype: 'bool',
    expr: (x) => (isFloat(x) ? k.eq(x, num(x, sign * Number.POSITIVE_INFINITY)) : k.ne(x, x)),
    noInPlace: true,
  })

/** True where x is inf. */
export const isposinf: Unary = infinite('isposinf', 1)
/** True where x is -inf. */
export const isneginf: Unary = infinite('isneginf', -1)

/** sin(pi x) / (pi x), and 1 at 0. */
export const sinc: Unary = unary({
  name: 'sinc',
  dtype: 'float',
  expr: (x) => {
    const angle = k.mul(x, num(x, Math.PI))
    return k.select(k.eq(x, num(x, 0)), num(x, 1), k.div(m.sin(angle), angle))
  },
  grad: (g, x) => {
    const angle = mul(x, Math.PI)
    const slope = div(sub(mul(angle, cos(angle)), sin(angle)), mul(angle, x))
    return mul(g, slope.maskedFill(eq(x, 0), 0))
  },
  saves: 'x',
})

const logOdds: Unary = unary({
  name: 'logOdds',
  python: 'logit',
  dtype: 'float',
  expr: (x) => m.log(k.div(x, k.sub(num(x, 1), x))),
  grad: (g, x) => {
    const inside = logicalAnd(ge(x, 0), x.le(1))
    return where(inside, div(g, mul(x, sub(1, x))), Number.NaN)
  },
  saves: 'x',
  domain: { low: 0.1, high: 0.9 },
})

/** log(x / (1 - x)), the inverse of `sigmoid`; with `eps`, x is clamped to [eps, 1 - eps] first. */
export const logit: (x: Tensor, ...args: Args<[eps?: number | null], { eps?: number | null }>) => Tensor = op({
  name: 'logit',
  signature: 'input, eps',
  node: 'LogitBackward0',
  domain: { low: 0.1, high: 0.9 },
  samples: (t) => [[t(3, 4)], [t(3, 4), 0.2]],
  differentiable: true,
  forward: (x: Tensor, eps: number | null = null) => {
    if (eps === null) return logOdds(x)
    // Beyond the bounds the gradient is 0.
    return logOdds(clamp(x.dtype.isFloatingPoint ? x : x.float(), eps, 1 - eps))
  },
  inPlace: (x: Tensor, eps: number | null = null) => x.copy_(logit(x, eps)),
})

interface NanOptions {
  readonly nan?: number | null
  /** What inf becomes: the dtype's largest number by default. */
  readonly posinf?: number | null
  readonly neginf?: number | null
}
type NanToNum = (
  x: Tensor,
  ...args: Args<[nan?: number | null, posinf?: number | null, neginf?: number | null], NanOptions>
) => Tensor

const replacements = new Map<DType, Prepared>()

/** Scalars: what NaN, infinity and minus infinity become. */
function replacementOf(dtype: DType): Prepared {
  let prepared = replacements.get(dtype)
  if (!prepared) {
    const type = dtype.compute
    const x = load(0, type)
    const infinite = (sign: number): Expr => k.eq(x, num(x, sign * Number.POSITIVE_INFINITY))
    const high = k.select(infinite(1), scalar(1, type), k.select(infinite(-1), scalar(2, type), x))
    const value = k.select(m.isnan(x), scalar(0, type), high)
    const arg = { dtype, per: 'element' } as const
    const args: Arg[] = [
      { ...arg, mode: 'read' },
      { ...arg, mode: 'write' },
    ]
    prepared = new Prepared(mapKernel('nanToNum', args, [type, type, type], [{ arg: 1, value }]))
    replacements.set(dtype, prepared)
  }
  return prepared
}

function replaced(x: Tensor, nan?: number | null, posinf?: number | null, neginf?: number | null): Tensor {
  if (!x.dtype.isFloatingPoint) return x.clone()
  const most = finfo(x.dtype).max
  const out = emptyLike(x)
  runMap(replacementOf(x.dtype), x.sizes, [x, out], [nan ?? 0, posinf ?? most, neginf ?? -most])
  return record(out, 'NanToNumBackward0', [x], [x], (g, [x]) => [g.maskedFill(logicalNot(isfinite(x)), 0)])
}

/**
 * NaN replaced by `nan` (0), infinities by `posinf` and `neginf`, by default the dtype's largest and smallest numbers.
 */
export const nanToNum: NanToNum = op({
  name: 'nanToNum',
  signature: 'input, nan, posinf, neginf',
  node: 'NanToNumBackward0',
  differentiable: true,
  forward: replaced,
  inPlace: (x: Tensor, nan?: number | null, posinf?: number | null, neginf?: number | null) =>
    x.copy_(replaced(x, nan, posinf, neginf)),
})

/** The magnitude of x with the sign of y, that of -0 too; integers give the default dtype. */
export const copysign: Binary = binary({
  name: 'copysign',
  dtype: 'float',
  numbers: 'second',
  expr: m.copysign,
  grad: [(g, x, _y, out) => mul(g, where(eq(x as Tensor, 0), 0, div(out, x as Tensor))), (g) => mul(g, 0)],
  saves: ['xo', ''],
  domain: { low: 0.3, high: 3 },
})

/** sqrt(x * x + y * y), the hypotenuse, without overflow on the way. Floats only. */
export const hypot: Binary = binary({
  name: 'hypot',
  dtype: 'same',
  numbers: 'none',
  expr: m.hypot,
  check: floatsOnly('hypot_cpu'),
  grad: [(g, x, _y, out) => mul(g, div(x, out)), (g, _x, y, out) => mul(g, div(y, out))],
  saves: ['xo', 'yo'],
  domain: { low: 0.3, high: 3 },
})

/** 0 for x < 0, 1 for x > 0, and `values` at 0. Throws RuntimeError for tensors of two dtypes. */
const heavisideOf: Binary = binary({
  name: 'heavisideSame',
  python: 'heaviside',
  dtype: 'same',
  numbers: 'none',
  expr: (x, y) => {
    if (x.type === 'bool') return k.or(x, y)
    if (isFloat(x)) return m.heaviside(x, y)
    const [zero, one] = [num(x, 0), num(x, 1)]
    return k.select(k.eq(x, zero), y, k.select(k.lt(x, zero), zero, one))
  },
})

/** 0 for x < 0, 1 for x > 0, and `values` at 0. Throws RuntimeError for tensors of two dtypes. */
export const heaviside: (x: Tensor, values: Tensor) => Tensor = op({
  name: 'heaviside',
  signature: 'input, values',
  samples: (t) => [[t(3, 4), t(4)]],
  forward: (x: Tensor, values: Tensor) => {
    if (values instanceof Tensor && x instanceof Tensor && x.dtype !== values.dtype)
      throw new RuntimeError('heaviside is not yet implemented for tensors with different dtypes.')
    return heavisideOf(x, values)
  },
  inPlace: (x: Tensor, values: Tensor) => x.copy_(heaviside(x, values)),
})

/** The next number of the dtype after x in the direction of y. Floats only. */
export const nextafter: Binary = binary({
  name: 'nextafter',
  dtype: 'same',
  numbers: 'none',
  expr: m.nextafter,
  check: floatsOnly('nextafter_cpu'),
  grad: [(g, x, y) => g.maskedFill(eq(x as Tensor, y), 0), (g) => mul(g, 0)],
  saves: ['xy', ''],
})

const pick =
  (choose: 'max' | 'min') =>
  (x: Expr, y: Expr): Expr => {
    if (x.type === 'bool') return choose === 'max' ? k.or(x, y) : k.and(x, y)
    if (!isFloat(x)) return k[choose](x, y)
    return k.select(k.ne(x, x), y, k.select(k.ne(y, y), x, k[choose](x, y)))
  }

/** Where the first operand is the one taken. */
const first = (wins: (x: Tensor, y: TensorLike) => Tensor, x: TensorLike, y: TensorLike): Tensor =>
  logicalOr(wins(x as Tensor, y), isnan(y as Tensor))

/** The larger of x and y; of a number and NaN the number. */
export const fmax: Binary = binary({
  name: 'fmax',
  dtype: 'same',
  numbers: 'none',
  expr: pick('max'),
  grad: [(g, x, y) => g.maskedFill(logicalNot(first(ge, x, y)), 0), (g, x, y) => g.maskedFill(first(ge, x, y), 0)],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

/** The smaller of x and y; of a number and NaN the number. */
export const fmin: Binary = binary({
  name: 'fmin',
  dtype: 'same',
  numbers: 'none',
  expr: pick('min'),
  grad: [
    (g, x, y) => g.maskedFill(logicalNot(first((a, b) => a.le(b), x, y)), 0),
    (g, x, y) =>
      g.maskedFill(
        first((a, b) => a.le(b), x, y),
        0,
      ),
  ],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

/** log(exp(x) + exp(y)), without overflow. Floats only. */
export const logaddexp: Binary = binary({
  name: 'logaddexp',
  dtype: 'same',
  numbers: 'none',
  expr: m.logaddexp,
  check: floatsOnly('logaddexp_cpu'),
  grad: [(g, x, y) => div(g, add(exp(sub(y, x)), 1)), (g, x, y) => div(g, add(exp(sub(x, y)), 1))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

/** log2(2 ** x + 2 ** y), without overflow. Floats only. */
export const logaddexp2: Binary = binary({
  name: 'logaddexp2',
  dtype: 'same',
  numbers: 'none',
  expr: m.logaddexp2,
  check: floatsOnly('logaddexp2_cpu'),
  grad: [(g, x, y) => div(g, add(pow(2, sub(y, x)), 1)), (g, x, y) => div(g, add(pow(2, sub(x, y)), 1))],
  saves: ['xy', 'xy'],
  noInPlace: true,
})

const nonzero = (x: TensorLike, g: Tensor): Tensor => ne(x as Tensor, 0).to(g.dtype)

/** x * log(y), and 0 where x is 0 and y is not NaN. */
export const xlogy: Binary = binary({
  name: 'xlogy',
  dtype: 'float',
  expr: m.xlogy,
  grad: [
    (g, x, y) => mul(g, xlogy(x instanceof Tensor ? nonzero(x, g) : Number(Number(x) !== 0), y)),
    (g, x, y) => mul(g, div(x, y)),
  ],
  saves: ['xy', 'xy'],
  domain: { low: 0.3, high: 3 },
})

/** x * 2 ** other; integers give the default dtype. */
export const ldexp: (x: Tensor, other: Tensor) => Tensor = op({
  name: 'ldexp',
  signature: 'input, other',
  node: 'LdexpBackward0',
  samples: (t) => [[t(3, 4), t(4)]],
  differentiable: true,
  forward: (x: Tensor, other: Tensor) => {
    for (const [i, t] of [x, other].entries()) {
      if (!(t instanceof Tensor))
        throw new TypeError(
          `ldexp(): argument '${i ? 'other' : 'input'}' (position ${i + 1}) must be Tensor, not ${typeof t}`,
        )
    }
    return mul(x, pow(2, other.dtype.isFloatingPoint ? other : other.float()))
  },
  inPlace: (x: Tensor, other: Tensor) => x.copy_(ldexp(x, other)),
})

const wide = (x: TensorLike): TensorLike => (x instanceof Tensor ? x.to(float64) : Number(x))

/** x ** exponent, computed in float64 whatever the dtypes are. */
export const floatPower: (x: TensorLike, exponent: TensorLike) => Tensor = op({
  name: 'floatPower',
  signature: 'input, exponent',
  domain: { low: 0.3, high: 2 },
  samples: (t) => [
    [t(3, 4), t(4)],
    [t(3), 2],
  ],
  differentiable: true,
  forward: (x: TensorLike, exponent: TensorLike) => pow(wide(x), wide(exponent)),
  inPlace: (x: Tensor, exponent: TensorLike) => {
    if (x.dtype !== float64)
      throw new RuntimeError(
        `the base given to float_power_ has dtype ${x.dtype.title} but the operation's result requires dtype Double`,
      )
    return x.copy_(floatPower(x, exponent))
  },
})

type Shift = (x: TensorLike, y: TensorLike) => Tensor
const shift = (
  name: string,
  kernel: string,
  python: string,
  one: (x: Expr, bits: number) => Expr,
  beyond: (x: Expr) => Expr,
): Shift => {
  const inner = binary({
    name,
    dtype: 'same',
    domain: { integers: true, low: 0, high: 5 },
    check: (common) => {
      if (common.isFloatingPoint || common.name === 'bool')
        throw new NotImplementedError(`"${kernel}" not implemented for '${common.title}'`)
    },
    expr: (x, y) => {
      const width = x.type === 'i64' ? 64 : 32
      // A shift by a variable is a shift by each of its bits in turn.
      // With the sign's bits turned to 0 first, and back, it may be one without a sign.
      const sign = beyond(x)
      let out = k.xor(x, sign)
      for (let bit = 1; bit < width; bit *= 2)
        out = k.select(k.ne(k.and(y, num(y, bit)), num(y, 0)), one(out, bit), out)
      const outside = k.or(k.lt(y, num(y, 0)), k.ge(y, num(y, width)))
      return k.select(outside, sign, k.xor(out, sign))
    },
  })
  return Object.assign(
    (x: TensorLike, y: TensorLike, ...rest: never[]) => {
      if (!(x instanceof Tensor) && !(y instanceof Tensor)) {
        throw new TypeError(
          `${python}() received an invalid combination of arguments - got (${typeof x}, ${typeof y}), but one must be a Tensor`,
        )
      }
      return inner(x, y, ...rest)
    },
    { inPlace: (inner as unknown as { inPlace: Shift }).inPlace },
  )
}

/** x shifted left by `other` bits; 0 where that is negative or all bits. */
export const bitwiseLeftShift: Shift = shift('bitwiseLeftShift', 'lshift_cpu', 'bitwise_left_shift', k.shl, (x) =>
  num(x, 0),
)
/** x shifted right by `other` bits, keeping the sign. */
export const bitwiseRightShift: Shift = shift('bitwiseRightShift', 'rshift_cpu', 'bitwise_right_shift', k.shru, (x) =>
  k.select(k.lt(x, num(x, 0)), num(x, -1), num(x, 0)),
)

interface NanReduceOptions {
  readonly dim?: Dim
  readonly keepdim?: boolean
  readonly dtype?: DType
}
type NanReduction = (x: Tensor, ...args: Args<[dim?: Dim, keepdim?: boolean], NanReduceOptions>) => Tensor

/** The sum of what is not NaN, over `dim` (all by default); integers give int64. */
export const nansum: NanReduction = op({
  name: 'nansum',
  signature: 'input, dim, keepdim, *, dtype',
  node: 'NansumBackward0',
  samples: (t) => [[t(3, 4)], [t(3, 4), 1, true]],
  differentiable: true,
  forward: (x: Tensor, dim: Dim = null, keepdim = false, dtype?: DType) => {
    if (!x.dtype.isFloatingPoint) return dtype ? sum(x, dim, keepdim, { dtype }) : sum(x, dim, keepdim)
    if (dtype && dtype !== x.dtype) return nansum(x.to(dtype), dim, keepdim)
    const kernel = kernelFor('nansum', x.dtype, [x.dtype], [], () =>
      simpleFold(zero(x.dtype.compute), k.add, (e) => k.select(m.isnan(e), num(e, 0), e)),
    )
    const [out] = reduce(x, dim, keepdim, kernel)
    const { sizes } = x
    return record(out, 'NansumBackward0', [x], [x], (g, [x]) => [
      spread(g, sizes, dim, keepdim).maskedFill(isnan(x), 0),
    ])
  },
})

/** The mean of what is not NaN. Throws RuntimeError for integers. */
export const nanmean: NanReduction = op({
  name: 'nanmean',
  signature: 'input, dim, keepdim, *, dtype',
  samples: (t) => [[t(3, 4)], [t(3, 4), 1, true]],
  differentiable: true,
  forward: (x: Tensor, dim: Dim = null, keepdim = false, dtype?: DType) => {
    if (!x.dtype.isFloatingPoint)
      throw new RuntimeError(
        `nanmean(): expected input to have floating point or complex dtype but got ${x.dtype.title}`,
      )
    return div(nansum(x, dim, keepdim, dtype ? { dtype } : {}), sum(logicalNot(isnan(x)), dim, keepdim))
  },
})

/** As `div` without rounding. */
export const trueDivide: (x: TensorLike, y: TensorLike) => Tensor = op({
  name: 'trueDivide',
  signature: 'dividend, divisor',
  domain: { low: 0.3, high: 3 },
  samples: (t) => [[t(3, 4), t(4)]],
  differentiable: true,
  forward: (x: TensorLike, y: TensorLike) => div(x, y),
  inPlace: (x: Tensor, y: TensorLike) => x.div_(y),
})
