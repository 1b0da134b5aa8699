// Bessel functions of orders 0 and 1, in float64 and rounded: our own fits, by argument near 0 and by its inverse far
// away, in the forms of Abramowitz and Stegun 9.2 and 9.6 to 9.8.
import { horner, inDouble, num } from './build.ts'
import { logDouble } from './double.ts'
import { call, type Expr, k } from './expr.ts'

/** J0(x) / ((x^2 - r^2)(x^2 - s^2)), its first zeros r and s, over x^2 / 32 - 1, for x in [0, 8]. */
const J0_NEAR = [
  0.0011434937743762545, -0.002119794289479692, 0.0015636431645931613, -0.0006415390646406125,
  0.00016977200714005512, -3.157342540223342e-05, 4.366932324180548e-06, -4.6771280213699704e-07,
  3.998839476942668e-08, -2.7948629562951916e-09, 1.6276296665367894e-10, -8.023481832231613e-12,
  3.406353846386501e-13, -1.248012691980731e-14,
] // biome-ignore format: a table

/** J1(x) / (x (x^2 - r^2)(x^2 - s^2)), its first zeros r and s, over x^2 / 32 - 1, for x in [0, 8]. */
const J1_NEAR = [
  0.00019498936985895625, -0.0002697522746716368, 0.00015860016799369858, -5.4080032390855064e-05,
  1.224217365301787e-05, -1.9890935159142006e-06, 2.442522260616403e-07, -2.352192254597121e-08,
  1.8268548082869076e-09, -1.169693248966763e-10, 6.2846769866729685e-12, -2.8755334378568987e-13,
  1.1384465070771561e-14, -3.9096323215705757e-16,
] // biome-ignore format: a table

/** Y0(x) - 2/pi log(x) J0(x) over x^2 / 12.5 - 1, for x in [0, 5]. */
const Y0_NEAR = [
  0.4837248578102995, -0.4326558222855129, -0.4705763655297288, 0.38851639956571976, -0.11151682184328636,
  0.017635345389255822, -0.0018028096665512298, 0.00012994629120517665, -6.985504372448188e-06,
  2.914215949682796e-07, -9.720956655939652e-09, 2.657788970384047e-10, -6.0494543140061334e-12,
] // biome-ignore format: a table

/** (Y1(x) - 2/pi (log(x) J1(x) - 1/x)) / x over x^2 / 12.5 - 1, for x in [0, 5]. */
const Y1_NEAR = [
  0.13974939033568806, 0.09108650838448443, -0.16312020358118715, 0.06634695354779145, -0.01343343374081816,
  0.001668803132860553, -0.00014141835794487096, 8.733098315276023e-06, -4.113778078975399e-07,
  1.528888444688957e-08, -4.6013015686338337e-10, 1.1462846982460235e-11, -2.3976176456816346e-13,
] // biome-ignore format: a table

/** The part in phase of J0(x) sqrt(pi x / 2), over 50 / x^2 - 1, for x of 5 and more. */
const P0 = [
  0.998634765909199, -0.0013274931272002893, 3.491730582389938e-05, -2.4599633314485842e-06, 2.9758982169875776e-07,
  -5.0864129655753184e-08, 1.1060575094846227e-08, -2.872045633732808e-09, 8.471966613447344e-10,
  -2.7935715429708487e-10, 1.1670584034753829e-10, -4.772915434208053e-11, 1.6413243719535619e-12,
  9.076026861206225e-13, 1.062431401344884e-11, -5.526253077072046e-12,
] // biome-ignore format: a table

/** x times the part out of phase. */
const Q0 = [
  -0.12361496352611864, 0.0013142139729102307, -6.338715442716906e-05, 6.239113171753875e-06, -9.409874628086437e-07,
  1.8870291686232796e-07, -4.6398710260392835e-08, 1.3297316184447042e-08, -4.2896883004727955e-09,
  1.5235779270498288e-09, -6.033157715852311e-10, 2.5137413425272493e-10, -7.025009825866401e-11,
  2.6184060284647662e-11, -6.67373591888719e-11, 3.867330017506857e-11, 2.5950177749022507e-11,
  -1.6660142565285112e-11, -1.2305652904546721e-11, 7.46978218561195e-12,
] // biome-ignore format: a table

/** The part in phase of J1(x) sqrt(pi x / 2), over 50 / x^2 - 1, for x of 5 and more. */
const P1 = [
  1.0022906462560663, 0.0022414632139170737, -4.5782806543333825e-05, 2.978621115696911e-06, -3.4667161744653016e-07,
  5.7916473510387805e-08, -1.2405115971073123e-08, 3.1865491042145593e-09, -9.326233785266356e-10,
  3.0560486776114105e-10, -1.2660896736007226e-10, 5.152931386352051e-11, -2.0075943665529015e-12,
  -8.595013930623324e-13, -1.1335908219060933e-11, 5.883416272659351e-12,
] // biome-ignore format: a table

/** x times the part out of phase. */
const Q1 = [
  0.3730474331740802, -0.0018648496218418088, 7.898094178007923e-05, -7.369927918557262e-06, 1.0798853625826433e-06,
  -2.126679076480073e-07, 5.164194152345208e-08, -1.4660442774020817e-08, 4.7001232348716684e-09,
  -1.6792603140027183e-09, 6.468049960710546e-10, -2.196036309995082e-10, 8.782434427216027e-11,
  -1.0859506993277121e-10, 5.929267394923431e-11, 3.290937177790792e-11, -2.1148957220138363e-11,
  -1.9660021286047175e-11, 1.1618795104468154e-11,
] // biome-ignore format: a table

const ZEROS = [
  [[5.783185962946784, 4.123247343506204e-16], [30.471262343662087, -2.366534485750659e-16]],
  [[14.681970642123893, -9.858177825793294e-17], [49.2184563216946, 5.086354069436341e-16]],
] // biome-ignore format: a table

type Order = 0 | 1

/** x^2 - r^2 for a zero r, whose square is given in two parts: relative also beside it. */
function fromZero(square: Expr, [high, low]: readonly number[]): Expr {
  return k.sub(k.sub(square, num(square, high)), num(square, low))
}

/** J of a float64 below 8 in size. */
function ordinaryNear(order: Order, x: Expr): Expr {
  const square = k.mul(x, x)
  const fit = horner(k.sub(k.mul(square, num(x, 1 / 32)), num(x, 1)), order ? J1_NEAR : J0_NEAR)
  const [r, s] = ZEROS[order]
  const even = k.mul(k.mul(fromZero(square, r), fromZero(square, s)), fit)
  return order ? k.mul(x, even) : even
}

/** J and Y of a float64 of 5 or more. */
function oscillating(order: Order, x: Expr): readonly [j: Expr, y: Expr] {
  const c = (value: number): Expr => num(x, value)
  const t = k.sub(k.div(c(50), k.mul(x, x)), c(1))
  const inPhase = horner(t, order ? P1 : P0)
  const outOfPhase = k.div(horner(t, order ? Q1 : Q0), x)
  // cos and sin of x - pi/4, or of x - 3 pi/4, times the square root of 2.
  const [cosine, sine] = [call('cos', x), call('sin', x)]
  const sum = k.add(sine, cosine)
  const difference = k.sub(sine, cosine)
  const [c0, s0] = order ? [difference, k.neg(sum)] : [sum, difference]
  const size = k.sqrt(k.div(c(1 / Math.PI), x))
  return [
    k.mul(size, k.sub(k.mul(c0, inPhase), k.mul(s0, outOfPhase))),
    k.mul(size, k.add(k.mul(s0, inPhase), k.mul(c0, outOfPhase))),
  ]
}

function firstKind(order: Order): (...x: Expr[]) => Expr {
  return inDouble((x) => {
    const a = k.abs(x)
    const far = oscillating(order, a)[0]
    const value = k.select(k.lt(a, num(x, 8)), ordinaryNear(order, a), far)
    return order ? k.select(k.lt(x, num(x, 0)), k.neg(value), value) : value
  })
}

/** Bessel function of the first kind of order 0. */
export const besselJ0 = firstKind(0)
/** Bessel function of the first kind of order 1. */
export const besselJ1 = firstKind(1)

const TWO_OVER_PI = 2 / Math.PI

/** Bessel function of the second kind of order 0: -inf at 0, NaN below. */
export const besselY0 = inDouble((x) => {
  const fit = horner(k.sub(k.mul(k.mul(x, x), num(x, 1 / 12.5)), num(x, 1)), Y0_NEAR)
  const near = k.madd(k.mul(logDouble(x), ordinaryNear(0, x)), num(x, TWO_OVER_PI), fit)
  return k.select(k.lt(x, num(x, 5)), near, oscillating(0, x)[1])
})

/** Bessel function of the second kind of order 1: -inf at 0, NaN below. */
export const besselY1 = inDouble((x) => {
  const fit = horner(k.sub(k.mul(k.mul(x, x), num(x, 1 / 12.5)), num(x, 1)), Y1_NEAR)
  const singular = k.sub(k.mul(logDouble(x), ordinaryNear(1, x)), k.div(num(x, 1), x))
  const near = k.madd(singular, num(x, TWO_OVER_PI), k.mul(x, fit))
  const value = k.select(k.lt(x, num(x, 5)), near, oscillating(1, x)[1])
  return k.select(k.eq(x, num(x, 0)), num(x, Number.NEGATIVE_INFINITY), value)
})

const SERIES = [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800]

/** sin(x) / x, 1 at 0 and 0 at infinity. */
export const sphericalBesselJ0 = inDouble((x) => {
  const near = horner(k.mul(x, x), SERIES)
  const far = k.div(call('sin', x), x)
  const finite = k.select(k.lt(k.abs(x), num(x, 0.5)), near, far)
  return k.select(k.eq(k.abs(x), num(x, Number.POSITIVE_INFINITY)), num(x, 0), finite)
})
