// torch.nn.utils.parametrizations: weights of unit norm, of unit spectral norm, and orthogonal ones.
import { IndexError, NotImplementedError, ValueError } from '../base/errors.ts'
import { matrixExp } from '../ops/chain.ts'
import { eye, ones, zerosLike } from '../ops/create.ts'
import { finfo } from '../ops/info.ts'
import { cat } from '../ops/join.ts'
import { where } from '../ops/masks.ts'
import { normalize } from '../ops/normalizationlocal.ts'
import { geqrf, linalgHouseholderProduct } from '../ops/qr.ts'
import { randn } from '../ops/random.ts'
import { linalgSolve as solve } from '../ops/solve.ts'
import { allclose } from '../ops/statistics.ts'
import type { Args } from '../tensor/define.ts'
import { noGrad } from '../tensor/mode.ts'
import { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from './convtranspose.ts'
import { Module } from './module.ts'
import { registerParametrization } from './parametrize.ts'
import { snakeCase } from './state.ts'
import { normExceptDim } from './weightnorm.ts'

class _WeightNorm extends Module {
  readonly dim: number

  constructor(dim: number | null) {
    super()
    this.dim = dim ?? -1
  }

  forward(g: Tensor, v: Tensor): Tensor {
    return v.mul(g.div(normExceptDim(v, 2, this.dim)))
  }

  rightInverse(weight: Tensor): [g: Tensor, v: Tensor] {
    return [normExceptDim(weight, 2, this.dim), weight]
  }
}

interface NamedDim {
  readonly name?: string
  readonly dim?: number | null
}

/**
 * Parametrizes `name` by its norms over all dimensions but `dim` (over all for null), `original0`, and its direction,
 * `original1` (Salimans and Kingma, https://arxiv.org/abs/1602.07868). State dicts of the older `weightNorm` load too.
 */
export function weightNorm<M extends Module>(
  module: M,
  ...args: Args<[name?: string, dim?: number | null], NamedDim>
): M {
  const [, name = 'weight', dim] = named<[M, string, number | null]>('weight_norm', 'module, name, dim', [
    module,
    ...args,
  ])
  registerParametrization(module, name, new _WeightNorm(dim === undefined ? 0 : dim), { unsafe: true })
  // Checkpoints of the older weight norm name the two parts after the parameter.
  module.registerLoadStateDictPreHook((_module, state, prefix) => {
    const old = ['g', 'v'].map((part) => `${prefix}${snakeCase(name)}_${part}`)
    if (!old.every((key) => key in state)) return
    old.forEach((key, i) => {
      state[`${prefix}parametrizations.${snakeCase(name)}.original${i}`] = state[key]
      delete state[key]
    })
  })
  return module
}

class _SpectralNorm extends Module {
  readonly dim: number
  readonly eps: number
  declare readonly nPowerIterations: number
  declare _u: Tensor
  declare _v: Tensor

  constructor(weight: Tensor, nPowerIterations: number, dim: number, eps: number) {
    super()
    const { ndim } = weight
    if (dim >= ndim || dim < -ndim)
      throw new IndexError(`Dimension out of range (expected to be in range of [-${ndim}, ${ndim - 1}] but got ${dim})`)
    if (nPowerIterations <= 0)
      throw new ValueError(`Expected n_power_iterations to be positive, but got n_power_iterations=${nPowerIterations}`)
    this.dim = dim >= 0 ? dim : dim + ndim
    this.eps = eps
    if (ndim < 2) return
    this.nPowerIterations = nPowerIterations
    const matrix = this.matrix(weight.detach())
    const [height, width] = matrix.sizes
    const u = matrix.newEmpty([height]).normal_(0, 1)
    const v = matrix.newEmpty([width]).normal_(0, 1)
    this.registerBuffer('_u', normalize(u, { dim: 0, eps }))
    this.registerBuffer('_v', normalize(v, { dim: 0, eps }))
    this.iterate(matrix, 15)
  }

  private matrix(weight: Tensor): Tensor {
    const { dim } = this
    const rows = dim === 0 ? weight : weight.permute([dim, ...weight.sizes.map((_, d) => d).filter((d) => d !== dim)])
    return rows.flatten(1)
  }

  private iterate(matrix: Tensor, times: number): void {
    const { eps } = this
    noGrad(() => {
      for (let i = 0; i < times; i++) {
        this._u.copy_(normalize(matrix.mv(this._v), { dim: 0, eps }))
        this._v.copy_(normalize(matrix.H.mv(this._u), { dim: 0, eps }))
      }
    })
  }

  forward(weight: Tensor): Tensor {
    if (weight.ndim === 1) return normalize(weight, { dim: 0, eps: this.eps })
    const matrix = this.matrix(weight)
    if (this.training) this.iterate(matrix, this.nPowerIterations)
    // Copies: the next iteration overwrites the buffers, and backward needs these.
    const [u, v] = [this._u.clone(), this._v.clone()]
    return weight.div(u.vdot(matrix.mv(v)))
  }

  rightInverse(value: Tensor): Tensor {
    return value
  }
}

function weightOf(module: Module, name: string): Tensor {
  const weight = (module as unknown as Record<string, unknown>)[name]
  if (weight instanceof Tensor) return weight
  throw new ValueError(`Module '${module}' has no parameter or buffer with name '${name}'`)
}

interface SpectralOptions extends NamedDim {
  /** Steps of power iteration a forward, while training. */
  readonly nPowerIterations?: number
  /** Keeps norms from 0. */
  readonly eps?: number
}

/**
 * Parametrizes `name` by itself over its largest singular value, which power iteration follows (Miyato et al.,
 * https://arxiv.org/abs/1802.05957). Outputs are dimension `dim`: 0, and 1 for transposed convolutions.
 */
export function spectralNorm<M extends Module>(
  module: M,
  ...args: Args<[name?: string, nPowerIterations?: number, eps?: number, dim?: number | null], SpectralOptions>
): M {
  const [, name = 'weight', nPowerIterations = 1, eps = 1e-12, dim] = named<[M, string, number, number, number | null]>(
    'spectral_norm',
    'module, name, n_power_iterations, eps, dim',
    [module, ...args],
  )
  const transposed = [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some((c) => (module as Module) instanceof c)
  const norm = new _SpectralNorm(weightOf(module, name), nPowerIterations, dim ?? (transposed ? 1 : 0), eps)
  return registerParametrization(module, name, norm)
}

type OrthogonalMap = 'matrix_exp' | 'cayley' | 'householder'
const last = { dim1: -2, dim2: -1 } as const

class _Orthogonal extends Module {
  readonly shape: string
  readonly orthogonalMap: OrthogonalMap
  readonly trivialized: boolean
  declare base: Tensor | null

  constructor(weight: Tensor, map: OrthogonalMap, trivialized: boolean) {
    super()
    if (weight.dtype.isComplex && map === 'householder')
      throw new ValueError('The householder parametrization does not support complex tensors.')
    this.shape = String(weight.shape)
    this.orthogonalMap = map
    this.trivialized = trivialized
    if (trivialized) this.registerBuffer('base', null)
  }

  forward(input: Tensor): Tensor {
    const transposed = input.size(-2) < input.size(-1)
    const x = transposed ? input.mT : input
    let q = this.orthogonalMap === 'householder' ? reflected(x) : this.rotated(x)
    if (this.trivialized) q = (this.base as Tensor).matmul(q)
    return transposed ? q.mT : q
  }

  private rotated(input: Tensor): Tensor {
    const [n, k] = [input.size(-2), input.size(-1)]
    let x = input.tril()
    if (n !== k) x = cat([x, x.newZeros([n, n - k]).expand([...x.sizes.slice(0, -2), -1, -1])], -1)
    const a = x.sub(x.mH)
    let q: Tensor
    if (this.orthogonalMap === 'matrix_exp') q = matrixExp(a)
    else {
      const one = eye(n, { dtype: a.dtype })
      q = solve(one.add(a, { alpha: -0.5 }), one.add(a, { alpha: 0.5 }))
    }
    return n === k ? q : q.narrow(-1, 0, k)
  }

  rightInverse(given: Tensor): Tensor {
    if (String(given.shape) !== this.shape) {
      throw new ValueError(
        `Expected a matrix or batch of matrices of shape ${this.shape}. Got a tensor of shape ${given.shape}.`,
      )
    }
    return noGrad(() => {
      const transposed = given.size(-2) < given.size(-1)
      const q = transposed ? given.mT : given
      const [n, k] = [q.size(-2), q.size(-1)]
      if (!this.trivialized) {
        if (this.orthogonalMap !== 'householder') {
          throw new NotImplementedError(
            'It is not possible to assign to the matrix exponential or the Cayley parametrizations when use_trivialization=False.',
          )
        }
        const { a, tau } = geqrf(q)
        const diagonal = a.diagonal(last)
        diagonal.copy_(diagonal.sign().mul(where(tau.eq(0), ones([], { dtype: q.dtype }).neg(), 1)))
        return transposed ? a.mT : a
      }
      if (n !== k) {
        const noise = randn([...q.sizes.slice(0, -2), n, n - k], { dtype: q.dtype })
        this.base = orthogonalized(cat([q, noise], -1))
      } else this.base = isOrthogonal(q) ? q.clone() : orthogonalized(q)
      const minus = zerosLike(given)
      minus.diagonal(last).fill_(-1)
      return minus
    })
  }
}

/** A product of Householder reflections; the signs on the diagonal choose among the matrices with the same columns. */
function reflected(x: Tensor): Tensor {
  const a = x.tril(-1)
  const tau = a.mul(a).sum(-2).add(1).reciprocal().mul(2)
  return linalgHouseholderProduct(a, tau).mul(x.diagonal(last).int().unsqueeze(-2))
}

function isOrthogonal(q: Tensor): boolean {
  const [n, k] = [q.size(-2), q.size(-1)]
  return allclose(q.mH.matmul(q), eye(k, { dtype: q.dtype }), { atol: 10 * n * finfo(q.dtype).eps })
}

function orthogonalized(m: Tensor): Tensor {
  const { a, tau } = geqrf(m)
  return linalgHouseholderProduct(a, tau).mul(a.diagonal(last).sgn().unsqueeze(-2))
}

interface OrthogonalOptions {
  readonly name?: string
  readonly orthogonalMap?: OrthogonalMap | null
  /** Starts from the weight as it is; without it the map itself is used, of which only 'householder' can be assigned. */
  readonly useTrivialization?: boolean
}

/**
 * Parametrizes `name` as an orthogonal matrix (with orthonormal rows or columns if it is not square), by the matrix
 * exponential, Cayley's map or Householder reflections. Throws ValueError for fewer than two dimensions.
 */
export function orthogonal<M extends Module>(
  module: M,
  ...args: Args<[name?: string, orthogonalMap?: OrthogonalMap | null], OrthogonalOptions>
): M {
  const [, name = 'weight', map, useTrivialization = true] = named<[M, string, OrthogonalMap | null, boolean]>(
    'orthogonal',
    'module, name, orthogonal_map, *, use_trivialization',
    [module, ...args],
  )
  const weight = weightOf(module, name)
  if (weight.ndim < 2)
    throw new ValueError(`Expected a matrix or batch of matrices. Got a tensor of ${weight.ndim} dimensions.`)
  const chosen = map ?? (weight.size(-2) === weight.size(-1) || weight.dtype.isComplex ? 'matrix_exp' : 'householder')
  if (!['matrix_exp', 'cayley', 'householder'].includes(chosen)) {
    throw new ValueError(
      `orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: ${String(chosen)}`,
    )
  }
  return registerParametrization(module, name, new _Orthogonal(weight, chosen, useTrivialization), { unsafe: true })
}
