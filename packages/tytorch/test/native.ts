// Compiles an expression to a JavaScript function over typed arrays: fast enough to sweep millions of floats, and with
// a choice of fused or separate multiply-add, which kernels may not depend on.
import { type Expr, sources, topological } from '../src/ir/expr.ts'

type Floats = Float32Array | Float64Array
/** Evaluates an expression whose `load(0)` and `load(1)` are the first two arrays; the result goes to `out`. */
export type Native = (x: Floats, y: Floats, out: Floats) => void

const INFIX: Record<string, string> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  eq: '===',
  ne: '!==',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  and: '&',
  or: '|',
  xor: '^',
  shl: '<<',
  shr: '>>',
}

/** The JavaScript text of one node over the texts of its operands; i32 and f32 results are narrowed by the caller. */
function text(e: Expr, src: readonly string[], fused: boolean): string {
  const [a, b, c] = src
  if (e.op === 'const') return e.type === 'i64' ? `${e.value}n` : Object.is(e.value, -0) ? '-0' : String(e.value)
  if (e.op === 'load') return e.arg === 0 ? 'x[i]' : 'y[i]'
  if (e.op === 'call') return e.fn === 'fmod' ? `${a} % ${b}` : `Math.${e.fn}(${src.join(', ')})`
  if (e.type === 'bool' && e.op === 'and') return `${a} && ${b}`
  if (e.type === 'bool' && e.op === 'or') return `${a} || ${b}`
  if (e.type === 'bool' && e.op === 'xor') return `${a} !== ${b}`
  if (e.type === 'i32' && e.op === 'mul') return `Math.imul(${a}, ${b})`
  if (e.type === 'i64' && (e.op === 'shl' || e.op === 'shr')) return `${a} ${INFIX[e.op]} BigInt(${b})`
  if (e.type === 'i64' && e.op === 'shru') return `BigInt.asIntN(64, BigInt.asUintN(64, ${a}) >> BigInt(${b}))`
  if (e.op in INFIX) return `${a} ${INFIX[e.op]} ${b}`
  const from = sources(e)[0]?.type
  switch (e.op) {
    case 'neg':
      return `-${a}`
    case 'not':
      return e.type === 'bool' ? `!${a}` : `~${a}`
    case 'nearest':
      return `nearest(${a})`
    case 'pmin':
      return `${b} < ${a} ? ${b} : ${a}`
    case 'pmax':
      return `${a} < ${b} ? ${b} : ${a}`
    case 'madd':
      return e.type === 'f32' && !fused ? `Math.fround(${a} * ${b}) + ${c}` : `${a} * ${b} + ${c}`
    case 'select':
      return `${a} ? ${b} : ${c}`
    case 'cast':
      return e.type === 'f64' || e.type === 'f32' ? `+${a}` : `(${a}) | 0`
    case 'bitcast':
      return { f32: `bits.f32(${a})`, i32: `bits.i32(${a})`, f64: `bits.f64(${a})`, i64: `bits.i64(${a})`, bool: '' }[
        from ?? 'bool'
      ]
    default:
      return `Math.${e.op}(${src.join(', ')})`
  }
}

const PRELUDE = `
const f32 = new Float32Array(1), i32 = new Int32Array(f32.buffer)
const f64 = new Float64Array(1), i64 = new BigInt64Array(f64.buffer)
const bits = {
  f32: (v) => (f32[0] = v, i32[0]), i32: (v) => (i32[0] = v, f32[0]),
  f64: (v) => (f64[0] = v, i64[0]), i64: (v) => (i64[0] = v, f64[0]),
}
const big = 2 ** 52
const nearest = (v) => (Math.abs(v) < big ? (v < 0 ? -(big - v - big) : v + big - big) : v)
`

/** A function evaluating `e`; `fused` rounds float32 multiply-adds once. */
export function compileNative(e: Expr, fused: boolean): Native {
  const names = new Map<Expr, string>()
  const lines: string[] = []
  for (const node of topological([e])) {
    const code = text(
      node,
      sources(node).map((s) => names.get(s)!),
      fused,
    )
    const narrow =
      node.type === 'f32'
        ? `Math.fround(${code})`
        : node.type === 'i32'
          ? `(${code}) | 0`
          : node.type === 'i64'
            ? `BigInt.asIntN(64, ${code})`
            : code
    const name = `v${names.size}`
    names.set(node, node.op === 'const' ? `(${code})` : name)
    if (node.op !== 'const') lines.push(`const ${name} = ${narrow}`)
  }
  const loop = `for (let i = 0; i < x.length; i++) {\n${lines.join('\n')}\nout[i] = ${names.get(e)}\n}`
  return new Function(`${PRELUDE}\nreturn (x, y, out) => {\n${loop}\n}`)() as Native
}
