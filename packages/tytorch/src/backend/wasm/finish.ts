// Epilogues of matrix products inside their kernels: expressions on vectors of a tile, just before these are stored.
import { float32 } from '../../base/dtype.ts'
import { type Expr, load, topological } from '../../ir/expr.ts'
import { type Func, I32, type Module, type Op, v128 } from './assembler.ts'
import { countdown, type Element, integers, setSum, store } from './element.ts'
import type { Host } from './features.ts'
import { Frame } from './frame.ts'
import { Lanes, type Operands } from './lanes.ts'
import { advance, unroll, walk } from './loops.ts'
import type { Access } from './storage.ts'

/** What kernels of one epilogue compute: `value` reads a product's element as `load(0)`, operands as the loads after it. */
export interface Finish {
  readonly value: Expr
  readonly operands: number
  readonly host: Host
}

/** True if kernels of float32 products can compute the expression on their way. */
export function finishes(value: Expr, bytes: number): boolean {
  return topological([value]).every((e) =>
    e.op === 'load' ? e.type === 'f32' && bytes === 4 : e.op !== 'call' && e.type !== 'f64' && e.type !== 'i64',
  )
}

/** Nodes up to which an expression is computed among the sums: relu and a mask are (1.3 and 10 us of 112x1024), gelu is not (90). */
const LONG = 16

/** True for expressions that are better computed in a loop of their own, on many elements at once. */
export function isLong(value: Expr): boolean {
  return topological([value]).length > LONG
}

/** Parameters that a kernel takes after its own for an epilogue: a pointer and `steps` steps for each operand. */
export function finishParameters(finish: Finish | null, steps: number): number[] {
  return Array((finish?.operands ?? 0) * (1 + steps)).fill(I32)
}

const nowhere = (): never => {
  throw new Error('the operands of an epilogue are bound')
}
const noOperands: Operands = { dtype: nowhere, access: nowhere, row: nowhere }

/** Stores sums, through the epilogue if there is one. */
export class Finisher {
  private readonly f: Func
  private readonly element: Element
  private readonly finish: Finish | null
  private readonly frame: Frame | null
  private readonly start: number

  /** Made at the start of a kernel, outside its loops. */
  constructor(f: Func, element: Element, finish: Finish | null) {
    this.f = f
    this.element = element
    this.finish = finish
    const push = nowhere
    this.frame = finish && new Frame(f, finish.host, new Map(), { types: [], push })
    this.start = f.bytes.length
  }

  /** Stores the sums of adjacent columns, `offset` bytes after `c` and after each operand's pointer. */
  store(c: number, sums: readonly number[], operands: readonly number[], offset = 0): void {
    if (!this.finish) store(this.f, c, sums, offset)
    else this.apply(v128.load, sums, operands, offset, (values) => store(this.f, c, values, offset))
  }

  /** Stores the first lane of a sum. */
  storeFirst(c: number, sum: number, operands: readonly number[]): void {
    const { f, element } = this
    const one = ([value]: readonly number[]): void => {
      f.get(c).get(value).memLane(element.storeLane, 0)
    }
    if (this.finish) this.apply(element.loadFirst, [sum], operands, 0, one)
    else one([sum])
  }

  /** Ends the kernel: puts constants before its loops. */
  done(): void {
    this.frame?.finish(this.start)
  }

  private apply(
    code: Op,
    sums: readonly number[],
    operands: readonly number[],
    offset: number,
    use: (values: readonly number[]) => void,
  ): void {
    const { f, frame } = this
    const { value } = this.finish as Finish
    if (!frame) return
    frame.scope(() => {
      const lanes = new Lanes(frame, false, sums.length, noOperands, null)
      const bind = (i: number, vectors: readonly number[]): void =>
        lanes.bind(
          load(i, 'f32'),
          vectors.map((v) => ({ parts: [v], form: 'narrow' })),
        )
      bind(0, sums)
      operands.forEach((pointer, i) => {
        const vectors = frame.vectors(sums.length)
        for (const [u, v] of vectors.entries()) {
          f.get(pointer).mem(code, offset + u * 16)
          f.set(v)
        }
        bind(i + 1, vectors)
      })
      lanes.evaluate([value])
      use(sums.map((_, u) => lanes.whole(value, u)[0]))
    })
  }
}

/** A function that computes an epilogue over a row in place: (n, c, pointer of each operand). */
export function emitFinishRow(module: Module, { value, operands, host }: Finish): Func {
  const f = module.func(null, Array(2 + operands).fill(I32))
  const push = nowhere
  const frame = new Frame(f, host, new Map(), { types: [], push })
  const start = f.bytes.length
  const access = (arg: number): Access => ({ kind: 'c', pointer: 1 + arg, stride: -1 })
  const row: Operands = { dtype: () => float32, access, row: nowhere }
  walk(frame, 0, unroll([value], host), (groups, element) => {
    const lanes = new Lanes(frame, element, groups, row, null)
    lanes.evaluate([value])
    lanes.store([{ arg: 0, value }])
    for (let arg = 0; arg <= operands; arg++) advance(frame, access(arg), float32.itemsize, element ? 1 : 4 * groups)
  })
  frame.finish(start)
  return f
}

/** Adds a function, exported as `run`, that computes an epilogue over a matrix in place: (m, n, c, cRow, and of each operand pointer and row). */
export function emitFinishRows(module: Module, finish: Finish): void {
  const row = emitFinishRow(module, finish)
  const f = module.func('run', [...Array(4).fill(I32), ...finishParameters(finish, 1)])
  const operands = finishOperands(finish, 4, 1)
  const [m, n, c, cRow] = Array(4).keys()
  countdown(f, m, 1, () => {
    f.get(n).get(c)
    for (const [pointer] of operands) f.get(pointer)
    f.call(row)
    setSum(f, c, c, cRow)
    for (const [pointer, step] of operands) setSum(f, pointer, pointer, step)
  })
}

/** The parameters of an epilogue's operands, from parameter `first` on: [pointer, ...steps] of each. */
export function finishOperands(finish: Finish | null, first: number, steps: number): number[][] {
  return Array.from({ length: finish?.operands ?? 0 }, (_, i) =>
    Array.from({ length: 1 + steps }, (_, j) => first + i * (1 + steps) + j),
  )
}

/** New locals that start at each operand's pointer. */
export function cursors(f: Func, operands: readonly (readonly number[])[]): number[] {
  const locals = integers(f, operands.length)
  for (const [i, [pointer]] of operands.entries()) f.get(pointer).set(locals[i])
  return locals
}
