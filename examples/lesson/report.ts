// What the lesson shows and writes: the command line's errors, a progress bar, times, charts and files.
import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { lineChart } from '@tytorch/plot'
import { Presets, SingleBar } from 'cli-progress'
import { judgeFit } from './fit.ts'
import { HELP, type OptimizerName, type Options, parseOptions, UsageError } from './options.ts'

export type { OptimizerName }

/** What a training run yields: losses an epoch each, its duration, and shares of rows told right. */
export type Results = {
  losses: { train: number[]; val: number[] }
  seconds: number
  epochTime: string
  accuracy: { train: number; val: number }
}

export type Lesson = {
  options: Options
  showModel(model: object): void
  startProgress(epochs: number): {
    update: (epoch: number, trainLoss: number, valLoss: number) => void
    stop: () => void
  }
  report(results: Results): Promise<void>
}

const OPTIMIZER_TITLES = { adam: 'Adam', adamw: 'AdamW', rmsprop: 'RMSprop', sgd: 'SGD' }
// Without a terminal to redraw, so many lines tell of the progress.
const PROGRESS_LINES = 10

/** Reads the command line; ends the process with code 2 and one line on standard error where it is wrong. */
export function startLesson(args: readonly string[]): Lesson {
  try {
    const options = parseOptions(args)
    if (options === 'help') {
      console.log(HELP)
      process.exit(0)
    }
    makeFolder(options.out)
    return { options, showModel, startProgress, report: (results) => report(options, results) }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`lesson: ${error.message}`)
    process.exit(2)
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw new UsageError(`--out: cannot make the folder '${folder}' (${(error as NodeJS.ErrnoException).code})`)
  }
}

function showModel(model: object): void {
  console.log(`${model}\n`)
}

function startProgress(epochs: number): ReturnType<Lesson['startProgress']> {
  if (process.stderr.isTTY) {
    const format = 'Training |{bar}| {value}/{total} epochs, loss {train}, validation {val}'
    const bar = new SingleBar({ format, hideCursor: true, fps: 15, barsize: 24 }, Presets.shades_classic)
    bar.start(epochs, 0, { train: '-', val: '-' })
    return {
      update: (epoch, train, val) => bar.update(epoch + 1, { train: train.toFixed(4), val: val.toFixed(4) }),
      stop: () => bar.stop(),
    }
  }
  const every = Math.max(1, Math.floor(epochs / PROGRESS_LINES))
  const digits = String(epochs).length
  return {
    update: (epoch, train, val) => {
      if ((epoch + 1) % every !== 0 && epoch !== 0 && epoch + 1 !== epochs) return
      const number = String(epoch + 1).padStart(digits)
      console.log(`epoch ${number}/${epochs}  loss ${train.toFixed(4)}  validation ${val.toFixed(4)}`)
    },
    stop: () => {},
  }
}

async function report(options: Options, { losses, seconds, epochTime, accuracy }: Results): Promise<void> {
  const fit = judgeFit(losses.train, losses.val)
  const verdict = fit.verdict[0].toUpperCase() + fit.verdict.slice(1)
  const epochs = options.epochs.toLocaleString('en-US')
  const optimizer = `${OPTIMIZER_TITLES[options.optimizer]}, learning rate ${options.lr}`
  const [train, val] = [losses.train, losses.val].map((curve) => curve[curve.length - 1].toFixed(4))
  const lastLosses = `training ${train}, validation ${val}`
  const figure = lineChart({
    title: `Iris, network of 4-${options.hidden}-3: loss over ${epochs} epochs (${optimizer})`,
    subtitle: `Loss of the last epoch: ${lastLosses}. ${verdict}: ${fit.reason}.`,
    x: { label: 'epoch' },
    y: { label: 'cross-entropy loss (nats)' },
    series: [
      { name: 'training', values: losses.train },
      { name: 'validation', values: losses.val },
    ],
  })

  const files = ['losses.png', 'losses.svg', 'losses.json'].map((name) => join(options.out, name))
  const record = { options, seconds, accuracy, fit, losses }
  await Promise.all([figure.save(files[0]), figure.save(files[1]), writeFile(files[2], `${JSON.stringify(record)}\n`)])

  const width = Math.min(process.stdout.columns || 80, 120)
  console.log(`\n${figure.terminal({ width, height: 22 })}\n`)
  console.log(`Training time:       ${seconds.toFixed(3)} s for ${epochs} epochs`)
  console.log(`Time of one epoch:   ${epochTime}`)
  console.log(`Last losses:         ${lastLosses}`)
  console.log(`Training accuracy:   ${(accuracy.train * 100).toFixed(1)} %`)
  console.log(`Validation accuracy: ${(accuracy.val * 100).toFixed(1)} %`)
  console.log(`${verdict}: ${fit.reason}. Advice: ${fit.advice}.`)
  console.log(`Written: ${files.map((file) => relative('.', file)).join(', ')}`)
}
