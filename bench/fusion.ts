// What fusion does to compiled training steps: steps of the trace, and microseconds a call (median and best), without and
// with it, interleaved in one process. `node bench/fusion.ts [name...]`.
import { performance } from 'node:perf_hooks'
import * as torch from 'tytorch'

const { nn, optim } = torch
const F = nn.functional

class Lesson extends nn.Module {
  fc1 = new nn.Linear(4, 1024)
  fc2 = new nn.Linear(1024, 3)
  forward(x: torch.Tensor): torch.Tensor {
    return this.fc2(F.relu(this.fc1(x)))
  }
}

class Perceptron extends nn.Module {
  fc1 = new nn.Linear(128, 256)
  norm = new nn.LayerNorm(256)
  fc2 = new nn.Linear(256, 256)
  drop = new nn.Dropout(0.1)
  fc3 = new nn.Linear(256, 10)
  forward(x: torch.Tensor): torch.Tensor {
    const h = F.gelu(this.norm(this.fc1(x)))
    return this.fc3(this.drop(F.silu(this.fc2(h)).add(h)))
  }
}

type Step = (x: torch.Tensor, y: torch.Tensor) => torch.Tensor

function training(make: () => torch.nn.Module, fusion: boolean): Step {
  torch.manualSeed(0)
  const model = make() as torch.nn.Module & Step
  const criterion = new nn.CrossEntropyLoss()
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 })
  const step = (x: torch.Tensor, y: torch.Tensor): torch.Tensor => {
    optimizer.zeroGrad()
    const loss = criterion((model as unknown as (x: torch.Tensor) => torch.Tensor)(x), y)
    loss.backward()
    optimizer.step()
    return loss
  }
  return torch.compile(step, { options: { fusion } })
}

/** A chain of element-wise operations and a mean, as user code writes losses and features. */
function chain(fusion: boolean): Step {
  const step = (x: torch.Tensor, y: torch.Tensor): torch.Tensor =>
    x.mul(2).add(y).sigmoid().sub(0.5).mul(x).abs().add(1).log().mean(1)
  return torch.compile(step, { options: { fusion } })
}

const cases: Record<string, { make: (fusion: boolean) => Step; x: () => torch.Tensor; y: () => torch.Tensor }> = {
  lesson: {
    make: (fusion) => training(() => new Lesson(), fusion),
    x: () => torch.rand(112, 4).mul(6),
    y: () => torch.arange(112).remainder(3),
  },
  perceptron: {
    make: (fusion) => training(() => new Perceptron(), fusion),
    x: () => torch.rand(64, 128),
    y: () => torch.arange(64).remainder(10),
  },
  chain: { make: chain, x: () => torch.rand(512, 512), y: () => torch.rand(512, 512) },
}

const chosen = process.argv.slice(2)
console.log('case          steps  fused     us  fused  ratio   best  fused')
for (const [name, { make, x, y }] of Object.entries(cases)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const [a, b] = [x(), y()]
  const forms = [make(false), make(true)]
  const steps = forms.map((f) => Number(/forward: (\d+) steps?/.exec(torch.compiler.explain(f)(a, b))?.[1]))
  const times: number[][] = [[], []]
  for (const f of forms) for (let i = 0; i < 300; i++) f(a, b)
  for (let r = 0; r < 60; r++) {
    for (const [i, f] of forms.entries()) {
      const start = performance.now()
      for (let n = 0; n < 30; n++) f(a, b)
      times[i].push(((performance.now() - start) / 30) * 1000)
    }
  }
  for (const list of times) list.sort((p, q) => p - q)
  const [plain, fused] = times.map((list) => list[list.length >> 1])
  const best = times.map((list) => list[0].toFixed(1))
  const cells = [steps[0], steps[1], plain.toFixed(1), fused.toFixed(1), (plain / fused).toFixed(2), ...best]
  console.log(name.padEnd(12), ...cells.map((c) => String(c).padStart(6)))
}
