// Convolution without a matrix of patches: images are brought into channels-last order with their borders, in blocks that
// stay in the cache, and tiles read the elements of their pixels where they are. Blocks are shared out to threads.
import type { ConvolutionArgs, ConvolutionPart } from '../device.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { type Bench, benchOf, type Task } from './convblocks.ts'
import type { Plan } from './convplan.ts'
import { Workspace } from './convtables.ts'
import { decodeArgs, encodeArgs, indexOf, PARTS } from './convtask.ts'
import { volume } from './convwindows.ts'
import type { MatmulDType } from './element.ts'
import type { Host } from './features.ts'

/** Multiplications, and elements copied, that a piece should have at least. */
const PIECE_PRODUCTS = 400_000
const PIECE_ELEMENTS = 32_768
/** From so many multiplications on, a weight's gradient is cut into at least so many parts. */
const SPLIT_PRODUCTS = 1_000_000
const PANELS = 4
/** Pieces for each thread. */
const PIECES = 4

/** Numbers before the geometry in a piece's arguments. */
const HEAD = 7

function encode(index: number, { part, plan, args, panels, pieces, splits }: Task): number[] {
  return [index, PARTS.indexOf(part), plan.id, plan.directory.at, panels, pieces, splits, ...encodeArgs(args)]
}

function decode(numbers: Float64Array): Task {
  const [index, kind, id, directory, panels, pieces, splits] = numbers
  const args = decodeArgs(numbers, HEAD)
  const part = PARTS[kind]
  return { part, plan: benchOf(index).adopt(id, directory, part, args), args, panels, pieces, splits }
}

const packPiece = routine('convolution weights', (numbers, piece) => {
  benchOf(numbers[0]).pack(decode(numbers), piece)
})
const imagesPiece = routine('convolution of images', (numbers, piece, scratch) => {
  benchOf(numbers[0]).correlate(decode(numbers), piece, scratch)
})
const bringPiece = routine('convolution weight gradient operands', (numbers, piece) => {
  benchOf(numbers[0]).bringBlocks(decode(numbers), piece)
})
const weightPiece = routine('convolution weight gradient', (numbers, piece, scratch) => {
  benchOf(numbers[0]).sumWeight(decode(numbers), piece, scratch)
})
const finishPiece = routine('convolution weight gradient in order', (numbers, piece) => {
  benchOf(numbers[0]).finishWeight(decode(numbers), piece)
})

/** The routine for one element type. */
export class Direct {
  private readonly index: number
  private readonly bench: Bench
  private readonly panels = new Workspace()

  constructor(dtype: MatmulDType, host: Host) {
    this.index = indexOf(dtype, host)
    this.bench = benchOf(this.index)
  }

  run(part: ConvolutionPart, args: ConvolutionArgs): void {
    const { bench } = this
    const plan = bench.plan(part, args)
    const { groups, output, kernel, batch } = args
    const weights = (args.inputChannels * args.outputChannels * volume(kernel)) / groups
    const products = weights * batch * volume(output)
    const blocks = groups * Math.ceil(batch / plan.images) * plan.bands.length
    const scratch = bench.scratch(part, plan, args)
    if (part === 'weight') {
      this.weight(plan, args, blocks, products, scratch)
      return
    }
    const panels = plan.single ? 0 : bench.panelBytes(part, plan, args) * groups
    const task = { part, plan, args, panels: this.panels.ensure(panels + 64), pieces: 1, splits: 1 }
    const packs = piecesFor(weights, PIECE_ELEMENTS, PIECES)
    if (!plan.single) parallel(packPiece, encode(this.index, { ...task, pieces: packs }), packs)
    const pieces = Math.min(blocks * plan.shares, piecesFor(products, PIECE_PRODUCTS, PIECES))
    parallel(imagesPiece, encode(this.index, { ...task, pieces }), pieces, scratch)
  }

  private weight(plan: Plan, args: ConvolutionArgs, blocks: number, products: number, scratch: number): void {
    const { bench } = this
    const panels = args.groups * Math.ceil(args.outputChannels / args.groups / bench.width)
    const { runs } = plan.bands[0].windows[0].chunks[0]
    const wanted = products > SPLIT_PRODUCTS ? Math.ceil(PANELS / panels) : 1
    const splits = Math.min(runs, wanted)
    const [sums, block] = bench.shared(plan, args, splits)
    const task = { part: 'weight' as const, plan, args, panels: this.panels.ensure(sums + blocks * block), splits }
    const elements = args.batch * (volume(args.input) * args.inputChannels + volume(args.output) * args.outputChannels)
    const brings = Math.min(blocks, piecesFor(elements, PIECE_ELEMENTS, PIECES))
    parallel(bringPiece, encode(this.index, { ...task, pieces: brings }), brings)
    const pieces = Math.min(panels * splits, piecesFor(products, PIECE_PRODUCTS, PIECES))
    parallel(weightPiece, encode(this.index, { ...task, pieces }), pieces, scratch)
    if (splits > 1) parallel(finishPiece, encode(this.index, { ...task, pieces: 1 }), 1)
  }
}
