// The kernels of convolutions over small images: unrolled over the pixels and taps that meet. Steps are in bytes; a pixel of
// a channel has `lanesOf` elements side by side: images, or for the weight's gradient channels.
import { type Func, I32, i32, type Module, v128 } from './assembler.ts'
import { countdown, type Element, grid, integers, load, multiplyAdd, setSum, store, vectors } from './element.ts'
import { transposed } from './pack.ts'

/** 16-byte vectors of a pixel. */
const vectorsOf = (element: Element): number => element.vectors / 2
/** Elements side by side in a pixel. */
export const lanesOf = (element: Element): number => vectorsOf(element) * element.lanes

/** Tap by tap: the pixels written (by their number among them) and read (relative to the first) that it joins. */
export type Program = readonly {
  readonly tap: number
  readonly joins: readonly (readonly [to: number, from: number])[]
}[]

/**
 * Some pixels of strips of channels: sums over `count` channels read. Channels read are `xStep` apart at x and `wStep`
 * in the weights; those written are `wRow` and `yRow` apart, and sums start from an element each at `init`.
 */
export type SmallBlock = (
  strips: number,
  count: number,
  x: number,
  xStep: number,
  w: number,
  wStep: number,
  wRow: number,
  y: number,
  yRow: number,
  init: number,
) => void

/** Adds a `SmallBlock`, exported as `run`, for strips of `rows` channels and `pixels` neighbouring pixels. */
export function emitSmall(module: Module, element: Element, rows: number, pixels: number, program: Program): void {
  const width = vectorsOf(element)
  const { bytes } = element
  const tile = module.func(null, Array(9).fill(I32))
  {
    const f = tile
    const [count, x, xStep, w, wStep, wRow, y, yRow, init] = Array(9).keys()
    const sums = Array.from({ length: rows }, () => grid(f, pixels, width))
    const splats = vectors(f, rows)
    const read = vectors(f, width)
    const weights = [w, ...integers(f, rows - 1)]
    for (let r = 1; r < rows; r++) setSum(f, weights[r], weights[r - 1], wRow)
    for (const [r, list] of sums.entries())
      for (const sum of list) for (const v of sum) load(f, element.splat, init, [v], r * bytes)
    countdown(f, count, 1, () => {
      for (const { tap, joins } of program) {
        for (const [r, pointer] of weights.entries()) load(f, element.splat, pointer, [splats[r]], tap * bytes)
        for (const [to, from] of joins) {
          load(f, v128.load, x, read, from * width * 16)
          for (const [r, list] of sums.entries()) multiplyAdd(f, element, list[to], splats[r], read)
        }
      }
      setSum(f, x, x, xStep)
      for (const pointer of weights) setSum(f, pointer, pointer, wStep)
    })
    for (const [r, list] of sums.entries()) {
      if (r > 0) setSum(f, y, y, yRow)
      for (const [i, sum] of list.entries()) store(f, y, sum, i * width * 16)
    }
  }
  const f = module.func('run', Array(10).fill(I32))
  const [strips, count, x, xStep, w, wStep, wRow, y, yRow, init] = Array(10).keys()
  countdown(f, strips, 1, () => {
    for (const argument of [count, x, xStep, w, wStep, wRow, y, yRow, init]) f.get(argument)
    f.call(tile)
    f.get(w).get(wRow).i32(rows).op(i32.mul).op(i32.add).set(w)
    f.get(y).get(yRow).i32(rows).op(i32.mul).op(i32.add).set(y)
    f.inc(init, rows * bytes)
  })
}

/** Some taps, and the pixels of y at which they meet pixels of x. */
export type Meetings = readonly {
  readonly taps: readonly number[]
  readonly pixels: readonly {
    readonly pixel: number
    readonly joins: readonly (readonly [tap: number, from: number])[]
  }[]
}[]

/**
 * The weight's gradient for a strip of channels of y and `panels` of x: sums over `count` images, `yStep` apart; panels
 * and in them images follow each other in x. Goes to `c` as [panel][tap][lane], `cRow` from one channel of y to the next; at
 * `zeros` is a pixel of them.
 */
export type SmallWeights = (
  panels: number,
  count: number,
  x: number,
  y: number,
  yStep: number,
  yRow: number,
  c: number,
  cRow: number,
  zeros: number,
) => void

/** Adds a `SmallWeights`, exported as `run`, for strips of `rows` channels; x has `read` pixels. */
export function emitSmallWeights(
  module: Module,
  element: Element,
  rows: number,
  taps: number,
  read: number,
  meetings: Meetings,
): void {
  const width = vectorsOf(element)
  const tiles = meetings.map((group) => emitWeightTile(module, element, rows, read, group))
  const f = module.func('run', Array(9).fill(I32))
  const [panels, count, x, y, yStep, yRow, c, cRow, zeros] = Array(9).keys()
  const [step] = integers(f, 1)
  f.get(count)
    .i32(read * width * 16)
    .op(i32.mul)
    .set(step)
  countdown(f, panels, 1, () => {
    for (const tile of tiles) {
      for (const argument of [count, x, y, yStep, yRow, c, cRow, zeros]) f.get(argument)
      f.call(tile)
    }
    setSum(f, x, x, step)
    f.inc(c, taps * width * 16)
  })
}

function emitWeightTile(
  module: Module,
  element: Element,
  rows: number,
  read: number,
  { taps, pixels }: Meetings[number],
): Func {
  const width = vectorsOf(element)
  const { bytes } = element
  const f = module.func(null, Array(8).fill(I32))
  const [count, x, y, yStep, yRow, c, cRow, zeros] = Array(8).keys()
  const sums = Array.from({ length: rows }, () => grid(f, taps.length, width))
  const [splat] = vectors(f, 1)
  const values = grid(f, taps.length, width)
  const from = [y, ...integers(f, rows - 1)]
  for (let r = 1; r < rows; r++) setSum(f, from[r], from[r - 1], yRow)
  // Zeros that are loaded: V8's revectorizer pairs no constants.
  for (const list of sums) for (const sum of list) load(f, v128.load, zeros, sum)
  countdown(f, count, 1, () => {
    for (const { pixel, joins } of pixels) {
      for (const [tap, q] of joins) load(f, v128.load, x, values[taps.indexOf(tap)], q * width * 16)
      for (const [r, list] of sums.entries()) {
        load(f, element.splat, from[r], [splat], pixel * bytes)
        for (const [tap] of joins) {
          const t = taps.indexOf(tap)
          multiplyAdd(f, element, list[t], splat, values[t])
        }
      }
    }
    f.inc(x, read * width * 16)
    for (const pointer of from) setSum(f, pointer, pointer, yStep)
  })
  for (const [r, list] of sums.entries()) {
    if (r > 0) setSum(f, c, c, cRow)
    for (const [i, sum] of list.entries()) store(f, c, sum, taps[i] * width * 16)
  }
  return f
}

/** `count` blocks of [tap][lane] become [lane][tap]. */
export type TurnTaps = (count: number, source: number, target: number) => void

/** Adds a `TurnTaps`, exported as `run`. */
export function emitTurnTaps(module: Module, element: Element, taps: number): void {
  const f = module.func('run', Array(3).fill(I32))
  const [count, source, target] = Array(3).keys()
  const { lanes, bytes } = element
  const width = vectorsOf(element)
  const square = vectors(f, lanes)
  const spare = vectors(f, lanes)
  countdown(f, count, 1, () => {
    for (let v = 0; v < width; v++) {
      let t = 0
      for (; t + lanes <= taps; t += lanes) {
        for (let i = 0; i < lanes; i++) load(f, v128.load, source, [square[i]], ((t + i) * width + v) * 16)
        for (const [i, line] of transposed(f, square, spare).entries())
          store(f, target, [line], ((v * lanes + i) * taps + t) * bytes)
      }
      for (; t < taps; t++) {
        load(f, v128.load, source, [square[0]], (t * width + v) * 16)
        for (let i = 0; i < lanes; i++)
          f.get(target)
            .get(square[0])
            .memLane(element.storeLane, i, ((v * lanes + i) * taps + t) * bytes)
      }
    }
    f.inc(source, taps * width * 16).inc(target, taps * width * 16)
  })
}
