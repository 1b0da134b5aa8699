// Nodes of the autograd graph: what made a tensor, what it needs to go backwards, and where the gradients go next.
import { RuntimeError } from '../base/errors.ts'
import { enableGrad, isAnomalyEnabled, isGradEnabled, isInferenceModeEnabled, noGrad } from './mode.ts'
import type { GradHook, Leaf, Tensor } from './tensor.ts'

/** One gradient per input of the node, null where none is needed or known. */
export type Gradients = (Tensor | null)[]

/**
 * Goes backwards through one operation: from the gradients of its outputs (null for an output nobody used) to those
 * of its inputs, in tensor ops. `saved` are the tensors given at recording, `needs[i]` says whether input i wants one.
 */
export type Backward = (
  grads: readonly (Tensor | null)[],
  saved: readonly Tensor[],
  needs: readonly boolean[],
) => Gradients

/** As `Backward` for the common case of one output. */
export type BackwardOne = (g: Tensor, saved: readonly Tensor[], needs: readonly boolean[]) => Gradients

/** What is kept of a saved tensor instead of it, and how it comes back. */
export interface SavedTensorHooks {
  pack(x: Tensor): unknown
  unpack(packed: unknown): Tensor
}

let savedHooks: SavedTensorHooks | null = null

/** Sets what is done with tensors that are saved for backward; answers what was done before. */
export function setSavedTensorHooks(hooks: SavedTensorHooks | null): SavedTensorHooks | null {
  const before = savedHooks
  savedHooks = hooks
  return before
}

/** Called with a node's gradients before and after it ran; a list that it returns replaces the latter. */
export type NodeHook = (
  gradInputs: readonly (Tensor | null)[],
  gradOutputs: readonly (Tensor | null)[],
) => readonly (Tensor | null)[] | null | undefined | void
/** Called with the gradients of a node's outputs; a list that it returns replaces them. */
export type NodePreHook = (
  gradOutputs: readonly (Tensor | null)[],
) => readonly (Tensor | null)[] | null | undefined | void

const NOTHING: readonly Tensor[] = []
const NO_VERSIONS: readonly number[] = []
let sequence = 0

/** The `sequence` of the next node. */
export function nextSequence(): number {
  return sequence
}

/** A recorded operation; `name` and `nextFunctions` are as PyTorch shows them. */
export class Node {
  name: string
  /** The node of each input, null for inputs without gradient; and which of its outputs that input was. */
  readonly next: readonly (Node | null)[]
  readonly nextOutput: readonly number[]
  /** Later nodes go backwards first. */
  readonly sequence: number
  readonly outputs: number
  private readonly backward: Backward | BackwardOne
  /** `backward` takes one gradient, not a list. */
  private readonly single: boolean
  private saved: readonly Tensor[] | null
  private readonly versions: readonly number[]
  /** Gradient hooks of tensors, by output. */
  hooks: Map<number, GradHook[]> | null = null
  /** Tensors that keep their gradient though they are no leaves, by output. */
  retained: Map<number, Tensor> | null = null
  /** Where the operation was called, in anomaly mode. */
  readonly trace: string | null
  /** Runs user code, so its gradients may be kept by the user. */
  foreign: boolean
  /** What hooks made of the saved tensors, and the hooks that unpack it. */
  private packed: { readonly items: readonly unknown[]; readonly hooks: SavedTensorHooks } | null = null
  /** The inputs of the whole op where this is the last node of several that PyTorch has as one. */
  private shown: readonly [Node | null, number][] | null = null
  private before: NodePreHook[] | null = null
  private after: NodeHook[] | null = null

  constructor(
    name: string,
    next: readonly (Node | null)[],
    nextOutput: readonly number[],
    backward: Backward | BackwardOne,
    saved: readonly Tensor[] = NOTHING,
    outputs = 1,
    single = false,
    order: number = sequence++,
    foreign = false,
  ) {
    this.name = name
    this.next = next
    this.nextOutput = nextOutput
    this.backward = backward
    this.saved = saved
    this.outputs = outputs
    this.single = single
    this.sequence = order
    this.foreign = foreign
    this.trace = isAnomalyEnabled() ? (new Error().stack ?? '') : null
    if (saved.length === 0) this.versions = NO_VERSIONS
    else {
      const versions = new Array<number>(saved.length)
      for (let i = 0; i < saved.length; i++) {
        const { storage } = saved[i]
        if (storage.inference) throw savedInference()
        versions[i] = storage.version
      }
      this.versions = versions
      if (savedHooks !== null) this.pack(saved, savedHooks)
    }
  }

  private pack(saved: readonly Tensor[], hooks: SavedTensorHooks): void {
    // What hooks compute is not recorded, nor packed in turn.
    setSavedTensorHooks(null)
    try {
      this.packed = { items: noGrad(() => saved.map((x) => hooks.pack(x))), hooks }
      this.saved = []
    } finally {
      setSavedTensorHooks(hooks)
    }
  }

  /** Calls `hook(gradInputs, gradOutputs)` after this node ran; what it returns replaces the gradients of the inputs. */
  registerHook(hook: NodeHook): { remove(): void } {
    return this.hooked((this.after ??= []), hook)
  }

  /** Calls `hook(gradOutputs)` before this node runs; what it returns replaces the gradients of the outputs. */
  registerPrehook(hook: NodePreHook): { remove(): void } {
    return this.hooked((this.before ??= []), hook)
  }

  private hooked<H>(list: H[], hook: H): { remove(): void } {
    this.foreign = true
    list.push(hook)
    return {
      remove() {
        const at = list.indexOf(hook)
        if (at >= 0) list.splice(at, 1)
      },
    }
  }

  /** The saved tensors. Throws RuntimeError if they were freed by an earlier backward or changed in place since. */
  get savedTensors(): readonly Tensor[] {
    const saved = this.saved
    if (!saved) {
      throw new RuntimeError(
        'Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True (retainGraph: true) if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.',
      )
    }
    const { packed } = this
    if (packed) return packed.items.map((item) => packed.hooks.unpack(item))
    for (let i = 0; i < saved.length; i++) {
      const found = saved[i].storage.version
      if (found !== this.versions[i]) throw changedInPlace(saved[i], found, this.versions[i])
    }
    return saved
  }

  /** The gradients of the inputs, from those of the outputs. */
  run(grads: readonly (Tensor | null)[], needs: readonly boolean[]): Gradients {
    const saved = this.savedTensors
    if (this.before !== null || this.after !== null) return this.runHooked(grads, saved, needs)
    return this.single
      ? (this.backward as BackwardOne)(grads[0] as Tensor, saved, needs)
      : (this.backward as Backward)(grads, saved, needs)
  }

  private runHooked(given: readonly (Tensor | null)[], saved: readonly Tensor[], needs: readonly boolean[]): Gradients {
    let grads = given
    for (const hook of [...(this.before ?? [])]) grads = hook(grads) ?? grads
    let found: readonly (Tensor | null)[] = this.single
      ? (this.backward as BackwardOne)(grads[0] as Tensor, saved, needs)
      : (this.backward as Backward)(grads, saved, needs)
    for (const hook of [...(this.after ?? [])]) found = hook(found, grads) ?? found
    return [...found]
  }

  /** Forgets the saved tensors, after a backward that does not retain the graph. */
  release(): void {
    if (this.saved && (this.saved.length > 0 || this.packed)) this.saved = null
    this.packed = null
  }

  /** [node, output] for each input, as PyTorch's `next_functions`. */
  get nextFunctions(): [Node | null, number][] {
    if (this.shown !== null) return [...this.shown]
    return this.next.map((n, i) => [n, this.nextOutput[i]])
  }

  /** Shows this, the last of an op's nodes, as PyTorch shows the op's one node: by `name`, and with what comes next. */
  showAs(name: string, next: readonly [Node | null, number][] | null): void {
    this.name = name
    if (next !== null) this.shown = next
  }

  toString(): string {
    return `<${this.name}>`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

function savedInference(): RuntimeError {
  return new RuntimeError(
    'Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.',
  )
}

function changedInPlace(x: Tensor, found: number, expected: number): RuntimeError {
  const made = x.node ? `, which is output ${x.nodeOutput} of ${x.node.name},` : ''
  return new RuntimeError(
    `one of the variables needed for gradient computation has been modified by an inplace operation: [torch.${x.dtype.title}Tensor [${x.sizes.join(', ')}]]${made} is at version ${found}; expected version ${expected} instead. Hint: use the out-of-place form of the operation, or detectAnomaly() to find the operation whose gradient needs the old value.`,
  )
}

/** Adds a gradient into its leaf; the engine treats it specially. */
export class AccumulateGrad extends Node {
  readonly variable: Tensor

  constructor(variable: Tensor) {
    super('AccumulateGrad', [], [], () => [], NOTHING, 1, false, Number.POSITIVE_INFINITY)
    this.variable = variable
  }
}

/** The `leaf` record of a tensor, made if absent. */
export function leafOf(x: Tensor): Leaf {
  x.leaf ??= { requiresGrad: false, grad: null, accumulator: null, retainsGrad: false }
  return x.leaf
}

/** True if `x` takes part in recording. */
export function requiresGrad(x: Tensor): boolean {
  return x.node !== null || x.leaf?.requiresGrad === true || (x.base !== null && historyOf(x) !== null)
}

/** The node that `x`'s gradient goes to: what made it, or its accumulator; null if it needs none. */
export function historyOf(x: Tensor): Node | null {
  if (x.base !== null && x.baseVersion !== x.storage.version) refreshView(x)
  if (x.node !== null) return x.node
  const leaf = x.leaf
  if (leaf === null || !leaf.requiresGrad) return null
  leaf.accumulator ??= new AccumulateGrad(x)
  return leaf.accumulator
}

function otherDtype(x: Tensor, base: Tensor): RuntimeError {
  return new RuntimeError(
    `a ${x.dtype} view of a ${base.dtype} tensor was changed in place while recording, which has no gradient here; change the ${base.dtype} tensor itself`,
  )
}

/** A view whose base was changed in place takes its history from the base as it is now. */
function refreshView(x: Tensor): void {
  const base = x.base as Tensor
  x.baseVersion = x.storage.version
  if (base.node === null) return
  // The real view of a complex tensor counts its strides in parts.
  if (x.dtype !== base.dtype && base.dtype.kind !== 'complex') throw otherDtype(x, base)
  const fresh = enableGrad(() =>
    (x.dtype === base.dtype ? base : base.viewAsReal()).asStrided(x.sizes, x.strides, x.offset),
  )
  x.node = fresh.node
  x.nodeOutput = 0
}

/**
 * Makes `out` the result of a recorded operation on `inputs`, if grad mode is on and one of them requires a gradient.
 * `saved` may hold `out` itself.
 */
export function record(
  out: Tensor,
  name: string,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: BackwardOne,
): Tensor {
  if (isGradEnabled() && (out.dtype.kind === 'float' || out.dtype.kind === 'complex')) {
    const node = nodeFor(name, inputs, saved, backward, 1, true)
    if (node) adopt(out, node, 0)
  }
  return out
}

/** As `record` for an operation with several outputs; outputs that are not floating point get no gradient. */
export function recordAll(
  outs: readonly Tensor[],
  name: string,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: Backward,
): void {
  const node = isGradEnabled() ? nodeFor(name, inputs, saved, backward, outs.length, false) : null
  if (!node) return
  for (let i = 0; i < outs.length; i++)
    if (outs[i].dtype.isFloatingPoint || outs[i].dtype.isComplex) adopt(outs[i], node, i)
}

/** A node over the inputs' histories, or null if none has one. */
function nodeFor(
  name: string,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: Backward | BackwardOne,
  outputs: number,
  single: boolean,
): Node | null {
  const next = new Array<Node | null>(inputs.length)
  const nextOutput = new Array<number>(inputs.length)
  let any = false
  for (let i = 0; i < inputs.length; i++) {
    const node = historyOf(inputs[i])
    next[i] = node
    nextOutput[i] = node === null ? 0 : inputs[i].nodeOutput
    if (node !== null) any = true
  }
  return any ? new Node(name, next, nextOutput, backward, saved, outputs, single) : null
}

/** Where the gradients of an op's inputs go, as `nextFunctions` has it. */
export function edgesOf(inputs: readonly Tensor[]): [Node | null, number][] {
  return inputs.map((x) => {
    const node = historyOf(x)
    return [node, node === null ? 0 : x.nodeOutput]
  })
}

/** Makes `node`'s output `index` the history of `x`, which may be fresh, a view, or changed in place. */
function adopt(x: Tensor, node: Node, index: number): void {
  const base = x.base
  if (base === null || x.baseVersion === x.storage.version) {
    x.node = node
    x.nodeOutput = index
    return
  }
  // A view changed in place: the change becomes part of the base's history, and the view is read from there.
  if (x.dtype !== base.dtype) throw otherDtype(x, base)
  const view = { sizes: x.sizes, strides: x.strides, offset: x.offset }
  const geometry = { sizes: base.sizes, strides: base.strides, offset: base.offset }
  const before = historyOf(base)
  const next = [before, ...node.next.slice(1)]
  const nextOutput = [base.nodeOutput, ...node.nextOutput.slice(1)]
  const copySlices: BackwardOne = (g, _saved, needs) => {
    const rest = g.newEmptyStrided(geometry.sizes, geometry.strides).copy_(g)
    const slice = rest.asStrided(view.sizes, view.strides, view.offset - geometry.offset)
    const inner = node.run([slice.clone()], [true, ...needs.slice(1)])
    if (inner[0]) slice.copy_(inner[0])
    else slice.zero_()
    return [rest, ...inner.slice(1)]
  }
  base.node = new Node('CopySlices', next, nextOutput, copySlices, NOTHING, 1, true)
  base.nodeOutput = 0
  base.baseVersion = base.storage.version
  x.node = null
  x.baseVersion = -1
  refreshView(x)
}

/** Operations whose outputs are all views of one tensor. */
const MANY_VIEWS: ReadonlySet<string> = new Set(['SplitBackward0', 'SplitWithSizesBackward0', 'UnbindBackward0'])

/**
 * Checks that `x` may be changed in place now, and counts the change.
 * Throws RuntimeError for a leaf that requires a gradient (or a view of one) while recording.
 */
export function changeInPlace(x: Tensor): void {
  if (x.storage.inference && !isInferenceModeEnabled()) {
    throw new RuntimeError(
      'Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.',
    )
  }
  if (isGradEnabled()) {
    if (x.node === null && x.leaf?.requiresGrad) {
      throw new RuntimeError('a leaf Variable that requires grad is being used in an in-place operation.')
    }
    if (x.base !== null && x.base.node === null && x.base.leaf?.requiresGrad) {
      throw new RuntimeError('a view of a leaf Variable that requires grad is being used in an in-place operation.')
    }
    if (x.base !== null && x.node !== null && MANY_VIEWS.has(x.node.name)) {
      throw new RuntimeError(
        `Output ${x.nodeOutput} of ${x.node.name.replace('Backward0', '')} is a view and is being modified inplace. This view is the output of a function that returns multiple views. Such functions do not allow the output views to be modified inplace. You should replace the inplace operation by an out-of-place one.`,
      )
    }
  }
  // A view's history is brought up to date before the change, so that `adopt` can tell that this change is the news.
  if (x.base !== null) historyOf(x)
  for (let i = 0; i < x.sizes.length; i++) {
    if (x.strides[i] === 0 && x.sizes[i] > 1) {
      throw new RuntimeError(
        'unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() the tensor before performing the operation.',
      )
    }
  }
  x.storage.version++
  // The base of a changed view, or the tensor itself, keeps its own history.
  if (x.base === null) x.baseVersion = x.storage.version
}

/** True if a gradient may be overwritten: backward made it, nobody but the asking node reads it, nothing records. */
export function isSpare(g: Tensor): boolean {
  const { storage } = g
  return storage.temporary && storage.holds === 1 && !isGradEnabled() && g.contiguousLayout && g.base === null
}
