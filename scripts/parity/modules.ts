// Cases of modules: fresh weights, forward, gradients of inputs and parameters, and the state afterwards.
import { compareTensors, type Difference, infinite, type Tolerance } from './compare.ts'
import type { Json } from './data.ts'
import { compareGradients, compareOutputs, guarded } from './ops.ts'
import type { Outcome } from './report.ts'
import {
  asArrays,
  type Dynamic,
  differentiable,
  MissingError,
  type Tensor,
  type Torch,
  toStored,
  type Values,
} from './values.ts'

interface ModuleCase {
  readonly module: string
  readonly training: boolean
  readonly ctor_args: Json[]
  readonly ctor_kwargs: Record<string, Json>
  readonly seed: number
  readonly state_dict: Record<string, Json>
  readonly args: Json[]
  readonly kwargs: Record<string, Json>
  readonly output: Json
  readonly grad_outputs?: { output: number; value: Json }[]
  readonly input_grads?: Json[]
  readonly param_grads?: Record<string, Json>
  readonly state_after: Record<string, Json>
}

export function* runModules(
  torch: Torch,
  json: Json,
  values: Values,
  wanted: (name: string) => boolean,
): Generator<Outcome> {
  const { cases } = json as unknown as { cases: ModuleCase[] }
  const counts = new Map<string, number>()
  for (const c of cases) {
    const count = counts.get(c.module) ?? 0
    counts.set(c.module, count + 1)
    const name = `${c.module}[${count}]`
    if (wanted(name)) yield guarded(name, c.module, () => runCase(torch, c, values))
  }
}

/** Null if the module's state has the recorded tensors; `what` names it in the message. */
export function compareState(
  state: Readonly<Record<string, Tensor>>,
  expected: Readonly<Record<string, Json>>,
  values: Values,
  what: string,
  tolerance?: Tolerance,
): Difference | null {
  for (const [key, value] of Object.entries(expected)) {
    const stored = values.stored(value)
    if (!stored) continue
    if (!state[key]) return infinite(`${what}: there is no '${key}' among ${Object.keys(state).join(', ') || 'none'}`)
    const wrong = compareTensors(toStored(state[key]), stored, tolerance)
    if (wrong) return { ...wrong, message: `${what} ${key}: ${wrong.message}` }
  }
  return null
}

function runCase(torch: Torch, c: ModuleCase, values: Values): Difference | null {
  const Class = (torch.nn as Dynamic)[c.module]
  if (typeof Class !== 'function') throw new MissingError(`nn.${c.module}`)
  torch.manualSeed(c.seed)
  const options = values.options(c.ctor_kwargs)
  const args = c.ctor_args.map((a) => values.read(a))
  const module = Object.keys(options).length > 0 ? new Class(...args, options) : new Class(...args)
  module.train(c.training)
  const state = values.record(c.state_dict) as Record<string, Tensor>
  // A lazy module has no weights before it has seen its input.
  const lazy = c.module.startsWith('Lazy')
  const fresh = lazy ? null : compareFresh(module.stateDict(), c.state_dict, values)
  if (fresh) return fresh
  module.loadStateDict(state)
  // A forward takes its first parameter, which PyTorch calls `input`, by position.
  const { input, ...kwargs } = c.kwargs
  const given = [...(input === undefined ? [] : [input]), ...c.args].map((a) => values.read(a))
  const named = values.options(kwargs)
  const inputs = differentiable(torch, [given, Object.values(named)])
  const got = asArrays(torch, Object.keys(named).length > 0 ? module(...given, named) : module(...given))
  const wrong = compareOutputs(torch, got, c.output, values)
  if (wrong) return wrong
  if (c.grad_outputs?.length) {
    const parameters = new Map<string, Tensor>(module.namedParameters())
    const names = Object.keys(c.param_grads ?? {})
    const absent = names.find((name) => !parameters.has(name))
    if (absent) return infinite(`there is no parameter '${absent}'`)
    const all = [...inputs, ...names.map((name) => parameters.get(name) as Tensor)]
    const grads = [...(c.input_grads ?? []), ...names.map((name) => (c.param_grads as Record<string, Json>)[name])]
    const bad = compareGradients(torch, got, all, c.grad_outputs, grads, values)
    if (bad) return bad
  }
  return compareState(module.stateDict(), c.state_after, values, 'state after')
}

/** The fresh module's keys, in order, and its weights bit for bit: the seed was set before it was made. */
function compareFresh(
  own: Readonly<Record<string, Tensor>>,
  recorded: Readonly<Record<string, Json>>,
  values: Values,
): Difference | null {
  const keys = Object.keys(own).join(', ')
  const expected = Object.keys(recorded).join(', ')
  if (keys !== expected) return infinite(`state dict: got ${keys || 'nothing'}, expected ${expected || 'nothing'}`)
  return compareState(own, recorded, values, 'fresh', { rtol: 0, atol: 0 })
}
