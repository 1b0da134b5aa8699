// Scaled dot-product attention: products of batches around one kernel that scales, masks and normalises the scores.
import { bool, type DType, float32, float64, int32 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { broadcastSizes, expandStrides, numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { acc, constant, type Expr, k, load, other, result, scalar } from '../ir/expr.ts'
import type { Arg, Kernel, ReducePass } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled, noGrad } from '../tensor/mode.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { keep } from '../tensor/scope.ts'
import { empty, emptyLike, type Tensor } from '../tensor/tensor.ts'
import { once } from '../tensor/tracer.ts'
import { mul, sub } from './arithmetic.ts'
import { emptyHeads, products, readable, rowsOf, turned } from './attentionproducts.ts'
import { contiguous, to } from './copy.ts'
import { arange } from './create.ts'
import { dropout } from './dropout.ts'
import { bmm } from './linear.ts'
import { sum } from './reduce.ts'

type Stride = readonly [number, number, number]

/** How scores become weights. */
interface Masking {
  readonly scale: number
  /** Broadcasts to [..., rows, columns] of the scores: bool (true takes part) or added to them. */
  readonly mask: Tensor | null
  /** Row i takes the columns up to i. */
  readonly causal: boolean
}

const kernels = new Map<string, Kernel>()
const element = (dtype: DType, mode: Arg['mode'] = 'read'): Arg => ({ dtype, mode, per: 'element' })

/**
 * Softmax of scale * score + mask along rows, and zeros where all of a row is masked. Arguments: scores, mask?, for
 * causal ones the columns' numbers and the last column of a row (per row), out.
 */
function weightsKernel(dtype: DType, mask: DType | null, causal: boolean): Kernel {
  const key = `attentionWeights ${dtype.name} ${mask?.name} ${causal}`
  let kernel = kernels.get(key)
  if (kernel) return kernel
  const type = dtype.compute
  const args: Arg[] = [element(dtype)]
  const lowest = constant(Number.NEGATIVE_INFINITY, type)
  let x: Expr = k.mul(load(0, type), scalar(0, type))
  if (mask) {
    args.push(element(mask))
    const given = load(1, mask.compute)
    x = mask === bool ? k.select(given, x, lowest) : k.add(x, k.cast(given, type))
  }
  if (causal) {
    args.push(element(int32), { dtype: int32, mode: 'read', per: 'row' })
    x = k.select(k.le(load(args.length - 2, 'i32'), load(args.length - 1, 'i32')), x, lowest)
  }
  args.push(element(dtype, 'update'))
  const at = args.length - 1
  const stored = load(at, type)
  const top = result(0, 0, type)
  // A row without any column has no largest score to subtract.
  const shift = k.select(k.eq(top, lowest), constant(0, type), top)
  // Weights too small for a normal number are 0: processors take a hundred times as long for subnormal ones.
  const least = constant(type === 'f64' ? -708 : -87, type)
  const shifted = k.sub(x, shift)
  const e = k.select(k.lt(shifted, least), constant(0, type), m.exp(k.pmax(shifted, least)))
  const total = result(2, 0, type)
  const factor = k.select(k.eq(total, constant(0, type)), constant(0, type), k.div(constant(1, type), total))
  const most: ReducePass = {
    kind: 'reduce',
    init: [lowest],
    step: [k.max(acc(0, type), x)],
    merge: [k.max(acc(0, type), other(0, type))],
  }
  const sums: ReducePass = {
    kind: 'reduce',
    init: [constant(0, type)],
    step: [k.add(acc(0, type), stored)],
    merge: [k.add(acc(0, type), other(0, type))],
  }
  kernel = {
    name: 'attentionWeights',
    args,
    scalars: [type],
    passes: [
      most,
      { kind: 'map', stores: [{ arg: at, value: e }] },
      sums,
      { kind: 'map', stores: [{ arg: at, value: k.mul(stored, factor) }] },
    ],
    rowStores: [],
  }
  kernels.set(key, kernel)
  return kernel
}

/** The gradient of scores: weights * (g - sum(g * weights)) * scale. Arguments: g, weights, out. */
function scoresGradientKernel(dtype: DType): Kernel {
  const key = `attentionScoresBackward ${dtype.name}`
  let kernel = kernels.get(key)
  if (kernel) return kernel
  const type = dtype.compute
  const [g, w] = [load(0, type), load(1, type)]
  kernel = {
    name: 'attentionScoresBackward',
    args: [element(dtype), element(dtype), element(dtype, 'write')],
    scalars: [type],
    passes: [
      {
        kind: 'reduce',
        init: [constant(0, type)],
        step: [k.madd(g, w, acc(0, type))],
        merge: [k.add(acc(0, type), other(0, type))],
      },
      { kind: 'map', stores: [{ arg: 2, value: k.mul(k.mul(k.sub(g, result(0, 0, type)), w), scalar(0, type)) }] },
    ],
    rowStores: [],
  }
  kernels.set(key, kernel)
  return kernel
}

let counted: Tensor | null = null

/** 0, 1, 2, ... (at least `n` of them) as int32. */
function counting(n: number): Tensor {
  if (counted && counted.count >= n) return counted
  counted = once(() => keep(arange(Math.max(n, 256), { dtype: int32 })))
  return counted
}

/** Byte strides of a mask along [leading dimensions..., rows, columns] of `sizes`. */
function maskStrides(mask: Tensor, sizes: Sizes): number[] {
  return expandStrides(mask.sizes, mask.strides, sizes).map((s) => s * mask.dtype.itemsize)
}

/** The weights of contiguous scores [batch..., rows, columns], of which row 0 is row `first` of a causal mask. */
function rawWeights(scores: Tensor, { scale, mask, causal }: Masking, first = 0, leading = scores.sizes): Tensor {
  const out = emptyLike(scores)
  if (out.count === 0) return out
  const rank = scores.sizes.length
  const [rows, columns] = scores.sizes.slice(-2)
  const batch = scores.count / (rows * columns)
  const last = causal ? counting(Math.max(first + rows, columns)) : null
  const kernel = weightsKernel(scores.dtype, mask?.dtype ?? null, causal)
  const step = scores.dtype.itemsize
  const own: Stride = [rows * columns * step, columns * step, step]
  const lead = [...leading.slice(0, -2), rows, columns]
  const seen = mask ? maskStrides(mask, lead) : []
  // Walks what the mask's strides can't join; without a mask all of the batch is one launch.
  const groups = mask ? joinable(lead.slice(0, -2), seen) : { outer: [], inner: batch, step: 0 }
  const pointer = { scores: scores.pointer, mask: mask?.pointer ?? 0, out: out.pointer }
  let at = 0
  const walk = (dim: number, offset: number): void => {
    if (dim < groups.outer.length) {
      const [n, stride] = groups.outer[dim]
      for (let i = 0; i < n; i++) walk(dim + 1, offset + i * stride)
      return
    }
    const pointers = [pointer.scores + at]
    const strides: Stride[] = [own]
    if (mask) {
      pointers.push(pointer.mask + offset)
      strides.push([groups.step, seen[rank - 2 + lead.length - rank], seen[lead.length - 1]])
    }
    if (last) {
      pointers.push(last.pointer, last.pointer + first * 4)
      strides.push([0, 0, 4], [0, 4, 0])
    }
    pointers.push(pointer.out + at)
    strides.push(own)
    device().launch(kernel, [groups.inner, rows, columns], pointers, strides, [scale])
    at += groups.inner * own[0]
  }
  walk(0, 0)
  return out
}

interface Joined {
  readonly outer: readonly (readonly [size: number, stride: number])[]
  readonly inner: number
  readonly step: number
}

/** Joins the last of some dimensions where strides allow it; the rest have to be walked. */
function joinable(sizes: Sizes, strides: readonly number[]): Joined {
  let inner = 1
  let step = 0
  let dim = sizes.length - 1
  for (; dim >= 0; dim--) {
    if (sizes[dim] === 1) continue
    if (inner === 1) {
      inner = sizes[dim]
      step = strides[dim]
    } else if (strides[dim] === step * inner) inner *= sizes[dim]
    else break
  }
  return { outer: sizes.slice(0, dim + 1).map((n, i) => [n, strides[i]] as const), inner, step }
}

function rawScoresGradient(g: Tensor, weights: Tensor, scale: number): Tensor {
  const out = emptyLike(weights)
  if (out.count === 0) return out
  const n = out.sizes[out.ndim - 1]
  const step = out.dtype.itemsize
  const stride: Stride = [0, n * step, step]
  const pointers = [g.pointer, weights.pointer, out.pointer]
  device().launch(scoresGradientKernel(out.dtype), [1, out.count / n, n], pointers, [stride, stride, stride], [scale])
  return out
}

/** The weights of scores, differentiable to any order. */
function attentionWeights(scores: Tensor, masking: Masking): Tensor {
  const { mask, scale } = masking
  const source = contiguous(scores.detach())
  const out = rawWeights(source, { ...masking, mask: mask ? mask.detach() : null })
  const inputs = mask?.dtype.isFloatingPoint ? [scores, mask] : [scores]
  return record(out, 'AttentionWeightsBackward0', inputs, [out], (g, [w], needs) => {
    const inner = isGradEnabled() ? mul(sub(g, sum(mul(g, w), -1, true)), w) : rawScoresGradient(contiguous(g), w, 1)
    return [
      needs[0] ? mul(inner, scale) : null,
      ...(inputs.length > 1 ? [needs[1] && mask ? summedTo(inner, mask.sizes) : null] : []),
    ]
  })
}

/** Sums `x` over the dimensions along which `sizes` was broadcast to its shape. */
function summedTo(x: Tensor, sizes: Sizes): Tensor {
  const lead = x.ndim - sizes.length
  const dims = x.sizes.flatMap((n, i) => (i < lead || (sizes[i - lead] === 1 && n !== 1) ? [i] : []))
  return (dims.length ? sum(x, dims, true) : x).reshape(sizes)
}

/** Query, key and value as [outer, inner, rows, width]: two levels of batches. */
interface Parts {
  readonly q: Tensor
  readonly k: Tensor
  readonly v: Tensor
}

/** Rows of queries whose causal scores are computed together, without most of those that are masked. */
const BLOCK = 128

interface Block {
  readonly first: number
  readonly rows: number
  readonly columns: number
}

/** The blocks of a causal score matrix, or one that is all of it. */
function blocksOf(rows: number, columns: number, { mask, causal }: Masking): Block[] {
  if (!causal || mask || rows < 2 * BLOCK || rows > columns) return [{ first: 0, rows, columns }]
  return Array.from({ length: Math.ceil(rows / BLOCK) }, (_, i) => {
    const first = i * BLOCK
    const n = Math.min(BLOCK, rows - first)
    return { first, rows: n, columns: first + n }
  })
}

/** Attention without recording: the output, and the weights of each block. */
function attend({ q, k: key, v }: Parts, masking: Masking, leading: Sizes): { out: Tensor; weights: Tensor[] } {
  const [outer, inner, rows] = q.sizes
  const columns = key.sizes[2]
  const out = emptyHeads(outer, inner, rows, v.sizes[3], q)
  const weights = blocksOf(rows, columns, masking).map((b) => {
    const scores = empty([outer, inner, b.rows, b.columns], q.dtype)
    products(rowsOf(q, b.first, b.rows), turned(rowsOf(key, 0, b.columns)), scores)
    const w = rawWeights(scores, masking, b.first, [...leading, b.rows, b.columns])
    products(w, rowsOf(v, 0, b.columns), rowsOf(out, b.first, b.rows))
    return w
  })
  return { out, weights }
}

/** Gradients of query, key and value without recording. */
function attendBackward(
  g: Tensor,
  { q, k: key, v }: Parts,
  weights: readonly Tensor[],
  masking: Masking,
  needs: readonly boolean[],
): (Tensor | null)[] {
  const blocks = blocksOf(q.sizes[2], key.sizes[2], masking)
  const several = blocks.length > 1
  const [dq, dk, dv] = [q, key, v].map((t, i) => {
    if (!needs[i]) return null
    const made = emptyHeads(t.sizes[0], t.sizes[1], t.sizes[2], t.sizes[3], t)
    return several && i > 0 ? made.zero_() : made
  })
  blocks.forEach((b, i) => {
    const gb = rowsOf(g, b.first, b.rows)
    const w = weights[i]
    if (dv) products(turned(w), gb, rowsOf(dv, 0, b.columns), several)
    if (!dq && !dk) return
    const dw = products(gb, turned(rowsOf(v, 0, b.columns)), empty(w.sizes, w.dtype))
    const ds = rawScoresGradient(dw, w, masking.scale)
    if (dq) products(ds, rowsOf(key, 0, b.columns), rowsOf(dq, b.first, b.rows))
    if (dk) products(turned(ds), rowsOf(q, b.first, b.rows), rowsOf(dk, 0, b.columns), several)
  })
  return [dq, dk, dv]
}

/** The gradients in tensor ops, for a backward pass that is recorded itself. */
function composedGradients(g: Tensor, { q, k: key, v }: Parts, masking: Masking, leading: Sizes): Tensor[] {
  const flat = (x: Tensor): Tensor => x.flatten(0, 1)
  const [gf, qf, kf, vf] = [g, q, key, v].map(flat)
  const scores = bmm(qf, kf.transpose(1, 2))
  const shape = [...leading, ...scores.sizes.slice(1)]
  const w = attentionWeights(scores.reshape(shape), masking).reshape(scores.sizes)
  const dw = bmm(gf, vf.transpose(1, 2))
  const ds = mul(mul(sub(dw, sum(mul(dw, w), 2, true)), w), masking.scale)
  const grads = [bmm(ds, kf), bmm(ds.transpose(1, 2), qf), bmm(w.transpose(1, 2), gf)]
  return grads.map((t, i) => t.reshape([q, key, v][i].sizes))
}

const NAMES: Record<string, string> = {
  float32: 'float',
  float64: 'double',
  float16: 'c10::Half',
  bfloat16: 'c10::BFloat16',
  int64: 'long int',
  int32: 'int',
  int16: 'short int',
  int8: 'signed char',
  uint8: 'unsigned char',
  bool: 'bool',
}

function checkInputs(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | null): void {
  const name = (t: Tensor): string => NAMES[t.dtype.name]
  if (query.dtype !== key.dtype || query.dtype !== value.dtype) {
    throw new RuntimeError(
      `Expected query, key, and value to have the same dtype, but got query.dtype: ${name(query)} key.dtype: ${name(key)} and value.dtype: ${name(value)} instead.`,
    )
  }
  if (query.ndim < 2 || key.ndim < 2 || value.ndim < 2) {
    throw new RuntimeError(
      `Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: ${query.ndim} key.dim: ${key.ndim} and value.dim: ${value.ndim} instead.`,
    )
  }
  if (!query.dtype.isFloatingPoint) {
    throw new RuntimeError(`expected scalar type Float but found ${query.dtype.title}`)
  }
  if (mask && mask.dtype !== bool && mask.dtype !== float32 && mask.dtype !== query.dtype) {
    throw new RuntimeError(
      `Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ${name(mask)} and  query.dtype: ${name(query)} instead.`,
    )
  }
}

interface AttentionOptions {
  /** bool (true takes part) or added to the scores; broadcasts to [*, L, S]. */
  readonly attnMask?: Tensor | null
  /** Weights are dropped with this probability, in training and outside of it. */
  readonly dropoutP?: number
  /** Row i takes the keys up to i. */
  readonly isCausal?: boolean
  /** Factor of the scores; 1 / sqrt(E) by default. */
  readonly scale?: number | null
  /** Lets groups of heads of the query share one head of key and value. */
  readonly enableGqa?: boolean
}

type Attention = (
  query: Tensor,
  key: Tensor,
  value: Tensor,
  ...args: Args<[attnMask?: Tensor | null, dropoutP?: number, isCausal?: boolean], AttentionOptions>
) => Tensor

/** Key or value with each head repeated for the heads of the query. */
function grouped(x: Tensor, heads: number): Tensor {
  const own = x.sizes[x.ndim - 3]
  if (own === heads) return x
  const sizes = [...x.sizes.slice(0, -3), own, heads / own, ...x.sizes.slice(-2)]
  const out = [...x.sizes.slice(0, -3), heads, ...x.sizes.slice(-2)]
  return x
    .unsqueeze(x.ndim - 2)
    .expand(sizes)
    .reshape(out)
}

/**
 * softmax(query keyᵀ * scale + mask) value, for query [*, L, E], key [*, S, E] and value [*, S, V]; rows that are
 * masked as a whole give zeros (Vaswani et al., https://arxiv.org/abs/1706.03762).
 */
export const scaledDotProductAttention: Attention = op({
  name: 'scaledDotProductAttention',
  lastNode: (query, _key, _value, _mask, dropout) =>
    query.ndim !== 4 || dropout > 0 ? 'UnsafeViewBackward0' : undefined,
  python: 'nn.functional.scaled_dot_product_attention',
  signature: 'query, key, value, attn_mask, dropout_p, is_causal, *, scale, enable_gqa',
  differentiable: true,
  samples: (t) => [
    [t(2, 3, 4), t(2, 5, 4), t(2, 5, 3)],
    [t(2, 2, 3, 4), t(2, 2, 3, 4), t(2, 2, 3, 4), null, 0, true],
    [t(2, 2, 3, 4), t(2, 2, 3, 4), t(2, 2, 3, 4), t(3, 3)],
    [t(2, 2, 3, 4), t(2, 2, 3, 4), t(2, 2, 3, 4), t(2, 1, 1, 3), { scale: 0.3 }],
    [t(1, 4, 3, 2), t(1, 2, 3, 2), t(1, 2, 3, 2), { enableGqa: true }],
    [t(3, 4), t(3, 4), t(3, 2)],
  ],
  forward: (
    query: Tensor,
    givenKey: Tensor,
    givenValue: Tensor,
    mask: Tensor | null = null,
    dropoutP = 0,
    causal = false,
    givenScale: number | null = null,
    enableGqa = false,
  ) => {
    checkInputs(query, givenKey, givenValue, mask)
    if (!(dropoutP >= 0 && dropoutP <= 1)) {
      throw new RuntimeError(`dropout probability has to be between 0 and 1, but got ${dropoutP}`)
    }
    if (mask && causal && (dropoutP > 0 || requiresGrad(mask))) {
      throw new RuntimeError('_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True')
    }
    const scale = givenScale ?? 1 / Math.sqrt(query.sizes[query.ndim - 1])
    let [key, value] = [givenKey, givenValue]
    if (enableGqa) {
      const heads = query.sizes[query.ndim - 3]
      if (heads % key.sizes[key.ndim - 3] !== 0 || heads % value.sizes[value.ndim - 3] !== 0) {
        throw new RuntimeError('Number of heads in key and value must divide the number of heads in ')
      }
      key = grouped(key, heads)
      value = grouped(value, heads)
    }
    if (query.dtype === float32 || query.dtype === float64) {
      return attention(query, key, value, { scale, mask, causal }, dropoutP)
    }
    const wide = mask && mask.dtype !== bool ? to(mask, float32) : mask
    const [q, kk, v] = [query, key, value].map((t) => to(t, float32))
    return to(attention(q, kk, v, { scale, mask: wide, causal }, dropoutP), query.dtype)
  },
})

function attention(query: Tensor, key: Tensor, value: Tensor, masking: Masking, dropoutP: number): Tensor {
  const [rows, width] = query.sizes.slice(-2)
  const columns = key.sizes[key.ndim - 2]
  const leading = broadcastSizes(
    broadcastSizes(query.sizes.slice(0, -2), key.sizes.slice(0, -2)),
    value.sizes.slice(0, -2),
  )
  const scoreSizes = [...leading, rows, columns]
  if (masking.mask && !sameSizes(broadcastSizes(masking.mask.sizes, scoreSizes), scoreSizes)) {
    throw new RuntimeError(
      `The size of tensor a (${columns}) must match the size of tensor b (${masking.mask.sizes[masking.mask.ndim - 1]}) at non-singleton dimension ${scoreSizes.length - 1}`,
    )
  }
  const batch = numelOf(leading)
  if (key.sizes[key.ndim - 1] !== width) {
    throw new RuntimeError(
      `Expected size for first two dimensions of batch2 tensor to be: [${batch}, ${width}] but got: [${batch}, ${key.sizes[key.ndim - 1]}].`,
    )
  }
  const inner = leading.length > 0 ? leading[leading.length - 1] : 1
  const outer = numelOf(leading.slice(0, -1))
  const levels = (x: Tensor): Tensor => {
    const own = x.sizes.slice(-2)
    const full = sameSizes(x.sizes.slice(0, -2), leading) ? x : x.expand([...leading, ...own])
    return full.ndim === 4 ? full : full.reshape([outer, inner, ...own])
  }
  const [q, kk, v] = [query, key, value].map(levels)
  const outSizes = [...leading, rows, value.sizes[value.ndim - 1]]
  if (dropoutP > 0 || (masking.mask && requiresGrad(masking.mask))) {
    const scores = bmm(q.flatten(0, 1), kk.flatten(0, 1).transpose(1, 2)).reshape(scoreSizes)
    const weights = dropout(attentionWeights(scores, masking), dropoutP)
    return bmm(weights.reshape([batch, rows, columns]), v.flatten(0, 1)).reshape(outSizes)
  }
  const parts: Parts = { q: readable(q), k: readable(kk), v: readable(v) }
  const { out, weights } = noGrad(() => attend(parts, masking, leading))
  const result = record(
    out,
    'ScaledDotProductFlashAttentionForCpuBackward0',
    [q, kk, v],
    [parts.q, parts.k, parts.v, ...weights],
    (g, [q, kk, v, ...kept], needs) => {
      const own = { q, k: kk, v }
      if (isGradEnabled()) return composedGradients(g, own, masking, leading).map((t, i) => (needs[i] ? t : null))
      return attendBackward(readable(g), own, kept, masking, needs)
    },
  )
  return leading.length === 2 ? result : result.reshape(outSizes)
}
