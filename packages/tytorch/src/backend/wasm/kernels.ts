// The compiled kernels of the matrix product for one element type, each emitted when it is first asked for.
import type { Expr } from '../../ir/expr.ts'
import { memory } from '../memory.ts'
import { Module } from './assembler.ts'
import { type Batch, emitBatch } from './batch.ts'
import { type Code, compile as compileCode } from './code.ts'
import type { Element } from './element.ts'
import type { Host } from './features.ts'
import { emitFinishRows, type Finish } from './finish.ts'
import { type Block, type Cut, emitBlock, type Source } from './gemm.ts'
import { emitPacking, type Packing } from './pack.ts'
import { type Dot, emitDot, emitStream, type Stream, type StreamStart } from './skinny.ts'

/** An epilogue over a matrix in place. */
export type FinishRows = (m: number, n: number, c: number, cRow: number, ...operands: number[]) => void

/** Kernels by what they are specialised to; the small numbers index sparse tables, which costs less than a map's key. */
export class Kernels {
  readonly element: Element
  private readonly blocks: Record<Source, Block[][]> = { rows: [], columns: [], packed: [] }
  private readonly streams: Record<StreamStart, Stream[][]> = { init: [], c: [] }
  private readonly dots: Dot[][] = []
  private readonly batches = new Map<string, Batch>()
  private copies: Packing | null = null
  private finishRows: Code<FinishRows> | null = null
  private readonly host: Host
  private readonly finish: Finish | null
  /** Kernels with an epilogue, by its expression and operands. */
  private readonly finishing = new Map<Expr, Kernels[]>()

  constructor(element: Element, host: Host, finish: Finish | null = null) {
    this.element = element
    this.host = host
    this.finish = finish
  }

  /** The kernels that store `value` instead of a product; see `finishes`. */
  storing(value: Expr, operands: number): Kernels {
    let list = this.finishing.get(value)
    if (!list) {
      list = []
      this.finishing.set(value, list)
    }
    return (list[operands] ??= new Kernels(this.element, this.host, { value, operands, host: this.host }))
  }

  /** Tiles of so many rows and columns. */
  block(source: Source, rows: number, columns: number): Block {
    const vectors = columns / this.element.lanes
    const table = (this.blocks[source][rows] ??= [])
    return (table[vectors] ??= compile<Block>((module) =>
      emitBlock(module, this.element, source, rows, vectors, this.finish),
    ))
  }

  /** Batches of matrices with so many rows, cut like this, and whole panels or, with `tail`, half a one more. */
  batch(source: 'rows' | 'columns', rows: number, cuts: readonly Cut[], tail: boolean): Batch {
    const key = `${source} ${rows} ${tail}`
    let found = this.batches.get(key)
    if (!found) {
      found = compile<Batch>((module) => emitBatch(module, this.element, source, cuts, tail))
      this.batches.set(key, found)
    }
    return found
  }

  stream(rows: number, depth: number, start: StreamStart): Stream {
    const table = (this.streams[start][rows] ??= [])
    return (table[depth] ??= compile<Stream>((module) =>
      emitStream(module, this.element, rows, depth, start, this.finish),
    ))
  }

  dot(rows: number, smallRows: number): Dot {
    const table = (this.dots[rows] ??= [])
    return (table[smallRows] ??= compile<Dot>((module) => emitDot(module, this.element, rows, smallRows, this.finish)))
  }

  /** The epilogue over rows in place: (m, n, c, cRow, and of each operand its pointer and the bytes between its rows). */
  get rows(): Code<FinishRows> {
    if (!this.finish) throw new Error('these kernels have no epilogue')
    if (!this.finishRows) {
      const module = new Module({ shared: memory.shared, maximum: memory.maximum })
      emitFinishRows(module, this.finish)
      this.finishRows = compileCode<FinishRows>(module.encode())
    }
    return this.finishRows
  }

  get packing(): Packing {
    return (this.copies ??= exportsOf<Packing>((module) => emitPacking(module, this.element)))
  }
}

/** The function `run` of the module that `emit` writes. */
function compile<Kernel>(emit: (module: Module) => void): Kernel {
  return exportsOf<{ run: Kernel }>(emit).run
}

function exportsOf<Exports>(emit: (module: Module) => void): Exports {
  const module = new Module({ shared: memory.shared, maximum: memory.maximum })
  emit(module)
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  return instance.exports as Exports
}
