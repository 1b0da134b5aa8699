// The transformer as a whole: encoder and decoder (Vaswani et al., https://arxiv.org/abs/1706.03762).
import { type DType, getDefaultDtype } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { relu } from '../ops/compare.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { xavierUniform_ } from './init.ts'
import { Module } from './module.ts'
import { LayerNorm } from './normalization.ts'
import {
  type Activation,
  causalMask,
  type LayerOptions,
  TransformerDecoder,
  TransformerDecoderLayer,
  TransformerEncoder,
  TransformerEncoderLayer,
} from './transformer.ts'

interface TransformerOptions extends LayerOptions {
  readonly dModel?: number
  readonly nhead?: number
  readonly numEncoderLayers?: number
  readonly numDecoderLayers?: number
  readonly customEncoder?: Module | null
  readonly customDecoder?: Module | null
}

interface TransformerMasks {
  readonly srcMask?: Tensor | null
  readonly tgtMask?: Tensor | null
  readonly memoryMask?: Tensor | null
  readonly srcKeyPaddingMask?: Tensor | null
  readonly tgtKeyPaddingMask?: Tensor | null
  readonly memoryKeyPaddingMask?: Tensor | null
  readonly srcIsCausal?: boolean | null
  readonly tgtIsCausal?: boolean | null
  readonly memoryIsCausal?: boolean
}

type TransformerGiven = [
  number,
  number,
  number,
  number,
  number,
  number,
  Activation,
  Module | null,
  Module | null,
  number,
  boolean,
  boolean,
  boolean,
  unknown,
  DType | null,
]

/**
 * Encoder and decoder: source [S, N, E] and target [T, N, E] (or batch first) to [T, N, E]
 * (https://arxiv.org/abs/1706.03762).
 */
export class Transformer extends Module {
  encoder: Module
  decoder: Module
  readonly dModel: number
  readonly nhead: number
  readonly batchFirst: boolean

  constructor(
    ...args: Args<
      [
        dModel?: number,
        nhead?: number,
        numEncoderLayers?: number,
        numDecoderLayers?: number,
        dimFeedforward?: number,
        dropout?: number,
        activation?: Activation,
      ],
      TransformerOptions
    >
  ) {
    super()
    const [
      dModel = 512,
      nhead = 8,
      encoders = 6,
      decoders = 6,
      dimFeedforward = 2048,
      dropout = 0.1,
      activation = relu,
      customEncoder,
      customDecoder,
      layerNormEps = 1e-5,
      batchFirst = false,
      normFirst = false,
      bias = true,
      ,
      dtype = null,
    ] = named<TransformerGiven>(
      'Transformer',
      'd_model, nhead, num_encoder_layers, num_decoder_layers, dim_feedforward, dropout, activation, custom_encoder, custom_decoder, layer_norm_eps, batch_first, norm_first, bias, device, dtype',
      args,
    )
    const options = { dimFeedforward, dropout, activation, layerNormEps, batchFirst, normFirst, bias, dtype }
    const norm = (): LayerNorm => new LayerNorm(dModel, { eps: layerNormEps, bias, dtype })
    this.encoder =
      customEncoder ?? new TransformerEncoder(new TransformerEncoderLayer(dModel, nhead, options), encoders, norm())
    this.decoder =
      customDecoder ?? new TransformerDecoder(new TransformerDecoderLayer(dModel, nhead, options), decoders, norm())
    for (const p of this.parameters()) if (p.ndim > 1) xavierUniform_(p)
    this.dModel = dModel
    this.nhead = nhead
    this.batchFirst = batchFirst
  }

  forward(
    src: Tensor,
    tgt: Tensor,
    ...args: Args<
      [
        srcMask?: Tensor | null,
        tgtMask?: Tensor | null,
        memoryMask?: Tensor | null,
        srcKeyPaddingMask?: Tensor | null,
        tgtKeyPaddingMask?: Tensor | null,
        memoryKeyPaddingMask?: Tensor | null,
        srcIsCausal?: boolean | null,
        tgtIsCausal?: boolean | null,
        memoryIsCausal?: boolean,
      ],
      TransformerMasks
    >
  ): Tensor {
    const [
      srcMask = null,
      tgtMask = null,
      memoryMask = null,
      srcKeyPaddingMask = null,
      tgtKeyPaddingMask = null,
      memoryKeyPaddingMask = null,
      srcIsCausal = null,
      tgtIsCausal = null,
      memoryIsCausal = false,
    ] = named<
      [
        Tensor | null,
        Tensor | null,
        Tensor | null,
        Tensor | null,
        Tensor | null,
        Tensor | null,
        boolean | null,
        boolean | null,
        boolean,
      ]
    >(
      'Transformer',
      'src_mask, tgt_mask, memory_mask, src_key_padding_mask, tgt_key_padding_mask, memory_key_padding_mask, src_is_causal, tgt_is_causal, memory_is_causal',
      args,
    )
    const batch = this.batchFirst ? 0 : 1
    if (src.ndim === 3 && src.sizes[batch] !== tgt.sizes[batch]) {
      throw new RuntimeError('the batch number of src and tgt must be equal')
    }
    if (src.sizes[src.ndim - 1] !== this.dModel || tgt.sizes[tgt.ndim - 1] !== this.dModel) {
      throw new RuntimeError('the feature number of src and tgt must be equal to d_model')
    }
    const memory = this.encoder(src, { mask: srcMask, srcKeyPaddingMask, isCausal: srcIsCausal }) as Tensor
    return this.decoder(tgt, memory, {
      tgtMask,
      memoryMask,
      tgtKeyPaddingMask,
      memoryKeyPaddingMask,
      tgtIsCausal,
      memoryIsCausal,
    }) as Tensor
  }

  /** A mask with minus infinity where a place would see a later one, else 0: [size, size]. */
  static generateSquareSubsequentMask(size: number, options: { readonly dtype?: DType | null } = {}): Tensor {
    return causalMask(size, options.dtype ?? getDefaultDtype())
  }

  /** As the static method. */
  generateSquareSubsequentMask(size: number): Tensor {
    return causalMask(size)
  }
}
