// Under- or overfitting, told from the two loss curves by rules that are said with the verdict.

export type Fit = {
  verdict: 'underfitting' | 'overfitting' | 'a good fit' | 'diverged'
  /** What in the curves says so. */
  reason: string
  /** What to do next. */
  advice: string
}

// A tenth of the epochs is the window that losses are averaged over, so that a noisy last epoch decides nothing.
const WINDOW = 0.1
// Changes below this share are flat.
const FLAT = 0.05
// A validation loss above the training loss by this factor is a gap.
const GAP = 1.5

/**
 * Judges the curves, by the first rule that holds:
 *
 * 1. a loss that is no finite number: diverged;
 * 2. validation is over 5 % above its lowest level while training went on falling: overfitting;
 * 3. validation is below training: underfitting (the lesson's rule);
 * 4. both fell by over 5 % from the last tenth but one of the epochs to the last: underfitting;
 * 5. validation is over 1.5 times training: overfitting;
 * 6. otherwise: a good fit.
 *
 * Levels are means over a tenth of the epochs. Throws a RangeError for curves that are empty or differ in length.
 */
export function judgeFit(train: readonly number[], val: readonly number[]): Fit {
  if (train.length === 0 || train.length !== val.length) {
    throw new RangeError(`judgeFit: two curves of one length are needed, got ${train.length} and ${val.length}`)
  }
  const bad = [...train, ...val].findIndex((loss) => !Number.isFinite(loss))
  if (bad >= 0) {
    return {
      verdict: 'diverged',
      reason: `the loss is no finite number from epoch ${bad % train.length} on`,
      advice: 'lower the learning rate',
    }
  }

  const [trainLevels, valLevels] = [levels(train), levels(val)]
  const [trainLast, valLast] = [last(trainLevels), last(valLevels)]
  const lowest = valLevels.indexOf(Math.min(...valLevels))
  const epochOfLowest = Math.round(((lowest + 0.5) / valLevels.length) * train.length)

  if (valLast > valLevels[lowest] * (1 + FLAT) && trainLast < trainLevels[lowest]) {
    const rise = percent(valLast / valLevels[lowest] - 1)
    return {
      verdict: 'overfitting',
      reason: `validation rose by ${rise} from its lowest level near epoch ${epochOfLowest} while training went on falling`,
      advice: `stop near epoch ${epochOfLowest}, or use weight decay, dropout or more data`,
    }
  }
  if (valLast < trainLast) {
    return {
      verdict: 'underfitting',
      reason: 'validation is below training',
      advice: 'train for more epochs, until the two are similar',
    }
  }
  const [trainFall, valFall] = [fall(trainLevels), fall(valLevels)]
  if (trainFall > FLAT && valFall > FLAT) {
    return {
      verdict: 'underfitting',
      reason: `both losses are still falling (training by ${percent(trainFall)}, validation by ${percent(valFall)} in the last tenth of the epochs)`,
      advice: 'train for more epochs, or raise the learning rate',
    }
  }
  if (valLast > trainLast * GAP) {
    return {
      verdict: 'overfitting',
      reason: `validation is ${(valLast / trainLast).toFixed(1)} times training`,
      advice: 'use weight decay, dropout, a smaller network or more data',
    }
  }
  return {
    verdict: 'a good fit',
    reason: 'validation and training are similar and no longer fall much',
    advice: 'nothing to change',
  }
}

/**
 * Judges a training curve alone: whether the loss is reducing, that is, the mean of each tenth of the epochs lies below
 * the one before.
 */
export function judgeFall(train: readonly number[]): Omit<Fit, 'verdict'> & { verdict: string } {
  const means = levels(train)
  const from = `from ${train[0].toFixed(4)} to ${last(train).toFixed(4)}`
  const rise = means.findIndex((mean, i) => i > 0 && !(mean < means[i - 1]))
  return rise < 0
    ? {
        verdict: 'the loss is reducing',
        reason: `${from}, and lower in each tenth of the epochs than before`,
        advice: '',
      }
    : {
        verdict: 'the loss is not reducing throughout',
        reason: `${from}, with a rise in tenth ${rise + 1} of the epochs`,
        advice: 'lower the learning rate',
      }
}

/** Means over successive tenths of a curve; the values themselves where it has fewer than ten. */
function levels(losses: readonly number[]): number[] {
  const windows = Math.min(losses.length, Math.round(1 / WINDOW))
  return Array.from({ length: windows }, (_, i) => {
    const part = losses.slice(
      Math.floor((i * losses.length) / windows),
      Math.floor(((i + 1) * losses.length) / windows),
    )
    return part.reduce((sum, loss) => sum + loss, 0) / part.length
  })
}

function fall(means: readonly number[]): number {
  const before = means[means.length - 2]
  return before > 0 ? 1 - last(means) / before : 0
}

function last(values: readonly number[]): number {
  return values[values.length - 1]
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}
