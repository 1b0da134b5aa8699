// torch.nn.functional: the operations behind the modules, as functions.
export * from '../ops/activation.ts'
export { bilinear } from '../ops/bilinear.ts'
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from '../ops/criterion.ts'
export * from '../ops/dropout.ts'
export { linear } from '../ops/linear.ts'
export { crossEntropy, nllLoss, type Reduction } from '../ops/loss.ts'
export * from '../ops/pointwise.ts'
export * from '../ops/rectifier.ts'
export { sigmoid, tanh } from '../ops/unary.ts'

import { relu as reluOf } from '../ops/compare.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** max(x, 0); with `inplace` it overwrites x. */
export function relu(input: Tensor, options: boolean | { inplace?: boolean } = false): Tensor {
  const inplace = typeof options === 'boolean' ? options : (options.inplace ?? false)
  return inplace ? input.relu_() : reluOf(input)
}
