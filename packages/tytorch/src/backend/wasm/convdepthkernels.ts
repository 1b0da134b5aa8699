// The kernels of depthwise convolution: one plane by one small window. Eight or so neighbouring pixels are a vector; taps are
// unrolled, and so are some lines, which share what they read. Steps are in bytes.
import { type Func, I32, i32, type Module, v128 } from './assembler.ts'
import { countdown, type Element, grid, integers, load, multiplyAdd, setSum, store, vectors } from './element.ts'

/** 16-byte vectors of a tile. */
const vectorsOf = (element: Element): number => element.vectors / 2
/** Pixels of a tile. */
export const pixelsOf = (element: Element): number => vectorsOf(element) * element.lanes

/**
 * How a window lies: taps in a line and lines of taps, and how far apart they are. With a step of 2 along a line, a line of x
 * holds its even elements and, `half` bytes on, its odd ones.
 */
export interface Reach {
  readonly lines: number
  readonly taps: number
  readonly lineGap: number
  readonly tapGap: number
  readonly lineStep: number
  readonly tapStep: number
}

/** Lines computed together, and weights kept in registers beside their sums. */
const LINES = 4
export const MOST_KEPT = 9

/**
 * y from x. A line has `tiles` tiles, of which the first begins `last` bytes after the line and the others, from the end on,
 * at multiples of their size. Weights lie one after another at w, and sums start from the element at `init`.
 */
export type DepthBlock = (
  lines: number,
  tiles: number,
  last: number,
  x: number,
  xLine: number,
  half: number,
  w: number,
  y: number,
  yLine: number,
  init: number,
) => void

/** Runs `body` for the places of a line's tiles, as `DepthBlock` says. */
function eachTile(
  f: Func,
  tiles: number,
  last: number,
  left: number,
  at: number,
  bytes: number,
  body: () => void,
): void {
  f.get(tiles).set(left).get(last).set(at)
  countdown(f, left, 1, () => {
    body()
    f.get(left)
      .i32(bytes)
      .op(i32.mul)
      .i32(2 * bytes)
      .op(i32.sub)
      .set(at)
  })
}

/** Adds a `DepthBlock`, exported as `run`, for tiles of `across` times `pixelsOf` pixels. */
export function emitDepth(module: Module, element: Element, reach: Reach, across: number): void {
  const width = across * vectorsOf(element)
  const { bytes } = element
  const f = module.func('run', Array(10).fill(I32))
  const [lines, tiles, last, x, xLine, half, w, y, yLine, init] = Array(10).keys()
  const [left, at, from, odd, to] = integers(f, 5)
  const count = reach.lines * reach.taps
  const kept = count <= MOST_KEPT ? vectors(f, count) : []
  for (const [i, splat] of kept.entries()) load(f, element.splat, w, [splat], i * bytes)
  const [splat] = vectors(f, 1)
  const read = vectors(f, width)
  const sums = grid(f, LINES, width)
  const start = vectors(f, width)
  for (const v of start) load(f, element.splat, init, [v])
  for (const rows of [LINES, 1]) {
    const some = sums.slice(0, rows)
    countdown(f, lines, rows, () => {
      eachTile(f, tiles, last, left, at, width * 16, () => {
        setSum(f, from, x, at)
        setSum(f, to, y, at)
        for (const sum of some) for (const [i, v] of sum.entries()) f.get(start[i]).set(v)
        eachLine(f, reach, rows, reach.lines, xLine, half, from, odd, (pointer, offset, t, meets) => {
          load(f, v128.load, pointer, read, offset * bytes)
          for (const { row, tapLine } of meets) {
            const tap = tapLine * reach.taps + t
            if (kept.length === 0) load(f, element.splat, w, [splat], tap * bytes)
            multiplyAdd(f, element, some[row], kept.length > 0 ? kept[tap] : splat, read)
          }
        })
        for (const [r, sum] of some.entries()) {
          if (r > 0) setSum(f, to, to, yLine)
          store(f, to, sum)
        }
      })
      for (let i = 0; i < rows * reach.lineStep; i++) setSum(f, x, x, xLine)
      for (let i = 0; i < rows; i++) setSum(f, y, y, yLine)
    })
  }
}

/**
 * The weight's gradient of one plane: adds products of x with g to the vectors at `sums`. Tiles are those of `DepthBlock`; at
 * `mask` are the bits of the first one that count, then those of the others.
 */
export type DepthWeights = (
  lines: number,
  tiles: number,
  last: number,
  x: number,
  xLine: number,
  half: number,
  g: number,
  gLine: number,
  mask: number,
  sums: number,
) => void

/** Lines of g whose products are summed together. */
const PAIRED = 2

/** Adds a `DepthWeights`, exported as `run`, for the window's lines of taps from `first` to `end`. */
export function emitDepthWeights(module: Module, element: Element, reach: Reach, first: number, end: number): void {
  const width = vectorsOf(element)
  const f = module.func('run', Array(10).fill(I32))
  const [lines, tiles, last, x, xLine, half, g, gLine, mask, sums] = Array(10).keys()
  const [left, at, from, odd, bits] = integers(f, 5)
  const all = grid(f, (end - first) * reach.taps, width)
  const read = vectors(f, width)
  const values = grid(f, PAIRED, width)
  const counted = vectors(f, width)
  for (const [i, sum] of all.entries()) load(f, v128.load, sums, sum, (first * reach.taps + i) * width * 16)
  for (let i = 0; i < first * reach.lineGap; i++) setSum(f, x, x, xLine)
  for (const rows of [PAIRED, 1]) {
    countdown(f, lines, rows, () => {
      f.get(mask).set(bits)
      eachTile(f, tiles, last, left, at, width * 16, () => {
        setSum(f, from, g, at)
        load(f, v128.load, bits, counted)
        for (const value of values.slice(0, rows)) {
          load(f, v128.load, from, value)
          for (const [i, v] of value.entries()) f.get(v).get(counted[i]).op(v128.and).set(v)
          setSum(f, from, from, gLine)
        }
        f.get(mask)
          .i32(width * 16)
          .op(i32.add)
          .set(bits)
        setSum(f, from, x, at)
        eachLine(f, reach, rows, end - first, xLine, half, from, odd, (pointer, offset, t, meets) => {
          load(f, v128.load, pointer, read, offset * element.bytes)
          for (const { row, tapLine } of meets)
            multiplyAdd(f, element, all[tapLine * reach.taps + t], values[row], read)
        })
      })
      for (let i = 0; i < rows * reach.lineStep; i++) setSum(f, x, x, xLine)
      for (let i = 0; i < rows; i++) setSum(f, g, g, gLine)
    })
  }
  for (const [i, sum] of all.entries()) store(f, sums, sum, (first * reach.taps + i) * width * 16)
}

/** A row that a line of x gives to, by its line of taps. */
interface Meet {
  readonly row: number
  readonly tapLine: number
}

/** Calls `each` for what some rows read, line by line and tap by tap: from a pointer, so many elements on. */
function eachLine(
  f: Func,
  reach: Reach,
  rows: number,
  tapLines: number,
  xLine: number,
  half: number,
  from: number,
  odd: number,
  each: (pointer: number, offset: number, tap: number, meets: readonly Meet[]) => void,
): void {
  const height = (rows - 1) * reach.lineStep + (tapLines - 1) * reach.lineGap + 1
  for (let line = 0; line < height; line++) {
    const meets = Array.from({ length: rows }, (_, row): Meet => {
      return { row, tapLine: (line - row * reach.lineStep) / reach.lineGap }
    }).filter(({ tapLine }) => Number.isInteger(tapLine) && tapLine >= 0 && tapLine < tapLines)
    if (meets.length > 0) {
      if (reach.tapStep === 2) setSum(f, odd, from, half)
      for (let t = 0; t < reach.taps; t++) {
        const column = t * reach.tapGap
        each(column % reach.tapStep === 1 ? odd : from, Math.floor(column / reach.tapStep), t, meets)
      }
    }
    if (line < height - 1) setSum(f, from, from, xLine)
  }
}

/** target[i] = the sum of the `pixelsOf` elements of vector i. */
export type Fold = (count: number, source: number, target: number) => void

/** Adds a `Fold`, exported as `run`. */
export function emitFold(module: Module, element: Element): void {
  const f = module.func('run', Array(3).fill(I32))
  const [count, source, target] = Array(3).keys()
  const { bytes } = element
  const pixels = pixelsOf(element)
  countdown(f, count, 1, () => {
    f.get(target).get(source).mem(element.loadFirst)
    for (let i = 1; i < pixels; i++)
      f.get(source)
        .mem(element.loadFirst, i * bytes)
        .op(element.add)
    f.memLane(element.storeLane, 0)
    f.inc(source, pixels * bytes).inc(target, bytes)
  })
}
