// The layer check: which file may import which, no import cycles, no dependency of the core, no overlong file.
// `node scripts/layers.ts` checks the working tree and prints one line a problem.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** An import as written: `type` edges vanish when types are stripped, `lazy` ones are `import()` calls. */
export type Edge = { specifier: string; kind: 'value' | 'type' | 'lazy'; line: number }

/** What the check found: errors fail it, warnings are only printed. */
export type Findings = { errors: string[]; warnings: string[] }

const CORE = 'packages/tytorch/src/'
const BACKENDS = ['interp', 'wasm', 'webgpu']
const WARN_LINES = 500
const MAX_LINES = 800

// Lowest first; folders in one row may import one another.
const LAYERS = [['base'], ['ir'], ['backend'], ['tensor'], ['ops'], ['compile'], ['nn', 'optim', 'data', 'io']]
const RANK = new Map(LAYERS.flatMap((row, rank) => row.map((folder) => [folder, rank] as const)))
const ROOT_RANK = LAYERS.length

const STATEMENT = /^(?:import|export)\s+(type\s)?(?:[\w\s{},*$]*?\sfrom\s*)?['"]([^'"\n]+)['"]/gm
const CALL = /(typeof\s+)?\bimport\(\s*['"]([^'"\n]+)['"]\s*\)(\.[A-Z]\w*)?/g
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g

/** The imports and re-exports of a source text, in order; comments don't count. */
export function importsOf(source: string): Edge[] {
  const code = source.replace(COMMENT, (comment) => comment.replace(/[^\n]/g, ' '))
  const lineOf = (index: number) => code.slice(0, index).split('\n').length
  const edges: Edge[] = []
  for (const match of code.matchAll(STATEMENT)) {
    edges.push({ specifier: match[2], kind: match[1] ? 'type' : 'value', line: lineOf(match.index) })
  }
  for (const match of code.matchAll(CALL)) {
    edges.push({ specifier: match[2], kind: match[1] || match[3] ? 'type' : 'lazy', line: lineOf(match.index) })
  }
  return edges.sort((a, b) => a.line - b.line)
}

/** Checks sources given as path (relative to the repository, with slashes) to text. */
export function checkLayers(files: ReadonlyMap<string, string>): Findings {
  const found: Findings = { errors: [], warnings: [] }
  const graph = new Map<string, string[]>()
  for (const [path, source] of files) {
    checkFile(path, source, found)
    const targets: string[] = []
    for (const edge of importsOf(source)) {
      const target = edge.specifier.startsWith('.') ? posix.join(posix.dirname(path), edge.specifier) : undefined
      const problem = target === undefined ? checkPackage(path, edge) : checkEdge(path, target, edge, files)
      if (problem) found.errors.push(`${path}:${edge.line}: ${problem}`)
      if (target !== undefined && edge.kind === 'value') targets.push(target)
    }
    graph.set(path, targets)
  }
  for (const cycle of cyclesIn(graph)) found.errors.push(`${cycle[0]}: import cycle: ${cycle.join(' -> ')}`)
  return found
}

/** Checks a package manifest of the core: whatever it lists at run time is an error. */
export function checkManifest(manifest: Record<string, unknown>): string[] {
  return ['dependencies', 'peerDependencies', 'optionalDependencies']
    .filter((field) => Object.keys(manifest[field] ?? {}).length > 0)
    .map((field) => `packages/tytorch/package.json: the core has no ${field}`)
}

function checkFile(path: string, source: string, found: Findings): void {
  const lines = source.split('\n').length - (source.endsWith('\n') ? 1 : 0)
  if (lines > MAX_LINES) found.errors.push(`${path}: ${lines} lines, ${MAX_LINES} is the limit`)
  else if (lines > WARN_LINES) found.warnings.push(`${path}: ${lines} lines, aim at ${WARN_LINES}`)
  if (!/^[a-z][a-z0-9]*(\.d)?\.ts$/.test(posix.basename(path))) {
    found.errors.push(`${path}: a file's name is one lowercase word`)
  }
}

function checkPackage(path: string, { specifier, kind }: Edge): string | undefined {
  if (!path.startsWith(CORE)) {
    return /^tytorch\/src\b/.test(specifier) ? "a satellite imports 'tytorch' by its public name only" : undefined
  }
  if (folderOf(path) === 'base' && kind !== 'type') return `base imports nothing, not '${specifier}'`
  return specifier.startsWith('node:') ? undefined : `the core has no dependencies, not '${specifier}'`
}

function checkEdge(path: string, target: string, edge: Edge, files: ReadonlyMap<string, string>): string | undefined {
  if (!files.has(target)) return `'${edge.specifier}' is no file of a package's src`
  if (!path.startsWith(CORE)) {
    return target.startsWith(`${posix.join(path.split('/').slice(0, 2).join('/'), 'src')}/`)
      ? undefined
      : `a satellite imports another package by its public name, not '${edge.specifier}'`
  }
  if (!target.startsWith(CORE)) return `the core imports no satellite, not '${edge.specifier}'`
  const from = folderOf(path)
  const to = folderOf(target)
  const [fromBackend, toBackend] = [backendOf(path), backendOf(target)]
  if (fromBackend && toBackend && fromBackend !== toBackend) {
    return `backend/${fromBackend} may not import backend/${toBackend}`
  }
  const sanctioned = from === 'tensor' && to === 'ops' && edge.kind === 'type'
  if (rankOf(to) > rankOf(from) && !sanctioned) {
    return `${from || 'src'} is below ${to || 'src'} and may not import '${edge.specifier}'`
  }
  return undefined
}

/** The layer's folder a core file is in; the empty string for files directly under src. */
function folderOf(path: string): string {
  const parts = path.slice(CORE.length).split('/')
  return parts.length > 1 ? parts[0] : ''
}

function rankOf(folder: string): number {
  return RANK.get(folder) ?? ROOT_RANK
}

function backendOf(path: string): string | undefined {
  const [layer, name, file] = path.slice(CORE.length).split('/')
  return layer === 'backend' && file && BACKENDS.includes(name) ? name : undefined
}

/** Every cycle that a depth-first walk closes, each as its files in order with the first repeated at the end. */
function cyclesIn(graph: ReadonlyMap<string, string[]>): string[][] {
  const cycles: string[][] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string) => {
    if (done.has(file)) return
    const start = path.indexOf(file)
    if (start >= 0) {
      cycles.push([...path.slice(start), file])
      return
    }
    path.push(file)
    for (const target of graph.get(file) ?? []) visit(target)
    path.pop()
    done.add(file)
  }
  for (const file of graph.keys()) visit(file)
  return cycles
}

/** Reads every packages/<name>/src/**.ts under the repository root. */
export function readSources(root: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const name of readdirSync(join(root, 'packages'))) {
    const src = join(root, 'packages', name, 'src')
    for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue
      const path = join(entry.parentPath, entry.name)
      files.set(relative(root, path).split('\\').join('/'), readFileSync(path, 'utf8'))
    }
  }
  return files
}

if (import.meta.main) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const files = readSources(root)
  const { errors, warnings } = checkLayers(files)
  errors.push(...checkManifest(JSON.parse(readFileSync(join(root, 'packages/tytorch/package.json'), 'utf8'))))
  for (const line of warnings) console.warn(`layers: warning: ${line}`)
  for (const line of errors) console.error(`layers: error: ${line}`)
  console.log(`layers: ${files.size} files, ${errors.length} errors, ${warnings.length} warnings`)
  process.exitCode = errors.length > 0 ? 1 : 0
}
