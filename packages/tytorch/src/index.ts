// The composition root: `import * as torch from 'tytorch'` reads as Python's `import torch`.
import { createInterpreter } from './backend/interp/interp.ts'
import { createWasmDevice } from './backend/wasm/device.ts'
import { installMethods } from './ops/methods.ts'
import { useDevice } from './tensor/run.ts'

installMethods()
const wanted = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.TYTORCH_BACKEND
useDevice(wanted === 'interp' ? createInterpreter() : createWasmDevice())

export { accelerator, backends, cuda } from './accelerators.ts'
export * as autograd from './autograd.ts'
export { getNumThreads, setNumThreads } from './backend/pool.ts'
export { Complex } from './base/complex.ts'
export {
  bfloat16,
  bool,
  canCast,
  complex64,
  complex64 as cfloat,
  complex128,
  complex128 as cdouble,
  DType,
  float16,
  float16 as half,
  float32,
  float32 as float,
  float64,
  float64 as double,
  getDefaultDtype,
  int8,
  int16,
  int16 as short,
  int32,
  int32 as int,
  int64,
  int64 as long,
  promoteTypes,
  setDefaultDtype,
  uint8,
} from './base/dtype.ts'
export { IndexError, NotImplementedError, RuntimeError, ValueError } from './base/errors.ts'
export { getPrintoptions, setPrintoptions } from './base/format.ts'
export { type CompileOptions, compile, compiler } from './compile/compile.ts'
export * as fft from './fft.ts'
export * as func from './func.ts'
export {
  deserialize,
  load,
  loadNpy,
  loadNpz,
  readNpy,
  save,
  saveNpy,
  saveNpz,
  serialize,
  writeNpy,
} from './io/index.ts'
export * as linalg from './linalg.ts'
export * as masked from './masked.ts'
export { deepcopy } from './nn/deepcopy.ts'
export * as nn from './nn/index.ts'
export { normExceptDim } from './nn/weightnorm.ts'
export * from './ops/activation.ts'
export { adaptiveAvgPool1d, adaptiveMaxPool1d } from './ops/adaptive.ts'
export * from './ops/algebra.ts'
export * from './ops/arithmetic.ts'
export * from './ops/arrange.ts'
export { bilinear } from './ops/bilinear.ts'
export * from './ops/calculus.ts'
export { chainMatmul } from './ops/chain.ts'
export * from './ops/compare.ts'
export * from './ops/complex.ts'

import './ops/complexlinear.ts'
import './ops/complexops.ts'

export { i0 } from './ops/bessel.ts'
export { einsum, tensordot } from './ops/contract.ts'
export { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d } from './ops/conv.ts'
export { convTbc, maxPool1dWithIndices } from './ops/conventional.ts'
export { convolution } from './ops/convolution.ts'
export { clone, detach } from './ops/copy.ts'
export { vander } from './ops/covariance.ts'
export {
  arange,
  asTensor,
  empty,
  emptyLike,
  eye,
  full,
  fullLike,
  linspace,
  numel,
  ones,
  onesLike,
  type TensorData,
  tensor,
  zeros,
  zerosLike,
} from './ops/create.ts'
export { cdist, cosineSimilarity, pairwiseDistance, pdist } from './ops/distance.ts'
export { alphaDropout, dropout } from './ops/dropout.ts'
export * from './ops/duplicate.ts'
export * from './ops/elementary.ts'
export { amax, amin, argmax, argmin, max, min } from './ops/extreme.ts'
export { digamma, erfinv, igamma, igammac, lgamma, mvlgamma, polygamma } from './ops/gamma.ts'
export { gather, indexSelect, take, takeAlongDim } from './ops/gather.ts'
export * from './ops/histogram.ts'
export { type Index, indexPut, slice } from './ops/indexing.ts'
export * from './ops/info.ts'
export {
  getDevice,
  isFloatingPoint,
  isInference,
  isNonzero,
  isSameSize,
  isSigned,
  isTensor,
  resultType,
  typename,
} from './ops/inspect.ts'
export * from './ops/join.ts'
export { kron } from './ops/kron.ts'
export * from './ops/legacy.ts'
export { addmm, addmv, baddbmm, bmm, dot, ger, matmul, mm, mv, outer } from './ops/linear.ts'
export { luUnpack } from './ops/lu.ts'
export { argwhere, maskedFill, maskedScatter, maskedSelect, nonzero, nonzeroStatic, where } from './ops/masks.ts'
export { featureAlphaDropout, featureDropout, rrelu } from './ops/noise.ts'
export { layerNorm, nativeLayerNorm, rmsNorm } from './ops/normalization.ts'
export { _batchNormWithUpdate, _nativeBatchNormLegit, nativeBatchNorm } from './ops/normalizationchannels.ts'
export { groupNorm, nativeGroupNorm } from './ops/normalizationgroup.ts'
export * from './ops/overwritten.ts'
export { constantPadNd } from './ops/pad.ts'
export * from './ops/pairs.ts'
export * from './ops/patch.ts'
export {
  _chunkCat,
  asStridedScatter,
  combinations,
  diagonalCopy,
  dsplit,
  hsplit,
  narrowCopy,
  ravel,
  splitWithSizes,
  tensorSplit,
  unbindCopy,
  unsafeChunk,
  unsafeSplit,
  unsafeSplitWithSizes,
  viewCopy,
  vsplit,
} from './ops/pieces.ts'
export { channelShuffle, pixelShuffle, pixelUnshuffle } from './ops/pixel.ts'
export { celu, selu } from './ops/pointwise.ts'
export { maxPool1d, maxPool2d, maxPool2dWithIndicesBackward, maxPool3d } from './ops/pool.ts'
export { avgPool1d } from './ops/poolaverage.ts'
export * from './ops/random.ts'
export { hardshrink, prelu, threshold } from './ops/rectifier.ts'
export { gru, gruCell, lstm, lstmCell, rnnRelu, rnnReluCell, rnnTanh, rnnTanhCell } from './ops/recurrent.ts'
export { all, any, countNonzero, mean, prod, sum } from './ops/reduce.ts'
export { gridSampler2d, gridSampler3d } from './ops/resamplegrid.ts'
export { _upsampleBilinear2dAa } from './ops/resampleimage.ts'
export * from './ops/scan.ts'
export * from './ops/scatter.ts'
export * from './ops/segment.ts'
export { asStrided, chunk, diagonal, narrow, select, split, unbind } from './ops/slice.ts'
export * from './ops/sort.ts'
export { allclose, equal, isclose, logsumexp, norm, std, variance as var } from './ops/statistics.ts'
export { istft, stft } from './ops/stft.ts'
export { vmap } from './ops/transforms.ts'
export * from './ops/unary.ts'
export * from './ops/unique.ts'
export {
  broadcastTo,
  flatten,
  moveaxis,
  movedim,
  permute,
  reshape,
  squeeze,
  swapaxes,
  swapdims,
  t,
  transpose,
  unflatten,
  unsqueeze,
} from './ops/view.ts'
export {
  bartlettWindow,
  blackmanWindow,
  hammingWindow,
  hannWindow,
  kaiserWindow,
} from './ops/windows.ts'
export * as optim from './optim/index.ts'
export * as signal from './signal.ts'
export * as special from './special.ts'
export {
  detectAnomaly,
  enableGrad,
  inferenceMode,
  isAnomalyCheckNanEnabled,
  isAnomalyEnabled,
  isGradEnabled,
  isInferenceModeEnabled,
  noGrad,
  setDetectAnomaly as setAnomalyEnabled,
  setGradEnabled,
} from './tensor/mode.ts'
export { device } from './tensor/place.ts'
export { keep, memoryStats, scope } from './tensor/scope.ts'
export { Size, Tensor } from './tensor/tensor.ts'
export { timeit } from './timeit.ts'
export * as utils from './utils.ts'
