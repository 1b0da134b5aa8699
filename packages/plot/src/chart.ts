// lineChart: several series of numbers over a common axis as one Vega-Lite figure.
import type { TopLevelSpec } from 'vega-lite'
import { Figure } from './figure.ts'
import { roomyScale, tightScale } from './scale.ts'
import { drawTerminal, type TerminalOptions } from './terminal.ts'
import type { Line, Numbers } from './theme.ts'
import { along, type ChartOptions, COLORS, checkSeries, config, DASHES, extentOf, frame, isDrawable } from './theme.ts'
import { thin } from './thin.ts'

/** One line: `x` defaults to 0, 1, 2, ... and is as long as `values`. */
export type Series = { name: string; values: Numbers; x?: Numbers }

/** What `lineChart` draws; width and height are of the plotting area, in CSS pixels. */
export type LineChartOptions = ChartOptions & { series: readonly Series[] }

// Past this a line's points are no longer all drawn, only those that show: about two for a pixel of a wide screen.
const MAX_POINTS = 4000

/** Draws series as lines in one figure with titled axes and a legend. Throws if there is none, or lengths differ. */
export function lineChart(options: LineChartOptions): Figure {
  const { width = 720, height = 400 } = options
  const lines = toLines(options)
  return new Figure(toSpec(options, lines, width, height), options.title, (terminal) =>
    drawTerminal(lines, options, terminal),
  )
}

/** The terminal's form of a line chart, without the work for the others. */
export function drawLineChart(options: LineChartOptions, terminal: TerminalOptions): string {
  return drawTerminal(toLines(options), options, terminal)
}

function toLines(options: LineChartOptions): Line[] {
  checkSeries('lineChart', options.series)
  return options.series.map((one) => toLine(one, options))
}

function toLine({ name, values, x }: Series, { x: xAxis, y: yAxis }: LineChartOptions): Line {
  const points: [number, number | null][] = []
  for (let i = 0; i < values.length; i++) {
    const at = x ? x[i] : i
    if (isDrawable(at, xAxis)) points.push([at, isDrawable(values[i], yAxis) ? values[i] : null])
  }
  return { name, points: thin(points, MAX_POINTS) }
}

function toSpec(options: LineChartOptions, lines: readonly Line[], width: number, height: number): TopLevelSpec {
  const { x, y } = options
  const names = lines.map(({ name }) => name)
  // Seven digits are what float32 holds; more would only make the file longer.
  const short = (value: number | null) => (value === null ? null : Number(value.toPrecision(7)))
  const rows = lines.flatMap((line) =>
    line.points.map(([at, value]) => ({ x: at, y: short(value), series: line.name })),
  )
  const shown = rows.flatMap((row) => (row.y === null ? [] : [{ x: row.x, y: row.y }]))
  const xScale = tightScale(
    extentOf(
      shown.map((row) => row.x),
      x,
    ),
    x.scale ?? 'linear',
    Math.max(2, width / 90),
  )
  const yScale = roomyScale(
    extentOf(
      shown.map((row) => row.y),
      y,
    ),
    y.scale ?? 'linear',
    Math.max(2, height / 50),
  )
  const colors = names.map((_, i) => COLORS[i % COLORS.length])
  const dashes = names.map((_, i) => [...DASHES[i % DASHES.length]])
  return {
    ...frame(options, width, height, `Lines: ${names.join(', ')}`),
    data: { values: rows },
    mark: { type: 'line', interpolate: 'linear', strokeWidth: 2.25, strokeJoin: 'round', tooltip: true },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x.label, ...along(xScale) },
      y: { field: 'y', type: 'quantitative', title: y.label, ...along(yScale) },
      color: { field: 'series', type: 'nominal', title: null, scale: { domain: names, range: colors } },
      strokeDash: { field: 'series', type: 'nominal', title: null, scale: { domain: names, range: dashes } },
    },
    config: config(shown, xScale, yScale, { symbolSize: 800 }),
  }
}
