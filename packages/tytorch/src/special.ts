// torch.special: the special functions under their names there.
export { logSoftmax, softmax } from './ops/activation.ts'
export {
  i0,
  specialAiryAi as airyAi,
  specialBesselJ0 as besselJ0,
  specialBesselJ1 as besselJ1,
  specialBesselY0 as besselY0,
  specialBesselY1 as besselY1,
  specialI0e as i0e,
  specialI1 as i1,
  specialI1e as i1e,
  specialModifiedBesselI0 as modifiedBesselI0,
  specialModifiedBesselI1 as modifiedBesselI1,
  specialModifiedBesselK0 as modifiedBesselK0,
  specialModifiedBesselK1 as modifiedBesselK1,
  specialScaledModifiedBesselK0 as scaledModifiedBesselK0,
  specialScaledModifiedBesselK1 as scaledModifiedBesselK1,
  specialSphericalBesselJ0 as sphericalBesselJ0,
} from './ops/bessel.ts'
export { logit, sinc, xlogy } from './ops/elementary.ts'
export {
  digamma,
  digamma as psi,
  erfinv,
  igamma as gammainc,
  igammac as gammaincc,
  lgamma as gammaln,
  mvlgamma as multigammaln,
  polygamma,
  specialZeta as zeta,
} from './ops/gamma.ts'
export {
  specialEntr as entr,
  specialErfcx as erfcx,
  specialLogNdtr as logNdtr,
  specialNdtr as ndtr,
  specialNdtri as ndtri,
  specialXlog1py as xlog1py,
} from './ops/normals.ts'
export {
  specialChebyshevPolynomialT as chebyshevPolynomialT,
  specialChebyshevPolynomialU as chebyshevPolynomialU,
  specialChebyshevPolynomialV as chebyshevPolynomialV,
  specialChebyshevPolynomialW as chebyshevPolynomialW,
  specialHermitePolynomialH as hermitePolynomialH,
  specialHermitePolynomialHe as hermitePolynomialHe,
  specialLaguerrePolynomialL as laguerrePolynomialL,
  specialLegendrePolynomialP as legendrePolynomialP,
  specialShiftedChebyshevPolynomialT as shiftedChebyshevPolynomialT,
  specialShiftedChebyshevPolynomialU as shiftedChebyshevPolynomialU,
  specialShiftedChebyshevPolynomialV as shiftedChebyshevPolynomialV,
  specialShiftedChebyshevPolynomialW as shiftedChebyshevPolynomialW,
} from './ops/polynomial.ts'
export { logsumexp } from './ops/statistics.ts'
export { erf, erfc, exp2, expm1, log1p, round, sigmoid as expit } from './ops/unary.ts'
