// Cases of ops: the call, its outputs, and the gradients that autograd.grad gives for the recorded ones.
import { resolve } from './call.ts'
import { align, sameChoice, toleranceFor } from './choices.ts'
import { compareScalars, compareTensors, type Difference, GRADIENT, infinite, widened } from './compare.ts'
import { type Arguments, callCompiled } from './compiled.ts'
import { type Json, WholeFloat } from './data.ts'
import type { Outcome } from './report.ts'
import {
  asArrays,
  type Dynamic,
  differentiable,
  flatten,
  MissingError,
  type Tensor,
  type Torch,
  toStored,
  type Values,
} from './values.ts'

type Row = Record<string, Json>

/** PyTorch's test database sets this seed before every call of an op that draws numbers (its `wrapper_set_seed`). */
export const SEED = 42

interface OpCase {
  readonly input: Json
  readonly args: Json[]
  readonly kwargs: Row
  readonly output: Json
  readonly grad_outputs?: { output: number; value: Json }[]
  readonly grads?: Json[]
}

interface OpEntry {
  readonly op: string
  readonly variant: string
  readonly cases: OpCase[]
}

/** Every case of an `ops.*` file whose name `wanted` accepts. */
export function* runOps(
  torch: Torch,
  json: Json,
  values: Values,
  wanted: (name: string) => boolean,
  compiled = false,
): Generator<Outcome> {
  const { dtype, ops } = json as unknown as { dtype: string; ops: OpEntry[] }
  for (const { op, variant, cases } of ops) {
    for (const [i, c] of cases.entries()) {
      const name = `${[op, variant, dtype].filter(Boolean).join('.')}[${i}]`
      if (!wanted(name)) continue
      let eager = false
      const run = (): Difference | null =>
        runCase(torch, op, c, values, variant, compiled ? () => (eager = true) : undefined)
      const outcome = guarded(name, op, run)
      yield eager ? { ...outcome, eager } : outcome
    }
  }
}

/** Turns what a case throws into its outcome. */
export function guarded(name: string, subject: string, run: () => Difference | null): Outcome {
  try {
    const found = run()
    return found ? { name, subject, status: 'failed', ...found } : { name, subject, status: 'passed' }
  } catch (error) {
    return failure(name, subject, error)
  }
}

/** The outcome of a case that threw. */
export function failure(name: string, subject: string, error: unknown): Outcome {
  if (error instanceof MissingError) return { name, subject, status: 'missing', message: error.message }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return { name, subject, status: 'failed', message: `threw ${text}` }
}

/** `fellBack` is there for a compiled run, and called if that could not replay. */
function runCase(
  torch: Torch,
  op: string,
  c: OpCase,
  values: Values,
  variant: string,
  fellBack?: () => void,
): Difference | null {
  const call = resolve(torch, op, variant)
  if (!call) throw new MissingError(op)
  const read = (): Arguments => ({
    given: [values.read(c.input), ...c.args.map((a) => values.read(a))],
    named: values.options(c.kwargs),
  })
  // The database changes a copy, for a leaf that requires a gradient can't be changed in place.
  const changes = /[^_]_$/.test(op)
  const run = ({ given: [first, ...rest], named }: Arguments): unknown =>
    asArrays(torch, call([changes && first instanceof torch.Tensor ? first.clone() : first, ...rest], named))
  let last = read()
  let result: unknown
  if (fellBack) {
    const compiled = callCompiled(torch, read, run, SEED)
    ;({ last, result } = compiled)
    if (compiled.eager) fellBack()
  } else {
    torch.manualSeed(SEED)
    result = run(last)
  }
  const { given, named } = last
  const inputs = differentiable(torch, [given, Object.values(named)])
  const expected = c.output
  const got = align(torch, op, result, expected, values)
  const tolerance = toleranceFor(op)
  const wrong =
    compareOutputs(torch, got, expected, values, '', tolerance) &&
    compareOutputs(torch, sameChoice(torch, op, given, got, expected, values), expected, values, '', tolerance)
  if (wrong) return wrong
  return c.grad_outputs && c.grads ? compareGradients(torch, got, inputs, c.grad_outputs, c.grads, values, op) : null
}

/** Compares a result of nested lists, tensors and scalars with the one recorded. */
export function compareOutputs(
  torch: Torch,
  got: unknown,
  expected: Json,
  values: Values,
  path = '',
  floor = { rtol: 0, atol: 0 },
): Difference | null {
  const prefix = (d: Difference | null): Difference | null =>
    d && { ...d, message: `${path ? `output ${path}: ` : ''}${d.message}` }
  const stored = values.stored(expected)
  if (stored) {
    if (!(got instanceof torch.Tensor)) return prefix(infinite(`got ${typeof got}, expected a tensor`))
    return prefix(compareTensors(toStored(got), stored, widened(stored.dtype, floor)))
  }
  const list = Array.isArray(expected) ? expected : tupleOf(expected)
  if (list) {
    if (!Array.isArray(got))
      return prefix(
        infinite(`got ${got instanceof torch.Tensor ? 'one tensor' : typeof got}, expected ${list.length} values`),
      )
    if (got.length !== list.length) return prefix(infinite(`got ${got.length} values, expected ${list.length}`))
    for (const [i, e] of list.entries()) {
      const found = compareOutputs(torch, got[i], e, values, path ? `${path}.${i}` : `${i}`, floor)
      if (found) return found
    }
    return null
  }
  if (expected instanceof WholeFloat) return prefix(compareScalars(got, expected.value))
  const scalar = values.read(expected)
  return prefix(compareScalars(got ?? null, scalar))
}

function tupleOf(value: Json): Json[] | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof WholeFloat) return null
  return '$tuple' in value ? (value.$tuple as Json[]) : null
}

/** Compares the gradients of `inputs` for the recorded gradients of the outputs. */
export function compareGradients(
  torch: Torch,
  got: unknown,
  inputs: readonly Tensor[],
  gradOutputs: readonly { output: number; value: Json }[],
  grads: readonly Json[],
  values: Values,
  op = '',
): Difference | null {
  const outputs = flatten(got)
  const roots = gradOutputs.map(({ output }) => outputs[output] as Tensor)
  const starts = gradOutputs.map(({ value }) => values.read(value) as Tensor)
  if (inputs.length !== grads.length) {
    return infinite(`${inputs.length} inputs require a gradient, ${grads.length} are recorded`)
  }
  const dead = roots.findIndex((root) => !root.requiresGrad)
  if (dead >= 0) return infinite(`output ${gradOutputs[dead].output} has no gradient`)
  const found = (torch as Dynamic).autograd.grad(roots, inputs, {
    gradOutputs: starts,
    allowUnused: true,
  }) as (Tensor | null)[]
  const tolerance = toleranceFor(op)
  const floor = { rtol: Math.max(tolerance.rtol, GRADIENT.rtol), atol: Math.max(tolerance.atol, GRADIENT.atol) }
  for (const [i, expected] of grads.entries()) {
    const g = found[i]
    const stored = values.stored(expected)
    let wrong: Difference | null = null
    if (stored) wrong = g ? compareTensors(toStored(g), stored, widened(stored.dtype, floor)) : infinite('got none')
    // Zeros stand for "no gradient": a sum of gradients is the same with either.
    else if (g?.ne(0).any().item()) wrong = infinite('got one, expected none')
    if (wrong) return { ...wrong, message: `gradient ${i}: ${wrong.message}` }
  }
  return null
}
