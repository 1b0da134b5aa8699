// Rows for the device's routines that order elements, in a type in which they can be compared, and positions as tensors.
import type { Ordered } from '../backend/routines.ts'
import { type DType, float32, float64, int32, int64 } from '../base/dtype.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { onHost, type Raw } from '../tensor/host.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'

/** The type in which elements of `dtype` are compared. */
function comparable(dtype: DType): DType {
  if (dtype === float64 || dtype === int64) return dtype
  return dtype.isFloatingPoint ? float32 : int32
}

/** `x` with `dim` as its last dimension, in row-major order and in a type that can be compared: `x` itself where it is that. */
export function rowsOf(x: Tensor, dim: number): Tensor {
  if (comparable(x.dtype) === x.dtype && x.contiguousLayout && dim >= x.ndim - 1) return x.detach()
  const dims = [...x.sizes.keys()].filter((d) => d !== dim)
  if (x.ndim > 0) dims.push(dim)
  const seen = alias(
    x,
    dims.map((d) => x.sizes[d]),
    dims.map((d) => x.strides[d]),
    x.offset,
  )
  const out = empty(seen.sizes, comparable(x.dtype))
  copyValues(seen, out)
  return out
}

/** The name of the type of a tensor that `rowsOf` made. */
export const orderedType = (rows: Tensor): Ordered => rows.dtype.name as Ordered

/** Positions as an int64 tensor. */
export function positionsTensor(positions: ArrayLike<number>, sizes: readonly number[]): Tensor {
  const out = empty(sizes, int64)
  onHost('positions', [out], 'w', (raw) => writePositions(raw, positions))
  return out
}

/** Writes positions to int64 elements. */
function writePositions(raw: Raw, positions: ArrayLike<number>): void {
  const words = new Int32Array(raw.buffer as ArrayBuffer, raw.byteOffset, 2 * raw.length)
  for (let i = 0; i < raw.length; i++) {
    words[2 * i] = positions[i]
    words[2 * i + 1] = positions[i] < 0 ? -1 : 0
  }
}
