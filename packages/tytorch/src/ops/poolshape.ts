// The windows of pooling: arguments as PyTorch takes them, its checks, and the sizes that follow. Everything is seen as
// [planes, depth, height, width]; dimensions that a pooling does not have are of size 1.
import { RuntimeError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** One number for all spatial dimensions, or one for each. */
export type Extents = number | Sizes
type Triple = readonly [number, number, number]

/** Windows over planes; all in the order depth, height, width. */
export interface Windows {
  /** The number of spatial dimensions: 1, 2 or 3. */
  readonly rank: number
  readonly planes: number
  readonly input: Triple
  readonly output: Triple
  readonly kernel: Triple
  readonly stride: Triple
  readonly pad: Triple
  readonly dilation: Triple
  /** The sizes of the result. */
  readonly sizes: Sizes
}

export interface WindowOptions {
  readonly kernel: Extents
  readonly stride?: Extents | null | undefined
  readonly padding?: Extents | undefined
  readonly dilation?: Extents | undefined
  readonly ceil?: boolean | undefined
}

const COUNT = ['no', 'one', 'two', 'three']

/** `given` for each of `rank` dimensions. Throws RuntimeError for another number of them. */
export function extents(name: string, what: string, given: Extents, rank: number): number[] {
  const list = typeof given === 'number' ? [given] : [...given]
  if (list.length === 1) return Array.from({ length: rank }, () => list[0])
  if (list.length === rank) return list
  const optional = what === 'stride' ? 'be omitted, a single int,' : 'be a single int,'
  throw new RuntimeError(
    rank === 1
      ? `${name}() ${what} must be an int, list of ints or tuple of ints of size 1 but got size ${list.length}`
      : `${name}: ${what} must either ${optional} or a tuple of ${COUNT[rank]} ints`,
  )
}

const triple = (list: readonly number[], fill: number): Triple =>
  [...Array.from({ length: 3 - list.length }, () => fill), ...list] as unknown as Triple

/** The number of windows along one dimension. Throws RuntimeError for what PyTorch refuses. */
function windowsAlong(n: number, k: number, s: number, p: number, d: number, ceil: boolean): number {
  if (s === 0) throw new RuntimeError('stride should not be zero')
  if (p < 0) throw new RuntimeError(`pad must be non-negative, but got pad: ${p}`)
  if (p > Math.floor(((k - 1) * d + 1) / 2)) {
    throw new RuntimeError(
      `pad should be at most half of effective kernel size, but got pad=${p}, kernel_size=${k} and dilation=${d}`,
    )
  }
  const out = Math.floor((n + 2 * p - d * (k - 1) - 1 + (ceil ? s - 1 : 0)) / s) + 1
  return ceil && (out - 1) * s >= n + p ? out - 1 : out
}

const AXES = ['D', 'H', 'W']

/** The windows of a pooling over the last `rank` dimensions of `x`. Throws RuntimeError for what PyTorch refuses. */
export function windowsOf(name: string, x: Tensor, rank: number, options: WindowOptions): Windows {
  const kernel = extents(name, 'kernel_size', options.kernel, rank)
  const absent = options.stride === undefined || options.stride === null
  const given = absent || (Array.isArray(options.stride) && options.stride.length === 0) ? kernel : options.stride
  const stride = extents(name, 'stride', given as Extents, rank)
  const pad = extents(name, 'padding', options.padding ?? 0, rank)
  const dilation = extents(name, 'dilation', options.dilation ?? 1, rank)
  checkInput(name, x, rank)
  if (rank === 1) {
    for (const [what, list] of [
      ['kernel_size', kernel],
      ['stride', stride],
      ['dilation', dilation],
    ] as const) {
      if (list[0] <= 0) throw new RuntimeError(`${name}() ${what} must be greater than zero, but got ${list[0]}`)
    }
  }
  const input = x.sizes.slice(x.ndim - rank)
  const output = input.map((n, i) => windowsAlong(n, kernel[i], stride[i], pad[i], dilation[i], options.ceil ?? false))
  const positive = (what: string, label: string, list: readonly number[]): void => {
    if (list.every((n) => n > 0)) return
    const text = list.map((n, i) => `${label}${AXES[3 - rank + i]}: ${n}`).join(' ')
    throw new RuntimeError(`${what} should be greater than zero, but got ${text}`)
  }
  positive('kernel size', 'k', kernel)
  positive('stride', 'd', stride)
  positive('dilation', 'dilation', dilation)
  if (output.some((n) => n < 1)) {
    const channels = x.sizes[x.ndim - rank - 1]
    throw new RuntimeError(
      `Given input size: (${[channels, ...input].join('x')}). Calculated output size: (${[channels, ...output].join('x')}). Output size is too small`,
    )
  }
  const lead = x.sizes.slice(0, x.ndim - rank)
  return {
    rank,
    planes: numelOf(lead),
    input: triple(input, 1),
    output: triple(output, 1),
    kernel: triple(kernel, 1),
    stride: triple(stride, 1),
    pad: triple(pad, 0),
    dilation: triple(dilation, 1),
    sizes: [...lead, ...output],
  }
}

function checkInput(name: string, x: Tensor, rank: number): void {
  const batched = x.ndim === rank + 2
  const empty = x.sizes.some((n, i) => n === 0 && !(i === 0 && batched))
  if ((batched || x.ndim === rank + 1) && !empty) return
  const kinds = `${rank + 1}D or ${rank + 2}D (batch mode) tensor`
  const prefix = rank === 2 ? '' : `${name}: `
  throw new RuntimeError(
    `${prefix}Expected ${kinds} with optional 0 dim batch size for input, but got:[${x.sizes.join(', ')}]`,
  )
}
