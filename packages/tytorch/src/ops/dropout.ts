// Dropout: elements or whole channels set to zero at random, with PyTorch's draws.
import { ValueError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { add, mul } from './arithmetic.ts'
import { bernoulli_ } from './random.ts'
import { squeeze, unsqueeze } from './view.ts'

interface DropoutOptions {
  /** The probability of a zero. */
  readonly p?: number
  /** False answers the input unchanged. */
  readonly training?: boolean
  readonly inplace?: boolean
}
type Dropout = (x: Tensor, ...args: Args<[p?: number, training?: boolean, inplace?: boolean], DropoutOptions>) => Tensor

function checkProbability(p: number): void {
  if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`)
}

/** 1 with probability 1 - p, else 0. */
function mask(x: Tensor, sizes: Sizes, p: number): Tensor {
  return bernoulli_(empty(sizes, x.dtype), 1 - p)
}

/** x * noise, with the noise scaled so that the mean stays. */
function dropped(x: Tensor, sizes: Sizes, p: number, inplace: boolean): Tensor {
  const noise = p === 1 ? x.newZeros([]) : mask(x, sizes, p).div_(1 - p)
  return inplace ? x.mul_(noise) : mul(x, noise)
}

function dropoutOp(name: string, python: string, sizesOf: (x: Tensor) => Sizes, unbatched: number): Dropout {
  return op({
    name,
    python: `nn.functional.${python}`,
    signature: 'input, p, training, inplace',
    differentiable: true,
    samples: (t) => [[t(3, 4), 0.5, false]],
    forward: (x: Tensor, p = 0.5, training = true, inplace = false) => {
      checkProbability(p)
      if (!training || p === 0 || x.count === 0) return x
      if (x.ndim !== unbatched) return dropped(x, sizesOf(x), p, inplace)
      const batch = unsqueeze(x, 0)
      return squeeze(dropped(batch, sizesOf(batch), p, inplace), 0)
    },
  })
}

const channels = (x: Tensor): Sizes => x.sizes.map((n, i) => (i < 2 ? n : 1))

/** Sets elements to 0 with probability p (0.5) and scales the others by 1 / (1 - p). */
export const dropout: Dropout = dropoutOp('dropout', 'dropout', (x) => x.sizes, -1)
/** As `dropout` for whole channels of [N, C, L] or [C, L]. */
export const dropout1d: Dropout = dropoutOp('dropout1d', 'dropout1d', channels, 2)
/** As `dropout` for whole channels of [N, C, H, W]. */
export const dropout2d: Dropout = dropoutOp('dropout2d', 'dropout2d', channels, -1)
/** As `dropout` for whole channels of [N, C, D, H, W] or [C, D, H, W]. */
export const dropout3d: Dropout = dropoutOp('dropout3d', 'dropout3d', channels, 4)

const ALPHA = 1.7580993408473766

/** Dropout that keeps mean and variance of what went through `selu`. */
export const alphaDropout: (
  x: Tensor,
  ...args: Args<[p?: number, training?: boolean, inplace?: boolean], DropoutOptions>
) => Tensor = op({
  name: 'alphaDropout',
  python: 'nn.functional.alpha_dropout',
  signature: 'input, p, training, inplace',
  differentiable: true,
  samples: (t) => [[t(3, 4), 0.5, false]],
  forward: (x: Tensor, p = 0.5, training = false, inplace = false) => {
    checkProbability(p)
    if (!training || p === 0 || x.count === 0) return x
    if (p === 1) return inplace ? x.mul_(x.newZeros([])) : mul(x, x.newZeros([]))
    const noise = mask(x, x.sizes, p)
    const a = 1 / Math.sqrt((ALPHA * ALPHA * p + 1) * (1 - p))
    const shift = noise
      .add(-1)
      .mul_(ALPHA * a)
      .add_(ALPHA * a * p)
    noise.mul_(a)
    return inplace ? x.mul_(noise).add_(shift) : add(mul(x, noise), shift)
  },
})
