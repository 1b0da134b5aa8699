// Microseconds of pooling and resampling on one thread, forwards (as in training) and backwards; with
// PYTORCH_PYTHON=<python with torch> also PyTorch's, in turns. Arguments: names of rows to run (a part will do).

import * as torch from 'tytorch'
import { median, Peer } from './rival.ts'

const ROUNDS = 11
const ROUND_MS = 8
const F = torch.nn.functional

interface Case {
  readonly name: string
  readonly shape: readonly number[]
  readonly run: (x: torch.Tensor) => torch.Tensor
  /** The same in Python. */
  readonly torch: string
}

const RESNET = [8, 64, 32, 32]
const cases: readonly Case[] = [
  { name: 'max 2x2 LeNet 1', shape: [32, 6, 28, 28], run: (x) => F.maxPool2d(x, 2), torch: 'F.max_pool2d(x, 2)' },
  { name: 'max 2x2 LeNet 2', shape: [32, 16, 10, 10], run: (x) => F.maxPool2d(x, 2), torch: 'F.max_pool2d(x, 2)' },
  { name: 'max 2x2 ResNet', shape: RESNET, run: (x) => F.maxPool2d(x, 2), torch: 'F.max_pool2d(x, 2)' },
  { name: 'max 3x3/2 ResNet', shape: RESNET, run: (x) => F.maxPool2d(x, 3, 2, 1), torch: 'F.max_pool2d(x, 3, 2, 1)' },
  { name: 'avg 2x2 ResNet', shape: RESNET, run: (x) => F.avgPool2d(x, 2), torch: 'F.avg_pool2d(x, 2)' },
  { name: 'avg 3x3/2 ResNet', shape: RESNET, run: (x) => F.avgPool2d(x, 3, 2, 1), torch: 'F.avg_pool2d(x, 3, 2, 1)' },
  {
    name: 'adaptive avg 1',
    shape: RESNET,
    run: (x) => F.adaptiveAvgPool2d(x, 1),
    torch: 'F.adaptive_avg_pool2d(x, 1)',
  },
  {
    name: 'adaptive avg 7',
    shape: RESNET,
    run: (x) => F.adaptiveAvgPool2d(x, 7),
    torch: 'F.adaptive_avg_pool2d(x, 7)',
  },
  {
    name: 'bilinear x2',
    shape: RESNET,
    run: (x) => F.interpolate(x, { scaleFactor: 2, mode: 'bilinear' }),
    torch: 'F.interpolate(x, scale_factor=2, mode="bilinear")',
  },
  {
    name: 'nearest x2',
    shape: RESNET,
    run: (x) => F.interpolate(x, { scaleFactor: 2 }),
    torch: 'F.interpolate(x, scale_factor=2)',
  },
  {
    name: 'reflect pad 1',
    shape: RESNET,
    run: (x) => F.pad(x, [1, 1, 1, 1], 'reflect'),
    torch: 'F.pad(x, [1, 1, 1, 1], "reflect")',
  },
]

const PEER = `
import sys, time, json, torch
import torch.nn.functional as F
torch.set_num_threads(1)
for line in sys.stdin:
    shape, code, ms, fresh, back = json.loads(line)
    if fresh:
        x = torch.randn(shape, requires_grad=True)
        forward = eval('lambda: ' + code)
        y = forward()
        g = torch.ones_like(y)
        for _ in range(3): forward()
    run = (lambda: torch.autograd.grad(y, x, g, retain_graph=True)) if back else forward
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed * 1000 >= ms: break
    print(elapsed / count, flush=True)
`

/** Answers the seconds that a case takes in PyTorch. */
const ask = (peer: Peer, c: Case, fresh: boolean, back: boolean): Promise<number> =>
  peer.ask(JSON.stringify([c.shape, c.torch, ROUND_MS, fresh, back]))

function secondsOf(run: () => void): number {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < ROUND_MS) {
    run()
    count++
    elapsed = performance.now() - start
  }
  return elapsed / 1000 / count
}

const python = process.env.PYTORCH_PYTHON
const peer = python ? new Peer(python, PEER) : null
const wanted = process.argv.slice(2)
console.log(`${'us'.padEnd(26)}  TyTorch${peer ? '  PyTorch   faster' : ''}`)
for (const c of cases) {
  if (wanted.length > 0 && !wanted.some((w) => c.name.includes(w))) continue
  const x = torch.randn([...c.shape]).requiresGrad_()
  const y = c.run(x)
  const gradOutputs = [torch.onesLike(y)]
  // What a training step frees by itself is freed here by hand.
  const forward = (): void => c.run(x)[Symbol.dispose]()
  const backward = (): void => {
    for (const g of torch.autograd.grad([y], [x], { gradOutputs, retainGraph: true })) g?.[Symbol.dispose]()
  }
  for (const [what, run] of [
    ['', forward],
    [' backward', backward],
  ] as const) {
    for (let i = 0; i < 6; i++) secondsOf(run)
    const back = run === backward
    if (peer) await ask(peer, c, !back, back)
    const times: number[] = []
    const peerTimes: number[] = []
    for (let i = 0; i < ROUNDS; i++) {
      times.push(secondsOf(run))
      if (peer) peerTimes.push(await ask(peer, c, false, back))
    }
    const ours = median(times) * 1e6
    const theirs = peer ? median(peerTimes) * 1e6 : 0
    const compared = peer ? `${theirs.toFixed(1).padStart(9)} ${(theirs / ours).toFixed(2).padStart(8)}` : ''
    console.log(`${(c.name + what).padEnd(26)} ${ours.toFixed(1).padStart(8)}${compared}`)
  }
}
peer?.close()
