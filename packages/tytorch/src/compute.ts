// The entry of the threads that compute for the main one: its memory, the routines, and then their loop.
import { memory } from './backend/memory.ts'
import type { Hello } from './backend/pool.ts'

interface NodeHost {
  getBuiltinModule?(name: 'node:worker_threads'): typeof import('node:worker_threads') | undefined
}
const node = (globalThis as { process?: NodeHost }).process?.getBuiltinModule?.('node:worker_threads')

const { wasm, index } = await new Promise<Hello>((resolve) => {
  if (node) node.parentPort!.once('message', resolve)
  else globalThis.onmessage = ({ data }: MessageEvent<Hello>) => resolve(data)
})
memory.adopt(wasm, index)
// Modules read the thread's areas when they are loaded, so only now.
const { serve } = await import('./backend/pool.ts')
await import('./backend/wasm/device.ts')
serve(index)
