// Tracing a call: runs the function once for real, and makes a graph of what it did, or says why it can't be one.
import { runBackward } from '../tensor/engine.ts'
import { AccumulateGrad, historyOf, Node } from '../tensor/node.ts'
import { openArena, type Storage } from '../tensor/storage.ts'
import { alias, type Tensor } from '../tensor/tensor.ts'
import { type Backwards, type FinalGrad, Graph, type Result, type Source } from './graph.ts'
import { Arguments, Guards, type LeafRef, ModuleGuard, Surroundings } from './guards.ts'
import { Recorder } from './recorder.ts'
import { Section } from './section.ts'
import { formOf, rebuild, resultForm } from './structure.ts'
import type { BufferKind } from './trace.ts'

/** A call that was traced: its result, and its graph or the reason why there is none. */
export interface Captured {
  readonly result: unknown
  readonly arguments: Arguments
  readonly graph: Graph | null
  readonly reason: string
}

/** What the function sees of an argument that has a graph: the same memory, with a node that the trace ends at. */
interface Stand {
  readonly original: Tensor
  readonly proxy: Tensor
  readonly node: Node
}

/** How calls are traced. */
export interface CaptureOptions {
  /** Throws for what can't be traced. */
  readonly strict: boolean
  /** Joins kernels. */
  readonly fusion: boolean
}

/** Traces `fn(...given)`. */
export function capture(
  fn: (...args: never[]) => unknown,
  given: readonly unknown[],
  { strict, fusion }: CaptureOptions,
): Captured {
  const surroundings = new Surroundings()
  const args: Tensor[] = []
  const form = formOf(given, args)
  const argumentGuard = new Arguments(form, args, surroundings)
  const stands = new Map<Tensor, Stand>()
  const first = new Node('Start', [], [], () => []).sequence
  const seen = args.map((t) => (t.node === null ? t : standFor(t, stands).proxy))
  const recorder = new ModuleRecorder(strict)
  let result: unknown
  // What the graph keeps is no part of a scope around the call.
  const arena = openArena(null)
  try {
    result = recorder.run(() => fn(...(rebuild(form, seen) as never[])))
    if (typeof (result as { then?: unknown } | null)?.then === 'function') recorder.untraceable('an async function')
    for (const s of stands.values()) returnHistory(s, recorder)
    const capture = new Capture(recorder, args, seen, stands, first, fusion)
    const graph = recorder.failure === null ? capture.graph(argumentGuard, result) : null
    if (!graph) return { result, arguments: argumentGuard, graph: null, reason: recorder.failure as string }
    return { result: graph.answer(args, capture.fresh), arguments: argumentGuard, graph, reason: '' }
  } finally {
    recorder.close()
    recorder.forget()
    openArena(arena)
  }
}

/** A recorder that keeps modules as they were when they were first called. */
class ModuleRecorder extends Recorder {
  readonly moduleGuards: ModuleGuard[] = []

  override module(module: object): void {
    if (this.modules.has(module)) return
    super.module(module)
    this.moduleGuards.push(new ModuleGuard(module))
  }
}

function standFor(original: Tensor, stands: Map<Tensor, Stand>): Stand {
  let found = stands.get(original)
  if (!found) {
    const proxy = alias(original, original.sizes, original.strides, original.offset)
    const node = new Node('Argument', [historyOf(original)], [original.nodeOutput], (g: readonly (Tensor | null)[]) => [
      g[0],
    ])
    proxy.node = node
    found = { original, proxy, node }
    stands.set(original, found)
  }
  return found
}

/** An argument that has a graph and was changed in place takes its new history. */
function returnHistory({ original, proxy, node }: Stand, recorder: Recorder): void {
  if (proxy.node === node) return
  original.node = proxy.node
  original.nodeOutput = proxy.nodeOutput
  recorder.untraceable('a change in place of an argument that has a graph')
}

class Capture {
  /** The forward's fresh storages, in the order of the graph's. */
  readonly fresh: Storage[] = []
  private readonly recorder: ModuleRecorder
  private readonly args: readonly Tensor[]
  private readonly seen: readonly Tensor[]
  private readonly stands: ReadonlyMap<Tensor, Stand>
  private readonly first: number
  private readonly fusion: boolean
  /** Storages of arguments, with the first argument on each. */
  private readonly groups = new Map<Storage, number>()
  private readonly state = new Set<Storage>()

  constructor(
    recorder: ModuleRecorder,
    args: readonly Tensor[],
    seen: readonly Tensor[],
    stands: ReadonlyMap<Tensor, Stand>,
    first: number,
    fusion: boolean,
  ) {
    this.fusion = fusion
    this.recorder = recorder
    this.args = args
    this.seen = seen
    this.stands = stands
    this.first = first
    args.forEach((t, i) => {
      if (!this.groups.has(t.storage)) this.groups.set(t.storage, i)
    })
  }

  /** The graph of what the recorder saw, or null with the recorder's `failure` set. */
  graph(argumentGuard: Arguments, result: unknown): Graph | null {
    const { recorder } = this
    const found: Tensor[] = []
    const form = resultForm(result, found)
    const grads = [...recorder.grads].map(([leaf, use]) => [this.leafRef(leaf), use] as const)
    const finalGrads: FinalGrad[] = []
    for (const [leaf, use] of recorder.grads) {
      const grad = leaf.leaf?.grad ?? null
      if (grad && recorder.made.has(grad.storage)) this.state.add(grad.storage)
      if (grad !== use.before || !use.needed) finalGrads.push({ leaf: this.leafRef(leaf), grad })
    }
    const outputs = found.filter((t) => this.differentiated(t))
    const back = outputs.length > 0 ? this.backward([...new Set(outputs)]) : null
    if (recorder.failure !== null) return null
    for (const t of found) this.keepFresh(t.storage)
    for (const storage of back?.recorder.used.keys() ?? []) this.keepFresh(storage)
    const fresh = new Set(this.fresh)
    const kindOf = (storage: Storage, made: boolean): BufferKind => {
      if (this.groups.has(storage)) return 'input'
      if (!made) return 'captured'
      return this.state.has(storage) ? 'state' : fresh.has(storage) ? 'output' : 'temporary'
    }
    const starts = new Map([...this.groups].map(([storage, i]) => [storage, startOf(this.args[i])]))
    const recorded = recorder.finish(kindOf, starts)
    if (!recorded) return null
    const inputs = [...this.groups].map(([storage, argument]) => ({ storage, argument }))
    const forward = new Section(recorded, recorder.lives, inputs, this.fresh, this.fusion)
    const backwards = back && this.finishBackward(back)
    if (recorder.failure !== null) return null
    const outputNumbers = new Map([...new Set(outputs)].map((t, i) => [t, i]))
    const results = found.map((t) => this.resultOf(t, outputNumbers.get(t) ?? -1))
    const own = new Set([...recorder.used.keys(), ...this.state].filter((s) => !this.groups.has(s)))
    const argumentSet = new Set<Tensor>([...this.args, ...this.seen])
    const outer = [...recorder.outer].filter((t) => !argumentSet.has(t) && !this.groups.has(t.storage))
    const guards = new Guards(recorder.moduleGuards, recorder.guards, outer, grads, own)
    const parts = { arguments: argumentGuard, guards, forward, form, results, finalGrads, backwards }
    const graph = new Graph(parts, this.mortals(found, results, back))
    back?.recorder.forget()
    return graph
  }

  /** What nobody can reach after the trace, unless the function left it somewhere: temporaries, and its own results. */
  private mortals(found: readonly Tensor[], results: readonly Result[], back: OpenBackward | null): object[] {
    const kept = new Set([...this.fresh, ...this.state])
    const storages = [...this.recorder.made.keys()].filter((s) => !kept.has(s))
    const own = found.filter((_, i) => results[i].same === null && 'fresh' in results[i].source)
    return [...storages, ...own, ...(back ? back.recorder.made.keys() : [])]
  }

  private leafRef(leaf: Tensor): LeafRef {
    const at = this.args.indexOf(leaf)
    return at < 0 ? leaf : at
  }

  private keepFresh(storage: Storage): void {
    if (this.recorder.made.has(storage) && !this.state.has(storage) && !this.fresh.includes(storage)) {
      this.fresh.push(storage)
    }
  }

  /** True for a result that gradients flow through: made inside, by a graph that no backward inside has freed. */
  private differentiated(t: Tensor): boolean {
    if (historyOf(t) === null || t.node === null) return false
    if ([...this.stands.values()].some((s) => s.proxy === t)) return false
    const stack: (Node | null)[] = [t.node]
    const known = new Set<Node>()
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node === null || known.has(node)) continue
      if (this.recorder.spent.has(node)) return false
      known.add(node)
      stack.push(...node.next)
    }
    return true
  }

  /** Traces the backward pass of `outputs`, on gradients of no meaning. */
  private backward(outputs: readonly Tensor[]): OpenBackward | null {
    const targets: { readonly tensor: Tensor; readonly ref: LeafRef }[] = []
    const standBy = new Map([...this.stands.values()].map((s) => [s.node, s]))
    const known = new Set<Node>()
    const stack = outputs.map((t) => t.node)
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node === null || known.has(node)) continue
      known.add(node)
      const stand = standBy.get(node)
      if (stand) targets.push({ tensor: stand.proxy, ref: this.args.indexOf(stand.original) })
      else if (node instanceof AccumulateGrad) targets.push({ tensor: node.variable, ref: this.leafRef(node.variable) })
      else if (node.sequence < this.first) {
        this.recorder.untraceable(`a tensor from outside that has a graph (${node.name})`)
        return null
      } else stack.push(...node.next)
    }
    const given = outputs.map((t) => t.detach().onesLike())
    const recorder = new Recorder(false)
    // Hooks of leaves run when the compiled node's gradients reach them.
    const hooked = targets.map(({ tensor }) => historyOf(tensor) as Node)
    const hooks = hooked.map((node) => (node instanceof AccumulateGrad ? node.hooks : null))
    for (const node of hooked) if (node instanceof AccumulateGrad) node.hooks = null
    try {
      const inputs = targets.map((t) => t.tensor)
      const grads = recorder.run(() => runBackward(outputs, given, { retainGraph: true, createGraph: false, inputs }))
      if (recorder.failure !== null) this.recorder.untraceable(`${recorder.failure}, in backward`)
      return { recorder, given, targets: targets.map((t) => t.ref), grads }
    } finally {
      hooked.forEach((node, i) => {
        if (node instanceof AccumulateGrad) node.hooks = hooks[i]
      })
      recorder.close()
    }
  }

  private finishBackward({ recorder, given, targets, grads }: OpenBackward): Backwards | null {
    // The replay's arguments: the gradients given, then what is saved.
    const saved: Source[] = []
    const places = new Map<Storage, number>(given.map((g, i) => [g.storage, i]))
    for (const storage of recorder.used.keys()) {
      if (places.has(storage)) continue
      const at = given.length + saved.length
      const fresh = this.fresh.indexOf(storage)
      const argument = this.groups.get(storage)
      if (argument !== undefined) saved.push({ argument })
      else if (fresh >= 0) saved.push({ fresh })
      else {
        // In its place for good; kept among the saved so that changes in between are found.
        saved.push({ storage })
        continue
      }
      places.set(storage, at)
    }
    const fresh: Storage[] = []
    for (const g of grads) if (g && recorder.made.has(g.storage) && !fresh.includes(g.storage)) fresh.push(g.storage)
    const outgoing = new Set(fresh)
    const kindOf = (storage: Storage, made: boolean): BufferKind => {
      if (places.has(storage)) return 'input'
      if (!made) return 'captured'
      return outgoing.has(storage) ? 'output' : 'temporary'
    }
    const starts = new Map([...this.groups].map(([storage, i]) => [storage, startOf(this.args[i])]))
    const recorded = recorder.finish(kindOf, starts)
    if (!recorded) {
      this.recorder.untraceable(`${recorder.failure}, in backward`)
      return null
    }
    const inputs = [...places].map(([storage, argument]) => ({ storage, argument }))
    const outputs = given.map((g) => ({ sizes: g.sizes, dtype: g.dtype }))
    const results = grads.map((g): Result | null => {
      if (!g) return null
      const at = fresh.indexOf(g.storage)
      const place = places.get(g.storage)
      const source: Source =
        at >= 0 ? { fresh: at } : place !== undefined ? { argument: place } : { storage: g.storage }
      return { ...shapeOf(g), source, offset: g.offset, same: null, output: -1, leaf: false }
    })
    return {
      section: new Section(recorded, recorder.lives, inputs, fresh, this.fusion),
      targets,
      results,
      outputs,
      saved,
    }
  }

  private resultOf(t: Tensor, output: number): Result {
    const { recorder } = this
    const base = { ...shapeOf(t), output, leaf: t.node === null && t.leaf?.requiresGrad === true }
    const argument = this.seen.indexOf(t)
    if (argument >= 0) return { ...base, same: argument, source: { argument }, offset: 0, leaf: false }
    const group = this.groups.get(t.storage)
    if (group !== undefined) {
      const from = this.args[group]
      const offset = t.offset - (from.offset * from.dtype.itemsize) / t.dtype.itemsize
      return { ...base, same: null, source: { argument: group }, offset }
    }
    const at = this.fresh.indexOf(t.storage)
    if (at >= 0) return { ...base, same: null, source: { fresh: at }, offset: t.offset }
    // A tensor from outside is answered itself; views of it, and gradients made inside, are made anew.
    const outside = recorder.outer.has(t) || (!recorder.made.has(t.storage) && t.base === null && t.node === null)
    return { ...base, same: outside ? t : null, source: { storage: t.storage }, offset: t.offset, leaf: false }
  }
}

/** A traced backward pass, before its steps are finished. */
interface OpenBackward {
  readonly recorder: Recorder
  readonly given: readonly Tensor[]
  readonly targets: readonly LeafRef[]
  readonly grads: readonly (Tensor | null)[]
}

function startOf(t: Tensor): number {
  return t.storage.pointer + t.offset * t.dtype.itemsize
}

function shapeOf(t: Tensor): Pick<Result, 'sizes' | 'strides' | 'dtype' | 'count' | 'contiguous'> {
  return { sizes: t.sizes, strides: t.strides, dtype: t.dtype, count: t.count, contiguous: t.contiguousLayout }
}
