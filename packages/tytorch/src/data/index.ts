// torch.utils.data: datasets, samplers, collation and the loader.
export {
  type Collated,
  type CollateFn,
  type CollateFnMap,
  type Converted,
  collate,
  defaultCollate,
  defaultCollateFnMap,
  defaultConvert,
} from './collate.ts'
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
export { DataLoader } from './loader.ts'
export type { LoaderOptions } from './options.ts'
export {
  BatchSampler,
  DistributedSampler,
  RandomSampler,
  Sampler,
  SequentialSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
} from './sampler.ts'
export { randomSplit, type SplitOptions } from './split.ts'
export { getWorkerInfo, type WorkerInfo } from './worker.ts'
