// Loss functions of class indices: negative log likelihood by gathering, and cross entropy on top of log softmax.

import type { DType } from '../base/dtype.ts'
import { int64, uint8 } from '../base/dtype.ts'
import { IndexError, NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { type Sizes, sameSizes } from '../base/shape.ts'
import { acc, constant, type Expr, gather, k, load, other, position, result, scalar } from '../ir/expr.ts'
import type { Arg, Kernel } from '../ir/kernel.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { logSoftmax } from './activation.ts'
import { add, div, mul } from './arithmetic.ts'
import { ne } from './compare.ts'
import { arange } from './create.ts'
import { mean, sum } from './reduce.ts'
import { neg } from './unary.ts'

/** How a loss of elements becomes one value: not at all, by the mean, by the sum. */
export type Reduction = 'none' | 'mean' | 'sum'

const REDUCTIONS: readonly string[] = ['none', 'mean', 'sum'] satisfies Reduction[]
const SCALAR: Sizes = []

/** Throws ValueError for anything but 'none', 'mean' and 'sum'. */
export function checkReduction(reduction: string): asserts reduction is Reduction {
  if (reduction !== 'none' && reduction !== 'mean' && reduction !== 'sum') {
    throw new ValueError(`${reduction} is not a valid value for reduction`)
  }
}

/** `x` after the reduction asked for. */
export function reduceLoss(x: Tensor, reduction: Reduction): Tensor {
  return reduction === 'none' ? x : reduction === 'mean' ? mean(x) : sum(x)
}

const element = (dtype: DType, mode: 'read' | 'write' = 'read'): Arg => ({ dtype, mode, per: 'element' })
const row = (dtype: DType, mode: 'read' | 'write' = 'write'): Arg => ({ dtype, mode, per: 'row' })

type Stride = readonly [number, number, number]
/** A kernel, and the strides of its contiguous operands along one row. */
interface Variant {
  readonly kernel: Kernel
  readonly strides: readonly Stride[]
}

/** One for each dtype, kind of target, weights or none, and reduction. */
function variants(build: (dtype: DType, target: DType, weighted: boolean, reduction: Reduction) => Kernel) {
  const made: (Variant | undefined)[] = []
  return (dtype: DType, target: DType, weighted: boolean, reduction: Reduction): Variant => {
    const at = ((dtype.index * 2 + Number(target === int64)) * 2 + Number(weighted)) * 3 + REDUCTIONS.indexOf(reduction)
    let found = made[at]
    if (!found) {
      const kernel = build(dtype, target, weighted, reduction)
      const strides = kernel.args.map((a): Stride => [0, 0, a.per === 'element' ? a.dtype.itemsize : 0])
      found = made[at] = { kernel, strides }
    }
    return found
  }
}

const integer = (e: Expr): Expr => k.cast(e, 'i32')

/**
 * One row of N samples, of which sample i has its scores at i * C. Results: the loss (or one an element), the sum of
 * the weights, the first target out of range and whether there is one. Such targets read element 0.
 */
const lossKernel = variants((dtype, target, weighted, reduction) => {
  const type = dtype.compute
  const [classes, ignored] = [scalar(0, 'i32'), scalar(1, 'i32')]
  const given = load(1, target.compute)
  const label = integer(given)
  const used = k.ne(label, ignored)
  const outside = k.or(k.lt(label, constant(0, 'i32')), k.ge(label, classes))
  const wrong = k.and(used, k.or(outside, k.ne(k.cast(label, target.compute), given)))
  const counted = k.and(used, k.not(wrong))
  const safe = k.select(counted, label, constant(0, 'i32'))
  const weight = weighted ? gather(2, type, safe) : constant(1, type)
  const score = gather(0, type, k.add(k.mul(position(), classes), safe))
  const none = constant(0, type)
  const loss = k.select(counted, k.mul(k.neg(score), weight), none)
  const share = k.select(counted, weight, none)
  const [found, fault] = [acc(2, 'i32'), acc(3, target.compute)]
  const missing = k.eq(found, constant(0, 'i32'))
  const sums = {
    kind: 'reduce',
    init: [none, none, constant(0, 'i32'), constant(0, target.compute)],
    step: [
      k.add(acc(0, type), loss),
      k.add(acc(1, type), share),
      k.or(found, integer(wrong)),
      k.select(k.and(wrong, missing), given, fault),
    ],
    merge: [
      k.add(acc(0, type), other(0, type)),
      k.add(acc(1, type), other(1, type)),
      k.or(found, other(2, 'i32')),
      k.select(missing, other(3, target.compute), fault),
    ],
  } as const
  const first = weighted ? 3 : 2
  const [lossSum, weightSum] = [result(0, 0, type), result(0, 1, type)]
  const whole = reduction === 'mean' ? k.div(lossSum, weightSum) : lossSum
  return {
    name: 'nllLoss',
    args: [
      element(dtype),
      element(target),
      ...(weighted ? [element(dtype)] : []),
      reduction === 'none' ? element(dtype, 'write') : row(dtype),
      row(dtype),
      row(int64),
      row(int64),
    ],
    scalars: ['i32', 'i32'],
    passes: reduction === 'none' ? [sums, { kind: 'map', stores: [{ arg: first, value: loss }] }] : [sums],
    rowStores: [
      ...(reduction === 'none' ? [] : [{ arg: first, value: whole }]),
      { arg: first + 1, value: weightSum },
      { arg: first + 2, value: k.cast(result(0, 3, target.compute), 'i64') },
      { arg: first + 3, value: k.cast(result(0, 2, 'i32'), 'i64') },
    ],
  }
})

/** Gradients of the scores, a row a sample: -g * weight (/ total) at its target, else 0. */
const backwardKernel = variants((dtype, target, weighted, reduction) => {
  const type = dtype.compute
  const label = integer(load(1, target.compute))
  const hit = k.and(k.eq(label, position()), k.ne(label, scalar(0, 'i32')))
  const g = reduction === 'mean' ? k.div(load(0, type), load(2, type)) : load(0, type)
  const weight = weighted ? k.mul(k.neg(load(3, type)), g) : k.neg(g)
  return {
    name: 'nllLossBackward',
    args: [
      row(dtype, 'read'),
      row(target, 'read'),
      row(dtype, 'read'),
      ...(weighted ? [element(dtype)] : []),
      element(dtype, 'write'),
    ],
    scalars: ['i32'],
    passes: [{ kind: 'map', stores: [{ arg: weighted ? 4 : 3, value: k.select(hit, weight, constant(0, type)) }] }],
    rowStores: [],
  }
})

interface Classes {
  /** int64 or uint8, contiguous, one a sample. */
  readonly target: Tensor
  readonly weight: Tensor | null
  readonly reduction: Reduction
  readonly ignoreIndex: number
}

/** The loss of scores [N, C] (contiguous) at targets [N], without recording; and the sum of the weights. */
function rawLoss(x: Tensor, { target, weight, reduction, ignoreIndex }: Classes): { out: Tensor; totalWeight: Tensor } {
  const n = target.count
  const { kernel, strides } = lossKernel(x.dtype, target.dtype, weight !== null, reduction)
  const out = empty(reduction === 'none' ? [n] : SCALAR, x.dtype)
  const totalWeight = empty(SCALAR, x.dtype)
  const fault = empty([2], int64)
  const pointers = [x.pointer, target.pointer]
  if (weight) pointers.push(weight.pointer)
  pointers.push(out.pointer, totalWeight.pointer, fault.pointer, fault.pointer + int64.itemsize)
  device().launch(kernel, [1, 1, n], pointers, strides, [x.sizes[1], ignoreIndex])
  onHost('checkTargets', [fault], 'r', (raw) => {
    const [bad, found] = raw as BigInt64Array
    if (found) throw new IndexError(`Target ${bad} is out of bounds.`)
  })
  return { out, totalWeight }
}

/** As the derivative of `rawLoss`: the scores' gradients [N, C] from g (0-d, or [N] without reduction). */
function rawBackward(
  g: Tensor,
  totalWeight: Tensor,
  sizes: Sizes,
  { target, weight, reduction, ignoreIndex }: Classes,
): Tensor {
  const { kernel } = backwardKernel(g.dtype, target.dtype, weight !== null, reduction)
  const out = empty(sizes, g.dtype)
  if (out.count === 0) return out
  const step = g.dtype.itemsize
  const perRow = reduction === 'none' ? g.contiguous() : g
  const pointers = [perRow.pointer, target.pointer, totalWeight.pointer]
  const strides: Stride[] = [
    [0, reduction === 'none' ? step : 0, 0],
    [0, target.dtype.itemsize, 0],
    [0, 0, 0],
  ]
  if (weight) {
    pointers.push(weight.pointer)
    strides.push([0, 0, step])
  }
  pointers.push(out.pointer)
  strides.push([0, sizes[1] * step, step])
  device().launch(kernel, [1, sizes[0], sizes[1]], pointers, strides, [ignoreIndex])
  return out
}

/** The differentiable loss of [N, C] scores. Linear in the scores, so its gradient's gradient is the loss itself. */
function matrixLoss(x: Tensor, classes: Classes, name: string): Tensor {
  const { out, totalWeight } = rawLoss(x.contiguousLayout ? x : x.detach().contiguous(), classes)
  const { sizes } = x
  const { target, weight } = classes
  const saved = weight ? [target, totalWeight, weight] : [target, totalWeight]
  return record(out, name, [x], saved, (g, [t, total]) => [
    matrixLossBackward(g, total, sizes, { ...classes, target: t }),
  ])
}

function matrixLossBackward(g: Tensor, totalWeight: Tensor, sizes: Sizes, classes: Classes): Tensor {
  const out = rawBackward(g, totalWeight, sizes, classes)
  return record(out, 'NllLossBackwardBackward0', [g], [], (gg) => [matrixLoss(gg, classes, 'NllLossBackward0')])
}

/** Targets for samples of the test matrix: 0, 1, 2, ... in the sizes given. */
function labels(...sizes: number[]): Tensor {
  const n = sizes.reduce((a, b) => a * b, 1)
  return arange(n).remainder(4).view(sizes)
}

interface NllOptions {
  /** One a class; the mean divides by the sum of those of the targets. */
  readonly weight?: Tensor | null
  /** Samples with this target count for nothing. */
  readonly ignoreIndex?: number
  readonly reduction?: Reduction
}

function checkTarget(x: Tensor, target: Tensor, weight: Tensor | null): void {
  if (!(target instanceof Tensor))
    throw new TypeError(`nll_loss(): argument 'target' must be Tensor, not ${typeof target}`)
  if (x.ndim === 0) throw new ValueError(`Expected input with at least 1 dimension, got ${x.ndim}`)
  if (x.ndim !== 1 && x.sizes[0] !== target.sizes[0]) {
    throw new ValueError(
      `Expected input batch_size (${x.sizes[0]}) to match target batch_size (${target.sizes[0] ?? 0}).`,
    )
  }
  const classes = x.sizes[x.ndim === 1 ? 0 : 1]
  const expected = x.ndim === 1 ? SCALAR : x.sizes.filter((_, i) => i !== 1)
  const single = x.ndim === 1 && target.ndim === 1 && target.count === 1
  if (!single && !sameSizes(expected, target.sizes)) {
    if (x.ndim <= 2) {
      throw new RuntimeError(
        target.ndim > 1
          ? '0D or 1D target tensor expected, multi-target not supported'
          : `size mismatch (got input: [${x.sizes.join(', ')}], target: [${target.sizes.join(', ')}])`,
      )
    }
    throw new RuntimeError(`Expected target size [${expected.join(', ')}], got [${target.sizes.join(', ')}]`)
  }
  if (target.dtype !== int64 && target.dtype !== uint8) {
    throw new RuntimeError(
      `expected target dtype to be Long or Byte, but got ${target.dtype.title}: expected scalar type Long but found ${target.dtype.title}; class indices are whole numbers, convert them with target.long()`,
    )
  }
  if (!x.dtype.isFloatingPoint) {
    throw new NotImplementedError(`"nll_loss_out_frame" not implemented for '${x.dtype.title}'`)
  }
  if (weight && (weight.ndim !== 1 || weight.sizes[0] !== classes)) {
    throw new RuntimeError(
      `weight tensor should be defined either for all ${classes} classes or no classes but got weight tensor of shape: [${weight.sizes.join(', ')}]`,
    )
  }
  if (weight && isGradEnabled() && requiresGrad(weight)) {
    throw new RuntimeError("the derivative for 'weight' is not implemented.")
  }
  if (weight && weight.dtype !== x.dtype) {
    throw new RuntimeError(`expected scalar type ${x.dtype.title} but found ${weight.dtype.title}`)
  }
}

/**
 * The negative log likelihood of class indices `target` [N, d1, ...] (int64) under log-probabilities [N, C, d1, ...];
 * also [C] with a 0-d target. Throws IndexError for a target outside [0, C) that is not `ignoreIndex`.
 */
export const nllLoss: (x: Tensor, target: Tensor, ...args: Args<[weight?: Tensor | null], NllOptions>) => Tensor = op({
  name: 'nllLoss',
  python: 'nn.functional.nll_loss',
  signature: 'input, target, weight, *, ignore_index, reduction',
  lastNode: (x) => (x.ndim === 1 ? 'NllLossBackward0' : x.ndim === 4 ? 'NllLoss2DBackward0' : undefined),
  differentiable: true,
  samples: (t) => [
    [t(3, 4), labels(3)],
    [t(3, 4), labels(3), { reduction: 'sum' }],
    [t(3, 4), labels(3), { reduction: 'none' }],
    [t(3, 4), labels(3), { ignoreIndex: 1 }],
    [t(2, 4, 3), labels(2, 3), { reduction: 'none' }],
    [t(4), labels()],
  ],
  forward: (
    x: Tensor,
    target: Tensor,
    weight: Tensor | null = null,
    ignoreIndex = -100,
    reduction: Reduction = 'mean',
  ) => negativeLogLikelihood(x, target, weight, ignoreIndex, reduction),
})

function negativeLogLikelihood(
  x: Tensor,
  target: Tensor,
  weight: Tensor | null,
  ignoreIndex: number,
  reduction: Reduction,
): Tensor {
  checkReduction(reduction)
  checkTarget(x, target, weight)
  const classes: Classes = {
    target: target.contiguousLayout ? target : target.contiguous(),
    weight: weight?.detach().contiguous() ?? null,
    reduction,
    ignoreIndex,
  }
  if (x.ndim === 2) return matrixLoss(x, classes, 'NllLossBackward0')
  if (x.ndim === 1) {
    const out = matrixLoss(x.unsqueeze(0), classes, 'NllLossBackward0')
    return reduction === 'none' ? out.view(target.sizes) : out
  }
  const rows = x.movedim(1, -1).reshape(-1, x.sizes[1])
  const out = matrixLoss(rows, classes, 'NllLoss2DBackward0')
  return reduction === 'none' ? out.view(target.sizes) : out
}

interface CrossEntropyOptions extends NllOptions {
  /** Moves this much of each target's probability to all classes evenly; in [0, 1]. */
  readonly labelSmoothing?: number
}

/**
 * The cross entropy of scores [N, C, d1, ...] (not yet normalised) with class indices [N, d1, ...] (int64) or with class
 * probabilities of the scores' own shape: `nllLoss(logSoftmax(input, 1), target)` for the former.
 */
export const crossEntropy: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[weight?: Tensor | null], CrossEntropyOptions>
) => Tensor = op({
  name: 'crossEntropy',
  lastNode: (x, target, _weight, _ignoreIndex, reduction) =>
    (reduction ?? 'mean') === 'mean' && sameSizes(x.sizes, target.sizes) ? 'DivBackward1' : undefined,
  python: 'nn.functional.cross_entropy',
  signature: 'input, target, weight, *, ignore_index, reduction, label_smoothing',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), labels(3)],
    [t(3, 4), labels(3), { reduction: 'sum' }],
    [t(2, 4, 3), labels(2, 3), { ignoreIndex: 1 }],
    [t(3, 4), labels(3), { labelSmoothing: 0.2 }],
    [t(3, 4), labels(3), { labelSmoothing: 0.2, reduction: 'none', ignoreIndex: 2 }],
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), t(4), { reduction: 'none', labelSmoothing: 0.1 }],
  ],
  forward: (
    x: Tensor,
    target: Tensor,
    weight: Tensor | null = null,
    ignoreIndex = -100,
    reduction: Reduction = 'mean',
    labelSmoothing = 0,
  ) => {
    checkReduction(reduction)
    if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
      throw new RuntimeError(`label_smoothing must be between 0.0 and 1.0. Got: ${labelSmoothing}`)
    }
    const dim = x.ndim === 1 ? 0 : 1
    if (sameSizes(x.sizes, target.sizes) && (target.dtype.isFloatingPoint || x.ndim !== 0)) {
      if (!target.dtype.isFloatingPoint) {
        throw new RuntimeError(
          `Expected floating point type for target with class probabilities, got ${target.dtype.title}`,
        )
      }
      if (ignoreIndex >= 0) throw new RuntimeError('ignore_index is not supported for floating point target')
      return probabilityLoss(logSoftmax(x, dim), target, weight, reduction, labelSmoothing, dim)
    }
    const scores = logSoftmax(x, dim)
    const loss = negativeLogLikelihood(scores, target, weight, ignoreIndex, reduction)
    if (labelSmoothing === 0) return loss
    const n = x.sizes[dim]
    const smooth = smoothLoss(scores, target, weight, ignoreIndex, reduction, dim)
    return add(mul(loss, 1 - labelSmoothing), mul(smooth, labelSmoothing / n))
  },
})

/** `weight` [C] seen along dimension `dim` of `rank` dimensions. */
function alongClasses(weight: Tensor, rank: number, dim: number): Tensor {
  return weight.view(Array.from({ length: rank }, (_, i) => (i === dim ? weight.count : 1)))
}

/** Minus the sum of all classes' scores, for targets that count. */
function smoothLoss(
  scores: Tensor,
  target: Tensor,
  weight: Tensor | null,
  ignoreIndex: number,
  reduction: Reduction,
  dim: number,
): Tensor {
  const weighted = weight ? mul(scores, alongClasses(weight, scores.ndim, dim)) : scores
  const counted = ne(target, ignoreIndex).to(scores.dtype)
  const loss = neg(mul(sum(weighted, dim), counted))
  if (reduction === 'none') return loss
  if (reduction === 'sum') return sum(loss)
  if (!weight) return div(sum(loss), sum(counted))
  const labels = mul(target, ne(target, ignoreIndex).to(target.dtype)).reshape(-1).to(int64)
  return div(sum(loss), sum(mul(weight.detach().gather(0, labels), counted.reshape(-1))))
}

function probabilityLoss(
  scores: Tensor,
  target: Tensor,
  weight: Tensor | null,
  reduction: Reduction,
  labelSmoothing: number,
  dim: number,
): Tensor {
  const n = scores.sizes[dim]
  const smoothed = labelSmoothing > 0 ? add(mul(target, 1 - labelSmoothing), labelSmoothing / n) : target
  const product = mul(scores, smoothed)
  const weighted = weight ? mul(product, alongClasses(weight, scores.ndim, dim)) : product
  if (reduction === 'none') return neg(sum(weighted, dim))
  const all = neg(sum(weighted))
  return reduction === 'sum' ? all : div(all, scores.count / n)
}
