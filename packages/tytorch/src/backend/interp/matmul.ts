// The interpreter's matrix product: three loops over any strides.

import type { Device, MatmulArgs } from '../device.ts'
import { memory } from '../memory.ts'

/**
 * C = A B (+ C) (+ bias). Floats are summed in double precision and rounded once when stored; integers wrap.
 */
export function matmul(dtype: Parameters<Device['matmul']>[0], { batch, ...args }: MatmulArgs): void {
  if (batch) {
    const bytes = dtype === 'float32' || dtype === 'int32' ? 4 : 8
    for (let i = 0; i < batch.count; i++) {
      const [a, b, c] = [batch.a, batch.b, batch.c].map((step) => i * step * bytes)
      matmul(dtype, { ...args, a: args.a + a, b: args.b + b, c: args.c + c })
    }
    return
  }
  const v = memory.views
  if (dtype === 'float32') floats(v.f32, args)
  else if (dtype === 'float64') floats(v.f64, args)
  else if (dtype === 'int32') int32(v.i32, args)
  else int64(v.i64, args)
}

/** Calls `cell` with element indices of A's row, B's column, C's element and bias's element (or -1). */
function eachCell(
  bytes: number,
  args: MatmulArgs,
  cell: (aRow: number, bCol: number, at: number, bias: number) => void,
): void {
  for (let i = 0; i < args.m; i++) {
    for (let j = 0; j < args.n; j++) {
      const bias = args.bias === 0 ? -1 : args.bias / bytes + j
      cell(args.a / bytes + i * args.aRow, args.b / bytes + j * args.bCol, args.c / bytes + i * args.cRow + j, bias)
    }
  }
}

function floats(v: Float32Array | Float64Array, args: MatmulArgs): void {
  eachCell(v.BYTES_PER_ELEMENT, args, (row, col, at, bias) => {
    let sum = 0
    for (let p = 0; p < args.k; p++) sum += v[row + p * args.aCol] * v[col + p * args.bRow]
    if (args.accumulate) sum += v[at]
    if (bias >= 0) sum += v[bias]
    v[at] = sum
  })
}

function int32(v: Int32Array, args: MatmulArgs): void {
  eachCell(4, args, (row, col, at, bias) => {
    let sum = 0
    for (let p = 0; p < args.k; p++) sum = (sum + Math.imul(v[row + p * args.aCol], v[col + p * args.bRow])) | 0
    if (args.accumulate) sum += v[at]
    if (bias >= 0) sum += v[bias]
    v[at] = sum
  })
}

function int64(v: BigInt64Array, args: MatmulArgs): void {
  eachCell(8, args, (row, col, at, bias) => {
    let sum = 0n
    for (let p = 0; p < args.k; p++) sum += v[row + p * args.aCol] * v[col + p * args.bRow]
    if (args.accumulate) sum += v[at]
    if (bias >= 0) sum += v[bias]
    v[at] = sum // BigInt64Array wraps
  })
}
