// `tytorch/data`: torch.utils.data by itself. The library comes first, for it sets the device that batches are made on.
import './index.ts'

export * from './data/index.ts'
