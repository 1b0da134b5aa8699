// Draws from the named distributions, and samples by weight, as PyTorch's CPU kernels make them from the engine of
// random.ts. What is computed in double and stored in single is PyTorch's bit for bit; see each export for the rest.

import { RuntimeError } from './errors.ts'
import { fma64, log, log1p } from './libm.ts'
import { type DrawArray, fill, type Generator, normalFill, uniformFill } from './random.ts'

const fround = Math.fround
const exact = (x: number) => x

/** Exponential numbers of rate `lambda` (`Tensor.exponential_`). */
export function exponentialFill(g: Generator, out: Float32Array | Float64Array, lambda = 1): void {
  if (!(lambda > 0)) throw new RuntimeError(`exponential_ expects lambda > 0.0, but found lambda=${lambda}`)
  const scale = -1 / lambda
  for (let i = 0; i < out.length; i++) out[i] = scale * log1p(-g.uniform())
}

/** The trial of the first success of probability `p`, from 1 on (`Tensor.geometric_`). */
export function geometricFill(g: Generator, out: DrawArray, p: number): void {
  if (!(p > 0 && p < 1)) throw new RuntimeError(`geometric_ expects p to be in (0, 1), but got p=${p}`)
  const scale = log1p(-p)
  fill(out, () => Math.ceil(log(g.uniform()) / scale))
}

/** Cauchy numbers (`Tensor.cauchy_`); the tangent's last bit in double is the JavaScript engine's. */
export function cauchyFill(g: Generator, out: Float32Array | Float64Array, median = 0, sigma = 1): void {
  if (!(sigma > 0)) throw new RuntimeError(`cauchy_ expects sigma > 0.0, but found sigma=${sigma}`)
  for (let i = 0; i < out.length; i++) out[i] = fma64(sigma, Math.tan(Math.PI * (g.uniform() - 0.5)), median)
}

/** exp of normal numbers (`Tensor.log_normal_`); the exponential's last bit in double is the JavaScript engine's. */
export function logNormalFill(g: Generator, out: Float32Array | Float64Array, mean = 1, std = 2): void {
  if (!(std > 0)) throw new RuntimeError(`log_normal_ expects std > 0.0, but found std=${std}`)
  for (let i = 0; i < out.length; i++) out[i] = Math.exp(fma64(g.normal(), std, mean))
}

/**
 * Normal numbers cut to [a, b] as `nn.init.trunc_normal_` draws them: normal ones redrawn all together until none is
 * outside; where [a, b] holds less than 0.3 of the distribution, uniform ones accepted by their density.
 */
export function truncNormalFill(
  g: Generator,
  out: Float32Array | Float64Array,
  mean = 0,
  std = 1,
  a = -2,
  b = 2,
): void {
  const f = out instanceof Float32Array ? fround : exact
  const fresh = out instanceof Float32Array ? new Float32Array(out.length) : new Float64Array(out.length)
  if (normalCdf((b - mean) / std) - normalCdf((a - mean) / std) > 0.3) {
    const low = f(a)
    const high = f(b)
    normalFill(g, out, mean, std)
    while (out.some((x) => x < low || x > high)) {
      normalFill(g, fresh, mean, std)
      for (let i = 0; i < out.length; i++) {
        const x = out[i] as number
        if (x < low || x > high) out[i] = fresh[i] as number
      }
    }
    return
  }
  const peak = f(-0.5 * ((Math.max(a, Math.min(mean, b)) - mean) / std) ** 2)
  const accept = fresh.slice()
  const pending = new Uint8Array(out.length).fill(1)
  do {
    uniformFill(g, fresh, a, b)
    uniformFill(g, accept)
    for (let i = 0; i < out.length; i++) {
      if (pending[i] === 0) continue
      const x = fresh[i] as number
      out[i] = x
      const distance = f(f(x - f(mean)) / f(std))
      const density = f(f(f(distance * distance) * -0.5) - peak)
      if (!(f(log(accept[i] as number)) > density)) pending[i] = 0
    }
  } while (pending.includes(1))
}

/** The standard normal distribution function, to about 1e-15. */
function normalCdf(x: number): number {
  if (Math.abs(x) > 8.3) return x < 0 ? 0 : 1
  let term = x / Math.sqrt(2 * Math.PI)
  let sum = term
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= -(x * x) / (2 * n)
    sum += term / (2 * n + 1)
    if (n > 400) break
  }
  return 0.5 + sum
}

/**
 * `n` indices drawn by weight from each row of `weights` (rows of `width`): rows x n indices in row order
 * (`torch.multinomial`). RuntimeError as PyTorch's if a weight is negative or not finite, if a row sums to zero, or if n
 * is zero or, without replacement, more than `width`.
 */
export function multinomial(
  g: Generator,
  weights: Float32Array | Float64Array,
  n: number,
  replacement = false,
  width = weights.length,
): Int32Array<ArrayBuffer> {
  if (!(n > 0)) throw new RuntimeError('cannot sample n_sample <= 0 samples')
  if (!replacement && n > width) {
    throw new RuntimeError('cannot sample n_sample > prob_dist.size(-1) samples without replacement')
  }
  if (width > 2 ** 24) throw new RuntimeError('number of categories cannot exceed 2^24')
  const rows = width === 0 ? 0 : weights.length / width
  const out = new Int32Array(rows * n)
  for (const w of weights) {
    if (!(w >= 0 && w < Infinity)) {
      throw new RuntimeError('probability tensor contains either `inf`, `nan` or element < 0')
    }
  }
  for (let row = 0; row < rows; row++) {
    if (weights.subarray(row * width, (row + 1) * width).every((w) => w === 0)) {
      throw new RuntimeError('invalid multinomial distribution (sum of probabilities <= 0)')
    }
  }
  if (!replacement || n === 1) {
    // argmax of weight / Exp(1) picks by weight, and the n largest are a sample without replacement; the exponential
    // numbers of all rows are drawn first (https://github.com/pytorch/pytorch/issues/11931#issuecomment-625882503).
    const score = weights.slice()
    exponentialFill(g, score)
    for (let i = 0; i < score.length; i++) score[i] = (weights[i] as number) / (score[i] as number)
    for (let row = 0; row < rows; row++) out.set(largest(score.subarray(row * width, (row + 1) * width), n), row * n)
    return out
  }
  const cumulative = weights.slice(0, width)
  for (let row = 0; row < rows; row++) {
    // Kept in an array of the weights' type, so that every partial sum is rounded to it.
    for (let j = 0; j < width; j++) {
      cumulative[j] = (j === 0 ? 0 : (cumulative[j - 1] as number)) + (weights[row * width + j] as number)
    }
    const sum = cumulative[width - 1] as number
    for (let j = 0; j < width; j++) cumulative[j] = (cumulative[j] as number) / sum
    cumulative[width - 1] = 1
    for (let i = 0; i < n; i++) out[row * n + i] = lowerBound(cumulative, g.uniform())
  }
  return out
}

function largest(score: Float32Array | Float64Array, n: number): Int32Array {
  if (n === 1) {
    let best = 0
    for (let i = 1; i < score.length; i++) if ((score[i] as number) > (score[best] as number)) best = i
    return Int32Array.of(best)
  }
  const order = new Int32Array(score.length).map((_, i) => i)
  return order.sort((i, j) => (score[j] as number) - (score[i] as number) || i - j).subarray(0, n)
}

function lowerBound(sorted: Float32Array | Float64Array, x: number): number {
  let left = 0
  let right = sorted.length
  while (left < right) {
    const mid = (left + right) >> 1
    if ((sorted[mid] as number) < x) left = mid + 1
    else right = mid
  }
  return left
}

/** Poisson counts of the given rates (`torch.poisson`): products of uniforms below rate 10, else Hoermann's PTRS (1993). */
export function poissonFill(g: Generator, out: DrawArray, rates: ArrayLike<number>): void {
  let i = 0
  fill(out, () => poisson(g, rates[i++] as number))
}

function poisson(g: Generator, rate: number): number {
  if (!(rate >= 0)) throw new RuntimeError('invalid Poisson rate, expected rate to be non-negative')
  if (rate === 0) return 0
  if (rate < 10) {
    const bound = Math.exp(-rate)
    let product = g.uniform()
    let k = 0
    while (product > bound) {
      k++
      product *= g.uniform()
    }
    return k
  }
  const root = Math.sqrt(rate)
  const logRate = log(rate)
  const b = 0.931 + 2.53 * root
  const a = -0.059 + 0.02483 * b
  const inverse = 1.1239 + 1.1328 / (b - 3.4)
  const vr = 0.9277 - 3.6224 / (b - 2)
  for (;;) {
    const u = g.uniform() - 0.5
    const v = g.uniform()
    const us = 0.5 - Math.abs(u)
    const k = Math.floor(((2 * a) / us + b) * u + rate + 0.43)
    if (us >= 0.07 && v <= vr) return k
    if (k < 0 || (us < 0.013 && v > us)) continue
    if (log(v) + log(inverse) - log(a / (us * us) + b) <= -rate + k * logRate - logFactorial(k)) return k
  }
}

/** ln k!, by Stirling's series from 20 on. */
function logFactorial(k: number): number {
  if (k < 20) {
    let product = 1
    for (let i = 2; i <= k; i++) product *= i
    return Math.log(product)
  }
  const x = k + 1
  const xx = x * x
  const series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * xx)) / xx) / xx) / x
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series
}

/** Binomial counts for pairs of count and probability in the array's own precision (`torch.binomial`). */
export function binomialFill<T extends Float32Array | Float64Array>(g: Generator, out: T, counts: T, probs: T): void {
  const f = out instanceof Float32Array ? fround : exact
  for (let i = 0; i < out.length; i++) {
    const count = counts[i] as number
    const prob = probs[i] as number
    if (count <= 0 || prob <= 0) out[i] = 0
    else if (prob >= 1) out[i] = count
    else if (!(prob >= 0) || Number.isNaN(count)) out[i] = NaN
    else if (prob <= 0.5) out[i] = binomial(g, count, prob, f)
    else out[i] = count - binomial(g, count, f(1 - prob), f)
  }
}

function binomial(g: Generator, count: number, p: number, f: (x: number) => number): number {
  if (f(count * p) < 10) {
    const scale = f(log1p(-p))
    let trials = 0
    let successes = 0
    for (;;) {
      trials += Math.ceil(log(g.uniform()) / scale)
      if (trials > count) return successes
      successes++
    }
  }
  // BTRS (Hoermann 1993), with the factor that TensorFlow's and PyTorch's version adds inside the logarithm.
  const rest = f(1 - p)
  const deviation = f(Math.sqrt(f(f(count * p) * rest)))
  const b = 1.15 + 2.53 * deviation
  const a = -0.0873 + 0.0248 * b + 0.01 * p
  const c = f(count * p) + 0.5
  const vr = 0.92 - 4.2 / b
  const ratio = f(p / rest)
  const alpha = (2.83 + 5.1 / b) * deviation
  const m = Math.floor(f(f(count + 1) * p))
  for (;;) {
    const u = g.uniform() - 0.5
    const v = g.uniform()
    const us = 0.5 - Math.abs(u)
    const k = f(Math.floor(((2 * a) / us + b) * u + c))
    if (k < 0 || k > count) continue
    if (us >= 0.07 && v <= vr) return k
    const bound =
      (m + 0.5) * log((m + 1) / (ratio * (count - m + 1))) +
      f(count + 1) * log((count - m + 1) / f(f(count - k) + 1)) +
      (k + 0.5) * log((ratio * f(f(count - k) + 1)) / f(k + 1)) +
      stirlingTail(m) +
      stirlingTail(count - m) -
      stirlingTail(k) -
      stirlingTail(count - k)
    if (log((v * alpha) / (a / (us * us) + b)) <= bound) return k
  }
}

const STIRLING_TAIL = [
  0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
  0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.00925546218271273, 0.00833056343336287,
] as const

/** What Stirling's formula for ln k! leaves out. */
function stirlingTail(k: number): number {
  if (k < STIRLING_TAIL.length) return STIRLING_TAIL[Math.trunc(k)] as number
  const square = (k + 1) * (k + 1)
  return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
}

const THIRD = fround(1 / 3)
const SQUEEZE = fround(0.0331)
const SMALLEST_SINGLE = 2 ** -126
const SMALLEST_DOUBLE = 2 ** -1022

/** Gamma numbers of shape alpha[i] and scale 1 (`torch._standard_gamma`), by Marsaglia and Tsang (2000). */
export function gammaFill<T extends Float32Array | Float64Array>(g: Generator, out: T, alpha: T): void {
  const single = out instanceof Float32Array
  const f = single ? fround : exact
  const smallest = single ? SMALLEST_SINGLE : SMALLEST_DOUBLE
  for (let i = 0; i < out.length; i++) out[i] = Math.max(smallest, f(gamma(g, alpha[i] as number, f)))
}

function gamma(g: Generator, shape: number, f: (x: number) => number): number {
  let alpha = shape
  let scale = 1
  if (alpha < 1) {
    if (alpha === 0) return 0
    scale = (1 - g.uniform()) ** f(1 / alpha)
    alpha = f(alpha + 1)
  }
  const d = f(alpha - THIRD)
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    let x: number
    let y: number
    do {
      x = g.normal()
      y = 1 + c * x
    } while (y <= 0)
    const v = y * y * y
    const u = 1 - g.uniform()
    const xx = x * x
    if (u < 1 - SQUEEZE * xx * xx || log(u) < 0.5 * xx + d * (1 - v + log(v))) return scale * d * v
  }
}

/** Dirichlet rows of `width` for rows of concentrations (`torch._sample_dirichlet`): gamma numbers over their sum. */
export function dirichletFill<T extends Float32Array | Float64Array>(
  g: Generator,
  out: T,
  alpha: T,
  width: number,
): void {
  const single = out instanceof Float32Array
  const smallest = single ? SMALLEST_SINGLE : SMALLEST_DOUBLE
  const largestBelowOne = 1 - (single ? 2 ** -24 : 2 ** -53)
  const draws = new Float64Array(alpha)
  gammaFill(g, draws, draws)
  for (let start = 0; start < out.length; start += width) {
    let sum = 0
    for (let i = start; i < start + width; i++) sum += draws[i] as number
    for (let i = start; i < start + width; i++) {
      const x = (draws[i] as number) / sum
      out[i] = Math.min(largestBelowOne, Math.max(smallest, single ? fround(x) : x))
    }
  }
}
