// Embeddings: padding, frequencies, norms and bags. Expected numbers are PyTorch 2.13's.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'

const { nn } = torch
const F = nn.functional
const table = (): torch.Tensor => torch.arange(8).to(torch.float32).view(4, 2)
const indices = (...list: number[]): torch.Tensor => torch.tensor(list)

test('rows used twice get half the gradient by frequency; padding gets none', () => {
  const layer = new nn.Embedding(4, 2, { paddingIdx: 1, scaleGradByFreq: true, _weight: table() })
  layer(indices(1, 2, 2, 0))
    .sum()
    .backward()
  expect(layer.weight.grad?.tolist()).toEqual([[1, 1], [0, 0], [1, 1], [0, 0]]) // biome-ignore format: a matrix
})

test('a padding row starts as zeros', () => {
  const { weight } = new nn.Embedding(4, 2, -1)
  expect(weight.select(0, 3).tolist()).toEqual([0, 0])
  expect(weight.select(0, 2).abs().sum().item()).toBeGreaterThan(0)
})

test('rows longer than maxNorm are shortened in place, others stay', () => {
  const weight = table()
  const rows = F.embedding(indices(3, 0, 3), weight, { maxNorm: 2 })
  const [a, b] = rows.select(0, 0).tolist<number[]>()
  expect(a).toBeCloseTo(1.3015828, 6)
  expect(b).toBeCloseTo(1.5185132, 6)
  expect(weight.select(0, 3).tolist()).toEqual([a, b])
  expect(weight.select(0, 2).tolist()).toEqual([4, 5])
})

test('the gradient adds rows up in their order, in every float dtype', () => {
  for (const dtype of [torch.float64, torch.float32, torch.float16, torch.bfloat16]) {
    const weight = table().to(dtype).requiresGrad_()
    const at = torch.tensor([[3, 0], [3, 3]], { dtype: torch.int32 }) // biome-ignore format: a matrix
    F.embedding(at, weight).mul(2).sum().backward()
    expect(weight.grad?.dtype).toBe(dtype)
    expect(weight.grad?.tolist()).toEqual([[2, 2], [0, 0], [0, 0], [6, 6]]) // biome-ignore format: a matrix
  }
})

test('indices out of range and sparse gradients are refused', () => {
  expect(() => F.embedding(indices(4), table())).toThrow(torch.IndexError)
  expect(() => F.embedding(indices(-1), table())).toThrow('index out of range in self')
  expect(() => F.embedding(indices(1), table(), { sparse: true })).toThrow('sparse gradients are not supported')
  expect(() => F.embedding(torch.tensor([0.5]), table())).toThrow('Long, Int; but got torch.FloatTensor')
})

describe('bags', () => {
  test('maxima of ragged bags; an empty one is zeros', () => {
    const found = F.embeddingBag(indices(1, 2, 2, 0, 3), table(), indices(0, 2, 2), { mode: 'max' })
    expect(found.tolist()).toEqual([[4, 5], [0, 0], [6, 7]]) // biome-ignore format: a matrix
  })

  test('the last offset may be the end', () => {
    const options = { mode: 'mean', includeLastOffset: true } as const
    const [[a, b], [c, d]] = F.embeddingBag(indices(1, 2, 2, 0, 3), table(), indices(0, 2, 5), options).tolist<
      number[][]
    >()
    expect([a, b]).toEqual([3, 4])
    expect(c).toBeCloseTo(3.3333333, 6)
    expect(d).toBeCloseTo(4.3333333, 6)
  })

  test('offsets must start at 0', () => {
    expect(() => F.embeddingBag(indices(1, 2), table(), indices(1))).toThrow('offsets[0] has to be 0')
    expect(() => F.embeddingBag(indices(9), table(), indices(0))).toThrow(
      'Index 0 of input takes value 9 which is not in the valid range [0, 4)',
    )
  })

  test('a pretrained table is shared and frozen', () => {
    const weight = table()
    const bag = nn.EmbeddingBag.fromPretrained(weight, { mode: 'sum' })
    expect(bag.weight.requiresGrad).toBe(false)
    expect(bag(torch.tensor([[0, 3]])).tolist()).toEqual([[6, 8]])
    expect(String(bag)).toBe("EmbeddingBag(4, 2, mode='sum')")
    expect(bag.weight.storage).toBe(weight.storage)
  })
})

test('one-hot codes have as many classes as the largest index asks for', () => {
  expect(F.oneHot(torch.tensor([2, 0])).tolist()).toEqual([[0, 0, 1], [1, 0, 0]]) // biome-ignore format: a matrix
  expect(() => F.oneHot(indices(3), 2)).toThrow('Class values must be smaller than num_classes.')
  expect(() => F.oneHot(indices(-1))).toThrow('Class values must be non-negative.')
})
