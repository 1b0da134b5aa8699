// V8 must join the 128-bit operations of the kernels that matter into 256-bit ones: its own trace says whether it did.
// The rules that make it do so are the emitter's; this test is what keeps them.
import { spawnSync } from 'node:child_process'
import { describe, expect, test, vi } from 'vitest'
import { detect } from '../src/backend/wasm/features.ts'

vi.setConfig({ testTimeout: 30_000 })

const from = (path: string): string => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href)

/** Kernels by name, as source text of a module run in a process of its own. */
const script = `
import { float32, float64, float16 } from ${from('base/dtype.ts')}
import { memory } from ${from('backend/memory.ts')}
import { createWasmDevice } from ${from('backend/wasm/device.ts')}
import { acc, constant, k, load, other, result } from ${from('ir/expr.ts')}
import { mapKernel } from ${from('ir/kernel.ts')}

const device = createWasmDevice({ relaxed: true, revectorize: true })
const n = 4096
const [a, b, c] = [0, 1, 2].map(() => memory.alloc(n * 8))
const c32 = (value) => constant(value, 'f32')
const x = load(0, 'f32')
const arg = (dtype, mode, per = 'element') => ({ dtype, mode, per })
const map = (dtype, value) => device.flat(
  mapKernel('map', [arg(dtype, 'read'), arg(dtype, 'read'), arg(dtype, 'write')], [], [{ arg: 2, value }]), 'ccc')(n, a, b, c)
const exp = (x) => {
  const shifted = k.madd(x, c32(1.442695), c32(12582912 + 127))
  const r = k.madd(k.neg(k.sub(shifted, c32(12582912 + 127))), c32(0.6931472), x)
  let p = c32(0.0083)
  for (const q of [0.0416, 0.1666, 0.5, 1, 1]) p = k.madd(p, r, c32(q))
  return k.mul(p, k.bitcast(k.shl(k.bitcast(shifted, 'i32'), 23), 'f32'))
}
const fold = (op, init, value) => ({
  kind: 'reduce', init: [c32(init)], step: [op(acc(0, 'f32'), value)], merge: [op(acc(0, 'f32'), other(0, 'f32'))] })
const sum = (value, extent, strides) => device.launch(
  { name: 'fold', args: [arg(float32, 'read'), arg(float32, 'write', 'row')], scalars: [], passes: [value],
    rowStores: [{ arg: 1, value: result(0, 0, 'f32') }] }, extent, [a, c], strides, [])
const row = [[0, 0, 4], [0, 4, 0]]
const kernels = {
  add: () => map(float32, k.add(x, load(1, 'f32'))),
  'add float64': () => map(float64, k.add(load(0, 'f64'), load(1, 'f64'))),
  'add float16': () => map(float16, k.add(x, load(1, 'f32'))),
  relu: () => map(float32, k.max(x, c32(0))),
  exp: () => map(float32, exp(x)),
  where: () => map(float32, k.select(k.gt(x, c32(0)), load(1, 'f32'), k.div(x, c32(3)))),
  sum: () => sum(fold(k.add, 0, x), [1, 1, n], row),
  max: () => sum(fold(k.max, -Infinity, x), [1, 1, n], row),
  'sum of exp': () => sum(fold(k.add, 0, exp(x)), [1, 1, n], row),
  'sum of columns': () => sum(fold(k.add, 0, x), [1, 64, 64], [[0, 4, 256], [0, 4, 0]]),
}
for (let i = 0; i < 100; i++) kernels[process.argv[1]]()
`

/** How often V8 decided to vectorize while it compiled one of the kernels. */
function decisions(kernel: string): number {
  // Hot functions are recompiled at once and not in the background; doing without Liftoff (--no-liftoff) crashes V8.
  const tiers = ['--wasm-tiering-budget=1000', '--wasm-sync-tier-up']
  const flags = [
    '--experimental-wasm-revectorize',
    '--trace-wasm-revectorize',
    '--input-type=module-typescript',
    ...tiers,
  ]
  const args = [...flags, '--eval', script, '--', kernel]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(stderr)
  return stdout.match(/Decided? to vectorize/g)?.length ?? 0
}

describe.runIf(detect().revectorize)('the revectorizer accepts', () => {
  const kernels = [
    'add',
    'add float64',
    'add float16',
    'relu',
    'exp',
    'where',
    'sum',
    'max',
    'sum of exp',
    'sum of columns',
  ]
  test.each(kernels)('%s', (kernel) => {
    expect(decisions(kernel)).toBeGreaterThan(0)
  })
})
