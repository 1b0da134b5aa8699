// The routines of the WebAssembly device against the plain ones of the interpreter: random rows with NaN, infinities, zeros of
// both signs and duplicates, of many widths.
import { describe, expect, it } from 'vitest'
import { memory } from '../src/backend/memory.ts'
import type { Ordered, Rank, Routines, Scan } from '../src/backend/routines.ts'
import { devices } from './program.ts'

const [wasm, plain] = devices.map((d) => d.routines)
const TYPES: readonly Ordered[] = ['float32', 'float64', 'int32', 'int64']
const BYTES = { float32: 4, float64: 8, int32: 4, int64: 8 } as const
const WIDTHS = [1, 2, 3, 7, 8, 9, 33, 70, 1000]

let seed = 1
/** A number below `n`. */
function draw(n: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 2 ** 32) * n)
}

const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1, 1]
const VIEWS = { float32: 'f32', float64: 'f64', int32: 'i32', int64: 'i64' } as const

/** Writes `count` random elements; `how` says how they are spread. */
function fill(type: Ordered, at: number, count: number, how: 'few' | 'many' | 'special'): void {
  const data = memory.views[VIEWS[type]] as unknown as { [i: number]: number | bigint }
  for (let i = 0; i < count; i++) {
    const place = at / BYTES[type] + i
    const value = how === 'few' ? draw(5) - 2 : draw(2 ** 31) - 2 ** 30
    const special = how === 'special' && draw(3) === 0 ? SPECIAL[draw(7)] : value / 1000
    if (type === 'int64')
      data[place] = how === 'few' ? BigInt(value) : BigInt(draw(2 ** 31)) * 4294967296n - BigInt(value)
    else if (type === 'int32')
      data[place] = how === 'special' && draw(3) === 0 ? [2147483647, -2147483648][draw(2)] : value
    else data[place] = how === 'few' ? value : special
  }
}

/** What both write to `bytes` bytes, as elements of a type, and answer. */
function both(bytes: number, run: (routines: Routines, to: number) => unknown, type: Ordered = 'int32'): void {
  const to = memory.alloc(bytes + 64)
  const results = [wasm, plain].map((routines) => {
    memory.views.u8.fill(7, to, to + bytes + 64)
    const answer = run(routines, to)
    const size = BYTES[type]
    return { answer, elements: memory.views[VIEWS[type]].slice(to / size, (to + bytes + 64) / size) }
  })
  memory.release(to, bytes + 64)
  expect(results[0]).toEqual(results[1])
}

function rowsOf(
  type: Ordered,
  rows: number,
  width: number,
  how: 'few' | 'many' | 'special',
  run: (from: number) => void,
): void {
  // Not aligned to a vector.
  const from = memory.alloc(rows * width * BYTES[type] + 8)
  fill(type, from + 8, rows * width, how)
  run(from + 8)
  memory.release(from, rows * width * BYTES[type] + 8)
}

const HOWS = ['few', 'many', 'special'] as const

describe.each(TYPES)('%s', (type) => {
  it('order', () => {
    for (const width of WIDTHS) {
      for (const how of HOWS) {
        rowsOf(type, 3, width, how, (from) => {
          for (const k of new Set([1, 2, 3, 8, 33, width >> 2, width >> 1, width].filter((k) => k > 0 && k <= width))) {
            for (const descending of [false, true])
              both(3 * k * 8, (r, to) => r.order(type, { from, to, rows: 3, width, k, descending }))
          }
        })
      }
    }
  })

  it('rank', () => {
    for (const width of WIDTHS) {
      for (const how of HOWS) {
        rowsOf(type, 3, width, how, (from) => {
          for (const rank of ['median', 'nanmedian', 'mode', 0, width - 1, width >> 1, width >> 2] as Rank[]) {
            both(3 * 8, (r, to) => r.rank(type, { from, to, rows: 3, width, rank }))
          }
        })
      }
    }
  })

  it('groups', () => {
    for (const width of WIDTHS) {
      for (const how of HOWS) {
        rowsOf(type, 1, width, how, (from) => {
          for (const sorted of [false, true]) {
            for (const asked of [false, true]) {
              both(3 * width * 8, (r, first) => {
                const [counts, inverse] = asked ? [first + width * 8, first + 2 * width * 8] : [0, 0]
                const found = r.groups(type, { from, count: width, sorted, first, counts, inverse })
                // What lies behind the groups may be anything.
                memory.views.u8.fill(7, first + found * 8, first + width * 8)
                if (asked) memory.views.u8.fill(7, counts + found * 8, inverse)
                return found
              })
            }
          }
        })
      }
    }
  })

  it('scan', () => {
    for (const how of ['add', 'mul', 'max', 'min'] as Scan[]) {
      if (type === 'int32' && (how === 'add' || how === 'mul')) continue // sums of integers are int64
      for (const [outer, n, inner] of [
        [1, 1, 1],
        [5, 9, 1],
        [4, 33, 1],
        [9, 3, 1],
        [1, 1000, 1],
        [1, 7, 5],
        [3, 9, 16],
        [2, 4, 39],
      ]) {
        for (const spread of HOWS) {
          rowsOf(type, outer * n, inner, spread, (from) => {
            const kept = how === 'add' || how === 'mul' ? type : 'int64'
            const bytes = outer * n * inner * BYTES[kept]
            both(bytes, (r, to) => r.scan(type, how, { from, to, outer, n, inner }), kept)
          })
        }
      }
    }
  })
})

it('rescale', () => {
  for (const [outer, n, inner] of [
    [1, 1, 1],
    [5, 9, 1],
    [3, 7, 5],
    [300, 200, 1],
    [2, 40, 900],
  ]) {
    const count = outer * n * inner
    const run = (r: Routines, to: number): void => {
      seed = 3
      for (let i = 0; i < count; i++) memory.views.f64[to / 8 + i] = draw(50) === 0 ? -0 : (draw(200) - 100) / 100
      r.rescale({ to, outer, n, inner })
    }
    both(8 * count, run, 'float64')
  }
})

describe('put', () => {
  const DTYPES = ['float32', 'float64', 'int32', 'int64', 'int16', 'uint8', 'bool', 'float16'] as const
  const SIZES = { float32: 4, float64: 8, int32: 4, int64: 8, int16: 2, uint8: 1, bool: 1, float16: 2 } as const
  /** [sizes, strides of target, index and source, unit, size of the dimension] */
  const PLANS = [
    [[7], [0], [1], [1], 1, 9],
    [[5, 9], [12, 0], [9, 1], [9, 1], 1, 12],
    [[5, 9], [0, 1], [9, 1], [9, 1], 12, 5],
    [[6, 40], [0, 1], [1, 0], [40, 1], 40, 4],
    [[6, 7], [0, 1], [1, 0], [7, 1], 7, 4],
    [[2, 6, 33], [132, 0, 1], [0, 1, 0], [198, 33, 1], 33, 4],
    [[2, 3, 4], [24, 8, 0], [12, 4, 1], [0, 0, 0], 2, 4],
    [[4, 3, 2, 5], [30, 0, 5, 1], [0, 1, 0, 0], [1, 4, 12, 24], 10, 3],
    [[1], [0], [0], [0], 3, 4],
  ] as const

  it.each(DTYPES)('%s', (dtype) => {
    const bytes = SIZES[dtype]
    for (const [sizes, toStrides, indexStrides, fromStrides, unit, size] of PLANS) {
      for (const how of ['set', 'add', 'mul', 'max', 'min'] as const) {
        for (const wide of [false, true]) {
          const [index, from, start] = [0, 1, 2].map(() => memory.alloc(4096))
          const { i32, i64, u8, f32, f64 } = memory.views
          for (let i = 0; i < 400; i++) {
            const p = draw(2 * size) - size
            if (wide) i64[index / 8 + i] = BigInt(p)
            else i32[index / 4 + i] = p
          }
          for (const at of [from, start]) {
            if (dtype === 'float32')
              for (let i = 0; i < 512; i++) f32[at / 4 + i] = draw(9) ? draw(100) - 50 : SPECIAL[draw(7)]
            else if (dtype === 'float64')
              for (let i = 0; i < 512; i++) f64[at / 8 + i] = draw(9) ? draw(100) - 50 : SPECIAL[draw(7)]
            else
              for (let i = 0; i < 4096; i++)
                u8[at + i] = dtype === 'bool' ? draw(2) : dtype === 'float16' ? draw(60) : draw(256)
          }
          const run = (r: Routines, to: number): void => {
            u8.copyWithin(to, start, start + 512 * bytes)
            r.put(dtype, how, { to, index, from, wide, sizes, toStrides, indexStrides, fromStrides, unit, size })
          }
          both(512 * bytes, run, dtype === 'float32' || dtype === 'float64' ? dtype : 'int32')
          for (const at of [index, from, start]) memory.release(at, 4096)
        }
      }
    }
  })

  it('gives the same on threads, which part what they write', () => {
    const n = 300
    const [index, from] = [memory.alloc(4 * n * n), memory.alloc(4 * n * n)]
    for (let i = 0; i < n * n; i++) {
      memory.views.i32[index / 4 + i] = draw(n)
      memory.views.f32[from / 4 + i] = draw(1000) / 7
    }
    for (const strides of [
      [n, 0],
      [0, 1],
    ]) {
      const rows = { sizes: [n, n], toStrides: strides, indexStrides: [n, 1], fromStrides: [n, 1] }
      const run = (r: Routines, to: number): void => {
        memory.views.f32.fill(1, to / 4, to / 4 + n * n)
        r.put('float32', 'add', { to, index, from, wide: false, ...rows, unit: strides[0] === 0 ? n : 1, size: n })
      }
      both(4 * n * n, run, 'float32')
    }
  })
})

describe('masks', () => {
  it.each([0, 1, 2, 3, 7, 8, 9, 64, 1000])('%i elements', (n) => {
    for (const share of [2, 10, 1, 0]) {
      const [mask, from] = [memory.alloc(n + 8), memory.alloc(8 * n + 8)]
      const { u8 } = memory.views
      for (let i = 0; i < n; i++) u8[mask + i] = share === 0 ? 0 : Number(draw(share) === 0)
      for (let i = 0; i < 8 * n; i++) u8[from + i] = draw(256)
      const count = plain.count(mask, n)
      both(0, (r) => r.count(mask, n))
      const shapes = n === 1000 ? [[1000], [8, 125], [1, 50, 20], [10, 10, 1, 10]] : [[n], [n, 1], [1, n]]
      for (const sizes of shapes) both(count * sizes.length * 8, (r, to) => r.coordinates(mask, sizes, count, to))
      for (const bytes of [1, 2, 4, 8]) {
        both(count * bytes, (r, to) => r.compress(bytes, mask, n, from, to))
        both(n * bytes, (r, to) => r.spread(bytes, mask, n, from, to))
      }
      memory.release(mask, n + 8)
      memory.release(from, 8 * n + 8)
    }
  })
})

describe('counting and looking up', () => {
  it('range and tally', () => {
    for (const n of [1, 2, 3, 8, 9, 1000]) {
      rowsOf('int64', 1, n, 'many', (from) => both(0, (r) => r.range(from, n)))
      rowsOf('int64', 1, n, 'few', (from) => {
        for (let i = 0; i < n; i++) memory.views.i64[from / 8 + i] += 2n
        const run = (r: Routines, to: number): void => {
          memory.views.i64.fill(0n, to / 8, to / 8 + 5)
          r.tally(from, n, to)
        }
        both(40, run)
      })
    }
  })

  it.each(['float32', 'float64'] as const)('bins of %s', (type) => {
    for (const how of HOWS) {
      rowsOf(type, 1, 500, how, (from) => {
        for (const [bins, low, high] of [
          [10, -2, 2],
          [1, 0, 1],
          [64, -1e6, 1e6],
        ]) {
          const run = (r: Routines, to: number): void => {
            memory.views.i32.fill(0, to / 4, to / 4 + bins)
            r.bins(type, { from, count: 500, to, bins, low, high })
          }
          both(4 * bins, run)
        }
      })
    }
  })

  it.each(TYPES)('search in %s', (type) => {
    for (const width of [0, 1, 2, 3, 8, 9, 1000]) {
      for (const how of HOWS) {
        rowsOf(type, 2, width + 50, how, (from) => {
          const values = from + 2 * width * BYTES[type]
          const data = memory.views[VIEWS[type]]
          for (const r of [0, 1])
            data.subarray(from / BYTES[type] + r * width, from / BYTES[type] + (r + 1) * width).sort()
          for (const right of [false, true]) {
            const args = { sorted: from, width, from: values, right }
            both(100 * 8, (r, to) => r.search(type, { ...args, count: 100, each: 50, to }))
            both(100 * 8, (r, to) => r.search(type, { ...args, count: 100, each: Number.POSITIVE_INFINITY, to }))
          }
        })
      }
    }
  })
})
