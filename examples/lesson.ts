// The lesson's three exercises: a first neural network, trained on iris; a validation loss beside the training loss; and
// data loaders. `npm run lesson` runs them all, `--exercise 1` one of them; `npm run lesson -- --help` lists the options.
import * as torch from 'tytorch'
import { loadIris } from './lesson/iris.ts'
import { type Lesson, type Losses, type OnEpoch, type OptimizerName, type Run, startLesson } from './lesson/lesson.ts'

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
export type Rows = [x: torch.Tensor, y: torch.Tensor]

/** What an epoch goes through: a list with all rows as its only batch, or a DataLoader. */
export type Batches = Iterable<Rows> | AsyncIterable<Rows>

/** A map-style dataset: item `index` is one flower, its measurements [4] and its label []. */
export class IrisDataset extends torch.utils.data.Dataset<Rows> {
  x: torch.Tensor
  y: torch.Tensor

  constructor([x, y]: Rows) {
    super()
    this.x = x
    this.y = y
  }

  override get length(): number {
    return this.y.shape[0]
  }

  override getItem(index: number): Rows {
    return [this.x.at(index), this.y.at(index)]
  }
}

const criterion = new torch.nn.CrossEntropyLoss()

/** Trains with one step a batch, and returns the mean training loss of every epoch, and the validation loss after it. */
export async function train(
  model: IrisNet,
  optimizer: torch.optim.Optimizer,
  batches: Batches,
  epochs: number,
  validation?: Batches,
  onEpoch?: OnEpoch,
): Promise<Losses> {
  const losses: Losses = { train: [], val: [] }
  model.train()
  for (let epoch = 0; epoch < epochs; epoch++) {
    let [sum, rows] = [0, 0]
    for await (const [x, y] of batches) {
      optimizer.zeroGrad()
      const loss = criterion(model(x), y)
      loss.backward()
      optimizer.step()
      sum += loss.item() * y.shape[0]
      rows += y.shape[0]
    }
    losses.train.push(sum / rows)
    if (validation) losses.val.push(await evaluate(model, validation))
    onEpoch?.(losses.train[epoch], losses.val[epoch])
  }
  return losses
}

/** The mean of a measure over rows that the model does not learn from: its loss, unless another one is given. */
export async function evaluate(
  model: IrisNet,
  batches: Batches,
  measure: typeof accuracy = criterion,
): Promise<number> {
  const training = model.training
  model.eval()
  let [sum, rows] = [0, 0]
  for await (const [x, y] of batches) {
    sum += torch.noGrad(() => measure(model(x), y).item()) * y.shape[0]
    rows += y.shape[0]
  }
  model.train(training)
  return sum / rows
}

/** The share of rows whose highest score is the right species. */
export function accuracy(scores: torch.Tensor, y: torch.Tensor): torch.Tensor {
  return scores.argmax(1).eq(y).float().mean()
}

/** All 150 flowers. */
export function irisRows(): Rows {
  const { features, labels } = loadIris()
  return [torch.tensor(features, { dtype: torch.float32 }), torch.tensor(labels, { dtype: torch.int64 })]
}

/** 112 flowers to learn from and 38 to validate with, drawn by the current seed. */
export function splitIris(): [training: Rows, validation: Rows] {
  const [x, y] = irisRows()
  const parts = torch.utils.data.randomSplit(new torch.utils.data.TensorDataset(x, y), [112, 38])
  const [training, validation] = parts.map(({ indices }): Rows => [x.at([...indices]), y.at([...indices])])
  return [training, validation]
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

/** Trains the network, and times it. */
async function run(lesson: Lesson, model: IrisNet, batches: Batches, validation?: Batches): Promise<Run> {
  const { epochs, hidden } = lesson.options
  const optimizer = optimizerFor(model, lesson.options)
  const progress = lesson.startProgress()
  const start = performance.now()
  const losses = await train(model, optimizer, batches, epochs, validation, progress.update)
  const seconds = (performance.now() - start) / 1000
  progress.stop()

  // Timed on a network of its own, so that the trained one stays as it is.
  const other = new IrisNet(hidden)
  const otherOptimizer = optimizerFor(other, lesson.options)
  const epochTime = await lesson.timeEpochs((epochs) => train(other, otherOptimizer, batches, epochs, validation))

  const shares = {
    train: await evaluate(model, batches, accuracy),
    val: validation && (await evaluate(model, validation, accuracy)),
  }
  return { losses, seconds, epochTime, accuracy: shares }
}

/** Exercise 1: all flowers at once, and only the training loss to look at. */
async function firstNetwork(lesson: Lesson): Promise<void> {
  torch.manualSeed(lesson.options.seed)
  const model = new IrisNet(lesson.options.hidden)
  lesson.showModel(model)
  await lesson.report(1, await run(lesson, model, [irisRows()]))
}

/** Exercise 2: the loss on flowers that the network has not seen. */
async function validated(lesson: Lesson): Promise<Run> {
  torch.manualSeed(lesson.options.seed)
  const [training, validation] = splitIris()
  const model = new IrisNet(lesson.options.hidden)
  lesson.showModel(model)
  return run(lesson, model, [training], [validation])
}

/** Exercise 3: the flowers and first weights of exercise 2, with a step for each small batch. */
async function loaded(lesson: Lesson): Promise<Run> {
  const { batchSize, hidden, seed, workers } = lesson.options
  torch.manualSeed(seed)
  const [training, validation] = splitIris().map((rows) => new IrisDataset(rows))
  const model = new IrisNet(hidden)
  lesson.showItem(training.length, validation.length, ...training.getItem(0))

  const options = { batchSize, numWorkers: workers, persistentWorkers: workers > 0, workerModule: import.meta.url }
  const trainLoader = new torch.utils.data.DataLoader(training, { ...options, shuffle: true })
  const valLoader = new torch.utils.data.DataLoader(validation, options)
  for await (const [x, y] of trainLoader) {
    await lesson.showBatch(trainLoader.length, x, y)
    break
  }
  return run(lesson, model, trainLoader, valLoader)
}

async function main(lesson: Lesson): Promise<void> {
  const chosen = (exercise: number) => [exercise, undefined].includes(lesson.options.exercise)
  if (chosen(1)) {
    lesson.startExercise('Exercise 1: a first network')
    await firstNetwork(lesson)
  }
  if (!chosen(2) && !chosen(3)) return
  lesson.startExercise(
    chosen(2) ? 'Exercise 2: validation' : 'First all rows at once, as in exercise 2, to compare with',
  )
  const full = await validated(lesson)
  if (chosen(2)) await lesson.report(2, full)
  if (chosen(3)) {
    lesson.startExercise('Exercise 3: data loaders')
    const mini = await loaded(lesson)
    await lesson.report(3, mini, full)
  }
}

if (import.meta.main) await main(startLesson(process.argv.slice(2)))
