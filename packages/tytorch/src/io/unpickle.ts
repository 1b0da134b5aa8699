// Python pickles as data: the opcodes of protocols 2 to 5 that values are made of. Nothing is ever called but what the
// caller names.
import { NotImplementedError, RuntimeError } from '../base/errors.ts'

/** A class or function that a pickle names: `torch._utils._rebuild_tensor_v2`. */
export class Global {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/** What a pickle may do besides making values. */
export interface Hooks {
  /** The result of calling a global; throws for those that are not known. */
  call(name: string, args: readonly unknown[]): unknown
  /** The object that a persistent id stands for. */
  persistent(id: readonly unknown[]): unknown
}

const MARK = Symbol('mark')

/** The value in a pickle: dicts are Maps, tuples and lists arrays. Throws RuntimeError, which names `file`, if damaged. */
export function unpickle(bytes: Uint8Array, file: string, hooks: Hooks): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stack: unknown[] = []
  const memo = new Map<number, unknown>()
  let at = 0
  const take = (n: number): number => {
    const from = at
    at += n
    if (n < 0 || at > bytes.length) throw new RuntimeError(`${file}: the pickle is truncated`)
    return from
  }
  const u8 = (): number => view.getUint8(take(1))
  const u32 = (): number => view.getUint32(take(4), true)
  const long = (): number => {
    const value = view.getBigUint64(take(8), true)
    if (value > 0x7fffffff) throw new RuntimeError(`${file}: the pickle is damaged (a length of ${value})`)
    return Number(value)
  }
  const text = (n: number): string => {
    const from = take(n)
    return new TextDecoder().decode(new Uint8Array(bytes.subarray(from, from + n)))
  }
  const line = (): string => {
    const end = bytes.indexOf(10, at)
    if (end < 0) throw new RuntimeError(`${file}: the pickle is truncated`)
    const found = text(end - at)
    at++
    return found
  }
  const integer = (n: number): number | bigint => {
    const from = take(n)
    let value = 0n
    for (let i = n - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[from + i])
    const signed = n === 0 ? 0n : BigInt.asIntN(8 * n, value)
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed
  }
  const pop = (): unknown => {
    if (stack.length === 0) throw new RuntimeError(`${file}: the pickle is damaged (its stack is empty)`)
    return stack.pop()
  }
  const top = (): unknown => stack[stack.length - 1]
  const marked = (): unknown[] => {
    const from = stack.lastIndexOf(MARK)
    if (from < 0) throw new RuntimeError(`${file}: the pickle is damaged (there is no mark)`)
    const items = stack.splice(from)
    return items.slice(1)
  }
  const last = (n: number): unknown[] => stack.splice(Math.max(0, stack.length - n))
  const into = (items: readonly unknown[]): void => {
    const target = top()
    if (!(target instanceof Map)) throw new RuntimeError(`${file}: the pickle is damaged (items without a dict)`)
    for (let i = 0; i + 1 < items.length; i += 2) target.set(items[i], items[i + 1])
  }
  const append = (items: readonly unknown[]): void => {
    const target = top()
    if (!Array.isArray(target)) throw new RuntimeError(`${file}: the pickle is damaged (elements without a list)`)
    for (const item of items) target.push(item)
  }
  const recall = (key: number): void => {
    if (!memo.has(key)) throw new RuntimeError(`${file}: the pickle is damaged (nothing is remembered as ${key})`)
    stack.push(memo.get(key))
  }
  const call = (args: unknown, fn: unknown): void => {
    if (!(fn instanceof Global) || !Array.isArray(args))
      throw new RuntimeError(`${file}: the pickle is damaged (a call)`)
    stack.push(hooks.call(fn.name, args))
  }
  const run: Record<number, () => void> = {
    128: () => void u8(), // PROTO
    149: () => void take(8), // FRAME
    40: () => void stack.push(MARK),
    48: () => void pop(),
    78: () => void stack.push(null),
    136: () => void stack.push(true),
    137: () => void stack.push(false),
    75: () => void stack.push(u8()),
    77: () => void stack.push(view.getUint16(take(2), true)),
    74: () => void stack.push(view.getInt32(take(4), true)),
    138: () => void stack.push(integer(u8())),
    139: () => void stack.push(integer(u32())),
    71: () => void stack.push(view.getFloat64(take(8), false)),
    88: () => void stack.push(text(u32())),
    140: () => void stack.push(text(u8())),
    141: () => void stack.push(text(long())),
    93: () => void stack.push([]),
    41: () => void stack.push([]),
    125: () => void stack.push(new Map()),
    116: () => void stack.push(marked()),
    108: () => void stack.push(marked()),
    133: () => void stack.push(last(1)),
    134: () => void stack.push(last(2)),
    135: () => void stack.push(last(3)),
    100: () => {
      const items = marked()
      stack.push(new Map())
      into(items)
    },
    115: () => into(last(2)),
    117: () => into(marked()),
    97: () => append(last(1)),
    101: () => append(marked()),
    99: () => void stack.push(new Global(`${line()}.${line()}`)),
    147: () => {
      const [module, name] = last(2)
      stack.push(new Global(`${module}.${name}`))
    },
    82: () => call(pop(), pop()),
    129: () => call(pop(), pop()),
    // An OrderedDict's own attributes, such as a state dict's _metadata, are no part of the data.
    98: () => {
      pop()
      if (!(top() instanceof Map)) throw new RuntimeError(`${file}: the pickle sets the state of an object`)
    },
    81: () => void stack.push(hooks.persistent(pop() as unknown[])),
    113: () => void memo.set(u8(), top()),
    114: () => void memo.set(u32(), top()),
    148: () => void memo.set(memo.size, top()),
    104: () => recall(u8()),
    106: () => recall(u32()),
  }
  for (;;) {
    const op = u8()
    if (op === 46) return pop()
    const step = run[op]
    if (!step) {
      throw new NotImplementedError(`${file}: the pickle has opcode ${op}, which no state dict needs; it can't be read`)
    }
    step()
  }
}
