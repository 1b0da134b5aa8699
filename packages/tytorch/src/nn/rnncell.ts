// Single steps of recurrent networks: RNNCell, LSTMCell and GRUCell.
import type { DType } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { zeros } from '../ops/create.ts'
import { gruCell, lstmCell, rnnReluCell, rnnTanhCell } from '../ops/recurrent.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { uniform_ } from './init.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

export interface CellOptions {
  /** False leaves the additive terms out. */
  readonly bias?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

export interface RNNCellOptions extends CellOptions {
  readonly nonlinearity?: 'tanh' | 'relu'
}

/** What the cells share: weights drawn from +-1 / sqrt(H). */
export abstract class RNNCellBase extends Module {
  readonly inputSize: number
  readonly hiddenSize: number
  readonly bias: boolean
  weightIh: Parameter
  weightHh: Parameter
  biasIh: Parameter | null
  biasHh: Parameter | null

  constructor(inputSize: number, hiddenSize: number, bias: boolean, numChunks: number, dtype?: DType | null) {
    super()
    this.inputSize = inputSize
    this.hiddenSize = hiddenSize
    this.bias = bias
    const rows = numChunks * hiddenSize
    this.weightIh = emptyParameter([rows, inputSize], dtype)
    this.weightHh = emptyParameter([rows, hiddenSize], dtype)
    this.biasIh = bias ? emptyParameter([rows], dtype) : null
    this.biasHh = bias ? emptyParameter([rows], dtype) : null
    this.resetParameters()
  }

  /** Draws fresh weights. */
  resetParameters(): void {
    const bound = this.hiddenSize > 0 ? 1 / Math.sqrt(this.hiddenSize) : 0
    for (const weight of this.parameters()) uniform_(weight, -bound, bound)
  }

  /** Input and states as matrices, zeros for absent states; `count` of them. */
  protected prepare(input: Tensor, given: readonly Tensor[] | null, count: number): [Tensor, Tensor[]] {
    const name = this.constructor.name
    if (input.ndim !== 1 && input.ndim !== 2) {
      throw new ValueError(`${name}: Expected input to be 1D or 2D, got ${input.ndim}D instead`)
    }
    for (const [i, state] of given?.entries() ?? []) {
      if (state.ndim === 1 || state.ndim === 2) continue
      const what = count === 2 ? `hx[${i}]` : 'hidden'
      throw new ValueError(`${name}: Expected ${what} to be 1D or 2D, got ${state.ndim}D instead`)
    }
    const batched = input.ndim === 2
    const x = batched ? input : input.unsqueeze(0)
    if (!given) {
      const none = zeros([x.sizes[0], this.hiddenSize], { dtype: input.dtype })
      return [x, Array<Tensor>(count).fill(none)]
    }
    return [x, batched ? [...given] : given.map((state) => state.unsqueeze(0))]
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.bias ? '' : ', bias=False'}`
  }
}

type CellArgs = Args<[bias?: boolean], CellOptions>
const SIGNATURE = 'input_size, hidden_size, bias, device, dtype'

/** One step of an Elman network, h' = tanh(W x + b + V h + c), on [N, F] or [F]. */
export class RNNCell extends RNNCellBase {
  readonly nonlinearity: 'tanh' | 'relu'

  constructor(
    inputSize: number,
    hiddenSize: number,
    ...rest: Args<[bias?: boolean, nonlinearity?: 'tanh' | 'relu'], RNNCellOptions>
  ) {
    const [, , bias = true, nonlinearity = 'tanh', , dtype] = named<
      [number, number, boolean, 'tanh' | 'relu', unknown, DType | null]
    >('RNNCell', 'input_size, hidden_size, bias, nonlinearity, device, dtype', [inputSize, hiddenSize, ...rest])
    super(inputSize, hiddenSize, bias, 1, dtype)
    this.nonlinearity = nonlinearity
  }

  forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const [x, [h]] = this.prepare(input, hx && [hx], 1)
    if (this.nonlinearity !== 'tanh' && this.nonlinearity !== 'relu') {
      throw new RuntimeError(`Unknown nonlinearity: ${this.nonlinearity}`)
    }
    const cell = this.nonlinearity === 'tanh' ? rnnTanhCell : rnnReluCell
    const next = cell(x, h, this.weightIh, this.weightHh, this.biasIh, this.biasHh)
    return input.ndim === 2 ? next : next.squeeze(0)
  }

  override extraRepr(): string {
    return `${super.extraRepr()}${this.nonlinearity === 'tanh' ? '' : `, nonlinearity=${this.nonlinearity}`}`
  }
}

/** One step of an LSTM on [N, F] or [F]; takes and answers the states [h, c]. */
export class LSTMCell extends RNNCellBase {
  constructor(inputSize: number, hiddenSize: number, ...rest: CellArgs) {
    const given = [inputSize, hiddenSize, ...rest]
    const [, , bias = true, , dtype] = named<[number, number, boolean, unknown, DType]>('LSTMCell', SIGNATURE, given)
    super(inputSize, hiddenSize, bias, 4, dtype)
  }

  forward(input: Tensor, hx: readonly [Tensor, Tensor] | null = null): [Tensor, Tensor] {
    const [x, states] = this.prepare(input, hx, 2)
    const [h, c] = lstmCell(x, states, this.weightIh, this.weightHh, this.biasIh, this.biasHh)
    return input.ndim === 2 ? [h, c] : [h.squeeze(0), c.squeeze(0)]
  }
}

/** One step of a gated recurrent unit on [N, F] or [F]. */
export class GRUCell extends RNNCellBase {
  constructor(inputSize: number, hiddenSize: number, ...rest: CellArgs) {
    const given = [inputSize, hiddenSize, ...rest]
    const [, , bias = true, , dtype] = named<[number, number, boolean, unknown, DType]>('GRUCell', SIGNATURE, given)
    super(inputSize, hiddenSize, bias, 3, dtype)
  }

  forward(input: Tensor, hx: Tensor | null = null): Tensor {
    const [x, [h]] = this.prepare(input, hx && [hx], 1)
    const next = gruCell(x, h, this.weightIh, this.weightHh, this.biasIh, this.biasHh)
    return input.ndim === 2 ? next : next.squeeze(0)
  }
}
