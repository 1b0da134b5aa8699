// Initialisers: fill a tensor in place, without recording, from PyTorch's own draws.

import { truncNormalFill } from '../base/distributions.ts'
import { float32, float64 } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { defaultGenerator, type Generator } from '../base/random.ts'
import type { Sizes } from '../base/shape.ts'
import { fillValues } from '../ops/create.ts'
import { linalgQr } from '../ops/qr.ts'
import { normal_ as normal, randperm, uniform_ as uniform } from '../ops/random.ts'
import type { Args } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { noGrad } from '../tensor/mode.ts'
import { changeInPlace } from '../tensor/node.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'

interface InitOptions {
  /** Draws from this generator instead of the default one. */
  readonly generator?: Generator | null
}

type Filler<P extends unknown[], O> = (x: Tensor, ...args: Args<P, O & InitOptions>) => Tensor

/** Uniform numbers from [a, b), [0, 1) by default. */
export const uniform_: Filler<[a?: number, b?: number], { readonly a?: number; readonly b?: number }> = (
  x,
  ...args
) => {
  const [a = 0, b = 1, generator] = named<[number, number, Generator]>('uniform_', 'a, b, generator', args)
  return noGrad(() => uniform(x, a, b, { generator: generator ?? defaultGenerator }))
}

interface NormalOptions {
  readonly mean?: number
  readonly std?: number
}

/** Normal numbers of mean 0 and deviation 1 unless given. */
export const normal_: Filler<[mean?: number, std?: number], NormalOptions> = (x, ...args) => {
  const [mean = 0, std = 1, generator] = named<[number, number, Generator]>('normal_', 'mean, std, generator', args)
  return noGrad(() => normal(x, mean, std, { generator: generator ?? defaultGenerator }))
}

interface BoundedOptions extends NormalOptions {
  readonly a?: number
  readonly b?: number
}

/** Normal numbers, drawn again where they fall outside [a, b], -2 and 2 by default. */
export const truncNormal_: Filler<[mean?: number, std?: number, a?: number, b?: number], BoundedOptions> = (
  x,
  ...args
) => {
  const [mean = 0, std = 1, a = -2, b = 2, generator] = named<[number, number, number, number, Generator]>(
    'truncNormal_',
    'mean, std, a, b, generator',
    args,
  )
  return noGrad(() => {
    changeInPlace(x)
    const values = empty(x.sizes, x.dtype === float64 ? float64 : float32)
    truncNormalFill(generator ?? defaultGenerator, values.raw() as Float32Array | Float64Array, mean, std, a, b)
    copyValues(values, x)
    return x
  })
}

/** Sets every element to `value`, without recording; answers the tensor, as all initialisers. */
export function constant_(x: Tensor, value: number): Tensor {
  return noGrad(() => {
    changeInPlace(x)
    return fillValues(x, value)
  })
}

/** Sets every element to 1. */
export const ones_ = (x: Tensor): Tensor => constant_(x, 1)
/** Sets every element to 0. */
export const zeros_ = (x: Tensor): Tensor => constant_(x, 0)

/** The identity, in a matrix. Throws ValueError for other ranks. */
export function eye_(x: Tensor): Tensor {
  if (x.ndim !== 2) throw new ValueError('Only tensors with 2 dimensions are supported')
  constant_(x, 0)
  constant_(x.detach().diagonal(), 1)
  return x
}

/** Fan in and fan out: inputs and outputs of one unit, times the size of its receptive field. */
function fans(sizes: Sizes): { fanIn: number; fanOut: number } {
  if (sizes.length < 2) {
    throw new ValueError('Fan in and fan out can not be computed for tensor with fewer than 2 dimensions')
  }
  const field = sizes.slice(2).reduce((a, b) => a * b, 1)
  return { fanIn: sizes[1] * field, fanOut: sizes[0] * field }
}

export type Nonlinearity =
  | 'linear'
  | 'conv1d'
  | 'conv2d'
  | 'conv3d'
  | 'convTranspose1d'
  | 'convTranspose2d'
  | 'convTranspose3d'
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'leakyRelu'
  | 'leaky_relu'
  | 'selu'

/** The factor by which a non-linearity shrinks the spread of values: sqrt(2) for relu, 5/3 for tanh. */
export function calculateGain(nonlinearity: Nonlinearity, param?: number | null): number {
  const name: string = nonlinearity
  if (name === 'tanh') return 5 / 3
  if (name === 'relu') return Math.sqrt(2)
  if (name === 'selu') return 3 / 4
  if (name === 'leakyRelu' || name === 'leaky_relu') {
    const slope = param ?? 0.01
    return Math.sqrt(2 / (1 + slope * slope))
  }
  if (name === 'sigmoid' || name === 'linear' || name.startsWith('conv')) return 1
  throw new ValueError(`Unsupported nonlinearity ${name}`)
}

export type FanMode = 'fanIn' | 'fanOut' | 'fan_in' | 'fan_out'

function fanOf(x: Tensor, mode: FanMode): number {
  const name = mode.toLowerCase().replace('_', '')
  if (name !== 'fanin' && name !== 'fanout') {
    throw new ValueError(`Mode ${mode} not supported, please use one of ['fan_in', 'fan_out']`)
  }
  const { fanIn, fanOut } = fans(x.sizes)
  return name === 'fanin' ? fanIn : fanOut
}

interface KaimingOptions {
  /** The negative slope of a leaky relu. */
  readonly a?: number
  readonly mode?: FanMode
  readonly nonlinearity?: Nonlinearity
}
type KaimingArgs = Args<[a?: number, mode?: FanMode, nonlinearity?: Nonlinearity], KaimingOptions & InitOptions>

/** gain / sqrt(fan), and where to draw from. */
function kaiming(name: string, x: Tensor, args: KaimingArgs): { std: number; generator: Generator } {
  const [a = 0, mode = 'fanIn', nonlinearity = 'leakyRelu', generator] = named<
    [number, FanMode, Nonlinearity, Generator]
  >(name, 'a, mode, nonlinearity, generator', args)
  return { std: calculateGain(nonlinearity, a) / Math.sqrt(fanOf(x, mode)), generator: generator ?? defaultGenerator }
}

/** Uniform in +-gain * sqrt(3 / fan) (He et al., https://arxiv.org/abs/1502.01852). */
export function kaimingUniform_(x: Tensor, ...args: KaimingArgs): Tensor {
  if (x.sizes.includes(0)) return noOperation(x)
  const { std, generator } = kaiming('kaimingUniform_', x, args)
  const bound = Math.sqrt(3) * std
  return uniform_(x, -bound, bound, { generator })
}

/** Normal with deviation gain / sqrt(fan) (He et al., https://arxiv.org/abs/1502.01852). */
export function kaimingNormal_(x: Tensor, ...args: KaimingArgs): Tensor {
  if (x.sizes.includes(0)) return noOperation(x)
  const { std, generator } = kaiming('kaimingNormal_', x, args)
  return normal_(x, 0, std, { generator })
}

function noOperation(x: Tensor): Tensor {
  console.warn('UserWarning: Initializing zero-element tensors is a no-op')
  return x
}

type XavierArgs = Args<[gain?: number], { readonly gain?: number } & InitOptions>

function xavier(name: string, x: Tensor, args: XavierArgs): { std: number; generator: Generator } {
  const [gain = 1, generator] = named<[number, Generator]>(name, 'gain, generator', args)
  const { fanIn, fanOut } = fans(x.sizes)
  return { std: gain * Math.sqrt(2 / (fanIn + fanOut)), generator: generator ?? defaultGenerator }
}

/** Uniform in +-gain * sqrt(6 / (fan in + fan out)) (Glorot and Bengio, 2010). */
export function xavierUniform_(x: Tensor, ...args: XavierArgs): Tensor {
  const { std, generator } = xavier('xavierUniform_', x, args)
  const bound = Math.sqrt(3) * std
  return uniform_(x, -bound, bound, { generator })
}

/** Normal with deviation gain * sqrt(2 / (fan in + fan out)) (Glorot and Bengio, 2010). */
export function xavierNormal_(x: Tensor, ...args: XavierArgs): Tensor {
  const { std, generator } = xavier('xavierNormal_', x, args)
  return normal_(x, 0, std, { generator })
}

/**
 * Orthonormal rows or columns times `gain`, trailing dimensions taken as one (Saxe et al., 2013). Throws ValueError for
 * fewer than 2 dimensions.
 */
export const orthogonal_: Filler<[gain?: number], { readonly gain?: number }> = (x, ...args) => {
  const [gain = 1, generator] = named<[number, Generator]>('orthogonal_', 'gain, generator', args)
  if (x.ndim < 2) throw new ValueError('Only tensors with 2 or more dimensions are supported')
  if (x.count === 0) return x
  return noGrad(() => {
    const rows = x.sizes[0]
    const drawn = normal(empty([rows, x.count / rows], x.dtype), 0, 1, { generator: generator ?? defaultGenerator })
    const wide = rows < drawn.sizes[1]
    const { Q, R } = linalgQr(wide ? drawn.t() : drawn)
    // Signs of R's diagonal make Q uniform (https://arxiv.org/abs/math-ph/0609050).
    const q = Q.mul(R.diagonal().sign())
    changeInPlace(x)
    copyValues((wide ? q.t() : q).mul(gain).reshape(x.sizes), x)
    return x
  })
}

/**
 * The identity of channels in the middle of a convolution's kernels [out, in, ...], group by group. Throws ValueError
 * for other than 3 to 5 dimensions, and for `out` that the groups don't divide.
 */
export const dirac_ = (x: Tensor, ...args: Args<[groups?: number], { readonly groups?: number }>): Tensor => {
  const [groups = 1] = named<[number]>('dirac_', 'groups', args)
  if (![3, 4, 5].includes(x.ndim)) throw new ValueError('Only tensors with 3, 4, or 5 dimensions are supported')
  if (x.sizes[0] % groups !== 0) throw new ValueError('dim 0 must be divisible by groups')
  constant_(x, 0)
  const out = x.sizes[0] / groups
  const middle = x.detach()
  for (let g = 0; g < groups; g++) {
    for (let d = 0; d < Math.min(out, x.sizes[1]); d++) {
      const at = x.sizes
        .slice(2)
        .reduce((t, n) => t.select(0, Math.floor(n / 2)), middle.select(0, g * out + d).select(0, d))
      constant_(at, 1)
    }
  }
  return x
}

/** Normal numbers of deviation `std`, with a share `sparsity` of zeros in each column. Throws ValueError unless a matrix. */
export const sparse_: Filler<
  [sparsity: number, std?: number],
  { readonly sparsity?: number; readonly std?: number }
> = (x, ...args) => {
  const [sparsity = 0, std = 0.01, generator] = named<[number, number, Generator]>(
    'sparse_',
    'sparsity, std, generator',
    args,
  )
  if (x.ndim !== 2) throw new ValueError('Only tensors with 2 dimensions are supported')
  const [rows, columns] = x.sizes
  const zeros = Math.ceil(sparsity * rows)
  normal_(x, 0, std, { generator: generator ?? defaultGenerator })
  noGrad(() => {
    for (let column = 0; column < columns; column++) {
      x.detach()
        .select(1, column)
        .indexFill_(0, randperm(rows).narrow(0, 0, zeros), 0)
    }
  })
  return x
}
