// The Kronecker product.
import { op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { mul } from './arithmetic.ts'
import { reshape } from './view.ts'

/** Every element of `x` times all of `other`, in blocks; the shorter shape gets leading ones. */
export const kron: (x: Tensor, other: Tensor) => Tensor = op({
  name: 'kron',
  lastNode: 'UnsafeViewBackward0',
  signature: 'input, other',
  differentiable: true,
  samples: (t) => [
    [t(2, 3), t(3, 2)],
    [t(2), t(2, 1, 3)],
    [t(), t(2)],
  ],
  forward: (x: Tensor, other: Tensor) => {
    const rank = Math.max(x.ndim, other.ndim)
    const a = [...new Array<number>(rank - x.ndim).fill(1), ...x.sizes]
    const b = [...new Array<number>(rank - other.ndim).fill(1), ...other.sizes]
    const wide = reshape(
      x,
      a.flatMap((n) => [n, 1]),
    )
    const deep = reshape(
      other,
      b.flatMap((n) => [1, n]),
    )
    return reshape(
      mul(wide, deep),
      a.map((n, i) => n * b[i]),
    )
  },
})
