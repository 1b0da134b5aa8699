// Gradients limited in size before a step, and parameters as one vector.
import { float64 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { tensor } from '../ops/create.ts'
import { cat, stack } from '../ops/join.ts'
import { norm } from '../ops/statistics.ts'
import { onHost } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { setData } from './parameter.ts'

export * as rnn from './packed.ts'

interface ClipOptions {
  /** The p of the p-norm; 'inf' takes the largest. */
  readonly normType?: number | 'inf'
  /** Throws RuntimeError for a norm that is no number. */
  readonly errorIfNonfinite?: boolean
}

function gradientsOf(parameters: Tensor | Iterable<Tensor>): Tensor[] {
  const list = parameters instanceof Tensor ? [parameters] : [...parameters]
  return list.flatMap((p) => p.grad ?? [])
}

/** The norm of all gradients as if they were one vector. */
export function getTotalNorm(tensors: Tensor | Iterable<Tensor>, options: ClipOptions = {}): Tensor {
  const { normType = 2, errorIfNonfinite = false } = options
  const list = tensors instanceof Tensor ? [tensors] : [...tensors]
  if (list.length === 0) return tensor(0.1).mul(0)
  const total = norm(stack(list.map((t) => norm(t, normType))), normType)
  if (errorIfNonfinite) {
    onHost('checkNorm', [total.detach().to(float64)], 'r', ([norm]) => {
      if (Number.isFinite(norm)) return
      throw new RuntimeError(
        `The total norm of order ${normType} for gradients from \`parameters\` is non-finite, so it cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set \`error_if_nonfinite=False\``,
      )
    })
  }
  return total
}

/**
 * Scales gradients in place so that their total norm is at most `maxNorm` (by maxNorm / (norm + 1e-6)); answers the
 * norm before.
 */
export function clipGradNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  options: ClipOptions = {},
): Tensor {
  return noGrad(() => {
    const list = parameters instanceof Tensor ? [parameters] : [...parameters]
    const total = getTotalNorm(gradientsOf(list), options)
    clipGradsWithNorm_(list, maxNorm, total)
    return total
  })
}

/** Scales gradients by maxNorm / totalNorm where that is less than 1. */
export function clipGradsWithNorm_(parameters: Tensor | Iterable<Tensor>, maxNorm: number, totalNorm: Tensor): void {
  noGrad(() => {
    const factor = totalNorm.add(1e-6).reciprocal().mul(maxNorm).clampMax(1)
    for (const g of gradientsOf(parameters)) g.mul_(factor)
  })
}

/** Limits every element of the gradients to [-clipValue, clipValue]. */
export function clipGradValue_(parameters: Tensor | Iterable<Tensor>, clipValue: number): void {
  noGrad(() => {
    for (const g of gradientsOf(parameters)) g.clamp_(-clipValue, clipValue)
  })
}

/** All parameters' elements as one vector, in their order; `vectorToParameters` puts them back. */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  return cat([...parameters].map((p) => p.reshape(-1)))
}

/** Sets parameters from one vector: they become views of it. */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  let at = 0
  for (const p of parameters) {
    setData(p, vector.detach().narrow(0, at, p.count).view(p.sizes))
    at += p.count
  }
}
