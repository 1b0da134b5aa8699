// Ops that order, scan, count and write by position against plain TypeScript: odd sizes, dimensions that are not the last,
// views with gaps, and what needs all 64 bits; and compiled functions with them.
import { describe, expect, it } from 'vitest'
import { readyThreads } from '../src/backend/pool.ts'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

const SIZES = [0, 1, 2, 3, 7, 8, 9, 1000]
const DTYPES = [torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.uint8] as const
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number

/** Few different numbers, with what floats have besides. */
function vector(n: number, dtype: torch.DType): Tensor {
  const x = torch.randint(0, 20, [n], { dtype: torch.float64 })
  if (!dtype.isFloatingPoint) return x.to(dtype)
  const special = torch.tensor([nan, -0, 0, infinity, -infinity], { dtype: torch.float64 })
  const kind = torch.randint(0, 30, [n])
  return torch.where(kind.lt(5), special.take(kind.clamp({ max: 4 })), x.sub(10)).to(dtype)
}

const numbers = (x: Tensor): number[] => x.detach().tolist<(number | bigint | boolean)[]>().map(Number)
const isNan = Number.isNaN
const before = (a: number, b: number): number =>
  isNan(a) || isNan(b) ? Number(isNan(a)) - Number(isNan(b)) : a - b || 0

/** `x` as the middle column of a matrix, and the function that takes a result's column. */
const column = (x: Tensor): Tensor => torch.stack([x, x.flip(0), x], 1)

describe.each(DTYPES.map((d) => [d.name, d] as const))('%s', (_, dtype) => {
  it.each(SIZES)('%i elements', (n) => {
    torch.manualSeed(n)
    const x = vector(n, dtype)
    const list = numbers(x)
    const order = list.map((_, i) => i).sort((i, j) => before(list[i], list[j]) || i - j)
    const falling = list.map((_, i) => i).sort((i, j) => before(list[j], list[i]) || i - j)
    const gapped = column(x).select(1, 0)
    for (const source of [x, gapped]) {
      expect(numbers(source.argsort())).toEqual(order)
      expect(numbers(source.sort(0, true).indices)).toEqual(falling)
      for (const k of [1, 3, n >> 1].filter((k) => k <= n)) {
        expect(numbers(source.topk(k).indices)).toEqual(falling.slice(0, k))
        expect(numbers(source.topk(k, { largest: false }).values)).toEqual(order.slice(0, k).map((i) => list[i]))
      }
      if (n > 0) expect(source.kthvalue(1 + (n >> 1)).indices.item()).toBe(order[n >> 1])
      const found = list.flatMap((v, i) => (v !== 0 ? [i] : []))
      expect(numbers(torch.nonzero(source).view(-1))).toEqual(found)
      expect(numbers(source.maskedSelect(source.ne(0)))).toEqual(found.map((i) => list[i]))
    }
    expect(numbers(column(x).argsort(0).select(1, 0))).toEqual(order)
    const [values, inverse, counts] = torch.unique(x, { returnInverse: true, returnCounts: true })
    const kept = order.filter((p, i) => i === 0 || !(list[p] === list[order[i - 1]])).map((p) => list[p])
    expect(numbers(values)).toEqual(kept)
    expect(numbers(counts).reduce((a, b) => a + b, 0)).toBe(n)
    const restored = numbers(inverse).map((g) => kept[g])
    expect(restored.every((v, i) => Object.is(v, list[i]) || v === list[i])).toBe(true)
    const runs = list.filter((v, i) => i === 0 || !(v === list[i - 1]))
    expect(numbers(torch.uniqueConsecutive(x))).toEqual(runs)
    const known = list.slice(0, 5)
    expect(torch.isin(x, x.narrow(0, 0, Math.min(n, 5))).tolist()).toEqual(
      list.map((v) => known.includes(v) && !isNan(v)),
    )
  })

  it.each(SIZES)('scatterAdd and indexAdd of %i elements', (n) => {
    torch.manualSeed(n)
    const at = torch.randint(0, 5, [n])
    const source = torch.randint(0, 9, [n]).to(dtype)
    const totals = [0, 0, 0, 0, 0]
    const [places, added] = [numbers(at), numbers(source)]
    for (const [i, p] of places.entries()) totals[p] += added[i]
    const wrapped = totals.map((v) => (dtype === torch.uint8 ? v % 256 : v))
    const zeros = torch.zeros([5], { dtype })
    expect(numbers(zeros.scatterAdd(0, at, source))).toEqual(wrapped)
    expect(numbers(zeros.indexAdd(0, at.to(torch.int32), source))).toEqual(wrapped)
    const rows = torch.zeros([5, 40], { dtype }).indexAdd(0, at, source.unsqueeze(1).expand([n, 40]).contiguous())
    expect(numbers(rows.select(1, 39))).toEqual(wrapped)
    const columns = torch.zeros([3, 5], { dtype }).scatterAdd(1, at.expand([3, n]), source.expand([3, n]))
    expect(numbers(columns.select(0, 2))).toEqual(wrapped)
    expect(numbers(zeros.indexPut([at], source, true))).toEqual(wrapped)
  })
})

describe('64 bits', () => {
  const big = 2n ** 62n
  it('sorts, selects, sums and looks up numbers that doubles confuse', () => {
    const x = torch.tensor([big + 1n, big, big + 2n, -big], { dtype: torch.int64 })
    expect(x.argsort().tolist()).toEqual([3, 1, 0, 2])
    expect(x.median().item()).toBe(big)
    expect(torch.unique(x).numel()).toBe(4)
    expect(torch.searchsorted(x.sort().values, x).tolist()).toEqual([2, 1, 3, 0])
    expect(torch.isin(x, torch.tensor([big + 3n, big])).tolist()).toEqual([false, true, false, false])
    expect(x.narrow(0, 0, 2).cumsum(0).tolist()).toEqual([big + 1n, -(2n ** 63n) + 1n])
  })
})

describe('long rows', () => {
  it('logcumsumexp is exact over a wide range, from both ends of it', () => {
    const x = torch.tensor([-infinity, -1000, -1001, 5, 5, -20, 700, infinity], { dtype: torch.float64 })
    const list = numbers(x)
    const expected = list.map((_, i) => {
      const seen = list.slice(0, i + 1)
      const most = Math.max(...seen)
      if (!Number.isFinite(most)) return most
      return most + Math.log(seen.reduce((a, v) => a + Math.exp(v - most), 0))
    })
    numbers(x.logcumsumexp(0)).forEach((v, i) => {
      if (Number.isFinite(v)) expect(v).toBeCloseTo(expected[i], 12)
      else expect(v).toBe(expected[i])
    })
    expect(numbers(torch.tensor([0, nan, 1]).logcumsumexp(0))).toEqual([0, nan, nan])
    expect(numbers(torch.tensor([0, -30], { dtype: torch.float64 }).logcumsumexp(0))[1]).toBeCloseTo(Math.exp(-30), 25)
  })

  it('half precision sums in double', () => {
    const x = torch.ones([3000], { dtype: torch.float16 })
    expect(x.cumsum(0).at(2999).item()).toBe(3000)
    expect(x.cumsum(0, { dtype: torch.uint8 }).at(299).item()).toBe(44)
  })

  it('histograms and segments of many elements', () => {
    torch.manualSeed(0)
    const x = torch.randn([5000], { dtype: torch.float64 })
    const list = numbers(x)
    const counts = new Array<number>(10).fill(0)
    for (const v of list) if (v >= -2 && v <= 2) counts[Math.min(Math.floor(((v + 2) * 10) / 4), 9)]++
    expect(numbers(torch.histc(x, 10, -2, 2))).toEqual(counts)
    expect(numbers(torch.histogram(x, 10, { range: [-2, 2] }).hist)).toEqual(counts)
    const lengths = torch.tensor([0, 2000, 1, 2999])
    const sums = numbers(torch.segmentReduce(x, 'sum', { lengths }))
    for (const [i, [from, to]] of [
      [0, 0],
      [0, 2000],
      [2000, 2001],
      [2001, 5000],
    ].entries()) {
      expect(sums[i]).toBeCloseTo(
        list.slice(from, to).reduce((a, b) => a + b, 0),
        9,
      )
    }
  })
})

describe('compiled', () => {
  it.each([
    ['sort', (x: Tensor, at: Tensor) => x.sort(1).values.add(at)],
    ['topk', (x: Tensor, _at: Tensor) => x.topk(3, 0).values.mul(2)],
    ['median', (x: Tensor, _at: Tensor) => x.median(1).values.exp()],
    ['cumsum', (x: Tensor, _at: Tensor) => x.cumsum(0).cumsum(1)],
    ['cummax', (x: Tensor, _at: Tensor) => x.cummax(1).values],
    ['logcumsumexp', (x: Tensor, _at: Tensor) => x.logcumsumexp(1)],
    ['scatterAdd', (x: Tensor, at: Tensor) => torch.zeros([20, 9]).scatterAdd(1, at, x)],
    ['indexAdd', (x: Tensor, at: Tensor) => x.indexAdd(0, at.select(1, 0), x)],
    ['searchsorted', (x: Tensor, _at: Tensor) => torch.searchsorted(x.sort(1).values, x)],
    ['isin', (x: Tensor, at: Tensor) => torch.isin(at, torch.tensor([1, 3])).to(x.dtype)],
  ])('%s', (_name, fn) => {
    const compiled = torch.compile(fn, { fullgraph: true })
    for (let i = 0; i < 4; i++) {
      torch.manualSeed(i)
      const [x, at] = [torch.randn([20, 9]), torch.randint(0, 9, [20, 9])]
      expect(compiled(x, at).tolist()).toEqual(fn(x, at).tolist())
    }
  })
})

describe('threads', () => {
  const x = torch.randn([301, 257])
  const at = torch.randint(0, 257, [301, 257])
  const tall = torch.randn([3, 2000, 70])
  it.each<[string, () => Tensor]>([
    ['sort', () => x.argsort(1)],
    ['sort along dim 0', () => x.argsort(0, true)],
    ['topk', () => x.topk(9, 1).indices],
    ['median', () => x.median(0).indices],
    ['mode', () => at.mode(1).indices],
    ['cumsum', () => x.cumsum(1)],
    ['cumsum of columns', () => tall.cumsum(1)],
    ['cummin', () => tall.cummin(0).indices],
    ['logcumsumexp', () => tall.logcumsumexp(1)],
    ['scatterAdd', () => torch.zeros([301, 257]).scatterAdd(1, at, x)],
    ['scatterAdd along dim 0', () => torch.zeros([301, 257]).scatterAdd(0, at, x)],
    ['indexAdd', () => torch.zeros([257, 257]).indexAdd(0, at.select(1, 0), x)],
    ['searchsorted', () => torch.searchsorted(x.sort(1).values, x)],
  ])(
    '%s',
    (_name, make) => {
      const before = torch.getNumThreads()
      torch.setNumThreads(1)
      const one = make()
      torch.setNumThreads(3)
      const end = performance.now() + 20_000
      while (readyThreads() < 2 && performance.now() < end) torch.ones([1 << 20]).exp()
      expect(readyThreads()).toBe(2)
      for (let i = 0; i < 3; i++) expect(torch.equal(make(), one)).toBe(true)
      torch.setNumThreads(before)
    },
    60_000,
  )
})
