// Fourier transforms of many rows on WebAssembly: rows of even length and vectors' width by themselves, others and columns
// several side by side, real ones as half as many complex numbers, large primes by Bluestein's chirp.
import { radicesOf, unit } from '../../base/roots.ts'
import type { FourierArgs } from '../device.ts'
import { memory } from '../memory.ts'
import type { Host } from './features.ts'
import { createFourierKernels, type FourierKernels } from './fourierkernels.ts'

/** Bytes that a tile of columns may take in both buffers: they stay in the L1 and L2 caches. */
const TILE = 128 * 1024
/** Tables that are kept, for each kind and type. */
const KEPT = 48
/** Before a buffer, where vectors that run backwards may begin. */
const MARGIN = 64

interface Block {
  readonly at: number
  readonly bytes: number
}

/** Tables in the tensors' memory; the oldest are given back. */
class Tables<T extends Block> {
  private readonly kept = new Map<number, T>()
  private readonly make: (n: number) => T

  constructor(make: (n: number) => T) {
    this.make = make
  }

  get(n: number): T {
    let found = this.kept.get(n)
    if (!found) {
      found = this.make(n)
      this.kept.set(n, found)
      if (this.kept.size > KEPT) {
        const [key, old] = this.kept.entries().next().value as [number, T]
        this.kept.delete(key)
        memory.release(old.at, old.bytes)
      }
    }
    return found
  }
}

interface Pass {
  readonly p: number
  readonly m: number
  readonly w: number
  readonly roots: number
}

interface Passes extends Block {
  readonly list: readonly Pass[]
}

interface Chirp extends Block {
  /** Length of the convolution; bytes between planes; where the filter's spectrum lies, with planes of its own. */
  readonly m: number
  readonly gap: number
  readonly spectrum: number
}

/** Compiles the transforms: one call does all rows. */
export function createFourier(host: Host): (args: FourierArgs) => void {
  const engines = new Map<4 | 8, Engine>()
  const engine = (size: 4 | 8): Engine => {
    let found = engines.get(size)
    if (!found) {
      found = new Engine(size, host, () => engine(8))
      engines.set(size, found)
    }
    return found
  }
  return (args) => engine(args.size).run(args)
}

class Engine {
  private readonly k: FourierKernels
  private readonly e: 4 | 8
  private readonly lanes: 4 | 2
  private readonly wide: () => Engine
  private readonly passes = new Tables<Passes>((n) => this.makePasses(n))
  private readonly firsts = new Tables<Block>((n) => this.makeFirst(n))
  private readonly halves = new Tables<Block>((n) => this.makeHalves(n, true))
  private readonly pairs = new Tables<Block>((n) => this.makeHalves(n, false))
  private readonly chirps = new Tables<Chirp>((n) => this.makeChirp(n))
  private space: Block = { at: 0, bytes: 0 }
  /** The two buffers, and bytes between their planes. */
  private a = 0
  private b = 0
  private gap = 0

  constructor(size: 4 | 8, host: Host, wide: () => Engine) {
    this.k = createFourierKernels(size, host)
    this.e = size
    this.lanes = size === 4 ? 4 : 2
    this.wide = wide
  }

  private get view(): Float32Array | Float64Array {
    return this.e === 4 ? memory.views.f32 : memory.views.f64
  }

  /** A table of `count` numbers, with room for a vector more. */
  private table(count: number, value: (i: number) => number): Block {
    const bytes = count * this.e + 64
    const at = memory.alloc(bytes)
    const { view } = this
    for (let i = 0; i < count; i++) view[at / this.e + i] = value(i)
    return { at, bytes }
  }

  private makePasses(n: number): Passes {
    const radices = radicesOf(n) ?? []
    const numbers: number[] = []
    const list: { p: number; m: number; w: number; roots: number }[] = []
    let length = n
    for (const p of radices) {
      const m = length / p
      const w = numbers.length
      for (let q = 0; q < m; q++) {
        for (let j = 1; j < p; j++) {
          const [c, s] = unit(8 * q * j, length)
          numbers.push(c, -s)
        }
      }
      const roots = numbers.length
      if (p > 5) {
        for (let j = 0; j < p; j++) {
          for (let k = 0; k < p; k++) {
            const [c, s] = unit(8 * ((j * k) % p), p)
            numbers.push(c, -s)
          }
        }
      }
      list.push({ p, m, w, roots })
      length = m
    }
    const { at, bytes } = this.table(numbers.length, (i) => numbers[i])
    const moved = list.map(({ p, m, w, roots }) => ({ p, m, w: at + w * this.e, roots: at + roots * this.e }))
    return { at, bytes, list: moved }
  }

  /** Factors of the first pass of a row: planes of n / 4. */
  private makeFirst(n: number): Block {
    const m = n / 4
    return this.table(6 * m, (i) => {
      const plane = Math.floor(i / m)
      const [c, s] = unit(8 * (i % m) * (1 + (plane >> 1)), n)
      return plane % 2 ? -s : c
    })
  }

  /** exp(-2 pi i k / 2h) for k <= h: planes of h, or pairs. */
  private makeHalves(h: number, planes: boolean): Block {
    return this.table(2 * h + 2, (i) => {
      const [c, s] = planes ? unit(8 * (i % h), 2 * h) : unit(8 * (i >> 1), 2 * h)
      return (planes ? i >= h : i % 2) ? -s : c
    })
  }

  private makeChirp(n: number): Chirp {
    let m = 16
    while (m < 2 * n - 1) m *= 2
    const wide = this.wide()
    wide.room(m, 1)
    const filter = wide.planes(m)
    const padded = Math.ceil(n / 4) * 4
    const chirp = new Float64Array(2 * padded)
    let square = 0 // k^2 modulo 2n
    for (let k = 0; k < n; k++) {
      const [c, s] = unit(4 * square, n)
      chirp[k] = c
      chirp[padded + k] = -s
      square = (square + 2 * k + 1) % (2 * n)
      for (const at of k === 0 ? [0] : [k, m - k]) {
        filter.re[at] = c / m
        filter.im[at] = s / m
      }
    }
    const spectrum = wide.spectrum(m)
    const { at, bytes } = this.table(2 * padded + 2 * m, (i) => (i < 2 * padded ? chirp[i] : spectrum[i - 2 * padded]))
    return { at, bytes, m, gap: padded * this.e, spectrum: at + 2 * padded * this.e }
  }

  /** The first buffer's planes, zeros, of m elements; for `spectrum`. */
  planes(m: number): { re: Float64Array; im: Float64Array } {
    const { f64 } = memory.views
    const re = f64.subarray(this.a / 8, this.a / 8 + m).fill(0)
    const im = f64.subarray((this.a + this.gap) / 8, (this.a + this.gap) / 8 + m).fill(0)
    return { re, im }
  }

  /** The transform of the first buffer: planes one behind the other. */
  spectrum(m: number): Float64Array {
    const at = this.row(m, this.a, this.b, 0) / 8
    const { f64 } = memory.views
    const out = new Float64Array(2 * m)
    out.set(f64.subarray(at, at + m))
    out.set(f64.subarray(at + this.gap / 8, at + this.gap / 8 + m), m)
    return out
  }

  /** Makes buffers for rows of n and what lies behind them, `s` elements each. */
  private room(n: number, s: number): void {
    // Planes of powers of two would share cache lines.
    this.gap = Math.ceil(((n + 2 * this.lanes) * s * this.e) / 64) * 64 + 256
    const needed = 4 * this.gap + 4 * MARGIN
    if (needed > this.space.bytes) {
      if (this.space.bytes > 0) memory.release(this.space.at, this.space.bytes)
      this.space = { at: memory.alloc(needed), bytes: needed }
    }
    this.a = this.space.at + MARGIN
    this.b = this.a + 2 * this.gap + MARGIN
  }

  /**
   * Passes over rows of n, `s` bytes each, from buffer x; answers where the result is. With `turn`, the bytes between planes,
   * real and imaginary parts exchange their roles, which makes it the inverse transform.
   */
  private through(n: number, x: number, y: number, bytes: number, turn: number): number {
    const gap = turn ? -this.gap : this.gap
    let [from, to, s] = [x + turn, y + turn, bytes]
    for (const { p, m, w, roots } of this.passes.get(n).list) {
      if (p === 4) m === 1 ? this.k.last4(from, to, gap, w, m, s) : this.k.pass4(from, to, gap, w, m, s)
      else if (p === 2) m === 1 ? this.k.last2(from, to, gap, w, m, s) : this.k.pass2(from, to, gap, w, m, s)
      else if (p === 3) m === 1 ? this.k.last3(from, to, gap, w, m, s) : this.k.pass3(from, to, gap, w, m, s)
      else if (p === 5) m === 1 ? this.k.last5(from, to, gap, w, m, s) : this.k.pass5(from, to, gap, w, m, s)
      else this.k.passAny(from, to, gap, w, m, s, p, roots)
      ;[from, to] = [to, from]
      s *= p
    }
    return from - turn
  }

  /** The transform of a row in planes at x; y is the other buffer. */
  private row(n: number, x: number, y: number, turn: number): number {
    if (!this.direct(n)) return this.bluestein(n, x, y, turn)
    const gap = turn ? -this.gap : this.gap
    this.k.first(x + turn, y + turn, gap, this.firsts.get(n).at, (n / 4) * this.e)
    return this.through(n / 4, y, x, 4 * this.e, turn)
  }

  /** Rows that are transformed by vectors of their own elements. */
  private direct(n: number): boolean {
    return n % 4 === 0 && n / 4 >= this.lanes && radicesOf(n) !== null
  }

  /** L. I. Bluestein (1970): a convolution with a chirp, done by transforms of a power of two. */
  private bluestein(n: number, x: number, y: number, turn: number): number {
    const { k, e } = this
    const chirp = this.chirps.get(n)
    const gap = turn ? -this.gap : this.gap
    const bytes = Math.ceil((n * e) / 16) * 16
    k.multiply(x + turn, gap, chirp.at, chirp.gap, bytes)
    const { u8 } = memory.views
    for (const plane of [x, x + this.gap]) u8.fill(0, plane + n * e, plane + chirp.m * e)
    const once = this.row(chirp.m, x, y, turn)
    k.multiply(once + turn, gap, chirp.spectrum, chirp.m * e, chirp.m * e)
    const back = this.row(chirp.m, once, once === x ? y : x, turn ? 0 : this.gap)
    k.multiply(back + turn, gap, chirp.at, chirp.gap, bytes)
    return back
  }

  run(args: FourierArgs): void {
    const { n, inner, real } = args
    const halved = real !== null && n % 2 === 0
    const length = halved ? n / 2 : n
    const smooth = radicesOf(length) !== null
    if (inner === 1 && (this.direct(length) || !smooth)) this.rows(args, length, halved, smooth)
    else this.columns(args, length, halved)
  }

  private rows(
    { from, to, outer, n, before, after, inverse, scale, real }: FourierArgs,
    length: number,
    halved: boolean,
    smooth: boolean,
  ): void {
    const { k, e } = this
    // Tables first: making one may use the buffers of this engine.
    const chirp = smooth ? null : this.chirps.get(length)
    this.room(Math.max(chirp?.m ?? 0, n), 1)
    const { a, b, gap } = this
    const [fromStep, toStep] = [before * e * (real === 'source' ? 1 : 2), after * e * (real === 'result' ? 1 : 2)]
    const turn = real === null ? inverse : real === 'result'
    const [w, far] = smooth ? [this.firsts.get(length).at, (length / 4) * e] : [0, 0]
    for (let i = 0; i < outer; i++) {
      const [read, write] = [from + i * fromStep, to + i * toStep]
      let done: number
      if (real === 'result') {
        k.split(read, 0, a, gap, 0, 1, before, inverse ? 1 : -1)
        done = this.spread(n, halved)
      } else if (smooth) {
        // Pairs of real numbers are read as complex ones.
        if (turn) k.firstTurned(read, a + gap, -gap, w, far)
        else k.firstPairs(read, a, gap, w, far)
        done = this.through(length / 4, a, b, 4 * e, turn ? gap : 0)
      } else {
        if (real === 'source' && !halved) {
          k.copy(read, 0, a, 0, 1, n, 1)
          memory.views.u8.fill(0, a + gap, a + gap + n * e)
        } else k.split(read, 0, a, gap, 0, 1, length, 1)
        done = this.bluestein(length, a, b, turn ? gap : 0)
      }
      if (real === 'source' && halved) done = this.untangled(length, done, done === a ? b : a)
      if (real === 'result' && !halved) k.copy(done, 0, write, 0, 1, n, scale)
      else {
        const count = real === 'result' ? length : after
        k.join(done, gap, 0, write, 0, 1, count, scale, real === 'source' && inverse ? -scale : scale)
      }
    }
  }

  /** A row's half spectrum in the first buffer, made whole or tangled, and its inverse transform. */
  private spread(n: number, halved: boolean): number {
    const { e, a, b, gap } = this
    const w = halved ? this.halves.get(n / 2).at : 0
    const { view } = this
    const [re, im] = [a / e, (a + gap) / e]
    view[im] = 0
    if (halved) {
      const h = n / 2
      view[im + h] = 0
      this.k.tangleRow(a, b, gap, w, h * e)
      return this.row(h, b, a, gap)
    }
    for (let i = 1; 2 * i < n; i++) {
      view[re + n - i] = view[re + i]
      view[im + n - i] = -view[im + i]
    }
    return this.row(n, a, b, gap)
  }

  /** The spectrum of 2h real numbers, from that of the h complex ones they were read as. */
  private untangled(h: number, x: number, y: number): number {
    const { e, gap } = this
    const w = this.halves.get(h).at
    const { view } = this
    const [re, im] = [x / e, (x + gap) / e]
    view[re + h] = view[re]
    view[im + h] = view[im]
    this.k.untangleRow(x, y, gap, w, h * e)
    view[y / e + h] = view[re] - view[im]
    view[(y + gap) / e + h] = 0
    return y
  }

  /** Columns of [outer, n, inner], or rows side by side, in tiles. */
  private columns(args: FourierArgs, length: number, halved: boolean): void {
    const { outer, n, inner, inverse, real } = args
    const { k, e, lanes } = this
    const many = inner === 1 ? outer : inner
    const most = Math.floor(TILE / ((n + 4) * 4 * e * lanes)) * lanes
    const width = inner === 1 ? lanes : Math.max(lanes, Math.min(most, Math.ceil(many / lanes) * lanes))
    this.room(n + 2, width)
    const { a, b, gap } = this
    const s = width * e
    const blocks = inner === 1 ? 1 : outer
    for (let block = 0; block < blocks; block++) {
      for (let first = 0; first < many; first += width) {
        const count = Math.min(width, many - first)
        // What lies beside the last columns may be anything, and slow if it is denormal.
        if (count < width) memory.views.u8.fill(0, a, a + 2 * gap)
        this.read(args, block, first, count, s, halved)
        let done: number
        if (real === 'result') {
          memory.views.u8.fill(0, a + gap, a + gap + s)
          if (halved) {
            memory.views.u8.fill(0, a + gap + length * s, a + gap + (length + 1) * s)
            k.tangle(a, b, gap, this.pairs.get(length).at, length, s, length)
            done = this.through(length, b, a, s, gap)
          } else {
            const pairs = (n - 1) / 2
            if (pairs > 0) {
              k.copy(a + s, s, a + (n - 1) * s, -s, pairs, width, 1)
              k.copy(a + gap + s, s, a + gap + (n - 1) * s, -s, pairs, width, -1)
            }
            done = this.through(n, a, b, s, gap)
          }
        } else done = this.through(length, a, b, s, real === null && inverse ? gap : 0)
        if (real === 'source' && halved) {
          const other = done === a ? b : a
          for (const plane of [done, done + gap]) memory.views.u8.copyWithin(plane + length * s, plane, plane + s)
          k.untangle(done, other, gap, this.pairs.get(length).at, length, s, length + 1)
          done = other
        }
        this.write(args, block, first, count, s, halved, done)
      }
    }
  }

  private read(
    { from, n, inner, before, inverse, real }: FourierArgs,
    block: number,
    first: number,
    count: number,
    s: number,
    halved: boolean,
  ): void {
    const { k, e, a, gap } = this
    const sign = real === 'result' && !inverse ? -1 : 1
    if (real === 'source' && !halved) memory.views.u8.fill(0, a + gap, a + gap + n * s)
    if (inner === 1) {
      for (let i = 0; i < count; i++) {
        const row = from + (first + i) * before * e * (real === 'source' ? 1 : 2)
        if (real === 'source' && !halved) k.scatterReal(row, a + i * e, s, n)
        else k.scatter(row, a + i * e, gap, s, halved && real === 'source' ? n / 2 : before, sign)
      }
      return
    }
    const at = block * before * inner + first
    if (real !== 'source') k.split(from + at * 2 * e, inner * 2 * e, a, gap, s, before, count, sign)
    else if (halved) {
      k.copy(from + at * e, 2 * inner * e, a, s, n / 2, count, 1)
      k.copy(from + (at + inner) * e, 2 * inner * e, a + gap, s, n / 2, count, 1)
    } else k.copy(from + at * e, inner * e, a, s, n, count, 1)
  }

  private write(
    { to, n, inner, after, inverse, scale, real }: FourierArgs,
    block: number,
    first: number,
    count: number,
    s: number,
    halved: boolean,
    done: number,
  ): void {
    const { k, e, gap } = this
    const imaginary = real === 'source' && inverse ? -scale : scale
    if (inner === 1) {
      for (let i = 0; i < count; i++) {
        const row = to + (first + i) * after * e * (real === 'result' ? 1 : 2)
        if (real === 'result' && !halved) k.collectReal(done + i * e, s, row, n, scale)
        else k.collect(done + i * e, gap, s, row, real === 'result' ? n / 2 : after, scale, imaginary)
      }
      return
    }
    const at = block * after * inner + first
    if (real !== 'result') k.join(done, gap, s, to + at * 2 * e, inner * 2 * e, after, count, scale, imaginary)
    else if (halved) {
      k.copy(done, s, to + at * e, 2 * inner * e, n / 2, count, scale)
      k.copy(done + gap, s, to + (at + inner) * e, 2 * inner * e, n / 2, count, scale)
    } else k.copy(done, s, to + at * e, inner * e, n, count, scale)
  }
}
