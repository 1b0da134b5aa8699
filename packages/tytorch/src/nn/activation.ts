// Activation functions as modules.

import { ValueError } from '../base/errors.ts'
import { formatArguments, formatFloat } from '../base/format.ts'
import { logSoftmax, softmax, softmin } from '../ops/activation.ts'
import { relu } from '../ops/compare.ts'
import { celu, elu, gelu, glu, logsigmoid, mish, selu, silu, softplus, softsign, tanhshrink } from '../ops/pointwise.ts'
import {
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  prelu,
  relu6,
  softshrink,
  threshold,
} from '../ops/rectifier.ts'
import { sigmoid, tanh } from '../ops/unary.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { constant_ } from './init.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter } from './parameter.ts'

interface InplaceOptions {
  /** Overwrites the input. */
  readonly inplace?: boolean
}

/** A module with no other choice than to overwrite its input. */
abstract class Overwriting extends Module {
  readonly inplace: boolean

  constructor(...args: Args<[inplace?: boolean], InplaceOptions>) {
    super()
    const [inplace = false] = named<[boolean]>(new.target.name, 'inplace', args)
    this.inplace = inplace
  }

  override extraRepr(): string {
    return this.inplace ? 'inplace=True' : ''
  }
}

/** max(x, 0), element by element. */
export class ReLU extends Overwriting {
  forward(input: Tensor): Tensor {
    return this.inplace ? input.relu_() : relu(input)
  }
}

/** Hyperbolic tangent, element by element: from -1 to 1. */
export class Tanh extends Module {
  forward(input: Tensor): Tensor {
    return tanh(input)
  }
}

/** 1 / (1 + exp(-x)), element by element: from 0 to 1. */
export class Sigmoid extends Module {
  forward(input: Tensor): Tensor {
    return sigmoid(input)
  }
}

interface DimOptions {
  readonly dim?: number | null
}

/** What works along one dimension. */
abstract class Along extends Module {
  readonly dim: number | null

  constructor(...args: Args<[dim?: number | null], DimOptions>) {
    super()
    const [dim = null] = named<[number | null]>(new.target.name, 'dim', args)
    this.dim = dim
  }

  override extraRepr(): string {
    return formatArguments([], { dim: this.dim })
  }
}

/** exp(x) / sum of exp(x) along `dim`: positive numbers that add up to 1. */
export class Softmax extends Along {
  forward(input: Tensor): Tensor {
    return softmax(input, this.dim)
  }
}

/** The logarithm of softmax along `dim`, without its loss of digits: what `NLLLoss` takes. */
export class LogSoftmax extends Along {
  forward(input: Tensor): Tensor {
    return logSoftmax(input, this.dim)
  }
}

/** Softmax of -x along `dim`. */
export class Softmin extends Along {
  forward(input: Tensor): Tensor {
    return softmin(input, this.dim)
  }
}

/** Softmax over the channels of [N, C, H, W] or [C, H, W]. */
export class Softmax2d extends Module {
  forward(input: Tensor): Tensor {
    if (input.ndim !== 3 && input.ndim !== 4) {
      throw new ValueError(`Softmax2d: expected input to be 3D or 4D, got ${input.ndim}D instead`)
    }
    return softmax(input, -3)
  }
}

/** max(x, 0) limited to 6. */
export class ReLU6 extends Overwriting {
  forward(input: Tensor): Tensor {
    return relu6(input, this.inplace)
  }
}

/** x * sigmoid(x), also called swish (https://arxiv.org/abs/1702.03118). */
export class SiLU extends Overwriting {
  forward(input: Tensor): Tensor {
    return silu(input, this.inplace)
  }
}

/** x * tanh(softplus(x)) (https://arxiv.org/abs/1908.08681). */
export class Mish extends Overwriting {
  forward(input: Tensor): Tensor {
    return mish(input, this.inplace)
  }
}

/** x * relu6(x + 3) / 6 (https://arxiv.org/abs/1905.02244). */
export class Hardswish extends Overwriting {
  forward(input: Tensor): Tensor {
    return hardswish(input, this.inplace)
  }

  // As PyTorch, which has no text here.
  override extraRepr(): string {
    return ''
  }
}

/** relu6(x + 3) / 6. */
export class Hardsigmoid extends Overwriting {
  forward(input: Tensor): Tensor {
    return hardsigmoid(input, this.inplace)
  }

  override extraRepr(): string {
    return ''
  }
}

/** A scaled elu that keeps mean 0 and variance 1. */
export class SELU extends Overwriting {
  forward(input: Tensor): Tensor {
    return selu(input, this.inplace)
  }
}

/** log(sigmoid(x)). */
export class LogSigmoid extends Module {
  forward(input: Tensor): Tensor {
    return logsigmoid(input)
  }
}

/** x / (1 + |x|). */
export class Softsign extends Module {
  forward(input: Tensor): Tensor {
    return softsign(input)
  }
}

/** x - tanh(x). */
export class Tanhshrink extends Module {
  forward(input: Tensor): Tensor {
    return tanhshrink(input)
  }
}

/** x times the normal distribution function of x; approximate 'tanh' takes a formula close to it. */
export class GELU extends Module {
  readonly approximate: 'none' | 'tanh'

  constructor(...args: Args<[approximate?: 'none' | 'tanh'], { readonly approximate?: 'none' | 'tanh' }>) {
    super()
    const [approximate = 'none'] = named<['none' | 'tanh']>('GELU', 'approximate', args)
    this.approximate = approximate
  }

  forward(input: Tensor): Tensor {
    return gelu(input, { approximate: this.approximate })
  }

  override extraRepr(): string {
    return formatArguments([], { approximate: this.approximate })
  }
}

/** The first half along `dim` (the last by default) times the sigmoid of the second. */
export class GLU extends Module {
  readonly dim: number

  constructor(...args: Args<[dim?: number], { readonly dim?: number }>) {
    super()
    const [dim = -1] = named<[number]>('GLU', 'dim', args)
    this.dim = dim
  }

  forward(input: Tensor): Tensor {
    return glu(input, this.dim)
  }

  override extraRepr(): string {
    return formatArguments([], { dim: this.dim })
  }
}

/** x, or negativeSlope (0.01) times x below 0. */
export class LeakyReLU extends Module {
  readonly negativeSlope: number
  readonly inplace: boolean

  constructor(
    ...args: Args<[negativeSlope?: number, inplace?: boolean], InplaceOptions & { readonly negativeSlope?: number }>
  ) {
    super()
    const [negativeSlope = 0.01, inplace = false] = named<[number, boolean]>(
      'LeakyReLU',
      'negative_slope, inplace',
      args,
    )
    this.negativeSlope = negativeSlope
    this.inplace = inplace
  }

  forward(input: Tensor): Tensor {
    return leakyRelu(input, this.negativeSlope, this.inplace)
  }

  override extraRepr(): string {
    return `${formatArguments([], { negativeSlope: this.negativeSlope })}${overwrites(this)}`
  }
}

const overwrites = (of: { readonly inplace: boolean }): string => (of.inplace ? ', inplace=True' : '')
/** A number whose default is a float in PyTorch, so that it prints as one. */
const floatOf = (value: number): string => formatFloat(value)

type AlphaArgs = Args<[alpha?: number, inplace?: boolean], InplaceOptions & { readonly alpha?: number }>

/** An exponential unit with a factor alpha. */
abstract class ExponentialUnit extends Module {
  readonly alpha: number
  readonly inplace: boolean

  constructor(...args: AlphaArgs) {
    super()
    const [alpha = 1, inplace = false] = named<[number, boolean]>(new.target.name, 'alpha, inplace', args)
    this.alpha = alpha
    this.inplace = inplace
  }

  override extraRepr(): string {
    return `alpha=${floatOf(this.alpha)}${overwrites(this)}`
  }
}

/** x, or alpha * (exp(x) - 1) below 0; alpha is 1 unless given (https://arxiv.org/abs/1511.07289). */
export class ELU extends ExponentialUnit {
  forward(input: Tensor): Tensor {
    return elu(input, this.alpha, this.inplace)
  }
}

/** x, or alpha * (exp(x / alpha) - 1) below 0; alpha is 1 unless given (https://arxiv.org/abs/1704.07483). */
export class CELU extends ExponentialUnit {
  forward(input: Tensor): Tensor {
    return celu(input, this.alpha, this.inplace)
  }
}

interface SoftplusOptions {
  readonly beta?: number
  readonly threshold?: number
}

/** log(1 + exp(beta * x)) / beta, and x itself where beta * x > threshold (beta 1, threshold 20). */
export class Softplus extends Module {
  readonly beta: number
  readonly threshold: number

  constructor(...args: Args<[beta?: number, threshold?: number], SoftplusOptions>) {
    super()
    const [beta = 1, threshold = 20] = named<[number, number]>('Softplus', 'beta, threshold', args)
    this.beta = beta
    this.threshold = threshold
  }

  forward(input: Tensor): Tensor {
    return softplus(input, this.beta, this.threshold)
  }

  override extraRepr(): string {
    return `beta=${floatOf(this.beta)}, threshold=${floatOf(this.threshold)}`
  }
}

/** x limited to [minVal, maxVal], -1 to 1 by default. */
export class Hardtanh extends Module {
  readonly minVal: number
  readonly maxVal: number
  readonly inplace: boolean

  constructor(
    ...args: Args<
      [minVal?: number, maxVal?: number, inplace?: boolean],
      InplaceOptions & { readonly minVal?: number; readonly maxVal?: number }
    >
  ) {
    super()
    const [minVal = -1, maxVal = 1, inplace = false] = named<[number, number, boolean]>(
      'Hardtanh',
      'min_val, max_val, inplace',
      args,
    )
    if (!(maxVal > minVal)) throw new ValueError(`max_val (${maxVal}) must be greater than min_val (${minVal})`)
    this.minVal = minVal
    this.maxVal = maxVal
    this.inplace = inplace
  }

  forward(input: Tensor): Tensor {
    return hardtanh(input, this.minVal, this.maxVal, this.inplace)
  }

  override extraRepr(): string {
    return `min_val=${floatOf(this.minVal)}, max_val=${floatOf(this.maxVal)}${overwrites(this)}`
  }
}

/** x, or `value` where x <= threshold. */
export class Threshold extends Module {
  readonly threshold: number
  readonly value: number
  readonly inplace: boolean

  constructor(threshold: number, value: number, ...rest: Args<[inplace?: boolean], InplaceOptions>) {
    super()
    const [, , inplace = false] = named<[number, number, boolean]>('Threshold', 'threshold, value, inplace', [
      threshold,
      value,
      ...rest,
    ])
    this.threshold = threshold
    this.value = value
    this.inplace = inplace
  }

  forward(input: Tensor): Tensor {
    return threshold(input, this.threshold, this.value, this.inplace)
  }

  override extraRepr(): string {
    return `${formatArguments([], { threshold: this.threshold, value: this.value })}${overwrites(this)}`
  }
}

/** What shrinks towards 0 by lambd. */
abstract class Shrinking extends Module {
  readonly lambd: number

  constructor(...args: Args<[lambd?: number], { readonly lambd?: number }>) {
    super()
    const [lambd = 0.5] = named<[number]>(new.target.name, 'lambd', args)
    this.lambd = lambd
  }

  override extraRepr(): string {
    return String(this.lambd)
  }
}

/** x, or 0 where |x| <= lambd (0.5). */
export class Hardshrink extends Shrinking {
  forward(input: Tensor): Tensor {
    return hardshrink(input, this.lambd)
  }
}

/** x moved towards 0 by lambd (0.5). */
export class Softshrink extends Shrinking {
  forward(input: Tensor): Tensor {
    return softshrink(input, this.lambd)
  }
}

/** x, or a learned slope times x below 0; one slope, or one for each channel. */
export class PReLU extends Module {
  readonly numParameters: number
  weight: Parameter
  readonly #init: number

  constructor(
    ...args: Args<[numParameters?: number, init?: number], { readonly numParameters?: number; readonly init?: number }>
  ) {
    super()
    const [numParameters = 1, init = 0.25] = named<[number, number]>('PReLU', 'num_parameters, init', args)
    this.numParameters = numParameters
    this.#init = init
    this.weight = emptyParameter([numParameters])
    this.resetParameters()
  }

  /** Sets all slopes to where they start. */
  resetParameters(): void {
    constant_(this.weight, this.#init)
  }

  forward(input: Tensor): Tensor {
    return prelu(input, this.weight)
  }

  override extraRepr(): string {
    return formatArguments([], { numParameters: this.numParameters })
  }
}
