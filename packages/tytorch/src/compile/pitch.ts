// Temporary matrices whose rows are a large power of two apart: a walk down their columns meets the same few sets of the L1
// cache again and again, so such rows are put one cache line further apart.
import { type Part, partOf, type Slot, stepOf } from './part.ts'
import { productSize } from './regions.ts'
import type { Buffer, MatmulStep, Operand, Step } from './trace.ts'
import { usesOf } from './uses.ts'

/** The bytes after which addresses meet the same set of an L1 cache, the lines that a set holds, and their bytes. */
const WAY = 4096
const WAYS = 8
const LINE = 64

/** The steps with more space between the rows of temporaries that a kernel walks down. */
export function spaced(steps: readonly Step[]): Step[] {
  let list = [...steps]
  const seen = new Set<Buffer>()
  for (const step of steps) {
    const part = step.kind === 'launch' ? partOf(step) : null
    if (!part || part.reduces.length === 0) continue
    for (const { buffer, per, strides } of part.slots) {
      const pitch = strides[2]
      if (buffer.kind !== 'temporary' || per === 'row' || seen.has(buffer)) continue
      if (strides[1] === 0 || pitch < LINE || part.space[2] <= WAYS * setsOf(pitch)) continue
      seen.add(buffer)
      list = respaced(list, buffer, pitch) ?? list
    }
  }
  return list
}

/** The sets that rows so far apart begin in. */
function setsOf(pitch: number): number {
  let shared = LINE
  while (shared < WAY && pitch % (2 * shared) === 0) shared *= 2
  return WAY / shared
}

/** The steps with a longer pitch of a buffer, or null if one of them sees it as anything but rows of it. */
function respaced(steps: readonly Step[], from: Buffer, pitch: number): Step[] | null {
  if (from.bytes % pitch !== 0) return null
  const next = pitch + LINE
  const to: Buffer = { ...from, bytes: (from.bytes / pitch) * next }
  const grid: Grid = { from, to, pitch, next }
  const out: Step[] = []
  for (const step of steps) {
    const found = usesOf(step).some((u) => u.operand.buffer === from) ? changed(step, grid) : step
    if (!found) return null
    out.push(found)
  }
  return out
}

interface Grid {
  readonly from: Buffer
  readonly to: Buffer
  readonly pitch: number
  readonly next: number
}

function changed(step: Step, grid: Grid): Step | null {
  if (step.kind === 'matmul') return product(step, grid)
  const part = step.kind === 'launch' ? partOf(step) : null
  if (!part) return null
  const slots: Slot[] = []
  for (const slot of part.slots) {
    const moved = slot.buffer === grid.from ? slotOn(slot, part, grid) : slot
    if (!moved) return null
    slots.push(moved)
  }
  return stepOf({ ...part, slots })
}

function slotOn(slot: Slot, { space }: Part, grid: Grid): Slot | null {
  const axes = slot.per === 'row' ? 2 : 3
  const at = place(slot, space.slice(0, axes), slot.strides, slot.dtype.itemsize, grid)
  if (!at || slot.gathered) return null
  const [x, y, z] = slot.strides.map((s) => (s === grid.pitch ? grid.next : s))
  return { ...slot, ...at, strides: [x, y, z] }
}

/** Where an operand begins; null if it does not keep to columns of the grid along every axis but one. */
function place(
  at: Operand,
  extent: readonly number[],
  strides: readonly number[],
  size: number,
  grid: Grid,
): Operand | null {
  const { pitch, next, to } = grid
  const row = Math.floor(at.offset / pitch)
  let end = at.offset - row * pitch + size
  let rows = row + 1
  for (const [axis, n] of extent.entries()) {
    if (n === 1 || strides[axis] === 0) continue
    if (strides[axis] === pitch) rows += n - 1
    else if (strides[axis] < 0) return null
    else end += (n - 1) * strides[axis]
  }
  if (end > pitch || rows * next > to.bytes) return null
  return { buffer: to, offset: at.offset + row * (next - pitch) }
}

function product(step: MatmulStep, grid: Grid): MatmulStep | null {
  const { m, n, k, aRow, aCol, bRow, bCol, cRow, batch } = step.args
  const size = productSize(step)
  if (batch) return null
  let legal = true
  const move = <O extends Operand>(o: O, extent: readonly number[], strides: readonly number[]): O => {
    if (o.buffer !== grid.from) return o
    const bytes = strides.map((s) => s * size)
    const at = place(o, extent, bytes, size, grid)
    if (!at) legal = false
    return at ? { ...o, ...at } : o
  }
  const along = (o: Operand, stride: number): number =>
    o.buffer === grid.from && stride * size === grid.pitch ? grid.next / size : stride
  const { a, b, c, bias, epilogue } = step
  const moved: MatmulStep = {
    ...step,
    a: move(a, [m, k], [aRow, aCol]),
    b: move(b, [k, n], [bRow, bCol]),
    c: move(c, [m, n], [cRow, 1]),
    bias: bias && move(bias, [n], [1]),
    args: {
      ...step.args,
      aRow: along(a, aRow),
      aCol: along(a, aCol),
      bRow: along(b, bRow),
      bCol: along(b, bCol),
      cRow: along(c, cRow),
    },
    ...(epilogue
      ? {
          epilogue: {
            ...epilogue,
            operands: epilogue.operands.map((o) => ({ ...move(o, [m, n], [o.row, 1]), row: along(o, o.row) })),
          },
        }
      : {}),
  }
  return legal ? moved : null
}
