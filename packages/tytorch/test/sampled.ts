// Runs recorded calls of PyTorch (fixtures/pool/cases.json): inputs and weights are formulas, so that a case holds the
// arguments and three sums only: of the values, of the indices and of the gradient, each weighted by position.
import { readFileSync } from 'node:fs'
import * as torch from '../src/index.ts'
import { Tensor } from '../src/tensor/tensor.ts'

export interface Sampled {
  readonly name: string
  readonly x: { readonly shape: number[] }
  readonly args: Record<string, unknown>
  readonly grid?: number[]
  readonly shape: number[]
  readonly sum: number
  readonly index?: number
  readonly grad: number
}

const all = JSON.parse(readFileSync(new URL('./fixtures/pool/cases.json', import.meta.url), 'utf8')) as Sampled[]

/** The recorded cases of functions whose name matches. */
export const casesOf = (name: RegExp): Sampled[] => all.filter((c) => name.test(c.name))

const camel = (s: string): string => s.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase())
const count = (n: number): Tensor => torch.arange(n, { dtype: torch.float64 })

/** float64 values in [0, 5) without ties. */
export function formula(shape: number[]): Tensor {
  const n = shape.reduce((a, b) => a * b, 1)
  return count(n).mul(1.3).sin().mul(count(n).mul(0.37).add(1)).remainder(5).reshape(shape)
}

type Loose = (x: Tensor, ...rest: unknown[]) => Tensor | Iterable<Tensor>

/** What we answer to a case: the same sums as PyTorch's. */
export function answer(c: Sampled): Pick<Sampled, 'shape' | 'sum' | 'index' | 'grad'> {
  const x = formula(c.x.shape).requiresGrad_()
  const options = Object.fromEntries(Object.entries(c.args).map(([key, value]) => [camel(key), value]))
  const extra = c.grid ? [formula(c.grid).div(2.3).sub(1.1)] : []
  const result = (torch.nn.functional as unknown as Record<string, Loose>)[camel(c.name)](x, ...extra, options)
  const [out, index] = result instanceof Tensor ? [result] : [...result]
  const weights = count(out.numel())
    .mul(0.7)
    .sin()
    .reshape([...out.shape])
  const sum = out.mul(weights).sum()
  sum.backward()
  const grad = (x.grad as Tensor).mul(count(x.numel()).mul(0.3).cos().reshape(c.x.shape)).sum()
  return {
    shape: [...out.shape],
    sum: sum.item(),
    ...(index ? { index: index.double().mul(weights).sum().item() } : {}),
    grad: grad.item(),
  }
}
