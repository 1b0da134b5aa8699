// The normal distribution's functions, entropy and xlog1py: what torch.special has beside Bessel and gamma functions.
import { num } from '../ir/build.ts'
import { k } from '../ir/expr.ts'
import * as m from '../ir/maths.ts'
import { type Binary, binary, type Unary, unary } from '../tensor/elementwise.ts'
import { Tensor } from '../tensor/tensor.ts'
import { add, div, mul, sub } from './arithmetic.ts'
import { ne } from './compare.ts'
import { exp, log, neg, square } from './unary.ts'

/** -x log(x) for positive x, 0 at 0, -inf below. */
export const specialEntr: Unary = unary({
  name: 'specialEntr',
  python: 'special.entr',
  dtype: 'float',
  expr: (x) => {
    const c = (value: number) => num(x, value)
    const positive = k.mul(k.neg(x), m.log(x))
    const other = k.select(k.eq(x, c(0)), c(0), k.select(k.lt(x, c(0)), c(Number.NEGATIVE_INFINITY), x))
    return k.select(k.gt(x, c(0)), positive, other)
  },
  grad: (g, x) => mul(g, sub(-1, log(x))),
  saves: 'x',
  domain: { low: 0.3, high: 3 },
  noInPlace: true,
})

/** erfc(x) e^(x^2). */
export const specialErfcx: Unary = unary({
  name: 'specialErfcx',
  python: 'special.erfcx',
  dtype: 'float',
  expr: m.erfcx,
  grad: (g, x, out) => mul(g, sub(mul(mul(x, out), 2), 2 / Math.sqrt(Math.PI))),
  saves: 'xo',
  noInPlace: true,
})

/** The standard normal distribution function. */
export const specialNdtr: Unary = unary({
  name: 'specialNdtr',
  python: 'special.ndtr',
  dtype: 'float',
  expr: m.ndtr,
  grad: (g, x) => mul(g, mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI))),
  saves: 'x',
  noInPlace: true,
})

/** The inverse of `ndtr`: 0 and 1 give infinities, beyond them NaN. */
export const specialNdtri: Unary = unary({
  name: 'specialNdtri',
  python: 'special.ndtri',
  dtype: 'float',
  expr: m.ndtri,
  grad: (g, _x, out) => mul(g, mul(exp(mul(square(out), 0.5)), Math.sqrt(2 * Math.PI))),
  saves: 'o',
  domain: { low: 0.05, high: 0.95 },
  noInPlace: true,
})

/** The logarithm of `ndtr`, also where that underflows. */
export const specialLogNdtr: Unary = unary({
  name: 'specialLogNdtr',
  python: 'special.log_ndtr',
  dtype: 'float',
  expr: m.logNdtr,
  grad: (g, x) => mul(div(g, specialErfcx(mul(neg(x), Math.SQRT1_2))), Math.sqrt(2 / Math.PI)),
  saves: 'x',
  noInPlace: true,
})

/** x * log(1 + y), and 0 where x is 0 and y is not NaN. */
export const specialXlog1py: Binary = binary({
  name: 'specialXlog1py',
  python: 'special.xlog1py',
  dtype: 'float',
  expr: m.xlog1py,
  grad: [
    (g, x, y) => mul(g, specialXlog1py(x instanceof Tensor ? ne(x, 0).to(g.dtype) : Number(Number(x) !== 0), y)),
    (g, x, y) => mul(g, div(x, add(y, 1))),
  ],
  saves: ['xy', 'xy'],
  domain: { low: 0.3, high: 3 },
  noInPlace: true,
})
