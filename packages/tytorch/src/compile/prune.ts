// Steps that need not run: those whose results nobody reads, copies of what stays as it is, and repetitions.
import { compact } from './join.ts'
import { type Part, partOf, type Slot, sameSlot, slotRegion, stepOf } from './part.ts'
import { covers, effectsOf, overlap, type Region } from './regions.ts'
import type { Buffer, HostScalar, LaunchStep, MatmulStep, Operand, Step } from './trace.ts'

/** The steps without dead ones and without dead stores. Host steps stay: they may draw random numbers. */
export function prune(steps: readonly Step[]): Step[] {
  const kept: Step[] = []
  const later = new Later()
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = lean(steps[i], (region) => later.needs(region))
    if (!step) continue
    kept.push(step)
    later.add(step)
  }
  return kept.reverse()
}

/** The step without what it does in vain; null if that is all. */
function lean(step: Step, needed: (region: Region) => boolean): Step | null {
  if (step.kind === 'host') return step
  if (step.kind === 'launch') return withoutDeadStores(step, needed)
  return step.args.m * step.args.n > 0 && effectsOf(step).writes.some(needed) ? step : null
}

/** What the steps after a point do to each buffer. */
class Later {
  /** The last step first. */
  private readonly touched = new Map<Buffer, { readonly region: Region; readonly reads: boolean }[]>()

  /** Adds the step before those that are known. */
  add(step: Step): void {
    const { reads, writes } = effectsOf(step)
    for (const region of writes) this.note(region, false)
    for (const region of reads) this.note(region, true)
  }

  private note(region: Region, reads: boolean): void {
    const list = this.touched.get(region.buffer)
    if (list) list.push({ region, reads })
    else this.touched.set(region.buffer, [{ region, reads }])
  }

  /** True if a later step or anyone outside reads the region before it is written anew. */
  needs(region: Region): boolean {
    const list = this.touched.get(region.buffer) ?? []
    for (let x = list.length - 1; x >= 0; x--) {
      if (list[x].reads ? overlap(list[x].region, region) : covers(list[x].region, region)) return list[x].reads
    }
    return region.buffer.kind !== 'temporary'
  }
}

function withoutDeadStores(step: LaunchStep, needed: (region: Region) => boolean): LaunchStep | null {
  const { extent } = step
  if (extent[0] * extent[1] === 0) return null
  const { writes } = effectsOf(step)
  if (!writes.some(needed)) return null
  if (writes.every(needed)) return step
  const part = partOf(step)
  if (!part) return step
  const live = (s: { readonly arg: number }): boolean => needed(slotRegion(part.slots[s.arg], part.space))
  const lean = compact({ ...part, stores: part.stores.filter(live), rowStores: part.rowStores.filter(live) })
  return lean ? stepOf(lean) : step
}

/** The steps with copies and repeated computations left out: what reads them reads the first one's result. */
export function redirect(steps: readonly Step[]): Step[] {
  const list = [...steps]
  for (let i = 0; i < list.length; i++) {
    const step = list[i]
    const from = step.kind === 'launch' ? copied(step) : null
    if (from && replace(list, i, from.to, from.source)) {
      list.splice(i--, 1)
      continue
    }
    const twin = step.kind === 'host' ? null : twinOf(list, i)
    if (twin && replace(list, i, twin.to, twin.source)) list.splice(i--, 1)
  }
  return list
}

interface Redirection {
  readonly to: Region
  /** Where the same bytes are. */
  readonly source: Region
}

/** What a step does that only copies elements from one place to another in the same arrangement. */
function copied(step: LaunchStep): Redirection | null {
  const part = partOf(step)
  if (!part?.free || part.stores.length !== 1) return null
  const [{ arg, value }] = part.stores
  if (value.op !== 'load') return null
  const [from, to] = [part.slots[value.arg], part.slots[arg]]
  if (
    from.dtype !== to.dtype ||
    from.gathered ||
    !sameSlot({ ...to, buffer: from.buffer, offset: from.offset }, from, part.space)
  )
    return null
  return { to: slotRegion(to, part.space), source: slotRegion(from, part.space) }
}

/** Points all later reads of `to`, which step `i` writes, at `source`; false if one of the two changes meanwhile. */
function replace(list: Step[], i: number, to: Region, source: Region): boolean {
  if (to.buffer.kind !== 'temporary' || !to.whole || to.buffer === source.buffer) return false
  let last = i
  for (let x = 0; x < list.length; x++) {
    if (x === i) continue
    const { reads, writes } = effectsOf(list[x])
    if (writes.some((w) => w.buffer === to.buffer)) return false
    for (const r of reads) {
      if (r.buffer !== to.buffer) continue
      if (x < i || r.low < to.low || r.high > to.high) return false
      last = x
    }
  }
  for (let x = i + 1; x <= last; x++) if (effectsOf(list[x]).writes.some((w) => overlap(w, source))) return false
  const delta = source.low - to.low
  for (let x = i + 1; x <= last; x++) list[x] = moved(list[x], to.buffer, source.buffer, delta)
  return true
}

function moved(step: Step, from: Buffer, to: Buffer, delta: number): Step {
  const move = <O extends Operand>(o: O): O => (o.buffer === from ? { ...o, buffer: to, offset: o.offset + delta } : o)
  if (!effectsOf(step).reads.some((r) => r.buffer === from)) return step
  if (step.kind !== 'matmul') return { ...step, operands: step.operands.map(move) }
  const { epilogue } = step
  return {
    ...step,
    a: move(step.a),
    b: move(step.b),
    bias: step.bias && move(step.bias),
    ...(epilogue ? { epilogue: { ...epilogue, operands: epilogue.operands.map(move) } } : {}),
  }
}

/** An earlier step that computed the same from the same values. */
function twinOf(list: readonly Step[], i: number): Redirection | null {
  const step = list[i]
  const { reads, writes } = effectsOf(step)
  if (writes.length !== 1 || writes[0].buffer.kind !== 'temporary') return null
  for (let j = i - 1; j >= 0; j--) {
    const other = list[j]
    const own = effectsOf(other)
    if (alike(other, step) && own.writes.length === 1) {
      const [source, to] = [own.writes[0], writes[0]]
      if (
        source.high - source.low === to.high - to.low &&
        !overlap(source, to) &&
        !reads.some((r) => overlap(r, source))
      )
        return changed(list, j, i, source) ? null : { to, source }
    }
    if (own.writes.some((w) => reads.some((r) => overlap(w, r)))) return null
  }
  return null
}

function changed(list: readonly Step[], j: number, i: number, region: Region): boolean {
  for (let x = j + 1; x < i; x++) if (effectsOf(list[x]).writes.some((w) => overlap(w, region))) return true
  return false
}

/** True if two steps are the same but for where they store. */
function alike(a: Step, b: Step): boolean {
  if (a.kind === 'launch' && b.kind === 'launch') return alikeLaunches(a, b)
  return a.kind === 'matmul' && b.kind === 'matmul' && alikeProducts(a, b)
}

function alikeLaunches(a: LaunchStep, b: LaunchStep): boolean {
  if (a.kernel !== b.kernel || !a.extent.every((n, i) => n === b.extent[i])) return false
  const [x, y] = [partOf(a), partOf(b)]
  if (!x || !y) return false
  const written = writtenSlots(x)
  const same = (s: Slot, i: number): boolean => {
    const t = y.slots[i]
    if (!s.strides.every((n, axis) => n === t.strides[axis])) return false
    return written.has(i) || (s.buffer === t.buffer && s.offset === t.offset)
  }
  return x.slots.every(same) && a.scalars.every((s, i) => sameNumber(s, b.scalars[i])) && updatesNothing(a)
}

function writtenSlots(part: Part): Set<number> {
  return new Set([...part.stores, ...part.rowStores].map((s) => s.arg))
}

function updatesNothing(step: LaunchStep): boolean {
  return step.kernel.args.every((a) => a.mode !== 'update')
}

function sameNumber(a: HostScalar, b: HostScalar): boolean {
  if (typeof a === 'object' && typeof b === 'object') return a.source === b.source && a.index === b.index
  return Object.is(a, b)
}

function alikeProducts(a: MatmulStep, b: MatmulStep): boolean {
  const at = (x: Operand | null, y: Operand | null): boolean => x?.buffer === y?.buffer && x?.offset === y?.offset
  if (a.dtype !== b.dtype || a.args.accumulate || b.args.accumulate || a.epilogue || b.epilogue) return false
  if (a.args.batch || b.args.batch) return false
  const keys = ['m', 'n', 'k', 'aRow', 'aCol', 'bRow', 'bCol', 'cRow'] as const
  return keys.every((key) => a.args[key] === b.args[key]) && at(a.a, b.a) && at(a.b, b.b) && at(a.bias, b.bias)
}
