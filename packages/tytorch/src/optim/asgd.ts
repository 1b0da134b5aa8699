// Averaged stochastic gradient descent (https://dl.acm.org/citation.cfm?id=131098).
import { k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { addScaled, startGradient } from './formulas.ts'
import {
  kernelFamily,
  numberOf,
  Optimizer,
  type ParamGroup,
  type Params,
  requireOption,
  UpdateKernel,
  zeroState,
} from './optimizer.ts'

export interface ASGDOptions {
  lr: number | Tensor
  /** How much the weights shrink, times the rate. */
  lambd: number
  /** The power with which the rate falls. */
  alpha: number
  /** The step at which averaging starts. */
  t0: number
  weightDecay: number
  maximize: boolean
}

const kernelFor = kernelFamily(
  'asgd',
  1,
  4,
  (decay: boolean, maximize: boolean, averaging: boolean) =>
    ([start, g, average], [shrink, eta, mu, weightDecay]) => {
      const grad = startGradient(g, start, decay ? weightDecay : null, maximize)
      const p = addScaled(k.mul(start, shrink), grad, eta)
      return [p, null, averaging ? k.add(average, k.mul(k.sub(p, average), mu)) : p]
    },
)

type ASGDArgs = Args<
  [lr?: number | Tensor, lambd?: number, alpha?: number, t0?: number, weightDecay?: number],
  Partial<ASGDOptions>
>

/**
 * Gradient descent at a falling rate that keeps, in its state's `ax`, the average of the weights (Polyak and Juditsky,
 * 1992). Default lr 1e-2.
 */
export class ASGD extends Optimizer<ASGDOptions> {
  protected override readonly floats = ['t0']
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<ASGDOptions>, ...args: ASGDArgs) {
    const [lr = 1e-2, lambd = 1e-4, alpha = 0.75, t0 = 1e6, weightDecay = 0, maximize = false] = named<
      [number | Tensor, number, number, number, number, boolean]
    >('ASGD', 'lr, lambd, alpha, t0, weight_decay, *, maximize', args)
    super(params, { lr, lambd, alpha, t0, weightDecay, maximize })
  }

  protected check({ lr, weightDecay }: ASGDOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<ASGDOptions>): void {
    const state = this.stateOf(p, () => ({
      step: 0,
      eta: Math.fround(numberOf(group.lr)),
      mu: 1,
      ax: zeroState(p),
    }))
    const counts = state as { step: number; eta: number; mu: number }
    UpdateKernel.apply(
      [p, grad, state.ax],
      () => kernelFor(group.weightDecay !== 0, group.maximize, counts.mu !== 1),
      () => {
        const { lambd, alpha, t0, weightDecay } = group
        const lr = numberOf(group.lr)
        const step = ++counts.step
        const scalars = [1 - lambd * counts.eta, -counts.eta, counts.mu, weightDecay]
        // PyTorch keeps both in single precision.
        counts.eta = Math.fround(lr / (1 + lambd * lr * step) ** alpha)
        counts.mu = Math.fround(1 / Math.max(1, step - t0))
        return scalars
      },
    )
  }
}
