// Full batch against mini-batches: what each needed until the full batch's last training loss, and what the lesson says.
import { table } from '@tytorch/plot'
import type { Run } from './lesson.ts'

/** How the mini-batches were: rows a batch and batches, so updates, an epoch. */
export type Batching = { rows: number; batchSize: number; updates: number }

export type Comparison = {
  /** The full batch's last training loss, that both were to reach. */
  goal: number
  /** Milliseconds an epoch; epochs until the goal, or undefined where it was never reached. */
  full: { epochTime: number; epochs: number }
  mini: { epochTime: number; epochs: number | undefined; updates: number }
  /** The lesson's two observations, and whether they held. */
  observations: { says: string; holds: boolean; because: string }[]
}

/** Compares two runs of as many epochs. */
export function compareRuns(full: Run, mini: Run, { updates }: Batching): Comparison {
  const total = full.losses.train.length
  const goal = full.losses.train[total - 1]
  const epochTime = ({ seconds, losses }: Run) => (seconds * 1000) / losses.train.length
  const [fullTime, miniTime] = [epochTime(full), epochTime(mini)]
  const fullEpochs = epochsUntil(full.losses.train, goal) as number
  const miniEpochs = epochsUntil(mini.losses.train, goal)
  const count = (value: number) => value.toLocaleString('en-US')
  return {
    goal,
    full: { epochTime: fullTime, epochs: fullEpochs },
    mini: { epochTime: miniTime, epochs: miniEpochs, updates },
    observations: [
      {
        says: 'an epoch takes much longer in mini-batches',
        holds: miniTime > fullTime,
        because: `it takes ${(miniTime / fullTime).toFixed(1)} times as long, with ${updates} updates instead of 1`,
      },
      {
        says: 'it takes fewer epochs to the same loss',
        holds: miniEpochs !== undefined && miniEpochs < fullEpochs,
        because:
          miniEpochs === undefined
            ? `mini-batches did not reach ${goal.toFixed(4)} in ${count(mini.losses.train.length)} epochs`
            : `${count(miniEpochs)} instead of ${count(fullEpochs)}, though ${count(miniEpochs * updates)} updates instead of ${count(fullEpochs)}`,
      },
    ],
  }
}

/** The comparison as a table with a line for each observation. */
export function describeComparison(
  { goal, full, mini, observations }: Comparison,
  { rows, batchSize }: Batching,
): string {
  const until = goal.toFixed(4)
  const line = (name: string, epochTime: number, updates: number, epochs: number | undefined) => {
    const reached = (value: number) => (epochs === undefined ? 'not reached' : value)
    return [
      name,
      `${epochTime.toPrecision(3)} ms`,
      updates,
      reached(epochs ?? 0),
      reached((epochs ?? 0) * updates),
      epochs === undefined ? 'not reached' : `${((epochs * epochTime) / 1000).toFixed(2)} s`,
    ]
  }
  return [
    table({
      title: `Full batch against mini-batches, until the full batch's last training loss (${until})`,
      columns: [
        '',
        'time an epoch',
        'updates an epoch',
        `epochs to ${until}`,
        `updates to ${until}`,
        `time to ${until}`,
      ],
      rows: [
        line(`full batch (${rows} rows)`, full.epochTime, 1, full.epochs),
        line(`mini-batches (${Math.min(batchSize, rows)} rows)`, mini.epochTime, mini.updates, mini.epochs),
      ],
      align: ['left', 'right', 'right', 'right', 'right', 'right'],
    }),
    '',
    ...observations.map(
      ({ says, holds, because }) => `The lesson says: ${says}. Here: ${holds ? 'yes' : 'no'}, ${because}.`,
    ),
  ].join('\n')
}

/** The comparison in a sentence. */
export function summarize({ goal, full, mini }: Comparison): string {
  const count = (value: number) => value.toLocaleString('en-US')
  const longer = (mini.epochTime / full.epochTime).toFixed(1)
  const reached =
    mini.epochs === undefined ? 'Mini-batches do not reach' : `Mini-batches need ${count(mini.epochs)} epochs to reach`
  return `${reached} a training loss of ${goal.toFixed(4)}, the full batch ${count(full.epochs)}; each of their epochs takes ${longer} times as long.`
}

/** The number of epochs after which a loss is at or below the goal for the first time. */
export function epochsUntil(losses: readonly number[], goal: number): number | undefined {
  const epoch = losses.findIndex((loss) => loss <= goal)
  return epoch < 0 ? undefined : epoch + 1
}
