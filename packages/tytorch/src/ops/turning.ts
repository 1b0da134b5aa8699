// Reductions of dense matrices by reflections, in float64 on the device's passes: QR factors, bidiagonal and tridiagonal
// form (LAPACK's geqrf, gebrd and sytrd, with their signs), and lists of the rotations that finish the work.
// A pass takes the reflection found last from the rows and prepares the next one, so that each row is walked once.
import { CHUNK, GROUP, type Turns } from '../backend/turns.ts'

/** Rows of doubles `line` elements apart; elements behind a row's last, and one row behind the last, are zeros. */
export interface Lines {
  readonly data: Float64Array
  readonly line: number
}

const up = (n: number, unit: number): number => Math.ceil(n / unit) * unit

/** Elements between rows of `n`: an odd number of cache lines, so that columns spread over the cache. */
export const lineOf = (n: number): number => up(n, CHUNK) + GROUP

/** Doubles that `rows` rows of `n` elements take. */
export const linesSize = (rows: number, n: number): number => (rows + 1) * lineOf(n)

/** Hands out pieces of one array, each on a cache line of its own. */
export class Pieces {
  private readonly block: Float64Array
  private at = 0

  constructor(block: Float64Array) {
    this.block = block
  }

  take(count: number): Float64Array {
    const start = this.at
    this.at += up(count, GROUP)
    if (this.at > this.block.length) throw new Error('the scratch memory of a decomposition is too small')
    return this.block.subarray(start, start + count)
  }

  lines(rows: number, n: number): Lines {
    return { data: this.take(linesSize(rows, n)), line: lineOf(n) }
  }

  vector(n: number): Float64Array {
    return this.take(lineOf(n))
  }
}

/** The byte address of an element. */
export const address = (x: Float64Array, index: number): number => x.byteOffset + 8 * index

/** What the last reflection made of its vector's first element. */
let beta = 0
export const lastBeta = (): number => beta

/**
 * Turns x = data[from..to) into the vector v of the reflection I - tau v v^T that maps x to (beta, 0, ..., 0), v[0] = 1.
 * Answers tau (LAPACK's larfg), 0 if x is so already. Clears the group before `from`, as far as it belongs to the row.
 */
export function reflector(data: Float64Array, row: number, first: number, n: number): number {
  const from = row + first
  const to = row + n
  data.fill(0, row + (Math.max(first - 1, 0) & -GROUP), from)
  const alpha = data[from]
  data[from] = 1
  beta = alpha
  let sum = 0
  for (let i = from + 1; i < to; i++) sum += data[i] * data[i]
  if (sum < 1e-290) {
    let scale = 0
    for (let i = from + 1; i < to; i++) scale = Math.max(scale, Math.abs(data[i]))
    if (scale === 0) return 0
    if (scale < 1e-145 && Math.abs(alpha) < 1e-145) return tinyReflector(data, from, to, alpha, scale)
  }
  const length = Math.sqrt(alpha * alpha + sum)
  beta = alpha >= 0 ? -length : length
  const inverse = 1 / (alpha - beta)
  for (let i = from + 1; i < to; i++) data[i] *= inverse
  return (beta - alpha) / beta
}

/** The same for elements whose squares vanish. */
function tinyReflector(data: Float64Array, from: number, to: number, alpha: number, scale: number): number {
  let sum = 0
  for (let i = from + 1; i < to; i++) {
    data[i] /= scale
    sum += data[i] * data[i]
  }
  const first = alpha / scale
  const length = Math.sqrt(first * first + sum)
  const made = first >= 0 ? -length : length
  for (let i = from + 1; i < to; i++) data[i] /= first - made
  beta = made * scale
  return (made - first) / made
}

/**
 * Reduces a symmetric n x n matrix, of which both triangles are there, to tridiagonal form: diagonals into `d` and `e`. The
 * reflections are left in the rows, their factors in `taus`; `v`, `w` and `x` are scratch.
 */
export function tridiagonalize(
  turns: Turns,
  { data, line }: Lines,
  n: number,
  d: Float64Array,
  e: Float64Array,
  taus: Float64Array,
  scratch: readonly [Float64Array, Float64Array, Float64Array],
): void {
  const v = scratch[0].fill(0)
  let w = scratch[1].fill(0)
  let x = scratch[2].fill(0)
  const width = up(n, GROUP)
  for (let i = 0; i < n; i++) {
    const row = i * line
    const [p, q] = [v[i], w[i]]
    for (let j = i; j < n; j++) data[row + j] -= p * w[j] + q * v[j]
    d[i] = data[row + i]
    if (i === n - 1) break
    const first = i + 1
    const start = first & -GROUP
    const tau = reflector(data, row, first, n)
    taus[i] = tau
    e[i] = beta
    turns.subtractTwoDot(
      n - first,
      width - start,
      address(data, first * line + start),
      line * 8,
      address(v, first),
      address(w, start),
      address(w, first),
      address(v, start),
      address(x, first),
      address(data, row + start),
    )
    let overlap = 0
    for (let j = first; j < n; j++) overlap += x[j] * data[row + j]
    const half = 0.5 * tau * tau * overlap
    v.fill(0, start, first)
    x.fill(0, start, first)
    for (let j = first; j < n; j++) {
      v[j] = data[row + j]
      x[j] = tau * x[j] - half * v[j]
    }
    const kept = w
    w = x
    x = kept
  }
}

/** Reflections: the vector of number i is row i, from element i + `offset` on. */
export interface Reflections extends Lines {
  readonly taus: Float64Array
  readonly count: number
  readonly offset: number
}

/** Multiplies `rows` rows of n elements by the reflections, the last first; `identity` if the rows are the identity's. */
export function applyRows(
  turns: Turns,
  out: Lines,
  rows: number,
  n: number,
  identity: boolean,
  { data, line, taus, count, offset }: Reflections,
): void {
  turns.reflectRows({
    out: out.data.byteOffset,
    outStride: out.line * 8,
    rows,
    n,
    identity,
    vectors: data.byteOffset,
    stride: line * 8,
    taus: taus.byteOffset,
    count,
    offset,
  })
}

/** Writes `rows` rows of the identity. */
export function fillIdentity({ data, line }: Lines, rows: number): void {
  data.fill(0)
  for (let i = 0; i < rows; i++) data[i * line + i] = 1
}

/**
 * QR of an m x n matrix, m >= n: R into `triangle`, the transposed reflections into the rows of `left` (m elements each).
 * Destroys `a`. Two vectors of n elements are scratch.
 */
export function factorTall(
  turns: Turns,
  a: Lines,
  m: number,
  n: number,
  left: Lines,
  taus: Float64Array,
  triangle: Lines,
  scratch: readonly [Float64Array, Float64Array],
): void {
  let [old, w] = [scratch[0].fill(0), scratch[1].fill(0)]
  const width = up(n, GROUP)
  for (let i = 0; i < n; i++) {
    const row = i * left.line
    const before = Math.max(i - 1, 0) * left.line
    for (let r = i; r < m; r++) left.data[row + r] = a.data[r * a.line + i] - left.data[before + r] * old[i]
    const tau = reflector(left.data, row, i, m)
    taus[i] = tau
    triangle.data[i * triangle.line + i] = beta
    const first = i + 1
    if (first === n) break
    const start = first & -GROUP
    w.fill(0, start)
    turns.subtractSum(
      m - i,
      width - start,
      address(a.data, i * a.line + start),
      a.line * 8,
      address(left.data, before + i),
      address(old, start),
      address(left.data, row + i),
      address(w, start),
    )
    w.fill(0, start, first)
    for (let j = first; j < n; j++) {
      w[j] *= tau
      triangle.data[i * triangle.line + j] = a.data[i * a.line + j] - w[j]
    }
    const kept = old
    old = w
    w = kept
  }
}

/**
 * Reduces an m x n matrix, m >= n, to upper bidiagonal form: diagonals into `d` and `e`, reflections of the left side
 * into the rows of `left` (m elements each), of the right side into those of `right`. Destroys `a`. A vector of m and one
 * of n elements are scratch.
 */
export function bidiagonalize(
  turns: Turns,
  a: Lines,
  m: number,
  n: number,
  d: Float64Array,
  e: Float64Array,
  left: Lines,
  leftTaus: Float64Array,
  right: Lines,
  rightTaus: Float64Array,
  scratch: readonly [Float64Array, Float64Array],
): void {
  const [x, w] = scratch
  x.fill(0)
  const width = up(n, GROUP)
  for (let i = 0; i < n; i++) {
    const row = i * left.line
    const before = Math.max(i - 1, 0) * right.line
    const taken = right.data[before + i]
    for (let r = i; r < m; r++) left.data[row + r] = a.data[r * a.line + i] - x[r] * taken
    const tau = reflector(left.data, row, i, m)
    leftTaus[i] = tau
    d[i] = beta
    const first = i + 1
    if (first === n) break
    const start = first & -GROUP
    w.fill(0, start)
    turns.subtractSum(
      m - i,
      width - start,
      address(a.data, i * a.line + start),
      a.line * 8,
      address(x, i),
      address(right.data, before + start),
      address(left.data, row + i),
      address(w, start),
    )
    w.fill(0, start, first)
    const turned = i * right.line
    for (let j = first; j < n; j++) {
      w[j] *= tau
      right.data[turned + j] = a.data[i * a.line + j] - w[j]
    }
    const factor = reflector(right.data, turned, first, n)
    rightTaus[i] = factor
    e[i] = beta
    turns.subtractDot(
      m - first,
      width - start,
      address(a.data, first * a.line + start),
      a.line * 8,
      address(left.data, row + first),
      address(w, start),
      address(x, first),
      address(right.data, turned + start),
    )
    for (let r = first; r < m; r++) x[r] *= factor
  }
}

/** Rotations of neighbouring rows, kept in a list until there are many, and then done chunk by chunk of columns. */
export class Sweeps {
  private readonly turns: Turns
  private readonly list: Float64Array
  private readonly rows: Lines
  private readonly chunks: number
  private readonly most: number
  private head = 0
  private at = 0

  /** For rows of `width` elements; a sweep has at most `most` rotations. */
  constructor(turns: Turns, list: Float64Array, rows: Lines, width: number, most: number) {
    this.turns = turns
    this.list = list
    this.rows = rows
    this.chunks = Math.ceil(width / CHUNK)
    this.most = 2 * most + 3
  }

  /** Starts a sweep from row `row` to the ones after it, or before it. */
  begin(row: number, down: boolean): void {
    if (this.at + this.most > this.list.length) this.flush()
    this.head = this.at
    this.list[this.head] = row * this.rows.line * 8
    this.list[this.head + 2] = (down ? 8 : -8) * this.rows.line
    this.at += 3
  }

  /** Row p and the next one, q, become c p + s q and c q - s p. */
  push(c: number, s: number): void {
    this.list[this.at] = c
    this.list[this.at + 1] = s
    this.at += 2
  }

  end(): void {
    this.list[this.head + 1] = (this.at - this.head - 3) / 2
  }

  /** Does what is in the list. */
  flush(): void {
    if (this.at > 0)
      this.turns.rotate(address(this.list, 0), address(this.list, this.at), address(this.rows.data, 0), this.chunks)
    this.at = 0
  }
}

/** Doubles of a list of sweeps over n rows. */
export const listSize = (n: number): number => 96 * n + 64
