// Resampling along dimensions: every result is a weighted sum of a few elements, given by a table of taps. The adjoint
// is the same with the table transposed, so derivatives of all orders are resamplings too.
import { bfloat16, type DType, float16, float32, int32 } from '../base/dtype.ts'
import { contiguousStrides } from '../base/shape.ts'
import { constant, type Expr, gather, k, load, scalar } from '../ir/expr.ts'
import { type Arg, type Kernel, mapKernel } from '../ir/kernel.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { tensor } from './create.ts'

/** For each element of the result along a dimension: positions in the input and their weights. */
export interface Taps {
  /** Elements of the input. */
  readonly from: number
  readonly at: readonly (readonly number[])[]
  /** Absent for plain copies: one position each, weight 1. */
  readonly weights: readonly (readonly number[])[] | null
}

const CHUNK = 12
const kernels = new Map<string, Kernel>()
function cached(key: string, build: () => Kernel): Kernel {
  let kernel = kernels.get(key)
  if (!kernel) kernels.set(key, (kernel = build()))
  return kernel
}
const element = (dtype: DType, mode: Arg['mode'] = 'read'): Arg => ({ dtype, mode, per: 'element' })

/** Positions and weights from the other side: what each element of the input contributes to. */
function transposed({ from, at, weights }: Taps): Taps {
  const back: { at: number[]; weights: number[] }[] = Array.from({ length: from }, () => ({ at: [], weights: [] }))
  at.forEach((list, o) => {
    list.forEach((i, t) => {
      back[i].at.push(o)
      back[i].weights.push(weights?.[o][t] ?? 1)
    })
  })
  return { from: at.length, at: back.map((b) => b.at), weights: back.map((b) => b.weights) }
}

/** The sum of `n` weighted operands, added to what is there unless `first`. */
function blend(dtype: DType, n: number, weighted: boolean, first: boolean): Kernel {
  return cached(`blend ${dtype.name} ${n} ${weighted} ${first}`, () => {
    const type = dtype.compute
    const terms: Expr[] = first ? [] : [load(n, type)]
    for (let i = 0; i < n; i++) terms.push(weighted ? k.mul(load(i, type), scalar(i, type)) : load(i, type))
    const value = terms.length ? terms.reduce((a, b) => k.add(a, b)) : constant(0, type)
    const args = Array.from({ length: n }, () => element(dtype))
    return mapKernel(
      'resample',
      [...args, element(dtype, first ? 'write' : 'update')],
      weighted ? Array.from({ length: n }, () => type) : [],
      [{ arg: n, value }],
    )
  })
}

/** As `blend` along rows: the positions come from tables, one per tap, and so do the weights. */
function pickAndBlend(dtype: DType, n: number, weighted: boolean, first: boolean): Kernel {
  return cached(`pick ${dtype.name} ${n} ${weighted} ${first}`, () => {
    const type = dtype.compute
    const zero = constant(0, type)
    const out = 1 + (weighted ? 2 : 1) * n
    const terms: Expr[] = first ? [] : [load(out, type)]
    for (let i = 0; i < n; i++) {
      const value = gather(0, type, load(1 + i, 'i32'))
      const weight = weighted ? load(1 + n + i, type) : null
      // Rows of the table are filled up with zeros, which must not meet an infinity.
      terms.push(weight ? k.select(k.eq(weight, zero), zero, k.mul(value, weight)) : value)
    }
    const tables = [
      ...Array.from({ length: n }, () => element(int32)),
      ...(weighted ? Array.from({ length: n }, () => element(dtype)) : []),
    ]
    return mapKernel(
      'resampleRows',
      [{ dtype, mode: 'read', per: 'table' }, ...tables, element(dtype, first ? 'write' : 'update')],
      [],
      [{ arg: out, value: terms.reduce((a, b) => k.add(a, b)) }],
    )
  })
}

/** `x` (contiguous, without history) resampled along `dim`. */
function along(x: Tensor, dim: number, taps: Taps): Tensor {
  const n = taps.at.length
  const sizes = x.sizes.map((size, i) => (i === dim ? n : size))
  const out = empty(sizes, x.dtype)
  if (out.count === 0) return out
  const inner = sizes.slice(dim + 1).reduce((a, b) => a * b, 1)
  const outer = sizes.slice(0, dim).reduce((a, b) => a * b, 1)
  if (inner === 1) alongRows(x, out, outer, taps)
  else alongSlices(x, out, outer, inner, taps)
  return out
}

/** One launch for each slice of the result: its taps are slices of the input. */
function alongSlices(x: Tensor, out: Tensor, outer: number, inner: number, taps: Taps): void {
  const { dtype } = x
  const step = inner * dtype.itemsize
  const weighted = taps.weights !== null
  const read = [0, taps.from * step, dtype.itemsize] as const
  const write = [0, taps.at.length * step, dtype.itemsize] as const
  taps.at.forEach((list, o) => {
    for (let c = 0; c === 0 || c < list.length; c += CHUNK) {
      const some = list.slice(c, c + CHUNK)
      const pointers = some.map((i) => x.pointer + i * step)
      const scalars = taps.weights?.[o].slice(c, c + CHUNK) ?? []
      pointers.push(out.pointer + o * step)
      device().launch(
        blend(dtype, some.length, weighted, c === 0),
        [1, outer, inner],
        pointers,
        [...some.map(() => read), write],
        scalars,
      )
    }
  })
}

function alongRows(x: Tensor, out: Tensor, outer: number, taps: Taps): void {
  const { dtype } = x
  const most = taps.at.reduce((a, list) => Math.max(a, list.length), 1)
  const n = taps.at.length
  for (let c = 0; c < most; c += CHUNK) {
    const count = Math.min(CHUNK, most - c)
    const range = Array.from({ length: count }, (_, t) => c + t)
    const positions = range.map((t) =>
      tensor(
        taps.at.map((list) => list[t] ?? 0),
        { dtype: int32 },
      ),
    )
    const { weights } = taps
    const factors = weights
      ? range.map((t) =>
          tensor(
            weights.map((list) => list[t] ?? 0),
            { dtype },
          ),
        )
      : []
    const tables = [...positions, ...factors]
    const step = dtype.itemsize
    device().launch(
      pickAndBlend(dtype, count, weights !== null, c === 0),
      [1, outer, n],
      [x.pointer, ...tables.map((t) => t.pointer), out.pointer],
      [[0, taps.from * step, 0], ...tables.map((t) => [0, 0, t.dtype.itemsize] as const), [0, n * step, step]],
      [],
    )
  }
}

/** `x` resampled along its last dimensions, the last one first; null leaves a dimension as it is. */
export function resampled(x: Tensor, taps: readonly (Taps | null)[], node: string): Tensor {
  const half = x.dtype === float16 || x.dtype === bfloat16
  // Between dimensions sums are not rounded to half precision.
  let out = half ? x.detach().to(float32) : x.contiguousLayout ? x : x.detach().contiguous()
  out = alias(out, x.sizes, contiguousStrides(x.sizes), out.offset)
  let changed = false
  for (let i = taps.length - 1; i >= 0; i--) {
    const table = taps[i]
    if (!table) continue
    out = along(out, x.ndim - taps.length + i, table)
    changed = true
  }
  if (half) out = out.to(x.dtype)
  else if (!changed) out = out.clone()
  return record(out, `${node}0`, [x], [], (g) => [
    resampled(
      g,
      taps.map((t) => t && transposed(t)),
      `${node}Backward`,
    ),
  ])
}
