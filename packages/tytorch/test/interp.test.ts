// The meaning of kernels: every primitive and type through the interpreter, passes, strides, storage narrowing,
// matmul, what verify refuses, the text of a kernel, and that simplify changes no bit.
import { describe, expect, test } from 'vitest'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { memory } from '../src/backend/memory.ts'
import {
  bfloat16,
  bool,
  type ComputeType,
  type DType,
  decode,
  dtypeOf,
  encode,
  float16,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  rawView,
  uint8,
} from '../src/base/dtype.ts'
import { acc, call, constant, type Expr, gather, k, load, other, position, result, scalar } from '../src/ir/expr.ts'
import { type Arg, type Kernel, mapKernel, type ReducePass } from '../src/ir/kernel.ts'
import { show, signature } from '../src/ir/show.ts'
import { simplify } from '../src/ir/simplify.ts'
import { verify } from '../src/ir/verify.ts'

type Item = number | bigint | boolean

const device = createInterpreter()
const STORAGE = { f32: float32, f64: float64, i32: int32, i64: int64, bool } as const

function put(dtype: DType, values: readonly Item[]): number {
  const at = memory.alloc(Math.max(values.length, 1) * dtype.itemsize)
  const view = rawView(dtype, memory.views.buffer, at, values.length) as { [i: number]: number | bigint }
  values.forEach((v, i) => {
    view[i] = encode(dtype, v)
  })
  return at
}

function get(dtype: DType, at: number, n: number): Item[] {
  return Array.from(rawView(dtype, memory.views.buffer, at, n) as ArrayLike<number | bigint>, (raw) =>
    decode(dtype, raw),
  )
}

const read = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'read', per })
const write = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'write', per })
const x = (type: ComputeType, arg = 0): Expr => load(arg, type)
const f = (value: number): Expr => constant(value, 'f32')

/** `build` applied to columns of inputs of one type. */
function evaluate(build: (...src: Expr[]) => Expr, type: ComputeType, ...columns: Item[][]): Item[] {
  const value = build(...columns.map((_, i) => x(type, i)))
  return run(value, STORAGE[type], STORAGE[value.type], ...columns)
}

function run(value: Expr, from: DType, to: DType, ...columns: Item[][]): Item[] {
  const n = columns[0].length
  const kernel = mapKernel('test', [...columns.map(() => read(from)), write(to)], [], [{ arg: columns.length, value }])
  const out = put(to, new Array(n).fill(0))
  device.flat(kernel, 'c'.repeat(columns.length + 1))(n, ...columns.map((c) => put(from, c)), out)
  return get(to, out, n)
}

describe('primitives', () => {
  test('f32 rounds after every operation', () => {
    const fr = Math.fround
    expect(evaluate(k.add, 'f32', [16777216, 0.1], [1, 0.2])).toEqual([16777216, fr(fr(0.1) + fr(0.2))])
    expect(evaluate(k.mul, 'f32', [0.1], [0.1])).toEqual([fr(fr(0.1) * fr(0.1))])
    expect(evaluate(k.div, 'f32', [1, 1, -1, 0], [3, 0, 0, 0])).toEqual([fr(1 / 3), Infinity, -Infinity, NaN])
    expect(evaluate(k.sqrt, 'f32', [2, -1, -0])).toEqual([fr(Math.SQRT2), NaN, -0])
    const tiny = 1 + 2 ** -23
    expect(evaluate(k.madd, 'f32', [tiny], [tiny], [-1])).toEqual([fr(tiny * tiny - 1)])
  })

  test('float rounding modes', () => {
    const values = [-2.5, -1.5, -0.5, -0.2, -0, 0.5, 1.5, 2.5, 2.6, NaN, Infinity, 2 ** 30 + 1]
    for (const type of ['f32', 'f64'] as const) {
      const stored = values.map((v) => (type === 'f32' ? Math.fround(v) : v))
      expect(evaluate(k.nearest, type, values).slice(0, 11)).toEqual([-2, -2, -0, -0, -0, 0, 2, 2, 3, NaN, Infinity])
      expect(evaluate(k.floor, type, values)).toEqual(stored.map(Math.floor))
      expect(evaluate(k.ceil, type, values)).toEqual(stored.map(Math.ceil))
      expect(evaluate(k.trunc, type, values)).toEqual(stored.map(Math.trunc))
      expect(evaluate(k.neg, type, values)).toEqual(stored.map((v) => -v))
      expect(evaluate(k.abs, type, values)).toEqual(stored.map(Math.abs))
    }
  })

  test('minimum and maximum: NaN propagates in min, pmin keeps the first operand', () => {
    const a = [1, NaN, 1, -0, 0, 3]
    const b = [2, 1, NaN, 0, -0, 3]
    expect(evaluate(k.min, 'f32', a, b)).toEqual([1, NaN, NaN, -0, -0, 3])
    expect(evaluate(k.max, 'f32', a, b)).toEqual([2, NaN, NaN, 0, 0, 3])
    expect(evaluate(k.pmin, 'f32', a, b)).toEqual([1, NaN, 1, -0, 0, 3])
    expect(evaluate(k.pmax, 'f32', a, b)).toEqual([2, NaN, 1, -0, 0, 3])
    expect(evaluate(k.min, 'i64', [1n, -5n], [2n, -6n])).toEqual([1n, -6n])
    expect(evaluate(k.max, 'i32', [1, -5], [2, -6])).toEqual([2, -5])
  })

  test('i32 wraps and truncates', () => {
    const min = -(2 ** 31)
    expect(evaluate(k.add, 'i32', [2 ** 31 - 1], [1])).toEqual([min])
    expect(evaluate(k.mul, 'i32', [123456789], [987654321])).toEqual([Math.imul(123456789, 987654321)])
    expect(evaluate(k.div, 'i32', [-7, 7, min], [2, -2, -1])).toEqual([-3, -3, min])
    expect(evaluate(k.rem, 'i32', [-7, 7, min], [2, -2, -1])).toEqual([-1, 1, 0])
    expect(evaluate(k.abs, 'i32', [min, -3])).toEqual([min, 3])
    expect(evaluate(k.neg, 'i32', [min, 0])).toEqual([min, 0])
    expect(evaluate(k.not, 'i32', [0, 5])).toEqual([-1, -6])
    expect(evaluate((a) => k.shru(a, 1), 'i32', [-2])).toEqual([2 ** 31 - 1])
    expect(evaluate((a) => k.shr(a, 1), 'i32', [-3])).toEqual([-2])
    expect(evaluate((a) => k.shl(a, 31), 'i32', [1])).toEqual([min])
    expect(evaluate(k.xor, 'i32', [6], [3])).toEqual([5])
  })

  test('i64 wraps at 64 bits', () => {
    const min = -(2n ** 63n)
    expect(evaluate(k.add, 'i64', [2n ** 63n - 1n], [1n])).toEqual([min])
    expect(evaluate(k.mul, 'i64', [2n ** 62n + 1n], [4n])).toEqual([4n])
    expect(evaluate(k.div, 'i64', [-7n, min], [2n, -1n])).toEqual([-3n, min])
    expect(evaluate(k.rem, 'i64', [-7n], [2n])).toEqual([-1n])
    expect(evaluate((a) => k.shru(a, 60), 'i64', [-1n])).toEqual([15n])
    expect(evaluate((a) => k.shl(a, 63), 'i64', [3n])).toEqual([min])
    expect(evaluate(k.and, 'i64', [-4n], [7n])).toEqual([4n])
  })

  test('integer division by zero traps', () => {
    expect(() => evaluate(k.div, 'i32', [1], [0])).toThrow('ZeroDivisionError')
    expect(() => evaluate(k.rem, 'i64', [1n], [0n])).toThrow('ZeroDivisionError')
  })

  test('bool, comparisons and select', () => {
    const a = [true, true, false, false]
    const b = [true, false, true, false]
    expect(evaluate(k.and, 'bool', a, b)).toEqual([true, false, false, false])
    expect(evaluate(k.or, 'bool', a, b)).toEqual([true, true, true, false])
    expect(evaluate(k.xor, 'bool', a, b)).toEqual([false, true, true, false])
    expect(evaluate(k.not, 'bool', a)).toEqual([false, false, true, true])
    const left = [1, NaN, 0, 2]
    const right = [2, NaN, -0, 1]
    expect(evaluate(k.lt, 'f32', left, right)).toEqual([true, false, false, false])
    expect(evaluate(k.le, 'f64', left, right)).toEqual([true, false, true, false])
    expect(evaluate(k.eq, 'f32', left, right)).toEqual([false, false, true, false])
    expect(evaluate(k.ne, 'f32', left, right)).toEqual([true, true, false, true])
    expect(evaluate(k.gt, 'i64', [3n, 1n], [2n, 2n])).toEqual([true, false])
    expect(evaluate(k.ge, 'i32', [3, 2], [2, 2])).toEqual([true, true])
    expect(evaluate((p, q) => k.select(k.lt(p, q), p, q), 'f32', [1, 4], [2, 3])).toEqual([1, 3])
  })

  test('casts truncate, saturate, wrap and round once', () => {
    const cast = (from: ComputeType, to: ComputeType, values: Item[]): Item[] =>
      evaluate((a) => k.cast(a, to), from, values)
    expect(cast('f32', 'i32', [1.9, -1.9, 3e9, -3e9, NaN, Infinity])).toEqual([
      1, -1, 2147483647, -2147483648, 0, 2147483647,
    ]) // biome-ignore format: a table
    expect(cast('f64', 'i64', [1.9, -1e30, 1e30, NaN])).toEqual([1n, -(2n ** 63n), 2n ** 63n - 1n, 0n])
    expect(cast('i64', 'i32', [2n ** 32n + 5n, -1n])).toEqual([5, -1])
    expect(cast('i32', 'i64', [-3])).toEqual([-3n])
    expect(cast('i32', 'f32', [16777217])).toEqual([16777216])
    expect(cast('i64', 'f32', [2n ** 60n + 2n ** 36n + 1n])).toEqual([2 ** 60 + 2 ** 37])
    expect(cast('f64', 'f32', [0.1])).toEqual([Math.fround(0.1)])
    expect(cast('f32', 'bool', [0, -0, NaN, 1e-45])).toEqual([false, false, true, true])
    expect(cast('bool', 'f64', [true, false])).toEqual([1, 0])
    expect(cast('bool', 'i64', [true])).toEqual([1n])
    expect(evaluate((a) => k.bitcast(a, 'i32'), 'f32', [1, -0])).toEqual([0x3f800000, -(2 ** 31)])
    expect(evaluate((a) => k.bitcast(a, 'f64'), 'i64', [0x3ff0000000000000n])).toEqual([1])
  })

  test('host calls work in double precision', () => {
    expect(evaluate((a) => call('exp', a), 'f64', [1])).toEqual([Math.exp(1)])
    expect(evaluate((a, b) => call('atan2', a, b), 'f64', [1], [-2])).toEqual([Math.atan2(1, -2)])
  })
})

describe('storage', () => {
  test('stores narrow: integers wrap, halves round to even, bool is 0 or 1', () => {
    const narrow = (to: DType, values: Item[]): Item[] => run(x('i32'), int32, to, values)
    expect(narrow(int8, [127, 128, -129])).toEqual([127, -128, 127])
    expect(narrow(uint8, [255, 256, -1])).toEqual([255, 0, 255])
    expect(narrow(int16, [32768])).toEqual([-32768])
    expect(run(x('f32'), float32, float16, [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65520, NaN])).toEqual([
      1,
      1 + 2 ** -9,
      Infinity,
      NaN,
    ])
    expect(run(x('f32'), float32, bfloat16, [1 + 2 ** -8, 1 + 3 * 2 ** -8, -Infinity])).toEqual([
      1,
      1 + 2 ** -6,
      -Infinity,
    ])
  })

  test('loads widen, and any non-zero byte is true', () => {
    expect(run(x('f32'), float16, float32, [0.1])).toEqual([0.0999755859375])
    expect(run(x('i32'), uint8, int32, [200])).toEqual([200])
    const raw = put(uint8, [0, 1, 7])
    const out = put(bool, [false, false, false])
    const kernel = mapKernel('not', [read(bool), write(bool)], [], [{ arg: 1, value: k.not(x('bool')) }])
    device.flat(kernel, 'cc')(3, raw, out)
    expect(get(uint8, out, 3)).toEqual([1, 0, 0])
  })
})

const sum: ReducePass = {
  kind: 'reduce',
  init: [f(0)],
  step: [k.add(acc(0, 'f32'), x('f32'))],
  merge: [k.add(acc(0, 'f32'), other(0, 'f32'))],
}

const mean: Kernel = {
  name: 'centre',
  args: [read(float32), write(float32), write(float32, 'row')],
  scalars: ['f32'],
  passes: [
    sum,
    { kind: 'map', stores: [{ arg: 1, value: k.sub(x('f32'), k.mul(result(0, 0, 'f32'), scalar(0, 'f32'))) }] },
  ],
  rowStores: [{ arg: 2, value: result(0, 0, 'f32') }],
}

describe('kernels', () => {
  test('flat: contiguous and broadcast operands, scalars of each type', () => {
    const value = k.add(k.mul(x('f32'), x('f32', 1)), scalar(0, 'f32'))
    const kernel = mapKernel('axpb', [read(float32), read(float32), write(float32)], ['f32'], [{ arg: 2, value }])
    const out = put(float32, [0, 0, 0, 9])
    device.flat(kernel, 'csc')(3, put(float32, [1, 2, 3]), put(float32, [10]), out, 0.5)
    expect(get(float32, out, 4)).toEqual([10.5, 20.5, 30.5, 9])
    const wide = k.add(x('i64'), scalar(0, 'i64'))
    const flags = k.select(scalar(1, 'bool'), wide, x('i64'))
    const picks = mapKernel('pick', [read(int64), write(int64)], ['i64', 'bool'], [{ arg: 1, value: flags }])
    const chosen = put(int64, [0n])
    device.flat(picks, 'cc')(1, put(int64, [2n ** 60n]), chosen, 5n, 1)
    expect(get(int64, chosen, 1)).toEqual([2n ** 60n + 5n])
  })

  test('passes over strided rows, with a value a row', () => {
    // x is [2, 2, 3] read with its last two dimensions swapped: extents [2, 3, 2].
    const at = put(float32, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    const out = put(float32, new Array(12).fill(0))
    const rows = put(float32, new Array(6).fill(0))
    const strides = [
      [24, 4, 12],
      [24, 8, 4],
      [12, 4, 0],
    ] as const
    device.launch(mean, [2, 3, 2], [at, out, rows], strides, [0.5])
    expect(get(float32, rows, 6)).toEqual([3, 5, 7, 15, 17, 19])
    expect(get(float32, out, 4)).toEqual([-1.5, 1.5, -1.5, 1.5])
  })

  test('a row without elements still stores its row values; no rows store nothing', () => {
    const rows = put(float32, [7, 7])
    const zero = [0, 0, 0] as const
    device.launch(mean, [1, 2, 0], [0, 0, rows], [zero, zero, [0, 4, 0]], [1])
    expect(get(float32, rows, 2)).toEqual([0, 0])
    device.launch(mean, [0, 2, 5], [0, 0, 0], [zero, zero, zero], [1])
  })

  test('argmax: two accumulators and the position', () => {
    const better = k.gt(x('f32'), acc(0, 'f32'))
    const kernel: Kernel = {
      name: 'argmax',
      args: [read(float32), write(int64, 'row')],
      scalars: [],
      passes: [
        {
          kind: 'reduce',
          init: [f(-Infinity), constant(0, 'i32')],
          step: [k.select(better, x('f32'), acc(0, 'f32')), k.select(better, position(), acc(1, 'i32'))],
          merge: [
            k.select(k.gt(other(0, 'f32'), acc(0, 'f32')), other(0, 'f32'), acc(0, 'f32')),
            k.select(k.gt(other(0, 'f32'), acc(0, 'f32')), other(1, 'i32'), acc(1, 'i32')),
          ],
        },
      ],
      rowStores: [{ arg: 1, value: k.cast(result(0, 1, 'i32'), 'i64') }],
    }
    const out = put(int64, [0n, 0n])
    const strides = [
      [0, 20, 4],
      [0, 8, 0],
    ] as const
    device.launch(kernel, [1, 2, 5], [put(float32, [1, 5, 2, 5, 0, -1, -2, -3, -4, -0.5]), out], strides, [])
    expect(get(int64, out, 2)).toEqual([1n, 4n])
  })

  test('gather, per-row operands and updates in place', () => {
    const kernel: Kernel = {
      name: 'pick',
      args: [read(float32), read(int64, 'row'), { dtype: float32, mode: 'update', per: 'row' }],
      scalars: [],
      passes: [],
      rowStores: [{ arg: 2, value: k.add(x('f32', 2), gather(0, 'f32', k.cast(x('i64', 1), 'i32'))) }],
    }
    const out = put(float32, [100, 200])
    const strides = [
      [0, 12, 4],
      [0, 8, 0],
      [0, 4, 0],
    ] as const
    device.launch(kernel, [1, 2, 3], [put(float32, [0, 1, 2, 3, 4, 5]), put(int64, [2n, 0n]), out], strides, [])
    expect(get(float32, out, 2)).toEqual([102, 203])
  })
})

describe('matmul', () => {
  const shape = { m: 2, n: 2, k: 3, aRow: 3, aCol: 1, bRow: 2, bCol: 1, cRow: 2, bias: 0, accumulate: false }

  test('all dtypes', () => {
    for (const name of ['float32', 'float64', 'int32', 'int64'] as const) {
      const dtype = dtypeOf(name)
      const c = put(dtype, [0, 0, 0, 0])
      device.matmul(name, { ...shape, a: put(dtype, [1, 2, 3, 4, 5, 6]), b: put(dtype, [1, 2, 3, 4, 5, 6]), c })
      expect(get(dtype, c, 4).map(Number)).toEqual([22, 28, 49, 64])
    }
  })

  test('strides, bias and accumulation', () => {
    const c = put(float32, [1, 1, -1, 1, 1, -1])
    const a = put(float32, [1, 4, 2, 5, 3, 6])
    const b = put(float32, [1, 3, 5, 2, 4, 6])
    const bias = put(float32, [100, 200])
    const transposed = { aRow: 1, aCol: 2, bRow: 1, bCol: 3, cRow: 3 }
    device.matmul('float32', { ...shape, ...transposed, a, b, c, bias, accumulate: true })
    expect(get(float32, c, 6)).toEqual([123, 229, -1, 150, 265, -1])
  })

  test('integers wrap', () => {
    const one = { ...shape, m: 1, n: 1, k: 2 }
    const c = put(int32, [0])
    device.matmul('int32', { ...one, a: put(int32, [2 ** 30, 5]), b: put(int32, [4, 0, 1, 0]), c, accumulate: true })
    expect(get(int32, c, 1)).toEqual([5])
  })
})

describe('verify', () => {
  const out = { arg: 1, value: x('f32') }
  const args = [read(float32), write(float32)]
  const kernel = (change: Partial<Kernel>): Kernel => ({ ...mapKernel('k', args, [], [out]), ...change })
  const map = (value: Expr, arg = 1): Partial<Kernel> => ({ passes: [{ kind: 'map', stores: [{ arg, value }] }] })
  const reduce = (change: Partial<ReducePass>): Partial<Kernel> => ({
    args: [read(float32), write(float32, 'row')],
    passes: [{ ...sum, ...change }],
    rowStores: [{ arg: 1, value: result(0, 0, 'f32') }],
  })

  test('accepts what is well formed', () => {
    expect(() => verify(kernel({}))).not.toThrow()
    expect(() => verify(kernel(reduce({})))).not.toThrow()
    expect(() => verify(mean)).not.toThrow()
  })

  const cases: [string, Partial<Kernel>, string][] = [
    ['a store of another type', map(k.cast(x('f32'), 'f64')), 'f64 stored to argument 1, but float32 computes in f32'],
    ['an argument out of range', map(load(5, 'f32')), 'load of argument 5, but there are 2'],
    ['a load of another type', map(k.cast(load(0, 'f64'), 'f32')), 'load of argument 0 as f64'],
    ['a load of a write-only argument', map(load(1, 'f32')), 'write-only'],
    ['a store to a read-only argument', map(x('f32'), 0), 'read-only'],
    ['a scalar not declared', map(scalar(0, 'f32')), 'scalar 0 as f32, but it is not declared'],
    ['an accumulator in a map', map(acc(0, 'f32')), "'acc' is legal only in a step or a merge"],
    ['a result that is not there', map(result(0, 0, 'f32')), 'no earlier reduce pass'],
    ['a row store in a map', { args: [read(float32), write(float32, 'row')] }, 'which is per row, not per element'],
    ['an element stored by a row', { rowStores: [{ arg: 1, value: f(0) }] }, 'which is per element, not per row'],
    ['a written argument without a store', { args: [...args, write(float32)] }, 'nothing is stored to it'],
    ['an empty map', { passes: [{ kind: 'map', stores: [] }] }, 'needs a store'],
    ['two stores', { passes: [{ kind: 'map', stores: [out, out] }] }, 'stored twice'],
    ['lengths that differ', reduce({ step: [] }), '1 init, 0 step and 1 merge'],
    ['an init that is computed', reduce({ init: [k.neg(f(1))] }), 'init 0 is not a constant'],
    ['a step of another type', reduce({ step: [constant(1, 'i32')] }), 'step 0 gives i32'],
    ['a load in a merge', reduce({ merge: [x('f32')] }), 'load in a merge'],
    ['other in a step', reduce({ step: [other(0, 'f32')] }), "'other' is legal only in a merge"],
    ['an accumulator too many', reduce({ step: [acc(1, 'f32')] }), 'acc 1, but the pass has 1'],
    ['an accumulator of another type', reduce({ step: [k.cast(acc(0, 'f64'), 'f32')] }), 'acc 0 as f64'],
    ['index after the passes', { ...reduce({}), rowStores: [{ arg: 1, value: k.cast(position(), 'f32') }] }, "'index'"],
    ['an element after the passes', { ...reduce({}), rowStores: [{ arg: 1, value: x('f32') }] }, 'no single value'],
  ] // biome-ignore format: a table

  test.each(cases)('refuses %s', (_, change, message) => {
    expect(() => verify(kernel(change))).toThrow(message)
    expect(() => verify(kernel(change))).toThrow("kernel 'k'")
  })
})

test('show: shared subexpressions are named once', () => {
  const e = k.mul(x('f32'), f(0.1))
  const twice = k.select(k.lt(e, f(-0)), k.cast(call('exp', k.cast(e, 'f64')), 'f32'), gather(0, 'f32', position()))
  const kernel: Kernel = {
    ...mean,
    passes: [sum, { kind: 'map', stores: [{ arg: 1, value: k.madd(twice, scalar(0, 'f32'), result(0, 0, 'f32')) }] }],
  }
  expect(show(kernel)).toMatchInlineSnapshot(`
    "kernel centre
      a0: read float32 per element
      a1: write float32 per element
      a2: write float32 per row
      s0: f32
      pass 0 reduce
        init: 0 f32
        step:
          v0: f32 = load a0
          v1: f32 = add acc0, v0
          acc0 <- v1
        merge:
          v0: f32 = add acc0, other0
          acc0 <- v0
      pass 1 map
        v0: f32 = load a0
        v1: f32 = mul v0, 0.1
        v2: bool = lt v1, -0
        v3: f64 = cast v1
        v4: f64 = call exp v3
        v5: f32 = cast v4
        v6: f32 = gather a0, index
        v7: f32 = select v2, v5, v6
        v8: f32 = madd v7, s0, result0.0
        store a1, v8
      row
        store a2, result0.0"
  `)
  expect(signature({ ...kernel, name: 'else' })).toBe(signature(kernel))
})

describe('simplify', () => {
  const a = x('f32')
  const i = x('i32')
  const p = x('bool')
  const same: [string, Expr, Expr][] = [
    ['x * 1', k.mul(a, f(1)), a],
    ['-1 * x', k.mul(f(-1), a), k.neg(a)],
    ['x + -0', k.add(a, f(-0)), a],
    ['x - 0', k.sub(a, f(0)), a],
    ['x + 0 stays', k.add(a, f(0)), k.add(a, f(0))],
    ['x * 0 stays', k.mul(a, f(0)), k.mul(a, f(0))],
    ['x - x stays', k.sub(a, a), k.sub(a, a)],
    ['i + 0', k.add(i, constant(0, 'i32')), i],
    ['i * 0', k.mul(i, constant(0, 'i32')), constant(0, 'i32')],
    ['i - i', k.sub(i, i), constant(0, 'i32')],
    ['--x', k.neg(k.neg(a)), a],
    ['|-x|', k.abs(k.neg(a)), k.abs(a)],
    ['not not', k.not(k.not(p)), p],
    ['not lt of floats stays', k.not(k.lt(a, f(1))), k.not(k.lt(a, f(1)))],
    ['not lt of ints', k.not(k.lt(i, i)), k.ge(i, i)],
    ['not eq', k.not(k.eq(a, f(1))), k.ne(a, f(1))],
    ['select of a constant', k.select(constant(true, 'bool'), a, f(2)), a],
    ['select of not', k.select(k.not(p), a, f(2)), k.select(p, f(2), a)],
    ['cast there and back', k.cast(k.cast(a, 'f64'), 'f32'), a],
    ['cast through i64', k.cast(k.cast(i, 'i64'), 'f32'), k.cast(i, 'f32')],
    ['cast through f32 stays', k.cast(k.cast(i, 'f32'), 'i32'), k.cast(k.cast(i, 'f32'), 'i32')],
    ['constants fold', k.mul(a, k.add(f(0.5), k.sqrt(f(0.25)))), a],
    ['division by zero stays', k.div(constant(1, 'i32'), constant(0, 'i32')), k.div(constant(1, 'i32'), constant(0, 'i32'))],
    ['madd by 1', k.madd(a, f(1), f(3)), k.add(a, f(3))],
    ['bool != 0', k.ne(k.cast(p, 'i32'), constant(0, 'i32')), p],
    ['inside a call', call('exp', k.mul(x('f64', 1), constant(1, 'f64'))), call('exp', x('f64', 1))],
  ] // biome-ignore format: a table

  test.each(same)('%s', (_, from, to) => {
    expect(simplify(from)).toBe(to)
  })

  test('no bit changes on special values', () => {
    const values = [0, -0, 1, -1, NaN, Infinity, -Infinity, 1e-45, -3e38, 0.1]
    const ops = [k.add, k.sub, k.mul, k.div, k.min, k.max, k.pmin, k.pmax] as const
    for (const op of ops) {
      for (const c of [0, -0, 1, -1, Infinity, NaN]) {
        for (const e of [op(a, f(c)), op(f(c), a), op(a, a), k.madd(a, f(c), a), k.madd(a, a, f(c))]) {
          expect(run(simplify(e), float32, float32, values)).toEqual(run(e, float32, float32, values))
        }
      }
    }
  })
})
