// Reads the recorded answers of PyTorch's modules and optimizers (fixtures/nn).
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type DTypeName, dtypeOf } from '../src/base/dtype.ts'
import * as torch from '../src/index.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

export interface RecordedTensor {
  readonly dtype: DTypeName
  readonly shape: readonly number[]
  readonly bits?: string
  readonly sha256?: string
}
export type RecordedValue =
  | { readonly $tensor: RecordedTensor; readonly grad: boolean }
  | number
  | string
  | boolean
  | null
  | RecordedValue[]
type Values = Record<string, RecordedValue>

export interface ModuleCase {
  readonly module: string
  readonly training: boolean
  readonly ctor_args: RecordedValue[]
  readonly ctor_kwargs: Values
  readonly seed: number
  readonly state_dict: Values
  readonly args: RecordedValue[]
  readonly kwargs: Values
  readonly output: RecordedValue
  readonly grad_outputs: { readonly output: number; readonly value: RecordedValue }[]
  readonly input_grads: RecordedValue[]
  readonly param_grads: Values
}

export interface OptimizerCase {
  readonly optimizer: string
  readonly desc: string
  readonly kwargs: Values
  readonly params: RecordedValue[]
  readonly targets: RecordedValue[]
  readonly steps: { readonly step: number; readonly params: RecordedValue[] }[]
}

export interface DrawCase {
  readonly seed: number
  readonly call: string
  readonly shape?: number[]
  readonly p?: number
  readonly draws?: RecordedTensor[]
  readonly state_dict?: Record<string, RecordedTensor>
}

interface Recorded {
  readonly modules: ModuleCase[]
  readonly optimizers: OptimizerCase[]
  readonly draws: DrawCase[]
  readonly texts: Record<string, string>
  readonly schedules: Record<string, number[][]>
  readonly metrics: number[]
}

const file = new URL('fixtures/nn/modules.json.gz', import.meta.url)
export const recorded = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Recorded

/** The value that a record stands for; tensors require a gradient where theirs did. */
export function valueIn(v: RecordedValue): unknown {
  if (Array.isArray(v)) return v.map(valueIn)
  if (typeof v !== 'object' || v === null) return v
  const { dtype, shape, bits } = v.$tensor
  const out = torch.empty(shape, { dtype: dtypeOf(dtype) })
  const raw = out.raw()
  new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength).set(Buffer.from(bits as string, 'base64'))
  return v.grad ? out.requiresGrad_() : out
}

/** `valueIn` where a tensor is expected. */
export const tensorOf = (v: RecordedValue): Tensor => valueIn(v) as Tensor

/** Keyword arguments in our spelling. */
export function optionsOf(values: Values): Record<string, unknown> {
  const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase())
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [camel(key), valueIn(value)]))
}

/** The hash of a tensor's elements, as records keep it for draws. */
export function hashOf(x: Tensor): string {
  const raw = x.detach().contiguous().raw()
  return createHash('sha256')
    .update(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength))
    .digest('hex')
}

/** The largest distance beyond rtol * |expected| over atol: at most 1 if all elements are close. */
export function excess(actual: Tensor, expected: Tensor, rtol = 1.3e-6, atol = 1e-5): number {
  if (actual.dtype !== expected.dtype || String(actual.shape) !== String(expected.shape)) {
    throw new Error(`${actual.dtype} ${actual.shape} instead of ${expected.dtype} ${expected.shape}`)
  }
  const a = actual.detach().reshape(-1).tolist<number[]>()
  const b = expected.detach().reshape(-1).tolist<number[]>()
  return a.reduce((worst, v, i) => {
    if (Object.is(v, b[i]) || v === b[i]) return worst
    const over = Math.abs(v - b[i]) / (atol + rtol * Math.abs(b[i]))
    return over <= worst ? worst : over // NaN counts as the worst
  }, 0)
}
