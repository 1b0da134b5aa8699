// Sums, means and maxima of bags of embeddings.
import { bfloat16, float16, float32, float64, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatSize } from '../base/format.ts'
import { sameSizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { mul } from './arithmetic.ts'
import { ge } from './compare.ts'
import { contiguous, to } from './copy.ts'
import { arange, tensor, zeros } from './create.ts'
import { checkIndices, paddingRow, positionsOf, refuseSparse, renormRows, rowsAt, tableGradient } from './embedding.ts'
import { gather, indexSelect, outside } from './gather.ts'
import { sum } from './reduce.ts'
import { indexAdd, scatterAdd } from './scatter.ts'

/** What becomes of the rows of a bag. */
export type BagMode = 'sum' | 'mean' | 'max'

/** Which bag each index belongs to, and what it counts there. */
interface Bags {
  readonly bag: Tensor
  /** 0 for padding, else 1, or 1 / the bag's size for means; [n, 1] in float64. */
  readonly share: Tensor
  readonly count: number
}

/** The bags that start at `offsets`; with `last` the final offset is where the last bag ends. */
function bagsOf(indices: Tensor, offsets: Tensor, last: boolean, padding: number, mode: BagMode): Bags {
  const n = indices.count
  const count = offsets.count - (last ? 1 : 0)
  const bag = empty([n], int64)
  const share = empty([n, 1], float64)
  onHost('bags', [contiguous(indices), contiguous(offsets), bag, share], 'rrww', (index, starts, bags, shares) => {
    const { at, step } = positionsOf(index)
    const { at: start, step: stride } = positionsOf(starts)
    const to = positionsOf(bags).at
    const sizes = new Int32Array(Math.max(count, 1))
    let b = 0
    for (let i = 0; i < n; i++) {
      while (b + 1 < count && start[(b + 1) * stride] <= i) b++
      to[2 * i] = b
      to[2 * i + 1] = 0
      const counts = at[i * step] !== padding
      shares[i] = counts ? 1 : 0
      if (counts) sizes[b]++
    }
    if (mode === 'mean') for (let i = 0; i < n; i++) if (shares[i]) shares[i] = 1 / sizes[to[2 * i]]
  })
  return { bag, share, count }
}

/** The position in `indices` of the largest element of every bag and column, [bags, width]; -1 in empty ones. */
function largest(rows: Tensor, indices: Tensor, { bag, share, count }: Bags): Tensor {
  const width = rows.sizes[1]
  const out = empty([count, width], int64)
  const source = contiguous(to(rows.detach(), float64))
  onHost('bag maxima', [source, bag, share, out, contiguous(indices)], 'rrrwr', (from, bags, shares, found, index) => {
    const { at } = positionsOf(bags)
    const { at: named, step } = positionsOf(index)
    const best = new Float64Array(count * width)
    const result = found as BigInt64Array
    result.fill(-1n)
    for (let i = 0; i < shares.length; i++) {
      if (!shares[i]) continue
      const start = at[2 * i] * width
      for (let j = 0; j < width; j++) {
        const value = Number(from[i * width + j])
        if (result[start + j] >= 0n && !(value > best[start + j])) continue
        best[start + j] = value
        result[start + j] = BigInt(named[i * step])
      }
    }
  })
  return out
}

function checkOffsets(indices: Tensor, offsets: Tensor, last: boolean): void {
  if (last && offsets.count < 1) throw new RuntimeError('include_last_offset: number of offset should be at least 1')
  if (offsets.count === 0) return
  const first = Number(offsets.value(0))
  if (first !== 0) {
    throw new RuntimeError(
      `offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got ${first}`,
    )
  }
  const end = Number(offsets.value(offsets.count - 1))
  if (end > indices.count) {
    throw new RuntimeError(
      `offsets[-1] can not be greater than input's length ${indices.count} but got offsets[-1] of ${end}`,
    )
  }
}

interface EmbeddingBagOptions {
  /** Where each bag starts, for a vector of indices; int64 or int32. */
  readonly offsets?: Tensor | null
  readonly maxNorm?: number | null
  readonly normType?: number
  readonly scaleGradByFreq?: boolean
  readonly mode?: BagMode
  readonly sparse?: boolean
  /** Factors of the rows, of `input`'s shape, for sums. */
  readonly perSampleWeights?: Tensor | null
  /** The last offset is where the last bag ends. */
  readonly includeLastOffset?: boolean
  /** Indices that count for nothing. */
  readonly paddingIdx?: number | null
}

type EmbeddingBag = (
  input: Tensor,
  weight: Tensor,
  ...args: Args<
    [
      offsets?: Tensor | null,
      maxNorm?: number | null,
      normType?: number,
      scaleGradByFreq?: boolean,
      mode?: BagMode,
      sparse?: boolean,
      perSampleWeights?: Tensor | null,
      includeLastOffset?: boolean,
      paddingIdx?: number | null,
    ],
    EmbeddingBagOptions
  >
) => Tensor

const codes = (): Tensor => tensor([[1, 2], [0, 2]]) // biome-ignore format: a matrix

/**
 * The mean (sum, maximum) of each bag of rows of `weight` [rows, width], without making the rows' tensor a part of the
 * graph: `input` [bags, n], or a vector with `offsets`. Empty bags give zeros.
 */
export const embeddingBag: EmbeddingBag = op({
  name: 'embeddingBag',
  python: 'nn.functional.embedding_bag',
  signature:
    'input, weight, offsets, max_norm, norm_type, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx',
  differentiable: true,
  samples: (t) => [
    [codes(), t(4, 3)],
    [codes(), t(4, 3), { mode: 'sum' }],
    [codes(), t(4, 3), { mode: 'max' }],
    [tensor([1, 2, 2, 0, 3]), t(4, 3), tensor([0, 2, 2])],
    [codes(), t(4, 3), { paddingIdx: 2 }],
    [codes(), t(4, 3), null, null, 2, false, 'sum', false, t(2, 2)],
  ],
  forward: (
    input: Tensor,
    weight: Tensor,
    given: Tensor | null = null,
    maxNorm: number | null = null,
    normType = 2,
    scaleGradByFreq = false,
    mode: BagMode = 'mean',
    sparse = false,
    perSampleWeights: Tensor | null = null,
    includeLastOffset = false,
    paddingIdx: number | null = null,
  ) => {
    if (perSampleWeights && !sameSizes(input.sizes, perSampleWeights.sizes)) {
      throw new ValueError(
        `embedding_bag: If per_sample_weights (${formatSize(perSampleWeights.sizes)}) is not None, then it must have the same shape as the input (${formatSize(input.sizes)})`,
      )
    }
    if (weight.ndim !== 2) {
      throw new ValueError(`weight has to be a 2D Tensor, but got Tensor of dimension ${weight.ndim}`)
    }
    const { offsets, last } = startsOf(input, given, includeLastOffset)
    if (mode !== 'sum' && mode !== 'mean' && mode !== 'max') {
      throw new ValueError('mode has to be one of sum, mean or max')
    }
    if (mode === 'max' && scaleGradByFreq) {
      throw new ValueError('max mode does not support scaling the gradient by the frequency')
    }
    if (mode === 'max' && sparse) throw new ValueError('max mode does not support sparse weights')
    refuseSparse('embedding_bag', sparse)
    if (maxNorm !== null) renormRows(weight, input, maxNorm, normType)
    if (perSampleWeights && mode !== 'sum') {
      throw new NotImplementedError(
        `embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='${mode}'). Please open a feature request on GitHub.`,
      )
    }
    const indices = contiguous(input.detach()).view(-1)
    checkBag(indices, weight, offsets, last, perSampleWeights)
    const padding = bagPadding(paddingIdx, weight.sizes[0])
    const bags = bagsOf(indices, offsets, last, padding, mode)
    const samples = perSampleWeights ? perSampleWeights.reshape(-1) : null
    if (mode === 'max') return maxima(weight, indices, bags)
    return weightedSums(weight, indices, samples, bags, {
      rows: weight.sizes[0],
      padding,
      byFrequency: scaleGradByFreq,
    })
  },
})

function bagPadding(padding: number | null, rows: number): number {
  if (padding !== null && (padding >= rows || padding < -rows)) {
    throw new RuntimeError(
      `padding_idx must be within the number of embeddings, ${-rows} through ${rows - 1}, but got ${padding}`,
    )
  }
  return paddingRow(padding, rows)
}

function startsOf(input: Tensor, given: Tensor | null, last: boolean): { offsets: Tensor; last: boolean } {
  if (input.ndim === 2) {
    if (given) {
      throw new ValueError(
        `if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. However, found offsets of type <class 'torch.Tensor'>`,
      )
    }
    if (input.sizes[1] === 0) throw new RuntimeError('step must be nonzero')
    return { offsets: arange(0, input.count, input.sizes[1]), last: false }
  }
  if (input.ndim !== 1) {
    throw new ValueError(`input has to be 1D or 2D Tensor, but got Tensor of dimension ${input.ndim}`)
  }
  if (!given) throw new ValueError('offsets has to be a 1D Tensor but got None')
  if (given.ndim !== 1) throw new ValueError('offsets has to be a 1D Tensor')
  return { offsets: given, last }
}

function checkBag(indices: Tensor, weight: Tensor, offsets: Tensor, last: boolean, samples: Tensor | null): void {
  checkIndices('embedding_bag', indices)
  if (![float16, bfloat16, float32, float64].includes(weight.dtype)) {
    throw new RuntimeError(
      `Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, Double; but got torch.${weight.dtype.title}Tensor instead (while checking arguments for embedding_bag)`,
    )
  }
  if (samples && samples.dtype !== weight.dtype) {
    throw new RuntimeError(
      `Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 'per_sample_weights'; but type torch.${weight.dtype.title}Tensor does not equal torch.${samples.dtype.title}Tensor (while checking arguments for embedding_bag)`,
    )
  }
  checkOffsets(indices, offsets, last)
  const rows = weight.sizes[0]
  const bad = outside(indices, 0, rows)
  if (bad === null) return
  const at = indices.tolist<number[]>().indexOf(bad)
  throw new RuntimeError(`Index ${at} of input takes value ${bad} which is not in the valid range [0, ${rows})`)
}

function weightedSums(
  weight: Tensor,
  indices: Tensor,
  samples: Tensor | null,
  { bag, share, count }: Bags,
  table: Parameters<typeof rowsAt>[2],
): Tensor {
  const shares = to(share, weight.dtype)
  const factors = (own: Tensor | null): Tensor => (own ? mul(own.unsqueeze(1), shares) : shares)
  const out = noGrad(() => {
    const rows = mul(rowsAt(weight, indices, table), factors(samples))
    return indexAdd(zeros([count, weight.sizes[1]], { dtype: weight.dtype }), 0, bag, rows)
  })
  const inputs = samples ? [weight, samples] : [weight]
  return record(out, 'EmbeddingBagBackward0', inputs, [indices, bag, shares, ...inputs], (g, saved, needs) => {
    const [index, bags, , w, own = null] = saved
    const spread = indexSelect(g, 0, bags)
    const grads: (Tensor | null)[] = [needs[0] ? tableGradient(mul(spread, factors(own)), index, table) : null]
    if (own) {
      const rows = needs[1] ? rowsAt(w, index, table) : null
      grads.push(rows && sum(mul(mul(spread, rows), shares), 1))
    }
    return grads
  })
}

function maxima(weight: Tensor, indices: Tensor, bags: Bags): Tensor {
  const table = { rows: weight.sizes[0], padding: -1, byFrequency: false }
  const found = noGrad(() => largest(rowsAt(weight, indices, table), indices, bags))
  const full = to(ge(found, 0), weight.dtype)
  const named = mul(found, ge(found, 0).to(int64))
  const read = (source: Tensor, at: Tensor): Tensor => mul(gather(source, 0, at), full)
  const out = noGrad(() =>
    weight.sizes[0] ? read(weight, named) : zeros([bags.count, weight.sizes[1]], { dtype: weight.dtype }),
  )
  const { sizes } = weight
  return record(out, 'EmbeddingBagBackward0', [weight], [named], (g, [at]) => [
    scatterAdd(zeros(sizes, { dtype: g.dtype }), 0, at, mul(g, full)),
  ])
}
