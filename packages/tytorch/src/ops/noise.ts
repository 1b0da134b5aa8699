// Activations and dropout of random slopes and channels: rrelu, feature dropout, gumbelSoftmax.

import { float32, float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { defaultGenerator, uniformFill } from '../base/random.ts'
import { type Args, op } from '../tensor/define.ts'
import { copyValues, snapshot } from '../tensor/elementwise.ts'
import { onHost } from '../tensor/host.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { softmax } from './activation.ts'
import { add, div, mul, sub } from './arithmetic.ts'
import { zerosLike } from './create.ts'
import { argmax } from './extreme.ts'
import { bernoulli_, exponential_ } from './random.ts'
import { leakyRelu } from './rectifier.ts'
import { log, neg } from './unary.ts'

interface RreluOptions {
  readonly lower?: number
  readonly upper?: number
  /** Draws slopes; else all are the mean of the bounds. */
  readonly training?: boolean
  readonly inplace?: boolean
}
type Rrelu = (
  x: Tensor,
  ...args: Args<[lower?: number, upper?: number, training?: boolean, inplace?: boolean], RreluOptions>
) => Tensor

/** 1 above 0, and a slope from [lower, upper) elsewhere, drawn one by one in row-major order. */
function slopes(x: Tensor, lower: number, upper: number): Tensor {
  const source = x
    .detach()
    .to(x.dtype === float64 ? float64 : float32)
    .contiguous()
  const out = empty(x.sizes, source.dtype)
  onHost('rrelu', [source, out], 'rw', (from, into) => {
    const values = from as Float64Array
    const noise = into as Float64Array
    const below: number[] = []
    for (let i = 0; i < values.length; i++) {
      if (values[i] <= 0) below.push(i)
      else noise[i] = 1
    }
    const drawn = new Float64Array(below.length)
    uniformFill(defaultGenerator, drawn, lower, upper)
    for (let j = 0; j < below.length; j++) noise[below[j]] = drawn[j]
  })
  return out.to(x.dtype)
}

/** x, or below 0 a random slope from [lower, upper) times x; the mean slope if not `training`. */
export const rrelu: Rrelu = op({
  name: 'rrelu',
  node: 'RreluWithNoiseBackward0',
  python: 'nn.functional.rrelu',
  signature: 'input, lower, upper, training, inplace',
  differentiable: true,
  domain: { kinks: true },
  samples: (t) => [[t(3, 4)], [t(4, 3).t(), 0.1, 0.5]],
  forward: (x: Tensor, lower = 1 / 8, upper = 1 / 3, training = false, inplace = false) => {
    if (!Number.isFinite(lower)) throw new RuntimeError(`rrelu: lower bound must be finite, got ${lower}`)
    if (!Number.isFinite(upper)) throw new RuntimeError(`rrelu: upper bound must be finite, got ${upper}`)
    if (lower > upper) throw new RuntimeError('Lower bound should be less than or equal to the upper bound')
    if (!x.dtype.isFloatingPoint) {
      throw new NotImplementedError(
        `"${training ? 'rrelu_with_noise_out_cpu' : 'leaky_relu_cpu'}" not implemented for '${x.dtype.title}'`,
      )
    }
    if (!training) return leakyRelu(x, (lower + upper) / 2, inplace)
    const noise = slopes(x, lower, upper)
    const before = inplace ? snapshot(x) : x
    const out = inplace ? x : empty(x.sizes, x.dtype)
    const value = mul(x.detach(), noise)
    if (inplace) changeInPlace(x)
    copyValues(value, out)
    if (!isGradEnabled() || !requiresGrad(before)) return out
    return record(out, 'RreluWithNoiseBackward0', [before], [noise], (g, [slope]) => [mul(g, slope)])
  },
})

interface ChannelOptions {
  readonly p?: number
  readonly training?: boolean
  readonly inplace?: boolean
}
type ChannelDropout = (
  x: Tensor,
  ...args: Args<[p?: number, training?: boolean, inplace?: boolean], ChannelOptions>
) => Tensor

const ALPHA = 1.7580993408473766

function channelDropout(name: string, python: string, alpha: boolean, byDefault: boolean): ChannelDropout {
  return op({
    name,
    python,
    signature: 'input, p, training, inplace',
    differentiable: true,
    samples: (t) => [[t(3, 4), 0.5, false]],
    forward: (x: Tensor, p = 0.5, training = byDefault, inplace = false) => {
      if (!(p >= 0 && p <= 1)) throw new RuntimeError(`dropout probability has to be between 0 and 1, but got ${p}`)
      if (!training || p === 0 || x.count === 0) return x
      const times = (noise: Tensor): Tensor => (inplace ? x.mul_(noise) : mul(x, noise))
      if (p === 1) return times(x.newZeros([]))
      if (x.ndim < 2) throw new RuntimeError('Feature dropout requires at least 2 dimensions in the input')
      const sizes = x.sizes.map((n, i) => (i < 2 ? n : 1))
      const noise = bernoulli_(empty(sizes, x.dtype), 1 - p)
      if (!alpha) return times(noise.div_(1 - p))
      const a = 1 / Math.sqrt((ALPHA * ALPHA * p + 1) * (1 - p))
      const shift = noise
        .add(-1)
        .mul_(ALPHA * a)
        .add_(ALPHA * a * p)
      const scaled = times(noise.mul_(a))
      return inplace ? scaled.add_(shift) : add(scaled, shift)
    },
  })
}

/** Whole channels of [N, C, ...] set to 0 with probability p, the others scaled by 1 / (1 - p). */
export const featureDropout: ChannelDropout = channelDropout('featureDropout', 'feature_dropout', false, true)
/** As `alphaDropout` for whole channels of [N, C, ...]. Throws RuntimeError for fewer than 2 dimensions. */
export const featureAlphaDropout: ChannelDropout = channelDropout(
  'featureAlphaDropout',
  'nn.functional.feature_alpha_dropout',
  true,
  false,
)

interface GumbelOptions {
  /** The temperature. */
  readonly tau?: number
  /** Answers one-hot rows, with the gradient of the soft ones. */
  readonly hard?: boolean
  readonly eps?: number
  readonly dim?: number
}
/** A sample of the Gumbel-softmax distribution along `dim` (https://arxiv.org/abs/1611.00712). */
export const gumbelSoftmax: (
  logits: Tensor,
  ...args: Args<[tau?: number, hard?: boolean, eps?: number, dim?: number], GumbelOptions>
) => Tensor = op({
  name: 'gumbelSoftmax',
  python: 'nn.functional.gumbel_softmax',
  signature: 'logits, tau, hard, eps, dim',
  // Not differentiable for the op matrix: it draws anew at each call.
  samples: (t) => [[t(0, 4)]],
  forward: (logits: Tensor, tau = 1, hard = false, _eps = 1e-10, dim = -1) => {
    const gumbels = neg(log(exponential_(empty(logits.sizes, logits.dtype))))
    const soft = softmax(div(add(logits, gumbels), tau), dim)
    if (!hard) return soft
    const index = argmax(soft.detach(), dim, true)
    const one = zerosLike(logits.detach()).scatter_(dim, index, 1)
    return add(sub(one, soft.detach()), soft)
  },
})
