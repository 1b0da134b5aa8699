// Plans of direct convolutions: blocks of images, and the tables of offsets by which tiles find their pixels.
import type { ConvolutionArgs, ConvolutionPart, Triple } from '../device.ts'
import { ACROSS } from './convkernels.ts'
import type { Table } from './convtables.ts'
import { type Axis, inputAxis, outputAxis, volume, type Window, windowsOf } from './convwindows.ts'
import type { Element } from './element.ts'
import { panelWidth } from './gemm.ts'

/** Bytes of images that a block takes at most, so that they stay in the L2 cache. */
const BLOCK_BYTES = 3 << 17
/** From so many multiplications on, there are blocks enough to share out. */
const SHARED_PRODUCTS = 2_000_000
const SHARES = 4
/** Blocks of fewer pixels would read weights too often. */
const BLOCK_PIXELS = 128
/** Bytes of a panel of weights that stay in the L1 cache beside the pixels they meet. */
const CHUNK_BYTES = 24 << 10

/** Some of a window's runs: so many of so many elements, `jumps` apart; their weights begin at `weights` in a panel. */
interface Chunk {
  readonly runs: number
  readonly run: number
  readonly jumps: Table
  readonly weights: number
}

/** One window as the kernels walk it. */
export interface WindowPlan {
  readonly pixels: number
  readonly from: Table
  readonly to: Table
  readonly chunks: readonly Chunk[]
  /** Elements of x that a pixel reads. */
  readonly depth: number
}

/** A part of the images' pixels: the same rows of several images. */
export interface Band {
  readonly axes: readonly Axis[]
  readonly windows: readonly WindowPlan[]
  /** Pixels of the target before it, and in it. */
  readonly first: number
  readonly pixels: number
  /** Elements of the bordered image, without channels. */
  readonly bordered: Triple
  /** Of the weight gradient: offsets of the lines of pixels. */
  readonly lines: Table | null
}

/** What can be computed once for a shape. */
export interface Plan {
  readonly bands: readonly Band[]
  /** Images in a block. */
  readonly images: number
  /** Of the weight's gradient: output channels are the rows of tiles. */
  readonly across: boolean
  /** All images are one block; then weights are packed, or their gradients stored, panel by panel. */
  readonly single: boolean
  /** Pieces of neighbouring panels into which such a block is cut. */
  readonly shares: number
  /** Elements from one pixel of a bordered image to the next. */
  readonly pitch: number
  /** Rows of a panel of weights. */
  readonly depth: number
  /** Offsets in a panel by index in a row of the weight, or by tap. */
  readonly order: Table
  /** A number that no other plan has, and the addresses of all tables, by which other threads make the same plan. */
  readonly id: number
  readonly directory: Table
  readonly tables: readonly Table[]
}

/** Places a table in memory, or says where an equal one is without asking for its values. */
export type Keep = (values: () => readonly number[] | Int32Array) => Table

/** Makes plans for one element type. */
export class Planner {
  private readonly size: number
  private readonly width: number
  private readonly keep: Keep

  constructor(element: Element, keep: Keep) {
    this.size = element.bytes
    this.width = panelWidth(element)
    this.keep = keep
  }

  make(part: ConvolutionPart, args: ConvolutionArgs): Omit<Plan, 'id' | 'directory' | 'tables'> {
    const { size, width } = this
    const [inGroup, outGroup] = [args.inputChannels / args.groups, args.outputChannels / args.groups]
    const [source, target] = part === 'input' ? [outGroup, inGroup] : [inGroup, outGroup]
    const sizes = part === 'input' ? args.input : args.output
    const columns = Math.ceil(target / width) * width
    const axisOf = part === 'input' ? inputAxis : outputAxis
    const taps = volume(args.kernel)
    const bandAxis = sizes.findIndex((n) => n > 1)
    const axesFrom = (first: number, end: number): Axis[] =>
      [0, 1, 2].map((d) => (d === bandAxis ? axisOf(args, d, first, end) : axisOf(args, d, 0, sizes[d])))
    const bytesOf = (first: number, end: number): number => {
      const axes = axesFrom(first, end)
      const rows = bandAxis < 0 ? 1 : end - first
      const pixels = (volume(sizes) / (bandAxis < 0 ? 1 : sizes[bandAxis])) * rows
      return (axes[0].edge.length * axes[1].edge.length * axes[2].edge.length * source + pixels * columns) * size
    }
    const whole = bytesOf(0, bandAxis < 0 ? 1 : sizes[bandAxis])
    const spread = part === 'weight' && source >= 32 && (source * size) % 128 === 0
    // Pixels an odd number of cache lines apart are spread over all sets of the L1 cache.
    const pitch = spread ? source + 64 / size : source
    const most = part === 'weight' ? CHUNK_BYTES / (width * size) : Number.POSITIVE_INFINITY
    const fitting = Math.min(Math.floor(BLOCK_BYTES / whole), Math.floor(most / volume(sizes)))
    let images = Math.max(1, Math.min(args.batch, fitting))
    let count = 1
    const products = (args.batch * volume(args.output) * args.inputChannels * args.outputChannels * taps) / args.groups
    if (products > SHARED_PRODUCTS) {
      const spread = Math.ceil((args.batch * args.groups) / SHARES)
      images = Math.min(images, Math.max(spread, Math.ceil(BLOCK_PIXELS / volume(sizes))))
      if (bandAxis >= 0 && args.batch * volume(sizes) > BLOCK_PIXELS)
        count = Math.min(sizes[bandAxis], Math.ceil(SHARES / (args.batch * args.groups)))
    }
    if (bandAxis >= 0 && whole > BLOCK_BYTES)
      count = Math.max(count, Math.min(sizes[bandAxis], Math.ceil(whole / BLOCK_BYTES)))
    if (bandAxis >= 0) count = Math.max(count, Math.min(sizes[bandAxis], Math.floor(volume(sizes) / most)))

    const bands: Band[] = []
    let depth = 0
    for (let b = 0; b < count; b++) {
      const bound = (i: number): number => Math.round((i * (bandAxis < 0 ? 1 : sizes[bandAxis])) / count)
      const [first, end] = [bound(b), bound(b + 1)]
      const axes = axesFrom(first, end)
      const bordered: Triple = [axes[0].edge.length, axes[1].edge.length, axes[2].edge.length]
      const rest = volume(sizes) / (bandAxis < 0 ? 1 : sizes[bandAxis])
      const bandSizes = sizes.map((n, d) => (d === bandAxis ? end - first : n))
      depth = 0
      const windows = windowsOf(axes).map((window) => {
        const made = this.window(
          window,
          bordered,
          bandSizes as unknown as Triple,
          source,
          columns,
          images,
          depth,
          pitch,
          part === 'weight',
        )
        depth += made.depth
        return made
      })
      const lines =
        part === 'weight' ? this.keep(() => this.lineOffsets(windowsOf(axes)[0], bordered, pitch, images)) : null
      bands.push({ axes, windows, first: first * rest, pixels: (end - first) * rest, bordered, lines })
    }
    // Every band has the same windows with the same taps.
    const order = this.keep(() => {
      const values = new Int32Array(part === 'input' ? taps : taps * inGroup)
      let at = 0
      for (const window of windowsOf(bands[0].axes)) {
        this.fillOrder(part, args, window, values, at, source)
        at += window[0].taps * window[1].taps * window[2].taps * source
      }
      return values
    })
    const single = images >= args.batch && bands.length === 1
    const shares = single && products > SHARED_PRODUCTS ? Math.min(columns / width, SHARES) : 1
    // Rows of channels in whole tiles must fit into a panel's space.
    const { runs, run } = bands[0].windows[0].chunks[0]
    const across =
      part === 'weight' &&
      target <= ACROSS &&
      ACROSS <= width &&
      runs * target * Math.ceil(run / width) * width <= depth * width
    return { bands, images, across, single, shares, pitch, depth, order }
  }

  private window(
    window: Window,
    bordered: Triple,
    sizes: Triple,
    channels: number,
    columns: number,
    images: number,
    depth: number,
    pitch: number,
    whole: boolean,
  ): WindowPlan {
    const { size, width } = this
    const [a, b, c] = window
    const pixels = a.pixels * b.pixels * c.pixels
    const place = (i: number, j: number, k: number): number => (i * bordered[1] + j) * bordered[2] + k
    const target = (i: number, j: number, k: number): number => (i * sizes[1] + j) * sizes[2] + k
    /** What `offset` says for all pixels of all images. */
    const offsets = (offset: (n: number, i: number, j: number, k: number) => number): Int32Array => {
      const values = new Int32Array(images * pixels)
      let at = 0
      for (let n = 0; n < images; n++)
        for (let i = 0; i < a.pixels; i++)
          for (let j = 0; j < b.pixels; j++) for (let k = 0; k < c.pixels; k++) values[at++] = offset(n, i, j, k) * size
      return values
    }
    const from = this.keep(() =>
      offsets((n, i, j, k) => {
        const at = place(a.offset + i * a.step, b.offset + j * b.step, c.offset + k * c.step)
        return (n * volume(bordered) + at) * pitch
      }),
    )
    const to = this.keep(() =>
      offsets((n, i, j, k) => {
        const [y, z, x] = [a, b, c].map((s, d) => s.targetFirst + [i, j, k][d] * s.targetStep)
        return (n * volume(sizes) + target(y, z, x)) * columns
      }),
    )
    const joined = pitch === channels && (c.gap === 1 || c.taps === 1)
    const run = channels * (joined ? c.taps : 1)
    const starts: number[] = []
    for (let i = 0; i < a.taps; i++)
      for (let j = 0; j < b.taps; j++)
        for (let k = 0; k < (joined ? Math.min(c.taps, 1) : c.taps); k++)
          starts.push(place(i * a.gap, j * b.gap, k * c.gap) * pitch * size)
    const row = width * size
    const chunks: Chunk[] = []
    const add = (first: readonly number[], length: number, begin: number): void => {
      const jumps = first.map((start, i) => (i === 0 ? start : start - first[i - 1] - length * size))
      chunks.push({ runs: first.length, run: length, jumps: this.keep(() => jumps), weights: (depth + begin) * row })
    }
    const most = whole ? Number.POSITIVE_INFINITY : Math.floor(CHUNK_BYTES / row)
    if (run > most) {
      const parts = Math.ceil(run / most)
      for (const [r, start] of starts.entries()) {
        for (let part = 0; part < parts; part++) {
          const [first, end] = [part, part + 1].map((i) => Math.round((i * run) / parts))
          add([start + first * size], end - first, r * run + first)
        }
      }
    } else {
      const parts = Math.max(1, Math.ceil(starts.length / Math.max(1, Math.floor(most / Math.max(run, 1)))))
      for (let part = 0; part < parts; part++) {
        const [first, end] = [part, part + 1].map((i) => Math.round((i * starts.length) / parts))
        add(starts.slice(first, end), run, first * run)
      }
    }
    return { pixels, from, to, chunks, depth: starts.length * run }
  }

  /** Where in a panel the weights of a window's taps go. */
  private fillOrder(
    part: ConvolutionPart,
    args: ConvolutionArgs,
    [a, b, c]: Window,
    order: Int32Array,
    depth: number,
    source: number,
  ): void {
    const { kernel } = args
    const taps = volume(kernel)
    const row = this.width * this.size
    let t = 0
    for (let i = 0; i < a.taps; i++) {
      for (let j = 0; j < b.taps; j++) {
        for (let k = 0; k < c.taps; k++, t++) {
          const [z, y, x] = [a, b, c].map((s, d) => s.tapFirst + [i, j, k][d] * s.tapStep)
          const tap = (z * kernel[1] + y) * kernel[2] + x
          const at = (depth + t * source) * row
          if (part === 'input') order[tap] = at
          else for (let channel = 0; channel < source; channel++) order[channel * taps + tap] = at + channel * row
        }
      }
    }
  }

  private lineOffsets([a, b]: Window, bordered: Triple, pitch: number, images: number): number[] {
    const offsets: number[] = []
    for (let n = 0; n < images; n++)
      for (let i = 0; i < a.pixels; i++)
        for (let j = 0; j < b.pixels; j++)
          offsets.push(
            (n * volume(bordered) + (i * a.step * bordered[1] + j * b.step) * bordered[2]) * pitch * this.size,
          )
    return offsets
  }
}
