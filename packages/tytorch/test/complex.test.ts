// Complex tensors and torch.fft against PyTorch's numbers, printed forms, errors, and finite differences.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { Complex } = torch
const z = (): Tensor => torch.tensor([new Complex(1, 2), new Complex(-3, 0.5)])
const wide = (...sizes: number[]): Tensor => {
  const generator = new torch.Generator().manualSeed(sizes.length)
  const draw = (): Tensor => torch.randn(sizes, { dtype: torch.float64, generator })
  return torch.complex(draw(), draw())
}
const distance = (a: Tensor, b: Tensor): number => a.sub(b).abs().max().item()

describe('complex tensors', () => {
  test('are stored as pairs and read as complex numbers', () => {
    const x = z()
    expect(x.dtype).toBe(torch.complex64)
    expect([...x.raw()].map(Number)).toEqual([1, 2, -3, 0.5])
    expect(String(x.at(1).item<InstanceType<typeof Complex>>())).toBe('(-3+0.5j)')
    x.real.mul_(2)
    expect(torch.viewAsReal(x).tolist()).toEqual([
      [2, 2],
      [-6, 0.5],
    ])
  })

  test('print as in PyTorch', () => {
    expect(String(z())).toBe('tensor([ 1.+2.0000j, -3.+0.5000j])')
    expect(String(z().to(torch.complex128).at(0))).toBe('tensor(1.+2.j, dtype=torch.complex128)')
    expect(String(torch.tensor([new Complex(1, 2)], { requiresGrad: true }))).toBe(
      'tensor([1.+2.j], requires_grad=True)',
    )
  })

  test('promote with real tensors and numbers', () => {
    const doubles = torch.ones(2, { dtype: torch.float64 })
    expect(torch.promoteTypes(torch.float64, torch.complex64)).toBe(torch.complex128)
    expect(doubles.add(new Complex(0, 1)).dtype).toBe(torch.complex128)
    expect(torch.ones(2, { dtype: torch.int64 }).mul(new Complex(0, 1)).dtype).toBe(torch.complex64)
    expect(z().add(torch.tensor(1, { dtype: torch.float64 })).dtype).toBe(torch.complex64)
    expect(() => torch.ones(2).add_(z())).toThrow("can't be cast to the desired output type Float")
  })

  test('what does not know them refuses them', () => {
    expect(() => z().lt(z())).toThrow(`"lt_cpu" not implemented for 'ComplexFloat'`)
    for (const name of ['floor', 'softmax', 'sort', 'max', 'argmax', 'relu', 'clamp', 'erf'] as const)
      expect(() => (z() as unknown as Record<string, (x: number) => unknown>)[name](0), name).toThrow('not implemented')
    expect(() => torch.nn.functional.mseLoss(z(), z())).toThrow('not implemented')
    expect(() => z().requiresGrad_().sum().backward()).toThrow('only for real scalar outputs but got torch.complex64')
    expect(() => torch.ones(2).imag).toThrow('non-complex dtypes')
  })

  const functions =
    'exp log sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid sgn abs angle'
  test.each(functions.split(' '))('%s: gradients agree with finite differences', (name) => {
    const fn = (re: Tensor, im: Tensor): Tensor => {
      const out = (torch as unknown as Record<string, (x: Tensor) => Tensor>)[name](torch.complex(re, im))
      return out.dtype.isComplex ? torch.viewAsReal(out) : out
    }
    const inputs = [wide(5).real.contiguous().requiresGrad_(), wide(5).imag.contiguous().requiresGrad_()]
    expect(torch.autograd.gradcheck(fn, inputs)).toBe(true)
    expect(torch.autograd.gradgradcheck(fn, inputs, { atol: 1e-4 })).toBe(true)
  })

  test('inverse functions undo each other', () => {
    const x = wide(50)
    for (const [f, g] of [
      ['exp', 'log'],
      ['sin', 'asin'],
      ['cosh', 'acosh'],
      ['tan', 'atan'],
      ['tanh', 'atanh'],
    ]) {
      const call = torch as unknown as Record<string, (x: Tensor) => Tensor>
      expect(distance(call[f](call[g](x)), x), f).toBeLessThan(1e-12)
    }
    expect(distance(x.sqrt().pow(2), x)).toBeLessThan(1e-14)
    expect(distance(x.pow(new Complex(0.5, 0)), x.sqrt())).toBeLessThan(1e-14)
  })

  test('matrix products, reductions and indexing', () => {
    const [a, b] = [wide(3, 4), wide(3, 4).mH]
    const expected = torch.complex(a.real.mm(b.real).sub(a.imag.mm(b.imag)), a.real.mm(b.imag).add(a.imag.mm(b.real)))
    expect(distance(a.matmul(b), expected)).toBeLessThan(1e-14)
    expect(distance(a.prod(1), a.cumprod(1).at(':', -1))).toBeLessThan(1e-14)
    expect(distance(a.at([2, 0]), torch.stack([a.at(2), a.at(0)]))).toBe(0)
    const y = z()
    y.setAt([[1]], torch.tensor([new Complex(7, 8)]))
    expect(String(y)).toBe('tensor([1.+2.j, 7.+8.j])')
  })
})

describe('torch.fft', () => {
  /** The definition, summed. */
  function direct(x: Tensor): Tensor {
    const n = x.numel()
    const k = torch.arange(n, { dtype: torch.float64 })
    const turn = k
      .unsqueeze(1)
      .mul(k)
      .remainder(n)
      .mul((-2 * Math.PI) / n)
    return torch.polar(torch.onesLike(turn), turn).matmul(x)
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 30, 49, 61, 67, 97, 128, 134, 210, 256, 509])('length %i', (n) => {
    const x = wide(n)
    expect(distance(torch.fft.fft(x), direct(x))).toBeLessThan(1e-12 * n)
    expect(distance(torch.fft.ifft(torch.fft.fft(x)), x)).toBeLessThan(1e-13)
    const real = x.real.contiguous()
    expect(distance(torch.fft.irfft(torch.fft.rfft(real), n), real)).toBeLessThan(1e-13)
    expect(distance(torch.fft.rfft(real), torch.fft.fft(real).narrow(0, 0, Math.floor(n / 2) + 1))).toBeLessThan(1e-12)
  })

  test('float32 is transformed in float32', () => {
    const x = wide(1000)
    const single = torch.fft.fft(x.to(torch.complex64))
    expect(single.dtype).toBe(torch.complex64)
    expect(distance(single.to(torch.complex128), torch.fft.fft(x)) / Math.sqrt(1000)).toBeLessThan(1e-6)
  })

  test('errors are those of PyTorch', () => {
    const x = wide(3, 4)
    expect(() => torch.fft.fft(torch.tensor(1))).toThrow('Dimension specified as -1 but tensor has no dimensions')
    expect(() => torch.fft.fft(x, 0)).toThrow('Invalid number of data points (0) specified')
    expect(() => torch.fft.fft(x, { norm: 'x' as 'ortho' })).toThrow('Invalid normalization mode: "x"')
    expect(() => torch.fft.rfft(x)).toThrow('rfft expects a real input tensor, but got ComplexDouble')
    expect(() => torch.fft.fftn(x, { dim: [0, 0] })).toThrow('FFT dims must be unique')
    expect(() => torch.fft.fftn(x, { s: [2], dim: [0, 1] })).toThrow('must have the same length')
    expect(() => torch.fft.irfftn(x, { dim: [] })).toThrow('irfftn must transform at least one axis')
  })

  test('frequencies and shifts', () => {
    expect(torch.fft.fftfreq(5, 0.5).mul(5).round().tolist()).toEqual([0, 2, 4, -4, -2])
    expect(torch.fft.rfftfreq(4).tolist()).toEqual([0, 0.25, 0.5])
    expect(torch.fft.fftshift(torch.arange(5)).tolist()).toEqual([3, 4, 0, 1, 2])
    expect(torch.fft.ifftshift(torch.fft.fftshift(torch.arange(5))).tolist()).toEqual([0, 1, 2, 3, 4])
  })
})
