// Builds what is published: JavaScript and declarations in packages/<name>/dist, with a manifest of their own, as a tarball.
// `node scripts/pack.ts [name ...]` packs the packages named (tytorch without a name) and prints the tarballs' paths.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

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
  return { ...manifest, exports: Object.fromEntries(exports) }
}

/** Leads `new URL('./worker.ts', import.meta.url)` to the JavaScript, which the compiler leaves alone. */
export function rewriteUrls(code: string): string {
  return code.replace(/(new URL\(\s*['"]\.{1,2}\/[^'"]+)\.ts(['"]\s*,\s*import\.meta\.url)/g, '$1.js$2')
}

/** Leads the imports of declarations to JavaScript names; the compiler writes them for the code only. */
export function rewriteImports(declarations: string): string {
  return declarations.replace(/(\bfrom\s+|\bimport\(\s*|^import\s+)(['"])(\.{1,2}\/[^'"\n]+)\.ts\2/gm, '$1$2$3.js$2')
}

/** Builds packages/<name>/dist anew and returns the folder. */
export function build(name: string): string {
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
  const manifest = publishedManifest(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')))
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  const readme = [join(folder, 'README.md'), join(ROOT, 'README.md')].find((path) => existsSync(path))
  if (readme) copyFileSync(readme, join(dist, 'README.md'))
  copyFileSync(join(ROOT, 'LICENSE'), join(dist, 'LICENSE'))
  return dist
}

/** Builds a package and returns the path of its tarball in the destination. */
export function pack(name: string, destination: string): string {
  const dist = build(name)
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
  for (const name of names.length > 0 ? names : ['tytorch']) console.log(pack(name, join(ROOT, 'out')))
}
