// torch.optim.swa_utils: models whose parameters are averages of another's over the steps, and a scheduler for them.

import { int64 } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatValue } from '../base/format.ts'
import { named } from '../nn/arguments.ts'
import { BatchNorm1d, BatchNorm2d, BatchNorm3d } from '../nn/batchnorm.ts'
import { deepcopy } from '../nn/deepcopy.ts'
import { Module } from '../nn/module.ts'
import { tensor } from '../ops/create.ts'
import type { Args } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type AnyOptimizer, cosine, type Group, LRScheduler, perGroup, quotient, type Resumed } from './schedule.ts'

/** The next average of a parameter, from the present one, the model's value and how many were averaged. */
export type AverageFn = (averaged: Tensor, current: Tensor, numAveraged: Tensor) => Tensor
/** As `AverageFn` for lists of tensors of one dtype, which it changes in place. */
export type MultiAverageFn = (averaged: Tensor[], current: Tensor[], numAveraged: Tensor) => void

function requireDecay(decay: number): void {
  if (decay >= 0 && decay <= 1) return
  throw new ValueError(`Invalid decay value ${formatValue(decay)} provided. Please provide a value in [0,1] range.`)
}

/** Exponential moving averages, for `AveragedModel`'s `multiAvgFn`: decay * average + (1 - decay) * parameter. */
export function getEmaMultiAvgFn(decay = 0.999): MultiAverageFn {
  requireDecay(decay)
  return (averaged, current) =>
    noGrad(() => {
      averaged.forEach((p, i) => {
        if (p.isFloatingPoint() || p.isComplex()) p.lerp_(current[i], 1 - decay)
        else p.copy_(p.mul(decay).add(current[i].mul(1 - decay)))
      })
    })
}

/** Equal averages, for `AveragedModel`'s `multiAvgFn`. */
export function getSwaMultiAvgFn(): MultiAverageFn {
  return (averaged, current, numAveraged) =>
    noGrad(() => {
      const count = Number(numAveraged.item()) + 1
      averaged.forEach((p, i) => {
        if (p.isFloatingPoint() || p.isComplex()) p.lerp_(current[i], 1 / count)
        else p.copy_(p.add(current[i].sub(p).div(count)))
      })
    })
}

/** Exponential moving averages, for `AveragedModel`'s `avgFn`. */
export function getEmaAvgFn(decay = 0.999): AverageFn {
  requireDecay(decay)
  return (averaged, current) => noGrad(() => averaged.mul(decay).add(current.mul(1 - decay)))
}

/** Equal averages, for `AveragedModel`'s `avgFn`. */
export function getSwaAvgFn(): AverageFn {
  return (averaged, current, numAveraged) =>
    noGrad(() => averaged.add(current.sub(averaged).div(Number(numAveraged.item()) + 1)))
}

interface AveragedOptions {
  readonly device?: unknown
  readonly avgFn?: AverageFn | null
  readonly multiAvgFn?: MultiAverageFn | null
  /** Averages the buffers, too, instead of copying them. */
  readonly useBuffers?: boolean
}

/**
 * A copy of a model whose parameters are averages of the model's at each `updateParameters`: equal ones (stochastic
 * weight averaging, https://arxiv.org/abs/1803.05407) unless a function says otherwise. Throws Error for two functions.
 */
export class AveragedModel<M extends Module = Module> extends Module {
  readonly module: M
  readonly avgFn: AverageFn | null
  readonly multiAvgFn: MultiAverageFn | null
  readonly useBuffers: boolean
  declare nAveraged: Tensor

  constructor(model: M, ...rest: Args<[device?: unknown, avgFn?: AverageFn | null], AveragedOptions>) {
    super()
    const [, device, avgFn = null, multiAvgFn = null, useBuffers = false] = named<
      [M, string | null, AverageFn | null, MultiAverageFn | null, boolean]
    >('AveragedModel', 'model, device, avg_fn, multi_avg_fn, use_buffers', [model, ...rest])
    if (avgFn && multiAvgFn) throw new Error('Only one of avg_fn and multi_avg_fn should be provided')
    this.module = deepcopy(model)
    if (device !== undefined && device !== null) this.module.to(device)
    this.registerBuffer('nAveraged', tensor(0, { dtype: int64 }))
    this.avgFn = avgFn
    this.multiAvgFn = multiAvgFn
    this.useBuffers = useBuffers
  }

  forward(...args: Parameters<M['forward']>): ReturnType<M['forward']> {
    return this.module(...args)
  }

  /** Averages the model's parameters into these; the first time copies them. */
  updateParameters(model: Module): void {
    noGrad(() => {
      const { useBuffers, nAveraged } = this
      const all = (m: Module): Tensor[] => (useBuffers ? [...m.parameters(), ...m.buffers()] : m.parameters())
      const averaged = all(this.module).map((p) => p.detach())
      const current = all(model).map((p) => p.detach())
      if (nAveraged.item() === 0) {
        averaged.forEach((p, i) => {
          p.copy_(current[i])
        })
      } else if (this.avgFn) {
        const { avgFn } = this
        averaged.forEach((p, i) => {
          p.copy_(avgFn(p, current[i], nAveraged))
        })
      } else {
        const average = this.multiAvgFn ?? getSwaMultiAvgFn()
        for (const dtype of new Set(averaged.map((p) => p.dtype))) {
          const at = averaged.flatMap((p, i) => (p.dtype === dtype ? [i] : []))
          average(
            at.map((i) => averaged[i]),
            at.map((i) => current[i]),
            nAveraged,
          )
        }
      }
      if (!useBuffers) {
        const buffers = model.buffers()
        this.module.buffers().forEach((b, i) => {
          b.detach().copy_(buffers[i].detach())
        })
      }
      nAveraged.add_(1)
    })
  }
}

/**
 * Computes the running statistics of a model's batch norms anew, from one pass over the inputs of `loader` (the first
 * item of a batch that is a list): for a model whose parameters were averaged.
 */
export function updateBn(loader: Iterable<unknown>, model: Module, device?: unknown): void
export function updateBn(loader: AsyncIterable<unknown>, model: Module, device?: unknown): Promise<void>
export function updateBn(
  loader: Iterable<unknown> | AsyncIterable<unknown>,
  model: Module,
  device?: unknown,
): void | Promise<void> {
  type Norm = { -readonly [K in 'momentum' | 'resetRunningStats']: BatchNorm1d[K] }
  const norms = model
    .modules()
    .filter((m) => [BatchNorm1d, BatchNorm2d, BatchNorm3d].some((c) => m instanceof c)) as unknown as Norm[]
  if (norms.length === 0) return Symbol.iterator in loader ? undefined : Promise.resolve()
  const momenta = norms.map((norm) => norm.momentum)
  const { training } = model
  model.train()
  for (const norm of norms) {
    norm.resetRunningStats()
    norm.momentum = null
  }
  const see = (batch: unknown): void => {
    const input = (Array.isArray(batch) ? batch[0] : batch) as Tensor
    noGrad(() => model(device === undefined || device === null ? input : input.to(device as string)))
  }
  const end = (): void => {
    norms.forEach((norm, i) => {
      norm.momentum = momenta[i]
    })
    model.train(training)
  }
  if (Symbol.iterator in loader) {
    for (const batch of loader) see(batch)
    end()
    return
  }
  return (async () => {
    for await (const batch of loader) see(batch)
    end()
  })()
}

interface SWALROptions extends Resumed {
  readonly swaLr?: number | readonly number[]
  /** Epochs until the rates are `swaLr` (10). */
  readonly annealEpochs?: number
  readonly annealStrategy?: 'cos' | 'linear'
}

/** Goes from the groups' rates to `swaLr` in `annealEpochs` (10) epochs, along a cosine or a line, and stays there. */
export class SWALR extends LRScheduler {
  readonly annealEpochs: number
  protected annealStrategy: string

  constructor(
    optimizer: AnyOptimizer,
    ...args: Args<[swaLr: number | readonly number[], annealEpochs?: number, annealStrategy?: string], SWALROptions>
  ) {
    const [swaLr, annealEpochs = 10, strategy = 'cos', lastEpoch] = named<[number | number[], number, string, number]>(
      'SWALR',
      'swa_lr, anneal_epochs, anneal_strategy, last_epoch',
      args,
    )
    if (swaLr === undefined) throw new TypeError("SWALR.__init__() missing 1 required positional argument: 'swa_lr'")
    const rates = perGroup('swa_lr', optimizer, swaLr)
    if (strategy !== 'cos' && strategy !== 'linear')
      throw new ValueError(`anneal_strategy must be one of 'cos' or 'linear', instead got ${strategy}`)
    if (!Number.isInteger(annealEpochs) || annealEpochs < 0)
      throw new ValueError(`anneal_epochs must be equal or greater than 0, got ${annealEpochs}`)
    for (const [i, group] of (optimizer.paramGroups as Group[]).entries()) group.swaLr = rates[i]
    super(optimizer, lastEpoch)
    this.annealEpochs = annealEpochs
    this.annealStrategy = strategy
    this.start()
  }

  protected override spelling(name: string): string {
    return name === 'annealStrategy' ? '_anneal_strategy' : super.spelling(name)
  }

  override loadStateDict(stateDict: Readonly<Record<string, unknown>>): void {
    const { _anneal_strategy: strategy, ...rest } = stateDict
    super.loadStateDict(rest)
    this.annealStrategy = strategy as string
  }

  private share(step: number): number {
    const t = Math.max(0, Math.min(1, step / Math.max(1, this.annealEpochs)))
    return this.annealStrategy === 'cos' ? (1 - cosine(Math.PI * t)) / 2 : t
  }

  getLr(): number[] {
    this.notAsked()
    const step = Math.max(this.stepCount - 1, this.annealEpochs === 0 ? 1 : Number.NEGATIVE_INFINITY)
    const before = this.share(step - 1)
    const now = this.share(step)
    const rates = this.rates()
    return this.groups.map((group, i) => {
      const goal = group.swaLr as number
      const start = before === 1 ? goal : quotient(rates[i] - before * goal, 1 - before)
      return goal * now + start * (1 - now)
    })
  }
}
