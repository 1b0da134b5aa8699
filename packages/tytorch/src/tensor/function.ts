// Custom differentiable functions: a forward and a backward of the user's own, as torch.autograd.Function.
import { NotImplementedError, RuntimeError } from '../base/errors.ts'
import { isGradEnabled, noGrad } from './mode.ts'
import { historyOf, Node, requiresGrad } from './node.ts'
import { Tensor } from './tensor.ts'

/** Given to `forward` and `backward`; any other property may be set on it in forward and read in backward. */
export class FunctionContext {
  /** Arbitrary values that forward leaves for backward. */
  [key: string]: unknown
  needsInputGrad: boolean[] = []
  private kept: readonly (Tensor | null)[] = []
  private node: Node | null = null
  private unsaved: readonly Tensor[] = []
  private changed: readonly Tensor[] = []
  private materialize = true

  /** Keeps tensors (or null) for backward, with a check that nobody changes them in between. */
  saveForBackward(...tensors: (Tensor | null)[]): void {
    for (const t of tensors) {
      if (t !== null && !(t instanceof Tensor))
        throw new TypeError(`save_for_backward can only save variables, but got ${typeof t}`)
    }
    this.kept = tensors
  }

  /** What `saveForBackward` kept; typed without null, for functions that never save it. */
  get savedTensors(): readonly Tensor[] {
    if (!this.node) return this.kept as readonly Tensor[]
    const saved = [...this.node.savedTensors]
    return this.kept.map((t) => (t === null ? null : saved.shift())) as readonly Tensor[]
  }

  /** Says that outputs have no gradient; call it in forward with those outputs. */
  markNonDifferentiable(...outputs: Tensor[]): void {
    this.unsaved = outputs
  }

  /** Says that forward changed inputs in place; they must be outputs, too. */
  markDirty(...inputs: Tensor[]): void {
    this.changed = inputs
  }

  /** With false, backward gets null instead of zeros for outputs that nobody used. */
  setMaterializeGrads(value: boolean): void {
    this.materialize = value
  }

  /** @internal */
  settled(): { kept: Tensor[]; unsaved: readonly Tensor[]; changed: readonly Tensor[]; materialize: boolean } {
    const kept = this.kept.filter((t): t is Tensor => t !== null)
    return { kept, unsaved: this.unsaved, changed: this.changed, materialize: this.materialize }
  }

  /** @internal */
  attach(node: Node): void {
    this.node = node
    // The node keeps them from here on, and lets go of them after backward.
    this.kept = this.kept.map((t) => (t === null ? null : PLACE))
  }
}

const PLACE = Object.create(Tensor.prototype) as Tensor

// biome-ignore lint/suspicious/noExplicitAny: users declare their own argument types
type AnyArgs = any[]
type Output = Tensor | readonly Tensor[]

/** The static side of a custom function whose forward gets the context. */
interface FunctionClass<A extends AnyArgs, R extends Output> {
  readonly name: string
  forward(ctx: FunctionContext, ...args: A): R
  // biome-ignore lint/suspicious/noExplicitAny: one gradient per output
  backward?(ctx: FunctionContext, ...grads: any[]): Tensor | null | undefined | readonly (Tensor | null | undefined)[]
}

/** As `FunctionClass`, with what backward needs set up after forward. */
interface SplitFunctionClass<A extends AnyArgs, R extends Output> {
  readonly name: string
  forward(...args: A): R
  setupContext(ctx: FunctionContext, inputs: A, output: R): void
  // biome-ignore lint/suspicious/noExplicitAny: one gradient per output
  backward?(ctx: FunctionContext, ...grads: any[]): Tensor | null | undefined | readonly (Tensor | null | undefined)[]
}

type AnyFunction = FunctionClass<AnyArgs, Output> | SplitFunctionClass<AnyArgs, Output>

/**
 * Base of custom functions: subclass it with static `forward(ctx, ...)` and `backward(ctx, ...grads)` and call
 * `apply`. Backward answers one gradient per argument of forward (null or undefined where there is none). Or with static
 * `forward(...)` and `setupContext(ctx, inputs, output)`.
 */
// biome-ignore lint/complexity/noStaticOnlyClass: PyTorch's API
export class AutogradFunction {
  /** Runs forward without recording its inside, and records the function itself. */
  static apply<A extends AnyArgs, R extends Output>(this: SplitFunctionClass<A, R>, ...args: A): R
  static apply<A extends AnyArgs, R extends Output>(this: FunctionClass<A, R>, ...args: A): R
  static apply(this: AnyFunction, ...args: AnyArgs): Output {
    return applied(this, args)
  }
}

function applied(of: AnyFunction, args: AnyArgs): Output {
  const ctx = new FunctionContext()
  const tensors = args.filter((a): a is Tensor => a instanceof Tensor)
  const history = tensors.map(historyOf)
  const recorded = isGradEnabled() && history.some((n) => n !== null)
  const places = tensors.map((t, i) => (history[i] ? t.nodeOutput : 0))
  ctx.needsInputGrad = args.map((a) => a instanceof Tensor && requiresGrad(a))
  const result = noGrad(() => {
    if (!('setupContext' in of)) return of.forward(ctx, ...args)
    const output = of.forward(...args)
    of.setupContext(ctx, args, output)
    return output
  })
  if (!recorded) return result
  const { kept, unsaved, changed, materialize } = ctx.settled()
  const outs: readonly Tensor[] = result instanceof Tensor ? [result] : result
  const lost = changed.find((t) => !outs.includes(t))
  if (lost)
    throw new RuntimeError(
      'Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace must all be outputs of the Function.',
    )
  // An input returned as it is needs a handle of its own, or it would become its own history.
  const fresh = outs.map((o) => (tensors.includes(o) && !changed.includes(o) ? o.viewAs(o).detach() : o))
  const node = new Node(
    `${of.name}Backward`,
    history,
    places,
    gradientsOf(of, ctx, args, outs, materialize),
    kept,
    outs.length,
    false,
    undefined,
    true,
  )
  ctx.attach(node)
  fresh.forEach((o, i) => {
    if ((o.dtype.isFloatingPoint || o.dtype.isComplex) && !unsaved.includes(o)) {
      if (o.node === null && o.leaf?.requiresGrad) {
        throw new RuntimeError('a leaf Variable that requires grad has been used in an in-place operation.')
      }
      o.node = node
      o.nodeOutput = i
    }
  })
  return result instanceof Tensor ? (fresh[0] as Tensor) : fresh
}

function gradientsOf(
  of: AnyFunction,
  ctx: FunctionContext,
  args: AnyArgs,
  outs: readonly Tensor[],
  materialize: boolean,
): (grads: readonly (Tensor | null)[]) => (Tensor | null)[] {
  const positions = args.flatMap((a, i) => (a instanceof Tensor ? [i] : []))
  const sizes = outs.map((o) => [o.sizes, o.dtype] as const)
  const like = outs[0] as Tensor | undefined
  return (grads) => {
    if (!of.backward) {
      throw new NotImplementedError(
        'You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD.',
      )
    }
    const filled = materialize
      ? grads.map((g, i) => g ?? (like as Tensor).detach().newZeros([...sizes[i][0]], { dtype: sizes[i][1] }))
      : grads
    const answer = of.backward(ctx, ...filled)
    const list = Array.isArray(answer)
      ? (answer as (Tensor | null | undefined)[])
      : [answer as Tensor | null | undefined]
    if (list.length < args.length && list.length !== positions.length) {
      throw new RuntimeError(
        `function ${of.name}Backward returned an incorrect number of gradients (expected ${args.length}, got ${list.length})`,
      )
    }
    return list.length === positions.length && list.length !== args.length
      ? positions.map((_, i) => list[i] ?? null)
      : positions.map((i) => list[i] ?? null)
  }
}

/** Makes a backward that can't be differentiated in turn; its gradients have no graph. */
export function onceDifferentiable<A extends AnyArgs, R>(
  backward: (ctx: FunctionContext, ...grads: A) => R,
): typeof backward {
  return (ctx, ...grads) => noGrad(() => backward(ctx, ...grads))
}
