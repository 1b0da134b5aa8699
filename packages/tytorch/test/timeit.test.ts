// timeit follows IPython's rules; the clock is a fake one wherever a figure is asserted.
import { inspect } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { formatTime, TimeitResult, timeit } from '../src/timeit.ts'

afterEach(() => vi.restoreAllMocks())

/** A clock that a call of `work` moves on by the next of the durations (the last one for ever). */
function fakeClock(...milliseconds: number[]) {
  let now = 0
  let calls = 0
  return {
    clock: () => now,
    work: () => {
      now += milliseconds[Math.min(calls++, milliseconds.length - 1)]
    },
    calls: () => calls,
  }
}

describe('timeit', () => {
  it('finds the smallest power of ten that takes 0.2 s, then makes seven runs', () => {
    const { clock, work, calls } = fakeClock(3)
    const result = timeit(work, { clock, quiet: true })
    expect(result.loops).toBe(100)
    expect(result.repeat).toBe(7)
    expect(calls()).toBe(1 + 10 + 100 + 7 * 100)
    expect(result.average).toBeCloseTo(0.003, 12)
    expect(result.stdev).toBeCloseTo(0, 12)
    expect(`${result}`).toMatch(/^3 ms ± .* per loop \(mean ± std. dev. of 7 runs, 100 loops each\)$/)
  })

  it('keeps to the number of loops and runs it is given, with the setup before each run', () => {
    const { clock, work, calls } = fakeClock(10, 20, 30)
    const setup = vi.fn()
    const result = timeit(work, { number: 1, repeat: 3, quiet: true, setup, clock })
    expect(calls()).toBe(3)
    expect(setup).toHaveBeenCalledTimes(3)
    expect(result.timings).toEqual([0.01, 0.02, 0.03])
    expect(result.allRuns).toEqual([0.01, 0.02, 0.03])
    expect([result.best, result.worst]).toEqual([0.01, 0.03])
    // A population's deviation: sqrt(200 / 3) ms.
    expect(`${result}`).toBe('20 ms ± 8.16 ms per loop (mean ± std. dev. of 3 runs, 1 loop each)')
  })

  it('prints the line, and warns of a run four times as slow as the best', () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const { clock, work } = fakeClock(1, 5)
    const result = timeit(work, { number: 1, repeat: 2, clock })
    expect(log.mock.calls.map(([line]) => line)).toEqual([
      'The slowest run took 5.00 times longer than the fastest. This could mean that an intermediate result is being cached.',
      `${result}`,
    ])
  })

  it('shows as its line in the console', () => {
    const result = new TimeitResult(100_000, [0.307], 2)
    expect(inspect(result)).toBe('3.1 µs ± 0 ns per loop (mean ± std. dev. of 1 run, 100,000 loops each)')
  })

  it('measures real time', () => {
    const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    const result = timeit(wait, { number: 2, repeat: 2, quiet: true })
    expect(result.best).toBeGreaterThan(0.0045)
    expect(result.best).toBeLessThanOrEqual(result.average)
  })

  it('refuses asynchronous functions and counts that are none', () => {
    expect(() => timeit(async () => 1, { number: 1 })).toThrow(TypeError)
    expect(() => timeit(() => 1, { number: 0 })).toThrow('timeit: number must be a positive integer, got 0')
    expect(() => timeit(() => 1, { repeat: 1.5 })).toThrow('repeat must be a positive integer')
  })
})

it.each([
  [0.00307, '3.07 ms'],
  [0.0000112, '11.2 µs'],
  [1.5e-9, '1.5 ns'],
  [2e-12, '0.002 ns'],
  [0, '0 ns'],
  [0.9996, '1e+03 ms'],
  [1, '1 s'],
  [59.94, '59.9 s'],
  [65, '1min 5s'],
  [3600, '1h'],
  [90061, '1d 1h 1min 1s'],
])('%d s prints as %s', (seconds, text) => expect(formatTime(seconds)).toBe(text))
