// torch.utils.data: datasets, samplers, collation and the loader.
export {
  ChainDataset,
  ConcatDataset,
  Dataset,
  type DatasetLike,
  IterableDataset,
  type MapStyle,
  type SampleOf,
  type Sized,
  StackDataset,
  Subset,
  TensorDataset,
} from './dataset.ts'
export { randomSplit, type SplitOptions } from './split.ts'
