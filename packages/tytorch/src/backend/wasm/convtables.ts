// The compiled kernels of convolution for one element type, and the tables of offsets that they walk.
import { memory } from '../memory.ts'
import { Module } from './assembler.ts'
import {
  type AcrossBlock,
  emitAcross,
  emitPixels,
  emitShift,
  emitWeights,
  type PixelBlock,
  type PixelStart,
  type ShiftBlock,
  type WeightBlock,
} from './convkernels.ts'
import { DTYPES, hostOf } from './convtask.ts'
import { emitTurning, type Turning } from './convturning.ts'
import { type Element, elementOf } from './element.ts'

/** Kernels by what they are specialised to, each emitted when it is first asked for. */
export class ConvKernels {
  readonly element: Element
  private readonly pixelBlocks: Record<PixelStart, PixelBlock[][]> = { init: [], y: [] }
  private readonly weightBlocks: WeightBlock[][] = []
  private readonly acrossBlocks: AcrossBlock[][] = []
  private readonly shiftBlocks: ShiftBlock[][] = []
  private copies: Turning | null = null

  constructor(element: Element) {
    this.element = element
  }

  /** Tiles of so many pixels and 16-byte vectors. */
  pixels(rows: number, width: number, start: PixelStart): PixelBlock {
    const table = (this.pixelBlocks[start][rows] ??= [])
    const emit = (m: Module): void => emitPixels(m, this.element, rows, width, start)
    return (table[width] ??= instantiate<{ run: PixelBlock }>(emit).run)
  }

  weights(rows: number, width: number): WeightBlock {
    const table = (this.weightBlocks[rows] ??= [])
    return (table[width] ??= instantiate<{ run: WeightBlock }>((m) => emitWeights(m, this.element, rows, width)).run)
  }

  across(rows: number, width: number): AcrossBlock {
    const table = (this.acrossBlocks[rows] ??= [])
    return (table[width] ??= instantiate<{ run: AcrossBlock }>((m) => emitAcross(m, this.element, rows, width)).run)
  }

  /** Tiles of so many channels and 16-byte vectors of pixels. */
  shift(rows: number, width: number): ShiftBlock {
    const table = (this.shiftBlocks[rows] ??= [])
    return (table[width] ??= instantiate<{ run: ShiftBlock }>((m) => emitShift(m, this.element, rows, width)).run)
  }

  get turning(): Turning {
    return (this.copies ??= instantiate<Turning>((m) => emitTurning(m, this.element)))
  }
}

/** The exports of a new module. */
export function instantiate<Exports>(emit: (module: Module) => void): Exports {
  const module = new Module({ shared: memory.shared, maximum: memory.maximum })
  emit(module)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  return instance.exports as unknown as Exports
}

const kernels: ConvKernels[] = []

/** This thread's kernels of a dtype and a host. */
export function kernelsOf(index: number): ConvKernels {
  return (kernels[index] ??= new ConvKernels(elementOf(DTYPES[index >> 2], hostOf(index))))
}

const compiled = new Map<string, unknown>()

/** This thread's function `run` of a module that `emit` writes, by what it is specialised to. */
export function compiledFor<Run>(key: string, emit: (module: Module) => void): Run {
  let run = compiled.get(key)
  if (!run) compiled.set(key, (run = instantiate<{ run: Run }>(emit).run))
  return run as Run
}

/** A block of memory that grows to the largest size asked for and is kept for the next call. */
export class Workspace {
  private pointer = 0
  private bytes = 0

  ensure(bytes: number): number {
    if (bytes > this.bytes) {
      this.free()
      this.pointer = memory.alloc(bytes)
      this.bytes = bytes
    }
    return this.pointer
  }

  free(): void {
    if (this.bytes > 0) memory.release(this.pointer, this.bytes)
    this.bytes = 0
  }
}

/** A table of i32 in memory, to be freed with its plan. */
export interface Table {
  readonly at: number
  readonly bytes: number
}

/** Writes a table. */
export function table(values: readonly number[] | Int32Array): Table {
  const bytes = Math.max(values.length, 1) * 4
  const at = memory.alloc(bytes)
  memory.views.i32.set(values, at / 4)
  return { at, bytes }
}

/** Gives a table's memory back. */
export function freeTable({ at, bytes }: Table): void {
  memory.release(at, bytes)
}
