// Folding a row into accumulators: several lanes of several interleaved groups at once, block by block, so that a
// float32 sum of a long row is as accurate as PyTorch's cascade. `merge` joins lanes, groups and blocks: parts of a row
// are interleaved, so it must not rely on which part came first.
import { acc, type Expr, other, topological } from '../../ir/expr.ts'
import type { ReducePass } from '../../ir/kernel.ts'
import { I32, i32, v128 } from './assembler.ts'
import type { Host } from './features.ts'
import type { Frame } from './frame.ts'
import { Lanes, type Operands } from './lanes.ts'
import { isWide, splatOf, type Value } from './operations.ts'
import { schedule } from './schedule.ts'
import type { Parts } from './storage.ts'

/** Elements of a row folded into one set of accumulators before these are joined with the total. */
const BLOCK = 4096
/** The same where a lane folds a whole row: its sums have no other lanes to share rounding with. */
const ROW_BLOCK = 256

/** Elements of an unbroken row: a multiple of whole groups that no row exceeds. */
const UNBROKEN = 0x7fff_f000

/** From so many accumulators on, the order of computation decides whether they stay in registers. */
export const MANY = 4

/** What folding one pass needs; `scratch` is the byte offset, from parameter 0, of memory to bounce vectors through. */
export interface FoldPlace {
  readonly frame: Frame
  readonly pass: ReducePass
  /** Values that stay the same along the row. */
  readonly outer: Lanes
  /** In which order to compute the nodes of a step; null: as they come. */
  readonly order: readonly Expr[] | null
  readonly scratch: number
}

/** How the nodes of a fold are computed: those that are ready before its loop, and the order of the others. */
export interface FoldPlan {
  readonly fixed: readonly Expr[]
  readonly order: readonly Expr[] | null
}

/** Registers that accumulators may take. */
const REGISTERS = 8

/** All vector registers but the one that V8 keeps for itself. */
const ALL_REGISTERS = 15

/**
 * Plans a fold whose values `along` the row are known before its loop. Of loads among them (if they may be `repeated` for
 * each element), only so many stay in registers as leave room for the sums: one that is spilled costs more than a load.
 */
export function planFold(pass: ReducePass, along: readonly Expr[], repeated: boolean): FoldPlan {
  if (pass.init.length < MANY) return { fixed: along, order: null }
  const sums = pass.init.map((e, i) => acc(i, e.type))
  const plain = (e: Expr): boolean => e.op === 'const' || e.op === 'scalar'
  const loads: readonly Expr[] = repeated ? along.filter((e) => e.op === 'load') : []
  const others = along.filter((e) => !loads.includes(e))
  const constants = topological(pass.step).filter(plain).length
  for (let n = loads.length; ; n--) {
    const fixed = [...others, ...loads.slice(0, n)]
    const { nodes, peak } = schedule(pass.step, sums, (e) => plain(e) || e.op === 'index' || fixed.includes(e))
    if (n === 0 || peak + fixed.length + constants <= ALL_REGISTERS) return { fixed, order: nodes }
  }
}

/** Groups to interleave at most, so that the accumulators of all of them stay in registers. */
export function foldGroups(pass: ReducePass, host: Host): number {
  const wide = pass.init.some((e) => isWide(e.type))
  const each = pass.init.reduce((n, e) => n + (isWide(e.type) ? 2 : 1), 0) / (host.revectorize ? 2 : 1)
  const groups = 2 ** Math.floor(Math.log2(REGISTERS / each))
  return Math.max(host.revectorize && !wide ? 2 : 1, Math.min(8, groups))
}

/** Locals of accumulators: [accumulator][group] has the vectors of a value. */
type Accumulators = readonly (readonly Parts[])[]

const nowhere = (): never => {
  throw new Error('a merge reads accumulators only')
}
const noOperands: Operands = { dtype: nowhere, access: nowhere, row: nowhere }

function allocate(at: FoldPlace, element: boolean, groups: number): Accumulators {
  return at.pass.init.map((e) =>
    Array.from({ length: groups }, () => at.frame.vectors(isWide(e.type) && !element ? 2 : 1)),
  )
}

function initialize(at: FoldPlace, accumulators: Accumulators): void {
  at.outer.evaluate(at.pass.init)
  accumulators.forEach((groups, i) => {
    const [value] = at.outer.get(at.pass.init[i], 0).parts
    for (const local of groups.flat()) at.frame.f.get(value).set(local)
  })
}

/** Accumulators as values; the vectors of single elements are splats. */
function valuesOf(accumulators: Accumulators, i: number, element: boolean): Value[] {
  return accumulators[i].map((parts) => ({ parts, form: element ? 'any' : 'narrow' }))
}

/** Sets accumulators to evaluated nodes, all at once: a node may be another accumulator's old value. */
function assign(frame: Frame, lanes: Lanes, roots: readonly Expr[], accumulators: Accumulators): void {
  const targets: number[] = []
  accumulators.forEach((groups, i) => {
    groups.forEach((parts, u) => {
      const source = lanes.parts(roots[i], u, isWide(roots[i].type))
      parts.forEach((local, p) => {
        frame.f.get(source[p] ?? source[0])
        targets.push(local)
      })
    })
  })
  for (const local of targets.reverse()) frame.f.set(local)
}

/** `target = merge(target, from)`. */
function join(at: FoldPlace, element: boolean, target: Accumulators, from: Accumulators): void {
  const lanes = new Lanes(at.frame, element, target[0].length, noOperands, at.outer)
  at.pass.init.forEach((e, i) => {
    lanes.bind(acc(i, e.type), valuesOf(target, i, element))
    lanes.bind(other(i, e.type), valuesOf(from, i, element))
  })
  lanes.evaluate(at.pass.merge)
  assign(at.frame, lanes, at.pass.merge, target)
}

/** Takes the groups' current elements into the accumulators. */
function take(at: FoldPlace, lanes: Lanes, accumulators: Accumulators): void {
  for (const [i, e] of at.pass.init.entries()) lanes.bind(acc(i, e.type), valuesOf(accumulators, i, lanes.element))
  if (at.order) lanes.evaluateInOrder(at.order)
  else lanes.evaluate(at.pass.step)
  assign(at.frame, lanes, at.pass.step, accumulators)
}

/** Takes `min(rest, most)` elements, of whole groups of `multiple`, from `rest` and returns a local with their count. */
function takeBlock(frame: Frame, rest: number, most: number, multiple: number): number {
  const { f } = frame
  const count = f.local(I32)
  f.get(rest).i32(-multiple).op(i32.and).set(count)
  f.get(count).i32(most).get(count).i32(most).op(i32.ltS).select().set(count)
  f.get(rest).get(count).op(i32.sub).set(rest)
  return count
}

/**
 * Folds `rest` elements with lanes along the row; `loop` walks a count while it holds whole groups (or elements). The
 * results are splats.
 */
export function foldElements(
  at: FoldPlace,
  rest: number,
  groups: number,
  loop: (count: number, size: number, element: boolean, body: (lanes: Lanes) => void) => void,
): Value[][] {
  const { frame, pass } = at
  const { f } = frame
  const totals = allocate(at, true, 1)
  initialize(at, totals)
  f.block(() => {
    f.get(rest).i32(4).op(i32.ltS).brIf(0)
    frame.loop(
      () => {
        const count = takeBlock(frame, rest, pass.unbroken ? UNBROKEN : BLOCK, 4)
        const wide = allocate(at, false, groups)
        const one = wide.map((list) => list.slice(0, 1))
        initialize(at, one)
        if (groups > 1) {
          f.get(count)
            .i32(4 * groups)
            .op(i32.geS)
            .if(() => {
              initialize(
                at,
                wide.map((list) => list.slice(1)),
              )
              loop(count, groups, false, (lanes) => take(at, lanes, wide))
              frame.reload(wide.flat(2), 0, at.scratch)
              for (let half = groups / 2; half >= 1; half /= 2) {
                join(
                  at,
                  false,
                  wide.map((list) => list.slice(0, half)),
                  wide.map((list) => list.slice(half, 2 * half)),
                )
              }
            })
        }
        loop(count, 1, false, (lanes) => take(at, lanes, one))
        for (const distance of [2, 1] as const) join(at, false, one, shifted(at, one, distance))
        join(
          at,
          true,
          totals,
          one.map((list) => [list[0].slice(0, 1)]),
        )
      },
      () => f.get(rest).i32(4).op(i32.geS),
    )
  })
  loop(rest, 1, true, (lanes) => take(at, lanes, totals))
  totals.forEach((list, i) => {
    splatOf(frame, pass.init[i].type, list[0][0])
  })
  return totals.map((_, i) => valuesOf(totals, i, true))
}

/** Copies of one group's accumulators with lanes moved by `distance`, so that each meets another one. */
function shifted(at: FoldPlace, one: Accumulators, distance: 1 | 2): Accumulators {
  const { f } = at.frame
  return one.map(([parts]) => {
    if (parts.length === 2 && distance === 2) return [[parts[1], parts[0]]]
    const out = parts.map((local) => {
      const v = at.frame.vector()
      f.get(local).get(local)
      if (parts.length === 2) f.shuffle64([1, 0])
      else f.shuffle32(distance === 2 ? [2, 3, 0, 1] : [1, 0, 3, 2])
      f.set(v)
      return v
    })
    return [out]
  })
}

/** Folds `rest` elements with lanes across rows; `loop` walks a count of elements. One result a row. */
export function foldRows(
  at: FoldPlace,
  rest: number,
  loop: (count: number, body: (lanes: Lanes) => void) => void,
): Value[][] {
  const { frame, outer } = at
  const { f } = frame
  const { element, count: groups } = outer
  const totals = allocate(at, element, groups)
  initialize(at, totals)
  // Many totals would take registers from the sums they wait for: they lie in memory meanwhile.
  const apart = !element && at.pass.init.length >= MANY
  const locals = totals.flat(2)
  const kept = at.scratch + 16 * locals.length
  if (apart) {
    f.get(rest)
      .op(i32.eqz)
      .if(() => save(at, locals, kept))
  }
  const first = f.local(I32)
  f.i32(1).set(first)
  f.block(() => {
    f.get(rest).op(i32.eqz).brIf(0)
    frame.loop(
      () => {
        const count = takeBlock(frame, rest, at.pass.unbroken ? UNBROKEN : ROW_BLOCK, 1)
        const part = allocate(at, element, groups)
        initialize(at, part)
        loop(count, (lanes) => take(at, lanes, part))
        const sums = part.flat(2)
        if (!element && !apart) frame.reload(sums, 0, at.scratch)
        f.get(first).if(
          () => {
            if (apart) save(at, sums, kept)
            else for (const [i, local] of sums.entries()) f.get(local).set(locals[i])
          },
          () => {
            if (!apart) return join(at, element, totals, part)
            frame.reload(sums, 0, at.scratch)
            const target = allocate(at, element, groups)
            restore(at, target.flat(2), kept)
            join(at, element, target, part)
            save(at, target.flat(2), kept)
          },
        )
        f.i32(0).set(first)
      },
      () => f.get(rest),
    )
  })
  if (apart) restore(at, locals, kept)
  return totals.map((_, i) => valuesOf(totals, i, element))
}

function save({ frame: { f } }: FoldPlace, locals: readonly number[], offset: number): void {
  for (let i = locals.length - 1; i >= 0; i--) {
    f.get(0)
      .get(locals[i])
      .mem(v128.store, offset + i * 16)
  }
}

function restore({ frame: { f } }: FoldPlace, locals: readonly number[], offset: number): void {
  for (const [i, local] of locals.entries()) {
    f.get(0)
      .mem(v128.load, offset + i * 16)
      .set(local)
  }
}
