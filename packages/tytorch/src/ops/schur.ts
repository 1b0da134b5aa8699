// The real Schur form of general matrices, in float64: LAPACK's gebal, gehrd, lahqr and lanv2. Schur vectors are kept as
// rows, so that what turns columns of Z walks along memory.
import { GROUP, type Turns } from '../backend/turns.ts'
import { signed } from './diagonalize.ts'
import { address, applyRows, type Lines, lastBeta, lineOf, reflector } from './turning.ts'

const ULP = 2 ** -52
const SMALLEST = 2 ** -1022
const MOST = 2 ** 970

/** What balancing did: rows low..high (inclusive) are left to be reduced, and what each row was scaled by or swapped with. */
export interface Balance {
  readonly low: number
  readonly high: number
  readonly scale: Float64Array
}

/** Swaps rows and columns p and q. */
function swapBoth({ data, line }: Lines, n: number, p: number, q: number): void {
  if (p === q) return
  for (let r = 0; r < n; r++) {
    const kept = data[r * line + p]
    data[r * line + p] = data[r * line + q]
    data[r * line + q] = kept
  }
  for (let c = 0; c < n; c++) {
    const kept = data[p * line + c]
    data[p * line + c] = data[q * line + c]
    data[q * line + c] = kept
  }
}

/** A row, or column, of rows low..high with nothing off the diagonal; -1 if there is none. */
function isolated({ data, line }: Lines, low: number, high: number, rows: boolean): number {
  for (let t = 0; t <= high - low; t++) {
    const i = rows ? high - t : low + t
    let empty = true
    for (let j = low; j <= high && empty; j++) empty = i === j || data[rows ? i * line + j : j * line + i] === 0
    if (empty) return i
  }
  return -1
}

/** Moves isolated eigenvalues to the ends and makes norms of rows and columns alike, in place (LAPACK's gebal). */
export function balance(a: Lines, n: number, scale: Float64Array): Balance {
  let [low, high] = [0, n - 1]
  scale.fill(1)
  for (let i = isolated(a, 0, high, true); i >= 0; i = isolated(a, 0, high, true)) {
    scale[high] = i
    swapBoth(a, n, i, high)
    if (high === 0) return { low: 0, high: 0, scale }
    high--
  }
  for (let i = isolated(a, low, high, false); i >= 0 && low < high; i = isolated(a, low, high, false)) {
    scale[low] = i
    swapBoth(a, n, i, low)
    low++
  }
  for (let again = true; again; ) {
    again = false
    for (let i = low; i <= high; i++) if (scaleOne(a, n, low, high, i, scale)) again = true
  }
  return { low, high, scale }
}

/** Scales row and column i by a power of two if that helps. */
function scaleOne(
  { data, line }: Lines,
  n: number,
  low: number,
  high: number,
  i: number,
  scale: Float64Array,
): boolean {
  let [c, r, largestC, largestR] = [0, 0, 0, 0]
  for (let j = low; j <= high; j++) {
    c += data[j * line + i] ** 2
    r += data[i * line + j] ** 2
  }
  for (let j = 0; j <= high; j++) largestC = Math.max(largestC, Math.abs(data[j * line + i]))
  for (let j = low; j < n; j++) largestR = Math.max(largestR, Math.abs(data[i * line + j]))
  if (c === 0 || r === 0) return false
  c = Math.sqrt(c)
  r = Math.sqrt(r)
  const sum = c + r
  let f = 1
  while (c < r / 2 && Math.max(f, c, largestC) < MOST && Math.min(r, largestR) > 1 / MOST) {
    f *= 2
    c *= 2
    largestC *= 2
    r /= 2
    largestR /= 2
  }
  while (c / 2 >= r && Math.max(r, largestR) < MOST && Math.min(f, c, largestC) > 1 / MOST) {
    f /= 2
    c /= 2
    largestC /= 2
    r *= 2
    largestR *= 2
  }
  if (c + r >= 0.95 * sum) return false
  if ((f < 1 && scale[i] < 1 && f * scale[i] <= SMALLEST / ULP) || (f > 1 && scale[i] > 1 && scale[i] >= MOST / f))
    return false
  scale[i] *= f
  for (let j = low; j < n; j++) data[i * line + j] /= f
  for (let j = 0; j <= high; j++) data[j * line + i] *= f
  return true
}

/**
 * Reduces rows low..high to Hessenberg form in place (LAPACK's gehrd); with `z`, the transposed product of the reflections
 * into it. The reflections are left in `ones`. Three vectors are scratch.
 */
export function hessenberg(
  turns: Turns,
  { data, line }: Lines,
  n: number,
  { low, high }: Balance,
  ones: Lines,
  taus: Float64Array,
  z: Lines | null,
  scratch: readonly [Float64Array, Float64Array],
): void {
  const [x, w] = scratch
  x.fill(0)
  taus.fill(0)
  ones.data.fill(0)
  const width = lineOf(n) - GROUP
  let old = 0
  for (let i = low; i < high - 1; i++) {
    const first = i + 1
    const u = i * ones.line
    // The rows' own right sides still lack the last reflection: a -= x (the last u).
    const taken = ones.data[old + i]
    for (let r = first; r <= high; r++) ones.data[u + r] = data[r * line + i] - x[r] * taken
    const tau = reflector(ones.data, u, first, high + 1)
    taus[i] = tau
    const beta = lastBeta()
    const start = first & -GROUP
    w.fill(0)
    turns.subtractSum(
      high - i,
      width - start,
      address(data, first * line + start),
      line * 8,
      address(x, first),
      address(ones.data, old + start),
      address(ones.data, u + first),
      address(w, start),
    )
    w.fill(0, start, first)
    for (let j = first; j < n; j++) w[j] *= tau
    // Rows above are done with the left side; an odd one must not take the next along.
    const pairs = first & -2
    if (pairs > 0)
      turns.subtractDot(
        pairs,
        width - (i & -GROUP),
        address(data, i & -GROUP),
        line * 8,
        address(x, 0),
        address(ones.data, old + (i & -GROUP)),
        address(x, 0),
        address(ones.data, u + (i & -GROUP)),
      )
    if (pairs < first) {
      const row = pairs * line
      let sum = 0
      for (let j = i; j <= high; j++) {
        data[row + j] -= x[pairs] * ones.data[old + j]
        sum += data[row + j] * ones.data[u + j]
      }
      x[pairs] = sum
    }
    turns.subtractDot(
      high - i,
      width - start,
      address(data, first * line + start),
      line * 8,
      address(ones.data, u + first),
      address(w, start),
      address(x, first),
      address(ones.data, u + start),
    )
    for (let r = first; r <= high; r++) data[r * line + i] = 0
    data[first * line + i] = beta
    for (let r = 0; r <= high; r++) x[r] *= tau
    x.fill(0, high + 1)
    old = u
  }
  if (high - 1 > low) {
    for (let r = 0; r <= high; r++) {
      for (let j = high - 1; j <= high; j++) data[r * line + j] -= x[r] * ones.data[old + j]
    }
  }
  if (z) applyRows(turns, z, n, n, true, { ...ones, taus, count: Math.max(high - 1, 0), offset: 1 })
}

/** A rotation that makes a 2 x 2 matrix standard, and what it becomes. */
interface Standard {
  a: number
  b: number
  c: number
  d: number
  cs: number
  sn: number
}

/** The Schur form of [[a, b], [c, d]]: c is 0, or a = d and b c < 0 (LAPACK's lanv2). */
function standardize(a: number, b: number, c: number, d: number): Standard {
  if (c === 0) return { a, b, c, d, cs: 1, sn: 0 }
  if (b === 0) return { a: d, b: -c, c: 0, d: a, cs: 0, sn: 1 }
  if (a - d === 0 && signed(1, b) !== signed(1, c)) return { a, b, c, d, cs: 1, sn: 0 }
  const apart = a - d
  const p = 0.5 * apart
  const most = Math.max(Math.abs(b), Math.abs(c))
  const least = Math.min(Math.abs(b), Math.abs(c)) * signed(1, b) * signed(1, c)
  const scale = Math.max(Math.abs(p), most)
  const z = (p / scale) * p + (most / scale) * least
  if (z >= 4 * ULP) {
    const turned = p + signed(Math.sqrt(scale) * Math.sqrt(z), p)
    const tau = Math.hypot(c, turned)
    return { a: d + turned, b: b - c, c: 0, d: d - (most / turned) * least, cs: turned / tau, sn: c / tau }
  }
  const sigma = b + c
  const tau = Math.hypot(sigma, apart)
  let cs = Math.sqrt(0.5 * (1 + Math.abs(sigma) / tau))
  let sn = -(p / (tau * cs)) * signed(1, sigma)
  const [aa, bb, cc, dd] = [a * cs + b * sn, -a * sn + b * cs, c * cs + d * sn, -c * sn + d * cs]
  const [b2, c2] = [bb * cs + dd * sn, -aa * sn + cc * cs]
  const middle = 0.5 * (aa * cs + cc * sn + (-bb * sn + dd * cs))
  if (c2 === 0) return { a: middle, b: b2, c: 0, d: middle, cs, sn }
  if (b2 === 0) return { a: middle, b: -c2, c: 0, d: middle, cs: -sn, sn: cs }
  if (signed(1, b2) !== signed(1, c2)) return { a: middle, b: b2, c: c2, d: middle, cs, sn }
  const [rootB, rootC] = [Math.sqrt(Math.abs(b2)), Math.sqrt(Math.abs(c2))]
  const half = signed(rootB * rootC, c2)
  const factor = 1 / Math.sqrt(Math.abs(b2 + c2))
  const [c1, s1] = [rootB * factor, rootC * factor]
  ;[cs, sn] = [cs * c1 - sn * s1, cs * s1 + sn * c1]
  return { a: middle + half, b: b2 - c2, c: 0, d: middle - half, cs, sn }
}

/** The shifts of a double step: two eigenvalues of the last block, or exceptional ones. */
const shift = { re1: 0, im1: 0, re2: 0, im2: 0 }

function findShifts(h11: number, h21: number, h12: number, h22: number): void {
  const s = Math.abs(h11) + Math.abs(h12) + Math.abs(h21) + Math.abs(h22)
  shift.re1 = shift.im1 = shift.re2 = shift.im2 = 0
  if (s === 0) return
  const [a, b, c, d] = [h11 / s, h12 / s, h21 / s, h22 / s]
  const half = (a + d) / 2
  const det = (a - half) * (d - half) - b * c
  const root = Math.sqrt(Math.abs(det))
  if (det >= 0) {
    shift.re1 = shift.re2 = half * s
    shift.im1 = root * s
    shift.im2 = -shift.im1
  } else {
    const [high, low] = [half + root, half - root]
    shift.re1 = shift.re2 = (Math.abs(high - d) <= Math.abs(low - d) ? high : low) * s
  }
}

/** The row at which a block that reaches to row i begins: its subdiagonal element counts as zero. */
function blockStart({ data: h, line }: Lines, low: number, high: number, i: number, l: number, tiny: number): number {
  let k = i
  for (; k > l; k--) {
    const at = k * line + k
    const under = Math.abs(h[at - 1])
    if (under <= tiny) break
    const [here, before] = [h[at], h[at - line - 1]]
    let size = Math.abs(before) + Math.abs(here)
    if (size === 0) {
      if (k - 2 >= low) size += Math.abs(h[at - line - 2])
      if (k + 1 <= high) size += Math.abs(h[at + line])
    }
    if (under > ULP * size) continue
    const over = Math.abs(h[at - line])
    const [ab, ba] = [Math.max(under, over), Math.min(under, over)]
    const gap = Math.abs(before - here)
    const [aa, bb] = [Math.max(Math.abs(here), gap), Math.min(Math.abs(here), gap)]
    const s = aa + ab
    if (ba * (ab / s) <= Math.max(tiny, ULP * (bb * (aa / s)))) break
  }
  return k
}

/** The reflection of three elements: v = (1, v2, v3), its factor, and what it makes of the first. */
const bulge = { v2: 0, v3: 0, tau: 0, beta: 0 }

function reflectThree(x: number, y: number, z: number): void {
  const rest = Math.hypot(y, z)
  if (rest === 0) {
    bulge.v2 = bulge.v3 = bulge.tau = 0
    bulge.beta = x
    return
  }
  const beta = -signed(Math.hypot(x, rest), x)
  bulge.tau = (beta - x) / beta
  bulge.v2 = y / (x - beta)
  bulge.v3 = z / (x - beta)
  bulge.beta = beta
}

/** Where the double step of a block l..i begins, and in `first` the first column of its shifted square. */
const first = [0, 0, 0]

function stepStart({ data: h, line }: Lines, l: number, i: number): number {
  const { re1, im1, re2, im2 } = shift
  for (let m = i - 2; ; m--) {
    const at = m * line + m
    const [here, below] = [h[at], h[at + line]]
    const next = h[at + line + 1]
    const s = Math.abs(here - re2) + Math.abs(im2) + Math.abs(below)
    const ratio = below / s
    first[0] = ratio * h[at + 1] + (here - re1) * ((here - re2) / s) - im1 * (im2 / s)
    first[1] = ratio * (here + next - re1 - re2)
    first[2] = ratio * h[at + 2 * line + 1]
    const sum = Math.abs(first[0]) + Math.abs(first[1]) + Math.abs(first[2])
    for (let k = 0; k < 3; k++) first[k] /= sum
    if (m === l) return m
    const left = Math.abs(h[at - 1]) * (Math.abs(first[1]) + Math.abs(first[2]))
    const size = Math.abs(h[at - line - 1]) + Math.abs(here) + Math.abs(next)
    if (left <= ULP * Math.abs(first[0]) * size) return m
  }
}

/**
 * Eigenvalues of a Hessenberg matrix into `re` and `im` (LAPACK's lahqr). With `z`, the matrix becomes its real Schur form
 * and the rows of `z` are turned along. Answers false if the iteration does not end.
 */
export function schur(
  turns: Turns,
  h: Lines,
  n: number,
  { low, high }: Balance,
  re: Float64Array,
  im: Float64Array,
  z: Lines | null,
): boolean {
  const { data, line } = h
  for (let i = 0; i < n; i++) {
    if (i >= low && i <= high) continue
    re[i] = data[i * line + i]
    im[i] = 0
  }
  const width = lineOf(n) - GROUP
  const tiny = SMALLEST * ((high - low + 1) / ULP)
  const most = 30 * Math.max(10, high - low + 1)
  for (let i = high; i >= low; ) {
    let l = low
    let rounds = 0
    for (; ; rounds++) {
      l = blockStart(h, low, high, i, l, tiny)
      if (l > low) data[l * line + l - 1] = 0
      if (l >= i - 1) break
      if (rounds > most) return false
      const corner = i * line + i
      const exceptional = rounds > 0 && (rounds + 1) % 10 === 0
      if (exceptional) {
        const top = (rounds + 1) % 20 === 0 ? corner : l * line + l
        const s =
          top === corner
            ? Math.abs(data[corner - 1]) + Math.abs(data[corner - line - 2])
            : Math.abs(data[top + line]) + Math.abs(data[top + 2 * line + 1])
        const value = 0.75 * s + data[top]
        findShifts(value, s, -0.4375 * s, value)
      } else findShifts(data[corner - line - 1], data[corner - 1], data[corner - line], data[corner])
      const m = stepStart(h, l, i)
      const [top, right] = z ? [0, n - 1] : [l, i]
      for (let k = m; k < i; k++) chase(turns, h, k, m, l, i, top, right, width, z)
    }
    const at = i * line + i
    if (l === i) {
      re[i] = data[at]
      im[i] = 0
    } else finishPair(h, n, i, re, im, z)
    i = l - 1
  }
  return true
}

/** Moves the bulge of a double step on rows l..i from row k to the next. */
function chase(
  turns: Turns,
  { data, line }: Lines,
  k: number,
  m: number,
  l: number,
  i: number,
  top: number,
  right: number,
  width: number,
  z: Lines | null,
): void {
  const three = k < i - 1
  const left = k * line + k - 1
  if (k === m) reflectThree(first[0], first[1], first[2])
  else reflectThree(data[left], data[left + line], three ? data[left + 2 * line] : 0)
  const { v2, v3, tau, beta } = bulge
  const before = k > m ? beta : k > l ? data[left] * (1 - tau) : k > 0 ? data[left] : 0
  const start = k & -GROUP
  // Whole groups of columns: what lies left of column k - 1 is zero in these rows, and that column is set again below.
  const end = z ? width : Math.min(width, (right + GROUP) & -GROUP)
  turns.reflectThree(end - start, address(data, k * line + start), line * 8, tau, v2, v3)
  if (k > 0) {
    data[left] = before
    if (k > m) {
      data[left + line] = 0
      if (three) data[left + 2 * line] = 0
    }
  }
  const last = Math.min(k + 3, i)
  const [t2, t3] = [tau * v2, tau * v3]
  if (three) {
    for (let at = top * line + k; at <= last * line + k; at += line) {
      const sum = data[at] + v2 * data[at + 1] + v3 * data[at + 2]
      data[at] -= sum * tau
      data[at + 1] -= sum * t2
      data[at + 2] -= sum * t3
    }
  } else {
    for (let at = top * line + k; at <= last * line + k; at += line) {
      const sum = data[at] + v2 * data[at + 1]
      data[at] -= sum * tau
      data[at + 1] -= sum * t2
    }
  }
  if (z) turns.reflectThree(width, address(z.data, k * z.line), z.line * 8, tau, v2, v3)
}

/** The eigenvalues of the block of rows i - 1 and i, which is made standard. */
function finishPair(
  { data, line }: Lines,
  n: number,
  i: number,
  re: Float64Array,
  im: Float64Array,
  z: Lines | null,
): void {
  const at = i * line + i
  const made = standardize(data[at - line - 1], data[at - line], data[at - 1], data[at])
  const { a, b, c, d, cs, sn } = made
  data[at - line - 1] = a
  data[at - line] = b
  data[at - 1] = c
  data[at] = d
  re[i - 1] = a
  re[i] = d
  im[i - 1] = c === 0 ? 0 : Math.sqrt(Math.abs(b)) * Math.sqrt(Math.abs(c))
  im[i] = -im[i - 1]
  if (!z) return
  const turn = (x: Float64Array, p: number, q: number): void => {
    const [one, two] = [x[p], x[q]]
    x[p] = cs * one + sn * two
    x[q] = cs * two - sn * one
  }
  for (let j = i + 1; j < n; j++) turn(data, (i - 1) * line + j, i * line + j)
  for (let r = 0; r < i - 1; r++) turn(data, r * line + i - 1, r * line + i)
  for (let j = 0; j < n; j++) turn(z.data, (i - 1) * z.line + j, i * z.line + j)
}
