// @tytorch/plot: curves in one figure, for files, terminals, notebooks and web pages.
export type { Axis, LineChartOptions, Numbers, Series } from './chart.ts'
export { lineChart } from './chart.ts'
export { Figure } from './figure.ts'
export type { TerminalOptions } from './terminal.ts'
