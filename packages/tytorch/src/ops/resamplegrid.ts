// Sampling of images and volumes at the places of a grid, and the grids of affine maps.
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatList, formatSize } from '../base/format.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { div, mul } from './arithmetic.ts'
import { linspace, ones } from './create.ts'
import { stack } from './join.ts'
import { matmul } from './linear.ts'
import {
  type GridMode,
  type GridPadding,
  MODES,
  PADDINGS,
  positions,
  sampleGradients,
  type Taps,
  tapsOf,
  weighed,
} from './resampletaps.ts'

function sampled(x: Tensor, grid: Tensor, mode: GridMode, padding: GridPadding, align: boolean): Tensor {
  const rank = x.ndim - 2
  const sizes = x.sizes.slice(2)
  const flat = grid.reshape([grid.sizes[0], -1, rank])
  const planes = x.reshape([x.sizes[0], x.sizes[1], -1]).contiguous()
  const follows = isGradEnabled() && requiresGrad(grid)
  const axes = sizes.map((n) => ({ n, padding, align }))
  // The grid's last dimension is x, y(, z): the reverse of the sizes.
  const coordinates = axes.map((_, d) => flat.select(2, rank - 1 - d))
  const at = follows ? axes.map((axis, d) => positions(coordinates[d], axis, mode)) : []
  const from = follows ? at : coordinates
  const steps = axes.map((_, d) => numelOf(sizes.slice(d + 1)))
  const taps = tapsOf(from, !follows, axes, mode, steps)
  const out = weighed(planes, taps)
  const kept = taps.map((t): Taps => (follows ? { offsets: t.offsets, weights: [] } : t))
  const saved = kept.flatMap((t) => [...t.offsets, ...t.weights])
  record(out, `GridSampler${rank}DBackward0`, [planes, ...at], [planes, ...at, ...saved], (g, [px, ...rest], needs) => {
    let first = at.length
    const next = (list: readonly Tensor[]): Tensor[] => rest.slice(first, (first += list.length))
    const known = kept.map((t): Taps => ({ offsets: next(t.offsets), weights: next(t.weights) }))
    return sampleGradients(g, px, rest.slice(0, at.length), known, mode, needs)
  })
  return out.reshape([x.sizes[0], x.sizes[1], ...grid.sizes.slice(1, -1)])
}

function checkSampler(x: Tensor, grid: Tensor, mode: GridMode): void {
  const text = (t: Tensor): string => `[${t.sizes.join(', ')}]`
  if (x.sizes[0] !== grid.sizes[0]) {
    throw new RuntimeError(
      `grid_sampler(): expected grid and input to have same batch size, but got input with sizes ${text(x)} and grid with sizes ${text(grid)}`,
    )
  }
  if (x.ndim !== grid.ndim || (x.ndim !== 4 && x.ndim !== 5)) {
    throw new RuntimeError(
      `grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes ${text(x)} and grid with sizes ${text(grid)}`,
    )
  }
  if (grid.sizes[grid.ndim - 1] !== x.ndim - 2) {
    throw new RuntimeError(
      `grid_sampler(): expected grid to have size ${x.ndim - 2} in last dimension, but got grid with sizes ${text(grid)}`,
    )
  }
  const empty = x.sizes.findIndex((n, i) => i >= 2 && n === 0)
  if (empty >= 0) {
    throw new RuntimeError(
      `grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes ${text(x)} with dimension ${empty} being empty`,
    )
  }
  if (x.ndim === 5 && mode === 'bicubic')
    throw new RuntimeError('grid_sampler(): bicubic interpolation only supports 4D input')
  if (x.dtype !== grid.dtype) {
    throw new RuntimeError(
      `grid_sampler(): expected input and grid to have same dtype, but input has ${x.dtype.title} and grid has ${grid.dtype.title}`,
    )
  }
}

let warned = false
function alignOf(given: boolean | null): boolean {
  if (given === null && !warned) {
    warned = true
    console.warn(
      'UserWarning: Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.',
    )
  }
  return given ?? false
}

interface GridOptions {
  readonly mode?: GridMode
  /** What lies outside: zeros, the edge, or the reflected inside. */
  readonly paddingMode?: GridPadding
  /** -1 and 1 are the centres of the corner elements, not their outer edges. */
  readonly alignCorners?: boolean | null
}

/**
 * The values of `x` [N, C, H, W] (or [N, C, D, H, W]) at the places of `grid` [N, H', W', 2] (or [N, D', H', W', 3]), whose
 * coordinates x, y(, z) run from -1 to 1.
 */
export const gridSample: (
  x: Tensor,
  grid: Tensor,
  ...args: Args<[mode?: GridMode, paddingMode?: GridPadding, alignCorners?: boolean | null], GridOptions>
) => Tensor = op({
  name: 'gridSample',
  python: 'nn.functional.grid_sample',
  signature: 'input, grid, mode, padding_mode, align_corners',
  node: (x) => `GridSampler${x.ndim - 2}DBackward0`,
  differentiable: true,
  domain: { low: -0.8, high: 0.9 },
  samples: (t) => [
    [t(1, 1, 3, 4), t(1, 1, 2, 2), { alignCorners: false }],
    [t(1, 1, 2, 3), t(1, 1, 1, 2), 'bicubic', 'border', true],
    [t(1, 1, 2, 2, 2), t(1, 1, 1, 1, 3), 'bilinear', 'reflection', false],
  ],
  forward: (
    x: Tensor,
    grid: Tensor,
    mode: GridMode = 'bilinear',
    padding: GridPadding = 'zeros',
    alignCorners: boolean | null = null,
  ) => {
    if (!MODES.includes(mode)) {
      throw new ValueError(
        `nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '${mode}'`,
      )
    }
    if (!PADDINGS.includes(padding)) {
      throw new ValueError(
        `nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '${padding}'`,
      )
    }
    checkSampler(x, grid, mode)
    return sampled(x, grid, mode, padding, alignOf(alignCorners))
  },
})

type Sampler = (x: Tensor, grid: Tensor, mode: number, padding: number, alignCorners: boolean) => Tensor

const sampler = (rank: number): Sampler =>
  op({
    name: `gridSampler${rank}d`,
    node: `GridSampler${rank}DBackward0`,
    python: `grid_sampler_${rank}d`,
    signature: 'input, grid, interpolation_mode, padding_mode, align_corners',
    differentiable: true,
    domain: { low: -0.8, high: 0.9 },
    samples: (t) => [[t(1, 1, ...[2, 2, 3].slice(-rank)), t(1, ...[1, 1, 1].slice(-rank), rank), 0, 0, false]],
    forward: (x: Tensor, grid: Tensor, mode: number, padding: number, align: boolean) => {
      checkSampler(x, grid, MODES[mode])
      return sampled(x, grid, MODES[mode], PADDINGS[padding], align)
    },
  })

/** `gridSample` of images with PyTorch's numbers for the modes (0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1 border, 2 reflection). */
export const gridSampler2d: Sampler = sampler(2)
/** As `gridSampler2d` for volumes. */
export const gridSampler3d: Sampler = sampler(3)

/** Coordinates of `n` elements' centres from -1 to 1. */
function centres(n: number, align: boolean, like: Tensor): Tensor {
  if (n <= 1) return like.newZeros([n])
  const ends = linspace(-1, 1, n, { dtype: like.dtype })
  return align ? ends : div(mul(ends, n - 1), n)
}

/**
 * The grid [N, H, W, 2] (or [N, D, H, W, 3]) for `gridSample` that maps the result of sizes `size` [N, C, H, W] (or [N, C, D, H,
 * W]) by the affine maps `theta` [N, 2, 3] (or [N, 3, 4]).
 */
export const affineGrid: (
  theta: Tensor,
  size: Sizes,
  ...args: Args<[alignCorners?: boolean | null], { readonly alignCorners?: boolean | null }>
) => Tensor = op({
  name: 'affineGrid',
  python: 'nn.functional.affine_grid',
  signature: 'theta, size, align_corners',
  differentiable: true,
  samples: (t) => [
    [t(2, 2, 3), [2, 1, 3, 4], false],
    [t(1, 3, 4), [1, 1, 2, 3, 2], true],
  ],
  forward: (theta: Tensor, size: Sizes, alignCorners: boolean | null = null) => {
    const align = alignOf(alignCorners)
    if (!theta.dtype.isFloatingPoint)
      throw new ValueError(`Expected theta to have floating point type, but got ${theta.dtype}`)
    const rank = size.length - 2
    if (rank !== 2 && rank !== 3) {
      throw new NotImplementedError(
        `affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size ${formatList(size)}.`,
      )
    }
    if (theta.ndim !== 3 || theta.sizes[1] !== rank || theta.sizes[2] !== rank + 1) {
      throw new ValueError(
        `Expected a batch of ${rank}D affine matrices of shape Nx${rank}x${rank + 1} for size ${formatList(size)}. Got ${formatSize(theta.sizes)}.`,
      )
    }
    if (size.some((n) => n <= 0))
      throw new ValueError(`Expected non-zero, positive output size. Got ${formatList(size)}`)
    const spatial = size.slice(2)
    const axes = spatial.map((n, i) => {
      const shape = spatial.map((_, j) => (i === j ? n : 1))
      return centres(n, align, theta).view(shape).expand(spatial)
    })
    const base = stack([...axes.reverse(), ones(spatial, { dtype: theta.dtype })], -1).reshape([-1, rank + 1])
    return matmul(base, theta.transpose(1, 2)).reshape([size[0], ...spatial, rank])
  },
})
