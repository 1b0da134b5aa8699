// The weights of bilinear resizing with a filter as wide as an output pixel is in the input, as Pillow, torchvision and
// PyTorch (antialias) have them.

/** For each output position: where its inputs begin, and `taps` weights that add up to 1. */
export interface Filter {
  readonly first: Int32Array
  readonly weights: Float64Array
  readonly taps: number
}

/** A triangle around each output pixel. Three taps or more where there are as many inputs: zeros fill them up. */
export function triangle(from: number, to: number): Filter {
  const scale = from / to
  const support = Math.max(scale, 1)
  const inverse = 1 / support
  let taps = Math.min(from, 3)
  for (let i = 0; i < to; i++) taps = Math.max(taps, endOf(i, from, scale, support) - startOf(i, scale, support))
  const first = new Int32Array(to)
  const weights = new Float64Array(to * taps)
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale
    const start = startOf(i, scale, support)
    const end = endOf(i, from, scale, support)
    first[i] = Math.min(start, from - taps)
    const at = i * taps - first[i]
    let sum = 0
    for (let x = start; x < end; x++) {
      sum += weights[at + x] = Math.max(0, 1 - Math.abs((x - center + 0.5) * inverse))
    }
    for (let x = start; x < end; x++) weights[at + x] /= sum
  }
  return { first, weights, taps }
}

function startOf(i: number, scale: number, support: number): number {
  return Math.max(0, Math.trunc((i + 0.5) * scale - support + 0.5))
}

function endOf(i: number, from: number, scale: number, support: number): number {
  return Math.min(from, Math.trunc((i + 0.5) * scale + support + 0.5))
}
