// Older and longer names: pools that always answer indices, upsample, convolution over time first.
import { RuntimeError } from '../base/errors.ts'
import { op } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { adaptiveMaxPool1d, adaptiveMaxPool2d, adaptiveMaxPool3d } from './adaptive.ts'
import { conv1d } from './conv.ts'
import { maxPool1d, maxPool2d, maxPool3d } from './pool.ts'
import { fractionalMaxPool2d, fractionalMaxPool3d } from './poolfraction.ts'
import { interpolate } from './resampleimage.ts'
import { permute } from './view.ts'

type Pooled = [values: Tensor, indices: Tensor]
// biome-ignore lint/suspicious/noExplicitAny: pools of every signature
type Pool = (...args: any[]) => unknown
type WithIndices<F> = F extends (x: infer X, ...args: infer A) => unknown ? (x: X, ...args: A) => Pooled : never

/** The pool with `returnIndices` added to what it is given by name. */
function withIndices<F extends Pool>(pool: F): WithIndices<F> {
  return ((...args: unknown[]) => {
    const last = args[args.length - 1]
    const named = typeof last === 'object' && last !== null && Object.getPrototypeOf(last) === Object.prototype
    const rest = named ? args.slice(0, -1) : args
    return pool(...rest, { ...(named ? last : {}), returnIndices: true })
  }) as WithIndices<F>
}

/** `maxPool1d` with indices. */
export const maxPool1dWithIndices: WithIndices<typeof maxPool1d> = withIndices(maxPool1d)
/** `maxPool2d` with indices. */
export const maxPool2dWithIndices: WithIndices<typeof maxPool2d> = withIndices(maxPool2d)
/** `maxPool3d` with indices. */
export const maxPool3dWithIndices: WithIndices<typeof maxPool3d> = withIndices(maxPool3d)
/** `adaptiveMaxPool1d` with indices. */
export const adaptiveMaxPool1dWithIndices: WithIndices<typeof adaptiveMaxPool1d> = withIndices(adaptiveMaxPool1d)
/** `adaptiveMaxPool2d` with indices. */
export const adaptiveMaxPool2dWithIndices: WithIndices<typeof adaptiveMaxPool2d> = withIndices(adaptiveMaxPool2d)
/** `adaptiveMaxPool3d` with indices. */
export const adaptiveMaxPool3dWithIndices: WithIndices<typeof adaptiveMaxPool3d> = withIndices(adaptiveMaxPool3d)
/** `fractionalMaxPool2d` with indices. */
export const fractionalMaxPool2dWithIndices: WithIndices<typeof fractionalMaxPool2d> = withIndices(fractionalMaxPool2d)
/** `fractionalMaxPool3d` with indices. */
export const fractionalMaxPool3dWithIndices: WithIndices<typeof fractionalMaxPool3d> = withIndices(fractionalMaxPool3d)

/** PyTorch's old name of `interpolate`. */
export const upsample: typeof interpolate = (x, ...args) => {
  console.warn('UserWarning: `nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.')
  return interpolate(x, ...args)
}

/** A convolution of [time, N, in] with weight [width, in, out] and bias [out]: [time, N, out]. */
export const convTbc: (x: Tensor, weight: Tensor, bias: Tensor, pad?: number) => Tensor = op({
  name: 'convTbc',
  signature: 'input, weight, bias, pad',
  differentiable: true,
  samples: (t) => [[t(4, 2, 3), t(2, 3, 2), t(2), 1]],
  forward: (x: Tensor, weight: Tensor, bias: Tensor, pad = 0) => {
    if (x.ndim !== 3) throw new RuntimeError('Input must have 3 dims: time, batch, in_channel')
    if (weight.ndim !== 3)
      throw new RuntimeError('Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.')
    const made = conv1d(permute(x, 1, 2, 0), permute(weight, 2, 1, 0), bias, { padding: pad })
    return permute(made, 2, 0, 1)
  },
})
