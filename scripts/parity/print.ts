// Cases of printing: tensors, results with a grad_fn, modules and others, letter for letter.
import { inspect } from 'node:util'
import { type Difference, infinite } from './compare.ts'
import { type Json, WholeFloat } from './data.ts'
import { guarded } from './ops.ts'
import { runPython } from './python.ts'
import type { Outcome } from './report.ts'
import { dtypeNamed, type Tensor, type Torch, type Values } from './values.ts'

interface TensorCase {
  readonly how: string
  readonly shape: number[]
  readonly dtype: string
  readonly values: Json[]
  readonly requires_grad: boolean
  readonly text: string
}

interface ExpressionCase {
  readonly expr: string
  readonly text: string
}

export function* runPrint(
  torch: Torch,
  json: Json,
  _values: Values,
  wanted: (name: string) => boolean,
): Generator<Outcome> {
  const { tensors, grad_fn, reprs } = json as unknown as {
    tensors: TensorCase[]
    grad_fn: ExpressionCase[]
    reprs: ExpressionCase[]
  }
  for (const [i, c] of tensors.entries()) {
    const name = `tensor[${i}] ${c.how} ${c.dtype} [${c.shape.join(', ')}]`
    if (wanted(name)) {
      yield guarded(name, 'tensors', () => {
        const x = build(torch, c)
        return sameText(String(x), c.text) ?? sameText(inspect(x), c.text)
      })
    }
  }
  for (const { expr, text } of [...grad_fn, ...reprs]) {
    if (wanted(expr)) yield guarded(expr, expr, () => sameText(inspect(runPython(torch, expr)), text))
  }
}

const NAMED: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
}

function build(torch: Torch, c: TensorCase): Tensor {
  const dtype = dtypeNamed(torch, c.dtype)
  // Elements that JSON has no number for are written as Python's float() reads them.
  const flat = c.values.map((v) =>
    v instanceof WholeFloat ? v.value : typeof v === 'string' ? NAMED[v] : v,
  ) as number[]
  const x = torch.tensor(flat, { dtype: dtype as never }).reshape([...c.shape])
  return c.requires_grad ? x.requiresGrad_() : x
}

function sameText(got: string, expected: string): Difference | null {
  if (got === expected) return null
  let at = 0
  while (got[at] === expected[at]) at++
  const from = Math.max(0, at - 30)
  return infinite(
    `got ${JSON.stringify(got.slice(from, at + 60))}, expected ${JSON.stringify(expected.slice(from, at + 60))}`,
  )
}
