// How a launch's operands lie in memory: extents and strides brought to their simplest form, the axis that vector
// lanes run along, and each operand's kind along it, which together select a compiled variant.
import type { Kernel } from '../../ir/kernel.ts'
import { nodesOf, rootsOf } from './loops.ts'
import type { Access } from './storage.ts'

/** Shorter rows leave vectors along them mostly empty. */
const SHORT = 8
const letters = ['c', 's', 'g'] as const

/** The plan of one kernel's launches; `plan` fills it anew for each, without allocating. */
export class Layout {
  /** Extents from the inside out: elements, rows, outer rows. */
  readonly extent: [number, number, number] = [0, 0, 0]
  /** Bytes per argument along each of these. */
  readonly strides: readonly [Int32Array, Int32Array, Int32Array]
  axis: 'inner' | 'rows' = 'inner'
  /** Names the variant: axis and kinds. */
  code = 0
  private readonly sizes: readonly number[]
  private readonly perRow: readonly boolean[]
  private readonly gathered: readonly boolean[]
  /** Stored to; a write with stride 0 must keep to one element after the other. */
  private readonly written: readonly boolean[]
  /** Elements may be visited in any order and shape. */
  private readonly free: boolean
  private readonly folds: boolean

  constructor(kernel: Kernel) {
    const n = kernel.args.length
    const nodes = nodesOf(kernel)
    this.strides = [new Int32Array(n), new Int32Array(n), new Int32Array(n)]
    this.sizes = kernel.args.map((a) => a.dtype.itemsize)
    this.perRow = kernel.args.map((a) => a.per === 'row')
    this.gathered = kernel.args.map((_, i) => nodes.some((e) => e.op === 'gather' && e.arg === i))
    this.written = kernel.args.map((a) => a.mode !== 'read')
    const positional = nodes.some((e) => e.op === 'index' || e.op === 'gather')
    this.folds = kernel.rowStores.length > 0 || kernel.passes.some((p) => p.kind === 'reduce')
    this.free =
      !positional &&
      !this.folds &&
      !this.perRow.includes(true) &&
      kernel.passes.length === 1 &&
      rootsOf(kernel.passes[0]).length > 0
  }

  /** Plans a launch; false if there is nothing to do. */
  plan(
    [outer, rows, elements]: readonly [number, number, number],
    strides: readonly (readonly [number, number, number])[],
  ): boolean {
    const { extent } = this
    extent[0] = elements
    extent[1] = rows
    extent[2] = outer
    const [inner, middle, outermost] = this.strides
    for (let i = 0; i < strides.length; i++) {
      inner[i] = strides[i][2]
      middle[i] = strides[i][1]
      outermost[i] = strides[i][0]
    }
    if (outer === 0 || rows === 0 || (elements === 0 && !this.folds)) return false
    if (this.free) this.simplify()
    else if (extent[1] === 1 || this.merges(1)) this.fuse(1)
    this.choose()
    return true
  }

  /** Each argument's kind along the chosen axis. */
  kinds(): Access['kind'][] {
    return this.sizes.map((_, i) => letters[this.kind(i, this.axis === 'rows' ? 1 : 0)])
  }

  /** Drops axes of one element and joins axes that continue each other, so that most launches become one long row. */
  private simplify(): void {
    const { extent } = this
    for (let pass = 0; pass < 2; pass++) if (extent[0] === 1 || extent[1] === 1 || this.merges(0)) this.fuse(0)
    if (extent[1] === 1 || this.merges(1)) this.fuse(1)
    if (extent[1] < SHORT) return
    const short = extent[0] < SHORT
    if (short || this.scattered(1) < this.scattered(0)) this.swap(0, 1)
  }

  /** True if axis `a + 1` continues axis `a` in every argument. */
  private merges(a: 0 | 1): boolean {
    const low = this.strides[a]
    const high = this.strides[a + 1]
    const n = this.extent[a]
    for (let i = 0; i < low.length; i++) if (high[i] !== low[i] * n) return false
    return true
  }

  /** Makes axes `a` and `a + 1` one, when one of them has a single element or they continue each other. */
  private fuse(a: 0 | 1): void {
    const { extent, strides } = this
    if (extent[a] === 1) strides[a].set(strides[a + 1])
    extent[a] *= extent[a + 1]
    if (a === 0) {
      extent[1] = extent[2]
      strides[1].set(strides[2])
    }
    extent[2] = 1
  }

  private swap(a: 0 | 1, b: 1 | 2): void {
    const { extent, strides } = this
    const n = extent[a]
    extent[a] = extent[b]
    extent[b] = n
    for (let i = 0; i < strides[a].length; i++) {
      const s = strides[a][i]
      strides[a][i] = strides[b][i]
      strides[b][i] = s
    }
  }

  /** Arguments whose elements are neither adjacent nor shared along an axis. */
  private scattered(axis: 0 | 1 | 2): number {
    let count = 0
    for (let i = 0; i < this.sizes.length; i++) if (!this.perRow[i] && this.kind(i, axis) === 2) count++
    return count
  }

  /** Index into `letters`. */
  private kind(i: number, axis: 0 | 1 | 2): 0 | 1 | 2 {
    if (axis === 0 && this.perRow[i]) return 0
    const stride = this.strides[axis][i]
    if (stride === this.sizes[i] || (this.extent[axis] === 1 && !this.gathered[i])) return 0
    return stride === 0 && !this.written[i] ? 1 : 2
  }

  private choose(): void {
    const { extent } = this
    this.axis = 'inner'
    if (!this.free && extent[1] * extent[2] >= 4) {
      if ((extent[1] < 4 && extent[2] > extent[1]) || (this.scattered(1) > 0 && extent[2] >= 4 && this.scattered(2) === 0)) this.swap(1, 2)
      const along = this.scattered(0)
      if (extent[1] >= 4 && (extent[0] < SHORT || (along > 0 && this.scattered(1) < along))) this.axis = 'rows'
    }
    const axis = this.axis === 'rows' ? 1 : 0
    let code = axis
    for (let i = 0; i < this.sizes.length; i++) code = code * 3 + this.kind(i, axis)
    this.code = code
  }
}
