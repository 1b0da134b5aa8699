// `out:` that shares memory with an input: refused where PyTorch 2.13 refuses it, and right where it does not.

import type { Tensor } from 'tytorch'
import * as torch from 'tytorch'
import { expect, test } from 'vitest'

const SHARED = 'unsupported operation: some elements of the input tensor and the written-to tensor refer to a single'
const places = (): Tensor => torch.empty([4], { dtype: torch.int64 })
const grid = (): Tensor => torch.rand(4, 4)

test.each<[string, (x: Tensor) => unknown]>([
  ['kthvalue', (x) => torch.kthvalue(x, 2, { out: [x.select(0, 0), places()] } as never)],
  ['mode', (x) => torch.mode(x, { out: [x.select(0, 0), places()] } as never)],
  ['max', (x) => torch.max(x, 0, { out: [x.select(0, 0), places()] })],
  ['min', (x) => torch.min(x, 0, false, { out: [x.select(0, 0), places()] })],
  ['aminmax', (x) => torch.aminmax(x, { dim: 0, out: [x.select(0, 0), x.select(0, 1)] } as never)],
  ['stack', (x) => torch.stack([x.select(0, 0), x.select(0, 1)], { out: x.narrow(0, 0, 2) } as never)],
  ['cat', (x) => torch.cat([x.narrow(0, 0, 2), x.narrow(0, 2, 2)], { out: x } as never)],
  ['add, in part', (x) => torch.add(x.narrow(0, 0, 3), 1, { out: x.narrow(0, 1, 3) })],
  ['exp, in part', (x) => torch.exp(x.narrow(0, 0, 3), { out: x.narrow(0, 1, 3) })],
  ['add, turned', (x) => torch.add(x, x.t(), { out: x })],
  ['cumsum, in part', (x) => torch.cumsum(x.narrow(0, 0, 3), 0, { out: x.narrow(0, 1, 3) } as never)],
])('%s refuses an out in its input', (_name, call) => {
  expect(() => call(grid())).toThrow(SHARED)
})

test.each<[string, (x: Tensor, out: Tensor) => Tensor]>([
  ['add', (x, out) => torch.add(x, x, { out })],
  ['exp', (x, out) => torch.exp(x, { out })],
  ['cumsum', (x, out) => torch.cumsum(x, 0, { out } as never)],
  ['mm', (x, out) => (torch.mm as (...given: unknown[]) => Tensor)(x, x, { out })],
])('%s may write over its input', (_name, call) => {
  const x = grid()
  const expected = call(x.clone(), torch.empty([4, 4])).tolist()
  expect(call(x, x)).toBe(x)
  expect(x.tolist()).toEqual(expected)
})

test('a column is no stretch of memory, so that it may be written', () => {
  const x = grid()
  const expected = x.kthvalue(2).values.tolist()
  torch.kthvalue(x, 2, { out: [x.select(1, 0), places()] } as never)
  expect(x.select(1, 0).tolist()).toEqual(expected)
})
