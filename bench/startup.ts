// From process start to the first op's result, and peak memory of a short training run: whole processes, timed outside.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Figures, Workload } from './rival.ts'

const script = fileURLToPath(new URL('./first.ts', import.meta.url))

function run(): Figures {
  const start = performance.now()
  execFileSync(process.execPath, [script], { stdio: 'pipe' })
  return { time: (performance.now() - start) / 1000 }
}

export const startup: Workload = {
  name: 'startup',
  title: 'process start to first op result and exit',
  figures: { time: { unit: 's', better: 'less', compare: true } },
  script: 'startup',
  repetitions: 5,
  run,
}
