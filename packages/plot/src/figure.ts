// Picture and Figure: what was drawn, to be had as SVG, PNG, a page, terminal text, notebook output or a specification.
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { TopLevelSpec } from 'vega-lite'
import type { TerminalOptions } from './terminal.ts'
import { textWidth } from './text.ts'

/** Something drawn that can be shown and saved. */
export abstract class Picture {
  readonly title: string
  readonly #draw: (options: TerminalOptions) => string

  constructor(title: string, draw: (options: TerminalOptions) => string) {
    this.title = title
    this.#draw = draw
  }

  /** The picture as SVG text. */
  abstract svg(): Promise<string>

  /** The picture as a PNG file's bytes, `scale` pixels to a CSS pixel. */
  async png({ scale = 2 }: { scale?: number } = {}): Promise<Uint8Array> {
    const [{ Resvg }, svg] = await Promise.all([import('@resvg/resvg-js'), this.svg()])
    const image = new Resvg(svg, {
      fitTo: { mode: 'zoom', value: scale },
      font: {
        fontFiles: FONTS.map((font) => fileURLToPath(import.meta.resolve(font))),
        defaultFontFamily: 'Inter',
        sansSerifFamily: 'Inter',
        loadSystemFonts: BEYOND_INTER.test(svg),
      },
    })
    return image.render().asPng()
  }

  /** A page that shows the picture without a network. */
  async html(): Promise<string> {
    return this.page()
  }

  /** The page with `more` markup after the picture. */
  protected async page(more = ''): Promise<string> {
    return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeMarkup(this.title)}</title>
<style>body { margin: 2rem; background: white } svg { max-width: 100%; height: auto }</style>
${await this.svg()}
${more}</html>
`
  }

  /** The picture drawn in characters, about `width` columns by `height` lines, for a terminal. */
  terminal(options: TerminalOptions = {}): string {
    return this.#draw(options)
  }

  /** Writes the picture to a file whose ending says how: .png, .svg, .html or, for charts, .json (the specification). */
  async save(path: string): Promise<void> {
    await writeFile(path, await this.encode(/\.(\w+)$/.exec(path)?.[1].toLowerCase(), path))
  }

  /** The picture in the form of a file name's ending. */
  protected async encode(ending: string | undefined, path: string): Promise<string | Uint8Array> {
    switch (ending) {
      case 'png':
        return this.png()
      case 'svg':
        return this.svg()
      case 'html':
        return this.html()
      default:
        throw new RangeError(`${this.constructor.name}.save: '${path}' does not end in ${this.endings}`)
    }
  }

  protected get endings(): string {
    return '.png, .svg or .html'
  }

  /** The forms a notebook chooses from, for Jupyter kernels that know the symbol, as Deno's does. */
  async [Symbol.for('Jupyter.display')](): Promise<Record<string, unknown>> {
    return this.forms()
  }

  /** The picture by media type. */
  protected async forms(): Promise<Record<string, unknown>> {
    return {
      'image/svg+xml': await this.svg(),
      'image/png': Buffer.from(await this.png()).toString('base64'),
      'text/plain': this.terminal({ color: false }),
    }
  }
}

/** A finished chart. `spec` is plain JSON that any Vega-Lite 5 or 6 viewer shows. */
export class Figure extends Picture {
  readonly spec: TopLevelSpec

  constructor(spec: TopLevelSpec, title: string, draw: (options: TerminalOptions) => string) {
    super(title, draw)
    this.spec = spec
  }

  /** The figure as SVG text. */
  override async svg(): Promise<string> {
    // Loaded when first drawn: they take longer to load than a small chart to draw.
    const [{ compile }, vega] = await Promise.all([import('vega-lite'), import('vega')])
    measureWithoutCanvas(vega)
    const { parse, View } = vega
    const view = new View(parse(compile(this.spec).spec), { renderer: 'none' })
    try {
      return await view.toSVG()
    } finally {
      view.finalize()
    }
  }

  /** A page that shows the figure without a network, with the specification beside it. */
  override async html(): Promise<string> {
    const spec = JSON.stringify(this.spec).replaceAll('<', '\\u003c')
    return this.page(`<script type="application/vnd.vegalite.v6+json" id="spec">${spec}</script>\n`)
  }

  protected override async encode(ending: string | undefined, path: string): Promise<string | Uint8Array> {
    return ending === 'json' ? `${JSON.stringify(this.spec)}\n` : super.encode(ending, path)
  }

  protected override get endings(): string {
    return '.png, .svg, .html or .json'
  }

  protected override async forms(): Promise<Record<string, unknown>> {
    return { 'application/vnd.vegalite.v6+json': this.spec, ...(await super.forms()) }
  }
}

// PNG text looks the same everywhere, also where no font is installed, for the font comes with the package.
const FONTS = [
  '@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf',
  '@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf',
]

// Inter covers Latin, Greek, Cyrillic and signs; for other scripts the system is asked, which takes a while.
const BEYOND_INTER = /[\u0590-\u1DFF\u2E80-\uD7FF\uF900-\uFAFF]/

type Measured = { text?: unknown; fontSize?: number; fontWeight?: unknown }
type Metrics = { width: (item: Measured, text: unknown) => number; estimateWidth: Metrics['width'] }

/** Gives Vega our font's widths where it has no canvas: its own guess of 0.8 em a character leaves half the page empty. */
function measureWithoutCanvas(vega: object): void {
  const { textMetrics } = vega as { textMetrics?: Metrics }
  if (!textMetrics || textMetrics.width !== textMetrics.estimateWidth) return
  textMetrics.width = ({ fontSize = 11, fontWeight }, text) => {
    return Math.ceil(textWidth(String(text ?? ''), fontSize, Number(fontWeight) >= 600 || fontWeight === 'bold'))
  }
}

/** Text as it stands in markup. */
export function escapeMarkup(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (sign) => names[sign])
}
