// The kernels of one time step of a recurrent layer, forward and back. Gates lie side by side in a row, [N, gates * H];
// each is an operand of its own.
import type { DType } from '../base/dtype.ts'
import { constant, type Expr, k, load } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { device } from '../tensor/run.ts'

/** Which recurrence: its gates and its nonlinearity. */
export type Mode = 'LSTM' | 'GRU' | 'RNN_TANH' | 'RNN_RELU'

/** Gates a step has, in the order of the weights' rows. */
export const GATES: Readonly<Record<Mode, number>> = { LSTM: 4, GRU: 3, RNN_TANH: 1, RNN_RELU: 1 }

/** A matrix of N rows that a step reads or writes: its address, the elements of a row, and those from row to row. */
export type Rows = readonly [pointer: number, width: number, step?: number]

type Access = 'read' | 'write' | 'update'
type Build = (x: readonly Expr[]) => readonly (Expr | null)[]

/** A kernel of operands with the access given by letters; `build` answers the new value of each, null for what stays. */
function stepKernel(name: string, access: string, build: Build): (dtype: DType) => Kernel {
  const made: (Kernel | undefined)[] = []
  const modes: Record<string, Access> = { r: 'read', w: 'write', u: 'update' }
  return (dtype) => {
    const found = made[dtype.index]
    if (found) return found
    const values = build(Array.from(access, (_, i) => load(i, dtype.compute)))
    const args = Array.from(access, (letter) => ({ dtype, mode: modes[letter], per: 'element' }) as const)
    const stores = values.flatMap((value, arg) => (value ? [{ arg, value }] : []))
    const kernel = mapKernel(name, args, [], stores)
    made[dtype.index] = kernel
    return kernel
  }
}

const one = (x: Expr): Expr => constant(1, x.type)
/** y * (1 - y), the slope of a sigmoid whose value is y. */
const bell = (y: Expr): Expr => k.mul(y, k.sub(one(y), y))
/** 1 - y * y, the slope of a tanh whose value is y. */
const arch = (y: Expr): Expr => k.sub(one(y), k.mul(y, y))
const relu = (x: Expr): Expr => k.max(x, constant(0, x.type))

/** Forward: the gates before their nonlinearities become those after; c before; h after and c after are written. */
const lstm = stepKernel('lstm', 'uuuurww', ([i, f, g, o, before]) => {
  const [input, forget, cell, output] = [m.sigmoid(i), m.sigmoid(f), m.tanh(g), m.sigmoid(o)]
  const c = k.add(k.mul(forget, before), k.mul(input, cell))
  return [input, forget, cell, output, null, k.mul(output, m.tanh(c)), c]
})

/** Back: gates, c before and after, two gradients of h after; that of c after becomes that of c before; of gates. */
const lstmBack = stepKernel('lstmBackward', 'rrrrrrrruwwww', ([i, f, g, o, before, after, dh, dout, dc]) => {
  const t = m.tanh(after)
  const gradient = k.add(dh, dout)
  const cell = k.add(dc, k.mul(k.mul(gradient, o), arch(t)))
  const gates = [
    k.mul(k.mul(cell, g), bell(i)),
    k.mul(k.mul(cell, before), bell(f)),
    k.mul(k.mul(cell, i), arch(g)),
    k.mul(k.mul(gradient, t), bell(o)),
  ]
  return [...Array<null>(8).fill(null), k.mul(cell, f), ...gates]
})

/** Forward: the input's part of the gates becomes the gates; the state's part of them, h before; h after is written. */
const gru = stepKernel('gru', 'uuurrrrw', ([ir, iz, inew, hr, hz, hn, before]) => {
  const reset = m.sigmoid(k.add(ir, hr))
  const update = m.sigmoid(k.add(iz, hz))
  const fresh = m.tanh(k.add(inew, k.mul(reset, hn)))
  const after = k.add(k.mul(k.sub(before, fresh), update), fresh)
  return [reset, update, fresh, null, null, null, null, after]
})

/** Back: gates, the state's part of the new gate, h before, gradients; that of h becomes its direct part; of both parts. */
const gruBack = stepKernel('gruBackward', 'rrrrrurwwwwww', ([r, z, n, hn, before, dh, dout]) => {
  const gradient = k.add(dh, dout)
  const fresh = k.mul(k.mul(gradient, k.sub(one(z), z)), arch(n))
  const reset = k.mul(k.mul(fresh, hn), bell(r))
  const update = k.mul(k.mul(gradient, k.sub(before, n)), bell(z))
  const direct = k.mul(gradient, z)
  return [null, null, null, null, null, direct, null, reset, update, fresh, reset, update, k.mul(fresh, r)]
})

const plain = (name: string, apply: (x: Expr) => Expr) => stepKernel(name, 'uw', ([x]) => [apply(x), apply(x)])
/** Back: the gate, two gradients of h, that of the gate. */
const plainBack = (name: string, slope: (g: Expr, y: Expr) => Expr) =>
  stepKernel(name, 'rrrw', ([y, dh, dout]) => [null, null, null, slope(k.add(dh, dout), y)])

const FORWARD = { LSTM: lstm, GRU: gru, RNN_TANH: plain('rnnTanh', m.tanh), RNN_RELU: plain('rnnRelu', relu) }
const BACK = {
  LSTM: lstmBack,
  GRU: gruBack,
  RNN_TANH: plainBack('rnnTanhBackward', (g, y) => k.mul(g, arch(y))),
  RNN_RELU: plainBack('rnnReluBackward', (g, y) => k.select(k.gt(y, constant(0, y.type)), g, constant(0, y.type))),
}

/** Runs a step over N rows of H elements; matrices wider than H are one operand a gate. */
export function runStep(
  direction: 'forward' | 'back',
  mode: Mode,
  dtype: DType,
  n: number,
  hidden: number,
  operands: readonly Rows[],
): void {
  const bytes = dtype.itemsize
  const pointers: number[] = []
  const strides: (readonly [number, number, number])[] = []
  for (const [pointer, width, step = width] of operands) {
    for (let at = 0; at < width; at += hidden) {
      pointers.push(pointer + at * bytes)
      strides.push([0, step * bytes, bytes])
    }
  }
  const kernel = (direction === 'forward' ? FORWARD : BACK)[mode](dtype)
  device().launch(kernel, [1, n, hidden], pointers, strides, [])
}
