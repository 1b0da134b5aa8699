// Datasets for the loader's benchmark, in a module of their own so that workers can import them.
import * as torch from 'tytorch'

const { Dataset } = torch.utils.data

/** 28x28 images in memory, normalised one by one: [image, label]. */
export class Digits extends Dataset<[torch.Tensor, number]> {
  static url = import.meta.url
  readonly images: torch.Tensor
  readonly labels: readonly number[]

  constructor(count: number) {
    super()
    this.images = torch.randint(0, 256, [count, 28, 28], { dtype: torch.uint8 })
    this.labels = torch.randint(0, 10, [count]).tolist<number[]>()
  }

  override get length(): number {
    return this.labels.length
  }

  override getItem(index: number): [torch.Tensor, number] {
    return [this.images.select(0, index).to(torch.float32).div(255), this.labels[index]]
  }
}

/** The same, normalised a batch at a time. */
export class DigitBatches extends Digits {
  static override url = import.meta.url
  readonly rows = new torch.utils.data.TensorDataset(this.images, torch.tensor([...this.labels]))

  override getBatch(indices: readonly number[]): torch.Tensor[] {
    const [images, labels] = this.rows.getBatch(indices)
    return [images.to(torch.float32).div(255), labels]
  }
}

/** Samples that take 5 ms of computing each. */
export class Busy extends Dataset<torch.Tensor> {
  static url = import.meta.url
  readonly length: number

  constructor(length: number) {
    super()
    this.length = length
  }

  override getItem(index: number): torch.Tensor {
    const end = performance.now() + 5
    while (performance.now() < end);
    return torch.full([16], index)
  }
}
