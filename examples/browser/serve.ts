// TyTorch in the browser: bundles the example and serves it. `node examples/browser/serve.ts [port]`, then open
//   http://localhost:8080/        cross-origin isolated by two headers: tensors lie in memory that workers share
//   http://localhost:8080/plain/  without the headers, as on most hosts of static pages: workers copy their batches, and
//                                 kernels run on one thread
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** A module of the library that it starts threads with. */
function threadOf(name: string): string {
  const library = import.meta.resolve('tytorch')
  return fileURLToPath(new URL(`./${name}${extname(library)}`, library))
}

/**
 * Bundles into `folder`. What is loaded by name keeps its name: the page's script, the dataset's module, which a loader's
 * thread imports by its URL, and the threads of loaders and kernels, which the library starts as `../thread.js` and
 * `../compute.js` seen from its chunk. So do `more` modules, each with an empty page that loads it.
 */
async function bundle(folder: string, more: Readonly<Record<string, string>>): Promise<void> {
  const made = await rolldown({
    input: {
      page: here('page.ts'),
      flowers: here('flowers.ts'),
      thread: threadOf('thread'),
      compute: threadOf('compute'),
      ...more,
    },
    platform: 'browser',
    preserveEntrySignatures: 'strict',
    plugins: [
      {
        name: 'urls of workers',
        transform: (code) => code.replace(/(new URL\('\.{1,2}\/[a-z]+)\.ts(', import\.meta\.url\))/g, '$1.js$2'),
      },
    ],
  })
  await made.write({ dir: folder, entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' })
  await made.close()
  for (const name of Object.keys(more)) writeFileSync(join(folder, `${name}.html`), emptyPage(name))
}

const emptyPage = (module: string): string =>
  `<!doctype html><link rel="icon" href="data:," /><script type="module" src="./${module}.js"></script>`

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.csv': 'text/csv',
}

/** What makes a page cross-origin isolated, which is what browsers ask for before they share memory. */
const ISOLATING = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/** A running server. */
export type Site = { readonly url: string; close(): void }

/** Bundles and serves on `port`; 0 takes a free one. `more` modules are served as <name>.js, and loaded by <name>.html. */
export async function serve(port: number, more: Readonly<Record<string, string>> = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'tytorch-browser-'))
  await bundle(folder, more)
  const fileOf = (path: string): string => {
    if (path === '/') return here('index.html')
    return path === '/iris.csv' ? here('../data/iris.csv') : join(folder, normalize(path))
  }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const plain = pathname.startsWith('/plain/')
    const file = fileOf(plain ? pathname.slice('/plain'.length) : pathname)
    try {
      const body = readFileSync(file)
      const type = TYPES[extname(file)] ?? 'application/octet-stream'
      response.writeHead(200, { 'Content-Type': type, ...(plain ? {} : ISOLATING) }).end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve))
  const address = server.address()
  return {
    url: `http://localhost:${typeof address === 'object' && address ? address.port : port}/`,
    close() {
      server.close()
      server.closeAllConnections()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

if (import.meta.main) {
  const site = await serve(Number(process.argv[2] ?? 8080))
  console.log(`${site.url}\n${site.url}plain/`)
  process.once('SIGINT', () => site.close())
}
