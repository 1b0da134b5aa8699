// Resilient backpropagation (https://citeseerx.ist.psu.edu/viewdoc/summary?doi=10.1.1.21.1417).
import { ValueError } from '../base/errors.ts'
import { constant, k } from '../ir/expr.ts'
import { sign } from '../ir/maths.ts'
import { named } from '../nn/arguments.ts'
import { fullLike } from '../ops/create.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { startGradient } from './formulas.ts'
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

export interface RpropOptions {
  lr: number | Tensor
  /** What a step size is multiplied by where the gradient changes its sign, and where it does not. */
  etas: readonly [number, number]
  /** The smallest and the largest step size. */
  stepSizes: readonly [number, number]
  maximize: boolean
}

const kernelFor = kernelFamily(
  'rprop',
  2,
  4,
  (maximize: boolean) =>
    ([p, g, before, size], [shrink, grow, least, most]) => {
      const grad = startGradient(g, p, null, maximize)
      const [zero, one] = [constant(0, p.type), constant(1, p.type)]
      const agreement = k.mul(grad, before)
      const turned = k.lt(agreement, zero)
      const factor = k.select(k.gt(agreement, zero), grow, k.select(turned, shrink, one))
      const nextSize = k.min(k.max(k.mul(size, factor), least), most)
      const used = k.select(turned, zero, grad)
      return [k.sub(p, k.mul(sign(used), nextSize)), null, used, nextSize]
    },
)

type RpropArgs = Args<
  [lr?: number | Tensor, etas?: readonly [number, number], stepSizes?: readonly [number, number]],
  Partial<RpropOptions>
>

/**
 * Steps of a size that each weight finds for itself, by the signs of its gradients alone (Riedmiller and Braun, 1993):
 * larger by etas[1] (1.2) while the sign stays, smaller by etas[0] (0.5) when it changes. Default lr 1e-2.
 */
export class Rprop extends Optimizer<RpropOptions> {
  protected override readonly fixed = { foreach: null, capturable: false, differentiable: false }

  constructor(params: Params<RpropOptions>, ...args: RpropArgs) {
    const [lr = 1e-2, etas = [0.5, 1.2], stepSizes = [1e-6, 50], maximize = false] = named<
      [number | Tensor, [number, number], [number, number], boolean]
    >('Rprop', 'lr, etas, step_sizes, *, maximize', args)
    super(params, { lr, etas, stepSizes, maximize })
  }

  protected check({ lr, etas }: RpropOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    if (!(etas[0] > 0 && etas[0] < 1 && etas[1] > 1)) {
      throw new ValueError(`Invalid eta values: ${etas[0]}, ${etas[1]}`)
    }
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<RpropOptions>): void {
    const state = this.stateOf(p, () => ({
      step: 0,
      prev: zeroState(p),
      stepSize: fullLike(p.detach(), numberOf(group.lr)),
    }))
    UpdateKernel.apply(
      [p, grad, state.prev, state.stepSize],
      () => kernelFor(group.maximize),
      () => {
        ;(state as { step: number }).step++
        return [...group.etas, ...group.stepSizes]
      },
    )
  }
}
