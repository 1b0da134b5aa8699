// liveChart: curves of a training that goes on, redrawn in place in a terminal; a line now and then where none is.
import { drawLineChart } from './chart.ts'
import type { ChartOptions } from './theme.ts'

/** Where a live chart goes: `process.stdout` is one. */
export type LiveStream = {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  hasColors?(): boolean
}

/** What `liveChart` draws; width and height are in characters. */
export type LiveChartOptions = Omit<ChartOptions, 'subtitle'> & {
  /** The names of the curves. */
  series: readonly string[]
  /** The number of values that will come, if known: the axis, the share done and the rare lines go by it. */
  total?: number
  stream?: LiveStream
  /** Milliseconds between two drawings, at least. */
  interval?: number
}

/** Curves that grow. */
export type LiveChart = {
  /** The next value of each curve, in the order of `series`; draws if it is time to. */
  add(...values: number[]): void
  /** Draws the last state and leaves it; ends the chart. */
  stop(): void
  /** Takes the chart off the terminal; ends it. */
  clear(): void
}

const INTERVAL = 150
const HEIGHT = 18
const MAX_WIDTH = 100
// Drawing may take this share of the time, so that it never holds up what it shows.
const SHARE = 0.05
// Without a terminal to redraw, so many lines tell of the progress.
const LINES = 10

/** Starts a chart that each `add` extends. Nothing is drawn before the first value. */
export function liveChart(options: LiveChartOptions): LiveChart {
  const { series, total, stream = process.stdout } = options
  if (series.length === 0) throw new RangeError('liveChart: series is empty')
  const curves = series.map((name) => ({ name, values: [] as number[] }))
  const show = stream.isTTY ? new Screen(options, curves, stream) : new Log(options, curves, stream)
  let count = 0
  return {
    add(...values) {
      if (values.length !== curves.length) {
        throw new RangeError(`liveChart: ${values.length} values for ${curves.length} curves`)
      }
      values.forEach((value, i) => {
        curves[i].values.push(value)
      })
      show.update(++count, count === total)
    },
    stop: () => show.stop(count),
    clear: () => show.clear(),
  }
}

type Curve = { name: string; values: number[] }

/** A chart that is drawn over its last state. */
class Screen {
  readonly #options: LiveChartOptions
  readonly #curves: Curve[]
  readonly #stream: LiveStream
  /** Lines on the terminal now. */
  #lines = 0
  #next = 0

  constructor(options: LiveChartOptions, curves: Curve[], stream: LiveStream) {
    this.#options = options
    this.#curves = curves
    this.#stream = stream
  }

  update(count: number, isLast: boolean): void {
    const now = performance.now()
    if (now < this.#next && !isLast) return
    this.#draw(count)
    const { interval = INTERVAL } = this.#options
    const end = performance.now()
    this.#next = end + Math.max(interval, (end - now) / SHARE)
  }

  stop(count: number): void {
    if (count > 0) this.#draw(count)
    this.#lines = 0
  }

  clear(): void {
    this.#stream.write(this.#back())
    this.#lines = 0
  }

  #draw(count: number): void {
    const { title, x, y, total, width = MAX_WIDTH, height = HEIGHT } = this.#options
    const [columns, rows] = [this.#stream.columns || 80, this.#stream.rows || 24]
    const done = total ? ` of ${total.toLocaleString('en-US')} ${progressBar(count / total)}` : ''
    const subtitle = `${x.label} ${count.toLocaleString('en-US')}${done}: ${lastValues(this.#curves)}`
    const text = drawLineChart(
      { title, subtitle, x: { ...x, reach: total }, y, series: this.#curves },
      {
        width: Math.min(columns - 1, width),
        height: Math.min(rows - 1, height),
        color: this.#stream.hasColors?.() ?? false,
      },
    )
    // One write, so that the terminal never shows a chart half drawn.
    this.#stream.write(`${this.#back()}${text}\n`)
    this.#lines = text.split('\n').length
  }

  /** Back to the first line, with all below it erased. */
  #back(): string {
    return this.#lines > 0 ? `\x1b[${this.#lines}F\x1b[J` : ''
  }
}

/** A bar of twenty cells and the percentage done. */
function progressBar(share: number): string {
  const full = Math.floor(Math.min(share, 1) * 20)
  return `${'█'.repeat(full)}${'░'.repeat(20 - full)} ${Math.floor(share * 100)} %`
}

/** A line for the first value, each tenth of the values and the last; 1, 2, 5, 10, ... where their number is not known. */
class Log {
  readonly #options: LiveChartOptions
  readonly #curves: Curve[]
  readonly #stream: LiveStream
  #written = 0

  constructor(options: LiveChartOptions, curves: Curve[], stream: LiveStream) {
    this.#options = options
    this.#curves = curves
    this.#stream = stream
  }

  update(count: number, isLast: boolean): void {
    const { total } = this.#options
    const due = total
      ? count === 1 || count % Math.max(1, Math.floor(total / LINES)) === 0
      : /^[125]0*$/.test(`${count}`)
    if (due || isLast) this.#write(count)
  }

  stop(count: number): void {
    if (count > this.#written) this.#write(count)
  }

  clear(): void {}

  #write(count: number): void {
    const { x, total } = this.#options
    const number = total ? `${String(count).padStart(String(total).length)}/${total}` : String(count)
    this.#stream.write(`${x.label} ${number}  ${lastValues(this.#curves)}\n`)
    this.#written = count
  }
}

function lastValues(curves: readonly Curve[]): string {
  return curves.map(({ name, values }) => `${name} ${values[values.length - 1].toPrecision(4)}`).join('  ')
}
