// Kernels compiled to WebAssembly against the interpreter: fixed ones and random expressions, on every dtype, with
// contiguous, broadcast, strided and flipped operands of odd sizes, and guards around everything that is written.
import { setFlagsFromString } from 'node:v8'
import { describe, expect, test, vi } from 'vitest'
import type { Extent, Scalar } from '../src/backend/device.ts'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { memory } from '../src/backend/memory.ts'
import { createWasmDevice } from '../src/backend/wasm/device.ts'
import { detect } from '../src/backend/wasm/features.ts'
import { dtypes as all, type ComputeType, type DType, decode, dtypeOf, encode, rawView } from '../src/base/dtype.ts'
import { acc, call, constant, type Expr, gather, k, load, other, position, result, scalar } from '../src/ir/expr.ts'
import { type Arg, type Kernel, mapKernel, type ReducePass } from '../src/ir/kernel.ts'

/** Kernels are real. */
const dtypes = all.filter((d) => !d.isComplex)

vi.setConfig({ testTimeout: 30_000 })

// Every function is optimized after its first call, so that a second call checks what V8 makes of hot kernels.
setFlagsFromString('--wasm-tiering-budget=1')
setFlagsFromString('--wasm-sync-tier-up')

const host = detect()
const interp = createInterpreter()
const devices = {
  'as detected': createWasmDevice(host),
  'without relaxed SIMD': createWasmDevice({ ...host, relaxed: false }),
}

const f32 = dtypeOf('float32')
const f64 = dtypeOf('float64')
const i64 = dtypeOf('int64')
const i32 = dtypeOf('int32')
const u8 = dtypeOf('uint8')
const bool = dtypeOf('bool')
const f16 = dtypeOf('float16')

const read = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'read', per })
const write = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'write', per })
const update = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'update', per })

type Random = () => number
type Strides = [number, number, number]

function randomFrom(seed: number): Random {
  let s = seed
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]

const special = [0, -0, 1, -1, 0.5, 1e-40, -1e-7, 3e38, 65519, 65520, 70000, 6e-8, Infinity, -Infinity, NaN]

/** A random element: integral and small (sums of them are exact in any order), or anything. */
function sample(random: Random, dtype: DType, small: boolean): number | bigint {
  if (dtype === bool) return Number(random() < 0.5)
  if (dtype.kind === 'int') {
    const range = small ? 10 : random() < 0.3 ? 2 ** Math.min(31, 8 * dtype.itemsize - 1) : 100
    const value = Math.floor((random() * 2 - 1) * range)
    return encode(dtype, dtype === i64 ? BigInt(value) * (small || random() < 0.7 ? 1n : 2n ** 31n + 77n) : value)
  }
  if (small) return encode(dtype, Math.floor(random() * 21) - 10)
  return encode(dtype, random() < 0.1 ? pick(random, special) : (random() * 2 - 1) * 10 ** Math.floor(random() * 4 - 1))
}

/** Memory of one operand: where its first element is, and the whole block with guards. */
interface Block {
  readonly dtype: DType
  readonly pointer: number
  readonly strides: Strides
  readonly start: number
  readonly length: number
}

const GUARD = 16

/** Random strides of an operand; a written one visits every place once. */
function place(random: Random, arg: Arg, extent: Extent, small: boolean): Block {
  const size = arg.dtype.itemsize
  const n = arg.per === 'row' ? 1 : extent[2]
  const dims = [extent[0], extent[1], n]
  const strides: Strides = [0, 0, 0]
  const order = pick(random, [
    [2, 1, 0],
    [2, 1, 0],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
    [0, 1, 2],
  ])
  let span = pick(random, [1, 1, 1, 2])
  let low = 0
  let high = 0
  for (const axis of order) {
    if (arg.mode === 'read' && random() < 0.2) continue
    const flip = random() < 0.08 ? -1 : 1
    strides[axis] = span * flip * size
    const reach = (dims[axis] - 1) * span
    if (flip < 0) low -= reach
    else high += reach
    span = reach + span + pick(random, [0, 0, 0, 3])
  }
  const length = high - low + 1 + 2 * GUARD
  const start = memory.alloc(length * size + 8) + pick(random, [0, 0, size === 8 ? 8 : 4])
  const view = rawView(arg.dtype, memory.views.buffer, start, length) as { [i: number]: number | bigint }
  for (let i = 0; i < length; i++) view[i] = sample(random, arg.dtype, small)
  return { dtype: arg.dtype, pointer: start + (GUARD - low) * size, strides, start, length }
}

const contents = (b: Block): Uint8Array =>
  new Uint8Array(memory.views.buffer as ArrayBuffer, b.start, b.length * b.dtype.itemsize).slice()
const restore = (b: Block, bytes: Uint8Array): void => memory.views.u8.set(bytes, b.start)
const elements = (b: Block): (number | bigint | boolean)[] =>
  Array.from(rawView(b.dtype, memory.views.buffer, b.start, b.length) as ArrayLike<number | bigint>, (raw) =>
    decode(b.dtype, raw),
  )

interface Options {
  /** Relative error allowed; 0 asks for equal values. */
  readonly tolerance?: number
  readonly small?: boolean
  /** Zeros of both signs are equal (float min and max choose either). */
  readonly zeros?: boolean
}

function same(a: number | bigint | boolean, b: number | bigint | boolean, { tolerance = 0, zeros }: Options): boolean {
  if (Object.is(a, b) || (zeros && a === b)) return true
  if (!tolerance || typeof a !== 'number' || typeof b !== 'number') return false
  return Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a))
}

/** Runs a kernel by the interpreter and by `device` on the same operands and compares all of their memory. */
function compare(
  device: ReturnType<typeof createWasmDevice>,
  kernel: Kernel,
  extent: Extent,
  blocks: readonly Block[],
  scalars: readonly Scalar[],
  options: Options,
): void {
  const before = blocks.map(contents)
  const pointers = blocks.map((b) => b.pointer)
  const strides = blocks.map((b) => b.strides)
  interp.launch(kernel, extent, pointers, strides, scalars)
  const expected = blocks.map(elements)
  for (let call = 0; call < 2; call++) {
    blocks.forEach((b, i) => {
      restore(b, before[i])
    })
    device.launch(kernel, extent, pointers, strides, scalars)
  }
  blocks.forEach((b, i) => {
    const got = elements(b)
    const wrong = got.findIndex((v, j) => !same(expected[i][j], v, options))
    if (wrong < 0) return
    const at = `${kernel.name}: argument ${i} (${b.dtype.name}) element ${wrong - GUARD} of ${b.length - 2 * GUARD}`
    const shape = `extent ${extent}, strides ${JSON.stringify(strides)}`
    throw new Error(`${at}: ${String(got[wrong])}, not ${String(expected[i][wrong])}; ${shape}`)
  })
}

function release(blocks: readonly Block[]): void {
  for (const b of blocks) memory.release(b.start & ~63, b.length * b.dtype.itemsize + 8)
}

function check(
  random: Random,
  kernel: Kernel,
  extent: Extent,
  scalars: readonly Scalar[],
  options: Options = {},
): void {
  const blocks = kernel.args.map((arg) => place(random, arg, extent, options.small ?? false))
  for (const device of Object.values(devices)) compare(device, kernel, extent, blocks, scalars, options)
  release(blocks)
}

const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 67, 130]
const randomExtent = (random: Random): Extent => [
  pick(random, [1, 1, 1, 2, 3]),
  pick(random, [1, 1, 2, 3, 4, 5, 8, 19, 37]),
  pick(random, lengths),
]

/** Random expressions of each type; float min and max only at roots, for the sign of their zeros is open. */
class Grower {
  readonly args: Arg[] = []
  readonly scalars: ComputeType[] = []
  readonly values: Scalar[] = []
  private readonly random: Random
  private readonly pool: Expr[] = []

  constructor(random: Random, rows = false) {
    this.random = random
    if (rows) this.pool.push(load(this.args.push(read(pick(random, dtypes), 'row')) - 1, this.args[0].dtype.compute))
    for (let i = 0; i < 1 + Math.floor(random() * 3); i++) {
      const dtype = pick(random, random() < 0.6 ? [f32, f32, f64, i32, i64, bool] : dtypes)
      this.pool.push(load(this.args.push(read(dtype)) - 1, dtype.compute))
    }
    if (random() < 0.5) {
      const type = pick(random, ['f32', 'f64', 'i32', 'i64', 'bool'] as const)
      this.scalars.push(type)
      this.values.push({ f32: 1.25, f64: -0.1, i32: -3, i64: 5n, bool: 1 }[type])
      this.pool.push(scalar(0, type))
    }
  }

  grow(): void {
    const { random } = this
    const type = pick(random, this.pool).type
    this.pool.push(this.node(type))
  }

  /** A node of `type`, by converting one if there is none. */
  of(type: ComputeType): Expr {
    const { random } = this
    if (random() < 0.15) return constant({ f32: 0.7, f64: -1.3, i32: 5, i64: -7n, bool: true }[type], type)
    const fitting = this.pool.filter((e) => e.type === type)
    return fitting.length > 0 && random() < 0.9 ? pick(random, fitting) : k.cast(pick(random, this.pool), type)
  }

  private node(type: ComputeType): Expr {
    const { random } = this
    const a = this.of(type)
    const b = this.of(type)
    const roll = random()
    if (roll < 0.15) return k.select(this.of('bool'), a, b)
    if (roll < 0.3) return k[pick(random, ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const)](a, b)
    if (roll < 0.45) return k.cast(a, pick(random, ['f32', 'f64', 'i32', 'i64', 'bool'] as const))
    if (type === 'bool') return pick(random, [k.and, k.or, k.xor, k.not])(a, b)
    if (type === 'f32' || type === 'f64') {
      if (type === 'f64' && random() < 0.2) return random() < 0.5 ? call('log1p', a) : call('atan2', a, b)
      const ops = [
        k.add,
        k.sub,
        k.mul,
        k.div,
        k.pmin,
        k.pmax,
        k.neg,
        k.abs,
        k.sqrt,
        k.floor,
        k.ceil,
        k.trunc,
        k.nearest,
      ]
      return pick(random, ops)(a, b)
    }
    if (random() < 0.15) return pick(random, [k.div, k.rem])(a, k.or(b, constant(1, type)))
    if (random() < 0.2) return pick(random, [k.shl, k.shr, k.shru])(a, pick(random, [1, 5, 31]))
    return pick(random, [k.add, k.sub, k.mul, k.min, k.max, k.and, k.or, k.xor, k.not, k.neg, k.abs])(a, b)
  }

  /** A value to store as `dtype`, which may end in a float min or max. */
  root(dtype: DType): Expr {
    const { random } = this
    const type = dtype.compute
    const a = this.of(type)
    return (type === 'f32' || type === 'f64') && random() < 0.2 ? pick(random, [k.min, k.max])(a, this.of(type)) : a
  }
}

describe('element-wise kernels', () => {
  test('random expressions give what the interpreter gives', () => {
    for (let seed = 1; seed <= 160; seed++) {
      const random = randomFrom(seed)
      const grower = new Grower(random)
      for (let i = 0; i < 3 + (seed % 12); i++) grower.grow()
      const outputs = Array.from({ length: seed % 5 === 0 ? 2 : 1 }, () => pick(random, [f32, ...dtypes]))
      const stores = outputs.map((dtype) => ({ value: grower.root(dtype), arg: grower.args.push(write(dtype)) - 1 }))
      const kernel = mapKernel(`random ${seed}`, grower.args, grower.scalars, stores)
      for (let i = 0; i < 2; i++) check(random, kernel, randomExtent(random), grower.values, { zeros: true })
    }
  })

  test('every dtype converts to every other', () => {
    const random = randomFrom(77)
    for (const from of dtypes) {
      for (const to of dtypes) {
        const value = k.cast(load(0, from.compute), to.compute)
        const kernel = mapKernel(`${from} to ${to}`, [read(from), write(to)], [], [{ arg: 1, value }])
        check(random, kernel, [1, 1, 203], [])
        check(random, kernel, [1, 5, 7], [])
      }
    }
  })

  test('float16 and bfloat16 round trips keep all bits of numbers', () => {
    for (const dtype of [f16, dtypeOf('bfloat16')]) {
      const kernel = mapKernel('copy', [read(dtype), write(dtype)], [], [{ arg: 1, value: load(0, 'f32') }])
      const [from, to] = [memory.alloc(65536 * 2), memory.alloc(65536 * 2)]
      const { u16 } = memory.views
      for (let i = 0; i < 65536; i++) u16[from / 2 + i] = i
      for (const device of Object.values(devices)) {
        device.flat(kernel, 'cc')(65536, from, to)
        for (let i = 0; i < 65536; i++) {
          if (!Number.isNaN(decode(dtype, i) as number) && u16[to / 2 + i] !== i) expect(u16[to / 2 + i]).toBe(i)
        }
      }
    }
  })

  test('flat kernels take shared elements and write exactly n elements', () => {
    const kernel = mapKernel(
      'axpy',
      [read(f32), read(f32), update(f32)],
      ['f32'],
      [{ arg: 2, value: k.add(k.mul(k.add(load(0, 'f32'), load(1, 'f32')), scalar(0, 'f32')), load(2, 'f32')) }],
    )
    for (const n of [0, ...lengths]) {
      const blocks = kernel.args.map((arg) => place(() => 0.5, arg, [1, 1, n + 1], false))
      for (const access of ['ccc', 'csc', 'scc', 'ssc']) {
        const before = contents(blocks[2])
        const pointers = blocks.map((b) => b.pointer)
        interp.flat(kernel, access)(n, ...pointers, 0.5)
        const expected = elements(blocks[2])
        restore(blocks[2], before)
        for (const device of Object.values(devices)) {
          for (let call = 0; call < 2; call++) {
            device.flat(kernel, access)(n, ...pointers, 0.5)
            expect(elements(blocks[2])).toEqual(expected)
            restore(blocks[2], before)
          }
        }
      }
      release(blocks)
    }
  })

  test('multiply-add rounds once or twice, negated factors too', () => {
    const random = randomFrom(6)
    for (const dtype of [f32, f64]) {
      const type = dtype.compute
      const [a, b, c] = [0, 1, 2].map((i) => load(i, type))
      for (const value of [
        k.madd(a, b, c),
        k.madd(k.neg(a), b, c),
        k.madd(a, k.neg(b), c),
        k.madd(k.neg(a), k.neg(b), c),
      ]) {
        const kernel = mapKernel('madd', [read(dtype), read(dtype), read(dtype), write(dtype)], [], [{ arg: 3, value }])
        check(random, kernel, [1, 3, 37], [], { small: true })
      }
    }
  })

  test('bits survive casts between floats and integers of one width', () => {
    const random = randomFrom(8)
    const doubled = k.bitcast(k.add(k.bitcast(load(0, 'f32'), 'i32'), constant(1 << 23, 'i32')), 'f32')
    check(random, mapKernel('double', [read(f32), write(f32)], [], [{ arg: 1, value: doubled }]), [2, 3, 33], [], {
      small: true,
    })
    const bits = k.shr(k.bitcast(load(0, 'f64'), 'i64'), 3)
    check(random, mapKernel('bits', [read(f64), write(i64)], [], [{ arg: 1, value: bits }]), [1, 1, 33], [], {
      small: true,
    })
  })

  test('positions and gathers stay with their rows', () => {
    const random = randomFrom(9)
    const place = k.select(k.gt(position(), constant(2, 'i32')), k.sub(position(), constant(2, 'i32')), position())
    for (const dtype of [f32, f64, u8, f16, bool]) {
      const type = dtype.compute
      const stores = [
        { arg: 1, value: gather(0, type, place) },
        { arg: 2, value: k.cast(position(), 'i64') },
      ]
      const kernel = mapKernel('shift', [read(dtype), write(dtype), write(i64)], [], stores)
      for (let i = 0; i < 12; i++) check(random, kernel, randomExtent(random), [])
    }
  })

  test('integer division by zero is an error', () => {
    for (const dtype of [i32, i64]) {
      const value = k.div(load(0, dtype.compute), load(1, dtype.compute))
      const kernel = mapKernel('div', [read(dtype), read(dtype), write(dtype)], [], [{ arg: 2, value }])
      const at = memory.alloc(256)
      memory.views.u8.fill(0, at, at + 256)
      const device = devices['as detected']
      expect(() => device.flat(kernel, 'ccc')(5, at, at, at)).toThrow('ZeroDivisionError')
      const strides = [0, 0, dtype.itemsize] as Strides
      expect(() => device.launch(kernel, [1, 1, 5], [at, at, at], [strides, strides, strides], [])).toThrow(
        'ZeroDivisionError',
      )
    }
  })
})

const fold = (init: Expr[], step: Expr[], merge: Expr[]): ReducePass => ({ kind: 'reduce', init, step, merge })

/** A fold of one accumulator by one operation. */
function simple(op: (a: Expr, b: Expr) => Expr, init: number | bigint | boolean, value: Expr): ReducePass {
  const type = value.type
  return fold([constant(init, type)], [op(acc(0, type), value)], [op(acc(0, type), other(0, type))])
}

/** Associative operations with their neutral elements. */
type Monoid = readonly [(a: Expr, b: Expr) => Expr, number | boolean]
const sum: Monoid = [k.add, 0]
const logical: Monoid[] = [
  [k.or, false],
  [k.and, true],
  [k.xor, false],
]
const extrema = (float: boolean): Monoid[] => [
  [k.max, float ? -Infinity : -(2 ** 31)],
  [k.min, float ? Infinity : 2 ** 31 - 1],
]

function rowKernel(name: string, args: Arg[], passes: Kernel['passes'], rowStores: Kernel['rowStores']): Kernel {
  return { name, args, scalars: [], passes, rowStores }
}

/** The position of the largest element: the first NaN, or the first of equal ones. */
function argmax(dtype: DType): Kernel {
  const type = dtype.compute
  const x = load(0, type)
  const better = (v: Expr, i: Expr, w: Expr, j: Expr): Expr => {
    const nan = (e: Expr): Expr => k.ne(e, e)
    const greater = k.or(k.gt(v, w), k.and(nan(v), k.not(nan(w))))
    const equal = k.or(k.eq(v, w), k.and(nan(v), nan(w)))
    return k.or(greater, k.and(equal, k.lt(i, j)))
  }
  const [av, ai, ov, oi] = [acc(0, type), acc(1, 'i32'), other(0, type), other(1, 'i32')]
  const take = (v: Expr, i: Expr): Expr[] => {
    const yes = better(v, i, av, ai)
    return [k.select(yes, v, av), k.select(yes, i, ai)]
  }
  const low = type === 'f32' || type === 'f64' ? -Infinity : type === 'i64' ? -(2n ** 63n) : -(2 ** 31)
  const init = [constant(low, type), constant(2 ** 31 - 1, 'i32')]
  return rowKernel(
    `argmax ${dtype}`,
    [read(dtype), write(i64, 'row')],
    [fold(init, take(x, position()), take(ov, oi))],
    [{ arg: 1, value: k.cast(result(0, 1, 'i32'), 'i64') }],
  )
}

describe('row kernels', () => {
  const long: Extent[] = [
    [1, 1, 5000],
    [1, 70, 600],
    [3, 1, 8195],
    [1, 1, 0],
    [2, 5, 0],
  ]
  const run = (kernel: Kernel, seed: number, options: Options = {}, extents = long): void => {
    const random = randomFrom(seed)
    for (let i = 0; i < 25; i++) check(random, kernel, randomExtent(random), [], options)
    for (const extent of extents) check(random, kernel, extent, [], options)
  }

  test('sums of every dtype', () => {
    for (const dtype of dtypes) {
      const type = dtype.kind === 'float' ? (dtype === f64 ? 'f64' : 'f32') : 'i64'
      const out = dtype.kind === 'float' ? (dtype === f64 ? f64 : f32) : i64
      const pass = simple(k.add, 0, k.cast(load(0, dtype.compute), type))
      const kernel = rowKernel(
        `sum ${dtype}`,
        [read(dtype), write(out, 'row')],
        [pass],
        [{ arg: 1, value: result(0, 0, type) }],
      )
      run(kernel, 10 + dtype.index, { small: true })
    }
  })

  test('extrema with NaN and infinities', () => {
    for (const dtype of [f32, f64, i32, i64]) {
      const type = dtype.compute
      const float = dtype.kind === 'float'
      const passes = [
        simple(k.max, float ? -Infinity : -1000000, load(0, type)),
        simple(k.min, float ? Infinity : 1000000, load(0, type)),
      ]
      const kernel = rowKernel(`range ${dtype}`, [read(dtype), write(dtype, 'row'), write(dtype, 'row')], passes, [
        { arg: 1, value: result(0, 0, type) },
        { arg: 2, value: result(1, 0, type) },
      ])
      run(kernel, 20 + dtype.index, { zeros: true })
    }
  })

  test('argmax takes the first of equals, whatever the lanes', () => {
    for (const dtype of [f32, f64, i32, i64]) {
      run(argmax(dtype), 30 + dtype.index, { small: true }, dtype === f32 ? long : [])
      run(argmax(dtype), 40 + dtype.index, {}, [])
    }
  })

  test('any and all', () => {
    const passes = [simple(k.or, false, load(0, 'bool')), simple(k.and, true, load(0, 'bool'))]
    const value = k.xor(result(0, 0, 'bool'), result(1, 0, 'bool'))
    run(rowKernel('any not all', [read(bool), write(bool, 'row')], passes, [{ arg: 1, value }]), 50)
    const wide = [simple(k.or, false, k.lt(load(0, 'f64'), constant(-9, 'f64')))]
    run(rowKernel('any f64', [read(f64), write(bool, 'row')], wide, [{ arg: 1, value: result(0, 0, 'bool') }]), 51, {
      small: true,
    })
  })

  test('several passes: normalized rows with row values and a gather', () => {
    for (const dtype of [f32, f64, f16]) {
      const type = dtype.compute
      const x = load(0, type)
      const largest = result(0, 0, type)
      const total = result(1, 0, type)
      const target = k.cast(load(1, 'i64'), 'i32')
      const shifted = k.sub(x, largest)
      const kernel = rowKernel(
        `normalize ${dtype}`,
        [read(dtype), read(i64, 'row'), write(dtype), write(dtype, 'row')],
        [
          simple(k.max, -Infinity, x),
          simple(k.add, 0, k.mul(shifted, shifted)),
          { kind: 'map', stores: [{ arg: 2, value: k.div(shifted, k.add(total, constant(1, type))) }] },
        ],
        [{ arg: 3, value: k.sub(gather(0, type, k.and(target, constant(0, 'i32'))), total) }],
      )
      const random = randomFrom(60 + dtype.index)
      for (let i = 0; i < 60; i++) check(random, kernel, randomExtent(random), [], { small: true, zeros: true })
    }
  })

  test('random folds, and maps of their results, give what the interpreter gives', () => {
    for (let seed = 1; seed <= 80; seed++) {
      const random = randomFrom(1000 + seed)
      const grower = new Grower(random, true)
      for (let i = 0; i < 2 + (seed % 8); i++) grower.grow()
      const dtype = pick(random, [f32, f64, i32, i64, bool])
      const folded = grower.of(dtype.compute)
      const float = dtype.kind === 'float'
      const [op, init] = pick(random, dtype === bool ? logical : [...extrema(float), ...(float ? [] : [sum])])
      const pass = simple(op, init, dtype === i64 ? k.cast(k.cast(folded, 'i32'), 'i64') : folded)
      const total = result(0, 0, dtype.compute)
      const out = pick(random, dtypes)
      const value = k.select(k.lt(folded, total), grower.of(out.compute), k.cast(total, out.compute))
      const stores = [{ arg: grower.args.push(write(out)) - 1, value }]
      const rowStores = [{ arg: grower.args.push(write(dtype, 'row')) - 1, value: total }]
      const passes = [pass, { kind: 'map', stores } as const]
      const kernel = { name: `fold ${seed}`, args: grower.args, scalars: grower.scalars, passes, rowStores }
      for (let i = 0; i < 3; i++) check(random, kernel, randomExtent(random), grower.values, { zeros: true })
    }
  })

  test('two accumulators of different types that read each other', () => {
    const x = load(0, 'f32')
    const step = [k.add(acc(0, 'f32'), x), k.add(acc(1, 'i64'), k.cast(k.gt(x, constant(0, 'f32')), 'i64'))]
    const merge = [k.add(acc(0, 'f32'), other(0, 'f32')), k.add(acc(1, 'i64'), other(1, 'i64'))]
    const kernel = rowKernel(
      'mean of positives',
      [read(f32), write(f64, 'row')],
      [fold([constant(0, 'f32'), constant(0, 'i64')], step, merge)],
      [{ arg: 1, value: k.add(k.cast(result(0, 0, 'f32'), 'f64'), k.cast(result(0, 1, 'i64'), 'f64')) }],
    )
    run(kernel, 70, { small: true })
  })

  test('a float32 sum of a million elements is accurate', () => {
    const n = 1 << 20
    const at = memory.alloc(n * 4)
    const out = memory.alloc(64)
    const random = randomFrom(80)
    let exact = 0
    for (let i = 0; i < n; i++) exact += memory.views.f32[at / 4 + i] = random()
    const kernel = rowKernel(
      'sum',
      [read(f32), write(f32, 'row')],
      [simple(k.add, 0, load(0, 'f32'))],
      [{ arg: 1, value: result(0, 0, 'f32') }],
    )
    const device = devices['as detected']
    device.launch(
      kernel,
      [1, 1, n],
      [at, out],
      [
        [0, 0, 4],
        [0, 0, 0],
      ],
      [],
    )
    expect(Math.abs(memory.views.f32[out / 4] / exact - 1)).toBeLessThan(2e-7)
    device.launch(
      kernel,
      [1, 4, n / 4],
      [at, out],
      [
        [0, 4, 16],
        [0, 4, 0],
      ],
      [],
    )
    const columns = memory.views.f32.subarray(out / 4, out / 4 + 4).reduce((a, b) => a + b, 0)
    expect(Math.abs(columns / exact - 1)).toBeLessThan(2e-6)
    memory.release(at, n * 4)
  })
})
