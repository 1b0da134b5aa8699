// Figure: one drawn chart, to be had as a Vega-Lite specification, SVG, PNG, a page, terminal text or notebook output.
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { TopLevelSpec } from 'vega-lite'
import type { Line, LineChartOptions } from './chart.ts'
import { drawTerminal, type TerminalOptions } from './terminal.ts'
import { textWidth } from './text.ts'

/** A finished chart. `spec` is plain JSON that any Vega-Lite 5 or 6 viewer shows. */
export class Figure {
  readonly spec: TopLevelSpec
  readonly #lines: readonly Line[]
  readonly #options: LineChartOptions

  constructor(spec: TopLevelSpec, lines: readonly Line[], options: LineChartOptions) {
    this.spec = spec
    this.#lines = lines
    this.#options = options
  }

  /** The figure as SVG text. */
  async svg(): Promise<string> {
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

  /** The figure as a PNG file's bytes, `scale` pixels to a CSS pixel. */
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

  /** A page that shows the figure without a network, with the specification beside it. */
  async html(): Promise<string> {
    const title = escapeHtml(this.#options.title)
    const spec = JSON.stringify(this.spec).replaceAll('<', '\\u003c')
    return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body { margin: 2rem; background: white } svg { max-width: 100%; height: auto }</style>
${await this.svg()}
<script type="application/vnd.vegalite.v6+json" id="spec">${spec}</script>
</html>
`
  }

  /** The figure drawn in characters, about `width` columns by `height` lines, for a terminal. */
  terminal(options: TerminalOptions = {}): string {
    return drawTerminal(this.#lines, this.#options, options)
  }

  /** Writes the figure to a file whose ending says how: .png, .svg, .html or .json (the specification). */
  async save(path: string): Promise<void> {
    const ending = /\.(\w+)$/.exec(path)?.[1].toLowerCase()
    switch (ending) {
      case 'png':
        return writeFile(path, await this.png())
      case 'svg':
        return writeFile(path, await this.svg())
      case 'html':
        return writeFile(path, await this.html())
      case 'json':
        return writeFile(path, `${JSON.stringify(this.spec)}\n`)
      default:
        throw new RangeError(`Figure.save: '${path}' does not end in .png, .svg, .html or .json`)
    }
  }

  /** The forms a notebook chooses from, for Jupyter kernels that know the symbol, as Deno's does. */
  async [Symbol.for('Jupyter.display')](): Promise<Record<string, unknown>> {
    return {
      'application/vnd.vegalite.v6+json': this.spec,
      'image/svg+xml': await this.svg(),
      'image/png': Buffer.from(await this.png()).toString('base64'),
      'text/plain': this.terminal({ color: false }),
    }
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

function escapeHtml(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (sign) => names[sign])
}
