// PyTorch's tutorial on custom datasets (FaceLandmarksDataset and its transforms), in a module that workers can import.
import { join } from 'node:path'
import { readCsv, type Table } from '@tytorch/tabular'
import { randint, type Tensor, tensor } from 'tytorch'
import { Dataset } from 'tytorch/data'
import { applyTransform, decodeImage, functional, type Transform } from '../src/index.ts'

export interface Face {
  image: Tensor // [3, H, W]
  landmarks: Tensor // [68, 2]
}

export class FaceLandmarksDataset extends Dataset<Promise<Face>> {
  static readonly url = import.meta.url
  readonly table: Table
  readonly landmarks: Tensor // [faces, 68, 2]
  readonly root: string
  readonly transform: Transform<Face, Face> | null

  constructor(csv: string, root: string, transform: Transform<Face, Face> | null = null) {
    super()
    this.table = readCsv(csv)
    this.landmarks = this.table.tensor(this.table.columns.slice(1)).view(-1, 68, 2)
    this.root = root
    this.transform = transform
  }

  get length(): number {
    return this.table.length
  }

  async getItem(index: number): Promise<Face> {
    const image = await decodeImage(join(this.root, this.table.rows[index][0]), { mode: 'RGB' })
    const face = { image, landmarks: this.landmarks.select(0, index) }
    return this.transform ? applyTransform(this.transform, face) : face
  }
}

/** The shorter side becomes `size`, and the landmarks move along. */
export class Rescale {
  static readonly url = import.meta.url
  readonly size: number

  constructor(size: number) {
    this.size = size
  }

  forward({ image, landmarks }: Face): Face {
    const [, h, w] = image.shape
    const resized = functional.resize(image, this.size)
    const [, newH, newW] = resized.shape
    return { image: resized, landmarks: landmarks.mul(tensor([newW / w, newH / h])) }
  }
}

/** A part of `size` x `size` anywhere. */
export class RandomCrop {
  static readonly url = import.meta.url
  readonly size: number

  constructor(size: number) {
    this.size = size
  }

  forward({ image, landmarks }: Face): Face {
    const [, h, w] = image.shape
    const top = randint(0, h - this.size + 1, [1]).item()
    const left = randint(0, w - this.size + 1, [1]).item()
    const cut = functional.crop(image, top, left, this.size, this.size)
    return { image: cut, landmarks: landmarks.sub(tensor([left, top])) }
  }
}

/** Levels 0..255 become 0..1. */
export class ToFloat {
  static readonly url = import.meta.url

  forward({ image, landmarks }: Face): Face {
    return { image: functional.toTensor(image), landmarks }
  }
}
