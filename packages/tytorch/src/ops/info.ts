// What there is to know of dtypes, constants, and torch's settings of devices and precision.
import { bool, DType, float16, float32, float64, setDefaultDtype } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { Device } from '../tensor/place.ts'

/** Infinity. */
export const inf: number = Number.POSITIVE_INFINITY
/** Not a number. */
export const nan: number = Number.NaN
/** The ratio of a circle's circumference to its diameter. */
export const pi: number = Math.PI
/** The base of natural logarithms. */
export const e: number = Math.E

/** The limits of a floating point dtype. */
export interface FloatInfo {
  readonly bits: number
  /** The distance from 1 to the next larger number. */
  readonly eps: number
  readonly max: number
  readonly min: number
  /** The smallest positive number that is not subnormal. */
  readonly tiny: number
  readonly smallestNormal: number
  /** The decimal resolution. */
  readonly resolution: number
  /** The dtype's name. */
  readonly dtype: string
}

/** The limits of a floating point dtype. Throws TypeError for others. */
export function finfo(dtype: DType = float32): FloatInfo {
  if (!dtype.isFloatingPoint) {
    throw new TypeError(`torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'`)
  }
  // Bits of the fraction, the largest exponent, decimals.
  const [fraction, exponent, digits] =
    dtype === float64
      ? [52, 1023, 15]
      : dtype === float32
        ? [23, 127, 6]
        : dtype === float16
          ? [10, 15, 3]
          : [7, 127, 2]
  const eps = 2 ** -fraction
  const max = (2 - eps) * 2 ** exponent
  const tiny = 2 ** (1 - exponent)
  const resolution = Number(`1e-${digits}`)
  return { bits: dtype.itemsize * 8, eps, max, min: -max, tiny, smallestNormal: tiny, resolution, dtype: dtype.name }
}

/** The limits of an integer dtype. */
export interface IntegerInfo {
  readonly bits: number
  /** A bigint for int64, whose limits no number holds. */
  readonly max: number | bigint
  readonly min: number | bigint
  /** The dtype's name. */
  readonly dtype: string
}

/** The limits of an integer dtype. Throws TypeError for others. */
export function iinfo(dtype: DType): IntegerInfo {
  if (dtype.kind !== 'int' && dtype !== bool)
    throw new TypeError(`torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'`)
  if (dtype === bool) throw new TypeError('torch.bool is not supported by torch.iinfo')
  const bits = dtype.itemsize * 8
  const signed = dtype.isSigned
  const max = 2n ** BigInt(signed ? bits - 1 : bits) - 1n
  const min = signed ? -max - 1n : 0n
  const fit = (v: bigint): number | bigint => (bits === 64 ? v : Number(v))
  return { bits, max: fit(max), min: fit(min), dtype: dtype.name }
}

/** Where new tensors live: the CPU. */
export const getDefaultDevice = (): Device => new Device()

/** Takes 'cpu', the only device. Throws RuntimeError for another. */
export function setDefaultDevice(device: Device | string | null): void {
  if (typeof device === 'string') new Device(device)
}

/** How precise float32 products may be: always the highest. */
export const getFloat32MatmulPrecision = (): 'highest' => 'highest'

/** Takes 'highest', 'high' and 'medium'; lower precision is a permission, of which nothing here makes use. */
export function setFloat32MatmulPrecision(precision: 'highest' | 'high' | 'medium'): void {
  if (['highest', 'high', 'medium'].includes(precision)) return
  console.warn(
    `UserWarning: ${precision} is not one of 'highest', 'high', or 'medium'; the current setFloat32MatmulPrecision call has no effect.`,
  )
}

let deterministic = false
let warnsOnly = false

/** Notes what is asked for, which changes nothing: every op here gives the same numbers each time. */
export function useDeterministicAlgorithms(mode: boolean, options: { readonly warnOnly?: boolean } = {}): void {
  deterministic = mode
  warnsOnly = options.warnOnly ?? false
}

/** What `useDeterministicAlgorithms` was told last; false at first. */
export const areDeterministicAlgorithmsEnabled = (): boolean => deterministic

/** The `warnOnly` that `useDeterministicAlgorithms` was given last. */
export const isDeterministicAlgorithmsWarnOnlyEnabled = (): boolean => warnsOnly

/** Subnormal numbers are kept always; answers whether the setting is supported, so false for `mode` true. */
export const setFlushDenormal = (mode: boolean): boolean => !mode

/** Sets the default dtype by a constructor (`torch.DoubleTensor`) or by its name. */
export function setDefaultTensorType(type: string | { readonly dtype: DType }): void {
  const names: Record<string, DType> = {
    'torch.FloatTensor': float32,
    'torch.DoubleTensor': float64,
    'torch.HalfTensor': float16,
  }
  const dtype = typeof type === 'string' ? names[type] : type.dtype
  if (!(dtype instanceof DType)) throw new RuntimeError(`invalid type: '${String(type)}'`)
  setDefaultDtype(dtype)
}
