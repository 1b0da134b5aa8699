// Full batch against mini-batches: the count of epochs, and the lesson's observations where they hold and where not.
import { describe, expect, it } from 'vitest'
import { compareRuns, describeComparison, epochsUntil, summarize } from '../lesson/compare.ts'

const run = (train: number[], seconds: number) => ({
  losses: { train, val: [] },
  seconds,
  epochTime: '',
  accuracy: { train: 1 },
})
const batching = { rows: 112, batchSize: 16, updates: 7 }
const full = run([1, 0.8, 0.6, 0.5], 0.004)

it('counts epochs until a loss is reached', () => {
  expect(epochsUntil([3, 2, 1], 2)).toBe(2)
  expect(epochsUntil([3, 2, 1], 0.5)).toBeUndefined()
})

describe('compareRuns', () => {
  it('finds both observations to hold, and tells them', () => {
    const comparison = compareRuns(full, run([0.9, 0.5, 0.3, 0.2], 0.01), batching)
    expect(comparison).toMatchObject({
      goal: 0.5,
      full: { epochTime: 1, epochs: 4 },
      mini: { epochTime: 2.5, epochs: 2, updates: 7 },
    })
    expect(comparison.observations.map(({ holds }) => holds)).toEqual([true, true])
    expect(describeComparison(comparison, batching)).toMatchInlineSnapshot(`
      "Full batch against mini-batches, until the full batch's last training loss (0.5000)

                              time an epoch  updates an epoch  epochs to 0.5000  updates to 0.5000  time to 0.5000
      ────────────────────────────────────────────────────────────────────────────────────────────────────────────
      full batch (112 rows)         1.00 ms                 1                 4                  4          0.00 s
      mini-batches (16 rows)        2.50 ms                 7                 2                 14          0.01 s

      The lesson says: an epoch takes much longer in mini-batches. Here: yes, it takes 2.5 times as long, with 7 updates instead of 1.
      The lesson says: it takes fewer epochs to the same loss. Here: yes, 2 instead of 4, though 14 updates instead of 4."
    `)
    expect(summarize(comparison)).toBe(
      'Mini-batches need 2 epochs to reach a training loss of 0.5000, the full batch 4; each of their epochs takes 2.5 times as long.',
    )
  })

  it('says where they do not hold', () => {
    const comparison = compareRuns(full, run([1, 0.9, 0.9, 0.9], 0.002), batching)
    expect(comparison.observations.map(({ holds }) => holds)).toEqual([false, false])
    expect(comparison.observations[1].because).toBe('mini-batches did not reach 0.5000 in 4 epochs')
    expect(describeComparison(comparison, batching)).toContain('not reached')
    expect(summarize(comparison)).toContain('Mini-batches do not reach a training loss of 0.5000')
  })
})
