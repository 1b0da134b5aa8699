// Modified Bessel functions of orders 0 and 1, plain and scaled by an exponential, in float64 and rounded: our own fits.
import { horner, inDouble, num, withSign } from './build.ts'
import { expDouble, logDouble } from './double.ts'
import { type Expr, k } from './expr.ts'

/** I0(x) e^-x over x / 4 - 1, for x in [0, 8]. */
const I0E_NEAR = [
  0.2070019212239867, -0.11300432688620536, 0.09451562853995125, -0.08904344136077733, 0.08734341617550884,
  -0.08496338091542556, 0.07927522590752974, -0.06954119563154397, 0.05677703201501785, -0.04298594929673067,
  0.03017791206221918, -0.019682655784004566, 0.011960077703464203, -0.006792394821044967, 0.0036171271654272855,
  -0.0018119029764120445, 0.0008563135177565376, -0.0003828654139905961, 0.0001624084559061418,
  -6.55678677969644e-05, 2.5198651465609148e-05, -9.183910794736519e-06, 3.232396382443255e-06,
  -1.1419495259048662e-06, 3.659216730162776e-07, -8.594601526025913e-08, 2.679771004975793e-08,
  -1.631130691668671e-08, 4.394426308340083e-09,
] // biome-ignore format: a table

/** I0(x) e^-x sqrt(x) over 16 / x - 1, for x of 8 and more. */
const I0E_FAR = [
  0.4021765094450081, 0.0033605519836677235, 0.00013621607439187193, 1.1143033802583682e-05, 1.4838475863096976e-06,
  2.9735956581528157e-07, 8.872154618944625e-08, 3.932926571091252e-08, 2.155681110989874e-08, 7.532386417555123e-09,
  -6.805980075129678e-09, -1.331979859201994e-08, -5.162517880939013e-09, 7.323310735122893e-09,
  6.789790403895736e-09, -3.11851456121224e-09, -4.8482509221176966e-09, 1.0924527246468664e-09,
  2.3981927228949238e-09, -2.748111637276033e-10, -7.473844621887592e-10, 3.525321019700796e-11,
  1.0881994785468934e-10,
] // biome-ignore format: a table

/** I1(x) e^-x / x over x / 4 - 1, for x in [0, 8]. */
const I1E_NEAR = [
  0.044687709875608835, -0.06112433802966629, 0.06805759990951162, -0.0684826062058255, 0.06376740371340577,
  -0.05528003922705022, 0.04467457262129714, -0.03367135551995088, 0.02368601695707619, -0.015571309256413276,
  0.009583962156778885, -0.005534567762043535, 0.0030057623832836743, -0.0015388749545831235, 0.0007445124953014814,
  -0.0003411747813610572, 0.0001484208039276592, -6.142640320977967e-05, 2.4234670059255445e-05,
  -9.132078302016797e-06, 3.2925252282489886e-06, -1.1377243874862234e-06, 3.77399508841751e-07,
  -1.203840070600182e-07, 3.695475093951559e-08, -1.090464811978164e-08, 3.116432085713288e-09,
  -8.807829388923536e-10, 2.3421192545527127e-10, -5.1331590540461665e-11, 1.3111079814567337e-11,
  -5.6434863103435144e-12, 1.3000095681240486e-12,
] // biome-ignore format: a table

/** I1(x) e^-x sqrt(x) over 16 / x - 1, for x of 8 and more. */
const I1E_FAR = [
  0.38939845902587233, -0.009749577193234856, -0.0002192357638311702, -1.5038547264883471e-05,
  -1.8349103429663388e-06, -3.483841753091222e-07, -1.0000822498071297e-07, -4.314332246730572e-08,
  -2.3421321386723802e-08, -8.34829836133379e-09, 7.0017870784877524e-09, 1.3761872558441389e-08,
  5.056045544132708e-09, -7.045449593614895e-09, -5.872315764049016e-09, 2.575022015245385e-09,
  3.364402906942886e-09, -6.563550610824565e-10, -1.1459875492084381e-09, 8.556534373260018e-11,
  1.79708076202127e-10,
] // biome-ignore format: a table

/** K0(x) + log(x/2) I0(x) over x^2 / 2 - 1, for x in [0, 2]. */
const K0_NEAR = [
  -0.30362077291575545, 0.3404973210133806, 0.07177701034240509, 0.005053392643196092, 0.0001828055582791554,
  4.0545066199495615e-06, 6.093361894172149e-08, 6.623013277190278e-10, 5.4525646625978115e-12,
  3.518611978846953e-14,
] // biome-ignore format: a table

/** K0(x) e^x sqrt(x) over 4 / x - 1, for x of 2 and more. */
const K0E_FAR = [
  1.2185953385133905, -0.031071461824886657, 0.003032891810272341, -0.000479769056973863, 9.956054760222267e-05,
  -2.473520015790187e-05, 7.002241956081613e-06, -2.191220151285867e-06, 7.42815618898008e-07,
  -2.6868600500269713e-07, 1.0276399888118862e-07, -4.201355627730155e-08, 1.766510386115317e-08,
  -6.0482838956084346e-09, 2.547717129273865e-09, -3.241469013359307e-09, 1.676071712933303e-09,
  8.216139380410184e-10, -4.780533482487136e-10, -4.802786287894041e-10, 2.6167302273839806e-10,
] // biome-ignore format: a table

/** x (K1(x) - log(x/2) I1(x)) over x^2 / 2 - 1, for x in [0, 2]. */
const K1_NEAR = [
  0.8850882877295894, -0.3322409552403131, -0.2438385288677433, -0.027854235219771845, -0.001383168846618116,
  -3.891869064370918e-05, -7.081133691517491e-07, -9.032127511269602e-09, -8.53363416816121e-11,
  -6.21422926654518e-13,
] // biome-ignore format: a table

/** K1(x) e^x sqrt(x) over 4 / x - 1, for x of 2 and more. */
const K1E_FAR = [
  1.363151890371342, 0.1033497377538621, -0.005566729880071339, 0.0007357241551358764, -0.00013959021976125947,
  3.2843860727824176e-05, -8.96120336007875e-06, 2.7300879137808674e-06, -9.067475161001896e-07,
  3.2273904752793343e-07, -1.218240652576921e-07, 4.920248391531962e-08, -2.0491894192421595e-08,
  7.048382137997918e-09, -2.9553769088168094e-09, 3.619444370318036e-09, -1.861573024405465e-09,
  -8.92916471067648e-10, 5.193232058567375e-10, 5.297308056318108e-10, -2.8773454896030826e-10,
] // biome-ignore format: a table

/** I(a) e^-a of a float64 that is not negative, as the fits near 0 and far away (the latter times the square root of a). */
function scaledFirst(order: 0 | 1, a: Expr): readonly [near: Expr, far: Expr, isNear: Expr] {
  const near = horner(k.sub(k.mul(a, num(a, 0.25)), num(a, 1)), order ? I1E_NEAR : I0E_NEAR)
  const far = horner(k.sub(k.div(num(a, 16), a), num(a, 1)), order ? I1E_FAR : I0E_FAR)
  return [order ? k.mul(a, near) : near, far, k.le(a, num(a, 8))]
}

function firstKind(order: 0 | 1, scaled: boolean): (...x: Expr[]) => Expr {
  return inDouble((x) => {
    const a = k.abs(x)
    const [near, far, isNear] = scaledFirst(order, a)
    const size = k.select(isNear, near, k.div(far, k.sqrt(a)))
    const value = scaled ? size : k.mul(size, expDouble(a))
    return order ? withSign(value, x) : value
  })
}

/** Modified Bessel function of the first kind of order 0; NaN at infinity, as PyTorch's. */
export const i0 = firstKind(0, false)
/** i0(x) e^-|x|. */
export const i0e = firstKind(0, true)
/** Modified Bessel function of the first kind of order 1; NaN at infinity, as PyTorch's. */
export const i1 = firstKind(1, false)
/** i1(x) e^-|x|. */
export const i1e = firstKind(1, true)

function secondKind(order: 0 | 1, scaled: boolean): (...x: Expr[]) => Expr {
  return inDouble((x) => {
    const c = (value: number): Expr => num(x, value)
    const [first] = scaledFirst(order, x)
    const grow = expDouble(x)
    const product = k.mul(logDouble(k.mul(x, c(0.5))), k.mul(first, grow))
    const fit = horner(k.sub(k.mul(k.mul(x, x), c(0.5)), c(1)), order ? K1_NEAR : K0_NEAR)
    const plain = order ? k.add(product, k.div(fit, x)) : k.sub(fit, product)
    const near = scaled ? k.mul(plain, grow) : plain
    const far = k.div(horner(k.sub(k.div(c(4), x), c(1)), order ? K1E_FAR : K0E_FAR), k.sqrt(x))
    const value = k.select(k.le(x, c(2)), near, scaled ? far : k.mul(far, expDouble(k.neg(x))))
    return k.select(k.eq(x, c(0)), c(Number.POSITIVE_INFINITY), value)
  })
}

/** Modified Bessel function of the second kind of order 0: infinite at 0, NaN below. */
export const k0 = secondKind(0, false)
/** k0(x) e^x. */
export const k0e = secondKind(0, true)
/** Modified Bessel function of the second kind of order 1: infinite at 0, NaN below. */
export const k1 = secondKind(1, false)
/** k1(x) e^x. */
export const k1e = secondKind(1, true)
