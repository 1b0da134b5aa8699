// A chart in characters: curves of braille dots, eight to a character, so that they stay smooth; points as signs.
import { pointScale, position, roomyScale, type Scale, tickLabels, tightScale } from './scale.ts'
import { wrap } from './text.ts'
import { type ChartOptions, extentOf, type Line } from './theme.ts'

/** Size in characters, axis and legend included; `color` defaults to whether standard output is a colour terminal. */
export type TerminalOptions = { width?: number; height?: number; color?: boolean }

type Cell = { bits: number; sign?: string; owner: number }
/** What stands for the values of a series. */
type Marks = 'lines' | 'points'

// Narrower than this nothing can be read.
const MIN_WIDTH = 32

const BLANK = 0x2800
// Bits of a braille character by column (2) and row (4).
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
]
// Dot columns drawn and left out, in turn: lines can be told apart without colour too.
const PATTERNS = ['1', '11100', '10', '1110100']
const SIGNS = ['o', '^', '#', '*', '+', 'v']
const ANSI = [34, 31, 32, 35, 33, 36]

/** Draws the lines with axes, ticks and a legend; see `Figure.terminal`. */
export function drawTerminal(
  lines: readonly Line[],
  { title, subtitle, x, y }: ChartOptions,
  { width = 80, height = 20, color = Boolean(process.stdout?.hasColors?.()) }: TerminalOptions = {},
  marks: Marks = 'lines',
): string {
  const wide = Math.max(width, MIN_WIDTH)
  const header = [title, subtitle ?? ''].flatMap((text) => (text ? wrap(text, wide, (line) => line.length) : []))
  const rows = Math.max(5, height - header.length - 4)
  const shown = lines.flatMap(({ points }) => points.filter((point): point is [number, number] => point[1] !== null))

  const yScale = (marks === 'points' ? pointScale : roomyScale)(
    extentOf(
      shown.map(([, value]) => value),
      y,
    ),
    y.scale ?? 'linear',
    Math.max(2, Math.round(rows / 4)),
  )
  const labels = tickLabels(yScale)
  const margin = Math.max(...labels.map((label) => label.length))
  const columns = Math.max(MIN_WIDTH / 2, wide - margin - 3)
  const xScale = (marks === 'points' ? pointScale : tightScale)(
    extentOf(
      shown.map(([at]) => at),
      x,
    ),
    x.scale ?? 'linear',
    Math.max(2, Math.round(columns / 12)),
  )

  const labelAt = new Map(
    yScale.ticks.map((tick, i) => [Math.round((1 - position(yScale, tick)) * (rows - 1)), labels[i]]),
  )
  const body = (marks === 'points' ? drawPoints : drawLines)(lines, xScale, yScale, columns, rows).map((cells, row) => {
    const label = labelAt.get(row)
    return `${(label ?? '').padStart(margin)} ${label === undefined ? '│' : '┤'}${paintRow(cells, color)}`
  })
  const legend = lines
    .map(({ name }, i) => `${paint(i, marks === 'points' ? signOf(i) : sample(i), color)} ${name}`)
    .join('   ')
  const { axis, numbers } = drawAxis(xScale, columns)
  const indent = ' '.repeat(margin + 1)
  const xLabel = ' '.repeat(Math.max(0, Math.floor((columns - x.label.length) / 2))) + x.label
  return [
    ...header,
    `${y.label}${' '.repeat(Math.max(3, margin + 3 - y.label.length))}${legend}`,
    ...body,
    `${indent}└${axis}`,
    `${indent} ${numbers}`,
    `${indent} ${xLabel}`,
  ]
    .map((line) => line.trimEnd())
    .join('\n')
}

type Draw = (lines: readonly Line[], xScale: Scale, yScale: Scale, columns: number, rows: number) => Cell[][]

const drawPoints: Draw = (lines, xScale, yScale, columns, rows) => {
  const grid = emptyGrid(columns, rows)
  lines.forEach(({ points }, owner) => {
    for (const [at, value] of points) {
      const row = Math.round((1 - position(yScale, value as number)) * (rows - 1))
      Object.assign(grid[row][Math.round(position(xScale, at) * (columns - 1))], { sign: signOf(owner), owner })
    }
  })
  return grid
}

function signOf(owner: number): string {
  return SIGNS[owner % SIGNS.length]
}

function emptyGrid(columns: number, rows: number): Cell[][] {
  return Array.from({ length: rows }, () => Array.from({ length: columns }, () => ({ bits: 0, owner: -1 })))
}

const drawLines: Draw = (lines, xScale, yScale, columns, rows) => {
  const grid = emptyGrid(columns, rows)
  lines.forEach(({ points }, owner) => {
    const pattern = PATTERNS[owner % PATTERNS.length]
    const dot = (px: number, py: number) => {
      if (pattern[px % pattern.length] === '0') return
      const cell = grid[py >> 2][px >> 1]
      cell.bits |= DOTS[px & 1][py & 3]
      cell.owner = owner
    }
    let last: [number, number] | undefined
    for (const [at, value] of points) {
      if (value === null) {
        last = undefined
        continue
      }
      const here: [number, number] = [
        Math.round(position(xScale, at) * (columns * 2 - 1)),
        Math.round((1 - position(yScale, value)) * (rows * 4 - 1)),
      ]
      drawSegment(last ?? here, here, dot)
      last = here
    }
  })
  return grid
}

function drawSegment(
  [x0, y0]: [number, number],
  [x1, y1]: [number, number],
  dot: (x: number, y: number) => void,
): void {
  const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1)
  for (let i = 0; i <= steps; i++) {
    dot(Math.round(x0 + ((x1 - x0) * i) / steps), Math.round(y0 + ((y1 - y0) * i) / steps))
  }
}

function paintRow(cells: readonly Cell[], color: boolean): string {
  let text = ''
  for (let start = 0, end = 0; start < cells.length; start = end) {
    const { owner } = cells[start]
    while (end < cells.length && cells[end].owner === owner) end++
    const run = cells
      .slice(start, end)
      .map(({ bits, sign }) => sign ?? (bits ? String.fromCharCode(BLANK + bits) : ' '))
    text += paint(owner, run.join(''), color)
  }
  return text
}

function paint(owner: number, text: string, color: boolean): string {
  return color && owner >= 0 ? `\x1b[${ANSI[owner % ANSI.length]}m${text}\x1b[0m` : text
}

/** A short piece of a line as the legend shows it. */
function sample(owner: number): string {
  const pattern = PATTERNS[owner % PATTERNS.length]
  const bit = (px: number) => (pattern[px % pattern.length] === '1' ? DOTS[px & 1][1] : 0)
  return String.fromCharCode(...Array.from({ length: 5 }, (_, i) => BLANK + (bit(2 * i) | bit(2 * i + 1))))
}

function drawAxis(scale: Scale, columns: number): { axis: string; numbers: string } {
  const axis = Array<string>(columns).fill('─')
  let numbers = ''
  const labels = tickLabels(scale)
  scale.ticks.forEach((tick, i) => {
    const column = Math.round(position(scale, tick) * (columns - 1))
    const start = Math.min(Math.max(0, column - Math.floor(labels[i].length / 2)), columns - labels[i].length)
    if (numbers && start < numbers.length + 2) return
    axis[column] = '┬'
    numbers = numbers.padEnd(start) + labels[i]
  })
  return { axis: axis.join(''), numbers }
}
