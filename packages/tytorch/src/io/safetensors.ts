// The safetensors format: 8 bytes of length, a JSON header with each tensor's dtype, shape and place, then the elements.
// https://github.com/huggingface/safetensors#format
import { type DType, type DTypeName, dtypeOf } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { copyElements, tensorOf } from './elements.ts'

const CODES: Readonly<Record<DTypeName, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
  complex64: 'C64',
  complex128: 'C128',
}
const DTYPES = new Map(Object.entries(CODES).map(([name, code]) => [code, dtypeOf(name as DTypeName)]))

/** The key of a header's entry that is no tensor. */
const METADATA = '__metadata__'
/** What the format's own reader takes at the most for a header, in bytes. */
const MAX_HEADER = 100_000_000

/** What a safetensors file holds: tensors by key in the header's order, and strings by key. */
export interface Contents {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: ReadonlyMap<string, string>
}

/** The bytes of a safetensors file. Throws ValueError for the key `__metadata__`, which the format keeps to itself. */
export function encodeSafetensors({ tensors, metadata }: Contents): Uint8Array {
  if (tensors.has(METADATA)) throw new ValueError(`safetensors can't hold a tensor called '${METADATA}'`)
  // Wide elements first keeps every tensor aligned; the header keeps the order of the keys.
  const places = new Map<string, [number, number]>()
  let end = 0
  for (const [key, t] of [...tensors].sort(([, a], [, b]) => b.dtype.itemsize - a.dtype.itemsize)) {
    places.set(key, [end, (end += t.count * t.dtype.itemsize)])
  }
  const entries = [...tensors].map(([key, t]) => {
    const entry = { dtype: CODES[t.dtype.name], shape: t.sizes, data_offsets: places.get(key) }
    return `${JSON.stringify(key)}:${JSON.stringify(entry)}`
  })
  if (metadata.size > 0) entries.unshift(`"${METADATA}":${JSON.stringify(Object.fromEntries(metadata))}`)
  const json = new TextEncoder().encode(`{${entries.join()}}`)
  const header = Math.ceil(json.length / 8) * 8
  if (header > MAX_HEADER) throw new ValueError(`a safetensors header of ${header} bytes is over ${MAX_HEADER}`)
  const out = new Uint8Array(8 + header + end)
  new DataView(out.buffer).setBigUint64(0, BigInt(header), true)
  out.fill(32, 8, 8 + header)
  out.set(json, 8)
  for (const [key, t] of tensors) copyElements(t, out, 8 + header + (places.get(key) as [number, number])[0])
  return out
}

/** One tensor as the header describes it: `begin` and `end` in bytes from the end of the header. */
interface Entry {
  readonly key: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/** What is in a safetensors file. Throws RuntimeError, which names `file` and the tensor, if it is damaged. */
export function decodeSafetensors(bytes: Uint8Array, file: string): Contents {
  const { header, data } = split(bytes, file)
  const entries: Entry[] = []
  let metadata = new Map<string, string>()
  for (const [key, value] of Object.entries(header)) {
    if (key !== METADATA) entries.push(entryOf(key, value, file))
    else {
      if (!isRecord(value) || Object.values(value).some((text) => typeof text !== 'string')) {
        throw new RuntimeError(`${file}: the header's ${METADATA} must hold strings`)
      }
      metadata = new Map(Object.entries(value as Record<string, string>))
    }
  }
  checkPlaces(entries, data.length, file)
  const tensors = new Map(
    entries.map(({ key, dtype, shape, begin, end }) => [key, tensorOf(dtype, shape, data.subarray(begin, end))]),
  )
  return { tensors, metadata }
}

function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === 'object' && x !== null && !Array.isArray(x)
}

function split(bytes: Uint8Array, file: string): { header: Record<string, unknown>; data: Uint8Array } {
  if (bytes.length < 8) {
    throw new RuntimeError(`${file}: ${bytes.length} bytes are too few for a safetensors file; is it truncated?`)
  }
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true))
  if (length > MAX_HEADER) throw new RuntimeError(`${file}: this is no safetensors file (a header of ${length} bytes)`)
  if (8 + length > bytes.length) {
    throw new RuntimeError(
      `${file}: the header of ${length} bytes is truncated: there are ${bytes.length - 8} bytes after its length`,
    )
  }
  let header: unknown
  try {
    // Decoders refuse shared memory, so a copy.
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bytes.subarray(8, 8 + length))))
  } catch (cause) {
    throw new RuntimeError(`${file}: this is no safetensors file, or its header is damaged: ${String(cause)}`, {
      cause,
    })
  }
  if (!isRecord(header)) throw new RuntimeError(`${file}: the header of a safetensors file must be a JSON object`)
  return { header, data: bytes.subarray(8 + length) }
}

const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0

function entryOf(key: string, value: unknown, file: string): Entry {
  const fail = (what: string): never => {
    throw new RuntimeError(`${file}: tensor '${key}' ${what}`)
  }
  if (!isRecord(value)) return fail('has no description in the header')
  const { dtype: code, shape, data_offsets: offsets } = value
  const dtype = DTYPES.get(code as string)
  if (!dtype) return fail(`has the dtype ${JSON.stringify(code)}, which is none of ${[...DTYPES.keys()].join(', ')}`)
  if (!Array.isArray(shape) || !shape.every(isCount)) return fail(`has the shape ${JSON.stringify(shape)}`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return fail(`has the data_offsets ${JSON.stringify(offsets)}`)
  }
  const [begin, end] = offsets as [number, number]
  const wanted = shape.reduce((product, n) => product * n, dtype.itemsize)
  if (end - begin !== wanted) {
    return fail(`has ${end - begin} bytes, but ${code} of shape [${shape.join(', ')}] takes ${wanted}`)
  }
  return { key, dtype, shape, begin, end }
}

/** The format wants the tensors to fill the data: one after another, none over another, nothing between or after. */
function checkPlaces(entries: readonly Entry[], length: number, file: string): void {
  let at = 0
  let before = ''
  for (const { key, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < at) throw new RuntimeError(`${file}: tensor '${key}' overlaps tensor '${before}'`)
    if (begin > at) {
      throw new RuntimeError(`${file}: tensor '${key}' leaves a hole: it starts at byte ${begin} and not at ${at}`)
    }
    if (end > length) {
      throw new RuntimeError(
        `${file}: tensor '${key}' ends at byte ${end} of the data, which has ${length}; is the file truncated?`,
      )
    }
    at = end
    before = key
  }
  if (at !== length) throw new RuntimeError(`${file}: ${length - at} bytes after the last tensor belong to none`)
}
