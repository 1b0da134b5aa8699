// RMSprop (https://pytorch.org/docs/stable/generated/torch.optim.RMSprop.html).
import { constant, k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { once } from '../tensor/tracer.ts'
import { addProduct, addQuotient, addScaled, lerp, lerpCoefficient, startGradient } from './formulas.ts'
import {
  numberOf,
  Optimizer,
  type ParamGroup,
  type Params,
  requireOption,
  UpdateKernel,
  zeroState,
} from './optimizer.ts'

export interface RMSpropOptions {
  lr: number | Tensor
  momentum: number
  /** How much of the running mean of g * g each step keeps. */
  alpha: number
  eps: number
  /** Divides by the deviation of g around its running mean, instead of its root mean square. */
  centered: boolean
  weightDecay: number
  maximize: boolean
}

const kernels = new Map<string, UpdateKernel>()

function kernelFor(
  decay: boolean,
  momentum: boolean,
  centered: boolean,
  maximize: boolean,
  small: boolean,
): UpdateKernel {
  const key = `${decay} ${momentum} ${centered} ${maximize} ${small}`
  let kernel = kernels.get(key)
  if (!kernel) {
    kernel = new UpdateKernel('rmsprop', 1 + Number(centered) + Number(momentum), 7, (values, scalars) => {
      const [p, g, square] = values
      const [lr, weightDecay, alpha, rest, weight, eps, keep] = scalars
      const grad = startGradient(g, p, decay ? weightDecay : null, maximize)
      const nextSquare = addProduct(k.mul(square, alpha), grad, grad, rest)
      const mean = centered ? lerp(values[3], grad, weight, small) : null
      const spread = mean ? addProduct(nextSquare, mean, mean, constant(-1, mean.type)) : nextSquare
      const root = k.add(k.sqrt(spread), eps)
      const states = [nextSquare, ...(mean ? [mean] : [])]
      if (!momentum) return [addQuotient(p, grad, root, lr), null, ...states]
      const buffer = addQuotient(k.mul(values[values.length - 1], keep), grad, root, constant(1, p.type))
      return [addScaled(p, buffer, lr), null, ...states, buffer]
    })
    kernels.set(key, kernel)
  }
  return kernel
}

type RMSpropArgs = Args<
  [lr?: number | Tensor, alpha?: number, eps?: number, weightDecay?: number, momentum?: number, centered?: boolean],
  Partial<RMSpropOptions>
>

/**
 * Steps of lr * g / (sqrt(mean(g * g)) + eps) (https://arxiv.org/abs/1308.0850). Defaults: lr 1e-2, alpha 0.99, eps
 * 1e-8, no momentum. Throws ValueError for negative options.
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<RMSpropOptions>, ...args: RMSpropArgs) {
    const [lr = 1e-2, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0, centered = false, maximize = false] =
      named<[number | Tensor, number, number, number, number, boolean, boolean]>(
        'RMSprop',
        'lr, alpha, eps, weight_decay, momentum, centered, *, maximize',
        args,
      )
    super(params, { lr, momentum, alpha, eps, centered, weightDecay, maximize })
  }

  protected check({ lr, eps, momentum, weightDecay, alpha }: RMSpropOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(eps >= 0, 'epsilon value', eps)
    requireOption(momentum >= 0, 'momentum value', momentum)
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
    requireOption(alpha >= 0, 'alpha value', alpha)
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<RMSpropOptions>): void {
    const { momentum, centered } = group
    const state = this.stateOf(p, () => ({
      step: 0,
      squareAvg: zeroState(p),
      ...(momentum > 0 ? { momentumBuffer: zeroState(p) } : {}),
      ...(centered ? { gradAvg: zeroState(p) } : {}),
    })) as { step: number; squareAvg: Tensor; momentumBuffer?: Tensor; gradAvg?: Tensor }
    const operands = [p, grad, state.squareAvg]
    if (centered) operands.push((state.gradAvg ??= once(() => zeroState(p))))
    if (momentum > 0) operands.push((state.momentumBuffer ??= once(() => zeroState(p))))
    UpdateKernel.apply(
      operands,
      () => {
        const { momentum, alpha, centered, weightDecay, maximize } = group
        return kernelFor(weightDecay !== 0, momentum > 0, centered, maximize, lerpCoefficient(1 - alpha) > 0)
      },
      () => {
        const { momentum, alpha, eps, weightDecay } = group
        state.step++
        return [-numberOf(group.lr), weightDecay, alpha, 1 - alpha, lerpCoefficient(1 - alpha), eps, momentum]
      },
    )
  }
}
