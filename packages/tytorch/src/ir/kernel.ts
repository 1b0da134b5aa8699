// A kernel: one walk over rows of elements, in passes. A map pass stores a value for every element; a reduce pass
// folds a row into accumulators that later passes and the row's stores may use. Element-wise ops are one map pass,
// a sum is one reduce pass, softmax is reduce (max), reduce (sum of exp), map.
import type { ComputeType, DType } from '../base/dtype.ts'
import { NotImplementedError } from '../base/errors.ts'
import type { Expr } from './expr.ts'

/**
 * A buffer the kernel reads or writes: one value per element of the row, or one per row. Or a `table`, which is only read,
 * by `gather`, so many elements after the place to which its strides lead. What a kernel stores to must not be one.
 */
export interface Arg {
  readonly dtype: DType
  readonly mode: 'read' | 'write' | 'update'
  readonly per: 'element' | 'row' | 'table'
  /**
   * A promise of every launch: it lies so many bytes (0 or more) after argument `arg`, with the same strides. Both are only
   * read, and `arg` has no such promise itself.
   */
  readonly after?: { readonly arg: number; readonly bytes: number }
}

export interface Store {
  readonly arg: number
  /** Of the argument's compute type; narrowed to its dtype when stored (integers wrap). */
  readonly value: Expr
}

export interface MapPass {
  readonly kind: 'map'
  readonly stores: readonly Store[]
}

/**
 * Accumulators start at `init` (constants), take in each element by `step` (which reads `acc(i)` and loads), and are
 * joined by `merge` (which reads `acc(i)` and `other(i)`). A row may be folded in any number of interleaved parts, so
 * `merge` must not depend on their order, and `init` must be neutral for it.
 */
export interface ReducePass {
  readonly kind: 'reduce'
  readonly init: readonly Expr[]
  readonly step: readonly Expr[]
  readonly merge: readonly Expr[]
  /**
   * A long row is folded in one run, not in blocks whose results are merged: what makes sums exact makes products of
   * values near 1 worse, whose rounding is all in one direction as long as they stay near 1.
   */
  readonly unbroken?: boolean
}

export interface Kernel {
  /** For messages and golden files; the meaning is in the rest. */
  readonly name: string
  readonly args: readonly Arg[]
  /** Types of the numbers given at launch. */
  readonly scalars: readonly ComputeType[]
  readonly passes: readonly (MapPass | ReducePass)[]
  /** One value a row, stored after the passes, into `per: 'row'` arguments. */
  readonly rowStores: readonly Store[]
}

/** An element-wise kernel: arguments in order, the stores go to the last ones. */
export function mapKernel(
  name: string,
  args: readonly Arg[],
  scalars: readonly ComputeType[],
  stores: readonly Store[],
): Kernel {
  return { name, args, scalars, passes: [{ kind: 'map', stores }], rowStores: [] }
}

/** Throws NotImplementedError, as PyTorch does, if an argument is complex: kernels are real. */
export function refuseComplex(kernel: Kernel): void {
  const found = kernel.args.find((arg) => arg.dtype.kind === 'complex')
  if (found) throw new NotImplementedError(`"${kernel.name}_cpu" not implemented for '${found.dtype.title}'`)
}
