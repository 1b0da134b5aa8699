// The tensor operations that PyTorch's optimizers are written in, as kernel expressions with the same order of rounding.
import { type Expr, k } from '../ir/expr.ts'

/** a + alpha * b, as `add(b, alpha)`. */
export const addScaled = (a: Expr, b: Expr, alpha: Expr): Expr => k.madd(b, alpha, a)

/** a + alpha * b * c, as `addcmul`. */
export const addProduct = (a: Expr, b: Expr, c: Expr, alpha: Expr): Expr => k.add(a, k.mul(k.mul(alpha, b), c))

/** a + alpha * b / c, as `addcdiv`. */
export const addQuotient = (a: Expr, b: Expr, c: Expr, alpha: Expr): Expr => k.add(a, k.div(k.mul(alpha, b), c))

/**
 * a + weight * (b - a), as `lerp`: it starts from the nearer end. `small` says if |weight| < 0.5; `coefficient` is
 * then the weight, else weight - 1.
 */
export const lerp = (a: Expr, b: Expr, coefficient: Expr, small: boolean): Expr =>
  k.madd(coefficient, k.sub(b, a), small ? a : b)

/** The coefficient that `lerp` takes for a weight. */
export const lerpCoefficient = (weight: number): number => (Math.abs(weight) < 0.5 ? weight : weight - 1)

/** The gradient as the update starts from it: negated to maximize, plus `decay` times the parameter. */
export function startGradient(g: Expr, p: Expr, decay: Expr | null, maximize: boolean): Expr {
  const signed = maximize ? k.neg(g) : g
  return decay ? addScaled(signed, p, decay) : signed
}
