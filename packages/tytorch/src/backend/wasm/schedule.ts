// The order in which a fold's nodes are computed. V8 keeps the order it is given, and an accumulator that it spills costs
// a loop 13 cycles a turn (a store, a load that waits for it, an addition), so the order with the fewest live values wins.
import type { Expr } from '../../ir/expr.ts'
import { operandsOf } from './operations.ts'

/** How many of the most used loads to try to begin with. */
const PRELOADS = 2

/** What to compute, in order, and how many values are alive at most, `held` included. */
export interface Order {
  readonly nodes: readonly Expr[]
  readonly peak: number
}

/**
 * Orders all nodes that `roots` need, without those that are `known` beforehand and stay where they are. Values in `held`
 * (accumulators) are there from the start and die with their last use; roots stay until the end.
 */
export function schedule(roots: readonly Expr[], held: readonly Expr[], known: (e: Expr) => boolean): Order {
  const given = new Set(held)
  const nodes: Expr[] = []
  const users = new Map<Expr, Expr[]>()
  const seen = new Set<Expr>()
  const visit = (e: Expr): void => {
    if (seen.has(e) || given.has(e) || known(e)) return
    seen.add(e)
    for (const s of operands(e)) {
      if (!known(s)) users.set(s, [...(users.get(s) ?? []), e])
      visit(s)
    }
    nodes.push(e)
  }
  for (const r of roots) visit(r)
  const all: Graph = { roots: new Set(roots), held, nodes, users, needs: needs(nodes), known }
  const loads = nodes.filter((e) => e.op === 'load')
  loads.sort((a, b) => users.get(b)!.length - users.get(a)!.length)
  let best: Order | null = null
  for (let n = 0; n <= Math.min(PRELOADS, loads.length); n++) {
    for (const ends of [roots, [...roots].reverse()]) {
      const found = new Walk(all).order([...loads.slice(0, n), ...ends])
      if (!best || found.peak < best.peak) best = found
    }
  }
  return best as Order
}

interface Graph {
  readonly roots: ReadonlySet<Expr>
  readonly held: readonly Expr[]
  readonly nodes: readonly Expr[]
  readonly users: ReadonlyMap<Expr, readonly Expr[]>
  readonly needs: ReadonlyMap<Expr, number>
  readonly known: (e: Expr) => boolean
}

const operands = (e: Expr): readonly Expr[] => [...new Set(operandsOf(e))]

/** Registers that each node's own tree takes (Sethi and Ullman): the deepest operand goes first. */
function needs(nodes: readonly Expr[]): Map<Expr, number> {
  const found = new Map<Expr, number>()
  for (const e of nodes) {
    const own = operands(e).map((s) => found.get(s) ?? 0)
    own.sort((a, b) => b - a)
    found.set(e, Math.max(1, ...own.map((n, i) => n + i)))
  }
  return found
}

class Walk {
  private readonly graph: Graph
  private readonly done: Set<Expr>
  private readonly left = new Map<Expr, number>()
  private readonly nodes: Expr[] = []
  private live: number
  private peak: number

  constructor(graph: Graph) {
    this.graph = graph
    this.done = new Set(graph.held)
    for (const [e, list] of graph.users) this.left.set(e, list.length + (graph.roots.has(e) ? 1 : 0))
    this.live = graph.held.length
    this.peak = this.live
  }

  order(ends: readonly Expr[]): Order {
    for (const e of ends) this.reach(e)
    return { nodes: this.nodes, peak: this.peak }
  }

  private reach(e: Expr): void {
    if (this.done.has(e) || this.graph.known(e)) return
    const { needs } = this.graph
    const src = [...operands(e)].sort((a, b) => (needs.get(b) ?? 0) - (needs.get(a) ?? 0))
    for (const s of src) this.reach(s)
    if (!this.done.has(e)) this.emit(e)
  }

  /** Computes a node, and then whatever frees as many values as it makes. */
  private emit(e: Expr): void {
    this.nodes.push(e)
    this.done.add(e)
    this.live += this.change(e)
    for (const s of operands(e)) this.left.set(s, (this.left.get(s) ?? 1) - 1)
    this.peak = Math.max(this.peak, this.live)
    for (const user of this.graph.users.get(e) ?? []) this.eager(user)
    for (const s of operands(e)) for (const user of this.graph.users.get(s) ?? []) this.eager(user)
  }

  private eager(e: Expr): void {
    if (this.done.has(e) || !operands(e).every((s) => this.done.has(s) || this.graph.known(s))) return
    if (this.change(e) <= 0) this.emit(e)
  }

  /** How many more values are alive after a node than before it. */
  private change(e: Expr): number {
    let change = 1
    for (const s of operands(e)) if (this.left.get(s) === 1) change--
    return change
  }
}
