// Reductions of few long rows on several threads: each row is cut into parts, a derived kernel folds a part and leaves its
// accumulators in memory, and a second one merges these in order. The parts depend on the number of threads only.
import { bool, type DType, float32, float64, int32, int64 } from '../../base/dtype.ts'
import { type Expr, k, load, result, scalar, topological } from '../../ir/expr.ts'
import type { Arg, Kernel } from '../../ir/kernel.ts'
import { substitution } from '../../ir/simplify.ts'
import type { Extent, Scalar } from '../device.ts'
import { memory, reserved } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import { type Code, publish, published } from './code.ts'
import { scalarOffset } from './descriptor.ts'
import { PIECE_NS, PIECES } from './threads.ts'

/** The two kernels that stand for one reduction. */
export interface Parts {
  /** The kernel's own arguments (only read), then an argument a row for each accumulator; its last scalar is the position of the part. */
  readonly part: Kernel
  /** The accumulators (the parts are its rows' elements), then the kernel's own arguments. */
  readonly whole: Kernel
  /** The dtypes in which accumulators are kept. */
  readonly accumulators: readonly DType[]
}

const dtypeOf = { f32: float32, f64: float64, i32: int32, i64: int64, bool } as const

/** The kernels of a reduction in parts, or null for a kernel that is none: it must be one reduce pass and its row's stores. */
export function inParts(kernel: Kernel): Parts | null {
  const [pass] = kernel.passes
  if (kernel.passes.length !== 1 || pass.kind !== 'reduce' || kernel.args.some((a) => a.mode === 'update')) return null
  const { args, scalars } = kernel
  const accumulators = pass.init.map((e) => dtypeOf[e.type])
  const read = args.map((a): Arg => ({ ...a, mode: 'read' }))
  const place = scalar(scalars.length, 'i32')
  const placed = substitution((e) => (e.op === 'index' ? k.add(e, place) : null))
  const merged = substitution((e) => (e.op === 'other' ? load(e.index, e.type) : null))
  const moved = substitution((e) => (e.op === 'load' ? load(e.arg + accumulators.length, e.type) : null))
  const finished = kernel.rowStores.map((s) => ({ arg: s.arg + accumulators.length, value: moved(s.value) }))
  // A gather's positions count from the row's start, and a part begins elsewhere; those in tables count from each place.
  const gathers = (e: Expr): boolean => topological([e]).some((n) => n.op === 'gather' && args[n.arg].per !== 'table')
  if (pass.step.some(gathers) || kernel.rowStores.some((s) => gathers(s.value))) return null
  return {
    part: {
      name: `${kernel.name} of a part`,
      args: [...read, ...accumulators.map((dtype): Arg => ({ dtype, mode: 'write', per: 'row' }))],
      scalars: [...scalars, 'i32'],
      passes: [{ ...pass, step: pass.step.map(placed) }],
      rowStores: pass.init.map((e, i) => ({ arg: args.length + i, value: result(0, i, e.type) })),
    },
    whole: {
      name: `${kernel.name} of parts`,
      args: [...accumulators.map((dtype): Arg => ({ dtype, mode: 'read', per: 'element' })), ...args.map(alone)],
      scalars,
      passes: [{ ...pass, step: pass.merge.map(merged) }],
      rowStores: finished,
    },
    accumulators,
  }
}

/** Without what is said of other arguments, which have other places here. */
const alone = ({ dtype, mode, per }: Arg): Arg => ({ dtype, mode, per })

/** Elements of a part are a multiple of this: the block by which a long row is folded. */
const BLOCK = 4096
/** Fewer rows than this for each thread are cut themselves. */
const FEW_ROWS = 4

type Run = (descriptor: number) => void
type Stride = readonly [number, number, number]

/** Plans a launch and writes its descriptor. */
type Prepare = (
  kernel: Kernel,
  extent: Extent,
  pointers: readonly number[],
  strides: readonly Stride[],
  scalars: readonly Scalar[],
) => Code<Run>

const foldPiece = routine('part of a reduction', (args, piece) => {
  const chunk = args[2]
  const count = args[5]
  const words = args[6]
  const { i32 } = memory.views
  const base = reserved.descriptor >> 2
  for (let i = 0; i < words; i++) i32[base + i] = args[7 + i]
  const first = piece * chunk
  i32[base + 2] = Math.min(chunk, args[3] - first)
  i32[base + args[4]] = first
  for (let i = 0; i < count; i++) {
    i32[base + 4 + 4 * i] += first * args[7 + words + 2 * i] + piece * args[8 + words + 2 * i]
  }
  published<Run>(args[0], args[1])(reserved.descriptor)
})

/**
 * Runs a reduction in parts on several threads; false if its rows are many or short. `cost` is nanoseconds an element;
 * `launch` runs the kernel that merges.
 */
export function foldInParts(
  { part, whole, accumulators }: Parts,
  cost: number,
  [outer, inner, n]: Extent,
  pointers: readonly number[],
  strides: readonly Stride[],
  scalars: readonly Scalar[],
  prepare: Prepare,
  launch: (...launched: Parameters<Prepare>) => void,
): boolean {
  const rows = outer * inner
  const wanted = piecesFor(rows * n * cost, PIECE_NS, PIECES)
  if (wanted === 1 || rows >= FEW_ROWS * wanted || n < 2 * BLOCK) return false
  const chunk = Math.ceil(n / wanted / BLOCK) * BLOCK
  const pieces = Math.ceil(n / chunk)
  if (pieces === 1) return false
  const bytes = accumulators.map((dtype) => rows * dtype.itemsize)
  const blocks = bytes.map((b) => memory.alloc(b * pieces))
  try {
    const along = accumulators.map(({ itemsize }): Stride => [inner * itemsize, itemsize, 0])
    const code = prepare(part, [outer, inner, n], [...pointers, ...blocks], [...strides, ...along], [...scalars, 0])
    const { i32 } = memory.views
    const base = reserved.descriptor >> 2
    const words = scalarOffset(part, part.scalars.length) / 4
    const place = scalarOffset(part, scalars.length) / 4
    const args = [publish(code), code.bytes.length, chunk, n, place, part.args.length, words]
    for (let i = 0; i < words; i++) args.push(i32[base + i])
    for (let i = 0; i < pointers.length; i++) args.push(part.args[i].per === 'row' ? 0 : strides[i][2], 0)
    for (const b of bytes) args.push(0, b)
    parallel(foldPiece, args, pieces)
    const parts = accumulators.map(({ itemsize }, i): Stride => [inner * itemsize, itemsize, bytes[i]])
    const fixed = strides.map((s): Stride => [s[0], s[1], 0])
    launch(whole, [outer, inner, pieces], [...blocks, ...pointers], [...parts, ...fixed], scalars)
  } finally {
    for (const [i, block] of blocks.entries()) memory.release(block, bytes[i] * pieces)
  }
  return true
}
