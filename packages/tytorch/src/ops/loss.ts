// Loss functions of class indices: negative log likelihood by gathering, and cross entropy on top of log softmax.

import type { DType } from '../base/dtype.ts'
import { int64, uint8 } from '../base/dtype.ts'
import { IndexError, NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { acc, constant, type Expr, gather, k, load, other, position, result, scalar } from '../ir/expr.ts'
import type { Arg, Kernel } from '../ir/kernel.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { logSoftmax } from './activation.ts'
import { arange } from './create.ts'
import { add, div, mul, ne, neg } from './elementwise.ts'
import { mean, sum } from './reduce.ts'

/** How a loss of elements becomes one value: not at all, by the mean, by the sum. */
export type Reduction = 'none' | 'mean' | 'sum'

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

const kernels = new Map<string, Kernel>()
function cached(key: string, build: () => Kernel): Kernel {
  let kernel = kernels.get(key)
  if (!kernel) kernels.set(key, (kernel = build()))
  return kernel
}

const integer = (e: Expr): Expr => k.cast(e, 'i32')

/**
 * One row of N samples, of which sample i has its scores at i * C. Results: the loss (or one an element), the sum of
 * the weights, and the first target out of range with a flag that there is one. Such targets read element 0.
 */
function lossKernel(dtype: DType, target: DType, weighted: boolean, reduction: Reduction): Kernel {
  return cached(`nll ${dtype.name} ${target.name} ${weighted} ${reduction}`, () => {
    const type = dtype.compute
    const [classes, ignored] = [scalar(0, 'i32'), scalar(1, 'i32')]
    const label = integer(load(1, target.compute))
    const used = k.ne(label, ignored)
    const wrong = k.and(used, k.or(k.lt(label, constant(0, 'i32')), k.ge(label, classes)))
    const counted = k.and(used, k.not(wrong))
    const safe = k.select(counted, label, constant(0, 'i32'))
    const weight = weighted ? gather(2, type, safe) : constant(1, type)
    const score = gather(0, type, k.add(k.mul(position(), classes), safe))
    const none = constant(0, type)
    const loss = k.select(counted, k.mul(k.neg(score), weight), none)
    const share = k.select(counted, weight, none)
    const found = acc(2, 'i32')
    const sums = {
      kind: 'reduce',
      init: [none, none, constant(0, 'i32'), constant(0, 'i32')],
      step: [
        k.add(acc(0, type), loss),
        k.add(acc(1, type), share),
        k.or(found, integer(wrong)),
        k.select(k.and(wrong, k.eq(found, constant(0, 'i32'))), label, acc(3, 'i32')),
      ],
      merge: [
        k.add(acc(0, type), other(0, type)),
        k.add(acc(1, type), other(1, type)),
        k.or(found, other(2, 'i32')),
        k.select(k.ne(found, constant(0, 'i32')), acc(3, 'i32'), other(3, 'i32')),
      ],
    } as const
    const first = weighted ? 3 : 2
    const [lossSum, weightSum] = [result(0, 0, type), result(0, 1, type)]
    return {
      name: 'nllLoss',
      args: [
        element(dtype),
        element(target),
        ...(weighted ? [element(dtype)] : []),
        reduction === 'none' ? element(dtype, 'write') : row(dtype),
        row(dtype),
        row(int64),
      ],
      scalars: ['i32', 'i32'],
      passes: reduction === 'none' ? [sums, { kind: 'map', stores: [{ arg: first, value: loss }] }] : [sums],
      rowStores: [
        ...(reduction === 'none'
          ? []
          : [{ arg: first, value: reduction === 'mean' ? k.div(lossSum, weightSum) : lossSum }]),
        { arg: first + 1, value: weightSum },
        // The target in the low half, the flag above it.
        {
          arg: first + 2,
          value: k.or(
            k.shl(k.cast(result(0, 2, 'i32'), 'i64'), 32),
            k.and(k.cast(result(0, 3, 'i32'), 'i64'), constant(0xffffffffn, 'i64')),
          ),
        },
      ],
    }
  })
}

/** Gradients of the scores, a row a sample: -g * weight (/ total) at its target, else 0. */
function backwardKernel(dtype: DType, target: DType, weighted: boolean, reduction: Reduction): Kernel {
  return cached(`nllBackward ${dtype.name} ${target.name} ${weighted} ${reduction}`, () => {
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
}

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
  const kernel = lossKernel(x.dtype, target.dtype, weight !== null, reduction)
  const out = empty(reduction === 'none' ? [n] : [], x.dtype)
  const totalWeight = empty([], x.dtype)
  const fault = empty([], int64)
  const operands = weight ? [x, target, weight, out, totalWeight, fault] : [x, target, out, totalWeight, fault]
  const strides = operands.map((t, i) => [0, 0, kernel.args[i].per === 'element' ? t.dtype.itemsize : 0] as const)
  const pointers = operands.map((t) => t.pointer)
  device().launch(kernel, [1, 1, n], pointers, strides, [x.sizes[1], ignoreIndex])
  const flags = BigInt(fault.item<number | (bigint & number)>())
  if (flags >> 32n !== 0n) throw new IndexError(`Target ${BigInt.asIntN(32, flags)} is out of bounds.`)
  return { out, totalWeight }
}

/** As the derivative of `rawLoss`: the scores' gradients [N, C] from g (0-d, or [N] without reduction). */
function rawBackward(
  g: Tensor,
  totalWeight: Tensor,
  sizes: readonly number[],
  { target, weight, reduction, ignoreIndex }: Classes,
): Tensor {
  const kernel = backwardKernel(g.dtype, target.dtype, weight !== null, reduction)
  const out = empty(sizes, g.dtype)
  if (out.count === 0) return out
  const step = g.dtype.itemsize
  const perRow = reduction === 'none' ? g.contiguous() : g
  const operands = weight ? [perRow, target, totalWeight, weight, out] : [perRow, target, totalWeight, out]
  const strides = [
    [0, reduction === 'none' ? step : 0, 0],
    [0, target.dtype.itemsize, 0],
    [0, 0, 0],
    ...(weight ? [[0, 0, step] as const] : []),
    [0, sizes[1] * step, step],
  ] as (readonly [number, number, number])[]
  device().launch(
    kernel,
    [1, sizes[0], sizes[1]],
    operands.map((t) => t.pointer),
    strides,
    [ignoreIndex],
  )
  return out
}

/** The differentiable loss of [N, C] scores. Linear in the scores, so its gradient's gradient is the loss itself. */
function matrixLoss(x: Tensor, classes: Classes, name: string): Tensor {
  const dense = x.contiguousLayout ? x : x.detach().contiguous()
  const { out, totalWeight } = rawLoss(dense, classes)
  const { sizes } = x
  return record(out, name, [x], [], (g) => [matrixLossBackward(g, totalWeight, sizes, classes)])
}

function matrixLossBackward(g: Tensor, totalWeight: Tensor, sizes: readonly number[], classes: Classes): Tensor {
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
  const expected = x.ndim === 1 ? [] : [x.sizes[0], ...x.sizes.slice(2)]
  const single = x.ndim === 1 && target.ndim === 1 && target.count === 1
  if (!single && expected.join() !== target.sizes.join()) {
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
  ) => {
    checkReduction(reduction)
    checkTarget(x, target, weight)
    const classes: Classes = {
      target: target.detach().contiguous(),
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
  },
})

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
    if (x.sizes.join() === target.sizes.join() && (target.dtype.isFloatingPoint || x.ndim !== 0)) {
      if (!target.dtype.isFloatingPoint) {
        throw new RuntimeError(
          `Expected floating point type for target with class probabilities, got ${target.dtype.title}`,
        )
      }
      if (ignoreIndex >= 0) throw new RuntimeError('ignore_index is not supported for floating point target')
      return probabilityLoss(logSoftmax(x, dim), target, weight, reduction, labelSmoothing, dim)
    }
    const scores = logSoftmax(x, dim)
    const loss = nllLoss(scores, target, weight, { ignoreIndex, reduction })
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
