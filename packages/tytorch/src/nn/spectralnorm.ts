// Weights divided by their largest singular value, which a step of power iteration at each forward follows.
import { ValueError } from '../base/errors.ts'
import { normalize } from '../ops/normalizationlocal.ts'
import { noGrad } from '../tensor/mode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './convtranspose.ts'
import type { RemovableHandle } from './hooks.ts'
import { normal_ } from './init.ts'
import type { Module } from './module.ts'
import { Parameter } from './parameter.ts'

interface SpectralOptions {
  readonly name?: string
  /** Steps of power iteration a forward, while training. */
  readonly nPowerIterations?: number
  /** Keeps norms from 0. */
  readonly eps?: number
  /** The dimension of outputs: 0, and 1 for transposed convolutions. */
  readonly dim?: number | null
}

interface Divided {
  readonly handle: RemovableHandle
  readonly compute: (iterate: boolean) => Tensor
}
const divided = new WeakMap<Module, Map<string, Divided>>()
type Properties = Record<string, unknown>

/**
 * Replaces the parameter `name` by itself over its largest singular value (Miyato et al.,
 * https://arxiv.org/abs/1802.05957). The state dict has `name_orig` and the buffers `name_u` and `name_v`.
 */
export function spectralNorm<M extends Module>(module: M, options: SpectralOptions = {}): M {
  const { name = 'weight', nPowerIterations = 1, eps = 1e-12 } = options
  const transposed = [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some((c) => (module as Module) instanceof c)
  const dim = options.dim ?? (transposed ? 1 : 0)
  const own = module as unknown as Properties
  const found = divided.get(module) ?? new Map<string, Divided>()
  if (found.has(name)) throw new Error(`Cannot register two spectral_norm hooks on the same parameter ${name}`)
  if (nPowerIterations <= 0) {
    throw new ValueError(`Expected n_power_iterations to be positive, but got n_power_iterations=${nPowerIterations}`)
  }
  const weight = own[name]
  if (!(weight instanceof Parameter))
    throw new ValueError(`\`SpectralNorm\` cannot be applied as parameter \`${name}\` is None`)
  const matrix = (w: Tensor): Tensor => (dim === 0 ? w : w.movedim(dim, 0)).reshape(w.sizes[dim], -1)
  const [height, width] = matrix(weight.detach()).sizes
  const start = (n: number): Tensor => normalize(normal_(weight.newEmpty([n])), { dim: 0, eps })
  delete own[name]
  module.registerParameter(`${name}Orig`, weight)
  own[name] = weight.detach()
  module.registerBuffer(`${name}U`, start(height))
  module.registerBuffer(`${name}V`, start(width))
  const compute = (iterate: boolean): Tensor => {
    const w = own[`${name}Orig`] as Tensor
    const flat = matrix(w)
    const u = own[`${name}U`] as Tensor
    const v = own[`${name}V`] as Tensor
    if (iterate) {
      noGrad(() => {
        for (let i = 0; i < nPowerIterations; i++) {
          v.copy_(normalize(flat.t().mv(u), { dim: 0, eps }))
          u.copy_(normalize(flat.mv(v), { dim: 0, eps }))
        }
      })
    }
    // Copies: the next step overwrites the buffers, and backward needs these.
    const [left, right] = iterate ? [u.clone(), v.clone()] : [u, v]
    return w.div(left.dot(flat.mv(right)))
  }
  const handle = module.registerForwardPreHook(() => {
    own[name] = compute(module.training)
  })
  divided.set(module, found.set(name, { handle, compute }))
  return module
}

/** Makes the parameter `name` whole again, divided as it is. Throws ValueError if `spectralNorm` was not applied. */
export function removeSpectralNorm<M extends Module>(module: M, name = 'weight'): M {
  const found = divided.get(module)?.get(name)
  if (!found) throw new ValueError(`spectral_norm of '${name}' not found in ${module}`)
  const own = module as unknown as Properties
  const weight = noGrad(() => found.compute(false)).detach()
  found.handle.remove()
  divided.get(module)?.delete(name)
  for (const key of [name, `${name}Orig`, `${name}U`, `${name}V`]) delete own[key]
  module.registerParameter(name, new Parameter(weight))
  return module
}
