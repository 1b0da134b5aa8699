// lineChart: several series of numbers over a common axis as one Vega-Lite figure.
import type { TopLevelSpec } from 'vega-lite'
import { Figure } from './figure.ts'
import { position, roomyScale, type Scale, tightScale } from './scale.ts'
import { textWidth, wrap } from './text.ts'
import { thin } from './thin.ts'

/** Numbers of any array type; values that are not finite leave a gap in the line. */
export type Numbers = ArrayLike<number>

/** One line: `x` defaults to 0, 1, 2, ... and is as long as `values`. */
export type Series = { name: string; values: Numbers; x?: Numbers }

/** An axis with its label (name the unit in it); `log` drops values that are not positive. */
export type Axis = { label: string; scale?: 'linear' | 'log' }

/** What `lineChart` draws; width and height are of the plotting area, in CSS pixels. */
export type LineChartOptions = {
  title: string
  /** A line under the title: what the picture says. */
  subtitle?: string
  x: Axis
  y: Axis
  series: readonly Series[]
  width?: number
  height?: number
}

/** A series as it is drawn: thinned, with null where the line has a gap. */
export type Line = { name: string; points: readonly (readonly [x: number, y: number | null])[] }

// Colours that stay apart for colour-blind eyes (Okabe and Ito); dashes keep lines apart without any colour.
export const COLORS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000'] as const
export const DASHES = [
  [1, 0],
  [7, 4],
  [2, 3],
  [10, 3, 2, 3],
] as const

// Past this a line's points are no longer all drawn, only those that show: about two for a pixel of a wide screen.
const MAX_POINTS = 4000

const TITLE_SIZE = 18
const SUBTITLE_SIZE = 13

// The legend's share of the plotting area, roughly.
const LEGEND_WIDTH = 0.3
const LEGEND_HEIGHT = 0.3

/** Draws series as lines in one figure with titled axes and a legend. Throws if there is none, or lengths differ. */
export function lineChart(options: LineChartOptions): Figure {
  const { series, width = 720, height = 400 } = options
  if (series.length === 0) throw new RangeError('lineChart: series is empty')
  const names = new Set(series.map(({ name }) => name))
  if (names.size < series.length) throw new RangeError('lineChart: two series have the same name')
  const lines = series.map((one) => toLine(one, options))
  return new Figure(toSpec(options, lines, width, height), lines, options)
}

function toLine({ name, values, x }: Series, { x: xAxis, y: yAxis }: LineChartOptions): Line {
  if (x && x.length !== values.length) {
    throw new RangeError(`lineChart: series '${name}' has ${values.length} values, but ${x.length} x`)
  }
  const drawable = (value: number, axis: Axis) => Number.isFinite(value) && (axis.scale !== 'log' || value > 0)
  const points: [number, number | null][] = []
  for (let i = 0; i < values.length; i++) {
    const at = x ? x[i] : i
    if (drawable(at, xAxis)) points.push([at, drawable(values[i], yAxis) ? values[i] : null])
  }
  return { name, points: thin(points, MAX_POINTS) }
}

function toSpec(options: LineChartOptions, lines: readonly Line[], width: number, height: number): TopLevelSpec {
  const { title, subtitle, x, y } = options
  const names = lines.map(({ name }) => name)
  // Seven digits are what float32 holds; more would only make the file longer.
  const short = (value: number | null) => (value === null ? null : Number(value.toPrecision(7)))
  const rows = lines.flatMap((line) =>
    line.points.map(([at, value]) => ({ x: at, y: short(value), series: line.name })),
  )
  const shown = rows.flatMap((row) => (row.y === null ? [] : [{ x: row.x, y: row.y }]))
  const xScale = tightScale(
    shown.map((row) => row.x),
    x.scale ?? 'linear',
    Math.max(2, width / 90),
  )
  const yScale = roomyScale(
    shown.map((row) => row.y),
    y.scale ?? 'linear',
    Math.max(2, height / 50),
  )
  const colors = names.map((_, i) => COLORS[i % COLORS.length])
  const dashes = names.map((_, i) => [...DASHES[i % DASHES.length]])
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    description: `${title}${subtitle ? `: ${subtitle}` : ''}. Lines: ${names.join(', ')}.`,
    width,
    height,
    padding: 16,
    background: 'white',
    title: {
      text: wrap(title, width, (line) => textWidth(line, TITLE_SIZE, true)),
      ...(subtitle ? { subtitle: wrap(subtitle, width, (line) => textWidth(line, SUBTITLE_SIZE)) } : {}),
    },
    data: { values: rows },
    mark: { type: 'line', interpolate: 'linear', strokeWidth: 2.25, strokeJoin: 'round', tooltip: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x.label, ...along(xScale) },
      y: { field: 'y', type: 'quantitative', title: y.label, ...along(yScale) },
      color: { field: 'series', type: 'nominal', title: null, scale: { domain: names, range: colors } },
      strokeDash: { field: 'series', type: 'nominal', title: null, scale: { domain: names, range: dashes } },
    },
    config: {
      font: 'Inter, "Helvetica Neue", Arial, sans-serif',
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
      axisX: { grid: false },
      legend: {
        orient: freeCorner(shown, xScale, yScale),
        labelFontSize: 14,
        symbolSize: 800,
        symbolStrokeWidth: 2.5,
        fillColor: 'white',
        padding: 8,
        rowPadding: 4,
        strokeColor: '#ddd',
      },
    },
  }
}

/** A scale in Vega-Lite's words, with the ticks that were chosen for it. */
function along({ kind, min, max, ticks }: Scale) {
  const scale = { type: kind, domain: [min, max], nice: false, ...(kind === 'linear' ? { zero: false } : {}) }
  return { scale, axis: { values: ticks } }
}

type Corner = 'top-right' | 'bottom-right' | 'top-left' | 'bottom-left' | 'top'

/** The corner of the plotting area that no point lies in, for the legend; above the area if there is none. */
function freeCorner(points: readonly { x: number; y: number }[], xScale: Scale, yScale: Scale): Corner {
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
