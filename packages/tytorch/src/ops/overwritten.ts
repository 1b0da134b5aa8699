// In-place methods as functions of torch: `torch.abs_(x)` is `x.abs_()`.
import type { Tensor } from '../tensor/tensor.ts'
import { alphaDropout, dropout } from './dropout.ts'
import { featureAlphaDropout, featureDropout, rrelu } from './noise.ts'
import { celu, elu, selu } from './pointwise.ts'
import { hardtanh, leakyRelu, threshold } from './rectifier.ts'

type InPlaceName = { [K in keyof Tensor & string as K extends `${string}_` ? K : never]: true }
type Form<K extends keyof InPlaceName> = Tensor[K] extends (...args: infer A) => infer R
  ? (input: Tensor, ...args: A) => R
  : never

function form<K extends keyof InPlaceName>(name: K): Form<K> {
  const call = (x: Tensor, ...args: unknown[]): unknown =>
    (x as unknown as Record<string, (...args: unknown[]) => unknown>)[name](...args)
  return call as Form<K>
}

/** `x.abs_()` as a function. */
export const abs_: Form<'abs_'> = form('abs_')
/** `x.acos_()` as a function. */
export const acos_: Form<'acos_'> = form('acos_')
/** `x.acosh_()` as a function. */
export const acosh_: Form<'acosh_'> = form('acosh_')
/** `x.addmv_()` as a function. */
export const addmv_: Form<'addmv_'> = form('addmv_')
/** `x.arccos_()` as a function. */
export const arccos_: Form<'arccos_'> = form('arccos_')
/** `x.arccosh_()` as a function. */
export const arccosh_: Form<'arccosh_'> = form('arccosh_')
/** `x.arcsin_()` as a function. */
export const arcsin_: Form<'arcsin_'> = form('arcsin_')
/** `x.arcsinh_()` as a function. */
export const arcsinh_: Form<'arcsinh_'> = form('arcsinh_')
/** `x.arctan_()` as a function. */
export const arctan_: Form<'arctan_'> = form('arctan_')
/** `x.arctanh_()` as a function. */
export const arctanh_: Form<'arctanh_'> = form('arctanh_')
/** `x.asStrided_()` as a function. */
export const asStrided_: Form<'asStrided_'> = form('asStrided_')
/** `x.asin_()` as a function. */
export const asin_: Form<'asin_'> = form('asin_')
/** `x.asinh_()` as a function. */
export const asinh_: Form<'asinh_'> = form('asinh_')
/** `x.atan_()` as a function. */
export const atan_: Form<'atan_'> = form('atan_')
/** `x.atanh_()` as a function. */
export const atanh_: Form<'atanh_'> = form('atanh_')
/** `x.ceil_()` as a function. */
export const ceil_: Form<'ceil_'> = form('ceil_')
/** `x.clamp_()` as a function. */
export const clamp_: Form<'clamp_'> = form('clamp_')
/** `x.clampMax_()` as a function. */
export const clampMax_: Form<'clampMax_'> = form('clampMax_')
/** `x.clampMin_()` as a function. */
export const clampMin_: Form<'clampMin_'> = form('clampMin_')
/** `x.clip_()` as a function. */
export const clip_: Form<'clip_'> = form('clip_')
/** `x.cos_()` as a function. */
export const cos_: Form<'cos_'> = form('cos_')
/** `x.cosh_()` as a function. */
export const cosh_: Form<'cosh_'> = form('cosh_')
/** `x.deg2rad_()` as a function. */
export const deg2rad_: Form<'deg2rad_'> = form('deg2rad_')
/** `x.detach_()` as a function. */
export const detach_: Form<'detach_'> = form('detach_')
/** `x.erf_()` as a function. */
export const erf_: Form<'erf_'> = form('erf_')
/** `x.erfc_()` as a function. */
export const erfc_: Form<'erfc_'> = form('erfc_')
/** `x.exp_()` as a function. */
export const exp_: Form<'exp_'> = form('exp_')
/** `x.exp2_()` as a function. */
export const exp2_: Form<'exp2_'> = form('exp2_')
/** `x.expm1_()` as a function. */
export const expm1_: Form<'expm1_'> = form('expm1_')
/** `x.fill_()` as a function. */
export const fill_: Form<'fill_'> = form('fill_')
/** `x.fix_()` as a function. */
export const fix_: Form<'fix_'> = form('fix_')
/** `x.floor_()` as a function. */
export const floor_: Form<'floor_'> = form('floor_')
/** `x.frac_()` as a function. */
export const frac_: Form<'frac_'> = form('frac_')
/** `x.gcd_()` as a function. */
export const gcd_: Form<'gcd_'> = form('gcd_')
/** `x.indexPut_()` as a function. */
export const indexPut_: Form<'indexPut_'> = form('indexPut_')
/** `x.lcm_()` as a function. */
export const lcm_: Form<'lcm_'> = form('lcm_')
/** `x.ldexp_()` as a function. */
export const ldexp_: Form<'ldexp_'> = form('ldexp_')
/** `x.log_()` as a function. */
export const log_: Form<'log_'> = form('log_')
/** `x.log10_()` as a function. */
export const log10_: Form<'log10_'> = form('log10_')
/** `x.log1p_()` as a function. */
export const log1p_: Form<'log1p_'> = form('log1p_')
/** `x.log2_()` as a function. */
export const log2_: Form<'log2_'> = form('log2_')
/** `x.logit_()` as a function. */
export const logit_: Form<'logit_'> = form('logit_')
/** `x.nanToNum_()` as a function. */
export const nanToNum_: Form<'nanToNum_'> = form('nanToNum_')
/** `x.neg_()` as a function. */
export const neg_: Form<'neg_'> = form('neg_')
/** `x.negative_()` as a function. */
export const negative_: Form<'negative_'> = form('negative_')
/** `x.rad2deg_()` as a function. */
export const rad2deg_: Form<'rad2deg_'> = form('rad2deg_')
/** `x.reciprocal_()` as a function. */
export const reciprocal_: Form<'reciprocal_'> = form('reciprocal_')
/** `x.relu_()` as a function. */
export const relu_: Form<'relu_'> = form('relu_')
/** `x.resizeAs_()` as a function. */
export const resizeAs_: Form<'resizeAs_'> = form('resizeAs_')
/** `x.round_()` as a function. */
export const round_: Form<'round_'> = form('round_')
/** `x.rsqrt_()` as a function. */
export const rsqrt_: Form<'rsqrt_'> = form('rsqrt_')
/** `x.sigmoid_()` as a function. */
export const sigmoid_: Form<'sigmoid_'> = form('sigmoid_')
/** `x.sin_()` as a function. */
export const sin_: Form<'sin_'> = form('sin_')
/** `x.sinc_()` as a function. */
export const sinc_: Form<'sinc_'> = form('sinc_')
/** `x.sinh_()` as a function. */
export const sinh_: Form<'sinh_'> = form('sinh_')
/** `x.sqrt_()` as a function. */
export const sqrt_: Form<'sqrt_'> = form('sqrt_')
/** `x.square_()` as a function. */
export const square_: Form<'square_'> = form('square_')
/** `x.tan_()` as a function. */
export const tan_: Form<'tan_'> = form('tan_')
/** `x.tanh_()` as a function. */
export const tanh_: Form<'tanh_'> = form('tanh_')
/** `x.trunc_()` as a function. */
export const trunc_: Form<'trunc_'> = form('trunc_')
/** `x.xlogy_()` as a function. */
export const xlogy_: Form<'xlogy_'> = form('xlogy_')
/** `x.zero_()` as a function. */
export const zero_: Form<'zero_'> = form('zero_')

/** `celu` in place. */
export const celu_ = (x: Tensor, alpha = 1): Tensor => celu(x, alpha, true)
/** `elu` in place. */
export const elu_ = (x: Tensor, alpha = 1): Tensor => elu(x, alpha, true)
/** `selu` in place. */
export const selu_ = (x: Tensor): Tensor => selu(x, true)
/** `hardtanh` in place. */
export const hardtanh_ = (x: Tensor, minVal = -1, maxVal = 1): Tensor => hardtanh(x, minVal, maxVal, true)
/** `leakyRelu` in place. */
export const leakyRelu_ = (x: Tensor, negativeSlope = 0.01): Tensor => leakyRelu(x, negativeSlope, true)
/** `threshold` in place. */
export const threshold_ = (x: Tensor, limit: number, value: number): Tensor => threshold(x, limit, value, true)
/** `rrelu` in place. */
export const rrelu_ = (x: Tensor, lower = 1 / 8, upper = 1 / 3, training = false): Tensor =>
  rrelu(x, lower, upper, training, true)
/** `dropout` in place. */
export const dropout_ = (x: Tensor, p = 0.5, training = true): Tensor => dropout(x, p, training, true)
/** `alphaDropout` in place. */
export const alphaDropout_ = (x: Tensor, p = 0.5, training = true): Tensor => alphaDropout(x, p, training, true)
/** `featureDropout` in place. */
export const featureDropout_ = (x: Tensor, p = 0.5, training = true): Tensor => featureDropout(x, p, training, true)
/** `featureAlphaDropout` in place. */
export const featureAlphaDropout_ = (x: Tensor, p = 0.5, training = true): Tensor =>
  featureAlphaDropout(x, p, training, true)
