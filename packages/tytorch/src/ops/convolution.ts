// The convolution that all the others are made of, and the gradients of its three operands, each a convolution again.
import type { ConvolutionArgs, ConvolutionPart, Triple } from '../backend/device.ts'
import { bool, type DType, float32, float64, int32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { op } from '../tensor/define.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { contiguous, to } from './copy.ts'
import { fillValues } from './create.ts'
import { sum } from './reduce.ts'

/** The geometry of a convolution: every list has one number a dimension; sizes are without batch and channels. */
export interface Geometry {
  readonly input: Sizes
  readonly kernel: Sizes
  readonly output: Sizes
  readonly stride: Sizes
  /** Before the first element; the output's size says how far the other end is padded. */
  readonly padding: Sizes
  readonly dilation: Sizes
  readonly groups: number
}

const NATIVE: readonly DType[] = [float32, float64, int32, int64]

/** Three numbers, `filler` for the leading dimensions that are absent. */
function triple(list: Sizes, filler: number): Triple {
  const n = list.length
  return [n > 2 ? list[n - 3] : filler, n > 1 ? list[n - 2] : filler, list[n - 1]]
}

/** Runs one part into `out`; operands are contiguous, of one native dtype. */
function run(part: ConvolutionPart, s: Geometry, x: Tensor, w: Tensor, y: Tensor, bias: Tensor | null): void {
  const out = part === 'output' ? y : part === 'input' ? x : w
  if (out.count === 0) return
  if (x.count === 0 || w.count === 0 || y.count === 0) {
    fillValues(out, 0)
    if (bias) out.add_(channelwise(bias, s))
    return
  }
  const args: ConvolutionArgs = {
    batch: x.sizes[0],
    groups: s.groups,
    inputChannels: x.sizes[1],
    outputChannels: y.sizes[1],
    input: triple(s.input, 1),
    output: triple(s.output, 1),
    kernel: triple(s.kernel, 1),
    stride: triple(s.stride, 1),
    padding: triple(s.padding, 0),
    dilation: triple(s.dilation, 1),
    x: x.pointer,
    w: w.pointer,
    y: y.pointer,
    bias: bias ? bias.pointer : 0,
  }
  device().convolution(out.dtype.name as 'float32' | 'float64' | 'int32' | 'int64', part, args)
}

const channelwise = (bias: Tensor, s: Geometry): Tensor => bias.detach().view([-1, ...s.input.map(() => 1)])

/** One part from its two operands, in the order input, weight, output without the one computed; nothing is recorded. */
function compute(part: ConvolutionPart, s: Geometry, a: Tensor, b: Tensor, bias: Tensor | null): Tensor {
  const { dtype } = a
  if (!NATIVE.includes(dtype)) {
    const wide = dtype.isFloatingPoint ? float32 : int32
    return to(compute(part, s, to(a, wide), to(b, wide), bias && to(bias, wide)), dtype)
  }
  const [p, q] = [contiguous(a), contiguous(b)]
  const line = bias && contiguous(bias)
  if (part === 'output') {
    // PyTorch answers no channels for an input that has none.
    const channels = p.sizes[1] === 0 ? 0 : q.sizes[0]
    const out = empty([p.sizes[0], channels, ...s.output], dtype)
    run(part, s, p, q, out, line)
    return out
  }
  if (part === 'input') {
    const out = empty([q.sizes[0], p.sizes[1] * s.groups, ...s.input], dtype)
    run(part, s, out, p, q, line)
    return out
  }
  const out = empty([q.sizes[1], p.sizes[1] / s.groups, ...s.kernel], dtype)
  run(part, s, p, out, q, null)
  return out
}

/** The gradient of a bias: the sum over all but the channels. */
function sumOfChannels(g: Tensor): Tensor {
  return sum(
    g,
    g.sizes.map((_, i) => i).filter((i) => i !== 1),
  )
}

const NAME = 'ConvolutionBackward0'

/** The output [n, o, ...] of input [n, c, ...], weight [o, c / groups, ...] and bias [o]. */
export function outputOf(x: Tensor, w: Tensor, bias: Tensor | null, s: Geometry): Tensor {
  const out = compute('output', s, x, w, bias)
  return record(out, NAME, bias ? [x, w, bias] : [x, w], [x, w], (g, [a, b], needs) => [
    needs[0] ? inputOf(b, g, null, s) : null,
    needs[1] ? weightOf(a, g, s) : null,
    ...(bias ? [needs[2] ? sumOfChannels(g) : null] : []),
  ])
}

/** The gradient of the input by weight and gradient of the output, plus a bias [c]; this is the transposed convolution. */
export function inputOf(w: Tensor, y: Tensor, bias: Tensor | null, s: Geometry): Tensor {
  const out = compute('input', s, w, y, bias)
  return record(out, NAME, bias ? [w, y, bias] : [w, y], [w, y], (g, [a, b], needs) => [
    needs[0] ? weightOf(g, b, s) : null,
    needs[1] ? outputOf(g, a, null, s) : null,
    ...(bias ? [needs[2] ? sumOfChannels(g) : null] : []),
  ])
}

/** The gradient of the weight by input and gradient of the output. */
function weightOf(x: Tensor, y: Tensor, s: Geometry): Tensor {
  return record(compute('weight', s, x, y, null), NAME, [x, y], [x, y], (g, [a, b], needs) => [
    needs[0] ? inputOf(g, b, null, s) : null,
    needs[1] ? outputOf(a, g, null, s) : null,
  ])
}

/** What an argument of a convolution was given as. */
export type Amount = number | Sizes

/** One number a dimension. Throws RuntimeError for a list of another length. */
function expanded(name: string, value: Amount, dims: number): Sizes {
  const list = typeof value === 'number' ? [value] : value
  if (list.length === 1) return Array<number>(dims).fill(list[0])
  if (list.length === dims) return list
  throw new RuntimeError(
    `expected ${name} to be a single integer value or a list of ${dims} values to match the convolution dimensions, but got ${name}=[${list.join(', ')}]`,
  )
}

const text = (sizes: Sizes): string => `[${sizes.join(', ')}]`
const by = (sizes: Sizes): string => `(${sizes.join(' x ')})`

/** `kernel_height: 3 kernel_width: 4` */
function labelled(name: string, list: Sizes): string {
  const labels = ['depth', 'height', 'width'].slice(3 - Math.max(list.length, 2))
  const padded = list.length === 1 ? [name === 'output_padding' ? 0 : 1, list[0]] : list
  return padded.map((n, i) => `${name}_${labels[i]}: ${n}`).join(' ')
}

interface Options {
  readonly stride: Amount
  readonly padding: Amount
  readonly dilation: Amount
  readonly transposed: boolean
  readonly outputPadding: Amount
  readonly groups: number
}

/** C++'s names of element types in messages. */
const SCALARS: Record<string, string> = {
  float32: 'float',
  float64: 'double',
  float16: 'c10::Half',
  bfloat16: 'c10::BFloat16',
  int64: 'long',
  int32: 'int',
  int16: 'short',
  int8: 'signed char',
  uint8: 'unsigned char',
  bool: 'bool',
}

/** Throws RuntimeError if input and bias differ in dtype. */
export function checkBias(x: Tensor, bias: Tensor | null): void {
  if (bias && x.dtype !== bias.dtype) {
    throw new RuntimeError(
      `Input type (${SCALARS[x.dtype.name]}) and bias type (${SCALARS[bias.dtype.name]}) should be the same`,
    )
  }
}

/** The arguments that don't depend on sizes, checked as PyTorch checks them. */
function checkArguments(o: Record<'stride' | 'padding' | 'dilation' | 'outputPadding', Sizes>, groups: number): void {
  if (groups <= 0) throw new RuntimeError('non-positive groups is not supported')
  if (o.padding.some((n) => n < 0)) throw new RuntimeError('negative padding is not supported')
  if (o.outputPadding.some((n) => n < 0)) throw new RuntimeError('negative output_padding is not supported')
  if (o.stride.some((n) => n <= 0)) throw new RuntimeError('non-positive stride is not supported')
  if (o.dilation.some((n) => n <= 0))
    throw new RuntimeError(`dilation should be greater than zero, but got ${text(o.dilation)}`)
}

function checkOperands(x: Tensor, w: Tensor, bias: Tensor | null, groups: number, transposed: boolean): void {
  const rank = w.ndim
  if (x.ndim !== rank) {
    throw new RuntimeError(
      `Expected ${rank}-dimensional input for ${rank}-dimensional weight ${text(w.sizes)}, but got ${x.ndim}-dimensional input of size ${text(x.sizes)} instead`,
    )
  }
  if (w.sizes[0] < groups) {
    throw new RuntimeError(
      `Given groups=${groups}, expected weight to be at least ${groups} at dimension 0, but got weight of size ${text(w.sizes)} instead`,
    )
  }
  if (w.sizes[0] % groups !== 0) {
    throw new RuntimeError(
      `Given groups=${groups}, expected weight to be divisible by ${groups} at dimension 0, but got weight of size [${text(w.sizes)}] instead`,
    )
  }
  const given = transposed ? 'Given transposed=1, weight' : `Given groups=${groups}, weight`
  const channels = transposed ? w.sizes[0] : w.sizes[1] * groups
  if (x.sizes[1] !== channels) {
    throw new RuntimeError(
      `${given} of size ${text(w.sizes)}, expected input${text(x.sizes)} to have ${channels} channels, but got ${x.sizes[1]} channels instead`,
    )
  }
  const outputs = transposed ? w.sizes[1] * groups : w.sizes[0]
  if (bias && (bias.ndim !== 1 || bias.sizes[0] !== outputs)) {
    throw new RuntimeError(
      `${transposed ? given : 'Given weight'} of size ${text(w.sizes)}, expected bias to be 1-dimensional with ${outputs} elements, but got bias of size ${text(bias.sizes)} instead`,
    )
  }
}

function checkDtypes(x: Tensor, w: Tensor, transposed: boolean): void {
  if (x.dtype !== w.dtype) throw new RuntimeError(`expected scalar type ${x.dtype.title} but found ${w.dtype.title}`)
  if (x.dtype === bool) {
    const where = `slow_conv${transposed ? '_transpose' : ''}${x.ndim === 5 ? 3 : 2}d_cpu`
    throw new NotImplementedError(`"${where}" not implemented for 'Bool'`)
  }
  const kernel = w.sizes.slice(2)
  if (kernel.includes(0))
    throw new RuntimeError(`kernel size should be greater than zero, but got ${labelled('kernel', kernel)}`)
}

/** A convolution or a transposed one of batched operands, which are checked here. */
export function convolve(x: Tensor, w: Tensor, bias: Tensor | null, o: Options): Tensor {
  const dims = Math.max(w.ndim - 2, 1)
  const all = {
    stride: expanded('stride', o.stride, dims),
    padding: expanded('padding', o.padding, dims),
    dilation: expanded('dilation', o.dilation, dims),
    outputPadding: expanded('output_padding', o.outputPadding, dims),
  }
  const { stride, padding, dilation, outputPadding } = all
  const { groups } = o
  checkArguments(all, groups)
  checkOperands(x, w, bias, groups, o.transposed)
  const kernel = w.sizes.slice(2)
  const sizes = x.sizes.slice(2)
  const reach = kernel.map((k, i) => dilation[i] * (k - 1) + 1)
  if (o.transposed) {
    const larger = sizes.map((n, i) => (n - 1) * stride[i] - 2 * padding[i] + reach[i] + outputPadding[i])
    if (outputPadding.some((n, i) => n >= stride[i] && n >= dilation[i])) {
      const lists = { output_padding: outputPadding, stride, dilation }
      throw new RuntimeError(
        `output padding must be smaller than either stride or dilation, but got ${Object.entries(lists)
          .map(([name, list]) => labelled(name, list))
          .join(' ')}`,
      )
    }
    checkDtypes(x, w, true)
    if (larger.some((n) => n < 1)) {
      throw new RuntimeError(
        `Given input size per channel: ${by(sizes)}. Calculated output size per channel: ${by(larger)}. Output size is too small`,
      )
    }
    checkFilled(x)
    return inputOf(w, x, bias, { input: larger, kernel, output: sizes, stride, padding, dilation, groups })
  }
  const padded = sizes.map((n, i) => n + 2 * padding[i])
  if (padded.some((n, i) => n < reach[i])) {
    throw new RuntimeError(
      `Calculated padded input size per channel: ${by(padded)}. Kernel size: ${by(reach)}. Kernel size can't be greater than actual input size`,
    )
  }
  checkDtypes(x, w, false)
  checkFilled(x)
  const output = padded.map((n, i) => Math.floor((n - reach[i]) / stride[i]) + 1)
  return outputOf(x, w, bias, { input: sizes, kernel, output, stride, padding, dilation, groups })
}

/** Images without pixels are refused. */
function checkFilled(x: Tensor): void {
  if (x.count === 0 && x.sizes[0] !== 0 && x.sizes[1] !== 0) {
    throw new RuntimeError(
      `Only zero batch or zero channel inputs are supported, but got input shape: ${text(x.sizes)}`,
    )
  }
}

/** A convolution of stride 1 whose output has the input's size; the larger half of odd padding is at the end. */
export function convolveSame(x: Tensor, w: Tensor, bias: Tensor | null, dilation: Amount, groups: number): Tensor {
  const dims = Math.max(w.ndim - 2, 1)
  const gaps = expanded('dilation', dilation, dims)
  const ones = Array<number>(dims).fill(1)
  const none = Array<number>(dims).fill(0)
  checkArguments({ stride: ones, padding: none, dilation: gaps, outputPadding: none }, groups)
  checkOperands(x, w, bias, groups, false)
  checkDtypes(x, w, false)
  checkFilled(x)
  const kernel = w.sizes.slice(2)
  const sizes = x.sizes.slice(2)
  const padding = kernel.map((k, i) => Math.floor((gaps[i] * (k - 1)) / 2))
  return outputOf(x, w, bias, { input: sizes, kernel, output: sizes, stride: ones, padding, dilation: gaps, groups })
}

/**
 * The convolution behind all others, for batched input [n, c, ...] with one to three dimensions: `transposed` gives the
 * gradient of a convolution with respect to its input, `output_padding` elements larger than the smallest there is.
 */
export const convolution: (
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  stride: Amount,
  padding: Amount,
  dilation: Amount,
  transposed: boolean,
  outputPadding: Amount,
  groups: number,
) => Tensor = op({
  name: 'convolution',
  signature: 'input, weight, bias, stride, padding, dilation, transposed, output_padding, groups',
  samples: (t) => [
    [t(2, 2, 5), t(4, 1, 3), t(4), [2], [1], [1], false, [0], 2],
    [t(1, 2, 4, 5), t(2, 3, 2, 3), null, [2, 1], [0, 1], [1, 2], true, [1, 0], 1],
  ],
  differentiable: true,
  forward: (
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    stride: Amount,
    padding: Amount,
    dilation: Amount,
    transposed: boolean,
    outputPadding: Amount,
    groups: number,
  ) => {
    checkBias(x, bias ?? null)
    return convolve(x, weight, bias ?? null, { stride, padding, dilation, transposed, outputPadding, groups })
  },
})
