// scatterChart: points of several classes over two axes, told apart by colour and shape, as one Vega-Lite figure.
import type { TopLevelSpec } from 'vega-lite'
import { Figure } from './figure.ts'
import { pointScale } from './scale.ts'
import { drawTerminal } from './terminal.ts'
import type { Line, Numbers } from './theme.ts'
import { along, type ChartOptions, COLORS, checkSeries, config, extentOf, frame, isDrawable, SHAPES } from './theme.ts'

/** The points of one class: `x` and `values` (along y) of one length. */
export type Points = { name: string; x: Numbers; values: Numbers }

/** What `scatterChart` draws; `legend` is the legend's title: what the classes are. */
export type ScatterChartOptions = ChartOptions & { series: readonly Points[]; legend?: string }

/**
 * Draws points coloured by class, with titled axes and a legend. Points that are not finite are left out. Throws a
 * RangeError if there is no series, or lengths differ.
 */
export function scatterChart(options: ScatterChartOptions): Figure {
  const { series, x, y, width = 560, height = 400 } = options
  checkSeries('scatterChart', series)
  const lines = series.map((one): Line => {
    const points = Array.from(one.values, (value, i) => [one.x[i], value] as const)
    return { name: one.name, points: points.filter(([at, value]) => isDrawable(at, x) && isDrawable(value, y)) }
  })
  return new Figure(toSpec(options, lines, width, height), options.title, (terminal) =>
    drawTerminal(lines, options, terminal, 'points'),
  )
}

/** The points of each class that occurs: `labels` holds an index into `names` for each point. */
export function groupByClass(
  x: Numbers,
  values: Numbers,
  labels: ArrayLike<number | bigint>,
  names: readonly string[],
): Points[] {
  if (x.length !== labels.length || values.length !== labels.length) {
    throw new RangeError(`groupByClass: ${labels.length} labels for ${x.length} x and ${values.length} values`)
  }
  const of = Array.from(labels, Number)
  const odd = of.find((label) => names[label] === undefined)
  if (odd !== undefined) throw new RangeError(`groupByClass: label ${odd} has no name (${names.length} names)`)
  return names.flatMap((name, label) => {
    const at = of.flatMap((one, i) => (one === label ? [i] : []))
    return at.length === 0 ? [] : [{ name, x: at.map((i) => x[i]), values: at.map((i) => values[i]) }]
  })
}

function toSpec(options: ScatterChartOptions, lines: readonly Line[], width: number, height: number): TopLevelSpec {
  const { x, y, legend } = options
  const names = lines.map(({ name }) => name)
  const rows = lines.flatMap(({ name, points }) =>
    points.map(([at, value]) => ({ x: at, y: value as number, class: name })),
  )
  const xScale = pointScale(
    extentOf(
      rows.map((row) => row.x),
      x,
    ),
    x.scale ?? 'linear',
    Math.max(2, width / 90),
  )
  const yScale = pointScale(
    extentOf(
      rows.map((row) => row.y),
      y,
    ),
    y.scale ?? 'linear',
    Math.max(2, height / 50),
  )
  const colors = names.map((_, i) => COLORS[i % COLORS.length])
  const shapes = names.map((_, i) => SHAPES[i % SHAPES.length])
  const title = legend ?? null
  return {
    ...frame(
      options,
      width,
      height,
      `Points: ${lines.map(({ name, points }) => `${points.length} ${name}`).join(', ')}`,
    ),
    data: { values: rows },
    // Coinciding points show by their darker fill.
    mark: {
      type: 'point',
      filled: true,
      size: 110,
      fillOpacity: 0.55,
      strokeWidth: 1.5,
      strokeOpacity: 1,
      tooltip: true,
    },
    encoding: {
      x: { field: 'x', type: 'quantitative', title: x.label, ...along(xScale) },
      y: { field: 'y', type: 'quantitative', title: y.label, ...along(yScale) },
      color: { field: 'class', type: 'nominal', title, scale: { domain: names, range: colors } },
      stroke: { field: 'class', type: 'nominal', title, scale: { domain: names, range: colors } },
      shape: { field: 'class', type: 'nominal', title, scale: { domain: names, range: shapes } },
    },
    config: config(rows, xScale, yScale, { symbolSize: 110, gridX: true }),
  }
}
