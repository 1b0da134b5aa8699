// Modules that change the shape.
import { formatArguments, formatTuple } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { flatten, unflatten } from '../ops/view.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

interface FlattenOptions {
  readonly startDim?: number
  readonly endDim?: number
}

/** Joins dimensions startDim (1 by default, so that batches stay) to endDim into one. */
export class Flatten extends Module {
  readonly startDim: number
  readonly endDim: number

  constructor(...args: Args<[startDim?: number, endDim?: number], FlattenOptions>) {
    super()
    const [startDim = 1, endDim = -1] = named<[number, number]>('Flatten', 'start_dim, end_dim', args)
    this.startDim = startDim
    this.endDim = endDim
  }

  forward(input: Tensor): Tensor {
    return flatten(input, this.startDim, this.endDim)
  }

  override extraRepr(): string {
    const { startDim, endDim } = this
    return formatArguments([], { startDim, endDim })
  }
}

/** Splits dimension `dim` into sizes `unflattenedSize`, one of which may be -1. */
export class Unflatten extends Module {
  readonly dim: number
  readonly unflattenedSize: Sizes

  constructor(dim: number, unflattenedSize: Sizes) {
    super()
    this.dim = dim
    this.unflattenedSize = [...unflattenedSize]
  }

  forward(input: Tensor): Tensor {
    return unflatten(input, this.dim, this.unflattenedSize)
  }

  override extraRepr(): string {
    return `dim=${this.dim}, unflattened_size=${formatTuple(this.unflattenedSize)}`
  }
}
