// torch.nn.utils: gradients and parameters of whole modules, and layers made over.
export * from './clip.ts'
export * from './fuse.ts'
export * as parametrizations from './parametrizations.ts'
export * as parametrize from './parametrize.ts'
export * as prune from './prune.ts'
export { skipInit } from './skipinit.ts'
export { removeSpectralNorm, spectralNorm } from './spectralnorm.ts'
export { removeWeightNorm, weightNorm } from './weightnorm.ts'
