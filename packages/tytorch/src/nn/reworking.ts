// torch.nn.utils: gradients and parameters of whole modules, and layers made over.
export * from './clip.ts'
export * from './fuse.ts'
export { removeSpectralNorm, spectralNorm } from './spectralnorm.ts'
export { removeWeightNorm, weightNorm } from './weightnorm.ts'
