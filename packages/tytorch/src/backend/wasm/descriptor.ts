// The launch descriptor: where a launch writes extents, pointers, strides and scalars, and how kernels read them.
import type { Kernel } from '../../ir/kernel.ts'
import { type Func, f32, f64, I32, i32, i64 } from './assembler.ts'
import type { Scalars } from './frame.ts'

/** Byte offset of argument `i`: a pointer, and strides along outer rows, rows and elements. Extents come before. */
export const argumentOffset = (i: number): number => 16 + 16 * i

/** Byte offset of scalar `i`. */
export const scalarOffset = (kernel: Kernel, i: number): number => argumentOffset(kernel.args.length) + 8 * i

const scalarLoad = { f32: f32.load, f64: f64.load, i32: i32.load, i64: i64.load, bool: i32.load } as const

/** Scalars of the descriptor that parameter 0 points to. */
export function scalarsFrom(kernel: Kernel, f: Func): Scalars {
  return {
    types: kernel.scalars,
    push: (i) => f.get(0).mem(scalarLoad[kernel.scalars[i]], scalarOffset(kernel, i)),
  }
}

/** Reads the descriptor into locals: extents [outer rows, rows, elements], and each argument's pointer and strides. */
export function descriptorLocals(
  kernel: Kernel,
  f: Func,
): {
  extent: readonly [number, number, number]
  args: readonly { pointer: number; strides: readonly [number, number, number] }[]
} {
  const word = (offset: number): number => {
    const local = f.local(I32)
    f.get(0).mem(i32.load, offset).set(local)
    return local
  }
  return {
    extent: [word(0), word(4), word(8)],
    args: kernel.args.map((_, i) => {
      const at = argumentOffset(i)
      return { pointer: word(at), strides: [word(at + 4), word(at + 8), word(at + 12)] }
    }),
  }
}
