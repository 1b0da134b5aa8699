// Recurrent networks over whole sequences and single steps: lstm, gru, rnnTanh, rnnRelu and their cells, as PyTorch's
// functions of these names. https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
import { RuntimeError } from '../base/errors.ts'
import { formatList } from '../base/format.ts'
import { op } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { dropout as dropoutOf } from './dropout.ts'
import { cat, stack } from './join.ts'
import type { Mode } from './recurrentkernels.ts'
import { runLayer, type Weights } from './recurrentlayer.ts'
import { unbind } from './slice.ts'
import { reshape, transpose, view } from './view.ts'

interface Network {
  readonly mode: Mode
  /** [rows, F], the rows of each step together. */
  readonly input: Tensor
  /** How many rows each step has. */
  readonly batches: readonly number[]
  /** [layers * directions, N, H]. */
  readonly h0: Tensor
  readonly c0: Tensor | null
  readonly params: readonly Tensor[]
  readonly hasBiases: boolean
  readonly numLayers: number
  readonly dropout: number
  readonly train: boolean
  readonly bidirectional: boolean
}

interface Ran {
  /** [rows, directions * H]. */
  readonly output: Tensor
  readonly h: Tensor
  readonly c: Tensor | null
}

/** The weights of each layer and direction, from the flat list. */
function weightsOf(params: readonly Tensor[], each: number, hasBiases: boolean): Weights[] {
  const found: Weights[] = []
  for (let at = 0; at < params.length; at += each) {
    const [weightIh, weightHh, ...rest] = params.slice(at, at + each)
    const [biasIh, biasHh] = hasBiases ? rest : [null, null]
    found.push({ weightIh, weightHh, biasIh, biasHh, weightHr: rest[hasBiases ? 2 : 0] ?? null })
  }
  return found
}

function runNetwork(net: Network, shapeOf: (x: Tensor) => Tensor, flat: (x: Tensor) => Tensor): Ran {
  const { mode, batches, h0, c0, params, hasBiases, numLayers, dropout, train, bidirectional } = net
  if (batches.length === 0) throw new RuntimeError('Expected sequence length to be larger than 0 in RNN')
  if (train && dropout > 0 && !(dropout <= 1)) throw new RuntimeError('dropout probability has to be between 0 and 1')
  const directions = bidirectional ? 2 : 1
  const runs = numLayers * directions
  const projected = c0 !== null && c0.sizes[2] !== h0.sizes[2]
  const each = (hasBiases ? 4 : 2) + (projected ? 1 : 0)
  if (params.length !== runs * each) {
    throw new RuntimeError(
      `got an incorrect number of RNN parameters: ${params.length}, expected ${runs * each} (${each} for each of ${numLayers} layers and ${directions} directions)`,
    )
  }
  const weights = weightsOf(params, each, hasBiases)
  const hs = unbind(h0, 0)
  const cs = c0 && unbind(c0, 0)
  const lastH: Tensor[] = []
  const lastC: Tensor[] = []
  let x = net.input
  for (let layer = 0; layer < numLayers; layer++) {
    const outputs: Tensor[] = []
    for (let direction = 0; direction < directions; direction++) {
      const at = layer * directions + direction
      const { output, h, c } = runLayer(mode, x, batches, hs[at], cs?.[at] ?? null, weights[at], direction === 1)
      outputs.push(output)
      lastH.push(h)
      if (c) lastC.push(c)
    }
    x = directions === 1 ? outputs[0] : cat(outputs, 1)
    if (dropout > 0 && train && layer < numLayers - 1) x = flat(dropoutOf(shapeOf(x), dropout, true))
  }
  return { output: x, h: stack(lastH), c: c0 && stack(lastC) }
}

/** A sequence network's own arguments, after its states and weights. */
type Rest = [
  hasBiases: boolean,
  numLayers: number,
  dropout: number,
  train: boolean,
  bidirectional: boolean,
  batchFirst?: boolean,
]

function network(
  mode: Mode,
  first: Tensor,
  states: readonly Tensor[],
  params: readonly Tensor[],
  rest: Rest,
  batchSizes: Tensor | null,
): Ran {
  const [hasBiases, numLayers, dropout, train, bidirectional, batchFirst = false] = rest
  const common = {
    mode,
    h0: states[0],
    c0: states[1] ?? null,
    params,
    hasBiases,
    numLayers,
    dropout,
    train,
    bidirectional,
  }
  const same = (x: Tensor): Tensor => x
  if (batchSizes) return runNetwork({ ...common, input: first, batches: batchSizes.tolist() as number[] }, same, same)
  if (first.ndim !== 3) throw new RuntimeError(`input must have 3 dimensions, got ${first.ndim}`)
  const x = batchFirst ? transpose(first, 0, 1) : first
  const [steps, n, features] = x.sizes
  const batches = new Array<number>(steps).fill(n)
  const rows = (x: Tensor): Tensor => reshape(x, [steps * n, x.sizes[2]])
  const { output, h, c } = runNetwork(
    { ...common, input: reshape(x, [steps * n, features]), batches },
    (x) => view(x, [steps, n, x.sizes[1]]),
    rows,
  )
  const shaped = view(output, [steps, n, output.sizes[1]])
  return { output: batchFirst ? transpose(shaped, 0, 1) : shaped, h, c }
}

const SEQUENCE = 'input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first'

type Lstm = (
  ...args:
    | [input: Tensor, hx: readonly Tensor[], params: readonly Tensor[], ...rest: Rest]
    | [data: Tensor, batchSizes: Tensor, hx: readonly Tensor[], params: readonly Tensor[], ...rest: Rest]
) => [Tensor, Tensor, Tensor]

/**
 * A long short-term memory network over [T, N, F] (or [N, T, F] with `batchFirst`) from states [h0, c0] of
 * [layers * directions, N, H]; or over packed data and its batch sizes. Answers outputs, h and c after the last step.
 * `params` are weightIh, weightHh, biasIh, biasHh (weightHr) of each layer and direction.
 */
export const lstm: Lstm = op({
  name: 'lstm',
  signature: SEQUENCE,
  differentiable: true,
  samples: (t) => [
    [t(2, 1, 1), [t(1, 1, 1), t(1, 1, 1)], [t(4, 1), t(4, 1), t(4), t(4)], true, 1, 0, false, false, false],
    [t(1, 1, 2), [t(1, 1, 1), t(1, 1, 2)], [t(8, 2), t(8, 1), t(1, 2)], false, 1, 0, false, false, false],
  ],
  forward: (...args: unknown[]) => {
    const packed = args[1] instanceof Tensor
    const [input, hx, params, ...rest] = (packed ? [args[0], ...args.slice(2)] : args) as [Tensor, Tensor[], Tensor[]]
    const batchSizes = packed ? (args[1] as Tensor) : null
    if (hx.length !== 2) throw new RuntimeError('lstm expects two hidden states')
    const { output, h, c } = network('LSTM', input, hx, params, rest as unknown as Rest, batchSizes)
    return [output, h, c as Tensor]
  },
})

type Simple = (
  ...args:
    | [input: Tensor, hx: Tensor, params: readonly Tensor[], ...rest: Rest]
    | [data: Tensor, batchSizes: Tensor, hx: Tensor, params: readonly Tensor[], ...rest: Rest]
) => [Tensor, Tensor]

function simple(name: string, mode: Mode, gates: number): Simple {
  return op({
    name,
    signature: SEQUENCE,
    differentiable: true,
    samples: (t) => [
      [t(2, 1, 1), t(1, 1, 1), [t(gates, 1), t(gates, 1), t(gates), t(gates)], true, 1, 0, false, false],
      [t(1, 2, 1), t(2, 1, 1), [t(gates, 1), t(gates, 1), t(gates, 1), t(gates, 1)], false, 1, 0, false, true, true],
    ],
    forward: (...args: unknown[]) => {
      const packed = args[2] instanceof Tensor
      const [input, hx, params, ...rest] = (packed ? [args[0], ...args.slice(2)] : args) as [Tensor, Tensor, Tensor[]]
      const batchSizes = packed ? (args[1] as Tensor) : null
      const { output, h } = network(mode, input, [hx], params, rest as unknown as Rest, batchSizes)
      return [output, h]
    },
  })
}

/** As `lstm` for gated recurrent units, which have one state, h. */
export const gru: Simple = simple('gru', 'GRU', 3)
/** As `gru` for h' = tanh(W x + b + V h + c). */
export const rnnTanh: Simple = simple('rnnTanh', 'RNN_TANH', 1)
/** As `rnnTanh` with relu for tanh. */
export const rnnRelu: Simple = simple('rnnRelu', 'RNN_RELU', 1)

function checkCell(input: Tensor, h: Tensor, hidden: number, weights: Weights, label = ''): void {
  const features = weights.weightIh.sizes[1]
  if (input.sizes[1] !== features) {
    throw new RuntimeError(`input has inconsistent input_size: got ${input.sizes[1]} expected ${features}`)
  }
  if (input.sizes[0] !== h.sizes[0]) {
    throw new RuntimeError(`Input batch size ${input.sizes[0]} doesn't match hidden${label} batch size ${h.sizes[0]}`)
  }
  if (h.sizes[1] !== hidden) {
    throw new RuntimeError(`hidden${label} has inconsistent hidden_size: got ${h.sizes[1]}, expected ${hidden}`)
  }
}

function step(mode: Mode, input: Tensor, h: Tensor, c: Tensor | null, params: readonly (Tensor | null | undefined)[]) {
  const [weightIh, weightHh, biasIh = null, biasHh = null] = params as [Tensor, Tensor, Tensor?, Tensor?]
  const weights = { weightIh, weightHh, biasIh, biasHh, weightHr: null }
  if (input.ndim !== 2 || h.ndim !== 2) {
    throw new RuntimeError(`a cell takes matrices, but got sizes ${formatList(input.sizes)} and ${formatList(h.sizes)}`)
  }
  const hidden = weightHh.sizes[1]
  checkCell(input, h, hidden, weights, c ? '0' : '')
  if (c) checkCell(input, c, hidden, weights, '1')
  return runLayer(mode, input, [input.sizes[0]], h, c, weights, false)
}

const CELL = 'input, hx, w_ih, w_hh, b_ih, b_hh'

type LstmCell = (
  input: Tensor,
  hx: readonly Tensor[],
  wIh: Tensor,
  wHh: Tensor,
  bIh?: Tensor | null,
  bHh?: Tensor | null,
) => [Tensor, Tensor]

/** One step of an LSTM: from [N, F] and states [h, c] of [N, H] to the next [h, c]. */
export const lstmCell: LstmCell = op({
  name: 'lstmCell',
  signature: CELL,
  differentiable: true,
  samples: (t) => [[t(2, 1), [t(2, 1), t(2, 1)], t(4, 1), t(4, 1), t(4), t(4)]],
  forward: (input: Tensor, hx: readonly Tensor[], ...params: (Tensor | null | undefined)[]) => {
    if (hx.length !== 2) throw new RuntimeError('lstm_cell expects two hidden states')
    const { h, c } = step('LSTM', input, hx[0], hx[1], params)
    return [h, c as Tensor]
  },
})

type Cell = (input: Tensor, hx: Tensor, wIh: Tensor, wHh: Tensor, bIh?: Tensor | null, bHh?: Tensor | null) => Tensor

const cell = (name: string, mode: Mode, gates: number): Cell =>
  op({
    name,
    signature: CELL,
    lastNode: { GRU: 'AddBackward0', RNN_TANH: 'TanhBackward0', RNN_RELU: 'ReluBackward0', LSTM: undefined }[mode],
    differentiable: true,
    samples: (t) => [
      [t(2, 1), t(2, 1), t(gates, 1), t(gates, 1), t(gates), t(gates)],
      [t(1, 2), t(1, 1), t(gates, 2), t(gates, 1)],
    ],
    forward: (input: Tensor, hx: Tensor, ...params: (Tensor | null | undefined)[]) =>
      step(mode, input, hx, null, params).h,
  })

/** One step of a gated recurrent unit: from [N, F] and h [N, H] to the next h. */
export const gruCell: Cell = cell('gruCell', 'GRU', 3)
/** tanh(W x + b + V h + c). */
export const rnnTanhCell: Cell = cell('rnnTanhCell', 'RNN_TANH', 1)
/** relu(W x + b + V h + c). */
export const rnnReluCell: Cell = cell('rnnReluCell', 'RNN_RELU', 1)
