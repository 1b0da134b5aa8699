// Complex functions as pairs of real expressions. Those that take more than arithmetic are computed in double precision
// whatever the dtype is. Formulas: W. Kahan, "Branch cuts for complex elementary functions" (1987).
import { type DType, toRealType } from '../base/dtype.ts'
import { broadcastSizes, type Sizes } from '../base/shape.ts'
import { constant, type Expr, k, load } from '../ir/expr.ts'
import { type Arg, mapKernel } from '../ir/kernel.ts'
import * as m from '../ir/maths.ts'
import { partOf } from '../tensor/complex.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { empty, type Tensor } from '../tensor/tensor.ts'

/** A complex value as two real expressions. */
export interface Pair {
  readonly re: Expr
  readonly im: Expr
}

const pair = (re: Expr, im: Expr): Pair => ({ re, im })
const num = (like: Expr, value: number): Expr => constant(value, like.type)

const prepared = new Map<string, Prepared>()

/** Runs `f` on every element of complex tensors of one dtype that broadcast; the result is complex, real or bool. */
export function mapPairs(
  name: string,
  inputs: readonly Tensor[],
  out: DType,
  f: (...z: Pair[]) => Pair | Expr,
): Tensor {
  const { dtype } = inputs[0]
  const key = `${name} ${dtype.name}`
  const part = toRealType(dtype)
  let kernel = prepared.get(key)
  if (!kernel) {
    const value = f(...inputs.map((_, i) => pair(load(2 * i, part.compute), load(2 * i + 1, part.compute))))
    const reads = inputs.flatMap((): Arg[] => [
      { dtype: part, mode: 'read', per: 'element' },
      { dtype: part, mode: 'read', per: 'element' },
    ])
    const values = 're' in value ? [value.re, value.im] : [value]
    const to = toRealType(out)
    kernel = new Prepared(
      mapKernel(
        name,
        [...reads, ...values.map((): Arg => ({ dtype: to, mode: 'write', per: 'element' }))],
        [],
        values.map((e, i) => ({ arg: reads.length + i, value: k.cast(e, to.compute) })),
      ),
    )
    prepared.set(key, kernel)
  }
  const sizes = inputs.reduce<Sizes>((all, t) => broadcastSizes(all, t.sizes), [])
  const result = empty(sizes, out)
  const outs = out.kind === 'complex' ? [partOf(result, 0), partOf(result, 1)] : [result]
  runMap(kernel, sizes, [...inputs.flatMap((t) => [partOf(t, 0), partOf(t, 1)]), ...outs])
  return result
}

/** `f` in double precision. */
const double =
  (f: (...z: Pair[]) => Pair) =>
  (...z: Pair[]): Pair =>
    f(...z.map((x) => pair(k.cast(x.re, 'f64'), k.cast(x.im, 'f64'))))

export const add = (x: Pair, y: Pair): Pair => pair(k.add(x.re, y.re), k.add(x.im, y.im))
export const sub = (x: Pair, y: Pair): Pair => pair(k.sub(x.re, y.re), k.sub(x.im, y.im))
export const neg = (x: Pair): Pair => pair(k.neg(x.re), k.neg(x.im))
export const conj = (x: Pair): Pair => pair(x.re, k.neg(x.im))
export const mul = (x: Pair, y: Pair): Pair =>
  pair(k.sub(k.mul(x.re, y.re), k.mul(x.im, y.im)), k.add(k.mul(x.re, y.im), k.mul(x.im, y.re)))

/** x / y without overflow of |y|^2: R. L. Smith, "Algorithm 116: Complex division" (1962). */
export function div(x: Pair, y: Pair): Pair {
  const [a, b, c, d] = [x.re, x.im, y.re, y.im]
  const wide = k.ge(k.abs(c), k.abs(d))
  const zero = k.and(k.eq(c, num(c, 0)), k.eq(d, num(d, 0)))
  const ratio = k.select(wide, k.div(d, c), k.div(c, d))
  const scale = k.div(num(c, 1), k.select(wide, k.add(c, k.mul(d, ratio)), k.add(k.mul(c, ratio), d)))
  const re = k.select(wide, k.add(a, k.mul(b, ratio)), k.add(k.mul(a, ratio), b))
  const im = k.select(wide, k.sub(b, k.mul(a, ratio)), k.sub(k.mul(b, ratio), a))
  return pair(
    k.select(zero, k.div(a, k.abs(c)), k.mul(re, scale)),
    k.select(zero, k.div(b, k.abs(c)), k.mul(im, scale)),
  )
}

const modulus = (z: Pair): Expr => m.hypot(z.re, z.im)
export const abs = modulus
export const angle = (z: Pair): Expr => m.atan2(z.im, z.re)

export const reciprocal = (z: Pair): Pair => div(pair(num(z.re, 1), num(z.re, 0)), z)
export const square = (z: Pair): Pair => mul(z, z)

export const exp = double(({ re, im }) => {
  const size = m.exp(re)
  const real = k.eq(im, num(im, 0))
  return pair(k.select(real, size, k.mul(size, m.cos(im))), k.select(real, im, k.mul(size, m.sin(im))))
})
export const log = double((z) => pair(m.log(modulus(z)), angle(z)))
const over = (z: Pair, by: number): Pair => pair(k.div(z.re, num(z.re, by)), k.div(z.im, num(z.im, by)))
export const log2 = double((z) => over(log(z), Math.LN2))
export const log10 = double((z) => over(log(z), Math.LN10))
export const log1p = double(({ re, im }) => {
  const grown = k.add(k.mul(re, k.add(re, num(re, 2))), k.mul(im, im))
  return pair(k.mul(m.log1p(grown), num(re, 0.5)), m.atan2(im, k.add(re, num(re, 1))))
})
export const expm1 = double(({ re, im }) => {
  const half = m.sin(k.mul(im, num(im, 0.5)))
  const turned = k.mul(num(re, 2), k.mul(half, half))
  return pair(k.sub(k.mul(m.expm1(re), m.cos(im)), turned), k.mul(m.exp(re), m.sin(im)))
})
export const exp2 = double(({ re, im }) => exp(pair(k.mul(re, num(re, Math.LN2)), k.mul(im, num(im, Math.LN2)))))

export const sqrt = double(({ re, im }) => {
  const t = k.sqrt(k.mul(k.add(k.abs(re), m.hypot(re, im)), num(re, 0.5)))
  const other = k.div(k.abs(im), k.mul(t, num(t, 2)))
  const zero = k.eq(t, num(t, 0))
  const right = k.ge(re, num(re, 0))
  return pair(
    k.select(zero, t, k.select(right, t, other)),
    k.select(zero, im, m.copysign(k.select(right, other, t), im)),
  )
})
export const rsqrt = double((z) => reciprocal(sqrt(z)))

export const sinh = double(({ re, im }) => pair(k.mul(m.sinh(re), m.cos(im)), k.mul(m.cosh(re), m.sin(im))))
export const cosh = double(({ re, im }) => pair(k.mul(m.cosh(re), m.cos(im)), k.mul(m.sinh(re), m.sin(im))))
export const tanh = double(({ re, im }) => {
  const [a, b] = [k.mul(re, num(re, 2)), k.mul(im, num(im, 2))]
  const below = k.add(m.cosh(a), m.cos(b))
  const far = k.gt(k.abs(re), num(re, 300))
  return pair(
    k.select(far, m.copysign(num(re, 1), re), k.div(m.sinh(a), below)),
    k.select(far, m.copysign(num(im, 0), im), k.div(m.sin(b), below)),
  )
})
/** f(z) as -i g(iz), which sin, tan, asin and atan are of their hyperbolic kin. */
const turned =
  (g: (z: Pair) => Pair) =>
  ({ re, im }: Pair): Pair => {
    const r = g(pair(k.neg(im), re))
    return pair(r.im, k.neg(r.re))
  }
export const sin = double(turned(sinh))
export const cos = double(({ re, im }) => cosh(pair(k.neg(im), re)))
export const tan = double(turned(tanh))

const plusOne = (z: Pair): Pair => pair(k.add(num(z.re, 1), z.re), z.im)
const oneMinus = (z: Pair): Pair => pair(k.sub(num(z.re, 1), z.re), k.neg(z.im))
export const asin = double((z) => {
  const [low, high] = [sqrt(oneMinus(z)), sqrt(plusOne(z))]
  return pair(m.atan2(z.re, mul(low, high).re), m.asinh(mul(conj(low), high).im))
})
export const acos = double((z) => {
  const [low, high] = [sqrt(oneMinus(z)), sqrt(plusOne(z))]
  return pair(k.mul(num(z.re, 2), m.atan2(low.re, high.re)), m.asinh(mul(conj(high), low).im))
})
export const acosh = double((z) => {
  const [low, high] = [sqrt(pair(k.sub(z.re, num(z.re, 1)), z.im)), sqrt(plusOne(z))]
  return pair(m.asinh(mul(conj(low), high).re), k.mul(num(z.re, 2), m.atan2(low.im, high.re)))
})
export const atanh = double(({ re, im }) => {
  const gap = k.sub(num(re, 1), re)
  const square = k.mul(im, im)
  const grown = k.div(k.mul(num(re, 4), re), k.add(k.mul(gap, gap), square))
  const turn = k.sub(k.mul(gap, k.add(num(re, 1), re)), square)
  return pair(k.mul(num(re, 0.25), m.log1p(grown)), k.mul(num(re, 0.5), m.atan2(k.mul(num(im, 2), im), turn)))
})
export const asinh = double(turned(asin))
export const atan = double(turned(atanh))
export const sigmoid = double((z) => reciprocal(plusOne(exp(neg(z)))))

/** x to the power y: exp(y log x), but 0 to the power 0 is 1 and 0 to any other power 0. */
export const pow = double((x, y) => {
  const value = exp(mul(y, log(x)))
  const zero = k.and(k.eq(x.re, num(x.re, 0)), k.eq(x.im, num(x.im, 0)))
  const one = k.and(k.eq(y.re, num(y.re, 0)), k.eq(y.im, num(y.im, 0)))
  const [unit, none] = [num(x.re, 1), num(x.re, 0)]
  return pair(k.select(one, unit, k.select(zero, none, value.re)), k.select(k.or(one, zero), none, value.im))
})

export const eq = (x: Pair, y: Pair): Expr => k.and(k.eq(x.re, y.re), k.eq(x.im, y.im))
export const ne = (x: Pair, y: Pair): Expr => k.or(k.ne(x.re, y.re), k.ne(x.im, y.im))
export const isnan = (z: Pair): Expr => k.or(m.isnan(z.re), m.isnan(z.im))
export const isinf = (z: Pair): Expr => k.or(m.isinf(z.re), m.isinf(z.im))
export const isfinite = (z: Pair): Expr => k.and(m.isfinite(z.re), m.isfinite(z.im))
