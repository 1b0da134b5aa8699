// Smooth activation functions, element by element.
import { RuntimeError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { constant, type Expr, k } from '../ir/expr.ts'
import * as m from '../ir/maths.ts'
import { gelu as exactGelu, geluSlope } from '../ir/special.ts'
import { type Args, op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { add, div, mul, rsub, sub } from './arithmetic.ts'
import { clampMax, gt, le } from './compare.ts'
import { type Formula, type Inplace, type Plain, plainOp, pointwise } from './formula.ts'
import { chunk } from './slice.ts'
import { abs, erf, exp, neg, sigmoid, tanh } from './unary.ts'

const c = (x: Expr, value: number): Expr => constant(value, x.type)
const { add: plus, sub: minus, mul: times, select: piece } = k

const ROOT = Math.SQRT1_2
const PDF = 1 / Math.sqrt(2 * Math.PI)
const TANH_SCALE = Math.sqrt(2 / Math.PI)
const CUBIC = 0.044715

const geluExact = pointwise('gelu', {
  node: 'GeluBackward0',
  kernel: 'GeluKernelImpl',
  value: exactGelu,
  slope: geluSlope,
  curve: (x) => add(mul(add(erf(mul(x, ROOT)), 1), 0.5), mul(x, mul(exp(mul(mul(x, x), -0.5)), PDF))),
})
const tanhInner = (x: Expr): Expr => times(c(x, TANH_SCALE), k.madd(times(times(x, x), x), c(x, CUBIC), x))
const geluTanh = pointwise('gelu', {
  node: 'GeluBackward0',
  kernel: 'GeluKernelImpl',
  value: (x) => times(times(x, c(x, 0.5)), plus(m.tanh(tanhInner(x)), c(x, 1))),
  slope: (x) => {
    const t = m.tanh(tanhInner(x))
    const inner = times(c(x, TANH_SCALE), k.madd(times(x, x), c(x, 3 * CUBIC), c(x, 1)))
    const left = times(plus(t, c(x, 1)), c(x, 0.5))
    return plus(left, times(times(times(x, c(x, 0.5)), minus(c(x, 1), times(t, t))), inner))
  },
  curve: (x) => {
    const square = mul(x, x)
    const t = tanh(mul(add(x, mul(mul(square, x), CUBIC)), TANH_SCALE))
    const inner = mul(add(mul(square, 3 * CUBIC), 1), TANH_SCALE)
    return add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), rsub(mul(t, t), 1)), inner))
  },
})

/**
 * x times the normal distribution function of x, or with approximate 'tanh' a formula close to it
 * (https://arxiv.org/abs/1606.08415).
 */
export const gelu: (x: Tensor, options?: { readonly approximate?: 'none' | 'tanh' }) => Tensor = op({
  name: 'gelu',
  python: 'nn.functional.gelu',
  signature: 'input, *, approximate',
  differentiable: true,
  samples: (t) => [[t(3, 4)], [t(4, 3).t()], [t(3, 4), { approximate: 'tanh' }]],
  forward: (x: Tensor, approximate = 'none') => {
    if (approximate !== 'none' && approximate !== 'tanh')
      throw new RuntimeError('approximate argument must be either none or tanh.')
    return approximate === 'none' ? geluExact(x) : geluTanh(x)
  },
})

/** x * sigmoid(x), also called swish (https://arxiv.org/abs/1702.03118). */
export const silu: Plain = plainOp('silu', {
  node: 'SiluBackward0',
  value: (x) => k.div(x, plus(c(x, 1), m.exp(k.neg(x)))),
  slope: (x) => {
    const s = m.sigmoid(x)
    return times(s, plus(c(x, 1), times(x, minus(c(x, 1), s))))
  },
  curve: (x) => {
    const s = sigmoid(x)
    return mul(s, add(mul(x, rsub(s, 1)), 1))
  },
})

/** x * tanh(softplus(x)) (https://arxiv.org/abs/1908.08681). */
export const mish: Plain = plainOp('mish', {
  node: 'MishBackward0',
  value: (x) => times(x, m.tanh(m.softplus(x))),
  slope: (x) => {
    const t = m.tanh(m.softplus(x))
    return plus(t, times(times(x, m.sigmoid(x)), minus(c(x, 1), times(t, t))))
  },
  curve: (x) => {
    const t = tanh(softplus(x))
    return add(t, mul(mul(x, sigmoid(x)), rsub(mul(t, t), 1)))
  },
})

/** log(sigmoid(x)), without underflow for very negative x. */
export const logsigmoid: (x: Tensor) => Tensor = plainOp('logsigmoid', {
  node: 'LogSigmoidBackward0',
  kernel: 'log_sigmoid_cpu',
  value: m.logSigmoid,
  slope: (x) => m.sigmoid(k.neg(x)),
  curve: (x) => sigmoid(neg(x)),
})

/** factor * (exp(x * rate) - 1) below 0, x * above from there. */
const exponentialUnit = (node: string): Formula => ({
  node,
  value: (x, factor, above, rate) => piece(k.le(x, c(x, 0)), times(m.expm1(times(x, rate)), factor), times(x, above)),
  slope: (x, factor, above, rate) => piece(k.le(x, c(x, 0)), times(times(rate, factor), m.exp(times(x, rate))), above),
  curve: (x, factor, above, rate) => {
    const low = le(x, 0).to(x.dtype)
    return add(mul(low, mul(exp(mul(clampMax(x, 0), rate)), rate * factor)), mul(rsub(low, 1), above))
  },
})
const eluOf = pointwise('elu', exponentialUnit('EluBackward0'))
const celuOf = pointwise('elu', exponentialUnit('CeluBackward0'))

interface Alpha extends Inplace {
  readonly alpha?: number
}
type WithAlpha = (x: Tensor, ...args: Args<[alpha?: number, inplace?: boolean], Alpha>) => Tensor

/** x, or alpha * (exp(x) - 1) below 0 (https://arxiv.org/abs/1511.07289). */
export const elu: WithAlpha = op({
  name: 'elu',
  python: 'nn.functional.elu',
  signature: 'input, alpha, inplace',
  differentiable: true,
  samples: (t) => [[t(3, 4)], [t(4, 3).t(), 0.7]],
  forward: (x: Tensor, alpha = 1, inplace = false) => (inplace ? eluOf.inPlace : eluOf)(x, alpha, 1, 1),
})

/** x, or alpha * (exp(x / alpha) - 1) below 0 (https://arxiv.org/abs/1704.07483). Throws RuntimeError for alpha 0. */
export const celu: WithAlpha = op({
  name: 'celu',
  python: 'nn.functional.celu',
  signature: 'input, alpha, inplace',
  differentiable: true,
  samples: (t) => [[t(3, 4)], [t(4, 3).t(), 0.7]],
  forward: (x: Tensor, alpha = 1, inplace = false) => {
    if (alpha === 0) throw new RuntimeError('ZeroDivisionError: alpha cannot be 0 for CELU')
    return (inplace ? celuOf.inPlace : celuOf)(x, alpha, 1, 1 / alpha)
  },
})

const SELU_ALPHA = 1.6732632423543772
const SELU_SCALE = 1.0507009873554805
/** A scaled elu that keeps mean 0 and variance 1 (https://arxiv.org/abs/1706.02515). */
export const selu: Plain = op({
  name: 'selu',
  python: 'nn.functional.selu',
  signature: 'input, inplace',
  differentiable: true,
  forward: (x: Tensor, inplace = false) => (inplace ? eluOf.inPlace : eluOf)(x, SELU_ALPHA * SELU_SCALE, SELU_SCALE, 1),
})

const softplusOf = pointwise('softplus', {
  node: 'SoftplusBackward0',
  value: (x, beta, threshold) => {
    const scaled = times(x, beta)
    return piece(k.gt(scaled, threshold), x, k.div(m.log1p(m.exp(scaled)), beta))
  },
  slope: (x, beta, threshold) => {
    const scaled = times(x, beta)
    return piece(k.gt(scaled, threshold), c(x, 1), m.sigmoid(scaled))
  },
  curve: (x, beta, threshold) => {
    const scaled = mul(x, beta)
    return sigmoid(scaled).maskedFill(gt(scaled, threshold), 1)
  },
})
/** log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold. */
export const softplus: (
  x: Tensor,
  ...args: Args<[beta?: number, threshold?: number], { beta?: number; threshold?: number }>
) => Tensor = op({
  name: 'softplus',
  python: 'nn.functional.softplus',
  signature: 'input, beta, threshold',
  differentiable: true,
  samples: (t) => [[t(3, 4)], [t(4, 3).t(), 2, 1.5]],
  forward: (x: Tensor, beta = 1, threshold = 20) => softplusOf(x, beta, threshold),
})

/** x / (1 + |x|): from -1 to 1. */
export const softsign: (x: Tensor) => Tensor = op({
  name: 'softsign',
  python: 'nn.functional.softsign',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) => div(x, add(abs(x), 1)),
})

/** x - tanh(x). */
export const tanhshrink: (x: Tensor) => Tensor = op({
  name: 'tanhshrink',
  python: 'nn.functional.tanhshrink',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) => sub(x, tanh(x)),
})

/**
 * The first half along `dim` times the sigmoid of the second (https://arxiv.org/abs/1612.08083). Throws RuntimeError
 * for an odd size.
 */
export const glu: (x: Tensor, ...args: Args<[dim?: number], { dim?: number }>) => Tensor = op({
  name: 'glu',
  python: 'nn.functional.glu',
  signature: 'input, dim',
  node: 'GluBackward0',
  differentiable: true,
  samples: (t) => [[t(3, 4)], [t(4, 3), 0]],
  forward: (x: Tensor, dim = -1) => {
    if (x.ndim === 0) throw new RuntimeError('glu does not support scalars because halving size must be even')
    const d = wrapDim(dim, x.ndim)
    if (x.sizes[d] % 2 !== 0)
      throw new RuntimeError(`Halving dimension must be even, but dimension ${d} is size ${x.sizes[d]}`)
    const [value, gate] = chunk(x, 2, d)
    return mul(value, sigmoid(gate))
  },
})
