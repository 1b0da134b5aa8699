// Element-wise activation functions with parameters or with a slope worth fusing: one kernel forward, one back.
import type { ComputeType, DType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { constant, type Expr, k, load, scalar } from '../ir/expr.ts'
import { mapKernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { type Args, type Domain, op, reduceLike, shapeOf, snapshot } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { empty, emptyLike, type Tensor } from '../tensor/tensor.ts'
import { abs, add, clampMax, div, exp, gt, le, mul, neg, rsub, sigmoid, sub, tanh } from './elementwise.ts'
import { erf } from './elementwise.ts'
import { chunk } from './view.ts'

const c = (x: Expr, value: number): Expr => constant(value, x.type)
const { add: plus, sub: minus, mul: times, select } = k

/** A function of one element and of a few numbers. */
interface Formula {
  /** PyTorch's name of the node. */
  readonly node: string
  readonly value: (x: Expr, ...p: Expr[]) => Expr
  /** The derivative. */
  readonly slope: (x: Expr, ...p: Expr[]) => Expr
  /** The derivative in tensor ops, for higher derivatives; absent where the slope is constant piece by piece. */
  readonly curve?: (x: Tensor, ...p: number[]) => Tensor
  /** Takes integers too. */
  readonly integers?: boolean
}

interface Pointwise {
  (x: Tensor, ...p: number[]): Tensor
  inPlace(x: Tensor, ...p: number[]): Tensor
}

/** The op of a formula, out of place and in place; numbers go to the kernels as scalars. */
function pointwise(name: string, f: Formula): Pointwise {
  const kernels = new Map<string, Prepared>()
  const kernel = (kind: 'value' | 'slope' | 'gradient', dtype: DType, count: number): Prepared => {
    const key = `${kind} ${dtype.name}`
    let made = kernels.get(key)
    if (!made) {
      const type: ComputeType = dtype.compute
      const inputs = kind === 'gradient' ? 2 : 1
      const numbers = Array.from({ length: count }, (_, i) => scalar(i, type))
      const x = load(inputs - 1, type)
      const value = kind === 'value' ? f.value(x, ...numbers) : f.slope(x, ...numbers)
      const args = [
        ...Array.from({ length: inputs }, () => ({ dtype, mode: 'read', per: 'element' }) as const),
        { dtype, mode: 'write', per: 'element' } as const,
      ]
      const stored = kind === 'gradient' ? times(load(0, type), value) : value
      made = new Prepared(mapKernel(name, args, numbers.map(() => type), [{ arg: inputs, value: stored }]))
      kernels.set(key, made)
    }
    return made
  }
  const run = (kind: 'value' | 'slope' | 'gradient', inputs: readonly Tensor[], p: readonly number[], into?: Tensor): Tensor => {
    const x = inputs[inputs.length - 1]
    const out = into ?? emptyLike(x)
    const scalars = x.dtype.compute === 'i64' ? p.map((v) => BigInt(Math.trunc(v))) : p
    runMap(kernel(kind, x.dtype, p.length), x.sizes, [...inputs, out], scalars)
    return out
  }
  const gradient = (g: Tensor, x: Tensor, p: readonly number[]): Tensor => {
    if (!isGradEnabled()) return run('gradient', [g, x], p)
    return mul(g, f.curve ? f.curve(x, ...p) : run('slope', [x], p))
  }
  const check = (x: Tensor): void => {
    if (!x.dtype.isFloatingPoint && !f.integers) throw new RuntimeError(`"${name}" not implemented for '${x.dtype.title}'`)
  }
  const fn = (x: Tensor, ...p: number[]): Tensor => {
    check(x)
    return record(run('value', [x], p), f.node, [x], [x], (g, [input]) => [gradient(g, input, p)])
  }
  const inPlace = (x: Tensor, ...p: number[]): Tensor => {
    check(x)
    const recorded = isGradEnabled() && requiresGrad(x)
    const before = recorded ? x.detach().clone() : x
    const source = recorded ? snapshot(x) : x
    changeInPlace(x)
    run('value', [x], p, x)
    return recorded ? record(x, f.node, [source], [before], (g, [input]) => [gradient(g, input, p)]) : x
  }
  return Object.assign(fn, { inPlace })
}

interface Inplace {
  readonly inplace?: boolean
}
type Plain = (x: Tensor, ...args: Args<[inplace?: boolean], Inplace>) => Tensor

/** An op of no parameters but `inplace`. */
function plainOp(name: string, f: Formula, python = name.toLowerCase(), domain: Domain = {}): Plain {
  const run = pointwise(python, f)
  return op({
    name,
    python: `nn.functional.${python}`,
    signature: 'input, inplace',
    differentiable: true,
    domain,
    forward: (x: Tensor, inplace = false) => (inplace ? run.inPlace(x) : run(x)),
  })
}

/** An op of numbers with defaults, then `inplace`. */
function numberOp<F>(name: string, python: string, parameters: string, defaults: readonly number[], f: Formula): F {
  const run = pointwise(python, f)
  return op<(x: Tensor, ...rest: unknown[]) => Tensor>({
    name,
    python: `nn.functional.${python}`,
    signature: `input, ${parameters}, inplace`,
    differentiable: true,
    domain: { kinks: true },
    forward: (x: Tensor, ...given: unknown[]) => {
      const numbers = defaults.map((d, i) => (given[i] as number | undefined) ?? d)
      return given[defaults.length] ? run.inPlace(x, ...numbers) : run(x, ...numbers)
    },
  }) as F
}

const kinks: Domain = { kinks: true }
const piece = (test: Expr, a: Expr, b: Expr): Expr => select(test, a, b)

const ROOT = Math.SQRT1_2
const PDF = 1 / Math.sqrt(2 * Math.PI)
const TANH_SCALE = Math.sqrt(2 / Math.PI)
const CUBIC = 0.044715

const geluExact = pointwise('gelu', {
  node: 'GeluBackward0',
  value: (x) => times(x, m.normalCdf(x)),
  slope: (x) => {
    const density = times(m.exp(times(times(x, x), c(x, -0.5))), c(x, PDF))
    return plus(m.normalCdf(x), times(x, density))
  },
  curve: (x) => add(mul(add(erf(mul(x, ROOT)), 1), 0.5), mul(x, mul(exp(mul(mul(x, x), -0.5)), PDF))),
})
const tanhInner = (x: Expr): Expr => times(c(x, TANH_SCALE), k.madd(times(times(x, x), x), c(x, CUBIC), x))
const geluTanh = pointwise('gelu', {
  node: 'GeluBackward0',
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

/** x times the normal distribution function of x, or with approximate 'tanh' a formula close to it. */
export const gelu: (x: Tensor, options?: { readonly approximate?: 'none' | 'tanh' }) => Tensor = op({
  name: 'gelu',
  python: 'nn.functional.gelu',
  signature: 'input, *, approximate',
  differentiable: true,
  forward: (x: Tensor, approximate = 'none') => {
    if (approximate !== 'none' && approximate !== 'tanh') throw new RuntimeError('approximate argument must be either none or tanh.')
    return approximate === 'none' ? geluExact(x) : geluTanh(x)
  },
})

/** x * sigmoid(x), also called swish. */
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

/** x * tanh(softplus(x)). */
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

/** max(x, 0) limited to 6. */
export const relu6: Plain = plainOp(
  'relu6',
  {
    node: 'HardtanhBackward0',
    value: (x) => k.min(k.max(x, c(x, 0)), c(x, 6)),
    slope: (x) => piece(k.and(k.gt(x, c(x, 0)), k.lt(x, c(x, 6))), c(x, 1), c(x, 0)),
    integers: true,
  },
  'relu6',
  kinks,
)

const sixth = (x: Expr): Expr => k.min(k.max(plus(x, c(x, 3)), c(x, 0)), c(x, 6))
const inside = (x: Expr): Expr => k.and(k.gt(x, c(x, -3)), k.lt(x, c(x, 3)))

/** x * relu6(x + 3) / 6. */
export const hardswish: Plain = plainOp(
  'hardswish',
  {
    node: 'HardswishBackward0',
    value: (x) => k.div(times(x, sixth(x)), c(x, 6)),
    slope: (x) =>
      piece(inside(x), plus(k.div(x, c(x, 3)), c(x, 0.5)), piece(k.ge(x, c(x, 3)), c(x, 1), c(x, 0))),
    curve: (x) => {
      const middle = mul(gt(x, -3), x.lt(3)).to(x.dtype)
      return add(mul(middle, add(div(x, 3), 0.5)), x.ge(3).to(x.dtype))
    },
  },
  'hardswish',
  kinks,
)

/** relu6(x + 3) / 6. */
export const hardsigmoid: Plain = plainOp(
  'hardsigmoid',
  {
    node: 'HardsigmoidBackward0',
    value: (x) => k.div(sixth(x), c(x, 6)),
    slope: (x) => piece(inside(x), c(x, 1 / 6), c(x, 0)),
  },
  'hardsigmoid',
  kinks,
)

/** log(sigmoid(x)). */
export const logsigmoid: (x: Tensor) => Tensor = plainOp('logsigmoid', {
  node: 'LogSigmoidBackward0',
  value: m.logSigmoid,
  slope: (x) => m.sigmoid(k.neg(x)),
  curve: (x) => sigmoid(neg(x)),
})

interface Slope extends Inplace {
  readonly negativeSlope?: number
}
/** x, or negativeSlope * x below 0. */
export const leakyRelu: (x: Tensor, ...args: Args<[negativeSlope?: number, inplace?: boolean], Slope>) => Tensor = numberOp(
  'leakyRelu',
  'leaky_relu',
  'negative_slope',
  [0.01],
  {
    node: 'LeakyReluBackward0',
    value: (x, slope) => piece(k.gt(x, c(x, 0)), x, times(x, slope)),
    slope: (x, slope) => piece(k.gt(x, c(x, 0)), c(x, 1), slope),
  },
)

/** factor * (exp(x * rate) - 1) below 0, x * above from there. */
const exponentialUnit = (node: string): Formula => ({
  node,
  value: (x, factor, above, rate) => piece(k.le(x, c(x, 0)), times(m.expm1(times(x, rate)), factor), times(x, above)),
  slope: (x, factor, above, rate) =>
    piece(k.le(x, c(x, 0)), times(times(rate, factor), m.exp(times(x, rate))), above),
  curve: (x, factor, above, rate) => {
    const low = le(x, 0).to(x.dtype)
    return add(mul(low, mul(exp(mul(clampMax(x, 0), rate)), rate * factor)), mul(rsub(low, 1), above))
  },
})
const eluOf = pointwise('elu', exponentialUnit('EluBackward0'))
const celuOf = pointwise('celu', exponentialUnit('CeluBackward0'))

interface Alpha extends Inplace {
  readonly alpha?: number
}
type WithAlpha = (x: Tensor, ...args: Args<[alpha?: number, inplace?: boolean], Alpha>) => Tensor

/** x, or alpha * (exp(x) - 1) below 0. */
export const elu: WithAlpha = op({
  name: 'elu',
  python: 'nn.functional.elu',
  signature: 'input, alpha, inplace',
  differentiable: true,
  forward: (x: Tensor, alpha = 1, inplace = false) => (inplace ? eluOf.inPlace : eluOf)(x, alpha, 1, 1),
})

/** x, or alpha * (exp(x / alpha) - 1) below 0. Throws RuntimeError for alpha 0. */
export const celu: WithAlpha = op({
  name: 'celu',
  python: 'nn.functional.celu',
  signature: 'input, alpha, inplace',
  differentiable: true,
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
export const softplus: (x: Tensor, ...args: Args<[beta?: number, threshold?: number], { beta?: number; threshold?: number }>) => Tensor = op({
  name: 'softplus',
  python: 'nn.functional.softplus',
  signature: 'input, beta, threshold',
  differentiable: true,
  forward: (x: Tensor, beta = 1, threshold = 20) => softplusOf(x, beta, threshold),
})

interface Limits extends Inplace {
  readonly minVal?: number
  readonly maxVal?: number
}
/** x limited to [minVal, maxVal], -1 to 1 by default. */
export const hardtanh: (x: Tensor, ...args: Args<[minVal?: number, maxVal?: number, inplace?: boolean], Limits>) => Tensor = numberOp(
  'hardtanh',
  'hardtanh',
  'min_val, max_val',
  [-1, 1],
  {
    node: 'HardtanhBackward0',
    value: (x, low, high) => k.min(k.max(x, low), high),
    slope: (x, low, high) => piece(k.and(k.gt(x, low), k.lt(x, high)), c(x, 1), c(x, 0)),
    integers: true,
  },
)

/** x, or `value` where x <= threshold. */
export const threshold: (x: Tensor, threshold: number, value: number, ...args: Args<[inplace?: boolean], Inplace>) => Tensor = numberOp(
  'threshold',
  'threshold',
  'threshold, value',
  [0, 0],
  {
    node: 'ThresholdBackward0',
    value: (x, limit, value) => piece(k.le(x, limit), value, x),
    slope: (x, limit) => piece(k.le(x, limit), c(x, 0), c(x, 1)),
    integers: true,
  },
)

type Shrink = (x: Tensor, ...args: Args<[lambd?: number], { lambd?: number }>) => Tensor
const hardshrinkOf = pointwise('hardshrink', {
  node: 'HardshrinkBackward0',
  value: (x, limit) => piece(k.le(k.abs(x), limit), c(x, 0), x),
  slope: (x, limit) => piece(k.le(k.abs(x), limit), c(x, 0), c(x, 1)),
})
/** x, or 0 where |x| <= lambd. */
export const hardshrink: Shrink = op({
  name: 'hardshrink',
  python: 'nn.functional.hardshrink',
  signature: 'input, lambd',
  differentiable: true,
  domain: kinks,
  forward: (x: Tensor, lambd = 0.5) => hardshrinkOf(x, lambd),
})

const softshrinkOf = pointwise('softshrink', {
  node: 'SoftshrinkBackward0',
  value: (x, limit) =>
    piece(k.gt(x, limit), minus(x, limit), piece(k.lt(x, k.neg(limit)), plus(x, limit), times(x, c(x, 0)))),
  slope: (x, limit) => piece(k.le(k.abs(x), limit), c(x, 0), c(x, 1)),
})
/** x moved towards 0 by lambd, and 0 where |x| <= lambd. Throws RuntimeError for a negative lambd. */
export const softshrink: Shrink = op({
  name: 'softshrink',
  python: 'nn.functional.softshrink',
  signature: 'input, lambd',
  differentiable: true,
  domain: kinks,
  forward: (x: Tensor, lambd = 0.5) => {
    if (!(lambd >= 0)) {
      const most = x.dtype.name === 'float64' ? '1.79769e+308' : '3.40282e+38'
      throw new RuntimeError(`lambda must be in range [0, ${most}] for input dtype ${x.dtype.title}, but found ${lambd}`)
    }
    return softshrinkOf(x, lambd)
  },
})

/** x / (1 + |x|). */
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

/** The first half along `dim` times the sigmoid of the second. */
export const glu: (x: Tensor, ...args: Args<[dim?: number], { dim?: number }>) => Tensor = op({
  name: 'glu',
  python: 'nn.functional.glu',
  signature: 'input, dim',
  differentiable: true,
  forward: (x: Tensor, dim = -1) => {
    if (x.ndim === 0) throw new RuntimeError('glu does not support scalars because halving size must be even')
    const d = wrapDim(dim, x.ndim)
    if (x.sizes[d] % 2 !== 0) throw new RuntimeError(`Halving dimension must be even, but dimension ${d} is size ${x.sizes[d]}`)
    const [value, gate] = chunk(x, 2, d)
    return mul(value, sigmoid(gate))
  },
})

const preluKernels = new Map<string, Prepared>()
/** x, or weight * x below 0; the weight has one value, or one for each channel (dimension 1). */
export const prelu: (x: Tensor, weight: Tensor) => Tensor = op({
  name: 'prelu',
  python: 'nn.functional.prelu',
  signature: 'input, weight',
  differentiable: true,
  domain: kinks,
  forward: (x: Tensor, weight: Tensor) => {
    if (x.dtype !== weight.dtype) {
      throw new RuntimeError(`prelu: Type promoting not supported. Got ${x.dtype.title} and ${weight.dtype.title}`)
    }
    if (weight.ndim > 1) {
      throw new RuntimeError(`prelu: Expected \`weight\` to be a scalar or 1D tensor, but got: ndim = ${weight.ndim}`)
    }
    const channels = x.ndim > 1 ? x.sizes[1] : 1
    if (weight.count !== 1 && weight.count !== channels) {
      throw new RuntimeError(
        `Mismatch of parameter numbers and input channel size. Found parameter numbers = ${weight.count} and channel size = ${channels}.`,
      )
    }
    const spread = x.ndim > 1 ? weight.reshape([1, weight.count, ...x.sizes.slice(2).map(() => 1)]) : weight.reshape(x.ndim ? [1] : [])
    return preluOf(x, spread)
  },
})

function preluOf(x: Tensor, weight: Tensor): Tensor {
  const { dtype } = x
  let kernel = preluKernels.get(dtype.name)
  if (!kernel) {
    const [a, w] = [load(0, dtype.compute), load(1, dtype.compute)]
    const arg = (mode: 'read' | 'write') => ({ dtype, mode, per: 'element' }) as const
    kernel = new Prepared(mapKernel('prelu', [arg('read'), arg('read'), arg('write')], [], [{ arg: 2, value: piece(k.gt(a, c(a, 0)), a, times(a, w)) }]))
    preluKernels.set(dtype.name, kernel)
  }
  const out = empty(x.sizes, dtype)
  runMap(kernel, x.sizes, [x, weight, out])
  const like = shapeOf(weight)
  return record(out, 'PreluKernelBackward0', [x, weight], [x, weight], (g, [input, slope], needs) => {
    const below = le(input, 0).to(g.dtype)
    const slopes = add(mul(below, slope), rsub(below, 1))
    return [needs[0] ? mul(g, slopes) : null, needs[1] ? reduceLike(mul(g, mul(input, below)), like) : null]
  })
}
