// The verdict on loss curves, one case a rule.
import { describe, expect, it } from 'vitest'
import { judgeFall, judgeFit } from '../lesson/fit.ts'

const curve = (f: (t: number) => number, length = 1000) => Array.from({ length }, (_, i) => f(i / (length - 1)))
const learned = curve((t) => 0.05 + Math.exp(-20 * t))

describe('judgeFit', () => {
  it('calls validation below training underfitting, as the lesson does', () => {
    const fit = judgeFit(
      learned,
      curve((t) => 0.03 + Math.exp(-20 * t)),
    )
    expect(fit).toMatchObject({ verdict: 'underfitting', reason: 'validation is below training' })
  })

  it('calls curves that still fall underfitting', () => {
    const fit = judgeFit(
      curve((t) => Math.exp(-2 * t)),
      curve((t) => 1.1 * Math.exp(-2 * t)),
    )
    expect(fit.verdict).toBe('underfitting')
    expect(fit.reason).toBe(
      'both losses are still falling (training by 18 %, validation by 18 % in the last tenth of the epochs)',
    )
  })

  it('calls validation that rises while training falls overfitting, and says when it began', () => {
    const fit = judgeFit(
      curve((t) => Math.exp(-5 * t)),
      curve((t) => 0.3 + (t - 0.4) ** 2),
    )
    expect(fit.verdict).toBe('overfitting')
    expect(fit.reason).toMatch(/^validation rose by \d+ % from its lowest level near epoch (350|450) while training/)
  })

  it('calls a wide gap between flat curves overfitting', () => {
    const fit = judgeFit(
      learned,
      curve((t) => 0.2 + Math.exp(-20 * t)),
    )
    expect(fit).toMatchObject({ verdict: 'overfitting', reason: 'validation is 4.0 times training' })
  })

  it('calls similar flat curves a good fit', () => {
    const fit = judgeFit(
      learned,
      curve((t) => 0.06 + Math.exp(-20 * t)),
    )
    expect(fit.verdict).toBe('a good fit')
  })

  it('names the epoch of the first loss that is no number', () => {
    const fit = judgeFit([1, Number.NaN, Number.NaN], [1, 1, Number.NaN])
    expect(fit).toMatchObject({ verdict: 'diverged', reason: 'the loss is no finite number from epoch 1 on' })
    expect(judgeFit([1, 2, 3], [1, Number.POSITIVE_INFINITY, 3]).reason).toContain('epoch 1')
  })

  it('judges a single epoch, and refuses none', () => {
    expect(judgeFit([1], [1.1]).verdict).toBe('a good fit')
    expect(() => judgeFit([], [])).toThrow(RangeError)
    expect(() => judgeFit([1], [1, 2])).toThrow('got 1 and 2')
  })
})

describe('judgeFall', () => {
  it('sees a loss that is reducing, and one that rises in between', () => {
    expect(judgeFall(learned)).toMatchObject({
      verdict: 'the loss is reducing',
      reason: 'from 1.0500 to 0.0500, and lower in each tenth of the epochs than before',
    })
    expect(judgeFall(curve((t) => (t - 0.5) ** 2))).toMatchObject({
      verdict: 'the loss is not reducing throughout',
      reason: 'from 0.2500 to 0.2500, with a rise in tenth 6 of the epochs',
    })
    expect(judgeFall([1, Number.NaN]).verdict).toBe('the loss is not reducing throughout')
  })
})
