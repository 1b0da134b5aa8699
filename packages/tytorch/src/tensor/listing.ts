// Elements as JavaScript values, a row at a time.
import { memory } from '../backend/memory.ts'
import { Complex } from '../base/complex.ts'
import { decode } from '../base/dtype.ts'
import type { NestedArray, Tensor } from './tensor.ts'

/** What reads `n` elements of `x` from `start` of its storage on, `step` apart, as `x.value` does. */
export function rowReader(x: Tensor): (start: number, n: number, step: number) => NestedArray[] {
  const { views } = memory
  const base = x.storage.pointer / x.dtype.itemsize
  const reader =
    <V>(view: ArrayLike<V>, read: (found: V) => NestedArray) =>
    (start: number, n: number, step: number): NestedArray[] => {
      const list: NestedArray[] = []
      for (let i = 0, at = base + start; i < n; i++, at += step) list.push(read(view[at]))
      return list
    }
  switch (x.dtype.name) {
    case 'float32':
      return reader(views.f32, (found) => found)
    case 'float64':
      return reader(views.f64, (found) => found)
    case 'int32':
      return reader(views.i32, (found) => found)
    case 'bool':
      return reader(views.u8, (found) => found !== 0)
    case 'int64': {
      const words = views.i32
      return (start, n, step) => {
        const list: NestedArray[] = []
        for (let i = 0, at = 2 * (base + start); i < n; i++, at += 2 * step) {
          const found = words[at + 1] * 2 ** 32 + (words[at] >>> 0)
          list.push(Number.isSafeInteger(found) ? found : views.i64[at / 2])
        }
        return list
      }
    }
    default: {
      const { dtype } = x
      if (dtype.kind !== 'complex') {
        return (start, n, step) =>
          Array.from({ length: n }, (_, i) => decode(dtype, x.element(start + i * step)) as NestedArray)
      }
      const parts = dtype.itemsize === 8 ? views.f32 : views.f64
      return (start, n, step) =>
        Array.from({ length: n }, (_, i) => {
          const at = 2 * (base + start + i * step)
          return new Complex(parts[at], parts[at + 1])
        })
    }
  }
}
