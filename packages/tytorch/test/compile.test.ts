// torch.compile: training steps, guards, results, errors and fallbacks, each against the same function run eagerly.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Device } from '../src/backend/device.ts'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { Compiled } from '../src/compile/compile.ts'
import * as torch from '../src/index.ts'
import { useDevice } from '../src/tensor/run.ts'
import { sweep } from '../src/tensor/storage.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { nn, optim } = torch
const F = nn.functional

class Net extends nn.Module {
  fc1: InstanceType<typeof nn.Linear>
  fc2: InstanceType<typeof nn.Linear>
  drop: InstanceType<typeof nn.Dropout>

  constructor(p = 0) {
    super()
    this.fc1 = new nn.Linear(4, 16)
    this.drop = new nn.Dropout(p)
    this.fc2 = new nn.Linear(16, 3)
  }

  forward(x: Tensor): Tensor {
    return this.fc2(this.drop(F.relu(this.fc1(x))))
  }
}

type Make = (model: Net) => torch.optim.Optimizer

interface Training {
  readonly model: Net
  readonly optimizer: torch.optim.Optimizer
  readonly step: (x: Tensor, y: Tensor) => Tensor
  readonly x: Tensor
  readonly y: Tensor
}

/** A model, its data, and a whole training step. */
function training(make: Make, p = 0, rows = 12): Training {
  torch.manualSeed(0)
  const x = torch.rand(rows, 4).mul(6)
  const y = torch.arange(rows).remainder(3)
  const model = new Net(p)
  const optimizer = make(model)
  const criterion = new nn.CrossEntropyLoss()
  const step = (x: Tensor, y: Tensor): Tensor => {
    optimizer.zeroGrad()
    const loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
  }
  return { model, optimizer, step, x, y }
}

/** Losses of `n` steps, and the parameters afterwards; `between` runs after each step. */
function run(t: Training, step: Training['step'], n: number, between: (i: number) => void = () => {}): number[] {
  torch.manualSeed(1)
  const losses: number[] = []
  for (let i = 0; i < n; i++) {
    losses.push(step(t.x, t.y).item())
    between(i)
  }
  for (const p of t.model.parameters()) losses.push(...p.detach().view(-1).tolist<number[]>())
  return losses
}

/** Expects lists equal up to single precision's rounding, which fused kernels do elsewhere than eager ones. */
function expectClose(a: readonly number[], b: readonly number[], tolerance = 2e-5): void {
  expect(a.length).toBe(b.length)
  a.forEach((v, i) => {
    expect(Math.abs(v - b[i]), `${i}: ${v} and ${b[i]}`).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(b[i])))
  })
}

const OPTIMIZERS: Record<string, Make> = {
  Adadelta: (m) => new optim.Adadelta(m.parameters(), { lr: 0.5 }),
  Adagrad: (m) => new optim.Adagrad(m.parameters(), { lr: 0.01, lrDecay: 0.1 }),
  Adam: (m) => new optim.Adam(m.parameters(), { lr: 0.01 }),
  'Adam, amsgrad': (m) => new optim.Adam(m.parameters(), { lr: 0.01, amsgrad: true, weightDecay: 0.01 }),
  AdamW: (m) => new optim.AdamW(m.parameters(), { lr: 0.01 }),
  Adamax: (m) => new optim.Adamax(m.parameters(), { lr: 0.01 }),
  ASGD: (m) => new optim.ASGD(m.parameters(), { lr: 0.01, t0: 5 }),
  NAdam: (m) => new optim.NAdam(m.parameters(), { lr: 0.01 }),
  RAdam: (m) => new optim.RAdam(m.parameters(), { lr: 0.01 }),
  RMSprop: (m) => new optim.RMSprop(m.parameters(), { lr: 0.01, momentum: 0.9, centered: true }),
  Rprop: (m) => new optim.Rprop(m.parameters(), { lr: 0.001 }),
  SGD: (m) => new optim.SGD(m.parameters(), { lr: 0.01 }),
  'SGD, Nesterov': (m) => new optim.SGD(m.parameters(), { lr: 0.01, momentum: 0.9, nesterov: true }),
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a training step', () => {
  test.each(Object.keys(OPTIMIZERS))('%s: 50 steps as eager', (name) => {
    const [a, b] = [training(OPTIMIZERS[name]), training(OPTIMIZERS[name])]
    const compiled = new Compiled(b.step, true)
    const steps = 50
    // Rprop takes signs of gradients, so that roundings around zero decide on whole steps.
    expectClose(
      run(b, (x, y) => compiled.call([x, y]) as Tensor, steps),
      run(a, a.step, steps),
      name === 'Rprop' ? 2e-3 : undefined,
    )
    // First and later steps of momentum, averaging and rectification are other kernels.
    expect(compiled.graphs.length).toBeLessThanOrEqual(2)
    expect(compiled.graphs.reduce((n, g) => n + g.hits, compiled.graphs.length)).toBe(steps)
    expect(b.optimizer.steps).toBe(steps)
  })

  test('dropout draws what eager draws', () => {
    const [a, b] = [training(OPTIMIZERS.Adam, 0.5), training(OPTIMIZERS.Adam, 0.5)]
    expectClose(run(b, torch.compile(b.step), 20), run(a, a.step, 20))
    expect(torch.rand(1).item()).toBe(
      (() => {
        run(a, a.step, 20)
        return torch.rand(1).item()
      })(),
    )
  })

  test('a scheduler outside sets the rate of the next replay', () => {
    const [a, b] = [training(OPTIMIZERS.SGD), training(OPTIMIZERS.SGD)]
    const [sa, sb] = [a, b].map((t) => new optim.lrScheduler.StepLR(t.optimizer, 3, 0.5))
    const compiled = new Compiled(b.step, true)
    expectClose(
      run(
        b,
        (x, y) => compiled.call([x, y]) as Tensor,
        12,
        () => sb.step(),
      ),
      run(a, a.step, 12, () => sa.step()),
    )
    expect(compiled.graphs.length).toBe(1)
  })

  test('a scheduler inside steps at each call', () => {
    const [a, b] = [training(OPTIMIZERS.Adam), training(OPTIMIZERS.Adam)]
    const both = [a, b].map((t) => {
      const scheduler = new optim.lrScheduler.CosineAnnealingLR(t.optimizer, 15)
      return (x: Tensor, y: Tensor): Tensor => {
        const loss = t.step(x, y)
        scheduler.step()
        return loss
      }
    })
    expectClose(run(b, torch.compile(both[1]), 20), run(a, both[0], 20))
  })

  test('gradients are there after each step, as the same tensors, and gone where eager forgets them', () => {
    const [a, b] = [training(OPTIMIZERS.SGD), training(OPTIMIZERS.SGD)]
    const step = torch.compile(b.step)
    run(b, step, 3)
    run(a, a.step, 3)
    const grads = b.model.parameters().map((p) => p.grad as Tensor)
    b.optimizer.zeroGrad()
    expect(b.model.parameters().every((p) => p.grad === null)).toBe(true)
    step(b.x, b.y)
    a.step(a.x, a.y)
    b.model.parameters().forEach((p, i) => {
      expect(p.grad).toBe(grads[i])
    })
    expectClose(
      grads.flatMap((g) => g.view(-1).tolist<number[]>()),
      a.model.parameters().flatMap((p) => (p.grad as Tensor).view(-1).tolist<number[]>()),
    )
  })

  test('gradients accumulate over calls where nothing forgets them', () => {
    const both = [0, 1].map((compiled) => {
      const { model, x, y } = training(OPTIMIZERS.SGD)
      const step = (x: Tensor, y: Tensor): Tensor => {
        const loss = F.crossEntropy(model(x), y)
        loss.backward()
        return loss
      }
      const fn = compiled ? torch.compile(step) : step
      const norms: number[] = []
      for (let i = 0; i < 8; i++) {
        fn(x.mul(1 + i / 10), y)
        norms.push(...model.parameters().map((p) => (p.grad as Tensor).norm().item()))
        if (i === 4) model.zeroGrad()
      }
      return norms
    })
    expectClose(both[1], both[0])
  })

  test('clipping and accumulation of several losses', () => {
    const both = [0, 1].map((compiled) => {
      const t = training(OPTIMIZERS.Adam)
      const step = (x: Tensor, y: Tensor): Tensor => {
        t.optimizer.zeroGrad()
        const first = F.crossEntropy(t.model(x), y)
        first.backward()
        const second = F.crossEntropy(t.model(x.mul(0.5)), y)
        second.backward()
        nn.utils.clipGradNorm_(t.model.parameters(), 0.5)
        t.optimizer.step()
        return first.add(second)
      }
      return run(t, compiled ? torch.compile(step) : step, 12)
    })
    expectClose(both[1], both[0])
  })

  test('changed options of a group are seen', () => {
    const both = [0, 1].map((compiled) => {
      const t = training(OPTIMIZERS.Adam)
      return run(t, compiled ? torch.compile(t.step) : t.step, 12, (i) => {
        const group = t.optimizer.paramGroups[0] as unknown as Record<string, unknown>
        if (i === 3) group.betas = [0.5, 0.9]
        if (i === 6) group.weightDecay = 0.1
        if (i === 8) group.lr = torch.tensor(0.05)
      })
    })
    expectClose(both[1], both[0])
  })
})

describe('guards', () => {
  test('new shapes, dtypes and values are compiled anew, and old ones kept', () => {
    const fn = (x: Tensor, k: number, o: { readonly flag: boolean }): Tensor => (o.flag ? x.mul(k) : x.add(k))
    const compiled = new Compiled(fn, true)
    const cases: [Tensor, number, { flag: boolean }][] = [
      [torch.ones(2, 3), 2, { flag: true }],
      [torch.ones(3, 2), 2, { flag: true }],
      [torch.ones(2, 3, { dtype: torch.float64 }), 2, { flag: true }],
      [torch.ones(2, 3), 3, { flag: true }],
      [torch.ones(2, 3), 3, { flag: false }],
      [torch.ones(3, 2).t(), 3, { flag: false }],
    ]
    for (let round = 0; round < 2; round++) {
      for (const [x, k, o] of cases) {
        const found = compiled.call([x, k, { ...o }]) as Tensor
        expect(found.dtype).toBe(x.dtype)
        expect(found.tolist()).toEqual(fn(x, k, o).tolist())
      }
    }
    expect(compiled.graphs.length).toBe(cases.length)
  })

  test('train and eval', () => {
    const { model, x } = training(OPTIMIZERS.SGD, 0.5)
    const compiled = torch.compile(model)
    const results = [true, false, true, false].map((training) => {
      model.train(training)
      torch.manualSeed(3)
      const eager = model(x).tolist()
      torch.manualSeed(3)
      expect(compiled(x).tolist()).toEqual(eager)
      return eager
    })
    expect(results[0]).not.toEqual(results[1])
  })

  test('grad mode', () => {
    const { model, x } = training(OPTIMIZERS.SGD)
    const compiled = torch.compile(model)
    expect(compiled(x).requiresGrad).toBe(true)
    expect(torch.noGrad(() => compiled(x)).requiresGrad).toBe(false)
    expect(compiled(x).requiresGrad).toBe(true)
  })

  test('a captured tensor changed in place is seen; one whose memory was replaced too', () => {
    const w = torch.ones(3)
    const compiled = new Compiled((x: Tensor) => x.mul(w), true)
    const call = (): number[] => (compiled.call([torch.ones(3)]) as Tensor).tolist()
    expect(call()).toEqual([1, 1, 1])
    w.mul_(2)
    expect(call()).toEqual([2, 2, 2])
    expect(compiled.graphs.length).toBe(1)
    w.data = torch.full([3], 5, { dtype: torch.float32 })
    expect(call()).toEqual([5, 5, 5])
    expect(call()).toEqual([5, 5, 5])
    expect(compiled.graphs.length).toBe(2)
  })

  test("a module's attributes: numbers, flags, parameters", () => {
    const model = new Net()
    const compiled = torch.compile(model)
    const x = torch.ones(2, 4)
    compiled(x)
    model.fc1.weight = new nn.Parameter(torch.ones(16, 4))
    expect(compiled(x).tolist()).toEqual(model(x).tolist())
    model.fc2.weight.requiresGrad_(false)
    compiled(x).sum().backward()
    expect(model.fc2.weight.grad).toBe(null)
    expect(model.fc1.weight.grad).not.toBe(null)
  })

  test('arguments that share memory', () => {
    const fn = (a: Tensor, b: Tensor): Tensor => {
      a.add_(1)
      return a.add(b)
    }
    const compiled = new Compiled(fn, true)
    const apart = (): Tensor[] => [torch.ones(2), torch.ones(2)]
    const same = (): Tensor[] => {
      const t = torch.ones(2)
      return [t, t]
    }
    for (const make of [apart, apart, same, same, apart]) {
      expect((compiled.call(make()) as Tensor).tolist()).toEqual(make === same ? [4, 4] : [3, 3])
    }
    expect(compiled.graphs.length).toBe(2)
  })

  test('views of a larger tensor at other places are the same kind of argument', () => {
    const all = torch.arange(12).to(torch.float32).view(6, 2)
    const compiled = new Compiled((x: Tensor) => x.mul(2).sum(), true)
    for (const i of [0, 2, 4]) {
      const part = all.narrow(0, i, 2)
      expect((compiled.call([part]) as Tensor).item()).toBe(part.mul(2).sum().item())
    }
    expect(compiled.graphs.length).toBe(1)
  })

  test('a full cache runs eagerly, with one warning', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const compiled = new Compiled((x: Tensor, k: number) => x.mul(k), false)
    for (let k = 0; k < 12; k++) expect((compiled.call([torch.ones(1), k]) as Tensor).item()).toBe(k)
    expect(compiled.graphs.length).toBe(8)
    expect(compiled.overflow).toBe(4)
    expect(warn).toHaveBeenCalledTimes(1)
    // Graphs that nobody has used for long make room.
    for (let i = 0; i < 80; i++) compiled.call([torch.ones(1), 7])
    compiled.call([torch.ones(1), 20])
    expect((compiled.call([torch.ones(1), 20]) as Tensor).item()).toBe(20)
    expect(compiled.graphs.some((g) => g.hits === 1)).toBe(true)
  })
})

describe('forward alone, backward outside', () => {
  test('a compiled module in an eager loop', () => {
    const both = [0, 1].map((compiled) => {
      const t = training(OPTIMIZERS.Adam)
      const model = compiled ? torch.compile(t.model) : t.model
      const step = (x: Tensor, y: Tensor): Tensor => {
        t.optimizer.zeroGrad()
        const loss = F.crossEntropy(model(x), y)
        loss.backward()
        t.optimizer.step()
        return loss
      }
      return run(t, step, 30)
    })
    expectClose(both[1], both[0])
  })

  test('two forwards before their backwards', () => {
    const { model, x } = training(OPTIMIZERS.SGD)
    const compiled = torch.compile(model)
    compiled(x)
    const [a, b] = [compiled(x), compiled(x.mul(2))]
    b.sum().backward()
    a.pow(2).sum().backward()
    const found = model.parameters().flatMap((p) => (p.grad as Tensor).view(-1).tolist<number[]>())
    model.zeroGrad()
    model(x.mul(2)).sum().backward()
    model(x).pow(2).sum().backward()
    expectClose(
      found,
      model.parameters().flatMap((p) => (p.grad as Tensor).view(-1).tolist<number[]>()),
    )
  })

  test('gradients of arguments, leaves and not', () => {
    const compiled = torch.compile((a: Tensor, b: Tensor) => [a.mul(b), a.sin()] as const)
    for (let i = 0; i < 3; i++) {
      const a = torch.tensor([1, 2, 3], { dtype: torch.float64 }).add(i).requiresGrad_()
      const b = torch.tensor([2, 3, 5], { dtype: torch.float64 }).requiresGrad_()
      const [product, sine] = compiled(a, b.mul(2))
      product.sum().add(sine.mul(3).sum()).backward()
      expectClose(
        (a.grad as Tensor).tolist<number[]>(),
        [0, 1, 2].map((j) => [4, 6, 10][j] + 3 * Math.cos(j + 1 + i)),
      )
      expectClose(
        (b.grad as Tensor).tolist<number[]>(),
        [0, 1, 2].map((j) => 2 * (j + 1 + i)),
      )
    }
  })

  test('hooks of parameters run once', () => {
    const { model, x } = training(OPTIMIZERS.SGD)
    const compiled = torch.compile(model)
    let calls = 0
    model.fc1.bias?.registerHook(() => {
      calls++
    })
    for (let i = 0; i < 3; i++) compiled(x).sum().backward()
    expect(calls).toBe(3)
  })

  test('what backward reads may not change in between; double backward is refused as in PyTorch', () => {
    const { model, x } = training(OPTIMIZERS.SGD)
    const compiled = torch.compile(model)
    for (let i = 0; i < 2; i++) {
      const out = compiled(x)
      torch.noGrad(() => model.fc2.weight.add_(1))
      expect(() => out.sum().backward()).toThrow(/modified by an inplace operation/)
    }
    const y = x.detach().requiresGrad_()
    expect(() => torch.autograd.grad([compiled(y).sum()], [y], { createGraph: true })).toThrow(
      'torch.compile with aot_autograd does not currently support double backward',
    )
  })
})

describe('results', () => {
  test('are not overwritten by later calls', () => {
    const compiled = torch.compile((x: Tensor) => ({ twice: x.mul(2), list: [x.add(1), x] as const, name: 'n' }))
    const results = [1, 2, 3].map((v) => compiled(torch.full([2], v)))
    expect(results.map((r) => r.twice.tolist())).toEqual([
      [2, 2],
      [4, 4],
      [6, 6],
    ])
    expect(results.map((r) => r.list[0].tolist())).toEqual([
      [2, 2],
      [3, 3],
      [4, 4],
    ])
    expect(results[2].name).toBe('n')
  })

  test('that are arguments, views of them, tensors from outside, or pairs', () => {
    const w = torch.tensor([1, 2, 3])
    const compiled = torch.compile((x: Tensor) => [x, x.view(3, 1), w, x.max(0), x.narrow(0, 1, 2)] as const)
    for (let i = 0; i < 3; i++) {
      const x = torch.tensor([1, 5, 2]).add(i)
      const [same, view, outside, best, part] = compiled(x)
      expect(same).toBe(x)
      expect(outside).toBe(w)
      expect(view.storage).toBe(x.storage)
      expect(part.tolist()).toEqual([5 + i, 2 + i])
      const [values, indices] = best
      expect([values.item(), indices.item(), best.values.item()]).toEqual([5 + i, 1, 5 + i])
    }
  })

  test('changes in place of arguments', () => {
    const compiled = torch.compile((x: Tensor) => {
      x.mul_(2)
    })
    const x = torch.ones(2)
    for (let i = 0; i < 4; i++) compiled(x)
    expect(x.tolist()).toEqual([16, 16])
    expect(x.version).toBeGreaterThanOrEqual(4)
  })

  test('random numbers go on from call to call', () => {
    const fn = (): Tensor => torch.cat([torch.rand(3), torch.randn(2), torch.randperm(4).to(torch.float32)])
    const compiled = torch.compile(fn)
    torch.manualSeed(5)
    const eager = [fn(), fn(), fn()].map((t) => t.tolist())
    torch.manualSeed(5)
    expect([compiled(), compiled(), compiled()].map((t) => t.tolist())).toEqual(eager)
  })

  test('a step allocates nothing but its results', () => {
    const t = training(OPTIMIZERS.Adam, 0.5, 512)
    const step = torch.compile((x: Tensor, y: Tensor): void => {
      t.step(x, y)
    })
    for (let i = 0; i < 3; i++) step(t.x, t.y)
    sweep(true)
    const before = torch.memoryStats()
    for (let i = 0; i < 5; i++) step(t.x, t.y)
    expect(torch.memoryStats()).toEqual(before)
  })
})

describe('what cannot be traced', () => {
  const here = /compile\.test\.ts:\d+:\d+/

  test('reading a value inside is an error that names the line', () => {
    const reads: Record<string, (x: Tensor) => unknown> = {
      'item()': (x) => x.sum().item(),
      'tolist()': (x) => x.mul(2).tolist(),
      'printing a tensor': (x) => `${x.mul(2)}`,
      'converting to a number': (x) => Number(x.sum()),
    }
    for (const [how, fn] of Object.entries(reads)) {
      const compiled = torch.compile(fn)
      for (let i = 0; i < 2; i++) {
        expect(() => compiled(torch.ones(2))).toThrow(torch.RuntimeError)
        expect(() => compiled(torch.ones(2))).toThrow(`${how} inside a function given to torch.compile, at `)
        expect(() => compiled(torch.ones(2))).toThrow(here)
      }
    }
    // Nothing of the trace is left.
    expect(torch.compiler.isCompiling()).toBe(false)
    expect(torch.ones(2).sum().item()).toBe(2)
  })

  test('errors of user code leave no trace behind', () => {
    const compiled = torch.compile((x: Tensor, fail: boolean) => {
      const y = x.mul(2)
      if (fail) throw new Error('mine')
      return y
    })
    expect(() => compiled(torch.ones(2), true)).toThrow('mine')
    expect(torch.compiler.isCompiling()).toBe(false)
    expect(compiled(torch.ones(2), false).tolist()).toEqual([2, 2])
    expect(() => compiled(torch.ones(2), true)).toThrow('mine')
    expect(compiled(torch.ones(2), false).tolist()).toEqual([2, 2])
  })

  test('results whose shape depends on values run eagerly, counted and explained', () => {
    const compiled = new Compiled((x: Tensor) => x.maskedSelect(x.gt(1)), false)
    const call = (x: Tensor): number[] => (compiled.call([x]) as Tensor).tolist()
    expect(call(torch.tensor([1, 2, 3]))).toEqual([2, 3])
    expect(call(torch.tensor([2, 2, 3]))).toEqual([2, 2, 3])
    expect(compiled.graphs.length).toBe(0)
    expect(compiled.fallbacks.map((f) => [f.calls, f.reason])).toEqual([[2, expect.stringContaining('masked_select')]])
    expect(torch.compiler.explain((x: Tensor) => x.nonzero())(torch.ones(2))).toMatch(/runs eagerly .*nonzero/)
    const strict = torch.compile((x: Tensor) => x.nonzero(), { fullgraph: true })
    expect(() => strict(torch.ones(2))).toThrow("torch.compile with fullgraph=true can't trace")
    expect(torch.compiler.isCompiling()).toBe(false)
  })

  test('a wrong class index is found at each call', () => {
    const compiled = torch.compile((x: Tensor, y: Tensor) => F.crossEntropy(x, y))
    const x = torch.ones(2, 3)
    compiled(x, torch.tensor([0, 2]))
    expect(() => compiled(x, torch.tensor([0, 7]))).toThrow('Target 7 is out of bounds.')
    const pick = torch.compile((x: Tensor, i: Tensor) => x.indexSelect(0, i))
    pick(x, torch.tensor([0, 1]))
    expect(() => pick(x, torch.tensor([0, 2]))).toThrow(torch.IndexError)
  })

  test('state kept in a variable is found, and such calls run eagerly', () => {
    const make = (): ((x: Tensor) => Tensor) => {
      let h = torch.zeros(2)
      return (x) => {
        h = h.mul(0.5).add(x)
        return h.mul(2)
      }
    }
    const answering = (): ((x: Tensor) => Tensor) => {
      let h = torch.zeros(2)
      return (x) => {
        h = h.mul(0.5).add(x)
        return h
      }
    }
    for (const kind of [make, answering]) {
      const [fn, other] = [kind(), kind()]
      const compiled = new Compiled(other, false)
      for (let i = 0; i < 6; i++) {
        const x = torch.full([2], i, { dtype: torch.float32 })
        expect((compiled.call([x]) as Tensor).tolist()).toEqual(fn(x).tolist())
      }
      expect(compiled.fallbacks[0].reason).toMatch(/kept outside/)
      expect(compiled.fallbacks[0].calls).toBe(3)
    }
  })

  test('a scope around the call leaves the graph its memory', () => {
    const t = training(OPTIMIZERS.Adam)
    const u = training(OPTIMIZERS.Adam)
    const step = torch.compile(t.step)
    const losses = Array.from({ length: 6 }, () => torch.scope(() => step(t.x, t.y).item()))
    expectClose(
      losses,
      Array.from({ length: 6 }, () => u.step(u.x, u.y).item()),
    )
  })

  test('a function that is excluded', () => {
    const seen: number[] = []
    const look = torch.compiler.disable((x: Tensor) => {
      seen.push(x.sum().item())
      return x
    })
    const compiled = torch.compile((x: Tensor) => look(x.mul(2)).add(1))
    for (let i = 1; i < 4; i++) expect(compiled(torch.full([2], i)).tolist()).toEqual([2 * i + 1, 2 * i + 1])
    expect(seen).toEqual([4, 8, 12])
  })

  test('a graph from outside', () => {
    const w = torch.ones(2).requiresGrad_()
    const scaled = w.mul(3)
    const compiled = torch.compile((x: Tensor) => scaled.mul(x))
    for (let i = 0; i < 2; i++)
      compiled(torch.full([2], 2))
        .sum()
        .backward({ retainGraph: true })
    expect((w.grad as Tensor).tolist()).toEqual([12, 12])
  })
})

describe('the interface', () => {
  let model: Net
  beforeEach(() => {
    model = new Net()
  })

  test('a compiled module keeps its parameters, state and modes', () => {
    const compiled = torch.compile(model)
    expect(compiled).toBeInstanceOf(Net)
    compiled.parameters().forEach((p, i) => {
      expect(p).toBe(model.parameters()[i])
    })
    expect(Object.keys(compiled.stateDict())).toEqual(Object.keys(model.stateDict()))
    compiled.eval()
    expect(model.training).toBe(false)
    compiled.training = true
    expect(model.training).toBe(true)
    expect(compiled.fc1.weight).toBe(model.fc1.weight)
  })

  test('a compiled module as part of another', () => {
    class Outer extends nn.Module {
      inner = torch.compile(model)
      forward(x: Tensor): Tensor {
        return this.inner(x).mul(2)
      }
    }
    const outer = new Outer()
    expect(Object.keys(outer.stateDict())).toEqual(Object.keys(model.stateDict()).map((k) => `inner.${k}`))
    outer.eval()
    expect(model.training).toBe(false)
    const x = torch.ones(2, 4)
    for (let i = 0; i < 3; i++) expect(outer(x).tolist()).toEqual(model(x).mul(2).tolist())
    outer(x).sum().backward()
    expect(model.fc1.weight.grad).not.toBe(null)
  })

  test('the interpreter replays, too, with and without fusion', () => {
    const before = useDevice(createInterpreter()) as Device
    try {
      for (const fusion of [true, false]) {
        const [a, b] = [training(OPTIMIZERS.Adam, 0.5), training(OPTIMIZERS.Adam, 0.5)]
        expectClose(run(b, torch.compile(b.step, { fullgraph: true, options: { fusion } }), 4), run(a, a.step, 4))
      }
    } finally {
      useDevice(before)
    }
  })

  test('options', () => {
    const fn = (x: Tensor): Tensor => x.mul(2)
    expect(torch.compile(fn, { disable: true })).toBe(fn)
    expect(torch.compile(fn, { backend: 'eager' })).toBe(fn)
    expect(torch.compile({ dynamic: true, mode: 'max-autotune' })(fn)(torch.ones(1)).item()).toBe(2)
    expect(() => torch.compile(fn, { backend: 'nope' as never })).toThrow(torch.ValueError)
  })

  test('compiled functions inside compiled functions are part of them', () => {
    const inner = new Compiled((x: Tensor) => x.mul(2), true)
    const outer = torch.compile((x: Tensor) => (inner.call([x]) as Tensor).add(1))
    for (let i = 0; i < 2; i++) expect(outer(torch.ones(1)).item()).toBe(3)
    expect(inner.graphs.length).toBe(0)
  })

  test('reset forgets', () => {
    const compiled = new Compiled((x: Tensor) => x.mul(2), true)
    compiled.call([torch.ones(1)])
    torch.compiler.reset()
    expect((compiled.call([torch.ones(1)]) as Tensor).item()).toBe(2)
    expect(compiled.graphs.length).toBe(1)
    expect(compiled.graphs[0].hits).toBe(0)
  })

  test('explain tells steps, memory and kernels', () => {
    const t = training(OPTIMIZERS.Adam)
    const text = torch.compiler.explain(t.step)(t.x, t.y)
    expect(text).toMatch(/step: 1 graph/)
    expect(text).toMatch(/forward: \d+ steps/)
    expect(text).toMatch(/memory: \d+ bytes for \d+ temporar/)
    expect(text).toMatch(/matmul 12x4x16/)
    expect(text).toMatch(/kernel .*adam/)
    const forward = torch.compile.explain(t.model)(t.x)
    expect(forward).toMatch(/backward: \d+ steps/)
  })
})
