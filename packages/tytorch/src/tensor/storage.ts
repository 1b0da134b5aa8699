// Storages: the blocks of memory behind tensors, and how they come back without anyone calling dispose.
// Large storages are watched one by one through WeakRefs; small ones live in slabs that are watched as a whole.
// See docs/decisions/memory.md for the figures behind the sizes.
import { memory } from '../backend/memory.ts'
import { collector } from './collector.ts'
import { isInferenceModeEnabled } from './mode.ts'
import { tracer } from './tracer.ts'

/** Storages of at most this many bytes share slabs: a WeakRef for each would cost more than the op that made it. */
const SMALL = 4096
const SLOTS = 64
/** Bytes allocated between sweeps, at least; half of what survived if that is more. */
const BUDGET = 48 * 2 ** 20
/** As many blocks of one size fit between sweeps, up to MOST bytes: when two fill the budget, one in use is half of it. */
const BLOCKS = 4
const MOST = 128 * 2 ** 20
/**
 * After a backward pass, the moment at which least is alive, a sweep is due from this many bytes on. One in the middle of
 * a forward pass finds its activations alive, so that V8 takes them for old, and only a full collection frees them.
 */
const SETTLE = 32 * 2 ** 20
/** Bytes of a step up to which sweeps are put off to its end, in sizes of what it allocated last time. */
const STEP = 1.25
const MOST_STEP = 512 * 2 ** 20
/** Bytes that may be in use beyond what a full collection left, at least, before the next one. */
const SLACK = 96 * 2 ** 20

/** A run of equal small slots. It is given back when no storage in it is reachable any more. */
class Slab {
  readonly pointer: number
  next: number
  readonly end: number

  constructor(pointer: number, slot: number) {
    this.pointer = pointer
    this.next = pointer
    this.end = pointer + slot * SLOTS
  }
}

/** What the sweep looks at: an unreachable owner means that the block is free. A pointer of 0 means it was released. */
interface Watched {
  readonly owner: WeakRef<object>
  pointer: number
  readonly bytes: number
}

/** A block of memory with a count of the in-place changes made to it. */
export class Storage {
  /** Byte address; 0 once released. */
  pointer: number
  readonly bytes: number
  /** Rises with each in-place change; autograd compares it with the value at the time of saving. */
  version = 0
  /** References held by a running backward pass; infinite once a user may hold the storage. */
  holds = 0
  /** Made inside the arena that is open now, and not yet known to be kept. */
  temporary = false
  /** Made inside `inferenceMode`: autograd never keeps it. */
  inference = false
  readonly slab: Slab | null
  watched: Watched | null = null

  constructor(pointer: number, bytes: number, slab: Slab | null) {
    this.pointer = pointer
    this.bytes = bytes
    this.slab = slab
  }
}

interface SizeClass {
  slab: Slab
  readonly slot: number
  /** Slots released by hand: [slab, pointer] pairs, flattened. */
  readonly slabs: Slab[]
  readonly pointers: number[]
}

/** Slots of 64, 128, 256, ... bytes: index is log2(slot) - 6. */
const classes: SizeClass[] = []
let watch: Watched[] = []
let pressure = 0
let budget = BUDGET
/** Bytes in use after a minor collection from which a full one follows. */
let ceiling = SLACK
/** Bytes that sweeps have seen allocated since the last backward pass, and in the step before it. */
let current = 0
let step = 0
let arena: Storage[] | null = null

/** A storage of `bytes`, not cleared. May sweep, so read pointers of other tensors only after the last allocation. */
export function allocate(bytes: number): Storage {
  const storage = bytes <= SMALL ? allocateSmall(bytes) : allocateLarge(bytes)
  if (arena) {
    arena.push(storage)
    storage.temporary = true
  }
  if (isInferenceModeEnabled()) storage.inference = true
  if (tracer !== null) tracer.allocated(storage)
  return storage
}

function allocateSmall(bytes: number): Storage {
  const index = bytes <= 64 ? 0 : 26 - Math.clz32(bytes - 1)
  const found = classes[index] ?? openClass(index)
  const spare = found.pointers.pop()
  if (spare !== undefined) return new Storage(spare, bytes, found.slabs.pop() as Slab)
  let slab = found.slab
  if (slab.next === slab.end) slab = found.slab = openSlab(found.slot)
  const pointer = slab.next
  slab.next += found.slot
  return new Storage(pointer, bytes, slab)
}

function openClass(index: number): SizeClass {
  const slot = 64 << index
  return (classes[index] = { slab: openSlab(slot), slot, slabs: [], pointers: [] })
}

function openSlab(slot: number): Slab {
  const bytes = slot * SLOTS
  const slab = new Slab(obtain(bytes), slot)
  watch.push({ owner: new WeakRef(slab), pointer: slab.pointer, bytes })
  return slab
}

function allocateLarge(bytes: number): Storage {
  const storage = new Storage(obtain(bytes), bytes, null)
  if (!arena) register(storage)
  return storage
}

function register(storage: Storage): void {
  if (storage.slab || storage.watched || storage.pointer === 0) return
  storage.watched = { owner: new WeakRef(storage), pointer: storage.pointer, bytes: storage.bytes }
  watch.push(storage.watched)
}

/**
 * A new owner of the block of one that has waited for its content: a minor collection then finds it, for it is young
 * when it is dropped. The old one is released.
 */
export function renew(storage: Storage): Storage {
  const { pointer, bytes, slab, watched } = storage
  if (watched === null) return storage
  const next = new Storage(pointer, bytes, slab)
  storage.pointer = watched.pointer = 0
  register(next)
  return next
}

function obtain(bytes: number): number {
  pressure += bytes
  // A trace tells storages apart by their addresses, so none may be used twice in it.
  if (pressure > budget && tracer === null) {
    budget = Math.max(budget, Math.min(BLOCKS * bytes, MOST))
    if (pressure > budget) sweep()
  }
  try {
    return memory.alloc(bytes)
  } catch (error) {
    if (sweep(true) === 0) throw error
    return memory.alloc(bytes)
  }
}

/** Gives a storage back at once. Only for storages that no user can hold. */
export function release(storage: Storage): void {
  const pointer = storage.pointer
  if (pointer === 0) return
  if (tracer !== null) tracer.released(storage)
  storage.pointer = 0
  if (tracer === null) giveBack(storage, pointer)
}

/** Frees the block at `pointer` of a storage that was released during a trace. */
export function giveBack(storage: Storage, pointer: number): void {
  if (storage.slab) {
    const found = classes[storage.bytes <= 64 ? 0 : 26 - Math.clz32(storage.bytes - 1)]
    found.slabs.push(storage.slab)
    found.pointers.push(pointer)
    return
  }
  if (storage.watched) storage.watched.pointer = 0
  pressure -= storage.bytes
  memory.release(pointer, storage.bytes)
}

/**
 * Gives back every block whose owner is gone, after a garbage collection if the host allows one on demand; answers
 * the bytes regained. `thorough` collects the old generation too, which is also done when much more is in use than was
 * after the last time.
 */
export function sweep(thorough = false): number {
  let freed = 0
  if (!thorough) {
    collector.collect(true)
    freed = regain()
  }
  if (thorough || memory.used > ceiling) {
    collector.collect(false)
    freed += regain()
    ceiling = memory.used + Math.max(memory.used / 2, SLACK)
  }
  current += pressure
  pressure = 0
  budget = Math.max(BUDGET, memory.used / 2, STEP * step)
  return freed
}

/** Sweeps if enough has been allocated. For the end of a backward pass, when its graph is gone. */
export function settle(): void {
  if (pressure < SETTLE || tracer !== null || arena !== null) return
  step = Math.min(current + pressure, MOST_STEP)
  sweep()
  current = 0
}

function regain(): number {
  let freed = 0
  const kept: Watched[] = []
  for (const entry of watch) {
    if (entry.pointer === 0) continue
    if (entry.owner.deref() !== undefined) kept.push(entry)
    else {
      memory.release(entry.pointer, entry.bytes)
      freed += entry.bytes
    }
  }
  watch = kept
  return freed
}

/** Starts collecting the storages that are allocated from now on; answers what was active before. */
export function openArena(next: Storage[] | null): Storage[] | null {
  const before = arena
  arena = next
  return before
}

/** Ends an arena opened by `openArena`: its storages that are still in use now live as long as their tensors. */
export function closeArena(storages: readonly Storage[], before: Storage[] | null): void {
  arena = before
  for (const s of storages) {
    if (s.holds !== Number.POSITIVE_INFINITY) s.holds = 0
    s.temporary = before !== null
    if (s.pointer === 0) continue
    if (before) before.push(s)
    else register(s)
  }
}

/** Bytes in use, and blocks watched: for tests and `memoryStats`. */
export function storageStats(): { readonly bytes: number; readonly watched: number } {
  return { bytes: memory.used, watched: watch.length }
}
