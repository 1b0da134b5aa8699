// The convolutions of nn.functional in one, two and three dimensions, and their transposes.
import { RuntimeError } from '../base/errors.ts'
import { type Args, op, type Samples } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type Amount, checkBias, convolve, convolveSame } from './convolution.ts'
import { squeeze, unsqueeze } from './view.ts'

/** Zeros on both sides, or as many as give an output of the input's size, or none. */
export type Padding = Amount | 'same' | 'valid'

interface ConvOptions {
  readonly bias?: Tensor | null
  readonly stride?: Amount
  readonly padding?: Padding
  readonly dilation?: Amount
  readonly groups?: number
}

/** (input, weight, bias, stride, padding, dilation, groups), by position or by name. */
export type Conv = (
  x: Tensor,
  weight: Tensor,
  ...args: Args<
    [bias?: Tensor | null, stride?: Amount, padding?: Padding, dilation?: Amount, groups?: number],
    ConvOptions
  >
) => Tensor

interface TransposeOptions {
  readonly bias?: Tensor | null
  readonly stride?: Amount
  readonly padding?: Amount
  readonly outputPadding?: Amount
  readonly groups?: number
  readonly dilation?: Amount
}

/** (input, weight, bias, stride, padding, outputPadding, groups, dilation), by position or by name. */
export type ConvTranspose = (
  x: Tensor,
  weight: Tensor,
  ...args: Args<
    [
      bias?: Tensor | null,
      stride?: Amount,
      padding?: Amount,
      outputPadding?: Amount,
      groups?: number,
      dilation?: Amount,
    ],
    TransposeOptions
  >
) => Tensor

/** Runs `body` on a batch; an input without a batch dimension is a batch of one. */
function batched(name: string, x: Tensor, dims: number, body: (x: Tensor) => Tensor): Tensor {
  if (x.ndim === dims + 2) return body(x)
  if (x.ndim === dims + 1) return squeeze(body(unsqueeze(x, 0)), 0)
  throw new RuntimeError(
    `Expected ${dims + 1}D (unbatched) or ${dims + 2}D (batched) input to ${name}, but got input of size: [${x.sizes.join(', ')}]`,
  )
}

const zeros = (dims: number): number[] => Array<number>(dims).fill(0)
const ones = (dims: number): number[] => Array<number>(dims).fill(1)

function conv(dims: 1 | 2 | 3, samples: Samples): Conv {
  const name = `conv${dims}d`
  return op({
    name,
    python: `nn.functional.${name}`,
    signature: 'input, weight, bias, stride, padding, dilation, groups',
    samples,
    differentiable: true,
    forward: (
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null = null,
      stride: Amount = ones(dims),
      padding: Padding = zeros(dims),
      dilation: Amount = ones(dims),
      groups = 1,
    ) => {
      checkBias(x, bias)
      return batched(name, x, dims, (images) => {
        if (padding === 'same') {
          if ((typeof stride === 'number' ? [stride] : stride).some((n) => n !== 1))
            throw new RuntimeError("padding='same' is not supported for strided convolutions")
          return convolveSame(images, weight, bias, dilation, groups)
        }
        if (typeof padding === 'string' && padding !== 'valid')
          throw new RuntimeError(`Invalid padding string: '${padding}'`)
        const plain = { stride, padding: padding === 'valid' ? 0 : padding, dilation, groups }
        return convolve(images, weight, bias, { ...plain, transposed: false, outputPadding: 0 })
      })
    },
  })
}

function convTranspose(dims: 1 | 2 | 3, samples: Samples): ConvTranspose {
  const python = `conv_transpose${dims}d`
  return op({
    name: `convTranspose${dims}d`,
    python: `nn.functional.${python}`,
    signature: 'input, weight, bias, stride, padding, output_padding, groups, dilation',
    samples,
    differentiable: true,
    forward: (
      x: Tensor,
      weight: Tensor,
      bias: Tensor | null = null,
      stride: Amount = ones(dims),
      padding: Amount = zeros(dims),
      outputPadding: Amount = zeros(dims),
      groups = 1,
      dilation: Amount = ones(dims),
    ) => {
      checkBias(x, bias)
      return batched(python, x, dims, (images) =>
        convolve(images, weight, bias, { stride, padding, dilation, transposed: true, outputPadding, groups }),
      )
    },
  })
}

/** The cross-correlation of input [n, c, l] (or [c, l]) with weight [o, c / groups, k], plus bias [o]. */
export const conv1d: Conv = conv(1, (t) => [
  [t(2, 3, 6), t(4, 3, 3), t(4)],
  [t(4, 7), t(2, 2, 3), null, 2, 1, 2, 2],
  [t(2, 1, 5), t(2, 1, 2), t(2), { padding: 'same' }],
  [t(0, 2, 5), t(3, 2, 2), t(3)],
])

/** The cross-correlation of input [n, c, h, w] (or [c, h, w]) with weight [o, c / groups, kh, kw], plus bias [o]. */
export const conv2d: Conv = conv(2, (t) => [
  [t(2, 2, 4, 5), t(3, 2, 3, 2), t(3)],
  [t(1, 3, 5, 4), t(3, 1, 2, 2), t(3), [2, 1], [1, 0], [1, 2], 3],
  [t(2, 4, 3), t(1, 2, 1, 1), null, 2],
  [t(1, 1, 4, 4), t(1, 1, 2, 3), null, { padding: 'same', dilation: [1, 2] }],
])

/** The cross-correlation of input [n, c, d, h, w] (or [c, d, h, w]) with weight [o, c / groups, kd, kh, kw], plus bias [o]. */
export const conv3d: Conv = conv(3, (t) => [
  [t(1, 2, 3, 3, 4), t(2, 2, 2, 2, 3), t(2)],
  [t(2, 2, 3, 2), t(2, 1, 2, 1, 2), null, [1, 2, 1], 1, [2, 1, 1], 2],
])

/** The gradient of `conv1d` with respect to its input, as an operation: input [n, c, l], weight [c, o / groups, k]. */
export const convTranspose1d: ConvTranspose = convTranspose(1, (t) => [
  [t(2, 3, 4), t(3, 2, 3), t(2)],
  [t(4, 3), t(4, 1, 2), null, 3, 1, 1, 2, 2],
])

/** The gradient of `conv2d` with respect to its input, as an operation: input [n, c, h, w], weight [c, o / groups, kh, kw]. */
export const convTranspose2d: ConvTranspose = convTranspose(2, (t) => [
  [t(2, 2, 3, 2), t(2, 3, 2, 3), t(3)],
  [t(2, 2, 3), t(2, 1, 3, 2), t(2), [2, 1], [1, 0], [1, 0], 2, [1, 2]],
])

/** The gradient of `conv3d` with respect to its input: input [n, c, d, h, w], weight [c, o / groups, kd, kh, kw]. */
export const convTranspose3d: ConvTranspose = convTranspose(3, (t) => [
  [t(1, 2, 2, 2, 3), t(2, 1, 2, 2, 2), t(1)],
  [t(1, 1, 2, 2, 1), t(1, 2, 1, 2, 2), null, [2, 1, 2], [0, 1, 0], [1, 0, 1]],
])
