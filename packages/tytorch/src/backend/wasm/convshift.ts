// Convolution with few output channels and no strides: planes stay as they are, neighbouring pixels are the columns of tiles,
// and tap k of all of them is the same plane some elements further on. What a tile computes beyond the end of a line in vain, the
// next line's tile overwrites.
import type { ConvolutionArgs, Triple } from '../device.ts'
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { ACROSS } from './convkernels.ts'
import { type ConvKernels, kernelsOf } from './convtables.ts'
import { decodeArgs, encodeArgs, indexOf, shapeNumber, share } from './convtask.ts'
import { type Axis, covered, inputAxis, outputAxis, volume } from './convwindows.ts'
import type { Element, MatmulDType } from './element.ts'
import type { Host } from './features.ts'
import { cutRows } from './gemm.ts'

/** Pixels computed for each one wanted, at most. */
const MOST_WASTE = 1.9
/** Multiplications that a piece should have at least, and pieces for each thread. */
const PIECE_PRODUCTS = 400_000
const PIECES = 4
/** Shapes kept from earlier calls. */
const SHAPES = 64

type Part = 'output' | 'input'

/** What can be said before the operands are known. */
interface Shape {
  readonly channels: number
  readonly target: number
  readonly axes: readonly Axis[]
  /** Sizes of a bordered plane and of a written one. */
  readonly plane: readonly number[]
  readonly written: Triple
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
  const read = forward ? args.input : args.output
  return {
    channels: forward ? inGroup : outGroup,
    target: forward ? outGroup : inGroup,
    axes,
    plane,
    written: forward ? args.output : args.input,
    taps: volume(args.kernel),
    plain: axes.every(({ edge }, i) => edge.before === 0 && edge.length === read[i]),
  }
}

/** True if this is the routine for a part of a convolution. */
export function shifts(part: Part, args: ConvolutionArgs, element: Element): boolean {
  const target = (part === 'output' ? args.outputChannels : args.inputChannels) / args.groups
  if (target > ACROSS || args.stride.some((n) => n !== 1)) return false
  const [, h, w] = part === 'output' ? args.output : args.input
  const tile = element.vectors * element.lanes
  // The last line's tile begins in the lines before.
  if (2 * w < tile || (w < tile && h < 2) || Math.ceil(w / tile) * tile > MOST_WASTE * w) return false
  const { axes } = shapeOf(part, args)
  return axes.every(({ spans }) => spans.length === 1 && spans[0].taps > 0 && spans[0].offset === 0)
}

/** This thread's pieces by the main thread's number of their shape. */
const pieceOf = new Map<number, Piece>()

function adopt(id: number, index: number, part: Part, args: () => ConvolutionArgs): Piece {
  let found = pieceOf.get(id)
  if (!found) {
    found = new Piece(kernelsOf(index), part, args())
    if (pieceOf.size >= SHAPES) pieceOf.delete(pieceOf.keys().next().value as number)
    pieceOf.set(id, found)
  }
  return found
}

/** Numbers before the pointers, the pointers, and then the geometry. */
const HEAD = 4
const POINTERS = 4

const piece = routine('convolution by shifts', (numbers, piece, scratch) => {
  const [id, index, forward, pieces, x, w, y, bias] = numbers
  const part = forward === 1 ? 'output' : 'input'
  adopt(id, index, part, () => decodeArgs(numbers, HEAD + POINTERS)).run({ x, w, y, bias }, piece, pieces, scratch)
})

/** Computes the output, or the gradient of the input, on all threads. */
export function shift(dtype: MatmulDType, host: Host, part: Part, args: ConvolutionArgs): void {
  const index = indexOf(dtype, host)
  const { x, w, y, bias } = args
  const geometry = encodeArgs({ ...args, x: 0, w: 0, y: 0, bias: 0 })
  const id = shapeNumber(index, part, geometry)
  const { bytes, products } = adopt(id, index, part, () => args)
  const pieces = Math.min(args.groups * args.batch, piecesFor(products, PIECE_PRODUCTS, PIECES))
  parallel(piece, [id, index, part === 'output' ? 1 : 0, pieces, x, w, y, bias, ...geometry], pieces, bytes)
}

type Pointers = Pick<ConvolutionArgs, 'x' | 'w' | 'y' | 'bias'>

/** One thread's share. */
class Piece {
  private readonly kernels: ConvKernels
  private readonly part: Part
  private readonly args: ConvolutionArgs
  private readonly shape: Shape
  private readonly size: number
  /** Bytes of the table, the weights, the start, the last line of a tile, and the bordered planes. */
  private readonly areas: readonly number[]
  /** Bytes of scratch memory. */
  readonly bytes: number
  /** Multiplications of the whole. */
  readonly products: number

  constructor(kernels: ConvKernels, part: Part, args: ConvolutionArgs) {
    this.kernels = kernels
    this.part = part
    this.args = args
    this.size = kernels.element.bytes
    const s = shapeOf(part, args)
    this.shape = s
    const round = (bytes: number): number => Math.ceil(bytes / 64) * 64 + 64
    const { vectors } = kernels.element
    this.areas = [
      round(s.channels * s.taps * 4),
      round(s.channels * s.taps * ACROSS * this.size),
      round(ACROSS * this.size),
      round(ACROSS * vectors * 16),
      // Tiles of lines shorter than themselves read beyond the last plane.
      s.plain ? 0 : round(s.channels * volume(s.plane as Triple) * this.size + vectors * 16),
    ]
    this.bytes = this.areas.reduce((a, b) => a + b)
    this.products = args.groups * args.batch * volume(s.written) * s.channels * s.target * s.taps
  }

  run({ x, w, y, bias }: Pointers, piece: number, pieces: number, scratch: number): void {
    const { args, size } = this
    const { channels, target, plain, plane, written } = this.shape
    const { batch, groups } = args
    const places = [scratch]
    for (const bytes of this.areas) places.push(places[places.length - 1] + bytes)
    const [table, weights, start, spare, planes] = places
    this.writeTable(table)
    const forward = this.part === 'output'
    const [from, to] = forward ? [x, y] : [y, x]
    const read = forward ? args.input : args.output
    const [first, end] = share(piece, pieces, batch * groups)
    if (!plain) this.kernels.turning.zero(channels * volume(plane as Triple), planes)
    let group = -1
    for (let unit = first; unit < end; unit++) {
      const [g, n] = [Math.floor(unit / batch), unit % batch]
      if (g !== group) this.packGroup(w, bias, g, weights, start)
      group = g
      const source = from + (n * groups + g) * channels * volume(read) * size
      if (!plain) this.border(source, planes)
      const place = to + (n * groups + g) * target * volume(written) * size
      this.tiles(plain ? source : planes, table, weights, start, spare, place)
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

  private packGroup(from: number, bias: number, g: number, weights: number, start: number): void {
    const { size } = this
    const { channels, target, taps } = this.shape
    const { turning } = this.kernels
    const w = from + g * channels * target * taps * size
    const column = ACROSS * size
    if (this.part === 'output')
      turning.turn(1, 0, 0, target, channels * taps, w, channels * taps * size, weights, column)
    else turning.turn(channels, target * taps * size, taps * column, target, taps, w, taps * size, weights, column)
    if (bias === 0) turning.zero(ACROSS, start)
    else memory.views.u8.copyWithin(start, bias + g * target * size, bias + (g + 1) * target * size)
  }

  private border(source: number, to: number): void {
    const { args, size } = this
    const { channels, axes, plane } = this.shape
    const read = this.part === 'output' ? args.input : args.output
    const [d, h, w] = axes.map((axis, i) => covered(axis.edge, read[i]))
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

  private tiles(image: number, table: number, weights: number, start: number, spare: number, to: number): void {
    const { size } = this
    const { channels, target, taps, plane, written } = this.shape
    const { rows: most, vectors, lanes } = this.kernels.element
    const [d, h, w] = written
    const width = vectors * lanes
    const [line, planeLine] = [w * size, plane[2] * size]
    const tiles = Math.ceil(w / width) - 1
    const last = Math.max(w - width, 0) * size
    // A tile longer than its line would write into another channel's plane after the last one.
    const own = w < width ? 1 : 0
    const row = d * h * line
    const k = channels * taps
    let channel = 0
    for (const { rows, strips } of cutRows(target, most)) {
      const block = this.kernels.shift(rows, vectors)
      for (let s = 0; s < strips; s++) {
        const [a, init] = [weights + channel * size, start + channel * size]
        for (let z = 0; z < d; z++) {
          const source = image + z * plane[1] * planeLine
          const y = to + channel * row + z * h * line
          block(h - own, tiles, last, k, table, source, planeLine, a, y, line, row, init)
          if (own === 0) continue
          const at = source + (h - 1) * planeLine + (w - width) * size
          block(1, 0, 0, k, table, at, 0, a, spare, 0, vectors * 16, init)
          const found = spare + (width - w) * size
          this.kernels.turning.lines(rows, 0, w, 0, found, vectors * 16, size, y + (h - 1) * line, row)
        }
        channel += rows
      }
    }
  }
}
