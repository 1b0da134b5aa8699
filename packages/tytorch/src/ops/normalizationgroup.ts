// Group norm: channels of [N, C, ...] normalised in groups.
import { float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { formatList } from '../base/format.ts'
import { numelOf } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { recordAll } from '../tensor/node.ts'
import { empty, emptyLike, type Tensor } from '../tensor/tensor.ts'
import { add, mul, sub } from './arithmetic.ts'
import { contiguous, to } from './copy.ts'
import { checkMixed, normGradients } from './normalization.ts'
import {
  applied,
  checkBatch,
  DOUBLE,
  elementStride,
  type Statistics,
  spread,
  statisticsOf,
  type Walk,
} from './normalizationchannels.ts'
import { LONG, launch, sumsKernel } from './normalizationkernels.ts'
import { mean, sum } from './reduce.ts'
import { rsqrt } from './unary.ts'

type Maybe = Tensor | null
type Three = [Tensor, Tensor, Tensor]

/** What group norm walks: [N * groups, channels of a group, length]. */
interface Groups {
  readonly n: number
  readonly channels: number
  readonly length: number
  readonly groups: number
  readonly eps: number
}

function groupWalk({ n, channels, length, groups }: Groups): Walk {
  const inner = channels / groups
  return {
    extent: [n * groups, inner, length],
    grouped: (size) => [size, 0, 0],
    channel: (size) => [inner * size, size, 0],
  }
}

/** A parameter of channels, for every sample. */
function repeated(t: Tensor | null, n: number): Tensor | null {
  return t && contiguous(t.detach().expand([n, t.count]))
}

function groupBackward(g: Tensor, x: Tensor, s: Statistics, weight: Tensor | null, at: Groups, needsX: boolean) {
  const { n, channels, length, groups } = at
  const walk = groupWalk(at)
  const [outer, inner] = walk.extent
  const statistic = s.mean.dtype
  const plain = empty([outer, inner], float64)
  const product = empty([outer, inner], float64)
  launch(sumsKernel(x.dtype, statistic), walk.extent, [
    [g, elementStride(walk, x.dtype.itemsize)],
    [x, elementStride(walk, x.dtype.itemsize)],
    [s.mean, walk.grouped(statistic.itemsize)],
    [plain, [inner * DOUBLE, DOUBLE, 0]],
    [product, [inner * DOUBLE, DOUBLE, 0]],
  ])
  const rstd = to(s.rstd, float64).view(outer, 1)
  const perChannel = (t: Tensor): Tensor => to(sum(t.view(n, channels), 0), statistic)
  const slopes = perChannel(mul(product, rstd))
  const shifts = perChannel(plain)
  if (!needsX) return [null, slopes, shifts]
  const w = weight && to(weight.view(1, groups, inner), float64)
  const weighted = (t: Tensor): Tensor =>
    w ? sum(mul(t.view(n, groups, inner), w), 2).view(outer, 1) : sum(t, 1, true)
  const share = 1 / (inner * length)
  const cube = mul(mul(rstd, rstd), rstd)
  const slope = to(mul(mul(weighted(product), cube), share), statistic)
  const shift = to(mul(mul(weighted(plain), rstd), share), statistic)
  const scale = w ? mul(rstd.view(n, groups, 1), w) : rstd.expand([outer, inner])
  const factors = [contiguous(to(scale, statistic)), slope, shift]
  return [spread(g, x, s.mean, factors, walk), slopes, shifts]
}

/** The same in tensor ops. */
function groupGradients(g: Tensor, x: Tensor, weight: Tensor | null, at: Groups) {
  const { n, channels, length, groups, eps } = at
  const sizes = [n, groups, channels / groups, length]
  const all = normGradients(
    x.reshape(sizes),
    g.reshape(sizes),
    weight ? weight.reshape([1, ...sizes.slice(1, 3), 1]) : null,
    {
      dims: [2, 3],
      shared: [0, 3],
      eps,
      centered: true,
    },
  )
  return [all.input.reshape(x.sizes), all.weight.reshape(channels), all.bias.reshape(channels)]
}

/** What the gradients of the statistics themselves add to that of x. */
function statisticGradients(x: Tensor, gMean: Tensor | null, gRstd: Tensor | null, at: Groups): Tensor {
  const { n, channels, length, groups, eps } = at
  if (x.count === 0) return emptyLike(x)
  const share = groups / (channels * length)
  const seen = x.reshape(n, groups, (channels / groups) * length)
  const distance = sub(seen, mean(seen, 2, true))
  const rstd = rsqrt(add(mean(mul(distance, distance), 2, true), eps))
  const cube = mul(mul(rstd, rstd), rstd)
  let total = mul(distance, 0)
  if (gMean) total = add(total, mul(gMean.reshape(n, groups, 1), share))
  if (gRstd) total = sub(total, mul(mul(gRstd.reshape(n, groups, 1), mul(cube, share)), distance))
  return total.reshape(x.sizes)
}

function group(x: Tensor, weight: Tensor | null, bias: Tensor | null, at: Groups): Three {
  const { n, channels, length, groups, eps } = at
  if (!x.dtype.isFloatingPoint) {
    throw new NotImplementedError(`"GroupNormKernelImpl" not implemented for '${x.dtype.title}'`)
  }
  checkMixed(x, weight, bias)
  const source = contiguous(x.detach())
  const rows = { n: 1, channels: n * groups, length: (channels / groups) * length }
  const s = statisticsOf(source, rows, eps, null, rows.length <= LONG)
  const out = applied(source, s, repeated(weight, n), repeated(bias, n), groupWalk(at))
  const dtype = weight?.dtype ?? bias?.dtype ?? x.dtype
  const outs: Three = [out, to(s.mean, dtype).view(n, groups), to(s.rstd, dtype).view(n, groups)]
  const inputs = [x, ...(weight ? [weight] : []), ...(bias ? [bias] : [])]
  const saved = [x, s.mean.detach(), s.rstd.detach(), ...(weight ? [weight] : [])]
  recordAll(outs, 'NativeGroupNormBackward0', inputs, saved, ([g, gMean, gRstd], kept, needs) => {
    const [input, average, rstd, scale = null] = kept
    const grads: (Tensor | null)[] = !g
      ? [null, null, null]
      : isGradEnabled()
        ? groupGradients(g, input, scale, at)
        : groupBackward(contiguous(g), contiguous(input), { mean: average, rstd }, scale, at, needs[0])
    if (needs[0] && (gMean || gRstd)) {
      const more = statisticGradients(input, gMean, gRstd, at)
      grads[0] = grads[0] ? add(grads[0], more) : more
    }
    const found = [needs[0] ? grads[0] : null]
    if (weight) found.push(grads[1] && to(grads[1], weight.dtype))
    if (bias) found.push(grads[2] && to(grads[2], bias.dtype))
    return found
  })
  return outs
}

function checkGroups(x: Tensor, groups: number, weight: Tensor | null, bias: Tensor | null): void {
  const [shape, channels] = [`[${x.sizes.join(', ')}]`, x.sizes[1]]
  if (groups <= 0) throw new RuntimeError(`Expected num groups to be greater than 0, got ${groups}`)
  if (channels % groups !== 0) {
    throw new RuntimeError(
      `Expected number of channels in input to be divisible by num_groups, but got input of shape ${shape} and num_groups=${groups}`,
    )
  }
  for (const [name, t] of [
    ['weight', weight],
    ['bias', bias],
  ] as const) {
    if (t && (t.ndim !== 1 || t.count !== channels)) {
      throw new RuntimeError(
        `Expected ${name} to be a vector of size equal to the number of channels in input, but got ${name} of shape [${t.sizes.join(', ')}] and input of shape ${shape}`,
      )
    }
  }
}

interface GroupNormOptions {
  readonly weight?: Tensor | null
  readonly bias?: Tensor | null
  readonly eps?: number
}

/**
 * Normalises groups of channels of every sample of [N, C, ...], then scales by `weight` and adds `bias`, [C] each
 * (Wu and He, https://arxiv.org/abs/1803.08494).
 */
export const groupNorm: (
  x: Tensor,
  numGroups: number,
  ...args: Args<[weight?: Tensor | null, bias?: Tensor | null, eps?: number], GroupNormOptions>
) => Tensor = op({
  name: 'groupNorm',
  python: 'nn.functional.group_norm',
  signature: 'input, num_groups, weight, bias, eps',
  differentiable: true,
  samples: (t) => [
    [t(2, 4, 3), 2],
    [t(2, 4, 3), 2, t(4), t(4)],
    [t(2, 6), 2, t(6)],
    [t(2, 4, 2, 2), 1, null, t(4), 0.01],
  ],
  forward: (x: Tensor, groups: number, weight: Tensor | null = null, bias: Tensor | null = null, eps = 1e-5) => {
    if (x.ndim < 2) throw new RuntimeError(`Expected at least 2 dimensions for input tensor but received ${x.ndim}`)
    if (groups > 0) {
      const seen = [Math.floor((x.sizes[0] * x.sizes[1]) / groups), groups, ...x.sizes.slice(2)]
      checkBatch(seen, formatList(seen))
    }
    checkGroups(x, groups, weight, bias)
    const [n, channels] = x.sizes
    return group(x, weight, bias, { n, channels, length: numelOf(x.sizes.slice(2)), groups, eps })[0]
  },
})

/** Group norm of `n` samples, with the mean and 1 / sqrt(variance + eps) of every group: [out, mean, rstd]. */
export const nativeGroupNorm: (
  x: Tensor,
  weight: Maybe,
  bias: Maybe,
  n: number,
  c: number,
  hxw: number,
  group: number,
  eps: number,
) => Three = op({
  name: 'nativeGroupNorm',
  signature: 'input, weight, bias, n, c, hxw, group, eps',
  differentiable: true,
  samples: (t) => [[t(2, 4, 3), t(4), t(4), 2, 4, 3, 2, 1e-5]],
  forward: (
    x: Tensor,
    weight: Maybe,
    bias: Maybe,
    n: number,
    channels: number,
    length: number,
    groups: number,
    eps: number,
  ) => {
    checkGroups(x, groups, weight, bias)
    return group(x, weight, bias, { n, channels, length, groups, eps })
  },
})
