// The lesson's command line: defaults, good values, and one line for each bad one.
import { expect, it } from 'vitest'
import { parseOptions, UsageError } from '../lesson/options.ts'

it('has the defaults of the lesson', () => {
  expect(parseOptions([])).toEqual({
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
  })
})

it('reads every option, in both spellings', () => {
  const args =
    '--epochs 1e2 --lr=0.5 --optimizer SGD --momentum .9 --hidden 8 --seed 7 --out a/b --exercise 3 --batch-size 4 --workers=2'.split(
      ' ',
    )
  expect(parseOptions(args)).toEqual({
    exercise: 3,
    epochs: 100,
    lr: 0.5,
    optimizer: 'sgd',
    momentum: 0.9,
    hidden: 8,
    batchSize: 4,
    workers: 2,
    seed: 7,
    out: 'a/b',
  })
  expect(parseOptions(['--epochs', 'x', '--help'])).toBe('help')
})

it.each([
  ['--epochs 0', "--epochs must be an integer of at least 1, got '0'"],
  ['--epochs 1.5', "--epochs must be an integer of at least 1, got '1.5'"],
  ['--epochs -3', "--epochs must be an integer of at least 1, got '-3'"],
  ['--hidden ten', "--hidden must be an integer of at least 1, got 'ten'"],
  ['--lr 0', "--lr must be a number above 0, got '0'"],
  ['--lr -1', "--lr must be a number above 0, got '-1'"],
  ['--lr 1e400', "--lr must be a number above 0, got '1e400'"],
  ['--lr=', "--lr must be a number above 0, got ''"],
  ['--batch-size 0', "--batch-size must be an integer of at least 1, got '0'"],
  ['--batch-size -1', "--batch-size must be an integer of at least 1, got '-1'"],
  ['--workers two', "--workers must be an integer of at least 0, got 'two'"],
  ['--exercise 4', "--exercise must be 1, 2 or 3, got '4'"],
  ['--exercise all', "--exercise must be 1, 2 or 3, got 'all'"],
  ['--seed -1', "--seed must be an integer of at least 0, got '-1'"],
  ['--optimizer lion', "--optimizer must be one of adam, adamw, rmsprop, sgd, got 'lion'"],
  ['--momentum 1', "--momentum must be a number from 0 to below 1, got '1'"],
  ['--momentum 0.9', '--momentum is for sgd and rmsprop; adam has its own'],
  ['--out=', "--out must name a folder, got ''"],
  ['--epoch 3', "Unknown option '--epoch' (--help lists the options)"],
  ['3000', /^Unexpected argument '3000'/],
  ['--lr', /^Option '--lr <value>' argument missing/],
])('says in one line what is wrong with %s', (line, message) => {
  const parsing = () => parseOptions(line.split(' '))
  expect(parsing).toThrow(UsageError)
  expect(parsing).toThrow(message)
  expect(parsing).not.toThrow('\n')
})
