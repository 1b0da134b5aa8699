// Batches of small matrix products in one call: the loop over matrices is in WebAssembly, for a call from JavaScript with
// its many arguments takes as long as a product of 8x8 matrices.
import { I32, type Module } from './assembler.ts'
import { addProduct, countdown, type Element, integers, setSum } from './element.ts'
import { type Cut, emitTile, type Source } from './gemm.ts'

/**
 * C = A B for `count` products; steps are in bytes: of A between rows and (as Source says) within them, of B between rows
 * and panels, of C between rows, and of each operand between matrices. `zeros` is 64 zero bytes.
 */
export type Batch = (
  count: number,
  panels: number,
  k: number,
  a: number,
  aRow: number,
  aStep: number,
  b: number,
  bStep: number,
  bPanel: number,
  c: number,
  cStep: number,
  aMatrix: number,
  bMatrix: number,
  cMatrix: number,
  zeros: number,
) => void

/** Adds a `Batch`, exported as `run`, for matrices cut into these rows and into whole panels and, with `tail`, half a one. */
export function emitBatch(
  module: Module,
  element: Element,
  source: Exclude<Source, 'packed'>,
  cuts: readonly Cut[],
  tail: boolean,
): void {
  const width = element.vectors
  const heights = [...new Set(cuts.map((cut) => cut.rows))]
  const tiles = (columns: number): Map<number, ReturnType<typeof emitTile>> =>
    new Map(heights.map((rows) => [rows, emitTile(module, element, source, rows, columns, null)]))
  const whole = tiles(width)
  const half = tail ? tiles(width / 2) : whole
  const f = module.func('run', Array(15).fill(I32))
  const [count, panels, k, a, aRow, aStep, b, bStep, bPanel, c, cStep, ...rest] = Array(15).keys()
  const [aMatrix, bMatrix, cMatrix, zeros] = rest
  const [panel, strip, atA, atB, atC, column, none] = integers(f, 7)
  const rowsOf = (kernels: typeof whole): void => {
    f.get(a).set(atA).get(column).set(atC)
    for (const { rows, strips } of cuts) {
      const tile = (): void => {
        for (const argument of [k, atA, aStep, atB, bStep, atC, cStep, zeros, none]) f.get(argument)
        f.call(kernels.get(rows)!)
        addProduct(f, atA, aRow, rows)
        addProduct(f, atC, cStep, rows)
      }
      if (strips === 1) tile()
      else {
        f.i32(strips).set(strip)
        countdown(f, strip, 1, tile)
      }
    }
  }
  countdown(f, count, 1, () => {
    f.get(panels).set(panel).get(b).set(atB).get(c).set(column)
    countdown(f, panel, 1, () => {
      rowsOf(whole)
      setSum(f, atB, atB, bPanel)
      f.inc(column, width * 16)
    })
    if (tail) rowsOf(half)
    setSum(f, a, a, aMatrix)
    setSum(f, b, b, bMatrix)
    setSum(f, c, c, cMatrix)
  })
}
