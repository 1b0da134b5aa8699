// Random draws in bulk: words of the engine go through a short tape, block by block, to the routines of twister.ts.

import { doubleTables } from '../../base/libm.ts'
import { type DrawArray, type Generator, normalFill } from '../../base/random.ts'
import type { Draws } from '../device.ts'
import { memory, reserved } from '../memory.ts'
import { f32x4, I32, Module, v128 } from './assembler.ts'
import { createDoubleDraws, type DoubleDraws } from './doubledraws.ts'
import type { Host } from './features.ts'
import { BLOCK, createTwister, type Twister } from './twister.ts'

/** Fewer elements are drawn one by one: lending the engine takes longer. */
const LEAST = 256
const LEAST_NORMAL = 32
/** Blocks that are drawn to the tape at once, behind what is left of another. */
const BLOCKS = 4
const WORDS = (BLOCKS + 1) * BLOCK
/**
 * Places in this thread's scratch memory, as long as a fill takes: the state with a vector more than its words, parameters of
 * a routine, the tape, elements for which the tensors' memory is not the place or which make no whole vectors, and tables.
 */
const STATE = (): number => reserved.scratch
const BOUNDS = (): number => STATE() + 4 * BLOCK + 64
const TAPE = (): number => BOUNDS() + 256
const ASIDE = (): number => TAPE() + 4 * WORDS + 256
const TABLES = (): number => ASIDE() + 8 * WORDS + 256

type Kernel = (words: number, to: number, count: number, first: number) => void

/** Nanoseconds that plain fills may take in all before the routines are compiled, which takes about as long. */
const PATIENCE = 3e6
/** About how many an element takes. */
const [UNIFORM, NORMAL, NORMAL_DOUBLE, EXPONENTIAL, BERNOULLI, INTEGER] = [6, 100, 160, 120, 18, 18]

/** Draws that are compiled once plain ones have taken `patience` nanoseconds. */
export function createDraws(host: Host, patience: number = PATIENCE): Draws {
  const fused = host.relaxed && isFused()
  let compiled: Twister | null = null
  let double: DoubleDraws | null = null
  let tables: Float64Array | null = null
  let spent = 0
  /** The routines, or null if so many nanoseconds of plain work are not worth having them yet. */
  const engine = (cost: number): Twister | null => {
    spent += cost
    if (!compiled && spent > patience) compiled = createTwister(fused)
    return compiled
  }
  const singles = (...values: number[]): void => {
    const at = BOUNDS() >> 2
    for (const [i, x] of values.entries()) memory.views.f32.fill(x, at + 4 * i, at + 4 * i + 4)
  }
  const doubles = (...values: number[]): void => {
    const at = BOUNDS() >> 3
    for (const [i, x] of values.entries()) memory.views.f64.fill(x, at + 2 * i, at + 2 * i + 2)
  }
  const longs = (at: number, value: bigint): void => void memory.views.i64.fill(value, at >> 3, (at >> 3) + 2)
  return {
    uniform(g, out, from, to) {
      if (out.length < LEAST || !(from <= to)) return false
      const whole = from === 0 && to === 1
      if (!(out instanceof Float32Array) && !(out instanceof Float64Array && whole)) return false
      const run = engine(out.length * UNIFORM)
      if (!run) return false
      if (out instanceof Float64Array) {
        stream(run, g, out, 2, run.unit64)
        return true
      }
      if (whole) stream(run, g, out, 1, run.unit32)
      else {
        const low = Math.fround(from)
        const high = Math.fround(to)
        singles(Math.fround(high - low), low, high, low)
        stream(run, g, out, 1, (words, at, count) => run.range32(words, at, count, BOUNDS()))
      }
      return true
    },
    normal(g, out, mean, std, narrow) {
      if (out.length < LEAST_NORMAL || !(std >= 0)) return false
      const single = out instanceof Float32Array
      if (!single && !(out instanceof Float64Array && fused)) return false
      const run = engine(out.length * (single ? NORMAL : NORMAL_DOUBLE))
      if (!run) return false
      const rest = out.length % 16
      const even = out.subarray(0, out.length - rest)
      if (single) {
        singles(std, mean)
        stream(run, g, even, 1, (words, at, count) => run.normal32(words, at, count, BOUNDS()))
      } else {
        doubles(std, mean)
        double ??= createDoubleDraws()
        const { normal64 } = double
        tables ??= doubleTables()
        memory.views.f64.set(tables, TABLES() >> 3)
        memory.views.i32[(BOUNDS() + 32) >> 2] = TABLES()
        stream(run, g, even, 2, (words, at, count) => normal64(words, at, count, BOUNDS()))
      }
      if (rest === 0) return true
      const words = out instanceof Float64Array ? 2 * rest : rest
      if (!narrow) for (let i = 0; i < words; i++) g.random()
      normalFill(g, out.subarray(out.length - 16), mean, std)
      return true
    },
    bernoulli(g, out, p) {
      if (out.length < LEAST || !(p >= 0 && p <= 1)) return false
      const run = engine(out.length * BERNOULLI)
      if (!run) return false
      const at = BOUNDS()
      if (out instanceof Float32Array) singles(1)
      else if (out instanceof Float64Array) doubles(1)
      else if (out instanceof BigInt64Array) longs(at, 1n)
      else memory.views.u8.fill(0, at, at + 16)
      const size = out.BYTES_PER_ELEMENT as 1 | 2 | 4 | 8
      if (!(out instanceof Float32Array || out instanceof Float64Array)) {
        for (let i = 0; i < 16; i += size) memory.views.u8[at + i] = 1
      }
      // An integer is below p 2^53 if it is below that rounded up.
      longs(at + 16, BigInt(Math.ceil(p * 2 ** 53)))
      const below = { 1: run.below1, 2: run.below2, 4: run.below4, 8: run.below8 }[size]
      stream(run, g, out, 2, (words, to, count) => below(words, to, count, at))
      return true
    },
    exponential(g, out, rate) {
      if (out.length < LEAST_NORMAL || !(rate > 0) || !fused) return false
      const run = engine(out.length * EXPONENTIAL)
      if (!run) return false
      double ??= createDoubleDraws()
      const kernel = out instanceof Float64Array ? double.exponential64 : double.exponential32
      doubles(-1 / rate)
      stream(run, g, out, 2, (words, at, count) => kernel(words, at, count, BOUNDS()))
      return true
    },
    chances(g, out, p) {
      if (out.length < LEAST || !isOurs(p)) return false
      const run = engine(out.length * BERNOULLI)
      if (!run) return false
      const from = p.byteOffset
      if (out instanceof Float32Array && p instanceof Float32Array) {
        stream(run, g, out, 1, (words, to, count, first) => run.chance32(words, to, count, from + 4 * first))
      } else if (out instanceof Float64Array && p instanceof Float64Array) {
        stream(run, g, out, 2, (words, to, count, first) => run.chance64(words, to, count, from + 8 * first))
      } else return false
      return true
    },
    modulo(g, out, size, offset) {
      const safe = Number.isSafeInteger(Number(offset) - size) && Number.isSafeInteger(Number(offset) + size)
      if (out.length < LEAST || !(size >= 1 && size < 2 ** 28) || !safe) return false
      const run = engine(out.length * INTEGER)
      if (!run) return false
      const at = BOUNDS()
      doubles(size, 1 / size, Number(offset))
      const kernel =
        out instanceof Float64Array
          ? run.modulo64
          : out instanceof Float32Array
            ? run.modulo32
            : out instanceof BigInt64Array
              ? run.moduloLong
              : out instanceof Int32Array
                ? run.moduloInt
                : null
      if (!kernel) return false
      if (out instanceof BigInt64Array) longs(at + 32, BigInt(offset))
      if (out instanceof Int32Array) memory.views.i32.fill(Number(offset), (at + 32) >> 2, (at + 48) >> 2)
      stream(run, g, out, 1, (words, to, count) => kernel(words, to, count, at))
      return true
    },
    permutation(g, out) {
      // Beyond the upper bound PyTorch draws 64 bits a number.
      const n = out.length
      if (!(out instanceof BigInt64Array) || n < LEAST || n >= Math.floor((2 ** 32 - 1) / 20) || !isOurs(out))
        return false
      const run = engine(n * INTEGER)
      if (!run) return false
      const halves = new Int32Array(out.buffer, out.byteOffset, 2 * n)
      for (let i = 0; i < n; i++) {
        halves[2 * i] = i
        halves[2 * i + 1] = 0
      }
      const to = out.byteOffset
      eachChunk(run, g, n - 1, 1, 1, (words, first, count) => run.shuffle(words, to + 8 * first, count, n - first))
      return true
    },
  }
}

const isOurs = (out: DrawArray): boolean => out.buffer === memory.views.buffer

/** Fills an array from `words` words an element; the kernel's counts are multiples of 16. */
function stream(run: Twister, g: Generator, out: DrawArray, words: number, kernel: Kernel): void {
  const size = out.BYTES_PER_ELEMENT
  const inside = isOurs(out)
  const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength)
  eachChunk(run, g, out.length, words, 16, (tape, first, count) => {
    const whole = inside ? count - (count % 16) : 0
    if (whole > 0) kernel(tape, out.byteOffset + first * size, whole, first)
    if (whole === count) return
    const aside = ASIDE()
    kernel(tape + 4 * words * whole, aside, Math.ceil((count - whole) / 16) * 16, first + whole)
    bytes.set(memory.views.u8.subarray(aside, aside + (count - whole) * size), (first + whole) * size)
  })
}

/**
 * Draws `words` words for each of `count` items, and calls `work` with the address of some, the first item they are for
 * and the number of items: a multiple of `step`, but for the last.
 */
function eachChunk(
  run: Twister,
  g: Generator,
  count: number,
  words: number,
  step: number,
  work: (tape: number, first: number, count: number) => void,
): void {
  g.lend((state, block, used) => {
    const start = TAPE()
    const { i32, u8 } = memory.views
    const at = STATE()
    i32.set(state, at >> 2)
    i32.set(block.subarray(used), start >> 2)
    let have = BLOCK - used
    for (let done = 0; done < count; ) {
      const blocks = Math.min(BLOCKS, Math.ceil(((count - done) * words - have) / BLOCK))
      if (blocks > 0) {
        run.blocks(at, start + 4 * have, blocks)
        have += blocks * BLOCK
      }
      let items = Math.min(count - done, Math.floor(have / words))
      if (done + items < count) items -= items % step
      work(start, done, items)
      done += items
      const taken = 4 * items * words
      have -= items * words
      if (have > 0) u8.copyWithin(start, start + taken, start + taken + 4 * have)
    }
    state.set(i32.subarray(at >> 2, (at >> 2) + BLOCK))
    return BLOCK - have
  })
}

/** Whether the host's multiply-adds round once: (1 + 2^-12)^2 - (1 + 2^-11) is then 2^-24, else 0. */
function isFused(): boolean {
  const module = new Module({ shared: false, maximum: 1 })
  const f = module.func('run', [I32])
  f.get(0)
    .f32x4(1 + 2 ** -12)
    .f32x4(1 + 2 ** -12)
    .f32x4(-1 - 2 ** -11)
    .op(f32x4.relaxedMadd)
    .mem(v128.store)
  const probe = new WebAssembly.Memory({ initial: 1, maximum: 1 })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: probe } })
  ;(exports.run as (at: number) => void)(0)
  return new Float32Array(probe.buffer)[0] === 2 ** -24
}
