// Adafactor (https://arxiv.org/abs/1804.04235), in the order of operations of PyTorch's single-tensor implementation.
import { ValueError } from '../base/errors.ts'
import { formatValue, type PythonValue } from '../base/format.ts'
import { named } from '../nn/arguments.ts'
import { zeros } from '../ops/create.ts'
import type { Args } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { numberOf, Optimizer, type ParamGroup, type Params, type State, zeroState } from './optimizer.ts'

export interface AdafactorOptions {
  lr: number | Tensor
  /** The exponent with which the running means forget: 1 - step ** beta2Decay is kept. */
  beta2Decay: number
  /** The least factor of the mean square (the dtype's epsilon if null), and the least size of parameters. */
  eps: readonly [number | null, number]
  /** Clips updates whose root mean square is larger. */
  d: number
  weightDecay: number
  /** Goes up the gradient instead of down. */
  maximize: boolean
}

type AdafactorArgs = Args<
  [lr?: number | Tensor, beta2Decay?: number, eps?: readonly [number | null, number], d?: number, weightDecay?: number],
  Partial<AdafactorOptions>
>

/** Throws ValueError as Adafactor and Muon word it. */
function require(valid: boolean, text: string, value: unknown): void {
  if (!valid) throw new ValueError(`${text} but is: ${formatValue(value as PythonValue)}`)
}

const norm = (x: Tensor): number => x.norm(2).item()

/**
 * Steps by the gradient over the root of its mean square, of which matrices keep means of rows and of columns only; as
 * large as the parameters are, lr at most (https://arxiv.org/abs/1804.04235). Defaults: lr 1e-2, beta2Decay -0.8, eps
 * [null, 1e-3], d 1.
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  protected override readonly fixed = { foreach: null }
  protected override readonly floats = ['d', 'weightDecay']

  constructor(params: Params<AdafactorOptions>, ...args: AdafactorArgs) {
    const [lr = 1e-2, beta2Decay = -0.8, eps = [null, 1e-3], d = 1, weightDecay = 0, maximize = false] = named<
      [number | Tensor, number, [number | null, number], number, number, boolean]
    >('Adafactor', 'lr, beta2_decay, eps, d, weight_decay, *, maximize', args)
    super(params, { lr, beta2Decay, eps, d, weightDecay, maximize })
  }

  protected check({ lr, beta2Decay, eps, d, weightDecay }: AdafactorOptions): void {
    require(numberOf(lr) >= 0, 'Learning rate should be >= 0', lr)
    require(beta2Decay <= 0, 'beta2_decay should be <= 0', beta2Decay)
    require(eps[0] === null || eps[0] >= 0, 'epsilon1 should be >= 0', eps[0])
    require(eps[1] >= 0, 'epsilon2 should be >= 0', eps[1])
    require(d >= 1, 'Clipping threshold d should be >= 1', d)
    require(weightDecay >= 0, 'weight_decay should be >= 0', weightDecay)
  }

  protected update(p: Tensor, given: Tensor, group: ParamGroup<AdafactorOptions>): void {
    readsValues('Adafactor')
    noGrad(() => this.#change(p.detach(), group.maximize ? given.neg() : given.detach(), group, this.#stateFor(p)))
  }

  #stateFor(p: Tensor): State {
    return this.stateOf(p, (): State => {
      if (p.ndim < 2) return { step: 0, variance: zeroState(p) }
      const { dtype, sizes } = p
      const last = p.ndim - 1
      const without = (dim: number): Tensor =>
        zeros(
          sizes.map((size, i) => (i === dim ? 1 : size)),
          { dtype },
        )
      return { step: 0, rowVar: without(last), colVar: without(last - 1) }
    })
  }

  #change(p: Tensor, grad: Tensor, group: AdafactorOptions, state: State): void {
    const { beta2Decay, eps, d, weightDecay } = group
    const lr = numberOf(group.lr)
    const least = eps[0] ?? EPSILON[p.dtype.name] ?? 0
    state.step = (state.step as number) + 1
    const rest = state.step ** beta2Decay
    const rate = Math.min(lr, 1 / Math.sqrt(state.step))
    const alpha = Math.max(eps[1], norm(p) / Math.sqrt(p.count)) * rate
    if (weightDecay !== 0) p.mul_(1 - lr * weightDecay)
    let estimate: Tensor
    if (grad.ndim > 1) {
      const [rows, columns] = [state.rowVar as Tensor, state.colVar as Tensor]
      rows.lerp_(meanSquare(grad, -1), rest)
      columns.lerp_(meanSquare(grad, -2), rest)
      estimate = rows.matmul(columns).div_(rows.mean(-2, true).clamp(least))
    } else {
      const variance = state.variance as Tensor
      variance.lerp_(grad.mul(grad), rest)
      estimate = variance
    }
    const update = estimate
      .clamp(least * least)
      .rsqrt()
      .mul(grad)
    const size = Math.max(1, norm(update) / (Math.sqrt(update.count) * d))
    p.add_(update, { alpha: -alpha / size })
  }
}

/** The distance from 1 to the next number of each dtype. */
const EPSILON: Readonly<Record<string, number>> = {
  float64: 2 ** -52,
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
}

function meanSquare(x: Tensor, dim: number): Tensor {
  return x
    .norm(2, dim, true)
    .square()
    .div(x.sizes[x.ndim + dim])
}
