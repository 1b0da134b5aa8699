// Files as the host has them: Node's fs (also in Bun and Deno), found without an import so that pages can load the core.
import { RuntimeError } from '../base/errors.ts'

type Fs = typeof import('node:fs')

interface NodeProcess {
  getBuiltinModule?(name: 'node:fs'): Fs | undefined
  readonly pid?: number
}

const host = (): NodeProcess | undefined => (globalThis as { process?: NodeProcess }).process

function fileSystem(call: string): Fs {
  const fs = host()?.getBuiltinModule?.('node:fs')
  if (fs) return fs
  throw new RuntimeError(
    call === 'load' || call === 'save'
      ? `torch.${call} needs a file system, which this host has not. ${
          call === 'load'
            ? 'Use torch.deserialize(new Uint8Array(await (await fetch(url)).arrayBuffer()))'
            : 'Use torch.serialize(value), and send or store the bytes'
        }`
      : `torch.${call} needs a file system, which this host has not; read or write the bytes with ${
          call === 'loadNpy' ? 'torch.readNpy and fetch' : 'torch.writeNpy'
        }`,
  )
}

/** A path as messages show it. */
export function shown(path: string | URL): string {
  return typeof path === 'string' ? path : path.href
}

/** The bytes of a file. Throws RuntimeError, which names the file, if it can't be read. */
export function readFile(path: string | URL, call: string): Uint8Array {
  const fs = fileSystem(call)
  try {
    return fs.readFileSync(path)
  } catch (cause) {
    throw new RuntimeError(`torch.${call} can't read ${shown(path)}: ${String((cause as Error).message)}`, { cause })
  }
}

let written = 0

/**
 * Writes a file whole or not at all: under another name in the same folder, then renamed. Throws RuntimeError, which
 * names the file, if it can't be written.
 */
export function writeFile(path: string | URL, bytes: Uint8Array, call: string): void {
  const fs = fileSystem(call)
  let temporary: string | URL | null = null
  try {
    // A link stays a link: what it points to is replaced.
    const target = fs.existsSync(path) ? fs.realpathSync(path) : path
    const suffix = `.${host()?.pid ?? 0}-${Date.now().toString(36)}-${written++}.tmp`
    const free = typeof target === 'string' ? target + suffix : new URL(target.href + suffix)
    fs.writeFileSync(free, new Uint8Array(0), { flag: 'wx' })
    temporary = free
    fs.writeFileSync(free, bytes)
    fs.renameSync(free, target)
  } catch (cause) {
    if (temporary) fs.rmSync(temporary, { force: true })
    throw new RuntimeError(`torch.${call} can't write ${shown(path)}: ${String((cause as Error).message)}`, { cause })
  }
}
