// Calls through torch.compile: traced with other values of the same kind, then replayed with the recorded ones.
import { type Dynamic, type Tensor, type Torch, toStored, toTensor } from './values.ts'

/** A call's arguments, positional and by name. */
export interface Arguments {
  readonly given: readonly unknown[]
  readonly named: Record<string, unknown>
}

/** Tensors of a trace may be kept by V8 for a while, which makes the library trace again: so many calls in all. */
const CALLS = 5
const REFUSAL = /inside a function given to torch\.compile/

/** What a compiled function of the call answers after `seed` for the arguments of `read`, and whether it was a replay. */
export function callCompiled(
  torch: Torch,
  read: () => Arguments,
  run: (arguments_: Arguments) => unknown,
  seed: number,
): { readonly result: unknown; readonly last: Arguments; readonly eager: boolean } {
  let args = read()
  let runs = 0
  const fn = torch.compile((...tensors: Tensor[]) => {
    runs++
    return run(filled(torch, args, tensors))
  })
  const once = (): unknown => {
    torch.manualSeed(seed)
    return fn(...tensorsOf(torch, args))
  }
  args = reversed(torch, args)
  try {
    once()
  } catch {
    // An op may refuse the reversed values (positions that have to rise), and for a trace any values will do.
    runs = 0
    args = read()
    try {
      once()
    } catch (error) {
      // What answers no tensor refuses to be compiled, as it should.
      if (!REFUSAL.test(String(error))) throw error
      args = read()
      torch.manualSeed(seed)
      return { result: run(args), last: args, eager: true }
    }
  }
  for (let i = 1; ; i++) {
    args = read()
    const before = runs
    const result = once()
    if (runs === before || i === CALLS) return { result, last: args, eager: runs > before }
  }
}

/** The tensors of nested lists and plain objects, in order. */
function tensorsOf(torch: Torch, value: unknown): Tensor[] {
  const found: Tensor[] = []
  mapTensors(torch, value, (x) => {
    found.push(x)
    return x
  })
  return found
}

function filled(torch: Torch, args: Arguments, tensors: readonly Tensor[]): Arguments {
  let next = 0
  return mapTensors(torch, args, () => tensors[next++]) as Arguments
}

/** Floating-point elements in the opposite order, which leaves them in an op's domain. */
function reversed(torch: Torch, args: Arguments): Arguments {
  return mapTensors(torch, args, (x) => {
    if (!x.dtype.isFloatingPoint || x.numel() < 2) return x
    const { dtype, shape, bytes } = toStored(x)
    const size = bytes.length / x.numel()
    const turned = new Uint8Array(bytes.length)
    for (let i = 0; i < bytes.length; i += size) turned.set(bytes.subarray(i, i + size), bytes.length - size - i)
    return toTensor(torch, { dtype, shape, bytes: turned }).requiresGrad_(x.requiresGrad)
  }) as Arguments
}

function mapTensors(torch: Torch, value: unknown, map: (x: Tensor) => Tensor): unknown {
  if (value instanceof torch.Tensor) return map(value)
  // A copy of the same class: Python's tuples are told apart from lists.
  if (Array.isArray(value)) return (value.constructor as Dynamic).from(value, (v: unknown) => mapTensors(torch, v, map))
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, mapTensors(torch, v, map)]))
}
