// Tables of embeddings as modules.
import type { DType } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatArguments, formatFloat } from '../base/format.ts'
import { embedding, paddingRow, refuseSparse } from '../ops/embedding.ts'
import { type BagMode, embeddingBag } from '../ops/embeddingbag.ts'
import type { Args } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { normal_ } from './init.ts'
import { Module } from './module.ts'
import { emptyParameter, Parameter } from './parameter.ts'

interface TableOptions {
  /** The row that stays as it is: it starts as zeros and gets no gradient. */
  readonly paddingIdx?: number | null
  /** Rows that are used and longer than this are scaled to it. */
  readonly maxNorm?: number | null
  readonly normType?: number
  /** Divides a row's gradient by how often it was used. */
  readonly scaleGradByFreq?: boolean
  /** Sparse gradients don't exist here: true is refused. */
  readonly sparse?: boolean
}

interface EmbeddingOptions extends TableOptions {
  /** The table itself; then nothing is drawn. */
  readonly _weight?: Tensor | null
  readonly _freeze?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

interface PretrainedOptions extends TableOptions {
  /** True, the default, keeps the table from learning. */
  readonly freeze?: boolean
}

/** The weight of a table: as given, or drawn from a normal distribution, with zeros for padding. */
function tableOf(rows: number, width: number, given: Tensor | null, freeze: boolean, dtype?: DType | null): Parameter {
  if (!given) {
    const fresh = emptyParameter([rows, width], dtype)
    if (freeze) fresh.requiresGrad_(false)
    return fresh
  }
  if (given.ndim !== 2 || given.sizes[0] !== rows || given.sizes[1] !== width) {
    throw new ValueError('Shape of weight does not match num_embeddings and embedding_dim')
  }
  return new Parameter(given, !freeze)
}

function fillPadding(weight: Parameter, padding: number | null): void {
  if (padding !== null) noGrad(() => weight.detach().select(0, padding).zero_())
}

function checkMatrix(embeddings: Tensor): void {
  if (embeddings.ndim !== 2) throw new ValueError('Embeddings parameter is expected to be 2-dimensional')
}

const floatOf = (value: number | null): string => (value === null ? 'None' : formatFloat(value))

/**
 * A table of `numEmbeddings` rows of `embeddingDim` numbers, drawn from the standard normal distribution: integer
 * indices [*] to rows [*, embeddingDim]. Throws IndexError for an index that is no row.
 */
export class Embedding extends Module {
  readonly numEmbeddings: number
  readonly embeddingDim: number
  readonly paddingIdx: number | null
  readonly maxNorm: number | null
  readonly normType: number
  readonly scaleGradByFreq: boolean
  readonly sparse: boolean
  weight: Parameter

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    ...args: Args<
      [
        paddingIdx?: number | null,
        maxNorm?: number | null,
        normType?: number,
        scaleGradByFreq?: boolean,
        sparse?: boolean,
        _weight?: Tensor | null,
        _freeze?: boolean,
      ],
      EmbeddingOptions
    >
  ) {
    super()
    const [
      rows = 0,
      width = 0,
      padding = null,
      maxNorm = null,
      normType = 2,
      byFrequency = false,
      sparse = false,
      given = null,
      freeze = false,
      ,
      dtype,
    ] = named<
      [
        number,
        number,
        number | null,
        number | null,
        number,
        boolean,
        boolean,
        Tensor | null,
        boolean,
        unknown,
        DType | null,
      ]
    >(
      'Embedding',
      'num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze, device, dtype',
      [numEmbeddings, embeddingDim, ...args],
    )
    refuseSparse('Embedding', sparse)
    this.numEmbeddings = rows
    this.embeddingDim = width
    this.paddingIdx = padding === null ? null : paddingRow(padding, rows)
    this.maxNorm = maxNorm
    this.normType = normType
    this.scaleGradByFreq = byFrequency
    this.sparse = sparse
    this.weight = tableOf(rows, width, given, freeze, dtype)
    if (!given) this.resetParameters()
  }

  /** Draws fresh rows; zeros for padding. */
  resetParameters(): void {
    normal_(this.weight)
    fillPadding(this.weight, this.paddingIdx)
  }

  forward(input: Tensor): Tensor {
    return embedding(input, this.weight, this.paddingIdx, this.maxNorm, this.normType, this.scaleGradByFreq)
  }

  override extraRepr(): string {
    const { paddingIdx, maxNorm, normType, scaleGradByFreq } = this
    const parts = [formatArguments([this.numEmbeddings, this.embeddingDim])]
    if (paddingIdx !== null) parts.push(`padding_idx=${paddingIdx}`)
    if (maxNorm !== null) parts.push(`max_norm=${floatOf(maxNorm)}`)
    if (normType !== 2) parts.push(`norm_type=${floatOf(normType)}`)
    if (scaleGradByFreq) parts.push('scale_grad_by_freq=True')
    return parts.join(', ')
  }

  /** A table with the rows of `embeddings` [rows, width], which it shares. */
  static fromPretrained(
    embeddings: Tensor,
    ...args: Args<
      [
        freeze?: boolean,
        paddingIdx?: number | null,
        maxNorm?: number | null,
        normType?: number,
        scaleGradByFreq?: boolean,
        sparse?: boolean,
      ],
      PretrainedOptions
    >
  ): Embedding {
    checkMatrix(embeddings)
    const [freeze = true, paddingIdx = null, maxNorm = null, normType = 2, scaleGradByFreq = false, sparse = false] =
      named<[boolean, number | null, number | null, number, boolean, boolean]>(
        'fromPretrained',
        'freeze, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse',
        args,
      )
    return new Embedding(embeddings.sizes[0], embeddings.sizes[1], {
      _weight: embeddings,
      _freeze: freeze,
      paddingIdx,
      maxNorm,
      normType,
      scaleGradByFreq,
      sparse,
    })
  }
}

interface EmbeddingBagOptions extends TableOptions {
  readonly mode?: BagMode
  readonly _weight?: Tensor | null
  /** The last offset is where the last bag ends. */
  readonly includeLastOffset?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

interface PretrainedBagOptions extends TableOptions {
  readonly freeze?: boolean
  readonly mode?: BagMode
  readonly includeLastOffset?: boolean
}

interface BagInputs {
  readonly offsets?: Tensor | null
  readonly perSampleWeights?: Tensor | null
}

/**
 * Means (sums, maxima) of bags of rows of a table: indices [bags, n], or a vector and `offsets` where each bag starts,
 * to [bags, embeddingDim].
 */
export class EmbeddingBag extends Module {
  readonly numEmbeddings: number
  readonly embeddingDim: number
  readonly maxNorm: number | null
  readonly normType: number
  readonly scaleGradByFreq: boolean
  readonly paddingIdx: number | null
  weight: Parameter
  readonly mode: BagMode
  readonly sparse: boolean
  readonly includeLastOffset: boolean

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    ...args: Args<
      [
        maxNorm?: number | null,
        normType?: number,
        scaleGradByFreq?: boolean,
        mode?: BagMode,
        sparse?: boolean,
        _weight?: Tensor | null,
        includeLastOffset?: boolean,
        paddingIdx?: number | null,
      ],
      EmbeddingBagOptions
    >
  ) {
    super()
    const [
      rows = 0,
      width = 0,
      maxNorm = null,
      normType = 2,
      byFrequency = false,
      mode = 'mean',
      sparse = false,
      given = null,
      last = false,
      padding = null,
      ,
      dtype,
    ] = named<
      [
        number,
        number,
        number | null,
        number,
        boolean,
        BagMode,
        boolean,
        Tensor | null,
        boolean,
        number | null,
        unknown,
        DType | null,
      ]
    >(
      'EmbeddingBag',
      'num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, mode, sparse, _weight, include_last_offset, padding_idx, device, dtype',
      [numEmbeddings, embeddingDim, ...args],
    )
    refuseSparse('EmbeddingBag', sparse)
    this.numEmbeddings = rows
    this.embeddingDim = width
    this.maxNorm = maxNorm
    this.normType = normType
    this.scaleGradByFreq = byFrequency
    this.paddingIdx = padding === null ? null : paddingRow(padding, rows)
    this.weight = tableOf(rows, width, given, false, dtype)
    if (!given) this.resetParameters()
    this.mode = mode
    this.sparse = sparse
    this.includeLastOffset = last
  }

  /** Draws fresh rows; zeros for padding. */
  resetParameters(): void {
    normal_(this.weight)
    fillPadding(this.weight, this.paddingIdx)
  }

  forward(
    input: Tensor,
    ...args: Args<[offsets?: Tensor | null, perSampleWeights?: Tensor | null], BagInputs>
  ): Tensor {
    const [offsets = null, perSampleWeights = null] = named<[Tensor | null, Tensor | null]>(
      'EmbeddingBag',
      'offsets, per_sample_weights',
      args,
    )
    return embeddingBag(
      input,
      this.weight,
      offsets,
      this.maxNorm,
      this.normType,
      this.scaleGradByFreq,
      this.mode,
      this.sparse,
      perSampleWeights,
      this.includeLastOffset,
      this.paddingIdx,
    )
  }

  override extraRepr(): string {
    const { maxNorm, normType, scaleGradByFreq, mode, paddingIdx } = this
    const parts = [formatArguments([this.numEmbeddings, this.embeddingDim])]
    if (maxNorm !== null) parts.push(`max_norm=${floatOf(maxNorm)}`)
    if (normType !== 2) parts.push(`norm_type=${floatOf(normType)}`)
    if (scaleGradByFreq) parts.push('scale_grad_by_freq=True')
    parts.push(`mode='${mode}'`)
    if (paddingIdx !== null) parts.push(`padding_idx=${paddingIdx}`)
    return parts.join(', ')
  }

  /** Bags of the rows of `embeddings` [rows, width], which are shared. */
  static fromPretrained(
    embeddings: Tensor,
    ...args: Args<
      [
        freeze?: boolean,
        maxNorm?: number | null,
        normType?: number,
        scaleGradByFreq?: boolean,
        mode?: BagMode,
        sparse?: boolean,
        includeLastOffset?: boolean,
        paddingIdx?: number | null,
      ],
      PretrainedBagOptions
    >
  ): EmbeddingBag {
    checkMatrix(embeddings)
    const [
      freeze = true,
      maxNorm = null,
      normType = 2,
      scaleGradByFreq = false,
      mode = 'mean',
      sparse = false,
      includeLastOffset = false,
      paddingIdx = null,
    ] = named<[boolean, number | null, number, boolean, BagMode, boolean, boolean, number | null]>(
      'fromPretrained',
      'freeze, max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset, padding_idx',
      args,
    )
    const bag = new EmbeddingBag(embeddings.sizes[0], embeddings.sizes[1], {
      _weight: embeddings,
      maxNorm,
      normType,
      scaleGradByFreq,
      mode,
      sparse,
      includeLastOffset,
      paddingIdx,
    })
    bag.weight.requiresGrad_(!freeze)
    return bag
  }
}
