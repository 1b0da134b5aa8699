// Padding as modules.

import { RuntimeError } from '../base/errors.ts'
import { formatArguments, formatTuple } from '../base/format.ts'
import type { Sizes } from '../base/shape.ts'
import { type PadMode, pad } from '../ops/pad.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

type Padding = number | Sizes
type Given = Padding | { readonly padding: Padding }

/** [left, right, top, bottom, ...] for `rank` dimensions. */
function widthsOf(name: string, given: Given, rank: number): Sizes {
  const [padding] = named<[Padding]>(name, 'padding', [given])
  const list = typeof padding === 'number' ? Array.from({ length: 2 * rank }, () => padding) : (padding as Sizes)
  if (list.length !== 2 * rank)
    throw new RuntimeError(`${name}: padding must be an int or ${2 * rank} ints, got ${list.length}`)
  return list
}

/** Borders made of the tensor's own elements. */
abstract class Mirroring extends Module {
  readonly padding: Sizes
  private readonly mode: PadMode

  constructor(name: string, given: Given, rank: number, mode: PadMode) {
    super()
    this.padding = widthsOf(name, given, rank)
    this.mode = mode
  }

  forward(input: Tensor): Tensor {
    return pad(input, this.padding, this.mode)
  }

  override extraRepr(): string {
    return formatTuple(this.padding)
  }
}

/** Borders of one value. */
abstract class Filling extends Module {
  readonly padding: Sizes
  readonly value: number

  constructor(padding: Sizes, value: number) {
    super()
    this.padding = padding
    this.value = value
  }

  forward(input: Tensor): Tensor {
    return pad(input, this.padding, 'constant', this.value)
  }

  override extraRepr(): string {
    const { padding, value } = this
    return formatArguments([], { padding, value })
  }
}

/** [N, C, L] or [C, L] with borders of `value`; `padding` is one width or [left, right]. */
export class ConstantPad1d extends Filling {
  constructor(
    ...args: Args<[padding: Padding, value?: number], { readonly padding?: Padding; readonly value?: number }>
  ) {
    const [widths, value = 0] = named<[Padding, number]>('ConstantPad1d', 'padding, value', args)
    super(widthsOf('ConstantPad1d', widths as Padding, 1), value)
  }
}

/** [N, C, H, W] or [C, H, W] with borders of `value`; `padding` is one width or [left, right, top, bottom]. */
export class ConstantPad2d extends Filling {
  constructor(
    ...args: Args<[padding: Padding, value?: number], { readonly padding?: Padding; readonly value?: number }>
  ) {
    const [widths, value = 0] = named<[Padding, number]>('ConstantPad2d', 'padding, value', args)
    super(widthsOf('ConstantPad2d', widths as Padding, 2), value)
  }
}

/** [N, C, D, H, W] or [C, D, H, W] with borders of `value`; `padding` is one width or [left, right, top, bottom, front, back]. */
export class ConstantPad3d extends Filling {
  constructor(
    ...args: Args<[padding: Padding, value?: number], { readonly padding?: Padding; readonly value?: number }>
  ) {
    const [widths, value = 0] = named<[Padding, number]>('ConstantPad3d', 'padding, value', args)
    super(widthsOf('ConstantPad3d', widths as Padding, 3), value)
  }
}

/** [N, C, L] or [C, L] with borders of zeros; `padding` is one width or [left, right]. */
export class ZeroPad1d extends Filling {
  constructor(padding: Given) {
    super(widthsOf('ZeroPad1d', padding, 1), 0)
  }

  override extraRepr(): string {
    return formatTuple(this.padding)
  }
}

/** [N, C, H, W] or [C, H, W] with borders of zeros; `padding` is one width or [left, right, top, bottom]. */
export class ZeroPad2d extends Filling {
  constructor(padding: Given) {
    super(widthsOf('ZeroPad2d', padding, 2), 0)
  }

  override extraRepr(): string {
    return formatTuple(this.padding)
  }
}

/** [N, C, D, H, W] or [C, D, H, W] with borders of zeros; `padding` is one width or [left, right, top, bottom, front, back]. */
export class ZeroPad3d extends Filling {
  constructor(padding: Given) {
    super(widthsOf('ZeroPad3d', padding, 3), 0)
  }

  override extraRepr(): string {
    return formatTuple(this.padding)
  }
}

/** [N, C, L] or [C, L] with borders mirrored at the edge; `padding` is one width or [left, right]. */
export class ReflectionPad1d extends Mirroring {
  constructor(padding: Given) {
    super('ReflectionPad1d', padding, 1, 'reflect')
  }
}

/** [N, C, H, W] or [C, H, W] with borders mirrored at the edge; `padding` is one width or [left, right, top, bottom]. */
export class ReflectionPad2d extends Mirroring {
  constructor(padding: Given) {
    super('ReflectionPad2d', padding, 2, 'reflect')
  }
}

/** [N, C, D, H, W] or [C, D, H, W] with borders mirrored at the edge; `padding` is one width or [left, right, top, bottom, front, back]. */
export class ReflectionPad3d extends Mirroring {
  constructor(padding: Given) {
    super('ReflectionPad3d', padding, 3, 'reflect')
  }
}

/** [N, C, L] or [C, L] with borders that repeat the edge; `padding` is one width or [left, right]. */
export class ReplicationPad1d extends Mirroring {
  constructor(padding: Given) {
    super('ReplicationPad1d', padding, 1, 'replicate')
  }
}

/** [N, C, H, W] or [C, H, W] with borders that repeat the edge; `padding` is one width or [left, right, top, bottom]. */
export class ReplicationPad2d extends Mirroring {
  constructor(padding: Given) {
    super('ReplicationPad2d', padding, 2, 'replicate')
  }
}

/** [N, C, D, H, W] or [C, D, H, W] with borders that repeat the edge; `padding` is one width or [left, right, top, bottom, front, back]. */
export class ReplicationPad3d extends Mirroring {
  constructor(padding: Given) {
    super('ReplicationPad3d', padding, 3, 'replicate')
  }
}

/** [N, C, L] or [C, L] with borders wrapped around; `padding` is one width or [left, right]. */
export class CircularPad1d extends Mirroring {
  constructor(padding: Given) {
    super('CircularPad1d', padding, 1, 'circular')
  }
}

/** [N, C, H, W] or [C, H, W] with borders wrapped around; `padding` is one width or [left, right, top, bottom]. */
export class CircularPad2d extends Mirroring {
  constructor(padding: Given) {
    super('CircularPad2d', padding, 2, 'circular')
  }
}

/** [N, C, D, H, W] or [C, D, H, W] with borders wrapped around; `padding` is one width or [left, right, top, bottom, front, back]. */
export class CircularPad3d extends Mirroring {
  constructor(padding: Given) {
    super('CircularPad3d', padding, 3, 'circular')
  }
}
