// The form in which a traced function is kept: launches of kernels and routines over buffers, in the order in which they ran.
// Fusion turns one trace into another, the plan gives buffers their places in memory, and the replay runs it.
import type { Extent, MatmulArgs, Scalar } from '../backend/device.ts'
import type { Expr } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'

/**
 * Where a buffer's memory comes from. `captured`: it existed before the trace and is used in place (parameters, optimizer state).
 * `input`: an argument's storage, another one at each call. `temporary`: made and used up inside; the plan places it.
 * `output`: made inside and handed to the caller, or saved for a later backward: a fresh storage at each call.
 * `state`: made inside and left reachable from the outside between calls (a gradient, new optimizer state): one place for good.
 */
export type BufferKind = 'captured' | 'input' | 'temporary' | 'output' | 'state'

/** A block of memory that steps read and write. */
export interface Buffer {
  readonly id: number
  readonly bytes: number
  kind: BufferKind
  /** The address during the trace; captured buffers stay there. */
  readonly pointer: number
}

/** A place in a buffer, in bytes from its start. */
export interface Operand {
  readonly buffer: Buffer
  readonly offset: number
}

/** A scalar fixed by the trace, or one that is asked for anew at each call (a learning rate, a bias correction). */
export type HostScalar = Scalar | Live

/** The `index`-th number that a host function answers at each call; functions run once a call, in the order of the trace. */
export interface Live {
  readonly source: LiveSource
  readonly index: number
}

export interface LiveSource {
  readonly numbers: () => readonly number[]
}

/** A kernel over rows, as `Device.launch`: strides in bytes, one triple an operand. */
export interface LaunchStep {
  readonly kind: 'launch'
  readonly kernel: Kernel
  readonly extent: Extent
  readonly operands: readonly Operand[]
  readonly strides: readonly (readonly [number, number, number])[]
  readonly scalars: readonly HostScalar[]
}

/** A matrix product as `Device.matmul`, whose pointers are operands; `epilogue` is applied to what it stores. */
export interface MatmulStep {
  readonly kind: 'matmul'
  readonly dtype: 'float32' | 'float64' | 'int32' | 'int64'
  readonly args: Omit<MatmulArgs, 'a' | 'b' | 'c' | 'bias'>
  readonly a: Operand
  readonly b: Operand
  readonly c: Operand
  readonly bias: Operand | null
  readonly epilogue?: Epilogue
}

/**
 * An element-wise function of the product's elements, before they are stored: `value` reads the product as `load(0)` and
 * `operands[i]` as `load(i + 1)`, each laid out as C is, with its own row stride in elements (0: one row for all).
 */
export interface Epilogue {
  readonly value: Expr
  readonly operands: readonly (Operand & { readonly row: number })[]
}

/** A routine in plain TypeScript or a device routine without a form of its own here: sorts, random draws, convolutions. */
export interface HostStep {
  readonly kind: 'host'
  readonly name: string
  readonly run: (pointers: readonly number[]) => void
  readonly operands: readonly Operand[]
  /** What `run` does with each operand. */
  readonly modes: readonly ('read' | 'write' | 'update')[]
}

export type Step = LaunchStep | MatmulStep | HostStep

export interface Trace {
  readonly buffers: readonly Buffer[]
  readonly steps: readonly Step[]
}
