// torch.func.functional_call: a module called with other parameters and buffers than its own.
import { RuntimeError, ValueError } from '../base/errors.ts'
import { stack } from '../ops/join.ts'
import { type Args, bind, parse } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Module } from './module.ts'
import { type StateDict, snakeCase } from './state.ts'

interface CallOptions {
  /** Gives tensors that share a parameter the same new one (the default). */
  readonly tieWeights?: boolean
  /** Throws RuntimeError for missing and unexpected names. */
  readonly strict?: boolean
}

const signature = parse('module, parameter_and_buffer_dicts, args, kwargs, *, tie_weights, strict')
type Properties = Record<string, unknown>

/** A property of a module that holds a parameter or buffer. */
interface Slot {
  readonly own: Properties
  readonly name: string
  readonly tensor: Tensor
}

/** Where each parameter and buffer lies, by its key; a shared one under each of its keys. */
function slotsOf(module: Module): Map<string, Slot> {
  const slots = new Map<string, Slot>()
  for (const [path, part] of module.namedModules()) {
    const own = part as unknown as Properties
    const state = new Set<unknown>([
      ...part.namedParameters('', false).map(([, p]) => p),
      ...part.namedBuffers('', false).map(([, b]) => b),
    ])
    for (const name of Object.keys(part)) {
      if (!state.has(own[name])) continue
      const key = `${path === '' ? '' : `${path}.`}${snakeCase(name)}`
      slots.set(key, { own, name, tensor: own[name] as Tensor })
    }
  }
  return slots
}

/**
 * Calls a module with the tensors of a state dict (or of several) in place of its own, which come back afterwards:
 * `functionalCall(model, params, x)`, or `[x, y]` for several arguments. Names that the module has not are ignored
 * unless `strict`.
 */
export function functionalCall<M extends Module>(
  module: M,
  dicts: StateDict | readonly StateDict[],
  args: Tensor | Readonly<Parameters<M['forward']>> | null = null,
  ...rest: Args<[kwargs?: Record<string, unknown> | null], CallOptions>
): ReturnType<M['forward']> {
  const [, , , kwargs, tieWeights = true, strict = false] = bind('functional_call', signature, [
    module,
    dicts,
    args,
    ...rest,
  ]) as [unknown, unknown, unknown, Record<string, unknown>?, boolean?, boolean?]
  const given: StateDict = Object.assign({}, ...(Array.isArray(dicts) ? dicts : [dicts]))
  const slots = slotsOf(module)
  check(module, given, slots, strict)
  const changes = new Map<Slot, Tensor>()
  for (const [key, value] of Object.entries(given)) {
    const slot = slots.get(key)
    if (!slot) continue
    const tied = tieWeights ? [...slots].filter(([, s]) => s.tensor === slot.tensor) : ([[key, slot]] as const)
    const others = tied.map(([name]) => name).filter((name) => name in given)
    if (others.some((name) => given[name] !== value)) {
      throw new ValueError(
        `functional_call got multiple values for keys [${others.map((name) => `'${name}'`).join(', ')}], which are tied. Consider using tie_weights=False`,
      )
    }
    for (const [, each] of tied) changes.set(each, value)
  }
  try {
    for (const [slot, value] of changes) slot.own[slot.name] = value
    const list = args === null ? [] : args instanceof Tensor ? [args] : (args as readonly unknown[])
    return (module as unknown as (...all: unknown[]) => ReturnType<M['forward']>)(...list, ...(kwargs ? [kwargs] : []))
  } finally {
    for (const slot of changes.keys()) slot.own[slot.name] = slot.tensor
  }
}

function check(module: Module, given: StateDict, slots: ReadonlyMap<string, Slot>, strict: boolean): void {
  for (const value of Object.values(given) as unknown[]) {
    if (!(value instanceof Tensor)) throw new TypeError(`${String(value)} is not an instance of torch.Tensor`)
  }
  if (!strict) return
  const quoted = (keys: readonly string[]): string => keys.map((key) => `'${key}'`).join(', ')
  const tied = new Set(Object.keys(given).map((key) => slots.get(key)?.tensor))
  const missing = [...slots].filter(([key, slot]) => !(key in given) && !tied.has(slot.tensor)).map(([key]) => key)
  const unexpected = Object.keys(given).filter((key) => !slots.has(key))
  const faults = [
    ...(unexpected.length > 0 ? [`Unexpected key(s): ${quoted(unexpected)}.`] : []),
    ...(missing.length > 0 ? [`Missing key(s): ${quoted(missing)}.`] : []),
  ]
  if (faults.length === 0) return
  throw new RuntimeError(`Error(s) in reparametrizing for ${module.constructor.name}:\n\t${faults.join('\n\t')}`)
}

/** The parameters and the buffers of models of one form, each stacked along a new first dimension, for `vmap`. */
export function stackModuleState(models: readonly Module[]): [parameters: StateDict, buffers: StateDict] {
  if (models.length === 0) throw new RuntimeError('stack_module_state: Expected at least one model, got 0.')
  const stacked = (lists: readonly (readonly [string, Tensor])[][]): StateDict =>
    Object.fromEntries(
      lists[0].map(([key, x], i) => {
        const all = stack(lists.map((list) => list[i][1].detach()))
        return [key, x.requiresGrad ? all.requiresGrad_() : all]
      }),
    )
  return [stacked(models.map((m) => m.namedParameters())), stacked(models.map((m) => m.namedBuffers()))]
}
