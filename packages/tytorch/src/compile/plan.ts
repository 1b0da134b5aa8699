// Where temporaries lie: offsets in one block, so that buffers whose lives don't overlap share memory.
// Greedy by size (https://arxiv.org/abs/2001.03288): the largest first, each at the lowest gap it fits.
import type { Buffer, Trace } from './trace.ts'
import { usesOf } from './uses.ts'

/** A temporary's place, and the first and last step that use it. */
export interface Place {
  readonly buffer: Buffer
  readonly offset: number
  readonly bytes: number
  readonly first: number
  readonly last: number
}

export interface Plan {
  /** The size of the block. */
  readonly bytes: number
  readonly places: ReadonlyMap<Buffer, Place>
}

const ALIGN = 64
/** Buffers of a page or more end with some bytes between, or rows of several of them fall into one set of the L1 cache. */
const LARGE = 4096
const SKEW = 11 * ALIGN

const aligned = (bytes: number): number => Math.max(ALIGN, Math.ceil(bytes / ALIGN) * ALIGN)

/** Plans the temporaries of a trace. */
export function planMemory(trace: Trace): Plan {
  const lives = new Map<Buffer, [first: number, last: number]>()
  trace.steps.forEach((step, i) => {
    for (const { operand } of usesOf(step)) {
      const life = lives.get(operand.buffer)
      if (life) life[1] = i
      else if (operand.buffer.kind === 'temporary') lives.set(operand.buffer, [i, i])
    }
  })
  const wanted = [...lives].sort(([a, x], [b, y]) => b.bytes - a.bytes || x[0] - y[0])
  const placed: Place[] = [] // by rising offset
  const places = new Map<Buffer, Place>()
  let total = 0
  for (const [buffer, [first, last]] of wanted) {
    const bytes = aligned(buffer.bytes) + (buffer.bytes >= LARGE ? SKEW : 0)
    let offset = 0
    for (const p of placed) {
      if (p.last < first || p.first > last) continue
      if (p.offset - offset >= bytes) break
      offset = Math.max(offset, p.offset + p.bytes)
    }
    const place = { buffer, offset, bytes, first, last }
    const at = placed.findIndex((p) => p.offset > offset)
    placed.splice(at < 0 ? placed.length : at, 0, place)
    places.set(buffer, place)
    total = Math.max(total, offset + bytes)
  }
  return { bytes: total, places }
}
