// How a launch's operands lie in memory: extents and strides brought to their simplest form, the axis that vector
// lanes run along, and each operand's kind along it, which together select a compiled variant.
import type { Kernel } from '../../ir/kernel.ts'
import { nodesOf, rootsOf } from './loops.ts'
import type { TileKind } from './tiles.ts'

/** Shorter rows leave vectors along them mostly empty. */
const SHORT = 8
const letters = ['c', 's', 'g', 't'] as const

/** As `to.set(from)`, which costs more than a whole launch for arrays this short. */
function copy(from: Int32Array, to: Int32Array): void {
  for (let i = 0; i < to.length; i++) to[i] = from[i]
}

/** The plan of one kernel's launches; `plan` fills it anew for each, without allocating. */
export class Layout {
  /** Extents from the inside out: elements, rows, outer rows. */
  readonly extent: [number, number, number] = [0, 0, 0]
  /** Bytes per argument along each of these. */
  readonly strides: readonly [Int32Array, Int32Array, Int32Array]
  axis: 'inner' | 'rows' | 'tiles' = 'inner'
  /** Names the variant: axis and kinds. */
  code = 0
  private readonly sizes: readonly number[]
  private readonly perRow: readonly boolean[]
  private readonly gathered: readonly boolean[]
  private readonly tables: readonly boolean[]
  /** Stored to; a write with stride 0 must keep to one element after the other. */
  private readonly written: readonly boolean[]
  /** Elements may be visited in any order and shape. */
  readonly free: boolean
  private readonly folds: boolean

  constructor(kernel: Kernel) {
    const n = kernel.args.length
    const nodes = nodesOf(kernel)
    this.strides = [new Int32Array(n), new Int32Array(n), new Int32Array(n)]
    this.sizes = kernel.args.map((a) => a.dtype.itemsize)
    this.perRow = kernel.args.map((a) => a.per === 'row')
    this.tables = kernel.args.map((a) => a.per === 'table')
    const gathered = nodes.flatMap((e) => (e.op === 'gather' && !this.tables[e.arg] ? [e.arg] : []))
    this.gathered = kernel.args.map((_, i) => gathered.includes(i))
    this.written = kernel.args.map((a) => a.mode !== 'read')
    const positional = gathered.length > 0 || nodes.some((e) => e.op === 'index')
    this.folds = kernel.rowStores.length > 0 || kernel.passes.some((p) => p.kind === 'reduce')
    this.free =
      !positional &&
      !this.folds &&
      !this.perRow.includes(true) &&
      kernel.passes.length === 1 &&
      rootsOf(kernel.passes[0]).length > 0
  }

  /** Plans a launch; false if there is nothing to do. */
  plan(given: readonly [number, number, number], strides: readonly (readonly [number, number, number])[]): boolean {
    const { extent } = this
    const [inner, middle, outer] = this.strides
    extent[0] = given[2]
    extent[1] = given[1]
    extent[2] = given[0]
    for (let i = 0; i < inner.length; i++) {
      const s = strides[i]
      inner[i] = s[2]
      middle[i] = s[1]
      outer[i] = s[0]
    }
    if (extent[2] === 0 || extent[1] === 0 || (extent[0] === 0 && !this.folds)) return false
    if (extent[1] !== 1 || extent[2] !== 1) {
      if (this.free) this.simplify()
      else if (extent[1] === 1 || this.merges(1)) this.fuse(1)
    }
    this.choose()
    return true
  }

  /** Plans the same launch without tiles. */
  untile(): void {
    this.axis = 'inner'
    this.code = this.encode(0)
  }

  /** Each argument's kind along the chosen axis. */
  kinds(): TileKind[] {
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
    if (extent[a] === 1) copy(strides[a + 1], strides[a])
    extent[a] *= extent[a + 1]
    if (a === 0) {
      extent[1] = extent[2]
      copy(strides[2], strides[1])
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
    for (let i = 0; i < this.sizes.length; i++)
      if (!this.perRow[i] && !this.tables[i] && this.kind(i, axis) === 2) count++
    return count
  }

  private choose(): void {
    const { extent } = this
    this.axis = 'inner'
    if (this.free) {
      if (extent[1] >= SHORT && extent[0] >= SHORT && !this.tables.includes(true) && this.transposed())
        this.axis = 'tiles'
    } else if (extent[1] * extent[2] >= 4) {
      const further = extent[1] < 4 && extent[2] > extent[1]
      if (further || (this.scattered(1) > 0 && extent[2] >= 4 && this.scattered(2) === 0)) this.swap(1, 2)
      const along = this.scattered(0)
      if (extent[1] >= 4 && (extent[0] < SHORT || (along > 0 && this.scattered(1) < along))) this.axis = 'rows'
    }
    this.code = this.encode(this.axis === 'rows' ? 1 : 0)
  }

  /** True if an argument is contiguous across rows instead of along them; brings these rows next to the elements. */
  private transposed(): boolean {
    for (const axis of [1, 2] as const) {
      if (this.extent[axis] < SHORT) continue
      for (let i = 0; i < this.sizes.length; i++) {
        if (!this.across(i, axis)) continue
        if (axis === 2) this.swap(1, 2)
        return true
      }
    }
    return false
  }

  private across(i: number, axis: 1 | 2): boolean {
    const size = this.sizes[i]
    return size >= 4 && this.strides[axis][i] === size && this.kind(i, 0) >= 2
  }

  /** Index into `letters` of an argument's kind along an axis. */
  private kind(i: number, axis: 0 | 1 | 2): 0 | 1 | 2 | 3 {
    if (axis === 0 && this.perRow[i]) return 0
    const stride = this.strides[axis][i]
    if (stride === this.sizes[i] || (this.extent[axis] === 1 && !this.gathered[i])) return 0
    if (stride === 0 && !this.written[i]) return 1
    return axis === 0 && this.axis === 'tiles' && this.sizes[i] >= 4 && this.strides[1][i] === this.sizes[i] ? 3 : 2
  }

  private encode(axis: 0 | 1): number {
    let code = this.axis === 'inner' ? 0 : this.axis === 'rows' ? 1 : 2
    for (let i = 0; i < this.sizes.length; i++) code = code * 4 + this.kind(i, axis)
    return code
  }
}
