// The instructions of each primitive operation, for one group of lanes.
import type { ComputeType } from '../../base/dtype.ts'
import { type Expr, sources } from '../../ir/expr.ts'
import { quick } from '../../ir/quick.ts'
import { type Func, f32, f32x4, f64, f64x2, i32, i32x4, i64, i64x2, type Op, v128 } from './assembler.ts'
import type { Frame } from './frame.ts'
import type { Parts } from './storage.ts'

/**
 * A value in a group of lanes: its vectors and, for bool masks, whether they are one vector of 32-bit lanes or two of
 * 64-bit lanes. `any`: all lanes are equal, so one vector serves both widths.
 */
export interface Value {
  readonly parts: Parts
  readonly form: 'any' | 'narrow' | 'wide'
}

/** The place where operations are emitted: groups of four elements, or one element held in all lanes. */
export interface Group {
  readonly frame: Frame
  readonly element: boolean
  /** The value of a node in group `u`. */
  get(e: Expr, u: number): Value
  /** Its vectors as 64-bit lanes need them (`wide`) or as 32-bit lanes do; these differ for masks only. */
  parts(e: Expr, u: number, wide: boolean): Parts
  /** Vectors that a value of `type` has in a group. */
  partsOf(type: ComputeType): number
  /** A place of one group, in which `known` have their values of group `u` and all else is computed anew: a branch. */
  inside(u: number, known: readonly Expr[]): Branch
}

/** What is computed in a branch. */
export interface Branch extends Group {
  evaluate(roots: readonly Expr[]): void
}

export const isWide = (type: ComputeType): boolean => type === 'f64' || type === 'i64'

/** The operands evaluated for a node: a negated factor of a multiply-add is absorbed by the instruction. */
export function operandsOf(e: Expr): readonly Expr[] {
  if (e.op !== 'madd') return sources(e)
  return e.src.map((s, i) => (i < 2 && s.op === 'neg' ? s.src[0] : s))
}

type Numeric = Exclude<ComputeType, 'bool'>
type Table = Readonly<Partial<Record<ComputeType, Op>>>

const lanes = { f32: f32x4, f64: f64x2, i32: i32x4, i64: i64x2, bool: i32x4 } as const

const table = (name: keyof typeof f32x4 & keyof typeof f64x2): Table => ({ f32: f32x4[name], f64: f64x2[name] })
const all = (name: keyof typeof f32x4 & keyof typeof f64x2 & keyof typeof i32x4 & keyof typeof i64x2): Table => ({
  ...table(name),
  i32: i32x4[name],
  i64: i64x2[name],
})

/** Operations that are one instruction on each vector. */
const direct: Readonly<Record<string, Table>> = {
  neg: all('neg'),
  abs: all('abs'),
  sqrt: table('sqrt'),
  floor: table('floor'),
  ceil: table('ceil'),
  trunc: table('trunc'),
  nearest: table('nearest'),
  not: { bool: v128.not, i32: v128.not, i64: v128.not },
  add: all('add'),
  sub: all('sub'),
  mul: all('mul'),
  div: table('div'),
  min: { i32: i32x4.minS },
  max: { i32: i32x4.maxS },
  pmin: table('pmin'),
  pmax: table('pmax'),
  and: { bool: v128.and, i32: v128.and, i64: v128.and },
  or: { bool: v128.or, i32: v128.or, i64: v128.or },
  xor: { bool: v128.xor, i32: v128.xor, i64: v128.xor },
  eq: all('eq'),
  ne: { ...all('ne'), bool: v128.xor },
  lt: { ...table('lt'), i32: i32x4.ltS, i64: i64x2.ltS },
  le: { ...table('le'), i32: i32x4.leS, i64: i64x2.leS },
  gt: { ...table('gt'), i32: i32x4.gtS, i64: i64x2.gtS },
  ge: { ...table('ge'), i32: i32x4.geS, i64: i64x2.geS },
}

/** Spreads lane 0 of a vector to all lanes. */
export function splatOf({ f }: Frame, type: ComputeType, local: number): void {
  f.get(local).lane(lanes[type].extractLane, 0).op(lanes[type].splat).set(local)
}

/** The value of a primitive operation or host call in group `u`; its operands have values. */
export function apply(on: Group, e: Expr, u: number): Value {
  if (e.op === 'bitcast') return on.get(e.src[0], u)
  if (e.op === 'cast') return cast(on, e.src[0], e.type, u)
  if (e.op === 'call') return value(on, call(on, e, u), 'wide')
  const src = operandsOf(e)
  const wide = width(on, src, u)
  const operands = src.map((s) => on.parts(s, u, wide))
  if ((e.op === 'div' || e.op === 'rem') && !isFloat(e.type)) return value(on, divide(on, e, u), 'wide')
  const count = wide && !on.element ? 2 : 1
  const parts: number[] = []
  for (let p = 0; p < count; p++) {
    const v = on.frame.vector()
    emit(
      on,
      e,
      operands.map((parts) => parts[p] ?? parts[0]),
    )
    on.frame.f.set(v)
    parts.push(v)
  }
  return value(on, parts, wide ? 'wide' : 'narrow')
}

function value(on: Group, parts: Parts, form: 'narrow' | 'wide'): Value {
  return { parts, form: on.element ? 'any' : form }
}

const isFloat = (type: ComputeType): boolean => type === 'f32' || type === 'f64'

/** True if an operation works on 64-bit lanes; operations on bools take the lanes that their operands have. */
function width(on: Group, src: readonly Expr[], u: number): boolean {
  const typed = src.find((s) => s.type !== 'bool')
  if (typed) return isWide(typed.type)
  const forms = src.map((s) => on.get(s, u).form).filter((form) => form !== 'any')
  return forms.length > 0 && forms.every((form) => form === 'wide')
}

/** True for a constant without a bit set. */
const isZero = (e: Expr): boolean => e.op === 'const' && (Object.is(Number(e.value), 0) || e.value === false)

/** Pushes an operation's result for one vector of each operand. */
function emit(on: Group, e: Expr, v: readonly number[]): void {
  const { f, host } = on.frame
  if (!('src' in e)) throw new Error(`kernel expression '${e.op}' can't be computed here`)
  const type = e.src[0].type
  const op = direct[e.op]?.[type]
  if (op !== undefined) {
    for (const local of v) f.get(local)
    f.op(op)
    return
  }
  const [a, b, c] = v
  switch (e.op) {
    case 'madd': {
      const negative = (e.src[0].op === 'neg') !== (e.src[1].op === 'neg')
      const set = type === 'f64' ? f64x2 : f32x4
      if (host.relaxed) {
        f.get(a)
          .get(b)
          .get(c)
          .op(negative ? set.relaxedNmadd : set.relaxedMadd)
      } else if (negative) f.get(c).get(a).get(b).op(set.mul).op(set.sub)
      else f.get(a).get(b).op(set.mul).get(c).op(set.add)
      return
    }
    case 'select':
      // One instruction instead of three where one side has no bits set.
      if (isZero(e.src[1])) f.get(c).get(a).op(v128.andnot)
      else if (isZero(e.src[2])) f.get(b).get(a).op(v128.and)
      else f.get(b).get(c).get(a).op(v128.bitselect)
      return
    case 'min':
    case 'max':
      if (type === 'i64') {
        f.get(a)
          .get(b)
          .get(a)
          .get(b)
          .op(e.op === 'min' ? i64x2.ltS : i64x2.gtS)
        f.op(v128.bitselect)
      } else extremum(f, e.op, type === 'f64' ? f64x2 : f32x4, e.src, a, b)
      return
    case 'eq':
      f.get(a).get(b).op(v128.xor).op(v128.not)
      return
    case 'lt':
      f.get(b).get(a).op(v128.andnot)
      return
    case 'gt':
      f.get(a).get(b).op(v128.andnot)
      return
    case 'le':
      f.get(a).get(b).op(v128.andnot).op(v128.not)
      return
    case 'ge':
      f.get(b).get(a).op(v128.andnot).op(v128.not)
      return
    case 'shl':
    case 'shr':
    case 'shru': {
      const count = e.src[1]
      if (count.op !== 'const') throw new Error('kernel shifts take a constant count')
      const set = type === 'i64' ? i64x2 : i32x4
      f.get(a).i32(Number(count.value))
      f.op({ shl: set.shl, shr: set.shrS, shru: set.shrU }[e.op])
      return
    }
    default:
      throw new Error(`kernel expression '${e.op}' does not take ${type}`)
  }
}

/** f32x4.min and max cost seven instructions; pmin and pmax one, and keep a NaN in their first operand. */
function extremum(
  f: Func,
  op: 'min' | 'max',
  set: typeof f32x4 | typeof f64x2,
  src: readonly Expr[],
  a: number,
  b: number,
): void {
  const code = op === 'min' ? set.pmin : set.pmax
  const number = (e: Expr): boolean => e.op === 'const' && !Number.isNaN(e.value)
  if (number(src[1])) f.get(a).get(b).op(code)
  else if (number(src[0])) f.get(b).get(a).op(code)
  else f.get(a).get(b).get(a).op(code).get(a).get(a).op(set.ne).op(v128.bitselect)
}

/** Fills the lanes of a value of `type` one by one with what `push` leaves on the stack. */
function fill(on: Group, type: Numeric, push: (lane: number) => void): Parts {
  const { f } = on.frame
  const parts = on.frame.vectors(on.partsOf(type))
  const perPart = 4 / parts.length
  for (let lane = 0; lane < (on.element ? 1 : 4); lane++) {
    const v = parts[Math.floor(lane / perPart)]
    if (lane % perPart === 0) {
      push(lane)
      f.op(lanes[type].splat)
    } else {
      f.get(v)
      push(lane)
      f.lane(lanes[type].replaceLane, lane % perPart)
    }
    f.set(v)
  }
  return parts
}

/** Pushes one lane of a node as a scalar. */
function extract(on: Group, e: Expr, u: number, lane: number): void {
  const wide = isWide(e.type)
  const parts = on.parts(e, u, wide)
  const perPart = wide ? 2 : 4
  on.frame.f.get(parts[Math.floor(lane / perPart)] ?? parts[0]).lane(lanes[e.type].extractLane, lane % perPart)
}

function call(on: Group, e: Expr & { readonly op: 'call' }, u: number): Parts {
  const short = quick[e.fn]?.(...e.src)
  if (!short) return called(on, e, u)
  const { f } = on.frame
  const out = on.frame.vectors(on.partsOf('f64'))
  const set = (parts: Parts): void => {
    for (const [p, v] of out.entries()) f.get(parts[p] ?? parts[0]).set(v)
  }
  const inner = on.inside(u, e.src)
  inner.evaluate([short.when])
  const [first, ...rest] = inner.parts(short.when, 0, true)
  f.get(first)
  for (const part of rest) f.get(part).op(v128.and)
  f.op(i64x2.allTrue)
  f.if(
    () => {
      inner.evaluate([short.value])
      set(inner.parts(short.value, 0, true))
    },
    () => set(called(on, e, u)),
  )
  return out
}

/** The host's function, lane by lane. */
function called(on: Group, e: Expr & { readonly op: 'call' }, u: number): Parts {
  const index = on.frame.imports.get(e.fn)
  if (index === undefined) throw new Error(`host function '${e.fn}' is not imported`)
  return fill(on, 'f64', (lane) => {
    for (const s of e.src) extract(on, s, u, lane)
    on.frame.f.call(index)
  })
}

/** Truncating division; the smallest integer by -1 wraps instead of trapping. */
function divide(on: Group, e: Expr, u: number): Parts {
  if (!('src' in e)) throw new Error('not a division')
  const { f } = on.frame
  const [a, b] = e.src
  const wide = e.type === 'i64'
  const set = wide ? i64 : i32
  const push = (n: number): Func => (wide ? f.i64(BigInt(n)) : f.i32(n))
  const type = wide ? 'i64' : 'i32'
  return fill(on, type, (lane) => {
    if (e.op === 'rem') {
      extract(on, a, u, lane)
      extract(on, b, u, lane)
      f.op(set.remS)
      return
    }
    push(0)
    extract(on, a, u, lane)
    f.op(set.sub)
    extract(on, a, u, lane)
    push(1)
    extract(on, b, u, lane)
    extract(on, b, u, lane)
    push(-1)
    f.op(set.eq).select()
    f.op(set.divS)
    extract(on, b, u, lane)
    push(-1)
    f.op(set.eq).select()
  })
}

const scalarCast: Readonly<Record<string, Op>> = {
  'i64 f32': f32.convertI64S,
  'i64 f64': f64.convertI64S,
  'f32 i64': i64.truncSatF32S,
  'f64 i64': i64.truncSatF64S,
}

/** Integers widen by shuffles: V8's revectorizer aborts the process on some uses of i64x2.extend_low and extend_high. */
function cast(on: Group, a: Expr, type: ComputeType, u: number): Value {
  const { frame } = on
  const { f } = frame
  if (type === 'bool') return toBool(on, a, u)
  if (a.type === 'bool') return fromBool(on, a, type, u)
  const scalar = scalarCast[`${a.type} ${type}`]
  if (scalar !== undefined) {
    const push = (lane: number): void => {
      extract(on, a, u, lane)
      f.op(scalar)
    }
    return value(on, on.element ? fill(on, type, push) : castMostly(on, a, type, u, push), 'narrow')
  }
  const source = on.parts(a, u, isWide(a.type))
  const [low, high] = [source[0], source[1] ?? source[0]]
  const out = frame.vectors(on.partsOf(type))
  const key = `${a.type} ${type}`
  if (key === 'i32 f32') f.get(low).op(f32x4.convertI32x4S).set(out[0])
  else if (key === 'f32 i32') f.get(low).op(i32x4.truncSatF32x4S).set(out[0])
  else if (key === 'i32 i64') {
    const sign = frame.vector()
    f.get(low).i32(31).op(i32x4.shrS).set(sign)
    f.get(low).get(sign).shuffle32([0, 4, 1, 5]).set(out[0])
    if (out.length > 1) f.get(low).get(sign).shuffle32([2, 6, 3, 7]).set(out[1])
  } else if (isWide(type)) {
    const op = key === 'f32 f64' ? f64x2.promoteLowF32x4 : f64x2.convertLowI32x4S
    f.get(low).op(op).set(out[0])
    if (out.length > 1) f.get(low).get(low).shuffle32([2, 3, 2, 3]).op(op).set(out[1])
  } else if (key === 'i64 i32') f.get(low).get(high).shuffle32([0, 2, 4, 6]).set(out[0])
  else {
    const op = key === 'f64 f32' ? f32x4.demoteF64x2Zero : i32x4.truncSatF64x2SZero
    f.get(low).op(op).get(high).op(op).shuffle32([0, 1, 4, 5]).set(out[0])
  }
  return value(on, out, 'narrow')
}

/** 1.5 * 2^52: a float64 below 2^51 added to it has that integer in its low bits. */
const MAGIC = 6755399441055744
const MAGIC_BITS = 0x4338000000000000n
const EXACT = 2 ** 51

/** Casts between i64 and floats: a group with magnitudes below 2^51 by an addition, others lane by lane. */
function castMostly(on: Group, a: Expr, type: Numeric, u: number, push: (lane: number) => void): Parts {
  const { frame } = on
  const { f } = frame
  const parts = on.parts(a, u, isWide(a.type))
  const source = a.type === 'f32' ? promoted(frame, parts[0]) : [parts[0], parts[1] ?? parts[0]]
  const out = frame.vectors(on.partsOf(type))
  const [magic, bits] = [frame.f64x2(MAGIC), frame.i64x2(MAGIC_BITS)]
  if (a.type === 'i64') {
    const half = frame.i64x2(BigInt(EXACT))
    for (const part of source) f.get(part).get(half).op(i64x2.add).i32(52).op(i64x2.shrU)
    f.op(v128.or).op(v128.anyTrue).op(i32.eqz)
  } else {
    const limit = frame.f64x2(EXACT)
    for (const part of source) f.get(part).op(f64x2.abs).get(limit).op(f64x2.lt)
    f.op(v128.and).op(i64x2.allTrue)
  }
  f.if(
    () => {
      if (type === 'i64') {
        source.forEach((part, p) => {
          f.get(part).op(f64x2.trunc).get(magic).op(f64x2.add).get(bits).op(i64x2.sub).set(out[p])
        })
        return
      }
      source.forEach((part, p) => {
        f.get(part).get(bits).op(i64x2.add).get(magic).op(f64x2.sub)
        if (type === 'f64') f.set(out[p])
        else f.op(f32x4.demoteF64x2Zero)
      })
      if (type === 'f32') f.shuffle32([0, 1, 4, 5]).set(out[0])
    },
    () => {
      fill(on, type, push).forEach((part, p) => {
        f.get(part).set(out[p])
      })
    },
  )
  return out
}

/** Four floats as doubles. */
function promoted(frame: Frame, part: number): Parts {
  const { f } = frame
  const [low, high] = frame.vectors(2)
  f.get(part).op(f64x2.promoteLowF32x4).set(low)
  f.get(part).get(part).shuffle32([2, 3, 2, 3]).op(f64x2.promoteLowF32x4).set(high)
  return [low, high]
}

function toBool(on: Group, a: Expr, u: number): Value {
  const { frame } = on
  const wide = isWide(a.type)
  const zero = a.type === 'f64' || a.type === 'i64' ? frame.i64x2(0n) : frame.i32x4(0)
  const parts = on.parts(a, u, wide).map((part) => {
    const v = frame.vector()
    frame.f.get(part).get(zero).op(lanes[a.type].ne).set(v)
    return v
  })
  return parts.length < on.partsOf(a.type) ? { parts, form: 'any' } : value(on, parts, wide ? 'wide' : 'narrow')
}

function fromBool(on: Group, a: Expr, type: Numeric, u: number): Value {
  const { frame } = on
  const one = {
    f32: () => frame.f32x4(1),
    f64: () => frame.f64x2(1),
    i32: () => frame.i32x4(1),
    i64: () => frame.i64x2(1n),
  }
  const wide = isWide(type)
  const parts = on.parts(a, u, wide).map((mask) => {
    const v = frame.vector()
    frame.f.get(mask).get(one[type]()).op(v128.and).set(v)
    return v
  })
  return value(on, parts, wide ? 'wide' : 'narrow')
}
