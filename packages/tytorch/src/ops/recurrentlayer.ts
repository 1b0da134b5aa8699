// One direction of one recurrent layer over a whole sequence: one product for all inputs, then a product and a kernel a
// step. Packed sequences, projections and small floats are composed of other ops, and so are gradients of gradients.
import { float32, float64 } from '../base/dtype.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { recordAll } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { add, mul, sub } from './arithmetic.ts'
import { relu } from './compare.ts'
import { clone, contiguous } from './copy.ts'
import { zerosLike } from './create.ts'
import { grad } from './graph.ts'
import { cat } from './join.ts'
import { linear, mm } from './linear.ts'
import { GATES, type Mode, runStep } from './recurrentkernels.ts'
import { sum } from './reduce.ts'
import { chunk, narrow, split } from './slice.ts'
import { sigmoid, tanh } from './unary.ts'
import { transpose, viewAs } from './view.ts'

/** A direction's weights, named as in its module. */
export interface Weights {
  readonly weightIh: Tensor
  readonly weightHh: Tensor
  readonly biasIh: Tensor | null
  readonly biasHh: Tensor | null
  /** LSTM only: [projection, hidden]. */
  readonly weightHr: Tensor | null
}

/** What a direction answers: outputs of all steps, [rows, H], and the states after the last, [N, H]. */
export interface Run {
  readonly output: Tensor
  readonly h: Tensor
  /** LSTM only. */
  readonly c: Tensor | null
}

/** The state after a step whose inputs gave `gates`. */
function composedStep(mode: Mode, gates: Tensor, h: Tensor, c: Tensor | null, w: Weights): [Tensor, Tensor | null] {
  const own = linear(h, w.weightHh, w.biasHh)
  if (mode === 'RNN_TANH') return [tanh(add(gates, own)), null]
  if (mode === 'RNN_RELU') return [relu(add(gates, own)), null]
  if (mode === 'GRU') {
    const [ir, iz, inew] = chunk(gates, 3, 1)
    const [hr, hz, hn] = chunk(own, 3, 1)
    const z = sigmoid(add(iz, hz))
    const fresh = tanh(add(inew, mul(sigmoid(add(ir, hr)), hn)))
    return [add(mul(sub(h, fresh), z), fresh), null]
  }
  const [i, f, g, o] = chunk(add(gates, own), 4, 1)
  const after = add(mul(sigmoid(f), c as Tensor), mul(sigmoid(i), tanh(g)))
  const out = mul(sigmoid(o), tanh(after))
  return [w.weightHr ? linear(out, w.weightHr) : out, after]
}

/** Runs over `x` [rows, F], whose steps have `batches[t]` rows each, in other ops. */
function composed(
  mode: Mode,
  x: Tensor,
  batches: readonly number[],
  h0: Tensor,
  c0: Tensor | null,
  w: Weights,
  reverse: boolean,
): Run {
  const pieces = split(linear(x, w.weightIh, w.biasIh), [...batches], 0)
  const outputs: Tensor[] = new Array(batches.length)
  let h = h0
  let c = c0
  const n = h0.sizes[0]
  // Shorter sequences keep the state that they ended with, or (in reverse) begin with.
  const kept = (next: Tensor, before: Tensor): Tensor => {
    const rows = next.sizes[0]
    return rows === n ? next : cat([next, narrow(before, 0, rows, n - rows)])
  }
  for (let step = 0; step < batches.length; step++) {
    const t = reverse ? batches.length - 1 - step : step
    const rows = batches[t]
    const part = (x: Tensor): Tensor => (rows === n ? x : narrow(x, 0, 0, rows))
    const [nextH, nextC] = composedStep(mode, pieces[t], part(h), c && part(c), w)
    outputs[t] = nextH
    h = kept(nextH, h)
    c = nextC && kept(nextC, c as Tensor)
  }
  return { output: cat(outputs), h, c }
}

const suits = (x: Tensor, ...sizes: number[]): boolean => x.sizes.join() === sizes.join()

/** True if the kernels can do it; what doesn't fit is left to the ops, which throw. */
function isPlain(
  mode: Mode,
  x: Tensor,
  batches: readonly number[],
  h0: Tensor,
  c0: Tensor | null,
  w: Weights,
): boolean {
  const [n, hidden] = h0.sizes
  const rows = GATES[mode] * hidden
  const all = [x, h0, c0, w.weightIh, w.weightHh, w.biasIh, w.biasHh]
  return (
    (x.dtype === float32 || x.dtype === float64) &&
    w.weightHr === null &&
    x.count > 0 &&
    h0.count > 0 &&
    (w.biasIh === null) === (w.biasHh === null) &&
    all.every((t) => t === null || t.dtype === x.dtype) &&
    batches.every((size) => size === n) &&
    suits(w.weightIh, rows, x.sizes[1]) &&
    suits(w.weightHh, rows, hidden) &&
    (w.biasIh === null || (suits(w.biasIh, rows) && suits(w.biasHh as Tensor, rows))) &&
    (c0 === null || suits(c0, n, hidden))
  )
}

/** Adds a [n, from] times b [from, to] to rows of `to` elements at `c`; `bias` as in a product, 0 for none. */
function multiply(n: number, a: number, from: number, b: Tensor, c: number, accumulate: boolean, bias = 0): void {
  const to = b.sizes[1]
  device().matmul(b.dtype === float32 ? 'float32' : 'float64', {
    m: n,
    n: to,
    k: from,
    a,
    aRow: from,
    aCol: 1,
    b: b.pointer,
    bRow: to,
    bCol: 1,
    c,
    cRow: to,
    bias,
    accumulate,
  })
}

/** Runs over `x` [rows, F], whose steps have `batches[t]` rows each, from states [N, H]; in reverse from the last step. */
export function runLayer(
  mode: Mode,
  x: Tensor,
  batches: readonly number[],
  h0: Tensor,
  c0: Tensor | null,
  w: Weights,
  reverse: boolean,
): Run {
  if (!isPlain(mode, x, batches, h0, c0, w)) return composed(mode, x, batches, h0, c0, w, reverse)
  const steps = batches.length
  const [n, hidden] = h0.sizes
  const { dtype } = x
  const width = GATES[mode] * hidden
  const rowBytes = dtype.itemsize
  const slot = n * hidden * rowBytes
  const isGru = mode === 'GRU'
  const given = [x, h0, c0, w.weightIh, w.weightHh, w.biasIh, w.biasHh]
  const inputs = given.filter((t) => t !== null)
  const before = isGradEnabled() ? inputs : []
  const first = reverse ? steps : 0
  // States of all steps: h0 in slot 0, step t from slot t to t + 1; in reverse h0 in the last, step t from t + 1 to t.
  const hs = empty([steps + 1, n, hidden], dtype)
  const cs = c0 ? empty([steps + 1, n, hidden], dtype) : null
  const part = (t: Tensor, at: number, count: number): Tensor =>
    alias(t, [count * n, hidden], [hidden, 1], t.offset + at * n * hidden)
  const plainX = contiguous(x.detach())
  const bias = w.biasIh && w.biasHh && !isGru ? add(w.biasIh.detach(), w.biasHh.detach()) : (w.biasIh?.detach() ?? null)
  const gates = linear(plainX, w.weightIh.detach(), bias)
  const turned = contiguous(transpose(w.weightHh.detach(), 0, 1))
  const ownBias = isGru && w.biasHh ? contiguous(w.biasHh.detach()) : null
  const own = isGru ? empty([steps * n, width], dtype) : null
  part(hs, first, 1).copy_(h0.detach())
  if (cs && c0) part(cs, first, 1).copy_(c0.detach())
  for (let step = 0; step < steps; step++) {
    const t = reverse ? steps - 1 - step : step
    const [from, to] = reverse ? [t + 1, t] : [t, t + 1]
    const at = gates.pointer + t * n * width * rowBytes
    const h = hs.pointer + from * slot
    const next = hs.pointer + to * slot
    if (own) {
      const ownAt = own.pointer + t * n * width * rowBytes
      multiply(n, h, hidden, turned, ownAt, false, ownBias ? ownBias.pointer : 0)
      runStep('forward', mode, dtype, n, hidden, [
        [at, width],
        [ownAt, width],
        [h, hidden],
        [next, hidden],
      ])
      continue
    }
    multiply(n, h, hidden, turned, at, true)
    if (cs) {
      const c = cs.pointer
      runStep('forward', mode, dtype, n, hidden, [
        [at, width],
        [c + from * slot, hidden],
        [next, hidden],
        [c + to * slot, hidden],
      ])
    } else
      runStep('forward', mode, dtype, n, hidden, [
        [at, width],
        [next, hidden],
      ])
  }
  const last = reverse ? 0 : steps
  const output = part(hs, reverse ? 0 : 1, steps)
  const h = clone(part(hs, last, 1))
  const c = cs && clone(part(cs, last, 1))
  const outs = c ? [output, h, c] : [output, h]
  const saved = [...before, gates, hs, ...(cs ? [cs] : []), ...(own ? [own] : [])]
  recordAll(outs, `${recordedName(mode)}Backward0`, inputs, saved, (grads, kept, needs) => {
    const operands = spread(given, kept)
    if (isGradEnabled()) return again(mode, operands, batches, w, reverse, grads, needs)
    const [keptGates, keptH] = kept.slice(inputs.length)
    const keptC = cs ? kept[inputs.length + 2] : null
    const keptOwn = isGru ? kept[inputs.length + 2] : null
    return backward(mode, operands, { gates: keptGates, hs: keptH, cs: keptC, own: keptOwn }, reverse, grads, needs)
  })
  return { output, h, c }
}

const recordedName = (mode: Mode): string =>
  ({ LSTM: 'Lstm', GRU: 'Gru', RNN_TANH: 'RnnTanh', RNN_RELU: 'RnnRelu' })[mode]

/** The saved inputs in the places of `given`, null where none was. */
function spread(given: readonly (Tensor | null)[], saved: readonly Tensor[]): (Tensor | null)[] {
  let at = 0
  return given.map((t) => (t === null ? null : saved[at++]))
}

/** Gradients that are recorded themselves: the layer is run again in other ops, from aliases that history passes through. */
function again(
  mode: Mode,
  operands: readonly (Tensor | null)[],
  batches: readonly number[],
  w: Weights,
  reverse: boolean,
  grads: readonly (Tensor | null)[],
  needs: readonly boolean[],
): (Tensor | null)[] {
  const own = operands.map((t) => t && viewAs(t, t))
  const [x, h0, c0, weightIh, weightHh, biasIh, biasHh] = own
  const weights = { weightIh, weightHh, biasIh, biasHh, weightHr: w.weightHr } as Weights
  const { output, h, c } = composed(mode, x as Tensor, batches, h0 as Tensor, c0, weights, reverse)
  const outs = c ? [output, h, c] : [output, h]
  const present = own.filter((t) => t !== null)
  const wanted = present.filter((_, i) => needs[i])
  const gradOutputs = outs.map((out, i) => grads[i] ?? zerosLike(out))
  const found = grad(outs, wanted, { gradOutputs, createGraph: true, allowUnused: true })
  let at = 0
  return present.map((_, i) => (needs[i] ? found[at++] : null))
}

interface Kept {
  readonly gates: Tensor
  readonly hs: Tensor
  readonly cs: Tensor | null
  readonly own: Tensor | null
}

function backward(
  mode: Mode,
  operands: readonly (Tensor | null)[],
  { gates, hs, cs, own }: Kept,
  reverse: boolean,
  grads: readonly (Tensor | null)[],
  needs: readonly boolean[],
): (Tensor | null)[] {
  const [x, h0, c0, weightIh, weightHh, biasIh, biasHh] = operands as (Tensor | null)[] & [Tensor, Tensor]
  const { dtype } = hs
  const steps = hs.sizes[0] - 1
  const [n, hidden] = (h0 as Tensor).sizes
  const width = GATES[mode] * hidden
  const bytes = dtype.itemsize
  const slot = n * hidden * bytes
  const weight = contiguous(weightHh as Tensor)
  const dout = grads[0] ? contiguous(grads[0]) : zerosLike(alias(hs, [steps * n, hidden], [hidden, 1], hs.offset))
  const dh = grads[1] ? clone(grads[1]).contiguous() : zerosLike(h0 as Tensor).contiguous()
  const dc = cs ? (grads[2] ? clone(grads[2]).contiguous() : zerosLike(c0 as Tensor).contiguous()) : null
  const dgates = empty(gates.sizes, dtype)
  const down = own ? empty(gates.sizes, dtype) : dgates
  for (let step = 0; step < steps; step++) {
    const t = reverse ? step : steps - 1 - step
    const [from, to] = reverse ? [t + 1, t] : [t, t + 1]
    const row = t * n * width * bytes
    const gate = [gates.pointer + row, width] as const
    const state = [dh.pointer, hidden] as const
    const out = [dout.pointer + t * slot, hidden] as const
    const dgate = [dgates.pointer + row, width] as const
    if (own) {
      const part = [own.pointer + row + 2 * hidden * bytes, hidden, width] as const
      const before = [hs.pointer + from * slot, hidden] as const
      const operands = [gate, part, before, state, out, dgate, [down.pointer + row, width] as const]
      runStep('back', mode, dtype, n, hidden, operands)
    } else if (cs && dc) {
      const c = cs.pointer
      runStep('back', mode, dtype, n, hidden, [
        gate,
        [c + from * slot, hidden],
        [c + to * slot, hidden],
        state,
        out,
        [dc.pointer, hidden],
        dgate,
      ])
    } else runStep('back', mode, dtype, n, hidden, [gate, state, out, dgate])
    multiply(n, down.pointer + row, width, weight, dh.pointer, own !== null)
  }
  const states = alias(hs, [steps * n, hidden], [hidden, 1], hs.offset + (reverse ? n * hidden : 0))
  const found: ((() => Tensor) | null)[] = [
    () => mm(dgates, weightIh as Tensor),
    () => dh,
    c0 && (() => dc as Tensor),
    () => mm(transpose(dgates, 0, 1), x as Tensor),
    () => mm(transpose(down, 0, 1), states),
    biasIh && (() => sum(dgates, 0)),
    biasHh && (() => sum(down, 0)),
  ]
  return found.filter((f) => f !== null).map((f, i) => (needs[i] ? f() : null))
}
