// The loops of Fourier transforms as WebAssembly. Data is planar: imaginary parts lie `gap` bytes behind the real ones.
// Stockham's self-sorting passes work on vectors of `s` neighbours that share their factors; steps and counts of vectors
// are in bytes.
import { memory } from '../memory.ts'
import { I32, i32, Module, V128, type ValueType } from './assembler.ts'
import type { Host } from './features.ts'
import { DOUBLE, type Pair, SINGLE, Writer } from './fourierwriter.ts'
import type { Value } from './values.ts'

export interface FourierKernels {
  /** Passes of a radix p over x[t + s (q + m k)] to y[t + s (p q + j)], with factors (p - 1) a q at `w`; `s` in bytes. */
  pass2(x: number, y: number, gap: number, w: number, m: number, s: number): void
  pass3(x: number, y: number, gap: number, w: number, m: number, s: number): void
  pass4(x: number, y: number, gap: number, w: number, m: number, s: number): void
  pass5(x: number, y: number, gap: number, w: number, m: number, s: number): void
  /** The same without factors, which are 1 where m is. */
  last2(x: number, y: number, gap: number, w: number, m: number, s: number): void
  last3(x: number, y: number, gap: number, w: number, m: number, s: number): void
  last4(x: number, y: number, gap: number, w: number, m: number, s: number): void
  last5(x: number, y: number, gap: number, w: number, m: number, s: number): void
  /** Of any radix: its p * p roots lie at `roots`. */
  passAny(x: number, y: number, gap: number, w: number, m: number, s: number, p: number, roots: number): void
  /** The first pass of radix 4 for s = 1: factors are planar, [3][2][m] with m elements in `far` bytes. */
  first(x: number, y: number, gap: number, w: number, far: number): void
  /** The same from alternating parts, and from them with the parts exchanged. */
  firstPairs(x: number, y: number, gap: number, w: number, far: number): void
  firstTurned(x: number, y: number, gap: number, w: number, far: number): void
  /** Pairs to planes, row by row; imaginary parts times `sign`. */
  split(
    from: number,
    fromStep: number,
    to: number,
    gap: number,
    toStep: number,
    rows: number,
    count: number,
    sign: number,
  ): void
  /** Planes to pairs, times a scale each. */
  join(
    from: number,
    gap: number,
    fromStep: number,
    to: number,
    toStep: number,
    rows: number,
    count: number,
    re: number,
    im: number,
  ): void
  /** Real rows, times a scale. */
  copy(from: number, fromStep: number, to: number, toStep: number, rows: number, count: number, scale: number): void
  /** As `split`, `join` and `copy` of one row, to and from every `step` bytes of planes. */
  scatter(from: number, to: number, gap: number, step: number, count: number, sign: number): void
  collect(from: number, gap: number, step: number, to: number, count: number, re: number, im: number): void
  scatterReal(from: number, to: number, step: number, count: number): void
  collectReal(from: number, step: number, to: number, count: number, scale: number): void
  /** a *= b over `bytes` of each plane. */
  multiply(a: number, aGap: number, b: number, bGap: number, bytes: number): void
  /** X from Z, or with `back` Z from X: see `halves` in fourier.ts. Elements run along the row. */
  untangleRow(x: number, y: number, gap: number, w: number, bytes: number): void
  tangleRow(x: number, y: number, gap: number, w: number, bytes: number): void
  /** The same for rows of `s` bytes, `count` of them; factors are pairs. */
  untangle(x: number, y: number, gap: number, w: number, h: number, s: number, count: number): void
  tangle(x: number, y: number, gap: number, w: number, h: number, s: number, count: number): void
}

/** The loops for float32 or float64; each is compiled when it is first asked for, since a transform needs few of them. */
export function createFourierKernels(size: 4 | 8, host: Host): FourierKernels {
  const e = size === 4 ? SINGLE : DOUBLE
  const kernels = {} as FourierKernels
  const emit = (name: keyof FourierKernels, params: number, scalars: number, body: (c: Loops) => void): void => {
    const define = (more: PropertyDescriptor): void => {
      Object.defineProperty(kernels, name, { configurable: true, enumerable: true, ...more })
    }
    define({
      get() {
        const module = new Module(memory)
        const f = module.func('run', [...Array<ValueType>(params).fill(I32), ...Array<ValueType>(scalars).fill(e.type)])
        body(new Loops(f, e, host.relaxed, CONSTANTS))
        const compiled = new WebAssembly.Module(module.encode())
        const { run: value } = new WebAssembly.Instance(compiled, { env: { memory: memory.wasm } }).exports
        define({ value })
        return value
      },
    })
  }
  emit('pass2', 6, 0, (c) => c.pass(2, radix2))
  emit('pass3', 6, 0, (c) => c.pass(3, radix3))
  emit('pass4', 6, 0, (c) => c.pass(4, radix4))
  emit('pass5', 6, 0, (c) => c.pass(5, radix5))
  emit('last2', 6, 0, (c) => c.pass(2, radix2, true))
  emit('last3', 6, 0, (c) => c.pass(3, radix3, true))
  emit('last4', 6, 0, (c) => c.pass(4, radix4, true))
  emit('last5', 6, 0, (c) => c.pass(5, radix5, true))
  emit('passAny', 8, 0, (c) => c.passAny())
  emit('first', 5, 0, (c) => c.first('planes'))
  emit('firstPairs', 5, 0, (c) => c.first('pairs'))
  emit('firstTurned', 5, 0, (c) => c.first('turned'))
  emit('split', 7, 1, (c) => c.split())
  emit('join', 7, 2, (c) => c.join())
  emit('copy', 6, 1, (c) => c.copy())
  emit('scatter', 5, 1, (c) => c.scatter())
  emit('collect', 5, 2, (c) => c.collect())
  emit('scatterReal', 4, 0, (c) => c.scatterReal())
  emit('collectReal', 4, 1, (c) => c.collectReal())
  emit('multiply', 5, 0, (c) => c.multiply())
  emit('untangleRow', 5, 0, (c) => c.row(untangled))
  emit('tangleRow', 5, 0, (c) => c.row(tangled))
  emit('untangle', 7, 0, (c) => c.rows(untangled))
  emit('tangle', 7, 0, (c) => c.rows(tangled))
  return kernels
}

type Butterfly = (c: Loops, x: readonly Pair[]) => Pair[]

const radix2: Butterfly = (c, [a, b]) => [c.plus(a, b), c.minus(a, b)]

const radix3: Butterfly = (c, [a, b, d]) => {
  const sum = c.plus(b, d)
  const middle = c.addTimes(a, sum, -0.5)
  const turn = c.turned(c.minus(b, d), Math.sqrt(3) / 2)
  return [c.plus(a, sum), c.plus(middle, turn), c.minus(middle, turn)]
}

const radix4: Butterfly = (c, [a, b, d, e]) => {
  const [s, t] = [c.plus(a, d), c.minus(a, d)]
  const [u, v] = [c.plus(b, e), c.turned(c.minus(b, e), 1)]
  return [c.plus(s, u), c.plus(t, v), c.minus(s, u), c.minus(t, v)]
}

const turn = (part: number): number => 2 * Math.PI * part
const [C1, C2, S1, S2] = [Math.cos(turn(0.2)), Math.cos(turn(0.4)), Math.sin(turn(0.2)), Math.sin(turn(0.4))]

const CONSTANTS = [0.5, -0.5, Math.sqrt(3) / 2, C1, C2, S1, S2, -S1]

const radix5: Butterfly = (c, [a, b, d, e, g]) => {
  const [s1, s2] = [c.plus(b, g), c.plus(d, e)]
  const [d1, d2] = [c.minus(b, g), c.minus(d, e)]
  const m1 = c.addTimes(c.addTimes(a, s1, C1), s2, C2)
  const m2 = c.addTimes(c.addTimes(a, s1, C2), s2, C1)
  const t1 = c.turned(c.addTimes(c.times(d1, S1), d2, S2), 1)
  const t2 = c.turned(c.addTimes(c.times(d1, S2), d2, -S1), 1)
  return [c.plus(c.plus(a, s1), s2), c.plus(m1, t1), c.plus(m2, t2), c.minus(m2, t2), c.minus(m1, t1)]
}

type Combine = (c: Loops, z: Pair, y: Pair, w: Pair) => Pair

/** (z + conj y) / 2 + w (z - conj y) / 2i. */
const untangled: Combine = (c, z, y, w) => {
  const even = c.plus(z, c.conjugate(y))
  const odd = c.turned(c.minus(z, c.conjugate(y)), 1)
  return c.times(c.plus(even, c.product(odd, w)), 0.5)
}

/** z + conj y + i (z - conj y) / w. */
const tangled: Combine = (c, z, y, w) => {
  const even = c.plus(z, c.conjugate(y))
  const odd = c.product(c.minus(z, c.conjugate(y)), c.conjugate(w))
  return c.minus(even, c.turned(odd, 1))
}

class Loops extends Writer {
  pass(p: number, butterfly: Butterfly, last = false): void {
    const { f, e } = this
    const [x, y, gap, w, m, s] = [0, 1, 2, 3, 4, 5]
    const far = f.local(I32)
    const end = f.local(I32)
    f.get(m).get(s).op(i32.mul).set(far)
    f.loop(() => {
      const factors = Array.from({ length: last ? 0 : p - 1 }, (_, j) => ({
        re: this.splat(w, 2 * j * e.bytes),
        im: this.splat(w, (2 * j + 1) * e.bytes),
      }))
      f.get(x).get(s).op(i32.add).set(end)
      this.upTo(x, end, () => {
        const from = [x]
        for (let i = 1; i < p; i++) from.push(this.sum(from[i - 1], far))
        const out = butterfly(
          this,
          from.map((at) => this.loadPair(at, gap)),
        )
        let to = y
        out.forEach((value, j) => {
          if (j > 0) to = this.sum(to, s)
          this.storePair(to, gap, j === 0 || last ? value : this.product(value, factors[j - 1]))
        })
        f.inc(x, 16).inc(y, 16)
      })
      f.get(y).get(s).i32(p - 1).op(i32.mul).op(i32.add).set(y) // biome-ignore format: a sum
      f.inc(w, 2 * (p - 1) * e.bytes).inc(m, -1)
      f.get(m).brIf(0)
    })
  }

  passAny(): void {
    const { f, e } = this
    const [x, y, gap, w, m, s, p, roots] = [0, 1, 2, 3, 4, 5, 6, 7]
    const [far, end, j, k, from, root, to] = Array.from({ length: 7 }, () => f.local(I32))
    const [re, im, wr, wi] = Array.from({ length: 4 }, () => f.local(V128))
    const read =
      (local: number): Value =>
      () =>
        f.get(local)
    f.get(m).get(s).op(i32.mul).set(far)
    f.loop(() => {
      f.get(x).get(s).op(i32.add).set(end)
      this.upTo(x, end, () => {
        f.i32(0).set(j).get(roots).set(root).get(y).set(to)
        this.upTo(j, p, () => {
          f.f64x2(0).set(re).f64x2(0).set(im).get(x).set(from).i32(0).set(k)
          this.upTo(k, p, () => {
            const value = this.loadPair(from, gap)
            const factor = { re: this.splat(root, 0), im: this.splat(root, e.bytes) }
            this.madd(value.re, factor.re, this.nmadd(value.im, factor.im, read(re)))()
            f.set(re)
            this.madd(value.re, factor.im, this.madd(value.im, factor.re, read(im)))()
            f.set(im)
            f.inc(k, 1).inc(root, 2 * e.bytes)
            f.get(from).get(far).op(i32.add).set(from)
          })
          // Factor 0 is 1, which the table leaves out.
          f.get(j).if(
            () => {
              f.get(w).get(j).i32(2 * e.bytes).op(i32.mul).op(i32.add).i32(2 * e.bytes).op(i32.sub).set(from) // biome-ignore format: an address
              this.splat(from, 0)()
              f.set(wr)
              this.splat(from, e.bytes)()
              f.set(wi)
              this.storePair(to, gap, this.product({ re: read(re), im: read(im) }, { re: read(wr), im: read(wi) }))
            },
            () => this.storePair(to, gap, { re: read(re), im: read(im) }),
          )
          f.inc(j, 1).get(to).get(s).op(i32.add).set(to)
        })
        f.inc(x, 16).inc(y, 16)
      })
      f.get(y).get(s).get(p).i32(1).op(i32.sub).op(i32.mul).op(i32.add).set(y) // biome-ignore format: a sum
      f.get(w).get(p).i32(1).op(i32.sub).i32(2 * e.bytes).op(i32.mul).op(i32.add).set(w) // biome-ignore format: a sum
      f.inc(m, -1).get(m).brIf(0)
    })
  }

  first(source: 'planes' | 'pairs' | 'turned'): void {
    const { f, v } = this
    const [x, y, gap, w, far] = [0, 1, 2, 3, 4]
    const [q, wide, last] = [f.local(I32), f.local(I32), f.local(I32)]
    // Pairs take twice the bytes of a plane.
    f.get(far).i32(source === 'planes' ? 0 : 1).op(i32.shl).set(wide) // biome-ignore format: a shift
    f.get(far).i32(16).op(i32.sub).set(last)
    f.loop(() => {
      const start = f.local(I32)
      f.get(x).get(q).i32(source === 'planes' ? 0 : 1).op(i32.shl).op(i32.add).set(start) // biome-ignore format: a sum
      const from = [start]
      for (let i = 1; i < 4; i++) from.push(this.sum(from[i - 1], wide))
      const inputs = from.map((at) => {
        if (source === 'planes') return this.loadPair(at, gap)
        const { re, im } = this.pairsAt(at)
        return source === 'pairs' ? { re, im } : { re: im, im: re }
      })
      const outputs = radix4(this, inputs)
      let factor = this.sum(w, q)
      const products = outputs.map((value, j) => {
        if (j === 0) return value
        const re = v.keep(v.load(factor))
        factor = this.sum(factor, far)
        const im = v.keep(v.load(factor))
        factor = this.sum(factor, far)
        return this.product(value, { re, im })
      })
      const to = f.local(I32)
      f.get(y).get(q).i32(2).op(i32.shl).op(i32.add).set(to)
      const reals = this.transposed(products.map((p) => p.re))
      for (const [i, value] of reals.entries()) v.store(to, value, 16 * i)
      f.get(to).get(gap).op(i32.add).set(to)
      const imaginary = this.transposed(products.map((p) => p.im))
      for (const [i, value] of imaginary.entries()) v.store(to, value, 16 * i)
      // Where the last vector is not whole it begins earlier: what it repeats comes out the same.
      f.get(q)
        .get(last)
        .op(i32.geU)
        .if(() => f.return())
      f.inc(q, 16)
      f.get(last).get(q).get(last).get(q).op(i32.ltU).select().set(q)
      f.br(0)
    })
  }

  split(): void {
    const { f, v, e } = this
    const [from, fromStep, to, gap, toStep, rows, count, sign] = [0, 1, 2, 3, 4, 5, 6, 7]
    const signs = this.spread(sign)
    const [a, b, c] = [f.local(I32), f.local(I32), f.local(I32)]
    this.eachRow(
      rows,
      [
        [from, fromStep],
        [to, toStep],
      ],
      () => {
        f.get(from).set(a).get(to).set(b).get(to).get(gap).op(i32.add).set(c)
        this.eachElement(
          count,
          () => {
            const x = this.pairsAt(a)
            v.store(b, x.re)
            v.store(c, v.op(e.mul, x.im, signs))
            f.inc(a, 32).inc(b, 16).inc(c, 16)
          },
          () => {
            this.put(b, this.take(a))
            this.put(c, this.scaled(this.take(a, e.bytes), sign))
            f.inc(a, 2 * e.bytes)
              .inc(b, e.bytes)
              .inc(c, e.bytes)
          },
        )
      },
    )
  }

  join(): void {
    const { f, v, e } = this
    const [from, gap, fromStep, to, toStep, rows, count, re, im] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    const [reals, imaginary] = [this.spread(re), this.spread(im)]
    const [a, b, c] = [f.local(I32), f.local(I32), f.local(I32)]
    this.eachRow(
      rows,
      [
        [from, fromStep],
        [to, toStep],
      ],
      () => {
        f.get(to).set(a).get(from).set(b).get(from).get(gap).op(i32.add).set(c)
        this.eachElement(
          count,
          () => {
            const x = this.pair(v.op(e.mul, v.load(b), reals), v.op(e.mul, v.load(c), imaginary))
            const [low, high] = this.interleaved(x)
            v.store(a, low)
            v.store(a, high, 16)
            f.inc(a, 32).inc(b, 16).inc(c, 16)
          },
          () => {
            this.put(a, this.scaled(this.take(b), re))
            this.put(a, this.scaled(this.take(c), im), e.bytes)
            f.inc(a, 2 * e.bytes)
              .inc(b, e.bytes)
              .inc(c, e.bytes)
          },
        )
      },
    )
  }

  copy(): void {
    const { f, v, e } = this
    const [from, fromStep, to, toStep, rows, count, scale] = [0, 1, 2, 3, 4, 5, 6]
    const scales = this.spread(scale)
    const [a, b] = [f.local(I32), f.local(I32)]
    this.eachRow(
      rows,
      [
        [from, fromStep],
        [to, toStep],
      ],
      () => {
        f.get(from).set(a).get(to).set(b)
        this.eachElement(
          count,
          () => {
            v.store(b, v.op(e.mul, v.load(a), scales))
            f.inc(a, 16).inc(b, 16)
          },
          () => {
            this.put(b, this.scaled(this.take(a), scale))
            f.inc(a, e.bytes).inc(b, e.bytes)
          },
        )
      },
    )
  }

  scatter(): void {
    const { e } = this
    const [from, to, gap, step, count, sign] = [0, 1, 2, 3, 4, 5]
    const other = this.sum(to, gap)
    this.repeat(
      count,
      [
        [from, 2 * e.bytes, false],
        [to, step, true],
        [other, step, true],
      ],
      () => {
        this.put(to, this.take(from))
        this.put(other, this.scaled(this.take(from, e.bytes), sign))
      },
    )
  }

  collect(): void {
    const { e } = this
    const [from, gap, step, to, count, re, im] = [0, 1, 2, 3, 4, 5, 6]
    const other = this.sum(from, gap)
    this.repeat(
      count,
      [
        [to, 2 * e.bytes, false],
        [from, step, true],
        [other, step, true],
      ],
      () => {
        this.put(to, this.scaled(this.take(from), re))
        this.put(to, this.scaled(this.take(other), im), e.bytes)
      },
    )
  }

  scatterReal(): void {
    const [from, to, step, count] = [0, 1, 2, 3]
    this.repeat(
      count,
      [
        [from, this.e.bytes, false],
        [to, step, true],
      ],
      () => this.put(to, this.take(from)),
    )
  }

  collectReal(): void {
    const [from, step, to, count, scale] = [0, 1, 2, 3, 4]
    this.repeat(
      count,
      [
        [to, this.e.bytes, false],
        [from, step, true],
      ],
      () => this.put(to, this.scaled(this.take(from), scale)),
    )
  }

  multiply(): void {
    const { f } = this
    const [a, aGap, b, bGap, bytes] = [0, 1, 2, 3, 4]
    const end = this.sum(a, bytes)
    this.upTo(a, end, () => {
      this.storePair(a, aGap, this.product(this.loadPair(a, aGap), this.loadPair(b, bGap)))
      f.inc(a, 16).inc(b, 16)
    })
  }

  /** Elements 0 to h - 1 of y from those of x and the ones h, h - 1, ... of x, which has h + 1; factors are planar. */
  row(combine: Combine): void {
    const { f, v, e } = this
    const [x, y, gap, w, bytes] = [0, 1, 2, 3, 4]
    const back = this.sum(x, bytes)
    f.inc(back, e.bytes - 16)
    const end = this.sum(x, bytes)
    const reversed = (value: Value): Value => {
      const kept = v.keep(value)
      if (e.bytes === 4) return v.shuffle32(kept, kept, [3, 2, 1, 0])
      return () => {
        kept()
        kept()
        f.shuffle64([1, 0])
      }
    }
    this.upTo(x, end, () => {
      const z = this.loadPair(x, gap)
      const other = this.loadPair(back, gap)
      const far = this.pair(reversed(other.re), reversed(other.im))
      this.storePair(y, gap, combine(this, z, far, this.loadPair(w, bytes)))
      f.inc(x, 16).inc(y, 16).inc(w, 16).inc(back, -16)
    })
  }

  /** The same for rows of `s` bytes, of which x has h + 1; factors are pairs. */
  rows(combine: Combine): void {
    const { f, e } = this
    const [x, y, gap, w, h, s, count] = [0, 1, 2, 3, 4, 5, 6]
    const [back, end] = [f.local(I32), f.local(I32)]
    f.get(h).get(s).op(i32.mul).get(x).op(i32.add).set(back)
    f.loop(() => {
      const factor = { re: this.splat(w, 0), im: this.splat(w, e.bytes) }
      f.get(x).get(s).op(i32.add).set(end)
      this.upTo(x, end, () => {
        this.storePair(y, gap, combine(this, this.loadPair(x, gap), this.loadPair(back, gap), factor))
        f.inc(x, 16).inc(y, 16).inc(back, 16)
      })
      f.get(back).get(s).i32(1).op(i32.shl).op(i32.sub).set(back) // biome-ignore format: a difference
      f.inc(w, 2 * e.bytes).inc(count, -1)
      f.get(count).brIf(0)
    })
  }
}
