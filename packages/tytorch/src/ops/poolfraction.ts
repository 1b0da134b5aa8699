// Fractional max pooling: windows at pseudo-random places, so that sizes shrink by any fraction (Graham, 2014).
import { int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { numelOf, type Sizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { add, mul } from './arithmetic.ts'
import { arange } from './create.ts'
import { max, type ValuesIndices, valuesIndices } from './extreme.ts'
import { cat } from './join.ts'
import { type Extents, extents } from './poolshape.ts'
import { rand } from './random.ts'
import { trunc } from './unary.ts'

interface FractionOptions {
  readonly outputSize?: Extents | null
  /** Or the result's sizes as fractions of the input's, between 0 and 1. */
  readonly outputRatio?: number | readonly number[] | null
  readonly returnIndices?: boolean
  /** Numbers in [0, 1) that place the windows: [N, C, 2 or 3]; drawn if absent. */
  readonly _randomSamples?: Tensor | null
}

/** A fractional max pooling: a tensor, or with `returnIndices` values and indices. */
export interface FractionalMaxPool {
  (x: Tensor, kernelSize: Extents, options: FractionOptions & { readonly returnIndices: true }): ValuesIndices
  (
    x: Tensor,
    kernelSize: Extents,
    ...args: Args<
      [
        outputSize?: Extents | null,
        outputRatio?: number | readonly number[] | null,
        returnIndices?: boolean,
        _randomSamples?: Tensor | null,
      ],
      FractionOptions
    >
  ): Tensor
}

/** First elements [N, C, out] of the windows along a dimension, from `u` [N, C]. */
function starts(u: Tensor, n: number, out: number, k: number): Tensor {
  const last = u.newFull([...u.sizes, 1], n - k).long()
  if (out === 1) return last
  const step = (n - k) / (out - 1)
  const from = u.unsqueeze(-1)
  const steps = arange(out - 1).to(u.dtype)
  // As PyTorch: both positions are cut off before the difference is taken.
  const places = trunc(mul(add(steps, from), step)).sub(trunc(mul(from, step)))
  return cat([places.long(), last], -1)
}

function fractional(rank: number): FractionalMaxPool {
  const name = `fractional_max_pool${rank}d`
  return op({
    name: `fractionalMaxPool${rank}d`,
    python: `nn.functional.${name}`,
    signature: 'input, kernel_size, output_size, output_ratio, return_indices, _random_samples',
    differentiable: true,
    samples: (t) => {
      const u = t(1, 2, rank).detach().mul(0).add(0.4)
      return [[t(1, 2, ...[4, 5, 6].slice(-rank)), 2, 3, null, true, u]]
    },
    forward: (
      given: Tensor,
      kernelSize: Extents,
      outputSize: Extents | null = null,
      outputRatio: number | readonly number[] | null = null,
      returnIndices = false,
      randomSamples: Tensor | null = null,
    ) => {
      if (outputSize === null && outputRatio === null)
        throw new ValueError(`${name} requires specifying either an output_size or an output_ratio`)
      if (given.ndim !== rank + 1 && given.ndim !== rank + 2) {
        throw new RuntimeError(
          `${name}: Expected ${rank + 1}D or ${rank + 2}D tensor, but got: [${given.sizes.join(', ')}]`,
        )
      }
      if (!given.dtype.isFloatingPoint)
        throw new NotImplementedError(`"${name}" not implemented for '${given.dtype.title}'`)
      const x = given.ndim === rank + 1 ? given.unsqueeze(0) : given
      const input = x.sizes.slice(2)
      const kernel = extents(name, 'kernel_size', kernelSize, rank)
      const ratios = typeof outputRatio === 'number' ? input.map(() => outputRatio) : outputRatio
      const out =
        outputSize !== null
          ? extents(name, 'output_size', outputSize, rank)
          : input.map((n, i) => Math.floor(n * (ratios as readonly number[])[i]))
      input.forEach((n, i) => {
        if (out[i] < 1 || out[i] + kernel[i] - 1 > n) {
          throw new RuntimeError(
            `${name}: kernel size ${kernel[i]} is too large for ${out[i]} windows of ${n} elements`,
          )
        }
      })
      const [n, c] = x.sizes
      const samples = randomSamples ?? rand([n, c, rank], { dtype: x.dtype })
      const index = noGrad(() => positions(samples, input, out, kernel))
      // Dimensions [N, C, windows, places of a window].
      const flat = x.reshape([n, c, numelOf(input)])
      const all = flat.gather(2, index.reshape([n, c, numelOf(out) * numelOf(kernel)])).reshape(index.sizes)
      const found = max(all, -1) as unknown as ValuesIndices
      const lead = given.sizes.slice(0, given.ndim - rank)
      const values = found.values.reshape([...lead, ...out])
      if (!returnIndices) return values
      const at = index.gather(3, found.indices.unsqueeze(-1)).reshape([...lead, ...out])
      return valuesIndices(values, at)
    },
  }) as unknown as FractionalMaxPool

  /** Positions in the plane [N, C, windows, places], int64. */
  function positions(u: Tensor, input: Sizes, out: Sizes, kernel: Sizes): Tensor {
    const [n, c] = u.sizes
    let index: Tensor | null = null
    for (let i = 0; i < rank; i++) {
      // Planes take the numbers for width and height in this order, volumes those for depth, height and width.
      const first = starts(u.select(2, rank === 2 ? 1 - i : i), input[i], out[i], kernel[i])
      const here = add(first.unsqueeze(-1), arange(kernel[i])) // [N, C, out, k]
      const shape = Array.from({ length: 2 * rank }, () => 1)
      shape[i] = out[i]
      shape[rank + i] = kernel[i]
      const part = here.reshape([n, c, ...shape])
      index = index ? add(mul(index, input[i]), part) : part
    }
    return (index as Tensor).to(int64).reshape([n, c, numelOf(out), numelOf(kernel)])
  }
}

/** The largest of windows at random places of [N, C, H, W] or [C, H, W]: about `outputSize` of them, none left out. */
export const fractionalMaxPool2d: FractionalMaxPool = fractional(2)
/** As `fractionalMaxPool2d` for [N, C, D, H, W] or [C, D, H, W]. */
export const fractionalMaxPool3d: FractionalMaxPool = fractional(3)
