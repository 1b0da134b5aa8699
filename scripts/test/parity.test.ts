// The parity runner passes what is right and fails for every kind of wrong value planted in the data.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as torch from 'tytorch'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { compareTensors } from '../parity/compare.ts'
import { parseJson, parseSafetensors, type Stored, WholeFloat } from '../parity/data.ts'
import { compareWithList, updateList } from '../parity/expected.ts'
import { runPython } from '../parity/python.ts'
import { type Outcome, tally } from '../parity/report.ts'
import { runParity } from '../parity/run.ts'

const directory = mkdtempSync(join(tmpdir(), 'parity-'))
afterAll(() => rmSync(directory, { recursive: true }))

const float32 = (shape: number[], values: number[]): Stored => ({
  dtype: 'float32',
  shape,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
})
const int64 = (shape: number[], values: number[]): Stored => ({
  dtype: 'int64',
  shape,
  bytes: new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer),
})

function safetensors(tensors: Record<string, Stored>): Uint8Array {
  const names: Record<string, string> = { float32: 'F32', int64: 'I64' }
  let at = 0
  const header: Record<string, unknown> = {}
  for (const [key, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[key] = { dtype: names[dtype], shape, data_offsets: [at, (at += bytes.length)] }
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  return Buffer.concat([length, text, ...Object.values(tensors).map((t) => t.bytes)])
}

function write(name: string, json: unknown, tensors: Record<string, Stored> = {}): void {
  writeFileSync(join(directory, `${name}.json`), JSON.stringify(json))
  writeFileSync(join(directory, `${name}.safetensors`), safetensors(tensors))
}

const t = (key: string, grad = false): object => ({ $tensor: key, grad })

/** A sound set of data: x * y with gradients, sort, a refused call, SGD, draws, and a printed tensor. */
function sound(): Record<string, { json: Dynamic; tensors: Record<string, Stored> }> {
  torch.manualSeed(3)
  const drawn = torch.rand(2).tolist<number[]>()
  return {
    'ops.float32': {
      json: {
        dtype: 'float32',
        ops: [
          {
            op: 'mul',
            variant: '',
            cases: [
              {
                input: t('x', true),
                args: [t('y', true)],
                kwargs: {},
                output: t('xy', true),
                grad_outputs: [{ output: 0, value: t('g') }],
                grads: [t('gx'), t('gy')],
              },
            ],
          },
          { op: 'argmax', variant: '', cases: [{ input: t('x'), args: [], kwargs: { dim: 0 }, output: t('at') }] },
          { op: 'item', variant: '', cases: [{ input: t('one'), args: [], kwargs: {}, output: 4 }] },
        ],
      },
      tensors: {
        x: float32([2], [1, 3]),
        y: float32([2], [5, 7]),
        xy: float32([2], [5, 21]),
        g: float32([2], [1, -1]),
        gx: float32([2], [5, -7]),
        gy: float32([2], [1, -3]),
        at: int64([], [1]),
        one: float32([1], [4]),
      },
    },
    errors: {
      json: {
        cases: [{ op: 'add', input: t('a'), args: [t('b')], kwargs: {}, error: 'RuntimeError', message: 'The size' }],
      },
      tensors: { a: float32([2], [1, 2]), b: float32([3], [1, 2, 3]) },
    },
    optimizers: {
      json: {
        loss: 'sum((p0-t0)^2) + sum(|p1-t1|^1.5) + sum(p0)*mean(p1)',
        cases: [
          {
            optimizer: 'SGD',
            desc: '',
            kwargs: { lr: 0.5 },
            params: [t('p0'), t('p1')],
            targets: [t('t0'), t('t1')],
            steps: [{ step: 1, params: [t('q0'), t('q1')] }],
          },
        ],
      },
      tensors: {
        p0: float32([1], [3]),
        p1: float32([1], [1]),
        t0: float32([1], [2]),
        t1: float32([1], [0]),
        q0: float32([1], [1.5]),
        q1: float32([1], [-1.25]),
      },
    },
    rng: {
      json: { cases: [{ seed: 3, call: 'rand', shape: [2], draws: ['r'] }] },
      tensors: { r: float32([2], drawn) },
    },
    print: {
      json: {
        tensors: [
          {
            how: 'literal',
            shape: [2],
            dtype: 'float32',
            values: [1, 2],
            requires_grad: false,
            text: 'tensor([1., 2.])',
          },
        ],
        grad_fn: [
          {
            expr: 'x = torch.ones(2, requires_grad=True); -x ** 2 + 1',
            text: 'tensor([0., 0.], grad_fn=<AddBackward0>)',
          },
        ],
        reprs: [],
      },
      tensors: {},
    },
  }
}

// biome-ignore lint/suspicious/noExplicitAny: planted into by path
type Dynamic = any

let data = sound()
beforeEach(() => {
  data = sound()
})

async function run(): Promise<{ passed: number; failed: string[]; missing: string[] }> {
  for (const [name, { json, tensors }] of Object.entries(data)) write(name, json, tensors)
  const outcomes = [...(await runParity(torch, directory)).values()].flat()
  const names = (status: string): string[] => outcomes.filter((o) => o.status === status).map((o) => o.name)
  return { passed: names('passed').length, failed: names('failed'), missing: names('missing') }
}

const ops = (): Dynamic => data['ops.float32']

describe('the parity runner', () => {
  it('passes sound data', async () => {
    expect(await run()).toEqual({ passed: 8, failed: [], missing: [] })
  })

  it.each<[string, () => void, string]>([
    ['a value', () => (ops().tensors.xy = float32([2], [5, 21.001])), 'mul.float32[0]'],
    ['a NaN', () => (ops().tensors.xy = float32([2], [5, Number.NaN])), 'mul.float32[0]'],
    ['a shape', () => (ops().tensors.xy = float32([1, 2], [5, 21])), 'mul.float32[0]'],
    ['a dtype', () => (ops().tensors.xy = int64([2], [5, 21])), 'mul.float32[0]'],
    ['the number of outputs', () => (ops().json.ops[0].cases[0].output = [t('xy')]), 'mul.float32[0]'],
    ['a gradient', () => (ops().tensors.gy = float32([2], [1, -3.01])), 'mul.float32[0]'],
    ['a missing gradient', () => (ops().json.ops[0].cases[0].grads[1] = null), 'mul.float32[0]'],
    ['an integer', () => (ops().tensors.at = int64([], [0])), 'argmax.float32[0]'],
    ['a scalar', () => (ops().json.ops[2].cases[0].output = 5), 'item.float32[0]'],
    ['a call that is not refused', () => (data.errors.tensors.b = float32([2], [1, 2])), 'add[0]'],
    ['a parameter', () => (data.optimizers.tensors.q1 = float32([1], [-1.26])), 'SGD[0]'],
    ['a draw', () => (data.rng.tensors.r = float32([2], [0.5, 0.5])), 'rand shape=[2] seed=3'],
    ['a printed form', () => (data.print.json.tensors[0].text = 'tensor([1.0, 2.0])'), 'tensor[0] literal float32 [2]'],
  ])('fails for %s that is wrong', async (_what, plant, name) => {
    plant()
    expect(await run()).toEqual({ passed: 7, failed: [name], missing: [] })
  })

  it('takes any order of equal keys, but no wrong one', async () => {
    const { json, tensors } = ops()
    const keys = { values: float32([3], [1, 1, 2]) }
    Object.assign(tensors, keys)
    json.ops = [
      {
        op: 'sort',
        variant: '',
        cases: [{ input: t('values'), args: [], kwargs: {}, output: [t('values'), t('at')] }],
      },
    ]
    for (const [order, failed] of [
      [[1, 0, 2], []],
      [[0, 2, 1], ['sort.float32[0]']],
      [[0, 0, 2], ['sort.float32[0]']],
    ]) {
      tensors.at = int64([3], order as number[])
      expect((await run()).failed).toEqual(failed)
    }
  })

  it('says what is not there', async () => {
    ops().json.ops[0].op = 'no_such.op_of_ours'
    expect((await run()).missing).toEqual(['no_such.op_of_ours.float32[0]'])
  })

  it('ends with the counts, exits 1 for a wrong value, and writes JSON', () => {
    for (const [name, { json, tensors }] of Object.entries(data)) write(name, json, tensors)
    const script = fileURLToPath(new URL('../parity.ts', import.meta.url))
    const report = join(directory, 'report.json')
    const call = (): { status: number | null; last: string | undefined } => {
      const { status, stdout } = spawnSync(process.execPath, [script, directory, '--json', report], {
        encoding: 'utf8',
      })
      return { status, last: stdout.trimEnd().split('\n').at(-1) }
    }
    expect(call()).toEqual({ status: 0, last: '8 passed, 0 failed, 0 missing' })
    ops().tensors.xy = float32([2], [5, 22])
    write('ops.float32', ops().json, ops().tensors)
    expect(call()).toEqual({ status: 1, last: '7 passed, 1 failed, 0 missing' })
    expect(JSON.parse(readFileSync(report, 'utf8')).ops).toMatchObject({ passed: 2, failed: 1, missing: 0 })
  })
})

describe('the list of cases that are known not to pass', () => {
  const outcome = (name: string, status: Outcome['status']): Outcome => ({ name, subject: name.split('[')[0], status })

  it('holds every case to what it says', () => {
    const list = { ops: { missing: ['gone'], failing: { 'weak[0]': 'why', 'good[0]': 'why' } } }
    const outcomes = new Map([
      ['ops' as const, [outcome('gone[0]', 'missing'), outcome('weak[0]', 'failed'), outcome('good[0]', 'passed')]],
    ])
    expect(compareWithList(list, outcomes, true)).toEqual(['ops: good[0] passes now: take it off the list'])
    expect(compareWithList({}, outcomes, true)).toHaveLength(2)
    expect(compareWithList({ ops: { missing: ['gone', 'back'], failing: { 'weak[0]': '' } } }, outcomes, true)).toEqual(
      ["ops: 'back' is there or passes now: take it off the list"],
    )
  })

  it('is rewritten with the reasons kept', () => {
    const before = { ops: { missing: [], failing: { 'weak[0]': 'why' } } }
    const outcomes = new Map([['ops' as const, [outcome('weak[0]', 'failed'), outcome('new[0]', 'failed')]]])
    expect(updateList(before, outcomes)).toEqual({
      ops: { missing: [], failing: { 'weak[0]': 'why', 'new[0]': 'not there yet' } },
    })
  })
})

describe('reading', () => {
  it('keeps integers exact and marks whole floats', () => {
    expect(parseJson('[9007199254740993, 2.0, 2, 0.5]')).toEqual([9007199254740993n, new WholeFloat(2), 2, 0.5])
  })

  it('reads safetensors of any alignment', () => {
    const found = parseSafetensors(
      safetensors({ odd: { dtype: 'float32', shape: [0], bytes: new Uint8Array(0) }, x: float32([1], [2]) }),
    )
    expect(compareTensors(found.get('x') as Stored, float32([1], [2]))).toBeNull()
  })

  it('evaluates the Python of the data', () => {
    const text = (source: string): string => String(runPython(torch, source))
    expect(text('x = torch.ones(2, 2); -x[0] ** 2 + 3 * x[:, 1]')).toBe('tensor([2., 2.])')
    expect(text('nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU())')).toContain('(1): ReLU()')
    expect(() => text('torch.no_such_thing(1)')).toThrow('no_such_thing')
    expect(() => text('torch.ones(1')).toThrow(SyntaxError)
  })
})

it('sorts failures by size', () => {
  const failed = (name: string, size: number): Outcome => ({ name, subject: name, status: 'failed', size })
  expect(tally([failed('a', 1), failed('b', 2)]).failures.map((f) => f.name)).toEqual(['b', 'a'])
})
