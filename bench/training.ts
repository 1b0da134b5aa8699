// W1 to W5: whole training runs, each step by step and as one compiled step, beside the same run in PyTorch.
// Weights and data come from the same seed on both sides, so that the last losses must agree.
import * as torch from 'tytorch'
import { GPT, LeNet, Lesson, MLP, ResNet18 } from './models.ts'
import type { Figures, Workload } from './rival.ts'

const { nn, optim } = torch
type Tensor = torch.Tensor

/** One training run: the number of steps, and what one of them does. */
export interface Training {
  readonly steps: number
  /** Runs step `i` and answers its loss. */
  step(i: number): number
}

interface Parts {
  readonly model: torch.nn.Module
  /** The loss of a batch. */
  readonly loss: (x: Tensor, y: Tensor) => Tensor
  readonly optimizer: { zeroGrad(): void; step(): unknown } | null
}

/** A step on a batch: gradients to null, loss, backward, update. */
function trainingStep({ model, loss, optimizer }: Parts, compiled: boolean): (x: Tensor, y: Tensor) => Tensor {
  const step = (x: Tensor, y: Tensor): Tensor => {
    if (optimizer) optimizer.zeroGrad()
    else model.zeroGrad()
    const out = loss(x, y)
    out.backward()
    optimizer?.step()
    return out
  }
  return compiled ? torch.compile(step) : step
}

function lessonParts(): Parts {
  const model = new Lesson()
  const criterion = new nn.CrossEntropyLoss()
  return { model, loss: (x, y) => criterion(model(x), y), optimizer: new optim.Adam(model.parameters(), { lr: 1e-4 }) }
}

function flowers(rows: number): [Tensor, Tensor] {
  return [torch.rand(rows, 4).mul(6), torch.arange(rows).remainder(3)]
}

function w1(compiled: boolean): Training {
  const [x, y] = flowers(112)
  const step = trainingStep(lessonParts(), compiled)
  return { steps: 3000, step: () => step(x, y).item() }
}

function w1b(compiled: boolean): Training {
  const [x, y] = flowers(112)
  const [vx, vy] = flowers(38)
  const parts = lessonParts()
  const step = trainingStep(parts, compiled)
  const validation = (): Tensor => torch.noGrad(() => parts.loss(vx, vy))
  const validate = compiled ? torch.compile(validation) : validation
  return {
    steps: 3000,
    step: () => {
      parts.model.train()
      const loss = step(x, y).item()
      parts.model.eval()
      validate().item()
      return loss
    },
  }
}

function w1c(compiled: boolean): Training {
  const [x, y] = flowers(112)
  const loader = new torch.utils.data.DataLoader(new torch.utils.data.TensorDataset(x, y), {
    batchSize: 16,
    shuffle: true,
  })
  const step = trainingStep(lessonParts(), compiled)
  return {
    steps: 300,
    step: () => {
      let last = 0
      for (const [bx, by] of loader) last = step(bx, by).item()
      return last
    },
  }
}

function w2(compiled: boolean): Training {
  const [x, y] = [torch.randn(64, 784), torch.randint(0, 10, [64])]
  const model = new MLP()
  const criterion = new nn.CrossEntropyLoss()
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.01, momentum: 0.9 })
  const step = trainingStep({ model, loss: (x, y) => criterion(model(x), y), optimizer }, compiled)
  return { steps: 300, step: () => step(x, y).item() }
}

function w3(compiled: boolean): Training {
  const [x, y] = [torch.randn(32, 3, 32, 32), torch.randint(0, 10, [32])]
  const model = new LeNet()
  const criterion = new nn.CrossEntropyLoss()
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.001, momentum: 0.9 })
  const step = trainingStep({ model, loss: (x, y) => criterion(model(x), y), optimizer }, compiled)
  return { steps: 100, step: () => step(x, y).item() }
}

function w4(compiled: boolean): Training {
  const [x, y] = [torch.randn(8, 3, 64, 64), torch.randint(0, 1000, [8])]
  const model = new ResNet18()
  const criterion = new nn.CrossEntropyLoss()
  const step = trainingStep({ model, loss: (x, y) => criterion(model(x), y), optimizer: null }, compiled)
  return { steps: 10, step: () => step(x, y).item() }
}

function w5(compiled: boolean): Training {
  const [x, y] = [torch.randint(0, 96, [16, 64]), torch.randint(0, 96, [16, 64])]
  const model = new GPT(96, 64, 4, 4, 128)
  const optimizer = new optim.AdamW(model.parameters(), { lr: 3e-4 })
  const loss = (x: Tensor, y: Tensor): Tensor => nn.functional.crossEntropy(model(x).flatten(0, 1), y.flatten())
  const step = trainingStep({ model, loss, optimizer }, compiled)
  return { steps: 15, step: () => step(x, y).item() }
}

/** Seconds for all steps after the one that compiles, and the last loss. */
function timed(
  make: (compiled: boolean) => Training,
  compiled: boolean,
): { readonly time: number; readonly loss: number } {
  torch.manualSeed(0)
  const training = make(compiled)
  const start = performance.now()
  let loss = 0
  for (let i = 0; i < training.steps; i++) loss = training.step(i)
  return { time: (performance.now() - start) / 1000, loss }
}

function workload(name: string, title: string, repetitions: number, make: (compiled: boolean) => Training): Workload {
  return {
    name,
    title,
    figures: {
      time: { unit: 's', better: 'less', compare: true },
      compiled: { unit: 's', better: 'less', compare: true, against: 'time' },
      loss: { unit: '', better: 'less', compare: false },
      compiledLoss: { unit: '', better: 'less', compare: false, against: 'loss' },
    },
    script: 'training',
    options: [name],
    repetitions,
    run: (): Figures => {
      const eager = timed(make, false)
      const compiled = timed(make, true)
      return { time: eager.time, compiled: compiled.time, loss: eager.loss, compiledLoss: compiled.loss }
    },
  }
}

/** The trainings that fit in a second, anew for each call. */
export const trainings = { W1: w1, W1c: w1c, W2: w2, W5: w5 } as const

/** One eager run of W1, for those who look inside. */
export const lessonRun = (): Figures => timed(w1, false)

export const workloads: Record<string, Workload> = {
  W1: workload('W1', 'Linear(4,1024), ReLU, Linear(1024,3), 112 rows, Adam, 3000 epochs', 5, w1),
  W1b: workload('W1b', 'W1 with 38 validation rows each epoch', 5, w1b),
  W1c: workload('W1c', 'W1 in shuffled batches of 16, 300 epochs of 7', 5, w1c),
  W2: workload('W2', 'MLP 784-256-128-10, batch 64, SGD with momentum, 300 steps', 5, w2),
  W3: workload('W3', 'LeNet on 32x3x32x32, SGD with momentum, 100 steps', 5, w3),
  W4: workload('W4', 'ResNet-18 forward and backward on 8x3x64x64, 10 steps', 5, w4),
  W5: workload('W5', 'GPT, 4 layers, 4 heads, d 128, 16x64 tokens of 96, AdamW, 15 steps', 5, w5),
}
