// What fusion asks of expressions: their nodes, how much work they are, and what they depend on.
import { type Expr, topological } from '../ir/expr.ts'
import type { Kernel } from '../ir/kernel.ts'

/** Every node of a kernel. */
export function nodesOf(kernel: Kernel): Expr[] {
  const roots = kernel.passes.flatMap((p) =>
    p.kind === 'map' ? p.stores.map((s) => s.value) : [...p.init, ...p.step, ...p.merge],
  )
  return topological([...roots, ...kernel.rowStores.map((s) => s.value)])
}

const LEAVES: ReadonlySet<string> = new Set(['const', 'scalar', 'load', 'index', 'acc', 'other', 'result'])
const weights = new WeakMap<Expr, number>()

/** The work of an expression in simple vector operations; divisions and host functions count for several. */
export function weightOf(e: Expr): number {
  let found = weights.get(e)
  if (found === undefined) {
    found = 0
    for (const node of topological([e])) found += workOf(node)
    weights.set(e, found)
  }
  return found
}

/** The work of several expressions, what they have in common once. */
export function weightOfAll(roots: readonly Expr[]): number {
  return topological(roots).reduce((n, e) => n + workOf(e), 0)
}

function workOf(e: Expr): number {
  if (LEAVES.has(e.op)) return 0
  if (e.op === 'call') return 60
  if (e.op === 'gather' || e.op === 'rem') return 8
  return e.op === 'div' || e.op === 'sqrt' ? 4 : 1
}

/** True if any node under the roots is of one of these kinds. */
export function uses(roots: readonly Expr[], ...ops: readonly Expr['op'][]): boolean {
  return topological(roots).some((e) => ops.includes(e.op))
}

/** The passes whose results an expression reads. */
export function passesOf(roots: readonly Expr[]): number[] {
  const found = new Set<number>()
  for (const e of topological(roots)) if (e.op === 'result') found.add(e.pass)
  return [...found]
}
