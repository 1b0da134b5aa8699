// What all charts look like: colours, dashes, shapes, fonts, axes and where the legend goes, in Vega-Lite's words.
import type { TopLevelSpec } from 'vega-lite'
import { position, type Scale } from './scale.ts'
import { textWidth, wrap } from './text.ts'

/** Numbers of any array type; values that are not finite leave a gap in a line. */
export type Numbers = ArrayLike<number>

/**
 * An axis with its label (name the unit in it); `log` drops values that are not positive, and the axis goes on to
 * `reach` where the values end before it.
 */
export type Axis = { label: string; scale?: 'linear' | 'log'; reach?: number | undefined }

/** What every chart has; width and height are of the plotting area, in CSS pixels. */
export type ChartOptions = {
  title: string
  /** A line under the title: what the picture says. */
  subtitle?: string
  x: Axis
  y: Axis
  width?: number
  height?: number
}

/** A series as it is drawn: a line thinned, with null where it has a gap; or points. */
export type Line = { name: string; points: readonly (readonly [x: number, y: number | null])[] }

// Colours that stay apart for colour-blind eyes (Okabe and Ito); dashes and shapes keep series apart without any colour.
export const COLORS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000'] as const
export const DASHES = [
  [1, 0],
  [7, 4],
  [2, 3],
  [10, 3, 2, 3],
] as const
export const SHAPES = ['circle', 'triangle-up', 'square', 'diamond', 'cross', 'triangle-down'] as const

export const FONT = 'Inter, "Helvetica Neue", Arial, sans-serif'
export const TITLE_SIZE = 18
export const SUBTITLE_SIZE = 13

// The legend's share of the plotting area, roughly.
const LEGEND_WIDTH = 0.3
const LEGEND_HEIGHT = 0.3

/** True for a number that an axis can show. */
export function isDrawable(value: number, axis: Axis): boolean {
  return Number.isFinite(value) && (axis.scale !== 'log' || value > 0)
}

/** The values that an axis has to have room for. */
export function extentOf(values: readonly number[], { reach }: Axis): readonly number[] {
  return reach === undefined ? values : [...values, reach]
}

/** Throws a RangeError if there are no series, two of one name, or one with an x for other than each value. */
export function checkSeries(
  chart: string,
  series: readonly { name: string; values: Numbers; x?: Numbers | undefined }[],
): void {
  if (series.length === 0) throw new RangeError(`${chart}: series is empty`)
  const names = new Set(series.map(({ name }) => name))
  if (names.size < series.length) throw new RangeError(`${chart}: two series have the same name`)
  for (const { name, values, x } of series) {
    if (x && x.length !== values.length) {
      throw new RangeError(`${chart}: series '${name}' has ${values.length} values, but ${x.length} x`)
    }
  }
}

/** All of a specification but its data and marks: size, background, title and description. */
export function frame({ title, subtitle }: ChartOptions, width: number, height: number, content: string) {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: `${title}${subtitle ? `: ${subtitle}` : ''}. ${content}.`,
    width,
    height,
    padding: 16,
    background: 'white',
    title: {
      text: wrap(title, width, (line) => textWidth(line, TITLE_SIZE, true)),
      ...(subtitle ? { subtitle: wrap(subtitle, width, (line) => textWidth(line, SUBTITLE_SIZE)) } : {}),
    },
  } as const
}

/** A scale in Vega-Lite's words, with the ticks that were chosen for it. */
export function along({ kind, min, max, ticks }: Scale) {
  const scale = { type: kind, domain: [min, max], nice: false, ...(kind === 'linear' ? { zero: false } : {}) }
  return { scale, axis: { values: ticks } }
}

type Point = { x: number; y: number }

/** Fonts, axes, and a legend in the corner that the points leave free. */
export function config(
  points: readonly Point[],
  xScale: Scale,
  yScale: Scale,
  { symbolSize, gridX = false }: { symbolSize: number; gridX?: boolean },
): TopLevelSpec['config'] {
  return {
    font: FONT,
    view: { stroke: null },
    title: {
      anchor: 'start',
      frame: 'group',
      fontSize: TITLE_SIZE,
      fontWeight: 600,
      subtitleFontSize: SUBTITLE_SIZE,
      subtitleColor: '#444',
      subtitlePadding: 6,
      offset: 16,
    },
    axis: {
      titleFontSize: 14,
      titleFontWeight: 600,
      titlePadding: 10,
      labelFontSize: 12,
      labelColor: '#333',
      labelFlush: false,
      gridColor: '#e4e4e4',
      domainColor: '#888',
      tickColor: '#888',
    },
    axisX: { grid: gridX },
    legend: {
      orient: freeCorner(points, xScale, yScale),
      labelFontSize: 14,
      labelLimit: 320,
      titleFontSize: 14,
      titleFontWeight: 600,
      symbolSize,
      symbolStrokeWidth: 2.5,
      symbolOpacity: 1,
      fillColor: 'white',
      padding: 8,
      rowPadding: 4,
      strokeColor: '#ddd',
    },
  }
}

type Corner = 'top-right' | 'bottom-right' | 'top-left' | 'bottom-left' | 'top'

/** The corner of the plotting area that no point lies in, for the legend; above the area if there is none. */
function freeCorner(points: readonly Point[], xScale: Scale, yScale: Scale): Corner {
  const taken = new Set<Corner>()
  for (const { x, y } of points) {
    const [right, up] = [position(xScale, x), position(yScale, y)]
    const side = right > 1 - LEGEND_WIDTH ? 'right' : right < LEGEND_WIDTH ? 'left' : undefined
    const end = up > 1 - LEGEND_HEIGHT ? 'top' : up < LEGEND_HEIGHT ? 'bottom' : undefined
    if (side && end) taken.add(`${end}-${side}`)
  }
  return (
    (['top-right', 'bottom-right', 'top-left', 'bottom-left'] as const).find((corner) => !taken.has(corner)) ?? 'top'
  )
}
