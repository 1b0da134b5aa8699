// Division by norms: of vectors, and of neighbouring channels.
import { ValueError } from '../base/errors.ts'
import { type Args, op } from '../tensor/define.ts'
import type { Dim } from '../tensor/reduce.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { add, div, mul, pow } from './arithmetic.ts'
import { constantPadNd } from './pad.ts'
import { narrow } from './slice.ts'
import { norm } from './statistics.ts'

interface NormalizeOptions {
  readonly p?: number
  readonly dim?: Dim
  /** The least that a norm counts as. */
  readonly eps?: number
}

/** x / max(norm, eps), with the p-norm over `dim` (1). */
export const normalize: (x: Tensor, ...args: Args<[p?: number, dim?: Dim, eps?: number], NormalizeOptions>) => Tensor =
  op({
    name: 'normalize',
    python: 'nn.functional.normalize',
    signature: 'input, p, dim, eps',
    differentiable: true,
    samples: (t) => [[t(3, 4)], [t(3, 4), 1, 0], [t(2, 3, 4), 3, -1]],
    forward: (x: Tensor, p = 2, dim: Dim = 1, eps = 1e-12) => div(x, norm(x, p, dim, true).clampMin(eps)),
  })

interface LocalOptions {
  readonly alpha?: number
  readonly beta?: number
  readonly k?: number
}

/**
 * x / (k + alpha * mean of the squares of `size` neighbouring channels)^beta, for [N, C, ...] (Krizhevsky et al., 2012);
 * channels beyond the first and last count as zeros.
 */
export const localResponseNorm: (
  x: Tensor,
  size: number,
  ...args: Args<[alpha?: number, beta?: number, k?: number], LocalOptions>
) => Tensor = op({
  name: 'localResponseNorm',
  python: 'nn.functional.local_response_norm',
  signature: 'input, size, alpha, beta, k',
  differentiable: true,
  samples: (t) => [
    [t(2, 4, 3), 3],
    [t(2, 4, 2, 2), 2, 0.5, 0.5, 2],
  ],
  forward: (x: Tensor, size: number, alpha = 1e-4, beta = 0.75, k = 1) => {
    if (x.ndim < 3) {
      throw new ValueError(
        `Expected 3D or higher dimensionality                          input (got ${x.ndim} dimensions)`,
      )
    }
    if (x.count === 0) return x
    const channels = x.sizes[1]
    const squares = mul(x, x).flatten(2)
    const padded = constantPadNd(squares, [0, 0, Math.floor(size / 2), Math.floor((size - 1) / 2)])
    let total = narrow(padded, 1, 0, channels)
    for (let i = 1; i < size; i++) total = add(total, narrow(padded, 1, i, channels))
    // PyTorch averages integers to integers.
    const mean = x.dtype.isFloatingPoint ? div(total, size) : div(total, size, { roundingMode: 'trunc' })
    const scale = pow(add(mul(mean, alpha), k), beta)
    return div(x, scale.reshape(x.sizes))
  },
})
