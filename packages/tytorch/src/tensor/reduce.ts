// Reductions over any dimensions: which rows a kernel has to walk, and the shape of what comes out.
import type { Scalar } from '../backend/device.ts'
import type { ComputeType, DType } from '../base/dtype.ts'
import { contiguousStrides, numelOf, type Sizes, wrapDim, wrapDims } from '../base/shape.ts'
import { acc, constant, type Expr, k, load, other, result, topological } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import { copyValues } from './elementwise.ts'
import { runPlainRows, runRows } from './run.ts'
import { alias, empty, emptyLike, Tensor } from './tensor.ts'

/** Dimensions a reduction is asked for: one, several, or all for null. */
export type Dim = number | readonly number[] | null

/** How a fold starts, takes in an element, and joins two parts. */
export interface Fold {
  readonly init: readonly Expr[]
  readonly step: (acc: readonly Expr[], x: Expr) => readonly Expr[]
  readonly merge: (a: readonly Expr[], b: readonly Expr[]) => readonly Expr[]
  /** Results, one for each output, of its compute type. */
  readonly finish: (acc: readonly Expr[]) => readonly Expr[]
  /** See `ReducePass`. */
  readonly unbroken?: boolean
}

/** A kernel that folds rows of `from` into one element of each of `to`. */
export function reduceKernel(
  name: string,
  from: DType,
  to: readonly DType[],
  scalars: Kernel['scalars'],
  fold: Fold,
): Kernel {
  const accs = fold.init.map((e, i) => acc(i, e.type))
  const others = fold.init.map((e, i) => other(i, e.type))
  const results = fold.init.map((e, i) => result(0, i, e.type))
  const finished = fold.finish(results)
  return {
    name,
    args: [
      { dtype: from, mode: 'read', per: 'element' },
      ...to.map((dtype) => ({ dtype, mode: 'write', per: 'row' }) as const),
    ],
    scalars,
    passes: [
      {
        kind: 'reduce',
        init: fold.init,
        step: fold.step(accs, load(0, from.compute)),
        merge: fold.merge(accs, others),
        ...(fold.unbroken ? { unbroken: true } : {}),
      },
    ],
    rowStores: to.map((dtype, i) => ({ arg: i + 1, value: k.cast(finished[i], dtype.compute) })),
  }
}

/** A fold with one accumulator and an associative operation. */
export function simpleFold(
  init: Expr,
  combine: (a: Expr, b: Expr) => Expr,
  prepare: (x: Expr) => Expr = (x) => x,
  finish: (x: Expr) => Expr = (x) => x,
): Fold {
  return {
    init: [init],
    step: ([a], x) => [combine(a, prepare(x))],
    merge: ([a], [b]) => [combine(a, b)],
    finish: ([a]) => [finish(a)],
  }
}

/** Sizes after reducing `dims`: without them, or with 1 in their place. */
export function reducedSizes(sizes: Sizes, dims: readonly number[], keepdim: boolean): number[] {
  return keepdim ? sizes.map((n, i) => (dims.includes(i) ? 1 : n)) : sizes.filter((_, i) => !dims.includes(i))
}

/** Runs a fold kernel over `dim` of `x`; the outputs have the kernel's row dtypes. */
export function reduce(
  x: Tensor,
  dim: Dim | undefined,
  keepdim: boolean,
  kernel: Kernel,
  scalars: readonly Scalar[] = [],
): Tensor[] {
  const { sizes } = x
  if (x.contiguousLayout && (dim === null || dim === undefined || typeof dim === 'number')) {
    return reduceOne(x, dim ?? null, keepdim, kernel, scalars)
  }
  const dims = wrapDims(dim, sizes.length)
  const outs = outputs(kernel, reducedSizes(sizes, dims, keepdim))
  if (outs[0].count === 0) return outs
  if (dims.length === sizes.length && x.count > 0 && dense(x) && !positional(kernel)) {
    // Of all elements, in whatever order they lie.
    const flat = alias(x, [x.count], [1], x.offset)
    runPlainRows(kernel, 1, 1, x.count, [flat, ...outs], scalars)
    return outs
  }
  if (x.contiguousLayout && dims.every((d, i) => i === 0 || d === dims[i - 1] + 1)) {
    const first = dims[0] ?? 0
    const n = numelOf(dims.map((d) => sizes[d]))
    const inner = numelOf(sizes.slice(first + dims.length))
    runPlainRows(kernel, numelOf(sizes.slice(0, first)), inner, n, [x, ...outs], scalars)
    return outs
  }
  const { source, row, kept } = rowsOf(x, dims)
  const seen = [...kept, 1]
  runRows(kernel, source.sizes, row, [source, ...outs.map((o) => alias(o, seen, contiguousStrides(seen), 0))], scalars)
  return outs
}

/** True if the elements lie without gaps and once each, in some order of the dimensions. */
function dense(x: Tensor): boolean {
  const order = [...x.sizes.keys()].filter((d) => x.sizes[d] !== 1).sort((a, b) => x.strides[a] - x.strides[b])
  let step = 1
  return order.every((d) => {
    const fits = x.strides[d] === step
    step *= x.sizes[d]
    return fits
  })
}

const withPositions = new WeakMap<Kernel, boolean>()

/** True if a fold reads where an element is in its row. */
function positional(kernel: Kernel): boolean {
  let found = withPositions.get(kernel)
  if (found === undefined) {
    const roots = kernel.passes.flatMap((p) => (p.kind === 'reduce' ? [...p.step, ...p.merge] : []))
    found = topological(roots).some((e) => e.op === 'index' || e.op === 'gather')
    withPositions.set(kernel, found)
  }
  return found
}

function outputs(kernel: Kernel, sizes: Sizes): Tensor[] {
  const outs: Tensor[] = []
  for (let i = 1; i < kernel.args.length; i++) outs.push(empty(sizes, kernel.args[i].dtype))
  return outs
}

/** The common case, quickly: one dimension, or all, of a contiguous tensor. */
function reduceOne(
  x: Tensor,
  dim: number | null,
  keepdim: boolean,
  kernel: Kernel,
  scalars: readonly Scalar[],
): Tensor[] {
  const { sizes } = x
  const rank = sizes.length
  const d = dim === null ? -1 : wrapDim(dim, rank)
  const final: number[] = []
  let outer = 1
  let inner = 1
  for (let i = 0; i < rank; i++) {
    if (d === -1 || i === d) {
      if (keepdim) final.push(1)
      continue
    }
    final.push(sizes[i])
    if (i < d) outer *= sizes[i]
    else inner *= sizes[i]
  }
  const outs = outputs(kernel, final)
  if (outs[0].count === 0) return outs
  const n = d === -1 || rank === 0 ? x.count : sizes[d]
  runPlainRows(kernel, outer, inner, n, [x, ...outs], scalars)
  return outs
}

interface Rows {
  /** `x` seen so that all reduced dimensions are the one called `row`, the last. */
  readonly source: Tensor
  readonly row: number
  /** The sizes of the other dimensions. */
  readonly kept: readonly number[]
}

/** Joins the reduced dimensions into one, by a view where their strides allow it, else by a copy. */
function rowsOf(x: Tensor, dims: readonly number[]): Rows {
  const others = x.sizes.map((_, i) => i).filter((i) => !dims.includes(i))
  const kept = others.map((i) => x.sizes[i])
  const sizes = [...kept, numelOf(dims.map((d) => x.sizes[d]))]
  const stride = joinedStride(x, dims)
  if (stride !== null) {
    const source = alias(x, sizes, [...others.map((i) => x.strides[i]), stride], x.offset)
    return { source, row: kept.length, kept }
  }
  const order = [...others, ...[...dims].sort((a, b) => a - b)]
  const permuted = alias(
    x,
    order.map((i) => x.sizes[i]),
    order.map((i) => x.strides[i]),
    x.offset,
  )
  const copy = emptyLike(permuted)
  copyValues(permuted, copy)
  return { source: alias(copy, sizes, contiguousStrides(sizes), 0), row: kept.length, kept }
}

/** The stride with which the dims can be walked as one, in row-major order, or null. */
function joinedStride(x: Tensor, dims: readonly number[]): number | null {
  const walked = [...dims].sort((a, b) => a - b).filter((d) => x.sizes[d] !== 1)
  if (walked.length === 0) return 0
  for (let i = 0; i + 1 < walked.length; i++) {
    if (x.strides[walked[i]] !== x.strides[walked[i + 1]] * x.sizes[walked[i + 1]]) return null
  }
  return x.strides[walked[walked.length - 1]]
}

/** Kernels of one op, by input dtype and by that of the first output. */
const kernels = new Map<string, (Kernel | undefined)[]>()

/** The kernel of a reduction, built on first use. */
export function kernelFor(
  name: string,
  from: DType,
  to: readonly DType[],
  scalars: Kernel['scalars'],
  fold: () => Fold,
): Kernel {
  let list = kernels.get(name)
  if (!list) {
    list = []
    kernels.set(name, list)
  }
  const at = from.index * 16 + to[0].index
  return (list[at] ??= reduceKernel(name, from, to, scalars, fold()))
}

/** 0 as an expression. */
export const zero = (type: ComputeType): Expr => constant(0, type)

/** `g` of a reduction, seen in the shape of the input. */
export function spread(g: Tensor, sizes: Sizes, dim: Dim | undefined, keepdim: boolean): Tensor {
  const dims = wrapDims(dim, sizes.length)
  return (keepdim ? g : g.reshape(reducedSizes(sizes, dims, true))).expand(sizes)
}

/** Throws TypeError for what is no tensor. */
export function checkTensor(name: string, x: unknown): void {
  if (!(x instanceof Tensor)) throw new TypeError(`${name}(): argument 'input' must be Tensor, not ${typeof x}`)
}
