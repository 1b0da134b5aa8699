// Where PyTorch's own samples of other seeds and of its longer lists once found another answer here. What is expected is
// what PyTorch 2.13 says.
import * as torch from 'tytorch'
import { expect, test } from 'vitest'

const { inf, nan } = { inf: Number.POSITIVE_INFINITY, nan: Number.NaN }
const F = torch.nn.functional

/** The gradient of sum(f(x) * g). */
function gradient(f: (x: torch.Tensor) => torch.Tensor, values: number[], g: number[]): unknown {
  const x = torch.tensor(values).requiresGrad_()
  f(x).backward(torch.tensor(g))
  return x.grad?.tolist()
}

test('norms at zero have a zero gradient, of order 0 none', () => {
  for (const p of [0.5, 1.5, 3.5]) {
    const x = torch.zeros(3).requiresGrad_()
    torch.linalg.vectorNorm(x, p).backward()
    expect(x.grad?.abs().tolist()).toEqual([0, 0, 0])
  }
  const x = torch.tensor([1, 0, 3]).to(torch.float32).requiresGrad_()
  const count = torch.linalg.vectorNorm(x, 0)
  expect(count.item()).toBe(2)
  expect(count.requiresGrad).toBe(true)
  expect(torch.autograd.grad([count], [x], { allowUnused: true })).toEqual([null])
})

test('NaN passes gradients on, as what is not below a limit', () => {
  const g = [2, 3, 5]
  expect(gradient((x) => F.relu(x), [nan, -1, 1], g)).toEqual([2, 0, 5])
  expect(gradient((x) => F.relu6(x), [nan, 7, 1], g)).toEqual([2, 0, 5])
  expect(gradient((x) => F.hardtanh(x), [nan, -2, 0.5], g)).toEqual([2, 0, 5])
  expect(gradient((x) => F.prelu(x, torch.tensor([0.5])), [nan, -2, 1], g)).toEqual([1, 1.5, 5])
  const other = torch.tensor([1, inf, 2])
  expect(gradient((x) => torch.maximum(x, other), [nan, 1, 2], g)).toEqual([2, 0, 2.5])
  expect(gradient((x) => torch.minimum(x, other), [nan, 1, 2], g)).toEqual([2, 3, 2.5])
})

test('a gradient to start from is cast to the dtype of its root', () => {
  for (const f of [torch.relu, torch.exp, (x: torch.Tensor) => x]) {
    for (const dtype of [torch.int64, torch.float64]) {
      const x = torch.tensor([0, 0.5]).requiresGrad_()
      f(x).backward(torch.tensor([2, 0], { dtype }))
      expect([x.grad?.dtype, x.grad?.tolist()]).toEqual([torch.float32, [f === torch.relu ? 0 : 2, 0]])
    }
  }
})

test('a slice that is filled twice counts once in the gradient of the value', () => {
  const value = torch.tensor(1.5).requiresGrad_()
  torch
    .zeros(4)
    .indexFill(0, torch.tensor([2, 1, 2]), value)
    .sum()
    .backward()
  expect(value.grad?.item()).toBe(2)
})

test('ranges of an integer dtype cut their ends off first', () => {
  const { int32, int64 } = torch
  expect(torch.arange(0, -8.000001, -4, { dtype: int64 }).tolist()).toEqual([0, -4])
  expect(torch.arange(0, 0.7, 1, { dtype: int32 }).tolist()).toEqual([0])
  expect(torch.arange(0, 0.7, 1, { dtype: int64 }).tolist()).toEqual([])
  expect(() => torch.arange(0, 5, 0.5, { dtype: int64 })).toThrow('step must be nonzero')
  expect(torch.linspace(4.3, -3, 5, { dtype: int64 }).tolist()).toEqual([4, 2, 0, -1, -3])
  expect(torch.linspace(4.9, 7.9, 1, { dtype: int32 }).tolist()).toEqual([4])
  expect(torch.logspace(4.3, -3, 4, { dtype: int64 }).tolist()).toEqual([10000, 46, 0, 0])
  expect(torch.logspace(0, 3, 10, { dtype: int64 }).tolist()).toEqual([1, 2, 4, 10, 21, 46, 100, 215, 464, 1000])
})

test('floats by definition make floats of integers', () => {
  const y = torch.tensor([-8, 6, 9, 0, 0])
  expect(torch.trapezoid(y, { dx: 2 }).dtype).toBe(torch.float32)
  expect(torch.cumulativeTrapezoid(y, { dx: 2 }).tolist()).toEqual([-2, 13, 22, 22])
  const apart = F.pairwiseDistance(torch.tensor([3, 0]), torch.tensor([0, 0]), { eps: 1 })
  expect(apart.item()).toBeCloseTo(Math.sqrt(17), 5)
})

test('products of bool are bool where asked for', () => {
  const x = torch.tensor([
    [true, false],
    [true, true],
  ])
  const product = x.prod(1, { dtype: torch.bool })
  expect([product.dtype, product.tolist()]).toEqual([torch.bool, [false, true]])
})

test('empty operands', () => {
  expect(torch.matmul(torch.ones(2, 3, 0), torch.ones(0, 4)).shape).toEqual([2, 3, 4])
  expect(
    F.linear(torch.ones(2, 3, 0), torch.ones(4, 0))
      .sum()
      .item(),
  ).toBe(0)
  expect(torch.logsumexp(torch.ones(0), 0).item()).toBe(-inf)
  const bias = torch.ones(1).requiresGrad_()
  torch.nativeLayerNorm(torch.ones(0, 1), [1], null, bias, 1e-5)[0].sum().backward()
  expect(bias.grad?.tolist()).toEqual([0])
  expect(F.fractionalMaxPool3d(torch.ones(0, 1, 4, 5, 4), [2, 2, 1], 2).shape).toEqual([0, 1, 2, 2, 2])
  expect(torch.unique(torch.ones(5, 0, 5), { dim: 1 }).shape).toEqual([5, 0, 5])
  expect(() => torch.unique(torch.ones(5, 0, 5), { dim: 0 })).toThrow('There are 0 sized dimensions')
  expect(() => torch.uniqueConsecutive(torch.ones(0, 0), { dim: 0 })).toThrow('more than one')
})

test('fractional pooling cuts off where windows begin, below zero too', () => {
  const u = torch.tensor([[[-0.7, -0.7]]])
  const x = torch.arange(16).to(torch.float32).view(1, 1, 4, 4)
  const { indices } = F.fractionalMaxPool2d(x, 1, { outputSize: 3, returnIndices: true, _randomSamples: u })
  expect(indices.tolist()).toEqual([
    [
      [
        [0, 1, 3],
        [4, 5, 7],
        [12, 13, 15],
      ],
    ],
  ])
})

test('shapes that are numbers, and negative sizes', () => {
  expect(torch.broadcastShapes(5, [3, 1])).toEqual([3, 5])
  expect(() => torch.broadcastShapes([-1], [3])).toThrow('negative length')
})

test('matrix exponentials of float32 keep their digits through many squarings', () => {
  const x = torch
    .tensor([
      [-49, 24],
      [-64, 31],
    ])
    .to(torch.float32)
  // The classical example of cancellation: eigenvalues -1 and -17.
  const [a, b] = [Math.exp(-1), Math.exp(-17)]
  const exact = [3 * b - 2 * a, 1.5 * (a - b), 4 * (b - a), 3 * a - 2 * b]
  const found = torch.matrixExp(x).flatten().tolist<number[]>()
  found.forEach((v, i) => {
    expect(v).toBeCloseTo(exact[i], 6)
  })
})

test('calls that are refused', () => {
  const x = torch.tensor([1, 2, 3])
  const y = torch.ones(3, 4)
  expect(() => torch.fmod(2, x)).toThrow(TypeError)
  expect(() => torch.rsub(2, x)).toThrow(TypeError)
  expect(() => torch.isclose(x, 2 as never)).toThrow(TypeError)
  expect(() => F.hardtanh(y, 1, -1)).toThrow('min_val cannot be greater than max_val')
  expect(() => torch.roll(torch.tensor(5), 0, 0)).toThrow('tensor has no dimensions')
  expect(() => y.narrow(0, torch.tensor(true), 1)).toThrow('start must be an 0-dim integral Tensor.')
  expect(y.narrow(0, torch.tensor(1), 1).shape).toEqual([1, 4])
  const p = torch.tensor([0.5, 0.5])
  expect(() => torch.multinomial(p, -1)).toThrow('cannot sample n_sample <= 0 samples')
  expect(() => torch.multinomial(p, 2, { out: torch.ones(2) } as never)).toThrow('expects Long tensor out')
  const out = torch.empty([1, 1], { dtype: torch.float64 })
  expect(() => torch.gather(y, 1, torch.tensor([[0]]), { out })).toThrow('Expected out tensor to have dtype float')
})
