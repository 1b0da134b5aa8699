// Recurrent layers: RNN, LSTM and GRU, with PyTorch's weights, names and errors.
import type { DType } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { formatFloat, formatList } from '../base/format.ts'
import { zeros } from '../ops/create.ts'
import { indexSelect } from '../ops/gather.ts'
import { gru, lstm, rnnRelu, rnnTanh } from '../ops/recurrent.ts'
import { GATES, type Mode } from '../ops/recurrentkernels.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { uniform_ } from './init.ts'
import { Module } from './module.ts'
import { PackedSequence } from './packed.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

/** What all recurrent layers take. */
export interface RNNBaseOptions {
  readonly numLayers?: number
  /** False leaves the additive terms out. */
  readonly bias?: boolean
  /** Input and output are [N, T, F] instead of [T, N, F]. */
  readonly batchFirst?: boolean
  /** The probability of a zero in the outputs of all layers but the last, while training. */
  readonly dropout?: number
  /** Runs a second time from the end, with weights of its own. */
  readonly bidirectional?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

export interface LSTMOptions extends RNNBaseOptions {
  /** Projects h to so many features; 0 doesn't. */
  readonly projSize?: number
}

export interface RNNOptions extends RNNBaseOptions {
  readonly nonlinearity?: 'tanh' | 'relu'
}

type BaseArgs = [
  inputSize: number,
  hiddenSize: number,
  numLayers: number,
  bias: boolean,
  batchFirst: boolean,
  dropout: number,
  bidirectional: boolean,
  projSize: number,
  device: unknown,
  dtype: DType | null,
]

const SIGNATURE =
  'input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype'

const pythonType = (value: unknown): string =>
  typeof value === 'number'
    ? Number.isInteger(value)
      ? 'int'
      : 'float'
    : typeof value === 'string'
      ? 'str'
      : typeof value

function checkOptions(inputSize: number, hiddenSize: number, layers: number, dropout: number, projSize: number): void {
  if (typeof dropout !== 'number' || !(dropout >= 0 && dropout <= 1)) {
    throw new ValueError(
      'dropout should be a number in range [0, 1] representing the probability of an element being zeroed',
    )
  }
  if (dropout > 0 && layers === 1) {
    console.warn(
      `UserWarning: dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, but got dropout=${dropout} and num_layers=1`,
    )
  }
  for (const [name, size] of [
    ['input_size', inputSize],
    ['hidden_size', hiddenSize],
  ] as const) {
    if (!Number.isInteger(size)) throw new TypeError(`${name} should be of type int, got: ${pythonType(size)}`)
    if (size <= 0) throw new ValueError(`${name} must be greater than zero`)
  }
  if (layers <= 0) throw new ValueError('num_layers must be greater than zero')
  if (projSize < 0) throw new ValueError('proj_size should be a positive integer or zero to disable projections')
  if (projSize >= hiddenSize) throw new ValueError('proj_size has to be smaller than hidden_size')
}

/** What RNN, LSTM and GRU share: weights `weightIhL0`, `weightHhL0`, `biasIhL0`, ..., drawn from +-1 / sqrt(H). */
export abstract class RNNBase extends Module {
  readonly mode: Mode
  readonly inputSize: number
  readonly hiddenSize: number
  readonly numLayers: number
  readonly bias: boolean
  readonly batchFirst: boolean
  dropout: number
  readonly bidirectional: boolean
  readonly projSize: number
  /** Names of the weights by layer and direction. */
  readonly #names: string[][] = []

  constructor(mode: Mode, ...args: Args<[inputSize: number, hiddenSize: number], LSTMOptions> | Partial<BaseArgs>) {
    super()
    const [
      inputSize = Number.NaN,
      hiddenSize = Number.NaN,
      numLayers = 1,
      bias = true,
      batchFirst = false,
      dropout = 0,
      bidirectional = false,
      projSize = 0,
      ,
      dtype,
    ] = named<BaseArgs>(new.target.name, SIGNATURE, args)
    checkOptions(inputSize, hiddenSize, numLayers, dropout, projSize)
    this.mode = mode
    this.inputSize = inputSize
    this.hiddenSize = hiddenSize
    this.numLayers = numLayers
    this.bias = bias
    this.batchFirst = batchFirst
    this.dropout = dropout
    this.bidirectional = bidirectional
    this.projSize = projSize
    const rows = GATES[mode] * hiddenSize
    for (let layer = 0; layer < numLayers; layer++) {
      const features = layer === 0 ? inputSize : this.#outputSize * this.#directions
      for (let direction = 0; direction < this.#directions; direction++) {
        const suffix = `L${layer}${direction === 1 ? 'Reverse' : ''}`
        const sizes: [string, number[]][] = [
          [`weightIh${suffix}`, [rows, features]],
          [`weightHh${suffix}`, [rows, this.#outputSize]],
        ]
        if (bias) sizes.push([`biasIh${suffix}`, [rows]], [`biasHh${suffix}`, [rows]])
        if (projSize > 0) sizes.push([`weightHr${suffix}`, [projSize, hiddenSize]])
        for (const [name, size] of sizes) this.registerParameter(name, emptyParameter(size, dtype))
        this.#names.push(sizes.map(([name]) => name))
      }
    }
    this.resetParameters()
  }

  get #directions(): number {
    return this.bidirectional ? 2 : 1
  }

  get #outputSize(): number {
    return this.projSize > 0 ? this.projSize : this.hiddenSize
  }

  /** The weights of each layer and direction. */
  get allWeights(): Parameter[][] {
    const own = this as unknown as Record<string, Parameter>
    return this.#names.map((names) => names.map((name) => own[name]))
  }

  /** Draws fresh weights. */
  resetParameters(): void {
    const bound = 1 / Math.sqrt(this.hiddenSize)
    for (const weight of this.parameters()) uniform_(weight, -bound, bound)
  }

  /** Does nothing: weights lie as the kernels want them already. */
  flattenParameters(): void {}

  /** The size that h must have (`cell`: that c must have). */
  #stateSize(n: number, cell: boolean): number[] {
    return [this.numLayers * this.#directions, n, cell ? this.hiddenSize : this.#outputSize]
  }

  #checkInput(input: Tensor, dim: number): void {
    const { dtype } = this.allWeights[0][0]
    if (input.dtype !== dtype) {
      throw new ValueError(
        `RNN input dtype (${input.dtype}) does not match weight dtype (${dtype}). Convert input: input.to(${dtype}), or convert model: model.to(${input.dtype})`,
      )
    }
    if (input.ndim !== dim) throw new RuntimeError(`input must have ${dim} dimensions, got ${input.ndim}`)
    const last = input.sizes[input.ndim - 1]
    if (last !== this.inputSize) {
      throw new RuntimeError(`input.size(-1) must be equal to input_size. Expected ${this.inputSize}, got ${last}`)
    }
  }

  #checkStates(states: readonly Tensor[], n: number): void {
    for (const [i, state] of states.entries()) {
      const expected = this.#stateSize(n, i === 1)
      if (state.sizes.join() === expected.join()) continue
      const name = this.mode === 'LSTM' ? `hidden[${i}]` : 'hidden'
      throw new RuntimeError(`Expected ${name} size (${expected.join(', ')}), got ${formatList(state.sizes)}`)
    }
  }

  #checkRanks(states: readonly Tensor[], batched: boolean): void {
    const rank = batched ? 3 : 2
    if (states.every((state) => state.ndim === rank)) return
    const kind = batched ? 'batched 3-D' : 'unbatched 2-D'
    throw new RuntimeError(
      this.mode === 'LSTM'
        ? `For ${kind} input, hx and cx should also be ${rank}-D but got (${states[0].ndim}-D, ${states[1].ndim}-D) tensors`
        : `For ${kind} input, hx should also be ${rank}-D but got ${states[0].ndim}-D tensor`,
    )
  }

  #call(input: Tensor, batchSizes: Tensor | null, states: readonly Tensor[]): Tensor[] {
    const { mode, bias, numLayers, dropout, training, bidirectional, batchFirst } = this
    const weights = this.allWeights.flat()
    const rest = [bias, numLayers, dropout, training, bidirectional] as const
    if (mode === 'LSTM') {
      if (batchSizes) return lstm(input, batchSizes, states, weights, ...rest)
      return lstm(input, states, weights, ...rest, batchFirst)
    }
    const network = mode === 'GRU' ? gru : mode === 'RNN_TANH' ? rnnTanh : rnnRelu
    if (batchSizes) return network(input, batchSizes, states[0], weights, ...rest)
    return network(input, states[0], weights, ...rest, batchFirst)
  }

  #zeros(input: Tensor, n: number): Tensor[] {
    const { dtype } = input
    const h = zeros(this.#stateSize(n, false), { dtype })
    return this.mode === 'LSTM' ? [h, zeros(this.#stateSize(n, true), { dtype })] : [h]
  }

  /** Outputs and the states after the last step, from the states given or zeros. */
  protected run(input: Tensor | PackedSequence, given: readonly Tensor[] | null): [Tensor | PackedSequence, Tensor[]] {
    if (input instanceof PackedSequence) {
      const { data, batchSizes, sortedIndices, unsortedIndices } = input
      const n = batchSizes.at(0).item()
      const ordered = (x: Tensor, order: Tensor | null): Tensor => (order ? indexSelect(x, 1, order) : x)
      const states = given?.map((state) => ordered(state, sortedIndices)) ?? this.#zeros(data, n)
      this.#checkInput(data, 2)
      this.#checkStates(states, n)
      const [output, ...last] = this.#call(data, batchSizes, states)
      const packed = new PackedSequence(output, batchSizes, sortedIndices, unsortedIndices)
      return [packed, last.map((state) => ordered(state, unsortedIndices))]
    }
    if (input.ndim !== 2 && input.ndim !== 3) {
      throw new ValueError(
        `${this.constructor.name}: Expected input to be 2D or 3D, got ${input.ndim}D ${this.constructor.name === 'RNN' ? 'tensor ' : ''}instead`,
      )
    }
    const batched = input.ndim === 3
    const place = this.batchFirst ? 0 : 1
    const x = batched ? input : input.unsqueeze(place)
    const n = x.sizes[place]
    if (given) this.#checkRanks(given, batched)
    const states = given ? (batched ? given : given.map((state) => state.unsqueeze(1))) : this.#zeros(x, n)
    this.#checkInput(x, 3)
    this.#checkStates(states, n)
    const [output, ...last] = this.#call(x, null, states)
    return batched ? [output, last] : [output.squeeze(place), last.map((state) => state.squeeze(1))]
  }

  override extraRepr(): string {
    const parts = [`${this.inputSize}, ${this.hiddenSize}`]
    if (this.projSize !== 0) parts.push(`proj_size=${this.projSize}`)
    if (this.numLayers !== 1) parts.push(`num_layers=${this.numLayers}`)
    if (!this.bias) parts.push('bias=False')
    if (this.batchFirst) parts.push('batch_first=True')
    if (this.dropout !== 0) parts.push(`dropout=${formatFloat(this.dropout)}`)
    if (this.bidirectional) parts.push('bidirectional=True')
    return parts.join(', ')
  }
}

function refuseProjection(args: readonly unknown[]): void {
  const last = args[args.length - 1]
  if (typeof last === 'object' && last !== null && 'projSize' in last) {
    throw new ValueError('proj_size argument is only supported for LSTM, not RNN or GRU')
  }
}

type Sizes = [inputSize: number, hiddenSize: number]
type Common = [bias?: boolean, batchFirst?: boolean, dropout?: number, bidirectional?: boolean]

export interface RNN {
  (input: Tensor, hx?: Tensor | null): [Tensor, Tensor]
  (input: PackedSequence, hx?: Tensor | null): [PackedSequence, Tensor]
}

/**
 * An Elman network, h' = tanh(W x + b + V h + c), of one or more layers over [T, N, F] or [T, F]. Answers the outputs
 * and the last h, [layers * directions, N, H]; takes such an h to start with.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: calls keep the kind of the input
export class RNN extends RNNBase {
  readonly nonlinearity: 'tanh' | 'relu'

  constructor(
    ...args:
      | [...Sizes, numLayers?: number, nonlinearity?: 'tanh' | 'relu', ...rest: Args<Common, RNNOptions>]
      | [...Sizes, numLayers: number, options: RNNOptions]
      | [...Sizes, options: RNNOptions]
  ) {
    refuseProjection(args)
    type Given = [number, number, number, 'tanh' | 'relu', boolean, boolean, number, boolean, unknown, DType | null]
    const [inputSize, hiddenSize, numLayers, nonlinearity = 'tanh', bias, batchFirst, dropout, bidirectional, , dtype] =
      named<Given>('RNN', SIGNATURE.replace('num_layers', 'num_layers, nonlinearity').replace(' proj_size,', ''), args)
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') {
      throw new ValueError(`Unknown nonlinearity '${nonlinearity}'. Select from 'tanh' or 'relu'.`)
    }
    super(
      nonlinearity === 'tanh' ? 'RNN_TANH' : 'RNN_RELU',
      ...([inputSize, hiddenSize, numLayers, bias, batchFirst, dropout, bidirectional, 0, null, dtype] as BaseArgs),
    )
    this.nonlinearity = nonlinearity
  }

  forward<X extends Tensor | PackedSequence>(input: X, hx: Tensor | null = null): [X, Tensor] {
    const [output, [h]] = this.run(input, hx && [hx])
    return [output as X, h]
  }
}

export interface LSTM {
  (input: Tensor, hx?: readonly [Tensor, Tensor] | null): [Tensor, [Tensor, Tensor]]
  (input: PackedSequence, hx?: readonly [Tensor, Tensor] | null): [PackedSequence, [Tensor, Tensor]]
}

/**
 * A long short-term memory network of one or more layers over [T, N, F] or [T, F]. Answers the outputs and the last
 * states [h, c], each [layers * directions, N, H]; takes such states to start with.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: calls keep the kind of the input
export class LSTM extends RNNBase {
  constructor(
    ...args:
      | [...Sizes, numLayers?: number, ...rest: Args<[...Common, projSize?: number], LSTMOptions>]
      | [...Sizes, options: LSTMOptions]
  ) {
    super('LSTM', ...(args as unknown as BaseArgs))
  }

  forward<X extends Tensor | PackedSequence>(
    input: X,
    hx: readonly [Tensor, Tensor] | null = null,
  ): [X, [Tensor, Tensor]] {
    const [output, [h, c]] = this.run(input, hx)
    return [output as X, [h, c]]
  }
}

export interface GRU {
  (input: Tensor, hx?: Tensor | null): [Tensor, Tensor]
  (input: PackedSequence, hx?: Tensor | null): [PackedSequence, Tensor]
}

/**
 * Gated recurrent units in one or more layers over [T, N, F] or [T, F]: the outputs and the last h, [layers *
 * directions, N, H]; takes such an h to start with. The reset gate is applied after the product with h, which differs
 * from the original paper.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: calls keep the kind of the input
export class GRU extends RNNBase {
  constructor(
    ...args: [...Sizes, numLayers?: number, ...rest: Args<Common, RNNBaseOptions>] | [...Sizes, options: RNNBaseOptions]
  ) {
    refuseProjection(args)
    super('GRU', ...(args as unknown as BaseArgs))
  }

  forward<X extends Tensor | PackedSequence>(input: X, hx: Tensor | null = null): [X, Tensor] {
    const [output, [h]] = this.run(input, hx && [hx])
    return [output as X, h]
  }
}
