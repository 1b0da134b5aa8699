// What each primitive operation means, on JavaScript values: the interpreter runs this for every element, and
// simplify folds constants with it. f32 and f64 are numbers, i32 integral numbers, i64 bigints, bool booleans.
import type { ComputeType } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { type Expr, type HostFunction, type Prim, sources } from './expr.ts'
import { igamma, igammac, zeta } from './incomplete.ts'
import { polynomials } from './polynomial.ts'

/** The value of an expression: a number for f32, f64 and i32, a bigint for i64, a boolean for bool. */
export type Value = number | bigint | boolean

const MIN32 = -(2 ** 31)
const MAX32 = 2 ** 31 - 1
const MIN64 = -(2n ** 63n)
const MAX64 = 2n ** 63n - 1n

/** A number rounded to the nearest even integer on ties. */
export function nearestEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0)
  const rounded = up ? floor + 1 : floor
  return rounded === 0 && (x < 0 || Object.is(x, -0)) ? -0 : rounded
}

/** An i64 rounded to float32 once: going through float64 would round twice. */
function fround64(x: bigint): number {
  const low = x & 0x7ffn
  return Math.fround(Number(((x >> 11n) | (low ? 1n : 0n)) << 11n))
}

/** `value` of type `from` as `to`: floats truncate and saturate to integers (NaN to 0), wider integers wrap. */
export function castValue(value: Value, from: ComputeType, to: ComputeType): Value {
  if (from === to) return value
  if (to === 'bool') return from === 'i64' ? value !== 0n : value !== 0
  if (to === 'i64') return from === 'f32' || from === 'f64' ? saturate64(value as number) : BigInt(value)
  if (from === 'i64') {
    const big = value as bigint
    if (to === 'i32') return Number(BigInt.asIntN(32, big))
    if (to === 'f64') return Number(big)
    return big >= -(2n ** 53n) && big <= 2n ** 53n ? Math.fround(Number(big)) : fround64(big)
  }
  const x = Number(value)
  if (to === 'f64') return x
  if (to === 'f32') return Math.fround(x)
  return Number.isNaN(x) ? 0 : Math.trunc(Math.min(Math.max(x, MIN32), MAX32)) | 0
}

function saturate64(x: number): bigint {
  if (Number.isNaN(x)) return 0n
  if (x >= 2 ** 63) return MAX64
  return x <= -(2 ** 63) ? MIN64 : BigInt(Math.trunc(x))
}

const word = new DataView(new ArrayBuffer(8))

function bitcast(value: Value, from: ComputeType): Value {
  if (from === 'f32') {
    word.setFloat32(0, value as number)
    return word.getInt32(0)
  }
  if (from === 'i32') {
    word.setInt32(0, value as number)
    return word.getFloat32(0)
  }
  if (from === 'f64') {
    word.setFloat64(0, value as number)
    return word.getBigInt64(0)
  }
  word.setBigInt64(0, value as bigint)
  return word.getFloat64(0)
}

function floatOp(op: Prim, a: number, b: number, c: number): number {
  switch (op) {
    case 'neg':
      return -a
    case 'abs':
      return Math.abs(a)
    case 'sqrt':
      return Math.sqrt(a)
    case 'floor':
      return Math.floor(a)
    case 'ceil':
      return Math.ceil(a)
    case 'trunc':
      return Math.trunc(a)
    case 'nearest':
      return nearestEven(a)
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return a / b
    case 'min':
      return Math.min(a, b)
    case 'max':
      return Math.max(a, b)
    case 'pmin':
      return b < a ? b : a
    case 'pmax':
      return a < b ? b : a
    case 'madd':
      return a * b + c
  }
  throw new TypeError(`'${op}' has no meaning for floats`)
}

function zeroDivision(): never {
  throw new RuntimeError('ZeroDivisionError')
}

function int32Op(op: Prim, a: number, b: number): number {
  switch (op) {
    case 'neg':
      return -a | 0
    case 'abs':
      return Math.abs(a) | 0
    case 'not':
      return ~a
    case 'add':
      return (a + b) | 0
    case 'sub':
      return (a - b) | 0
    case 'mul':
      return Math.imul(a, b)
    case 'div':
      return b === 0 ? zeroDivision() : (a / b) | 0
    case 'rem':
      return b === 0 ? zeroDivision() : (a % b) | 0
    case 'min':
      return Math.min(a, b)
    case 'max':
      return Math.max(a, b)
    case 'and':
      return a & b
    case 'or':
      return a | b
    case 'xor':
      return a ^ b
    case 'shl':
      return a << b
    case 'shr':
      return a >> b
    case 'shru':
      return (a >>> b) | 0
  }
  throw new TypeError(`'${op}' has no meaning for i32`)
}

function int64Op(op: Prim, a: bigint, b: bigint): bigint {
  switch (op) {
    case 'neg':
      return -a
    case 'abs':
      return a < 0n ? -a : a
    case 'not':
      return ~a
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return b === 0n ? zeroDivision() : a / b
    case 'rem':
      return b === 0n ? zeroDivision() : a % b
    case 'min':
      return a < b ? a : b
    case 'max':
      return a > b ? a : b
    case 'and':
      return a & b
    case 'or':
      return a | b
    case 'xor':
      return a ^ b
    case 'shl':
      return a << (b & 63n)
    case 'shr':
      return a >> (b & 63n)
    case 'shru':
      return BigInt.asUintN(64, a) >> (b & 63n)
  }
  throw new TypeError(`'${op}' has no meaning for i64`)
}

function boolOp(op: Prim, a: boolean, b: boolean): boolean {
  switch (op) {
    case 'not':
      return !a
    case 'and':
      return a && b
    case 'or':
      return a || b
    case 'xor':
      return a !== b
  }
  throw new TypeError(`'${op}' has no meaning for bool`)
}

/**
 * Result of primitive `op` with result type `type` on operands of type `from` (that of the last operand). Integer
 * division by zero throws RuntimeError.
 */
export function evaluatePrim(op: Prim, type: ComputeType, from: ComputeType, src: readonly Value[]): Value {
  const [a, b, c] = src
  switch (op) {
    case 'select':
      return a ? b : c
    case 'cast':
      return castValue(a, from, type)
    case 'bitcast':
      return bitcast(a, from)
    case 'eq':
      return a === b
    case 'ne':
      return a !== b
    case 'lt':
      return a < b
    case 'le':
      return a <= b
    case 'gt':
      return a > b
    case 'ge':
      return a >= b
  }
  if (type === 'f32') return Math.fround(floatOp(op, a as number, b as number, c as number))
  if (type === 'f64') return floatOp(op, a as number, b as number, c as number)
  if (type === 'i32') return int32Op(op, a as number, b as number)
  if (type === 'i64') return BigInt.asIntN(64, int64Op(op, a as bigint, BigInt(b ?? 0)))
  return boolOp(op, a as boolean, b as boolean)
}

/** The host function called `fn`, with JavaScript's meaning: `pow(1, NaN)` is NaN, where C has 1. */
export function hostFunction(fn: HostFunction): (...operands: number[]) => number {
  return (own[fn] ?? Math[fn as keyof typeof Math]) as (...operands: number[]) => number
}

/** Host functions that `Math` does not have. */
const own: Partial<Record<HostFunction, (a: number, b: number) => number>> = {
  fmod: (a, b) => a % b,
  igamma,
  igammac,
  zeta,
  ...polynomials,
}

/** The value of a node whose operands have the values `src`; leaves other than constants are the caller's. */
export function evaluateNode(e: Expr, src: readonly Value[]): Value {
  switch (e.op) {
    case 'const':
      return e.value
    case 'call':
      return hostFunction(e.fn)(...(src as readonly number[]))
    case 'load':
    case 'gather':
    case 'scalar':
    case 'index':
    case 'acc':
    case 'other':
    case 'result':
      throw new TypeError(`'${e.op}' has a value only inside a kernel`)
    default:
      return evaluatePrim(e.op, e.type, sources(e).at(-1)!.type, src)
  }
}
