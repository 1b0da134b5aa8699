// What one op costs on ten floats, without and with autograd, and a chain of 100 scalar ops forwards and backwards.
import * as torch from 'tytorch'
import type { Figures, Workload } from './rival.ts'

/** Nanoseconds of one call of `fn`. */
function nanoseconds(fn: () => void, calls: number): number {
  const start = performance.now()
  for (let i = 0; i < calls; i++) fn()
  return ((performance.now() - start) / calls) * 1e6
}

const a = torch.ones(10)
const b = torch.ones(10)
const w = torch.ones(10, { requiresGrad: true })
const s = torch.ones([], { requiresGrad: true })

function chain(): torch.Tensor {
  let x: torch.Tensor = s
  for (let i = 0; i < 50; i++) x = x.mul(1.01).add(0.01)
  return x
}

function run(): Figures {
  return {
    add: nanoseconds(() => a.add(b), 200_000),
    addRecorded: nanoseconds(() => w.add(b), 200_000),
    sum: nanoseconds(() => a.sum(), 100_000),
    chainForward: nanoseconds(chain, 2000) / 1000,
    chainBackward:
      nanoseconds(() => {
        s.grad = null
        chain().backward()
      }, 1000) / 1000,
  }
}

export const overhead: Workload = {
  name: 'overhead',
  title: 'one op on ten floats; 100 scalar ops',
  figures: {
    add: { unit: 'ns', better: 'less', compare: true },
    addRecorded: { unit: 'ns', better: 'less', compare: true },
    sum: { unit: 'ns', better: 'less', compare: true },
    chainForward: { unit: 'us', better: 'less', compare: true },
    chainBackward: { unit: 'us', better: 'less', compare: true },
  },
  script: 'overhead',
  repetitions: 7,
  run,
}
