// Adaptive pooling: the result's sizes are given, and the windows follow from them; they may differ by one element.

import type { DType } from '../base/dtype.ts'
import { int32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { gather, k, load, scalar } from '../ir/expr.ts'
import { type Arg, type Kernel, mapKernel } from '../ir/kernel.ts'
import { type Args, op } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { type ValuesIndices, valuesIndices } from './extreme.ts'
import { chosen, spread } from './pool.ts'
import { averaged } from './poolaverage.ts'
import { table, windowMax } from './poolkernel.ts'
import type { Windows } from './poolshape.ts'
import { mean } from './reduce.ts'
import { resampled, type Taps } from './resample.ts'

/** One size for all spatial dimensions, or one each; null keeps the input's. */
export type OutputSize = number | readonly (number | null)[]

/** Larger windows are not worth a kernel operand for each place. */
const SMALL_WINDOW = 24

/** [start, end) of the windows along a dimension. */
function windows(n: number, out: number): [number, number][] {
  return Array.from({ length: out }, (_, o) => [Math.floor((o * n) / out), Math.ceil(((o + 1) * n) / out)])
}

function outputSize(name: string, x: Tensor, rank: number, given: OutputSize): number[] {
  const list = typeof given === 'number' ? Array.from({ length: rank }, () => given) : [...given]
  if (list.length !== rank) {
    throw new RuntimeError(
      rank === 1
        ? `${name}() argument 'output_size' should contain one int (got ${list.length})`
        : `${name}: output_size must be ${rank}`,
    )
  }
  if (x.ndim < rank + 1 && rank > 1) throw new ValueError(`Input dimension should be at least ${rank + 1}`)
  if (x.ndim !== rank + 1 && x.ndim !== rank + 2) {
    throw new RuntimeError(
      rank === 1
        ? `Expected 2 to 3 dimensions, but got ${x.ndim}-dimensional tensor for argument #1 'self' (while checking arguments for ${name})`
        : `${name}(): Expected ${rank + 1}D or ${rank + 2}D tensor, but got [${x.sizes.join(', ')}]`,
    )
  }
  const input = x.sizes.slice(x.ndim - rank)
  const size = list.map((n, i) => n ?? input[i])
  if (size.some((n) => n < 0)) {
    throw new RuntimeError(
      `${name}: elements of output_size must be greater than or equal to 0 but received {${size.join(', ')}}`,
    )
  }
  x.sizes.forEach((n, i) => {
    if (n === 0 && !(i === 0 && x.ndim === rank + 2)) {
      throw new RuntimeError(
        `${name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes [${x.sizes.join(', ')}] with dimension ${i} being empty`,
      )
    }
  })
  if (!x.dtype.isFloatingPoint) throw new NotImplementedError(`"${name}" not implemented for '${x.dtype.title}'`)
  return size
}

/** The windows as those of plain pooling, where they are all alike and small enough; else null. */
function even(x: Tensor, rank: number, size: Sizes): Windows | null {
  const input = x.sizes.slice(x.ndim - rank)
  if (input.some((n, i) => size[i] === 0 || n % size[i] !== 0)) return null
  const kernel = input.map((n, i) => n / size[i])
  if (numelOf(kernel) > SMALL_WINDOW) return null
  const three = (list: Sizes, fill: number) =>
    [...Array.from({ length: 3 - rank }, () => fill), ...list] as unknown as Windows['input']
  const lead = x.sizes.slice(0, x.ndim - rank)
  return {
    rank,
    planes: numelOf(lead),
    input: three(input, 1),
    output: three(size, 1),
    kernel: three(kernel, 1),
    stride: three(kernel, 1),
    pad: [0, 0, 0],
    dilation: [1, 1, 1],
    sizes: [...lead, ...size],
  }
}

function meanTaps(n: number, out: number): Taps | null {
  if (n === out) return null
  const list = windows(n, out)
  return {
    from: n,
    at: list.map(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i)),
    weights: list.map(([start, end]) => Array.from({ length: end - start }, () => 1 / (end - start))),
  }
}

type AdaptiveAvg = (x: Tensor, outputSize: OutputSize) => Tensor

function adaptiveAvg(rank: number): AdaptiveAvg {
  const name = `adaptive_avg_pool${rank}d`
  const node = `AdaptiveAvgPool${Math.max(rank, 2)}DBackward`
  return op({
    name: `adaptiveAvgPool${rank}d`,
    ...(rank === 1 ? { lastNode: 'SqueezeBackward1' } : {}),
    python: `nn.functional.${name}`,
    signature: 'input, output_size',
    differentiable: true,
    samples: (t) => {
      const x = (): Tensor => t(2, ...[4, 5, 6].slice(-rank))
      return [
        [x(), 1],
        [x(), [2, 3, 4].slice(-rank)],
        [x(), [null, 5, 3].slice(-rank)],
        [x(), [5, 7, 8].slice(-rank)],
      ]
    },
    forward: (x: Tensor, given: OutputSize) => {
      const size = outputSize(name, x, rank, given)
      const dims = size.map((_, i) => x.ndim - rank + i)
      if (size.every((n) => n === 1)) return mean(x, dims, true)
      const w = even(x, rank, size)
      if (w) {
        const divisors = w.kernel.map((n, i) => Array.from({ length: w.output[i] }, () => n))
        return averaged(x, w, divisors, `${node}0`)
      }
      const taps = dims.map((dim, i) => meanTaps(x.sizes[dim], size[i]))
      return resampled(x, taps, node)
    },
  })
}

/** The mean of `outputSize` windows of [N, C, L] or [C, L]. */
export const adaptiveAvgPool1d: AdaptiveAvg = adaptiveAvg(1)
/** As `adaptiveAvgPool1d` for [N, C, H, W] or [C, H, W]. */
export const adaptiveAvgPool2d: AdaptiveAvg = adaptiveAvg(2)
/** As `adaptiveAvgPool1d` for [N, C, D, H, W] or [C, D, H, W]. */
export const adaptiveAvgPool3d: AdaptiveAvg = adaptiveAvg(3)

const kernels = new Map<string, Kernel>()
const CHUNK = 12

/** Takes `n` elements of a row into the largest so far: positions of rows and columns come from tables. */
function kernelOf(dtype: DType, n: number, first: boolean): Kernel {
  const key = `${dtype.name} ${n} ${first}`
  let kernel = kernels.get(key)
  if (!kernel) {
    const type = dtype.compute
    const read = (of: DType, per: Arg['per']): Arg => ({ dtype: of, mode: 'read', per })
    const mode = first ? 'write' : 'update'
    const row = k.add(load(1, 'i32'), scalar(0, 'i32'))
    const places = Array.from({ length: n }, (_, i) => k.add(row, load(i + 2, 'i32')))
    const values = places.map((p) => gather(0, type, p))
    let best = first ? values[0] : load(n + 2, type)
    let at = first ? places[0] : k.cast(load(n + 3, 'i64'), 'i32')
    for (let i = first ? 1 : 0; i < n; i++) {
      at = k.select(k.or(k.gt(values[i], best), k.ne(values[i], values[i])), places[i], at)
      best = k.max(best, values[i])
    }
    kernel = mapKernel(
      'adaptiveMaxPool',
      [
        read(dtype, 'element'),
        read(int32, 'row'),
        ...Array.from({ length: n }, () => read(int32, 'element')),
        { dtype, mode, per: 'element' },
        { dtype: int64, mode, per: 'element' },
      ],
      ['i32'],
      [
        { arg: n + 2, value: best },
        { arg: n + 3, value: k.cast(at, 'i64') },
      ],
    )
    kernels.set(key, kernel)
  }
  return kernel
}

/** The largest of each window, and its int64 position in the plane. */
function largest(x: Tensor, rank: number, size: Sizes): { out: Tensor; at: Tensor } {
  const w = even(x, rank, size)
  if (w) return windowMax(x, w, int64) as { out: Tensor; at: Tensor }
  const lead = x.sizes.slice(0, x.ndim - rank)
  const out = empty([...lead, ...size], x.dtype)
  const at = empty([...lead, ...size], int64)
  if (out.count === 0) return { out, at }
  const source = x.contiguousLayout ? x : x.detach().contiguous()
  const pad = Array.from({ length: 3 - rank }, () => 1)
  const [depth, height, width] = [...pad, ...x.sizes.slice(x.ndim - rank)]
  const [depths, rows, columns] = [...pad, ...size]
  const [dd, hh, ww] = [windows(depth, depths), windows(height, rows), windows(width, columns)]
  const most = (list: [number, number][]): number => list.reduce((a, [start, end]) => Math.max(a, end - start), 0)
  // Shorter windows take their last element again, which changes nothing.
  const tables = (list: [number, number][], unit: number): Tensor[] =>
    Array.from({ length: most(list) }, (_, t) =>
      table(
        list.map(([start, end]) => Math.min(start + t, end - 1) * unit),
        int32,
      ),
    )
  const [rowTables, columnTables] = [tables(hh, width), tables(ww, 1)]
  const plane = rows * columns
  const step = x.dtype.itemsize
  const strides = (bytes: number) => [depths * plane * bytes, columns * bytes, bytes] as const
  dd.forEach(([start, end], d) => {
    let first = true
    for (let z = start; z < end; z++) {
      for (const row of rowTables) {
        for (let c = 0; c < columnTables.length; c += CHUNK) {
          const some = columnTables.slice(c, c + CHUNK)
          device().launch(
            kernelOf(x.dtype, some.length, first),
            [numelOf(lead), rows, columns],
            [
              source.pointer,
              row.pointer,
              ...some.map((t) => t.pointer),
              out.pointer + d * plane * step,
              at.pointer + d * plane * 8,
            ],
            [
              [depth * height * width * step, 0, step],
              [0, 4, 0],
              ...some.map(() => [0, 0, 4] as const),
              strides(step),
              strides(8),
            ],
            [z * height * width],
          )
          first = false
        }
      }
    }
  })
  return { out, at }
}

/** An adaptive max pooling: a tensor, or with `returnIndices` values and their int64 positions in the planes. */
export interface AdaptiveMax {
  (x: Tensor, outputSize: OutputSize, returnIndices: true | { readonly returnIndices: true }): ValuesIndices
  (x: Tensor, outputSize: OutputSize, ...args: Args<[returnIndices?: boolean], { readonly returnIndices?: boolean }>): Tensor // biome-ignore format: an overload
}

function adaptiveMax(rank: number): AdaptiveMax {
  const name = `adaptive_max_pool${rank}d`
  const node = `AdaptiveMaxPool${Math.max(rank, 2)}DBackward`
  return op({
    name: `adaptiveMaxPool${rank}d`,
    ...(rank === 1 ? { lastNode: 'SqueezeBackward1' } : {}),
    python: `nn.functional.${name}`,
    signature: 'input, output_size, return_indices',
    differentiable: true,
    samples: (t) => {
      const x = (): Tensor => t(2, ...[4, 5, 6].slice(-rank))
      return [
        [x(), 1],
        [x(), [2, 3, 4].slice(-rank), true],
        [x(), [null, 5, 3].slice(-rank)],
      ]
    },
    forward: (x: Tensor, given: OutputSize, returnIndices = false) => {
      const size = outputSize(name, x, rank, given)
      const { out, at } = largest(x, rank, size)
      const { sizes } = x
      record(out, `${node}0`, [x], [at], (g, [index]) => [maxBackward(g, index, sizes)])
      return returnIndices ? valuesIndices(out, at) : out
    },
  }) as unknown as AdaptiveMax

  function maxBackward(g: Tensor, at: Tensor, sizes: Sizes): Tensor {
    const out = spread(g.detach(), at, sizes, rank, 'add')
    return record(out, `${node}Backward0`, [g], [at], (gg, [index]) => [chosen(gg, index, rank)])
  }
}

/** The largest of `outputSize` windows of [N, C, L] or [C, L]. */
export const adaptiveMaxPool1d: AdaptiveMax = adaptiveMax(1)
/** As `adaptiveMaxPool1d` for [N, C, H, W] or [C, H, W]. */
export const adaptiveMaxPool2d: AdaptiveMax = adaptiveMax(2)
/** As `adaptiveMaxPool1d` for [N, C, D, H, W] or [C, D, H, W]. */
export const adaptiveMaxPool3d: AdaptiveMax = adaptiveMax(3)
