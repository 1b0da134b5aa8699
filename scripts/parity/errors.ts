// Calls that PyTorch refuses: ours must throw too, and by decision rather than by accident.
import { resolve } from './call.ts'
import type { Json } from './data.ts'
import { failure } from './ops.ts'
import type { Outcome } from './report.ts'
import { asArrays, flatten, MissingError, type Tensor, type Torch, type Values } from './values.ts'

interface ErrorCase {
  readonly op: string
  readonly variant: string
  readonly input: Json
  readonly args: Json[]
  readonly kwargs: Record<string, Json>
  readonly error: string
  readonly message: string
}

/** What the JavaScript engine says when code runs into a value that nobody checked. */
const ACCIDENT =
  /is not a function|is not a constructor|is not iterable|is not defined|Cannot (?:read|set|convert|mix)|Maximum call stack|Invalid (?:typed )?array length|Invalid count value/

export function* runErrors(
  torch: Torch,
  json: Json,
  values: Values,
  wanted: (name: string) => boolean,
): Generator<Outcome> {
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
  const call = resolve(torch, c.op, c.variant)
  if (!call) return { ...asked, status: 'missing', message: c.op }
  let given: unknown[]
  let named: Record<string, unknown>
  try {
    given = [values.read(c.input), ...c.args.map((a) => values.read(a))]
    named = values.options(c.kwargs)
  } catch (error) {
    return failure(name, c.op, error)
  }
  restoreAliasing(torch, c.message, given, named)
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

/**
 * The data has values only, and some calls are refused because `out` shares memory with itself or with an input: such an
 * `out` is made again, as an expanded tensor or as a view of the input that holds its values.
 */
function restoreAliasing(
  torch: Torch,
  message: string,
  given: readonly unknown[],
  named: Record<string, unknown>,
): void {
  const outs = asArrays(torch, named.out)
  const first = (Array.isArray(outs) ? outs[0] : outs) as Tensor | undefined
  if (!first) return
  let out: Tensor | undefined
  if (message.includes('more than one element of the written-to tensor')) out = expanded(first)
  else if (message.includes('elements of the input tensor and the written-to tensor')) {
    const inputs = flatten(given).filter((x): x is Tensor => x instanceof torch.Tensor && x.dtype === first.dtype)
    out = inputs.map((x) => viewWithin(x, first)).find((x) => x !== null) ?? undefined
  }
  if (out) named.out = Array.isArray(outs) ? [out, ...outs.slice(1)] : out
}

/** A tensor of the same values with stride 0 along every dimension that repeats them. */
function expanded(x: Tensor): Tensor {
  let view = x
  for (let dim = 0; dim < x.ndim; dim++) {
    const slice = view.narrow(dim, 0, 1)
    if (view.eq(slice).all().item()) view = slice.expand(view.shape)
  }
  return view
}

/** The view of `x`, contiguous, that has the values of `part` in order, or `x` itself; null if there is none. */
function viewWithin(x: Tensor, part: Tensor): Tensor | null {
  const [all, wanted] = [x.flatten().tolist<number[]>(), part.flatten().tolist<number[]>()]
  for (let at = 0; at + wanted.length <= all.length; at++) {
    if (!wanted.every((v, i) => v === all[at + i])) continue
    return x.shape.join() === part.shape.join() ? x : x.view(-1).narrow(0, at, wanted.length).view(part.shape)
  }
  return null
}
