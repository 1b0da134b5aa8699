// Muon (https://kellerjordan.github.io/posts/muon/): momentum, made orthogonal by Newton-Schulz iterations.
import { bfloat16, float32 } from '../base/dtype.ts'
import { ValueError } from '../base/errors.ts'
import { formatSize, formatValue } from '../base/format.ts'
import { named } from '../nn/arguments.ts'
import { addmm } from '../ops/linear.ts'
import type { Args } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { numberOf, Optimizer, type ParamGroup, type Params, zeroState } from './optimizer.ts'

type Adjustment = 'original' | 'match_rms_adamw'

export interface MuonOptions {
  lr: number | Tensor
  weightDecay: number
  /** How much of the running mean of gradients each step keeps. */
  momentum: number
  nesterov: boolean
  /** The polynomial a x + b x^3 + c x^5 that is iterated. */
  nsCoefficients: readonly [number, number, number]
  /** The least norm to divide by. */
  eps: number
  /** How many iterations. */
  nsSteps: number
  /** How lr follows the shape: sqrt(max(1, rows / columns)), or 0.2 * sqrt(the larger) to be as large as AdamW's steps. */
  adjustLrFn: Adjustment | null
}

type MuonArgs = Args<[lr?: number | Tensor, weightDecay?: number, momentum?: number], Partial<MuonOptions>>

function requireNonNegative(value: number, text: string): void {
  if (!(value >= 0)) throw new ValueError(`${text} should be >= 0 but is: ${formatValue(value)}`)
}

/** A matrix with the singular vectors of `x` and singular values near 1, computed in bfloat16 as PyTorch does. */
function orthogonalized(x: Tensor, { nsCoefficients: [a, b, c], nsSteps, eps }: MuonOptions): Tensor {
  if (nsSteps >= 100) throw new ValueError('Number of steps must be less than 100 for computational efficiency')
  const tall = x.sizes[0] > x.sizes[1]
  // Products of bfloat16 matrices, each rounded once, as PyTorch's are.
  const rounded = (product: Tensor): Tensor => product.to(bfloat16).to(float32)
  const small = x.to(bfloat16)
  const flat = tall ? small.t() : small
  let y = flat.div(flat.norm().clamp(eps)).to(float32)
  for (let i = 0; i < nsSteps; i++) {
    const gram = rounded(y.matmul(y.t()))
    const update = rounded(addmm(gram, gram, gram, { beta: b, alpha: c }))
    y = rounded(addmm(y, update, y, { beta: a }))
  }
  return tall ? y.t() : y
}

function adjusted(lr: number, how: Adjustment | null, [rows, columns]: readonly number[]): number {
  return how === 'match_rms_adamw'
    ? lr * 0.2 * Math.sqrt(Math.max(rows, columns))
    : lr * Math.sqrt(Math.max(1, rows / columns))
}

/**
 * Steps along the orthogonalized running mean of gradients, for matrices only: hidden layers' weights
 * (https://kellerjordan.github.io/posts/muon/). Defaults: lr 1e-3, weightDecay 0.1, momentum 0.95. Throws ValueError
 * for other parameters and for options out of range.
 */
export class Muon extends Optimizer<MuonOptions> {
  protected override readonly fixed = {}

  constructor(params: Params<MuonOptions>, ...args: MuonArgs) {
    const [
      lr = 1e-3,
      weightDecay = 0.1,
      momentum = 0.95,
      nesterov = true,
      nsCoefficients = [3.4445, -4.775, 2.0315],
      eps = 1e-7,
      nsSteps = 5,
      adjustLrFn = null,
    ] = named<[number | Tensor, number, number, boolean, [number, number, number], number, number, Adjustment | null]>(
      'Muon',
      'lr, weight_decay, momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn',
      args,
    )
    super(params, { lr, weightDecay, momentum, nesterov, nsCoefficients, eps, nsSteps, adjustLrFn })
    for (const p of this.paramGroups.flatMap((group) => group.params)) {
      if (p.ndim !== 2) {
        throw new ValueError(
          `Muon only supports 2D parameters whereas we found a parameter with size: ${formatSize(p.sizes)}`,
        )
      }
    }
  }

  protected check({ lr, momentum, weightDecay, adjustLrFn, nsCoefficients }: MuonOptions): void {
    requireNonNegative(numberOf(lr), 'Learning rate')
    requireNonNegative(momentum, 'momentum')
    requireNonNegative(weightDecay, 'weight decay')
    if (adjustLrFn !== null && adjustLrFn !== 'original' && adjustLrFn !== 'match_rms_adamw') {
      throw new ValueError(`Adjust learning rate function ${adjustLrFn} is not supported`)
    }
    if (nsCoefficients.length !== 3) throw new ValueError('Coefficients must be a tuple of exactly 3 values')
  }

  protected update(p: Tensor, given: Tensor, group: ParamGroup<MuonOptions>): void {
    readsValues('Muon')
    const { weightDecay, momentum, nesterov, adjustLrFn } = group
    const lr = numberOf(group.lr)
    const { momentumBuffer } = this.stateOf(p, () => ({ momentumBuffer: zeroState(p) }))
    noGrad(() => {
      const grad = given.detach()
      momentumBuffer.lerp_(grad, 1 - momentum)
      const mean = nesterov ? grad.lerp(momentumBuffer, momentum) : momentumBuffer
      const step = orthogonalized(mean, group)
      const target = p.detach()
      target.mul_(1 - lr * weightDecay)
      target.add_(step, { alpha: -adjusted(lr, adjustLrFn, p.sizes) })
    })
  }
}
