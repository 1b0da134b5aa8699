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
/** As float32. */
export const float = as(float32)
/** As float64. */
export const double = as(float64)
/** As float16. */
export const half = as(float16)
export const bfloat16 = as(bfloat16Type)
/** As int64. */
export const long = as(int64)
/** As int32. */
export const int = as(int32)
/** As int16. */
export const short = as(int16)
/** As int8. */
export const char = as(int8)
/** As uint8. */
export const byte = as(uint8)
export const bool = as(boolType)
/** Itself: tensors live on the CPU. */
export const cpu = (x: Tensor): Tensor => x
