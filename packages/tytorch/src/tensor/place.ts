// Where tensors live.
import { RuntimeError } from '../base/errors.ts'

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** A place where tensors live, as `torch.device`. */
export class Device {
  readonly type: 'cpu'
  readonly index: number | null = null

  constructor(name = 'cpu') {
    if (name !== 'cpu') throw new RuntimeError(`there is no device '${name}' here; tensors live on 'cpu'`)
    this.type = name
  }

  toString(): string {
    return this.type
  }

  [inspect](): string {
    return `device(type='${this.type}')`
  }
}

/** The CPU. */
export const cpu = new Device()

/** Makes a place, with or without `new`: `torch.device('cpu')`. Throws RuntimeError for all but the CPU. */
export const device = new Proxy(Device, {
  apply: (made, _self, args: [name?: string]) => new made(...args),
}) as typeof Device & ((name?: string) => Device)
