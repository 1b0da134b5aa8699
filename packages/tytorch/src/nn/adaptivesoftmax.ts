// A softmax over many classes: the frequent ones in a head, the others in clusters of smaller and smaller rank.
import type { DType } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { logSoftmax } from '../ops/activation.ts'
import { cat } from '../ops/join.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { ModuleList, Sequential } from './containers.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'

interface AdaptiveOptions {
  /** The rank of cluster i is inFeatures / divValue ** (i + 1). */
  readonly divValue?: number
  /** Adds a bias to the head. */
  readonly headBias?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
}

/** Log-probabilities of the targets, and their negative mean; it destructures as `[output, loss]` too. */
export type AdaptiveOutput = [output: Tensor, loss: Tensor] & { readonly output: Tensor; readonly loss: Tensor }

/**
 * The adaptive softmax (Grave et al., https://arxiv.org/abs/1609.04309) with its loss: classes, sorted by falling
 * frequency, are cut at `cutoffs`. Throws ValueError for cutoffs that do not rise within the classes.
 */
export class AdaptiveLogSoftmaxWithLoss extends Module {
  readonly inFeatures: number
  readonly nClasses: number
  readonly cutoffs: readonly number[]
  readonly divValue: number
  readonly headBias: boolean
  readonly shortlistSize: number
  readonly nClusters: number
  readonly headSize: number
  head: Linear
  tail: ModuleList<Sequential>

  constructor(
    inFeatures: number,
    nClasses: number,
    cutoffs: readonly number[],
    ...rest: Args<[divValue?: number, headBias?: boolean], AdaptiveOptions>
  ) {
    super()
    const [, , , divValue = 4, headBias = false, , dtype] = named<
      [number, number, number[], number, boolean, unknown, DType | null]
    >('AdaptiveLogSoftmaxWithLoss', 'in_features, n_classes, cutoffs, div_value, head_bias, device, dtype', [
      inFeatures,
      nClasses,
      cutoffs,
      ...rest,
    ])
    if (cutoffs.length === 0) throw new ValueError('cutoffs should be a sequence of length larger than 0')
    if (cutoffs.some((c, i) => !Number.isInteger(c) || c <= (i ? cutoffs[i - 1] : 0) || c > nClasses - 1)) {
      throw new ValueError(
        'cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is between 1 and n_classes-1',
      )
    }
    this.inFeatures = inFeatures
    this.nClasses = nClasses
    this.cutoffs = [...cutoffs, nClasses]
    this.divValue = divValue
    this.headBias = headBias
    this.shortlistSize = cutoffs[0]
    this.nClusters = cutoffs.length
    this.headSize = this.shortlistSize + this.nClusters
    const of = dtype ? { dtype } : {}
    this.head = new Linear(inFeatures, this.headSize, { bias: headBias, ...of })
    this.tail = new ModuleList(
      cutoffs.map((from, i) => {
        const hidden = Math.floor(inFeatures / divValue ** (i + 1))
        const classes = this.cutoffs[i + 1] - from
        return new Sequential(
          new Linear(inFeatures, hidden, { bias: false, ...of }),
          new Linear(hidden, classes, { bias: false, ...of }),
        )
      }),
    )
  }

  /** Draws fresh weights. */
  resetParameters(): void {
    for (const module of this.modules()) if (module instanceof Linear) module.resetParameters()
  }

  /** Log-probabilities [N] of the targets [N] for inputs [N, in] (or one of each), and the loss. */
  forward(input: Tensor, target: Tensor): AdaptiveOutput {
    if (target.ndim === 1) {
      if (input.size(0) !== target.size(0))
        throw new RuntimeError('Input and target should have the same size in the batch dimension.')
      if (input.ndim !== 2)
        throw new RuntimeError(`1D target tensor expects 2D input tensors, but found inputs with size ${input.shape}`)
    } else if (target.ndim === 0) {
      if (input.ndim !== 1)
        throw new RuntimeError(`0D target tensor expects 1D input tensors, but found inputs with size ${input.shape}`)
    } else throw new RuntimeError('0D or 1D target tensor expected, multi-target not supported')
    const batched = target.ndim === 1
    const x = batched ? input : input.unsqueeze(0)
    const classes = batched ? target : target.unsqueeze(0)
    const columns = classes.clone()
    let output = x.newZeros([x.size(0)])
    let used = 0
    ;[0, ...this.cutoffs].slice(0, -1).forEach((low, i) => {
      const inside = classes.ge(low).logicalAnd(classes.lt(this.cutoffs[i]))
      const rows = inside.nonzero().reshape(-1)
      used += rows.numel()
      if (i === 0 || rows.numel() === 0) return
      columns.indexFill_(0, rows, this.shortlistSize + i - 1)
      const local = logSoftmax(this.tail.at(i - 1)(x.indexSelect(0, rows)) as Tensor, 1)
      const relative = classes.indexSelect(0, rows).sub(low)
      output = output.indexCopy(0, rows, local.gather(1, relative.unsqueeze(1)).squeeze(1))
    })
    if (used !== classes.numel()) {
      throw new RuntimeError(
        `Target values should be in [0, ${this.nClasses - 1}], but values in range [${classes.min().item()}, ${classes.max().item()}] were found. `,
      )
    }
    const head = logSoftmax(this.head(x), 1)
    const found = output.add(head.gather(1, columns.unsqueeze(1)).squeeze(1))
    const loss = found.neg().mean()
    const answer = batched ? found : found.squeeze(0)
    return Object.assign([answer, loss] as [Tensor, Tensor], { output: answer, loss })
  }

  #full(x: Tensor, head: Tensor): Tensor {
    const logs = logSoftmax(head, 1)
    const clusters = [...this.tail].map((cluster, i) =>
      logSoftmax(cluster(x) as Tensor, 1).add(logs.select(1, this.shortlistSize + i).unsqueeze(1)),
    )
    return cat([logs.narrow(1, 0, this.shortlistSize), ...clusters], 1)
  }

  /** Log-probabilities [N, classes] for inputs [N, in]. */
  logProb(input: Tensor): Tensor {
    return this.#full(input, this.head(input))
  }

  /** The most likely class [N] of inputs [N, in]: clusters are looked into only where the head points at one. */
  predict(input: Tensor): Tensor {
    const head = this.head(input)
    const output = head.argmax(1)
    const rows = output.ge(this.shortlistSize).nonzero().reshape(-1)
    if (rows.numel() === 0) return output
    const full = this.#full(input.indexSelect(0, rows), head.indexSelect(0, rows))
    return output.indexCopy(0, rows, full.argmax(1))
  }
}
