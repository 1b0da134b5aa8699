// Convolution with few output channels and no strides: planes stay as they are, neighbouring pixels are the columns of tiles,
// and tap k of all of them is the same plane some elements further on. Pixels between the ends of lines are computed in vain.
import type { ConvolutionArgs } from '../device.ts'
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { ACROSS } from './convkernels.ts'
import { ConvKernels } from './convtables.ts'
import { DTYPES, decodeArgs, encodeArgs, hostOf, indexOf, share } from './convtask.ts'
import { type Axis, covered, inputAxis, outputAxis, volume } from './convwindows.ts'
import { type Element, elementOf, type MatmulDType } from './element.ts'
import type { Host } from './features.ts'
import { cutRows } from './gemm.ts'

/** Pixels computed for each one wanted, at most. */
const MOST_WASTE = 1.9
/** Multiplications that a piece should have at least, and pieces for each thread. */
const PIECE_PRODUCTS = 400_000
const PIECES = 4

type Part = 'output' | 'input'

/** What can be said before the operands are known. */
interface Shape {
  readonly channels: number
  readonly target: number
  readonly axes: readonly Axis[]
  /** Sizes of a bordered plane, and pixels from the first wanted one to the last. */
  readonly plane: readonly number[]
  readonly pixels: number
  readonly taps: number
  /** Planes need no borders. */
  readonly plain: boolean
}

function shapeOf(part: Part, args: ConvolutionArgs): Shape {
  const [inGroup, outGroup] = [args.inputChannels / args.groups, args.outputChannels / args.groups]
  const forward = part === 'output'
  const axes = [0, 1, 2].map((d) =>
    forward ? outputAxis(args, d, 0, args.output[d]) : inputAxis(args, d, 0, args.input[d]),
  )
  const plane = axes.map((a) => a.edge.length)
  const [d, h, w] = forward ? args.output : args.input
  const read = forward ? args.input : args.output
  return {
    channels: forward ? inGroup : outGroup,
    target: forward ? outGroup : inGroup,
    axes,
    plane,
    pixels: ((d - 1) * plane[1] + h - 1) * plane[2] + w,
    taps: volume(args.kernel),
    plain: axes.every(({ edge }, i) => edge.before === 0 && edge.length === read[i]),
  }
}

/** True if this is the routine for a part of a convolution. */
export function shifts(part: Part, args: ConvolutionArgs, element: Element): boolean {
  const target = (part === 'output' ? args.outputChannels : args.inputChannels) / args.groups
  if (target > ACROSS || args.stride.some((n) => n !== 1)) return false
  const { axes, pixels } = shapeOf(part, args)
  const wanted = volume(part === 'output' ? args.output : args.input)
  if (pixels < element.vectors * element.lanes || pixels > MOST_WASTE * wanted) return false
  return axes.every(({ spans }) => spans.length === 1 && spans[0].taps > 0 && spans[0].offset === 0)
}

/** Kernels of this thread, by dtype and host. */
const kernelsOf: ConvKernels[] = []

const piece = routine('convolution by shifts', (numbers, piece, scratch) => {
  const [index, forward, pieces] = numbers
  kernelsOf[index] ??= new ConvKernels(elementOf(DTYPES[index >> 2], hostOf(index)))
  const part = forward === 1 ? 'output' : 'input'
  new Piece(kernelsOf[index], part, decodeArgs(numbers, 3)).run(piece, pieces, scratch)
})

/** Computes the output, or the gradient of the input, on all threads. */
export function shift(dtype: MatmulDType, host: Host, part: Part, args: ConvolutionArgs): void {
  const index = indexOf(dtype, host)
  kernelsOf[index] ??= new ConvKernels(elementOf(dtype, host))
  const { pixels, channels, taps } = shapeOf(part, args)
  const images = args.groups * args.batch
  const target = (part === 'output' ? args.outputChannels : args.inputChannels) / args.groups
  const pieces = Math.min(images, piecesFor(images * pixels * channels * target * taps, PIECE_PRODUCTS, PIECES))
  const bytes = new Piece(kernelsOf[index], part, args).bytes
  parallel(piece, [index, part === 'output' ? 1 : 0, pieces, ...encodeArgs(args)], pieces, bytes)
}

/** One thread's share. */
class Piece {
  private readonly kernels: ConvKernels
  private readonly part: Part
  private readonly args: ConvolutionArgs
  private readonly shape: Shape
  private readonly size: number
  /** Bytes of the table, the weights, the start, the bordered planes and the pixels. */
  private readonly areas: readonly number[]

  constructor(kernels: ConvKernels, part: Part, args: ConvolutionArgs) {
    this.kernels = kernels
    this.part = part
    this.args = args
    this.size = kernels.element.bytes
    const s = shapeOf(part, args)
    this.shape = s
    const round = (bytes: number): number => Math.ceil(bytes / 64) * 64 + 64
    this.areas = [
      round(s.channels * s.taps * 4),
      round(s.channels * s.taps * ACROSS * this.size),
      round(ACROSS * this.size),
      s.plain ? 0 : round(s.channels * volume(s.plane as [number, number, number]) * this.size),
      round(s.target * s.pixels * this.size),
    ]
  }

  /** Bytes of scratch memory. */
  get bytes(): number {
    return this.areas.reduce((a, b) => a + b)
  }

  run(piece: number, pieces: number, scratch: number): void {
    const { args, size } = this
    const { channels, target, plain } = this.shape
    const { batch, groups } = args
    const places = [scratch]
    for (const bytes of this.areas) places.push(places[places.length - 1] + bytes)
    const [table, weights, start, planes, pixels] = places
    this.writeTable(table)
    const forward = this.part === 'output'
    const [from, to] = forward ? [args.x, args.y] : [args.y, args.x]
    const [read, written] = forward ? [args.input, args.output] : [args.output, args.input]
    const [first, end] = share(piece, pieces, batch * groups)
    let group = -1
    for (let unit = first; unit < end; unit++) {
      const [g, n] = [Math.floor(unit / batch), unit % batch]
      if (g !== group) this.packGroup(g, weights, start)
      group = g
      const source = from + (n * groups + g) * channels * volume(read) * size
      if (!plain) this.border(source, planes)
      this.tiles(plain ? source : planes, table, weights, start, pixels)
      this.store(pixels, to + (n * groups + g) * target * volume(written) * size)
    }
  }

  /** Where each channel's taps are. */
  private writeTable(at: number): void {
    const { channels, axes, plane } = this.shape
    const [d, h, w] = this.args.kernel
    const position = (tap: number, i: number): number => {
      const { tapFirst, tapStep, gap } = axes[i].spans[0]
      return ((tap - tapFirst) / tapStep) * gap
    }
    const { i32 } = memory.views
    let next = at / 4
    for (let c = 0; c < channels; c++)
      for (let i = 0; i < d; i++)
        for (let j = 0; j < h; j++)
          for (let k = 0; k < w; k++)
            i32[next++] =
              (((c * plane[0] + position(i, 0)) * plane[1] + position(j, 1)) * plane[2] + position(k, 2)) * this.size
  }

  private packGroup(g: number, weights: number, start: number): void {
    const { args, size } = this
    const { channels, target, taps } = this.shape
    const { turning } = this.kernels
    const w = args.w + g * channels * target * taps * size
    const column = ACROSS * size
    if (this.part === 'output')
      turning.turn(1, 0, 0, target, channels * taps, w, channels * taps * size, weights, column)
    else turning.turn(channels, target * taps * size, taps * column, target, taps, w, taps * size, weights, column)
    const { u8 } = memory.views
    if (args.bias === 0) u8.fill(0, start, start + column)
    else u8.copyWithin(start, args.bias + g * target * size, args.bias + (g + 1) * target * size)
  }

  private border(source: number, to: number): void {
    const { args, size } = this
    const { channels, axes, plane } = this.shape
    const read = this.part === 'output' ? args.input : args.output
    const [d, h, w] = axes.map((axis, i) => covered(axis.edge, read[i]))
    const elements = plane[0] * plane[1] * plane[2]
    memory.views.u8.fill(0, to, to + channels * elements * size)
    const [before, above, left] = axes.map((axis) => axis.edge.before)
    for (let c = 0; c < channels; c++) {
      for (let i = d[0]; i < d[1]; i++) {
        const line = ((c * read[0] + i - before) * read[1] + h[0] - above) * read[2] + w[0] - left
        const place = (c * plane[0] + i) * plane[1] * plane[2] + h[0] * plane[2] + w[0]
        const count = Math.max(0, h[1] - h[0])
        const [step, toStep] = [read[2] * size, plane[2] * size]
        this.kernels.turning.lines(
          count,
          0,
          w[1] - w[0],
          0,
          source + line * size,
          step,
          size,
          to + place * size,
          toStep,
        )
      }
    }
  }

  private tiles(image: number, table: number, weights: number, start: number, to: number): void {
    const { size } = this
    const { channels, target, pixels, taps } = this.shape
    const { rows: most, vectors, lanes } = this.kernels.element
    const width = vectors * lanes
    const row = pixels * size
    // The last tile may begin inside the one before it, so that nothing behind the planes is read.
    const last = pixels - width
    let channel = 0
    for (const { rows, strips } of cutRows(target, most)) {
      const block = this.kernels.shift(rows, vectors)
      for (let s = 0; s < strips; s++) {
        const [a, y, init] = [weights + channel * size, to + channel * row, start + channel * size]
        block(Math.floor(pixels / width), channels * taps, table, image, a, y, row, init)
        if (pixels % width > 0) block(1, channels * taps, table, image + last * size, a, y + last * size, row, init)
        channel += rows
      }
    }
  }

  /** Takes the wanted pixels out. */
  private store(from: number, to: number): void {
    const { args, size } = this
    const { target, plane, pixels } = this.shape
    const [d, h, w] = this.part === 'output' ? args.output : args.input
    for (let c = 0; c < target; c++) {
      for (let i = 0; i < d; i++) {
        const source = from + (c * pixels + i * plane[1] * plane[2]) * size
        this.kernels.turning.lines(h, 0, w, 0, source, plane[2] * size, size, to + (c * d + i) * h * w * size, w * size)
      }
    }
  }
}
