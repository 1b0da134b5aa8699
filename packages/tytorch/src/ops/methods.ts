// Which ops are methods of tensors, and their types: every export of these files becomes a method of the same name,
// and every in-place form a method with a trailing underscore. What is listed as internal is not.
import { Tensor } from '../tensor/tensor.ts'
import * as activation from './activation.ts'
import * as algebra from './algebra.ts'
import * as arithmetic from './arithmetic.ts'
import * as arrange from './arrange.ts'
import { i0 } from './bessel.ts'
import * as cast from './cast.ts'
import * as compare from './compare.ts'
import * as complexes from './complex.ts'
import * as copy from './copy.ts'
import * as create from './create.ts'
import * as elementary from './elementary.ts'
import * as extreme from './extreme.ts'
import * as gamma from './gamma.ts'
import * as gather from './gather.ts'
import * as graph from './graph.ts'
import { histogram } from './histogram.ts'
import * as indexing from './indexing.ts'
import * as inspect from './inspect.ts'
import { kron } from './kron.ts'
import * as linear from './linear.ts'
import * as masks from './masks.ts'
import * as overwrite from './overwrite.ts'
import * as pairs from './pairs.ts'
import * as patch from './patch.ts'
import * as pieces from './pieces.ts'
import * as random from './random.ts'
import * as rectifier from './rectifier.ts'
import * as reduce from './reduce.ts'
import * as scan from './scan.ts'
import * as scatter from './scatter.ts'
import * as part from './slice.ts'
import * as sort from './sort.ts'
import * as statistics from './statistics.ts'
import { istft, stft } from './stft.ts'
import * as unary from './unary.ts'
import * as uniques from './unique.ts'
import * as view from './view.ts'

// biome-ignore lint/suspicious/noExplicitAny: matches functions of every signature
type Method<F> = F extends (self: any, ...rest: infer R) => infer O ? (...rest: R) => O : never
type Methods<M, Internal extends string = never> = { [K in keyof M as K extends Internal ? never : K]: Method<M[K]> }
type InPlace<M> = { [K in keyof M & string as K extends `${string}_` ? never : `${K}_`]: Method<M[K]> }

const internal = {
  create: ['tensor', 'asTensor', 'zeros', 'ones', 'empty', 'full', 'arange', 'linspace', 'eye', 'finish', 'filled', 'fillValues', 'splitSizes', 'requireGrad'],
  extreme: ['valuesIndices', 'pickedGradient', 'max', 'min', 'checkNotEmpty'],
  complexes: ['complex', 'polar', 'real', 'imag', 'isComplex'],
  statistics: ['variance'],
  view: ['viewOf'],
  inspect: ['isTensor', 'isFloatingPoint', 'resultType', 'typename'],
  part: ['sliceDim'],
  compare: ['thresholdBackward'],
  graph: ['backwardAll', 'grad'],
  linear: ['linear'],
  arrange: ['trilIndices', 'triuIndices'],
  pairs: ['scalarTensor', 'logspace', 'varMean', 'stdMean', 'fill'],
  pieces: ['_chunkCat', 'combinations', 'diagonalCopy', 'viewCopy', 'unbindCopy'],
  gather: ['outside', 'outOfBounds', 'pick', 'offsetsOf', 'planAlong', 'planSlices', 'checkAlong', 'checkSlices'],
  indexing: ['Slice', 'slice'],
  gamma: ['polygamma', 'specialZeta'],
  random: ['Generator', 'defaultGenerator', 'manualSeed', 'seed', 'initialSeed', 'getRngState', 'setRngState', 'rand', 'randn', 'randint', 'randperm', 'normal', 'poisson'],
  unique: ['unique', 'uniqueConsecutive', 'searchsorted', 'bucketize'],
  masks: ['where', 'whereOf', 'nonzeroPositions', 'nonzeroColumns'],
} as const // biome-ignore format: a table

type Internal<K extends keyof typeof internal> = (typeof internal)[K][number]

/** The methods of a tensor that come from ops. */
export interface TensorMethods
  extends Methods<typeof cast>,
    Methods<typeof activation, 'softmin'>,
    Pick<Methods<typeof rectifier>, 'prelu' | 'hardshrink'>,
    Methods<typeof create, Internal<'create'>>,
    Methods<typeof unary>,
    InPlace<typeof unary>,
    Methods<typeof arithmetic>,
    InPlace<typeof arithmetic>,
    Methods<typeof compare, Internal<'compare'>>,
    InPlace<Omit<typeof compare, Internal<'compare'>>>,
    Methods<typeof complexes, Internal<'complexes'>>,
    Pick<InPlace<typeof complexes>, 'conjPhysical_'>,
    Methods<typeof graph, Internal<'graph'>>,
    Methods<typeof linear, Internal<'linear'>>,
    Pick<InPlace<typeof linear>, 'addmm_' | 'addmv_' | 'baddbmm_'>,
    Pick<InPlace<typeof scan>, 'cumsum_' | 'cumprod_'>,
    Methods<typeof inspect, Internal<'inspect'>>,
    Methods<typeof overwrite>,
    Methods<typeof algebra>,
    Pick<InPlace<typeof algebra>, 'addbmm_' | 'addr_' | 'renorm_'>,
    Methods<typeof reduce>,
    Methods<typeof extreme, Internal<'extreme'>>,
    Methods<typeof statistics, Internal<'statistics'>>,
    Methods<typeof view, Internal<'view'>>,
    Methods<typeof part, Internal<'part'>>,
    Methods<typeof copy, 'type'>,
    Methods<typeof arrange, Internal<'arrange'>>,
    Pick<InPlace<typeof arrange>, 'tril_' | 'triu_'>,
    Methods<typeof gather, Internal<'gather'>>,
    Methods<typeof indexing, Internal<'indexing'>>,
    Pick<InPlace<typeof indexing>, 'indexPut_'>,
    Methods<typeof masks, Internal<'masks'> | 'nonzero'>,
    Pick<InPlace<typeof masks>, 'maskedFill_' | 'maskedScatter_'>,
    Methods<typeof random, Internal<'random'>>,
    Methods<typeof scan, 'trapezoid' | 'cumulativeTrapezoid'>,
    Methods<typeof patch>,
    Methods<typeof pieces, Internal<'pieces'>>,
    Methods<typeof elementary>,
    Pick<
      InPlace<typeof elementary>,
      | 'deg2rad_'
      | 'rad2deg_'
      | 'sinc_'
      | 'logit_'
      | 'nanToNum_'
      | 'copysign_'
      | 'hypot_'
      | 'heaviside_'
      | 'nextafter_'
      | 'xlogy_'
      | 'ldexp_'
      | 'floatPower_'
      | 'bitwiseLeftShift_'
      | 'bitwiseRightShift_'
      | 'trueDivide_'
    >,
    Methods<typeof gamma, Internal<'gamma'>>,
    Pick<InPlace<typeof gamma>, 'lgamma_' | 'digamma_' | 'erfinv_' | 'igamma_' | 'igammac_' | 'mvlgamma_'>,
    Methods<typeof pairs, Internal<'pairs'>>,
    Pick<InPlace<typeof pairs>, 'gcd_' | 'lcm_' | 'put_'>,
    Pick<InPlace<typeof patch>, 'indexReduce_'>,
    Methods<typeof sort, 'median' | 'nanmedian'>,
    Methods<typeof uniques, Internal<'unique'>>,
    Methods<typeof scatter>,
    Pick<
      InPlace<typeof scatter>,
      'scatter_' | 'scatterAdd_' | 'scatterReduce_' | 'indexAdd_' | 'indexCopy_' | 'indexFill_'
    >,
    Pick<InPlace<typeof view>, 'transpose_' | 't_'>,
    Pick<InPlace<typeof copy>, 'detach_'> {
  readonly i0: Method<typeof i0>
  readonly i0_: Method<typeof i0>
  readonly polygamma: (n: number) => Tensor
  readonly polygamma_: (n: number) => Tensor
  readonly type: copy.TypeMethod
  readonly kron: Method<typeof kron>
  readonly stft: Method<typeof stft>
  readonly istft: Method<typeof istft>
  readonly max: extreme.ExtremeMethod
  readonly min: extreme.ExtremeMethod
  readonly var: Method<typeof statistics.variance>
  readonly histogram: Method<typeof histogram>
  readonly nonzero: masks.NonzeroMethod
  readonly median: sort.MedianMethod
  readonly nanmedian: sort.MedianMethod
  readonly unique: uniques.UniqueMethod
  readonly uniqueConsecutive: uniques.UniqueMethod
  readonly where: Method<typeof masks.whereOf>
}

type AnyFunction = ((...args: unknown[]) => unknown) & { inPlace?: (...args: unknown[]) => unknown }

/** Ops of a fixed arity get methods without a rest array: it would cost a tenth of a small op. */
function method(fn: (...args: unknown[]) => unknown): (this: Tensor, ...args: unknown[]) => unknown {
  if (fn.length === 2 || fn.length === 3) {
    return function (this: Tensor, a: unknown, b: unknown, c: unknown) {
      return fn(this, a, b, c)
    }
  }
  return function (this: Tensor, ...args: unknown[]) {
    return fn(this, ...args)
  }
}

function define(name: string, fn: (...args: unknown[]) => unknown): void {
  Object.defineProperty(Tensor.prototype, name, { value: method(fn), writable: true, configurable: true })
}

/** Adds the ops to `Tensor.prototype`; called once by the composition root. */
export function installMethods(): void {
  const modules: [object, readonly string[]][] = [
    [activation, ['softmin']],
    [cast, []],
    [create, internal.create],
    [unary, []],
    [arithmetic, []],
    [compare, internal.compare],
    [complexes, internal.complexes],
    [graph, internal.graph],
    [linear, internal.linear],
    [inspect, internal.inspect],
    [overwrite, []],
    [algebra, []],
    [reduce, []],
    [extreme, internal.extreme],
    [statistics, internal.statistics],
    [view, internal.view],
    [part, internal.part],
    [copy, []],
    [arrange, internal.arrange],
    [gather, internal.gather],
    [indexing, internal.indexing],
    [masks, internal.masks],
    [random, internal.random],
    [scan, ['trapezoid', 'cumulativeTrapezoid']],
    [patch, []],
    [pieces, internal.pieces],
    [elementary, []],
    [gamma, internal.gamma],
    [pairs, internal.pairs],
    [sort, []],
    [uniques, ['searchsorted', 'bucketize']],
    [scatter, []],
  ]
  for (const [module, hidden] of modules) {
    for (const [name, fn] of Object.entries(module) as [string, AnyFunction][]) {
      if (typeof fn !== 'function' || hidden.includes(name)) continue
      define(name, fn)
      if (fn.inPlace) define(`${name}_`, fn.inPlace)
    }
  }
  define('i0', i0 as unknown as AnyFunction)
  define('i0_', (i0 as unknown as Required<AnyFunction>).inPlace)
  const polygamma = (x: Tensor, n: number): Tensor => gamma.polygamma(n, x)
  define('polygamma', polygamma as AnyFunction)
  define('polygamma_', ((x: Tensor, n: number) => x.copy_(polygamma(x, n))) as AnyFunction)
  define('kron', kron as unknown as AnyFunction)
  define('stft', stft as unknown as AnyFunction)
  define('istft', istft as unknown as AnyFunction)
  define('prelu', rectifier.prelu as unknown as AnyFunction)
  define('hardshrink', rectifier.hardshrink as unknown as AnyFunction)
  define('histogram', histogram as unknown as AnyFunction)
  define('max', extreme.max as unknown as AnyFunction)
  define('min', extreme.min as unknown as AnyFunction)
  define('var', statistics.variance as unknown as AnyFunction)
  define('where', masks.whereOf as unknown as AnyFunction)
}
