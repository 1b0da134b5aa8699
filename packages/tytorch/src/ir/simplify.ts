// Exact rewrites of expressions: constant folding and identities that keep every bit of the result, NaN, infinities
// and the sign of zero included. So x + 0 stays (it turns -0 into 0), while x + -0 goes.
import type { ComputeType } from '../base/dtype.ts'
import { evaluateNode } from './evaluate.ts'
import { call, constant, type Expr, gather, k, type Prim, sources } from './expr.ts'

type PrimExpr = Extract<Expr, { readonly op: Prim }>

const done = new WeakMap<Expr, Expr>()

/** An equal expression with constants folded and exact identities applied; never changes a bit of the result. */
export function simplify(e: Expr): Expr {
  const known = done.get(e)
  if (known) return known
  const simple = rewrite(over(e, sources(e).map(simplify)))
  done.set(e, simple)
  done.set(simple, simple)
  return simple
}

/** The operation of `e` on other operands of the same types. */
function over(e: Expr, src: readonly Expr[]): Expr {
  const before = sources(e)
  if (src.every((s, i) => s === before[i])) return e
  if (e.op === 'gather') return gather(e.arg, e.type, src[0])
  if (e.op === 'call') return call(e.fn, ...src)
  return build(e as PrimExpr, src)
}

/** `e` with leaves (and gathers, whose positions are replaced first) exchanged for what `leaf` answers, if anything. */
export function substitute(e: Expr, leaf: (e: Expr) => Expr | null): Expr {
  return substitution(leaf)(e)
}

/** As `substitute`, for several expressions that share nodes. */
export function substitution(leaf: (e: Expr) => Expr | null): (e: Expr) => Expr {
  const made = new Map<Expr, Expr>()
  const visit = (e: Expr): Expr => {
    const known = made.get(e)
    if (known) return known
    const src = sources(e)
    const moved = src.length === 0 ? e : over(e, src.map(visit))
    const found = (src.length === 0 || e.op === 'gather' ? leaf(moved) : null) ?? moved
    made.set(e, found)
    return found
  }
  return visit
}

function build(e: PrimExpr, src: readonly Expr[]): Expr {
  const [a, b, c] = src
  switch (e.op as string) {
    case 'cast':
      return k.cast(a, e.type)
    case 'bitcast':
      return k.bitcast(a, e.type)
    case 'shl':
    case 'shr':
    case 'shru':
      return k[e.op as 'shl' | 'shr' | 'shru'](a, (b as Extract<Expr, { op: 'const' }>).value as number)
    default:
      return (k[e.op] as (...operands: Expr[]) => Expr)(a, b, c)
  }
}

const FOLDABLE_LEAVES = new Set(['load', 'gather', 'scalar', 'index', 'acc', 'other', 'result', 'const'])

function rewrite(e: Expr): Expr {
  if (FOLDABLE_LEAVES.has(e.op)) return e
  const src = sources(e)
  if (src.every((s) => s.op === 'const')) return fold(e, src)
  return e.op === 'call' ? e : (identity(e as PrimExpr, src) ?? e)
}

function fold(e: Expr, src: readonly Expr[]): Expr {
  const values = src.map((s) => (s as Extract<Expr, { op: 'const' }>).value)
  const zero = e.type === 'i32' || e.type === 'i64'
  if (zero && (e.op === 'div' || e.op === 'rem') && Number(values[1]) === 0) return e // traps when it runs
  if (e.op === 'madd' && e.type === 'f64') return e // fused or not is the host's choice
  if (e.op === 'madd' && !exactProduct(values as number[])) return e
  const value = evaluateNode(e, values)
  if (e.op === 'bitcast' && Number.isNaN(value)) return e // a NaN constant has no payload
  return constant(value, e.type)
}

/** True if a*b of float32 is a float32, so that fused and separate multiply-add agree. */
function exactProduct([a, b]: readonly number[]): boolean {
  return Math.fround(a * b) === a * b
}

function isConst(e: Expr, value: number): boolean {
  if (e.op !== 'const') return false
  return e.type === 'i64' ? e.value === BigInt(value) : Object.is(e.value, value)
}

const isFloat = (t: ComputeType): boolean => t === 'f32' || t === 'f64'

/** Whether every value of `from` is a value of `to`. */
function holds(from: ComputeType, to: ComputeType): boolean {
  if (from === to || from === 'bool') return true
  if (from === 'i32') return to === 'i64' || to === 'f64'
  return from === 'f32' && to === 'f64'
}

/** What `e` equals by an identity, or null. */
function identity(e: PrimExpr, src: readonly Expr[]): Expr | null {
  const [a, b, c] = src
  const type = e.type
  switch (e.op as string) {
    case 'neg':
      return a.op === 'neg' ? sources(a)[0] : null
    case 'abs':
      return a.op === 'abs' ? a : a.op === 'neg' ? k.abs(sources(a)[0]) : null
    case 'not':
      return negated(a)
    case 'add':
      return sum(type, a, b)
    case 'sub':
      if (isConst(b, 0)) return a
      return !isFloat(type) && a === b ? constant(0, type) : null
    case 'mul':
      return product(type, a, b) ?? product(type, b, a)
    case 'div':
      return isConst(b, 1) ? a : null
    case 'min':
    case 'max':
    case 'pmin':
    case 'pmax':
      return a === b ? a : null
    case 'madd':
      if (isConst(a, 1)) return simplify(k.add(b, c))
      if (isConst(b, 1)) return simplify(k.add(a, c))
      return isConst(c, -0) ? simplify(k.mul(a, b)) : null
    case 'select':
      return chosen(a, b, c)
    case 'cast':
      return castOf(a, type)
    case 'bitcast':
      return a.op === 'bitcast' ? sources(a)[0] : null
    case 'shl':
    case 'shr':
    case 'shru':
      return isConst(b, 0) ? a : null
    case 'and':
    case 'or':
    case 'xor':
      return bits(e.op as string, type, a, b) ?? bits(e.op as string, type, b, a)
    case 'eq':
    case 'le':
    case 'ge':
      return a === b && !isFloat(a.type) ? constant(true, 'bool') : null
    case 'ne':
      return isBoolNumber(a) && isConst(b, 0)
        ? sources(a)[0]
        : a === b && !isFloat(a.type)
          ? constant(false, 'bool')
          : null
    default:
      return null
  }
}

function sum(type: ComputeType, a: Expr, b: Expr): Expr | null {
  const zero = isFloat(type) ? -0 : 0
  return isConst(b, zero) ? a : isConst(a, zero) ? b : null
}

function product(type: ComputeType, a: Expr, b: Expr): Expr | null {
  if (isConst(b, 1)) return a
  if (isConst(b, -1)) return simplify(k.neg(a))
  return !isFloat(type) && isConst(b, 0) ? b : null
}

const OPPOSITE: Record<string, 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'> = {
  eq: 'ne',
  ne: 'eq',
  lt: 'ge',
  ge: 'lt',
  gt: 'le',
  le: 'gt',
}

/** `not a` without the `not`; ordered comparisons of floats keep it, for NaN is neither less nor greater. */
function negated(a: Expr): Expr | null {
  if (a.op === 'not') return sources(a)[0]
  const opposite = OPPOSITE[a.op]
  if (!opposite) return null
  const [x, y] = sources(a)
  return a.op === 'eq' || a.op === 'ne' || !isFloat(x.type) ? k[opposite](x, y) : null
}

function chosen(condition: Expr, a: Expr, b: Expr): Expr | null {
  if (a === b) return a
  if (condition.op === 'const') return condition.value ? a : b
  if (condition.op === 'not') return simplify(k.select(sources(condition)[0], b, a))
  if (a.op === 'const' && b.op === 'const' && a.type === 'bool') return a.value ? condition : simplify(k.not(condition))
  return null
}

function castOf(a: Expr, type: ComputeType): Expr | null {
  if (a.op !== 'cast') return null
  const inner = sources(a)[0]
  return holds(inner.type, a.type) ? k.cast(inner, type) : null
}

function isBoolNumber(a: Expr): boolean {
  return a.op === 'cast' && sources(a)[0].type === 'bool'
}

/** `a op b` with a constant b, or with equal operands. */
function bits(op: string, type: ComputeType, a: Expr, b: Expr): Expr | null {
  const zero = constant(type === 'bool' ? false : 0, type)
  const ones = constant(type === 'bool' ? true : -1, type)
  if (a === b) return op === 'xor' ? zero : a
  if (op === 'and') return b === ones ? a : b === zero ? zero : null
  if (op === 'or') return b === zero ? a : b === ones ? ones : null
  if (b === zero) return a
  return b === ones ? simplify(k.not(a)) : null
}
