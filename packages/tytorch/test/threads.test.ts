// Operations on several threads: the same results as on one (to rounding, where sums are cut), the same in every run,
// and no hang whatever happens to a worker. Runs where the host has threads.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { piecesFor, readyThreads } from '../src/backend/pool.ts'
import * as torch from '../src/index.ts'

// Threads start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const until = (done: () => boolean): void => {
  const end = performance.now() + 30_000
  while (!done() && performance.now() < end) torch.ones([1 << 20]).exp()
  expect(done()).toBe(true)
}

const manyThreads = [2, 3]

beforeAll(() => {
  torch.setNumThreads(3)
  until(() => readyThreads() === 2)
})

/** `make` on one thread and on several: equal bit by bit, or close where `tolerance` is given; and the same each time. */
const same = (make: () => torch.Tensor, tolerance = 0): void =>
  torch.noGrad(() => {
    torch.setNumThreads(1)
    const one = make()
    for (const threads of manyThreads) {
      torch.setNumThreads(threads)
      const first = make()
      for (let i = 0; i < 2; i++) expect(torch.equal(first, make())).toBe(true)
      if (tolerance === 0) expect(torch.equal(one, first)).toBe(true)
      else expect(one.double().sub(first.double()).abs().max().item()).toBeLessThanOrEqual(tolerance)
    }
  })

torch.manualSeed(1)
const a = torch.randn([1100, 1003])
const b = torch.randn([1100, 1003])
const long = torch.randn([1_500_001])
const wide = torch.randn([3, 400_001])
const tall = torch.randn([300_001, 5])
const whole = torch.randint(-1000, 1000, [900, 1001])

describe('element-wise', () => {
  const cases: Record<string, () => torch.Tensor> = {
    contiguous: () => a.add(b),
    exp: () => a.exp(),
    'a scalar': () => a.mul(3),
    'int64 scalars': () => whole.clamp(-3, 500),
    'integer division': () => whole.div(7, { roundingMode: 'floor' }),
    'a transpose': () => torch.add(a.t(), b.t().contiguous()),
    'a strided slice': () => a.at(':', '::2').exp(),
    'a row': () => a.add(b.at(0)),
    'a column': () => a.add(b.at(':', ':1')),
    comparison: () => a.gt(b),
    float16: () => a.to(torch.float16).add(1),
    'a host function': () => a.double().sin(),
    'in place': () => a.clone().mul_(b).add_(1),
    // Later pieces must not read what earlier ones have written.
    'with an operand inside the result': () => {
      const x = long.clone()
      return x.add_(x.at(0))
    },
    'with an operand one element behind the result': () => {
      const x = long.clone()
      x.at('1:').add_(x.at(':-1'))
      return x
    },
  }
  for (const [name, make] of Object.entries(cases)) it(name, () => same(make))
  it('integer division by zero is the same error', () => {
    const zeros = torch.zerosLike(whole)
    for (const threads of [1, 2]) {
      torch.setNumThreads(threads)
      expect(() => whole.div(zeros, { roundingMode: 'trunc' })).toThrow('ZeroDivisionError')
    }
    same(() => whole.add(1))
  })
})

describe('reductions', () => {
  const cases: Record<string, readonly [() => torch.Tensor, number]> = {
    'rows, sum': [() => a.sum(1), 0],
    'columns, sum': [() => a.sum(0), 0],
    'rows, argmax': [() => a.argmax(1), 0],
    'columns, max': [() => a.max(0).values, 0],
    softmax: [() => a.softmax(1), 0],
    'softmax of columns': [() => a.softmax(0), 0],
    // A rounding step of the largest partial sums.
    'one row, sum': [() => long.sum(), 2e-3],
    'one row, mean': [() => long.mean(), 2e-9],
    'one row, argmax': [() => long.argmax(), 0],
    'one row, standard deviation': [() => long.std(), 1e-6],
    'three rows, sum': [() => wide.sum(1), 1e-3],
    'three rows, argmin': [() => wide.argmin(1), 0],
    'five columns, sum': [() => tall.sum(0), 1e-3],
    'five columns, argmax': [() => tall.argmax(0), 0],
    'a transpose': [() => a.t().sum(), 2e-3],
    'int64, sum': [() => whole.sum(), 0],
    any: [() => long.gt(4).any(), 0],
  }
  for (const [name, [make, tolerance]] of Object.entries(cases)) it(name, () => same(make, tolerance))
  it('ties give the first position', () => {
    torch.setNumThreads(3)
    const x = torch.zeros([1 << 20])
    expect(x.argmax().item()).toBe(0)
    x.setAt([700_000], 1)
    x.setAt([800_000], 1)
    expect(x.argmax().item()).toBe(700_000)
  })
})

describe('matrix products', () => {
  const sizes = [
    [100, 100, 100],
    [257, 129, 333],
    [64, 784, 256],
    [3, 2000, 300],
    [300, 2000, 3],
    [1, 1024, 1024],
    [7, 5000, 40],
    [96, 96, 96],
    [1000, 300, 8],
    [600, 520, 500],
  ]
  for (const [m, k, n] of sizes) {
    it(`${m}x${k}x${n}, all transposes`, () => {
      for (const [left, right] of [0, 1, 2, 3].map((i) => [i & 1, i >> 1])) {
        const x = left ? torch.randn([k, m]).t() : torch.randn([m, k])
        const y = right ? torch.randn([n, k]).t() : torch.randn([k, n])
        // Parts may be computed by other routines than the whole, which add in another order.
        same(() => torch.mm(x, y), 1e-6 * k)
        same(() => torch.addmm(torch.arange(n).float(), x, y), 1e-6 * k)
      }
    })
  }
  it('epilogues are computed by the thread that has the product', () => {
    const [x, y, row] = [torch.randn([200, 150]), torch.randn([150, 190]), torch.randn([190])]
    const rest = torch.randn([200, 190])
    for (const left of [x, torch.randn([150, 200]).t()]) {
      const step = torch.compile(() => torch.addmm(row, left, y).add(rest).relu())
      same(() => step(), 1e-4)
      expect(torch.allclose(step(), torch.addmm(row, left, y).add(rest).relu(), { atol: 1e-4 })).toBe(true)
    }
  })
  it('integers', () => {
    const x = torch.randint(-99, 99, [200, 150])
    same(() => torch.mm(x, x.t()))
    same(() => torch.mm(x.int(), x.t().int()))
  })
  for (const [count, m, k, n] of [
    [64, 32, 32, 32],
    [1000, 8, 8, 8],
    [3, 300, 200, 100],
    [700, 17, 33, 9],
    [900, 1, 64, 64],
  ]) {
    it(`${count} products of ${m}x${k}x${n}`, () => {
      for (const turned of [0, 1, 2, 3]) {
        const x = turned & 1 ? torch.randn([count, k, m]).transpose(1, 2) : torch.randn([count, m, k])
        const y = turned & 2 ? torch.randn([count, n, k]).transpose(1, 2) : torch.randn([count, k, n])
        same(() => torch.bmm(x, y), 1e-6 * k)
        const last = torch.mm(x.select(0, count - 1), y.select(0, count - 1))
        expect(torch.allclose(torch.bmm(x, y).select(0, count - 1), last, { rtol: 1e-4, atol: 1e-5 })).toBe(true)
      }
    })
  }
})

describe('the number of threads', () => {
  it('is set and read', () => {
    torch.setNumThreads(2)
    expect(torch.getNumThreads()).toBe(2)
    expect(() => torch.setNumThreads(0)).toThrow('set_num_threads expects a positive integer')
    expect(() => torch.setNumThreads(2.5)).toThrow('set_num_threads expects an int, but got float')
    expect(torch.getNumThreads()).toBe(2)
  })
  it('decides with the work into how many pieces it is cut', () => {
    torch.setNumThreads(3)
    expect([10, 19, 20, 29, 30, 1000].map((work) => piecesFor(work, 10))).toEqual([1, 1, 2, 2, 3, 3])
    expect(piecesFor(1000, 10, 4)).toBe(12)
    torch.setNumThreads(1)
    expect(piecesFor(1000, 10)).toBe(1)
  })
})

interface Run {
  readonly text: string
  readonly code: number | null
  readonly seconds: number
}

/** Runs a script in a process of its own. */
function run(script: string, env: Record<string, string> = {}): Promise<Run> {
  const index = fileURLToPath(new URL('../src/index.ts', import.meta.url))
  const pool = fileURLToPath(new URL('../src/backend/pool.ts', import.meta.url))
  const head = `import * as torch from ${JSON.stringify(index)}; import * as pool from ${JSON.stringify(pool)}; const x = torch.randn([1 << 20]);`
  const start = performance.now()
  return new Promise((resolve) => {
    const args = ['--input-type=module', '-e', head + script]
    const child = spawn(process.execPath, args, { env: { ...process.env, TYTORCH_NUM_THREADS: '2', ...env } })
    const timer = setTimeout(() => child.kill('SIGKILL'), 50_000)
    let text = ''
    child.stdout.on('data', (data) => (text += data))
    child.stderr.on('data', (data) => (text += data))
    child.on('exit', (code) => {
      clearTimeout(timer)
      resolve({ text, code, seconds: (performance.now() - start) / 1000 })
    })
  })
}

const ready = 'while (pool.readyThreads() < 1) x.exp();'

describe('processes', () => {
  it('end by themselves, with workers that spin or sleep', async () => {
    expect(await run(`${ready} console.log(x.exp().size(0))`)).toMatchObject({ text: '1048576\n', code: 0 })
    const asleep = `${ready} await new Promise((r) => setTimeout(r, 50)); console.log(pool.readyThreads())`
    expect(await run(asleep)).toMatchObject({ text: '1\n', code: 0 })
  })
  it('take the number of threads from the environment, and start none for small work', async () => {
    const text = 'torch.ones([100]).exp(); console.log(torch.getNumThreads(), pool.readyThreads())'
    expect(await run(text, { TYTORCH_NUM_THREADS: '5' })).toMatchObject({ text: '5 0\n', code: 0 })
  })
  it('survive the death of a worker: an error with a name, and one thread from then on', async () => {
    const text = `${ready} const before = x.exp();
      try { pool.haveAccident(); console.log('no error') } catch (e) { console.log(e.name, e.message) }
      console.log(torch.equal(before, x.exp()), torch.mm(x.view(1024, 1024), x.view(1024, 1024)).size(0))`
    const { text: said, code } = await run(text)
    expect(said).toMatch(/^RuntimeError a compute thread died in the middle of an operation/)
    expect(said).toMatch(/true 1024\n$/)
    expect(code).toBe(0)
  })
  it('share the cores: two at once take no more than a few times as long', async () => {
    const work = `${ready} const m = torch.randn([256, 256]); const start = performance.now();
      for (let i = 0; i < 300; i++) { torch.mm(m, m); x.exp() } console.log(performance.now() - start)`
    const alone = Number((await run(work)).text)
    const both = await Promise.all([run(work), run(work)])
    for (const { text } of both) expect(Number(text)).toBeLessThan(10 * alone + 1000)
  })
})
