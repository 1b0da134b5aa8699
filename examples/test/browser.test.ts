// The browser example in Chromium, where one is installed: workers in pages with and without shared memory come to the
// weights that Node comes to, bit for bit.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PageOutcome } from '../browser/page.ts'
import { type Site, serve } from '../browser/serve.ts'
import type { Outcome } from '../browser/train.ts'

/** The command that starts Chromium, or null. */
function findChromium(): string | null {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8', stdio: 'pipe' }).trim()
    } catch {}
  }
  return null
}

const chromium = findChromium()

/** What Node comes to without V8's revectorizer, which no browser has and which sums products in another order. */
function trainInNode(): Outcome {
  const code = `
    import { readFileSync } from 'node:fs'
    import { train } from '${new URL('../browser/train.ts', import.meta.url)}'
    const csv = readFileSync(new URL('${new URL('../data/iris.csv', import.meta.url)}'), 'utf8')
    console.log(JSON.stringify(await train(csv, 0)))`
  const env = { ...process.env, TYTORCH_REVECTORIZE: '0' }
  const options = { env, encoding: 'utf8' } as const
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module-typescript', '-e', code], options)) as Outcome
}

/** A page's answer to `expression`, awaited, over the DevTools protocol. */
async function evaluate(debugger_: string, expression: string): Promise<unknown> {
  const socket = new WebSocket(debugger_)
  await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
  const answer = new Promise<string>((resolve) =>
    socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true }),
  )
  const params = { expression, awaitPromise: true, returnByValue: true }
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params }))
  const { result } = JSON.parse(await answer) as {
    result?: { result: { value?: unknown; description?: string }; exceptionDetails?: object }
  }
  socket.close()
  // The page was still on its way.
  if (!result) return evaluate(debugger_, expression)
  if (result.exceptionDetails) throw new Error(result.result.description)
  return result.result.value
}

describe.skipIf(chromium === null)('in Chromium', () => {
  let site: Site
  let browser: ChildProcess
  let profile: string
  let port: string
  let expected: Outcome

  beforeAll(async () => {
    profile = mkdtempSync(join(tmpdir(), 'tytorch-chromium-'))
    const flags = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--remote-debugging-port=0',
    ]
    browser = spawn(chromium as string, [...flags, `--user-data-dir=${profile}`, 'about:blank'], { stdio: 'pipe' })
    const listening = new Promise<string>((resolve, reject) => {
      let text = ''
      browser.stderr?.on('data', (data) => {
        text += String(data)
        const found = /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(text)
        if (found) resolve(found[1])
      })
      browser.once('exit', () => reject(new Error(`Chromium ended: ${text}`)))
    })
    site = await serve(0)
    expected = trainInNode()
    port = await listening
  }, 60_000)

  afterAll(async () => {
    const ended = new Promise((resolve) => browser.once('exit', resolve))
    browser.kill()
    await ended
    site.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  })

  const outcomeOf = async (path: string): Promise<PageOutcome> => {
    const opened = await fetch(`http://127.0.0.1:${port}/json/new?${encodeURIComponent(site.url + path)}`, {
      method: 'PUT',
    })
    const { webSocketDebuggerUrl } = (await opened.json()) as { webSocketDebuggerUrl: string }
    const wait = `(async () => {
      while (!globalThis.outcome) await new Promise((resolve) => setTimeout(resolve, 20))
      return outcome
    })()`
    return (await evaluate(webSocketDebuggerUrl, wait)) as PageOutcome
  }

  it.each([
    ['', true],
    ['plain/', false],
  ] as const)(
    'trains as Node does at /%s',
    async (path, isolated) => {
      const found = await outcomeOf(path)
      expect(found.isolated).toBe(isolated)
      expect(found.alone).toEqual(expected)
      expect(found.loaded).toEqual({ ...expected, workers: [0, 1] })
    },
    60_000,
  )
})
