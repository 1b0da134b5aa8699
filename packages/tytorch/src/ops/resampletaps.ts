// What grid sampling computes: kernels for positions, for the elements around them with their weights, and for the
// weighted sums; and gradients of these in tensor ops, so that they have gradients themselves.
import { type ComputeType, type DType, int32 } from '../base/dtype.ts'
import { i32, num } from '../ir/build.ts'
import { constant, type Expr, gather, k, load, scalar } from '../ir/expr.ts'
import { type Arg, type Kernel, mapKernel } from '../ir/kernel.ts'
import { record } from '../tensor/node.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { alias, empty, type Tensor } from '../tensor/tensor.ts'
import { add, mul, rsub, sub } from './arithmetic.ts'
import { logicalOr, lt } from './compare.ts'
import { where } from './masks.ts'
import { sum } from './reduce.ts'
import { floor, neg } from './unary.ts'

export const MODES = ['bilinear', 'nearest', 'bicubic'] as const
export const PADDINGS = ['zeros', 'border', 'reflection'] as const
export type GridMode = (typeof MODES)[number]
export type GridPadding = (typeof PADDINGS)[number]

/** The parameter of the cubic convolution. */
const CUBIC = -0.75

/** Along one dimension: its size, and what bounds positions in it. */
export interface Axis {
  readonly n: number
  readonly padding: GridPadding
  readonly align: boolean
}

type Rule = readonly [mode: GridMode, padding: GridPadding]

/** Launch numbers of an axis, in the order in which `axisExprs` reads them. */
const numbersOf = ({ n, align }: Axis): number[] => (align ? [n, 0, n - 1] : [n, -0.5, n])

/** The same in a kernel: the size, where reflection starts, and how far it goes. */
interface AxisExprs {
  readonly n: Expr
  readonly start: Expr
  readonly span: Expr
}

/** Those of an axis whose first scalar is number `first`. */
const axisExprs = (type: ComputeType, first = 0): AxisExprs => ({
  n: scalar(first, type),
  start: scalar(first + 1, type),
  span: scalar(first + 2, type),
})

/** A coordinate in [-1, 1] as a position of elements. */
function unnormalized(x: Expr, { n }: AxisExprs, align: boolean): Expr {
  const one = num(x, 1)
  const half = num(x, 0.5)
  return align ? k.mul(k.mul(k.add(x, one), half), k.sub(n, one)) : k.mul(k.sub(k.mul(k.add(x, one), n), one), half)
}

/** Positions thrown back at both ends as often as it takes, and the slope of that. */
function reflected(x: Expr, { start, span }: AxisExprs): readonly [place: Expr, slope: Expr] {
  const c = (value: number): Expr => num(x, value)
  const offset = k.sub(x, start)
  const distance = k.abs(offset)
  const flips = k.floor(k.div(distance, span))
  const rest = k.sub(distance, k.mul(flips, span))
  const halves = k.mul(flips, c(0.5))
  const even = k.eq(k.floor(halves), halves)
  const place = k.add(k.select(even, rest, k.sub(span, rest)), start)
  const slope = k.select(even, c(1), c(-1))
  const none = k.eq(span, c(0))
  return [k.select(none, c(0), place), k.select(none, c(0), k.select(k.lt(offset, c(0)), k.neg(slope), slope))]
}

/** Positions brought into the range of a dimension as the padding asks (NaN to 0), and the slope of that. */
function bounded(x: Expr, axis: AxisExprs, padding: GridPadding): readonly [place: Expr, slope: Expr] {
  const zero = num(x, 0)
  if (padding === 'zeros') return [x, num(x, 1)]
  const last = k.sub(axis.n, num(x, 1))
  const [place, slope] = padding === 'border' ? [x, num(x, 1)] : reflected(x, axis)
  const inside = k.and(k.gt(place, zero), k.lt(place, last))
  return [k.pmin(k.pmax(zero, place), last), k.select(inside, slope, zero)]
}

/** The weights of four elements around a place, at these fractions after the second: Keys' cubic convolution. */
function cubicWeights(t: Expr): Expr[] {
  const c = (value: number): Expr => num(t, value)
  const near = (x: Expr): Expr => k.add(k.mul(k.mul(k.sub(k.mul(x, c(CUBIC + 2)), c(CUBIC + 3)), x), x), c(1))
  const far = (x: Expr): Expr =>
    k.sub(k.mul(k.add(k.mul(k.sub(k.mul(x, c(CUBIC)), c(5 * CUBIC)), x), c(8 * CUBIC)), x), c(4 * CUBIC))
  return [far(k.add(t, c(1))), near(t), near(k.sub(c(1), t)), far(k.sub(c(2), t))]
}

/** The whole positions around a place that is not bounded yet, and their weights. */
function tapsAt(place: Expr, axis: AxisExprs, [mode, padding]: Rule): { at: Expr; weight: Expr | null }[] {
  if (mode === 'nearest') return [{ at: k.nearest(bounded(place, axis, padding)[0]), weight: null }]
  const x = mode === 'bicubic' ? place : bounded(place, axis, padding)[0]
  const low = k.floor(x)
  const rest = k.sub(x, low)
  const next = (d: number): Expr => k.add(low, num(x, d))
  if (mode === 'bilinear') {
    return [
      { at: low, weight: k.sub(num(x, 1), rest) },
      { at: next(1), weight: rest },
    ]
  }
  return cubicWeights(rest).map((weight, i) => ({ at: bounded(next(i - 1), axis, padding)[0], weight }))
}

const kernels = new Map<string, Prepared>()
function cached(key: string, build: () => Kernel): Prepared {
  let found = kernels.get(key)
  if (!found) kernels.set(key, (found = new Prepared(build())))
  return found
}
const argument = (dtype: DType, mode: Arg['mode'], per: Arg['per'] = 'element'): Arg => ({ dtype, mode, per })

/** The positions of coordinates [N, P] along an axis, bounded unless it is for bicubic, whose taps are. */
export function positions(coordinate: Tensor, axis: Axis, mode: GridMode): Tensor {
  const { dtype } = coordinate
  const padding = mode === 'bicubic' ? 'zeros' : axis.padding
  const prepared = cached(`position ${dtype.name} ${padding} ${axis.align}`, () => {
    const type = dtype.compute
    const exprs = axisExprs(type)
    const whole = unnormalized(load(0, type), exprs, axis.align)
    const [place, slope] = bounded(whole, exprs, padding)
    const scale = k.mul(axis.align ? k.sub(exprs.n, num(whole, 1)) : exprs.n, num(whole, 0.5))
    return mapKernel(
      'gridPosition',
      [argument(dtype, 'read'), argument(dtype, 'write'), argument(dtype, 'write')],
      [type, type, type],
      [
        { arg: 1, value: place },
        { arg: 2, value: k.mul(slope, scale) },
      ],
    )
  })
  const { sizes } = coordinate
  const [out, slope] = [empty(sizes, dtype), empty(sizes, dtype)]
  runMap(prepared, sizes, [coordinate, out, slope], numbersOf(axis))
  return record(out, 'GridPositionBackward0', [coordinate], [slope], (g, [s]) => [mul(g, s)])
}

/** Elements that meet a place: their offsets (int32, -1 outside) and weights, [N, P] each. */
export interface Taps {
  readonly offsets: readonly Tensor[]
  readonly weights: readonly Tensor[]
}

/** A tap in a kernel. */
interface Tap {
  readonly offset: Expr
  readonly weight: Expr | null
}

const [ZERO, OUTSIDE] = [i32(0), i32(-1)]

/** Every tap of one list with every tap of the other. */
const crossed = (a: readonly Tap[], b: readonly Tap[]): Tap[] =>
  a.flatMap((x) =>
    b.map((y) => ({
      offset: k.select(k.lt(k.or(x.offset, y.offset), ZERO), OUTSIDE, k.add(x.offset, y.offset)),
      weight: x.weight && y.weight ? k.mul(x.weight, y.weight) : null,
    })),
  )

/**
 * The taps of coordinates along each dimension, or of positions that come of them: for bicubic those of each dimension,
 * else one list for all, in row-major order. Elements along a dimension are `steps` apart.
 */
export function tapsOf(
  given: readonly Tensor[],
  areCoordinates: boolean,
  axes: readonly Axis[],
  mode: GridMode,
  steps: readonly number[],
): Taps[] {
  const { dtype, sizes } = given[0]
  const { padding, align } = axes[0]
  const rank = given.length
  const apart = mode === 'bicubic'
  const each = apart ? 4 : mode === 'bilinear' ? 2 ** rank : 1
  const prepared = cached(`taps ${dtype.name} ${rank} ${mode} ${padding} ${align} ${areCoordinates}`, () => {
    const type = dtype.compute
    // Positions are bounded already, but for bicubic, whose taps are.
    const rule: Rule = [mode, areCoordinates || apart ? padding : 'zeros']
    const lists = axes.map((_, d) => {
      const exprs = axisExprs(type, 3 * d)
      const place = areCoordinates ? unnormalized(load(d, type), exprs, align) : load(d, type)
      return tapsAt(place, exprs, rule).map(({ at, weight }): Tap => {
        const inside = k.and(k.ge(at, num(at, 0)), k.lt(at, exprs.n))
        return { offset: k.select(inside, k.mul(k.cast(at, 'i32'), scalar(3 * rank + d, 'i32')), OUTSIDE), weight }
      })
    })
    const taps = apart ? lists : [lists.reduce(crossed)]
    const values = taps.flatMap((list) => [
      ...list.map((t) => t.offset),
      ...list.flatMap((t) => (t.weight ? [t.weight] : [])),
    ])
    return mapKernel(
      'gridTaps',
      [
        ...axes.map(() => argument(dtype, 'read')),
        ...values.map((e) => argument(e.type === 'i32' ? int32 : dtype, 'write')),
      ],
      [...axes.flatMap(() => [type, type, type]), ...axes.map(() => 'i32' as const)],
      values.map((value, i) => ({ arg: rank + i, value })),
    )
  })
  const make = (type: DType): Tensor[] => Array.from({ length: each }, () => empty(sizes, type))
  const taps = (apart ? axes : [null]).map(
    (): Taps => ({ offsets: make(int32), weights: mode === 'nearest' ? [] : make(dtype) }),
  )
  const out = taps.flatMap((t) => [...t.offsets, ...t.weights])
  runMap(prepared, sizes, [...given, ...out], [...axes.flatMap(numbersOf), ...steps])
  return taps
}

/** The weighted sums [N, C, P] of the elements of planes `x` [N, C, S] at the taps, one list a dimension. */
export function weighed(x: Tensor, taps: readonly Taps[]): Tensor {
  const { dtype } = x
  const [n, c] = x.sizes
  const p = taps[0].offsets[0].sizes[1]
  const weighted = taps[0].weights.length > 0
  const count = taps[0].offsets.length
  const operands = taps.flatMap((t) => [...t.offsets, ...t.weights])
  const prepared = cached(`sample ${dtype.name} ${taps.length} ${count}`, () => {
    const type = dtype.compute
    const each = weighted ? 2 * count : count
    // The sum over the taps of dimension d and those after it, at an offset in the dimensions before.
    const sum = (d: number, offset: Expr | null, sign: Expr | null): Expr => {
      if (d === taps.length) {
        const value = gather(0, type, k.max(offset as Expr, ZERO))
        return k.select(k.lt(sign as Expr, ZERO), constant(0, type), value)
      }
      const terms = Array.from({ length: count }, (_, i) => {
        const own = load(1 + d * each + i, 'i32')
        const value = sum(d + 1, offset ? k.add(offset, own) : own, sign ? k.or(sign, own) : own)
        return weighted ? k.mul(value, load(1 + d * each + count + i, type)) : value
      })
      return terms.reduce((a, b) => k.add(a, b))
    }
    const args = operands.map((t) => argument(t.dtype, 'read'))
    return mapKernel(
      'gridSample',
      [argument(dtype, 'read', 'table'), ...args, argument(dtype, 'write')],
      [],
      [{ arg: args.length + 1, value: sum(0, null, null) }],
    )
  })
  const out = empty([n, c, p], dtype)
  const planes = alias(x, [n, c, p], [x.strides[0], x.strides[1], 0], x.offset)
  const spread = operands.map((t) => alias(t, out.sizes, [t.strides[0], 0, t.strides[1]], t.offset))
  runMap(prepared, out.sizes, [planes, ...spread, out])
  return out
}

/** The elements [N, C, P] of planes `x` [N, C, S] at `index` [N, P] (int32), 0 where that is -1. */
function picked(given: Tensor, index: Tensor): Tensor {
  const x = given.contiguous()
  const out = weighed(x, [{ offsets: [index], weights: [] }])
  return record(out, 'GridSamplePickBackward0', [x], [index], (g, [at]) => [put(g, at, x.sizes[2])])
}

/** The adjoint of `picked`: elements added up at their positions in planes of `size`. */
function put(g: Tensor, index: Tensor, size: number): Tensor {
  const [n, c, p] = g.sizes
  const at = index.clampMin(0).long().unsqueeze(1).expand([n, c, p])
  const out = g.newZeros([n, c, size]).scatterAdd_(2, at, g.detach().maskedFill(lt(index, 0).unsqueeze(1), 0))
  return record(out, 'GridSamplePutBackward0', [g], [index], (gg, [to]) => [picked(gg, to)])
}

/** Weights as functions of positions, for their gradients, and the weights' slopes. */
function weightsAt(at: Tensor, mode: GridMode): readonly [weights: Tensor[], slopes: (Tensor | number)[]] {
  const t = sub(at, floor(at.detach()))
  if (mode === 'bilinear') return [[rsub(t, 1), t], [-1, 1]] // biome-ignore format: a pair
  const a = CUBIC
  const near = (x: Tensor): Tensor => add(mul(mul(sub(mul(x, a + 2), a + 3), x), x), 1)
  const far = (x: Tensor): Tensor => sub(mul(add(mul(sub(mul(x, a), 5 * a), x), 8 * a), x), 4 * a)
  const nearSlope = (x: Tensor): Tensor => mul(sub(mul(x, 3 * (a + 2)), 2 * (a + 3)), x)
  const farSlope = (x: Tensor): Tensor => add(mul(sub(mul(x, 3 * a), 10 * a), x), 8 * a)
  const [before, after, last] = [add(t, 1), rsub(t, 1), rsub(t, 2)]
  return [
    [far(before), near(t), near(after), far(last)],
    [farSlope(before), nearSlope(t), neg(nearSlope(after)), neg(farSlope(last))],
  ]
}

/** Every choice of one tap in each dimension. */
function choices(count: number, rank: number): number[][] {
  return Array.from({ length: count ** rank }, (_, i) =>
    Array.from({ length: rank }, (_, d) => Math.floor(i / count ** (rank - 1 - d)) % count),
  )
}

const product = (list: readonly (Tensor | number)[]): Tensor | number =>
  list.reduce<Tensor | number>((a, b) => (a === 1 ? b : typeof a === 'number' ? mul(b as Tensor, a) : mul(a, b)), 1)

/** The gradients of `weighed` for its planes and for the positions (if there are any) that its taps come from. */
export function sampleGradients(
  g: Tensor,
  x: Tensor,
  at: readonly Tensor[],
  taps: readonly Taps[],
  mode: GridMode,
  needs: readonly boolean[],
): (Tensor | null)[] {
  if (mode === 'nearest') {
    // The nearest element does not depend on small moves: the grid's gradient is zero, not absent.
    return [needs[0] ? put(g, taps[0].offsets[0], x.sizes[2]) : null, ...at.map((t) => g.newZeros(t.sizes))]
  }
  const rank = taps.length === 1 ? Math.log2(taps[0].offsets.length) : taps.length
  const known = at.map((t) => weightsAt(t, mode))
  const out: (Tensor | null)[] = [null, ...at.map(() => null)]
  const plus = (i: number, term: Tensor): void => {
    const before = out[i]
    out[i] = before ? add(before, term) : term
  }
  for (const [i, choice] of choices(mode === 'bicubic' ? 4 : 2, rank).entries()) {
    const one = taps.length === 1
    const index = one ? taps[0].offsets[i] : together(taps.map((t, d) => t.offsets[choice[d]]))
    const own =
      at.length > 0
        ? known.map(([w], d) => w[choice[d]])
        : one
          ? [taps[0].weights[i]]
          : taps.map((t, d) => t.weights[choice[d]])
    if (needs[0]) plus(0, put(mul(g, (product(own) as Tensor).unsqueeze(1)), index, x.sizes[2]))
    if (!needs.some((need, a) => need && a > 0)) continue
    const value = sum(mul(g, picked(x, index)), 1)
    at.forEach((_, d) => {
      if (!needs[d + 1]) return
      plus(d + 1, mul(value, product(own.map((w, e) => (e === d ? known[d][1][choice[d]] : w)))))
    })
  }
  return out
}

/** The offsets of all dimensions as one, -1 where any is. */
function together(offsets: readonly Tensor[]): Tensor {
  const outside = offsets.map((o) => lt(o, 0)).reduce((a, b) => logicalOr(a, b))
  return where(
    outside,
    -1,
    offsets.reduce((a, b) => add(a, b)),
  )
}
