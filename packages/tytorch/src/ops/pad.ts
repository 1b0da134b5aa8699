// Padding: borders of one value, or made of the tensor's own elements mirrored, repeated or wrapped around.
import { bool } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, type Num, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { fillValues } from './create.ts'

/** How `pad` fills a border. */
export type PadMode = 'constant' | 'reflect' | 'replicate' | 'circular'

/** One dimension: what is cut off both ends of `n` elements, and the borders that are added. */
interface Border {
  readonly dim: number
  readonly skip: number
  readonly kept: number
  readonly left: number
  readonly right: number
}

/** `pad` counts from the last dimension: [left, right, top, bottom, ...]; negative ones cut off. */
function borders(sizes: Sizes, pad: Sizes, mode: PadMode = 'constant'): Border[] {
  return Array.from({ length: pad.length / 2 }, (_, i) => {
    const dim = sizes.length - 1 - i
    const n = sizes[dim]
    const [l, r] = [pad[2 * i], pad[2 * i + 1]]
    const skip = Math.max(-l, 0)
    const kept = n - skip - Math.max(-r, 0)
    // The edge is repeated even where all elements are cut off.
    if (mode === 'replicate' && kept < 1 && n + l + r > 0)
      return { dim, skip: l < 0 ? n - 1 : 0, kept: 1, left: 0, right: n + l + r - 1 }
    return { dim, skip, kept, left: Math.max(l, 0), right: Math.max(r, 0) }
  })
}

/** `length` elements of dimension `dim` from `start` on, one every `step`, without history. */
function part(x: Tensor, dim: number, start: number, length: number, step = 1): Tensor {
  const sizes = x.sizes.map((n, i) => (i === dim ? length : n))
  const strides = x.strides.map((s, i) => (i === dim ? s * step : s))
  return alias(x, sizes, strides, x.offset + start * x.strides[dim])
}

/** The elements of the input that stay, and where they lie in the output. */
const source = (x: Tensor, list: readonly Border[]): Tensor =>
  list.reduce((t, { dim, skip, kept }) => part(t, dim, skip, kept), x)
const interior = (out: Tensor, list: readonly Border[]): Tensor =>
  list.reduce((t, { dim, left, kept }) => part(t, dim, left, kept), out)

function paddedSizes(sizes: Sizes, pad: Sizes): number[] {
  const out = [...sizes]
  for (const { dim, kept, left, right } of borders(sizes, pad)) out[dim] = kept + left + right
  return out
}

/** `x` with borders of `value` (negative ones cut off): [left, right, top, bottom, ...] from the last dimension. */
export const constantPadNd: (x: Tensor, pad: Sizes, ...args: Args<[value?: Num], { value?: Num }>) => Tensor = op({
  name: 'constantPadNd',
  signature: 'input, pad, value',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), [1, 2]],
    [t(3, 4), [1, 0, -1, 2], 1.5],
    [t(2, 3, 4), [-1, -1, 0, 0, 1, 1]],
  ],
  forward: (x: Tensor, pad: Sizes, value: Num = 0) => {
    if (pad.length % 2 !== 0) throw new RuntimeError(`Length of pad must be even but instead it equals ${pad.length}`)
    if (pad.length > 2 * x.ndim) {
      throw new RuntimeError(
        `Length of pad should be no more than twice the number of dimensions of the input. Pad length is ${pad.length} while the input has ${x.ndim} dimensions.`,
      )
    }
    const list = borders(x.sizes, pad)
    const sizes = paddedSizes(x.sizes, pad)
    for (const { dim, kept } of list) {
      if (sizes[dim] < 0 || kept < 0) throw new RuntimeError('narrow(): length must be non-negative.')
    }
    const out = empty(sizes, x.dtype)
    if (list.some((b) => b.left + b.right > 0)) fillValues(out, value)
    copyValues(source(x, list), interior(out, list))
    return record(out, 'ConstantPadNdBackward0', [x], [], (g) => [
      constantPadNd(
        g,
        pad.map((n) => -n),
      ),
    ])
  },
})

type Mirror = Exclude<PadMode, 'constant'>
const TITLE = { reflect: 'ReflectionPad', replicate: 'ReplicationPad', circular: 'CircularPad' } as const

/** Pairs of a border's elements and the elements of `out` that they repeat. */
function repeats(out: Tensor, { dim, left, right, kept }: Border, mode: Mirror): [to: Tensor, from: Tensor][] {
  const end = left + kept
  const pairs: [Tensor, Tensor][] = []
  const pair = (to: number, from: number, n: number, step: number): void => {
    if (n > 0) pairs.push([part(out, dim, to, n), part(out, dim, from, n, step)])
  }
  if (mode === 'reflect') {
    pair(0, 2 * left, left, -1)
    pair(end, end - 2, right, -1)
  } else if (mode === 'replicate') {
    pair(0, left, left, 0)
    pair(end, end - 1, right, 0)
  } else {
    pair(0, kept, left, 1)
    pair(end, left, right, 1)
  }
  return pairs
}

/** `x` with borders of its own elements: dimension by dimension, so that corners repeat borders. */
function mirrored(x: Tensor, pad: Sizes, mode: Mirror): Tensor {
  const list = borders(x.sizes, pad, mode)
  const out = empty(paddedSizes(x.sizes, pad), x.dtype)
  if (out.count > 0) {
    copyValues(source(x, list), interior(out, list))
    for (const border of list) for (const [to, from] of repeats(out, border, mode)) copyValues(from, to)
  }
  const { sizes } = x
  const name = `${TITLE[mode]}${pad.length / 2}D`
  return record(out, `${name}Backward0`, [x], [], (g) => [folded(g, sizes, pad, mode)])
}

/** The adjoint of `mirrored`: every border's elements are added to those that they repeat. */
function folded(g: Tensor, sizes: Sizes, pad: Sizes, mode: Mirror): Tensor {
  const list = borders(sizes, pad, mode)
  const whole = g.detach().clone()
  for (const border of [...list].reverse()) {
    for (const [to, from] of repeats(whole, border, mode)) {
      if (mode !== 'replicate') from.add_(to)
      else {
        const edge = part(from, border.dim, 0, 1)
        for (let i = 0; i < to.sizes[border.dim]; i++) edge.add_(part(to, border.dim, i, 1))
      }
    }
  }
  const cut = list.some((b) => b.skip > 0 || b.kept < sizes[b.dim])
  const out = empty(sizes, g.dtype)
  if (cut) fillValues(out, 0)
  copyValues(interior(whole, list), source(out, list))
  const name = `${TITLE[mode]}${pad.length / 2}D`
  return record(out, `${name}BackwardBackward0`, [g], [], (gg) => [mirrored(gg, pad, mode)])
}

function checkMirror(x: Tensor, pad: Sizes, mode: Mirror): void {
  const n = pad.length / 2
  if (x.ndim !== n + 1 && x.ndim !== n + 2) {
    throw new NotImplementedError(`Padding size ${pad.length} is not supported for ${x.ndim}D input tensor.`)
  }
  const sizes = `[${x.sizes.join(', ')}]`
  for (let i = 0; i < n; i++) {
    const dim = x.ndim - 1 - i
    const size = x.sizes[dim]
    const [l, r] = [pad[2 * i], pad[2 * i + 1]]
    if (mode === 'circular') {
      if (l > size || r > size) throw new RuntimeError('Padding value causes wrapping around more than once.')
      if (l + r + size < 0) throw new RuntimeError('Negative padding value is resulting in an empty dimension.')
    } else if (mode === 'reflect' && (l >= size || r >= size) && size > 0) {
      throw new RuntimeError(
        `Argument #${2 * i + 4}: Padding size should be less than the corresponding input dimension, but got: padding (${l}, ${r}) at dimension ${dim} of input ${sizes}`,
      )
    }
  }
  if (mode === 'circular') return
  if (x.sizes.some((size, i) => size === 0 && !(i === 0 && x.ndim === n + 2))) {
    throw new RuntimeError(
      `Expected ${n + 1}D or ${n + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ${sizes}`,
    )
  }
  if (x.dtype === bool) {
    const kernel = mode === 'reflect' ? 'reflection_pad' : 'replication_pad'
    throw new NotImplementedError(`"${kernel}${n}d" not implemented for 'Bool'`)
  }
  const bad = borders(x.sizes, pad, mode).find(
    (b) => b.kept + b.left + b.right < 0 || (b.kept < 1 && b.left + b.right > 0),
  )
  if (bad) {
    throw new RuntimeError(
      `input (${x.sizes.map((_, i) => `${'DHW'.slice(3 - n)[i - x.ndim + n] ?? 'C'}: ${x.sizes[i]}`).join(' ')}) is too small for a padding of ${pad.join(', ')}`,
    )
  }
}

interface PadOptions {
  readonly mode?: PadMode
  /** What a constant border holds; 0 if absent. */
  readonly value?: number | null
}

/**
 * `x` with borders of the widths [left, right, top, bottom, ...], from the last dimension on; negative ones cut off.
 * 'constant' takes any number of dimensions; 'reflect' (without the edge), 'replicate' (the edge) and 'circular' take
 * the last one of 2-d or 3-d, two of 3-d or 4-d, three of 4-d or 5-d tensors.
 */
export const pad: (
  x: Tensor,
  pad: Sizes,
  ...args: Args<[mode?: PadMode, value?: number | null], PadOptions>
) => Tensor = op({
  name: 'pad',
  python: 'nn.functional.pad',
  signature: 'input, pad, mode, value',
  differentiable: true,
  samples: (t) => [
    [t(3, 4), [1, 2]],
    [t(2, 3, 4), [1, 2, 2, 1], 'reflect'],
    [t(2, 3, 4), [3, 2, 2, 0], 'replicate'],
    [t(2, 3, 4), [4, 2, 1, 3], 'circular'],
    [t(1, 2, 3, 4), [-1, 2, 0, 1, 1, 0], 'reflect'],
  ],
  forward: (x: Tensor, widths: Sizes, mode: PadMode = 'constant', value: number | null = null) => {
    if (widths.length % 2 !== 0) throw new RuntimeError('Padding length must be divisible by 2')
    if (widths.length > 2 * x.ndim) {
      throw new RuntimeError(
        `Padding length should be less than or equal to two times the input dimension but got padding length ${widths.length} and input of dimension ${x.ndim}`,
      )
    }
    if (mode === 'constant') return constantPadNd(x, widths, value ?? 0)
    if (!(mode in TITLE)) throw new NotImplementedError(`Unrecognised padding mode ${mode}`)
    if (value !== null && value !== 0) throw new RuntimeError(`Padding mode "${mode}" doesn't take in value argument`)
    checkMirror(x, widths, mode)
    return mirrored(x, widths, mode)
  },
})
