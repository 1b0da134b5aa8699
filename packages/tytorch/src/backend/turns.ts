// What decompositions of matrices spend their time in: passes over the rows of a matrix of doubles that apply and find
// reflections, and sequences of plane rotations of neighbouring rows.
import { memory, reserved } from './memory.ts'

/** Rows go in pairs, and elements in groups of so many: the memory behind both must be there, and hold zeros. */
export const GROUP = 8
/** Rotations take the elements of rows in groups of so many. */
export const CHUNK = 16

/**
 * Byte pointers throughout, `stride` in bytes. A pass takes `rows` rows of `a` of `width` elements (a multiple of GROUP;
 * an odd number of rows takes the one behind along). Vectors of `rows` elements are named x, y, z, those of `width` u, v, w.
 */
export interface Passes {
  /** a[r] -= x[r] u + y[r] v, then z[r] = a[r] w. */
  subtractTwoDot(
    rows: number,
    width: number,
    a: number,
    stride: number,
    x: number,
    u: number,
    y: number,
    v: number,
    z: number,
    w: number,
  ): void
  /** a[r] -= x[r] u, then z[r] = a[r] w. */
  subtractDot(rows: number, width: number, a: number, stride: number, x: number, u: number, z: number, w: number): void
  /** a[r] -= x[r] u, then w += z[r] a[r]. */
  subtractSum(rows: number, width: number, a: number, stride: number, x: number, u: number, z: number, w: number): void
}

/** Reflections to multiply rows by, the last first; their vectors are rows too, number i from element i + `offset` on. */
export interface Reflected {
  readonly out: number
  readonly outStride: number
  readonly rows: number
  /** Elements of a row. */
  readonly n: number
  /** The rows are the identity's: a reflection reaches those from its first element on. */
  readonly identity: boolean
  readonly vectors: number
  readonly stride: number
  readonly taus: number
  readonly count: number
  readonly offset: number
}

/** The passes, and what is made of them. */
export interface Turns extends Passes {
  /** Three rows of `width` elements, a multiple of GROUP, less tau v (v^T rows), with v = (1, v2, v3). */
  reflectThree(width: number, a: number, stride: number, tau: number, v2: number, v3: number): void
  /** Multiplies rows by reflections. */
  reflectRows(rows: Reflected): void
  /**
   * Runs a list of sweeps of doubles from byte `list` to `end` on `chunks` * CHUNK elements of rows of `a`. A sweep is: byte
   * offset of the first row, number of rotations k, bytes from a row to the next, and k pairs c, s. A rotation makes
   * p, q of a row p and the next q: c p + s q, c q - s p.
   */
  rotate(list: number, end: number, a: number, chunks: number): void
}

/** Rows that are multiplied by all reflections before the next ones, so that they stay in the cache. */
export const BLOCK = 16

/** Multiplies rows `first` to `first` + BLOCK by the reflections. */
export function reflectBlock(passes: Passes, r: Reflected, first: number): void {
  const { f64 } = memory.views
  const end = Math.min(first + BLOCK, r.rows)
  const width = Math.ceil(r.n / GROUP) * GROUP
  const factors = [reserved.scratch + 1024, reserved.scratch + 1024 + 8 * BLOCK]
  f64.fill(0, factors[0] / 8, factors[0] / 8 + 2 * BLOCK)
  let last = r.identity ? Math.min(r.count, end - r.offset) - 1 : r.count - 1
  // After the first reflection its own row takes it off once more, now against a factor that nobody reads.
  for (let i = last; i >= -1 && last >= 0; i--) {
    const now = Math.max(i, 0)
    // Rows go in pairs, and the one before those reached has nothing there.
    const from = r.identity ? Math.max((now + r.offset) & -2, first) : first
    const start = (now + r.offset) & -GROUP
    const [x, z] = [factors[i & 1] + 8 * (from - first), factors[(i + 1) & 1] + 8 * (from - first)]
    passes.subtractDot(
      end - from,
      width - start,
      r.out + from * r.outStride + 8 * start,
      r.outStride,
      x,
      r.vectors + last * r.stride + 8 * start,
      z,
      r.vectors + now * r.stride + 8 * start,
    )
    const tau = f64[r.taus / 8 + now]
    for (let k = z / 8; k < z / 8 + end - from; k++) f64[k] *= tau
    last = now
  }
}
