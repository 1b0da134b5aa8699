// The kernels of convolution for one element type: tiles of output pixels by channels over images with channels last, and
// tiles of weights summed over pixels. Steps are in bytes.
import { type Func, I32, i32, type Module, v128 } from './assembler.ts'
import { countdown, type Element, grid, integers, load, multiplyAdd, setSum, store, vectors } from './element.ts'
import { panelWidth } from './gemm.ts'

/**
 * Pixels by output channels. A pixel is a pointer into a bordered image (`x` plus an offset of the table `from`), from
 * which `runs` runs of `run` elements are read, `jumps` apart; panels hold the weights as [element][width]. What a
 * pixel gives goes to `y` plus an offset of the table `to`; sums start from the row `init`.
 */
export type PixelBlock = (
  strips: number,
  panels: number,
  from: number,
  to: number,
  jumps: number,
  runs: number,
  run: number,
  x: number,
  panel: number,
  panelStep: number,
  y: number,
  init: number,
) => void

/**
 * Weights by output channels: sums over `lines` lines of `pixels` pixels of x, `xStep` apart, times panels of g. The
 * lines start at `x` plus the offsets of a table. A strip is so many neighbouring elements of x; C has them as rows.
 */
export type WeightBlock = (
  strips: number,
  panels: number,
  lines: number,
  pixels: number,
  table: number,
  x: number,
  xStep: number,
  g: number,
  gPanel: number,
  c: number,
  cPanel: number,
  init: number,
  initStep: number,
  initPanel: number,
) => void

/**
 * As `WeightBlock` with the roles exchanged: strips are of output channels, of which a pixel of g has ACROSS side by side,
 * and panels of neighbouring elements of x.
 */
export type AcrossBlock = (
  panels: number,
  lines: number,
  pixels: number,
  table: number,
  x: number,
  xStep: number,
  g: number,
  c: number,
  cStep: number,
  init: number,
  initStep: number,
  initPanel: number,
) => void

/** Channels side by side where tiles have pixels as columns. */
export const ACROSS = 8

/**
 * Channels by neighbouring pixels of a stack of bordered planes: tap k of a pixel is `table[k]` bytes after it. Weights lie
 * at `a` as [k][ACROSS]; sums start from a value a channel at `init` and go to lines of y, `yRow` apart for channels. A
 * line has `tiles` tiles side by side and one more that begins `last` bytes after the line.
 */
export type ShiftBlock = (
  lines: number,
  tiles: number,
  last: number,
  k: number,
  table: number,
  image: number,
  imageLine: number,
  a: number,
  y: number,
  yLine: number,
  yRow: number,
  init: number,
) => void

/** What the sums of pixels start from: the row `init`, or what is at `y`. */
export type PixelStart = 'init' | 'y'

/** Adds a `PixelBlock`, exported as `run`, for strips of `rows` pixels and tiles of `width` x 16 bytes. */
export function emitPixels(module: Module, element: Element, rows: number, width: number, start: PixelStart): void {
  const tile = emitPixelTile(module, element, rows, width, start)
  const f = module.func('run', Array(12).fill(I32))
  const [strips, panels, from, to, jumps, runs, run, x, panel, panelStep, y, init] = Array(12).keys()
  const [left, atFrom, atTo] = integers(f, 3)
  const step = panelWidth(element) * element.bytes
  countdown(f, panels, 1, () => {
    f.get(strips).set(left).get(from).set(atFrom).get(to).set(atTo)
    countdown(f, left, 1, () => {
      for (const argument of [atFrom, atTo, jumps, runs, run, x, panel, y, init]) f.get(argument)
      f.call(tile)
      f.inc(atFrom, rows * 4).inc(atTo, rows * 4)
    })
    setSum(f, panel, panel, panelStep)
    f.inc(y, step).inc(init, step)
  })
}

function emitPixelTile(module: Module, element: Element, rows: number, width: number, start: PixelStart): Func {
  const f = module.func(null, Array(9).fill(I32))
  const [from, to, jumps, runs, run, x, panel, y, init] = Array(9).keys()
  const tile = grid(f, rows, width)
  const bs = vectors(f, width)
  const [splat] = vectors(f, 1)
  const pixels = integers(f, rows)
  const [k] = integers(f, 1)
  const step = panelWidth(element) * element.bytes
  for (const [i, pixel] of pixels.entries())
    f.get(x)
      .get(from)
      .mem(i32.load, i * 4)
      .op(i32.add)
      .set(pixel)
  const target = (i: number): void => {
    f.get(y)
      .get(to)
      .mem(i32.load, i * 4)
      .op(i32.add)
      .set(k)
  }
  for (const [i, sums] of tile.entries()) {
    if (start === 'y') target(i)
    load(f, v128.load, start === 'y' ? k : init, sums)
  }
  countdown(f, runs, 1, () => {
    f.get(jumps).mem(i32.load).set(k)
    for (const pixel of pixels) setSum(f, pixel, pixel, k)
    f.inc(jumps, 4).get(run).set(k)
    for (const steps of [4, 1]) {
      countdown(f, k, steps, () => {
        for (let s = 0; s < steps; s++) {
          load(f, v128.load, panel, bs, s * step)
          for (const [i, sums] of tile.entries()) {
            load(f, element.splat, pixels[i], [splat], s * element.bytes)
            multiplyAdd(f, element, sums, splat, bs)
          }
        }
        for (const pixel of pixels) f.inc(pixel, steps * element.bytes)
        f.inc(panel, steps * step)
      })
    }
  })
  for (const [i, sums] of tile.entries()) {
    target(i)
    store(f, k, sums)
  }
  return f
}

/** Adds a `WeightBlock`, exported as `run`, for strips of `rows` elements and tiles of `width` x 16 bytes. */
export function emitWeights(module: Module, element: Element, rows: number, width: number): void {
  const tile = emitWeightTile(module, element, rows, width)
  const f = module.func('run', Array(14).fill(I32))
  const [strips, panels, lines, pixels, table, x, xStep, g, gPanel, c, cPanel, init, initStep, initPanel] =
    Array(14).keys()
  const [left, atX, atC, atInit] = integers(f, 4)
  const step = panelWidth(element) * element.bytes
  countdown(f, panels, 1, () => {
    f.get(strips).set(left).get(x).set(atX).get(c).set(atC).get(init).set(atInit)
    countdown(f, left, 1, () => {
      for (const argument of [lines, pixels, table, atX, xStep, g, atC, atInit, initStep]) f.get(argument)
      f.call(tile)
      f.inc(atX, rows * element.bytes).inc(atC, rows * step)
      f.get(atInit).get(initStep).i32(rows).op(i32.mul).op(i32.add).set(atInit)
    })
    setSum(f, g, g, gPanel)
    setSum(f, c, c, cPanel)
    setSum(f, init, init, initPanel)
  })
}

function emitWeightTile(module: Module, element: Element, rows: number, width: number): Func {
  const f = module.func(null, Array(9).fill(I32))
  const [lines, pixels, table, x, xStep, g, c, init, initStep] = Array(9).keys()
  const tile = grid(f, rows, width)
  const bs = vectors(f, width)
  const [splat] = vectors(f, 1)
  const [at, k] = integers(f, 2)
  const step = panelWidth(element) * element.bytes
  for (const [i, sums] of tile.entries()) {
    if (i > 0) setSum(f, init, init, initStep)
    load(f, v128.load, init, sums)
  }
  countdown(f, lines, 1, () => {
    f.get(x).get(table).mem(i32.load).op(i32.add).set(at)
    f.inc(table, 4).get(pixels).set(k)
    for (const steps of [4, 1]) {
      countdown(f, k, steps, () => {
        for (let s = 0; s < steps; s++) {
          load(f, v128.load, g, bs, s * step)
          for (const [i, sums] of tile.entries()) {
            load(f, element.splat, at, [splat], i * element.bytes)
            multiplyAdd(f, element, sums, splat, bs)
          }
          setSum(f, at, at, xStep)
        }
        f.inc(g, steps * step)
      })
    }
  })
  for (const [i, sums] of tile.entries()) store(f, c, sums, i * step)
  return f
}

/** Adds an `AcrossBlock`, exported as `run`, for strips of `rows` channels and tiles of `width` x 16 bytes. */
export function emitAcross(module: Module, element: Element, rows: number, width: number): void {
  const tile = emitAcrossTile(module, element, rows, width)
  const f = module.func('run', Array(12).fill(I32))
  const [panels, lines, pixels, table, x, xStep, g, c, cStep, init, initStep, initPanel] = Array(12).keys()
  countdown(f, panels, 1, () => {
    for (const argument of [lines, pixels, table, x, xStep, g, c, cStep, init, initStep]) f.get(argument)
    f.call(tile)
    f.inc(x, width * 16).inc(c, width * 16)
    setSum(f, init, init, initPanel)
  })
}

function emitAcrossTile(module: Module, element: Element, rows: number, width: number): Func {
  const f = module.func(null, Array(10).fill(I32))
  const [lines, pixels, table, x, xStep, g, c, cStep, init, initStep] = Array(10).keys()
  const tile = grid(f, rows, width)
  const bs = vectors(f, width)
  const [splat] = vectors(f, 1)
  const [at, k] = integers(f, 2)
  const step = ACROSS * element.bytes
  for (const [i, sums] of tile.entries()) {
    if (i > 0) setSum(f, init, init, initStep)
    load(f, v128.load, init, sums)
  }
  countdown(f, lines, 1, () => {
    f.get(x).get(table).mem(i32.load).op(i32.add).set(at)
    f.inc(table, 4).get(pixels).set(k)
    for (const steps of [4, 1]) {
      countdown(f, k, steps, () => {
        for (let s = 0; s < steps; s++) {
          load(f, v128.load, at, bs)
          for (const [i, sums] of tile.entries()) {
            load(f, element.splat, g, [splat], s * step + i * element.bytes)
            multiplyAdd(f, element, sums, splat, bs)
          }
          setSum(f, at, at, xStep)
        }
        f.inc(g, steps * step)
      })
    }
  })
  for (const [i, sums] of tile.entries()) {
    if (i > 0) setSum(f, c, c, cStep)
    store(f, c, sums)
  }
  return f
}

/** Adds a `ShiftBlock`, exported as `run`, for `rows` channels and tiles of `width` x 16 bytes. */
export function emitShift(module: Module, element: Element, rows: number, width: number): void {
  const tile = emitShiftTile(module, element, rows, width)
  const f = module.func('run', Array(12).fill(I32))
  const [lines, tiles, last, k, table, image, imageLine, a, y, yLine, yRow, init] = Array(12).keys()
  const [left, from, to] = integers(f, 3)
  const one = (): void => {
    for (const argument of [k, table, from, a, to, yRow, init]) f.get(argument)
    f.call(tile)
  }
  countdown(f, lines, 1, () => {
    f.get(tiles).set(left).get(image).set(from).get(y).set(to)
    countdown(f, left, 1, () => {
      one()
      f.inc(from, width * 16).inc(to, width * 16)
    })
    setSum(f, from, image, last)
    setSum(f, to, y, last)
    one()
    setSum(f, image, image, imageLine)
    setSum(f, y, y, yLine)
  })
}

function emitShiftTile(module: Module, element: Element, rows: number, width: number): Func {
  const f = module.func(null, Array(7).fill(I32))
  const [k, table, image, a, y, yRow, init] = Array(7).keys()
  const tile = grid(f, rows, width)
  const bs = vectors(f, width)
  const [splat] = vectors(f, 1)
  const [at] = integers(f, 1)
  for (const [i, sums] of tile.entries()) for (const sum of sums) load(f, element.splat, init, [sum], i * element.bytes)
  for (const steps of [4, 1]) {
    countdown(f, k, steps, () => {
      for (let s = 0; s < steps; s++) {
        f.get(image)
          .get(table)
          .mem(i32.load, s * 4)
          .op(i32.add)
          .set(at)
        load(f, v128.load, at, bs)
        for (const [i, sums] of tile.entries()) {
          load(f, element.splat, a, [splat], (s * ACROSS + i) * element.bytes)
          multiplyAdd(f, element, sums, splat, bs)
        }
      }
      f.inc(table, steps * 4).inc(a, steps * ACROSS * element.bytes)
    })
  }
  for (const [i, sums] of tile.entries()) {
    if (i > 0) setSum(f, y, y, yRow)
    store(f, y, sums)
  }
  return f
}
