// Activation functions as modules.
import { formatArguments } from '../base/format.ts'
import { relu, sigmoid, tanh } from '../ops/elementwise.ts'
import { logSoftmax, softmax, softmin } from '../ops/activation.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

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

/** max(x, 0). */
export class ReLU extends Overwriting {
  forward(input: Tensor): Tensor {
    return this.inplace ? input.relu_() : relu(input)
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Module {
  forward(input: Tensor): Tensor {
    return tanh(input)
  }
}

/** 1 / (1 + exp(-x)). */
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

/** exp(x) / sum of exp(x) along `dim`. */
export class Softmax extends Along {
  forward(input: Tensor): Tensor {
    return softmax(input, this.dim)
  }
}

/** The logarithm of softmax along `dim`. */
export class LogSoftmax extends Along {
  forward(input: Tensor): Tensor {
    return logSoftmax(input, this.dim)
  }

  // PyTorch prints no dimension here.
  override extraRepr(): string {
    return formatArguments([], { dim: this.dim })
  }
}

/** Softmax of -x along `dim`. */
export class Softmin extends Along {
  forward(input: Tensor): Tensor {
    return softmin(input, this.dim)
  }
}
