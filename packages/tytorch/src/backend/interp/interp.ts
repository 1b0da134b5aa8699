// The interpreter: a device that walks kernels and their expressions one element at a time in JavaScript. Slow and
// plain on purpose: it is the definition of what a kernel means, and every other back end is tested against it.
import { type ComputeType, type DType, decode, dtypes, encode } from '../../base/dtype.ts'
import { castValue, evaluateNode, type Value } from '../../ir/evaluate.ts'
import { type Expr, sources, topological } from '../../ir/expr.ts'
import type { Kernel, MapPass, ReducePass, Store } from '../../ir/kernel.ts'
import { verify } from '../../ir/verify.ts'
import { denseOf } from '../dense.ts'
import type { Device, Extent, FlatKernel, RowsArgs, Scalar } from '../device.ts'
import { finish } from '../epilogue.ts'
import { memory } from '../memory.ts'
import { convolution } from './convolution.ts'
import { createPanels } from './dense.ts'
import { matmul } from './matmul.ts'
import { routines } from './routines.ts'
import { plainTurns } from './turns.ts'

type Stride = readonly [number, number, number]

/** Where the walk is: the kernel's operands, the current row and the current element of it. */
interface Cursor {
  readonly kernel: Kernel
  readonly scalars: readonly Value[]
  readonly strides: readonly Stride[]
  /** Byte pointers of the current row, one an argument. */
  row: readonly number[]
  index: number
  acc: readonly Value[]
  other: readonly Value[]
  /** Finished accumulators, by pass. */
  results: Value[][]
}

function viewOf(dtype: DType): { [index: number]: number | bigint } {
  const v = memory.views
  switch (dtype.name) {
    case 'float32':
      return v.f32
    case 'float64':
      return v.f64
    case 'int64':
      return v.i64
    case 'int32':
      return v.i32
    case 'int16':
      return v.i16
    case 'int8':
      return v.i8
    case 'uint8':
    case 'bool':
      return v.u8
    default:
      return v.u16
  }
}

function readElement(dtype: DType, pointer: number): Value {
  return decode(dtype, viewOf(dtype)[pointer / dtype.itemsize])
}

function writeElement(dtype: DType, pointer: number, value: Value): void {
  viewOf(dtype)[pointer / dtype.itemsize] = encode(dtype, value)
}

/** The byte address of element `index` of argument `arg` in the current row. */
function address(at: Cursor, arg: number, index: number): number {
  return at.row[arg] + (at.kernel.args[arg].per === 'row' ? 0 : index * at.strides[arg][2])
}

/** Expressions in an order in which operands come first; `src` holds the places of each one's operands. */
interface Program {
  readonly order: readonly Expr[]
  readonly src: readonly (readonly number[])[]
  readonly roots: readonly number[]
}

function programOf(roots: readonly Expr[]): Program {
  const order = topological(roots)
  const places = new Map(order.map((e, i) => [e, i]))
  const placesOf = (list: readonly Expr[]): number[] => list.map((e) => places.get(e)!)
  return { order, src: order.map((e) => placesOf(sources(e))), roots: placesOf(roots) }
}

/** The values of the program's roots at the cursor; every node is computed once, whichever way a select goes. */
function evaluate(program: Program, at: Cursor): Value[] {
  const values: Value[] = []
  program.order.forEach((e, i) => {
    const operands = program.src[i].map((place) => values[place])
    values.push(evaluateAt(e, operands, at))
  })
  return program.roots.map((place) => values[place])
}

function evaluateAt(e: Expr, src: readonly Value[], at: Cursor): Value {
  switch (e.op) {
    case 'load':
      return readElement(at.kernel.args[e.arg].dtype, address(at, e.arg, at.index))
    case 'gather': {
      const { dtype, per } = at.kernel.args[e.arg]
      const place = address(at, e.arg, per === 'table' ? at.index : (src[0] as number))
      return readElement(dtype, per === 'table' ? place + (src[0] as number) * dtype.itemsize : place)
    }
    case 'scalar':
      return at.scalars[e.index]
    case 'index':
      return at.index
    case 'acc':
      return at.acc[e.index]
    case 'other':
      return at.other[e.index]
    case 'result':
      return at.results[e.pass][e.index]
    default:
      return evaluateNode(e, src)
  }
}

function programOfStores(stores: readonly Store[]): Program {
  return programOf(stores.map((s) => s.value))
}

function runStores(stores: readonly Store[], program: Program, at: Cursor): void {
  const values = evaluate(program, at)
  stores.forEach((s, i) => {
    writeElement(at.kernel.args[s.arg].dtype, address(at, s.arg, at.index), values[i])
  })
}

function runMap(pass: MapPass, n: number, at: Cursor): void {
  const program = programOfStores(pass.stores)
  for (at.index = 0; at.index < n; at.index++) runStores(pass.stores, program, at)
}

/** Folds the row in two halves, so that `merge` is always at work (also with a half that is empty). */
function runReduce(pass: ReducePass, n: number, at: Cursor): Value[] {
  const init = evaluate(programOf(pass.init), at)
  const step = programOf(pass.step)
  const fold = (from: number, to: number): Value[] => {
    let value = init
    for (at.index = from; at.index < to; at.index++) {
      at.acc = value
      value = evaluate(step, at)
    }
    return value
  }
  if (n === 0) return init
  const half = n >> 1
  const low = fold(0, half)
  at.other = fold(half, n)
  at.acc = low
  return evaluate(programOf(pass.merge), at)
}

function runRow(n: number, at: Cursor): void {
  at.results = []
  for (const pass of at.kernel.passes) {
    if (pass.kind === 'map') {
      runMap(pass, n, at)
      at.results.push([])
    } else at.results.push(runReduce(pass, n, at))
  }
  at.index = 0
  runStores(at.kernel.rowStores, programOfStores(at.kernel.rowStores), at)
}

function scalarValue(value: Scalar, type: ComputeType): Value {
  return type === 'i64' ? BigInt.asIntN(64, BigInt(value)) : castValue(Number(value), 'f64', type)
}

const verified = new WeakSet<Kernel>()

function launch(
  kernel: Kernel,
  extent: Extent,
  pointers: readonly number[],
  strides: readonly Stride[],
  scalars: readonly Scalar[],
): void {
  if (!verified.has(kernel)) verify(kernel)
  verified.add(kernel)
  const at: Cursor = {
    kernel,
    scalars: kernel.scalars.map((type, i) => scalarValue(scalars[i], type)),
    strides,
    row: pointers,
    index: 0,
    acc: [],
    other: [],
    results: [],
  }
  const [outer, inner, n] = extent
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      at.row = pointers.map((p, arg) => p + i * strides[arg][0] + j * strides[arg][1])
      runRow(n, at)
    }
  }
}

function flat(kernel: Kernel, access: string): FlatKernel {
  verify(kernel)
  const strides = kernel.args.map((arg, i): Stride => [0, 0, access[i] === 's' ? 0 : arg.dtype.itemsize])
  return (n, ...operands) => {
    const pointers = operands.slice(0, kernel.args.length).map(Number)
    launch(kernel, [1, 1, n], pointers, strides, operands.slice(kernel.args.length))
  }
}

function pickRows({ to, from, index, wide, count, bytes, step, rows }: RowsArgs): void {
  const { u8, i32, i64 } = memory.views
  for (let i = 0; i < count; i++) {
    const row = wide ? Number(i64[index / 8 + i]) : i32[index / 4 + i]
    const start = from + (row < 0 ? row + rows : row) * step
    u8.copyWithin(to + i * bytes, start, start + bytes)
  }
}

function joinBlocks(to: number, pointers: number, count: number, bytes: number): void {
  const { u8, i32 } = memory.views
  for (let i = 0; i < count; i++) {
    const start = i32[pointers / 4 + i] >>> 0
    u8.copyWithin(to + i * bytes, start, start + bytes)
  }
}

/** The device that interprets kernels over the shared memory. */
export function createInterpreter(): Device {
  const host: Device['host'] = (_name, pointers, _access, run) => run(pointers)
  const product: Device['matmul'] = (dtype, args, epilogue) => {
    matmul(dtype, args)
    if (!epilogue) return
    const bytes = dtypes.find((d) => d.name === dtype)!.itemsize
    const operands = epilogue.operands.map((o) => ({ at: o.pointer, row: o.row * bytes, column: bytes }))
    finish(launch, dtype, epilogue.value, { ...args, cRow: args.cRow * bytes, cColumn: bytes, operands })
  }
  const dense = denseOf(product, createPanels)
  return {
    name: 'interp',
    draws: null,
    fourier: null,
    flat,
    launch,
    host,
    matmul: product,
    convolution,
    pickRows,
    joinBlocks,
    routines,
    dense: () => dense,
    turns: () => plainTurns,
  }
}
