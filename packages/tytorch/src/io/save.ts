// torch.save and torch.load: tensors, state dicts and checkpoints, in PyTorch's files or in safetensors.
// https://pytorch.org/docs/stable/generated/torch.save.html
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import type { StateDict } from '../nn/state.ts'
import { Device } from '../tensor/place.ts'
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { readFile, shown, writeFile } from './disk.ts'
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts'
import { putTogether, takeApart } from './structure.ts'

/** The metadata key under which the structure of anything but a flat state dict lies, as JSON. */
const STRUCTURE = 'tytorch'

/**
 * A value as the bytes of a safetensors file: a state dict under its own keys; a tensor as `tensor`; nested objects,
 * arrays and Maps of tensors, numbers, bigints, strings, booleans and null with paths for keys. `requiresGrad` is not
 * stored. Throws TypeError for what can't be saved. With format 'pytorch' the bytes of a checkpoint of Python's torch.save.
 */
export function serialize(value: unknown, { format = 'safetensors' }: SaveOptions = {}): Uint8Array {
  if (format === 'pytorch') return writeCheckpoint(value)
  const { structure, tensors, plain } = takeApart(value)
  const metadata = new Map([['format', 'pt']])
  if (!plain) metadata.set(STRUCTURE, structure)
  return encodeSafetensors({ tensors, metadata })
}

/**
 * The value in the bytes of a safetensors file, or of a checkpoint by Python's torch.save that holds nothing but data. `file` is what errors call
 * it. Throws RuntimeError if the bytes are damaged, NotImplementedError for pickles of other objects.
 */
export function deserialize<T = StateDict>(bytes: Uint8Array | ArrayBuffer, file = 'the bytes'): T {
  const all = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  refuseOthers(all, file)
  if (all[0] === 0x50 && all[1] === 0x4b && all[2] === 3 && all[3] === 4 && all[8] !== 0x7b) {
    return readCheckpoint(all, file) as T
  }
  const { tensors, metadata } = decodeSafetensors(all, file)
  const structure = metadata.get(STRUCTURE)
  return (structure === undefined ? Object.fromEntries(tensors) : putTogether(structure, tensors, file)) as T
}

function refuseOthers(bytes: Uint8Array, file: string): void {
  const starts = (...magic: number[]): boolean => magic.every((byte, i) => bytes[i] === byte)
  // A bare pickle of protocol 2 to 5. A safetensors header, which starts with {, may have such a length.
  if (bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && bytes[8] !== 0x7b) {
    throw new NotImplementedError(
      `${file} was written by torch.save of a PyTorch before 1.6 (a bare pickle), which can't be read; in Python load it and save it again`,
    )
  }
  if (starts(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59)) {
    throw new RuntimeError(`${file} is a NumPy array; read it with torch.loadNpy(path) or torch.readNpy(bytes)`)
  }
}

/** Options of `save` and `serialize`. */
export interface SaveOptions {
  /** 'pytorch' writes the zip of a pickle that Python's `torch.load(path, weights_only=True)` reads. */
  readonly format?: 'safetensors' | 'pytorch'
}

/** The endings by which PyTorch's users know its own files. */
const PYTORCH = /\.(pt|pth|ckpt|bin|tar)$/i

/**
 * Writes `value` to a file, whole or not at all, as `serialize` encodes it. A name that ends in `.pt`, `.pth`, `.ckpt`,
 * `.bin` or `.tar` gets PyTorch's own format, which Python reads; any other gets safetensors, unless `format` says so.
 */
export function save(value: unknown, path: string | URL, options: SaveOptions = {}): void {
  const format = options.format ?? (PYTORCH.test(shown(path)) ? 'pytorch' : 'safetensors')
  writeFile(path, serialize(value, { format }), 'save')
}

/** PyTorch's options of `load`, for scripts that have them. */
export interface LoadOptions {
  /** Where the tensors go: only the CPU. */
  readonly mapLocation?: string | Device | null
  /** Nothing but data is ever loaded, so both are the same here. */
  readonly weightsOnly?: boolean
}

/**
 * Reads what `save`, Python's torch.save or a writer of safetensors has written: `torch.load<Tensor>(path)`; a state dict if no type
 * is given. Throws RuntimeError, which names the file and the tensor, if it is missing or damaged.
 */
export function load<T = StateDict>(path: string | URL, { mapLocation }: LoadOptions = {}): T {
  if (typeof mapLocation === 'string') new Device(mapLocation)
  return deserialize<T>(readFile(path, 'load'), shown(path))
}
