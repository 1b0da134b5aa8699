// Interpolation, grid sampling and pixel shuffles against PyTorch: recorded calls, errors, printed forms.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn } from '../src/index.ts'
import { answer, casesOf, formula } from './sampled.ts'

const F = nn.functional

describe.each(casesOf(/interpolate|grid_sample/))('$name $x.shape $args', (c) => {
  test('answers and goes back as in PyTorch', () => {
    const ours = answer(c)
    expect(ours.shape).toEqual(c.shape)
    expect(ours.sum).toBeCloseTo(c.sum, 8)
    expect(ours.grad).toBeCloseTo(c.grad, 8)
  })
})

describe('interpolate', () => {
  const x = formula([1, 2, 4, 6])

  test('an infinity stays where it is taken from', () => {
    const y = torch.tensor([[[1, 2, Number.POSITIVE_INFINITY, 4, 5, 6]]])
    const out = F.interpolate(y, [4], { mode: 'area' }).flatten().tolist<number[]>()
    expect(out).toEqual([1.5, Number.POSITIVE_INFINITY, 4.5, 5.5])
  })

  test('half precision is rounded once', () => {
    const half = x.half()
    const ours = F.interpolate(half, [7, 5], { mode: 'bilinear' })
    const exact = F.interpolate(half.float(), [7, 5], { mode: 'bilinear' }).half()
    expect(ours.tolist()).toEqual(exact.tolist())
  })

  test.each([
    [() => F.interpolate(x), /either size or scale_factor should be defined/],
    [() => F.interpolate(x, [2, 2], { scaleFactor: 2 }), /only one of size or scale_factor should be defined/],
    [() => F.interpolate(x, [2]), /Input and output must have the same number of spatial dimensions/],
    [() => F.interpolate(x, 2, { alignCorners: true }), /align_corners option can only be set with the interpolating modes/],
    [() => F.interpolate(x, 2, { mode: 'linear' }), /Got 4D input, but linear mode needs 3D input/],
    [() => F.interpolate(x.select(0, 0), 2, { mode: 'bilinear' }), /Got 3D input, but bilinear mode needs 4D input/],
    [() => F.interpolate(x, 2, { mode: 'nearest', antialias: true }), /Anti-alias option is restricted to bilinear, bicubic, and lanczos modes/],
    [() => F.interpolate(x, [0, 2]), /Input and output sizes should be greater than 0/],
    [() => F.interpolate(x, [2, 2], { recomputeScaleFactor: true }), /recompute_scale_factor is not meaningful with an explicit size/],
    [() => F.gridSample(x, torch.zeros(1, 2, 2, 3)), /expected grid to have size 2 in last dimension/],
    [() => F.pixelShuffle(torch.zeros(1, 3, 2, 2), 2), /input.size\(-3\)=3 is not divisible by 4/],
    [() => F.pixelUnshuffle(torch.zeros(1, 3, 3, 2), 2), /expects height to be divisible by downscale_factor/],
    [() => F.channelShuffle(torch.zeros(1, 3, 2), 2), /Got 3 channels and 2 groups/],
  ] as [() => unknown, RegExp][])('throws %#', (run, message) => {
    expect(run).toThrow(message)
  }) // biome-ignore format: a table
})

test('the identity grid gives the image back', () => {
  const x = formula([2, 3, 4, 5])
  const theta = torch.tensor([[1, 0, 0], [0, 1, 0]], { dtype: torch.float64 }).expand([2, 2, 3]) // biome-ignore format: a matrix
  for (const alignCorners of [true, false]) {
    const grid = F.affineGrid(theta, [2, 3, 4, 5], { alignCorners })
    expect(torch.allclose(F.gridSample(x, grid, { alignCorners }), x, { atol: 1e-12 })).toBe(true)
  }
})

test('pixel shuffles undo each other', () => {
  const x = torch.arange(16).reshape(1, 4, 2, 2)
  const y = new nn.PixelShuffle(2)(x)
  expect(y.tolist()).toEqual([[[[0, 4, 1, 5], [8, 12, 9, 13], [2, 6, 3, 7], [10, 14, 11, 15]]]]) // biome-ignore format: a matrix
  expect(torch.equal(new nn.PixelUnshuffle(2)(y), x)).toBe(true)
  const channels = F.channelShuffle(torch.arange(4).reshape(1, 4, 1), 2).flatten()
  expect(channels.tolist()).toEqual([0, 2, 1, 3])
})

test.each([
  [new nn.Upsample({ scaleFactor: 2 }), "Upsample(scale_factor=2.0, mode='nearest')"],
  [new nn.Upsample({ size: [3, 4], mode: 'bilinear', alignCorners: true }), "Upsample(size=(3, 4), mode='bilinear')"],
  [new nn.Upsample({ scaleFactor: [1.5, 2], mode: 'bicubic' }), "Upsample(scale_factor=(1.5, 2.0), mode='bicubic')"],
  [new nn.UpsamplingNearest2d({ scaleFactor: 3 }), "UpsamplingNearest2d(scale_factor=3.0, mode='nearest')"],
  [new nn.UpsamplingBilinear2d({ size: 4 }), "UpsamplingBilinear2d(size=4, mode='bilinear')"],
  [new nn.PixelShuffle(3), 'PixelShuffle(upscale_factor=3)'],
  [new nn.ChannelShuffle(2), 'ChannelShuffle(groups=2)'],
] as [nn.Module, string][])('%s prints as in PyTorch', (module, text) => {
  expect(String(module)).toBe(text)
}) // biome-ignore format: a table
