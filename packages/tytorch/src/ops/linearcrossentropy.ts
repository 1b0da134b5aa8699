// The cross entropy of a linear layer's scores.
import { RuntimeError } from '../base/errors.ts'
import { formatTuple } from '../base/format.ts'
import { numelOf, sameSizes } from '../base/shape.ts'
import { op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { arange } from './create.ts'
import { linear } from './linear.ts'
import { crossEntropy, type Reduction } from './loss.ts'

interface LinearCrossEntropyOptions {
  /** [C, d1, ...]. */
  readonly linearBias?: Tensor | null
  /** One a class. */
  readonly weight?: Tensor | null
  readonly reduction?: Reduction
  /** Targets that count for nothing; -100 by default. */
  readonly ignoreIndex?: number | null
  readonly labelSmoothing?: number
  /** PyTorch's choice of how to chunk the computation; it changes no values and is not used. */
  readonly options?: unknown
}

/** `crossEntropy(linear(input, linearWeight), target)`, for input [N, in] or [in] and linearWeight [C, d1, ..., in]. */
export const linearCrossEntropy: (
  input: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  options?: LinearCrossEntropyOptions,
) => Tensor = op({
  name: 'linearCrossEntropy',
  python: 'nn.functional.linear_cross_entropy',
  signature: 'input, linear_weight, target, *, linear_bias, weight, reduction, ignore_index, label_smoothing, options',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), t(5, 4), arange(3)],
    [t(3, 4), t(5, 4), arange(3), { reduction: 'sum' }],
    [t(3, 4), t(5, 4), t(3, 5)],
  ],
  forward: (
    input: Tensor,
    linearWeight: Tensor,
    target: Tensor,
    linearBias: Tensor | null = null,
    weight: Tensor | null = null,
    reduction: Reduction = 'mean',
    ignoreIndex: number | null = null,
    labelSmoothing = 0,
  ) => {
    if (input.ndim < 1 || input.ndim > 2) {
      throw new RuntimeError(`expected input with dimensionality 1 or 2, got ${input.ndim}`)
    }
    if (linearWeight.ndim < 2) {
      throw new RuntimeError(`expected linear_weight with dimensionality at least 2, got ${linearWeight.ndim}`)
    }
    const features = input.sizes[input.ndim - 1]
    const last = linearWeight.sizes[linearWeight.ndim - 1]
    if (features !== last) {
      throw new RuntimeError(
        `expected equal input and linear_weight last dimensions (in_features), got ${features} and ${last}, respectively`,
      )
    }
    const outputs = linearWeight.sizes.slice(0, -1)
    if (linearBias && !sameSizes(linearBias.sizes, outputs)) {
      throw new RuntimeError(`expected linear_bias shape ${formatTuple(outputs)}, got ${formatTuple(linearBias.sizes)}`)
    }
    if (outputs.length > 1 && input.ndim === 1) {
      throw new RuntimeError(
        `K-dimensional loss defined by linear_weight shape ${formatTuple(linearWeight.sizes)} requires batched input, (N, ${features}), got unbatched input with shape ${formatTuple(input.sizes)}`,
      )
    }
    const sizes = [...input.sizes.slice(0, -1), ...outputs]
    if (sameSizes(target.sizes, sizes) && ignoreIndex !== null) {
      throw new RuntimeError('ignore_index cannot be specified when target contains probabilities')
    }
    const rows = numelOf(outputs)
    const flat = linearWeight.ndim === 2 ? linearWeight : linearWeight.reshape(rows, features)
    const scores = linear(input, flat, linearBias ? linearBias.reshape(rows) : null).reshape(sizes)
    return crossEntropy(scores, target, {
      weight,
      reduction,
      ignoreIndex: ignoreIndex ?? -100,
      labelSmoothing,
    })
  },
})
