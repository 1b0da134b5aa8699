// Questions about tensors whose answers are no tensors, as methods and as functions of torch.
import { type DType, resultType as promoted } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import type { Num } from '../tensor/define.ts'
import { operandOf } from '../tensor/elementwise.ts'
import { Tensor } from '../tensor/tensor.ts'
import { walkOrder } from './draw.ts'

/** The number of elements; `numel` by another name. */
export const nelement = (x: Tensor): number => x.count

/** The number of dimensions; `dim` by another name. */
export const ndimension = (x: Tensor): number => x.ndim

/** The byte address of the first element in the library's memory; it holds until the tensor is freed. */
export const dataPtr = (x: Tensor): number => x.pointer

/** -1: tensors live on the CPU. */
export const getDevice = (_x: Tensor): number => -1

/** True if the dtype holds negative numbers. */
export const isSigned = (x: Tensor): boolean => x.dtype.isSigned

/** True if the dtype is a float. */
export const isFloatingPoint = (x: Tensor): boolean => x.dtype.isFloatingPoint

/** True if the one element is not zero. Throws RuntimeError unless there is exactly one element. */
export function isNonzero(x: Tensor): boolean {
  if (x.count !== 1) {
    throw new RuntimeError(`Boolean value of Tensor with ${x.count ? 'more than one value' : 'no values'} is ambiguous`)
  }
  return Boolean(x.item<number>())
}

/** True if both have the same sizes; dtypes don't count. */
export const isSameSize = (x: Tensor, other: Tensor): boolean => sameSizes(x.sizes, other.sizes)

/** True if both are the same view of the same storage. */
export const isSetTo = (x: Tensor, tensor: Tensor): boolean =>
  x.storage === tensor.storage &&
  x.offset === tensor.offset &&
  sameSizes(x.sizes, tensor.sizes) &&
  sameSizes(x.strides, tensor.strides)

/** The dimensions in the order in which they lie in memory, the outermost first. */
export const dimOrder = (x: Tensor): number[] => walkOrder(x.sizes, [x.strides]).reverse()

/** True if `x` was made inside `inferenceMode`, or is a view of such a tensor. */
export const isInference = (x: Tensor): boolean => x.storage.inference

/** True for tensors. */
export const isTensor = (value: unknown): value is Tensor => value instanceof Tensor

/** The dtype of an arithmetic result of two operands, tensors or numbers. */
export function resultType(a: Tensor | Num, b: Tensor | Num): DType {
  return promoted([a, b].map(operandOf))
}

/** PyTorch's name of a tensor's type (`torch.FloatTensor`), or the name of the value's class. */
export function typename(value: unknown): string {
  if (value instanceof Tensor) return `torch.${value.dtype.title}Tensor`
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return value.constructor?.name ?? 'Object'
}
