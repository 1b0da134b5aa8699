// Losses that compare an input with a target element by element: one kernel computes and reduces, one goes back.
import type { DType } from '../base/dtype.ts'
import { float64, resultType } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatSize } from '../base/format.ts'
import { sameSizes } from '../base/shape.ts'
import { acc, constant, type Expr, k, load, other, result, scalar } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { broadcastAll, device, Prepared, runMap } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { add, div, mul, rsub, sub } from './arithmetic.ts'
import { eq, lt } from './compare.ts'
import { amax, amin } from './extreme.ts'
import { checkReduction, type Reduction, reduceLoss } from './loss.ts'
import { sum } from './reduce.ts'
import { abs, exp, log, neg, sgn, sigmoid } from './unary.ts'

const c = (x: Expr, value: number): Expr => constant(value, x.type)

/** The loss of one element x against y, with numbers p. */
interface Criterion {
  /** PyTorch's kernel, as its error for integers names it. */
  readonly name: string
  readonly node: string
  readonly value: (x: Expr, y: Expr, ...p: Expr[]) => Expr
  /** The derivatives with respect to x and y. */
  readonly slopes: readonly [(x: Expr, y: Expr, ...p: Expr[]) => Expr, (x: Expr, y: Expr, ...p: Expr[]) => Expr]
  /** The same in tensor ops, for higher derivatives. */
  readonly curves: readonly [
    (x: Tensor, y: Tensor, ...p: number[]) => Tensor,
    (x: Tensor, y: Tensor, ...p: number[]) => Tensor,
  ]
}

type Loss = (x: Tensor, y: Tensor, reduction: Reduction, ...p: number[]) => Tensor

/** The differentiable loss of two tensors, which broadcast and are brought to one dtype. */
function criterion(r: Criterion): Loss {
  const kernels = new Map<string, Kernel | Prepared>()
  const made = <K extends Kernel | Prepared>(key: string, build: () => K): K => {
    let kernel = kernels.get(key) as K | undefined
    if (!kernel) kernels.set(key, (kernel = build()))
    return kernel
  }
  const numbers = (dtype: DType, n: number): Expr[] => Array.from({ length: n }, (_, i) => scalar(i + 1, dtype.compute))
  const read = (dtype: DType) => ({ dtype, mode: 'read', per: 'element' }) as const
  const write = (dtype: DType) => ({ dtype, mode: 'write', per: 'element' }) as const
  /** Scalars are the count (for the mean), then the criterion's numbers. */
  const types = (dtype: DType, n: number) => Array.from({ length: n + 1 }, () => dtype.compute)

  const reduced = (dtype: DType, mean: boolean, n: number): Kernel =>
    made(`${dtype.name} ${mean}`, () => {
      const type = dtype.compute
      const [a, zero] = [acc(0, type), constant(0, type)]
      const all = result(0, 0, type)
      return {
        name: r.name,
        args: [read(dtype), read(dtype), { dtype, mode: 'write', per: 'row' }],
        scalars: types(dtype, n),
        passes: [
          {
            kind: 'reduce',
            init: [zero],
            step: [k.add(a, r.value(load(0, type), load(1, type), ...numbers(dtype, n)))],
            merge: [k.add(a, other(0, type))],
          },
        ],
        rowStores: [{ arg: 2, value: mean ? k.div(all, scalar(0, type)) : all }],
      }
    })
  const mapped = (dtype: DType, n: number): Prepared =>
    made(`${dtype.name} map`, () => {
      const value = r.value(load(0, dtype.compute), load(1, dtype.compute), ...numbers(dtype, n))
      return new Prepared(
        mapKernel(r.name, [read(dtype), read(dtype), write(dtype)], types(dtype, n), [{ arg: 2, value }]),
      )
    })
  const backward = (dtype: DType, side: 0 | 1, n: number): Prepared =>
    made(`${dtype.name} backward ${side}`, () => {
      const type = dtype.compute
      const slope = r.slopes[side](load(1, type), load(2, type), ...numbers(dtype, n))
      const value = k.mul(k.mul(slope, scalar(0, type)), load(0, type))
      return new Prepared(
        mapKernel(`${r.name}Backward`, [read(dtype), read(dtype), read(dtype), write(dtype)], types(dtype, n), [
          { arg: 3, value },
        ]),
      )
    })
  const gradient = (g: Tensor, x: Tensor, y: Tensor, side: 0 | 1, scale: number, p: readonly number[]): Tensor => {
    if (isGradEnabled()) return mul(mul(r.curves[side](x, y, ...p), scale), g)
    const out = empty(x.sizes, x.dtype)
    runMap(backward(x.dtype, side, p.length), x.sizes, [g, x, y, out], [scale, ...p])
    return out
  }
  return (given, against, reduction, ...p) => {
    const dtype = resultType([
      { dtype: given.dtype, rank: given.ndim },
      { dtype: against.dtype, rank: against.ndim },
    ])
    if (!dtype.isFloatingPoint) throw new NotImplementedError(`"${r.name}" not implemented for '${dtype.title}'`)
    const sizes = sameSizes(given.sizes, against.sizes) ? given.sizes : broadcastAll([given, against])
    const fit = (t: Tensor): Tensor => {
      const cast = t.dtype === dtype ? t : t.to(dtype)
      return sameSizes(cast.sizes, sizes) ? cast : cast.expand(sizes)
    }
    const [x, y] = [fit(given), fit(against)]
    let out: Tensor
    if (reduction === 'none') {
      out = empty(sizes, dtype)
      runMap(mapped(dtype, p.length), sizes, [x, y, out], [0, ...p])
    } else {
      const [a, b] = [x, y].map((t) => (t.contiguousLayout ? t : t.detach().contiguous()))
      out = empty([], dtype)
      const step = dtype.itemsize
      const strides = [
        [0, 0, step],
        [0, 0, step],
        [0, 0, 0],
      ] as const
      const kernel = reduced(dtype, reduction === 'mean', p.length)
      device().launch(kernel, [1, 1, x.count], [a.pointer, b.pointer, out.pointer], strides, [x.count, ...p])
    }
    const scale = reduction === 'mean' ? 1 / x.count : 1
    return record(out, r.node, [x, y], [x, y], (g, [a, b], needs) => [
      needs[0] ? gradient(g, a, b, 0, scale, p) : null,
      needs[1] ? gradient(g, a, b, 1, scale, p) : null,
    ])
  }
}

/** A criterion of the difference d = x - y alone: the derivatives differ in their sign. */
function distance(
  name: string,
  node: string,
  value: (d: Expr, ...p: Expr[]) => Expr,
  slope: (d: Expr, ...p: Expr[]) => Expr,
  curve: (d: Tensor, ...p: number[]) => Tensor,
): Loss {
  return criterion({
    name,
    node,
    value: (x, y, ...p) => value(k.sub(x, y), ...p),
    slopes: [(x, y, ...p) => slope(k.sub(x, y), ...p), (x, y, ...p) => k.neg(slope(k.sub(x, y), ...p))],
    curves: [(x, y, ...p) => curve(sub(x, y), ...p), (x, y, ...p) => neg(curve(sub(x, y), ...p))],
  })
}

const warned = new Set<string>()
/** Once for each pair of sizes, as Python's warnings do. */
function warnOfSizes(x: Tensor, y: Tensor): void {
  if (sameSizes(x.sizes, y.sizes)) return
  const text = `UserWarning: Using a target size (${formatSize(y.sizes)}) that is different to the input size (${formatSize(x.sizes)}). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.`
  if (!warned.has(text)) console.warn(text)
  warned.add(text)
}

interface LossOptions {
  readonly reduction?: Reduction
  /** Multiplies the losses of elements, and for the mean their sum divides. */
  readonly weight?: Tensor | null
}
type Regression<O = object> = (x: Tensor, target: Tensor, options?: LossOptions & O) => Tensor

/** A loss whose elements may be weighted. */
function weighted(
  loss: Loss,
  x: Tensor,
  y: Tensor,
  reduction: Reduction,
  weight: Tensor | null,
  ...p: number[]
): Tensor {
  checkReduction(reduction)
  warnOfSizes(x, y)
  if (!weight) return loss(x, y, reduction, ...p)
  const losses = mul(loss(x, y, 'none', ...p), weight)
  if (reduction === 'none') return losses
  return reduction === 'sum' ? sum(losses) : div(sum(losses), sum(weight.expand(losses.sizes)))
}

const squares = distance(
  'mse_cpu',
  'MseLossBackward0',
  (d) => k.mul(d, d),
  (d) => k.mul(d, c(d, 2)),
  (d) => mul(d, 2),
)
/** (x - target)^2. Sizes that differ broadcast, with a warning. */
export const mseLoss: Regression = op({
  name: 'mseLoss',
  python: 'nn.functional.mse_loss',
  signature: 'input, target, *, reduction, weight',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  forward: (x: Tensor, y: Tensor, reduction: Reduction = 'mean', weight: Tensor | null = null) =>
    weighted(squares, x, y, reduction, weight),
})

/** |x - target|. Sizes that differ broadcast, with a warning. */
export const l1Loss: Regression = op({
  name: 'l1Loss',
  python: 'nn.functional.l1_loss',
  signature: 'input, target, *, reduction, weight',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  domain: { kinks: true },
  forward: (x: Tensor, y: Tensor, reduction: Reduction = 'mean', weight: Tensor | null = null) =>
    weighted((a, b, how) => reduceLoss(abs(sub(a, b)), how), x, y, reduction, weight),
})

const signOf = (d: Expr): Expr => m.sign(d)
const smoothed = distance(
  'smooth_l1_cpu',
  'SmoothL1LossBackward0',
  (d, beta) => {
    const a = k.abs(d)
    return k.select(k.lt(a, beta), k.div(k.mul(k.mul(a, a), c(d, 0.5)), beta), k.sub(a, k.mul(beta, c(d, 0.5))))
  },
  (d, beta) => k.select(k.lt(k.abs(d), beta), k.div(d, beta), signOf(d)),
  (d, beta) => {
    const near = lt(abs(d), beta).to(d.dtype)
    return add(mul(near, div(d, beta)), mul(rsub(near, 1), sgn(d)))
  },
)
/** Half a square over beta near 0, |x - target| - beta / 2 beyond beta; `l1Loss` for beta 0. */
export const smoothL1Loss: Regression<{ readonly beta?: number }> = op({
  name: 'smoothL1Loss',
  python: 'nn.functional.smooth_l1_loss',
  signature: 'input, target, *, reduction, beta',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  domain: { kinks: true },
  forward: (x: Tensor, y: Tensor, reduction: Reduction = 'mean', beta = 1) => {
    if (beta < 0) throw new RuntimeError('smooth_l1_loss does not support negative values for beta.')
    return beta === 0 ? l1Loss(x, y, { reduction }) : weighted(smoothed, x, y, reduction, null, beta)
  },
})

const huber = distance(
  'huber_cpu',
  'HuberLossBackward0',
  (d, delta) => {
    const a = k.abs(d)
    const half = c(d, 0.5)
    return k.select(k.le(a, delta), k.mul(half, k.mul(a, a)), k.mul(delta, k.sub(a, k.mul(half, delta))))
  },
  (d, delta) => k.select(k.le(k.abs(d), delta), d, k.mul(signOf(d), delta)),
  (d, delta) => {
    const near = lt(abs(d), delta).to(d.dtype)
    return add(mul(near, d), mul(mul(rsub(near, 1), sgn(d)), delta))
  },
)
/** Half a square up to delta, straight beyond it with slope delta. */
export const huberLoss: Regression<{ readonly delta?: number }> = op({
  name: 'huberLoss',
  python: 'nn.functional.huber_loss',
  signature: 'input, target, *, reduction, delta, weight',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  domain: { kinks: true },
  forward: (x: Tensor, y: Tensor, reduction: Reduction = 'mean', delta = 1, weight: Tensor | null = null) => {
    checkReduction(reduction)
    if (!(delta > 0)) throw new RuntimeError('huber_loss does not support non-positive values for delta.')
    return weighted(huber, x, y, reduction, weight, delta)
  },
})

const bounded = (e: Expr): Expr => k.max(e, c(e, -100))
const crossed = criterion({
  name: 'binary_cross_entropy',
  node: 'BinaryCrossEntropyBackward0',
  value: (x, y) => k.sub(k.mul(k.sub(y, c(y, 1)), bounded(m.log1p(k.neg(x)))), k.mul(y, bounded(m.log(x)))),
  slopes: [
    (x, y) => k.div(k.sub(x, y), k.max(k.mul(k.sub(c(x, 1), x), x), c(x, 1e-12))),
    (x) => k.sub(bounded(m.log1p(k.neg(x))), bounded(m.log(x))),
  ],
  curves: [
    (x, y) => div(sub(x, y), mul(rsub(x, 1), x).clampMin(1e-12)),
    (x) => sub(log(rsub(x, 1)).clampMin(-100), log(x).clampMin(-100)),
  ],
})
/** -(y log x + (1 - y) log(1 - x)) for probabilities x; logarithms are at least -100. */
export const binaryCrossEntropy: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[weight?: Tensor | null], LossOptions>
) => Tensor = op({
  name: 'binaryCrossEntropy',
  python: 'nn.functional.binary_cross_entropy',
  signature: 'input, target, weight, *, reduction',
  node: 'BinaryCrossEntropyBackward0',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  domain: { low: 0.1, high: 0.9 },
  forward: (x: Tensor, y: Tensor, weight: Tensor | null = null, reduction: Reduction = 'mean') => {
    checkReduction(reduction)
    if (!sameSizes(x.sizes, y.sizes)) {
      throw new ValueError(
        `Using a target size (${formatSize(y.sizes)}) that is different to the input size (${formatSize(x.sizes)}) is deprecated. Please ensure they have the same size.`,
      )
    }
    if (x.dtype !== y.dtype) throw new RuntimeError(`Found dtype ${y.dtype.title} but expected ${x.dtype.title}`)
    if (x.count > 0) {
      const values = x.detach()
      const ends = [amin(values).to(float64), amax(values).to(float64)]
      onHost('checkProbabilities', ends, 'rr', ([low], [high]) => {
        if (!(low >= 0) || !(high <= 1)) throw new RuntimeError('all elements of input should be between 0 and 1')
      })
    }
    return weight ? reduceLoss(mul(crossed(x, y, 'none'), weight), reduction) : crossed(x, y, reduction)
  },
})

const crossedLogits = criterion({
  name: 'log_sigmoid_cpu',
  node: 'BinaryCrossEntropyWithLogitsBackward0',
  value: (x, y) => k.sub(k.mul(k.sub(c(y, 1), y), x), m.logSigmoid(x)),
  slopes: [(x, y) => k.sub(m.sigmoid(x), y), (x) => k.neg(x)],
  curves: [(x, y) => sub(sigmoid(x), y), (x) => neg(x)],
})
const softplusNeg = (x: Tensor): Tensor => add(log(add(exp(neg(abs(x))), 1)), neg(x).clampMin(0))

interface LogitsOptions extends LossOptions {
  /** Multiplies the losses of positive targets. */
  readonly posWeight?: Tensor | null
}
/** The binary cross entropy of sigmoid(x), computed without its loss of digits. */
export const binaryCrossEntropyWithLogits: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[weight?: Tensor | null], LogitsOptions>
) => Tensor = op({
  name: 'binaryCrossEntropyWithLogits',
  python: 'nn.functional.binary_cross_entropy_with_logits',
  signature: 'input, target, weight, *, reduction, pos_weight',
  node: 'BinaryCrossEntropyWithLogitsBackward0',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  forward: (
    x: Tensor,
    y: Tensor,
    weight: Tensor | null = null,
    reduction: Reduction = 'mean',
    posWeight: Tensor | null = null,
  ) => {
    checkReduction(reduction)
    if (!sameSizes(x.sizes, y.sizes)) {
      throw new ValueError(
        `Target size (${formatSize(y.sizes)}) must be the same as input size (${formatSize(x.sizes)})`,
      )
    }
    if (!weight && !posWeight) return crossedLogits(x, y, reduction)
    const factor = posWeight ? add(mul(sub(posWeight, 1), y), 1) : null
    const low = factor ? mul(factor, softplusNeg(x)) : softplusNeg(x)
    const losses = add(mul(rsub(y, 1), x), low)
    return reduceLoss(weight ? mul(losses, weight) : losses, reduction)
  },
})

interface DivergenceOptions {
  readonly reduction?: Reduction | 'batchmean'
  /** The target is given as logarithms too. */
  readonly logTarget?: boolean
}
/** target * (log(target) - x) for log-probabilities x: 'batchmean' is the Kullback-Leibler divergence. */
export const klDiv: (x: Tensor, target: Tensor, options?: DivergenceOptions) => Tensor = op({
  name: 'klDiv',
  python: 'nn.functional.kl_div',
  signature: 'input, target, *, reduction, log_target',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), { reduction: 'sum' }],
    [t(4, 3).t(), t(3, 4), { reduction: 'none' }],
  ],
  domain: { low: 0.1, high: 0.9 },
  forward: (x: Tensor, y: Tensor, reduction: Reduction | 'batchmean' = 'mean', logTarget = false) => {
    if (reduction === 'mean') warnOfMean()
    else if (reduction !== 'batchmean') checkReduction(reduction)
    if (!x.dtype.isFloatingPoint || !y.dtype.isFloatingPoint)
      throw new RuntimeError('kl_div: Integral inputs not supported.')
    const losses = logTarget ? mul(exp(y), sub(y, x)) : sub(entropyOf(y), mul(y, x))
    if (reduction === 'batchmean') return x.ndim === 0 ? sum(losses) : div(sum(losses), x.sizes[0])
    return reduceLoss(losses, reduction)
  },
})

/** y log y, 0 at 0. */
function entropyOf(y: Tensor): Tensor {
  const zero = eq(y, 0)
  return mul(y, log(y.maskedFill(zero, 1)))
}

function warnOfMean(): void {
  const text =
    "UserWarning: reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in the next major release."
  if (!warned.has(text)) console.warn(text)
  warned.add(text)
}
