// Activation functions: softmax and its kin as row kernels, the element-wise ones as one kernel forward and one back.
// Gradients are the fused kernel, or tensor ops where the backward pass is itself recorded (createGraph).
import { type DType, float32, float64 } from '../base/dtype.ts'
import { NotImplementedError } from '../base/errors.ts'
import { wrapDim } from '../base/shape.ts'
import { acc, constant, type Expr, k, load, other, result } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { device, runRows } from '../tensor/run.ts'
import { emptyLike, type Tensor } from '../tensor/tensor.ts'
import { mul, sub } from './arithmetic.ts'
import { sum } from './reduce.ts'
import { exp, neg } from './unary.ts'

const c = (x: Expr, value: number): Expr => constant(value, x.type)

/** A fold of rows with one accumulator. */
const fold = (init: Expr, step: (a: Expr) => Expr, merge: (a: Expr, b: Expr) => Expr): Kernel['passes'][number] => {
  const a = acc(0, init.type)
  return { kind: 'reduce', init: [init], step: [step(a)], merge: [merge(a, other(0, init.type))] }
}

const isContiguous = (t: Tensor): boolean => t.contiguousLayout
const NOTHING: readonly number[] = []

type RowMap = (x: Expr, y: Expr) => Kernel['passes']

/**
 * Kernels of one or two tensors and a result, all of one dtype and shape, that work along rows; by dtype. `again` are the
 * passes of dtypes whose storage keeps every bit that is computed: they may load the result too.
 */
function rowOp(
  name: string,
  inputs: 1 | 2,
  passes: RowMap,
  again?: RowMap,
): (operands: readonly Tensor[], dim: number) => Tensor {
  const kernels: (Kernel | undefined)[] = []
  const build = (dtype: DType): Kernel => {
    const exact = again !== undefined && (dtype === float32 || dtype === float64)
    const mode = exact ? 'update' : 'write'
    return {
      name,
      args: [...Array(inputs).fill({ dtype, mode: 'read', per: 'element' }), { dtype, mode, per: 'element' }],
      scalars: [],
      passes: (exact ? again : passes)(load(0, dtype.compute), load(1, dtype.compute)),
      rowStores: [],
    }
  }
  return (operands, dim) => {
    const [x] = operands
    const kernel = (kernels[x.dtype.index] ??= build(x.dtype))
    const out = emptyLike(x)
    if (x.count === 0) return out
    const n = x.sizes[dim]
    if (dim === x.sizes.length - 1 && operands.every(isContiguous)) {
      const step = x.dtype.itemsize
      const stride = [0, n * step, step] as const
      const pointers: number[] = []
      const strides: (typeof stride)[] = []
      for (const t of operands) {
        pointers.push(t.pointer)
        strides.push(stride)
      }
      pointers.push(out.pointer)
      strides.push(stride)
      device().launch(kernel, [1, x.count / n, n], pointers, strides, NOTHING)
    } else if (x.sizes.length === 0) runRows(kernel, [1], 0, [...operands, out])
    else runRows(kernel, x.sizes, dim, [...operands, out])
    return out
  }
}

const largest = (x: Expr): Kernel['passes'][number] => fold(c(x, Number.NEGATIVE_INFINITY), (a) => k.max(a, x), k.max)
const total = (x: Expr): Kernel['passes'][number] => fold(c(x, 0), (a) => k.add(a, x), k.add)
const into = (arg: number, value: Expr): Kernel['passes'][number] => ({ kind: 'map', stores: [{ arg, value }] })

const shiftedExp = (x: Expr): Expr => m.exp(k.sub(x, result(0, 0, x.type)))
const softmaxRows = rowOp(
  'softmax',
  1,
  (x) => [largest(x), total(shiftedExp(x)), into(1, k.div(shiftedExp(x), result(1, 0, x.type)))],
  // Exponentials are stored and then scaled, which costs less than computing them twice.
  (x, y) => [largest(x), into(1, shiftedExp(x)), total(y), into(1, k.mul(y, k.div(c(x, 1), result(2, 0, x.type))))],
)
const logSoftmaxRows = rowOp('logSoftmax', 1, (x) => {
  const shifted = k.sub(x, result(0, 0, x.type))
  return [largest(x), total(m.exp(shifted)), into(1, k.sub(shifted, m.log(result(1, 0, x.type))))]
})
const softmaxBackRows = rowOp('softmaxBackward', 2, (g, y) => [
  total(k.mul(g, y)),
  into(2, k.mul(k.sub(g, result(0, 0, g.type)), y)),
])
const logSoftmaxBackRows = rowOp('logSoftmaxBackward', 2, (g, y) => [
  total(g),
  into(2, k.sub(g, k.mul(m.exp(y), result(0, 0, g.type)))),
])

interface SoftmaxOptions {
  readonly dim?: number | null
  /** Converts the input first. */
  readonly dtype?: DType | null
}
type Softmax = (x: Tensor, ...args: Args<[dim?: number | null], SoftmaxOptions>) => Tensor

let warnedOfDim = false
/** The dimension that PyTorch guesses where none is given, with its warning, once. */
function dimOf(name: string, dim: number | null | undefined, x: Tensor): number {
  if (typeof dim === 'number') return wrapDim(dim, x.ndim)
  if (dim !== null && dim !== undefined) throw new TypeError(`${name}(): argument 'dim' must be int, not ${typeof dim}`)
  if (!warnedOfDim) {
    warnedOfDim = true
    console.warn(
      `UserWarning: Implicit dimension choice for ${name} has been deprecated. Change the call to include dim=X as an argument.`,
    )
  }
  return x.ndim === 0 || x.ndim === 1 || x.ndim === 3 ? 0 : 1
}

function floating(kernel: string, x: Tensor): Tensor {
  if (!x.dtype.isFloatingPoint) throw new NotImplementedError(`"${kernel}" not implemented for '${x.dtype.title}'`)
  return x
}

function prepared(name: string, given: Tensor, dim: number, dtype: DType | null | undefined): Tensor {
  const x = dtype ? given.to(dtype) : given
  return floating(`${name}${dim === x.ndim - 1 || x.ndim === 0 ? '_lastdim' : ''}_kernel_impl`, x)
}

/** exp(x) / sum of exp(x) along `dim`: positive numbers that add up to 1. Integers need a float `dtype`. */
export const softmax: Softmax = op({
  name: 'softmax',
  python: 'nn.functional.softmax',
  signature: 'input, dim, *, dtype',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), 1],
    [t(3, 4), 0],
    [t(2, 3, 4), 1],
    [t(4, 3).t(), -1],
    [t(), 0],
    [t(0, 3), 1],
  ],
  forward: (input: Tensor, dim?: number | null, dtype?: DType | null) => {
    const d = dimOf('softmax', dim, input)
    const x = prepared('softmax', input, d, dtype)
    const out = softmaxRows([x], d)
    return record(out, 'SoftmaxBackward0', [x], [out], (g, [y]) => [softmaxGradient(g, y, d)])
  },
})

/** (g - sum(g * y)) * y. */
function softmaxGradient(g: Tensor, y: Tensor, dim: number): Tensor {
  if (!isGradEnabled()) return softmaxBackRows([g, y], dim)
  const product = mul(g, y)
  return sub(product, mul(sum(product, dim, true), y))
}

/** x - log(sum of exp(x)) along `dim`: the logarithm of softmax, without its loss of digits. */
export const logSoftmax: Softmax = op({
  name: 'logSoftmax',
  python: 'nn.functional.log_softmax',
  signature: 'input, dim, *, dtype',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), 1],
    [t(3, 4), 0],
    [t(2, 3, 4), 1],
    [t(4, 3).t(), -1],
    [t(), 0],
    [t(0, 3), 1],
  ],
  forward: (input: Tensor, dim?: number | null, dtype?: DType | null) => {
    const d = dimOf('log_softmax', dim, input)
    const x = prepared('log_softmax', input, d, dtype)
    const out = logSoftmaxRows([x], d)
    return record(out, 'LogSoftmaxBackward0', [x], [out], (g, [y]) => [logSoftmaxGradient(g, y, d)])
  },
})

/** g - exp(y) * sum(g). */
function logSoftmaxGradient(g: Tensor, y: Tensor, dim: number): Tensor {
  if (!isGradEnabled()) return logSoftmaxBackRows([g, y], dim)
  return sub(g, mul(exp(y), sum(g, dim, true)))
}

/** softmax(-x): the smallest gets the most. */
export const softmin: Softmax = op({
  name: 'softmin',
  python: 'nn.functional.softmin',
  signature: 'input, dim, *, dtype',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), 1],
    [t(3, 4), 0],
    [t(2, 3, 4), 1],
    [t(4, 3).t(), -1],
    [t(), 0],
    [t(0, 3), 1],
  ],
  forward: (input: Tensor, dim?: number | null, dtype?: DType | null) =>
    softmax(neg(input), { dim: dimOf('softmin', dim, input), dtype: dtype ?? null }),
})
