// Padding against PyTorch: recorded calls, errors, printed forms.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn } from '../src/index.ts'
import { answer, casesOf } from './sampled.ts'

const F = nn.functional

describe.each(casesOf(/^pad$/))('pad $x.shape $args', (c) => {
  test('answers and goes back as in PyTorch', () => {
    const ours = answer(c)
    expect(ours.shape).toEqual(c.shape)
    expect(ours.sum).toBeCloseTo(c.sum, 9)
    expect(ours.grad).toBeCloseTo(c.grad, 9)
  })
})

describe('pad', () => {
  const x = torch.arange(4).view(1, 4)

  test('repeats the edge even where all elements are cut off', () => {
    expect(F.pad(x, [-5, 3], 'replicate').tolist()).toEqual([[3, 3]])
    expect(F.pad(x, [2, -5], 'replicate').tolist()).toEqual([[0]])
  })

  test('keeps the dtype of its input', () => {
    const out = F.pad(x.int(), [1, 1], 'constant', 2.5)
    expect(out.dtype).toBe(torch.int32)
    expect(out.tolist()).toEqual([[2, 0, 1, 2, 3, 2]])
    expect(F.pad(torch.tensor([[true, false]]), [1, 0], 'circular').tolist()).toEqual([[false, true, false]])
  })

  test('gradients are named as in PyTorch', () => {
    const w = torch.zeros(1, 3, 3, { requiresGrad: true })
    expect(F.pad(w, [1, 1]).gradFn?.name).toBe('ConstantPadNdBackward0')
    expect(F.pad(w, [1, 1, 1, 1], 'reflect').gradFn?.name).toBe('ReflectionPad2DBackward0')
    expect(F.pad(w, [1, 1], 'replicate').gradFn?.name).toBe('ReplicationPad1DBackward0')
  })

  const y = torch.zeros(1, 2, 3, 4)
  test.each([
    [() => F.pad(y, [1]), /Padding length must be divisible by 2/],
    [() => F.pad(y, Array(10).fill(1)), /should be less than or equal to two times the input dimension but got padding length 10 and input of dimension 4/],
    [() => F.pad(y, [-2, -3]), /narrow\(\): length must be non-negative/],
    [() => F.pad(y, [1, 1], 'foo' as never), /Unrecognised padding mode foo/],
    [() => F.pad(y, [1, 1], 'reflect'), /Padding size 2 is not supported for 4D input tensor/],
    [() => F.pad(y, [4, 0, 0, 0], 'reflect'), /Argument #4: Padding size should be less than the corresponding input dimension, but got: padding \(4, 0\) at dimension 3 of input \[1, 2, 3, 4\]/],
    [() => F.pad(y, [5, 0, 0, 0], 'circular'), /Padding value causes wrapping around more than once/],
    [() => F.pad(y, [1, 1, 1, 1], 'reflect', 2), /Padding mode "reflect" doesn't take in value argument/],
    [() => F.pad(torch.zeros(1, 0), [1, 1], 'replicate'), /Expected 2D or 3D \(batch mode\) tensor with possibly 0 batch size/],
    [() => F.pad(y.bool(), [1, 1, 1, 1], 'reflect'), /"reflection_pad2d" not implemented for 'Bool'/],
    [() => torch.constantPadNd(y, [1, 1, 1]), /Length of pad must be even but instead it equals 3/],
  ] as [() => unknown, RegExp][])('throws %#', (run, message) => {
    expect(run).toThrow(message)
  }) // biome-ignore format: a table
})

test.each([
  [new nn.ConstantPad1d(2, 3.5), 'ConstantPad1d(padding=(2, 2), value=3.5)'],
  [new nn.ConstantPad2d({ padding: [1, 2, 3, 4], value: 2.5 }), 'ConstantPad2d(padding=(1, 2, 3, 4), value=2.5)'],
  [new nn.ZeroPad3d(2), 'ZeroPad3d((2, 2, 2, 2, 2, 2))'],
  [new nn.ReflectionPad2d([1, 1, 2, 0]), 'ReflectionPad2d((1, 1, 2, 0))'],
  [new nn.ReplicationPad1d({ padding: 2 }), 'ReplicationPad1d((2, 2))'],
  [new nn.CircularPad3d(3), 'CircularPad3d((3, 3, 3, 3, 3, 3))'],
] as [nn.Module, string][])('%s prints as in PyTorch', (module, text) => {
  expect(String(module)).toBe(text)
}) // biome-ignore format: a table
