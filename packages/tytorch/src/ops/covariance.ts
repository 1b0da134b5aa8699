// Small products and statistics of vectors: cross, cov, corrcoef, dist, renorm and vander.
import { bool, int64 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import { broadcastSizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { record } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { div, mul, sub } from './arithmetic.ts'
import { roll } from './arrange.ts'
import { gt } from './compare.ts'
import { filled } from './create.ts'
import { cat } from './join.ts'
import { matmul } from './linear.ts'
import { where } from './masks.ts'
import { cumprod } from './scan.ts'
import { norm } from './statistics.ts'
import { expand } from './view.ts'

function crossOf(x: Tensor, y: Tensor, d: number): Tensor {
  const [a, b] = [x.detach(), y.detach()]
  const out = sub(mul(roll(a, -1, d), roll(b, -2, d)), mul(roll(a, -2, d), roll(b, -1, d)))
  return record(out, 'LinalgCrossBackward0', [x, y], [x, y], (g, [p, q], needs) => [
    needs[0] ? crossOf(q, g, d) : null,
    needs[1] ? crossOf(g, p, d) : null,
  ])
}

/** The cross products of vectors of length 3 along `dim` (the last); other dimensions broadcast. */
export const linalgCross: (x: Tensor, other: Tensor, options?: { readonly dim?: number }) => Tensor = op({
  name: 'linalgCross',
  python: 'linalg.cross',
  signature: 'input, other, *, dim',
  samples: (t) => [
    [t(2, 3), t(2, 3)],
    [t(3, 2), t(3, 1), { dim: 0 }],
  ],
  differentiable: true,
  forward: (x: Tensor, other: Tensor, dim = -1) => crossChecked(x, other, dim),
})

function crossChecked(x: Tensor, other: Tensor, dim: number): Tensor {
  if (x.ndim !== other.ndim) throw new RuntimeError('linalg.cross: inputs must have the same number of dimensions.')
  const d = wrapDim(dim, x.ndim)
  if (x.size(dim) !== 3 || other.size(dim) !== 3) {
    throw new RuntimeError(
      `linalg.cross: inputs dimension ${dim} must have length 3. Got ${x.size(dim)} and ${other.size(dim)}`,
    )
  }
  const sizes = broadcastSizes(x.sizes, other.sizes)
  return crossOf(expand(x, sizes), expand(other, sizes), d)
}

/** As `linalg.cross`; without `dim` along the first dimension of size 3. */
export const cross: (
  x: Tensor,
  other: Tensor,
  ...args: Args<[dim?: number | null], { readonly dim?: number | null }>
) => Tensor = op({
  name: 'cross',
  signature: 'input, other, dim',
  samples: (t) => [
    [t(3, 2), t(3, 2)],
    [t(2, 3), t(2, 3), 1],
  ],
  differentiable: true,
  forward: (x: Tensor, other: Tensor, dim: number | null = null) => {
    if (dim !== null) return crossChecked(x, other, dim)
    const first = x.sizes.indexOf(3)
    if (first < 0) throw new RuntimeError('no dimension of size 3 in input')
    return crossChecked(x, other, first)
  },
})

interface CovOptions {
  readonly correction?: number
  readonly fweights?: Tensor | null
  readonly aweights?: Tensor | null
}

/** Throws RuntimeError unless the weights fit the observations: one each, not negative. */
function checkWeights(name: string, w: Tensor, n: number, integral: boolean): void {
  const fail = (text: string): never => {
    throw new RuntimeError(`cov(): ${text}`)
  }
  if (w.ndim > 1) fail(`expected ${name} to have one or fewer dimensions but got ${name} with ${w.ndim} dimensions`)
  if (integral ? w.dtype.isFloatingPoint || w.dtype === bool : !w.dtype.isFloatingPoint) {
    fail(
      `expected ${name} to have ${integral ? 'integral' : 'floating point'} dtype but got ${name} with ${w.dtype.title} dtype`,
    )
  }
  if (w.count !== n)
    fail(`expected ${name} to have the same numel as there are observations in the input but got ${w.count} != ${n}`)
  onHost('checkWeights', [w.detach().contiguous()], 'r', (raw) => {
    if (w.count > 0 && [...raw].some((v) => v < 0)) fail(`${name} cannot be negative`)
  })
}

/**
 * The covariance matrix of variables in rows, observations in columns; a vector is one variable. Divided by the weights'
 * sum less `correction`; `fweights` say how often an observation counts, `aweights` how much.
 */
export const cov: (x: Tensor, options?: CovOptions) => Tensor = op({
  name: 'cov',
  signature: 'input, *, correction, fweights, aweights',
  samples: (t) => [[t(3, 4)], [t(4)], [t(3, 4), { correction: 0 }]],
  differentiable: true,
  forward: (x: Tensor, correction = 1, fweights: Tensor | null = null, aweights: Tensor | null = null) => {
    if (x.ndim > 2) {
      throw new RuntimeError(
        `cov(): expected input to have two or fewer dimensions but got an input with ${x.ndim} dimensions`,
      )
    }
    if (x.dtype === bool) throw new RuntimeError('cov(): bool dtype is not supported for input')
    const rows = x.ndim < 2 ? x.reshape(1, -1) : x
    const n = rows.sizes[1]
    if (fweights) checkWeights('fweights', fweights, n, true)
    if (aweights) checkWeights('aweights', aweights, n, false)
    const w = fweights && aweights ? mul(fweights, aweights) : (fweights ?? aweights)
    const total = w ? w.sum() : null
    const average = total && w ? div(mul(rows, w).sum(1), total) : rows.sum(1).div(n)
    const left = total
      ? aweights && correction !== 0 && w
        ? sub(total, div(mul(w, aweights).sum(), total).mul(correction))
        : total.sub(correction)
      : null
    const divisor = left ? left.clampMin(0) : Math.max(n - correction, 0)
    const apart = sub(rows, average.unsqueeze(1))
    const weighted = w ? mul(apart, w) : apart
    return div(matmul(apart, weighted.to(apart.dtype).t()), divisor).squeeze()
  },
})

/** The correlation coefficients of variables in rows, observations in columns. */
export const corrcoef: (x: Tensor) => Tensor = op({
  name: 'corrcoef',
  signature: 'input',
  samples: (t) => [[t(3, 4)]],
  differentiable: true,
  forward: (x: Tensor) => {
    if (x.ndim > 2) {
      throw new RuntimeError(
        `corrcoef(): expected input to have two or fewer dimensions but got an input with ${x.ndim} dimensions`,
      )
    }
    const c = cov(x)
    if (c.ndim === 0) return div(c, c)
    const deviation = c.diagonal().sqrt()
    return div(div(c, deviation.view(-1, 1)), deviation.view(1, -1)).clamp(-1, 1)
  },
})

/** The p-norm of x - other, which broadcast. */
export const dist: (x: Tensor, other: Tensor, ...args: Args<[p?: number], { readonly p?: number }>) => Tensor = op({
  name: 'dist',
  signature: 'input, other, p',
  node: 'DistBackward0',
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(4), 3],
  ],
  differentiable: true,
  forward: (x: Tensor, other: Tensor, p = 2) => norm(sub(x, other), p),
})

/** Slices along `dim` whose p-norm exceeds `maxnorm`, scaled down to it. */
export const renorm: (x: Tensor, p: number, dim: number, maxnorm: number) => Tensor = op({
  name: 'renorm',
  signature: 'input, p, dim, maxnorm',
  node: 'RenormBackward0',
  samples: (t) => [
    [t(3, 4), 2, 0, 1],
    [t(2, 3, 4), 1, 1, 2],
  ],
  differentiable: true,
  forward: (x: Tensor, p: number, dim: number, maxnorm: number) => renormed(x, p, dim, maxnorm),
  inPlace: (x: Tensor, p: number, dim: number, maxnorm: number) => x.copy_(renormed(x, p, dim, maxnorm)),
})

function renormed(x: Tensor, p: number, dim: number, maxnorm: number): Tensor {
  if (p <= 0) throw new RuntimeError('renorm: non-positive-norm not supported')
  if (maxnorm < 0) throw new RuntimeError(`renorm: expected maxnorm to be >= 0 but got ${maxnorm}`)
  if (x.ndim < 2) throw new RuntimeError(`renorm: input needs at least 2 dimensions, got ${x.ndim} dimensions`)
  const d = wrapDim(dim, x.ndim)
  const others = x.sizes.map((_, i) => i).filter((i) => i !== d)
  const sizes = norm(x, p, others, true)
  const one = filled([], 1, x.dtype)
  return mul(x, where(gt(sizes, maxnorm), div(filled([], maxnorm, x.dtype), sizes.add(1e-7)), one))
}

/** Rows of powers 0 to N - 1 of the elements of `x` [..., n]: [..., n, N], N being n unless given. */
export const linalgVander: (x: Tensor, options?: { readonly N?: number | null }) => Tensor = op({
  name: 'linalgVander',
  python: 'linalg.vander',
  signature: 'x, *, N',
  samples: (t) => [[t(3)], [t(2, 3), { N: 4 }]],
  differentiable: true,
  forward: (x: Tensor, N: number | null = null) => {
    const known = ['float32', 'float64'].includes(x.dtype.name) || (!x.dtype.isFloatingPoint && x.dtype !== bool)
    if (!known) {
      throw new RuntimeError(
        `linalg.vander supports floating point, complex, and integer tensors, but got ${x.dtype.title}`,
      )
    }
    const vector = x.ndim === 0 ? x.unsqueeze(-1) : x
    const n = N ?? vector.sizes[vector.ndim - 1]
    if (n <= 1) throw new RuntimeError('N must be greater than 1.')
    const base = x.dtype.isFloatingPoint ? vector : vector.to(int64)
    const powers = cumprod(expand(base.unsqueeze(-1), [...base.sizes, n - 1]), -1)
    return cat([filled([...base.sizes, 1], 1, base.dtype), powers], -1)
  },
})

/** The older `vander` of vectors: powers fall from left to right unless `increasing`. */
export const vander: (
  x: Tensor,
  ...args: Args<
    [N?: number | null, increasing?: boolean],
    { readonly N?: number | null; readonly increasing?: boolean }
  >
) => Tensor = op({
  name: 'vander',
  signature: 'x, N, increasing',
  samples: (t) => [[t(3)], [t(3), 4, true]],
  differentiable: true,
  forward: (x: Tensor, N: number | null = null, increasing = false) => {
    if (x.ndim !== 1) throw new RuntimeError('x must be a one-dimensional tensor.')
    const n = N ?? x.count
    if (n < 0) throw new RuntimeError('N must be non-negative.')
    const base = x.dtype.isFloatingPoint ? x : x.to(int64)
    const ones = filled([x.count, 1], 1, base.dtype)
    if (n <= 1) return ones.narrow(1, 0, n)
    const rows = cat([ones, cumprod(expand(base.unsqueeze(-1), [x.count, n - 1]), -1)], -1)
    return increasing ? rows : rows.flip(-1)
  },
})
