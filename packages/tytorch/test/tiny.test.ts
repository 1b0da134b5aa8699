// The first page of tests: one end-to-end check of each part, in well under a second.
import { expect, test } from 'vitest'
import * as torch from '../src/index.ts'

test('tensors, views and arithmetic', () => {
  const x = torch.ones(4, 4)
  x.setAt([':', 1], 0)
  expect(`${x}`).toBe(`tensor([[1., 0., 1., 1.],
        [1., 0., 1., 1.],
        [1., 0., 1., 1.],
        [1., 0., 1., 1.]])`)
  expect(torch.cat([x, x, x], 1).shape.toString()).toBe('torch.Size([4, 12])')
  expect(x.matmul(x.T).eq(3).all().item<boolean>()).toBe(true)
  expect(x.mul(x).tolist()).toEqual(x.tolist())
  x.add_(5)
  expect(x.at(0).tolist()).toEqual([6, 5, 6, 6])
})

test('autograd: 3a^3 - b^2', () => {
  const a = torch.tensor([2, 3], { dtype: torch.float32, requiresGrad: true })
  const b = torch.tensor([6, 4], { dtype: torch.float32, requiresGrad: true })
  a.pow(3).mul(3).sub(b.pow(2)).backward(torch.ones(2))
  expect(a.grad?.tolist()).toEqual([36, 81])
  expect(b.grad?.tolist()).toEqual([-12, -8])
})

test('a network learns xor', () => {
  torch.manualSeed(0)
  class Net extends torch.nn.Module {
    hidden = new torch.nn.Linear(2, 8)
    out = new torch.nn.Linear(8, 2)
    forward(x: torch.Tensor): torch.Tensor {
      return this.out(this.hidden(x).tanh())
    }
  }
  const x = torch.tensor(
    [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ],
    { dtype: torch.float32 },
  )
  const y = torch.tensor([0, 1, 1, 0])
  const model = new Net()
  const optimizer = new torch.optim.Adam(model.parameters(), { lr: 0.05 })
  for (let i = 0; i < 200; i++) {
    optimizer.zeroGrad()
    torch.nn.functional.crossEntropy(model(x), y).backward()
    optimizer.step()
  }
  expect(model(x).argmax(1).tolist()).toEqual([0, 1, 1, 0])
})
