// What a convolution is made of: windows, each a dense correlation over a bordered image. The output has one; the
// gradient of the input has one for each phase of the strides.
import type { ConvolutionArgs, Triple } from '../device.ts'

/** Along one dimension: element j of the bordered image is source element j * pick - before, or zero. */
export interface Edge {
  readonly before: number
  readonly length: number
  readonly pick: number
}

/** Along one dimension of one window, in elements of the bordered image, the kernel and the target. */
export interface Span {
  /** Pixels computed; pixel p reads elements offset + p * step + t * gap for t < taps. */
  readonly pixels: number
  readonly offset: number
  readonly step: number
  readonly taps: number
  readonly gap: number
  /** Tap t has this index in the kernel. */
  readonly tapFirst: number
  readonly tapStep: number
  /** Pixel p has this index in the target. */
  readonly targetFirst: number
  readonly targetStep: number
}

/** One dimension: its border and its spans, one of which each window takes. */
export interface Axis {
  readonly edge: Edge
  readonly spans: readonly Span[]
}

type Sizes = Pick<ConvolutionArgs, 'input' | 'output' | 'kernel' | 'stride' | 'padding' | 'dilation'>

/** Dimension `d` of the output from the input, for output pixels `first` to `end`. */
export function outputAxis(s: Sizes, d: number, first: number, end: number): Axis {
  const [pixels, taps, stride, gap] = [end - first, s.kernel[d], s.stride[d], s.dilation[d]]
  const target = { tapFirst: 0, tapStep: 1, targetFirst: 0, targetStep: 1 }
  const before = s.padding[d] - first * stride
  if (taps === 1) {
    // A single tap reads nothing between its pixels.
    const span = { pixels, offset: 0, step: 1, taps, gap: 1, ...target }
    return { edge: { before, length: pixels, pick: stride }, spans: [span] }
  }
  const span = { pixels, offset: 0, step: stride, taps, gap, ...target }
  return { edge: { before, length: (pixels - 1) * stride + (taps - 1) * gap + 1, pick: 1 }, spans: [span] }
}

/** Dimension `d` of the input from the output, for input elements `first` to `end`. */
export function inputAxis(s: Sizes, d: number, first: number, end: number): Axis {
  const [taps, stride, dilation] = [s.kernel[d], s.stride[d], s.dilation[d]]
  const padding = s.padding[d] + first
  const spans: (Span & { before: number })[] = []
  for (let phase = 0; phase < stride; phase++) {
    // Input elements i = stride * m + phase - padding meet outputs m - (k * dilation - phase) / stride.
    const from = Math.ceil((padding - phase) / stride)
    const targetFirst = stride * from + phase - padding
    const pixels = Math.max(0, Math.ceil((end - first - targetFirst) / stride))
    const list: number[] = []
    for (let k = taps - 1; k >= 0; k--) if ((k * dilation - phase) % stride === 0) list.push(k)
    const distance = (k: number): number => (k * dilation - phase) / stride
    spans.push({
      pixels,
      offset: 0,
      step: 1,
      taps: list.length,
      gap: list.length > 1 ? distance(list[0]) - distance(list[1]) : 1,
      tapFirst: list.length > 0 ? list[0] : 0,
      tapStep: list.length > 1 ? list[1] - list[0] : -1,
      targetFirst,
      targetStep: stride,
      before: list.length > 0 ? distance(list[0]) - from : Number.NEGATIVE_INFINITY,
    })
  }
  const before = Math.max(...spans.map((p) => p.before))
  if (before === Number.NEGATIVE_INFINITY) {
    return { edge: { before: 0, length: 1, pick: 1 }, spans: spans.map((p) => ({ ...p, offset: 0 })) }
  }
  const moved = spans.map((p) => ({ ...p, offset: p.taps > 0 ? before - p.before : 0 }))
  const length = Math.max(...moved.map((p) => (p.taps > 0 ? p.offset + p.pixels + (p.taps - 1) * p.gap : 1)))
  return { edge: { before, length, pick: 1 }, spans: moved }
}

/** The part of a border that holds source elements: indices from `first` to `end`. */
export function covered({ before, length, pick }: Edge, size: number): readonly [first: number, end: number] {
  const first = Math.min(Math.max(Math.ceil(before / pick), 0), length)
  const end = Math.min(Math.floor((size - 1 + before) / pick) + 1, length)
  return [first, Math.max(first, end)]
}

/** One window: a span of each dimension. */
export type Window = readonly [Span, Span, Span]

/** Every combination of the axes' spans. */
export function windowsOf(axes: readonly Axis[]): Window[] {
  return axes[0].spans.flatMap((a) => axes[1].spans.flatMap((b) => axes[2].spans.map((c): Window => [a, b, c])))
}

/** The elements of a triple, multiplied. */
export function volume(t: Triple): number {
  return t[0] * t[1] * t[2]
}
