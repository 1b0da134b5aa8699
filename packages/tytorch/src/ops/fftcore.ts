// The three Fourier transforms that all of torch.fft consists of: complex to complex, real to the half of a Hermitian
// spectrum, and back. Each one's gradient is another of them.
import { float64, toComplexType, toRealType } from '../base/dtype.ts'
import { radicesOf } from '../base/roots.ts'
import { partsOf } from '../tensor/complex.ts'
import { atPointers, onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { planFor } from './fftplan.ts'
import { cat } from './join.ts'

/** Columns that are transformed together, so that memory is read by lines. */
const COLUMNS = 8

type Floats = Float32Array | Float64Array

interface Job {
  readonly outer: number
  readonly inner: number
  /** The transform's length, and how many elements a row has before and after. */
  readonly n: number
  readonly before: number
  readonly after: number
  readonly inverse: boolean
  readonly scale: number
  /** What is real: the source, the result, or neither. */
  readonly real: 'source' | 'result' | null
}

/** Transforms rows along the middle of [outer, before, inner] to [outer, after, inner]. */
export function transform(from: Floats, to: Floats, job: Job): void {
  const { outer, inner, n, before, after, inverse, scale, real } = job
  const plan = planFor(n)
  const width = Math.min(COLUMNS, inner)
  const rows = Array.from({ length: width }, () => new Float64Array(2 * n))
  const spare = new Float64Array(2 * n)
  // The inverse is the forward transform of the conjugate, conjugated.
  const sign = inverse ? -1 : 1
  if (inner === 1) {
    const row = rows[0]
    for (let i = 0; i < outer; i++) {
      const [read, write] = [i * before, i * after]
      if (real === 'source') {
        for (let k = 0; k < before; k++) {
          row[2 * k] = from[read + k]
          row[2 * k + 1] = 0
        }
      } else {
        for (let k = 0; k < 2 * before; k += 2) {
          row[k] = from[2 * read + k]
          row[k + 1] = sign * from[2 * read + k + 1]
        }
      }
      if (real === 'result') mirror(row, n)
      const done = plan.run(row, spare)
      if (real === 'result') for (let k = 0; k < after; k++) to[write + k] = done[2 * k] * scale
      else {
        for (let k = 0; k < 2 * after; k += 2) {
          to[2 * write + k] = done[k] * scale
          to[2 * write + k + 1] = sign * done[k + 1] * scale
        }
      }
    }
    return
  }
  for (let i = 0; i < outer; i++) {
    for (let first = 0; first < inner; first += width) {
      const columns = Math.min(width, inner - first)
      for (let k = 0; k < before; k++) {
        const at = (i * before + k) * inner + first
        if (real === 'source') {
          for (let c = 0; c < columns; c++) {
            rows[c][2 * k] = from[at + c]
            rows[c][2 * k + 1] = 0
          }
        } else {
          for (let c = 0; c < columns; c++) {
            rows[c][2 * k] = from[2 * (at + c)]
            rows[c][2 * k + 1] = sign * from[2 * (at + c) + 1]
          }
        }
      }
      for (let c = 0; c < columns; c++) {
        const row = rows[c]
        if (real === 'result') mirror(row, n)
        const done = plan.run(row, spare)
        if (done !== row) row.set(done)
      }
      for (let k = 0; k < after; k++) {
        const at = (i * after + k) * inner + first
        if (real === 'result') for (let c = 0; c < columns; c++) to[at + c] = rows[c][2 * k] * scale
        else {
          for (let c = 0; c < columns; c++) {
            to[2 * (at + c)] = rows[c][2 * k] * scale
            to[2 * (at + c) + 1] = sign * rows[c][2 * k + 1] * scale
          }
        }
      }
    }
  }
}

/** Completes a Hermitian spectrum from its first half; what must be real is. */
function mirror(row: Float64Array, n: number): void {
  row[1] = 0
  if (n % 2 === 0) row[n + 1] = 0
  for (let k = 1; 2 * k < n; k++) {
    row[2 * (n - k)] = row[2 * k]
    row[2 * (n - k) + 1] = -row[2 * k + 1]
  }
}

/** True if columns of transforms of length `n` must be made rows: a large prime factor is in it, or in half of it. */
const needsRows = (n: number, real: Job['real']): boolean => radicesOf(real && n % 2 === 0 ? n / 2 : n) === null

function along(x: Tensor, dim: number, n: number, after: number, job: Pick<Job, 'inverse' | 'scale' | 'real'>): Tensor {
  if (dim < x.ndim - 1 && needsRows(n, job.real)) {
    const row = x.movedim(dim, -1).contiguous()
    return along(row, x.ndim - 1, n, after, job)
      .movedim(-1, dim)
      .contiguous()
  }
  const source = x.contiguous()
  const before = x.sizes[dim]
  const sizes = x.sizes.map((size, i) => (i === dim ? after : size))
  const out = empty(sizes, job.real === 'result' ? toRealType(x.dtype) : toComplexType(x.dtype))
  if (out.count === 0) return out
  const inner = x.sizes.slice(dim + 1).reduce((a, b) => a * b, 1)
  const outer = x.sizes.slice(0, dim).reduce((a, b) => a * b, 1)
  const from = job.real === 'source' ? source : partsOf(source)
  const to = job.real === 'result' ? out : partsOf(out)
  const whole: Job = { ...job, outer, inner, n, before, after }
  const size = from.dtype === float64 ? 8 : 4
  if (device().fourier) {
    atPointers('fft', [from.pointer, to.pointer], 'rw', ([from, to]) =>
      device().fourier?.({ ...whole, from, to, size }),
    )
  } else onHost('fft', [from, to], 'rw', (a, b) => transform(a as Floats, b as Floats, whole))
  return out
}

/** The transform of a complex tensor over `dims`, times `scale`. */
export function complexToComplex(x: Tensor, dims: readonly number[], inverse: boolean, scale: number): Tensor {
  let y = x.detach()
  dims.forEach((dim, i) => {
    const factor = i === dims.length - 1 ? scale : 1
    y = along(y, dim, y.sizes[dim], y.sizes[dim], { inverse, scale: factor, real: null })
  })
  return record(y, 'FftC2CBackward0', [x], [], (g) => [
    complexToComplex(g.dtype.isComplex ? g : g.to(toComplexType(g.dtype)), dims, !inverse, scale),
  ])
}

/** The first n / 2 + 1 elements of a real tensor's transform along `dim`, times `scale`. */
export function realToComplex(x: Tensor, dim: number, inverse: boolean, scale: number): Tensor {
  const n = x.sizes[dim]
  const out = along(x.detach(), dim, n, Math.floor(n / 2) + 1, { inverse, scale, real: 'source' })
  return record(out, 'FftR2CBackward0', [x], [], (g) => {
    const rest = n - g.sizes[dim]
    const zeros = g.newZeros(g.sizes.map((size, i) => (i === dim ? rest : size)))
    const whole = rest > 0 ? cat([g, zeros], dim) : g
    return [complexToComplex(whole, [dim], !inverse, scale).real]
  })
}

/** The real transform, of length `n`, of a Hermitian spectrum along `dim`, given by its first half; times `scale`. */
export function complexToReal(x: Tensor, dim: number, n: number, inverse: boolean, scale: number): Tensor {
  const out = along(x.detach(), dim, n, n, { inverse, scale, real: 'result' })
  return record(out, 'FftC2RBackward0', [x], [], (g) => {
    const half = realToComplex(g, dim, !inverse, scale)
    const size = half.sizes[dim]
    // Every element but those that must be real stands for two.
    const twice = g.newOnes([size], { dtype: toRealType(half.dtype) === float64 ? float64 : toRealType(half.dtype) })
    if (n - size > 0) twice.narrow(0, 1, n - size).fill_(2)
    return [half.mul(twice.view([size, ...g.sizes.slice(dim + 1).map(() => 1)]))]
  })
}
