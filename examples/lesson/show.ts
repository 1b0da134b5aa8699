// The lesson's data made visible: an item of the dataset, and a batch as a table and as a scatter of its classes.
import { join, relative } from 'node:path'
import { groupByClass, scatterChart, table } from '@tytorch/plot'
import type * as torch from 'tytorch'
import { loadIris } from './iris.ts'
import type { Options } from './options.ts'

// The columns that tell the species apart best.
const [PETAL_LENGTH, PETAL_WIDTH] = [2, 3]

/** Says how many items the datasets have, and what the first one of the training data is. */
export function showItem(training: number, validation: number, x: torch.Tensor, y: torch.Tensor): void {
  const { featureNames, speciesNames } = loadIris()
  const values = shortened(x).map((value, i) => `${featureNames[i]} ${value}`)
  console.log(`Datasets: ${training} flowers to learn from, ${validation} to validate with.`)
  console.log(`Item 0:   features of shape ${x.shape}, label ${y.item()}.`)
  console.log(`          ${values.join(', ')}: ${speciesNames[Number(y.item())]}\n`)
}

/** Prints a batch, features [n, 4] and labels [n], as a table, and draws it to batch.png and batch.svg. */
export async function showBatch(options: Options, count: number, x: torch.Tensor, y: torch.Tensor): Promise<void> {
  const { featureNames, speciesNames } = loadIris()
  const rows = Array.from({ length: x.shape[0] }, (_, i) => shortened(x.at(i)))
  const labels = (y.tolist() as (number | bigint)[]).map(Number)
  const shapes = `features ${x.shape}, labels ${y.shape}`
  console.log(
    table({
      title: `Batch 1 of ${count}: ${shapes}`,
      columns: ['row', ...featureNames, 'label', 'species'],
      rows: rows.map((row, i) => [i, ...row, labels[i], speciesNames[labels[i]]]),
    }),
  )

  const points = groupByClass(
    rows.map((row) => row[PETAL_LENGTH]),
    rows.map((row) => row[PETAL_WIDTH]),
    labels,
    speciesNames,
  )
  const places = new Set(rows.map((row) => `${row[PETAL_LENGTH]} ${row[PETAL_WIDTH]}`))
  const darker = places.size < rows.length ? ' A darker mark is more than one flower.' : ''
  const counts = points.map(({ name, x }) => `${x.length} ${name}`).join(', ')
  const figure = scatterChart({
    title: `One batch of iris: ${rows.length} flowers by their petals`,
    subtitle: `Batch 1 of ${count}, in shuffled order: ${counts}.${darker}`,
    x: { label: featureNames[PETAL_LENGTH] },
    y: { label: featureNames[PETAL_WIDTH] },
    legend: 'species',
    series: points,
  })
  const files = ['batch.png', 'batch.svg'].map((name) => join(options.out, name))
  await Promise.all(files.map((file) => figure.save(file)))
  console.log(`Written: ${files.map((file) => relative('.', file)).join(', ')}\n`)
}

/** float32 values as short as they were in the file: 5.1, not 5.099999904632568. */
function shortened(row: torch.Tensor): number[] {
  return (row.tolist() as number[]).map((value) => Number(value.toPrecision(6)))
}
