// CSV files: columns, dtypes, classes, errors that say where, and loading with and without workers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as torch from 'tytorch'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CsvDataset, readCsv } from '../src/index.ts'

const { DataLoader } = torch.utils.data
const text = 'height,width,kind\n1.5,2,cat\n-3e1, .5 ,dog\n4,5,ape\n'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'csv-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('readCsv', () => {
  it('gives columns as text and as tensors', () => {
    const table = readCsv({ text })
    expect(table.columns).toEqual(['height', 'width', 'kind'])
    expect(table.length).toBe(3)
    expect(table.column('kind')).toEqual(['cat', 'dog', 'ape'])
    expect(table.column(-1)).toEqual(['cat', 'dog', 'ape'])
    const one = table.tensor('height')
    expect([String(one.dtype), one.tolist()]).toEqual(['torch.float32', [1.5, -30, 4]])
    const two = table.tensor(['width', 0], { dtype: torch.float64 })
    expect([String(two.dtype), two.tolist()]).toEqual([
      'torch.float64',
      [
        [2, 1.5],
        [0.5, -30],
        [5, 4],
      ],
    ])
  })

  it('reads quotes, comments, other delimiters, names given, a byte order mark and exact int64', () => {
    const table = readCsv(
      { text: '\ufeffskipped\n"a;\n""b""";9007199254740993\n# no\nc;-2\n' },
      { header: ['name', 'id'], delimiter: ';', comment: '#', skipLines: 1 },
    )
    expect(table.column('name')).toEqual(['a;\n"b"', 'c'])
    expect(table.tensor('id', { dtype: torch.int64 }).equal(torch.tensor([9007199254740993n, -2n]))).toBe(true)
    expect(readCsv({ text: '1,inf\n2,-Infinity\n' }, { header: false }).tensor().tolist()).toEqual([
      [1, Infinity],
      [2, -Infinity],
    ])
  })

  it.each([
    ['a,b\n1,2\n3,\n', "the text: row 1 (line 3), column 'b': a value is missing"],
    ['a,b\n1,nan\n', "the text: row 0 (line 2), column 'b': a value is missing ('nan')"],
    ['a,b\n1,2\n3,0x10\n', "the text: row 1 (line 3), column 'b': '0x10' is no number"],
    ['a,b\n1,2\n3\n', 'the text: Invalid Record Length: expect 2, got 1 on line 3'],
    ['a,a\n1,2\n', "the text: two columns are named 'a'"],
    ['a,b\n', 'the text has no rows'],
    ['', 'the text has no rows'],
    ['a,b\n1,"2\n', 'the text: Quote Not Closed: the parsing is finished with an opening quote at line 2'],
  ])('says what is wrong with %j', (wrong, message) => {
    const read = () => readCsv({ text: wrong }).tensor()
    expect(read).toThrow(message)
    expect(read).toThrow(torch.ValueError)
  })

  it('names the file, the column and the fraction', () => {
    const path = join(folder, 'a.csv')
    writeFileSync(path, 'a\n1.5\n')
    expect(() => readCsv(path).tensor('a', { dtype: torch.int64 })).toThrow(
      `${path}: row 0 (line 2), column 'a': '1.5' is no whole number, and torch.int64 holds nothing else`,
    )
    expect(() => readCsv(path).tensor('b')).toThrow(`${path} has no column 'b'; it has a`)
    expect(() => readCsv(path).tensor(1)).toThrow('has no column 1')
    expect(() => readCsv(join(folder, 'none.csv'))).toThrow(/ENOENT.*none\.csv/)
  })

  it('fills what is missing if it is told with what', () => {
    expect(readCsv({ text: 'a,b\n1,\nNA,2\n' }).tensor(undefined, { missing: -1 }).tolist()).toEqual([
      [1, -1],
      [-1, 2],
    ])
  })
})

describe('CsvDataset', () => {
  it('takes the last column for the target, a class if it is text', () => {
    const set = new CsvDataset({ text })
    expect([set.length, set.columns, set.targetColumns, set.classes]).toEqual([
      3,
      ['height', 'width'],
      ['kind'],
      ['ape', 'cat', 'dog'],
    ])
    const [features, target] = set.getItem(1)
    expect([features.tolist(), String(target.dtype), target.item()]).toEqual([[-30, 0.5], 'torch.int64', 2])
  })

  it('numbers the classes as told', () => {
    const kinds = ['dog', 'cat', 'ape']
    expect(new CsvDataset({ text }, { classes: kinds }).target.tolist()).toEqual([1, 0, 2])
    expect(() => new CsvDataset({ text }, { classes: ['cat', 'dog'] })).toThrow(
      "the text: row 2 (line 4), column 'kind': 'ape' is none of the classes cat, dog",
    )
    const numbers = new CsvDataset({ text: 'a,b\n1,10\n2,9\n3,10\n' }, { classes: true })
    expect([numbers.classes, numbers.target.tolist()]).toEqual([
      ['9', '10'],
      [1, 0, 1],
    ])
  })

  it('takes numbers, or several columns, for the target', () => {
    const options = { features: ['width'], target: 'height', targetDtype: torch.float64 }
    const set = new CsvDataset({ text }, options)
    expect([set.features.tolist(), set.target.tolist()]).toEqual([
      [[2], [0.5], [5]],
      [1.5, -30, 4],
    ])
    expect([set.classes, String(set.target.dtype)]).toEqual([[], 'torch.float64'])
    const two = new CsvDataset({ text }, { features: [0], target: ['height', 'width'] })
    expect(two.target.shape).toEqual(new torch.Size([3, 2]))
  })

  it('gives the same batches with workers', async () => {
    const path = join(folder, 'many.csv')
    writeFileSync(path, `x,y,kind\n${Array.from({ length: 20 }, (_, i) => `${i},${i / 4},k${i % 3}`).join('\n')}\n`)
    const set = new CsvDataset(path)
    const batches = async (numWorkers: number) => {
      const out: unknown[] = []
      for await (const [x, y] of new DataLoader(set, { batchSize: 8, numWorkers })) out.push([x.tolist(), y.tolist()])
      return out
    }
    const alone = await batches(0)
    expect(alone).toHaveLength(3)
    expect(await batches(2)).toEqual(alone)
  })
})
