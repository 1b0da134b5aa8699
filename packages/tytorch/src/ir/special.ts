// Error functions and gamma functions. erf and its kin have float32 polynomials; the rest is computed in float64, with
// our own Chebyshev fits (coefficients lowest first), and rounded.
import { byType, f32, horner, inDouble, maskBits, num, withSign } from './build.ts'
import { expDouble, logDouble, sinCosPi } from './double.ts'
import { expBounded, expPair, LN2_HIGH, LN2_LOW, MAGIC, scaleOf } from './exponential.ts'
import { call, constant, type Expr, k } from './expr.ts'

/** erf(x)/x - 1 over x^2, for |x| < 0.95; to 2^-30. */
const ERF = [0.12837917, -0.3761263, 0.11283625, -0.026855664, 0.005192211, -0.00080475654, 7.98825e-5]
/** log(erfc(a)) for a in [0.9, 4]; erf itself to 2^-29. */
const LOG_ERFC = [-0.0001664388, -1.1277972, -0.6369761, -0.104113616, 0.022315176, -0.0030654813, 0.00019821899]

function erfSingle(x: Expr): Expr {
  const a = k.abs(x)
  const near = k.madd(a, horner(k.mul(a, a), ERF), a)
  const far = k.sub(f32(1), expBounded(horner(k.pmin(a, f32(4)), LOG_ERFC)))
  return withSign(k.select(k.lt(a, f32(0.92)), near, far), x)
}

/** erfc(a) e^(a^2) / t over t - 0.55, t = 1 / (1 + a/2), for a in [0, 10.2]; to 2^-27. */
const ERFCX = [0.54656386, 0.74405926, 0.57810795, 0.109021276, -0.19407758, -0.07192766, 0.11129424, 0.02218907, -0.07747181, 0.0061640344, 0.035944115] // biome-ignore format: a table

/** e^(-s a^2) in float32, relative also where it is tiny: a^2 is carried in two floats. */
function expMinusSquareSingle(a: Expr, s: 1 | 0.5): Expr {
  const upper = maskBits(a, -4096)
  const high = k.mul(k.mul(upper, upper), f32(-s))
  const low = k.mul(k.mul(k.sub(upper, a), k.add(upper, a)), f32(s))
  return expPair(high, low)
}

/** erfc(a sqrt(s)) e^(s a^2) of a float (of either type) that is not negative. */
function erfcxSingle(a: Expr, s: 1 | 0.5): Expr {
  const t = k.div(num(a, 1), k.madd(a, num(a, 0.5 * Math.sqrt(s)), num(a, 1)))
  return k.mul(t, horner(k.sub(t, num(a, 0.55)), ERFCX))
}

function erfcSingle(x: Expr): Expr {
  const a = k.pmin(k.abs(x), f32(10.2))
  // The fraction in float64: in float32 its few operations would cost 4 ulp.
  const fraction = erfcxSingle(k.cast(a, 'f64'), 1)
  const tail = k.cast(k.mul(k.cast(expMinusSquareSingle(a, 1), 'f64'), fraction), 'f32')
  return k.select(k.lt(x, f32(0)), k.sub(f32(2), tail), tail)
}

/** erf(x)/x over x^2, for |x| < 0.85. */
const ERF64 = [
  1.1283791670955126, -0.37612638903183754, 0.11283791670955126, -0.026866170645131207, 0.005223977625441364,
  -0.0008548327023359432, 0.00012055332975212389, -1.4925650036932988e-5, 1.646210340227451e-6, -1.6365580772418155e-7,
  1.4802720113979639e-8, -1.223819193975351e-9, 9.017043988223385e-11, -4.804863556553083e-12,
] // biome-ignore format: a table

/** erfc(a) e^(a^2) / t over t - 1/2, t = 1 / (1 + a/2), for a in [0, 28]. */
export const ERFCX64 = [
  0.5107913526210115, 0.6871606844138107, 0.5589441851120944, 0.1457689260274422, -0.17208529511233345,
  -0.10366696107270211, 0.09889958556400802, 0.05358694723627069, -0.08487339272719532, -0.0087990588095983,
  0.07396856208783292, -0.03496913144740676, -0.04442520813625249, 0.06604084550448974, -0.009331226888367091,
  -0.05978710919026896, 0.06658648155648793, 0.0003375964876274313, -0.0810151676510015, 0.0838898634682242,
  0.024243091731168776, -0.1175269796464536, 0.050557503123355385, 0.06277519479887983, -0.04947936967707078,
] // biome-ignore format: a table

/** erf of a float64 below 0.85 in size. */
function erfNear(x: Expr): Expr {
  return k.mul(x, horner(k.mul(x, x), ERF64))
}

/** e^(-s a^2) of a float64, relative also where it is tiny: a^2 is carried in two parts. */
export function expMinusSquare(a: Expr, s: 1 | 0.5): Expr {
  const high = k.bitcast(k.and(k.bitcast(a, 'i64'), constant(-(2n ** 32n), 'i64')), 'f64')
  const low = k.mul(k.sub(high, a), k.add(high, a))
  // The second exponent is within 0.0015 where the first factor is not 0.
  const small = horner(k.mul(low, num(a, s)), [1, 1, 1 / 2, 1 / 6, 1 / 24, 1 / 120])
  return k.mul(expDouble(k.mul(k.mul(high, high), num(a, -s))), small)
}

/** erfc(a sqrt(s)) of a float64 that is not negative. */
export function erfcFar(a: Expr, s: 1 | 0.5): Expr {
  const bounded = k.pmin(a, num(a, 28 / Math.sqrt(s)))
  const t = k.div(num(a, 1), k.madd(bounded, num(a, 0.5 * Math.sqrt(s)), num(a, 1)))
  return k.mul(k.mul(expMinusSquare(bounded, s), t), horner(k.sub(t, num(t, 0.5)), ERFCX64))
}

function erfDouble(x: Expr): Expr {
  const a = k.abs(x)
  return withSign(k.select(k.lt(a, num(x, 0.85)), erfNear(a), k.sub(num(x, 1), erfcFar(a, 1))), x)
}

function erfcDouble(x: Expr): Expr {
  const tail = erfcFar(k.abs(x), 1)
  const far = k.select(k.lt(x, num(x, 0)), k.sub(num(x, 2), tail), tail)
  return k.select(k.lt(k.abs(x), num(x, 0.5)), k.sub(num(x, 1), erfNear(x)), far)
}

/** Error function. */
export const erf = byType(erfSingle, erfDouble)

/** 1 - erf(x), relative also where it is tiny (2.2 ulp in float32). */
export const erfc = byType(erfcSingle, erfcDouble)

function normalTailSingle(a: Expr): Expr {
  const bounded = k.pmin(a, f32(14.42))
  return k.mul(expMinusSquareSingle(bounded, 0.5), erfcxSingle(bounded, 0.5))
}

/**
 * The standard normal distribution function: relative also in the lower tail, denormals included. In float32
 * within 5.5 ulp.
 */
export function normalCdf(x: Expr): Expr {
  const a = k.abs(x)
  const tail = k.mul(x.type === 'f32' ? normalTailSingle(a) : erfcFar(a, 0.5), num(x, 0.5))
  return k.select(k.lt(x, num(x, 0)), tail, k.sub(num(x, 1), tail))
}

/** e^(-r/2) for |r| < ln 2, to 2^-23. */
const BELL = [1, -0.49999976, 0.12499785, -0.02083515, 0.0026186997, -0.00025816855]
/** Q(a) e^(a^2/2), Q the upper tail of the normal distribution, for a in [0, 13.4]: above the line, and below it but for the leading a^5; to 2^-27. */
const MILLS = [49.51217, 43.166843, 17.970955, 3.9651744, 0.39894783]
const MILLS_BELOW = [99.02434, 165.34372, 118.35453, 46.03028, 9.93994]
/** Here e^(-a^2/2) has become the power of two with a biased exponent of 0, which is zero. */
const BELL_END = 13.27

/** e^(-a^2/2) and the upper tail of the normal distribution at a in [0, BELL_END], both float32. */
function bellAndTail(a: Expr): { bell: Expr; tail: Expr } {
  const shift = f32(MAGIC + 127)
  const sum = k.madd(k.neg(k.mul(a, a)), f32(0.5 / Math.LN2), shift)
  const n = k.sub(sum, shift)
  // The product with the high part is exact, so that a fused a^2 loses nothing.
  const r = k.madd(n, f32(2 * LN2_LOW), k.madd(a, a, k.mul(n, f32(2 * LN2_HIGH))))
  const bell = k.mul(horner(r, BELL), scaleOf(sum))
  const [last, ...rest] = MILLS_BELOW.toReversed()
  const below = rest.reduce((p, c) => k.madd(p, a, f32(c)), k.add(a, f32(last)))
  return { bell, tail: k.div(k.mul(bell, horner(a, MILLS)), below) }
}

function geluSingle(x: Expr): Expr {
  const { tail } = bellAndTail(k.pmin(k.abs(x), f32(BELL_END)))
  // Bounded above only, which makes NaN of -inf, as in PyTorch; and not the same node as above, for it would hold registers.
  return k.madd(k.neg(tail), k.abs(k.pmin(x, f32(BELL_END))), k.pmax(x, f32(0)))
}

/**
 * x times the normal distribution function of x. In float32 max(x, 0) - |x| Q(|x|): within 6.5 ulp in the lower tail too, down
 * to x = -13.2, below which it is 0. Without fused multiply-adds the rounding of x^2 makes it 70 ulp at the end of the tail.
 */
export const gelu = byType(geluSingle, (x) => k.mul(x, normalCdf(x)))

const PDF = 1 / Math.sqrt(2 * Math.PI)

/** The derivative of `gelu`, to 2^-22 where its two parts cancel. */
export const geluSlope = byType(
  (x) => {
    const { bell, tail } = bellAndTail(k.pmin(k.abs(x), f32(BELL_END)))
    const cdf = k.select(k.lt(x, f32(0)), tail, k.sub(f32(1), tail))
    return k.madd(x, k.mul(bell, f32(PDF)), cdf)
  },
  (x) => {
    const density = k.mul(expDouble(k.mul(k.mul(x, x), num(x, -0.5))), num(x, PDF))
    return k.add(normalCdf(x), k.mul(x, density))
  },
)

/** erfinv(y)/y over w - 2.5, w = -log(1 - y^2) in [0, 5]; a start for one Halley step, to 2^-27. */
export const ERFINV = [
  1.501409360450329, 0.24664027905463662, -0.004177392875203149, -0.001252726391773229, 0.00021834938623976644,
  -4.9724196894547514e-6, -3.4639852676333717e-6, 4.6813134805534123e-7, 2.3335967195708108e-8, -8.931925970244222e-9,
] // biome-ignore format: a table
/** erfinv(y) over sqrt(w) - 4.25, for w in [5, 39]; to 2^-21. */
export const ERFINV_TAIL = [
  4.09222302313035, 1.0099786284024022, 0.0007161788973882908, -0.0006067047520300109, 0.00019937862134915087,
  -5.5297846059563706e-5, 1.9540003640496656e-5, -4.9266360167859735e-6, -5.216782799950117e-7, 3.630105841160142e-7,
] // biome-ignore format: a table

function erfinvDouble(y: Expr): Expr {
  const c = (value: number): Expr => num(y, value)
  const a = k.abs(y)
  const rest = k.sub(c(1), a)
  const w = k.neg(logDouble(k.mul(rest, k.add(a, c(1)))))
  const near = k.mul(a, horner(k.sub(w, c(2.5)), ERFINV))
  const far = horner(k.sub(k.sqrt(k.pmin(w, c(39))), c(4.25)), ERFINV_TAIL)
  const x = k.select(k.lt(w, c(5)), near, far)
  const error = k.select(k.lt(a, c(0.5)), k.sub(erfNear(x), a), k.sub(rest, erfcFar(x, 1)))
  const u = k.mul(k.mul(error, c(Math.sqrt(Math.PI) / 2)), expDouble(k.mul(x, x)))
  const step = k.div(u, k.madd(x, u, c(1)))
  const root = k.select(k.eq(a, c(1)), c(Number.POSITIVE_INFINITY), k.sub(x, step))
  return withSign(root, y)
}

/** erfinv(y)/y over w / 2.5 - 1, w = -log(1 - y^2) in [0, 5]; to 2^-35. */
const ERFINV_NEAR = [
  1.5014093511463729, 0.6166006918511466, -0.026108238984954648, -0.01957356137888702, 0.008525448222537516,
  -0.0004878934907834542, -0.0008343979571015862, 0.0002921762214587633, 2.1170272521766068e-5,
  -4.144217095428112e-5, 7.688812831225415e-6, 2.9467107749443185e-6, -1.1783377434283567e-6,
] // biome-ignore format: a table
/** erfinv(y) over (sqrt(w) - middle) / half, for w in [5, 17], where the singles end; to 2^-32. */
const ERFINV_FAR = [
  3.013068826171619, 0.9480594291747307, 0.0046252204778314005, -0.0022661967136300924, 0.0007414290275589546,
  -0.00017272628764232036, 1.019164316638812e-5, 1.861989283229939e-5, -1.162053945686956e-5,
  1.6106065452549446e-6, 7.734422859202511e-7,
] // biome-ignore format: a table
const FAR_MIDDLE = (Math.sqrt(17) + Math.sqrt(5)) / 2
const FAR_HALF = (Math.sqrt(17) - Math.sqrt(5)) / 2

/** The fits alone are enough for a float32. */
function erfinvSingle(y: Expr): Expr {
  const wide = k.cast(y, 'f64')
  const c = (value: number): Expr => num(wide, value)
  const a = k.abs(wide)
  const w = k.neg(logDouble(k.mul(k.sub(c(1), a), k.add(a, c(1)))))
  const near = k.mul(a, horner(k.madd(w, c(0.4), c(-1)), ERFINV_NEAR))
  const far = horner(k.madd(k.sqrt(w), c(1 / FAR_HALF), c(-FAR_MIDDLE / FAR_HALF)), ERFINV_FAR)
  const x = k.select(k.lt(w, c(5)), near, far)
  return withSign(k.cast(k.select(k.eq(a, c(1)), c(Number.POSITIVE_INFINITY), x), 'f32'), y)
}

/** Inverse of erf; ±1 give infinities, beyond them NaN. */
export const erfinv = byType(erfinvSingle, erfinvDouble)

/** lgamma(x) / ((x-1)(x-2)) over x - 2, for x in [1.5, 2.5]. */
export const LGAMMA = [
  0.42278433509846713, -0.10031730167435392, 0.032965000621155864, -0.012384192193371297, 0.00499864116469194,
  -0.0021081308339532027, 0.0009153769225258352, -0.0004057073976405256, 0.00018255263198029055, -8.309512288139664e-5,
  3.816899450869808e-5, -1.7661727092640293e-5, 8.221243547899526e-6, -3.846868630984396e-6, 1.813340925941714e-6,
  -8.554745925302383e-7, 3.863844148542206e-7, -1.8333634733806836e-7, 1.2211977636940668e-7, -5.832930129320894e-8,
] // biome-ignore format: a table

/** Stirling's series: Bernoulli(2k) / (2k (2k-1)). */
export const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156]

/** log(gamma(x)) of a float64 that is not negative. */
function lgammaPositive(x: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  let y = x
  let product = c(1)
  for (let i = 0; i < 6; i++) {
    const less = k.sub(y, c(1))
    const above = k.ge(y, c(2.5))
    product = k.select(above, k.mul(product, less), product)
    y = k.select(above, less, y)
  }
  // Below 1.5 the argument is raised by 1 or 2; d = y - 2 is formed without rounding y.
  const low = k.lt(x, c(1.5))
  const lower = k.lt(x, c(0.5))
  const raised = k.select(lower, k.mul(x, k.add(x, c(1))), x)
  const d = k.select(lower, x, k.select(low, k.sub(x, c(1)), k.sub(y, c(2))))
  const large = k.ge(x, c(8))
  const log = logDouble(k.select(large, x, k.select(low, raised, product)))
  const unit = k.mul(k.mul(d, k.add(d, c(1))), horner(d, LGAMMA))
  const small = k.add(unit, k.select(low, k.neg(log), log))

  const inverse = k.div(c(1), x)
  const series = k.mul(inverse, horner(k.mul(inverse, inverse), STIRLING))
  const offset = 0.5 * Math.log(2 * Math.PI) - 0.5
  const stirling = k.madd(k.sub(x, c(0.5)), k.sub(log, c(1)), k.add(series, c(offset)))
  return k.select(large, stirling, small)
}

/** log|gamma(x)|; infinite at 0, the negative integers and both infinities. */
export const lgamma = inDouble((x) => {
  const c = (value: number): Expr => num(x, value)
  const a = k.abs(x)
  const negative = k.lt(x, c(0))
  const positive = lgammaPositive(k.select(negative, k.add(a, c(1)), a))
  const sine = k.abs(sinCosPi(k.sub(a, k.nearest(a))).sine)
  const reflected = k.sub(logDouble(k.div(c(Math.PI), sine)), positive)
  const finite = k.select(negative, reflected, positive)
  return k.select(k.eq(a, c(Number.POSITIVE_INFINITY)), a, finite)
})

/** Bernoulli(2k) / 2k: the asymptotic series of digamma. */
const DIGAMMA = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12]

/** Derivative of lgamma, with PyTorch's poles: NaN at the negative integers, an infinity of the other sign at ±0. */
export const digamma = inDouble((x) => {
  const c = (value: number): Expr => num(x, value)
  const negative = k.lt(x, c(0))
  let y = k.select(negative, k.sub(c(1), x), x)
  let sum = c(0)
  for (let i = 0; i < 10; i++) {
    const below = k.lt(y, c(10))
    sum = k.select(below, k.sub(sum, k.div(c(1), y)), sum)
    y = k.select(below, k.add(y, c(1)), y)
  }
  const z = k.div(c(1), k.mul(y, y))
  const half = k.div(c(0.5), y)
  const series = k.sub(k.sub(logDouble(y), half), k.mul(z, horner(z, DIGAMMA)))
  const positive = k.add(series, sum)
  const fraction = k.sub(x, k.nearest(x))
  const { sine, cosine } = sinCosPi(fraction)
  const cotangent = k.div(k.mul(cosine, c(Math.PI)), sine)
  const reflected = k.select(k.eq(fraction, c(0)), c(Number.NaN), k.sub(positive, cotangent))
  const finite = k.select(negative, reflected, positive)
  return k.select(k.eq(x, c(0)), withSign(c(Number.POSITIVE_INFINITY), k.neg(x)), finite)
})

/** Bernoulli(2k): the asymptotic series of trigamma. */
const TRIGAMMA = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6]

/**
 * Derivative of digamma. Below 1/2 it is reflected as PyTorch does it, pi x rounded to x's type: beside 0 and the negative
 * integers the error of that shows, and at the latter the result is large instead of infinite.
 */
export function trigamma(x: Expr): Expr {
  const angle = k.mul(x, num(x, Math.PI))
  const wide = x.type === 'f64' ? trigammaWith(x, angle) : trigammaWith(k.cast(x, 'f64'), k.cast(angle, 'f64'))
  return k.cast(wide, x.type)
}

function trigammaWith(x: Expr, angle: Expr): Expr {
  const c = (value: number): Expr => num(x, value)
  const low = k.lt(x, c(0.5))
  let y = k.select(low, k.sub(c(1), x), x)
  let sum = c(0)
  for (let i = 0; i < 10; i++) {
    const below = k.lt(y, c(10))
    sum = k.select(below, k.add(sum, k.div(c(1), k.mul(y, y))), sum)
    y = k.select(below, k.add(y, c(1)), y)
  }
  const inverse = k.div(c(1), y)
  const z = k.mul(inverse, inverse)
  const series = k.mul(inverse, k.add(k.madd(inverse, c(0.5), c(1)), k.mul(z, horner(z, TRIGAMMA))))
  const positive = k.add(series, sum)
  const sine = call('sin', angle)
  return k.select(low, k.sub(k.div(c(Math.PI ** 2), k.mul(sine, sine)), positive), positive)
}
