// Joining tensors and bringing them to a common shape.
import { describe, expect, it } from 'vitest'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const f32 = { dtype: torch.float32 }
const floats = (data: torch.TensorData): Tensor => torch.tensor(data, f32)
const counting = (...sizes: number[]): Tensor =>
  torch
    .arange(
      sizes.reduce((a, b) => a * b, 1),
      f32,
    )
    .view(sizes)

describe('cat', () => {
  it('joins along any dimension, through strides', () => {
    const x = counting(2, 3)
    expect(torch.cat([x, x.neg()]).tolist()).toEqual([[0, 1, 2], [3, 4, 5], [-0, -1, -2], [-3, -4, -5]]) // biome-ignore format: a matrix
    expect(torch.cat([x, x.at(':', ':1')], 1).tolist()).toEqual([[0, 1, 2, 0], [3, 4, 5, 3]]) // biome-ignore format: a matrix
    expect(torch.cat([x.t(), x.t()], -1).at(1).tolist()).toEqual([1, 4, 1, 4])
    expect(torch.concat([x, x], { dim: 1 }).shape.toString()).toBe('torch.Size([2, 6])')
  })

  it('promotes dtypes, skips empty vectors, keeps empty results', () => {
    expect(torch.cat([torch.tensor([1, 2]), floats([0.5])]).dtype).toBe(torch.float32)
    expect(torch.cat([torch.tensor([true]), torch.tensor([2])]).tolist()).toEqual([1, 2])
    expect(torch.cat([torch.tensor([]), counting(2, 2)]).tolist()).toEqual([[0, 1], [2, 3]]) // biome-ignore format: a matrix
    expect([...torch.cat([torch.zeros(0, 3), torch.zeros(0, 3)]).shape]).toEqual([0, 3])
    expect(torch.cat([torch.zeros(0), torch.zeros(0)]).numel()).toBe(0)
  })

  it('gives each input its part of the gradient, in its dtype', () => {
    const a = torch.ones(2, 1, { requiresGrad: true })
    const b = torch.ones(2, 2, { dtype: torch.float64, requiresGrad: true })
    const out = torch.cat([a, b], 1)
    expect(out.gradFn?.name).toBe('CatBackward0')
    out.mul(counting(2, 3)).sum().backward()
    expect(a.grad?.tolist()).toEqual([[0], [3]])
    expect(b.grad?.tolist()).toEqual([[1, 2], [4, 5]]) // biome-ignore format: a matrix
    expect(a.grad?.dtype).toBe(torch.float32)
    expect(b.grad?.dtype).toBe(torch.float64)
  })

  it('refuses what does not fit', () => {
    const x = counting(2, 3)
    expect(() => torch.cat([])).toThrow('expected a non-empty list of Tensors')
    expect(() => torch.cat([x, counting(3)])).toThrow('Tensors must have same number of dimensions: got 2 and 1')
    expect(() => torch.cat([x, counting(2, 4)])).toThrow(
      'Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list.',
    )
    expect(() => torch.cat([torch.tensor(1)])).toThrow('zero-dimensional tensor (at position 0) cannot be concatenated')
    expect(() => torch.cat(x as unknown as Tensor[])).toThrow(
      "argument 'tensors' must be an array of Tensors, not Tensor",
    )
    expect(() => torch.cat([x, x], { out: x })).toThrow('some elements of the input tensor and the written-to tensor')
    expect(
      torch
        .cat([x, x], { out: torch.zeros(4, 3) })
        .at(3)
        .tolist(),
    ).toEqual([3, 4, 5])
  })
})

describe('stack and its kin', () => {
  it('stack adds a dimension', () => {
    const x = counting(2, 3)
    expect([...torch.stack([x, x]).shape]).toEqual([2, 2, 3])
    expect(torch.stack([x, x.neg()], -1).at(1, 2).tolist()).toEqual([5, -5])
    const a = torch.tensor(2, { ...f32, requiresGrad: true })
    const out = torch.stack([a, a.mul(3)])
    expect(out.gradFn?.name).toBe('StackBackward0')
    out.sum().backward()
    expect(a.grad?.item()).toBe(4)
    expect(() => torch.stack([torch.zeros(3), torch.zeros(4)])).toThrow(
      'stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at entry 1',
    )
  })

  it('hstack, vstack, dstack, columnStack, blockDiag', () => {
    const a = torch.tensor([1, 2])
    const b = torch.tensor([3, 4])
    expect(torch.hstack([a, b]).tolist()).toEqual([1, 2, 3, 4])
    expect(torch.vstack([a, b]).tolist()).toEqual([[1, 2], [3, 4]]) // biome-ignore format: a matrix
    expect(torch.dstack([a, b]).tolist()).toEqual([[[1, 3], [2, 4]]]) // biome-ignore format: a matrix
    expect(torch.columnStack([a, b]).tolist()).toEqual([[1, 3], [2, 4]]) // biome-ignore format: a matrix
    expect(torch.blockDiag(a, torch.tensor([[3], [4]])).tolist()).toEqual([[1, 2, 0], [0, 0, 3], [0, 0, 4]]) // biome-ignore format: a matrix
    expect(torch.hstack([torch.tensor(1), torch.tensor(2)]).tolist()).toEqual([1, 2])
  })
})

describe('common shapes', () => {
  it('meshgrid, cartesianProd, broadcastTensors, broadcastShapes', () => {
    const [x, y] = [torch.tensor([1, 2, 3]), torch.tensor([4, 5])]
    const [i, j] = torch.meshgrid(x, y)
    expect(i.tolist()).toEqual([[1, 1], [2, 2], [3, 3]]) // biome-ignore format: a matrix
    expect(j.tolist()).toEqual([[4, 5], [4, 5], [4, 5]]) // biome-ignore format: a matrix
    const [u, v] = torch.meshgrid([x, y], { indexing: 'xy' })
    expect(u.tolist()).toEqual([[1, 2, 3], [1, 2, 3]]) // biome-ignore format: a matrix
    expect(v.tolist()).toEqual([[4, 4, 4], [5, 5, 5]]) // biome-ignore format: a matrix
    expect(torch.cartesianProd(y, y).tolist()).toEqual([[4, 4], [4, 5], [5, 4], [5, 5]]) // biome-ignore format: a matrix
    const [p, q] = torch.broadcastTensors(x, y.unsqueeze(1))
    expect([...p.shape]).toEqual([2, 3])
    expect(q.storage).toBe(y.storage)
    expect(torch.broadcastShapes([2, 1], [3], [])).toEqual([2, 3])
    expect(() => torch.broadcastShapes([2], [3])).toThrow('cannot be broadcast')
  })
})
