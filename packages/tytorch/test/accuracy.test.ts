// How far float32 reductions of a million elements of mixed magnitude are from float64, beside PyTorch's own distance.
import { expect, test } from 'vitest'
import * as torch from '../src/index.ts'

torch.manualSeed(0)
const x = torch.randn(1_000_000).mul(torch.randn(1_000_000).mul(2).exp())
const y = torch.randn(1_000_000).mul(5)
const exact = x.double()
const total = exact.abs().sum().item()

/** The largest difference between a float32 result and the float64 one, in parts of `scale`. */
function distance(found: torch.Tensor, right: torch.Tensor, scale: number): number {
  return found.double().sub(right).abs().max().item() / scale
}

const columns = (t: torch.Tensor): torch.Tensor => t.view(1000, 1000).sum(0)
const relative = (found: torch.Tensor, right: torch.Tensor): number =>
  found.double().sub(right).abs().div(right).max().item()

// The last number of a row is PyTorch 2.13's distance on the same values; ours may be four times as far.
test.each<[string, () => number, number]>([
  ['mean', () => distance(x.mean(), exact.mean(), total / 1e6), 3.2e-9],
  ['variance', () => distance(x.var(), exact.var(), exact.var().item()), 3.2e-8],
  ['norm', () => distance(x.norm(), exact.norm(), exact.norm().item()), 7.8e-5],
  ['sums of columns', () => distance(columns(x), columns(exact), columns(exact.abs()).max().item()), 6.9e-8],
  ['softmax', () => relative(y.softmax(0), y.double().softmax(0)), 5.6e-5],
  ['logsumexp', () => distance(y.logsumexp(0), y.double().logsumexp(0), 1), 7.7e-7],
])('%s of a million elements', (_name, error, reference) => {
  expect(error()).toBeLessThan(4 * reference)
})

test('sum of a million elements, the mean distance of six draws', () => {
  // One draw says little: single distances vary tenfold on both sides. PyTorch's mean of the same six is 1.3e-9.
  let sum = 0
  for (let seed = 0; seed < 6; seed++) {
    torch.manualSeed(seed)
    const values = torch.randn(1_000_000).mul(torch.randn(1_000_000).mul(2).exp())
    sum += distance(values.sum(), values.double().sum(), values.double().abs().sum().item())
  }
  expect(sum / 6).toBeLessThan(4 * 1.3e-9)
})

test('the values are the ones PyTorch drew', () => {
  const close = (found: torch.Tensor, right: number[]): void => {
    found.tolist<number[]>().forEach((v, i) => {
      expect(v).toBeCloseTo(right[i], 3)
    })
  }
  close(x.at(torch.slice(0, 3)), [-1.647, -3.3397, -0.0013476])
  close(y.at(torch.slice(0, 3)), [6.0867, -4.4527, -4.7932])
})
