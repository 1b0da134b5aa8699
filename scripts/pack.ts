// Builds what is published: JavaScript and declarations in packages/<name>/dist, with a manifest of their own, as a tarball.
// `node scripts/pack.ts [name ...]` packs the packages named (tytorch without a name) and prints the tarballs' paths.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

type Manifest = {
  name: string
  exports: Record<string, string>
  files?: string[]
  [field: string]: unknown
}

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const BIN = join(ROOT, 'node_modules', '.bin')

/** The manifest of the published package: its exports lead to the JavaScript and its types, not to the sources. */
export function publishedManifest({ files: _files, ...manifest }: Manifest): Manifest {
  const exports = Object.entries(manifest.exports).map(([subpath, source]) => {
    const stem = /^\.\/src\/(.+)\.ts$/.exec(source)?.[1]
    if (!stem) throw new Error(`${manifest.name}: export '${subpath}' is no source file: ${source}`)
    return [subpath, { types: `./${stem}.d.ts`, default: `./${stem}.js` }]
  })
  const published = { ...manifest, exports: Object.fromEntries(exports) }
  const { sideEffects } = manifest
  return Array.isArray(sideEffects)
    ? {
        ...published,
        sideEffects: sideEffects
          .map((f: string) => f.replace('./src/', './').replace(/\.ts$/, '.js'))
          .concat('./chunks/*.js'),
      }
    : published
}

/** Leads `new URL('./worker.ts', import.meta.url)` to the JavaScript, which the compiler leaves alone. */
export function rewriteUrls(code: string): string {
  return code.replace(/(new URL\(\s*['"]\.{1,2}\/[^'"]+)\.ts(['"]\s*,\s*import\.meta\.url)/g, '$1.js$2')
}

/** Leads the imports of declarations to JavaScript names; the compiler writes them for the code only. */
export function rewriteImports(declarations: string): string {
  return declarations.replace(/(\bfrom\s+|\bimport\(\s*|^import\s+)(['"])(\.{1,2}\/[^'"\n]+)\.ts\2/gm, '$1$2$3.js$2')
}

/** Stems of the modules that others load by name: what is exported, and the entries of threads. */
function entriesOf(folder: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  const stems = Object.values(exports).map((source) => source.replace(/^\.\/src\//, '').replace(/\.ts$/, ''))
  return [...stems, ...['thread', 'compute'].filter((stem) => existsSync(join(folder, 'src', `${stem}.ts`)))]
}

/**
 * Joins a folder's modules into its entries and one level of shared chunks: one file instead of a hundred halves the
 * time to the first result. Chunks lie one folder down, as the modules did that name `../thread.js`.
 */
async function bundle(dist: string, entries: readonly string[]): Promise<void> {
  const out = join(dist, '.bundle')
  const made = await rolldown({
    input: Object.fromEntries(entries.map((stem) => [stem, join(dist, `${stem}.js`)])),
    platform: 'neutral',
    external: (id) => !id.startsWith('.') && !id.startsWith('/'),
    treeshake: false,
  })
  await made.write({ dir: out, entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' })
  await made.close()
  for (const file of globSync('**/*.js', { cwd: dist, exclude: ['.bundle/**'] })) rmSync(join(dist, file))
  for (const file of globSync('**/*.js', { cwd: out })) {
    mkdirSync(dirname(join(dist, file)), { recursive: true })
    renameSync(join(out, file), join(dist, file))
  }
  rmSync(out, { recursive: true })
}

/** Builds packages/<name>/dist anew and returns the folder. */
export async function build(name: string): Promise<string> {
  const folder = join(ROOT, 'packages', name)
  const dist = join(folder, 'dist')
  rmSync(dist, { recursive: true, force: true })
  execFileSync(join(BIN, 'tsc'), ['-p', join(folder, 'tsconfig.build.json')], { stdio: ['ignore', 2, 2] })
  for (const [files, rewrite] of [
    ['**/*.js', rewriteUrls],
    ['**/*.d.ts', rewriteImports],
  ] as const) {
    for (const file of globSync(files, { cwd: dist })) {
      const path = join(dist, file)
      writeFileSync(path, rewrite(readFileSync(path, 'utf8')))
    }
  }
  await bundle(dist, entriesOf(folder))
  const manifest = publishedManifest(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')))
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  const readme = [join(folder, 'README.md'), join(ROOT, 'README.md')].find((path) => existsSync(path))
  if (readme) copyFileSync(readme, join(dist, 'README.md'))
  for (const file of ['LICENSE', 'NOTICE']) copyFileSync(join(ROOT, file), join(dist, file))
  return dist
}

/** Builds a package and returns the path of its tarball in the destination. */
export async function pack(name: string, destination: string): Promise<string> {
  const dist = await build(name)
  mkdirSync(destination, { recursive: true })
  const listing = execFileSync('npm', ['pack', '--json', '--pack-destination', destination], {
    cwd: dist,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ filename }] = Object.values(JSON.parse(listing) as Record<string, { filename: string }>)
  return join(destination, filename)
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  for (const name of names.length > 0 ? names : ['tytorch']) console.log(await pack(name, join(ROOT, 'out')))
}
