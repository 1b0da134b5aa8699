// Tables, character for character.
import { expect, it } from 'vitest'
import { table } from '../src/index.ts'

it('sets numbers to the right with as many decimals as the longest has, and text to the left', () => {
  const text = table({
    title: 'A batch',
    columns: ['row', 'length (cm)', 'species'],
    rows: [
      [0, 5.1, 'setosa'],
      [10, 4, 'versicolor'],
      [2n, 0.25, null],
    ],
  })
  expect(text).toMatchInlineSnapshot(`
    "A batch

    row  length (cm)  species
    ────────────────────────────
      0         5.10  setosa
     10         4.00  versicolor
      2         0.25"
  `)
})

it('sets columns as it is told, and cuts lines that are too long', () => {
  const rows = [
    ['a', '1.5 ms', 1e-9],
    ['bcd', '20 ms', Number.NaN],
  ]
  expect(
    table({ columns: ['', 'time', 'x'], rows, align: ['left', 'right', 'left'], width: 13 }),
  ).toMatchInlineSnapshot(`
    "       time …
    ────────────…
    a    1.5 ms …
    bcd   20 ms …"
  `)
})

it('refuses a row of another length, and shows a table without rows', () => {
  expect(() => table({ columns: ['a', 'b'], rows: [[1, 2], [3]] })).toThrow('table: row 1 has 1 cells for 2 columns')
  expect(table({ columns: ['a', 'b'], rows: [] })).toBe('a  b\n────')
})
