// CSV files as tables of text: columns by name or position, turned into tensors with errors that say where.
import { readFileSync } from 'node:fs'
import { CsvError, parse } from 'csv-parse/sync'
import { type DType, float32, int64, type Tensor, tensor, ValueError } from 'tytorch'

/** A column by its name, or by its position from 0. */
export type Column = string | number

/** How a CSV file is written. */
export interface ReadOptions {
  /** The first row names the columns (true, the default); names for a file without; false: '0', '1', ... */
  readonly header?: boolean | readonly string[]
  /** ',' by default. */
  readonly delimiter?: string
  /** What a comment begins with; none by default. */
  readonly comment?: string | null
  /** Lines left out at the beginning. */
  readonly skipLines?: number
}

/** What `Table.tensor` takes by name. */
export interface ColumnOptions {
  /** float32 by default. */
  readonly dtype?: DType
  /** Stands for missing values, which are an error if it is absent. */
  readonly missing?: number | null
}

/** A file, or text itself. */
export type Source = string | URL | { readonly text: string }

/** What counts as a missing value, as in pandas. */
const MISSING = new Set('|#N/A|#NA|-NaN|-nan|<NA>|?|N/A|NA|NULL|NaN|None|n/a|nan|null'.split('|'))

/** Rows of text under named columns. */
export class Table {
  static readonly url = import.meta.url
  /** The columns' names. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** The file's name, for messages. */
  readonly name: string
  /** Where in the file each row begins. */
  private readonly lines: readonly number[]

  constructor(columns: readonly string[], rows: readonly (readonly string[])[], name = 'table', lines?: number[]) {
    this.columns = columns
    this.rows = rows
    this.name = name
    this.lines = lines ?? []
  }

  /** The number of rows. */
  get length(): number {
    return this.rows.length
  }

  /** The position of a column; negative ones count from the end. Throws ValueError for one that is not there. */
  positionOf(column: Column): number {
    const at = typeof column === 'string' ? this.columns.indexOf(column) : column
    const position = typeof column === 'number' && at < 0 ? at + this.columns.length : at
    if (this.columns[position] !== undefined) return position
    const given = typeof column === 'string' ? `'${column}'` : column
    throw new ValueError(`${this.name} has no column ${given}; it has ${this.columns.join(', ')}`)
  }

  /** The values of a column as text. */
  column(column: Column): string[] {
    const at = this.positionOf(column)
    return this.rows.map((row) => row[at])
  }

  /** The numbers of one column as a tensor [rows], or of several as [rows, columns]. */
  tensor(columns: Column | readonly Column[] = this.columns, options: ColumnOptions = {}): Tensor {
    const { dtype = float32, missing = null } = options
    const positions = (Array.isArray(columns) ? columns : [columns]).map((column: Column) => this.positionOf(column))
    const values: (number | bigint)[] = []
    for (let row = 0; row < this.rows.length; row++) {
      for (const column of positions) values.push(this.number(row, column, dtype, missing))
    }
    const flat = tensor(dtype === float32 ? Float32Array.from(values, Number) : values, { dtype })
    return Array.isArray(columns) ? flat.view(this.rows.length, positions.length) : flat
  }

  private number(row: number, column: number, dtype: DType, missing: number | null): number | bigint {
    const text = this.rows[row][column].trim()
    if (MISSING.has(text)) {
      if (missing !== null) return missing
      throw this.wrong(row, column, text === '' ? 'a value is missing' : `a value is missing ('${text}')`)
    }
    if (dtype === int64 && /^[+-]?\d+$/.test(text)) return BigInt(text.replace('+', ''))
    const value = NUMBER.test(text) ? Number(text) : (NAMED.get(text.toLowerCase()) ?? Number.NaN)
    if (Number.isNaN(value)) throw this.wrong(row, column, `'${text}' is no number`)
    if (!dtype.isFloatingPoint && !Number.isInteger(value)) {
      throw this.wrong(row, column, `'${text}' is no whole number, and ${String(dtype)} holds nothing else`)
    }
    return value
  }

  /** The number of each label of a column: its position in `classes`, as int64 [rows]. */
  labels(column: Column, classes: readonly string[]): Tensor {
    const at = this.positionOf(column)
    const known = new Map(classes.map((name, i) => [name, i]))
    const numbers = this.rows.map((cells, row) => {
      const label = cells[at].trim()
      const number = known.get(label)
      if (number !== undefined) return number
      if (label === '') throw this.wrong(row, at, 'a label is missing')
      throw this.wrong(row, at, `'${label}' is none of the classes ${classes.join(', ')}`)
    })
    return tensor(numbers, { dtype: int64 })
  }

  /** The labels of a column, each once: sorted as numbers if all are, else as text. */
  distinct(column: Column): string[] {
    const labels = [...new Set(this.column(column).map((label) => label.trim()))].filter((label) => label !== '')
    return labels.every((label) => NUMBER.test(label)) ? labels.sort((a, b) => Number(a) - Number(b)) : labels.sort()
  }

  /** True if a column holds a value that is neither a number nor missing. */
  holdsText(column: Column): boolean {
    const isNumber = (text: string): boolean => MISSING.has(text) || NUMBER.test(text) || NAMED.has(text.toLowerCase())
    return this.column(column).some((text) => !isNumber(text.trim()))
  }

  private wrong(row: number, column: number, what: string): ValueError {
    const line = this.lines[row] === undefined ? '' : ` (line ${this.lines[row]})`
    return new ValueError(`${this.name}: row ${row}${line}, column '${this.columns[column]}': ${what}`)
  }
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const NAMED = new Map(
  ['inf', 'infinity'].flatMap((word) => [
    [word, Infinity],
    [`+${word}`, Infinity],
    [`-${word}`, -Infinity],
  ]),
) as ReadonlyMap<string, number>

/**
 * Reads a CSV file (or `{ text }`), all of it at once. Throws what `readFileSync` throws, and ValueError for rows of
 * unequal length, open quotes, columns of one name, and tables without rows.
 */
export function readCsv(source: Source, options: ReadOptions = {}): Table {
  const { header = true, delimiter = ',', comment = null, skipLines = 0 } = options
  const inline = typeof source === 'object' && 'text' in source
  const name = inline ? 'the text' : String(source)
  const text = inline ? source.text : readFileSync(source, 'utf8')
  const found = records(text, name, { delimiter, comment, skipLines })
  const named = header === true ? found.shift()?.record : Array.isArray(header) ? (header as readonly string[]) : null
  if (found.length === 0) throw new ValueError(`${name} has no rows`)
  const width = found[0].record.length
  const columns = (named ?? Array.from({ length: width }, (_, i) => String(i))).map((column) => column.trim())
  if (columns.length !== width) {
    throw new ValueError(`${name}: ${columns.length} names for ${width} columns`)
  }
  const twice = columns.find((column, i) => columns.indexOf(column) !== i)
  if (twice !== undefined) throw new ValueError(`${name}: two columns are named '${twice}'`)
  return new Table(
    columns,
    found.map(({ record }) => record),
    name,
    found.map(({ line }) => line),
  )
}

interface Row {
  readonly record: string[]
  /** Of the file, from 1: where the row ends. */
  readonly line: number
}

type Format = { delimiter: string; comment: string | null; skipLines: number }

function records(text: string, name: string, { delimiter, comment, skipLines }: Format): Row[] {
  try {
    const found = parse(text, {
      bom: true,
      delimiter,
      comment: comment ?? '',
      from_line: skipLines + 1,
      skip_empty_lines: true,
      info: true,
    }) as unknown as { record: string[]; info: { lines: number } }[]
    return found.map(({ record, info }) => ({ record, line: info.lines }))
  } catch (error) {
    if (error instanceof CsvError) throw new ValueError(`${name}: ${error.message}`, { cause: error })
    throw error
  }
}
