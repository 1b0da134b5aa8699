// The parity runner: `node scripts/parity.ts DIR` calls what PyTorch was called with and compares the answers.
// `node scripts/parity.ts --help` lists the options.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compareWithList, readList, updateList, writeList } from './parity/expected.ts'
import { formatReport, KINDS, type Kind, type Report, tally } from './parity/report.ts'
import { runParity } from './parity/run.ts'

const HELP = `node scripts/parity.ts DIR [options]
  --only KIND        ${KINDS.join(', ')}; may be given several times
  --filter REGEX     cases whose name matches
  --backend NAME     wasm (the default) or interp
  --compiled         calls of ops, steps of optimizers and of training runs go through torch.compile: what is compared
                     comes from a replay; one line counts what fell back to eager mode
  --json FILE        writes the report as JSON
  --limit N          failures to print of each kind (20)
  --verbose          all failures in full, and our error messages beside PyTorch's
  --expected FILE    a list of cases that are known not to pass: exit 0 if exactly those don't
  --update           rewrites that list from this run`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true },
      filter: { type: 'string' },
      backend: { type: 'string', default: 'wasm' },
      compiled: { type: 'boolean', default: false },
      json: { type: 'string' },
      limit: { type: 'string', default: '20' },
      verbose: { type: 'boolean', default: false },
      expected: { type: 'string' },
      update: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const unknown = values.only?.find((kind) => !KINDS.includes(kind as Kind))
  if (values.help || positionals.length !== 1 || unknown || !['wasm', 'interp'].includes(values.backend)) {
    console.log(unknown ? `there is no kind '${unknown}'\n${HELP}` : HELP)
    return values.help ? 0 : 2
  }
  // The library chooses its back end when it is loaded.
  process.env.TYTORCH_BACKEND = values.backend
  const torch = await import('tytorch')
  const outcomes = await runParity(torch, positionals[0], {
    ...(values.only ? { only: values.only as Kind[] } : {}),
    compiled: values.compiled,
    ...(values.filter ? { filter: new RegExp(values.filter) } : {}),
  })
  const report: Report = Object.fromEntries([...outcomes].map(([kind, list]) => [kind, tally(list)]))
  if (values.verbose) {
    for (const { name, status, message, note } of [...outcomes.values()].flat()) {
      if (status === 'failed' || note)
        console.log(`${status === 'failed' ? 'FAILED' : 'passed'} ${name}\n${message ?? note}`)
    }
  }
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  const list = values.expected ? readList(values.expected) : {}
  const problems = values.expected ? compareWithList(list, outcomes, values.filter === undefined) : []
  for (const line of [...problems, ...formatReport(report, Number(values.limit))]) console.log(line)
  if (!values.expected) return Object.values(report).some((t) => t.failed + t.missing > 0) ? 1 : 0
  if (!values.update) return problems.length > 0 ? 1 : 0
  if (values.filter !== undefined) throw new Error('--update needs all cases of a kind: leave out --filter')
  writeList(values.expected, updateList(list, outcomes))
  return 0
}

process.exitCode = await main()
