// Memory for the copies and packed panels of a product: the allocator's, or a piece's share of a task's scratch memory.
import { memory } from '../memory.ts'

/** Gives out blocks that are valid until `close`. */
export interface Space {
  /** Blocks outlive products: a room may keep its own. */
  readonly lasting: boolean
  take(bytes: number): number
  close(): void
}

/** Blocks of the allocator. */
export class Heap implements Space {
  readonly lasting = true
  private readonly blocks: [number, number][] = []

  take(bytes: number): number {
    const pointer = memory.alloc(bytes)
    this.blocks.push([pointer, bytes])
    return pointer
  }

  close(): void {
    for (const [pointer, bytes] of this.blocks) memory.release(pointer, bytes)
    this.blocks.length = 0
  }
}

/** Blocks one behind the other in a given range. */
export class Arena implements Space {
  readonly lasting = false
  private start = 0
  private at = 0
  private end = 0

  open(start: number, bytes: number): void {
    this.start = this.at = start
    this.end = start + bytes
  }

  take(bytes: number): number {
    const pointer = this.at
    this.at += Math.ceil(bytes / 64) * 64
    if (this.at > this.end) throw new Error(`a piece of a product needs more than its scratch memory: ${bytes} bytes`)
    return pointer
  }

  close(): void {
    this.at = this.start
  }
}

/** A block that grows to the largest size asked for; of the allocator's it is kept: a training loop packs into warm memory. */
export class Room {
  private readonly space: Space
  private pointer = 0
  private bytes = 0

  constructor(space: Space) {
    this.space = space
  }

  /** Before a product's first `ensure`. */
  open(): void {
    if (!this.space.lasting) this.bytes = 0
  }

  ensure(bytes: number): number {
    if (bytes <= this.bytes) return this.pointer
    if (this.space.lasting) {
      if (this.bytes > 0) memory.release(this.pointer, this.bytes)
      this.pointer = memory.alloc(bytes)
    } else this.pointer = this.space.take(bytes)
    this.bytes = bytes
    return this.pointer
  }
}
