// The same trainings and ops on hosts that offer more and less, a process each: Node as it is, without the revectorizer,
// without relaxed SIMD and without both, and headless Chromium with and without shared memory.
// `node bench/hosts.ts [threads] [host ...]`: milliseconds of a step or a call, medians.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Chromium, findChromium } from '../examples/browser/chromium.ts'
import { serve } from '../examples/browser/serve.ts'
import type { HostFigures } from './hostfigures.ts'

const figures = new URL('./hostfigures.ts', import.meta.url)

/** Node with switches of backend/wasm/features.ts. */
const node =
  (env: Readonly<Record<string, string>>) =>
  (threads: number): HostFigures => {
    const program = `import('${figures}').then(async ({ outcome }) => console.log(JSON.stringify(await outcome)))`
    return JSON.parse(
      execFileSync(process.execPath, ['-e', program], {
        env: { ...process.env, ...env, TYTORCH_NUM_THREADS: String(threads) },
        encoding: 'utf8',
      }),
    ) as HostFigures
  }

const chromium =
  (folder: string) =>
  async (threads: number): Promise<HostFigures> => {
    const command = findChromium()
    if (command === null) throw new Error('there is no Chromium')
    const site = await serve(0, { hostfigures: fileURLToPath(figures) })
    const browser = new Chromium(command)
    try {
      const page = await browser.open(`${site.url}${folder}hostfigures.html?threads=${threads}`)
      return (await page.outcome()) as HostFigures
    } finally {
      await browser.close()
      site.close()
    }
  }

const HOSTS: Readonly<Record<string, (threads: number) => HostFigures | Promise<HostFigures>>> = {
  node: node({}),
  'no-revectorizer': node({ TYTORCH_REVECTORIZE: '0' }),
  'no-relaxed': node({ TYTORCH_RELAXED_SIMD: '0' }),
  neither: node({ TYTORCH_REVECTORIZE: '0', TYTORCH_RELAXED_SIMD: '0' }),
  chromium: chromium(''),
  'chromium-plain': chromium('plain/'),
}

const [first, ...rest] = process.argv.slice(2)
const numbered = Number(first) > 0
const threads = numbered ? Number(first) : 2
const names = numbered || first === undefined ? rest : [first, ...rest]
const found = new Map<string, HostFigures>()
for (const name of names.length > 0 ? names : Object.keys(HOSTS)) found.set(name, await HOSTS[name](threads))
const titles = Object.keys([...found.values()][0])
const width = Math.max(...titles.map((t) => t.length))
console.log(''.padEnd(width), ...[...found.keys()].map((host) => host.padStart(16)))
for (const title of titles) {
  console.log(title.padEnd(width), ...[...found.values()].map((f) => String(+f[title].toPrecision(4)).padStart(16)))
}
