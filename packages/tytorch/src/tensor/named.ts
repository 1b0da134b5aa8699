// Results of several tensors by name, as PyTorch's return types: they also destructure and index as an array does.
import type { Tensor } from './tensor.ts'

/** Tensors by name, which also destructure as an array in the same order. */
export type Named<K extends string> = { readonly [P in K]: Tensor } & {
  readonly [index: number]: Tensor
} & Iterable<Tensor>

const opName = Symbol('opName')

class Result {
  [opName] = 'result'

  constructor(entries: Readonly<Record<string, Tensor>>) {
    Object.assign(this, entries)
  }

  *[Symbol.iterator](): Generator<Tensor, void> {
    yield* Object.values(this) as Tensor[]
  }

  /** Written as Python writes it: `torch.return_types.max(\nvalues=tensor([3.]),\nindices=tensor([0]))`. */
  toString(): string {
    const snake = (name: string): string => name.replace(/(?<=[a-z0-9])[A-Z]/g, (c) => `_${c.toLowerCase()}`)
    const lines = Object.entries(this).map(([key, x]) => `${snake(key)}=${x}`)
    return `torch.return_types.${this[opName]}(\n${lines.join(',\n')})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
for (let i = 0; i < 4; i++) {
  Object.defineProperty(Result.prototype, i, {
    get(this: Result) {
      return Object.values(this)[i]
    },
  })
}

/** A named result. */
export function named<K extends string>(entries: { readonly [P in K]: Tensor }): Named<K> {
  return new Result(entries) as unknown as Named<K>
}

/** Tells a named result which op made it, for its printed form; leaves other values alone. */
export function nameResult(result: unknown, op: string): void {
  if (result instanceof Result) result[opName] = op
}
