// Kernels of normalisation. Rows: layer norm and its kin over contiguous rows. Channels: statistics of [N, C, L] in
// parts that are joined afterwards, so that every element is read once from memory and lengths do not cost digits.
import type { Extent, Scalar } from '../backend/device.ts'
import { type ComputeType, type DType, float32, float64 } from '../base/dtype.ts'
import { acc, constant, type Expr, k, load, other, result, scalar } from '../ir/expr.ts'
import type { Arg, Kernel, ReducePass, Store } from '../ir/kernel.ts'
import { device } from '../tensor/run.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** Bytes along outer rows, rows and elements. */
export type Stride = readonly [number, number, number]
/** An operand of a launch. */
export type Operand = readonly [tensor: Tensor, strides: Stride]

/** Runs a kernel; what is per row is in the strides' first two places. */
export function launch(
  kernel: Kernel,
  extent: Extent,
  operands: readonly Operand[],
  scalars: readonly Scalar[] = [],
): void {
  if (extent.includes(0)) return
  const pointers = operands.map(([t]) => t.pointer)
  const strides = operands.map(([, s]) => s)
  device().launch(kernel, extent, pointers, strides, scalars)
}

/** The dtype of statistics of `dtype`: narrow floats keep theirs in float32. */
export const statisticOf = (dtype: DType): DType => (dtype === float64 ? float64 : float32)

const kernels = new Map<string, Kernel>()

/** Builds a kernel once for each key; `build` declares arguments in order through `arg`. */
function cached(
  key: string,
  build: (arg: (dtype: DType, per: Arg['per'], mode?: Arg['mode']) => number) => Omit<Kernel, 'name' | 'args'>,
): Kernel {
  let kernel = kernels.get(key)
  if (!kernel) {
    const args: Arg[] = []
    const rest = build((dtype, per, mode = 'read') => args.push({ dtype, per, mode }) - 1)
    kernel = { name: key.slice(0, key.indexOf(' ')), args, ...rest }
    kernels.set(key, kernel)
  }
  return kernel
}

/** A pass that adds up products of pairs, or single values. */
function sums(...terms: readonly (Expr | readonly [Expr, Expr])[]): ReducePass {
  const types = terms.map((t) => ('op' in t ? t.type : t[0].type))
  return {
    kind: 'reduce',
    init: types.map((type) => constant(0, type)),
    step: terms.map((t, i) => ('op' in t ? k.add(acc(i, types[i]), t) : k.madd(t[0], t[1], acc(i, types[i])))),
    merge: types.map((type, i) => k.add(acc(i, type), other(i, type))),
  }
}

const one = (type: ComputeType): Expr => constant(1, type)
const reciprocalRoot = (x: Expr): Expr => k.div(one(x.type), k.sqrt(x))
const nameOf = (dtype: DType | null): string => (dtype ? dtype.name : '-')

/**
 * Rows x [N] to (x - mean) * rstd * weight + bias; without `centered` the mean counts as 0. Arguments: x, weight?, bias?,
 * out, mean? (per row), rstd (per row). Scalars: N, eps. Sums of `long` rows are in float64.
 */
export function rowKernel(
  dtype: DType,
  weight: DType | null,
  bias: DType | null,
  centered: boolean,
  long: boolean,
): Kernel {
  return cached(`normalizeRows ${dtype.name} ${nameOf(weight)} ${nameOf(bias)} ${centered} ${long}`, (arg) => {
    const type = dtype.compute
    const x = load(arg(dtype, 'element'), type)
    const w = weight && load(arg(weight, 'element'), type)
    const b = bias && load(arg(bias, 'element'), type)
    const out = arg(dtype, 'element', 'write')
    const statistic = statisticOf(dtype)
    const [n, eps] = [scalar(0, type), scalar(1, type)]
    const summed = long ? 'f64' : type
    const mean = centered ? k.cast(k.div(result(0, 0, summed), k.cast(n, summed)), type) : null
    const distance = mean ? k.sub(x, mean) : x
    const term = k.cast(distance, summed)
    const squares = k.cast(k.div(result(centered ? 1 : 0, 0, summed), k.cast(n, summed)), type)
    const rstd = reciprocalRoot(k.add(squares, eps))
    const unit = k.mul(distance, rstd)
    const scaled = w ? (b ? k.madd(unit, w, b) : k.mul(unit, w)) : b ? k.add(unit, b) : unit
    const rowStores: Store[] = []
    if (mean) rowStores.push({ arg: arg(statistic, 'row', 'write'), value: mean })
    rowStores.push({ arg: arg(statistic, 'row', 'write'), value: rstd })
    return {
      scalars: [type, type],
      passes: [
        ...(centered ? [sums(k.cast(x, summed))] : []),
        sums([term, term]),
        { kind: 'map', stores: [{ arg: out, value: scaled }] },
      ],
      rowStores,
    }
  })
}

/** The gradient of x. Arguments: g, x, weight?, mean? (per row), rstd (per row), out. Scalars: N. */
export function rowBackwardKernel(dtype: DType, weight: DType | null, centered: boolean): Kernel {
  return cached(`normalizeRowsBackward ${dtype.name} ${nameOf(weight)} ${centered}`, (arg) => {
    const type = dtype.compute
    const statistic = statisticOf(dtype)
    const g = load(arg(dtype, 'element'), type)
    const x = load(arg(dtype, 'element'), type)
    const scaled = weight ? k.mul(g, load(arg(weight, 'element'), type)) : g
    const distance = centered ? k.sub(x, load(arg(statistic, 'row'), type)) : x
    const rstd = load(arg(statistic, 'row'), type)
    const n = scalar(0, type)
    const slope = k.div(k.mul(k.mul(k.mul(rstd, rstd), rstd), result(0, 0, type)), n)
    const shift = centered ? k.div(k.mul(rstd, result(0, 1, type)), n) : constant(0, type)
    const value = k.sub(k.sub(k.mul(scaled, rstd), k.mul(distance, slope)), shift)
    return {
      scalars: [type],
      passes: [
        centered ? sums([scaled, distance], scaled) : sums([scaled, distance]),
        { kind: 'map', stores: [{ arg: arg(dtype, 'element', 'write'), value }] },
      ],
      rowStores: [],
    }
  })
}

/**
 * The gradients of weight and bias, a row a column: sums of g * (x - mean) * rstd and of g. Arguments: g, x, mean?, rstd
 * (these along the row), and the two results (per row).
 */
export function columnKernel(dtype: DType, centered: boolean): Kernel {
  return cached(`normalizeColumns ${dtype.name} ${centered}`, (arg) => {
    const type = dtype.compute
    const statistic = statisticOf(dtype)
    const g = load(arg(dtype, 'element'), type)
    const x = load(arg(dtype, 'element'), type)
    const distance = centered ? k.sub(x, load(arg(statistic, 'element'), type)) : x
    const unit = k.mul(distance, load(arg(statistic, 'element'), type))
    return {
      scalars: [],
      passes: [sums([g, unit], g)],
      rowStores: [
        { arg: arg(statistic, 'row', 'write'), value: result(0, 0, type) },
        { arg: arg(statistic, 'row', 'write'), value: result(0, 1, type) },
      ],
    }
  })
}

const wide = (x: Expr): Expr => k.cast(x, 'f64')

/** Rows longer than this lose digits when they are summed in float32. */
export const LONG = 4096

/**
 * Rows to their mean and sum of squared distances from it, in float64; `short` rows are summed in their own precision.
 * Arguments: x, mean, squares. Scalars: N.
 */
export function momentsKernel(dtype: DType, short = false): Kernel {
  return cached(`moments ${dtype.name} ${short}`, (arg) => {
    const type = short ? dtype.compute : 'f64'
    const x = k.cast(load(arg(dtype, 'element'), dtype.compute), type)
    const mean = k.div(result(0, 0, type), k.cast(scalar(0, 'f64'), type))
    const distance = k.sub(x, mean)
    return {
      scalars: ['f64'],
      passes: [sums(x), sums([distance, distance])],
      rowStores: [
        { arg: arg(float64, 'row', 'write'), value: wide(mean) },
        { arg: arg(float64, 'row', 'write'), value: wide(result(1, 0, type)) },
      ],
    }
  })
}

/**
 * Joins the moments of parts of equal length, a row a channel (Chan, Golub and LeVeque, 1979). Arguments: means and
 * squares of the parts, mean, rstd, and with `running` its mean and variance, which move by the momentum. Scalars:
 * parts, elements of a part, eps, momentum.
 */
export function joinKernel(statistic: DType, running: DType | null): Kernel {
  return cached(`joinMoments ${statistic.name} ${nameOf(running)}`, (arg) => {
    const type = statistic.compute
    const means = load(arg(float64, 'element'), 'f64')
    const squares = load(arg(float64, 'element'), 'f64')
    const [parts, length, eps, momentum] = [0, 1, 2, 3].map((i) => scalar(i, 'f64'))
    const mean = k.div(result(0, 0, 'f64'), parts)
    const distance = k.sub(means, mean)
    const total = k.madd(length, result(1, 1, 'f64'), result(1, 0, 'f64'))
    const n = k.mul(parts, length)
    const rowStores: Store[] = [
      { arg: arg(statistic, 'row', 'write'), value: k.cast(mean, type) },
      { arg: arg(statistic, 'row', 'write'), value: k.cast(reciprocalRoot(k.add(k.div(total, n), eps)), type) },
    ]
    if (running) {
      const keep = k.sub(one('f64'), momentum)
      const moved = (value: Expr): Store => {
        const at = arg(running, 'row', 'update')
        const before = wide(load(at, running.compute))
        return { arg: at, value: k.cast(k.add(k.mul(momentum, value), k.mul(keep, before)), running.compute) }
      }
      rowStores.push(moved(mean), moved(k.div(total, k.sub(n, one('f64')))))
    }
    return {
      scalars: ['f64', 'f64', 'f64', 'f64'],
      passes: [sums(means), sums(squares, [distance, distance])],
      rowStores,
    }
  })
}

/** (x - mean) * rstd * weight + bias. Arguments: x, mean, rstd, weight?, bias? (all per row), out. */
export function applyKernel(dtype: DType, statistic: DType, weight: DType | null, bias: DType | null): Kernel {
  return cached(`normalizeChannels ${dtype.name} ${statistic.name} ${nameOf(weight)} ${nameOf(bias)}`, (arg) => {
    const type = dtype.compute
    const x = load(arg(dtype, 'element'), type)
    const distance = k.sub(x, load(arg(statistic, 'row'), type))
    const rstd = load(arg(statistic, 'row'), type)
    const scale = weight ? k.mul(rstd, load(arg(weight, 'row'), type)) : rstd
    const value = bias ? k.madd(distance, scale, load(arg(bias, 'row'), type)) : k.mul(distance, scale)
    return {
      scalars: [],
      passes: [{ kind: 'map', stores: [{ arg: arg(dtype, 'element', 'write'), value }] }],
      rowStores: [],
    }
  })
}

/** Rows to the sums of g and of g * (x - mean), in float64. Arguments: g, x, mean (per row), the two sums. */
export function sumsKernel(dtype: DType, statistic: DType): Kernel {
  return cached(`gradientSums ${dtype.name} ${statistic.name}`, (arg) => {
    const g = wide(load(arg(dtype, 'element'), dtype.compute))
    const x = wide(load(arg(dtype, 'element'), dtype.compute))
    const distance = k.sub(x, wide(load(arg(statistic, 'row'), statistic.compute)))
    return {
      scalars: [],
      passes: [sums(g, [g, distance])],
      rowStores: [
        { arg: arg(float64, 'row', 'write'), value: result(0, 0, 'f64') },
        { arg: arg(float64, 'row', 'write'), value: result(0, 1, 'f64') },
      ],
    }
  })
}

/**
 * Joins such sums, a row a channel. Arguments: both sums of the parts, rstd (per row), weight? (per row), then by row
 * the gradients of bias and weight, and the factors of `spreadKernel`. Scalars: elements of a channel.
 */
export function joinSumsKernel(statistic: DType, weight: DType | null): Kernel {
  return cached(`joinSums ${statistic.name} ${nameOf(weight)}`, (arg) => {
    const type = statistic.compute
    const plain = load(arg(float64, 'element'), 'f64')
    const product = load(arg(float64, 'element'), 'f64')
    const rstd = wide(load(arg(statistic, 'row'), type))
    const scale = weight ? k.mul(rstd, wide(load(arg(weight, 'row'), weight.compute))) : rstd
    const n = scalar(0, 'f64')
    const [total, slope] = [result(0, 0, 'f64'), result(0, 1, 'f64')]
    const store = (value: Expr): Store => ({ arg: arg(statistic, 'row', 'write'), value: k.cast(value, type) })
    return {
      scalars: ['f64'],
      passes: [sums(plain, product)],
      rowStores: [
        store(total),
        store(k.mul(slope, rstd)),
        store(scale),
        store(k.div(k.mul(k.mul(k.mul(slope, rstd), rstd), scale), n)),
        store(k.div(k.mul(total, scale), n)),
      ],
    }
  })
}

/** g * scale - (x - mean) * slope - shift. Arguments: g, x, mean, scale, slope, shift (all per row), out. */
export function spreadKernel(dtype: DType, statistic: DType): Kernel {
  return cached(`normalizeChannelsBackward ${dtype.name} ${statistic.name}`, (arg) => {
    const type = dtype.compute
    const g = load(arg(dtype, 'element'), type)
    const x = load(arg(dtype, 'element'), type)
    const [mean, scale, slope, shift] = [0, 1, 2, 3].map(() => load(arg(statistic, 'row'), type))
    const value = k.sub(k.sub(k.mul(g, scale), k.mul(k.sub(x, mean), slope)), shift)
    return {
      scalars: [],
      passes: [{ kind: 'map', stores: [{ arg: arg(dtype, 'element', 'write'), value }] }],
      rowStores: [],
    }
  })
}
