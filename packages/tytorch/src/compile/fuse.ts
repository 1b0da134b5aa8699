// Fusion: launches that follow one another become one kernel where that saves passes over memory, and element-wise
// functions of a matrix product are computed where it is stored. The results are those of the steps one by one.
import { attach } from './epilogue.ts'
import { weightOf as weight } from './expressions.ts'
import { join, type Needed } from './join.ts'
import {
  layOver,
  type Part,
  partOf,
  perRow,
  type Slot,
  type Space,
  sameSlot,
  slotRegion,
  stepOf,
  strideOf,
} from './part.ts'
import { spaced } from './pitch.ts'
import { prune, redirect } from './prune.ts'
import { conflict, covers, type Effects, effectsOf, meets, overlap, type Region } from './regions.ts'
import { settled, thinned, unfit } from './thin.ts'
import type { Step, Trace } from './trace.ts'
import { withSteps } from './uses.ts'

/** Steps that fusion looks back over for a partner. */
const WINDOW = 96
/** Up to so many elements a launch costs more than its work: such kernels are joined even if they share nothing. */
const SMALL = 4096
/** Elements of a row up to which a pass over what another pass of the row has read finds it in a cache. */
const CACHED_ROW = 65536
/** Slots by element of kernels that are joined for an operand they share. */
const SHARED_SLOTS = 8

/** The same computation in fewer steps: equal results but for float32 rounding, in the same buffers. */
export function fuse(trace: Trace): Trace {
  const given = prune(redirect(trace.steps))
  const refused = new Set<Step>()
  for (;;) {
    const steps = joined(thinned(given, refused))
    const unfitting = steps.flatMap(unfit)
    if (unfitting.length === 0) return withSteps(trace, spaced(steps).map(settled))
    for (const product of unfitting) refused.add(product)
  }
}

function joined(steps: readonly Step[]): Step[] {
  // Sums over one matrix meet before what the matrix is made of joins them: then it is computed once for all of them.
  const summed = steps.some((s) => productsOf(s) > 0) ? joinAll(steps, sums) : steps
  return joinAll(prune(joinAll(summed, dependent)), beside)
}

/** What two steps may be joined for. */
interface Joiner {
  /** False for steps that `join` would refuse for what they do to memory; asked first, for it is quick. */
  able(a: Candidate, b: Candidate): boolean
  join(a: Step, b: Step, needed: (region: Region) => boolean): Step | null
}

interface Candidate {
  readonly step: Step
  readonly effects: Effects
}

const candidate = (step: Step): Candidate => ({ step, effects: effectsOf(step) })

/** The steps, joined with earlier ones as `joiner` says until nothing is left to join. */
function joinAll(steps: readonly Step[], joiner: Joiner): Step[] {
  const list = steps.map(candidate)
  for (let i = 0; i < list.length; i++) {
    if (list[i].step.kind !== 'launch') continue
    // A joined step may have a partner further up.
    const at = joinUpwards(list, i, joiner)
    if (at >= 0) i = at - 1
  }
  return list.map((c) => c.step)
}

/** Joins step `i` with an earlier one if nothing between them stands against it; answers where it went, or -1. */
function joinUpwards(list: Candidate[], i: number, joiner: Joiner): number {
  const b = list[i]
  let up = true // nothing so far keeps b from moving up
  for (let j = i - 1; j >= Math.max(0, i - WINDOW); j--) {
    const a = list[j]
    if (joiner.able(a, b) && (up || mayMoveDown(list, j, i))) {
      const joined = joiner.join(a.step, b.step, (region) => neededAfter(list, j, i, region))
      if (joined) {
        list[up ? j : i] = candidate(joined)
        list.splice(up ? i : j, 1)
        return up ? j : i - 1
      }
    }
    if (up && conflict(a.effects, b.effects)) up = false
  }
  return -1
}

/** True if step `j` may move down to step `i`. */
function mayMoveDown(list: readonly Candidate[], j: number, i: number): boolean {
  for (let x = j + 1; x < i; x++) if (conflict(list[j].effects, list[x].effects)) return false
  return true
}

/** True if a step after `j`, but for `i`, or anyone outside, reads what `j` leaves in the region. */
function neededAfter(list: readonly Candidate[], j: number, i: number, region: Region): boolean {
  const one = [region]
  for (let x = j + 1; x < list.length; x++) {
    const { reads, writes } = list[x].effects
    if (x !== i && meets(reads, one)) return true
    for (let w = 0; w < writes.length; w++) if (covers(writes[w], region)) return false
  }
  return region.buffer.kind !== 'temporary'
}

/** `b` reads what `a` wrote. */
const dependent: Joiner = {
  able: (a, b) => a.step.kind !== 'host' && meets(a.effects.writes, b.effects.reads),
  join(a, b, needed) {
    const later = b.kind === 'launch' ? partOf(b) : null
    if (!later || a.kind === 'host') return null
    if (a.kind === 'matmul') return attach(a, later, needed)
    const earlier = partOf(a)
    return earlier && link(earlier, later, needed)
  },
}

/** Joins two parts over the space of one of them, at a slot that the first stores to and the second reads. */
function link(a: Part, b: Part, needed: (region: Region) => boolean): Step | null {
  const written = new Set([...a.stores, ...a.rowStores].map((s) => s.arg))
  for (const [i, from] of a.slots.entries()) {
    if (!written.has(i)) continue
    for (const to of b.slots) {
      if (from.buffer !== to.buffer || !overlap(slotRegion(from, a.space), slotRegion(to, b.space))) continue
      const step = overSpace(a, b, from, to, needed)
      if (step) return step
    }
  }
  return null
}

const ALL = [true, true, true]

function overSpace(a: Part, b: Part, from: Slot, to: Slot, needed: (region: Region) => boolean): Step | null {
  const isNeeded: Needed = (slot) => needed(slotRegion(slot, a.space))
  const finish = (x: Part | null, y: Part | null, need: Needed): Step | null => {
    const part = x && y && sensible(x, y) ? join(x, y, need) : null
    return part && stepOf(part)
  }
  // The first over the space of the second: where that stays at one element of what it reads, the first does too.
  const seen = b.space.map((n, axis) => n === 1 || strideOf(to, axis) !== 0)
  const rows = !seen[2]
  const spread = seen.some((s, axis) => !s && axis < 2)
  if (!to.gathered && (a.free || seen[2])) {
    const dead = !isNeeded(from)
    if (!spread || dead) {
      const elements = rows && b.free && dead
      for (const laid of layOver(a, b.space, seen)) {
        const over = rows && !elements ? perRow(laid) : laid
        const need: Needed = (slot) => needed(whole(a, slot))
        const step = cheapEnough(a, b, spread) ? finish(over, b, need) : null
        if (step) return step
      }
    }
  }
  // The second over the space of the first: over its rows, if that is where the value is.
  const onRows = from.per === 'row'
  const over = onRows && count(b.space) === a.space[0] * a.space[1]
  if (onRows && !over && count(b.space) !== count(a.space)) return null
  if (over && !b.free) return null
  for (const laid of layOver(b, a.space, over ? [true, true, false] : ALL)) {
    const step = finish(a, over ? perRow(laid) : laid, isNeeded)
    if (step) return step
  }
  return null
}

/** The bytes that `part` stores to at the place of a slot of it that has been laid over another space. */
function whole(part: Part, slot: Slot): Region {
  const own = part.slots.find((s) => s.buffer === slot.buffer && s.offset === slot.offset) ?? slot
  return slotRegion(own, part.space)
}

const count = (space: Space): number => space[0] * space[1] * space[2]

/** What is spread over many elements is computed again for each row of them. */
function cheapEnough(a: Part, b: Part, spread: boolean): boolean {
  if (!spread) return true
  const work = a.stores.reduce((n, s) => n + weight(s.value), 0)
  return work <= 8 || (count(a.space) === 1 && b.space[2] >= 64 && work <= 60)
}

/** False for long rows whose passes would not find in a cache what the pass before has read, and would be one task. */
function sensible(a: Part, b: Part): boolean {
  const folds = a.reduces.length > 0
  const long = a.space[2] > CACHED_ROW && a.space[0] * a.space[1] < 8
  return !(folds && long && (b.stores.length > 0 || b.reduces.length > 0))
}

/** Neither depends on the other, but both read the same, or are small. */
const beside: Joiner = {
  able: ({ step: a, effects: x }, { step: b, effects: y }) =>
    a.kind === 'launch' &&
    b.kind === 'launch' &&
    (bothSmall(a.extent, b.extent) || meets(x.reads, y.reads)) &&
    !conflict(x, y),
  join(a, b) {
    if (a.kind !== 'launch' || b.kind !== 'launch') return null
    const [x, y] = [partOf(a), partOf(b)]
    if (!x || !y || x.reduces.length > 0 !== y.reduces.length > 0) return null
    const shared = x.slots.filter((s) => y.slots.some((t) => s.buffer === t.buffer && s.offset === t.offset))
    const small = bothSmall(x.space, y.space)
    if (shared.length === 0 && !small) return null
    for (const [over, laid, swap] of [...pairs(x, y, false), ...pairs(y, x, true)]) {
      if (!small && !laid.slots.some((s) => over.slots.some((t) => s.per === 'element' && sameSlot(s, t, over.space))))
        continue
      const elements = over.slots.length + laid.slots.length - shared.length
      const products = over.products.length + laid.products.length
      if (!small && products === 0 && elements > SHARED_SLOTS) continue
      const part = swap ? join(over, laid, () => true) : join(laid, over, () => true)
      if (part) return stepOf(part)
    }
    return null
  },
}

/** Sums over rows, some of them a matrix product's, which read the same. */
const sums: Joiner = {
  able: (a, b) => productsOf(a.step) + productsOf(b.step) > 0 && beside.able(a, b),
  join: (a, b, needed) => (onlySums(a) && onlySums(b) ? beside.join(a, b, needed) : null),
}

const productsOf = (step: Step): number => (step.kind === 'launch' ? (partOf(step)?.products.length ?? 0) : 0)

function onlySums(step: Step): boolean {
  const part = step.kind === 'launch' ? partOf(step) : null
  return part !== null && part.reduces.length === 1 && part.stores.length === 0
}

const bothSmall = (a: Space, b: Space): boolean => count(a) <= SMALL && count(b) <= SMALL

/** `y` laid over the space of `x`. */
function pairs(x: Part, y: Part, swap: boolean): [Part, Part, boolean][] {
  return [...layOver(y, x.space, ALL)].map((laid) => [x, laid, swap])
}
