// The lesson's exercises 1 and 2: a first neural network, trained on iris, with a validation loss beside the training loss.
// `npm run lesson` runs it; `npm run lesson -- --help` lists what can be changed.
import * as torch from 'tytorch'
import { loadIris } from './lesson/iris.ts'
import { type Lesson, type OptimizerName, startLesson } from './lesson/report.ts'

/** Two fully connected layers: four measurements of a flower in, a score for each of the three species out. */
export class IrisNet extends torch.nn.Module {
  fc1: torch.nn.Linear
  fc2: torch.nn.Linear

  constructor(hidden: number) {
    super()
    this.fc1 = new torch.nn.Linear(4, hidden)
    this.fc2 = new torch.nn.Linear(hidden, 3)
  }

  forward(x: torch.Tensor): torch.Tensor {
    const h = torch.nn.functional.relu(this.fc1(x)) // [rows, hidden]
    return this.fc2(h) // [rows, 3]
  }
}

/** Rows of the data: features [rows, 4] in float32 and labels [rows] in int64. */
export type Rows = { x: torch.Tensor; y: torch.Tensor }

const criterion = new torch.nn.CrossEntropyLoss()

/** Trains on all rows at once, an epoch a step, and returns both losses of every epoch. */
export function train(
  model: IrisNet,
  optimizer: torch.optim.Optimizer,
  data: Rows,
  validation: Rows,
  epochs: number,
  onEpoch?: (epoch: number, trainLoss: number, valLoss: number) => void,
): { train: number[]; val: number[] } {
  const losses = { train: [] as number[], val: [] as number[] }
  model.train()
  for (let epoch = 0; epoch < epochs; epoch++) {
    optimizer.zeroGrad()
    const loss = criterion(model(data.x), data.y)
    loss.backward()
    optimizer.step()

    losses.train.push(loss.item())
    losses.val.push(evaluate(model, validation))
    onEpoch?.(epoch, losses.train[epoch], losses.val[epoch])
  }
  return losses
}

/** The loss on rows that the model does not learn from. */
export function evaluate(model: IrisNet, data: Rows): number {
  const training = model.training
  model.eval()
  const loss = torch.noGrad(() => criterion(model(data.x), data.y).item())
  model.train(training)
  return loss
}

/** The share of rows whose highest score is the right species. */
export function accuracy(model: IrisNet, data: Rows): number {
  return torch.noGrad(() => model(data.x).argmax(1).eq(data.y).float().mean().item())
}

/** 112 rows to learn from and 38 to validate with, drawn by the current seed. */
export function splitIris(): [Rows, Rows] {
  const iris = loadIris()
  const x = torch.tensor(iris.features, { dtype: torch.float32 }) // [150, 4]
  const y = torch.tensor(iris.labels, { dtype: torch.int64 }) // [150]
  const [forTraining, forValidation] = torch.utils.data.randomSplit(new torch.utils.data.TensorDataset(x, y), [112, 38])
  const rows = (indices: readonly number[]): Rows => ({ x: x.at([...indices]), y: y.at([...indices]) })
  return [rows(forTraining.indices), rows(forValidation.indices)]
}

function optimizerFor(model: IrisNet, { optimizer, lr, momentum }: Lesson['options']): torch.optim.Optimizer {
  const parameters = model.parameters()
  const optimizers: Record<OptimizerName, () => torch.optim.Optimizer> = {
    adam: () => new torch.optim.Adam(parameters, { lr }),
    adamw: () => new torch.optim.AdamW(parameters, { lr }),
    rmsprop: () => new torch.optim.RMSprop(parameters, { lr, momentum }),
    sgd: () => new torch.optim.SGD(parameters, { lr, momentum }),
  }
  return optimizers[optimizer]()
}

async function main(lesson: Lesson): Promise<void> {
  const { seed, hidden, epochs } = lesson.options
  torch.manualSeed(seed)
  const [training, validation] = splitIris()
  const model = new IrisNet(hidden)
  lesson.showModel(model)

  const progress = lesson.startProgress(epochs)
  const start = performance.now()
  const losses = train(model, optimizerFor(model, lesson.options), training, validation, epochs, progress.update)
  const seconds = (performance.now() - start) / 1000
  progress.stop()

  // Timed on a network of its own, so that the trained one stays as it is.
  const other = new IrisNet(hidden)
  const otherOptimizer = optimizerFor(other, lesson.options)
  const epochTime = torch.timeit(() => train(other, otherOptimizer, training, validation, 1), {
    number: 100,
    quiet: true,
  })

  await lesson.report({
    losses,
    seconds,
    epochTime: `${epochTime}`,
    accuracy: { train: accuracy(model, training), val: accuracy(model, validation) },
  })
}

if (import.meta.main) await main(startLesson(process.argv.slice(2)))
