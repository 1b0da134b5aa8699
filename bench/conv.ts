// Convolutions of LeNet and ResNet-18, float32: microseconds of each part, with PYTORCH_PYTHON=<python with torch> beside
// PyTorch's, in turns, at 1 and 2 threads. Arguments: numbers of layers.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ConvolutionArgs, ConvolutionPart } from '../packages/tytorch/src/backend/device.ts'
import { memory } from '../packages/tytorch/src/backend/memory.ts'
import { setNumThreads } from '../packages/tytorch/src/backend/pool.ts'
import { createConvolution } from '../packages/tytorch/src/backend/wasm/convolution.ts'
import { detect } from '../packages/tytorch/src/backend/wasm/features.ts'
import { median } from './rival.ts'

/** [images, channels, size, output channels, kernel, stride, padding] */
const LAYERS: readonly (readonly number[])[] = [
  [32, 3, 32, 6, 5, 1, 0],
  [32, 6, 14, 16, 5, 1, 0],
  [8, 3, 64, 64, 7, 2, 3],
  [8, 64, 16, 64, 3, 1, 1],
  [8, 64, 16, 128, 3, 2, 1],
  [8, 128, 8, 128, 3, 1, 1],
  [8, 128, 8, 256, 3, 2, 1],
  [8, 256, 4, 256, 3, 1, 1],
  [8, 256, 4, 512, 3, 2, 1],
  [8, 512, 2, 512, 3, 1, 1],
  [8, 64, 16, 128, 1, 2, 0],
  [8, 128, 8, 256, 1, 2, 0],
  [8, 256, 4, 512, 1, 2, 0],
]
const PARTS: readonly ConvolutionPart[] = ['output', 'input', 'weight']
const ROUNDS = 7
const ROUND_MS = 10
const WARM_MS = 40
const QUIET_MS = 30

const convolution = createConvolution(detect())

function ours([n, c, size, o, kernel, stride, padding]: readonly number[], part: ConvolutionPart): () => void {
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1
  const [x, w, y, bias] = [n * c * size * size, o * c * kernel * kernel, n * o * out * out, o].map((count) => {
    const at = memory.alloc(count * 4)
    for (let i = 0; i < count; i++) memory.views.f32[at / 4 + i] = Math.sin(i)
    return at
  })
  const args: ConvolutionArgs = {
    batch: n,
    groups: 1,
    inputChannels: c,
    outputChannels: o,
    input: [1, size, size],
    output: [1, out, out],
    kernel: [1, kernel, kernel],
    stride: [1, stride, stride],
    padding: [0, padding, padding],
    dilation: [1, 1, 1],
    x,
    w,
    y,
    bias: part === 'output' ? bias : 0,
  }
  return () => convolution('float32', part, args)
}

function secondsOf(run: () => void, least: number): number {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < least) {
    run()
    count++
    elapsed = performance.now() - start
  }
  return elapsed / 1000 / count
}

/** A PyTorch process with so many threads, which answers the seconds a part takes. */
class Peer {
  private readonly process: ChildProcess
  private readonly lines: AsyncIterator<string>

  constructor(python: string, threads: number) {
    const script = fileURLToPath(new URL('./python/conv.py', import.meta.url))
    this.process = spawn(python, ['-u', script, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]()
  }

  async ask(layer: readonly number[], part: ConvolutionPart, ms: number): Promise<number> {
    this.process.stdin!.write(`${part} ${layer.join(' ')} ${ms}\n`)
    return Number((await this.lines.next()).value)
  }

  close(): void {
    this.process.stdin!.end()
  }
}

const python = process.env.PYTORCH_PYTHON
const peers = python ? [1, 2].map((threads) => new Peer(python, threads)) : []
const chosen = process.argv.slice(2).filter((a) => /^\d+$/.test(a))
const layers = chosen.length > 0 ? chosen.map((i) => LAYERS[Number(i)]) : LAYERS
console.log('us (GFLOP/s) of ours at 1 and 2 threads, then PyTorch at 1 and 2, then the ratios')
for (const layer of layers) {
  const [n, c, size, o, kernel, stride, padding] = layer
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1
  const flops = 2 * n * o * out * out * c * kernel * kernel
  for (const part of PARTS) {
    const run = ours(layer, part)
    const mine: number[][] = [[], []]
    const theirs: number[][] = [[], []]
    for (const threads of [1, 2]) {
      setNumThreads(threads)
      secondsOf(run, WARM_MS)
    }
    for (const peer of peers) await peer.ask(layer, part, WARM_MS)
    for (let i = 0; i < ROUNDS; i++) {
      for (const t of [0, 1]) {
        // PyTorch's threads look for work for some milliseconds before they sleep.
        if (peers.length > 0) await setTimeout(QUIET_MS)
        setNumThreads(t + 1)
        mine[t].push(secondsOf(run, ROUND_MS))
        if (peers.length > 0) theirs[t].push(await peers[t].ask(layer, part, ROUND_MS))
      }
    }
    const text = (s: number): string =>
      `${(s * 1e6).toFixed(0).padStart(6)} (${(flops / s / 1e9).toFixed(0).padStart(3)})`
    const [one, two] = mine.map(median)
    const others = peers.length > 0 ? theirs.map(median) : []
    const ratios = others.map((s, i) => `${(s / [one, two][i]).toFixed(2)}x`)
    const name = `${n}x${c}x${size}x${size} ${kernel}x${kernel}${stride > 1 ? `/${stride}` : ''} -> ${o}`
    console.log(name.padEnd(24), part.padEnd(6), ...[one, two, ...others].map(text), ...ratios)
  }
}
for (const peer of peers) peer.close()
