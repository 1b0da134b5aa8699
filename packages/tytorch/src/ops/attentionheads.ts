// Attention in several heads: projections into heads, masks, attention, and the projection of what comes out.
import { bool, type DType } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { formatSize, formatTuple } from '../base/format.ts'
import { type Sizes, sameSizes } from '../base/shape.ts'
import { op, parse } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { softmax } from './activation.ts'
import { add, mul } from './arithmetic.ts'
import { scaledDotProductAttention } from './attention.ts'
import { zeros } from './create.ts'
import { dropout } from './dropout.ts'
import { cat } from './join.ts'
import { bmm, linear } from './linear.ts'
import { constantPadNd } from './pad.ts'
import { mean } from './reduce.ts'

type Maybe = Tensor | null

/** A bool mask (true is left out) as one that is added; float masks as they are. Throws for other dtypes. */
export function canonicalMask(mask: Maybe, name: string, dtype: DType): Maybe {
  if (!mask) return null
  if (mask.dtype.isFloatingPoint) return mask
  if (mask.dtype !== bool) throw new ValueError(`only bool and floating types of ${name} are supported`)
  return zeros(mask.sizes, { dtype }).maskedFill(mask, Number.NEGATIVE_INFINITY)
}

/** Throws ValueError unless ranks fit; true for batched inputs. */
function checkRanks(query: Tensor, key: Tensor, value: Tensor, padding: Maybe, mask: Maybe, heads: number): boolean {
  const batched = query.ndim === 3
  if (!batched && query.ndim !== 2) {
    throw new ValueError(`query should be unbatched 2D or batched 3D tensor but received ${query.ndim}-D query tensor`)
  }
  const kind = batched ? 'batched (3-D)' : 'unbatched (2-D)'
  if (key.ndim !== query.ndim || value.ndim !== query.ndim) {
    throw new ValueError(
      `For ${kind} \`query\`, expected \`key\` and \`value\` to be ${query.ndim}-D but found ${key.ndim}-D and ${value.ndim}-D tensors respectively`,
    )
  }
  if (padding && padding.ndim !== query.ndim - 1) {
    throw new ValueError(
      `For ${kind} \`query\`, expected \`key_padding_mask\` to be \`None\` or ${query.ndim - 1}-D but found ${padding.ndim}-D tensor instead`,
    )
  }
  if (mask && mask.ndim !== 2 && mask.ndim !== 3) {
    throw new ValueError(
      `For ${kind} \`query\`, expected \`attn_mask\` to be \`None\`, 2-D or 3-D but found ${mask.ndim}-D tensor instead`,
    )
  }
  const expected = [heads, query.sizes[0], key.sizes[0]]
  if (mask && !batched && mask.ndim === 3 && !sameSizes(mask.sizes, expected)) {
    throw new ValueError(
      `Expected \`attn_mask\` shape to be ${formatTuple(expected)} but got ${formatSize(mask.sizes)}`,
    )
  }
  return batched
}

/** Query, key and value through their parts of one weight [3 E, E], in one product where they are one tensor. */
function projectedTogether(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Maybe): Tensor[] {
  const width = query.sizes[query.ndim - 1]
  const parts = (x: Tensor, w: Tensor, b: Maybe, n: number): Tensor[] => {
    const all = linear(x, w, b).unflatten(-1, [n, width])
    return Array.from({ length: n }, (_, i) => all.select(-2, i))
  }
  if (key === value) {
    if (query === key) return parts(query, weight, bias, 3)
    const own = linear(query, weight.narrow(0, 0, width), bias ? bias.narrow(0, 0, width) : null)
    return [own, ...parts(key, weight.narrow(0, width, 2 * width), bias ? bias.narrow(0, width, 2 * width) : null, 2)]
  }
  return [query, key, value].map((x, i) =>
    linear(x, weight.narrow(0, i * width, width), bias ? bias.narrow(0, i * width, width) : null),
  )
}

interface Weights {
  readonly query: Maybe
  readonly key: Maybe
  readonly value: Maybe
}

function projectedApart(query: Tensor, key: Tensor, value: Tensor, weights: Weights, bias: Maybe): Tensor[] {
  const width = query.sizes[query.ndim - 1]
  return (['query', 'key', 'value'] as const).map((name, i) => {
    const weight = weights[name]
    const x = [query, key, value][i]
    if (!weight) throw new ValueError(`use_separate_proj_weight is True but ${name[0]}_proj_weight is None`)
    const expected = [width, x.sizes[x.ndim - 1]]
    if (!sameSizes(weight.sizes, expected)) {
      throw new ValueError(
        `expecting ${name} weights shape of ${formatTuple(expected)}, but got ${formatSize(weight.sizes)}`,
      )
    }
    return linear(x, weight, bias ? bias.narrow(0, i * width, width) : null)
  })
}

/** A mask [L, S] or [N * heads, L, S] with three dimensions. Throws RuntimeError for other shapes. */
function maskOfHeads(mask: Tensor, rows: number, columns: number, batch: number): Tensor {
  const [sizes, rank] = mask.ndim === 2 ? [[rows, columns], 2] : [[batch, rows, columns], 3]
  if (mask.ndim !== rank) throw new RuntimeError(`attn_mask's dimension ${mask.ndim} is not supported`)
  if (!sameSizes(mask.sizes, sizes)) {
    throw new RuntimeError(
      `The shape of the ${rank}D attn_mask is ${formatSize(mask.sizes)}, but should be ${formatTuple(sizes)}.`,
    )
  }
  return rank === 2 ? mask.unsqueeze(0) : mask
}

/** What `multiHeadAttentionForward` takes, in PyTorch's order. */
interface Given {
  query: Tensor
  key: Tensor
  value: Tensor
  embedDimToCheck: number
  numHeads: number
  inProjWeight: Maybe
  inProjBias: Maybe
  biasK: Maybe
  biasV: Maybe
  addZeroAttn: boolean
  dropoutP: number
  outProjWeight: Tensor
  outProjBias: Maybe
  training: boolean
  keyPaddingMask: Maybe
  needWeights: boolean
  attnMask: Maybe
  useSeparateProjWeight: boolean
  qProjWeight: Maybe
  kProjWeight: Maybe
  vProjWeight: Maybe
  staticK: Maybe
  staticV: Maybe
  averageAttnWeights: boolean
  isCausal: boolean
}

const SIGNATURE =
  'query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training, key_padding_mask, need_weights, attn_mask, use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, static_k, static_v, average_attn_weights, is_causal'
const { names } = parse(SIGNATURE)

const DEFAULTS: Partial<Record<string, unknown>> = {
  training: true,
  needWeights: true,
  useSeparateProjWeight: false,
  averageAttnWeights: true,
  isCausal: false,
}

/** Checks the shapes of one call. */
function checkWidths(g: Given): void {
  const width = g.query.sizes[g.query.ndim - 1]
  if (width !== g.embedDimToCheck) {
    throw new ValueError(`was expecting embedding dimension of ${g.embedDimToCheck}, but got ${width}`)
  }
  if (width % g.numHeads !== 0) throw new ValueError(`embed_dim ${width} not divisible by num_heads ${g.numHeads}`)
  if (g.useSeparateProjWeight) {
    if (!sameSizes(g.key.sizes.slice(0, -1), g.value.sizes.slice(0, -1))) {
      throw new ValueError(
        `key's sequence and batch dims ${formatSize(g.key.sizes.slice(0, 2))} do not match value's ${formatSize(g.value.sizes.slice(0, 2))}`,
      )
    }
  } else if (!sameSizes(g.key.sizes, g.value.sizes)) {
    throw new ValueError(`key shape ${formatSize(g.key.sizes)} does not match value shape ${formatSize(g.value.sizes)}`)
  }
}

/** The attention mask that remains: none where the causal hint says it all. */
function attentionMask(g: Given, padding: Maybe): { mask: Maybe; causal: boolean } {
  if (g.isCausal && !g.attnMask) {
    throw new RuntimeError(
      'Need attn_mask if specifying the is_causal hint. You may use the Transformer module method `generate_square_subsequent_mask` to create this mask.',
    )
  }
  if (g.isCausal && !padding && !g.needWeights) return { mask: null, causal: true }
  return { mask: canonicalMask(g.attnMask, 'attn_mask', g.query.dtype), causal: g.isCausal && !padding }
}

const widened = (mask: Maybe): Maybe => mask && constantPadNd(mask, [0, 1])

function headsForward(given: Given): [Tensor, Tensor | null] {
  const batched = checkRanks(given.query, given.key, given.value, given.keyPaddingMask, given.attnMask, given.numHeads)
  const g = batched ? given : withBatch(given)
  const { query, key, value, numHeads } = g
  const [rows, batch, width] = query.sizes
  let padding = canonicalMask(g.keyPaddingMask, 'key_padding_mask', query.dtype)
  let { mask, causal } = attentionMask(g, padding)
  checkWidths(g)
  if (!g.useSeparateProjWeight && !g.inProjWeight) {
    throw new ValueError('use_separate_proj_weight is False but in_proj_weight is None')
  }
  let [q, k, v] =
    g.useSeparateProjWeight || !g.inProjWeight
      ? projectedApart(
          query,
          key,
          value,
          { query: g.qProjWeight, key: g.kProjWeight, value: g.vProjWeight },
          g.inProjBias,
        )
      : projectedTogether(query, key, value, g.inProjWeight, g.inProjBias)
  const total = batch * numHeads
  if (mask) mask = maskOfHeads(mask, rows, key.sizes[0], total)
  if (g.biasK && g.biasV) {
    if (g.staticK) throw new ValueError('bias cannot be added to static key.')
    if (g.staticV) throw new ValueError('bias cannot be added to static value.')
    k = cat([k, g.biasK.repeat(1, batch, 1)])
    v = cat([v, g.biasV.repeat(1, batch, 1)])
    mask = widened(mask)
    padding = widened(padding)
  } else if (g.biasK) throw new ValueError('bias_k is set but bias_v is None')
  else if (g.biasV) throw new ValueError('bias_v is set but bias_k is None')
  const size = width / numHeads
  const heads = (x: Tensor): Tensor => x.reshape(x.sizes[0], total, size).transpose(0, 1)
  q = heads(q)
  k = staticOf(g.staticK, 'k', total, size) ?? heads(k)
  v = staticOf(g.staticV, 'v', total, size) ?? heads(v)
  if (g.addZeroAttn) {
    const zero = zeros([total, 1, size], { dtype: k.dtype })
    k = cat([k, zero], 1)
    v = cat([v, zero], 1)
    mask = widened(mask)
    padding = widened(padding)
  }
  const columns = k.sizes[1]
  if (padding) {
    if (!sameSizes(padding.sizes, [batch, columns])) {
      throw new ValueError(`key_padding_mask must have shape (${batch}, ${columns}), got ${formatSize(padding.sizes)}`)
    }
    const spread = padding.view(batch, 1, 1, columns).expand([batch, numHeads, 1, columns]).reshape(total, 1, columns)
    mask = mask ? add(mask, spread) : spread
  }
  const p = g.training ? g.dropoutP : 0
  const sizes: Sizes = [batch, numHeads, rows, columns]
  const [out, weights] = g.needWeights
    ? withWeights(q, k, v, mask, p, g, sizes)
    : [withoutWeights(q, k, v, mask, p, causal, sizes), null]
  const projected = linear(out, g.outProjWeight, g.outProjBias)
  const result = projected.view(rows, batch, projected.sizes[1])
  if (batched) return [result, weights]
  return [result.squeeze(1), weights ? weights.squeeze(0) : null]
}

/** An unbatched call as one of a batch of one. */
function withBatch(g: Given): Given {
  const query = g.query.unsqueeze(1)
  const key = g.key === g.query ? query : g.key.unsqueeze(1)
  const value = g.value === g.key ? key : g.value.unsqueeze(1)
  return { ...g, query, key, value, keyPaddingMask: g.keyPaddingMask ? g.keyPaddingMask.unsqueeze(0) : null }
}

function staticOf(x: Maybe, name: string, total: number, size: number): Maybe {
  if (!x) return null
  if (x.sizes[0] !== total) throw new ValueError(`expecting static_${name}.size(0) of ${total}, but got ${x.sizes[0]}`)
  if (x.sizes[2] !== size) throw new ValueError(`expecting static_${name}.size(2) of ${size}, but got ${x.sizes[2]}`)
  return x
}

/** Attention as products, with the weights: [rows * batch, width] and [batch, (heads,) rows, columns]. */
function withWeights(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Maybe,
  p: number,
  g: Given,
  [batch, heads, rows, columns]: Sizes,
): [Tensor, Tensor] {
  const scores = bmm(mul(q, Math.sqrt(1 / q.sizes[2])), k.transpose(1, 2))
  const soft = softmax(mask ? add(scores, mask) : scores, -1)
  const used = p > 0 ? dropout(soft, p) : soft
  const out = bmm(used, v)
    .transpose(0, 1)
    .reshape(rows * batch, g.query.sizes[2])
  const all = used.view(batch, heads, rows, columns)
  return [out, g.averageAttnWeights ? mean(all, 1) : all]
}

function withoutWeights(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Maybe,
  p: number,
  causal: boolean,
  [batch, heads, rows, columns]: Sizes,
): Tensor {
  const size = q.sizes[2]
  const seen = mask && (mask.sizes[0] === 1 ? mask.unsqueeze(0) : mask.view(batch, heads, -1, columns))
  const [a, b, c] = [
    [q, rows],
    [k, columns],
    [v, columns],
  ].map(([x, n]) => (x as Tensor).view(batch, heads, n as number, size))
  const out = scaledDotProductAttention(a, b, c, seen, p, causal)
  return out.permute(2, 0, 1, 3).reshape(rows * batch, heads * size)
}

/**
 * Attention in heads for query [L, N, E], key [S, N, E] and value [S, N, E] (or without N): the output [L, N, E] and,
 * with `needWeights`, the weights [N, L, S]. The arguments are those of `nn.MultiheadAttention` and its parameters.
 */
export const multiHeadAttentionForward: (
  query: Tensor,
  key: Tensor,
  value: Tensor,
  ...rest: unknown[]
) => [Tensor, Tensor | null] = op({
  name: 'multiHeadAttentionForward',
  python: 'nn.functional.multi_head_attention_forward',
  signature: SIGNATURE,
  differentiable: true,
  samples: (t) => [
    [t(2, 1, 2), t(2, 1, 2), t(2, 1, 2), 2, 2, t(6, 2), t(6), null, null, false, 0, t(2, 2), t(2)],
    [t(2, 2), t(1, 2), t(1, 2), 2, 1, t(6, 2), null, t(1, 1, 2), t(1, 1, 2), true, 0, t(2, 2), null],
  ],
  forward: (...args: unknown[]) => {
    const given = Object.fromEntries(
      names.map((name, i) => [name, args[i] === undefined ? (DEFAULTS[name] ?? null) : args[i]]),
    )
    return headsForward(given as unknown as Given)
  },
})
