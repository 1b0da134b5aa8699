// Axis scales: domains that end on round numbers where that costs little room, and their ticks.

/** Where an axis begins and ends, and the values it marks. */
export type Scale = { kind: 'linear' | 'log'; min: number; max: number; ticks: number[] }

// An axis along time or steps may grow by this share to end on a tick.
const ROOM = 0.03

/** A scale for the values along x: as tight as they are, or to the next tick if that is near. */
export function tightScale(values: Iterable<number>, kind: Scale['kind'], count: number): Scale {
  const { min, max } = extent(values, kind)
  if (kind === 'log') return logScale(min, max)
  const step = stepOf(max - min, count)
  const [low, high] = outward(min, max, step)
  const room = (max - min) * ROOM
  return linearScale(min - low <= room ? low : min, high - max <= room ? high : max, step)
}

/** A scale for the values along y: out to the next ticks, and down to zero unless they lie far from it. */
export function roomyScale(values: Iterable<number>, kind: Scale['kind'], count: number): Scale {
  let { min, max } = extent(values, kind)
  if (kind === 'log') return roomyLogScale(min, max)
  if (min > 0 && min < max / 2) min = 0
  if (max < 0 && max > min / 2) max = 0
  const step = stepOf(max - min, count)
  const [low, high] = outward(min, max, step)
  return linearScale(low, high, step)
}

/** A scale for points: as `roomyScale`, with room for a point's mark at either end. */
export function pointScale(values: readonly number[], kind: Scale['kind'], count: number): Scale {
  if (kind === 'log' || values.length === 0) return roomyScale(values, kind, count)
  const { min, max } = extent(values, kind)
  const room = (max - min) * ROOM
  const low = min >= 0 ? Math.max(0, min - room) : min - room
  return roomyScale([low, max + room], kind, count)
}

/** Where a value lies on a scale: 0 at its beginning, 1 at its end. */
export function position({ kind, min, max }: Scale, value: number): number {
  return kind === 'log' ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min)
}

/** The ticks as text, all with as many decimals as their step needs. */
export function tickLabels({ kind, ticks }: Scale): string[] {
  const largest = Math.max(...ticks.map(Math.abs))
  if (largest >= 1e6 || (largest < 1e-3 && largest > 0) || kind === 'log') {
    return ticks.map((tick) => {
      const plain = Math.abs(tick) >= 1e-4 && Math.abs(tick) < 1e6
      return tick === 0 || plain
        ? String(Number(tick.toPrecision(4)))
        : Number(tick.toPrecision(4)).toExponential().replace('e+', 'e')
    })
  }
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  return ticks.map((tick) => tick.toFixed(decimals))
}

function extent(values: Iterable<number>, kind: Scale['kind']): { min: number; max: number } {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
  }
  // Nothing to draw still has axes.
  if (min > max) [min, max] = kind === 'log' ? [1, 10] : [0, 1]
  if (min < max) return { min, max }
  return kind === 'log' ? { min: min / 10, max: max * 10 } : { min: min - 0.5, max: max + 0.5 }
}

/** The 1, 2 or 5 times a power of ten that cuts the span into about `count` pieces. */
function stepOf(span: number, count: number): number {
  const raw = span / count
  const power = 10 ** Math.floor(Math.log10(raw))
  return power * ([1, 2, 5].find((factor) => factor * power >= raw * 0.999) ?? 10)
}

function outward(min: number, max: number, step: number): [number, number] {
  return [clean(Math.floor(min / step + 1e-9) * step), clean(Math.ceil(max / step - 1e-9) * step)]
}

/** Without the dust of binary fractions: 1.4, not 1.4000000000000001. */
function clean(value: number): number {
  return Number(value.toPrecision(12))
}

function linearScale(min: number, max: number, step: number): Scale {
  const ticks: number[] = []
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) {
    ticks.push(clean(i * step))
  }
  return { kind: 'linear', min, max, ticks }
}

function logScale(min: number, max: number): Scale {
  const ticks: number[] = []
  for (let power = Math.ceil(Math.log10(min) - 1e-9); power <= Math.log10(max) + 1e-9; power++) ticks.push(10 ** power)
  return { kind: 'log', min, max, ticks: ticks.length > 1 ? ticks : [min, max] }
}

// Up to this ratio of its ends an axis has ticks at 1, 2 and 5 times each power of ten, and ends on one of them.
const FEW_DECADES = 1000

function roomyLogScale(min: number, max: number): Scale {
  const [low, high] = [Math.floor(Math.log10(min) + 1e-9), Math.ceil(Math.log10(max) - 1e-9)]
  if (max / min >= FEW_DECADES) return logScale(10 ** low, 10 ** high)
  const all = Array.from({ length: high - low + 1 }, (_, i) =>
    [1, 2, 5].map((factor) => clean(factor * 10 ** (low + i))),
  )
  const marks = all.flat()
  const from = marks.findLastIndex((mark) => mark <= min * (1 + 1e-9))
  const to = marks.findIndex((mark) => mark >= max * (1 - 1e-9))
  return { kind: 'log', min: marks[from], max: marks[to], ticks: marks.slice(from, to + 1) }
}
