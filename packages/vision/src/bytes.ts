// Bilinear resizing of bytes in fixed point, with a filter as wide as an output pixel is in the input (antialias),
// along rows and then along columns: to the bit what Pillow makes of a picture, and PyTorch of a uint8 tensor.
import { type Filter, triangle } from './filter.ts'
import { loadPasses } from './passes.ts'

/** How weights become whole numbers: as in Pillow's resize (22 bits), or in PyTorch's interpolate (16-bit numbers). */
export type Rounding = 'pillow' | 'torch'

/** How bytes are laid out: [count, height, width, step]. */
export interface Raster {
  readonly count: number
  readonly height: number
  readonly width: number
  /** Bytes of a pixel. */
  readonly step: 1 | 3
}

interface Table {
  readonly first: Int32Array
  readonly weights: Int32Array
  readonly taps: number
  readonly bits: number
}

const kept = new Map<string, Table>()

/** The filter in whole numbers; the offsets are in bytes. */
function tableOf(from: number, to: number, stride: number, rounding: Rounding): Table {
  const key = `${from} ${to} ${stride} ${rounding}`
  let table = kept.get(key)
  if (table) return table
  const filter = triangle(from, to)
  const bits = rounding === 'pillow' ? 22 : bitsOf(filter)
  table = {
    first: filter.first.map((i) => i * stride),
    weights: Int32Array.from(filter.weights, (weight) => Math.trunc(0.5 + weight * 2 ** bits)),
    taps: filter.taps,
    bits,
  }
  if (kept.size >= 64) kept.clear()
  kept.set(key, table)
  return table
}

/** As many bits as keep the largest weight in 16 with its sign. */
function bitsOf({ weights }: Filter): number {
  const most = weights.reduce((a, b) => Math.max(a, b), 0)
  let bits = 0
  while (bits < 22 && Math.trunc(0.5 + most * 2 ** (bits + 1)) < 2 ** 15) bits++
  return bits
}

/** Hands out places in the module's memory, which grows at need. */
class Desk {
  private end = 0
  private readonly memory = loadPasses().memory

  /** Room for `bytes` and for what vectors read and write past them. */
  take(bytes: number): number {
    const at = this.end
    this.end += (bytes + 63) & ~15
    const missing = this.end - this.memory.buffer.byteLength
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536))
    return at
  }

  put(values: Uint8Array | Int32Array | Float32Array): number {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    // What lies in this memory already stays, and what comes after it is free.
    if (bytes.buffer === this.memory.buffer) {
      this.end = Math.max(this.end, (bytes.byteOffset + bytes.length + 63) & ~15)
      return bytes.byteOffset
    }
    const at = this.take(bytes.length)
    new Uint8Array(this.memory.buffer, at).set(bytes)
    return at
  }

  view(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length)
  }

  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, length)
  }
}

/** The pixels with `height` and `width` changed; what is answered holds until the next call in this file. */
export function resampleBytes(
  source: Uint8Array,
  { count, height, width, step }: Raster,
  h: number,
  w: number,
  rounding: Rounding,
): Uint8Array {
  if (count * h * w === 0 || (h === height && w === width)) return source
  const { across, down } = loadPasses()
  const desk = new Desk()
  let at = desk.put(source)
  if (w !== width) {
    const { first, weights, taps, bits } = tableOf(width, w, step, rounding)
    const [f, k] = [desk.put(first), desk.put(weights)]
    const target = desk.take(count * height * w * step)
    across(step, taps)(at, target, count * height, width * step, w, f, k, taps, bits)
    at = target
  }
  if (h !== height) {
    const pitch = w * step
    const { first, weights, taps, bits } = tableOf(height, h, pitch, rounding)
    const [f, k] = [desk.put(first), desk.put(weights)]
    const target = desk.take(count * h * pitch)
    for (let i = 0; i < count; i++) down(at + i * height * pitch, target + i * h * pitch, pitch, h, f, k, taps, bits)
    at = target
  }
  return desk.view(at, count * h * w * step)
}

/** Pixels of three bytes as three planes; what is answered holds until the next call in this file. */
export function splitColours(source: Uint8Array): Uint8Array {
  const n = source.length / 3
  if (n === 0) return source
  const desk = new Desk()
  const from = desk.put(source)
  // Whole vectors are written, each over the end of the last, so that the planes still follow one another.
  const at = desk.take(3 * n)
  for (let c = 0; c < 3; c++) loadPasses().plane[c](from, at + c * n, n)
  return desk.view(at, 3 * n)
}

/** Writes planes of bytes to `target`, each through a table of its own: 256 floats each, one after another. */
export function lookUp(planes: Uint8Array, tables: Float32Array, target: Float32Array): void {
  const count = tables.length / 256
  const n = planes.length / count
  if (n === 0) return
  const desk = new Desk()
  const from = desk.put(planes)
  const table = desk.put(tables)
  const at = desk.take(4 * planes.length)
  for (let c = 0; c < count; c++) {
    loadPasses().lookup(from + c * n, at + 4 * c * n, from + (c + 1) * n, table + 1024 * c)
  }
  target.set(desk.floats(at, planes.length))
}
