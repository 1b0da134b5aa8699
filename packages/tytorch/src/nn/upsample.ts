// Resizing and rearranging of images as modules.
import { formatArguments, formatFloat, formatString, formatTuple } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { channelShuffle, pixelShuffle, pixelUnshuffle } from '../ops/pixel.ts'
import { type InterpolateMode, interpolate } from '../ops/resampleimage.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

type Factor = number | readonly number[]

interface SizeOptions {
  readonly size?: number | Sizes | null
  readonly scaleFactor?: Factor | null
}
interface UpsampleOptions extends SizeOptions {
  readonly mode?: InterpolateMode
  readonly alignCorners?: boolean | null
  readonly recomputeScaleFactor?: boolean | null
}

/** [N, C, L], [N, C, H, W] or [N, C, D, H, W] at another size or scale; see `interpolate`. */
export class Upsample extends Module {
  readonly size: number | Sizes | null
  readonly scaleFactor: Factor | null
  readonly mode: InterpolateMode
  readonly alignCorners: boolean | null
  readonly recomputeScaleFactor: boolean | null

  constructor(
    ...args: Args<
      [
        size?: number | Sizes | null,
        scaleFactor?: Factor | null,
        mode?: InterpolateMode,
        alignCorners?: boolean | null,
        recomputeScaleFactor?: boolean | null,
      ],
      UpsampleOptions
    >
  ) {
    super()
    const [size = null, scaleFactor = null, mode = 'nearest', alignCorners = null, recompute = null] = named<
      [number | Sizes | null, Factor | null, InterpolateMode, boolean | null, boolean | null]
    >('Upsample', 'size, scale_factor, mode, align_corners, recompute_scale_factor', args)
    this.size = size
    this.scaleFactor = scaleFactor
    this.mode = mode
    this.alignCorners = alignCorners
    this.recomputeScaleFactor = recompute
  }

  forward(input: Tensor): Tensor {
    const { size, scaleFactor, mode, alignCorners, recomputeScaleFactor } = this
    return interpolate(input, size, scaleFactor, { mode, alignCorners, recomputeScaleFactor })
  }

  override extraRepr(): string {
    const { size, scaleFactor, mode } = this
    const asFloat = (n: number): string => (Number.isInteger(n) ? `${n}.0` : formatFloat(n))
    const factors = (given: Factor): string =>
      typeof given === 'number' ? asFloat(given) : `(${given.map(asFloat).join(', ')}${given.length === 1 ? ',' : ''})`
    const sizes = (given: number | Sizes | null): string =>
      given === null ? 'None' : typeof given === 'number' ? String(given) : formatTuple(given)
    const first = scaleFactor === null ? `size=${sizes(size)}` : `scale_factor=${factors(scaleFactor)}`
    return `${first}, mode=${formatString(mode)}`
  }
}

type SizeArgs = Args<[size?: number | Sizes | null, scaleFactor?: Factor | null], SizeOptions>

function sizeAndFactor(name: string, args: SizeArgs): UpsampleOptions {
  const [size = null, scaleFactor = null] = named<[number | Sizes | null, Factor | null]>(
    name,
    'size, scale_factor',
    args,
  )
  return { size, scaleFactor }
}

/** `Upsample` of images [N, C, H, W] with mode 'nearest'. */
export class UpsamplingNearest2d extends Upsample {
  constructor(...args: SizeArgs) {
    super({ ...sizeAndFactor('UpsamplingNearest2d', args), mode: 'nearest' })
  }
}

/** `Upsample` of images [N, C, H, W] with mode 'bilinear' and aligned corners. */
export class UpsamplingBilinear2d extends Upsample {
  constructor(...args: SizeArgs) {
    super({ ...sizeAndFactor('UpsamplingBilinear2d', args), mode: 'bilinear', alignCorners: true })
  }
}

/** [*, C r r, H, W] as [*, C, H r, W r], for the factor r (https://arxiv.org/abs/1609.05158). */
export class PixelShuffle extends Module {
  readonly upscaleFactor: number

  constructor(upscaleFactor: number | { readonly upscaleFactor: number }) {
    super()
    this.upscaleFactor = named<[number]>('PixelShuffle', 'upscale_factor', [upscaleFactor])[0] as number
  }

  forward(input: Tensor): Tensor {
    return pixelShuffle(input, this.upscaleFactor)
  }

  override extraRepr(): string {
    return formatArguments([], { upscaleFactor: this.upscaleFactor })
  }
}

/** [*, C, H r, W r] as [*, C r r, H, W]: the inverse of `PixelShuffle`. */
export class PixelUnshuffle extends Module {
  readonly downscaleFactor: number

  constructor(downscaleFactor: number | { readonly downscaleFactor: number }) {
    super()
    this.downscaleFactor = named<[number]>('PixelUnshuffle', 'downscale_factor', [downscaleFactor])[0] as number
  }

  forward(input: Tensor): Tensor {
    return pixelUnshuffle(input, this.downscaleFactor)
  }

  override extraRepr(): string {
    return formatArguments([], { downscaleFactor: this.downscaleFactor })
  }
}

/** The channels of [N, C, *], seen as `groups` rows, read by columns. */
export class ChannelShuffle extends Module {
  readonly groups: number

  constructor(groups: number | { readonly groups: number }) {
    super()
    this.groups = named<[number]>('ChannelShuffle', 'groups', [groups])[0] as number
  }

  forward(input: Tensor): Tensor {
    return channelShuffle(input, this.groups)
  }

  override extraRepr(): string {
    return formatArguments([], { groups: this.groups })
  }
}
