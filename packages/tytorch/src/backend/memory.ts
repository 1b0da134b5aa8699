// The one linear memory that CPU tensors and kernels share, and the free-list allocator of blocks in it.
// Blocks of one size class are reused last-in first-out, so a training loop keeps writing to warm memory.
import { RuntimeError } from '../base/errors.ts'

const PAGE = 65536
/** Threads that can compute at once, the main one included. */
export const MAX_THREADS = 32
/** Bytes that each thread has at the bottom for its kernels' descriptors, accumulators and tiles. */
const AREA = 4 * PAGE
/** Where threads meet, in the page above their areas. */
export const CONTROL = MAX_THREADS * AREA
/** Bytes at the bottom that the allocator never hands out. */
const RESERVED = CONTROL + PAGE
const GROWTH = 256 * PAGE

/** Byte offsets of this thread's areas; 0 stays unused so that a null pointer is never valid. */
export const reserved = {
  /** Launch descriptors: extents, pointers, strides and scalars of one kernel. */
  descriptor: 1024,
  /** Accumulators and small tiles of kernels, up to `tiles`. */
  scratch: 4096,
  /** Tiles and packed panels' edges of matrix kernels, up to `end`. */
  tiles: PAGE,
  end: AREA,
}

/** Rounds a request up to its size class: multiples of 64 bytes, then eighths of a power of two (at most 12.5 % waste). */
export function blockSize(bytes: number): number {
  if (bytes <= 1024) return Math.max(64, Math.ceil(bytes / 64) * 64)
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3)
  const unit = Math.max(step, 64)
  return Math.ceil(bytes / unit) * unit
}

interface Views {
  readonly buffer: ArrayBufferLike
  readonly i8: Int8Array
  readonly u8: Uint8Array
  readonly i16: Int16Array
  readonly u16: Uint16Array
  readonly i32: Int32Array
  readonly i64: BigInt64Array
  readonly f32: Float32Array
  readonly f64: Float64Array
}

/** A growing WebAssembly memory of at most 4 GiB with an allocator. */
export class Memory {
  wasm: WebAssembly.Memory
  shared: boolean
  /** Pages, as modules importing the memory must declare. */
  readonly maximum = 65536
  /** Typed arrays over the whole memory; replaced when it grows, so never keep one across an allocation. */
  views: Views
  private top: number = RESERVED
  private end: number
  private freeBytes = 0
  private readonly free = new Map<number, number[]>()
  /** Merged blocks that belong to no class: [pointer, bytes], by bytes. */
  private merged: [number, number][] = []

  constructor() {
    this.shared = typeof SharedArrayBuffer !== 'undefined'
    this.wasm = new WebAssembly.Memory({ initial: GROWTH / PAGE, maximum: this.maximum, shared: this.shared })
    this.views = viewsOf(this.wasm.buffer)
    this.end = this.views.buffer.byteLength
  }

  /**
   * Makes this the main thread's memory, in a thread that computes for it: `reserved` becomes that of thread `index`, so
   * it must be called before modules that read it are loaded. Such a thread allocates nothing: it has no free list.
   */
  adopt(wasm: WebAssembly.Memory, index: number): void {
    this.wasm = wasm
    this.shared = true
    this.views = viewsOf(wasm.buffer)
    this.top = this.end = Number.POSITIVE_INFINITY
    for (const name of ['descriptor', 'scratch', 'tiles', 'end'] as const) reserved[name] += index * AREA
  }

  /** In such a thread: makes `views` cover the first `bytes` bytes, after the main thread has let the memory grow. */
  follow(bytes: number): void {
    while (this.views.buffer.byteLength < bytes) {
      // The host tells other threads of a growth a moment later, and never of one while this thread was starting; growing
      // by nothing brings the buffer up to date.
      this.wasm.grow(0)
      this.views = viewsOf(this.wasm.buffer)
    }
  }

  /** Bytes in blocks that are in use. */
  get used(): number {
    return this.top - RESERVED - this.freeBytes
  }

  /** A block of at least `bytes`, aligned to 64 and not cleared. Throws RuntimeError when the memory is exhausted. */
  alloc(bytes: number): number {
    const size = blockSize(bytes)
    const block = this.free.get(size)?.pop()
    if (block !== undefined) {
      this.freeBytes -= size
      return block
    }
    if (this.freeBytes > size && this.freeBytes > (this.top - RESERVED) / 4) this.merge()
    const carved = this.carve(size)
    if (carved) return carved
    if (this.top === Number.POSITIVE_INFINITY) throw new Error('only the main thread allocates')
    if (this.top + size > this.end && !this.grow(size)) {
      this.merge()
      const last = this.carve(size)
      if (last) return last
      throw new RuntimeError(
        `not enough memory: tried to allocate ${bytes} bytes with ${this.used} in use (a WebAssembly memory holds 4 GiB); ` +
          'torch.scope frees tensors early, and a page gets dropped ones back only while a loop awaits',
      )
    }
    const at = this.top
    this.top += size
    return at
  }

  /** Gives back a block that `alloc(bytes)` returned. */
  release(pointer: number, bytes: number): void {
    const size = blockSize(bytes)
    const list = this.free.get(size)
    if (list) list.push(pointer)
    else this.free.set(size, [pointer])
    this.freeBytes += size
  }

  /** The first merged block that holds `size`, or 0. */
  private carve(size: number): number {
    const i = this.merged.findIndex((b) => b[1] >= size)
    if (i < 0) return 0
    const [pointer, bytes] = this.merged[i]
    this.freeBytes -= size
    this.merged.splice(i, 1)
    if (bytes > size) {
      const rest: [number, number] = [pointer + size, bytes - size]
      const at = this.merged.findIndex((b) => b[1] >= rest[1])
      this.merged.splice(at < 0 ? this.merged.length : at, 0, rest)
    }
    return pointer
  }

  /** Joins neighbouring free blocks of all classes, so that other sizes can be carved from them. */
  private merge(): void {
    const blocks = this.merged
    for (const [size, list] of this.free) for (const pointer of list) blocks.push([pointer, size])
    this.free.clear()
    blocks.sort((a, b) => a[0] - b[0])
    const joined: [number, number][] = []
    for (const [pointer, size] of blocks) {
      const last = joined.at(-1)
      if (last && last[0] + last[1] === pointer) last[1] += size
      else joined.push([pointer, size])
    }
    const tail = joined.at(-1)
    if (tail && tail[0] + tail[1] === this.top) {
      this.top = tail[0]
      this.freeBytes -= tail[1]
      joined.pop()
    }
    this.merged = joined.sort((a, b) => a[1] - b[1])
  }

  private grow(size: number): boolean {
    const needed = Math.ceil((this.top + size - this.end) / PAGE)
    for (const pages of [Math.max(needed, GROWTH / PAGE), needed]) {
      try {
        this.wasm.grow(pages)
      } catch (error) {
        if (error instanceof RangeError) continue // past the maximum, or the host has no more
        throw error
      }
      this.views = viewsOf(this.wasm.buffer)
      this.end = this.views.buffer.byteLength
      return true
    }
    return false
  }
}

function viewsOf(buffer: ArrayBufferLike): Views {
  const b = buffer as ArrayBuffer
  return {
    buffer,
    i8: new Int8Array(b),
    u8: new Uint8Array(b),
    i16: new Int16Array(b),
    u16: new Uint16Array(b),
    i32: new Int32Array(b),
    i64: new BigInt64Array(b),
    f32: new Float32Array(b),
    f64: new Float64Array(b),
  }
}

/** The memory of the CPU devices. */
export const memory = new Memory()
