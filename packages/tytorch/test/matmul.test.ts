// The matrix product against plain loops: all dtypes, layouts and kernel shapes, with guarded memory around operands.
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { MatmulArgs } from '../src/backend/device.ts'
import { memory } from '../src/backend/memory.ts'
import { f32x4, Module, V128 } from '../src/backend/wasm/assembler.ts'
import type { MatmulDType } from '../src/backend/wasm/element.ts'
import { detect, type Host } from '../src/backend/wasm/features.ts'
import { createMatmul } from '../src/backend/wasm/matmul.ts'

const DTYPES = ['float32', 'float64', 'int32', 'int64'] as const
const HOSTS: Host[] = [
  { relaxed: true, revectorize: true },
  { relaxed: true, revectorize: false },
  { relaxed: false, revectorize: true },
  { relaxed: false, revectorize: false },
]
const relaxedSupported = (() => {
  const module = new Module({ shared: false, maximum: 1 })
  module.func('madd', [V128], [V128]).get(0).get(0).get(0).op(f32x4.relaxedMadd)
  return WebAssembly.validate(module.encode())
})()
const hosts = HOSTS.filter((host) => relaxedSupported || !host.relaxed)
const matmuls = new Map(hosts.map((host) => [host, createMatmul(host)]))

let seed = 1
/** A number in [0, 1), the same sequence in every run. */
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]
}

type Layout = 'rows' | 'columns' | 'strided' | 'broadcast'

interface Case {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly a?: Layout
  readonly b?: Layout
  /** Elements between rows beyond the matrix itself. */
  readonly pad?: number
  readonly bias?: boolean
  readonly accumulate?: boolean
  /** Integers' largest magnitude: sums of small ones are computed by floats. */
  readonly most?: number
}

/** A matrix in memory: row and column strides, and how many elements it spans. */
function strides(layout: Layout, rows: number, columns: number, pad: number): [number, number, number] {
  const [row, column] = {
    rows: [columns + pad, 1],
    columns: [1, rows + pad],
    strided: [2 * columns + pad, 2],
    broadcast: [0, 1],
  }[layout]
  const span = rows * columns === 0 ? 0 : (rows - 1) * row + (columns - 1) * column + 1
  return [row, column, span]
}

type Values = Float32Array | Float64Array | Int32Array | BigInt64Array

function valuesOf(dtype: MatmulDType): Values {
  const { views } = memory
  return { float32: views.f32, float64: views.f64, int32: views.i32, int64: views.i64 }[dtype]
}

const AREA = 1 << 18
const area = memory.alloc(AREA * 8 * 4)

/** Runs a product in guarded memory and answers what is wrong with it, or null. */
function check(host: Host, dtype: MatmulDType, given: Case): string | null {
  const { m, n, k, a = 'rows', b = 'rows', pad = 0, bias = false, accumulate = false, most = 2 ** 43 } = given
  const size = dtype.endsWith('64') ? 8 : 4
  const values = valuesOf(dtype)
  const integer = dtype.startsWith('int')
  const number = (): number => (integer ? Math.round((random() * 2 - 1) * most) : random() - 0.5)
  const set = (i: number, x: number): void => {
    if (values instanceof BigInt64Array) values[i] = BigInt(x)
    else values[i] = x
  }
  const [aRow, aCol, aSpan] = strides(a, m, k, pad)
  const [bRow, bCol, bSpan] = strides(b, k, n, pad)
  const cRow = n + pad
  const cSpan = m * n === 0 ? 0 : (m - 1) * cRow + n
  // Guards, A, guards, B, guards, C, guards, bias, guards: what lies around the operands is NaN, or a pattern.
  const guard = 40
  let at = area / size
  const place = (span: number): number => {
    for (let i = 0; i < guard; i++) set(at + i, integer ? 0x5a5a5a5a : Number.NaN)
    const start = at + guard
    for (let i = 0; i < span; i++) set(start + i, number())
    at = start + span
    return start
  }
  const [aAt, bAt, cAt, biasAt] = [place(aSpan), place(bSpan), place(cSpan), place(bias ? n : 0)]
  place(0)
  const end = at + guard
  const before = values.slice(area / size, end)
  const old = (i: number): number | bigint => before[i - area / size]
  const expected = before.slice()
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const c = cAt + i * cRow + j
      let sum: number | bigint = values instanceof BigInt64Array ? 0n : 0
      for (let l = 0; l < k; l++) {
        const [x, y] = [old(aAt + i * aRow + l * aCol), old(bAt + l * bRow + j * bCol)]
        if (typeof sum === 'bigint') sum += (x as bigint) * (y as bigint)
        else if (dtype === 'int32') sum = (sum + Math.imul(x as number, y as number)) | 0
        else sum += (x as number) * (y as number)
      }
      for (const [has, extra] of [
        [bias, bias ? old(biasAt + j) : 0],
        [accumulate, old(c)],
      ] as const) {
        if (has) sum = typeof sum === 'bigint' ? sum + (extra as bigint) : sum + (extra as number)
      }
      expected[c - area / size] = typeof sum === 'bigint' ? BigInt.asIntN(64, sum) : sum
    }
  }
  const args: MatmulArgs = {
    m,
    n,
    k,
    a: aAt * size,
    aRow,
    aCol,
    b: bAt * size,
    bRow,
    bCol,
    c: cAt * size,
    cRow,
    bias: bias ? biasAt * size : 0,
    accumulate,
  }
  matmuls.get(host)!(dtype, args)
  const after = valuesOf(dtype)
  const tolerance = integer ? 0 : (dtype === 'float32' ? 3e-7 : 1e-15) * (k + 4)
  const first = area / size
  for (let i = 0; i < expected.length; i++) {
    const [x, y] = [after[first + i], expected[i]]
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue
    const inside = first + i >= cAt && first + i < cAt + cSpan
    if (inside && !integer && Math.abs(Number(x) - Number(y)) <= tolerance) continue
    return `${dtype} ${JSON.stringify({ host, ...given })}: element ${first + i - cAt} of C is ${x}, expected ${y}`
  }
  return null
}

const EDGES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 31, 32, 33, 47, 64, 65]

const LAYOUTS: Layout[] = ['rows', 'rows', 'rows', 'columns', 'columns', 'columns', 'strided', 'broadcast']

function randomCase(sizes: readonly number[]): Case {
  return {
    m: pick(sizes),
    n: pick(sizes),
    k: pick(sizes),
    a: pick(LAYOUTS),
    b: pick(LAYOUTS),
    pad: pick([0, 0, 1, 3, 4]),
    bias: random() < 0.3,
    accumulate: random() < 0.3,
  }
}

describe.each(hosts)('relaxed $relaxed, revectorize $revectorize', (host) => {
  test.each(DTYPES)('%s: all small sizes and transposes', (dtype) => {
    for (let m = 0; m < 10; m++) {
      for (let n = 0; n < 10; n++) {
        for (let k = 0; k < 10; k++) {
          const [a, b] = [pick(LAYOUTS), pick(LAYOUTS)]
          expect(check(host, dtype, { ...randomCase([1]), m, n, k, a, b })).toBe(null)
        }
      }
    }
  })

  test.each(DTYPES)('%s: sizes around the edges of tiles', (dtype) => {
    for (let i = 0; i < 150; i++) expect(check(host, dtype, randomCase(EDGES))).toBe(null)
  })

  test('int64: exact where floats compute it, at the edge of what they hold and beyond', () => {
    for (let i = 0; i < 50; i++) {
      const most = pick([1, 100, 2 ** 9, 2 ** 20, 2 ** 22, 2 ** 23, 2 ** 26, 2 ** 40, 2 ** 62])
      expect(check(host, 'int64', { ...randomCase([20, 23, 31, 32, 47, 64, 65]), most })).toBe(null)
    }
  })
})

const from = (path: string): string => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href)

/** A product m x k x n, repeated until V8 optimizes its kernel: 'float32 6 64 16 nt' has B stored transposed. */
const script = `
import { memory } from ${from('backend/memory.ts')}
import { createMatmul } from ${from('backend/wasm/matmul.ts')}
const [dtype, m, k, n, stored] = process.argv.slice(1).map((x) => Number(x) || x)
const [a, b, c] = [0, 1, 2].map(() => memory.alloc(1 << 16))
const [aRow, aCol] = stored[0] === 't' ? [1, m] : [k, 1]
const [bRow, bCol] = stored[1] === 't' ? [1, k] : [n, 1]
const matmul = createMatmul({ relaxed: ${relaxedSupported}, revectorize: true })
const args = { m, n, k, a, aRow, aCol, b, bRow, bCol, c, cRow: n, bias: 0, accumulate: false }
for (let i = 0; i < 40; i++) matmul(dtype, args)
`

describe.runIf(detect().revectorize)('the revectorizer accepts', () => {
  const tiering = ['--wasm-sync-tier-up', '--wasm-tiering-budget=100']
  const flags = ['--experimental-wasm-revectorize', '--trace-wasm-revectorize', ...tiering]
  test.each([
    'float32 6 64 16 nn',
    'float32 6 64 16 tn',
    'float64 6 64 16 nn',
    'float32 64 3 64 nn',
    'float32 2 64 64 nn',
    'float32 64 64 3 nt',
  ])('%s', (product) => {
    const args = [...flags, '--input-type=module-typescript', '--eval', script, '--', ...product.split(' ')]
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/Decided? to vectorize/)
  })
})

describe.each(hosts.filter((host) => host.relaxed === relaxedSupported))('revectorize $revectorize', (host) => {
  test.each(['float32', 'float64'] as const)('%s: one large size, the others any', (dtype) => {
    const sizes = [1, 2, 3, 4, 5, 8, 17, 40]
    for (let i = 0; i < 40; i++) {
      const large = { [pick(['m', 'n', 'k'])]: pick([300, 1023, 1024, 1100, 2050]) }
      expect(check(host, dtype, { ...randomCase(sizes), ...large })).toBe(null)
    }
  })

  test('float32: several blocks of rows, columns and k', () => {
    for (const a of ['rows', 'columns'] as const) {
      for (const b of ['rows', 'columns'] as const) {
        expect(check(host, 'float32', { m: 203, n: 35, k: 391, a, b, bias: true })).toBe(null)
        expect(check(host, 'float32', { m: 5, n: 2070, k: 391, a, b, accumulate: true })).toBe(null)
      }
    }
    expect(check(host, 'float32', { m: 7, n: 19, k: 4100 })).toBe(null)
  })

  test('float32: both operands packed', () => {
    const size = 970
    const [a, b, c] = [0, 1, 2].map(() => memory.alloc(size * size * 4))
    const { f32 } = memory.views
    for (let i = 0; i < size * size; i++) {
      f32[a / 4 + i] = random() - 0.5
      f32[b / 4 + i] = random() - 0.5
    }
    const strides = { aRow: size, aCol: 1, bRow: size, bCol: 1, cRow: size }
    matmuls.get(host)!('float32', { m: size, n: size, k: size, a, b, c, ...strides, bias: 0, accumulate: false })
    for (let i = 0; i < 300; i++) {
      const [row, column] = [Math.floor(random() * size), Math.floor(random() * size)]
      let sum = 0
      for (let l = 0; l < size; l++) sum += f32[a / 4 + row * size + l] * f32[b / 4 + l * size + column]
      expect(f32[c / 4 + row * size + column]).toBeCloseTo(sum, 3)
    }
  })

  test('NaN and infinity reach the result through zeros', () => {
    const { f32 } = memory.views
    for (const [m, n, k] of [
      [1, 1, 9],
      [3, 40, 5],
      [40, 3, 20],
      [7, 17, 20],
      [40, 40, 3],
    ]) {
      const [a, b, c] = [0, 1, 2].map((i) => area / 4 + i * 4096)
      f32.fill(0, a, c)
      f32[a + k - 1] = Number.NaN // A[0, k - 1]
      f32[b] = Number.POSITIVE_INFINITY // B[0, 0]
      const operands = { a: a * 4, aRow: k, aCol: 1, b: b * 4, bRow: n, bCol: 1, c: c * 4, cRow: n }
      matmuls.get(host)!('float32', { m, n, k, ...operands, bias: 0, accumulate: false })
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) expect(f32[c + i * n + j]).toBe(i === 0 || j === 0 ? Number.NaN : 0)
      }
    }
  })
})
