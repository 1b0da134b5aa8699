// Image grids: pixels as they come out of the PNG, captions, ranges, the terminal, and what is refused.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { imageGrid } from '../src/index.ts'
import { encodePng, planesOf, rangeOf, rasterize } from '../src/raster.ts'

const checker = [
  [0, 1],
  [1, 0],
]

describe('imageGrid', () => {
  const grid = imageGrid({ title: 'A <batch>', images: [checker, checker, checker], captions: ['a', 'b', 'c & d'] })

  it('is SVG with an image and a caption each', async () => {
    const svg = await grid.svg()
    expect(svg.match(/<image /g)).toHaveLength(3)
    for (const text of ['A &lt;batch&gt;', 'a', 'b', 'c &amp; d']) expect(svg).toContain(`>${text}</text>`)
    expect(svg).not.toContain('Black is')
  })

  it('enlarges small images by whole numbers, in columns that can be chosen', async () => {
    const boxes = [...(await grid.svg()).matchAll(/<image x="([\d.]+)" y="([\d.]+)" width="(\d+)"/g)]
    expect(boxes.map(([, , , width]) => width)).toEqual(['96', '96', '96'])
    expect(new Set(boxes.map(([, , y]) => y)).size).toBe(1)
    const narrow = await imageGrid({ title: 't', images: [checker, checker, checker], columns: 1 }).svg()
    expect(new Set([...narrow.matchAll(/<image x="[\d.]+" y="([\d.]+)"/g)].map(([, y]) => y)).size).toBe(3)
  })

  it('saves as PNG, SVG and HTML, and has no specification', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'grid-'))
    for (const [ending, start] of [
      ['png', /^.PNG/],
      ['svg', /^<svg/],
      ['html', /^<!doctype html>[\s\S]*<svg/],
    ] as const) {
      const path = join(folder, `batch.${ending}`)
      await grid.save(path)
      expect((await readFile(path)).toString('latin1')).toMatch(start)
    }
    await expect(grid.save('batch.json')).rejects.toThrow("'batch.json' does not end in .png, .svg or .html")
    await rm(folder, { recursive: true })
  })

  it('says what black and white are where it has to', async () => {
    expect(await imageGrid({ title: 't', images: [[[-2, 2.5]]] }).svg()).toContain('>Black is -2, white 2.5.</text>')
  })

  it('draws in a terminal, in shades or in colour', () => {
    const image = [
      [0, 0, 1, 1],
      [0, 0, 1, 1],
    ]
    const small = imageGrid({ title: 't', images: [image, image], captions: ['one', 'two'] })
    const lines = small.terminal({ width: 20, color: false }).split('\n')
    expect(lines).toEqual(['t', '', '  @@         @@', 'one        two'])
    expect(small.terminal({ color: true })).toContain('\x1b[38;2;255;255;255m\x1b[48;2;255;255;255m▀')
  })

  it.each([
    [[], undefined, 'there are no images'],
    [[checker], ['a', 'b'], '2 captions for 1 images'],
    [[[]], undefined, 'image 0 is empty'],
    [[checker, [[1], [1, 2]]], undefined, 'image 1 has rows of unequal length'],
    [[[checker, checker]], undefined, 'image 0 has 2 channels; 1 or 3 are needed'],
  ])('refuses %j with captions %j', (images, captions, message) => {
    expect(() => imageGrid({ title: 't', images, ...(captions ? { captions } : {}) })).toThrow(message)
  })
})

describe('rasters', () => {
  it('guess the range of values', () => {
    const of = (...values: number[]) => rangeOf([planesOf([values], 'it')])
    expect(of(0, 0.5)).toEqual([0, 1])
    expect(of(0, 17)).toEqual([0, 255])
    expect(of(-1, 3)).toEqual([-1, 3])
    expect(of(0, 300)).toEqual([0, 300])
    expect(of(Number.NaN)).toEqual([0, 1])
  })

  it('are bytes, each value as often as the zoom says, and what is out of range at its end', () => {
    expect([...rasterize(planesOf([[0, 0.5, 2, Number.NaN]], 'it'), [0, 1]).bytes]).toEqual([0, 128, 255, 0])
    const { width, height, bytes } = rasterize(planesOf(checker, 'it'), [0, 1], 2)
    expect([width, height]).toEqual([4, 4])
    expect([...bytes.subarray(0, 8)]).toEqual([0, 0, 255, 255, 0, 0, 255, 255])
  })

  it('put three channels side by side, and give them back from the PNG', () => {
    const raster = rasterize(planesOf([[[1, 0]], [[0, 1]], [[0, 1]]], 'it'), [0, 1])
    expect([...raster.bytes]).toEqual([255, 0, 0, 0, 255, 255])
    const png = encodePng(raster)
    expect([png.readUInt32BE(16), png.readUInt32BE(20), png[25]]).toEqual([2, 1, 2])
    const at = png.indexOf('IDAT')
    const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
    expect([...lines]).toEqual([0, 255, 0, 0, 0, 255, 255])
  })
})
