// A synchronous loop of training steps, optionally keeping a random few tensors; prints the peak memory as JSON.
import * as torch from 'tytorch'

const [steps, keepSome] = [Number(process.argv[2]), process.argv[3] === 'keep']
torch.manualSeed(0)
const model = new torch.nn.Sequential(new torch.nn.Linear(4, 256), new torch.nn.ReLU(), new torch.nn.Linear(256, 3))
const optimizer = new torch.optim.SGD(model.parameters(), { lr: 1e-3 })
const x = torch.rand(32, 4)
const y = torch.arange(32).remainder(3)

const kept: { tensor: torch.Tensor; sum: number }[] = []
let changed = 0
for (let i = 0; i < steps; i++) {
  const hidden = model(x)
  const loss = torch.nn.functional.crossEntropy(hidden, y)
  optimizer.zeroGrad()
  loss.backward()
  optimizer.step()
  if (keepSome && i % 97 === 0) {
    const tensor = torch.full([1 + ((i * 7919) % 5000)], i % 1000, { dtype: torch.float32 })
    const slot = (i * 31) % 200
    const old = kept[slot]
    if (old && old.tensor.sum().item() !== old.sum) changed++
    kept[slot] = { tensor, sum: tensor.sum().item() }
  }
}
for (const k of kept) if (k && k.tensor.sum().item() !== k.sum) changed++
console.log(JSON.stringify({ rss: process.resourceUsage().maxRSS / 1024, changed, kept: kept.filter(Boolean).length }))
