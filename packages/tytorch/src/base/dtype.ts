// The twelve dtypes, what they promote to, and how a storage of each is seen from JavaScript.
// Promotion follows PyTorch: https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc

export type DTypeName =
  | 'float32'
  | 'float64'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'float16'
  | 'bfloat16'
  | 'complex64'
  | 'complex128'

/** What a kernel computes in: storage types narrower than these are widened when loaded. */
export type ComputeType = 'f32' | 'f64' | 'i32' | 'i64' | 'bool'

/** Promotion categories in rising order: a higher one always wins. */
const CATEGORY = { bool: 0, int: 1, float: 2, complex: 3 } as const

/** The category of a dtype. */
export type Kind = keyof typeof CATEGORY

/** The element type of a tensor; there is one object per type, compared by identity. */
export class DType {
  readonly name: DTypeName
  /** Bytes an element. */
  readonly itemsize: number
  readonly kind: Kind
  readonly compute: ComputeType
  /** PyTorch's name in error messages, e.g. `Float`. */
  readonly title: string
  /** Position in `dtypes`, for small lookup tables. */
  readonly index: number

  constructor(name: DTypeName, itemsize: number, kind: Kind, compute: ComputeType, title: string) {
    this.name = name
    this.itemsize = itemsize
    this.kind = kind
    this.compute = compute
    this.title = title
    this.index = dtypes.length
    dtypes.push(this)
  }

  get isFloatingPoint(): boolean {
    return this.kind === 'float'
  }

  get isComplex(): boolean {
    return this.kind === 'complex'
  }

  get isSigned(): boolean {
    return this !== uint8 && this !== bool
  }

  toString(): string {
    return `torch.${this.name}`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Every dtype, by `index`. */
export const dtypes: DType[] = []

export const float32 = new DType('float32', 4, 'float', 'f32', 'Float')
export const float64 = new DType('float64', 8, 'float', 'f64', 'Double')
export const int64 = new DType('int64', 8, 'int', 'i64', 'Long')
export const int32 = new DType('int32', 4, 'int', 'i32', 'Int')
export const int16 = new DType('int16', 2, 'int', 'i32', 'Short')
export const int8 = new DType('int8', 1, 'int', 'i32', 'Char')
export const uint8 = new DType('uint8', 1, 'int', 'i32', 'Byte')
export const bool = new DType('bool', 1, 'bool', 'bool', 'Bool')
/** Half precision: a storage type, computed in float32. */
export const float16 = new DType('float16', 2, 'float', 'f32', 'Half')
/** Brain float: a storage type, computed in float32. */
export const bfloat16 = new DType('bfloat16', 2, 'float', 'f32', 'BFloat16')

/** Pairs of float32, real part first. No kernel knows it: ops work on its two real parts (ops/complex.ts). */
export const complex64 = new DType('complex64', 8, 'complex', 'f32', 'ComplexFloat')
/** Pairs of float64, real part first. */
export const complex128 = new DType('complex128', 16, 'complex', 'f64', 'ComplexDouble')

/** The dtype of the real and the imaginary part; a real dtype is its own. */
export function toRealType(dtype: DType): DType {
  return dtype === complex64 ? float32 : dtype === complex128 ? float64 : dtype
}

/** The complex dtype whose parts hold a real dtype; complex64 for integers too. Throws TypeError for float16. */
export function toComplexType(dtype: DType): DType {
  if (dtype === float64 || dtype === complex128) return complex128
  if (dtype === float16) throw new TypeError('there is no dtype complex32, the complex dtype of torch.float16, here')
  return dtype.kind === 'float' || dtype === complex64 ? complex64 : toComplexType(defaultDtype)
}

/** The dtype called `name`. */
export function dtypeOf(name: DTypeName): DType {
  const found = dtypes.find((d) => d.name === name)
  if (!found) throw new TypeError(`there is no dtype '${name}'`)
  return found
}

const INTS = [uint8, int8, int16, int32, int64]

/** The dtype both `a` and `b` convert to without losing their kind, as `torch.promote_types`. */
export function promoteTypes(a: DType, b: DType): DType {
  if (a === b) return a
  if (a.kind === 'complex' || b.kind === 'complex') {
    return a === complex128 || b === complex128 || a === float64 || b === float64 ? complex128 : complex64
  }
  if (a.kind !== b.kind) return CATEGORY[a.kind] > CATEGORY[b.kind] ? a : b
  if (a.kind === 'float') {
    if (a === float64 || b === float64) return float64
    return float32 // float16 with bfloat16 too: neither holds the other
  }
  if (a === uint8 || b === uint8) {
    const other = a === uint8 ? b : a
    return other === int8 ? int16 : other
  }
  return INTS.indexOf(a) > INTS.indexOf(b) ? a : b
}

/** True if a value of dtype `from` may be stored as `to` by PyTorch's rules: the category must not fall. */
export function canCast(from: DType, to: DType): boolean {
  return CATEGORY[from.kind] <= CATEGORY[to.kind]
}

/** The dtype a JavaScript number, bigint or boolean has on its own: float, int or bool (weak in promotion). */
export function scalarKind(value: number | bigint | boolean): 'bool' | 'int' | 'float' {
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'bigint') return 'int'
  return Number.isInteger(value) ? 'int' : 'float'
}

let defaultDtype: DType = float32

/** The dtype of float literals and of float results of integer ops; float32 at start. */
export function getDefaultDtype(): DType {
  return defaultDtype
}

/** Sets what `getDefaultDtype` answers; only floating point types are allowed. */
export function setDefaultDtype(dtype: DType): void {
  if (!dtype.isFloatingPoint) {
    throw new TypeError(`only floating-point types are supported as the default type, but got ${dtype}`)
  }
  defaultDtype = dtype
}

/** An operand as promotion sees it: `rank` 0 marks a 0-d tensor, `weak` a JavaScript scalar. */
export interface Operand {
  readonly dtype: DType
  readonly rank: number
  readonly weak?: Kind
}

/** PyTorch's `result_type`: tensors with dimensions win over 0-d tensors, which win over scalars, within a category. */
export function resultType(operands: readonly Operand[]): DType {
  let dim: DType | null = null
  let zero: DType | null = null
  let weak: DType | null = null
  for (const o of operands) {
    if (o.weak) {
      const d = o.weak === 'int' ? int64 : o.weak === 'bool' ? bool : weakDtype(o.weak)
      weak = weak ? promoteTypes(weak, d) : d
    } else if (o.rank > 0) dim = dim ? promoteTypes(dim, o.dtype) : o.dtype
    else zero = zero ? promoteTypes(zero, o.dtype) : o.dtype
  }
  return combine(dim, combine(zero, weak)) ?? defaultDtype
}

const weakDtype = (kind: Kind): DType => (kind === 'complex' ? toComplexType(defaultDtype) : defaultDtype)

function combine(higher: DType | null, lower: DType | null): DType | null {
  if (!higher) return lower
  if (!lower) return higher
  if (lower.kind === 'complex' && higher.kind === 'float') return toComplexType(higher)
  return CATEGORY[lower.kind] > CATEGORY[higher.kind] ? promoteTypes(higher, lower) : higher
}

/** A JavaScript view type for a dtype's raw elements (float16 and bfloat16 as their bits). */
export type RawArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint16Array

const RAW = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  complex64: Float32Array,
  complex128: Float64Array,
} as const

/**
 * A typed array of `length` raw elements of `dtype` over `buffer`, starting at byte `at`; of complex ones both parts in
 * turn, so twice as long.
 */
export function rawView(dtype: DType, buffer: ArrayBufferLike, at: number, length: number): RawArray {
  return new RAW[dtype.name](buffer as ArrayBuffer, at, dtype.kind === 'complex' ? 2 * length : length)
}

const word = new DataView(new ArrayBuffer(4))

/** The number that 16 bits of IEEE half precision stand for. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The half precision bits nearest to `value`, ties to even. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const x = Math.abs(value)
  if (x >= 65520) return sign | 0x7c00
  if (x < 2 ** -14) return sign | nearestEven(x * 2 ** 24)
  const exponent = Math.floor(Math.log2(x))
  const e = 2 ** exponent > x ? exponent - 1 : 2 ** (exponent + 1) <= x ? exponent + 1 : exponent
  return sign | (((e + 15) << 10) + nearestEven((x / 2 ** e - 1) * 1024))
}

function nearestEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

/** The number that 16 bits of bfloat16 stand for. */
export function bfloatToNumber(bits: number): number {
  word.setUint32(0, bits << 16)
  return word.getFloat32(0)
}

/** The bfloat16 bits nearest to `value` (rounded to float32 first), ties to even. */
export function numberToBfloat(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0
  word.setFloat32(0, value)
  const bits = word.getUint32(0)
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

/** One raw element as the value a user sees. */
export function decode(dtype: DType, raw: number | bigint): number | bigint | boolean {
  if (dtype === bool) return raw !== 0
  if (dtype === float16) return halfToNumber(raw as number)
  if (dtype === bfloat16) return bfloatToNumber(raw as number)
  return raw
}

/** A user's value as the raw element that stores it; integers wrap, floats truncate towards zero for integer dtypes. */
export function encode(dtype: DType, value: number | bigint | boolean): number | bigint {
  if (dtype === int64) {
    if (typeof value === 'bigint') return BigInt.asIntN(64, value)
    return typeof value === 'boolean' ? BigInt(value) : BigInt(Number.isFinite(value) ? Math.trunc(value) : 0)
  }
  if (dtype === bool) return Number(Boolean(value))
  if (dtype.kind === 'int') {
    return typeof value === 'bigint' ? Number(BigInt.asIntN(32, value)) : Math.trunc(Number(value)) | 0
  }
  const x = Number(value)
  if (dtype === float16) return numberToHalf(x)
  return dtype === bfloat16 ? numberToBfloat(x) : x
}
