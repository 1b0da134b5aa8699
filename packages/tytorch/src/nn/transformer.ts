// Encoder and decoder layers of the transformer (Vaswani et al., https://arxiv.org/abs/1706.03762), and stacks of them.
import { type DType, getDefaultDtype } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { add } from '../ops/arithmetic.ts'
import { triu } from '../ops/arrange.ts'
import { canonicalMask } from '../ops/attentionheads.ts'
import { eq, relu } from '../ops/compare.ts'
import { full } from '../ops/create.ts'
import { gelu } from '../ops/pointwise.ts'
import { all } from '../ops/reduce.ts'
import type { Args } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { MultiheadAttention } from './attention.ts'
import { ModuleList } from './containers.ts'
import { copied } from './deepcopy.ts'
import { Dropout } from './dropout.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import { LayerNorm } from './normalization.ts'

/** What a layer puts between its two linear maps: by name, or any function or module. */
export type Activation = 'relu' | 'gelu' | ((x: Tensor) => Tensor)

export interface LayerOptions {
  /** Features between the two linear maps. */
  readonly dimFeedforward?: number
  readonly dropout?: number
  readonly activation?: Activation
  readonly layerNormEps?: number
  /** Inputs are [N, L, E] instead of [L, N, E]. */
  readonly batchFirst?: boolean
  /** Normalises before attention and feed-forward instead of after. */
  readonly normFirst?: boolean
  readonly bias?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

type LayerArgs = Args<
  [
    dimFeedforward?: number,
    dropout?: number,
    activation?: Activation,
    layerNormEps?: number,
    batchFirst?: boolean,
    normFirst?: boolean,
    bias?: boolean,
  ],
  LayerOptions
>

/** A layer's arguments with their defaults. */
interface Settings {
  readonly width: number
  readonly heads: number
  readonly feedforward: number
  readonly dropout: number
  readonly activation: Activation
  readonly eps: number
  readonly batchFirst: boolean
  readonly normFirst: boolean
  readonly bias: boolean
  readonly dtype: DType | null
}

type Given = [number, number, number, number, Activation, number, boolean, boolean, boolean, unknown, DType | null]

function settingsOf(name: string, given: readonly unknown[]): Settings {
  const [
    width = 0,
    heads = 0,
    feedforward = 2048,
    dropout = 0.1,
    activation = relu,
    eps = 1e-5,
    batchFirst = false,
    normFirst = false,
    bias = true,
    ,
    dtype = null,
  ] = named<Given>(
    name,
    'd_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype',
    given,
  )
  return { width, heads, feedforward, dropout, activation, eps, batchFirst, normFirst, bias, dtype }
}

function activationOf(activation: Activation): (x: Tensor) => Tensor {
  if (typeof activation === 'function') return activation
  if (activation === 'relu') return relu
  if (activation === 'gelu') return (x) => gelu(x)
  throw new RuntimeError(`activation should be relu/gelu, not ${activation}`)
}

const attentionOf = ({ width, heads, dropout, bias, batchFirst, dtype }: Settings): MultiheadAttention =>
  new MultiheadAttention(width, heads, { dropout, bias, batchFirst, dtype })
const normOf = ({ width, eps, bias, dtype }: Settings): LayerNorm => new LayerNorm(width, { eps, bias, dtype })

interface EncoderMasks {
  /** [L, L] or [N * heads, L, L]. */
  readonly srcMask?: Tensor | null
  /** [N, L]. */
  readonly srcKeyPaddingMask?: Tensor | null
  /** A hint that `srcMask` is the causal one. */
  readonly isCausal?: boolean
}

/**
 * Self-attention and a feed-forward network of `dModel` features, each with dropout, a residual and layer norm: [S, N,
 * E] (or batch first) to the same (https://arxiv.org/abs/1706.03762).
 */
export class TransformerEncoderLayer extends Module {
  selfAttn: MultiheadAttention
  linear1: Linear
  dropout: Dropout
  linear2: Linear
  readonly normFirst: boolean
  norm1: LayerNorm
  norm2: LayerNorm
  dropout1: Dropout
  dropout2: Dropout
  activation: (x: Tensor) => Tensor

  constructor(dModel: number, nhead: number, ...args: LayerArgs) {
    super()
    const s = settingsOf('TransformerEncoderLayer', [dModel, nhead, ...args])
    const options = { bias: s.bias, dtype: s.dtype }
    this.selfAttn = attentionOf(s)
    this.linear1 = new Linear(s.width, s.feedforward, options)
    this.dropout = new Dropout(s.dropout)
    this.linear2 = new Linear(s.feedforward, s.width, options)
    this.normFirst = s.normFirst
    this.norm1 = normOf(s)
    this.norm2 = normOf(s)
    this.dropout1 = new Dropout(s.dropout)
    this.dropout2 = new Dropout(s.dropout)
    this.activation = activationOf(s.activation)
  }

  forward(
    src: Tensor,
    ...args: Args<[srcMask?: Tensor | null, srcKeyPaddingMask?: Tensor | null, isCausal?: boolean], EncoderMasks>
  ): Tensor {
    const [mask = null, padding = null, isCausal = false] = named<[Tensor | null, Tensor | null, boolean]>(
      'TransformerEncoderLayer',
      'src_mask, src_key_padding_mask, is_causal',
      args,
    )
    const attnMask = canonicalMask(mask, 'src_mask', src.dtype)
    const keyPaddingMask = canonicalMask(padding, 'src_key_padding_mask', src.dtype)
    const attend = (x: Tensor): Tensor => {
      const [out] = this.selfAttn(x, x, x, { attnMask, keyPaddingMask, needWeights: false, isCausal })
      return this.dropout1(out)
    }
    const feed = (x: Tensor): Tensor => this.dropout2(this.linear2(this.dropout(this.activation(this.linear1(x)))))
    if (this.normFirst) {
      const x = add(src, attend(this.norm1(src)))
      return add(x, feed(this.norm2(x)))
    }
    const x = this.norm1(add(src, attend(src)))
    return this.norm2(add(x, feed(x)))
  }
}

interface DecoderMasks {
  readonly tgtMask?: Tensor | null
  readonly memoryMask?: Tensor | null
  readonly tgtKeyPaddingMask?: Tensor | null
  readonly memoryKeyPaddingMask?: Tensor | null
  /** Hints that a mask is the causal one. */
  readonly tgtIsCausal?: boolean | null
  readonly memoryIsCausal?: boolean
}

type DecoderArgs = Args<
  [
    tgtMask?: Tensor | null,
    memoryMask?: Tensor | null,
    tgtKeyPaddingMask?: Tensor | null,
    memoryKeyPaddingMask?: Tensor | null,
    tgtIsCausal?: boolean | null,
    memoryIsCausal?: boolean,
  ],
  DecoderMasks
>
type DecoderGiven = [Tensor | null, Tensor | null, Tensor | null, Tensor | null, boolean | null, boolean]
const DECODER = 'tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal, memory_is_causal'

/** As an encoder layer, with attention to the encoder's output in between. */
export class TransformerDecoderLayer extends Module {
  selfAttn: MultiheadAttention
  multiheadAttn: MultiheadAttention
  linear1: Linear
  dropout: Dropout
  linear2: Linear
  readonly normFirst: boolean
  norm1: LayerNorm
  norm2: LayerNorm
  norm3: LayerNorm
  dropout1: Dropout
  dropout2: Dropout
  dropout3: Dropout
  activation: (x: Tensor) => Tensor

  constructor(dModel: number, nhead: number, ...args: LayerArgs) {
    super()
    const s = settingsOf('TransformerDecoderLayer', [dModel, nhead, ...args])
    const options = { bias: s.bias, dtype: s.dtype }
    this.selfAttn = attentionOf(s)
    this.multiheadAttn = attentionOf(s)
    this.linear1 = new Linear(s.width, s.feedforward, options)
    this.dropout = new Dropout(s.dropout)
    this.linear2 = new Linear(s.feedforward, s.width, options)
    this.normFirst = s.normFirst
    this.norm1 = normOf(s)
    this.norm2 = normOf(s)
    this.norm3 = normOf(s)
    this.dropout1 = new Dropout(s.dropout)
    this.dropout2 = new Dropout(s.dropout)
    this.dropout3 = new Dropout(s.dropout)
    this.activation = activationOf(s.activation)
  }

  forward(tgt: Tensor, memory: Tensor, ...args: DecoderArgs): Tensor {
    const [
      tgtMask = null,
      memoryMask = null,
      tgtPadding = null,
      memoryPadding = null,
      tgtCausal,
      memoryCausal = false,
    ] = named<DecoderGiven>('TransformerDecoderLayer', DECODER, args)
    const self = (x: Tensor): Tensor => {
      const masks = { attnMask: tgtMask, keyPaddingMask: tgtPadding, isCausal: tgtCausal ?? false }
      return this.dropout1(this.selfAttn(x, x, x, { ...masks, needWeights: false })[0])
    }
    const cross = (x: Tensor): Tensor => {
      const masks = { attnMask: memoryMask, keyPaddingMask: memoryPadding, isCausal: memoryCausal }
      return this.dropout2(this.multiheadAttn(x, memory, memory, { ...masks, needWeights: false })[0])
    }
    const feed = (x: Tensor): Tensor => this.dropout3(this.linear2(this.dropout(this.activation(this.linear1(x)))))
    if (this.normFirst) {
      let x = add(tgt, self(this.norm1(tgt)))
      x = add(x, cross(this.norm2(x)))
      return add(x, feed(this.norm3(x)))
    }
    let x = this.norm1(add(tgt, self(tgt)))
    x = this.norm2(add(x, cross(x)))
    return this.norm3(add(x, feed(x)))
  }
}

/** Minus infinity above the diagonal, else 0: [size, size]. */
export function causalMask(size: number, dtype: DType = getDefaultDtype()): Tensor {
  return triu(full([size, size], Number.NEGATIVE_INFINITY, { dtype }), 1)
}

/** Whether a mask is the causal one: as told, or found by comparing. */
function detectCausal(mask: Tensor | null, told: boolean | null, size: number): boolean {
  if (told !== null || !mask) return told === true
  const causal = causalMask(size, mask.dtype.isFloatingPoint ? mask.dtype : getDefaultDtype())
  return sameSizes(mask.sizes, causal.sizes) && Boolean(all(eq(mask, causal)).item<boolean>())
}

const lengthOf = (x: Tensor, batchFirst: boolean): number => x.sizes[x.ndim === 3 && batchFirst ? 1 : 0]

interface StackMasks {
  readonly mask?: Tensor | null
  readonly srcKeyPaddingMask?: Tensor | null
  /** A hint that `mask` is the causal one; found by comparing if absent. */
  readonly isCausal?: boolean | null
}

interface StackOptions {
  /** Normalises the last layer's output. */
  readonly norm?: Module | null
  /** Sets outputs of padding to zero when a batch-first stack is evaluated without gradients, as PyTorch does. */
  readonly enableNestedTensor?: boolean
  readonly maskCheck?: boolean
}

/** `numLayers` copies of an encoder layer, one after another, with equal weights at first; then `norm` if given. */
export class TransformerEncoder extends Module {
  layers: ModuleList<TransformerEncoderLayer>
  readonly numLayers: number
  norm: Module | null
  readonly enableNestedTensor: boolean

  constructor(
    encoderLayer: TransformerEncoderLayer,
    numLayers: number,
    ...args: Args<[norm?: Module | null, enableNestedTensor?: boolean, maskCheck?: boolean], StackOptions>
  ) {
    super()
    const [layer, n = 0, norm = null, nested = true] = named<
      [TransformerEncoderLayer, number, Module | null, boolean, boolean]
    >('TransformerEncoder', 'encoder_layer, num_layers, norm, enable_nested_tensor, mask_check', [
      encoderLayer,
      numLayers,
      ...args,
    ])
    this.layers = new ModuleList(Array.from({ length: n }, () => copied(layer as TransformerEncoderLayer)))
    this.numLayers = n
    this.norm = norm
    this.enableNestedTensor = nested
  }

  forward(
    src: Tensor,
    ...args: Args<[mask?: Tensor | null, srcKeyPaddingMask?: Tensor | null, isCausal?: boolean | null], StackMasks>
  ): Tensor {
    const [given = null, padding = null, told = null] = named<[Tensor | null, Tensor | null, boolean | null]>(
      'TransformerEncoder',
      'mask, src_key_padding_mask, is_causal',
      args,
    )
    const srcMask = canonicalMask(given, 'mask', src.dtype)
    const srcKeyPaddingMask = canonicalMask(padding, 'src_key_padding_mask', src.dtype)
    const [first] = this.layers
    const isCausal = detectCausal(srcMask, told, lengthOf(src, first?.selfAttn.batchFirst ?? false))
    let x = src
    for (const layer of this.layers) x = layer(x, { srcMask, srcKeyPaddingMask, isCausal })
    if (padding && srcKeyPaddingMask && this.#dropsPadding(src, srcMask, srcKeyPaddingMask)) {
      x = x.maskedFill(srcKeyPaddingMask.ne(0).unsqueeze(-1), 0)
    }
    return this.norm ? (this.norm(x) as Tensor) : x
  }

  /** Where PyTorch computes without the padding, whose outputs are zeros then. */
  #dropsPadding(src: Tensor, mask: Tensor | null, padding: Tensor): boolean {
    const [first] = this.layers
    if (!this.enableNestedTensor || !(first instanceof TransformerEncoderLayer) || first.training) return false
    const { selfAttn, normFirst, norm1, norm2 } = first
    if (src.ndim !== 3 || mask || normFirst || !selfAttn.batchFirst || !selfAttn.inProjWeight) return false
    if (!selfAttn.inProjBias || norm1.eps !== norm2.eps || selfAttn.numHeads % 2 === 1) return false
    if (isGradEnabled() && [src, ...first.parameters()].some((t) => t.requiresGrad)) return false
    const kept = padding.eq(0)
    return Boolean(all(kept.narrow(1, 1, kept.sizes[1] - 1).le(kept.narrow(1, 0, kept.sizes[1] - 1))).item<boolean>())
  }
}

/** `numLayers` copies of a decoder layer, one after another, with equal weights at first; then `norm` if given. */
export class TransformerDecoder extends Module {
  layers: ModuleList<TransformerDecoderLayer>
  readonly numLayers: number
  norm: Module | null

  constructor(
    decoderLayer: TransformerDecoderLayer,
    numLayers: number,
    ...args: Args<[norm?: Module | null], { readonly norm?: Module | null }>
  ) {
    super()
    const [layer, n = 0, norm = null] = named<[TransformerDecoderLayer, number, Module | null]>(
      'TransformerDecoder',
      'decoder_layer, num_layers, norm',
      [decoderLayer, numLayers, ...args],
    )
    this.layers = new ModuleList(Array.from({ length: n }, () => copied(layer as TransformerDecoderLayer)))
    this.numLayers = n
    this.norm = norm
  }

  forward(tgt: Tensor, memory: Tensor, ...args: DecoderArgs): Tensor {
    const [
      tgtMask = null,
      memoryMask = null,
      tgtKeyPaddingMask = null,
      memoryKeyPaddingMask = null,
      told = null,
      memoryIsCausal = false,
    ] = named<DecoderGiven>('TransformerDecoder', DECODER, args)
    const [first] = this.layers
    const tgtIsCausal = detectCausal(tgtMask, told, lengthOf(tgt, first?.selfAttn.batchFirst ?? false))
    const masks = { tgtMask, memoryMask, tgtKeyPaddingMask, memoryKeyPaddingMask, tgtIsCausal, memoryIsCausal }
    let x = tgt
    for (const layer of this.layers) x = layer(x, memory, masks)
    return this.norm ? (this.norm(x) as Tensor) : x
  }
}
