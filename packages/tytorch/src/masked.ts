// torch.masked: reductions and normalisations of the elements that a mask lets through.
export * from './ops/masked.ts'
