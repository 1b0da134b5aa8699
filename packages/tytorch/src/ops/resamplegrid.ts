// Sampling of images and volumes at the places of a grid, and the grids of affine maps.
import { int32 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatList, formatSize } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { constant, gather, k, load } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { add, div, mul, rsub, sub } from './arithmetic.ts'
import { clamp, ge, logicalAnd, lt } from './compare.ts'
import { linspace, ones } from './create.ts'
import { stack } from './join.ts'
import { matmul } from './linear.ts'
import { where } from './masks.ts'
import { abs, floor, round } from './unary.ts'

const MODES = ['bilinear', 'nearest', 'bicubic'] as const
const PADDINGS = ['zeros', 'border', 'reflection'] as const
export type GridMode = (typeof MODES)[number]
export type GridPadding = (typeof PADDINGS)[number]

/** Coordinates in [-1, 1] as positions of elements along a dimension of `n`. */
function positions(grid: Tensor, n: number, align: boolean): Tensor {
  return align ? mul(div(add(grid, 1), 2), n - 1) : div(sub(mul(add(grid, 1), n), 1), 2)
}

/** Positions thrown back at both ends, `low` and `high` halves of elements, as often as it takes. */
function reflected(x: Tensor, low: number, high: number): Tensor {
  if (low === high) return mul(x, 0)
  const [start, span] = [low / 2, (high - low) / 2]
  const distance = abs(sub(x, start))
  const flips = floor(div(distance.detach(), span))
  const rest = sub(distance, mul(flips, span))
  const even = flips.remainder(2).eq(0)
  return where(even, add(rest, start), add(rsub(rest, span), start))
}

/** Positions brought into the range of a dimension as the padding asks. */
function bounded(x: Tensor, n: number, padding: GridPadding, align: boolean): Tensor {
  if (padding === 'zeros') return x
  const inside = padding === 'border' ? x : align ? reflected(x, 0, 2 * (n - 1)) : reflected(x, -1, 2 * n - 1)
  return clamp(inside, 0, n - 1)
}

/** Some whole positions along each dimension, with what they weigh. */
interface Corner {
  /** Positions [N, P], whole numbers, for each dimension. */
  readonly at: readonly Tensor[]
  readonly weight: Tensor | null
}

/** The elements [N, C, P] of `x` [N, C, ...] at whole positions, 0 outside. */
function elementsAt(x: Tensor, at: readonly Tensor[]): Tensor {
  const sizes = x.sizes.slice(2)
  const inside = at.map((t, i) => logicalAnd(ge(t, 0), lt(t, sizes[i]))).reduce((a, b) => logicalAnd(a, b))
  const index = at
    .map((t, i) => clamp(t.detach(), 0, sizes[i] - 1).int())
    .reduce((sum, t, i) => add(mul(sum, sizes[i]), t))
  return picked(x.reshape([x.sizes[0], x.sizes[1], -1]), where(inside, index, -1))
}

const kernels: (Kernel | undefined)[] = []

/** The elements [N, C, P] of planes `x` [N, C, S] at `index` [N, P] (int32), 0 where that is -1. */
function picked(given: Tensor, index: Tensor): Tensor {
  const x = given.contiguousLayout ? given : given.contiguous()
  const { dtype } = x
  const [n, c, size] = x.sizes
  const p = index.sizes[1]
  const type = dtype.compute
  const place = load(1, 'i32')
  const zero = constant(0, 'i32')
  kernels[dtype.index] ??= mapKernel(
    'gridSample',
    [
      { dtype, mode: 'read', per: 'element' },
      { dtype: int32, mode: 'read', per: 'element' },
      { dtype, mode: 'write', per: 'element' },
    ],
    [],
    [{ arg: 2, value: k.select(k.lt(place, zero), constant(0, type), gather(0, type, k.max(place, zero))) }],
  )
  const out = empty([n, c, p], dtype)
  if (out.count === 0) return out
  const step = dtype.itemsize
  device().launch(
    kernels[dtype.index] as Kernel,
    [n, c, p],
    [x.pointer, index.pointer, out.pointer],
    [
      [c * size * step, size * step, step],
      [p * 4, 0, 4],
      [c * p * step, p * step, step],
    ],
    [],
  )
  return record(out, 'GridSamplePickBackward0', [x], [index], (g, [at]) => [put(g, at, size)])
}

/** The adjoint of `picked`: elements added up at their positions in planes of `size`. */
function put(g: Tensor, index: Tensor, size: number): Tensor {
  const [n, c, p] = g.sizes
  const at = index.clampMin(0).long().unsqueeze(1).expand([n, c, p])
  const out = g.newZeros([n, c, size]).scatterAdd_(2, at, g.detach().maskedFill(lt(index, 0).unsqueeze(1), 0))
  return record(out, 'GridSamplePutBackward0', [g], [index], (gg, [to]) => [picked(gg, to)])
}

/** The 2^d elements around each position. */
function corners(at: readonly Tensor[]): Corner[] {
  return at.reduce<Corner[]>(
    (list, t) => {
      const low = floor(t.detach())
      const rest = sub(t, low)
      return list.flatMap((c) =>
        [[low, rsub(rest, 1)] as const, [add(low, 1), rest] as const].map(([position, weight]) => ({
          at: [...c.at, position],
          weight: c.weight ? mul(c.weight, weight) : weight,
        })),
      )
    },
    [{ at: [], weight: null }],
  )
}

/** Keys' cubic convolution of the 4 x 4 elements around each position. */
function bicubic(x: Tensor, at: readonly Tensor[], bound: (t: Tensor, i: number) => Tensor): Tensor {
  const parts = at.map((t, i) => {
    const low = floor(t.detach())
    const rest = sub(t, low)
    const weights = cubicTensors(rest)
    return [-1, 0, 1, 2].map((d, j) => ({ at: bound(add(low, d), i), weight: weights[j] }))
  })
  const rows = parts[0].map((row) => {
    const terms = parts[1].map((column) => mul(elementsAt(x, [row.at, column.at]), column.weight.unsqueeze(1)))
    return mul(
      terms.reduce((a, b) => add(a, b)),
      row.weight.unsqueeze(1),
    )
  })
  return rows.reduce((a, b) => add(a, b))
}

/** The weights of four elements around a place, at these fractions after the second. */
function cubicTensors(t: Tensor): Tensor[] {
  const a = -0.75
  const near = (x: Tensor): Tensor => add(mul(mul(sub(mul(x, a + 2), a + 3), x), x), 1)
  const far = (x: Tensor): Tensor => sub(mul(add(mul(sub(mul(x, a), 5 * a), x), 8 * a), x), 4 * a)
  return [far(add(t, 1)), near(t), near(rsub(t, 1)), far(rsub(t, 2))]
}

function sampled(x: Tensor, grid: Tensor, mode: GridMode, padding: GridPadding, align: boolean): Tensor {
  const rank = x.ndim - 2
  const sizes = x.sizes.slice(2)
  const places = grid.sizes.slice(1, -1)
  const flat = grid.reshape([grid.sizes[0], -1, rank])
  // The grid's last dimension is x, y(, z): the reverse of the sizes.
  const raw = sizes.map((n, i) => positions(flat.select(2, rank - 1 - i), n, align))
  const bound = (t: Tensor, i: number): Tensor => bounded(t, sizes[i], padding, align)
  let out: Tensor
  if (mode === 'bicubic') out = bicubic(x, raw, bound)
  else if (mode === 'nearest')
    out = elementsAt(
      x,
      raw.map((t, i) => round(bound(t.detach(), i))),
    )
  else {
    out = corners(raw.map(bound))
      .map(({ at, weight }) => mul(elementsAt(x, at), (weight as Tensor).unsqueeze(1)))
      .reduce((a, b) => add(a, b))
  }
  const shaped = out.reshape([x.sizes[0], x.sizes[1], ...places])
  if (mode !== 'nearest' || !isGradEnabled() || !requiresGrad(grid)) return shaped
  // The nearest element does not depend on small moves: the grid's gradient is zero, not absent.
  const { sizes: gridSizes } = grid
  const node = `GridSampler${rank}DBackward0`
  return record(shaped.detach(), node, [shaped, grid], [], (g) => [g, g.newZeros(gridSizes)])
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
