// The terminal chart, character for character, and its scales.
import { describe, expect, it } from 'vitest'
import { lineChart } from '../src/index.ts'
import { pointScale, position, roomyScale, tickLabels, tightScale } from '../src/scale.ts'
import { wrap } from '../src/text.ts'

const falling = Array.from({ length: 100 }, (_, i) => Math.exp(-i / 25))
const flat = Array.from({ length: 100 }, () => 0.5)

const chart = lineChart({
  title: 'Loss',
  x: { label: 'epoch' },
  y: { label: 'loss' },
  series: [
    { name: 'train', values: falling },
    { name: 'val', values: flat },
  ],
})

describe('the terminal chart', () => {
  it('draws curves, dashes, axes with numbers and a legend', () => {
    expect(chart.terminal({ width: 44, height: 14, color: false })).toMatchInlineSnapshot(`
      "Loss
      loss   ⠒⠒⠒⠒⠒ train   ⠒⠂⠐⠒⠀ val
      1.0 ┤⠑⡄
          │ ⠑⢄
          │  ⠘⢄
          │    ⠑⢄
      0.5 ┤⠤⠄⠠⠤ ⠬⠖⣤⠤ ⠤⠄⠠⠤ ⠤⠄⠠⠤ ⠤⠄⠠⠤ ⠤⠄⠠⠤ ⠤⠄⠠⠤ ⠤⠄
          │        ⠙⠤⡀
          │          ⠈⠙⠢⢄⣀
          │              ⠈⠉⠓⠲⠤⢄⣀⣀
      0.0 ┤                      ⠉⠉⠉⠒⠒⠒⠒⠲⠤⠤⠤⠤⠤⠤⠤⠄
          └┬──────────────────┬─────────────────┬
           0                 50               100
                           epoch"
    `)
  })

  it('colours each line by its series, and only then', () => {
    expect(chart.terminal({ color: false })).not.toContain('\x1b')
    const lines = chart.terminal({ color: true }).split('\n')
    expect(lines[1]).toContain('\x1b[34m⠒⠒⠒⠒⠒\x1b[0m train')
    expect(lines[1]).toContain('\x1b[31m⠒⠂⠐⠒⠀\x1b[0m val')
  })

  it.each([
    [40, 10],
    [80, 20],
    [133, 40],
  ])('keeps to %d columns and %d lines', (width, height) => {
    const lines = chart.terminal({ width, height, color: false }).split('\n')
    expect(lines).toHaveLength(height)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
  })
})

describe('scales', () => {
  it('end on ticks along y, at zero if the values come near it', () => {
    expect(roomyScale([0.05, 1.3], 'linear', 5)).toMatchObject({ min: 0, max: 1.5, ticks: [0, 0.5, 1, 1.5] })
    expect(roomyScale([10.2, 11.4], 'linear', 3)).toMatchObject({ min: 10, max: 11.5 })
  })

  it('leave room for the marks of points', () => {
    expect(pointScale([0.2, 2], 'linear', 5)).toMatchObject({ min: 0, max: 2.5 })
    expect(pointScale([0, 1.9], 'linear', 5)).toMatchObject({ min: 0, max: 2 })
    expect(pointScale([-1, 0], 'linear', 5)).toMatchObject({ min: -1.5, max: 0.5 })
  })

  it('end on a tick along x only if it is near', () => {
    expect(tightScale([0, 2999], 'linear', 6)).toMatchObject({ min: 0, max: 3000 })
    expect(tightScale([0, 2100], 'linear', 6)).toMatchObject({ min: 0, max: 2100 })
  })

  it('label ticks alike', () => {
    expect(tickLabels(roomyScale([0, 1.3], 'linear', 5))).toEqual(['0.0', '0.5', '1.0', '1.5'])
    expect(tickLabels(tightScale([0, 4e6], 'linear', 4))).toEqual(['0', '1e6', '2e6', '3e6', '4e6'])
    expect(tickLabels(roomyScale([0.02, 300], 'log', 5))).toEqual(['0.01', '0.1', '1', '10', '100', '1000'])
    expect(tickLabels(roomyScale([0.021, 1.9], 'log', 5))).toEqual(['0.02', '0.05', '0.1', '0.2', '0.5', '1', '2'])
  })

  it('place values between 0 and 1', () => {
    expect(position(roomyScale([0.01, 1], 'log', 5), 0.1)).toBeCloseTo(0.5, 12)
    expect(position(tightScale([0, 8], 'linear', 4), 2)).toBe(0.25)
  })
})

it('wraps text at spaces', () => {
  expect(wrap('one two three four', 9, (line) => line.length)).toEqual(['one two', 'three', 'four'])
  expect(wrap('unbreakable', 3, (line) => line.length)).toEqual(['unbreakable'])
})
