// Orthogonal polynomials of degree n at x, by their recurrences; n is cut to an integer, and a negative one gives 0.
// Inside (-1, 1) Chebyshev's are cosines for higher degrees, where PyTorch switches too. The functions for float32 round
// where PyTorch's do: where terms cancel, the rounding errors are what there is to agree on.

/** Rounds to the precision that is computed in. */
type Round = (x: number) => number

/** The n-th term of a recurrence from its first two; `step` gives term k. */
function recur(
  n: number,
  first: number,
  second: number,
  step: (k: number, current: number, previous: number) => number,
): number {
  if (n === 0) return first
  let previous = first
  let current = second
  for (let k = 2; k <= n && !Number.isNaN(current); k++) {
    const next = step(k, current, previous)
    previous = current
    current = next
  }
  return current
}

/** A Chebyshev polynomial of any kind: they differ in the term of degree 1. */
const chebyshev = (round: Round, x: number, n: number, second: number): number =>
  recur(n, 1, round(second), (_k, current, previous) => round(2 * x * current - previous))

const degree = (n: number): number => (Number.isNaN(n) ? -1 : Math.trunc(n))
const alternating = (n: number): number => (n % 2 === 0 ? 1 : -1)

function chebyshevT(round: Round, x: number, n: number): number {
  if (Math.abs(x) === 1) return x > 0 ? 1 : alternating(n)
  if (n > 6 && Math.abs(x) < 1) return Math.cos(round(n * round(Math.acos(x))))
  return chebyshev(round, x, n, x)
}

function chebyshevU(round: Round, x: number, n: number): number {
  if (Math.abs(x) === 1) return (x > 0 ? 1 : alternating(n)) * (n + 1)
  const t = round(Math.acos(x))
  if (n > 8 && Math.abs(x) < 1 && Math.sin(t) !== 0) return round(Math.sin(round((n + 1) * t))) / round(Math.sin(t))
  return chebyshev(round, x, n, 2 * x)
}

function chebyshevV(round: Round, x: number, n: number): number {
  if (Math.abs(x) === 1) return x > 0 ? 1 : alternating(n) * (2 * n + 1)
  const t = round(Math.acos(x))
  if (n > 8 && Math.abs(x) < 1) return round(Math.cos(round((n + 0.5) * t))) / round(Math.cos(t / 2))
  return chebyshev(round, x, n, 2 * x - 1)
}

function chebyshevW(round: Round, x: number, n: number): number {
  if (Math.abs(x) === 1) return x > 0 ? 2 * n + 1 : alternating(n)
  const t = round(Math.acos(x))
  if (n > 8 && Math.abs(x) < 1) return round(Math.sin(round((n + 0.5) * t))) / round(Math.sin(t / 2))
  return chebyshev(round, x, n, 2 * x + 1)
}

/** The degree beyond which PyTorch's Hermite polynomials are NaN. */
const limit = (round: Round): number => (round === Math.fround ? 128 : 512)

function hermiteH(round: Round, x: number, n: number): number {
  if (n > limit(round)) return Number.NaN
  return recur(n, 1, 2 * x, (k, current, previous) => round(2 * x * current - round(2 * (k - 1) * previous)))
}

function hermiteHe(round: Round, x: number, n: number): number {
  if (n > limit(round)) return Number.NaN
  return recur(n, 1, x, (k, current, previous) => round(x * current - round((k - 1) * previous)))
}

function laguerreL(round: Round, x: number, n: number): number {
  if (x === 0) return 1
  const rest = round(1 - x)
  return recur(n, 1, rest, (k, current, previous) => {
    const factor = round(2 * (k - 1) + rest)
    return round(round(factor * current - round((k - 1) * previous)) / k)
  })
}

function legendreP(round: Round, x: number, n: number): number {
  if (Math.abs(x) === 1) return x > 0 ? 1 : alternating(n)
  return recur(n, 1, x, (k, current, previous) => {
    const factor = round((2 * k - 1) * x)
    return round(round(factor * current - round((k - 1) * previous)) / k)
  })
}

type Family = (round: Round, x: number, n: number) => number
type Polynomial = (x: number, n: number) => number

const exact: Round = (x) => x

const inPrecision =
  (family: Family, round: Round): Polynomial =>
  (x, order) => {
    const n = degree(order)
    return n < 0 ? 0 : family(round, x, n)
  }

/** The host functions, in double precision and in single. */
export const polynomials = {
  /** cos(n t) at cos(t). */
  chebyshevT: inPrecision(chebyshevT, exact),
  /** sin((n + 1) t) / sin(t) at cos(t). */
  chebyshevU: inPrecision(chebyshevU, exact),
  /** cos((n + 1/2) t) / cos(t/2) at cos(t). */
  chebyshevV: inPrecision(chebyshevV, exact),
  /** sin((n + 1/2) t) / sin(t/2) at cos(t). */
  chebyshevW: inPrecision(chebyshevW, exact),
  hermiteH: inPrecision(hermiteH, exact),
  hermiteHe: inPrecision(hermiteHe, exact),
  laguerreL: inPrecision(laguerreL, exact),
  legendreP: inPrecision(legendreP, exact),
  chebyshevTSingle: inPrecision(chebyshevT, Math.fround),
  chebyshevUSingle: inPrecision(chebyshevU, Math.fround),
  chebyshevVSingle: inPrecision(chebyshevV, Math.fround),
  chebyshevWSingle: inPrecision(chebyshevW, Math.fround),
  hermiteHSingle: inPrecision(hermiteH, Math.fround),
  hermiteHeSingle: inPrecision(hermiteHe, Math.fround),
  laguerreLSingle: inPrecision(laguerreL, Math.fround),
  legendrePSingle: inPrecision(legendreP, Math.fround),
} as const satisfies Record<string, Polynomial>
