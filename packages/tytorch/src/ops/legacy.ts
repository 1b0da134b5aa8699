// Constructors from before `torch.tensor`, by dtype, and other ways to make tensors: of given strides, over buffers.
import {
  bfloat16,
  bool,
  type DType,
  float16,
  float32,
  float64,
  getDefaultDtype,
  int8,
  int16,
  int32,
  int64,
  uint8,
} from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { numelOf, type Sizes, wrapDims } from '../base/shape.ts'
import { onHost } from '../tensor/host.ts'
import { alias, Tensor, empty as uninitialised } from '../tensor/tensor.ts'
import { arange, type CreateOptions, finish, type TensorData, tensor } from './create.ts'

/** `LongTensor([1, 2])` holds the values given, `LongTensor(2, 3)` is uninitialised memory of these sizes. */
export interface Constructor {
  (...given: number[] | [data: TensorData]): Tensor
  readonly dtype: DType
}

function constructorOf(dtype: DType): Constructor {
  const make = (...given: unknown[]): Tensor =>
    given.length === 1 && typeof given[0] !== 'number'
      ? tensor(given[0] as TensorData, { dtype })
      : uninitialised(given.length === 0 ? [0] : (given as number[]), dtype)
  return Object.assign(make, { dtype })
}

/** float32; see `Constructor`. */
export const FloatTensor: Constructor = constructorOf(float32)
/** float64; see `Constructor`. */
export const DoubleTensor: Constructor = constructorOf(float64)
/** float16; see `Constructor`. */
export const HalfTensor: Constructor = constructorOf(float16)
/** bfloat16; see `Constructor`. */
export const BFloat16Tensor: Constructor = constructorOf(bfloat16)
/** uint8; see `Constructor`. */
export const ByteTensor: Constructor = constructorOf(uint8)
/** int8; see `Constructor`. */
export const CharTensor: Constructor = constructorOf(int8)
/** int16; see `Constructor`. */
export const ShortTensor: Constructor = constructorOf(int16)
/** int32; see `Constructor`. */
export const IntTensor: Constructor = constructorOf(int32)
/** int64; see `Constructor`. */
export const LongTensor: Constructor = constructorOf(int64)
/** bool; see `Constructor`. */
export const BoolTensor: Constructor = constructorOf(bool)

/** Uninitialised memory of these sizes and strides, covering exactly what they reach. */
export function emptyStrided(size: Sizes, stride: Sizes, options: CreateOptions = {}): Tensor {
  if (size.length !== stride.length) {
    throw new RuntimeError(
      `dimensionality of sizes (${size.length}) must match dimensionality of strides (${stride.length})`,
    )
  }
  const reach = numelOf(size) === 0 ? 0 : size.reduce((n, s, i) => n + (s - 1) * stride[i], 1)
  const memory = uninitialised([reach], options.dtype ?? getDefaultDtype())
  return finish(alias(memory, [...size], [...stride], 0), options)
}

/** Uninitialised memory of these sizes whose dimensions lie in memory in the order of `physicalLayout`. */
export function emptyPermuted(size: Sizes, physicalLayout: Sizes, options: CreateOptions = {}): Tensor {
  if (size.length !== physicalLayout.length) {
    throw new RuntimeError(
      `Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = ${size.length} is not equal to len(physical_layout) = ${physicalLayout.length}`,
    )
  }
  const order = wrapDims(physicalLayout, size.length)
  const stride = new Array<number>(size.length)
  let step = 1
  for (const d of [...order].reverse()) {
    stride[d] = step
    step *= Math.max(size[d], 1)
  }
  return emptyStrided(size, stride, options)
}

/** The values of a typed array as a tensor of its dtype; a copy, for tensors have memory of their own. */
export function fromNumpy(array: TensorData & ArrayBufferView): Tensor {
  if (!ArrayBuffer.isView(array)) throw new TypeError(`expected a typed array (got ${typeof array})`)
  return tensor(array)
}

interface BufferOptions {
  readonly dtype: DType
  /** The number of elements; all that the buffer holds by default. */
  readonly count?: number
  /** Where to start, in bytes. */
  readonly offset?: number
  readonly requiresGrad?: boolean
}

/** The bytes of a buffer read as elements of `dtype`; a copy. Throws ValueError for a buffer too short. */
export function frombuffer(buffer: ArrayBufferLike | ArrayBufferView, options: BufferOptions): Tensor {
  const { dtype, count = -1, offset = 0 } = options
  const bytes = ArrayBuffer.isView(buffer)
    ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new Uint8Array(buffer)
  const length = bytes.byteLength
  if (length === 0 || count === 0)
    throw new ValueError(`both buffer length (${length}) and count (${count}) must not be 0`)
  if (offset < 0 || offset >= length) {
    throw new ValueError(
      `offset (${offset} bytes) must be non-negative and no greater than buffer length (${length} bytes) minus 1`,
    )
  }
  const rest = length - offset
  if (count < 0 && rest % dtype.itemsize !== 0) {
    throw new ValueError(
      `buffer length (${rest} bytes) after offset (${offset} bytes) must be a multiple of element size (${dtype.itemsize})`,
    )
  }
  const n = count < 0 ? rest / dtype.itemsize : count
  if (n * dtype.itemsize > rest) {
    throw new ValueError(
      `requested buffer length (${count} * ${dtype.itemsize} bytes) after offset (${offset} bytes) must not be greater than actual buffer length (${length} bytes)`,
    )
  }
  const out = uninitialised([n], dtype)
  const source = bytes.slice(offset, offset + n * dtype.itemsize)
  onHost('frombuffer', [out], 'w', (raw) => {
    new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength).set(source)
  })
  return finish(out, options)
}

interface AsArrayOptions extends CreateOptions {
  /** True copies always, also a tensor that would do as it is. */
  readonly copy?: boolean | null
}

/** As `asTensor`, with a copy on demand. */
export function asarray(data: TensorData, options: AsArrayOptions = {}): Tensor {
  const { copy, ...rest } = options
  const keep = data instanceof Tensor && !copy
  const made = keep ? (rest.dtype ? data.to(rest.dtype) : data) : tensor(data, rest)
  return keep ? finish(made, rest) : made
}

/** `start` to `end`, which is included, by `step`. PyTorch advises `arange`. */
export function range(start: number, end: number, step = 1, options: CreateOptions = {}): Tensor {
  if (step === 0) throw new RuntimeError('step must be nonzero')
  if ((end - start) * step < 0) throw new RuntimeError('upper bound and lower bound inconsistent with step sign')
  const n = Math.floor((end - start) / step) + 1
  const dtype = options.dtype ?? getDefaultDtype()
  return finish(arange(n, { dtype: float64 }).mul(step).add(start).to(dtype), options)
}
