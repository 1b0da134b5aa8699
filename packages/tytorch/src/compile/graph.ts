// One traced call made into something that runs again: the forward, and for results that require gradients the backward.
import { type DType, uint8 } from '../base/dtype.ts'
import { RuntimeError } from '../base/errors.ts'
import type { Sizes } from '../base/shape.ts'
import { filled } from '../ops/create.ts'
import { collector } from '../tensor/collector.ts'
import { isGradEnabled } from '../tensor/mode.ts'
import { type Gradients, historyOf, leafOf, Node } from '../tensor/node.ts'
import { allocate, Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Arguments, Guards, LeafRef } from './guards.ts'
import type { Section } from './section.ts'
import { type Form, rebuild } from './structure.ts'
import type { Buffer } from './trace.ts'

/** Where a result's memory comes from: an argument by its place, a fresh storage by number, or one storage for good. */
export type Source = { readonly argument: number } | { readonly fresh: number } | { readonly storage: Storage }

/** A tensor that a graph answers. */
export interface Result {
  /** The very tensor, where the function answers an argument (by its place) or a tensor from outside. */
  readonly same: number | Tensor | null
  readonly source: Source
  readonly sizes: Sizes
  readonly strides: Sizes
  /** In elements: from the argument's first element, or from the start of the storage. */
  readonly offset: number
  readonly dtype: DType
  readonly count: number
  readonly contiguous: boolean
  /** Which of the differentiated outputs it is, or -1. */
  readonly output: number
  /** A leaf made inside that requires a gradient. */
  readonly leaf: boolean
}

/** A gradient's fate at the end of each call. */
export interface FinalGrad {
  readonly leaf: LeafRef
  readonly grad: Tensor | null
}

/** How a graph goes backwards. */
export interface Backwards {
  readonly section: Section
  /** What gradients go to: an argument by its place, or a leaf from outside. */
  readonly targets: readonly LeafRef[]
  readonly results: readonly (Result | null)[]
  /** The gradients that come in. */
  readonly outputs: readonly { readonly sizes: Sizes; readonly dtype: DType }[]
  /** The saved tensors: fresh storages of the forward by number, arguments by place, storages from outside. */
  readonly saved: readonly Source[]
}

export interface GraphParts {
  readonly arguments: Arguments
  readonly guards: Guards
  readonly forward: Section
  readonly form: Form
  readonly results: readonly Result[]
  readonly finalGrads: readonly FinalGrad[]
  readonly backwards: Backwards | null
}

const EMPTY: readonly Storage[] = []

/** Allocates what a section answers, runs it, and counts its changes in place. */
function runSection({ replay, inputs, fresh, written }: Section, args: readonly Tensor[]): readonly Storage[] {
  const storages = fresh.length === 0 ? EMPTY : fresh.map((b) => allocate(b.bytes))
  const buffers: Buffer[] = []
  const addresses: number[] = []
  for (const { buffer, argument } of inputs) {
    buffers.push(buffer)
    addresses.push(args[argument].pointer)
  }
  for (let i = 0; i < fresh.length; i++) {
    buffers.push(fresh[i])
    addresses.push(storages[i].pointer)
  }
  replay.run(buffers, addresses)
  countChanges(written, args)
  return storages
}

function countChanges(written: Section['written'], args: readonly Tensor[]): void {
  for (const w of written) (w instanceof Storage ? w : args[w].storage).version++
}

/** The tensor that a result stands for. */
function tensorOf(r: Result, args: readonly Tensor[], fresh: readonly Storage[]): Tensor {
  if (r.same !== null) return typeof r.same === 'number' ? args[r.same] : r.same
  const { source, dtype } = r
  let storage: Storage
  let { offset } = r
  if ('argument' in source) {
    const from = args[source.argument]
    storage = from.storage
    offset += (from.offset * from.dtype.itemsize) / dtype.itemsize
  } else storage = 'fresh' in source ? fresh[source.fresh] : source.storage
  return new Tensor(storage, r.sizes, r.strides, offset, dtype, r.count, r.contiguous)
}

export class Graph {
  readonly parts: GraphParts
  /** What should be gone by the next call; null once that was looked at. */
  private mortals: WeakRef<object>[] | null
  /** How often before tensors seemed to be kept outside. */
  suspicions = 0
  /** How often it was used after the call that was traced. */
  hits = 0
  /** The number of the call that used it last. */
  used = 0

  constructor(parts: GraphParts, mortals: readonly object[]) {
    this.parts = parts
    this.mortals = collector.able ? mortals.map((m) => new WeakRef(m)) : null
  }

  /**
   * How many tensors made by the traced call are still there at the next one: the function has put them where a replay
   * would not, so that it can't be replayed. Looks once.
   */
  escaped(): number {
    const { mortals } = this
    this.mortals = null
    if (mortals === null) return 0
    const left = (): number => mortals.filter((m) => m.deref() !== undefined).length
    // A full collection that was under way keeps what was made meanwhile; the one after it does not.
    for (const minor of [true, false, false]) {
      collector.collect(minor)
      if (left() === 0) return 0
    }
    return left()
  }

  /** The call's tensors if this graph holds for it. */
  match(args: readonly unknown[]): Tensor[] | null {
    const tensors = this.parts.arguments.match(args)
    return tensors && this.parts.guards.hold(tensors) ? tensors : null
  }

  /** Runs the graph again. */
  run(args: readonly Tensor[]): unknown {
    this.hits++
    const fresh = runSection(this.parts.forward, args)
    for (const { leaf, grad } of this.parts.finalGrads) {
      leafOf(typeof leaf === 'number' ? args[leaf] : leaf).grad = grad
    }
    return this.answer(args, fresh)
  }

  /** The result of a call whose fresh storages these are. */
  answer(args: readonly Tensor[], fresh: readonly Storage[]): unknown {
    const { results, form, backwards } = this.parts
    const tensors = results.map((r) => tensorOf(r, args, fresh))
    if (backwards) {
      const node = this.nodeOf(backwards, args, fresh)
      results.forEach((r, i) => {
        if (r.output < 0) return
        tensors[i].node = node
        tensors[i].nodeOutput = r.output
      })
    }
    results.forEach((r, i) => {
      if (r.leaf) tensors[i].requiresGrad_(true)
    })
    return rebuild(form, tensors)
  }

  /** The recorded operation that a call is. */
  private nodeOf(backwards: Backwards, args: readonly Tensor[], fresh: readonly Storage[]): Node {
    const inputs = backwards.targets.map((t) => (typeof t === 'number' ? args[t] : t))
    const saved = backwards.saved.map((s) => {
      if ('argument' in s) return args[s.argument]
      return handle('fresh' in s ? fresh[s.fresh] : s.storage)
    })
    return new Node(
      'CompiledFunctionBackward',
      inputs.map(historyOf),
      inputs.map((x) => (x.node === null ? 0 : x.nodeOutput)),
      (grads: readonly (Tensor | null)[], kept: readonly Tensor[]) => backward(backwards, grads, kept),
      saved,
      backwards.outputs.length,
    )
  }
}

/** A tensor over a whole storage, for what is saved. */
function handle(storage: Storage): Tensor {
  return new Tensor(storage, [storage.bytes], [1], 0, uint8)
}

function backward(b: Backwards, grads: readonly (Tensor | null)[], saved: readonly Tensor[]): Gradients {
  if (isGradEnabled()) {
    throw new RuntimeError('torch.compile with aot_autograd does not currently support double backward')
  }
  const given = b.outputs.map(({ sizes, dtype }, i) => (grads[i] ?? filled(sizes, 0, dtype)).contiguous())
  const args = [...given, ...saved]
  const fresh = runSection(b.section, args)
  return b.results.map((r) => (r ? tensorOf(r, args, fresh) : null))
}
