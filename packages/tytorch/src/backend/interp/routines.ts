// The routines of backend/routines.ts in plain TypeScript: slow, and the definition of what they do.
import { memory } from '../memory.ts'
import { dtypeOf, put, type Value, viewOf } from '../put.ts'
import type { BinsArgs, GroupArgs, OrderArgs, Ordered, RankArgs, Rescale, Routines, Scan, ScanArgs, SearchArgs } from '../routines.ts' // biome-ignore format: one list

const isNan = (v: Value): boolean => Number.isNaN(v)

/** Negative if `a` comes before `b`. */
function compare(a: Value, b: Value): number {
  if (isNan(a) || isNan(b)) return Number(isNan(a)) - Number(isNan(b))
  return a < b ? -1 : a > b ? 1 : 0
}

/** The elements of `count` from byte `at` on. */
function elementsAt(type: Ordered, at: number, count: number): Value[] {
  const data = viewOf(type)
  const start = at / dtypeOf(type).itemsize
  return Array.from({ length: count }, (_, i) => data[start + i])
}

function orderOf(values: readonly Value[], descending = false): number[] {
  const sign = descending ? -1 : 1
  return values.map((_, i) => i).sort((i, j) => sign * compare(values[i], values[j]) || i - j)
}

function write(to: number, positions: readonly number[]): void {
  const { i64 } = memory.views
  for (const [i, p] of positions.entries()) i64[to / 8 + i] = BigInt(p)
}

function order(type: Ordered, { from, to, rows, width, k, descending }: OrderArgs): void {
  const bytes = width * dtypeOf(type).itemsize
  for (let r = 0; r < rows; r++) {
    write(to + r * k * 8, orderOf(elementsAt(type, from + r * bytes, width), descending).slice(0, k))
  }
}

function rank(type: Ordered, { from, to, rows, width, rank }: RankArgs): void {
  const bytes = width * dtypeOf(type).itemsize
  for (let r = 0; r < rows; r++) {
    const values = elementsAt(type, from + r * bytes, width)
    const order = orderOf(values)
    const numbers = values.filter((v) => !isNan(v)).length
    let place = (width - 1) >> 1
    if (typeof rank === 'number') place = rank
    else if (rank === 'mode') place = modeOf(values, order)
    else if (rank === 'median' && numbers < width) place = numbers
    else if (numbers > 0) place = (numbers - 1) >> 1
    write(to + r * 8, [order[place]])
  }
}

/** The place in the order at which the longest run of equal elements ends. */
function modeOf(values: readonly Value[], order: readonly number[]): number {
  let [best, found, run] = [0, 0, 0]
  for (const [i, p] of order.entries()) {
    run = i > 0 && compare(values[order[i - 1]], values[p]) === 0 ? run + 1 : 1
    if (run > best) {
      best = run
      found = i
    }
  }
  return found
}

function groups(type: Ordered, { from, count, sorted, first, counts, inverse }: GroupArgs): number {
  const values = elementsAt(type, from, count)
  const order = sorted ? orderOf(values) : values.map((_, i) => i)
  const starts: number[] = []
  const sizes: number[] = []
  const group: number[] = []
  for (const [i, p] of order.entries()) {
    if (i > 0 && !isNan(values[p]) && compare(values[order[i - 1]], values[p]) === 0) sizes[sizes.length - 1]++
    else {
      starts.push(p)
      sizes.push(1)
    }
    group[p] = starts.length - 1
  }
  write(first, starts)
  if (counts) write(counts, sizes)
  if (inverse) write(inverse, group)
  return starts.length
}

function scan(type: Ordered, how: Scan, { from, to, outer, n, inner }: ScanArgs): void {
  const data = viewOf(type)
  const [a, b] = [from / dtypeOf(type).itemsize, to / dtypeOf(type).itemsize]
  const { i64 } = memory.views
  const long = type === 'int64'
  for (let row = 0; row < outer * inner; row++) {
    const start = Math.floor(row / inner) * n * inner + (row % inner)
    let total: Value = how === 'mul' ? 1 : 0
    let best = 0
    for (let i = 0; i < n; i++) {
      const at = start + i * inner
      const value = data[a + at]
      if (how === 'add' || how === 'mul') {
        if (long)
          total = BigInt.asIntN(64, how === 'mul' ? BigInt(total) * BigInt(value) : BigInt(total) + BigInt(value))
        else total = how === 'mul' ? Number(total) * Number(value) : Number(total) + Number(value)
        data[b + at] = total
        continue
      }
      const known = data[a + start + best * inner]
      if (isNan(value) || (how === 'max' ? value >= known : value <= known)) best = i
      i64[to / 8 + at] = BigInt(best)
    }
  }
}

function rescale({ to, outer, n, inner }: Rescale): void {
  const { f64 } = memory.views
  for (let row = 0; row < outer * inner; row++) {
    let total = -1
    for (let i = 0; i < n; i++) {
      const at = to / 8 + Math.floor(row / inner) * n * inner + (row % inner) + i * inner
      const v = f64[at]
      total = v < 0 || Object.is(v, -0) ? -v * (1 + total) : total + v
      f64[at] = total
    }
  }
}

function count(mask: number, n: number): number {
  let found = 0
  for (let i = 0; i < n; i++) found += memory.views.u8[mask + i]
  return found
}

function coordinates(mask: number, sizes: readonly number[], _count: number, to: number): void {
  const { u8, i64 } = memory.views
  const n = sizes.reduce((a, b) => a * b, 1)
  let at = to / 8
  for (let i = 0; i < n; i++) {
    if (u8[mask + i] === 0) continue
    let rest = i
    for (let d = sizes.length - 1; d >= 0; d--) {
      i64[at + d] = BigInt(rest % sizes[d])
      rest = Math.floor(rest / sizes[d])
    }
    at += sizes.length
  }
}

function compress(bytes: number, mask: number, n: number, from: number, to: number): void {
  const { u8 } = memory.views
  for (let i = 0, at = to; i < n; i++) {
    if (u8[mask + i] === 0) continue
    u8.copyWithin(at, from + i * bytes, from + (i + 1) * bytes)
    at += bytes
  }
}

function spread(bytes: number, mask: number, n: number, from: number, to: number): void {
  const { u8 } = memory.views
  for (let i = 0, at = from; i < n; i++) {
    if (u8[mask + i] === 0) continue
    u8.copyWithin(to + i * bytes, at, at + bytes)
    at += bytes
  }
}

function range(from: number, n: number): [number, number] {
  const values = elementsAt('int64', from, n).map(Number)
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
}

function tally(from: number, n: number, to: number): void {
  const { i64 } = memory.views
  for (let i = 0; i < n; i++) i64[to / 8 + Number(i64[from / 8 + i])]++
}

function bins(type: 'float32' | 'float64', { from, count, to, bins, low, high }: BinsArgs): void {
  for (const v of elementsAt(type, from, count) as number[]) {
    if (v >= low && v <= high)
      memory.views.i32[to / 4 + Math.min(Math.floor(((v - low) * bins) / (high - low)), bins - 1)]++
  }
}

function search(type: Ordered, { sorted, width, from, count, each, right, to }: SearchArgs): void {
  const data = viewOf(type)
  const { itemsize } = dtypeOf(type)
  const values = elementsAt(type, from, count)
  const before = (element: Value, v: Value): boolean => !isNan(element) && (right ? !(element > v) : !(element >= v))
  const found = values.map((v, i) => {
    const row = sorted / itemsize + Math.floor(i / each) * width
    let [low, high] = [0, width]
    while (low < high) {
      const middle = (low + high) >> 1
      if (before(data[row + middle], v)) low = middle + 1
      else high = middle
    }
    return low
  })
  write(to, found)
}

/** Them all. */
export const routines: Routines = { order, rank, groups, scan, rescale, put, count, coordinates, compress, spread, range, tally, bins, search } // biome-ignore format: one list
