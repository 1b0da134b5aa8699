// Figures: what the specification says, that every form of output can be had, and that they stay light.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Figure, lineChart } from '../src/index.ts'

const losses = (start: number, rate: number) =>
  Float32Array.from({ length: 3000 }, (_, i) => start * Math.exp(-i * rate) + 0.02)

const figure = lineChart({
  title: 'Loss of <iris>',
  subtitle: 'falls',
  x: { label: 'epoch' },
  y: { label: 'cross-entropy loss (nats)' },
  series: [
    { name: 'training', values: losses(1.3, 0.002) },
    { name: 'validation', values: losses(1.2, 0.003) },
  ],
})

type Spec = {
  data: { values: { x: number; y: number | null; series: string }[] }
  encoding: Record<'x' | 'y' | 'color', { title: string; scale: { type: string; domain: unknown[] } }>
  config: { legend: { orient: string } }
}
const specOf = ({ spec }: Figure) => spec as unknown as Spec

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plot-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('lineChart', () => {
  it('is plain JSON with all points, both titles, round ends of the axes and a legend in a free corner', () => {
    const spec = specOf(figure)
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec)
    expect(spec.data.values).toHaveLength(6000)
    expect(spec.data.values[0]).toEqual({ x: 0, y: 1.32, series: 'training' })
    expect(spec.encoding.x.title).toBe('epoch')
    expect(spec.encoding.y.title).toBe('cross-entropy loss (nats)')
    expect(spec.encoding.x.scale.domain).toEqual([0, 3000])
    expect(spec.encoding.y.scale.domain).toEqual([0, 1.4])
    expect(spec.encoding.color.scale.domain).toEqual(['training', 'validation'])
    expect(spec.config.legend.orient).toBe('top-right')
  })

  it('moves the legend away from a rising curve', () => {
    const rising = lineChart({
      title: 'Accuracy',
      x: { label: 'epoch' },
      y: { label: 'accuracy' },
      series: [{ name: 'a', values: [0, 0.6, 0.9, 0.97, 1] }],
    })
    expect(specOf(rising).config.legend.orient).toBe('bottom-right')
  })

  it('draws hundreds of thousands of points as thousands, with the extremes among them', () => {
    const values = Float64Array.from({ length: 300_000 }, (_, i) => Math.sin(i))
    values[123_456] = 9
    values[200_000] = Number.NaN
    const rows = specOf(
      lineChart({ title: 't', x: { label: 'x' }, y: { label: 'y' }, series: [{ name: 'a', values }] }),
    ).data.values
    expect(rows.length).toBeLessThanOrEqual(4100)
    expect(rows.find(({ y }) => y === 9)?.x).toBe(123_456)
    expect(rows.find(({ y }) => y === null)?.x).toBe(200_000)
    expect([rows[0].x, rows[rows.length - 1].x]).toEqual([0, 299_999])
    expect(rows.every(({ x }, i) => i === 0 || x > rows[i - 1].x)).toBe(true)
  })

  it('leaves gaps for what a logarithmic axis cannot show, and keeps given x', () => {
    const log = lineChart({
      title: 't',
      x: { label: 'x' },
      y: { label: 'y', scale: 'log' },
      series: [{ name: 'a', x: [10, 20, 30, 40], values: [1, 0, Number.POSITIVE_INFINITY, 0.02] }],
    })
    expect(specOf(log).data.values.map(({ x, y }) => [x, y])).toEqual([
      [10, 1],
      [20, null],
      [30, null],
      [40, 0.02],
    ])
    expect(specOf(log).encoding.y.scale).toMatchObject({ type: 'log', domain: [0.02, 1] })
  })

  it.each([
    ['no series', [], 'series is empty'],
    ['lengths that differ', [{ name: 'a', values: [1, 2], x: [1] }], "series 'a' has 2 values, but 1 x"],
    [
      'one name twice',
      [
        { name: 'a', values: [1] },
        { name: 'a', values: [1] },
      ],
      'the same name',
    ],
  ])('refuses %s', (_what, series, message) => {
    expect(() => lineChart({ title: 't', x: { label: 'x' }, y: { label: 'y' }, series })).toThrow(message)
  })

  it.each([[[]], [[0]], [[3, 3, 3]], [[Number.NaN]], [[-5, -1]]])('draws %j too', async (values) => {
    const odd = lineChart({ title: 't', x: { label: 'x' }, y: { label: 'y' }, series: [{ name: 'a', values }] })
    expect(await odd.svg()).toMatch(/^<svg/)
    expect(odd.terminal({ color: false })).toContain('┤')
  })
})

describe('a figure', () => {
  it('is SVG with the texts, two lines and no script, and stays light', async () => {
    const svg = await figure.svg()
    expect(svg).toMatch(/^<svg/)
    for (const text of [
      'Loss of &lt;iris&gt;',
      'falls',
      'epoch',
      'cross-entropy loss (nats)',
      'training',
      'validation',
    ]) {
      expect(svg).toContain(`>${text}</text>`)
    }
    expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(2)
    expect(svg.length).toBeLessThan(150_000)
  })

  it('is PNG of the size of the SVG times the scale, with text and both colours in it', async () => {
    const svg = await figure.svg()
    const [, width, height] = svg.match(/width="([\d.]+)" height="([\d.]+)"/)?.map(Number) ?? []
    const png = Buffer.from(await figure.png({ scale: 1 }))
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    expect(png.readUInt32BE(16)).toBeCloseTo(width, -1)
    expect(png.readUInt32BE(20)).toBeCloseTo(height, -1)
    // The plotting area and its margins fit closely: text is measured, not guessed.
    expect(width).toBeLessThan(720 + 110)
    expect(png.length).toBeLessThan(150_000)
  })

  it.each([
    ['png', /^.PNG/],
    ['svg', /^<svg/],
    ['html', /^<!doctype html>[\s\S]*<svg[\s\S]*vegalite/],
    ['json', /^\{"\$schema":"https:\/\/vega.github.io/],
  ])('saves as .%s', async (ending, content) => {
    const path = join(folder, `losses.${ending}`)
    await figure.save(path)
    expect((await readFile(path)).toString('latin1')).toMatch(content)
  })

  it('refuses an ending it does not know', async () => {
    await expect(figure.save('losses.bmp')).rejects.toThrow('does not end in .png, .svg, .html or .json')
  })

  it('shows in a notebook', async () => {
    const displayed = figure as unknown as Record<symbol, () => Promise<Record<string, unknown>>>
    const display = await displayed[Symbol.for('Jupyter.display')]()
    expect(Object.keys(display)).toEqual([
      'application/vnd.vegalite.v6+json',
      'image/svg+xml',
      'image/png',
      'text/plain',
    ])
    expect(Buffer.from(display['image/png'] as string, 'base64').toString('latin1', 1, 4)).toBe('PNG')
  })
})

describe('an axis', () => {
  it('goes on to what it has to reach', () => {
    const series = [{ name: 'a', values: [3, 2] }]
    const spec = specOf(lineChart({ title: 't', x: { label: 'x', reach: 100 }, y: { label: 'y', reach: 9 }, series }))
    expect(spec.encoding.x.scale.domain).toEqual([0, 100])
    expect(spec.encoding.y.scale.domain).toEqual([0, 10])
  })
})
