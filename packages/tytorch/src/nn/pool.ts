// Pooling as modules.
import { formatArguments } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import {
  type AdaptiveMax,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  type OutputSize,
} from '../ops/adaptive.ts'
import { type MaxPool, maxPool1d, maxPool2d, maxPool3d, maxUnpool1d, maxUnpool2d, maxUnpool3d } from '../ops/pool.ts'
import { avgPool1d, avgPool2d, avgPool3d, lpPool1d, lpPool2d, lpPool3d } from '../ops/poolaverage.ts'
import type { Extents } from '../ops/poolshape.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

/** A number for each of `rank` dimensions. */
const each = (given: Extents, rank: number): Sizes =>
  typeof given === 'number' ? Array.from({ length: rank }, () => given) : given

/** Throws Python's TypeError for an argument that must be given. */
function missing(name: string, argument: string): never {
  throw new TypeError(`${name}.__init__() missing 1 required positional argument: '${argument}'`)
}

interface MaxPoolOptions {
  readonly kernelSize?: Extents
  readonly stride?: Extents | null
  readonly padding?: Extents
  readonly dilation?: Extents
  readonly returnIndices?: boolean
  readonly ceilMode?: boolean
}

/** What max pooling over any number of dimensions shares; the stride is the kernel's size if absent. */
abstract class MaxPooling extends Module {
  readonly kernelSize: Extents
  readonly stride: Extents
  readonly padding: Extents
  readonly dilation: Extents
  readonly returnIndices: boolean
  readonly ceilMode: boolean

  constructor(
    ...args: Args<
      [
        kernelSize: Extents,
        stride?: Extents | null,
        padding?: Extents,
        dilation?: Extents,
        returnIndices?: boolean,
        ceilMode?: boolean,
      ],
      MaxPoolOptions
    >
  ) {
    super()
    const [
      kernelSize = missing(new.target.name, 'kernel_size'),
      stride = null,
      padding = 0,
      dilation = 1,
      returnIndices = false,
      ceilMode = false,
    ] = named<[Extents, Extents | null, Extents, Extents, boolean, boolean]>(
      new.target.name,
      'kernel_size, stride, padding, dilation, return_indices, ceil_mode',
      args,
    )
    this.kernelSize = kernelSize
    this.stride = stride ?? kernelSize
    this.padding = padding
    this.dilation = dilation
    this.returnIndices = returnIndices
    this.ceilMode = ceilMode
  }

  protected pool(fn: MaxPool, input: Tensor): Tensor {
    const { kernelSize, stride, padding, dilation, ceilMode, returnIndices } = this
    return fn(input, kernelSize, { stride, padding, dilation, ceilMode, returnIndices })
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this
    return formatArguments([], { kernelSize, stride, padding, dilation, ceilMode })
  }
}

/** The largest of each window of [N, C, L] or [C, L]; with `returnIndices` [values, indices]. */
export class MaxPool1d extends MaxPooling {
  forward(input: Tensor): Tensor {
    return this.pool(maxPool1d, input)
  }
}

/** The largest of each window of [N, C, H, W] or [C, H, W]; with `returnIndices` [values, indices]. */
export class MaxPool2d extends MaxPooling {
  forward(input: Tensor): Tensor {
    return this.pool(maxPool2d, input)
  }
}

/** The largest of each window of [N, C, D, H, W] or [C, D, H, W]; with `returnIndices` [values, indices]. */
export class MaxPool3d extends MaxPooling {
  forward(input: Tensor): Tensor {
    return this.pool(maxPool3d, input)
  }
}

interface UnpoolOptions {
  readonly kernelSize?: Extents
  readonly stride?: Extents | null
  readonly padding?: Extents
}

/** What unpooling over any number of dimensions shares. */
abstract class MaxUnpooling extends Module {
  protected abstract readonly rank: 1 | 2 | 3
  private readonly given: readonly [Extents, Extents, Extents]

  constructor(...args: Args<[kernelSize: Extents, stride?: Extents | null, padding?: Extents], UnpoolOptions>) {
    super()
    const [kernelSize = missing(new.target.name, 'kernel_size'), stride = null, padding = 0] = named<
      [Extents, Extents | null, Extents]
    >(new.target.name, 'kernel_size, stride, padding', args)
    this.given = [kernelSize, stride ?? kernelSize, padding]
  }

  get kernelSize(): Sizes {
    return each(this.given[0], this.rank)
  }

  get stride(): Sizes {
    return each(this.given[1], this.rank)
  }

  get padding(): Sizes {
    return each(this.given[2], this.rank)
  }

  /** `outputSize` where the pooling's input was no multiple of the stride. */
  forward(input: Tensor, indices: Tensor, outputSize: Sizes | null = null): Tensor {
    const fn = [maxUnpool1d, maxUnpool2d, maxUnpool3d][this.rank - 1]
    return fn(input, indices, this.kernelSize, this.stride, this.padding, outputSize)
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding } = this
    return formatArguments([], { kernelSize, stride, padding })
  }
}

/** Zeros with the maxima of `MaxPool1d` back in their places. */
export class MaxUnpool1d extends MaxUnpooling {
  protected get rank(): 1 {
    return 1
  }
}

/** Zeros with the maxima of `MaxPool2d` back in their places. */
export class MaxUnpool2d extends MaxUnpooling {
  protected get rank(): 2 {
    return 2
  }
}

/** Zeros with the maxima of `MaxPool3d` back in their places. */
export class MaxUnpool3d extends MaxUnpooling {
  protected get rank(): 3 {
    return 3
  }
}

interface AvgPoolOptions {
  readonly kernelSize?: Extents
  readonly stride?: Extents | null
  readonly padding?: Extents
  readonly ceilMode?: boolean
  readonly countIncludePad?: boolean
}

/** The mean of each window of [N, C, L] or [C, L]; the stride is the kernel's size if absent. */
export class AvgPool1d extends Module {
  readonly kernelSize: Sizes
  readonly stride: Sizes
  readonly padding: Sizes
  readonly ceilMode: boolean
  readonly countIncludePad: boolean

  constructor(
    ...args: Args<
      [kernelSize: Extents, stride?: Extents | null, padding?: Extents, ceilMode?: boolean, countIncludePad?: boolean],
      AvgPoolOptions
    >
  ) {
    super()
    const [
      kernelSize = missing('AvgPool1d', 'kernel_size'),
      stride = null,
      padding = 0,
      ceilMode = false,
      countIncludePad = true,
    ] = named<[Extents, Extents | null, Extents, boolean, boolean]>(
      'AvgPool1d',
      'kernel_size, stride, padding, ceil_mode, count_include_pad',
      args,
    )
    this.kernelSize = each(kernelSize, 1)
    this.stride = each(stride ?? kernelSize, 1)
    this.padding = each(padding, 1)
    this.ceilMode = ceilMode
    this.countIncludePad = countIncludePad
  }

  forward(input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad } = this
    return avgPool1d(input, kernelSize, { stride, padding, ceilMode, countIncludePad })
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding } = this
    return formatArguments([], { kernelSize, stride, padding })
  }
}

/** What average pooling over planes and volumes shares. */
abstract class AvgPooling extends Module {
  readonly kernelSize: Extents
  readonly stride: Extents
  readonly padding: Extents
  readonly ceilMode: boolean
  readonly countIncludePad: boolean
  readonly divisorOverride: number | null

  constructor(
    ...args: Args<
      [
        kernelSize: Extents,
        stride?: Extents | null,
        padding?: Extents,
        ceilMode?: boolean,
        countIncludePad?: boolean,
        divisorOverride?: number | null,
      ],
      AvgPoolOptions & { readonly divisorOverride?: number | null }
    >
  ) {
    super()
    const [
      kernelSize = missing(new.target.name, 'kernel_size'),
      stride = null,
      padding = 0,
      ceilMode = false,
      countIncludePad = true,
      divisorOverride = null,
    ] = named<[Extents, Extents | null, Extents, boolean, boolean, number | null]>(
      new.target.name,
      'kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override',
      args,
    )
    this.kernelSize = kernelSize
    this.stride = stride ?? kernelSize
    this.padding = padding
    this.ceilMode = ceilMode
    this.countIncludePad = countIncludePad
    this.divisorOverride = divisorOverride
  }

  protected pool(fn: typeof avgPool2d, input: Tensor): Tensor {
    const { kernelSize, stride, padding, ceilMode, countIncludePad, divisorOverride } = this
    return fn(input, kernelSize, { stride, padding, ceilMode, countIncludePad, divisorOverride })
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding } = this
    return formatArguments([], { kernelSize, stride, padding })
  }
}

/** The mean of each window of [N, C, H, W] or [C, H, W]. */
export class AvgPool2d extends AvgPooling {
  forward(input: Tensor): Tensor {
    return this.pool(avgPool2d, input)
  }
}

/** The mean of each window of [N, C, D, H, W] or [C, D, H, W]. */
export class AvgPool3d extends AvgPooling {
  forward(input: Tensor): Tensor {
    return this.pool(avgPool3d, input)
  }
}

interface LPPoolOptions {
  readonly normType?: number
  readonly kernelSize?: Extents
  readonly stride?: Extents | null
  readonly ceilMode?: boolean
}

/** What power-average pooling over any number of dimensions shares. */
abstract class LPPooling extends Module {
  readonly normType: number
  readonly kernelSize: Extents
  readonly stride: Extents | null
  readonly ceilMode: boolean

  constructor(
    ...args: Args<[normType: number, kernelSize: Extents, stride?: Extents | null, ceilMode?: boolean], LPPoolOptions>
  ) {
    super()
    const [
      normType = missing(new.target.name, 'norm_type'),
      kernelSize = missing(new.target.name, 'kernel_size'),
      stride = null,
      ceilMode = false,
    ] = named<[number, Extents, Extents | null, boolean]>(
      new.target.name,
      'norm_type, kernel_size, stride, ceil_mode',
      args,
    )
    this.normType = normType
    this.kernelSize = kernelSize
    this.stride = stride
    this.ceilMode = ceilMode
  }

  protected pool(fn: typeof lpPool1d, input: Tensor): Tensor {
    const { normType, kernelSize, stride, ceilMode } = this
    return fn(input, normType, kernelSize, { stride, ceilMode })
  }

  override extraRepr(): string {
    const { normType, kernelSize, stride, ceilMode } = this
    return formatArguments([], { normType, kernelSize, stride, ceilMode })
  }
}

/** The p-norm of each window of [N, C, L] or [C, L]. */
export class LPPool1d extends LPPooling {
  forward(input: Tensor): Tensor {
    return this.pool(lpPool1d, input)
  }
}

/** The p-norm of each window of [N, C, H, W] or [C, H, W]. */
export class LPPool2d extends LPPooling {
  forward(input: Tensor): Tensor {
    return this.pool(lpPool2d, input)
  }
}

/** The p-norm of each window of [N, C, D, H, W] or [C, D, H, W]. */
export class LPPool3d extends LPPooling {
  forward(input: Tensor): Tensor {
    return this.pool(lpPool3d, input)
  }
}

/** What adaptive average pooling over any number of dimensions shares. */
abstract class AdaptiveAveraging extends Module {
  readonly outputSize: OutputSize

  constructor(outputSize: OutputSize | { readonly outputSize: OutputSize }) {
    super()
    this.outputSize = sizeOf(new.target.name, outputSize)
  }

  override extraRepr(): string {
    return formatArguments([], { outputSize: this.outputSize })
  }
}

function sizeOf(name: string, given: OutputSize | { readonly outputSize: OutputSize }): OutputSize {
  const [size] = named<[OutputSize]>(name, 'output_size', [given])
  return size as OutputSize
}

/** The means of `outputSize` windows of [N, C, L] or [C, L]. */
export class AdaptiveAvgPool1d extends AdaptiveAveraging {
  forward(input: Tensor): Tensor {
    return adaptiveAvgPool1d(input, this.outputSize)
  }
}

/** The means of `outputSize` windows of [N, C, H, W] or [C, H, W]; null keeps a size. */
export class AdaptiveAvgPool2d extends AdaptiveAveraging {
  forward(input: Tensor): Tensor {
    return adaptiveAvgPool2d(input, this.outputSize)
  }
}

/** The means of `outputSize` windows of [N, C, D, H, W] or [C, D, H, W]; null keeps a size. */
export class AdaptiveAvgPool3d extends AdaptiveAveraging {
  forward(input: Tensor): Tensor {
    return adaptiveAvgPool3d(input, this.outputSize)
  }
}

/** What adaptive max pooling over any number of dimensions shares. */
abstract class AdaptiveLargest extends Module {
  readonly outputSize: OutputSize
  readonly returnIndices: boolean

  constructor(
    ...args: Args<
      [outputSize: OutputSize, returnIndices?: boolean],
      { readonly outputSize?: OutputSize; readonly returnIndices?: boolean }
    >
  ) {
    super()
    const [outputSize = missing(new.target.name, 'output_size'), returnIndices = false] = named<[OutputSize, boolean]>(
      new.target.name,
      'output_size, return_indices',
      args,
    )
    this.outputSize = outputSize
    this.returnIndices = returnIndices
  }

  protected pool(fn: AdaptiveMax, input: Tensor): Tensor {
    return fn(input, this.outputSize, { returnIndices: this.returnIndices }) as Tensor
  }

  override extraRepr(): string {
    return formatArguments([], { outputSize: this.outputSize })
  }
}

/** The largest of `outputSize` windows of [N, C, L] or [C, L]; with `returnIndices` [values, indices]. */
export class AdaptiveMaxPool1d extends AdaptiveLargest {
  forward(input: Tensor): Tensor {
    return this.pool(adaptiveMaxPool1d, input)
  }
}

/** The largest of `outputSize` windows of [N, C, H, W] or [C, H, W]; with `returnIndices` [values, indices]. */
export class AdaptiveMaxPool2d extends AdaptiveLargest {
  forward(input: Tensor): Tensor {
    return this.pool(adaptiveMaxPool2d, input)
  }
}

/** The largest of `outputSize` windows of [N, C, D, H, W] or [C, D, H, W]; with `returnIndices` [values, indices]. */
export class AdaptiveMaxPool3d extends AdaptiveLargest {
  forward(input: Tensor): Tensor {
    return this.pool(adaptiveMaxPool3d, input)
  }
}
