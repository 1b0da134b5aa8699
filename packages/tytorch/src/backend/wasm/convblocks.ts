// Direct convolution of blocks on one thread: images are brought into channels-last order with their borders, tiles compute
// pixels or weights from them, and the results go back into the tensors' order.
import type { ConvolutionArgs, ConvolutionPart, Triple } from '../device.ts'
import { memory } from '../memory.ts'
import { ACROSS } from './convkernels.ts'
import { type Band, type Plan, Planner, type WindowPlan } from './convplan.ts'
import { type ConvKernels, freeTable, kernelsOf, type Table, table } from './convtables.ts'
import { share } from './convtask.ts'
import { covered, volume } from './convwindows.ts'
import { cutRows, panelWidth } from './gemm.ts'

/** Plans kept for shapes seen before. */
const PLANS = 64
/** A part of a convolution under way. */
export interface Task {
  readonly part: ConvolutionPart
  readonly plan: Plan
  readonly args: ConvolutionArgs
  /** Packed weights, or sums of the weight's gradient. */
  readonly panels: number
  readonly pieces: number
  /** Of the weight's gradient: parts into which a panel's runs are cut. */
  readonly splits: number
}

/** What this thread computes with, by dtype and host. */
const benches: Bench[] = []

export function benchOf(index: number): Bench {
  return (benches[index] ??= new Bench(index))
}

let serial = 0

/** The kernels and plans of one thread for one element type; its methods compute pieces. */
export class Bench {
  private readonly index: number
  private readonly kernels: ConvKernels
  private readonly size: number
  /** Channels in a panel. */
  readonly width: number
  /** Plans made here by shape, and all that are known by number. */
  private readonly own = new Map<string, Plan>()
  private readonly known = new Map<number, Plan>()

  constructor(index: number) {
    this.index = index
    this.kernels = kernelsOf(index)
    this.size = this.kernels.element.bytes
    this.width = panelWidth(this.kernels.element)
  }

  /** The plan for a shape, in the main thread. */
  plan(part: ConvolutionPart, args: ConvolutionArgs): Plan {
    const { batch, groups, inputChannels, outputChannels, input, output, kernel, stride, padding, dilation } = args
    const key = `${part} ${batch} ${groups} ${inputChannels} ${outputChannels} ${input} ${output} ${kernel} ${stride} ${padding} ${dilation}`
    const found = this.own.get(key)
    if (found) return found
    if (this.own.size >= PLANS) {
      const [oldest, plan] = this.own.entries().next().value as [string, Plan]
      plan.tables.forEach(freeTable)
      this.own.delete(oldest)
      this.known.delete(plan.id)
    }
    const tables: Table[] = []
    const planner = new Planner(this.kernels.element, (values) => {
      tables.push(table(values()))
      return tables[tables.length - 1]
    })
    const made = planner.make(part, args)
    const directory = table(tables.map((t) => t.at))
    const plan = { ...made, id: this.index + 16 * serial++, directory, tables: [...tables, directory] }
    this.own.set(key, plan)
    this.known.set(plan.id, plan)
    return plan
  }

  /** The main thread's plan of a number, in any thread. */
  adopt(id: number, directory: number, part: ConvolutionPart, args: ConvolutionArgs): Plan {
    const found = this.known.get(id)
    if (found) return found
    if (this.known.size >= PLANS) this.known.delete(this.known.keys().next().value as number)
    let at = directory / 4
    const planner = new Planner(this.kernels.element, () => ({ at: memory.views.i32[at++], bytes: 0 }))
    const plan = { ...planner.make(part, args), id, directory: { at: directory, bytes: 0 }, tables: [] }
    this.known.set(id, plan)
    return plan
  }

  /** Channels of a group in what is read and in what is written, and those of whole panels. */
  private channels(part: ConvolutionPart, args: ConvolutionArgs): { source: number; target: number; columns: number } {
    const [inGroup, outGroup] = [args.inputChannels / args.groups, args.outputChannels / args.groups]
    const [source, target] = part === 'input' ? [outGroup, inGroup] : [inGroup, outGroup]
    return { source, target, columns: Math.ceil(target / this.width) * this.width }
  }

  /** Bytes of a group's panels. */
  panelBytes(part: ConvolutionPart, plan: Plan, args: ConvolutionArgs): number {
    return plan.depth * this.channels(part, args).columns * this.size
  }

  /** Bytes of a row of channels, a block's images with borders, its pixels channel by channel, of a panel, and of one lying across. */
  private areas(part: ConvolutionPart, plan: Plan, args: ConvolutionArgs): readonly number[] {
    const { columns } = this.channels(part, args)
    const bordered = Math.max(...plan.bands.map((b) => volume(b.bordered)))
    const pixels = Math.max(...plan.bands.map((b) => b.pixels))
    const round = (elements: number): number => Math.ceil((elements * this.size) / 64) * 64 + 64
    const panel = plan.single || part === 'weight' ? round(plan.depth * this.width) : 0
    const across = plan.across ? round(plan.depth * this.width) : 0
    const [images, results] = [bordered * plan.images * plan.pitch, pixels * plan.images * columns]
    return [round(columns), round(images), round(results), panel, across]
  }

  /** Bytes that a piece works in. */
  scratch(part: ConvolutionPart, plan: Plan, args: ConvolutionArgs): number {
    const [row, images, results, panel, across] = this.areas(part, plan, args)
    return row + (part === 'weight' ? 0 : images + results) + panel + across
  }

  /** Bytes of what pieces of the weight's gradient share: sums, if runs are split, then every block's operands. */
  shared(plan: Plan, args: ConvolutionArgs, splits: number): readonly [sums: number, block: number] {
    const [, images, results] = this.areas('weight', plan, args)
    const sums = splits > 1 ? args.groups * this.panelBytes('weight', plan, args) : 0
    return [Math.ceil(sums / 64) * 64, images + results]
  }

  /** Packs a share of the weights into panels. */
  pack({ part, plan, args, panels, pieces }: Task, piece: number): void {
    const count = this.channels(part, args).columns / this.width
    const panel = plan.depth * this.width * this.size
    const [first, end] = share(piece, pieces, args.groups * count)
    for (let unit = first; unit < end; unit++)
      this.packPanel(part, plan, args, Math.floor(unit / count), unit % count, panels + unit * panel)
  }

  /** Packs panel `p` of group `g`. */
  private packPanel(part: ConvolutionPart, plan: Plan, args: ConvolutionArgs, g: number, p: number, to: number): void {
    const { size, width } = this
    const { turning } = this.kernels
    const { source, target } = this.channels(part, args)
    const taps = volume(args.kernel)
    const from = p * width
    const n = Math.min(width, target - from)
    const row = width * size
    if (part === 'output') {
      const line = source * taps * size
      turning.scatter(1, 0, 0, n, source * taps, args.w + (g * target + from) * line, line, plan.order.at, to, 0)
      return
    }
    const w = args.w + (g * source * target + from) * taps * size
    const line = target * taps * size
    if (taps === 1) turning.lines(source, 0, n, 0, w, line, size, to, row)
    else turning.scatter(source, line, row, n, taps, w, taps * size, plan.order.at, to, 0)
  }

  /** Computes a share of the blocks: of the output, or of the input's gradient. */
  correlate({ part, plan, args, panels, pieces }: Task, piece: number, scratch: number): void {
    const { size } = this
    const { batch, groups } = args
    const { source: channels, target, columns } = this.channels(part, args)
    const forward = part === 'output'
    const [read, written] = forward ? [args.input, args.output] : [args.output, args.input]
    const [source, destination] = forward ? [args.x, args.y] : [args.y, args.x]
    const [rowBytes, imageBytes, resultBytes] = this.areas(part, plan, args)
    const [bias, image, result] = [scratch, scratch + rowBytes, scratch + rowBytes + imageBytes]
    const own = result + resultBytes
    const plane = volume(written) * size
    const blocks = Math.ceil(batch / plan.images)
    const count = columns / this.width
    const panel = plan.depth * this.width * size
    const [first, end] = share(piece, pieces, groups * blocks * plan.bands.length * plan.shares)
    let group = -1
    let ready = -1
    for (let unit = first; unit < end; unit++) {
      const work = Math.floor(unit / plan.shares)
      const [from, to] = share(unit % plan.shares, plan.shares, count)
      const band = plan.bands[work % plan.bands.length]
      const block = Math.floor(work / plan.bands.length)
      const g = Math.floor(block / blocks)
      const n = (block % blocks) * plan.images
      const images = Math.min(plan.images, batch - n)
      if (g !== group) {
        this.kernels.turning.zero(columns, bias)
        if (args.bias !== 0)
          memory.views.u8.copyWithin(bias, args.bias + g * target * size, args.bias + (g + 1) * target * size)
        group = g
      }
      if (work !== ready) {
        const at = source + (n * groups + g) * channels * volume(read) * size
        this.border(band, read, at, groups * channels, images, channels, plan.pitch, image)
        ready = work
      }
      for (let p = from; p < to; p++) {
        const weights = plan.single ? own : panels + (g * count + p) * panel
        if (plan.single) this.packPanel(part, plan, args, g, p, weights)
        const step = p * this.width * size
        for (const window of band.windows)
          if (window.pixels > 0)
            this.pixels(window, images, target - p * this.width, image, weights, result + step, bias + step)
      }
      const c = from * this.width
      for (let i = 0; i < images; i++) {
        const pixels = result + (i * band.pixels * columns + c) * size
        const place = destination + (((n + i) * groups + g) * target + c) * plane + band.first * size
        const many = Math.min(target, to * this.width) - c
        this.kernels.turning.spread(band.pixels, many, pixels, columns * size, place, plane)
      }
    }
  }

  /** Computes the pixels of a window for a panel, of which `channels` are wanted, a chunk of its rows at a time. */
  private pixels(
    { pixels, from, to, chunks }: WindowPlan,
    images: number,
    channels: number,
    image: number,
    panel: number,
    result: number,
    bias: number,
  ): void {
    const { vectors, rows: most } = this.kernels.element
    const width = channels <= this.width / 2 ? vectors / 2 : vectors
    const cuts = cutRows(pixels * images, most)
    for (const [i, { runs, run, jumps, weights }] of chunks.entries()) {
      let first = 0
      for (const { rows, strips } of cuts) {
        const block = this.kernels.pixels(rows, width, i === 0 ? 'init' : 'y')
        const [f, t] = [from.at + first * 4, to.at + first * 4]
        block(strips, 1, f, t, jumps.at, runs, run, image, panel + weights, 0, result, bias)
        first += rows * strips
      }
    }
  }

  /** Brings `channels` of each of `images` images, which have `all` channels, into `target`. */
  private border(
    { axes, bordered }: Band,
    size: Triple,
    source: number,
    all: number,
    images: number,
    channels: number,
    pitch: number,
    target: number,
  ): void {
    const { turning } = this.kernels
    const bytes = this.size
    const pixel = pitch * bytes
    const [d, h, w] = axes.map((axis, i) => covered(axis.edge, size[i]))
    const [de, he, we] = axes.map((axis) => axis.edge)
    const count = [d, h, w].map(([first, end]) => end - first)
    if (volume(count as unknown as Triple) < volume(bordered)) turning.zero(images * volume(bordered) * pitch, target)
    const plane = volume(size) * bytes
    const line = size[2] * bytes
    // Whole lines that follow each other in both are one line.
    const joined = count[2] === size[2] && bordered[2] === size[2] && we.pick === 1 && he.pick === 1
    const lines = joined ? 1 : count[1]
    const columns = joined ? count[1] * count[2] : count[2]
    for (let n = 0; n < images; n++) {
      for (let i = 0; i < count[0]; i++) {
        const z = (d[0] + i) * de.pick - de.before
        const y = h[0] * he.pick - he.before
        const x = w[0] * we.pick - we.before
        const at = source + n * all * plane + (z * size[1] + y) * line + x * bytes
        const to = target + (((n * bordered[0] + d[0] + i) * bordered[1] + h[0]) * bordered[2] + w[0]) * pixel
        if (lines === 0 || columns === 0) continue
        const step = he.pick * line
        const toStep = bordered[2] * pixel
        if (we.pick === 1) turning.turn(lines, step, toStep, channels, columns, at, plane, to, pixel)
        else turning.turnApart(lines, step, toStep, channels, columns, at, plane, we.pick * bytes, to, pixel)
      }
    }
  }

  /** Brings the operands of a share of the blocks into the weight gradient's order. */
  bringBlocks(task: Task, piece: number): void {
    const { plan, args, panels, pieces, splits } = task
    const blocks = Math.ceil(args.batch / plan.images) * plan.bands.length
    const [sums, bytes] = this.shared(plan, args, splits)
    const [first, end] = share(piece, pieces, args.groups * blocks)
    for (let unit = first; unit < end; unit++) {
      const [g, block] = [Math.floor(unit / blocks), unit % blocks]
      const n = Math.floor(block / plan.bands.length) * plan.images
      const images = Math.min(plan.images, args.batch - n)
      this.bringBlock(task, plan.bands[block % plan.bands.length], g, n, images, panels + sums + unit * bytes)
    }
  }

  private bringBlock({ plan, args }: Task, band: Band, g: number, n: number, images: number, image: number): void {
    const { size, width } = this
    const { groups } = args
    const { source, target, columns } = this.channels('weight', args)
    const gradient = image + this.areas('weight', plan, args)[1]
    const lane = plan.across ? ACROSS : width
    const row = lane * size
    const pixels = images * band.pixels
    const plane = volume(args.output) * size
    const at = args.x + (n * groups + g) * source * volume(args.input) * size
    this.border(band, args.input, at, groups * source, images, source, plan.pitch, image)
    for (let p = 0; p * width < columns; p++) {
      const to = gradient + p * pixels * row
      const channels = Math.min(width, target - p * width)
      if (channels < lane) this.kernels.turning.zero(pixels * lane, to)
      for (let i = 0; i < images; i++) {
        const from = args.y + (((n + i) * groups + g) * target + p * width) * plane + band.first * size
        this.kernels.turning.turn(1, 0, 0, channels, band.pixels, from, plane, to + i * band.pixels * row, row)
      }
    }
  }

  /** Sums up a share of the weight's gradient: panels, or some runs of them, over all blocks. */
  sumWeight(task: Task, piece: number, scratch: number): void {
    const { plan, args, panels, pieces, splits } = task
    const count = this.channels('weight', args).columns / this.width
    const [zeroBytes, , , panelBytes] = this.areas('weight', plan, args)
    this.kernels.turning.zero(this.width, scratch)
    const own = scratch + zeroBytes
    const { runs } = plan.bands[0].windows[0].chunks[0]
    const [first, end] = share(piece, pieces, args.groups * count * splits)
    for (let unit = first; unit < end; unit++) {
      const [panel, split] = [Math.floor(unit / splits), unit % splits]
      const [g, p] = [Math.floor(panel / count), panel % count]
      const sums = splits > 1 ? panels + panel * plan.depth * this.width * this.size : own
      const some = share(split, splits, runs)
      this.sumPanel(task, g, p, some, scratch, plan.across ? own + panelBytes : sums)
      if (plan.across) this.turnAcross(task, some, own + panelBytes, sums)
      if (splits === 1) this.finishPanel(task, g, p, sums)
    }
  }

  /** Sums some runs of panel `p` of group `g`; at `zeros` is a row of them. */
  private sumPanel(
    { plan, args, panels, splits }: Task,
    g: number,
    p: number,
    some: readonly [number, number],
    zeros: number,
    sums: number,
  ): void {
    const { size, width } = this
    const { target } = this.channels('weight', args)
    const imageBytes = this.areas('weight', plan, args)[1]
    const [sumBytes, blockBytes] = this.shared(plan, args, splits)
    const blocks = Math.ceil(args.batch / plan.images) * plan.bands.length
    const narrow = target - p * width <= width / 2
    for (let block = 0; block < blocks; block++) {
      const band = plan.bands[block % plan.bands.length]
      const n = Math.floor(block / plan.bands.length) * plan.images
      const images = Math.min(plan.images, args.batch - n)
      const image = panels + sumBytes + (g * blocks + block) * blockBytes
      const gradient = image + imageBytes
      if (plan.across) this.addAcross(band, plan, target, images, image, gradient, some, block > 0 ? 0 : zeros, sums)
      else {
        const from = gradient + p * images * band.pixels * width * size
        this.addBlock(band, plan, narrow, images, image, from, some, block > 0 ? 0 : zeros, sums)
      }
    }
  }

  /** Adds what a block has for some runs of a panel to `sums`, or begins with it where `zeros` is given. */
  private addBlock(
    band: Band,
    plan: Plan,
    narrow: boolean,
    images: number,
    image: number,
    gradient: number,
    [first, end]: readonly [number, number],
    zeros: number,
    sums: number,
  ): void {
    const { size } = this
    const row = this.width * size
    const { run, jumps } = band.windows[0].chunks[0]
    const [a, b, c] = band.axes.map((axis) => axis.spans[0])
    const lines = images * a.pixels * b.pixels
    const xStep = c.step * plan.pitch * size
    const { vectors, rows: most } = this.kernels.element
    let x = image
    let to = sums + first * run * row
    for (let r = 0; r < end; r++) {
      x += memory.views.i32[jumps.at / 4 + r]
      if (r < first) {
        x += run * size
        continue
      }
      for (const { rows, strips } of cutRows(run, most)) {
        const [init, step] = zeros === 0 ? [to, row] : [zeros, 0]
        const sum = this.kernels.weights(rows, narrow ? vectors / 2 : vectors)
        sum(strips, 1, lines, c.pixels, band.lines!.at, x, xStep, gradient, 0, to, 0, init, step, 0)
        x += rows * strips * size
        to += rows * strips * row
      }
    }
  }

  /** As `addBlock` for few output channels, which then are the rows of tiles; there is one panel. */
  private addAcross(
    band: Band,
    plan: Plan,
    target: number,
    images: number,
    image: number,
    gradient: number,
    [first, end]: readonly [number, number],
    zeros: number,
    sums: number,
  ): void {
    const { size, width } = this
    const { run, jumps } = band.windows[0].chunks[0]
    const [a, b, c] = band.axes.map((axis) => axis.spans[0])
    const lines = images * a.pixels * b.pixels
    const xStep = c.step * plan.pitch * size
    const { vectors, rows: most } = this.kernels.element
    const panels = Math.ceil(run / width)
    const line = panels * width * size
    let x = image
    let to = sums + first * target * line
    for (let r = 0; r < end; r++) {
      x += memory.views.i32[jumps.at / 4 + r]
      if (r >= first) {
        let g = gradient
        for (const { rows, strips } of cutRows(target, most)) {
          for (let s = 0; s < strips; s++) {
            const [init, step, next] = zeros === 0 ? [to, line, width * size] : [zeros, 0, 0]
            const sum = this.kernels.across(rows, vectors)
            sum(panels, lines, c.pixels, band.lines!.at, x, xStep, g, to, line, init, step, next)
            g += rows * size
            to += rows * line
          }
        }
      }
      x += run * size
    }
  }

  /** Brings what `addAcross` summed up of some runs into a panel. */
  private turnAcross({ plan, args }: Task, [first, end]: readonly [number, number], sums: number, panel: number): void {
    const { size, width } = this
    const { target } = this.channels('weight', args)
    const { run } = plan.bands[0].windows[0].chunks[0]
    const line = Math.ceil(run / width) * width * size
    const row = width * size
    const [from, to] = [sums + first * target * line, panel + first * run * row]
    this.kernels.turning.turn(end - first, target * line, run * row, target, run, from, line, to, row)
  }

  /** Brings panel `p` of group `g` of the weight's gradient into the weight's order. */
  private finishPanel({ plan, args }: Task, g: number, p: number, sums: number): void {
    const { size, width } = this
    const { source, target } = this.channels('weight', args)
    const columns = source * volume(args.kernel)
    const line = columns * size
    const to = args.w + (g * target + p * width) * line
    const rows = Math.min(width, target - p * width)
    this.kernels.turning.gather(1, 0, 0, rows, columns, to, line, plan.order.at, sums, 0)
  }

  /** Brings a share of the panels into the weight's order. */
  finishWeight(task: Task, piece: number): void {
    const { plan, args, panels, pieces } = task
    const count = this.channels('weight', args).columns / this.width
    const [first, end] = share(piece, pieces, args.groups * count)
    for (let unit = first; unit < end; unit++) {
      const sums = panels + unit * plan.depth * this.width * this.size
      this.finishPanel(task, Math.floor(unit / count), unit % count, sums)
    }
  }
}
