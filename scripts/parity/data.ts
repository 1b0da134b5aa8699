// Reading parity data: JSON whose integers may exceed 2^53, and safetensors files, plain or compressed (.gz, .br).
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

/** JSON as the data has it. A float that Python wrote with a whole value (`2.0`) is a `WholeFloat`. */
export type Json = null | boolean | number | bigint | string | WholeFloat | Json[] | { [key: string]: Json }

/** A Python float without a fraction, which JSON would make an integer of. */
export class WholeFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** A tensor at rest: its dtype by PyTorch's name, its sizes, and its elements in row-major order, little-endian. */
export interface Stored {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

const DTYPES: Readonly<Record<string, string>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
}

/** The file `name` of a directory, uncompressed; null if it is not there in any form. */
function readAny(directory: string, name: string): Uint8Array | null {
  const path = join(directory, name)
  if (existsSync(path)) return readFileSync(path)
  if (existsSync(`${path}.gz`)) return gunzipSync(readFileSync(`${path}.gz`))
  return existsSync(`${path}.br`) ? brotliDecompressSync(readFileSync(`${path}.br`)) : null
}

const NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g

/** JSON text with integers beyond 2^53 as bigint and whole floats marked. */
export function parseJson(text: string): Json {
  const marked = text.replace(NUMBER, (token) => {
    if (token[0] === '"') return token
    const value = Number(token)
    if (!Number.isInteger(value)) return token
    if (/[.eE]/.test(token)) return `{"$whole":${token}}`
    return Number.isSafeInteger(value) ? token : `{"$big":"${token}"}`
  })
  return JSON.parse(marked, (_key, value) => {
    if (typeof value !== 'object' || value === null) return value
    if ('$whole' in value) return new WholeFloat(value.$whole)
    return '$big' in value ? BigInt(value.$big) : value
  }) as Json
}

/** The tensors of a safetensors file by key. Throws for dtypes that it does not know. */
export function parseSafetensors(file: Uint8Array): Map<string, Stored> {
  const length = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >
  const found = new Map<string, Stored>()
  for (const [key, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (key === '__metadata__') continue
    const name = DTYPES[dtype]
    if (!name) throw new TypeError(`tensor '${key}' has the dtype ${dtype}, which is none of ${Object.keys(DTYPES)}`)
    const bytes = file.subarray(8 + length + data_offsets[0], 8 + length + data_offsets[1])
    found.set(key, { dtype: name, shape, bytes })
  }
  return found
}

/** A JSON file of a directory with the tensors it refers to; null if it is not there. */
export function readPair(directory: string, name: string): { json: Json; tensors: Map<string, Stored> } | null {
  const text = readAny(directory, `${name}.json`)
  if (!text) return null
  const tensors = readAny(directory, `${name}.safetensors`)
  return {
    json: parseJson(new TextDecoder().decode(text)),
    tensors: tensors ? parseSafetensors(tensors) : new Map(),
  }
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The elements of a stored tensor as numbers (int64 as bigint, bool as 0 and 1). */
export function elementsOf(x: Stored): ArrayLike<number> | ArrayLike<bigint> {
  // A copy: typed arrays want their offset aligned, which a safetensors file does not promise.
  const { buffer } = new Uint8Array(x.bytes)
  switch (x.dtype) {
    case 'float64':
      return new Float64Array(buffer)
    case 'float32':
      return new Float32Array(buffer)
    case 'int64':
      return new BigInt64Array(buffer)
    case 'int32':
      return new Int32Array(buffer)
    case 'int16':
      return new Int16Array(buffer)
    case 'int8':
      return new Int8Array(buffer)
    case 'float16':
      return Float64Array.from(new Uint16Array(buffer), half)
    case 'bfloat16':
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer)
    default:
      return new Uint8Array(buffer)
  }
}
