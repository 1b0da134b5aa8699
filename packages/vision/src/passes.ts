// The loops over pixels as one small WebAssembly module: weighted sums along rows and along columns of bytes in fixed
// point, planes out of interleaved colours, and floats for bytes by a table. It is assembled here, for this package may not reach into tytorch.

type Code = readonly number[]

const [I32, V128] = [0x7f, 0x7b]

function unsigned(n: number): number[] {
  return n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...unsigned(n >>> 7)]
}
function signed(n: number): number[] {
  return n >= -64 && n < 64 ? [n & 0x7f] : [(n & 0x7f) | 0x80, ...signed(n >> 7)]
}

// Instructions, by the numbers of the core specification and (after 0xfd) of SIMD.
const get = (local: number): Code => [0x20, local]
const set = (local: number, value: Code): Code => [...value, 0x21, local]
const int = (n: number): Code => [0x41, ...signed(n)]
const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a]
const move = (local: number, by: Code): Code => set(local, add(get(local), by))
const load = (at: Code): Code => [...at, 0x28, 0, 0]
const simd = (op: number, ...operands: readonly Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(op)]
const access = (op: number, offset: number, ...operands: readonly Code[]): Code => [
  ...simd(op, ...operands),
  0,
  ...unsigned(offset),
]
/** Does `body` until `condition` is 0; at least once. */
const repeat = (body: Code, condition: Code): Code => [0x03, 0x40, ...body, ...condition, 0x0d, 0, 0x0b]
const less = (a: Code, b: Code): Code => [...a, ...b, 0x49]

const LOAD = 0x00
const LOAD_SPLAT = 0x09
const LOAD_4 = 0x5c
const STORE = 0x0b
const SHUFFLE = 0x0d
const SPLAT = 0x11
const splat = (value: Code): Code => simd(SPLAT, value)
const low8 = (v: Code): Code => simd(0x89, v)
const high8 = (v: Code): Code => simd(0x8a, v)
const low16 = (v: Code): Code => simd(0xa9, v)
const high16 = (v: Code): Code => simd(0xaa, v)
const plus = (a: Code, b: Code): Code => simd(0xae, a, b)
const times = (a: Code, b: Code): Code => simd(0xb5, a, b)
const shift = (a: Code, bits: Code): Code => simd(0xac, a, bits)
/** Four vectors of 32-bit sums as 16 levels 0..255, or one as 4 of them four times. */
const levels = (a: Code, b: Code, c: Code, d: Code): Code => simd(0x66, simd(0x85, a, b), simd(0x85, c, d))

interface Fn {
  readonly name: string
  readonly params: number
  readonly ints: number
  readonly vectors: number
  readonly code: Code
}

/** The rounding term: half of 1 in fixed point with `bits` bits. */
const half = (bits: number): Code => splat([...int(1), ...get(bits), ...int(1), 0x6b, 0x74])

/**
 * across<step>[x3](source, target, rows, pitch, to, first, weights, taps, bits): each row of `pitch` bytes, pixels of
 * `step` bytes, as a row of `to` pixels. Pixel i begins at byte first[i] and has `taps` weights (3 in the x3 form).
 */
function across(step: number, unrolled: boolean): Fn {
  const [source, target, rows, pitch, to, first, weights, taps, bits] = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const [f, end, p, w, t] = [9, 10, 11, 12, 13]
  const [sum, start] = [14, 15]
  const pixel = (offset: number): Code => low16(low8(access(LOAD_4, offset, get(p))))
  const tap = (k: number): Code => set(sum, plus(get(sum), times(pixel(k * step), access(LOAD_SPLAT, 4 * k, get(w)))))
  const inner = unrolled
    ? [...tap(0), ...tap(1), ...tap(2), ...move(w, int(12))]
    : [
        ...set(t, get(taps)),
        ...repeat([...tap(0), ...move(p, int(step)), ...move(w, int(4)), ...move(t, int(-1))], get(t)),
      ]
  const done = set(sum, shift(get(sum), get(bits)))
  const code = [
    ...set(start, half(bits)),
    ...set(end, add(get(first), [...get(to), ...int(2), 0x74])),
    ...repeat(
      [
        ...set(f, get(first)),
        ...set(w, get(weights)),
        ...repeat(
          [
            ...set(p, add(get(source), load(get(f)))),
            ...set(sum, get(start)),
            ...inner,
            ...done,
            // Four bytes, of which the next pixel, or the next row's first, overwrites those above `step`.
            ...get(target),
            ...simd(0x1b, levels(get(sum), get(sum), get(sum), get(sum))),
            ...[0, 0x36, 0, 0],
            ...move(target, int(step)),
            ...move(f, int(4)),
          ],
          less(get(f), get(end)),
        ),
        ...move(source, get(pitch)),
        ...move(rows, int(-1)),
      ],
      get(rows),
    ),
  ]
  return { name: `across${step}${unrolled ? 'x3' : ''}`, params: 9, ints: 5, vectors: 2, code }
}

/**
 * down(source, target, pitch, to, first, weights, taps, bits): rows of `pitch` bytes as `to` rows. Row i begins at byte
 * first[i] of the source. Writes up to 15 bytes past its end.
 */
function down(): Fn {
  const [source, target, pitch, to, first, weights, taps, bits] = [0, 1, 2, 3, 4, 5, 6, 7]
  const [x, p, w, t] = [8, 9, 10, 11]
  const [start, v, k, sums] = [12, 13, 14, 15]
  const parts = [low16(low8(get(v))), high16(low8(get(v))), low16(high8(get(v))), high16(high8(get(v)))]
  const every = (fn: (i: number) => Code): Code => [0, 1, 2, 3].flatMap((i) => fn(i))
  const sum = (i: number): Code => shift(get(sums + i), get(bits))
  const code = [
    ...set(start, half(bits)),
    ...repeat(
      [
        ...set(x, int(0)),
        ...repeat(
          [
            ...set(p, add(add(get(source), load(get(first))), get(x))),
            ...set(w, get(weights)),
            ...set(t, get(taps)),
            ...every((i) => set(sums + i, get(start))),
            ...repeat(
              [
                ...set(v, access(LOAD, 0, get(p))),
                ...set(k, access(LOAD_SPLAT, 0, get(w))),
                ...every((i) => set(sums + i, plus(get(sums + i), times(parts[i], get(k))))),
                ...move(p, get(pitch)),
                ...move(w, int(4)),
                ...move(t, int(-1)),
              ],
              get(t),
            ),
            ...access(STORE, 0, add(get(target), get(x)), levels(sum(0), sum(1), sum(2), sum(3))),
            ...move(x, int(16)),
          ],
          less(get(x), get(pitch)),
        ),
        ...move(target, get(pitch)),
        ...move(first, int(4)),
        ...move(weights, [...get(taps), ...int(2), 0x74]),
        ...move(to, int(-1)),
      ],
      get(to),
    ),
  ]
  return { name: 'down', params: 8, ints: 4, vectors: 7, code }
}

/** plane<colour>(source, target, n): one colour of `n` pixels of three bytes. Writes up to 15 bytes past its end. */
function plane(colour: number): Fn {
  const [source, target, n, end] = [0, 1, 2, 3]
  const at = Array.from({ length: 16 }, (_, i) => 3 * i + colour)
  const vector = (i: number): Code => access(LOAD, 16 * i, get(source))
  // From the first two vectors what they have, and then the rest from the third.
  const two = [...simd(SHUFFLE, vector(0), vector(1)), ...at.map((i) => (i < 32 ? i : 0))]
  const three = [...simd(SHUFFLE, two, vector(2)), ...at.map((i, lane) => (i < 32 ? lane : i - 16))]
  const code = [
    ...set(end, add(get(target), get(n))),
    ...repeat(
      [...access(STORE, 0, get(target), three), ...move(source, int(48)), ...move(target, int(16))],
      less(get(target), get(end)),
    ),
  ]
  return { name: `plane${colour}`, params: 3, ints: 1, vectors: 0, code }
}

/** lookup(source, target, end, table): each byte up to the address `end`, by fours, as the float of that index. */
function lookup(): Fn {
  const [source, target, end, table] = [0, 1, 2, 3]
  const one = (k: number): Code => [
    ...get(target),
    ...add(get(table), [...get(source), 0x2d, 0, k, ...int(2), 0x74]),
    ...[0x2a, 2, 0],
    ...[0x38, 0, 4 * k],
  ]
  const code = repeat(
    [...[0, 1, 2, 3].flatMap(one), ...move(target, int(16)), ...move(source, int(4))],
    less(get(source), get(end)),
  )
  return { name: 'lookup', params: 4, ints: 0, vectors: 0, code }
}

function moduleOf(functions: readonly Fn[]): Uint8Array<ArrayBuffer> {
  const counted = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()]
  const sized = (code: Code): Code => [...unsigned(code.length), ...code]
  const section = (id: number, code: Code): Code => [id, ...sized(code)]
  const text = (name: string): Code => sized([...new TextEncoder().encode(name)])
  const body = ({ ints, vectors, code }: Fn): Code =>
    sized([...counted([[ints, I32], [vectors, V128]]), ...code, 0x0b]) // biome-ignore format: pairs
  const exported = functions.map(({ name }, i) => [...text(name), 0, i])
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      counted(functions.map((fn) => [0x60, ...counted(Array.from({ length: fn.params }, () => [I32])), 0])),
    ),
    ...section(3, counted(functions.map((_, i) => [i]))),
    ...section(5, [1, 0, 16]),
    ...section(7, counted([...exported, [...text('memory'), 2, 0]])),
    ...section(10, counted(functions.map(body))),
  ])
}

type Routine = (...args: number[]) => void

/** The routines of the module by name, and the memory that they work in. */
export interface Passes {
  readonly memory: WebAssembly.Memory
  readonly down: Routine
  readonly plane: readonly Routine[]
  readonly lookup: Routine
  across(step: 1 | 3, taps: number): Routine
}

let passes: Passes | null = null

/** The routines; assembled at the first call. */
export function loadPasses(): Passes {
  if (passes) return passes
  const rows = [1, 3].flatMap((step) => [across(step, false), across(step, true)])
  const module = new WebAssembly.Module(moduleOf([...rows, down(), plane(0), plane(1), plane(2), lookup()]))
  const { exports } = new WebAssembly.Instance(module)
  const routines = exports as unknown as Record<string, Routine>
  passes = {
    memory: exports.memory as WebAssembly.Memory,
    down: routines.down,
    lookup: routines.lookup,
    plane: [routines.plane0, routines.plane1, routines.plane2],
    across: (step, taps) => routines[`across${step}${taps === 3 ? 'x3' : ''}`],
  }
  return passes
}
