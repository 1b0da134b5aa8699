// Modules: calling, types, the walk over parameters, buffers and children, state dicts, hooks, printing, fresh weights.
import { inspect } from 'node:util'
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn } from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'
import { hashOf, recorded } from './recorded.ts'

class Net extends nn.Module {
  fc1 = new nn.Linear(4, 8)
  act = new nn.ReLU()
  fc2 = new nn.Linear(8, 3)

  forward(x: Tensor) {
    return this.fc2(this.act(this.fc1(x)))
  }
}

describe('calling', () => {
  test('an instance calls its forward', () => {
    const net = new Net()
    const x = torch.randn(5, 4)
    expect(net(x).tolist()).toEqual(net.forward(x).tolist())
    expect(net(x).shape.toString()).toBe('torch.Size([5, 3])')
    expect(net).toBeInstanceOf(Net)
    expect(net).toBeInstanceOf(nn.Module)
  })

  test('and is typed by it', () => {
    class Pair extends nn.Module {
      forward(x: Tensor, scale = 1): [Tensor, number] {
        return [x, scale]
      }
    }
    const pair = new Pair()
    expectTypeOf(pair(torch.ones(1))).toEqualTypeOf<[Tensor, number]>()
    expectTypeOf(new Net()(torch.ones(1, 4))).toEqualTypeOf<Tensor>()
    const wrong = (): unknown[] => [
      // @ts-expect-error a number is no tensor
      new Net()(3),
      // @ts-expect-error one argument too many
      new nn.ReLU()(torch.ones(1), 2),
      // @ts-expect-error no such option
      new nn.Linear(1, 2, { biass: true }),
    ]
    expect(wrong).toBeTypeOf('function')
    const layers = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU())
    expectTypeOf(layers.at(0)).toEqualTypeOf<nn.Linear>()
    expectTypeOf(layers(torch.ones(1, 2))).toEqualTypeOf<Tensor>()
  })

  test('without a forward it says so', () => {
    // @ts-expect-error forward is missing
    class Bare extends nn.Module {}
    const bare = new (Bare as unknown as new () => nn.Module)()
    expect(() => bare()).toThrow('Module [Bare] is missing the required "forward" function')
    expect(() => (new nn.ModuleList() as nn.Module)()).toThrow(
      'Module [ModuleList] is missing the required "forward" function',
    )
  })

  test('a subclass sees the state of its constructor', () => {
    class Scale extends nn.Module {
      #factor: number

      constructor(factor: number) {
        super()
        this.#factor = factor
      }

      forward(x: Tensor): Tensor {
        return x.mul(this.#factor)
      }
    }
    class Twice extends Scale {
      constructor() {
        super(2)
      }
    }
    expect(new Twice()(torch.tensor(3)).item()).toBe(6)
  })
})

describe('the walk', () => {
  test('finds parameters in order, by PyTorch’s names', () => {
    const net = new Net()
    expect(net.namedParameters().map(([name, p]) => [name, [...p.shape]])).toEqual([
      ['fc1.weight', [8, 4]],
      ['fc1.bias', [8]],
      ['fc2.weight', [3, 8]],
      ['fc2.bias', [3]],
    ])
    expect([...net.parameters()].length).toBe(4)
    expect(net.namedModules().map(([name]) => name)).toEqual(['', 'fc1', 'act', 'fc2'])
    expect(net.children()).toEqual([net.fc1, net.act, net.fc2])
    expect(net.namedChildren().map(([name]) => name)).toEqual(['fc1', 'act', 'fc2'])
  })

  test('sees what was assigned later, and not what was taken away', () => {
    const net = new Net() as Net & { extra?: nn.Module }
    net.fc2 = new nn.Linear(8, 5, { bias: false })
    net.extra = new nn.Linear(1, 1)
    expect(net.namedParameters().map(([name]) => name)).toEqual([
      'fc1.weight',
      'fc1.bias',
      'fc2.weight',
      'extra.weight',
      'extra.bias',
    ])
    delete net.extra
    expect(net.parameters().length).toBe(3)
  })

  test('counts a shared parameter and a shared module once', () => {
    class Tied extends nn.Module {
      a = new nn.Linear(2, 2)
      b = this.a
      c = new nn.Linear(2, 2)

      constructor() {
        super()
        this.c.weight = this.a.weight
      }

      forward(x: Tensor): Tensor {
        return this.c(this.b(x))
      }
    }
    const tied = new Tied()
    expect(tied.namedParameters().map(([name]) => name)).toEqual(['a.weight', 'a.bias', 'c.bias'])
    expect(Object.keys(tied.stateDict())).toEqual(['a.weight', 'a.bias', 'b.weight', 'b.bias', 'c.weight', 'c.bias'])
    expect(tied.modules().length).toBe(3)
  })

  test('takes properties called name and length, and lists only in ModuleList', () => {
    class Odd extends nn.Module {
      override name = new nn.Linear(1, 1)
      plain = [new nn.Linear(1, 1)]
      layers = new nn.ModuleList([new nn.Linear(1, 1)])
      scales = new nn.ParameterList([torch.ones(2)])

      forward(x: Tensor): Tensor {
        return x
      }
    }
    expect(new Odd().namedParameters().map(([name]) => name)).toEqual([
      'name.weight',
      'name.bias',
      'layers.0.weight',
      'layers.0.bias',
      'scales.0',
    ])
  })

  test('spells buffers in snake case and keeps those that do not persist out of the state', () => {
    class Stats extends nn.Module {
      declare runningMean: Tensor

      constructor() {
        super()
        this.registerBuffer('runningMean', torch.zeros(2))
        this.registerBuffer('cache', torch.ones(1), false)
      }

      forward(x: Tensor): Tensor {
        return x.sub(this.runningMean)
      }
    }
    const stats = new Stats()
    expect(stats.namedBuffers().map(([name]) => name)).toEqual(['running_mean', 'cache'])
    expect(Object.keys(stats.stateDict())).toEqual(['running_mean'])
    stats.runningMean = torch.ones(2)
    expect(stats.buffers()[0].tolist()).toEqual([1, 1])
    expect(() => stats.registerBuffer('a.b', null)).toThrow('buffer name can\'t contain "."')
    expect(() => stats.registerModule('forward', new nn.ReLU())).toThrow("attribute 'forward' already exists")
  })

  test('reaches by path', () => {
    const model = new nn.Sequential({ body: new nn.Sequential(new nn.Linear(1, 2), new nn.ReLU()) })
    expect(model.getSubmodule('body.0')).toBeInstanceOf(nn.Linear)
    expect([...model.getParameter('body.0.weight').shape]).toEqual([2, 1])
    expect(() => model.getSubmodule('head')).toThrow('Sequential has no attribute `head`')
  })

  test('train, eval, apply, requiresGrad_ and zeroGrad reach everything', () => {
    const net = new Net()
    expect(net.eval()).toBe(net)
    expect(net.modules().every((m) => !m.training)).toBe(true)
    net.train()
    expect(net.modules().every((m) => m.training)).toBe(true)
    const seen: string[] = []
    net.apply((m) => seen.push(m.constructor.name))
    expect(seen).toEqual(['Linear', 'ReLU', 'Linear', 'Net'])
    net(torch.ones(1, 4)).sum().backward()
    net.zeroGrad()
    expect(net.fc1.weight.grad).toBeNull()
    net.requiresGrad_(false)
    expect(net(torch.ones(1, 4)).requiresGrad).toBe(false)
  })

  test('conversions keep the parameters themselves', () => {
    const net = new Net()
    const { weight } = net.fc1
    net.fc1.registerBuffer('count', torch.tensor(1))
    net(torch.ones(1, 4)).sum().backward()
    expect(net.double()).toBe(net)
    expect(net.fc1.weight).toBe(weight)
    expect([weight.dtype, weight.grad?.dtype, net.fc1.getBuffer('count').dtype]).toEqual([
      torch.float64,
      torch.float64,
      torch.int64,
    ])
    expect(net(torch.ones(1, 4, { dtype: torch.float64 })).dtype).toBe(torch.float64)
    expect(net.to(torch.float32).to('cpu').fc1.weight.dtype).toBe(torch.float32)
    expect(() => net.to(torch.int64)).toThrow(
      'nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=torch.int64',
    )
  })
})

describe('parameters', () => {
  test('share the memory of their data and require a gradient', () => {
    const data = torch.zeros(2)
    const p = new nn.Parameter(data)
    expect(p.requiresGrad).toBe(true)
    data.add_(1)
    expect(p.tolist()).toEqual([1, 1])
    expect(new nn.Parameter(data, false).requiresGrad).toBe(false)
    expect(new nn.Parameter(data.requiresGrad_().mul(2)).isLeaf).toBe(true)
    expect(p.add(1)).not.toBeInstanceOf(nn.Parameter)
  })
})

describe('containers', () => {
  test('Sequential is indexed, iterated and changed', () => {
    const layers = new nn.Sequential(new nn.Linear(1, 2), new nn.ReLU())
    expect(layers.length).toBe(2)
    expect(layers[0]).toBe(layers.at(0))
    expect(layers.at(-1)).toBeInstanceOf(nn.ReLU)
    expect([...layers].length).toBe(2)
    layers.append(new nn.Linear(2, 1)).insert(1, new nn.Tanh())
    expect([...layers].map((m) => m.constructor.name)).toEqual(['Linear', 'Tanh', 'ReLU', 'Linear'])
    expect(Object.keys(layers.stateDict())).toEqual(['0.weight', '0.bias', '3.weight', '3.bias'])
    expect(layers.pop()).toBeInstanceOf(nn.Linear)
    expect(() => layers.at(7)).toThrow('index 7 is out of range')
  })

  test('ModuleDict and ParameterDict keep names as they are given', () => {
    const dict = new nn.ModuleDict({ convBlock: new nn.Linear(1, 1), b: new nn.ReLU() })
    expect([...dict]).toEqual(['convBlock', 'b'])
    expect(Object.keys(dict.stateDict())).toEqual(['convBlock.weight', 'convBlock.bias'])
    expect(dict.get('b')).toBeInstanceOf(nn.ReLU)
    expect(() => dict.get('c')).toThrow("there is no module 'c'; there are convBlock, b")
    const values = new nn.ParameterDict({ left: torch.ones(1) })
    expect(values.get('left')).toBeInstanceOf(nn.Parameter)
    expect(values.has('forward')).toBe(false)
  })
})

describe('state dicts', () => {
  test('go from one module to another', () => {
    const [a, b] = [new Net(), new Net()]
    const state = a.stateDict()
    expect(Object.keys(state)).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias'])
    expect(state['fc1.weight'].requiresGrad).toBe(false)
    expect(String(b.loadStateDict(state))).toBe('<All keys matched successfully>')
    const x = torch.randn(2, 4)
    expect(b(x).tolist()).toEqual(a(x).tolist())
    torch.noGrad(() => b.fc1.weight.zero_())
    expect(state['fc1.weight'].eq(0).all().item()).toBe(false)
  })

  test('of other keys or shapes are refused, with all that is wrong', () => {
    const { 'fc1.bias': _, ...state } = new Net().stateDict()
    const wrong = { ...state, 'fc2.weight': torch.zeros(2, 2), other: torch.ones(1) }
    expect(() => new Net().loadStateDict(wrong)).toThrow(
      new torch.RuntimeError(
        'Error(s) in loading state_dict for Net:\n' +
          '\tMissing key(s) in state_dict: "fc1.bias". \n' +
          '\tUnexpected key(s) in state_dict: "other". \n' +
          '\tsize mismatch for fc2.weight: copying a param with shape torch.Size([2, 2]) from checkpoint, the shape in current model is torch.Size([3, 8]).',
      ),
    )
    const { missingKeys, unexpectedKeys } = new Net().loadStateDict(
      { ...state, other: torch.ones(1) },
      { strict: false },
    )
    expect([missingKeys, unexpectedKeys]).toEqual([['fc1.bias'], ['other']])
  })
})

describe('hooks', () => {
  test('before and after forward change arguments and outputs, until removed', () => {
    const layer = new nn.Identity()
    const before = layer.registerForwardPreHook((_, [x]) => x.add(1))
    const after = layer.registerForwardHook((_, __, y) => y.mul(10))
    expect(layer(torch.tensor(1)).item()).toBe(20)
    before.remove()
    expect(layer(torch.tensor(1)).item()).toBe(10)
    after.remove()
    expect(layer(torch.tensor(1)).item()).toBe(1)
  })

  test('of backward see the gradients of inputs and outputs, and may change the former', () => {
    const layer = new nn.Linear(2, 1, false)
    torch.noGrad(() => layer.weight.copy_(torch.tensor([[2, 3]])))
    const seen: unknown[] = []
    layer.registerFullBackwardHook((module, gradInput, gradOutput) => {
      seen.push(
        module,
        gradInput.map((g) => g?.tolist()),
        gradOutput.map((g) => g?.tolist()),
      )
      return [gradInput[0]?.mul(10) ?? null]
    })
    const x = torch.ones(1, 2, { requiresGrad: true })
    layer(x).sum().backward()
    expect(seen).toEqual([layer, [[[2, 3]]], [[[1]]]])
    expect(x.grad?.tolist()).toEqual([[20, 30]])
    expect(layer.weight.grad?.tolist()).toEqual([[1, 1]])
  })
})

const ones = (...sizes: number[]): Tensor => torch.ones(sizes)
/** What Python printed, made here. */
const printed: Record<string, () => unknown> = {
  'nn.Linear(4, 1024)': () => new nn.Linear(4, 1024),
  'nn.Linear(3, 2, bias=False)': () => new nn.Linear(3, 2, { bias: false }),
  'nn.ReLU()': () => new nn.ReLU(),
  'nn.ReLU(inplace=True)': () => new nn.ReLU({ inplace: true }),
  'nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))': () =>
    new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 3)),
  "nn.Sequential(OrderedDict([('first', nn.Linear(2, 3)), ('act', nn.Tanh())]))": () =>
    new nn.Sequential({ first: new nn.Linear(2, 3), act: new nn.Tanh() }),
  'nn.Sequential()': () => new nn.Sequential(),
  'nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Tanh(), nn.Sigmoid())])': () =>
    new nn.ModuleList<nn.Module>([new nn.Linear(2, 2), new nn.Sequential(new nn.Tanh(), new nn.Sigmoid())]),
  'nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Tanh()])': () =>
    new nn.ModuleList<nn.Module>([new nn.Linear(2, 2), new nn.Linear(2, 2), new nn.Tanh()]),
  "nn.ModuleDict({'a': nn.GELU(), 'b': nn.Softmax(dim=1)})": () =>
    new nn.ModuleDict<nn.Module>({ a: new nn.GELU(), b: new nn.Softmax({ dim: 1 }) }),
  'nn.ParameterList([nn.Parameter(torch.ones(2, 3))])': () => new nn.ParameterList([ones(2, 3)]),
  'nn.ParameterList([nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(()))])': () =>
    new nn.ParameterList([ones(2, 3), ones()]),
  "nn.ParameterDict({'left': nn.Parameter(torch.ones(2))})": () => new nn.ParameterDict({ left: ones(2) }),
  'nn.Dropout(0.2)': () => new nn.Dropout(0.2),
  'nn.Dropout()': () => new nn.Dropout(),
  'nn.Dropout2d(0.25, True)': () => new nn.Dropout2d(0.25, true),
  'nn.AlphaDropout(0.1)': () => new nn.AlphaDropout(0.1),
  'nn.CrossEntropyLoss()': () => new nn.CrossEntropyLoss(),
  "nn.MSELoss(reduction='sum')": () => new nn.MSELoss({ reduction: 'sum' }),
  'nn.NLLLoss()': () => new nn.NLLLoss(),
  'nn.HuberLoss(delta=2.0)': () => new nn.HuberLoss({ delta: 2 }),
  'nn.Flatten()': () => new nn.Flatten(),
  'nn.Flatten(0, 1)': () => new nn.Flatten(0, 1),
  'nn.Unflatten(1, (2, 3))': () => new nn.Unflatten(1, [2, 3]),
  'nn.Identity(1, 2)': () => new nn.Identity(1, 2),
  'nn.Softmax()': () => new nn.Softmax(),
  'nn.LogSoftmax(dim=1)': () => new nn.LogSoftmax({ dim: 1 }),
  'nn.Softmin(dim=0)': () => new nn.Softmin(0),
  'nn.Softmax2d()': () => new nn.Softmax2d(),
  'nn.ELU()': () => new nn.ELU(),
  'nn.ELU(0.5, True)': () => new nn.ELU(0.5, true),
  'nn.CELU()': () => new nn.CELU(),
  'nn.SELU()': () => new nn.SELU(),
  "nn.GELU('tanh')": () => new nn.GELU('tanh'),
  'nn.GLU()': () => new nn.GLU(),
  'nn.SiLU(True)': () => new nn.SiLU(true),
  'nn.Mish()': () => new nn.Mish(),
  'nn.Hardswish(True)': () => new nn.Hardswish(true),
  'nn.Hardsigmoid()': () => new nn.Hardsigmoid(),
  'nn.Hardtanh()': () => new nn.Hardtanh(),
  'nn.Hardtanh(-0.5, 0.5, True)': () => new nn.Hardtanh(-0.5, 0.5, true),
  'nn.ReLU6()': () => new nn.ReLU6(),
  'nn.ReLU6(True)': () => new nn.ReLU6(true),
  'nn.LeakyReLU()': () => new nn.LeakyReLU(),
  'nn.LeakyReLU(0.2, True)': () => new nn.LeakyReLU(0.2, true),
  'nn.Softplus()': () => new nn.Softplus(),
  'nn.Softplus(2.5, 10.5)': () => new nn.Softplus(2.5, 10.5),
  'nn.Softshrink()': () => new nn.Softshrink(),
  'nn.Hardshrink(0.25)': () => new nn.Hardshrink(0.25),
  'nn.Softsign()': () => new nn.Softsign(),
  'nn.Tanhshrink()': () => new nn.Tanhshrink(),
  'nn.Threshold(0.1, 20)': () => new nn.Threshold(0.1, 20),
  'nn.PReLU()': () => new nn.PReLU(),
  'nn.PReLU(3)': () => new nn.PReLU(3),
  'nn.Bilinear(2, 3, 4)': () => new nn.Bilinear(2, 3, 4),
  'nn.Parameter(torch.ones(2))': () => new nn.Parameter(ones(2)),
  'nn.Parameter(torch.ones(2), requires_grad=False)': () => new nn.Parameter(ones(2), { requiresGrad: false }),
}

describe('printing', () => {
  test.each(Object.keys(recorded.texts).filter((text) => text.startsWith('nn.')))('%s', (text) => {
    const made = printed[text]()
    expect(String(made)).toBe(recorded.texts[text])
    expect(inspect(made)).toBe(recorded.texts[text])
  })

  test('a user’s module prints its class, and keys in snake case', () => {
    class Block extends nn.Module {
      inProj = new nn.Linear(1, 2)

      forward(x: Tensor): Tensor {
        return this.inProj(x)
      }

      override extraRepr(): string {
        return 'size=2'
      }
    }
    expect(String(new Block())).toBe(
      'Block(\n  size=2\n  (in_proj): Linear(in_features=1, out_features=2, bias=True)\n)',
    )
  })
})

describe('fresh weights are PyTorch’s to the bit', () => {
  const build: Record<string, () => nn.Module> = {
    'nn.Linear(4,1024)': () => new nn.Linear(4, 1024),
    'nn.Bilinear(3,4,5)': () => new nn.Bilinear(3, 4, 5),
  }
  test.each(recorded.draws.filter((c) => c.state_dict))('$call (seed $seed)', (c) => {
    torch.manualSeed(c.seed)
    const state = build[c.call]().stateDict()
    for (const [key, tensor] of Object.entries(c.state_dict ?? {})) expect(hashOf(state[key]), key).toBe(tensor.sha256)
  })

  // As they were recorded: with a slope of sqrt(5) for the first.
  const fill: Record<string, (x: Tensor) => Tensor> = {
    'nn.init.kaiming_uniform_': (x) => nn.init.kaimingUniform_(x, Math.sqrt(5)),
    'nn.init.kaiming_normal_': nn.init.kaimingNormal_,
    'nn.init.xavier_uniform_': nn.init.xavierUniform_,
    'nn.init.xavier_normal_': nn.init.xavierNormal_,
    'nn.init.trunc_normal_': nn.init.truncNormal_,
  }
  test.each(recorded.draws.filter((c) => c.call in fill))('$call $shape (seed $seed)', (c) => {
    torch.manualSeed(c.seed)
    for (const draw of c.draws ?? []) expect(hashOf(fill[c.call](torch.empty(c.shape as number[])))).toBe(draw.sha256)
  })
})

describe('initialisers', () => {
  test('fill without recording, and answer the tensor', () => {
    const w = torch.empty(2, 3).requiresGrad_()
    expect(nn.init.constant_(w, 3)).toBe(w)
    expect(w.tolist()).toEqual([
      [3, 3, 3],
      [3, 3, 3],
    ])
    expect(nn.init.eye_(w).tolist()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ])
    expect(nn.init.calculateGain('leakyRelu', 1)).toBe(1)
    expect(() => nn.init.xavierUniform_(torch.empty(3))).toThrow(
      'Fan in and fan out can not be computed for tensor with fewer than 2 dimensions',
    )
    expect(() => nn.init.calculateGain('abc' as 'relu')).toThrow('Unsupported nonlinearity abc')
  })
})

describe('clipping', () => {
  test('scales gradients to a total norm, or limits their elements', () => {
    const [a, b] = [torch.zeros(2, { requiresGrad: true }), torch.zeros(1, { requiresGrad: true })]
    const backward = (): void => a.mul(3).sum().add(b.mul(4).sum()).backward()
    backward()
    expect(nn.utils.clipGradNorm_([a, b], 1).item()).toBeCloseTo(Math.sqrt(34), 5)
    expect(nn.utils.getTotalNorm([a.grad as Tensor, b.grad as Tensor]).item()).toBeCloseTo(1, 5)
    a.grad = null
    b.grad = null
    backward()
    nn.utils.clipGradValue_([a, b], 3.5)
    expect([a.grad, b.grad].map((g) => (g as unknown as Tensor).tolist())).toEqual([[3, 3], [3.5]])
    expect(nn.utils.parametersToVector([a, b]).tolist()).toEqual([0, 0, 0])
    nn.utils.vectorToParameters(torch.tensor([1, 2, 3], { dtype: torch.float32 }), [a, b])
    expect([a.tolist(), b.tolist()]).toEqual([[1, 2], [3]])
  })
})
