// A launch as fusion works on it: its operands as places with strides over a space of rows and elements, which can be
// laid over the space of another launch.
import type { DType } from '../base/dtype.ts'
import type { Expr } from '../ir/expr.ts'
import type { Arg, Kernel, MapPass, ReducePass } from '../ir/kernel.ts'
import { nodesOf } from './expressions.ts'
import { bufferRegion, distinct, launchRegion, type Region, type Strides } from './regions.ts'
import type { Buffer, HostScalar, LaunchStep, MatmulStep } from './trace.ts'

/** Sizes along [outer rows, inner rows, elements]. */
export type Space = readonly [number, number, number]

/** An operand: where it lies and how the walk goes over it. */
export interface Slot {
  readonly buffer: Buffer
  readonly offset: number
  readonly dtype: DType
  readonly per: Arg['per']
  readonly strides: Strides
  /** Read beyond the place of the walk; a table is always. */
  readonly gathered: boolean
}

/**
 * A kernel in the one form that fusion joins: reduce passes, then at most one map pass, then row stores; `load(i)` is
 * slot i. Passes are numbered as in a kernel.
 */
export interface Part {
  /** Names of the kernels joined in it. */
  readonly names: readonly string[]
  readonly space: Space
  readonly slots: readonly Slot[]
  readonly types: Kernel['scalars']
  readonly scalars: readonly HostScalar[]
  readonly reduces: readonly ReducePass[]
  readonly stores: MapPass['stores']
  readonly rowStores: Kernel['rowStores']
  /** Elements may be visited in any order and in any arrangement of rows. */
  readonly free: boolean
  /** Matrix products that are computed in it. */
  readonly products: readonly MatmulStep[]
}

const parts = new WeakMap<LaunchStep, Part | null>()

/** The step as a part, or null if it can't be joined with anything. */
export function partOf(step: LaunchStep): Part | null {
  let found = parts.get(step)
  if (found === undefined) {
    found = build(step)
    parts.set(step, found)
  }
  return found
}

function build(step: LaunchStep): Part | null {
  const { kernel, extent } = step
  if (extent[0] * extent[1] * extent[2] === 0) return null
  const maps = kernel.passes.filter((p) => p.kind === 'map')
  const at = kernel.passes.findIndex((p) => p.kind === 'map')
  if (maps.length > 1 || (maps.length === 1 && at !== kernel.passes.length - 1)) return null
  const nodes = nodesOf(kernel)
  const slots = kernel.args.map(
    (arg, i): Slot => ({
      buffer: step.operands[i].buffer,
      offset: step.operands[i].offset,
      dtype: arg.dtype,
      per: arg.per,
      strides: step.strides[i],
      gathered: arg.per === 'table' || nodes.some((e) => e.op === 'gather' && e.arg === i),
    }),
  )
  const reduces = kernel.passes.filter((p) => p.kind === 'reduce')
  const positional = nodes.some((e) => e.op === 'index' || (e.op === 'gather' && slots[e.arg].per !== 'table'))
  const part: Part = {
    names: kernel.name.split('+'),
    space: extent,
    slots,
    types: kernel.scalars,
    scalars: step.scalars,
    reduces,
    stores: maps[0]?.stores ?? [],
    rowStores: kernel.rowStores,
    free: !positional && reduces.length === 0 && kernel.rowStores.length === 0 && slots.every((s) => s.per !== 'row'),
    products: [],
  }
  return orderly(part) ? part : null
}

/** True if no store of the part touches bytes that it sees in another way. */
function orderly(part: Part): boolean {
  const written = new Set([...part.stores, ...part.rowStores].map((s) => s.arg))
  return part.slots.every((a, i) => {
    if (!written.has(i)) return true
    if (a.gathered || !injective(a, part.space)) return false
    return part.slots.every(
      (b, j) => i === j || !touch(a, b, part.space) || (!written.has(j) && sameSlot(a, b, part.space)),
    )
  })
}

/** The bytes that a part touches through a slot. */
export function slotRegion(slot: Slot, space: Space): Region {
  return slot.gathered ? bufferRegion(slot.buffer) : launchRegion(slot, space, slot.strides, slot.dtype, slot.per)
}

/** True if two slots over one space have bytes in common. */
export function touch(a: Slot, b: Slot, space: Space): boolean {
  if (a.buffer !== b.buffer) return false
  const [x, y] = [slotRegion(a, space), slotRegion(b, space)]
  return x.low < y.high && y.low < x.high && !interleaved(a, b, space)
}

/** True for columns of one matrix, or the like: both slots only ever move by multiples of a step that they share out. */
function interleaved(a: Slot, b: Slot, space: Space): boolean {
  if (a.gathered || b.gathered) return false
  let step = 0
  for (const s of [a, b]) {
    for (const [axis, n] of space.entries()) {
      if (n > 1) for (let other = Math.abs(strideOf(s, axis)); other > 0; ) [step, other] = [other, step % other]
    }
  }
  if (step === 0) return false
  const apart = (((b.offset - a.offset) % step) + step) % step
  return apart >= a.dtype.itemsize && apart + b.dtype.itemsize <= step
}

/** True if the two are at the same element all along the walk. */
export function sameSlot(a: Slot, b: Slot, space: Space): boolean {
  if (a.buffer !== b.buffer || a.offset !== b.offset || a.dtype !== b.dtype) return false
  const tables = a.per === 'table' && b.per === 'table'
  if ((a.gathered || b.gathered) && !tables) return false
  return space.every((n, axis) => n === 1 || strideOf(a, axis) === strideOf(b, axis))
}

/** Bytes from one position along an axis to the next; a value of the whole row stays where it is along the row. */
export function strideOf(slot: Slot, axis: number): number {
  return axis === 2 && slot.per === 'row' ? 0 : slot.strides[axis]
}

/** True if a slot is another element at every position that stores to it. */
export function injective(slot: Slot, space: Space): boolean {
  const axes = slot.per === 'row' ? 2 : 3
  return distinct(space.slice(0, axes), slot.strides, slot.dtype.itemsize)
}

/** Axes as [size, stride of each slot], outermost first, without those of one element and joined where all slots allow. */
interface Axis {
  n: number
  steps: readonly number[]
}

function axesOf(part: Part, axes: readonly number[]): Axis[] {
  const out: Axis[] = []
  for (const axis of axes) {
    const n = part.space[axis]
    if (n === 1) continue
    const steps = part.slots.map((s) => s.strides[axis])
    const last = out.at(-1)
    if (last?.steps.every((step, i) => step === steps[i] * n)) {
      last.n *= n
      last.steps = steps
    } else out.push({ n, steps })
  }
  return out
}

/** Strides of every slot along axes of other sizes, whose product is the same; null if they cut through an axis. */
function reshape(axes: readonly Axis[], slots: number, sizes: readonly number[]): number[][] | null {
  const out = sizes.map(() => new Array<number>(slots).fill(0))
  let at = axes.length - 1
  let left = at >= 0 ? axes[at].n : 1
  let steps = at >= 0 ? axes[at].steps : []
  for (let t = sizes.length - 1; t >= 0; t--) {
    const n = sizes[t]
    if (n === 1) continue
    if (left === 1) {
      at--
      if (at < 0) return null
      left = axes[at].n
      steps = axes[at].steps
    }
    if (left % n !== 0) return null
    out[t] = [...steps]
    steps = steps.map((s) => s * n)
    left /= n
  }
  return left === 1 && at <= 0 ? out : null
}

const ORDERS: readonly Strides[] = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
]

/** Every way to walk `part` over `space`, of which it sees only the axes in `seen`: along the others it stays in place. */
export function* layOver(part: Part, space: Space, seen: readonly boolean[]): Generator<Part> {
  const sizes = space.map((n, axis) => (seen[axis] ? n : 1)) as [number, number, number]
  const [count, mine] = [sizes[0] * sizes[1] * sizes[2], part.space[0] * part.space[1] * part.space[2]]
  if (count !== mine) return
  if (same(sizes, part.space)) {
    // A gather goes beyond the one element of its row.
    const beyond = (s: Slot): boolean => s.gathered && s.per !== 'table'
    const still = (s: Slot, axis: number): boolean => sizes[axis] === 1 && !(beyond(s) && axis === 2)
    const strides = [0, 1, 2].map((axis) => part.slots.map((s) => (still(s, axis) ? 0 : s.strides[axis])))
    yield withStrides(part, space, strides)
  }
  if (!part.free) {
    if (sizes[2] !== part.space[2]) return
    const strides = reshape(axesOf(part, [0, 1]), part.slots.length, sizes.slice(0, 2))
    if (strides) yield withStrides(part, space, [...strides, part.slots.map((s) => s.strides[2])])
    return
  }
  const axes = axesOf(part, [0, 1, 2])
  const tried = new Set<string>()
  for (const order of ORDERS) {
    const turned = order.map((axis) => sizes[axis])
    const strides = reshape(axes, part.slots.length, turned)
    if (!strides) continue
    const back = [0, 1, 2].map((axis) => strides[order.indexOf(axis)])
    const key = back.join(';')
    if (tried.has(key)) continue
    tried.add(key)
    yield withStrides(part, space, back)
  }
}

function same(a: Space, b: Space): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2]
}

function withStrides(part: Part, space: Space, strides: readonly (readonly number[])[]): Part {
  const slots = part.slots.map((s, i) => ({ ...s, strides: [strides[0][i], strides[1][i], strides[2][i]] as const }))
  return { ...part, space, slots }
}

/** An element-wise part that sees rows only, as one that works once a row; null if it has tables, which are for elements. */
export function perRow(part: Part): Part | null {
  if (part.slots.some((s) => s.per === 'table')) return null
  const slots = part.slots.map((s): Slot => ({ ...s, per: 'row' }))
  return { ...part, slots, stores: [], rowStores: part.stores, free: false }
}

/** The part as a launch of its own; slots that nothing uses go. */
export function stepOf(part: Part): LaunchStep {
  const passes: Kernel['passes'] =
    part.stores.length > 0 ? [...part.reduces, { kind: 'map', stores: part.stores }] : part.reduces
  const read = new Set<number>()
  for (const e of nodesOf({ name: '', args: [], scalars: [], passes, rowStores: part.rowStores }))
    if (e.op === 'load' || e.op === 'gather') read.add(e.arg)
  const written = new Set([...part.stores, ...part.rowStores].map((s) => s.arg))
  const kernel: Kernel = {
    name: nameOf(part.names),
    args: part.slots.map((s, i) => ({
      dtype: s.dtype,
      mode: written.has(i) ? (read.has(i) ? 'update' : 'write') : 'read',
      per: s.per,
    })),
    scalars: part.types,
    passes,
    rowStores: part.rowStores,
  }
  const step: LaunchStep = {
    kind: 'launch',
    kernel,
    extent: part.space,
    operands: part.slots.map((s) => ({ buffer: s.buffer, offset: s.offset })),
    strides: part.slots.map((s) => s.strides),
    scalars: part.scalars,
  }
  parts.set(step, part)
  return step
}

/** Names joined by `+`, with the middle of a long list left out. */
function nameOf(names: readonly string[]): string {
  return names.length > 12
    ? [...names.slice(0, 8), `${names.length - 11} more`, ...names.slice(-3)].join('+')
    : names.join('+')
}

/** What a part computes: steps of its reduce passes, values of its stores. */
export function rootsOf(part: Part): Expr[] {
  return [
    ...part.reduces.flatMap((r) => r.step),
    ...part.stores.map((s) => s.value),
    ...part.rowStores.map((s) => s.value),
  ]
}
