// timeit: how long a statement takes, measured and printed by the rules of IPython's %timeit.
// https://ipython.readthedocs.io/en/stable/interactive/magics.html#magic-timeit

/** How to measure: `number` calls a run (found automatically if absent), `repeat` runs, significant digits to print. */
export type TimeitOptions = {
  number?: number
  repeat?: number
  precision?: number
  /** Return the result without printing it. */
  quiet?: boolean
  /** Runs before each run, outside of the measured time. */
  setup?: () => void
  /** The clock, in milliseconds. */
  clock?: () => number
}

// A run is long enough for its clock at this many seconds, and the search for `number` stops at 10^9 calls.
const LONG_ENOUGH = 0.2
const MAX_POWER = 9

/** Times in seconds: of whole runs (`allRuns`), and a call (`timings`, `best`, `worst`, `average`, `stdev`). */
export class TimeitResult {
  readonly loops: number
  readonly repeat: number
  readonly allRuns: readonly number[]
  readonly precision: number

  constructor(loops: number, allRuns: readonly number[], precision = 3) {
    this.loops = loops
    this.repeat = allRuns.length
    this.allRuns = allRuns
    this.precision = precision
  }

  get timings(): number[] {
    return this.allRuns.map((seconds) => seconds / this.loops)
  }

  get best(): number {
    return Math.min(...this.timings)
  }

  get worst(): number {
    return Math.max(...this.timings)
  }

  get average(): number {
    return this.timings.reduce((sum, seconds) => sum + seconds, 0) / this.repeat
  }

  /** The standard deviation of the runs as a population, as IPython has it. */
  get stdev(): number {
    const mean = this.average
    return Math.sqrt(this.timings.reduce((sum, seconds) => sum + (seconds - mean) ** 2, 0) / this.repeat)
  }

  toString(): string {
    const runs = `${this.repeat} run${this.repeat === 1 ? '' : 's'}`
    const loops = `${this.loops.toLocaleString('en-US')} loop${this.loops === 1 ? '' : 's'}`
    const [mean, spread] = [this.average, this.stdev].map((seconds) => formatTime(seconds, this.precision))
    return `${mean} ± ${spread} per loop (mean ± std. dev. of ${runs}, ${loops} each)`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/**
 * Measures `fn` and prints `mean ± std` per loop, as `%timeit` does.
 *
 * Without `number`, takes the smallest power of ten whose run lasts 0.2 s. Throws a TypeError if `fn` returns a
 * promise, for its work would go on after the clock is read.
 */
export function timeit(fn: () => unknown, options: TimeitOptions = {}): TimeitResult {
  const { repeat = 7, precision = 3, quiet = false, setup, clock = () => performance.now() } = options
  checkCount('number', options.number)
  checkCount('repeat', repeat)
  checkCount('precision', precision)

  const run = (loops: number): number => {
    setup?.()
    const start = clock()
    let last: unknown
    for (let i = 0; i < loops; i++) last = fn()
    const seconds = (clock() - start) / 1000
    if (typeof (last as { then?: unknown } | null | undefined)?.then === 'function') {
      throw new TypeError(
        'timeit: fn must be synchronous, but it returned a promise; time its parts, or await around performance.now()',
      )
    }
    return seconds
  }

  const loops = options.number ?? findNumber(run)
  const result = new TimeitResult(
    loops,
    Array.from({ length: repeat }, () => run(loops)),
    precision,
  )
  if (!quiet) {
    const warning = cacheWarning(result)
    if (warning) console.log(warning)
    console.log(result.toString())
  }
  return result
}

function findNumber(run: (loops: number) => number): number {
  for (let power = 0; power < MAX_POWER; power++) {
    if (run(10 ** power) >= LONG_ENOUGH) return 10 ** power
  }
  return 10 ** MAX_POWER
}

function cacheWarning({ best, worst }: TimeitResult): string | undefined {
  // Below a microsecond the spread says more of the clock than of the statement.
  if (!(worst > 4 * best && best > 0 && worst > 1e-6)) return undefined
  return (
    `The slowest run took ${(worst / best).toFixed(2)} times longer than the fastest. ` +
    'This could mean that an intermediate result is being cached.'
  )
}

function checkCount(name: string, value: number | undefined): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
    throw new RangeError(`timeit: ${name} must be a positive integer, got ${value}`)
  }
}

/** Seconds as IPython prints them: `3.07 ms`, `11.2 µs`, `1min 5s`. */
export function formatTime(seconds: number, precision = 3): string {
  if (seconds >= 60) {
    const parts: string[] = []
    let left = seconds
    for (const [suffix, length] of [
      ['d', 86400],
      ['h', 3600],
      ['min', 60],
      ['s', 1],
    ] as const) {
      const value = Math.floor(left / length)
      if (value > 0) {
        left %= length
        parts.push(`${value}${suffix}`)
      }
      if (left < 1) break
    }
    return parts.join(' ')
  }
  const units = ['s', 'ms', 'µs', 'ns']
  const order = seconds > 0 ? Math.min(Math.max(-Math.floor(Math.floor(Math.log10(seconds)) / 3), 0), 3) : 3
  return `${general(seconds * 1000 ** order, precision)} ${units[order]}`
}

/** C's %.{precision}g, which Python prints numbers with. */
function general(value: number, precision: number): string {
  const [mantissa, exponent] = value.toExponential(precision - 1).split('e')
  const power = Number(exponent)
  const trim = (digits: string) => (digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits)
  if (power >= -4 && power < precision) return trim(value.toFixed(precision - 1 - power))
  return `${trim(mantissa)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
