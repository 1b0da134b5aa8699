// The autograd engine: what is recorded, when it is freed, hooks, modes, custom functions, and PyTorch's errors.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'

/** The gradient's values; a function, so that TypeScript does not remember what `grad` was set to. */
const gradOf = (x: torch.Tensor) => x.grad?.tolist()
const float = (data: torch.TensorData, requiresGrad = true) =>
  torch.tensor(data, { dtype: torch.float32, requiresGrad })

describe('the graph', () => {
  test('is the one PyTorch shows', () => {
    const x = torch.ones(2, 2, { requiresGrad: true })
    const y = x.add(2)
    const out = y.mul(y).mul(3).mean()
    expect(`${y}`).toBe('tensor([[3., 3.],\n        [3., 3.]], grad_fn=<AddBackward0>)')
    expect(`${out}`).toBe('tensor(27., grad_fn=<MeanBackward0>)')
    expect(out.gradFn?.name).toBe('MeanBackward0')
    expect(out.gradFn?.nextFunctions[0][0]?.name).toBe('MulBackward0')
    out.backward()
    expect(x.grad?.tolist()).toEqual([
      [4.5, 4.5],
      [4.5, 4.5],
    ])
    expect([x.isLeaf, y.isLeaf, x.gradFn]).toEqual([true, false, null])
  })

  test('of a linear layer has bias, input and weight as its edges', () => {
    const layer = new torch.nn.Linear(3, 2)
    const out = layer(torch.ones(1, 3, { requiresGrad: true }))
    expect(out.gradFn?.name).toBe('AddmmBackward0')
    expect(out.gradFn?.nextFunctions.map(([n]) => n?.name)).toEqual(['AccumulateGrad', 'AccumulateGrad', 'TBackward0'])
  })

  test('propagates requiresGrad', () => {
    const [x, y, z] = [torch.rand(5, 5), torch.rand(5, 5), torch.rand(5, 5, { requiresGrad: true })]
    expect([x.add(y).requiresGrad, x.add(z).requiresGrad]).toEqual([false, true])
  })

  test('gives integers and comparisons no history', () => {
    const x = float([1, 2])
    expect([x.gt(1).requiresGrad, x.to(torch.int64).requiresGrad, x.argmax().requiresGrad]).toEqual([
      false,
      false,
      false,
    ])
  })

  test('P11: attributes of x, y and z = x * y', () => {
    const [x, y] = [float(1), float(2, false)]
    const z = x.mul(y)
    expect([x, y, z].map((t) => [t.item(), t.requiresGrad, t.grad, t.gradFn?.name ?? null, t.isLeaf])).toEqual([
      [1, true, null, null, true],
      [2, false, null, null, true],
      [2, true, null, 'MulBackward0', false],
    ])
  })

  test('P11: vector-Jacobian products through indexed assignment', () => {
    const product = (v: number[]) => {
      const x = float([1, 2, 3])
      const y = torch.zeros(3)
      const [a, b, c] = x
      y.setAt([0], a.pow(2).add(b.mul(2)).add(c))
      y.setAt([1], a.add(b.pow(3)).add(c.pow(2)))
      y.setAt([2], a.mul(2).add(b.pow(2)).add(c.pow(3)))
      y.backward(float(v, false))
      return x.grad?.tolist()
    }
    expect(product([1, 1, 1])).toEqual([5, 18, 34])
    expect(product([3, 2, 1])).toEqual([10, 34, 42])
  })
})

describe('functions that answer several views', () => {
  const make = () => {
    const x = float([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
      [10, 11, 12],
    ])
    return [x, x.mul(1)] as const
  }

  test('are one node, and what nobody used counts as zero', () => {
    for (const [cut, name] of [
      [(y: torch.Tensor) => y.split(3), 'SplitBackward0'],
      [(y: torch.Tensor) => y.split([1, 3]), 'SplitWithSizesBackward0'],
      [(y: torch.Tensor) => y.chunk(3), 'SplitBackward0'],
      [(y: torch.Tensor) => y.unbind(), 'UnbindBackward0'],
    ] as const) {
      const [x, y] = make()
      const parts = cut(y)
      expect(parts[0].gradFn?.name).toBe(name)
      expect(parts[1].gradFn).toBe(parts[0].gradFn)
      parts[1].mul(2).sum().backward()
      const [z, w] = make()
      const rows = (t: torch.Tensor): number => (t.ndim === 1 ? 1 : t.sizes[0])
      w.narrow(0, rows(parts[0]), rows(parts[1])).mul(2).sum().backward()
      expect(gradOf(x)).toEqual(gradOf(z))
    }
  })

  test('do not let their views be changed in place', () => {
    const [, y] = make()
    expect(() => y.split(2)[1].add_(1)).toThrow(
      'Output 1 of Split is a view and is being modified inplace. This view is the output of a function that returns multiple views.',
    )
    expect(() => y.unbind()[0].mul_(2)).toThrow('Output 0 of Unbind is a view')
    torch.noGrad(() => y.split(2)[1].zero_())
    expect(y.sum(1).tolist()).toEqual([6, 15, 0, 0])
    torch.unsafeSplit(y, 2)[0].zero_()
    expect(y.sum().item()).toBe(0)
  })
})

describe('backward', () => {
  test('adds up over calls and over uses', () => {
    const x = float([1, 2])
    x.mul(3).sum().backward()
    x.mul(3).sum().backward()
    expect(x.grad?.tolist()).toEqual([6, 6])
    x.grad = null
    x.mul(x).add(x).sum().backward()
    expect(gradOf(x)).toEqual([3, 5])
  })

  test('gives leaves gradients of their own', () => {
    const [x, y] = [float([1, 2]), float([3, 4])]
    x.add(y).backward(torch.ones(2))
    x.grad?.add_(1)
    expect([x.grad?.tolist(), y.grad?.tolist()]).toEqual([
      [2, 2],
      [1, 1],
    ])
  })

  test('needs a scalar or a gradient', () => {
    expect(() => float([1, 2]).mul(2).backward()).toThrow('grad can be implicitly created only for scalar outputs')
    expect(() => float([1, 2]).mul(2).backward(torch.ones(3))).toThrow('Mismatch in shape')
  })

  test('needs a graph', () => {
    expect(() => torch.ones(1).backward()).toThrow(
      'element 0 of tensors does not require grad and does not have a grad_fn',
    )
  })

  test('frees the graph unless told to retain it', () => {
    const x = float([1, 2])
    const kept = x.pow(2).sum()
    kept.backward({ retainGraph: true })
    kept.backward()
    expect(x.grad?.tolist()).toEqual([4, 8])
    expect(() => kept.backward()).toThrow('Trying to backward through the graph a second time')
  })

  test('refuses values that changed in place since', () => {
    const x = float([1, 2])
    const y = x.exp()
    y.add_(1)
    expect(() => y.sum().backward()).toThrow(
      /modified by an inplace operation: \[torch.FloatTensor \[2\]\].*is at version 1; expected version 0/s,
    )
  })

  test('goes through the changes in place that are harmless', () => {
    const x = float([1, 2])
    const y = x.mul(2)
    y.add_(1).mul_(3)
    y.sum().backward()
    expect(x.grad?.tolist()).toEqual([6, 6])
  })

  test('goes through changes of views', () => {
    const x = float([
      [1, 2],
      [3, 4],
    ])
    const y = x.mul(2)
    y.select(0, 0).mul_(10)
    y.t().select(0, 1).add_(1)
    expect(y.tolist()).toEqual([
      [20, 41],
      [6, 9],
    ])
    y.sum().backward()
    expect(x.grad?.tolist()).toEqual([
      [20, 20],
      [2, 2],
    ])
  })

  test('with inputs accumulates into those only', () => {
    const [x, y] = [float([2]), float([3])]
    x.mul(y).backward(null, { inputs: [x] })
    expect([x.grad?.tolist(), y.grad]).toEqual([[3], null])
  })

  test('walks deep graphs', () => {
    const x = float(1)
    let y: torch.Tensor = x
    for (let i = 0; i < 20000; i++) y = y.add(1)
    y.backward()
    expect(x.grad?.item()).toBe(1)
  })
})

describe('grad', () => {
  test('answers gradients without touching grad, to any order', () => {
    const x = float([2])
    const [first] = torch.autograd.grad(x.pow(3), x, { createGraph: true })
    const [second] = torch.autograd.grad(first, x, { createGraph: true })
    const [third] = torch.autograd.grad(second, x)
    expect([first.item(), second.item(), third.item(), x.grad]).toEqual([12, 12, 6, null])
  })

  test('names inputs that are not used', () => {
    const [x, y] = [float([1]), float([1])]
    expect(() => torch.autograd.grad(x.mul(2), [x, y])).toThrow('appears to not have been used in the graph')
    expect(torch.autograd.grad(x.mul(2), [x, y], { allowUnused: true })[1]).toBe(null)
  })

  test('of an inner tensor', () => {
    const x = float([1, 2])
    const y = x.mul(3)
    const [g] = torch.autograd.grad(y.pow(2).sum(), y)
    expect(g.tolist()).toEqual([6, 12])
  })
})

describe('leaves', () => {
  test('refuse changes in place while recording', () => {
    const x = float([1, 2])
    expect(() => x.add_(1)).toThrow('a leaf Variable that requires grad is being used in an in-place operation.')
    expect(() => x.select(0, 0).add_(1)).toThrow(
      'a view of a leaf Variable that requires grad is being used in an in-place operation.',
    )
    torch.noGrad(() => x.sub_(1))
    expect(x.tolist()).toEqual([0, 1])
  })

  test('must be floating point', () => {
    expect(() => torch.tensor([1], { requiresGrad: true })).toThrow(
      'only Tensors of floating point and complex dtype can require gradients',
    )
  })

  test('alone can change requiresGrad', () => {
    const y = float([1]).mul(2)
    expect(() => {
      y.requiresGrad = false
    }).toThrow('you can only change requires_grad flags of leaf variables.')
    const x = torch.ones(2).requiresGrad_()
    expect(x.requiresGrad).toBe(true)
    x.requiresGrad = false
    expect(x.mul(2).requiresGrad).toBe(false)
  })

  test('check the gradient assigned to them', () => {
    expect(() => {
      float([1, 2]).grad = torch.ones(3)
    }).toThrow('assigned grad has data of a different size or type')
  })
})

describe('modes', () => {
  test('noGrad, enableGrad and setGradEnabled nest, and restore after an error', () => {
    const x = float([1])
    expect(torch.noGrad(() => x.mul(2)).requiresGrad).toBe(false)
    expect(torch.noGrad(() => torch.enableGrad(() => x.mul(2))).requiresGrad).toBe(true)
    expect(torch.setGradEnabled(false, () => x.mul(2)).requiresGrad).toBe(false)
    expect(() =>
      torch.noGrad(() => {
        throw new Error('inside')
      }),
    ).toThrow('inside')
    expect(torch.isGradEnabled()).toBe(true)
  })

  test('a guard restores at the end of its block', () => {
    const x = float([1])
    {
      using _guard = torch.noGrad()
      expect(x.mul(2).requiresGrad).toBe(false)
    }
    expect(x.mul(2).requiresGrad).toBe(true)
  })

  test('refuse async callbacks', () => {
    expect(() => torch.noGrad(async () => 1)).toThrow('the callback is async')
    expect(torch.isGradEnabled()).toBe(true)
  })

  test('detach cuts the history and shares the memory', () => {
    const x = float([1, 2])
    const y = x.mul(2).detach()
    expect(y.requiresGrad).toBe(false)
    const z = x.detach()
    z.fill_(7)
    expect(x.tolist()).toEqual([7, 7])
  })
})

describe('hooks', () => {
  test('see and replace gradients, of leaves and others', () => {
    const x = float([1, 2])
    const y = x.mul(2)
    const seen: unknown[] = []
    y.registerHook((g) => {
      seen.push(g.tolist())
      return g.mul(10)
    })
    const handle = x.registerHook((g) => {
      seen.push(g.tolist())
    })
    y.sum().backward()
    handle.remove()
    x.mul(1).sum().backward()
    expect(seen).toEqual([
      [1, 1],
      [20, 20],
    ])
    expect(x.grad?.tolist()).toEqual([21, 21])
  })

  test('retainGrad keeps the gradient of what is no leaf', () => {
    const x = float([1, 2])
    const y = x.mul(2)
    y.retainGrad()
    y.pow(2).sum().backward()
    expect(y.grad?.tolist()).toEqual([4, 8])
  })

  test('gradients that a hook keeps stay as they were', () => {
    const x = float([1, 2, 3])
    const kept: torch.Tensor[] = []
    let y: torch.Tensor = x
    for (let i = 0; i < 5; i++) {
      y = y.mul(2)
      y.registerHook((g) => {
        kept.push(g)
      })
    }
    y.sum().backward()
    for (let i = 0; i < 50; i++) torch.rand(3).mul(2)
    expect(kept.map((g) => g.at(0).item())).toEqual([1, 2, 4, 8, 16])
  })
})

describe('custom functions', () => {
  class Cube extends torch.autograd.Function {
    static forward(ctx: torch.autograd.FunctionContext, x: torch.Tensor, scale: number): torch.Tensor {
      ctx.saveForBackward(x)
      ctx.scale = scale
      return x.pow(3).mul(scale)
    }
    static backward(ctx: torch.autograd.FunctionContext, g: torch.Tensor) {
      const [x] = ctx.savedTensors
      return [g.mul(x.pow(2).mul(3 * (ctx.scale as number))), null]
    }
  }

  test('are recorded as themselves, to any order', () => {
    const x = torch.tensor([1, 2], { dtype: torch.float64, requiresGrad: true })
    const y = Cube.apply(x, 2)
    expect(y.gradFn?.name).toBe('CubeBackward')
    expect(torch.autograd.gradcheck((v) => Cube.apply(v, 2), x)).toBe(true)
    expect(torch.autograd.gradgradcheck((v) => Cube.apply(v, 2), x)).toBe(true)
  })

  test('must answer a gradient per argument', () => {
    class Wrong extends torch.autograd.Function {
      static forward(_ctx: torch.autograd.FunctionContext, x: torch.Tensor, y: torch.Tensor): torch.Tensor {
        return x.mul(y)
      }
      static backward(_ctx: torch.autograd.FunctionContext, g: torch.Tensor) {
        return [g]
      }
    }
    expect(() => Wrong.apply(float([1]), float([1])).backward()).toThrow('returned an incorrect number of gradients')
  })
})

test('gradcheck finds a wrong gradient', () => {
  class Wrong extends torch.autograd.Function {
    static forward(_ctx: torch.autograd.FunctionContext, x: torch.Tensor): torch.Tensor {
      return x.mul(2)
    }
    static backward(_ctx: torch.autograd.FunctionContext, g: torch.Tensor) {
      return g.mul(3)
    }
  }
  const x = torch.tensor([1, 2], { dtype: torch.float64, requiresGrad: true })
  expect(() => torch.autograd.gradcheck((v) => Wrong.apply(v), x)).toThrow('Jacobian mismatch for output 0')
})

test('anomaly mode names the forward call', () => {
  const x = float([-1])
  torch.autograd.detectAnomaly(() => {
    const y = x.sqrt().sum()
    expect(() => y.backward()).toThrow(/SqrtBackward0.*returned nan values/s)
  })
})
