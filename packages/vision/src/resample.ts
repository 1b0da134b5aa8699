// Bilinear resizing of floats with a filter as wide as an output pixel is in the input, as Pillow and torchvision do it
// (antialias): first along columns, whose values lie side by side, then along rows.
import { triangle } from './filter.ts'

/** Each of `planes` planes of `height` rows as one of `to` rows. */
function alongColumns(source: Float32Array, planes: number, height: number, width: number, to: number): Float32Array {
  const { first, weights, taps } = triangle(height, to)
  const out = new Float32Array(planes * to * width)
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < to; i++) {
      const target = (plane * to + i) * width
      const start = (plane * height + first[i]) * width
      if (taps === 3) {
        const [a, b, c] = [weights[3 * i], weights[3 * i + 1], weights[3 * i + 2]]
        for (let x = 0; x < width; x++) {
          const at = start + x
          out[target + x] = a * source[at] + b * source[at + width] + c * source[at + 2 * width]
        }
        continue
      }
      for (let t = 0; t < taps; t++) {
        const weight = weights[i * taps + t]
        const row = start + t * width
        if (weight !== 0) for (let x = 0; x < width; x++) out[target + x] += weight * source[row + x]
      }
    }
  }
  return out
}

/** Each of `rows` rows of `width` values as one of `to`. */
function alongRows(source: Float32Array, rows: number, width: number, to: number): Float32Array {
  const { first, weights, taps } = triangle(width, to)
  const out = new Float32Array(rows * to)
  for (let row = 0; row < rows; row++) {
    const begin = row * width
    const target = row * to
    if (taps === 3) {
      for (let i = 0; i < to; i++) {
        const at = begin + first[i]
        const w = 3 * i
        out[target + i] = weights[w] * source[at] + weights[w + 1] * source[at + 1] + weights[w + 2] * source[at + 2]
      }
      continue
    }
    for (let i = 0; i < to; i++) {
      const at = begin + first[i]
      let sum = 0
      for (let t = 0; t < taps; t++) sum += weights[i * taps + t] * source[at + t]
      out[target + i] = sum
    }
  }
  return out
}

/** Planes [planes, height, width] as [planes, h, w]. */
export function resample(
  source: Float32Array,
  planes: number,
  height: number,
  width: number,
  h: number,
  w: number,
): Float32Array {
  const columns = alongColumns(source, planes, height, width, h)
  return alongRows(columns, planes * h, width, w)
}
