// The bundled data are scikit-learn's iris: the UCI file differs in rows 34 and 37.
import { expect, it } from 'vitest'
import { loadIris } from '../lesson/iris.ts'

it('loads 150 flowers, 50 of each species', () => {
  const { features, labels, featureNames, speciesNames } = loadIris()
  expect(features).toHaveLength(150)
  expect(features.every((row) => row.length === 4 && row.every(Number.isFinite))).toBe(true)
  expect(labels).toEqual([0, 1, 2].flatMap((label) => Array(50).fill(label)))
  expect(speciesNames).toEqual(['setosa', 'versicolor', 'virginica'])
  expect(featureNames).toEqual(['sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)'])
  expect(features[0]).toEqual([5.1, 3.5, 1.4, 0.2])
  expect(features[34]).toEqual([4.9, 3.1, 1.5, 0.2])
  expect(features[37]).toEqual([4.9, 3.6, 1.4, 0.1])
  const means = featureNames.map((_, j) => features.reduce((sum, row) => sum + row[j], 0) / 150)
  expect(means.map((mean) => mean.toFixed(6))).toEqual(['5.843333', '3.057333', '3.758000', '1.199333'])
})
