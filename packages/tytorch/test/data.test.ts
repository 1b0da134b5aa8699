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
  training: { train: number[] }
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

it("trains as PyTorch does, through a loader, from the seed on: dropout, Nesterov's momentum, a cosine schedule", () => {
  const csv = readFileSync(new URL('../../../examples/data/iris.csv', import.meta.url), 'utf8')
  const species = ['setosa', 'versicolor', 'virginica']
  const rows = csv
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(','))
  const x = torch.tensor(
    rows.map((row) => row.slice(0, 4).map(Number)),
    { dtype: torch.float32 },
  )
  const y = torch.tensor(rows.map((row) => species.indexOf(row[4])))
  torch.manualSeed(0)
  const [train] = randomSplit(new TensorDataset(x, y), [112, 38])
  const { nn } = torch
  const model = new nn.Sequential(new nn.Linear(4, 64), new nn.Tanh(), new nn.Dropout(0.2), new nn.Linear(64, 3))
  const criterion = new nn.CrossEntropyLoss()
  const optimizer = new torch.optim.SGD(model.parameters(), {
    lr: 0.05,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 1e-3,
  })
  const loader = new DataLoader(train, { batchSize: 16, shuffle: true })
  fixture.training.train.forEach((expected, epoch) => {
    for (const group of optimizer.paramGroups) group.lr = 0.025 * (1 + Math.cos((Math.PI * epoch) / 40))
    let sum = 0
    for (const [features, labels] of loader) {
      optimizer.zeroGrad()
      const loss = criterion(model(features), labels)
      loss.backward()
      optimizer.step()
      sum += loss.item()
    }
    expect(Math.abs(sum / 7 / expected - 1)).toBeLessThan(epoch < 10 ? 1e-3 : 0.05)
  })
})

describe('datasets', () => {
  const data = new TensorDataset(torch.arange(20).view(10, 2), torch.arange(10).mul(10))

  it('answers rows, and refuses what is out of range', () => {
    const [x, y] = data.getItem(3)
    expect([x.tolist(), y.item(), data.length]).toEqual([[6, 7], 30, 10])
    expect(data.getItem(-1)[1].item()).toBe(90)
    expect(() => data.getItem(10)).toThrow('index 10 is out of bounds for dimension 0 with size 10')
    expect(() => data.getItem(0.5)).toThrow(torch.IndexError)
    expect(() => new TensorDataset(torch.zeros(3), torch.zeros(2))).toThrow('Size mismatch between tensors')
    expect(() => new TensorDataset(torch.tensor(1))).toThrow('Dimension specified as 0 but tensor has no dimensions')
    expectTypeOf(data.getItem(0)).toEqualTypeOf<[Tensor, Tensor]>()
  })

  it('takes subsets, also of subsets, arrays and tensors', () => {
    const subset = new Subset(data, [4, 2, 9])
    expect([subset.length, subset.getItem(1)[1].item(), subset.getItem(-1)[1].item()]).toEqual([3, 20, 90])
    expect(subset.dataset).toBe(data)
    expect(() => subset.getItem(3)).toThrow(/list index out of range/)
    expect(new Subset(new Subset(['a', 'b', 'c'], [2, 0]), [1]).getItem(0)).toBe('a')
    expect((new Subset(torch.arange(5), torch.tensor([3])).getItem(0) as Tensor).item()).toBe(3)
    expect(() => new Subset([1], [3]).getItem(0)).toThrow(torch.IndexError)
  })

  it('splits by lengths and by shares', () => {
    expect(() => randomSplit(data, [5, 4])).toThrow(
      'Sum of input lengths does not equal the length of the input dataset!',
    )
    expect(() => randomSplit(data, [1.5, -0.5])).toThrow('Fraction at index 0 is not between 0 and 1')
    const [a, b, c] = randomSplit(range(17), [0.1, 0.2, 0.7])
    expect([a.length, b.length, c.length]).toEqual([2, 4, 11])
    expect([...a.indices, ...b.indices, ...c.indices].sort((x, y) => x - y)).toEqual(range(17))
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    randomSplit([7], [0.5, 0.5])
    expect(warn).toHaveBeenCalledWith('Length of split at index 1 is 0. This might result in an empty dataset.')
    warn.mockRestore()
    const [train] = randomSplit(data, [8, 2])
    expectTypeOf(train.getItem(0)).toEqualTypeOf<[Tensor, Tensor]>()
  })

  it('joins datasets', () => {
    const both = data.add(new TensorDataset(torch.ones(2, 2), torch.tensor([7, 8])))
    expect(both).toBeInstanceOf(ConcatDataset)
    expect([both.length, both.getItem(11)[1].item(), both.getItem(-2)[1].item()]).toEqual([12, 8, 7])
    expect(() => both.getItem(-13)).toThrow('absolute value of index should not exceed dataset length')
    expect(() => both.getItem(12)).toThrow(torch.IndexError)
    expect(new ConcatDataset([[1], [2, 3], [4]]).cumulativeSizes).toEqual([1, 3, 4])
    expect(() => new ConcatDataset([])).toThrow('datasets should not be an empty iterable')
  })

  it('stacks datasets by position and by name', () => {
    const texts = range(10).map((i) => `text ${i}`)
    const pair = new StackDataset(data, texts)
    expect(pair.getItem(2)[1]).toBe('text 2')
    expectTypeOf(pair.getItem(2)).toEqualTypeOf<[[Tensor, Tensor], string]>()
    const named = new StackDataset({ rows: data, text: texts })
    expect(named.getItem(4).text).toBe('text 4')
    expect(named.getItems([1, 5]).map((s) => s.text)).toEqual(['text 1', 'text 5'])
    expect(() => new StackDataset(data, [1])).toThrow('Size mismatch between datasets')
    const [batch] = new DataLoader(named, 3)
    expect(batch.text).toEqual(['text 0', 'text 1', 'text 2'])
    expect(batch.rows[0].tolist()).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ])
  })

  class Count extends IterableDataset<number> {
    closed = 0
    readonly n: number

    constructor(n: number) {
      super()
      this.n = n
    }

    override *[Symbol.iterator](): Generator<number> {
      try {
        yield* range(this.n)
      } finally {
        this.closed++
      }
    }
  }

  it('chains streams, closes them, and warns of a length that is too short', async () => {
    const chain = new Count(2).add(new Count(3))
    expect(chain).toBeInstanceOf(ChainDataset)
    expect(lists(new DataLoader(chain, 2) as Iterable<Tensor>)).toEqual([[0, 1], [0, 1], [2]])
    expect(lists(new DataLoader(chain, 2, { dropLast: true }) as Iterable<Tensor>)).toHaveLength(2)
    const count = new Count(5)
    for (const _ of new DataLoader(count)) break
    expect(count.closed).toBe(1)
    expect(() => new DataLoader(count).length).toThrow("object of type 'Count' has no len()")
    class Short extends Count {
      override get length(): number {
        return 2
      }
    }
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const loader = new DataLoader(new Short(4))
    expect(loader.length).toBe(2)
    expect([...loader]).toHaveLength(4)
    expect(warn).toHaveBeenCalledWith(expect.stringMatching(/Length of IterableDataset Short was reported to be 2/))
    warn.mockRestore()
  })
})

describe('collation', () => {
  const dtypeOf = (x: unknown): string => String((x as Tensor).dtype)

  it('makes tensors of tensors, typed arrays, numbers, booleans and bigints', () => {
    expect(defaultCollate([torch.tensor([1, 2]), torch.tensor([3, 4])]).tolist()).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(defaultCollate([torch.arange(6).view(2, 3).t(), torch.zeros(3, 2)]).shape).toEqual(
      torch.zeros(2, 3, 2).shape,
    )
    const cases: [unknown[], string, unknown][] = [
      [[1, 2], 'torch.int64', [1, 2]],
      [[1, 2.5], 'torch.float64', [1, 2.5]],
      [[0.1], 'torch.float64', [0.1]],
      [[1e300], 'torch.float64', [1e300]],
      [[true, false], 'torch.bool', [true, false]],
      [[true, 2], 'torch.int64', [1, 2]],
      [[1n, 2n ** 60n], 'torch.int64', [1, 2n ** 60n]],
      [
        [new Float32Array([1, 2]), new Float32Array([3, 4])],
        'torch.float32',
        [
          [1, 2],
          [3, 4],
        ],
      ],
      [[new Uint8ClampedArray([1, 2])], 'torch.uint8', [[1, 2]]],
    ]
    for (const [batch, dtype, values] of cases) {
      const made = defaultCollate(batch) as Tensor
      expect([dtypeOf(made), made.tolist()]).toEqual([dtype, values])
    }
  })

  it('keeps strings, transposes arrays, and goes into objects and maps', () => {
    expect(defaultCollate(['a', 'b'])).toEqual(['a', 'b'])
    const [x, names] = defaultCollate<[number, string]>([
      [1, 'a'],
      [2, 'b'],
    ])
    expect([x.tolist(), names]).toEqual([
      [1, 2],
      ['a', 'b'],
    ])
    expectTypeOf(names).toEqualTypeOf<string[]>()
    const nested = defaultCollate([
      { image: torch.zeros(2), at: [1, { y: 2.5 }] as [number, { y: number }] },
      { image: torch.ones(2), at: [3, { y: 4 }] as [number, { y: number }] },
    ])
    expect([nested.image.tolist(), nested.at[0].tolist(), nested.at[1].y.tolist()]).toEqual([
      [
        [0, 0],
        [1, 1],
      ],
      [1, 3],
      [2.5, 4],
    ])
    const map = defaultCollate([new Map([['a', 1]]), new Map([['a', 2]])])
    expect(map.get('a')?.tolist()).toEqual([1, 2])
  })

  it("says what it can't collate", () => {
    const bad =
      (batch: unknown[]): (() => unknown) =>
      () =>
        defaultCollate(batch)
    expect(bad([torch.zeros(3), torch.zeros(4)])).toThrow(
      'stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at entry 1',
    )
    expect(bad([[1, 2], [3]])).toThrow('each element in list of batch should be of equal size')
    const message = 'default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found '
    expect(bad([null])).toThrow(`${message}null`)
    expect(bad([undefined])).toThrow(`${message}undefined (is the length of the dataset right`)
    expect(bad([new Date()])).toThrow(`${message}Date (give a collateFn`)
    expect(bad([Promise.resolve(1)])).toThrow(`${message}Promise (a promise inside a sample`)
    expect(bad([{ a: 1 }, { b: 1 }])).toThrow("sample 0 has the key 'a', and sample 1 of the batch has not")
    expect(bad([1, 'two'])).toThrow(/sample 0 is number, and sample 1 is string/)
    expect(bad([torch.zeros(1), undefined])).toThrow(/sample 1 is undefined \(is the length/)
    expect(bad([])).toThrow('the batch has no samples')
  })

  it('can be extended by class, once or for good', () => {
    class Point {
      readonly x: number

      constructor(x: number) {
        this.x = x
      }
    }
    class Point3 extends Point {}
    const sum = (batch: readonly Point[]): number => batch.reduce((s, p) => s + p.x, 0)
    const points = [new Point3(1), new Point3(2)]
    expect(collate(points, { collateFnMap: new Map([[Point, sum]]) })).toBe(3)
    expect(() => defaultCollate(points)).toThrow(/found Point3/)
    defaultCollateFnMap.set(Point, sum)
    expect(defaultCollate([[new Point(4)], [new Point(5)]])).toEqual([9])
    defaultCollateFnMap.delete(Point)
    const stacked = defaultCollateFnMap.get(torch.Tensor)!
    defaultCollateFnMap.set(torch.Tensor, (batch) => batch.length)
    expect([...new DataLoader(new TensorDataset(torch.zeros(5, 1)), 2)]).toEqual([[2], [2], [1]])
    defaultCollateFnMap.set(torch.Tensor, stacked)
  })

  it('converts single samples', () => {
    const sample = { x: new Float32Array([1, 2]), n: 3, s: 'text', list: [new Int32Array([4])] }
    const made = defaultConvert(sample)
    expect([made.x.tolist(), made.n, made.s, made.list[0].tolist()]).toEqual([[1, 2], 3, 'text', [4]])
    expect(dtypeOf(made.list[0])).toBe('torch.int32')
  })
})

describe('samplers', () => {
  it('makes batches', () => {
    const batches = (dropLast: boolean): number[][] => [
      ...new BatchSampler(new SequentialSampler(range(10)), 3, dropLast),
    ]
    expect(batches(false)).toEqual([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]])
    expect(batches(true)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
    ])
    expect(new BatchSampler(range(10), 3).length).toBe(4)
    expect([...new BatchSampler(['x', 'y', 'z'], { batchSize: 2 })]).toEqual([['x', 'y'], ['z']])
  })

  it('refuses bad arguments as PyTorch does', () => {
    const message = (name: string, value: unknown): string =>
      `${name} should be a positive integer value, but got ${name}=${value}`
    expect(() => new BatchSampler([1], 0)).toThrow(message('batch_size', 0))
    expect(() => new BatchSampler([1], 1.5)).toThrow(message('batch_size', 1.5))
    expect(() => new RandomSampler([])).toThrow(message('num_samples', 0))
    expect(() => new RandomSampler([1], { numSamples: -1 })).toThrow(message('num_samples', -1))
    expect(() => new RandomSampler([1], 'yes' as never)).toThrow(
      'replacement should be a boolean value, but got replacement=yes',
    )
    expect(() => new WeightedRandomSampler([1], 0)).toThrow(message('num_samples', 0))
    expect(() => new WeightedRandomSampler(torch.ones(2, 2), 1)).toThrow(
      'weights should be a 1d sequence but given weights have shape (2, 2)',
    )
    expect(() => new DistributedSampler([1], { numReplicas: 2, rank: 2 })).toThrow(
      'Invalid rank 2, rank should be in the interval [0, 1]',
    )
    expect(() => new DistributedSampler([1], {} as never)).toThrow('Requires distributed package to be available')
    expect(() => new SequentialSampler({ length: -1 }).length).toThrow('length should be >= 0')
    expect(() => new SequentialSampler({ length: 2.5 }).length).toThrow('length should be a whole number')
    expect(() => new SequentialSampler({} as never).length).toThrow(/has no len\(\)/)
  })
})

describe('DataLoader', () => {
  class Squares extends Dataset<[number, string]> {
    override get length(): number {
      return 10
    }

    override getItem(i: number): [number, string] {
      return [i * i, `no. ${i}`]
    }
  }

  it('batches, counts and types', async () => {
    const loader = new DataLoader(new Squares(), { batchSize: 4 })
    expect(loader.length).toBe(3)
    const sizes: number[] = []
    for (const [x, names] of loader) {
      expectTypeOf(x).toEqualTypeOf<Tensor>()
      expectTypeOf(names).toEqualTypeOf<string[]>()
      sizes.push(x.length, names.length)
    }
    expect(sizes).toEqual([4, 4, 4, 4, 2, 2])
    expect(new DataLoader(new Squares(), 4, { dropLast: true }).length).toBe(2)
    const single = new DataLoader(new Squares(), { batchSize: null })
    expect([single.length, [...single][3]]).toEqual([10, [9, 'no. 3']])
    const own = new DataLoader(new Squares(), { batchSize: 5, collateFn: (samples) => samples.map(([n]) => n) })
    expect([...own]).toEqual([
      [0, 1, 4, 9, 16],
      [25, 36, 49, 64, 81],
    ])
    expectTypeOf(own).toEqualTypeOf<torch.utils.data.DataLoader<number[]>>()
    const awaited: number[] = []
    for await (const [x] of loader) awaited.push(x.length)
    expect(awaited).toEqual([4, 4, 2])
  })

  it('visits every sample once, in another order each epoch', () => {
    const loader = new DataLoader(range(112), { batchSize: 16, shuffle: true, generator: seeded(3) })
    const [first, second] = [lists(loader).flat(), lists(loader).flat()]
    expect(first.toSorted((a, b) => a - b)).toEqual(range(112))
    expect(second).not.toEqual(first)
    expect(loader.length).toBe(7)
  })

  it('reads whole batches at once with the same result', () => {
    const x = torch.randn(30, 3)
    const y = torch.arange(30)
    const rows = new Subset(new TensorDataset(x, y.view(30)), range(30).reverse())
    const single = { length: 30, getItem: (i: number): Tensor[] => rows.getItem(i) }
    const of = (dataset: torch.utils.data.DatasetLike<Tensor[]>): unknown[] =>
      [...new DataLoader(dataset, { batchSize: 7, shuffle: true, generator: seeded(1) })].map((b) =>
        (b as Tensor[]).map((t) => t.tolist()),
      )
    expect(of(rows)).toEqual(of(single))
    class Doubled extends TensorDataset<[Tensor]> {
      override getItem(i: number): [Tensor] {
        return [super.getItem(i)[0].mul(2)]
      }
    }
    const [[batch]] = new DataLoader(new Doubled(torch.ones(3)), 3)
    expect(batch.tolist()).toEqual([2, 2, 2])
    expect(() => [...new DataLoader(new TensorDataset(x), { sampler: [30] })]).toThrow(torch.IndexError)
  })

  it('reads whole batches of datasets that are put together, and samples where their batches do not fit', () => {
    const of = (dataset: torch.utils.data.DatasetLike<unknown>): unknown =>
      JSON.parse(
        JSON.stringify(
          [...new DataLoader(dataset, { batchSize: 7, shuffle: true, generator: seeded(1) })],
          (_key, value) => (value instanceof torch.Tensor ? [value.dtype.name, value.tolist()] : value),
        ),
      )
    const bare = (dataset: torch.utils.data.Dataset<unknown>): torch.utils.data.DatasetLike<unknown> => ({
      length: dataset.length,
      getItem: (i: number) => dataset.getItem(i),
    })
    const rows = (n: number): InstanceType<typeof TensorDataset> =>
      new TensorDataset(torch.randn(n, 20), torch.arange(n))
    const mixed = new ConcatDataset<unknown>([rows(11), new Subset(rows(9), [8, 2, 5]), rows(13)])
    expect(of(mixed)).toEqual(of(bare(mixed)))
    const named = new ConcatDataset([1, 2].map((n) => new StackDataset({ x: torch.ones(n, 3), y: rows(n) })))
    expect(of(named)).toEqual(of(bare(named)))
    const stacked = new StackDataset(named, torch.arange(3))
    expect(of(stacked)).toEqual(of(bare(stacked)))
    const unlike = new ConcatDataset([torch.ones(2, 3), torch.ones(2, 3, { dtype: torch.float64 })])
    expect(of(unlike)).toEqual(of(bare(unlike)))
    const [train, rest] = randomSplit(mixed, [20, 7], { generator: seeded(2) })
    expect([of(train), of(rest)]).toEqual([of(bare(train)), of(bare(rest))])
    const ragged = new ConcatDataset([torch.ones(2, 3), torch.ones(2, 4)])
    expect(() => of(ragged)).toThrow('stack expects each tensor to be equal size')
    expect(() => [...new DataLoader(mixed, { sampler: [27] })]).toThrow(torch.IndexError)
    expect(() => [...new DataLoader(mixed, { sampler: [-28] })]).toThrow(torch.ValueError)
  })

  it('takes keys of any kind from a sampler', () => {
    class Labels extends Dataset<number, string> {
      readonly labels: Record<string, number> = { 'id-1': 0, 'id-2': 1, 'id-3': 2 }
      readonly length = 3

      override getItem(id: string): number {
        return this.labels[id]
      }
    }
    class Ids extends Sampler<string> {
      readonly length = 2

      override *[Symbol.iterator](): Generator<string> {
        yield 'id-3'
        yield 'id-1'
      }
    }
    const loader = new DataLoader(new Labels(), { batchSize: 2, sampler: new Ids() })
    expect([loader.length, lists(loader)]).toEqual([1, [[2, 0]]])
    const batchSampler = [['id-2'], ['id-1', 'id-3']]
    expect(lists(new DataLoader(new Labels(), { batchSampler }))).toEqual([[1], [0, 2]])
  })

  it('waits for asynchronous datasets, by for await only', async () => {
    class Remote extends Dataset<Promise<number>> {
      readonly length = 5

      override async getItem(i: number): Promise<number> {
        await new Promise((resolve) => setTimeout(resolve, 1))
        return i + 0.5
      }
    }
    const loader = new DataLoader(new Remote(), 2)
    const got: number[][] = []
    for await (const batch of loader) got.push(batch.tolist())
    expect(got).toEqual([[0.5, 1.5], [2.5, 3.5], [4.5]])
    expect(() => [...loader]).toThrow("read the loader by 'for await'")
    expect(() => [...new DataLoader(range(3), { numWorkers: 1 })]).toThrow(/is read by 'for await/)
    expect(getWorkerInfo()).toBeNull()
  })

  it('lets timers run in a long loop', async () => {
    let ticks = 0
    const timer = setInterval(() => ticks++, 10)
    const end = performance.now() + 3000
    for await (const _ of new DataLoader({ length: 1e9, getItem: (i: number) => i })) {
      if (ticks > 1 || performance.now() > end) break
    }
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(1)
  })

  const stream = new (class extends IterableDataset<number> {
    override *[Symbol.iterator](): Generator<number> {
      yield 1
    }
  })()
  const rows = range(4)
  const conflicts: [string, () => unknown, string][] = [
    [
      'numWorkers -1',
      () => new DataLoader(rows, { numWorkers: -1 }),
      'num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.',
    ],
    ['timeout -1', () => new DataLoader(rows, { timeout: -1 }), 'timeout option should be non-negative'],
    [
      'prefetchFactor',
      () => new DataLoader(rows, { prefetchFactor: 2 }),
      'prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None.',
    ],
    [
      'prefetchFactor -1',
      () => new DataLoader(rows, { numWorkers: 1, prefetchFactor: -1 }),
      'prefetch_factor option should be non-negative',
    ],
    [
      'persistentWorkers',
      () => new DataLoader(rows, { persistentWorkers: true }),
      'persistent_workers option needs num_workers > 0',
    ],
    [
      'sampler, shuffle',
      () => new DataLoader(rows, { sampler: [1], shuffle: true }),
      'sampler option is mutually exclusive with shuffle',
    ],
    ...[{ batchSize: 2 }, { shuffle: true }, { sampler: [1] }, { dropLast: true }].map(
      (o): [string, () => unknown, string] => [
        `batchSampler, ${Object.keys(o)}`,
        () => new DataLoader(rows, { batchSampler: [[1]], ...o }),
        'batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last',
      ],
    ),
    [
      'batchSize null, dropLast',
      () => new DataLoader(rows, { batchSize: null, dropLast: true }),
      'batch_size=None option disables auto-batching and is mutually exclusive with drop_last',
    ],
    [
      'batchSize 0',
      () => new DataLoader(rows, { batchSize: 0 }),
      'batch_size should be a positive integer value, but got batch_size=0',
    ],
    [
      'stream, shuffle',
      () => new DataLoader(stream, { shuffle: true }),
      'DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle=True',
    ],
    [
      'stream, sampler',
      () => new DataLoader(stream, { sampler: new SequentialSampler(rows) }),
      'DataLoader with IterableDataset: expected unspecified sampler option, but got sampler=SequentialSampler',
    ],
    [
      'stream, batchSampler',
      () => new DataLoader(stream, { batchSampler: [[1]] }),
      'DataLoader with IterableDataset: expected unspecified batch_sampler option, but got batch_sampler=Array',
    ],
    [
      'timeout, no workers',
      () => [...new DataLoader(rows, { timeout: 1 })],
      'timeout option could only be specified with num_workers > 0',
    ],
    [
      'unknown option',
      () => new DataLoader(rows, { batchsize: 1 } as never),
      "DataLoader() got an unexpected keyword argument 'batchsize'",
    ],
    ['no dataset', () => new DataLoader(null as never), 'DataLoader takes a Dataset'],
    [
      'shuffle of nothing',
      () => new DataLoader([], { shuffle: true }),
      'num_samples should be a positive integer value, but got num_samples=0',
    ],
  ]
  it.each(conflicts)('refuses %s', (_, make, message) => {
    expect(make).toThrow(message)
  })

  it.each(['batchSize', 'batchSampler', 'sampler', 'dropLast', 'dataset', 'persistentWorkers'])('fixes %s', (name) => {
    const loader = new DataLoader(rows) as unknown as Record<string, unknown>
    expect(() => {
      loader[name] = 1
    }).toThrow(`${name} attribute should not be set after DataLoader is initialized`)
  })

  it('is empty for an empty dataset', () => {
    expect([new DataLoader([]).length, [...new DataLoader([])]]).toEqual([0, []])
  })
})
