// torch.utils: data loading and memory.
export * as data from './data/index.ts'
