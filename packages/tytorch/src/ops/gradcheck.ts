// Checking gradients against finite differences, first and second order, as torch.autograd.gradcheck.
import { float64 } from '../base/dtype.ts'
import { enableGrad, noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { grad } from './graph.ts'
import { randn } from './random.ts'

export interface GradcheckOptions {
  /** Step of the finite difference. */
  readonly eps?: number
  readonly atol?: number
  readonly rtol?: number
  /** Throws an error that tells the difference; otherwise answers false. */
  readonly raiseException?: boolean
}

type Fn = (...inputs: Tensor[]) => Tensor | readonly Tensor[]

class GradcheckError extends Error {
  override name = 'GradcheckError'
}

function outputsOf(fn: Fn, inputs: readonly Tensor[]): Tensor[] {
  const result = fn(...inputs)
  const list = Array.isArray(result) ? (result as Tensor[]) : [result as Tensor]
  return list.filter((t) => t.dtype.isFloatingPoint)
}

/** Finite differences of output `o` by input `x`: [elements of x][elements of the output]. */
function numerical(fn: Fn, inputs: readonly Tensor[], x: Tensor, o: number, eps: number): number[][] {
  return noGrad(() => {
    const flat = x.data.contiguous().view(-1)
    if (flat.storage !== x.storage) throw new GradcheckError('gradcheck: inputs must be contiguous')
    return Array.from({ length: x.count }, (_, i) => {
      const element = flat.select(0, i)
      const before = element.item()
      const at = (step: number): number[] => {
        element.fill_(before + step)
        return outputsOf(fn, inputs)[o].contiguous().view(-1).tolist<number[]>()
      }
      const above = at(eps)
      const below = at(-eps)
      element.fill_(before)
      return above.map((v, j) => (v - below[j]) / (2 * eps))
    })
  })
}

/** Backward's answer for output `o` by input `x`, in the same layout. */
function analytical(out: Tensor, x: Tensor): number[][] {
  const rows = Array.from({ length: x.count }, () => new Array<number>(out.count).fill(0))
  for (let j = 0; j < out.count; j++) {
    const seed = out.detach().zerosLike()
    seed.view(-1).select(0, j).fill_(1)
    const [g] = grad(out, x, { gradOutputs: seed, retainGraph: true, allowUnused: true }) as (Tensor | null)[]
    g?.contiguous()
      .view(-1)
      .tolist<number[]>()
      .forEach((v, i) => {
        rows[i][j] = v
      })
  }
  return rows
}

/**
 * True if the gradients of `fn` at float64 `inputs` agree with finite differences within atol + rtol * |numerical|.
 * Throws GradcheckError with the first difference unless `raiseException` is false.
 */
export function gradcheck(fn: Fn, inputs: Tensor | readonly Tensor[], options: GradcheckOptions = {}): boolean {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, raiseException = true } = options
  const list = Array.isArray(inputs) ? (inputs as readonly Tensor[]) : [inputs as Tensor]
  const wanted = list.filter((x) => x.requiresGrad)
  if (wanted.length === 0)
    throw new Error(
      'gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.',
    )
  if (wanted.some((x) => x.dtype !== float64))
    throw new Error('gradcheck: inputs must be float64, for finite differences need the digits')
  // All of backward's answers first: finite differences change the inputs in place, which saved tensors would notice.
  const outs = outputsOf(fn, list)
  const answers = outs.map((out) => list.map((x) => (x.requiresGrad && out.requiresGrad ? analytical(out, x) : null)))
  for (let o = 0; o < outs.length; o++) {
    for (let n = 0; n < list.length; n++) {
      const x = list[n]
      if (!x.requiresGrad) continue
      const expected = numerical(fn, list, x, o, eps)
      const found = answers[o][n] ?? expected.map((row) => row.map(() => 0))
      for (let i = 0; i < expected.length; i++) {
        for (let j = 0; j < expected[i].length; j++) {
          const [a, b] = [found[i][j], expected[i][j]]
          if (Math.abs(a - b) <= atol + rtol * Math.abs(b)) continue
          if (!raiseException) return false
          throw new GradcheckError(
            `Jacobian mismatch for output ${o} with respect to input ${n}, at [${i}, ${j}]: numerical ${b}, analytical ${a}`,
          )
        }
      }
    }
  }
  return true
}

/** As `gradcheck`, of the gradients themselves: second order. */
export function gradgradcheck(fn: Fn, inputs: Tensor | readonly Tensor[], options: GradcheckOptions = {}): boolean {
  const list = Array.isArray(inputs) ? (inputs as readonly Tensor[]) : [inputs as Tensor]
  const seeds = outputsOf(fn, list).map((o) => randn(o.sizes, { dtype: float64 }).requiresGrad_())
  // Finite differences run without recording, but the gradients that they vary need a graph of their own.
  const gradients = (...all: Tensor[]): readonly Tensor[] => enableGrad(() => firstOrder(all))
  const firstOrder = (all: readonly Tensor[]): readonly Tensor[] => {
    const own = all.slice(0, list.length)
    const outs = outputsOf(fn, own)
    const live = outs.map((o, i) => [o, all[list.length + i]] as const).filter(([o]) => o.requiresGrad)
    const found = grad(
      live.map(([o]) => o),
      own.filter((x) => x.requiresGrad),
      { gradOutputs: live.map(([, s]) => s), createGraph: true, allowUnused: true },
    ) as (Tensor | null)[]
    return found.filter((g): g is Tensor => g !== null)
  }
  return gradcheck(gradients, [...list, ...seeds], options)
}
