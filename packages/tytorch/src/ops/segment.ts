// Reductions of runs of elements, positions from flat ones, and the gradient of softmax as an op.
import { type DType, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { type Sizes, wrapDim } from '../base/shape.ts'
import { op } from '../tensor/define.ts'
import { readsValues } from '../tensor/host.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { mul, sub } from './arithmetic.ts'
import { tensor } from './create.ts'
import { sum } from './reduce.ts'
import { diff } from './scan.ts'
import { scatterReduce } from './scatter.ts'
import { narrow } from './slice.ts'

/** The gradient of softmax's input: output * (g - sum(g * output)) along `dim`. */
export const _softmaxBackwardData: (gradOutput: Tensor, output: Tensor, dim: number, inputDtype?: DType) => Tensor = op(
  {
    name: '_softmaxBackwardData',
    python: '_softmax_backward_data',
    signature: 'grad_output, output, dim, input_dtype',
    node: 'SoftmaxBackwardDataBackward0',
    samples: (t) => [[t(3, 4), t(3, 4), 1]],
    differentiable: true,
    forward: (g: Tensor, output: Tensor, dim: number, inputDtype: DType = g.dtype) =>
      mul(output, sub(g, sum(mul(g, output), dim, true))).to(inputDtype),
  },
)

type SegmentReduce = 'sum' | 'mean' | 'max' | 'min' | 'prod'
interface SegmentOptions {
  /** How many elements each segment has; with an axis above 0, for each row before it. */
  readonly lengths?: Tensor | null
  /** Where each segment starts, and the end of the last. */
  readonly offsets?: Tensor | null
  readonly axis?: number
  /** Skips the check that lengths sum to the size. */
  readonly unsafe?: boolean
  /** What a reduction starts from, and the result of an empty segment. */
  readonly initial?: number | null
}

const NEUTRAL: Record<SegmentReduce, number> = {
  sum: 0,
  mean: 0,
  max: Number.NEGATIVE_INFINITY,
  min: Number.POSITIVE_INFINITY,
  prod: 1,
}

/** How many elements each segment has, int64: [..., segments], with the dimensions before the axis in front. */
function lengthsOf(x: Tensor, axis: number, lengths: Tensor | null, offsets: Tensor | null, unsafe: boolean): Tensor {
  const given = (lengths ?? offsets)?.detach().to(int64)
  if (!given) throw new RuntimeError('segment_reduce(): Either lengths or offsets must be defined.')
  if (!lengths) return diff(given)
  if (unsafe) return given
  if (given.lt(0).any().item<boolean>()) throw new RuntimeError('lengths contains negative value!')
  if (given.sum(-1).ne(x.sizes[axis]).any().item<boolean>())
    throw new RuntimeError(
      'segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe.',
    )
  return given
}

/** Reduces runs of elements along `axis`; segments are given by their lengths or by their offsets. */
export const segmentReduce: (x: Tensor, reduce: SegmentReduce, options: SegmentOptions) => Tensor = op({
  name: 'segmentReduce',
  python: 'segment_reduce',
  signature: 'data, reduce, *, lengths, indices, offsets, axis, unsafe, initial',
  node: 'SegmentReduceBackward0',
  samples: (t) => [
    [t(5, 2), 'sum', { lengths: tensor([2, 0, 3]), initial: 1 }],
    [t(5), 'mean', { offsets: tensor([0, 2, 5]) }],
    [
      t(2, 4),
      'max',
      {
        lengths: tensor([
          [1, 3],
          [2, 2],
        ]),
        axis: 1,
      },
    ],
  ],
  differentiable: true,
  forward: (
    x: Tensor,
    reduce: SegmentReduce,
    lengths: Tensor | null = null,
    indices: Tensor | null = null,
    offsets: Tensor | null = null,
    axis = 0,
    unsafe = false,
    initial: number | null = null,
  ) => {
    if (!(reduce in NEUTRAL)) throw new ValueError(`segment_reduce(): unsupported reduction '${reduce}'`)
    if (!x.dtype.isFloatingPoint)
      throw new NotImplementedError(`"segment_reduce_cpu" not implemented for '${x.dtype.title}'`)
    if (indices) throw new RuntimeError('segment_reduce(): indices based reduction is not supported yet.')
    readsValues('segmentReduce')
    const d = wrapDim(axis, x.ndim)
    const parts = lengthsOf(x, d, lengths, offsets, unsafe).contiguous()
    const segments = parts.sizes[parts.ndim - 1]
    const n = x.sizes[d]
    // What lies beyond the last segment goes to one more, which is dropped.
    const ends = parts.clamp({ min: 0 }).cumsum(-1).clamp({ max: n })
    const marks = parts.newZeros([...parts.sizes.slice(0, -1), n + 1])
    const ids = marks.scatterAdd_(-1, ends, ends.onesLike()).cumsum(-1).narrow(-1, 0, n).contiguous()
    const shape = [...x.sizes.slice(0, d + 1), ...x.sizes.slice(d + 1).map(() => 1)]
    const sizes = x.sizes.map((size, i) => (i === d ? segments + 1 : size))
    const place = ids.view(shape).expand(x.sizes)
    const start = x.newFull(sizes, initial ?? NEUTRAL[reduce])
    const how = ({ sum: 'sum', mean: 'sum', max: 'amax', min: 'amin', prod: 'prod' } as const)[reduce]
    const out = narrow(scatterReduce(start, d, place, x, how), d, 0, segments)
    if (reduce !== 'mean') return out
    const perSegment = parts.to(x.dtype).view([...x.sizes.slice(0, d), segments, ...x.sizes.slice(d + 1).map(() => 1)])
    // An empty segment is its initial value, or NaN.
    return initial === null ? out.div(perSegment) : out.div(perSegment.clamp({ min: 1 }))
  },
})
export { segmentReduce as _segmentReduce }

/** Positions in a tensor of `shape` from positions in its elements row by row: one int64 tensor a dimension. */
export const unravelIndex: (indices: Tensor, shape: number | bigint | Sizes) => Tensor[] = op({
  name: 'unravelIndex',
  signature: 'indices, shape',
  samples: () => [[tensor([3, 7, 11]), [3, 4]]],
  forward: (indices: Tensor, shape: number | bigint | readonly (number | bigint)[]) => {
    if (indices.dtype.kind !== 'int')
      throw new ValueError(`expected 'indices' to be integer dtype, but got ${indices.dtype}`)
    const sizes = (Array.isArray(shape) ? shape : [shape]).map(whole)
    if (sizes.some((n) => n < 0n))
      throw new ValueError(`'shape' cannot have negative values, but got (${sizes.join(', ')})`)
    let step = 1n
    const steps = sizes.map(() => 0n)
    for (let i = sizes.length - 1; i >= 0; i--) {
      steps[i] = step
      step *= sizes[i]
    }
    const number = (n: bigint): Tensor => tensor(n, { dtype: int64 })
    return sizes.map((n, i) => indices.to(int64).floorDivide(number(steps[i])).remainder(number(n)))
  },
})

const LARGEST = 2n ** 63n - 1n
/** A size as an exact integer; sizes beyond JavaScript's exact numbers were rounded up on the way here. */
function whole(n: number | bigint): bigint {
  const exact = BigInt(n)
  return exact > LARGEST ? LARGEST : exact
}
