// From PyTorch's name of an op to our function: snake to camel case, namespaces, methods, Python's operators.
import { type Dynamic, snakeToCamel, type Torch, Tuple } from './values.ts'

/** An op ready to be called with PyTorch's arguments. */
export type Call = (positional: readonly unknown[], named: Record<string, unknown>) => unknown

/** Python's binary operators, with the word that names their special methods and our function. */
export const OPERATORS: readonly (readonly [symbol: string, word: string, ours: string])[] = [
  ['+', 'add', 'add'],
  ['-', 'sub', 'sub'],
  ['*', 'mul', 'mul'],
  ['/', 'truediv', 'div'],
  ['/', 'div', 'div'],
  ['//', 'floordiv', 'floorDivide'],
  ['%', 'mod', 'remainder'],
  ['**', 'pow', 'pow'],
  ['@', 'matmul', 'matmul'],
  ['&', 'and', 'bitwiseAnd'],
  ['|', 'or', 'bitwiseOr'],
  ['^', 'xor', 'bitwiseXor'],
  ['<<', 'lshift', 'bitwiseLeftShift'],
  ['>>', 'rshift', 'bitwiseRightShift'],
  ['==', 'eq', 'eq'],
  ['!=', 'ne', 'ne'],
  ['<', 'lt', 'lt'],
  ['<=', 'le', 'le'],
  ['>', 'gt', 'gt'],
  ['>=', 'ge', 'ge'],
]

/** Attributes that PyTorch's test database calls as if they were functions. */
const PROPERTIES = ['T', 'H', 'mT', 'mH']

/**
 * Entries of PyTorch's test database whose `op` is a lambda with the first two parameters of the real function exchanged
 * (torch/testing/_internal/common_methods_invocations.py), so that the tensor to differentiate comes first.
 */
const EXCHANGED = new Set([
  'where',
  'einsum',
  'polygamma',
  'special.polygamma',
  'nn.functional.embedding',
  'nn.functional.embedding_bag',
])

/** Reflected operators written in Python, which take a number for the tensor; the others refuse it. */
const LENIENT = new Set(['__rmod__', '__rpow__', '__rsub__'])

/** Python's own names, which mean something else in PyTorch's database than what we export under them. */
const BUILTINS = new Set(['slice'])

/** Entries of the test database, as `op.variant`, whose `op` is a lambda around the real function. */
const VARIANTS: Readonly<Record<string, (call: Call) => Call>> = {
  'linalg.lstsq.grad_oriented': (call) => (given, named) => [...(call(given, named) as Iterable<unknown>)].slice(0, 2),
  'normal.in_place':
    () =>
    ([x, ...rest]) =>
      (x as Dynamic).clone().normal_(...rest),
  'normal.number_mean':
    (call) =>
    ([std, mean, ...rest], named) =>
      call([mean, std, ...rest], named),
  'linalg.pinv.singular':
    (call) =>
    ([a, b], named) =>
      call([(a as Dynamic).matmul((b as Dynamic).mT)], named),
}

/** Entries of the test database whose `op` is a function of its own around the real one. */
const WRAPPED: Readonly<Record<string, (torch: Torch) => Call>> = {
  // What the database calls so is another function there.
  rand_like:
    (torch) =>
    ([x], named) =>
      (torch as Dynamic).randnLike(x, named),
  max_pool2d_with_indices_backward:
    (torch) =>
    ([x], { kernelSize, stride, padding, dilation, ceilMode, ...named }) => {
      const windows = { stride, padding, dilation, ceilMode }
      const pool = torch.nn.functional.maxPool2d as Dynamic
      const [out, indices] = pool(x, kernelSize, { ...windows, ...named, returnIndices: true })
      const backward = torch.maxPool2dWithIndicesBackward as Dynamic
      const ones = torch.onesLike(out)
      return backward(
        ones,
        x,
        kernelSize,
        stride ?? kernelSize,
        padding ?? 0,
        dilation ?? 1,
        ceilMode ?? false,
        indices,
      )
    },
}

/** The function that PyTorch calls `name`, or null if there is none; as its database's entry `variant` calls it. */
export function resolve(torch: Torch, name: string, variant = ''): Call | null {
  const call = WRAPPED[name]?.(torch) ?? resolveName(torch, name)
  return call && (VARIANTS[`${name}.${variant}`]?.(call) ?? call)
}

function resolveName(torch: Torch, name: string): Call | null {
  const prototype = torch.Tensor.prototype as Dynamic
  if (PROPERTIES.includes(name)) return name in prototype ? ([x]) => (x as Dynamic)[name] : null
  if (name === '__getitem__')
    return ([x, index]) => (index instanceof Tuple ? (x as Dynamic).at(...index) : (x as Dynamic).at(index))
  const special = /^__(r?)(\w+)__$/.exec(name)
  if (special) {
    const direct = OPERATORS.find(([, word]) => word === special[1] + special[2])
    const reflected = direct ? undefined : OPERATORS.find(([, word]) => word === special[2])
    const fn = (torch as Dynamic)[(direct ?? reflected)?.[2] ?? '']
    if (typeof fn !== 'function') return null
    if (direct) return ([a, b]) => fn(a, b)
    return ([a, b]) => {
      if (!(a instanceof torch.Tensor) && !LENIENT.has(name))
        throw new TypeError(`${name} is a method, and its first argument no tensor`)
      return fn(b, a)
    }
  }
  const fn = find(torch, name)
  if (!fn) return null
  return (positional, named) => {
    const args = [...positional]
    const exchanged = EXCHANGED.has(name)
    // The lambda's second parameter, `n` of polygamma, may be named.
    const { n, ...others } = named
    if (exchanged && n !== undefined) args.push(n)
    if (exchanged) [args[0], args[1]] = [args[1], args[0]]
    const rest = exchanged ? others : named
    if (Object.keys(rest).length > 0) args.push(rest)
    return fn(args)
  }
}

type Applied = (args: unknown[]) => unknown

function find(torch: Torch, name: string): Applied | null {
  const path = name.split('.').map(snakeToCamel)
  const last = path[path.length - 1]
  const spaces: Dynamic[] = []
  let space: Dynamic = torch
  for (const part of path.slice(0, -1)) space = space?.[part]
  if (space) spaces.push(space)
  // What is new in nn.functional lives in torch or on the tensor as well, until the former re-exports it.
  if (name.startsWith('nn.functional.')) spaces.push(torch)
  for (const s of spaces) {
    if (!BUILTINS.has(name) && typeof s[last] === 'function' && !isClass(s[last])) return (args) => s[last](...args)
  }
  if (path.length > 1 && !name.startsWith('nn.functional.')) return null
  const prototype = torch.Tensor.prototype as Dynamic
  // What exists in place only stands in PyTorch's database without its underscore.
  const method = [last, `${last}_`].find((m) => typeof prototype[m] === 'function')
  if (!method) return null
  return ([self, ...rest]) => {
    if (!(self instanceof torch.Tensor))
      throw new TypeError(`${name} is a method here, and its first argument no tensor`)
    return (self as Dynamic)[method](...rest)
  }
}

/** True for what must be called with `new`. */
export function isClass(fn: unknown): boolean {
  return typeof fn === 'function' && /^class\b/.test(Function.prototype.toString.call(fn))
}
