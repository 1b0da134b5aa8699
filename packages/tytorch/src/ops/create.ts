// Creating tensors: from JavaScript values, filled, counted, and like others.
import { Complex } from '../base/complex.ts'
import {
  bool,
  type DType,
  DType as DTypeClass,
  encode,
  float32,
  float64,
  getDefaultDtype,
  int8,
  int16,
  int32,
  int64,
  type RawArray,
  toComplexType,
  toRealType,
  uint8,
} from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { constant, k, position, scalar } from '../ir/expr.ts'
import { type Kernel, mapKernel } from '../ir/kernel.ts'
import { partOf, partsOf } from '../tensor/complex.ts'
import { type Args, checkSizes, type Num, op, sizesOf } from '../tensor/define.ts'
import { copyValues, snapshot } from '../tensor/elementwise.ts'
import { onHost } from '../tensor/host.ts'
import { isGradEnabled, isInferenceModeEnabled } from '../tensor/mode.ts'
import { changeInPlace, leafOf, nextSequence, record, requiresGrad } from '../tensor/node.ts'
import { Prepared, runMap, runRows } from '../tensor/run.ts'
import { type NestedArray, Tensor, empty as uninitialised } from '../tensor/tensor.ts'
import { tracer } from '../tensor/tracer.ts'

/** What creation functions take by name. */
export interface CreateOptions {
  readonly dtype?: DType | null
  readonly requiresGrad?: boolean
  /** Only 'cpu' exists. */
  readonly device?: unknown
  readonly pinMemory?: boolean
}

/** Sizes one by one or as one array, then options. */
export type SizeArgs =
  | [...sizes: number[]]
  | [sizes: Sizes]
  | [...sizes: number[], options: CreateOptions]
  | [sizes: Sizes, options: CreateOptions]
  | [options: CreateOptions & { readonly size: Sizes }]

/** Values `tensor` accepts. */
export type TensorData = NestedArray | readonly TensorData[] | Tensor | RawArray

/** Splits trailing options from sizes. */
export function splitSizes(name: string, given: readonly unknown[]): { sizes: Sizes; options: CreateOptions } {
  const last = given[given.length - 1]
  const named = typeof last === 'object' && last !== null && !Array.isArray(last)
  const options = (named ? last : {}) as CreateOptions & { size?: Sizes }
  const listed = named ? given.slice(0, -1) : given
  if (named) checkOptions(name, last)
  return {
    sizes: checkSizes(name, sizesOf(name, options.size && listed.length === 0 ? options.size : listed)),
    options,
  }
}

const KEYS: ReadonlySet<string> = new Set(
  'size dtype requiresGrad device pinMemory layout memoryFormat generator names out low high mean std'.split(' '),
)

/** Throws TypeError for options that are none, RuntimeError for a device that is not there. */
export function checkOptions(name: string, options: CreateOptions): void {
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new TypeError(`${name}() got an unexpected keyword argument '${key}'`)
  }
  const { dtype, device } = options
  if (dtype !== undefined && dtype !== null && !(dtype instanceof DTypeClass))
    throw new TypeError(`${name}(): argument 'dtype' must be torch.dtype, not ${typeof dtype}`)
  if (
    device !== undefined &&
    device !== null &&
    !/^cpu(:0)?$/.test(String((device as { type?: string }).type ?? device))
  )
    throw new RuntimeError(`${name}(): there is no device '${String(device)}' here; tensors live on 'cpu'`)
}

/** Applies `requiresGrad` to a fresh leaf. */
export function finish(x: Tensor, options: CreateOptions): Tensor {
  if (options.requiresGrad) requireGrad(x, true)
  return x
}

/** Marks a leaf as requiring a gradient or not. Throws RuntimeError for integers and for non-leaves. */
export function requireGrad(x: Tensor, value: boolean): Tensor {
  if (value && !x.dtype.isFloatingPoint && !x.dtype.isComplex) {
    throw new RuntimeError('only Tensors of floating point and complex dtype can require gradients')
  }
  if (x.node !== null) {
    if (value) return x
    throw new RuntimeError(
      "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().",
    )
  }
  if (value && x.storage.inference && !isInferenceModeEnabled())
    throw new RuntimeError('Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.')
  leafOf(x).requiresGrad = value
  return x
}

const fills: (Prepared | undefined)[] = []

/** Sets every element, without recording. */
export function fillValues(x: Tensor, value: Num | Complex): Tensor {
  if (x.dtype.isComplex) {
    const { re, im } = value instanceof Complex ? value : { re: Number(value), im: 0 }
    fillValues(partOf(x, 0), re)
    fillValues(partOf(x, 1), im)
    return x
  }
  if (value instanceof Complex)
    throw new RuntimeError(`value cannot be converted to type ${x.dtype.name} without overflow: ${value}`)
  const { compute } = x.dtype
  const type = compute === 'bool' ? 'i32' : compute
  const value0 = k.cast(scalar(0, type), compute)
  fills[x.dtype.index] ??= new Prepared(
    mapKernel('fill', [{ dtype: x.dtype, mode: 'write', per: 'element' }], [type], [{ arg: 0, value: value0 }]),
  )
  const launch =
    compute === 'i64' ? (encode(int64, value) as bigint) : compute === 'bool' ? Number(Boolean(value)) : Number(value)
  runMap(fills[x.dtype.index] as Prepared, x.sizes, [x], [launch])
  return x
}

/** A tensor of `sizes` filled with `value`. */
export function filled(sizes: Sizes, value: Num | Complex, dtype: DType): Tensor {
  return fillValues(uninitialised(sizes, dtype), value)
}

function dtypeIn(options: CreateOptions): DType {
  return options.dtype ?? getDefaultDtype()
}

/** Zeros of the sizes given, one by one or as an array. */
export function zeros(...given: SizeArgs): Tensor {
  const { sizes, options } = splitSizes('zeros', given)
  return finish(filled(sizes, 0, dtypeIn(options)), options)
}

/** Ones of the sizes given, one by one or as an array. */
export function ones(...given: SizeArgs): Tensor {
  const { sizes, options } = splitSizes('ones', given)
  return finish(filled(sizes, 1, dtypeIn(options)), options)
}

/** Uninitialised memory of the sizes given, one by one or as an array; float32 unless `dtype` says otherwise. */
export function empty(...given: SizeArgs): Tensor {
  const { sizes, options } = splitSizes('empty', given)
  return finish(uninitialised(sizes, dtypeIn(options)), options)
}

/** `size` filled with `value`; the dtype follows the value (bool, int64 or the default float) if not given. */
export function full(size: Sizes, value: Num | Complex, options: CreateOptions = {}): Tensor {
  const dtype = options.dtype ?? inferredDtype(value)
  return finish(filled(checkSizes('full', sizesOf('full', [size])), value, dtype), options)
}

function inferredDtype(value: Num | Complex): DType {
  if (value instanceof Complex) return toComplexType(getDefaultDtype())
  if (typeof value === 'boolean') return bool
  if (typeof value === 'bigint') return int64
  return Number.isInteger(value) ? int64 : getDefaultDtype()
}

const like = (x: Tensor, value: Num | Complex, options: CreateOptions): Tensor =>
  finish(filled(x.sizes, value, options.dtype ?? x.dtype), options)
/** Zeros like `x` in sizes and dtype, unless `dtype` says otherwise. */
export const zerosLike = (x: Tensor, options: CreateOptions = {}): Tensor => like(x, 0, options)
/** Ones like `x` in sizes and dtype, unless `dtype` says otherwise. */
export const onesLike = (x: Tensor, options: CreateOptions = {}): Tensor => like(x, 1, options)
/** `value` everywhere, like `x` in sizes and dtype. */
export const fullLike = (x: Tensor, value: Num | Complex, options: CreateOptions = {}): Tensor =>
  like(x, value, options)
/** Uninitialised memory like `x` in sizes and dtype. */
export const emptyLike = (x: Tensor, options: CreateOptions = {}): Tensor =>
  finish(uninitialised(x.sizes, options.dtype ?? x.dtype), options)

/** The shape of nested arrays. Throws ValueError if they are ragged. */
function shapeOfData(data: unknown): number[] {
  if (data instanceof Tensor) return [...data.sizes]
  if (ArrayBuffer.isView(data)) return [(data as RawArray).length]
  if (!Array.isArray(data)) return []
  if (data.length === 0) return [0]
  const inner = shapeOfData(data[0])
  for (let i = 1; i < data.length; i++) {
    const found = shapeOfData(data[i])
    if (found.length !== inner.length || found.some((n, j) => n !== inner[j])) {
      throw new ValueError(
        `expected sequence of length ${inner[0] ?? 1} at dim 1 (got ${found[0] ?? 1}); nested arrays must have equal lengths, element 0 has shape [${inner}] and element ${i} has shape [${found}]`,
      )
    }
  }
  return [data.length, ...inner]
}

function flattenInto(out: (Num | Complex)[], data: unknown): void {
  if (Array.isArray(data)) for (const d of data) flattenInto(out, d)
  else if (data instanceof Tensor) flattenInto(out, data.tolist())
  else if (ArrayBuffer.isView(data)) for (const v of data as unknown as Iterable<Num>) out.push(v)
  else if (data instanceof Complex) out.push(data)
  else if (typeof data === 'number' || typeof data === 'bigint' || typeof data === 'boolean') out.push(data)
  else
    throw new TypeError(
      `tensor(): can't make a tensor of ${data === null ? 'null' : typeof data}; numbers, booleans, bigints, arrays and tensors are accepted`,
    )
}

const ARRAY_DTYPES: readonly [new (n: number) => RawArray, DType][] = [
  [Float32Array, float32],
  [Float64Array, float64],
  [BigInt64Array, int64],
  [Int32Array, int32],
  [Int16Array, int16],
  [Int8Array, int8],
  [Uint8Array, uint8],
]

function dtypeOfData(data: unknown, values: readonly (Num | Complex)[]): DType {
  const array = ARRAY_DTYPES.find(([type]) => data instanceof type)
  if (array) return array[1]
  if (data instanceof Tensor) return data.dtype
  const nested = Array.isArray(data) ? data.flat(8).find((d) => d instanceof Tensor) : undefined
  if (nested instanceof Tensor) return nested.dtype
  if (values.length === 0) return getDefaultDtype()
  if (values.some((v) => v instanceof Complex)) return toComplexType(getDefaultDtype())
  if (values.every((v) => typeof v === 'boolean')) return bool
  return values.every((v) => typeof v !== 'number' || Number.isInteger(v)) ? int64 : getDefaultDtype()
}

/**
 * A tensor of a number, nested arrays, a typed array or another tensor, always a copy. Integers give int64, any
 * fraction gives the default float; since JavaScript has no `2.`, give `dtype` where whole numbers are meant as floats.
 */
export function tensor(data: TensorData, options: CreateOptions = {}): Tensor {
  checkOptions('tensor', options)
  const sizes = shapeOfData(data)
  const same = ARRAY_DTYPES.find(([type]) => data instanceof type)?.[1]
  const raw = same && (options.dtype ?? same) === same ? (data as RawArray) : null
  if (raw) {
    const out = uninitialised(sizes, same as DType)
    // A compiled function repeats what the data were, whatever becomes of the array.
    const values = tracer === null ? raw : raw.slice()
    onHost('tensor', [out], 'w', (target) => (target as Float32Array).set(values as Float32Array))
    return finish(out, options)
  }
  if (data instanceof Tensor) {
    const out = uninitialised(data.sizes, options.dtype ?? data.dtype)
    copyValues(data, out)
    return finish(out, options)
  }
  const values: (Num | Complex)[] = []
  flattenInto(values, data)
  const dtype = options.dtype ?? dtypeOfData(data, values)
  const out = uninitialised(sizes, dtype)
  if (dtype.isComplex) {
    onHost('tensor', [partsOf(out)], 'w', (raw) => {
      for (let i = 0; i < values.length; i++) {
        const v = values[i]
        raw[2 * i] = v instanceof Complex ? v.re : Number(v)
        raw[2 * i + 1] = v instanceof Complex ? v.im : 0
      }
    })
    return finish(out, options)
  }
  const complex = values.find((v) => v instanceof Complex)
  if (complex !== undefined) throw new TypeError(`tensor(): can't store the complex number ${complex} as ${dtype}`)
  onHost('tensor', [out], 'w', (raw) => {
    const target = raw as unknown as (number | bigint)[]
    for (let i = 0; i < values.length; i++) target[i] = encode(dtype, values[i] as Num)
  })
  return finish(out, options)
}

/** `tensor(data)`, but a tensor that already has the dtype is returned as it is. */
export function asTensor(data: TensorData, options: CreateOptions = {}): Tensor {
  return data instanceof Tensor && (!options.dtype || options.dtype === data.dtype) ? data : tensor(data, options)
}

const counting = new Map<DType, Kernel>()

/** start + step * i, computed in double precision (exactly in int64 for integers). */
function arithmetic(n: number, start: number, step: number, dtype: DType): Tensor {
  const out = uninitialised([n], dtype)
  if (n === 0) return out
  let kernel = counting.get(dtype)
  if (!kernel) {
    const value = k.add(scalar(0, 'f64'), k.mul(k.cast(position(), 'f64'), scalar(1, 'f64')))
    kernel = mapKernel(
      'arange',
      [{ dtype, mode: 'write', per: 'element' }],
      ['f64', 'f64'],
      [{ arg: 0, value: k.cast(value, dtype.compute) }],
    )
    counting.set(dtype, kernel)
  }
  runRows(kernel, [n], 0, [out], [start, step])
  return out
}

interface ArangeOptions extends CreateOptions {
  readonly start?: number
  readonly end?: number
  readonly step?: number
}

/** 0, 1, ... below `end`; or from `start` by `step`. int64 if all are whole numbers, else the default float. */
export const arange: (...args: Args<[start: number, end?: number, step?: number], ArangeOptions>) => Tensor = op({
  name: 'arange',
  signature: 'start, end, step, *, dtype, requires_grad, device',
  samples: () => [[5], [1, 10, 3], [1, 0.1, -0.25]],
  forward: (a?: Num, b?: Num, c?: Num, dtype?: DType, requiresGrad?: boolean) => {
    const start = Number(b === undefined ? 0 : (a ?? 0))
    const end = Number((b === undefined ? a : b) ?? 0)
    const step = Number(c ?? 1)
    if (step === 0) throw new RuntimeError('step must be nonzero')
    if (!Number.isFinite(start) || !Number.isFinite(end))
      throw new RuntimeError(`unsupported range: ${start} -> ${end}`)
    if ((end - start) * step < 0) throw new RuntimeError('upper bound and lower bound inconsistent with step sign')
    const whole = [start, end, step].every(Number.isInteger)
    const to = dtype ?? (whole ? int64 : getDefaultDtype())
    if (to.isComplex)
      return finish(arange(start, end, step, { dtype: toRealType(to) }).to(to), { requiresGrad: requiresGrad ?? false })
    // Counted in the dtype, but, int64 excepted, as many as the exact bounds give.
    const [first, by] = to.isFloatingPoint ? [start, step] : [Math.trunc(start), Math.trunc(step)]
    const last = to === int64 ? Math.trunc(end) : end
    if (to === int64 && by === 0) throw new RuntimeError('step must be nonzero')
    const n = Math.ceil(to === int64 ? (last - first) / by : (end - start) / step)
    const out = arithmetic(Math.max(n, 0), first, by, to)
    return finish(out, { requiresGrad: requiresGrad ?? false })
  },
})

const spacing = new Map<DType, Kernel>()

/** `steps` evenly spaced values from `start` to `end`, both included. */
export function linspace(start: number, end: number, steps: number, options: CreateOptions = {}): Tensor {
  if (!(steps >= 0)) throw new RuntimeError('number of steps must be non-negative')
  const dtype = dtypeIn(options)
  const whole = !dtype.isFloatingPoint && !dtype.isComplex
  const [from, to] = whole ? [Math.trunc(start), Math.trunc(end)] : [start, end]
  const out = uninitialised([steps], dtype)
  if (steps === 0) return finish(out, options)
  const type = dtype === float64 || !dtype.isFloatingPoint ? 'f64' : 'f32'
  let kernel = spacing.get(dtype)
  if (!kernel) {
    // As PyTorch: counted from the start in the first half and from the end in the second, so that both are exact.
    const i = position()
    const [first, last, step] = [scalar(0, type), scalar(1, type), scalar(2, type)]
    const count = scalar(3, 'i32')
    const up = k.add(first, k.mul(step, k.cast(i, type)))
    const down = k.sub(last, k.mul(step, k.cast(k.sub(k.sub(count, i), constant(1, 'i32')), type)))
    const value = k.select(k.lt(i, k.shr(count, 1)), up, down)
    kernel = mapKernel(
      'linspace',
      [{ dtype, mode: 'write', per: 'element' }],
      [type, type, type, 'i32'],
      [{ arg: 0, value: k.cast(value, dtype.compute) }],
    )
    spacing.set(dtype, kernel)
  }
  const round = type === 'f32' ? Math.fround : (v: number) => v
  const step = steps === 1 ? 0 : round((round(to) - round(from)) / (steps - 1))
  // One step is the start, which the second half would count as the end.
  runRows(kernel, [steps], 0, [out], [from, steps === 1 ? from : to, step, steps])
  return finish(out, options)
}

/** The identity matrix of n rows and m (default n) columns. */
export function eye(n: number, ...rest: [m?: number, options?: CreateOptions] | [options: CreateOptions]): Tensor {
  const m = typeof rest[0] === 'number' ? rest[0] : n
  const options = (rest.find((r) => typeof r === 'object') as CreateOptions | undefined) ?? {}
  const out = filled(checkSizes('eye', [n, m]), 0, dtypeIn(options))
  fillValues(out.diagonal(), 1)
  return finish(out, options)
}

const newFilled =
  (value: number) =>
  (x: Tensor, ...given: SizeArgs): Tensor => {
    const { sizes, options } = splitSizes('new', given)
    return finish(filled(sizes, value, options.dtype ?? x.dtype), options)
  }
/** Zeros of the sizes given, in `x`'s dtype unless another is given. */
export const newZeros = newFilled(0)
/** Ones of the sizes given, in `x`'s dtype unless another is given. */
export const newOnes = newFilled(1)
/** `value` everywhere, of the sizes given, in `x`'s dtype unless another is given. */
export const newFull = (x: Tensor, size: Sizes, value: Num | Complex, options: CreateOptions = {}): Tensor =>
  finish(filled(size, value, options.dtype ?? x.dtype), options)
/** `tensor(data)` of `x`'s dtype. */
export const newTensor = (x: Tensor, data: TensorData, options: CreateOptions = {}): Tensor =>
  tensor(data, { dtype: x.dtype, ...options })

/** Sets every element to `value`, a number or a 0-d tensor; answers `x`. */
export function fill_(x: Tensor, value: Num | Complex | Tensor): Tensor {
  if (value instanceof Tensor) {
    if (value.ndim > 0)
      throw new RuntimeError(
        `fill_ only supports 0-dimension value tensor but got tensor with ${value.ndim} dimensions.`,
      )
    return x.copy_(value.expand(x.sizes))
  }
  const recorded = isGradEnabled() && requiresGrad(x)
  const before = recorded ? snapshot(x) : x
  changeInPlace(x)
  fillValues(x, value)
  return recorded ? record(x, 'FillBackward2', [before], [], (g) => [g.newZeros(g.sizes)]) : x
}

/** Sets every element to 0; answers `x`. */
export function zero_(x: Tensor): Tensor {
  const since = nextSequence()
  fill_(x, 0)
  if (x.base === null && x.node !== null && x.node.sequence >= since) x.node.showAs('ZeroBackward0', null)
  return x
}

/** The number of elements of `x`. */
export const numel = (x: Tensor): number => numelOf(x.sizes)
