// GFLOP/s of the matrix product on one thread and on two, and with PYTORCH_PYTHON=<python with torch> PyTorch's in turns.
// Arguments: shapes as MxKxN, or BATCH*MxKxN, followed by nn, tn, nt or tt for the operands that are stored transposed,
// and by a dtype other than float32: 64*32x32x32:nt, 256x256x256:nn:int64.
import { memory } from '../packages/tytorch/src/backend/memory.ts'
import { getNumThreads, readyThreads, setNumThreads } from '../packages/tytorch/src/backend/pool.ts'
import { detect } from '../packages/tytorch/src/backend/wasm/features.ts'
import { createMatmul } from '../packages/tytorch/src/backend/wasm/matmul.ts'
import { median, Peer } from './rival.ts'

const SHAPES = [
  ...[8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048].map((n) => `${n}x${n}x${n}:nn`),
  ...[64, 128, 256, 512, 1024].flatMap((n) => [`${n}x${n}x${n}:tn`, `${n}x${n}x${n}:nt`]),
  // The lesson: forward, then backward.
  ...['112x4x1024:nt', '112x1024x3:nt', '3x112x1024:tn', '112x3x1024:nn', '1024x112x4:tn'],
  ...['64x784x256:nt', '64x256x10:nt', '256x64x784:tn', '10x64x256:tn', '64x10x256:nn', '64x784x256:nn'],
  ...['1x1024x1024:nn', '1x1024x1024:nt', '2x1024x1024:nt', '4x1024x1024:nn', '8x1024x1024:nt', '8x1024x1024:nn'],
  ...['1024x1024x1:nn', '1024x1024x4:nn', '1024x1024x4:tn', '1024x4x1024:nn', '1024x8x1024:nt', '1024x1024x10:nt'],
  ...['256*8x8x8:nn', '64*16x16x16:nn', '64*32x32x32:nn', '64*32x32x32:nt', '64*64x64x64:nn', '64*64x32x64:nt'],
  ...['64x64x64:nn:int64', '256x256x256:nn:int64', '256x256x256:nt:int64'],
  ...['61x61x61:nn', '129x129x129:nn', '255x257x259:nn', '1000x1000x1000:nn', '3072x768x64:nn', '1024x64x1024:nt'],
]
const ROUNDS = 11
const ROUND_MS = 6
const WARM_MS = 40
/** For so long nothing runs between two measurements: threads of the one before may still be spinning. */
const REST_MS = 8
const THREADS = [1, 2]

type DType = 'float32' | 'float64' | 'int32' | 'int64'

interface Shape {
  readonly name: string
  readonly dtype: DType
  readonly count: number
  readonly m: number
  readonly k: number
  readonly n: number
  readonly transposeA: boolean
  readonly transposeB: boolean
}

function parse(name: string): Shape {
  const [sizes, stored = 'nn', dtype = 'float32'] = name.split(':')
  const [one, count = 1] = sizes.split('*').reverse()
  const [m, k, n] = one.split('x').map(Number)
  return {
    name,
    dtype: dtype as DType,
    count: Number(count),
    m,
    k,
    n,
    transposeA: stored[0] === 't',
    transposeB: stored[1] === 't',
  }
}

const matmul = createMatmul(detect())

function ours(shape: Shape): () => void {
  const { m, k, n, count, dtype, transposeA, transposeB } = shape
  const bytes = dtype.endsWith('64') ? 8 : 4
  const [a, b, c] = [m * k, k * n, m * n].map((elements) => {
    const at = memory.alloc(count * elements * bytes)
    const { views } = memory
    for (let i = 0; i < count * elements; i++) {
      if (dtype === 'float32') views.f32[at / 4 + i] = Math.sin(i)
      else if (dtype === 'float64') views.f64[at / 8 + i] = Math.sin(i)
      else if (dtype === 'int32') views.i32[at / 4 + i] = i % 100
      else views.i64[at / 8 + i] = BigInt(i % 100)
    }
    return at
  })
  const [aRow, aCol] = transposeA ? [1, m] : [k, 1]
  const [bRow, bCol] = transposeB ? [1, k] : [n, 1]
  const one = { m, n, k, a, aRow, aCol, b, bRow, bCol, c, cRow: n, bias: 0, accumulate: false }
  const args = count > 1 ? { ...one, batch: { count, a: m * k, b: k * n, c: m * n } } : one
  return () => matmul(dtype, args)
}

const PEER = `
import statistics, sys, time, torch
def operand(shape, dtype, transposed):
    *batch, rows, columns = shape
    stored = [*batch, columns, rows] if transposed else shape
    x = torch.randn(stored, dtype=dtype) if dtype.is_floating_point else torch.randint(0, 100, stored, dtype=dtype)
    return x.transpose(-1, -2) if transposed else x
for line in sys.stdin:
    *numbers, dtype = line.split()
    m, k, n, number, ta, tb, ms, batch, fresh, threads = (int(x) for x in numbers)
    torch.set_num_threads(threads)
    if fresh:
        dtype = getattr(torch, dtype)
        lead = [number] if number > 1 else []
        product = torch.bmm if lead else torch.mm
        a, b = operand([*lead, m, k], dtype, ta), operand([*lead, k, n], dtype, tb)
        c = torch.empty([*lead, m, n], dtype=dtype)
        for _ in range(3): product(a, b, out=c)
    times, start = [], time.perf_counter()
    end = start
    while (end - start) * 1000 < ms:
        begin = end
        for _ in range(batch): product(a, b, out=c)
        end = time.perf_counter()
        times.append((end - begin) / batch)
    print(statistics.median(times), flush=True)
`

/** Answers the seconds a product takes in PyTorch. */
function ask(peer: Peer, shape: Shape, threads: number, fresh: boolean): Promise<number> {
  const { m, k, n, count, dtype, transposeA, transposeB } = shape
  const flags = [transposeA, transposeB, ROUND_MS, batchOf(shape), fresh, threads].map(Number)
  return peer.ask(`${[m, k, n, count, ...flags].join(' ')} ${dtype}`)
}

/** Products between two looks at the clock, which itself takes as long as a small product. */
function batchOf({ m, k, n, count }: Shape): number {
  return Math.ceil(1e6 / (2 * count * m * k * n))
}

/** The median of a round: a thread that loses its core for a millisecond says nothing about a product of 20 us. */
function secondsOf(run: () => void, batch: number, least = ROUND_MS): number {
  const times: number[] = []
  const start = performance.now()
  for (let begin = start, end = start; end - start < least; begin = end) {
    for (let i = 0; i < batch; i++) run()
    end = performance.now()
    times.push((end - begin) / batch)
  }
  return median(times) / 1000
}

const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, REST_MS))

/** Workers start with the first large product. */
async function startThreads(): Promise<void> {
  setNumThreads(THREADS[THREADS.length - 1])
  const run = ours(parse('256x256x256'))
  const end = performance.now() + 5000
  while (readyThreads() < getNumThreads() - 1 && performance.now() < end) {
    run()
    await rest()
  }
}

const python = process.env.PYTORCH_PYTHON
const peer = python ? new Peer(python, PEER) : null
const shapes = (process.argv.length > 2 ? process.argv.slice(2) : SHAPES)
  .filter((name) => /^[\d*x]+(:|$)/.test(name))
  .map(parse)
await startThreads()
const title = (threads: number): string =>
  `${threads} thread${threads > 1 ? 's' : ''}${peer ? '  PyTorch  ratio' : ''}`.padStart(peer ? 26 : 11)
console.log(`${'GFLOP/s'.padEnd(22)}${THREADS.map(title).join('')}`)
for (const shape of shapes) {
  const run = ours(shape)
  const batch = batchOf(shape)
  for (const threads of THREADS) {
    setNumThreads(threads)
    secondsOf(run, batch, WARM_MS)
    if (peer) await ask(peer, shape, threads, threads === 1)
  }
  const times: number[][] = THREADS.map(() => [])
  const peerTimes: number[][] = THREADS.map(() => [])
  for (let i = 0; i < ROUNDS; i++) {
    for (const [t, threads] of THREADS.entries()) {
      await rest()
      setNumThreads(threads)
      secondsOf(run, batch, 1) // wakes the threads
      times[t].push(secondsOf(run, batch))
      await rest()
      if (peer) peerTimes[t].push(await ask(peer, shape, threads, false))
    }
  }
  const flops = 2 * shape.count * shape.m * shape.k * shape.n
  const cells = THREADS.map((_, t) => {
    const speed = flops / median(times[t]) / 1e9
    const peerSpeed = peer ? flops / median(peerTimes[t]) / 1e9 : 0
    const compared = peer ? `${peerSpeed.toFixed(1).padStart(9)}${(speed / peerSpeed).toFixed(2).padStart(7)}` : ''
    return `${speed.toFixed(1).padStart(peer ? 10 : 11)}${compared}`
  })
  console.log(`${shape.name.padEnd(22)}${cells.join('')}`)
}
peer?.close()
