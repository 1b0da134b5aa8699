// Pruning against PyTorch 2.13's masks for the same seed; results that go by name; names of gradients.
import { expect, test } from 'vitest'
import * as torch from '../src/index.ts'
import { nn } from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const { prune } = nn.utils
const rows = (mask: Tensor): string[] => mask.tolist<number[][]>().map((row) => row.join(''))

test('masks, alone and one after another', () => {
  torch.manualSeed(0)
  const [conv, linear] = [new nn.Conv2d(1, 2, 3), new nn.Linear(8, 3)]
  const model = new nn.Sequential(conv, new nn.Flatten(), linear)
  const mask = (module: torch.nn.Module, name = 'weight'): Tensor => module.getBuffer(`${name}_mask`)
  prune.l1Unstructured(linear, 'weight', 0.3)
  expect(Object.keys(model.stateDict()).slice(2)).toEqual(['2.bias', '2.weight_orig', '2.weight_mask'])
  expect(rows(mask(linear))).toEqual(['01010011', '10111111', '11110101'])
  expect(String(linear.weight)).toContain('grad_fn=<MulBackward0>')
  const out = model(torch.ones(1, 1, 4, 4)).tolist<number[][]>()[0]
  for (const [i, v] of [-0.4633, 0.3777, 0.345].entries()) expect(out[i]).toBeCloseTo(v, 4)
  prune.randomUnstructured(linear, 'bias', 1)
  expect(mask(linear, 'bias').tolist()).toEqual([0, 1, 1])
  prune.lnStructured(conv, 'weight', 1, 2, 0)
  expect(mask(conv).sum([1, 2, 3]).tolist()).toEqual([9, 0])
  prune.l1Unstructured(linear, 'weight', 0.5)
  expect(rows(mask(linear))).toEqual(['01010011', '00010011', '01000001'])
  expect(prune.isPruned(model)).toBe(true)
  prune.remove(linear, 'weight')
  expect(Object.keys(linear.stateDict())).toEqual(['bias_orig', 'weight', 'bias_mask'])
  expect(linear.weight.ne(0).sum().item()).toBe(9)
})

test('several parameters at once, gradients, refusals', () => {
  torch.manualSeed(1)
  const [a, b] = [new nn.Linear(3, 3), new nn.Linear(3, 3)]
  prune.globalUnstructured([[a, 'weight'], [b, 'weight']], prune.L1Unstructured, { amount: 0.5 }) // biome-ignore format: a row
  const masks = [a, b].map((m) => m.getBuffer('weight_mask'))
  expect(masks.reduce((n, m) => n + m.sum().item(), 0)).toBe(9)
  prune.customFromMask(b, 'bias', torch.tensor([1, 0, 1]))
  b(a(torch.ones(1, 3)))
    .sum()
    .backward()
  expect(b.getParameter('bias_orig').grad?.tolist()).toEqual([1, 0, 1])
  expect(b.getParameter('weight_orig').grad?.ne(0).logicalAnd(masks[1].eq(0)).any().item()).toBe(false)
  const fresh = (): torch.nn.Linear => new nn.Linear(2, 2)
  expect(() => prune.l1Unstructured(fresh(), 'bias2', 1)).toThrow("'Linear' object has no attribute 'bias2'")
  expect(() => prune.l1Unstructured(fresh(), 'weight', 1.5)).toThrow('amount=1.5 should either be a float in the range')
  expect(() => prune.l1Unstructured(fresh(), 'weight', 9)).toThrow('smaller than the number of parameters to prune=4')
  expect(() => prune.lnStructured(fresh(), 'bias', 1, 2, 0)).toThrow('only be applied to multidimensional tensors')
  expect(() => prune.remove(fresh(), 'weight')).toThrow('has to be pruned before pruning can be removed')
})

test('a module made without draws', () => {
  torch.manualSeed(0)
  const expected = torch.rand(1).item()
  torch.manualSeed(0)
  const made = nn.utils.skipInit(nn.Linear, 3, 2)
  expect([made.weight.sizes, torch.rand(1).item()]).toEqual([[2, 3], expected])
})

test('results by name print, index and destructure', () => {
  const x = torch.tensor([[1, 3, 2], [6, 5, 4]]).float() // biome-ignore format: a matrix
  expect(String(x.max(1))).toBe('torch.return_types.max(\nvalues=tensor([3., 6.]),\nindices=tensor([1, 0]))')
  expect(String(x.aminmax())).toBe('torch.return_types.aminmax(\nmin=tensor(1.),\nmax=tensor(6.))')
  expect(String(torch.linalg.slogdet(torch.eye(2)))).toContain('torch.return_types.linalg_slogdet(\nsign=tensor(1.)')
  const [values, indices] = x.sort()
  expect([x.sort()[0].equal(values), x.topk(1)[1].tolist()]).toEqual([true, [[1], [0]]])
  expect(Object.keys(x.sort())).toEqual(['values', 'indices'])
  expect(indices.tolist()).toEqual([[0, 2, 1], [2, 1, 0]]) // biome-ignore format: a matrix
  const compiled = torch.compile((t: Tensor) => t.max(1))
  compiled(x)
  expect(String(compiled(x))).toBe(String(x.max(1)))
})

test('gradients are called as in PyTorch, digits or not', () => {
  const x = torch.ones(2, { requiresGrad: true })
  const names = [x.log1p(), torch.deg2rad(x), torch.special.i0e(x), torch.special.xlog1py(x, x), x.exp2(), x.log2()]
  expect(names.map((y) => y.gradFn?.name)).toEqual([
    'Log1PBackward0',
    'Deg2RadBackward0',
    'SpecialI0EBackward0',
    'SpecialXlog1PyBackward0',
    'Exp2Backward0',
    'Log2Backward0',
  ])
})
