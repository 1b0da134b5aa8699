// Image files as tensors and back, by sharp (libvips): decoding, with resizing in the same go, and writing.
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { empty, RuntimeError, type Tensor, uint8, ValueError } from 'tytorch'
import { resizedSize, type Sides, sizeOf } from './functional.ts'

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
    const { data, info } = await pixelsOf(bytes, options)
    return planes(data, info.height, info.width, info.channels, mode)
  } catch (error) {
    const name = source instanceof Uint8Array ? `${source.length} bytes` : `'${pathOf(source)}'`
    throw new RuntimeError(`decodeImage: can't decode ${name}: ${(error as Error).message.trim()}`, { cause: error })
  }
}

function pathOf(source: string | URL): string {
  return source instanceof URL ? fileURLToPath(source) : source
}

interface Pixels {
  readonly data: Uint8Array
  readonly info: { readonly height: number; readonly width: number; readonly channels: number }
}

async function pixelsOf(bytes: Uint8Array, { resize, applyExifOrientation = false }: DecodeOptions): Promise<Pixels> {
  // Colour profiles are left alone, as Pillow leaves them; warnings (odd metadata) are no reason to fail.
  const file = sharp(bytes, { failOn: 'error', ignoreIcc: true })
  const turned = applyExifOrientation ? file.autoOrient() : file
  if (resize === undefined || resize === null) return turned.raw().toBuffer({ resolveWithObject: true })
  const [height, width] = typeof resize === 'number' ? await shrunk(file, resize, applyExifOrientation) : resize
  return turned.resize(width, height, { fit: 'fill', kernel: 'linear' }).raw().toBuffer({ resolveWithObject: true })
}

async function shrunk(file: sharp.Sharp, side: number, turn: boolean): Promise<[number, number]> {
  const header = await file.metadata()
  const { height, width } = turn ? header.autoOrient : header
  return resizedSize(height, width, side)
}

/** Pixels [H, W, C] as planes [C, H, W] of the channels that `mode` asks for. */
function planes(data: Uint8Array, height: number, width: number, channels: number, mode: ImageMode): Tensor {
  const wanted = mode === 'UNCHANGED' ? channels : mode === 'GRAY' ? 1 : 3
  const out = empty([wanted, height, width], { dtype: uint8 })
  const target = out.raw() as Uint8Array
  const n = height * width
  if (mode === 'GRAY' && channels >= 3) {
    // Pillow's convert('L'): ITU-R 601-2 luma in 16-bit fixed point.
    for (let i = 0, j = 0; i < n; i++, j += channels) {
      target[i] = (data[j] * 19595 + data[j + 1] * 38470 + data[j + 2] * 7471 + 0x8000) >> 16
    }
  } else if (wanted === 3 && channels === 3) {
    for (let i = 0, j = 0; i < n; i++, j += 3) {
      target[i] = data[j]
      target[n + i] = data[j + 1]
      target[2 * n + i] = data[j + 2]
    }
  } else {
    for (let c = 0; c < wanted; c++) {
      // Gray files have one channel of colour, which RGB repeats.
      const from = mode === 'RGB' && channels < 3 ? 0 : c
      for (let i = 0, j = from; i < n; i++, j += channels) target[c * n + i] = data[j]
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
