// Memory comes back by itself: long synchronous loops, with no dispose, no scope and no await, in fresh processes.
import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

interface Report {
  /** Peak resident memory in MB. */
  readonly rss: number
  readonly changed: number
  readonly kept: number
}

function soak(...args: string[]): Report {
  const script = fileURLToPath(new URL('./programs/soak.ts', import.meta.url))
  return JSON.parse(execFileSync(process.execPath, [script, ...args], { encoding: 'utf8' })) as Report
}

test('100,000 training steps hold their memory', { timeout: 120_000 }, () => {
  expect(soak('100000').rss).toBeLessThan(300)
})

test('so do 100,000 that keep a random few tensors, whose values stay', { timeout: 120_000 }, () => {
  const report = soak('100000', 'keep')
  expect(report.rss).toBeLessThan(300)
  expect(report.kept).toBeGreaterThan(100)
  expect(report.changed).toBe(0)
})

interface Wide {
  readonly rss: number
  readonly losses: readonly [eager: number, compiled: number]
  /** Threads that had started besides the main one. */
  readonly threads: number
  readonly seconds: number
}

async function soakWide(steps: number): Promise<Wide> {
  const script = fileURLToPath(new URL('./programs/soakwide.ts', import.meta.url))
  const env = { ...process.env, TYTORCH_NUM_THREADS: '2' }
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(steps)], { env })
  return JSON.parse(stdout) as Wide
}

test('4,000 steps on two threads, eager and compiled, hold it too; two such processes at once go on', {
  timeout: 240_000,
}, async () => {
  const alone = await soakWide(4000)
  expect(alone.rss).toBeLessThan(300)
  expect(alone.threads).toBe(1)
  expect(Math.abs(alone.losses[1] - alone.losses[0])).toBeLessThan(1e-3 * alone.losses[0])
  // Sharing two cores they may take twice as long and some more; a collapse, in which spinning threads keep the cores
  // from those that have work, is a hundred times as long.
  const both = await Promise.all([soakWide(1000), soakWide(1000)])
  for (const run of both) {
    expect(run.losses).toEqual(both[0].losses)
    expect(run.seconds).toBeLessThan(3 * alone.seconds + 10)
  }
})
