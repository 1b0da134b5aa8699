// The entry of a data loader's worker threads: the library itself, and then the worker's loop.
import { answerCaller } from './data/host.ts'

// Asked for before anything is awaited: a browser drops a message that nobody listens for yet.
const call = answerCaller()

interface NodeHost {
  getBuiltinModule?(name: 'node:module'): { enableCompileCache?(): unknown } | undefined
}
// Every worker compiles the same modules; with the cache the second one starts in a quarter of the time.
;(globalThis as { process?: NodeHost }).process?.getBuiltinModule?.('node:module')?.enableCompileCache?.()

await import('./index.ts')
const { serve } = await import('./data/serve.ts')
await serve(await call)
