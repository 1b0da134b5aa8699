// Draws in bulk on WebAssembly against the plain generator, bit for bit and with the same state afterwards; with the
// host's fused multiply-add and with the emulated one.
import { describe, expect, test, vi } from 'vitest'
import type { Draws } from '../src/backend/device.ts'
import { memory, reserved } from '../src/backend/memory.ts'
import { createDraws } from '../src/backend/wasm/draws.ts'
import { detect } from '../src/backend/wasm/features.ts'
import { exponentialFill } from '../src/base/distributions.ts'
import * as random from '../src/base/random.ts'
import { type DrawArray, Generator } from '../src/base/random.ts'

vi.setConfig({ testTimeout: 30_000 })

const MANY = Number(process.env.TYTORCH_DRAWS ?? 12_000)
const at = memory.alloc(8 * MANY + 4096)
const host = detect()
const engines: [string, Draws][] = [
  ['host', createDraws(host, -1)],
  ['emulated', createDraws({ ...host, relaxed: false }, -1)],
]

type Make = new (buffer: ArrayBuffer, offset: number, length: number) => DrawArray
type Fill = (g: Generator, out: DrawArray) => void

/** Fills both ways after some draws, inside the tensors' memory and outside, and compares bytes and states. */
function same(make: Make, n: number, bulk: (g: Generator, out: DrawArray) => boolean, plain: Fill): void {
  for (const [first, inside] of [
    [0, true],
    [1, true],
    [620, false],
  ] as const) {
    const [a, b] = [new Generator(n + first), new Generator(n + first)]
    for (let i = 0; i < first; i++) a.random() + b.random()
    const size = (make as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT
    const out = inside ? new make(memory.views.buffer as ArrayBuffer, at, n) : new make(new ArrayBuffer(n * size), 0, n)
    const right = new make(new ArrayBuffer(n * size), 0, n)
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).fill(0)
    expect(bulk(a, out)).toBe(true)
    plain(b, right)
    const bytes = (x: DrawArray): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength)
    expect(Buffer.compare(bytes(out), bytes(right))).toBe(0)
    expect(Buffer.compare(a.getState(), b.getState())).toBe(0)
    expect(a.random()).toBe(b.random())
  }
}

const [f32, f64, long] = [Float32Array, Float64Array, BigInt64Array] as unknown as Make[]
const ints = [Int32Array, Int16Array, Int8Array, Uint8Array] as unknown as Make[]

const doubles = (n: number, draws: Draws): void => {
  for (const [mean, std] of [
    [0, 1],
    [0.3, 2.7],
  ]) {
    same(
      f64,
      n,
      (g, out) => draws.normal(g, out, mean, std, false),
      (g, out) => random.normalFill(g, out as Float64Array, mean, std),
    )
  }
  for (const make of [f32, f64]) {
    same(
      make,
      n,
      (g, out) => draws.exponential(g, out, 1.7),
      (g, out) => exponentialFill(g, out as Float64Array, 1.7),
    )
  }
}

// The doubles' formulas need a fused multiply-add; without one they are plain.
const fused = engines[0][1].exponential(new Generator(0), new Float64Array(256), 1)

test.runIf(fused).each([256, 1003, 20_000])('%i normal and exponential doubles', (n) => doubles(n, engines[0][1]))

describe.each(engines)('%s', (_name, draws) => {
  test.each([256, 257, 623, 1248, 5003, MANY])('%i elements', (n) => {
    same(
      f32,
      n,
      (g, out) => draws.uniform(g, out, 0, 1),
      (g, out) => random.uniformFill(g, out as Float32Array),
    )
    same(
      f64,
      n,
      (g, out) => draws.uniform(g, out, 0, 1),
      (g, out) => random.uniformFill(g, out as Float64Array),
    )
    for (const [from, to] of [
      [-1, 1],
      [0.1, 0.3],
      [-3e4, 7],
    ]) {
      same(
        f32,
        n,
        (g, out) => draws.uniform(g, out, from, to),
        (g, out) => random.uniformFill(g, out as Float32Array, from, to),
      )
    }
    for (const [mean, std] of [
      [0, 1],
      [0.3, 2.7],
    ]) {
      for (const narrow of [false, true]) {
        same(
          f32,
          n,
          (g, out) => draws.normal(g, out, mean, std, narrow),
          (g, out) => random.normalFill(g, out as Float32Array, mean, std, narrow),
        )
      }
    }
    for (const p of [0, 1, 0.5, 0.1, 1e-3, 5e-324]) {
      for (const make of [f32, f64, long, ...ints]) {
        same(
          make,
          n,
          (g, out) => draws.bernoulli(g, out, p),
          (g, out) => random.bernoulliFill(g, out, p),
        )
      }
    }
    for (const [low, high] of [
      [0, 1],
      [-7, 12],
      [0, 256],
      [-100, 2 ** 28 - 101],
      [3, 1_000_003],
    ]) {
      for (const make of [f64, long, ints[0], ...(high < 2 ** 24 ? [f32] : [])]) {
        same(
          make,
          n,
          (g, out) => draws.modulo(g, out, high - low, low),
          (g, out) => random.randintFill(g, out, low, high),
        )
      }
    }
  })

  test.each([256, 1001, MANY])('an order of %i', (n) => {
    const [a, b] = [new Generator(3), new Generator(3)]
    const out = new BigInt64Array(memory.views.buffer as ArrayBuffer, at, n)
    expect(draws.permutation(a, out)).toBe(true)
    expect(Array.from(out, Number)).toEqual([...random.randperm(b, n)])
    expect(Buffer.compare(a.getState(), b.getState())).toBe(0)
  })

  test('chances', () => {
    for (const make of [f32, f64]) {
      const n = 1003
      const size = make === f32 ? 4 : 8
      const [a, b] = [new Generator(3), new Generator(3)]
      const p = new make(memory.views.buffer as ArrayBuffer, at + size * n, n) as Float32Array
      for (let i = 0; i < n; i++) p[i] = i / (n - 1)
      const out = new make(memory.views.buffer as ArrayBuffer, at, n)
      const right = new make(new ArrayBuffer(n * size), 0, n)
      expect(draws.chances(a, out, p)).toBe(true)
      random.bernoulliTensorFill(b, right, p)
      expect([...out]).toEqual([...right])
      expect(Buffer.compare(a.getState(), b.getState())).toBe(0)
    }
  })
})

test('what the plain fills refuse is left to them', () => {
  const draws = engines[0][1]
  const out = new Float32Array(memory.views.buffer as ArrayBuffer, at, 1000)
  const g = new Generator(1)
  const before = g.getState()
  expect(draws.uniform(g, out, 1, 0)).toBe(false)
  expect(draws.uniform(g, out, Number.NaN, 0)).toBe(false)
  expect(draws.normal(g, out, 0, -1, false)).toBe(false)
  expect(draws.bernoulli(g, out, 1.5)).toBe(false)
  expect(draws.modulo(g, out, 2 ** 28, 0)).toBe(false)
  expect(g.getState()).toEqual(before)
})

test('little is drawn plainly, until it adds up', () => {
  const draws = createDraws(host)
  const out = new Float32Array(1000)
  const g = new Generator(1)
  expect(draws.normal(g, out, 0, 1, false)).toBe(false)
  let turns = 0
  while (!draws.normal(g, out, 0, 1, false)) expect(turns++).toBeLessThan(100)
})

test('only scratch memory is used', () => {
  // Matrix products keep zeros behind it.
  const kept = memory.views.u8.slice(reserved.tiles, reserved.end)
  const g = new Generator(1)
  for (const out of [new Float64Array(20_001), new BigInt64Array(20_001)]) {
    expect(engines[0][1].bernoulli(g, out, 0.5)).toBe(true)
    expect(engines[0][1].modulo(g, out, 1000, 0)).toBe(true)
  }
  engines[0][1].normal(g, new Float64Array(20_001), 0, 1, false)
  expect(Buffer.compare(memory.views.u8.slice(reserved.tiles, reserved.end), kept)).toBe(0)
})
