// The mistakes that learners make, each with PyTorch's message or a better one, and nothing changed afterwards.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'

const { nn } = torch

describe('shapes', () => {
  test('that do not broadcast', () => {
    expect(() => torch.ones(2, 3).add(torch.ones(2, 4))).toThrow(
      'The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1',
    )
    const x = torch.ones(3)
    expect(() => x.add_(torch.ones(2, 3))).toThrow("output with shape [3] doesn't match the broadcast shape [2, 3]")
    expect(x.tolist()).toEqual([1, 1, 1])
  })

  test('that do not multiply', () => {
    expect(() => new nn.Linear(4, 1024)(torch.ones(112, 5))).toThrow(
      'mat1 and mat2 shapes cannot be multiplied (112x5 and 4x1024)',
    )
  })

  test('that views can not have', () => {
    expect(() => torch.ones(15).view(16)).toThrow("shape '[16]' is invalid for input of size 15")
    expect(() => torch.ones(3, 4).t().view(12)).toThrow('view size is not compatible')
    expect(() => torch.ones(4).view(-1, -1)).toThrow('only one dimension can be inferred')
  })

  test('that do not stack or join', () => {
    expect(() => torch.stack([torch.ones(3), torch.ones(4)])).toThrow(
      'stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at entry 1',
    )
    expect(() => torch.cat([torch.ones(2, 3), torch.ones(2, 4)])).toThrow(
      /Sizes of tensors must match except in dimension 0/,
    )
  })

  test('that are ragged', () => {
    expect(() => torch.tensor([[1, 2], [3]])).toThrow(/expected sequence of length 2 at dim 1 \(got 1\)/)
  })
})

describe('dtypes', () => {
  test('float64 features in a float32 network, the first one everybody meets', () => {
    const x = torch.tensor([[5.1, 3.5, 1.4, 0.2]], { dtype: torch.float64 })
    expect(() => new nn.Linear(4, 3)(x)).toThrow('mat1 and mat2 must have the same dtype, but got Double and Float')
  })

  test('class targets that are no integers', () => {
    expect(() => nn.functional.crossEntropy(torch.ones(2, 3), torch.tensor([0.5, 1.5]))).toThrow(
      /expected .*Long.*Float|Expected/i,
    )
  })

  test('results that the target can not hold', () => {
    const x = torch.tensor([1, 2])
    expect(() => x.add_(0.5)).toThrow("result type Float can't be cast to the desired output type Long")
    expect(x.tolist()).toEqual([1, 2])
  })

  test('means of integers', () => {
    expect(() => torch.tensor([1, 2]).mean()).toThrow('mean(): could not infer output dtype')
  })

  test('integer division by zero', () => {
    expect(() => torch.tensor([1, 2]).div(torch.tensor([0, 1]), { roundingMode: 'floor' })).toThrow('ZeroDivisionError')
  })
})

describe('indices', () => {
  const x = torch.arange(12).view(4, 3)

  test('out of range', () => {
    expect(() => x.at(5)).toThrow('index 5 is out of bounds for dimension 0 with size 4')
    expect(() => x.at(torch.tensor([0, 9]))).toThrow(/index 9 is out of bounds for dimension 0 with size 4/)
    expect(() => x.sum(2)).toThrow('Dimension out of range (expected to be in range of [-2, 1], but got 2)')
    expect(() => x.at(0, 0, 0)).toThrow(/too many indices/)
  })

  test('classes out of range', () => {
    expect(() => nn.functional.crossEntropy(torch.ones(2, 3), torch.tensor([0, 3]))).toThrow(
      'Target 3 is out of bounds.',
    )
  })
})

describe('values', () => {
  test('of more than one element where one is wanted', () => {
    expect(() => torch.ones(2).item()).toThrow('a Tensor with 2 elements cannot be converted to Scalar')
    expect(() => Number(torch.ones(2))).toThrow('a Tensor with 2 elements cannot be converted to Scalar')
    expect(Number(torch.ones(1))).toBe(1)
  })

  test('joined by an operator that JavaScript does not have', () => {
    // @ts-expect-error TypeScript refuses it too
    expect(() => torch.ones(2) + torch.ones(2)).toThrow('a Tensor has no operators in JavaScript: write a.add(b)')
  })

  test('that are no numbers', () => {
    // @ts-expect-error a string is no tensor data
    expect(() => torch.tensor(['a'])).toThrow("can't make a tensor of string")
    // @ts-expect-error nor an operand
    expect(() => torch.ones(2).add('a')).toThrow('expected a Tensor or a number, got string')
  })

  test('named wrongly', () => {
    // @ts-expect-error there is no such option
    expect(() => torch.ones(2).sum({ dimension: 0 })).toThrow("sum() got an unexpected keyword argument 'dimension'")
  })
})

describe('modules and optimizers', () => {
  test('without forward', () => {
    // @ts-expect-error TypeScript misses it too
    class Net extends nn.Module {}
    expect(() => new Net()(torch.ones(1))).toThrow('Module [Net] is missing the required "forward" function')
  })

  test('without parameters, or with a learning rate below zero', () => {
    expect(() => new torch.optim.SGD([], { lr: 0.1 })).toThrow('optimizer got an empty parameter list')
    const layer = new nn.Linear(1, 1)
    expect(() => new torch.optim.SGD(layer.parameters(), { lr: -1 })).toThrow('Invalid learning rate: -1')
  })

  test('whose checkpoints do not fit', () => {
    const layer = new nn.Linear(2, 2)
    expect(() => layer.loadStateDict(new nn.Linear(3, 2).stateDict())).toThrow(
      /Error\(s\) in loading state_dict for Linear:\n\tsize mismatch for weight/,
    )
  })
})

test('a freed tensor says so', () => {
  let escaped: torch.Tensor | undefined
  torch.scope(() => {
    escaped = torch.ones(3)
  })
  expect(() => escaped?.tolist()).toThrow('this tensor was freed')
})

test('the usual choice of a device is the CPU, with and without new', () => {
  const device = torch.device(torch.cuda.isAvailable() ? 'cuda' : 'cpu')
  expect(`${device}`).toBe('cpu')
  expect(device).toBeInstanceOf(torch.device)
  expect(new torch.device('cpu').type).toBe('cpu')
  expect(torch.zeros(2, { device }).tolist()).toEqual([0, 0])
  expect(torch.accelerator.currentAccelerator()).toBe(null)
  expect(() => torch.device('cuda')).toThrow("there is no device 'cuda' here; tensors live on 'cpu'")
})
