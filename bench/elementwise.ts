// Nanoseconds an element of element-wise ops, reductions and row kernels on one thread and on two; kernels through the
// device, and at the end ops as a user calls them. With PYTORCH_PYTHON=<python with torch> also PyTorch's, in turns.
// Arguments: names of rows to run (a part will do).

import { memory } from '../packages/tytorch/src/backend/memory.ts'
import { getNumThreads, readyThreads, setNumThreads } from '../packages/tytorch/src/backend/pool.ts'
import { createWasmDevice } from '../packages/tytorch/src/backend/wasm/device.ts'
import { bool, type DType, float16, float32, float64, int64 } from '../packages/tytorch/src/base/dtype.ts'
import * as torch from '../packages/tytorch/src/index.ts'
import { exp, log, tanh } from '../packages/tytorch/src/ir/exponential.ts'
import { acc, constant, type Expr, k, load, other, position, result } from '../packages/tytorch/src/ir/expr.ts'
import { type Arg, type Kernel, mapKernel, type ReducePass } from '../packages/tytorch/src/ir/kernel.ts'
import { sin } from '../packages/tytorch/src/ir/trigonometric.ts'
import { median, Peer } from './rival.ts'

const ROUNDS = 11
const ROUND_MS = 5
/** For so long nothing runs between two measurements: threads of the one before may still be spinning. */
const REST_MS = 8
const THREADS = [1, 2]
const LARGE = 1 << 20
const SMALL = 1 << 14

interface Row {
  readonly name: string
  /** Elements that the time is divided by. */
  readonly n: number
  readonly run: () => unknown
  /** The same in Python: x and y have n elements (or the shape given), o is the result's. */
  readonly torch: string
  readonly shape: readonly number[]
}

const device = createWasmDevice()
const [a, b, c, d] = [0, 1, 2, 3].map(() => memory.alloc(LARGE * 8))
for (let i = 0; i < LARGE; i++) {
  memory.views.f32[a / 4 + i] = Math.sin(i) * 4
  memory.views.f32[b / 4 + i] = 1.5 + Math.cos(i)
}

const x = load(0, 'f32')
const y = load(1, 'f32')
const f32 = (value: number): Expr => constant(value, 'f32')
const read = (dtype: DType = float32): Arg => ({ dtype, mode: 'read', per: 'element' })
const write = (dtype: DType = float32, per: Arg['per'] = 'element'): Arg => ({ dtype, mode: 'write', per })

function flat(name: string, torch: string, value: Expr, operands: DType[] = [float32], out: DType = float32): Row[] {
  const args = [...operands.map(read), write(out)]
  const kernel = mapKernel(name, args, [], [{ arg: operands.length, value }])
  const run = device.flat(kernel, 'c'.repeat(args.length))
  const pointers = [a, b].slice(0, operands.length)
  return [SMALL, LARGE].map((n) => ({
    name: `${name} ${n === SMALL ? '16K' : '1M'}`,
    n,
    run: operands.length === 1 ? () => run(n, pointers[0], c) : () => run(n, pointers[0], pointers[1], c),
    torch,
    shape: [n],
  }))
}

function fold(op: (a: Expr, b: Expr) => Expr, init: number, value: Expr): ReducePass {
  const type = value.type
  return {
    kind: 'reduce',
    init: [constant(init, type)],
    step: [op(acc(0, type), value)],
    merge: [op(acc(0, type), other(0, type))],
  }
}

/** A kernel over rows x columns; `along` is the dimension that is a row of the kernel. */
function rows(name: string, torch: string, kernel: Kernel, shape: readonly [number, number], along = 1): Row {
  const [m, n] = shape
  const strides = kernel.args.map((arg): [number, number, number] => {
    const size = arg.dtype.itemsize
    if (arg.per === 'row') return [0, size, 0]
    return along === 1 ? [0, n * size, size] : [0, size, n * size]
  })
  const extent = along === 1 ? ([1, m, n] as const) : ([1, n, m] as const)
  const pointers = [a, c, d].slice(0, kernel.args.length)
  return { name, n: m * n, run: () => device.launch(kernel, extent, pointers, strides, []), torch, shape }
}

const reduced = (name: string, pass: ReducePass, out: DType = float32): Kernel => ({
  name,
  args: [read(), write(out, 'row')],
  scalars: [],
  passes: [pass],
  rowStores: [{ arg: 1, value: k.cast(result(0, pass.init.length - 1, pass.init.at(-1)!.type), out.compute) }],
})

const sum = reduced('sum', fold(k.add, 0, x))
const max = reduced('max', fold(k.max, -Infinity, x))
const argmax = reduced('argmax', argmaxPass(), int64)

function argmaxPass(): ReducePass {
  const better = (v: Expr, i: Expr): Expr[] => {
    const [w, j] = [acc(0, 'f32'), acc(1, 'i32')]
    const yes = k.or(k.gt(v, w), k.and(k.eq(v, w), k.lt(i, j)))
    return [k.select(yes, v, w), k.select(yes, i, j)]
  }
  return {
    kind: 'reduce',
    init: [f32(-Infinity), constant(0, 'i32')],
    step: better(x, position()),
    merge: better(other(0, 'f32'), other(1, 'i32')),
  }
}

/** Exponentials are stored by one pass and scaled by another, which costs less than computing them twice. */
function softmax(log_: boolean): Kernel {
  const shifted = k.sub(x, result(0, 0, 'f32'))
  const args: Arg[] = [read(), { dtype: float32, mode: 'update', per: 'element' }]
  const largest = fold(k.max, -Infinity, x)
  if (log_) {
    const value = k.sub(shifted, log(result(1, 0, 'f32')))
    const passes = [largest, fold(k.add, 0, exp(shifted)), { kind: 'map', stores: [{ arg: 1, value }] } as const]
    return { name: 'log_softmax', args, scalars: [], passes, rowStores: [] }
  }
  const scaled = k.mul(y, k.div(f32(1), result(2, 0, 'f32')))
  const passes = [
    largest,
    { kind: 'map', stores: [{ arg: 1, value: exp(shifted) }] } as const,
    fold(k.add, 0, y),
    { kind: 'map', stores: [{ arg: 1, value: scaled }] } as const,
  ]
  return { name: 'softmax', args, scalars: [], passes, rowStores: [] }
}

function binary(name: string, torch: string, strides: readonly (readonly [number, number, number])[]): Row {
  const kernel = mapKernel(name, [read(), read(), write()], [], [{ arg: 2, value: k.add(x, y) }])
  const run = (): void => device.launch(kernel, [1, 1024, 1024], [a, b, c], strides, [])
  return { name, n: LARGE, run, torch, shape: [1024, 1024] }
}

/** An op on tensors of a shape, whose result is a new tensor. */
function op(
  name: string,
  python: string,
  shape: readonly number[],
  run: (x: torch.Tensor, y: torch.Tensor) => unknown,
): Row {
  let operands: [torch.Tensor, torch.Tensor] | null = null
  return {
    name,
    n: shape.reduce((p, q) => p * q, 1),
    run: () => run(...(operands ??= [torch.randn(shape), torch.rand(shape)])),
    torch: python,
    shape,
  }
}

const F = torch.nn.functional
const gt = k.gt(x, y)
const table: Row[] = [
  ...flat('add', 'torch.add(x, y, out=o)', k.add(x, y), [float32, float32]),
  ...flat('mul', 'torch.mul(x, y, out=o)', k.mul(x, y), [float32, float32]),
  ...flat('relu', 'torch.clamp_min(x, 0, out=o)', k.max(x, f32(0))),
  ...flat('exp', 'torch.exp(x, out=o)', exp(x)),
  ...flat('log', 'torch.log(x, out=o)', log(x)),
  ...flat('tanh', 'torch.tanh(x, out=o)', tanh(x)),
  ...flat('sin', 'torch.sin(x, out=o)', sin(x)),
  ...flat('sigmoid', 'torch.sigmoid(x, out=o)', k.div(f32(1), k.add(f32(1), exp(k.neg(x))))),
  ...flat('add float64', 'torch.add(X, Y, out=O)', k.add(load(0, 'f64'), load(1, 'f64')), [float64, float64], float64),
  ...flat('add int64', 'torch.add(I, J, out=K)', k.add(load(0, 'i64'), load(1, 'i64')), [int64, int64], int64),
  ...flat('add float16', 'torch.add(h, g, out=H)', k.add(x, y), [float16, float16], float16),
  ...flat('x > y', 'torch.gt(x, y, out=B)', gt, [float32, float32], bool),
  ...flat('bool to float', 'o.copy_(B)', k.cast(load(0, 'bool'), 'f32'), [bool]),
  ...flat('int64 to float', 'o.copy_(I)', k.cast(load(0, 'i64'), 'f32'), [int64]),
  ...flat('float to float64', 'O.copy_(x)', k.cast(x, 'f64'), [float32], float64),
  rows('sum 16K', 'torch.sum(x)', sum, [1, SMALL]),
  rows('sum 1M', 'torch.sum(x)', sum, [1, LARGE]),
  rows('max 1M', 'torch.max(x)', max, [1, LARGE]),
  rows('argmax 1M', 'torch.argmax(x)', argmax, [1, LARGE]),
  rows('sum rows 1024x1024', 'torch.sum(x, 1)', sum, [1024, 1024]),
  rows('sum columns 1024x1024', 'torch.sum(x, 0)', sum, [1024, 1024], 0),
  rows('sum columns 64x96', 'torch.sum(x, 0)', sum, [64, 96], 0),
  rows('softmax 1024x1024', 'torch.softmax(x, 1)', softmax(false), [1024, 1024]),
  rows('softmax 64x96', 'torch.softmax(x, 1)', softmax(false), [64, 96]),
  rows('softmax 112x3', 'torch.softmax(x, 1)', softmax(false), [112, 3]),
  rows('softmax columns 64x4096', 'torch.softmax(x, 0)', softmax(false), [64, 4096], 0),
  rows('log_softmax 1024x1024', 'torch.log_softmax(x, 1)', softmax(true), [1024, 1024]),
  rows('log_softmax 64x96', 'torch.log_softmax(x, 1)', softmax(true), [64, 96]),
  binary('x + row', 'torch.add(x, y[0], out=o)', [[0, 4096, 4], [0, 0, 4], [0, 4096, 4]]),
  binary('x + column', 'torch.add(x, y[:, :1], out=o)', [[0, 4096, 4], [0, 4096, 0], [0, 4096, 4]]),
  binary('x.t() + y', 'torch.add(x.t(), y, out=o)', [[0, 4, 4096], [0, 4096, 4], [0, 4096, 4]]),
  op('op: add 16K', 'torch.add(x, y)', [SMALL], (p, q) => torch.add(p, q)),
  op('op: add 1M', 'torch.add(x, y)', [LARGE], (p, q) => torch.add(p, q)),
  op('op: add 16M', 'torch.add(x, y)', [1 << 24], (p, q) => torch.add(p, q)),
  op('op: exp 1M', 'torch.exp(x)', [LARGE], (p) => torch.exp(p)),
  op('op: tanh 1M', 'torch.tanh(x)', [LARGE], (p) => torch.tanh(p)),
  op('op: gelu 1M', 'torch.nn.functional.gelu(x)', [LARGE], (p) => F.gelu(p)),
  op('op: sum 1M', 'torch.sum(x)', [LARGE], (p) => p.sum()),
  op('op: argmax 1M', 'torch.argmax(x)', [LARGE], (p) => p.argmax()),
  op('op: softmax 1024x1024', 'torch.softmax(x, 1)', [1024, 1024], (p) => F.softmax(p, 1)),
  op('op: layer norm 1024x1024', 'torch.nn.functional.layer_norm(x, [1024])', [1024, 1024], (p) => F.layerNorm(p, [1024])),
] // biome-ignore format: a table

const PEER = `
import sys, time, json, torch
for line in sys.stdin:
    shape, code, ms, fresh, threads = json.loads(line)
    torch.set_num_threads(threads)
    if fresh:
        x, y, o = torch.randn(shape), torch.rand(shape) + 0.5, torch.empty(shape)
        X, Y, O = x.double(), y.double(), o.double()
        I, J, K = (x * 100).long(), (y * 100).long(), o.long()
        h, g, H = x.half(), y.half(), o.half()
        B = x > y
        if 'log(' in code: x = x.abs()
        run = eval('lambda: ' + code)
        for _ in range(3): run()
    count, start = 0, time.perf_counter()
    while True:
        run()
        count += 1
        elapsed = time.perf_counter() - start
        if elapsed * 1000 >= ms: break
    print(elapsed / count, flush=True)
`

/** Answers the seconds that a row takes in PyTorch. */
const ask = (peer: Peer, row: Row, threads: number, fresh: boolean): Promise<number> =>
  peer.ask(JSON.stringify([row.shape, row.torch, ROUND_MS, fresh, threads]))

function secondsOf(run: () => unknown, least = ROUND_MS): number {
  const start = performance.now()
  let count = 0
  let elapsed = 0
  while (elapsed < least) {
    run()
    count++
    elapsed = performance.now() - start
  }
  return elapsed / 1000 / count
}

const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, REST_MS))

/** Workers start with the first large launch. */
async function startThreads(): Promise<void> {
  setNumThreads(THREADS[THREADS.length - 1])
  const end = performance.now() + 5000
  while (readyThreads() < getNumThreads() - 1 && performance.now() < end) {
    torch.ones([LARGE]).exp()
    await rest()
  }
}

const python = process.env.PYTORCH_PYTHON
const peer = python ? new Peer(python, PEER) : null
const wanted = process.argv.slice(2).filter((name) => name !== 'elementwise')
await startThreads()
const title = (threads: number): string =>
  `${threads} thread${threads > 1 ? 's' : ''}${peer ? '  PyTorch  faster' : ''}`.padStart(peer ? 27 : 11)
console.log(`${'ns an element'.padEnd(26)}${THREADS.map(title).join('')}`)
for (const row of table) {
  if (wanted.length > 0 && !wanted.some((w) => row.name.includes(w))) continue
  for (const threads of THREADS) {
    setNumThreads(threads)
    for (let i = 0; i < 6; i++) secondsOf(row.run)
    if (peer) await ask(peer, row, threads, threads === 1)
  }
  const times: number[][] = THREADS.map(() => [])
  const peerTimes: number[][] = THREADS.map(() => [])
  for (let i = 0; i < ROUNDS; i++) {
    for (const [t, threads] of THREADS.entries()) {
      await rest()
      setNumThreads(threads)
      secondsOf(row.run, 1) // wakes the threads
      times[t].push(secondsOf(row.run))
      await rest()
      if (peer) peerTimes[t].push(await ask(peer, row, threads, false))
    }
  }
  const cells = THREADS.map((_, t) => {
    const ours = (median(times[t]) / row.n) * 1e9
    const theirs = peer ? (median(peerTimes[t]) / row.n) * 1e9 : 0
    const compared = peer ? `${theirs.toFixed(3).padStart(9)}${(theirs / ours).toFixed(2).padStart(8)}` : ''
    return `${ours.toFixed(3).padStart(peer ? 10 : 11)}${compared}`
  })
  console.log(`${row.name.padEnd(26)}${cells.join('')}`)
}
peer?.close()
