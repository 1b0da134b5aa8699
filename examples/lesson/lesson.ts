// What the lesson's page needs beside its user code: the command line, progress, timing, and what is shown and written.
import { mkdirSync } from 'node:fs'
import { liveChart } from '@tytorch/plot'
import * as torch from 'tytorch'
import { HELP, type OptimizerName, type Options, parseOptions, UsageError } from './options.ts'
import { report } from './report.ts'
import { showBatch, showItem } from './show.ts'

export type { OptimizerName }

/** Losses an epoch each; `val` is empty where nothing was validated. */
export type Losses = { train: number[]; val: number[] }

export type OnEpoch = (trainLoss: number, valLoss: number | undefined) => void

/** What a training run yields: losses an epoch each, its duration, and shares of rows told right. */
export type Run = {
  losses: Losses
  seconds: number
  epochTime: string
  accuracy: { train: number; val?: number | undefined }
}

export type Lesson = {
  options: Options
  startExercise(title: string): void
  showModel(model: object): void
  /** Shows the sizes of both datasets and the first item of the one to learn from. */
  showItem(training: number, validation: number, x: torch.Tensor, y: torch.Tensor): void
  /** Shows one of `count` batches as a table, and draws it. */
  showBatch(count: number, x: torch.Tensor, y: torch.Tensor): Promise<void>
  startProgress(): { update: OnEpoch; stop: () => void }
  /** Seconds an epoch, as `%timeit` tells them, of a function that trains for so many epochs. */
  timeEpochs(train: (epochs: number) => Promise<unknown>): Promise<string>
  /** Draws the losses and tells of the run; exercise 3 is compared with `full`, the run with all rows at once. */
  report(exercise: 1 | 2 | 3, run: Run, full?: Run): Promise<void>
}

/** Reads the command line; ends the process with code 2 and one line on standard error where it is wrong. */
export function startLesson(args: readonly string[]): Lesson {
  try {
    const options = parseOptions(args)
    if (options === 'help') {
      console.log(HELP)
      process.exit(0)
    }
    makeFolder(options.out)
    return {
      options,
      startExercise: (title) => console.log(`\n${title}\n${'─'.repeat(title.length)}\n`),
      showModel: (model) => console.log(`${model}\n`),
      showItem,
      showBatch: (count, x, y) => showBatch(options, count, x, y),
      startProgress: () => startProgress(options.epochs),
      timeEpochs,
      report: (exercise, run, full) => report(options, exercise, run, full),
    }
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

/** Curves that grow, in a terminal; a line a tenth of the epochs elsewhere. */
function startProgress(epochs: number): ReturnType<Lesson['startProgress']> {
  let chart: ReturnType<typeof liveChart> | undefined
  return {
    update: (train, val) => {
      chart ??= liveChart({
        title: 'Training',
        x: { label: 'epoch' },
        y: { label: 'loss' },
        series: val === undefined ? ['training'] : ['training', 'validation'],
        total: epochs,
      })
      chart.add(train, ...(val === undefined ? [] : [val]))
    },
    // The report draws the curves once more, and for good.
    stop: () => chart?.clear(),
  }
}

const TIMED_RUNS = 7
// Epochs of a timed run, by whether its first one took less than this many milliseconds.
const SHORT = 5
const LOOPS = { short: 100, long: 10 }

async function timeEpochs(train: (epochs: number) => Promise<unknown>): Promise<string> {
  const time = async (epochs: number): Promise<number> => {
    const start = performance.now()
    await train(epochs)
    return performance.now() - start
  }
  await time(3)
  const number = (await time(1)) < SHORT ? LOOPS.short : LOOPS.long
  const readings: number[] = []
  for (let run = 0; run < TIMED_RUNS; run++) readings.push(0, await time(number))
  // timeit takes no function that has to be awaited: its clock tells it what was measured above.
  return `${torch.timeit(() => {}, { number, repeat: TIMED_RUNS, clock: () => readings.shift() as number, quiet: true })}`
}
