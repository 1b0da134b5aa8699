// What loaders and workers say to one another, and how tensors cross: the main thread's tensors are read where they
// are, in its shared memory, and a worker writes a batch into blocks of that memory, so that it is a tensor on arrival.
import { memory } from '../backend/memory.ts'
import { type DTypeName, dtypeOf } from '../base/dtype.ts'
import { contiguousStrides, numelOf, type Sizes } from '../base/shape.ts'
import { contiguous } from '../ops/copy.ts'
import { allocate, openArena, renew, type Storage } from '../tensor/storage.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import type { Packed } from './pack.ts'

/** A block of the main thread's memory that one tensor of a batch may be written into. */
export type Block = readonly [pointer: number, bytes: number]

/** A tensor on its way: in the main memory at `pointer`, in one of the task's blocks, or as `bytes`. */
export interface Parcel {
  readonly dtype: DTypeName
  readonly sizes: Sizes
  readonly pointer?: number
  /** Which tensor of the batch this is; it lies in the block of that index unless it has `bytes`. */
  readonly index?: number
  readonly bytes?: Uint8Array<ArrayBuffer>
}

/** The first message to a worker. */
export interface Hello {
  readonly id: number
  readonly numWorkers: number
  readonly seed: bigint
  /** The dataset, collateFn and workerInitFn. */
  readonly work: Packed
  readonly modules: readonly string[]
  readonly batched: boolean
  readonly dropLast: boolean
  readonly memory: WebAssembly.Memory | null
  /** One number: the epoch whose tasks are still wanted. */
  readonly epoch: Int32Array | null
  readonly port: MessagePort
}

/** Later messages to a worker. */
export type Order =
  | {
      readonly kind: 'fetch'
      readonly id: number
      readonly epoch: number
      readonly keys: unknown
      readonly blocks: readonly Block[]
    }
  /** Starts an epoch anew: streams begin again. */
  | { readonly kind: 'epoch' }
  | { readonly kind: 'close' }

/** An error as it travels. */
export interface Fault {
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly extra: Readonly<Record<string, unknown>>
}

/** Messages from a worker: one for each fetch. */
export type Reply =
  | { readonly kind: 'batch'; readonly id: number; readonly value: Packed }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'skipped'; readonly id: number }
  | { readonly kind: 'error'; readonly id: number; readonly fault: Fault }

/** The part of `wasm` at `pointer`, of which this thread may not yet have seen the growth. */
function bytesAt(wasm: WebAssembly.Memory, pointer: number, bytes: number): Uint8Array {
  if (pointer + bytes > wasm.buffer.byteLength) wasm.grow(0)
  return new Uint8Array(wasm.buffer, pointer, bytes)
}

function ownBytes(t: Tensor): Uint8Array {
  return memory.views.u8.subarray(t.pointer, t.pointer + t.count * t.dtype.itemsize)
}

/** In the main thread: a tensor for a worker to copy from. `hold` keeps what it is copied from. */
export function sendTensor(t: Tensor, hold: (t: Tensor) => void): Parcel {
  const whole = t.contiguousLayout ? t : contiguous(t.detach())
  const parcel = { dtype: t.dtype.name, sizes: [...t.sizes] }
  if (!memory.shared) return { ...parcel, bytes: ownBytes(whole).slice() as Uint8Array<ArrayBuffer> }
  hold(whole)
  return { ...parcel, pointer: whole.count === 0 ? 0 : whole.pointer }
}

/** In a worker: the tensor that `sendTensor` described. */
export function receiveTensor({ dtype, sizes, pointer, bytes }: Parcel, main: WebAssembly.Memory | null): Tensor {
  const out = empty(sizes, dtypeOf(dtype))
  const size = numelOf(sizes) * out.dtype.itemsize
  if (size > 0) ownBytes(out).set(bytes ?? bytesAt(main as WebAssembly.Memory, pointer as number, size))
  return out
}

/** In a worker: writes the tensors of one batch into the task's blocks, and into transferred buffers where none fits. */
export class Shipment {
  readonly transfer: ArrayBuffer[] = []
  private readonly main: WebAssembly.Memory | null
  private readonly blocks: readonly Block[]
  private next = 0

  constructor(main: WebAssembly.Memory | null, blocks: readonly Block[]) {
    this.main = main
    this.blocks = blocks
  }

  add(t: Tensor): Parcel {
    const whole = t.contiguousLayout ? t : contiguous(t.detach())
    const parcel = { dtype: t.dtype.name, sizes: [...t.sizes], index: this.next }
    const source = ownBytes(whole)
    const block = this.blocks[this.next++]
    if (block && this.main && source.length <= block[1]) {
      bytesAt(this.main, block[0], source.length).set(source)
      return parcel
    }
    const bytes = source.slice() as Uint8Array<ArrayBuffer>
    this.transfer.push(bytes.buffer)
    return { ...parcel, bytes }
  }
}

/** In the main thread: blocks for the batches to come, sized by those that came. */
export class Yard {
  /** Bytes of the n-th tensor of a batch. */
  private sizes: number[] = []

  /** Blocks for one batch; none before the first has come. */
  reserve(): Storage[] {
    if (!memory.shared) return []
    // Not in the arena of a scope that happens to be open: its end would free what a worker still writes into.
    const arena = openArena(null)
    try {
      return Array.from(this.sizes, (bytes) => allocate(bytes))
    } finally {
      openArena(arena)
    }
  }

  /** The tensor that came as `parcel`, in one of `storages` or copied from its bytes. */
  receive({ dtype: name, sizes, index = 0, bytes }: Parcel, storages: readonly Storage[]): Tensor {
    const dtype = dtypeOf(name)
    const size = numelOf(sizes) * dtype.itemsize
    while (this.sizes.length <= index) this.sizes.push(0)
    this.sizes[index] = Math.max(this.sizes[index], size)
    if (!bytes) return new Tensor(renew(storages[index]), sizes, contiguousStrides(sizes), 0, dtype)
    const out = empty(sizes, dtype)
    ownBytes(out).set(bytes)
    return out
  }
}

/** An error as it travels: its class's name, message, stack, and fields such as `code`. */
export function faultOf(error: unknown): Fault {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error), stack: String(error), extra: {} }
  const extra = Object.fromEntries(
    Object.entries(error).filter(
      ([key, v]) =>
        key !== 'name' && (typeof v !== 'object' || v === null) && typeof v !== 'function' && typeof v !== 'symbol',
    ),
  )
  return { name: error.name, message: error.message, stack: error.stack ?? `${error.name}: ${error.message}`, extra }
}
