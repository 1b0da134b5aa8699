// Cases of the random engine: what follows `manual_seed(s)`, bit for bit.
import { resolve } from './call.ts'
import { compareTensors, type Difference, infinite } from './compare.ts'
import { type Json, WholeFloat } from './data.ts'
import { failure } from './ops.ts'
import { runPython } from './python.ts'
import type { Outcome } from './report.ts'
import { type Dynamic, dtypeNamed, MissingError, type Tensor, type Torch, toStored, type Values } from './values.ts'

interface RngCase {
  readonly seed: number
  readonly call: string
  readonly shape?: number[]
  readonly dtype?: string
  readonly low?: number
  readonly high?: number
  readonly mean?: number
  readonly std?: number
  readonly p?: number
  readonly lambd?: number
  readonly n?: number
  readonly weights?: number[]
  readonly replacement?: boolean
  readonly draws?: string[]
  readonly state_dict?: Record<string, string>
  readonly batches?: number[][][]
  readonly indices?: number[][]
}

const EXACT = { rtol: 0, atol: 0 }

export async function* runRng(
  torch: Torch,
  json: Json,
  values: Values,
  wanted: (name: string) => boolean,
): AsyncGenerator<Outcome> {
  const { cases } = plain(json) as { cases: RngCase[] }
  for (const c of cases) {
    const { seed, call, draws, state_dict, batches, indices, ...rest } = c
    const detail = Object.entries(rest).map(([key, v]) => `${key}=${JSON.stringify(v)}`)
    const name = [call, ...detail, `seed=${seed}`].join(' ')
    if (!wanted(name)) continue
    try {
      torch.manualSeed(seed)
      const found = await runCase(torch, c, values)
      yield found ? { name, subject: call, status: 'failed', ...found } : { name, subject: call, status: 'passed' }
    } catch (error) {
      yield failure(name, call, error)
    }
  }
}

/** The data with marked floats as numbers. */
function plain(json: Json): unknown {
  if (json instanceof WholeFloat) return json.value
  if (Array.isArray(json)) return json.map(plain)
  if (typeof json !== 'object' || json === null) return json
  return Object.fromEntries(Object.entries(json).map(([key, v]) => [key, plain(v)]))
}

async function runCase(torch: Torch, c: RngCase, values: Values): Promise<Difference | null> {
  for (const [i, key] of (c.draws ?? []).entries()) {
    const drawn = draw(torch, c)
    const wrong = compareTensors(toStored(drawn), values.at(key), EXACT)
    if (wrong) return { ...wrong, message: `draw ${i}: ${wrong.message}` }
  }
  if (c.state_dict) {
    const module = runPython(torch, c.call) as Dynamic
    const state = module.stateDict() as Record<string, Tensor>
    for (const [key, at] of Object.entries(c.state_dict)) {
      if (!state[key]) return infinite(`there is no '${key}' among ${Object.keys(state).join(', ')}`)
      const wrong = compareTensors(toStored(state[key]), values.at(at), EXACT)
      if (wrong) return { ...wrong, message: `${key}: ${wrong.message}` }
    }
  }
  if (c.batches) return compareLists(await batchesOf(torch, c), c.batches)
  if (c.indices) return compareLists(splitOf(torch, c), c.indices)
  return null
}

/** One draw: the call of PyTorch's name with the parameters that the case has. */
function draw(torch: Torch, c: RngCase): Tensor {
  const shape = c.shape ?? []
  const call = (name: string, ...args: unknown[]): Tensor => {
    const fn = resolve(torch, name)
    if (!fn) throw new MissingError(c.call)
    return fn(args, c.dtype ? { dtype: dtypeNamed(torch, c.dtype) } : {}) as Tensor
  }
  // Recorded as the layers call it, with the slope that makes the bound 1 / sqrt(fan_in).
  if (c.call === 'nn.init.kaiming_uniform_') return call(c.call, torch.empty(shape), { a: Math.sqrt(5) })
  if (c.call.startsWith('nn.init.')) return call(c.call, torch.empty(shape))
  if (c.call.startsWith('tensor.')) {
    const method = c.call.replace('tensor.', '')
    const given = [c.p, c.low, c.high, c.lambd, c.mean, c.std].filter((v) => v !== undefined)
    return call(method, torch.empty(shape), ...given)
  }
  switch (c.call) {
    case 'normal':
      return call('normal', c.mean, c.std, shape)
    case 'randint':
      return call('randint', c.low, c.high, shape)
    case 'bernoulli':
      return call('bernoulli', torch.full(shape, c.p as number))
    case 'dropout':
      return call('nn.functional.dropout', torch.ones(shape), c.p)
    case 'randperm':
      return call('randperm', c.n)
    case 'multinomial':
      return call('multinomial', torch.tensor(c.weights as number[]), c.n, c.replacement)
    default:
      return call(c.call, shape)
  }
}

function dataOf(torch: Torch): Dynamic {
  const { data } = (torch as Dynamic).utils ?? {}
  if (!data) throw new MissingError('utils.data')
  return data
}

/** Batches of `DataLoader(...), two epochs`. */
async function batchesOf(torch: Torch, c: RngCase): Promise<unknown[][]> {
  const { DataLoader } = dataOf(torch)
  if (!DataLoader) throw new MissingError('utils.data.DataLoader')
  const loader = runPython(torch, c.call.replace(/,[^,)]*epochs$/, ''), { DataLoader }) as AsyncIterable<Tensor>
  const epochs: unknown[][] = []
  for (let epoch = 0; epoch < (c.batches?.length ?? 0); epoch++) {
    const batches: unknown[] = []
    for await (const batch of loader) batches.push(batch.tolist())
    epochs.push(batches)
  }
  return epochs
}

function splitOf(torch: Torch, c: RngCase): unknown[] {
  const { randomSplit } = dataOf(torch)
  if (!randomSplit) throw new MissingError('utils.data.random_split')
  const parts = runPython(torch, c.call, { random_split: randomSplit }) as { indices: number[] }[]
  return parts.map((p) => [...p.indices])
}

function compareLists(got: unknown, expected: unknown): Difference | null {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)]
  return a === b ? null : infinite(`got ${a.slice(0, 200)}, expected ${b.slice(0, 200)}`)
}
