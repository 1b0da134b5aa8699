// Calls that PyTorch refuses: ours must throw too, and by decision rather than by accident.
import { resolve } from './call.ts'
import type { Json } from './data.ts'
import { failure } from './ops.ts'
import type { Outcome } from './report.ts'
import { MissingError, type Torch, type Values } from './values.ts'

interface ErrorCase {
  readonly op: string
  readonly input: Json
  readonly args: Json[]
  readonly kwargs: Record<string, Json>
  readonly error: string
  readonly message: string
}

/** What the JavaScript engine says when code runs into a value that nobody checked. */
const ACCIDENT = /is not a function|is not a constructor|is not iterable|is not defined|Cannot (?:read|set|convert|mix)|Maximum call stack|Invalid (?:typed )?array length|Invalid count value/

export function* runErrors(torch: Torch, json: Json, values: Values, wanted: (name: string) => boolean): Generator<Outcome> {
  const { cases } = json as unknown as { cases: ErrorCase[] }
  const counts = new Map<string, number>()
  for (const c of cases) {
    const count = counts.get(c.op) ?? 0
    counts.set(c.op, count + 1)
    const name = `${c.op}[${count}]`
    if (wanted(name)) yield runCase(torch, name, c, values)
  }
}

function runCase(torch: Torch, name: string, c: ErrorCase, values: Values): Outcome {
  const asked = { name, subject: c.op }
  const call = resolve(torch, c.op)
  if (!call) return { ...asked, status: 'missing', message: c.op }
  let given: unknown[]
  let named: Record<string, unknown>
  try {
    given = [values.read(c.input), ...c.args.map((a) => values.read(a))]
    named = values.options(c.kwargs)
  } catch (error) {
    return failure(name, c.op, error)
  }
  try {
    call(given, named)
  } catch (error) {
    if (error instanceof MissingError) return { ...asked, status: 'missing', message: error.message }
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    if (ACCIDENT.test(text)) return { ...asked, status: 'failed', message: `threw by accident: ${text}` }
    return { ...asked, status: 'passed', note: `ours:    ${text}\npytorch: ${c.error}: ${c.message}` }
  }
  return { ...asked, status: 'failed', message: `did not throw; PyTorch: ${c.error}: ${c.message}` }
}
