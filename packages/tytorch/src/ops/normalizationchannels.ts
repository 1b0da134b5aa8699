// Normalisation of channels [N, C, ...]: batch and instance norm, with their running statistics.
import { float64, uint8 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatSize } from '../base/format.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled, noGrad } from '../tensor/mode.ts'
import { changeInPlace, record } from '../tensor/node.ts'
import { empty, emptyLike, type Tensor } from '../tensor/tensor.ts'
import { add, mul, sub } from './arithmetic.ts'
import { contiguous, to } from './copy.ts'
import { checkMixed, normGradients } from './normalization.ts'
import {
  applyKernel,
  joinKernel,
  joinSumsKernel,
  launch,
  momentsKernel,
  type Operand,
  type Stride,
  spreadKernel,
  statisticOf,
  sumsKernel,
} from './normalizationkernels.ts'
import { mean, sum } from './reduce.ts'
import { rsqrt } from './unary.ts'

/** A contiguous tensor as [n, channels, length]. */
interface Grid {
  readonly n: number
  readonly channels: number
  readonly length: number
}

function gridOf(x: Tensor): Grid {
  return { n: x.sizes[0], channels: x.sizes[1] ?? 1, length: numelOf(x.sizes.slice(2)) }
}

export const DOUBLE = float64.itemsize

/** How a channel's elements are walked in parts: [parts, channels, elements of a part]. */
interface Parts {
  readonly extent: readonly [number, number, number]
  /** Of the grid's tensors. */
  readonly strides: (itemsize: number) => Stride
  /** Of what is per channel. */
  readonly channel: (itemsize: number) => Stride
  /** Of a part's results. */
  readonly results: Stride
}

function partsOf({ n, channels, length }: Grid): Parts {
  const single = length === 1
  return {
    extent: single ? [1, channels, n] : [n, channels, length],
    strides: (size) => (single ? [0, size, channels * size] : [channels * length * size, length * size, size]),
    channel: (size) => [0, size, 0],
    results: [channels * DOUBLE, DOUBLE, 0],
  }
}

/** Walks the parts' results of every channel. */
const joined = (channels: number): Stride => [0, DOUBLE, channels * DOUBLE]
const perRow = (size: number): Stride => [0, size, 0]

export interface Statistics {
  readonly mean: Tensor
  readonly rstd: Tensor
}

interface Running {
  readonly mean: Tensor
  readonly variance: Tensor
  readonly momentum: number
}

/** Mean and 1 / sqrt(variance + eps) of every channel; moves the running ones. `short` parts are summed in float32. */
export function statisticsOf(x: Tensor, grid: Grid, eps: number, running: Running | null, short = false): Statistics {
  const { channels } = grid
  const statistic = statisticOf(x.dtype)
  const at = partsOf(grid)
  const [parts, , length] = at.extent
  const means = empty([parts, channels], float64)
  const squares = empty([parts, channels], float64)
  launch(
    momentsKernel(x.dtype, short),
    at.extent,
    [
      [x, at.strides(x.dtype.itemsize)],
      [means, at.results],
      [squares, at.results],
    ],
    [length],
  )
  const average = empty([channels], statistic)
  const rstd = empty([channels], statistic)
  const row = perRow(statistic.itemsize)
  const operands: Operand[] = [
    [means, joined(channels)],
    [squares, joined(channels)],
    [average, row],
    [rstd, row],
  ]
  if (running) {
    changeInPlace(running.mean)
    changeInPlace(running.variance)
    operands.push([running.mean, perRow(running.mean.dtype.itemsize * running.mean.strides[0])])
    operands.push([running.variance, perRow(running.variance.dtype.itemsize * running.variance.strides[0])])
  }
  const kernel = joinKernel(statistic, running?.mean.dtype ?? null)
  launch(kernel, [1, channels, parts], operands, [parts, length, eps, running?.momentum ?? 0])
  return { mean: average, rstd }
}

/** What is per group of channels, or per channel, in a walk over [outer, inner, length]. */
export interface Walk {
  readonly extent: readonly [number, number, number]
  readonly grouped: (itemsize: number) => Stride
  readonly channel: (itemsize: number) => Stride
}

export function elementStride({ extent: [, inner, length] }: Walk, size: number): Stride {
  return [inner * length * size, length * size, size]
}

export function applied(x: Tensor, s: Statistics, weight: Tensor | null, bias: Tensor | null, walk: Walk): Tensor {
  const out = emptyLike(x)
  const element = elementStride(walk, x.dtype.itemsize)
  const statistic = s.mean.dtype
  const operands: Operand[] = [
    [x, element],
    [s.mean, walk.grouped(statistic.itemsize)],
    [s.rstd, walk.grouped(statistic.itemsize)],
  ]
  for (const p of [weight, bias]) if (p) operands.push([p, walk.channel(p.dtype.itemsize)])
  operands.push([out, element])
  launch(applyKernel(x.dtype, statistic, weight?.dtype ?? null, bias?.dtype ?? null), walk.extent, operands)
  return out
}

/** The walk of batch norm, where all samples share a channel's numbers. */
function batchWalk({ n, channels, length }: Grid): Walk {
  return { extent: [n, channels, length], grouped: perRow, channel: perRow }
}

/** The gradient of x: g * scale - (x - mean) * slope - shift. */
export function spread(
  g: Tensor,
  x: Tensor,
  average: Tensor,
  [scale, slope, shift]: readonly Tensor[],
  walk: Walk,
): Tensor {
  const out = emptyLike(x)
  const element = elementStride(walk, x.dtype.itemsize)
  const { dtype } = average
  launch(spreadKernel(x.dtype, dtype), walk.extent, [
    [g, element],
    [x, element],
    [average, walk.grouped(dtype.itemsize)],
    [scale, walk.channel(dtype.itemsize)],
    [slope, walk.grouped(dtype.itemsize)],
    [shift, walk.grouped(dtype.itemsize)],
    [out, element],
  ])
  return out
}

/** Gradients [x, weight, bias] of batch norm; with fixed statistics those of x lack the terms of mean and variance. */
function batchBackward(g: Tensor, x: Tensor, s: Statistics, weight: Tensor | null, fixed: boolean, needsX: boolean) {
  const grid = gridOf(x)
  const { channels } = grid
  const statistic = s.mean.dtype
  const at = partsOf(grid)
  const plain = empty([at.extent[0], channels], float64)
  const product = empty([at.extent[0], channels], float64)
  launch(sumsKernel(x.dtype, statistic), at.extent, [
    [g, at.strides(x.dtype.itemsize)],
    [x, at.strides(x.dtype.itemsize)],
    [s.mean, at.channel(statistic.itemsize)],
    [plain, at.results],
    [product, at.results],
  ])
  const outs = Array.from({ length: 5 }, () => empty([channels], statistic))
  const row = perRow(statistic.itemsize)
  const operands: Operand[] = [
    [plain, joined(channels)],
    [product, joined(channels)],
    [s.rstd, row],
  ]
  if (weight) operands.push([weight, perRow(weight.dtype.itemsize)])
  for (const out of outs) operands.push([out, row])
  const count = grid.n * grid.length
  launch(joinSumsKernel(statistic, weight?.dtype ?? null), [1, channels, at.extent[0]], operands, [count])
  const [bias, slope, ...factors] = outs
  const along = x.sizes.map((_, i) => (i === 1 ? channels : 1))
  const input = !needsX
    ? null
    : fixed
      ? to(mul(g, factors[0].view(along)), x.dtype)
      : spread(g, x, s.mean, factors, batchWalk(grid))
  return [input, slope, bias]
}

/** The same in tensor ops. */
function batchGradients(g: Tensor, x: Tensor, s: Statistics, weight: Tensor | null, fixed: boolean, eps: number) {
  const { n, channels, length } = gridOf(x)
  const [seen, gradient] = [x.reshape(n, channels, length), g.reshape(n, channels, length)]
  const w = weight ? weight.reshape(1, channels, 1) : null
  if (!fixed) {
    const all = normGradients(seen, gradient, w, { dims: [0, 2], shared: [0, 2], eps, centered: true })
    return [all.input.reshape(x.sizes), all.weight, all.bias]
  }
  const [average, rstd] = [s.mean.view(1, channels, 1), s.rstd.view(1, channels, 1)]
  const scaled = mul(gradient, w ? mul(rstd, w) : rstd)
  const unit = mul(sub(seen, average), rstd)
  return [scaled.reshape(x.sizes), sum(mul(gradient, unit), [0, 2]), sum(gradient, [0, 2])]
}

function checkLength(name: string, t: Tensor | null, channels: number): void {
  if (t && t.count !== channels) throw new RuntimeError(`${name} should contain ${channels} elements not ${t.count}`)
}

interface BatchOptions {
  readonly runningMean: Tensor | null
  readonly runningVar: Tensor | null
  readonly weight: Tensor | null
  readonly bias: Tensor | null
  readonly training: boolean
  readonly momentum: number
  readonly eps: number
}

/** Batch norm and the statistics it used. */
function batch(x: Tensor, o: BatchOptions): { out: Tensor; statistics: Statistics } {
  const { runningMean, runningVar, weight, bias, training, eps } = o
  const grid = gridOf(x)
  const channels = x.ndim > 1 ? x.sizes[1] : 0
  if (!training) {
    if (!runningMean) throw new RuntimeError('running_mean must be defined in evaluation mode')
    if (!runningVar) throw new RuntimeError('running_var must be defined in evaluation mode')
  }
  checkLength('running_mean', runningMean, channels)
  checkLength('running_var', runningVar, channels)
  checkLength('weight', weight, channels)
  checkLength('bias', bias, channels)
  if (!x.dtype.isFloatingPoint) throw new NotImplementedError(`"batch_norm" not implemented for '${x.dtype.title}'`)
  checkMixed(x, weight, bias, runningMean, runningVar)
  const statistic = statisticOf(x.dtype)
  const source = contiguous(x.detach())
  const [w, b] = [weight && contiguous(weight.detach()), bias && contiguous(bias.detach())]
  const statistics = noGrad((): Statistics => {
    if (training) {
      const running =
        runningMean && runningVar && x.count > 0
          ? { mean: runningMean, variance: runningVar, momentum: o.momentum }
          : null
      return statisticsOf(source, grid, eps, running)
    }
    const [m, v] = [to(runningMean as Tensor, statistic), to(runningVar as Tensor, statistic)]
    return { mean: contiguous(m.detach()), rstd: rsqrt(add(v.detach(), eps)) }
  })
  const out = applied(source, statistics, w, b, batchWalk(grid))
  const inputs = [x, ...(weight ? [weight] : []), ...(bias ? [bias] : [])]
  const saved = [x, statistics.mean, statistics.rstd, ...(weight ? [weight] : [])]
  record(out, 'NativeBatchNormBackward0', inputs, saved, (g, [input, average, rstd, scale = null], needs) => {
    const s = { mean: average, rstd }
    const grads = isGradEnabled()
      ? batchGradients(g, input, s, scale, !training, eps)
      : batchBackward(contiguous(g), contiguous(input), s, scale && contiguous(scale), !training, needs[0])
    const found = [needs[0] ? grads[0] : null]
    if (weight) found.push(grads[1] && to(grads[1], weight.dtype))
    if (bias) found.push(grads[2] && to(grads[2], bias.dtype))
    return found
  })
  return { out, statistics }
}

/** Throws ValueError if a channel has one value only. */
export function checkBatch(sizes: Sizes, text: string): void {
  if (sizes.reduce((n, size, i) => (i === 1 ? n : n * size), 1) === 1) {
    throw new ValueError(`Expected more than 1 value per channel when training, got input size ${text}`)
  }
}

interface BatchNormOptions {
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
  /** True uses the batch's statistics and moves the running ones; false uses the running ones. */
  readonly training?: boolean
  /** How far the running statistics move towards the batch's. */
  readonly momentum?: number
  readonly eps?: number
}

type BatchNorm = (
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  ...args: Args<
    [weight?: Tensor | null, bias?: Tensor | null, training?: boolean, momentum?: number, eps?: number],
    BatchNormOptions
  >
) => Tensor

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias for every channel of [N, C, ...], with the batch's statistics
 * (`training`) or the running ones, [C] each (Ioffe and Szegedy, https://arxiv.org/abs/1502.03167).
 */
export const batchNorm: BatchNorm = op({
  name: 'batchNorm',
  python: 'nn.functional.batch_norm',
  signature: 'input, running_mean, running_var, weight, bias, training, momentum, eps',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), null, null, null, null, true],
    [t(3, 4), null, null, t(4), t(4), true],
    [t(2, 3, 5), null, null, t(3), null, true, 0.1, 0.01],
    [t(2, 3, 2, 3), null, null, t(3), t(3), true],
  ],
  forward: (
    x: Tensor,
    runningMean: Tensor | null = null,
    runningVar: Tensor | null = null,
    weight: Tensor | null = null,
    bias: Tensor | null = null,
    training = false,
    momentum = 0.1,
    eps = 1e-5,
  ) => {
    if (training) checkBatch(x.sizes, formatSize(x.sizes))
    if (training && eps <= 0) throw new ValueError(`batch_norm eps must be positive during training, but got ${eps}`)
    if (eps < 0) throw new ValueError(`batch_norm eps must be non-negative, but got ${eps}`)
    return batch(x, { runningMean, runningVar, weight, bias, training, momentum, eps }).out
  },
})

type Maybe = Tensor | null
/** [out, mean, rstd]; the statistics are empty when the running ones were used. */
type Three = [Tensor, Tensor, Tensor]

function three(x: Tensor, o: BatchOptions): Three {
  const { out, statistics } = batch(x, o)
  const dtype = o.weight?.dtype ?? x.dtype
  if (!o.training) return [out, empty([0], dtype), empty([0], dtype)]
  return [out, to(statistics.mean, dtype), to(statistics.rstd, dtype)]
}

/** Batch norm with the batch's mean and 1 / sqrt(variance + eps): [out, mean, rstd]. */
export const nativeBatchNorm: (
  x: Tensor,
  weight: Maybe,
  bias: Maybe,
  runningMean: Maybe,
  runningVar: Maybe,
  training: boolean,
  momentum: number,
  eps: number,
) => Three = op({
  name: 'nativeBatchNorm',
  signature: 'input, weight, bias, running_mean, running_var, training, momentum, eps',
  samples: (t) => [[t(3, 4), t(4), t(4), null, null, true, 0.1, 1e-5]],
  forward: (
    x: Tensor,
    weight: Maybe = null,
    bias: Maybe = null,
    runningMean: Maybe = null,
    runningVar: Maybe = null,
    training = false,
    momentum = 0.1,
    eps = 1e-5,
  ) => three(x, { weight, bias, runningMean, runningVar, training, momentum, eps }),
})

/** As `nativeBatchNorm`; the running statistics may be left out: (x, weight, bias, training, momentum, eps). */
export const _nativeBatchNormLegit: (x: Tensor, weight: Maybe, bias: Maybe, ...rest: unknown[]) => Three = op({
  name: '_nativeBatchNormLegit',
  python: '_native_batch_norm_legit',
  signature: 'input, weight, bias, running_mean, running_var, training, momentum, eps',
  node: 'NativeBatchNormLegitBackward0',
  samples: (t) => [[t(3, 4), t(4), t(4), true, 0.1, 1e-5]],
  forward: (x: Tensor, weight: Maybe = null, bias: Maybe = null, ...rest: unknown[]) => {
    const full = typeof rest[0] === 'boolean' ? [null, null, ...rest] : rest
    const [runningMean = null, runningVar = null, training = false, momentum = 0.1, eps = 1e-5] = full as [
      Maybe,
      Maybe,
      boolean,
      number,
      number,
    ]
    return three(x, { weight, bias, runningMean, runningVar, training, momentum, eps })
  },
})

/** Batch norm of a batch that moves the running statistics: [out, mean, rstd, nothing]. */
export const _batchNormWithUpdate: (
  x: Tensor,
  weight: Maybe,
  bias: Maybe,
  runningMean: Tensor,
  runningVar: Tensor,
  momentum: number,
  eps: number,
) => [...Three, Tensor] = op({
  name: '_batchNormWithUpdate',
  python: '_batch_norm_with_update',
  signature: 'input, weight, bias, running_mean, running_var, momentum, eps',
  node: 'BatchNormWithUpdateBackward0',
  samples: (t) => [[t(3, 4), t(4), t(4), t(4).detach(), t(4).detach(), 0, 1e-5]],
  forward: (
    x: Tensor,
    weight: Maybe,
    bias: Maybe,
    runningMean: Tensor,
    runningVar: Tensor,
    momentum: number,
    eps: number,
  ) => [...three(x, { weight, bias, runningMean, runningVar, training: true, momentum, eps }), empty([0], uint8)],
})

interface InstanceNormOptions {
  readonly runningMean?: Tensor | null
  readonly runningVar?: Tensor | null
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
  /** False normalises with the running statistics. */
  readonly useInputStats?: boolean
  readonly momentum?: number
  readonly eps?: number
}

type InstanceNorm = (
  x: Tensor,
  ...args: Args<
    [
      runningMean?: Tensor | null,
      runningVar?: Tensor | null,
      weight?: Tensor | null,
      bias?: Tensor | null,
      useInputStats?: boolean,
      momentum?: number,
      eps?: number,
    ],
    InstanceNormOptions
  >
) => Tensor

/** Batch norm of every sample by itself: statistics are those of one channel of one sample of [N, C, ...]. */
export const instanceNorm: InstanceNorm = op({
  name: 'instanceNorm',
  python: 'nn.functional.instance_norm',
  signature: 'input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps',
  differentiable: true,
  samples: (t) => [[t(2, 3, 4)], [t(2, 3, 2, 3), null, null, t(3), t(3)]],
  forward: (
    x: Tensor,
    runningMean: Tensor | null = null,
    runningVar: Tensor | null = null,
    weight: Tensor | null = null,
    bias: Tensor | null = null,
    useInputStats = true,
    momentum = 0.1,
    eps = 1e-5,
  ) => {
    if (useInputStats && numelOf(x.sizes.slice(2)) === 1) {
      throw new ValueError(`Expected more than 1 spatial element when training, got input size ${formatSize(x.sizes)}`)
    }
    if (!useInputStats && !(runningMean && runningVar)) {
      throw new RuntimeError('Expected running_mean and running_var to be defined when use_input_stats is false')
    }
    const [n, c] = x.sizes
    for (const [name, t] of Object.entries({ runningMean, runningVar, weight, bias })) {
      checkLength(name.replace('M', '_m').replace('V', '_v'), t, c)
    }
    const each = (t: Tensor | null): Tensor | null => (t ? t.expand([n, c]).reshape(n * c) : null)
    const moved = (t: Tensor | null): Tensor | null => (t ? t.detach().repeat([n]) : null)
    const [averages, variances] = [moved(runningMean), moved(runningVar)]
    const { out } = batch(contiguous(x).view([1, n * c, ...x.sizes.slice(2)]), {
      runningMean: averages,
      runningVar: variances,
      weight: each(weight),
      bias: each(bias),
      training: useInputStats,
      momentum,
      eps,
    })
    if (useInputStats) {
      noGrad(() => {
        if (runningMean && averages) runningMean.copy_(mean(averages.view(n, c), 0))
        if (runningVar && variances) runningVar.copy_(mean(variances.view(n, c), 0))
      })
    }
    return out.view(x.sizes)
  },
})
