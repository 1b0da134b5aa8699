// Random, disjoint parts of a dataset, drawn as PyTorch draws them.
import { ValueError } from '../base/errors.ts'
import { defaultGenerator, type Generator, randperm } from '../base/random.ts'
import { type DatasetLike, type SampleOf, Subset } from './dataset.ts'

export interface SplitOptions {
  /** Draws the order; the default generator if absent. */
  readonly generator?: Generator | null
}

/** A tuple of as many subsets as there are lengths. */
type Subsets<T, L extends readonly number[]> = { -readonly [K in keyof L]: Subset<T> }

/**
 * Parts of `dataset` of the lengths given, or of the shares given if they add up to 1 (what is left over goes to the
 * parts in turn), with no sample in two of them. Throws ValueError if the lengths don't add up to the dataset's.
 */
export function randomSplit<D extends DatasetLike<unknown>, const L extends readonly number[]>(
  dataset: D,
  lengths: L,
  options: SplitOptions | Generator | null = {},
): Subsets<SampleOf<D>, L> {
  const sizes = lengthsOf(dataset.length, lengths)
  const generator = options !== null && 'manualSeed' in options ? options : options?.generator
  const order = Array.from(randperm(generator ?? defaultGenerator, dataset.length))
  let end = 0
  return sizes.map((n) => new Subset(dataset, order.slice(end, (end += n)))) as unknown as Subsets<SampleOf<D>, L>
}

function lengthsOf(total: number, lengths: readonly number[]): readonly number[] {
  const sum = lengths.reduce((a, b) => a + b, 0)
  // Shares such as 0.1 don't add up exactly.
  const sizes = Math.abs(sum - 1) <= 1e-9 ? sizesOfShares(total, lengths) : lengths
  if (sizes.reduce((a, b) => a + b, 0) !== total) {
    throw new ValueError('Sum of input lengths does not equal the length of the input dataset!')
  }
  const bad = sizes.find((n) => !Number.isInteger(n) || n < 0)
  if (bad !== undefined) throw new ValueError(`randomSplit: ${bad} is no length of a split`)
  return sizes
}

function sizesOfShares(total: number, shares: readonly number[]): number[] {
  const sizes = shares.map((share, i) => {
    if (!(share >= 0 && share <= 1)) throw new ValueError(`Fraction at index ${i} is not between 0 and 1`)
    return Math.floor(total * share)
  })
  const left = total - sizes.reduce((a, b) => a + b, 0)
  for (let i = 0; i < left; i++) sizes[i % sizes.length]++
  sizes.forEach((n, i) => {
    if (n === 0) console.warn(`Length of split at index ${i} is 0. This might result in an empty dataset.`)
  })
  return sizes
}
