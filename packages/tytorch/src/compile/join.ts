// Two kernels over one space made one. Loads of what the first stores become the stored expressions, so that everything
// is said in terms of what memory held before; reduce passes come first, by depth, then one map pass with all stores.
import { acc, type Expr, gather, load, other, result, scalar } from '../ir/expr.ts'
import type { ReducePass, Store } from '../ir/kernel.ts'
import { simplify, substitution } from '../ir/simplify.ts'
import { passesOf, uses, weightOf } from './expressions.ts'
import { injective, type Part, rootsOf, type Slot, sameSlot, touch } from './part.ts'
import { SUMS } from './thin.ts'
import type { HostScalar } from './trace.ts'

/** Slots read or written by element, and of all kinds, that a joined kernel may have; columns of one matrix count once. */
const ELEMENT_SLOTS = 12
const SLOTS = 24
const NODES = 400
/** Work that may be done again rather than stored and loaded. */
const CHEAP = 8

/** Whether what a slot of the first part stores is read by any other step. */
export type Needed = (slot: Slot) => boolean

/** `a` then `b` in one kernel, or null if that changes results or does not pay. Both lie over the same space. */
export function join(a: Part, b: Part, needed: Needed): Part | null {
  const joiner = new Joiner(a, b)
  return joiner.map() ? joiner.run(needed) : null
}

class Joiner {
  private readonly a: Part
  private readonly b: Part
  private readonly slots: Slot[]
  private readonly scalars: HostScalar[]
  private readonly types: Part['types'][number][]
  /** Slots of `b` and its scalars by their places in the joined lists. */
  private readonly places: number[] = []
  private readonly scalarPlaces: number[]

  constructor(a: Part, b: Part) {
    this.a = a
    this.b = b
    this.slots = [...a.slots]
    this.scalars = [...a.scalars]
    this.types = [...a.types]
    this.scalarPlaces = b.scalars.map((value, i) => {
      const found = this.scalars.findIndex((s, j) => this.types[j] === b.types[i] && sameScalar(s, value))
      if (found >= 0) return found
      this.types.push(b.types[i])
      return this.scalars.push(value) - 1
    })
  }

  /** Finds places for the slots of `b`; false if the parts see common bytes in different ways. */
  map(): boolean {
    const { a, b, slots, places } = this
    const writtenA = storedBy(a)
    const writtenB = storedBy(b)
    for (const [i, slot] of b.slots.entries()) {
      let place = -1
      for (const [j, known] of a.slots.entries()) {
        const same = sameSlot(slot, known, a.space)
        if (!same && !(writtenA.has(j) || writtenB.has(i))) continue
        if (same && this.unify(j, known, slot, writtenA.has(j), writtenB.has(i))) {
          if (place < 0 || writtenA.has(j)) place = j
        } else if ((writtenA.has(j) || writtenB.has(i)) && touch(slot, known, a.space)) return false
      }
      if (writtenB.has(i) && !injective(slot, b.space)) return false
      places.push(place >= 0 ? place : slots.push(slot) - 1)
    }
    // What is stored for the second part alone may go; the rest stays.
    const own = placesOf(slots, a.products.length + b.products.length > 0)
    const elements = own.reduce((n, s) => n + (s.per === 'element' ? 1 : 0), 0)
    return elements - a.stores.length <= ELEMENT_SLOTS && own.length - writtenA.size <= SLOTS
  }

  /** True if equal places may be one slot: values of rows and of elements are told apart where they are written. */
  private unify(j: number, known: Slot, slot: Slot, writtenA: boolean, writtenB: boolean): boolean {
    const now = this.slots[j]
    if (now.per === slot.per) return true
    if (writtenA || writtenB) {
      const written = writtenA ? now.per : slot.per
      if (writtenA && writtenB) return false
      // Only what is written once a row can serve reads by element; these then read once a row.
      if (written !== 'row') return false
    }
    this.slots[j] = { ...known, per: 'row' }
    return true
  }

  run(needed: Needed): Part | null {
    const { a, b, slots } = this
    const elements = new Map(a.stores.map((s) => [s.arg, s.value]))
    const rows = new Map(a.rowStores.map((s) => [s.arg, s.value]))
    const passes = a.reduces.length + (a.stores.length > 0 ? 1 : 0)
    let exact = true
    const forwarded = new Set<number>()
    const move = substitution((e) => {
      switch (e.op) {
        case 'load': {
          const place = this.places[e.arg]
          const value = elements.get(place) ?? rows.get(place)
          if (!value) return load(place, e.type)
          if (isNarrow(slots[place])) exact = false
          forwarded.add(place)
          return value
        }
        case 'gather':
          return gather(this.places[e.arg], e.type, e.src[0])
        case 'scalar':
          return scalar(this.scalarPlaces[e.index], e.type)
        case 'result':
          return result(e.pass + passes, e.index, e.type)
        default:
          return null
      }
    })
    const moveAll = (stores: readonly Store[]): Store[] =>
      stores.map((s) => ({ arg: this.places[s.arg], value: simplify(move(s.value)) }))
    const stores = moveAll(b.stores)
    const rowStores = moveAll(b.rowStores)
    const reduces = b.reduces.map((r): ReducePass => ({ ...r, step: r.step.map((e) => simplify(move(e))) }))
    if (!exact || !this.rowLevel(rowStores)) return null
    const kept = (list: readonly Store[], over: readonly Store[]): Store[] =>
      list.filter((s) => !over.some((o) => o.arg === s.arg) && needed(slots[s.arg]))
    const keptStores = kept(a.stores, stores)
    const keptRows = kept(a.rowStores, rowStores)
    if ([...keptStores, ...keptRows].some((s) => !injective(slots[s.arg], a.space))) return null
    if (!this.pays(forwarded, keptStores.length > 0, reduces, stores)) return null
    const numbered = a.reduces.map((pass, id) => ({ id, pass }))
    for (const [i, pass] of reduces.entries()) numbered.push({ id: passes + i, pass })
    const joined = schedule(numbered)
    const rename = substitution(joined.rename)
    const renamed = (s: Store): Store => ({ arg: s.arg, value: rename(s.value) })
    return compact({
      names: [...a.names, ...b.names],
      space: a.space,
      slots,
      types: this.types,
      scalars: this.scalars,
      reduces: joined.reduces,
      stores: [...keptStores, ...stores].map(renamed),
      rowStores: [...keptRows, ...rowStores].map(renamed),
      free: a.free && b.free && slots.every((s) => s.per !== 'row'),
      products: [...a.products, ...b.products],
    })
  }

  /** True if row stores read nothing that changes along the row. */
  private rowLevel(rowStores: readonly Store[]): boolean {
    const nodes = rowStores.map((s) => s.value)
    if (uses(nodes, 'index')) return false
    return rowStores.every((s) => loadsOf([s.value]).every((i) => this.slots[i].per === 'row'))
  }

  /** True if no heavy work of `a` would be done more than once. */
  private pays(
    forwarded: Set<number>,
    kept: boolean,
    reduces: readonly ReducePass[],
    stores: readonly Store[],
  ): boolean {
    const { a } = this
    const heavy = a.stores.filter((s) => forwarded.has(s.arg) && weightOf(s.value) > CHEAP)
    if (heavy.length === 0) return true
    const places = reduces.length + (stores.length > 0 || kept ? 1 : 0)
    return places <= 1
  }
}

function storedBy(part: Part): Set<number> {
  return new Set([...part.stores, ...part.rowStores].map((s) => s.arg))
}

function loadsOf(roots: readonly Expr[]): number[] {
  const found = new Set<number>()
  substituteLoads(roots, (arg) => found.add(arg))
  return [...found]
}

function substituteLoads(roots: readonly Expr[], seen: (arg: number) => void): void {
  const visit = substitution((e) => {
    if (e.op === 'load' || e.op === 'gather') seen(e.arg)
    return null
  })
  for (const e of roots) visit(e)
}

/** Storage that rounds or wraps: what is loaded is not what was stored. */
function isNarrow(slot: Slot): boolean {
  const { name } = slot.dtype
  return name === 'float16' || name === 'bfloat16' || name === 'int8' || name === 'int16' || name === 'uint8'
}

function sameScalar(a: HostScalar, b: HostScalar): boolean {
  if (typeof a === 'object' && typeof b === 'object') return a.source === b.source && a.index === b.index
  return Object.is(a, b)
}

interface Numbered {
  readonly id: number
  readonly pass: ReducePass
}

/** Puts passes that don't wait for one another into one; `rename` says results by their new places. */
function schedule(list: readonly Numbered[]): { reduces: ReducePass[]; rename: (e: Expr) => Expr | null } {
  const depth = new Map<number, number>()
  const first = new Map<number, number>()
  const levels: Numbered[][] = []
  for (const entry of list) {
    const at = Math.max(0, ...passesOf(entry.pass.step).map((id) => depth.get(id)! + 1))
    depth.set(entry.id, at)
    const level = (levels[at] ??= [])
    first.set(
      entry.id,
      level.reduce((n, l) => n + l.pass.init.length, 0),
    )
    level.push(entry)
  }
  const rename = (e: Expr): Expr | null =>
    e.op === 'result' ? result(depth.get(e.pass)!, first.get(e.pass)! + e.index, e.type) : null
  const reduces = levels.map((level): ReducePass => {
    const moved = (pick: (p: ReducePass) => readonly Expr[]): Expr[] =>
      level.flatMap(({ id, pass }) => {
        const base = first.get(id)!
        const visit = substitution((e) => {
          if (e.op === 'acc') return acc(base + e.index, e.type)
          if (e.op === 'other') return other(base + e.index, e.type)
          return rename(e)
        })
        return pick(pass).map(visit)
      })
    const all = { init: moved((p) => p.init), step: moved((p) => p.step), merge: moved((p) => p.merge) }
    // What must not be broken is not folded beside what must be.
    return { kind: 'reduce', ...all, ...(level.every(({ pass }) => pass.unbroken) ? { unbroken: true } : {}) }
  })
  return { reduces, rename }
}

/** Slots with pointers of their own: the columns that products read of one matrix, at fixed distances, share one. */
function placesOf(slots: readonly Slot[], products: boolean): readonly Slot[] {
  if (!products) return slots
  const alike = (s: Slot, t: Slot): boolean =>
    s.buffer === t.buffer &&
    s.per === t.per &&
    s.dtype === t.dtype &&
    s.strides.every((n, axis) => n === t.strides[axis])
  return slots.filter((s, i) => slots.findIndex((t) => alike(s, t)) === i)
}

/** The part without slots and scalars that nothing uses; null if it is too large for one kernel. */
export function compact(part: Part): Part | null {
  const roots = rootsOf(part)
  const touched = [...loadsOf(roots), ...storedBy(part)]
  const first = part.slots.map((s, i) =>
    part.slots.findIndex((t, j) => j === i || (t.per === s.per && sameSlot(s, t, part.space))),
  )
  const used = new Set(touched.map((i) => first[i]))
  const slots = part.slots.filter((_, i) => used.has(i))
  const places = placesOf(slots, part.products.length > 0)
  if (places.length > SLOTS || places.filter((s) => s.per !== 'row').length > ELEMENT_SLOTS) return null
  if (part.products.length > 0 && part.reduces.reduce((n, r) => n + r.init.length, 0) > SUMS) return null
  if (roots.reduce((n, e) => n + weightOf(e), 0) > NODES) return null
  const numbered = new Map<number, number>()
  let count = 0
  for (const i of part.slots.keys()) numbered.set(i, used.has(i) ? count++ : (numbered.get(first[i]) ?? 0))
  const asked = new Set<number>()
  const find = substitution((e) => {
    if (e.op === 'scalar') asked.add(e.index)
    return null
  })
  for (const e of roots) find(e)
  const numbers = new Map<number, number>()
  for (const i of part.scalars.keys()) if (asked.has(i)) numbers.set(i, numbers.size)
  const move = substitution((e) => {
    if (e.op === 'load') return load(numbered.get(e.arg)!, e.type)
    if (e.op === 'gather') return gather(numbered.get(e.arg)!, e.type, e.src[0])
    return e.op === 'scalar' ? scalar(numbers.get(e.index)!, e.type) : null
  })
  const store = (s: Store): Store => ({ arg: numbered.get(s.arg)!, value: move(s.value) })
  return {
    ...part,
    slots,
    types: part.types.filter((_, i) => asked.has(i)),
    scalars: part.scalars.filter((_, i) => asked.has(i)),
    reduces: part.reduces.map((r) => ({ ...r, step: r.step.map(move) })),
    stores: part.stores.map(store),
    rowStores: part.rowStores.map(store),
  }
}
