// Sorting, scanning and counting against PyTorch's answers, NaN, ties and long rows included.
import { describe, expect, it } from 'vitest'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const f32 = { dtype: torch.float32 }
const floats = (data: torch.TensorData): Tensor => torch.tensor(data, f32)
const lists = (result: Iterable<Tensor>): unknown[] => [...result].map((t) => t.tolist())
const { NaN: nan } = Number

describe('sort', () => {
  it('is stable, puts NaN last (first if descending), and works along any dimension', () => {
    expect(lists(floats([1, nan, 0, nan]).sort())).toEqual([[0, 1, nan, nan], [2, 0, 1, 3]]) // biome-ignore format: two rows
    expect(lists(floats([1, nan, 0, nan]).sort({ descending: true }))).toEqual([[nan, nan, 1, 0], [1, 3, 0, 2]]) // biome-ignore format: two rows
    expect(lists(floats([0, -0, 0]).sort())).toEqual([[0, -0, 0], [0, 1, 2]]) // biome-ignore format: two rows
    expect(torch.tensor([[3, 1], [0, 5]]).sort(0).values.tolist()).toEqual([[0, 1], [3, 5]]) // biome-ignore format: a matrix
    expect(torch.tensor([true, false]).sort().values.tolist()).toEqual([false, true])
    expect(torch.tensor(3).sort().indices.item()).toBe(0)
    expect(torch.zeros(0, 3).sort(0).values.numel()).toBe(0)
  })

  it('agrees with Array.sort on long rows of every dtype', () => {
    torch.manualSeed(0)
    const numbers = torch.randn(2000, { dtype: torch.float64 }).mul(1000)
    for (const dtype of [
      torch.float64,
      torch.float32,
      torch.float16,
      torch.bfloat16,
      torch.int64,
      torch.int32,
      torch.int16,
    ]) {
      const x = numbers.to(dtype)
      const { values, indices } = x.sort()
      const expected = x.tolist<number[]>().sort((a, b) => a - b)
      expect(values.tolist()).toEqual(expected)
      expect(x.at(indices).tolist()).toEqual(expected)
      expect(x.argsort({ descending: true }).at(0).item()).toBe(x.argmax().item())
    }
  })

  it('picks and gives gradients back', () => {
    const x = torch.tensor([[3, 1, 2], [4, 6, 5]], { ...f32, requiresGrad: true }) // biome-ignore format: a matrix
    const { values, indices } = x.topk(2)
    expect(values.tolist()).toEqual([[3, 2], [6, 5]]) // biome-ignore format: a matrix
    expect(indices.tolist()).toEqual([[0, 2], [1, 2]]) // biome-ignore format: a matrix
    expect(values.gradFn?.name).toBe('TopkBackward0')
    values
      .mul(floats([10, 1]))
      .sum()
      .backward()
    expect(x.grad?.tolist()).toEqual([[10, 0, 1], [0, 10, 1]]) // biome-ignore format: a matrix
    expect(x.topk(1, { largest: false }).values.tolist()).toEqual([[1], [4]])
    expect(x.kthvalue(2).values.tolist()).toEqual([2, 5])
    expect(() => x.topk(4)).toThrow('selected index k out of range')
    expect(() => x.kthvalue(0)).toThrow('selected number k out of range')
  })

  it('median, nanmedian, mode, quantile', () => {
    expect(floats([4, 1, 2, 3]).median().item()).toBe(2)
    expect(lists(floats([1, nan, 2]).median(0))).toEqual([nan, 1])
    expect(floats([1, nan, 3, 2]).nanmedian().item()).toBe(2)
    expect(lists(torch.tensor([3, 2, 2, 1, 1, 2, 1]).mode())).toEqual([1, 6])
    expect(
      floats([3, 1, 2])
        .quantile(floats([0.25, 0.5]))
        .tolist(),
    ).toEqual([1.5, 2])
    expect(floats([3, 1, 2, 4]).quantile(0.5, { interpolation: 'lower' }).item()).toBe(2)
    expect(floats([1, nan]).quantile(0).item()).toBe(nan)
    expect(floats([1, nan]).nanquantile(1).item()).toBe(1)
    expect(() => torch.zeros(0, 3).median(0)).toThrow('median(): Expected reduction dim 0 to have non-zero size.')
  })
})

describe('scans', () => {
  it('cumsum, cumprod, cummax, cummin, logcumsumexp, diff', () => {
    const x = torch.tensor([[1, 2], [3, 4]]) // biome-ignore format: a matrix
    expect(x.cumsum(0).tolist()).toEqual([[1, 2], [4, 6]]) // biome-ignore format: a matrix
    expect(x.cumprod(-1).tolist()).toEqual([[1, 2], [3, 12]]) // biome-ignore format: a matrix
    expect(torch.tensor([true, true]).cumsum(0).tolist()).toEqual([1, 2])
    expect(x.cumsum(0, { dtype: torch.float32 }).dtype).toBe(torch.float32)
    expect(lists(floats([1, nan, 0, 3]).cummax(0))).toEqual([[1, nan, nan, nan], [0, 1, 1, 1]]) // biome-ignore format: two rows
    expect(lists(floats([1, 1, 0, 1]).cummax(0))).toEqual([[1, 1, 1, 1], [0, 1, 1, 3]]) // biome-ignore format: two rows
    expect(floats([0, 0]).logcumsumexp(0).at(1).item()).toBeCloseTo(Math.LN2, 6)
    expect(floats([1, 2, 4]).diff().tolist()).toEqual([1, 2])
    const a = torch.tensor([2, 0, 3], { ...f32, requiresGrad: true })
    a.cumprod(0).sum().backward()
    expect(a.grad?.tolist()).toEqual([1, 8, 0])
    expect(torch.trapezoid(floats([1, 2, 4])).item()).toBe(4.5)
    expect(torch.cumulativeTrapezoid(floats([1, 2, 4]), floats([0, 1, 3])).tolist()).toEqual([1.5, 7.5])
  })
})

describe('counting', () => {
  it('unique and uniqueConsecutive', () => {
    const x = torch.tensor([[2, 1], [2, 3]]) // biome-ignore format: a matrix
    expect(lists(x.unique({ returnInverse: true, returnCounts: true }))).toEqual([[1, 2, 3], [[1, 0], [1, 2]], [1, 2, 1]]) // biome-ignore format: three
    expect(lists(floats([1, nan, 0, nan]).unique({ returnInverse: true, returnCounts: true }))).toEqual([[0, 1, nan, nan], [1, 2, 0, 3], [1, 1, 1, 1]]) // biome-ignore format: three
    expect(lists(torch.tensor([[3, 4], [1, 2], [1, 2]]).unique({ dim: 0, returnCounts: true }))).toEqual([[[1, 2], [3, 4]], [2, 1]]) // biome-ignore format: two
    expect(torch.tensor([1, 1, 2, 2, 1]).uniqueConsecutive().tolist()).toEqual([1, 2, 1])
    expect(floats([]).unique().tolist()).toEqual([])
  })

  it('bincount, histc, searchsorted, bucketize, isin', () => {
    expect(torch.tensor([1, 5, 2]).bincount().tolist()).toEqual([0, 1, 1, 0, 0, 1])
    expect(
      torch
        .tensor([1, 1])
        .bincount(torch.tensor([0.5, 1]), 4)
        .tolist(),
    ).toEqual([0, 1.5, 0, 0])
    expect(() => torch.tensor([-1]).bincount()).toThrow('bincount only supports 1-d non-negative integral inputs.')
    expect(floats([1, 2, 3]).histc(4).tolist()).toEqual([1, 0, 1, 1])
    expect(floats([1, 2, 3]).histc(4, 0, 2).tolist()).toEqual([0, 0, 1, 1])
    expect(torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 6])).tolist()).toEqual([1, 3])
    expect(torch.searchsorted(torch.tensor([1, 3, 5]), 3, { right: true }).item()).toBe(2)
    expect(torch.bucketize(floats([3, 6]), floats([1, 3, 5])).tolist()).toEqual([1, 3])
    expect(torch.isin(torch.tensor([1, 2, 3]), torch.tensor([2])).tolist()).toEqual([false, true, false])
  })
})

it.each([torch.float32, torch.float64, torch.int64])('topk of few finds what sort finds: %s', (dtype) => {
  torch.manualSeed(3)
  const x = torch.randint(-20, 20, [6, 90]).to(dtype)
  for (const largest of [true, false]) {
    for (const k of [1, 7, 16, 17]) {
      const [values, indices] = torch.topk(x, k, { largest })
      const [sorted, order] = x.sort({ descending: largest })
      expect(values.tolist()).toEqual(sorted.narrow(1, 0, k).tolist())
      expect(indices.tolist()).toEqual(order.narrow(1, 0, k).tolist())
    }
  }
})
