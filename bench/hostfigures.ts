// What bench/hosts.ts measures: steady steps of trainings and single ops, in milliseconds. It runs in Node and in a page,
// whose clock may be as coarse as 0.1 ms and which collects garbage between jobs only.
import * as torch from 'tytorch'
import { readyThreads } from '../packages/tytorch/src/backend/pool.ts'
import { trainings } from './training.ts'

/** Milliseconds by name. */
export type HostFigures = { [figure: string]: number }

/** One measurement is of so many calls that it takes as long (ms), and a figure is the median of ROUNDS. */
const ROUND_MS = 20
const ROUNDS = 9
const WARM_MS = 300
/** For so long threads have time to start. */
const START_MS = 2000
/** A round has at most so many calls, that what they drop fits in memory until the host gets a turn to collect it. */
const CALLS = 200

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

/** Milliseconds of `calls` calls. */
function once(calls: number, call: () => unknown): number {
  const start = performance.now()
  for (let i = 0; i < calls; i++) call()
  return performance.now() - start
}

/** Milliseconds of a call: the median of rounds after some that warm up. */
async function steady(call: () => unknown): Promise<number> {
  let calls = 1
  for (const begin = performance.now(); performance.now() - begin < WARM_MS; await turn()) {
    const took = once(calls, call)
    if (took < ROUND_MS) calls = Math.min(CALLS, Math.ceil((calls * ROUND_MS) / Math.max(took, ROUND_MS / 4)))
  }
  const rounds: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    rounds.push(once(calls, call) / calls)
    await turn()
  }
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1]
}

/** An op whose result goes at once. */
function op(call: () => torch.Tensor): () => void {
  return () => {
    torch.scope(() => {
      call()
      return null
    })
  }
}

async function startThreads(): Promise<void> {
  const x = torch.randn(512, 512)
  op(() => torch.matmul(x, x))()
  const begin = performance.now()
  while (readyThreads() < torch.getNumThreads() - 1 && performance.now() - begin < START_MS) await turn()
}

async function measure(): Promise<HostFigures> {
  await startThreads()
  const found: HostFigures = { threads: torch.getNumThreads(), ready: readyThreads() }
  for (const [name, make] of Object.entries(trainings)) {
    for (const compiled of [false, true]) {
      torch.manualSeed(0)
      const training = make(compiled)
      found[compiled ? `${name} compiled` : name] = await steady(() => training.step(0))
    }
  }
  for (const n of [256, 512, 1024]) {
    const [a, b] = [torch.randn(n, n), torch.randn(n, n)]
    found[`matmul ${n}`] = await steady(op(() => torch.matmul(a, b)))
  }
  const x = torch.randn(1024, 1024)
  found['exp 1M'] = await steady(op(() => x.exp()))
  found['sum 1M'] = await steady(op(() => x.sum()))
  found['softmax 1M'] = await steady(op(() => x.softmax(1)))
  return found
}

/** On as many threads as the page's address or the environment says. */
const asked = Number(new URLSearchParams(globalThis.location?.search).get('threads'))
if (asked > 0) torch.setNumThreads(asked)

export const outcome = measure()
Object.assign(globalThis, { outcome })
