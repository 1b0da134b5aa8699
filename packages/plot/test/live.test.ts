// Live charts: what reaches a terminal, and what reaches a file or a pipe.
import { describe, expect, it } from 'vitest'
import { liveChart } from '../src/index.ts'

const options = { title: 'Training', x: { label: 'epoch' }, y: { label: 'loss' }, series: ['training', 'validation'] }

function recorder(isTTY: boolean) {
  const written: string[] = []
  return { written, stream: { isTTY, columns: 80, rows: 20, write: (text: string) => written.push(text) } }
}

describe('in a terminal', () => {
  it('draws over its last state, and leaves the last one', () => {
    const { written, stream } = recorder(true)
    const chart = liveChart({ ...options, total: 4, interval: 1e9, stream })
    for (const loss of [1, 0.5, 0.4, 0.3]) chart.add(loss, loss / 2)
    expect(written).toHaveLength(2)
    const lines = written[0].split('\n').length - 1
    expect(lines).toBeLessThan(20)
    expect(written[0]).toMatch(/^Training\nepoch 1 of 4 █{5}░{15} 25 %: training 1.000 {2}validation 0.5000\n/)
    expect(
      written[1].startsWith(`\x1b[${lines}F\x1b[JTraining\nepoch 4 of 4 ${'█'.repeat(20)} 100 %: training 0.3000`),
    ).toBe(true)
    expect(Math.max(...written[0].split('\n').map((line) => line.length))).toBeLessThan(80)
    chart.stop()
    expect(written).toHaveLength(3)
  })

  it('has an axis as long as the training will be', () => {
    const { written, stream } = recorder(true)
    liveChart({ ...options, total: 3000, stream }).add(1, 2)
    expect(written[0]).toMatch(/^ +0 .* 3000$/m)
  })

  it('is taken off again', () => {
    const { written, stream } = recorder(true)
    const chart = liveChart({ ...options, stream })
    chart.add(1, 1)
    chart.clear()
    expect(written[1]).toBe(`\x1b[${written[0].split('\n').length - 1}F\x1b[J`)
  })

  it('takes little of the time of what it shows', () => {
    const { written, stream } = recorder(true)
    const chart = liveChart({ ...options, total: 1e5, stream })
    const start = performance.now()
    for (let i = 0; i < 1e5; i++) chart.add(1 / (i + 1), 2 / (i + 1))
    expect(written.length).toBeLessThan(3 + (performance.now() - start) / 150)
  })
})

describe('elsewhere', () => {
  it('writes ten lines or so, without control characters', () => {
    const { written, stream } = recorder(false)
    const chart = liveChart({ ...options, total: 100, stream })
    for (let i = 0; i < 100; i++) chart.add(1 - i / 200, 0.5)
    chart.stop()
    expect(written).toHaveLength(11)
    expect(written[0]).toBe('epoch   1/100  training 1.000  validation 0.5000\n')
    expect(written[10]).toBe('epoch 100/100  training 0.5050  validation 0.5000\n')
    expect(written.join('')).not.toContain('\x1b')
  })

  it('writes ever fewer lines where the number of values is not known, and the last', () => {
    const { written, stream } = recorder(false)
    const chart = liveChart({ ...options, stream })
    for (let i = 0; i < 60; i++) chart.add(1, 1)
    chart.stop()
    expect(written.map((line) => line.split(' ')[1])).toEqual(['1', '2', '5', '10', '20', '50', '60'])
  })

  it('says nothing of a training that never began', () => {
    const { written, stream } = recorder(false)
    const chart = liveChart({ ...options, stream })
    chart.stop()
    chart.clear()
    expect(written).toEqual([])
  })
})

it('refuses no curves, and values for other than all of them', () => {
  const { stream } = recorder(false)
  expect(() => liveChart({ ...options, series: [], stream })).toThrow('series is empty')
  expect(() => liveChart({ ...options, stream }).add(1)).toThrow('liveChart: 1 values for 2 curves')
})
