// Layer and batch norm, attention and embedding, forwards and with their gradients, beside PyTorch.
// `node bench/normalization.ts`; PYTORCH_PYTHON names a Python that has torch.
import * as torch from 'tytorch'
import { compare, type Figure, type Figures, type Workload } from './rival.ts'

const F = torch.nn.functional
type Tensor = torch.Tensor

/** Microseconds of one call: the best of three rounds. */
function microseconds(fn: () => void): number {
  fn()
  const probe = performance.now()
  fn()
  const calls = Math.max(1, Math.min(200, Math.floor(10 / Math.max(performance.now() - probe, 1e-3))))
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 3; round++) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) fn()
    best = Math.min(best, (performance.now() - start) / calls)
  }
  return best * 1000
}

const leaf = (...sizes: number[]): Tensor => torch.randn(sizes).requiresGrad_()

interface Case {
  readonly name: string
  readonly inputs: Tensor[]
  readonly run: () => Tensor
}

function layer(n: number): Case {
  const [x, w, b] = [leaf(1024, n), leaf(n), leaf(n)]
  return { name: `layer norm 1024x${n}`, inputs: [x, w, b], run: () => F.layerNorm(x, [n], w, b) }
}

function batch(): Case {
  const [x, w, b] = [leaf(32, 64, 16, 16), leaf(64), leaf(64)]
  const [m, v] = [torch.zeros([64]), torch.ones([64])]
  return { name: 'batch norm 32x64x16x16', inputs: [x, w, b], run: () => F.batchNorm(x, m, v, w, b, true) }
}

function attention(name: string, sizes: number[], isCausal: boolean): Case {
  const [q, k, v] = [leaf(...sizes), leaf(...sizes), leaf(...sizes)]
  return { name, inputs: [q, k, v], run: () => F.scaledDotProductAttention(q, k, v, { isCausal }) }
}

function embedding(): Case {
  const w = leaf(96, 128)
  const i = torch.arange(1024).mul(7).remainder(96)
  return { name: 'embedding 1024 of 96x128', inputs: [w], run: () => F.embedding(i, w) }
}

const cases = [
  layer(1024),
  layer(128),
  batch(),
  attention('attention 16x4x64x32', [16, 4, 64, 32], false),
  attention('causal 16x4x64x32', [16, 4, 64, 32], true),
  attention('causal 1x4x512x64', [1, 4, 512, 64], true),
  embedding(),
]

function run(): Figures {
  const figures: Figures = {}
  for (const { name, inputs, run } of cases) {
    const g = torch.onesLike(run().detach())
    figures[`${name} forward`] = microseconds(() => torch.scope(() => torch.noGrad(() => void run())))
    figures[`${name} and back`] = microseconds(() =>
      torch.scope(() => void torch.autograd.grad(run(), inputs, { gradOutputs: g })),
    )
  }
  return figures
}

const figure: Figure = { unit: 'us', better: 'less', compare: true }

export const normalization: Workload = {
  name: 'normalization',
  title: 'norms, attention and embedding, microseconds a call',
  figures: Object.fromEntries(
    cases.flatMap(({ name }) => [
      [`${name} forward`, figure],
      [`${name} and back`, figure],
    ]),
  ),
  script: 'normalization',
  repetitions: 3,
  run,
}

if (import.meta.main) await compare(normalization)
