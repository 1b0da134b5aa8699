// Average and power-average pooling over windows of one to three dimensions.

import { bfloat16, float16, float32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { div, mul, pow } from './arithmetic.ts'
import { relu } from './compare.ts'
import { maxPool1d, maxPool2d, maxPool3d } from './pool.ts'
import { type Divisors, table, windowMean, windowSpread } from './poolkernel.ts'
import { type Extents, extents, type Windows, windowsOf } from './poolshape.ts'
import { abs, neg, sign } from './unary.ts'

interface AvgPoolOptions {
  readonly stride?: Extents | null
  readonly padding?: Extents
  /** Also counts windows that lie partly outside. */
  readonly ceilMode?: boolean
  /** Borders count as zeros (true by default), or for nothing. */
  readonly countIncludePad?: boolean
  /** Divides instead of the number of elements. */
  readonly divisorOverride?: number | null
}
type AvgPool = (
  x: Tensor,
  kernelSize: Extents,
  ...args: Args<
    [
      stride?: Extents | null,
      padding?: Extents,
      ceilMode?: boolean,
      countIncludePad?: boolean,
      divisorOverride?: number | null,
    ],
    AvgPoolOptions
  >
) => Tensor

/** How many elements each window has along a dimension. */
function counts(w: Windows, dim: number, includePad: boolean): number[] {
  return Array.from({ length: w.output[dim] }, (_, o) => {
    const start = o * w.stride[dim] - w.pad[dim]
    const end = Math.min(start + w.kernel[dim], w.input[dim] + w.pad[dim])
    return includePad ? end - start : Math.min(end, w.input[dim]) - Math.max(start, 0)
  })
}

/** The mean of windows, differentiable any number of times. */
export function averaged(x: Tensor, w: Windows, divisors: Divisors, node: string): Tensor {
  const { sizes, dtype } = x
  // Partial sums are not rounded to half precision.
  const half = dtype === float16 || dtype === bfloat16
  const out = half ? windowMean(x.detach().to(float32), w, divisors).to(dtype) : windowMean(x, w, divisors)
  return record(out, node, [x], [], (g) => [averagedBackward(g, w, divisors, sizes, node)])
}

function averagedBackward(g: Tensor, w: Windows, divisors: Divisors, sizes: Sizes, node: string): Tensor {
  const { rank } = w
  const shares = divisors.slice(3 - rank).reduce((t, list, i) => {
    const same = list.every((n) => n === list[0])
    if (same) return list[0] === 1 ? t : div(t, list[0])
    return div(t, table(list, g.dtype).view(list.length, ...Array.from({ length: rank - 1 - i }, () => 1)))
  }, g.detach())
  const out = windowSpread(shares, null, w, sizes)
  return record(out, node.replace('Backward0', 'BackwardBackward0'), [g], [], (gg) => [averaged(gg, w, divisors, node)])
}

function avgPool(rank: number): AvgPool {
  const python = `avg_pool${rank}d`
  const node = `AvgPool${Math.max(rank, 2)}DBackward0`
  return op({
    name: `avgPool${rank}d`,
    ...(rank === 1 ? { lastNode: 'SqueezeBackward1' } : {}),
    python: rank === 1 ? 'nn.functional.avg_pool1d' : `nn.functional.${python}`,
    signature: `input, kernel_size, stride, padding, ceil_mode, count_include_pad${rank === 1 ? '' : ', divisor_override'}`,
    differentiable: true,
    samples: (t) => {
      const at = (...sizes: number[]): Tensor => t(rank === 3 ? 1 : 2, ...sizes.slice(-rank))
      return [
        [at(2, 4, 6), 2],
        [at(3, 3, 4), 3, { stride: 2, padding: 1 }],
        [at(3, 4, 5), 3, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }],
        [at(3, 4, 6), 4, { stride: 2, padding: 2, ceilMode: true }],
        ...(rank === 1 ? [] : [[at(2, 3, 3), 2, { stride: 1, divisorOverride: 3 }]]),
      ]
    },
    forward: (
      x: Tensor,
      kernel: Extents,
      stride?: Extents | null,
      padding?: Extents,
      ceil?: boolean,
      countIncludePad = true,
      divisorOverride: number | null = null,
    ) => {
      const w = windowsOf(python, x, rank, { kernel, stride, padding, ceil })
      if (divisorOverride === 0) throw new RuntimeError('divisor must be not zero')
      if (!x.dtype.isFloatingPoint && x.dtype !== int64)
        throw new NotImplementedError(`"avg_pool${Math.max(rank, 2)}d" not implemented for '${x.dtype.title}'`)
      const divisors =
        divisorOverride === null
          ? [0, 1, 2].map((dim) => counts(w, dim, countIncludePad))
          : w.output.map((n, dim) => Array.from({ length: n }, () => (dim === 2 ? divisorOverride : 1)))
      return averaged(x, w, divisors, node)
    },
  })
}

/** The mean of each window of [N, C, L] or [C, L]. `stride` is the kernel's size if absent. */
export const avgPool1d: AvgPool = avgPool(1)
/** As `avgPool1d` for [N, C, H, W] or [C, H, W]. */
export const avgPool2d: AvgPool = avgPool(2)
/** As `avgPool1d` for [N, C, D, H, W] or [C, D, H, W]. */
export const avgPool3d: AvgPool = avgPool(3)

interface LpPoolOptions {
  readonly stride?: Extents | null
  readonly ceilMode?: boolean
}
type LpPool = (
  x: Tensor,
  normType: number,
  kernelSize: Extents,
  ...args: Args<[stride?: Extents | null, ceilMode?: boolean], LpPoolOptions>
) => Tensor

function lpPool(rank: number): LpPool {
  return op({
    name: `lpPool${rank}d`,
    python: `nn.functional.lp_pool${rank}d`,
    signature: 'input, norm_type, kernel_size, stride, ceil_mode',
    differentiable: true,
    domain: { low: 0.5, high: 2 },
    samples: (t) => [
      [t(2, ...[4, 6, 8].slice(-rank)), 2, 2],
      [t(2, ...[4, 5, 7].slice(-rank)), 3, 3, { stride: 2, ceilMode: true }],
      [t(2, ...[4, 5, 7].slice(-rank)), Number.POSITIVE_INFINITY, 2],
    ],
    forward: (x: Tensor, p: number, kernelSize: Extents, stride?: Extents | null, ceilMode = false) => {
      const largest = [maxPool1d, maxPool2d, maxPool3d][rank - 1]
      const pooled = (t: Tensor): Tensor => largest(t, kernelSize, { stride: stride ?? null, ceilMode }) as Tensor
      if (p === Number.POSITIVE_INFINITY) return pooled(abs(x))
      if (p === Number.NEGATIVE_INFINITY) return neg(pooled(neg(abs(x))))
      const places = extents(`lp_pool${rank}d`, 'kernel_size', kernelSize, rank).reduce((a, b) => a * b, 1)
      const average = [avgPool1d, avgPool2d, avgPool3d][rank - 1]
      const means = average(pow(x, p), kernelSize, { stride: stride ?? null, ceilMode })
      return pow(mul(mul(sign(means), relu(abs(means))), places), 1 / p)
    },
  })
}

/** The p-norm of each window of [N, C, L] or [C, L]: (sum of x^p)^(1/p); the largest for infinity. */
export const lpPool1d: LpPool = lpPool(1)
/** As `lpPool1d` for [N, C, H, W] or [C, H, W]. */
export const lpPool2d: LpPool = lpPool(2)
/** As `lpPool1d` for [N, C, D, H, W] or [C, D, H, W]. */
export const lpPool3d: LpPool = lpPool(3)
