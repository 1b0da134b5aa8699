// torch.utils.data in one thread: PyTorch's own draws (fixtures/data.json), lists and messages.
import { readFileSync } from 'node:fs'
import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import type { Tensor } from '../src/index.ts'
import * as torch from '../src/index.ts'

const {
  BatchSampler,
  ChainDataset,
  ConcatDataset,
  collate,
  DataLoader,
  Dataset,
  DistributedSampler,
  defaultCollate,
  defaultCollateFnMap,
  defaultConvert,
  getWorkerInfo,
  IterableDataset,
  RandomSampler,
  randomSplit,
  Sampler,
  SequentialSampler,
  StackDataset,
  Subset,
  SubsetRandomSampler,
  TensorDataset,
  WeightedRandomSampler,
} = torch.utils.data

interface Case {
  call: string
  value: never
  next: number
  args: [number, number, number, Record<string, never>]
  seed: number
  batches: number[][][]
  indices: number[][]
}
const fixture = JSON.parse(readFileSync(new URL('./fixtures/data.json', import.meta.url), 'utf8')) as {
  cases: Case[]
  parity: Case[]
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const lists = (batches: Iterable<Tensor>): number[][] => Array.from(batches, (b) => b.tolist<number[]>())
const seeded = (seed: number): torch.Generator => new torch.Generator(seed)

describe('draws', () => {
  it.each(fixture.parity)('$call, seed $seed', ({ call, seed, batches, indices }) => {
    torch.manualSeed(seed)
    if (call.startsWith('DataLoader')) {
      const loader = new DataLoader(range(20), { batchSize: 6, shuffle: true })
      expect([lists(loader), lists(loader)]).toEqual(batches)
    } else {
      expect(randomSplit(range(150), [112, 38]).map((s) => s.indices)).toEqual(indices)
    }
  })

  const weights = [0.1, 0.9, 0.4, 0.7, 3.0, 0.6]
  const iterRandRead = (): unknown => {
    const iterator = new DataLoader(range(10), 4, true)[Symbol.iterator]()
    const draw = torch.rand(1).item()
    const batches: number[][] = []
    for (let next = iterator.next(); !next.done; next = iterator.next()) batches.push(next.value.tolist<number[]>())
    return [draw, batches]
  }
  const twice = <T>(of: Iterable<T>): T[][] => [[...of], [...of]]
  const runs: Record<string, () => unknown> = {
    'RandomSampler(10)': () => [...new RandomSampler(range(10))],
    'RandomSampler(10, num_samples=25)': () => [...new RandomSampler(range(10), { numSamples: 25 })],
    'RandomSampler(10, replacement, 70)': () => [...new RandomSampler(range(10), true, 70)],
    'RandomSampler(10, generator 5) twice': () => twice(new RandomSampler(range(10), { generator: seeded(5) })),
    'SubsetRandomSampler([3,1,4,1,5,9,2,6])': () => [...new SubsetRandomSampler([3, 1, 4, 1, 5, 9, 2, 6])],
    'WeightedRandomSampler(W, 12)': () => [...new WeightedRandomSampler(weights, 12)],
    'WeightedRandomSampler(W, 5, false)': () => [...new WeightedRandomSampler(weights, 5, false)],
    'WeightedRandomSampler(W, 1)': () => [...new WeightedRandomSampler(torch.tensor(weights), 1)],
    'random_split(range(30), [0.3,0.3,0.4])': () => randomSplit(range(30), [0.3, 0.3, 0.4]).map((s) => s.indices),
    'random_split(range(10), [3,7], generator 42)': () =>
      randomSplit(range(10), [3, 7], { generator: seeded(42) }).map((s) => s.indices),
    'DataLoader(range(10), 3), not shuffled': () => lists(new DataLoader(range(10), 3)),
    'DataLoader(range(10), 4, shuffle, drop_last, generator 7) twice': () =>
      twice(new DataLoader(range(10), 4, true, { generator: seeded(7), dropLast: true })).map(lists),
    'iter, rand, read': iterRandRead,
  }
  const sequential = fixture.cases.filter((c) => c.call in runs)
  const firsts = sequential.findIndex((c, i) => i > 0 && c.call === sequential[0].call)

  it.each(sequential.map((c, i) => ({ ...c, seed: i < firsts ? 0 : 42 })))('$call, seed $seed', (c) => {
    torch.manualSeed(c.seed)
    expect(runs[c.call]()).toEqual(c.value)
    expect(torch.randint(0, 2 ** 31, [1]).item()).toBe(c.next)
  })

  it.each(fixture.cases.filter((c) => c.call === 'Distributed'))('DistributedSampler $args', ({ args, value }) => {
    const [n, numReplicas, rank, { drop_last: dropLast, ...rest }] = args
    const sampler = new DistributedSampler(range(n), { numReplicas, rank, ...rest, ...(dropLast ? { dropLast } : {}) })
    const first = [...sampler]
    if (rest.shuffle !== false || numReplicas < 4) sampler.setEpoch(2)
    expect([first, [...sampler], sampler.length]).toEqual(value)
  })
})
