// torch.nn.functional: the operations behind the modules, as functions.
export * from '../ops/activation.ts'
export * from '../ops/adaptive.ts'
export { scaledDotProductAttention } from '../ops/attention.ts'
export { multiHeadAttentionForward } from '../ops/attentionheads.ts'
export { bilinear } from '../ops/bilinear.ts'
export { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d } from '../ops/conv.ts'
export * from '../ops/conventional.ts'
export { fold, unfold } from '../ops/convfold.ts'
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from '../ops/criterion.ts'
export { cosineSimilarity, pairwiseDistance, pdist } from '../ops/distance.ts'
export * from '../ops/dropout.ts'
export { embedding, oneHot } from '../ops/embedding.ts'
export { type BagMode, embeddingBag } from '../ops/embeddingbag.ts'
export * from '../ops/likelihood.ts'
export { linear } from '../ops/linear.ts'
export { linearCrossEntropy } from '../ops/linearcrossentropy.ts'
export { crossEntropy, nllLoss, type Reduction } from '../ops/loss.ts'
export * from '../ops/margin.ts'
export { featureAlphaDropout, gumbelSoftmax, rrelu } from '../ops/noise.ts'
export { layerNorm, rmsNorm } from '../ops/normalization.ts'
export { batchNorm, instanceNorm } from '../ops/normalizationchannels.ts'
export { groupNorm } from '../ops/normalizationgroup.ts'
export { localResponseNorm, normalize } from '../ops/normalizationlocal.ts'
export { celu_, elu_, hardtanh_, leakyRelu_, relu_, rrelu_, selu_, threshold_ } from '../ops/overwritten.ts'
export { pad } from '../ops/pad.ts'
export * from '../ops/pixel.ts'
export * from '../ops/pointwise.ts'
export { maxPool1d, maxPool2d, maxPool3d, maxUnpool1d, maxUnpool2d, maxUnpool3d } from '../ops/pool.ts'
export * from '../ops/poolaverage.ts'
export { fractionalMaxPool2d, fractionalMaxPool3d } from '../ops/poolfraction.ts'
export * from '../ops/rectifier.ts'
export { affineGrid, gridSample } from '../ops/resamplegrid.ts'
export { type InterpolateMode, interpolate, upsampleBilinear, upsampleNearest } from '../ops/resampleimage.ts'
export { sigmoid, tanh } from '../ops/unary.ts'

import { relu as reluOf } from '../ops/compare.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** max(x, 0), element by element; with `inplace` it overwrites x. */
export function relu(input: Tensor, options: boolean | { inplace?: boolean } = false): Tensor {
  const inplace = typeof options === 'boolean' ? options : (options.inplace ?? false)
  return inplace ? input.relu_() : reluOf(input)
}
