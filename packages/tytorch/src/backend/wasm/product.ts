// A matrix product as its routines pass it on: the arguments of `matmul` in bytes, with C's start told apart from C.
import type { Expr } from '../../ir/expr.ts'
import { reserved } from '../memory.ts'

/** C[m, n] = init + A[m, k] B[k, n]; steps in bytes. init is C, a row (initRow 0) or one zero (both steps 0). */
export interface Product {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly a: number
  readonly aRow: number
  readonly aColumn: number
  readonly b: number
  readonly bRow: number
  readonly bColumn: number
  readonly c: number
  readonly cRow: number
  readonly cColumn: number
  readonly init: number
  readonly initRow: number
  readonly initColumn: number
  /** What is stored instead of the product, if anything. */
  readonly epilogue: Finishing | null
}

/** An epilogue and where its operands are; steps in bytes. */
export interface Finishing {
  readonly value: Expr
  readonly operands: readonly FinishingOperand[]
}

export interface FinishingOperand {
  readonly at: number
  readonly row: number
  readonly column: number
}

/** The epilogue of the part of a product that starts at a row and a column. */
export function finishingFrom(epilogue: Finishing | null, row: number, column: number): Finishing | null {
  if (!epilogue || (row === 0 && column === 0)) return epilogue
  const { value, operands } = epilogue
  return { value, operands: operands.map((o) => ({ ...o, at: o.at + row * o.row + column * o.column })) }
}

/** Areas below `reserved.end` that matrix products use. */
export const area = {
  /** 128 zero bytes that nothing writes to: what accumulators start from. */
  zeros: reserved.tiles,
  /** A one of the element type at hand. */
  one: reserved.tiles + 128,
  /** 16 sums of 32 bytes. */
  sums: reserved.tiles + 512,
  /** The start of tail columns: one row of a panel. */
  tailStart: reserved.tiles + 1024,
  /** Tail columns of a block of rows. */
  tail: reserved.tiles + 2048,
} as const

/** C^T = B^T A^T, which fills the same C. */
export function exchanged(p: Product): Product {
  return {
    m: p.n,
    n: p.m,
    k: p.k,
    a: p.b,
    aRow: p.bColumn,
    aColumn: p.bRow,
    b: p.a,
    bRow: p.aColumn,
    bColumn: p.aRow,
    c: p.c,
    cRow: p.cColumn,
    cColumn: p.cRow,
    init: p.init,
    initRow: p.initColumn,
    initColumn: p.initRow,
    epilogue: p.epilogue && {
      value: p.epilogue.value,
      operands: p.epilogue.operands.map((o) => ({ at: o.at, row: o.column, column: o.row })),
    },
  }
}

/**
 * The steps of a matrix with elements of `size` bytes. The step along a dimension of one element is free: it is chosen
 * so that the matrix is contiguous along just one dimension.
 */
export function usableSteps(
  rows: number,
  columns: number,
  row: number,
  column: number,
  size: number,
): [number, number] {
  if (columns === 1) return row === size ? [size, rows * size] : [row, size]
  if (rows === 1) return column === size ? [columns * size, size] : [size, column]
  return [row, column]
}
