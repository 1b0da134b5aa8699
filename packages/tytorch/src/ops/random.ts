// Random tensors and in-place draws, with PyTorch's numbers for the same seed (base/random.ts has the engine).
import {
  cauchyFill,
  exponentialFill,
  geometricFill,
  logNormalFill,
  multinomial as multinomialDraw,
  poissonFill,
} from '../base/distributions.ts'
import { type DType, encode, float32, float64, getDefaultDtype, int64, uint8 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import {
  type DrawArray,
  defaultGenerator,
  type Generator,
  randintFill,
  randomFill,
  randperm as randpermDraw,
} from '../base/random.ts'
import { broadcastSizes, type Sizes } from '../base/shape.ts'
import { type Args, checkSizes, op, writeOut } from '../tensor/define.ts'
import { copyValues } from '../tensor/elementwise.ts'
import { atPointers, onHost } from '../tensor/host.ts'
import { noGrad } from '../tensor/mode.ts'
import { record } from '../tensor/node.ts'
import { device } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { type CreateOptions, finish, splitSizes } from './create.ts'
import {
  C_NAMES,
  drawBernoulli,
  drawIntegers,
  drawNormal,
  drawUniform,
  emptyInOrder,
  fillBernoulli,
  fillDraws,
  randomType,
  redraw,
  requireFloat,
  walked,
  walkOrder,
} from './draw.ts'

export { Generator } from '../base/random.ts'

/** Where draws come from; the default generator if absent. */
export interface RandomOptions {
  readonly generator?: Generator | null
}
type RandomCreate = CreateOptions & RandomOptions
type RandomSizes =
  | [...sizes: number[]]
  | [sizes: Sizes]
  | [...sizes: number[], options: RandomCreate]
  | [sizes: Sizes, options: RandomCreate]

const engine = (options: RandomOptions | undefined): Generator => options?.generator ?? defaultGenerator

/** Restarts the default generator from an integer; answers it. */
export const manualSeed = (seed: number | bigint): Generator => {
  atPointers('manualSeed', [], '', () => defaultGenerator.manualSeed(seed))
  return defaultGenerator
}
/** Restarts the default generator from a random seed, and answers the seed. */
export const seed = (): number => defaultGenerator.seed()
/** The seed the default generator was last restarted from. */
export const initialSeed = (): number | bigint => defaultGenerator.initialSeed()
/** The default generator. */
export { defaultGenerator }

/** The default generator's state, as PyTorch lays it out: uint8 [5056]. */
export function getRngState(): Tensor {
  const state = defaultGenerator.getState()
  const out = empty([state.length], uint8)
  ;(out.raw() as Uint8Array).set(state)
  return out
}

/** Puts the default generator into a state from `getRngState`, or from PyTorch's. */
export function setRngState(state: Tensor): void {
  if (state.dtype !== uint8)
    throw new TypeError(`expected a torch.ByteTensor, but got torch.${state.dtype.title}Tensor`)
  defaultGenerator.setState(new Uint8Array(state.contiguous().raw() as Uint8Array))
}

/** Uniform numbers in [0, 1), of the sizes given one by one or as an array. */
export function rand(...given: RandomSizes): Tensor {
  const { sizes, options } = sizesAndOptions('rand', given)
  return finish(drawUniform(empty(sizes, options.dtype ?? getDefaultDtype()), engine(options)), options)
}

/** Standard normal numbers, of the sizes given one by one or as an array. */
export function randn(...given: RandomSizes): Tensor {
  const { sizes, options } = sizesAndOptions('randn', given)
  return finish(drawNormal(empty(sizes, options.dtype ?? getDefaultDtype()), engine(options)), options)
}

function sizesAndOptions(name: string, given: RandomSizes): { sizes: Sizes; options: RandomCreate } {
  return splitSizes(name, given)
}

type Bound = number | bigint
type RandintArgs =
  | [high: Bound, size: Sizes, options?: RandomCreate]
  | [low: Bound, high: Bound, size: Sizes, options?: RandomCreate]

/** Integers from `low` (0 if not given) to below `high`, int64 unless a dtype is given. */
export function randint(...given: RandintArgs): Tensor {
  const at = given.findIndex((a) => Array.isArray(a))
  if (at < 1) throw new TypeError('randint(): expected (high, size) or (low, high, size), with size an array')
  const low = at === 2 ? (given[0] as Bound) : 0
  const options = (given[at + 1] as RandomCreate | undefined) ?? {}
  const { sizes } = splitSizes('randint', [given[at]])
  const x = empty(sizes, options.dtype ?? int64)
  return finish(drawIntegers(x, engine(options), low, given[at - 1] as Bound), options)
}

/** The numbers 0 to n - 1 in random order, int64 unless a dtype is given. */
export function randperm(n: number, options: RandomCreate = {}): Tensor {
  const dtype = options.dtype ?? int64
  const x = empty(checkSizes('randperm', [n]), dtype)
  onHost('randperm', [x], 'w', (elements) => {
    if (device().draws?.permutation(engine(options), elements as DrawArray)) return
    const order = randpermDraw(engine(options), n)
    const raw = elements as unknown as (number | bigint)[]
    for (let i = 0; i < n; i++) raw[i] = encode(dtype, order[i])
  })
  return finish(x, options)
}

/** Uniform numbers in [0, 1), like `x` in sizes and dtype. */
export const randLike = (x: Tensor, options: RandomCreate = {}): Tensor =>
  finish(drawUniform(emptyInOrder(x, options.dtype ?? x.dtype), engine(options)), options)
/** Standard normal numbers, like `x` in sizes and dtype. */
export const randnLike = (x: Tensor, options: RandomCreate = {}): Tensor =>
  finish(drawNormal(emptyInOrder(x, options.dtype ?? x.dtype), engine(options)), options)
/** Integers from `low` (0 if not given) to below `high`, like `x` in sizes and dtype. */
export function randintLike(
  x: Tensor,
  ...given: [high: Bound, options?: RandomCreate] | [low: Bound, high: Bound, options?: RandomCreate]
): Tensor {
  const bounds = given.filter((a) => typeof a === 'number' || typeof a === 'bigint')
  const options = (given.find((a) => typeof a === 'object') as RandomCreate | undefined) ?? {}
  const low = bounds.length > 1 ? bounds[0] : 0
  const out = emptyInOrder(x, options.dtype ?? x.dtype)
  return finish(drawIntegers(out, engine(options), low, bounds[bounds.length - 1]), options)
}

type Drawn<P extends unknown[], O> = (x: Tensor, ...args: Args<P, O & RandomOptions>) => Tensor

/** Sets every element to a uniform number in [from, to) (0 and 1). */
export const uniform_: Drawn<[from?: number, to?: number], { from?: number; to?: number }> = op({
  name: 'uniform_',
  signature: 'input, from, to, *, generator',
  forward: (x: Tensor, from?: number, to?: number, generator?: Generator) =>
    redraw(x, 'UniformBackward0', (x) => drawUniform(x, generator ?? defaultGenerator, from, to)),
})

/** Sets every element to a normal number of `mean` 0 and `std` 1 unless given. */
export const normal_: Drawn<[mean?: number, std?: number], { mean?: number; std?: number }> = op({
  name: 'normal_',
  signature: 'input, mean, std, *, generator',
  forward: (x: Tensor, mean?: number, std?: number, generator?: Generator) =>
    redraw(x, 'NormalBackward0', (x) => drawNormal(x, generator ?? defaultGenerator, mean, std)),
})

/** Sets every element to 1 with probability `p` (0.5; a number, or a tensor that broadcasts), else to 0. */
export const bernoulli_: Drawn<[p?: number | Tensor], { p?: number | Tensor }> = op({
  name: 'bernoulli_',
  signature: 'input, p, *, generator',
  forward: (x: Tensor, p: number | Tensor = 0.5, generator: Generator = defaultGenerator) =>
    redraw(x, p instanceof Tensor ? 'BernoulliBackward1' : 'BernoulliBackward2', (x) => {
      if (!(p instanceof Tensor)) fillDraws(x, (out) => fillBernoulli(generator, out, p))
      else drawBernoulli(x, p.detach().expand(x.sizes), generator)
    }),
})

/** Sets every element to an exponential number of rate `lambd` (1). */
export const exponential_: Drawn<[lambd?: number], { lambd?: number }> = op({
  name: 'exponential_',
  signature: 'input, lambd, *, generator',
  forward: (x: Tensor, lambd = 1, generator: Generator = defaultGenerator) => {
    if (!x.dtype.isFloatingPoint) {
      throw new RuntimeError(
        `Exponential distribution is a continuous probability distribution. dtype must be a floating point but you specified ${x.dtype.title}`,
      )
    }
    return redraw(x, 'ExponentialBackward0', (x) =>
      fillDraws(x, (out) => {
        if (!device().draws?.exponential(generator, out, lambd)) exponentialFill(generator, out as Float32Array, lambd)
      }),
    )
  },
})

/** Sets every element to the trial of the first success of probability `p`. */
export const geometric_: Drawn<[p: number], { p: number }> = op({
  name: 'geometric_',
  signature: 'input, p, *, generator',
  forward: (x: Tensor, p: number, generator: Generator = defaultGenerator) =>
    redraw(x, 'GeometricBackward0', (x) => fillDraws(x, (out) => geometricFill(generator, out, p))),
})

/** Sets every element to a Cauchy number of `median` 0 and `sigma` 1 unless given. */
export const cauchy_: Drawn<[median?: number, sigma?: number], { median?: number; sigma?: number }> = op({
  name: 'cauchy_',
  signature: 'input, median, sigma, *, generator',
  forward: (x: Tensor, median = 0, sigma = 1, generator: Generator = defaultGenerator) => {
    if (!x.dtype.isFloatingPoint) {
      throw new RuntimeError(
        `Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you specified ${C_NAMES[x.dtype.name]}`,
      )
    }
    return redraw(x, 'CauchyBackward0', (x) =>
      fillDraws(x, (out) => cauchyFill(generator, out as Float32Array, median, sigma)),
    )
  },
})

/** Sets every element to the exponential of a normal number of `mean` 1 and `std` 2 unless given. */
export const logNormal_: Drawn<[mean?: number, std?: number], { mean?: number; std?: number }> = op({
  name: 'logNormal_',
  signature: 'input, mean, std, *, generator',
  forward: (x: Tensor, mean = 1, std = 2, generator: Generator = defaultGenerator) => {
    requireFloat('log_normal_cpu', x.dtype)
    return redraw(x, 'LogNormalBackward0', (x) =>
      fillDraws(x, (out) => logNormalFill(generator, out as Float32Array, mean, std)),
    )
  },
})

/** Sets every element to an integer in [from, to); with one bound below it; with none over the dtype's range. */
export const random_: Drawn<[from?: Bound, to?: Bound | null], { from?: Bound; to?: Bound | null }> = op({
  name: 'random_',
  signature: 'input, from, to, *, generator',
  forward: (x: Tensor, from?: Bound, to?: Bound | null, generator: Generator = defaultGenerator) =>
    redraw(
      x,
      from === undefined ? 'RandomBackward2' : to === undefined ? 'RandomBackward1' : 'RandomBackward0',
      (x) => {
        const type = randomType(x.dtype)
        if (from === undefined) fillDraws(x, (out) => randomFill(generator, out, type))
        else if (to === undefined) drawIntegers(x, generator, 0, from)
        else if (to === null) fillDraws(x, (out) => randintFill(generator, out, from, null, type))
        else drawIntegers(x, generator, from, to)
      },
    ),
})

/** Ones with the probabilities in `x`, else zeros; with `p`, of the sizes of `x` with that one probability. */
export const bernoulli: Drawn<[p?: number], { p?: number }> = op({
  name: 'bernoulli',
  signature: 'input, p, *, generator',
  forward: (x: Tensor, p?: number, generator: Generator = defaultGenerator) => {
    const out = empty(x.sizes, x.dtype)
    if (p !== undefined) return fillDraws(out, (draws) => fillBernoulli(generator, draws, p))
    drawBernoulli(out, x.detach(), generator)
    return record(out, 'BernoulliBackward0', [x], [], (g) => [g.newZeros(g.sizes)])
  },
})

/** Poisson counts of the rates in `x`, in its dtype. */
export const poisson: Drawn<[], object> = op({
  name: 'poisson',
  signature: 'input, *, generator',
  forward: (x: Tensor, generator: Generator = defaultGenerator) => {
    requireFloat('poisson_cpu', x.dtype)
    const out = empty(x.sizes, x.dtype)
    const order = walkOrder(x.sizes, [out.strides, x.strides])
    const rates = empty(x.sizes.length ? [...order].reverse().map((d) => x.sizes[d]) : [], float64)
    copyValues(walked(x, order), rates)
    const list = new Float64Array(rates.count)
    onHost('rates', [rates], 'r', (raw) => list.set(raw as Float64Array))
    fillDraws(out, (draws) => poissonFill(generator, draws, list), order)
    return record(out, 'PoissonBackward0', [x], [], (g) => [g.newZeros(g.sizes)])
  },
})

interface MultinomialOptions {
  readonly numSamples?: number
  readonly replacement?: boolean
}
/** `numSamples` positions drawn by the weights in each row of `x` (a vector or a matrix): int64. */
export const multinomial: Drawn<[numSamples: number, replacement?: boolean], MultinomialOptions> = op({
  name: 'multinomial',
  signature: 'input, num_samples, replacement, *, generator, out',
  forward: (
    x: Tensor,
    numSamples: number,
    replacement = false,
    generator: Generator = defaultGenerator,
    target?: Tensor,
  ) => {
    if (target && target.dtype !== int64)
      throw new RuntimeError(`multinomial expects Long tensor out, got: ${target.dtype.title}`)
    if (!x.dtype.isFloatingPoint) {
      throw new RuntimeError(`multinomial only supports floating-point dtypes for input, got: ${x.dtype.title}`)
    }
    if (x.ndim < 1 || x.ndim > 2) throw new RuntimeError('prob_dist must be 1 or 2 dim')
    if (!(numSamples > 0)) throw new RuntimeError('cannot sample n_sample <= 0 samples')
    const weights = x
      .detach()
      .to(x.dtype === float64 ? float64 : float32)
      .contiguous()
    const width = x.sizes[x.ndim - 1]
    const out = empty([...x.sizes.slice(0, -1), numSamples], int64)
    onHost('multinomial', [weights, out], 'rw', (chances, elements) => {
      const drawn = multinomialDraw(generator, (chances as Float32Array).slice(), numSamples, replacement, width)
      const raw = elements as BigInt64Array
      for (let i = 0; i < drawn.length; i++) raw[i] = BigInt(drawn[i])
    })
    return target ? writeOut('multinomial', out, target) : out
  },
})

interface NormalOptions extends RandomCreate {
  readonly size?: Sizes
}
/**
 * Normal numbers of mean `mean` and standard deviation `std`, each a number or a tensor (broadcast together); for two
 * numbers `size` says how many.
 */
export const normal: (
  mean: number | Tensor,
  ...args: Args<[std?: number | Tensor, size?: Sizes], NormalOptions & { std?: number | Tensor }>
) => Tensor = op({
  name: 'normal',
  signature: 'mean, std, size, *, generator, dtype, requires_grad, device',
  forward: (
    mean: number | Tensor = 0,
    std: number | Tensor = 1,
    size?: Sizes,
    generator: Generator = defaultGenerator,
    dtype?: DType,
    requiresGrad_ = false,
  ) => {
    if (!(mean instanceof Tensor) && !(std instanceof Tensor)) {
      if (!size) throw new TypeError('normal(): for a number as mean and as std, give the size')
      const { sizes } = splitSizes('normal', [size])
      const out = empty(sizes, dtype ?? getDefaultDtype())
      return finish(drawNormal(out, generator, mean, std), { requiresGrad: requiresGrad_ })
    }
    if (!(std instanceof Tensor)) {
      const model = mean as Tensor
      const out = empty(model.sizes, model.dtype)
      drawNormal(out, generator, 0, std)
      noGrad(() => out.add_(model.detach()))
      return record(out, 'NormalBackward1', [model], [], (g) => [g.newZeros(g.sizes)])
    }
    if (std.count > 0) {
      onHost('checkStd', [std.detach().lt(0).any()], 'r', (raw) => {
        if (raw[0]) throw new RuntimeError('normal expects all elements of std >= 0.0')
      })
    }
    const sizes = mean instanceof Tensor ? broadcastSizes(mean.sizes, std.sizes) : std.sizes
    const out = empty(sizes, mean instanceof Tensor ? mean.dtype : std.dtype)
    drawNormal(out, generator)
    noGrad(() => out.mul_(std.detach()).add_(mean instanceof Tensor ? mean.detach() : mean))
    if (!(mean instanceof Tensor)) return record(out, 'NormalBackward2', [std], [], (g) => [g.newZeros(g.sizes)])
    const [a, b] = [mean.sizes, std.sizes]
    return record(out, 'NormalBackward3', [mean, std], [], (g) => [g.newZeros(a), g.newZeros(b)])
  },
})
