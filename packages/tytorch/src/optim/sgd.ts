// Stochastic gradient descent, with momentum (https://pytorch.org/docs/stable/generated/torch.optim.SGD.html).
import { ValueError } from '../base/errors.ts'
import { k } from '../ir/expr.ts'
import { named } from '../nn/arguments.ts'
import type { Args } from '../tensor/define.ts'
import { emptyLike, type Tensor } from '../tensor/tensor.ts'
import { tracer } from '../tensor/tracer.ts'
import { addScaled, startGradient } from './formulas.ts'
import { numberOf, Optimizer, type ParamGroup, type Params, requireOption, UpdateKernel } from './optimizer.ts'

export interface SGDOptions {
  lr: number | Tensor
  momentum: number
  dampening: number
  weightDecay: number
  nesterov: boolean
  /** Goes up the gradient instead of down. */
  maximize: boolean
}

/** How a step treats its momentum buffer: there is none, it is made now, it is there. */
type Buffer = 'none' | 'first' | 'there'

const kernels = new Map<string, UpdateKernel>()

function kernelFor(buffer: Buffer, decay: boolean, nesterov: boolean, maximize: boolean): UpdateKernel {
  const key = `${buffer} ${decay} ${nesterov} ${maximize}`
  let kernel = kernels.get(key)
  if (!kernel) {
    kernel = new UpdateKernel('sgd', buffer === 'none' ? 0 : 1, 4, ([p, g, buf], [lr, weightDecay, momentum, keep]) => {
      const grad = startGradient(g, p, decay ? weightDecay : null, maximize)
      if (buffer === 'none') return [addScaled(p, grad, lr), null]
      const next = buffer === 'first' ? grad : addScaled(k.mul(buf, momentum), grad, keep)
      const direction = nesterov ? addScaled(grad, next, momentum) : next
      return [addScaled(p, direction, lr), null, next]
    })
    kernels.set(key, kernel)
  }
  return kernel
}

/**
 * p -= lr * g, or with momentum p -= lr * b for b = momentum * b + (1 - dampening) * g
 * (http://www.cs.toronto.edu/%7Ehinton/absps/momentum.pdf). Defaults: lr 1e-3, all else 0. Throws ValueError for
 * negative options, and for Nesterov's momentum without momentum or with dampening.
 */
export class SGD extends Optimizer<SGDOptions> {
  protected override readonly fixed = { foreach: null, differentiable: false, fused: null }

  constructor(
    params: Params<SGDOptions>,
    ...args: Args<
      [lr?: number | Tensor, momentum?: number, dampening?: number, weightDecay?: number, nesterov?: boolean],
      Partial<SGDOptions>
    >
  ) {
    const [lr = 1e-3, momentum = 0, dampening = 0, weightDecay = 0, nesterov = false, maximize = false] = named<
      [number | Tensor, number, number, number, boolean, boolean]
    >('SGD', 'lr, momentum, dampening, weight_decay, nesterov, *, maximize', args)
    super(params, { lr, momentum, dampening, weightDecay, nesterov, maximize })
  }

  protected check({ lr, momentum, dampening, weightDecay, nesterov }: SGDOptions): void {
    requireOption(numberOf(lr) >= 0, 'learning rate', lr)
    requireOption(momentum >= 0, 'momentum value', momentum)
    requireOption(weightDecay >= 0, 'weight_decay value', weightDecay)
    if (nesterov && (momentum <= 0 || dampening !== 0)) {
      throw new ValueError('Nesterov momentum requires a momentum and zero dampening')
    }
  }

  protected update(p: Tensor, grad: Tensor, group: ParamGroup<SGDOptions>): void {
    const scalars = (): number[] => [-numberOf(group.lr), group.weightDecay, group.momentum, 1 - group.dampening]
    const kernel = (): UpdateKernel => {
      const { momentum, weightDecay, nesterov, maximize } = group
      if (momentum === 0) return kernelFor('none', weightDecay !== 0, false, maximize)
      return kernelFor(this.state.has(p) ? 'there' : 'first', weightDecay !== 0, nesterov, maximize)
    }
    if (group.momentum === 0) {
      UpdateKernel.apply([p, grad], kernel, scalars)
      return
    }
    if (tracer !== null) tracer.guard(kernel)
    const chosen = kernel()
    const state = this.stateOf(p, () => ({ momentumBuffer: emptyLike(p) }))
    UpdateKernel.apply([p, grad, state.momentumBuffer], () => chosen, scalars)
  }
}
