// Drives a headless Chromium over the DevTools protocol: for the example's test and for benchmarks.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The command that starts Chromium, or null. */
export function findChromium(): string | null {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8', stdio: 'pipe' }).trim()
    } catch {}
  }
  return null
}

/** An open page. */
export class Page {
  private readonly address: string

  constructor(address: string) {
    this.address = address
  }

  /** What `expression` comes to in the page, awaited and copied as JSON. Throws what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    const { result } = answer as {
      result?: { result: { value?: unknown; description?: string }; exceptionDetails?: object }
    }
    // The page was still on its way.
    if (!result) return this.evaluate(expression)
    if (result.exceptionDetails) throw new Error(result.result.description)
    return result.result.value
  }

  /** What the page's global variable `name` holds or promises, once it is there. */
  outcome(name = 'outcome'): Promise<unknown> {
    return this.evaluate(`(async () => {
      while (!globalThis.${name}) await new Promise((resolve) => setTimeout(resolve, 20))
      return ${name}
    })()`)
  }

  /** Leaves for another address. */
  async leave(url: string): Promise<void> {
    await this.send('Page.navigate', { url })
  }

  private async send(method: string, params: object): Promise<unknown> {
    const socket = new WebSocket(this.address)
    await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }))
    const answer = new Promise<string>((resolve) =>
      socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true }),
    )
    socket.send(JSON.stringify({ id: 1, method, params }))
    const text = await answer
    socket.close()
    return JSON.parse(text)
  }
}

/** A running Chromium with a profile of its own. */
export class Chromium {
  private readonly process: ChildProcess
  private readonly profile: string
  private readonly port: Promise<string>

  /** Starts `command`, with further `flags`. */
  constructor(command: string, flags: readonly string[] = []) {
    this.profile = mkdtempSync(join(tmpdir(), 'tytorch-chromium-'))
    const own = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--remote-debugging-port=0',
      `--user-data-dir=${this.profile}`,
    ]
    this.process = spawn(command, [...own, ...flags, 'about:blank'], { stdio: 'pipe' })
    this.port = new Promise<string>((resolve, reject) => {
      let text = ''
      this.process.stderr?.on('data', (data) => {
        text += String(data)
        const found = /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(text)
        if (found) resolve(found[1])
      })
      this.process.once('exit', () => reject(new Error(`Chromium ended: ${text}`)))
    })
  }

  async open(url: string): Promise<Page> {
    const base = `http://127.0.0.1:${await this.port}/json/new?${encodeURIComponent(url)}`
    const { webSocketDebuggerUrl } = (await (await fetch(base, { method: 'PUT' })).json()) as {
      webSocketDebuggerUrl: string
    }
    return new Page(webSocketDebuggerUrl)
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve))
    this.process.kill()
    await ended
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
