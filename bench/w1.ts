// W1: the lesson's network, 4-1024-3, full batch of 112 rows, Adam 1e-4, the loss read every epoch.
import * as torch from 'tytorch'
import type { Figures, Workload } from './rival.ts'

const EPOCHS = 3000

class Net extends torch.nn.Module {
  fc1 = new torch.nn.Linear(4, 1024)
  fc2 = new torch.nn.Linear(1024, 3)
  forward(x: torch.Tensor): torch.Tensor {
    return this.fc2(torch.nn.functional.relu(this.fc1(x)))
  }
}

function run(): Figures {
  torch.manualSeed(0)
  const x = torch.rand(112, 4).mul(6)
  const y = torch.arange(112).remainder(3)
  const model = new Net()
  const criterion = new torch.nn.CrossEntropyLoss()
  const optimizer = new torch.optim.Adam(model.parameters(), { lr: 1e-4 })
  const start = performance.now()
  let loss = 0
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    optimizer.zeroGrad()
    const out = criterion(model(x), y)
    out.backward()
    optimizer.step()
    loss = out.item()
  }
  return { time: (performance.now() - start) / 1000, loss }
}

export const w1: Workload = {
  name: 'W1',
  title: `Linear(4,1024), ReLU, Linear(1024,3), 112 rows, Adam, ${EPOCHS} epochs`,
  figures: {
    time: { unit: 's', better: 'less', compare: true },
    loss: { unit: '', better: 'less', compare: false },
  },
  script: 'w1',
  repetitions: 5,
  run,
}
