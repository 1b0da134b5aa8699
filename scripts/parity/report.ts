// What a run found: how many cases of each kind pass, fail or are not there, and which.

/** The kinds of cases, in the order in which they run. */
export const KINDS = ['ops', 'errors', 'modules', 'optimizers', 'rng', 'training', 'print'] as const
export type Kind = (typeof KINDS)[number]

/** One case's result. `note` is shown in verbose mode only. */
export interface Outcome {
  /** `op.variant.dtype[3]`, or what tells the case apart in its kind. */
  readonly name: string
  /** What is missing as a whole if the case is: the op or module. */
  readonly subject: string
  readonly status: 'passed' | 'failed' | 'missing'
  readonly message?: string
  /** How many times the difference exceeds the tolerance. */
  readonly size?: number
  readonly note?: string
  /** Of a compiled run: torch.compile could not replay it. */
  readonly eager?: boolean
}

/** The outcome of one kind, as the JSON report has it. */
export interface Tally {
  passed: number
  failed: number
  missing: number
  failures: { name: string; message: string; size: number | null }[]
  /** Ops, modules and other names that are not there. */
  absent: string[]
  /** Of a compiled run: what ran eagerly, with the number of cases. */
  eager: Record<string, number>
}

export type Report = Partial<Record<Kind, Tally>>

export function tally(outcomes: readonly Outcome[]): Tally {
  const failed = outcomes.filter((o) => o.status === 'failed')
  const missing = outcomes.filter((o) => o.status === 'missing')
  const eager: Record<string, number> = {}
  for (const o of outcomes) if (o.eager) eager[o.subject] = (eager[o.subject] ?? 0) + 1
  return {
    passed: outcomes.length - failed.length - missing.length,
    failed: failed.length,
    missing: missing.length,
    failures: failed
      .toSorted((a, b) => (b.size ?? 0) - (a.size ?? 0))
      .map(({ name, message = '', size }) => ({
        name,
        message,
        size: size === undefined || !Number.isFinite(size) ? null : size,
      })),
    absent: [...new Set(missing.map((o) => o.subject))].sort(),
    eager,
  }
}

/** The report as lines of text; `limit` failures of each kind. */
export function formatReport(report: Report, limit: number): string[] {
  const lines: string[] = []
  const total = { passed: 0, failed: 0, missing: 0 }
  for (const [kind, found] of Object.entries(report)) {
    for (const key of ['passed', 'failed', 'missing'] as const) total[key] += found[key]
    if (found.failures.length > 0) lines.push(`${kind}: failures, largest difference first`)
    for (const { name, message, size } of found.failures.slice(0, limit)) {
      lines.push(
        `  ${name}: ${message.split('\n')[0]}${size === null ? '' : ` (${Number(size.toPrecision(3))} times the tolerance)`}`,
      )
    }
    if (found.failures.length > limit)
      lines.push(`  and ${found.failures.length - limit} more (--limit N, --json FILE)`)
    if (found.absent.length > 0) lines.push(`${kind}: not there: ${found.absent.join(' ')}`)
    const fell = Object.entries(found.eager)
    if (fell.length > 0) {
      const count = fell.reduce((sum, [, n]) => sum + n, 0)
      lines.push(`${kind}: ${count} fell back to eager mode: ${fell.map(([name, n]) => `${name} ${n}`).join(', ')}`)
    }
  }
  lines.push('')
  for (const [kind, found] of Object.entries(report)) {
    const all = found.passed + found.failed + found.missing
    const share = all === 0 ? 100 : (100 * found.passed) / all
    lines.push(
      `${kind.padEnd(10)} ${String(found.passed).padStart(5)} passed ${String(found.failed).padStart(5)} failed ${String(found.missing).padStart(5)} missing  ${share.toFixed(1)} %`,
    )
  }
  lines.push(`${total.passed} passed, ${total.failed} failed, ${total.missing} missing`)
  return lines
}
