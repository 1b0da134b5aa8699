// Compiled kernels, and how other threads get them: the module's bytes lie in shared memory, where a worker that meets
// a kernel for the first time compiles them itself (V8 then gives it the machine code that is there already).
import { hostFunction } from '../../ir/evaluate.ts'
import { type HostFunction, hostFunctions } from '../../ir/expr.ts'
import { memory } from '../memory.ts'

/** A kernel's function and the bytes it was compiled from. */
export interface Code<Run> {
  readonly run: Run
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where in shared memory the bytes are, or 0: other threads have not needed them. */
  address: number
}

/** Compiles a module that exports `run`. */
export function compile<Run>(bytes: Uint8Array<ArrayBuffer>): Code<Run> {
  return { run: instantiate(bytes) as Run, bytes, address: 0 }
}

function instantiate(bytes: Uint8Array<ArrayBuffer>): unknown {
  const module = new WebAssembly.Module(bytes)
  const host: Record<string, (...x: number[]) => number> = {}
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from === 'host' && hostFunctions.includes(name as HostFunction)) host[name] = hostFunction(name as HostFunction)
  }
  return new WebAssembly.Instance(module, { env: { memory: memory.wasm }, host }).exports.run
}

const adopted = new Map<number, unknown>()

/** The address of a kernel's bytes for other threads; they stay there. */
export function publish(code: Code<unknown>): number {
  if (code.address === 0) {
    const at = memory.alloc(code.bytes.length)
    memory.views.u8.set(code.bytes, at)
    code.address = at
    adopted.set(at, code.run)
  }
  return code.address
}

/** In any thread: the kernel whose bytes lie at an address. */
export function published<Run>(address: number, length: number): Run {
  let run = adopted.get(address)
  if (run === undefined) {
    run = instantiate(new Uint8Array(memory.views.u8.slice(address, address + length)))
    adopted.set(address, run)
  }
  return run as Run
}
