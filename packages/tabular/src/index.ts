// @tytorch/tabular: CSV files as tensors and datasets.
export { type Column, type ColumnOptions, type ReadOptions, readCsv, type Source, Table } from './csv.ts'
export { CsvDataset, type CsvOptions } from './dataset.ts'
