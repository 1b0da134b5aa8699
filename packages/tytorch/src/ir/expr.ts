// Scalar expressions: what a kernel computes for one element. Immutable and hash-consed, so equal subexpressions
// are one object and every back end emits them once. The interpreter (backend/interp) defines their meaning.
import type { ComputeType } from '../base/dtype.ts'

export type Unary = 'neg' | 'abs' | 'sqrt' | 'floor' | 'ceil' | 'trunc' | 'nearest' | 'not'
export type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'rem' | 'min' | 'max' | 'pmin' | 'pmax'
export type Bitwise = 'and' | 'or' | 'xor' | 'shl' | 'shr' | 'shru'
export type Compare = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
export type Prim = Unary | Arithmetic | Bitwise | Compare | 'madd' | 'select' | 'cast' | 'bitcast'

/**
 * Functions of the host in double precision: `Math.*`, `fmod` for `%`, and those of incomplete.ts and polynomial.ts. For
 * rare functions and float64.
 */
export type HostFunction = (typeof hostFunctions)[number]
export const hostFunctions = [
  'exp', 'expm1', 'log', 'log1p', 'log2', 'log10', 'pow', 'sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'atan2',
  'sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh', 'cbrt', 'hypot', 'fmod', 'igamma', 'igammac', 'zeta',
  'chebyshevT', 'chebyshevU', 'chebyshevV', 'chebyshevW', 'hermiteH', 'hermiteHe', 'laguerreL', 'legendreP',
  'chebyshevTSingle', 'chebyshevUSingle', 'chebyshevVSingle', 'chebyshevWSingle', 'hermiteHSingle', 'hermiteHeSingle',
  'laguerreLSingle', 'legendrePSingle',
] as const // biome-ignore format: a table

/** Those of two operands; all others take one. */
export const binaryHostFunctions: readonly HostFunction[] = [
  'pow', 'atan2', 'hypot', 'fmod', 'igamma', 'igammac', 'zeta',
  'chebyshevT', 'chebyshevU', 'chebyshevV', 'chebyshevW', 'hermiteH', 'hermiteHe', 'laguerreL', 'legendreP',
  'chebyshevTSingle', 'chebyshevUSingle', 'chebyshevVSingle', 'chebyshevWSingle', 'hermiteHSingle', 'hermiteHeSingle',
  'laguerreLSingle', 'legendrePSingle',
] // biome-ignore format: a table

/**
 * A node. Meaning of the less obvious ones:
 * - `load`: the current element of buffer `arg` (or the current row's element, for an argument that is `per: 'row'`),
 *   converted to the argument's compute type (float16 and bfloat16 to f32, small integers to i32, bool to bool).
 * - `gather`: the element of `arg` in the current row at position `src[0]` (i32) instead of the loop's; of a table: the
 *   one `src[0]` elements (contiguous, whatever the strides) after the current place. Operands of `select` that it does
 *   not choose are computed too, so a position must be in range for every element: clamp what is not known to be.
 * - `scalar`: a number given at launch. `index`: the element's position in its row, i32.
 * - `acc`, `other`: an accumulator, and the one merged into it. `result`: accumulator `index` of pass `pass`, finished.
 * - `min`, `max` propagate NaN; `pmin(a, b)` is `b < a ? b : a`, `pmax(a, b)` is `a < b ? b : a`.
 * - `madd(a, b, c)` is a*b + c, rounded once or twice: as the host does it fastest.
 * - `nearest` rounds ties to even. Integer `div` and `rem` truncate; by zero they trap. Shifts take an i32 constant count.
 * - `cast` converts values (float to int truncates and saturates, NaN gives 0; anything to bool is `!= 0`);
 *   `bitcast` keeps the bits (f32 and i32, f64 and i64).
 * - `call`: a host function on f64 operands.
 */
export type Expr =
  | { readonly op: 'const'; readonly type: ComputeType; readonly value: number | bigint | boolean; readonly id: number }
  | { readonly op: 'load'; readonly type: ComputeType; readonly arg: number; readonly id: number }
  | { readonly op: 'gather'; readonly type: ComputeType; readonly arg: number; readonly src: readonly Expr[]; readonly id: number }
  | { readonly op: 'scalar'; readonly type: ComputeType; readonly index: number; readonly id: number }
  | { readonly op: 'index'; readonly type: 'i32'; readonly id: number }
  | { readonly op: 'acc' | 'other'; readonly type: ComputeType; readonly index: number; readonly id: number }
  | { readonly op: 'result'; readonly type: ComputeType; readonly pass: number; readonly index: number; readonly id: number }
  | { readonly op: 'call'; readonly type: 'f64'; readonly fn: HostFunction; readonly src: readonly Expr[]; readonly id: number }
  | { readonly op: Prim; readonly type: ComputeType; readonly src: readonly Expr[]; readonly id: number } // biome-ignore format: a table

const interned = new Map<string, Expr>()

function intern(key: string, make: (id: number) => Expr): Expr {
  let node = interned.get(key)
  if (!node) {
    node = make(interned.size)
    interned.set(key, node)
  }
  return node
}

/** The operands of a node; none for a leaf. */
export function sources(e: Expr): readonly Expr[] {
  return 'src' in e ? e.src : []
}

/** A constant; for i64 the value is a bigint, for bool a boolean. */
export function constant(value: number | bigint | boolean, type: ComputeType): Expr {
  const v =
    type === 'i64'
      ? BigInt(value)
      : type === 'bool'
        ? Boolean(value)
        : type === 'f32'
          ? Math.fround(Number(value))
          : Number(value)
  return intern(`const ${type} ${Object.is(v, -0) ? '-0' : v}`, (id) => ({ op: 'const', type, value: v, id }))
}

export function load(arg: number, type: ComputeType): Expr {
  return intern(`load ${type} ${arg}`, (id) => ({ op: 'load', type, arg, id }))
}

export function gather(arg: number, type: ComputeType, position: Expr): Expr {
  expect('gather', position, 'i32')
  return intern(`gather ${type} ${arg} ${position.id}`, (id) => ({ op: 'gather', type, arg, src: [position], id }))
}

export function scalar(index: number, type: ComputeType): Expr {
  return intern(`scalar ${type} ${index}`, (id) => ({ op: 'scalar', type, index, id }))
}

export function position(): Expr {
  return intern('index', (id) => ({ op: 'index', type: 'i32', id }))
}

export function acc(index: number, type: ComputeType): Expr {
  return intern(`acc ${type} ${index}`, (id) => ({ op: 'acc', type, index, id }))
}

export function other(index: number, type: ComputeType): Expr {
  return intern(`other ${type} ${index}`, (id) => ({ op: 'other', type, index, id }))
}

export function result(pass: number, index: number, type: ComputeType): Expr {
  return intern(`result ${type} ${pass} ${index}`, (id) => ({ op: 'result', type, pass, index, id }))
}

/** A host maths function; operands and result are f64. */
export function call(fn: HostFunction, ...src: Expr[]): Expr {
  for (const s of src) expect(fn, s, 'f64')
  return intern(`call ${fn} ${ids(src)}`, (id) => ({ op: 'call', type: 'f64', fn, src, id }))
}

function ids(src: readonly Expr[]): string {
  return src.map((s) => s.id).join(' ')
}

function expect(op: string, e: Expr, ...types: ComputeType[]): void {
  if (!types.includes(e.type))
    throw new TypeError(`kernel expression '${op}' takes ${types.join(' or ')}, not ${e.type}`)
}

function prim(op: Prim, type: ComputeType, src: readonly Expr[]): Expr {
  return intern(`${op} ${type} ${ids(src)}`, (id) => ({ op, type, src, id }))
}

const unary =
  (op: Unary, ...types: ComputeType[]) =>
  (a: Expr): Expr => {
    expect(op, a, ...types)
    return prim(op, a.type, [a])
  }

const binary =
  (op: Arithmetic | Bitwise, ...types: ComputeType[]) =>
  (a: Expr, b: Expr): Expr => {
    expect(op, a, ...types)
    expect(op, b, a.type)
    return prim(op, a.type, [a, b])
  }

const shift =
  (op: 'shl' | 'shr' | 'shru') =>
  (a: Expr, count: number): Expr => {
    expect(op, a, 'i32', 'i64')
    return prim(op, a.type, [a, constant(count, 'i32')])
  }

const compare =
  (op: Compare) =>
  (a: Expr, b: Expr): Expr => {
    expect(op, b, a.type)
    return prim(op, 'bool', [a, b])
  }

/** Builders of the primitive operations; operands of one call have one type (no implicit conversion). */
export const k = {
  neg: unary('neg', 'f32', 'f64', 'i32', 'i64'),
  abs: unary('abs', 'f32', 'f64', 'i32', 'i64'),
  sqrt: unary('sqrt', 'f32', 'f64'),
  floor: unary('floor', 'f32', 'f64'),
  ceil: unary('ceil', 'f32', 'f64'),
  trunc: unary('trunc', 'f32', 'f64'),
  nearest: unary('nearest', 'f32', 'f64'),
  not: unary('not', 'bool', 'i32', 'i64'),
  add: binary('add', 'f32', 'f64', 'i32', 'i64'),
  sub: binary('sub', 'f32', 'f64', 'i32', 'i64'),
  mul: binary('mul', 'f32', 'f64', 'i32', 'i64'),
  div: binary('div', 'f32', 'f64', 'i32', 'i64'),
  rem: binary('rem', 'i32', 'i64'),
  min: binary('min', 'f32', 'f64', 'i32', 'i64'),
  max: binary('max', 'f32', 'f64', 'i32', 'i64'),
  pmin: binary('pmin', 'f32', 'f64'),
  pmax: binary('pmax', 'f32', 'f64'),
  and: binary('and', 'bool', 'i32', 'i64'),
  or: binary('or', 'bool', 'i32', 'i64'),
  xor: binary('xor', 'bool', 'i32', 'i64'),
  shl: shift('shl'),
  shr: shift('shr'),
  shru: shift('shru'),
  eq: compare('eq'),
  ne: compare('ne'),
  lt: compare('lt'),
  le: compare('le'),
  gt: compare('gt'),
  ge: compare('ge'),
  madd(a: Expr, b: Expr, c: Expr): Expr {
    for (const e of [a, b, c]) expect('madd', e, a.type === 'f64' ? 'f64' : 'f32')
    return prim('madd', a.type, [a, b, c])
  },
  /** `a` where `condition` holds, else `b`. */
  select(condition: Expr, a: Expr, b: Expr): Expr {
    expect('select', condition, 'bool')
    expect('select', b, a.type)
    return prim('select', a.type, [condition, a, b])
  },
  cast(a: Expr, type: ComputeType): Expr {
    return a.type === type ? a : prim('cast', type, [a])
  },
  bitcast(a: Expr, type: ComputeType): Expr {
    const pair = { f32: 'i32', i32: 'f32', f64: 'i64', i64: 'f64', bool: null }[a.type]
    if (pair !== type) throw new TypeError(`kernel expression 'bitcast' can't read ${a.type} as ${type}`)
    return prim('bitcast', type, [a])
  },
} as const

/** The number of the walk that last came by each node, by the node's id. */
let visited = new Int32Array(4096)
let walk = 0

/** Every node under `roots`, operands before users, each once. */
export function topological(roots: readonly Expr[]): Expr[] {
  if (visited.length < interned.size) {
    const more = new Int32Array(2 * interned.size)
    more.set(visited)
    visited = more
  }
  walk++
  const order: Expr[] = []
  for (const r of roots) collect(r, order)
  return order
}

function collect(e: Expr, order: Expr[]): void {
  if (visited[e.id] === walk) return
  visited[e.id] = walk
  if ('src' in e) for (const s of e.src) collect(s, order)
  order.push(e)
}
