// Distances and similarities as modules.
import { cosineSimilarity, pairwiseDistance } from '../ops/distance.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

/** The cosine of the angle between x1 and x2 along `dim` (1). */
export class CosineSimilarity extends Module {
  readonly dim: number
  readonly eps: number

  constructor(...args: Args<[dim?: number, eps?: number], { readonly dim?: number; readonly eps?: number }>) {
    super()
    const [dim = 1, eps = 1e-8] = named<[number, number]>('CosineSimilarity', 'dim, eps', args)
    this.dim = dim
    this.eps = eps
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return cosineSimilarity(x1, x2, this.dim, this.eps)
  }
}

interface PairwiseOptions {
  readonly p?: number
  readonly eps?: number
  readonly keepdim?: boolean
}

/** The p-norm of x1 - x2 + eps over the last dimension. */
export class PairwiseDistance extends Module {
  readonly norm: number
  readonly eps: number
  readonly keepdim: boolean

  constructor(...args: Args<[p?: number, eps?: number, keepdim?: boolean], PairwiseOptions>) {
    super()
    const [p = 2, eps = 1e-6, keepdim = false] = named<[number, number, boolean]>(
      'PairwiseDistance',
      'p, eps, keepdim',
      args,
    )
    this.norm = p
    this.eps = eps
    this.keepdim = keepdim
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return pairwiseDistance(x1, x2, this.norm, this.eps, this.keepdim)
  }
}
