// A synchronous loop of training steps that are large enough for two threads, in eager mode and compiled; prints the peak
// memory, the last loss of both and the time as JSON.
import * as torch from 'tytorch'
import { readyThreads } from '../../src/backend/pool.ts'

const steps = Number(process.argv[2])

function train(compiled: boolean): number {
  torch.manualSeed(0)
  const model = new torch.nn.Sequential(new torch.nn.Linear(64, 512), new torch.nn.ReLU(), new torch.nn.Linear(512, 10))
  const optimizer = new torch.optim.AdamW(model.parameters(), { lr: 1e-3 })
  const eager = (x: torch.Tensor, y: torch.Tensor): torch.Tensor => {
    optimizer.zeroGrad()
    const loss = torch.nn.functional.crossEntropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
  }
  const step = compiled ? torch.compile(eager) : eager
  const [x, y] = [torch.rand(256, 64), torch.arange(256).remainder(10)]
  let last = 0
  for (let i = 0; i < steps; i++) last = step(x, y).item()
  return last
}

const start = performance.now()
const losses = [train(false), train(true)]
const rss = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ rss, losses, threads: readyThreads(), seconds: (performance.now() - start) / 1000 }))
