// Cases of optimizers: ten steps from recorded parameters on the loss that the data describes.
import { compareTensors, type Difference, widened } from './compare.ts'
import type { Json } from './data.ts'
import { guarded } from './ops.ts'
import type { Outcome } from './report.ts'
import { type Dynamic, MissingError, type Tensor, type Torch, toStored, type Values } from './values.ts'

interface OptimizerCase {
  readonly optimizer: string
  readonly desc: string
  readonly kwargs: Record<string, Json>
  readonly params: Json[]
  readonly targets: Json[]
  readonly steps: { step: number; params: Json[] }[]
}

const LOSS = 'sum((p0-t0)^2) + sum(|p1-t1|^1.5) + sum(p0)*mean(p1)'

export function* runOptimizers(
  torch: Torch,
  json: Json,
  values: Values,
  wanted: (name: string) => boolean,
  compiled = false,
): Generator<Outcome> {
  const { loss, cases } = json as unknown as { loss: string; cases: OptimizerCase[] }
  if (loss !== LOSS) throw new Error(`the runner knows the loss ${LOSS}, and the data has ${loss}`)
  const counts = new Map<string, number>()
  for (const c of cases) {
    const count = counts.get(c.optimizer) ?? 0
    counts.set(c.optimizer, count + 1)
    const name = `${c.optimizer}[${count}]`
    if (wanted(name)) yield guarded(name, c.optimizer, () => runCase(torch, c, values, compiled))
  }
}

function runCase(torch: Torch, c: OptimizerCase, values: Values, compiled: boolean): Difference | null {
  const Class = (torch.optim as Dynamic)[c.optimizer]
  if (typeof Class !== 'function') throw new MissingError(`optim.${c.optimizer}`)
  const params = c.params.map((p) => (values.read(p) as Tensor).requiresGrad_())
  const [t0, t1] = c.targets.map((t) => values.read(t) as Tensor)
  const [p0, p1] = params
  const optimizer = new Class(params, values.options(c.kwargs))
  const loss = (): Tensor => {
    optimizer.zeroGrad()
    const value = p0.sub(t0).pow(2).sum().add(p1.sub(t1).abs().pow(1.5).sum()).add(p0.sum().mul(p1.mean()))
    value.backward()
    return value
  }
  const whole = (): void => {
    loss()
    optimizer.step()
  }
  const once = compiled ? torch.compile(whole) : whole
  const last = Math.max(...c.steps.map((s) => s.step))
  for (let step = 1; step <= last; step++) {
    if (c.optimizer === 'LBFGS') optimizer.step(loss)
    else once()
    const recorded = c.steps.find((s) => s.step === step)
    for (const [i, expected] of recorded?.params.entries() ?? []) {
      const stored = values.stored(expected)
      if (!stored) continue
      // Rounding differences of a gradient are carried from step to step.
      const wrong = compareTensors(toStored(params[i]), stored, widened(stored.dtype, { rtol: 1e-5, atol: 1e-5 }))
      if (wrong) return { ...wrong, message: `parameter ${i} after step ${step}: ${wrong.message}` }
    }
  }
  return null
}
