// Accuracy and special values of the maths functions: sweeps over all float32 bit patterns with fused and separate
// multiply-adds, float64 against values computed with mpmath at 40 digits, and the rest against PyTorch 2.13.
import { describe, expect, test } from 'vitest'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { memory } from '../src/backend/memory.ts'
import { float32, int32, int64 } from '../src/base/dtype.ts'
import { constant, type Expr, load } from '../src/ir/expr.ts'
import { mapKernel } from '../src/ir/kernel.ts'
import * as m from '../src/ir/maths.ts'
import { gelu, geluSlope } from '../src/ir/special.ts'
import { compileNative } from './native.ts'

const { NaN: nan, POSITIVE_INFINITY: inf } = Number
const x = load(0, 'f32')
const y = load(1, 'f32')

const pattern = new Int32Array(1)
const asFloat = new Float32Array(pattern.buffer)

const SPECIAL = [0, -0, nan, inf, -inf, 1, -1, 1e-45, -1e-45, 1e-40, -1e-40, 2 ** -126, 3.4028234663852886e38, -3.4028234663852886e38, 0.5, -0.5, 88.7228, 88.73, -87.33, -103.9, -104] // biome-ignore format: a table

/** Every `step`th float32 of all, a dense grid on [-range, range], and special values. */
function samples(step: number, range = 20): Float32Array {
  const out = [...SPECIAL]
  for (let i = -(2 ** 31); i < 2 ** 31; i += step) {
    pattern[0] = i
    out.push(asFloat[0])
  }
  for (let i = -1; i <= 1; i += 2e-5) out.push(range * i)
  return Float32Array.from(out)
}

function ulp(value: number): number {
  const a = Math.max(Math.abs(value), 2 ** -126)
  const e = Math.floor(Math.log2(a))
  return 2 ** ((2 ** e > a ? e - 1 : e) - 23)
}

/** The worst error in ulp over the samples; a wrong special value or sign of zero fails the test at once. */
function worst(e: Expr, truth: (x: number, y: number) => number, xs: Float32Array, ys = xs): number {
  let max = 0
  const out = new Float32Array(xs.length)
  for (const fused of [false, true]) {
    compileNative(e, fused)(xs, ys, out)
    for (let i = 0; i < xs.length; i++) {
      const want = truth(xs[i], ys[i])
      const nearest = Math.fround(want)
      if (Object.is(out[i], nearest)) {
        if (Number.isFinite(nearest)) max = Math.max(max, Math.abs(out[i] - want) / ulp(want))
        continue
      }
      if (!Number.isFinite(out[i]) || !Number.isFinite(nearest) || (out[i] === 0 && nearest === 0))
        expect(`f(${xs[i]}, ${ys[i]}) = ${out[i]}`).toBe(`f(${xs[i]}, ${ys[i]}) = ${nearest}`)
      max = Math.max(max, Math.abs(out[i] - want) / ulp(want))
    }
  }
  return max
}

/** The float64 function of `build`, for single numbers. */
function double(build: (...src: Expr[]) => Expr): (x: number, y?: number) => number {
  const f = compileNative(build(load(0, 'f64'), load(1, 'f64')), false)
  const out = new Float64Array(1)
  return (a, b = 0) => {
    f(Float64Array.of(a), Float64Array.of(b), out)
    return out[0]
  }
}

const softplus = (v: number): number => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)))

describe('float32 is within 2 ulp over all floats', () => {
  const hot: [string, (e: Expr) => Expr, (v: number) => number][] = [
    ['exp', m.exp, Math.exp],
    ['exp2', m.exp2, (v) => 2 ** v],
    ['expm1', m.expm1, Math.expm1],
    ['log', m.log, Math.log],
    ['log1p', m.log1p, Math.log1p],
    ['tanh', m.tanh, Math.tanh],
    ['sigmoid', m.sigmoid, (v) => (v < 0 ? Math.exp(v) / (1 + Math.exp(v)) : 1 / (1 + Math.exp(-v)))],
    ['softplus', m.softplus, softplus],
    ['logSigmoid', m.logSigmoid, (v) => 0 - softplus(-v)],
    ['erf', m.erf, double(m.erf)],
    ['rsqrt', m.rsqrt, (v) => 1 / Math.sqrt(v)],
  ] // biome-ignore format: a table

  test.each(hot)('%s', (_, build, truth) => {
    expect(worst(build(x), truth, samples(5003))).toBeLessThan(2)
  })

  const rare: [string, (e: Expr) => Expr, (v: number) => number][] = [
    ['tan', m.tan, Math.tan],
    ['asin', m.asin, Math.asin],
    ['acos', m.acos, Math.acos],
    ['atan', m.atan, Math.atan],
    ['sinh', m.sinh, Math.sinh],
    ['cosh', m.cosh, Math.cosh],
    ['asinh', m.asinh, Math.asinh],
    ['acosh', m.acosh, Math.acosh],
    ['atanh', m.atanh, Math.atanh],
    ['log2', m.log2, Math.log2],
    ['log10', m.log10, Math.log10],
    ['lgamma', m.lgamma, double(m.lgamma)],
    ['digamma', m.digamma, double(m.digamma)],
    ['erfinv', m.erfinv, double(m.erfinv)],
  ] // biome-ignore format: a table

  test.each(rare)('%s, by way of float64', (_, build, truth) => {
    expect(worst(build(x), truth, samples(500009, 5))).toBeLessThan(0.51)
  })

  test('erfc and normalCdf, in the tail too', () => {
    expect(worst(m.erfc(x), double(m.erfc), samples(20011))).toBeLessThan(2.2)
    expect(worst(m.normalCdf(x), double(m.normalCdf), samples(20011))).toBeLessThan(5.5)
  })

  test('gelu and its derivative', () => {
    const above = (least: number): Float32Array => samples(20011).filter((v) => v > least || Number.isNaN(v))
    expect(worst(gelu(x), double(gelu), above(-1))).toBeLessThan(4.5)
    // Unfused the exponent has the rounding of x^2; fused it is 6.5 ulp all the way.
    expect(worst(gelu(x), double(gelu), above(-13))).toBeLessThan(70)
    const out = new Float32Array(1)
    for (const build of [gelu, geluSlope])
      for (const fused of [false, true]) {
        const run = compileNative(build(x), fused)
        const truth = double(build)
        for (let v = -30; v < 30; v += 0.0037) {
          const at = Float32Array.of(v)
          run(at, at, out)
          expect(Math.abs(out[0] - truth(at[0]))).toBeLessThan(2 ** -22 * Math.max(1, v))
        }
      }
    const fused = compileNative(gelu(x), true)
    const result = (v: number): number => {
      fused(Float32Array.of(v), Float32Array.of(v), out)
      return out[0]
    }
    expect([0, -0, inf, -inf, nan, -100].map(result)).toEqual([0, -0, inf, nan, nan, 0])
  })

  test.each([
    ['sin', m.sin, Math.sin],
    ['cos', m.cos, Math.cos],
  ] as const)('%s up to 65536', (_, build, truth) => {
    const inside = (v: number): boolean => !(Math.abs(v) > 65536)
    expect(worst(build(x), truth, samples(5003, 20).filter(inside))).toBeLessThan(2)
    expect(worst(build(x), truth, samples(1000003, 65536).filter(inside))).toBeLessThan(2)
    expect(worst(build(x), () => nan, Float32Array.of(inf, -inf, 1e8, nan))).toBe(0)
  })

  test('pow, with every special case of C', () => {
    const values = [0, -0, 1, -1, nan, inf, -inf, 0.5, -0.5, 2, -2, 3, -3, 2.5, -2.5, 1e-45, -1e-45, 3.4e38, -3.4e38, 16777216, 16777215, -16777215, 1e10, 1 + 2 ** -23, 1 - 2 ** -24, 1e-40] // biome-ignore format: a table
    const pairs = values.flatMap((a) => values.map((b) => [a, b]))
    const spread = (i: number, factor: number): number => ((i * factor) % 1) - 0.5
    for (let i = 0; i < 300000; i++) {
      const a = Math.exp(spread(i, 0.6180339887) * (i % 3 === 0 ? 1e-3 : 170))
      const b = i % 2 ? spread(i, 0.7548776662) * 16 : (spread(i, 0.7548776662) * 300) / Math.abs(Math.log2(a))
      pairs.push([Math.fround(a), Math.fround(b)])
    }
    const truth = (a: number, b: number): number => (a === 1 || (a === -1 && Math.abs(b) === inf) ? 1 : a ** b)
    const [xs, ys] = [0, 1].map((i) => Float32Array.from(pairs, (p) => p[i]))
    expect(worst(m.pow(x, y), truth, xs, ys)).toBeLessThan(2)
    const f = double(m.pow)
    for (const [a, b] of pairs.slice(0, 676)) expect(f(a, b)).toBe(truth(a, b))
  })
})

/** [argument, value] with mpmath. */
const TABLES = {
  erf: [[1e-300, 1.1283791670955126e-300], [1e-08, 1.1283791670955126e-08], [0.3, 0.3286267594591274], [0.84, 0.7651427114549945], [0.86, 0.7761002683235567], [1.5, 0.9661051464753108], [-2.5, -0.999593047982555], [5.5, 0.9999999999999927]],
  erfc: [[-3, 1.9999779095030015], [-0.4, 1.4283923550466684], [1e-05, 0.9999887162083294], [0.49, 0.4883317388114769], [0.51, 0.4707563801588296], [2, 0.004677734981047266], [9.3, 1.653244184030135e-39], [26, 5.663192408856143e-296]],
  normalCdf: [[-37, 5.725571222524577e-300], [-20, 2.7536241186062337e-89], [-5, 2.866515718791939e-07], [-1, 0.15865525393145705], [-0.1, 0.460172162722971], [0.5, 0.6914624612740131], [3, 0.9986501019683699]],
  erfinv: [[1e-20, 8.86226925452758e-21], [0.1, 0.08885599049425769], [0.49, 0.46586860023505733], [-0.51, -0.4881220505159588], [0.95, 1.3859038243496777], [0.9999, 2.75106390571208], [0.999999999999, 5.042031898572696]],
  lgamma: [[1e-300, 690.7755278982137], [1e-05, 11.512919692895826], [0.4, 0.7966778177017837], [0.6, 0.39823385806923495], [0.995, 0.002906690255811314], [1.3, -0.10817480950786047], [1.999, -0.0004224618006921073], [2.6, 0.35741186354897986], [5.5, 3.9578139676187165], [7.99, 8.50501160608848], [8.01, 8.545324429747733], [100, 359.1342053695754], [-0.5, 1.2655121234846454], [-3.3, -0.8243558050174264]],
  digamma: [[1e-05, -100000.57719921567], [0.4, -2.561384544585116], [1, -0.5772156649015329], [2.5, 0.7031566406452432], [9.99, 2.250700372831201], [10.01, 2.2528037003181356], [1000, 6.907255195648812], [-0.5, 0.03648997397857652], [-3.3, 3.620353460592126]],
} as const // biome-ignore format: a table

describe('float64', () => {
  const { erf, erfc, normalCdf, erfinv, lgamma, digamma } = m
  test.each(Object.entries({ erf, erfc, normalCdf, erfinv, lgamma, digamma }))('%s to 14 digits', (name, build) => {
    const f = double(build)
    for (const [at, value] of TABLES[name as keyof typeof TABLES])
      expect(Math.abs(f(at) / value - 1)).toBeLessThan(5e-15)
  })

  test('special values', () => {
    const at = (f: (e: Expr) => Expr, ...values: number[]): number[] => values.map((v) => double(f)(v))
    expect(at(m.erf, inf, -inf, 0, -0, nan)).toEqual([1, -1, 0, -0, nan])
    expect(at(m.erfc, inf, -inf, 0, nan)).toEqual([0, 2, 1, nan])
    expect(at(m.erfinv, 1, -1, 2, 0, -0, nan)).toEqual([inf, -inf, nan, 0, -0, nan])
    expect(at(m.lgamma, 0, -1, inf, -inf, nan, 1, 2, 1e308)).toEqual([inf, inf, inf, inf, nan, 0, 0, inf])
    expect(at(m.digamma, 0, -0, -1, inf, nan)).toEqual([-inf, inf, nan, inf, nan])
    expect(at(m.sigmoid, -745, 40, inf, -inf)).toEqual([Math.exp(-745), 1, 1, 0])
    expect(at(m.softplus, 800, -800, -40)).toEqual([800, 0, Math.exp(-40)])
  })
})

/** PyTorch's tensors are float32 here; results compare as float32. */
function single(build: (a: Expr, b: Expr) => Expr, a: number[], b: number[] = a): number[] {
  const out = new Float32Array(a.length)
  compileNative(build(x, y), true)(Float32Array.from(a), Float32Array.from(b), out)
  return Array.from(out)
}

const fr = (...values: number[]): number[] => values.map(Math.fround)

const device = createInterpreter()

function interpret(
  build: (a: Expr, b: Expr) => Expr,
  type: 'i32' | 'i64' | 'f32',
  a: readonly number[],
  b: readonly (number | bigint)[],
): (number | bigint)[] {
  const dtype = { i32: int32, i64: int64, f32: float32 }[type]
  const view = (): ArrayLike<number | bigint> & { [i: number]: number | bigint } =>
    ({ i32: memory.views.i32, i64: memory.views.i64, f32: memory.views.f32 })[type]
  const [pa, pb, out] = [0, 1, 2].map(() => memory.alloc(a.length * 8))
  const unit = dtype.itemsize
  a.forEach((value, i) => {
    view()[pa / unit + i] = type === 'i64' ? BigInt(value) : value
    view()[pb / unit + i] = type === 'i64' ? BigInt(b[i]) : b[i]
  })
  const read = { dtype, mode: 'read', per: 'element' } as const
  const value = build(load(0, type), load(1, type))
  const kernel = mapKernel('test', [read, read, { ...read, mode: 'write' }], [], [{ arg: 2, value }])
  device.flat(kernel, 'ccc')(a.length, pa, pb, out)
  return a.map((_, i) => view()[out / unit + i])
}

test('the interpreter computes what the sweeps computed', () => {
  const functions = [m.exp, m.exp2, m.expm1, m.log, m.log1p, m.tanh, m.sigmoid, m.softplus, m.erf, m.erfc, m.normalCdf, m.sin, m.cos, m.lgamma, m.nextafter, m.pow, m.remainder, m.floorDivide] // biome-ignore format: a table
  const left = [...SPECIAL, 3.7, -12.3, 1000]
  const right = left.toReversed()
  for (const f of functions) {
    const build = f as (a: Expr, b: Expr) => Expr
    expect(interpret(build, 'f32', left, right)).toEqual(single(build, left, right))
  }
})

describe('integers', () => {
  test('floor division and remainders take the signs of Python', () => {
    const a = [7, -7, 7, -7, 6]
    const b = [2, 2, -2, -2, -3]
    for (const type of ['i32', 'i64'] as const) {
      const run = (f: (a: Expr, b: Expr) => Expr): number[] => interpret(f, type, a, b).map(Number)
      expect(run(m.floorDivide)).toEqual([3, -4, -4, 3, -2])
      expect(run(m.remainder)).toEqual([1, 1, -1, -1, 0])
      expect(run(m.fmod)).toEqual([1, -1, 1, -1, 0])
      expect(run(m.truncDivide)).toEqual([3, -3, -3, 3, -2])
      expect(run((e) => m.sign(e))).toEqual([1, -1, 1, -1, 1])
      expect(() => interpret(m.floorDivide, type, [1], [0])).toThrow('ZeroDivisionError')
    }
  })

  test('powers wrap; negative exponents truncate', () => {
    const bases = [3, -3, 2, 7, -1, -1, 1, 0, 0, 2]
    const exponents = [31, 33, 32, 1000001, -3, -4, -5, 0, -1, -1]
    const powers = interpret(m.pow, 'i32', bases, exponents)
    expect(powers).toEqual([1264544299, 1504003197, 0, -60552697, -1, 1, 1, 1, 0, 0])
    expect(interpret(m.pow, 'i64', [7, 2], [2n ** 40n + 12345n, 63n])).toEqual([-8896070695230936377n, -(2n ** 63n)])
    expect(interpret((a) => m.pow(a, constant(5, 'i32')), 'i32', [3, -2], [0, 0])).toEqual([243, -32])
    expect(interpret((a) => m.pow(a, constant(-2, 'i32')), 'i32', [3, -1], [0, 0])).toEqual([0, 1])
  })
})

describe('arithmetic as PyTorch has it', () => {
  const a = [7, -7, 7, -7, 1, 0, -0, inf, -inf, nan, 1, 5, 0, -0, 1e30, -1, 1, -1, 5.5, -0, 0]
  const b = [2, 2, -2, -2, 0, 0, 0, 2, 2, 2, inf, -inf, 5, 5, -3, inf, -inf, -inf, -0.5, -5, -5]

  test('divisions and remainders of floats', () => {
    const floor = fr(3, -4, -4, 3, inf, nan, nan, nan, nan, nan, 0, -1, 0, -0, -3.333333383491554e29, -1, -1, 0, -11, 0, -0)
    const rest = fr(1, 1, -1, -1, nan, nan, nan, nan, nan, nan, 1, -inf, 0, -0, 0, inf, -inf, -1, 0, -0, 0)
    const truncated = fr(3, -3, -3, 3, inf, nan, nan, inf, -inf, nan, 0, -0, 0, -0, -3.333333383491554e29, -0, -0, 0, -11, 0, -0)
    const mod = fr(1, -1, 1, -1, nan, nan, nan, nan, nan, nan, 1, 5, 0, -0, 0, -1, 1, -1, 0, -0, 0)
    expect(single(m.floorDivide, a, b)).toEqual(floor)
    expect(single(m.remainder, a, b)).toEqual(rest)
    expect(single(m.truncDivide, a, b)).toEqual(truncated)
    expect(single(m.fmod, a, b)).toEqual(mod)
  }) // biome-ignore format: tables

  test('signs, steps and rounding', () => {
    expect(single(m.sign, [nan, -0, 0, -2, 3])).toEqual([0, 0, 0, -1, 1])
    expect(single(m.heaviside, [nan, -0, 0, 3, -3], [0.5, 0.5, 0.5, 0.5, 0.5])).toEqual([0, 0.5, 0.5, 1, 0])
    expect(single(m.copysign, [1, -1, nan], [-0, 2, -1])).toEqual([-1, 1, nan])
    expect(single(m.frac, [-1.5, inf, nan, 2.25])).toEqual([-0.5, nan, nan, 0.25])
    expect(single((e) => m.roundDecimals(e, 2), [2.345, -1.235, 25, inf])).toEqual(fr(2.34, -1.24, 25, inf))
    expect(single((e) => m.roundDecimals(e, -1), [25, 15, -25])).toEqual([20, 20, -20])
    expect(single(m.round, [0.5, 1.5, -2.5])).toEqual([0, 2, -2])
    const from = [0, 0, 1, 1, -1, -1, inf, 1e-45, nan, 3.4028234663852886e38]
    const next = fr(1e-45, -1e-45, 1 + 2 ** -23, 1 - 2 ** -24, 2 ** -24 - 1, -1 - 2 ** -23, 3.4028234663852886e38, 0, nan, inf)
    expect(single(m.nextafter, from, [1, -1, 2, 0, 0, -2, 0, 0, 1, inf])).toEqual(next)
  }) // biome-ignore format: tables

  test('functions of two numbers', () => {
    expect(single(m.hypot, [inf, 3e38, 1e-40, 3], [nan, 3e38, 1e-40, 4])).toEqual(fr(inf, inf, 1.4142044231812486e-40, 5))
    expect(single(m.logaddexp, [inf, -inf, inf, nan, 1], [inf, -inf, -inf, 1, nan])).toEqual([inf, -inf, inf, nan, nan])
    expect(single(m.logaddexp2, [1, -inf, 3], [1, -inf, nan])).toEqual([2, -inf, nan])
    expect(single(m.xlogy, [0, 0, 0, nan, 1], [0, nan, inf, 1, 0])).toEqual([0, nan, 0, nan, -inf])
    const angles = fr(0, -0, Math.PI, -Math.PI, 0.75 * Math.PI)
    expect(single(m.atan2, [0, -0, 0, -0, inf], [0, 0, -0, -0, -inf])).toEqual(angles)
  }) // biome-ignore format: tables
})
