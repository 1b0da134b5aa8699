// Element-wise functions of one tensor and a few numbers, from their value and their slope: one kernel forward, one
// back; where the backward pass is itself recorded (createGraph) the slope is made of tensor ops.
import type { ComputeType, DType } from '../base/dtype.ts'
import { NotImplementedError } from '../base/errors.ts'
import { type Expr, k, load, scalar } from '../ir/expr.ts'
import { mapKernel } from '../ir/kernel.ts'
import { type Args, type Domain, op } from '../tensor/define.ts'
import { snapshot } from '../tensor/elementwise.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { changeInPlace, record, requiresGrad } from '../tensor/node.ts'
import { Prepared, runMap } from '../tensor/run.ts'
import { emptyLike, type Tensor } from '../tensor/tensor.ts'
import { mul } from './arithmetic.ts'

/** A function of one element and of a few numbers. */
export interface Formula {
  /** PyTorch's name of the node. */
  readonly node: string
  readonly value: (x: Expr, ...p: Expr[]) => Expr
  /** The derivative. */
  readonly slope: (x: Expr, ...p: Expr[]) => Expr
  /** The derivative in tensor ops, for higher derivatives; absent where the slope is constant piece by piece. */
  readonly curve?: (x: Tensor, ...p: number[]) => Tensor
  /** PyTorch's kernel, as its error for integers names it; the op's name with `_cpu` if absent. */
  readonly kernel?: string
  /** Takes integers too. */
  readonly integers?: boolean
}

export interface Pointwise {
  (x: Tensor, ...p: number[]): Tensor
  inPlace(x: Tensor, ...p: number[]): Tensor
}

/** The op of a formula, out of place and in place; numbers go to the kernels as scalars. */
export function pointwise(name: string, f: Formula): Pointwise {
  const kernels = new Map<string, Prepared>()
  const kernel = (kind: 'value' | 'slope' | 'gradient', dtype: DType, count: number): Prepared => {
    const key = `${kind} ${dtype.name}`
    let made = kernels.get(key)
    if (!made) {
      const type: ComputeType = dtype.compute
      const inputs = kind === 'gradient' ? 2 : 1
      const numbers = Array.from({ length: count }, (_, i) => scalar(i, type))
      const x = load(inputs - 1, type)
      const value = kind === 'value' ? f.value(x, ...numbers) : f.slope(x, ...numbers)
      const args = [
        ...Array.from({ length: inputs }, () => ({ dtype, mode: 'read', per: 'element' }) as const),
        { dtype, mode: 'write', per: 'element' } as const,
      ]
      const stored = kind === 'gradient' ? k.mul(load(0, type), value) : value
      made = new Prepared(
        mapKernel(
          name,
          args,
          numbers.map(() => type),
          [{ arg: inputs, value: stored }],
        ),
      )
      kernels.set(key, made)
    }
    return made
  }
  const run = (
    kind: 'value' | 'slope' | 'gradient',
    inputs: readonly Tensor[],
    p: readonly number[],
    into?: Tensor,
  ): Tensor => {
    const x = inputs[inputs.length - 1]
    const out = into ?? emptyLike(x)
    const scalars = x.dtype.compute === 'i64' ? p.map((v) => BigInt(Math.trunc(v))) : p
    runMap(kernel(kind, x.dtype, p.length), x.sizes, [...inputs, out], scalars)
    return out
  }
  const gradient = (g: Tensor, x: Tensor, p: readonly number[]): Tensor => {
    if (!isGradEnabled()) return run('gradient', [g, x], p)
    return mul(g, f.curve ? f.curve(x, ...p) : run('slope', [x], p))
  }
  const check = (x: Tensor): void => {
    if (!x.dtype.isFloatingPoint && !f.integers)
      throw new NotImplementedError(`"${f.kernel ?? `${name}_cpu`}" not implemented for '${x.dtype.title}'`)
  }
  const fn = (x: Tensor, ...p: number[]): Tensor => {
    check(x)
    return record(run('value', [x], p), f.node, [x], [x], (g, [input]) => [gradient(g, input, p)])
  }
  const inPlace = (x: Tensor, ...p: number[]): Tensor => {
    check(x)
    const recorded = isGradEnabled() && requiresGrad(x)
    const before = recorded ? x.detach().clone() : x
    const source = recorded ? snapshot(x) : x
    changeInPlace(x)
    run('value', [x], p, x)
    return recorded ? record(x, f.node, [source], [before], (g, [input]) => [gradient(g, input, p)]) : x
  }
  return Object.assign(fn, { inPlace })
}

/** What overwrites its input on demand. */
export interface Inplace {
  readonly inplace?: boolean
}
export type Plain = (x: Tensor, ...args: Args<[inplace?: boolean], Inplace>) => Tensor

/** An op of no parameters but `inplace`. */
export function plainOp(name: string, f: Formula, python = name.toLowerCase(), domain: Domain = {}): Plain {
  const run = pointwise(python, f)
  return op({
    name,
    python: `nn.functional.${python}`,
    signature: 'input, inplace',
    differentiable: true,
    domain,
    samples: (t) => [[t(3, 4)], [t()], [t(0, 3)], [t(4, 3).t()]],
    forward: (x: Tensor, inplace = false) => (inplace ? run.inPlace(x) : run(x)),
  })
}

/** An op of numbers with defaults, then `inplace`; `check` throws for numbers that it refuses. */
export function numberOp<F>(
  name: string,
  python: string,
  parameters: string,
  defaults: readonly number[],
  f: Formula,
  check?: (numbers: readonly number[]) => void,
): F {
  const run = pointwise(python, f)
  return op<(x: Tensor, ...rest: unknown[]) => Tensor>({
    name,
    python: `nn.functional.${python}`,
    signature: `input, ${parameters}, inplace`,
    differentiable: true,
    domain: { kinks: true },
    samples: (t) => [
      [t(3, 4), ...defaults],
      [t(4, 3).t(), ...defaults.map((d) => d + 0.25)],
    ],
    forward: (x: Tensor, ...given: unknown[]) => {
      const numbers = defaults.map((d, i) => (given[i] as number | undefined) ?? d)
      check?.(numbers)
      return given[defaults.length] ? run.inPlace(x, ...numbers) : run(x, ...numbers)
    },
  }) as F
}
