// Element-wise kernels in tiles of four rows by four elements, for operands that are contiguous along the rows' axis
// while others are along the elements': a transposing copy, or x.t() + y. Tiles go in blocks that stay in the cache.
import type { DType } from '../../base/dtype.ts'
import { load } from '../../ir/expr.ts'
import type { Kernel } from '../../ir/kernel.ts'
import { I32, i32 } from './assembler.ts'
import { descriptorLocals, scalarsFrom } from './descriptor.ts'
import type { Host } from './features.ts'
import type { Frame } from './frame.ts'
import { Lanes, type Operands } from './lanes.ts'
import { assemble, elementArgs, frontier, levels, type MemoryType, rootsOf } from './loops.ts'
import { isWide } from './operations.ts'
import { type Access, loadGroups, type Parts, storeGroups } from './storage.ts'

/** Kinds of operands in tiles: as elsewhere, or `t`, contiguous across the rows. */
export type TileKind = Access['kind'] | 't'

/** The blocks in which tiles are visited: of 16x16 to 32x32, the best on the whole with strides of 4000 and 4096 bytes. */
const BLOCK = 16
const ROW_BLOCK = 32

/** Locals of one argument: strides along elements and rows, the outer row's start, the tile's four row starts. */
interface Operand {
  readonly dtype: DType
  readonly kind: TileKind
  readonly stride: number
  readonly rowStride: number
  readonly outerStride: number
  readonly base: number
  readonly rows: readonly number[]
}

/** A module whose `run(descriptor)` walks whole tiles: rows and elements must be multiples of four. */
export function emitTiles(
  kernel: Kernel,
  kinds: readonly TileKind[],
  host: Host,
  memory: MemoryType,
): Uint8Array<ArrayBuffer> {
  return assemble(
    kernel,
    host,
    memory,
    [I32],
    (f) => scalarsFrom(kernel, f),
    (frame) => write(frame, kernel, kinds),
  )
}

function write(frame: Frame, kernel: Kernel, kinds: readonly TileKind[]): void {
  const { f } = frame
  const { extent, args } = descriptorLocals(kernel, f)
  const operands = kernel.args.map(
    ({ dtype }, i): Operand => ({
      dtype,
      kind: kinds[i],
      stride: args[i].strides[2],
      rowStride: args[i].strides[1],
      outerStride: args[i].strides[0],
      base: args[i].pointer,
      rows: [0, 1, 2, 3].map(() => f.local(I32)),
    }),
  )
  const [pass] = kernel.passes
  if (pass.kind !== 'map') throw new Error(`kernel '${kernel.name}' is not element-wise`)
  const start = f.bytes.length
  const nowhere: Operands = {
    dtype: (arg) => kernel.args[arg].dtype,
    access: () => ({ kind: 's', pointer: f.local(I32), stride: -1 }),
    row: () => null,
  }
  const launch = new Lanes(frame, true, 1, nowhere, null)
  const roots = rootsOf(pass)
  launch.evaluateSplats(
    frontier(
      roots,
      levels(kernel, () => 2, false),
      0,
    ),
  )
  const used = elementArgs(kernel, pass)

  const tile = (): void => {
    for (const arg of used) {
      const { rows, rowStride } = operands[arg]
      for (const u of [1, 2, 3])
        f.get(rows[u - 1])
          .get(rowStride)
          .op(i32.add)
          .set(rows[u])
    }
    const lanes = new Lanes(frame, false, 4, nowhere, launch)
    for (const arg of used) {
      if (kernel.args[arg].mode === 'write') continue
      const groups = loadTile(frame, operands[arg])
      lanes.bind(
        load(arg, kernel.args[arg].dtype.compute),
        groups.map((parts) => ({ parts, form: operands[arg].kind === 's' ? 'any' : 'narrow' })),
      )
    }
    lanes.evaluate(roots)
    for (const s of pass.stores)
      storeTile(
        frame,
        operands[s.arg],
        [0, 1, 2, 3].map((u) => lanes.whole(s.value, u)),
      )
    for (const arg of used) {
      const { rows, stride } = operands[arg]
      f.get(rows[0]).get(stride).i32(2).op(i32.shl).op(i32.add).set(rows[0])
    }
  }

  const [outer, rows, elements] = extent
  const [rowBlock, block, rowEnd, end, row, element] = [0, 1, 2, 3, 4, 5].map(() => f.local(I32))
  const smaller = (a: number, b: number): void => {
    f.get(a).get(b).get(a).get(b).op(i32.ltS).select()
  }
  const range = (at: number, from: () => void, to: number, step: number, body: () => void): void => {
    from()
    f.set(at)
    frame.loop(
      () => {
        body()
        f.inc(at, step)
      },
      () => f.get(at).get(to).op(i32.ltS),
    )
  }
  const tilesOfRow = (): void => {
    for (const arg of used) {
      const { rows: r, base, stride, rowStride } = operands[arg]
      f.get(base).get(row).get(rowStride).op(i32.mul).op(i32.add)
      f.get(block).get(stride).op(i32.mul).op(i32.add).set(r[0])
    }
    range(element, () => f.get(block), end, 4, tile)
  }
  const blockOf = (): void => {
    f.get(block).i32(BLOCK).op(i32.add).set(end)
    smaller(end, elements)
    f.set(end)
    range(row, () => f.get(rowBlock), rowEnd, 4, tilesOfRow)
  }
  const rowsOf = (): void => {
    f.get(rowBlock).i32(ROW_BLOCK).op(i32.add).set(rowEnd)
    smaller(rowEnd, rows)
    f.set(rowEnd)
    range(block, () => f.i32(0), elements, BLOCK, blockOf)
  }
  frame.loop(
    () => {
      range(rowBlock, () => f.i32(0), rows, ROW_BLOCK, rowsOf)
      for (const o of operands) f.get(o.base).get(o.outerStride).op(i32.add).set(o.base)
      f.inc(outer, -1)
    },
    () => f.get(outer),
  )
  frame.finish(start)
}

/** The four rows of a tile, one group each. */
function loadTile(frame: Frame, o: Operand): Parts[] {
  if (o.kind === 't') return transpose(frame, loadColumns(frame, o), isWide(o.dtype.compute))
  const kind = o.kind
  return o.rows.map((pointer) => loadGroups(frame, o.dtype, { kind, pointer, stride: o.stride }, 1)[0])
}

/** The four columns of a tile; each has four adjacent elements in memory, of four rows. */
function loadColumns(frame: Frame, o: Operand): Parts[] {
  const pointer = columnCursor(frame, o)
  return [0, 1, 2, 3].map((column) => {
    if (column > 0) nextColumn(frame, o, pointer)
    return loadGroups(frame, o.dtype, { kind: 'c', pointer, stride: o.stride }, 1)[0]
  })
}

function columnCursor({ f }: Frame, o: Operand): number {
  const pointer = f.local(I32)
  f.get(o.rows[0]).set(pointer)
  return pointer
}

function nextColumn({ f }: Frame, o: Operand, pointer: number): void {
  f.get(pointer).get(o.stride).op(i32.add).set(pointer)
}

function storeTile(frame: Frame, o: Operand, groups: readonly Parts[]): void {
  if (o.kind !== 't') {
    const kind = o.kind
    groups.forEach((parts, u) => {
      storeGroups(frame, o.dtype, { kind, pointer: o.rows[u], stride: o.stride }, [parts])
    })
    return
  }
  const pointer = columnCursor(frame, o)
  transpose(frame, groups, isWide(o.dtype.compute)).forEach((parts, column) => {
    if (column > 0) nextColumn(frame, o, pointer)
    storeGroups(frame, o.dtype, { kind: 'c', pointer, stride: o.stride }, [parts])
  })
}

/** Four groups as columns from four groups as rows, or the other way. */
function transpose(frame: Frame, groups: readonly Parts[], wide: boolean): Parts[] {
  const { f } = frame
  if (wide) {
    return [0, 1, 2, 3].map((row) =>
      [0, 2].map((column) => {
        const v = frame.vector()
        const part = row >> 1
        f.get(groups[column][part])
        f.get(groups[column + 1][part])
        f.shuffle64(row & 1 ? [1, 3] : [0, 2]).set(v)
        return v
      }),
    )
  }
  const mix = (a: number, b: number, lanes: readonly [number, number, number, number]): number => {
    const v = frame.vector()
    f.get(a).get(b).shuffle32(lanes).set(v)
    return v
  }
  const [a, b, c, d] = groups.map((parts) => parts[0])
  const [low, low2] = [mix(a, b, [0, 4, 1, 5]), mix(c, d, [0, 4, 1, 5])]
  const [high, high2] = [mix(a, b, [2, 6, 3, 7]), mix(c, d, [2, 6, 3, 7])]
  return [
    [mix(low, low2, [0, 1, 4, 5])],
    [mix(low, low2, [2, 3, 6, 7])],
    [mix(high, high2, [0, 1, 4, 5])],
    [mix(high, high2, [2, 3, 6, 7])],
  ]
}
