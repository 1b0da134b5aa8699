// The random engine and every draw of it against PyTorch 2.13 (CPU), bit for bit: the draws of fixtures/rng/draws.json.gz,
// which fixtures/rng/record.py recorded, and the engine's own promises (states, clones, seeds, errors).

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import * as distributions from '../src/base/distributions.ts'
import * as random from '../src/base/random.ts'
import { type DrawArray, Generator, type RandomType } from '../src/base/random.ts'

interface Draw {
  dtype: string
  n: number
  bits?: string
  head?: string
  sha256?: string
}

interface Case {
  seed: number
  call: string
  shape?: number[]
  dtype?: string
  draws?: Draw[]
  batches?: number[][][]
  indices?: number[][]
  weights?: number[]
  n?: number
  replacement?: boolean
  low?: number | string
  high?: number | string | null
  initial_seed?: string
  [name: string]: unknown
}

const fixture: { cases: Case[] } = JSON.parse(
  gunzipSync(readFileSync(new URL('fixtures/rng/draws.json.gz', import.meta.url))).toString(),
)

type Float = Float32Array | Float64Array

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Float32Array,
  bfloat16: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
}

const wordsOf = new Uint32Array(1)
const singleOf = new Float32Array(wordsOf.buffer)

/** Rounds to the nearest number of `bits` significand bits, ties to even: bfloat16 (8), and float16 (11) where normal. */
function roundTo(dtype: string, x: number): number {
  singleOf[0] = x
  const word = wordsOf[0] as number
  if (dtype === 'bfloat16') {
    wordsOf[0] = ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0
    return singleOf[0]
  }
  const ulp = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x) || 1)), -14) - 10)
  const scaled = x / ulp
  const tie = Math.abs(scaled - Math.trunc(scaled)) === 0.5
  return (tie ? 2 * Math.round(scaled / 2) : Math.round(scaled)) * ulp
}

/** arange(n) / n, times `scale`, plus `offset`, each rounded to the array's type. */
function ramp<T extends Float>(like: T, scale = 1, offset = 0): T {
  const out = like.slice() as T
  const at = (i: number, x: number) => {
    out[i] = x
    return out[i] as number
  }
  for (let i = 0; i < out.length; i++) {
    const x = at(i, at(i, i / out.length) * scale)
    const c = out instanceof Float32Array ? Math.fround(offset) : offset
    out[i] = x + c
  }
  return out
}

/** Fan-in and fan-out of a weight, as nn.init has them. */
function fans(shape: number[]): [number, number] {
  const field = shape.slice(2).reduce((a, b) => a * b, 1)
  return [(shape[1] as number) * field, (shape[0] as number) * field]
}

type Fill = (g: Generator, out: never, c: Case) => void

const num = (c: Case, name: string) => c[name] as number

const fills: Record<string, Fill> = {
  rand: (g, out: Float, c) => narrowUniform(g, out, 0, 1, c),
  randn: (g, out: Float, c) => random.normalFill(g, out, 0, 1, isNarrow(c)),
  normal: (g, out: Float, c) => random.normalFill(g, out, num(c, 'mean'), num(c, 'std')),
  randint: (g, out: DrawArray, c) =>
    random.randintFill(
      g,
      out,
      BigInt(c.low as number),
      c.high === null ? null : BigInt(c.high as number),
      c.dtype as RandomType,
    ),
  bernoulli: (g, out: Float, c) => random.bernoulliTensorFill(g, out, out.slice().fill(num(c, 'p'))),
  'tensor.bernoulli_': (g, out: Float, c) => random.bernoulliFill(g, out, num(c, 'p')),
  'tensor.uniform_': (g, out: Float, c) => narrowUniform(g, out, num(c, 'low'), num(c, 'high'), c),
  'tensor.exponential_': (g, out: Float, c) => distributions.exponentialFill(g, out, num(c, 'lambd')),
  'tensor.geometric_': (g, out: Float, c) => distributions.geometricFill(g, out, num(c, 'p')),
  'tensor.cauchy_': (g, out: Float, c) => distributions.cauchyFill(g, out, num(c, 'median'), num(c, 'sigma')),
  'tensor.log_normal_': (g, out: Float, c) => distributions.logNormalFill(g, out, num(c, 'mean'), num(c, 'std')),
  'tensor.random_': (g, out: DrawArray, c) => random.randomFill(g, out, c.dtype as RandomType),
  dropout: (g, out: Float, c) => {
    const keep = 1 - num(c, 'p')
    random.bernoulliFill(g, out, keep)
    for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) * (1 / keep)
  },
  randperm: (g, out: BigInt64Array, c) => out.set(BigInt64Array.from(random.randperm(g, c.n as number), BigInt)),
  multinomial: (g, out: BigInt64Array, c) => {
    const weights = Float32Array.from(c.weights as number[])
    out.set(BigInt64Array.from(distributions.multinomial(g, weights, c.n as number, c.replacement), BigInt))
  },
  'bernoulli(ramp)': (g, out: Float) => random.bernoulliTensorFill(g, out, ramp(out)),
  'poisson(ramp)': (g, out: Float, c) => distributions.poissonFill(g, out, ramp(out, num(c, 'scale'))),
  'binomial(ramp)': (g, out: Float, c) =>
    distributions.binomialFill(g, out, out.slice().fill(num(c, 'count')) as Float, ramp(out)),
  'gamma(ramp)': (g, out: Float, c) => distributions.gammaFill(g, out, ramp(out, num(c, 'scale'), num(c, 'offset'))),
  'dirichlet(ramp)': (g, out: Float, c) =>
    distributions.dirichletFill(g, out, ramp(out, num(c, 'scale'), num(c, 'offset')), 5),
  'multinomial(ramp)': (g, out: BigInt64Array, c) => {
    const Type = c.dtype === 'float32' ? Float32Array : Float64Array
    const weights = ramp(new Type(c.shape?.[0] as number), 1, num(c, 'offset'))
    out.set(BigInt64Array.from(distributions.multinomial(g, weights, c.n as number, c.replacement, 5), BigInt))
  },
  trunc_normal_: (g, out: Float, c) =>
    distributions.truncNormalFill(g, out, num(c, 'mean'), num(c, 'std'), num(c, 'a'), num(c, 'b')),
  'nn.init.trunc_normal_': (g, out: Float) => distributions.truncNormalFill(g, out),
  'nn.init.kaiming_uniform_': (g, out: Float, c) => {
    // Recorded with a = sqrt(5), as nn.Linear and the convolutions call it.
    const bound = Math.sqrt(3) * (Math.sqrt(2 / 6) / Math.sqrt(fans(c.shape as number[])[0]))
    random.uniformFill(g, out, -bound, bound)
  },
  'nn.init.kaiming_normal_': (g, out: Float, c) =>
    random.normalFill(g, out, 0, Math.SQRT2 / Math.sqrt(fans(c.shape as number[])[0])),
  'nn.init.xavier_uniform_': (g, out: Float, c) => {
    const [fanIn, fanOut] = fans(c.shape as number[])
    const bound = Math.sqrt(3) * Math.sqrt(2 / (fanIn + fanOut))
    random.uniformFill(g, out, -bound, bound)
  },
  'nn.init.xavier_normal_': (g, out: Float, c) => {
    const [fanIn, fanOut] = fans(c.shape as number[])
    random.normalFill(g, out, 0, Math.sqrt(2 / (fanIn + fanOut)))
  },
}

function isNarrow(c: Case): boolean {
  return c.dtype === 'float16' || c.dtype === 'bfloat16'
}

function narrowUniform(g: Generator, out: Float, low: number, high: number, c: Case): void {
  random.uniformFill(g, out, low, high, isNarrow(c) ? (x) => roundTo(c.dtype as string, x) : undefined)
}

// In double the last bits of exp, tan and pow are the JavaScript engine's, not the C library's.
const CLOSE = new Set(['tensor.log_normal_', 'tensor.cauchy_', 'gamma(ramp)', 'dirichlet(ramp)'])

// Need linear algebra: tested where orthogonal_ lives.
const ELSEWHERE = new Set(['nn.init.orthogonal_'])

function check(c: Case): void {
  const fillCase = fills[c.call] as Fill
  const g = new Generator(c.call.includes('ramp') || c.seed >= 0 ? c.seed : BigInt(c.seed))
  for (const draw of c.draws ?? []) {
    const out = new ARRAYS[draw.dtype as keyof typeof ARRAYS](draw.n)
    fillCase(g, out as never, c)
    if (draw.dtype.endsWith('float16') || draw.dtype === 'bfloat16') {
      for (let i = 0; i < out.length; i++) out[i] = roundTo(draw.dtype, out[i] as number) as never
    }
    const expected = Buffer.from((draw.bits ?? draw.head) as string, 'base64')
    const want = new (out.constructor as Float32ArrayConstructor)(
      expected.buffer.slice(expected.byteOffset, expected.byteOffset + expected.length),
    )
    if (draw.dtype === 'float64' && CLOSE.has(c.call)) {
      for (let i = 0; i < want.length; i++) expect(out[i]).toBeCloseTo(want[i] as number, 10)
      continue
    }
    expect(out.slice(0, want.length)).toEqual(want)
    if (draw.sha256 !== undefined) {
      expect(createHash('sha256').update(new Uint8Array(out.buffer)).digest('hex')).toBe(draw.sha256)
    }
  }
}

describe('draws', () => {
  const byCall = Map.groupBy(
    fixture.cases.filter((c) => c.draws !== undefined && c.initial_seed === undefined && !ELSEWHERE.has(c.call)),
    (c) => (c.dtype === undefined ? c.call : `${c.call} ${c.dtype}`),
  )
  for (const [name, cases] of byCall) {
    test(`${name}, ${cases.length} cases`, () => {
      for (const c of cases) check(c)
    })
  }

  test('the shuffles of a DataLoader over two epochs', () => {
    const cases = fixture.cases.filter((c) => c.batches !== undefined)
    expect(cases.length).toBeGreaterThan(0)
    for (const c of cases) {
      const g = new Generator(c.seed)
      for (const epoch of c.batches ?? []) {
        // Two numbers an epoch: the workers' base seed, then the sampler's.
        const seeds = new BigInt64Array(2)
        random.randomFill(g, seeds)
        const order = random.randperm(new Generator(seeds[1]), epoch.flat().length)
        expect([...order]).toEqual(epoch.flat())
      }
    }
  })

  test('random_split', () => {
    const cases = fixture.cases.filter((c) => c.indices !== undefined)
    expect(cases.length).toBeGreaterThan(0)
    for (const c of cases) {
      const all = (c.indices ?? []).flat()
      expect([...random.randperm(new Generator(c.seed), all.length)]).toEqual(all)
    }
  })

  test('fill a view over shared memory', () => {
    const shared = new Float32Array(new SharedArrayBuffer(400), 40, 50)
    const plain = new Float32Array(50)
    random.normalFill(new Generator(3), shared)
    random.normalFill(new Generator(3), plain)
    expect([...shared]).toEqual([...plain])
  })
})

describe('Generator', () => {
  test("states are PyTorch's, byte for byte", () => {
    const cases = fixture.cases.filter((c) => c.initial_seed !== undefined)
    expect(cases.length).toBeGreaterThan(0)
    for (const c of cases) {
      const g = new Generator(c.seed)
      expect(BigInt(g.initialSeed())).toBe(BigInt(c.initial_seed as string))
      random.normalFill(g, new Float32Array(3))
      random.uniformFill(g, new Float32Array(700))
      const state = g.getState()
      expect(state.length).toBe(5056)
      expect(createHash('sha256').update(state).digest('hex')).toBe(c.draws?.[0]?.sha256)
    }
  })

  test('goes on from a state, a clone and mid-block as if nothing happened', () => {
    const g = new Generator(7)
    random.normalFill(g, new Float32Array(5))
    random.uniformFill(g, new Float32Array(619))
    const copies = [g.clone(), new Generator().setState(g.getState())]
    const next = (one: Generator) => [one.normal(), one.random(), one.random64(), one.uniform(), one.normal()]
    const expected = next(g)
    for (const copy of copies) expect(next(copy)).toEqual(expected)
    expect(g.initialSeed()).toBe(7)
  })

  test('draws in blocks as one by one', () => {
    const one = new Generator(11)
    const blocks = new Generator(11)
    for (const n of [1, 5, 617, 1, 2, 1300, 624, 3]) {
      const out = new Float32Array(n)
      random.uniformFill(blocks, out)
      for (const x of out) expect(x).toBe(one.uniform32())
    }
    expect(blocks.getState()).toEqual(one.getState())
  })

  test('seeds', () => {
    expect(new Generator().initialSeed()).toBe(67280421310721)
    expect(new Generator(-1).initialSeed()).toBe(2n ** 64n - 1n)
    const g = new Generator()
    const seed = g.seed()
    expect(Number.isSafeInteger(seed)).toBe(true)
    expect(g.initialSeed()).toBe(seed)
    expect(g.random()).toBe(new Generator(seed).random())
    expect(() => g.manualSeed(1.5)).toThrow('integer')
    expect(() => g.manualSeed(2n ** 64n)).toThrow('out of range')
    expect(() => g.setState(new Uint8Array(10))).toThrow('size 5056')
    expect(() => g.setState(new Uint8Array(5056))).toThrow('Invalid mt19937 state')
  })
})

test('what PyTorch refuses is refused in its words', () => {
  const g = new Generator(0)
  const out = new Float32Array(2)
  expect(() => random.bernoulliFill(g, out, 2)).toThrow('bernoulli_ expects p to be in [0, 1], but got p=2')
  expect(() => random.bernoulliTensorFill(g, out, [0.5, 2])).toThrow('Expected p_in >= 0 && p_in <= 1')
  expect(() => random.uniformFill(g, out, 3, -1)).toThrow('uniform_ expects to return a [from, to) range')
  expect(() => random.normalFill(g, out, 3, -1)).toThrow('normal expects std >= 0.0, but found std -1')
  expect(() => random.randintFill(g, out, 3, 3)).toThrow("random_ expects 'from' to be less than 'to'")
  expect(() => random.randperm(g, -1)).toThrow('negative dimension -1')
  expect(() => distributions.exponentialFill(g, out, -1)).toThrow('exponential_ expects lambda > 0.0')
  expect(() => distributions.geometricFill(g, out, 1.5)).toThrow('geometric_ expects p to be in (0, 1)')
  expect(() => distributions.cauchyFill(g, out, 0, -1)).toThrow('cauchy_ expects sigma > 0.0')
  expect(() => distributions.logNormalFill(g, out, 0, -1)).toThrow('log_normal_ expects std > 0.0')
  expect(() => distributions.poissonFill(g, out, [-1, 0])).toThrow('invalid Poisson rate')
  const draw = (w: number[], n: number, replacement = false) =>
    distributions.multinomial(g, Float32Array.from(w), n, replacement)
  expect(() => draw([-1, 2], 1)).toThrow('probability tensor contains either')
  expect(() => draw([0, 0], 1)).toThrow('sum of probabilities <= 0')
  expect(() => draw([1, 0], 0)).toThrow('n_sample <= 0')
  expect(() => draw([1, 2], 3)).toThrow('without replacement')
})
