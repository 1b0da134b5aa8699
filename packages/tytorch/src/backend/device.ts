// The contract of a device: memory in which tensors live, and kernels and routines that run on it.
import type { Kernel } from '../ir/kernel.ts'

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
}

export interface Device {
  readonly name: string
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
  /** Matrix product of one dtype: float32, float64, int32 or int64. */
  matmul(dtype: 'float32' | 'float64' | 'int32' | 'int64', args: MatmulArgs): void
}
