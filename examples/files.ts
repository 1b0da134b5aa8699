// Data from many files, one a sample, loaded in parallel: "A detailed example of data loaders with PyTorch",
// https://stanford.edu/~shervine/blog/pytorch-how-to-generate-data-parallel. Run it: `node examples/files.ts`
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as torch from 'tytorch'

const { nn, optim } = torch
const { DataLoader } = torch.utils.data

/** A map-style dataset whose samples lie in files: an ID's tensor in `data/ID.safetensors`, its class in `labels`. */
export class Dataset extends torch.utils.data.Dataset<[x: torch.Tensor, y: number]> {
  /** The workers import the class from here. */
  static url = import.meta.url
  readonly root: string
  readonly listIds: readonly string[]
  readonly labels: Readonly<Record<string, number>>

  constructor(root: string, listIds: readonly string[], labels: Readonly<Record<string, number>>) {
    super()
    this.root = root
    this.listIds = listIds
    this.labels = labels
  }

  /** The total number of samples. */
  override get length(): number {
    return this.listIds.length
  }

  /** One sample: the tensor of the file and the label. */
  override getItem(index: number): [x: torch.Tensor, y: number] {
    const id = this.listIds[index]
    const x = torch.load<torch.Tensor>(join(this.root, `data/${id}.safetensors`))
    const y = this.labels[id]
    return [x, y]
  }
}

const samples = 600

/** Writes the files: points of three classes around three centres, as tensors [8]. */
function generate(root: string): {
  partition: { train: string[]; validation: string[] }
  labels: Record<string, number>
} {
  const partition = { train: [] as string[], validation: [] as string[] }
  const labels: Record<string, number> = {}
  const centres = torch.randn(3, 8)
  mkdirSync(join(root, 'data'))
  for (let i = 1; i <= samples; i++) {
    const id = `id-${i}`
    labels[id] = i % 3
    torch.save(centres.at(labels[id]).add(torch.randn(8)), join(root, `data/${id}.safetensors`))
    partition[i % 4 === 0 ? 'validation' : 'train'].push(id)
  }
  return { partition, labels }
}

async function main(root: string): Promise<void> {
  torch.manualSeed(0)
  const device = new torch.device('cpu')

  const params = { batchSize: 64, shuffle: true, numWorkers: 2 }
  const maxEpochs = 5

  const { partition, labels } = generate(root) // { train: ['id-1', ...], validation: ['id-4', ...] }, { 'id-1': 1, ... }

  const trainingSet = new Dataset(root, partition.train, labels)
  const trainingGenerator = new DataLoader(trainingSet, params)

  const validationSet = new Dataset(root, partition.validation, labels)
  const validationGenerator = new DataLoader(validationSet, params)

  const model = new nn.Sequential(new nn.Linear(8, 16), new nn.ReLU(), new nn.Linear(16, 3))
  const criterion = new nn.CrossEntropyLoss()
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 })

  for (let epoch = 0; epoch < maxEpochs; epoch++) {
    let runningLoss = 0
    for await (const [x, y] of trainingGenerator) {
      const [localBatch, localLabels] = [x.to(device), y.to(device)] // [64, 8], [64]
      optimizer.zeroGrad()
      const loss = criterion(model(localBatch), localLabels)
      loss.backward()
      optimizer.step()
      runningLoss += loss.item() * localLabels.size(0)
    }

    let correct = 0
    for await (const [x, y] of validationGenerator) {
      torch.setGradEnabled(false, () => {
        const [localBatch, localLabels] = [x.to(device), y.to(device)]
        const predicted = model(localBatch).argmax(1) // [64]
        correct += predicted.eq(localLabels).sum().item()
      })
    }
    const loss = (runningLoss / trainingSet.length).toFixed(4)
    console.log(`epoch ${epoch + 1}: loss ${loss}, validation accuracy ${(correct / validationSet.length).toFixed(3)}`)
  }

  // What was learned goes into a file too, and comes back the same.
  const path = join(root, 'checkpoint.safetensors')
  torch.save({ epoch: maxEpochs, model: model.stateDict(), optimizer: optimizer.stateDict() }, path)
  const checkpoint = torch.load<{ epoch: number; model: Record<string, torch.Tensor> }>(path)
  console.log(`epoch ${checkpoint.epoch}:`, String(model.loadStateDict(checkpoint.model)))
}

if (import.meta.main) {
  const root = mkdtempSync(join(tmpdir(), 'tytorch-files-'))
  try {
    await main(root)
  } finally {
    rmSync(root, { recursive: true })
  }
}
