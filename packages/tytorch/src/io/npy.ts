// NumPy's .npy files: one array a file, versions 1 to 3.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { type DTypeName, dtypeOf } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { numelOf } from '../base/shape.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { readFile, shown, writeFile } from './disk.ts'
import { copyElements, tensorOf } from './elements.ts'

/** NumPy's type codes without the byte order. */
const CODES: Readonly<Partial<Record<DTypeName, string>>> = {
  complex128: 'c16',
  complex64: 'c8',
  float64: 'f8',
  float32: 'f4',
  float16: 'f2',
  int64: 'i8',
  int32: 'i4',
  int16: 'i2',
  int8: 'i1',
  uint8: 'u1',
  bool: 'b1',
}
const DTYPES = new Map(Object.entries(CODES).map(([name, code]) => [code, dtypeOf(name as DTypeName)]))
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] // \x93NUMPY
/** Room that NumPy leaves for the first size to grow in place, in digits. */
const GROWTH = 21

/** The bytes of a .npy file, the same that numpy.save writes for a C-ordered array. Throws TypeError for bfloat16. */
export function writeNpy(t: Tensor): Uint8Array {
  const code = CODES[t.dtype.name]
  if (!code) throw new TypeError(`NumPy has no ${t.dtype.name}; convert it first, with t.to(torch.float32)`)
  const order = t.dtype.itemsize === 1 ? '|' : '<'
  const shape = t.ndim === 1 ? `(${t.sizes[0]},)` : `(${t.sizes.join(', ')})`
  const room = t.ndim === 0 ? '' : ' '.repeat(Math.max(0, GROWTH - String(t.sizes[0]).length))
  const text = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': ${shape}, }${room}`
  const wide = text.length + 65 > 0xffff // version 2 counts the header in four bytes
  const fixed = wide ? 12 : 10
  const start = fixed + text.length + 1 + (64 - ((fixed + text.length + 1) % 64))
  const out = new Uint8Array(start + t.count * t.dtype.itemsize)
  out.set([...MAGIC, wide ? 2 : 1, 0])
  const view = new DataView(out.buffer)
  if (wide) view.setUint32(8, start - fixed, true)
  else view.setUint16(8, start - fixed, true)
  out.set(new TextEncoder().encode(`${text.padEnd(start - fixed - 1)}\n`), fixed)
  copyElements(t, out, start)
  return out
}

/**
 * The array of a .npy file as a contiguous tensor, from either byte order and either order of elements. Throws
 * RuntimeError, which calls it `file`, if the bytes are damaged, TypeError for dtypes that tensors have not.
 */
export function readNpy(bytes: Uint8Array | ArrayBuffer, file = 'the bytes'): Tensor {
  const all = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  const { text, start } = headerOf(all, file)
  const { descr, fortran, shape } = parseHeader(text, file)
  const dtype = DTYPES.get(descr.slice(1))
  if (!dtype || !'<>|='.includes(descr[0])) throw refused(descr, file)
  const length = numelOf(shape) * dtype.itemsize
  const found = all.length - start
  if (found < length) {
    throw new RuntimeError(
      `${file}: ${dtype.name} of shape [${shape.join(', ')}] takes ${length} bytes, but there are ${found}; is the file truncated?`,
    )
  }
  if (found > length) throw new RuntimeError(`${file}: ${found - length} bytes follow the array; only one is read`)
  const data = all.subarray(start)
  const elements = descr[0] === '>' ? swapped(data, dtype.isComplex ? dtype.itemsize / 2 : dtype.itemsize) : data
  if (!fortran || shape.length < 2) return tensorOf(dtype, shape, elements)
  return noGrad(() => {
    const reversed = tensorOf(dtype, [...shape].reverse(), elements)
    return reversed.permute(shape.map((_, i) => shape.length - 1 - i)).contiguous()
  })
}

function headerOf(bytes: Uint8Array, file: string): { text: string; start: number } {
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw new RuntimeError(`${file}: this is no .npy file`)
  const version = bytes[6]
  const wide = version > 1
  const fixed = wide ? 12 : 10
  if (bytes.length < fixed) throw new RuntimeError(`${file}: the header is truncated`)
  if (version < 1 || version > 3) {
    throw new RuntimeError(`${file}: .npy version ${version}.${bytes[7]} is unknown; there are 1.0, 2.0 and 3.0`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const start = fixed + (wide ? view.getUint32(8, true) : view.getUint16(8, true))
  if (start > bytes.length) throw new RuntimeError(`${file}: the header is truncated`)
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(new Uint8Array(bytes.subarray(fixed, start)))
  return { text, start }
}

/** Reads the Python dict that a header is. */
function parseHeader(text: string, file: string): { descr: string; fortran: boolean; shape: number[] } {
  const descr = /['"]descr['"]\s*:\s*(?:'([^']*)'|"([^"]*)"|(?=[[(]))/.exec(text)
  const fortran = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)
  // Python 2 wrote sizes as 3L.
  const shape = /['"]shape['"]\s*:\s*\(((?:\s*\d+L?\s*(?:,|(?=\))))*\s*)\)/.exec(text)
  if (descr && descr[1] === undefined && descr[2] === undefined) {
    throw new TypeError(`${file}: an array of records has no tensor; save its fields one by one`)
  }
  if (!descr || !fortran || !shape) throw new RuntimeError(`${file}: the header is damaged: ${text.trim()}`)
  const sizes = [...shape[1].matchAll(/\d+/g)].map(([digits]) => Number(digits))
  return { descr: descr[1] ?? descr[2], fortran: fortran[1] === 'True', shape: sizes }
}

function refused(descr: string, file: string): TypeError {
  if (/^.?O/.test(descr)) return new TypeError(`${file}: an array of Python objects ('${descr}') can't be read`)
  const hint = /^.[UST]/.test(descr)
    ? 'tensors hold no text'
    : /^.u[248]/.test(descr)
      ? 'convert it in Python to a signed type, e.g. by astype(numpy.int64)'
      : `these can: ${[...DTYPES.keys()].join(', ')}`
  return new TypeError(`${file}: an array of dtype '${descr}' can't be a tensor; ${hint}`)
}

/** A copy with the bytes of each element of `size` bytes in reverse. */
function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(bytes)
  for (let at = 0; size > 1 && at < out.length; at += size) out.subarray(at, at + size).reverse()
  return out
}

/** The tensor in a .npy file, as numpy.load. Throws as `readNpy` does, and RuntimeError if the file is missing. */
export function loadNpy(path: string | URL): Tensor {
  return readNpy(readFile(path, 'loadNpy'), shown(path))
}

/** Writes a tensor to a .npy file, as numpy.save but without adding the ending. Throws TypeError for bfloat16. */
export function saveNpy(path: string | URL, t: Tensor): void {
  writeFile(path, writeNpy(t), 'saveNpy')
}
