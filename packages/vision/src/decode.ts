// Image files as tensors and back: decoding, with resizing in the same go, and writing. Small JPEG files are decoded by
// libjpeg-turbo, all others by sharp (libvips).
import { readFile as readFileCallback } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { empty, RuntimeError, type Tensor, uint8, ValueError } from 'tytorch'
import { resampleBytes, splitColours } from './bytes.ts'
import { resizedSize, type Sides, sizeOf } from './functional.ts'
import { decodeJpeg } from './jpeg.ts'

/** The bytes of a file. Half the work of the one in node:fs/promises, which opens, asks and closes in steps of its own. */
export const readFile: (path: string | URL) => Promise<Uint8Array> = promisify(readFileCallback)

/** Which channels: those of the file, or these. */
export type ImageMode = 'UNCHANGED' | 'GRAY' | 'RGB'

/** What `decodeImage` takes by name. */
export interface DecodeOptions {
  /** 'UNCHANGED' by default. */
  readonly mode?: ImageMode
  /** Resizes as Pillow does (bilinear): to [height, width], or so that the shorter side has the length given. */
  readonly resize?: Sides | null
  /** Turns the image as its camera says; false by default. */
  readonly applyExifOrientation?: boolean
}

/**
 * The image in a file, or in the bytes of one, as uint8 [C, H, W]. Throws what `readFile` throws, and RuntimeError for
 * what is no image.
 */
export async function decodeImage(source: string | URL | Uint8Array, options: DecodeOptions = {}): Promise<Tensor> {
  const { mode = 'UNCHANGED' } = options
  if (mode !== 'UNCHANGED' && mode !== 'GRAY' && mode !== 'RGB') {
    throw new ValueError(`decodeImage: mode must be 'UNCHANGED', 'GRAY' or 'RGB', got '${String(mode)}'`)
  }
  const bytes = source instanceof Uint8Array ? source : await readFile(source)
  try {
    return await decode(bytes, mode, options)
  } catch (error) {
    throw undecodable(source, error)
  }
}

function undecodable(source: string | URL | Uint8Array, error: unknown): RuntimeError {
  const name = source instanceof Uint8Array ? `${source.length} bytes` : `'${pathOf(source)}'`
  const text = (error as Error).message.trim()
  return new RuntimeError(`decodeImage: can't decode ${name}: ${text}`, { cause: error })
}

function pathOf(source: string | URL): string {
  return source instanceof URL ? fileURLToPath(source) : source
}

/** Pixels [height, width, channels]; gray ones may be stored as colours. */
interface Picture {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly gray: boolean
}

async function decode(bytes: Uint8Array, mode: ImageMode, options: DecodeOptions): Promise<Tensor> {
  const { resize: size = null, applyExifOrientation: turn = false } = options
  const pixels = (turn ? null : decodeJpeg(bytes)) ?? (await decodeAny(bytes, mode, turn))
  const { levels, count, height, width } = planesOf(pixels, mode, size)
  const out = empty([count, height, width], { dtype: uint8 })
  ;(out.raw() as Uint8Array).set(levels)
  return out
}

/** Bytes [count, height, width]. They hold until the next image is decoded, so nothing may be awaited before their use. */
export interface Planes {
  readonly levels: Uint8Array
  readonly count: number
  readonly height: number
  readonly width: number
}

/** Calls `use` with what `decodeImage` gives in mode 'RGB' for the bytes of a file, without making a tensor of it. */
export async function decodePlanes<T>(
  bytes: Uint8Array,
  path: string,
  size: Sides | null,
  use: (planes: Planes) => T,
): Promise<T> {
  let picture: Picture
  try {
    picture = decodeJpeg(bytes) ?? (await decodeAny(bytes, 'RGB', false))
  } catch (error) {
    throw undecodable(path, error)
  }
  return use(planesOf(picture, 'RGB', size))
}

function planesOf({ data, height, width, channels, gray }: Picture, mode: ImageMode, size: Sides | null): Planes {
  const [h, w] = size === null ? [height, width] : resizedSize(height, width, size)
  const taken = takenChannels(mode, channels, gray)
  const count = taken?.length ?? 1
  const shape = { count, height: h, width: w }
  if (channels === 3 && count === 3) {
    const resized = resampleBytes(data, { count: 1, height, width, step: 3 }, h, w, 'pillow')
    return { levels: splitColours(resized), ...shape }
  }
  const levels = planes(data, height * width, channels, taken)
  return { levels: resampleBytes(levels, { count, height, width, step: 1 }, h, w, 'pillow'), ...shape }
}

/** What libvips makes of a file. */
async function decodeAny(bytes: Uint8Array, mode: ImageMode, turn: boolean): Promise<Picture> {
  const sharp = await loadSharp()
  // Colour profiles are left alone, as Pillow leaves them; warnings (odd metadata) are no reason to fail.
  const file = sharp(bytes, { failOn: 'error', ignoreIcc: true })
  const header = mode === 'UNCHANGED' ? await file.metadata() : null
  const { data, info } = await (turn ? file.autoOrient() : file).raw().toBuffer({ resolveWithObject: true })
  const gray = header !== null && (header.space === 'b-w' || header.space === 'grey16')
  return { data, height: info.height, width: info.width, channels: info.channels, gray }
}

type Sharp = typeof import('sharp').default

/** sharp, loaded when it is needed: folders of small JPEG files do without. */
async function loadSharp(): Promise<Sharp> {
  return (await import('sharp')).default
}

/** The positions of the channels that are taken; null: one, of the lightness. */
function takenChannels(mode: ImageMode, stored: number, gray: boolean): readonly number[] | null {
  if (mode === 'GRAY') return stored < 3 ? [0] : null
  const colours = stored < 3 ? [0, 0, 0] : [0, 1, 2]
  if (mode === 'RGB') return colours
  const alpha = stored % 2 === 0 ? [stored - 1] : []
  return [...(gray || stored < 3 ? [0] : colours), ...alpha]
}

/** `n` pixels of `stored` bytes as planes [taken, n]. */
function planes(data: Uint8Array, n: number, stored: number, taken: readonly number[] | null): Uint8Array {
  if (stored === 1 && taken?.length === 1) return data
  const target = new Uint8Array((taken?.length ?? 1) * n)
  if (taken === null) {
    // Pillow's convert('L'): ITU-R 601-2 luma in 16-bit fixed point.
    for (let i = 0, j = 0; i < n; i++, j += stored) {
      target[i] = (data[j] * 19595 + data[j + 1] * 38470 + data[j + 2] * 7471 + 0x8000) >> 16
    }
    return target
  }
  for (const [c, from] of taken.entries()) {
    for (let i = 0, j = from; i < n; i++, j += stored) target[c * n + i] = data[j]
  }
  return target
}

/** Writes an image [C, H, W] (uint8, or floats in 0..1) of 1, 3 or 4 channels to a file; its ending says the format. */
export async function saveImage(image: Tensor, path: string): Promise<void> {
  const [height, width] = sizeOf(image)
  const chw = image.ndim === 2 ? image.unsqueeze(0) : image
  const channels = chw.size(0)
  if (chw.ndim !== 3 || ![1, 3, 4].includes(channels)) {
    throw new ValueError(`saveImage takes [C, H, W] of 1, 3 or 4 channels, got ${String(image.shape)}`)
  }
  const levels = chw.isFloatingPoint() ? chw.detach().mul(255).add(0.5).clamp(0, 255) : chw
  const pixels = levels.to(uint8).permute(1, 2, 0).contiguous().raw() as Uint8Array
  const sharp = await loadSharp()
  await sharp(pixels.slice(), { raw: { height, width, channels: channels as 1 | 3 | 4 } }).toFile(path)
}
