// What follows a matrix product where its routine does not do it on the way: one pass over the product in place.
import { type DType, dtypes } from '../base/dtype.ts'
import type { Expr } from '../ir/expr.ts'
import { type Arg, type Kernel, mapKernel } from '../ir/kernel.ts'
import type { Device } from './device.ts'

/** A block of a product in place; steps in bytes. */
export interface Finished {
  readonly m: number
  readonly n: number
  readonly c: number
  readonly cRow: number
  readonly cColumn: number
  readonly operands: readonly { readonly at: number; readonly row: number; readonly column: number }[]
}

const kernels = new WeakMap<Expr, (Kernel | undefined)[]>()

function kernelOf(value: Expr, operands: number, dtype: DType): Kernel {
  let list = kernels.get(value)
  if (!list) {
    list = []
    kernels.set(value, list)
  }
  const args = Array.from(
    { length: operands + 1 },
    (_, i): Arg => ({ dtype, mode: i === 0 ? 'update' : 'read', per: 'element' }),
  )
  return (list[operands] ??= mapKernel('epilogue', args, [], [{ arg: 0, value }]))
}

/** Replaces the elements of a block by `value`, which reads them as `load(0)` and operand i as `load(i + 1)`. */
export function finish(launch: Device['launch'], dtype: string, value: Expr, block: Finished): void {
  const kernel = kernelOf(value, block.operands.length, dtypes.find((d) => d.name === dtype)!)
  const pointers = [block.c, ...block.operands.map((o) => o.at)]
  const strides = [[0, block.cRow, block.cColumn] as const, ...block.operands.map((o) => [0, o.row, o.column] as const)]
  launch(kernel, [1, block.m, block.n], pointers, strides, [])
}
