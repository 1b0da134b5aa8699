// Losses with a margin: of pairs, triplets and rankings, and of classes.
import { getDefaultDtype, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatSize } from '../base/format.ts'
import { sameSizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tracer } from '../tensor/tracer.ts'
import { add, div, mul, pow, rsub, sub } from './arithmetic.ts'
import { clampMin, eq, minimum, ne, relu } from './compare.ts'
import { arange, tensor } from './create.ts'
import { pairwiseDistance } from './distance.ts'
import { outside } from './gather.ts'
import { checkReduction, type Reduction, reduceLoss } from './loss.ts'
import { where } from './masks.ts'
import { logsigmoid } from './pointwise.ts'
import { mean, sum } from './reduce.ts'
import { exp, log1p, logicalNot, neg, sqrt } from './unary.ts'

const text = (x: Tensor): string => `[${x.sizes.join(', ')}]`

interface MarginOptions {
  readonly margin?: number
  readonly reduction?: Reduction
}

/** PyTorch's margin is a float, so that integers become floats. */
const floats = (x: Tensor): Tensor => (x.dtype.isFloatingPoint ? x : x.to(getDefaultDtype()))
/** `x` where the condition holds, else 0. */
const only = (condition: Tensor, x: Tensor): Tensor => where(condition, x, 0)

/** 1 - cos(x1, x2) for a target of 1, max(cos - margin, 0) for -1: vectors [N, D] and [N], or [D] and []. */
export const cosineEmbeddingLoss: (
  x1: Tensor,
  x2: Tensor,
  target: Tensor,
  ...args: Args<[margin?: number], MarginOptions>
) => Tensor = op({
  name: 'cosineEmbeddingLoss',
  python: 'nn.functional.cosine_embedding_loss',
  signature: 'input1, input2, target, margin, *, reduction',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4), tensor([1, -1, 1])],
    [t(3, 4), t(3, 4), tensor([1, -1, -1]), -0.5, { reduction: 'none' }],
    [t(4), t(4), tensor(-1), { reduction: 'sum', margin: -0.9 }],
  ],
  forward: (x1: Tensor, x2: Tensor, target: Tensor, margin = 0, reduction: Reduction = 'mean') => {
    checkReduction(reduction)
    if (target.ndim > 1) throw new RuntimeError('0D or 1D target tensor expected, multi-target not supported')
    const rank = target.ndim + 1
    if (x1.ndim !== rank || x2.ndim !== rank) {
      throw new RuntimeError(
        `${target.ndim}D target tensor expects ${rank}D input tensors, but found inputs with sizes ${text(x1)} and ${text(x2)}.`,
      )
    }
    const dim = target.ndim
    const square = (x: Tensor): Tensor => add(sum(mul(x, x), dim), 1e-12)
    const cosine = div(sum(mul(x1, x2), dim), sqrt(mul(square(x1), square(x2))))
    const apart = clampMin(sub(cosine, margin), 0)
    return reduceLoss(add(only(eq(target, 1), rsub(cosine, 1)), only(eq(target, -1), apart)), reduction)
  },
})

/** x for a target of 1, max(margin - x, 0) for -1, of distances x. */
export const hingeEmbeddingLoss: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[margin?: number], MarginOptions>
) => Tensor = op({
  name: 'hingeEmbeddingLoss',
  python: 'nn.functional.hinge_embedding_loss',
  signature: 'input, target, margin, *, reduction',
  differentiable: true,
  samples: (t) => [
    [t(3), tensor([1, -1, -1])],
    [t(2, 3), tensor([1, -1, -1]), 2, { reduction: 'none' }],
  ],
  forward: (x: Tensor, target: Tensor, margin = 1, reduction: Reduction = 'mean') => {
    checkReduction(reduction)
    const values = floats(x)
    const far = only(ne(target, 1), clampMin(rsub(values, margin), 0))
    return reduceLoss(add(far, only(ne(target, -1), values)), reduction)
  },
})

/** max(-target (x1 - x2) + margin, 0): x1 should rank above x2 for a target of 1, below for -1. */
export const marginRankingLoss: (
  x1: Tensor,
  x2: Tensor,
  target: Tensor,
  ...args: Args<[margin?: number], MarginOptions>
) => Tensor = op({
  name: 'marginRankingLoss',
  python: 'nn.functional.margin_ranking_loss',
  signature: 'input1, input2, target, margin, *, reduction',
  differentiable: true,
  samples: (t) => [
    [t(3), t(3), tensor([1, -1, -1])],
    [t(3), t(3), tensor([1, -1, 1]), 0.5, { reduction: 'sum' }],
  ],
  forward: (x1: Tensor, x2: Tensor, target: Tensor, margin = 0, reduction: Reduction = 'mean') => {
    checkReduction(reduction)
    if (x1.ndim !== x2.ndim || x1.ndim !== target.ndim) {
      const sizes = [x1, x2, target].map((t) => formatSize(t.sizes))
      throw new RuntimeError(
        `margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: ${sizes[0]}, input2: ${sizes[1]}, target: ${sizes[2]} `,
      )
    }
    return reduceLoss(clampMin(add(floats(mul(neg(target), sub(x1, x2))), margin), 0), reduction)
  },
})

/** log(1 + exp(-target x)) for targets of 1 and -1. */
export const softMarginLoss: (x: Tensor, target: Tensor, options?: { readonly reduction?: Reduction }) => Tensor = op({
  name: 'softMarginLoss',
  python: 'nn.functional.soft_margin_loss',
  signature: 'input, target, *, reduction',
  node: 'SoftMarginLossBackward0',
  differentiable: true,
  samples: (t) => [
    [t(3), tensor([1, -1, -1])],
    [t(3), tensor([1, -1, -1]), { reduction: 'none' }],
  ],
  forward: (x: Tensor, target: Tensor, reduction: Reduction = 'mean') => {
    checkReduction(reduction)
    if (!x.dtype.isFloatingPoint)
      throw new RuntimeError(`result type Float can't be cast to the desired output type ${x.dtype.title}`)
    return reduceLoss(log1p(exp(mul(neg(target), x))), reduction)
  },
})

/** Scores as [N, C], for one sample or many. Throws RuntimeError for anything else. */
function rowsOf(x: Tensor): Tensor {
  if (x.ndim > 2 || x.sizes[x.ndim - 1] === 0)
    throw new RuntimeError(`Expected non-empty vector or matrix with optional 0-dim batch size, but got: ${text(x)}`)
  return x.ndim === 2 ? x : x.reshape([1, -1])
}

function checkFloat(kernel: string, x: Tensor): void {
  if (!x.dtype.isFloatingPoint) throw new NotImplementedError(`"${kernel}" not implemented for '${x.dtype.title}'`)
}

interface MultiMarginOptions extends MarginOptions {
  /** 1 or 2. */
  readonly p?: number
  /** One a class. */
  readonly weight?: Tensor | null
}

/** The sum over the other classes i of max(margin - x[target] + x[i], 0)^p / C, for scores [N, C] or [C]. */
export const multiMarginLoss: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[p?: number, margin?: number, weight?: Tensor | null], MultiMarginOptions>
) => Tensor = op({
  name: 'multiMarginLoss',
  python: 'nn.functional.multi_margin_loss',
  signature: 'input, target, p, margin, weight, *, reduction',
  node: 'MultiMarginLossBackward0',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), tensor([0, 3, 1])],
    [t(3, 4), tensor([0, 3, 1]), 2, 0.5, t(4).detach(), { reduction: 'none' }],
    [t(4), tensor(2), { reduction: 'sum' }],
  ],
  forward: (
    x: Tensor,
    target: Tensor,
    p = 1,
    margin = 1,
    weight: Tensor | null = null,
    reduction: Reduction = 'mean',
  ) => {
    checkReduction(reduction)
    if (p !== 1 && p !== 2) throw new ValueError('only p == 1 and p == 2 supported')
    if (weight && weight.ndim !== 1) throw new ValueError('weight must be one-dimensional')
    const rows = rowsOf(x)
    const [n, c] = rows.sizes
    if (target.ndim > 1 || target.count !== n) {
      throw new RuntimeError(
        `multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). Expected target size [${n}], but got ${text(target)}. Input has shape ${text(x)}.`,
      )
    }
    if (weight && weight.count !== c)
      throw new RuntimeError(`inconsistent weight size, expected ${c} but got ${text(weight)}`)
    checkFloat('multi_margin_loss_cpu_kernel', x)
    if (target.dtype !== int64) throw new RuntimeError(`expected scalar type Long but found ${target.dtype.title}`)
    if (outside(target, 0, c) !== null) throw new RuntimeError('target out of range')
    const at = target.reshape([n, 1])
    const gaps = relu(add(sub(rows, rows.gather(1, at)), margin))
    const powers = p === 1 ? gaps : mul(gaps, gaps)
    const others = only(ne(at, arange(c)), powers)
    const losses = div(sum(weight ? mul(others, weight.gather(0, target.reshape(-1)).view(n, 1)) : others, 1), c)
    if (reduction === 'none' && x.ndim < 2) return losses.reshape([...target.sizes])
    return reduceLoss(losses, reduction)
  },
})

/**
 * The sum over target classes y and other classes i of max(1 - x[y] + x[i], 0) / C, for scores [N, C] or [C]; `target`
 * has the same sizes, int64, and counts up to its first -1.
 */
export const multilabelMarginLoss: (x: Tensor, target: Tensor, options?: { readonly reduction?: Reduction }) => Tensor =
  op({
    name: 'multilabelMarginLoss',
    python: 'nn.functional.multilabel_margin_loss',
    signature: 'input, target, *, reduction',
    node: 'MultilabelMarginLossBackward0',
    differentiable: true,
    samples: (t) => [
      [
        t(2, 4),
        tensor([
          [3, 0, -1, 1],
          [-1, 0, 0, 0],
        ]),
      ],
      [t(4), tensor([1, 2, -1, 0]), { reduction: 'none' }],
    ],
    forward: (x: Tensor, target: Tensor, reduction: Reduction = 'mean') => {
      checkReduction(reduction)
      const rows = rowsOf(x)
      if (!sameSizes(target.sizes, x.sizes))
        throw new RuntimeError(`inconsistent target size: ${text(target)} for input of size: ${text(x)}`)
      checkFloat('multilabel_margin_loss_forward_out_frame', x)
      if (target.dtype !== int64) throw new RuntimeError(`expected scalar type Long but found ${target.dtype.title}`)
      const [n, c] = rows.sizes
      if (outside(target, -1, c) !== null) throw new RuntimeError("argument #2 'target' is out of range")
      const all = target.reshape([n, c])
      const before = eq(eq(all, -1).to(int64).cumsum(1), 0)
      // Columns in which no row has a label that counts are left out, where values may be read.
      const used = tracer === null && n > 0 && c > 0 ? Number(sum(before, 1).max().value(0)) : c
      const [labels, counted] = [all.narrow(1, 0, used), before.narrow(1, 0, used)]
      // Labels that do not count go into a column of their own.
      const column = where(counted, labels, c)
      const isTarget = ne(labels.newZeros([n, c + 1]).scatter(1, column, 1), 0).narrow(1, 0, c)
      const wanted = rows.gather(1, where(counted, labels, 0))
      const gaps = relu(add(sub(rows.unsqueeze(1), wanted.unsqueeze(2)), 1)) // [N, y, i]
      const pairs = counted.unsqueeze(2).logicalAnd(logicalNot(isTarget).unsqueeze(1))
      const losses = div(sum(only(pairs, gaps), [1, 2]), c)
      if (reduction === 'none' && x.ndim < 2) return losses.reshape([])
      return reduceLoss(losses, reduction)
    },
  })

interface WeightOptions {
  readonly weight?: Tensor | null
  readonly reduction?: Reduction
}

/** The mean over classes (the last dimension) of the binary cross entropy of sigmoid(x) with targets 0 and 1. */
export const multilabelSoftMarginLoss: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[weight?: Tensor | null], WeightOptions>
) => Tensor = op({
  name: 'multilabelSoftMarginLoss',
  python: 'nn.functional.multilabel_soft_margin_loss',
  signature: 'input, target, weight, *, reduction',
  differentiable: true,
  samples: (t) => [
    [
      t(3, 2),
      tensor([
        [0, 1],
        [1, 0],
        [1, 1],
      ]),
    ],
    [
      t(3, 2),
      tensor([
        [0, 1],
        [1, 0],
        [1, 1],
      ]),
      t(2),
      { reduction: 'none' },
    ],
  ],
  forward: (x: Tensor, target: Tensor, weight: Tensor | null = null, reduction: Reduction = 'mean') => {
    const entropy = neg(add(mul(target, logsigmoid(x)), mul(rsub(target, 1), logsigmoid(neg(x)))))
    const dim = x.ndim - 1
    const losses = div(sum(weight ? mul(entropy, weight) : entropy, dim), x.sizes[dim])
    if (!['none', 'mean', 'sum'].includes(reduction)) throw new ValueError(`${reduction} is not valid`)
    return reduceLoss(losses, reduction)
  },
})

function checkTriplet(a: Tensor, p: Tensor, n: Tensor): void {
  if (a.ndim === p.ndim && p.ndim === n.ndim) return
  throw new RuntimeError(
    `The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor ${a.ndim}D, positive ${p.ndim}D, and negative ${n.ndim}D inputs`,
  )
}

type Distance = (a: Tensor, b: Tensor) => Tensor

function tripletLoss(a: Tensor, p: Tensor, n: Tensor, distance: Distance, margin: number, swap: boolean): Tensor {
  const near = distance(a, p)
  const far = distance(a, n)
  const least = swap ? minimum(far, distance(p, n)) : far
  return clampMin(sub(add(near, margin), least), 0)
}

interface TripletOptions extends MarginOptions {
  readonly p?: number
  readonly eps?: number
  /** Uses the distance of positive and negative where that is smaller. */
  readonly swap?: boolean
}

/** max(|anchor - positive| - |anchor - negative| + margin, 0) with p-norms (of differences + eps) of [N, D] or [D]. */
export const tripletMarginLoss: (
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  ...args: Args<[margin?: number, p?: number, eps?: number, swap?: boolean], TripletOptions>
) => Tensor = op({
  name: 'tripletMarginLoss',
  python: 'nn.functional.triplet_margin_loss',
  signature: 'anchor, positive, negative, margin, p, eps, swap, *, reduction',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), t(3, 4), 2, 3, { swap: true, reduction: 'none' }],
    [t(4), t(4), t(4), { margin: 5 }],
  ],
  forward: (
    a: Tensor,
    p: Tensor,
    n: Tensor,
    margin = 1,
    order = 2,
    eps = 1e-6,
    swap = false,
    reduction: Reduction = 'mean',
  ) => {
    checkReduction(reduction)
    if (!(margin > 0)) throw new ValueError(`margin must be greater than 0, got ${margin}`)
    checkTriplet(a, p, n)
    const distance: Distance = (x, y) => pairwiseDistance(x, y, order, eps)
    return reduceLoss(tripletLoss(a, p, n, distance, margin, swap), reduction)
  },
})

interface DistanceOptions extends MarginOptions {
  /** The Euclidean distance (of differences + 1e-6) if absent. */
  readonly distanceFunction?: Distance | null
  readonly swap?: boolean
}

/** `tripletMarginLoss` with any distance. */
export const tripletMarginWithDistanceLoss: (
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options?: DistanceOptions,
) => Tensor = op({
  name: 'tripletMarginWithDistanceLoss',
  python: 'nn.functional.triplet_margin_with_distance_loss',
  signature: 'anchor, positive, negative, *, distance_function, margin, swap, reduction',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(3, 4), t(3, 4)],
    [
      t(3, 4),
      t(3, 4),
      t(3, 4),
      { distanceFunction: (x: Tensor, y: Tensor) => mean(pow(sub(x, y), 2), -1), swap: true },
    ],
  ],
  forward: (
    a: Tensor,
    p: Tensor,
    n: Tensor,
    distanceFunction: Distance | null = null,
    margin = 1,
    swap = false,
    reduction: Reduction = 'mean',
  ) => {
    checkReduction(reduction)
    if (!(margin > 0)) throw new ValueError(`margin must be greater than 0, got ${margin}`)
    checkTriplet(a, p, n)
    const distance = distanceFunction ?? ((x, y) => pairwiseDistance(x, y))
    return reduceLoss(tripletLoss(a, p, n, distance, margin, swap), reduction)
  },
})
