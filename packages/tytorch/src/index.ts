// The composition root: `import * as torch from 'tytorch'` reads as Python's `import torch`.
import { createInterpreter } from './backend/interp/interp.ts'
import { createWasmDevice } from './backend/wasm/device.ts'
import { installMethods } from './ops/methods.ts'
import { useDevice } from './tensor/run.ts'

installMethods()
const wanted = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.TYTORCH_BACKEND
useDevice(wanted === 'interp' ? createInterpreter() : createWasmDevice())

export * as autograd from './autograd.ts'
export {
  bfloat16,
  bool,
  canCast,
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
export { deserialize, load, loadNpy, readNpy, save, saveNpy, serialize, writeNpy } from './io/index.ts'
export * as nn from './nn/index.ts'
export * from './ops/activation.ts'
export * from './ops/arithmetic.ts'
export * from './ops/arrange.ts'
export * from './ops/compare.ts'
export { clone, detach } from './ops/copy.ts'
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
export { amax, amin, argmax, argmin, max, min } from './ops/extreme.ts'
export { gather, indexSelect, take, takeAlongDim } from './ops/gather.ts'
export { type Index, indexPut, slice } from './ops/indexing.ts'
export * from './ops/join.ts'
export { addmm, addmv, baddbmm, bmm, dot, ger, matmul, mm, mv, outer } from './ops/linear.ts'
export { argwhere, maskedFill, maskedScatter, maskedSelect, nonzero, nonzeroStatic, where } from './ops/masks.ts'
export * from './ops/patch.ts'
export * from './ops/random.ts'
export { all, any, countNonzero, mean, prod, sum } from './ops/reduce.ts'
export * from './ops/scan.ts'
export * from './ops/scatter.ts'
export { asStrided, chunk, diagonal, narrow, select, split, unbind } from './ops/slice.ts'
export * from './ops/sort.ts'
export { allclose, equal, isclose, logsumexp, norm, std, variance as var } from './ops/statistics.ts'
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
export * as optim from './optim/index.ts'
export {
  detectAnomaly,
  enableGrad,
  inferenceMode,
  isGradEnabled,
  isInferenceModeEnabled,
  noGrad,
  setGradEnabled,
} from './tensor/mode.ts'
export { keep, memoryStats, scope } from './tensor/scope.ts'
export { Device as device, Size, Tensor } from './tensor/tensor.ts'
export { timeit } from './timeit.ts'
export * as utils from './utils.ts'
