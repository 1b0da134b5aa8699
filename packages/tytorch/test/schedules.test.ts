// Schedulers of learning rates against PyTorch 2.13's rates over 65 steps, their states, warnings and refusals; models
// averaged over steps.
import { readFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import * as torch from '../src/index.ts'
import { nn, optim } from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { lrScheduler: S, swaUtils } = optim

interface Spec {
  readonly c: string
  readonly args: unknown[]
  readonly kwargs: Record<string, unknown>
}
interface Case {
  readonly spec: Spec
  readonly opt: 'SGD' | 'Adam' | 'Adagrad' | 'RMSprop'
  /** How it is stepped: by metrics, by fractions of epochs, by given epochs; on from epoch 6. */
  readonly plateau?: boolean
  readonly frac?: number
  readonly epochs?: boolean
  readonly resumed?: boolean
  readonly rates: number[][]
  readonly momentum?: number[]
  readonly state: string[]
}
const { steps, metrics, cases } = JSON.parse(
  readFileSync(new URL('./fixtures/schedules.json', import.meta.url), 'utf8'),
) as { steps: number[]; metrics: number[]; cases: Case[] }

const functions: Record<string, (x: number) => number> = {
  pow95: (e) => 0.95 ** e,
  inv: (e) => 1 / (1 + 0.1 * e),
  half: (e) => (e % 7 === 0 ? 0.5 : 1),
  sq: (x) => 1 / (x * x + 1),
}

type AnyOptimizer = optim.Optimizer<{ lr: number | Tensor }>
interface Stepped extends optim.lrScheduler.Scheduler {
  step(value?: number): void
}
const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase())

function given(value: unknown, optimizer: AnyOptimizer): unknown {
  if (Array.isArray(value)) return value.map((v) => given(v, optimizer))
  if (typeof value !== 'object' || value === null) return value
  return 'fn' in value ? functions[value.fn as string] : build(value as Spec, optimizer)
}

function build({ c, args, kwargs }: Spec, optimizer: AnyOptimizer): Stepped {
  const Class = ({ ...S, ...swaUtils } as unknown as Record<string, new (...a: unknown[]) => Stepped>)[c]
  const options = Object.fromEntries(Object.entries(kwargs).map(([k, v]) => [camel(k), given(v, optimizer)]))
  const list = args.map((a) => given(a, optimizer))
  // Positional there, by name here: a list of schedulers' milestones.
  if (c === 'SequentialLR' && options.milestones) list.push(options.milestones)
  if (c === 'SequentialLR' || c === 'ChainedScheduler')
    return c === 'ChainedScheduler' ? new Class(...list) : new Class(optimizer, ...list)
  return new Class(optimizer, ...list, ...(Object.keys(options).length ? [options] : []))
}

const leaf = (): Tensor => torch.zeros(1, { requiresGrad: true })
function optimizerFor(c: Case): AnyOptimizer {
  const Class = optim[c.opt] as unknown as new (params: unknown, options: object) => AnyOptimizer
  const momentum = c.opt === 'SGD' || c.opt === 'RMSprop' ? { momentum: 0.9 } : {}
  const optimizer = new Class([{ params: [leaf()] }, { params: [leaf()], lr: 0.1 }], { lr: 0.4, ...momentum })
  if (c.resumed)
    for (const [i, group] of optimizer.paramGroups.entries()) Object.assign(group, { initialLr: [0.5, 0.2][i] })
  return optimizer
}

const title = (s: Spec): string =>
  `${s.c}(${[...s.args.map((a) => JSON.stringify(a)), ...Object.entries(s.kwargs).map(([k, v]) => `${k}=${JSON.stringify(v)}`)].join(', ')})`

describe.each(
  cases.map((c) => [`${title(c.spec)}${c.frac ? ` by ${c.frac}` : ''}${c.epochs ? ' at epochs' : ''}`, c] as const),
)('%s', (_, c) => {
  /** The rates and momenta of every step; `restart` goes on from states at step 10. */
  function walk(restart: boolean): { rates: number[][]; momentum: number[]; state: string[] } {
    vi.spyOn(console, 'warn').mockImplementation(() => {})
    const optimizer = optimizerFor(c)
    let scheduler = build(c.spec, optimizer)
    const rates: number[][] = []
    const momentum: number[] = []
    const note = (): void => {
      rates.push(optimizer.paramGroups.map((g) => g.lr as number))
      const first = optimizer.paramGroups[0] as { betas?: number[]; momentum?: number }
      momentum.push(first.betas?.[0] ?? first.momentum ?? 0)
    }
    note()
    for (let i = 0; i < steps[steps.length - 1]; i++) {
      optimizer.step()
      if (c.plateau) scheduler.step(metrics[i])
      else if (c.frac) scheduler.step((i + 1) * c.frac)
      else if (c.epochs) scheduler.step((i * 3) % 50)
      else scheduler.step()
      note()
      expect(scheduler.getLastLr()).toEqual(rates[rates.length - 1])
      if (restart && i === 9) {
        const saved = torch.deserialize<{ o: optim.OptimizerState; s: Record<string, unknown> }>(
          torch.serialize({ o: optimizer.stateDict(), s: scheduler.stateDict() }, { format: 'pytorch' }),
        )
        scheduler = build(c.spec, optimizer)
        scheduler.loadStateDict(saved.s)
        optimizer.loadStateDict(saved.o)
      }
    }
    return { rates, momentum, state: Object.keys(scheduler.stateDict()).sort() }
  }

  test.each([false, true])('sets PyTorch’s rates and momenta; stored and loaded: %s', (restart) => {
    const found = walk(restart)
    steps.forEach((step, i) => {
      c.rates[i].forEach((lr, group) => {
        expect(Math.abs(found.rates[step][group] - lr), `group ${group}, step ${step}: ${lr}`).toBeLessThanOrEqual(
          1e-15 * Math.abs(lr),
        )
      })
      if (c.momentum) expect(Math.abs(found.momentum[step] - c.momentum[i])).toBeLessThanOrEqual(1e-15)
    })
    expect(found.state).toEqual(c.state)
  })
})

const sgd = (): optim.SGD => new optim.SGD([{ params: [leaf()] }, { params: [leaf()] }], { lr: 0.1, momentum: 0.9 })
const adagrad = (): AnyOptimizer => new optim.Adagrad([leaf()]) as unknown as AnyOptimizer

test.each<[string, () => unknown]>([
  ['Number is not an Optimizer', () => new S.StepLR(3 as never, 1)],
  [
    "StepLR.__init__() missing 1 required positional argument: 'step_size'",
    () => new (S.StepLR as unknown as new (o: unknown) => unknown)(sgd()),
  ],
  ['Expected 2 lr_lambdas, but got 1', () => new S.LambdaLR(sgd(), [() => 1])],
  ['lr_lambda should be a function, but got number', () => new S.MultiplicativeLR(sgd(), [1, 2] as never)],
  ['Constant multiplicative factor expected to be between 0 and 1.', () => new S.ConstantLR(sgd(), { factor: 2 })],
  ['Starting multiplicative factor expected to be greater than 0', () => new S.LinearLR(sgd(), 0)],
  ['Ending multiplicative factor expected to be between 0 and 1.', () => new S.LinearLR(sgd(), 1, 2)],
  ['SequentialLR expects at least one scheduler, but got no scheduler.', () => new S.SequentialLR(sgd(), [], [])],
  [
    'the number of milestones to be equal to 1',
    () => {
      const o = sgd()
      return new S.SequentialLR(o, [new S.StepLR(o, 1)], [3])
    },
  ],
  [
    'SequentialLR does not support `ReduceLROnPlateau` scheduler',
    () => {
      const o = sgd()
      return new S.SequentialLR(o, [new S.StepLR(o, 1), new S.ReduceLROnPlateau(o) as never], [3])
    },
  ],
  [
    'got scheduler StepLR at index 0 has Adagrad (\nParameter Group 0\n    differentiable: False\n    eps: 1e-10\n    foreach: None\n    fused: None\n    initial_accumulator_value: 0\n    initial_lr: 0.01\n    lr: 0.01\n    lr_decay: 0\n    maximize: False\n    weight_decay: 0\n), which is different from SGD.',
    () => new S.SequentialLR(sgd(), [new S.StepLR(adagrad(), 1)], []),
  ],
  ['expects at least one scheduler to be chained, but got no scheduler.', () => new S.ChainedScheduler([])],
  ['Factor should be < 1.0.', () => new S.ReduceLROnPlateau(sgd(), { factor: 1 })],
  ['mode x is unknown!', () => new S.ReduceLROnPlateau(sgd(), { mode: 'x' as never })],
  ['expected 2 min_lrs, got 1', () => new S.ReduceLROnPlateau(sgd(), { minLr: [1] })],
  ['base_lr has 1 values, param_groups has 2.', () => new S.CyclicLR(sgd(), [1], 1)],
  ['mode is invalid and scale_fn is None', () => new S.CyclicLR(sgd(), 0.1, 0.2, { mode: 'x' as never })],
  ['optimizer must support momentum or beta1', () => new S.CyclicLR(adagrad(), 0.1, 0.2)],
  ['Expected positive integer T_0, but got 0', () => new S.CosineAnnealingWarmRestarts(sgd(), 0)],
  ['Expected integer T_mult >= 1, but got 0', () => new S.CosineAnnealingWarmRestarts(sgd(), 1, 0)],
  ['Expected non-negative epoch, but got -1', () => new S.CosineAnnealingWarmRestarts(sgd(), 1).step(-1)],
  ['You must define either total_steps OR (epochs AND steps_per_epoch)', () => new S.OneCycleLR(sgd(), 0.1)],
  ['Expected positive integer total_steps, but got 0', () => new S.OneCycleLR(sgd(), 0.1, 0)],
  ['Expected positive integer epochs, but got 0', () => new S.OneCycleLR(sgd(), 0.1, { epochs: 0, stepsPerEpoch: 3 })],
  [
    'Expected float between 0 and 1 pct_start, but got 1.5',
    () => new S.OneCycleLR(sgd(), 0.1, { totalSteps: 5, pctStart: 1.5 }),
  ],
  ['division by zero', () => new S.OneCycleLR(sgd(), 0.1, { totalSteps: 10, pctStart: 0.1 })],
  [
    'Tried to step 4 times. The specified number of total steps is 3',
    () => {
      const s = new S.OneCycleLR(sgd(), 0.1, 3)
      for (let i = 0; i < 5; i++) s.step()
    },
  ],
  ['anneal_epochs must be equal or greater than 0, got -1', () => new swaUtils.SWALR(sgd(), 0.1, -1)],
  ["param 'initial_lr' is not specified in param_groups[0]", () => new S.StepLR(sgd(), { stepSize: 1, lastEpoch: 3 })],
  ['Invalid decay value 2 provided.', () => swaUtils.getEmaMultiAvgFn(2)],
  [
    'was made for 1 parameter groups, and the optimizer has 2 now',
    () => {
      const o = new optim.SGD([leaf()])
      const s = new S.LambdaLR(o, () => 1)
      o.addParamGroup({ params: leaf() })
      s.step()
    },
  ],
])('%s', (message, run) => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  expect(run).toThrow(message)
  warn.mockRestore()
})

test('a rate that is a tensor stays the same tensor', () => {
  const lr = torch.tensor(0.1)
  const o = new optim.SGD([leaf()], { lr })
  const s = new S.StepLR(o, 1, 0.5)
  o.step()
  s.step()
  expect(o.paramGroups[0].lr).toBe(lr)
  expect(String(lr)).toBe('tensor(0.0500)')
})

test('a scheduler of one’s own', () => {
  class Steps extends S.LRScheduler {
    readonly list: number[]
    constructor(o: AnyOptimizer, list: number[]) {
      super(o)
      this.list = list
      this.start()
    }
    getLr(): number[] {
      return this.baseLrs.map(() => this.list[this.lastEpoch])
    }
  }
  const o = new optim.SGD([leaf()], { lr: 9 })
  const s = new Steps(o as unknown as AnyOptimizer, [3, 2, 1])
  o.step()
  s.step()
  expect([o.paramGroups[0].lr, s.getLastLr()]).toEqual([2, [2]])
})

describe('averaged models', () => {
  type Options = ConstructorParameters<typeof swaUtils.AveragedModel>[1]
  test.each<[string, Options, number[], number[]]>([
    [
      'equal',
      {},
      [
        -1.0368407, 1.2177553, -0.2113847, -0.5465056, -0.0895917, -0.0771803, -0.0114393, 0.4577749, -0.2986411,
        0.4186173, -0.0906885, 0.2713172,
      ],
      [4.0, -0.5419254, 0.2806956, 6.8321862, 0.4349117, 2.0],
    ],
    [
      'exponential',
      { multiAvgFn: swaUtils.getEmaMultiAvgFn(0.9) },
      [
        -1.0679584, 1.1977432, -0.0154958, -0.5398052, -0.1276106, -0.0581636, -0.0114393, 0.4577749, 0.1709552,
        0.3886746, -0.2405827, 0.2727919,
      ],
      [4.0, -0.5117686, 0.291454, 7.6951799, 0.3940481, 2.0],
    ],
    [
      'by function, with buffers',
      { avgFn: swaUtils.getEmaAvgFn(0.7), useBuffers: true },
      [
        -1.032091, 1.2167523, -0.2259477, -0.545539, -0.0915893, -0.0772956, -0.0114393, 0.4577749, -0.240256,
        0.4148033, -0.1095381, 0.2722036,
      ],
      [4.0, -0.5430644, 0.2812435, 6.7423048, 0.4305134, 2.0],
    ],
  ])('%s weights', (_, options, parameters, buffers) => {
    torch.manualSeed(0)
    const net = new nn.Sequential(new nn.Linear(3, 2), new nn.BatchNorm1d(2))
    const average = new swaUtils.AveragedModel(net, options as object)
    const optimizer = new optim.SGD(net.parameters(), { lr: 0.5 })
    const x = torch.randn(8, 3)
    for (let i = 0; i < 4; i++) {
      optimizer.zeroGrad()
      net(x)
        .mul(x.narrow(1, 0, 2))
        .sub(1)
        .pow(2)
        .mean()
        .backward()
      optimizer.step()
      average.updateParameters(net)
    }
    expect(Object.keys(average.stateDict()).slice(0, 3)).toEqual(['n_averaged', 'module.0.weight', 'module.0.bias'])
    expect(average.nAveraged.item()).toBe(4)
    const close = (found: Tensor[], right: number[]): void => {
      const all = found.flatMap((t) => t.detach().double().flatten().tolist<number[]>())
      all.forEach((v, i) => {
        expect(v).toBeCloseTo(right[i], 4)
      })
    }
    close(average.parameters(), parameters)
    swaUtils.updateBn([x, [x.mul(2)]], average)
    close(average.buffers(), buffers)
    expect(average.module.at(1).momentum).toBe(0.1)
  })
})

test('every scheduler is an LRScheduler', () => {
  const { lrScheduler, SGD } = torch.optim
  const optimizer = new SGD([torch.ones(1, { requiresGrad: true })], { lr: 0.1 })
  const step = new lrScheduler.StepLR(optimizer, 2)
  const all = [
    step,
    new lrScheduler.ReduceLROnPlateau(optimizer),
    new lrScheduler.ChainedScheduler([step]),
    new lrScheduler.SequentialLR(optimizer, [step, new lrScheduler.StepLR(optimizer, 2)], [1]),
  ]
  expect(all.every((s) => s instanceof lrScheduler.LRScheduler)).toBe(true)
  expect(all.map((s) => s instanceof lrScheduler.StepLR)).toEqual([true, false, false, false])
  expect({} instanceof lrScheduler.LRScheduler).toBe(false)
})
