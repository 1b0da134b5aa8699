// Norms: running statistics, accuracy of long rows, lazy modules, and what the parity samples leave out. Expected numbers
// are PyTorch 2.13's.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'

const { nn } = torch
const F = nn.functional

function expectClose(x: torch.Tensor, expected: readonly number[], digits = 5): void {
  const found = x.detach().contiguous().view(-1).tolist<number[]>()
  expect(found.length).toBe(expected.length)
  found.forEach((v, i) => {
    expect(v).toBeCloseTo(expected[i], digits)
  })
}

const wave = (...sizes: number[]): torch.Tensor =>
  torch
    .arange(sizes.reduce((a, b) => a * b, 1))
    .to(torch.float32)
    .sin()
    .view(sizes)

describe('batch norm', () => {
  test('without a momentum the running statistics are means over all batches', () => {
    const norm = new nn.BatchNorm1d(2, { momentum: null })
    const x = wave(3, 2)
    norm(x)
    norm(x.mul(2))
    expectClose(norm.runningMean as torch.Tensor, [0.0762474536895752, 0.011833339929580688], 6)
    expectClose(norm.runningVar as torch.Tensor, [1.7397751808166504, 2.059171676635742], 6)
    expect((norm.numBatchesTracked as torch.Tensor).item()).toBe(2)
  })

  test('evaluated, it uses the running statistics and is differentiable', () => {
    const [mean, variance] = [torch.tensor([0.5, -1, 2]), torch.tensor([1, 4, 0.25])].map((t) => t.to(torch.float64))
    const x = wave(2, 3, 2).to(torch.float64).requiresGrad_()
    const weight = torch.tensor([1, 2, 3]).to(torch.float64).requiresGrad_()
    const run = (a: torch.Tensor, w: torch.Tensor): torch.Tensor => F.batchNorm(a, mean, variance, w)
    const byHand = x
      .sub(mean.view(1, 3, 1))
      .div(variance.add(1e-5).sqrt().view(1, 3, 1))
      .mul(weight.view(1, 3, 1))
    expect(run(x, weight).sub(byHand).abs().max().item()).toBeLessThan(1e-12)
    expect(torch.autograd.gradcheck((...t) => run(t[0], t[1]), [x, weight])).toBe(true)
    expect(torch.autograd.gradgradcheck((...t) => run(t[0], t[1]), [x, weight])).toBe(true)
  })

  test('large batches agree with their float64 form, gradients too', () => {
    const x = torch.randn([9, 5, 7, 6], { generator: new torch.Generator().manualSeed(1) })
    const [weight, g] = [wave(5), wave(9, 5, 7, 6)]
    const grads = [torch.float32, torch.float64].map((dtype) => {
      const leaves = [x, weight, weight].map((t) => t.detach().to(dtype).clone().requiresGrad_())
      const out = F.batchNorm(leaves[0], null, null, leaves[1], leaves[2], true)
      return torch.autograd.grad([out], leaves, { gradOutputs: [g.to(dtype)] }) as torch.Tensor[]
    })
    grads[0].forEach((t, i) => {
      expect(t.to(torch.float64).sub(grads[1][i]).abs().max().item()).toBeLessThan(2e-5)
    })
  })

  test('one value a channel is refused while training', () => {
    expect(() => F.batchNorm(torch.ones([1, 4]), null, null, null, null, true)).toThrow(
      'Expected more than 1 value per channel when training, got input size torch.Size([1, 4])',
    )
    expect(() => new nn.BatchNorm2d(3)(torch.ones([2, 3]))).toThrow('expected 4D input (got 2D input)')
    expect(() => F.batchNorm(torch.ones([2, 4]), torch.ones([3]), torch.ones([4]))).toThrow(
      'running_mean should contain 4 elements not 3',
    )
  })
})

test('a lazy norm takes the channels of its first input and becomes an ordinary one', () => {
  const norm = new nn.LazyBatchNorm1d()
  const before = norm.weight
  expect(String(norm)).toContain('LazyBatchNorm1d(0, eps=1e-05, momentum=0.1, affine=True, bias=True')
  norm(wave(4, 3))
  expect(norm.constructor).toBe(nn.BatchNorm1d)
  expect(norm.weight).toBe(before)
  expect(Object.values(norm.stateDict()).map((t) => [...t.shape])).toEqual([[3], [3], [3], [3], []])
})

describe('accuracy', () => {
  // Relative errors of PyTorch on these elements: mean 3.0e-8 (batch norm) and 2.0e-5 (layer norm), 1 / deviation 2.5e-8.
  test.each([0, 1000])('mean and deviation of a million elements of mixed magnitude, moved by %d', (shift) => {
    const n = 2 ** 20
    const values = Array.from({ length: n }, (_, i) => Math.sin(i) * 10 ** ((i % 7) - 3) + Math.cos(i * 0.37) * 3)
    const x = torch.tensor(values).add(shift)
    const exact = x.to(torch.float64)
    const mean = exact.mean().item()
    const deviation = Math.sqrt(exact.sub(mean).pow(2).mean().item())
    const results = [
      torch.nativeLayerNorm(x.view(1, -1), [n], null, null, 0),
      torch.nativeBatchNorm(x.view(1, 1, -1), null, null, null, null, true, 0.1, 0),
      torch.nativeGroupNorm(x.view(1, 4, -1), null, null, 1, 4, n / 4, 1, 0),
    ]
    for (const [, average, rstd] of results) {
      expect(Math.abs(average.item() / mean - 1)).toBeLessThan(6e-8)
      expect(Math.abs(rstd.item() * deviation - 1)).toBeLessThan(6e-8)
    }
  })

  test('gradients of many rows agree with their float64 form', () => {
    const generator = new torch.Generator().manualSeed(2)
    const [x, g] = [torch.randn([256, 96], { generator }), torch.randn([256, 96], { generator })]
    const grads = [torch.float32, torch.float64].map((dtype) => {
      const leaves = [x, wave(96), wave(96)].map((t) => t.to(dtype).clone().requiresGrad_())
      const out = F.layerNorm(leaves[0], [96], leaves[1], leaves[2])
      return torch.autograd.grad([out], leaves, { gradOutputs: [g.to(dtype)] }) as torch.Tensor[]
    })
    grads[0].forEach((t, i) => {
      expect(t.to(torch.float64).sub(grads[1][i]).abs().max().item()).toBeLessThan(2e-5)
    })
  })
})

test('norms print as PyTorch prints them', () => {
  expect(String(new nn.LayerNorm([2, 8]))).toBe('LayerNorm((2, 8), eps=1e-05, elementwise_affine=True, bias=True)')
  expect(String(new nn.RMSNorm(8))).toBe('RMSNorm((8,), eps=None, elementwise_affine=True)')
  expect(String(new nn.GroupNorm(2, 4))).toBe('GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)')
  expect(String(new nn.LocalResponseNorm(5))).toBe('LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)')
})

test('RMS norm of half precision takes the epsilon of float32', () => {
  const x = torch.tensor([1e-3, 2e-3, 3e-3, -1e-3], { dtype: torch.float16 })
  expect(F.rmsNorm(x, [4]).tolist()).toEqual([0.50830078125, 1.0166015625, 1.525390625, -0.50830078125])
})

test('wrong shapes and dtypes are named', () => {
  const x = torch.ones([3, 4])
  expect(() => F.layerNorm(x, [5])).toThrow(
    'Given normalized_shape=[5], expected input with shape [*, 5], but got input of size[3, 4]',
  )
  expect(() => F.layerNorm(x.to(torch.int64), [4])).toThrow(`"LayerNormKernelImpl" not implemented for 'Long'`)
  expect(() => F.layerNorm(x, [4], torch.ones([4], { dtype: torch.float64 }))).toThrow('mixed dtype (CPU)')
  expect(() => F.groupNorm(x, 3)).toThrow('Expected number of channels in input to be divisible by num_groups')
  expect(() => F.instanceNorm(x)).toThrow('Expected more than 1 spatial element when training')
})
