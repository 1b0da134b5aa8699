// Asking the host's garbage collector to run now, inside a synchronous loop, so that WeakRefs to dead storages clear.
// V8 keeps every WeakRef target that was created or read in the current job alive; running an empty script in a
// context with its own microtask queue ends that job's list. Tests guard this, for it is not documented behaviour.

interface Collector {
  /** False where `collect` does nothing. */
  readonly able: boolean
  /** Runs a collection, of the young generation only if `minor`; does nothing where the host has no way. */
  collect(minor: boolean): void
}

type Gc = (options?: { type: 'minor' | 'major' }) => void

/** Growth of V8's heap since the last full collection, in bytes, after which a minor one becomes a full one. */
const GROWTH = 32 * 2 ** 20

interface NodeHost {
  getBuiltinModule?(name: 'node:v8'): typeof import('node:v8')
  getBuiltinModule?(name: 'node:vm'): typeof import('node:vm')
}

function nodeCollector(host: NodeHost): Collector {
  let gc: Gc | null = null
  let endJob: () => void = () => {}
  let used: () => number = () => 0
  let floor = 0
  const prepare = (): Gc => {
    const v8 = host.getBuiltinModule!('node:v8') as typeof import('node:v8')
    const vm = host.getBuiltinModule!('node:vm') as unknown as typeof import('node:vm')
    v8.setFlagsFromString('--expose-gc')
    const found = vm.runInNewContext('gc') as Gc
    const context = vm.createContext({}, { microtaskMode: 'afterEvaluate' })
    const empty = new vm.Script('0')
    endJob = () => empty.runInContext(context)
    used = () => v8.getHeapStatistics().used_heap_size
    floor = used()
    return found
  }
  return {
    able: true,
    collect(minor) {
      gc ??= prepare()
      endJob()
      // Minor collections promote what happens to be alive, and V8 is slow to look at the old generation again.
      const full = !minor || used() > floor + GROWTH
      gc({ type: full ? 'major' : 'minor' })
      if (full) floor = used()
    },
  }
}

const host = (globalThis as { process?: NodeHost & { versions?: { node?: string } } }).process

/** The host's collector; elsewhere than in Node, storages come back when the host collects by itself between jobs. */
export const collector: Collector = host?.getBuiltinModule ? nodeCollector(host) : { able: false, collect() {} }
