// Depthwise convolution: each plane alone, in a copy with borders that stays in the L1 cache.
import type { ConvolutionArgs, ConvolutionPart } from '../device.ts'
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import {
  type DepthBlock,
  type DepthWeights,
  emitDepth,
  emitDepthWeights,
  emitFold,
  type Fold,
  MOST_KEPT,
  pixelsOf,
  type Reach,
} from './convdepthkernels.ts'
import { type ConvKernels, compiledFor, kernelsOf } from './convtables.ts'
import { decodeArgs, encodeArgs, indexOf, PARTS, shapeNumber, share } from './convtask.ts'
import { volume } from './convwindows.ts'
import type { Element, MatmulDType } from './element.ts'
import type { Host } from './features.ts'

/** Taps along a dimension, at most, and sums that the weight's gradient holds in registers. */
const MOST_TAPS = 7
const MOST_SUMS = 10
/** Bytes of a bordered plane, at most. */
const MOST_BYTES = 1 << 18
/** Multiplications that a piece should have at least, and pieces for each thread. */
const PIECE_PRODUCTS = 100_000
const PIECES = 4
/** Shapes known. */
const SHAPES = 64

/** True if this is the routine for a part of a convolution. */
export function isDepthwise(part: ConvolutionPart, args: ConvolutionArgs, element: Element): boolean {
  const { groups, inputChannels, outputChannels, input, output, kernel, stride } = args
  if (groups === 1 || inputChannels !== groups || kernel[0] * input[0] * stride[0] !== 1 || output[0] !== 1)
    return false
  if (stride[2] > 2 || kernel[1] > MOST_TAPS || kernel[2] > MOST_TAPS) return false
  if (part === 'input' && outputChannels !== groups) return false
  // Lines shorter than a tile would multiply by zeros what they may not meet.
  if (part === 'weight' && output[2] < pixelsOf(element)) return false
  return planeOf(part, args, element).bytes <= MOST_BYTES
}

/** How the bordered plane of what is read lies. */
interface Plane {
  /** Lines, and elements of one, or of its even ones. */
  readonly height: number
  readonly width: number
  readonly bytes: number
  /** Elements before the first one, and between two, of the plane along both dimensions. */
  readonly before: readonly [number, number]
  readonly apart: readonly [number, number]
  readonly reach: Reach
}

function planeOf(part: ConvolutionPart, args: ConvolutionArgs, element: Element): Plane {
  const [, kh, kw] = args.kernel
  const [, sh, sw] = args.stride
  const [, ph, pw] = args.padding
  const [, dh, dw] = args.dilation
  const window = { lines: kh, taps: kw, lineGap: dh, tapGap: dw }
  const [high, wide] = [(kh - 1) * dh, (kw - 1) * dw]
  const pixels = pixelsOf(element)
  const made = (height: number, width: number, rest: Pick<Plane, 'before' | 'apart' | 'reach'>): Plane => {
    const bytes = height * width * rest.reach.tapStep * element.bytes
    return { height, width, bytes, ...rest }
  }
  if (part === 'input') {
    // A correlation with the taps in reverse, of the output with its elements as far apart as the strides.
    const reach = { ...window, lineStep: 1, tapStep: 1 }
    const width = Math.max(args.input[2], pixels) + wide
    return made(args.input[1] + high, width, { before: [high - ph, wide - pw], apart: [sh, sw], reach })
  }
  const reach = { ...window, lineStep: sh, tapStep: sw }
  const width = Math.max(args.output[2], pixels) + Math.ceil(wide / sw)
  return made((args.output[1] - 1) * sh + high + 1, width, { before: [ph, pw], apart: [1, 1], reach })
}

/** Indices of source elements that lie in a border of `length` elements. */
function inside(count: number, before: number, apart: number, length: number): readonly [number, number] {
  const first = Math.max(0, Math.ceil(-before / apart))
  return [first, Math.max(first, Math.min(count, Math.floor((length - 1 - before) / apart) + 1))]
}

interface Pointers {
  readonly x: number
  readonly w: number
  readonly y: number
  readonly bias: number
}

/** What one thread knows of a shape. */
class Depth {
  private readonly index: number
  private readonly part: ConvolutionPart
  private readonly args: ConvolutionArgs
  private readonly kernels: ConvKernels
  private readonly plane: Plane
  private readonly size: number
  private readonly key: string
  private readonly taps: number
  /** Lines written, and pixels of one; tiles of a line, their size, and where the last one begins. */
  private readonly lines: number
  private readonly line: number
  private readonly tiles: number
  private readonly across: number
  private readonly last: number
  /** Bytes of the plane, and after it of a plane of tiles or a gradient's. */
  private readonly planeBytes: number
  private readonly sumBytes: number
  readonly scratch: number
  readonly products: number

  constructor(index: number, part: ConvolutionPart, args: ConvolutionArgs) {
    this.index = index
    this.part = part
    this.args = args
    this.kernels = kernelsOf(index)
    const { element } = this.kernels
    this.plane = planeOf(part, args, element)
    this.size = element.bytes
    this.taps = volume(args.kernel)
    const { reach } = this.plane
    this.key = `${index} ${Object.values(reach)}`
    const [, h, w] = part === 'input' ? args.input : args.output
    this.lines = h
    this.line = w
    const pixels = pixelsOf(element)
    this.across = part !== 'weight' && this.taps > MOST_KEPT && w >= 2 * pixels ? 2 : 1
    this.tiles = Math.ceil(w / (this.across * pixels))
    this.last = Math.max(0, w - this.across * pixels) * this.size
    const round = (bytes: number): number => Math.ceil(bytes / 64) * 64 + 64
    this.planeBytes = round(this.plane.bytes)
    const tiles = part === 'weight' ? 2 * pixels : w < pixels ? h * pixels : 0
    this.sumBytes = round(this.taps * pixels * this.size)
    this.scratch = this.planeBytes + this.sumBytes + round(tiles * this.size)
    this.products = args.batch * args.outputChannels * h * w * this.taps
  }

  /** Brings a plane between its borders, which are zeros already. */
  private border(from: number, to: number): void {
    const { part, args, size } = this
    const { height, width, before, apart, reach } = this.plane
    const { turning } = this.kernels
    const [, h, w] = part === 'input' ? args.output : args.input
    const step = reach.tapStep
    const line = width * step * size
    const [top, bottom] = inside(h, before[0], apart[0], height)
    const place = to + (top * apart[0] + before[0]) * line
    for (let phase = 0; phase < step; phase++) {
      // Elements i with i + before = phase, modulo the step.
      const [first, end] = inside(w, before[1], apart[1], width * step)
      const start = step === 1 ? first : first + ((((phase - first - before[1]) % step) + step) % step)
      const count = Math.ceil((end - start) / step)
      if (count <= 0) continue
      const column = Math.floor((start * apart[1] + before[1]) / step) + phase * width
      const source = from + (top * w + start) * size
      const target = place + column * size
      const [many, toLine] = [bottom - top, apart[0] * line]
      if (apart[1] === 1) turning.lines(many, 0, count, 0, source, w * size, step * size, target, toLine)
      else turning.turnApart(many, w * size, toLine, 1, count, source, 0, size, target, apart[1] * size)
    }
  }

  /** Computes a share of the planes. */
  correlate({ x, w, y, bias }: Pointers, piece: number, pieces: number, scratch: number): void {
    const { args, size, taps, lines, line, tiles, across, last, key } = this
    const { turning, element } = this.kernels
    const { height, width, reach } = this.plane
    const back = this.part === 'input'
    const [from, to] = back ? [y, x] : [x, y]
    const [read, written] = back ? [args.output, args.input] : [args.input, args.output]
    const targets = back ? args.inputChannels : args.outputChannels
    const each = args.outputChannels / args.groups
    const block = compiledFor<DepthBlock>(`depth ${key} ${across}`, (m) => emitDepth(m, element, reach, across))
    const [weights, spare] = [scratch + this.planeBytes, scratch + this.planeBytes + this.sumBytes]
    const xLine = width * reach.tapStep * size
    const narrow = line < pixelsOf(element)
    turning.zero(height * width * reach.tapStep, scratch)
    const zero = weights + taps * size
    turning.zero(1, zero)
    const [first, end] = share(piece, pieces, args.batch * targets)
    let ready = -1
    for (let unit = first; unit < end; unit++) {
      const channel = unit % targets
      const source = back ? unit : Math.floor(unit / each)
      if (source !== ready) this.border(from + source * volume(read) * size, scratch)
      ready = source
      let taken = w + channel * taps * size
      if (back) {
        turning.turnApart(1, 0, 0, 1, taps, taken + (taps - 1) * size, 0, -size, weights, size)
        taken = weights
      }
      const init = bias === 0 ? zero : bias + channel * size
      const place = to + unit * volume(written) * size
      const [target, targetLine] = narrow ? [spare, pixelsOf(element) * size] : [place, line * size]
      block(lines, tiles, last, scratch, xLine, width * size, taken, target, targetLine, init)
      if (narrow) turning.lines(lines, 0, line, 0, spare, targetLine, size, place, line * size)
    }
  }

  /** Computes a share of the channels' gradients. */
  sumWeight({ x, w, y }: Pointers, piece: number, pieces: number, scratch: number): void {
    const { args, size, taps, lines, line, tiles, last, key } = this
    const { turning, element } = this.kernels
    const { height, width, reach } = this.plane
    const pixels = pixelsOf(element)
    const each = args.outputChannels / args.groups
    const [sums, mask] = [scratch + this.planeBytes, scratch + this.planeBytes + this.sumBytes]
    const xLine = width * reach.tapStep * size
    const some = Math.max(1, Math.floor(MOST_SUMS / reach.taps))
    const groups = Array.from({ length: Math.ceil(reach.lines / some) }, (_, i) => i * some)
    const blocks = groups.map((from) =>
      compiledFor<DepthWeights>(`depth weights ${key} ${from}`, (m) =>
        emitDepthWeights(m, element, reach, from, Math.min(from + some, reach.lines)),
      ),
    )
    const fold = compiledFor<Fold>(`depth fold ${this.index}`, (m) => emitFold(m, element))
    turning.zero(height * width * reach.tapStep, scratch)
    // Of the last tile, what the one before it has as well does not count.
    const vector = pixels * size
    const twice = tiles * vector - line * size
    memory.views.u8.fill(0, mask, mask + twice).fill(255, mask + twice, mask + 2 * vector)
    const [first, end] = share(piece, pieces, args.outputChannels)
    for (let o = first; o < end; o++) {
      turning.zero(taps * pixels, sums)
      const c = Math.floor(o / each)
      for (let n = 0; n < args.batch; n++) {
        this.border(x + (n * args.inputChannels + c) * volume(args.input) * size, scratch)
        const from = y + (n * args.outputChannels + o) * lines * line * size
        for (const block of blocks)
          block(lines, tiles, last, scratch, xLine, width * size, from, line * size, mask, sums)
      }
      fold(taps, sums, w + o * taps * size)
    }
  }
}

const depths = new Map<number, Depth>()
/** Numbers before the geometry. */
const HEAD = 8

function adopt(id: number, index: number, part: ConvolutionPart, args: () => ConvolutionArgs): Depth {
  let found = depths.get(id)
  if (!found) {
    if (depths.size >= SHAPES) depths.delete(depths.keys().next().value as number)
    depths.set(id, (found = new Depth(index, part, args())))
  }
  return found
}

const depthPiece = routine('depthwise convolution', (numbers, piece, scratch) => {
  const [id, index, part, pieces, x, w, y, bias] = numbers
  const depth = adopt(id, index, PARTS[part], () => decodeArgs(numbers, HEAD))
  if (PARTS[part] === 'weight') depth.sumWeight({ x, w, y, bias }, piece, pieces, scratch)
  else depth.correlate({ x, w, y, bias }, piece, pieces, scratch)
})

/** Computes one part on all threads. */
export function depthwise(dtype: MatmulDType, host: Host, part: ConvolutionPart, args: ConvolutionArgs): void {
  const index = indexOf(dtype, host)
  const geometry = encodeArgs({ ...args, x: 0, w: 0, y: 0, bias: 0 })
  const id = shapeNumber(index, part, geometry)
  const { products, scratch } = adopt(id, index, part, () => args)
  const units =
    part === 'weight' ? args.outputChannels : args.batch * (part === 'input' ? args.inputChannels : args.outputChannels)
  const pieces = Math.min(units, piecesFor(products, PIECE_PRODUCTS, PIECES))
  const { x, w, y, bias } = args
  parallel(depthPiece, [id, index, PARTS.indexOf(part), pieces, x, w, y, bias, ...geometry], pieces, scratch)
}
