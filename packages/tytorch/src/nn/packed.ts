// torch.nn.utils.rnn: batches of sequences of different lengths, padded or packed.
// https://pytorch.org/docs/stable/generated/torch.nn.utils.rnn.PackedSequence.html
import { type DType, int64 } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { full, tensor } from '../ops/create.ts'
import { indexSelect } from '../ops/gather.ts'
import { cat } from '../ops/join.ts'
import { narrow } from '../ops/slice.ts'
import { reshape, transpose } from '../ops/view.ts'
import type { Args } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'

const numbers = (x: Tensor): number[] => x.tolist() as number[]
const index = (list: readonly number[]): Tensor => tensor([...list], { dtype: int64 })

/**
 * Sequences sorted by length, step by step: the first elements of all, the second ones of those that have one, and so
 * on, `batchSizes[t]` rows at step t. Made by `packSequence` and `packPaddedSequence`.
 */
export class PackedSequence {
  readonly data: Tensor
  readonly batchSizes: Tensor
  /** Which of the sequences given comes where; null if they were sorted already. */
  readonly sortedIndices: Tensor | null
  readonly unsortedIndices: Tensor | null

  constructor(
    data: Tensor,
    batchSizes: Tensor,
    sortedIndices: Tensor | null = null,
    unsortedIndices: Tensor | null = null,
  ) {
    this.data = data
    this.batchSizes = batchSizes
    this.sortedIndices = sortedIndices
    this.unsortedIndices = unsortedIndices ?? (sortedIndices && invertPermutation(sortedIndices))
  }

  /** The same sequences with data of another dtype. */
  to(...args: (DType | Tensor | string | object | boolean)[]): PackedSequence {
    const data = this.data.to(...args)
    return data === this.data
      ? this
      : new PackedSequence(data, this.batchSizes, this.sortedIndices, this.unsortedIndices)
  }

  toString(): string {
    const shown = (x: Tensor | null): string => (x ? x.toString() : 'None')
    const { data, batchSizes, sortedIndices, unsortedIndices } = this
    return `PackedSequence(data=${data}, batch_sizes=${batchSizes}, sorted_indices=${shown(sortedIndices)}, unsorted_indices=${shown(unsortedIndices)})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** The inverse of a permutation, null for none. */
export function invertPermutation<P extends Tensor | null>(permutation: P): P {
  if (!permutation) return permutation
  readsValues('invertPermutation')
  const from = numbers(permutation)
  const inverse = new Array<number>(from.length)
  for (const [i, to] of from.entries()) inverse[to] = i
  return index(inverse) as P
}

interface PackOptions {
  readonly batchFirst?: boolean
  /** False sorts the sequences by length; true throws if they aren't. */
  readonly enforceSorted?: boolean
}

/** Packs padded sequences, [T, N, *] or with `batchFirst` [N, T, *], of the lengths given. */
export function packPaddedSequence(
  input: Tensor,
  lengths: Tensor | readonly number[],
  ...rest: Args<[batchFirst?: boolean, enforceSorted?: boolean], PackOptions>
): PackedSequence {
  readsValues('packPaddedSequence')
  const [, , batchFirst = false, enforceSorted = true] = named<[Tensor, Tensor, boolean, boolean]>(
    'packPaddedSequence',
    'input, lengths, batch_first, enforce_sorted',
    [input, lengths, ...rest],
  )
  const given = lengths instanceof Tensor ? numbers(lengths) : [...lengths]
  const n = input.sizes[batchFirst ? 0 : 1]
  const steps = input.sizes[batchFirst ? 1 : 0]
  if (given.length !== n) {
    throw new RuntimeError(
      `Expected \`len(lengths)\` to be equal to batch_size, but got ${given.length} (batch_size=${n})`,
    )
  }
  if (given.some((length) => length <= 0)) {
    throw new RuntimeError(
      "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0",
    )
  }
  const order = given.map((_, i) => i)
  if (!enforceSorted) order.sort((a, b) => given[b] - given[a] || a - b)
  else if (given.some((length, i) => i > 0 && length > given[i - 1])) {
    throw new RuntimeError(
      '`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability.',
    )
  }
  const longest = given[order[0]]
  if (longest > steps) {
    throw new RuntimeError(`Expected a length of at most ${steps}, the size of the input's time, but got ${longest}`)
  }
  const rows: number[] = []
  const sizes: number[] = []
  for (let t = 0; t < longest; t++) {
    const present = order.filter((i) => given[i] > t)
    sizes.push(present.length)
    for (const i of present) rows.push(batchFirst ? i * steps + t : t * n + i)
  }
  const data = indexSelect(reshape(input, [n * steps, ...input.sizes.slice(2)]), 0, index(rows))
  return new PackedSequence(data, index(sizes), enforceSorted ? null : index(order))
}

interface PadOptions {
  readonly batchFirst?: boolean
  readonly paddingValue?: number
  /** Pads to this length rather than to that of the longest sequence. */
  readonly totalLength?: number | null
}

/** The inverse of `packPaddedSequence`: [padded, lengths], in the order that the sequences had. */
export function padPackedSequence(
  sequence: PackedSequence,
  ...rest: Args<[batchFirst?: boolean, paddingValue?: number, totalLength?: number | null], PadOptions>
): [Tensor, Tensor] {
  readsValues('padPackedSequence')
  const [, batchFirst = false, paddingValue = 0, totalLength = null] = named<
    [PackedSequence, boolean, number, number | null]
  >('padPackedSequence', 'sequence, batch_first, padding_value, total_length', [sequence, ...rest])
  const { data, batchSizes, unsortedIndices } = sequence
  const sizes = numbers(batchSizes)
  if (totalLength !== null && totalLength < sizes.length) {
    throw new ValueError(
      `Expected total_length to be at least the length of the longest sequence in input, but got total_length=${totalLength} and max sequence length being ${sizes.length}`,
    )
  }
  const steps = totalLength ?? sizes.length
  const order = unsortedIndices ? numbers(unsortedIndices) : Array.from({ length: sizes[0] }, (_, i) => i)
  const starts: number[] = []
  for (let t = 0, at = 0; t < sizes.length; at += sizes[t++]) starts.push(at)
  const padding = data.sizes[0] // the row after the last
  const row = (t: number, i: number): number => (t < sizes.length && i < sizes[t] ? starts[t] + i : padding)
  const times = Array.from({ length: steps }, (_, t) => t)
  const rows = batchFirst
    ? order.flatMap((i) => times.map((t) => row(t, i)))
    : times.flatMap((t) => order.map((i) => row(t, i)))
  const features = data.sizes.slice(1)
  const blank = full([1, ...features], paddingValue, { dtype: data.dtype })
  const padded = indexSelect(cat([data, blank]), 0, index(rows))
  const shape = batchFirst ? [order.length, steps] : [steps, order.length]
  return [reshape(padded, [...shape, ...features]), index(order.map((i) => sizes.filter((size) => size > i).length))]
}

interface PadSequenceOptions {
  readonly batchFirst?: boolean
  readonly paddingValue?: number
  readonly paddingSide?: 'left' | 'right'
}

/** Sequences [L, *] as one tensor [T, N, *], or with `batchFirst` [N, T, *], padded to the longest. */
export function padSequence(
  sequences: Iterable<Tensor>,
  ...rest: Args<[batchFirst?: boolean, paddingValue?: number, paddingSide?: 'left' | 'right'], PadSequenceOptions>
): Tensor {
  const list = [...sequences]
  const [, batchFirst = false, paddingValue = 0, paddingSide = 'right'] = named<
    [Tensor[], boolean, number, 'left' | 'right']
  >('padSequence', 'sequences, batch_first, padding_value, padding_side', [list, ...rest])
  if (list.length === 0) throw new RuntimeError('received an empty list of sequences')
  if (paddingSide !== 'left' && paddingSide !== 'right') {
    throw new RuntimeError(`Expected padding_side to be one of left or right, but got ${paddingSide}.`)
  }
  const longest = Math.max(...list.map((x) => x.sizes[0]))
  const [{ dtype }] = list
  const features = list[0].sizes.slice(1)
  const blank = full([longest, ...features], paddingValue, { dtype })
  const padded = list.flatMap((x) => {
    const absent = longest - x.sizes[0]
    if (absent === 0) return [x]
    const rest = narrow(blank, 0, 0, absent)
    return paddingSide === 'right' ? [x, rest] : [rest, x]
  })
  const joined = reshape(cat(padded), [list.length, longest, ...features])
  return batchFirst ? joined : transpose(joined, 0, 1).contiguous()
}

/** The inverse of `padSequence`: each sequence up to its length. */
export function unpadSequence(
  paddedSequences: Tensor,
  lengths: Tensor | readonly number[],
  ...rest: Args<[batchFirst?: boolean], { readonly batchFirst?: boolean }>
): Tensor[] {
  readsValues('unpadSequence')
  const [, , batchFirst = false] = named<[Tensor, Tensor, boolean]>(
    'unpadSequence',
    'padded_sequences, lengths, batch_first',
    [paddedSequences, lengths, ...rest],
  )
  const list = lengths instanceof Tensor ? numbers(lengths) : [...lengths]
  const x = batchFirst ? paddedSequences : transpose(paddedSequences, 0, 1)
  if (x.sizes[0] !== list.length) {
    throw new ValueError(`unpadSequence: ${x.sizes[0]} sequences have ${list.length} lengths`)
  }
  return x.unbind(0).map((sequence, i) => narrow(sequence, 0, 0, Math.min(list[i], sequence.sizes[0])).clone())
}

/** Packs sequences [L, *]. Throws RuntimeError if they get longer, unless `enforceSorted` is false. */
export function packSequence(
  sequences: Iterable<Tensor>,
  ...rest: Args<[enforceSorted?: boolean], { readonly enforceSorted?: boolean }>
): PackedSequence {
  const list = [...sequences]
  const [, enforceSorted = true] = named<[Tensor[], boolean]>('packSequence', 'sequences, enforce_sorted', [
    list,
    ...rest,
  ])
  const lengths = list.map((x) => x.sizes[0])
  return packPaddedSequence(padSequence(list), lengths, { enforceSorted })
}

/** The sequences of a `PackedSequence`, in the order that they had. */
export function unpackSequence(packed: PackedSequence): Tensor[] {
  const [padded, lengths] = padPackedSequence(packed, { batchFirst: true })
  return unpadSequence(padded, lengths, { batchFirst: true })
}
