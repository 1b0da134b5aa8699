// The Airy function, in float64 and rounded: our own fits, in the forms of Abramowitz and Stegun 10.4.
import { horner, inDouble, num } from './build.ts'
import { expDouble } from './double.ts'
import { call, type Expr, k } from './expr.ts'

/** Ai(x) / (x + r) in [-3.5, 2.25]; r the first zero, over (x + 0.625) / 2.875. */
const AIRY_MIDDLE = [
  0.2913940097939086, -0.7739114265327796, 0.546133677948982, 0.48284216512803063, -1.050452834137116,
  0.5071330130445462, 0.2987443530708431, -0.4827684900375187, 0.1712373880191815, 0.09079263735046858,
  -0.11078507638912073, 0.030126102064231434, 0.015894752304800787, -0.015180929123989413, 0.0032485123641382576,
  0.001785361303481795, -0.0013796829272882379, 0.00023595638100582336, 0.00013875135888135007,
  -8.914822196671283e-05, 1.2293221937369142e-05, 7.896422286205362e-06, -4.318478157254795e-06,
  4.6834119135877743e-07, 3.5536515570396134e-07, -1.5710891324587792e-07, 6.851882207943262e-09,
  1.1296155222089708e-08, -2.469502831069516e-09,
] // biome-ignore format: a table

/** Ai(x) 2 sqrt(pi) x^(1/4) e^z, z = 2/3 x^(3/2), over 4 / z - 1, for z of 2 and more. */
const AIRY_POSITIVE = [
  0.9845197059940428, -0.0139322438307686, 0.0012917951264841048, -0.00020059358487027783, 4.122865107044483e-05,
  -1.0182519573139128e-05, 2.8709224340894714e-06, -8.957542607582581e-07, 3.0297241878464077e-07,
  -1.0939397972197446e-07, 4.1778884147419e-08, -1.7057556776242702e-08, 7.164492127746168e-09,
  -2.454367132092586e-09, 1.0333320169728108e-09, -1.3090816712179914e-09, 6.764906349337469e-10,
  3.308267444109044e-10, -1.9248052146490205e-10, -1.9370066122757427e-10, 1.0549924734906842e-10,
] // biome-ignore format: a table

/** The part in phase of Ai(-x) sqrt(pi) x^(1/4), over 32 / z^2 - 1, z = 2/3 x^(3/2), for z of 4 and more. */
const AIRY_PHASE = [
  0.9988889579747137, -0.0010671871172392524, 3.934706493442058e-05, -3.7443371833826206e-06, 5.87531350030058e-07,
  -1.2598536386473908e-07, 3.346942354742749e-08, -1.0387441111905193e-08, 3.633585699676893e-09,
  -1.4393231317889837e-09, 6.071906471061044e-10, -1.6508618382755625e-10, 6.005011672253214e-11,
  -1.871674131413226e-10, 1.133456396863048e-10, 8.295604657617194e-11, -5.528806959916569e-11,
  -3.9718727848105886e-11, 2.5127135438506733e-11,
] // biome-ignore format: a table

/** z times the part out of phase. */
const AIRY_QUADRATURE = [
  0.06835110556507, -0.0010139949544027522, 6.806003926277361e-05, -8.926581301352312e-06, 1.7259351121602967e-06,
  -4.301859877242732e-07, 1.2829222101223915e-07, -4.3736478769058134e-08, 1.6539793494847042e-08,
  -6.774627758855213e-09, 2.9733894491457413e-09, -1.4863476464599065e-09, 7.491502915856761e-10,
  -5.395373056616258e-11, -3.035169732707416e-11, -6.884862320730177e-10, 4.850058294740824e-10,
  7.490274472190926e-10, -5.495686303311733e-10, -6.714893370351081e-10, 4.864249015333146e-10,
  3.2165100184745277e-10, -2.33345481602797e-10, -7.556595468224246e-11, 5.4317528587646175e-11,
] // biome-ignore format: a table

/** The first zero, in two parts. */
const ZERO = [-2.338107410459767, -3.912260409818305e-17]

/** Airy function Ai; NaN at both infinities, as PyTorch's. */
export const airyAi = inDouble((x) => {
  const c = (value: number): Expr => num(x, value)
  const a = k.abs(x)
  const root = k.sqrt(a)
  const z = k.mul(k.mul(a, root), c(2 / 3))
  const quarter = k.mul(k.sqrt(root), c(Math.sqrt(Math.PI)))

  const decay = k.mul(expDouble(k.neg(z)), horner(k.sub(k.div(c(4), z), c(1)), AIRY_POSITIVE))
  const above = k.div(k.mul(decay, c(0.5)), quarter)

  const t = k.sub(k.div(c(32), k.mul(z, z)), c(1))
  const [cosine, sine] = [call('cos', z), call('sin', z)]
  const inPhase = k.mul(k.add(cosine, sine), horner(t, AIRY_PHASE))
  const outOfPhase = k.mul(k.sub(sine, cosine), k.div(horner(t, AIRY_QUADRATURE), z))
  const below = k.div(k.mul(k.add(inPhase, outOfPhase), c(Math.SQRT1_2)), quarter)

  const fit = horner(k.mul(k.add(x, c(0.625)), c(1 / 2.875)), AIRY_MIDDLE)
  const middle = k.mul(k.sub(k.sub(x, c(ZERO[0])), c(ZERO[1])), fit)
  const value = k.select(k.gt(x, c(2.1)), above, k.select(k.lt(x, c(-3.4)), below, middle))
  return k.select(k.eq(a, c(Number.POSITIVE_INFINITY)), c(Number.NaN), value)
})
