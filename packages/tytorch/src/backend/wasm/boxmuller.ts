// Box and Muller's normal singles as PyTorch's AVX2 code makes them: blocks of sixteen words, eight radii and then eight
// angles. The formulas are those of log32 and sincos32 in base/libm.ts, operation by operation.
import { type Func, f32x4, i32x4, v128 } from './assembler.ts'
import { eachOf, unitOf, type Value, type Values } from './values.ts'

const LOG = [
  0.07037683576345444, -0.11514610052108765, 0.11676998436450958, -0.12420140951871872, 0.14249323308467865,
  -0.16668057441711426, 0.2000071406364441, -0.24999994039535522, 0.3333333134651184,
]

/** Writes the routine: standard deviation and mean are singles in all lanes of two vectors at its fourth parameter. */
export function emitNormal(f: Func, v: Values): void {
  const [mask, unit, one] = [v.i32(0xffffff), v.f32(2 ** -24), v.f32(1)]
  const [std, mean] = [0, 16].map((at) => v.keep(v.load(3, at)))
  const log = logarithm(v, one)
  const angles = sineAndCosine(v, one)
  const [minusTwo, twoPi] = [v.f32(-2), v.f32(Math.fround(2 * Math.PI))]
  eachOf(f, 16, 4, 1, () => {
    for (const at of [0, 16]) {
      const u1 = v.op(f32x4.sub, one, unitOf(v, v.load(0, at), mask, unit))
      const u2 = unitOf(v, v.load(0, at + 32), mask, unit)
      const radius = v.keep(v.op(f32x4.sqrt, v.op(f32x4.mul, minusTwo, log(v.keep(u1)))))
      const [sine, cosine] = angles(v.keep(v.op(f32x4.mul, twoPi, u2)))
      v.store(1, v.fma32(v.op(f32x4.mul, radius, cosine), std, mean), at)
      v.store(1, v.fma32(v.op(f32x4.mul, radius, sine), std, mean), at + 32)
    }
  })
}

/** `log32` of a kept vector; its constants are made here. */
function logarithm(v: Values, one: Value): (x: Value) => Value {
  const [fraction, half, root] = [v.i32(0x007fffff), v.f32(0.5), v.f32(0.7071067690849304)]
  const coefficients = LOG.map((c) => v.f32(c))
  const [low, high, bias] = [v.f32(-0.00021219444170128554), v.f32(0.693359375), v.i32(126)]
  return (value) => {
    const m = v.keep(v.op(v128.or, v.op(v128.and, value, fraction), half))
    const small = v.keep(v.op(f32x4.lt, m, root))
    const exponent = v.op(f32x4.convertI32x4S, v.op(i32x4.sub, v.shift(i32x4.shrU, value, 23), bias))
    const e = v.keep(v.op(f32x4.sub, exponent, v.op(v128.and, small, one)))
    const x = v.keep(v.op(f32x4.add, v.op(f32x4.sub, m, one), v.op(v128.and, small, m)))
    const z = v.keep(v.op(f32x4.mul, x, x))
    let y = coefficients[0]
    for (const c of coefficients.slice(1)) y = v.keep(v.fma32(y, x, c))
    y = v.keep(v.op(f32x4.mul, y, x))
    y = v.keep(v.fma32(y, z, v.op(f32x4.mul, e, low)))
    y = v.op(f32x4.sub, y, v.op(f32x4.mul, half, z))
    return v.fma32(e, high, v.op(f32x4.add, x, y))
  }
}

/** `sincos32` of a kept vector: kept sine and cosine. */
function sineAndCosine(v: Values, one: Value): (x: Value) => [Value, Value] {
  const [fourOverPi, wholeOne, evenBits, two, four] = [
    v.f32(1.2732394933700562),
    v.i32(1),
    v.i32(~1),
    v.i32(2),
    v.i32(4),
  ]
  const reduction = [-0.78515625, -0.00024187564849853516, -3.774895063202166e-8].map((c) => v.f32(c))
  const cosines = [2.44331567955669e-5, -0.0013887316454201937, 0.04166664555668831].map((c) => v.f32(c))
  const sines = [-0.00019515295571181923, 0.008332161232829094, -0.16666655242443085].map((c) => v.f32(c))
  const [minusHalf, zero] = [v.f32(-0.5), v.i32(0)]
  const sign = (bits: Value): Value => v.shift(i32x4.shl, bits, 29)
  return (value) => {
    const whole = v.op(i32x4.truncSatF32x4S, v.op(f32x4.mul, value, fourOverPi))
    const j = v.keep(v.op(v128.and, v.op(i32x4.add, whole, wholeOne), evenBits))
    const n = v.keep(v.op(f32x4.convertI32x4S, j))
    let x = value
    for (const c of reduction) x = v.keep(v.fma32(n, c, x))
    const z = v.keep(v.op(f32x4.mul, x, x))
    let c = v.keep(v.fma32(cosines[0], z, cosines[1]))
    c = v.keep(v.op(f32x4.mul, v.fma32(c, z, cosines[2]), z))
    c = v.keep(v.op(f32x4.add, v.fma32(c, z, v.op(f32x4.mul, minusHalf, z)), one))
    let s = v.keep(v.fma32(sines[0], z, sines[1]))
    s = v.keep(v.op(f32x4.mul, v.fma32(s, z, sines[2]), z))
    s = v.keep(v.fma32(s, x, x))
    const straight = v.keep(v.op(i32x4.eq, v.op(v128.and, j, two), zero))
    const sine = v.op(v128.xor, v.pick(straight, s, c), sign(v.op(v128.and, j, four)))
    const cosine = v.op(v128.xor, v.pick(straight, c, s), sign(v.op(v128.andnot, four, v.op(i32x4.sub, j, two))))
    return [v.keep(sine), v.keep(cosine)]
  }
}
