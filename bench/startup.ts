// From process start to the first op's result: whole processes, timed outside, of the library as it is published and
// of its sources, which Node strips of their types at every start.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from '../scripts/pack.ts'
import type { Figures, Workload } from './rival.ts'

const published = join(await build('tytorch'), 'index.js')
const source = fileURLToPath(import.meta.resolve('tytorch'))

/** Seconds of a process that prints one op's result. */
function seconds(library: string): number {
  const program = `import * as torch from '${pathToFileURL(library)}'; console.log(\`\${torch.ones(3).add(1)}\`)`
  const start = performance.now()
  execFileSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'pipe' })
  return (performance.now() - start) / 1000
}

function run(): Figures {
  return { published: seconds(published), source: seconds(source) }
}

export const startup: Workload = {
  name: 'startup',
  title: 'process start to first op result and exit',
  figures: {
    published: { unit: 's', better: 'less', compare: true },
    source: { unit: 's', better: 'less', compare: true },
  },
  script: 'startup',
  repetitions: 5,
  run,
}
