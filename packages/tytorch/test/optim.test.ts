// Optimizers against ten steps of PyTorch's with each option, and what they print, store and refuse.
import { describe, expect, test, vi } from 'vitest'
import * as torch from '../src/index.ts'
import { nn, optim } from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'
import { excess, optionsOf, recorded, tensorOf } from './recorded.ts'

type AnyOptimizer = optim.Optimizer
type Constructor = new (params: Iterable<unknown>, options: Record<string, unknown>) => AnyOptimizer
const classes = optim as unknown as Record<string, Constructor>

describe.each(recorded.optimizers)('$optimizer, $desc', (c) => {
  /** Walks the recorded steps; `between` may put another optimizer in place of the present one. */
  function walk(between: (optimizer: AnyOptimizer, params: Tensor[]) => AnyOptimizer): void {
    const params = c.params.map((p) => tensorOf(p).requiresGrad_())
    const [t0, t1] = c.targets.map(tensorOf)
    let optimizer = new classes[c.optimizer](params, optionsOf(c.kwargs))
    for (let step = 1; step <= 10; step++) {
      optimizer.zeroGrad()
      const [p0, p1] = params
      const loss = p0.sub(t0).pow(2).sum().add(p1.sub(t1).abs().pow(1.5).sum()).add(p0.sum().mul(p1.mean()))
      loss.backward()
      optimizer.step()
      const expected = c.steps.find((s) => s.step === step)
      expected?.params.forEach((p, i) => {
        expect(excess(params[i], tensorOf(p), 1e-5), `parameter ${i} after step ${step}`).toBeLessThanOrEqual(1)
      })
      optimizer = between(optimizer, params)
    }
  }

  test('steps as PyTorch does', () => {
    walk((optimizer) => optimizer)
  })

  test('steps on from a state dict', () => {
    walk((optimizer, params) => {
      const next = new classes[c.optimizer](params, optionsOf(c.kwargs))
      next.loadStateDict(optimizer.stateDict())
      return next
    })
  })
})

const one = (): Tensor => torch.zeros(1, { requiresGrad: true })
const texts: Record<string, () => unknown> = {
  'torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)': () =>
    new optim.SGD([one()], { lr: 0.1, momentum: 0.9 }),
  'torch.optim.Adam([nn.Parameter(torch.zeros(1))])': () => new optim.Adam([one()]),
  "torch.optim.AdamW([{'params': [nn.Parameter(torch.zeros(1))]}, {'params': [nn.Parameter(torch.zeros(1))], 'lr': 0.5}])":
    () => new optim.AdamW([{ params: [one()] }, { params: [one()], lr: 0.5 }]),
  'torch.optim.RMSprop([nn.Parameter(torch.zeros(1))])': () => new optim.RMSprop([one()]),
  'torch.optim.Adagrad([nn.Parameter(torch.zeros(1))])': () => new optim.Adagrad([one()]),
  'torch.optim.Adadelta([nn.Parameter(torch.zeros(1))])': () => new optim.Adadelta([one()]),
  'torch.optim.Adamax([nn.Parameter(torch.zeros(1))])': () => new optim.Adamax([one()]),
  'torch.optim.NAdam([nn.Parameter(torch.zeros(1))])': () => new optim.NAdam([one()]),
  'torch.optim.RAdam([nn.Parameter(torch.zeros(1))])': () => new optim.RAdam([one()]),
  'torch.optim.ASGD([nn.Parameter(torch.zeros(1))])': () => new optim.ASGD([one()]),
  'torch.optim.Rprop([nn.Parameter(torch.zeros(1))])': () => new optim.Rprop([one()]),
}
test.each(Object.entries(texts))('%s prints as in Python', (text, make) => {
  expect(String(make())).toBe(recorded.texts[text])
})

describe('parameters and groups', () => {
  test.each<[string, () => unknown, string]>([
    ['no parameters', () => new optim.SGD([], { lr: 1 }), 'optimizer got an empty parameter list'],
    [
      'a tensor instead of a list',
      () => new optim.SGD(one() as unknown as Tensor[], { lr: 1 }),
      'params argument given to the optimizer should be an iterable of Tensors or dicts, but got torch.FloatTensor',
    ],
    [
      'a number among parameters',
      () => new optim.SGD([one(), 3 as unknown as Tensor]),
      'optimizer can only optimize Tensors, but one of the params is number',
    ],
    ['a result', () => new optim.SGD([one().mul(2)]), "can't optimize a non-leaf Tensor"],
    ['a negative rate', () => new optim.Adam([one()], { lr: -1 }), 'Invalid learning rate: -1'],
    ['a negative epsilon', () => new optim.Adam([one()], { eps: -1 }), 'Invalid epsilon value: -1'],
    ['a beta of 1', () => new optim.Adam([one()], { betas: [1, 0.9] }), 'Invalid beta parameter at index 0: 1'],
    ['a negative momentum', () => new optim.SGD([one()], { momentum: -0.5 }), 'Invalid momentum value: -0.5'],
    ['a negative decay', () => new optim.RMSprop([one()], { weightDecay: -0.5 }), 'Invalid weight_decay value: -0.5'],
    [
      'nesterov alone',
      () => new optim.SGD([one()], { nesterov: true }),
      'Nesterov momentum requires a momentum and zero dampening',
    ],
    [
      'an unknown option',
      () => new optim.SGD([one()], { lrate: 1 } as object),
      "SGD() got an unexpected keyword argument 'lrate'",
    ],
  ])('%s are refused', (_, make, message) => {
    expect(make).toThrow(message)
  })

  test('a parameter belongs to one group', () => {
    const p = one()
    expect(() => new optim.SGD([{ params: [p] }, { params: [p] }])).toThrow(
      'some parameters appear in more than one parameter group',
    )
  })

  test('groups have options of their own, which may change between steps', () => {
    const [a, b] = [one(), one()]
    const optimizer = new optim.SGD([{ params: a, lr: 1 }, { params: [b] }], { lr: 0.1 })
    const step = (): void => {
      optimizer.zeroGrad()
      a.add(b).sum().backward()
      optimizer.step()
    }
    step()
    expect([a.item(), b.item()]).toEqual([-1, Math.fround(-0.1)])
    optimizer.paramGroups[0].lr = 0
    step()
    expect(a.item()).toBe(-1)
    const c = one()
    optimizer.addParamGroup({ params: c })
    expect(optimizer.paramGroups[2].lr).toBe(0.1)
  })

  test('named parameters are taken too', () => {
    const model = new nn.Linear(2, 1)
    expect(new optim.Adam(model.namedParameters()).paramGroups[0].params.length).toBe(2)
  })
})

describe('a step', () => {
  test('leaves parameters without gradient alone', () => {
    const [a, b] = [one(), one()]
    const optimizer = new optim.Adam([a, b], { lr: 0.5 })
    a.mul(3).sum().backward()
    optimizer.step()
    expect(a.item()).toBeCloseTo(-0.5, 5)
    expect(b.item()).toBe(0)
    expect(optimizer.state.has(b)).toBe(false)
  })

  test('counts as a change in place, so that backward notices', () => {
    const w = torch.ones(1, { requiresGrad: true })
    const loss = w.mul(w).sum()
    const optimizer = new optim.SGD([w], { lr: 0.1 })
    w.sum().backward()
    optimizer.step()
    expect(() => loss.backward()).toThrow('modified by an inplace operation')
  })

  test('calls a closure with recording on and answers its loss', () => {
    const w = torch.ones(1, { requiresGrad: true })
    const optimizer = new optim.SGD([w], { lr: 0.25 })
    const loss = torch.noGrad(() =>
      optimizer.step(() => {
        optimizer.zeroGrad()
        const l = w.pow(2).sum()
        l.backward()
        return l
      }),
    )
    expect(loss.item()).toBe(1)
    expect(w.item()).toBe(0.5)
  })

  test('zeroGrad forgets gradients, or zeroes them', () => {
    const w = one()
    const optimizer = new optim.SGD([w])
    w.sum().backward()
    optimizer.zeroGrad(false)
    expect(w.grad?.tolist()).toEqual([0])
    optimizer.zeroGrad()
    expect(w.grad).toBeNull()
  })

  test('updates strided and half precision parameters', () => {
    const w = torch.ones(2, 3).t().detach().requiresGrad_()
    const h = torch.ones(3, { dtype: torch.float16 }).requiresGrad_()
    const optimizer = new optim.Adam([w, h], { lr: 0.5 })
    w.sum().add(h.sum()).backward()
    optimizer.step()
    expect(excess(w, torch.full([3, 2], 0.5))).toBeLessThanOrEqual(1)
    expect(h.tolist()).toEqual([0.5, 0.5, 0.5])
  })
})

describe('state dicts', () => {
  test('are spelled as PyTorch spells them', () => {
    const optimizer = new optim.Adam([one()], { lr: 0.1 })
    optimizer.paramGroups[0].params[0].sum().backward()
    optimizer.step()
    const { state, param_groups } = optimizer.stateDict()
    expect(Object.keys(state[0])).toEqual(['step', 'exp_avg', 'exp_avg_sq'])
    expect((state[0].step as Tensor).item()).toBe(1)
    expect(param_groups[0]).toMatchObject({ lr: 0.1, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0, params: [0] })
  })

  test('must fit the groups', () => {
    const saved = new optim.Adam([one()]).stateDict()
    expect(() => new optim.Adam([one(), one()]).loadStateDict(saved)).toThrow(
      "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    )
    expect(() => new optim.Adam([{ params: [one()] }, { params: [one()] }]).loadStateDict(saved)).toThrow(
      'loaded state dict has a different number of parameter groups',
    )
  })
})

describe('schedules', () => {
  const S = optim.lrScheduler
  const make: Record<string, (o: optim.SGD) => optim.lrScheduler.LRScheduler | optim.lrScheduler.ReduceLROnPlateau> = {
    'LambdaLR(o, lambda e: 0.9 ** e)': (o) => new S.LambdaLR(o, (e) => 0.9 ** e),
    'StepLR(o, 3)': (o) => new S.StepLR(o, 3),
    'StepLR(o, step_size=2, gamma=0.5)': (o) => new S.StepLR(o, { stepSize: 2, gamma: 0.5 }),
    'MultiStepLR(o, [2, 5, 5])': (o) => new S.MultiStepLR(o, [2, 5, 5]),
    'ConstantLR(o)': (o) => new S.ConstantLR(o),
    'ConstantLR(o, factor=0.5, total_iters=3)': (o) => new S.ConstantLR(o, { factor: 0.5, totalIters: 3 }),
    'LinearLR(o)': (o) => new S.LinearLR(o),
    'LinearLR(o, 0.25, 0.75, 8)': (o) => new S.LinearLR(o, 0.25, 0.75, 8),
    'ExponentialLR(o, 0.8)': (o) => new S.ExponentialLR(o, 0.8),
    'CosineAnnealingLR(o, 4)': (o) => new S.CosineAnnealingLR(o, 4),
    'CosineAnnealingLR(o, T_max=6, eta_min=0.01)': (o) => new S.CosineAnnealingLR(o, { TMax: 6, etaMin: 0.01 }),
    'ReduceLROnPlateau(o, patience=1)': (o) => new S.ReduceLROnPlateau(o, { patience: 1 }),
    "ReduceLROnPlateau(o, 'max', 0.5, 0, cooldown=2, min_lr=0.03)": (o) =>
      new S.ReduceLROnPlateau(o, 'max', 0.5, 0, { cooldown: 2, minLr: 0.03 }),
  }

  test.each(Object.keys(make))('%s is PyTorch’s, also when resumed', (text) => {
    const optimizer = new optim.SGD([{ params: [one()] }, { params: [one()], lr: 0.1 }], { lr: 0.4 })
    let scheduler = make[text](optimizer)
    const rates = (): number[] => optimizer.paramGroups.map((g) => g.lr as number)
    const found = [rates()]
    for (const metric of recorded.metrics) {
      optimizer.step()
      if (scheduler instanceof S.ReduceLROnPlateau) scheduler.step(metric)
      else scheduler.step()
      found.push(rates())
      if (found.length === 5) {
        const saved = [optimizer.stateDict(), scheduler.stateDict()] as const
        scheduler = make[text](optimizer)
        optimizer.loadStateDict(saved[0])
        scheduler.loadStateDict(saved[1])
      }
      expect(scheduler.getLastLr()).toEqual(rates())
    }
    found.forEach((pair, i) => {
      pair.forEach((lr, group) => {
        expect(lr, `group ${group}, epoch ${i}`).toBeCloseTo(recorded.schedules[text][i][group], 14)
      })
    })
  })

  test('a scheduler that steps before its optimizer warns', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    new S.StepLR(new optim.SGD([one()]), 1).step()
    expect(warn.mock.calls[0][0]).toContain('Detected call of `lr_scheduler.step()` before `optimizer.step()`.')
    warn.mockRestore()
  })
})
