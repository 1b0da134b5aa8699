// Op records: what an op states about itself, and the families that turn a record into a function, a method, an
// in-place method, kernels and a gradient. Adding an op is writing one record in ops/.
import type { Scalar } from '../backend/device.ts'
import {
  bool,
  canCast,
  type DType,
  dtypes,
  getDefaultDtype,
  type Operand,
  resultType,
  scalarKind,
} from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { broadcastSizes, numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { constant, type Expr, k, load, scalar } from '../ir/expr.ts'
import { type Arg, mapKernel } from '../ir/kernel.ts'
import { isGradEnabled } from './mode.ts'
import { changeInPlace, record, requiresGrad } from './node.ts'
import { Prepared, runMap } from './run.ts'
import { empty, emptyLike, Tensor } from './tensor.ts'

/** A JavaScript value where PyTorch takes a Python scalar. */
export type Num = number | bigint | boolean
/** A tensor or a scalar. */
export type TensorLike = Tensor | Num

/** Arguments as PyTorch takes them: by position, or by name in one trailing options object, or some of each. */
export type Args<P extends unknown[], O> = P | Mixed<Required<P>, O>
type Mixed<P extends unknown[], O> =
  | [options: O]
  | (P extends [infer A, ...infer R] ? [first: A, ...rest: Mixed<R, O>] : never)

/** The gradient of a family's record may need these, by letter. */
type Saves = string

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

/** The operand of an elementwise op as promotion sees it. */
function operandOf(x: TensorLike): Operand {
  return x instanceof Tensor
    ? { dtype: x.dtype, rank: x.sizes.length }
    : { dtype: bool, rank: 0, weak: scalarKindOf(x) }
}

function scalarKindOf(x: Num): 'bool' | 'int' | 'float' {
  if (typeof x !== 'number' && typeof x !== 'bigint' && typeof x !== 'boolean') {
    throw new TypeError(`expected a Tensor or a number, got ${x === null ? 'null' : typeof x}`)
  }
  return scalarKind(x)
}

/** A scalar as the launch argument of compute type of `dtype`. */
function launchScalar(x: Num, dtype: DType): Scalar {
  if (dtype.compute === 'i64') return BigInt(typeof x === 'number' ? Math.trunc(x) : x)
  if (dtype.compute === 'bool') return Number(Boolean(x))
  return Number(x)
}

const readArg = (dtype: DType): Arg => ({ dtype, mode: 'read', per: 'element' })
const writeArg = (dtype: DType): Arg => ({ dtype, mode: 'write', per: 'element' })

/** What the result's dtype is: that of the inputs, a float, bool. */
export type DTypeRule = 'same' | 'float' | 'bool'

function ruleDtype(rule: DTypeRule, common: DType): { compute: DType; out: DType } {
  if (rule === 'bool') return { compute: common, out: bool }
  const compute = rule === 'float' && !common.isFloatingPoint ? getDefaultDtype() : common
  return { compute, out: compute }
}

export interface UnaryRecord {
  readonly name: string
  readonly python?: string
  readonly dtype: DTypeRule
  /** The element's value, from one of the compute type. */
  readonly expr: (x: Expr) => Expr
  /** The gradient from the incoming one; absent where the op has none. */
  readonly grad?: (g: Tensor, x: Tensor, out: Tensor) => Tensor
  /** Which of `x` and `o` (out) the gradient reads. */
  readonly saves?: Saves
  readonly domain?: Domain
  /** PyTorch has no `name_`. */
  readonly noInPlace?: boolean
}

export interface UnaryOptions {
  readonly out?: Tensor
}

/** An op of one tensor, element by element. */
export type Unary = (x: Tensor, options?: UnaryOptions) => Tensor

/** Defines an element-wise op of one tensor. */
export function unary(r: UnaryRecord): Unary {
  const prepared: (Prepared | undefined)[] = []
  const outs: (DType | undefined)[] = []
  const prepare = (dtype: DType): Prepared => {
    const { compute, out } = ruleDtype(r.dtype, dtype)
    const value = r.expr(k.cast(load(0, dtype.compute), compute.compute))
    const made = new Prepared(
      mapKernel(r.name, [readArg(dtype), writeArg(out)], [], [{ arg: 1, value: k.cast(value, out.compute) }]),
    )
    if (getDefaultDtype() === dtypes[0]) {
      prepared[dtype.index] = made
      outs[dtype.index] = out
    }
    return made
  }
  const node = gradientName(r.name)
  const { grad } = r
  const savesX = r.saves?.includes('x') ?? false
  const savesOut = r.saves?.includes('o') ?? false

  const track = (x: Tensor, out: Tensor): Tensor => {
    if (!grad) return out
    const saved = savesX ? (savesOut ? [x, out] : [x]) : savesOut ? [out] : []
    return record(out, node, [x], saved, (g, s) => [grad(g, s[0], s[s.length - 1])])
  }
  const fn = (x: Tensor, options?: UnaryOptions): Tensor => {
    if (!(x instanceof Tensor)) throw new TypeError(`${r.name}(): argument 'input' must be Tensor, not ${typeof x}`)
    const p = prepared[x.dtype.index] ?? prepare(x.dtype)
    const out = emptyLike(x, outs[x.dtype.index] ?? p.kernel.args[1].dtype)
    if (x.contiguousLayout && x.count > 0) p.contiguous(x.count, x.pointer, out.pointer)
    else runMap(p, x.sizes, [x, out])
    if (options?.out) return writeOut(r.name, out, options.out)
    return x.node !== null || x.leaf !== null || x.base !== null ? track(x, out) : out
  }
  const inPlace = (x: Tensor): Tensor => {
    const p = prepared[x.dtype.index] ?? prepare(x.dtype)
    checkCast(p.kernel.args[1].dtype, x.dtype)
    const recorded = grad !== undefined && isGradEnabled() && requiresGrad(x)
    const before = recorded && savesX ? x.clone().detach() : x
    const source = recorded ? snapshot(x) : x
    changeInPlace(x)
    if (p.kernel.args[1].dtype === x.dtype) runMap(p, x.sizes, [x, x])
    else {
      const result = emptyLike(x, p.kernel.args[1].dtype)
      runMap(p, x.sizes, [x, result])
      copyValues(result, x)
    }
    if (!recorded || !grad) return x
    const saved = savesX ? (savesOut ? [before, x] : [before]) : savesOut ? [x] : []
    return record(x, node, [source], saved, (g, s) => [grad(g, s[0], s[s.length - 1])])
  }
  register({
    name: r.name,
    ...(r.python ? { python: r.python } : {}),
    family: 'unary',
    signature: 'input, *, out',
    differentiable: grad !== undefined,
    domain: r.domain ?? {},
    samples: (t) => [[t(3, 4)], [t()], [t(0, 3)], [t(4, 3).t()]],
    fn,
    ...(r.noInPlace ? {} : { inPlace }),
  })
  return r.noInPlace ? fn : withInPlace(fn, inPlace)
}

/** A handle with `x`'s history as it is now, to be an input of an op that changes `x` in place. */
export function snapshot(x: Tensor): Tensor {
  const s = new Tensor(x.storage, x.sizes, x.strides, x.offset, x.dtype)
  s.node = x.node
  s.nodeOutput = x.nodeOutput
  s.leaf = x.leaf
  s.base = x.base
  s.baseVersion = x.baseVersion
  return s
}

const copies: (Prepared | undefined)[] = []

/** Copies values from `from` to `to` (broadcast, converted), with no recording. */
export function copyValues(from: Tensor, to: Tensor): void {
  const at = from.dtype.index * 16 + to.dtype.index
  copies[at] ??= new Prepared(
    mapKernel(
      'copy',
      [readArg(from.dtype), writeArg(to.dtype)],
      [],
      [{ arg: 1, value: k.cast(load(0, from.dtype.compute), to.dtype.compute) }],
    ),
  )
  runMap(copies[at], to.sizes, [from, to])
}

/** Partial derivative with respect to one operand; operands that are scalars arrive as numbers. */
type Partial2 = (g: Tensor, x: TensorLike, y: TensorLike, out: Tensor) => Tensor

export interface BinaryRecord {
  readonly name: string
  readonly python?: string
  readonly dtype: DTypeRule
  readonly expr: (x: Expr, y: Expr) => Expr
  /** Partial derivatives for the first and the second operand, in the common shape; broadcasting is undone here. */
  readonly grad?: readonly [Partial2 | null, Partial2 | null]
  /** Which of `x`, `y` and `o` (out) each partial derivative reads. */
  readonly saves?: readonly [Saves, Saves]
  readonly domain?: Domain
  readonly noInPlace?: boolean
  /** Throws for dtypes that PyTorch refuses. */
  readonly check?: (common: DType) => void
}

/** An op of two operands that broadcast, of which one may be a number. */
export type Binary = (x: TensorLike, y: TensorLike, options?: UnaryOptions) => Tensor

/** Defines an element-wise op of two operands. */
export function binary(r: BinaryRecord): Binary {
  const tensorTensor: (Prepared | undefined)[] = []
  const tensorScalar: (Prepared | undefined)[] = []
  const scalarTensor: (Prepared | undefined)[] = []
  const build = (a: DType | null, b: DType | null, common: DType): Prepared => {
    r.check?.(common)
    const { compute, out } = ruleDtype(r.dtype, common)
    const args: Arg[] = []
    const operand = (dtype: DType | null): Expr => {
      if (!dtype)
        return compute.compute === 'bool' ? k.ne(scalar(0, 'i32'), constant(0, 'i32')) : scalar(0, compute.compute)
      args.push(readArg(dtype))
      return k.cast(load(args.length - 1, dtype.compute), compute.compute)
    }
    const value = k.cast(r.expr(operand(a), operand(b)), out.compute)
    const types = a && b ? [] : [compute.compute === 'bool' ? ('i32' as const) : compute.compute]
    return new Prepared(mapKernel(r.name, [...args, writeArg(out)], types, [{ arg: args.length, value }]))
  }
  /** The kernel of two tensors; `common` is their result type. */
  const both = (x: Tensor, y: Tensor): Prepared => {
    if (x.dtype === y.dtype) return (tensorTensor[x.dtype.index * 17] ??= build(x.dtype, y.dtype, x.dtype))
    const common = resultType([operandOf(x), operandOf(y)])
    const at = x.dtype.index * 16 + y.dtype.index + 1000 * (1 + common.index)
    return (tensorTensor[at] ??= build(x.dtype, y.dtype, common))
  }
  const withScalar = (t: Tensor, s: Num, first: boolean): { p: Prepared; value: Scalar } => {
    const common = resultType([operandOf(t), operandOf(s)])
    const list = first ? tensorScalar : scalarTensor
    const at = t.dtype.index * 16 + common.index
    const p = (list[at] ??= first ? build(t.dtype, null, common) : build(null, t.dtype, common))
    return { p, value: launchScalar(s, ruleDtype(r.dtype, common).compute) }
  }
  const node = gradientName(r.name)
  const { grad } = r
  const savesX = r.saves?.[0] ?? ''
  const savesY = r.saves?.[1] ?? ''

  const track = (x: TensorLike, y: TensorLike, out: Tensor, from: Tensor | null): Tensor => {
    if (!grad || !isGradEnabled()) return out
    const wantsX = x instanceof Tensor && requiresGrad(x)
    const wantsY = y instanceof Tensor && requiresGrad(y)
    if (!wantsX && !wantsY) return out
    const letters = (wantsX ? savesX : '') + (wantsY ? savesY : '')
    const saved: Tensor[] = []
    const keep = (letter: string, t: TensorLike): number =>
      t instanceof Tensor && letters.includes(letter) ? saved.push(t) - 1 : -1
    const ix = keep('x', from ?? x)
    const iy = keep('y', y)
    const io = keep('o', out)
    const inputs: Tensor[] = []
    if (x instanceof Tensor) inputs.push(x)
    if (y instanceof Tensor) inputs.push(y)
    const xLike = x instanceof Tensor ? shapeOf(x) : null
    const yLike = y instanceof Tensor ? shapeOf(y) : null
    return record(out, node, inputs, saved, (g, s, needs) => {
      const xs = ix >= 0 ? s[ix] : x instanceof Tensor ? g : x
      const ys = iy >= 0 ? s[iy] : y instanceof Tensor ? g : y
      const o = io >= 0 ? s[io] : g
      const result: (Tensor | null)[] = []
      if (xLike) result.push(needs[0] && grad[0] ? reduceLike(grad[0](g, xs, ys, o), xLike) : null)
      if (yLike) result.push(needs[result.length] && grad[1] ? reduceLike(grad[1](g, xs, ys, o), yLike) : null)
      return result
    })
  }
  const fn = (x: TensorLike, y: TensorLike, options?: UnaryOptions): Tensor => {
    let out: Tensor
    if (x instanceof Tensor && y instanceof Tensor) {
      const p = both(x, y)
      const dtype = p.kernel.args[2].dtype
      if (x.contiguousLayout && y.contiguousLayout && sameSizes(x.sizes, y.sizes) && x.count > 0) {
        out = emptyLike(x, dtype)
        p.contiguous(x.count, x.pointer, y.pointer, out.pointer)
      } else {
        out = empty(broadcastSizes(x.sizes, y.sizes), dtype)
        runMap(p, out.sizes, [x, y, out])
      }
    } else if (x instanceof Tensor) {
      const { p, value } = withScalar(x, y as Num, true)
      out = emptyLike(x, p.kernel.args[1].dtype)
      if (x.contiguousLayout && x.count > 0) p.contiguous(x.count, x.pointer, out.pointer, value)
      else runMap(p, x.sizes, [x, out], [value])
    } else if (y instanceof Tensor) {
      const { p, value } = withScalar(y, x, false)
      out = emptyLike(y, p.kernel.args[1].dtype)
      runMap(p, y.sizes, [y, out], [value])
    } else
      throw new TypeError(`${r.name}(): at least one of the operands must be a Tensor, got ${typeof x} and ${typeof y}`)
    if (options?.out) return writeOut(r.name, out, options.out)
    return grad ? track(x, y, out, null) : out
  }
  const inPlace = (x: Tensor, y: TensorLike): Tensor => {
    const scalarForm = y instanceof Tensor ? null : withScalar(x, y, true)
    const p = scalarForm ? scalarForm.p : both(x, y as Tensor)
    const scalars = scalarForm ? [scalarForm.value] : []
    const dtype = p.kernel.args[p.kernel.args.length - 1].dtype
    checkCast(dtype, x.dtype)
    if (y instanceof Tensor && !sameSizes(broadcastSizes(x.sizes, y.sizes), x.sizes)) {
      throw new RuntimeError(
        `output with shape [${x.sizes.join(', ')}] doesn't match the broadcast shape [${broadcastSizes(x.sizes, y.sizes).join(', ')}]`,
      )
    }
    const recorded =
      grad !== undefined && isGradEnabled() && (requiresGrad(x) || (y instanceof Tensor && requiresGrad(y)))
    const source = recorded ? snapshot(x) : x
    const needsOld = recorded && (savesX + savesY).includes('x')
    const before = needsOld ? x.clone().detach() : null
    const other = y instanceof Tensor ? (overlaps(x, y) ? y.clone() : y) : null
    changeInPlace(x)
    const inputs = other ? [x, other] : [x]
    if (dtype === x.dtype) runMap(p, x.sizes, [...inputs, x], scalars)
    else {
      const result = emptyLike(x, dtype)
      runMap(p, x.sizes, [...inputs, result], scalars)
      copyValues(result, x)
    }
    return recorded ? track(source, y, x, before) : x
  }
  register({
    name: r.name,
    ...(r.python ? { python: r.python } : {}),
    family: 'binary',
    signature: 'input, other, *, out',
    differentiable: grad !== undefined,
    domain: r.domain ?? {},
    samples: (t) => [
      [t(3, 4), t(3, 4)],
      [t(2, 1, 3), t(4, 1)],
      [t(3), 1.5],
      [1.5, t(3)],
      [t(), t(2, 3)],
      [t(0, 3), t(1, 3)],
      [t(4, 3).t(), t(3, 4)],
    ],
    fn,
    ...(r.noInPlace ? {} : { inPlace }),
  })
  return r.noInPlace ? fn : withInPlace(fn, inPlace)
}

/** What undoing a broadcast needs to know of an operand, without keeping its memory. */
export interface Shaped {
  readonly sizes: Sizes
  readonly dtype: DType
}

export function shapeOf(x: Tensor): Shaped {
  return { sizes: x.sizes, dtype: x.dtype }
}

/** Sums a gradient over the dimensions that broadcasting added or repeated, and gives it the operand's dtype. */
export function reduceLike(g: Tensor, like: Shaped): Tensor {
  const cast = g.dtype === like.dtype ? g : g.to(like.dtype)
  return sameSizes(cast.sizes, like.sizes) ? cast : cast.sumToSize(like.sizes)
}

/** True if `y` lies in `x`'s storage in another layout, so that writing `x` could change `y` while it is read. */
export function overlaps(x: Tensor, y: Tensor): boolean {
  if (x.storage !== y.storage) return false
  return x.offset !== y.offset || !sameSizes(x.sizes, y.sizes) || !sameSizes(x.strides, y.strides)
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
  const call = (forward: (...args: unknown[]) => unknown, given: unknown[]): unknown => {
    const last = given[given.length - 1]
    let out: Tensor | undefined
    if (isOptions(last) && last.out instanceof Tensor && !s.names.includes('out')) {
      const { out: target, ...rest } = last
      out = target as Tensor
      given[given.length - 1] = Object.keys(rest).length ? rest : undefined
    }
    const result = forward(...bind(r.name, s, given))
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
