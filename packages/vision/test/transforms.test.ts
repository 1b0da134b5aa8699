// Transforms against values worked out by hand, their draws, their errors, and grids.
import * as torch from 'tytorch'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  CenterCrop,
  Compose,
  functional,
  makeGrid,
  Normalize,
  RandomCrop,
  RandomHorizontalFlip,
  RandomResizedCrop,
  Resize,
  ToTensor,
} from '../src/index.ts'

const ramp = (c: number, h: number, w: number) =>
  torch
    .arange(c * h * w)
    .view(c, h, w)
    .to(torch.uint8)
const sizes = (x: torch.Tensor) => [...x.shape]

beforeEach(() => {
  torch.manualSeed(0)
})

describe('ToTensor and Normalize', () => {
  it('scales uint8 to 0..1 and puts channels first', () => {
    const hwc = torch.tensor([
      [
        [0, 51, 255],
        [102, 153, 204],
      ],
    ])
    const out = new ToTensor().forward(hwc.to(torch.uint8).view(1, 2, 3))
    expect(sizes(out)).toEqual([1, 2, 3]) // one channel first: [C, H, W]
    const laid = new ToTensor({ layout: 'HWC' }).forward(hwc.to(torch.uint8))
    expect(String(laid.dtype)).toBe('torch.float32')
    expect(laid.equal(torch.tensor([[[0, 0.4]], [[0.2, 0.6]], [[1, 0.8]]]))).toBe(true)
    expect(sizes(new ToTensor().forward(ramp(5, 6, 3)))).toEqual([3, 5, 6])
    expect(sizes(new ToTensor().forward(ramp(1, 5, 6).squeeze(0)))).toEqual([1, 5, 6])
    const floats = torch.rand(3, 5, 6)
    expect(new ToTensor().forward(floats).equal(floats)).toBe(true)
    expect(() => new ToTensor().forward(ramp(5, 6, 7))).toThrow('1 to 4 channels neither first nor last')
    expect(() => new ToTensor().forward(torch.zeros(1, 1, 1, 1))).toThrow('pic should be 2/3 dimensional. Got 4')
  })

  it('takes the mean off and divides by the deviation', () => {
    const image = torch.tensor([[[1, 2]], [[3, 4]]], { dtype: torch.float32 })
    expect(new Normalize([1, 2], [0.5, 4]).forward(image).tolist()).toEqual([[[0, 2]], [[0.25, 0.5]]])
    expect(image.tolist()).toEqual([[[1, 2]], [[3, 4]]])
    expect(() => new Normalize([1], [1]).forward(ramp(1, 2, 2))).toThrow(
      'Input tensor should be a float tensor. Got torch.uint8.',
    )
    expect(() => new Normalize([0], [0]).forward(image)).toThrow('leading to division by zero')
    expect(() => new Normalize([0, 0, 0], [1, 1, 1]).forward(image)).toThrow('3 values for an image of 2 channels')
  })
})

describe('Resize', () => {
  it('averages with a triangle where it shrinks, and interpolates where it grows', () => {
    const row = torch.tensor([[[0, 16, 32, 48]]], { dtype: torch.float32 })
    // Weights 3, 3, 1 of 7 at the left end, and mirrored at the right one.
    const half = functional.resize(row, [1, 2]).tolist<number[][][]>()[0][0]
    expect(half[0]).toBeCloseTo((3 * 0 + 3 * 16 + 32) / 7, 4)
    expect(half[1]).toBeCloseTo((3 * 48 + 3 * 32 + 16) / 7, 4)
    expect(functional.resize(row, [2, 8]).tolist()).toEqual([
      [
        [0, 4, 12, 20, 28, 36, 44, 48],
        [0, 4, 12, 20, 28, 36, 44, 48],
      ],
    ])
    expect(functional.resize(row.to(torch.uint8), [1, 2]).tolist()).toEqual([[[11, 37]]])
    expect(functional.resize(row.to(torch.int64), [1, 2]).tolist()).toEqual([[[11, 37]]])
    const column = functional.resize(row.view(1, 4, 1), [2, 1])
    expect(column.flatten().tolist()).toEqual(half)
  })

  it('takes one number for the shorter side', () => {
    expect(sizes(new Resize(4).forward(ramp(3, 8, 11)))).toEqual([3, 4, 5])
    expect(sizes(new Resize(4).forward(ramp(3, 11, 8)))).toEqual([3, 5, 4])
    expect(sizes(new Resize([2, 9]).forward(torch.rand(2, 3, 5, 5)))).toEqual([2, 3, 2, 9])
    expect(() => new Resize(0)).toThrow(torch.ValueError)
    expect(() => new Resize(4).forward(torch.zeros(3))).toThrow('not [..., H, W]')
    expect(() => new Resize(4).forward('x' as never)).toThrow('img should be a tensor [..., H, W]. Got string')
  })
})

describe('crops and flips', () => {
  it('cuts the middle, with zeros where there is none', () => {
    expect(new CenterCrop(2).forward(ramp(1, 4, 4)).tolist()).toEqual([
      [
        [5, 6],
        [9, 10],
      ],
    ])
    // 5 - 2 = 3 leaves 1.5 above, which goes to the even neighbour.
    expect(new CenterCrop([2, 1]).forward(ramp(1, 5, 1)).tolist()).toEqual([[[2], [3]]])
    expect(new CenterCrop(3).forward(ramp(1, 2, 2).add(1)).tolist()).toEqual([
      [
        [1, 2, 0],
        [3, 4, 0],
        [0, 0, 0],
      ],
    ])
  })

  it('crops where torch.randint says', () => {
    const image = ramp(1, 5, 7)
    torch.manualSeed(3)
    const [top, left] = [torch.randint(0, 4, [1]).item(), torch.randint(0, 5, [1]).item()]
    torch.manualSeed(3)
    const cut = new RandomCrop([2, 3]).forward(image)
    expect(cut.equal(functional.crop(image, top, left, 2, 3))).toBe(true)
    expect(new RandomCrop([5, 7]).forward(image)).toBe(image)
    expect(sizes(new RandomCrop(9, { padIfNeeded: true }).forward(image))).toEqual([1, 9, 9])
    expect(sizes(new RandomCrop(7, { padding: [0, 1] }).forward(image))).toEqual([1, 7, 7])
    expect(() => new RandomCrop(6).forward(image)).toThrow(
      'Required crop size (6, 6) is larger than input image size (5, 7)',
    )
    expect(functional.pad(ramp(1, 1, 1), [1, 0, 2, 1], 9).tolist()).toEqual([
      [
        [9, 0, 9, 9],
        [9, 9, 9, 9],
      ],
    ])
  })

  it('reaches every place and both sides', () => {
    const seen = new Set<number>()
    for (let i = 0; i < 200; i++) seen.add(new RandomCrop(1).forward(ramp(1, 3, 3)).item())
    expect(seen.size).toBe(9)
    const pair = ramp(1, 1, 2)
    let flipped = 0
    for (let i = 0; i < 200; i++) flipped += new RandomHorizontalFlip().forward(pair).at(0, 0, 0).item()
    expect(flipped).toBeGreaterThan(70)
    expect(flipped).toBeLessThan(130)
    expect(new RandomHorizontalFlip(1).forward(pair).tolist()).toEqual([[[1, 0]]])
    expect(new RandomHorizontalFlip(0).forward(pair)).toBe(pair)
    expect(() => new RandomHorizontalFlip(2)).toThrow('p must be in [0, 1], got 2')
  })

  it('crops and resizes, and falls back to the middle', () => {
    const crop = new RandomResizedCrop(8)
    for (let i = 0; i < 20; i++) expect(sizes(crop.forward(ramp(3, 9, 6)))).toEqual([3, 8, 8])
    // No crop of a strip has a ratio near 1 and all of its area: ten draws fail, and the middle is taken.
    const strip = torch.arange(10).view(1, 1, 10).to(torch.float32)
    const middle = new RandomResizedCrop(1, { scale: [1, 1], ratio: [1, 1] }).forward(strip)
    expect(middle.item()).toBe(4)
    expect(() => new RandomResizedCrop(8, { scale: [1, 0.5] })).toThrow('scale must be [from, to]')
  })
})

describe('Compose', () => {
  it('takes objects with forward, modules and functions', () => {
    const transform = new Compose([new ToTensor(), new torch.nn.ReLU(), (x: torch.Tensor) => x.mul(2)])
    expect(transform.forward(ramp(1, 1, 2)).tolist()).toEqual([[[0, 2 * Math.fround(1 / 255)]]])
    expect(() => new Compose([3 as never])).toThrow('Compose: transform 0 is neither a function nor')
  })
})

describe('makeGrid', () => {
  it('lays images out in rows with padding', () => {
    const images = torch.arange(1, 4).view(3, 1, 1, 1).expand(3, 3, 1, 1).to(torch.float32)
    const grid = makeGrid(images, { nrow: 2, padding: 1, padValue: 9 })
    expect(sizes(grid)).toEqual([3, 5, 5])
    expect(grid.select(0, 0).tolist()).toEqual([
      [9, 9, 9, 9, 9],
      [9, 1, 9, 2, 9],
      [9, 9, 9, 9, 9],
      [9, 3, 9, 9, 9],
      [9, 9, 9, 9, 9],
    ])
    expect(sizes(makeGrid(torch.zeros(4, 3, 224, 224)))).toEqual([3, 228, 906])
    expect(sizes(makeGrid([torch.zeros(1, 4, 5), torch.zeros(1, 4, 5)]))).toEqual([3, 8, 16])
    expect(sizes(makeGrid(torch.zeros(4, 5)))).toEqual([3, 4, 5])
  })

  it('normalizes all together or each for itself', () => {
    const images = torch.tensor([0, 2, 2, 4]).view(2, 1, 1, 2).to(torch.float32)
    const first = (options: object) => makeGrid(images, { padding: 0, normalize: true, ...options }).select(0, 0)
    expect(first({}).tolist()).toEqual([[0, 0.5, 0.5, 1]])
    expect(first({ scaleEach: true }).tolist()).toEqual([[0, 1, 0, 1]])
    expect(first({ valueRange: [0, 2] }).tolist()).toEqual([[0, 1, 1, 1]])
    expect(() => makeGrid(torch.zeros(0, 3, 2, 2))).toThrow('makeGrid takes images [B, C, H, W]')
    expect(() => makeGrid(images, { nrow: 0 })).toThrow('nrow must be above 0')
  })
})
