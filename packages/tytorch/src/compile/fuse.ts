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
import { prune, redirect } from './prune.ts'
import { conflict, covers, effectsOf, overlap, type Region } from './regions.ts'
import type { Step, Trace } from './trace.ts'

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
  const steps = prune(redirect(trace.steps))
  joinAll(steps, dependent)
  const lean = prune(steps)
  joinAll(lean, beside)
  const used = new Set(lean.flatMap((s) => [...effectsOf(s).reads, ...effectsOf(s).writes].map((r) => r.buffer)))
  return { buffers: trace.buffers.filter((b) => b.kind !== 'temporary' || used.has(b)), steps: lean }
}

/** Joins steps with earlier ones as `joiner` says, in place, until nothing is left to join. */
function joinAll(steps: Step[], joiner: Joiner): void {
  for (let i = 0; i < steps.length; i++) {
    if (steps[i].kind !== 'launch') continue
    // A joined step may have a partner further up.
    const at = joinUpwards(steps, i, joiner)
    if (at >= 0) i = at - 1
  }
}

type Joiner = (a: Step, b: Step, needed: (region: Region) => boolean) => Step | null

/** Joins step `i` with an earlier one if nothing between them stands against it; answers where it went, or -1. */
function joinUpwards(steps: Step[], i: number, joiner: Joiner): number {
  const b = steps[i]
  const effects = effectsOf(b)
  let up = true // nothing so far keeps b from moving up
  for (let j = i - 1; j >= Math.max(0, i - WINDOW); j--) {
    const a = steps[j]
    const own = effectsOf(a)
    if (up || between(steps, j, i, own)) {
      const joined = joiner(a, b, (region) => neededAfter(steps, j, i, region))
      if (joined) {
        steps[up ? j : i] = joined
        steps.splice(up ? i : j, 1)
        return up ? j : i - 1
      }
    }
    if (up && conflict(own, effects)) up = false
  }
  return -1
}

/** True if step `j` may move down to step `i`. */
function between(steps: readonly Step[], j: number, i: number, effects: ReturnType<typeof effectsOf>): boolean {
  for (let x = j + 1; x < i; x++) if (conflict(effects, effectsOf(steps[x]))) return false
  return true
}

/** True if a step after `j`, but for `i`, or anyone outside, reads what `j` leaves in the region. */
function neededAfter(steps: readonly Step[], j: number, i: number, region: Region): boolean {
  for (let x = j + 1; x < steps.length; x++) {
    const { reads, writes } = effectsOf(steps[x])
    if (x !== i && reads.some((r) => overlap(r, region))) return true
    if (writes.some((w) => covers(w, region))) return false
  }
  return region.buffer.kind !== 'temporary'
}

/** `b` reads what `a` wrote. */
function dependent(a: Step, b: Step, needed: (region: Region) => boolean): Step | null {
  if (a.kind === 'host' || b.kind !== 'launch') return null
  const { writes } = effectsOf(a)
  if (!effectsOf(b).reads.some((r) => writes.some((w) => overlap(w, r)))) return null
  const later = partOf(b)
  if (!later) return null
  if (a.kind === 'matmul') return attach(a, later, needed)
  const earlier = partOf(a)
  return earlier && link(earlier, later, needed)
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
  const finish = (x: Part, y: Part, need: Needed): Step | null => {
    const part = sensible(x, y) ? join(x, y, need) : null
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

/** Neither depends on the other. */
function beside(a: Step, b: Step): Step | null {
  if (a.kind !== 'launch' || b.kind !== 'launch') return null
  if (conflict(effectsOf(a), effectsOf(b))) return null
  const [x, y] = [partOf(a), partOf(b)]
  if (!x || !y || x.reduces.length > 0 !== y.reduces.length > 0) return null
  const shared = x.slots.filter((s) => y.slots.some((t) => s.buffer === t.buffer && s.offset === t.offset))
  const small = count(x.space) <= SMALL && count(y.space) <= SMALL
  if (shared.length === 0 && !small) return null
  for (const [over, laid, swap] of [...pairs(x, y, false), ...pairs(y, x, true)]) {
    if (!small && !laid.slots.some((s) => over.slots.some((t) => s.per === 'element' && sameSlot(s, t, over.space))))
      continue
    const elements = over.slots.length + laid.slots.length - shared.length
    if (!small && elements > SHARED_SLOTS) continue
    const part = swap ? join(over, laid, () => true) : join(laid, over, () => true)
    if (part) return stepOf(part)
  }
  return null
}

/** `y` laid over the space of `x`. */
function pairs(x: Part, y: Part, swap: boolean): [Part, Part, boolean][] {
  return [...layOver(y, x.space, ALL)].map((laid) => [x, laid, swap])
}
