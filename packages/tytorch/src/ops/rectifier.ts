// Activation functions made of straight pieces: leaky and limited units, shrinking, and hard forms of smooth ones.
import { RuntimeError, ValueError } from '../base/errors.ts'
import { constant, type Expr, k, load } from '../ir/expr.ts'
import { mapKernel } from '../ir/kernel.ts'
import { type Args, type Domain, op } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'
import { add, div, mul, rsub } from './arithmetic.ts'
import { gt } from './compare.ts'
import { type Inplace, numberOp, type Plain, plainOp, pointwise } from './formula.ts'

const c = (x: Expr, value: number): Expr => constant(value, x.type)
const { add: plus, sub: minus, mul: times, select: piece } = k
const kinks: Domain = { kinks: true }

/** max(x, 0) limited to 6: min(max(x, 0), 6). */
export const relu6: Plain = plainOp(
  'relu6',
  {
    node: 'HardtanhBackward0',
    value: (x) => k.min(k.max(x, c(x, 0)), c(x, 6)),
    slope: (x) => piece(k.or(k.le(x, c(x, 0)), k.ge(x, c(x, 6))), c(x, 0), c(x, 1)),
    integers: true,
  },
  'relu6',
  kinks,
)

const sixth = (x: Expr): Expr => k.min(k.max(plus(x, c(x, 3)), c(x, 0)), c(x, 6))
const inside = (x: Expr): Expr => k.and(k.gt(x, c(x, -3)), k.lt(x, c(x, 3)))

/** x * relu6(x + 3) / 6, a cheap stand-in for silu (https://arxiv.org/abs/1905.02244). */
export const hardswish: Plain = plainOp(
  'hardswish',
  {
    node: 'HardswishBackward0',
    value: (x) => k.div(times(x, sixth(x)), c(x, 6)),
    slope: (x) => piece(inside(x), plus(k.div(x, c(x, 3)), c(x, 0.5)), piece(k.ge(x, c(x, 3)), c(x, 1), c(x, 0))),
    curve: (x) => {
      const middle = mul(gt(x, -3), x.lt(3)).to(x.dtype)
      return add(mul(middle, add(div(x, 3), 0.5)), x.ge(3).to(x.dtype))
    },
  },
  'hardswish',
  kinks,
)

/** relu6(x + 3) / 6, a cheap stand-in for sigmoid. */
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

interface Slope extends Inplace {
  readonly negativeSlope?: number
}
/** x, or negativeSlope (0.01) * x below 0. */
export const leakyRelu: (x: Tensor, ...args: Args<[negativeSlope?: number, inplace?: boolean], Slope>) => Tensor =
  numberOp('leakyRelu', 'leaky_relu', 'negative_slope', [0.01], {
    node: 'LeakyReluBackward0',
    value: (x, slope) => piece(k.gt(x, c(x, 0)), x, times(x, slope)),
    slope: (x, slope) => piece(k.gt(x, c(x, 0)), c(x, 1), slope),
  })

interface Limits extends Inplace {
  readonly minVal?: number
  readonly maxVal?: number
}
/** x limited to [minVal, maxVal], -1 to 1 by default. Throws ValueError for minVal above maxVal. */
export const hardtanh: (
  x: Tensor,
  ...args: Args<[minVal?: number, maxVal?: number, inplace?: boolean], Limits>
) => Tensor = numberOp(
  'hardtanh',
  'hardtanh',
  'min_val, max_val',
  [-1, 1],
  {
    node: 'HardtanhBackward0',
    value: (x, low, high) => k.min(k.max(x, low), high),
    slope: (x, low, high) => piece(k.or(k.le(x, low), k.ge(x, high)), c(x, 0), c(x, 1)),
    integers: true,
  },
  ([low, high]) => {
    if (low > high) throw new ValueError('min_val cannot be greater than max_val')
  },
)

/** x, or `value` where x <= threshold; the gradient there is 0. */
export const threshold: (
  x: Tensor,
  threshold: number,
  value: number,
  ...args: Args<[inplace?: boolean], Inplace>
) => Tensor = numberOp('threshold', 'threshold', 'threshold, value', [0, 0], {
  node: 'ThresholdBackward0',
  value: (x, limit, value) => piece(k.le(x, limit), value, x),
  slope: (x, limit) => piece(k.le(x, limit), c(x, 0), c(x, 1)),
  integers: true,
})

type Shrink = (x: Tensor, ...args: Args<[lambd?: number], { lambd?: number }>) => Tensor
const hardshrinkOf = pointwise('hardshrink', {
  node: 'HardshrinkBackward0',
  value: (x, limit) => piece(k.le(k.abs(x), limit), c(x, 0), x),
  slope: (x, limit) => piece(k.le(k.abs(x), limit), c(x, 0), c(x, 1)),
})
/** x, or 0 where |x| <= lambd (0.5). */
export const hardshrink: Shrink = op({
  name: 'hardshrink',
  python: 'nn.functional.hardshrink',
  signature: 'input, lambd',
  differentiable: true,
  samples: (t) => [[t(3, 4)], [t(4, 3).t(), 0.25]],
  domain: kinks,
  forward: (x: Tensor, lambd = 0.5) => hardshrinkOf(x, lambd),
})

const softshrinkOf = pointwise('softshrink', {
  node: 'SoftshrinkBackward0',
  kernel: 'softshrink_check',
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
  samples: (t) => [[t(3, 4)], [t(4, 3).t(), 0.25]],
  domain: kinks,
  forward: (x: Tensor, lambd = 0.5) => {
    if (!(lambd >= 0)) {
      const most = x.dtype.name === 'float64' ? '1.79769e+308' : '3.40282e+38'
      throw new RuntimeError(
        `lambda must be in range [0, ${most}] for input dtype ${x.dtype.title}, but found ${lambd}`,
      )
    }
    return softshrinkOf(x, lambd)
  },
})

const preluKernels = new Map<string, Prepared>()
/** x, or weight * x below 0; the weight has one value, or one for each channel (dimension 1). */
export const prelu: (x: Tensor, weight: Tensor) => Tensor = op({
  name: 'prelu',
  python: 'nn.functional.prelu',
  signature: 'input, weight',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(4)],
    [t(2, 3, 4), t(3)],
    [t(4), t(1)],
  ],
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
    const spread =
      x.ndim > 1
        ? weight.reshape([1, weight.count, ...x.sizes.slice(2).map(() => 1)])
        : weight.reshape(x.ndim ? [1] : [])
    return preluOf(x, spread)
  },
})

function preluOf(x: Tensor, weight: Tensor): Tensor {
  const { dtype } = x
  let kernel = preluKernels.get(dtype.name)
  if (!kernel) {
    const [a, w] = [load(0, dtype.compute), load(1, dtype.compute)]
    const arg = (mode: 'read' | 'write') => ({ dtype, mode, per: 'element' }) as const
    kernel = new Prepared(
      mapKernel(
        'prelu',
        [arg('read'), arg('read'), arg('write')],
        [],
        [{ arg: 2, value: piece(k.gt(a, c(a, 0)), a, times(a, w)) }],
      ),
    )
    preluKernels.set(dtype.name, kernel)
  }
  const out = empty(x.sizes, dtype)
  runMap(kernel, x.sizes, [x, weight, out])
  const like = shapeOf(weight)
  return record(out, 'PreluKernelBackward0', [x, weight], [x, weight], (g, [input, slope], needs) => {
    const below = rsub(gt(input, 0).to(g.dtype), 1)
    const slopes = add(mul(below, slope), rsub(below, 1))
    return [needs[0] ? mul(g, slopes) : null, needs[1] ? reduceLike(mul(g, mul(input, below)), like) : null]
  })
}
