// The element-wise families: records of one or two operands become functions, in-place functions, kernels for every
// combination of dtypes, and nodes that undo broadcasting on the way back.
import type { Scalar } from '../backend/device.ts'
import { Complex } from '../base/complex.ts'
import {
  bool,
  type DType,
  dtypes,
  getDefaultDtype,
  type Kind,
  type Operand,
  resultType,
  scalarKind,
  toRealType,
} from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { broadcastSizes, type Sizes, sameSizes } from '../base/shape.ts'
import { constant, type Expr, k, load, scalar } from '../ir/expr.ts'
import { type Arg, mapKernel } from '../ir/kernel.ts'
import { complexForms, notImplemented, partOf, partsOf } from './complex.ts'
import {
  checkApart,
  checkCast,
  type Domain,
  gradientName,
  type Num,
  register,
  type TensorLike,
  withInPlace,
  writeOut,
} from './define.ts'
import { isGradEnabled, noGrad } from './mode.ts'
import { type BackwardOne, changeInPlace, record, requiresGrad } from './node.ts'
import { Prepared, runMap } from './run.ts'
import { empty, emptyLike, Tensor } from './tensor.ts'
import { reduced } from './undo.ts'

/** The gradient of a family's record may need these, by letter. */
type Saves = string

/** The operand of an elementwise op as promotion sees it. */
export function operandOf(x: TensorLike): Operand {
  return x instanceof Tensor
    ? { dtype: x.dtype, rank: x.sizes.length }
    : { dtype: bool, rank: 0, weak: scalarKindOf(x) }
}

function scalarKindOf(x: Num | Complex): Kind {
  if (x instanceof Complex) return 'complex'
  if (typeof x !== 'number' && typeof x !== 'bigint' && typeof x !== 'boolean') {
    throw new TypeError(`expected a Tensor or a number, got ${x === null ? 'null' : typeof x}`)
  }
  return scalarKind(x)
}

const isComplex = (x: TensorLike): boolean => (x instanceof Tensor ? x.dtype.kind === 'complex' : x instanceof Complex)

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
  /** Throws for dtypes that PyTorch refuses. */
  readonly check?: (dtype: DType) => void
  /** The gradient from the incoming one; absent where the op has none. */
  readonly grad?: (g: Tensor, x: Tensor, out: Tensor) => Tensor
  /** Which of `x` and `o` (out) the gradient reads. */
  readonly saves?: Saves
  readonly domain?: Domain
  /** PyTorch's name of the node in place, where that differs. */
  readonly inPlaceNode?: string
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
    r.check?.(dtype)
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
  const ofComplex = (x: Tensor): Tensor => {
    const form = complexForms.get(r.name)
    if (!form) throw notImplemented(r.name, x.dtype)
    const out = form.value(x, x)
    if (!form.analytic || !grad) return out
    const saved = savesX ? (savesOut ? [x, out] : [x]) : savesOut ? [out] : []
    return record(out, node, [x], saved, (g, s) => [grad(g.conj(), s[0], s[s.length - 1]).conj()])
  }
  const fn = (x: Tensor, options?: UnaryOptions): Tensor => {
    if (!(x instanceof Tensor)) throw new TypeError(`${r.name}(): argument 'input' must be Tensor, not ${typeof x}`)
    if (x.dtype.kind === 'complex') return options?.out ? writeOut(r.name, ofComplex(x), options.out) : ofComplex(x)
    const p = prepared[x.dtype.index] ?? prepare(x.dtype)
    const out = emptyLike(x, outs[x.dtype.index] ?? p.kernel.args[1].dtype)
    if (x.contiguousLayout && x.count > 0) p.contiguous(x.count, x.pointer, out.pointer)
    else runMap(p, x.sizes, [x, out])
    if (options?.out) {
      checkApart(options.out, [x], true)
      return writeOut(r.name, out, options.out)
    }
    return x.node !== null || x.leaf !== null || x.base !== null ? track(x, out) : out
  }
  const inPlace = (x: Tensor): Tensor => {
    if (x.dtype.kind === 'complex') {
      const result = ofComplex(x.clone())
      if (result.dtype !== x.dtype) throw new RuntimeError(`In-place ${r.name} is not supported for complex tensors.`)
      return x.copy_(result)
    }
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
    return record(x, r.inPlaceNode ?? node, [source], saved, (g, s) => [grad(g, s[0], s[s.length - 1])])
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
  if (from.dtype.kind === 'complex' || to.dtype.kind === 'complex') return copyComplex(from, to)
  const at = from.dtype.index * 16 + to.dtype.index
  copies[at] ??= new Prepared(
    mapKernel(
      'copy',
      [readArg(from.dtype), writeArg(to.dtype)],
      [],
      [{ arg: 1, value: k.cast(load(0, from.dtype.compute), to.dtype.compute) }],
    ),
  )
  if (from.contiguousLayout && to.contiguousLayout && to.count > 0 && sameSizes(from.sizes, to.sizes))
    copies[at].contiguous(to.count, from.pointer, to.pointer)
  else runMap(copies[at], to.sizes, [from, to])
}

function copyComplex(from: Tensor, to: Tensor): void {
  if (to.dtype.kind !== 'complex') {
    const real = partOf(from, 0)
    if (to.dtype !== bool) return copyValues(real, to)
    const found = complexForms.get('ne')
    if (!found) throw notImplemented('copy', from.dtype)
    const zero = empty([], from.dtype).fill_(0)
    return copyValues(found.value(from, zero), to)
  }
  if (from.dtype.kind === 'complex') {
    return copyValues(partsOf(from), partsOf(to))
  }
  copyValues(from, partOf(to, 0))
  copyValues(empty([], toRealType(to.dtype)).fill_(0), partOf(to, 1))
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
  /** PyTorch's name of the node, where that depends on which operands are numbers. */
  readonly node?: (x: TensorLike, y: TensorLike) => string
  readonly domain?: Domain
  readonly noInPlace?: boolean
  /** Which operands may be numbers; either if absent. */
  readonly numbers?: 'second' | 'none'
  /** Second operands with kernels of their own, in which `expr` gets a constant. */
  readonly constants?: readonly number[]
  /** Throws for dtypes that PyTorch refuses. */
  readonly check?: (common: DType) => void
  /** Throws for numbers as the second operand that PyTorch refuses. */
  readonly checkNumber?: (value: Num, common: DType) => void
}

/** An op of two operands that broadcast, of which one may be a number. */
export type Binary = (x: TensorLike, y: TensorLike, options?: UnaryOptions) => Tensor

/** Defines an element-wise op of two operands. */
export function binary(r: BinaryRecord): Binary {
  const tensorTensor: (Prepared | undefined)[] = []
  const tensorScalar: (Prepared | undefined)[] = []
  const scalarTensor: (Prepared | undefined)[] = []
  const fixed = new Map<number, Prepared>()
  const build = (a: DType | null, b: DType | null, common: DType, value?: number): Prepared => {
    r.check?.(common)
    const { compute, out } = ruleDtype(r.dtype, common)
    const args: Arg[] = []
    const operand = (dtype: DType | null): Expr => {
      if (!dtype && value !== undefined) return constant(value, compute.compute)
      if (!dtype)
        return compute.compute === 'bool' ? k.ne(scalar(0, 'i32'), constant(0, 'i32')) : scalar(0, compute.compute)
      args.push(readArg(dtype))
      return k.cast(load(args.length - 1, dtype.compute), compute.compute)
    }
    const result = k.cast(r.expr(operand(a), operand(b)), out.compute)
    const types = a && b ? [] : [compute.compute === 'bool' ? ('i32' as const) : compute.compute]
    return new Prepared(mapKernel(r.name, [...args, writeArg(out)], types, [{ arg: args.length, value: result }]))
  }
  /** Where integers give the default float, kernels of another default are others. */
  const defaultAt = (common: DType): number =>
    r.dtype === 'float' && !common.isFloatingPoint ? 100_000 * getDefaultDtype().index : 0
  /** The kernel of two tensors; `common` is their result type. */
  const both = (x: Tensor, y: Tensor): Prepared => {
    const wide = defaultAt(x.dtype)
    if (x.dtype === y.dtype) return (tensorTensor[x.dtype.index * 17 + wide] ??= build(x.dtype, y.dtype, x.dtype))
    const common = resultType([operandOf(x), operandOf(y)])
    const at = x.dtype.index * 16 + y.dtype.index + 1000 * (1 + common.index) + defaultAt(common)
    return (tensorTensor[at] ??= build(x.dtype, y.dtype, common))
  }
  const withScalar = (t: Tensor, s: Num, first: boolean): { p: Prepared; value: Scalar } => {
    const common = resultType([operandOf(t), operandOf(s)])
    if (first) r.checkNumber?.(s, common)
    const list = first ? tensorScalar : scalarTensor
    const at = t.dtype.index * 16 + common.index + defaultAt(common)
    const which = first && r.constants ? r.constants.indexOf(s as number) : -1
    if (which >= 0) {
      const key = at * 16 + which
      let p = fixed.get(key)
      if (!p) {
        p = build(t.dtype, null, common, s as number)
        fixed.set(key, p)
      }
      return { p, value: launchScalar(s, ruleDtype(r.dtype, common).compute) }
    }
    const p = (list[at] ??= first ? build(t.dtype, null, common) : build(null, t.dtype, common))
    return { p, value: launchScalar(s, ruleDtype(r.dtype, common).compute) }
  }
  const node = gradientName(r.name)
  const { grad } = r
  const savesX = r.saves?.[0] ?? ''
  const savesY = r.saves?.[1] ?? ''

  /** Records `out`; `from` is the first operand's value if it is about to be overwritten. */
  const track = (x: TensorLike, y: TensorLike, out: Tensor, from: Tensor | null): Tensor => {
    if (!grad || !isGradEnabled()) return out
    const first = x instanceof Tensor ? x : null
    const second = y instanceof Tensor ? y : null
    const wantsX = first !== null && requiresGrad(first)
    const wantsY = second !== null && requiresGrad(second)
    if (!wantsX && !wantsY) return out
    const saved: Tensor[] = []
    const ix =
      first && ((wantsX && savesX.includes('x')) || (wantsY && savesY.includes('x')))
        ? saved.push(from ?? first) - 1
        : -1
    const iy =
      second && ((wantsX && savesX.includes('y')) || (wantsY && savesY.includes('y'))) ? saved.push(second) - 1 : -1
    const io = (wantsX && savesX.includes('o')) || (wantsY && savesY.includes('o')) ? saved.push(out) - 1 : -1
    const inputs = first ? (second ? [first, second] : [first]) : [second as Tensor]
    return record(out, r.node?.(x, y) ?? node, inputs, saved, backwardOf(grad, ix, iy, io, first ?? x, second ?? y))
  }
  /** As `fn` and `inPlace` for complex operands: both as tensors of the common dtype. */
  const ofComplex = (x: TensorLike, y: TensorLike): Tensor => {
    if (r.numbers && !(x instanceof Tensor)) throw notTensor('input', x)
    if (r.numbers === 'none' && !(y instanceof Tensor)) throw notTensor('other', y)
    const common = resultType([operandOf(x), operandOf(y)])
    r.check?.(common)
    const form = complexForms.get(r.name)
    if (!form) throw notImplemented(r.name, common)
    const as = (t: TensorLike): Tensor => {
      if (t instanceof Tensor) return t.dtype === common ? t : t.to(common)
      const made = empty([], common)
      const [re, im] = t instanceof Complex ? [t.re, t.im] : [Number(t), 0]
      made.fill_(re)
      if (im !== 0 || Object.is(im, -0)) partOf(made, 1).fill_(im)
      return made
    }
    if (!form.analytic) return form.value(as(x), as(y), y)
    const a = x instanceof Complex ? as(x) : x
    const b = y instanceof Complex ? as(y) : y
    const out = noGrad(() => form.value(as(a), as(b), y))
    return grad ? track(a, b, out, null) : out
  }
  const notTensor = (argument: string, given: TensorLike): TypeError =>
    new TypeError(`${r.name}(): argument '${argument}' must be Tensor, not ${typeof given}`)
  const fn = (x: TensorLike, y: TensorLike, options?: UnaryOptions): Tensor => {
    let out: Tensor
    if (isComplex(x) || isComplex(y)) {
      out = ofComplex(x, y)
      return options?.out ? writeOut(r.name, out, options.out) : out
    }
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
      if (r.numbers === 'none') throw notTensor('other', y)
      const { p, value } = withScalar(x, y as Num, true)
      out = emptyLike(x, p.kernel.args[1].dtype)
      if (x.contiguousLayout && x.count > 0) p.contiguous(x.count, x.pointer, out.pointer, value)
      else runMap(p, x.sizes, [x, out], [value])
    } else if (y instanceof Tensor) {
      if (r.numbers) throw notTensor('input', x)
      const { p, value } = withScalar(y, x as Num, false)
      out = emptyLike(y, p.kernel.args[1].dtype)
      runMap(p, y.sizes, [y, out], [value])
    } else
      throw new TypeError(`${r.name}(): at least one of the operands must be a Tensor, got ${typeof x} and ${typeof y}`)
    if (options?.out) {
      checkApart(options.out, [x, y], true)
      return writeOut(r.name, out, options.out)
    }
    return grad ? track(x, y, out, null) : out
  }
  const inPlace = (x: Tensor, y: TensorLike): Tensor => {
    if (r.numbers === 'none' && !(y instanceof Tensor)) throw notTensor('other', y)
    if (isComplex(x) || isComplex(y)) {
      const result = ofComplex(x.clone(), y)
      checkCast(result.dtype, x.dtype)
      if (!sameSizes(result.sizes, x.sizes)) {
        throw new RuntimeError(
          `output with shape [${x.sizes.join(', ')}] doesn't match the broadcast shape [${result.sizes.join(', ')}]`,
        )
      }
      return x.copy_(result)
    }
    const scalarForm = y instanceof Tensor ? null : withScalar(x, y as Num, true)
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
      ...(r.numbers === 'none' ? [] : [[t(3), 1.5]]),
      ...(r.numbers ? [] : [[1.5, t(3)]]),
      [t(), t(2, 3)],
      [t(0, 3), t(1, 3)],
      [t(4, 3).t(), t(3, 4)],
    ],
    fn,
    ...(r.noInPlace ? {} : { inPlace }),
  })
  return r.noInPlace ? fn : withInPlace(fn, inPlace)
}

/** The gradient of one call. What it closes over are sizes and numbers: tensors are only kept if they are saved. */
function backwardOf(
  grad: NonNullable<BinaryRecord['grad']>,
  ix: number,
  iy: number,
  io: number,
  x: TensorLike,
  y: TensorLike,
): BackwardOne {
  const xSizes = x instanceof Tensor ? x.sizes : null
  const ySizes = y instanceof Tensor ? y.sizes : null
  const xDtype = x instanceof Tensor ? x.dtype : null
  const yDtype = y instanceof Tensor ? y.dtype : null
  const xNumber = x instanceof Tensor ? 0 : x
  const yNumber = y instanceof Tensor ? 0 : y
  return (given, s, needs) => {
    // The gradient of a complex function is that of a real one with everything but g conjugated: here, g and the result.
    const complex = given.dtype.kind === 'complex'
    const g = complex ? given.conj() : given
    const undo = complex ? (t: Tensor, sizes: Sizes, dtype: DType) => reduced(t.conj(), sizes, dtype) : reduced
    // A tensor that a partial derivative does not read is not there: it gets g in its place.
    const xs = ix >= 0 ? s[ix] : xSizes ? g : xNumber
    const ys = iy >= 0 ? s[iy] : ySizes ? g : yNumber
    const o = io >= 0 ? s[io] : g
    const result: (Tensor | null)[] = []
    if (xSizes && xDtype) result.push(needs[0] && grad[0] ? undo(grad[0](g, xs, ys, o), xSizes, xDtype) : null)
    if (ySizes && yDtype)
      result.push(needs[result.length] && grad[1] ? undo(grad[1](g, xs, ys, o), ySizes, yDtype) : null)
    return result
  }
}

/** True if `y` lies in `x`'s storage in another layout, so that writing `x` could change `y` while it is read. */
export function overlaps(x: Tensor, y: Tensor): boolean {
  if (x.storage !== y.storage) return false
  return x.offset !== y.offset || !sameSizes(x.sizes, y.sizes) || !sameSizes(x.strides, y.strides)
}
