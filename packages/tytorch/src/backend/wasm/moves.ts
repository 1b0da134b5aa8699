// Copies of whole rows of bytes: rows picked by index, and blocks joined. V8's memory.copy leaves WebAssembly for each
// row, and a typed array's copyWithin copies shared memory word by word; loops of vectors are two to ten times as fast.
import type { RowsArgs } from '../device.ts'
import { memory } from '../memory.ts'
import { type Func, I32, i32, i64, Module, V128, v128 } from './assembler.ts'

/** The compiled routines of `createMoves`. */
export interface Moves {
  pickRows(args: RowsArgs): void
  joinBlocks(to: number, pointers: number, count: number, bytes: number): void
}

type Pick = (to: number, from: number, index: number, count: number, bytes: number, step: number, rows: number) => void
type Join = (to: number, pointers: number, count: number, bytes: number) => void

/** Compiles them. */
export function createMoves(): Moves {
  const module = new Module(memory)
  emitPick(module.func('narrow', Array(7).fill(I32)), false)
  emitPick(module.func('wide', Array(7).fill(I32)), true)
  emitJoin(module.func('join', Array(4).fill(I32)))
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory: memory.wasm } })
  const { narrow, wide, join } = instance.exports as unknown as { narrow: Pick; wide: Pick; join: Join }
  return {
    pickRows({ to, from, index, wide: long, count, bytes, step, rows }) {
      if (count > 0) (long ? wide : narrow)(to, from, index, count, bytes, step, rows)
    },
    joinBlocks(to, pointers, count, bytes) {
      if (count > 0) join(to, pointers, count, bytes)
    },
  }
}

function emitPick(f: Func, wide: boolean): void {
  const [to, from, index, count, bytes, step, rows] = Array(7).keys()
  const row = f.local(I32)
  const copy = rowCopy(f, to, bytes)
  f.loop(() => {
    f.get(index)
    if (wide) f.mem(i64.load).op(i32.wrapI64)
    else f.mem(i32.load)
    f.set(row)
    f.get(from).get(row).get(rows).i32(0).get(row).i32(0).op(i32.ltS).select()
    f.op(i32.add).get(step).op(i32.mul).op(i32.add)
    copy()
    f.inc(index, wide ? 8 : 4).inc(count, -1)
    f.get(count).brIf(0)
  })
}

function emitJoin(f: Func): void {
  const [to, pointers, count, bytes] = Array(4).keys()
  const copy = rowCopy(f, to, bytes)
  f.loop(() => {
    f.get(pointers).mem(i32.load)
    copy()
    f.inc(pointers, 4).inc(count, -1)
    f.get(count).brIf(0)
  })
}

/** The code that copies `bytes` bytes from the address on the stack to `to`, and moves `to` behind them. */
function rowCopy(f: Func, to: number, bytes: number): () => void {
  const [source, end] = [f.local(I32), f.local(I32)]
  const [a, b, c, d] = [f.local(V128), f.local(V128), f.local(V128), f.local(V128)]
  const advance = (by: number): void => {
    f.inc(source, by).inc(to, by)
  }
  /** Runs `body` while at least `size` bytes are left. */
  const whileLeft = (size: number, body: () => void): void => {
    f.block(() => {
      f.get(end).get(to).op(i32.sub).i32(size).op(i32.ltU).brIf(0)
      f.loop(() => {
        body()
        advance(size)
        f.get(end).get(to).op(i32.sub).i32(size).op(i32.geU).brIf(0)
      })
    })
  }
  const small = [
    [8, i64.load, i64.store],
    [4, i32.load, i32.store],
    [2, i32.load16U, i32.store16],
    [1, i32.load8U, i32.store8],
  ] as const
  return () => {
    f.set(source).get(to).get(bytes).op(i32.add).set(end)
    whileLeft(64, () => {
      for (const [v, at] of [[a, 0], [b, 16], [c, 32], [d, 48]]) f.get(source).mem(v128.load, at).set(v) // biome-ignore format: a table
      for (const [v, at] of [[b, 16], [a, 0], [d, 48], [c, 32]]) f.get(to).get(v).mem(v128.store, at) // biome-ignore format: a table
    })
    whileLeft(16, () => {
      f.get(to).get(source).mem(v128.load).mem(v128.store)
    })
    for (const [size, load, store] of small) {
      f.get(bytes)
        .i32(size)
        .op(i32.and)
        .if(() => {
          f.get(to).get(source).mem(load).mem(store)
          advance(size)
        })
    }
  }
}
