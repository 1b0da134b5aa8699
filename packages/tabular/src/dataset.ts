// A CSV file as a dataset whose samples are [features, target].
import { type DType, float32, type Tensor, ValueError } from 'tytorch'
import { TensorDataset } from 'tytorch/data'
import { type Column, type ReadOptions, readCsv, type Source, type Table } from './csv.ts'

/** What `CsvDataset` takes by name. */
export interface CsvOptions extends ReadOptions {
  /** The columns of the features, by name or position; all but the target's by default. */
  readonly features?: readonly Column[]
  /** The column of the target, or several; the last one by default. */
  readonly target?: Column | readonly Column[]
  /** The features' dtype; float32 by default. */
  readonly dtype?: DType
  /** The target's dtype if it is no class; the features' by default. */
  readonly targetDtype?: DType
  /**
   * The target is a class, an int64 number: the position of its label in this list, or among its labels in order
   * (true). By default it is one if the column holds text.
   */
  readonly classes?: boolean | readonly string[]
  /** Stands for features that are missing, which are an error if it is absent. */
  readonly missing?: number | null
}

/**
 * The rows of a CSV file (or of `{ text }`) as samples [features [k], target]: a class's number (int64), a number, or
 * several. All of it is read at once. Throws ValueError that names row and column for what is missing or no number.
 */
export class CsvDataset extends TensorDataset<[features: Tensor, target: Tensor]> {
  static readonly url = import.meta.url
  /** The features' columns. */
  readonly columns: readonly string[]
  /** The target's columns. */
  readonly targetColumns: readonly string[]
  /** The labels by number; empty if the target is no class. */
  readonly classes: readonly string[]

  constructor(source: Source, options: CsvOptions = {}) {
    const table = readCsv(source, options)
    const { target = table.columns.length - 1, dtype = float32 } = options
    const targets = (Array.isArray(target) ? target : [target]).map((column: Column) => table.positionOf(column))
    const features =
      options.features?.map((column) => table.positionOf(column)) ??
      table.columns.map((_, i) => i).filter((i) => !targets.includes(i))
    if (features.length === 0) throw new ValueError(`${table.name}: no column is left for the features`)
    const classes = classesOf(table, targets, options.classes)
    super(
      table.tensor(features, { dtype, missing: options.missing }),
      classes
        ? table.labels(targets[0], classes)
        : table.tensor(Array.isArray(target) ? targets : targets[0], { dtype: options.targetDtype ?? dtype }),
    )
    this.columns = features.map((i) => table.columns[i])
    this.targetColumns = targets.map((i) => table.columns[i])
    this.classes = classes ?? []
  }

  /** The features of all rows, [rows, k]. */
  get features(): Tensor {
    return this.tensors[0]
  }

  /** The targets of all rows, [rows] or [rows, columns]. */
  get target(): Tensor {
    return this.tensors[1]
  }
}

function classesOf(table: Table, targets: readonly number[], given: CsvOptions['classes']): readonly string[] | null {
  if (given === false) return null
  if (targets.length > 1) {
    if (given === undefined) return null
    throw new ValueError(`${table.name}: classes are of one target column, not of ${targets.length}`)
  }
  if (Array.isArray(given)) return given
  return given === true || table.holdsText(targets[0]) ? table.distinct(targets[0]) : null
}
