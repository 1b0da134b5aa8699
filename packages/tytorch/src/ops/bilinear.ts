// The bilinear form of two inputs.
import { RuntimeError } from '../base/errors.ts'
import { op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { mul } from './arithmetic.ts'
import { linear } from './linear.ts'

/** input1 A input2 + bias, for inputs [*, in1] and [*, in2], weight A [out, in1, in2] and bias [out]. */
export const bilinear: (input1: Tensor, input2: Tensor, weight: Tensor, bias?: Tensor | null) => Tensor = op({
  name: 'bilinear',
  lastNode: (_x, _y, _weight, bias) => (bias ? 'AddBackward0' : 'ViewBackward0'),
  python: 'nn.functional.bilinear',
  signature: 'input1, input2, weight, bias',
  differentiable: true,
  samples: (t) => [
    [t(3, 2), t(3, 4), t(5, 2, 4), t(5)],
    [t(2), t(4), t(5, 2, 4)],
  ],
  forward: (x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | null = null) => {
    const [out, n, m] = weight.sizes
    if (x.ndim !== y.ndim)
      throw new RuntimeError(`bilinear(): input dimensions do not match: got ${x.ndim} and ${y.ndim}`)
    for (const [i, input, size] of [
      [1, x, n],
      [2, y, m],
    ] as const) {
      if (input.size(-1) !== size) {
        throw new RuntimeError(
          `bilinear(): input${i} size does not match weight size: got ${input.size(-1)} but expected ${size}`,
        )
      }
    }
    const products = mul(x.unsqueeze(-1), y.unsqueeze(-2)).flatten(-2)
    return linear(products, weight.reshape(out, n * m), bias)
  },
})
