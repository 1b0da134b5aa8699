// Traces written by hand: a small builder of programs over named tensors, and a replay that only does what a step says.
import type { Device, Scalar } from '../src/backend/device.ts'
import { createInterpreter } from '../src/backend/interp/interp.ts'
import { memory } from '../src/backend/memory.ts'
import { createWasmDevice } from '../src/backend/wasm/device.ts'
import { type DType, float32 } from '../src/base/dtype.ts'
import type { Buffer, BufferKind, HostScalar, LaunchStep, MatmulStep, Step, Trace } from '../src/compile/trace.ts'
import { acc, constant, type Expr, k, load, other, result } from '../src/ir/expr.ts'
import type { Kernel } from '../src/ir/kernel.ts'

export const devices: readonly Device[] = [createWasmDevice(), createInterpreter()]

/** A tensor of a program: float32 unless said otherwise, with strides in elements. */
export interface Value {
  readonly buffer: Buffer
  readonly offset: number
  readonly sizes: readonly number[]
  readonly strides: readonly number[]
  readonly dtype: DType
}

const contiguous = (sizes: readonly number[]): number[] => {
  const strides = sizes.map(() => 1)
  for (let i = sizes.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * sizes[i + 1]
  return strides
}

export class Program {
  readonly buffers: Buffer[] = []
  readonly steps: Step[] = []

  value(kind: BufferKind, sizes: readonly number[], dtype: DType = float32): Value {
    const count = sizes.reduce((a, b) => a * b, 1)
    const buffer: Buffer = { id: this.buffers.length, bytes: count * dtype.itemsize, kind, pointer: 0 }
    this.buffers.push(buffer)
    return { buffer, offset: 0, sizes, strides: contiguous(sizes), dtype }
  }

  /** An element-wise kernel over the shape of `out`; operands of size 1 repeat. `f` takes loads of the operands. */
  map(
    name: string,
    inputs: readonly Value[],
    out: Value,
    f: (...x: Expr[]) => Expr,
    scalars: readonly HostScalar[] = [],
  ): Value {
    const value = f(...inputs.map((v, i) => load(i, v.dtype.compute)))
    const kernel: Kernel = {
      name,
      args: [
        ...inputs.map((v) => ({ dtype: v.dtype, mode: 'read', per: 'element' }) as const),
        { dtype: out.dtype, mode: 'write', per: 'element' },
      ],
      scalars: scalars.map(() => 'f32'),
      passes: [{ kind: 'map', stores: [{ arg: inputs.length, value }] }],
      rowStores: [],
    }
    const flat = inputs.every(
      (v) => v.sizes.join() === out.sizes.join() && v.strides.join() === contiguous(v.sizes).join(),
    )
    this.launch(
      kernel,
      [...inputs, out],
      flat && out.strides.join() === contiguous(out.sizes).join() ? [this.count(out)] : out.sizes,
      scalars,
    )
    return out
  }

  /** Folds dimension `dim` of a matrix; `out` has size 1 there. */
  fold(name: string, x: Value, dim: number, out: Value, combine: (a: Expr, b: Expr) => Expr = k.add, init = 0): Value {
    const kernel: Kernel = {
      name,
      args: [
        { dtype: float32, mode: 'read', per: 'element' },
        { dtype: float32, mode: 'write', per: 'row' },
      ],
      scalars: [],
      passes: [
        {
          kind: 'reduce',
          init: [constant(init, 'f32')],
          step: [combine(acc(0, 'f32'), load(0, 'f32'))],
          merge: [combine(acc(0, 'f32'), other(0, 'f32'))],
        },
      ],
      rowStores: [{ arg: 1, value: result(0, 0, 'f32') }],
    }
    this.rows(kernel, [x, out], dim)
    return out
  }

  /** A kernel over the rows along `dim` of matrices. */
  rows(kernel: Kernel, operands: readonly Value[], dim: number, scalars: readonly HostScalar[] = []): void {
    const [n, m] = [operands[0].sizes[dim], operands[0].sizes[1 - dim]]
    const bytes = (v: Value, axis: number): number => (v.sizes[axis] === 1 ? 0 : v.strides[axis] * v.dtype.itemsize)
    this.steps.push({
      kind: 'launch',
      kernel,
      extent: [1, m, n],
      operands,
      strides: operands.map((v) => [0, bytes(v, 1 - dim), bytes(v, dim)] as const),
      scalars,
    })
  }

  matmul(a: Value, b: Value, c: Value, bias: Value | null = null, accumulate = false): Value {
    const step: MatmulStep = {
      kind: 'matmul',
      dtype: c.dtype.name as 'float32',
      args: {
        m: a.sizes[0],
        n: b.sizes[1],
        k: a.sizes[1],
        aRow: a.strides[0],
        aCol: a.strides[1],
        bRow: b.strides[0],
        bCol: b.strides[1],
        cRow: c.strides[0],
        accumulate,
      },
      a,
      b,
      c,
      bias,
    }
    this.steps.push(step)
    return c
  }

  get trace(): Trace {
    return { buffers: this.buffers, steps: this.steps }
  }

  private launch(
    kernel: Kernel,
    operands: readonly Value[],
    sizes: readonly number[],
    scalars: readonly HostScalar[],
  ): void {
    const dims = [1, 1, 1, ...sizes].slice(-3)
    const strides = operands.map((v) => {
      if (sizes.length === 1 && v.sizes.length > 1) return [0, 0, v.dtype.itemsize] as const
      const own = v.strides.map((s, i) => (v.sizes[i] === 1 ? 0 : s * v.dtype.itemsize))
      return [0, 0, 0, ...own].slice(-3) as unknown as readonly [number, number, number]
    })
    this.steps.push({
      kind: 'launch',
      kernel,
      extent: dims as unknown as LaunchStep['extent'],
      operands,
      strides,
      scalars,
    })
  }

  private count(v: Value): number {
    return v.sizes.reduce((a, b) => a * b, 1)
  }
}

/** The transpose of a matrix. */
export function transposed(v: Value): Value {
  return { ...v, sizes: [...v.sizes].reverse(), strides: [...v.strides].reverse() }
}

/** What a host scalar is now. */
export function number(s: HostScalar): Scalar {
  return typeof s === 'object' ? s.source.numbers()[s.index] : s
}

/** Runs a trace; buffers that exist before start with `fill`. Answers the bytes of those that are seen outside. */
export function run(
  device: Device,
  trace: Trace,
  fill: (buffer: Buffer) => ArrayLike<number>,
): Map<number, Float32Array> {
  const places = new Map<Buffer, number>()
  const out = new Map<number, Float32Array>()
  for (const b of trace.buffers) {
    const pointer = memory.alloc(b.bytes)
    places.set(b, pointer)
    const view = memory.views.f32.subarray(pointer / 4, (pointer + b.bytes) / 4)
    if (b.kind === 'captured' || b.kind === 'input') view.set(fill(b))
    else view.fill(Number.NaN)
  }
  const at = (o: { buffer: Buffer; offset: number } | null): number => (o ? places.get(o.buffer)! + o.offset : 0)
  for (const step of trace.steps) {
    if (step.kind === 'launch')
      device.launch(step.kernel, step.extent, step.operands.map(at), step.strides, step.scalars.map(number))
    else if (step.kind === 'matmul') {
      const args = { ...step.args, a: at(step.a), b: at(step.b), c: at(step.c), bias: at(step.bias) }
      const { epilogue } = step
      const operands = epilogue?.operands.map((o) => ({ pointer: at(o), row: o.row }))
      device.matmul(step.dtype, args, epilogue && operands ? { value: epilogue.value, operands } : undefined)
    } else step.run(step.operands.map(at))
  }
  for (const [b, pointer] of places) {
    if (b.kind !== 'temporary') out.set(b.id, memory.views.f32.slice(pointer / 4, (pointer + b.bytes) / 4))
    memory.release(pointer, b.bytes)
  }
  return out
}
