// Complex numbers as scalars: what item() and tolist() give for complex tensors, and what arithmetic takes.
import { formatFloat } from './format.ts'

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** A complex number, `new Complex(1, 2)` for Python's `1+2j`. */
export class Complex {
  readonly re: number
  readonly im: number

  constructor(re: number, im = 0) {
    this.re = re
    this.im = im
  }

  /** As Python prints it, `(1+2j)`; no real part if that is 0. */
  toString(): string {
    const part = (x: number): string => formatFloat(x).replace(/\.0$/, '')
    if (Object.is(this.re, 0)) return `${part(this.im)}j`
    const im = part(this.im)
    return `(${part(this.re)}${im.startsWith('-') ? '' : '+'}${im}j)`
  }

  [inspect](): string {
    return this.toString()
  }
}
