// Decoding and datasets of image files: channels, fast resizing, errors, workers, and the tutorial's faces.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import * as torch from 'tytorch'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  CenterCrop,
  Compose,
  decodeImage,
  functional,
  ImageFolder,
  Normalize,
  RandomCrop,
  RandomHorizontalFlip,
  RandomResizedCrop,
  Resize,
  saveImage,
  ToTensor,
} from '../src/index.ts'
import { RandomCrop as FaceCrop, FaceLandmarksDataset, Rescale, ToFloat } from './faces.ts'

const { DataLoader } = torch.utils.data

let folder = ''
const at = (...names: string[]) => join(folder, ...names)

/** A file of a smooth pattern, different for each seed. */
async function draw(path: string, width: number, height: number, seed: number): Promise<void> {
  const pixels = new Uint8Array(width * height * 3)
  for (let i = 0; i < pixels.length; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    pixels[i] = 128 + 100 * Math.sin(((x + 2 * y) / width) * (c + 1) + seed)
  }
  await sharp(pixels, { raw: { width, height, channels: 3 } }).toFile(path)
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vision-'))
  for (const name of ['set/dog/deep', 'set/cat', 'empty/a', 'empty/b', 'none', 'broken/a', 'faces']) {
    mkdirSync(at(name), { recursive: true })
  }
  await draw(at('set', 'dog', 'b.png'), 40, 30, 1)
  await draw(at('set', 'dog', 'a.JPG'), 30, 50, 2)
  await draw(at('set', 'dog', 'deep', 'c.jpeg'), 64, 64, 3)
  await draw(at('set', 'cat', 'z.webp'), 33, 35, 4)
  await draw(at('set', 'cat', '10.png'), 30, 90, 5)
  await draw(at('set', 'cat', '9.png'), 90, 30, 6)
  writeFileSync(at('set', 'cat', 'notes.txt'), 'no image')
  await draw(at('empty', 'a', 'x.png'), 4, 4, 7)
  writeFileSync(at('broken', 'a', 'bad.jpg'), 'no image')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('decodeImage', () => {
  it('gives the planes of a file, and of its bytes', async () => {
    const pixels = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18])
    const png = await sharp(pixels, { raw: { width: 3, height: 2, channels: 3 } })
      .png()
      .toBuffer()
    writeFileSync(at('six.png'), png)
    const image = await decodeImage(at('six.png'))
    expect(String(image.dtype)).toBe('torch.uint8')
    expect(image.tolist()).toEqual([
      [
        [1, 4, 7],
        [10, 13, 16],
      ],
      [
        [2, 5, 8],
        [11, 14, 17],
      ],
      [
        [3, 6, 9],
        [12, 15, 18],
      ],
    ])
    expect((await decodeImage(png)).equal(image)).toBe(true)
    expect((await decodeImage(png, { mode: 'GRAY' })).tolist()).toEqual([
      [
        [2, 5, 8],
        [11, 14, 17],
      ],
    ])
  })

  it('knows gray, alpha, 16 bits and palettes', async () => {
    const gray = await sharp(Uint8Array.from([0, 128, 255, 7]), { raw: { width: 2, height: 2, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer()
    const levels = [
      [0, 128],
      [255, 7],
    ]
    expect((await decodeImage(gray)).tolist()).toEqual([levels])
    expect((await decodeImage(gray, { mode: 'RGB' })).tolist()).toEqual([levels, levels, levels])
    const faint = await sharp(Uint8Array.from([9, 100, 8, 50]), { raw: { width: 2, height: 1, channels: 2 } })
      .toColourspace('b-w')
      .png()
      .toBuffer()
    expect((await decodeImage(faint)).tolist()).toEqual([[[9, 8]], [[100, 50]]])
    const clear = {
      create: { width: 2, height: 1, channels: 4 as const, background: { r: 9, g: 8, b: 7, alpha: 0.5 } },
    }
    const rgba = await sharp(clear).png().toBuffer()
    expect((await decodeImage(rgba)).shape).toEqual(new torch.Size([4, 1, 2]))
    expect((await decodeImage(rgba, { mode: 'RGB' })).tolist()).toEqual([[[9, 9]], [[8, 8]], [[7, 7]]])
    const deep = await sharp(clear).toColourspace('rgb16').png().toBuffer()
    expect((await decodeImage(deep, { mode: 'RGB' })).tolist()).toEqual([[[9, 9]], [[8, 8]], [[7, 7]]])
    const palette = await sharp(clear).removeAlpha().png({ palette: true }).toBuffer()
    expect((await decodeImage(palette)).tolist()).toEqual([[[9, 9]], [[8, 8]], [[7, 7]]])
  })

  it('resizes in one go, nearly to the values of the transform', async () => {
    const path = at('set', 'dog', 'deep', 'c.jpeg')
    for (const size of [48, 40, [20, 100] as const]) {
      const fast = await decodeImage(path, { resize: size })
      const slow = functional.resize(await decodeImage(path), size)
      expect(fast.shape).toEqual(slow.shape)
      expect(fast.to(torch.float32).sub(slow.to(torch.float32)).abs().max().item()).toBeLessThan(4)
    }
    expect((await decodeImage(at('set', 'cat', '9.png'), { resize: 10 })).shape).toEqual(new torch.Size([3, 10, 30]))
  })

  it('turns as the camera says only if asked', async () => {
    const turned = await sharp(at('set', 'dog', 'b.png'))
      .withExif({})
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    expect((await decodeImage(turned)).shape).toEqual(new torch.Size([3, 30, 40]))
    const options = { applyExifOrientation: true }
    expect((await decodeImage(turned, options)).shape).toEqual(new torch.Size([3, 40, 30]))
    expect((await decodeImage(turned, { ...options, resize: 15 })).shape).toEqual(new torch.Size([3, 20, 15]))
  })

  it('names what it can not decode', async () => {
    const bad = at('broken', 'a', 'bad.jpg')
    await expect(decodeImage(bad)).rejects.toThrow(`decodeImage: can't decode '${bad}': `)
    await expect(decodeImage(new Uint8Array(3))).rejects.toThrow("decodeImage: can't decode 3 bytes: ")
    await expect(decodeImage(at('nothing.png'))).rejects.toThrow(/ENOENT.*nothing\.png/)
    const whole = await sharp(at('set', 'dog', 'b.png'))
      .png()
      .toBuffer()
    await expect(decodeImage(whole.subarray(0, 200))).rejects.toThrow("can't decode 200 bytes")
  })

  it('reads back what saveImage wrote', async () => {
    const image = torch.arange(48).view(3, 4, 4).to(torch.uint8)
    await saveImage(image, at('saved.png'))
    expect((await decodeImage(at('saved.png'))).equal(image)).toBe(true)
    await saveImage(image.to(torch.float32).div(255), at('saved.png'))
    expect((await decodeImage(at('saved.png'))).equal(image)).toBe(true)
  })
})

describe('ImageFolder', () => {
  it('numbers the sorted classes and sorts the files', async () => {
    const set = new ImageFolder(at('set'))
    expect(set.classes).toEqual(['cat', 'dog'])
    expect(set.classToIdx).toEqual({ cat: 0, dog: 1 })
    expect(set.samples).toEqual([
      [at('set', 'cat', '10.png'), 0],
      [at('set', 'cat', '9.png'), 0],
      [at('set', 'cat', 'z.webp'), 0],
      [at('set', 'dog', 'a.JPG'), 1],
      [at('set', 'dog', 'b.png'), 1],
      [at('set', 'dog', 'deep', 'c.jpeg'), 1],
    ])
    expect([set.length, set.targets]).toEqual([6, [0, 0, 0, 1, 1, 1]])
    const [image, target] = await set.getItem(-2)
    expect([String(image.dtype), [...image.shape], target]).toEqual(['torch.uint8', [3, 30, 40], 1])
    await expect(set.getItem(6)).rejects.toThrow(torch.IndexError)
  })

  it('has an error for each folder it can not use', () => {
    expect(() => new ImageFolder(at('nowhere'))).toThrow(
      `ImageFolder: can't read the folder '${at('nowhere')}': ENOENT`,
    )
    expect(() => new ImageFolder(at('none'))).toThrow(`Couldn't find any class folder in ${at('none')}.`)
    expect(() => new ImageFolder(at('empty'))).toThrow(
      'Found no valid file for the classes b. Supported extensions are: .jpg, .jpeg, .png, ',
    )
    expect(new ImageFolder(at('empty'), { allowEmpty: true }).length).toBe(1)
  })

  it('gives the same batches with workers', async () => {
    const transform = new Compose([
      new Resize(32),
      new CenterCrop(28),
      new ToTensor(),
      new Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])
    const set = new ImageFolder(at('set'), { transform })
    const batches = async (numWorkers: number) => {
      const out: unknown[] = []
      for await (const [images, targets] of new DataLoader(set, { batchSize: 4, numWorkers })) {
        out.push([[...images.shape], images.tolist(), String(targets.dtype), targets.tolist()])
      }
      return out
    }
    const alone = await batches(0)
    expect(alone).toMatchObject([
      [[4, 3, 28, 28], {}, 'torch.int64', [0, 0, 0, 1]],
      [[2, 3, 28, 28], {}, 'torch.int64', [1, 1]],
    ])
    expect(await batches(2)).toEqual(alone)
  })

  it('draws the same augmentations for a seed', async () => {
    const transform = new Compose([
      new RandomResizedCrop(16),
      new RandomHorizontalFlip(),
      new RandomCrop(16, { padding: 2 }),
      new ToTensor(),
    ])
    const set = new ImageFolder(at('set'), { transform })
    const epoch = async (seed: number, numWorkers = 0) => {
      torch.manualSeed(seed)
      const loader = new DataLoader(set, { batchSize: 3, shuffle: true, numWorkers })
      const out: unknown[] = []
      for await (const [images] of loader) out.push(images.tolist())
      return out
    }
    expect(await epoch(1)).toEqual(await epoch(1))
    expect(await epoch(1)).not.toEqual(await epoch(2))
    expect(await epoch(3, 2)).toEqual(await epoch(3, 2))
  })

  it('names a broken image, also from a worker', async () => {
    const set = new ImageFolder(at('broken'))
    for (const numWorkers of [0, 1]) {
      const read = async () => {
        for await (const _ of new DataLoader(set, { numWorkers }));
      }
      await expect(read()).rejects.toThrow(`can't decode '${at('broken', 'a', 'bad.jpg')}'`)
    }
  })
})

describe('the tutorial on custom datasets', () => {
  const sizes = [
    [324, 215],
    [500, 333],
    [250, 258],
    [434, 290],
  ]

  beforeAll(async () => {
    const names = Array.from({ length: 68 }, (_, i) => `part_${i}_x,part_${i}_y`)
    const rows: string[] = []
    for (const [i, [height, width]] of sizes.entries()) {
      await draw(at('faces', `person-${i}.jpg`), width, height, i)
      rows.push([`person-${i}.jpg`, ...Array.from({ length: 136 }, (_, k) => 32 + i + k)].join(','))
    }
    writeFileSync(at('faces', 'face_landmarks.csv'), `image_name,${names.join(',')}\n${rows.join('\n')}\n`)
  })
  const faces = (transform?: Compose<never, never>) =>
    new FaceLandmarksDataset(at('faces', 'face_landmarks.csv'), at('faces'), transform as never)

  it('reads unequal images, which do not collate', async () => {
    const set = faces()
    expect(set.length).toBe(4)
    for (const [i, size] of sizes.entries()) {
      const { image, landmarks } = await set.getItem(i)
      expect([[...image.shape], [...landmarks.shape]]).toEqual([
        [3, ...size],
        [68, 2],
      ])
    }
    expect((await set.getItem(0)).landmarks.narrow(0, 0, 2).tolist()).toEqual([
      [32, 33],
      [34, 35],
    ])
    const read = async () => {
      for await (const _ of new DataLoader(set, { batchSize: 4 }));
    }
    await expect(read()).rejects.toThrow(
      'stack expects each tensor to be equal size, but got [3, 324, 215] at entry 0 and [3, 500, 333] at entry 1',
    )
  })

  it('gives batches after Rescale and RandomCrop', async () => {
    const set = faces(new Compose([new Rescale(256), new FaceCrop(224), new ToFloat()]))
    for (const numWorkers of [0, 2]) {
      let batches = 0
      for await (const { image, landmarks } of new DataLoader(set, { batchSize: 4, shuffle: true, numWorkers })) {
        expect([...image.shape]).toEqual([4, 3, 224, 224])
        expect([...landmarks.shape]).toEqual([4, 68, 2])
        expect(image.max().item()).toBeLessThanOrEqual(1)
        batches++
      }
      expect(batches).toBe(1)
    }
  })
})
