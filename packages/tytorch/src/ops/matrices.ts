// What the ops on matrices share: checks in PyTorch's words, batches, named results, and walking a batch on the host.
import { type DType, float32, float64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { broadcastSizes, numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { op } from '../tensor/define.ts'
import { onHost, type Raw } from '../tensor/host.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { diagonal } from './slice.ts'
import { expand } from './view.ts'

/** Raw elements of a float32 or float64 tensor. */
export type Floats = Float32Array | Float64Array

export { type Named, named } from '../tensor/named.ts'

/** Throws RuntimeError unless `x` has at least two dimensions. */
export function checkMatrix(name: string, x: Tensor, argument = 'A'): void {
  if (x.ndim < 2) throw new RuntimeError(`${name}: The input tensor ${argument} must have at least 2 dimensions.`)
}

/** Throws RuntimeError unless `x` is a matrix or a batch of them, and square. */
export function checkSquare(name: string, x: Tensor, argument = 'A'): void {
  checkMatrix(name, x, argument)
  const [m, n] = x.sizes.slice(-2)
  if (m !== n)
    throw new RuntimeError(
      `${name}: ${argument} must be batches of square matrices, but they are ${m} by ${n} matrices`,
    )
}

/** Throws RuntimeError unless `x` is floating point, and no less precise than float32 unless `low`. */
export function checkFloating(name: string, x: Tensor, low = false): void {
  if (!x.dtype.isFloatingPoint) {
    throw new RuntimeError(`${name}: Expected a floating point or complex tensor as input. Got ${x.dtype.title}`)
  }
  if (!low && !computes(x.dtype))
    throw new RuntimeError(`${name}: Low precision dtypes not supported. Got ${x.dtype.title}`)
}

/** The name of a float32 or float64 tensor's dtype. */
export const realOf = (x: Tensor): 'float32' | 'float64' => x.dtype.name as 'float32' | 'float64'

const computes = (dtype: DType): boolean => dtype === float32 || dtype === float64

/** Throws NotImplementedError, naming PyTorch's kernel, unless `x` is float32 or float64. */
export function checkKernel(kernel: string, x: Tensor): void {
  if (!computes(x.dtype)) throw new NotImplementedError(`"${kernel}" not implemented for '${x.dtype.title}'`)
}

/** Throws RuntimeError unless both have one dtype. */
export function checkSame(name: string, a: Tensor, b: Tensor, first = 'A', second = 'B'): void {
  if (a.dtype === b.dtype) return
  throw new RuntimeError(
    `${name}: Expected ${first} and ${second} to have the same dtype, but found ${first} of type ${a.dtype.title} and ${second} of type ${b.dtype.title} instead`,
  )
}

/** The batch dimensions of matrices. */
export const batchOf = (x: Tensor): Sizes => x.sizes.slice(0, -2)

/** `x` with the batch dimensions given, as a view. */
export function withBatch(x: Tensor, batch: Sizes): Tensor {
  return sameSizes(batchOf(x), batch) ? x : expand(x, [...batch, ...x.sizes.slice(-2)])
}

/** Two batches of matrices with their batch dimensions broadcast. */
export function broadcastBatches(a: Tensor, b: Tensor): [Tensor, Tensor] {
  const batch = broadcastSizes(batchOf(a), batchOf(b))
  return [withBatch(a, batch), withBatch(b, batch)]
}

/** Copies `count` elements from `start` on into `work`. */
export function load(work: Float64Array, from: Raw, start: number, count: number): void {
  const source = from as Floats
  for (let i = 0; i < count; i++) work[i] = source[start + i]
}

/** Copies the first `count` elements of `work` to `to` from `start` on. */
export function store(work: Float64Array, to: Raw, start: number, count: number): void {
  const target = to as Floats
  for (let i = 0; i < count; i++) target[start + i] = work[i]
}

/** Calls `fail` with the first code of `info` that is not 0, and where it stands, as PyTorch words it. */
export function checkCodes(info: Tensor, fail: (code: number, where: string) => Error): void {
  const batched = info.ndim > 0
  onHost('checkCodes', [info.contiguous()], 'r', (raw) => {
    const codes = raw as Int32Array
    const at = codes.findIndex((code) => code !== 0)
    if (at >= 0) throw fail(codes[at], batched ? `(Batch element ${at}): ` : '')
  })
}

/** The number of matrices in a batch. */
export const countOf = (batch: Sizes): number => numelOf(batch)

/** `diagonal` of matrices in the last two dimensions, unless others are named. A view. */
export const linalgDiagonal: (
  a: Tensor,
  options?: { readonly offset?: number; readonly dim1?: number; readonly dim2?: number },
) => Tensor = op({
  name: 'linalgDiagonal',
  python: 'linalg.diagonal',
  signature: 'A, *, offset, dim1, dim2',
  samples: (t) => [[t(3, 4)], [t(2, 3, 3), { offset: 1 }], [t(2, 3, 4), { offset: -1, dim1: 0, dim2: 1 }]],
  differentiable: true,
  forward: (a: Tensor, offset = 0, dim1 = -2, dim2 = -1) => diagonal(a, offset, dim1, dim2),
})
