// Transforms as torchvision has them: objects with `forward`, of plain fields, so that they travel to a loader's
// workers. The random ones draw from torch's generator, in torchvision's order.
import { empty, rand, randint, Tensor, ValueError } from 'tytorch'
import {
  centerCrop,
  channelsFirst,
  crop,
  hflip,
  type Layout,
  type Margins,
  normalize,
  pad,
  resize,
  roundEven,
  type Sides,
  sidesOf,
  sizeOf,
  toTensor,
} from './functional.ts'
import { normalizedLevels } from './levels.ts'

/** What turns one value into another: an object with `forward`, such as a module, or a function. */
export type Transform<I = Tensor, O = Tensor> = { forward(input: I): O } | ((input: I) => O)

/** What `transform` makes of `input`. */
export function applyTransform<I, O>(transform: Transform<I, O>, input: I): O {
  return typeof transform === 'function' ? transform(input) : transform.forward(input)
}

/** Transforms one after another. */
export class Compose<I = Tensor, O = Tensor> {
  static readonly url = import.meta.url
  readonly transforms: readonly Transform<never, unknown>[]

  constructor(transforms: readonly Transform<never, unknown>[]) {
    transforms.forEach((t: unknown, i) => {
      const usable = typeof t === 'function' || (typeof t === 'object' && t !== null && 'forward' in t)
      if (!usable) throw new TypeError(`Compose: transform ${i} is neither a function nor an object with forward`)
    })
    this.transforms = transforms
  }

  forward(input: I): O {
    let value: unknown = input
    for (let i = 0; i < this.transforms.length; i++) {
      const made = together(this.transforms[i], this.transforms[i + 1], value)
      if (made) i++
      value = made ?? applyTransform(this.transforms[i], value as never)
    }
    return value as O
  }
}

/** What ToTensor and the Normalize after it make of bytes, in one go; null for all else. */
function together(first: unknown, second: unknown, image: unknown): Tensor | null {
  if (!(isPlain(first, ToTensor) && isPlain(second, Normalize) && image instanceof Tensor && image.ndim === 3))
    return null
  return normalizedLevels(channelsFirst(image, first.layout), second.mean, second.std)
}

/** True for an object of the class that does what the class does. */
export function isPlain<T extends { forward: unknown }>(x: unknown, Class: { readonly prototype: T }): x is T {
  return x instanceof (Class as never) && (x as T).forward === Class.prototype.forward
}

/** A uint8 image [C, H, W], [H, W, C] or [H, W] as float32 [C, H, W] in 0..1. */
export class ToTensor {
  static readonly url = import.meta.url
  readonly layout: Layout | undefined

  /** Without a layout the channels (1 to 4) are looked for first and then last. */
  constructor(options: { layout?: Layout } = {}) {
    this.layout = options.layout
  }

  forward(image: Tensor): Tensor {
    return toTensor(image, this.layout)
  }
}

/** (image - mean) / std for each channel of a float image [..., C, H, W]. */
export class Normalize {
  static readonly url = import.meta.url
  readonly mean: readonly number[]
  readonly std: readonly number[]

  constructor(mean: readonly number[], std: readonly number[]) {
    this.mean = mean
    this.std = std
  }

  forward(image: Tensor): Tensor {
    return normalize(image, this.mean, this.std)
  }
}

/** Resizes to [height, width], or so that the shorter side has the length given. */
export class Resize {
  static readonly url = import.meta.url
  readonly size: Sides

  constructor(size: Sides) {
    sidesOf('Resize', size)
    this.size = size
  }

  forward(image: Tensor): Tensor {
    return resize(image, this.size)
  }
}

/** Cuts out the middle; zeros are added where the image is smaller. */
export class CenterCrop {
  static readonly url = import.meta.url
  readonly size: Sides

  constructor(size: Sides) {
    sidesOf('CenterCrop', size)
    this.size = size
  }

  forward(image: Tensor): Tensor {
    return centerCrop(image, this.size)
  }
}

/** A whole number in [0, end). */
const below = (end: number): number => randint(0, end, [1]).item()
/** A number in [from, to). */
const between = (from: number, to: number): number => empty([1]).uniform_(from, to).item()

/** What `RandomCrop` takes by name. */
export interface RandomCropOptions {
  /** Margins that are added first. */
  readonly padding?: Margins | null
  /** Adds margins where the image is smaller than the crop. */
  readonly padIfNeeded?: boolean
  /** What margins are filled with. */
  readonly fill?: number
}

/** Cuts out a part of the size given, anywhere. */
export class RandomCrop {
  static readonly url = import.meta.url
  readonly size: Sides
  readonly padding: Margins | null
  readonly padIfNeeded: boolean
  readonly fill: number

  constructor(size: Sides, options: RandomCropOptions = {}) {
    sidesOf('RandomCrop', size)
    this.size = size
    this.padding = options.padding ?? null
    this.padIfNeeded = options.padIfNeeded ?? false
    this.fill = options.fill ?? 0
  }

  /** Throws ValueError if the image is smaller than the crop. */
  forward(image: Tensor): Tensor {
    const [h, w] = sidesOf('RandomCrop', this.size)
    let whole = this.padding === null ? image : pad(image, this.padding, this.fill)
    if (this.padIfNeeded) {
      if (sizeOf(whole)[1] < w) whole = pad(whole, [w - sizeOf(whole)[1], 0], this.fill)
      if (sizeOf(whole)[0] < h) whole = pad(whole, [0, h - sizeOf(whole)[0]], this.fill)
    }
    const [height, width] = sizeOf(whole)
    if (height < h || width < w) {
      throw new ValueError(`Required crop size (${h}, ${w}) is larger than input image size (${height}, ${width})`)
    }
    if (height === h && width === w) return whole
    const top = below(height - h + 1)
    return crop(whole, top, below(width - w + 1), h, w)
  }
}

/** What `RandomResizedCrop` takes by name. */
export interface RandomResizedCropOptions {
  /** The part's share of the image's area, from and to. */
  readonly scale?: readonly [number, number]
  /** The part's width over its height, from and to. */
  readonly ratio?: readonly [number, number]
}

/** Cuts out a part of random size and shape, anywhere, and resizes it. */
export class RandomResizedCrop {
  static readonly url = import.meta.url
  readonly size: Sides
  readonly scale: readonly [number, number]
  readonly ratio: readonly [number, number]

  constructor(size: Sides, options: RandomResizedCropOptions = {}) {
    sidesOf('RandomResizedCrop', size)
    this.size = size
    this.scale = options.scale ?? [0.08, 1]
    this.ratio = options.ratio ?? [3 / 4, 4 / 3]
    for (const [name, [from, to]] of Object.entries({ scale: this.scale, ratio: this.ratio })) {
      if (!(from > 0 && from <= to))
        throw new ValueError(`RandomResizedCrop: ${name} must be [from, to], 0 < from <= to`)
    }
  }

  forward(image: Tensor): Tensor {
    return resize(crop(image, ...this.draw(...sizeOf(image))), sidesOf('RandomResizedCrop', this.size))
  }

  /** A part of an image of `height` x `width`; the middle one if ten draws have not fitted. */
  private draw(height: number, width: number): [top: number, left: number, height: number, width: number] {
    const [low, high] = this.ratio
    for (let attempt = 0; attempt < 10; attempt++) {
      const area = height * width * between(...this.scale)
      const ratio = Math.fround(Math.exp(between(Math.log(low), Math.log(high))))
      const w = roundEven(Math.sqrt(area * ratio))
      const h = roundEven(Math.sqrt(area / ratio))
      if (!(w > 0 && w <= width && h > 0 && h <= height)) continue
      const top = below(height - h + 1)
      return [top, below(width - w + 1), h, w]
    }
    const whole = width / height
    const w = whole > high ? roundEven(height * high) : width
    const h = whole < low ? roundEven(width / low) : height
    return [Math.floor((height - h) / 2), Math.floor((width - w) / 2), h, w]
  }
}

/** Mirrors left to right, with probability `p`. */
export class RandomHorizontalFlip {
  static readonly url = import.meta.url
  readonly p: number

  constructor(p = 0.5) {
    if (!(p >= 0 && p <= 1)) throw new ValueError(`RandomHorizontalFlip: p must be in [0, 1], got ${p}`)
    this.p = p
  }

  forward(image: Tensor): Tensor {
    return rand(1).item() < this.p ? hflip(image) : image
  }
}
