// Losses and activations against PyTorch's answers: values, gradients, warnings and errors.
import { afterEach, describe, expect, test, vi } from 'vitest'
import * as torch from '../src/index.ts'
import { nn } from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'
import { excess, hashOf as hashes, type ModuleCase, optionsOf, recorded, tensorOf, valueIn } from './recorded.ts'

const F = nn.functional
type AnyModule = nn.Module & ((...args: unknown[]) => Tensor)
const classes = nn as unknown as Record<string, new (...args: unknown[]) => AnyModule>

function build(c: ModuleCase): AnyModule {
  torch.manualSeed(c.seed)
  const options = optionsOf(c.ctor_kwargs)
  const args = c.ctor_args.map(valueIn)
  return new classes[c.module](...args, ...(Object.keys(options).length ? [options] : []))
}

describe.each(recorded.modules)('$module $ctor_args', (c) => {
  test('answers and goes back as in PyTorch', () => {
    const module = build(c)
    // Fresh weights are PyTorch's to the bit.
    for (const [key, value] of Object.entries(module.stateDict())) {
      expect(value.tolist(), key).toEqual(tensorOf(c.state_dict[key]).tolist())
    }
    const given = [...c.args, ...Object.values(c.kwargs)].map(valueIn)
    const out = module(...given)
    expect(excess(out, tensorOf(c.output))).toBeLessThanOrEqual(1)
    const [start] = c.grad_outputs
    if (!start) return
    out.backward(tensorOf(start.value))
    const wanted = given.filter((x) => x instanceof torch.Tensor && x.requiresGrad) as Tensor[]
    wanted.forEach((x, i) => {
      const expected = c.input_grads[i]
      if (expected !== null)
        expect(excess(x.grad as Tensor, tensorOf(expected), 1e-5), `input ${i}`).toBeLessThanOrEqual(1)
    })
    for (const [name, p] of module.namedParameters()) {
      expect(excess(p.grad as Tensor, tensorOf(c.param_grads[name]), 1e-5), name).toBeLessThanOrEqual(1)
    }
  })
})

describe('the graph', () => {
  const x = torch.tensor([[0.5, -1, 2]], { requiresGrad: true })
  const names = (out: Tensor): string[] => {
    const found: string[] = []
    for (let node = out.gradFn; node; node = node.nextFunctions[0]?.[0] ?? null) found.push(node.name)
    return found
  }

  test('shows cross entropy as log softmax and negative log likelihood', () => {
    expect(names(F.crossEntropy(x, torch.tensor([2])))).toEqual([
      'NllLossBackward0',
      'LogSoftmaxBackward0',
      'AccumulateGrad',
    ])
  })

  test.each<[string, () => Tensor]>([
    ['SoftmaxBackward0', () => F.softmax(x, 1)],
    ['MseLossBackward0', () => F.mseLoss(x, torch.zerosLike(x))],
    ['SmoothL1LossBackward0', () => F.smoothL1Loss(x, torch.zerosLike(x))],
    ['HuberLossBackward0', () => F.huberLoss(x, torch.zerosLike(x))],
    ['BinaryCrossEntropyWithLogitsBackward0', () => F.binaryCrossEntropyWithLogits(x, torch.zerosLike(x))],
    ['NllLoss2DBackward0', () => F.nllLoss(x.view(1, 3, 1, 1), torch.tensor([[[1]]]))],
    ['GeluBackward0', () => F.gelu(x)],
    ['SiluBackward0', () => F.silu(x)],
    ['LeakyReluBackward0', () => F.leakyRelu(x)],
    ['EluBackward0', () => F.elu(x)],
    ['SoftplusBackward0', () => F.softplus(x)],
  ])('names %s', (name, make) => {
    expect(make().gradFn?.name).toBe(name)
  })
})

describe('refusals', () => {
  const scores = torch.zeros(2, 3)
  test.each<[string, () => unknown, string]>([
    [
      'float targets',
      () => F.nllLoss(scores, torch.zeros(2)),
      'expected target dtype to be Long or Byte, but got Float: expected scalar type Long but found Float',
    ],
    ['targets out of range', () => F.crossEntropy(scores, torch.tensor([0, 3])), 'Target 3 is out of bounds.'],
    ['negative targets', () => F.crossEntropy(scores, torch.tensor([0, -1])), 'Target -1 is out of bounds.'],
    [
      'another batch',
      () => F.crossEntropy(scores, torch.tensor([0, 1, 2])),
      'Expected input batch_size (2) to match target batch_size (3).',
    ],
    [
      'several targets a sample',
      () =>
        F.crossEntropy(
          scores,
          torch.tensor([
            [0, 1],
            [1, 0],
          ]),
        ),
      '0D or 1D target tensor expected, multi-target not supported',
    ],
    [
      'weights of another number',
      () => F.nllLoss(scores, torch.tensor([0, 1]), torch.ones(2)),
      'weight tensor should be defined either for all 3 classes or no classes but got weight tensor of shape: [2]',
    ],
    [
      'an unknown reduction',
      () => F.mseLoss(scores, scores, { reduction: 'abc' as 'sum' }),
      'abc is not a valid value for reduction',
    ],
    [
      'huber without delta',
      () => F.huberLoss(scores, scores, { delta: -1 }),
      'huber_loss does not support non-positive values for delta.',
    ],
    [
      'softshrink below 0',
      () => F.softshrink(scores, -0.5),
      'lambda must be in range [0, 3.40282e+38] for input dtype Float, but found -0.5',
    ],
    [
      'gelu by another formula',
      () => F.gelu(scores, { approximate: 'asdf' as 'none' }),
      'approximate argument must be either none or tanh.',
    ],
    [
      'softmax of integers',
      () => F.softmax(torch.tensor([1, 2]), 0),
      `"softmax_lastdim_kernel_impl" not implemented for 'Long'`,
    ],
    [
      'probabilities beyond 1',
      () => F.binaryCrossEntropy(torch.tensor([1.5]), torch.tensor([1.0], { dtype: torch.float32 })),
      'all elements of input should be between 0 and 1',
    ],
    ['a dropout beyond 1', () => F.dropout(scores, 1.5), 'dropout probability has to be between 0 and 1, but got 1.5'],
    [
      'prelu of other channels',
      () => F.prelu(torch.zeros(2, 8), torch.zeros(9)),
      'Mismatch of parameter numbers and input channel size. Found parameter numbers = 9 and channel size = 8.',
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })

  test('a target out of range is an IndexError', () => {
    expect(() => F.crossEntropy(scores, torch.tensor([0, 3]))).toThrow(torch.IndexError)
  })
})

describe('warnings', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  afterEach(() => {
    warn.mockClear()
  })

  test('unequal sizes of a mean squared error warn once', () => {
    const call = () => new nn.MSELoss()(torch.zeros(3, 1), torch.zeros(3))
    call()
    call()
    expect(warn.mock.calls).toEqual([
      [
        'UserWarning: Using a target size (torch.Size([3])) that is different to the input size (torch.Size([3, 1])). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.',
      ],
    ])
  })

  test('softmax without a dimension warns and chooses as PyTorch does', () => {
    expect(F.softmax(torch.zeros(2, 4)).tolist()).toEqual(Array(2).fill([0.25, 0.25, 0.25, 0.25]))
    expect(warn.mock.calls[0][0]).toContain('Implicit dimension choice for softmax has been deprecated.')
  })
})

describe('cross entropy', () => {
  test('ignores samples, weighs classes and smooths labels as PyTorch does', () => {
    const x = torch.tensor([
      [0.2, -1.1, 0.7],
      [1.5, 0.3, -0.4],
      [-0.6, 0.9, 0.1],
    ])
    const y = torch.tensor([2, 0, 1])
    const weight = torch.tensor([0.5, 2.5, 1.5])
    expect(F.crossEntropy(x, y, weight, { labelSmoothing: 0.1 }).item()).toBeCloseTo(0.6075366, 6)
    expect(F.crossEntropy(x, y, weight, { labelSmoothing: 0.1, ignoreIndex: 2 }).item()).toBeCloseTo(0.5725207, 6)
    expect(F.crossEntropy(x, y, { reduction: 'sum', ignoreIndex: 0 }).item()).toBeCloseTo(1.0863078, 6)
    expect(F.crossEntropy(x, F.softmax(x, 1), weight, { labelSmoothing: 0.2 }).item()).toBeCloseTo(1.4778825, 6)
  })

  test('has second derivatives', () => {
    const x = torch.tensor([[0.2, -1.1, 0.7]], { dtype: torch.float64, requiresGrad: true })
    expect(torch.autograd.gradgradcheck((s: Tensor) => F.crossEntropy(s, torch.tensor([1])), [x])).toBe(true)
  })
})

describe('dropout', () => {
  test.each(recorded.draws.filter((c) => c.call === 'dropout'))('draws PyTorch’s mask of $shape (seed $seed)', (c) => {
    torch.manualSeed(c.seed)
    for (const draw of c.draws ?? []) {
      const out = F.dropout(torch.ones(c.shape as number[]), c.p)
      expect(out.dtype.name).toBe(draw.dtype)
      expect(hashes(out)).toBe(draw.sha256)
    }
  })

  test('keeps its input outside training, and the mean inside', () => {
    const x = torch.ones(4000)
    expect(F.dropout(x, 0.5, false)).toBe(x)
    const out = F.dropout(x, { p: 0.25 })
    expect(Math.abs(out.mean().item() - 1)).toBeLessThan(0.05)
    expect(F.dropout(x, 1).sum().item()).toBe(0)
    const channels = F.dropout2d(torch.ones(8, 16, 3, 3)).view(128, 9)
    expect(
      channels
        .eq(channels.narrow(1, 0, 1))
        .all()
        .item(),
    ).toBe(true)
  })
})
