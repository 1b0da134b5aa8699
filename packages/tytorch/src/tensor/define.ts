// Op records: what an op states about itself for the tests, the docs and the parity runner, and the binder that gives
// every op PyTorch's positional and named arguments. Adding an op is writing one record in ops/.
import type { Complex } from '../base/complex.ts'
import { canCast, type DType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { complexOps, complexSafe, isComplexValue, notImplemented } from './complex.ts'
import type { Binary } from './elementwise.ts'
import { isGradEnabled } from './mode.ts'
import { requiresGrad } from './node.ts'
import { empty, Tensor } from './tensor.ts'

// Op records: what an op states about itself, and the families that turn a record into a function, a method, an
// in-place method, kernels and a gradient. Adding an op is writing one record in ops/.

/** A JavaScript value where PyTorch takes a Python scalar. */
export type Num = number | bigint | boolean

/** A tensor or a scalar. */
export type TensorLike = Tensor | Num | Complex

/** Arguments as PyTorch takes them: by position, or by name in one trailing options object, or some of each. */
export type Args<P extends unknown[], O> = P | Mixed<Required<P>, O>

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
  if (isGradEnabled() && (requiresGrad(out) || requiresGrad(result))) {
    throw new RuntimeError(
      `${name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.`,
    )
  }
  checkCast(result.dtype, out.dtype)
  if (!sameSizes(out.sizes, result.sizes)) resize(out, result.sizes)
  out.copy_(result)
  return out
}

function resize(out: Tensor, sizes: Sizes): void {
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

/** Gradient names as PyTorch shows them: `logSoftmax` gives `LogSoftmaxBackward0`. */
export function gradientName(name: string): string {
  return `${name[0].toUpperCase()}${name.slice(1)}Backward0`
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
    else names.push(part.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase()))
  }
  return { names, positional: positional < 0 ? names.length : positional }
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
  let complex: ((...args: unknown[]) => unknown) | null | undefined
  const call = (forward: (...args: unknown[]) => unknown, given: unknown[]): unknown => {
    const last = given[given.length - 1]
    let out: Tensor | undefined
    if (isOptions(last) && last.out instanceof Tensor && !s.names.includes('out')) {
      const { out: target, ...rest } = last
      out = target as Tensor
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
    return out ? writeOut(r.name, result as Tensor, out) : result
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
