// Writing by position in WebAssembly: element by element, or slices of neighbours by vectors. Threads share out a dimension
// in which what is written differs.
import type { DTypeName } from '../../base/dtype.ts'
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { put as plainly } from '../put.ts'
import type { Put, PutArgs } from '../routines.ts'
import { F32, type Func, f32, f32x4, f64, f64x2, I32, I64, i32, i32x4, i64, i64x2, Module, type Op, v128 } from './assembler.ts' // biome-ignore format: one list
import { atLeast } from './records.ts'

/** What elements are written as; those that are only set, as bits. `h16` is float16, `b16` bfloat16. */
const KINDS = ['f32', 'f64', 'i32', 'i64', 'i16', 'i8', 'h16', 'b16'] as const
type Kind = (typeof KINDS)[number]
const PUTS: readonly Put[] = ['set', 'add', 'mul', 'max', 'min']
const BYTES: Record<Kind, number> = { f32: 4, f64: 8, i32: 4, i64: 8, i16: 2, i8: 1, h16: 2, b16: 2 }
const SCALAR = { f32, f64, i32, i64 } as const
const VECTOR = { f32: f32x4, f64: f64x2, i32: i32x4, i64: i64x2 } as const

/** Elements that are worth a thread. */
const LEAST = 32768
/** Elements in one turn. */
const TURNS = 4
/** Bytes from which a slice is written by vectors. */
const SLICE = 32

/** Two levels: n elements, `outer` times; then steps in bytes of target, index and source, inner and outer, `unit` in bytes and `size`. */
type Elements = (to: number, index: number, from: number, n: number, outer: number, ...steps: number[]) => void
/** `count` slices of `bytes` bytes; then steps in bytes of target, index and source, `unit` in bytes and `size`. */
type Slices = (to: number, index: number, from: number, bytes: number, count: number, ...steps: number[]) => void

interface Code {
  readonly elements: Elements
  /** For an index and a source without gaps, the index in 4 or 8 bytes. */
  readonly near4: Elements
  readonly near8: Elements
  readonly slices: Slices
}

const compiled = new Map<string, Code>()

function codeOf(kind: Kind, how: Put): Code {
  const key = `${kind} ${how}`
  let code = compiled.get(key)
  if (!code) {
    const module = new Module(memory)
    emitElements(module.func('elements', Array(13).fill(I32)), kind, how, 0)
    emitElements(module.func('near4', Array(13).fill(I32)), kind, how, 4)
    emitElements(module.func('near8', Array(13).fill(I32)), kind, how, 8)
    emitSlices(module.func('slices', Array(10).fill(I32)), kind, how)
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
      env: { memory: memory.wasm },
    })
    code = exports as unknown as Code
    compiled.set(key, code)
  }
  return code
}

const LOADS: Record<Kind, readonly [load: Op, store: Op]> = {
  f32: [f32.load, f32.store],
  f64: [f64.load, f64.store],
  i32: [i32.load, i32.store],
  i64: [i64.load, i64.store],
  i16: [i32.load16U, i32.store16],
  i8: [i32.load8U, i32.store8],
  h16: [i32.load16U, i32.store16],
  b16: [i32.load16U, i32.store16],
}

/** Makes the float32 of the bits on the stack. */
function widen(f: Func, kind: 'h16' | 'b16', bits: number, float: number): void {
  if (kind === 'b16') {
    f.i32(16).op(i32.shl).op(f32.reinterpretI32)
    return
  }
  // Two to the 112 makes up for the exponent's smaller bias, in denormals too; infinity and NaN keep all its bits.
  f.set(bits)
  f.get(bits)
    .i32(0x7fff)
    .op(i32.and)
    .i32(13)
    .op(i32.shl)
    .op(f32.reinterpretI32)
    .f32(2 ** 112)
    .op(f32.mul)
    .tee(float)
  f.op(i32.reinterpretF32)
  f.i32(0x7f800000).i32(0).get(float).f32(65536).op(f32.ge).select().op(i32.or)
  f.get(bits).i32(0x8000).op(i32.and).i32(16).op(i32.shl).op(i32.or).op(f32.reinterpretI32)
}

/** Makes bits of the float32 on the stack, rounded to even. */
function narrow(f: Func, kind: 'h16' | 'b16', bits: number, float: number): void {
  f.tee(float).op(i32.reinterpretF32).set(bits)
  const rounded = (shift: number): void => {
    f.get(bits).get(bits).i32(shift).op(i32.shrU).i32(1).op(i32.and).op(i32.add)
    f.i32(2 ** (shift - 1) - 1).op(i32.add)
  }
  if (kind === 'b16') {
    rounded(16)
    f.i32(16).op(i32.shrU).i32(0x7fc0).get(float).get(float).op(f32.eq).select()
    return
  }
  f.get(bits).i32(16).op(i32.shrU).i32(0x8000).op(i32.and)
  f.get(bits).i32(0x7fffffff).op(i32.and).set(bits)
  f.i32(0x7e00).i32(0x7c00).get(bits).i32(0x7f800000).op(i32.gtU).select()
  // Below the normal numbers the sum with 1/2 rounds; what is left of its bits counts denormals.
  f.get(bits).op(f32.reinterpretI32).f32(0.5).op(f32.add).op(i32.reinterpretF32).i32(0x3f000000).op(i32.sub)
  rounded(13)
  f.i32(0x38000000).op(i32.sub).i32(13).op(i32.shrU)
  f.get(bits).i32(0x38800000).op(i32.ltU).select()
  f.get(bits).i32(0x47800000).op(i32.geU).select().op(i32.or)
}

/** Stores to the address in `at` what becomes of the element there and the one at `from` + offset. */
function combiner(f: Func, kind: Kind, how: Put): (at: number, from: number, offset?: number) => void {
  const [load, store] = LOADS[kind]
  if (how === 'set') return (at, from, offset = 0) => f.get(at).get(from).mem(load, offset).mem(store)
  if (kind === 'h16' || kind === 'b16') {
    const [bits, float] = [f.local(I32), f.local(F32)]
    return (at, from, offset = 0) => {
      f.get(at).get(at).mem(load)
      widen(f, kind, bits, float)
      f.get(from).mem(load, offset)
      widen(f, kind, bits, float)
      f.op(f32[how])
      narrow(f, kind, bits, float)
      f.mem(store)
    }
  }
  if (kind === 'i16' || kind === 'i8') throw new Error(`${how} of ${kind} has no code`)
  const shape = SCALAR[kind]
  if ((kind === 'f32' || kind === 'f64') && (how === 'max' || how === 'min')) {
    // The scalar instruction becomes a branch, which the values decide; the vector one does not.
    const [one, lane] = kind === 'f32' ? [v128.load32Zero, v128.store32Lane] : [v128.load64Zero, v128.store64Lane]
    return (at, from, offset = 0) => {
      f.get(at).get(at).mem(one).get(from).mem(one, offset).op(VECTOR[kind][how]).memLane(lane, 0)
    }
  }
  if (how === 'add' || how === 'mul') {
    const operation = shape[how]
    return (at, from, offset = 0) => {
      f.get(at).get(at).mem(load).get(from).mem(load, offset).op(operation).mem(store)
    }
  }
  const wide = kind === 'i64'
  const whole = wide ? i64 : i32
  const [a, b] = [0, 1].map(() => f.local(wide ? I64 : I32))
  return (at, from, offset = 0) => {
    // V8 makes a branch of a select, which the values decide: bits that differ are turned instead where the other one wins.
    f.get(at).get(at).mem(load).tee(a).get(a).get(from).mem(load, offset).tee(b).op(whole.xor)
    if (wide) f.i64(0n)
    else f.i32(0)
    f.get(b)
      .get(a)
      .op(how === 'max' ? whole.gtS : whole.ltS)
    if (wide) f.op(i64.extendI32U)
    f.op(whole.sub).op(whole.and).op(whole.xor).mem(store)
  }
}

/** Leaves the address that the index at address `index` + offset names from `to` on. */
function place(f: Func, to: number, index: number, unit: number, size: number, p: number, offset = 0): void {
  // The low word is enough of 64 bits: indices are in range.
  f.get(to).get(index).mem(i32.load, offset).tee(p).get(p).i32(31).op(i32.shrS).get(size).op(i32.and).op(i32.add)
  f.get(unit).op(i32.mul).op(i32.add)
}

function emitElements(f: Func, kind: Kind, how: Put, near: number): void {
  const [to, index, from, n, outer, toStep, indexStep, fromStep, toOuter, indexOuter, fromOuter, unit, size] = Array(13).keys() // biome-ignore format: one list
  const [t, x, s, at, p, left] = Array.from({ length: 6 }, () => f.local(I32))
  const combine = combiner(f, kind, how)
  const step = (local: number, by: number): void => {
    f.get(local).get(by).op(i32.add).set(local)
  }
  const one = (k: number): void => {
    place(f, t, x, unit, size, p, k * near)
    f.set(at)
    combine(at, s, k * BYTES[kind])
    step(t, toStep)
  }
  f.loop(() => {
    f.get(to).set(t).get(index).set(x).get(from).set(s).get(n).set(left)
    for (const turns of near ? [TURNS, 1] : [1]) {
      atLeast(f, left, turns, () => {
        for (let k = 0; k < turns; k++) one(k)
        if (near) f.inc(x, turns * near).inc(s, turns * BYTES[kind])
        else {
          step(x, indexStep)
          step(s, fromStep)
        }
      })
    }
    step(to, toOuter)
    step(index, indexOuter)
    step(from, fromOuter)
    f.inc(outer, -1).get(outer).brIf(0)
  })
}

function emitSlices(f: Func, kind: Kind, how: Put): void {
  const [to, index, from, bytes, count, toStep, indexStep, fromStep, unit, size] = Array(10).keys()
  const [at, s, end, p] = Array.from({ length: 4 }, () => f.local(I32))
  const combine = combiner(f, kind, how)
  const floats = kind === 'f32' || kind === 'f64'
  const vectors =
    how === 'set' ||
    ((how === 'add' || how === 'mul') && kind in VECTOR) ||
    (floats && (how === 'max' || how === 'min'))
  const whileLeft = (by: number, body: () => void): void => {
    f.block(() => {
      f.get(end).get(at).op(i32.sub).i32(by).op(i32.ltU).brIf(0)
      f.loop(() => {
        body()
        f.inc(at, by).inc(s, by).get(end).get(at).op(i32.sub).i32(by).op(i32.geU).brIf(0)
      })
    })
  }
  const vector = (offset: number): void => {
    f.get(at)
    if (how === 'set') f.get(s).mem(v128.load, offset)
    else {
      f.get(at).mem(v128.load, offset).get(s).mem(v128.load, offset)
      f.op((VECTOR[kind as 'f32'] as Readonly<Record<string, Op>>)[how])
    }
    f.mem(v128.store, offset)
  }
  f.loop(() => {
    place(f, to, index, unit, size, p)
    f.tee(at).get(bytes).op(i32.add).set(end).get(from).set(s)
    if (vectors) {
      whileLeft(64, () => {
        for (const offset of [0, 16, 32, 48]) vector(offset)
      })
      whileLeft(16, () => vector(0))
    }
    whileLeft(BYTES[kind], () => combine(at, s))
    for (const [local, by] of [
      [to, toStep],
      [index, indexStep],
      [from, fromStep],
    ]) {
      f.get(local).get(by).op(i32.add).set(local)
    }
    f.inc(count, -1).get(count).brIf(0)
  })
}

function kindOf(dtype: DTypeName, how: Put): Kind | null {
  if (dtype === 'float32') return 'f32'
  if (dtype === 'float64') return 'f64'
  if (dtype === 'int32') return 'i32'
  if (dtype === 'int64') return 'i64'
  if (how !== 'set') return dtype === 'float16' ? 'h16' : dtype === 'bfloat16' ? 'b16' : null
  return dtype === 'float16' || dtype === 'bfloat16' || dtype === 'int16' ? 'i16' : 'i8'
}

interface Dim {
  n: number
  /** In bytes: of target, index and source. */
  readonly steps: readonly [number, number, number]
}

/** The dimensions with more than one element, those joined that lie in all three as one would. */
function dimsOf(args: PutArgs, bytes: number): Dim[] {
  const dims: Dim[] = []
  const wide = args.wide ? 8 : 4
  for (const [d, n] of args.sizes.entries()) {
    if (n === 1) continue
    const steps = [args.toStrides[d] * bytes, args.indexStrides[d] * wide, args.fromStrides[d] * bytes] as const
    const last = dims.at(-1)
    if (last?.steps.every((s, i) => s === steps[i] * n)) dims[dims.length - 1] = { n: last.n * n, steps }
    else dims.push({ n, steps })
  }
  return dims
}

/** As `Routines.put`. */
export function put(dtype: DTypeName, how: Put, args: PutArgs): void {
  const kind = kindOf(dtype, how)
  if (!kind) {
    plainly(dtype, how, args)
    return
  }
  const bytes = BYTES[kind]
  const dims = dimsOf(args, bytes)
  const count = dims.reduce((n, d) => n * d.n, 1)
  if (args.sizes.includes(0)) return
  const apart = dims.findIndex((d) => d.steps[0] !== 0)
  const cut = apart < 0 ? 0 : apart
  const pieces = apart < 0 ? 1 : Math.min(dims[cut].n, piecesFor(count, LEAST))
  const each = pieces === 1 ? 0 : Math.ceil(dims[cut].n / pieces)
  const numbers = dims.flatMap((d) => [d.n, ...d.steps])
  const fixed = [KINDS.indexOf(kind), PUTS.indexOf(how), args.to, args.index, args.from, args.unit * bytes, args.size]
  parallel(putPart, [...fixed, cut, each, dims.length, ...numbers], each === 0 ? 1 : Math.ceil(dims[cut].n / each))
}

const putPart = routine('put', (args, piece) => {
  const [kind, how, to, index, from, unit, size, cut, each, rank] = args
  const dims = Array.from({ length: rank }, (_, d): Dim => {
    const [n, ...steps] = args.subarray(10 + 4 * d, 14 + 4 * d)
    return { n, steps: steps as [number, number, number] }
  })
  const start = [to, index, from]
  if (each > 0) {
    const { n, steps } = dims[cut]
    dims[cut].n = Math.min(each, n - piece * each)
    for (const i of start.keys()) start[i] += piece * each * steps[i]
  }
  putDims(KINDS[kind], PUTS[how], start, dims, unit, size)
})

function putDims(
  kind: Kind,
  how: Put,
  [to, index, from]: readonly number[],
  dims: readonly Dim[],
  unit: number,
  size: number,
): void {
  const { elements, near4, near8, slices } = codeOf(kind, how)
  const bytes = BYTES[kind]
  const still: Dim = { n: 1, steps: [0, 0, 0] }
  const inner = dims.at(-1) ?? still
  const outer = dims.at(-2) ?? still
  const sliced =
    inner.steps[1] === 0 && inner.steps[0] === bytes && inner.steps[2] === bytes && inner.n * bytes >= SLICE
  const near = inner.steps[2] === bytes ? ({ 4: near4, 8: near8 } as const)[inner.steps[1]] : undefined
  const walked = near ?? elements
  const walk = (d: number, t: number, x: number, s: number): void => {
    if (d < dims.length - 2) {
      const { n, steps } = dims[d]
      for (let i = 0; i < n; i++) walk(d + 1, t + i * steps[0], x + i * steps[1], s + i * steps[2])
    } else if (sliced) slices(t, x, s, inner.n * bytes, outer.n, ...outer.steps, unit, size)
    else walked(t, x, s, inner.n, outer.n, ...inner.steps, ...outer.steps, unit, size)
  }
  walk(0, to, index, from)
}
