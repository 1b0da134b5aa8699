// torch.nn: modules, parameters, initialisers and the functions behind them.
export * from './activation.ts'
export { MultiheadAttention, NonDynamicallyQuantizableLinear } from './attention.ts'
export * from './batchnorm.ts'
export * as utils from './clip.ts'
export * from './containers.ts'
export { Conv1d, Conv2d, Conv3d } from './conv.ts'
export { Fold, Unfold } from './convfold.ts'
export * from './convlazy.ts'
export { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './convtranspose.ts'
export * from './criterion.ts'
export { CosineSimilarity, PairwiseDistance } from './distance.ts'
export * from './dropout.ts'
export * from './embedding.ts'
export * from './flatten.ts'
export * as functional from './functional.ts'
export * as init from './init.ts'
export * from './linear.ts'
export * from './linearcrossentropy.ts'
export * from './loss.ts'
export { Module } from './module.ts'
export * from './normalization.ts'
export * from './pad.ts'
export { Parameter } from './parameter.ts'
export * from './pool.ts'
export * from './poolfraction.ts'
export type { IncompatibleKeys, StateDict } from './state.ts'
export {
  type Activation,
  TransformerDecoder,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerEncoderLayer,
} from './transformer.ts'
export { Transformer } from './transformermodel.ts'
export * from './upsample.ts'
