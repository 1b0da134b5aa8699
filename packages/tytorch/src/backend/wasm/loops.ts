// Element-wise kernels on flat operands, and what all kernels' loops share: the walk over elements by groups, by four
// and one by one; which nodes change with the element; how many groups to interleave.
import type { ComputeType } from '../../base/dtype.ts'
import { binaryHostFunctions, type Expr, type HostFunction, sources, topological } from '../../ir/expr.ts'
import type { Kernel, MapPass, ReducePass } from '../../ir/kernel.ts'
import { F32, F64, type Func, I32, I64, i32, Module, type ValueType } from './assembler.ts'
import type { Host } from './features.ts'
import { Frame, type Scalars } from './frame.ts'
import { Lanes, type Operands } from './lanes.ts'
import { isWide, operandsOf } from './operations.ts'
import type { Access } from './storage.ts'

/** The memory that modules import: its declared type. */
export interface MemoryType {
  readonly shared: boolean
  readonly maximum: number
}

/** How the lanes of each argument lie in memory; see `Access`. */
export type Kinds = readonly Access['kind'][]

export const valueType: Readonly<Record<ComputeType, ValueType>> = { f32: F32, f64: F64, i32: I32, i64: I64, bool: I32 }

/** The roots of a pass, or of the row stores. */
export function rootsOf(pass: MapPass | ReducePass): readonly Expr[] {
  return pass.kind === 'map' ? pass.stores.map((s) => s.value) : pass.step
}

/** Every node of a kernel. */
export function nodesOf(kernel: Kernel): Expr[] {
  const roots = kernel.passes.flatMap((p) => (p.kind === 'map' ? rootsOf(p) : [...p.init, ...p.step, ...p.merge]))
  return topological([...roots, ...kernel.rowStores.map((s) => s.value)])
}

/** Names of the host functions that a kernel calls. */
export function callsOf(kernel: Kernel): HostFunction[] {
  return [...new Set(nodesOf(kernel).flatMap((e) => (e.op === 'call' ? [e.fn] : [])))]
}

/** Starts a module with one exported function `run`, lets `write` fill it, and returns the bytes. */
export function assemble(
  kernel: Kernel,
  host: Host,
  memory: MemoryType,
  params: readonly ValueType[],
  scalars: (f: Func) => Scalars,
  write: (frame: Frame) => void,
): Uint8Array<ArrayBuffer> {
  const module = new Module(memory)
  const imports = new Map<string, number>()
  for (const name of callsOf(kernel)) {
    const arity = binaryHostFunctions.includes(name) ? 2 : 1
    imports.set(name, module.import('host', name, new Array<ValueType>(arity).fill(F64), [F64]))
  }
  const f = module.func('run', params)
  write(new Frame(f, host, imports, scalars(f)))
  return module.encode()
}

/** How often a node's value changes: 0 never, 1 with the row, 2 with the element. */
export type Level = (e: Expr) => 0 | 1 | 2

/** Levels of nodes, given that of each argument's elements. */
export function levels(kernel: Kernel, ofArg: (arg: number) => 0 | 1 | 2, rows: boolean): Level {
  const known = new Map<Expr, 0 | 1 | 2>()
  const level = (e: Expr): 0 | 1 | 2 => {
    const seen = known.get(e)
    if (seen !== undefined) return seen
    let found: number = 0
    if (e.op === 'load') found = kernel.args[e.arg].per === 'row' ? 1 : ofArg(e.arg)
    else if (e.op === 'gather' && kernel.args[e.arg].per === 'table') found = ofArg(e.arg)
    else if (e.op === 'index' || e.op === 'acc' || e.op === 'other') found = 2
    else if (e.op === 'result' || (e.op === 'gather' && rows)) found = 1
    for (const s of sources(e)) found = Math.max(found, level(s))
    known.set(e, found as 0 | 1 | 2)
    return found as 0 | 1 | 2
  }
  return level
}

/** Nodes of at most level `limit` that `roots` need as they are or as operands of nodes above it. */
export function frontier(roots: readonly Expr[], level: Level, limit: 0 | 1): Expr[] {
  const found = new Set<Expr>()
  const seen = new Set<Expr>()
  const visit = (e: Expr): void => {
    if (seen.has(e)) return
    seen.add(e)
    if (level(e) > limit) for (const s of operandsOf(e)) visit(s)
    else if (e.op !== 'const' && e.op !== 'scalar') found.add(e)
  }
  for (const r of roots) visit(r)
  return [...found]
}

/** Groups in a loop that gathers lane by lane: 0.75, 0.67 and 0.75 ns an element at 1, 2 and 4. */
const GATHERS = 2

/**
 * Groups of four elements to interleave in a loop that evaluates `roots`. Measured on maths functions of 37 to 64
 * nodes: 8 is the best where V8 makes half as many wide vectors of them (exp 0.60, 0.56, 0.47 ns at 2, 4, 8), else 4; lanes that are
 * `scattered` in memory stay as they are. Fused chains of 100 to 190 nodes too (2.5, 2.0, 1.6 ns at 2, 4, 8).
 */
export function unroll(roots: readonly Expr[], host: Host, scattered = false): number {
  const nodes = topological(roots)
  if (nodes.some((e) => e.op === 'call' || isDivision(e))) return 1
  if (nodes.some((e) => e.op === 'gather')) return GATHERS
  const best = host.revectorize && !scattered ? 8 : 4
  const parts = nodes.some((e) => isWide(e.type)) ? 2 : 1
  return Math.max(1, nodes.length > 400 ? best / parts / 2 : best / parts)
}

/** True for the operations that go lane by lane and may trap. */
export function isDivision(e: Expr): boolean {
  return (e.op === 'div' || e.op === 'rem') && (e.type === 'i32' || e.type === 'i64')
}

/** Repeats `visit` while `count` (an i32 local, taken down) holds `size` groups of four, or one element. */
export function tier(frame: Frame, count: number, size: number, element: boolean, visit: () => void): void {
  const { f } = frame
  const step = element ? 1 : 4 * size
  f.block(() => {
    f.get(count).i32(step).op(i32.ltS).brIf(0)
    frame.loop(
      () => {
        visit()
        f.inc(count, -step)
      },
      () => f.get(count).i32(step).op(i32.geS),
    )
  })
}

/**
 * Walks `count` elements (an i32 local that is used up): `visit(groups, false)`, then one group of four at a time, then
 * single elements by `visit(1, true)`; `visit` must also advance its pointers.
 */
export function walk(
  frame: Frame,
  count: number,
  groups: number,
  visit: (groups: number, element: boolean) => void,
): void {
  if (groups > 1) tier(frame, count, groups, false, () => visit(groups, false))
  tier(frame, count, 1, false, () => visit(1, false))
  tier(frame, count, 1, true, () => visit(1, true))
}

/** `pointer += elements * step`, where the step is the element's size or a stride's local. */
export function advance(frame: Frame, access: Access, itemsize: number, elements: number): void {
  const { f } = frame
  if (access.kind === 'c') f.inc(access.pointer, elements * itemsize)
  else if (access.kind === 'g') {
    f.get(access.pointer).get(access.stride)
    if (elements > 1) f.i32(Math.log2(elements)).op(i32.shl)
    f.op(i32.add).set(access.pointer)
  }
}

/** The arguments whose place a pass needs element by element, in order. */
export function elementArgs(kernel: Kernel, pass: MapPass | ReducePass): number[] {
  const used = new Set<number>()
  for (const e of topological(rootsOf(pass))) {
    if (e.op === 'load' && kernel.args[e.arg].per === 'element') used.add(e.arg)
    if (e.op === 'gather' && kernel.args[e.arg].per === 'table') used.add(e.arg)
  }
  if (pass.kind === 'map') for (const s of pass.stores) used.add(s.arg)
  return [...used].sort((a, b) => a - b)
}

/** A module whose `run(n, ...pointers, ...scalars)` is one map pass over n elements. */
export function emitFlat(kernel: Kernel, kinds: Kinds, host: Host, memory: MemoryType): Uint8Array<ArrayBuffer> {
  const [pass] = kernel.passes
  if (kernel.passes.length !== 1 || pass.kind !== 'map') throw new Error(`kernel '${kernel.name}' is not element-wise`)
  const params: ValueType[] = [
    I32,
    ...kernel.args.map((): ValueType => I32),
    ...kernel.scalars.map((s) => valueType[s]),
  ]
  const first = 1 + kernel.args.length
  const write = (frame: Frame): void => {
    const { f } = frame
    const bases = new Map<number, number>()
    const operands: Operands = {
      dtype: (arg) => kernel.args[arg].dtype,
      access: (arg) => ({ kind: kinds[arg], pointer: 1 + arg, stride: -1 }),
      row: (arg) =>
        bases.has(arg) ? { pointer: bases.get(arg)!, stride: bases.get(-1 - arg)!, laneStride: null } : null,
    }
    f.get(0)
      .i32(0)
      .op(i32.leS)
      .if(() => f.return())
    const start = f.bytes.length
    for (const e of nodesOf(kernel)) {
      if (e.op !== 'gather' || kernel.args[e.arg].per === 'table' || bases.has(e.arg)) continue
      const [base, stride] = [f.local(I32), f.local(I32)]
      f.get(1 + e.arg).set(base)
      f.i32(kinds[e.arg] === 's' ? 0 : kernel.args[e.arg].dtype.itemsize).set(stride)
      bases.set(e.arg, base).set(-1 - e.arg, stride)
    }
    const roots = rootsOf(pass)
    const level = levels(kernel, (arg) => (kinds[arg] === 's' ? 0 : 2), false)
    const launch = new Lanes(frame, true, 1, operands, null)
    launch.evaluateSplats(frontier(roots, level, 0))
    const used = elementArgs(kernel, pass)
    walk(frame, 0, unroll(roots, host, kinds.includes('g')), (groups, element) => {
      const lanes = new Lanes(frame, element, groups, operands, launch)
      lanes.evaluate(roots)
      lanes.store(pass.stores)
      for (const arg of used) {
        advance(frame, operands.access(arg), kernel.args[arg].dtype.itemsize, element ? 1 : 4 * groups)
      }
    })
    frame.finish(start)
  }
  return assemble(
    kernel,
    host,
    memory,
    params,
    (f) => ({ types: kernel.scalars, push: (i) => f.get(first + i) }),
    write,
  )
}
