// Image files as tensors and back, by sharp (libvips): decoding, with resizing in the same go, and writing.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { empty, RuntimeError, type Tensor, uint8, ValueError } from 'tytorch'
import { resize, resizedSize, type Sides, sizeOf } from './functional.ts'

/** Which channels: those of the file, or these. */
export type ImageMode = 'UNCHANGED' | 'GRAY' | 'RGB'

/** What `decodeImage` takes by name. */
export interface DecodeOptions {
  /** 'UNCHANGED' by default. */
  readonly mode?: ImageMode
  /** Resizes: to [height, width], or so that the shorter side has the length given. Faster than a transform is. */
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
    const name = source instanceof Uint8Array ? `${source.length} bytes` : `'${pathOf(source)}'`
    throw new RuntimeError(`decodeImage: can't decode ${name}: ${(error as Error).message.trim()}`, { cause: error })
  }
}

function pathOf(source: string | URL): string {
  return source instanceof URL ? fileURLToPath(source) : source
}

async function decode(bytes: Uint8Array, mode: ImageMode, options: DecodeOptions): Promise<Tensor> {
  const { resize: size = null, applyExifOrientation: turn = false } = options
  // Colour profiles are left alone, as Pillow leaves them; warnings (odd metadata) are no reason to fail.
  const file = sharp(bytes, { failOn: 'error', ignoreIcc: true })
  const header = size !== null || mode === 'UNCHANGED' ? await file.metadata() : null
  let pixels = turn ? file.autoOrient() : file
  let later: Sides | null = null
  if (size !== null && header) {
    const { height, width } = turn ? header.autoOrient : header
    const [h, w] = resizedSize(height, width, size)
    // Where it enlarges, libvips is half a pixel off what Pillow and torchvision make.
    if (h > height || w > width) later = [h, w]
    else if (h < height || w < width) pixels = pixels.resize(w, h, { fit: 'fill', kernel: 'linear' })
  }
  const { data, info } = await pixels.raw().toBuffer({ resolveWithObject: true })
  const gray = header !== null && (header.space === 'b-w' || header.space === 'grey16')
  const out = planes(data, info.height, info.width, takenChannels(mode, info.channels, gray))
  return later ? resize(out, later) : out
}

/** Pixels as sharp gives them: always of three colours, with alpha or without. */
interface Channels {
  readonly stored: number
  /** The positions of those that are taken; null: one, of the lightness. */
  readonly taken: readonly number[] | null
}

function takenChannels(mode: ImageMode, stored: number, gray: boolean): Channels {
  if (mode === 'GRAY') return { stored, taken: stored < 3 ? [0] : null }
  const colours = stored < 3 ? [0, 0, 0] : [0, 1, 2]
  if (mode === 'RGB') return { stored, taken: colours }
  const alpha = stored % 2 === 0 ? [stored - 1] : []
  return { stored, taken: [...(gray || stored < 3 ? [0] : colours), ...alpha] }
}

/** Pixels [H, W, C] as planes [taken, H, W]. */
function planes(data: Uint8Array, height: number, width: number, { stored, taken }: Channels): Tensor {
  const out = empty([taken?.length ?? 1, height, width], { dtype: uint8 })
  const target = out.raw() as Uint8Array
  const n = height * width
  if (taken === null) {
    // Pillow's convert('L'): ITU-R 601-2 luma in 16-bit fixed point.
    for (let i = 0, j = 0; i < n; i++, j += stored) {
      target[i] = (data[j] * 19595 + data[j + 1] * 38470 + data[j + 2] * 7471 + 0x8000) >> 16
    }
  } else if (stored === 3 && taken.length === 3) {
    for (let i = 0, j = 0; i < n; i++, j += 3) {
      target[i] = data[j]
      target[n + i] = data[j + 1]
      target[2 * n + i] = data[j + 2]
    }
  } else {
    for (const [c, from] of taken.entries()) {
      for (let i = 0, j = from; i < n; i++, j += stored) target[c * n + i] = data[j]
    }
  }
  return out
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
  await sharp(pixels.slice(), { raw: { height, width, channels: channels as 1 | 3 | 4 } }).toFile(path)
}
