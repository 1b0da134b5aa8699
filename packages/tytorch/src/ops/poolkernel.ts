// The kernels of pooling. Forward, every place of the window is an operand of its own, read with the windows' strides.
// Backward, the elements between two windows' starts are told apart (by phase): each phase gathers from the windows
// that cover it, so that nothing is scattered.
import { type DType, float32, int32, int64 } from '../base/dtype.ts'
import { contiguousStrides, type Sizes } from '../base/shape.ts'
import { constant, type Expr, k, load, position, scalar } from '../ir/expr.ts'
import { type Arg, type Kernel, mapKernel } from '../ir/kernel.ts'
import type { Num } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import { device } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { tensor } from './create.ts'
import { constantPadNd } from './pad.ts'
import type { Windows } from './poolshape.ts'

/** Places of the window that one kernel takes in; larger windows take several launches. */
const CHUNK = 12
const DEPTH = 0
const HEIGHT = 1
const WIDTH = 2

type Stride = readonly [number, number, number]

const kernels = new Map<string, Kernel>()
function cached(key: string, build: () => Kernel): Kernel {
  let kernel = kernels.get(key)
  if (!kernel) kernels.set(key, (kernel = build()))
  return kernel
}

const element = (dtype: DType, mode: Arg['mode'] = 'read'): Arg => ({ dtype, mode, per: 'element' })
const perRow = (dtype: DType): Arg => ({ dtype, mode: 'read', per: 'row' })
/** A vector of values for the rows or the columns of a launch. */
export const table = (values: readonly Num[], dtype: DType): Tensor => tensor([...values], { dtype })

/** The smallest value, which no element is below. */
export function lowest(dtype: DType): Num {
  if (dtype.isFloatingPoint) return Number.NEGATIVE_INFINITY
  if (dtype.name === 'uint8' || dtype.name === 'bool') return 0
  return -(2n ** BigInt(8 * dtype.itemsize - 1))
}

/** `x` as contiguous [planes, ...sizes] without history. */
function planes(x: Tensor, count: number, sizes: Sizes): Tensor {
  const whole = x.contiguousLayout ? x : x.detach().contiguous()
  const all = [count, ...sizes]
  return alias(whole, all, contiguousStrides(all), whole.offset)
}

/** Two neighbouring float32 values of a row, read as one int64: adjacent in memory where each alone is not. */
const low = (pair: Expr): Expr => k.bitcast(k.cast(pair, 'i32'), 'f32')
const high = (pair: Expr): Expr => k.bitcast(k.cast(k.shr(pair, 32), 'i32'), 'f32')
const paired = (a: Expr, b: Expr): Expr => {
  const wide = (e: Expr): Expr => k.cast(k.bitcast(e, 'i32'), 'i64')
  return k.or(k.and(wide(a), constant(0xffffffffn, 'i64')), k.shl(wide(b), 32))
}

/** A place of the window: its offset in the plane, in elements; `pair` also stands for the place to its right. */
interface Place {
  readonly offset: number
  /** Offset in the unpadded plane, for indices. */
  readonly index: number
  readonly pair: boolean
}

interface Source {
  readonly from: Tensor
  readonly sizes: readonly number[]
  readonly places: readonly Place[]
}

/** The input with borders of `fill` wide enough for all windows, and the places that the windows read. */
function sourceOf(x: Tensor, w: Windows, fill: Num): Source {
  const before = w.pad
  const after = w.input.map((n, i) =>
    Math.max(0, (w.output[i] - 1) * w.stride[i] + w.dilation[i] * (w.kernel[i] - 1) - before[i] - n + 1),
  )
  const pairs = x.dtype === float32 && w.stride[WIDTH] === 2 && w.dilation[WIDTH] === 1 && w.kernel[WIDTH] > 1
  let from = planes(x, w.planes, w.input)
  if ([...before, ...after].some((n) => n > 0)) {
    // Rows of even length let pairs be read.
    if (pairs && (w.input[WIDTH] + before[WIDTH] + after[WIDTH]) % 2 === 1) after[WIDTH]++
    const widths = [WIDTH, HEIGHT, DEPTH].flatMap((i) => [before[i], after[i]])
    from = noGrad(() => constantPadNd(from, widths, fill))
  }
  const [, , rows, columns] = from.sizes
  const byPairs = pairs && columns % 2 === 0 && from.offset % 2 === 0
  const places: Place[] = []
  for (let d = 0; d < w.kernel[DEPTH]; d++) {
    for (let h = 0; h < w.kernel[HEIGHT]; h++) {
      for (let c = 0; c < w.kernel[WIDTH]; c++) {
        const [dd, hh, cc] = [d * w.dilation[DEPTH], h * w.dilation[HEIGHT], c * w.dilation[WIDTH]]
        const pair = byPairs && c % 2 === 0 && c + 1 < w.kernel[WIDTH]
        places.push({
          offset: (dd * rows + hh) * columns + cc,
          index: (dd * w.input[HEIGHT] + hh) * w.input[WIDTH] + cc,
          pair,
        })
        if (pair) c++
      }
    }
  }
  return { from, sizes: from.sizes, places }
}

/** Calls `run` for each depth of the output with the byte offset of its windows in every plane of the source. */
function walkWindows(w: Windows, s: Source, run: (places: readonly Place[], depth: number, at: number) => void): void {
  const plane = s.sizes[2] * s.sizes[3] * s.from.dtype.itemsize
  for (let d = 0; d < w.output[DEPTH]; d++) {
    for (let c = 0; c < s.places.length; c += CHUNK) run(s.places.slice(c, c + CHUNK), d, d * w.stride[DEPTH] * plane)
  }
}

const readPlaces = (dtype: DType, places: readonly Place[]): Arg[] => places.map((p) => element(p.pair ? int64 : dtype))
const valuesOf = (dtype: DType, places: readonly Place[]): Expr[] =>
  places.flatMap((p, i) => {
    if (!p.pair) return [load(i, dtype.compute)]
    const both = load(i, 'i64')
    return [low(both), high(both)]
  })
const pattern = (places: readonly Place[]): string => places.map((p) => (p.pair ? 'p' : '-')).join('')
const last = (s: Source, places: readonly Place[]): boolean => places.at(-1) === s.places.at(-1)

/** Pointers and byte strides of a launch over [planes, rows, columns] of the output. */
class Operands {
  readonly pointers: number[] = []
  readonly strides: Stride[] = []

  add(pointer: number, stride: Stride): void {
    this.pointers.push(pointer)
    this.strides.push(stride)
  }

  addPlaces(w: Windows, s: Source, places: readonly Place[], at: number): void {
    const step = s.from.dtype.itemsize
    const [, depth, rows, columns] = s.sizes
    const stride: Stride = [depth * rows * columns * step, w.stride[HEIGHT] * columns * step, w.stride[WIDTH] * step]
    for (const p of places) this.add(s.from.pointer + at + p.offset * step, stride)
  }

  /** An output (or input) of the windows' shape, at depth `d`. */
  addWindows(w: Windows, t: Tensor, d: number): void {
    const [depth, rows, columns] = w.output
    const step = t.dtype.itemsize
    this.add(t.pointer + d * rows * columns * step, [depth * rows * columns * step, columns * step, step])
  }

  addRows(t: Tensor): void {
    this.add(t.pointer, [0, t.dtype.itemsize, 0])
  }

  addColumns(t: Tensor): void {
    this.add(t.pointer, [0, 0, t.dtype.itemsize])
  }
}

function maxKernel(dtype: DType, index: DType | null, places: readonly Place[], first: boolean, fix: boolean): Kernel {
  return cached(`max ${dtype.name} ${index?.name} ${pattern(places)} ${first} ${fix}`, () => {
    const type = dtype.compute
    const values = valuesOf(dtype, places)
    const n = places.length
    const mode = first ? 'write' : 'update'
    const args = [...readPlaces(dtype, places), element(dtype, mode)]
    let best = first ? values[0] : load(n, type)
    const rest = first ? values.slice(1) : values
    if (!index) {
      for (const v of rest) best = k.max(best, v)
      return mapKernel('maxPool', args, [], [{ arg: n, value: best }])
    }
    args.push(perRow(int32), element(index, mode))
    if (fix) args.push(perRow(int32), element(int32))
    const start = k.add(k.add(load(n + 1, 'i32'), scalar(0, 'i32')), k.mul(position(), scalar(1, 'i32')))
    const offsets = values.map((_, i) => scalar(i + 3, 'i32'))
    let at = first ? offsets[0] : k.sub(k.cast(load(n + 2, index.compute), 'i32'), start)
    rest.forEach((v, i) => {
      const larger = dtype.isFloatingPoint ? k.or(k.gt(v, best), k.ne(v, v)) : k.gt(v, best)
      at = k.select(larger, offsets[first ? i + 1 : i], at)
      best = dtype.isFloatingPoint ? k.max(best, v) : k.select(larger, v, best)
    })
    let found = k.add(at, start)
    if (fix) {
      const origin = k.add(k.add(load(n + 3, 'i32'), load(n + 4, 'i32')), scalar(2, 'i32'))
      found = k.select(k.eq(best, constant(lowest(dtype), type)), origin, found)
    }
    return mapKernel(
      'maxPoolWithIndices',
      args,
      Array.from({ length: values.length + 3 }, () => 'i32' as const),
      [
        { arg: n, value: best },
        { arg: n + 2, value: k.cast(found, index.compute) },
      ],
    )
  })
}

/** The first place of each window along a dimension that lies in the input. */
function firstInside(w: Windows, dim: 0 | 1 | 2): number[] {
  return Array.from({ length: w.output[dim] }, (_, o) => {
    const start = o * w.stride[dim] - w.pad[dim]
    return start < 0 ? start + Math.ceil(-start / w.dilation[dim]) * w.dilation[dim] : start
  })
}

/**
 * The largest element of each window, and with `index` (int32 or int64) where in its plane it lies. NaN counts as the
 * largest, the last one of several.
 */
export function windowMax(x: Tensor, w: Windows, index: DType | null): { out: Tensor; at: Tensor | null } {
  const out = empty(w.sizes, x.dtype)
  const at = index && empty(w.sizes, index)
  if (out.count === 0) return { out, at }
  const s = sourceOf(x, w, lowest(x.dtype))
  // A window of nothing but the smallest value must not be found in the border.
  const bordered = index !== null && s.from.count !== x.count
  const [, height, width] = w.input
  const rows = Array.from({ length: w.output[HEIGHT] }, (_, o) => (o * w.stride[HEIGHT] - w.pad[HEIGHT]) * width)
  const rowStarts = index && table(rows, int32)
  const rowFirst =
    bordered &&
    table(
      firstInside(w, HEIGHT).map((h) => h * width),
      int32,
    )
  const columnFirst = bordered && table(firstInside(w, WIDTH), int32)
  const depthFirst = firstInside(w, DEPTH)
  walkWindows(w, s, (places, d, offset) => {
    const fix = bordered && last(s, places)
    const kernel = maxKernel(x.dtype, index, places, places[0] === s.places[0], fix)
    const o = new Operands()
    o.addPlaces(w, s, places, offset)
    o.addWindows(w, out, d)
    const scalars: number[] = []
    if (at && rowStarts) {
      o.addRows(rowStarts)
      o.addWindows(w, at, d)
      if (fix && rowFirst && columnFirst) {
        o.addRows(rowFirst)
        o.addColumns(columnFirst)
      }
      const base = (d * w.stride[DEPTH] - w.pad[DEPTH]) * height * width - w.pad[WIDTH]
      scalars.push(base, w.stride[WIDTH], depthFirst[d] * height * width)
      for (const p of places) scalars.push(...(p.pair ? [p.index, p.index + 1] : [p.index]))
    }
    device().launch(kernel, [w.planes, w.output[HEIGHT], w.output[WIDTH]], o.pointers, o.strides, scalars)
  })
  return { out, at }
}

type Divisor = 'none' | 'one' | 'tables'

function sumKernel(dtype: DType, places: readonly Place[], first: boolean, divisor: Divisor): Kernel {
  return cached(`sum ${dtype.name} ${pattern(places)} ${first} ${divisor}`, () => {
    const type = dtype.compute
    const n = places.length
    const values = valuesOf(dtype, places)
    const start = first ? values : [load(n, type), ...values]
    let value = start.reduce((a, b) => k.add(a, b))
    const args = [...readPlaces(dtype, places), element(dtype, first ? 'write' : 'update')]
    if (divisor === 'tables') args.push(perRow(dtype), element(dtype))
    if (divisor === 'tables') value = k.div(value, k.mul(k.mul(load(n + 1, type), load(n + 2, type)), scalar(0, type)))
    else if (divisor === 'one') value = k.div(value, scalar(0, type))
    return mapKernel('avgPool', args, [type], [{ arg: n, value }])
  })
}

/** What the sum of a window is divided by: a factor for each dimension. */
export type Divisors = readonly (readonly number[])[]

const uniform = (list: readonly number[]): boolean => list.every((n) => n === list[0])

/** The sum of each window divided by the product of its divisors. */
export function windowMean(x: Tensor, w: Windows, divisors: Divisors): Tensor {
  const { dtype } = x
  const out = empty(w.sizes, dtype)
  if (out.count === 0) return out
  const s = sourceOf(x, w, 0)
  const scalarOf = (n: number): number | bigint => (dtype.compute === 'i64' ? BigInt(n) : n)
  const plain = uniform(divisors[HEIGHT]) && uniform(divisors[WIDTH])
  const rows = plain ? null : table(divisors[HEIGHT], dtype)
  const columns = plain ? null : table(divisors[WIDTH], dtype)
  walkWindows(w, s, (places, d, offset) => {
    const how = !last(s, places) ? 'none' : plain ? 'one' : 'tables'
    const o = new Operands()
    o.addPlaces(w, s, places, offset)
    o.addWindows(w, out, d)
    if (how === 'tables' && rows && columns) {
      o.addRows(rows)
      o.addColumns(columns)
    }
    const divisor = plain ? divisors[DEPTH][d] * divisors[HEIGHT][0] * divisors[WIDTH][0] : divisors[DEPTH][d]
    const kernel = sumKernel(dtype, places, places[0] === s.places[0], how)
    const extent = [w.planes, w.output[HEIGHT], w.output[WIDTH]] as const
    device().launch(kernel, extent, o.pointers, o.strides, [scalarOf(divisor)])
  })
  return out
}

/** Input positions stride * j + start, for j below `count`: each is covered by the windows j + `shifts`. */
interface Phase {
  readonly start: number
  readonly count: number
  readonly shifts: readonly number[]
}

function phasesOf(w: Windows, dim: 0 | 1 | 2): Phase[] {
  const [n, s, p] = [w.input[dim], w.stride[dim], w.pad[dim]]
  return Array.from({ length: Math.min(s, n) }, (_, start) => {
    const shifts: number[] = []
    for (let t = 0; t < w.kernel[dim]; t++) {
      const distance = start + p - t * w.dilation[dim]
      if (distance % s === 0) shifts.push(distance / s)
    }
    return { start, count: Math.ceil((n - start) / s), shifts }
  })
}

type Shift = readonly [number, number, number]

/** Which loads each phase of one launch takes: a store for each phase of height, of one phase of width or a pair. */
type Uses = readonly (readonly (readonly number[])[])[]

function gatherKernel(dtype: DType, index: DType | null, loads: number, uses: Uses, first: boolean): Kernel {
  return cached(`gather ${dtype.name} ${index?.name} ${loads} ${JSON.stringify(uses)} ${first}`, () => {
    const type = dtype.compute
    const zero = constant(0, type)
    const n = index ? 2 * loads : loads
    const args: Arg[] = Array.from({ length: loads }, () => element(dtype))
    if (index) args.push(...Array.from({ length: loads }, () => element(index)))
    const here = k.add(k.add(load(n + uses.length, 'i32'), scalar(0, 'i32')), k.mul(position(), scalar(1, 'i32')))
    const stores = uses.map((group, row) => {
      const totals = group.map((list, column) => {
        const below = row === 0 ? here : k.add(here, scalar(2, 'i32'))
        const own = column === 0 ? below : k.add(below, constant(1, 'i32'))
        const terms = list.map((i) => {
          const g = load(i, type)
          if (!index) return g
          return k.select(k.eq(k.cast(load(loads + i, index.compute), 'i32'), own), g, zero)
        })
        if (!first) terms.unshift(load(n + row, type))
        return terms.length ? terms.reduce((a, b) => k.add(a, b)) : zero
      })
      const pair = group.length === 2
      args.push(element(pair ? int64 : dtype, first ? 'write' : 'update'))
      return { arg: n + row, value: pair ? paired(totals[0], totals[1]) : totals[0] }
    })
    if (index) args.push(perRow(int32))
    return mapKernel('poolBackward', args, index ? ['i32', 'i32', 'i32'] : [], stores)
  })
}

/**
 * The adjoint of the windows: every input element's sum of `g` over the windows that it lies in, or with `at` (int32
 * or int64) over those where it was chosen.
 */
export function windowSpread(g: Tensor, at: Tensor | null, w: Windows, sizes: Sizes): Tensor {
  const out = empty(sizes, g.dtype)
  if (out.count === 0) return out
  const phases = ([DEPTH, HEIGHT, WIDTH] as const).map((dim) => phasesOf(w, dim))
  const border = phases.map((list, dim) => {
    const all = list.flatMap((p) => p.shifts.map((shift) => [-shift, p.count - 1 + shift - w.output[dim] + 1]))
    return [Math.max(0, ...all.map((b) => b[0])), Math.max(0, ...all.map((b) => b[1]))]
  })
  const widths = [WIDTH, HEIGHT, DEPTH].flatMap((dim) => border[dim])
  const bordered = widths.some((n) => n > 0)
  const framed = (t: Tensor): Tensor => {
    const seen = planes(t, w.planes, w.output)
    return bordered ? noGrad(() => constantPadNd(seen, widths, 0)) : seen
  }
  const grads = framed(g)
  const index = at && framed(at)
  const [, depth, rows, columns] = grads.sizes
  const [, height, width] = w.input
  const longest = phases[HEIGHT][0].count
  const rowStarts =
    index &&
    table(
      Array.from({ length: longest }, (_, j) => j * w.stride[HEIGHT] * width),
      int32,
    )
  const step = g.dtype.itemsize
  const pairs = g.dtype === float32 && w.stride[WIDTH] === 2 && width % 2 === 0
  /** Launches one phase of depth with one or two of height and of width, at depth position j. */
  const run = (
    d: Phase,
    j: number,
    rowPhases: readonly Phase[],
    group: readonly Phase[],
    shifts: readonly Shift[],
    first: boolean,
  ): void => {
    const takes = (h: Phase, c: Phase): number[] =>
      shifts.flatMap((s, i) => (h.shifts.includes(s[HEIGHT]) && c.shifts.includes(s[WIDTH]) ? [i] : []))
    const uses = rowPhases.map((h) => group.map((c) => takes(h, c)))
    const kernel = gatherKernel(g.dtype, index?.dtype ?? null, shifts.length, uses, first)
    const o = new Operands()
    const place = (t: Tensor): void => {
      const bytes = t.dtype.itemsize
      const stride: Stride = [depth * rows * columns * bytes, columns * bytes, bytes]
      for (const s of shifts) {
        const [a, b, c] = s.map((n, dim) => n + border[dim][0])
        o.add(t.pointer + (((j + a) * rows + b) * columns + c) * bytes, stride)
      }
    }
    place(grads)
    if (index) place(index)
    const start = ((j * w.stride[DEPTH] + d.start) * height + rowPhases[0].start) * width + group[0].start
    const stride: Stride = [
      w.input[DEPTH] * height * width * step,
      w.stride[HEIGHT] * width * step,
      w.stride[WIDTH] * step,
    ]
    rowPhases.forEach((_, i) => {
      o.add(out.pointer + (start + i * width) * step, stride)
    })
    if (rowStarts) o.addRows(rowStarts)
    const scalars = index ? [start, w.stride[WIDTH], width] : []
    device().launch(kernel, [w.planes, rowPhases[0].count, group[0].count], o.pointers, o.strides, scalars)
  }
  const each = (list: readonly Phase[]): Phase[][] => list.map((p) => [p])
  const distinct = (list: readonly Phase[]): number[] => [...new Set(list.flatMap((p) => p.shifts))]
  const columnGroups = pairs ? [phases[WIDTH]] : each(phases[WIDTH])
  const rowGroups = w.stride[HEIGHT] === 2 && height % 2 === 0 ? [phases[HEIGHT]] : each(phases[HEIGHT])
  for (const d of phases[DEPTH]) {
    for (const rowGroup of rowGroups) {
      for (const group of columnGroups) {
        const shifts = d.shifts.flatMap((a) =>
          distinct(rowGroup).flatMap((b) => distinct(group).map((c): Shift => [a, b, c])),
        )
        for (let j = 0; j < d.count; j++) {
          if (shifts.length <= CHUNK) {
            run(d, j, rowGroup, group, shifts, true)
            continue
          }
          for (const h of rowGroup) {
            for (const p of group) {
              const own = shifts.filter((s) => h.shifts.includes(s[HEIGHT]) && p.shifts.includes(s[WIDTH]))
              for (let c = 0; c < Math.max(own.length, 1); c += CHUNK)
                run(d, j, [h], [p], own.slice(c, c + CHUNK), c === 0)
            }
          }
        }
      }
    }
  }
  return out
}
