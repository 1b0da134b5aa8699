// Parametrized modules against PyTorch 2.13's values, state dicts, printed forms and refusals; deep copies.
import { describe, expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn } from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { parametrize: P, parametrizations } = nn.utils
const { weightNorm, spectralNorm, orthogonal } = parametrizations

function close(x: Tensor | null, right: number[]): void {
  const found = (x as Tensor).detach().flatten().tolist<number[]>()
  expect(found.length).toBe(right.length)
  found.forEach((v, i) => {
    expect(v).toBeCloseTo(right[i], 4)
  })
}
const list = (module: torch.nn.Module, name = 'weight'): torch.nn.utils.parametrize.ParametrizationList =>
  module.getSubmodule(`parametrizations.${name}`) as torch.nn.utils.parametrize.ParametrizationList
const keys = (module: torch.nn.Module): string[] => Object.keys(module.stateDict())

class Symmetric extends nn.Module {
  forward(a: Tensor): Tensor {
    return a.triu().add(a.triu(1).transpose(-1, -2))
  }
  rightInverse(a: Tensor): Tensor {
    return a.triu()
  }
}
class Twice extends nn.Module {
  forward(a: Tensor): Tensor {
    return a.mul(2)
  }
}

test('a parametrization of one’s own', () => {
  torch.manualSeed(0)
  const m = new nn.Linear(3, 3)
  P.registerParametrization(m, 'weight', new Symmetric())
  expect(keys(m)).toEqual(['bias', 'parametrizations.weight.original'])
  close(m.weight, [-0.00432, 0.30972, -0.47519, 0.30972, -0.22237, 0.15482, -0.47519, 0.15482, -0.05124])
  m(torch.ones(1, 3)).sum().backward()
  close(list(m).original.grad, [1, 2, 2, 0, 1, 2, 0, 0, 1])
  m.weight = torch.eye(3).mul(3) as typeof m.weight
  P.registerParametrization(m, 'weight', new Twice())
  expect(String(m)).toBe(
    `ParametrizedLinear(
  in_features=3, out_features=3, bias=True
  (parametrizations): ModuleDict(
    (weight): ParametrizationList(
      (0): Symmetric()
      (1): Twice()
    )
  )
)`,
  )
  close(m.weight, [6, 0, 0, 0, 6, 0, 0, 0, 6])
  expect(() => {
    m.weight = torch.eye(3) as typeof m.weight
  }).toThrow('parametrization Twice does not implement right_inverse.')
  expect([P.isParametrized(m), P.isParametrized(m, 'bias'), m instanceof nn.Linear]).toEqual([true, false, true])
  expect(P.typeBeforeParametrizations(m)).toBe(nn.Linear)
  const read = (): unknown[] => [m.weight, m.weight]
  const [once, again] = P.cached(read)
  expect(once === again).toBe(true)
  expect(new Set(read()).size).toBe(2)
  P.removeParametrizations(m, 'weight')
  expect([String(m), keys(m)]).toEqual(['Linear(in_features=3, out_features=3, bias=True)', ['bias', 'weight']])
  close(m.weight, [6, 0, 0, 0, 6, 0, 0, 0, 6])
  expect(() => P.registerParametrization(m, 'foo', new Twice())).toThrow("parametrized element with name 'foo'")
  class Short extends nn.Module {
    forward(a: Tensor): Tensor {
      return a.narrow(0, 0, 2)
    }
  }
  expect(() => P.registerParametrization(m, 'weight', new Short())).toThrow(
    'may not change the shape of the tensor, unless `unsafe` flag is enabled.\nunparametrized shape: torch.Size([3, 3])\nparametrized shape: torch.Size([2, 3])',
  )
})

test.each<[number | null, number[], number[]]>([
  [0, [-0.17003, 0.10542], [1.12416, 0.89364, 0.95329, 0.95914, 1.08196, 0.94779]],
  [1, [1.41268, -1.32993, 0.64394], [-0.04434, 0.43545, 1.19806, 0.04868, -0.20415, 0.38728]],
  [null, [0.00547], [0.99799, 1.00172, 1.00076, 0.99817, 1.00368, 0.99766]],
])('weight norm along %s', (dim, g, v) => {
  torch.manualSeed(1)
  const m = weightNorm(new nn.Linear(3, 2), { dim })
  const out = m(torch.ones(1, 3))
  close(out, [-0.18804, 0.36742])
  out.sum().backward()
  expect(keys(m)).toEqual(['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1'])
  close(list(m).originals()[0].grad, g)
  close(list(m).originals()[1].grad, v)
  close(P.removeParametrizations(m, 'weight').weight, [0.29749, -0.25483, -0.11193, 0.27099, -0.54354, 0.34625])
})

test('spectral norm', () => {
  torch.manualSeed(1)
  const m = spectralNorm(new nn.Linear(4, 3))
  const stem = 'parametrizations.weight.'
  expect(keys(m)).toEqual(['bias', `${stem}original`, `${stem}0._u`, `${stem}0._v`])
  const out = m(torch.ones(1, 4))
  close(out, [0.44314, -0.22371, 0.2195])
  out.pow(2).sum().backward()
  close(m.getBuffer(`${stem}0._u`), [0.40625, -0.90148, 0.14933])
  close(m.eval()(torch.ones(1, 4)), [0.44314, -0.22371, 0.2195])
})

const START = [-0.67247, -0.51873, -0.52792, -0.64169, 0.76406, 0.06664, 0.36879, 0.38358, -0.84668]
const WIDE = [-0.6052, -0.48153, -0.26145, -0.5775, -0.03144, -0.75442, 0.48305, 0.44331]
type Options = Parameters<typeof orthogonal>[1]
describe('orthogonal', () => {
  test.each<[string, [number, number], Options, number[], number[]]>([
    ['matrix_exp', [3, 3], {}, START, [0, 0, 0, 5.25135, 0, 0, -3.27704, -12.03954, 0]],
    ['cayley', [4, 2], 'cayley', WIDE, [0, 11.98124, -1.10712, 1.70499, 0, 0, -0.12549, 3.54588]],
    ['householder', [4, 2], {}, WIDE, [0, 23.96247, -2.21423, 3.40999, 0, 0, -0.25098, 7.09176]],
    ['householder itself', [4, 2], { useTrivialization: false }, WIDE, [0, 10.44905, -9.65857, -9.85634, 0, 0, -5.66537, -2.49739]], // biome-ignore format: a row
    ['matrix_exp itself', [3, 3], { useTrivialization: false }, [0.80929, 0.46146, -0.36345, -0.54635, 0.8186, -0.17721, 0.21575, 0.34198, 0.9146], [0, 0, 0, 3.23393, 0, 0, 3.87516, -4.1119, 0]], // biome-ignore format: a row
  ])('%s of %s', (_, [inputs, outputs], options, weight, gradient) => {
    torch.manualSeed(3)
    const m = orthogonal(new nn.Linear(inputs, outputs), ...(typeof options === 'string' ? ['weight', options] : [options]) as [object]) // biome-ignore format: a row
    const w = m.weight
    close(w, weight)
    w.mul(torch.arange(w.numel()).viewAs(w)).sum().backward()
    close(list(m).original.grad, gradient)
  })

  test('recurrent weights, and refusals', () => {
    torch.manualSeed(0)
    const lstm = orthogonal(new nn.LSTM(2, 3), 'weightHhL0')
    expect(keys(lstm)).toContain('parametrizations.weight_hh_l0.original')
    close(lstm(torch.ones(2, 1, 2))[0], [-0.2693, -0.12397, 0.0744, -0.39163, -0.19593, 0.11473])
    expect(() => orthogonal(new nn.Linear(3, 3), 'bias')).toThrow('Got a tensor of 1 dimensions.')
    expect(() => orthogonal(new nn.Linear(3, 3), 'weight', 'x' as never)).toThrow('orthogonal_map has to be one of')
  })
})

test('parametrizations go to another module, and along with copies', () => {
  const [a, b] = [weightNorm(new nn.Linear(2, 2)), new nn.Linear(2, 2)]
  P.transferParametrizationsAndParams(a, b)
  expect(torch.equal(a.weight, b.weight)).toBe(true)
  const c = torch.deepcopy(a)
  expect([String(c), torch.equal(c.weight, a.weight)]).toEqual([String(a), true])
  torch.noGrad(() => list(c).originals()[0].fill_(0))
  expect(c.weight.abs().sum().item()).toBe(0)
  expect(a.weight.abs().sum().item()).toBeGreaterThan(0)
})

describe('deep copies', () => {
  test('of modules, with what they share', () => {
    class Net extends nn.Module {
      a = new nn.Linear(2, 2)
      b = this.a
      names = new nn.ModuleDict({ someName: new nn.BatchNorm1d(2) })
      sizes = [1, [2]]
      scratch: Tensor
      constructor() {
        super()
        this.scratch = torch.zeros(1)
        this.registerBuffer('scratch', this.scratch, false)
      }
      forward(x: Tensor): Tensor {
        return this.b(x)
      }
    }
    const net = new Net().eval()
    const copy = torch.deepcopy(net)
    expect(copy).toBeInstanceOf(Net)
    expect(keys(copy)).toEqual(keys(net))
    expect([copy.b === copy.a, copy.a === net.a, copy.training, copy.sizes]).toEqual([true, false, false, [1, [2]]])
    expect(copy.namedBuffers().map(([name]) => name)).toEqual(net.namedBuffers().map(([name]) => name))
    torch.noGrad(() => net.a.weight.zero_())
    expect(copy.a.weight.abs().sum().item()).toBeGreaterThan(0)
  })

  test('of state dicts and nested values', () => {
    const model = new nn.Linear(2, 1)
    const optimizer = new torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    const before = torch.deepcopy({
      model: model.stateDict(),
      optimizer: optimizer.stateDict(),
      when: new Map([[1, 'a']]),
    })
    const saved = model.weight.tolist()
    optimizer.step()
    expect(before.model.weight.tolist()).toEqual(saved)
    expect(model.weight.tolist()).not.toEqual(saved)
    expect(before.when.get(1)).toBe('a')
    const leaf = torch.ones(2, { requiresGrad: true })
    expect(torch.deepcopy(leaf).requiresGrad).toBe(true)
    expect(() => torch.deepcopy([leaf.mul(2)])).toThrow('Only Tensors created explicitly by the user')
    expect(() => torch.deepcopy(optimizer)).toThrow("deepcopy can't copy an instance of Adam")
  })
})

test('a state dict of the older weight norm loads into the newer one, at any depth', () => {
  const old = new nn.Sequential(nn.utils.weightNorm(new nn.Linear(3, 2)))
  const fresh = new nn.Sequential(nn.utils.parametrizations.weightNorm(new nn.Linear(3, 2)))
  const state = old.stateDict()
  expect(Object.keys(state)).toEqual(['0.bias', '0.weight_g', '0.weight_v'])
  fresh.loadStateDict(state)
  expect(Object.keys(state)).toContain('0.weight_g')
  const x = torch.rand(4, 3)
  expect(fresh(x).tolist()).toEqual(old(x).tolist())
  const handle = fresh.registerLoadStateDictPreHook((_module, dict) => {
    dict['0.bias'] = torch.zeros(2)
  })
  fresh.loadStateDict(state)
  expect(fresh.stateDict()['0.bias'].tolist()).toEqual([0, 0])
  handle.remove()
})
