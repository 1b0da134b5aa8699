// Writing by position in plain TypeScript: what the interpreter does, and the WebAssembly device in types it has no code for.
import { type DType, type DTypeName, decode, dtypes, encode } from '../base/dtype.ts'
import { memory } from './memory.ts'
import type { Put, PutArgs } from './routines.ts'

export type Value = number | bigint
export type Elements = { [index: number]: Value }

/** The dtype of a name. */
export const dtypeOf = (name: DTypeName): DType => dtypes.find((d) => d.name === name)!

/** The whole memory as elements of a dtype. */
export function viewOf(name: DTypeName): Elements {
  const { f32, f64, i32, i64, i16, i8, u8, u16 } = memory.views
  const own: Partial<Record<DTypeName, Elements>> = { float32: f32, float64: f64, int64: i64, int32: i32, int16: i16 }
  return own[name] ?? (name === 'int8' ? i8 : dtypeOf(name).itemsize === 1 ? u8 : u16)
}

const COMBINE: Record<Put, (a: number, b: number) => number> = {
  set: (_, b) => b,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: Math.max,
  min: Math.min,
}
const COMBINE_LONG: Record<Put, (a: bigint, b: bigint) => bigint> = {
  set: (_, b) => b,
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  max: (a, b) => (a > b ? a : b),
  min: (a, b) => (a < b ? a : b),
}

/** As `Routines.put`. */
export function put(name: DTypeName, how: Put, args: PutArgs): void {
  const { sizes, toStrides, indexStrides, fromStrides, wide, unit, size } = args
  const dtype = dtypeOf(name)
  const data = viewOf(name)
  const { i32, i64 } = memory.views
  const combined = (a: Value, b: Value): Value => {
    if (how === 'set') return b
    if (name === 'int64') return COMBINE_LONG[how](a as bigint, b as bigint)
    if (name === 'int32' && how === 'mul') return Math.imul(Number(a), Number(b))
    return encode(dtype, COMBINE[how](Number(decode(dtype, a)), Number(decode(dtype, b))))
  }
  const walk = (dim: number, to: number, index: number, from: number): void => {
    if (dim === sizes.length) {
      const p = wide ? Number(i64[index]) : i32[index]
      const at = to + (p < 0 ? p + size : p) * unit
      data[at] = combined(data[at], data[from])
      return
    }
    for (let i = 0; i < sizes[dim]; i++) {
      walk(dim + 1, to + i * toStrides[dim], index + i * indexStrides[dim], from + i * fromStrides[dim])
    }
  }
  walk(0, args.to / dtype.itemsize, args.index / (wide ? 8 : 4), args.from / dtype.itemsize)
}
