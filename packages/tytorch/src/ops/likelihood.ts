// Negative log likelihoods of distributions: Gaussian, Poisson, and alignments of a sequence (CTC).
import { bool, float64, int64 } from '../base/dtype.ts'
import { RuntimeError, ValueError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { add, div, mul, pow, sub } from './arithmetic.ts'
import { clampMin, eq, le, lt } from './compare.ts'
import { filled, fullLike, tensor } from './create.ts'
import { checkReduction, type Reduction, reduceLoss } from './loss.ts'
import { where } from './masks.ts'
import { any } from './reduce.ts'
import { exp, log } from './unary.ts'

interface GaussianOptions {
  /** Adds the constant term. */
  readonly full?: boolean
  /** The least variance. */
  readonly eps?: number
  readonly reduction?: Reduction
}

/** 0.5 (log var + (x - target)^2 / var): `var` has x's sizes, lacks the last one, or is 1 in one place, or a number. */
export const gaussianNllLoss: (
  x: Tensor,
  target: Tensor,
  variance: Tensor | number,
  ...args: Args<[full?: boolean, eps?: number], GaussianOptions>
) => Tensor = op({
  name: 'gaussianNllLoss',
  python: 'nn.functional.gaussian_nll_loss',
  signature: 'input, target, var, full, eps, reduction',
  differentiable: true,
  domain: { low: 0.2, high: 2 },
  samples: (t) => [
    [t(3, 4), t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4), t(3), { full: true, reduction: 'none' }],
    [t(3, 4), t(3, 4), 0.5, { reduction: 'sum' }],
  ],
  forward: (
    x: Tensor,
    target: Tensor,
    given: Tensor | number,
    full = false,
    eps = 1e-6,
    reduction: string = 'mean',
  ) => {
    const negative = given instanceof Tensor ? any(lt(given.detach(), 0)) : filled([], Number(given < 0), bool)
    onHost('checkVariance', [negative], 'r', ([found]) => {
      if (found) throw new ValueError('var has negative entry/entries')
    })
    let variance = given instanceof Tensor ? given : fullLike(x, given)
    if (!sameSizes(variance.sizes, x.sizes)) {
      const differing = variance.sizes.filter((n, i) => n !== x.sizes[i]).reduce((a, b) => a + b, 0)
      if (sameSizes(x.sizes.slice(0, -1), variance.sizes)) variance = variance.unsqueeze(-1)
      else if (x.ndim !== variance.ndim || differing !== 1) throw new ValueError('var is of incorrect size')
    }
    if (!['none', 'mean', 'sum'].includes(reduction)) throw new ValueError(`${reduction} is not valid`)
    // The bound is kept out of the gradient.
    const bounded = variance.clone()
    noGrad(() => bounded.clampMin_(eps))
    const loss = mul(add(log(bounded), div(pow(sub(x, target), 2), bounded)), 0.5)
    return reduceLoss(full ? add(loss, 0.5 * Math.log(2 * Math.PI)) : loss, reduction as Reduction)
  },
})

interface PoissonOptions {
  /** `x` is the logarithm of the expectation (the default). */
  readonly logInput?: boolean
  /** Adds Stirling's approximation of log(target!) for targets above 1. */
  readonly full?: boolean
  readonly eps?: number
  readonly reduction?: Reduction
}

/** exp(x) - target x, or x - target log(x + eps) without `logInput`: of counts. */
export const poissonNllLoss: (
  x: Tensor,
  target: Tensor,
  ...args: Args<[logInput?: boolean, full?: boolean], PoissonOptions>
) => Tensor = op({
  name: 'poissonNllLoss',
  python: 'nn.functional.poisson_nll_loss',
  signature: 'input, target, log_input, full, *, eps, reduction',
  differentiable: true,
  domain: { low: 0.5, high: 2.5 },
  samples: (t) => [
    [t(3, 4), t(3, 4)],
    [t(3, 4), t(3, 4).detach(), false, true, { reduction: 'none' }],
  ],
  forward: (x: Tensor, target: Tensor, logInput = true, full = false, eps = 1e-8, reduction: Reduction = 'mean') => {
    checkReduction(reduction)
    const loss = logInput ? sub(exp(x), mul(target, x)) : sub(x, mul(target, log(add(x, eps))))
    if (!full) return reduceLoss(loss, reduction)
    const stirling = add(sub(mul(target, log(target)), target), mul(log(mul(target, 2 * Math.PI)), 0.5))
    return reduceLoss(add(loss, where(le(target, 1), 0, stirling)), reduction)
  },
})

type Lengths = Tensor | readonly number[] | number

/** One sample: its part of the log-probabilities and its labels, with blanks between and around them. */
interface Sample {
  /** Position of log-probability [t, c] in the array: start + t * step + c. */
  readonly start: number
  readonly time: number
  /** Labels with blanks: 2 L + 1 of them. */
  readonly labels: Int32Array
}

interface Alignment {
  readonly samples: readonly Sample[]
  /** Between two times, in elements. */
  readonly step: number
  readonly classes: number
}

/** log(e^a + e^b + e^c). */
function logSum(a: number, b: number, c: number): number {
  const most = Math.max(a, b, c)
  if (most === Number.NEGATIVE_INFINITY) return most
  return Math.log(Math.exp(a - most) + Math.exp(b - most) + Math.exp(c - most)) + most
}

const NONE = Number.NEGATIVE_INFINITY

// Host routine: the recursion over times and labels is sequential.
/** log-probabilities of all beginnings of one sample's labels at each time, [time, 2 L + 1]. */
function forwardPass(p: ArrayLike<number>, { start, time, labels }: Sample, step: number): Float64Array {
  const n = labels.length
  const a = new Float64Array(time * n).fill(NONE)
  if (time === 0) return a
  a[0] = p[start + labels[0]]
  if (n > 1) a[1] = p[start + labels[1]]
  for (let t = 1; t < time; t++) {
    const before = (t - 1) * n
    for (let s = 0; s < n; s++) {
      const skip = s > 1 && labels[s - 2] !== labels[s] ? a[before + s - 2] : NONE
      const sum = logSum(a[before + s], s > 0 ? a[before + s - 1] : NONE, skip)
      a[t * n + s] = sum + p[start + t * step + labels[s]]
    }
  }
  return a
}

/** As `forwardPass` for all endings. */
function backwardPass(p: ArrayLike<number>, { start, time, labels }: Sample, step: number): Float64Array {
  const n = labels.length
  const b = new Float64Array(time * n).fill(NONE)
  if (time === 0) return b
  const end = (time - 1) * n
  b[end + n - 1] = p[start + (time - 1) * step + labels[n - 1]]
  if (n > 1) b[end + n - 2] = p[start + (time - 1) * step + labels[n - 2]]
  for (let t = time - 2; t >= 0; t--) {
    const after = (t + 1) * n
    for (let s = n - 1; s >= 0; s--) {
      const skip = s < n - 2 && labels[s + 2] !== labels[s] ? b[after + s + 2] : NONE
      const sum = logSum(b[after + s], s < n - 1 ? b[after + s + 1] : NONE, skip)
      b[t * n + s] = sum + p[start + t * step + labels[s]]
    }
  }
  return b
}

function negativeLikelihood(a: Float64Array, { time, labels }: Sample): number {
  const n = labels.length
  if (time === 0) return n === 1 ? 0 : Number.POSITIVE_INFINITY
  const end = (time - 1) * n
  return -logSum(a[end + n - 1], n > 1 ? a[end + n - 2] : NONE, NONE)
}

/** The negative log likelihoods [N] of log-probabilities [T, N, C]. */
function alignmentLoss(x: Tensor, { samples, step, classes }: Alignment, zeroInfinity: boolean): Tensor {
  const source = x.contiguousLayout ? x : x.detach().contiguous()
  const out = empty([samples.length], x.dtype)
  const p = source.raw() as ArrayLike<number>
  const target = out.raw() as Float32Array
  samples.forEach((s, i) => {
    target[i] = negativeLikelihood(forwardPass(p, s, step), s)
  })
  const { sizes } = x
  // As PyTorch: the derivative supposes that the log-probabilities come from a softmax.
  return record(out, 'CtcLossBackward0', [x], [x], (g, [given]) => {
    const from = given.contiguousLayout ? given : given.detach().contiguous()
    const weights = g.detach().to(float64).contiguous()
    const grad = empty(sizes, x.dtype).zero_()
    const q = from.raw() as ArrayLike<number>
    const w = weights.raw() as ArrayLike<number>
    const into = grad.raw() as Float32Array
    samples.forEach((s, i) => {
      const a = forwardPass(q, s, step)
      const loss = negativeLikelihood(a, s)
      if (zeroInfinity && loss === Number.POSITIVE_INFINITY) return
      const b = backwardPass(q, s, step)
      const n = s.labels.length
      const shares = new Float64Array(classes)
      for (let t = 0; t < s.time; t++) {
        shares.fill(NONE)
        for (let j = 0; j < n; j++) {
          const c = s.labels[j]
          shares[c] = logSum(shares[c], a[t * n + j] + b[t * n + j], NONE)
        }
        const at = s.start + t * step
        for (let c = 0; c < classes; c++) {
          into[at + c] = (Math.exp(q[at + c]) - Math.exp(shares[c] + loss - q[at + c])) * w[i]
        }
      }
    })
    return [
      record(grad, 'NotImplemented', [g, given], [], () => {
        throw new RuntimeError('derivative for aten::_ctc_loss_backward is not implemented')
      }),
    ]
  })
}

function numbersOf(what: string, given: Lengths, n: number): number[] {
  if (given instanceof Tensor && given.dtype.isFloatingPoint) throw new RuntimeError(`${what} must be integral`)
  const list = given instanceof Tensor ? given.reshape(-1).tolist<number[]>() : [given].flat()
  if (list.length !== n) throw new RuntimeError(`${what} must be of size batch_size`)
  const bad = list.find((v) => v < 0)
  if (bad !== undefined) {
    throw new RuntimeError(
      `Expected ${what} to have value at least 0, but got value ${bad} (while checking arguments for ctc_loss_allocate_outputs)`,
    )
  }
  return list as number[]
}

function alignmentOf(x: Tensor, targets: Tensor, times: number[], lengths: number[], blank: number): Alignment {
  const [time, batch, classes] = x.sizes
  const where_ = '(while checking arguments for ctc_loss_allocate_outputs)'
  const longest = times.find((t) => t > time)
  if (longest !== undefined) {
    throw new RuntimeError(`Expected input_lengths to have value at most ${time}, but got value ${longest} ${where_}`)
  }
  const flat = targets.ndim === 1
  const total = lengths.reduce((a, b) => a + b, 0)
  if (flat && targets.count !== total) {
    throw new RuntimeError(
      `Expected tensor to have size ${total} at dimension 0, but got size ${targets.count} for argument #2 'targets' ${where_}`,
    )
  }
  if (!flat && targets.sizes[0] !== batch) {
    throw new RuntimeError(
      `Expected tensor to have size ${batch} at dimension 0, but got size ${targets.sizes[0]} for argument #2 'targets' ${where_}`,
    )
  }
  const most = Math.max(0, ...lengths)
  if (!flat && targets.sizes[1] < most) {
    throw new RuntimeError(
      `Expected tensor to have size at least ${most} at dimension 1, but got size ${targets.sizes[1]} for argument #2 'targets' ${where_}`,
    )
  }
  const all = targets.reshape(-1).to(int64).tolist<number[]>()
  let next = 0
  const samples = times.map((t, i): Sample => {
    const first = flat ? next : i * targets.sizes[1]
    next += lengths[i]
    const labels = new Int32Array(2 * lengths[i] + 1).fill(blank)
    for (let j = 0; j < lengths[i]; j++) {
      const label = all[first + j]
      if (label < 0 || label >= classes)
        throw new RuntimeError(`ctc_loss: target ${label} is out of range of the ${classes} classes`)
      labels[2 * j + 1] = label
    }
    return { start: i * classes, time: t, labels }
  })
  return { samples, step: batch * classes, classes }
}

interface CtcOptions {
  /** The class that stands for no label. */
  readonly blank?: number
  readonly reduction?: Reduction
  /** Infinite losses (labels longer than the input) count as 0. */
  readonly zeroInfinity?: boolean
}

/**
 * Connectionist temporal classification: the negative log likelihood of labels [N, S] (or all after each other) under
 * log-probabilities [T, N, C] (or [T, C]), over all alignments. The mean divides each loss by its number of labels first.
 */
export const ctcLoss: (
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: Lengths,
  targetLengths: Lengths,
  ...args: Args<[blank?: number, reduction?: Reduction, zeroInfinity?: boolean], CtcOptions>
) => Tensor = op({
  name: 'ctcLoss',
  python: 'nn.functional.ctc_loss',
  signature: 'log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity',
  samples: (t) => [
    [
      t(4, 2, 3).logSoftmax(-1),
      tensor([
        [1, 2],
        [2, 2],
      ]),
      tensor([4, 4]),
      tensor([2, 1]),
    ],
  ],
  forward: (
    logProbs: Tensor,
    targets: Tensor,
    inputLengths: Lengths,
    targetLengths: Lengths,
    blank = 0,
    reduction: Reduction = 'mean',
    zeroInfinity = false,
  ) => {
    checkReduction(reduction)
    const batched = logProbs.ndim === 3
    const x = batched ? logProbs : logProbs.unsqueeze(1)
    const n = x.sizes[1]
    if (blank < 0 || blank >= x.sizes[2]) throw new RuntimeError('blank must be in label range')
    if (x.dtype.name !== 'float32' && x.dtype !== float64)
      throw new RuntimeError(`"ctc_loss_cpu" not implemented for '${x.dtype.title}'`)
    const times = numbersOf('input_lengths', inputLengths, n)
    const lengths = numbersOf('target_lengths', targetLengths, n)
    const alignment = alignmentOf(x, batched ? targets : targets.reshape(-1), times, lengths, blank)
    const raw = alignmentLoss(x, alignment, zeroInfinity)
    const losses = zeroInfinity ? where(eq(raw, Number.POSITIVE_INFINITY), 0, raw) : raw
    if (reduction !== 'mean') return reduceLoss(batched || reduction === 'sum' ? losses : losses.squeeze(0), reduction)
    return div(losses, clampMin(tensor(lengths, { dtype: x.dtype }), 1)).mean()
  },
})
