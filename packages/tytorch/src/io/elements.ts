// Tensors as plain bytes and back: row-major, little-endian, int64 as 8 bytes, bool as 0 and 1.
import { memory } from '../backend/memory.ts'
import { bool, type DType } from '../base/dtype.ts'
import { noGrad } from '../tensor/mode.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'

/** Writes the elements of `t`, in row-major order whatever its strides, to `out` from byte `at` on. */
export function copyElements(t: Tensor, out: Uint8Array, at: number): void {
  if (t.count === 0) return
  const whole = t.contiguousLayout ? t : noGrad(() => t.detach().contiguous())
  const from = whole.pointer
  out.set(memory.views.u8.subarray(from, from + t.count * t.dtype.itemsize), at)
}

/** A new tensor of `sizes` with the elements in `bytes`, whose length must fit; bool takes any byte but 0 as true. */
export function tensorOf(dtype: DType, sizes: readonly number[], bytes: Uint8Array): Tensor {
  const t = empty(sizes, dtype)
  if (t.count === 0) return t
  const at = t.pointer
  memory.views.u8.set(bytes, at)
  if (dtype === bool) {
    const own = memory.views.u8.subarray(at, at + t.count)
    for (let i = 0; i < own.length; i++) if (own[i] > 1) own[i] = 1
  }
  return t
}
