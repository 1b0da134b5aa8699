// JPEG, resizing and normalizing against what Pillow and PyTorch make of the same bytes, to the bit: pillow.json holds
// files that Pillow 12 wrote and hashes of its pixels (and of torch.nn.functional.interpolate's, with antialias).
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import * as torch from 'tytorch'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Compose, decodeImage, functional, ImageFolder, Normalize, Resize, ToTensor } from '../src/index.ts'
import { decodeJpeg } from '../src/jpeg.ts'

type File = Record<'jpeg' | 'pixels' | 'shrunk' | 'grown' | 'narrowed', string>
const { interpolate, ...files } = JSON.parse(readFileSync(new URL('./pillow.json', import.meta.url), 'utf8')) as Record<
  string,
  File
> & { interpolate: Record<string, string> }
const bytesOf = (name: string): Uint8Array => new Uint8Array(Buffer.from(files[name].jpeg, 'base64'))
const hash = (x: torch.Tensor): string =>
  createHash('sha256')
    .update(x.contiguous().raw() as Uint8Array)
    .digest('hex')
    .slice(0, 16)

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jpeg-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('decodeImage of JPEG', () => {
  it.each(Object.keys(files))('gives the pixels of Pillow: %s', async (name) => {
    const bytes = bytesOf(name)
    expect(decodeJpeg(bytes)).not.toBeNull()
    expect(hash(await decodeImage(bytes, { mode: 'RGB' }))).toBe(files[name].pixels)
    for (const [key, size] of Object.entries({ shrunk: [13, 20], grown: [40, 50], narrowed: [29, 30] } as const)) {
      expect(hash(await decodeImage(bytes, { mode: 'RGB', resize: size }))).toBe(files[name][key as keyof File])
    }
    expect((await decodeImage(bytes)).size(0)).toBe(name === 'gray' ? 1 : 3)
    expect((await decodeImage(bytes, { mode: 'GRAY' })).shape).toEqual(new torch.Size([1, 29, 37]))
  })

  it('leaves large, damaged and printed ones to sharp, with the same pixels or its error', async () => {
    const plain = bytesOf('4:2:0')
    const large = await sharp(plain).resize(700, 500).jpeg().toBuffer()
    expect(decodeJpeg(large)).toBeNull()
    expect((await decodeImage(large)).shape).toEqual(new torch.Size([3, 500, 700]))
    const cmyk = await sharp(plain).toColourspace('cmyk').jpeg().toBuffer()
    expect(decodeJpeg(cmyk)).toBeNull()
    expect((await decodeImage(cmyk, { mode: 'RGB' })).shape).toEqual(new torch.Size([3, 29, 37]))
    for (const bad of [
      plain.subarray(0, plain.length >> 1),
      plain.subarray(0, 40),
      plain.slice().fill(0xff, 200, 260),
    ]) {
      expect(decodeJpeg(bad)).toBeNull()
    }
    await expect(decodeImage(plain.subarray(0, plain.length >> 1))).rejects.toThrow("can't decode")
    // A decoder that failed is followed by a new one.
    expect(hash(await decodeImage(plain))).toBe(files['4:2:0'].pixels)
  })

  it('keeps apart what is decoded at the same time', async () => {
    const names = Object.keys(files)
    const all = await Promise.all([...names, ...names].map((name) => decodeImage(bytesOf(name), { mode: 'RGB' })))
    expect(all.map(hash)).toEqual([...names, ...names].map((name) => files[name].pixels))
  })
})

describe('bytes', () => {
  it('resize as PyTorch does', () => {
    const ramp = torch
      .arange(2 * 19 * 23)
      .mul(37)
      .remainder(256)
      .to(torch.uint8)
      .view(2, 19, 23)
    expect(hash(functional.resize(ramp, [7, 11]))).toBe(interpolate['7x11'])
    expect(hash(functional.resize(ramp, [30, 17]))).toBe(interpolate['30x17'])
  })

  it('become normalized floats by a table with the values of the two steps', () => {
    const [first, second] = [new ToTensor(), new Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    const both = new Compose<torch.Tensor, torch.Tensor>([first, second])
    for (const sizes of [
      [3, 16, 16],
      [3, 5, 7],
      [7, 5, 3],
      [3, 1, 1],
    ]) {
      const image = torch.randint(0, 256, sizes).to(torch.uint8)
      expect(both.forward(image).equal(second.forward(first.forward(image)))).toBe(true)
    }
    const one = new Compose<torch.Tensor, torch.Tensor>([first, new Normalize([0.5], [0.25])])
    expect(one.forward(torch.full([2, 1, 2], 255).to(torch.uint8)).tolist()).toEqual([[[2, 2]], [[2, 2]]])
    const wrong = new Compose<torch.Tensor, torch.Tensor>([first, new Normalize([0, 0], [1, 1])])
    expect(() => wrong.forward(torch.zeros(3, 2, 2).to(torch.uint8))).toThrow('2 values for an image of 3 channels')
  })
})

describe('ImageFolder.getBatch', () => {
  it('is the collation of its samples, whichever way it takes', async () => {
    for (const [i, name] of Object.keys(files).entries()) {
      mkdirSync(join(folder, 'set', `${i % 2}`), { recursive: true })
      writeFileSync(join(folder, 'set', `${i % 2}`, `${i}.jpg`), bytesOf(name))
    }
    const tail = [new ToTensor(), new Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.4])]
    class Twice extends ImageFolder {
      override async getItem(index: number): Promise<[image: torch.Tensor, target: number]> {
        const [image, target] = await super.getItem(index)
        return [image.mul(2), target + 10]
      }
      override getItems(indices: readonly number[]) {
        return indices.map((i) => this.getItem(i))
      }
    }
    const sets = [
      new ImageFolder(join(folder, 'set'), { transform: new Compose([new Resize([12, 15]), ...tail]) }),
      new ImageFolder(join(folder, 'set'), { transform: new Compose(tail), targetTransform: (t) => t / 4 }),
      new ImageFolder(join(folder, 'set'), { transform: new Resize([9, 9]) }),
      new Twice(join(folder, 'set'), { transform: new Compose(tail) }),
    ]
    for (const set of sets) {
      const order = [3, 0, 2, -1]
      const single = await Promise.all(order.map((i) => set.getItem(i)))
      const [images, targets] = (await set.getBatch(order)) as [torch.Tensor, torch.Tensor]
      expect(images.equal(torch.stack(single.map(([image]) => image)))).toBe(true)
      expect(targets.tolist()).toEqual(single.map(([, target]) => target))
    }
    writeFileSync(join(folder, 'set', '0', 'z.png'), await sharp(bytesOf('gray')).resize(5, 5).png().toBuffer())
    const uneven = new ImageFolder(join(folder, 'set'), { transform: new Compose(tail) })
    await expect(uneven.getBatch([0, 1, 2])).rejects.toThrow('stack expects each tensor to be equal size')
    await expect(uneven.getBatch([99])).rejects.toThrow(torch.IndexError)
  })
})
