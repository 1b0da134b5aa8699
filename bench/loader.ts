// The data loader: 60000 images of 28x28 in memory, normalised one by one or a batch at a time, batches of 128; samples
// that take 5 ms of computing, by 0 and 2 workers; and training while one worker loads.
import * as torch from 'tytorch'
import { Busy, DigitBatches, Digits } from './digits.ts'
import type { Figures, Workload } from './rival.ts'

const { DataLoader } = torch.utils.data
const COUNT = 60_000
const BUSY = 200
const STEP = 20

/** Seconds that `work` takes. */
async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

async function read(loader: AsyncIterable<unknown>, step: () => void = () => {}): Promise<void> {
  for await (const _ of loader) step()
}

function compute(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

let digits: Digits | null = null
let batches: DigitBatches | null = null

async function run(): Promise<Figures> {
  digits ??= new Digits(COUNT)
  batches ??= new DigitBatches(COUNT)
  const options = { batchSize: 128, shuffle: true }
  const single = await seconds(() => read(new DataLoader(digits as Digits, options)))
  const whole = await seconds(() => read(new DataLoader(batches as DigitBatches, options)))

  const busy = new Busy(BUSY)
  await using two = new DataLoader(busy, { batchSize: 4, numWorkers: 2, persistentWorkers: true })
  await using one = new DataLoader(busy, { batchSize: 4, numWorkers: 1, persistentWorkers: true })
  await read(two)
  const none = await seconds(() => read(new DataLoader(busy, 4)))
  const both = await seconds(() => read(two))
  await read(one)
  const loading = await seconds(() => read(one))
  const computing = (STEP / 1000) * (BUSY / 4)
  const training = await seconds(() => read(one, () => compute(STEP)))
  return {
    single: COUNT / single / 1000,
    whole: COUNT / whole / 1000,
    workers: none / both,
    overlap: training / Math.max(loading, computing),
  }
}

export const loader: Workload = {
  name: 'loader',
  title: `${COUNT} images of 28x28, batches of 128; ${BUSY} samples of 5 ms; 20 ms of training a batch`,
  figures: {
    single: { unit: 'k samples/s', better: 'more', compare: true },
    whole: { unit: 'k samples/s', better: 'more', compare: true },
    workers: { unit: 'x by 2 workers', better: 'more', compare: true },
    overlap: { unit: 'x the longer of loading and training', better: 'less', compare: true },
  },
  script: 'loader',
  repetitions: 3,
  run,
}
