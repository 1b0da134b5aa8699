// How the tests run: a fresh process for each file, for V8 flags set at run time belong to a process and not to a module.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{packages/*,examples,scripts}/test/**/*.test.ts'],
    pool: 'forks',
    isolate: true,
    maxWorkers: 2,
  },
})
