// What the transforms do, as functions of image tensors [..., H, W] (uint8 in 0..255 or floats in 0..1), with
// torchvision's rules (torchvision.transforms.functional).
import { empty, float32, full, RuntimeError, Tensor, tensor, uint8, ValueError } from 'tytorch'
import { resampleBytes } from './bytes.ts'
import { resample } from './resample.ts'

/** One number for both sides, or height and width. */
export type Sides = number | readonly [height: number, width: number]

/** Where the channels of an image tensor are. */
export type Layout = 'CHW' | 'HWC'

/** Margins: one for all sides, left/right and top/bottom, or left, top, right, bottom. */
export type Margins = number | readonly [number, number] | readonly [number, number, number, number]

/** Height and width of an image [..., H, W]. Throws TypeError for what is none. */
export function sizeOf(image: Tensor): [height: number, width: number] {
  if (!(image instanceof Tensor)) {
    const got = typeof image === 'object' && image !== null ? (image as object).constructor.name : typeof image
    throw new TypeError(`img should be a tensor [..., H, W]. Got ${got}`)
  }
  if (image.ndim < 2) throw new TypeError(`Tensor is not a torch image: it is ${String(image.shape)}, not [..., H, W]`)
  return [image.size(-2), image.size(-1)]
}

/** Height and width that `size` asks for. Throws ValueError unless both are whole numbers above 0. */
export function sidesOf(name: string, size: Sides): [height: number, width: number] {
  const [h, w] = typeof size === 'number' ? [size, size] : size
  if (!(Number.isInteger(h) && Number.isInteger(w) && h > 0 && w > 0)) {
    throw new ValueError(`${name}: size must be a whole number above 0 or [height, width], got ${String(size)}`)
  }
  return [h, w]
}

/** Python's rounding: halves go to the even neighbour. */
export function roundEven(x: number): number {
  const low = Math.floor(x)
  const part = x - low
  return part < 0.5 || (part === 0.5 && low % 2 === 0) ? low : low + 1
}

/** The sizes of an image of `height` x `width` after `resize(image, size)`: a number is the shorter side's length. */
export function resizedSize(height: number, width: number, size: Sides): [height: number, width: number] {
  const [h, w] = sidesOf('Resize', size)
  if (typeof size !== 'number') return [h, w]
  const long = Math.max(1, Math.floor((size * Math.max(height, width)) / Math.min(height, width)))
  return height <= width ? [size, long] : [long, size]
}

/**
 * The image resized to [height, width], or so that its shorter side has the length given: bilinear, and smoothed where
 * it shrinks, as torchvision's default. Integers are rounded.
 */
export function resize(image: Tensor, size: Sides): Tensor {
  const [height, width] = sizeOf(image)
  const [h, w] = resizedSize(height, width, size)
  if (h === height && w === width) return image
  const sizes = [...image.shape.slice(0, -2), h, w]
  const count = image.numel() / (height * width)
  if (image.dtype === uint8) {
    const out = empty(sizes, { dtype: uint8 })
    const source = image.contiguous().raw() as Uint8Array
    const levels = resampleBytes(source, { count, height, width, step: 1 }, h, w, 'torch')
    ;(out.raw() as Uint8Array).set(levels)
    return out
  }
  const source = image.to(float32).contiguous().raw() as Float32Array
  const out = tensor(resample(source, count, height, width, h, w)).view(sizes)
  return image.isFloatingPoint() ? out.to(image.dtype) : out.round().to(image.dtype)
}

/** The part of the image from (top, left), `height` x `width`: a view. Throws ValueError if it is not inside. */
export function crop(image: Tensor, top: number, left: number, height: number, width: number): Tensor {
  const [h, w] = sizeOf(image)
  if (top < 0 || left < 0 || top + height > h || left + width > w) {
    throw new ValueError(`crop: (${height}, ${width}) at (${top}, ${left}) is not inside an image of (${h}, ${w})`)
  }
  return image.narrow(image.ndim - 2, top, height).narrow(image.ndim - 1, left, width)
}

/** The image with margins filled with `fill`. */
export function pad(image: Tensor, margins: Margins, fill = 0): Tensor {
  const [h, w] = sizeOf(image)
  const list = typeof margins === 'number' ? [margins] : margins
  const [left, top = left, right = left, bottom = top] = list
  if (![left, top, right, bottom].every((m) => Number.isInteger(m) && m >= 0)) {
    throw new ValueError(`pad: margins must be whole numbers from 0, got ${String(margins)}`)
  }
  const sizes = [...image.shape.slice(0, -2), h + top + bottom, w + left + right]
  const out = full(sizes, fill, { dtype: image.dtype })
  crop(out, top, left, h, w).copy_(image)
  return out
}

/** The middle of the image, `size` large; zeros are added where the image is smaller. */
export function centerCrop(image: Tensor, size: Sides): Tensor {
  const [h, w] = sidesOf('CenterCrop', size)
  let whole = image
  let [height, width] = sizeOf(image)
  if (h > height || w > width) {
    const [dx, dy] = [Math.max(0, w - width), Math.max(0, h - height)]
    whole = pad(image, [Math.floor(dx / 2), Math.floor(dy / 2), Math.floor((dx + 1) / 2), Math.floor((dy + 1) / 2)])
    ;[height, width] = sizeOf(whole)
  }
  return crop(whole, roundEven((height - h) / 2), roundEven((width - w) / 2), h, w)
}

/** The image mirrored left to right. */
export function hflip(image: Tensor): Tensor {
  sizeOf(image)
  return image.flip(image.ndim - 1)
}

/** Where a tensor's channels are: first if there are 1 to 4 of them there, else last. */
function layoutOf(image: Tensor): Layout {
  const isCount = (n: number): boolean => n >= 1 && n <= 4
  if (isCount(image.size(0))) return 'CHW'
  if (isCount(image.size(2))) return 'HWC'
  throw new ValueError(`ToTensor: ${String(image.shape)} has 1 to 4 channels neither first nor last; give the layout`)
}

/** An image [C, H, W] or [H, W, C] as [C, H, W]. Without a layout the channels are looked for first and then last. */
export function channelsFirst(image: Tensor, layout?: Layout): Tensor {
  return (layout ?? layoutOf(image)) === 'HWC' ? image.permute(2, 0, 1).contiguous() : image
}

/**
 * A uint8 image [C, H, W], [H, W, C] or [H, W] as float32 [C, H, W] in 0..1; images of other dtypes are only laid out.
 * Without a layout the channels are looked for first and then last.
 */
export function toTensor(image: Tensor, layout?: Layout): Tensor {
  sizeOf(image)
  if (image.ndim !== 2 && image.ndim !== 3) {
    throw new ValueError(`pic should be 2/3 dimensional. Got ${image.ndim} dimensions.`)
  }
  const chw = image.ndim === 2 ? image.unsqueeze(0) : channelsFirst(image, layout)
  return chw.dtype === uint8 ? chw.to(float32).div_(255) : chw
}

/** (image - mean) / std for each channel of a float image [..., C, H, W]. */
export function normalize(image: Tensor, mean: readonly number[], std: readonly number[]): Tensor {
  sizeOf(image)
  if (!image.isFloatingPoint()) {
    throw new TypeError(`Input tensor should be a float tensor. Got ${String(image.dtype)}.`)
  }
  if (image.ndim < 3) {
    throw new ValueError(
      `Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = ${String(image.shape)}`,
    )
  }
  if (std.includes(0)) {
    throw new ValueError(
      `std evaluated to zero after conversion to ${String(image.dtype)}, leading to division by zero.`,
    )
  }
  const channels = image.size(-3)
  for (const list of [mean, std]) {
    if (list.length === 1 || list.length === channels) continue
    throw new RuntimeError(`Normalize: ${list.length} values for an image of ${channels} channels`)
  }
  const perChannel = (list: readonly number[]): Tensor => tensor([...list], { dtype: image.dtype }).view(-1, 1, 1)
  return image.sub(perChannel(mean)).div_(perChannel(std))
}
