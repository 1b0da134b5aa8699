// Pooling against PyTorch: recorded calls, ties, infinities and NaN, the paths for pairs, errors and printed forms.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn, type Tensor } from '../src/index.ts'
import { answer, casesOf, formula } from './sampled.ts'

const F = nn.functional
const inf = Number.POSITIVE_INFINITY
const nan = Number.NaN

describe.each(casesOf(/pool/))('$name $x.shape $args', (c) => {
  test('answers and goes back as in PyTorch', () => {
    const ours = answer(c)
    expect(ours.shape).toEqual(c.shape)
    expect(ours.sum).toBeCloseTo(c.sum, 8)
    expect(ours.grad).toBeCloseTo(c.grad, 8)
    if (c.index !== undefined) expect(ours.index).toBeCloseTo(c.index, 8)
  })
})

describe('values and positions', () => {
  test('NaN is the largest, the last one of several', () => {
    const x = torch.tensor([[[1, nan, 3, 2], [2, 2, nan, nan], [5, 5, -inf, 1]]]) // biome-ignore format: a matrix
    const [values, indices] = F.maxPool2d(x, 2, 1, { returnIndices: true })
    expect(values.tolist()).toEqual([[[nan, nan, nan], [5, nan, nan]]]) // biome-ignore format: a matrix
    expect(indices.tolist()).toEqual([[[1, 6, 7], [8, 6, 7]]]) // biome-ignore format: a matrix
  })

  test('windows of nothing but the smallest value are found inside', () => {
    const [values, indices] = F.maxPool2d(torch.full([1, 3, 3], -inf), 3, 1, 1, { returnIndices: true })
    expect(values.tolist<number[][][]>().flat(2)).toEqual(Array(9).fill(-inf))
    expect(indices.tolist<number[][][]>().flat(2)).toEqual([0, 0, 1, 0, 0, 1, 3, 3, 4])
  })

  test.each([torch.int64, torch.int32, torch.uint8])('integers, as %s', (dtype) => {
    const x = torch.arange(24).reshape(1, 2, 3, 4).to(dtype)
    const [values, indices] = F.maxPool2d(x, 2, { returnIndices: true })
    expect(values.dtype).toBe(dtype)
    expect(values.flatten().tolist()).toEqual([5, 7, 17, 19])
    expect(indices.flatten().tolist()).toEqual([5, 7, 5, 7])
  })

  test('the mean of integers is cut off', () => {
    expect(
      F.avgPool2d(torch.arange(24).reshape(1, 2, 3, 4), 2)
        .flatten()
        .tolist(),
    ).toEqual([2, 4, 14, 16])
  })

  // Pairs of float32 are read and written as one int64 where rows are of even length: float64 never is.
  test.each([
    [[2, 3, 8, 10], 2, {}],
    [[2, 3, 7, 10], 2, {}],
    [[2, 3, 9, 12], 3, { stride: 2, padding: 1 }],
    [[2, 3, 9, 11], 3, { stride: 2, padding: 1 }],
    [[1, 2, 10, 12], [3, 4], { stride: [3, 2], padding: [0, 2] }],
    [[1, 2, 6, 8], [2, 1], { stride: 2 }],
    [[1, 2, 12, 12], 5, { stride: 2, padding: 2 }],
  ] as [number[], number | number[], object][])('float32 as float64: %o, kernel %o, %o', (shape, kernel, options) => {
    const run = (x: Tensor): Tensor[] =>
      [F.maxPool2d(x, kernel, options), F.avgPool2d(x, kernel, options)].flatMap((y) => {
        const weights = torch
          .arange(y.numel(), { dtype: x.dtype })
          .remainder(7)
          .reshape([...y.shape])
        return [y, ...(torch.autograd.grad([y], [x], { gradOutputs: [weights] }) as Tensor[])]
      })
    const wide = run(formula(shape).float().double().requiresGrad_())
    const single = run(formula(shape).float().requiresGrad_())
    wide.forEach((w, i) => {
      expect(torch.allclose(single[i].double(), w, { rtol: 1e-6, atol: 1e-6 })).toBe(true)
    })
  })

  test('a view that starts in the middle', () => {
    const x = formula([3, 9, 10]).float()
    const part = x.narrow(1, 1, 8).narrow(2, 1, 8)
    expect(F.maxPool2d(part, 2).tolist()).toEqual(F.maxPool2d(part.clone(), 2).tolist())
    const row = torch.arange(33, { dtype: torch.float32 }).narrow(0, 1, 32).view(2, 4, 4)
    expect(F.maxPool2d(row, 2).tolist()).toEqual(F.maxPool2d(row.clone(), 2).tolist())
  })

  test('unpooling puts maxima back', () => {
    const x = formula([1, 2, 4, 6])
    const pool = new nn.MaxPool2d(2, { returnIndices: true })
    const [values, indices] = pool(x) as unknown as [Tensor, Tensor]
    const back = new nn.MaxUnpool2d(2)(values, indices)
    expect(back.sum().item()).toBeCloseTo(values.sum().item(), 12)
    expect(torch.equal(F.maxPool2d(back, 2), values)).toBe(true)
    expect(() => F.maxUnpool2d(values, indices, 2, { outputSize: [9, 9] })).toThrow(/dim 0 must be between 2 and 6/)
  })

  test('fractional max pooling, with the numbers of PyTorch', () => {
    torch.manualSeed(5)
    const x = torch.randn(2, 3, 7, 9)
    const randomSamples = torch.rand(2, 3, 2)
    const [values, indices] = F.fractionalMaxPool2d(x, [2, 3], {
      outputSize: [4, 5],
      returnIndices: true,
      _randomSamples: randomSamples,
    })
    expect(values.sum().item()).toBeCloseTo(160.57106, 3)
    expect(indices.sum().item()).toBe(3566)
    expect(indices.flatten().tolist<number[]>().slice(0, 9)).toEqual([0, 12, 4, 4, 16, 9, 12, 12, 22])
    torch.manualSeed(9)
    expect(new nn.FractionalMaxPool2d(2, { outputRatio: 0.5 })(x).sum().item()).toBeCloseTo(75.1231689453125, 4)
  })

  test('the backward function adds up at the indices', () => {
    const x = formula([2, 4, 6])
    const [values, indices] = F.maxPool2d(x, 3, 1, { returnIndices: true })
    const g = torch.onesLike(values)
    const leaf = x.clone().requiresGrad_()
    F.maxPool2d(leaf, 3, 1).backward(g)
    const grad = torch.maxPool2dWithIndicesBackward(g, x, 3, 1, 0, 1, false, indices)
    expect(grad.tolist()).toEqual(leaf.grad?.tolist())
  })
})

describe('errors', () => {
  const x = torch.zeros(1, 2, 3, 4)
  test.each([
    ['a kernel of three numbers', () => F.maxPool2d(x, [2, 2, 2]), /max_pool2d: kernel_size must either be a single int, or a tuple of two ints/],
    ['a stride of three numbers', () => F.maxPool2d(x, 2, [1, 1, 1]), /max_pool2d: stride must either be omitted, a single int, or a tuple of two ints/],
    ['no stride', () => F.maxPool2d(x, 2, 0), /stride should not be zero/],
    ['no dilation', () => F.maxPool2d(x, 2, 1, 0, 0), /dilation should be greater than zero, but got dilationH: 0 dilationW: 0/],
    ['wide borders', () => F.avgPool2d(x, [3, 2], 1, 4), /pad should be at most half of effective kernel size, but got pad=4, kernel_size=3 and dilation=1/],
    ['a large kernel', () => F.avgPool2d(x, 5), /Given input size: \(2x3x4\). Calculated output size: \(2x0x0\). Output size is too small/],
    ['nothing to pool', () => F.maxPool2d(torch.zeros(1, 0, 10), 1), /Expected 3D or 4D \(batch mode\) tensor with optional 0 dim batch size for input, but got:\[1, 0, 10\]/],
    ['division by zero', () => F.avgPool2d(x, 2, { divisorOverride: 0 }), /divisor must be not zero/],
    ['bools', () => F.maxPool2d(x.bool(), 2), /"max_pool2d" not implemented for 'Bool'/],
    ['integers', () => F.maxPool1d(x.select(0, 0).long(), 2), /"max_pool1d_impl" not implemented for 'Long'/],
    ['a negative size', () => F.adaptiveAvgPool2d(x, [-1, 0]), /elements of output_size must be greater than or equal to 0 but received \{-1, 0\}/],
    ['no kernel', () => new nn.MaxPool2d({ stride: 2 }), /missing 1 required positional argument: 'kernel_size'/],
  ] as [string, () => unknown, RegExp][])('%s', (_, run, message) => {
    expect(run).toThrow(message)
  }) // biome-ignore format: a table

  test('an empty batch is fine', () => {
    expect([...F.maxPool2d(torch.zeros(0, 2, 4, 4), 2).shape]).toEqual([0, 2, 2, 2])
    expect([...F.adaptiveMaxPool2d(torch.zeros(0, 2, 4, 4), 3).shape]).toEqual([0, 2, 3, 3])
  })
})

test.each([
  [new nn.MaxPool2d([2, 3], 1, 1), 'MaxPool2d(kernel_size=(2, 3), stride=1, padding=1, dilation=1, ceil_mode=False)'],
  [new nn.MaxUnpool1d(2), 'MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))'],
  [new nn.MaxUnpool3d([2, 2, 2], { padding: 1 }), 'MaxUnpool3d(kernel_size=(2, 2, 2), stride=(2, 2, 2), padding=(1, 1, 1))'],
  [new nn.AvgPool1d(3), 'AvgPool1d(kernel_size=(3,), stride=(3,), padding=(0,))'],
  [new nn.AvgPool3d([2, 3, 4], 2, 1), 'AvgPool3d(kernel_size=(2, 3, 4), stride=2, padding=1)'],
  [new nn.LPPool2d(1.2, 3, { stride: 2 }), 'LPPool2d(norm_type=1.2, kernel_size=3, stride=2, ceil_mode=False)'],
  [new nn.LPPool1d(2, 3), 'LPPool1d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)'],
  [new nn.AdaptiveAvgPool2d([null, 7]), 'AdaptiveAvgPool2d(output_size=(None, 7))'],
  [new nn.AdaptiveMaxPool1d(2, { returnIndices: true }), 'AdaptiveMaxPool1d(output_size=2)'],
] as [nn.Module, string][])('%s prints as in PyTorch', (module, text) => {
  expect(String(module)).toBe(text)
}) // biome-ignore format: a table

test('gradients are named as in PyTorch', () => {
  const x = torch.zeros(2, 4, 4, { requiresGrad: true })
  const nameOf = (y: Tensor): string | undefined => y.gradFn?.name
  expect(nameOf(F.maxPool2d(x, 2))).toBe('MaxPool2DWithIndicesBackward0')
  expect(nameOf(F.avgPool2d(x, 2))).toBe('AvgPool2DBackward0')
  expect(nameOf(F.adaptiveAvgPool2d(x, 2))).toBe('AdaptiveAvgPool2DBackward0')
  expect(nameOf(F.adaptiveAvgPool2d(x, 3))).toBe('AdaptiveAvgPool2DBackward0')
  expect(nameOf(F.adaptiveMaxPool2d(x, 3))).toBe('AdaptiveMaxPool2DBackward0')
})
