// Interpolation of images and signals to other sizes: the taps of each mode, by PyTorch's formulas and in its precision.
import { type DType, float64, uint8 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatList } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from './adaptive.ts'
import { resampled, type Taps } from './resample.ts'

export type InterpolateMode =
  | 'nearest'
  | 'nearest-exact'
  | 'linear'
  | 'bilinear'
  | 'trilinear'
  | 'bicubic'
  | 'area'
  | 'lanczos'

/** Input elements per output element, rounded as the kernels' precision has it. */
type Round = (x: number) => number
const roundOf = (dtype: DType): Round => (dtype === float64 ? (x) => x : Math.fround)

function scaleOf(n: number, out: number, scale: number | null, align: boolean, round: Round): number {
  if (align) return out > 1 ? round((n - 1) / (out - 1)) : 0
  return scale !== null && scale > 0 ? round(1 / scale) : round(n / out)
}

/** Where an output element lies in the input. */
function placeOf(scale: number, o: number, align: boolean, round: Round): number {
  return align ? round(scale * o) : round(round(scale * round(o + 0.5)) - 0.5)
}

function nearestTaps(n: number, out: number, scale: number | null, exact: boolean): Taps {
  const step = scaleOf(n, out, scale, false, Math.fround)
  const at = Array.from({ length: out }, (_, o) => {
    if (exact) return [Math.min(Math.floor(Math.fround(Math.fround(o + 0.5) * step)), n - 1)]
    if (out === n) return [o]
    if (out === 2 * n) return [o >> 1]
    return [Math.min(Math.floor(Math.fround(o * step)), n - 1)]
  })
  return { from: n, at, weights: null }
}

/** The element at or before a place, and the fraction beyond it. */
function split(place: number, n: number, round: Round): { index: number; rest: number } {
  const index = Math.min(Math.floor(place), n - 1)
  return { index, rest: round(Math.min(Math.max(place - index, 0), 1)) }
}

function linearTaps(n: number, out: number, scale: number | null, align: boolean, round: Round): Taps | null {
  if (n === out) return null
  const step = scaleOf(n, out, scale, align, round)
  const list = Array.from({ length: out }, (_, o) => split(Math.max(placeOf(step, o, align, round), 0), n, round))
  return {
    from: n,
    at: list.map(({ index }) => [index, Math.min(index + 1, n - 1)]),
    weights: list.map(({ rest }) => [round(1 - rest), rest]),
  }
}

/** Keys' cubic convolution at a distance up to 1, and from 1 to 2. */
const cubicNear = (x: number, a: number): number => ((a + 2) * x - (a + 3)) * x * x + 1
const cubicFar = (x: number, a: number): number => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

/** The weights of the four elements around a place at fraction `t` after the second. */
function cubicWeights(t: number): number[] {
  const a = -0.75
  return [cubicFar(t + 1, a), cubicNear(t, a), cubicNear(1 - t, a), cubicFar(2 - t, a)]
}

function cubicTaps(n: number, out: number, scale: number | null, align: boolean, round: Round): Taps {
  const step = scaleOf(n, out, scale, align, round)
  const list = Array.from({ length: out }, (_, o) => split(placeOf(step, o, align, round), n, round))
  return {
    from: n,
    at: list.map(({ index }) => [-1, 0, 1, 2].map((d) => Math.min(Math.max(index + d, 0), n - 1))),
    weights: list.map(({ rest }) => cubicWeights(rest)),
  }
}

interface Filter {
  /** The distance at which it ends, in output elements. */
  readonly support: number
  readonly at: (x: number) => number
}
const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))
const FILTERS = {
  bilinear: { support: 1, at: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: {
    support: 2,
    at: (x) => {
      const d = Math.abs(x)
      return d < 1 ? cubicNear(d, -0.5) : d < 2 ? cubicFar(d, -0.5) : 0
    },
  },
  lanczos: { support: 3, at: (x) => (x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, Filter>

/** Taps of a filter that widens with the scale, so that nothing is skipped when shrinking. */
function filterTaps(f: Filter, n: number, out: number, scale: number | null, align: boolean, round: Round): Taps {
  const step = scaleOf(n, out, scale, align, round)
  const support = round(step >= 1 ? f.support * step : f.support)
  const narrow = step >= 1 ? round(1 / step) : 1
  const list = Array.from({ length: out }, (_, o) => {
    const center = round(step * (o + 0.5))
    const start = Math.max(Math.trunc(round(center - support + 0.5)), 0)
    const count = Math.min(Math.trunc(round(center + support + 0.5)), n) - start
    const weights = Array.from({ length: count }, (_, j) => f.at((j + start - center + 0.5) * narrow))
    const total = weights.reduce((a, b) => a + b, 0)
    return { start, weights: total === 0 ? weights : weights.map((w) => w / total) }
  })
  return {
    from: n,
    at: list.map(({ start, weights }) => weights.map((_, j) => start + j)),
    weights: list.map(({ weights }) => weights),
  }
}

/** What PyTorch's kernels are called, for messages and nodes. */
const TITLES: Record<string, string> = {
  nearest: 'UpsampleNearest',
  'nearest-exact': 'UpsampleNearestExact',
  linear: 'UpsampleLinear',
  bilinear: 'UpsampleBilinear',
  trilinear: 'UpsampleTrilinear',
  bicubic: 'UpsampleBicubic',
  lanczos: 'UpsampleLanczos',
}

interface Target {
  readonly size: Sizes
  readonly scales: readonly (number | null)[]
}

function resize(
  x: Tensor,
  mode: Exclude<InterpolateMode, 'area'>,
  target: Target,
  align: boolean,
  antialias: boolean,
): Tensor {
  const { size, scales } = target
  const rank = size.length
  const input = x.sizes.slice(2)
  if ([...input, ...size].some((n) => n <= 0)) {
    throw new RuntimeError(
      `Input and output sizes should be greater than 0, but got input (${input.join(', ')}) and output (${size.join(', ')})`,
    )
  }
  if (x.sizes[1] === 0) {
    throw new RuntimeError(
      `Non-empty ${rank + 2}D data tensor expected but got a tensor with sizes [${x.sizes.join(', ')}]`,
    )
  }
  const name = `${TITLES[mode]}${rank}D${antialias ? 'Aa' : ''}`
  const nearest = mode === 'nearest' || mode === 'nearest-exact'
  if (!x.dtype.isFloatingPoint && !(nearest && x.dtype === uint8)) {
    const kernel = nearest
      ? 'compute_indices_weights_nearest'
      : `compute_indices_weights_${mode === 'bicubic' ? 'cubic' : 'linear'}`
    throw new NotImplementedError(`"${kernel}" not implemented for '${x.dtype.title}'`)
  }
  const round = roundOf(x.dtype)
  const taps = input.map((n, i): Taps | null => {
    const [out, scale] = [size[i], scales[i]]
    if (antialias) return filterTaps(FILTERS[mode as keyof typeof FILTERS], n, out, scale, align, round)
    if (nearest) return nearestTaps(n, out, scale, mode === 'nearest-exact')
    if (mode === 'bicubic') return cubicTaps(n, out, scale, align, round)
    return linearTaps(n, out, scale, align, round)
  })
  return resampled(x, taps, `${name}Backward`)
}

interface InterpolateOptions {
  /** The spatial sizes of the result. */
  readonly size?: number | Sizes | null
  /** Or how many times the input's they are. */
  readonly scaleFactor?: number | readonly number[] | null
  readonly mode?: InterpolateMode
  /** Corner elements' centres meet, instead of their corners. */
  readonly alignCorners?: boolean | null
  /** Takes the scale from the sizes, which are whole, instead of `scaleFactor`. */
  readonly recomputeScaleFactor?: boolean | null
  /** Widens the filter when shrinking; for 'bilinear', 'bicubic' and 'lanczos'. */
  readonly antialias?: boolean
}

/** The sizes asked for, and the scales if they were given. Throws ValueError unless exactly one of them is. */
function targetOf(
  x: Tensor,
  size: number | Sizes | null,
  factor: number | readonly number[] | null,
  recompute: boolean,
): Target {
  const rank = x.ndim - 2
  const input = x.sizes.slice(2)
  if (size !== null && factor !== null) throw new ValueError('only one of size or scale_factor should be defined')
  if (size !== null) {
    if (typeof size !== 'number' && size.length !== rank) {
      throw new ValueError(
        `Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of ${formatList(input)} and output size of ${formatList(size)}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format.`,
      )
    }
    if (recompute) throw new ValueError('recompute_scale_factor is not meaningful with an explicit size.')
    return { size: typeof size === 'number' ? input.map(() => size) : size, scales: input.map(() => null) }
  }
  if (factor === null) throw new ValueError('either size or scale_factor should be defined')
  if (typeof factor !== 'number' && factor.length !== rank) {
    throw new ValueError(
      `Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of ${formatList(input)} and scale_factor of shape ${formatList(factor)}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format.`,
    )
  }
  const factors = typeof factor === 'number' ? input.map(() => factor) : factor
  const sizes = input.map((n, i) => Math.floor(n * factors[i]))
  return { size: sizes, scales: recompute ? input.map(() => null) : factors }
}

const MODES: Record<number, readonly string[]> = {
  3: ['nearest', 'nearest-exact', 'area', 'linear'],
  4: ['nearest', 'nearest-exact', 'area', 'bilinear', 'bicubic', 'lanczos'],
  5: ['nearest', 'nearest-exact', 'area', 'trilinear'],
}
const NEEDS: Record<string, number> = { linear: 3, bilinear: 4, bicubic: 4, lanczos: 4, trilinear: 5 }

/** [N, C, L], [N, C, H, W] or [N, C, D, H, W] at another size or scale. */
export const interpolate: (
  x: Tensor,
  ...args: Args<
    [
      size?: number | Sizes | null,
      scaleFactor?: number | readonly number[] | null,
      mode?: InterpolateMode,
      alignCorners?: boolean | null,
      recomputeScaleFactor?: boolean | null,
      antialias?: boolean,
    ],
    InterpolateOptions
  >
) => Tensor = op({
  name: 'interpolate',
  python: 'nn.functional.interpolate',
  signature: 'input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias',
  differentiable: true,
  samples: (t) => [
    [t(1, 2, 5), 8],
    [t(1, 2, 5), { scaleFactor: 1.7, mode: 'linear' }],
    [t(1, 2, 4, 5), [6, 3], { mode: 'bilinear' }],
    [t(1, 2, 4, 5), [3, 7], { mode: 'bilinear', alignCorners: true }],
    [t(1, 2, 4, 5), [6, 3], { mode: 'bicubic' }],
    [t(1, 2, 5, 6), [3, 4], { mode: 'bilinear', antialias: true }],
    [t(1, 2, 4, 5), [3, 2], { mode: 'area' }],
    [t(1, 2, 3, 2, 3), { scaleFactor: 2, mode: 'trilinear' }],
    [t(1, 2, 4, 3), { scaleFactor: [2, 1.5], mode: 'nearest-exact' }],
  ],
  forward: (
    x: Tensor,
    size: number | Sizes | null = null,
    scaleFactor: number | readonly number[] | null = null,
    mode: InterpolateMode = 'nearest',
    alignCorners: boolean | null = null,
    recompute: boolean | null = null,
    antialias = false,
  ) => {
    const plain = mode === 'nearest' || mode === 'area' || mode === 'nearest-exact'
    if (plain && alignCorners !== null) {
      throw new ValueError(
        'align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear',
      )
    }
    const target = targetOf(x, size, scaleFactor, (recompute ?? false) || (mode === 'area' && size === null))
    if (antialias && !(['bilinear', 'bicubic', 'lanczos'].includes(mode) && x.ndim === 4)) {
      throw new ValueError(
        'Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input',
      )
    }
    if (!MODES[x.ndim]?.includes(mode)) {
      if (MODES[x.ndim] && NEEDS[mode]) {
        throw new NotImplementedError(`Got ${x.ndim}D input, but ${mode} mode needs ${NEEDS[mode]}D input`)
      }
      throw new NotImplementedError(
        `Input Error: Only 3D, 4D and 5D input Tensors supported (got ${x.ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got ${mode})`,
      )
    }
    if (mode === 'lanczos') {
      if (alignCorners) throw new ValueError('Lanczos mode does not support align_corners=True')
      if (!antialias) throw new ValueError('Lanczos mode requires antialias=True')
    }
    if (mode === 'area') return [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d][x.ndim - 3](x, target.size)
    return resize(x, mode, target, alignCorners ?? false, antialias)
  },
})

interface SizeOptions {
  readonly size?: number | Sizes | null
  readonly scaleFactor?: number | readonly number[] | null
}
type Upsample = (
  x: Tensor,
  ...args: Args<[size?: number | Sizes | null, scaleFactor?: number | readonly number[] | null], SizeOptions>
) => Tensor

/** Deprecated in PyTorch: `interpolate` with mode 'nearest'. */
export const upsampleNearest: Upsample = op({
  name: 'upsampleNearest',
  python: 'nn.functional.upsample_nearest',
  signature: 'input, size, scale_factor',
  differentiable: true,
  samples: (t) => [[t(1, 2, 4, 3), { scaleFactor: 2 }]],
  forward: (x: Tensor, size: number | Sizes | null = null, scaleFactor: number | readonly number[] | null = null) =>
    interpolate(x, size, scaleFactor, { mode: 'nearest' }),
})

/** Deprecated in PyTorch: `interpolate` with mode 'bilinear' and aligned corners. */
export const upsampleBilinear: Upsample = op({
  name: 'upsampleBilinear',
  python: 'nn.functional.upsample_bilinear',
  signature: 'input, size, scale_factor',
  differentiable: true,
  samples: (t) => [[t(1, 2, 4, 3), [5, 6]]],
  forward: (x: Tensor, size: number | Sizes | null = null, scaleFactor: number | readonly number[] | null = null) =>
    interpolate(x, size, scaleFactor, { mode: 'bilinear', alignCorners: true }),
})

interface ScaleOptions {
  readonly scalesH?: number | null
  readonly scalesW?: number | null
  readonly scaleFactors?: readonly number[] | null
}
/** `interpolate` of [N, C, H, W] with mode 'bilinear' and antialiasing, as PyTorch's kernel of that name takes it. */
export const _upsampleBilinear2dAa: (
  x: Tensor,
  ...args: Args<
    [outputSize: Sizes | null, alignCorners: boolean, scalesH?: number | null, scalesW?: number | null],
    ScaleOptions & { readonly outputSize?: Sizes | null; readonly alignCorners?: boolean }
  >
) => Tensor = op({
  name: '_upsampleBilinear2dAa',
  python: '_upsample_bilinear2d_aa',
  signature: 'input, output_size, align_corners, scales_h, scales_w, *, scale_factors',
  differentiable: true,
  samples: (t) => [[t(1, 2, 5, 6), [3, 4], false]],
  forward: (
    x: Tensor,
    size: Sizes | null,
    align: boolean,
    scalesH: number | null = null,
    scalesW: number | null = null,
    factors: readonly number[] | null = null,
  ) => {
    const target = size ? { size, scales: factors ?? [scalesH, scalesW] } : targetOf(x, null, factors, false)
    return resize(x, 'bilinear', target, align, true)
  },
})
