// Rows put in order by WebAssembly, shared out among threads: their sorted positions, single places, and groups.
import { memory } from '../memory.ts'
import { parallel, piecesFor, routine } from '../pool.ts'
import type { GroupArgs, OrderArgs, Ordered, Rank, RankArgs } from '../routines.ts'
import { Module } from './assembler.ts'
import { emitOrder } from './ordering.ts'
import { type Shared, TABLE } from './records.ts'

/** The compiled functions for one type, on rows of `n` and with a table of counts. */
interface Code {
  sorted(from: number, records: number, other: number, n: number, flip: number, table: number): number
  leading(from: number, records: number, other: number, n: number, flip: number, table: number, k: number): number
  few(from: number, best: number, n: number, flip: number, k: number): void
  place(from: number, records: number, n: number, rank: number): number
  positions(records: number, n: number, to: number): void
  groups(records: number, n: number, first: number, counts: number, inverse: number, floats: number): number
  mode(records: number, n: number): number
  runs(from: number, n: number, first: number, counts: number, inverse: number): number
}

const TYPES: readonly Ordered[] = ['float32', 'float64', 'int32', 'int64']
const BYTES: Record<Ordered, number> = { float32: 4, float64: 8, int32: 4, int64: 8 }

let compiled: Record<Ordered, Code> | null = null

function codeOf(type: Ordered): Code {
  compiled ??= compile()
  return compiled[type]
}

function compile(): Record<Ordered, Code> {
  const module = new Module(memory)
  const shared = new Map<boolean, Shared>()
  for (const type of TYPES) emitOrder(module, type, shared)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), {
    env: { memory: memory.wasm },
  })
  const functions = exports as Record<string, (...numbers: number[]) => number>
  const of = (type: Ordered): Code => {
    const own = ['sorted', 'leading', 'few', 'place', 'runs'].map((name) => [name, functions[`${name} ${type}`]])
    const size = BYTES[type] === 8 ? 'wide' : 'narrow'
    const common = ['positions', 'groups', 'mode'].map((name) => [name, functions[`${name} ${size}`]])
    return Object.fromEntries([...own, ...common]) as unknown as Code
  }
  return { float32: of('float32'), float64: of('float64'), int32: of('int32'), int64: of('int64') }
}

/** Up to so many first places of a longer row are found by looking at each element once. */
const FEW = 32
/** Elements that are worth a thread. */
const LEAST = 8192

/** Bytes for two arrays of a row's records and the table, and some behind the first for a vector. */
const scratchFor = (type: Ordered, width: number): number => 4 * BYTES[type] * (width + 8) + TABLE

/** Runs `rows` rows in pieces: args, then rows, how many are in a piece, scratch memory and its bytes a piece. */
function share(
  task: ReturnType<typeof routine>,
  args: readonly number[],
  rows: number,
  width: number,
  bytes: number,
): void {
  const each = Math.ceil(rows / Math.min(rows, piecesFor(rows * width, LEAST, 4)))
  const pieces = Math.ceil(rows / each)
  const block = memory.alloc(pieces * bytes)
  try {
    parallel(task, [rows, each, block, bytes, ...args], pieces)
  } finally {
    memory.release(block, pieces * bytes)
  }
}

const orderRows = routine('order rows', (args, piece) => {
  const [rows, each, block, bytes, index, from, to, width, k, flip] = args
  const type = TYPES[index]
  const code = codeOf(type)
  const records = block + piece * bytes
  const other = records + (bytes - TABLE) / 2
  const table = records + bytes - TABLE
  const few = k <= FEW && 2 * k < width
  const end = Math.min(rows, (piece + 1) * each)
  for (let r = piece * each; r < end; r++) {
    const row = from + r * width * BYTES[type]
    let found = records
    if (few) code.few(row, records, width, flip, k)
    else if (2 * k < width) found = code.leading(row, records, other, width, flip, table, k)
    else found = code.sorted(row, records, other, width, flip, table)
    code.positions(found, k, to + r * k * 8)
  }
})

/** As `Routines.order`. */
export function order(type: Ordered, { from, to, rows, width, k, descending }: OrderArgs): void {
  if (rows * k === 0) return
  const args = [TYPES.indexOf(type), from, to, width, k, descending ? -1 : 0]
  share(orderRows, args, rows, width, scratchFor(type, width))
}

const RANKS: Readonly<Record<Exclude<Rank, number>, number>> = { median: -1, nanmedian: -2, mode: -3 }

const rankRows = routine('rank rows', (args, piece) => {
  const [rows, each, block, bytes, index, from, to, width, rank] = args
  const type = TYPES[index]
  const code = codeOf(type)
  const records = block + piece * bytes
  const { i32 } = memory.views
  const end = Math.min(rows, (piece + 1) * each)
  for (let r = piece * each; r < end; r++) {
    const row = from + r * width * BYTES[type]
    if (rank === RANKS.mode) {
      const table = records + bytes - TABLE
      const found = code.sorted(row, records, records + (bytes - TABLE) / 2, width, 0, table)
      i32[to / 4 + 2 * r] = code.mode(found, width)
    } else i32[to / 4 + 2 * r] = code.place(row, records, width, rank)
    i32[to / 4 + 2 * r + 1] = 0
  }
})

/** As `Routines.rank`. */
export function rank(type: Ordered, { from, to, rows, width, rank }: RankArgs): void {
  if (rows === 0) return
  const args = [TYPES.indexOf(type), from, to, width, typeof rank === 'number' ? rank : RANKS[rank]]
  share(rankRows, args, rows, width, scratchFor(type, width))
}

/** As `Routines.groups`. */
export function groups(type: Ordered, { from, count, sorted, first, counts, inverse }: GroupArgs): number {
  if (count === 0) return 0
  const code = codeOf(type)
  if (!sorted) return code.runs(from, count, first, counts, inverse)
  const bytes = scratchFor(type, count)
  const records = memory.alloc(bytes)
  try {
    const [other, table] = [records + (bytes - TABLE) / 2, records + bytes - TABLE]
    const found = code.sorted(from, records, other, count, 0, table)
    return code.groups(found, count, first, counts, inverse, Number(type.startsWith('float')))
  } finally {
    memory.release(records, bytes)
  }
}
