// The random engine of PyTorch's CPU tensors (mt19937 as at::CPUGeneratorImpl keeps it) and the draws that fill typed
// arrays with uniform, normal, integer and Bernoulli numbers, bit for bit. The other distributions: distributions.ts.

import { RuntimeError, ValueError } from './errors.ts'
import { fma32, fma64, log, log1p, log32, type SinCos, sincos, sincos32 } from './libm.ts'

const N = 624
const M = 397
const STATE_BYTES = 5056
const DEFAULT_SEED = 67280421310721n
const TWO_M53 = 2 ** -53
const TWO_M24 = 2 ** -24

// Written as signed integers, which V8 keeps out of floating point.
const UPPER = 0x80000000 | 0
const LOWER = 0x7fffffff
const MATRIX = 0x9908b0df | 0
const MASK_B = 0x9d2c5680 | 0
const MASK_C = 0xefc60000 | 0

function twist(s: Int32Array): void {
  for (let i = 0; i < N - M; i++) {
    const v = s[i + 1] as number
    const mixed = ((s[i] as number) & UPPER) | (v & LOWER)
    s[i] = (s[i + M] as number) ^ (mixed >>> 1) ^ (((v << 31) >> 31) & MATRIX)
  }
  for (let i = N - M; i < N - 1; i++) {
    const v = s[i + 1] as number
    const mixed = ((s[i] as number) & UPPER) | (v & LOWER)
    s[i] = (s[i + M - N] as number) ^ (mixed >>> 1) ^ (((v << 31) >> 31) & MATRIX)
  }
  const v = s[0] as number
  const mixed = ((s[N - 1] as number) & UPPER) | (v & LOWER)
  s[N - 1] = (s[M - 1] as number) ^ (mixed >>> 1) ^ (((v << 31) >> 31) & MATRIX)
}

/** Tempering belongs to a draw; done for a whole block it is several times as fast. */
function temper(state: Int32Array, words: Int32Array): void {
  for (let i = 0; i < N; i++) {
    let y = state[i] as number
    y ^= y >>> 11
    y ^= (y << 7) & MASK_B
    y ^= (y << 15) & MASK_C
    words[i] = y ^ (y >>> 18)
  }
}

/** A 32-bit Mersenne Twister (mt19937) with PyTorch's seeding, state layout and cached normal samples. */
export class Generator {
  /** The second half of the last pair of scalar normal draws, or null (PyTorch's next_double_normal_sample). */
  nextDoubleNormal: number | null = null
  /** As `nextDoubleNormal`, in single precision: PyTorch keeps it in the state and never draws from it on the CPU. */
  nextFloatNormal: number | null = null
  #state = new Int32Array(N)
  #words = new Int32Array(N)
  #next = 0
  #left = 1
  #seed = DEFAULT_SEED

  /** A generator seeded with `seed`, PyTorch's default seed 67280421310721 if none is given. */
  constructor(seed: number | bigint = DEFAULT_SEED) {
    this.manualSeed(seed)
  }

  /** Restarts from `seed`, an integer in [-2^63, 2^64); a negative one means 2^64 + seed. */
  manualSeed(seed: number | bigint): this {
    if (typeof seed === 'number' && !Number.isInteger(seed)) {
      throw new TypeError(`manual_seed expected an integer, but got ${seed}`)
    }
    const wide = BigInt(seed)
    if (wide < -(2n ** 63n) || wide >= 2n ** 64n) {
      throw new ValueError(`manual_seed: ${seed} is out of range, expected a seed in [-2^63, 2^64)`)
    }
    this.#seed = BigInt.asUintN(64, wide)
    const state = this.#state
    let last = Number(BigInt.asIntN(32, wide))
    state[0] = last
    for (let i = 1; i < N; i++) {
      last = (Math.imul(1812433253, last ^ (last >>> 30)) + i) | 0
      state[i] = last
    }
    this.#left = 1
    this.#next = 0
    this.nextDoubleNormal = null
    this.nextFloatNormal = null
    return this
  }

  /** Reseeds with 53 random bits from the operating system and returns them. */
  seed(): number {
    const bits = crypto.getRandomValues(new Uint32Array(2))
    const seed = ((bits[0] as number) & 0x1fffff) * 2 ** 32 + (bits[1] as number)
    this.manualSeed(seed)
    return seed
  }

  /** The seed last given: a number where that is exact, else a bigint. */
  initialSeed(): number | bigint {
    return this.#seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(this.#seed) : this.#seed
  }

  /** The next 32 random bits, in [0, 2^32). */
  random(): number {
    if (--this.#left === 0) this.#refill()
    return (this.#words[this.#next++] as number) >>> 0
  }

  /** The next 64 random bits, in [0, 2^64): two draws of 32, the high half first. */
  random64(): bigint {
    const high = this.random()
    return (BigInt(high) << 32n) | BigInt(this.random())
  }

  /** A uniform double in [0, 1) of 53 random bits (64 are drawn). */
  uniform(): number {
    const high = this.random() & 0x1fffff
    return (high * 2 ** 32 + this.random()) * TWO_M53
  }

  /** A uniform single in [0, 1) of 24 random bits (32 are drawn). */
  uniform32(): number {
    return (this.random() & 0xffffff) * TWO_M24
  }

  /** A standard normal double; Box-Muller makes two at a time and the second waits for the next call. */
  normal(): number {
    const cached = this.nextDoubleNormal
    if (cached !== null) {
      this.nextDoubleNormal = null
      return cached
    }
    const u1 = this.uniform()
    const u2 = this.uniform()
    const radius = Math.sqrt(-2 * log1p(-u2))
    sincos(2 * Math.PI * u1, angle)
    this.nextDoubleNormal = radius * angle.sin
    return radius * angle.cos
  }

  /**
   * Draws up to `max` words at once: they are `words[position - n]` to `words[position - 1]` of the returned n >= 1.
   */
  take(max: number): number {
    if (this.#left === 1) {
      this.#refill()
      this.#left = N + 1
    }
    const n = Math.min(max, this.#left - 1)
    this.#left -= n
    this.#next += n
    return n
  }

  /**
   * Lends the engine to code that draws many words: `run` gets the state, the 624 words drawn from it and how many of them
   * are used up. It advances the state by whole blocks and answers how many words of the last one it has used.
   */
  lend(run: (state: Int32Array, words: Int32Array, used: number) => number): void {
    this.#next = run(this.#state, this.#words, this.#left === 1 ? N : this.#next)
    this.#left = N + 1 - this.#next
    temper(this.#state, this.#words)
  }

  /** The current block of 624 drawn words, as signed integers. */
  get words(): Int32Array {
    return this.#words
  }

  /** How many words of the current block are drawn. */
  get position(): number {
    return this.#next
  }

  #refill(): void {
    twist(this.#state)
    temper(this.#state, this.#words)
    this.#left = N
    this.#next = 0
  }

  /** The whole state in PyTorch's own layout (`torch.get_rng_state()`): 5056 bytes. */
  getState(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(STATE_BYTES)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, this.#seed, true)
    view.setInt32(8, this.#left, true)
    view.setInt32(12, 1, true)
    view.setUint32(16, this.#next, true)
    for (let i = 0; i < N; i++) view.setInt32(24 + 8 * i, this.#state[i] as number, true)
    view.setFloat64(5024, this.nextDoubleNormal ?? 0, true)
    view.setInt32(5040, this.nextDoubleNormal === null ? 0 : 1, true)
    view.setFloat32(5048, this.nextFloatNormal ?? 0, true)
    view.setUint8(5052, this.nextFloatNormal === null ? 0 : 1)
    return bytes
  }

  /** Takes over a state from `getState` or from PyTorch; RuntimeError if it is not one. */
  setState(bytes: Uint8Array): this {
    if (bytes.length !== STATE_BYTES) {
      throw new RuntimeError(
        `Expected a CPUGeneratorImplState of size ${STATE_BYTES} but found the input RNG state size to be ${bytes.length}`,
      )
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const left = view.getInt32(8, true)
    const next = view.getUint32(16, true)
    if (view.getInt32(12, true) === 0 || left <= 0 || left > N || next > N) {
      throw new RuntimeError('Invalid mt19937 state')
    }
    this.#seed = view.getBigUint64(0, true)
    this.#left = left
    this.#next = next
    for (let i = 0; i < N; i++) this.#state[i] = view.getInt32(24 + 8 * i, true)
    temper(this.#state, this.#words)
    this.nextDoubleNormal = view.getInt32(5040, true) === 0 ? null : view.getFloat64(5024, true)
    this.nextFloatNormal = view.getUint8(5052) === 0 ? null : view.getFloat32(5048, true)
    return this
  }

  /** An independent generator in the same state. */
  clone(): Generator {
    return new Generator(0).setState(this.getState())
  }
}

/** What draws use when no generator is given; starts from a random seed, as PyTorch's does. */
export const defaultGenerator = new Generator()
defaultGenerator.seed()

/** Arrays whose elements are JavaScript numbers; narrow floats are filled as singles and rounded by the caller. */
export type NumberArray = Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array

/** Every array that a draw can fill. */
export type DrawArray = NumberArray | BigInt64Array

/** Fills `out` with `draw()` in order, truncating for integer arrays. */
export function fill(out: DrawArray, draw: () => number): void {
  if (out instanceof BigInt64Array) for (let i = 0; i < out.length; i++) out[i] = BigInt(Math.trunc(draw()))
  else for (let i = 0; i < out.length; i++) out[i] = draw()
}

/**
 * Uniform numbers in [from, to): 24-bit draws for Float32Array, 53-bit ones for Float64Array (`Tensor.uniform_`).
 * For a narrower float pass its rounding: PyTorch replaces what it rounds up to `to` by `from`.
 */
export function uniformFill(
  g: Generator,
  out: Float32Array | Float64Array,
  from = 0,
  to = 1,
  round?: (x: number) => number,
): void {
  if (!(from <= to)) {
    throw new RuntimeError(`uniform_ expects to return a [from, to) range, but found from=${from} > to=${to}`)
  }
  const n = out.length
  if (out instanceof Float64Array) {
    const scale = to - from
    for (let i = 0; i < n; i++) {
      const x = scale === 1 && from === 0 ? g.uniform() : fma64(g.uniform(), scale, from)
      out[i] = x === to ? from : x
    }
    return
  }
  if (from === 0 && to === 1 && round === undefined) {
    for (let i = 0; i < n; ) {
      const end = i + g.take(n - i)
      const shift = g.position - end
      const words = g.words
      for (; i < end; i++) out[i] = ((words[i + shift] as number) & 0xffffff) * TWO_M24
    }
    return
  }
  const base = Math.fround(from)
  const scale = Math.fround(Math.fround(to) - base)
  const narrow = round ?? Math.fround
  const first = narrow(from)
  const last = narrow(to)
  for (let i = 0; i < n; i++) {
    let x = fma32((g.random() & 0xffffff) * TWO_M24, scale, base)
    if (round !== undefined) x = round(x)
    out[i] = x === last ? first : x
  }
}

const angle: SinCos = { sin: 0, cos: 0 }

/**
 * Normal numbers (`Tensor.normal_`): from 16 elements on Box-Muller over blocks of 16, in the array's own precision and
 * with the last 16 drawn again where blocks don't come out even; below that, pairs of doubles. `narrow`: singles to be
 * rounded to float16 or bfloat16, for which PyTorch draws whole blocks only before it draws the last 16 again.
 */
export function normalFill(g: Generator, out: Float32Array | Float64Array, mean = 0, std = 1, narrow = false): void {
  if (!(std >= 0)) throw new RuntimeError(`normal expects std >= 0.0, but found std ${std}`)
  const n = out.length
  if (n < 16) {
    for (let i = 0; i < n; i++) out[i] = fma64(g.normal(), std, mean)
    return
  }
  const even = n - (n % 16)
  uniformFill(g, narrow ? out.subarray(0, even) : out)
  boxMuller(out.subarray(0, even), mean, std)
  if (even !== n) {
    const last = out.subarray(n - 16)
    uniformFill(g, last)
    boxMuller(last, mean, std)
  }
}

/** Turns uniform numbers into normal ones in place, in blocks of 16: eight radii, then eight angles. */
function boxMuller(data: Float32Array | Float64Array, mean: number, std: number): void {
  for (let at = 0; at < data.length; at += 16) {
    if (data instanceof Float32Array) boxMuller32(data, at, Math.fround(mean), Math.fround(std))
    else boxMuller64(data, at, mean, std)
  }
}

const TWO_PI_32 = Math.fround(2 * Math.PI)

function boxMuller32(data: Float32Array, at: number, mean: number, std: number): void {
  for (let i = at; i < at + 8; i++) {
    const u1 = 1 - (data[i] as number)
    const u2 = data[i + 8] as number
    const radius = Math.fround(Math.sqrt(-2 * log32(u1)))
    sincos32(Math.fround(TWO_PI_32 * u2), angle)
    data[i] = fma32(Math.fround(radius * angle.cos), std, mean)
    data[i + 8] = fma32(Math.fround(radius * angle.sin), std, mean)
  }
}

function boxMuller64(data: Float64Array, at: number, mean: number, std: number): void {
  for (let i = at; i < at + 8; i++) {
    const radius = Math.sqrt(-2 * log(1 - (data[i] as number)))
    sincos(2 * Math.PI * (data[i + 8] as number), angle)
    data[i] = fma64(radius * angle.cos, std, mean)
    data[i + 8] = fma64(radius * angle.sin, std, mean)
  }
}

/** Types whose integer draws differ from those of the array that holds them. */
export type RandomType = 'bool' | 'float16' | 'bfloat16'

/** The significand bits of a float array, or of the narrower float it holds; 0 for integers. */
function significandBits(out: DrawArray, type?: RandomType): number {
  if (type === 'float16') return 11
  if (type === 'bfloat16') return 8
  return out instanceof Float32Array ? 24 : out instanceof Float64Array ? 53 : 0
}

/** The greatest integer of an integer array's type. */
function greatest(out: DrawArray, type?: RandomType): bigint {
  if (type === 'bool') return 1n
  if (out instanceof Uint8Array) return 255n
  return (1n << BigInt(8 * out.BYTES_PER_ELEMENT - 1)) - 1n
}

/** Moves a bound that floats of `bits` would round outward to the nearest one inside, by PyTorch's rule. */
function representableBound(bound: bigint, bits: number, side: 1n | -1n): bigint {
  const inner = bound + side
  const size = inner < 0n ? -inner : inner
  const excess = size.toString(2).length - bits
  if (excess <= 0) return bound
  const step = 1n << BigInt(excess)
  const half = step >> 1n
  let rounded = (size + half) / step
  if (size % step === half && rounded % 2n === 1n) rounded--
  const value = (inner < 0n ? -1n : 1n) * rounded * step
  const outside = side === 1n ? value < bound : value >= bound
  return outside ? value + side * step : bound
}

const LOWEST = -(2n ** 63n)

/**
 * Integers in [low, high), also in float arrays (`Tensor.random_(from, to)`, `torch.randint`): 32 random bits modulo the
 * range, 64 where the range is 2^28 or more. A `high` of null means the type's greatest integer (floats: 2^significand
 * bits) inclusive, or 64 bits of any kind if `low` is -2^63. RuntimeError if the range is empty.
 */
export function randintFill(
  g: Generator,
  out: DrawArray,
  low: number | bigint,
  high: number | bigint | null,
  type?: RandomType,
): void {
  if (high !== null && low >= high) {
    throw new RuntimeError(`random_ expects 'from' to be less than 'to', but got from=${low} >= to=${high}`)
  }
  const bits = significandBits(out, type)
  let base = BigInt(low)
  let end = high === null ? (bits === 0 ? greatest(out, type) : 1n << BigInt(bits)) + 1n : BigInt(high)
  if (high === null && base === LOWEST) {
    end = -LOWEST
  } else if (bits !== 0) {
    base = representableBound(base, bits, 1n)
    if (high !== null) end = representableBound(end, bits, -1n)
  }
  const range = end - base
  if (range <= 0n) {
    throw new RuntimeError(
      `random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from=${base} >= to=${end}`,
    )
  }
  const n = out.length
  if (range >= 1n << 28n) {
    const draw = () =>
      BigInt.asIntN(64, range === 1n << 64n ? g.random64() : BigInt.asUintN(64, (g.random64() % range) + base))
    if (out instanceof BigInt64Array) for (let i = 0; i < n; i++) out[i] = draw()
    else for (let i = 0; i < n; i++) out[i] = Number(draw())
    return
  }
  const size = Number(range)
  const offset = Number(base)
  if (out instanceof BigInt64Array) {
    if (Number.isSafeInteger(offset - size) && Number.isSafeInteger(offset + size)) {
      const words = new Int32Array(out.buffer, out.byteOffset, 2 * n)
      for (let i = 0; i < n; i++) {
        const x = (g.random() % size) + offset
        words[2 * i] = x | 0
        words[2 * i + 1] = Math.floor(x / 2 ** 32)
      }
    } else for (let i = 0; i < n; i++) out[i] = BigInt(g.random() % size) + base
  } else for (let i = 0; i < n; i++) out[i] = (g.random() % size) + offset
}

/** `Tensor.random_()`: non-negative integers over the whole type, or up to 2^mantissa for floats. */
export function randomFill(g: Generator, out: DrawArray, type?: RandomType): void {
  const n = out.length
  if (out instanceof BigInt64Array) {
    for (let i = 0; i < n; i++) out[i] = g.random64() & 0x7fffffffffffffffn
  } else if (out instanceof Float64Array) {
    for (let i = 0; i < n; i++) out[i] = Number(g.random64() % (2n ** 53n + 1n))
  } else if (type === 'bool') {
    for (let i = 0; i < n; i++) out[i] = g.random() & 1
  } else if (out instanceof Float32Array) {
    const modulus = 2 ** significandBits(out, type) + 1
    for (let i = 0; i < n; i++) out[i] = g.random() % modulus
  } else {
    const mask = Number(greatest(out))
    for (let i = 0; i < n; i++) out[i] = g.random() & mask
  }
}

/** A random order of 0..n-1 (`torch.randperm`), n < 2^31. */
export function randperm(g: Generator, n: number): Int32Array<ArrayBuffer> {
  if (n < 0) throw new RuntimeError(`Trying to create tensor with negative dimension ${n}: [${n}]`)
  if (!(Number.isInteger(n) && n < 2 ** 31)) {
    throw new RuntimeError(`randperm: n must be an integer below 2^31, got ${n}`)
  }
  const out = new Int32Array(n)
  // PyTorch's bound: beyond it 32 random bits modulo what is left are visibly skewed.
  if (n < Math.floor((2 ** 32 - 1) / 20)) {
    for (let i = 0; i < n; i++) out[i] = i
    for (let i = 0; i < n - 1; i++) {
      const z = i + (g.random() % (n - i))
      const saved = out[i] as number
      out[i] = out[z] as number
      out[z] = saved
    }
    return out
  }
  for (let i = 0; i < n; i++) {
    const z = Number(g.random64() % BigInt(i + 1))
    out[i] = out[z] as number
    out[z] = i
  }
  return out
}

/** Ones with probability p, else zeros (`Tensor.bernoulli_(p)`; a dropout mask is this with 1 - p). */
export function bernoulliFill(g: Generator, out: DrawArray, p: number): void {
  if (!(p >= 0 && p <= 1)) throw new RuntimeError(`bernoulli_ expects p to be in [0, 1], but got p=${p}`)
  if (out instanceof BigInt64Array) fill(out, () => (g.uniform() < p ? 1 : 0))
  else for (let i = 0; i < out.length; i++) out[i] = g.uniform() < p ? 1 : 0
}

/**
 * Ones with probability p[i], else zeros (`torch.bernoulli(p)`): 53-bit draws where p is a Float64Array, else 24-bit ones.
 */
export function bernoulliTensorFill(g: Generator, out: DrawArray, p: ArrayLike<number>): void {
  const double = p instanceof Float64Array
  let i = 0
  fill(out, () => {
    const chance = p[i++] as number
    if (!(chance >= 0 && chance <= 1))
      throw new RuntimeError('Expected p_in >= 0 && p_in <= 1 to be true, but got false')
    return (double ? g.uniform() : g.uniform32()) < chance ? 1 : 0
  })
}
