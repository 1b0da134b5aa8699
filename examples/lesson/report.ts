// What a run of the lesson's exercises shows and writes at its end: curves, times, accuracies and a verdict.
import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { lineChart, type Series } from '@tytorch/plot'
import { compareRuns, describeComparison, summarize } from './compare.ts'
import { judgeFall, judgeFit } from './fit.ts'
import type { Run } from './lesson.ts'
import type { Options } from './options.ts'

const OPTIMIZER_TITLES = { adam: 'Adam', adamw: 'AdamW', rmsprop: 'RMSprop', sgd: 'SGD' }
const FILES = { 1: 'training', 2: 'losses', 3: 'loaders' } as const
// Of the 150 flowers, those that exercises 2 and 3 learn from.
const TRAINING_ROWS = 112

/** Draws the losses in the terminal and to files, and prints what the run tells. */
export async function report(options: Options, exercise: 1 | 2 | 3, run: Run, full?: Run): Promise<void> {
  const { losses, seconds, epochTime, accuracy } = run
  const validates = losses.val.length > 0
  const fit = validates ? judgeFit(losses.train, losses.val) : judgeFall(losses.train)
  const verdict = fit.verdict[0].toUpperCase() + fit.verdict.slice(1)
  const epochs = options.epochs.toLocaleString('en-US')
  const last = (curve: readonly number[]) => curve[curve.length - 1].toFixed(4)
  const lastLosses = `training ${last(losses.train)}${validates ? `, validation ${last(losses.val)}` : ''}`

  const batching = {
    rows: TRAINING_ROWS,
    batchSize: options.batchSize,
    updates: Math.ceil(TRAINING_ROWS / options.batchSize),
  }
  const comparison = full && compareRuns(full, run, batching)
  const batches = exercise === 3 ? `, batches of ${options.batchSize}` : ''
  const series: Series[] = [{ name: `training${batches}`, values: losses.train }]
  if (validates) series.push({ name: `validation${batches}`, values: losses.val })
  if (full) series.push({ name: 'training, full batch', values: full.losses.train })
  const told = comparison ? summarize(comparison) : `${verdict}: ${fit.reason}.`
  const figure = lineChart({
    title: `Iris, network of 4-${options.hidden}-3: loss over ${epochs} epochs`,
    subtitle: `${optimizerTitle(options)}. Loss of the last epoch: ${lastLosses}. ${told}`,
    x: { label: 'epoch' },
    // Curves that lie close together at their end are told apart on a logarithmic axis.
    y: full ? { label: 'cross-entropy loss (nats, log scale)', scale: 'log' } : { label: 'cross-entropy loss (nats)' },
    series,
  })

  const files = ['png', 'svg', 'json'].map((ending) => join(options.out, `${FILES[exercise]}.${ending}`))
  const record = { options, seconds, accuracy, fit, ...(comparison ? { comparison } : {}), losses }
  await Promise.all([figure.save(files[0]), figure.save(files[1]), writeFile(files[2], `${JSON.stringify(record)}\n`)])

  const width = Math.min(process.stdout.columns || 80, 120)
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  console.log(`\n${figure.terminal({ width, height: 22 })}\n`)
  console.log(`Training time:       ${seconds.toFixed(3)} s for ${epochs} epochs`)
  console.log(`Time of one epoch:   ${epochTime}`)
  console.log(`Last losses:         ${lastLosses}`)
  console.log(`Training accuracy:   ${percent(accuracy.train)}`)
  if (accuracy.val !== undefined) console.log(`Validation accuracy: ${percent(accuracy.val)}`)
  console.log(`${verdict}: ${fit.reason}.${fit.advice ? ` Advice: ${fit.advice}.` : ''}`)
  if (comparison) console.log(`\n${describeComparison(comparison, batching)}`)
  console.log(`Written: ${files.map((file) => relative('.', file)).join(', ')}`)
}

function optimizerTitle({ optimizer, lr }: Options): string {
  return `${OPTIMIZER_TITLES[optimizer]}, learning rate ${lr}`
}
