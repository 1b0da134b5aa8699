// Adamax, Adam with the largest gradient in place of the root mean square (https://arxiv.org/abs/1412.6980).
import { k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { addQuotient, lerp, lerpCoefficient, startGradient } from './formulas.ts'
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

export interface AdamaxOptions {
  lr: number | Tensor
  betas: readonly [number, number]
  eps: number
  weightDecay: number
  maximize: boolean
}

const kernelFor = kernelFamily(
  'adamax',
  2,
  5,
  (decay: boolean, maximize: boolean, small: boolean) =>
    ([p, g, mean, most], [weight, beta2, eps, step, weightDecay]) => {
      const grad = startGradient(g, p, decay ? weightDecay : null, maximize)
      const nextMean = lerp(mean, grad, weight, small)
      const nextMost = k.max(k.mul(most, beta2), k.add(k.abs(grad), eps))
      return [addQuotient(p, nextMean, nextMost, step), null, nextMean, nextMost]
    },
)

type AdamaxArgs = Args<
  [lr?: number | Tensor, betas?: readonly [number, number], eps?: number, weightDecay?: number],
  Partial<AdamaxOptions>
>

/**
 * Steps of lr * mean(g) / max(|g|), where the maximum fades by the second beta (https://arxiv.org/abs/1412.6980).
 * Default lr 2e-3.
 */
export class Adamax extends Optimizer<AdamaxOptions> {
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<AdamaxOptions>, ...args: AdamaxArgs) {
    const [lr = 2e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, maximize = false] = named<
      [number | Tensor, [number, number], number, number, boolean]
    >('Adamax', 'lr, betas, eps, weight_decay, *, maximize', args)
    super(params, { lr, betas, eps, weightDecay, maximize })
  }

  protected check({ lr, betas, eps, weightDecay }: AdamaxOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(eps >= 0, 'epsilon value', eps)
    requireOption(betas[0] >= 0 && betas[0] < 1, 'beta parameter at index 0', betas[0])
    requireOption(betas[1] >= 0 && betas[1] < 1, 'beta parameter at index 1', betas[1])
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<AdamaxOptions>): void {
    const state = this.stateOf(p, () => ({ step: 0, expAvg: zeroState(p), expInf: zeroState(p) }))
    UpdateKernel.apply(
      [p, grad, state.expAvg, state.expInf],
      () => kernelFor(group.weightDecay !== 0, group.maximize, lerpCoefficient(1 - group.betas[0]) > 0),
      () => {
        const { betas, eps, weightDecay } = group
        const step = ++(state as { step: number }).step
        const rate = numberOf(group.lr) / (1 - betas[0] ** step)
        return [lerpCoefficient(1 - betas[0]), betas[1], eps, -rate, weightDecay]
      },
    )
  }
}
