// Scatter charts: points by class in the specification, the picture and the terminal; what is left out or refused.
import { describe, expect, it } from 'vitest'
import { groupByClass, scatterChart } from '../src/index.ts'

const options = {
  title: 'One batch',
  x: { label: 'petal length (cm)' },
  y: { label: 'petal width (cm)' },
  legend: 'species',
  series: [
    { name: 'setosa', x: [1.4, 1.5, Number.NaN], values: [0.2, 0.4, 1] },
    { name: 'virginica', x: [6], values: [2.4] },
  ],
}

type Spec = {
  data: { values: unknown[] }
  encoding: Record<string, { title: string | null; scale: { domain: unknown[]; range: string[] } }>
  config: { legend: { orient: string } }
}

describe('scatterChart', () => {
  const figure = scatterChart(options)
  const spec = figure.spec as unknown as Spec

  it('has each finite point once, a colour and a shape a class, and axes that hold all marks', () => {
    expect(spec.data.values).toEqual([
      { x: 1.4, y: 0.2, class: 'setosa' },
      { x: 1.5, y: 0.4, class: 'setosa' },
      { x: 6, y: 2.4, class: 'virginica' },
    ])
    expect(spec.encoding.x).toMatchObject({ title: 'petal length (cm)', scale: { domain: [0, 7] } })
    expect(spec.encoding.y).toMatchObject({ title: 'petal width (cm)', scale: { domain: [0, 2.5] } })
    for (const channel of ['color', 'shape']) {
      expect(spec.encoding[channel]).toMatchObject({ title: 'species', scale: { domain: ['setosa', 'virginica'] } })
      expect(new Set(spec.encoding[channel].scale.range).size).toBe(2)
    }
    expect(spec.config.legend.orient).toBe('bottom-right')
  })

  it('is SVG with three points, the legend and all texts, and PNG', async () => {
    const svg = await figure.svg()
    expect(svg.match(/aria-roledescription="point"/g)).toHaveLength(3)
    for (const text of ['One batch', 'petal length (cm)', 'petal width (cm)', 'species', 'setosa', 'virginica']) {
      expect(svg).toContain(`>${text}</text>`)
    }
    expect(Buffer.from(await figure.png()).toString('latin1', 1, 4)).toBe('PNG')
  })

  it('has a sign for each class in the terminal', () => {
    const text = figure.terminal({ width: 40, height: 14, color: false })
    expect(text).toContain('o setosa   ^ virginica')
    const [, , ...rows] = text.split('\n')
    expect(rows.join('').match(/o/g)).toHaveLength(2)
    expect(rows.join('').match(/\^/g)).toHaveLength(1)
  })

  it('refuses series that are not there or not of one length', () => {
    expect(() => scatterChart({ ...options, series: [] })).toThrow('scatterChart: series is empty')
    const uneven = [{ name: 'a', x: [1], values: [1, 2] }]
    expect(() => scatterChart({ ...options, series: uneven })).toThrow("series 'a' has 2 values, but 1 x")
  })

  it('draws without any point', async () => {
    expect(await scatterChart({ ...options, series: [{ name: 'a', x: [], values: [] }] }).svg()).toMatch(/^<svg/)
  })
})

describe('groupByClass', () => {
  it('sorts points by label, also by bigints, and leaves out classes that do not occur', () => {
    expect(groupByClass([1, 2, 3], [4, 5, 6], [2, 0, 2], ['a', 'b', 'c'])).toEqual([
      { name: 'a', x: [2], values: [5] },
      { name: 'c', x: [1, 3], values: [4, 6] },
    ])
    expect(groupByClass([1], [2], BigInt64Array.of(0n), ['a'])).toEqual([{ name: 'a', x: [1], values: [2] }])
  })

  it('refuses labels without a name, and lengths that differ', () => {
    expect(() => groupByClass([1], [1], [3], ['a'])).toThrow('label 3 has no name (1 names)')
    expect(() => groupByClass([1, 2], [1], [0], ['a'])).toThrow('1 labels for 2 x and 1 values')
  })
})
