// Adadelta (https://arxiv.org/abs/1212.5701).
import { k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { addProduct, addScaled, startGradient } from './formulas.ts'
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

export interface AdadeltaOptions {
  lr: number | Tensor
  /** How much of the running means of squares each step keeps. */
  rho: number
  eps: number
  weightDecay: number
  maximize: boolean
}

const kernelFor = kernelFamily(
  'adadelta',
  2,
  5,
  (decay: boolean, maximize: boolean) =>
    ([p, g, square, deltas], [lr, rho, rest, eps, weightDecay]) => {
      const grad = startGradient(g, p, decay ? weightDecay : null, maximize)
      const nextSquare = addProduct(k.mul(square, rho), grad, grad, rest)
      const deviation = k.sqrt(k.add(nextSquare, eps))
      const delta = k.mul(k.div(k.sqrt(k.add(deltas, eps)), deviation), grad)
      return [addScaled(p, delta, lr), null, nextSquare, addProduct(k.mul(deltas, rho), delta, delta, rest)]
    },
)

type AdadeltaArgs = Args<
  [lr?: number | Tensor, rho?: number, eps?: number, weightDecay?: number],
  Partial<AdadeltaOptions>
>

/**
 * Steps as large as the running root mean square of the steps before, over that of the gradients
 * (https://arxiv.org/abs/1212.5701). Defaults: lr 1, rho 0.9, eps 1e-6.
 */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  protected override readonly floats = ['lr']
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<AdadeltaOptions>, ...args: AdadeltaArgs) {
    const [lr = 1, rho = 0.9, eps = 1e-6, weightDecay = 0, maximize = false] = named<
      [number | Tensor, number, number, number, boolean]
    >('Adadelta', 'lr, rho, eps, weight_decay, *, maximize', args)
    super(params, { lr, rho, eps, weightDecay, maximize })
  }

  protected check({ lr, rho, eps, weightDecay }: AdadeltaOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(rho >= 0 && rho <= 1, 'rho value', rho)
    requireOption(eps >= 0, 'epsilon value', eps)
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<AdadeltaOptions>): void {
    const state = this.stateOf(p, () => ({ step: 0, squareAvg: zeroState(p), accDelta: zeroState(p) }))
    UpdateKernel.apply(
      [p, grad, state.squareAvg, state.accDelta],
      () => kernelFor(group.weightDecay !== 0, group.maximize),
      () => {
        const { rho, eps, weightDecay } = group
        ;(state as { step: number }).step++
        return [-numberOf(group.lr), rho, 1 - rho, eps, weightDecay]
      },
    )
  }
}
