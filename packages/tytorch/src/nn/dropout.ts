// Dropout as modules: they act while training only.

import { ValueError } from '../base/errors.ts'
import { formatFloat } from '../base/format.ts'
import { alphaDropout, dropout, dropout1d, dropout2d, dropout3d } from '../ops/dropout.ts'
import type { Args } from '../tensor/define.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { named } from './arguments.ts'
import { Module } from './module.ts'

interface DropoutOptions {
  readonly p?: number
  readonly inplace?: boolean
}

/** What all forms of dropout share. */
abstract class Dropping extends Module {
  /** The probability of a zero. */
  p: number
  inplace: boolean

  constructor(...args: Args<[p?: number, inplace?: boolean], DropoutOptions>) {
    super()
    const [p = 0.5, inplace = false] = named<[number, boolean]>(new.target.name, 'p, inplace', args)
    if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout probability has to be between 0 and 1, but got ${p}`)
    this.p = p
    this.inplace = inplace
  }

  override extraRepr(): string {
    const p = Number.isInteger(this.p) ? String(this.p) : formatFloat(this.p)
    return `p=${p}, inplace=${this.inplace ? 'True' : 'False'}`
  }
}

/**
 * Sets elements to 0 with probability p (0.5) while training, and scales the others by 1 / (1 - p); the identity after
 * `eval()` (https://arxiv.org/abs/1207.0580). Throws ValueError for p outside [0, 1].
 */
export class Dropout extends Dropping {
  forward(input: Tensor): Tensor {
    return dropout(input, this.p, this.training, this.inplace)
  }
}

/** As `Dropout` for whole channels of [N, C, L] or [C, L] (https://arxiv.org/abs/1411.4280). */
export class Dropout1d extends Dropping {
  forward(input: Tensor): Tensor {
    return dropout1d(input, this.p, this.training, this.inplace)
  }
}

/** As `Dropout` for whole channels of [N, C, H, W]. */
export class Dropout2d extends Dropping {
  forward(input: Tensor): Tensor {
    return dropout2d(input, this.p, this.training, this.inplace)
  }
}

/** As `Dropout` for whole channels of [N, C, D, H, W]. */
export class Dropout3d extends Dropping {
  forward(input: Tensor): Tensor {
    return dropout3d(input, this.p, this.training, this.inplace)
  }
}

/** Dropout that keeps mean and variance of what went through `SELU` (https://arxiv.org/abs/1706.02515). */
export class AlphaDropout extends Dropping {
  forward(input: Tensor): Tensor {
    return alphaDropout(input, this.p, this.training, this.inplace)
  }
}
