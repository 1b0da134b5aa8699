// torch.signal.windows.
export {
  bartlett,
  blackman,
  cosine,
  exponential,
  gaussian,
  generalCosine,
  generalHamming,
  hamming,
  hann,
  kaiser,
  nuttall,
  type WindowOptions,
} from './ops/windows.ts'
