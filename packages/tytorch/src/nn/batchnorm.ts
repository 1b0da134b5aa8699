// Batch and instance norm as modules, with their running statistics.
import { type DType, int64 } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatArguments } from '../base/format.ts'
import { ones, tensor, zeros } from '../ops/create.ts'
import { batchNorm, instanceNorm } from '../ops/normalizationchannels.ts'
import { squeeze, unsqueeze } from '../ops/view.ts'
import type { Args } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { ones_, zeros_ } from './init.ts'
import { UninitializedParameter } from './lazy.ts'
import { Module } from './module.ts'
import { emptyParameter, type Parameter, setData } from './parameter.ts'

export interface NormOptions {
  /** Added to the variance. */
  readonly eps?: number
  /** How far running statistics move towards a batch's; null gives all batches the same weight. */
  readonly momentum?: number | null
  /** False leaves weight and bias out. */
  readonly affine?: boolean
  /** False normalises with the batch's statistics always. */
  readonly trackRunningStats?: boolean
  readonly device?: unknown
  readonly dtype?: DType | null
  /** False leaves the bias out. */
  readonly bias?: boolean
}

type NormArgs = Args<
  [eps?: number, momentum?: number | null, affine?: boolean, trackRunningStats?: boolean],
  NormOptions
>
type Given = [number, number, number | null, boolean, boolean, unknown, DType | null, boolean]
const SIGNATURE = 'num_features, eps, momentum, affine, track_running_stats, device, dtype, *, bias'

/** What decides a norm's parameters and buffers. */
interface Settings {
  readonly numFeatures: number
  readonly eps: number
  readonly momentum: number | null
  readonly affine: boolean
  readonly trackRunningStats: boolean
  readonly dtype: DType | null
  readonly bias: boolean
}

function settingsOf(name: string, given: readonly unknown[], affine: boolean): Settings {
  const found = named<Given>(name, SIGNATURE, given)
  const [numFeatures = 0, eps = 1e-5, momentum = 0.1, own = affine, track = affine, , dtype = null, bias = true] = found
  return { numFeatures, eps, momentum, affine: own, trackRunningStats: track, dtype, bias }
}

/** What batch and instance norm share. */
abstract class ChannelNorm extends Module {
  numFeatures: number
  readonly eps: number
  readonly momentum: number | null
  readonly affine: boolean
  readonly trackRunningStats: boolean
  weight: Parameter | null
  bias: Parameter | null
  declare runningMean: Tensor | null
  declare runningVar: Tensor | null
  declare numBatchesTracked: Tensor | null

  constructor(settings: Settings) {
    super()
    const { numFeatures, affine, trackRunningStats, dtype, bias } = settings
    this.numFeatures = numFeatures
    this.eps = settings.eps
    this.momentum = settings.momentum
    this.affine = affine
    this.trackRunningStats = trackRunningStats
    this.weight = affine ? emptyParameter([numFeatures], dtype) : null
    this.bias = affine && bias ? emptyParameter([numFeatures], dtype) : null
    const options = dtype ? { dtype } : {}
    this.registerBuffer('runningMean', trackRunningStats ? zeros([numFeatures], options) : null)
    this.registerBuffer('runningVar', trackRunningStats ? ones([numFeatures], options) : null)
    this.registerBuffer('numBatchesTracked', trackRunningStats ? tensor(0, { dtype: int64 }) : null)
    this.resetParameters()
  }

  /** Running means to 0 and variances to 1. */
  resetRunningStats(): void {
    noGrad(() => {
      this.runningMean?.zero_()
      this.runningVar?.fill_(1)
      this.numBatchesTracked?.zero_()
    })
  }

  /** Running statistics to their start, weights to 1, biases to 0. */
  resetParameters(): void {
    this.resetRunningStats()
    if (this.weight) ones_(this.weight)
    if (this.bias) zeros_(this.bias)
  }

  protected abstract checkInput(x: Tensor): void

  override extraRepr(): string {
    const { eps, momentum, affine, trackRunningStats } = this
    return formatArguments([this.numFeatures], { eps, momentum, affine, bias: this.bias !== null, trackRunningStats })
  }
}

function checkRank(x: Tensor, ...ranks: number[]): void {
  if (ranks.includes(x.ndim)) return
  throw new ValueError(`expected ${ranks.map((n) => `${n}D`).join(' or ')} input (got ${x.ndim}D input)`)
}

/** Normalises channels over a batch while training, and with running statistics afterwards. */
abstract class BatchNorm extends ChannelNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super(settingsOf(new.target.name, [numFeatures, ...args], true))
  }

  forward(input: Tensor): Tensor {
    this.checkInput(input)
    const { training, momentum, trackRunningStats } = this
    let factor = momentum ?? 0
    if (training && trackRunningStats && this.numBatchesTracked) {
      this.numBatchesTracked.add_(1)
      if (momentum === null) factor = 1 / Number(this.numBatchesTracked.item())
    }
    const moving = !training || trackRunningStats
    return batchNorm(
      input,
      moving ? this.runningMean : null,
      moving ? this.runningVar : null,
      this.weight,
      this.bias,
      training || (this.runningMean === null && this.runningVar === null),
      factor,
      this.eps,
    )
  }
}

/**
 * Batch norm of [N, C] or [N, C, L]: each channel less its mean, over sqrt(variance + eps), times `weight` plus `bias`
 * (https://arxiv.org/abs/1502.03167). Training uses the batch's statistics and moves the running ones, `eval()` uses
 * those. Throws ValueError for other ranks, and for one value a channel in training.
 */
export class BatchNorm1d extends BatchNorm {
  protected override checkInput(x: Tensor): void {
    checkRank(x, 2, 3)
  }
}

/** As `BatchNorm1d` for images [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  protected override checkInput(x: Tensor): void {
    checkRank(x, 4)
  }
}

/** As `BatchNorm1d` for volumes [N, C, D, H, W]. */
export class BatchNorm3d extends BatchNorm {
  protected override checkInput(x: Tensor): void {
    checkRank(x, 5)
  }
}

/** Normalises the channels of every sample by itself. */
abstract class InstanceNorm extends ChannelNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super(settingsOf(new.target.name, [numFeatures, ...args], false))
  }

  /** Dimensions of one sample. */
  protected abstract readonly rank: number

  protected override checkInput(x: Tensor): void {
    checkRank(x, this.rank, this.rank + 1)
  }

  forward(input: Tensor): Tensor {
    this.checkInput(input)
    const dim = input.ndim - this.rank
    const size = input.sizes[dim]
    if (size !== this.numFeatures) {
      if (this.affine) {
        throw new ValueError(
          `expected input's size at dim=${dim} to match num_features (${this.numFeatures}), but got: ${size}.`,
        )
      }
      console.warn(
        `UserWarning: input's size at dim=${dim} does not match num_features. You can silence this warning by not passing in num_features, which is not used because affine=False`,
      )
    }
    const single = dim === 0
    const out = instanceNorm(
      single ? unsqueeze(input, 0) : input,
      this.runningMean,
      this.runningVar,
      this.weight,
      this.bias,
      this.training || !this.trackRunningStats,
      this.momentum ?? 0,
      this.eps,
    )
    return single ? squeeze(out, 0) : out
  }
}

/**
 * Instance norm of [N, C, L] or [C, L]: as batch norm with statistics of each sample's channels by themselves, and
 * neither weights nor running statistics unless asked for (https://arxiv.org/abs/1607.08022).
 */
export class InstanceNorm1d extends InstanceNorm {
  protected override get rank(): number {
    return 2
  }
}

/** As `InstanceNorm1d` for images [N, C, H, W] or [C, H, W]. */
export class InstanceNorm2d extends InstanceNorm {
  protected override get rank(): number {
    return 3
  }
}

/** As `InstanceNorm1d` for volumes [N, C, D, H, W] or [C, D, H, W]. */
export class InstanceNorm3d extends InstanceNorm {
  protected override get rank(): number {
    return 4
  }
}

/** Takes a fresh norm's sizes away: they come with its first input. */
function forget(of: ChannelNorm): void {
  if (of.weight) of.weight = new UninitializedParameter(of.weight.dtype)
  if (of.bias) of.bias = new UninitializedParameter(of.bias.dtype)
}

/** Makes a lazy norm an ordinary one, of the class given, for the channels of `x`. */
function become(of: ChannelNorm, ordinary: { readonly prototype: ChannelNorm }, x: Tensor): void {
  if (of.numFeatures === 0) {
    const channels = x.sizes[1]
    of.numFeatures = channels
    for (const p of [of.weight, of.bias]) if (p instanceof UninitializedParameter) p.materialize([channels])
    for (const b of [of.runningMean, of.runningVar]) if (b) setData(b, zeros([channels], { dtype: b.dtype }))
    of.resetParameters()
  }
  Object.setPrototypeOf(of, ordinary.prototype)
}

/** A `BatchNorm1d` whose channels are those of its first input. */
export class LazyBatchNorm1d extends BatchNorm1d {
  constructor(...args: NormArgs) {
    super(0, ...args)
    forget(this)
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input)
    become(this, BatchNorm1d, input)
    return this.forward(input)
  }
}

/** A `BatchNorm2d` whose channels are those of its first input. */
export class LazyBatchNorm2d extends BatchNorm2d {
  constructor(...args: NormArgs) {
    super(0, ...args)
    forget(this)
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input)
    become(this, BatchNorm2d, input)
    return this.forward(input)
  }
}

/** A `BatchNorm3d` whose channels are those of its first input. */
export class LazyBatchNorm3d extends BatchNorm3d {
  constructor(...args: NormArgs) {
    super(0, ...args)
    forget(this)
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input)
    become(this, BatchNorm3d, input)
    return this.forward(input)
  }
}

/** An `InstanceNorm1d` whose channels are those of its first input, [N, C, L]. */
export class LazyInstanceNorm1d extends InstanceNorm1d {
  constructor(...args: NormArgs) {
    super(0, ...args)
    forget(this)
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input)
    become(this, InstanceNorm1d, input)
    return this.forward(input)
  }
}

/** An `InstanceNorm2d` whose channels are those of its first input, [N, C, H, W]. */
export class LazyInstanceNorm2d extends InstanceNorm2d {
  constructor(...args: NormArgs) {
    super(0, ...args)
    forget(this)
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input)
    become(this, InstanceNorm2d, input)
    return this.forward(input)
  }
}

/** An `InstanceNorm3d` whose channels are those of its first input, [N, C, D, H, W]. */
export class LazyInstanceNorm3d extends InstanceNorm3d {
  constructor(...args: NormArgs) {
    super(0, ...args)
    forget(this)
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input)
    become(this, InstanceNorm3d, input)
    return this.forward(input)
  }
}
