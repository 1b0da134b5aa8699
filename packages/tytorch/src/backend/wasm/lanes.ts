// The evaluation of expressions on groups of four elements, several groups interleaved so that V8's revectorizer finds
// pairs; or on one element held in all lanes, by the same instructions, so that tails get the same bits as the rest.
import type { ComputeType, DType } from '../../base/dtype.ts'
import type { Expr } from '../../ir/expr.ts'
import { I64, i32, i32x4, i64, i64x2 } from './assembler.ts'
import type { Frame } from './frame.ts'
import { apply, type Group, isWide, operandsOf, splatOf, type Value } from './operations.ts'
import {
  type Access,
  decode,
  loadGroups,
  loadLaneAt,
  loadSplat,
  type Parts,
  storeElement,
  storeGroups,
} from './storage.ts'

/** Where `gather` reads: the address of the current row, the bytes between its elements and between rows of lanes. */
export interface Row {
  readonly pointer: number
  readonly stride: number
  readonly laneStride: number | null
}

/** What a kernel's arguments are at one place of the loops. */
export interface Operands {
  dtype(arg: number): DType
  access(arg: number): Access
  /** Null for tables, in which `gather` counts from the place that `access` tells. */
  row(arg: number): Row | null
}

/** `count` groups of four elements, or one element (`element`), on which expressions are evaluated once each. */
export class Lanes implements Group {
  readonly frame: Frame
  readonly element: boolean
  readonly count: number
  private readonly outer: Lanes | null
  private readonly operands: Operands
  private readonly values = new Map<Expr, readonly Value[]>()
  private readonly masks = new Map<string, Parts>()

  constructor(frame: Frame, element: boolean, count: number, operands: Operands, outer: Lanes | null) {
    this.frame = frame
    this.element = element
    this.count = count
    this.operands = operands
    this.outer = outer
  }

  /** Gives a node its value in every group, e.g. an accumulator. */
  bind(e: Expr, values: readonly Value[]): void {
    this.values.set(e, values)
  }

  /** Computes `roots` and all they need: loads first, then each node in all groups. */
  evaluate(roots: readonly Expr[]): void {
    const order: Expr[] = []
    const seen = new Set<Expr>()
    const visit = (e: Expr): void => {
      if (seen.has(e) || e.op === 'const' || e.op === 'scalar' || this.find(e, 0)) return
      seen.add(e)
      for (const s of operandsOf(e)) visit(s)
      order.push(e)
    }
    for (const r of roots) visit(r)
    for (const e of order) if (e.op === 'load') this.values.set(e, this.load(e.arg))
    for (const e of order) if (e.op !== 'load') this.values.set(e, this.compute(e))
  }

  /** Computes nodes in this order, operands before their users; a load is of use at once. */
  evaluateInOrder(nodes: readonly Expr[]): void {
    for (const e of nodes) this.values.set(e, e.op === 'load' ? this.load(e.arg) : this.compute(e))
  }

  /** The value of an evaluated node in group `u`. */
  get(e: Expr, u: number): Value {
    if (e.op === 'const') return { parts: [this.constant(e.type, e.value)], form: 'any' }
    if (e.op === 'scalar') return { parts: [this.frame.scalar(e.index)], form: 'any' }
    const value = this.find(e, u)
    if (!value) throw new Error(`kernel expression '${e.op}' has no value here`)
    return value
  }

  /** Vectors of a node as `type` lanes need them: one of 32-bit lanes, or two (one, for a splat) of 64-bit lanes. */
  parts(e: Expr, u: number, wide: boolean): Parts {
    const value = this.get(e, u)
    if (e.type !== 'bool' || value.form === 'any' || (value.form === 'wide') === wide) return value.parts
    const key = `${e.id} ${u}`
    let parts = this.masks.get(key)
    if (!parts) {
      parts = wide ? this.widen(value.parts[0]) : this.narrow(value.parts)
      this.masks.set(key, parts)
    }
    return parts
  }

  /** Evaluates nodes on one element for use in vector groups: V8 joins pairs that share a splat, not other vectors. */
  evaluateSplats(roots: readonly Expr[]): void {
    this.evaluate(roots)
    for (const e of roots) {
      if ('src' in e && e.type !== 'bool' && e.op !== 'gather' && e.op !== 'bitcast')
        splatOf(this.frame, e.type, this.get(e, 0).parts[0])
    }
  }

  /** The vectors of group `u` as they are stored: a mask in 32-bit lanes, a splat of 64-bit lanes twice. */
  whole(e: Expr, u: number): Parts {
    const wide = isWide(e.type)
    const parts = this.parts(e, u, wide)
    return wide ? [parts[0], parts[1] ?? parts[0]] : parts
  }

  /** Vectors that a value of `type` has in a group here. */
  partsOf(type: ComputeType): number {
    return isWide(type) && !this.element ? 2 : 1
  }

  inside(u: number, known: readonly Expr[]): Lanes {
    const inner = new Lanes(this.frame, this.element, 1, this.operands, null)
    for (const e of known) if (e.op !== 'const' && e.op !== 'scalar') inner.bind(e, [this.get(e, u)])
    return inner
  }

  /** Writes evaluated nodes to their arguments, after all loads of the groups. */
  store(stores: readonly { readonly arg: number; readonly value: Expr }[]): void {
    for (const s of stores) {
      const dtype = this.operands.dtype(s.arg)
      const access = this.operands.access(s.arg)
      if (this.element) {
        storeElement(this.frame, dtype, access.pointer, this.get(s.value, 0).parts[0])
        continue
      }
      const groups = Array.from({ length: this.count }, (_, u) => this.whole(s.value, u))
      storeGroups(this.frame, dtype, access, groups)
    }
  }

  private find(e: Expr, u: number): Value | undefined {
    const own = this.values.get(e)
    if (own) return own[own.length === 1 ? 0 : u]
    return this.outer?.find(e, u)
  }

  private constant(type: ComputeType, value: number | bigint | boolean): number {
    const { frame } = this
    if (type === 'f32') return frame.f32x4(Number(value))
    if (type === 'f64') return frame.f64x2(Number(value))
    if (type === 'i64') return frame.i64x2(BigInt(value))
    return frame.i32x4(type === 'bool' ? -Number(value) : Number(value))
  }

  private load(arg: number): Value[] {
    const dtype = this.operands.dtype(arg)
    const access = this.operands.access(arg)
    if (this.element) return [{ parts: loadSplat(this.frame, dtype, access), form: 'any' }]
    if (access.kind === 's') return [{ parts: loadSplat(this.frame, dtype, access), form: 'any' }]
    return loadGroups(this.frame, dtype, access, this.count).map((parts) => ({ parts, form: 'narrow' }))
  }

  private compute(e: Expr): Value[] {
    const out: Value[] = []
    for (let u = 0; u < this.count; u++)
      out.push(e.op === 'gather' ? this.gather(e.arg, e.src[0], u) : apply(this, e, u))
    return out
  }

  private gather(arg: number, position: Expr, u: number): Value {
    const { f } = this.frame
    const dtype = this.operands.dtype(arg)
    const size = dtype.itemsize
    const row = this.operands.row(arg)
    const [at] = this.parts(position, u, false)
    const raw = this.frame.vectors(this.partsOf(dtype.compute))
    const bytes = this.frame.vector()
    f.get(at)
    // From lane to lane its place moves by a local, or by a constant.
    let step: number | null = null
    let offset = 0
    let constant = 0
    if (row) {
      f.get(row.stride).op(i32x4.splat).op(i32x4.mul).get(row.pointer)
      step = row.laneStride
    } else {
      const access = this.operands.access(arg)
      if (size > 1) f.i32(Math.log2(size)).op(i32x4.shl)
      f.get(access.pointer)
      offset = access.offset ?? 0
      if (access.kind === 'g') step = access.stride
      else if (access.kind === 'c') constant = size
    }
    f.op(i32x4.splat).op(i32x4.add).set(bytes)
    const pair = f.local(I64)
    const perPart = 4 / raw.length
    for (let lane = 0; lane < (this.element ? 1 : 4); lane++) {
      const place = u * 4 + lane
      const address = (): void => {
        // Two lanes at a time take less than an extraction each.
        if (lane % 2 === 0) {
          f.get(bytes)
            .lane(i64x2.extractLane, lane >> 1)
            .tee(pair)
        } else f.get(pair).i64(32n).op(i64.shrU)
        f.op(i32.wrapI64)
        if (step !== null && place > 0) f.get(step).i32(place).op(i32.mul).op(i32.add)
      }
      const v = raw[Math.floor(lane / perPart)]
      loadLaneAt(this.frame, dtype, address, v, lane % perPart, offset + place * constant)
    }
    return { parts: raw.map((v) => decode(this.frame, dtype, v)), form: this.element ? 'any' : 'narrow' }
  }

  private widen(mask: number): Parts {
    const { f } = this.frame
    const [low, high] = this.frame.vectors(2)
    f.get(mask).get(mask).shuffle32([0, 0, 1, 1]).set(low)
    f.get(mask).get(mask).shuffle32([2, 2, 3, 3]).set(high)
    return [low, high]
  }

  private narrow([low, high]: Parts): Parts {
    const v = this.frame.vector()
    this.frame.f.get(low).get(high).shuffle32([0, 2, 4, 6]).set(v)
    return [v]
  }
}
