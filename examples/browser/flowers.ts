// The dataset of the browser example, in a module of its own: workers import it by its URL.
import * as torch from 'tytorch'

/** Rows of the iris data: four measurements in centimetres, scaled to decimetres a sample at a time, and the species' number. */
export class Flowers extends torch.utils.data.Dataset<[x: torch.Tensor, y: number]> {
  /** Where workers find this class. A bundler must leave the module and its export as they are: see serve.ts. */
  static url = import.meta.url
  readonly features: torch.Tensor
  readonly labels: readonly number[]

  /** `csv` has a header, and rows of four numbers and a name. */
  constructor(csv: string) {
    super()
    const rows = csv
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(','))
    const species = [...new Set(rows.map((row) => row[4]))]
    this.features = torch.tensor(
      rows.map((row) => row.slice(0, 4).map(Number)),
      { dtype: torch.float32 },
    )
    this.labels = rows.map((row) => species.indexOf(row[4]))
  }

  override get length(): number {
    return this.labels.length
  }

  override getItem(index: number): [torch.Tensor, number] {
    return [this.features.at(index).div(10), this.labels[index]]
  }
}

/** The worker that made a sample, beside it: shows in the page that workers take part. */
export function withWorker(samples: [torch.Tensor, number][]): [x: torch.Tensor, y: torch.Tensor, worker: number] {
  const [x, y] = torch.utils.data.defaultCollate(samples) as [torch.Tensor, torch.Tensor]
  return [x, y, torch.utils.data.getWorkerInfo()?.id ?? -1]
}
