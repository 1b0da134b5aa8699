// The C library's log, log1p and sincos and its fused multiply-add, bit for bit, in double and (as PyTorch's vector code
// has them) in single precision. JavaScript's Math leaves the last bit to the engine; a seeded draw must not.
// Follows glibc 2.36 on x86-64 with FMA (log: Arm Optimized Routines; log1p: fdlibm; sincos: IBM Accurate Mathematical
// Library) and, in single precision, Cephes as GCC contracts it into FMAs.

const fround = Math.fround
const bits64 = new Float64Array(1)
const words = new Int32Array(bits64.buffer)
const bits32 = new Float32Array(bits64.buffer)

/** a * b + c with one rounding, for singles: the product is exact in double, so only ties can round twice. */
export function fma32(a: number, b: number, c: number): number {
  const sum = a * b + c
  const rounded = fround(sum)
  const rest = sum - rounded
  if (rest !== 0) {
    const other = rounded + 2 * rest
    if (fround(other) === other) return breakTie(a * b, c, sum, rounded, other)
  }
  return rounded
}

/** The sum sits halfway between two singles: what the double sum itself lost decides. */
function breakTie(product: number, c: number, sum: number, rounded: number, other: number): number {
  const part = sum - product
  const lost = product - (sum - part) + (c - part)
  if (lost === 0) return rounded
  return lost > 0 ? Math.max(rounded, other) : Math.min(rounded, other)
}

/** a * b + c with one rounding, for doubles of ordinary size (no product beyond 2^996 or below 2^-960). */
export function fma64(a: number, b: number, c: number): number {
  const product = a * b
  let t = 134217729 * a
  const ah = t - (t - a)
  const al = a - ah
  t = 134217729 * b
  const bh = t - (t - b)
  const bl = b - bh
  const low = al * bl - (product - ah * bh - al * bh - ah * bl)
  const sum = product + c
  const part = sum - product
  const lost = product - (sum - part) + (c - part)
  const rest = lost + low
  const result = sum + rest
  // Rounding `rest` can only mislead where sum + rest is a tie: then, and only then, doubling what is left is exact.
  const twice = 2 * (rest - (result - sum))
  if (twice !== 0) {
    const other = result + twice
    if (other - result === twice) {
      const y = rest - lost
      const lower = lost - (rest - y) + (low - y)
      if (lower !== 0) return lower > 0 ? Math.max(result, other) : Math.min(result, other)
    }
  }
  return result
}

// ---------------------------------------------------------------------------------------------------------------- log

// 1/c for 128 intervals of [0.6875, 1.375): 52-bit fractions of doubles, the first 80 in [1, 2), the rest in [0.5, 1).
const INVC =
  '734f0c3e0de9f713786a2ce91f6f26008fab5a06d1a61f138c7d6b1490bc5b4d169147332f0cba6719f182242236524f99a51ed9' +
  '63356aa8f24c4614b36b9ddc145f66452c65c4c5d867b5912c4f5babccb5b90de59d61f2d91a78580561246568756397cee76bd3' +
  '54725e2a77f9352aff4206458350f22dbb2bddf4f38f4734ded74d843cfde28404bd3ec078a3c84a27fc3e0258a4880524d48434' +
  '46dce1b192d0b453d9d339185443a2744b4845a420b54115f8fb40782da3ef4b13ee8f5d57fe8f3d5d9a00b4ce93bd60c010c12b' +
  '3a5242b75dab838d22cd9fd0023755bc5847a1c35dce49ad36e234679984dd44032f5cceffcb243187775a10d49301c8373e3990' +
  '2eb4ebb95f8412d50a0219a9d12bef9a8b7fd2a2a91c7a0c1bab293726014b53027dfa5757a1f5268b39b1d3bbf2539d838ff5bd' +
  '23eb7aac9083b22a012ba940b62157996cc4132201201dd2fc9b1ecf4494d480b1d8f5528f65691c52311577e7c1b17c74cb26e9' +
  '19e010c2c1ab618ab07bb670bd1778a25efbcb61648d354c31da151b990275fdd13f0ea432d24c12c8b7210f9da11a3028ecb531' +
  '107fbda8434af0f5ee0f4e6bb30e4065d2a9fce0d244632ca5210c0a77ce2981a0af2f83c636d109ddb98a0133908cabaf52e7df' +
  '07b9f2f4e28fb06ab58c358f19059eea5ecf92c04949cdd12c90038c6c6f0ada902865137932a90182427ea7348008040614b195' +
  'fe01ff726fa1afa11cc261ea74f6310b081992ef25f63ceeadcdee9c8039113e7eae8078cbb1abe741aa29d0c9be3a91830a99b5' +
  'e01e009609a56dca01e577bb98d92f20b7c9103d5cac66fb5cced272caa5ede9dcf26e3e6b2ccdcbe6da2a77902c8b266d37086d' +
  'c5894bd5d5804c26b533bb9f8cbf583eeece73fbc4fd75db96c1b951e0c864a28b65e2c5ef3e2cb374867c9888bb094b211d304a' +
  'adbe885f2ef7eaaf1d31603da2a82e63fd358a7a5740ef09738ba2c2a90ab4b27a01a01393f2d19d79f24db3c1b9ae2505c7b190' +
  '9852ef297ce2f95cbaeea44b75934c69de7483890d4f2f6752e68e6528effd79d8bfce9fcc007c899c0dabec30e87427aa2317fb' +
  '84f00acb39a0882a49e8653e558060195f402607e22563e0a3297beb377dcb5ad79baa679725c277907f2170657756cadbd6130c'
const LN2_HI = 0.6931471805598903
const LN2_LO = 5.497923018708371e-14
const TWO_43 = 2 ** 43

const invcTable = new Float64Array(128)
const logcTable = new Float64Array(128)
for (let i = 0; i < 128; i++) {
  const fraction = INVC.slice(13 * i, 13 * i + 13)
  words[1] = ((i < 80 ? 0x3ff : 0x3fe) << 20) | Number.parseInt(fraction.slice(0, 5), 16)
  words[0] = Number.parseInt(fraction.slice(5), 16) | 0
  invcTable[i] = bits64[0] as number
  // Rounded to a multiple of 2^-43, so that k ln 2 + log c is exact.
  logcTable[i] = Math.round(-Math.log(invcTable[i] as number) * TWO_43) / TWO_43
}

/** The natural logarithm, as glibc's `log` gives it for positive normal doubles (worst error 0.519 ulp). */
export function log(x: number): number {
  if (!(x >= 2.2250738585072014e-308 && x < Infinity)) return Math.log(x)
  if (x >= 0.9375 && x < 1.064697265625) return logNearOne(x - 1)
  bits64[0] = x
  const high = words[1] as number
  const shifted = (high - 0x3fe60000) | 0
  const i = (shifted >> 13) & 127
  const k = shifted >> 20
  words[1] = high - (shifted & 0xfff00000)
  const r = fma64(bits64[0] as number, invcTable[i] as number, -1)
  const w = fma64(k, LN2_HI, logcTable[i] as number)
  const hi = r + w
  const r2 = r * r
  const lo = fma64(r2, -0.5000000000000001, fma64(k, LN2_LO, w - hi + r))
  const near = fma64(r, -0.2499999999622955, 0.33333333331825593)
  return fma64(r * r2, fma64(fma64(r, -0.16667054827627667, 0.20000304511814496), r2, near), lo) + hi
}

function logNearOne(r: number): number {
  const r2 = r * r
  const r3 = r * r2
  const p1 = fma64(r2, 0.19999999999320328, fma64(r, -0.24999999999998432, 0.3333333333333352))
  const p2 = fma64(r2, -0.12499997863982555, fma64(r, 0.14285715076560868, -0.16666666669929706))
  const p3 = fma64(r2, 0.09181994006195467, fma64(r, -0.10000486757818193, 0.11110712032936046))
  const p = fma64(fma64(fma64(r3, -0.08328363062289341, p3), r3, p2), r3, p1)
  const head = fma64(-134217728, r, fma64(r, 134217728, r))
  const tail = r - head
  const square = head * head
  const hi = fma64(square, -0.5, r)
  const lo = fma64(-0.5 * tail, r + head, fma64(square, -0.5, r - hi))
  return hi + fma64(p, r3, lo)
}

// -------------------------------------------------------------------------------------------------------------- log1p

const LP = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
] as const
const LOG1P_LN2_HI = 0.6931471803691238
const LOG1P_LN2_LO = 1.9082149292705877e-10

/** log(1 + x) for x > -1, as glibc's `log1p` gives it (worst error below 1 ulp). */
export function log1p(x: number): number {
  if (!(x > -1 && x < 2 ** 53)) return Math.log1p(x)
  const size = Math.abs(x)
  if (size < 2 ** -29) return size < 2 ** -54 ? x : fma64(-0.5, x * x, x)
  let f = x
  let k = 0
  let mantissa = 1
  let c = 0
  bits64[0] = x
  let high = words[1] as number
  // The bounds are compared by their high words, as fdlibm does: between sqrt(2)/2 - 1 and sqrt(2) - 1 no reduction.
  if (x > 0 ? high >= 0x3fda827a : high >>> 0 > 0xbfd2bec3) {
    const u = 1 + x
    bits64[0] = u
    high = words[1] as number
    k = (high >> 20) - 1023
    c = (k > 0 ? 1 - (u - x) : x - (u - 1)) / u
    mantissa = high & 0xfffff
    if (mantissa < 0x6a09e) {
      words[1] = mantissa | 0x3ff00000
    } else {
      k++
      words[1] = mantissa | 0x3fe00000
      mantissa = (0x100000 - mantissa) >> 2
    }
    f = (bits64[0] as number) - 1
  }
  const half = 0.5 * f * f
  if (mantissa === 0) {
    if (f === 0) return k === 0 ? 0 : fma64(k, LOG1P_LN2_HI, fma64(k, LOG1P_LN2_LO, c))
    const r = half * fma64(-0.6666666666666666, f, 1)
    if (k === 0) return f - r
    return fma64(k, LOG1P_LN2_HI, -(r - fma64(k, LOG1P_LN2_LO, c) - f))
  }
  const s = f / (2 + f)
  const z = s * s
  const z2 = z * z
  const z4 = z2 * z2
  let r = fma64(z, LP[0], z2 * fma64(z, LP[2], LP[1]))
  r = fma64(z4, fma64(z, LP[4], LP[3]), r)
  r = fma64(z2 * z4, fma64(z, LP[6], LP[5]), r)
  const t = s * (half + r)
  if (k === 0) return f - (half - t)
  return fma64(k, LOG1P_LN2_HI, -(half - (fma64(k, LOG1P_LN2_LO, c) + t) - f))
}

// ------------------------------------------------------------------------------------------------------------- sincos

// sin and cos of k/128 as unevaluated sums of two doubles: sin, its rest, cos, its rest. Made at the first use.
let sincosTable: Float64Array | undefined

function makeSincosTable(): Float64Array {
  const table = new Float64Array(4 * 112)
  const write = (at: number, value: bigint) => {
    const high = Number(value) / 2 ** 128
    table[at] = high
    table[at + 1] = Number(value - (BigInt(high * 2 ** 64) << 64n)) / 2 ** 128
  }
  for (let k = 0n; k < 112n; k++) {
    let term = 1n << 128n
    let sine = 0n
    let cosine = 0n
    for (let n = 0n; term !== 0n; n++) {
      const signed = (n & 2n) === 0n ? term : -term
      if ((n & 1n) === 0n) cosine += signed
      else sine += signed
      term = (term * k) / (128n * (n + 1n))
    }
    write(4 * Number(k), sine)
    write(4 * Number(k) + 2, cosine)
  }
  return table
}

/** The tables of `log` (1/c and log c, by interval) and behind them of `sincos` (sin, its rest, cos, its rest of k/128). */
export function doubleTables(): Float64Array {
  sincosTable ??= makeSincosTable()
  const tables = new Float64Array(256 + sincosTable.length)
  for (let i = 0; i < 128; i++) {
    tables[2 * i] = invcTable[i] as number
    tables[2 * i + 1] = logcTable[i] as number
  }
  tables.set(sincosTable, 256)
  return tables
}

const BIG = 52776558133248
const TO_INT = 6755399441055744
const HALF_PI_HI = 1.5707963267948966
const HALF_PI_LO = 6.123233995736766e-17

function sinReduced(x: number, dx: number): number {
  const size = Math.abs(x)
  if (size < 0.126) {
    const xx = x * x
    let p = fma64(xx, -2.5022014848318398e-8, 2.755729806860771e-6)
    p = fma64(xx, p, -0.00019841269834414642)
    p = fma64(xx, p, 0.008333333333332329)
    p = fma64(xx, p, -0.16666666666666666)
    return x + fma64(xx, fma64(p, x, -(0.5 * dx)), dx)
  }
  const rest = x <= 0 ? -dx : dx
  const u = BIG + size
  const y = size - (u - BIG)
  const at = 4 * Math.round((u - BIG) * 128)
  const yy = y * y
  const s = y + fma64(y * yy, fma64(yy, 0.008333332142857223, -0.16666666666666488), rest)
  const c = fma64(y, rest, yy * fma64(yy, fma64(yy, 0.001388888740079376, -0.04166666666666644), 0.5))
  sincosTable ??= makeSincosTable()
  const sn = sincosTable[at] as number
  const cs = sincosTable[at + 2] as number
  const near = fma64(-c, sn, fma64(s, sincosTable[at + 3] as number, sincosTable[at + 1] as number))
  const result = sn + fma64(s, cs, near)
  return x < 0 ? -result : result
}

function cosReduced(x: number, dx: number): number {
  const size = Math.abs(x)
  const u = BIG + size
  const y = size - (u - BIG) + (x < 0 ? -dx : dx)
  const at = 4 * Math.round((u - BIG) * 128)
  const yy = y * y
  const s = fma64(y * yy, fma64(yy, 0.008333332142857223, -0.16666666666666488), y)
  const c = yy * fma64(yy, fma64(yy, 0.001388888740079376, -0.04166666666666644), 0.5)
  sincosTable ??= makeSincosTable()
  const sn = sincosTable[at] as number
  const cs = sincosTable[at + 2] as number
  const near = fma64(-c, cs, fma64(-s, sincosTable[at + 1] as number, sincosTable[at + 3] as number))
  return cs + fma64(-s, sn, near)
}

/** A sine and a cosine, filled by `sincos` and `sincos32`. */
export interface SinCos {
  sin: number
  cos: number
}

/** sin x and cos x for |x| < 105414350 into `out`, as glibc's `sincos` gives them (worst error 0.55 ulp). */
export function sincos(x: number, out: SinCos): void {
  const size = Math.abs(x)
  if (!(size < 105414350)) {
    out.sin = Math.sin(x)
    out.cos = Math.cos(x)
  } else if (size < 2 ** -27) {
    out.sin = x
    out.cos = 1
  } else if (size < 0.85546875) {
    out.sin = sinReduced(x, 0)
    out.cos = cosReduced(x, 0)
  } else if (size < 2.426265716552734) {
    const y = HALF_PI_HI - size
    const a = y + HALF_PI_LO
    const da = y - a + HALF_PI_LO
    const s = cosReduced(a, da)
    out.sin = x < 0 ? -s : s
    out.cos = sinReduced(a, da)
  } else {
    const t = fma64(x, 0.6366197723675814, TO_INT)
    const n = t - TO_INT
    const y = fma64(n, 1.3909067564377153e-8, fma64(-n, 1.5707963407039642, x))
    const y2 = fma64(n, 4.97899623147991e-17, y)
    const a = fma64(n, 1.9034889620193266e-25, y2)
    const da = fma64(n, 4.97899623147991e-17, y - y2) + fma64(n, 1.9034889620193266e-25, y2 - a)
    const s = sinReduced(a, da)
    const c = cosReduced(a, da)
    const quadrant = ((n % 4) + 4) % 4
    out.sin = quadrant === 0 ? s : quadrant === 1 ? c : quadrant === 2 ? -s : -c
    out.cos = quadrant === 0 ? c : quadrant === 1 ? -s : quadrant === 2 ? -c : s
  }
}

// --------------------------------------------------------------------------------------------------- single precision

/** The natural logarithm of a positive normal single, as PyTorch's AVX2 draws compute it. */
export function log32(value: number): number {
  bits32[0] = value
  const pattern = words[0] as number
  words[0] = (pattern & 0x007fffff) | 0x3f000000
  let x = bits32[0] as number
  let e = (pattern >>> 23) - 126
  if (x < 0.7071067690849304) {
    e--
    x = x - 1 + x
  } else {
    x = x - 1
  }
  const z = fround(x * x)
  let y = fma32(0.07037683576345444, x, -0.11514610052108765)
  y = fma32(y, x, 0.11676998436450958)
  y = fma32(y, x, -0.12420140951871872)
  y = fma32(y, x, 0.14249323308467865)
  y = fma32(y, x, -0.16668057441711426)
  y = fma32(y, x, 0.2000071406364441)
  y = fma32(y, x, -0.24999994039535522)
  y = fround(fma32(y, x, 0.3333333134651184) * x)
  y = fma32(y, z, fround(e * -0.00021219444170128554))
  y = fround(y - 0.5 * z)
  return fma32(e, 0.693359375, fround(x + y))
}

/** sin x and cos x of a single 0 <= x < 8192 into `out`, as PyTorch's AVX2 draws compute them. */
export function sincos32(value: number, out: SinCos): void {
  const j = (Math.trunc(fround(value * 1.2732394933700562)) + 1) & ~1
  const x = fma32(j, -3.774895063202166e-8, fma32(j, -0.00024187564849853516, fma32(j, -0.78515625, value)))
  const z = fround(x * x)
  let c = fma32(fma32(2.44331567955669e-5, z, -0.0013887316454201937), z, 0.04166664555668831)
  c = fround(c * z)
  c = fround(fma32(c, z, -0.5 * z) + 1)
  let s = fma32(fma32(-0.00019515295571181923, z, 0.008332161232829094), z, -0.16666655242443085)
  s = fma32(fround(s * z), x, x)
  const swap = (j & 2) !== 0
  const sine = swap ? c : s
  const cosine = swap ? s : c
  out.sin = (j & 4) === 0 ? sine : -sine
  out.cos = ((j - 2) & 4) !== 0 ? cosine : -cosine
}
