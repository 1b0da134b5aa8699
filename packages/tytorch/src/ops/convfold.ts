// Sliding blocks of images as columns, and their sum back into images: nn.functional.unfold and fold.
import { int8, int16, int32, int64, uint8 } from '../base/dtype.ts'
import { IndexError, NotImplementedError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import type { Amount } from './convolution.ts'
import { fillValues } from './create.ts'
import { squeeze, unsqueeze } from './view.ts'

/** Images [n, c, ...sizes] and how blocks lie in them. */
interface Blocks {
  readonly sizes: Sizes
  readonly kernel: Sizes
  readonly dilation: Sizes
  readonly padding: Sizes
  readonly stride: Sizes
}

/** The number of blocks along both dimensions. */
const counts = (b: Blocks): number[] =>
  b.sizes.map((n, i) => Math.floor((n + 2 * b.padding[i] - b.dilation[i] * (b.kernel[i] - 1) - 1) / b.stride[i]) + 1)

const tuple = (list: Sizes): string => `(${list.join(', ')})`
const list = (sizes: Sizes): string => `[${sizes.join(', ')}]`

function pair(name: string, value: Amount): Sizes {
  if (typeof value === 'number') return [value, value]
  if (value.length !== 2) throw new RuntimeError(`It is expected ${name} equals to 2, but got size ${value.length}`)
  return value
}

function checkBlocks({ kernel, dilation, padding, stride }: Blocks): void {
  const text = (name: string, [h, w]: Sizes): string => `${name}_height: ${h} ${name}_width: ${w}`
  const positive: [string, string, Sizes][] = [
    ['kernel size', 'kernel', kernel],
    ['dilation', 'dilation', dilation],
  ]
  for (const [what, name, values] of positive)
    if (values.some((n) => n <= 0))
      throw new RuntimeError(`${what} should be greater than zero, but got ${text(name, values)}`)
  if (padding.some((n) => n < 0))
    throw new RuntimeError(`padding should be non-negative, but got ${text('pad', padding)}`)
  if (stride.some((n) => n <= 0))
    throw new RuntimeError(`stride should be greater than zero, but got ${text('stride', stride)}`)
}

/** Images [n, c, h, w] with `padding` zeros around them; contiguous. */
function bordered(x: Tensor, { padding: [h, w] }: Blocks): Tensor {
  const [n, c, rows, columns] = x.sizes
  const out = empty([n, c, rows + 2 * h, columns + 2 * w], x.dtype)
  if (h + w > 0) fillValues(out, 0)
  copyValues(x, interior(out, x.sizes, h, w))
  return out
}

const interior = (x: Tensor, sizes: Sizes, h: number, w: number): Tensor =>
  alias(x, sizes, x.strides, x.offset + h * x.strides[2] + w * x.strides[3])

/** The blocks of bordered images as a view [n, c, kh, kw, oh, ow]. */
function view(x: Tensor, b: Blocks): Tensor {
  const [n, c, h, w] = x.strides
  const { dilation, stride } = b
  const strides = [n, c, h * dilation[0], w * dilation[1], h * stride[0], w * stride[1]]
  return alias(x, [x.sizes[0], x.sizes[1], ...b.kernel, ...counts(b)], strides, x.offset)
}

function columnsOf(x: Tensor, b: Blocks): Tensor {
  const blocks = view(bordered(x, b), b)
  const [n, c, kh, kw, oh, ow] = blocks.sizes
  const out = empty([n, c * kh * kw, oh * ow], x.dtype)
  copyValues(blocks, out.view(blocks.sizes))
  return record(out, 'Im2ColBackward0', [x], [], (g) => [imagesOf(g, b)])
}

function imagesOf(columns: Tensor, b: Blocks): Tensor {
  const [kh, kw] = b.kernel
  const [oh, ow] = counts(b)
  const [n, rows] = columns.sizes
  const c = rows / (kh * kw)
  const [h, w] = b.padding
  const whole = empty([n, c, b.sizes[0] + 2 * h, b.sizes[1] + 2 * w], columns.dtype)
  fillValues(whole, 0)
  const places = view(whole, b)
  const blocks = columns.detach().reshape([n, c, kh, kw, oh, ow])
  // Blocks overlap, but those of one tap don't.
  for (let i = 0; i < kh; i++)
    for (let j = 0; j < kw; j++) places.select(2, i).select(2, j).add_(blocks.select(2, i).select(2, j))
  const out = h + w === 0 ? whole : interior(whole, [n, c, ...b.sizes], h, w).contiguous()
  return record(out, 'Col2ImBackward0', [columns], [], (g) => [columnsOf(g, b)])
}

interface FoldOptions {
  readonly dilation?: Amount
  readonly padding?: Amount
  readonly stride?: Amount
}

const INTEGERS = [int8, int16, int32, int64, uint8]

function checkDtype(x: Tensor, name: string): void {
  if (INTEGERS.includes(x.dtype)) throw new NotImplementedError(`"${name}" not implemented for '${x.dtype.title}'`)
}

/**
 * The sliding blocks of images [n, c, h, w] (or [c, h, w]) as columns: [n, c * kh * kw, blocks]. Throws RuntimeError if
 * no block fits.
 */
export const unfold: (
  x: Tensor,
  kernelSize: Amount,
  ...args: Args<[dilation?: Amount, padding?: Amount, stride?: Amount], FoldOptions>
) => Tensor = op({
  name: 'im2col',
  python: 'nn.functional.unfold',
  signature: 'input, kernel_size, dilation, padding, stride',
  samples: (t) => [
    [t(2, 2, 4, 3), 2],
    [t(1, 5, 6), [2, 3], [2, 1], [1, 0], [1, 2]],
  ],
  differentiable: true,
  forward: (x: Tensor, kernelSize: Amount, dilation: Amount = 1, padding: Amount = 0, stride: Amount = 1) => {
    if (x.ndim < 3)
      throw new IndexError(
        `Dimension out of range (expected to be in range of [${-x.ndim}, ${x.ndim - 1}], but got ${x.ndim})`,
      )
    const b: Blocks = {
      sizes: x.sizes.slice(-2),
      kernel: pair('kernel_size', kernelSize),
      dilation: pair('dilation', dilation),
      padding: pair('padding', padding),
      stride: pair('stride', stride),
    }
    checkBlocks(b)
    if (x.ndim > 4 || x.sizes.slice(x.ndim - 3).includes(0)) {
      throw new RuntimeError(
        `Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ${list(x.sizes)}`,
      )
    }
    const blocks = counts(b)
    if (blocks.some((n) => n < 1)) {
      throw new RuntimeError(
        `Given input with spatial size ${tuple(b.sizes)}, kernel_size=${tuple(b.kernel)}, dilation=${tuple(b.dilation)}, padding=${tuple(b.padding)}, calculated shape of the array of sliding blocks as ${tuple(blocks)}, but its components must be at least one.`,
      )
    }
    checkDtype(x, 'im2col_out_cpu')
    return x.ndim === 3 ? squeeze(columnsOf(unsqueeze(x, 0), b), 0) : columnsOf(x, b)
  },
})

/**
 * The sum of sliding blocks, columns [n, c * kh * kw, blocks] (or without n), into images [n, c, ...outputSize]: the
 * gradient of `unfold`, not its inverse, for overlapping elements add up.
 */
export const fold: (
  x: Tensor,
  outputSize: Amount,
  kernelSize: Amount,
  ...args: Args<[dilation?: Amount, padding?: Amount, stride?: Amount], FoldOptions>
) => Tensor = op({
  name: 'col2im',
  python: 'nn.functional.fold',
  signature: 'input, output_size, kernel_size, dilation, padding, stride',
  samples: (t) => [
    [t(2, 8, 6), [4, 3], 2],
    [t(6, 10), [5, 6], [2, 3], [2, 1], [1, 0], [1, 2]],
  ],
  differentiable: true,
  forward: (
    x: Tensor,
    outputSize: Amount,
    kernelSize: Amount,
    dilation: Amount = 1,
    padding: Amount = 0,
    stride: Amount = 1,
  ) => {
    const b: Blocks = {
      sizes: pair('output_size', outputSize),
      kernel: pair('kernel_size', kernelSize),
      dilation: pair('dilation', dilation),
      padding: pair('padding', padding),
      stride: pair('stride', stride),
    }
    checkBlocks(b)
    if (x.ndim < 2 || x.ndim > 3 || x.sizes.slice(x.ndim - 2).includes(0)) {
      throw new RuntimeError(
        `Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: ${list(x.sizes)}`,
      )
    }
    const [rows, columns] = x.sizes.slice(-2)
    if (rows % (b.kernel[0] * b.kernel[1]) !== 0) {
      throw new RuntimeError(
        `Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=${rows} and kernel_size=${tuple(b.kernel)}.`,
      )
    }
    const [oh, ow] = counts(b)
    if (columns !== oh * ow) {
      throw new RuntimeError(
        `Given output_size=${tuple(b.sizes)}, kernel_size=${tuple(b.kernel)}, dilation=${tuple(b.dilation)}, padding=${tuple(b.padding)}, stride=${tuple(b.stride)}, expected size of input's dimension 2 to match the calculated number of sliding blocks ${oh} * ${ow} = ${oh * ow}, but got input.size(2)=${columns}.`,
      )
    }
    checkDtype(x, 'col2im_out_cpu')
    return x.ndim === 2 ? squeeze(imagesOf(unsqueeze(x, 0), b), 0) : imagesOf(x, b)
  },
})
