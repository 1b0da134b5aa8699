// GFLOP/s of the float32 matrix product on one thread, and with PYTORCH_PYTHON=<python with torch> PyTorch's in turns.
// Arguments: shapes as MxKxN, followed by nn, tn, nt or tt for the operands that are stored transposed.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { memory } from '../packages/tytorch/src/backend/memory.ts'
import { detect } from '../packages/tytorch/src/backend/wasm/features.ts'
import { createMatmul } from '../packages/tytorch/src/backend/wasm/matmul.ts'

const SHAPES = [
  ...[8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048].map((n) => `${n}x${n}x${n}:nn`),
  ...[64, 128, 256, 512, 1024].flatMap((n) => [`${n}x${n}x${n}:tn`, `${n}x${n}x${n}:nt`]),
  // The lesson: forward, then backward.
  ...['112x4x1024:nt', '112x1024x3:nt', '3x112x1024:tn', '112x3x1024:nn', '1024x112x4:tn'],
  ...['64x784x256:nt', '64x256x10:nt', '256x64x784:tn', '10x64x256:tn', '64x10x256:nn', '64x784x256:nn'],
  ...['1x1024x1024:nn', '1x1024x1024:nt', '2x1024x1024:nt', '4x1024x1024:nn', '8x1024x1024:nt', '8x1024x1024:nn'],
  ...['1024x1024x1:nn', '1024x1024x4:nn', '1024x1024x4:tn', '1024x4x1024:nn', '1024x8x1024:nt', '1024x1024x10:nt'],
  ...['61x61x61:nn', '129x129x129:nn', '255x257x259:nn', '1000x1000x1000:nn', '3072x768x64:nn', '1024x64x1024:nt'],
]
const ROUNDS = 11
const ROUND_MS = 6
const WARM_MS = 40

interface Shape {
  readonly name: string
  readonly m: number
  readonly k: number
  readonly n: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

function parse(name: string): Shape {
  const [sizes, stored = 'nn'] = name.split(':')
  const [m, k, n] = sizes.split('x').map(Number)
  return { name, m, k, n, transposeA: stored[0] === 't', transposeB: stored[1] === 't' }
}

const matmul = createMatmul(detect())

function ours(shape: Shape): () => void {
  const { m, k, n, transposeA, transposeB } = shape
  const [a, b, c] = [m * k, k * n, m * n].map((count) => {
    const at = memory.alloc(count * 4)
    for (let i = 0; i < count; i++) memory.views.f32[at / 4 + i] = Math.sin(i)
    return at
  })
  const [aRow, aCol] = transposeA ? [1, m] : [k, 1]
  const [bRow, bCol] = transposeB ? [1, k] : [n, 1]
  const args = { m, n, k, a, aRow, aCol, b, bRow, bCol, c, cRow: n, bias: 0, accumulate: false }
  return () => matmul('float32', args)
}

const PEER = `
import sys, time, torch
torch.set_num_threads(1)
def operand(rows, columns, transposed):
    return torch.randn(columns, rows).t() if transposed else torch.randn(rows, columns)
for line in sys.stdin:
    m, k, n, ta, tb, ms, batch, fresh = (int(x) for x in line.split())
    if fresh:
        a, b, c = operand(m, k, ta), operand(k, n, tb), torch.empty(m, n)
        for _ in range(3): torch.mm(a, b, out=c)
    count, start = 0, time.perf_counter()
    while True:
        for _ in range(batch): torch.mm(a, b, out=c)
        count += batch
        elapsed = time.perf_counter() - start
        if elapsed * 1000 >= ms: break
    print(elapsed / count, flush=True)
`

/** Answers the seconds a product takes in PyTorch. */
type Peer = (shape: Shape, fresh: boolean) => Promise<number>

function startPeer(python: string): { readonly process: ChildProcess; readonly ask: Peer } {
  const process = spawn(python, ['-c', PEER], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]()
  return {
    process,
    async ask(shape, fresh) {
      const { m, k, n, transposeA, transposeB } = shape
      const flags = [transposeA, transposeB, ROUND_MS, batchOf(shape), fresh].map(Number)
      process.stdin.write(`${[m, k, n, ...flags].join(' ')}\n`)
      return Number((await lines.next()).value)
    },
  }
}

/** Products between two looks at the clock, which itself takes as long as a small product. */
function batchOf({ m, k, n }: Shape): number {
  return Math.ceil(1e6 / (2 * m * k * n))
}

function secondsOf(run: () => void, batch: number, least = ROUND_MS): number {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < least) {
    for (let i = 0; i < batch; i++) run()
    count += batch
    elapsed = performance.now() - start
  }
  return elapsed / 1000 / count
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]
}

const python = process.env.PYTORCH_PYTHON
const peer = python ? startPeer(python) : null
const shapes = (process.argv.length > 2 ? process.argv.slice(2) : SHAPES).map(parse)
console.log(`${'M x K x N'.padEnd(18)} GFLOP/s${peer ? '  PyTorch  ratio' : ''}`)
for (const shape of shapes) {
  const run = ours(shape)
  const batch = batchOf(shape)
  secondsOf(run, batch, WARM_MS)
  await peer?.ask(shape, true)
  const times: number[] = []
  const peerTimes: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    times.push(secondsOf(run, batch))
    if (peer) peerTimes.push(await peer.ask(shape, false))
  }
  const flops = 2 * shape.m * shape.k * shape.n
  const speed = flops / median(times) / 1e9
  const peerSpeed = peer ? flops / median(peerTimes) / 1e9 : 0
  const compared = peer ? `${peerSpeed.toFixed(1).padStart(9)} ${(speed / peerSpeed).toFixed(2).padStart(6)}` : ''
  console.log(`${shape.name.padEnd(18)} ${speed.toFixed(1).padStart(7)}${compared}`)
}
peer?.process.kill()
