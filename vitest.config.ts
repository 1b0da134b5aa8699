// How the tests run: a fresh process for each file, for V8 flags set at run time belong to a process and not to a module.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{packages/*,examples,scripts}/test/**/*.test.ts'],
    pool: 'forks',
    // A kernel's second call already runs V8's optimized code: most tests call each only a few times.
    execArgv: ['--wasm-tiering-budget=1', '--wasm-sync-tier-up'],
    isolate: true,
    maxWorkers: 2,
  },
})
