// What the host's WebAssembly can do beyond plain SIMD, found out once before the first kernel is compiled.
import { f32x4, I32, i32x4, Module, V128, v128 } from './assembler.ts'

/** Features that the emitter chooses instructions by. */
export interface Host {
  /** Fused multiply-add of vectors (the relaxed SIMD proposal). */
  readonly relaxed: boolean
  /** V8 joins pairs of 128-bit operations into 256-bit ones. */
  readonly revectorize: boolean
}

/** The part of Node's `process` that matters here; absent in browsers. */
interface NodeProcess {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly arch?: string
  readonly versions?: Readonly<Record<string, string | undefined>>
  getBuiltinModule?(name: string): unknown
}

let found: Host | null = null

/**
 * What this host offers, checked by running it. `TYTORCH_RELAXED_SIMD=0` and `TYTORCH_REVECTORIZE=0` in the environment
 * turn each feature off. Call it before any other WebAssembly is compiled: V8 reads its flags then.
 */
export function detect(): Host {
  if (found) return found
  const process = (globalThis as { process?: NodeProcess }).process
  const env = process?.env ?? {}
  const relaxed = env.TYTORCH_RELAXED_SIMD !== '0' && WebAssembly.validate(probe(true))
  const flags = env.TYTORCH_REVECTORIZE === '0' ? null : flagSetter(process)
  flags?.(`--${REVECTORIZE}`)
  const revectorize = flags !== null && trustworthy(relaxed)
  if (flags && !revectorize) flags(`--no-${REVECTORIZE}`)
  found = { relaxed, revectorize }
  return found
}

const REVECTORIZE = 'experimental-wasm-revectorize'

/** V8's flag setter where the flag exists and was tried: Node on x64 with V8 13.6 or later. An unknown flag prints an error. */
function flagSetter(process: NodeProcess | undefined): ((flag: string) => void) | null {
  const { v8, bun, deno } = process?.versions ?? {}
  if (!process?.getBuiltinModule || !v8 || bun || deno || process.arch !== 'x64') return null
  const [major, minor] = v8.split('.').map(Number)
  if (major < 13 || (major === 13 && minor < 6)) return null
  const module = process.getBuiltinModule('node:v8') as { setFlagsFromString(flag: string): void }
  return (flag) => module.setFlagsFromString(flag)
}

/** A loop with what kernels are made of: y = bits of (x > 1 ? x * x + x : x / 3), plus 2^20, shifted left by one. */
function probe(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const module = new Module({ shared: false, maximum: 1 })
  const f = module.func('run', [I32, I32, I32])
  const [one, three, bits, zero, ...x] = Array.from({ length: 8 }, () => f.local(V128))
  f.f32x4(1).set(one).f32x4(3).set(three).i32x4(BITS).set(bits)
  f.loop(() => {
    for (const [u, v] of x.entries())
      f.get(1)
        .mem(v128.load, u * 16)
        .set(v)
    for (const v of x) {
      if (relaxed) f.get(v).get(v).get(v).op(f32x4.relaxedMadd)
      else f.get(v).get(v).op(f32x4.mul).get(v).op(f32x4.add)
      f.get(v).get(three).op(f32x4.div).get(v).get(one).op(f32x4.gt).op(v128.bitselect)
      f.get(bits).op(i32x4.add).i32(1).op(i32x4.shl).set(v)
    }
    for (const u of [3, 2, 1, 0])
      f.get(2)
        .get(x[u])
        .mem(v128.store, u * 16)
    f.inc(1, 64).inc(2, 64).inc(0, -16)
    for (const v of x) f.get(zero).set(v)
    f.get(0).brIf(0)
  })
  return module.encode()
}

const BITS = 1 << 20
const LENGTH = 1024
/** By then V8 has compiled the hot probe with its optimizing compiler (1.2 to 2.2 ms), which is what must be checked. */
const WARM_MS = 2.5

/** Runs the probe until it is hot and compares it with scalar arithmetic. */
function trustworthy(relaxed: boolean): boolean {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(probe(relaxed)), { env: { memory } })
  const run = exports.run as (n: number, from: number, to: number) => void
  const x = new Float32Array(memory.buffer, 0, LENGTH)
  for (let i = 0; i < LENGTH; i++) x[i] = (i - 500) / 64
  const start = performance.now()
  while (performance.now() - start < WARM_MS) run(LENGTH, 0, LENGTH * 4)
  const y = new Int32Array(memory.buffer, LENGTH * 4, LENGTH)
  const value = new Float32Array(1)
  const bits = new Int32Array(value.buffer)
  for (let i = 0; i < LENGTH; i++) {
    value[0] = x[i] > 1 ? x[i] * x[i] + x[i] : x[i] / 3
    if (y[i] !== (bits[0] + BITS) << 1) return false
  }
  return true
}
