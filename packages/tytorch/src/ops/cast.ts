// Conversions by name, methods only (as functions these names are dtypes): x.float(), x.long(), x.cpu(), ...
import {
  bfloat16 as bfloat16Type,
  bool as boolType,
  type DType,
  float16,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  uint8,
} from '../base/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { to } from './copy.ts'

const as =
  (dtype: DType) =>
  (x: Tensor): Tensor =>
    to(x, dtype)
/** As float32; the same tensor if it is that already. Gradients come back in the dtype before. */
export const float = as(float32)
/** As float64. */
export const double = as(float64)
/** As float16, rounded to the nearest even: a dtype to store, whose ops compute in float32. */
export const half = as(float16)
/** As bfloat16, float32 rounded to its upper half: a dtype to store, whose ops compute in float32. */
export const bfloat16 = as(bfloat16Type)
/** As int64; fractions are cut off. */
export const long = as(int64)
/** As int32; fractions are cut off. */
export const int = as(int32)
/** As int16; fractions are cut off, and what doesn't fit wraps. */
export const short = as(int16)
/** As int8; fractions are cut off, and what doesn't fit wraps. */
export const char = as(int8)
/** As uint8; fractions are cut off, and what doesn't fit wraps. */
export const byte = as(uint8)
/** As bool: true where x is not zero (NaN included). */
export const bool = as(boolType)
/** Itself: tensors live on the CPU. */
export const cpu = (x: Tensor): Tensor => x
