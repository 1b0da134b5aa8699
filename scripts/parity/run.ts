// Runs every case of a directory in the format of the parity data against the library.
import { type Json, readPair } from './data.ts'
import { runErrors } from './errors.ts'
import { runModules } from './modules.ts'
import { runOps } from './ops.ts'
import { runOptimizers } from './optimizers.ts'
import { runPrint } from './print.ts'
import { KINDS, type Kind, type Outcome } from './report.ts'
import { runRng } from './rng.ts'
import { runTraining } from './training.ts'
import { type Torch, Values } from './values.ts'

export interface RunOptions {
  /** All kinds if absent. */
  readonly only?: readonly Kind[]
  /** Cases whose name it matches. */
  readonly filter?: RegExp
  /** Ops, optimizer steps and training steps run through torch.compile. */
  readonly compiled?: boolean
}

type Runner = (
  torch: Torch,
  json: Json,
  values: Values,
  wanted: (name: string) => boolean,
  compiled: boolean,
) => Iterable<Outcome> | AsyncIterable<Outcome>

const RUNNERS: Readonly<Record<Kind, Runner>> = {
  ops: runOps,
  errors: runErrors,
  modules: runModules,
  optimizers: runOptimizers,
  rng: runRng,
  training: (torch, json, _values, wanted, compiled) => runTraining(torch, json, wanted, compiled),
  print: runPrint,
}

/** The files of each kind. */
const FILES: Readonly<Record<Kind, readonly string[]>> = {
  ...(Object.fromEntries(KINDS.map((kind) => [kind, [kind]])) as unknown as Record<Kind, string[]>),
  ops: ['ops.float32', 'ops.int64', 'ops.bool'],
}

/** Runs the cases of a directory, kind by kind. Throws if there are none. */
export async function runParity(
  torch: Torch,
  directory: string,
  options: RunOptions = {},
): Promise<Map<Kind, Outcome[]>> {
  const { only = KINDS, filter, compiled = false } = options
  const found = new Map<Kind, Outcome[]>()
  for (const kind of KINDS) {
    if (!only.includes(kind)) continue
    for (const file of FILES[kind]) {
      const pair = readPair(directory, file)
      if (!pair) continue
      const outcomes = found.get(kind) ?? []
      found.set(kind, outcomes)
      const values = new Values(torch, pair.tensors)
      const wanted = (name: string): boolean => filter?.test(name) ?? true
      for await (const outcome of RUNNERS[kind](torch, pair.json, values, wanted, compiled)) outcomes.push(outcome)
    }
  }
  if (found.size === 0) throw new Error(`there is no parity data in ${directory}`)
  return found
}
