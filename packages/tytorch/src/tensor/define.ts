// Op records: what an op states about itself for the tests, the docs and the parity runner, and the binder that gives
// every op PyTorch's positional and named arguments. Adding an op is writing one record in ops/.
import type { Complex } from '../base/complex.ts'
import { canCast, type DType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { complexOps, complexSafe, isComplexValue, notImplemented } from './complex.ts'
import type { Binary } from './elementwise.ts'
import { isGradEnabled } from './mode.ts'
import { nameResult } from './named.ts'
import { edgesOf, type Node, nextSequence, requiresGrad } from './node.ts'
import { empty, Tensor } from './tensor.ts'

// Op records: what an op states about itself, and the families that turn a record into a function, a method, an
// in-place method, kernels and a gradient. Adding an op is writing one record in ops/.

/** A JavaScript value where PyTorch takes a Python scalar. */
export type Num = number | bigint | boolean

/** A tensor or a scalar. */
export type TensorLike = Tensor | Num | Complex

/** Where a result goes: a tensor, or a list of them for an op with several results. */
export interface Out {
  readonly out?: Tensor | readonly Tensor[]
}

/** Arguments as PyTorch takes them: by position, or by name in one trailing options object, or some of each. */
export type Args<P extends unknown[], O> = P | Mixed<Required<P>, O & Out>

type Mixed<P extends unknown[], O> =
  | [options: O]
  | (P extends [infer A, ...infer R] ? [first: A, ...rest: Mixed<R, O>] : never)

/** How inputs of an op are sampled by its tests. */
export interface Domain {
  readonly low?: number
  readonly high?: number
  /** Keeps a distance from integers, where the op has kinks. */
  readonly kinks?: boolean
  /** Takes integers and bools only; samples are int64. */
  readonly integers?: boolean
}

/** Makes a random float64 tensor of the sizes given, within the record's domain, that requires a gradient. */
export type Sampler = (...sizes: number[]) => Tensor

/** Argument lists with which the tests call an op. */
export type Samples = (t: Sampler) => readonly (readonly unknown[])[]

/** What every record tells the tests, the docs and the parity runner. */
export interface OpInfo {
  readonly name: string
  /** PyTorch's name if it is not the snake_case of `name`. */
  readonly python?: string
  readonly family: 'unary' | 'binary' | 'op'
  /** Parameter names in PyTorch's order, snake_case as PyTorch; `*` starts the ones that go by name only. */
  readonly signature: string
  readonly differentiable: boolean
  readonly domain: Domain
  readonly samples: Samples
  // biome-ignore lint/suspicious/noExplicitAny: the registry holds ops of every signature
  readonly fn: (...args: any[]) => any
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly inPlace?: (...args: any[]) => any
}

/** Every op by name, in the order of definition. */
export const registry = new Map<string, OpInfo>()

export function register(info: OpInfo): void {
  if (registry.has(info.name)) throw new Error(`op '${info.name}' is defined twice`)
  registry.set(info.name, info)
}

/** Attaches the in-place form, which becomes the method `name_`. */
// biome-ignore lint/suspicious/noExplicitAny: functions of every signature
export function withInPlace<F extends (...args: any[]) => any>(fn: F, inPlace: (...args: any[]) => Tensor): F {
  return Object.assign(fn, { inPlace })
}

/** The in-place form of an op that has one. */
export function inPlaceOf(fn: Binary): (x: Tensor, y: TensorLike) => Tensor {
  return (fn as unknown as { inPlace: (x: Tensor, y: TensorLike) => Tensor }).inPlace
}

/** `out` of an op: checks the dtype, takes the result's shape and values. */
export function writeOut(name: string, result: Tensor, out: Tensor): Tensor {
  if (!(out instanceof Tensor)) throw new TypeError(`${name}(): argument 'out' must be Tensor, not list`)
  checkUnrecorded(name, [result], [out])
  checkCast(result.dtype, out.dtype)
  return fill(out, result)
}

/**
 * `out` of an op with several results: the same object (or list) with the tensors of `outs` in it, which took the results'
 * shapes and values. Their dtypes must be the results', or ones these can be cast to if `casts`.
 */
export function writeOuts<R extends object>(name: string, results: R, outs: readonly Tensor[], casts = false): R {
  const keys = Object.keys(results)
  const values = Object.values(results) as Tensor[]
  if (keys.length !== outs.length)
    throw new TypeError(`${name}(): expected tuple of ${keys.length} elements but got ${outs.length}`)
  checkUnrecorded(name, values, outs)
  for (const [i, { dtype }] of values.entries()) {
    const given = outs[i].dtype
    if (casts ? canCast(dtype, given) : dtype === given) continue
    throw new RuntimeError(
      casts
        ? `${name}: Expected ${keys[i]} to be safely castable from ${dtype.title} dtype, but got ${keys[i]} with dtype ${given.title}`
        : `Expected out tensor to have dtype ${nativeName(dtype)}, but got ${nativeName(given)} instead`,
    )
  }
  for (const [i, value] of values.entries()) {
    // The results of ops that cut a tensor into pieces may not be resized, as in PyTorch.
    if (Array.isArray(results)) outs[i].copy_(value)
    else fill(outs[i], value)
  }
  return Object.assign(results, Object.fromEntries(keys.map((key, i) => [key, outs[i]])))
}

/** Throws RuntimeError if `out` has not the dtype of the result, for ops that cast nothing into it. */
export function checkSameType({ dtype }: Tensor, out: Tensor): void {
  if (dtype !== out.dtype)
    throw new RuntimeError(
      `Expected out tensor to have dtype ${nativeName(dtype)}, but got ${nativeName(out.dtype)} instead`,
    )
}

/** How the memory of two tensors meets, as PyTorch tells it: 'unknown' where one of them has gaps or repeats. */
export function overlapOf(a: Tensor, b: Tensor): 'none' | 'part' | 'full' | 'unknown' {
  if (a.storage !== b.storage || a.count === 0 || b.count === 0) return 'none'
  if (!isDense(a) || !isDense(b)) return 'unknown'
  const bytes = (t: Tensor): [number, number] => [t.offset * t.dtype.itemsize, (t.offset + t.count) * t.dtype.itemsize]
  const [[start, end], [from, to]] = [bytes(a), bytes(b)]
  if (start === from && end === to)
    return sameSizes(a.sizes, b.sizes) && sameSizes(a.strides, b.strides) ? 'full' : 'part'
  return start < to && from < end ? 'part' : 'none'
}

/** True if the elements fill a stretch of memory, each place once, in whatever order. */
function isDense(x: Tensor): boolean {
  if (x.contiguousLayout) return true
  let expected = 1
  const order = x.sizes.map((_, i) => i).filter((i) => x.sizes[i] !== 1)
  for (const i of order.sort((p, q) => x.strides[p] - x.strides[q])) {
    if (x.strides[i] !== expected) return false
    expected *= x.sizes[i]
  }
  return true
}

/** Throws RuntimeError if `out` shares memory with one of `inputs`; being it is all right if `same`. */
export function checkApart(out: Tensor, inputs: readonly unknown[], same: boolean): void {
  for (const x of inputs) {
    const found = x instanceof Tensor ? overlapOf(out, x) : 'none'
    if (found !== 'part' && (same || found !== 'full')) continue
    throw new RuntimeError(
      'unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. Please clone() the tensor before performing the operation.',
    )
  }
}

function checkUnrecorded(name: string, results: readonly Tensor[], outs: readonly Tensor[]): void {
  if (isGradEnabled() && [...results, ...outs].some(requiresGrad)) {
    throw new RuntimeError(
      `${name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.`,
    )
  }
}

/** Dtypes as PyTorch's own source spells them. */
const NATIVE: Readonly<Record<string, string>> = {
  Float: 'float',
  Double: 'double',
  Half: 'c10::Half',
  BFloat16: 'c10::BFloat16',
  Long: 'long int',
  Int: 'int',
  Short: 'short int',
  Char: 'signed char',
  Byte: 'unsigned char',
  Bool: 'bool',
  ComplexFloat: 'c10::complex<float>',
  ComplexDouble: 'c10::complex<double>',
}
const nativeName = ({ title }: DType): string => NATIVE[title] ?? title

/** Gives `out` the result's shape and values. */
function fill(out: Tensor, result: Tensor): Tensor {
  if (!sameSizes(out.sizes, result.sizes)) resize(out, result.sizes)
  out.copy_(result)
  return out
}

let warned = false

function resize(out: Tensor, sizes: Sizes): void {
  if (out.count > 0 && !warned) {
    warned = true
    console.warn(
      `UserWarning: An output with one or more elements was resized since it had shape [${out.sizes.join(', ')}], which does not match the required output shape [${sizes.join(', ')}]. This behavior is deprecated, and in a future PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).`,
    )
  }
  const fresh = empty(sizes, out.dtype)
  out.storage = fresh.storage
  out.sizes = sizes
  out.strides = fresh.strides
  out.offset = 0
  out.count = fresh.count
  out.contiguousLayout = true
}

/** Throws PyTorch's error if a result of dtype `from` can't be stored as `to`. */
export function checkCast(from: DType, to: DType): void {
  if (!canCast(from, to))
    throw new RuntimeError(`result type ${from.title} can't be cast to the desired output type ${to.title}`)
}

/** Gradient names as PyTorch shows them: `logSoftmax` gives `LogSoftmaxBackward0`, `log1p` gives `Log1PBackward0`. */
export function gradientName(name: string): string {
  return `${name.replace(/^[a-z]|(?<=[0-9])[a-z]/g, (letter) => letter.toUpperCase())}Backward0`
}

/** A parsed signature. */
export interface Signature {
  readonly names: readonly string[]
  readonly positional: number
}

/** The parameters that a signature names. */
export function parse(signature: string): Signature {
  const names: string[] = []
  let positional = -1
  for (const part of signature
    .split(',')
    .map((s) => s.trim())
    .filter(Boolean)) {
    if (part === '*') positional = names.length
    else names.push(part.replace(/(?<!^)_([a-z0-9])/g, (_, c: string) => c.toUpperCase()))
  }
  return { names, positional: positional < 0 ? names.length : positional }
}

const isOut = (x: unknown): boolean =>
  x instanceof Tensor || (Array.isArray(x) && x.length > 0 && x.every((item) => item instanceof Tensor))

function writeTo(name: string, result: unknown, out: Tensor | readonly Tensor[]): unknown {
  if (result instanceof Tensor) return writeOut(name, result, out as Tensor)
  if (out instanceof Tensor) throw new TypeError(`${name}(): argument 'out' must be tuple of Tensors, not Tensor`)
  const results = typeof result === 'object' && result !== null ? Object.values(result) : []
  if (results.length === 0 || !results.every((item) => item instanceof Tensor))
    throw new TypeError(`${name}() got an unexpected keyword argument 'out'`)
  return writeOuts(name, result as object, out)
}

/** True for `{...}` literals, which carry named arguments. */
function isOptions(x: unknown): x is Record<string, unknown> {
  if (typeof x !== 'object' || x === null) return false
  const proto = Object.getPrototypeOf(x)
  return proto === Object.prototype || proto === null
}

/** Arguments in the signature's order, from positional ones and a trailing options object. */
export function bind(name: string, s: Signature, given: unknown[]): unknown[] {
  let n = given.length
  while (n > 0 && given[n - 1] === undefined) n--
  const options = n > 0 && isOptions(given[n - 1]) ? (given[--n] as Record<string, unknown>) : null
  if (n > s.positional) throw new TypeError(`${name}() takes ${s.positional} positional arguments but ${n} were given`)
  const bound = given.slice(0, n)
  if (!options) return bound
  for (const key of Object.keys(options)) {
    const at = s.names.indexOf(key)
    if (at < 0)
      throw new TypeError(`${name}() got an unexpected keyword argument '${key}' (it takes ${s.names.join(', ')})`)
    if (options[key] === undefined) continue
    if (at < n) throw new TypeError(`${name}() got multiple values for argument '${key}'`)
    bound[at] = options[key]
  }
  return bound
}

const snake = (name: string): string => name.replace(/(?<=[a-z0-9])[A-Z]/g, (c) => `_${c.toLowerCase()}`)

export interface OpRecordOf<F> {
  readonly name: string
  readonly python?: string
  /** Parameters in PyTorch's order and spelling, e.g. `input, dim, keepdim, *, dtype`. `out` needs no mention. */
  readonly signature: string
  readonly differentiable?: boolean
  readonly domain?: Domain
  /** Calls for the test matrix; one of a [3, 4] tensor if absent. */
  readonly samples?: Samples
  readonly forward: F
  /** The same op in place on its first argument, where PyTorch has it. */
  readonly inPlace?: F
  /** PyTorch's name of the op's node, for an op that is several here; shown with the op's inputs as what comes next. */
  readonly node?: NodeName | undefined
  /** As `node` for the op in place, where that differs. */
  readonly inPlaceNode?: NodeName | undefined
  /** `out` must share no memory with the inputs ('all'), or be one of them if it does ('part'). */
  readonly apart?: 'all' | 'part'
  /** PyTorch's name of the last of several nodes, where another step ends the op here. */
  readonly lastNode?: NodeName | undefined
}

/** A node's name, by the op's arguments; undefined leaves it as it is. */
// biome-ignore lint/suspicious/noExplicitAny: arguments of every op
export type NodeName = string | ((...args: any[]) => string | undefined)

/** The tensors among an op's arguments that a gradient may go to. */
const differentiableOf = (bound: readonly unknown[]): Tensor[] =>
  bound.flat().filter((x): x is Tensor => x instanceof Tensor && (x.dtype.isFloatingPoint || x.dtype.isComplex))

/** Shows those nodes of `result` that are not older than `since` as PyTorch does. */
function nameNodes(name: string, edges: [Node | null, number][] | null, result: unknown, since: number): void {
  const outs = result instanceof Tensor ? [result] : typeof result === 'object' && result ? Object.values(result) : []
  for (const out of outs) {
    if (out instanceof Tensor && out.node !== null && out.node.sequence >= since) out.node.showAs(name, edges)
  }
}

/**
 * Defines any other op. `forward` gets its arguments in the signature's order (absent ones undefined) and is written
 * in other ops, or runs a kernel and calls `record`.
 */
// biome-ignore lint/suspicious/noExplicitAny: arguments are checked by the caller's type F
export function op<F extends (...args: any[]) => unknown>(r: OpRecordOf<(...args: any[]) => ReturnType<F>>): F {
  const s = parse(r.signature)
  const returnType = (r.python ?? snake(r.name)).replaceAll('.', '_')
  let complex: ((...args: unknown[]) => unknown) | null | undefined
  const call = (forward: (...args: unknown[]) => unknown, given: unknown[]): unknown => {
    const last = given[given.length - 1]
    let out: Tensor | readonly Tensor[] | undefined
    if (isOptions(last) && isOut(last.out) && !s.names.includes('out')) {
      const { out: target, ...rest } = last
      out = target as Tensor | readonly Tensor[]
      given[given.length - 1] = Object.keys(rest).length ? rest : undefined
    }
    const bound = bind(r.name, s, given)
    if (complex === undefined) complex = complexOps.get(r.name) ?? (complexSafe.has(r.name) ? null : refusing(r.name))
    let result: unknown
    const changed = forward !== r.forward
    const naming = changed ? (r.inPlaceNode ?? r.node) : (r.node ?? r.lastNode)
    const since = nextSequence()
    // What an op in place changes is another node's afterwards.
    const before = changed && naming !== undefined && isGradEnabled() ? edgesOf(differentiableOf(bound)) : null
    if (complex === null || !bound.some(isComplexValue)) {
      try {
        result = forward(...bound)
      } catch (error) {
        throw explained(error, returnType.replace('nn_functional_', ''), s, bound)
      }
    } else if (forward === r.forward) result = complex(...bound)
    else {
      const [x, ...rest] = bound as [Tensor, ...unknown[]]
      const value = complex(x.clone(), ...rest) as Tensor
      checkCast(value.dtype, x.dtype)
      result = x.copy_(value)
    }
    if (naming !== undefined && nextSequence() !== since) {
      const name = typeof naming === 'string' ? naming : naming(...bound)
      const whole = changed ? before : r.node === undefined ? null : edgesOf(differentiableOf(bound))
      // A view that was changed in place shows how it is read from its base.
      if (name !== undefined && !(changed && (result as Tensor).base !== null)) nameNodes(name, whole, result, since)
    }
    if (!(result instanceof Tensor)) nameResult(result, returnType)
    if (!out) return result
    const { apart } = r
    if (apart) for (const one of [out].flat() as Tensor[]) checkApart(one, bound.flat(), apart === 'part')
    return writeTo(r.name, result, out)
  }
  const fn = (...given: unknown[]): unknown => call(r.forward, given)
  const inPlace = r.inPlace && ((...given: unknown[]): unknown => call(r.inPlace as F, given))
  register({
    name: r.name,
    ...(r.python ? { python: r.python } : {}),
    family: 'op',
    signature: r.signature,
    differentiable: r.differentiable ?? false,
    domain: r.domain ?? {},
    samples: r.samples ?? ((t) => [[t(3, 4)]]),
    fn,
    ...(inPlace ? { inPlace } : {}),
  })
  return (inPlace ? withInPlace(fn, inPlace as (...args: unknown[]) => Tensor) : fn) as F
}

const OPERANDS: ReadonlySet<string> = new Set([
  'input',
  'target',
  'weight',
  'mat2',
  'vec',
  'index',
  'query',
  'x1',
  'x2',
])

/** A host's own TypeError as PyTorch's, where an operand is missing or no tensor. */
function explained(error: unknown, name: string, s: Signature, bound: readonly unknown[]): unknown {
  if (!(error instanceof TypeError) || !/^Cannot read|is not (a function|iterable)/.test(error.message)) return error
  const at = s.names.findIndex((n, i) => OPERANDS.has(n) && !(bound[i] instanceof Tensor) && bound[i] !== null)
  if (at < 0 || at >= s.positional) return error
  const argument = s.names[at]
  const value = bound[at]
  if (value === undefined) return new TypeError(`${name}() missing 1 required positional arguments: "${argument}"`)
  const kind = Array.isArray(value) ? 'list; make a tensor of it with torch.tensor()' : typeof value
  return new TypeError(`${name}(): argument '${argument}' (position ${at + 1}) must be Tensor, not ${kind}`)
}

/** The complex form of an op that has none. */
const refusing =
  (name: string) =>
  (...given: unknown[]): never => {
    const x = given.flat().find((item) => item instanceof Tensor && item.dtype.isComplex) as Tensor | undefined
    throw x ? notImplemented(name, x.dtype) : new RuntimeError(`${name}(): complex numbers are not supported`)
  }

/** The number of elements of a list of sizes or of one number each. */
export function sizesOf(name: string, given: readonly unknown[]): Sizes {
  const list = given.length === 1 && Array.isArray(given[0]) ? (given[0] as unknown[]) : given
  for (const n of list) {
    if (typeof n !== 'number' || !Number.isInteger(n))
      throw new TypeError(`${name}(): sizes must be integers, got ${typeof n === 'string' ? `'${n}'` : String(n)}`)
  }
  return [...(list as number[])]
}

/** Throws RuntimeError for a negative size. */
export function checkSizes(name: string, sizes: Sizes): Sizes {
  const bad = sizes.find((n) => n < 0)
  if (bad !== undefined)
    throw new RuntimeError(`${name}(): Trying to create tensor with negative dimension ${bad}: [${sizes.join(', ')}]`)
  numelOf(sizes)
  return sizes
}
