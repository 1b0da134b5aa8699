// Running sums, products and extremes along a dimension. A scan is no kernel of the IR, so the host walks each row;
// sums and products run in double precision, as PyTorch's do.
import { type DType, decode, encode, float64, int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { numelOf, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { type ValuesIndices, valuesIndices } from './extreme.ts'
import { cat } from './join.ts'

type Elements = { [i: number]: number }

// Host routine.
/** Runs `scan` over every row of `dim`: it reads from `from` and writes to `to`, elements start + i * step for i < n. */
function scanRows(
  from: Tensor,
  to: Tensor,
  dim: number,
  scan: (from: Elements, to: Elements, start: number, step: number, n: number) => void,
): void {
  const rank = from.ndim
  const n = rank ? from.sizes[dim] : 1
  const step = numelOf(from.sizes.slice(dim + 1))
  const { count } = from
  if (count === 0) return
  onHost('scan', [from, to], from === to ? 'uu' : 'rw', (a, b) => {
    const source = a as unknown as Elements
    const target = b as unknown as Elements
    for (let block = 0; block < count; block += n * step) {
      for (let i = 0; i < step; i++) scan(source, target, block + i, step, n)
    }
  })
}

interface CumulativeOptions {
  readonly dim?: number
  readonly dtype?: DType | null
}
type Cumulative = (x: Tensor, ...args: Args<[dim: number], CumulativeOptions>) => Tensor

/** Running totals in the dtype `to`. */
function running(x: Tensor, dim: number, to: DType, product: boolean): Tensor {
  const out = empty(x.sizes, to)
  if (to === int64) {
    const source = x.detach().to(int64).contiguous()
    scanRows(source, out, dim, (from, into, start, step, n) => {
      const [a, b] = [from, into] as unknown as [BigInt64Array, BigInt64Array]
      let total = product ? 1n : 0n
      for (let i = 0, at = start; i < n; i++, at += step) {
        total = BigInt.asIntN(64, product ? total * a[at] : total + a[at])
        b[at] = total
      }
    })
    return out
  }
  const source = x.detach().to(to).contiguous()
  if (to.name === 'float32' || to === float64) {
    scanBlocks(source, out, dim, product)
    return out
  }
  scanRows(source, out, dim, (from, into, start, step, n) => {
    let total = product ? 1 : 0
    for (let i = 0, at = start; i < n; i++, at += step) {
      const value = Number(decode(to, from[at]))
      total = product ? total * value : total + value
      into[at] = Number(encode(to, total))
    }
  })
  return out
}

// Host routine.
/** Running totals of singles or doubles, summed in double; neighbouring rows side by side, in the order of memory. */
function scanBlocks(from: Tensor, to: Tensor, dim: number, product: boolean): void {
  const { count } = from
  if (count === 0) return
  const n = from.ndim ? from.sizes[dim] : 1
  const step = numelOf(from.sizes.slice(dim + 1))
  onHost('scan', [from, to], 'rw', (a, b) => {
    totalBlocks(a as Float32Array, b as Float32Array, count, n, step, product)
  })
}

/** Running totals over blocks of `n` rows of `step` elements. */
function totalBlocks(
  source: Float32Array,
  target: Float32Array,
  count: number,
  n: number,
  step: number,
  product: boolean,
): void {
  if (step === 1) {
    for (let start = 0; start < count; start += n) {
      let total = product ? 1 : 0
      for (let i = start; i < start + n; i++) {
        total = product ? total * source[i] : total + source[i]
        target[i] = total
      }
    }
    return
  }
  const totals = new Float64Array(step)
  for (let block = 0; block < count; block += n * step) {
    totals.fill(product ? 1 : 0)
    for (let row = block; row < block + n * step; row += step) {
      for (let i = 0; i < step; i++) {
        totals[i] = product ? totals[i] * source[row + i] : totals[i] + source[row + i]
        target[row + i] = totals[i]
      }
    }
  }
}

const resultDtype = (x: Tensor, dtype: DType | null | undefined): DType =>
  dtype ?? (x.dtype.isFloatingPoint ? x.dtype : int64)

/** The running sum along `dim`. Integers and bools sum to int64. */
export const cumsum: Cumulative = op({
  name: 'cumsum',
  signature: 'input, dim, *, dtype',
  samples: (t) => [
    [t(3, 4), 0],
    [t(3, 4), -1],
    [t(), 0],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, dtype?: DType | null) => {
    const d = wrapDim(dim, x.ndim)
    const from = x.dtype
    return record(running(x, d, resultDtype(x, dtype), false), 'CumsumBackward0', [x], [], (g) => [
      fromTheEnd(g, d).to(from),
    ])
  },
  inPlace: (x: Tensor, dim: number, dtype?: DType | null) => x.copy_(cumsum(x, dim, { dtype: dtype ?? x.dtype })),
})

/** Running sums from the last element backwards. */
function fromTheEnd(g: Tensor, dim: number): Tensor {
  return g.ndim === 0 ? g : g.flip(dim).cumsum(dim).flip(dim)
}

/** The running product along `dim`. Integers and bools multiply to int64. */
export const cumprod: Cumulative = op({
  name: 'cumprod',
  signature: 'input, dim, *, dtype',
  samples: (t) => [
    [t(3, 4), 0],
    [t(3, 4), -1],
    [t(), 0],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number, dtype?: DType | null) => {
    const d = wrapDim(dim, x.ndim)
    const out = running(x, d, resultDtype(x, dtype), true)
    const from = x.dtype
    return record(out, 'CumprodBackward0', [x], [x, out], (g, [input, product]) => [
      cumprodGradient(g, input.to(g.dtype), product, d).to(from),
    ])
  },
  // The gradient needs the input, which is overwritten.
  inPlace: (x: Tensor, dim: number, dtype?: DType | null) =>
    x.copy_(cumprod(x.clone(), dim, { dtype: dtype ?? x.dtype })),
})

/** sum over j >= i of g[j] * (product up to j without i): by division, or term by term where an element is zero. */
function cumprodGradient(g: Tensor, x: Tensor, product: Tensor, dim: number): Tensor {
  if (x.ndim === 0) return g
  if (x.count === 0 || !x.detach().eq(0).any().item<boolean>()) return fromTheEnd(g.mul(product), dim).div(x)
  const n = x.sizes[dim]
  const terms = Array.from({ length: n }, (_, i) => {
    const before =
      i === 0
        ? x.narrow(dim, 0, 1).onesLike()
        : x
            .narrow(dim, 0, i)
            .cumprod(dim)
            .narrow(dim, i - 1, 1)
    const after = cat([x.narrow(dim, 0, 1).onesLike(), x.narrow(dim, i + 1, n - i - 1)], dim).cumprod(dim)
    return g
      .narrow(dim, i, n - i)
      .mul(before)
      .mul(after)
      .sum(dim, true)
  })
  return cat(terms, dim)
}

type Extreme = (x: Tensor, ...args: Args<[dim: number], { dim?: number }>) => ValuesIndices

const runningExtreme = (name: 'cummax' | 'cummin'): Extreme =>
  op({
    name,
    signature: 'input, dim',
    samples: (t) => [
      [t(3, 4), 0],
      [t(3, 4), -1],
    ],
    differentiable: true,
    forward: (x: Tensor, dim: number) => {
      const d = wrapDim(dim, x.ndim)
      if (x.ndim > 0 && x.sizes[d] === 0 && x.count > 0)
        throw new IndexError(`${name}(): Expected reduction dim ${d} to have non-zero size.`)
      const largest = name === 'cummax'
      const source = empty(x.sizes, x.dtype === int64 ? int64 : float64)
      copyValues(x.detach(), source)
      const indices = empty(x.sizes, int64)
      scanRows(source, indices, d, (from, into, start, step, n) => {
        const positions = into as unknown as BigInt64Array
        let best = 0
        for (let i = 0, at = start; i < n; i++, at += step) {
          const [value, known] = [from[at], from[start + best * step]]
          // biome-ignore lint/suspicious/noSelfCompare: NaN is the only value unequal to itself, and it wins
          if (value !== value || (known === known && (largest ? value >= known : value <= known))) best = i
          positions[at] = BigInt(best)
        }
      })
      const values = x.ndim === 0 ? x.detach().clone() : x.detach().gather(d, indices)
      const { sizes } = x
      record(values, largest ? 'CummaxBackward0' : 'CumminBackward0', [x], [indices], (g, [at]) => [
        sizes.length === 0 ? g : g.newZeros(sizes).scatterAdd_(d, at, g),
      ])
      return valuesIndices(values, indices)
    },
  })
/** The running maximum along `dim`, and the positions of the last element that reached it. */
export const cummax: Extreme = runningExtreme('cummax')
/** The running minimum along `dim`, and the positions of the last element that reached it. */
export const cummin: Extreme = runningExtreme('cummin')

/** log of the running sum of exp(x) along `dim`. */
export const logcumsumexp: (x: Tensor, ...args: Args<[dim: number], { dim?: number }>) => Tensor = op({
  name: 'logcumsumexp',
  signature: 'input, dim',
  samples: (t) => [
    [t(3, 4), 0],
    [t(3, 4), -1],
  ],
  differentiable: true,
  forward: (x: Tensor, dim: number) => {
    const d = wrapDim(dim, x.ndim)
    const out = empty(x.sizes, x.dtype)
    const wide = empty(x.sizes, float64)
    copyValues(x.detach(), wide)
    scanRows(wide, wide, d, (from, into, start, step, n) => {
      let total = Number.NEGATIVE_INFINITY
      for (let i = 0, at = start; i < n; i++, at += step) {
        const value = from[at]
        const most = Math.max(total, value)
        total = Number.isFinite(most) ? most + Math.log1p(Math.exp(Math.min(total, value) - most)) : total + value
        if (most === Number.POSITIVE_INFINITY || most === Number.NEGATIVE_INFINITY) total = most
        into[at] = total
      }
    })
    copyValues(wide, out)
    return record(out, 'LogcumsumexpBackward0', [x], [x, out], (g, [input, result]) => {
      // The sum over j >= i of g[j] * exp(x[i] - out[j]), in logarithms, for positive and negative g apart.
      const backwards = (t: Tensor): Tensor => (t.ndim === 0 ? t : t.flip(d).logcumsumexp(d).flip(d))
      const size = g.abs().log()
      const part = (of: Tensor): Tensor => backwards(size.where(of, -3e38).sub(result)).add(input).exp()
      return [part(g.gt(0)).sub(part(g.lt(0)))]
    })
  },
})

interface DiffOptions {
  readonly n?: number
  readonly dim?: number
  readonly prepend?: Tensor | null
  readonly append?: Tensor | null
}
/** Differences of neighbours along `dim` (the last), `n` times over. */
export const diff: (
  x: Tensor,
  ...args: Args<[n?: number, dim?: number, prepend?: Tensor | null, append?: Tensor | null], DiffOptions>
) => Tensor = op({
  name: 'diff',
  signature: 'input, n, dim, prepend, append',
  samples: (t) => [[t(3, 4)], [t(3, 4), 2, 0], [t(2, 3), 1, -1, t(2, 1)]],
  differentiable: true,
  forward: (x: Tensor, n = 1, dim = -1, prepend?: Tensor | null, append?: Tensor | null) => {
    if (n < 0) throw new RuntimeError(`order must be non-negative but got ${n}`)
    if (n === 0) return x
    const d = wrapDim(dim, x.ndim)
    const ends = [prepend, x, append].filter((t) => t !== undefined && t !== null)
    let out = ends.length > 1 ? cat(ends, d) : x
    const times = Math.min(n, out.sizes[d])
    for (let i = 0; i < times; i++) {
      const size = out.sizes[d]
      const [late, early] = [out.narrow(d, 1, size - 1), out.narrow(d, 0, size - 1)]
      out = x.dtype.name === 'bool' ? late.logicalXor(early) : late.sub(early)
    }
    return out
  },
})

interface TrapezoidOptions {
  readonly x?: Tensor
  readonly dx?: number
  readonly dim?: number
}
type Trapezoid = (y: Tensor, ...args: Args<[x?: Tensor], TrapezoidOptions>) => Tensor

/** The areas between neighbours of `y`. */
function areas(y: Tensor, x: Tensor | undefined, dx: number, dim: number): { pieces: Tensor; dim: number } {
  const d = wrapDim(dim, y.ndim)
  const n = y.sizes[d]
  const ends = (t: Tensor, at: number): [Tensor, Tensor] => [
    t.narrow(at, Math.min(1, n), Math.max(n - 1, 0)),
    t.narrow(at, 0, Math.max(n - 1, 0)),
  ]
  const [late, early] = ends(y, d)
  const heights = late.add(early)
  if (!x) return { pieces: heights.mul(dx / 2), dim: d }
  const [right, left] = x.ndim === 1 ? ends(x, 0) : ends(x, d)
  const widths = right.sub(left)
  const shaped = x.ndim === 1 ? widths.view(y.sizes.map((_, i) => (i === d ? -1 : 1))) : widths
  return { pieces: heights.mul(shaped).div(2), dim: d }
}

/** The integral of `y` along `dim` (the last) by the trapezoidal rule, at the points `x` or `dx` apart. */
export const trapezoid: Trapezoid = op({
  name: 'trapezoid',
  signature: 'y, x, *, dx, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), t(4)], [t(3, 4), { dx: 2, dim: 0 }]],
  differentiable: true,
  forward: (y: Tensor, x?: Tensor, dx = 1, dim = -1) => {
    const found = areas(y, x, dx, dim)
    return found.pieces.sum(found.dim)
  },
})

/** The running integral of `y` along `dim` (the last) by the trapezoidal rule, at the points `x` or `dx` apart. */
export const cumulativeTrapezoid: Trapezoid = op({
  name: 'cumulativeTrapezoid',
  signature: 'y, x, *, dx, dim',
  samples: (t) => [[t(3, 4)], [t(3, 4), t(4)], [t(3, 4), { dx: 2, dim: 0 }]],
  differentiable: true,
  forward: (y: Tensor, x?: Tensor, dx = 1, dim = -1) => {
    const found = areas(y, x, dx, dim)
    return found.pieces.cumsum(found.dim)
  },
})
