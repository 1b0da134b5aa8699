// Backward: walks the recorded graph from its roots to its leaves, each node once, when all its gradients are there.
// Gradients that no user can have seen are given back as soon as their last reader has run.
import { RuntimeError } from '../base/errors.ts'
import { sameSizes } from '../base/shape.ts'
import { enableGrad, isAnomalyCheckNanEnabled, isAnomalyEnabled, noGrad } from './mode.ts'
import { AccumulateGrad, historyOf, leafOf, type Node } from './node.ts'
import { closeArena, openArena, release, type Storage, settle } from './storage.ts'
import type { Tensor } from './tensor.ts'
import { tracer } from './tracer.ts'

export interface BackwardOptions {
  /** Keeps the graph, so that it can be walked again. Defaults to `createGraph`. */
  readonly retainGraph?: boolean | undefined
  /** Records the backward pass too, for higher derivatives. */
  readonly createGraph?: boolean | undefined
  /** Accumulates into these tensors only. */
  readonly inputs?: Tensor | readonly Tensor[] | undefined
}

/** A node's progress: gradients still to come, and those that arrived. */
interface Pending {
  waiting: number
  readonly grads: (Tensor | null)[]
  /** Whether a tensor that gradients were asked for lies beyond this node. */
  wanted: boolean
}

/** Where gradients are delivered when they were asked for by name: by node and output. */
type Captures = Map<Node, { readonly output: number; readonly position: number }[]>

/** The gradient to start from: the one given, checked and in the dtype of the root, or 1 for a one-element root. */
function startGradient(root: Tensor, given: Tensor | null | undefined, i: number): Tensor {
  if (given) {
    if (!sameSizes(given.sizes, root.sizes)) {
      throw new RuntimeError(
        `Mismatch in shape: grad_output[${i}] has a shape of ${given.shape} and output[${i}] has a shape of ${root.shape}.`,
      )
    }
    if (given.dtype.isComplex !== root.dtype.isComplex) {
      throw new RuntimeError(
        `For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: grad_output[${i}] has a dtype of ${given.dtype} and output[${i}] has a dtype of ${root.dtype}.`,
      )
    }
    return given.dtype === root.dtype ? given : given.to(root.dtype)
  }
  if (root.count !== 1) throw new RuntimeError('grad can be implicitly created only for scalar outputs')
  if (root.dtype.isComplex)
    throw new RuntimeError(`grad can be implicitly created only for real scalar outputs but got ${root.dtype}`)
  return root.onesLike()
}

/** Runs backward from `roots`; returns the gradients of `inputs` if given, else accumulates into the leaves. */
export function runBackward(
  roots: readonly Tensor[],
  given: readonly (Tensor | null | undefined)[],
  options: { retainGraph: boolean; createGraph: boolean; inputs: readonly Tensor[] | null },
): (Tensor | null)[] {
  const found: (Tensor | null)[] = new Array(options.inputs?.length ?? 0).fill(null)
  const run = (): void => {
    const captures = options.inputs ? capturesOf(options.inputs) : null
    const pending = new Map<Node, Pending>()
    const starts = roots.map((root, i) => {
      const node = historyOf(root)
      if (!node) throw new RuntimeError(`element ${i} of tensors does not require grad and does not have a grad_fn`)
      return { node, output: root.nodeOutput, grad: startGradient(root, given[i], i) }
    })
    for (const s of starts) count(s.node, pending, captures)
    const arena: Storage[] = []
    const before = openArena(options.createGraph ? null : arena)
    try {
      const pass = new Pass(pending, captures, found, options.createGraph ? null : arena, options.retainGraph)
      for (const s of starts) pass.deliver(s.node, s.output, s.grad)
      pass.start(new Set(starts.map((s) => s.node)))
    } finally {
      closeArena(arena, before)
    }
  }
  if (tracer !== null && !options.retainGraph) tracer.walked(roots)
  if (options.createGraph) enableGrad(run)
  else noGrad(run)
  if (!options.retainGraph) settle()
  return found
}

function capturesOf(inputs: readonly Tensor[]): Captures {
  const captures: Captures = new Map()
  inputs.forEach((x, position) => {
    const node = historyOf(x)
    if (!node) throw new RuntimeError('One of the differentiated Tensors does not require grad')
    const list = captures.get(node) ?? []
    list.push({ output: node instanceof AccumulateGrad ? 0 : x.nodeOutput, position })
    captures.set(node, list)
  })
  return captures
}

/** Counts, for every node reachable from `root`, the edges that lead to it, and marks those that lead to a capture. */
function count(root: Node, pending: Map<Node, Pending>, captures: Captures | null): void {
  if (pending.has(root)) return
  const order: Node[] = []
  const stack: Node[] = [root]
  pending.set(root, open(root))
  while (stack.length > 0) {
    const node = stack.pop() as Node
    order.push(node)
    for (const next of node.next) {
      if (!next) continue
      let entry = pending.get(next)
      if (!entry) {
        entry = open(next)
        pending.set(next, entry)
        stack.push(next)
      }
      entry.waiting++
    }
  }
  if (!captures) return
  // A node is wanted if it is captured or any of its inputs is; inputs have lower sequence numbers, leaves the highest.
  order.sort((a, b) => rank(a) - rank(b))
  for (const node of order) {
    const entry = pending.get(node) as Pending
    entry.wanted = captures.has(node) || node.next.some((n) => n !== null && (pending.get(n) as Pending).wanted)
  }
}

function rank(node: Node): number {
  return node.sequence === Number.POSITIVE_INFINITY ? -1 : node.sequence
}

function open(node: Node): Pending {
  return { waiting: 0, grads: new Array<Tensor | null>(node.outputs).fill(null), wanted: true }
}

/** One walk of the graph. */
class Pass {
  private readonly pending: Map<Node, Pending>
  private readonly captures: Captures | null
  private readonly found: (Tensor | null)[]
  /** Storages made by this pass, or null when they may be kept (createGraph). */
  private readonly arena: Storage[] | null
  private readonly retainGraph: boolean
  /** Nodes whose gradients are complete, by rising sequence. */
  private readonly ready: Node[] = []

  constructor(
    pending: Map<Node, Pending>,
    captures: Captures | null,
    found: (Tensor | null)[],
    arena: Storage[] | null,
    retainGraph: boolean,
  ) {
    this.pending = pending
    this.captures = captures
    this.found = found
    this.arena = arena
    this.retainGraph = retainGraph
  }

  start(roots: ReadonlySet<Node>): void {
    for (const node of roots) if ((this.pending.get(node) as Pending).waiting === 0) this.queue(node)
    for (let node = this.ready.pop(); node; node = this.ready.pop()) this.visit(node)
  }

  private queue(node: Node): void {
    let at = this.ready.length
    while (at > 0 && this.ready[at - 1].sequence > node.sequence) at--
    this.ready.splice(at, 0, node)
  }

  /** Adds `g` to what arrived at an output of `node`. */
  deliver(node: Node, output: number, g: Tensor): void {
    const { grads } = this.pending.get(node) as Pending
    const there = grads[output]
    if (!there) {
      grads[output] = g
      g.storage.holds++
      return
    }
    const sum = there.add(g)
    sum.storage.holds++
    grads[output] = sum
    this.drop(there.storage)
    if (g.storage.holds === 0) this.drop(g.storage)
  }

  /** One reader less; the storage is given back when it was the last and nobody else can hold it. */
  private drop(storage: Storage): void {
    if (storage.holds > 0) storage.holds--
    if (storage.holds === 0 && storage.temporary && this.arena) release(storage)
  }

  private visit(node: Node): void {
    const entry = this.pending.get(node) as Pending
    this.pending.delete(node)
    this.runHooks(node, entry.grads)
    const captured = this.captures?.get(node)
    if (captured) {
      for (const c of captured) {
        const g = entry.grads[c.output]
        if (g) this.found[c.position] = keep(g)
      }
    }
    if (node instanceof AccumulateGrad) {
      const g = entry.grads[0]
      if (!this.captures && g) {
        accumulate(node.variable, g, this.arena === null)
        runAfterwards(node.variable)
      }
      if (g) this.drop(g.storage)
      return
    }
    if (!entry.wanted || (captured && !node.next.some((n) => n && this.pending.get(n)?.wanted))) {
      this.forward(node, [])
      return
    }
    const inputs = this.apply(node, entry.grads)
    this.forward(node, inputs)
    for (const g of entry.grads) if (g) this.drop(g.storage)
    if (!this.retainGraph) node.release()
  }

  /** Runs the node's gradient; what it allocated and does not return is given back. */
  private apply(node: Node, grads: (Tensor | null)[]): readonly (Tensor | null)[] {
    if (grads.every((g) => g === null)) return []
    const needs = node.next.map((n) => n !== null && (this.pending.get(n)?.wanted ?? false))
    const mark = this.arena?.length ?? 0
    // User code may keep any tensor that it sees or makes: nothing of it is ours to give back.
    const suspended = node.foreign && this.arena
    if (suspended) {
      for (const g of grads) if (g) keep(g)
      openArena(null)
    }
    let inputs: readonly (Tensor | null)[]
    try {
      inputs = node.run(grads, needs)
    } catch (error) {
      if (node.trace && error instanceof Error) {
        error.message += `\nError detected in ${node.name}. Forward call that caused it:\n${node.trace}`
      }
      throw error
    } finally {
      if (suspended) openArena(this.arena)
    }
    if (isAnomalyEnabled() && isAnomalyCheckNanEnabled()) checkNaN(node, inputs)
    if (this.arena && !suspended) {
      for (const g of inputs) if (g) g.storage.holds++
      for (let i = mark; i < this.arena.length; i++) if (this.arena[i].holds === 0) release(this.arena[i])
      for (const g of inputs) if (g) g.storage.holds--
    }
    return inputs
  }

  /** Hands the gradients of a node's inputs on, and queues the nodes that are complete. */
  private forward(node: Node, inputs: readonly (Tensor | null)[]): void {
    for (let i = 0; i < node.next.length; i++) {
      const next = node.next[i]
      if (!next) continue
      const entry = this.pending.get(next)
      if (!entry) continue
      const g = inputs[i]
      if (g && entry.wanted) this.deliver(next, node.nextOutput[i], g)
      if (--entry.waiting === 0) this.queue(next)
    }
  }

  private runHooks(node: Node, grads: (Tensor | null)[]): void {
    if (!node.hooks && !node.retained) return
    const arena = openArena(null)
    try {
      for (const [output, hooks] of node.hooks ?? []) {
        for (const hook of hooks) {
          const g = grads[output]
          if (!g) continue
          const replaced = hook(keep(g))
          if (replaced) grads[output] = keep(replaced)
        }
      }
      for (const [output, x] of node.retained ?? []) {
        const g = grads[output]
        if (g) leafOf(x).grad = keep(g)
      }
    } finally {
      openArena(arena)
    }
  }
}

/** Runs user code, which may keep whatever it sees or makes. */
function runAfterwards(x: Tensor): void {
  const hooks = x.leaf?.afterwards
  if (!hooks) return
  const arena = openArena(null)
  try {
    for (const hook of hooks) hook(x)
  } finally {
    openArena(arena)
  }
}

/** Marks a gradient as possibly held by the user. */
function keep(g: Tensor): Tensor {
  g.storage.holds = Number.POSITIVE_INFINITY
  return g
}

/** Adds `g` into `x.grad`: the first one is taken over if nobody else reads it, else copied. */
function accumulate(x: Tensor, g: Tensor, createGraph: boolean): void {
  if (tracer !== null) tracer.gradUsed(x)
  const leaf = leafOf(x)
  const there = leaf.grad
  if (!there) {
    const { storage } = g
    const sole =
      storage.temporary && storage.holds === 1 && g.contiguousLayout && g.count * g.dtype.itemsize === storage.bytes
    leaf.grad = keep(createGraph || sole ? g : g.clone())
    if (!createGraph) leaf.grad.node = null
  } else if (createGraph) leaf.grad = keep(there.add(g))
  else there.add_(g)
}

function checkNaN(node: Node, inputs: readonly (Tensor | null)[]): void {
  inputs.forEach((g, i) => {
    if (g && g.dtype.kind === 'float' && g.isnan().any().item<boolean>()) {
      throw new RuntimeError(
        `Function '${node.name}' returned nan values in its ${i}th output. Forward call that caused it:\n${node.trace}`,
      )
    }
  })
}
