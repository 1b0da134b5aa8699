// Random ops against PyTorch's draws after one seed, in all layouts and dtypes that change how it draws; and what they
// do to shapes, gradients and the generator. The engine itself is tested in random.test.ts.
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

interface Case {
  call: string
  layout: string | null
  dtype: string | null
  args: number[]
  /** Integers beyond 2^53 as strings. */
  value: (number | boolean | string)[]
}
const cases = JSON.parse(readFileSync(new URL('./fixtures/randomops/draws.json', import.meta.url), 'utf8')) as Case[]

const dtypes: Record<string, torch.DType> = {
  float32: torch.float32,
  float64: torch.float64,
  float16: torch.float16,
  bfloat16: torch.bfloat16,
  int64: torch.int64,
  int32: torch.int32,
  uint8: torch.uint8,
  bool: torch.bool,
}

const layouts: Record<string, (dtype: torch.DType) => Tensor> = {
  plain: (dtype) => torch.zeros(5, 7, { dtype }),
  small: (dtype) => torch.zeros(2, 3, { dtype }),
  transposed: (dtype) => torch.zeros(7, 5, { dtype }).t(),
  permuted: (dtype) => torch.zeros(2, 3, 4, { dtype }).permute(2, 0, 1),
  sliced: (dtype) => torch.zeros(5, 14, { dtype }).at(':', '::2'),
  gap: (dtype) => torch.zeros(6, 5, 4, { dtype }).at('::2', ':', '1:3').transpose(0, 2),
}

const methods: Record<string, (x: Tensor, ...args: number[]) => Tensor> = {
  uniform_: (x, a, b) => x.uniform_(a, b),
  normal_: (x, a, b) => x.normal_(a, b),
  bernoulli_: (x, p) => x.bernoulli_(p),
  exponential_: (x, lambd) => x.exponential_(lambd),
  geometric_: (x, p) => x.geometric_(p),
  cauchy_: (x, a, b) => x.cauchy_(a, b),
  log_normal_: (x) => x.logNormal_(),
  random_: (x, a, b) => x.random_(a, b),
}

/** Calls on a tensor in a layout (x), row-major probabilities (p), and those in the layout (q). */
const layered: Record<string, (x: Tensor, p: Tensor, q: Tensor) => Tensor> = {
  'bernoulli_(p)': (x, p) => x.bernoulli_(p),
  'bernoulli_(p) double': (x, p) => x.bernoulli_(p.double()),
  bernoulli: (_x, _p, q) => torch.bernoulli(q),
  rand_like: (_x, _p, q) => torch.randLike(q),
  randn_like: (_x, _p, q) => torch.randnLike(q),
  randint_like: (_x, _p, q) => torch.randintLike(q, 3, 9),
  poisson: (_x, _p, q) => torch.poisson(inLayout(q.mul(20), q)),
  'normal tensor': (_x, _p, q) => torch.normal(q, 2),
  'normal std': (_x, _p, q) => torch.normal(1.5, q),
  'normal both': (_x, p, q) => torch.normal(q, p.add(1)),
}

const weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [4, 3, 2, 1]]) // biome-ignore format: a matrix
const plain: Record<string, () => Tensor> = {
  'rand half': () => torch.rand(20, { dtype: torch.float16 }),
  'randn bfloat16': () => torch.randn(21, { dtype: torch.bfloat16 }),
  randperm: () => torch.randperm(9, { dtype: torch.int32 }),
  randint: () => torch.randint(-3, 9, [2, 4]),
  'randint float': () => torch.randint(9, [5], { dtype: torch.float32 }),
  multinomial: () => torch.multinomial(weights, 3),
  'multinomial replacement': () => torch.multinomial(weights, 6, true),
  'normal sizes': () => torch.normal(2, 3, [2, 9]),
  after: () => {
    torch.rand(3)
    return torch.randn(3)
  },
}

/** `values` in the strides of `like` (PyTorch's ops keep them, ours make rows). */
function inLayout(values: Tensor, like: Tensor): Tensor {
  return like.newEmptyStrided(like.sizes, like.strides).copy_(values)
}

/** As `empty_like` lays it out: the order of memory kept, the gaps closed. */
function dense(x: Tensor): Tensor {
  const order = [...x.sizes.keys()].sort((a, b) => x.strides[a] - x.strides[b] || b - a)
  const strides: number[] = []
  let step = 1
  for (const d of order) {
    strides[d] = step
    step *= x.sizes[d]
  }
  return x.newEmptyStrided(x.sizes, strides)
}

function draw(c: Case): Tensor {
  const make = c.layout ? layouts[c.layout] : null
  torch.manualSeed(5)
  if (!make) return plain[c.call]()
  if (c.dtype) return methods[c.call](make(dtypes[c.dtype]), ...c.args)
  const x = make(torch.float32)
  const p = torch.arange(x.numel(), { dtype: torch.float32 }).view(x.sizes).div(x.numel())
  return layered[c.call](x, p, inLayout(p, dense(x)))
}

/** Where the last bit of a double is the JavaScript engine's, it may show in the single. */
const NEARLY = ['cauchy_', 'log_normal_']

describe('draws', () => {
  it.each(cases.map((c) => [[c.call, c.args, c.dtype, c.layout].filter((s) => s !== null).join(' '), c] as const))(
    '%s',
    (_, c) => {
      const found = draw(c).contiguous().view(-1).tolist<(number | boolean | bigint)[]>()
      if (NEARLY.includes(c.call)) {
        found.forEach((v, i) => {
          expect(Math.abs(Number(v) - Number(c.value[i]))).toBeLessThanOrEqual(2e-7 * Math.abs(Number(c.value[i])))
        })
      } else expect(found.map((v) => (typeof v === 'bigint' ? String(v) : v))).toEqual(c.value)
    },
  )
})

describe('random ops', () => {
  beforeEach(() => {
    torch.manualSeed(0)
  })

  it('manualSeed repeats, generators are independent, states can be kept', () => {
    const first = torch.rand(4).tolist()
    const generator = torch.manualSeed(0)
    expect(torch.rand(4).tolist()).toEqual(first)
    expect(torch.initialSeed()).toBe(0)
    expect(generator.initialSeed()).toBe(0)
    const own = new torch.Generator().manualSeed(0)
    expect(torch.rand(4, { generator: own }).tolist()).toEqual(first)
    expect(
      torch
        .zeros(4)
        .uniform_({ generator: own.manualSeed(0) })
        .tolist(),
    ).toEqual(first)
    const state = torch.getRngState()
    const next = torch.randn(5).tolist()
    torch.setRngState(state)
    expect(torch.randn(5).tolist()).toEqual(next)
    expect(state.shape.toString()).toBe('torch.Size([5056])')
  })

  it('take sizes one by one or as an array, dtypes and requiresGrad', () => {
    expect([...torch.rand(2, 3).shape]).toEqual([2, 3])
    expect([...torch.randn([2, 3]).shape]).toEqual([2, 3])
    expect(torch.rand().ndim).toBe(0)
    expect(torch.rand(0, 3).numel()).toBe(0)
    expect(torch.randn(2, { requiresGrad: true }).requiresGrad).toBe(true)
    expect(torch.randn(2, { dtype: torch.float64 }).dtype).toBe(torch.float64)
    expect(torch.randint(10, [3]).dtype).toBe(torch.int64)
    expect(torch.randLike(torch.zeros(2, 2, { dtype: torch.float64 })).dtype).toBe(torch.float64)
    expect(torch.randperm(5).tolist<number[]>().sort()).toEqual([0, 1, 2, 3, 4])
  })

  it('cut the history of what they redraw', () => {
    const a = torch.ones(3, { requiresGrad: true })
    const x = a.mul(2)
    x.uniform_()
    expect(x.gradFn?.name).toBe('UniformBackward0')
    x.sum().backward()
    expect(a.grad?.tolist()).toEqual([0, 0, 0])
    expect(() => a.normal_()).toThrow('a leaf Variable that requires grad is being used in an in-place operation.')
    const p = torch.full([3], 0.5, { requiresGrad: true })
    expect(torch.bernoulli(p).gradFn?.name).toBe('BernoulliBackward0')
    expect(torch.normal(p, 1).gradFn?.name).toBe('NormalBackward1')
    torch.noGrad(() => a.normal_())
    const base = torch.zeros(2, 3)
    base.at(0).fill_(1)
    base.at(1).uniform_(2, 3)
    expect(base.at(0).tolist()).toEqual([1, 1, 1])
    expect(base.at(1).ge(2).all().item()).toBe(true)
  })

  it('refuse what PyTorch refuses', () => {
    const whole = torch.zeros(3, { dtype: torch.int64 })
    expect(() => whole.normal_()).toThrow(torch.NotImplementedError)
    expect(() => whole.normal_()).toThrow('"normal_kernel_cpu" not implemented for \'Long\'')
    expect(() => torch.rand(3, { dtype: torch.int64 })).toThrow('"check_uniform_bounds" not implemented for \'Long\'')
    expect(() => torch.rand(-1)).toThrow('Trying to create tensor with negative dimension -1: [-1]')
    expect(() => torch.randint(5, 1, [2])).toThrow(
      "random_ expects 'from' to be less than 'to', but got from=5 >= to=1",
    )
    expect(() => torch.randint(0, 300, [2], { dtype: torch.uint8 })).toThrow(
      'to - 1 is out of bounds for unsigned char',
    )
    expect(() => torch.bernoulli(torch.tensor([0.3, 2]))).toThrow('Expected p_in >= 0 && p_in <= 1')
    expect(() => torch.zeros(3).bernoulli_(2)).toThrow('bernoulli_ expects p to be in [0, 1], but got p=2')
    expect(() => torch.zeros(3).exponential_(-1)).toThrow('exponential_ expects lambda > 0.0, but found lambda=-1')
    expect(() => whole.exponential_()).toThrow('dtype must be a floating point but you specified Long')
    expect(() => torch.zeros(2).uniform_(1, 0)).toThrow('found from=1 > to=0')
    expect(() => torch.zeros(2).normal_(0, -1)).toThrow('normal expects std >= 0.0, but found std -1')
    expect(() => torch.normal(torch.zeros(2), torch.tensor([-1, 1], { dtype: torch.float32 }))).toThrow(
      'normal expects all elements of std >= 0.0',
    )
    expect(() => torch.multinomial(torch.tensor([1, 2]), 1)).toThrow(
      'multinomial only supports floating-point dtypes for input, got: Long',
    )
    expect(() => torch.multinomial(torch.ones(2), 3)).toThrow('without replacement')
    expect(() => torch.poisson(torch.tensor([-0.5]))).toThrow('invalid Poisson rate')
    expect(() => torch.randperm(-1)).toThrow('negative dimension -1')
  })
})
