// NumPy's .npz files: zip archives of .npy files. https://numpy.org/doc/stable/reference/generated/numpy.savez.html
import type { Tensor } from '../tensor/tensor.ts'
import { readFile, shown, writeFile } from './disk.ts'
import { readNpy, writeNpy } from './npy.ts'
import { readZip, writeZip } from './zip.ts'

/**
 * The arrays of a .npz file by name, as numpy.load; also of numpy.savez_compressed where the host has zlib. Throws
 * RuntimeError if the file is missing or damaged, TypeError for dtypes that tensors have not.
 */
export function loadNpz(path: string | URL): Record<string, Tensor> {
  const file = shown(path)
  const entries = [...readZip(readFile(path, 'loadNpz'), file)]
  return Object.fromEntries(
    entries.map(([name, bytes]) => [name.replace(/\.npy$/, ''), readNpy(bytes, `${file}: ${name}`)]),
  )
}

/** Writes tensors to a .npz file, uncompressed, as numpy.savez but without adding the ending. */
export function saveNpz(path: string | URL, arrays: Readonly<Record<string, Tensor>>): void {
  const entries = Object.entries(arrays).map(([name, t]) => [`${name}.npy`, writeNpy(t)] as const)
  writeFile(path, writeZip(new Map(entries)), 'saveNpz')
}
