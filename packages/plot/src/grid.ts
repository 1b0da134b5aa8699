// imageGrid: a batch of images side by side with a caption each, as one picture.
import { escapeMarkup, Picture } from './figure.ts'
import { drawRaster, encodePng, type ImageValues, planesOf, type Range, rangeOf, rasterize } from './raster.ts'
import type { TerminalOptions } from './terminal.ts'
import { textWidth, wrap } from './text.ts'
import { FONT, SUBTITLE_SIZE, TITLE_SIZE } from './theme.ts'

/** What `imageGrid` draws. */
export type ImageGridOptions = {
  title: string
  /** A line under the title: what the picture says. */
  subtitle?: string
  /** Arrays of numbers, as a tensor's `tolist()` gives: [n][height][width] or [n][1 or 3][height][width]. */
  images: readonly ImageValues[]
  /** One line under each image: its class, say. */
  captions?: readonly string[]
  /** Images in a row; about a square by default. */
  columns?: number
  /** The values shown as black and white; 0 and 1, or 0 and 255, where all values lie between, else the extremes. */
  range?: Range
  /** The longer side of an image in the picture, in CSS pixels. */
  size?: number
}

const SIZE = 96
const GAP = 14
const PADDING = 16
const CAPTION_SIZE = 13
const LINE = 1.3

/**
 * Draws images in a grid, all with the same range of values. Small images are enlarged by whole numbers and stay sharp.
 * Throws a RangeError if there are none, for captions of another number, and for shapes that are no image.
 */
export function imageGrid(options: ImageGridOptions): Picture {
  const { images, captions } = options
  if (images.length === 0) throw new RangeError('imageGrid: there are no images')
  if (captions && captions.length !== images.length) {
    throw new RangeError(`imageGrid: ${captions.length} captions for ${images.length} images`)
  }
  return new ImageGrid(options)
}

class ImageGrid extends Picture {
  readonly #options: ImageGridOptions
  readonly #planes: ArrayLike<number>[][][]
  readonly #range: Range
  readonly #columns: number

  constructor(options: ImageGridOptions) {
    super(options.title, (terminal) => this.#characters(terminal))
    this.#options = options
    this.#planes = options.images.map((image, i) => planesOf(image, `imageGrid: image ${i}`))
    this.#range = options.range ?? rangeOf(this.#planes)
    const { length } = options.images
    this.#columns = Math.min(length, Math.max(1, options.columns ?? Math.ceil(Math.sqrt(length * 1.5))))
  }

  async svg(): Promise<string> {
    const { title, subtitle, captions, size = SIZE } = this.#options
    const cells = this.#planes.map((planes) => {
      const [height, width] = [planes[0].length, planes[0][0].length]
      const longer = Math.max(width, height)
      const zoom = Math.max(1, Math.floor(size / longer))
      const scale = zoom > 1 ? zoom : Math.min(1, size / longer)
      return { planes, zoom, width: width * scale, height: height * scale }
    })
    const measure = (text: string) => textWidth(text, CAPTION_SIZE)
    const captionWidth = Math.max(0, ...(captions ?? []).map(measure))
    const imageWidth = Math.max(...cells.map(({ width }) => width))
    // Captions that are longer than this have several lines.
    const cellWidth = Math.ceil(Math.max(imageWidth, Math.min(captionWidth, 1.25 * size)))
    const imageHeight = Math.ceil(Math.max(...cells.map(({ height }) => height)))
    const texts = (captions ?? []).map((caption) => wrap(caption, cellWidth, measure))
    const lineCount = Math.max(0, ...texts.map((lines) => lines.length))
    const cellHeight = imageHeight + lineCount * CAPTION_SIZE * LINE + 4
    const gridWidth = this.#columns * (cellWidth + GAP) - GAP

    // A title does not have to be as narrow as two images are.
    const width = Math.max(gridWidth, 320)
    const out: string[] = []
    let y = PADDING
    const write = (text: string, size: number, style: string, bold: boolean) => {
      for (const line of wrap(text, width, (part) => textWidth(part, size, bold))) {
        y += size * LINE
        out.push(`<text x="${PADDING}" y="${round(y - 4)}" font-size="${size}" ${style}>${escapeMarkup(line)}</text>`)
      }
    }
    write(title, TITLE_SIZE, 'font-weight="600"', true)
    const legend = [subtitle, this.#rangeText()].filter(Boolean).join(' ')
    if (legend) {
      y += 4
      write(legend, SUBTITLE_SIZE, 'fill="#444"', false)
    }
    y += GAP

    cells.forEach(({ planes, zoom, width, height }, i) => {
      const left = PADDING + (i % this.#columns) * (cellWidth + GAP) + (cellWidth - width) / 2
      const top = y + Math.floor(i / this.#columns) * (cellHeight + GAP) + (imageHeight - height) / 2
      const data = encodePng(rasterize(planes, this.#range, zoom)).toString('base64')
      const box = `x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${round(height)}"`
      out.push(`<image ${box} href="data:image/png;base64,${data}"/>`)
      // A frame, or an image with a white border would have no end on a white page.
      out.push(`<rect ${box} fill="none" stroke="#bbb"/>`)
      texts[i]?.forEach((line, j) => {
        const row = Math.floor(i / this.#columns)
        const base = y + row * (cellHeight + GAP) + imageHeight + (j + 1) * CAPTION_SIZE * LINE
        const at = `x="${round(left + width / 2)}" y="${round(base)}"`
        out.push(
          `<text ${at} font-size="${CAPTION_SIZE}" text-anchor="middle" fill="#333">${escapeMarkup(line)}</text>`,
        )
      })
    })
    const rows = Math.ceil(cells.length / this.#columns)
    const [w, h] = [width + 2 * PADDING, Math.ceil(y + rows * (cellHeight + GAP) - GAP + PADDING)]
    const font = FONT.replaceAll('"', '&quot;')
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" font-family="${font}"><rect width="${w}" height="${h}" fill="white"/>${out.join('')}</svg>`
  }

  /** Says what black and white stand for, where that is not what one expects. */
  #rangeText(): string {
    const [black, white] = this.#range
    if (black === 0 && (white === 1 || white === 255)) return ''
    return `Black is ${short(black)}, white ${short(white)}.`
  }

  #characters({ width = 80, color = Boolean(process.stdout?.hasColors?.(2 ** 24)) }: TerminalOptions): string {
    const { title, subtitle, captions } = this.#options
    const columns = Math.min(this.#columns, Math.max(1, Math.floor((width + 2) / 10)))
    const cell = Math.floor((width + 2) / columns) - 2
    const lines = [title, [subtitle, this.#rangeText()].filter(Boolean).join(' ')].filter(Boolean)
    for (let start = 0; start < this.#planes.length; start += columns) {
      const row = this.#planes.slice(start, start + columns).map((planes) => {
        const raster = rasterize(planes, this.#range)
        return { wide: Math.min(cell, raster.width), drawn: drawRaster(raster, cell, color) }
      })
      lines.push('')
      const high = Math.max(...row.map(({ drawn }) => drawn.length))
      for (let y = 0; y < high; y++) {
        const parts = row.map(({ wide, drawn }) => (drawn[y] ?? ' '.repeat(wide)) + ' '.repeat(cell - wide))
        lines.push(parts.join('  ').trimEnd())
      }
      if (captions) {
        const texts = row.map((_, i) => captions[start + i].slice(0, cell).padEnd(cell))
        lines.push(texts.join('  ').trimEnd())
      }
    }
    return lines.join('\n')
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)))
}
