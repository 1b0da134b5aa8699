// Adam and AdamW (https://arxiv.org/abs/1412.6980, https://arxiv.org/abs/1711.05101), in the order of operations of
// PyTorch's single-tensor implementation.
import { type Expr, k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { once } from '../tensor/tracer.ts'
import { addProduct, addQuotient, lerp, lerpCoefficient, startGradient } from './formulas.ts'
import {
  numberOf,
  Optimizer,
  type ParamGroup,
  type Params,
  requireOption,
  UpdateKernel,
  zeroState,
} from './optimizer.ts'

export interface AdamOptions {
  lr: number | Tensor
  /** How much of the running means of g and g * g each step keeps. */
  betas: readonly [number, number]
  /** Added to the denominator. */
  eps: number
  weightDecay: number
  /** Divides by the largest mean square so far (https://openreview.net/forum?id=ryQu7f-RZ). */
  amsgrad: boolean
  /** Goes up the gradient instead of down. */
  maximize: boolean
  /** Shrinks the weights themselves instead of adding to the gradient. */
  decoupledWeightDecay: boolean
}

type Decay = 'none' | 'gradient' | 'weights'
const decays: readonly Decay[] = ['none', 'gradient', 'weights']
const kernels: (UpdateKernel | undefined)[] = []

function kernelFor(decay: Decay, amsgrad: boolean, maximize: boolean, smallWeight: boolean): UpdateKernel {
  const at = decays.indexOf(decay) * 8 + (amsgrad ? 4 : 0) + (maximize ? 2 : 0) + (smallWeight ? 1 : 0)
  return (kernels[at] ??= new UpdateKernel('adam', amsgrad ? 3 : 2, 7, (values, scalars) => {
    const [start, g, m, v] = values
    const [weight, beta2, rest2, root2, eps, step, factor] = scalars
    const p = decay === 'weights' ? k.mul(start, factor) : start
    const grad = startGradient(g, p, decay === 'gradient' ? factor : null, maximize)
    const mean = lerp(m, grad, weight, smallWeight)
    const square = addProduct(k.mul(v, beta2), grad, grad, rest2)
    const most: Expr = amsgrad ? k.max(values[4], square) : square
    const next = addQuotient(p, mean, k.add(k.div(k.sqrt(most), root2), eps), step)
    return [next, null, mean, square, ...(amsgrad ? [most] : [])]
  }))
}

const decayOf = ({ weightDecay, decoupledWeightDecay }: AdamOptions): Decay =>
  weightDecay === 0 ? 'none' : decoupledWeightDecay ? 'weights' : 'gradient'

type AdamArgs = Args<
  [lr?: number | Tensor, betas?: readonly [number, number], eps?: number, weightDecay?: number, amsgrad?: boolean],
  Partial<AdamOptions>
>

function optionsOf(name: string, given: AdamArgs, defaultDecay: number): AdamOptions {
  const [
    lr = 1e-3,
    betas = [0.9, 0.999],
    eps = 1e-8,
    weightDecay = defaultDecay,
    amsgrad = false,
    maximize = false,
    decoupledWeightDecay = false,
  ] = named<[number | Tensor, [number, number], number, number, boolean, boolean, boolean]>(
    name,
    'lr, betas, eps, weight_decay, amsgrad, *, maximize, decoupled_weight_decay',
    given,
  )
  return { lr, betas, eps, weightDecay, amsgrad, maximize, decoupledWeightDecay }
}

/**
 * Steps of lr * mean(g) / (sqrt(mean(g * g)) + eps), with means corrected for their start at 0
 * (https://arxiv.org/abs/1412.6980). Defaults: lr 1e-3, betas [0.9, 0.999], eps 1e-8. Throws ValueError for options
 * out of range.
 */
export class Adam extends Optimizer<AdamOptions> {
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false, fused: null }

  constructor(params: Params<AdamOptions>, ...args: AdamArgs) {
    super(params, optionsOf('Adam', args, 0))
  }

  protected check({ lr, betas, eps, weightDecay }: AdamOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(eps >= 0, 'epsilon value', eps)
    requireOption(betas[0] >= 0 && betas[0] < 1, 'beta parameter at index 0', betas[0])
    requireOption(betas[1] >= 0 && betas[1] < 1, 'beta parameter at index 1', betas[1])
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<AdamOptions>): void {
    const state = this.stateOf(p, () => ({ step: 0, expAvg: zeroState(p), expAvgSq: zeroState(p) }))
    const operands = [p, grad, state.expAvg, state.expAvgSq]
    if (group.amsgrad) operands.push(((state as { maxExpAvgSq?: Tensor }).maxExpAvgSq ??= once(() => zeroState(p))))
    UpdateKernel.apply(
      operands,
      () => kernelFor(decayOf(group), group.amsgrad, group.maximize, lerpCoefficient(1 - group.betas[0]) > 0),
      () => {
        const { eps, weightDecay } = group
        const [beta1, beta2] = group.betas
        const step = ++(state as { step: number }).step
        const lr = numberOf(group.lr)
        return [
          lerpCoefficient(1 - beta1),
          beta2,
          1 - beta2,
          Math.sqrt(1 - beta2 ** step),
          eps,
          -(lr / (1 - beta1 ** step)),
          decayOf(group) === 'weights' ? 1 - lr * weightDecay : weightDecay,
        ]
      },
    )
  }
}

/** Adam whose weight decay (1e-2 by default) shrinks the weights directly (https://arxiv.org/abs/1711.05101). */
export class AdamW extends Adam {
  constructor(params: Params<AdamOptions>, ...args: AdamArgs) {
    super(params, { ...optionsOf('AdamW', args, 1e-2), decoupledWeightDecay: true })
  }
}
