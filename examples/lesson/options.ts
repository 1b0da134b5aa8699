// The lesson's command line: what can be set, its defaults, and what is wrong with a bad value.
import { parseArgs } from 'node:util'

export const OPTIMIZERS = ['adam', 'adamw', 'rmsprop', 'sgd'] as const
export type OptimizerName = (typeof OPTIMIZERS)[number]

/** Undefined stands for all exercises. */
export type Exercise = 1 | 2 | 3 | undefined

export type Options = {
  exercise: Exercise
  epochs: number
  lr: number
  optimizer: OptimizerName
  momentum: number
  hidden: number
  batchSize: number
  workers: number
  seed: number
  out: string
}

/** A command line that can't be followed; the message is one line for the person who typed it. */
export class UsageError extends Error {}

const DEFAULTS: Options = {
  exercise: undefined,
  epochs: 3000,
  lr: 1e-4,
  optimizer: 'adam',
  momentum: 0,
  hidden: 1024,
  batchSize: 16,
  workers: 0,
  seed: 0,
  out: 'out',
}

export const HELP = `Trains a network with one hidden layer on iris and draws its losses: with all rows at once (exercise 1), with a
validation loss (exercise 2), and in small batches from data loaders (exercise 3).

Usage: npm run lesson -- [options]

  --exercise N       1, 2 or 3 (all three)
  --epochs N         passes over the training rows (${DEFAULTS.epochs})
  --lr X             learning rate (${DEFAULTS.lr})
  --optimizer NAME   ${OPTIMIZERS.join(', ')} (${DEFAULTS.optimizer})
  --momentum X       momentum of sgd and rmsprop (${DEFAULTS.momentum})
  --hidden N         neurons of the hidden layer (${DEFAULTS.hidden})
  --batch-size N     rows a batch of the data loaders (${DEFAULTS.batchSize})
  --workers N        threads that load batches (${DEFAULTS.workers})
  --seed N           seed of the split and of the first weights (${DEFAULTS.seed})
  --out FOLDER       where the pictures and the losses go (${DEFAULTS.out})
  --help             this text`

/** Reads the arguments after the program's name. Returns 'help' if that is what they ask; throws a UsageError. */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const values = parse(args)
  if (values.help) return 'help'
  const options: Options = {
    exercise: exercise(values.exercise),
    epochs: count('epochs', values.epochs, 1),
    lr: real('lr', values.lr, 'a number above 0', (value) => value > 0),
    optimizer: optimizer(values.optimizer),
    momentum: real('momentum', values.momentum, 'a number from 0 to below 1', (value) => value >= 0 && value < 1),
    hidden: count('hidden', values.hidden, 1),
    batchSize: count('batch-size', values['batch-size'], 1),
    workers: count('workers', values.workers, 0),
    seed: count('seed', values.seed, 0),
    out: values.out ?? DEFAULTS.out,
  }
  if (options.out === '') throw new UsageError("--out must name a folder, got ''")
  if (options.momentum > 0 && options.optimizer.startsWith('adam')) {
    throw new UsageError(`--momentum is for sgd and rmsprop; ${options.optimizer} has its own`)
  }
  return options
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  try {
    const { values } = parseArgs({
      args: joinNegative(args),
      options: {
        exercise: text,
        epochs: text,
        lr: text,
        optimizer: text,
        momentum: text,
        hidden: text,
        'batch-size': text,
        workers: text,
        seed: text,
        out: text,
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    // The parser's own message has the reason in its first sentence, and advice that is not ours after it.
    const [reason] = (error as Error).message.split(/\.\s|\n/)
    throw new UsageError(`${reason.replace(/\.$/, '')} (--help lists the options)`)
  }
}

/** `--lr -1` as `--lr=-1`, so that the value is judged by what it is and not taken for an option. */
function joinNegative(args: readonly string[]): string[] {
  const joined: string[] = []
  for (const arg of args) {
    const last = joined[joined.length - 1]
    if (/^-[\d.]/.test(arg) && last && /^--[\w-]+$/.test(last)) joined[joined.length - 1] = `${last}=${arg}`
    else joined.push(arg)
  }
  return joined
}

const COUNTS = {
  epochs: 'epochs',
  hidden: 'hidden',
  'batch-size': 'batchSize',
  workers: 'workers',
  seed: 'seed',
} as const

function count(name: keyof typeof COUNTS, text: string | undefined, least: number): number {
  if (text === undefined) return DEFAULTS[COUNTS[name]]
  const value = /^\d+(e\d+)?$/i.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new UsageError(`--${name} must be an integer of at least ${least}, got '${text}'`)
}

function real(
  name: 'lr' | 'momentum',
  text: string | undefined,
  what: string,
  isGood: (value: number) => boolean,
): number {
  if (text === undefined) return DEFAULTS[name]
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(value) && isGood(value)) return value
  throw new UsageError(`--${name} must be ${what}, got '${text}'`)
}

function exercise(text: string | undefined): Exercise {
  if (text === undefined) return DEFAULTS.exercise
  const number = ([1, 2, 3] as const).find((known) => String(known) === text)
  if (number) return number
  throw new UsageError(`--exercise must be 1, 2 or 3, got '${text}'`)
}

function optimizer(text: string | undefined): OptimizerName {
  if (text === undefined) return DEFAULTS.optimizer
  const name = OPTIMIZERS.find((known) => known === text.toLowerCase())
  if (name) return name
  throw new UsageError(`--optimizer must be one of ${OPTIMIZERS.join(', ')}, got '${text}'`)
}
