// What the host's functions are for most arguments, as expressions: a back end that can branch computes these where
// `when` holds for all lanes of a group, and calls the host for the others.
import { num, withSign } from './build.ts'
import { expDouble, expm1Double, sinCosDouble } from './double.ts'
import { constant, type Expr, type HostFunction, k } from './expr.ts'

/** `value` is the function's where `when` (a bool) holds. */
export interface Quick {
  readonly when: Expr
  readonly value: Expr
}

const both = (...conditions: Expr[]): Expr => conditions.reduce((a, b) => k.and(a, b))
const below = (x: Expr, limit: number): Expr => k.lt(k.abs(x), num(x, limit))

/**
 * a - q b in two exact products, for the nearest integer q below 2^25: b is cut into 26 and 27 bits. Nearest, not
 * truncated, so that neither difference needs more than 53 bits; what lies on the other side of 0 then gets b added.
 */
function fmod(a: Expr, b: Expr): Quick {
  const quotient = k.div(a, b)
  const q = k.nearest(quotient)
  const high = k.bitcast(k.and(k.bitcast(b, 'i64'), constant(-(2n ** 27n), 'i64')), 'f64')
  const low = k.sub(b, high)
  const rest = k.sub(k.sub(a, k.mul(q, high)), k.mul(q, low))
  const zero = num(a, 0)
  const beyond = k.lt(k.bitcast(k.mul(rest, a), 'i64'), constant(0n, 'i64'))
  const step = k.select(both(beyond, k.ne(rest, zero)), withSign(k.abs(b), a), zero)
  const when = both(below(quotient, 2 ** 25), below(a, 2 ** 500), below(b, 2 ** 500))
  return { when, value: withSign(k.add(rest, step), a) }
}

/** The reduction by pi / 2 takes 20 bits of quotient. */
const TURNS = 2 ** 20

/** Squares neither overflow nor vanish. */
function hypot(x: Expr, y: Expr): Quick {
  const largest = k.max(k.abs(x), k.abs(y))
  const when = both(below(largest, 2 ** 500), k.gt(largest, num(x, 2 ** -450)))
  return { when, value: k.sqrt(k.madd(x, x, k.mul(y, y))) }
}

function sinh(x: Expr): Quick {
  const t = expm1Double(k.abs(x))
  const half = k.mul(k.add(t, k.div(t, k.add(t, num(x, 1)))), num(x, 0.5))
  return { when: below(x, 700), value: withSign(half, x) }
}

function cosh(x: Expr): Quick {
  const e = expDouble(k.abs(x))
  return { when: below(x, 700), value: k.mul(k.add(e, k.div(num(x, 1), e)), num(x, 0.5)) }
}

/** By name; a function that is not here is always called. */
export const quick: Readonly<Partial<Record<HostFunction, (...x: Expr[]) => Quick>>> = {
  fmod,
  hypot,
  sinh,
  cosh,
  sin: (x) => ({ when: below(x, TURNS), value: k.select(k.eq(x, num(x, 0)), x, sinCosDouble(x).sine) }),
  cos: (x) => ({ when: below(x, TURNS), value: sinCosDouble(x).cosine }),
  tan: (x) => {
    const { sine, cosine } = sinCosDouble(x)
    return { when: below(x, TURNS), value: k.select(k.eq(x, num(x, 0)), x, k.div(sine, cosine)) }
  },
}
