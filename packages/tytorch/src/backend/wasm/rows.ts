// Kernels over strided rows: two outer loops, and the passes of each row. Lanes are elements of one row (`inner`) or
// the same element of neighbouring rows (`rows`), whichever lies closer together in memory.
import { type Expr, position, result } from '../../ir/expr.ts'
import type { Kernel, MapPass, ReducePass } from '../../ir/kernel.ts'
import { reserved } from '../memory.ts'
import { I32, i32, i32x4 } from './assembler.ts'
import { descriptorLocals, scalarsFrom } from './descriptor.ts'
import type { Host } from './features.ts'
import type { Frame } from './frame.ts'
import { Lanes, type Operands, type Row } from './lanes.ts'
import {
  advance,
  assemble,
  elementArgs,
  frontier,
  type Kinds,
  type Level,
  levels,
  type MemoryType,
  nodesOf,
  rootsOf,
  tier,
  unroll,
  walk,
} from './loops.ts'
import { type FoldPlan, foldElements, foldGroups, foldRows, planFold } from './reduce.ts'
import type { Access } from './storage.ts'

/** Locals of one argument: where its current element, row and outer row are, and its strides in bytes. */
interface Operand {
  readonly element: number
  readonly row: number
  readonly outer: number
  readonly strides: readonly [number, number, number]
  /** Bytes after these places. */
  readonly offset: number
}

/** A module whose `run(descriptor)` walks all rows; `kinds` tell how an argument's lanes lie along `axis`. */
export function emitRows(
  kernel: Kernel,
  axis: 'inner' | 'rows',
  kinds: Kinds,
  host: Host,
  memory: MemoryType,
): Uint8Array<ArrayBuffer> {
  return assemble(
    kernel,
    host,
    memory,
    [I32],
    (f) => scalarsFrom(kernel, f),
    (frame) => new Rows(kernel, axis, kinds, frame).write(),
  )
}

class Rows {
  private readonly kernel: Kernel
  private readonly frame: Frame
  private readonly axis: 'inner' | 'rows'
  private readonly kinds: Kinds
  private readonly args: Operand[]
  /** Those whose pointers move: the others lie after one of them. */
  private readonly places: Operand[]
  /** Extents: outer rows, rows, elements. */
  private readonly extent: readonly [number, number, number]
  private readonly level: Level
  private readonly plans = new Map<ReducePass, FoldPlan>()
  private readonly launch: Lanes
  /** Position of the current group's first element in its row, if any node asks for it. */
  private readonly index: number | null

  constructor(kernel: Kernel, axis: 'inner' | 'rows', kinds: Kinds, frame: Frame) {
    const { f } = frame
    this.kernel = kernel
    this.axis = axis
    this.kinds = kinds
    this.frame = frame
    const { extent, args } = descriptorLocals(kernel, f)
    this.extent = extent
    const own = args.map(({ pointer, strides }) => ({
      element: f.local(I32),
      row: f.local(I32),
      outer: pointer,
      strides,
      offset: 0,
    }))
    this.places = own.filter((_, i) => !kernel.args[i].after)
    this.args = kernel.args.map(({ after }, i) => (after ? { ...own[after.arg], offset: after.bytes } : own[i]))
    const splat = (arg: number): 1 | 2 => (axis === 'inner' && kinds[arg] === 's' ? 1 : 2)
    this.level = levels(kernel, splat, true)
    this.index = nodesOf(kernel).some((e) => e.op === 'index') ? f.local(I32) : null
    this.launch = new Lanes(frame, true, 1, this.elements(), null)
  }

  write(): void {
    const { frame } = this
    const { f } = frame
    const start = f.bytes.length
    const roots = this.kernel.passes.flatMap(rootsOf).concat(this.kernel.rowStores.map((s) => s.value))
    this.launch.evaluateSplats(frontier(roots, this.level, 0))
    const [outer, inner] = this.extent
    const count = f.local(I32)
    frame.loop(
      () => {
        for (const a of this.places) f.get(a.outer).set(a.row)
        f.get(inner).set(count)
        if (this.axis === 'inner') {
          frame.loop(
            () => {
              this.row(1, true)
              for (const a of this.places) f.get(a.row).get(a.strides[1]).op(i32.add).set(a.row)
              f.inc(count, -1)
            },
            () => f.get(count),
          )
        } else {
          walk(frame, count, this.rowGroups(), (groups, element) => {
            this.row(groups, element)
            this.kernel.args.forEach((arg, i) => {
              if (arg.after) return
              const access = this.rowAccess(i)
              advance(frame, access, arg.dtype.itemsize, element ? 1 : 4 * groups)
            })
          })
        }
        for (const a of this.places) f.get(a.outer).get(a.strides[0]).op(i32.add).set(a.outer)
        f.inc(outer, -1)
      },
      () => f.get(outer),
    )
    frame.finish(start)
  }

  /** Interleaved groups of rows: what suits the pass that allows the fewest. */
  private rowGroups(): number {
    return Math.min(8, ...this.kernel.passes.map((p) => this.unroll(p)))
  }

  private unroll(pass: MapPass | ReducePass): number {
    const scattered = elementArgs(this.kernel, pass).some((arg) => this.kinds[arg] === 'g')
    const groups = unroll(rootsOf(pass), this.frame.host, scattered)
    return pass.kind === 'map' ? groups : Math.min(groups, foldGroups(pass, this.frame.host))
  }

  /** Writes all passes of one row, or of `groups` groups of four neighbouring rows. */
  private row(groups: number, element: boolean): void {
    const { kernel, frame } = this
    const rows = new Lanes(frame, element, groups, this.rowOperands(), this.launch)
    kernel.passes.forEach((pass, p) => {
      const outer = new Lanes(frame, element, groups, this.rowOperands(), rows)
      const along = frontier(rootsOf(pass), this.level, 1)
      const plan = pass.kind === 'reduce' ? this.planOf(pass, along) : null
      const fixed = plan?.fixed ?? along
      if (element) outer.evaluateSplats(fixed)
      else outer.evaluate(fixed)
      for (const arg of this.moving(pass)) frame.f.get(this.args[arg].row).set(this.args[arg].element)
      if (this.index !== null) frame.f.i32(0).set(this.index)
      if (pass.kind === 'map') this.map(pass, outer)
      else this.reduce(pass, p, outer, rows, plan?.order ?? null)
    })
    if (kernel.rowStores.length === 0) return
    const roots = kernel.rowStores.map((s) => s.value)
    if (this.index !== null) rows.bind(position(), [{ parts: [frame.zero], form: 'any' }])
    rows.evaluate(roots)
    rows.store(kernel.rowStores)
  }

  private map(pass: MapPass, outer: Lanes): void {
    const roots = rootsOf(pass)
    const body = (lanes: Lanes): void => {
      lanes.evaluate(roots)
      lanes.store(pass.stores)
    }
    const { f } = this.frame
    const count = f.local(I32)
    f.get(this.extent[2]).set(count)
    if (this.axis === 'rows') this.steps(pass, count, outer, body)
    else walk(this.frame, count, this.unroll(pass), (size, element) => this.step(pass, size, element, outer, body))
  }

  private planOf(pass: ReducePass, along: readonly Expr[]): FoldPlan {
    let plan = this.plans.get(pass)
    if (!plan) this.plans.set(pass, (plan = planFold(pass, along, this.axis === 'rows')))
    return plan
  }

  private reduce(pass: ReducePass, p: number, outer: Lanes, rows: Lanes, order: readonly Expr[] | null): void {
    const { f } = this.frame
    const rest = f.local(I32)
    f.get(this.extent[2]).set(rest)
    const fold = { frame: this.frame, pass, outer, order, scratch: reserved.scratch - reserved.descriptor }
    const totals =
      this.axis === 'rows'
        ? foldRows(fold, rest, (count, body) => this.steps(pass, count, outer, body))
        : foldElements(fold, rest, this.unroll(pass), (count, size, element, body) =>
            this.elementsOf(pass, count, size, element, outer, body),
          )
    totals.forEach((values, i) => {
      rows.bind(result(p, i, pass.init[i].type), values)
    })
  }

  /** Walks `count` elements of a row while there are `size` groups of four, or single elements. */
  private elementsOf(
    pass: MapPass | ReducePass,
    count: number,
    size: number,
    element: boolean,
    outer: Lanes,
    body: (lanes: Lanes) => void,
  ): void {
    tier(this.frame, count, size, element, () => this.step(pass, size, element, outer, body))
  }

  private step(
    pass: MapPass | ReducePass,
    groups: number,
    element: boolean,
    outer: Lanes,
    body: (lanes: Lanes) => void,
  ): void {
    const { frame, kernel } = this
    const lanes = new Lanes(frame, element, groups, this.elements(), outer)
    if (this.index !== null) {
      const at = frame.vector()
      frame.f.get(this.index).op(i32x4.splat).set(at)
      const values = Array.from({ length: groups }, (_, u) => {
        if (element) return { parts: [at], form: 'any' as const }
        const v = frame.vector()
        frame.f
          .get(at)
          .get(frame.iota(u * 4))
          .op(i32x4.add)
          .set(v)
        return { parts: [v], form: 'narrow' as const }
      })
      lanes.bind(position(), values)
    }
    body(lanes)
    const elements = element ? 1 : 4 * groups
    for (const arg of this.moving(pass)) {
      const access = this.elementAccess(arg)
      advance(frame, access, kernel.args[arg].dtype.itemsize, elements)
    }
    if (this.index !== null) frame.f.inc(this.index, elements)
  }

  /** Walks `count` elements one after the other, each in all rows of the group. */
  private steps(pass: MapPass | ReducePass, count: number, outer: Lanes, body: (lanes: Lanes) => void): void {
    const { frame } = this
    const { f } = frame
    f.block(() => {
      f.get(count).op(i32.eqz).brIf(0)
      frame.loop(
        () => {
          const lanes = new Lanes(frame, outer.element, outer.count, this.rowOperands(), outer)
          if (this.index !== null) {
            const at = frame.vector()
            f.get(this.index).op(i32x4.splat).set(at)
            lanes.bind(position(), [{ parts: [at], form: 'any' }])
            f.inc(this.index, 1)
          }
          body(lanes)
          for (const arg of this.moving(pass)) {
            const { element, strides } = this.args[arg]
            f.get(element).get(strides[2]).op(i32.add).set(element)
          }
          f.inc(count, -1)
        },
        () => f.get(count),
      )
    })
  }

  /** The arguments whose elements' pointers a pass moves. */
  private moving(pass: MapPass | ReducePass): number[] {
    return [...new Set(elementArgs(this.kernel, pass).map((arg) => this.kernel.args[arg].after?.arg ?? arg))]
  }

  private elementAccess(arg: number): Access {
    const a = this.args[arg]
    return { kind: this.kinds[arg], pointer: a.element, stride: a.strides[2], offset: a.offset }
  }

  private rowAccess(arg: number): Access {
    const a = this.args[arg]
    return { kind: this.kinds[arg], pointer: a.row, stride: a.strides[1] }
  }

  /** Arguments as lanes along a row see them. */
  private elements(): Operands {
    return {
      dtype: (arg) => this.kernel.args[arg].dtype,
      access: (arg) => this.elementAccess(arg),
      row: (arg) => this.rowOf(arg, false),
    }
  }

  /** Arguments as lanes across rows see them, or (in the `inner` variant) as values of the whole row are loaded. */
  private rowOperands(): Operands {
    const across = this.axis === 'rows'
    return {
      dtype: (arg) => this.kernel.args[arg].dtype,
      access: (arg) => {
        const a = this.args[arg]
        const perRow = this.kernel.args[arg].per === 'row' || !across
        const pointer = perRow ? a.row : a.element
        return { kind: across ? this.kinds[arg] : 's', pointer, stride: a.strides[1], offset: a.offset }
      },
      row: (arg) => this.rowOf(arg, across),
    }
  }

  private rowOf(arg: number, across: boolean): Row | null {
    const { row, strides } = this.args[arg]
    if (this.kernel.args[arg].per === 'table') return null
    return { pointer: row, stride: strides[2], laneStride: across ? strides[1] : null }
  }
}
