// Training on flowers that a data loader's workers prepare. The same code runs in a page and in Node.
import * as torch from 'tytorch'
import { Flowers, withWorker } from './flowers.ts'

class FlowerNet extends torch.nn.Module {
  fc1 = new torch.nn.Linear(4, 16)
  fc2 = new torch.nn.Linear(16, 3)

  forward(x: torch.Tensor): torch.Tensor {
    return this.fc2(torch.nn.functional.relu(this.fc1(x))) // [rows, 3]
  }
}

/** What a run came to: equal to the last bit for any number of workers. */
export type Outcome = {
  /** The mean loss of each epoch. */
  losses: number[]
  /** The bits of all weights after training. */
  weights: string
  /** Which workers made batches; -1 is the calling thread. */
  workers: number[]
}

/** Trains for so many epochs with so many workers. */
export async function train(csv: string, numWorkers: number, epochs = 10): Promise<Outcome> {
  torch.manualSeed(0)
  const model = new FlowerNet()
  const optimizer = new torch.optim.Adam(model.parameters(), { lr: 0.02 })
  const criterion = new torch.nn.CrossEntropyLoss()
  const flowers = new Flowers(csv)
  // An order of its own: how often the default generator is drawn from depends on the workers, as in PyTorch.
  const sampler = new torch.utils.data.RandomSampler(flowers, { generator: new torch.Generator().manualSeed(0) })
  await using loader = new torch.utils.data.DataLoader(flowers, {
    batchSize: 16,
    sampler,
    collateFn: withWorker,
    numWorkers,
    persistentWorkers: numWorkers > 0,
  })
  const workers = new Set<number>()
  const losses: number[] = []
  for (let epoch = 0; epoch < epochs; epoch++) {
    let [sum, rows] = [0, 0]
    for await (const [x, y, worker] of loader) {
      workers.add(worker)
      optimizer.zeroGrad()
      const loss = criterion(model(x), y)
      loss.backward()
      optimizer.step()
      sum += loss.item() * y.shape[0]
      rows += y.shape[0]
    }
    losses.push(sum / rows)
  }
  const bits = model.parameters().flatMap((p) => p.detach().view(-1).tolist<number[]>())
  const hex = new Uint32Array(Float32Array.from(bits).buffer)
  return { losses, weights: hex.join(), workers: [...workers].sort((a, b) => a - b) }
}
