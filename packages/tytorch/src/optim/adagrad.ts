// Adagrad (https://jmlr.org/papers/v12/duchi11a.html).
import { constant, k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import { fullLike } from '../ops/create.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { addProduct, addQuotient, startGradient } from './formulas.ts'
import { numberOf, Optimizer, type ParamGroup, type Params, requireOption, UpdateKernel } from './optimizer.ts'

export interface AdagradOptions {
  lr: number | Tensor
  /** Divides lr by 1 + lrDecay times the steps done. */
  lrDecay: number
  eps: number
  weightDecay: number
  initialAccumulatorValue: number
  maximize: boolean
}

const kernels: (UpdateKernel | undefined)[] = []

function kernelFor(decay: boolean, maximize: boolean): UpdateKernel {
  return (kernels[Number(decay) * 2 + Number(maximize)] ??= new UpdateKernel(
    'adagrad',
    1,
    3,
    ([p, g, total], [lr, weightDecay, eps]) => {
      const grad = startGradient(g, p, decay ? weightDecay : null, maximize)
      const next = addProduct(total, grad, grad, constant(1, p.type))
      return [addQuotient(p, grad, k.add(k.sqrt(next), eps), lr), null, next]
    },
  ))
}

type AdagradArgs = Args<
  [lr?: number | Tensor, lrDecay?: number, weightDecay?: number, initialAccumulatorValue?: number, eps?: number],
  Partial<AdagradOptions>
>

/**
 * Steps of lr * g / (sqrt(sum of all g * g) + eps) (http://jmlr.org/papers/v12/duchi11a.html). Defaults: lr 1e-2, eps
 * 1e-10, all else 0. Throws ValueError for negative options.
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  protected override readonly fixed = { foreach: null, differentiable: false, fused: null }

  constructor(params: Params<AdagradOptions>, ...args: AdagradArgs) {
    const [lr = 1e-2, lrDecay = 0, weightDecay = 0, initialAccumulatorValue = 0, eps = 1e-10, maximize = false] = named<
      [number | Tensor, number, number, number, number, boolean]
    >('Adagrad', 'lr, lr_decay, weight_decay, initial_accumulator_value, eps, *, maximize', args)
    super(params, { lr, lrDecay, eps, weightDecay, initialAccumulatorValue, maximize })
  }

  protected check({ lr, lrDecay, weightDecay, initialAccumulatorValue, eps }: AdagradOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(lrDecay >= 0, 'lr_decay value', lrDecay)
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
    requireOption(initialAccumulatorValue >= 0, 'initial_accumulator_value value', initialAccumulatorValue)
    requireOption(eps >= 0, 'epsilon value', eps)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<AdagradOptions>): void {
    const state = this.stateOf(p, () => ({ step: 0, sum: fullLike(p.detach(), group.initialAccumulatorValue) }))
    UpdateKernel.apply(
      [p, grad, state.sum],
      () => kernelFor(group.weightDecay !== 0, group.maximize),
      () => {
        const step = ++(state as { step: number }).step
        const lr = numberOf(group.lr) / (1 + (step - 1) * group.lrDecay)
        return [-lr, group.weightDecay, group.eps]
      },
    )
  }
}
