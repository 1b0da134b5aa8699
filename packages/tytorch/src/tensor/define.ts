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
import { requiresGrad } from './node.ts'
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
    if (complex === null || !bound.some(isComplexValue)) result = forward(...bound)
    else if (forward === r.forward) result = complex(...bound)
    else {
      const [x, ...rest] = bound as [Tensor, ...unknown[]]
      const value = complex(x.clone(), ...rest) as Tensor
      checkCast(value.dtype, x.dtype)
      result = x.copy_(value)
    }
    if (!(result instanceof Tensor)) nameResult(result, returnType)
    return out ? writeTo(r.name, result, out) : result
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
      throw new TypeError(`${name}(): sizes must be integers, got ${String(n)}`)
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
