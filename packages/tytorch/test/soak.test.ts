// Memory comes back by itself: long synchronous loops, with no dispose, no scope and no await, in fresh processes.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
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
