// PyTorch as the rival: a Python process that keeps its model and answers one timed repetition per line, so that
// repetitions of both sides can alternate in one run. PYTORCH_PYTHON names a Python that has torch.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** What one repetition answers: seconds or other figures by name. */
export type Figures = Record<string, number>

/** One PyTorch process with a fixed number of threads. */
export class Rival {
  readonly name: string
  private readonly process: ChildProcessWithoutNullStreams
  private readonly waiting: { resolve(f: Figures): void; reject(e: Error): void }[] = []
  private rest = ''
  private errors = ''

  constructor(python: string, script: string, threads: number, options: readonly string[] = []) {
    this.name = `PyTorch ${threads}t`
    const file = fileURLToPath(new URL(`./python/${script}.py`, import.meta.url))
    this.process = spawn(python, ['-u', file, String(threads), ...options], { stdio: 'pipe' })
    this.process.stderr.on('data', (d) => {
      this.errors += String(d)
    })
    this.process.stdout.on('data', (d) => {
      this.rest += String(d)
      for (let at = this.rest.indexOf('\n'); at >= 0; at = this.rest.indexOf('\n')) {
        const line = this.rest.slice(0, at)
        this.rest = this.rest.slice(at + 1)
        this.waiting.shift()?.resolve(JSON.parse(line) as Figures)
      }
    })
    this.process.on('exit', (code) => {
      for (const w of this.waiting) w.reject(new Error(`${this.name} ended with code ${code}: ${this.errors}`))
    })
  }

  /** Runs one repetition; `request` is the line sent, for scripts with several. */
  run(request = 'run'): Promise<Figures> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.process.stdin.write(`${request}\n`)
    })
  }

  close(): void {
    this.process.stdin.end()
  }
}

/** A Python process that runs `program`, which answers each line of input with one number: seconds. */
export class Peer {
  private readonly process: ChildProcess
  private readonly input: Writable
  private readonly lines: AsyncIterator<string>

  constructor(python: string, program: string) {
    const { stdin, stdout } = (this.process = spawn(python, ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] }))
    this.input = stdin
    this.lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  async ask(line: string): Promise<number> {
    this.input.write(`${line}\n`)
    return Number((await this.lines.next()).value)
  }

  close(): void {
    this.process.kill()
  }
}

/** The Python to compare with, or null. */
export function python(): string | null {
  return process.env.PYTORCH_PYTHON ?? null
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

export interface Figure {
  readonly unit: string
  readonly better: 'less' | 'more'
  readonly compare: boolean
  /** The rival's figure that it stands against, if not the one of the same name. */
  readonly against?: string
}

/** One workload: its own repetition, and the Python script with the same one. */
export interface Workload {
  readonly name: string
  readonly title: string
  /** What the figures are, by name: their unit, and whether less or more is better. */
  readonly figures: Record<string, Figure>
  readonly script: string
  /** Further arguments of the script. */
  readonly options?: readonly string[]
  readonly repetitions: number
  run(): Figures | Promise<Figures>
}

/** Alternates repetitions of TyTorch and of PyTorch at 1 and 2 threads; prints medians and ratios, losses included. */
export async function compare(workload: Workload): Promise<void> {
  const path = python()
  const rivals = path ? [1, 2].map((threads) => new Rival(path, workload.script, threads, workload.options)) : []
  const ours: Figures[] = []
  const theirs: Figures[][] = rivals.map(() => [])
  try {
    await workload.run() // warm up: compile, tier up, touch memory
    for (const r of rivals) await r.run()
    for (let i = 0; i < workload.repetitions; i++) {
      ours.push(await workload.run())
      for (let k = 0; k < rivals.length; k++) theirs[k].push(await rivals[k].run())
    }
  } finally {
    for (const r of rivals) r.close()
  }
  console.log(`\n${workload.name}: ${workload.title}`)
  const head = ['', 'TyTorch', ...rivals.map((r) => r.name), ...(rivals.length ? ['ratio'] : [])]
  const rows = Object.entries(workload.figures).map(([name, { unit, better, compare, against = name }]) => {
    const mine = median(ours.map((f) => f[name]))
    const others = theirs.map((list) => median(list.map((f) => f[against])))
    const best = better === 'less' ? Math.min(...others) : Math.max(...others)
    const ratio = better === 'less' ? best / mine : mine / best
    const text = (v: number): string => `${v.toPrecision(4)} ${unit}`
    return [name, text(mine), ...others.map(text), ...(others.length ? [compare ? `${ratio.toFixed(2)}x` : ''] : [])]
  })
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i].length)))
  for (const row of [head, ...rows]) console.log(row.map((c, i) => c.padEnd(widths[i])).join('  '))
  if (!path) console.log('(set PYTORCH_PYTHON to a Python with torch to compare)')
}
