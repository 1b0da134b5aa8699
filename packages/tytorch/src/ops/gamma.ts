// Gamma functions and their kin: log-gamma, its derivatives, the incomplete ones, Hurwitz' zeta function, and erfinv.
import { type DType, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { hosted } from '../ir/build.ts'
import type { HostFunction } from '../ir/expr.ts'
import * as m from '../ir/maths.ts'
import { op, type TensorLike } from '../tensor/define.ts'
import { binary, type Unary, type UnaryOptions, unary } from '../tensor/elementwise.ts'
import { record } from '../tensor/node.ts'
import { Tensor } from '../tensor/tensor.ts'
import { reduceLike, shapeOf } from '../tensor/undo.ts'
import { add, mul, sub } from './arithmetic.ts'
import { exp, log, square } from './unary.ts'

/** log|gamma(x)|: infinite at 0 and negative integers; the gradient is `digamma`. */
export const lgamma: Unary = unary({
  name: 'lgamma',
  dtype: 'float',
  expr: m.lgamma,
  grad: (g, x) => g.mul(digamma(x)),
  saves: 'x',
  domain: { low: 0.3, high: 4 },
})

/** The derivative of `lgamma`: -inf at 0, NaN at negative integers. */
export const digamma: Unary = unary({
  name: 'digamma',
  dtype: 'float',
  expr: m.digamma,
  grad: (g, x) => g.mul(polygamma(1, x)),
  saves: 'x',
  domain: { low: 0.3, high: 4 },
})

const trigamma: Unary = unary({
  name: 'trigamma',
  python: 'polygamma',
  dtype: 'float',
  expr: m.trigamma,
  domain: { low: 0.3, high: 4 },
  noInPlace: true,
})

/** The inverse of `erf`: ±1 give infinities, beyond them NaN. */
export const erfinv: Unary = unary({
  name: 'erfinv',
  dtype: 'float',
  expr: m.erfinv,
  grad: (g, _x, out) => g.mul(exp(square(out))).mul(Math.sqrt(Math.PI) / 2),
  saves: 'o',
  domain: { low: -0.9, high: 0.9 },
})

type Pair<A, B> = (x: A, y: B, options?: UnaryOptions) => Tensor

interface PairRecord {
  readonly name: string
  readonly python: string
  readonly host: HostFunction
  readonly numbers?: 'none'
  readonly check?: (common: DType) => void
  /** The parameter whose gradient PyTorch does not have, as its error names it. */
  readonly first: string
  /** The partial derivative for the second operand. */
  readonly grad: (g: Tensor, x: TensorLike, y: TensorLike) => Tensor
  readonly inPlace?: boolean
}

/** A host function of two operands that is differentiable in the second. */
function secondOnly(r: PairRecord): Pair<TensorLike, TensorLike> {
  const value = binary({
    name: `${r.name}Value`,
    python: r.python,
    dtype: r.check ? 'same' : 'float',
    expr: hosted(r.host),
    domain: { low: 1.2, high: 4 },
    ...(r.numbers ? { numbers: r.numbers } : {}),
    ...(r.check ? { check: r.check } : {}),
    noInPlace: true,
  })
  const forward = (x: TensorLike, y: TensorLike): Tensor => {
    if (r.numbers) {
      for (const [i, t] of [x, y].entries()) {
        if (!(t instanceof Tensor))
          throw new TypeError(
            `${r.python}(): argument '${i ? 'other' : 'input'}' (position ${i + 1}) must be Tensor, not ${typeof t}`,
          )
      }
    }
    const out = value(x, y)
    const inputs = [x, y].filter((t) => t instanceof Tensor)
    const shapes = inputs.map(shapeOf)
    const [xNumber, yNumber] = [x, y].map((t) => (t instanceof Tensor ? null : t))
    return record(out, `${r.name[0].toUpperCase()}${r.name.slice(1)}Backward0`, inputs, inputs, (g, saved, needs) => {
      if (xNumber === null && needs[0])
        throw new NotImplementedError(`the derivative for '${r.first}' is not implemented.`)
      const last = saved.length - 1
      const second = (): Tensor => reduceLike(r.grad(g, xNumber ?? saved[0], saved[last]), shapes[last])
      return inputs.map((_, i) => (yNumber === null && i === last && needs[i] ? second() : null))
    })
  }
  return op({
    name: r.name,
    python: r.python,
    signature: 'input, other',
    differentiable: true,
    domain: { low: 1.2, high: 4 },
    // An integer parameter has no gradient to be asked for.
    samples: (t) => [
      [t(3, 4).detach().to(int64).add(1), t(3, 4)],
      [t(2, 1, 3).detach().to(int64).add(1), t(4, 1)],
      ...(r.numbers ? [] : [[2, t(3)]]),
    ],
    forward,
    ...(r.inPlace ? { inPlace: (x: Tensor, y: TensorLike) => x.copy_(forward(x, y)) } : {}),
  })
}

const floatsOnly =
  (kernel: string) =>
  (common: DType): void => {
    if (!common.isFloatingPoint) throw new NotImplementedError(`"${kernel}" not implemented for '${common.title}'`)
  }

/** x^(a-1) e^-x / gamma(a), the slope of the incomplete functions. */
function slope(a: Tensor, x: Tensor): Tensor {
  return exp(sub(sub(mul(sub(a, 1), log(x)), x), lgamma(a.to(x.dtype))))
}

/** The regularized lower incomplete gamma function of `other` with parameter `input`; its gradient is for `other` only. */
export const igamma: Pair<Tensor, Tensor> = secondOnly({
  name: 'igamma',
  python: 'igamma',
  host: 'igamma',
  numbers: 'none',
  check: floatsOnly('igamma_cpu'),
  first: 'igamma: input',
  grad: (g, a, x) => mul(g, slope(a as Tensor, x as Tensor)),
  inPlace: true,
})

/** The regularized upper incomplete gamma function, 1 - igamma; its gradient is for `other` only. */
export const igammac: Pair<Tensor, Tensor> = secondOnly({
  name: 'igammac',
  python: 'igammac',
  host: 'igammac',
  numbers: 'none',
  check: floatsOnly('igammac_cpu'),
  first: 'igammac: input',
  grad: (g, a, x) => mul(g, slope(a as Tensor, x as Tensor)).neg(),
  inPlace: true,
})

/** Hurwitz' zeta function, the sum of (other + k) ** -input over k >= 0; its gradient is for `other` only. */
export const specialZeta: Pair<TensorLike, TensorLike> = secondOnly({
  name: 'specialZeta',
  python: 'special.zeta',
  host: 'zeta',
  first: 'zeta',
  grad: (g, x, q) => mul(mul(g, x).neg(), specialZeta(x instanceof Tensor ? add(x, 1) : Number(x) + 1, q)),
})

function derivative(n: number, x: Tensor): Tensor {
  if (n === 0) return digamma(x)
  if (n === 1) return trigamma(x)
  let factorial = n % 2 === 1 ? 1 : -1
  for (let i = 2; i <= n; i++) factorial *= i
  return mul(specialZeta(n + 1, x), factorial)
}

/** The n-th derivative of `digamma` at `input`. Throws RuntimeError for n < 0. */
export const polygamma: (n: number, input: Tensor) => Tensor = op({
  name: 'polygamma',
  signature: 'n, input',
  differentiable: true,
  domain: { low: 0.5, high: 4 },
  samples: (t) => [
    [0, t(3, 4)],
    [1, t(3, 4)],
    [2, t(3, 4)],
    [3, t(4)],
  ],
  forward: (n: number, input: Tensor) => {
    if (!(input instanceof Tensor))
      throw new TypeError(`polygamma(): argument 'input' must be Tensor, not ${typeof input}`)
    if (!Number.isInteger(n)) throw new TypeError(`polygamma(): argument 'n' must be int, got ${n}`)
    if (n < 0) throw new RuntimeError('polygamma(n, x) does not support negative n.')
    const out = derivative(n, input.detach())
    return record(out, 'PolygammaBackward0', [input], [input], (g, [x]) => [mul(g, polygamma(n + 1, x))])
  },
})

/** The multivariate log-gamma function of dimension `p`. Throws RuntimeError for p < 1. */
export const mvlgamma: (x: Tensor, p: number) => Tensor = op({
  name: 'mvlgamma',
  signature: 'input, p',
  node: 'MvlgammaBackward0',
  differentiable: true,
  domain: { low: 1.3, high: 4 },
  samples: (t) => [
    [t(3, 4), 1],
    [t(3), 3],
  ],
  forward: (x: Tensor, p: number) => {
    if (!(p >= 1)) throw new RuntimeError('p has to be greater than or equal to 1')
    const terms = (of: Unary, at: Tensor): Tensor => {
      let sum = of(at)
      for (let j = 1; j < p; j++) sum = add(sum, of(sub(at, j / 2)))
      return sum
    }
    const out = add(terms(lgamma, x.detach()), (p * (p - 1) * Math.log(Math.PI)) / 4)
    return record(out, 'MvlgammaBackward0', [x], [x], (g, [saved]) => [mul(g, terms(digamma, saved))])
  },
  inPlace: (x: Tensor, p: number) => x.copy_(mvlgamma(x, p)),
})
