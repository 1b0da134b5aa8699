// Max pooling over windows of one to three dimensions, with the positions of the maxima, and its partial inverse.
import { bool, int32, int64 } from '../base/dtype.ts'
import { NotImplementedError, RuntimeError, ValueError } from '../base/errors.ts'
import { formatList } from '../base/format.ts'
import { numelOf, type Sizes, sameSizes } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { record, requiresGrad } from '../tensor/node.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type ValuesIndices, valuesIndices } from './extreme.ts'
import { windowMax, windowSpread } from './poolkernel.ts'
import { type Extents, extents, type Windows, windowsOf } from './poolshape.ts'

interface MaxPoolOptions {
  readonly stride?: Extents | null
  readonly padding?: Extents
  readonly dilation?: Extents
  /** Also counts windows that lie partly outside. */
  readonly ceilMode?: boolean
  /** Answers [values, indices] instead: the int64 position of each maximum in its plane. */
  readonly returnIndices?: boolean
}

type PoolArgs = Args<
  [stride?: Extents | null, padding?: Extents, dilation?: Extents, ceilMode?: boolean, returnIndices?: boolean],
  MaxPoolOptions
>

/** A max pooling: a tensor, or with `returnIndices` values and indices. */
export interface MaxPool {
  (x: Tensor, kernelSize: Extents, options: MaxPoolOptions & { readonly returnIndices: true }): ValuesIndices
  (x: Tensor, kernelSize: Extents, stride: Extents | null, padding: Extents, dilation: Extents, ceilMode: boolean, returnIndices: true): ValuesIndices // biome-ignore format: an overload
  (x: Tensor, kernelSize: Extents, ...args: PoolArgs): Tensor
}

/** The gradient of a max pooling, itself differentiable: `at` are the positions, `sizes` those of the input. */
function maxBackward(g: Tensor, at: Tensor, w: Windows, sizes: Sizes, node: string): Tensor {
  const out = windowSpread(g, at, w, sizes)
  return record(out, `${node}Backward0`, [g], [at], (gg, [index]) => [chosen(gg, index.to(int64), w.rank)])
}

/** The elements of `x` at positions `index` of its planes. */
export function chosen(x: Tensor, index: Tensor, rank: number): Tensor {
  const lead = x.sizes.slice(0, x.ndim - rank)
  const count = (t: Tensor): number => numelOf(t.sizes.slice(t.ndim - rank))
  const flat = x.reshape([...lead, count(x)])
  return flat.gather(lead.length, index.reshape([...lead, count(index)])).reshape(index.sizes)
}

function maxPool(rank: number): MaxPool {
  const name = `maxPool${rank}d`
  const python = `max_pool${rank}d`
  const node = `MaxPool${Math.max(rank, 2)}DWithIndices`
  return op({
    name,
    python: `nn.functional.${python}`,
    signature: 'input, kernel_size, stride, padding, dilation, ceil_mode, return_indices',
    ...(rank === 1 ? { lastNode: 'SqueezeBackward1' } : {}),
    differentiable: true,
    samples: (t) => {
      const at = (...sizes: number[]): Tensor => t(rank === 3 ? 1 : 2, ...sizes.slice(-rank))
      return [
        [at(2, 4, 6), 2],
        [at(2, 5, 4), 2, { stride: 2, padding: 1 }],
        [at(4, 5, 6), 2, { dilation: 2, stride: 1, ceilMode: true }],
        [at(2, 3, 7), rank === 3 ? [2, 3, 3] : 3, 3, 1, 1, true, true],
      ]
    },
    forward: (
      x: Tensor,
      kernel: Extents,
      stride?: Extents | null,
      padding?: Extents,
      dilation?: Extents,
      ceil?: boolean,
      returnIndices = false,
    ) => {
      const w = windowsOf(python, x, rank, { kernel, stride, padding, dilation, ceil })
      const tracked = isGradEnabled() && requiresGrad(x)
      if (x.dtype === bool || (rank === 1 && !x.dtype.isFloatingPoint && !returnIndices)) {
        const kernelName = rank === 1 ? 'max_pool1d_impl' : python
        throw new NotImplementedError(`"${kernelName}" not implemented for '${x.dtype.title}'`)
      }
      const { out, at } = windowMax(x, w, returnIndices ? int64 : tracked ? int32 : null)
      const { sizes } = x
      if (at)
        record(out, `${node}Backward0`, [x], [at], (g, [index]) => [maxBackward(g, index, w, sizes, `${node}Backward`)])
      return returnIndices ? valuesIndices(out, at as Tensor) : out
    },
  }) as unknown as MaxPool
}

/** The largest of each window of [N, C, L] or [C, L]; borders count for nothing. `stride` is the kernel's size if absent. */
export const maxPool1d: MaxPool = maxPool(1)
/** As `maxPool1d` for [N, C, H, W] or [C, H, W]; integers too. */
export const maxPool2d: MaxPool = maxPool(2)
/** As `maxPool1d` for [N, C, D, H, W] or [C, D, H, W]; integers too. */
export const maxPool3d: MaxPool = maxPool(3)

/** The gradient of `maxPool2d` from that of its values: `gradOutput` added up at the positions `indices` of x's planes. */
export const maxPool2dWithIndicesBackward: (
  gradOutput: Tensor,
  x: Tensor,
  kernelSize: Extents,
  stride: Extents | null,
  padding: Extents,
  dilation: Extents,
  ceilMode: boolean,
  indices: Tensor,
) => Tensor = op({
  name: 'maxPool2dWithIndicesBackward',
  python: 'max_pool2d_with_indices_backward',
  signature: 'grad_output, self, kernel_size, stride, padding, dilation, ceil_mode, indices',
  differentiable: true,
  samples: (t) => {
    const x = t(2, 4, 6)
    const [values, indices] = maxPool2d(x.detach(), 2, { returnIndices: true })
    return [[values, x, 2, 2, 0, 1, false, indices]]
  },
  forward: (
    g: Tensor,
    x: Tensor,
    kernel: Extents,
    stride: Extents | null,
    padding: Extents,
    dilation: Extents,
    ceil: boolean,
    indices: Tensor,
  ) => {
    const w = windowsOf('max_pool2d_with_indices_backward', x, 2, { kernel, stride, padding, dilation, ceil })
    if (!sameSizes(g.sizes, w.sizes) || !sameSizes(indices.sizes, w.sizes)) {
      throw new RuntimeError(
        `Expected a tensor of dimension ${w.sizes.length} and sizes [${w.sizes.join(', ')}], but got gradients [${g.sizes.join(', ')}] and indices [${indices.sizes.join(', ')}]`,
      )
    }
    const out = spread(g.detach(), indices, x.sizes, 2, 'add')
    return record(out, 'MaxPool2DWithIndicesBackwardBackward0', [g, x], [indices], (gg, [index], needs) => [
      needs[0] ? chosen(gg, index, 2) : null,
      needs[1] ? gg.zerosLike() : null,
    ])
  },
})

/** Zeros of `sizes` with the elements of `x` at the positions `index` of its planes. */
export function spread(x: Tensor, index: Tensor, sizes: Sizes, rank: number, how: 'set' | 'add'): Tensor {
  const lead = x.sizes.slice(0, x.ndim - rank)
  const flat = (t: Tensor): Tensor => t.reshape([...lead, numelOf(t.sizes.slice(t.ndim - rank))])
  const zeros = x.newZeros([...lead, numelOf(sizes.slice(sizes.length - rank))])
  const dim = lead.length
  const out = how === 'set' ? zeros.scatter_(dim, flat(index), flat(x)) : zeros.scatterAdd_(dim, flat(index), flat(x))
  return out.view(sizes)
}

interface UnpoolOptions {
  readonly stride?: Extents | null
  readonly padding?: Extents
  /** The result's sizes, with or without batch and channels, where the pooling's input is not a multiple of the stride. */
  readonly outputSize?: Sizes | null
}
type Unpool = (
  x: Tensor,
  indices: Tensor,
  kernelSize: Extents,
  ...args: Args<[stride?: Extents | null, padding?: Extents, outputSize?: Sizes | null], UnpoolOptions>
) => Tensor

/** The spatial sizes of the result. Throws ValueError for an `outputSize` that the pooling can't have come from. */
function unpooledSize(x: Tensor, kernel: Sizes, stride: Sizes, pad: Sizes, given: Sizes | null | undefined): Sizes {
  const rank = kernel.length
  const usual = kernel.map((k, i) => (x.sizes[x.ndim - rank + i] - 1) * stride[i] + k - 2 * pad[i])
  if (!given) return usual
  const size = given.length === rank + 2 ? given.slice(2) : given
  if (size.length !== rank) {
    throw new ValueError(
      `output_size should be a sequence containing ${rank} or ${rank + 2} elements, but it has a length of '${given.length}'`,
    )
  }
  size.forEach((n, d) => {
    const [min, max] = [usual[d] - stride[d], usual[d] + stride[d]]
    if (!(min < n && n < max))
      throw new ValueError(`invalid output_size "${formatList(size)}" (dim ${d} must be between ${min} and ${max})`)
  })
  return size
}

function maxUnpool(rank: number): Unpool {
  const python = `max_unpool${rank}d`
  return op({
    name: `maxUnpool${rank}d`,
    ...(rank === 1 ? { lastNode: 'SqueezeBackward1' } : {}),
    python: `nn.functional.${python}`,
    signature: 'input, indices, kernel_size, stride, padding, output_size',
    differentiable: true,
    samples: (t) => {
      const [values, indices] = (MAX[rank - 1] as MaxPool)(t(2, ...[4, 6, 4].slice(0, rank)), 2, {
        returnIndices: true,
      })
      return [[values.detach().requiresGrad_(), indices, 2]]
    },
    forward: (
      x: Tensor,
      indices: Tensor,
      kernelSize: Extents,
      strides?: Extents | null,
      padding: Extents = 0,
      outputSize?: Sizes | null,
    ) => {
      const kernel = extents(python, 'kernel_size', kernelSize, rank)
      const stride = strides === undefined || strides === null ? kernel : extents(python, 'stride', strides, rank)
      const pad = extents(python, 'padding', padding, rank)
      const size = unpooledSize(x, kernel, stride, pad, outputSize)
      if (indices.dtype !== int64)
        throw new RuntimeError(`elements in indices should be type int64 but got: ${indices.dtype.title}`)
      if (x.ndim !== rank + 1 && x.ndim !== rank + 2) {
        throw new RuntimeError(
          `Input to ${python} should be a ${rank + 1}d or ${rank + 2}d Tensor, but got a tensor with ${x.ndim} dimensions.`,
        )
      }
      if (!sameSizes(x.sizes, indices.sizes)) {
        throw new RuntimeError(
          `Expected shape of indices to be same as that of the input tensor ([${x.sizes.join(', ')}]) but got indices tensor with shape: [${indices.sizes.join(', ')}]`,
        )
      }
      const sizes = [...x.sizes.slice(0, x.ndim - rank), ...size]
      const out = spread(x.detach(), indices, sizes, rank, 'set')
      return record(out, `MaxUnpool${Math.max(rank, 2)}DBackward0`, [x], [indices], (g, [at]) => [chosen(g, at, rank)])
    },
  })
}

const MAX = [maxPool1d, maxPool2d, maxPool3d]

/** Zeros with the maxima of `maxPool1d` back in their places: `indices` as that returned them. */
export const maxUnpool1d: Unpool = maxUnpool(1)
/** Zeros with the maxima of `maxPool2d` back in their places. */
export const maxUnpool2d: Unpool = maxUnpool(2)
/** Zeros with the maxima of `maxPool3d` back in their places. */
export const maxUnpool3d: Unpool = maxUnpool(3)
