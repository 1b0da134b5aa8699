// RAdam, Adam that waits for its variance to settle (https://arxiv.org/abs/1908.03265).
import { constant, k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { addProduct, addScaled, lerp, lerpCoefficient, startGradient } from './formulas.ts'
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

export interface RAdamOptions {
  lr: number | Tensor
  betas: readonly [number, number]
  eps: number
  weightDecay: number
  /** Shrinks the weights themselves instead of adding to the gradient. */
  decoupledWeightDecay: boolean
  maximize: boolean
}

const kernelFor = kernelFamily(
  'radam',
  2,
  9,
  (decay: boolean, decoupled: boolean, maximize: boolean, small: boolean, settled: boolean) =>
    ([start, g, mean, square], [weight, beta2, rest, correction, eps, lr, root2, rectified, factor]) => {
      const p = decay && decoupled ? k.mul(start, factor) : start
      const grad = startGradient(g, p, decay && !decoupled ? factor : null, maximize)
      const nextMean = lerp(mean, grad, weight, small)
      const nextSquare = addProduct(k.mul(square, beta2), grad, grad, rest)
      const step = k.mul(k.div(nextMean, correction), lr)
      const adaptive = k.div(root2, k.add(k.sqrt(nextSquare), eps))
      const whole = settled ? k.mul(k.mul(step, adaptive), rectified) : step
      return [addScaled(p, whole, constant(-1, p.type)), null, nextMean, nextSquare]
    },
)

/** On how many gradients the mean square rests: `rho` now, `most` in the end. */
function certainty(beta2: number, step: number): { most: number; rho: number } {
  const most = 2 / (1 - beta2) - 1
  return { most, rho: most - (2 * step * beta2 ** step) / (1 - beta2 ** step) }
}

type RAdamArgs = Args<
  [
    lr?: number | Tensor,
    betas?: readonly [number, number],
    eps?: number,
    weightDecay?: number,
    decoupledWeightDecay?: boolean,
  ],
  Partial<RAdamOptions>
>

/**
 * Adam whose first steps are plain momentum, until the mean square rests on enough gradients
 * (https://arxiv.org/abs/1908.03265). Default lr 1e-3.
 */
export class RAdam extends Optimizer<RAdamOptions> {
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<RAdamOptions>, ...args: RAdamArgs) {
    const [
      lr = 1e-3,
      betas = [0.9, 0.999],
      eps = 1e-8,
      weightDecay = 0,
      decoupledWeightDecay = false,
      maximize = false,
    ] = named<[number | Tensor, [number, number], number, number, boolean, boolean]>(
      'RAdam',
      'lr, betas, eps, weight_decay, decoupled_weight_decay, *, maximize',
      args,
    )
    super(params, { lr, betas, eps, weightDecay, decoupledWeightDecay, maximize })
  }

  protected check({ lr, betas, eps, weightDecay }: RAdamOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(eps >= 0, 'epsilon value', eps)
    requireOption(betas[0] >= 0 && betas[0] < 1, 'beta parameter at index 0', betas[0])
    requireOption(betas[1] >= 0 && betas[1] < 1, 'beta parameter at index 1', betas[1])
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<RAdamOptions>): void {
    const state = this.stateOf(p, () => ({ step: 0, expAvg: zeroState(p), expAvgSq: zeroState(p) }))
    const counts = state as { step: number }
    UpdateKernel.apply(
      [p, grad, state.expAvg, state.expAvgSq],
      () => {
        const { betas, weightDecay, decoupledWeightDecay, maximize } = group
        const settled = certainty(betas[1], counts.step + 1).rho > 5
        return kernelFor(weightDecay !== 0, decoupledWeightDecay, maximize, lerpCoefficient(1 - betas[0]) > 0, settled)
      },
      () => {
        const { eps, weightDecay, decoupledWeightDecay } = group
        const [beta1, beta2] = group.betas
        const step = ++counts.step
        const lr = numberOf(group.lr)
        const { most, rho } = certainty(beta2, step)
        return [
          lerpCoefficient(1 - beta1),
          beta2,
          1 - beta2,
          1 - beta1 ** step,
          eps,
          lr,
          Math.sqrt(1 - beta2 ** step),
          rho > 5 ? Math.sqrt(((rho - 4) * (rho - 2) * most) / ((most - 4) * (most - 2) * rho)) : 1,
          decoupledWeightDecay ? 1 - lr * weightDecay : weightDecay,
        ]
      },
    )
  }
}
