// Images as plain numbers: reading the shapes and ranges people have them in, as bytes, as PNG and in characters.
import { crc32, deflateSync } from 'node:zlib'

/** An image of numbers: rows of grey values [height][width], or channels [1 or 3][height][width] as PyTorch has them. */
export type ImageValues = readonly ArrayLike<number>[] | readonly (readonly ArrayLike<number>[])[]

/** Grey (1 channel) or RGB (3), a byte each, row by row. */
export type Raster = { width: number; height: number; channels: 1 | 3; bytes: Uint8Array }

/** The values shown as black and as white. */
export type Range = readonly [black: number, white: number]

/** An image's planes, one a channel. Throws a RangeError for rows of unequal length, or other than 1 or 3 channels. */
export function planesOf(image: ImageValues, name: string): ArrayLike<number>[][] {
  const isGrey = image.length === 0 || typeof image[0][0] === 'number'
  const planes = (isGrey ? [image] : image) as ArrayLike<number>[][]
  if (planes.length !== 1 && planes.length !== 3) {
    throw new RangeError(`${name} has ${planes.length} channels; 1 or 3 are needed, as [channels][height][width]`)
  }
  const [height, width] = [planes[0].length, planes[0][0]?.length ?? 0]
  if (height === 0 || width === 0) throw new RangeError(`${name} is empty`)
  if (planes.some((plane) => plane.length !== height || Array.from(plane).some((row) => row.length !== width))) {
    throw new RangeError(`${name} has rows of unequal length`)
  }
  return planes
}

/** From 0 to 1 or 255 where all values lie there, else from the lowest to the highest. */
export function rangeOf(images: readonly (readonly ArrayLike<number>[][])[]): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const row of images.flat(2)) {
    for (let i = 0; i < row.length; i++) {
      if (row[i] < low) low = row[i]
      if (row[i] > high) high = row[i]
    }
  }
  if (!(low <= high)) return [0, 1]
  if (low >= 0 && high <= 255) return [0, high <= 1 ? 1 : 255]
  return [low, high]
}

/** Planes as bytes, each value repeated `zoom` times along both sides. What is not a number is black. */
export function rasterize(planes: readonly ArrayLike<number>[][], [black, white]: Range, zoom = 1): Raster {
  const channels = planes.length as 1 | 3
  const [width, height] = [planes[0][0].length * zoom, planes[0].length * zoom]
  const bytes = new Uint8Array(width * height * channels)
  let at = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (const plane of planes) {
        const share = (plane[Math.floor(y / zoom)][Math.floor(x / zoom)] - black) / (white - black || 1)
        bytes[at++] = Math.round(Math.min(1, Math.max(0, share || 0)) * 255)
      }
    }
  }
  return { width, height, channels, bytes }
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

/** The raster as a PNG file's bytes. */
export function encodePng({ width, height, channels, bytes }: Raster): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // Bits a sample; grey or RGB.
  header.set([8, channels === 1 ? 0 : 2], 8)
  const line = width * channels
  // Each line begins with the number of its filter: none.
  const lines = Buffer.alloc((line + 1) * height)
  for (let y = 0; y < height; y++) lines.set(bytes.subarray(y * line, (y + 1) * line), y * (line + 1) + 1)
  return Buffer.concat([
    Buffer.from(SIGNATURE),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, sum])
}

// From dark to light, as a dark terminal shows them.
const SHADES = ' .:-=+*#%@'

/** The raster in `columns` characters a line: half blocks in 24-bit colour, or shades of characters without colour. */
export function drawRaster(raster: Raster, columns: number, color: boolean): string[] {
  const wide = Math.min(columns, raster.width)
  const high = Math.max(1, Math.round((raster.height * wide) / raster.width / 2))
  return Array.from({ length: high }, (_, line) => {
    const cells = Array.from({ length: wide }, (_, column) => {
      const [top, bottom] = [0, 1].map((half) => mean(raster, column, 2 * line + half, wide, 2 * high))
      if (color) return `\x1b[38;2;${top.join(';')}m\x1b[48;2;${bottom.join(';')}m▀`
      const grey = [...top, ...bottom].reduce((sum, value) => sum + value, 0) / 6
      return SHADES[Math.min(SHADES.length - 1, Math.floor((grey / 256) * SHADES.length))]
    })
    return cells.join('') + (color ? '\x1b[0m' : '')
  })
}

/** The mean red, green and blue of cell (column, row) where the raster is cut into `across` by `down` cells. */
function mean(raster: Raster, column: number, row: number, across: number, down: number): number[] {
  const { width, height, channels, bytes } = raster
  const [left, right] = cut(column, across, width)
  const [top, bottom] = cut(row, down, height)
  const sums = [0, 0, 0]
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      for (let c = 0; c < 3; c++) sums[c] += bytes[(y * width + x) * channels + (c % channels)]
    }
  }
  return sums.map((sum) => Math.round(sum / ((right - left) * (bottom - top))))
}

function cut(i: number, parts: number, size: number): [number, number] {
  const from = Math.min(size - 1, Math.floor((i * size) / parts))
  return [from, Math.max(from + 1, Math.floor(((i + 1) * size) / parts))]
}
