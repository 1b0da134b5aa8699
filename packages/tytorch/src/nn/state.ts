// State dicts: a module's parameters and buffers by PyTorch's keys, and loading them with PyTorch's checks.
import { RuntimeError } from '../base/errors.ts'
import { formatList } from '../base/format.ts'
import { noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { UninitializedParameter } from './lazy.ts'
import { setData } from './parameter.ts'

/** Tensors by key, in order: `{'fc1.weight': ..., 'fc1.bias': ...}`. */
export type StateDict = Record<string, Tensor>

/** A property's name as PyTorch spells it: `runningMean` is `running_mean`; names that start with a capital stay. */
export function snakeCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The keys that `loadStateDict` did not find, and those it had no use for. */
export class IncompatibleKeys {
  readonly missingKeys: readonly string[]
  readonly unexpectedKeys: readonly string[]

  constructor(missingKeys: readonly string[], unexpectedKeys: readonly string[]) {
    this.missingKeys = missingKeys
    this.unexpectedKeys = unexpectedKeys
  }

  toString(): string {
    if (this.missingKeys.length === 0 && this.unexpectedKeys.length === 0) return '<All keys matched successfully>'
    return `_IncompatibleKeys(missing_keys=${formatList(this.missingKeys)}, unexpected_keys=${formatList(this.unexpectedKeys)})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/**
 * Copies `source` into `own` (or takes its tensors over, for `assign`). Throws RuntimeError that lists every key that is
 * missing or unexpected (if `strict`) and every tensor of another shape.
 */
export function loadInto(
  name: string,
  own: ReadonlyMap<string, Tensor>,
  source: Readonly<StateDict>,
  strict: boolean,
  assign: boolean,
): IncompatibleKeys {
  if (typeof source !== 'object' || source === null) {
    throw new TypeError(`Expected state_dict to be dict-like, got ${source === null ? 'null' : typeof source}.`)
  }
  const missing: string[] = []
  const errors: string[] = []
  noGrad(() => {
    for (const [key, target] of own) {
      const value: unknown = source[key]
      if (value === undefined) missing.push(key)
      else if (!(value instanceof Tensor)) {
        errors.push(
          `While copying the parameter named "${key}", expected torch.Tensor or Tensor-like object from checkpoint but received ${value === null ? 'null' : typeof value}`,
        )
      } else {
        const fault = loadTensor(key, target, value, assign)
        if (fault) errors.push(fault)
      }
    }
  })
  const unexpected = Object.keys(source).filter((key) => !own.has(key))
  if (strict) {
    const quoted = (keys: readonly string[]): string => keys.map((key) => `"${key}"`).join(', ')
    if (unexpected.length > 0) errors.unshift(`Unexpected key(s) in state_dict: ${quoted(unexpected)}. `)
    if (missing.length > 0) errors.unshift(`Missing key(s) in state_dict: ${quoted(missing)}. `)
  }
  if (errors.length > 0) throw new RuntimeError(`Error(s) in loading state_dict for ${name}:\n\t${errors.join('\n\t')}`)
  return new IncompatibleKeys(missing, unexpected)
}

function loadTensor(key: string, target: Tensor, value: Tensor, assign: boolean): string | null {
  // Checkpoints from before PyTorch 0.4 hold 0-d tensors as vectors of one element.
  const source = target.ndim === 0 && value.ndim === 1 && value.count === 1 ? value.reshape([]) : value
  if (target instanceof UninitializedParameter) target.materialize(source.sizes)
  if (source.sizes.join() !== target.sizes.join()) {
    return `size mismatch for ${key}: copying a param with shape ${source.shape} from checkpoint, the shape in current model is ${target.shape}.`
  }
  if (assign) setData(target, source.detach())
  else target.copy_(source)
  return null
}
