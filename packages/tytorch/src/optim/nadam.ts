// NAdam, Adam with Nesterov's momentum (https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).
import { k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { addProduct, addQuotient, lerp, lerpCoefficient, startGradient } from './formulas.ts'
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

export interface NAdamOptions {
  lr: number | Tensor
  betas: readonly [number, number]
  eps: number
  weightDecay: number
  momentumDecay: number
  /** Shrinks the weights themselves instead of adding to the gradient. */
  decoupledWeightDecay: boolean
  maximize: boolean
}

const kernelFor = kernelFamily(
  'nadam',
  2,
  8,
  (decay: boolean, decoupled: boolean, maximize: boolean, small: boolean) =>
    ([start, g, mean, square], [weight, beta2, rest, correction, eps, stepNow, stepMean, factor]) => {
      const p = decay && decoupled ? k.mul(start, factor) : start
      const grad = startGradient(g, p, decay && !decoupled ? factor : null, maximize)
      const nextMean = lerp(mean, grad, weight, small)
      const nextSquare = addProduct(k.mul(square, beta2), grad, grad, rest)
      const root = k.add(k.sqrt(k.div(nextSquare, correction)), eps)
      const moved = addQuotient(p, grad, root, stepNow)
      return [addQuotient(moved, nextMean, root, stepMean), null, nextMean, nextSquare]
    },
)

type NAdamArgs = Args<
  [
    lr?: number | Tensor,
    betas?: readonly [number, number],
    eps?: number,
    weightDecay?: number,
    momentumDecay?: number,
    decoupledWeightDecay?: boolean,
  ],
  Partial<NAdamOptions>
>

/**
 * Adam that looks one step of momentum ahead (https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ). Default lr 2e-3.
 */
export class NAdam extends Optimizer<NAdamOptions> {
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<NAdamOptions>, ...args: NAdamArgs) {
    const [
      lr = 2e-3,
      betas = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 0,
      momentumDecay = 4e-3,
      decoupledWeightDecay = false,
      maximize = false,
    ] = named<[number | Tensor, [number, number], number, number, number, boolean, boolean]>(
      'NAdam',
      'lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay, *, maximize',
      args,
    )
    super(params, { lr, betas, eps, weightDecay, momentumDecay, decoupledWeightDecay, maximize })
  }

  protected check({ lr, betas, eps, weightDecay, momentumDecay }: NAdamOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(eps >= 0, 'epsilon value', eps)
    requireOption(betas[0] >= 0 && betas[0] < 1, 'beta parameter at index 0', betas[0])
    requireOption(betas[1] >= 0 && betas[1] < 1, 'beta parameter at index 1', betas[1])
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
    requireOption(momentumDecay >= 0, 'momentum_decay value', momentumDecay)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<NAdamOptions>): void {
    const state = this.stateOf(p, () => ({ step: 0, muProduct: 1, expAvg: zeroState(p), expAvgSq: zeroState(p) }))
    const counts = state as { step: number; muProduct: number }
    UpdateKernel.apply(
      [p, grad, state.expAvg, state.expAvgSq],
      () => {
        const { betas, weightDecay, decoupledWeightDecay, maximize } = group
        return kernelFor(weightDecay !== 0, decoupledWeightDecay, maximize, lerpCoefficient(1 - betas[0]) > 0)
      },
      () => {
        const { eps, weightDecay, momentumDecay, decoupledWeightDecay } = group
        const [beta1, beta2] = group.betas
        const step = ++counts.step
        const lr = numberOf(group.lr)
        const muAt = (t: number): number => beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay))
        const [mu, next] = [muAt(step), muAt(step + 1)]
        // PyTorch keeps this product in single precision.
        counts.muProduct = Math.fround(counts.muProduct * Math.fround(mu))
        return [
          lerpCoefficient(1 - beta1),
          beta2,
          1 - beta2,
          1 - beta2 ** step,
          eps,
          (-lr * (1 - mu)) / (1 - counts.muProduct),
          (-lr * next) / (1 - counts.muProduct * next),
          decoupledWeightDecay ? 1 - lr * weightDecay : weightDecay,
        ]
      },
    )
  }
}
