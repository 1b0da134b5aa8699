// Orthogonal polynomials of torch.special: functions of x and the degree n, either of which may be a number. As in PyTorch
// they have no gradients.
import { hosted, num } from '../ir/build.ts'
import { type Expr, type HostFunction, k } from '../ir/expr.ts'
import { type Binary, binary } from '../tensor/elementwise.ts'

const family = (name: string, python: string, expr: (x: Expr, n: Expr) => Expr): Binary =>
  binary({
    name,
    python: `special.${python}`,
    dtype: 'float',
    expr,
    domain: { low: 0.1, high: 4 },
    noInPlace: true,
  })

type Kind =
  | 'chebyshevT'
  | 'chebyshevU'
  | 'chebyshevV'
  | 'chebyshevW'
  | 'hermiteH'
  | 'hermiteHe'
  | 'laguerreL'
  | 'legendreP'

const at =
  (kind: Kind) =>
  (x: Expr, n: Expr): Expr => {
    const name: HostFunction = x.type === 'f32' ? `${kind}Single` : kind
    return hosted(name)(x, n)
  }

/** At 2x - 1. */
const shifted =
  (kind: Kind) =>
  (x: Expr, n: Expr): Expr =>
    at(kind)(k.sub(k.add(x, x), num(x, 1)), n)

/** Chebyshev polynomial of the first kind, of degree n at x. */
export const specialChebyshevPolynomialT: Binary = family('specialChebyshevPolynomialT', 'chebyshev_polynomial_t', at('chebyshevT')) // biome-ignore format: one line each
/** Chebyshev polynomial of the second kind, of degree n at x. */
export const specialChebyshevPolynomialU: Binary = family('specialChebyshevPolynomialU', 'chebyshev_polynomial_u', at('chebyshevU')) // biome-ignore format: one line each
/** Chebyshev polynomial of the third kind, of degree n at x. */
export const specialChebyshevPolynomialV: Binary = family('specialChebyshevPolynomialV', 'chebyshev_polynomial_v', at('chebyshevV')) // biome-ignore format: one line each
/** Chebyshev polynomial of the fourth kind, of degree n at x. */
export const specialChebyshevPolynomialW: Binary = family('specialChebyshevPolynomialW', 'chebyshev_polynomial_w', at('chebyshevW')) // biome-ignore format: one line each
/** Chebyshev polynomial of the first kind at 2x - 1. */
export const specialShiftedChebyshevPolynomialT: Binary = family('specialShiftedChebyshevPolynomialT', 'shifted_chebyshev_polynomial_t', shifted('chebyshevT')) // biome-ignore format: one line each
/** Chebyshev polynomial of the second kind at 2x - 1. */
export const specialShiftedChebyshevPolynomialU: Binary = family('specialShiftedChebyshevPolynomialU', 'shifted_chebyshev_polynomial_u', shifted('chebyshevU')) // biome-ignore format: one line each
/** Chebyshev polynomial of the third kind at 2x - 1. */
export const specialShiftedChebyshevPolynomialV: Binary = family('specialShiftedChebyshevPolynomialV', 'shifted_chebyshev_polynomial_v', shifted('chebyshevV')) // biome-ignore format: one line each
/** Chebyshev polynomial of the fourth kind at 2x - 1. */
export const specialShiftedChebyshevPolynomialW: Binary = family('specialShiftedChebyshevPolynomialW', 'shifted_chebyshev_polynomial_w', shifted('chebyshevW')) // biome-ignore format: one line each
/** The physicist's Hermite polynomial of degree n at x. */
export const specialHermitePolynomialH: Binary = family('specialHermitePolynomialH', 'hermite_polynomial_h', at('hermiteH')) // biome-ignore format: one line each
/** The probabilist's Hermite polynomial of degree n at x. */
export const specialHermitePolynomialHe: Binary = family('specialHermitePolynomialHe', 'hermite_polynomial_he', at('hermiteHe')) // biome-ignore format: one line each
/** Laguerre polynomial of degree n at x. */
export const specialLaguerrePolynomialL: Binary = family('specialLaguerrePolynomialL', 'laguerre_polynomial_l', at('laguerreL')) // biome-ignore format: one line each
/** Legendre polynomial of degree n at x. */
export const specialLegendrePolynomialP: Binary = family('specialLegendrePolynomialP', 'legendre_polynomial_p', at('legendreP')) // biome-ignore format: one line each
