// Rearranging channels and space: pixel shuffle and its inverse, and the shuffle of channel groups.
import { RuntimeError } from '../base/errors.ts'
import { op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'

function checkFactor(name: string, what: string, x: Tensor, factor: number): void {
  if (x.ndim < 3) {
    throw new RuntimeError(
      `${name} expects input to have at least 3 dimensions, but got input with ${x.ndim} dimension(s)`,
    )
  }
  if (!(factor > 0)) throw new RuntimeError(`${name} expects a positive ${what}, but got ${factor}`)
}

/** [*, C r r, H, W] as [*, C, H r, W r]: channels become pixels of squares of side `upscaleFactor`. */
export const pixelShuffle: (x: Tensor, upscaleFactor: number | { readonly upscaleFactor: number }) => Tensor = op({
  name: 'pixelShuffle',
  python: 'nn.functional.pixel_shuffle',
  signature: 'input, upscale_factor',
  node: 'PixelShuffleBackward0',
  differentiable: true,
  samples: (t) => [
    [t(8, 2, 3), 2],
    [t(2, 9, 2, 1), 3],
  ],
  forward: (x: Tensor, r: number) => {
    checkFactor('pixel_shuffle', 'upscale_factor', x, r)
    const [c, h, w] = x.sizes.slice(-3)
    if (c % (r * r) !== 0) {
      throw new RuntimeError(
        `pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=${c} is not divisible by ${r * r}`,
      )
    }
    const lead = x.sizes.slice(0, -3)
    const n = lead.length
    const order = [...lead.map((_, i) => i), n, n + 3, n + 1, n + 4, n + 2]
    return x
      .reshape([...lead, c / (r * r), r, r, h, w])
      .permute(order)
      .reshape([...lead, c / (r * r), h * r, w * r])
  },
})

/** [*, C, H r, W r] as [*, C r r, H, W]: the inverse of `pixelShuffle`. */
export const pixelUnshuffle: (x: Tensor, downscaleFactor: number | { readonly downscaleFactor: number }) => Tensor = op(
  {
    name: 'pixelUnshuffle',
    python: 'nn.functional.pixel_unshuffle',
    signature: 'input, downscale_factor',
    node: 'PixelUnshuffleBackward0',
    differentiable: true,
    samples: (t) => [
      [t(2, 4, 6), 2],
      [t(2, 1, 3, 6), 3],
    ],
    forward: (x: Tensor, r: number) => {
      checkFactor('pixel_unshuffle', 'downscale_factor', x, r)
      const [c, h, w] = x.sizes.slice(-3)
      for (const [what, size, dim] of [
        ['height', h, -2],
        ['width', w, -1],
      ] as const) {
        if (size % r !== 0) {
          throw new RuntimeError(
            `pixel_unshuffle expects ${what} to be divisible by downscale_factor, but input.size(${dim})=${size} is not divisible by ${r}`,
          )
        }
      }
      const lead = x.sizes.slice(0, -3)
      const n = lead.length
      const order = [...lead.map((_, i) => i), n, n + 2, n + 4, n + 1, n + 3]
      return x
        .reshape([...lead, c, h / r, r, w / r, r])
        .permute(order)
        .reshape([...lead, c * r * r, h / r, w / r])
    },
  },
)

/** The channels of [N, C, *], seen as `groups` rows, read by columns. */
export const channelShuffle: (x: Tensor, groups: number | { readonly groups: number }) => Tensor = op({
  name: 'channelShuffle',
  python: 'nn.functional.channel_shuffle',
  signature: 'input, groups',
  node: 'ChannelShuffleBackward0',
  differentiable: true,
  samples: (t) => [
    [t(2, 4, 3), 2],
    [t(1, 6, 2, 2), 3],
  ],
  forward: (x: Tensor, groups: number) => {
    if (x.ndim < 3)
      throw new RuntimeError(
        `channel_shuffle expects input with > 2 dims, but got input with sizes [${x.sizes.join(', ')}]`,
      )
    if (!(groups > 0))
      throw new RuntimeError(`Number of groups to divide channels in must be positive. Value of groups:${groups}`)
    const [n, c, ...rest] = x.sizes
    if (c % groups !== 0) {
      throw new RuntimeError(`Number of channels must be divisible by groups. Got ${c} channels and ${groups} groups.`)
    }
    return x
      .reshape([n, groups, c / groups, ...rest])
      .transpose(1, 2)
      .reshape([...x.sizes])
  },
})
