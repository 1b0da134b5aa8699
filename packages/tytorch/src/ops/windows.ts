// Window functions: those of torch.signal.windows and the older ones of torch itself. Computed in float64.
import { type DType, float32, float64, getDefaultDtype } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { add, mul, sub } from './arithmetic.ts'
import { i0 } from './bessel.ts'
import { arange, type CreateOptions, empty, finish, linspace, ones } from './create.ts'
import { abs, cos, exp, neg, sin, sqrt, square } from './unary.ts'

/** What windows take by name: `sym: false` makes a window periodic, to be used in spectral analysis. */
export interface WindowOptions extends CreateOptions {
  readonly sym?: boolean
}

function check(name: string, m: number, dtype: DType): void {
  if (!Number.isInteger(m)) throw new TypeError(`${name}(): the window length must be int, got ${m}`)
  if (m < 0) throw new ValueError(`${name} requires non-negative window length, got M=${m}`)
  if (dtype !== float32 && dtype !== float64)
    throw new ValueError(`${name} expects float32 or float64 dtypes, got: torch.${dtype.name}`)
}

/** The dtype asked for, once it and the length are checked. */
function checked(name: string, m: number, options: WindowOptions): DType {
  const dtype = options.dtype ?? getDefaultDtype()
  check(name, m, dtype)
  return dtype
}

const short = (m: number, dtype: DType, options: WindowOptions): Tensor =>
  finish(m === 0 ? empty([0], { dtype }) : ones([m], { dtype }), options)

const steps = (from: number, to: number, m: number): Tensor => linspace(from, to, m, { dtype: float64 })

/** Points that a periodic window spans beyond a symmetric one. */
const span = (m: number, sym: boolean): number => (!sym && m > 1 ? m : m - 1)

/** e ** (-|n - center| / tau). Throws ValueError for tau <= 0, or a center of a symmetric window. */
export function exponential(
  m: number,
  options: WindowOptions & { readonly center?: number | null; readonly tau?: number } = {},
): Tensor {
  const { sym = true, tau = 1 } = options
  const dtype = checked('exponential', m, options)
  if (tau <= 0) throw new ValueError(`Tau must be positive, got: ${tau} instead.`)
  if (sym && options.center != null) throw new ValueError('Center must be None for symmetric windows')
  if (m === 0) return short(m, dtype, options)
  const center = options.center ?? span(m, sym) / 2
  const points = steps(-center / tau, (-center + m - 1) / tau, m)
  return finish(exp(neg(abs(points))).to(dtype), options)
}

/** sin(pi (n + 1/2) / m). */
export function cosine(m: number, options: WindowOptions = {}): Tensor {
  const dtype = checked('cosine', m, options)
  if (m === 0) return short(m, dtype, options)
  const unit = Math.PI / (options.sym === false && m > 1 ? m + 1 : m)
  return finish(sin(steps(0.5 * unit, (m - 0.5) * unit, m)).to(dtype), options)
}

/** A Gaussian of standard deviation `std` around the middle. Throws ValueError for std <= 0. */
export function gaussian(m: number, options: WindowOptions & { readonly std?: number } = {}): Tensor {
  const { sym = true, std = 1 } = options
  const dtype = checked('gaussian', m, options)
  if (std <= 0) throw new ValueError(`Standard deviation must be positive, got: ${std} instead.`)
  if (m === 0) return short(m, dtype, options)
  const start = -span(m, sym) / 2
  const unit = 1 / (std * Math.SQRT2)
  return finish(exp(neg(square(steps(start * unit, (start + m - 1) * unit, m)))).to(dtype), options)
}

/** The Kaiser window of shape `beta`. Throws ValueError for beta < 0. */
export function kaiser(m: number, options: WindowOptions & { readonly beta?: number } = {}): Tensor {
  const { sym = true, beta = 12 } = options
  const dtype = checked('kaiser', m, options)
  if (beta < 0) throw new ValueError(`beta must be non-negative, got: ${beta} instead.`)
  if (m <= 1) return short(m, dtype, options)
  return finish(kaiserPoints(m, span(m, sym), beta).to(dtype), options)
}

function kaiserPoints(m: number, intervals: number, beta: number): Tensor {
  const points = steps(-beta, Math.min(beta, -beta + (m - 1) * ((2 * beta) / intervals)), m)
  const whole = i0(linspace(beta, beta, 1, { dtype: float64 }))
  return i0(sqrt(sub(beta * beta, square(points)).clamp(0))).div(whole)
}

/** 1 - |2n / (m - 1) - 1|, a triangle. */
export function bartlett(m: number, options: WindowOptions = {}): Tensor {
  const dtype = checked('bartlett', m, options)
  if (m <= 1) return short(m, dtype, options)
  const unit = 2 / span(m, options.sym ?? true)
  return finish(sub(1, abs(steps(-1, -1 + (m - 1) * unit, m))).to(dtype), options)
}

/** The sum of (-1)^i a_i cos(2 pi i n / (m - 1)). Throws ValueError without coefficients. */
export function generalCosine(m: number, options: WindowOptions & { readonly a: readonly number[] }): Tensor {
  const dtype = checked('general_cosine', m, options)
  if (m <= 1) return short(m, dtype, options)
  const a: unknown = options.a
  if (!Array.isArray(a)) throw new TypeError('Coefficients must be a list/tuple')
  if (a.length === 0) throw new ValueError('Coefficients cannot be empty')
  const unit = (2 * Math.PI) / span(m, options.sym ?? true)
  const points = steps(-Math.PI, -Math.PI + (m - 1) * unit, m)
  return finish(cosines(points, a as number[]).to(dtype), options)
}

/** The sum of a_i cos(i x). */
function cosines(points: Tensor, a: readonly number[]): Tensor {
  return a.map((c, i) => mul(cos(mul(points, i)), c)).reduce((sum, term) => add(sum, term))
}

/** alpha - (1 - alpha) cos(2 pi n / (m - 1)). */
export function generalHamming(m: number, options: WindowOptions & { readonly alpha?: number } = {}): Tensor {
  const { alpha = 0.54, ...rest } = options
  return generalCosine(m, { ...rest, a: [alpha, 1 - alpha] })
}

/** The Hamming window, `generalHamming` with alpha 0.54. */
export function hamming(m: number, options: WindowOptions = {}): Tensor {
  return generalHamming(m, options)
}

/** The Hann window, `generalHamming` with alpha 0.5. */
export function hann(m: number, options: WindowOptions = {}): Tensor {
  return generalHamming(m, { ...options, alpha: 0.5 })
}

/** The Blackman window. */
export function blackman(m: number, options: WindowOptions = {}): Tensor {
  checked('blackman', m, options)
  return generalCosine(m, { ...options, a: [0.42, 0.5, 0.08] })
}

/** Nuttall's minimal four-term window. */
export function nuttall(m: number, options: WindowOptions = {}): Tensor {
  return generalCosine(m, { ...options, a: [0.3635819, 0.4891775, 0.1365995, 0.0106411] })
}

type Given = readonly (number | boolean | CreateOptions | undefined)[]

interface OldOptions extends CreateOptions {
  readonly periodic?: boolean
}

/** Positions of the older windows' parameters, then options, as one record. */
function named<O extends OldOptions>(given: Given, names: readonly string[]): O {
  const last = given[given.length - 1]
  const options = typeof last === 'object' && last !== null ? last : {}
  const listed = given.filter((x) => typeof x !== 'object').map((x, i) => [names[i], x])
  return { ...Object.fromEntries(listed), ...options } as O
}

/** A window of torch itself: of `length` points, periodic unless told otherwise, from the points of a symmetric one. */
function older(name: string, length: number, options: OldOptions, of: (points: number) => Tensor): Tensor {
  const dtype = options.dtype ?? getDefaultDtype()
  if (!dtype.isFloatingPoint)
    throw new RuntimeError(`${name} expects floating point dtypes, got: TensorOptions(dtype=${dtype.name})`)
  if (!Number.isInteger(length))
    throw new TypeError(`${name}(): argument 'window_length' (position 1) must be int, not ${typeof length}`)
  if (length < 0) throw new RuntimeError(`${name} requires non-negative window_length, got window_length=${length}`)
  if (length <= 1) return short(length, dtype, options)
  const periodic = options.periodic ?? true
  return finish(
    of(periodic ? length + 1 : length)
      .narrow(0, 0, length)
      .to(dtype),
    options,
  )
}

/** cos terms over one turn in `points` points. */
const turn = (points: number, a: readonly number[]): Tensor =>
  cosines(mul(arange(points, { dtype: float64 }), (2 * Math.PI) / (points - 1)), a)

type OlderArgs<P extends unknown[], O = unknown> = P | [...P, OldOptions & O] | [OldOptions & O]

/** The Hann window, periodic by default. */
export function hannWindow(windowLength: number, ...given: OlderArgs<[periodic?: boolean]>): Tensor {
  return older('hann_window', windowLength, named(given as Given, ['periodic']), (n) => turn(n, [0.5, -0.5]))
}

/** alpha - beta cos(2 pi n / (length - 1)), periodic by default. */
export function hammingWindow(
  windowLength: number,
  ...given: OlderArgs<
    [periodic?: boolean, alpha?: number, beta?: number],
    { readonly alpha?: number; readonly beta?: number }
  >
): Tensor {
  const options = named<OldOptions & { alpha?: number; beta?: number }>(given as Given, ['periodic', 'alpha', 'beta'])
  return older('hamming_window', windowLength, options, (n) =>
    turn(n, [options.alpha ?? 0.54, -(options.beta ?? 0.46)]),
  )
}

/** The Blackman window, periodic by default. */
export function blackmanWindow(windowLength: number, ...given: OlderArgs<[periodic?: boolean]>): Tensor {
  return older('blackman_window', windowLength, named(given as Given, ['periodic']), (n) => turn(n, [0.42, -0.5, 0.08]))
}

/** A triangle, periodic by default. */
export function bartlettWindow(windowLength: number, ...given: OlderArgs<[periodic?: boolean]>): Tensor {
  return older('bartlett_window', windowLength, named(given as Given, ['periodic']), (n) =>
    sub(1, abs(steps(-1, 1, n))),
  )
}

/** The Kaiser window of shape `beta` (12), periodic by default. */
export function kaiserWindow(
  windowLength: number,
  ...given: OlderArgs<[periodic?: boolean, beta?: number], { readonly beta?: number }>
): Tensor {
  const options = named<OldOptions & { beta?: number }>(given as Given, ['periodic', 'beta'])
  return older('kaiser_window', windowLength, options, (n) => kaiserPoints(n, n - 1, options.beta ?? 12))
}
