// The browser example in Chromium, where one is installed: workers in pages with and without shared memory come to the
// weights that Node comes to, bit for bit, and so do kernels on one thread and on two.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Chromium, findChromium } from '../browser/chromium.ts'
import type { PageOutcome } from '../browser/page.ts'
import { type Site, serve } from '../browser/serve.ts'

const chromium = findChromium()

type Expected = Pick<PageOutcome, 'alone' | 'threads'>

/** What Node comes to without V8's revectorizer, which no browser has and which sums products in another order. */
function trainInNode(): Expected {
  const code = `
    import { readFileSync } from 'node:fs'
    import { trainOn } from '${new URL('../browser/threads.ts', import.meta.url)}'
    import { train } from '${new URL('../browser/train.ts', import.meta.url)}'
    const csv = readFileSync(new URL('${new URL('../data/iris.csv', import.meta.url)}'), 'utf8')
    console.log(JSON.stringify({ alone: await train(csv, 0), threads: [await trainOn(1), await trainOn(2)] }))`
  const env = { ...process.env, TYTORCH_REVECTORIZE: '0' }
  const options = { env, encoding: 'utf8' } as const
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module-typescript', '-e', code], options)) as Expected
}

describe.skipIf(chromium === null)('in Chromium', () => {
  let site: Site
  let browser: Chromium
  let expected: Expected

  beforeAll(async () => {
    browser = new Chromium(chromium as string)
    const pool = fileURLToPath(new URL('../../packages/tytorch/src/backend/pool.ts', import.meta.url))
    site = await serve(0, { pool })
    expected = trainInNode()
  }, 60_000)

  afterAll(async () => {
    await browser.close()
    site.close()
  })

  it.each([
    ['', true],
    ['plain/', false],
  ] as const)(
    'trains as Node does at /%s',
    async (path, isolated) => {
      const page = await browser.open(site.url + path)
      const found = (await page.outcome()) as PageOutcome
      expect(found.isolated).toBe(isolated)
      expect(found.alone).toEqual(expected.alone)
      expect(found.loaded).toEqual({ ...expected.alone, workers: [0, 1] })
      const [one, two] = expected.threads
      expect(found.threads).toEqual([one, isolated ? two : one])
      const ready = await page.evaluate("import('./pool.js').then((pool) => pool.readyThreads())")
      expect(ready).toBe(isolated ? 1 : 0)
    },
    60_000,
  )
})
