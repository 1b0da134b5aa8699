// Ops with two results (frexp, aminmax, varMean, stdMean), greatest common divisors, and a few ways to fill and create.
import { type DType, float32, float64, getDefaultDtype, int32, int64 } from '../base/dtype.ts'
import { IndexError, NotImplementedError, RuntimeError } from '../base/errors.ts'
import { num } from '../ir/build.ts'
import { type Expr, k, load } from '../ir/expr.ts'
import { mapKernel } from '../ir/kernel.ts'
import { type Args, gradientName, type Num, op } from '../tensor/define.ts'
import { onHost } from '../tensor/host.ts'
import { type Named, named } from '../tensor/named.ts'
import { record } from '../tensor/node.ts'
import type { Dim } from '../tensor/reduce.ts'
import { broadcastAll, Prepared, runMap } from '../tensor/run.ts'
import { empty, Tensor } from '../tensor/tensor.ts'
import { div, pow } from './arithmetic.ts'
import { type CreateOptions, finish, linspace, tensor } from './create.ts'
import { amax, amin } from './extreme.ts'
import { mean } from './reduce.ts'
import { std, variance } from './statistics.ts'
import { broadcastTo } from './view.ts'

const frexps: (Prepared | undefined)[] = []

/** The exponent that brings |x| into [0.5, 1), and x scaled by it; x itself where it is 0, infinite or NaN. */
function split(x: Expr): readonly [mantissa: Expr, exponent: Expr] {
  const double = x.type === 'f64'
  const word = double ? 'i64' : 'i32'
  const [fraction, bias] = double ? [52, 1022] : [23, 126]
  const tiny = k.lt(k.abs(x), num(x, double ? 2 ** -1022 : 2 ** -126))
  const scaled = k.select(tiny, k.mul(x, num(x, 2 ** fraction)), x)
  const bits = k.bitcast(scaled, word)
  const mask = num(bits, double ? 2047 : 255)
  const field = k.and(k.shr(bits, fraction), mask)
  const ordinary = k.and(k.ne(x, num(x, 0)), k.ne(field, mask))
  const high = k.shl(num(bits, bias), fraction)
  const low = k.and(bits, k.not(k.shl(mask, fraction)))
  const mantissa = k.select(ordinary, k.bitcast(k.or(low, high), x.type), x)
  const shift = k.select(tiny, num(field, fraction), num(field, 0))
  const exponent = k.select(ordinary, k.sub(k.sub(field, num(field, bias)), shift), num(field, 0))
  return [mantissa, k.cast(exponent, 'i32')]
}

/** mantissa * 2 ** exponent = x with |mantissa| in [0.5, 1): the mantissa in x's dtype, the exponent in int32. */
export const frexp: (x: Tensor) => Named<'mantissa' | 'exponent'> = op({
  name: 'frexp',
  signature: 'input',
  differentiable: true,
  forward: (x: Tensor) => {
    const { dtype } = x
    if (!dtype.isFloatingPoint) throw new RuntimeError('torch.frexp() only supports floating-point dtypes')
    let prepared = frexps[dtype.index]
    if (!prepared) {
      const [mantissa, exponent] = split(load(0, dtype.compute))
      const write = (to: DType) => ({ dtype: to, mode: 'write', per: 'element' }) as const
      prepared = new Prepared(
        mapKernel(
          'frexp',
          [{ dtype, mode: 'read', per: 'element' }, write(dtype), write(int32)],
          [],
          [
            { arg: 1, value: mantissa },
            { arg: 2, value: exponent },
          ],
        ),
      )
      frexps[dtype.index] = prepared
    }
    const mantissa = empty(x.sizes, dtype)
    const exponent = empty(x.sizes, int32)
    runMap(prepared, x.sizes, [x, mantissa, exponent])
    record(mantissa, 'FrexpBackward0', [x], [exponent], (g, [e]) => [div(g, pow(2, e.to(g.dtype)))])
    return named({ mantissa, exponent })
  },
})

type Extremes = Named<'min' | 'max'>
interface ExtremesOptions {
  readonly dim?: number | null
  readonly keepdim?: boolean
}

/** The smallest and the largest element, along `dim` if it is given. */
export const aminmax: (x: Tensor, options?: ExtremesOptions) => Extremes = op({
  name: 'aminmax',
  apart: 'all',
  signature: 'input, *, dim, keepdim',
  node: 'AminmaxBackward0',
  samples: (t) => [[t(3, 4)], [t(3, 4), { dim: 1, keepdim: true }]],
  differentiable: true,
  forward: (x: Tensor, dim: number | null = null, keepdim = false) => {
    if (dim !== null && (dim >= 64 || dim < -64))
      throw new RuntimeError('only tensors with up to 64 dims are supported')
    if (dim === null && x.count === 0) {
      throw new RuntimeError(
        'aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.',
      )
    }
    if (dim !== null && x.ndim > 0 && x.sizes.at(dim) === 0)
      throw new IndexError(`aminmax: Expected reduction dim ${dim} to have non-zero size.`)
    return named({ min: amin(x, dim, keepdim), max: amax(x, dim, keepdim) })
  },
})

interface SpreadOptions {
  readonly dim?: Dim
  readonly correction?: number
  readonly keepdim?: boolean
  readonly unbiased?: boolean
}
type SpreadMean = (x: Tensor, ...args: Args<[dim?: Dim | boolean, keepdim?: boolean], SpreadOptions>) => Tensor[]

const spreadMean = (name: string, of: typeof variance): SpreadMean =>
  op({
    name,
    signature: 'input, dim, unbiased, keepdim, *, correction',
    node: gradientName(name),
    samples: (t) => [[t(3, 4)], [t(3, 4), 0], [t(3, 4), 1, { keepdim: true, correction: 0 }]],
    differentiable: true,
    forward: (x: Tensor, dim?: Dim | boolean, unbiased?: boolean, keepdim = false, correction?: number) => {
      const dims = typeof dim === 'boolean' ? null : (dim ?? null)
      const less = correction ?? ((typeof dim === 'boolean' ? dim : (unbiased ?? true)) ? 1 : 0)
      return [of(x, dims, { correction: less, keepdim }), mean(x, dims, keepdim)]
    },
  })

/** The variance and the mean over `dim`, all by default: [variance, mean]; divided by n - `correction` (1). */
export const varMean: SpreadMean = spreadMean('varMean', variance)
/** The standard deviation and the mean over `dim`. */
export const stdMean: SpreadMean = spreadMean('stdMean', std)

/** Euclid's algorithm. */
function divisor(a: number, b: number): number {
  let [x, y] = [Math.abs(a), Math.abs(b)]
  while (y !== 0) [x, y] = [y, x % y]
  return x
}

function longDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

const multiple = (a: number, b: number): number => {
  const g = divisor(a, b)
  return g === 0 ? 0 : Math.abs((a / g) * b)
}

const longMultiple = (a: bigint, b: bigint): bigint => {
  const g = longDivisor(a, b)
  const out = g === 0n ? 0n : (a / g) * b
  return out < 0n ? -out : out
}

type Integers = (x: Tensor, other: Tensor) => Tensor

function integers(name: 'gcd' | 'lcm', each: typeof divisor, long: typeof longDivisor): Integers {
  const forward = (x: Tensor, other: Tensor): Tensor => {
    for (const [i, t] of [x, other].entries()) {
      if (!(t instanceof Tensor))
        throw new TypeError(
          `${name}(): argument '${i ? 'other' : 'input'}' (position ${i + 1}) must be Tensor, not ${typeof t}`,
        )
    }
    const dtype = x.dtype === other.dtype ? x.dtype : x.newZeros([1]).add(other.newZeros([1])).dtype
    if (dtype.kind !== 'int') throw new NotImplementedError(`"${name}_cpu" not implemented for '${dtype.title}'`)
    const sizes = broadcastAll([x, other])
    const type = dtype === int64 ? int64 : int32
    const [a, b] = [x, other].map((t) => broadcastTo(t.to(type), sizes).contiguous())
    const out = empty(sizes, type)
    onHost(name, [a, b, out], 'rrw', (left, right, to) => {
      if (to instanceof BigInt64Array) {
        for (let i = 0; i < to.length; i++) to[i] = long(left[i] as bigint, right[i] as bigint)
      } else for (let i = 0; i < to.length; i++) to[i] = each(left[i] as number, right[i] as number)
    })
    return out.to(dtype)
  }
  return op({
    name,
    signature: 'input, other',
    domain: { integers: true },
    samples: (t) => [[t(3, 4), t(4)]],
    forward,
    inPlace: (x: Tensor, other: Tensor) => x.copy_(forward(x, other)),
  })
}

/** The greatest common divisor of integers, not negative; gcd(0, 0) is 0. */
export const gcd: Integers = integers('gcd', divisor, longDivisor)
/** The least common multiple of integers, not negative. */
export const lcm: Integers = integers('lcm', multiple, longMultiple)

/** A tensor like `x` with every element `value` (a number or a 0-d tensor). */
export const fill: (x: Tensor, value: Num | Tensor) => Tensor = op({
  name: 'fill',
  signature: 'input, value',
  node: (_x, value) => `FillBackward${value instanceof Tensor ? 1 : 0}`,
  samples: (t) => [
    [t(3, 4), 2],
    [t(3, 4), t()],
  ],
  differentiable: true,
  forward: (x: Tensor, value: Num | Tensor) => {
    if (value instanceof Tensor && value.ndim > 0)
      throw new RuntimeError(
        `fill only supports 0-dimension value tensor but got tensor with ${value.ndim} dimensions.`,
      )
    return x.clone().fill_(value)
  },
})

interface PutOptions {
  readonly accumulate?: boolean
}
/** A copy of `x` with `source` at the positions `index` of its elements row by row. */
export const put: (
  x: Tensor,
  index: Tensor,
  source: Tensor,
  ...args: Args<[accumulate?: boolean], PutOptions>
) => Tensor = op({
  name: 'put',
  signature: 'input, index, source, accumulate',
  node: 'PutBackward0',
  samples: (t) => [
    [t(3, 4), tensor([1, 5]), t(2)],
    [t(3, 4), tensor([1, 1]), t(2), true],
  ],
  differentiable: true,
  forward: (x: Tensor, index: Tensor, source: Tensor, accumulate = false) => {
    if (index.dtype !== int64)
      throw new RuntimeError(`put_(): Expected a long tensor for index, but got ${index.dtype.title}`)
    if (source.dtype !== x.dtype)
      throw new RuntimeError(
        `put_(): self and source expected to have the same dtype, but got self.dtype = ${x.dtype.title} and source.dtype = ${source.dtype.title}`,
      )
    if (index.count !== source.count)
      throw new RuntimeError(
        `put_(): Expected source and index to have the same number of elements, but got source.numel() = ${source.count}, index.numel() = ${index.count}`,
      )
    return x
      .reshape(-1)
      .indexPut([index.reshape(-1)], source.reshape(-1), accumulate)
      .reshape(x.sizes)
  },
  inPlace: (x: Tensor, index: Tensor, source: Tensor, accumulate = false) =>
    x.copy_(put(x.clone(), index, source, accumulate)),
})

/** A 0-d tensor of the default dtype. */
export function scalarTensor(value: Num, options: CreateOptions = {}): Tensor {
  return tensor(value, { ...options, dtype: options.dtype ?? getDefaultDtype() })
}

type LogspaceArgs = [base?: number, options?: CreateOptions] | [options: CreateOptions & { readonly base?: number }]

/** `steps` numbers from base ** start to base ** end, the exponents equally far apart. */
export function logspace(start: Num | Tensor, end: Num | Tensor, steps: number, ...given: LogspaceArgs): Tensor {
  const last = given[given.length - 1]
  const { base: named, ...options } = (typeof last === 'object' ? last : {}) as CreateOptions & { base?: number }
  const base = typeof given[0] === 'number' ? given[0] : (named ?? 10)
  const dtype = options.dtype ?? getDefaultDtype()
  const ends = [start, end]
  if (ends.some((t) => t instanceof Tensor && t.ndim > 0)) {
    const dims = ends.map((t) => (t instanceof Tensor ? t.ndim : 0))
    throw new RuntimeError(
      `logspace only supports 0-dimensional start and end tensors, but got start with ${dims[0]} dimension(s) and end with ${dims[1]} dimension(s).`,
    )
  }
  if (!Number.isInteger(steps)) throw new TypeError(`logspace(): steps must be an integer, got ${steps}`)
  if (steps < 0) throw new RuntimeError('number of steps must be non-negative')
  const [from, to] = ends.map((t) => (t instanceof Tensor ? Number(t.item()) : Number(t)))
  if (dtype.isFloatingPoint || dtype.isComplex)
    return finish(pow(base, linspace(from, to, steps, { dtype: float64 })).to(dtype), options)
  // Of an integer dtype the ends are cut off first, and the exponents are float32. 10 ** 2 must not become 99.
  const powers = linspace(Math.trunc(from), Math.trunc(to), steps, { dtype: float32 }).to(float64)
  return finish(
    pow(base, powers)
      .mul(1 + 1e-12)
      .to(dtype),
    options,
  )
}
