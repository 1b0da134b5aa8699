// The contract of a device: memory in which tensors live, and kernels and routines that run on it.
import type { DrawArray, Generator } from '../base/random.ts'
import type { Expr } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'
import type { Dense } from './dense.ts'
import type { Routines } from './routines.ts'
import type { Turns } from './turns.ts'

/** A number passed to a kernel; i64 scalars are bigints, bool scalars are 0 or 1. */
export type Scalar = number | bigint

/**
 * An element-wise kernel bound to flat operands: `(n, ...pointers, ...scalars)`, n elements, pointers in bytes and in
 * the order of the kernel's arguments.
 */
export type FlatKernel = (n: number, ...operands: Scalar[]) => void

/** Rows and elements that a kernel walks: [outer rows, inner rows, elements of a row]. */
export type Extent = readonly [number, number, number]

export interface MatmulArgs {
  /** C[m, n] = A[m, k] B[k, n] (+ C if accumulate) (+ bias[n]). */
  readonly m: number
  readonly n: number
  readonly k: number
  /** Byte pointers; strides in elements. One of each pair of A's and of B's strides is 1, or the routine copies. */
  readonly a: number
  readonly aRow: number
  readonly aCol: number
  readonly b: number
  readonly bRow: number
  readonly bCol: number
  readonly c: number
  readonly cRow: number
  /** Byte pointer of n contiguous values added to every row, or 0. */
  readonly bias: number
  readonly accumulate: boolean
  /** So many products, each `a`, `b` and `c` elements after the one before; the bias is the same for all. */
  readonly batch?: { readonly count: number; readonly a: number; readonly b: number; readonly c: number }
}

/**
 * What a product stores instead of its elements: `value` reads the product as `load(0)` and `operands[i]` as
 * `load(i + 1)`, of the product's dtype, contiguous along n; `row` elements between rows (0 repeats one).
 */
export interface MatmulEpilogue {
  readonly value: Expr
  readonly operands: readonly { readonly pointer: number; readonly row: number }[]
}

/** Rows of bytes to be picked: row i of `to` becomes row index[i] of `from`. The indices are in range. */
export interface RowsArgs {
  /** Byte pointers; the index holds int32s, or int64s if `wide`. */
  readonly to: number
  readonly from: number
  readonly index: number
  readonly wide: boolean
  readonly count: number
  /** Bytes of a row, and between the starts of two rows of `from`. */
  readonly bytes: number
  readonly step: number
  /** Added to negative indices. */
  readonly rows: number
}

/** Depth, height and width; 1 (padding: 0) where a convolution has fewer dimensions. */
export type Triple = readonly [number, number, number]

/** What of a convolution is computed from the other two: the output, or the gradient of the input or the weight. */
export type ConvolutionPart = 'output' | 'input' | 'weight'

/**
 * y[n, o] = bias[o] + sum over c of x[n, c] * w[o, c] (cross-correlation), where pixel p and tap k meet input element
 * p * stride - padding + k * dilation, zero outside. All are contiguous: x [batch, inputChannels, ...input], w
 * [outputChannels, inputChannels / groups, ...kernel], y [batch, outputChannels, ...output]. No size is 0.
 */
export interface ConvolutionArgs {
  readonly batch: number
  readonly groups: number
  readonly inputChannels: number
  readonly outputChannels: number
  readonly input: Triple
  readonly output: Triple
  readonly kernel: Triple
  readonly stride: Triple
  /** Before the first element; what the last pixels reach beyond the end is zero too. */
  readonly padding: Triple
  readonly dilation: Triple
  /** Byte pointers; the one of the part is written. */
  readonly x: number
  readonly w: number
  readonly y: number
  /** Byte pointer of what is added to each channel of the output, or of the input, or 0. */
  readonly bias: number
}

/**
 * The fills of base/random.ts for many elements, bit for bit. Each answers false, with nothing drawn, where the plain one
 * must do it: too few elements, arguments that it refuses, an array of another kind.
 */
export interface Draws {
  uniform(g: Generator, out: DrawArray, from: number, to: number): boolean
  normal(g: Generator, out: DrawArray, mean: number, std: number, narrow: boolean): boolean
  /** Of rate `rate`. */
  exponential(g: Generator, out: DrawArray, rate: number): boolean
  /** Ones with probability `p`. */
  bernoulli(g: Generator, out: DrawArray, p: number): boolean
  /** Ones with probabilities of `out`'s own type, all of them valid and in the tensors' memory. */
  chances(g: Generator, out: DrawArray, p: DrawArray): boolean
  /** 32 random bits modulo `size`, plus `offset`. */
  modulo(g: Generator, out: DrawArray, size: number, offset: number | bigint): boolean
  /** 0 to n - 1 in random order. */
  permutation(g: Generator, out: DrawArray): boolean
}

/** Transforms along the middle of [outer, before, inner] to [outer, after, inner]; no size is 0. */
export interface FourierArgs {
  /** Byte pointers, and bytes of a real number. */
  readonly from: number
  readonly to: number
  readonly size: 4 | 8
  readonly outer: number
  readonly inner: number
  /** The transform's length; a real side has n elements, the other one n / 2 + 1 complex ones. */
  readonly n: number
  readonly before: number
  readonly after: number
  readonly inverse: boolean
  readonly scale: number
  readonly real: 'source' | 'result' | null
}

/** What a routine does with an operand. */
export type Access = 'read' | 'write' | 'update'

export interface Device {
  readonly name: string
  /** Random draws; null: only the plain ones. */
  readonly draws: Draws | null
  /** Fourier transforms; null: only the plain ones. Columns (inner > 1) are of lengths without large prime factors. */
  readonly fourier: ((args: FourierArgs) => void) | null
  /**
   * A function running an element-wise kernel (one map pass, no row stores, no `index`) on flat operands.
   * `access` has one letter an argument: `c` contiguous, `s` the same element throughout (stride 0).
   */
  flat(kernel: Kernel, access: string): FlatKernel
  /** Runs any kernel. `strides[i]` are bytes for argument i along the three extents (its last is unused for per-row arguments). */
  launch(
    kernel: Kernel,
    extent: Extent,
    pointers: readonly number[],
    strides: readonly (readonly [number, number, number])[],
    scalars: readonly Scalar[],
  ): void
  /** Runs a routine in TypeScript on the memory at `pointers`; `access` says what it does with each. */
  host(
    name: string,
    pointers: readonly number[],
    access: readonly Access[],
    run: (pointers: readonly number[]) => void,
  ): void
  /** Matrix product of one dtype: float32, float64, int32 or int64. */
  matmul(dtype: 'float32' | 'float64' | 'int32' | 'int64', args: MatmulArgs, epilogue?: MatmulEpilogue): void
  /** One part of a convolution, in one dtype. */
  convolution(dtype: 'float32' | 'float64' | 'int32' | 'int64', part: ConvolutionPart, args: ConvolutionArgs): void
  /** Copies rows of bytes that an index picks. */
  pickRows(args: RowsArgs): void
  /** Writes `count` blocks of `bytes` bytes one behind the other; their byte pointers lie at `pointers`, 32 bits each. */
  joinBlocks(to: number, pointers: number, count: number, bytes: number): void
  /** What factorisations of dense matrices run on, for work inside `host`. */
  dense(): Dense
  /** Ordering, scans, writing by position, masks and counting, for work inside `host`. */
  readonly routines: Routines
  /** The passes and rotations of matrix decompositions, for work inside `host`. */
  turns(): Turns
}
