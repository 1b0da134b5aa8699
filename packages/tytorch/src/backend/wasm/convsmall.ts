// Convolution of small images with many channels: images lie side by side in vectors, kernels skip the taps that fall outside,
// and weights, of which there is more than of anything else, are read where they are.
import type { ConvolutionArgs, ConvolutionPart } from '../device.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import {
  emitSmall,
  emitSmallWeights,
  emitTurnTaps,
  lanesOf,
  type Meetings,
  type Program,
  type SmallBlock,
  type SmallWeights,
  type TurnTaps,
} from './convsmallkernels.ts'
import { type ConvKernels, compiledFor, kernelsOf, Workspace } from './convtables.ts'
import { decodeArgs, encodeArgs, indexOf, PARTS, shapeNumber, share } from './convtask.ts'
import { volume } from './convwindows.ts'
import type { Element, MatmulDType } from './element.ts'
import type { Host } from './features.ts'

/** Pixels of all images for each of which a weight is used, at most, and weights at least. */
const MOST_PIXELS = 160
const LEAST_WEIGHTS = 16_384
/** Multiplications written out in a kernel, and sums in one of the weight's gradient. */
const MOST_MEETINGS = 160
const MOST_TAPS = 9
/** Taps summed at a time, of so many channels: sums of one tap alone would wait for each other. */
const TAPS = 3
const TAP_ROWS = 3
const SHORT_ROWS = 4
/** Lanes that may stay empty. */
const MOST_EMPTY = 0.25
/** Pixels of a kernel and channels by their number. */
const PIXELS = 4
const ROWS = [0, 6, 4, 3, 2]
/** Channels whose weights a piece takes at a time. */
const CHANNELS = 16
/** Multiplications that a piece should have at least, and pieces for each thread. */
const PIECE_PRODUCTS = 400_000
const PIECE_ELEMENTS = 16_384
const PIECES = 4
/** Shapes known. */
const SHAPES = 64

/** Tap, pixel of the output and pixel of the input that it joins. */
type Meeting = readonly [tap: number, output: number, input: number]

function meetingsOf({ input, output, kernel, stride, padding, dilation }: ConvolutionArgs): Meeting[] {
  const along = [0, 1, 2].map((d) => {
    const list: Meeting[] = []
    for (let k = 0; k < kernel[d]; k++) {
      for (let p = 0; p < output[d]; p++) {
        const q = p * stride[d] - padding[d] + k * dilation[d]
        if (q >= 0 && q < input[d]) list.push([k, p, q])
      }
    }
    return list
  })
  const all = [kernel, output, input]
  const flat = (a: Meeting, b: Meeting, c: Meeting, i: 0 | 1 | 2): number =>
    (a[i] * all[i][1] + b[i]) * all[i][2] + c[i]
  return along[0].flatMap((a) =>
    along[1].flatMap((b) => along[2].map((c): Meeting => [flat(a, b, c, 0), flat(a, b, c, 1), flat(a, b, c, 2)])),
  )
}

/** True if this is the routine for a part of a convolution. */
export function isSmall(part: ConvolutionPart, args: ConvolutionArgs, element: Element): boolean {
  const { batch, groups, inputChannels, outputChannels, input, output, kernel } = args
  const lanes = lanesOf(element)
  if (groups !== 1 || volume(kernel) === 1 || batch * volume(output) > MOST_PIXELS) return false
  if (inputChannels * outputChannels * volume(kernel) < LEAST_WEIGHTS) return false
  if (volume(input) * volume(kernel) > 16 * MOST_MEETINGS || meetingsOf(args).length > MOST_MEETINGS) return false
  if (part === 'weight') return inputChannels % lanes === 0 && volume(kernel) <= MOST_TAPS
  return 1 - batch / (Math.ceil(batch / lanes) * lanes) <= MOST_EMPTY
}

/** Neighbouring pixels, at most PIXELS of a line. */
function segmentsOf(sizes: readonly number[]): number[][] {
  const all = sizes[0] * sizes[1] * sizes[2]
  const line = all <= PIXELS ? all : sizes[2]
  const parts = Math.ceil(line / PIXELS)
  const segments: number[][] = []
  for (let first = 0; first < all; first += line) {
    for (let i = 0; i < parts; i++) {
      const [from, to] = share(i, parts, line)
      segments.push(Array.from({ length: to - from }, (_, p) => first + from + p))
    }
  }
  return segments
}

/** A segment's program, and the first pixel that it reads. */
function programOf(meetings: readonly Meeting[], part: ConvolutionPart, segment: readonly number[]): [Program, number] {
  const [to, from] = part === 'output' ? ([1, 2] as const) : ([2, 1] as const)
  const met = meetings.filter((m) => segment.includes(m[to]))
  const first = Math.min(...met.map((m) => m[from]))
  const taps = [...new Set(met.map((m) => m[0]))]
  const program = taps.map((tap) => ({
    tap,
    joins: met.filter((m) => m[0] === tap).map((m) => [m[to] - segment[0], m[from] - first] as const),
  }))
  return [program, met.length > 0 ? first : 0]
}

/** For the weight's gradient: taps in groups. */
function groupsOf(meetings: readonly Meeting[], taps: number): Meetings {
  return Array.from({ length: Math.ceil(taps / TAPS) }, (_, i) => {
    const some = Array.from({ length: Math.min(TAPS, taps - i * TAPS) }, (_, t) => i * TAPS + t)
    const met = meetings.filter((m) => some.includes(m[0]))
    const pixels = [...new Set(met.map((m) => m[1]))]
    const joins = (p: number): [number, number][] => met.filter((m) => m[1] === p).map((m) => [m[0], m[2]])
    return { taps: some, pixels: pixels.map((pixel) => ({ pixel, joins: joins(pixel) })) }
  })
}

/** Pixels that one kernel computes: it begins to read at pixel `from`. */
interface Segment {
  readonly at: number
  readonly from: number
  readonly pixels: number
  readonly program: Program
  readonly key: string
}

/** What one thread knows of a shape. */
class Small {
  private readonly index: number
  private readonly part: ConvolutionPart
  private readonly args: ConvolutionArgs
  private readonly kernels: ConvKernels
  private readonly size: number
  private readonly lanes: number
  /** Channels and pixels of what is brought into lanes, and of what is written. */
  private readonly channels: number
  private readonly read: number
  private readonly target: number
  private readonly written: number
  private readonly blocks: number
  private readonly taps: number
  private readonly segments: readonly Segment[]
  private readonly groups: Meetings
  /** Of the weight's gradient: channels of a tile. */
  private readonly rows: number
  /** Bytes of what is brought into lanes, and of a piece's scratch memory. */
  readonly shared: number
  readonly scratch: number
  readonly products: number

  constructor(index: number, part: ConvolutionPart, args: ConvolutionArgs) {
    const back = part === 'input'
    this.index = index
    this.part = part
    this.args = args
    this.kernels = kernelsOf(index)
    this.size = this.kernels.element.bytes
    this.lanes = lanesOf(this.kernels.element)
    this.channels = back ? args.outputChannels : args.inputChannels
    this.read = volume(back ? args.output : args.input)
    this.target = back ? args.inputChannels : args.outputChannels
    this.written = volume(back ? args.input : args.output)
    this.taps = volume(args.kernel)
    this.blocks = Math.ceil(args.batch / this.lanes)
    this.rows = this.taps < TAPS ? SHORT_ROWS : TAP_ROWS
    const meetings = meetingsOf(args)
    this.groups = part === 'weight' ? groupsOf(meetings, this.taps) : []
    this.segments =
      part === 'weight'
        ? []
        : segmentsOf(back ? args.input : args.output).map((pixels) => {
            const [program, from] = programOf(meetings, part, pixels)
            return { at: pixels[0], from, pixels: pixels.length, program, key: JSON.stringify(program) }
          })
    this.products = meetings.length * args.batch * args.inputChannels * args.outputChannels
    const { lanes, size } = this
    const images = part === 'weight' ? args.batch : this.blocks * lanes
    this.shared = images * this.channels * this.read * size
    const sums = this.rows * args.inputChannels * this.taps
    const weights = back ? args.outputChannels * CHANNELS * this.taps : 0
    this.scratch = (CHANNELS + (part === 'weight' ? sums : CHANNELS * this.written * lanes + weights)) * size
  }

  /** Brings a share of the channels, or for the weight's gradient of the images, into lanes. */
  bring({ from, lanes: to }: Pointers, piece: number, pieces: number): void {
    const { size, lanes, channels, read, args } = this
    const { turning } = this.kernels
    const image = channels * read * size
    const pixel = lanes * size
    if (this.part === 'weight') {
      const [first, end] = share(piece, pieces, args.batch)
      const line = lanes * read * size
      for (let n = first; n < end; n++) {
        const [at, place] = [from + n * image, to + n * read * pixel]
        turning.turn(channels / lanes, line, args.batch * read * pixel, lanes, read, at, read * size, place, pixel)
      }
      return
    }
    const [first, end] = share(piece, pieces, channels)
    const columns = (end - first) * read
    for (let b = 0; b < this.blocks; b++) {
      const images = Math.min(lanes, args.batch - b * lanes)
      const place = to + (b * channels + first) * read * pixel
      if (images < lanes) turning.zero(columns * lanes, place)
      turning.turn(1, 0, 0, images, columns, from + b * lanes * image + first * read * size, image, place, pixel)
    }
  }

  /** Computes a share of the channels of the output, or of the input's gradient. */
  correlate({ lanes: x, w: weights, to, bias }: Pointers, piece: number, pieces: number, scratch: number): void {
    const { size, lanes, channels, read, target, written, taps, args, index } = this
    const { turning, element } = this.kernels
    const back = this.part === 'input'
    const pixel = lanes * size
    const [sums, copied] = [scratch + CHANNELS * size, scratch + (CHANNELS + CHANNELS * written * lanes) * size]
    turning.zero(CHANNELS, scratch)
    const [first, end] = share(piece, pieces, Math.ceil(target / CHANNELS))
    for (let unit = first; unit < end; unit++) {
      const c = unit * CHANNELS
      const count = Math.min(CHANNELS, target - c)
      const row = count * taps * size
      if (back) {
        // Rows of a few weights each, pages apart, are fetched ahead by nobody.
        turning.lines(channels, 0, count * taps, 0, weights + c * taps * size, target * taps * size, size, copied, row)
      }
      const w = back ? copied : weights + c * channels * taps * size
      const [wStep, wRow] = back ? [row, taps * size] : [taps * size, channels * taps * size]
      const init = bias === 0 ? scratch : bias + c * size
      for (let b = 0; b < this.blocks; b++) {
        for (const { at, from, pixels, program, key } of this.segments) {
          const most = ROWS[pixels]
          let done = 0
          for (const rows of [most, count % most]) {
            const strips = Math.floor((count - done) / Math.max(rows, 1))
            if (rows === 0 || strips === 0) continue
            const run = compiledFor<SmallBlock>(`small ${index} ${rows} ${pixels} ${key}`, (m) =>
              emitSmall(m, element, rows, pixels, program),
            )
            const source = x + (b * channels * read + from) * pixel
            const place = sums + (done * written + at) * pixel
            const start = w + done * wRow
            const sum = program.length > 0 ? channels : 0
            run(strips, sum, source, read * pixel, start, wStep, wRow, place, written * pixel, init + done * size)
            done += rows * strips
          }
        }
        const images = Math.min(lanes, args.batch - b * lanes)
        const image = target * written * size
        turning.spread(count * written, images, sums, pixel, to + b * lanes * image + c * written * size, image)
      }
    }
  }

  /** Computes a share of the weight's gradient. */
  sumWeight({ lanes: x, w, to: y }: Pointers, piece: number, pieces: number, scratch: number): void {
    const { size, lanes, taps, args, groups, read, index } = this
    const { turning, element } = this.kernels
    const { batch, inputChannels, outputChannels } = args
    const pixels = volume(args.output) * size
    const panels = inputChannels / lanes
    const row = inputChannels * taps * size
    const [first, end] = share(piece, pieces, Math.ceil(outputChannels / CHANNELS))
    const last = Math.min(end * CHANNELS, outputChannels)
    const own = scratch + lanes * size
    turning.zero(lanes, scratch)
    for (let o = first * CHANNELS; o < last; o += this.rows) {
      const rows = Math.min(this.rows, last - o)
      const run = compiledFor<SmallWeights>(
        `small weights ${index} ${rows} ${taps} ${args.input} ${args.output} ${args.kernel} ${args.stride} ${args.padding} ${args.dilation}`,
        (m) => emitSmallWeights(m, element, rows, taps, read, groups),
      )
      const place = w + o * row
      const sums = taps === 1 ? place : own
      run(panels, batch, x, y + o * pixels, outputChannels * pixels, pixels, sums, row, scratch)
      if (taps > 1) {
        const turn = compiledFor<TurnTaps>(`small ${index} turn ${taps}`, (m) => emitTurnTaps(m, element, taps))
        turn(rows * panels, own, place)
      }
    }
  }
}

interface Pointers {
  /** What is brought into lanes, where it is then, and the other operands. */
  readonly from: number
  readonly lanes: number
  readonly w: number
  readonly to: number
  readonly bias: number
}

const smalls = new Map<number, Small>()
/** Numbers before the geometry. */
const HEAD = 9

function adopt(id: number, index: number, part: ConvolutionPart, args: () => ConvolutionArgs): Small {
  let found = smalls.get(id)
  if (!found) {
    if (smalls.size >= SHAPES) smalls.delete(smalls.keys().next().value as number)
    smalls.set(id, (found = new Small(index, part, args())))
  }
  return found
}

const adopted = (numbers: Float64Array): readonly [Small, Pointers, number] => {
  const [id, index, part, pieces, from, lanes, w, to, bias] = numbers
  const small = adopt(id, index, PARTS[part], () => decodeArgs(numbers, HEAD))
  return [small, { from, lanes, w, to, bias }, pieces]
}
const bringPiece = routine('convolution of small images in lanes', (numbers, piece) => {
  const [small, pointers, pieces] = adopted(numbers)
  small.bring(pointers, piece, pieces)
})
const correlatePiece = routine('convolution of small images', (numbers, piece, scratch) => {
  const [small, pointers, pieces] = adopted(numbers)
  small.correlate(pointers, piece, pieces, scratch)
})
const weightPiece = routine('convolution weight gradient of small images', (numbers, piece, scratch) => {
  const [small, pointers, pieces] = adopted(numbers)
  small.sumWeight(pointers, piece, pieces, scratch)
})

const workspace = new Workspace()

/** Computes one part on all threads. */
export function small(dtype: MatmulDType, host: Host, part: ConvolutionPart, args: ConvolutionArgs): void {
  const index = indexOf(dtype, host)
  const geometry = encodeArgs({ ...args, x: 0, w: 0, y: 0, bias: 0 })
  const id = shapeNumber(index, part, geometry)
  const made = adopt(id, index, part, () => args)
  const { x, w, y, bias } = args
  const [from, to] = part === 'input' ? [y, x] : [x, y]
  const encode = (pieces: number): number[] => [
    id,
    index,
    PARTS.indexOf(part),
    pieces,
    from,
    workspace.ensure(made.shared),
    w,
    to,
    bias,
    ...geometry,
  ]
  const brings = piecesFor(made.shared / 4, PIECE_ELEMENTS)
  parallel(bringPiece, encode(brings), brings)
  const channels = part === 'input' ? args.inputChannels : args.outputChannels
  const pieces = Math.min(Math.ceil(channels / CHANNELS), piecesFor(made.products, PIECE_PRODUCTS, PIECES))
  parallel(part === 'weight' ? weightPiece : correlatePiece, encode(pieces), pieces, made.scratch)
}
