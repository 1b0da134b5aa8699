// The maths functions of kernels: each takes expressions of one type and gives one of that type (or bool). Float32
// functions are within 2 ulp over all floats unless they say otherwise; float64 ones as good as the host's.
export {
  copysign,
  floorDivide,
  fmod,
  frac,
  heaviside,
  hypot,
  isfinite,
  isinf,
  isnan,
  nextafter,
  reciprocal,
  remainder,
  round,
  roundDecimals,
  rsqrt,
  sign,
  truncDivide,
} from './arithmetic.ts'
export {
  acosh,
  asinh,
  atanh,
  cosh,
  exp,
  exp2,
  expm1,
  log,
  log1p,
  log2,
  log10,
  logaddexp,
  logaddexp2,
  logSigmoid,
  sigmoid,
  sinh,
  softplus,
  tanh,
  xlog1py,
  xlogy,
} from './exponential.ts'
export { erfcx, logNdtr, ndtr, ndtri } from './normal.ts'
export { pow } from './power.ts'
export { digamma, erf, erfc, erfinv, lgamma, normalCdf, trigamma } from './special.ts'
export { acos, asin, atan, atan2, cos, sin, tan } from './trigonometric.ts'
