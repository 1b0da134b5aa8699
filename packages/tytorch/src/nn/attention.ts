// Attention in several heads as a module.
import type { DType } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { canonicalMask, multiHeadAttentionForward } from '../ops/attentionheads.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { constant_, xavierNormal_, xavierUniform_ } from './init.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

/** The output projection of `MultiheadAttention`, by the name that PyTorch prints. */
export class NonDynamicallyQuantizableLinear extends Linear {}

interface MultiheadOptions {
  /** Weights are dropped with this probability while training. */
  readonly dropout?: number
  readonly bias?: boolean
  /** Adds a learned key and value at the end of the sequences. */
  readonly addBiasKv?: boolean
  /** Adds a key and a value of zeros. */
  readonly addZeroAttn?: boolean
  /** Features of keys and of values, if they are not `embedDim`. */
  readonly kdim?: number | null
  readonly vdim?: number | null
  /** Inputs are [N, L, E] instead of [L, N, E]. */
  readonly batchFirst?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

interface AttendOptions {
  /** [N, S]: keys to leave out (bool, true), or what is added to their scores. */
  readonly keyPaddingMask?: Tensor | null
  /** False computes no weights, which is faster. */
  readonly needWeights?: boolean
  /** [L, S] or [N * heads, L, S]: places to leave out (bool, true), or what is added to the scores. */
  readonly attnMask?: Tensor | null
  readonly averageAttnWeights?: boolean
  /** A hint that `attnMask` is the causal one. */
  readonly isCausal?: boolean
}

type Made = [
  number,
  number,
  number,
  boolean,
  boolean,
  boolean,
  number | null,
  number | null,
  boolean,
  unknown,
  DType | null,
]

/**
 * Attention in `numHeads` heads of `embedDim / numHeads` features each, between learned projections
 * (https://arxiv.org/abs/1706.03762): query [L, N, E], key and value [S, N, E] (or batch first) to [output, weights].
 */
export class MultiheadAttention extends Module {
  readonly embedDim: number
  readonly kdim: number
  readonly vdim: number
  readonly numHeads: number
  readonly dropout: number
  readonly batchFirst: boolean
  readonly headDim: number
  readonly addZeroAttn: boolean
  inProjWeight: Parameter | null
  qProjWeight: Parameter | null
  kProjWeight: Parameter | null
  vProjWeight: Parameter | null
  inProjBias: Parameter | null
  outProj: NonDynamicallyQuantizableLinear
  biasK: Parameter | null
  biasV: Parameter | null

  constructor(
    embedDim: number,
    numHeads: number,
    ...args: Args<
      [
        dropout?: number,
        bias?: boolean,
        addBiasKv?: boolean,
        addZeroAttn?: boolean,
        kdim?: number | null,
        vdim?: number | null,
        batchFirst?: boolean,
      ],
      MultiheadOptions
    >
  ) {
    const [
      width = 0,
      heads = 0,
      dropout = 0,
      bias = true,
      addBiasKv = false,
      addZeroAttn = false,
      kdim,
      vdim,
      batchFirst = false,
      ,
      dtype,
    ] = named<Made>(
      'MultiheadAttention',
      'embed_dim, num_heads, dropout, bias, add_bias_kv, add_zero_attn, kdim, vdim, batch_first, device, dtype',
      [embedDim, numHeads, ...args],
    )
    if (width <= 0 || heads <= 0) {
      throw new ValueError(
        `embed_dim and num_heads must be greater than 0, got embed_dim=${width} and num_heads=${heads} instead`,
      )
    }
    super()
    if (width % heads !== 0) throw new ValueError('embed_dim must be divisible by num_heads')
    this.embedDim = width
    this.kdim = kdim ?? width
    this.vdim = vdim ?? width
    this.numHeads = heads
    this.dropout = dropout
    this.batchFirst = batchFirst
    this.headDim = width / heads
    this.addZeroAttn = addZeroAttn
    const together = this.kdim === width && this.vdim === width
    this.inProjWeight = together ? emptyParameter([3 * width, width], dtype) : null
    this.qProjWeight = together ? null : emptyParameter([width, width], dtype)
    this.kProjWeight = together ? null : emptyParameter([width, this.kdim], dtype)
    this.vProjWeight = together ? null : emptyParameter([width, this.vdim], dtype)
    this.inProjBias = bias ? emptyParameter([3 * width], dtype) : null
    this.outProj = new NonDynamicallyQuantizableLinear(width, width, { bias, dtype: dtype ?? null })
    this.biasK = addBiasKv ? emptyParameter([1, 1, width], dtype) : null
    this.biasV = addBiasKv ? emptyParameter([1, 1, width], dtype) : null
    this.resetParameters()
  }

  /** Draws fresh weights for the projections of query, key and value; zeros for biases. */
  resetParameters(): void {
    for (const w of [this.inProjWeight, this.qProjWeight, this.kProjWeight, this.vProjWeight]) if (w) xavierUniform_(w)
    if (this.inProjBias) {
      constant_(this.inProjBias, 0)
      if (this.outProj.bias) constant_(this.outProj.bias, 0)
    }
    for (const b of [this.biasK, this.biasV]) if (b) xavierNormal_(b)
  }

  /** [output, weights]: output like query; weights [N, L, S], a mean over heads, or null without `needWeights`. */
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ...args: Args<
      [
        keyPaddingMask?: Tensor | null,
        needWeights?: boolean,
        attnMask?: Tensor | null,
        averageAttnWeights?: boolean,
        isCausal?: boolean,
      ],
      AttendOptions
    >
  ): [Tensor, Tensor | null] {
    const [padding = null, needWeights = true, attnMask = null, averageAttnWeights = true, isCausal = false] = named<
      [Tensor | null, boolean, Tensor | null, boolean, boolean]
    >('MultiheadAttention', 'key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal', args)
    const turned = this.batchFirst && query.ndim === 3
    const q = turned ? query.transpose(0, 1) : query
    const k = key === query ? q : turned ? key.transpose(0, 1) : key
    const v = value === key ? k : turned ? value.transpose(0, 1) : value
    const [out, weights] = multiHeadAttentionForward(
      q,
      k,
      v,
      this.embedDim,
      this.numHeads,
      this.inProjWeight,
      this.inProjBias,
      this.biasK,
      this.biasV,
      this.addZeroAttn,
      this.dropout,
      this.outProj.weight,
      this.outProj.bias,
      {
        training: this.training,
        keyPaddingMask: canonicalMask(padding, 'key_padding_mask', query.dtype),
        needWeights,
        attnMask: canonicalMask(attnMask, 'attn_mask', query.dtype),
        useSeparateProjWeight: this.inProjWeight === null,
        qProjWeight: this.qProjWeight,
        kProjWeight: this.kProjWeight,
        vProjWeight: this.vProjWeight,
        averageAttnWeights,
        isCausal,
      },
    )
    return [turned ? out.transpose(0, 1) : out, weights]
  }
}
