// Running sums, products and extremes along a dimension. A scan is no kernel of the IR but a routine of the device; sums and
// products run in double precision, as PyTorch's do.
import type { Scan } from '../backend/routines.ts'
import { type DType, float32, float64, getDefaultDtype, int64 } from '../base/dtype.ts'
import { IndexError, RuntimeError } from '../base/errors.ts'
import { numelOf, wrapDim } from '../base/shape.ts'
import { notImplemented } from '../tensor/complex.ts'
import { type Args, op } from '../tensor/define.ts'
import { atPointers } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { type ValuesIndices, valuesIndices } from './extreme.ts'
import { pick, planAlong } from './gather.ts'
import { cat } from './join.ts'
import { where } from './masks.ts'
import { orderedType, rowsOf } from './order.ts'

// Host routine.
/** Writes the scan of `from` along `dim` to `to`. */
function scanned(from: Tensor, to: Tensor, dim: number, how: Scan): void {
  const n = from.ndim ? from.sizes[dim] : 1
  const inner = numelOf(from.sizes.slice(dim + 1))
  const outer = numelOf(from.sizes.slice(0, dim))
  const type = orderedType(from)
  if (from.count === 0) return
  atPointers('scan', [from.pointer, to.pointer], 'rw', ([source, target]) => {
    device().routines.scan(type, how, { from: source, to: target, outer, n, inner })
  })
}

interface CumulativeOptions {
  readonly dim?: number
  readonly dtype?: DType | null
}
type Cumulative = (x: Tensor, ...args: Args<[dim: number], CumulativeOptions>) => Tensor

/** Running totals in the dtype `to`. */
function running(x: Tensor, dim: number, to: DType, product: boolean): Tensor {
  if (to.isComplex) throw notImplemented(product ? 'cumprod' : 'cumsum', to)
  const how = product ? 'mul' : 'add'
  const plain = to === int64 || to === float32 || to === float64
  // In double precision what has fewer bits than a single; an int32 total wraps as an int64's lower half does.
  const type = plain ? to : to.isFloatingPoint ? float64 : int64
  const source = x.detach().to(to).to(type).contiguous()
  const out = empty(x.sizes, type)
  scanned(source, out, dim, how)
  return plain ? out : out.to(to)
}

const resultDtype = (x: Tensor, dtype: DType | null | undefined): DType =>
  dtype ?? (x.dtype.isFloatingPoint ? x.dtype : int64)

/** The running sum along `dim`. Integers and bools sum to int64. */
export const cumsum: Cumulative = op({
  name: 'cumsum',
  apart: 'part',
  signature: 'input, dim, *, dtype',
  node: 'CumsumBackward0',
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
  apart: 'part',
  signature: 'input, dim, *, dtype',
  node: 'CumprodBackward0',
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
      const source = rowsOf(x.detach().contiguous(), x.ndim - 1)
      const indices = empty(x.sizes, int64)
      scanned(source, indices, d, largest ? 'max' : 'min')
      const values =
        x.ndim === 0 ? x.detach().clone() : pick(x.detach(), planAlong(x, d, indices), empty(x.sizes, x.dtype))
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

/** Running maxima along `dim`. */
function runningMax(x: Tensor, dim: number): Tensor {
  const at = empty(x.sizes, int64)
  scanned(x, at, dim, 'max')
  return pick(x, planAlong(x, dim, at), empty(x.sizes, x.dtype))
}

// Host routine.
/** log of the running sum of exp along `dim` of contiguous singles or doubles: the largest so far and log1p of the rest relative to it. */
function logTotals(x: Tensor, dim: number): Tensor {
  const n = x.sizes[dim]
  const inner = numelOf(x.sizes.slice(dim + 1))
  const outer = numelOf(x.sizes.slice(0, dim))
  const most = runningMax(x, dim)
  const first = x.newFull(
    x.sizes.map((size, i) => (i === dim ? 1 : size)),
    Number.NEGATIVE_INFINITY,
  )
  const before = cat([first, most.narrow(dim, 0, n - 1)], dim)
  // What the smaller of both is relative to the larger one, 1 of equal infinities; with a sign if that is the new one.
  const ratio = x.sub(before).maskedFill(x.eq(before), 0).abs().neg().exp()
  const terms = where(x.ge(before), ratio.neg(), ratio).to(float64).contiguous()
  atPointers('logcumsumexp', [terms.pointer], 'u', ([to]) => device().routines.rescale({ to, outer, n, inner }))
  return terms.to(x.dtype).log1p().add(most)
}

/** log of the running sum of exp(x) along `dim`, without overflow; sizes and dtype stay. */
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
    const { dtype } = x
    const wide = x
      .detach()
      .to(dtype === float64 ? float64 : float32)
      .contiguous()
    const out = (x.ndim === 0 || x.count === 0 ? wide.clone() : logTotals(wide, d)).to(dtype)
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
  apart: 'all',
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
  if (!x) {
    // dx is a float in Python, whole or not, and makes floats of integers.
    const shares = y.dtype.isFloatingPoint || y.dtype.isComplex ? heights : heights.to(getDefaultDtype())
    return { pieces: shares.mul(dx / 2), dim: d }
  }
  const [right, left] = x.ndim === 1 ? ends(x, 0) : ends(x, d)
  const widths = right.sub(left)
  const shaped = x.ndim === 1 ? widths.view(y.sizes.map((_, i) => (i === d ? -1 : 1))) : widths
  return { pieces: heights.mul(shaped).div(2), dim: d }
}

/** The integral of `y` along `dim` (the last) by the trapezoidal rule, at the points `x` or `dx` apart. */
export const trapezoid: Trapezoid = op({
  name: 'trapezoid',
  signature: 'y, x, *, dx, dim',
  lastNode: (_y, x) => (x ? 'DivBackward1' : 'MulBackward1'),
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
  lastNode: (_y, x) => (x ? 'DivBackward1' : undefined),
  samples: (t) => [[t(3, 4)], [t(3, 4), t(4)], [t(3, 4), { dx: 2, dim: 0 }]],
  differentiable: true,
  forward: (y: Tensor, x?: Tensor, dx = 1, dim = -1) => {
    const found = areas(y, x, dx, dim)
    return found.pieces.cumsum(found.dim)
  },
})
