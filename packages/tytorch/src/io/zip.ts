// Zip archives in memory, for PyTorch's checkpoints and NumPy's .npz: stored or deflated entries are read, stored ones
// written. A hundred lines here keep the core free of dependencies.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
import { NotImplementedError, RuntimeError } from '../base/errors.ts'

const END = 0x06054b50
const ENTRY = 0x02014b50
const LOCAL = 0x04034b50
/** Storages begin at such multiples, as PyTorch's do, so that they can be mapped. */
const ALIGNMENT = 64

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let c = byte
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c
})

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (let i = 0; i < bytes.length; i++) c = table[(c ^ bytes[i]) & 0xff] ^ (c >>> 8)
  return (c ^ 0xffffffff) >>> 0
}

interface Zlib {
  inflateRawSync(bytes: Uint8Array): Uint8Array
}

function inflate(bytes: Uint8Array, file: string): Uint8Array {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): Zlib | undefined } }
  const zlib = process?.getBuiltinModule?.('node:zlib')
  if (!zlib) throw new NotImplementedError(`${file}: this host can't read compressed entries; save it uncompressed`)
  return zlib.inflateRawSync(bytes)
}

/** The entries of an archive by name, in its order. Throws RuntimeError, which names `file`, if it is damaged. */
export function readZip(bytes: Uint8Array, file: string): Map<string, Uint8Array> {
  const damaged = (what: string): RuntimeError =>
    new RuntimeError(
      `${file}: ${what}; the file is damaged or truncated (PytorchStreamReader failed reading zip archive)`,
    )
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let end = bytes.length - 22
  const first = Math.max(0, end - 0xffff)
  while (end >= first && view.getUint32(end, true) !== END) end--
  if (end < first) throw damaged('failed finding central directory')
  const count = view.getUint16(end + 10, true)
  let at = view.getUint32(end + 16, true)
  if (count === 0xffff || at === 0xffffffff) throw new NotImplementedError(`${file}: zip64 archives can't be read`)
  const found = new Map<string, Uint8Array>()
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== ENTRY) throw damaged('the central directory is broken')
    const method = view.getUint16(at + 10, true)
    const crc = view.getUint32(at + 16, true)
    const packed = view.getUint32(at + 20, true)
    const length = view.getUint32(at + 24, true)
    const nameLength = view.getUint16(at + 28, true)
    const local = view.getUint32(at + 42, true)
    if (packed === 0xffffffff || length === 0xffffffff || local === 0xffffffff) {
      throw new NotImplementedError(`${file}: zip64 archives can't be read`)
    }
    const name = new TextDecoder().decode(new Uint8Array(bytes.subarray(at + 46, at + 46 + nameLength)))
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
    if (local + 30 > bytes.length || view.getUint32(local, true) !== LOCAL) throw damaged(`'${name}' has no header`)
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
    if (start + packed > bytes.length) throw damaged(`'${name}' ends too early`)
    const raw = bytes.subarray(start, start + packed)
    if (method !== 0 && method !== 8)
      throw new NotImplementedError(`${file}: '${name}' is compressed by method ${method}`)
    const data = method === 0 ? raw : inflate(raw, file)
    if (data.length !== length || crc32(data) !== crc) throw damaged(`'${name}' has another checksum`)
    found.set(name, data)
  }
  return found
}

/** An archive of stored entries. */
export function writeZip(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const encoder = new TextEncoder()
  const parts: { name: Uint8Array; data: Uint8Array; crc: number; at: number; extra: number }[] = []
  let size = 0
  let directory = 0
  for (const [key, data] of entries) {
    const name = encoder.encode(key)
    const bare = size + 30 + name.length + 4
    const extra = 4 + ((ALIGNMENT - (bare % ALIGNMENT)) % ALIGNMENT)
    parts.push({ name, data, crc: crc32(data), at: size, extra })
    size += 30 + name.length + extra + data.length
    directory += 46 + name.length
  }
  if (size + directory > 0xfffffffe || parts.length > 0xfffe) {
    throw new NotImplementedError('archives of 4 GiB or more are not written; use safetensors')
  }
  const out = new Uint8Array(size + directory + 22)
  const view = new DataView(out.buffer)
  let entry = size
  for (const { name, data, crc, at, extra } of parts) {
    const common = (to: number): void => {
      view.setUint16(to, 0x0800, true) // names are UTF-8
      view.setUint32(to + 8, crc, true)
      view.setUint32(to + 12, data.length, true)
      view.setUint32(to + 16, data.length, true)
      view.setUint16(to + 20, name.length, true)
    }
    view.setUint32(at, LOCAL, true)
    common(at + 6)
    view.setUint16(at + 28, extra, true)
    out.set(name, at + 30)
    out.set([0x46, 0x42], at + 30 + name.length) // PyTorch's mark of padding
    view.setUint16(at + 32 + name.length, extra - 4, true)
    out.set(data, at + 30 + name.length + extra)
    view.setUint32(entry, ENTRY, true)
    common(entry + 8)
    view.setUint32(entry + 42, at, true)
    out.set(name, entry + 46)
    entry += 46 + name.length
  }
  view.setUint32(entry, END, true)
  view.setUint16(entry + 8, parts.length, true)
  view.setUint16(entry + 10, parts.length, true)
  view.setUint32(entry + 12, directory, true)
  view.setUint32(entry + 16, size, true)
  return out
}
