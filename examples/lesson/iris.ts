// The iris data: 150 flowers with four measurements each (R. A. Fisher, 1936; scikit-learn's copy of it).
import { readFileSync } from 'node:fs'

/** Features [150][4] in centimetres, labels [150] as indices into `speciesNames`. */
export type Iris = { features: number[][]; labels: number[]; featureNames: string[]; speciesNames: string[] }

/** Reads the bundled copy. */
export function loadIris(): Iris {
  const text = readFileSync(new URL('../data/iris.csv', import.meta.url), 'utf8')
  const [header, ...rows] = text
    .trim()
    .split('\n')
    .map((line) => line.split(','))
  const species = rows.map((row) => row[4])
  const speciesNames = [...new Set(species)]
  return {
    features: rows.map((row) => row.slice(0, 4).map(Number)),
    labels: species.map((name) => speciesNames.indexOf(name)),
    featureNames: header.slice(0, 4),
    speciesNames,
  }
}
