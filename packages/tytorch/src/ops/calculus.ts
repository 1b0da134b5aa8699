// Derivatives of sampled functions: gradient, and trapz, the older name of trapezoid.
import { RuntimeError } from '../base/errors.ts'
import { type Sizes, wrapDim } from '../base/shape.ts'
import { type Args, op } from '../tensor/define.ts'
import { Tensor } from '../tensor/tensor.ts'
import { cat } from './join.ts'
import { trapezoid } from './scan.ts'
import { narrow } from './slice.ts'

type Spacing = number | readonly number[] | readonly Tensor[] | Tensor
interface GradientOptions {
  /** The distance of neighbours (1): one for all dimensions, one each, or the coordinates along each. */
  readonly spacing?: Spacing | null
  readonly dim?: number | Sizes | null
  /** 1 or 2: the order of accuracy at the ends. */
  readonly edgeOrder?: number
}

/** Neighbours' differences along `d`, `steps` apart or at the coordinates of a vector. */
function derivative(f: Tensor, d: number, spacing: number | Tensor, order: number): Tensor {
  const n = f.sizes[d]
  const at = (start: number, length: number): Tensor => narrow(f, d, start, length)
  if (typeof spacing === 'number') {
    const middle = at(2, n - 2)
      .sub(at(0, n - 2))
      .div(2 * spacing)
    const first = order === 1 ? at(1, 1).sub(at(0, 1)) : at(0, 1).mul(-1.5).add(at(1, 1).mul(2)).sub(at(2, 1).mul(0.5))
    const last =
      order === 1
        ? at(n - 1, 1).sub(at(n - 2, 1))
        : at(n - 1, 1)
            .mul(1.5)
            .sub(at(n - 2, 1).mul(2))
            .add(at(n - 3, 1).mul(0.5))
    return cat([first.div(spacing), middle, last.div(spacing)], d)
  }
  const shape = f.sizes.map((_, i) => (i === d ? -1 : 1))
  const steps = narrow(spacing, 0, 1, n - 1).sub(narrow(spacing, 0, 0, n - 1))
  const step = (start: number, length: number): Tensor => narrow(steps, 0, start, length).view(shape)
  const [before, after] = [step(0, n - 2), step(1, n - 2)]
  const both = before.add(after)
  const middle = at(0, n - 2)
    .mul(after.neg().div(before.mul(both)))
    .add(at(1, n - 2).mul(after.sub(before).div(before.mul(after))))
    .add(at(2, n - 2).mul(before.div(after.mul(both))))
  /** The derivative at an end: the nearest three values with the two steps between, outermost first. */
  const end = (f0: Tensor, f1: Tensor, f2: () => Tensor, h1: Tensor, h2: () => Tensor): Tensor => {
    if (order === 1) return f1.sub(f0).div(h1)
    const second = h2()
    const sum = h1.add(second)
    return f0
      .mul(h1.mul(2).add(second).neg().div(h1.mul(sum)))
      .add(f1.mul(sum.div(h1.mul(second))))
      .sub(f2().mul(h1.div(second.mul(sum))))
  }
  const first = end(
    at(0, 1),
    at(1, 1),
    () => at(2, 1),
    step(0, 1),
    () => step(1, 1),
  )
  const last = end(
    at(n - 1, 1),
    at(n - 2, 1),
    () => at(n - 3, 1),
    step(n - 2, 1).neg(),
    () => step(n - 3, 1).neg(),
  )
  return cat([first, middle, last], d)
}

/**
 * The derivatives of a function sampled on a grid, one a dimension, by central differences of second order.
 * Throws RuntimeError where a dimension has fewer than edgeOrder + 1 elements.
 */
export const gradient: (x: Tensor, options?: GradientOptions) => Tensor[] = op({
  name: 'gradient',
  signature: 'input, *, spacing, dim, edge_order',
  samples: (t) => [[t(4)], [t(3, 4), { edgeOrder: 2 }], [t(3, 4), { spacing: [2, 0.5], dim: [0, 1] }]],
  differentiable: true,
  forward: (x: Tensor, spacing?: Spacing | null, dim?: number | Sizes | null, edgeOrder = 1) => {
    if (edgeOrder !== 1 && edgeOrder !== 2)
      throw new RuntimeError('torch.gradient only supports edge_order=1 and edge_order=2.')
    const given = dim === undefined || dim === null ? [...x.sizes.keys()] : typeof dim === 'number' ? [dim] : dim
    const dims = given.map((d) => wrapDim(d, x.ndim))
    const twice = dims.find((d, i) => dims.indexOf(d) !== i)
    if (twice !== undefined) throw new RuntimeError(`dim ${twice} appears multiple times in the list of dims`)
    const listed = Array.isArray(spacing) ? (spacing as readonly (number | Tensor)[]) : null
    if (listed && listed.length !== dims.length) {
      const expected = dim === undefined || dim === null ? `'self.dim() = ${x.ndim}'` : `'dim = ${dims.length}'`
      throw new RuntimeError(
        `torch.gradient expected spacing to be unspecified, a scalar or a list of length equal to ${expected}, but got a list of length ${listed.length}`,
      )
    }
    for (const d of dims) {
      if (x.sizes[d] < edgeOrder + 1)
        throw new RuntimeError('torch.gradient expected each dimension size to be at least edge_order+1')
    }
    const of = (i: number): number | Tensor =>
      listed ? listed[i] : typeof spacing === 'number' || spacing instanceof Tensor ? spacing : 1
    return dims.map((d, i) => {
      const steps = of(i)
      if (steps instanceof Tensor && (steps.ndim !== 1 || steps.sizes[0] !== x.sizes[d])) {
        throw new RuntimeError(
          'torch.gradient expected each element of spacing to have exactly one dimension, of the size of the dimension that it belongs to',
        )
      }
      return derivative(x, d, steps, edgeOrder)
    })
  },
})

interface TrapzOptions {
  readonly x?: Tensor
  readonly dx?: number
  readonly dim?: number
}
/** The older name of `trapezoid`. */
export const trapz: (y: Tensor, ...args: Args<[x?: Tensor], TrapzOptions>) => Tensor = op({
  name: 'trapz',
  signature: 'y, x, *, dx, dim',
  lastNode: (_y, x) => (x ? 'DivBackward1' : 'MulBackward1'),
  samples: (t) => [[t(3, 4)], [t(3, 4), t(4)]],
  differentiable: true,
  forward: (y: Tensor, x?: Tensor, dx = 1, dim = -1) => (x ? trapezoid(y, x, { dim }) : trapezoid(y, { dx, dim })),
})
