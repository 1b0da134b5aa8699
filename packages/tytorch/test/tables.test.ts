// Kernels that read tables at computed positions: WebAssembly against the interpreter for every dtype and layout, what
// verify refuses, fusion around them, and indices that are out of range in eager and in compiled calls.
import * as torch from 'tytorch'
import { describe, expect, test, vi } from 'vitest'
import type { Extent } from '../src/backend/device.ts'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { memory } from '../src/backend/memory.ts'
import { createWasmDevice } from '../src/backend/wasm/device.ts'
import { detect } from '../src/backend/wasm/features.ts'
import { dtypes as all, type DType, encode, float32, float64, int32, int64, rawView } from '../src/base/dtype.ts'
import { fuse } from '../src/compile/fuse.ts'
import { acc, constant, type Expr, gather, k, load, other, position, result, scalar } from '../src/ir/expr.ts'
import { type Arg, type Kernel, mapKernel } from '../src/ir/kernel.ts'
import { verify } from '../src/ir/verify.ts'
import { Program, run } from './program.ts'

vi.setConfig({ testTimeout: 30_000 })

const interp = createInterpreter()
const host = detect()
const devices = [createWasmDevice(host), createWasmDevice({ ...host, relaxed: false, revectorize: false })]
const dtypes = all.filter((d) => !d.isComplex)

const read = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'read', per })
const write = (dtype: DType, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'write', per })

let state = 7
const random = (n: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return Math.floor((state / 0x80000000) * n)
}

/** Elements that a table has from each place on. */
const LENGTH = 11

type Strides = readonly [number, number, number]

/** Strides in elements of an operand over an extent, and how many elements it spans. */
function layout([outer, inner, n]: Extent, per: Arg['per'], kind: string): { strides: Strides; span: number } {
  const dims = [outer, inner, per === 'row' ? 1 : n]
  const orders: Record<string, readonly number[]> = { plain: [2, 1, 0], across: [1, 2, 0], outside: [0, 1, 2] }
  const strides: [number, number, number] = [0, 0, 0]
  let span = kind === 'apart' ? 3 : 1
  for (const axis of orders[kind] ?? orders.plain) {
    if (kind === 'still' || (kind === 'rows' && axis === 2) || (kind === 'row' && axis !== 2)) continue
    strides[axis] = span
    span *= Math.max(dims[axis], 1)
  }
  return { strides, span }
}

interface Block {
  readonly dtype: DType
  readonly pointer: number
  readonly count: number
}

function block(dtype: DType, count: number, value: () => number | bigint | boolean): Block {
  const pointer = memory.alloc(count * dtype.itemsize)
  const view = rawView(dtype, memory.views.buffer, pointer, count) as { [i: number]: number | bigint }
  for (let i = 0; i < count; i++) view[i] = encode(dtype, value())
  return { dtype, pointer, count }
}

const sampleOf = (dtype: DType): number | bigint | boolean => {
  if (dtype.compute === 'bool') return random(2) === 1
  const value = random(200) - (dtype.name === 'uint8' ? 0 : 100)
  return dtype === int64 ? BigInt(value) * 5_000_000_007n : dtype.kind === 'float' ? value / 8 : value
}

const bytesOf = (b: Block): Uint8Array => memory.views.u8.slice(b.pointer, b.pointer + b.count * b.dtype.itemsize)

/** Runs a kernel of (table, index, out) on all devices, with their operands laid out as these words say. */
function check(kernel: Kernel, extent: Extent, kinds: readonly string[]): void {
  const places = kernel.args.map((arg, i) => layout(extent, arg.per, kinds[i]))
  const blocks = kernel.args.map(({ dtype, per }, i) =>
    block(dtype, Math.max(1, places[i].span + LENGTH), () =>
      per !== 'table' && kernel.args[i].mode === 'read' && dtype.kind === 'int'
        ? dtype === int64
          ? BigInt(random(LENGTH))
          : random(LENGTH)
        : sampleOf(dtype),
    ),
  )
  const pointers = blocks.map((b) => b.pointer)
  const strides = places.map((p, i) => p.strides.map((s) => s * blocks[i].dtype.itemsize) as unknown as Strides)
  const before = blocks.map(bytesOf)
  interp.launch(kernel, extent, pointers, strides, [])
  const expected = blocks.map(bytesOf)
  for (const device of devices) {
    blocks.forEach((b, i) => {
      memory.views.u8.set(before[i], b.pointer)
    })
    device.launch(kernel, extent, pointers, strides, [])
    blocks.forEach((b, i) => {
      const got = bytesOf(b)
      const wrong = got.findIndex((v, j) => v !== expected[i][j])
      if (wrong >= 0) expect.fail(`${kernel.name}, argument ${i}, byte ${wrong}; extent ${extent}, ${kinds}`)
    })
  }
  for (const b of blocks) memory.release(b.pointer, b.count * b.dtype.itemsize)
}

const at = (index: DType): Expr => k.cast(load(1, index.compute), 'i32')
const extents: readonly Extent[] = [
  [1, 1, 1],
  [1, 1, 67],
  [1, 5, 13],
  [2, 3, 4],
  [3, 17, 9],
  [2, 33, 3],
  [1, 0, 5],
  [2, 3, 0],
]
const layouts = ['plain', 'across', 'outside', 'rows', 'row', 'still', 'apart']

describe('kernels with tables', () => {
  test.each(dtypes.map((d) => [d.name, d] as const))('of %s, laid out in all ways', (_name, dtype) => {
    for (const index of [int32, int64]) {
      const stores = [{ arg: 2, value: gather(0, dtype.compute, at(index)) }]
      const kernel = mapKernel('look', [read(dtype, 'table'), read(index), write(dtype)], [], stores)
      for (const extent of extents) {
        for (const table of layouts) check(kernel, extent, [table, 'plain', 'plain'])
        for (const other of layouts) check(kernel, extent, ['rows', other, 'across'])
        check(kernel, extent, ['across', 'across', 'across'])
      }
    }
  })

  test('flat, with one table for all', () => {
    for (const dtype of dtypes) {
      const value = gather(0, dtype.compute, at(int32))
      const kernel = mapKernel('flat', [read(dtype, 'table'), read(int32), write(dtype)], [], [{ arg: 2, value }])
      for (const [n, access] of [
        [67, 'scc'],
        [67, 'ccc'],
        [5, 'scc'],
        [9, 'ssc'],
        [0, 'scc'],
      ] as const) {
        // biome-ignore format: a table
        const table = block(dtype, LENGTH + n, () => sampleOf(dtype))
        const index = block(int32, n + 1, () => random(LENGTH))
        const out = block(dtype, n + 1, () => 0)
        const all = [table, index, out].map((b) => b.pointer)
        interp.flat(kernel, access)(n, ...all)
        const expected = bytesOf(out)
        for (const device of devices) {
          memory.views.u8.fill(0, out.pointer, out.pointer + out.count * dtype.itemsize)
          device.flat(kernel, access)(n, ...all)
          expect(bytesOf(out)).toEqual(expected)
        }
      }
    }
  })

  test('several gathers, arithmetic on positions and values, and masks', () => {
    for (const dtype of [float32, float64, int32, int64]) {
      const type = dtype.compute
      const zero = constant(0, 'i32')
      const last = constant(LENGTH - 1, 'i32')
      const shifted = (d: number): Expr => k.sub(at(int32), constant(d, 'i32'))
      const value = (d: number): Expr =>
        k.select(
          k.or(k.lt(shifted(d), zero), k.gt(shifted(d), last)),
          constant(0, type),
          gather(0, type, k.min(k.max(shifted(d), zero), last)),
        )
      const total = [-2, -1, 0, 1, 2].map(value).reduce((a, b) => k.add(a, b))
      const chained = gather(0, type, k.and(k.cast(total, 'i32'), constant(7, 'i32')))
      const stores = [
        { arg: 2, value: total },
        { arg: 3, value: k.add(chained, k.cast(position(), type)) },
      ]
      const kernel = mapKernel('stencil', [read(dtype, 'table'), read(int32), write(dtype), write(dtype)], [], stores)
      for (const extent of extents)
        for (const table of layouts) check(kernel, extent, [table, 'plain', 'plain', 'plain'])
    }
  })

  test('in sums of rows, and at a position of the row', () => {
    for (const dtype of [int32, int64]) {
      const type = dtype.compute
      const sums = (row: boolean): Kernel => ({
        name: row ? 'sumsAt' : 'sums',
        args: [read(dtype, 'table'), read(int32, row ? 'row' : 'element'), write(dtype, 'row'), write(dtype)],
        scalars: [],
        passes: [
          {
            kind: 'reduce',
            init: [constant(0, type)],
            step: [k.add(acc(0, type), gather(0, type, at(int32)))],
            merge: [k.add(acc(0, type), other(0, type))],
          },
          { kind: 'map', stores: [{ arg: 3, value: k.sub(gather(0, type, at(int32)), result(0, 0, type)) }] },
        ],
        rowStores: [{ arg: 2, value: result(0, 0, type) }],
      })
      for (const extent of extents.filter((e) => e[2] > 0)) {
        for (const table of layouts) {
          check(sums(false), extent, [table, 'plain', 'plain', 'plain'])
          check(sums(true), extent, [table, 'plain', 'plain', 'plain'])
          check(sums(false), extent, [table, 'across', 'plain', 'across'])
        }
      }
    }
  })

  test('verify refuses what a table is not for', () => {
    const table = read(float32, 'table')
    const refused = (args: readonly Arg[], value: Expr, rowValue: Expr | null = null): (() => void) => {
      const out = rowValue ? [write(float32), write(float32, 'row')] : [write(float32)]
      const kernel: Kernel = {
        name: 'wrong',
        args: [...args, ...out],
        scalars: ['i32'],
        passes: [{ kind: 'map', stores: [{ arg: args.length, value }] }],
        rowStores: rowValue ? [{ arg: args.length + 1, value: rowValue }] : [],
      }
      return () => verify(kernel)
    }
    const found = gather(0, 'f32', scalar(0, 'i32'))
    expect(refused([table], found)).not.toThrow()
    expect(refused([table], load(0, 'f32'))).toThrow(/load of argument 0, which is a table/)
    expect(refused([table], constant(0, 'f32'), found)).toThrow(/gather from table 0 outside of elements/)
    expect(refused([{ ...table, mode: 'update' }], found)).toThrow(/a table, which is only read/)
  })
})

describe('fusion around tables', () => {
  const x = torch.arange(60).reshape(6, 10).to(torch.float32).mul(0.25).sub(4)
  const index = torch.tensor([[3, 1, 9], [0, 0, 8], [2, 7, 7], [4, 5, 6], [9, 9, 1], [0, 2, 3]]) // biome-ignore format: a matrix
  const cases: readonly [string, (x: torch.Tensor, i: torch.Tensor) => torch.Tensor][] = [
    ['a computed index', (a, i) => a.gather(1, i.mul(2).remainder(10)).relu()],
    ['a computed table', (a, i) => a.mul(2).add(1).gather(1, i).mul(3)],
    ['a table and its producer both used', (a, i) => {
      const b = a.exp()
      return b.gather(1, i).add(b.narrow(1, 0, 3))
    }], // biome-ignore format: a table
    ['a table that changes afterwards', (a, i) => {
      const b = a.mul(2)
      const c = b.gather(1, i)
      b.mul_(3)
      return c.add(b.narrow(1, 2, 3))
    }], // biome-ignore format: a table
    ['sums of what is found', (a, i) => a.gather(1, i).mul(2).sum(1)],
    ['a sum as the table', (a, i) => a.sum(1, true).gather(1, i.mul(0)).add(1)],
    ['a product as the table', (a, i) => a.matmul(a.t()).gather(1, i.remainder(6)).add(1)],
    ['found values in a product', (a, i) => a.gather(1, i).matmul(a.narrow(1, 0, 4).narrow(0, 0, 3)).relu()],
    [
      'a product and what is found beside it',
      (a, i) => {
        const b = a.matmul(a.t().narrow(1, 0, 3))
        return b.add(a.gather(1, i)).relu()
      },
    ],
    [
      'values once a row',
      (a, i) => {
        const b = a.gather(1, i.narrow(1, 0, 1)).mul(2)
        return a.sub(b).mul(a.sum(1, true).gather(1, i.narrow(1, 0, 1).mul(0)))
      },
    ],
    ['two finds in one table', (a, i) => a.gather(1, i).mul(a.gather(1, i.sub(9).neg()))],
    ['a find at what was found', (a, i) => a.gather(1, a.gather(1, i).abs().long().remainder(10))],
    ['one column for all', (a, i) => a.narrow(1, 0, 1).expand(6, 3).gather(0, i.remainder(6)).sub(a.narrow(1, 0, 3))],
    ['take, index and grids', (a, i) => {
      const image = a.view(1, 1, 6, 10)
      const grid = a.take(i).div(8).view(1, 3, 3, 2).tanh()
      const seen = torch.nn.functional.gridSample(image, grid, { alignCorners: true })
      return seen.flatten().add(a.at(i.flatten().narrow(0, 0, 9).remainder(6), 2))
    }], // biome-ignore format: a table
  ] // biome-ignore format: a table

  test('a product is not stored through a find', () => {
    const p = new Program()
    const [a, b] = [p.value('input', [5, 6]), p.value('input', [6, 9])]
    const [table, c, out] = [p.value('input', [8]), p.value('temporary', [5, 9]), p.value('output', [5, 9])]
    p.matmul(a, b, c)
    const position = k.min(
      k.max(k.cast(k.mul(load(1, 'f32'), constant(3, 'f32')), 'i32'), constant(0, 'i32')),
      constant(7, 'i32'),
    )
    const value = k.mul(gather(0, 'f32', position), load(1, 'f32'))
    const kernel = mapKernel('find', [read(float32, 'table'), read(float32), write(float32)], [], [{ arg: 2, value }])
    const still = [0, 0, 0] as const
    const along = [0, 0, 4] as const
    p.steps.push({
      kind: 'launch',
      kernel,
      extent: [1, 1, 45],
      operands: [table, c, out],
      strides: [still, along, along],
      scalars: [],
    })
    const fill = (buffer: { readonly bytes: number }): number[] =>
      Array.from({ length: buffer.bytes / 4 }, (_, i) => ((i * 7) % 11) / 8 - 0.5)
    const after = fuse(p.trace)
    for (const device of devices) {
      const want = run(device, p.trace, fill).get(out.buffer.id) as ArrayLike<number>
      const got = run(device, after, fill).get(out.buffer.id) as ArrayLike<number>
      for (let i = 0; i < want.length; i++) expect(got[i]).toBeCloseTo(want[i], 5)
    }
  })

  test.each(cases)('%s', (_name, f) => {
    const want = f(x, index)
    const compiled = torch.compile(f)
    for (let call = 0; call < 3; call++) {
      const got = compiled(x, index)
      expect(torch.allclose(got, want, { rtol: 1e-5, atol: 1e-5 })).toBe(true)
    }
    const [y, j] = [x.neg(), index.flip([0])]
    expect(torch.allclose(compiled(y, j), f(y, j), { rtol: 1e-5, atol: 1e-5 })).toBe(true)
  })
})

describe('indices out of range', () => {
  test('the first bad one is named, few or many, whatever the integers and strides', () => {
    const x = torch.zeros(4, 600)
    for (const dtype of [torch.int64, torch.int32]) {
      for (const n of [3, 600]) {
        for (const bad of [-1, 600, 2147483647]) {
          const i = torch.zeros([4, n]).to(dtype)
          i.setAt([2, n - 1], bad)
          const message = `index ${bad} is out of bounds for dimension 1 with size 600`
          expect(() => x.gather(1, i)).toThrow(message)
          expect(() => x.t().gather(1, i.narrow(1, 0, n).t().remainder(4).t().expand(4, n).contiguous())).not.toThrow()
          expect(() => x.gather(1, i.t().contiguous().t())).toThrow(message)
          expect(() => x.gather(1, i.select(0, 2).expand(4, n))).toThrow(message)
        }
      }
    }
    const far = torch
      .zeros([4, 300])
      .long()
      .sub(2 ** 40)
    expect(() => x.gather(1, far)).toThrow(`index ${-(2 ** 40)} is out of bounds`)
    expect(() => x.take(far.neg())).toThrow(`index ${2 ** 40} on a tensor of 2400 elements`)
    expect(torch.zeros(5).take(torch.full([300], -5)).count).toBe(300)
    expect(() => torch.zeros(5).take(torch.full([300], -6))).toThrow('index -6')
  })

  test('a compiled call throws too, and reads nothing outside', () => {
    const f = torch.compile((x: torch.Tensor, i: torch.Tensor) => x.mul(2).gather(1, i.mul(2)).add(1))
    const x = torch.ones(4, 600)
    for (const n of [3, 600]) {
      const good = torch.zeros([4, n]).long()
      for (let call = 0; call < 2; call++) expect(f(x, good).sum().item()).toBe(4 * n * 3)
      expect(() => f(x, good.sub(1_000_000_000))).toThrow('index -2000000000 is out of bounds')
      expect(f(x, good).sum().item()).toBe(4 * n * 3)
    }
  })
})
